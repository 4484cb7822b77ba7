//! The edge that stores talk to: HTTP/1.1 in, raw topics out.
//!
//! `POST /v1/stores/S0042/tlog` takes a batch of concatenated till receipts into `tlog.raw`, one message a receipt.
//! `POST /v1/stores/S0042/marks` takes one mark, how far the store's tills and readers have written, into `tlog.raw`.
//! `POST /capture` takes one EPCIS document into `scan.raw`. `GET /health` answers while the server runs.
//!
//! Invariant: what is answered as accepted is acknowledged by all in-sync replicas. Everything else may be sent again,
//! and may then be in the topics twice: those who read them know a transaction by its number. Memory is bounded by
//! [`Config::max_in_flight_bytes`] and the producer's queue; beyond, callers are told to come back.
//!
//! What it does not do: understand receipts beyond their framing, or remember anything.

mod answer;
mod ingest;
mod server;
mod stamps;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use backbone::{Backbone, BackboneError};
use contracts::sabotage::Sabotage;
use tokio_util::sync::CancellationToken;

pub use server::Gateway;

/// How the gateway is set up. The default listens on a free loopback port.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    /// A longer body is refused with 413.
    pub max_body_bytes: usize,
    /// Bodies of all requests that are not answered yet; beyond, 429.
    pub max_in_flight_bytes: usize,
    /// Further connections wait in the listener's backlog.
    pub max_connections: usize,
    /// Only obeyed if it names this service.
    pub sabotage: Option<Sabotage>,
    pub counters: Arc<Counters>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            max_body_bytes: 4 << 20,
            max_in_flight_bytes: 64 << 20,
            max_connections: 4_096,
            sabotage: None,
            counters: Arc::default(),
        }
    }
}

/// What has happened since the start. Read at any time.
#[derive(Debug, Default)]
pub struct Counters {
    pub requests: AtomicU64,
    /// Receipts and documents accepted; a document has one or more transactions.
    pub messages: AtomicU64,
    /// Marks accepted.
    pub marks: AtomicU64,
    /// Parts of batches that are no receipt, and requests refused with another 4xx than 429.
    pub rejected: AtomicU64,
    /// Requests answered with 429 or 503.
    pub busy: AtomicU64,
    /// Of the receipts and documents accepted.
    pub bytes: AtomicU64,
}

impl Counters {
    pub fn summary(&self) -> Summary {
        Summary {
            requests: self.requests.load(Ordering::Relaxed),
            messages: self.messages.load(Ordering::Relaxed),
            marks: self.marks.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            busy: self.busy.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// The counters at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub requests: u64,
    pub messages: u64,
    pub marks: u64,
    pub rejected: u64,
    pub busy: u64,
    pub bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error(
        "cannot listen on {address}, it is in use: stop what listens there, or give another port (0 for a free one)"
    )]
    InUse { address: SocketAddr },
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error(transparent)]
    Backbone(#[from] BackboneError),
}

/// Binds and serves until `cancel`.
pub async fn run(
    config: Config,
    backbone: &Backbone,
    cancel: CancellationToken,
) -> Result<Summary, GatewayError> {
    Gateway::bind(config, backbone).await?.run(cancel).await
}

//! The inventory service: movements become cells per place and SKU, and totals per article.
//!
//! Two stages, each with a loop of its own: [`run_store`] reads `movements` and writes `store.inventory` and
//! `item.partials`; [`run_item`] reads `item.partials` and writes `item.inventory`. [`run`] is both.
//!
//! Invariant: what is published at an offset is a function of the log below it. It knows no wire format, no source and no
//! truth; it deduplicates by the identity that a source gave its transaction.

mod acquire;
mod cell;
mod flush;
mod item;
mod partition;
mod store;
mod window;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use backbone::{Backbone, BackboneError};
use contracts::sabotage::Sabotage;
use tokio_util::sync::CancellationToken;

pub use cell::Cell;
pub use item::run as run_item;
pub use partition::{Applied, Partition};
pub use store::run as run_store;
pub use window::{Outcome, Window};

/// The consumer group of the store stage.
pub const GROUP: &str = "store-inventory";

#[derive(Clone, Debug)]
pub struct Config {
    /// Unique among the instances of the group.
    pub instance: String,
    /// Between two flushes, when there is time.
    pub flush_min: Duration,
    /// Between two flushes, when there is not: many updates of a cell then become one record.
    pub flush_max: Duration,
    /// Damages one transaction in so many, so that the audit has something to find.
    pub sabotage: Option<Sabotage>,
    pub counters: Arc<Counters>,
    /// Cancelled: ends at once, without a last flush, as a killed process would.
    pub kill: CancellationToken,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            instance: "1".into(),
            flush_min: Duration::from_millis(100),
            flush_max: Duration::from_secs(5),
            sabotage: None,
            counters: Arc::default(),
            kill: CancellationToken::new(),
        }
    }
}

/// What the service did since the counters were made, over restarts.
#[derive(Debug, Default)]
pub struct Counters {
    /// Transactions that were new.
    pub transactions: AtomicU64,
    /// Lines that changed a cell.
    pub lines: AtomicU64,
    /// Repeats dropped.
    pub repeats: AtomicU64,
    /// Transactions of the log that were in already when it was read again after a restart.
    pub replayed: AtomicU64,
    pub dead_letters: AtomicU64,
    pub cells_written: AtomicU64,
    pub partials_written: AtomicU64,
    pub items_written: AtomicU64,
    pub flushes: AtomicU64,
    pub flush_ms_last: AtomicU64,
    pub flush_interval_ms: AtomicU64,
    pub epoch: AtomicU64,
    pub restores: AtomicU64,
    pub restored_cells: AtomicU64,
    pub restore_ms_last: AtomicU64,
    /// Partitions owned now.
    pub partitions: AtomicU64,
    /// Times that everything was acquired anew because Kafka did not acknowledge.
    pub recoveries: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, value: u64) {
        counter.fetch_add(value, Ordering::Relaxed);
    }

    pub(crate) fn set(counter: &AtomicU64, value: u64) {
        counter.store(value, Ordering::Relaxed);
    }
}

#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    #[error("inventory: {0}")]
    Backbone(#[from] BackboneError),
    #[error(
        "movements[{partition}] begins at offset {first}, but the state needs it from {needed}: what lies between is gone; \
         keep movements longer, or rebuild with new topics"
    )]
    LogGone { partition: u32, first: u64, needed: u64 },
    #[error(
        "store.inventory[{partition}] was written with {found} partitions, this service has {expected}: a location's \
         partition would change; use new topics and a rebuild"
    )]
    PartitionCount {
        partition: u32,
        found: u32,
        expected: u32,
    },
    #[error("store.inventory[{partition}]@{offset}: {message}")]
    State {
        partition: u32,
        offset: u64,
        message: String,
    },
    #[error("inventory: a thread cannot start: {0}")]
    Thread(#[from] std::io::Error),
    #[error("inventory: the {0} stage panicked")]
    Panicked(&'static str),
}

/// Both stages, until cancelled. Blocks.
pub fn run(config: &Config, backbone: &Backbone, cancel: &CancellationToken) -> Result<(), InventoryError> {
    // When one stage fails the other has nobody to work for.
    let both = cancel.child_token();
    let item = thread::Builder::new().name("items".into()).spawn({
        let (config, backbone, both) = (config.clone(), backbone.clone(), both.clone());
        move || {
            let result = run_item(&config, &backbone, &both);
            both.cancel();
            result
        }
    })?;
    let store = run_store(config, backbone, &both);
    both.cancel();
    let item = item.join().map_err(|_| InventoryError::Panicked("item"))?;
    store.and(item)
}

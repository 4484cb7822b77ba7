//! A TCP proxy for tests, whose faults are set while it runs: it delays, black-holes, cuts and resets.
//!
//! It stands between a client and a server on the loopback, and knows no protocol: it sees bytes, so a cut may fall into
//! the middle of a frame, as on a real line. Invariant: bytes that arrive at all arrive unchanged and in order; only a
//! cut or a reset loses some, and always a tail. What a connection may hold back is bounded, beyond it the sender waits.
//!
//! ```no_run
//! # async fn example(server: std::net::SocketAddr) -> std::io::Result<()> {
//! use backbone::proxy::{Direction, Fault, Proxy};
//! let proxy = Proxy::start(server).await?;
//! let url = format!("amqp://{}", proxy.address()); // the client connects here
//! proxy.set(Direction::ToClient, Fault::BlackHole); // answers get lost
//! proxy.mend();
//! proxy.set(Direction::ToServer, Fault::CutAfter(1000)); // in the middle of something
//! # Ok(())
//! # }
//! ```
//!
//! Only with the feature `proxy`, which tests ask for; no service has it. Not for a server that tells its clients to
//! connect elsewhere, as Kafka's brokers do, unless what they tell is the proxy's address.

mod pump;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    ToServer,
    ToClient,
}

/// What happens to the bytes of one direction, of connections that exist and of those that come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// Every piece arrives so much later; pieces that come together arrive together.
    Delay(Duration),
    /// Nothing arrives, ends included, and nobody is told. When it is mended, what was sent arrives, as TCP would repeat it.
    BlackHole,
    /// So many more bytes arrive, over all connections; the one that brings the next is closed, and the fault is over.
    CutAfter(u64),
    /// The same with a reset, which also discards what the other side has not read.
    ResetAfter(u64),
}

/// How a connection ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Cut,
    Reset,
}

#[derive(Clone, Copy, Debug, Default)]
struct Settings {
    to_server: Fault,
    to_client: Fault,
    refuse: bool,
}

impl Settings {
    const fn of(&mut self, direction: Direction) -> &mut Fault {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    const fn get(mut self, direction: Direction) -> Fault {
        *self.of(direction)
    }
}

#[derive(Debug, Default)]
struct Counts {
    /// Bytes that were passed on, and that wait here.
    passed: AtomicU64,
    held: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    settings: watch::Sender<Settings>,
    /// How all connections end that existed when it changed.
    ends: watch::Sender<End>,
    to_server: Counts,
    to_client: Counts,
    open: AtomicUsize,
    accepted: AtomicU64,
    /// Connections that a fault has ended.
    ended: AtomicU64,
}

impl Shared {
    const fn counts(&self, direction: Direction) -> &Counts {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }
}

/// The proxy. Dropping it ends all connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    cancel: CancellationToken,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1. The target has to be on the loopback as well.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        if !target.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{target} is not on the loopback: this proxy is for tests on one machine"),
            ));
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target,
            settings: watch::Sender::new(Settings::default()),
            ends: watch::Sender::new(End::Cut),
            to_server: Counts::default(),
            to_client: Counts::default(),
            open: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        });
        let cancel = CancellationToken::new();
        tokio::spawn(accept(listener, Arc::clone(&shared), cancel.clone()));
        Ok(Self {
            address,
            shared,
            cancel,
        })
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set(&self, direction: Direction, fault: Fault) {
        self.shared
            .settings
            .send_modify(|settings| *settings.of(direction) = fault);
    }

    /// What is set now; a cut that has happened is over.
    pub fn fault(&self, direction: Direction) -> Fault {
        self.shared.settings.borrow().get(direction)
    }

    /// New connections are reset at once; those that exist go on.
    pub fn refuse_connections(&self) {
        self.shared
            .settings
            .send_modify(|settings| settings.refuse = true);
    }

    /// Takes all faults away. What a black hole held goes on.
    pub fn mend(&self) {
        self.shared.settings.send_replace(Settings::default());
    }

    /// Closes all connections, and tells how many there were.
    pub fn cut(&self) -> usize {
        self.end(End::Cut)
    }

    /// Resets all connections: both sides lose what they had not read yet.
    pub fn reset(&self) -> usize {
        self.end(End::Reset)
    }

    fn end(&self, how: End) -> usize {
        let open = self.connections();
        self.shared.ends.send_replace(how);
        open
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }

    /// Connections that clients made, those that were refused included.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Acquire)
    }

    /// Connections that a fault has ended, or a call of `cut` or `reset`.
    pub fn ended(&self) -> u64 {
        self.shared.ended.load(Ordering::Acquire)
    }

    /// Bytes that went on in a direction, over all connections.
    pub fn passed(&self, direction: Direction) -> u64 {
        self.shared.counts(direction).passed.load(Ordering::Acquire)
    }

    /// Bytes that came and wait here.
    pub fn held(&self, direction: Direction) -> u64 {
        self.shared.counts(direction).held.load(Ordering::Acquire)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, cancel: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = cancel.cancelled() => break,
        };
        let client = match accepted {
            Ok((client, _)) => client,
            Err(error) => {
                tracing::warn!(%error, "the proxy cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        shared.accepted.fetch_add(1, Ordering::AcqRel);
        if shared.settings.borrow().refuse {
            // Dropped with a reset, not with an orderly end.
            let _ = client.set_zero_linger();
            continue;
        }
        let open = Open::new(Arc::clone(&shared));
        let cancel = cancel.clone();
        connections.spawn(async move {
            if let Err(error) = connection(client, &open.0, &cancel).await {
                tracing::debug!(%error, "connection through the proxy");
            }
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Counts a connection as long as it lives.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Ordering::AcqRel);
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn connection(mut client: TcpStream, shared: &Shared, cancel: &CancellationToken) -> io::Result<()> {
    // Before anything is waited for: an end that is asked for from now on is this connection's too.
    let mut ends = shared.ends.subscribe();
    let mut settings = shared.settings.subscribe();
    let connect = async {
        // In a black hole the server does not even see that somebody connects.
        let _ = settings
            .wait_for(|settings| settings.to_server != Fault::BlackHole)
            .await;
        TcpStream::connect(shared.target).await
    };
    let mut server = tokio::select! {
        server = connect => server?,
        _ = ends.changed() => return Ok(()),
        () = cancel.cancelled() => return Ok(()),
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let end = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let both = futures_util::future::try_join(
            pump::run(Direction::ToServer, client_read, server_write, shared),
            pump::run(Direction::ToClient, server_read, client_write, shared),
        );
        tokio::select! {
            ended = both => ended.err(),
            _ = ends.changed() => Some(*ends.borrow()),
            () = cancel.cancelled() => Some(End::Cut),
        }
    };
    match end {
        Some(End::Reset) => {
            shared.ended.fetch_add(1, Ordering::AcqRel);
            client.set_zero_linger()?;
            server.set_zero_linger()?;
        }
        Some(End::Cut) => {
            shared.ended.fetch_add(1, Ordering::AcqRel);
        }
        None => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;

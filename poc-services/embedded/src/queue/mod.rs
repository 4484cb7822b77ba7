//! An AMQP 1.0 queue in process, on `fe2o3-amqp`'s acceptor: credit, settlement, redelivery, depth, faults.
//!
//! It stands in for a queue manager where none can be installed. Invariant: a message that was accepted from a sender
//! stays until a receiver accepts it; what a receiver rejects goes to the queue's backout queue; what a receiver had when
//! its link ended goes back to its old place, with its delivery count raised. Queues are in memory, made when somebody
//! attaches to their address, and bounded: a full queue gives its senders no more credit.
//!
//! Not here: persistence over a restart of the process (a manager that a fault stops keeps its durable messages),
//! transactions, users.

mod faults;
mod link;
mod store;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use fe2o3_amqp::acceptor::SaslAnonymousMechanism;
use fe2o3_amqp::acceptor::{ConnectionAcceptor, LinkAcceptor, LinkEndpoint, SessionAcceptor};
use parking_lot::Mutex;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Handle, Runtime};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use faults::Counters;
pub use faults::{Cut, FaultCounts, Faults};
pub use store::BACKOUT;
use store::Queues;
use wire::Wire;

#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// `None`: a free port on 127.0.0.1.
    pub listen: Option<SocketAddr>,
    /// Messages of one queue, ready and unsettled; its senders wait beyond it. Each of several senders may be one over.
    pub max_depth: usize,
    /// Failed deliveries after which a message goes to the backout queue; `None`: it is delivered for ever. A connection
    /// that breaks counts for everything that was out on it, so a low number backs out what nobody has tried.
    pub max_deliveries: Option<u32>,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            listen: None,
            max_depth: 200_000,
            max_deliveries: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error(
        "the embedded queue cannot listen on {address}: {source}; stop what uses the port, or give another address"
    )]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("the thread of the embedded queue cannot be started: {0}")]
    Thread(std::io::Error),
}

/// The server. Dropping it stops it.
pub struct QueueServer {
    manager: Arc<Manager>,
    /// `Some` until the end: a runtime must not be dropped where blocking is forbidden.
    runtime: Option<Runtime>,
}

impl QueueServer {
    /// Starts on a thread of its own, so that busy services cannot starve it.
    pub async fn start(options: QueueOptions) -> Result<Self, QueueError> {
        let address = options
            .listen
            .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("embedded-queue")
            .enable_all()
            .build()
            .map_err(QueueError::Thread)?;
        let queues = Arc::new(Queues::new(options.max_depth, options.max_deliveries));
        let manager = Manager::start_on(runtime.handle().clone(), address, queues).await?;
        Ok(Self {
            manager,
            runtime: Some(runtime),
        })
    }

    pub fn url(&self) -> String {
        format!("amqp://{}", self.manager.address)
    }

    /// Messages of a queue that nobody has accepted yet.
    pub fn depth(&self, queue: &str) -> usize {
        self.manager.queues.depth(queue)
    }

    /// Over all queues, without what is backed out.
    pub fn depth_of_all(&self) -> usize {
        self.manager.queues.depth_of_all()
    }

    /// What can be broken.
    pub fn faults(&self) -> Faults {
        Faults {
            manager: Arc::clone(&self.manager),
        }
    }

    /// Cuts every connection and ends.
    pub fn shutdown(self) {
        self.manager.end();
    }
}

impl Drop for QueueServer {
    fn drop(&mut self) {
        self.manager.end();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The queue manager: the queues, and the process that serves them, which may be gone.
pub(crate) struct Manager {
    address: SocketAddr,
    queues: Arc<Queues>,
    runtime: Handle,
    life: Mutex<Life>,
    /// One start or stop at a time.
    turn: tokio::sync::Mutex<()>,
}

enum Life {
    Up(Serving),
    /// The port is kept, and nobody listens on it.
    Down(Option<TcpSocket>),
}

/// From one start to the next stop.
#[derive(Clone)]
struct Serving {
    /// Ends all.
    cancel: CancellationToken,
    /// Breaks the connections off that there are now; another one is for those that come.
    connections: Arc<Mutex<CancellationToken>>,
    tasks: TaskTracker,
}

impl Serving {
    fn start(runtime: &Handle, listener: TcpListener, queues: &Arc<Queues>) -> Self {
        let cancel = CancellationToken::new();
        let serving = Self {
            connections: Arc::new(Mutex::new(cancel.child_token())),
            cancel,
            tasks: TaskTracker::new(),
        };
        let tasks = serving.tasks.clone();
        tasks.spawn_on(serve(listener, Arc::clone(queues), serving.clone()), runtime);
        serving
    }
}

impl Manager {
    async fn start_on(
        runtime: Handle,
        address: SocketAddr,
        queues: Arc<Queues>,
    ) -> Result<Arc<Self>, QueueError> {
        let (listener, address) = listen(&runtime, address).await?;
        let serving = Serving::start(&runtime, listener, &queues);
        Ok(Arc::new(Self {
            address,
            queues,
            runtime,
            life: Mutex::new(Life::Up(serving)),
            turn: tokio::sync::Mutex::default(),
        }))
    }

    async fn stop(&self) {
        let _turn = self.turn.lock().await;
        let Life::Up(serving) = std::mem::replace(&mut *self.life.lock(), Life::Down(None)) else {
            return;
        };
        serving.cancel.cancel();
        serving.tasks.close();
        serving.tasks.wait().await;
        self.queues.restart();
        Counters::add(&self.queues.counters.manager_stops, 1);
        *self.life.lock() = Life::Down(self.keep_port());
    }

    /// A port that nobody has is soon somebody else's. Where the system does not let us keep it, it is taken as it comes.
    fn keep_port(&self) -> Option<TcpSocket> {
        let socket = if self.address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        };
        let socket = socket.ok()?;
        socket.set_reuseaddr(true).ok()?;
        socket.bind(self.address).ok()?;
        Some(socket)
    }

    async fn start(&self) -> Result<(), QueueError> {
        let _turn = self.turn.lock().await;
        match &mut *self.life.lock() {
            Life::Up(_) => return Ok(()),
            Life::Down(kept) => drop(kept.take()),
        }
        let (listener, _) = listen(&self.runtime, self.address).await?;
        *self.life.lock() = Life::Up(Serving::start(&self.runtime, listener, &self.queues));
        Ok(())
    }

    fn cut(&self) {
        if let Life::Up(serving) = &*self.life.lock() {
            let next = serving.cancel.child_token();
            std::mem::replace(&mut *serving.connections.lock(), next).cancel();
        }
    }

    fn end(&self) {
        if let Life::Up(serving) = &*self.life.lock() {
            serving.cancel.cancel();
        }
    }
}

async fn listen(runtime: &Handle, address: SocketAddr) -> Result<(TcpListener, SocketAddr), QueueError> {
    let bound = runtime.spawn(async move {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(|source| QueueError::Listen { address, source })
}

async fn serve(listener: TcpListener, queues: Arc<Queues>, serving: Serving) {
    let mut number = 0_u64;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = serving.cancel.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                number += 1;
                let queues = Arc::clone(&queues);
                let cut = serving.connections.lock().child_token();
                let tasks = serving.tasks.clone();
                serving.tasks.spawn(async move {
                    if let Err(error) = connection(stream, number, &queues, &cut, &tasks).await {
                        tracing::debug!(%peer, error, "AMQP connection");
                    }
                    if cut.is_cancelled() {
                        Counters::add(&queues.counters.connections_cut, 1);
                    }
                    cut.cancel();
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    }
}

/// The protocol header of AMQP; its fifth byte says whether a client begins with SASL: 3, or 0 without.
const HEADER_BYTES: usize = 8;
const HEADER_SASL: u8 = 3;

async fn connection(
    mut stream: TcpStream,
    number: u64,
    queues: &Arc<Queues>,
    cut: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    stream.set_nodelay(true).map_err(text)?;
    let mut header = [0_u8; HEADER_BYTES];
    tokio::select! {
        read = stream.read_exact(&mut header) => drop(read.map_err(text)?),
        () = cut.cancelled() => return Ok(()),
    }
    let wire = Wire::new(stream, header.to_vec(), cut.clone());
    let name = format!("stockstream-queue-{number}");
    let mut open = if header[4] == HEADER_SASL {
        let acceptor = ConnectionAcceptor::builder()
            .container_id(name)
            .sasl_acceptor(SaslAnonymousMechanism::new())
            .build();
        acceptor.accept(wire).await
    } else {
        ConnectionAcceptor::new(name).accept(wire).await
    }
    .map_err(|error| error.to_string())?;
    let sessions = SessionAcceptor::builder()
        .incoming_window(4096)
        .outgoing_window(4096)
        .build();
    loop {
        let mut session = tokio::select! {
            session = sessions.accept(&mut open) => session.map_err(|error| error.to_string())?,
            () = cut.cancelled() => return Ok(()),
        };
        let (queues, cut, tasks) = (Arc::clone(queues), cut.clone(), tasks.clone());
        tasks.clone().spawn(async move {
            let links = LinkAcceptor::builder().build();
            loop {
                let accepted = tokio::select! {
                    accepted = links.accept(&mut session) => accepted,
                    () = cut.cancelled() => return,
                };
                match accepted {
                    Ok(LinkEndpoint::Receiver(receiver)) => {
                        tasks.spawn(link::from_sender(receiver, Arc::clone(&queues), cut.clone()));
                    }
                    Ok(LinkEndpoint::Sender(sender)) => {
                        tasks.spawn(link::to_receiver(sender, Arc::clone(&queues), cut.clone()));
                    }
                    Err(error) => {
                        tracing::debug!(%error, "AMQP session");
                        return;
                    }
                }
            }
        });
    }
}

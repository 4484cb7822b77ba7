//! An AMQP 1.0 queue in process, on `fe2o3-amqp`'s acceptor: credit, settlement, redelivery, depth.
//!
//! It stands in for a queue manager where none can be installed. Invariant: a message that was accepted from a sender
//! stays until a receiver accepts or rejects it; what a receiver had when its link ended goes back to its old place,
//! with its delivery count raised. Queues are in memory, made when somebody attaches to their address, and bounded:
//! a full queue gives its senders no more credit.
//!
//! Not here: persistence over a restart of the process, transactions, dead-letter queues, users.

mod link;
mod store;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use fe2o3_amqp::acceptor::SaslAnonymousMechanism;
use fe2o3_amqp::acceptor::{ConnectionAcceptor, LinkAcceptor, LinkEndpoint, SessionAcceptor};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use store::Queues;

#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// `None`: a free port on 127.0.0.1.
    pub listen: Option<SocketAddr>,
    /// Messages of one queue, ready and unsettled; its senders wait beyond it.
    pub max_depth: usize,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            listen: None,
            max_depth: 200_000,
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
    address: SocketAddr,
    queues: Arc<Queues>,
    cancel: CancellationToken,
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
        let listen = |source| QueueError::Listen { address, source };
        let bound = runtime.spawn(async move {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        });
        let (listener, address) = bound
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .map_err(listen)?;
        let queues = Arc::new(Queues::new(options.max_depth));
        let cancel = CancellationToken::new();
        runtime.spawn(serve(listener, Arc::clone(&queues), cancel.clone()));
        Ok(Self {
            address,
            queues,
            cancel,
            runtime: Some(runtime),
        })
    }

    pub fn url(&self) -> String {
        format!("amqp://{}", self.address)
    }

    /// Messages of a queue that nobody has accepted yet.
    pub fn depth(&self, queue: &str) -> usize {
        self.queues.depth(queue)
    }

    /// Over all queues.
    pub fn depth_of_all(&self) -> usize {
        self.queues.depth_of_all()
    }

    /// Cuts every connection and ends.
    pub fn shutdown(self) {
        self.cancel.cancel();
    }
}

impl Drop for QueueServer {
    fn drop(&mut self) {
        self.cancel.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: TcpListener, queues: Arc<Queues>, cancel: CancellationToken) {
    let mut number = 0_u64;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = cancel.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                number += 1;
                let (queues, cancel) = (Arc::clone(&queues), cancel.child_token());
                tokio::spawn(async move {
                    if let Err(error) = connection(stream, number, &queues, &cancel).await {
                        tracing::debug!(%peer, error, "AMQP connection");
                    }
                    cancel.cancel();
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    number: u64,
    queues: &Arc<Queues>,
    cancel: &CancellationToken,
) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let mut first = [0_u8; 8];
    let peeked = stream.peek(&mut first).await.map_err(|error| error.to_string())?;
    // Clients may begin with SASL or without: the protocol header says it in its fifth byte.
    let with_sasl = peeked > 4 && first[4] == 3;
    let name = format!("stockstream-queue-{number}");
    let mut open = if with_sasl {
        let acceptor = ConnectionAcceptor::builder()
            .container_id(name)
            .sasl_acceptor(SaslAnonymousMechanism::new())
            .build();
        acceptor.accept(stream).await
    } else {
        ConnectionAcceptor::new(name).accept(stream).await
    }
    .map_err(|error| error.to_string())?;
    let sessions = SessionAcceptor::builder()
        .incoming_window(4096)
        .outgoing_window(4096)
        .build();
    loop {
        let mut session = tokio::select! {
            session = sessions.accept(&mut open) => session.map_err(|error| error.to_string())?,
            () = cancel.cancelled() => return Ok(()),
        };
        let (queues, cancel) = (Arc::clone(queues), cancel.clone());
        tokio::spawn(async move {
            let links = LinkAcceptor::builder().build();
            loop {
                let accepted = tokio::select! {
                    accepted = links.accept(&mut session) => accepted,
                    () = cancel.cancelled() => return,
                };
                match accepted {
                    Ok(LinkEndpoint::Receiver(receiver)) => {
                        tokio::spawn(link::from_sender(receiver, Arc::clone(&queues), cancel.clone()));
                    }
                    Ok(LinkEndpoint::Sender(sender)) => {
                        tokio::spawn(link::to_receiver(sender, Arc::clone(&queues), cancel.clone()));
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

//! Listeners and connections of the nodes.
//!
//! Invariant: requests of one connection are answered in the order in which they came, one after the other; a frame
//! that cannot be read ends its connection and nothing else.
//! It knows no request: that is for `api`.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf, BytesMut};
use kafka_protocol::messages::ApiKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::api::{self, Answer, Context};
use super::cluster::Cluster;
use super::partition::Waiter;
use super::wire::{FrameError, Header, Reply};

const READ_BUFFER_BYTES: usize = 256 * 1024;
/// Only produce requests carry bulk; everything else is refused beyond this.
const SMALL_FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Connections of one node.
const CONNECTIONS_MAX: usize = 4_000;

/// Binds a listener so that a node can come back to its port at once.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Accepts connections for a node until it is stopped; returns when all of them have ended.
pub async fn serve(cluster: Arc<Cluster>, node: i32, listener: TcpListener, stop: CancellationToken) {
    let connections = TaskTracker::new();
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most likely out of file descriptors: others have to close first.
                tracing::warn!(node, %error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                continue;
            }
        };
        if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
            open.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(node, %peer, "refused: {CONNECTIONS_MAX} connections are open");
            continue;
        }
        let (cluster, stop, open) = (Arc::clone(&cluster), stop.clone(), Arc::clone(&open));
        connections.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection(cluster, node, stream, peer) => {}
            }
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn connection(cluster: Arc<Cluster>, node: i32, mut stream: TcpStream, peer: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(node, %peer, %error, "TCP_NODELAY cannot be set");
    }
    let waiter = Waiter {
        connection: cluster.next_id(),
        notify: Arc::new(Notify::new()),
    };
    let frame_bytes_max = cluster.limits.frame_bytes_max;
    let context = Context {
        cluster,
        node,
        peer: peer.ip().to_string(),
        waiter,
    };
    let mut buffer = BytesMut::with_capacity(READ_BUFFER_BYTES);
    loop {
        match request(&context, &mut stream, &mut buffer, frame_bytes_max).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(Fault::Frame(error)) => {
                tracing::warn!(node, %peer, %error, "connection closed");
                return;
            }
            Err(Fault::Io(error)) => {
                tracing::debug!(node, %peer, %error, "connection lost");
                return;
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reads and answers one request; false at the end of the stream.
async fn request(
    context: &Context,
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    frame_bytes_max: usize,
) -> Result<bool, Fault> {
    while buffer.len() < 6 {
        buffer.reserve(READ_BUFFER_BYTES);
        if stream.read_buf(buffer).await? == 0 {
            return Ok(false);
        }
    }
    let announced = i32::from_be_bytes(buffer[0..4].try_into().expect("four bytes are four bytes"));
    let api_key = i16::from_be_bytes(buffer[4..6].try_into().expect("two bytes are two bytes"));
    let bound = if api_key == 0 {
        frame_bytes_max
    } else {
        frame_bytes_max.min(SMALL_FRAME_BYTES_MAX)
    };
    let length = usize::try_from(announced)
        .ok()
        .filter(|length| (8..=bound).contains(length));
    let length = length.ok_or(FrameError::Length(announced, bound))?;
    while buffer.len() < 4 + length {
        let missing = 4 + length - buffer.len();
        buffer.reserve(missing);
        if stream.read_buf(buffer).await? == 0 {
            return Ok(false);
        }
    }
    buffer.advance(4);
    let mut frame = buffer.split_to(length).freeze();
    let header = Header::read(&mut frame)?;
    let reply = if header.api == ApiKey::Produce {
        api::dispatch(context, &header, frame).await?
    } else {
        tokio::select! {
            biased;
            reply = api::dispatch(context, &header, frame) => reply?,
            () = peer_gone(stream) => return Ok(false),
        }
    };
    match reply {
        Answer::Reply(mut reply) => stream.write_all_buf(&mut reply).await?,
        Answer::Nothing => {}
        Answer::Cut => return Ok(false),
        Answer::Mute => {
            ignore(stream, buffer).await?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads and forgets until the client gives up.
async fn ignore(stream: &mut TcpStream, buffer: &mut BytesMut) -> std::io::Result<()> {
    loop {
        buffer.clear();
        buffer.reserve(READ_BUFFER_BYTES);
        if stream.read_buf(buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Ends when the client has closed its side: nobody waits for the answer any more. As long as another request lies
/// in the socket that cannot be seen.
async fn peer_gone(stream: &TcpStream) {
    match stream.peek(&mut [0]).await {
        Ok(0) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}

/// A reply is written piece by piece, several in one system call.
impl Buf for Reply {
    fn remaining(&self) -> usize {
        self.pieces.iter().map(bytes::Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.pieces
            .iter()
            .find(|piece| !piece.is_empty())
            .map_or(&[], |piece| piece)
    }

    fn advance(&mut self, mut count: usize) {
        let mut whole = 0;
        for piece in &mut self.pieces {
            if count < piece.len() {
                piece.advance(count);
                break;
            }
            count -= piece.len();
            whole += 1;
        }
        self.pieces.drain(..whole);
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = self.pieces.iter().filter(|piece| !piece.is_empty());
        let mut used = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            used += 1;
        }
        used
    }
}

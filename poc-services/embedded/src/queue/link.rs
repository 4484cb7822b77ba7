//! The two kinds of links: messages that come in, and messages that go out.

use std::sync::Arc;

use fe2o3_amqp::link::delivery::DeliveryInfo;
use fe2o3_amqp::{Receiver, Sendable, Sender};
use fe2o3_amqp_types::messaging::{Body, Header, Outcome};
use fe2o3_amqp_types::primitives::Value;
use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::store::{Entry, Queue, Queues};

/// Messages that are settled in one frame.
const SETTLED_TOGETHER: usize = 100;

/// Takes what a client sends.
pub async fn from_sender(mut receiver: Receiver, queues: Arc<Queues>, cancel: CancellationToken) {
    let address = receiver
        .target()
        .as_ref()
        .and_then(|target| target.address.clone());
    let Some(address) = address else {
        tracing::debug!("a sender attached without an address");
        return;
    };
    let queue = queues.get(&address);
    let mut settled: Vec<DeliveryInfo> = Vec::with_capacity(SETTLED_TOGETHER);
    loop {
        tokio::select! {
            () = queue.room() => {}
            () = cancel.cancelled() => return,
        }
        // More that is there already is settled together with it.
        let delivery = match receiver.recv::<Body<Value>>().now_or_never() {
            Some(delivery) if settled.len() < SETTLED_TOGETHER => delivery,
            other => {
                if !settled.is_empty()
                    && let Err(error) = receiver.accept_all(std::mem::take(&mut settled)).await
                {
                    tracing::debug!(%error, address, "a sender is gone");
                    return;
                }
                if let Some(delivery) = other {
                    delivery
                } else {
                    tokio::select! {
                        delivery = receiver.recv::<Body<Value>>() => delivery,
                        () = cancel.cancelled() => return,
                    }
                }
            }
        };
        match delivery {
            Ok(delivery) => {
                let (info, message) = delivery.into_parts();
                queue.push(message);
                settled.push(info);
            }
            Err(error) => {
                tracing::debug!(%error, address, "a sender is gone");
                return;
            }
        }
    }
}

type Settling = std::pin::Pin<Box<dyn Future<Output = (Entry, Settled)> + Send>>;

enum Settled {
    Done,
    Back { failed: bool },
}

/// Gives a client what the queue has, as its credit allows.
pub async fn to_receiver(mut sender: Sender, queues: Arc<Queues>, cancel: CancellationToken) {
    let address = sender.source().as_ref().and_then(|source| source.address.clone());
    let Some(address) = address else {
        tracing::debug!("a receiver attached without an address");
        return;
    };
    let queue = queues.get(&address);
    // Ends with this link, or with its connection.
    let ended = cancel.child_token();
    let (out, settling) = mpsc::unbounded_channel();
    let settler = tokio::spawn(settle(settling, Arc::clone(&queue), ended.clone()));
    loop {
        let entry = tokio::select! {
            entry = queue.pop() => entry,
            _ = sender.on_detach() => break,
            () = ended.cancelled() => break,
        };
        let mut message = entry.message.clone();
        message.header = Some(Header {
            durable: true,
            delivery_count: entry.deliveries,
            first_acquirer: entry.deliveries == 0,
            ..message.header.take().unwrap_or_default()
        });
        // Waits for credit; the entry is safe in either case.
        let sent = tokio::select! {
            sent = sender.send_batchable(Sendable::from(message)) => sent,
            () = ended.cancelled() => {
                queue.put_back(entry, true);
                break;
            }
        };
        match sent {
            Ok(future) => {
                let ended = ended.clone();
                let settling: Settling = Box::pin(async move {
                    let outcome = tokio::select! {
                        biased;
                        outcome = future => outcome,
                        () = ended.cancelled() => return (entry, Settled::Back { failed: true }),
                    };
                    let settled = match outcome {
                        Ok(Outcome::Accepted(_) | Outcome::Rejected(_)) => Settled::Done,
                        Ok(Outcome::Modified(modified)) => Settled::Back {
                            failed: modified.delivery_failed.unwrap_or(false),
                        },
                        Ok(_) => Settled::Back { failed: false },
                        Err(_) => Settled::Back { failed: true },
                    };
                    (entry, settled)
                });
                if out.send(settling).is_err() {
                    break;
                }
            }
            Err(error) => {
                tracing::debug!(%error, address, "a receiver is gone");
                queue.put_back(entry, false);
                break;
            }
        }
    }
    ended.cancel();
    drop(out);
    if settler.await.is_err() {
        tracing::error!(address, "settling failed");
    }
}

/// Waits for the outcome of everything that is out.
async fn settle(mut new: mpsc::UnboundedReceiver<Settling>, queue: Arc<Queue>, ended: CancellationToken) {
    let mut out = FuturesUnordered::new();
    let mut open = true;
    while open || !out.is_empty() {
        tokio::select! {
            settling = new.recv(), if open => match settling {
                Some(settling) => out.push(settling),
                None => open = false,
            },
            Some((entry, settled)) = out.next(), if !out.is_empty() => match settled {
                Settled::Done => {
                    queue.done();
                    drop(entry);
                }
                Settled::Back { failed } => queue.put_back(entry, failed),
            },
        }
    }
    debug_assert!(ended.is_cancelled() || out.is_empty());
}

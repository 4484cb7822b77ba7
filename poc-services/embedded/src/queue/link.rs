//! The two kinds of links: messages that come in, and messages that go out.

use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp::link::delivery::DeliveryInfo;
use fe2o3_amqp::{Receiver, Sendable, Sender};
use fe2o3_amqp_types::messaging::{Body, Header, Outcome};
use fe2o3_amqp_types::primitives::Value;
use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::faults::Counters;
use super::store::{Acceptance, Entry, Queue, Queues};

/// Messages that are settled in one frame.
const SETTLED_TOGETHER: usize = 100;
/// How long a receiver without credit may keep the oldest message from others.
const OFFERED_AGAIN: Duration = Duration::from_millis(10);

/// Takes what a client sends.
pub async fn from_sender(mut receiver: Receiver, queues: Arc<Queues>, cut: CancellationToken) {
    let address = receiver
        .target()
        .as_ref()
        .and_then(|target| target.address.clone());
    let Some(address) = address else {
        tracing::debug!("a sender attached without an address");
        return;
    };
    let queue = queues.get(&address);
    queue.attach(&cut);
    let mut settled: Vec<DeliveryInfo> = Vec::with_capacity(SETTLED_TOGETHER);
    loop {
        // More that is there already is settled together with it, but nothing waits for room, or for the next message.
        let mut delivery = None;
        if settled.len() < SETTLED_TOGETHER && queue.has_room() {
            delivery = receiver.recv::<Body<Value>>().now_or_never();
        }
        if delivery.is_none() && !settled.is_empty() {
            let accepted = tokio::select! {
                accepted = receiver.accept_all(std::mem::take(&mut settled)) => accepted,
                () = cut.cancelled() => return,
            };
            if let Err(error) = accepted {
                tracing::debug!(%error, address, "a sender is gone");
                return;
            }
        }
        let delivery = if let Some(delivery) = delivery {
            delivery
        } else {
            let next = async {
                queue.room().await;
                receiver.recv::<Body<Value>>().await
            };
            tokio::select! {
                delivery = next => delivery,
                () = cut.cancelled() => return,
            }
        };
        match delivery {
            Ok(delivery) => {
                let (info, message) = delivery.into_parts();
                if queue.push(message) {
                    cut.cancel();
                    return;
                }
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
    Accepted,
    Rejected,
    Back { failed: bool },
}

/// Gives a client what the queue has, as its credit allows.
pub async fn to_receiver(mut sender: Sender, queues: Arc<Queues>, cut: CancellationToken) {
    let address = sender.source().as_ref().and_then(|source| source.address.clone());
    let Some(address) = address else {
        tracing::debug!("a receiver attached without an address");
        return;
    };
    let queue = queues.get(&address);
    queue.attach(&cut);
    // Ends with this link, or with its connection.
    let ended = cut.child_token();
    let (out, settling) = mpsc::unbounded_channel();
    let settler = tokio::spawn(settle(
        settling,
        Arc::clone(&queue),
        Arc::clone(&queues.counters),
        cut,
    ));
    loop {
        // The end first: what the cut gives back is not for the connection that it cut.
        let entry = tokio::select! {
            biased;
            () = ended.cancelled() => break,
            _ = sender.on_detach() => break,
            entry = queue.pop() => entry,
        };
        let mut message = entry.message.clone();
        message.header = Some(Header {
            durable: true,
            delivery_count: entry.deliveries,
            first_acquirer: entry.deliveries == 0,
            ..message.header.take().unwrap_or_default()
        });
        // Without credit it waits here, and only for so long: another receiver may have some.
        let sent = tokio::select! {
            biased;
            () = ended.cancelled() => {
                queue.put_back(entry, false);
                break;
            }
            sent = sender.send_batchable(Sendable::from(message)) => sent,
            () = tokio::time::sleep(OFFERED_AGAIN) => {
                queue.put_back(entry, false);
                tokio::task::yield_now().await;
                continue;
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
                        Ok(Outcome::Accepted(_)) => Settled::Accepted,
                        Ok(Outcome::Rejected(_)) => Settled::Rejected,
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
async fn settle(
    mut new: mpsc::UnboundedReceiver<Settling>,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    cut: CancellationToken,
) {
    let mut out = FuturesUnordered::new();
    let mut open = true;
    // Outcomes may have come that a broken connection did not bring.
    let mut broken = false;
    while open || !out.is_empty() {
        tokio::select! {
            settling = new.recv(), if open => match settling {
                Some(settling) => out.push(settling),
                None => open = false,
            },
            Some((entry, settled)) = out.next(), if !out.is_empty() => match settled {
                _ if broken => queue.put_back(entry, true),
                Settled::Accepted => match queue.acceptance() {
                    Acceptance::Counts => queue.done(),
                    Acceptance::ThenCut => {
                        queue.done();
                        broken = true;
                        cut.cancel();
                    }
                    Acceptance::Lost => {
                        Counters::add(&counters.acceptances_lost, 1);
                        queue.put_back(entry, true);
                    }
                },
                Settled::Rejected => queue.back_out(entry),
                Settled::Back { failed } => queue.put_back(entry, failed),
            },
        }
    }
}

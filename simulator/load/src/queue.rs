//! Warehouses: each puts its records on its queue, over a connection of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backbone::amqp::{AmqpOptions, QueueMessage, QueueSender, queue_name};
use contracts::ids::LocationId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::counters::Counters;
use crate::descriptor::properties_of;
use crate::journal::{Content, Pending};

const BATCH: usize = 500;
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Sends what comes through the channel until it is closed and empty, or cancelled. A record may be put twice when a
/// connection breaks; its sequence number tells.
pub async fn run(
    warehouse: LocationId,
    options: AmqpOptions,
    mut records: mpsc::UnboundedReceiver<Pending>,
    counters: Arc<Counters>,
    cancel: CancellationToken,
) {
    let queue = queue_name(warehouse);
    let mut sender = None;
    let mut backoff = BACKOFF_MIN;
    let mut batch: Vec<Pending> = Vec::new();
    loop {
        if batch.is_empty() {
            let received = tokio::select! {
                received = records.recv_many(&mut batch, BATCH) => received,
                () = cancel.cancelled() => return,
            };
            if received == 0 {
                return;
            }
        }
        let result = send(&mut sender, &options, &queue, &batch).await;
        let accepted = match &result {
            Ok(()) => batch.len(),
            Err((accepted, _)) => *accepted,
        };
        for record in batch.drain(..accepted) {
            match record.content {
                Content::Message(channel) => {
                    let bytes = record.bytes.len() as u64;
                    counters.acknowledged(channel, u64::from(record.transactions), bytes);
                }
                Content::Mark => {
                    counters.queue_marks.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
        if let Err((_, error)) = result {
            tracing::debug!(%warehouse, error, "queue");
            counters.retries.fetch_add(1, Ordering::Relaxed);
            sender = None;
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = cancel.cancelled() => return,
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        } else {
            backoff = BACKOFF_MIN;
        }
    }
}

async fn send(
    sender: &mut Option<QueueSender>,
    options: &AmqpOptions,
    queue: &str,
    batch: &[Pending],
) -> Result<(), (usize, String)> {
    let open = match sender {
        Some(open) => open,
        none => none.insert(
            QueueSender::connect(options, queue)
                .await
                .map_err(|error| (0, error.to_string()))?,
        ),
    };
    let messages = batch
        .iter()
        .map(|record| QueueMessage {
            body: record.bytes.clone(),
            due_ms: record.due_ms,
            properties: record
                .descriptor
                .as_deref()
                .map(properties_of)
                .unwrap_or_default(),
        })
        .collect();
    open.send_all(messages)
        .await
        .map_err(|failed| (failed.accepted, failed.to_string()))
}

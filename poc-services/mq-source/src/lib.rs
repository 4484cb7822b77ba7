//! From the mainframe's queues to `mq.raw`: one task and one connection a warehouse.
//!
//! Invariant: a message is accepted only after Kafka acknowledged its record, so it may come twice and is never lost.
//! Bytes pass untouched; what they mean is the normaliser's to say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backbone::amqp::{AmqpError, AmqpOptions, QueueReceiver, Received, queue_name};
use backbone::{AckProducer, Backbone, BackboneError, BatchAck};
use contracts::ids::LocationId;
use contracts::sabotage::raw::{Damage, damage};
use contracts::sabotage::{Sabotage, SabotageStage};
use contracts::topics::{MQ_RAW, headers, partition_of, push_location};
use contracts::wire::FORMAT_COPYBOOK_037;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Messages that the server may send ahead, and of one batch.
const CREDIT: u32 = 500;
const BATCH: usize = 500;
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// While Kafka's client takes no more.
const FULL_PAUSE: Duration = Duration::from_millis(5);

#[derive(Clone, Debug)]
pub struct Config {
    pub client_id: String,
    pub warehouses: Vec<LocationId>,
    pub amqp: AmqpOptions,
    /// Only obeyed if it names this service.
    pub sabotage: Option<Sabotage>,
    pub counters: Arc<Counters>,
}

/// Since the start, over restarts.
#[derive(Debug, Default)]
pub struct Counters {
    /// Accepted, after Kafka acknowledged.
    pub messages: AtomicU64,
    /// Delivered before.
    pub redelivered: AtomicU64,
    /// Given back because Kafka did not acknowledge.
    pub released: AtomicU64,
    /// Connections that had to be made again.
    pub reconnects: AtomicU64,
    /// Queues that are connected now.
    pub connected: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
pub enum MqSourceError {
    #[error("mq-source: {0}")]
    Backbone(#[from] BackboneError),
}

/// Why a batch was not accepted.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Amqp(#[from] AmqpError),
    #[error(transparent)]
    Kafka(#[from] BackboneError),
}

/// Runs until cancelled. A queue manager that goes away is connected to again, with pauses up to two seconds.
pub async fn run(config: Config, backbone: Backbone, cancel: CancellationToken) -> Result<(), MqSourceError> {
    let producer = Arc::new(backbone.ack_producer(&config.client_id)?);
    let tasks = TaskTracker::new();
    for warehouse in &config.warehouses {
        let source = Source {
            warehouse: *warehouse,
            queue: queue_name(*warehouse),
            amqp: config.amqp.clone(),
            sabotage: Sabotage::at(config.sabotage, SabotageStage::MqSource),
            producer: Arc::clone(&producer),
            counters: Arc::clone(&config.counters),
        };
        tasks.spawn(source.run(cancel.clone()));
    }
    tasks.close();
    tasks.wait().await;
    Ok(())
}

struct Source {
    warehouse: LocationId,
    queue: String,
    amqp: AmqpOptions,
    sabotage: Option<Sabotage>,
    producer: Arc<AckProducer>,
    counters: Arc<Counters>,
}

impl Source {
    async fn run(self, cancel: CancellationToken) {
        let mut backoff = BACKOFF_MIN;
        loop {
            let result = tokio::select! {
                result = self.session(&mut backoff) => result,
                () = cancel.cancelled() => return,
            };
            if let Err(fault) = result {
                tracing::warn!(queue = self.queue, %fault, "connecting again");
            }
            self.counters.reconnects.fetch_add(1, Ordering::Relaxed);
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = cancel.cancelled() => return,
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// One life of the connection.
    async fn session(&self, backoff: &mut Duration) -> Result<(), Fault> {
        let mut receiver = QueueReceiver::connect(&self.amqp, &self.queue, CREDIT).await?;
        let _connected = Connected::new(&self.counters);
        loop {
            let batch = receiver.recv_batch(BATCH).await?;
            let again = batch.iter().filter(|message| message.delivery_count > 0).count() as u64;
            self.counters.redelivered.fetch_add(again, Ordering::Relaxed);
            match self.produce(&batch).await {
                Ok(()) => {
                    receiver.accept_all(&batch).await?;
                    self.counters
                        .messages
                        .fetch_add(batch.len() as u64, Ordering::Relaxed);
                    *backoff = BACKOFF_MIN;
                }
                Err(error) => {
                    self.counters
                        .released
                        .fetch_add(batch.len() as u64, Ordering::Relaxed);
                    receiver.release_all(&batch).await?;
                    return Err(error.into());
                }
            }
        }
    }

    async fn produce(&self, batch: &[Received]) -> Result<(), BackboneError> {
        let ack = BatchAck::new();
        for message in batch {
            let due = (message.due_ms > 0).then_some(message.due_ms);
            let (place, body) = (self.warehouse, &message.body[..]);
            match damage(self.sabotage.as_ref(), FORMAT_COPYBOOK_037, place, body) {
                Damage::None => self.send(&ack, place, body, due).await?,
                Damage::Drop => {}
                Damage::Twice => {
                    self.send(&ack, place, body, due).await?;
                    self.send(&ack, place, body, due).await?;
                }
                Damage::Altered(altered) => self.send(&ack, place, &altered, due).await?,
                Damage::Elsewhere(other) => self.send(&ack, other, body, due).await?,
            }
        }
        ack.wait().await
    }

    async fn send(
        &self,
        ack: &Arc<BatchAck>,
        place: LocationId,
        body: &[u8],
        due_ms: Option<i64>,
    ) -> Result<(), BackboneError> {
        let mut key = Vec::with_capacity(6);
        push_location(&mut key, place);
        let partition = partition_of(place);
        let format: [(&str, &[u8]); 1] = [(headers::FORMAT, FORMAT_COPYBOOK_037.as_bytes())];
        while !self
            .producer
            .try_send(ack, MQ_RAW, partition, &key, body, due_ms, &format)?
        {
            tokio::time::sleep(FULL_PAUSE).await;
        }
        Ok(())
    }
}

/// Counts a connection as long as it lives.
struct Connected<'a>(&'a Counters);

impl<'a> Connected<'a> {
    fn new(counters: &'a Counters) -> Self {
        counters.connected.fetch_add(1, Ordering::Relaxed);
        Self(counters)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connected.fetch_sub(1, Ordering::Relaxed);
    }
}

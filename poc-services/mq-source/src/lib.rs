//! From the mainframe's queues to `mq.raw`: one task and one connection a warehouse.
//!
//! Invariant: a message is accepted only after Kafka acknowledged its record, so it may come twice and is never lost.
//! Bytes pass untouched; what they mean is the normaliser's to say. A message that Kafka refuses, now and whenever it is
//! sent again, must not hold up those behind it: after a few deliveries it goes to the dead letters and is rejected, which
//! makes the queue manager put it into its backout queue.

mod source;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use backbone::amqp::{AmqpOptions, queue_name};
use backbone::{Backbone, BackboneError};
use contracts::ids::LocationId;
use contracts::sabotage::{Sabotage, SabotageStage};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use source::Source;
pub use source::{CLASS_REFUSED, CLASS_UNREADABLE, DELIVERIES_MAX};

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
    /// Taken from the queue, however often.
    pub received: AtomicU64,
    /// Accepted, after Kafka acknowledged.
    pub messages: AtomicU64,
    /// Delivered before.
    pub redelivered: AtomicU64,
    /// Given back because Kafka did not acknowledge.
    pub released: AtomicU64,
    /// Sent to the dead letters and rejected: Kafka does not take them, or they have no bytes that could be passed on.
    pub dead_letters: AtomicU64,
    /// Connections that had to be made again.
    pub reconnects: AtomicU64,
    /// Queues that are connected now.
    pub connected: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
pub enum MqSourceError {
    #[error("mq-source: {0}")]
    Backbone(#[from] BackboneError),
    #[error("mq-source: the task of a queue ended before its time: {0}")]
    Task(String),
}

/// Runs until cancelled. A queue manager that goes away is connected to again, with pauses up to two seconds.
pub async fn run(config: Config, backbone: Backbone, cancel: CancellationToken) -> Result<(), MqSourceError> {
    let producer = Arc::new(backbone.ack_producer(&config.client_id)?);
    // Dropped with this future, and the tasks with it: whoever gives the service up gives all of it up.
    let mut tasks = JoinSet::new();
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
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| MqSourceError::Task(error.to_string()))?;
    }
    Ok(())
}

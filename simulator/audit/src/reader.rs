//! The audit's own consumer: both topics, all partitions, from their beginning, in no group.
//!
//! Invariant: it commits nothing, joins nothing, and reads each record once. It does not look into records.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use contracts::topics::{ITEM_INVENTORY, PARTITIONS, STORE_INVENTORY};
use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::Serialize;

use crate::{AuditConfig, AuditError};

const TOPICS: [&str; 2] = [STORE_INVENTORY, ITEM_INVENTORY];
const LOGS: usize = TOPICS.len() * PARTITIONS as usize;

/// How far a log has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ReadPosition {
    pub topic: &'static str,
    pub partition: u32,
    /// Offset after the last record read.
    pub next_offset: i64,
}

/// Keeps what the client says of its troubles: only here does one learn why a broker is not reached.
#[derive(Debug, Default)]
pub struct Context {
    trouble: Mutex<Option<String>>,
}

impl ClientContext for Context {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "audit's client");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "audit's client");
        *self.trouble.lock() = Some(reason.to_owned());
    }
}

impl ConsumerContext for Context {}

#[derive(Debug, Default)]
struct Positions([AtomicI64; LOGS]);

pub struct Reader {
    consumer: BaseConsumer<Context>,
    positions: Positions,
}

/// The two topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Cells,
    Items,
}

fn log_of(topic: Topic, partition: i32) -> Option<usize> {
    let partition = usize::try_from(partition)
        .ok()
        .filter(|partition| *partition < PARTITIONS as usize)?;
    Some(topic as usize * PARTITIONS as usize + partition)
}

fn name_of(log: usize) -> (&'static str, u32) {
    (
        TOPICS[log / PARTITIONS as usize],
        (log % PARTITIONS as usize) as u32,
    )
}

impl Reader {
    pub fn open(config: &AuditConfig) -> Result<Arc<Self>, AuditError> {
        static INSTANCES: AtomicU32 = AtomicU32::new(0);
        let instance = INSTANCES.fetch_add(1, Ordering::Relaxed);
        let client_id = format!("stockstream-audit-{}-{instance}", std::process::id());
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &config.bootstrap)
            .set("client.id", client_id)
            // librdkafka wants a name, though nothing is committed and nobody joins.
            .set("group.id", "stockstream-audit")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "false")
            .set("auto.offset.reset", "earliest")
            .set("check.crcs", "true")
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.wait.max.ms", "200")
            .set("queued.max.messages.kbytes", "32768");
        for (key, value) in &config.settings {
            client.set(key, value);
        }
        let consumer: BaseConsumer<Context> = client.create_with_context(Context::default())?;
        let mut list = TopicPartitionList::new();
        for log in 0..LOGS {
            let (topic, partition) = name_of(log);
            list.add_partition_offset(topic, partition as i32, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        Ok(Arc::new(Self {
            consumer,
            positions: Positions::default(),
        }))
    }

    /// The next record, or `None` when nothing came in time.
    #[inline]
    pub fn poll(&self, timeout: Duration) -> Option<(Topic, BorrowedMessage<'_>)> {
        match self.consumer.poll(timeout)? {
            Ok(message) => {
                let topic = if message.topic() == STORE_INVENTORY {
                    Topic::Cells
                } else {
                    Topic::Items
                };
                Some((topic, message))
            }
            Err(error) => {
                // Brokers come and go; what cannot be read shows as cells that are behind, and as trouble.
                tracing::debug!(%error, "audit");
                *self.consumer.context().trouble.lock() = Some(error.to_string());
                None
            }
        }
    }

    /// To be called when the record has been taken.
    #[inline]
    pub fn taken(&self, topic: Topic, message: &BorrowedMessage<'_>) {
        if let Some(log) = log_of(topic, message.partition()) {
            self.positions.0[log].store(message.offset() + 1, Ordering::Release);
        }
    }

    pub fn read_up_to(&self) -> Vec<ReadPosition> {
        (0..LOGS)
            .map(|log| {
                let (topic, partition) = name_of(log);
                ReadPosition {
                    topic,
                    partition,
                    next_offset: self.positions.0[log].load(Ordering::Acquire),
                }
            })
            .collect()
    }

    /// Where the logs end now; a log in which nothing is left to read ends at 0.
    pub fn ends(&self, timeout: Duration) -> KafkaResult<Vec<i64>> {
        (0..LOGS)
            .map(|log| {
                let (topic, partition) = name_of(log);
                let (low, high) = self.consumer.fetch_watermarks(topic, partition as i32, timeout)?;
                Ok(if low == high { 0 } else { high })
            })
            .collect()
    }

    /// Offsets up to these ends that have not been read. Compaction leaves holes, so it is the most that can come.
    pub fn to_go(&self, ends: &[i64]) -> u64 {
        let to_go = |(end, position): (&i64, &AtomicI64)| {
            end.saturating_sub(position.load(Ordering::Acquire)).max(0) as u64
        };
        ends.iter().zip(&self.positions.0).map(to_go).sum()
    }

    pub fn trouble(&self) -> Option<String> {
        self.consumer.context().trouble.lock().clone()
    }
}

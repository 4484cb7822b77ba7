//! The audit's own consumer: both topics, all partitions, from their beginning, in no group.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::{AuditConfig, AuditError};

const TIMEOUT: Duration = Duration::from_secs(10);

/// A partition of a topic and the next offset to read.
#[derive(Debug)]
struct Position {
    topic: &'static str,
    partition: i32,
    next: i64,
    /// End of the log when the run drained.
    target: Option<i64>,
}

pub struct Reader {
    consumer: BaseConsumer,
    positions: Vec<Position>,
}

impl Reader {
    pub fn open(config: &AuditConfig, topics: &[(&'static str, u32)]) -> Result<Self, AuditError> {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &config.bootstrap)
            .set("client.id", "stockstream-audit")
            // librdkafka wants a name, though nothing is committed and nobody is joined.
            .set("group.id", "stockstream-audit")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "false")
            .set("auto.offset.reset", "earliest")
            .set("check.crcs", "true")
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.wait.max.ms", "250")
            .set("queued.max.messages.kbytes", "32768");
        for (key, value) in &config.settings {
            client.set(key, value);
        }
        let consumer: BaseConsumer = client.create()?;
        let mut positions = Vec::new();
        let mut list = TopicPartitionList::new();
        for (topic, partitions) in topics {
            for partition in 0..*partitions as i32 {
                list.add_partition_offset(topic, partition, Offset::Beginning)?;
                positions.push(Position { topic, partition, next: 0, target: None });
            }
        }
        consumer.assign(&list)?;
        Ok(Self { consumer, positions })
    }

    /// The next record, or `None` when nothing came in time.
    pub fn poll(&mut self, timeout: Duration) -> Result<Option<BorrowedMessage<'_>>, AuditError> {
        match self.consumer.poll(timeout) {
            None => Ok(None),
            Some(Ok(message)) => {
                let (topic, partition) = (message.topic(), message.partition());
                if let Some(position) =
                    self.positions.iter_mut().find(|p| p.partition == partition && p.topic == topic)
                {
                    position.next = message.offset() + 1;
                }
                Ok(Some(message))
            }
            Some(Err(error)) => {
                // Brokers come and go; what cannot be read shows as cells that are behind.
                tracing::debug!(%error, "audit");
                Ok(None)
            }
        }
    }

    /// Notes where the logs end now.
    pub fn aim(&mut self) -> Result<(), AuditError> {
        for position in &mut self.positions {
            let (_, high) = self.consumer.fetch_watermarks(position.topic, position.partition, TIMEOUT)?;
            position.target = Some(high);
        }
        Ok(())
    }

    /// All that was in the logs at [`Reader::aim`] is read.
    pub fn reached(&self) -> bool {
        self.positions.iter().all(|position| position.target.is_some_and(|target| position.next >= target))
    }
}

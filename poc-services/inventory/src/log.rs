//! The edge between the rules and Kafka: where records go, what lies there, and what the group is told.
//!
//! Tests put a log in memory behind it, and cut that at every record.

use std::time::{Duration, Instant};

use backbone::{Assignment, Backbone, BackboneError, GroupConsumer, OffsetKeeper, Producer};
use contracts::topics::{ITEM_INVENTORY, ITEM_PARTIALS, MOVEMENTS, STORE_INVENTORY};

use crate::InventoryError;
#[cfg(feature = "plant")]
use crate::pause::Pause;

/// Below it Kafka itself gives a record up.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(15);
/// A log that shows nothing for so long, though there is something, is not readable.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutTopic {
    /// `store.inventory`
    State,
    /// `item.partials`
    Partials,
    /// `item.inventory`
    Items,
}

impl OutTopic {
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => STORE_INVENTORY,
            Self::Partials => ITEM_PARTIALS,
            Self::Items => ITEM_INVENTORY,
        }
    }
}

/// A record of a log: offset, key, and the payload where it is no tombstone.
pub type Taker<'a> = dyn FnMut(u64, &[u8], Option<&[u8]>) -> Result<(), InventoryError> + 'a;

/// Takes records. Those of one partition of one topic stay in order; nothing else is promised before they are
/// acknowledged.
pub trait Log {
    fn send(
        &mut self,
        topic: OutTopic,
        partition: u32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), InventoryError>;

    /// Sends a tombstone.
    fn delete(&mut self, topic: OutTopic, partition: u32, key: &[u8]) -> Result<(), InventoryError>;

    /// Returns when all that was sent is durable. After an error some of it may be, or become so later.
    fn acknowledged(&mut self) -> Result<(), InventoryError>;

    /// Next offsets, behind all that was acknowledged, in the order of the question.
    fn ends(&mut self, partitions: &[(OutTopic, u32)]) -> Result<Vec<u64>, InventoryError>;

    /// Hands out the records from one offset to below another that are still there.
    fn read(
        &mut self,
        topic: OutTopic,
        partition: u32,
        from: u64,
        end: u64,
        take: &mut Taker<'_>,
    ) -> Result<(), InventoryError>;
}

/// What the group's coordinator is told.
pub trait Group {
    /// Commits next offsets of the input with the epoch that they were made in. False: the group takes no commits now,
    /// because it shares its partitions out anew or its coordinator moves.
    fn commit(&self, partitions: &[(u32, u64)], epoch: u32) -> Result<bool, InventoryError>;

    /// The group gave the partitions to others, who may have begun already.
    fn is_lost(&self) -> bool;

    /// Says from where on the input must be kept. False: not taken now.
    fn keep_from(&self, partition: u32, offset: u64) -> Result<bool, InventoryError>;
}

/// Kafka, as the services write to it. Dropping it drops the producer.
pub struct KafkaLog {
    pub producer: Producer,
    backbone: Backbone,
    client: String,
    #[cfg(feature = "plant")]
    pub pause: Option<std::sync::Arc<Pause>>,
}

impl KafkaLog {
    pub fn new(backbone: &Backbone, client: &str) -> Result<Self, InventoryError> {
        Ok(Self {
            producer: backbone.producer(client)?,
            backbone: backbone.clone(),
            client: client.to_owned(),
            #[cfg(feature = "plant")]
            pause: None,
        })
    }

    /// Drops what is queued and under way. Nothing may be sent afterwards.
    pub fn abandon(&mut self) {
        self.producer.purge();
        #[cfg(feature = "plant")]
        if let Some(pause) = &self.pause {
            pause.drop_held();
        }
    }
}

#[cfg(feature = "plant")]
impl Drop for KafkaLog {
    fn drop(&mut self) {
        // A client that closes without a purge sends what it has queued.
        if let Some(pause) = self.pause.take() {
            let sent = pause.send_held(|topic, partition, key, value| {
                Ok(self
                    .producer
                    .send(topic.name(), partition, key, value, None, &[])?)
            });
            if sent.is_ok() {
                let _ = self.producer.flush(ACKNOWLEDGE_WITHIN);
            }
        }
    }
}

impl Log for KafkaLog {
    fn send(
        &mut self,
        topic: OutTopic,
        partition: u32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), InventoryError> {
        #[cfg(feature = "plant")]
        if let Some(pause) = &self.pause
            && pause.holds(topic, partition, key, value)
        {
            return Ok(());
        }
        Ok(self.producer.gather(topic.name(), partition, key, Some(value))?)
    }

    fn delete(&mut self, topic: OutTopic, partition: u32, key: &[u8]) -> Result<(), InventoryError> {
        Ok(self.producer.gather(topic.name(), partition, key, None)?)
    }

    fn acknowledged(&mut self) -> Result<(), InventoryError> {
        #[cfg(feature = "plant")]
        if let Some(pause) = self.pause.clone() {
            pause.wait(|topic, partition, key, value| {
                Ok(self
                    .producer
                    .send(topic.name(), partition, key, value, None, &[])?)
            })?;
        }
        Ok(self.producer.flush(ACKNOWLEDGE_WITHIN)?)
    }

    fn ends(&mut self, partitions: &[(OutTopic, u32)]) -> Result<Vec<u64>, InventoryError> {
        let asked: Vec<(&str, u32)> = partitions.iter().map(|(topic, p)| (topic.name(), *p)).collect();
        Ok(self.producer.ends(&asked)?)
    }

    fn read(
        &mut self,
        topic: OutTopic,
        partition: u32,
        from: u64,
        end: u64,
        take: &mut Taker<'_>,
    ) -> Result<(), InventoryError> {
        if from >= end {
            return Ok(());
        }
        let client = format!("{}-look", self.client);
        let reader = self
            .backbone
            .reader(&client, topic.name(), &[(partition, from)])?;
        let mut deadline = Instant::now() + READ_TIMEOUT;
        loop {
            let Some(record) = reader.poll(POLL)? else {
                if Instant::now() > deadline {
                    return Err(InventoryError::Stuck {
                        topic: topic.name(),
                        partition,
                        offset: from,
                        seconds: READ_TIMEOUT.as_secs(),
                    });
                }
                continue;
            };
            deadline = Instant::now() + READ_TIMEOUT;
            // Where compaction took the last one away, there is another one behind it.
            if record.offset() < end {
                take(record.offset(), record.key(), record.payload())?;
            }
            if record.offset() + 1 >= end {
                return Ok(());
            }
        }
    }
}

/// The group of the store stage, and the offsets from which its input must be kept.
pub struct KafkaGroup<'a> {
    pub consumer: &'a GroupConsumer,
    pub floors: &'a OffsetKeeper,
}

impl Group for KafkaGroup<'_> {
    fn commit(&self, partitions: &[(u32, u64)], epoch: u32) -> Result<bool, InventoryError> {
        let next: Vec<(Assignment, u64)> = partitions
            .iter()
            .map(|(partition, offset)| ((MOVEMENTS.to_owned(), *partition), *offset))
            .collect();
        taken(self.consumer.commit(&next, &commit_metadata(epoch)))
    }

    fn is_lost(&self) -> bool {
        self.consumer.is_lost()
    }

    fn keep_from(&self, partition: u32, offset: u64) -> Result<bool, InventoryError> {
        taken(self.floors.commit(&[((MOVEMENTS.to_owned(), partition), offset)]))
    }
}

/// False: not now, but it may be taken soon.
pub fn taken(committed: Result<(), BackboneError>) -> Result<bool, InventoryError> {
    match committed {
        Err(error) if error.is_postponed() => {
            tracing::debug!(%error, "no commit now");
            Ok(false)
        }
        other => Ok(other.map(|()| true)?),
    }
}

pub fn commit_metadata(epoch: u32) -> String {
    format!("epoch={epoch}")
}

/// The epoch in what somebody committed; 0 where there is none.
pub fn committed_epoch(metadata: &str) -> u32 {
    metadata
        .strip_prefix("epoch=")
        .and_then(|epoch| epoch.parse().ok())
        .unwrap_or(0)
}

//! The edge between the rules and Kafka: where records go, and what the group is told.
//!
//! Tests put a log in memory behind it, and cut that at every record.

use std::time::Duration;

use backbone::{Assignment, BackboneError, GroupConsumer, Producer};
use contracts::topics::{ITEM_PARTIALS, MOVEMENTS, STORE_INVENTORY};

use crate::InventoryError;

/// Below it Kafka itself gives a record up.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutTopic {
    /// `store.inventory`
    State,
    /// `item.partials`
    Partials,
}

impl OutTopic {
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => STORE_INVENTORY,
            Self::Partials => ITEM_PARTIALS,
        }
    }
}

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

    /// Returns when all that was sent is durable. After an error some of it may be, or become so later.
    fn acknowledged(&mut self) -> Result<(), InventoryError>;
}

/// Takes commits of next offsets, each with the epoch that it was made in.
pub trait Group {
    fn commit(&self, partitions: &[(u32, u64)], epoch: u32) -> Result<(), InventoryError>;
}

impl Log for Producer {
    fn send(
        &mut self,
        topic: OutTopic,
        partition: u32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), InventoryError> {
        Ok(Producer::send(
            self,
            topic.name(),
            partition,
            key,
            value,
            None,
            &[],
        )?)
    }

    fn acknowledged(&mut self) -> Result<(), InventoryError> {
        Ok(self.flush(ACKNOWLEDGE_WITHIN)?)
    }
}

impl Group for GroupConsumer {
    fn commit(&self, partitions: &[(u32, u64)], epoch: u32) -> Result<(), InventoryError> {
        let next: Vec<(Assignment, u64)> = partitions
            .iter()
            .map(|(partition, offset)| ((MOVEMENTS.to_owned(), *partition), *offset))
            .collect();
        match GroupConsumer::commit(self, &next, &commit_metadata(epoch)) {
            // The next flush commits again; the state itself says where it goes on.
            Err(error @ BackboneError::Commit { .. }) if error.is_rebalancing() => {
                tracing::debug!(%error, "no commit while the group rebalances");
                Ok(())
            }
            other => Ok(other?),
        }
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

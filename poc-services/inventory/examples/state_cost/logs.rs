//! Where both write to: nowhere, or Kafka.

use std::time::Duration;

use backbone::{OffsetKeeper, Producer};
use contracts::topics::{MOVEMENTS, PARTITIONS};
use inventory::{Group, InventoryError, Log, OutTopic, Taker};

/// Copies each record as a client would, and forgets it.
#[derive(Default)]
pub struct Nowhere {
    buffer: Vec<u8>,
    ends: [[u64; PARTITIONS as usize]; 3],
}

const BUFFER: usize = 1 << 20;

impl Log for Nowhere {
    fn send(
        &mut self,
        topic: OutTopic,
        partition: u32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), InventoryError> {
        if self.buffer.len() > BUFFER {
            self.buffer.clear();
        }
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(value);
        self.ends[topic as usize][partition as usize] += 1;
        Ok(())
    }

    fn delete(&mut self, topic: OutTopic, partition: u32, key: &[u8]) -> Result<(), InventoryError> {
        self.send(topic, partition, key, &[])
    }

    fn acknowledged(&mut self) -> Result<(), InventoryError> {
        Ok(())
    }

    fn ends(&mut self, partitions: &[(OutTopic, u32)]) -> Result<Vec<u64>, InventoryError> {
        let end = |(topic, partition): &(OutTopic, u32)| self.ends[*topic as usize][*partition as usize];
        Ok(partitions.iter().map(end).collect())
    }

    fn read(&mut self, _: OutTopic, _: u32, _: u64, _: u64, _: &mut Taker<'_>) -> Result<(), InventoryError> {
        Ok(())
    }
}

/// As the service writes; nobody else does, so nothing is ever read again.
pub struct Kafka(pub Producer);

const ACKNOWLEDGE_WITHIN: Duration = Duration::from_mins(1);

impl Log for Kafka {
    fn send(
        &mut self,
        topic: OutTopic,
        partition: u32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), InventoryError> {
        Ok(self.0.gather(topic.name(), partition, key, Some(value))?)
    }

    fn delete(&mut self, topic: OutTopic, partition: u32, key: &[u8]) -> Result<(), InventoryError> {
        Ok(self.0.gather(topic.name(), partition, key, None)?)
    }

    fn acknowledged(&mut self) -> Result<(), InventoryError> {
        Ok(self.0.flush(ACKNOWLEDGE_WITHIN)?)
    }

    fn ends(&mut self, partitions: &[(OutTopic, u32)]) -> Result<Vec<u64>, InventoryError> {
        let asked: Vec<(&str, u32)> = partitions.iter().map(|(topic, p)| (topic.name(), *p)).collect();
        Ok(self.0.ends(&asked)?)
    }

    fn read(
        &mut self,
        topic: OutTopic,
        partition: u32,
        _: u64,
        offset: u64,
        _: &mut Taker<'_>,
    ) -> Result<(), InventoryError> {
        Err(InventoryError::State {
            partition,
            offset,
            message: format!("somebody else writes to {}", topic.name()),
        })
    }
}

/// Commits, or does not.
pub struct Commits<'a>(pub Option<&'a OffsetKeeper>);

impl Group for Commits<'_> {
    fn commit(&self, partitions: &[(u32, u64)], _: u32) -> Result<bool, InventoryError> {
        if let Some(keeper) = self.0 {
            let next: Vec<_> = partitions
                .iter()
                .map(|(partition, offset)| ((MOVEMENTS.to_owned(), *partition), *offset))
                .collect();
            keeper.commit(&next)?;
        }
        Ok(true)
    }

    fn is_lost(&self) -> bool {
        false
    }

    fn keep_from(&self, _: u32, _: u64) -> Result<bool, InventoryError> {
        Ok(true)
    }
}

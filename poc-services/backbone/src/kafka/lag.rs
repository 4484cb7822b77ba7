//! Lag of a group: what is in the log and not yet committed.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::config::{Backbone, BackboneError, OffsetReset, SharedContext, client_error, tolerate};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionLag {
    pub partition: u32,
    /// Next offset that the group will read; the first in the log where it never committed.
    pub committed: u64,
    pub end: u64,
}

impl PartitionLag {
    pub const fn records(&self) -> u64 {
        self.end.saturating_sub(self.committed)
    }
}

/// Asks for the lag of one group on one topic, again and again, without being a member.
pub struct LagProbe {
    inner: BaseConsumer<SharedContext>,
    topic: String,
    partitions: u32,
}

impl LagProbe {
    /// `None` while the cluster does not answer in time.
    pub fn measure(&self) -> Option<Vec<PartitionLag>> {
        let timeout = Duration::from_secs(2);
        let mut list = TopicPartitionList::with_capacity(self.partitions as usize);
        for partition in 0..self.partitions {
            list.add_partition(&self.topic, partition as i32);
        }
        let committed = tolerate(self.inner.committed_offsets(list, timeout), "committed offsets")?;
        (0..self.partitions)
            .map(|partition| {
                let (low, high) = tolerate(
                    self.inner
                        .fetch_watermarks(&self.topic, partition as i32, timeout),
                    "watermarks",
                )?;
                let offset = committed.find_partition(&self.topic, partition as i32)?.offset();
                let next = match offset {
                    Offset::Offset(offset) => offset,
                    _ => low,
                };
                Some(PartitionLag {
                    partition,
                    committed: next as u64,
                    end: high as u64,
                })
            })
            .collect()
    }

    /// Records not yet committed over all partitions.
    pub fn records(&self) -> Option<u64> {
        Some(self.measure()?.iter().map(PartitionLag::records).sum())
    }
}

impl Backbone {
    pub fn lag_probe(&self, group: &str, topic: &str, partitions: u32) -> Result<LagProbe, BackboneError> {
        let client_id = format!("stockstream-lag-{group}-{topic}");
        let inner = self
            .consumer_config(&client_id, group, OffsetReset::Earliest)
            .create_with_context(SharedContext::default())
            .map_err(client_error(&client_id))?;
        Ok(LagProbe {
            inner,
            topic: topic.to_owned(),
            partitions,
        })
    }
}

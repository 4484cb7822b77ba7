//! Partitions of a topic read once, from their beginnings to their ends.
//!
//! Only what is committed is read. A partition ends where nothing more can be read of it now: what a transaction that is still
//! open has written lies behind that.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::config::{Backbone, BackboneError, OffsetReset, SharedContext, client_error};
use super::consumer::{Record, is_fatal};

const POLL: Duration = Duration::from_millis(100);
/// A topic that does not come to its end has no leader, or grows faster than it is read.
const SILENCE_MAX: Duration = Duration::from_secs(20);

impl Backbone {
    /// Hands out every record of the partitions, of each in its order.
    pub fn read_whole(
        &self,
        client_id: &str,
        topic: &str,
        partitions: &[u32],
        mut take: impl FnMut(&Record<'_>),
    ) -> Result<(), BackboneError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let consumer: BaseConsumer<SharedContext> = self
            .consumer_config(client_id, client_id, OffsetReset::Earliest)
            .set("enable.partition.eof", "true")
            .create_with_context(SharedContext::default())
            .map_err(client_error(client_id))?;
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition_offset(topic, *partition as i32, Offset::Beginning)
                .map_err(client_error(client_id))?;
        }
        consumer.assign(&list).map_err(client_error(client_id))?;
        let fail = |message: String| BackboneError::Topic {
            topic: topic.to_owned(),
            message,
        };
        let mut left = partitions.to_vec();
        let mut heard = Instant::now();
        while !left.is_empty() {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    take(&Record(message));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    heard = Instant::now();
                    left.retain(|one| *one as i32 != partition);
                }
                Some(Err(error)) if is_fatal(&error) => return Err(fail(error.to_string())),
                _ if heard.elapsed() > SILENCE_MAX => {
                    return Err(fail(format!(
                        "nothing came from partitions {left:?} for {} s; check that they have leaders",
                        SILENCE_MAX.as_secs()
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

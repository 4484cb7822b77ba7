//! Leader epochs: where one ended, for clients that check whether their log was cut.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{BrokerId, OffsetForLeaderEpochRequest, TopicName};

use crate::error;
use crate::support::raw::Raw;
use crate::support::records::{NOBODY, batch, produce};
use crate::support::target::{Target, text};

/// Error, epoch and end offset.
fn end_of(node: &mut Raw, topic: &str, partition: i32, current: i32, epoch: i32) -> (i16, i32, i64) {
    let wanted = OffsetForLeaderPartition::default()
        .with_partition(partition)
        .with_current_leader_epoch(current)
        .with_leader_epoch(epoch);
    let wanted = OffsetForLeaderTopic::default()
        .with_topic(TopicName(text(topic)))
        .with_partitions(vec![wanted]);
    let request = OffsetForLeaderEpochRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![wanted]);
    let mut response = node.call(4, &request);
    let found = response.topics.remove(0).partitions.remove(0);
    (found.error_code, found.leader_epoch, found.end_offset)
}

#[test]
fn present_epoch_ends_at_the_end_of_the_log() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let epoch = target.described(&topic).partitions[0].leader_epoch;
    produce(&mut leader, &topic, 0, &batch(&["a", "b"], NOBODY));
    assert_eq!(end_of(&mut leader, &topic, 0, epoch, epoch), (0, epoch, 2));
    produce(&mut leader, &topic, 0, &batch(&["c"], NOBODY));
    assert_eq!(end_of(&mut leader, &topic, 0, -1, epoch), (0, epoch, 3));
}

#[test]
fn epoch_that_never_was_has_no_end() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let epoch = target.described(&topic).partitions[0].leader_epoch;
    produce(&mut leader, &topic, 0, &batch(&["a"], NOBODY));
    assert_eq!(end_of(&mut leader, &topic, 0, -1, epoch + 7), (0, -1, -1));
    assert_eq!(end_of(&mut leader, &topic, 0, -1, -1), (0, -1, -1));
}

#[test]
fn wrong_present_epoch_and_unknown_partition_are_refused() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let (code, ..) = end_of(&mut leader, &topic, 0, 9, 0);
    assert_eq!(error(code), Some(ResponseError::UnknownLeaderEpoch));
    let (code, ..) = end_of(&mut leader, &topic, 4, -1, 0);
    assert_eq!(error(code), Some(ResponseError::UnknownTopicOrPartition));
}

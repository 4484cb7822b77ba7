//! Committed offsets: what was committed comes back, with its metadata, and nothing else.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{GroupId, OffsetDeleteRequest, OffsetFetchRequest, TopicName};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::error;
use crate::support::DEADLINE;
use crate::support::clients::config;
use crate::support::members::{COMMIT, RawMember};
use crate::support::target::{Target, text, unique};

/// Topic, partition, offset, leader epoch, metadata of each partition; all that the group has if none are named.
fn fetched(member: &mut RawMember, wanted: Option<(&str, &[i32])>) -> Vec<(String, i32, i64, i32, String)> {
    let topics = wanted.map(|(topic, partitions)| {
        let topic = OffsetFetchRequestTopics::default()
            .with_name(TopicName(text(topic)))
            .with_partition_indexes(partitions.to_vec());
        vec![topic]
    });
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text(&member.group)))
        .with_topics(topics);
    let request = OffsetFetchRequest::default().with_groups(vec![group]);
    let mut response = member.node.call(8, &request);
    let group = response.groups.remove(0);
    assert_eq!(error(group.error_code), None);
    let mut found = Vec::new();
    for topic in group.topics {
        for partition in topic.partitions {
            assert_eq!(partition.error_code, 0);
            found.push((
                topic.name.to_string(),
                partition.partition_index,
                partition.committed_offset,
                partition.committed_leader_epoch,
                partition.metadata.unwrap_or_default().to_string(),
            ));
        }
    }
    found.sort();
    found
}

#[test]
fn offset_comes_back_with_metadata_and_leader_epoch() {
    let target = Target::start();
    let topic = target.topic(3, &[]);
    let mut member = RawMember::new(&target, &unique("group"));
    let mut request = member.commit_request(&topic, 1, 42);
    request.topics[0].partitions[0].committed_leader_epoch = 7;
    request.topics[0].partitions[0].committed_metadata = Some(text("as of then"));
    let answer = member.node.call(COMMIT, &request);
    assert_eq!(error(answer.topics[0].partitions[0].error_code), None);
    let there = (topic.clone(), 1, 42, 7, "as of then".to_owned());
    let nothing = (topic.clone(), 2, -1, -1, String::new());
    assert_eq!(
        fetched(&mut member, Some((&topic, &[1, 2]))),
        [there.clone(), nothing]
    );
    assert_eq!(fetched(&mut member, None), [there]);
}

#[test]
fn later_commit_replaces_the_earlier_even_if_it_is_smaller() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut member = RawMember::new(&target, &unique("group"));
    for offset in [10, 90, 30] {
        assert_eq!(member.commit(&topic, 0, offset), 0);
    }
    assert_eq!(fetched(&mut member, None)[0].2, 30);
}

#[test]
fn metadata_beyond_the_limit_is_refused_and_the_rest_is_stored() {
    let target = Target::start();
    let topic = target.topic(2, &[]);
    let mut member = RawMember::new(&target, &unique("group"));
    let mut request = member.commit_request(&topic, 0, 5);
    request.topics[0].partitions[0].committed_metadata = Some(text(&"x".repeat(5_000)));
    let other = member
        .commit_request(&topic, 1, 6)
        .topics
        .remove(0)
        .partitions
        .remove(0);
    request.topics[0].partitions.push(other);
    let answer = member.node.call(COMMIT, &request);
    let codes: Vec<_> = answer.topics[0]
        .partitions
        .iter()
        .map(|p| error(p.error_code))
        .collect();
    assert_eq!(codes, [Some(ResponseError::OffsetMetadataTooLarge), None]);
    let found = fetched(&mut member, None);
    assert_eq!((found.len(), found[0].1, found[0].2), (1, 1, 6));
}

#[test]
fn unknown_partition_cannot_be_committed() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut member = RawMember::new(&target, &unique("group"));
    let unknown = Some(ResponseError::UnknownTopicOrPartition);
    assert_eq!(error(member.commit(&topic, 9, 1)), unknown);
    assert_eq!(error(member.commit(&format!("{topic}-missing"), 0, 1)), unknown);
}

#[test]
fn unknown_group_has_no_offsets() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut member = RawMember::new(&target, &unique("group"));
    assert_eq!(fetched(&mut member, None), []);
    assert_eq!(
        fetched(&mut member, Some((&topic, &[0]))),
        [(topic.clone(), 0, -1, -1, String::new())]
    );
}

#[test]
fn deleted_offset_is_gone() {
    let target = Target::start();
    let topic = target.topic(2, &[]);
    let mut member = RawMember::new(&target, &unique("group"));
    member.commit(&topic, 0, 1);
    member.commit(&topic, 1, 2);
    let gone = OffsetDeleteRequestTopic::default()
        .with_name(TopicName(text(&topic)))
        .with_partitions(vec![OffsetDeleteRequestPartition::default()]);
    let request = OffsetDeleteRequest::default()
        .with_group_id(GroupId(text(&member.group)))
        .with_topics(vec![gone]);
    let answer = member.node.call(0, &request);
    assert_eq!(
        (answer.error_code, answer.topics[0].partitions[0].error_code),
        (0, 0)
    );
    let left = fetched(&mut member, None);
    assert_eq!((left.len(), left[0].1, left[0].2), (1, 1, 2));
}

#[test]
fn librdkafka_commits_with_metadata_and_reads_it_back() {
    let target = Target::start();
    let topic = target.topic(2, &[]);
    let group = unique("group");
    let consumer: BaseConsumer = config(&target, &[("group.id", &group)]).create().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset(&topic, 0, Offset::Offset(17))
        .unwrap();
    offsets
        .find_partition(&topic, 0)
        .unwrap()
        .set_metadata("cut at 14:03");
    consumer.commit(&offsets, CommitMode::Sync).unwrap();
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&topic, 0);
    asked.add_partition(&topic, 1);
    let found = consumer.committed_offsets(asked, DEADLINE).unwrap();
    let first = found.find_partition(&topic, 0).unwrap();
    assert_eq!(
        (first.offset(), first.metadata()),
        (Offset::Offset(17), "cut at 14:03")
    );
    assert_eq!(found.find_partition(&topic, 1).unwrap().offset(), Offset::Invalid);
}

//! Offsets that are committed in a transaction: they become the group's with it, or not at all.

use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, GroupId, OffsetFetchRequest, ProducerId, TopicName, TransactionalId,
    TxnOffsetCommitRequest,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::Producer;
use rdkafka::{Offset, TopicPartitionList};

use crate::error;
use crate::support::clients::{config, producer, read, reader, send};
use crate::support::members::RawMember;
use crate::support::target::{Target, text, unique};
use crate::support::{DEADLINE, eventually};
use crate::transactions::{Transactional, transactional};

/// Error and offset that a group has for a partition.
fn committed(member: &mut RawMember, topic: &str, require_stable: bool) -> (Option<ResponseError>, i64) {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(TopicName(text(topic)))
        .with_partition_indexes(vec![0]);
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text(&member.group)))
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default()
        .with_groups(vec![group])
        .with_require_stable(require_stable);
    let found = member.node.call(8, &request).groups.remove(0);
    let partition = &found.topics[0].partitions[0];
    (error(partition.error_code), partition.committed_offset)
}

fn commit_offset(
    producer: &Transactional,
    member: &mut RawMember,
    topic: &str,
    offset: i64,
) -> Option<ResponseError> {
    let partition = TxnOffsetCommitRequestPartition::default()
        .with_committed_offset(offset)
        .with_committed_leader_epoch(-1)
        .with_committed_metadata(Some(text("")));
    let topic = TxnOffsetCommitRequestTopic::default()
        .with_name(TopicName(text(topic)))
        .with_partitions(vec![partition]);
    let request = TxnOffsetCommitRequest::default()
        .with_transactional_id(TransactionalId(text(&producer.id)))
        .with_group_id(GroupId(text(&member.group)))
        .with_producer_id(ProducerId(producer.writer.id))
        .with_producer_epoch(producer.writer.epoch)
        .with_generation_id(member.generation)
        .with_member_id(member.id.clone())
        .with_topics(vec![topic]);
    let answer = member.node.call(3, &request);
    error(answer.topics[0].partitions[0].error_code)
}

fn add_group(producer: &mut Transactional, group: &str) -> Option<ResponseError> {
    let request = AddOffsetsToTxnRequest::default()
        .with_transactional_id(TransactionalId(text(&producer.id)))
        .with_producer_id(ProducerId(producer.writer.id))
        .with_producer_epoch(producer.writer.epoch)
        .with_group_id(GroupId(text(group)));
    eventually("the last transaction has ended", || {
        let found = error(producer.node.call(3, &request).error_code);
        (found != Some(ResponseError::ConcurrentTransactions)).then_some(found)
    })
}

#[test]
fn offsets_of_a_transaction_are_seen_only_when_it_is_committed() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut producer = Transactional::new(&target, &unique("txn"));
    let mut member = RawMember::new(&target, &unique("group"));
    member.commit(&topic, 0, 3);
    assert_eq!(add_group(&mut producer, &member.group), None);
    assert_eq!(commit_offset(&producer, &mut member, &topic, 7), None);
    assert_eq!(committed(&mut member, &topic, false), (None, 3));
    let unstable = Some(ResponseError::UnstableOffsetCommit);
    assert_eq!(committed(&mut member, &topic, true).0, unstable);
    assert_eq!(producer.end(true), None);
    eventually("the offset is the group's", || {
        (committed(&mut member, &topic, true) == (None, 7)).then_some(())
    });
    assert_eq!(add_group(&mut producer, &member.group), None);
    assert_eq!(commit_offset(&producer, &mut member, &topic, 11), None);
    assert_eq!(producer.end(false), None);
    producer.await_state("CompleteAbort");
    eventually("the offset stays", || {
        (committed(&mut member, &topic, true) == (None, 7)).then_some(())
    });
}

#[test]
fn offsets_of_a_stale_member_or_a_group_that_was_not_added_are_refused() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut producer = Transactional::new(&target, &unique("txn"));
    let mut member = RawMember::new(&target, &unique("group"));
    let stray = commit_offset(&producer, &mut member, &topic, 5);
    assert_eq!(stray, Some(ResponseError::InvalidTxnState));
    member.join();
    let me = member.id.clone();
    member.sync(&[(me, b"all")]);
    assert_eq!(add_group(&mut producer, &member.group), None);
    assert_eq!(commit_offset(&producer, &mut member, &topic, 5), None);
    member.generation += 1;
    let stale = commit_offset(&producer, &mut member, &topic, 6);
    assert_eq!(stale, Some(ResponseError::IllegalGeneration));
    member.generation -= 1;
    member.id = text("nobody");
    let stranger = commit_offset(&producer, &mut member, &topic, 6);
    assert_eq!(stranger, Some(ResponseError::UnknownMemberId));
}

#[test]
fn librdkafka_copies_a_topic_with_offsets_in_the_transaction() {
    let target = Target::start();
    let (from, to) = (target.topic(1, &[]), target.topic(1, &[]));
    let plain = producer(&target, &[]);
    for number in 0..50 {
        send(&plain, &from, 0, "k", &number.to_string());
    }
    plain.flush(DEADLINE).unwrap();
    let group = unique("group");
    let settings = [
        ("group.id", group.as_str()),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", "earliest"),
    ];
    let consumer: BaseConsumer = config(&target, &settings).create().unwrap();
    consumer.subscribe(&[&from]).unwrap();
    let copier = transactional(&target, &unique("txn"));
    let mut copied = 0;
    while copied < 50 {
        copier.begin_transaction().unwrap();
        let seen = read(&consumer, 10);
        for seen in &seen {
            send(&copier, &to, 0, "k", &seen.value);
        }
        let mut offsets = TopicPartitionList::new();
        let next = seen.last().unwrap().offset + 1;
        offsets
            .add_partition_offset(&from, 0, Offset::Offset(next))
            .unwrap();
        let metadata = consumer.group_metadata().unwrap();
        copier
            .send_offsets_to_transaction(&offsets, &metadata, DEADLINE)
            .unwrap();
        copier.commit_transaction(Duration::from_secs(30)).unwrap();
        copied += seen.len();
    }
    let committed = consumer.committed(DEADLINE).unwrap();
    assert_eq!(
        committed.find_partition(&from, 0).unwrap().offset(),
        Offset::Offset(50)
    );
    let copy = reader(
        &target,
        &to,
        1,
        Offset::Beginning,
        &[("isolation.level", "read_committed")],
    );
    let values: Vec<_> = read(&copy, 50).into_iter().map(|seen| seen.value).collect();
    assert!(
        values
            .iter()
            .enumerate()
            .all(|(index, value)| *value == index.to_string())
    );
}

//! ListOffsets: the ends of a log and what it held at a time.

use kafka_protocol::ResponseError;
use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};

use crate::error;
use crate::support::DEADLINE;
use crate::support::clients::reader;
use crate::support::records::{NOBODY, batch, batch_at, list_offset, now_ms, produce};
use crate::support::target::Target;

/// A topic with records at the given times, a batch each.
fn topic_with(target: &Target, batches: &[&[i64]]) -> String {
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    for times in batches {
        let records: Vec<_> = times.iter().map(|time| (Some("k"), "v", *time)).collect();
        let answer = produce(&mut leader, &topic, 0, &batch_at(&records, NOBODY));
        assert_eq!(error(answer.error_code), None);
    }
    topic
}

#[test]
fn time_finds_the_first_record_that_is_not_older() {
    let target = Target::start();
    let base = now_ms() - 100_000;
    let topic = topic_with(
        &target,
        &[
            &[base, base + 10, base + 20],
            &[base + 30],
            &[base + 40, base + 50],
        ],
    );
    let mut leader = target.leader(&topic, 0);
    let mut at = |time| list_offset(&mut leader, &topic, 0, time);
    assert_eq!(at(base - 1), (0, 0, base));
    assert_eq!(at(base), (0, 0, base));
    assert_eq!(at(base + 11), (0, 2, base + 20));
    assert_eq!(at(base + 30), (0, 3, base + 30));
    assert_eq!(at(base + 41), (0, 5, base + 50));
    assert_eq!(at(base + 51), (0, -1, -1), "nothing is so young");
}

#[test]
fn times_out_of_order_find_the_first_in_the_log() {
    let target = Target::start();
    let base = now_ms() - 100_000;
    let topic = topic_with(&target, &[&[base + 50, base + 10], &[base + 20], &[base + 60]]);
    let mut leader = target.leader(&topic, 0);
    let mut at = |time| list_offset(&mut leader, &topic, 0, time);
    assert_eq!(at(base + 15), (0, 0, base + 50));
    assert_eq!(at(base + 55), (0, 3, base + 60));
}

#[test]
fn both_ends_and_the_largest_time_are_known() {
    let target = Target::start();
    let base = now_ms() - 100_000;
    let topic = topic_with(&target, &[&[base, base + 90], &[base + 20]]);
    let mut leader = target.leader(&topic, 0);
    assert_eq!(list_offset(&mut leader, &topic, 0, -2), (0, 0, -1), "earliest");
    assert_eq!(list_offset(&mut leader, &topic, 0, -1), (0, 3, -1), "latest");
    assert_eq!(
        list_offset(&mut leader, &topic, 0, -3),
        (0, 1, base + 90),
        "largest time"
    );
}

#[test]
fn empty_log_has_ends_but_no_times() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    assert_eq!(list_offset(&mut leader, &topic, 0, -2), (0, 0, -1));
    assert_eq!(list_offset(&mut leader, &topic, 0, -1), (0, 0, -1));
    assert_eq!(list_offset(&mut leader, &topic, 0, -3), (0, -1, -1));
    assert_eq!(list_offset(&mut leader, &topic, 0, 0), (0, -1, -1));
}

#[test]
fn unknown_partition_is_refused() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let (code, offset, _) = list_offset(&mut leader, &topic, 5, -1);
    assert_eq!(error(code), Some(ResponseError::UnknownTopicOrPartition));
    assert_eq!(offset, -1);
}

#[test]
fn librdkafka_finds_offsets_by_time_over_several_partitions() {
    let target = Target::start();
    let topic = target.topic(2, &[]);
    let base = now_ms() - 100_000;
    for partition in 0..2 {
        let mut leader = target.leader(&topic, partition);
        for step in 0..10 {
            let time = base + step * 1_000 + i64::from(partition) * 500;
            produce(
                &mut leader,
                &topic,
                partition,
                &batch_at(&[(Some("k"), "v", time)], NOBODY),
            );
        }
    }
    let consumer = reader(&target, &topic, 2, Offset::Beginning, &[]);
    let mut wanted = TopicPartitionList::new();
    for partition in 0..2 {
        wanted
            .add_partition_offset(&topic, partition, Offset::Offset(base + 4_200))
            .unwrap();
    }
    let found = consumer.offsets_for_times(wanted, DEADLINE).unwrap();
    let offset = |partition| found.find_partition(&topic, partition).unwrap().offset();
    assert_eq!((offset(0), offset(1)), (Offset::Offset(5), Offset::Offset(4)));
}

#[test]
fn watermarks_follow_what_is_written() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    produce(&mut leader, &topic, 0, &batch(&["a", "b", "c"], NOBODY));
    let consumer = reader(&target, &topic, 1, Offset::Beginning, &[]);
    assert_eq!(consumer.fetch_watermarks(&topic, 0, DEADLINE).unwrap(), (0, 3));
}

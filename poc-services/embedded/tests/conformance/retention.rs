//! What leaves a log from its beginning: by request, by age, by size.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_records_response::DeleteRecordsPartitionResult;
use kafka_protocol::messages::{DeleteRecordsRequest, TopicName};

use crate::error;
use crate::support::eventually;
use crate::support::raw::Raw;
use crate::support::records::{NOBODY, NOW, batch, batch_at, fetch, list_offset, now_ms, produce, read_all};
use crate::support::target::{Target, text};

fn delete(node: &mut Raw, topic: &str, partition: i32, offset: i64) -> DeleteRecordsPartitionResult {
    let wanted = DeleteRecordsPartition::default()
        .with_partition_index(partition)
        .with_offset(offset);
    let wanted = DeleteRecordsTopic::default()
        .with_name(TopicName(text(topic)))
        .with_partitions(vec![wanted]);
    let request = DeleteRecordsRequest::default()
        .with_timeout_ms(30_000)
        .with_topics(vec![wanted]);
    node.call(2, &request).topics.remove(0).partitions.remove(0)
}

/// A topic of ten records, a batch each.
fn ten(target: &Target, configs: &[(&str, &str)]) -> (String, Raw) {
    let topic = target.topic(1, configs);
    let mut leader = target.leader(&topic, 0);
    for number in 0..10 {
        let answer = produce(&mut leader, &topic, 0, &batch(&[&number.to_string()], NOBODY));
        assert_eq!(error(answer.error_code), None);
    }
    (topic, leader)
}

#[test]
fn deleting_records_moves_the_low_watermark() {
    let target = Target::start();
    let (topic, mut leader) = ten(&target, &[]);
    let deleted = delete(&mut leader, &topic, 0, 4);
    assert_eq!((error(deleted.error_code), deleted.low_watermark), (None, 4));
    assert_eq!(list_offset(&mut leader, &topic, 0, -2).1, 4);
    let below = fetch(&mut leader, &topic, 0, 3, NOW);
    assert_eq!(error(below.error_code), Some(ResponseError::OffsetOutOfRange));
    assert_eq!(
        read_all(&mut leader, &topic, 0).first(),
        Some(&(4, "4".to_owned()))
    );
    let answer = produce(&mut leader, &topic, 0, &batch(&["next"], NOBODY));
    assert_eq!((answer.base_offset, answer.log_start_offset), (10, 4));
}

#[test]
fn deleting_records_twice_or_lower_changes_nothing() {
    let target = Target::start();
    let (topic, mut leader) = ten(&target, &[]);
    delete(&mut leader, &topic, 0, 6);
    assert_eq!(delete(&mut leader, &topic, 0, 6).low_watermark, 6);
    assert_eq!(delete(&mut leader, &topic, 0, 2).low_watermark, 6);
}

#[test]
fn all_records_can_be_deleted_and_offsets_go_on() {
    let target = Target::start();
    let (topic, mut leader) = ten(&target, &[]);
    assert_eq!(delete(&mut leader, &topic, 0, -1).low_watermark, 10);
    assert_eq!(list_offset(&mut leader, &topic, 0, -1).1, 10);
    assert!(read_all(&mut leader, &topic, 0).is_empty());
    assert_eq!(
        produce(&mut leader, &topic, 0, &batch(&["next"], NOBODY)).base_offset,
        10
    );
}

#[test]
fn deletion_beyond_the_end_and_of_unknown_partitions_is_refused() {
    let target = Target::start();
    let (topic, mut leader) = ten(&target, &[]);
    let deleted = delete(&mut leader, &topic, 0, 11);
    assert_eq!(error(deleted.error_code), Some(ResponseError::OffsetOutOfRange));
    assert_eq!(deleted.low_watermark, -1);
    let deleted = delete(&mut leader, &topic, 3, 1);
    assert_eq!(
        error(deleted.error_code),
        Some(ResponseError::UnknownTopicOrPartition)
    );
}

#[test]
fn records_of_a_compacted_topic_cannot_be_deleted() {
    let target = Target::start();
    let (topic, mut leader) = ten(&target, &[("cleanup.policy", "compact")]);
    let deleted = delete(&mut leader, &topic, 0, 4);
    assert_eq!(error(deleted.error_code), Some(ResponseError::PolicyViolation));
    assert_eq!(list_offset(&mut leader, &topic, 0, -2).1, 0);
}

#[test]
fn old_records_leave_by_age_and_offsets_stay() {
    let target = Target::start();
    let topic = target.topic(1, &[("retention.ms", "60000")]);
    let mut leader = target.leader(&topic, 0);
    let old = now_ms() - 600_000;
    for _ in 0..5 {
        produce(
            &mut leader,
            &topic,
            0,
            &batch_at(&[(Some("k"), "old", old)], NOBODY),
        );
    }
    eventually("the old records are gone", || {
        (list_offset(&mut leader, &topic, 0, -2).1 == 5).then_some(())
    });
    produce(&mut leader, &topic, 0, &batch(&["young"], NOBODY));
    assert_eq!(read_all(&mut leader, &topic, 0), [(5, "young".to_owned())]);
    assert_eq!(list_offset(&mut leader, &topic, 0, -1).1, 6);
}

#[test]
fn young_records_stay_behind_old_ones() {
    let target = Target::start();
    let topic = target.topic(1, &[("retention.ms", "3600000")]);
    let mut leader = target.leader(&topic, 0);
    produce(&mut leader, &topic, 0, &batch(&["young"], NOBODY));
    produce(&mut leader, &topic, 0, &batch(&["young too"], NOBODY));
    // Another topic shows that retention has run meanwhile.
    let witness = target.topic(1, &[("retention.ms", "60000")]);
    let mut there = target.leader(&witness, 0);
    produce(
        &mut there,
        &witness,
        0,
        &batch_at(&[(Some("k"), "old", now_ms() - 600_000)], NOBODY),
    );
    eventually("retention has run", || {
        (list_offset(&mut there, &witness, 0, -2).1 == 1).then_some(())
    });
    assert_eq!(read_all(&mut leader, &topic, 0).len(), 2);
}

#[test]
fn oldest_records_leave_by_size() {
    let target = Target::start();
    let configs = [("retention.bytes", "2097152"), ("segment.bytes", "1048576")];
    let topic = target.topic(1, &configs);
    let mut leader = target.leader(&topic, 0);
    let value = "z".repeat(100_000);
    for _ in 0..80 {
        produce(&mut leader, &topic, 0, &batch(&[&value], NOBODY));
    }
    let start = eventually("the oldest are gone", || {
        Some(list_offset(&mut leader, &topic, 0, -2).1).filter(|start| *start >= 40)
    });
    let kept = 80 - start;
    assert!(
        kept * 100_000 >= 2_000_000,
        "{kept} records are less than what must stay"
    );
    assert_eq!(list_offset(&mut leader, &topic, 0, -1).1, 80);
}

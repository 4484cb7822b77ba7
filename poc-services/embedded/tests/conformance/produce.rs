//! Produce: what is acknowledged is there, what is wrong is refused with the right error.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ApiVersionsRequest, ProduceRequest};
use rdkafka::Offset;
use uuid::Uuid;

use crate::error;
use crate::support::clients::{flush, producer, read, reader, send};
use crate::support::eventually;
use crate::support::records::{
    NOBODY, NOW, batch, batch_at, batch_time, fetch, now_ms, produce, produce_request, read_all,
};
use crate::support::target::{Target, text};

#[test]
fn acknowledged_records_are_read_back_in_order() {
    let target = Target::start();
    let topic = target.topic(3, &[]);
    let producer = producer(&target, &[("linger.ms", "5")]);
    for number in 0..3_000 {
        send(
            &producer,
            &topic,
            number % 3,
            &format!("k{number}"),
            &format!("v{number}"),
        );
    }
    flush(&producer);
    let consumer = reader(&target, &topic, 3, Offset::Beginning, &[]);
    let seen = read(&consumer, 3_000);
    for partition in 0..3 {
        let of_partition: Vec<_> = seen.iter().filter(|seen| seen.partition == partition).collect();
        assert_eq!(of_partition.len(), 1_000);
        for (index, seen) in of_partition.iter().enumerate() {
            let number = index as i32 * 3 + partition;
            assert_eq!(seen.offset, index as i64);
            assert_eq!(
                (&seen.key, &seen.value),
                (&format!("k{number}"), &format!("v{number}"))
            );
        }
    }
}

#[test]
fn compressed_records_are_served_as_they_were_sent() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let producer = producer(&target, &[("compression.type", "gzip"), ("linger.ms", "50")]);
    for number in 0..200 {
        send(
            &producer,
            &topic,
            0,
            "key",
            &format!("a value that repeats itself {number}"),
        );
    }
    flush(&producer);
    let consumer = reader(&target, &topic, 1, Offset::Beginning, &[]);
    let seen = read(&consumer, 200);
    assert_eq!(seen[199].value, "a value that repeats itself 199");
    assert_eq!(seen[199].offset, 199);
}

#[test]
fn offsets_count_up_by_the_records_of_each_batch() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let bases = [1, 3, 2].map(|count| {
        let values = vec!["v"; count];
        let answer = produce(&mut leader, &topic, 0, &batch(&values, NOBODY));
        assert_eq!(error(answer.error_code), None);
        assert_eq!(answer.log_start_offset, 0);
        answer.base_offset
    });
    assert_eq!(bases, [0, 1, 4]);
}

#[test]
fn acks_of_zero_are_stored_without_an_answer() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    leader.send(9, &produce_request(&topic, 0, 0, &batch(&["quiet"], NOBODY)));
    let asked = ApiVersionsRequest::default()
        .with_client_software_name(text("raw"))
        .with_client_software_version(text("1"));
    let sent = leader.send(3, &asked);
    let (answered, _) = leader.receive::<ApiVersionsRequest>(3).unwrap();
    assert_eq!(answered, sent, "the first answer belongs to the second request");
    // Followers may still be behind, so the record is not visible at once.
    let read = eventually("the record is visible", || {
        Some(read_all(&mut leader, &topic, 0)).filter(|read| !read.is_empty())
    });
    assert_eq!(read, [(0, "quiet".to_owned())]);
}

#[test]
fn leader_acknowledgement_is_enough_for_acks_of_one() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let request = produce_request(&topic, 0, 1, &batch(&["one"], NOBODY));
    let answer = leader.call(9, &request);
    assert_eq!(error(answer.responses[0].partition_responses[0].error_code), None);
    // A follower may still be behind, so the record is not visible at once.
    eventually("the record is visible", || {
        (read_all(&mut leader, &topic, 0).len() == 1).then_some(())
    });
}

#[test]
fn other_acks_are_refused() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let answer = leader.call(9, &produce_request(&topic, 0, 2, &batch(&["two"], NOBODY)));
    let code = answer.responses[0].partition_responses[0].error_code;
    assert_eq!(error(code), Some(ResponseError::InvalidRequiredAcks));
    assert!(read_all(&mut leader, &topic, 0).is_empty());
}

#[test]
fn damaged_batch_is_refused() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let mut damaged = batch(&["value"], NOBODY);
    let last = damaged.len() - 2;
    damaged[last] ^= 1;
    let answer = produce(&mut leader, &topic, 0, &damaged);
    assert_eq!(error(answer.error_code), Some(ResponseError::CorruptMessage));
    assert!(read_all(&mut leader, &topic, 0).is_empty());
}

#[test]
fn second_batch_for_a_partition_is_refused() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let mut two = batch(&["one"], NOBODY);
    two.extend_from_slice(&batch(&["two"], NOBODY));
    let answer = produce(&mut leader, &topic, 0, &two);
    assert_eq!(error(answer.error_code), Some(ResponseError::InvalidRecord));
}

#[test]
fn batch_beyond_the_topics_limit_is_refused() {
    let target = Target::start();
    let topic = target.topic(1, &[("max.message.bytes", "1000")]);
    let mut leader = target.leader(&topic, 0);
    let fits = batch(&["x".repeat(800).as_str()], NOBODY);
    assert_eq!(error(produce(&mut leader, &topic, 0, &fits).error_code), None);
    let large = batch(&["x".repeat(1_200).as_str()], NOBODY);
    let answer = produce(&mut leader, &topic, 0, &large);
    assert_eq!(error(answer.error_code), Some(ResponseError::MessageTooLarge));
}

#[test]
fn unknown_topic_and_partition_are_refused() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let unknown = Some(ResponseError::UnknownTopicOrPartition);
    let one = batch(&["value"], NOBODY);
    assert_eq!(error(produce(&mut leader, &topic, 7, &one).error_code), unknown);
    let nowhere = format!("{topic}-missing");
    assert_eq!(error(produce(&mut leader, &nowhere, 0, &one).error_code), unknown);
}

#[test]
fn node_that_does_not_lead_refuses() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let leader = target.leader_of(&topic, 0);
    let Some((other, _)) = target.addresses().into_iter().find(|(id, _)| *id != leader) else {
        return;
    };
    let mut other = target.node(other);
    let answer = produce(&mut other, &topic, 0, &batch(&["value"], NOBODY));
    assert_eq!(error(answer.error_code), Some(ResponseError::NotLeaderOrFollower));
}

#[test]
fn record_without_a_key_is_refused_by_a_compacted_topic() {
    let target = Target::start();
    let topic = target.topic(1, &[("cleanup.policy", "compact")]);
    let mut leader = target.leader(&topic, 0);
    let answer = produce(
        &mut leader,
        &topic,
        0,
        &batch_at(&[(None, "value", now_ms())], NOBODY),
    );
    assert_eq!(error(answer.error_code), Some(ResponseError::InvalidRecord));
}

#[test]
fn broker_stamps_its_own_time_where_the_topic_says_so() {
    let target = Target::start();
    let topic = target.topic(1, &[("message.timestamp.type", "LogAppendTime")]);
    let mut leader = target.leader(&topic, 0);
    let before = now_ms();
    let answer = produce(
        &mut leader,
        &topic,
        0,
        &batch_at(&[(Some("k"), "value", 1_000)], NOBODY),
    );
    assert!(
        answer.log_append_time_ms >= before,
        "{}",
        answer.log_append_time_ms
    );
    let stored = batch_time(&fetch(&mut leader, &topic, 0, 0, NOW));
    assert_eq!(stored, (answer.log_append_time_ms, true));
}

#[test]
fn topic_is_found_by_its_id_and_another_id_is_refused() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let mut by_id = |id: Uuid| {
        let data = PartitionProduceData::default()
            .with_index(0)
            .with_records(Some(batch(&["by id"], NOBODY).freeze()));
        let data = TopicProduceData::default()
            .with_topic_id(id)
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![data]);
        let answer = leader.call(13, &request);
        error(answer.responses[0].partition_responses[0].error_code)
    };
    assert_eq!(by_id(target.topic_id(&topic)), None);
    assert_eq!(
        by_id(Uuid::from_u128(0x1234_5678_9abc)),
        Some(ResponseError::UnknownTopicId)
    );
    assert_eq!(read_all(&mut target.leader(&topic, 0), &topic, 0).len(), 1);
}

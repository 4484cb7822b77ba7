//! Fetch: every limit is kept, and a reader advances whatever the limits are.

use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use rdkafka::Offset;
use uuid::Uuid;

use crate::error;
use crate::support::clients::{flush, producer, read, reader, send};
use crate::support::raw::Raw;
use crate::support::records::{
    NOBODY, NOW, Wish, batch, bytes_of, fetch, fetch_request, only, produce, values_of,
};
use crate::support::target::Target;

/// Puts so many batches of one record each, of about so many bytes, into a partition.
fn fill(leader: &mut Raw, topic: &str, partition: i32, batches: usize, bytes: usize) {
    for number in 0..batches {
        let value = format!("{number:06}{}", "x".repeat(bytes));
        let answer = produce(leader, topic, partition, &batch(&[&value], NOBODY));
        assert_eq!(error(answer.error_code), None);
    }
}

#[test]
fn reader_far_behind_gets_everything_in_bounded_pieces() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    fill(&mut leader, &topic, 0, 200, 2_000);
    let wish = Wish {
        max_bytes: 16_384,
        ..NOW
    };
    let (mut next, mut pieces) = (0, 0);
    while next < 200 {
        let data = fetch(&mut leader, &topic, 0, next, wish);
        assert!(
            bytes_of(&data) <= 16_384,
            "{} bytes in one answer",
            bytes_of(&data)
        );
        let values = values_of(&data);
        assert_eq!(
            values.first().map(|(offset, _)| *offset),
            Some(next),
            "it goes on where it was"
        );
        next = values.last().unwrap().0 + 1;
        pieces += 1;
    }
    assert!(pieces >= 200 * 2_000 / 16_384, "{pieces} pieces");
}

#[test]
fn limit_of_a_partition_holds_for_each() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    fill(&mut leader, &topic, 0, 50, 1_000);
    let wish = Wish {
        partition_max_bytes: 5_000,
        ..NOW
    };
    let data = fetch(&mut leader, &topic, 0, 0, wish);
    assert!(
        (1_000..=5_000).contains(&bytes_of(&data)),
        "{} bytes",
        bytes_of(&data)
    );
}

#[test]
fn batch_larger_than_every_limit_is_returned_whole() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    fill(&mut leader, &topic, 0, 3, 50_000);
    let wish = Wish {
        max_bytes: 1,
        partition_max_bytes: 1,
        ..NOW
    };
    for offset in 0..3 {
        let values = values_of(&fetch(&mut leader, &topic, 0, offset, wish));
        assert_eq!(values.len(), 1);
        assert_eq!(values[0].0, offset);
    }
}

#[test]
fn partitions_share_the_limit_of_the_request() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    fill(&mut leader, &topic, 0, 10, 1_000);
    // The same partition twice is not allowed, so a second topic with the same leader is looked for.
    let other = (0..20)
        .map(|_| target.topic(1, &[]))
        .find(|other| target.leader_of(other, 0) == target.leader_of(&topic, 0))
        .unwrap();
    fill(&mut leader, &other, 0, 10, 1_000);
    let wish = Wish {
        max_bytes: 6_000,
        ..NOW
    };
    let mut request = fetch_request(&topic, &[(0, 0)], wish);
    request
        .topics
        .extend(fetch_request(&other, &[(0, 0)], wish).topics);
    let response = leader.call(12, &request);
    let sizes: Vec<usize> = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(bytes_of)
        .collect();
    assert!(sizes.iter().sum::<usize>() <= 6_000, "{sizes:?}");
    assert!(sizes.iter().sum::<usize>() > 4_000, "{sizes:?}");
}

#[test]
fn reader_at_the_end_waits_as_long_as_it_said() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let wish = Wish {
        max_wait_ms: 300,
        min_bytes: 1,
        ..NOW
    };
    let begun = Instant::now();
    let data = fetch(&mut leader, &topic, 0, 0, wish);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!((bytes_of(&data), data.high_watermark), (0, 0));
}

#[test]
fn waiting_reader_is_woken_by_a_record() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut reader = target.leader(&topic, 0);
    let wish = Wish {
        max_wait_ms: 50_000,
        min_bytes: 1,
        ..NOW
    };
    reader.send(12, &fetch_request(&topic, &[(0, 0)], wish));
    produce(
        &mut target.leader(&topic, 0),
        &topic,
        0,
        &batch(&["news"], NOBODY),
    );
    let (_, answer) = reader.receive::<FetchRequest>(12).unwrap();
    assert_eq!(values_of(&only(answer)), [(0, "news".to_owned())]);
}

#[test]
fn reader_waits_until_there_are_as_many_bytes_as_it_wants() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut reader = target.leader(&topic, 0);
    let mut writer = target.leader(&topic, 0);
    let wish = Wish {
        max_wait_ms: 50_000,
        min_bytes: 3_000,
        ..NOW
    };
    reader.send(12, &fetch_request(&topic, &[(0, 0)], wish));
    fill(&mut writer, &topic, 0, 4, 1_000);
    let (_, answer) = reader.receive::<FetchRequest>(12).unwrap();
    assert!(bytes_of(&only(answer)) >= 3_000);
}

#[test]
fn offset_inside_a_batch_gets_that_batch() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    produce(&mut leader, &topic, 0, &batch(&["a", "b", "c"], NOBODY));
    produce(&mut leader, &topic, 0, &batch(&["d"], NOBODY));
    let values = values_of(&fetch(&mut leader, &topic, 0, 1, NOW));
    assert_eq!(
        values.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
}

#[test]
fn offset_outside_the_log_is_refused() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    produce(&mut leader, &topic, 0, &batch(&["a"], NOBODY));
    let data = fetch(&mut leader, &topic, 0, 2, NOW);
    assert_eq!(error(data.error_code), Some(ResponseError::OffsetOutOfRange));
    assert_eq!(bytes_of(&data), 0);
    assert_eq!(
        error(fetch(&mut leader, &topic, 0, 1, NOW).error_code),
        None,
        "the end is no error"
    );
}

#[test]
fn reader_with_a_newer_leader_epoch_than_the_leader_is_told_so() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let known = target.described(&topic).partitions[0].leader_epoch;
    let at = |leader_epoch| Wish { leader_epoch, ..NOW };
    assert_eq!(
        error(fetch(&mut leader, &topic, 0, 0, at(known)).error_code),
        None
    );
    let code = fetch(&mut leader, &topic, 0, 0, at(known + 4)).error_code;
    assert_eq!(error(code), Some(ResponseError::UnknownLeaderEpoch));
}

#[test]
fn unknown_partition_and_id_are_refused() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let code = fetch(&mut leader, &topic, 9, 0, NOW).error_code;
    assert_eq!(error(code), Some(ResponseError::UnknownTopicOrPartition));
    let wanted = FetchTopic::default()
        .with_topic_id(Uuid::from_u128(0xdead_beef))
        .with_partitions(vec![FetchPartition::default().with_partition_max_bytes(1_000)]);
    let request = FetchRequest::default()
        .with_max_bytes(1_000)
        .with_session_epoch(-1)
        .with_topics(vec![wanted]);
    let code = only(leader.call(13, &request)).error_code;
    assert_eq!(error(code), Some(ResponseError::UnknownTopicId));
}

#[test]
fn librdkafka_far_behind_with_small_limits_reads_everything() {
    let target = Target::start();
    let topic = target.topic(4, &[]);
    let producer = producer(&target, &[("linger.ms", "2"), ("batch.size", "20000")]);
    for number in 0..4_000 {
        send(
            &producer,
            &topic,
            number % 4,
            "k",
            &format!("{number:04}{}", "y".repeat(500)),
        );
    }
    flush(&producer);
    let limits = [
        ("fetch.message.max.bytes", "4096"),
        ("fetch.max.bytes", "8192"),
        ("max.partition.fetch.bytes", "4096"),
        ("message.max.bytes", "8192"),
    ];
    let consumer = reader(&target, &topic, 4, Offset::Beginning, &limits);
    let mut numbers: Vec<String> = read(&consumer, 4_000)
        .into_iter()
        .map(|seen| seen.value[..4].to_owned())
        .collect();
    numbers.sort_unstable();
    assert!(
        numbers
            .iter()
            .enumerate()
            .all(|(index, number)| *number == format!("{index:04}"))
    );
}

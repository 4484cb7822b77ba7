//! Idempotent producers: a batch that is sent twice counts once, and nothing is taken out of order.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, ProducerId};
use rdkafka::Offset;

use crate::error;
use crate::support::clients::{flush, producer, read, reader, send};
use crate::support::eventually;
use crate::support::records::{Writer, batch, produce, read_all};
use crate::support::target::Target;

/// A new producer id without a transactional id.
fn producer_id(target: &Target) -> (i64, i16) {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    eventually("a producer id is given out", || {
        let answer = target.any().call(4, &request);
        (answer.error_code == 0).then_some((answer.producer_id.0, answer.producer_epoch))
    })
}

fn writer(target: &Target) -> Writer {
    let (id, epoch) = producer_id(target);
    assert_eq!(epoch, 0);
    Writer {
        id,
        epoch,
        sequence: 0,
        transactional: false,
    }
}

fn at(writer: Writer, sequence: i32) -> Writer {
    Writer { sequence, ..writer }
}

#[test]
fn producer_ids_differ() {
    let target = Target::start();
    assert_ne!(producer_id(&target).0, producer_id(&target).0);
}

#[test]
fn batch_sent_twice_counts_once() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let writer = writer(&target);
    let first = produce(&mut leader, &topic, 0, &batch(&["a", "b"], at(writer, 0)));
    assert_eq!((error(first.error_code), first.base_offset), (None, 0));
    produce(&mut leader, &topic, 0, &batch(&["c"], at(writer, 2)));
    for _ in 0..3 {
        let again = produce(&mut leader, &topic, 0, &batch(&["a", "b"], at(writer, 0)));
        assert_eq!(
            (error(again.error_code), again.base_offset),
            (None, 0),
            "acknowledged as before"
        );
    }
    let values: Vec<_> = read_all(&mut leader, &topic, 0)
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    assert_eq!(values, ["a", "b", "c"]);
}

#[test]
fn gap_in_the_sequence_is_refused() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let writer = writer(&target);
    produce(&mut leader, &topic, 0, &batch(&["a"], at(writer, 0)));
    let gap = produce(&mut leader, &topic, 0, &batch(&["c"], at(writer, 2)));
    assert_eq!(
        error(gap.error_code),
        Some(ResponseError::OutOfOrderSequenceNumber)
    );
    let next = produce(&mut leader, &topic, 0, &batch(&["b"], at(writer, 1)));
    assert_eq!((error(next.error_code), next.base_offset), (None, 1));
}

#[test]
fn batch_older_than_the_last_five_is_refused() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let writer = writer(&target);
    for sequence in 0..8 {
        let answer = produce(&mut leader, &topic, 0, &batch(&["x"], at(writer, sequence)));
        assert_eq!(error(answer.error_code), None);
    }
    let old = produce(&mut leader, &topic, 0, &batch(&["x"], at(writer, 1)));
    assert_eq!(
        error(old.error_code),
        Some(ResponseError::OutOfOrderSequenceNumber)
    );
    let recent = produce(&mut leader, &topic, 0, &batch(&["x"], at(writer, 4)));
    assert_eq!((error(recent.error_code), recent.base_offset), (None, 4));
    assert_eq!(read_all(&mut leader, &topic, 0).len(), 8);
}

#[test]
fn newer_epoch_begins_at_zero_and_shuts_out_the_older() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let old = writer(&target);
    produce(&mut leader, &topic, 0, &batch(&["a"], at(old, 0)));
    let new = Writer { epoch: 1, ..old };
    let answer = produce(&mut leader, &topic, 0, &batch(&["b"], at(new, 1)));
    assert_eq!(
        error(answer.error_code),
        Some(ResponseError::OutOfOrderSequenceNumber)
    );
    let answer = produce(&mut leader, &topic, 0, &batch(&["b"], at(new, 0)));
    assert_eq!(error(answer.error_code), None);
    let answer = produce(&mut leader, &topic, 0, &batch(&["c"], at(old, 1)));
    assert_eq!(
        error(answer.error_code),
        Some(ResponseError::InvalidProducerEpoch)
    );
}

#[test]
fn sequences_are_kept_for_each_partition() {
    let target = Target::start();
    let topic = target.topic(2, &[]);
    let writer = writer(&target);
    for partition in 0..2 {
        let mut leader = target.leader(&topic, partition);
        let answer = produce(&mut leader, &topic, partition, &batch(&["a"], at(writer, 0)));
        assert_eq!((error(answer.error_code), answer.base_offset), (None, 0));
    }
}

#[test]
fn sequence_wraps_after_the_largest_number() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let writer = writer(&target);
    let last = produce(&mut leader, &topic, 0, &batch(&["last"], at(writer, i32::MAX)));
    assert_eq!(
        error(last.error_code),
        None,
        "nothing is known of this producer yet"
    );
    let first = produce(&mut leader, &topic, 0, &batch(&["first"], at(writer, 0)));
    assert_eq!(error(first.error_code), None);
    let gap = produce(&mut leader, &topic, 0, &batch(&["gap"], at(writer, 2)));
    assert_eq!(
        error(gap.error_code),
        Some(ResponseError::OutOfOrderSequenceNumber)
    );
}

#[test]
fn idempotent_librdkafka_writes_each_record_once_in_order() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let settings = [
        ("enable.idempotence", "true"),
        ("batch.num.messages", "10"),
        ("linger.ms", "1"),
    ];
    let producer = producer(&target, &settings);
    for number in 0..500 {
        send(&producer, &topic, 0, "k", &number.to_string());
    }
    flush(&producer);
    let seen = read(&reader(&target, &topic, 1, Offset::Beginning, &[]), 500);
    assert!(
        seen.iter()
            .enumerate()
            .all(|(index, seen)| seen.value == index.to_string())
    );
}

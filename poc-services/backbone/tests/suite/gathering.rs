//! Records that are gathered, and one among them that Kafka never takes.

use std::time::{Duration, Instant};

use crate::kafka::Kafka;
use backbone::BackboneError;
use contracts::topics::{RECORD_BYTES_MAX, STORE_INVENTORY};

/// A hang must end; nothing here waits so long otherwise.
const DEADLINE: Duration = Duration::from_mins(1);
/// Above what the client sends.
const TOO_LARGE: usize = RECORD_BYTES_MAX + 1;

/// The first keys of the first partition.
fn keys(kafka: &Kafka, count: usize) -> Vec<Vec<u8>> {
    let reader = kafka
        .backbone
        .reader("test-keys", STORE_INVENTORY, &[(0, 0)])
        .unwrap();
    let until = Instant::now() + DEADLINE;
    let mut keys = Vec::new();
    while keys.len() < count {
        assert!(Instant::now() < until, "{} of {count}", keys.len());
        if let Some(record) = reader.poll(Duration::from_millis(10)).unwrap() {
            keys.push(record.key().to_vec());
        }
    }
    keys
}

#[test]
fn a_record_that_is_never_taken_is_said_once_and_nothing_gathered_with_it_leaves_later() {
    let kafka = Kafka::start();
    let mut producer = kafka.backbone.producer("test").unwrap();
    let mut gather = |key: &[u8], size| producer.gather(STORE_INVENTORY, 0, key, Some(&vec![7; size]));
    gather(b"before", 1).unwrap();
    gather(b"large", TOO_LARGE).unwrap();
    gather(b"behind", 1).unwrap();
    let error = producer.flush(DEADLINE).unwrap_err();
    assert!(
        matches!(&error, BackboneError::Refused { record } if record.contains("store.inventory[0]")),
        "{error}"
    );
    // What its caller sends now is not in front of anything that it believes to be lost.
    producer.gather(STORE_INVENTORY, 0, b"anew", Some(b"1")).unwrap();
    producer.flush(DEADLINE).unwrap();
    // The client took the small ones of the batch; each is there once.
    assert_eq!(keys(&kafka, 3), [&b"before"[..], b"behind", b"anew"]);
    assert_eq!(producer.ends(&[(STORE_INVENTORY, 0)]).unwrap(), [3]);
}

#[test]
fn a_flush_does_not_say_that_all_is_durable_where_a_record_was_refused_before_it() {
    let kafka = Kafka::start();
    let mut producer = kafka.backbone.producer("test").unwrap();
    producer
        .gather(STORE_INVENTORY, 0, b"large", Some(&vec![7; TOO_LARGE]))
        .unwrap();
    // Another partition: what was gathered leaves.
    let error = producer
        .gather(STORE_INVENTORY, 1, b"next", Some(b"1"))
        .unwrap_err();
    assert!(matches!(error, BackboneError::Refused { .. }), "{error}");
    let error = producer.flush(DEADLINE).unwrap_err();
    assert!(
        matches!(error, BackboneError::Delivery { failed: 1, .. }),
        "{error}"
    );
    producer.flush(DEADLINE).unwrap();
}

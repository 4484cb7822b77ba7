//! The bound of memory: producers are slowed, and what nobody has read yet stays.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use embedded::broker::BrokerOptions;
use kafka_protocol::ResponseError;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use support::clients::{config, next};
use support::eventually;
use support::records::{NOBODY, batch, produce, read_all};
use support::target::Target;

const BOUND: usize = 8 << 20;
/// What one request may carry beyond the point at which nothing more is taken.
const REQUEST_BYTES: usize = 1 << 20;

fn small() -> Target {
    Target::embedded(BrokerOptions {
        memory_bytes: BOUND,
        throttle_max: Duration::from_millis(20),
        ..BrokerOptions::default()
    })
}

fn fast_producer(target: &Target) -> BaseProducer {
    let settings: &[(&str, &str)] = &[
        ("acks", "all"),
        ("enable.idempotence", "true"),
        ("linger.ms", "5"),
        ("batch.size", "200000"),
        ("retry.backoff.ms", "10"),
        ("retry.backoff.max.ms", "50"),
    ];
    let config: ClientConfig = config(target, settings);
    config.create().unwrap()
}

#[test]
fn producer_that_outruns_its_reader_is_slowed_and_nothing_unread_is_dropped() {
    const RECORDS: usize = 40_000;
    let target = small();
    let topic = target.topic(1, &[]);
    let value = "v".repeat(1_000);
    let done = AtomicBool::new(false);
    let (seen, peak) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let producer = fast_producer(&target);
            for number in 0..RECORDS {
                let value = format!("{number}:{value}");
                let mut record = BaseRecord::to(&topic).partition(0).key("k").payload(&value);
                while let Err((_, refused)) = producer.send(record) {
                    // Its own queue is full: it is slowed.
                    producer.poll(Duration::from_millis(5));
                    record = refused;
                }
            }
            producer.flush(support::DEADLINE).unwrap();
        });
        let watching = scope.spawn(|| {
            let mut peak = 0;
            while !done.load(Ordering::Relaxed) {
                peak = peak.max(target.broker().stats().bytes_held);
                std::thread::yield_now();
            }
            peak
        });
        let settings = [
            ("group.id", "reader"),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "error"),
        ];
        let consumer: BaseConsumer = config(&target, &settings).create().unwrap();
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(&topic, 0, Offset::Offset(0)).unwrap();
        consumer.assign(&from).unwrap();
        // It does not read before the producer has been slowed.
        eventually("the producer is slowed", || {
            (target.broker().stats().throttled_requests > 0).then_some(())
        });
        let mut seen = Vec::with_capacity(RECORDS);
        while seen.len() < RECORDS {
            seen.push(eventually("the next record", || next(&consumer)).value);
            if seen.len() % 1_000 == 0 {
                let mut read = TopicPartitionList::new();
                let position = Offset::Offset(seen.len() as i64);
                read.add_partition_offset(&topic, 0, position).unwrap();
                consumer.commit(&read, CommitMode::Async).unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
        (seen, watching.join().unwrap())
    });
    for (index, value) in seen.iter().enumerate() {
        let number = value.split(':').next().unwrap();
        assert_eq!(number, index.to_string(), "every record once, in order");
    }
    // It all would not have fitted.
    const { assert!(RECORDS * 1_000 > 4 * BOUND) };
    assert!(
        peak <= BOUND + BOUND / 4 + REQUEST_BYTES,
        "{peak} bytes were held"
    );
    assert!(peak > BOUND / 2, "{peak} bytes: the bound was never near");
    let stats = target.broker().stats();
    assert!(stats.throttled_requests > 0);
    assert!(
        stats.topics[&topic][0].start_offset > 0,
        "what was read was dropped"
    );
}

#[test]
fn log_that_nobody_reads_fills_up_and_refuses_instead_of_dropping() {
    let target = small();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let value = "v".repeat(500_000);
    let mut accepted = 0;
    let refused = loop {
        let answer = produce(&mut leader, &topic, 0, &batch(&[&value], NOBODY));
        if answer.error_code != 0 {
            break answer;
        }
        accepted += 1;
        assert!(accepted < 100, "never refused");
    };
    assert_eq!(
        ResponseError::try_from_code(refused.error_code),
        Some(ResponseError::NotEnoughReplicas),
        "an error that clients retry"
    );
    assert!(refused.error_message.unwrap().contains("memory bound"));
    let stats = target.broker().stats();
    assert!(stats.bytes_held <= BOUND + BOUND / 4 + REQUEST_BYTES);
    assert_eq!(read_all(&mut leader, &topic, 0).len(), accepted);
}

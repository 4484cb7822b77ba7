//! Clients of librdkafka while rules strike at random: whatever happens, each record is there once, in order.

use std::time::Duration;

use embedded::broker::faults::{Api, Effect, ErrorCode, Fault, Moment, When};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::start;
use crate::support::clients::{config, flush, producer, read, reader, send};
use crate::support::target::{Target, unique};
use crate::support::{DEADLINE, eventually};

/// Makes a client notice within moments what it would else notice after a minute.
pub const QUICK: [(&str, &str); 7] = [
    ("socket.timeout.ms", "700"),
    ("request.timeout.ms", "500"),
    ("retry.backoff.ms", "5"),
    ("retry.backoff.max.ms", "20"),
    ("reconnect.backoff.ms", "5"),
    ("reconnect.backoff.max.ms", "20"),
    ("topic.metadata.refresh.fast.interval.ms", "20"),
];

pub fn idempotent(target: &Target) -> BaseProducer {
    let own = [
        ("enable.idempotence", "true"),
        ("batch.num.messages", "20"),
        ("linger.ms", "1"),
        ("message.timeout.ms", "55000"),
    ];
    let settings: Vec<_> = QUICK.iter().chain(&own).copied().collect();
    producer(target, &settings)
}

/// Reads all and compares: partition by partition the numbers of `send_numbers`, once, in order.
pub fn assert_once_in_order(target: &Target, topic: &str, partitions: i32, count: i32) {
    let seen = read(
        &reader(target, topic, partitions, Offset::Beginning, &[]),
        count as usize,
    );
    for partition in 0..partitions {
        let of_partition = seen.iter().filter(|seen| seen.partition == partition);
        let numbers: Vec<i32> = of_partition.map(|seen| seen.value.parse().unwrap()).collect();
        let wanted: Vec<i32> = (partition..count).step_by(partitions as usize).collect();
        assert_eq!(numbers, wanted, "partition {partition}");
    }
    let ends = target.broker().stats().topics[topic]
        .iter()
        .map(|p| p.end_offset)
        .sum::<i64>();
    assert_eq!(ends, i64::from(count), "nothing lies behind what was read");
}

pub fn send_numbers(producer: &BaseProducer, topic: &str, partitions: i32, numbers: std::ops::Range<i32>) {
    for number in numbers {
        send(producer, topic, number % partitions, "k", &number.to_string());
    }
}

fn producer_survives(effect: Effect, one_in: u32) {
    for seed in 0..3 {
        let target = start();
        let topic = target.topic(3, &[]);
        let faults = target.broker().faults();
        let when = When::Chance { one_in, seed };
        let rule = faults.add(Fault::new(effect).api(Api::Produce).topic(&topic).when(when));
        let producer = idempotent(&target);
        send_numbers(&producer, &topic, 3, 0..3_000);
        flush(&producer);
        assert!(faults.hits(rule) > 0, "it never struck: {effect:?}, seed {seed}");
        faults.clear();
        assert_once_in_order(&target, &topic, 3, 3_000);
    }
}

#[test]
fn producer_loses_and_doubles_nothing_when_requests_are_delayed() {
    producer_survives(Effect::Delay(Duration::from_millis(30)), 3);
}

#[test]
fn producer_loses_and_doubles_nothing_when_leaders_refuse() {
    producer_survives(Effect::Error(ErrorCode::NotLeaderOrFollower, Moment::Before), 3);
}

#[test]
fn producer_loses_and_doubles_nothing_when_an_applied_request_is_said_to_have_failed() {
    producer_survives(Effect::Error(ErrorCode::RequestTimedOut, Moment::After), 3);
}

#[test]
fn producer_loses_and_doubles_nothing_when_connections_are_cut_before_requests_are_applied() {
    producer_survives(Effect::Disconnect(Moment::Before), 4);
}

#[test]
fn producer_loses_and_doubles_nothing_when_answers_are_lost() {
    producer_survives(Effect::Disconnect(Moment::After), 4);
}

#[test]
fn producer_loses_and_doubles_nothing_when_the_broker_falls_silent() {
    producer_survives(Effect::Silence(Moment::Before), 20);
    producer_survives(Effect::Silence(Moment::After), 20);
}

#[test]
fn reader_sees_everything_once_when_fetches_fail() {
    let target = start();
    let topic = target.topic(3, &[]);
    let producer = idempotent(&target);
    send_numbers(&producer, &topic, 3, 0..3_000);
    flush(&producer);
    let faults = target.broker().faults();
    let effects = [
        Effect::Disconnect(Moment::After),
        Effect::Error(ErrorCode::NotLeaderOrFollower, Moment::Before),
        Effect::Silence(Moment::Before),
    ];
    let rules = effects.map(|effect| {
        let when = When::Chance { one_in: 4, seed: 11 };
        faults.add(Fault::new(effect).api(Api::Fetch).when(when))
    });
    let small = [
        ("fetch.message.max.bytes", "2000"),
        ("fetch.wait.max.ms", "50"),
        ("fetch.error.backoff.ms", "5"),
    ];
    let settings: Vec<_> = QUICK.iter().chain(&small).copied().collect();
    let seen = read(&reader(&target, &topic, 3, Offset::Beginning, &settings), 3_000);
    let mut numbers: Vec<i32> = seen.iter().map(|seen| seen.value.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..3_000).collect::<Vec<_>>());
    for rule in rules {
        assert!(faults.hits(rule) > 0, "it never struck: {rule:?}");
    }
}

#[test]
fn commit_reaches_the_group_although_answers_are_lost() {
    let target = start();
    let topic = target.topic(1, &[]);
    let faults = target.broker().faults();
    let when = When::Times(2);
    let rule = faults.add(
        Fault::new(Effect::Disconnect(Moment::After))
            .api(Api::OffsetCommit)
            .when(when),
    );
    let group = unique("group");
    let settings: Vec<_> = QUICK
        .iter()
        .copied()
        .chain([("group.id", group.as_str())])
        .collect();
    let consumer: BaseConsumer = config(&target, &settings).create().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset(&topic, 0, Offset::Offset(9))
        .unwrap();
    eventually("the commit is confirmed", || {
        consumer.commit(&offsets, CommitMode::Sync).ok()
    });
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&topic, 0);
    let found = consumer.committed_offsets(asked, DEADLINE).unwrap();
    assert_eq!(
        found.find_partition(&topic, 0).unwrap().offset(),
        Offset::Offset(9)
    );
    assert!(faults.hits(rule) > 0);
}

/// Commits a transaction as librdkafka wants it: a call that may be repeated is repeated.
fn commit(producer: &BaseProducer) -> Result<(), KafkaError> {
    loop {
        match producer.commit_transaction(DEADLINE) {
            Err(KafkaError::Transaction(error)) if error.is_retriable() => {}
            other => return other,
        }
    }
}

#[test]
fn transactions_stay_whole_when_their_answers_are_lost() {
    let target = start();
    let topic = target.topic(3, &[]);
    let faults = target.broker().faults();
    let rules = [Api::EndTxn, Api::AddPartitionsToTxn, Api::Produce].map(|api| {
        let when = When::Chance { one_in: 4, seed: 5 };
        faults.add(Fault::new(Effect::Disconnect(Moment::After)).api(api).when(when))
    });
    let id = unique("txn");
    let own = [
        ("transactional.id", id.as_str()),
        ("transaction.timeout.ms", "55000"),
    ];
    let settings: Vec<_> = QUICK.iter().chain(&own).copied().collect();
    let producer = producer(&target, &settings);
    producer.init_transactions(DEADLINE).unwrap();
    for round in 0..30 {
        producer.begin_transaction().unwrap();
        send_numbers(&producer, &topic, 3, round * 10..(round + 1) * 10);
        commit(&producer).unwrap();
    }
    for rule in rules {
        assert!(faults.hits(rule) > 0, "it never struck: {rule:?}");
    }
    faults.clear();
    let seen = read(
        &reader(
            &target,
            &topic,
            3,
            Offset::Beginning,
            &[("isolation.level", "read_committed")],
        ),
        300,
    );
    let mut numbers: Vec<i32> = seen.iter().map(|seen| seen.value.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..300).collect::<Vec<_>>());
}

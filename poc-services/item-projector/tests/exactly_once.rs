//! The projector over the embedded broker: each line once for whoever reads committed records, whatever dies when.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../../backbone/tests/support/kafka.rs"]
mod kafka;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use contracts::ids::{BusinessDay, LocationId, SourceId, TransactionId};
use contracts::records::{Article, Movement, MovementKind, MovementLine};
use contracts::topics::{self, PARTITIONS, partition_of, partition_of_key};
use contracts::wire::items::{item_id, place_name};
use embedded::broker::faults::{Api, Effect, ErrorCode, Fault, Moment, When};
use item_projector::{Config, Counters, Delivery, ProjectorError, Snapshot, run};
use kafka::Kafka;
use prost::Message as _;
use tokio_util::sync::CancellationToken;

/// A hang must end; nothing here waits so long otherwise.
const DEADLINE: Duration = Duration::from_mins(3);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const STORES: u16 = 40;
const SKUS: u32 = 5;
const DAY: u32 = 20_526;

fn transaction(store: u16, number: u64) -> (TransactionId, Movement) {
    let location = LocationId::store(store);
    let id = TransactionId {
        source: SourceId::till(location, 1),
        business_day: BusinessDay(DAY),
        number,
    };
    let lines = (0..SKUS).map(|index| MovementLine {
        sku: 100_001 + index,
        // One in five only moves within its place.
        kind: if index == 4 {
            MovementKind::Stocked
        } else {
            MovementKind::Sold
        } as i32,
        quantity: 1_000 * (1 + i64::from(index)),
    });
    let movement = Movement {
        location: location.to_string(),
        source_kind: id.source.kind as i32,
        source_unit: 1,
        business_day: DAY,
        number,
        occurred_ms: 1_773_480_413_123,
        lines: lines.collect(),
        ..Movement::default()
    };
    (id, movement)
}

/// Every id that must be there, with its key.
fn expected(numbers: std::ops::RangeInclusive<u64>) -> BTreeMap<u64, String> {
    let mut all = BTreeMap::new();
    for number in numbers {
        for store in 1..=STORES {
            let (id, _) = transaction(store, number);
            for index in 0..SKUS - 1 {
                all.insert(item_id(&id, index), place_name(id.source.location));
            }
        }
    }
    all
}

fn publish_articles(kafka: &Kafka) {
    let mut producer = kafka.backbone.producer("test").unwrap();
    for index in 0..SKUS {
        let article = Article {
            sku: 100_001 + index,
            gtin: u64::from(index) + 1,
            price: 1_000,
            weighed: index == 3,
            ..Article::default()
        };
        let key = article.sku.to_string();
        producer
            .send(
                topics::CATALOGUE,
                0,
                key.as_bytes(),
                &article.encode_to_vec(),
                None,
                &[],
            )
            .unwrap();
    }
    producer.flush(DEADLINE).unwrap();
}

/// Some come a second time, as from a normaliser that died.
fn publish(kafka: &Kafka, numbers: std::ops::RangeInclusive<u64>) {
    let mut producer = kafka.backbone.producer("test").unwrap();
    for number in numbers {
        for store in 1..=STORES {
            let (id, movement) = transaction(store, number);
            let location = id.source.location;
            for _ in 0..=u8::from(number % 3 == 0) {
                producer
                    .send(
                        topics::MOVEMENTS,
                        partition_of(location),
                        location.to_string().as_bytes(),
                        &movement.encode_to_vec(),
                        None,
                        &[],
                    )
                    .unwrap();
            }
        }
    }
    producer.flush(DEADLINE).unwrap();
}

struct Running {
    counters: Arc<Counters>,
    cancel: CancellationToken,
    kill: CancellationToken,
    thread: Option<JoinHandle<Result<(), ProjectorError>>>,
}

impl Running {
    fn start(kafka: &Kafka, name: &str, delivery: Delivery) -> Self {
        let config = Config {
            client_id: format!("item-projector-{name}"),
            delivery,
            commit_every: Duration::from_millis(20),
            ..Config::default()
        };
        let (counters, kill) = (Arc::clone(&config.counters), config.kill.clone());
        let cancel = CancellationToken::new();
        let (backbone, token) = (kafka.backbone.clone(), cancel.clone());
        let thread = Some(std::thread::spawn(move || run(&config, &backbone, &token)));
        Self {
            counters,
            cancel,
            kill,
            thread,
        }
    }

    fn wait_until(&self, is_so: impl Fn(Snapshot) -> bool) -> Snapshot {
        let until = Instant::now() + DEADLINE;
        loop {
            let counts = self.counters.snapshot();
            if is_so(counts) {
                return counts;
            }
            assert!(Instant::now() < until, "{counts:?}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn end(&mut self) {
        self.cancel.cancel();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }

    fn kill(&mut self) {
        self.kill.cancel();
        self.end();
    }
}

/// How often each id is there for who reads committed records, and whether it lies under its key.
fn read(kafka: &Kafka) -> BTreeMap<u64, (u32, String)> {
    let mut seen = BTreeMap::<u64, (u32, String)>::new();
    let partitions: Vec<u32> = (0..PARTITIONS).collect();
    kafka
        .backbone
        .read_whole("test-reader", topics::ITEMS, &partitions, |record| {
            let item: serde_json::Value = serde_json::from_slice(record.payload().unwrap()).unwrap();
            let key = String::from_utf8(record.key().to_vec()).unwrap();
            assert_eq!(item["storeName"], key.as_str());
            assert_eq!(record.partition(), partition_of_key(key.as_bytes(), PARTITIONS));
            let entry = seen.entry(item["id"].as_u64().unwrap()).or_insert((0, key));
            entry.0 += 1;
        })
        .unwrap();
    seen
}

fn read_until(kafka: &Kafka, count: usize) -> BTreeMap<u64, (u32, String)> {
    let until = Instant::now() + DEADLINE;
    loop {
        let seen = read(kafka);
        if seen.len() >= count {
            return seen;
        }
        assert!(Instant::now() < until, "{} of {count}", seen.len());
    }
}

fn assert_each_once(seen: &BTreeMap<u64, (u32, String)>, expected: &BTreeMap<u64, String>) {
    let more: Vec<_> = seen
        .iter()
        .filter(|(_, (times, _))| *times != 1)
        .take(3)
        .collect();
    assert!(more.is_empty(), "more than once: {more:?}");
    let keys: BTreeMap<u64, String> = seen.iter().map(|(id, (_, key))| (*id, key.clone())).collect();
    assert!(keys == *expected, "{} of {}", keys.len(), expected.len());
}

#[test]
fn each_line_is_there_once_though_the_projector_is_killed_again_and_again() {
    let kafka = Kafka::start();
    publish_articles(&kafka);
    publish(&kafka, 1..=60);
    let expected = expected(1..=60);
    let mut kills_in_the_middle = 0;
    for turn in 0..4 {
        let mut running = Running::start(&kafka, &turn.to_string(), Delivery::Transactions);
        let wanted = 700 * (turn + 1);
        running.wait_until(|counts| counts.items > wanted || counts.repeats > 400);
        running.kill();
        // What was projected and not committed is made again.
        let committed = read(&kafka).len();
        kills_in_the_middle += u32::from(committed < expected.len());
    }
    // All of it again: what was projected by those that are dead is remembered.
    publish(&kafka, 1..=60);
    let mut last = Running::start(&kafka, "last", Delivery::Transactions);
    let again = u64::from(STORES) * (60 + 20);
    last.wait_until(|counts| counts.repeats >= again);
    read_until(&kafka, expected.len());
    last.end();
    assert!(kills_in_the_middle > 0, "nothing was killed in the middle");
    assert_each_once(&read(&kafka), &expected);
}

#[test]
fn an_instance_that_joins_and_one_that_leaves_change_nothing() {
    let kafka = Kafka::start();
    publish_articles(&kafka);
    publish(&kafka, 1..=20);
    let mut one = Running::start(&kafka, "one", Delivery::Transactions);
    one.wait_until(|counts| counts.commits > 0);
    let mut two = Running::start(&kafka, "two", Delivery::Transactions);
    // Until the group has shared its partitions out, the first one projects it all.
    let mut last = 20;
    let until = Instant::now() + DEADLINE;
    while two.counters.snapshot().commits == 0 {
        last += 1;
        publish(&kafka, last..=last);
        assert!(Instant::now() < until, "the second instance has nothing to do");
    }
    publish(&kafka, last + 1..=last + 20);
    one.kill();
    let expected = expected(1..=last + 20);
    read_until(&kafka, expected.len());
    two.end();
    assert_each_once(&read(&kafka), &expected);
}

#[test]
fn without_transactions_a_line_that_comes_twice_has_the_same_id() {
    let kafka = Kafka::start();
    publish_articles(&kafka);
    publish(&kafka, 1..=30);
    let mut first = Running::start(&kafka, "first", Delivery::KeyedIds);
    first.wait_until(|counts| counts.items > 500);
    first.kill();
    let mut second = Running::start(&kafka, "second", Delivery::KeyedIds);
    let expected = expected(1..=30);
    let until = Instant::now() + DEADLINE;
    while read(&kafka).len() < expected.len() {
        assert!(Instant::now() < until);
    }
    second.end();
    let keys: BTreeMap<u64, String> = read(&kafka).into_iter().map(|(id, (_, key))| (id, key)).collect();
    assert!(keys == expected);
}

/// What the group had committed is asked for with every partition: an answer that is none ends the clients, not the service.
#[test]
fn it_begins_anew_when_kafka_does_not_say_where_the_group_was() {
    let kafka = Kafka::start();
    publish_articles(&kafka);
    publish(&kafka, 1..=5);
    let refused = kafka.broker.faults().add(
        Fault::new(Effect::Error(ErrorCode::UnknownServerError, Moment::Before))
            .api(Api::OffsetFetch)
            .client("item-projector-one")
            .when(When::Times(1)),
    );
    let mut running = Running::start(&kafka, "one", Delivery::Transactions);
    let expected = expected(1..=5);
    let seen = read_until(&kafka, expected.len());
    running.end();
    assert!(kafka.broker.faults().hits(refused) > 0, "it did happen");
    assert!(running.counters.snapshot().recoveries > 0);
    assert_each_once(&seen, &expected);
}

//! The projector over the embedded broker, or the Apache Kafka that `STOCKSTREAM_KAFKA` names: each line once for whoever reads
//! committed records, whatever dies when.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../../backbone/tests/support/kafka.rs"]
mod kafka;
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use backbone::Producer;
use contracts::ids::{BusinessDay, LocationId, SourceId, TransactionId};
use contracts::records::{Article, Movement, MovementKind, MovementLine};
use contracts::topics::{self, PARTITIONS, partition_of, partition_of_key};
use contracts::wire::items::{item_id, place_name};
use embedded::broker::faults::{Api, Effect, ErrorCode, Fault, Moment, When};
use item_projector::{Config, Counters, Delivery, ProjectorError, Snapshot, run};
use kafka::{send, send_in_transaction};
use prost::Message as _;
use support::Cluster;
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

fn publish_articles(kafka: &Cluster) {
    let articles = (0..SKUS).map(|index| {
        let article = Article {
            sku: 100_001 + index,
            gtin: u64::from(index) + 1,
            price: 1_000,
            weighed: index == 3,
            ..Article::default()
        };
        (0, article.sku.to_string(), article.encode_to_vec())
    });
    send(&kafka.backbone, topics::CATALOGUE, articles);
}

/// Some come a second time, as from a normaliser that died.
fn publish(kafka: &Cluster, numbers: std::ops::RangeInclusive<u64>) {
    let mut records = Vec::new();
    for number in numbers {
        for store in 1..=STORES {
            let (id, movement) = transaction(store, number);
            let location = id.source.location;
            let record = (
                partition_of(location),
                location.to_string(),
                movement.encode_to_vec(),
            );
            let times = 1 + usize::from(number % 3 == 0);
            records.extend(std::iter::repeat_n(record, times));
        }
    }
    send(&kafka.backbone, topics::MOVEMENTS, records);
}

struct Running {
    counters: Arc<Counters>,
    cancel: CancellationToken,
    kill: CancellationToken,
    thread: Option<JoinHandle<Result<(), ProjectorError>>>,
}

impl Running {
    fn start(kafka: &Cluster, name: &str, delivery: Delivery) -> Self {
        Self::start_with(
            kafka,
            name,
            Config {
                delivery,
                commit_every: Duration::from_millis(20),
                ..Config::default()
            },
        )
    }

    fn start_with(kafka: &Cluster, name: &str, config: Config) -> Self {
        let config = Config {
            client_id: format!("item-projector-{name}"),
            ..config
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

/// An item as a program written for the kit has it: these fields, of these types, and no others.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KitItem {
    id: i64,
    store_name: String,
    sku: String,
    #[serde(rename = "type")]
    kind: KitType,
    quantity: i32,
    price: f64,
    timestamp: String,
}

#[derive(PartialEq, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum KitType {
    Sale,
    Restock,
}

impl KitItem {
    /// What the kit's programs count on beyond the types.
    fn check(&self) {
        assert!(self.id > 0 && self.quantity > 0 && self.price > 0.0);
        assert!(self.kind == KitType::Sale, "only sales were published");
        assert!(self.sku.starts_with("Item_"), "{}", self.sku);
        let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
        assert!(
            self.timestamp.len() == 23
                && digits(&self.timestamp) == 17
                && self.timestamp.as_bytes()[10] == b'T',
            "a local date and time with milliseconds: {}",
            self.timestamp
        );
    }
}

/// How often each id is there for who reads committed records, and whether it lies under its key.
fn read(kafka: &Cluster) -> BTreeMap<u64, (u32, String)> {
    let mut seen = BTreeMap::<u64, (u32, String)>::new();
    let partitions: Vec<u32> = (0..PARTITIONS).collect();
    kafka
        .backbone
        .read_whole("test-reader", topics::ITEMS, &partitions, |record| {
            let item: KitItem = serde_json::from_slice(record.payload().unwrap()).unwrap();
            item.check();
            let key = String::from_utf8(record.key().to_vec()).unwrap();
            assert_eq!(item.store_name, key);
            assert_eq!(record.partition(), partition_of_key(key.as_bytes(), PARTITIONS));
            let entry = seen.entry(item.id as u64).or_insert((0, key));
            entry.0 += 1;
        })
        .unwrap();
    seen
}

fn read_until(kafka: &Cluster, count: usize) -> BTreeMap<u64, (u32, String)> {
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
    let kafka = Cluster::start();
    publish_articles(&kafka);
    publish(&kafka, 1..=60);
    let expected = expected(1..=60);
    let mut counted = Vec::new();
    for turn in 0..4 {
        let mut running = Running::start(&kafka, &turn.to_string(), Delivery::Transactions);
        let done = expected.len();
        running.wait_until(|counts| counts.commits > 0 || read(&kafka).len() == done);
        running.kill();
        counted.push(Arc::clone(&running.counters));
    }
    // All of it again: what was projected by those that are dead is remembered.
    publish(&kafka, 1..=60);
    let mut last = Running::start(&kafka, "last", Delivery::Transactions);
    let again = u64::from(STORES) * (60 + 20);
    last.wait_until(|counts| counts.repeats >= again);
    read_until(&kafka, expected.len());
    counted.push(Arc::clone(&last.counters));
    last.end();
    assert_each_once(&read(&kafka), &expected);
    let counted: u64 = counted.iter().map(|counters| counters.snapshot().items).sum();
    assert!(
        counted <= expected.len() as u64,
        "{counted} of {}: some lines count twice",
        expected.len()
    );
}

/// Whoever dies before its commit has written lines, which another one writes again.
#[test]
fn what_dies_with_its_transaction_is_there_once_and_counts_once() {
    let kafka = Cluster::embedded();
    publish_articles(&kafka);
    publish(&kafka, 1..=10);
    let expected = expected(1..=10);
    let mut first = Running::start_with(
        &kafka,
        "first",
        Config {
            commit_every: DEADLINE * 10,
            ..Config::default()
        },
    );
    let written = || kafka.broker().stats().appended_records(topics::ITEMS);
    first.wait_until(|_| written() > 0);
    first.kill();
    assert_eq!(read(&kafka).len(), 0, "nothing of it was committed");
    let mut second = Running::start(&kafka, "second", Delivery::Transactions);
    read_until(&kafka, expected.len());
    second.end();
    assert_each_once(&read(&kafka), &expected);
    assert!(written() > expected.len() as u64, "some lines were written twice");
    let counted = [&first, &second].map(|one| one.counters.snapshot().items);
    assert_eq!(counted, [0, expected.len() as u64]);
}

#[test]
fn an_instance_that_joins_and_one_that_leaves_change_nothing() {
    let kafka = Cluster::start();
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
    let kafka = Cluster::start();
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
    let kafka = Cluster::embedded();
    publish_articles(&kafka);
    publish(&kafka, 1..=5);
    let refused = kafka.broker().faults().add(
        Fault::new(Effect::Error(ErrorCode::UnknownServerError, Moment::Before))
            .api(Api::OffsetFetch)
            .client("item-projector-one")
            .when(When::Times(1)),
    );
    let mut running = Running::start(&kafka, "one", Delivery::Transactions);
    let expected = expected(1..=5);
    let seen = read_until(&kafka, expected.len());
    running.end();
    assert!(kafka.broker().faults().hits(refused) > 0, "it did happen");
    assert!(running.counters.snapshot().recoveries > 0);
    assert_each_once(&seen, &expected);
}

fn publish_in_transaction(kafka: &Cluster, article: &Article) {
    let record = (0, article.sku.to_string(), article.encode_to_vec());
    send_in_transaction(&kafka.backbone, topics::CATALOGUE, [record]);
}

/// A movement of store 1 that sells one of each.
fn publish_sale(producer: &mut Producer, number: u64, skus: impl Iterator<Item = u32>) {
    let (id, movement) = transaction(1, number);
    let location = id.source.location;
    let lines = skus.map(|sku| MovementLine {
        sku,
        ..movement.lines[0]
    });
    let movement = Movement {
        lines: lines.collect(),
        ..movement.clone()
    };
    let (key, payload) = (location.to_string(), movement.encode_to_vec());
    publish_one(
        producer,
        topics::MOVEMENTS,
        partition_of(location),
        &key,
        &payload,
    );
}

fn publish_one(producer: &mut Producer, topic: &str, partition: u32, key: &str, payload: &[u8]) {
    producer
        .send(topic, partition, key.as_bytes(), payload, None, &[])
        .unwrap();
    producer.flush(DEADLINE).unwrap();
}

/// Were each waited for, they would outlast the time that a transaction has.
#[test]
fn lines_of_articles_that_no_catalogue_has_do_not_hold_up_their_transaction() {
    const NOBODYS: u32 = 900_000;
    const LINES: u32 = 70;
    let kafka = Cluster::start();
    let article = |sku| Article {
        sku,
        price: 1_000,
        ..Article::default()
    };
    publish_in_transaction(&kafka, &article(1));
    let mut running = Running::start(&kafka, "one", Delivery::Transactions);
    let mut producer = kafka.backbone.producer("test").unwrap();
    publish_sale(&mut producer, 1, NOBODYS..NOBODYS + LINES);
    // What comes while it runs ends with a mark as well.
    publish_in_transaction(&kafka, &article(2));
    publish_sale(&mut producer, 2, NOBODYS..NOBODYS + LINES);
    let all = u64::from(2 * LINES);
    running.wait_until(|counts| {
        assert_eq!(counts.recoveries, 0, "{counts:?}");
        counts.without_article == all
    });
    running.end();
    assert_eq!(running.counters.snapshot().items, all);
}

#[test]
fn an_article_that_was_published_before_its_movement_is_known_whatever_else_is_not() {
    const NOBODYS: u32 = 900_000;
    const ARTICLES: u32 = 20;
    let kafka = Cluster::embedded();
    publish_articles(&kafka);
    // A movement is there before the article that it names.
    let late = kafka.broker().faults().add(
        Fault::new(Effect::Delay(Duration::from_millis(100)))
            .api(Api::Fetch)
            .client("item-projector-one-catalogue"),
    );
    let mut running = Running::start(&kafka, "one", Delivery::Transactions);
    let mut producer = kafka.backbone.producer("test").unwrap();
    publish_sale(&mut producer, 1, [100_001].into_iter());
    running.wait_until(|counts| counts.items == 1);
    for number in 2..=ARTICLES {
        let article = Article {
            sku: 200_000 + number,
            price: 1_000,
            ..Article::default()
        };
        let (key, payload) = (article.sku.to_string(), article.encode_to_vec());
        publish_one(&mut producer, topics::CATALOGUE, 0, &key, &payload);
        let skus = [NOBODYS + number, article.sku];
        publish_sale(&mut producer, u64::from(number), skus.into_iter());
    }
    let counts = running.wait_until(|counts| counts.items == u64::from(2 * ARTICLES - 1));
    running.end();
    assert!(kafka.broker().faults().hits(late) > 0, "it did happen");
    assert_eq!(
        (counts.without_article, counts.recoveries),
        (u64::from(ARTICLES - 1), 0)
    );
}

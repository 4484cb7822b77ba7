//! The service over the embedded broker: cells and totals, dead letters, death and return in mid-stream, two instances,
//! states that it must refuse.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use backbone::{Backbone, BackboneOptions, Reader};
use contracts::ids::LocationId;
use contracts::records::{Cell, Head, ItemTotal, Movement, MovementKind, MovementLine, SourceKind};
use contracts::topics::{self, PARTITIONS, StateKey, headers, partition_of};
use embedded::broker::{Broker, BrokerOptions};
use inventory::{Config, Counters, GROUP, InventoryError, run};
use prost::Message as _;
use tokio_util::sync::CancellationToken;

/// A hang must end; nothing here waits so long otherwise.
const DEADLINE: Duration = Duration::from_mins(1);
const STORES: u16 = 24;
const SKUS: u32 = 12;

struct Kafka {
    _runtime: tokio::runtime::Runtime,
    _broker: Broker,
    backbone: Backbone,
}

impl Kafka {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let broker = runtime.block_on(Broker::start(BrokerOptions::default())).unwrap();
        let backbone = Backbone::connect(BackboneOptions {
            bootstrap: broker.bootstrap(),
            label: "embedded".into(),
            settings: Vec::new(),
            compress: false,
        })
        .unwrap();
        runtime.block_on(backbone.ensure_topics(&topics::ALL)).unwrap();
        Self {
            _runtime: runtime,
            _broker: broker,
            backbone,
        }
    }

    fn send(&self, movements: &[Movement]) {
        let mut producer = self.backbone.producer("test").unwrap();
        for movement in movements {
            let location: LocationId = movement.location.parse().unwrap();
            producer
                .send(
                    topics::MOVEMENTS,
                    partition_of(location),
                    movement.location.as_bytes(),
                    &movement.encode_to_vec(),
                    Some(movement.due_ms),
                    &[],
                )
                .unwrap();
        }
        producer.flush(DEADLINE).unwrap();
    }

    fn send_one(&self, topic: &str, partition: u32, key: &[u8], payload: &[u8]) {
        let mut producer = self.backbone.producer("test").unwrap();
        producer.send(topic, partition, key, payload, None, &[]).unwrap();
        producer.flush(DEADLINE).unwrap();
    }

    fn view(&self) -> View {
        View {
            state: self.reader(topics::STORE_INVENTORY),
            items: self.reader(topics::ITEM_INVENTORY),
            cells: BTreeMap::new(),
            totals: BTreeMap::new(),
            barriers: BTreeSet::new(),
        }
    }

    fn reader(&self, topic: &str) -> Reader {
        self.backbone
            .reader_from_beginning("test-view", topic, PARTITIONS)
            .unwrap()
    }
}

/// What a reader of the two views sees.
struct View {
    state: Reader,
    items: Reader,
    /// Floor, back room, lines applied.
    cells: BTreeMap<(LocationId, u32), (i64, i64, u64)>,
    /// On hand, partitions in doubt.
    totals: BTreeMap<u32, (i64, u32)>,
    barriers: BTreeSet<(u32, u32)>,
}

impl View {
    fn read(&mut self) {
        while let Some(record) = self.state.poll(Duration::from_millis(10)).unwrap() {
            match StateKey::parse(record.key()).unwrap() {
                StateKey::Cell { location, sku } => {
                    let cell = Cell::decode(record.payload().unwrap()).unwrap();
                    let shown = (cell.floor, cell.back_room, cell.applied_count);
                    self.cells.insert((location, sku.0), shown);
                }
                StateKey::Barrier { partition, epoch, .. } => {
                    self.barriers.insert((partition, epoch));
                }
                _ => {}
            }
        }
        while let Some(record) = self.items.poll(Duration::from_millis(10)).unwrap() {
            let total = ItemTotal::decode(record.payload().unwrap()).unwrap();
            self.totals
                .insert(total.sku, (total.on_hand, total.uncertain_partitions));
        }
    }

    fn wait_for(&mut self, expected: &Expected) {
        let until = Instant::now() + DEADLINE;
        loop {
            self.read();
            if self.cells == expected.cells && self.totals == expected.totals() {
                return;
            }
            if Instant::now() > until {
                let differ = |(key, cell): &(&(LocationId, u32), &_)| self.cells.get(key) != Some(cell);
                let cells: Vec<_> = expected.cells.iter().filter(differ).take(5).collect();
                let seen: Vec<_> = cells.iter().map(|(key, _)| self.cells.get(key)).collect();
                assert_eq!(self.totals, expected.totals());
                panic!("of {} cells expected {cells:?}, seen {seen:?}", self.cells.len());
            }
        }
    }
}

/// What the movements sent amount to, by plain addition.
#[derive(Default)]
struct Expected {
    cells: BTreeMap<(LocationId, u32), (i64, i64, u64)>,
}

impl Expected {
    fn add(&mut self, movements: &[Movement]) {
        for movement in movements {
            for line in &movement.lines {
                let key = (movement.location.parse().unwrap(), line.sku);
                let cell = self.cells.entry(key).or_default();
                match line.kind() {
                    MovementKind::Sold => cell.0 -= line.quantity,
                    MovementKind::CountedBackRoom => cell.1 += line.quantity,
                    MovementKind::Stocked => {
                        cell.0 += line.quantity;
                        cell.1 -= line.quantity;
                    }
                    other => panic!("{other:?} is not used here"),
                }
                cell.2 += 1;
            }
        }
    }

    fn totals(&self) -> BTreeMap<u32, (i64, u32)> {
        let mut totals = BTreeMap::new();
        for ((_, sku), (floor, back_room, _)) in &self.cells {
            totals.entry(*sku).or_insert((0, 0)).0 += floor + back_room;
        }
        totals
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// One transaction of every store, by its till.
fn round(number: u64) -> Vec<Movement> {
    let line = |sku, kind: MovementKind, quantity| MovementLine {
        sku,
        kind: kind as i32,
        quantity,
    };
    (1..=STORES)
        .map(|store| {
            let sku = |step: u64| 100 + ((number * 7 + step + u64::from(store)) % u64::from(SKUS)) as u32;
            Movement {
                location: LocationId::store(store).to_string(),
                source_kind: SourceKind::Till as i32,
                source_unit: 1,
                business_day: 20_528 + (number / 3_000) as u32,
                number: (number - 1) % 9_999 + 1,
                occurred_ms: number as i64 * 1_000,
                due_ms: now_ms(),
                content_hash: number,
                despatch_advice: 0,
                lines: vec![
                    line(sku(0), MovementKind::CountedBackRoom, 9_000),
                    line(sku(1), MovementKind::Stocked, 2_000),
                    line(sku(1), MovementKind::Sold, 1_000),
                    line(sku(2), MovementKind::Sold, 1_000),
                ],
            }
        })
        .collect()
}

fn rounds(numbers: std::ops::RangeInclusive<u64>) -> Vec<Movement> {
    numbers.flat_map(round).collect()
}

struct Running {
    counters: Arc<Counters>,
    cancel: CancellationToken,
    kill: CancellationToken,
    thread: JoinHandle<Result<(), InventoryError>>,
}

impl Running {
    fn start(kafka: &Kafka, instance: &str) -> Self {
        let config = Config {
            instance: instance.to_owned(),
            flush_min: Duration::from_millis(20),
            item_flush: Duration::from_millis(20),
            ..Config::default()
        };
        let (counters, kill) = (Arc::clone(&config.counters), config.kill.clone());
        let cancel = CancellationToken::new();
        let (backbone, token) = (kafka.backbone.clone(), cancel.clone());
        let thread = std::thread::spawn(move || run(&config, &backbone, &token));
        Self {
            counters,
            cancel,
            kill,
            thread,
        }
    }

    fn wait_until(&self, what: &str, done: impl Fn(&Counters) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !done(&self.counters) {
            assert!(
                !self.thread.is_finished(),
                "the service ended while waiting for {what}"
            );
            assert!(Instant::now() < until, "{what}: {:?}", self.counters);
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    fn stop(self) -> Arc<Counters> {
        self.cancel.cancel();
        self.thread.join().unwrap().unwrap();
        self.counters
    }

    fn kill(self) -> Arc<Counters> {
        self.kill.cancel();
        self.thread.join().unwrap().unwrap();
        self.counters
    }

    fn error(self) -> InventoryError {
        self.thread.join().unwrap().unwrap_err()
    }
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Sends rounds one after the other until it is stopped; gives back how many.
struct Sender {
    is_stopped: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<u64>,
}

impl Sender {
    fn start(kafka: &Kafka) -> Self {
        let (is_stopped, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut producer = kafka.backbone.producer("test-sender").unwrap();
        let thread = std::thread::spawn({
            let (is_stopped, sent) = (Arc::clone(&is_stopped), Arc::clone(&sent));
            move || {
                let mut number = 0;
                while !is_stopped.load(Ordering::Relaxed) {
                    number += 1;
                    for movement in round(number) {
                        let location: LocationId = movement.location.parse().unwrap();
                        let payload = movement.encode_to_vec();
                        let key = movement.location.as_bytes();
                        producer
                            .send(
                                topics::MOVEMENTS,
                                partition_of(location),
                                key,
                                &payload,
                                None,
                                &[],
                            )
                            .unwrap();
                    }
                    producer.flush(DEADLINE).unwrap();
                    sent.store(number, Ordering::Relaxed);
                }
                number
            }
        });
        Self {
            is_stopped,
            sent,
            thread,
        }
    }

    /// Waits for so many rounds more.
    fn wait_for_more(&self, rounds: u64) {
        let until = Instant::now() + DEADLINE;
        let aim = get(&self.sent) + rounds;
        while get(&self.sent) < aim {
            assert!(Instant::now() < until, "nothing more is sent");
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    fn stop(self) -> Expected {
        self.is_stopped.store(true, Ordering::Relaxed);
        let mut expected = Expected::default();
        expected.add(&rounds(1..=self.thread.join().unwrap()));
        expected
    }
}

#[test]
fn movements_become_cells_and_totals_and_the_commit_says_how_far() {
    let kafka = Kafka::start();
    let service = Running::start(&kafka, "one");
    let movements = rounds(1..=50);
    let mut expected = Expected::default();
    expected.add(&movements);
    kafka.send(&movements);
    kafka.send(&movements[..STORES as usize * 5]);
    let mut view = kafka.view();
    view.wait_for(&expected);
    service.wait_until("the repeats", |counters| {
        get(&counters.repeats) == u64::from(STORES) * 5
    });

    let counters = service.stop();
    assert_eq!(get(&counters.transactions), movements.len() as u64);
    assert_eq!(get(&counters.lines), movements.len() as u64 * 4);
    assert_eq!((get(&counters.dead_letters), get(&counters.recoveries)), (0, 0));
    let lag = kafka
        .backbone
        .lag_probe(GROUP, topics::MOVEMENTS, PARTITIONS)
        .unwrap();
    assert_eq!(lag.records(), Some(0), "everything is committed");
    view.read();
    assert_eq!(
        view.barriers,
        (0..PARTITIONS).map(|partition| (partition, 1)).collect()
    );
}

#[test]
fn a_service_that_is_stopped_and_started_goes_on_where_it_was() {
    let kafka = Kafka::start();
    let mut expected = Expected::default();
    for (epoch, numbers) in [(1, 1..=20), (2, 21..=40), (3, 41..=60)] {
        let service = Running::start(&kafka, "one");
        let movements = rounds(numbers);
        expected.add(&movements);
        kafka.send(&movements);
        kafka.view().wait_for(&expected);
        let counters = service.stop();
        assert_eq!(get(&counters.transactions), movements.len() as u64);
        assert_eq!(
            get(&counters.replayed),
            0,
            "a clean stop leaves nothing to read again"
        );
        assert_eq!(get(&counters.epoch), epoch);
    }
}

#[test]
fn a_service_that_is_killed_in_mid_stream_loses_and_doubles_nothing() {
    let kafka = Kafka::start();
    let sender = Sender::start(&kafka);
    let mut applied = 0;
    for life in 1..=5_u64 {
        let service = Running::start(&kafka, "one");
        service.wait_until("something to lose", |counters| {
            get(&counters.transactions) + get(&counters.replayed) > 40 * life && get(&counters.flushes) > 1
        });
        let counters = service.kill();
        applied += get(&counters.transactions);
        sender.wait_for_more(2);
    }
    let expected = sender.stop();
    let service = Running::start(&kafka, "one");
    let mut view = kafka.view();
    view.wait_for(&expected);
    applied += get(&service.stop().transactions);
    assert_eq!(view.barriers.iter().map(|(_, epoch)| *epoch).max(), Some(6));
    let sent = expected.cells.values().map(|cell| cell.2).sum::<u64>() / 4;
    assert!(
        applied > sent,
        "some of it died unflushed and was done again: {applied} of {sent}"
    );
}

#[test]
fn two_instances_share_the_work_and_one_takes_over_when_the_other_goes() {
    let kafka = Kafka::start();
    let sender = Sender::start(&kafka);
    let first = Running::start(&kafka, "first");
    first.wait_until("all partitions", |counters| {
        get(&counters.partitions) == u64::from(PARTITIONS)
    });
    let second = Running::start(&kafka, "second");
    second.wait_until("a share of the partitions", |counters| {
        get(&counters.partitions) == u64::from(PARTITIONS / 2) && get(&counters.transactions) > 100
    });
    first.wait_until("the other share", |counters| {
        get(&counters.partitions) == u64::from(PARTITIONS / 2)
    });
    sender.wait_for_more(5);
    first.stop();
    second.wait_until("all partitions", |counters| {
        get(&counters.partitions) == u64::from(PARTITIONS)
    });
    sender.wait_for_more(5);
    let third = Running::start(&kafka, "third");
    third.wait_until("a share of the partitions", |counters| {
        get(&counters.partitions) > 0
    });
    second.kill();
    let expected = sender.stop();
    kafka.view().wait_for(&expected);
    let counters = third.stop();
    assert_eq!(get(&counters.stale_records), 0);
}

#[test]
fn what_cannot_be_placed_goes_whole_to_the_dead_letters() {
    let kafka = Kafka::start();
    let service = Running::start(&kafka, "one");
    let mut reused = round(1).remove(0);
    kafka.send(&[reused.clone()]);
    reused.content_hash += 1;
    let mut unclear = reused.clone();
    unclear.number = 7_000;
    let mut stranger = reused.clone();
    stranger.source_unit = 70_000;
    kafka.send(&[reused.clone(), unclear.clone(), stranger.clone()]);
    let location: LocationId = reused.location.parse().unwrap();
    let elsewhere = (partition_of(location) + 1) % PARTITIONS;
    let whole = reused.encode_to_vec();
    kafka.send_one(topics::MOVEMENTS, elsewhere, b"misplaced", &whole);
    kafka.send_one(topics::MOVEMENTS, elsewhere, b"junk", b"no movement");

    let reader = kafka.reader(topics::DEAD_LETTERS);
    let mut found = BTreeMap::new();
    let until = Instant::now() + DEADLINE;
    while found.len() < 5 {
        assert!(Instant::now() < until, "{found:?}");
        let Some(record) = reader.poll(Duration::from_millis(20)).unwrap() else {
            continue;
        };
        let header = |name| String::from_utf8(record.header(name).unwrap().to_vec()).unwrap();
        assert_eq!(header(headers::DLQ_TOPIC), topics::MOVEMENTS);
        assert!(!header(headers::DLQ_MESSAGE).is_empty());
        let position = (header(headers::DLQ_PARTITION), header(headers::DLQ_OFFSET));
        found.insert(
            position,
            (header(headers::DLQ_CLASS), record.payload().unwrap().to_vec()),
        );
    }
    let (home, other) = (partition_of(location).to_string(), elsewhere.to_string());
    let expected = [
        (&home, "1", "content-reused", whole.clone()),
        (&home, "2", "identity-unclear", unclear.encode_to_vec()),
        (&home, "3", "undecodable", stranger.encode_to_vec()),
        (&other, "0", "misrouted", whole),
        (&other, "1", "undecodable", b"no movement".to_vec()),
    ];
    for (partition, offset, class, payload) in expected {
        let letter = &found[&(partition.clone(), offset.to_owned())];
        assert_eq!(*letter, (class.to_owned(), payload));
    }
    assert_eq!(get(&service.stop().dead_letters), 5);
}

#[test]
fn a_state_of_another_partition_count_is_refused() {
    let kafka = Kafka::start();
    let head = Head {
        epoch: 1,
        partitions: PARTITIONS + 1,
        ..Head::default()
    };
    let key = StateKey::Head { partition: 4 }.to_bytes();
    kafka.send_one(topics::STORE_INVENTORY, 4, &key, &head.encode_to_vec());
    let error = Running::start(&kafka, "one").error();
    assert!(
        matches!(error, InventoryError::PartitionCount { partition: 4, .. }),
        "{error}"
    );
}

#[test]
fn a_state_that_is_ahead_of_its_log_is_refused() {
    let kafka = Kafka::start();
    kafka.send(&rounds(1..=2));
    let head = Head {
        epoch: 1,
        cut: 1_000,
        partitions: PARTITIONS,
        ..Head::default()
    };
    let key = StateKey::Head { partition: 3 }.to_bytes();
    kafka.send_one(topics::STORE_INVENTORY, 3, &key, &head.encode_to_vec());
    let error = Running::start(&kafka, "one").error();
    assert!(
        matches!(
            error,
            InventoryError::LogShort {
                partition: 3,
                needed: 1_000,
                ..
            }
        ),
        "{error}"
    );
}

/// A state of five rounds whose owner is gone, and in which a cell is not what it was.
fn forged(applied_offset: u64) -> (Kafka, Expected) {
    let kafka = Kafka::start();
    let service = Running::start(&kafka, "one");
    let movements = rounds(1..=5);
    let mut expected = Expected::default();
    expected.add(&movements);
    kafka.send(&movements);
    kafka.view().wait_for(&expected);
    service.stop();
    let ((location, sku), _) = expected.cells.first_key_value().unwrap();
    let key = StateKey::Cell {
        location: *location,
        sku: contracts::ids::Sku(*sku),
    };
    let forged = Cell {
        floor: 5,
        epoch: 2,
        applied_offset,
        ..Cell::default()
    };
    let partition = partition_of(*location);
    let payload = forged.encode_to_vec();
    kafka.send_one(topics::STORE_INVENTORY, partition, &key.to_bytes(), &payload);
    (kafka, expected)
}

#[test]
fn a_state_that_is_not_what_its_head_says_is_made_anew() {
    let (kafka, expected) = forged(1);
    let service = Running::start(&kafka, "one");
    kafka.view().wait_for(&expected);
    assert_eq!(get(&service.stop().partitions_rebuilt), 1);
}

#[test]
fn a_cell_that_is_ahead_of_the_log_is_refused() {
    let (kafka, _) = forged(1_000);
    let error = Running::start(&kafka, "one").error();
    assert!(matches!(error, InventoryError::LogShort { .. }), "{error}");
}

#[test]
fn movements_that_are_another_topic_than_the_state_was_made_from_are_refused() {
    let kafka = Kafka::start();
    let head = Head {
        epoch: 1,
        partitions: PARTITIONS,
        topic_id: "AAAAAAAAAAAAAAAAAAAAAA".into(),
        ..Head::default()
    };
    let key = StateKey::Head { partition: 4 }.to_bytes();
    kafka.send_one(topics::STORE_INVENTORY, 4, &key, &head.encode_to_vec());
    let error = Running::start(&kafka, "one").error();
    assert!(
        matches!(&error, InventoryError::OtherTopic { partition: 4, expected, .. } if expected.len() > 10),
        "{error}"
    );
}

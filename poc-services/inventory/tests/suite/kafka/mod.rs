//! The embedded broker, a sender, the service in a thread, and what a reader sees.

#[path = "../../../../backbone/tests/support/kafka.rs"]
mod broker;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use backbone::Reader;
pub use broker::Kafka;
use contracts::ids::LocationId;
use contracts::records::{Cell, ItemTotal, Movement, MovementKind, MovementLine, SourceKind};
use contracts::topics::{self, PARTITIONS, StateKey, partition_of};
use inventory::{Config, Counters, InventoryError, run};
use prost::Message as _;
use tokio_util::sync::CancellationToken;

/// A hang must end; nothing here waits so long otherwise.
pub const DEADLINE: Duration = Duration::from_mins(1);
const READ_AT_ONCE: usize = 1_000;
pub const STORES: u16 = 24;
pub const SKUS: u32 = 12;

impl Kafka {
    pub fn send(&self, movements: &[Movement]) {
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

    pub fn send_one(&self, topic: &str, partition: u32, key: &[u8], payload: &[u8]) {
        broker::send(&self.backbone, topic, [(partition, key, payload)]);
    }

    /// Deletes the records of a partition below an offset.
    pub fn trim(&self, topic: &str, partition: u32, below: u64) {
        self.runtime
            .block_on(self.backbone.delete_records(topic, &[(partition, below)]))
            .unwrap();
    }

    pub fn leader_epoch(&self, topic: &str, partition: u32) -> i32 {
        self.broker.stats().topics[topic][partition as usize].leader_epoch
    }

    /// Each node goes and comes back: the leaders move, and nothing is lost.
    pub fn move_leaders(&self) {
        for node in 1..=3 {
            self.runtime.block_on(self.broker.stop_node(node)).unwrap();
            self.runtime.block_on(self.broker.start_node(node)).unwrap();
        }
    }

    pub fn view(&self) -> View {
        View {
            state: self.reader(topics::STORE_INVENTORY),
            items: self.reader(topics::ITEM_INVENTORY),
            cells: BTreeMap::new(),
            totals: BTreeMap::new(),
            barriers: BTreeSet::new(),
        }
    }

    pub fn reader(&self, topic: &str) -> Reader {
        self.backbone
            .reader_from_beginning("test-view", topic, PARTITIONS)
            .unwrap()
    }
}

/// What a reader of the two views sees.
pub struct View {
    pub state: Reader,
    pub items: Reader,
    /// Floor, back room, lines applied.
    pub cells: BTreeMap<(LocationId, u32), (i64, i64, u64)>,
    /// On hand, partitions in doubt.
    pub totals: BTreeMap<u32, (i64, u32)>,
    pub barriers: BTreeSet<(u32, u32)>,
}

impl View {
    /// Some more of both; never without end, though somebody writes all the time.
    pub fn read(&mut self) {
        for _ in 0..READ_AT_ONCE {
            let Some(record) = self.state.poll(Duration::from_millis(10)).unwrap() else {
                break;
            };
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
        for _ in 0..READ_AT_ONCE {
            let Some(record) = self.items.poll(Duration::from_millis(10)).unwrap() else {
                break;
            };
            if record.key().starts_with(b"b/") {
                continue;
            }
            let total = ItemTotal::decode(record.payload().unwrap()).unwrap();
            self.totals
                .insert(total.sku, (total.on_hand, total.uncertain_partitions));
        }
    }

    pub fn wait_for_cells(&mut self, expected: &Expected) {
        let until = Instant::now() + DEADLINE;
        while self.cells != expected.cells {
            assert!(Instant::now() < until, "{} cells", self.cells.len());
            self.read();
        }
    }

    pub fn wait_for(&mut self, expected: &Expected) {
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
pub struct Expected {
    pub cells: BTreeMap<(LocationId, u32), (i64, i64, u64)>,
}

impl Expected {
    pub fn add(&mut self, movements: &[Movement]) {
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

    pub fn totals(&self) -> BTreeMap<u32, (i64, u32)> {
        let mut totals = BTreeMap::new();
        for ((_, sku), (floor, back_room, _)) in &self.cells {
            totals.entry(*sku).or_insert((0, 0)).0 += floor + back_room;
        }
        totals
    }
}

pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// One transaction of every store, by its till.
pub fn round(number: u64) -> Vec<Movement> {
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
                lines: vec![
                    line(sku(0), MovementKind::CountedBackRoom, 9_000),
                    line(sku(1), MovementKind::Stocked, 2_000),
                    line(sku(1), MovementKind::Sold, 1_000),
                    line(sku(2), MovementKind::Sold, 1_000),
                ],
                ..Movement::default()
            }
        })
        .collect()
}

pub fn rounds(numbers: std::ops::RangeInclusive<u64>) -> Vec<Movement> {
    numbers.flat_map(round).collect()
}

pub fn config(instance: &str) -> Config {
    Config {
        instance: instance.to_owned(),
        flush_min: Duration::from_millis(20),
        item_flush: Duration::from_millis(20),
        idle_head: Duration::from_millis(100),
        ..Config::default()
    }
}

pub struct Running {
    pub counters: Arc<Counters>,
    pub cancel: CancellationToken,
    pub kill: CancellationToken,
    pub thread: JoinHandle<Result<(), InventoryError>>,
}

impl Running {
    pub fn start(kafka: &Kafka, instance: &str) -> Self {
        Self::start_as(kafka, config(instance), || {})
    }

    /// `begin` runs first in the service's thread.
    pub fn start_as(kafka: &Kafka, config: Config, begin: impl FnOnce() + Send + 'static) -> Self {
        let (counters, kill) = (Arc::clone(&config.counters), config.kill.clone());
        let cancel = CancellationToken::new();
        let (backbone, token) = (kafka.backbone.clone(), cancel.clone());
        let thread = std::thread::spawn(move || {
            begin();
            run(&config, &backbone, &token)
        });
        Self {
            counters,
            cancel,
            kill,
            thread,
        }
    }

    pub fn wait_until(&self, what: &str, done: impl Fn(&Counters) -> bool) {
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

    pub fn stop(self) -> Arc<Counters> {
        self.cancel.cancel();
        let counters = Arc::clone(&self.counters);
        self.end().unwrap();
        counters
    }

    pub fn kill(self) -> Arc<Counters> {
        self.kill.cancel();
        let counters = Arc::clone(&self.counters);
        self.end().unwrap();
        counters
    }

    pub fn error(self) -> InventoryError {
        self.end().unwrap_err()
    }

    fn end(self) -> Result<(), InventoryError> {
        let until = Instant::now() + DEADLINE;
        while !self.thread.is_finished() {
            assert!(Instant::now() < until, "it does not end: {:?}", self.counters);
            std::thread::park_timeout(Duration::from_millis(2));
        }
        self.thread.join().unwrap()
    }
}

pub fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Sends rounds one after the other until it is stopped; gives back how many.
pub struct Sender {
    is_stopped: Arc<AtomicBool>,
    pub sent: Arc<AtomicU64>,
    pub thread: JoinHandle<u64>,
}

impl Sender {
    pub fn start(kafka: &Kafka) -> Self {
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
    pub fn wait_for_more(&self, rounds: u64) {
        let until = Instant::now() + DEADLINE;
        let aim = get(&self.sent) + rounds;
        while get(&self.sent) < aim {
            assert!(Instant::now() < until, "nothing more is sent");
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    pub fn stop(self) -> Expected {
        self.is_stopped.store(true, Ordering::Relaxed);
        let mut expected = Expected::default();
        expected.add(&rounds(1..=self.thread.join().unwrap()));
        expected
    }
}

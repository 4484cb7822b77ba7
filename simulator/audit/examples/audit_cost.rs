//! What the audit costs at Acme's full size: `cargo run --release -p audit --example audit_cost`.
//!
//! 2,300 stores of 500 SKUs and 12 warehouses of 5,000. Printed: a record taken, a look at all cells when nothing, a
//! seventh and everything has changed, a snapshot, the verdict, and reading the same records from the embedded broker.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{Audit, AuditConfig, Comparison, Mark};
use contracts::ids::{BusinessDay, LocationId, Sku, SourceId, TimeMs, TransactionId};
use contracts::records::{Cell, MovementKind};
use contracts::topics::{ITEM_INVENTORY, PARTITIONS, STORE_INVENTORY, StateKey, partition_of};
use embedded::broker::{Broker, BrokerOptions};
use ledger::{Assortment, Ledger, Line, TrueCell};
use prost::Message as _;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

struct Record {
    partition: u32,
    key: Vec<u8>,
    value: Vec<u8>,
}

fn assortments() -> Vec<Assortment> {
    let skus = |from: u32, count: u32| {
        (0..count)
            .map(|i| Sku(100_000 + (from + i * 7) % 5_000))
            .collect::<Vec<_>>()
    };
    let sorted = |mut skus: Vec<Sku>| {
        skus.sort_unstable();
        skus
    };
    let stores = (1..=2_300).map(|number| Assortment {
        location: LocationId::store(number),
        skus: sorted(skus(u32::from(number) * 13, 500)),
    });
    let warehouses = (1..=12).map(|number| Assortment {
        location: LocationId::warehouse(number),
        skus: sorted(skus(0, 5_000)),
    });
    stores.chain(warehouses).collect()
}

/// A transaction of one line at every `step`th cell of every place.
fn happen(truth: &Ledger, number: u64, step: usize) -> u64 {
    let mut lines = 0;
    for place in 0..truth.places() {
        let mut place = truth.place(place);
        for slot in (0..place.skus.len()).step_by(step) {
            let source = SourceId::till(place.location, 1);
            let id = TransactionId {
                source,
                business_day: BusinessDay(number as u32),
                number: slot as u64,
            };
            let kind = MovementKind::ALL[slot % MovementKind::ALL.len()];
            let line = Line {
                sku: place.skus[slot],
                slot: slot as u16,
                kind,
                quantity: 1_000 + slot as i64,
            };
            place.apply(&id, &[line]);
            lines += 1;
        }
    }
    lines
}

fn cell(truth: &TrueCell, applied_offset: u64) -> Cell {
    Cell {
        floor: truth.floor,
        back_room: truth.back_room,
        counted: truth.counted,
        supplied: truth.supplied,
        received: truth.received,
        shipped: truth.shipped,
        sold: truth.sold,
        returned: truth.returned,
        adjusted: truth.adjusted,
        stocked: truth.stocked,
        stored: truth.stored,
        applied_offset,
        epoch: 3,
        applied_count: truth.lines,
        applied_hash: truth.hash,
        due_ms_min: 1_773_480_413_000,
        due_ms_max: 1_773_480_413_100,
        new_lines: 1,
    }
}

/// A record of every cell, in an order that no cache likes.
fn records(truth: &Ledger, offset: u64) -> Vec<Record> {
    let mut records = Vec::with_capacity(truth.cells());
    for place in 0..truth.places() {
        let place = truth.place(place);
        let (location, partition) = (place.location, partition_of(place.location));
        for (sku, truth) in place.skus.iter().zip(&place.cells) {
            records.push(Record {
                partition,
                key: StateKey::Cell { location, sku: *sku }.to_bytes(),
                value: cell(truth, offset).encode_to_vec(),
            });
        }
    }
    let mut state = 42_u64;
    for index in (1..records.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        records.swap(index, (state >> 33) as usize % (index + 1));
    }
    records
}

fn feed(comparison: &mut Comparison, records: &[Record]) -> Duration {
    let started = Instant::now();
    for record in records {
        comparison.take_cell(
            record.partition,
            black_box(&record.key),
            Some(&record.value),
            1_773_480_413_200,
        );
    }
    started.elapsed()
}

fn tell(what: &str, took: Duration, count: usize) {
    println!(
        "{what:<58} {:>10.3} ms {:>8.1} ns each of {count}",
        took.as_secs_f64() * 1e3,
        took.as_nanos() as f64 / count as f64
    );
}

fn timed<T>(action: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let result = action();
    (result, started.elapsed())
}

/// 1,000,000 transactions of ten lines, of which one in so many is lost or doubled.
fn blame(one_in: u64) {
    let assortments = assortments();
    let each = |take: &mut dyn FnMut(u64, &TransactionId, &[Line])| {
        let mut state = 7_u64;
        let mut below = |bound: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % bound
        };
        for number in 0..1_000_000_u64 {
            let place = &assortments[below(2_300)];
            let source = SourceId::till(place.location, 1 + below(8) as u16);
            let id = TransactionId {
                source,
                business_day: BusinessDay(1),
                number,
            };
            let lines = [(); 10].map(|()| {
                // Some articles sell much more than others.
                let slot = below(500).min(below(500)).min(below(500));
                Line {
                    sku: place.skus[slot],
                    slot: slot as u16,
                    kind: MovementKind::Sold,
                    quantity: 1_000,
                }
            });
            take(number, &id, &lines);
        }
    };
    let (truth, view) = (Ledger::new(&assortments), Ledger::new(&assortments));
    each(&mut |number, id, lines| {
        let place = truth.position(id.source.location).expect("a place of the world");
        truth.place(place).apply(id, lines);
        let hit = number.is_multiple_of(one_in);
        for _ in 0..if hit { number / one_in % 2 * 2 } else { 1 } {
            view.place(place).apply(id, lines);
        }
    });
    let mut comparison = Comparison::new(&truth);
    feed(&mut comparison, &records(&view, 1));
    let findings = comparison.compare(&truth);
    let ((), replay) = timed(|| each(&mut |_, id, _| _ = black_box(id)));
    let (report, took) =
        timed(|| findings.explain(true, |take| each(&mut |_, id, lines| take(id, TimeMs(0), lines))));
    tell(
        &format!("blame, one in {one_in} lost or doubled, world apart"),
        took.saturating_sub(replay),
        1_000_000,
    );
    println!(
        "  {} cells diverge, {} unexplained; lost {}, doubled {}, torn {}",
        report.cells_diverging,
        report.unexplained_cells,
        report.transactions_lost.count,
        report.transactions_doubled.count,
        report.transactions_torn.count
    );
}

/// Processor time of this process.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<u64>().ok())
            .unwrap_or_default()
    };
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn pure(truth: &Ledger) {
    let cells = truth.cells();
    let (mut comparison, took) = timed(|| Comparison::new(truth));
    tell("set up", took, cells);
    let every = records(truth, 1);
    let bytes: usize = every.iter().map(|record| record.value.len()).sum();
    println!("a value has {} bytes", bytes / every.len());
    tell(
        "records taken, first of each cell, random order",
        feed(&mut comparison, &every),
        cells,
    );
    tell(
        "records taken, second of each cell, random order",
        feed(&mut comparison, &records(truth, 2)),
        cells,
    );
    tell(
        "look at all, all changed",
        timed(|| comparison.look(truth)).1,
        cells,
    );
    tell(
        "look at all, nothing changed",
        timed(|| comparison.look(truth)).1,
        cells,
    );
    let lines = happen(truth, 2, 7) as usize;
    tell(
        "look at all, a seventh changed and not yet in the view",
        timed(|| comparison.look(truth)).1,
        cells,
    );
    tell(
        "look at all, the same again",
        timed(|| comparison.look(truth)).1,
        cells,
    );
    tell(
        "look at all, what changed has come",
        {
            feed(&mut comparison, &records(truth, 3));
            timed(|| comparison.look(truth)).1
        },
        lines,
    );
    // The first one also pays for the records that were let go before it.
    black_box(comparison.snapshot());
    tell("snapshot", timed(|| comparison.snapshot()).1, truth.places());
    let (mut mark, took) = timed(|| Mark::now(truth));
    tell("mark", took, cells);
    tell(
        "behind, first time",
        timed(|| comparison.behind(truth, &mut mark)).1,
        cells,
    );
    tell(
        "behind, then",
        timed(|| comparison.behind(truth, &mut mark)).1,
        cells,
    );
    tell("verdict", timed(|| comparison.compare(truth)).1, cells);
}

async fn kafka(truth: Arc<Ledger>) {
    let options = BrokerOptions {
        memory_bytes: 3 << 30,
        ..BrokerOptions::default()
    };
    let broker = Broker::start(options).await.expect("the broker starts");
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", broker.bootstrap());
    let admin: AdminClient<DefaultClientContext> = client.create().expect("a client");
    let topics = [STORE_INVENTORY, ITEM_INVENTORY]
        .map(|name| NewTopic::new(name, PARTITIONS as i32, TopicReplication::Fixed(1)));
    admin
        .create_topics(&topics, &AdminOptions::new())
        .await
        .expect("topics");
    client
        .set("linger.ms", "20")
        .set("queue.buffering.max.kbytes", "2000000")
        .set("queue.buffering.max.messages", "4000000");
    let producer: BaseProducer = client.create().expect("a producer");
    let every = records(&truth, 1);
    for record in &every {
        let mut message = BaseRecord::to(STORE_INVENTORY)
            .partition(record.partition as i32)
            .key(&record.key)
            .payload(&record.value);
        while let Err((error, back)) = producer.send(message) {
            assert!(
                matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)),
                "{error}"
            );
            producer.poll(Duration::from_millis(5));
            message = back;
        }
    }
    producer.flush(Duration::from_mins(1)).expect("all acknowledged");
    let before = cpu();
    let (audit, took) = timed(|| {
        let audit =
            Audit::start(&AuditConfig::new(broker.bootstrap()), Arc::clone(&truth)).expect("an audit");
        audit.drain(Duration::from_mins(2), |_| {}).expect("all is read");
        audit
    });
    tell(
        "read from the embedded broker, wall time with set-up",
        took,
        every.len(),
    );
    tell(
        "the same, processor time with broker and set-up",
        cpu().saturating_sub(before),
        every.len(),
    );
    assert_eq!(audit.snapshot().cells_diverging, 0);
    if let Ok(text) = std::fs::read_dir("/proc/self/task") {
        for task in text.flatten() {
            let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let stat = read("schedstat");
            let ns: u64 = stat
                .split_whitespace()
                .next()
                .and_then(|ns| ns.parse().ok())
                .unwrap_or_default();
            if ns > 50_000_000 {
                println!("  thread {:<20} {:>8.1} ms", read("comm").trim(), ns as f64 / 1e6);
            }
        }
    }
}

fn main() {
    let truth = Arc::new(Ledger::new(&assortments()));
    happen(&truth, 1, 1);
    pure(&truth);
    for one_in in [100_000, 1_000, 50, 5, 1] {
        blame(one_in);
    }
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async { tokio::task::spawn(kafka(truth)).await.expect("it ran") });
}

//! What it costs never to be wrong: the store stage with offsets in its cells, windows, epochs and digests, against the
//! same counting without any of them.
//!
//! `cargo run --release -p inventory --example state_cost [-- PAIRS TRANSACTIONS WHOLE RECEIPTS]`: 12 pairs of 100,000
//! baskets over 1.15M cells by default, then 6 pairs of the whole pipeline with 300,000 receipts; 0 pairs leave a part out.
//! Both sides in one process, in pairs, neither always first; the median of the ratios with its 95 % interval. Once over
//! the embedded broker, as the service works, once into nothing, which leaves the bare computation and makes the share as
//! large as it can be, and once with everything before it: load, gateway, queue, normaliser. CPU time of the process
//! counts, which other work on the machine changes less than it does the wall time, given beside it.

mod bare;
#[path = "../../src/bit_set.rs"]
#[allow(dead_code, reason = "the service's own, of which a part is needed")]
mod bit_set;
#[path = "../../src/fast_hash.rs"]
mod fast_hash;
mod logs;
#[path = "../support/movements.rs"]
mod movements;
mod statistics;
mod whole;

use std::time::{Duration, Instant};

use backbone::{Backbone, BackboneOptions, OffsetKeeper, Reader};
use bare::Bare;
use contracts::topics::{self, MOVEMENTS, PARTITIONS};
use embedded::broker::{Broker, BrokerOptions};
use inventory::{Applied, Counters, Group as _, InventoryError, Log, Owned, Partition, Transaction, flush};
use logs::{Commits, Kafka, Nowhere};
use movements::{Baskets, LINES, Payload, opening};

const STORES: u32 = 2_300;
const SKUS: u32 = 500;
/// What a flush of one or two seconds holds at the highest rate of the ladder.
const FLUSH_EVERY: usize = 20_000;
const POLL: Duration = Duration::from_secs(10);

/// One of the two.
enum Side {
    Safe {
        owned: Vec<Owned>,
        counters: Box<Counters>,
    },
    Bare(Vec<Bare>),
}

impl Side {
    fn safe() -> Self {
        Self::Safe {
            owned: (0..PARTITIONS)
                .map(|number| Owned::new(Partition::new(number)))
                .collect(),
            counters: Box::default(),
        }
    }

    fn bare() -> Self {
        Self::Bare((0..PARTITIONS).map(Bare::new).collect())
    }

    /// Whether it was new; the bare side believes so of everything.
    fn take(&mut self, partition: u32, offset: u64, transaction: &Transaction) -> bool {
        match self {
            Self::Safe { owned, counters } => {
                let applied = owned[partition as usize].state.apply(transaction, offset, None);
                counters.digested(partition, offset, transaction, applied);
                assert!(!matches!(applied, Applied::Refused(_)), "{applied:?}");
                matches!(applied, Applied::New { .. })
            }
            Self::Bare(bare) => {
                bare[partition as usize].apply(transaction, offset);
                true
            }
        }
    }

    fn flush(&mut self, log: &mut impl Log, group: &Commits<'_>) -> Result<u64, InventoryError> {
        match self {
            Self::Safe { owned, counters } => Ok(flush(owned, log, group, counters)?.cells),
            Self::Bare(bare) => {
                let mut cells = 0;
                for partition in bare.iter_mut() {
                    cells += partition.flush(log)?;
                }
                log.acknowledged()?;
                let next: Vec<_> = (0..).zip(bare.iter().map(|partition| partition.next)).collect();
                group.commit(&next, 0)?;
                Ok(cells)
            }
        }
    }
}

/// Where transactions come from.
enum Source<'a> {
    Memory {
        payloads: &'a [Payload],
        next: &'a mut [u64; PARTITIONS as usize],
    },
    Kafka {
        reader: &'a Reader,
        count: usize,
    },
}

/// CPU seconds, wall seconds and cells written.
struct Took {
    cpu: f64,
    wall: f64,
    cells: u64,
}

/// Takes all of a source, with a flush each so many, and one at the end.
fn run(
    side: &mut Side,
    source: Source<'_>,
    log: &mut impl Log,
    group: &Commits<'_>,
) -> Result<Took, InventoryError> {
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let mut transaction = Transaction::default();
    let mut since = 0;
    let mut cells = 0;
    let mut take = |partition, offset, payload: &[u8]| -> Result<(), InventoryError> {
        transaction.read(payload).expect("the payload is one of ours");
        assert!(side.take(partition, offset, &transaction), "each comes once");
        since += 1;
        if since == FLUSH_EVERY {
            since = 0;
            cells += side.flush(log, group)?;
        }
        Ok(())
    };
    match source {
        Source::Memory { payloads, next } => {
            for (partition, payload) in payloads {
                let offset = &mut next[*partition as usize];
                take(*partition, *offset, payload)?;
                *offset += 1;
            }
        }
        Source::Kafka { reader, count } => {
            for _ in 0..count {
                let record = reader.poll(POLL)?.expect("the broker hands out what it has");
                take(
                    record.partition(),
                    record.offset(),
                    record.payload().unwrap_or_default(),
                )?;
            }
        }
    }
    cells += side.flush(log, group)?;
    Ok(Took {
        cpu: cpu_seconds() - cpu,
        wall: wall.elapsed().as_secs_f64(),
        cells,
    })
}

/// User and system time of all threads that live, in nanoseconds as the scheduler has them.
fn cpu_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux' /proc");
    let nanoseconds = |task: std::fs::DirEntry| -> Option<u64> {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    tasks.flatten().filter_map(nanoseconds).sum::<u64>() as f64 / 1e9
}

/// A broker with clients, for one side alone.
struct Stand {
    runtime: tokio::runtime::Runtime,
    broker: Broker,
    backbone: Backbone,
    reader: Reader,
    keeper: OffsetKeeper,
    log: Kafka,
    side: Side,
}

impl Stand {
    fn start(side: Side, memory_bytes: usize) -> Result<Self, InventoryError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let options = BrokerOptions {
            memory_bytes,
            ..BrokerOptions::default()
        };
        let broker = runtime.block_on(Broker::start(options)).expect("a broker");
        let backbone = Backbone::connect(BackboneOptions {
            bootstrap: broker.bootstrap(),
            label: "embedded".into(),
            settings: Vec::new(),
            compress: false,
        })?;
        runtime.block_on(backbone.ensure_topics(&topics::ALL))?;
        Ok(Self {
            reader: backbone.reader_from_beginning("state-cost", MOVEMENTS, PARTITIONS)?,
            keeper: backbone.offset_keeper("state-cost-commits", inventory::GROUP)?,
            log: Kafka(backbone.producer("state-cost")?),
            backbone,
            side,
            broker,
            runtime,
        })
    }

    /// All is there before the measurement begins.
    fn send(&self, payloads: &[Payload]) -> Result<(), InventoryError> {
        let mut producer = self.backbone.producer("state-cost-tills")?;
        for (partition, payload) in payloads {
            producer.gather(MOVEMENTS, *partition, b"S", Some(payload))?;
        }
        Ok(producer.flush(Duration::from_mins(1))?)
    }

    fn run(&mut self, payloads: &[Payload]) -> Result<Took, InventoryError> {
        self.send(payloads)?;
        let source = Source::Kafka {
            reader: &self.reader,
            count: payloads.len(),
        };
        run(
            &mut self.side,
            source,
            &mut self.log,
            &Commits(Some(&self.keeper)),
        )
    }
}

/// A side without a broker.
struct Alone {
    side: Side,
    log: Nowhere,
    next: [u64; PARTITIONS as usize],
}

impl Alone {
    fn new(side: Side) -> Self {
        Self {
            side,
            log: Nowhere::default(),
            next: [0; PARTITIONS as usize],
        }
    }

    fn run(&mut self, payloads: &[Payload]) -> Result<Took, InventoryError> {
        let source = Source::Memory {
            payloads,
            next: &mut self.next,
        };
        run(&mut self.side, source, &mut self.log, &Commits(None))
    }
}

/// Alternates between the two and prints what came of it.
fn compare(
    what: &str,
    pairs: usize,
    transactions: usize,
    mut safe: impl FnMut(&[Payload]) -> Result<Took, InventoryError>,
    mut bare: impl FnMut(&[Payload]) -> Result<Took, InventoryError>,
) -> Result<(), InventoryError> {
    let opening = opening(STORES, SKUS);
    safe(&opening)?;
    bare(&opening)?;
    drop(opening);
    let mut baskets = Baskets::new(STORES, SKUS);
    let mut ratios = Ratios::default();
    for pair in 0..pairs {
        let payloads = baskets.next(transactions);
        let (with, without) = if pair % 2 == 0 {
            let with = safe(&payloads)?;
            (with, bare(&payloads)?)
        } else {
            let without = bare(&payloads)?;
            (safe(&payloads)?, without)
        };
        // Two readers get the partitions in other orders, so their flushes do not cut at the same transactions.
        let differ = with.cells.abs_diff(without.cells);
        assert!(differ < without.cells / 20, "both do the same work: {differ}");
        ratios.push(&with, &without, transactions as u64);
    }
    ratios.print(what, &format!("baskets of {LINES} lines"), transactions as u64);
    Ok(())
}

/// What came of the pairs.
#[derive(Default)]
struct Ratios {
    cpu: Vec<f64>,
    wall: Vec<f64>,
    with: Vec<f64>,
    without: Vec<f64>,
}

impl Ratios {
    fn push(&mut self, with: &Took, without: &Took, transactions: u64) {
        self.cpu.push(100.0 * (with.cpu / without.cpu - 1.0));
        self.wall.push(100.0 * (with.wall / without.wall - 1.0));
        self.with.push(1e6 * with.cpu / transactions as f64);
        self.without.push(1e6 * without.cpu / transactions as f64);
    }

    fn print(&self, what: &str, kind: &str, transactions: u64) {
        let [with, without] = [&self.with, &self.without].map(|values| statistics::median_of(values).0);
        println!(
            "{what}: {with:.2} CPU µs a transaction with, {without:.2} without; {} pairs of {transactions} {kind}",
            self.cpu.len()
        );
        for (name, values) in [("CPU", &self.cpu), ("wall", &self.wall)] {
            let (median, low, high) = statistics::median_of(values);
            println!("  {name:<5} {median:+.1} % (95 %: {low:+.1} to {high:+.1})");
        }
    }
}

/// The same for the whole pipeline, which begins anew in each run.
fn compare_whole(pairs: usize, receipts: u64) -> Result<(), Failure> {
    let mut ratios = Ratios::default();
    let mut all = 0;
    for pair in 0..pairs {
        let ((with, transactions), (without, same)) = if pair % 2 == 0 {
            let with = whole::run(Side::safe(), receipts)?;
            (with, whole::run(Side::bare(), receipts)?)
        } else {
            let without = whole::run(Side::bare(), receipts)?;
            (whole::run(Side::safe(), receipts)?, without)
        };
        assert_eq!(transactions, same, "the same world");
        eprintln!(
            "pair {}: {:.1} and {:.1} CPU s, {:.1} and {:.1} s, {} and {} cells written",
            pair + 1,
            with.cpu,
            without.cpu,
            with.wall,
            without.wall,
            with.cells,
            without.cells
        );
        ratios.push(&with, &without, transactions);
        all = transactions;
    }
    let kind = format!("transactions ({receipts} of them receipts)");
    ratios.print("the whole pipeline", &kind, all);
    Ok(())
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| {
        arguments
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (pairs, transactions) = (number(12), number(100_000));
    let (whole_pairs, receipts) = (number(6), number(300_000));
    println!("{} cells, a flush each {FLUSH_EVERY} transactions", STORES * SKUS);
    if pairs > 0 {
        let (mut safe, mut bare) = (
            Stand::start(Side::safe(), 2 << 30)?,
            Stand::start(Side::bare(), 2 << 30)?,
        );
        compare(
            "over the embedded broker",
            pairs,
            transactions,
            |payloads| safe.run(payloads),
            |payloads| bare.run(payloads),
        )?;
        drop((safe, bare));
        let (mut safe, mut bare) = (Alone::new(Side::safe()), Alone::new(Side::bare()));
        compare(
            "into nothing",
            pairs,
            transactions,
            |payloads| safe.run(payloads),
            |payloads| bare.run(payloads),
        )?;
    }
    if whole_pairs > 0 {
        compare_whole(whole_pairs, receipts as u64)?;
    }
    Ok(())
}

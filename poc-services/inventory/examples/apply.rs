//! What a transaction, a cell and a restore cost, on one core and without Kafka.
//!
//! `cargo run --release -p inventory --example apply [-- STORES SKUS_A_STORE]`: 2,300 stores of 500 SKUs by default, baskets
//! of ten lines from a million transactions made beforehand. Prints microseconds, nanoseconds, seconds and MiB.

#[path = "support/movements.rs"]
mod movements;

use std::time::{Duration, Instant};

use contracts::topics::PARTITIONS;
use inventory::{
    Counters, Group, InventoryError, Log, OutTopic, Owned, Partition, Restore, Taker, Transaction, flush,
};
use movements::{Baskets, opening};

const TRANSACTIONS: usize = 1_000_000;

/// Keeps what is written to the state, or only counts it.
#[derive(Default)]
struct Written {
    is_kept: bool,
    records: u64,
    bytes: u64,
    ends: [[u64; PARTITIONS as usize]; 3],
    state: Vec<Vec<(Vec<u8>, Vec<u8>)>>,
}

impl Log for Written {
    fn send(
        &mut self,
        topic: OutTopic,
        partition: u32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), InventoryError> {
        self.records += 1;
        self.ends[topic as usize][partition as usize] += 1;
        self.bytes += (key.len() + value.len()) as u64;
        if self.is_kept && topic == OutTopic::State {
            self.state[partition as usize].push((key.to_vec(), value.to_vec()));
        }
        Ok(())
    }

    fn delete(&mut self, topic: OutTopic, partition: u32, _: &[u8]) -> Result<(), InventoryError> {
        self.ends[topic as usize][partition as usize] += 1;
        Ok(())
    }

    fn acknowledged(&mut self) -> Result<(), InventoryError> {
        Ok(())
    }

    fn ends(&mut self, partitions: &[(OutTopic, u32)]) -> Result<Vec<u64>, InventoryError> {
        let end = |(topic, partition): &(OutTopic, u32)| self.ends[*topic as usize][*partition as usize];
        Ok(partitions.iter().map(end).collect())
    }

    fn read(&mut self, _: OutTopic, _: u32, _: u64, _: u64, _: &mut Taker<'_>) -> Result<(), InventoryError> {
        Ok(())
    }
}

struct NoGroup;

impl Group for NoGroup {
    fn commit(&self, _: &[(u32, u64)], _: u32) -> Result<bool, InventoryError> {
        Ok(true)
    }

    fn is_lost(&self) -> bool {
        false
    }

    fn keep_from(&self, _: u32, _: u64) -> Result<bool, InventoryError> {
        Ok(true)
    }
}

fn main() -> Result<(), InventoryError> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u32| {
        arguments
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (stores, skus) = (number(2_300), number(500));
    let mut owned: Vec<Owned> = (0..PARTITIONS).map(|p| Owned::new(Partition::new(p))).collect();
    let mut written = Written {
        is_kept: true,
        state: vec![Vec::new(); PARTITIONS as usize],
        ..Written::default()
    };
    let counters = Counters::default();
    let before = resident_mib();

    let mut log = Input::default();
    let opening = opening(stores, skus);
    let mut transaction = Transaction::default();
    let (took, lines) = apply_all(&opening, &mut owned, &mut log, &mut transaction);
    let cells: usize = owned.iter().map(|owned| owned.state.cell_count()).sum();
    println!(
        "opening counts: {cells} cells, {:.0} ns a line",
        nanoseconds(took, lines)
    );
    let start = Instant::now();
    let flushed = flush(&mut owned, &mut written, &NoGroup, &counters)?;
    println!(
        "first flush into memory: {} cells, {:.0} ns a cell",
        flushed.cells,
        nanoseconds(start.elapsed(), flushed.cells)
    );
    println!(
        "resident: {} MiB more than at the start, the log kept here included",
        resident_mib() - before
    );

    written.is_kept = false;
    let mut baskets = Baskets::new(stores, skus);
    for round in 0..3 {
        let baskets = baskets.next(TRANSACTIONS / 3);
        let (took, lines) = apply_all(&baskets, &mut owned, &mut log, &mut transaction);
        let start = Instant::now();
        let flushed = flush(&mut owned, &mut written, &NoGroup, &counters)?;
        println!(
            "round {round}: {:.2} µs a transaction of {} lines; flush {:.0} ns a cell, {} cells",
            nanoseconds(took, baskets.len() as u64) / 1_000.0,
            lines / baskets.len() as u64,
            nanoseconds(start.elapsed(), flushed.cells),
            flushed.cells,
        );
    }

    drop(owned);
    let before = resident_mib();
    let start = Instant::now();
    let mut restored = Vec::new();
    for (number, records) in (0..).zip(&written.state) {
        let mut restore = Restore::new(number);
        for (offset, (key, value)) in (0..).zip(records) {
            restore.take(offset, key, Some(value))?;
        }
        restored.push(restore.finish(2, 0)?.partition);
    }
    let cells: usize = restored.iter().map(Partition::cell_count).sum();
    println!("restore: {cells} cells in {:.2} s", start.elapsed().as_secs_f64());
    println!("resident: {} MiB for the restored state", resident_mib() - before);
    Ok(())
}

/// Next offset of each partition.
#[derive(Default)]
struct Input([u64; PARTITIONS as usize]);

fn apply_all(
    payloads: &[(u32, Vec<u8>)],
    owned: &mut [Owned],
    log: &mut Input,
    transaction: &mut Transaction,
) -> (Duration, u64) {
    let start = Instant::now();
    let mut lines = 0;
    for (partition, payload) in payloads {
        let offset = &mut log.0[*partition as usize];
        transaction.read(payload).expect("the payload is one of ours");
        match owned[*partition as usize].state.apply(transaction, *offset, None) {
            inventory::Applied::New { lines: applied } => lines += u64::from(applied),
            other => panic!("{other:?}"),
        }
        *offset += 1;
    }
    (start.elapsed(), lines)
}

fn nanoseconds(took: Duration, count: u64) -> f64 {
    took.as_nanos() as f64 / count.max(1) as f64
}

/// Of this process; 0 where the system does not say.
fn resident_mib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<i64>().ok())
        .unwrap_or(0)
        / 1024
}

//! How fast the world makes events, with encoding, into nothing: `cargo run --release -p world --example speed`.
//!
//! Arguments: simulated hours (24), threads (1), first hour of the day (0), share of 4690 tills in per cent, the others being
//! POSLog 6.0 (the usual mix).

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark reads the clock and its arguments"
)]

use std::time::Instant;

use world::{STEP_MS, TillMix, World, WorldConfig};

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<u32>().expect("a number"));
    let hours = arguments.next().unwrap_or(24);
    let threads = arguments.next().unwrap_or(1) as usize;
    let first_hour = arguments.next().unwrap_or(0);
    let tills = arguments
        .next()
        .map_or_else(TillMix::default, |ibm_4690| TillMix {
            ibm_4690: ibm_4690 as u8,
            poslog_6: 100 - ibm_4690 as u8,
            poslog_2: 0,
        });
    let config = WorldConfig {
        tills,
        start_of_trading_ms: first_hour * 3_600_000,
        ..WorldConfig::default()
    };

    let begun = Instant::now();
    let mut world = World::new(config).expect("the default world is possible");
    println!("new           {:>10.3} s", begun.elapsed().as_secs_f64());

    let begun = Instant::now();
    let (mut documents, mut bytes) = (0, 0);
    while let Some(part) = world.opening_part(100) {
        documents += part
            .places
            .iter()
            .map(|events| events.messages.len())
            .sum::<usize>();
        bytes += part.places.iter().map(|events| events.bytes.len()).sum::<usize>();
        world.recycle(part);
    }
    let opening = world.split().opening;
    println!(
        "opening       {:>10.3} s, {documents} messages, {} transactions, {} lines, {} MB",
        begun.elapsed().as_secs_f64(),
        opening.transactions,
        opening.lines,
        bytes / 1_000_000,
    );

    let begun = Instant::now();
    let (mut bytes, mut slowest) = (0, 0.0_f64);
    for _ in 0..hours * 3_600_000 / STEP_MS {
        let step_begun = Instant::now();
        let step = world.step(threads);
        slowest = slowest.max(step_begun.elapsed().as_secs_f64());
        bytes += step.places.iter().map(|events| events.bytes.len()).sum::<usize>();
        world.recycle(step);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let split = world.split();
    let lines = split.till.lines + split.queue.lines + split.scan.lines;
    let receipts = split.till.transactions;
    println!("{hours} hours      {seconds:>10.3} s on {threads} threads, slowest step {slowest:.3} s");
    println!(
        "lines/s       {:>10.0}, of one thread {:.0}",
        lines as f64 / seconds,
        lines as f64 / seconds / threads as f64
    );
    println!(
        "receipts/s    {:>10.0}, {:.2} us each of one thread",
        receipts as f64 / seconds,
        seconds * threads as f64 / receipts as f64 * 1e6
    );
    println!(
        "bytes         {:>10} MB, {:.0} a receipt",
        bytes / 1_000_000,
        bytes as f64 / receipts as f64
    );
    for (name, counts) in [("till", split.till), ("queue", split.queue), ("scan", split.scan)] {
        println!(
            "{name:<6}        {:>10} transactions ({:.2} % of receipts), {:.2} lines each",
            counts.transactions,
            counts.transactions as f64 / receipts as f64 * 100.0,
            counts.lines as f64 / counts.transactions as f64,
        );
    }
    println!("lost sales    {:>10} units", split.lost_sales / 1000);
}

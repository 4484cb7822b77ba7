//! How fast 4690 receipts and records of the queue are read and written on one core:
//! `cargo run --release -p contracts --example record_costs`. Counts the processor's time where Linux tells it.

#[path = "support/receipts.rs"]
mod receipts;
mod support;

use std::hint::black_box;

use contracts::ids::{LocationId, Money, Quantity, Sku, TimeMs};
use contracts::wire::copybook::{self, MoveRecord, MoveType};
use contracts::wire::mqmd::{self, Descriptor, Format};
use contracts::wire::queue_message;
use contracts::wire::tlog4690::Receipt;
use receipts::{ARTICLES, LINES, gtin, write_receipt};
use support::per_second;

const MESSAGES: u64 = 1_000;

fn record(number: u64) -> MoveRecord {
    MoveRecord {
        sequence: number as u32 + 1,
        place: LocationId::warehouse((number % 12) as u16 + 1),
        department: 81,
        sku: Sku(100_000 + (number % 5_000) as u32),
        gtin: gtin(number % ARTICLES),
        move_type: MoveType::Shipped,
        quantity: Quantity::units(-24 - (number % 50) as i64),
        on_hand: Quantity::units(12_345),
        on_order: Quantity::units(480),
        unit_cost: Money(1_234),
        at: TimeMs(1_741_944_413_000 + number as i64 * 1_000),
        adjusted_units: 0,
        destination: Some(LocationId::store((number % 2_300) as u16 + 1)),
        despatch_advice: Some(70_000_000_000 + number),
    }
}

fn descriptor(number: u64) -> Descriptor {
    let mut message_id = *b"CSQ ACMEDC01A   \0\0\0\0\0\0\0\0";
    message_id[16..].copy_from_slice(&number.to_be_bytes());
    Descriptor {
        ccsid: 37,
        format: Format::None,
        priority: 4,
        persistent: true,
        message_id,
        correlation_id: [0x40; 24],
        backout_count: 0,
        user: "ACME0001".into(),
        put_application_type: 1,
        put_application: "ACMEC01|INVM".into(),
        put: Some(TimeMs(1_741_944_413_250 + number as i64)),
        group_id: [7; 24],
        sequence: 3,
        flags: 0,
    }
}

/// `a_second` passes over all messages.
fn print(what: &str, a_second: f64, messages: &[Vec<u8>], lines: u64) {
    let bytes: usize = messages.iter().map(Vec::len).sum();
    let count = messages.len() as f64;
    print!(
        "  {what:<8} {:>7.0} MB/s {:>11.0} messages/s",
        a_second * bytes as f64 / 1e6,
        a_second * count
    );
    match lines {
        0 => println!(),
        lines => println!(" {:>12.0} lines/s", a_second * count * lines as f64),
    }
}

fn all(write: impl Fn(u64, &mut Vec<u8>)) -> Vec<Vec<u8>> {
    (0..MESSAGES)
        .map(|number| {
            let mut out = Vec::new();
            write(number, &mut out);
            out
        })
        .collect()
}

fn written(messages: &[Vec<u8>], lines: u64, write: impl Fn(u64, &mut Vec<u8>)) {
    let mut out = Vec::new();
    let rate = per_second(|| {
        for number in 0..MESSAGES {
            out.clear();
            write(black_box(number), &mut out);
            black_box(&out);
        }
    });
    print("written", rate, messages, lines);
}

fn read(messages: &[Vec<u8>], lines: u64, mut read: impl FnMut(&[u8])) {
    let rate = per_second(|| messages.iter().for_each(|message| read(message)));
    print("read", rate, messages, lines);
}

fn main() {
    let receipts = all(write_receipt);
    println!("4690, receipts of {LINES} lines, {} bytes", receipts[0].len());
    let mut receipt = Receipt::default();
    read(&receipts, LINES, |bytes| {
        receipt.read(bytes).expect("a receipt of ours");
        black_box(receipt.stock_lines().count());
    });
    written(&receipts, LINES, write_receipt);

    let records: Vec<MoveRecord> = (0..MESSAGES).map(record).collect();
    let write_record = |number: u64, out: &mut Vec<u8>| {
        copybook::write(&records[number as usize], out).expect("fields that fit");
    };
    let bare = all(write_record);
    println!("copybook, {} bytes", bare[0].len());
    read(&bare, 0, |bytes| {
        black_box(copybook::parse(bytes).expect("a record of ours"));
    });
    written(&bare, 0, write_record);

    let descriptors: Vec<Descriptor> = (0..MESSAGES).map(descriptor).collect();
    let write_message = |number: u64, out: &mut Vec<u8>| {
        mqmd::write(&descriptors[number as usize], out);
        write_record(number, out);
    };
    let messages = all(write_message);
    println!("copybook behind its descriptor, {} bytes", messages[0].len());
    read(&messages, 0, |bytes| {
        let opened = queue_message::open(bytes).expect("a message of ours");
        black_box(copybook::parse(opened.record).expect("a record of ours"));
    });
    written(&messages, 0, write_message);
}

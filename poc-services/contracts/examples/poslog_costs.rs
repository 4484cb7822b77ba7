//! How fast POSLog is read and written on one core, beside a bare event loop of the same XML parser:
//! `cargo run --release -p contracts --example poslog_costs`.
//!
//! Argument: megabytes that each figure reads or writes (200). Counts the processor's time where Linux tells it, so that
//! other work on the machine weighs less; the ratios are what to compare.

mod support;

use std::hint::black_box;

use contracts::ids::{BusinessDay, Gtin, Money, Quantity, Sku, TimeMs};
use contracts::wire::poslog::{
    Coded, Dialect, DocumentWriter, EntryMethod, Item, ItemCode, ItemId, ItemType, Line, LineKind, Measured,
    Retail, Stamp, Tender, TenderDirection, TenderType, Text, Total, TotalType, Transaction,
    TransactionStatus, UnitOfMeasure, parse, stock_lines,
};
use quick_xml::Reader;
use quick_xml::events::Event;
use support::{Clock, ROUNDS, median};

const LINES: u64 = 10;

fn main() {
    let megabytes = std::env::args()
        .nth(1)
        .map_or(200, |text| text.parse().expect("a number of megabytes"));
    for dialect in [Dialect::V6, Dialect::V2] {
        let receipts: Vec<Vec<u8>> = (1..=256)
            .map(|number| document(dialect, number..number + 1))
            .collect();
        report(
            &format!("{dialect:?}, one receipt a document"),
            &receipts,
            megabytes,
        );
        let batch = [document(dialect, 1..151)];
        report(
            &format!("{dialect:?}, 150 receipts a document"),
            &batch,
            megabytes,
        );
        write_cost(dialect, megabytes);
    }
}

fn report(name: &str, documents: &[Vec<u8>], megabytes: usize) {
    let bytes: usize = documents.iter().map(Vec::len).sum();
    let rounds = (megabytes * 1_000_000 / ROUNDS / bytes).max(1);
    let (mut bare, mut read, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    // In turns, so that a busy machine slows all three.
    for _ in 0..ROUNDS {
        bare.push(rate(bytes * rounds, || {
            repeat(rounds, documents, bare_loop);
        }));
        read.push(rate(bytes * rounds, || {
            repeat(rounds, documents, |document| {
                parse(document).expect("valid").transactions.len()
            });
        }));
        let mut out = Vec::new();
        lines.push(rate(bytes * rounds, || {
            repeat(rounds, documents, |document| {
                let read = parse(document).expect("valid");
                for transaction in &read.transactions {
                    stock_lines(transaction, &mut out).expect("understood");
                }
                out.len()
            });
        }));
    }
    let (bare, read, lines) = (median(bare), median(read), median(lines));
    println!("{name}: {} bytes a document", bytes / documents.len());
    println!("  bare events        {bare:>7.0} MB/s");
    println!(
        "  read               {read:>7.0} MB/s, {:.2} of bare",
        read / bare
    );
    println!(
        "  read, stock lines  {lines:>7.0} MB/s, {:.2} of bare",
        lines / bare
    );
}

fn repeat(rounds: usize, documents: &[Vec<u8>], mut work: impl FnMut(&[u8]) -> usize) {
    for _ in 0..rounds {
        for document in documents {
            black_box(work(black_box(document)));
        }
    }
}

fn bare_loop(document: &[u8]) -> usize {
    let mut reader = Reader::from_str(std::str::from_utf8(document).expect("UTF-8"));
    let mut events = 0;
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Eof => return events,
            event => {
                black_box(&event);
                events += 1;
            }
        }
    }
}

fn write_cost(dialect: Dialect, megabytes: usize) {
    let receipt = receipt(1);
    let mut out = Vec::new();
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let clock = Clock::start();
        let mut bytes = 0;
        while bytes < megabytes * 1_000_000 / ROUNDS {
            out.clear();
            let mut writer = DocumentWriter::new(dialect, &mut out);
            writer.transaction(black_box(&receipt)).expect("writable");
            writer.finish();
            bytes += black_box(&out).len();
        }
        rates.push(bytes as f64 / clock.elapsed().as_secs_f64() / 1e6);
    }
    let rate = median(rates);
    println!(
        "  written            {rate:>7.0} MB/s, {:.0} receipts a second",
        rate * 1e6 / out.len() as f64
    );
}

/// Megabytes a second.
fn rate(bytes: usize, work: impl FnOnce()) -> f64 {
    let clock = Clock::start();
    work();
    bytes as f64 / clock.elapsed().as_secs_f64() / 1e6
}

fn document(dialect: Dialect, numbers: std::ops::Range<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = DocumentWriter::new(dialect, &mut out);
    for number in numbers {
        writer.transaction(&receipt(number)).expect("writable");
    }
    writer.finish();
    out
}

/// Ten articles, every fifth of them weighed, tax and tender.
fn receipt(number: u64) -> Transaction<'static> {
    let begin = TimeMs(1_741_944_400_000 + number as i64 * 90_000);
    let numbered = |index: u64, kind| Line {
        number: Some(index as u32),
        ..Line::from(kind)
    };
    let mut lines: Vec<Line<'static>> = (1..=LINES)
        .map(|index| Line {
            entry: Some(Coded::Known(EntryMethod::Scanned)),
            at: Some(Stamp::utc(TimeMs(begin.0 + index as i64 * 3000))),
            ..numbered(index, LineKind::Sale(item(number * 31 + index * 7)))
        })
        .collect();
    lines.push(numbered(LINES + 1, LineKind::Tax(Some(Money(230)))));
    let tender = Tender {
        kind: Some(Coded::Known(TenderType::CreditDebit)),
        direction: Some(Coded::Known(TenderDirection::Sale)),
        amount: Some(Money(3412)),
        currency: Some(Text::Borrowed("USD")),
        ..Tender::default()
    };
    lines.push(numbered(LINES + 2, LineKind::Tender(tender)));
    Transaction {
        store: 42,
        workstation: 3,
        number,
        business_day: Some(BusinessDay(20_161)),
        begin: Some(Stamp::utc(begin)),
        end: Some(Stamp::utc(TimeMs(begin.0 + 51_000))),
        operator: Some(Text::Borrowed("117")),
        till: Some(Text::Borrowed("3")),
        currency: Some(Text::Borrowed("USD")),
        retail: Some(Retail {
            status: Some(Coded::Known(TransactionStatus::Finished)),
            lines,
            totals: [
                (TotalType::Net, 3182),
                (TotalType::Tax, 230),
                (TotalType::Grand, 3412),
            ]
            .map(|(kind, amount)| Total {
                kind: Some(Coded::Known(kind)),
                amount: Some(Money(amount)),
            })
            .into(),
            ..Retail::default()
        }),
        ..Transaction::default()
    }
}

fn item(index: u64) -> Item<'static> {
    let (quantity, unit) = if index.is_multiple_of(5) {
        (Quantity(425), UnitOfMeasure::Kilogram)
    } else {
        (Quantity::ONE, UnitOfMeasure::Each)
    };
    let price = Some(Money(299));
    Item {
        id: ItemId {
            sku: Some(Sku(100_000 + index as u32)),
            code: Gtin::from_body(61_414_100_000 + index).map(ItemCode::Gtin),
            unread: None,
        },
        item_type: Some(Coded::Known(ItemType::Stock)),
        department: Some(Text::Borrowed("81")),
        description: Some(Text::Borrowed("MACARONI & CHEESE 500")),
        list_price: price,
        regular_price: price,
        actual_price: price,
        extended_amount: price,
        quantity: Some(Measured::new(quantity, unit)),
        ..Item::default()
    }
}

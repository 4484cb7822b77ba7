//! What the normaliser's own work costs on one core, without Kafka: `cargo run --release -p normaliser --example normaliser_costs`.
//! Medians of 15 rounds over receipts of 10 lines that differ.

#[path = "../../contracts/examples/support/receipts.rs"]
mod receipts;

use std::hint::black_box;
use std::time::Instant;

use contracts::ids::{LocationId, Money, Quantity, Sku, TimeMs};
use contracts::wire::copybook::{self, MoveRecord, MoveType};
use contracts::wire::epcis::{self, BizStep, DocumentWriter, ScanEvent, ScanLine, SubLocation};
use contracts::wire::tlog4690::{self, Receipt};
use normaliser::{
    BusinessClock, Catalogue, Normalised, Normaliser, Position, RawMessage, RawTopic, encode_movement,
};
use receipts::{ARTICLES, LINES, gtin, write_receipt};

const RECEIPTS: u64 = 4096;
/// Median time of one of `count` pieces of work.
fn measure(what: &str, count: u64, mut work: impl FnMut()) {
    let mut rounds: Vec<u128> = (0..15)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_nanos()
        })
        .collect();
    rounds.sort_unstable();
    println!("{what:<44} {:>7} ns", rounds[7] / u128::from(count));
}

fn main() {
    let mut catalogue = Catalogue::default();
    for index in 0..ARTICLES {
        catalogue.insert(Sku(100_000 + index as u32), gtin(index).value());
    }
    let mut batch = Vec::new();
    for number in 0..RECEIPTS {
        write_receipt(number, &mut batch);
    }
    let receipts: Vec<_> = tlog4690::frames(&batch).filter_map(Result::ok).collect();
    println!(
        "{RECEIPTS} receipts of {LINES} lines, {} bytes each\n",
        batch.len() as u64 / RECEIPTS
    );

    let mut out = Vec::with_capacity(batch.len() + 4096);
    measure("receipt: write", RECEIPTS, || {
        out.clear();
        for number in 0..RECEIPTS {
            write_receipt(number, &mut out);
        }
        black_box(&out);
    });
    measure("receipt: frame out of a batch", RECEIPTS, || {
        black_box(tlog4690::frames(&batch).filter_map(Result::ok).count());
    });
    let mut receipt = Receipt::default();
    measure("receipt: parse", RECEIPTS, || {
        for range in &receipts {
            let _ = black_box(receipt.read(&batch[range.clone()]));
        }
    });
    measure("receipt: content hash", RECEIPTS, || {
        for range in &receipts {
            black_box(contracts::hash::content_hash(&batch[range.clone()]));
        }
    });
    let mut normaliser = Normaliser::new(BusinessClock::default());
    let (mut normalised, mut movement) = (Normalised::default(), Vec::new());
    measure("receipt: parse, catalogue, hash, encode", RECEIPTS, || {
        for range in &receipts {
            let raw = RawMessage {
                topic: RawTopic::Till,
                key: b"S0042",
                payload: &batch[range.clone()],
                format: None,
                group: None,
            };
            if normaliser.normalise(&raw, &catalogue, &mut normalised).is_ok() {
                for transaction in &normalised.transactions {
                    encode_movement(transaction, 1, normalised.lines_of(transaction), &mut movement);
                    black_box(&movement);
                }
            }
        }
    });

    let record = MoveRecord {
        sequence: 1,
        place: LocationId::warehouse(7),
        department: 81,
        sku: Sku(100_001),
        gtin: gtin(1),
        move_type: MoveType::Shipped,
        quantity: Quantity::units(-24),
        on_hand: Quantity::units(1000),
        on_order: Quantity(0),
        unit_cost: Money(1234),
        at: TimeMs(1_741_944_360_000),
        adjusted_units: 0,
        destination: Some(LocationId::store(42)),
        despatch_advice: Some(9001),
    };
    measure("queue record: write", RECEIPTS, || {
        out.clear();
        for sequence in 0..RECEIPTS {
            let _ = copybook::write(
                &MoveRecord {
                    sequence: sequence as u32,
                    ..record
                },
                &mut out,
            );
        }
    });
    let records = out.clone();
    measure("queue record: parse", RECEIPTS, || {
        for record in records.chunks(copybook::RECORD_BYTES) {
            let _ = black_box(copybook::parse(record));
        }
    });

    let lines: Vec<_> = (0..LINES)
        .map(|index| ScanLine::moved(gtin(index), Quantity::units(3)))
        .collect();
    let event = ScanEvent {
        reader: 1,
        running_number: 1,
        location: LocationId::store(42),
        at: TimeMs(1_741_944_360_000),
        step: BizStep::Stocking,
        despatch_advice: None,
        sub_location: SubLocation::Floor,
        lines: &lines,
    };
    let mut document = Vec::new();
    measure("document of one event of 10 lines: write", 1000, || {
        for _ in 0..1000 {
            document.clear();
            let mut writer = DocumentWriter::begin(&mut document, event.at);
            writer.event(&event);
            writer.finish();
        }
    });
    measure("document of one event of 10 lines: parse", 1000, || {
        for _ in 0..1000 {
            let _ = black_box(epcis::read(&document));
        }
    });

    let documents: Vec<Vec<u8>> = (0..RECEIPTS)
        .map(|number| {
            let mut document = Vec::new();
            let event = ScanEvent {
                running_number: number,
                at: TimeMs(event.at.0 + number as i64 * 20_000),
                ..event
            };
            let mut writer = DocumentWriter::begin(&mut document, event.at);
            writer.event(&event);
            writer.finish();
            document
        })
        .collect();
    let raw = |payload| RawMessage {
        topic: RawTopic::Scan,
        key: b"S0042",
        payload,
        format: None,
        group: None,
    };
    measure("document: normalise alone", RECEIPTS, || {
        for document in &documents {
            let _ = black_box(normaliser.normalise(&raw(document), &catalogue, &mut normalised));
        }
        assert_eq!(normalised.lines.len() as u64, LINES);
    });
    let mut offset = 0;
    measure("document: normalise behind those before it", RECEIPTS, || {
        for document in &documents {
            let at = Position { partition: 0, offset };
            let _ = black_box(normaliser.normalise_at(&raw(document), at, &catalogue, &mut normalised));
            offset += 1;
        }
        assert_eq!(normalised.lines.len() as u64, LINES);
    });
}

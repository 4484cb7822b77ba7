//! What reading and writing EPCIS costs on one core: `cargo run --release -p contracts --example epcis_costs`.
//! Medians over documents that differ, beside a bare pass of `serde_json` over the same bytes. Counts the processor's time where
//! Linux tells it.

mod support;

use std::hint::black_box;

use contracts::ids::{Gtin, LocationId, Quantity, TimeMs};
use contracts::wire::epcis::{self, BizStep, DocumentWriter, ScanEvent, ScanLine, SubLocation};
use support::per_second;

/// Documents of four events, with so many lines each.
fn documents(lines: u64) -> Vec<Vec<u8>> {
    let mut number = 0_u64;
    (0..256 / lines.max(2) + 4)
        .map(|document| {
            let mut out = Vec::new();
            let mut writer = DocumentWriter::begin(&mut out, TimeMs(1_741_944_413_250));
            for step in BizStep::ALL {
                number += 1;
                let counted = step == BizStep::StockTaking;
                let lines: Vec<_> = (0..lines)
                    .map(|line| {
                        let draw = (number * 64 + line).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                        let gtin =
                            Gtin::from_body(61_414_100_000 + line * 5_000 + draw % 5_000).expect("a body");
                        let quantity = if draw.is_multiple_of(8) {
                            Quantity((draw >> 8 & 0x3fff) as i64)
                        } else {
                            Quantity::units((draw >> 8 & 31) as i64)
                        };
                        if counted {
                            ScanLine::counted(gtin, quantity, Quantity::units((draw >> 16 & 31) as i64))
                        } else {
                            ScanLine::moved(gtin, quantity)
                        }
                    })
                    .collect();
                writer.event(&ScanEvent {
                    reader: (number % 9) as u16,
                    running_number: number,
                    location: LocationId::store((document % 2300) as u16),
                    at: TimeMs(1_741_944_413_250 + number as i64 * 977),
                    step,
                    despatch_advice: (step == BizStep::Receiving).then_some(700_000 + number),
                    sub_location: if counted {
                        SubLocation::Floor
                    } else {
                        SubLocation::BackRoom
                    },
                    lines: &lines,
                });
            }
            writer.finish();
            out
        })
        .collect()
}

/// Seconds of a round, the median.
fn seconds(round: impl FnMut()) -> f64 {
    1.0 / per_second(round)
}

fn main() {
    for lines in [1, 10, 100] {
        let documents = documents(lines);
        let bytes: usize = documents.iter().map(Vec::len).sum();
        let events = documents.len() * BizStep::ALL.len();
        println!(
            "{lines} lines an event: {events} events, {} bytes an event",
            bytes / events
        );
        let bare = seconds(|| {
            for document in &documents {
                black_box(serde_json::from_slice::<serde::de::IgnoredAny>(document).is_ok());
            }
        });
        let report = |name: &str, seconds: f64| {
            println!(
                "  {name:<28} {:>7.1} MB/s {:>10.0} events/s  {:.2} of the bare pass",
                bytes as f64 / seconds / 1e6,
                events as f64 / seconds,
                bare / seconds
            );
        };
        report("bare pass of serde_json", bare);
        report(
            "read",
            seconds(|| {
                for document in &documents {
                    black_box(epcis::read(document).is_ok());
                }
            }),
        );
        report(
            "read and movements",
            seconds(|| {
                for document in &documents {
                    let capture = epcis::read(document).expect("a document of ours");
                    for event in &capture.events {
                        black_box(capture.movements(event).count());
                    }
                }
            }),
        );
        report(
            "written, content hashes too",
            seconds(|| {
                black_box(self::documents(lines));
            }),
        );
        report(
            "read and content hashes",
            seconds(|| {
                for document in &documents {
                    let capture = epcis::read(document).expect("a document of ours");
                    for event in &capture.events {
                        black_box(capture.content_id(event));
                    }
                }
            }),
        );
    }
}

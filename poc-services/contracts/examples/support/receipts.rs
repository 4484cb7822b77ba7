//! 4690 receipts that differ, for benchmarks.

use contracts::ids::{Gtin, Money, Quantity, TimeMs};
use contracts::wire::tlog4690::{Header, Item, ReceiptWriter, Tender, TenderKind};

pub const LINES: u64 = 10;
pub const ARTICLES: u64 = 5000;

pub fn gtin(index: u64) -> Gtin {
    Gtin::from_body(61_414_100_000 + index).expect("thirteen digits")
}

pub fn write_receipt(number: u64, out: &mut Vec<u8>) {
    let header = Header {
        terminal: (number % 12) as u16 + 1,
        number: (number % 9999) as u16 + 1,
        at: TimeMs(1_741_944_360_000 + number as i64 * 1000),
        operator: 4711,
        gross_positive: Money(4567),
        ring_seconds: 60,
        tender_seconds: 20,
        strings: 14,
        ..Header::default()
    };
    let mut writer = ReceiptWriter::begin(out, &header);
    for line in 0..LINES {
        let draw = number
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(line as u32 * 5);
        let units = if draw.is_multiple_of(4) {
            1 + (draw >> 8) % 5
        } else {
            1
        };
        writer.item(&Item {
            item_code: gtin(draw % ARTICLES).value(),
            department: (draw % 40) as u16,
            extended_price: Money(299 * units as i64),
            unit_price: Money(299),
            quantity: Quantity::units(units as i64),
            ordinal: line as u16 + 1,
            ..Item::default()
        });
    }
    writer.tax(Money(212));
    writer.tender(&Tender {
        kind: TenderKind::Card,
        amount: Money(4567),
    });
    writer.change(Money(0));
    writer.finish();
}

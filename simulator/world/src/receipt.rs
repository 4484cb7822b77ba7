//! What a till writes of a basket: one 4690 receipt, and beside it the lines that moved stock.

use contracts::ids::{BusinessDay, LocationId, Money, Quantity, Sku, SourceId, TimeMs, TransactionId};
use contracts::records::MovementKind;
use contracts::wire::tlog4690::{
    Header, Item as Entry, ItemKind, Measure, ReceiptWriter, Tender, TenderKind,
};
use ledger::Line;

use crate::catalogue::Item;
use crate::events::{Channel, PlaceEvents};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineKind {
    Sale,
    /// Scanned and taken back: written twice, moves nothing.
    Voided,
    Return,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct BasketLine {
    pub slot: u16,
    pub article: u16,
    pub kind: LineKind,
    /// Thousandths.
    pub quantity: i32,
    /// Minor units.
    pub price: i32,
}

impl BasketLine {
    #[inline]
    pub fn new(slot: usize, article: u16, item: &Item, kind: LineKind, quantity: i32) -> Self {
        let price = (i64::from(item.price) * i64::from(quantity) + 500) / 1000;
        Self {
            slot: slot as u16,
            article,
            kind,
            quantity,
            price: price as i32,
        }
    }
}

/// Who writes, and as what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Till {
    pub location: LocationId,
    pub unit: u16,
    /// Of this receipt.
    pub number: u16,
    pub business_day: BusinessDay,
}

/// What is paid, in minor units.
struct Payment {
    positive: i64,
    negative: i64,
    voids: u16,
    tax: i64,
    due: i64,
    kind: TenderKind,
    tendered: i64,
}

impl Payment {
    /// `manner` is a draw: six of ten pay by card, the others with the next note; money back is in cash.
    fn of(basket: &[BasketLine], manner: u32) -> Self {
        let (mut positive, mut negative, mut voids) = (0_i64, 0_i64, 0);
        for line in basket {
            let price = i64::from(line.price);
            match line.kind {
                LineKind::Sale => positive += price,
                LineKind::Return => negative += price,
                LineKind::Voided => {
                    positive += price;
                    negative += price;
                    voids += 1;
                }
            }
        }
        let total = positive - negative;
        let tax = if total > 0 { total / 20 } else { 0 };
        let due = total + tax;
        let card = due > 0 && manner >> 1 & 0xff < 154;
        let kind = if card { TenderKind::Card } else { TenderKind::Cash };
        let tendered = if card || due <= 0 {
            due
        } else {
            (due + 499) / 500 * 500
        };
        Self {
            positive,
            negative,
            voids,
            tax,
            due,
            kind,
            tendered,
        }
    }
}

/// Writes a receipt and tells how many of its lines moved stock. `items` is the catalogue, `manner` a draw.
pub(crate) fn write(
    till: Till,
    at: TimeMs,
    manner: u32,
    basket: &[BasketLine],
    items: &[Item],
    out: &mut PlaceEvents,
) -> usize {
    let mark = out.mark();
    let payment = Payment::of(basket, manner);
    let entries = basket.len() as u16;
    let header = Header {
        terminal: till.unit,
        number: till.number,
        at,
        strings: 3 + u16::from(payment.tax > 0) + entries + payment.voids,
        operator: 100 + u32::from(till.unit),
        gross_positive: Money(payment.positive),
        gross_negative: Money(payment.negative),
        ring_seconds: entries * 3,
        tender_seconds: 15 + (manner >> 9 & 31) as u16,
        ..Header::default()
    };
    let mut writer = ReceiptWriter::begin(&mut out.bytes, &header);
    let mut ordinal = 0;
    for line in basket {
        ordinal += 1;
        let item = &items[usize::from(line.article)];
        let mut entry = Entry {
            item_code: item.gtin.value(),
            department: item.department,
            extended_price: Money(i64::from(line.price)),
            quantity: Quantity(i64::from(line.quantity)),
            measure: if item.weighed {
                Measure::Weighed
            } else {
                Measure::Each
            },
            unit_price: Money(i64::from(item.price)),
            kind: if line.kind == LineKind::Return {
                ItemKind::Return
            } else {
                ItemKind::Sale
            },
            ordinal,
            ..Entry::default()
        };
        writer.item(&entry);
        let kind = match line.kind {
            LineKind::Sale => MovementKind::Sold,
            LineKind::Return => MovementKind::Returned,
            LineKind::Voided => {
                entry.voids = Some(ordinal);
                ordinal += 1;
                entry.ordinal = ordinal;
                writer.item(&entry);
                continue;
            }
        };
        out.lines.push(Line {
            sku: Sku(item.sku),
            slot: line.slot,
            kind,
            quantity: i64::from(line.quantity),
        });
    }
    if payment.tax > 0 {
        writer.tax(Money(payment.tax));
    }
    writer.tender(&Tender {
        kind: payment.kind,
        amount: Money(payment.tendered),
    });
    if payment.tendered > payment.due {
        writer.change(Money(payment.tendered - payment.due));
    }
    writer.finish();

    let source = SourceId::till(till.location, till.unit);
    let id = TransactionId {
        source,
        business_day: till.business_day,
        number: u64::from(till.number),
    };
    let lines = out.transaction(id);
    out.close(mark, at, Channel::Till);
    lines
}

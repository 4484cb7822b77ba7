//! What a till writes of itself between receipts: it moves no stock and takes a number.

use contracts::ids::TimeMs;
use contracts::wire::poslog::{Coded, ControlEvent, ControlKind, Dialect, DocumentWriter, Transaction};
use contracts::wire::tlog4690::{Field, Header, ReceiptWriter, record_type};

use super::Till;
use crate::events::PlaceEvents;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The till begins its day; `first` of the store.
    Opening { first: bool },
    /// The drawer is opened without a sale.
    NoSale,
    /// The till ends its day; `last` of the store.
    Closing { last: bool },
}

impl Occasion {
    const fn events(self) -> &'static [ControlKind] {
        use ControlKind as Kind;
        match self {
            Self::Opening { first: true } => &[
                Kind::BusinessDayStart,
                Kind::PointOfSaleStart,
                Kind::TillStart,
                Kind::SignOn,
            ],
            Self::Opening { first: false } => &[Kind::PointOfSaleStart, Kind::TillStart, Kind::SignOn],
            Self::NoSale => &[Kind::NoSale],
            Self::Closing { last: false } => &[Kind::SignOff, Kind::TillEnd, Kind::PointOfSaleEnd],
            Self::Closing { last: true } => &[
                Kind::SignOff,
                Kind::TillEnd,
                Kind::PointOfSaleEnd,
                Kind::BusinessDayEnd,
            ],
        }
    }

    /// TransactionType of the header; 0 is a checkout.
    const fn transaction_type(self) -> u8 {
        match self {
            Self::Opening { .. } => 1,
            Self::Closing { .. } => 2,
            Self::NoSale => 3,
        }
    }
}

pub(crate) fn tlog(till: &Till, at: TimeMs, occasion: Occasion, out: &mut PlaceEvents) -> usize {
    let header = Header {
        terminal: till.unit,
        number: till.number,
        at,
        transaction_type: occasion.transaction_type(),
        operator: 100 + u32::from(till.unit),
        ..Header::default()
    };
    let mut writer = ReceiptWriter::begin(&mut out.bytes, &header);
    if occasion == (Occasion::Closing { last: true }) {
        writer.other(record_type::STORE_CLOSING, &[Field::Number(1)]);
    }
    writer.finish_counted();
    out.transaction(till.id(), at)
}

pub(crate) fn poslog(
    dialect: Dialect,
    till: &Till,
    at: TimeMs,
    occasion: Occasion,
    out: &mut PlaceEvents,
) -> usize {
    let stamp = super::poslog::stamp(at);
    let transaction = Transaction {
        business_day: Some(till.business_day),
        begin: Some(stamp),
        operator: Some(super::poslog::operator(till.unit)),
        control: occasion
            .events()
            .iter()
            .map(|kind| ControlEvent {
                kind: Coded::Known(*kind),
                link: None,
            })
            .collect(),
        ..super::poslog::head(till)
    };
    write(dialect, &transaction, out);
    out.transaction(till.id(), at)
}

pub(crate) fn write(dialect: Dialect, transaction: &Transaction<'_>, out: &mut PlaceEvents) {
    DocumentWriter::resume(dialect, &mut out.bytes)
        .transaction(transaction)
        .expect("what the world makes can be written");
}

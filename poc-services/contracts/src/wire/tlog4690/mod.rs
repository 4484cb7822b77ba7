//! IBM/Toshiba 4690 transaction log: packed records of a till, as `docs/formats/tlog-4690.md` lays them out.
//!
//! A receipt is one transaction: `22`, records separated by `22 2C 22`, `22 0D 0A`; fields are separated by `3A`.
//! What is written follows one release's field order strictly; what is read may end records early, add fields and
//! add records: those are kept as ranges into the receipt's bytes and never refused.
//!
//! Invariant: nothing here panics on any bytes, and nothing is guessed: a field that decides about stock and cannot be
//! read refuses the receipt, a field that does not reads as zero.
//! It knows no store and no business day: the format carries neither.

mod frames;
mod packed;
mod read;
mod write;

pub use frames::{FrameFault, Frames, FramingError, RECEIPT_BYTES_MAX, frames};
pub use read::{ParseError, parse};
pub use write::{Field, ReceiptWriter};

use std::ops::Range;

use crate::ids::{Money, Quantity, TimeMs};

/// Bit of INDICAT1 of an item entry that marks a return. Which bit it is depends on the release of the application;
/// this is the one of the kit.
pub const RETURN_FLAG: u32 = 0x0000_0002;

/// Bit of INDICAT1 of an item extension: QtyOrWgtOrVol is a weight or volume in thousandths, not a count.
pub const WEIGHED_FLAG: u32 = 0x01;

/// Types of the records that are kept and not decoded: none of them moves stock.
pub mod record_type {
    pub const DISCOUNT: u8 = 0x03;
    pub const VOID_DISCOUNT: u8 = 0x04;
    pub const TENDER_CORRECTION: u8 = 0x06;
    pub const TAX_REFUND: u8 = 0x08;
    pub const MANAGER_OVERRIDE: u8 = 0x10;
    /// Loyalty, for instance.
    pub const DATA_ENTRY: u8 = 0x11;
    pub const EFT: u8 = 0x16;
    pub const EXCEPTION: u8 = 0x20;
    pub const STORE_CLOSING: u8 = 0x21;
    pub const TRAINING: u8 = 0x98;
    /// Of the retailer's own.
    pub const USER: u8 = 0x99;
}

/// Record `00`. `Header::default()` is a plain sale; unused fields can be left to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Four digits, which is the till's number in its store.
    pub terminal: u16,
    /// 1 to 9,999, then 1 again.
    pub number: u16,
    /// Written as MMDDYYhhmm in UTC, so to the minute, and in the years 2000 to 2099.
    pub at: TimeMs,
    /// 0 is a checkout; others (sign-on, loan, pick-up …) move no stock.
    pub transaction_type: u8,
    /// Number of records, informative: stores send others.
    pub strings: u16,
    pub operator: u32,
    /// Left blank by stores that mask it.
    pub password: Option<u32>,
    pub gross_positive: Money,
    pub gross_negative: Money,
    pub ring_seconds: u16,
    pub tender_seconds: u16,
    pub inactive_seconds: u16,
    /// INDICAT1 of the header.
    pub flags: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measure {
    /// Whole pieces.
    #[default]
    Each,
    /// Thousandths of a kilogram or litre.
    Weighed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ItemKind {
    #[default]
    Sale,
    Return,
}

/// Record `01`, with its extension `02` where one piece at its price does not say it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// GTIN or price look-up code, its digits as a number.
    pub item_code: u64,
    pub department: u16,
    pub extended_price: Money,
    /// Not negative: [`Item::kind`] says which way. Weighed or not whole is written as weighed.
    pub quantity: Quantity,
    pub measure: Measure,
    pub unit_price: Money,
    pub kind: ItemKind,
    pub ordinal: u16,
    /// This entry takes back the earlier entry of that ordinal.
    pub voids: Option<u16>,
    pub coupon_family: u32,
    /// INDICAT1 to INDICAT4 as they stand, without [`RETURN_FLAG`].
    pub indicators: [u32; 4],
}

impl Default for Item {
    fn default() -> Self {
        Self {
            item_code: 0,
            department: 0,
            extended_price: Money(0),
            quantity: Quantity::ONE,
            measure: Measure::Each,
            unit_price: Money(0),
            kind: ItemKind::Sale,
            ordinal: 0,
            voids: None,
            coupon_family: 0,
            indicators: [0; 4],
        }
    }
}

/// Tender type and variety, two digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenderKind {
    Cash,
    Cheque,
    Card,
    Voucher,
    Other(u8),
}

impl TenderKind {
    pub const fn code(self) -> u8 {
        match self {
            Self::Cash => 11,
            Self::Cheque => 21,
            Self::Card => 41,
            Self::Voucher => 61,
            Self::Other(code) => code,
        }
    }

    pub const fn from_code(code: u8) -> Self {
        match code {
            11 => Self::Cash,
            21 => Self::Cheque,
            41 => Self::Card,
            61 => Self::Voucher,
            other => Self::Other(other),
        }
    }
}

/// Record `05`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tender {
    pub kind: TenderKind,
    pub amount: Money,
}

/// What a reader keeps without understanding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptKind {
    /// A record of a type that is not decoded here, with its type byte.
    Record(u8),
    /// Fields behind the last known one of a record, with the record's type byte.
    TrailingFields(u8),
}

/// Bytes of the receipt that were kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub kind: KeptKind,
    pub range: Range<usize>,
}

/// A receipt, read. Can be reused from one to the next: see [`Receipt::read`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    pub header: Header,
    /// All entries in their order, those that void and those voided included.
    pub items: Vec<Item>,
    pub tax: Money,
    pub tenders: Vec<Tender>,
    pub change: Money,
    /// Written by somebody who learns the till: moves no stock.
    pub training: bool,
    pub kept: Vec<Kept>,
    /// One for each item: takes no part, because it voids or is voided.
    void: Vec<bool>,
}

/// A line that moves stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockLine {
    pub item_code: u64,
    pub kind: ItemKind,
    pub quantity: Quantity,
}

impl Receipt {
    /// What moves stock, in the order of the entries: neither voided entries nor those that void, and nothing at all
    /// of a transaction in training.
    pub fn stock_lines(&self) -> impl Iterator<Item = StockLine> + '_ {
        let items = if self.training { &[][..] } else { &self.items[..] };
        items
            .iter()
            .zip(&self.void)
            .filter(|(_, void)| !**void)
            .map(|(item, _)| StockLine {
                item_code: item.item_code,
                kind: item.kind,
                quantity: item.quantity,
            })
    }
}

impl Receipt {
    /// The entry of the first line that moves stock.
    pub(crate) fn first_stock_item(&mut self) -> Option<&mut Item> {
        let first = self.void.iter().position(|void| !void)?;
        self.items.get_mut(first).filter(|_| !self.training)
    }
}

const SEPARATOR: u8 = 0x3a;
const QUOTE: u8 = 0x22;
const END: [u8; 3] = [QUOTE, 0x0d, 0x0a];
const NEXT_RECORD: [u8; 3] = [QUOTE, 0x2c, QUOTE];

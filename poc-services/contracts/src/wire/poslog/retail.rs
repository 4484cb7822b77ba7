//! What a receipt says.

use super::{
    codes::{
        Coded, DisposalMethod, EntryMethod, ItemType, TenderDirection, TenderType, Text, TotalType,
        TransactionStatus, UnitOfMeasure,
    },
    model::TransactionLink,
    stamp::Stamp,
};
use crate::ids::{Gtin, Money, Quantity, Sku};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retail<'a> {
    /// `None`: it is not said, which is finished.
    pub status: Option<Coded<'a, TransactionStatus>>,
    /// All of them in their order, those that void and those voided included.
    pub lines: Vec<Line<'a>>,
    pub totals: Vec<Total<'a>>,
    pub loyalty_account: Option<Text<'a>>,
    /// Of the whole receipt: the parked one that it takes up, for instance.
    pub link: Option<TransactionLink<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Which others name it by.
    pub number: Option<u32>,
    pub at: Option<Stamp>,
    pub entry: Option<Coded<'a, EntryMethod>>,
    /// `VoidFlag`: see [`super::stock_lines`] for its two meanings.
    pub void: bool,
    pub cancelled: bool,
    /// Takes an earlier line back.
    pub voids: Option<Voids<'a>>,
    pub kind: LineKind<'a>,
}

impl<'a> From<LineKind<'a>> for Line<'a> {
    fn from(kind: LineKind<'a>) -> Self {
        Self {
            number: None,
            at: None,
            entry: None,
            void: false,
            cancelled: false,
            voids: None,
            kind,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voids<'a> {
    pub line: u32,
    /// `None`: the whole line.
    pub quantity: Option<Measured<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineKind<'a> {
    /// With a negative quantity it is a return.
    Sale(Item<'a>),
    Return(Item<'a>),
    /// Of the whole transaction; an item's own is in the item.
    Discount(Option<Money>),
    Tax(Option<Money>),
    Tender(Tender<'a>),
    Change(Option<Money>),
    Deposit(Option<Money>),
    Coupon(Option<Money>),
    Loyalty {
        promotion: Option<Text<'a>>,
    },
    /// Nothing but [`Line::voids`], or nothing at all.
    Empty,
    /// Another kind, by its element's name.
    Other(Text<'a>),
}

/// Which article, as the till knew it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemId<'a> {
    pub sku: Option<Sku>,
    pub code: Option<ItemCode>,
    /// What stands in the place of a code and is none.
    pub unread: Option<Text<'a>>,
}

/// What was scanned or keyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ItemCode {
    /// Of 8, 12, 13 or 14 digits with a right check digit.
    Gtin(Gtin),
    /// Price look-up code of 4 or 5 digits.
    Plu(u32),
}

/// A quantity as it stands, not yet in a base unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured<'a> {
    pub quantity: Quantity,
    /// `None`: it is not said.
    pub unit: Option<Coded<'a, UnitOfMeasure>>,
    /// Attribute `Units`.
    pub units: Option<Quantity>,
}

impl Measured<'_> {
    pub const fn new(quantity: Quantity, unit: UnitOfMeasure) -> Self {
        Self {
            quantity,
            unit: Some(Coded::Known(unit)),
            units: None,
        }
    }
}

impl From<Quantity> for Measured<'_> {
    /// In a unit that is not said.
    fn from(quantity: Quantity) -> Self {
        Self {
            quantity,
            unit: None,
            units: None,
        }
    }
}

/// A sold or returned article.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item<'a> {
    pub id: ItemId<'a>,
    /// `None` is stock.
    pub item_type: Option<Coded<'a, ItemType>>,
    pub department: Option<Text<'a>>,
    pub description: Option<Text<'a>>,
    pub list_price: Option<Money>,
    pub regular_price: Option<Money>,
    pub actual_price: Option<Money>,
    pub extended_amount: Option<Money>,
    /// The item's discount.
    pub discount: Option<Money>,
    pub quantity: Option<Measured<'a>>,
    /// Where it was sold, of a return.
    pub link: Option<TransactionLink<'a>>,
    /// What becomes of it, of a return.
    pub disposal: Option<Coded<'a, DisposalMethod>>,
    /// Why it came back. Only written of a return.
    pub reason: Option<Text<'a>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tender<'a> {
    pub kind: Option<Coded<'a, TenderType>>,
    pub direction: Option<Coded<'a, TenderDirection>>,
    pub amount: Option<Money>,
    pub currency: Option<Text<'a>>,
    pub change: Option<Money>,
    pub rounding: Option<Money>,
}

/// Can be negative, unlike the amounts of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total<'a> {
    pub kind: Option<Coded<'a, TotalType>>,
    pub amount: Option<Money>,
}

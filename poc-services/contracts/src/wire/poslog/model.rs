//! What a document says, in either dialect.

use super::{
    codes::{Coded, ControlKind, Text, TransactionStatus},
    inventory::InventoryDocument,
    retail::Retail,
    stamp::Stamp,
};
use crate::ids::BusinessDay;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// 6.0
    V6,
    /// 2.2.1 and its neighbours.
    V2,
}

/// A document, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document<'a> {
    pub dialect: Dialect,
    pub transactions: Vec<Transaction<'a>>,
    /// Values that decide nothing about stock and could not be read: they are absent.
    pub unread: u32,
}

/// One transaction of one till. Its identity is store, workstation, business day and number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction<'a> {
    pub store: u16,
    pub workstation: u16,
    /// As the till wrote it.
    pub number: u64,
    /// Text of its own for the same; only dialect 6.0 has it.
    pub id: Option<Text<'a>>,
    /// Not the calendar's after midnight. `None` if it is not said.
    pub business_day: Option<BusinessDay>,
    pub begin: Option<Stamp>,
    pub end: Option<Stamp>,
    pub operator: Option<Text<'a>>,
    pub till: Option<Text<'a>>,
    /// ISO 4217, or what feeds write in its place. Amounts are hundredths in all of them.
    pub currency: Option<Text<'a>>,
    pub flags: Flags,
    pub retail: Option<Retail<'a>>,
    pub control: Vec<ControlEvent<'a>>,
    /// In the order in which the schema has their kinds.
    pub inventory: Vec<InventoryDocument<'a>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub training: bool,
    /// Written while the till was cut off. Moves stock as any other.
    pub offline: bool,
    pub cancelled: bool,
}

/// Names another transaction, or a line of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionLink<'a> {
    /// `Return`, `Resume` …
    pub reason: Option<Text<'a>>,
    /// Only dialect 6.0 has it.
    pub id: Option<Text<'a>>,
    pub store: Option<u16>,
    pub workstation: Option<u16>,
    pub business_day: Option<BusinessDay>,
    pub number: Option<u64>,
    pub line: Option<u32>,
}

/// A control message. [`ControlKind::PostVoid`] has a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlEvent<'a> {
    pub kind: Coded<'a, ControlKind>,
    pub link: Option<TransactionLink<'a>>,
}

impl<'a> Transaction<'a> {
    /// When it happened: at its end, if that is said.
    pub fn occurred(&self) -> Option<Stamp> {
        self.end.or(self.begin)
    }

    /// The retail part's status. `None`: there is no retail part, or it says nothing, which is finished.
    pub fn status(&self) -> Option<&Coded<'a, TransactionStatus>> {
        self.retail.as_ref().and_then(|retail| retail.status.as_ref())
    }

    /// The earlier transaction that this one takes back. Its lines are not known here: a till of ours writes them into
    /// the retail part of this one, turned round and each with the same link, and [`super::stock_lines`] wants them.
    pub fn post_void(&self) -> Option<&ControlEvent<'a>> {
        self.control
            .iter()
            .find(|event| event.kind.is(ControlKind::PostVoid))
    }
}

impl TransactionLink<'_> {
    /// Whether both name the same transaction, by its text or by its numbers.
    pub fn is_same_transaction(&self, other: &Self) -> bool {
        match (&self.id, &other.id) {
            (Some(id), Some(other_id)) => id == other_id,
            _ => {
                self.number.is_some()
                    && (self.number, self.store, self.workstation, self.business_day)
                        == (other.number, other.store, other.workstation, other.business_day)
            }
        }
    }
}

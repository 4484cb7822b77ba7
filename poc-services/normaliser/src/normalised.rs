//! What comes out: transactions and their lines, or why there are none.

use std::ops::Range;

use contracts::ids::{LocationId, Quantity, TimeMs, TransactionId};
use contracts::records::{MovementKind, MovementLine, Paper};

use crate::TradeUnit;
use crate::raw::GroupPlace;
use crate::statement::Statement;

/// A transaction of the message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub id: TransactionId,
    pub occurred: TimeMs,
    /// Of what the source wrote: tells a repeat from another content under the same number.
    pub content_hash: u64,
    /// 0: none.
    pub despatch_advice: u64,
    /// Among the records of its delivery, where the source numbers them.
    pub group: Option<GroupPlace>,
    /// Into [`Normalised::lines`].
    pub lines: Range<usize>,
}

/// What came out of a message. Used again from one to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Normalised {
    pub transactions: Vec<Transaction>,
    pub lines: Vec<MovementLine>,
    /// What it says of a place's sources; then there is no transaction.
    pub statement: Option<Statement>,
    /// Lines that repeat a scan: they give no movement.
    pub double_beeps: u64,
    /// Events of a correction that was made before, under other numbers: they give no lines.
    pub corrections_again: u64,
    /// Of transactions that confirm a delivery and move nothing of it: those that move it have theirs by themselves.
    pub papers: Vec<Paper>,
}

impl Normalised {
    pub(crate) fn clear(&mut self) {
        self.statement = None;
        self.transactions.clear();
        self.lines.clear();
        self.papers.clear();
        self.double_beeps = 0;
        self.corrections_again = 0;
    }

    pub fn lines_of(&self, transaction: &Transaction) -> &[MovementLine] {
        &self.lines[transaction.lines.clone()]
    }
}

/// Why a message goes to the dead letters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct Rejection {
    /// For machines; the set of classes is small and fixed.
    pub class: &'static str,
    /// For people: what is wrong, and where.
    pub message: String,
}

impl Rejection {
    /// The one class that an article that is new in the catalogue can heal.
    pub const UNKNOWN_ITEM: &'static str = "unknown-item";
}

pub(crate) const fn movement_line(sku: u32, kind: MovementKind, quantity: Quantity) -> MovementLine {
    MovementLine {
        sku,
        kind: kind as i32,
        quantity: quantity.0,
    }
}

pub(crate) fn unknown_item(gtin: u64) -> Rejection {
    Rejection {
        class: Rejection::UNKNOWN_ITEM,
        message: format!("GTIN {gtin:014} is not in the catalogue: add the article, then send this again"),
    }
}

pub(crate) fn too_many(unit: TradeUnit, code: u64) -> Rejection {
    Rejection {
        class: "bad-quantity",
        message: format!(
            "so many of {code:014}, each {} of SKU {}, are more than a line can move",
            unit.content, unit.sku
        ),
    }
}

pub(crate) fn check_location(key: LocationId, named: LocationId) -> Result<(), Rejection> {
    if key == named {
        return Ok(());
    }
    Err(Rejection {
        class: "wrong-location",
        message: format!("the message came from {key} but moves stock of {named}"),
    })
}

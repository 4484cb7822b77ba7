//! A basket at a till, whatever the till writes: its lines, what is paid, and what else happens at the desk.
//!
//! Invariant: what moves stock is in the basket and in the course of the receipt alone; the extras change only what is written
//! besides.

mod besides;
pub(crate) mod control;
mod payment;
pub(crate) mod poslog;
pub(crate) mod tlog;

use contracts::ids::{BusinessDay, LocationId, SourceId, TransactionId};
use contracts::records::MovementKind;

use crate::catalogue::Item;
pub(crate) use payment::Payment;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineKind {
    Sale,
    /// Scanned and taken back: written twice, moves nothing.
    Voided,
    Return,
    /// Brought back, and not put on sale again.
    WrittenOff,
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
    /// Of what is brought back.
    pub sold: Sold,
}

/// The receipt that something was sold with; number 0: nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sold {
    pub till: u16,
    pub number: u16,
    pub day: BusinessDay,
    pub line: u16,
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
            sold: Sold::default(),
        }
    }

    /// What it moves, and by how much; nothing where it is taken back.
    pub fn movements(&self) -> impl Iterator<Item = (MovementKind, i64)> + use<> {
        let quantity = i64::from(self.quantity);
        let (first, second) = match self.kind {
            LineKind::Sale => (Some((MovementKind::Sold, quantity)), None),
            LineKind::Voided => (None, None),
            LineKind::Return => (Some((MovementKind::Returned, quantity)), None),
            LineKind::WrittenOff => (
                Some((MovementKind::Returned, quantity)),
                Some((MovementKind::AdjustedFloor, -quantity)),
            ),
        };
        first.into_iter().chain(second)
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

impl Till {
    pub const fn id(&self) -> TransactionId {
        TransactionId {
            source: SourceId::till(self.location, self.unit),
            business_day: self.business_day,
            number: self.number as u64,
        }
    }
}

/// How a receipt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    Finished,
    /// Somebody learns the till.
    Training,
    /// Given up before it was paid.
    Cancelled,
    /// Parked, and written when it was parked.
    Suspended,
    /// Parked, and written when it was taken up.
    Retrieved,
    /// Takes up the parked one of that number.
    Resumed {
        parked: u16,
    },
    /// Takes the receipt of that number back.
    PostVoid {
        voided: u16,
    },
}

impl Course {
    pub const fn moves_stock(self) -> bool {
        matches!(
            self,
            Self::Finished | Self::Resumed { .. } | Self::PostVoid { .. }
        )
    }
}

/// Draws for what is written besides: each eight bits decide about one thing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extras(pub u64);

impl Extras {
    /// Whether a thing happens that happens in `of_256` of 256 cases.
    const fn happens(self, byte: u32, of_256: u64) -> bool {
        self.bits(byte) < of_256
    }

    const fn bits(self, byte: u32) -> u64 {
        self.0 >> (byte * 8) & 0xff
    }

    /// One article is cheaper.
    pub const fn item_discount(self) -> bool {
        self.happens(0, 13)
    }

    /// And then it is not.
    pub const fn voids_discount(self) -> bool {
        self.happens(0, 3)
    }

    pub const fn transaction_discount(self) -> bool {
        self.happens(1, 5)
    }

    pub const fn two_tenders(self) -> bool {
        self.happens(2, 13)
    }

    pub const fn loyalty(self) -> bool {
        self.happens(3, 102)
    }

    /// The till was cut off from its server.
    pub const fn offline(self) -> bool {
        self.happens(4, 5)
    }

    /// The wrong tender was keyed, and corrected.
    pub const fn tender_corrected(self) -> bool {
        self.happens(5, 3)
    }

    /// Something of the retailer's own, or a coupon.
    pub const fn user_record(self) -> bool {
        self.happens(6, 26)
    }

    /// A carrier bag: a line that is no stock.
    pub const fn bag(self) -> bool {
        self.happens(7, 13)
    }

    /// Something went wrong that the till logs.
    pub const fn exception(self) -> bool {
        self.happens(7, 2)
    }

    /// A choice between two ways to write a thing.
    pub const fn other_way(self) -> bool {
        self.bits(6) & 1 == 1
    }

    /// Something to number with.
    pub const fn number(self) -> i64 {
        (self.0 >> 24 & 0xffff) as i64
    }
}

/// All that is written of a receipt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receipt<'a> {
    pub till: Till,
    pub at: contracts::ids::TimeMs,
    pub course: Course,
    pub basket: &'a [BasketLine],
    pub payment: &'a Payment,
    pub extras: Extras,
}

//! A movement as lines of the item stream. Pure.

use contracts::ids::{BusinessDay, LocationId, Quantity, Sku, SourceId, TimeMs, TransactionId};
use contracts::records::{Article, Movement, MovementKind, SourceKind};
use contracts::wire::items;
use hashbrown::HashMap;
use prost::Message as _;

/// What an item needs of its article.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub price: i64,
    pub is_weighed: bool,
}

/// By SKU.
#[derive(Debug, Default)]
pub struct Articles(HashMap<u32, Known>);

impl Articles {
    /// A record of the catalogue. What is deleted keeps its price: it may still be sold.
    pub fn apply(&mut self, value: Option<&[u8]>) {
        if let Some(article) = value.and_then(|value| Article::decode(value).ok()) {
            let known = Known {
                price: article.price,
                is_weighed: article.weighed,
            };
            self.0.insert(article.sku, known);
        }
    }

    pub fn get(&self, sku: u32) -> Option<Known> {
        self.0.get(&sku).copied()
    }
}

/// A line that becomes an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Within its transaction.
    pub index: u32,
    pub sku: Sku,
    pub change: Quantity,
}

/// The transaction and its lines that change what a place has; `None`: it is none, or nobody's.
pub fn lines(movement: &Movement) -> Option<(TransactionId, Vec<Line>)> {
    if movement.source_kind() == SourceKind::Unspecified {
        return None;
    }
    let location: LocationId = movement.location.parse().ok()?;
    let id = TransactionId {
        source: SourceId {
            location,
            kind: movement.source_kind(),
            unit: u16::try_from(movement.source_unit).ok()?,
        },
        business_day: BusinessDay(movement.business_day),
        number: movement.number,
    };
    let of_line = |(index, line): (u32, &contracts::records::MovementLine)| {
        Some(Line {
            index,
            sku: Sku(line.sku),
            change: items::change_of(
                MovementKind::try_from(line.kind).unwrap_or(MovementKind::Unspecified),
                line.quantity,
            )?,
        })
    };
    Some((id, (0..).zip(&movement.lines).filter_map(of_line).collect()))
}

/// Replaces the buffer's content by the message.
pub fn write(id: &TransactionId, line: &Line, at: TimeMs, known: Known, out: &mut String) {
    items::write(
        &items::Item {
            id,
            index: line.index,
            sku: line.sku,
            change: line.change,
            is_weighed: known.is_weighed,
            price: known.price,
            at,
        },
        out,
    );
}

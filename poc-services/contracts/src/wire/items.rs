//! The item stream of IBM's reference kit: one message a line, JSON, keyed by the name of the store.
//!
//! The kit knows two types, and its applications compute stock as restocks less sales. So a line that raises what a place
//! has is a `RESTOCK` and one that lowers it a `SALE`, whatever the reason; what only moves within a place is no item. Its
//! `quantity` is an int and its `id` a long: a weighed article counts in grams, and the id is the line's identity.

use std::fmt::Write as _;

use crate::hash::ContentHash;
use crate::ids::{LocationId, Quantity, Sku, TimeMs, TransactionId};
use crate::records::MovementKind;
use crate::wire::civil::CivilTime;

/// Acme's SKUs are this and the article's number.
const SKU_BASE: u32 = 100_000;

/// One message of the stream.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    pub id: &'a TransactionId,
    /// Of the line within its transaction.
    pub index: u32,
    pub sku: Sku,
    pub change: Quantity,
    pub is_weighed: bool,
    /// Minor units a base unit of measure.
    pub price: i64,
    pub at: TimeMs,
}

/// By how much a line changes what its place has, floor and back room together; `None`: not at all.
pub fn change_of(kind: MovementKind, quantity: i64) -> Option<Quantity> {
    let change = match kind {
        MovementKind::Sold | MovementKind::Shipped => -quantity,
        MovementKind::Returned
        | MovementKind::Supplied
        | MovementKind::Received
        | MovementKind::CountedFloor
        | MovementKind::CountedBackRoom
        | MovementKind::AdjustedFloor
        | MovementKind::AdjustedBackRoom => quantity,
        MovementKind::Stocked | MovementKind::Stored | MovementKind::Unspecified => 0,
    };
    (change != 0).then_some(Quantity(change))
}

/// `Store_42`, `Warehouse_7`.
pub fn place_name(location: LocationId) -> String {
    let kind = if location.is_store() { "Store" } else { "Warehouse" };
    format!("{kind}_{}", location.number())
}

/// `Item_1` is the first of the catalogue.
pub fn item_name(sku: Sku) -> String {
    match sku.0.checked_sub(SKU_BASE) {
        Some(number @ 1..) => format!("Item_{number}"),
        _ => format!("Sku_{sku}"),
    }
}

/// Of 63 bits, so that it is a positive long. The same for the same line, whoever projects it and how often.
pub fn item_id(id: &TransactionId, index: u32) -> u64 {
    let location = id.source.location;
    let mut hash = ContentHash::default();
    for word in [
        u64::from(location.is_store()) << 32 | u64::from(location.number()),
        (id.source.kind as u64) << 32 | u64::from(id.source.unit),
        u64::from(id.business_day.0),
        id.number,
        u64::from(index),
    ] {
        hash.word(word);
    }
    hash.finish() >> 1
}

/// Replaces the buffer's content by the message.
pub fn write(item: &Item<'_>, out: &mut String) {
    out.clear();
    let kind = if item.change.0 < 0 { "SALE" } else { "RESTOCK" };
    let place = place_name(item.id.source.location);
    let _ = write!(
        out,
        r#"{{"id":{},"storeName":"{place}","sku":"{}","type":"{kind}","quantity":"#,
        item_id(item.id, item.index),
        item_name(item.sku),
    );
    let amount = item.change.0.unsigned_abs();
    match (item.is_weighed, amount % 1000) {
        (true, _) => _ = write!(out, "{amount}"),
        (false, 0) => _ = write!(out, "{}", amount / 1000),
        (false, rest) => _ = write!(out, "{}.{rest:03}", amount / 1000),
    }
    let (units, cents) = (item.price / 100, item.price.unsigned_abs() % 100);
    let _ = match (cents / 10, cents % 10) {
        (tenths, 0) => write!(out, r#","price":{units}.{tenths}"#),
        _ => write!(out, r#","price":{units}.{cents:02}"#),
    };
    let at = CivilTime::from_ms(item.at);
    let _ = write!(
        out,
        r#","timestamp":"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}"}}"#,
        at.year, at.month, at.day, at.hour, at.minute, at.second, at.millisecond
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BusinessDay, SourceId};

    fn written(change: i64, is_weighed: bool, price: i64) -> String {
        let id = TransactionId {
            source: SourceId::till(LocationId::store(1), 1),
            business_day: BusinessDay(20_526),
            number: 1,
        };
        let mut out = String::new();
        let item = Item {
            id: &id,
            index: 0,
            sku: Sku(100_001),
            change: Quantity(change),
            is_weighed,
            price,
            at: TimeMs(1_773_480_413_123),
        };
        write(&item, &mut out);
        out
    }

    #[test]
    fn an_item_is_written_as_the_kit_has_it() {
        let text = written(5_000, false, 1_000);
        let (id, rest) = text.split_once(',').expect("several fields");
        assert_eq!(
            rest,
            r#""storeName":"Store_1","sku":"Item_1","type":"RESTOCK","quantity":5,"price":10.0,"timestamp":"2026-03-14T09:26:53.123"}"#
        );
        assert!(
            id.strip_prefix(r#"{"id":"#)
                .is_some_and(|id| id.parse::<i64>().is_ok_and(|id| id > 0))
        );
    }

    #[test]
    fn a_line_that_lowers_is_a_sale_and_a_weighed_one_counts_in_grams() {
        assert!(written(-5_000, false, 1_099).contains(r#""type":"SALE","quantity":5,"price":10.99,"#));
        assert!(written(-425, true, 1_005).contains(r#""type":"SALE","quantity":425,"price":10.05,"#));
        assert!(written(500, false, 50).contains(r#""quantity":0.500,"price":0.5,"#));
    }

    #[test]
    fn what_stays_in_its_place_is_no_item() {
        assert_eq!(change_of(MovementKind::Stocked, 5), None);
        assert_eq!(change_of(MovementKind::CountedFloor, 0), None);
        assert_eq!(change_of(MovementKind::CountedFloor, -2), Some(Quantity(-2)));
        assert_eq!(change_of(MovementKind::Shipped, 3), Some(Quantity(-3)));
        for kind in MovementKind::ALL {
            let is_inside = matches!(kind, MovementKind::Stocked | MovementKind::Stored);
            assert_eq!(change_of(kind, 1).is_none(), is_inside, "{kind:?}");
        }
    }

    #[test]
    fn lines_of_one_transaction_have_ids_of_their_own() {
        let id = TransactionId {
            source: SourceId::queue(LocationId::warehouse(3)),
            business_day: BusinessDay(0),
            number: 17,
        };
        let ids: std::collections::BTreeSet<u64> = (0..500).map(|index| item_id(&id, index)).collect();
        assert_eq!(ids.len(), 500);
        assert!(ids.iter().all(|id| i64::try_from(*id).is_ok()));
        assert_eq!(item_name(Sku(7)), "Sku_7");
        assert_eq!(place_name(LocationId::warehouse(7)), "Warehouse_7");
    }
}

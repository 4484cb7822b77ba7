//! Damage to messages as their sources wrote them, for services that pass on what they do not read.
//!
//! Invariant: an altered message is a valid one of the same transaction with another quantity of one line, so that
//! nobody can refuse it for its form. What a source says of its numbering is no transaction, and is never damaged: a mark that
//! is lost is only late, for the next one says the same. It knows no Kafka: what is to be done is said, not done.

mod poslog;

use super::{Sabotage, SabotageClass, neighbour};
use crate::ids::{LocationId, Quantity};
use crate::wire::{
    FORMAT_4690, FORMAT_COPYBOOK_037, FORMAT_EPCIS, FORMAT_POSLOG_2, FORMAT_POSLOG_6, FORMAT_SOURCE_MARK,
    copybook, epcis, queue_message, tlog4690,
};

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    None,
    Drop,
    Twice,
    /// These bytes go on instead.
    Altered(Vec<u8>),
    /// It goes on as this place's.
    Elsewhere(LocationId),
}

/// What a service does to a message that it passes on.
pub fn damage(sabotage: Option<&Sabotage>, format: &str, location: LocationId, payload: &[u8]) -> Damage {
    let Some(sabotage) = sabotage.filter(|sabotage| sabotage.hits_message(location, payload)) else {
        return Damage::None;
    };
    if format == FORMAT_SOURCE_MARK || is_status(format, payload) {
        return Damage::None;
    }
    match sabotage.class {
        SabotageClass::Drop => Damage::Drop,
        SabotageClass::Double => Damage::Twice,
        SabotageClass::Alter => altered(format, payload).map_or(Damage::None, Damage::Altered),
        SabotageClass::Misroute => Damage::Elsewhere(neighbour(location)),
        SabotageClass::Stale | SabotageClass::Lie => Damage::None,
    }
}

fn is_status(format: &str, payload: &[u8]) -> bool {
    format == FORMAT_COPYBOOK_037 && copybook::is_status(queue_message::record(payload))
}

/// The same message with one unit more in its first line that moves stock; `None` where it has none.
pub fn altered(format: &str, payload: &[u8]) -> Option<Vec<u8>> {
    match format {
        FORMAT_4690 => altered_receipt(payload),
        FORMAT_POSLOG_6 | FORMAT_POSLOG_2 => poslog::altered(payload),
        FORMAT_COPYBOOK_037 => altered_record(payload),
        FORMAT_EPCIS => epcis::with_more_of_the_first(payload, Quantity::ONE),
        _ => None,
    }
}

fn altered_receipt(payload: &[u8]) -> Option<Vec<u8>> {
    let mut receipt = tlog4690::parse(payload).ok()?;
    receipt.first_stock_item()?.quantity.0 += Quantity::ONE.0;
    let mut out = Vec::with_capacity(payload.len() + 16);
    let mut writer = tlog4690::ReceiptWriter::begin(&mut out, &receipt.header);
    receipt.items.iter().for_each(|item| writer.item(item));
    writer.tax(receipt.tax);
    receipt.tenders.iter().for_each(|tender| writer.tender(tender));
    writer.change(receipt.change);
    for kept in &receipt.kept {
        if let tlog4690::KeptKind::Record(_) = kept.kind {
            writer.record_bytes(&payload[kept.range.clone()]);
        }
    }
    writer.finish();
    Some(out)
}

/// Away from nothing, because what is shipped stays negative.
fn altered_record(payload: &[u8]) -> Option<Vec<u8>> {
    let (headers, record) = payload.split_at(queue_message::record_at(payload));
    let mut record = copybook::parse(record).ok()?;
    record.quantity.0 += if record.quantity.0 < 0 {
        -Quantity::ONE.0
    } else {
        Quantity::ONE.0
    };
    let mut out = headers.to_vec();
    copybook::write(&record, &mut out).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Gtin, Money, Sku, TimeMs};
    use crate::wire::copybook::{MoveRecord, MoveType};
    use crate::wire::epcis::{BizStep, DocumentWriter, ScanEvent, ScanLine, SubLocation};
    use crate::wire::tlog4690::{Header, Item, ReceiptWriter};

    fn gtin() -> Gtin {
        Gtin::from_body(400_000_123_456).expect("a body")
    }

    fn receipt(items: &[Item]) -> Vec<u8> {
        let mut out = Vec::new();
        let header = Header {
            terminal: 3,
            number: 118,
            ..Header::default()
        };
        let mut writer = ReceiptWriter::begin(&mut out, &header);
        for item in items {
            writer.item(item);
        }
        writer.finish();
        out
    }

    fn record(move_type: MoveType, quantity: i64) -> Vec<u8> {
        let mut out = Vec::new();
        let record = MoveRecord {
            sequence: 9,
            place: LocationId::warehouse(3),
            department: 1,
            sku: Sku(100_001),
            gtin: gtin(),
            move_type,
            quantity: Quantity(quantity),
            on_hand: Quantity(0),
            on_order: Quantity(0),
            unit_cost: Money(100),
            at: TimeMs(1_773_480_413_000),
            adjusted_units: 0,
            destination: None,
            despatch_advice: None,
        };
        copybook::write(&record, &mut out).expect("it fits");
        out
    }

    fn document(step: BizStep, line: ScanLine) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = DocumentWriter::begin(&mut out, TimeMs(1_773_480_413_000));
        for running_number in [1, 2] {
            writer.event(&ScanEvent {
                reader: 1,
                running_number,
                location: LocationId::store(42),
                at: TimeMs(1_773_480_413_000),
                step,
                sub_location: SubLocation::Floor,
                despatch_advice: None,
                lines: &[line],
            });
        }
        writer.finish();
        out
    }

    #[test]
    fn an_altered_receipt_is_the_same_transaction_with_one_more_of_its_first_article() {
        let voided = Item {
            item_code: 7,
            ordinal: 1,
            ..Item::default()
        };
        let voids = Item {
            ordinal: 2,
            voids: Some(1),
            ..voided
        };
        let sold = Item {
            item_code: 8,
            ordinal: 3,
            quantity: Quantity(2_000),
            ..Item::default()
        };
        let before = receipt(&[voided, voids, sold]);
        let after = tlog4690::parse(&altered(FORMAT_4690, &before).expect("it has a line")).expect("valid");
        let before = tlog4690::parse(&before).expect("valid");
        assert_eq!(after.header, before.header);
        let lines: Vec<_> = after
            .stock_lines()
            .map(|line| (line.item_code, line.quantity.0))
            .collect();
        assert_eq!(lines, [(8, 3_000)]);
        assert_eq!(
            altered(FORMAT_4690, &receipt(&[voided, voids])),
            None,
            "nothing moves"
        );
        assert_eq!(altered(FORMAT_4690, b"no receipt"), None);
    }

    #[test]
    fn an_altered_record_keeps_its_sign() {
        for (move_type, quantity, expected) in [
            (MoveType::Supplied, 5_000, 6_000),
            (MoveType::Shipped, -1_000, -2_000),
            (MoveType::Adjusted, -1_500, -2_500),
        ] {
            let bytes = altered(FORMAT_COPYBOOK_037, &record(move_type, quantity)).expect("a record");
            assert_eq!(
                copybook::parse(&bytes).expect("valid").quantity,
                Quantity(expected)
            );
        }
    }

    #[test]
    fn an_altered_document_differs_in_the_first_line_alone() {
        let moved = ScanLine::moved(gtin(), Quantity(4_500));
        let before = document(BizStep::Receiving, moved);
        let after = altered(FORMAT_EPCIS, &before).expect("lines");
        let after = epcis::read(&after).expect("valid");
        let quantities: Vec<_> = after
            .events
            .iter()
            .map(|event| after.lines(event)[0].quantity)
            .collect();
        assert_eq!(quantities, [Quantity(5_500), Quantity(4_500)]);

        let counted = ScanLine::counted(gtin(), Quantity(3_000), Quantity(5_000));
        let before = document(BizStep::StockTaking, counted);
        let after = altered(FORMAT_EPCIS, &before).expect("lines");
        let after = epcis::read(&after).expect("valid");
        let variances: Vec<_> = after
            .events
            .iter()
            .map(|event| after.movements(event).next().expect("a line").quantity)
            .collect();
        assert_eq!(variances, [Quantity(-1_000), Quantity(-2_000)]);
    }

    #[test]
    fn what_is_not_hit_goes_on_as_it_is() {
        let every: Sabotage = "drop:1/1@store-gateway".parse().expect("valid");
        let store = LocationId::store(5);
        assert_eq!(damage(None, FORMAT_4690, store, b"x"), Damage::None);
        assert_eq!(damage(Some(&every), FORMAT_4690, store, b"x"), Damage::Drop);
        let misroute: Sabotage = "misroute:1/1@store-gateway".parse().expect("valid");
        assert_eq!(
            damage(Some(&misroute), FORMAT_4690, store, b"x"),
            Damage::Elsewhere(LocationId::store(4))
        );
    }

    #[test]
    fn what_a_source_says_of_its_numbering_is_never_damaged() {
        let mut status = Vec::new();
        let record = copybook::StatusRecord {
            place: LocationId::warehouse(3),
            last_sequence: 9,
            at: TimeMs(1_773_480_413_000),
        };
        copybook::write_status(&record, &mut status).expect("it fits");
        for class in ["drop", "double", "alter", "misroute"] {
            let sabotage = format!("{class}:1/1@mq-source").parse().expect("valid");
            for (format, place, payload) in [
                (FORMAT_COPYBOOK_037, LocationId::warehouse(3), &status[..]),
                (FORMAT_SOURCE_MARK, LocationId::store(3), b"{}"),
            ] {
                assert_eq!(damage(Some(&sabotage), format, place, payload), Damage::None);
            }
        }
    }
}

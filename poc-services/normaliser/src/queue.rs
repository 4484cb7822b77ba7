//! Records of a warehouse's queue.

use contracts::hash::content_hash;
use contracts::ids::{BusinessDay, LocationId, Quantity, SourceId, TransactionId};
use contracts::records::MovementKind;
use contracts::wire::copybook::{self, MoveRecord, MoveType};
use contracts::wire::ebcdic::Ccsid;
use contracts::wire::mqmd::{self, Descriptor};
use contracts::wire::queue_message;

use crate::Catalogue;
use crate::normalised::{Normalised, Rejection, Transaction, check_location, movement_line, unknown_item};
use crate::raw::{Group, GroupPlace, RawMessage};
use crate::statement;

pub fn read_record(
    location: LocationId,
    raw: &RawMessage<'_>,
    catalogue: &Catalogue,
    out: &mut Normalised,
) -> Result<(), Rejection> {
    let opened = queue_message::open(raw.payload).map_err(|error| Rejection {
        class: error.class(),
        message: error.to_string(),
    })?;
    let record = copybook::read(opened.record).map_err(|error| Rejection {
        class: error.class(),
        message: error.to_string(),
    })?;
    match record {
        // Of the record alone: two queue managers send the same one behind descriptors of their own.
        copybook::Record::Move(record) => {
            let group = group_place(&record, opened.descriptor.as_ref(), raw.group);
            move_of(location, &record, (opened.record, group), catalogue, out)
        }
        copybook::Record::Status(status) => {
            out.statement = Some(statement::of_status(location, &status)?);
            Ok(())
        }
    }
}

/// The record's place in its shipment, by the descriptor in front of it or by what the queue said. A group that is known by
/// anything but the despatch advice says nothing of the delivery.
fn group_place(
    record: &MoveRecord,
    descriptor: Option<&Descriptor>,
    said: Option<Group<'_>>,
) -> Option<GroupPlace> {
    let advice = record.despatch_advice?;
    let is_its = |id: &[u8]| id == mqmd::shipment_group(advice).as_bytes();
    let in_front = descriptor.and_then(|descriptor| {
        let id = Ccsid::from_number(descriptor.ccsid)
            .unwrap_or_default()
            .decode(&descriptor.group_id);
        is_its(id.trim_end().as_bytes()).then(|| GroupPlace {
            sequence: descriptor.sequence,
            is_last: descriptor.is_last_in_group(),
        })
    });
    let beside = || Some(said.filter(|group| is_its(group.id))?.place);
    in_front.or_else(beside).filter(|place| place.sequence > 0)
}

fn move_of(
    location: LocationId,
    record: &MoveRecord,
    (payload, group): (&[u8], Option<GroupPlace>),
    catalogue: &Catalogue,
    out: &mut Normalised,
) -> Result<(), Rejection> {
    check_location(location, record.place)?;
    let unit = catalogue
        .unit_of(record.gtin.value())
        .ok_or_else(|| unknown_item(record.gtin.value()))?;
    let sku = unit.sku;
    if unit.is_pack() {
        return Err(Rejection {
            class: "item-conflict",
            message: format!(
                "the record has GTIN {}, a carton of SKU {sku}, and its quantity is in base units: which of the two is meant?",
                record.gtin
            ),
        });
    }
    if sku != record.sku {
        return Err(Rejection {
            class: "item-conflict",
            message: format!(
                "the record has SKU {} with GTIN {}, which is SKU {sku} in the catalogue",
                record.sku, record.gtin
            ),
        });
    }
    let (kind, quantity) = match record.move_type {
        MoveType::Supplied => (MovementKind::Supplied, record.quantity),
        MoveType::Shipped => (MovementKind::Shipped, Quantity(-record.quantity.0)),
        MoveType::Adjusted | MoveType::Returned => (MovementKind::AdjustedBackRoom, record.quantity),
        MoveType::CountVariance => (MovementKind::CountedBackRoom, record.quantity),
        MoveType::Sold => {
            return Err(Rejection {
                class: "unsupported-move-type",
                message: "INV-MOVE-TYPE 251: sales are taken from the tills' logs, a warehouse has none"
                    .into(),
            });
        }
    };
    out.lines.push(movement_line(sku.0, kind, quantity));
    out.transactions.push(Transaction {
        id: TransactionId {
            source: SourceId::queue(location),
            business_day: BusinessDay(0),
            number: u64::from(record.sequence),
        },
        occurred: record.at,
        content_hash: content_hash(payload),
        despatch_advice: record.despatch_advice.unwrap_or(0),
        group,
        lines: 0..1,
    });
    Ok(())
}

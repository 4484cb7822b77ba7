//! What papers of inventory control move.

use super::super::{
    codes::{AdjustmentReason, CodeList as _, Coded, DocumentStatus, InventoryKind, Room, UnitType},
    decimal,
    error::StockFault,
    inventory::{InventoryDocument, InventoryLine, Place},
    retail::Measured,
};
use super::{Located, StockLine, StockUnit, article, in_base_unit};
use crate::ids::Quantity;
use crate::records::MovementKind;

pub(super) fn document(
    document: &InventoryDocument<'_>,
    store: u16,
    out: &mut Vec<StockLine>,
) -> Result<(), Located> {
    let fault = |what| StockFault::Inventory {
        kind: document.kind.code(),
        what,
    };
    match &document.status {
        None | Some(Coded::Known(DocumentStatus::Posted)) => {}
        Some(Coded::Known(_)) => return Ok(()),
        Some(Coded::Other(_)) => return Err((None, fault("a DocumentStatus that is not known"))),
    }
    let movement = movement(document, store).map_err(|what| (None, fault(what)))?;
    for (index, line) in document.lines.iter().enumerate() {
        let at = |fault| (Some(index + 1), fault);
        let (quantity, unit) = moved(document.kind, &movement, line, &fault).map_err(at)?;
        let (sku, code) = article(&line.item).map_err(at)?;
        if quantity == Quantity(0) && !document.is_confirmation() {
            continue;
        }
        out.push(StockLine {
            sku,
            code,
            kind: movement.kind,
            quantity,
            unit,
            despatch_advice: document.despatch_advice(),
        });
    }
    Ok(())
}

struct Movement {
    kind: MovementKind,
    /// Of the quantity in the paper.
    sign: Sign,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// It is an amount, and not negative.
    Amount,
    Plus,
    Minus,
}

fn movement(document: &InventoryDocument<'_>, store: u16) -> Result<Movement, &'static str> {
    let (kind, sign) = match document.kind {
        InventoryKind::Count => match document.room {
            Room::Floor => (MovementKind::CountedFloor, Sign::Plus),
            Room::BackRoom => (MovementKind::CountedBackRoom, Sign::Plus),
        },
        InventoryKind::Receive => (receiving(document, store)?, Sign::Amount),
        InventoryKind::Transfer => (transfer(document, store)?, Sign::Amount),
        // To no place of ours, so nothing is in transit.
        InventoryKind::ReturnToVendor => (MovementKind::AdjustedBackRoom, Sign::Minus),
        InventoryKind::Adjustment => {
            let sign = match &document.reason {
                Some(Coded::Known(AdjustmentReason::Correction)) => Sign::Plus,
                Some(Coded::Known(_)) => Sign::Minus,
                _ => return Err("an AdjustmentReason that is missing or not known"),
            };
            (adjusted(document.room), sign)
        }
        InventoryKind::Loss => (adjusted(document.room), Sign::Minus),
    };
    Ok(Movement { kind, sign })
}

const fn adjusted(room: Room) -> MovementKind {
    match room {
        Room::Floor => MovementKind::AdjustedFloor,
        Room::BackRoom => MovementKind::AdjustedBackRoom,
    }
}

fn receiving(document: &InventoryDocument<'_>, store: u16) -> Result<MovementKind, &'static str> {
    if document
        .destination
        .as_ref()
        .is_some_and(|place| !is_here(place, store))
    {
        return Err("goods for another place");
    }
    match document.source.as_ref().and_then(|place| place.kind.as_ref()) {
        Some(Coded::Known(UnitType::RetailStore | UnitType::DistributionCenter)) => {
            Ok(MovementKind::Received)
        }
        Some(Coded::Known(UnitType::Supplier)) => Ok(MovementKind::Supplied),
        _ => Err(
            "a SourceBusinessUnitID whose TypeCode is missing or not known: from a place of ours or a supplier?",
        ),
    }
}

fn transfer(document: &InventoryDocument<'_>, store: u16) -> Result<MovementKind, &'static str> {
    let is_here = |place: &Option<Place<'_>>| place.as_ref().map(|place| is_here(place, store));
    match (is_here(&document.source), is_here(&document.destination)) {
        (Some(true) | None, Some(false)) => Ok(MovementKind::Shipped),
        (Some(false), Some(true) | None) | (None, Some(true)) => Ok(MovementKind::Received),
        _ => Err("neither from nor to this store alone"),
    }
}

fn is_here(place: &Place<'_>, store: u16) -> bool {
    matches!(place.kind, None | Some(Coded::Known(UnitType::RetailStore)))
        && decimal::number(&place.id) == Some(u64::from(store))
}

/// The quantity of the line that moves, with its sign.
fn moved(
    kind: InventoryKind,
    movement: &Movement,
    line: &InventoryLine<'_>,
    fault: &dyn Fn(&'static str) -> StockFault,
) -> Result<(Quantity, StockUnit), StockFault> {
    let measured: Option<&Measured<'_>> = match kind {
        InventoryKind::Receive => line.received.as_ref(),
        InventoryKind::Transfer if movement.kind == MovementKind::Received => line.received.as_ref(),
        InventoryKind::Transfer | InventoryKind::ReturnToVendor | InventoryKind::Adjustment => {
            line.disposed.as_ref()
        }
        InventoryKind::Count | InventoryKind::Loss => line.quantity.as_ref(),
    };
    let measured = measured.ok_or_else(|| {
        fault(match kind {
            InventoryKind::Receive => "a line without QuantityReceived",
            InventoryKind::Transfer => "a line without QuantityReceived (in) or DispositionQuantity (out)",
            InventoryKind::ReturnToVendor | InventoryKind::Adjustment => "a line without DispositionQuantity",
            InventoryKind::Count | InventoryKind::Loss => "a line without Quantity",
        })
    })?;
    let (quantity, unit) = in_base_unit(measured)?;
    let signed = match (kind, movement.sign) {
        (InventoryKind::Count, _) => {
            let book = line.book.ok_or_else(|| {
                fault("a count without the book of the till: what was counted cannot be applied without it")
            })?;
            let (book, _) = in_base_unit(&Measured {
                quantity: book,
                unit: measured.unit.clone(),
                units: None,
            })?;
            quantity.0 - book.0
        }
        (_, Sign::Amount) if quantity.0 < 0 => return Err(fault("a negative quantity")),
        (_, Sign::Amount | Sign::Plus) => quantity.0,
        (_, Sign::Minus) => -quantity.0,
    };
    Ok((Quantity(signed), unit))
}

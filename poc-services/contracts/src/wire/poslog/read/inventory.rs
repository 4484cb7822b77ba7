//! Papers of inventory control.

use super::super::{
    codes::{CodeList as _, Coded, InventoryKind, Room, Text},
    cursor::{Cursor, Refusal, Tag},
    decimal,
    inventory::{InventoryDocument, InventoryLine, Place},
    namespaces::Space,
};
use super::{
    retail::{item_id, measured},
    set_once, some_text,
};

pub(super) fn documents<'a>(
    cursor: &mut Cursor<'a>,
    out: &mut Vec<InventoryDocument<'a>>,
) -> Result<(), Refusal> {
    while let Some(tag) = cursor.child()? {
        match InventoryKind::from_code(tag.name) {
            Some(kind) => {
                cursor.count_line()?;
                out.push(document(cursor, &tag, kind)?);
            }
            None => cursor.skip()?,
        }
    }
    Ok(())
}

fn document<'a>(
    cursor: &mut Cursor<'a>,
    tag: &Tag<'a>,
    kind: InventoryKind,
) -> Result<InventoryDocument<'a>, Refusal> {
    let mut out = InventoryDocument::new(kind);
    cursor.attributes(tag, |name, value| {
        match name {
            "DocumentStatus" => out.status = some_text(value).map(Coded::from_code),
            "DocumentType" | "TypeCode" | "CountType" => out.type_code = some_text(value),
            "AdjustmentReason" => out.reason = some_text(value).map(Coded::from_code),
            _ => {}
        }
        Some(())
    })?;
    // A loss has its article and quantity right here.
    let mut own = InventoryLine::default();
    while let Some(tag) = cursor.child_or_kit()? {
        match (cursor.space(), tag.name) {
            (Space::PosLog, "DocumentID") => out.id = some_text(cursor.text()?),
            (Space::PosLog, "SourceBusinessUnitID") => out.source = place(cursor, &tag)?,
            (Space::PosLog, "DestinationBusinessUnitID") => out.destination = place(cursor, &tag)?,
            (Space::PosLog, "LineItem") => {
                cursor.count_line()?;
                cursor.line = out.lines.len() + 1;
                let line = line(cursor)?;
                out.lines.push(line);
                cursor.line = 0;
            }
            (Space::Kit, "Room") => {
                let room = Room::from_code(&cursor.text()?);
                out.room = room.ok_or_else(|| cursor.unreadable("Room"))?;
            }
            _ => line_part(cursor, &tag, &mut own)?,
        }
    }
    if own != InventoryLine::default() {
        out.lines.push(own);
    }
    Ok(out)
}

fn line<'a>(cursor: &mut Cursor<'a>) -> Result<InventoryLine<'a>, Refusal> {
    let mut out = InventoryLine::default();
    while let Some(tag) = cursor.child_or_kit()? {
        line_part(cursor, &tag, &mut out)?;
    }
    Ok(out)
}

fn line_part<'a>(cursor: &mut Cursor<'a>, tag: &Tag<'a>, out: &mut InventoryLine<'a>) -> Result<(), Refusal> {
    let (slot, field) = match (cursor.space(), tag.name) {
        (Space::PosLog, "ItemID") => return item_id(cursor, tag, &mut out.item),
        (Space::Kit, "Book") => {
            let book = decimal::quantity(&cursor.text()?);
            return set_once(cursor, &mut out.book, "Book", book);
        }
        (Space::PosLog, "QuantityOrdered") => (&mut out.ordered, "QuantityOrdered"),
        (Space::PosLog, "QuantityReceived") => (&mut out.received, "QuantityReceived"),
        (Space::PosLog, "DispositionQuantity") => (&mut out.disposed, "DispositionQuantity"),
        (Space::PosLog, "Quantity") => (&mut out.quantity, "Quantity"),
        _ => return cursor.skip(),
    };
    let value = measured(cursor, tag, field)?;
    set_once(cursor, slot, field, Some(value))
}

fn place<'a>(cursor: &mut Cursor<'a>, tag: &Tag<'a>) -> Result<Option<Place<'a>>, Refusal> {
    let mut kind = None;
    cursor.attributes(tag, |name, value| {
        if name == "TypeCode" {
            kind = some_text(value).map(Coded::from_code);
        }
        Some(())
    })?;
    let id: Text<'a> = cursor.first_text()?;
    Ok((!id.is_empty()).then_some(Place { kind, id }))
}

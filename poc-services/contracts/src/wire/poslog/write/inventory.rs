//! Papers of inventory control.

use super::super::{
    codes::{CodeList as _, InventoryKind, Room},
    inventory::{InventoryDocument, InventoryLine, Place},
    retail::{ItemCode, Measured},
};
use super::{Elements, Written};

impl Elements<'_> {
    pub(super) fn document(&mut self, document: &InventoryDocument<'_>) -> Written {
        let name = document.kind.code();
        self.begin(name);
        if let Some(type_code) = &document.type_code {
            let attribute = match document.kind {
                InventoryKind::Count => "CountType",
                InventoryKind::Loss => "TypeCode",
                _ => "DocumentType",
            };
            self.attribute(attribute, type_code)?;
        }
        self.code("DocumentStatus", document.status.as_ref())?;
        if document.reason.is_some() && document.kind != InventoryKind::Adjustment {
            return self.refuse("AdjustmentReason", "belongs to an adjustment");
        }
        self.code("AdjustmentReason", document.reason.as_ref())?;
        self.push(">");
        self.optional_text("DocumentID", document.id.as_deref())?;
        self.place("SourceBusinessUnitID", document.source.as_ref())?;
        self.place("DestinationBusinessUnitID", document.destination.as_ref())?;
        // One article of a loss stands in it as it is.
        match document.lines.as_slice() {
            [line] if document.kind == InventoryKind::Loss => self.inventory_line(line)?,
            lines => {
                for line in lines {
                    self.push("<LineItem>");
                    self.inventory_line(line)?;
                    self.push("</LineItem>");
                }
            }
        }
        if document.room != Room::default() {
            self.text("stockstream:Room", document.room.code())?;
        }
        self.end(name);
        Ok(())
    }

    fn inventory_line(&mut self, line: &InventoryLine<'_>) -> Written {
        match (line.item.sku, line.item.code, &line.item.unread) {
            (Some(sku), None, None) => self.sku(sku)?,
            (None, Some(code), None) => {
                let kind = match code {
                    ItemCode::Gtin(_) => "GTIN",
                    ItemCode::Plu(_) => "PLU",
                };
                self.begin("ItemID");
                self.attribute("Type", kind)?;
                self.push(">");
                self.item_code(code)?;
                self.end("ItemID");
            }
            _ => return self.refuse("ItemID", "is one of SKU and code"),
        }
        self.measured("QuantityOrdered", line.ordered.as_ref())?;
        self.measured("QuantityReceived", line.received.as_ref())?;
        self.measured("Quantity", line.quantity.as_ref())?;
        self.measured("DispositionQuantity", line.disposed.as_ref())?;
        self.measured("stockstream:Book", line.book.map(Measured::from).as_ref())
    }

    fn place(&mut self, name: &'static str, place: Option<&Place<'_>>) -> Written {
        let Some(place) = place else { return Ok(()) };
        self.begin(name);
        self.code("TypeCode", place.kind.as_ref())?;
        self.push(">");
        self.escaped(name, &place.id)?;
        self.end(name);
        Ok(())
    }
}

//! What moves stock and what must not: `docs/formats/what-moves-stock.md`, row for row.
//!
//! Invariant: pure; nothing is guessed. What is known not to move stock gives no lines, what may move it and is not
//! understood is an error.

mod inventory;
mod voids;

use super::{
    codes::{Coded, DisposalMethod, ItemType, TransactionStatus, UnitOfMeasure},
    error::{StockError, StockFault},
    model::{ControlEvent, Transaction},
    retail::{Item, ItemCode, ItemId, Line, LineKind, Measured, Retail},
};
use crate::ids::{Quantity, Sku};
use crate::records::MovementKind;

/// A line that moves stock. At least one of SKU and code is there; where both are, they must name the same article.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockLine {
    pub sku: Option<Sku>,
    pub code: Option<ItemCode>,
    pub kind: MovementKind,
    /// Never zero where it moves; negative only where [`MovementKind::is_signed`].
    pub quantity: Quantity,
    pub unit: StockUnit,
    /// Of a delivery.
    pub despatch_advice: Option<u64>,
}

/// What a quantity counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockUnit {
    /// It is not said: the article's base unit.
    Unstated,
    Each,
    Kilogram,
    Litre,
    Metre,
    /// To be multiplied by the article's pack size.
    Carton,
}

/// Fills `out` with what the transaction moves, in the order of its lines, or leaves it empty and says why that cannot
/// be known. Goods that come back and are not put on sale again are two lines: returned, and taken off again.
pub fn stock_lines(transaction: &Transaction<'_>, out: &mut Vec<StockLine>) -> Result<(), StockError> {
    stock_and_confirmed(transaction, out, &mut Vec::new())
}

/// As [`stock_lines`]. `confirmed` gets what the transaction says of a delivery whose goods another paper moves, also where
/// that is that nothing came: quantities of zero are among these lines.
pub fn stock_and_confirmed(
    transaction: &Transaction<'_>,
    moved: &mut Vec<StockLine>,
    confirmed: &mut Vec<StockLine>,
) -> Result<(), StockError> {
    moved.clear();
    confirmed.clear();
    let result = movements(transaction, moved, confirmed);
    if result.is_err() {
        moved.clear();
        confirmed.clear();
    }
    result.map_err(|(line, fault)| StockError {
        workstation: transaction.workstation,
        number: transaction.number,
        line,
        fault,
    })
}

/// A fault with the line that has it, from 1.
type Located = (Option<usize>, StockFault);

fn movements(
    transaction: &Transaction<'_>,
    out: &mut Vec<StockLine>,
    confirmed: &mut Vec<StockLine>,
) -> Result<(), Located> {
    if transaction.flags.training || transaction.flags.cancelled {
        return Ok(());
    }
    let post_void = transaction.post_void();
    let has_items = transaction.retail.as_ref().is_some_and(|retail| {
        let is_item = |line: &Line<'_>| matches!(line.kind, LineKind::Sale(_) | LineKind::Return(_));
        retail.lines.iter().any(is_item)
    });
    if post_void.is_some() && !has_items {
        return Err((None, StockFault::PostVoid));
    }
    if let Some(retail) = &transaction.retail
        && is_finished(retail, post_void).map_err(|fault| (None, fault))?
    {
        receipt(retail, post_void, out)?;
    }
    for document in &transaction.inventory {
        let out = if document.is_confirmation() {
            &mut *confirmed
        } else {
            &mut *out
        };
        inventory::document(document, transaction.store, out)?;
    }
    Ok(())
}

/// Whether the lines of the receipt count.
fn is_finished(retail: &Retail<'_>, post_void: Option<&ControlEvent<'_>>) -> Result<bool, StockFault> {
    use TransactionStatus as Status;
    match &retail.status {
        None | Some(Coded::Known(Status::Finished)) => Ok(true),
        // Two ways to say that this one takes another back, but the lines are not turned round.
        Some(_) if post_void.is_some() => Err(StockFault::PostVoid),
        Some(Coded::Known(Status::Voided | Status::TransactionVoided | Status::PostVoided))
            if retail
                .link
                .as_ref()
                .is_some_and(|link| !matches!(link.reason.as_deref(), Some("Return" | "Resume"))) =>
        {
            Err(StockFault::PostVoid)
        }
        Some(Coded::Known(_)) => Ok(false),
        Some(Coded::Other(status)) => {
            let may_count = |line: &Line<'_>| match &line.kind {
                LineKind::Sale(_) | LineKind::Return(_) => true,
                LineKind::Other(name) => may_move(name),
                _ => false,
            };
            if retail.lines.iter().any(may_count) {
                return Err(StockFault::Status {
                    status: status.clone().into_owned(),
                });
            }
            Ok(false)
        }
    }
}

fn receipt(
    retail: &Retail<'_>,
    post_void: Option<&ControlEvent<'_>>,
    out: &mut Vec<StockLine>,
) -> Result<(), Located> {
    let taken = voids::taken(&retail.lines)?;
    for (index, line) in retail.lines.iter().enumerate() {
        let at = |fault| (Some(index + 1), fault);
        let Some(entry) = entry(line).map_err(at)? else {
            continue;
        };
        let (signed, unit) = in_base_unit(entry.measured).map_err(at)?;
        let back = taken.get(index).copied().unwrap_or_default();
        let quantity = Quantity(signed.0.abs() - back);
        let is_return = match line.kind {
            LineKind::Return(_) if signed.0 < 0 => {
                return Err(at(StockFault::Quantity {
                    what: "a return of a negative quantity can be read in two ways",
                }));
            }
            LineKind::Return(_) => true,
            _ => signed.0 < 0,
        };
        if quantity == Quantity(0) {
            continue;
        }
        if let Some(event) = post_void
            && !is_linked(entry.item, event)
        {
            return Err(at(StockFault::PostVoid));
        }
        let (sku, code) = article(&entry.item.id).map_err(at)?;
        let line = StockLine {
            sku,
            code,
            kind: if is_return {
                MovementKind::Returned
            } else {
                MovementKind::Sold
            },
            quantity,
            unit,
            despatch_advice: None,
        };
        out.push(line);
        if is_return && !is_back_on_sale(entry.item).map_err(at)? {
            out.push(StockLine {
                kind: MovementKind::AdjustedFloor,
                quantity: Quantity(-quantity.0),
                ..line
            });
        }
    }
    Ok(())
}

/// A sale or return that counts, voids of other lines aside.
struct Entry<'l, 'a> {
    item: &'l Item<'a>,
    measured: &'l Measured<'a>,
}

fn entry<'l, 'a>(line: &'l Line<'a>) -> Result<Option<Entry<'l, 'a>>, StockFault> {
    if line.void || line.cancelled || line.voids.is_some() {
        return Ok(None);
    }
    let item = match &line.kind {
        LineKind::Sale(item) | LineKind::Return(item) => item,
        LineKind::Other(name) if may_move(name) => {
            return Err(StockFault::Line {
                name: name.clone().into_owned(),
            });
        }
        _ => return Ok(None),
    };
    match &item.item_type {
        None | Some(Coded::Known(ItemType::Stock)) => {}
        Some(Coded::Known(_)) => return Ok(None),
        Some(Coded::Other(item_type)) => {
            return Err(StockFault::ItemType {
                item_type: item_type.clone().into_owned(),
            });
        }
    }
    let measured = item.quantity.as_ref().ok_or(StockFault::Quantity {
        what: "an item without Quantity",
    })?;
    Ok(Some(Entry { item, measured }))
}

/// Bodies of lines that sell, return, order or lend goods in ways that this kit does not know.
pub(super) fn may_move(name: &str) -> bool {
    [
        "Sale",
        "Return",
        "Layaway",
        "PreviousLayaway",
        "CustomerOrder",
        "PreviousCustomerOrder",
        "Rent",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

fn is_linked(item: &Item<'_>, event: &ControlEvent<'_>) -> bool {
    match (&item.link, &event.link) {
        (Some(link), Some(voided)) => link.is_same_transaction(voided),
        _ => false,
    }
}

fn is_back_on_sale(item: &Item<'_>) -> Result<bool, StockFault> {
    match &item.disposal {
        None | Some(Coded::Known(DisposalMethod::ReturnToStock)) => Ok(true),
        Some(Coded::Known(_)) => Ok(false),
        Some(Coded::Other(method)) => Err(StockFault::Disposal {
            method: method.clone().into_owned(),
        }),
    }
}

fn article(id: &ItemId<'_>) -> Result<(Option<Sku>, Option<ItemCode>), StockFault> {
    if id.sku.is_none() && id.code.is_none() {
        return Err(StockFault::Item {
            found: id.unread.clone().map(std::borrow::Cow::into_owned),
        });
    }
    Ok((id.sku, id.code))
}

/// `Units` is the content of a piece to some and the pieces over again to others: taken only where both agree.
fn in_base_unit(measured: &Measured<'_>) -> Result<(Quantity, StockUnit), StockFault> {
    let stated = measured.quantity.0;
    let quantity = match measured.units {
        None | Some(Quantity::ONE) => stated,
        Some(units) if units.0 <= 0 => {
            return Err(StockFault::Quantity {
                what: "Units that are not positive",
            });
        }
        Some(units) if units.0 == stated.abs() => stated,
        Some(units) if stated.abs() == Quantity::ONE.0 => units.0 * stated.signum(),
        Some(_) => {
            return Err(StockFault::Quantity {
                what: "Quantity and Units can be read in two ways",
            });
        }
    };
    let unit = match &measured.unit {
        None => StockUnit::Unstated,
        Some(Coded::Known(UnitOfMeasure::Each)) => StockUnit::Each,
        Some(Coded::Known(UnitOfMeasure::Kilogram)) => StockUnit::Kilogram,
        Some(Coded::Known(UnitOfMeasure::Litre)) => StockUnit::Litre,
        Some(Coded::Known(UnitOfMeasure::Metre)) => StockUnit::Metre,
        Some(Coded::Known(UnitOfMeasure::Carton)) => StockUnit::Carton,
        Some(Coded::Known(UnitOfMeasure::Gram)) if quantity % 1000 == 0 => {
            return Ok((Quantity(quantity / 1000), StockUnit::Kilogram));
        }
        Some(unit) => {
            return Err(StockFault::Unit {
                unit: unit.code().to_owned(),
            });
        }
    };
    Ok((Quantity(quantity), unit))
}

//! A POSLog document → its transactions. Pure.
//!
//! What moves stock, and what only confirms a delivery, is decided by [`stock_and_confirmed`] alone; here articles are looked up
//! and quantities brought to their base unit. Invariant: a document is taken whole or not at all; whatever its transactions are, each is one of the output, so
//! that its number is seen.

use contracts::hash::ContentHash;
use contracts::ids::{LocationId, Quantity, Sku, SourceId, TimeMs, TransactionId};
use contracts::records::{MovementLine, PaperKind, PaperLine};
use contracts::wire::QUANTITY_MAX;
use contracts::wire::poslog::{
    ItemCode, LineKind, StockLine, StockUnit, Transaction as Written, parse, stock_and_confirmed,
};

use crate::catalogue::Facts;
use crate::normalised::{check_location, movement_line, unknown_item};
use crate::paper::paper;
use crate::{BusinessClock, Catalogue, Normalised, Rejection, TradeUnit, Transaction};

/// Reads documents. Used again from one to the next.
#[derive(Debug, Default)]
pub struct Reader {
    stock: Vec<StockLine>,
    confirmed: Vec<StockLine>,
}

impl Reader {
    pub fn read(
        &mut self,
        location: LocationId,
        payload: &[u8],
        clock: BusinessClock,
        catalogue: &Catalogue,
        out: &mut Normalised,
    ) -> Result<(), Rejection> {
        let document = parse(payload).map_err(|error| Rejection {
            class: error.class(),
            message: error.to_string(),
        })?;
        for transaction in &document.transactions {
            check_location(location, LocationId::store(transaction.store))?;
            stock_and_confirmed(transaction, &mut self.stock, &mut self.confirmed).map_err(|error| {
                Rejection {
                    class: error.class(),
                    message: error.to_string(),
                }
            })?;
            let located = |rejection: Rejection| Rejection {
                message: format!(
                    "transaction {} of till {}: {}",
                    transaction.number, transaction.workstation, rejection.message
                ),
                ..rejection
            };
            let first = out.lines.len();
            for line in &self.stock {
                let (sku, quantity) = moved(line, catalogue).map_err(located)?;
                out.lines.push(movement_line(sku.0, line.kind, quantity));
            }
            let mut posted = Vec::with_capacity(self.confirmed.len());
            for line in &self.confirmed {
                let (sku, quantity) = moved(line, catalogue).map_err(located)?;
                posted.push(PaperLine {
                    sku: sku.0,
                    quantity: quantity.0,
                });
            }
            let (id, occurred) = identity(location, transaction, clock)?;
            let despatch_advice = despatch_advice(transaction)?;
            let lines = first..out.lines.len();
            let said = (&out.lines[lines.clone()], &posted[..]);
            let content_hash = content_hash(transaction, occurred, despatch_advice, said);
            let transaction = Transaction {
                id,
                occurred,
                content_hash,
                despatch_advice,
                group: None,
                lines,
            };
            if !posted.is_empty() {
                out.papers
                    .push(paper(&transaction, PaperKind::ReceiveInventory, posted));
            }
            out.transactions.push(transaction);
        }
        Ok(())
    }
}

/// The article of a line, and how much of it in its base unit.
fn moved(line: &StockLine, catalogue: &Catalogue) -> Result<(Sku, Quantity), Rejection> {
    let by_code = match line.code {
        Some(ItemCode::Gtin(gtin)) => Some(
            catalogue
                .unit_of(gtin.value())
                .ok_or_else(|| unknown_item(gtin.value()))?,
        ),
        Some(ItemCode::Plu(plu)) => Some(catalogue.unit_of(plu.into()).ok_or_else(|| Rejection {
            class: Rejection::UNKNOWN_ITEM,
            message: format!("PLU {plu} is not in the catalogue: add the article, then send this again"),
        })?),
        None => None,
    };
    let sku = match (line.sku, by_code.map(|unit| unit.sku)) {
        (Some(sku), Some(of_code)) if sku != of_code => {
            return Err(Rejection {
                class: "item-conflict",
                message: format!("the line has SKU {sku} with a code that is SKU {of_code} in the catalogue"),
            });
        }
        (Some(sku), _) | (None, Some(sku)) => sku,
        (None, None) => unreachable!("a line that moves stock names its article"),
    };
    let facts = catalogue.facts(sku).ok_or_else(|| Rejection {
        class: Rejection::UNKNOWN_ITEM,
        message: format!("SKU {sku} is not in the catalogue: add the article, then send this again"),
    })?;
    let quantity = match by_code.filter(|unit| unit.is_pack()) {
        Some(pack) => of_pack(pack, line)?,
        None => in_base_unit(sku, line, *facts)?,
    };
    Ok((sku, quantity))
}

/// The line names a carton by its own number, so its quantity counts these, whether it calls them cartons or each.
fn of_pack(pack: TradeUnit, line: &StockLine) -> Result<Quantity, Rejection> {
    if let StockUnit::Kilogram | StockUnit::Litre | StockUnit::Metre = line.unit {
        return Err(Rejection {
            class: "unit-conflict",
            message: format!(
                "the line names a carton of SKU {} and counts {:?}: cartons are counted",
                pack.sku, line.unit
            ),
        });
    }
    pack.in_base_unit(line.quantity).ok_or_else(|| Rejection {
        class: "bad-quantity",
        message: format!(
            "so many cartons of SKU {} are more than a line can move",
            pack.sku
        ),
    })
}

fn in_base_unit(sku: Sku, line: &StockLine, facts: Facts) -> Result<Quantity, Rejection> {
    let conflict = |unit: &str| {
        let base = if facts.weighed { "kilograms" } else { "pieces" };
        Err(Rejection {
            class: "unit-conflict",
            message: format!("SKU {sku} is kept in {base}, and the line counts {unit}"),
        })
    };
    match line.unit {
        StockUnit::Unstated => Ok(line.quantity),
        StockUnit::Each if !facts.weighed => Ok(line.quantity),
        StockUnit::Kilogram if facts.weighed => Ok(line.quantity),
        StockUnit::Each => conflict("pieces"),
        StockUnit::Kilogram => conflict("kilograms"),
        StockUnit::Litre => conflict("litres"),
        StockUnit::Metre => conflict("metres"),
        StockUnit::Carton if facts.pack_size == 0 => Err(Rejection {
            class: "unknown-pack",
            message: format!(
                "the line counts cartons of SKU {sku}, whose pack size the catalogue does not have"
            ),
        }),
        StockUnit::Carton => {
            let eaches = line.quantity.0.checked_mul(facts.pack_size.into());
            eaches
                .filter(|eaches| eaches.abs() <= QUANTITY_MAX.0)
                .map(Quantity)
                .ok_or_else(|| Rejection {
                    class: "bad-quantity",
                    message: format!("so many cartons of SKU {sku} are more than a line can move"),
                })
        }
    }
}

/// What the till says of day and time; what it does not say follows from the other.
fn identity(
    location: LocationId,
    transaction: &Written<'_>,
    clock: BusinessClock,
) -> Result<(TransactionId, TimeMs), Rejection> {
    let said = transaction
        .occurred()
        .map(|stamp| stamp.instant(clock.utc_offset_minutes));
    let (business_day, occurred) = match (transaction.business_day, said) {
        (Some(day), Some(at)) => (day, at),
        (None, Some(at)) => (clock.day_of(at), at),
        (Some(day), None) => (day, clock.begin_of(day)),
        (None, None) => {
            return Err(Rejection {
                class: "bad-header",
                message: format!(
                    "transaction {} of till {} has neither a business day nor a time",
                    transaction.number, transaction.workstation
                ),
            });
        }
    };
    let id = TransactionId {
        source: SourceId::till(location, transaction.workstation),
        business_day,
        number: transaction.number,
    };
    Ok((id, occurred))
}

/// A movement has one: papers of several deliveries are several transactions.
fn despatch_advice(transaction: &Written<'_>) -> Result<u64, Rejection> {
    let mut found = 0;
    for paper in &transaction.inventory {
        match paper.despatch_advice() {
            Some(advice) if found != 0 && advice != found => {
                return Err(Rejection {
                    class: "bad-inventory",
                    message: format!(
                        "transaction {} of till {} has papers of two despatch advices, {found} and {advice}",
                        transaction.number, transaction.workstation
                    ),
                });
            }
            Some(advice) => found = advice,
            None => {}
        }
    }
    Ok(found)
}

/// Over what the transaction says, not its text: a server may send it again in another document.
fn content_hash(
    transaction: &Written<'_>,
    occurred: TimeMs,
    despatch_advice: u64,
    (lines, posted): (&[MovementLine], &[PaperLine]),
) -> u64 {
    let mut hash = ContentHash::default();
    let flags = transaction.flags;
    let retail = transaction.retail.as_ref();
    for word in [
        u64::from(transaction.store) << 16 | u64::from(transaction.workstation),
        transaction.number,
        occurred.0 as u64,
        u64::from(flags.training) << 1 | u64::from(flags.cancelled),
        despatch_advice,
        retail.map_or(0, |retail| retail.lines.len() as u64 + 1),
        transaction.control.len() as u64,
        transaction.inventory.len() as u64,
        lines.len() as u64,
    ] {
        hash.word(word);
    }
    for line in retail.map_or(&[][..], |retail| &retail.lines) {
        if let LineKind::Tender(tender) = &line.kind {
            hash.word(tender.amount.map_or(0, |amount| amount.0) as u64);
        }
    }
    for line in lines {
        hash.word(u64::from(line.sku) << 8 | line.kind as u64);
        hash.word(line.quantity as u64);
    }
    for line in posted {
        hash.word(u64::from(line.sku));
        hash.word(line.quantity as u64);
    }
    hash.finish()
}

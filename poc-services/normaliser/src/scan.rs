//! An EPCIS document → its transactions: one for each event that a reader of the place numbered.
//!
//! Invariant: only the papers that move stock give lines; what another paper moves, reserves or says without moving
//! anything is a transaction of no lines, so that its number is seen. An event that nobody of the place numbered and that
//! moves nothing, such as a packing event that came with a delivery, is no transaction of it.

use contracts::hash::{ContentHash, content_hash};
use contracts::ids::{BusinessDay, LocationId, Quantity, SourceId, TransactionId};
use contracts::wire::QUANTITY_MAX;
use contracts::wire::epcis::{self, Capture, CaptureEvent, DoubleBeep, Effect, Movement, Thing};
use contracts::wire::gs1::Unit;
use contracts::wire::gs1::in_store::{self, Rules};

use crate::Catalogue;
use crate::memory::{Again, Memory};
use crate::normalised::{
    Normalised, Rejection, Transaction, check_location, movement_line, too_many, unknown_item,
};

/// What a document is compared with: the messages before its offset.
pub(crate) struct Behind<'m> {
    pub memory: &'m mut Memory,
    pub offset: u64,
}

/// Takes note of what a document says that was read before.
pub(crate) fn remember(location: LocationId, payload: &[u8], memory: &mut Memory, offset: u64) {
    if let Ok(capture) = epcis::read(payload) {
        memory.look(location, &capture, offset);
    }
}

pub(crate) fn read_document(
    location: LocationId,
    payload: &[u8],
    behind: Option<Behind<'_>>,
    catalogue: &Catalogue,
    rules: &Rules,
    out: &mut Normalised,
) -> Result<(), Rejection> {
    let capture = epcis::read(payload).map_err(|error| Rejection {
        class: error.class(),
        message: error.to_string(),
    })?;
    // Before anything of it is judged by the catalogue, which is another one the next time.
    let again = match behind {
        Some(behind) => behind.memory.look(location, &capture, behind.offset),
        // Nothing alone repeats anything.
        None if capture.events.len() > 1 => Memory::default().look(location, &capture, 0),
        None => Again::default(),
    };
    for (index, event) in capture.events.iter().enumerate() {
        let Some((reader, number)) = identity(event, index)? else {
            continue;
        };
        if let Some(site) = event.site {
            check_location(location, site.location)?;
        }
        let first = out.lines.len();
        let is_corrected_again = again.corrections.binary_search(&index).is_ok();
        out.corrections_again += u64::from(is_corrected_again);
        if matches!(event.effect, Effect::Moves(_)) && !is_corrected_again {
            for (position, movement) in capture.movements(event).enumerate() {
                if is_repeat(&again.beeps, index, position) {
                    out.double_beeps += 1;
                    continue;
                }
                let (sku, quantity) = article(&movement, catalogue, rules)?;
                out.lines.push(movement_line(sku, movement.kind, quantity));
            }
        }
        out.transactions.push(Transaction {
            id: TransactionId {
                source: SourceId::reader(location, reader),
                business_day: BusinessDay(0),
                number,
            },
            occurred: event.at,
            content_hash: event_hash(&capture, event, (reader, number)),
            despatch_advice: event.despatch_advice.unwrap_or(0),
            group: None,
            lines: first..out.lines.len(),
        });
    }
    Ok(())
}

fn is_repeat(beeps: &[DoubleBeep], event: usize, line: usize) -> bool {
    beeps
        .binary_search_by_key(&(event, line), |beep| (beep.event, beep.line))
        .is_ok()
}

/// Reader and running number: of the declaration, where the event is declared wrong, because its own are the wrong
/// event's. `None`: not numbered here, and nothing moves.
fn identity(event: &CaptureEvent<'_>, index: usize) -> Result<Option<(u16, u64)>, Rejection> {
    let (numbered, place) = match &event.declaration {
        Some(declaration) => (
            declaration.reader.zip(declaration.running_number),
            "the errorDeclaration",
        ),
        None => (event.reader.zip(event.running_number), "the event"),
    };
    match (numbered, event.effect) {
        (Some(numbered), _) => Ok(Some(numbered)),
        (None, Effect::Moves(_)) => Err(Rejection {
            class: "bad-event",
            message: format!(
                "epcisBody.eventList[{index}]: stock moves, and {place} has no stockstream:reader and \
                 stockstream:number: without, a repeat could not be told from another"
            ),
        }),
        (None, _) => Ok(None),
    }
}

/// The article of a number, and how much of it that is: the whole number first, be it the article's or a carton's, then the
/// label of a scale.
fn article(movement: &Movement, catalogue: &Catalogue, rules: &Rules) -> Result<(u32, Quantity), Rejection> {
    let (gtin, quantity) = (movement.gtin.value(), movement.quantity);
    if let Some(unit) = catalogue.unit_of(gtin) {
        if unit.is_pack() && movement.unit != Unit::Piece {
            return Err(Rejection {
                class: "unit-conflict",
                message: format!(
                    "{gtin:014} is a carton of SKU {}, and the line has {:?} of it: cartons are counted",
                    unit.sku, movement.unit
                ),
            });
        }
        let quantity = unit.in_base_unit(quantity).ok_or_else(|| too_many(unit, gtin))?;
        return Ok((unit.sku.0, quantity));
    }
    let label = contracts::ids::Gtin::new(gtin).and_then(|gtin| in_store::resolve(gtin, rules));
    let Some((label, sku)) = label.and_then(|label| Some((label, catalogue.sku_of(label.article.value())?)))
    else {
        return Err(unknown_item(gtin));
    };
    let refused = |why: &str| Rejection {
        class: "in-store-label",
        message: format!("the label {gtin:013} of SKU {sku}: {why}"),
    };
    let each = label
        .quantity(catalogue.price_of(sku))
        .ok_or_else(|| refused("it says a price, and the article has none in the catalogue"))?;
    let product = i128::from(quantity.0) * i128::from(each.0);
    let quantity = i64::try_from(product / 1000)
        .ok()
        .filter(|quantity| product % 1000 == 0 && quantity.abs() <= QUANTITY_MAX.0);
    let quantity = quantity.ok_or_else(|| refused("so many of it are no quantity"))?;
    Ok((sku.0, Quantity(quantity)))
}

/// Over what the event says, not its text: an edge may write the same event again with other spaces or field order.
/// Of a declaration, which event it takes back and when it was made are in it.
fn event_hash(capture: &Capture<'_>, event: &CaptureEvent<'_>, numbered: (u16, u64)) -> u64 {
    let mut hash = ContentHash::default();
    let lines = capture.lines(event);
    for word in [
        event
            .site
            .map_or(0, |site| u64::from(site.location.copybook_number()) + 1),
        u64::from(numbered.0),
        numbered.1,
        event.at.0 as u64,
        event.kind as u64,
        event.action.map_or(0, |action| action as u64 + 1),
        event.step.map_or(0, |step| step as u64 + 1),
        event.disposition.map_or(0, |disposition| disposition as u64 + 1),
        event.sub_location() as u64,
        event.despatch_advice.unwrap_or(0),
        lines.len() as u64,
    ] {
        hash.word(word);
    }
    for line in lines {
        hash.word(match line.thing {
            Thing::Article(gtin) => gtin.value(),
            Thing::LogisticUnit(sscc) => sscc.value(),
        });
        hash.word(line.quantity.0 as u64);
        hash.word(line.book.0 as u64);
        hash.word(line.mark);
    }
    if let Some(correction) = capture.correction(event) {
        hash.word(correction.declared.0 as u64);
        hash.word(content_hash(correction.corrected.to_string().as_bytes()));
    }
    hash.finish()
}

//! The reading half: typed, order of fields free, unknown fields skipped, identifiers in all their spellings.
//!
//! A document is understood as a whole or refused as a whole: half of it applied could not be told from all of it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::identifier::{Place, class_gtin, despatch_advice, instance_gtin, place, word};
use super::number::read_quantity;
use super::{BizStep, Document, Event, ScanLine, SubLocation};
use crate::ids::{Gtin, Quantity};
use crate::wire::civil::read_time;

/// As many bytes as a broker takes in one message by default, less what headers and framing need.
pub const DOCUMENT_BYTES_MAX: usize = 1_000_000;
pub const EVENTS_MAX: usize = 10_000;

/// Why a document is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("{bytes} bytes are too many for a document, at most {DOCUMENT_BYTES_MAX}")]
    TooLong { bytes: usize },
    #[error("no EPCIS document in JSON: {message}")]
    Syntax { message: String },
    #[error("the document's type is `{found}`, not EPCISDocument")]
    DocumentType { found: String },
    #[error("{events} events are too many for a document, at most {EVENTS_MAX}")]
    TooManyEvents { events: usize },
    #[error("event {index} of the document: {fault}")]
    Event { index: usize, fault: EventFault },
}

/// What is wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventFault {
    #[error("{message}")]
    Syntax { message: String },
    #[error(
        "a {found} is not supported: only an ObjectEvent that observes or adds, without error declaration"
    )]
    Kind { found: String },
    #[error("bizStep `{found}` is not supported: receiving, stocking, storing or stock_taking")]
    Step { found: String },
    #[error("`{found}` is no valid {field}")]
    Value { field: &'static str, found: String },
    #[error("{field} is missing")]
    Missing { field: &'static str },
    #[error(
        "the count has no variance for {gtin}, or names it twice: without, it cannot be told what was counted on"
    )]
    Variance { gtin: Gtin },
    #[error("unit of measure `{found}` is not supported: none, or KGM or LTR")]
    Unit { found: String },
}

impl ParseError {
    /// For machines: metrics and dead letters.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::TooLong { .. } | Self::TooManyEvents { .. } => "too-long",
            Self::Syntax { .. } => "bad-json",
            Self::DocumentType { .. } => "not-epcis",
            Self::Event { fault, .. } => match fault {
                EventFault::Syntax { .. } | EventFault::Value { .. } | EventFault::Missing { .. } => {
                    "bad-event"
                }
                EventFault::Kind { .. } => "unsupported-event",
                EventFault::Step { .. } => "unsupported-step",
                EventFault::Variance { .. } => "bad-count",
                EventFault::Unit { .. } => "unsupported-unit",
            },
        }
    }
}

/// Reads a document.
pub fn parse(document: &[u8]) -> Result<Document, ParseError> {
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(ParseError::TooLong {
            bytes: document.len(),
        });
    }
    let syntax = |message: String| ParseError::Syntax { message };
    let text = std::str::from_utf8(document).map_err(|error| syntax(error.to_string()))?;
    let raw: RawDocument<'_> = serde_json::from_str(text).map_err(|error| syntax(error.to_string()))?;
    if raw.kind != "EPCISDocument" {
        return Err(ParseError::DocumentType {
            found: shortened(&raw.kind),
        });
    }
    let events = raw.body.events;
    if events.len() > EVENTS_MAX {
        return Err(ParseError::TooManyEvents { events: events.len() });
    }
    let mut out = Document {
        events: Vec::with_capacity(events.len()),
        lines: Vec::new(),
    };
    for (index, event) in events.iter().enumerate() {
        let event = serde_json::from_str::<RawEvent<'_>>(event.get())
            .map_err(|error| EventFault::Syntax {
                message: error.to_string(),
            })
            .and_then(|event| read_event(&event, &mut out.lines))
            .map_err(|fault| ParseError::Event {
                index: index + 1,
                fault,
            })?;
        out.events.push(event);
    }
    Ok(out)
}

#[derive(Deserialize)]
struct RawDocument<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "epcisBody", borrow)]
    body: RawBody<'a>,
}

#[derive(Deserialize)]
struct RawBody<'a> {
    #[serde(rename = "eventList", borrow)]
    events: Vec<&'a RawValue>,
}

/// A text that is borrowed where it has no escapes, within an `Option` or list too.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct RawId<'a> {
    #[serde(borrow)]
    id: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEvent<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    event_time: Option<Text<'a>>,
    #[serde(borrow)]
    action: Option<Text<'a>>,
    #[serde(borrow)]
    biz_step: Option<Text<'a>>,
    #[serde(borrow)]
    read_point: Option<RawId<'a>>,
    #[serde(borrow)]
    biz_location: Option<RawId<'a>>,
    #[serde(borrow, default)]
    biz_transaction_list: Vec<RawTransaction<'a>>,
    #[serde(borrow, default)]
    epc_list: Vec<Text<'a>>,
    #[serde(borrow, default)]
    quantity_list: Vec<RawQuantity<'a>>,
    #[serde(borrow)]
    error_declaration: Option<&'a RawValue>,
    #[serde(rename = "stockstream:reader")]
    reader: Option<u16>,
    #[serde(rename = "stockstream:number")]
    number: Option<u64>,
    #[serde(rename = "stockstream:variance", borrow, default)]
    variance: Vec<RawVariance<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTransaction<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    biz_transaction: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawQuantity<'a> {
    #[serde(borrow)]
    epc_class: Text<'a>,
    #[serde(borrow)]
    quantity: Option<&'a RawValue>,
    #[serde(borrow)]
    uom: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct RawVariance<'a> {
    #[serde(rename = "stockstream:class", borrow)]
    class: Text<'a>,
    #[serde(rename = "stockstream:quantity", borrow)]
    quantity: &'a RawValue,
}

fn read_event(raw: &RawEvent<'_>, lines: &mut Vec<ScanLine>) -> Result<Event, EventFault> {
    let action = raw.action.as_ref().map_or("", |action| &action.0);
    if raw.kind.0 != "ObjectEvent" {
        return Err(EventFault::Kind {
            found: shortened(&raw.kind.0),
        });
    }
    if raw.error_declaration.is_some() || !matches!(action, "OBSERVE" | "ADD") {
        return Err(EventFault::Kind {
            found: format!("ObjectEvent of action `{}`", shortened(action)),
        });
    }
    let step_text = &required("bizStep", raw.biz_step.as_ref())?.0;
    let step = BizStep::ALL
        .into_iter()
        .find(|step| step.word() == word(step_text, "BizStep-"))
        .ok_or_else(|| EventFault::Step {
            found: shortened(step_text),
        })?;
    let time = &required("eventTime", raw.event_time.as_ref())?.0;
    let at = read_time(time).ok_or_else(|| invalid("eventTime", time))?;
    let place_text = &required(
        "bizLocation",
        raw.biz_location.as_ref().or(raw.read_point.as_ref()),
    )?
    .id
    .0;
    let Place { location, extension } = place(place_text).ok_or_else(|| invalid("location", place_text))?;
    let sub_location = match (extension.and_then(SubLocation::from_extension), step) {
        (Some(sub_location), _) => sub_location,
        (None, BizStep::Receiving) => SubLocation::Door,
        (None, BizStep::Stocking) => SubLocation::Floor,
        (None, BizStep::Storing) => SubLocation::BackRoom,
        (None, BizStep::StockTaking) => {
            return Err(invalid(
                "location: a count needs floor (1) or back room (2)",
                place_text,
            ));
        }
    };
    if step == BizStep::StockTaking && sub_location == SubLocation::Door {
        return Err(invalid(
            "location: a count needs floor (1) or back room (2)",
            place_text,
        ));
    }
    let despatch_advice = match raw.biz_transaction_list.iter().find(|transaction| {
        transaction
            .kind
            .as_ref()
            .is_some_and(|kind| word(&kind.0, "BTT-") == "desadv")
    }) {
        Some(transaction) => {
            let text = &transaction.biz_transaction.0;
            Some(despatch_advice(text).ok_or_else(|| invalid("despatch advice", text))?)
        }
        None => None,
    };
    let first_line = lines.len();
    read_lines(raw, lines)?;
    if step == BizStep::StockTaking {
        read_books(&raw.variance, &mut lines[first_line..])?;
    }
    Ok(Event {
        reader: *required("stockstream:reader", raw.reader.as_ref())?,
        running_number: *required("stockstream:number", raw.number.as_ref())?,
        location,
        at,
        step,
        despatch_advice,
        sub_location,
        first_line: first_line as u32,
        end_line: lines.len() as u32,
    })
}

/// Single pieces are a line of one each.
fn read_lines(raw: &RawEvent<'_>, lines: &mut Vec<ScanLine>) -> Result<(), EventFault> {
    for element in &raw.quantity_list {
        let class = &element.epc_class.0;
        let gtin = class_gtin(class).ok_or_else(|| invalid("epcClass", class))?;
        let text = required("quantity", element.quantity.as_ref())?.get();
        let quantity = read_quantity(text)
            .filter(|quantity| quantity.0 >= 0)
            .ok_or_else(|| invalid("quantity", text))?;
        if let Some(Text(unit)) = &element.uom
            && !matches!(&**unit, "KGM" | "LTR")
        {
            return Err(EventFault::Unit {
                found: shortened(unit),
            });
        }
        lines.push(ScanLine::moved(gtin, quantity));
    }
    for Text(epc) in &raw.epc_list {
        let gtin = instance_gtin(epc).ok_or_else(|| invalid("EPC of a trade item", epc))?;
        lines.push(ScanLine::moved(gtin, Quantity::ONE));
    }
    Ok(())
}

/// Joins the variances by their class: the lists of JSON-LD have no order.
fn read_books(variances: &[RawVariance<'_>], lines: &mut [ScanLine]) -> Result<(), EventFault> {
    let mut by_class = Vec::with_capacity(variances.len());
    for RawVariance { class, quantity } in variances {
        let gtin = class_gtin(&class.0).ok_or_else(|| invalid("stockstream:class", &class.0))?;
        let quantity =
            read_quantity(quantity.get()).ok_or_else(|| invalid("stockstream:quantity", quantity.get()))?;
        by_class.push((gtin, quantity));
    }
    by_class.sort_unstable();
    let mut used = vec![false; by_class.len()];
    for line in &mut *lines {
        let found = by_class.binary_search_by_key(&line.gtin, |(gtin, _)| *gtin);
        match found {
            Ok(index) if !used[index] => {
                used[index] = true;
                line.book = Quantity(line.quantity.0 - by_class[index].1.0);
            }
            _ => return Err(EventFault::Variance { gtin: line.gtin }),
        }
    }
    match used.iter().position(|used| !used) {
        Some(index) => Err(EventFault::Variance {
            gtin: by_class[index].0,
        }),
        None => Ok(()),
    }
}

fn required<'a, T>(field: &'static str, value: Option<&'a T>) -> Result<&'a T, EventFault> {
    value.ok_or(EventFault::Missing { field })
}

fn invalid(field: &'static str, found: &str) -> EventFault {
    EventFault::Value {
        field,
        found: shortened(found),
    }
}

/// Text of a stranger, as much of it as a message should repeat.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

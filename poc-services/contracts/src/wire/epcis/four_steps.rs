//! The four steps that move stock in a store, as one plain list: for readers that know no other papers.

use super::capture::{Capture, CaptureEvent, Thing};
use super::effect::{Effect, Flow};
use super::error::{Fault, ParseError};
use super::{BizStep, Document, Event, ScanLine};

/// Reads a document, and refuses it if anything in it is another fact than a delivery, a move or a count.
pub fn parse(document: &[u8]) -> Result<Document, ParseError> {
    let capture = super::read(document)?;
    let mut out = Document {
        events: Vec::with_capacity(capture.events.len()),
        lines: Vec::with_capacity(capture.lines.len()),
    };
    for (index, event) in capture.events.iter().enumerate() {
        let event = narrowed(&capture, event, &mut out)
            .map_err(|error| error.within_index(index).within("eventList").within("epcisBody"))?;
        out.events.push(event);
    }
    Ok(out)
}

fn narrowed(
    capture: &Capture<'_>,
    event: &CaptureEvent<'_>,
    out: &mut Document,
) -> Result<Event, ParseError> {
    let kind = |found: &str| Fault::Kind {
        found: found.to_owned(),
        expected: "only an ObjectEvent that moves stock, without error declaration",
    };
    if event.declaration.is_some() {
        return Err(kind("error declaration").into());
    }
    let step = match event.effect {
        Effect::Moves(Flow::Received) => BizStep::Receiving,
        Effect::Moves(Flow::Stocked) => BizStep::Stocking,
        Effect::Moves(Flow::Stored) => BizStep::Storing,
        Effect::Moves(Flow::Counted) => BizStep::StockTaking,
        _ => {
            return Err(
                match event.step.filter(|_| event.kind == super::EventKind::Object) {
                    Some(step) => ParseError::at(
                        "bizStep",
                        Fault::Step {
                            found: step.word().to_owned(),
                            expected: "receiving, stocking, storing, stock_taking or cycle_counting",
                        },
                    ),
                    None => kind(event.kind.word()).into(),
                },
            );
        }
    };
    let missing = |field| Fault::Missing { field };
    let site = event.site.ok_or(missing("bizLocation"))?;
    let first_line = out.lines.len() as u32;
    out.lines
        .extend(capture.lines(event).iter().filter_map(|line| match line.thing {
            Thing::Article(gtin) => Some(ScanLine {
                gtin,
                quantity: line.quantity,
                book: line.book,
            }),
            Thing::LogisticUnit(_) => None,
        }));
    Ok(Event {
        reader: event.reader.ok_or(missing("stockstream:reader"))?,
        running_number: event.running_number.ok_or(missing("stockstream:number"))?,
        location: site.location,
        at: event.at,
        step,
        despatch_advice: event.despatch_advice,
        sub_location: event.sub_location(),
        first_line,
        end_line: out.lines.len() as u32,
    })
}

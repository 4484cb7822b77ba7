//! The document: its envelope, its events one after the other, the contents of pallets.
//!
//! A document is understood as a whole or refused as a whole: half of it applied could not be told from all of it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::capture::{Capture, CaptureEvent, Line, Thing};
use super::effect::Effect;
use super::error::{Fault, ParseError, shortened};
use super::event;
use super::uri::{is_uri, is_version};
use super::vocabulary::{Action, EventKind};
use super::{CONTENTS_DEPTH_MAX, DOCUMENT_BYTES_MAX, EVENTS_MAX, LINES_MAX};
use crate::ids::{Quantity, TimeMs};
use crate::wire::gs1::Sscc;
use crate::wire::json::{Kind, Reader};
use crate::wire::rfc3339::date_time;

/// Reads a document of the standard's JSON binding, any of its events.
pub fn read(document: &[u8]) -> Result<Capture<'_>, ParseError> {
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(Fault::TooLong {
            bytes: document.len(),
        }
        .into());
    }
    let text = std::str::from_utf8(document).map_err(|error| Fault::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    let mut reader = Reader::new(text);
    let mut out = Capture::default();
    envelope(&mut reader, &mut out)?;
    reader.end()?;
    Contents::default().resolve(&mut out)?;
    Ok(out)
}

const REQUIRED: [&str; 5] = ["@context", "type", "schemaVersion", "creationDate", "epcisBody"];

fn envelope<'a>(reader: &mut Reader<'a>, out: &mut Capture<'a>) -> Result<(), ParseError> {
    let mut seen = [false; REQUIRED.len()];
    object(reader, |reader, key| {
        if let Some(index) = REQUIRED.iter().position(|name| *name == key)
            && std::mem::replace(&mut seen[index], true)
        {
            return Err(Fault::Twice.into());
        }
        match key {
            "@context" => out.context = context(reader)?,
            "type" => {
                let kind = text(reader)?;
                if kind != "EPCISDocument" {
                    return Err(Fault::DocumentType {
                        found: shortened(&kind),
                    }
                    .into());
                }
            }
            "schemaVersion" => {
                let version = text(reader)?;
                if !is_version(&version) {
                    return Err(ParseError::value("version", &version));
                }
            }
            "creationDate" => {
                instant(reader)?;
            }
            "epcisBody" => body(reader, out)?,
            "id" => {
                uri(reader)?;
            }
            "instanceIdentifier" | "sender" | "receiver" => {
                text(reader)?;
            }
            "epcisHeader" => object(reader, |reader, key| match key {
                "epcisMasterData" => skip_kind(reader, Kind::Object, "an object"),
                _ => extension(reader, key),
            })?,
            _ => extension(reader, key)?,
        }
        Ok(())
    })?;
    match seen.iter().position(|seen| !seen) {
        Some(index) => Err(Fault::Missing {
            field: REQUIRED[index],
        }
        .into()),
        None => Ok(()),
    }
}

fn body<'a>(reader: &mut Reader<'a>, out: &mut Capture<'a>) -> Result<(), ParseError> {
    let mut seen = false;
    object(reader, |reader, key| {
        if key != "eventList" {
            reader.skip()?;
            return Ok(());
        }
        if std::mem::replace(&mut seen, true) {
            return Err(Fault::Twice.into());
        }
        list(reader, |reader, index| {
            if index >= EVENTS_MAX {
                return Err(ParseError::too_many_events());
            }
            let event = event::read(reader, &mut out.lines)?;
            out.events.push(event);
            Ok(())
        })?;
        Ok(())
    })?;
    if seen {
        Ok(())
    } else {
        Err(Fault::Missing { field: "eventList" }.into())
    }
}

/// A URI, an object, or a list of both.
pub(super) fn context<'a>(reader: &mut Reader<'a>) -> Result<&'a str, ParseError> {
    let start = reader.offset();
    let one = |reader: &mut Reader<'a>| match reader.kind()? {
        Kind::Object => {
            reader.skip()?;
            Ok(())
        }
        _ => uri(reader).map(|_| ()),
    };
    if reader.kind()? == Kind::List {
        list(reader, |reader, _| one(reader))?;
    } else {
        one(reader)?;
    }
    Ok(reader.since(start))
}

/// A field that the standard does not have: with a prefix it is somebody's own and skipped.
pub(super) fn extension(reader: &mut Reader<'_>, key: &str) -> Result<(), ParseError> {
    if !is_uri(key) {
        return Err(Fault::Unknown.into());
    }
    reader.skip()?;
    Ok(())
}

pub(super) fn object<'a>(
    reader: &mut Reader<'a>,
    member: impl FnMut(&mut Reader<'a>, &str) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    of_kind(reader, Kind::Object, "an object")?;
    reader.object(member)
}

pub(super) fn list<'a>(
    reader: &mut Reader<'a>,
    element: impl FnMut(&mut Reader<'a>, usize) -> Result<(), ParseError>,
) -> Result<usize, ParseError> {
    of_kind(reader, Kind::List, "a list")?;
    reader.list(element)
}

pub(super) fn text<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, ParseError> {
    of_kind(reader, Kind::Text, "a text")?;
    Ok(reader.string()?)
}

pub(super) fn uri<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, ParseError> {
    let text = text(reader)?;
    if is_uri(&text) {
        Ok(text)
    } else {
        Err(ParseError::value("URI", &text))
    }
}

pub(super) fn number<'a>(reader: &mut Reader<'a>) -> Result<&'a str, ParseError> {
    of_kind(reader, Kind::Number, "a number")?;
    Ok(reader.number()?)
}

pub(super) fn instant(reader: &mut Reader<'_>) -> Result<TimeMs, ParseError> {
    let text = text(reader)?;
    date_time(&text)
        .ok_or_else(|| ParseError::value("time of RFC 3339 (2025-03-14T09:26:53.250+01:00)", &text))
}

pub(super) fn skip_kind(
    reader: &mut Reader<'_>,
    kind: Kind,
    expected: &'static str,
) -> Result<(), ParseError> {
    of_kind(reader, kind, expected)?;
    reader.skip()?;
    Ok(())
}

fn of_kind(reader: &mut Reader<'_>, kind: Kind, expected: &'static str) -> Result<(), ParseError> {
    let found = reader.kind()?;
    if found == kind {
        return Ok(());
    }
    Err(Fault::Type {
        expected,
        found: match found {
            Kind::Object => "an object",
            Kind::List => "a list",
            Kind::Text => "a text",
            Kind::Number => "a number",
            Kind::True | Kind::False => "a truth value",
            Kind::Null => "null",
        },
    }
    .into())
}

/// What is in pallets and cartons, as the document's own AggregationEvents say.
#[derive(Default)]
struct Contents {
    /// The lines of each unit, and whether they are all.
    packed: BTreeMap<Sscc, (Vec<Line>, bool)>,
}

impl Contents {
    /// Puts the articles of a unit in its place, where stock moves.
    fn resolve(mut self, out: &mut Capture<'_>) -> Result<(), ParseError> {
        let moves = |event: &CaptureEvent<'_>| matches!(event.effect, Effect::Moves(_) | Effect::Confirms(_));
        let has_unit = |out: &Capture<'_>, event: &CaptureEvent<'_>| {
            moves(event)
                && out
                    .lines(event)
                    .iter()
                    .any(|line| matches!(line.thing, Thing::LogisticUnit(_)))
        };
        if !out.events.iter().any(|event| has_unit(out, event)) {
            return Ok(());
        }
        for event in &out.events {
            self.pack(event, out.lines(event));
        }
        let mut lines = Vec::with_capacity(out.lines.len());
        let mut ranges = Vec::with_capacity(out.events.len());
        for (index, event) in out.events.iter().enumerate() {
            let start = lines.len() as u32;
            if has_unit(out, event) {
                for line in out.lines(event) {
                    self.unpack(line, 0, &mut lines).map_err(|error| {
                        error
                            .within("epcList")
                            .within_index(index)
                            .within("eventList")
                            .within("epcisBody")
                    })?;
                }
            } else {
                lines.extend_from_slice(out.lines(event));
            }
            ranges.push(start..lines.len() as u32);
        }
        out.lines = lines;
        for (event, range) in out.events.iter_mut().zip(ranges) {
            event.lines = range;
        }
        Ok(())
    }

    fn pack(&mut self, event: &CaptureEvent<'_>, lines: &[Line]) {
        let packs = event.kind == EventKind::Aggregation
            && event.action == Some(Action::Add)
            && event.declaration.is_none();
        let Some(parent) = event.parent.filter(|_| packs) else {
            return;
        };
        let (contents, whole) = self.packed.entry(parent).or_insert((Vec::new(), true));
        contents.extend_from_slice(lines);
        *whole &= event.understood;
    }

    fn unpack(&self, line: &Line, depth: u32, lines: &mut Vec<Line>) -> Result<(), ParseError> {
        if lines.len() >= LINES_MAX {
            return Err(ParseError::too_many_lines());
        }
        let Thing::LogisticUnit(sscc) = line.thing else {
            lines.push(*line);
            return Ok(());
        };
        let contents = self
            .packed
            .get(&sscc)
            .filter(|(contents, whole)| *whole && !contents.is_empty() && depth < CONTENTS_DEPTH_MAX);
        let Some((contents, _)) = contents else {
            return Err(Fault::Contents {
                found: format!("{:018}", sscc.value()),
            }
            .into());
        };
        for inner in contents {
            let inner = Line {
                side: line.side,
                book: Quantity(0),
                ..*inner
            };
            self.unpack(&inner, depth + 1, lines)?;
        }
        Ok(())
    }
}

//! Writing any event of the standard: what handhelds, back doors and partners send beyond the four steps.

use super::capture::{EventId, Site};
use super::content_id::content_id;
use super::draft_id;
use super::number::{push_decimal, push_quantity};
use super::vocabulary::{Action, Disposition, EventKind, Reason, Step};
use super::write::{CONTEXT_LIST, DocumentWriter};
use super::{DESPATCH_ADVICE_URI, GLN_PREFIX, GTIN_URI};
use crate::ids::{LocationId, Quantity, TimeMs};
use crate::wire::civil::CivilTime;
use crate::wire::gs1::{Gln, Key, Measure, PrefixLength, Sscc, Unit};
use crate::wire::rfc3339::{push_civil, push_padded};

/// How GS1 keys are spelled. What has no URN (a piece of a lot) is always a Digital Link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    DigitalLink,
    /// With company prefixes of this length.
    Urn(PrefixLength),
}

/// One event to write. What it does to stock is for the reader to say.
#[derive(Clone, Copy, Debug)]
pub struct EventDraft<'a> {
    pub content: DraftContent<'a>,
    pub step: Option<Step>,
    pub disposition: Option<Disposition>,
    pub at: TimeMs,
    /// Local time less UTC, 14 hours at most: the time is written as the clock there shows it.
    pub offset_minutes: i16,
    pub read_point: Option<Site>,
    pub biz_location: Option<Site>,
    /// Who gave the despatch advice its number, and the number.
    pub despatch_advice: Option<(LocationId, u64)>,
    /// The reader and its running number.
    pub reader: Option<(u16, u64)>,
    /// The event repeats one that is declared wrong.
    pub declaration: Option<DeclarationDraft<'a>>,
    pub spelling: Spelling,
    pub id: IdDraft,
}

/// The kind of event and what it names.
#[derive(Clone, Copy, Debug)]
pub enum DraftContent<'a> {
    Object {
        action: Action,
        things: DraftThings<'a>,
    },
    Aggregation {
        action: Action,
        parent: Sscc,
        children: DraftThings<'a>,
    },
    /// Needs a despatch advice.
    Transaction {
        action: Action,
        parent: Option<Sscc>,
        things: DraftThings<'a>,
    },
    Transformation {
        inputs: DraftThings<'a>,
        outputs: DraftThings<'a>,
    },
}

/// Single things and classes with quantities.
#[derive(Clone, Copy, Debug, Default)]
pub struct DraftThings<'a> {
    pub epcs: &'a [Key<'a>],
    pub classes: &'a [DraftLine<'a>],
}

/// A class and how much of it.
#[derive(Clone, Debug)]
pub struct DraftLine<'a> {
    /// An article, of one lot perhaps.
    pub class: Key<'a>,
    pub measure: Measure,
    /// Of a count: what the books said, signed; the variance is written.
    pub book: Option<Quantity>,
}

/// Why and when an event was declared wrong.
#[derive(Clone, Copy, Debug)]
pub struct DeclarationDraft<'a> {
    pub at: TimeMs,
    pub reason: Option<Reason>,
    pub corrective: &'a [EventId],
    /// Who declares it, and the running number of the declaration.
    pub reader: Option<(u16, u64)>,
}

/// What is written as `eventID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdDraft {
    None,
    /// The standard's content hash.
    Content,
}

impl DocumentWriter<'_> {
    /// Writes an event, and returns the id that it was given.
    pub fn draft(&mut self, draft: &EventDraft<'_>) -> Option<EventId> {
        let out = self.next_event();
        let start = out.len();
        let kind = match draft.content {
            DraftContent::Object { .. } => EventKind::Object,
            DraftContent::Aggregation { .. } => EventKind::Aggregation,
            DraftContent::Transaction { .. } => EventKind::Transaction,
            DraftContent::Transformation { .. } => EventKind::Transformation,
        };
        text(out, r#"{"type":""#);
        text(out, kind.word());
        text(out, r#"","#);
        let id_at = out.len();
        let offset = draft.offset_minutes.clamp(-840, 840);
        text(out, r#""eventTime":""#);
        push_local(out, draft.at, offset);
        text(out, r#"","eventTimeZoneOffset":""#);
        push_offset(out, offset);
        out.push(b'"');
        push_content(out, draft);
        push_word(out, "bizStep", draft.step.map(Step::word));
        push_word(out, "disposition", draft.disposition.map(Disposition::word));
        push_site(out, "readPoint", draft.read_point, draft.spelling);
        push_site(out, "bizLocation", draft.biz_location, draft.spelling);
        if let Some((issuer, number)) = draft.despatch_advice {
            text(
                out,
                r#","bizTransactionList":[{"type":"desadv","bizTransaction":""#,
            );
            text(out, DESPATCH_ADVICE_URI);
            push_padded(out, gln_of(issuer).value(), 13);
            out.push(b':');
            push_decimal(out, number);
            text(out, r#""}]"#);
        }
        if let Some(declaration) = &draft.declaration {
            push_declaration(out, declaration, offset);
        }
        push_variances(out, draft);
        push_reader(out, draft.reader);
        out.push(b'}');
        if draft.id == IdDraft::None {
            return None;
        }
        let id = match draft_id::content_id(draft) {
            Some(id) => id,
            None => content_id(std::str::from_utf8(&out[start..]).ok()?, CONTEXT_LIST),
        };
        let id = EventId::Content(id);
        let field = format!(r#""eventID":"{id}","#);
        out.splice(id_at..id_at, field.into_bytes());
        Some(id)
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn push_word(out: &mut Vec<u8>, name: &str, word: Option<&str>) {
    if let Some(word) = word {
        for part in [r#",""#, name, r#"":""#, word, r#"""#] {
            text(out, part);
        }
    }
}

fn push_content(out: &mut Vec<u8>, draft: &EventDraft<'_>) {
    let spelling = draft.spelling;
    let parent = |out: &mut Vec<u8>, parent: Sscc| {
        text(out, r#","parentID":"#);
        push_key(out, &Key::LogisticUnit(parent), spelling);
    };
    match &draft.content {
        DraftContent::Object { action, things } => {
            push_word(out, "action", Some(action.word()));
            push_things(out, ["epcList", "quantityList"], *things, spelling);
        }
        DraftContent::Aggregation {
            action,
            parent: unit,
            children,
        } => {
            parent(out, *unit);
            push_word(out, "action", Some(action.word()));
            push_things(out, ["childEPCs", "childQuantityList"], *children, spelling);
        }
        DraftContent::Transaction {
            action,
            parent: unit,
            things,
        } => {
            if let Some(unit) = unit {
                parent(out, *unit);
            }
            push_word(out, "action", Some(action.word()));
            push_things(out, ["epcList", "quantityList"], *things, spelling);
        }
        DraftContent::Transformation { inputs, outputs } => {
            push_things(out, ["inputEPCList", "inputQuantityList"], *inputs, spelling);
            push_things(out, ["outputEPCList", "outputQuantityList"], *outputs, spelling);
        }
    }
}

/// The standard wants one of the two lists, and only the first may be empty.
fn push_things(out: &mut Vec<u8>, names: [&str; 2], things: DraftThings<'_>, spelling: Spelling) {
    if !things.epcs.is_empty() || things.classes.is_empty() {
        text(out, r#",""#);
        text(out, names[0]);
        text(out, r#"":["#);
        for (index, epc) in things.epcs.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push_key(out, epc, spelling);
        }
        out.push(b']');
    }
    if things.classes.is_empty() {
        return;
    }
    text(out, r#",""#);
    text(out, names[1]);
    text(out, r#"":["#);
    for (index, line) in things.classes.iter().enumerate() {
        text(
            out,
            if index > 0 {
                r#",{"epcClass":"#
            } else {
                r#"{"epcClass":"#
            },
        );
        push_key(out, &line.class, spelling);
        text(out, r#","quantity":"#);
        push_quantity(out, line.measure.quantity);
        text(
            out,
            match line.measure.unit {
                Unit::Piece => "}",
                Unit::Kilogram => r#","uom":"KGM"}"#,
                Unit::Litre => r#","uom":"LTR"}"#,
                Unit::Metre => r#","uom":"MTR"}"#,
            },
        );
    }
    out.push(b']');
}

fn push_variances(out: &mut Vec<u8>, draft: &EventDraft<'_>) {
    let DraftContent::Object { things, .. } = &draft.content else {
        return;
    };
    let mut first = true;
    for line in things.classes {
        let Some(book) = line.book else { continue };
        text(
            out,
            if first {
                r#","stockstream:variance":["#
            } else {
                ","
            },
        );
        first = false;
        text(out, r#"{"stockstream:class":"#);
        push_key(out, &line.class, draft.spelling);
        text(out, r#","stockstream:quantity":"#);
        push_quantity(out, Quantity(line.measure.quantity.0 - book.0));
        out.push(b'}');
    }
    if !first {
        out.push(b']');
    }
}

fn push_declaration(out: &mut Vec<u8>, declaration: &DeclarationDraft<'_>, offset: i16) {
    text(out, r#","errorDeclaration":{"declarationTime":""#);
    push_local(out, declaration.at, offset);
    out.push(b'"');
    push_word(out, "reason", declaration.reason.map(Reason::word));
    if !declaration.corrective.is_empty() {
        text(out, r#","correctiveEventIDs":["#);
        for (index, id) in declaration.corrective.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push_text(out, &id.to_string());
        }
        out.push(b']');
    }
    push_reader(out, declaration.reader);
    out.push(b'}');
}

fn push_reader(out: &mut Vec<u8>, reader: Option<(u16, u64)>) {
    if let Some((reader, number)) = reader {
        text(out, r#","stockstream:reader":"#);
        push_decimal(out, u64::from(reader));
        text(out, r#","stockstream:number":"#);
        push_decimal(out, number);
    }
}

fn push_site(out: &mut Vec<u8>, name: &str, site: Option<Site>, spelling: Spelling) {
    let Some(site) = site else { return };
    text(out, r#",""#);
    text(out, name);
    text(out, r#"":{"id":"#);
    let key = Key::Place {
        gln: gln_of(site.location),
        extension: site
            .sub_location
            .map(|part| char::from(b'0' + part.extension()).to_string().into()),
    };
    push_key(out, &key, spelling);
    out.push(b'}');
}

pub(super) fn gln_of(location: LocationId) -> Gln {
    Gln::from_body(GLN_PREFIX + u64::from(location.copybook_number())).expect("twelve digits")
}

fn push_key(out: &mut Vec<u8>, key: &Key<'_>, spelling: Spelling) {
    // What handhelds write most, without a detour.
    if let (
        Spelling::DigitalLink,
        Key::Article {
            gtin,
            lot: None,
            serial: None,
        },
    ) = (spelling, key)
    {
        text(out, "\"");
        text(out, GTIN_URI);
        push_padded(out, gtin.value(), 14);
        return out.push(b'"');
    }
    let urn = match spelling {
        Spelling::DigitalLink => None,
        Spelling::Urn(prefix) => key.to_urn(prefix),
    };
    push_text(out, &urn.unwrap_or_else(|| key.to_link()));
}

/// In quotes; URIs have nothing to escape, but an id of somebody else's could.
fn push_text(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    for character in value.chars() {
        match character {
            '"' | '\\' => text(out, &format!("\\{character}")),
            '\u{0}'..='\u{1f}' => text(out, &format!("\\u{:04x}", character as u32)),
            _ => text(out, character.encode_utf8(&mut [0; 4])),
        }
    }
    out.push(b'"');
}

fn push_local(out: &mut Vec<u8>, at: TimeMs, offset_minutes: i16) {
    push_civil(
        out,
        CivilTime::from_ms(TimeMs(at.0 + i64::from(offset_minutes) * 60_000)),
    );
    push_offset(out, offset_minutes);
}

pub(super) fn push_offset(out: &mut Vec<u8>, offset_minutes: i16) {
    out.push(if offset_minutes < 0 { b'-' } else { b'+' });
    let minutes = u64::from(offset_minutes.unsigned_abs());
    push_padded(out, minutes / 60, 2);
    out.push(b':');
    push_padded(out, minutes % 60, 2);
}

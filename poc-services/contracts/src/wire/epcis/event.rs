//! One event: its fields in any order, then the rules of its kind.

use std::borrow::Cow;

use super::SubLocation;
use super::capture::{CaptureEvent, Declaration, Line, Side, Site, Thing};
use super::effect::{Effect, Flow, judge};
use super::error::{Fault, ParseError, shortened};
use super::field::{Field, Fields};
use super::identifier::{despatch_advice, place};
use super::parts::{
    check_length, declaration, disposition, id, once, persistent_disposition, reader_unit, running_number,
    typed, vocabulary,
};
use super::read::{context, extension, instant, list, object, skip_kind, text, uri};
use super::things::{self, Things};
use super::vocabulary::{Action, Disposition, EventKind, PartyKind, Step, TransactionKind};
use crate::ids::{Quantity, TimeMs};
use crate::wire::gs1::{Key, Sscc};
use crate::wire::json::{Kind, Reader};
use crate::wire::rfc3339::zone_offset;

/// Reads an event; its lines go to the end of `lines`.
pub(super) fn read<'a>(
    reader: &mut Reader<'a>,
    lines: &mut Vec<Line>,
) -> Result<CaptureEvent<'a>, ParseError> {
    let start = reader.offset();
    let mut draft = Draft {
        things: Things::new(lines),
        ..Draft::default()
    };
    object(reader, |reader, key| draft.member(reader, key, lines))?;
    draft.finish(reader.since(start), lines)
}

/// Fields, as far as they were read.
#[derive(Default)]
struct Draft<'a> {
    kind: Option<EventKind>,
    seen: Fields,
    /// Lists with something in them.
    filled: Fields,
    action: Option<Action>,
    step: Option<Step>,
    step_text: Option<Cow<'a, str>>,
    disposition: Option<Disposition>,
    at: Option<TimeMs>,
    offset_minutes: i16,
    read_point: Option<Cow<'a, str>>,
    biz_location: Option<Cow<'a, str>>,
    /// Of the first despatch advice: its number if it has one, and its index in the list.
    despatch_advice: Option<(Result<u64, String>, usize)>,
    event_id: Option<Cow<'a, str>>,
    parent: Option<Sscc>,
    declaration: Option<Box<Declaration>>,
    reader: Option<u16>,
    running_number: Option<u64>,
    things: Things,
}

impl<'a> Draft<'a> {
    fn member(
        &mut self,
        reader: &mut Reader<'a>,
        key: &str,
        lines: &mut Vec<Line>,
    ) -> Result<(), ParseError> {
        let Some(field) = Field::of(key) else {
            return self.extension(reader, key);
        };
        if !self.seen.insert(field) {
            return Err(Fault::Twice.into());
        }
        match field {
            Field::Context => {
                context(reader)?;
            }
            Field::Type => {
                let text = text(reader)?;
                self.kind = Some(EventKind::from_word(&text).ok_or_else(|| Fault::Kind {
                    found: shortened(&text),
                    expected: "ObjectEvent, AggregationEvent, TransactionEvent, TransformationEvent or \
                               AssociationEvent",
                })?);
            }
            Field::EventTime => self.at = Some(instant(reader)?),
            Field::RecordTime => {
                instant(reader)?;
            }
            Field::Offset => {
                let text = text(reader)?;
                self.offset_minutes =
                    zone_offset(&text).ok_or_else(|| ParseError::value("offset (+hh:mm)", &text))?;
            }
            Field::EventId => self.event_id = Some(uri(reader)?),
            Field::Action => {
                let text = text(reader)?;
                self.action = Some(
                    Action::from_word(&text)
                        .ok_or_else(|| ParseError::value("action (OBSERVE, ADD, DELETE)", &text))?,
                );
            }
            Field::BizStep => {
                let text = text(reader)?;
                self.step = vocabulary(&text, "BizStep-", Step::from_word, "bizStep")?;
                self.step_text = Some(text);
            }
            Field::Disposition => {
                self.disposition = disposition(reader)?;
            }
            Field::PersistentDisposition => persistent_disposition(reader)?,
            Field::ReadPoint => self.read_point = Some(id(reader)?),
            Field::BizLocation => self.biz_location = Some(id(reader)?),
            Field::ParentId => {
                self.parent = match Key::from_uri(&uri(reader)?) {
                    Some(Key::LogisticUnit(sscc)) => Some(sscc),
                    _ => None,
                };
            }
            Field::TransformationId => {
                uri(reader)?;
            }
            Field::CertificationInfo => match reader.kind()? {
                Kind::List => {
                    list(reader, |reader, _| uri(reader).map(|_| ()))?;
                }
                _ => {
                    uri(reader)?;
                }
            },
            Field::ErrorDeclaration => self.declaration = Some(Box::new(declaration(reader)?)),
            Field::Ilmd => object(reader, extension)?,
            Field::BizTransactionList => self.transactions(reader)?,
            Field::SourceList => self.parties(reader, field, "source")?,
            Field::DestinationList => self.parties(reader, field, "destination")?,
            Field::SensorElementList => {
                let count = list(reader, |reader, _| skip_kind(reader, Kind::Object, "an object"))?;
                self.filled_if(field, count);
            }
            Field::EpcList | Field::ChildEpcs | Field::InputEpcList | Field::OutputEpcList => {
                let count = self.things.epcs(reader, field, lines)?;
                self.filled_if(field, count);
            }
            Field::QuantityList
            | Field::ChildQuantityList
            | Field::InputQuantityList
            | Field::OutputQuantityList => {
                let count = self.things.quantities(reader, field, lines)?;
                self.filled_if(field, count);
            }
        }
        Ok(())
    }

    fn filled_if(&mut self, field: Field, count: usize) {
        if count > 0 {
            self.filled.insert(field);
        }
    }

    fn extension(&mut self, reader: &mut Reader<'a>, key: &str) -> Result<(), ParseError> {
        match key {
            "stockstream:reader" => once(&mut self.reader, reader_unit(reader)?),
            "stockstream:number" => once(&mut self.running_number, running_number(reader)?),
            "stockstream:variance" => self.things.variances(reader),
            _ => extension(reader, key),
        }
    }

    fn transactions(&mut self, reader: &mut Reader<'a>) -> Result<(), ParseError> {
        let count = list(reader, |reader, index| {
            check_length(index)?;
            let (kind, value) = typed(reader, "bizTransaction")?;
            let kind = match &kind {
                Some(kind) => vocabulary(kind, "BTT-", TransactionKind::from_word, "type")?,
                None => None,
            };
            if kind == Some(TransactionKind::DespatchAdvice) && self.despatch_advice.is_none() {
                let number = despatch_advice(&value).ok_or_else(|| value.into_owned());
                self.despatch_advice = Some((number, index));
            }
            Ok(())
        })?;
        self.filled_if(Field::BizTransactionList, count);
        Ok(())
    }

    fn parties(
        &mut self,
        reader: &mut Reader<'a>,
        field: Field,
        name: &'static str,
    ) -> Result<(), ParseError> {
        let count = list(reader, |reader, index| {
            check_length(index)?;
            let (kind, _) = typed(reader, name)?;
            let kind = kind.ok_or(Fault::Missing { field: "type" })?;
            vocabulary(&kind, "SDT-", PartyKind::from_word, "type").map(|_| ())
        })?;
        self.filled_if(field, count);
        Ok(())
    }

    /// The rules of the kind, then what the event does.
    fn finish(mut self, raw: &'a str, lines: &mut [Line]) -> Result<CaptureEvent<'a>, ParseError> {
        let missing = |field| ParseError::from(Fault::Missing { field });
        let kind = self.kind.ok_or_else(|| missing("type"))?;
        if let Some(field) = self.seen.first_outside(Fields::of(kind)) {
            return Err(ParseError::at(field.name(), Fault::Unknown));
        }
        let at = self.at.ok_or_else(|| missing("eventTime"))?;
        if !self.seen.has(Field::Offset) {
            return Err(missing("eventTimeZoneOffset"));
        }
        if kind != EventKind::Transformation && self.action.is_none() {
            return Err(missing("action"));
        }
        self.check_contents(kind)?;

        let range = self.things.first_line..lines.len() as u32;
        let names_things = !range.is_empty() || self.things.deferred.is_some();
        let step_text = self.step_text.as_deref().unwrap_or_default();
        let effect = if kind == EventKind::Object && self.step_text.is_none() {
            if names_things {
                return Err(missing("bizStep"));
            }
            Effect::None
        } else {
            judge(kind, self.action, self.step, self.disposition, step_text).map_err(|fault| match fault {
                Fault::Step { .. } => ParseError::at("bizStep", fault),
                _ => ParseError::from(fault),
            })?
        };
        let site = self.site(effect)?;
        let understood = self.things.deferred.is_none();
        if let Effect::Moves(flow) | Effect::Confirms(flow) = effect {
            if let Some(error) = self.things.deferred.take() {
                return Err(error);
            }
            if flow == Flow::Counted {
                self.things.apply_variances(&mut lines[range.start as usize..])?;
            }
        }
        let despatch_advice = match self.despatch_advice {
            Some((Ok(number), _)) => Some(number),
            Some((Err(text), index)) if matches!(effect, Effect::Moves(_) | Effect::Confirms(_)) => {
                return Err(ParseError::at(
                    "bizTransaction",
                    things::value("despatch advice that ends in a number", &text),
                )
                .within_index(index)
                .within("bizTransactionList"));
            }
            _ => None,
        };
        Ok(CaptureEvent {
            kind,
            action: self.action,
            step: self.step,
            disposition: self.disposition,
            at,
            offset_minutes: self.offset_minutes,
            site,
            reader: self.reader,
            running_number: self.running_number,
            despatch_advice,
            event_id: self.event_id,
            parent: self.parent,
            declaration: self.declaration,
            effect,
            raw,
            lines: range,
            understood,
        })
    }

    /// Which lists an event of the kind must have.
    fn check_contents(&self, kind: EventKind) -> Result<(), ParseError> {
        let seen = |field| self.seen.has(field);
        let filled = |field| self.filled.has(field);
        let rule = |holds: bool, rule: &'static str| {
            if holds {
                Ok(())
            } else {
                Err(Fault::Rule(rule).into())
            }
        };
        let deleted = self.action == Some(Action::Delete);
        match kind {
            EventKind::Object => {
                rule(
                    seen(Field::EpcList)
                        || filled(Field::QuantityList)
                        || (filled(Field::SensorElementList) && seen(Field::ReadPoint)),
                    "an ObjectEvent needs an epcList, a quantityList that is not empty, or a sensorElementList with a readPoint",
                )?;
                rule(
                    !seen(Field::Ilmd) || self.action == Some(Action::Add),
                    "ilmd goes with action ADD only",
                )
            }
            EventKind::Aggregation => rule(
                filled(Field::ChildEpcs) || filled(Field::ChildQuantityList) || deleted,
                "an AggregationEvent needs childEPCs or a childQuantityList that is not empty, or action DELETE",
            ),
            EventKind::Association => {
                rule(seen(Field::ParentId), "an AssociationEvent needs a parentID")?;
                rule(
                    filled(Field::ChildEpcs) || filled(Field::ChildQuantityList) || deleted,
                    "an AssociationEvent needs childEPCs or a childQuantityList that is not empty, or action DELETE",
                )
            }
            EventKind::Transaction => {
                rule(
                    filled(Field::BizTransactionList),
                    "a TransactionEvent needs a bizTransactionList that is not empty",
                )?;
                rule(
                    seen(Field::EpcList) || filled(Field::QuantityList) || deleted,
                    "a TransactionEvent needs an epcList, a quantityList that is not empty, or action DELETE",
                )
            }
            EventKind::Transformation => {
                let inputs = filled(Field::InputEpcList) || filled(Field::InputQuantityList);
                let outputs = filled(Field::OutputEpcList) || filled(Field::OutputQuantityList);
                rule(
                    (inputs && outputs) || (seen(Field::TransformationId) && (inputs || outputs)),
                    "a TransformationEvent needs inputs and outputs, or a transformationID and one of them",
                )
            }
        }
    }

    /// The place: needed, and Acme's, where stock moves; otherwise as far as it is known.
    fn site(&self, effect: Effect) -> Result<Option<Site>, ParseError> {
        let (field, text) = match (&self.biz_location, &self.read_point) {
            (Some(text), _) => ("bizLocation", text),
            (None, Some(text)) => ("readPoint", text),
            (None, None) if effect == Effect::None => return Ok(None),
            (None, None) => return Err(Fault::Missing { field: "bizLocation" }.into()),
        };
        let Some(site) = place(text) else {
            if effect == Effect::None {
                return Ok(None);
            }
            return Err(ParseError::at("id", things::value("location of Acme's", text)).within(field));
        };
        let needs_part = matches!(
            effect,
            Effect::Moves(Flow::Counted | Flow::Lost | Flow::Transformed)
        );
        let has_part = matches!(
            site.sub_location,
            Some(SubLocation::Floor | SubLocation::BackRoom)
        );
        if needs_part && site.location.is_store() && !has_part {
            return Err(ParseError::at(
                "id",
                things::value("location: this step needs floor (1) or back room (2)", text),
            )
            .within(field));
        }
        Ok(Some(site))
    }
}

impl Line {
    pub(super) const fn of(thing: Thing, side: Side) -> Self {
        Self {
            thing,
            quantity: Quantity::ONE,
            unit: crate::wire::gs1::Unit::Piece,
            side,
            book: Quantity(0),
            mark: 0,
        }
    }
}

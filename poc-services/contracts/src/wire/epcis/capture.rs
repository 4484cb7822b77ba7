//! What a document says, read: events with their effect, lines, corrections.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::SubLocation;
use super::content_id::content_id;
use super::effect::{Effect, Flow};
use super::vocabulary::{Action, Disposition, EventKind, Reason, Step};
use crate::ids::{Gtin, LocationId, Quantity, TimeMs};
use crate::records::MovementKind;
use crate::wire::gs1::{Sscc, Unit};

/// A document, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture<'a> {
    pub events: Vec<CaptureEvent<'a>>,
    pub(super) lines: Vec<Line>,
    /// The document's `@context`, as it stands.
    pub(super) context: &'a str,
}

/// Where, of Acme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    pub location: LocationId,
    /// `None`: the place as a whole.
    pub sub_location: Option<SubLocation>,
}

/// An event, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureEvent<'a> {
    pub kind: EventKind,
    /// A TransformationEvent has none.
    pub action: Option<Action>,
    /// `None`: none, or a word of somebody else's vocabulary.
    pub step: Option<Step>,
    pub disposition: Option<Disposition>,
    pub at: TimeMs,
    /// Local time less UTC, where it happened.
    pub offset_minutes: i16,
    /// The business location, else the read point; always there where the effect is not none.
    pub site: Option<Site>,
    /// Who read it: Acme's extension `stockstream:reader`.
    pub reader: Option<u16>,
    /// The reader's running number: `stockstream:number`.
    pub running_number: Option<u64>,
    pub despatch_advice: Option<u64>,
    /// As written, where one is.
    pub event_id: Option<Cow<'a, str>>,
    /// Of what is packed: pallet, carton.
    pub parent: Option<Sscc>,
    /// The event repeats one that is declared wrong.
    pub declaration: Option<Box<Declaration>>,
    /// Of the event as such; of one with a declaration, reversed.
    pub effect: Effect,
    pub(super) raw: &'a str,
    pub(super) lines: Range<u32>,
    /// Are all the things that it names among the lines? Always, where stock moves.
    pub(super) understood: bool,
}

/// Why and when an event was declared wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    pub at: TimeMs,
    /// `None`: none, or a word of somebody else's.
    pub reason: Option<Reason>,
    /// What stands in its place; may be empty.
    pub corrective: Vec<EventId>,
    /// Who declared it, and the running number that it gave the declaration: Acme's extensions, as of an event. Those
    /// of the event itself are the wrong event's.
    pub reader: Option<u16>,
    pub running_number: Option<u64>,
}

/// An event that did not happen as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Its id: the one that both events were given, or the content hash, which is the same for both.
    pub corrected: EventId,
    pub corrective: Vec<EventId>,
    pub declared: TimeMs,
    pub reason: Option<Reason>,
}

/// What an event is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventId {
    /// SHA-256 of its canonical form: `ni:///sha-256;…?ver=CBV2.0`.
    Content([u8; 32]),
    /// Another URI.
    Named(String),
}

const CONTENT_PREFIX: &str = "ni:///sha-256;";
const CONTENT_SUFFIX: &str = "?ver=CBV2.0";

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(uri) => f.write_str(uri),
            Self::Content(hash) => {
                f.write_str(CONTENT_PREFIX)?;
                for byte in hash {
                    write!(f, "{byte:02x}")?;
                }
                f.write_str(CONTENT_SUFFIX)
            }
        }
    }
}

impl FromStr for EventId {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let content = || -> Option<[u8; 32]> {
            let hex = text.strip_prefix(CONTENT_PREFIX)?.strip_suffix(CONTENT_SUFFIX)?;
            let mut hash = [0; 32];
            if hex.len() != 64 {
                return None;
            }
            for (byte, pair) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
                let half = |digit: u8| char::from(digit).to_digit(16);
                *byte = (half(pair[0])? * 16 + half(pair[1])?) as u8;
            }
            Some(hash)
        };
        Ok(content().map_or_else(|| Self::Named(text.to_owned()), Self::Content))
    }
}

/// What an event names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    Article(Gtin),
    LogisticUnit(Sscc),
}

/// Of a transformation, which side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Of every other event.
    Whole,
    Input,
    Output,
}

/// One thing of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub thing: Thing,
    /// Not negative.
    pub quantity: Quantity,
    pub unit: Unit,
    pub side: Side,
    /// Of a count: what the books of the place said, signed. Otherwise zero.
    pub book: Quantity,
    /// Tells lots and serials of an article apart; 0 for the article as such.
    pub mark: u64,
}

/// A line as stock knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    pub gtin: Gtin,
    pub kind: MovementKind,
    /// Of adjustments and counts signed by nature; of other kinds negative where it takes back.
    pub quantity: Quantity,
    pub unit: Unit,
}

impl Capture<'_> {
    /// The lines of one of this document's events.
    pub fn lines(&self, event: &CaptureEvent<'_>) -> &[Line] {
        let range = event.lines.start as usize..event.lines.end as usize;
        self.lines.get(range).unwrap_or_default()
    }

    /// What the event says of stock, whoever's paper moves it ([`CaptureEvent::effect`]): one for each line, all signs
    /// turned where the event is declared wrong.
    pub fn movements(&self, event: &CaptureEvent<'_>) -> impl Iterator<Item = Movement> {
        let flow = match event.effect {
            Effect::Moves(flow) | Effect::Confirms(flow) => Some(flow),
            Effect::None | Effect::Reserves => None,
        };
        let turn = if event.declaration.is_some() { -1 } else { 1 };
        let part = event.sub_location();
        self.lines(event).iter().filter_map(move |line| {
            let Thing::Article(gtin) = line.thing else {
                return None;
            };
            let (kind, sign) = kind_of(flow?, part, line.side);
            let amount = match kind {
                MovementKind::CountedFloor | MovementKind::CountedBackRoom => line.quantity.0 - line.book.0,
                _ => line.quantity.0,
            };
            Some(Movement {
                gtin,
                kind,
                quantity: Quantity(amount * sign * turn),
                unit: line.unit,
            })
        })
    }

    /// The standard's content hash; neither `eventID` nor the declaration is in it.
    pub fn content_id(&self, event: &CaptureEvent<'_>) -> EventId {
        EventId::Content(content_id(event.raw, self.context))
    }

    /// The event's own id where it has one, else the content hash.
    pub fn id(&self, event: &CaptureEvent<'_>) -> EventId {
        match &event.event_id {
            Some(id) => match id.parse() {
                Ok(id) => id,
                Err(never) => match never {},
            },
            None => self.content_id(event),
        }
    }

    /// What an event with a declaration takes back: its lines are those of [`Capture::movements`].
    pub fn correction(&self, event: &CaptureEvent<'_>) -> Option<Correction> {
        let declaration = event.declaration.as_deref()?;
        Some(Correction {
            corrected: self.id(event),
            corrective: declaration.corrective.clone(),
            declared: declaration.at,
            reason: declaration.reason,
        })
    }
}

impl CaptureEvent<'_> {
    /// Which part of the place: as written, else the usual one of the step; a warehouse has only a back room.
    pub fn sub_location(&self) -> SubLocation {
        let written = self.site.and_then(|site| site.sub_location);
        written.unwrap_or(match self.step {
            Some(Step::Receiving) => SubLocation::Door,
            Some(Step::Stocking | Step::RetailSelling) => SubLocation::Floor,
            _ => SubLocation::BackRoom,
        })
    }
}

const fn kind_of(flow: Flow, part: SubLocation, side: Side) -> (MovementKind, i64) {
    let adjusted = match part {
        SubLocation::Floor => MovementKind::AdjustedFloor,
        SubLocation::BackRoom | SubLocation::Door => MovementKind::AdjustedBackRoom,
    };
    match flow {
        Flow::Received => (MovementKind::Received, 1),
        Flow::Shipped => (MovementKind::Shipped, 1),
        Flow::ShipmentVoided => (MovementKind::Shipped, -1),
        Flow::Stocked => (MovementKind::Stocked, 1),
        Flow::Stored => (MovementKind::Stored, 1),
        Flow::Sold => (MovementKind::Sold, 1),
        Flow::Returned => (MovementKind::Returned, 1),
        Flow::Counted => match part {
            SubLocation::Floor => (MovementKind::CountedFloor, 1),
            SubLocation::BackRoom | SubLocation::Door => (MovementKind::CountedBackRoom, 1),
        },
        Flow::Lost => (adjusted, -1),
        Flow::Transformed => match side {
            Side::Input => (adjusted, -1),
            Side::Output | Side::Whole => (adjusted, 1),
        },
    }
}

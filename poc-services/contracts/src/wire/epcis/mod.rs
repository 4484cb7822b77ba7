//! EPCIS 2.0 documents (JSON-LD) of handhelds and back doors, as the standard's schema has them and
//! `docs/formats/epcis.md` lays out.
//!
//! [`read`] takes every event of the standard and says what it does to stock. An event is one transaction. Its natural identity, reader and running number, and what the standard
//! has no field for travel as prefixed extensions: `stockstream:reader`, `stockstream:number`, and of a count
//! `stockstream:variance`, the counted less the book quantity of each class.
//!
//! Invariant: no floats (quantities are read and written as decimal text with up to three decimals), no panic on any
//! bytes, sizes bounded. What the schema refuses is refused, formats included; where an effect on stock would be a
//! guess, the document is refused.

mod beep;
mod canonical;
mod canonical_uri;
mod capture;
mod content_id;
mod draft;
mod draft_id;
mod effect;
mod error;
mod event;
mod field;
mod identifier;
mod number;
mod parts;
mod read;
mod things;
mod uri;
mod vocabulary;
mod write;

pub use beep::{Beep, DOUBLE_BEEP_MS, DoubleBeep, beeps, double_beeps, double_beeps_behind};
pub use capture::{
    Capture, CaptureEvent, Correction, Declaration, EventId, Line, Movement, Side, Site, Thing,
};
pub use draft::{DeclarationDraft, DraftContent, DraftLine, DraftThings, EventDraft, IdDraft, Spelling};
pub use effect::{Effect, Flow};
pub use error::{Fault, ParseError};
pub use read::read;
pub use vocabulary::{Action, Disposition, EventKind, PartyKind, Reason, Step, TransactionKind};
pub use write::DocumentWriter;

pub const DOCUMENT_BYTES_MAX: usize = 1_000_000;
pub const EVENTS_MAX: usize = 5_000;
/// Elements of one list of an event.
pub const LIST_MAX: usize = 20_000;
/// Lines of a document, with what is in its pallets.
pub const LINES_MAX: usize = 50_000;
/// Logistic units within one another.
pub const CONTENTS_DEPTH_MAX: u32 = 8;

/// The first place that a document names, found without reading the document: for an edge that only has to know whose it is.
pub fn location_of(document: &[u8]) -> Option<LocationId> {
    let text = std::str::from_utf8(document).ok()?;
    text.split('"')
        .filter(|part| part.contains("/414/") || part.starts_with("urn:epc:id:sgln:"))
        .find_map(identifier::place)
        .map(|site| site.location)
}

/// The same document with more of the first thing in it: of a count, of its variance. `None` where nothing is in it.
///
/// Only the number's text changes, found without reading the document.
pub fn with_more_of_the_first(document: &[u8], more: Quantity) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(document).ok()?;
    let field = [r#""stockstream:quantity":"#, r#""quantity":"#]
        .into_iter()
        .find_map(|field| Some(text.find(field)? + field.len()))?;
    let end = field + text[field..].find([',', '}'])?;
    let quantity = number::read_quantity(text[field..end].trim())?;
    let mut out = Vec::with_capacity(document.len() + 2);
    out.extend_from_slice(&document[..field]);
    number::push_quantity(&mut out, Quantity(quantity.0 + more.0));
    out.extend_from_slice(&document[end..]);
    Some(out)
}

use crate::ids::{Gtin, LocationId, Quantity, TimeMs};

/// JSON-LD context of the standard.
pub const CONTEXT: &str = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld";
/// What the prefix `stockstream` stands for.
pub const EXTENSION_NAMESPACE: &str = "https://stockstream.example/epcis/";

/// Business steps of the standard's Core Business Vocabulary that move stock here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BizStep {
    /// A delivery at the door: in transit → back room.
    Receiving,
    /// Back room → floor.
    Stocking,
    /// Floor → back room.
    Storing,
    /// A full count of a sub-location.
    StockTaking,
}

impl BizStep {
    pub const ALL: [Self; 4] = [Self::Receiving, Self::Stocking, Self::Storing, Self::StockTaking];

    /// The bare word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Stocking => "stocking",
            Self::Storing => "storing",
            Self::StockTaking => "stock_taking",
        }
    }

    const fn disposition(self) -> &'static str {
        match self {
            Self::Receiving => "in_progress",
            Self::Stocking | Self::StockTaking => "sellable_accessible",
            Self::Storing => "sellable_not_accessible",
        }
    }
}

/// Where in a place: the GLN's extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubLocation {
    Floor,
    BackRoom,
    Door,
}

impl SubLocation {
    pub const ALL: [Self; 3] = [Self::Floor, Self::BackRoom, Self::Door];

    pub(crate) const fn extension(self) -> u8 {
        match self {
            Self::Floor => 1,
            Self::BackRoom => 2,
            Self::Door => 3,
        }
    }

    const fn from_extension(extension: u64) -> Option<Self> {
        match extension {
            1 => Some(Self::Floor),
            2 => Some(Self::BackRoom),
            3 => Some(Self::Door),
            _ => None,
        }
    }
}

/// One article of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanLine {
    pub gtin: Gtin,
    /// Moved or counted, not negative.
    pub quantity: Quantity,
    /// Of a count: what the books of the place said, signed. Otherwise not written, and zero.
    pub book: Quantity,
}

impl ScanLine {
    pub const fn moved(gtin: Gtin, quantity: Quantity) -> Self {
        Self {
            gtin,
            quantity,
            book: Quantity(0),
        }
    }

    pub const fn counted(gtin: Gtin, counted: Quantity, book: Quantity) -> Self {
        Self {
            gtin,
            quantity: counted,
            book,
        }
    }

    pub const fn variance(&self) -> Quantity {
        Quantity(self.quantity.0 - self.book.0)
    }
}

/// One event to write.
#[derive(Clone, Copy, Debug)]
pub struct ScanEvent<'a> {
    pub reader: u16,
    /// Of the reader, 1 up, not wrapping.
    pub running_number: u64,
    pub location: LocationId,
    pub at: TimeMs,
    pub step: BizStep,
    /// Of a delivery.
    pub despatch_advice: Option<u64>,
    /// Where it was read: the door of a delivery, the shelf or back room of a move or count.
    pub sub_location: SubLocation,
    /// A class once at most in a count.
    pub lines: &'a [ScanLine],
}

/// The sample company prefix of GS1's own documents, 7 digits; five digits of place follow, then the check digit.
const COMPANY_PREFIX: u64 = 614_141;
const GLN_PREFIX: u64 = COMPANY_PREFIX * 100_000;
const LOCATION_URI: &str = "https://id.gs1.org/414/";
const GTIN_URI: &str = "https://id.gs1.org/01/";
const DESPATCH_ADVICE_URI: &str = "urn:epcglobal:cbv:bt:";

//! Why a document is refused, and where in it.

use std::fmt;

use super::{DOCUMENT_BYTES_MAX, EVENTS_MAX, LINES_MAX};
use crate::ids::Gtin;
use crate::wire::json::{self, Path};

/// Why a document is refused: `epcisBody.eventList[3].bizStep: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    path: Path,
    fault: Box<Fault>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("{bytes} bytes are too many for a document, at most {DOCUMENT_BYTES_MAX}")]
    TooLong { bytes: usize },
    #[error("more than {most} {what} are too many")]
    TooMany { what: &'static str, most: usize },
    #[error("no EPCIS document in JSON: the text is not UTF-8 from byte {at} on")]
    NotUtf8 { at: usize },
    #[error("no EPCIS document in JSON: {0}")]
    Json(#[from] json::Fault),
    #[error("the document's type is `{found}`, not EPCISDocument")]
    DocumentType { found: String },
    #[error("expected {expected}, found {found}")]
    Type {
        expected: &'static str,
        found: &'static str,
    },
    #[error("`{found}` is no valid {expected}")]
    Value { expected: &'static str, found: String },
    #[error("{field} is missing")]
    Missing { field: &'static str },
    #[error("{0}")]
    Rule(&'static str),
    #[error(
        "the standard has no such field here: check its spelling, and give a field of your own a prefix (`example:name`)"
    )]
    Unknown,
    #[error("the field stands twice")]
    Twice,
    #[error("{found} is not supported: {expected}")]
    Kind { found: String, expected: &'static str },
    #[error("bizStep `{found}` is not supported: {expected}")]
    Step { found: String, expected: &'static str },
    #[error(
        "the count has no variance for {gtin}, or names it twice: without, it cannot be told what was counted on"
    )]
    Variance { gtin: Gtin },
    #[error("unit of measure `{found}` is not supported: none, or KGM, GRM, LTR, MTR, EA, C62, H87")]
    Unit { found: String },
    #[error(
        "the contents of the logistic unit {found} are not known: no AggregationEvent of the document packs it"
    )]
    Contents { found: String },
}

impl ParseError {
    /// For machines: metrics and dead letters.
    pub fn class(&self) -> &'static str {
        match &*self.fault {
            Fault::TooLong { .. } | Fault::TooMany { .. } | Fault::Json(json::Fault::TooDeep { .. }) => {
                "too-long"
            }
            Fault::NotUtf8 { .. } | Fault::Json(json::Fault::Expected { .. }) => "bad-json",
            Fault::DocumentType { .. } => "not-epcis",
            Fault::Kind { .. } => "unsupported-event",
            Fault::Step { .. } => "unsupported-step",
            Fault::Variance { .. } => "bad-count",
            Fault::Unit { .. } => "unsupported-unit",
            Fault::Contents { .. } => "unknown-contents",
            Fault::Type { .. }
            | Fault::Value { .. }
            | Fault::Missing { .. }
            | Fault::Rule(_)
            | Fault::Unknown
            | Fault::Twice => {
                if self.path.has_index() {
                    "bad-event"
                } else {
                    "not-epcis"
                }
            }
        }
    }

    pub const fn fault(&self) -> &Fault {
        &self.fault
    }

    /// Where: empty for the document as a whole.
    pub fn path(&self) -> String {
        self.path.to_string()
    }

    /// Of a member of the value that is being read.
    pub(super) fn at(key: &str, fault: Fault) -> Self {
        let mut error = Self::from(fault);
        error.path.enter_key(key);
        error
    }

    pub(super) fn within_index(mut self, index: usize) -> Self {
        self.path.enter_index(index);
        self
    }

    pub(super) fn within(mut self, key: &str) -> Self {
        self.path.enter_key(key);
        self
    }

    pub(super) fn value(expected: &'static str, found: &str) -> Self {
        Fault::Value {
            expected,
            found: shortened(found),
        }
        .into()
    }

    pub(super) fn too_many_events() -> Self {
        Fault::TooMany {
            what: "events",
            most: EVENTS_MAX,
        }
        .into()
    }

    pub(super) fn too_many_lines() -> Self {
        Fault::TooMany {
            what: "lines",
            most: LINES_MAX,
        }
        .into()
    }
}

impl std::error::Error for ParseError {}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if path.is_empty() {
            write!(f, "{}", self.fault)
        } else {
            write!(f, "{path}: {}", self.fault)
        }
    }
}

impl From<Fault> for ParseError {
    fn from(fault: Fault) -> Self {
        Self {
            path: Path::default(),
            fault: Box::new(fault),
        }
    }
}

impl From<json::Fault> for ParseError {
    fn from(fault: json::Fault) -> Self {
        Fault::Json(fault).into()
    }
}

impl json::Located for ParseError {
    fn path(&mut self) -> &mut Path {
        &mut self.path
    }
}

/// Text of a stranger, as much of it as a message should repeat.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

//! What is said of a place's sources: by a mark, a status record or master data, and of its messages in the dead letters.
//!
//! Invariant: a statement is read as a whole or refused as a whole. It is passed on as it was said; what follows from it
//! only the inventory service knows.

use contracts::ids::{LocationId, TimeMs};
use contracts::records::{ExpectedSource, Movement, Place, Rejected, SourceKind, SourceMark};
use contracts::wire::copybook::StatusRecord;
use contracts::wire::source_mark;
use prost::Message as _;

use crate::Rejection;
use crate::normalised::check_location;

/// What is said of a place's sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub location: LocationId,
    /// By the clock of who says it; 0 for master data.
    pub at: TimeMs,
    pub marks: Vec<SourceMark>,
    pub expected: Vec<ExpectedSource>,
}

impl Statement {
    pub fn to_movement(&self, due_ms: i64) -> Movement {
        Movement {
            location: self.location.to_string(),
            occurred_ms: self.at.0,
            due_ms,
            marks: self.marks.clone(),
            expected: self.expected.clone(),
            ..Movement::default()
        }
    }
}

pub fn of_status(location: LocationId, status: &StatusRecord) -> Result<Statement, Rejection> {
    check_location(location, status.place)?;
    Ok(Statement {
        location,
        at: status.at,
        marks: vec![SourceMark {
            source_kind: SourceKind::Queue as i32,
            last_number: u64::from(status.last_sequence),
            ..SourceMark::default()
        }],
        expected: Vec::new(),
    })
}

pub fn of_mark(location: LocationId, payload: &[u8]) -> Result<Statement, Rejection> {
    let mark = source_mark::parse(payload).map_err(|error| Rejection {
        class: error.class(),
        message: error.to_string(),
    })?;
    check_location(location, mark.store)?;
    let marks = mark.sources.iter().map(|standing| SourceMark {
        source_kind: standing.kind as i32,
        source_unit: u32::from(standing.unit),
        business_day: standing.business_day.0,
        last_number: standing.last,
    });
    Ok(Statement {
        location,
        at: mark.clock,
        marks: marks.collect(),
        expected: Vec::new(),
    })
}

pub fn of_place(location: LocationId, payload: &[u8]) -> Result<Statement, Rejection> {
    let bad = |message: String| Rejection {
        class: "bad-place",
        message,
    };
    let place = Place::decode(payload).map_err(|error| bad(format!("the record is no Place: {error}")))?;
    if place.location != location.to_string() {
        return Err(Rejection {
            class: "wrong-location",
            message: format!(
                "the record has the key {location} but is of `{}`",
                place.location.chars().take(40).collect::<String>()
            ),
        });
    }
    let is_known = |source: &ExpectedSource| {
        source.source_kind() != SourceKind::Unspecified && u16::try_from(source.source_unit).is_ok()
    };
    if let Some(index) = place.sources.iter().position(|source| !is_known(source)) {
        return Err(bad(format!(
            "source {} of the place has no known kind or unit",
            index + 1
        )));
    }
    Ok(Statement {
        location,
        at: TimeMs(0),
        marks: Vec::new(),
        expected: place.sources,
    })
}

/// What a place is told of a message of its own that goes to the dead letters.
pub fn rejected(location: LocationId, topic: &str, offset: u64, class: &str, due_ms: i64) -> Movement {
    Movement {
        location: location.to_string(),
        due_ms,
        rejected: Some(Rejected {
            topic: topic.to_owned(),
            offset,
            class: class.to_owned(),
        }),
        ..Movement::default()
    }
}

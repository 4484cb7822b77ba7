//! The mark of a store server: at this clock, so far had each of its tills and readers written.
//!
//! A JSON document as `docs/formats/source-mark.md` lays it out. A mark is a claim of who wrote the numbers, so it is
//! read strictly: an unknown key, a source that stands twice or a number that its numbering does not have refuses all of it,
//! because half a claim could not be told from a whole one.
//!
//! Invariant: no panic on any bytes, sizes bounded. What is read can be written again. It unwraps no number.

use serde::Deserialize;

use crate::ids::{BusinessDay, LocationId, TILL_NUMBER_MAX, TimeMs};
use crate::records::SourceKind;
use crate::wire::civil::CivilTime;
use crate::wire::rfc3339::{date_time, push_instant, push_padded};

pub const DOCUMENT_BYTES_MAX: usize = 64 << 10;
/// More tills and readers has no store.
pub const SOURCES_MAX: usize = 1_000;

const DAY_MS: i64 = 86_400_000;

/// What a store server says of its sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreMark {
    pub store: LocationId,
    /// The server's own, when it looked.
    pub clock: TimeMs,
    pub sources: Vec<Standing>,
}

/// How far a till or a reader has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Till or reader.
    pub kind: SourceKind,
    pub unit: u16,
    /// Of its last number; 0 for a reader, and where nothing is written yet.
    pub business_day: BusinessDay,
    /// As the source wrote it, 0: nothing yet.
    pub last: u64,
}

/// Why a mark is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("{bytes} bytes are too many for a mark, at most {DOCUMENT_BYTES_MAX}")]
    TooLong { bytes: usize },
    #[error("no mark in JSON: {message}")]
    Syntax { message: String },
    #[error("`{found}` is no valid {field}")]
    Value { field: &'static str, found: String },
    #[error("source {index} of the mark: {message}")]
    Source { index: usize, message: &'static str },
}

impl ParseError {
    /// For machines: metrics and dead letters.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too-long",
            Self::Syntax { .. } => "bad-json",
            Self::Value { .. } | Self::Source { .. } => "bad-mark",
        }
    }
}

/// Appends a mark. Its sources are tills and readers, each once, in the order given.
pub fn write(mark: &StoreMark, out: &mut Vec<u8>) {
    use std::io::Write as _;
    let mut put = |text: std::fmt::Arguments<'_>| out.write_fmt(text).expect("a Vec takes all bytes");
    put(format_args!(r#"{{"store":"{}","clock":""#, mark.store));
    push_instant(out, mark.clock);
    out.extend_from_slice(br#"","sources":["#);
    for (index, standing) in mark.sources.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let name = if standing.kind == SourceKind::Till {
            "till"
        } else {
            "reader"
        };
        write!(out, r#"{{"{name}":{}"#, standing.unit).expect("a Vec takes all bytes");
        if standing.kind == SourceKind::Till && standing.last > 0 {
            out.extend_from_slice(br#","businessDay":""#);
            push_date(out, standing.business_day);
            out.push(b'"');
        }
        write!(out, r#","last":{}}}"#, standing.last).expect("a Vec takes all bytes");
    }
    out.extend_from_slice(b"]}");
}

fn push_date(out: &mut Vec<u8>, day: BusinessDay) {
    let date = CivilTime::from_ms(TimeMs(i64::from(day.0) * DAY_MS));
    push_padded(out, date.year.rem_euclid(10_000) as u64, 4);
    for part in [date.month, date.day] {
        out.push(b'-');
        push_padded(out, u64::from(part), 2);
    }
}

/// Reads a mark.
pub fn parse(document: &[u8]) -> Result<StoreMark, ParseError> {
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(ParseError::TooLong {
            bytes: document.len(),
        });
    }
    let raw: RawMark<'_> = serde_json::from_slice(document).map_err(|error| ParseError::Syntax {
        message: error.to_string(),
    })?;
    let invalid = |field, found: &str| ParseError::Value {
        field,
        found: found.chars().take(40).collect(),
    };
    let store = raw
        .store
        .parse()
        .ok()
        .filter(|store: &LocationId| store.is_store());
    let store = store.ok_or_else(|| invalid("store", raw.store))?;
    let clock = date_time(raw.clock).ok_or_else(|| invalid("clock", raw.clock))?;
    if raw.sources.is_empty() || raw.sources.len() > SOURCES_MAX {
        return Err(invalid("number of sources", &raw.sources.len().to_string()));
    }
    let mut sources: Vec<Standing> = Vec::with_capacity(raw.sources.len());
    for (index, source) in raw.sources.iter().enumerate() {
        let fault = |message| ParseError::Source {
            index: index + 1,
            message,
        };
        let standing = standing(source).map_err(fault)?;
        if sources
            .iter()
            .any(|other| (other.kind, other.unit) == (standing.kind, standing.unit))
        {
            return Err(fault("it stands twice"));
        }
        sources.push(standing);
    }
    Ok(StoreMark {
        store,
        clock,
        sources,
    })
}

fn standing(raw: &RawStanding<'_>) -> Result<Standing, &'static str> {
    let (kind, unit) = match (raw.till, raw.reader) {
        (Some(unit), None) => (SourceKind::Till, unit),
        (None, Some(unit)) => (SourceKind::Reader, unit),
        _ => return Err("it is either a till or a reader"),
    };
    let business_day = match (kind, raw.business_day) {
        (SourceKind::Till, Some(text)) if raw.last > 0 => {
            read_date(text).ok_or("its businessDay is no date from 1970 on, such as 2026-03-16")?
        }
        (SourceKind::Till, None) if raw.last > 0 => return Err("a till's last number needs its businessDay"),
        (_, Some(_)) => return Err("a businessDay belongs to a till that has written"),
        (_, None) => BusinessDay(0),
    };
    if kind == SourceKind::Till && raw.last > TILL_NUMBER_MAX {
        return Err("a till's numbers end at 9,999");
    }
    Ok(Standing {
        kind,
        unit,
        business_day,
        last: raw.last,
    })
}

fn read_date(text: &str) -> Option<BusinessDay> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let digits = |text: &str, width| {
        (text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u16>().ok())
            .flatten()
    };
    let at = CivilTime {
        year: i32::from(digits(year, 4)?),
        month: digits(month, 2)? as u8,
        day: digits(day, 2)? as u8,
        hour: 0,
        minute: 0,
        second: 0,
        millisecond: 0,
    };
    u32::try_from(at.to_ms()?.0 / DAY_MS).ok().map(BusinessDay)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMark<'a> {
    store: &'a str,
    clock: &'a str,
    #[serde(borrow)]
    sources: Vec<RawStanding<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawStanding<'a> {
    till: Option<u16>,
    reader: Option<u16>,
    #[serde(borrow)]
    business_day: Option<&'a str>,
    last: u64,
}

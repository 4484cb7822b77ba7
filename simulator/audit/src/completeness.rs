//! What the view says that it knows and does not know, as the audit read it.
//!
//! Invariant: this is the view's own word, shown as it stands. Whether it is true is asked in `claims`.

use contracts::ids::{LocationId, SourceId};
use contracts::records::SourceKind;
use serde::{Serialize, Serializer};

use crate::decode::{PlaceRecord, SourceRecord};

/// How much the view knows of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKnown {
    /// Master data has it, and nothing was ever heard of it.
    NeverSeen,
    /// All numbers are in up to its own mark.
    Complete,
    /// Some numbers are known to be missing.
    Missing,
    /// Numbers are in, but no mark says how far it had written.
    Unknown,
}

/// What the view says of a source. Numbers are unwrapped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceCompleteness {
    #[serde(serialize_with = "text")]
    pub source: SourceId,
    pub state: SourceKnown,
    pub complete_up_to: u64,
    /// By the source's clock, 0: unknown.
    pub complete_until_ms: i64,
    pub missing: u64,
    /// Of the missing, those that a mark before the last one had claimed.
    pub overdue: u64,
    /// The first ranges, both ends included.
    pub missing_first: Vec<(u64, u64)>,
    pub dead_letters: u64,
    pub late: u64,
}

/// What the view says of a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlaceCompleteness {
    #[serde(serialize_with = "text")]
    pub location: LocationId,
    /// Clock of its last mark, 0: never.
    pub marked_ms: i64,
    /// The least of its sources, 0: unknown.
    pub complete_until_ms: i64,
    /// 0: it is not offline.
    pub offline_since_ms: i64,
    pub is_certain: bool,
    pub missing: u64,
    pub overdue: u64,
    /// Of the place, those without a known source included.
    pub dead_letters: u64,
    pub late: u64,
    /// Empty where only the place was asked for.
    pub sources: Vec<SourceCompleteness>,
}

/// Over all places that the view has a word of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CompletenessTotals {
    pub places: u64,
    pub certain: u64,
    pub offline: u64,
    /// Sources.
    pub never_seen: u64,
    pub places_missing: u64,
    /// Numbers.
    pub missing: u64,
    pub dead_letters: u64,
    pub late: u64,
    /// Of the late numbers that were in no dead letters, those five minutes or more behind by their source's clock, and the others.
    pub long_late: u64,
    pub reordered: u64,
    /// Places of which an older record is the last one in the log.
    pub stale: u64,
    pub sources: u64,
    pub sources_complete: u64,
    /// Thousandths on hand in places that are not certain, over the totals of all articles.
    pub stock_uncertain: i64,
}

impl PlaceCompleteness {
    pub(crate) fn of(location: LocationId, record: &PlaceRecord) -> Self {
        let sources = &record.sources;
        Self {
            location,
            marked_ms: record.marked_ms,
            complete_until_ms: record.complete_until_ms,
            offline_since_ms: record.offline_since_ms,
            is_certain: record.is_certain,
            missing: sources.iter().map(|source| source.missing).sum(),
            overdue: sources.iter().map(|source| source.overdue).sum(),
            dead_letters: record.dead_letters,
            late: sources.iter().map(|source| source.late).sum(),
            sources: Vec::new(),
        }
    }

    pub(crate) fn with_sources(location: LocationId, record: &PlaceRecord) -> Self {
        Self {
            sources: record
                .sources
                .iter()
                .map(|source| SourceCompleteness::of(location, source))
                .collect(),
            ..Self::of(location, record)
        }
    }

    /// Everything that was written up to its last mark is in, as far as the view knows.
    pub const fn is_complete(&self) -> bool {
        self.is_certain && self.missing == 0 && self.dead_letters == 0
    }
}

impl SourceCompleteness {
    fn of(location: LocationId, record: &SourceRecord) -> Self {
        Self {
            source: record.id(location),
            state: known(record),
            complete_up_to: record.complete_up_to,
            complete_until_ms: record.complete_until_ms,
            missing: record.missing,
            overdue: record.overdue,
            missing_first: record.missing_first.clone(),
            dead_letters: record.dead_letters,
            late: record.late,
        }
    }
}

impl SourceRecord {
    pub(crate) fn id(&self, location: LocationId) -> SourceId {
        let kind = i32::try_from(self.kind).ok();
        SourceId {
            location,
            kind: kind
                .and_then(|kind| SourceKind::try_from(kind).ok())
                .unwrap_or(SourceKind::Unspecified),
            unit: u16::try_from(self.unit).unwrap_or(u16::MAX),
        }
    }
}

const fn known(record: &SourceRecord) -> SourceKnown {
    if record.missing > 0 {
        SourceKnown::Missing
    } else if record.is_marked {
        SourceKnown::Complete
    } else if record.highest == 0 {
        SourceKnown::NeverSeen
    } else {
        SourceKnown::Unknown
    }
}

impl CompletenessTotals {
    pub(crate) fn add(&mut self, record: &PlaceRecord) {
        self.places += 1;
        self.certain += u64::from(record.is_certain);
        self.offline += u64::from(record.offline_since_ms != 0);
        self.dead_letters += record.dead_letters;
        let mut missing = 0;
        for source in &record.sources {
            let known = known(source);
            missing += source.missing;
            self.late += source.late;
            self.long_late += source.long_late;
            self.reordered += source.reordered;
            self.sources += 1;
            self.sources_complete += u64::from(known == SourceKnown::Complete);
            self.never_seen += u64::from(known == SourceKnown::NeverSeen);
        }
        self.missing += missing;
        self.places_missing += u64::from(missing > 0);
    }
}

fn text<T: std::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

//! What the view says of its own completeness, held against what the sources wrote.
//!
//! Four things are wrong: a source is said to be further than it wrote (`claims`); it is not known, or not known to be as far as it
//! said itself in its last mark; a number that its source lost is not among the
//! missing; a number is missing that its source did not lose, which tells a lost transaction even where it has no lines and so no
//! cell shows it. And "complete until" is held against the clock: a transaction that happened before it, but is not
//! in, makes it a lie.
//!
//! Not compared: numbers behind the last mark and the highest that is in, of which the view says nothing; tills that have gone
//! through all their numbers, whose raw numbers name two; and instants that differ by less than clocks of sources do.

use std::collections::BTreeMap;

use contracts::ids::{LocationId, SourceId, TILL_NUMBER_MAX, TimeMs, TransactionId};
use contracts::records::SourceKind;
use hashbrown::HashMap;
use ledger::{Ledger, TrueSource};

use crate::decode::{PlaceRecord, SourceRecord};
use crate::report::{LateClaim, UnknownSource, UnreportedGap};

/// A till's clock and its server's may be so far apart.
const CLOCKS_DIFFER_MS: i64 = 10 * 60_000;

/// What is wrong without asking when anything happened.
#[derive(Debug, Default)]
pub struct Gaps {
    pub unreported: Vec<UnreportedGap>,
    /// Numbers that are said to be missing and were not lost at their source.
    pub missing_unexplained: u64,
}

/// Of all places, in the order of the ledger.
pub fn gaps(places: &HashMap<LocationId, PlaceRecord>, ledger: &Ledger) -> Gaps {
    let mut gaps = Gaps::default();
    for position in 0..ledger.places() {
        let truth = ledger.place(position);
        let Some(place) = places.get(&truth.location) else {
            continue;
        };
        for record in &place.sources {
            let source = record.id(truth.location);
            let lost = truth.lost.iter().filter(|lost| lost.id.source == source);
            let lost: Vec<u64> = lost.map(|lost| lost.unwrapped).collect();
            let top = record.highest.max(record.claimed);
            let unreported: Vec<u64> = lost
                .iter()
                .copied()
                .filter(|number| *number <= top && !reports(record, *number))
                .collect();
            let reported = lost.iter().filter(|number| **number <= top).count() - unreported.len();
            gaps.missing_unexplained = gaps
                .missing_unexplained
                .saturating_add(record.missing.saturating_sub(reported as u64));
            if let Some(first) = unreported.iter().min() {
                gaps.unreported.push(UnreportedGap {
                    source,
                    first: *first,
                    numbers: unreported.len() as u64,
                });
            }
        }
    }
    gaps
}

/// Sources of which the view does not know how far they wrote, in the order of the ledger.
pub fn unknown_sources(places: &HashMap<LocationId, PlaceRecord>, ledger: &Ledger) -> Vec<UnknownSource> {
    let mut unknown = Vec::new();
    for position in 0..ledger.places() {
        let truth = ledger.place(position);
        let records = places
            .get(&truth.location)
            .map_or(&[][..], |place| &place.sources);
        for source in truth.sources.iter().filter(|source| is_unambiguous(source)) {
            let wrote = source.first_number + source.transactions - 1;
            let known = records
                .iter()
                .find(|record| record.id(truth.location) == source.id)
                .map(|record| record.highest.max(record.claimed));
            if known.is_none_or(|known| known < wrote) {
                unknown.push(UnknownSource {
                    source: source.id,
                    wrote,
                    known,
                });
            }
        }
    }
    unknown
}

/// A number is among the missing, or behind those ranges that a record has room for.
fn reports(record: &SourceRecord, number: u64) -> bool {
    let ranges = &record.missing_first;
    let is_listed = ranges
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&number));
    let listed = ranges.iter().fold(0, |sum, (first, last)| {
        last.saturating_sub(*first).saturating_add(sum).saturating_add(1)
    });
    let is_behind = ranges.last().is_some_and(|(_, last)| number > *last) && record.missing > listed;
    is_listed || is_behind
}

/// Sources that lack something, and until when they are said to be complete.
#[derive(Debug, Default)]
pub struct Watch {
    sources: HashMap<SourceId, (u64, i64)>,
    found: BTreeMap<SourceId, LateClaim>,
}

impl Watch {
    pub fn new(places: &HashMap<LocationId, PlaceRecord>, ledger: &Ledger) -> Self {
        let mut watch = Self::default();
        for position in 0..ledger.places() {
            let truth = ledger.place(position);
            let Some(place) = places.get(&truth.location) else {
                continue;
            };
            for source in truth.sources.iter().filter(|source| is_unambiguous(source)) {
                let record = place
                    .sources
                    .iter()
                    .find(|record| record.id(truth.location) == source.id);
                let last = source.first_number + source.transactions - 1;
                if let Some(record) = record.filter(|record| record.complete_up_to < last)
                    && record.complete_until_ms > 0
                {
                    let told = (record.complete_up_to, record.complete_until_ms);
                    watch.sources.insert(source.id, told);
                }
            }
        }
        watch
    }

    /// Nobody has to tell it when anything happened.
    pub fn is_idle(&self) -> bool {
        self.sources.is_empty()
    }

    /// A transaction that happened, by its source's clock.
    pub fn transaction(&mut self, id: &TransactionId, at: TimeMs) {
        let Some((complete_up_to, until_ms)) = self.sources.get(&id.source) else {
            return;
        };
        // The first number that is not in happened no later than any behind it.
        if id.number <= *complete_up_to || at.0.saturating_add(CLOCKS_DIFFER_MS) >= *until_ms {
            return;
        }
        self.found.entry(id.source).or_insert(LateClaim {
            source: id.source,
            complete_until_ms: *until_ms,
            lacks: *complete_up_to + 1,
            happened_ms: at.0,
        });
    }

    /// Ascending.
    pub fn found(self) -> Vec<LateClaim> {
        self.found.into_values().collect()
    }
}

/// Each of its raw numbers names one transaction.
const fn is_unambiguous(source: &TrueSource) -> bool {
    !matches!(source.id.kind, SourceKind::Till)
        || source.first_number + source.transactions - 1 <= TILL_NUMBER_MAX
}

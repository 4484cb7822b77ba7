//! What the view says of itself, taken from the audit's reading of it for the screen and put into sentences for the verdict.
//!
//! Invariant: nothing of the truth is in it. All places are asked twice a second; the sources of one only where somebody
//! looks at it, or where numbers are missing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{Audit, AuditSnapshot, PlaceCompleteness};
use contracts::ids::{LocationId, SourceId, TimeMs};
use contracts::records::SourceKind;

use crate::completeness::{CompletenessView, KnownView, PlaceDetails, SourceView, ranges};
use crate::format::{count, time_of_day};

const ASK_EVERY: Duration = Duration::from_millis(500);
/// Places whose sources are asked each time, to say which lacks numbers.
const ASKED_MAX: usize = 40;
/// Places and sources that a sentence names.
const NAMED_MAX: usize = 5;

#[derive(Debug, Default)]
pub struct Completeness {
    /// Ascending by location.
    places: Vec<(LocationId, KnownView)>,
    asked: Option<Instant>,
    /// The place that somebody looks at.
    looked_at: Option<LocationId>,
    details: Option<Arc<PlaceDetails>>,
    as_of: Option<TimeMs>,
    complete_until: Option<TimeMs>,
}

impl Completeness {
    pub fn look_at(&mut self, location: Option<LocationId>) {
        self.looked_at = location;
        self.details = None;
        self.asked = None;
    }

    /// The next tick asks whatever was asked before.
    pub fn ask_again(&mut self) {
        self.asked = None;
    }

    /// Asks the audit, now and then.
    pub fn tick(&mut self, now: Instant, audit: &Audit) {
        if self.asked.is_some_and(|at| now.duration_since(at) < ASK_EVERY) {
            return;
        }
        self.asked = Some(now);
        self.take(&audit.completeness_of_places(), |location| {
            audit.completeness(location)
        });
    }

    fn take(
        &mut self,
        places: &[PlaceCompleteness],
        whole: impl Fn(LocationId) -> Option<PlaceCompleteness>,
    ) {
        let mut asked = 0;
        self.places = places
            .iter()
            .map(|place| {
                let mut known = known(place);
                if place.missing > 0 && !place.is_certain && asked < ASKED_MAX {
                    asked += 1;
                    let place = whole(place.location);
                    known.missing_at = place.as_ref().and_then(missing_at);
                }
                (place.location, known)
            })
            .collect();
        self.places.sort_unstable_by_key(|(location, _)| *location);
        let least = |is_certain: bool| {
            self.places
                .iter()
                .filter(|(_, known)| known.is_certain == is_certain)
                .filter_map(|(_, known)| known.complete_until)
                .min()
        };
        (self.as_of, self.complete_until) = (least(false), least(true));
        self.details = self
            .looked_at
            .and_then(whole)
            .map(|place| Arc::new(details(&place)));
    }

    pub fn known(&self, location: LocationId) -> KnownView {
        self.places
            .binary_search_by_key(&location, |(known, _)| *known)
            .map(|index| self.places[index].1.clone())
            .unwrap_or_default()
    }

    pub fn details(&self) -> Option<Arc<PlaceDetails>> {
        self.details.clone()
    }

    pub fn view(&self, audit: &AuditSnapshot) -> CompletenessView {
        let totals = &audit.completeness;
        CompletenessView {
            places: totals.places,
            certain: totals.certain,
            offline: totals.offline,
            never_seen: totals.never_seen,
            places_missing: totals.places_missing,
            missing: totals.missing,
            dead_letters: totals.dead_letters,
            late: totals.late,
            sources: totals.sources,
            sources_complete: totals.sources_complete,
            stock: audit.on_hand_view,
            stock_uncertain: totals.stock_uncertain,
            complete_until: self.complete_until,
            as_of: self.as_of,
        }
    }
}

/// A time of the protocol: 0 is none.
fn instant(ms: i64) -> Option<TimeMs> {
    (ms > 0).then_some(TimeMs(ms))
}

fn known(place: &PlaceCompleteness) -> KnownView {
    KnownView {
        is_heard: true,
        is_certain: place.is_certain,
        marked: instant(place.marked_ms),
        complete_until: instant(place.complete_until_ms),
        offline_since: instant(place.offline_since_ms),
        missing: place.missing,
        overdue: place.overdue,
        dead_letters: place.dead_letters,
        late: place.late,
        missing_at: None,
    }
}

/// The source that lacks the most, and how many others lack something: `till 4 and 2 more`.
fn missing_at(place: &PlaceCompleteness) -> Option<Arc<str>> {
    let lacking = || place.sources.iter().filter(|source| source.missing > 0);
    let most = lacking().max_by_key(|source| (source.overdue, source.missing))?;
    let others = lacking().count() - 1;
    let name = name(most.source);
    Some(if others == 0 {
        name.into()
    } else {
        format!("{name} and {others} more").into()
    })
}

fn details(place: &PlaceCompleteness) -> PlaceDetails {
    let mut known = known(place);
    known.missing_at = missing_at(place);
    PlaceDetails {
        location: place.location.to_string(),
        known,
        sources: place
            .sources
            .iter()
            .map(|source| SourceView {
                name: name(source.source),
                state: source.state,
                complete_up_to: source.complete_up_to,
                complete_until: instant(source.complete_until_ms),
                missing: source.missing,
                missing_first: source.missing_first.clone(),
                dead_letters: source.dead_letters,
                late: source.late,
            })
            .collect(),
    }
}

/// `till 3`, `reader 1`, `queue`.
fn name(source: SourceId) -> String {
    match source.kind {
        SourceKind::Till => format!("till {}", source.unit),
        SourceKind::Reader => format!("reader {}", source.unit),
        SourceKind::Queue => "queue".into(),
        SourceKind::Unspecified => "a source of no kind".into(),
    }
}

/// What the view says of itself in the end, in one sentence, and what never came from its sources in another.
pub fn sentences(view: &CompletenessView, incomplete: &[PlaceCompleteness], now: TimeMs) -> Vec<String> {
    if view.places == 0 {
        return vec!["the view says nothing of how complete it is".into()];
    }
    let mut said = vec![if view.certain == view.places {
        format!(
            "the view says of itself: all {} places complete{}",
            count(view.places),
            view.complete_until
                .map_or_else(String::new, |until| format!(" up to {}", time_of_day(until, now)))
        )
    } else {
        let not = incomplete.iter().filter(|place| !place.is_certain);
        format!(
            "the view says of itself: {} of {} places are not certain: {}",
            count(view.places - view.certain),
            count(view.places),
            listed(
                not.map(|place| format!("{} {}", place.location, details(place).known.words(now))),
                view.places - view.certain
            )
        )
    }];
    if view.missing > 0 {
        let lacking = incomplete.iter().flat_map(|place| {
            place
                .sources
                .iter()
                .filter(|source| source.missing > 0)
                .map(|source| {
                    format!(
                        "{} {}: {}",
                        place.location,
                        name(source.source),
                        ranges(&source.missing_first, source.missing)
                    )
                })
        });
        let sources = lacking.clone().count() as u64;
        said.push(format!(
            "{} never came from their sources: {}",
            if view.missing == 1 {
                "1 number".to_owned()
            } else {
                format!("{} numbers", count(view.missing))
            },
            listed(lacking, sources)
        ));
    }
    said
}

/// The first few, and how many more.
fn listed(items: impl Iterator<Item = String>, all: u64) -> String {
    let first: Vec<_> = items.take(NAMED_MAX).collect();
    let more = all.saturating_sub(first.len() as u64);
    let mut text = first.join("; ");
    if more > 0 {
        text.extend(["; and ", &count(more), " more"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use audit::SourceCompleteness;

    use super::*;

    const NOW: TimeMs = TimeMs(1_773_497_002_000);

    fn source(unit: u16, missing: &[(u64, u64)]) -> SourceCompleteness {
        let lacking = missing.iter().map(|(from, to)| to - from + 1).sum();
        SourceCompleteness {
            source: SourceId::till(LocationId::store(42), unit),
            state: if missing.is_empty() {
                audit::SourceKnown::Complete
            } else {
                audit::SourceKnown::Missing
            },
            complete_up_to: 117,
            complete_until_ms: NOW.0,
            missing: lacking,
            overdue: lacking,
            missing_first: missing.to_vec(),
            dead_letters: 0,
            late: 0,
        }
    }

    fn place(sources: Vec<SourceCompleteness>) -> PlaceCompleteness {
        let missing = sources.iter().map(|source| source.missing).sum();
        PlaceCompleteness {
            location: LocationId::store(42),
            marked_ms: NOW.0,
            complete_until_ms: NOW.0,
            offline_since_ms: 0,
            is_certain: missing == 0,
            missing,
            overdue: missing,
            dead_letters: 0,
            late: 0,
            sources,
        }
    }

    #[test]
    fn a_place_names_the_source_that_lacks_the_most() {
        let whole = place(vec![
            source(3, &[(5, 5)]),
            source(4, &[(118, 120)]),
            source(5, &[]),
        ]);
        let mut completeness = Completeness::default();
        completeness.look_at(Some(whole.location));
        let without = PlaceCompleteness {
            sources: Vec::new(),
            ..whole.clone()
        };
        completeness.take(&[without], |_| Some(whole.clone()));
        assert_eq!(
            completeness.known(LocationId::store(42)).words(NOW),
            "as of 14:03:22 · 4 missing from till 4 and 1 more"
        );
        assert_eq!(completeness.known(LocationId::store(43)), KnownView::default());
        let details = completeness.details().expect("somebody looks at it");
        assert_eq!((details.location.as_str(), details.sources.len()), ("S0042", 3));
        assert_eq!(completeness.as_of, Some(NOW));
        assert_eq!(completeness.complete_until, None);
    }

    #[test]
    fn the_verdict_names_numbers_that_never_came() {
        let incomplete = place(vec![source(4, &[(118, 120), (131, 131)]), source(5, &[])]);
        let view = CompletenessView {
            places: 12,
            certain: 11,
            missing: 4,
            ..CompletenessView::default()
        };
        assert_eq!(
            sentences(&view, &[incomplete], NOW),
            [
                "the view says of itself: 1 of 12 places are not certain: S0042 as of 14:03:22 · 4 missing from till 4",
                "4 numbers never came from their sources: S0042 till 4: 118–120, 131",
            ]
        );
    }

    #[test]
    fn the_verdict_says_up_to_when_all_is_complete() {
        let view = CompletenessView {
            places: 12,
            certain: 12,
            complete_until: Some(NOW),
            ..CompletenessView::default()
        };
        assert_eq!(
            sentences(&view, &[], NOW),
            ["the view says of itself: all 12 places complete up to 14:03:22"]
        );
        assert_eq!(
            sentences(&CompletenessView::default(), &[], NOW),
            ["the view says nothing of how complete it is"]
        );
    }
}

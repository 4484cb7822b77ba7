//! What the view says of its own completeness is shown as it stands, and held against what the sources wrote.

use crate::support::{Acme, Written, feed, items, records};
use audit::{AuditReport, Comparison, SourceKnown};
use contracts::ids::{BusinessDay, SourceId, TransactionId};
use contracts::records::{Completeness, NumberRange, SourceState};
use contracts::topics::{StateKey, partition_of};
use prost::Message as _;

/// Of the fourth store.
const PLACE: usize = 3;

fn acme() -> Acme {
    let acme = Acme::new(5, 600);
    assert!(acme.truth.place(PLACE).sources.len() > 1);
    acme
}

/// Complete up to its last number, by a mark.
fn complete(id: SourceId, last: u64) -> SourceState {
    SourceState {
        source_kind: id.kind as i32,
        source_unit: id.unit.into(),
        complete_up_to: last,
        highest: last,
        claimed: last,
        complete_until_ms: 1,
        is_marked: true,
        ..SourceState::default()
    }
}

fn states(acme: &Acme) -> Vec<SourceState> {
    let place = acme.truth.place(PLACE);
    place
        .sources
        .iter()
        .map(|source| complete(source.id, source.first_number + source.transactions - 1))
        .collect()
}

fn written(acme: &Acme, completeness: &Completeness) -> Written {
    let location = acme.truth.place(PLACE).location;
    Written {
        partition: partition_of(location),
        key: StateKey::Completeness(location).to_bytes(),
        value: completeness.encode_to_vec(),
    }
}

/// The view has every cell right, and says this of its sources.
fn told(acme: &Acme, sources: Vec<SourceState>) -> Comparison {
    let mut comparison = Comparison::new(&acme.truth);
    let completeness = Completeness {
        epoch: 1,
        cut: 1_000,
        sources,
        ..Completeness::default()
    };
    let mut cells = records(&acme.truth, 1, 1_000);
    cells.push(written(acme, &completeness));
    feed(&mut comparison, &cells, &items(&acme.truth));
    comparison
}

fn verdict(acme: &Acme, sources: Vec<SourceState>) -> AuditReport {
    acme.verdict_of(&mut told(acme, sources))
}

/// The first source uses so many numbers more and loses them; the first of these.
fn lose(acme: &Acme, numbers: u64) -> u64 {
    let mut place = acme.truth.place(PLACE);
    let source = place.sources[0];
    let last = source.first_number + source.transactions - 1;
    for number in last + 1..=last + numbers {
        place.lose(&TransactionId {
            source: source.id,
            business_day: BusinessDay(0),
            number,
        });
    }
    last + 1
}

#[test]
fn a_number_that_its_source_lost_must_be_said_to_be_missing() {
    let acme = acme();
    let before = states(&acme);
    let first = lose(&acme, 2);
    let honest = SourceState {
        complete_up_to: first - 1,
        highest: first - 1,
        missing: 2,
        missing_first: vec![NumberRange {
            first,
            last: first + 1,
        }],
        ..complete(acme.truth.place(PLACE).sources[0].id, first + 1)
    };
    let with = |state: &SourceState| {
        let mut states = before.clone();
        states[0] = state.clone();
        verdict(&acme, states)
    };
    assert!(with(&honest).is_clean());
    // Behind the last mark it says nothing, and is not wrong.
    assert!(verdict(&acme, before.clone()).is_clean());
    let half = SourceState {
        missing: 1,
        missing_first: vec![NumberRange { first, last: first }],
        ..honest.clone()
    };
    let report = with(&half);
    assert!(!report.is_clean());
    assert_eq!(report.gaps_unreported, 1);
    let gap = report.unreported_gaps[0];
    assert_eq!((gap.first, gap.numbers), (first + 1, 1));
    let silent = complete(acme.truth.place(PLACE).sources[0].id, first + 1);
    assert_eq!(with(&silent).unreported_gaps[0].numbers, 2);
    // A record lists eight ranges; what lies behind is missing all the same.
    let behind = SourceState {
        missing: 3,
        missing_first: vec![NumberRange {
            first: first - 1,
            last: first - 1,
        }],
        ..honest
    };
    let report = with(&behind);
    assert_eq!(
        (report.gaps_unreported, report.numbers_missing_unexplained),
        (0, 1)
    );
}

#[test]
fn a_source_that_the_view_knows_less_of_than_it_wrote_is_named() {
    let acme = acme();
    let states = states(&acme);
    let others = acme.truth.places() - 1;
    let unknown = |report: &AuditReport| {
        let here = acme.truth.place(PLACE).location;
        let mut of_it = report.unknown_sources.iter();
        of_it.find(|unknown| unknown.source.location == here).copied()
    };
    let report = verdict(&acme, states.clone());
    // Nothing was said of the other places at all.
    assert!(report.sources_unknown >= others as u64);
    assert_eq!(unknown(&report), None);
    let last = states[1].highest;
    let mut behind = states.clone();
    (behind[1].highest, behind[1].claimed) = (last - 2, last - 1);
    (behind[1].complete_up_to, behind[1].is_marked) = (last - 2, false);
    let found = unknown(&verdict(&acme, behind)).unwrap();
    assert_eq!((found.wrote, found.known), (last, Some(last - 1)));
    let mut silent = states;
    silent.remove(1);
    let found = unknown(&verdict(&acme, silent)).unwrap();
    assert_eq!((found.wrote, found.known), (last, None));
}

#[test]
fn a_number_that_is_missing_though_its_source_did_not_lose_it_is_a_lost_transaction() {
    let acme = acme();
    let mut states = states(&acme);
    states[1].missing = 1;
    states[1].missing_first = vec![NumberRange { first: 2, last: 2 }];
    states[1].complete_up_to = 1;
    let report = verdict(&acme, states);
    assert_eq!(report.cells_diverging, 0, "no cell shows it");
    assert_eq!(report.numbers_missing_unexplained, 1);
    assert!(!report.is_clean());
}

#[test]
fn complete_until_an_instant_behind_something_that_is_not_in_is_a_lie() {
    const LATE_MS: i64 = 3_600_000;
    let acme = acme();
    let mut first_lacking = states(&acme);
    first_lacking[0].complete_up_to = 0;
    first_lacking[0].missing = 1;
    first_lacking[0].missing_first = vec![NumberRange { first: 1, last: 1 }];
    let happened = {
        let source = acme.truth.place(PLACE).sources[0].id;
        let mut at_first = None;
        acme.replay()(&mut |id, at, _| {
            if id.source == source && at_first.is_none() {
                at_first = Some(at.0);
            }
        });
        at_first.expect("it wrote something")
    };
    let with = |until_ms| {
        let mut states = first_lacking.clone();
        states[0].complete_until_ms = until_ms;
        verdict(&acme, states)
    };
    assert_eq!(with(happened.max(1)).completeness_too_late, 0);
    let report = with(happened + LATE_MS);
    assert_eq!(
        (report.completeness_too_late, report.late_claims[0].lacks),
        (1, 1)
    );
    assert!(!report.is_clean());
}

#[test]
fn an_older_record_of_a_place_that_stands_last_is_a_stale_read() {
    let acme = acme();
    let with = |cuts: &[u64]| {
        let mut comparison = Comparison::new(&acme.truth);
        let mut cells = records(&acme.truth, 1, 1_000);
        cells.extend(cuts.iter().map(|cut| {
            let completeness = Completeness {
                epoch: 1,
                cut: *cut,
                sources: states(&acme),
                ..Completeness::default()
            };
            written(&acme, &completeness)
        }));
        feed(&mut comparison, &cells, &items(&acme.truth));
        acme.verdict_of(&mut comparison)
    };
    let stale = with(&[1_000, 900]);
    assert_eq!(stale.stale_places, [acme.truth.place(PLACE).location]);
    assert!(!stale.is_clean());
    let repaired = with(&[1_000, 900, 1_100]);
    assert!(repaired.stale_places.is_empty() && repaired.is_clean());
}

#[test]
fn the_view_s_own_word_is_shown_as_it_stands() {
    let acme = acme();
    let location = acme.truth.place(PLACE).location;
    let mut sources = states(&acme);
    let complete_sources = sources.len() as u64 - 1;
    sources[0].missing = 3;
    sources[0].overdue = 1;
    sources[0].late = 2;
    let never_seen = SourceState {
        is_expected: true,
        is_marked: false,
        ..complete(SourceId::till(location, 77), 0)
    };
    let unknown = SourceState {
        is_marked: false,
        ..complete(SourceId::till(location, 78), 5)
    };
    sources.extend([never_seen, unknown]);
    let record = Completeness {
        epoch: 1,
        cut: 9,
        sources,
        marked_ms: 70,
        complete_until_ms: 60,
        offline_since_ms: 70,
        dead_letters: 4,
        ..Completeness::default()
    };
    let mut comparison = Comparison::new(&acme.truth);
    let older = Completeness {
        cut: 8,
        ..Completeness::default()
    };
    feed(
        &mut comparison,
        &[written(&acme, &record), written(&acme, &older)],
        &[],
    );
    let place = comparison.completeness_of(location).expect("it has a record");
    assert_eq!(
        (place.marked_ms, place.complete_until_ms, place.offline_since_ms),
        (70, 60, 70)
    );
    assert_eq!(
        (place.missing, place.overdue, place.late, place.dead_letters),
        (3, 1, 2, 4)
    );
    let known: Vec<_> = place.sources.iter().map(|source| source.state).collect();
    assert_eq!(known[0], SourceKnown::Missing);
    assert_eq!(known[1], SourceKnown::Complete);
    assert_eq!(
        known[known.len() - 2..],
        [SourceKnown::NeverSeen, SourceKnown::Unknown]
    );
    let totals = comparison.completeness();
    assert_eq!((totals.places, totals.certain, totals.offline), (1, 0, 1));
    assert_eq!(
        (totals.never_seen, totals.sources_complete),
        (1, complete_sources)
    );
    assert_eq!((totals.places_missing, totals.missing), (1, 3));
    assert_eq!(comparison.completeness_of_places().len(), 1);
    assert!(comparison.completeness_of_places()[0].sources.is_empty());
}

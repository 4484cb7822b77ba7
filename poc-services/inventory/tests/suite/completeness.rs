//! What the view knows that it does not know: by marks, in any order, across restores, in the shares of articles.

use crate::support::{
    Draw, MemoryGroup, MemoryLog, PARTITION, apply, assert_right, completeness, go_on, line, live, movement,
    places, story, take_over_with, totals,
};
use contracts::ids::LocationId;
use contracts::records::{
    Completeness, ExpectedSource, Movement, MovementKind, Rejected, Resolved, SourceKind, SourceMark,
    SourceState,
};
use contracts::topics::StateKey;
use inventory::{Applied, Counters, OutTopic, Partition};
use proptest::prelude::*;

const DAY: u32 = 20_000;
/// By default a place is offline when its marks are older than the newest by more than this.
const OFFLINE_AFTER_MS: i64 = 12_000;

fn receipt(place: LocationId, number: u64) -> Movement {
    let mut receipt = movement(place, SourceKind::Till, 1, DAY, number);
    receipt.lines = vec![line(7, MovementKind::CountedFloor, 1_000)];
    receipt
}

/// Of till 1, due at an instant; the store's clock is 5 ms behind.
fn mark(place: LocationId, last_number: u64, due_ms: i64) -> Movement {
    Movement {
        location: place.to_string(),
        occurred_ms: due_ms - 5,
        due_ms,
        marks: vec![SourceMark {
            source_kind: SourceKind::Till as i32,
            source_unit: 1,
            business_day: if last_number == 0 { 0 } else { DAY },
            last_number,
        }],
        ..Movement::default()
    }
}

fn expected(place: LocationId, unit: u32, first_number: u64) -> Movement {
    Movement {
        location: place.to_string(),
        expected: vec![ExpectedSource {
            source_kind: SourceKind::Till as i32,
            source_unit: unit,
            first_number,
        }],
        ..Movement::default()
    }
}

/// What is published of a place behind all of these.
fn told(movements: &[Movement], place: LocationId) -> Completeness {
    let mut log = MemoryLog::default();
    live(movements, usize::MAX, &mut log).expect("nothing breaks");
    completeness(&log)
        .remove(&StateKey::Completeness(place).to_bytes())
        .expect("the place has a record")
}

fn source(told: &Completeness) -> &SourceState {
    let [source] = &told.sources[..] else {
        panic!("one source: {told:?}")
    };
    source
}

/// Of the article: what is on hand, what of it is uncertain, in how many places.
fn article(movements: &[Movement]) -> (i64, i64, u32) {
    let mut log = MemoryLog::default();
    live(movements, 1, &mut log).expect("nothing breaks");
    let (on_hand, _, _, uncertain, uncertain_places) = totals(&log)[&7];
    (on_hand, uncertain, uncertain_places)
}

#[test]
fn a_source_is_never_seen_then_unknown_then_complete_until_its_mark() {
    let place = places(1)[0];
    let mut log = vec![expected(place, 1, 1)];
    let never = told(&log, place);
    assert!(source(&never).is_expected && !source(&never).is_marked);
    assert_eq!((source(&never).highest, never.is_certain), (0, false));
    log.push(receipt(place, 1));
    let unknown = told(&log, place);
    assert_eq!(
        (source(&unknown).highest, source(&unknown).complete_until_ms),
        (1, 0)
    );
    assert!(!unknown.is_certain);
    log.push(mark(place, 1, 1_000));
    let complete = told(&log, place);
    assert_eq!((complete.complete_until_ms, complete.marked_ms), (995, 995));
    assert_eq!((source(&complete).claimed, source(&complete).missing), (1, 0));
    assert!(complete.is_certain);
}

#[test]
fn a_source_that_has_written_nothing_is_complete_when_it_says_so() {
    let place = places(1)[0];
    let told = told(&[expected(place, 1, 1), mark(place, 0, 1_000)], place);
    assert_eq!((told.complete_until_ms, source(&told).missing), (995, 0));
    assert!(told.is_certain);
}

#[test]
fn what_comes_behind_is_late_or_out_of_order_by_its_sources_clock_and_what_was_put_back_is_neither() {
    let place = places(1)[0];
    let at = |number, occurred_ms| Movement {
        occurred_ms,
        ..receipt(place, number)
    };
    let put_back = Movement {
        put_back: true,
        ..at(4, 60_000)
    };
    let log = [
        at(1, 1_000),
        at(5, 400_000),
        at(2, 100_000),
        at(3, 100_001),
        put_back,
        at(2, 100_000),
    ];
    let told = told(&log, place);
    let source = source(&told);
    assert_eq!((source.late, source.long_late, source.reordered), (3, 1, 1));
}

#[test]
fn what_the_last_mark_claims_is_missing_and_what_the_one_before_claimed_is_overdue() {
    let place = places(1)[0];
    let mut log = vec![receipt(place, 1), mark(place, 1, 1_000), mark(place, 4, 2_000)];
    log.push(receipt(place, 3));
    let missing = told(&log, place);
    assert_eq!((source(&missing).missing, source(&missing).overdue), (2, 0));
    let ranges: Vec<_> = source(&missing)
        .missing_first
        .iter()
        .map(|range| (range.first, range.last))
        .collect();
    assert_eq!(ranges, [(2, 2), (4, 4)]);
    assert_eq!(missing.complete_until_ms, 995, "by the mark before");
    assert!(missing.is_certain, "they may be on their way");
    log.push(mark(place, 5, 3_000));
    let overdue = told(&log, place);
    assert_eq!((source(&overdue).missing, source(&overdue).overdue), (3, 2));
    assert!(!overdue.is_certain);
    // The gap closes, and the newest mark whose numbers are all in counts.
    log.extend([2, 4].map(|number| receipt(place, number)));
    let closing = told(&log, place);
    assert_eq!((closing.complete_until_ms, closing.is_certain), (1_995, true));
    assert_eq!(source(&closing).late, 1);
    log.push(receipt(place, 5));
    assert_eq!(told(&log, place).complete_until_ms, 2_995);
}

#[test]
fn a_source_that_no_mark_names_keeps_its_place_uncertain() {
    let place = places(1)[0];
    let stranger = movement(place, SourceKind::Till, 9, DAY, 1);
    assert!(!told(&[receipt(place, 1), stranger, mark(place, 1, 1_000)], place).is_certain);
}

#[test]
fn a_mark_that_comes_twice_or_overtaken_changes_nothing() {
    let place = places(1)[0];
    let first = [receipt(place, 1), mark(place, 1, 1_000), mark(place, 2, 2_000)];
    let before = told(&first, place);
    for again in [&first[1], &first[2]] {
        let log = [&first[..], std::slice::from_ref(again)].concat();
        assert_eq!(told(&log, place), before);
    }
    let swapped = [first[0].clone(), first[2].clone(), first[1].clone()];
    assert_eq!(told(&swapped, place), before);
}

#[test]
fn a_sender_whose_clock_was_set_back_is_believed_by_its_numbers_and_moves_nobody_else() {
    let [ahead, other] = places(2)[..] else {
        unreachable!()
    };
    let mut log = vec![
        receipt(ahead, 1),
        mark(ahead, 1, 3_600_000),
        mark(other, 0, 10_000),
    ];
    log.extend([(4, 10_000), (4, 15_000)].map(|(last, due)| mark(ahead, last, due)));
    log.push(mark(other, 0, 15_000));
    let lacking = told(&log, ahead);
    assert_eq!((source(&lacking).missing, source(&lacking).overdue), (3, 3));
    assert_eq!((lacking.marked_ms, lacking.is_certain), (14_995, false));
    let beside = told(&log, other);
    assert_eq!((beside.offline_since_ms, beside.is_certain), (0, true));
    // What the old clock said lies far ahead, and an older mark that comes now still says nothing new.
    log.push(mark(ahead, 3, 20_000));
    assert_eq!(told(&log, ahead).marked_ms, 14_995);
}

#[test]
fn a_mark_goes_over_the_wrap_and_one_that_cannot_be_placed_is_refused_whole() {
    let place = places(1)[0];
    let mut partition = Partition::new(PARTITION);
    let mut offset = 0;
    let mut take = |movement: &Movement| {
        offset += 1;
        apply(&mut partition, movement, offset - 1)
    };
    let mut log: Vec<_> = [4_000, 8_000, 9_998].map(|number| receipt(place, number)).into();
    log.push(mark(place, 3, 1_000));
    assert_eq!(take(&log[0]), Applied::New { lines: 1 });
    let told_of = told(&log, place);
    assert_eq!(source(&told_of).claimed, 10_002);
    let mut unclear = mark(place, 3, 2_000);
    unclear.marks[0].business_day = 1;
    unclear.marks.insert(
        0,
        SourceMark {
            source_kind: SourceKind::Reader as i32,
            source_unit: 1,
            last_number: 5,
            ..SourceMark::default()
        },
    );
    assert!(matches!(take(&unclear), Applied::Refused(refusal) if refusal.class == "identity-unclear"));
    log.push(unclear);
    let after = told(&log, place);
    assert_eq!((after.dead_letters, after.marked_ms), (1, 995));
    assert_eq!(after.sources, told_of.sources);
}

#[test]
fn nothing_before_the_first_number_of_master_data_is_waited_for() {
    let place = places(1)[0];
    let log = [receipt(place, 3), expected(place, 1, 3), mark(place, 3, 1_000)];
    for log in [&log[..], &[log[1].clone(), log[0].clone(), log[2].clone()]] {
        let told = told(log, place);
        assert_eq!((source(&told).missing, source(&told).complete_up_to), (0, 3));
        assert!(told.is_certain);
    }
    let mut partition = Partition::new(PARTITION);
    apply(&mut partition, &log[1], 0);
    let before_it = apply(&mut partition, &receipt(place, 2), 1);
    assert!(matches!(before_it, Applied::Refused(refusal) if refusal.class == "identity-unclear"));
    let idle = told(&[log[1].clone(), mark(place, 0, 1_000)], place);
    assert_eq!((source(&idle).missing, idle.is_certain), (0, true));
}

#[test]
fn a_rejection_that_is_told_twice_counts_once() {
    let place = places(1)[0];
    let rejected = |topic: &str, offset| Movement {
        location: place.to_string(),
        rejected: Some(Rejected {
            topic: topic.into(),
            offset,
            class: "bad-frame".into(),
        }),
        ..Movement::default()
    };
    let log = [
        rejected("tlog.raw", 4),
        rejected("tlog.raw", 9),
        rejected("tlog.raw", 4),
        rejected("tlog.raw", 9),
        rejected("scan.raw", 4),
    ];
    let told = told(&log, place);
    assert_eq!((told.dead_letters, told.sources.len()), (3, 0));
}

#[test]
fn a_letter_that_was_put_back_is_no_dead_letter_however_often_it_is_told() {
    let place = places(1)[0];
    let said = || Movement {
        location: place.to_string(),
        ..Movement::default()
    };
    let rejected = |offset| Movement {
        rejected: Some(Rejected {
            topic: "tlog.raw".into(),
            offset,
            class: "unknown-item".into(),
        }),
        ..said()
    };
    let resolved = |offset| Movement {
        resolved: Some(Resolved {
            topic: "tlog.raw".into(),
            offset,
        }),
        ..said()
    };
    // 9 comes out of them and goes in again as 12; a crash tells all of it once more.
    let log = [
        rejected(4),
        rejected(9),
        rejected(12),
        resolved(9),
        rejected(9),
        rejected(12),
        resolved(9),
    ];
    assert_eq!(told(&log, place).dead_letters, 2);
    let all: Vec<_> = log
        .into_iter()
        .chain([resolved(12), resolved(4), resolved(4)])
        .collect();
    assert_eq!(told(&all, place).dead_letters, 0);
}

#[test]
fn a_place_is_offline_when_the_marks_of_others_leave_it_behind_and_its_own_ends_that() {
    let [silent, other] = places(2)[..] else {
        unreachable!()
    };
    let mut log = vec![receipt(silent, 1), mark(silent, 1, 1_000)];
    let at = 1_000 + OFFLINE_AFTER_MS;
    log.push(mark(other, 0, at));
    assert_eq!(told(&log, silent).offline_since_ms, 0);
    log.push(mark(other, 0, at + 1));
    let offline = told(&log, silent);
    assert_eq!((offline.offline_since_ms, offline.is_certain), (995, false));
    assert_eq!(offline.complete_until_ms, 995, "its stock is as of then");
    // What comes out of its journal does not end it, its own mark does.
    log.push(receipt(silent, 2));
    assert_eq!(told(&log, silent).offline_since_ms, 995);
    log.push(mark(silent, 2, at + 2));
    let back = told(&log, silent);
    assert_eq!((back.offline_since_ms, back.is_certain), (0, true));
}

#[test]
fn an_article_says_how_much_of_it_lies_where_the_view_is_not_certain() {
    let [silent, other] = places(2)[..] else {
        unreachable!()
    };
    let mut log = vec![receipt(silent, 1), receipt(other, 1)];
    assert_eq!(article(&log), (2_000, 2_000, 2), "no mark has come");
    log.push(mark(silent, 1, 1_000));
    assert_eq!(article(&log), (2_000, 1_000, 1));
    log.push(mark(other, 1, 20_000));
    assert_eq!(
        article(&log),
        (2_000, 1_000, 1),
        "the other is certain, the first is offline"
    );
    log.push(receipt(silent, 2));
    assert_eq!(article(&log), (3_000, 2_000, 1), "a line at an uncertain place");
    log.push(mark(silent, 2, 21_000));
    assert_eq!(article(&log), (3_000, 0, 0));
}

#[test]
fn an_image_has_what_is_known_of_the_places() {
    let movements = story(17, 90);
    let mut log = MemoryLog {
        image_every: 20,
        ..MemoryLog::default()
    };
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    live(&movements, 5, &mut log).expect("nothing breaks");
    // All is lost but the image.
    log.lose(|record| record.topic == OutTopic::State && record.key.starts_with(b"k/"));
    log.compact();
    let mut owned = take_over_with(&mut log, &group, &counters, |_| {}).expect("the state is readable");
    owned.rebuild(&mut log, &counters).expect("the image is readable");
    assert!(owned.state.next() > 40, "it begins with an image");
    go_on(owned, &movements, 6, &mut log, &group, &counters).expect("nothing breaks");
    assert_right(&log, &movements, "out of an image");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// An owner dies anywhere, and others go on: the record is what somebody says who never died.
    #[test]
    fn what_is_known_is_a_function_of_the_log(
        seed in any::<u64>(),
        every in [1_usize..12, 1..12, 1..12],
        left in [0_usize..700, 0..700],
        compacts in any::<bool>(),
    ) {
        let movements = story(seed, 70);
        let mut log = MemoryLog::default();
        for (every, left) in every.iter().zip(left) {
            log.left = Some(left);
            let died = live(&movements, *every, &mut log).is_err();
            log.left = None;
            if died && compacts {
                log.compact();
            } else if died {
                log.lose_unacknowledged(OutTopic::State);
            }
        }
        live(&movements, every[2], &mut log).expect("the last comes to its end");
        assert_right(&log, &movements, "it died");
    }

    /// Marks keep their order; transactions come whenever they come.
    #[test]
    fn the_meaning_of_marks_does_not_depend_on_when_transactions_come(
        numbers in 1_u64..40, seed in any::<u64>(), lost in prop::option::of(1_u64..40)
    ) {
        let place = places(1)[0];
        let mut draw = Draw(seed);
        let mut straight = Vec::new();
        for number in 1..=numbers {
            if Some(number) != lost {
                straight.push(receipt(place, number));
            }
            if draw.below(4) == 0 {
                straight.push(mark(place, number, number as i64 * 1_000));
            }
        }
        straight.push(mark(place, numbers, 100_000));
        let mut mixed = straight.clone();
        for _ in 0..100 {
            let at = draw.below(mixed.len() as u64) as usize;
            if at > 0 && (mixed[at].marks.is_empty() || mixed[at - 1].marks.is_empty()) {
                mixed.swap(at - 1, at);
            }
        }
        let known = |log: &[Movement]| {
            let mut told = told(log, place);
            for source in &mut told.sources {
                (source.late, source.long_late, source.reordered) = (0, 0, 0);
            }
            told
        };
        let (mut straight, mut mixed) = (known(&straight), known(&mixed));
        // Two marks are remembered: which older one has all its numbers in shows only if it was so when it was one of them.
        if straight.sources.iter().any(|source| source.missing > 0) {
            for told in [&mut straight, &mut mixed] {
                told.complete_until_ms = 0;
                told.sources.iter_mut().for_each(|source| source.complete_until_ms = 0);
            }
        }
        prop_assert_eq!(straight, mixed);
    }
}

//! Every class of damage in every stage, twenty seeds each, on small worlds: what must be red is red and says where, what
//! must be healed is green, and nothing else raises an alarm.

#[path = "../src/stage/damage.rs"]
mod damage;
#[path = "../src/stage/digests.rs"]
mod digests;
#[allow(dead_code, reason = "of the binary's module this needs a part")]
#[path = "../src/format.rs"]
mod format;
mod pipeline;

use contracts::sabotage::{Effect, Sabotage, SabotageClass, SabotageStage, effect};
use pipeline::{Ran, run};

const SEEDS: std::ops::Range<u64> = 0..20;

/// So rare that some are hit and most are not.
const fn one_in(stage: SabotageStage) -> u64 {
    match stage {
        SabotageStage::StoreGateway | SabotageStage::Normaliser | SabotageStage::Inventory => 400,
        SabotageStage::MqSource => 40,
        SabotageStage::ItemInventory => 15,
    }
}

/// A run in which something was damaged: the first of some seeds of the sabotage.
fn damaged_run(seed: u64, class: SabotageClass, stage: SabotageStage) -> Ran {
    (0..50)
        .map(|again| {
            let sabotage = Sabotage {
                class,
                one_in: one_in(stage),
                stage,
                seed: seed + 1_000 * again,
            };
            run(seed, Some(sabotage))
        })
        .find(|ran| ran.exam.as_ref().is_some_and(|exam| exam.damaged > 0))
        .expect("one in so many is hit")
}

/// Between which points of the flow the digests must differ.
const fn between(class: SabotageClass, stage: SabotageStage) -> Option<[&'static str; 2]> {
    match (class, stage) {
        (SabotageClass::Lie, _) | (_, SabotageStage::ItemInventory) => None,
        (_, SabotageStage::StoreGateway | SabotageStage::MqSource) => Some(["source", "raw"]),
        (_, SabotageStage::Normaliser) => Some(["raw", "movements"]),
        (_, SabotageStage::Inventory) => Some(["movements", "view"]),
    }
}

fn check_red(ran: &Ran, what: &str, class: SabotageClass, stage: SabotageStage) {
    let report = &ran.report;
    let exam = ran.exam.as_ref().expect("a sabotage");
    assert!(!report.is_clean(), "{what} is not noticed");
    assert_eq!(exam.found, exam.damaged, "{what} misses {:?}", exam.missed);
    assert!(exam.unexpected.is_empty(), "{what} blames {:?}", exam.unexpected);
    assert_eq!(report.replay_differs, 0, "{what}");
    if stage == SabotageStage::ItemInventory {
        assert_eq!(report.cells_diverging, 0, "{what}");
        return;
    }
    let kinds = report.cells_by_kind;
    match class {
        SabotageClass::Drop => assert_eq!(kinds.lost + kinds.missing, report.cells_diverging, "{what}"),
        SabotageClass::Double => assert_eq!(kinds.doubled, report.cells_diverging, "{what}"),
        SabotageClass::Alter => {
            assert_eq!(kinds.altered, report.cells_diverging, "{what}");
            assert_eq!(report.lines_altered, exam.damaged, "{what}: one line each");
        }
        SabotageClass::Misroute => match stage {
            SabotageStage::Inventory => {
                assert_eq!(report.transactions_misrouted.count, exam.damaged, "{what}");
            }
            // The record names its place itself: it is refused.
            SabotageStage::MqSource => assert!(ran.dead_letters >= exam.damaged, "{what}"),
            _ => {}
        },
        SabotageClass::Stale => assert_eq!(kinds.stale, report.cells_diverging, "{what}"),
        SabotageClass::Lie => {
            assert_eq!(report.cells_diverging, 0, "{what}: the cells are right");
            assert_eq!(report.completeness_false, exam.damaged, "{what}");
        }
    }
}

fn check_digests(ran: &Ran, what: &str, class: SabotageClass, stage: SabotageStage) {
    let differences = &ran.digest.differences;
    let Some(expected) = between(class, stage) else {
        assert!(differences.is_empty(), "{what}: {differences:?}");
        return;
    };
    let mut minutes: Vec<_> = differences
        .iter()
        .filter(|difference| difference.between == expected)
        .map(|difference| difference.minute.clone())
        .collect();
    minutes.dedup();
    let does_harm_to_others = matches!(class, SabotageClass::Misroute | SabotageClass::Stale);
    if does_harm_to_others {
        for minute in &ran.minutes {
            assert!(minutes.contains(minute), "{what}: {minute} in {differences:?}");
        }
    } else {
        assert_eq!(minutes, ran.minutes, "{what}: {differences:?}");
        assert!(
            differences
                .iter()
                .all(|difference| difference.between == expected),
            "{what}: {differences:?}"
        );
    }
}

fn check(class: SabotageClass) {
    for stage in SabotageStage::ALL {
        let expected = effect(class, stage);
        if expected == Effect::NotApplicable {
            continue;
        }
        for seed in SEEDS {
            let what = format!("{} at {}, seed {seed}", class.name(), stage.name());
            let ran = damaged_run(seed, class, stage);
            if expected == Effect::Red {
                check_red(&ran, &what, class, stage);
            } else {
                assert!(ran.report.is_clean(), "{what}: {:?}", ran.report.diverging);
                let exam = ran.exam.as_ref().expect("a sabotage");
                let damaged = exam.damaged + exam.hit_without_lines;
                assert_eq!(ran.repeats, damaged, "{what}: the windows saw them");
            }
            check_digests(&ran, &what, class, stage);
        }
    }
}

#[test]
fn what_is_lost_in_any_stage_is_named() {
    check(SabotageClass::Drop);
}

#[test]
fn what_is_doubled_is_healed_before_the_windows_and_named_behind_them() {
    check(SabotageClass::Double);
}

#[test]
fn what_is_altered_in_any_stage_is_named() {
    check(SabotageClass::Alter);
}

#[test]
fn what_goes_to_another_place_is_named() {
    check(SabotageClass::Misroute);
}

#[test]
fn an_older_state_written_back_is_named() {
    check(SabotageClass::Stale);
}

#[test]
fn completeness_that_lies_is_named() {
    check(SabotageClass::Lie);
}

#[test]
fn clean_runs_raise_no_alarm() {
    for seed in SEEDS {
        let ran = run(seed, None);
        assert!(ran.report.is_clean(), "seed {seed}: {:?}", ran.report);
        assert_eq!(ran.digest.differences_total, 0, "seed {seed}: {:?}", ran.digest);
        assert_eq!(ran.digest.source.hash, ran.digest.view.hash);
        assert!(ran.digest.source.transactions > 500, "{:?}", ran.digest.source);
        assert_eq!((ran.repeats, ran.dead_letters), (0, 0));
    }
}

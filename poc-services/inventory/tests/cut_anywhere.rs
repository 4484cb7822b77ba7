//! The flush is cut at every record, the owner dies, another goes on: nothing is lost, nothing is counted twice.
//!
//! The log is in memory and keeps any prefix of what was sent; records of the other topic that were not acknowledged
//! may be lost on their own; the broker may have compacted before the next owner reads.

mod support;

use inventory::{InventoryError, OutTopic};
use support::{
    MemoryLog, completeness, live, repeats, stock, story, take_over, totals, totals_of, undisturbed, view,
};

/// What happens between one owner's death and the next owner's start.
#[derive(Clone, Copy, Debug)]
enum Between {
    Nothing,
    Compaction,
    PartialsLost,
    StateLost,
}

const BETWEEN: [Between; 4] = [
    Between::Nothing,
    Between::Compaction,
    Between::PartialsLost,
    Between::StateLost,
];

fn apply_between(between: Between, log: &mut MemoryLog) {
    match between {
        Between::Nothing => {}
        Between::Compaction => log.compact(),
        Between::PartialsLost => log.lose_unacknowledged(OutTopic::Partials),
        Between::StateLost => log.lose_unacknowledged(OutTopic::State),
    }
}

/// Everything that a reader can see equals what an undisturbed owner makes of the same movements.
fn assert_right(log: &MemoryLog, movements: &[contracts::records::Movement], what: &str) {
    let (partition, _) = undisturbed(movements);
    let expected = stock(&partition);
    assert_eq!(view(log), expected, "{what}");
    assert_eq!(totals(log), totals_of(&expected), "{what}");
    let mut calm = MemoryLog::default();
    live(movements, usize::MAX, &mut calm).expect("nothing breaks");
    assert_eq!(completeness(log), completeness(&calm), "{what}");
    assert_eq!(repeats(log), repeats(&calm), "{what}");
}

fn records_of(movements: &[contracts::records::Movement], flush_every: usize) -> usize {
    let mut log = MemoryLog::default();
    live(movements, flush_every, &mut log).expect("nothing breaks");
    log.records.len()
}

#[test]
fn an_owner_that_dies_at_any_record_loses_and_doubles_nothing() {
    for seed in 0..4 {
        let movements = story(seed, 60);
        let flush_every = 5 + seed as usize * 6;
        let records = records_of(&movements, flush_every);
        for cut in 0..records {
            for between in BETWEEN {
                let mut log = MemoryLog {
                    left: Some(cut),
                    ..MemoryLog::default()
                };
                live(&movements, flush_every, &mut log).expect_err("it dies before its end");
                log.left = None;
                apply_between(between, &mut log);
                live(&movements, flush_every + 2, &mut log).expect("the second comes to its end");
                let what = format!("seed {seed}, cut at record {cut}, {between:?}");
                assert_right(&log, &movements, &what);
            }
        }
    }
}

#[test]
fn an_owner_that_dies_while_it_takes_over_from_a_dead_one_loses_and_doubles_nothing() {
    let movements = story(9, 40);
    let records = records_of(&movements, 9);
    for first in (0..records).step_by(3) {
        for second in 0..records {
            let mut log = MemoryLog {
                left: Some(first),
                ..MemoryLog::default()
            };
            live(&movements, 9, &mut log).expect_err("the first dies");
            log.left = Some(second);
            let died = live(&movements, 4, &mut log).is_err();
            log.left = None;
            apply_between(BETWEEN[(first + second) % BETWEEN.len()], &mut log);
            live(&movements, 7, &mut log).expect("the third comes to its end");
            let what = format!("cut at {first}, then at {second} (died: {died})");
            assert_right(&log, &movements, &what);
        }
    }
}

#[test]
fn an_owner_publishes_nothing_before_it_is_where_its_predecessor_was() {
    let movements = story(3, 40);
    let records = records_of(&movements, 10);
    let mut was_ahead = 0;
    for cut in 0..records {
        let mut log = MemoryLog {
            left: Some(cut),
            ..MemoryLog::default()
        };
        live(&movements, 10, &mut log).expect_err("it dies");
        log.left = None;
        let owned = take_over(&mut log).expect("the state is readable");
        let reached = view(&log)
            .values()
            .map(|cell| cell.applied_offset)
            .max()
            .unwrap_or(0);
        if reached > owned.state.next() {
            was_ahead += 1;
            assert!(!owned.state.is_settled(), "cut at {cut}");
        }
    }
    assert!(was_ahead > 0, "some cells were durable ahead of their head");
}

#[test]
fn a_displaced_record_is_noticed_before_anything_is_published() {
    let movements = story(5, 60);
    let mut log = MemoryLog::default();
    live(&movements[..40], 8, &mut log).expect("nothing breaks");
    // An old record of a cell comes last, as a paused owner writes it; compaction then drops the better one.
    let (old, _) = cell_with_history(&log);
    log.records.push(old);
    log.compact();
    let error = live(&movements, 8, &mut log).expect_err("the state is not what its owner had");
    assert!(matches!(error, InventoryError::Differs { .. }), "{error}");
}

#[test]
fn a_late_record_of_an_old_owner_does_not_win_over_a_better_one() {
    let movements = story(5, 60);
    let mut log = MemoryLog::default();
    live(&movements[..40], 8, &mut log).expect("nothing breaks");
    let (old, _) = cell_with_history(&log);
    take_over(&mut log).expect("the state is readable");
    log.records.push(old);
    let mut restored = inventory::Restore::new(support::PARTITION);
    for (offset, record) in (0..).zip(log.of(OutTopic::State)) {
        restored
            .take(offset, &record.key, &record.value)
            .expect("the state is readable");
    }
    assert_eq!(restored.stale_records(), 1);
    live(&movements, 8, &mut log).expect("the better record is still there");
    assert_right(&log, &movements, "behind a zombie's record");
}

/// A record of a cell that was written again later, and that later one.
fn cell_with_history(log: &MemoryLog) -> (support::Written, support::Written) {
    let cells: Vec<_> = log
        .of(OutTopic::State)
        .filter(|record| record.key.starts_with(b"c/"))
        .collect();
    let pair = cells.iter().enumerate().find_map(|(index, old)| {
        let newer = cells[index + 1..]
            .iter()
            .rev()
            .find(|newer| newer.key == old.key)?;
        Some(((*old).clone(), (*newer).clone()))
    });
    pair.expect("a cell was written twice")
}

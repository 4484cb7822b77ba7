//! The flush is cut at every record, the owner dies, another goes on: nothing is lost, nothing is counted twice.
//!
//! The log is in memory and keeps any prefix of what was sent; records of the other topic that were not acknowledged
//! may be lost on their own; the broker may have compacted before the next owner reads.

use crate::support::{MemoryLog, assert_right, live, story, take_over, view};
use inventory::OutTopic;

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

//! An owner that was paused in the middle of a flush goes on when another one owns the partition: whatever it writes, and
//! wherever that lands, the living owner writes it over, or the next one makes the state anew.

use std::sync::atomic::Ordering::Relaxed;

use crate::support::{
    self, MemoryGroup, MemoryLog, PARTITION, Written, apply, assert_right, broken, go_on, live, live_with,
    story, take_over, take_over_with,
};
use contracts::records::{self, Movement};
use contracts::topics::StateKey;
use inventory::{Cause, Counters, InventoryError, Log as _, OutTopic, Owned, Restore, flush};
use prost::Message as _;

/// A log as an owner leaves it that is paused with a whole flush before it, and what that flush will write.
fn paused_owner(movements: &[Movement], at: usize) -> (MemoryLog, Vec<Written>) {
    let mut log = MemoryLog::default();
    live(&movements[..at / 2], 6, &mut log).expect("nothing breaks");
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    let owned = live_with(&movements[..at - 8], 5, &mut log, &group, &counters).expect("nothing breaks");
    let mut owned = [owned];
    for (offset, movement) in movements.iter().enumerate().take(at).skip(at - 8) {
        apply(&mut owned[0].state, movement, offset as u64);
    }
    let mut beyond = log.clone();
    flush(&mut owned, &mut beyond, &group, &counters).expect("nothing breaks");
    let rest = beyond.records[log.records.len()..].to_vec();
    assert!(rest.len() > 5, "there is something to write late");
    (log, rest)
}

/// The paused owner's log with what it wrote before the pause, and the rest from a step of the next owner's life on.
fn torn(log: &MemoryLog, flush: &[Written], torn_at: usize, step: usize, gap: usize) -> MemoryLog {
    let mut log = log.clone();
    for record in &flush[..torn_at] {
        log.append(record.topic, &record.key, record.value.as_deref());
    }
    log.durable = log.records.len();
    log.late = flush[torn_at..]
        .iter()
        .enumerate()
        .map(|(index, record)| (log.steps + step + index * gap, record.clone()))
        .collect();
    log
}

/// Two more looks at what is there, as an idle owner takes them.
fn idle(owned: Owned, log: &mut MemoryLog, group: &MemoryGroup, counters: &Counters) {
    let mut owned = [owned];
    for _ in 0..2 {
        owned[0].request_head();
        flush(&mut owned, log, group, counters).expect("nothing breaks");
    }
}

#[test]
fn what_a_paused_owner_writes_at_any_point_is_written_over_by_the_living_one() {
    let (mut repaired, mut rebuilt) = (0, 0);
    for seed in 0..2 {
        let movements = story(seed, 70);
        let (log, flush) = paused_owner(&movements, 40);
        for torn_at in (0..flush.len()).step_by(3) {
            for gap in [0, 1, 7] {
                for step in 0..200 {
                    let mut log = torn(&log, &flush, torn_at, step, gap);
                    let (group, counters) = (MemoryGroup::default(), Counters::default());
                    let owned =
                        live_with(&movements, 6, &mut log, &group, &counters).expect("nothing breaks");
                    idle(owned, &mut log, &group, &counters);
                    if !log.late.is_empty() {
                        break;
                    }
                    log.compact();
                    let what = format!("seed {seed}, torn at {torn_at}, gap {gap}, step {step}");
                    assert_right(&log, &movements, &what);
                    repaired += counters.zombie_writes_repaired.load(Relaxed);
                    rebuilt += counters.partitions_rebuilt.load(Relaxed);
                }
            }
        }
    }
    assert!(
        repaired > 0 && rebuilt > 0,
        "repaired {repaired}, rebuilt {rebuilt}"
    );
}

#[test]
fn what_a_paused_owner_displaced_before_the_living_one_died_is_made_anew_by_the_next() {
    let movements = story(7, 60);
    let (log, flush) = paused_owner(&movements, 36);
    let mut rebuilt = 0;
    for torn_at in [0, 3, flush.len() - 2] {
        for step in (0..160).step_by(3) {
            for left in (0..160).step_by(5) {
                let mut log = torn(&log, &flush, torn_at, step, 0);
                let (group, counters) = (MemoryGroup::default(), Counters::default());
                log.left = Some(left);
                let died = live_with(&movements, 6, &mut log, &group, &counters).is_err();
                log.left = None;
                if !died {
                    break;
                }
                // The rest of what was paused comes before the next owner, or never.
                if !log.late.is_empty() {
                    continue;
                }
                log.compact();
                let counters = Counters::default();
                live_with(&movements, 9, &mut log, &group, &counters).expect("nothing breaks");
                rebuilt += counters.partitions_rebuilt.load(Relaxed);
                log.compact();
                assert_right(
                    &log,
                    &movements,
                    &format!("torn at {torn_at}, step {step}, left {left}"),
                );
            }
        }
    }
    assert!(rebuilt > 0);
}

/// A log whose last owner died with an older one's cells over its own.
fn displaced(movements: &[Movement]) -> MemoryLog {
    let (log, flush) = paused_owner(movements, 36);
    let mut log = torn(&log, &flush, 0, usize::MAX / 2, 0);
    log.late.clear();
    live(&movements[..50], 6, &mut log).expect("nothing breaks");
    for record in &flush {
        log.append(record.topic, &record.key, record.value.as_deref());
    }
    log.compact();
    log
}

#[test]
fn an_owner_that_dies_at_any_record_while_it_makes_a_state_anew_leaves_one_that_is_made_anew() {
    let movements = story(11, 60);
    let before = displaced(&movements);
    let mut died = 0;
    for left in 0..200 {
        let mut log = before.clone();
        let (group, counters) = (MemoryGroup::default(), Counters::default());
        log.left = Some(left);
        let end = live_with(&movements, 8, &mut log, &group, &counters).is_ok();
        log.left = None;
        died += u32::from(!end);
        assert!(counters.partitions_rebuilt.load(Relaxed) > 0 || left < 3);
        log.compact();
        live_with(&movements, 8, &mut log, &group, &counters).expect("nothing breaks");
        log.compact();
        assert_right(&log, &movements, &format!("left {left}"));
        if end {
            break;
        }
    }
    assert!(died > 20);
}

#[test]
fn a_state_made_anew_is_not_made_anew_again() {
    let movements = story(11, 60);
    let mut log = displaced(&movements);
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    live_with(&movements, 8, &mut log, &group, &counters).expect("nothing breaks");
    assert_eq!(counters.partitions_rebuilt.load(Relaxed), 1);
    live_with(&movements, 8, &mut log, &group, &counters).expect("nothing breaks");
    assert_eq!(counters.partitions_rebuilt.load(Relaxed), 1);
}

#[test]
fn a_state_made_anew_publishes_nothing_before_it_is_where_any_record_was() {
    let movements = story(11, 60);
    let mut log = displaced(&movements);
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    let owned = take_over_with(&mut log, &group, &counters, |_| {}).expect("the state is readable");
    assert_eq!(
        (owned.state.next(), counters.partitions_rebuilt.load(Relaxed)),
        (0, 1)
    );
    let mut owned = [owned];
    let before = log.records.len();
    for (offset, movement) in (0..50).zip(&movements) {
        flush(&mut owned, &mut log, &group, &counters).expect("nothing breaks");
        assert_eq!(log.records.len(), before, "at {offset}");
        apply(&mut owned[0].state, movement, offset);
    }
    flush(&mut owned, &mut log, &group, &counters).expect("nothing breaks");
    assert!(log.records.len() > before);
}

#[test]
fn a_key_that_nothing_moves_is_written_as_zero_when_the_state_is_made_anew() {
    let movements = story(11, 60);
    let mut log = displaced(&movements);
    let place = support::places(3)[2];
    let key = StateKey::Cell {
        location: place,
        sku: contracts::ids::Sku(7),
    };
    let invented = records::Cell {
        floor: 5_000,
        epoch: 1,
        applied_offset: 3,
        ..records::Cell::default()
    };
    log.append(OutTopic::State, &key.to_bytes(), Some(&invented.encode_to_vec()));
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    live_with(&movements, 8, &mut log, &group, &counters).expect("nothing breaks");
    let last = log
        .of(OutTopic::State)
        .rfind(|record| record.key == key.to_bytes())
        .expect("the key is there");
    let cell = records::Cell::decode(last.bytes()).expect("it is readable");
    assert_eq!((cell.floor, cell.applied_offset, cell.epoch), (0, 0, 4));
}

#[test]
fn a_record_behind_the_own_barrier_that_displaced_what_was_not_read_yet_is_noticed() {
    let movements = story(5, 60);
    let (log, flush) = paused_owner(&movements, 36);
    let mut log = torn(&log, &flush, 0, usize::MAX / 2, 0);
    log.late.clear();
    live(&movements[..50], 6, &mut log).expect("nothing breaks");
    // The new owner's barrier stands; before it reads, the paused one writes and the broker compacts.
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    let mut taking = inventory::Taking::new(PARTITION, None);
    let mut reading = log.clone();
    for record in log.of(OutTopic::State) {
        taking
            .take(record.offset, &record.key, record.value.as_deref())
            .expect("it is readable");
    }
    taking
        .send_barrier("test", 77, &mut reading)
        .expect("nothing breaks");
    for record in &flush {
        reading.append(record.topic, &record.key, record.value.as_deref());
    }
    reading.compact();
    // An owner that has the same barrier and reads only now.
    let barrier = reading
        .of(OutTopic::State)
        .rfind(|record| record.key.starts_with(b"b/"))
        .expect("a barrier")
        .clone();
    let mut restore = Restore::new(PARTITION);
    for record in reading.of(OutTopic::State) {
        restore
            .take(record.offset, &record.key, record.value.as_deref())
            .expect("it is readable");
    }
    let restored = restore.finish(4, barrier.offset).expect("it is readable");
    assert!(
        matches!(restored.cause, Some(Cause::LateRecord { epoch: 2, .. })),
        "{:?}",
        restored.cause
    );
    // And whoever takes over behind all of it comes to the right state.
    live_with(&movements, 8, &mut reading, &group, &counters).expect("nothing breaks");
    reading.compact();
    assert_right(&reading, &movements, "behind its own barrier");
}

#[test]
fn two_owners_that_try_the_same_epoch_do_not_end_with_the_same() {
    let movements = story(3, 30);
    let mut log = MemoryLog::default();
    live(&movements[..20], 6, &mut log).expect("nothing breaks");
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    let mut first = None;
    // While the second one's barrier is on its way, the first one takes over.
    let second = take_over_with(&mut log, &group, &counters, |log| {
        if first.is_none() {
            first = Some(take_over(log).expect("the state is readable"));
        }
    })
    .expect("the state is readable");
    let first = first.expect("it took over");
    assert_eq!((first.state.epoch(), second.state.epoch()), (2, 3));
    log.compact();
    let barriers = log
        .of(OutTopic::State)
        .filter(|r| r.key.starts_with(b"b/"))
        .count();
    assert!(barriers >= 3, "each owner's barrier stays: {barriers}");
    // The first one meets the second one's barrier and leaves.
    let error =
        go_on(first, &movements, 5, &mut log, &group, &counters).expect_err("it is no owner any more");
    assert!(
        matches!(error, InventoryError::Superseded { epoch: 3, .. }),
        "{error}"
    );
    let owned = go_on(second, &movements, 5, &mut log, &group, &counters).expect("nothing breaks");
    idle(owned, &mut log, &group, &counters);
    log.compact();
    assert_right(&log, &movements, "behind a race");
}

#[test]
fn a_displaced_head_alone_is_noticed() {
    let movements = story(5, 60);
    let (log, flush) = paused_owner(&movements, 36);
    let mut log = torn(&log, &flush, 0, usize::MAX / 2, 0);
    log.late.clear();
    live(&movements[..50], 6, &mut log).expect("nothing breaks");
    let head = flush
        .iter()
        .find(|record| record.key.starts_with(b"h/"))
        .expect("a head");
    log.append(head.topic, &head.key, head.value.as_deref());
    log.compact();
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    live_with(&movements, 8, &mut log, &group, &counters).expect("nothing breaks");
    assert_eq!(counters.partitions_rebuilt.load(Relaxed), 1);
    assert_right(&log, &movements, "a displaced head");
}

#[test]
fn a_state_that_is_not_what_its_head_says_is_made_anew() {
    let movements = story(5, 60);
    let mut log = MemoryLog::default();
    live(&movements[..40], 8, &mut log).expect("nothing breaks");
    // A record that is gone, which nobody's epoch tells.
    let lost = log
        .of(OutTopic::State)
        .rfind(|record| record.key.starts_with(b"c/"))
        .expect("a cell")
        .clone();
    log.lose(|record| record.key == lost.key);
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    live_with(&movements, 8, &mut log, &group, &counters).expect("nothing breaks");
    assert_eq!(counters.partitions_rebuilt.load(Relaxed), 1);
    assert_right(&log, &movements, "a lost record");
}

#[test]
fn a_record_that_cannot_be_read_is_to_the_next_owner_what_it_is_to_the_living_one() {
    let movements = story(5, 60);
    let mut before = MemoryLog::default();
    live(&movements[..40], 8, &mut before).expect("nothing breaks");
    for prefix in ["c/", "w/", "k/", "i/", "h/"] {
        let mut log = before.clone();
        let displaced = log
            .of(OutTopic::State)
            .rfind(|record| record.key.starts_with(prefix.as_bytes()))
            .expect("there is one")
            .clone();
        log.append(OutTopic::State, &displaced.key, Some(&[0xff; 9]));
        log.compact();
        let (group, counters) = (MemoryGroup::default(), Counters::default());
        for _ in 0..2 {
            live_with(&movements, 8, &mut log, &group, &counters).expect("nothing breaks");
            assert_eq!(counters.partitions_rebuilt.load(Relaxed), 1, "{prefix}");
        }
        log.compact();
        assert_right(&log, &movements, prefix);
    }
}

#[test]
fn a_seal_or_a_barrier_that_cannot_be_read_displaces_nothing_of_the_state() {
    let movements = story(5, 60);
    let mut before = MemoryLog::default();
    live(&movements[..40], 8, &mut before).expect("nothing breaks");
    let image = contracts::topics::ImageId {
        partition: PARTITION,
        epoch: 1,
        cut: 40,
    };
    let barrier = before
        .of(OutTopic::State)
        .find(|record| record.key.starts_with(b"b/"));
    let barrier = barrier.expect("a barrier").key.clone();
    for key in [StateKey::Seal(image).to_bytes(), barrier] {
        let mut log = before.clone();
        log.append(OutTopic::State, &key, Some(&[0xff; 9]));
        log.compact();
        live(&movements, 8, &mut log).expect("nothing breaks");
        assert_right(&log, &movements, &String::from_utf8_lossy(&key));
    }
}

#[test]
fn an_owner_that_has_lost_the_partition_stops_between_two_steps_of_a_flush() {
    let movements = story(5, 40);
    let mut log = MemoryLog::default();
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    let owned = live_with(&movements[..30], 8, &mut log, &group, &counters).expect("nothing breaks");
    group.is_lost.set(true);
    let before = log.records.len();
    let error = go_on(owned, &movements, 8, &mut log, &group, &counters).expect_err("it lost the partition");
    assert_eq!(error.to_string(), broken().to_string());
    assert_eq!(log.records.len() - before, 1, "the intent alone");
}

#[test]
fn nothing_leaves_before_the_group_has_taken_the_epoch() {
    let movements = story(5, 40);
    let mut log = MemoryLog::default();
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    group.refuses.set(true);
    let owned = live_with(&movements, 8, &mut log, &group, &counters).expect("nothing breaks");
    assert!(
        log.records.iter().all(|record| record.key.starts_with(b"b/")),
        "its barrier alone"
    );
    group.refuses.set(false);
    idle(owned, &mut log, &group, &counters);
    assert_right(&log, &movements, "admitted late");
    assert_eq!(group.committed.get(), Some((movements.len() as u64, 1)));
}

#[test]
fn a_log_that_is_shorter_than_what_was_acknowledged_is_no_log_to_go_on_with() {
    let movements = story(5, 40);
    let mut log = MemoryLog::default();
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    let owned = live_with(&movements[..30], 8, &mut log, &group, &counters).expect("nothing breaks");
    log.durable = log.records.len() - 5;
    log.lose_unacknowledged(OutTopic::State);
    let error = go_on(owned, &movements, 8, &mut log, &group, &counters).expect_err("records are gone");
    assert!(matches!(error, InventoryError::Shrunk { .. }), "{error}");
    assert!(log.ends(&[(OutTopic::State, PARTITION)]).is_ok());
}

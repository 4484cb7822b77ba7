//! Each bug of the list, planted: the check that stands for it holds without the bug and fails with it.
//!
//! What the checks look at is what the other tests look at as well: the view, what a takeover trusts, what is published
//! when. Several bugs are healed by a rebuild, which is why a check of an undisturbed life also demands that there is none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

use crate::support::{
    self, MemoryGroup, MemoryLog, PARTITION, apply, assert_right, go_on, line, live, live_with, movement,
    places, stock, story, take_over, take_over_with,
};
use contracts::records::{self, MovementKind, SourceKind};
use inventory::{Applied, Cause, Cell, Counters, OutTopic, Partition, Plant, Planted, Restore, flush};
use prost::Message as _;

/// The check holds, and with the bug it does not.
fn assert_noticed(plant: Plant, check: fn()) {
    check();
    let noticed = catch_unwind(AssertUnwindSafe(|| {
        let _planted = Planted::new(plant);
        check();
    }));
    assert!(noticed.is_err(), "nobody notices {plant:?}");
}

/// An owner dies at each record, with or without its unacknowledged records, and the next goes on.
fn an_owner_may_die_anywhere() {
    let movements = story(1, 50);
    let mut whole = MemoryLog::default();
    live(&movements, 7, &mut whole).expect("nothing breaks");
    for left in 0..whole.records.len() {
        let mut log = MemoryLog {
            left: Some(left),
            ..MemoryLog::default()
        };
        let (group, counters) = (MemoryGroup::default(), Counters::default());
        live_with(&movements, 7, &mut log, &group, &counters).expect_err("it dies");
        log.left = None;
        log.lose_unacknowledged(OutTopic::State);
        let head = log
            .of(OutTopic::State)
            .rfind(|record| record.key.starts_with(b"h/"));
        let cut = head.map_or(0, |head| records::Head::decode(head.bytes()).expect("a head").cut);
        let committed = group.committed.get().map_or(0, |(offset, _)| offset);
        assert!(committed <= cut, "committed {committed}, durable {cut}");
        live(&movements, 7, &mut log).expect("nothing breaks");
        assert_right(&log, &movements, &format!("left {left}"));
    }
}

/// Dies between every two acknowledged steps, losing nothing.
fn an_owner_may_die_between_two_steps() {
    let movements = story(1, 50);
    let mut whole = MemoryLog::default();
    live(&movements, 7, &mut whole).expect("nothing breaks");
    for left in 0..whole.records.len() {
        let mut log = MemoryLog {
            left: Some(left),
            ..MemoryLog::default()
        };
        live(&movements, 7, &mut log).expect_err("it dies");
        log.left = None;
        live(&movements, 9, &mut log).expect("nothing breaks");
        assert_right(&log, &movements, &format!("left {left}"));
    }
}

#[test]
fn commit_before_acknowledge_is_noticed() {
    assert_noticed(Plant::CommitBeforeAcknowledge, an_owner_may_die_anywhere);
}

#[test]
fn windows_before_cells_are_noticed() {
    assert_noticed(Plant::WindowsBeforeCells, an_owner_may_die_between_two_steps);
}

#[test]
fn a_live_window_serialised_is_noticed() {
    assert_noticed(Plant::LiveWindow, an_owner_may_die_between_two_steps);
}

/// An old owner's record lies last, and is not taken for the newest.
fn a_late_record_does_not_win() {
    let movements = story(5, 60);
    let mut log = MemoryLog::default();
    live(&movements[..20], 8, &mut log).expect("nothing breaks");
    let cells = |log: &MemoryLog| {
        let cells = log
            .of(OutTopic::State)
            .filter(|record| record.key.starts_with(b"c/"));
        cells.cloned().collect::<Vec<_>>()
    };
    let old = cells(&log);
    live(&movements[..50], 8, &mut log).expect("nothing breaks");
    let new = cells(&log);
    let late = old
        .iter()
        .find(|old| new[old.offset as usize..].iter().any(|new| new.key == old.key))
        .or(old.first())
        .expect("a cell was written");
    log.append(late.topic, &late.key, late.value.as_deref());
    let mut restore = Restore::new(PARTITION);
    for record in log.of(OutTopic::State) {
        restore
            .take(record.offset, &record.key, record.value.as_deref())
            .expect("it is readable");
    }
    let restored = restore.finish(3, u64::MAX).expect("it is readable");
    assert!(matches!(restored.cause, Some(Cause::LateRecord { epoch: 1, .. })));
    live_with(
        &movements,
        8,
        &mut log,
        &MemoryGroup::default(),
        &Counters::default(),
    )
    .expect("nothing breaks");
    assert_right(&log, &movements, "behind a late record");
}

#[test]
fn a_restore_in_which_the_last_write_wins_is_noticed() {
    assert_noticed(Plant::LastWriteWins, a_late_record_does_not_win);
}

fn a_line_that_counts_twice_leaves_another_hash() {
    let mut cell = Cell::default();
    cell.apply(MovementKind::Sold, 1_000, 0x1234);
    let once = cell.applied_hash;
    cell.apply(MovementKind::Sold, 1_000, 0x9876);
    cell.apply(MovementKind::Sold, 1_000, 0x9876);
    assert_ne!(cell.applied_hash, once);
}

#[test]
fn an_xor_digest_is_noticed() {
    assert_noticed(Plant::XorDigest, a_line_that_counts_twice_leaves_another_hash);
}

fn the_number_behind_9999_is_1() {
    let place = places(1)[0];
    let mut partition = Partition::new(PARTITION);
    for number in (4_000..9_999).step_by(3_000).chain([9_998, 9_999, 1, 2]) {
        let receipt = movement(place, SourceKind::Till, 1, 20_000, number);
        let offset = partition.next();
        assert!(matches!(
            apply(&mut partition, &receipt, offset),
            Applied::New { .. }
        ));
    }
    let mut log = MemoryLog::default();
    let mut owned = [inventory::Owned::new(partition)];
    flush(
        &mut owned,
        &mut log,
        &MemoryGroup::default(),
        &Counters::default(),
    )
    .expect("nothing breaks");
    let told = support::completeness(&log);
    let place = told.values().next().expect("one place");
    let source = place.sources.first().expect("one source");
    assert_eq!((source.highest, source.highest - source.missing), (10_001, 6));
}

#[test]
fn a_modulus_of_10000_is_noticed() {
    assert_noticed(Plant::Modulus10000, the_number_behind_9999_is_1);
}

fn compaction_leaves_the_barrier_of_every_epoch() {
    let movements = story(5, 30);
    let mut log = MemoryLog::default();
    for end in [10, 20, 30] {
        live(&movements[..end], 8, &mut log).expect("nothing breaks");
    }
    log.compact();
    let barriers = log
        .of(OutTopic::State)
        .filter(|record| record.key.starts_with(b"b/"));
    assert_eq!(barriers.count(), 3);
}

#[test]
fn one_barrier_key_for_all_epochs_is_noticed() {
    assert_noticed(Plant::OneBarrierKey, compaction_leaves_the_barrier_of_every_epoch);
}

fn a_rebuild_waits_until_it_is_where_any_record_was() {
    let movements = story(11, 60);
    let mut log = MemoryLog::default();
    live(&movements, 8, &mut log).expect("nothing breaks");
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    let mut owned = take_over_with(&mut log, &group, &counters, |_| {}).expect("the state is readable");
    owned.rebuild(&mut log, &counters).expect("nothing breaks");
    go_on(owned, &movements, 7, &mut log, &group, &counters).expect("nothing breaks");
    assert_right(&log, &movements, "made anew");
}

#[test]
fn a_rebuild_that_flushes_early_is_noticed() {
    assert_noticed(
        Plant::RebuildFlushesEarly,
        a_rebuild_waits_until_it_is_where_any_record_was,
    );
}

/// A slow loser has committed what another owner has not got.
fn a_replay_begins_at_the_head() {
    let movements = story(6, 60);
    let mut log = MemoryLog::default();
    live(&movements[..40], 8, &mut log).expect("nothing breaks");
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    group.committed.set(Some((48, 1)));
    live_with(&movements, 8, &mut log, &group, &counters).expect("nothing breaks");
    assert_eq!(counters.partitions_rebuilt.load(Relaxed), 0);
    assert_right(&log, &movements, "behind a loser's commit");
}

#[test]
fn a_replay_from_the_groups_commit_is_noticed() {
    assert_noticed(Plant::ReplayFromCommit, a_replay_begins_at_the_head);
}

/// A paused owner flushes what it had when another one has taken over and died.
fn a_zombie_is_known_by_its_epoch() {
    let movements = story(8, 60);
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    let mut log = MemoryLog::default();
    let mut paused = [live_with(&movements[..20], 6, &mut log, &group, &counters).expect("nothing breaks")];
    for (offset, movement) in (20..).zip(&movements[20..30]) {
        apply(&mut paused[0].state, movement, offset);
    }
    let living = live_with(&movements[..50], 6, &mut log, &group, &counters).expect("nothing breaks");
    // It meets the other's barrier, but only behind its head.
    flush(&mut paused, &mut log, &group, &counters).expect_err("it is no owner any more");
    go_on(living, &movements, 6, &mut log, &group, &counters).expect("nothing breaks");
    assert!(counters.zombie_writes_repaired.load(Relaxed) > 0);
    log.compact();
    assert_right(&log, &movements, "behind a zombie");
}

#[test]
fn an_epoch_read_at_send_time_is_noticed() {
    assert_noticed(Plant::EpochAtSendTime, a_zombie_is_known_by_its_epoch);
}

/// The old owner goes on writing until the new one's barrier stands.
fn a_restore_ends_at_its_own_barrier() {
    let movements = story(8, 60);
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    let mut log = MemoryLog::default();
    let mut old = Some(live_with(&movements[..20], 6, &mut log, &group, &counters).expect("nothing breaks"));
    let new = take_over_with(&mut log, &group, &counters, |log| {
        if let Some(old) = old.take() {
            let counters = Counters::default();
            go_on(old, &movements[..40], 6, log, &MemoryGroup::default(), &counters).expect("nothing breaks");
        }
    })
    .expect("the state is readable");
    go_on(new, &movements, 3, &mut log, &group, &counters).expect("nothing breaks");
    assert_eq!(
        counters.zombie_writes_repaired.load(Relaxed),
        0,
        "the old one was no zombie"
    );
    assert_right(&log, &movements, "behind a busy owner");
}

#[test]
fn a_restore_that_ends_at_eof_is_noticed() {
    assert_noticed(Plant::RestoreEndsAtEof, a_restore_ends_at_its_own_barrier);
}

fn both_lines_of_one_sku_count() {
    let place = places(1)[0];
    let mut partition = Partition::new(PARTITION);
    let mut basket = movement(place, SourceKind::Till, 1, 20_000, 1);
    basket.lines = vec![
        line(7, MovementKind::Sold, 1_000),
        line(7, MovementKind::Sold, 2_000),
    ];
    apply(&mut partition, &basket, 0);
    assert_eq!(stock(&partition)[&(place, 7)].sold, 3_000);
}

#[test]
fn a_second_line_of_the_same_sku_that_is_skipped_is_noticed() {
    assert_noticed(Plant::SecondLineSkipped, both_lines_of_one_sku_count);
}

#[test]
fn without_a_bug_an_owner_that_takes_over_begins_where_the_other_was() {
    let movements = story(1, 30);
    let mut log = MemoryLog::default();
    live(&movements, 7, &mut log).expect("nothing breaks");
    assert_eq!(
        take_over(&mut log).expect("the state is readable").state.next(),
        movements.len() as u64
    );
}

//! What holds for any movements: order, repeats, replays, books, shares.

use crate::support::{
    Draw, MemoryLog, PARTITION, apply, completeness, line, live, movement, places, stock, story, take_over,
    totals, totals_of, undisturbed, view, without_offsets,
};
use contracts::records::{Movement, MovementKind, SourceKind};
use contracts::sabotage::Sabotage;
use inventory::{Applied, Owned, Partition, Transaction};
use proptest::prelude::*;

/// Of three sources, numbers 1 to 40 each, all of them valid.
fn plain_movements(seed: u64) -> Vec<Movement> {
    let mut draw = Draw(seed);
    let places = places(2);
    let sources = [
        (places[0], SourceKind::Till, 1),
        (places[0], SourceKind::Reader, 2),
        (places[1], SourceKind::Till, 1),
    ];
    let mut movements = Vec::new();
    for number in 1..=40 {
        for (place, kind, unit) in sources {
            let mut movement = movement(place, kind, unit, 20_000 + number as u32 / 15, number);
            for _ in 0..draw.below(5) {
                let kind = MovementKind::ALL[draw.below(11) as usize];
                movement
                    .lines
                    .push(line(100 + draw.below(5) as u32, kind, draw.below(9) as i64 * 500));
            }
            movements.push(movement);
        }
    }
    movements
}

/// Any order in which a day is not older than all that were seen of its till.
fn shuffled(movements: &[Movement], seed: u64) -> Vec<Movement> {
    let mut draw = Draw(seed);
    let mut out = movements.to_vec();
    for index in (4..out.len()).rev() {
        out.swap(index, 3 + draw.below(index as u64 - 2) as usize);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_and_any_repetition_of_arrival_gives_the_same_stock(seed in any::<u64>(), order in any::<u64>()) {
        let movements = plain_movements(seed);
        let (straight, _) = undisturbed(&movements);
        let mut disturbed = shuffled(&movements, order);
        let repeats: Vec<Movement> = disturbed.iter().step_by(3).cloned().collect();
        disturbed.extend(repeats.iter().cloned());
        let (other, applied) = undisturbed(&disturbed);
        prop_assert_eq!(without_offsets(stock(&other)), without_offsets(stock(&straight)));
        prop_assert_eq!(applied.iter().filter(|a| **a == Applied::Repeat).count(), repeats.len());
    }

    #[test]
    fn a_replay_from_any_earlier_offset_changes_nothing(seed in any::<u64>(), back in 0_usize..80) {
        let movements = story(seed, 80);
        let mut log = MemoryLog::default();
        let before = live(&movements, 9, &mut log).expect("nothing breaks");
        let Owned { mut state, .. } = take_over(&mut log).expect("the state is readable");
        let first = movements.len() - back.min(movements.len());
        for (offset, movement) in (0..).zip(&movements).skip(first) {
            let applied = apply(&mut state, movement, offset);
            prop_assert!(matches!(applied, Applied::Replayed), "{applied:?}");
        }
        prop_assert_eq!(stock(&state), stock(&before));
        prop_assert_eq!(state.cut(), before.cut());
    }

    #[test]
    fn the_books_of_every_cell_balance(seed in any::<u64>()) {
        let (partition, _) = undisturbed(&story(seed, 120));
        for ((place, sku), cell) in stock(&partition) {
            let by_totals = cell.counted + cell.supplied + cell.received + cell.returned + cell.adjusted
                - cell.shipped - cell.sold;
            prop_assert_eq!(cell.floor + cell.back_room, by_totals, "{} {}", place, sku);
        }
    }

    #[test]
    fn what_is_published_is_the_state_however_often_it_is_flushed(seed in any::<u64>(), every in 1_usize..50) {
        let movements = story(seed, 100);
        let (partition, _) = undisturbed(&movements);
        let mut log = MemoryLog::default();
        let lived = live(&movements, every, &mut log).expect("nothing breaks");
        prop_assert_eq!(view(&log), stock(&partition));
        prop_assert_eq!(totals(&log), totals_of(&stock(&partition), &completeness(&log)));
        prop_assert_eq!(lived.cut(), partition.cut());
    }
}

#[test]
fn the_stories_have_all_that_can_happen() {
    let mut repeats = 0;
    let mut refusals = std::collections::BTreeSet::new();
    let mut doubled_skus = 0;
    for seed in 0..20 {
        let movements = story(seed, 120);
        doubled_skus += movements
            .iter()
            .filter(|m| m.lines.len() > 1 && m.lines[1..].iter().any(|l| l.sku == m.lines[0].sku))
            .count();
        for applied in undisturbed(&movements).1 {
            match applied {
                Applied::Repeat => repeats += 1,
                Applied::Refused(refusal) => {
                    refusals.insert(refusal.class);
                }
                _ => {}
            }
        }
    }
    assert!(repeats > 0 && doubled_skus > 0);
    assert_eq!(
        refusals.into_iter().collect::<Vec<_>>(),
        ["content-reused", "identity-unclear"]
    );
}

#[test]
fn two_lines_of_one_sku_count_once_each() {
    let place = places(1)[0];
    let mut partition = Partition::new(PARTITION);
    let mut basket = movement(place, SourceKind::Till, 1, 20_000, 1);
    basket.lines = vec![
        line(7, MovementKind::Sold, 1_000),
        line(7, MovementKind::Sold, 2_000),
    ];
    assert_eq!(apply(&mut partition, &basket, 0), Applied::New { lines: 2 });
    let cell = stock(&partition)[&(place, 7)];
    assert_eq!(
        (cell.sold, cell.applied_count, cell.applied_offset),
        (3_000, 2, 1)
    );
}

#[test]
fn a_cell_that_is_ahead_skips_both_lines_of_its_sku_and_the_window_takes_the_transaction() {
    let place = places(1)[0];
    let mut basket = movement(place, SourceKind::Till, 1, 20_000, 1);
    basket.lines = vec![
        line(7, MovementKind::Sold, 1_000),
        line(7, MovementKind::Sold, 2_000),
    ];
    let mut log = MemoryLog::default();
    live(&[basket.clone()], 1, &mut log).expect("nothing breaks");
    // The head and the windows of the flush are lost, its cell is not.
    log.lose(|record| !record.key.starts_with(b"c/"));
    let Owned { mut state, .. } = take_over(&mut log).expect("the state is readable");
    assert_eq!(apply(&mut state, &basket, 0), Applied::New { lines: 0 });
    assert_eq!(stock(&state)[&(place, 7)].sold, 3_000);
    assert_eq!(apply(&mut state, &basket, 1), Applied::Repeat);
}

#[test]
fn a_location_of_another_partition_is_refused() {
    let stranger = (1..1_000)
        .map(contracts::ids::LocationId::store)
        .find(|place| contracts::topics::partition_of(*place) != PARTITION)
        .expect("there are other partitions");
    let mut partition = Partition::new(PARTITION);
    let applied = apply(
        &mut partition,
        &movement(stranger, SourceKind::Till, 1, 20_000, 1),
        0,
    );
    assert!(matches!(applied, Applied::Refused(refusal) if refusal.class == "misrouted"));
    assert_eq!(partition.next(), 1);
}

#[test]
fn each_class_of_sabotage_damages_what_it_says_and_the_window_never_notices() {
    let place = places(1)[0];
    let mut basket = movement(place, SourceKind::Till, 1, 20_000, 1);
    basket.lines = vec![
        line(7, MovementKind::Sold, 1_000),
        line(8, MovementKind::Sold, 1_000),
    ];
    let mut transaction = Transaction::default();
    transaction.set(&basket).expect("the movement is valid");
    for (class, lines, sold) in [
        ("drop", 0, [0, 0]),
        ("double", 4, [2_000, 2_000]),
        ("alter", 2, [2_000, 1_000]),
    ] {
        let sabotage: Sabotage = format!("{class}:1/1@inventory").parse().expect("a sabotage");
        let mut partition = Partition::new(PARTITION);
        assert_eq!(
            partition.apply(&transaction, 0, Some(&sabotage)),
            Applied::New { lines },
            "{class}"
        );
        let stock = stock(&partition);
        let found = [7, 8].map(|sku| stock.get(&(place, sku)).map_or(0, |cell| cell.sold));
        assert_eq!(found, sold, "{class}");
        assert_eq!(partition.apply(&transaction, 1, None), Applied::Repeat, "{class}");
    }
}

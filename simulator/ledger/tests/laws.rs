//! Laws of the truth: it commutes, its books balance, and it notices what is lost or doubled.

use contracts::ids::{BusinessDay, LocationId, Sku, SourceId, TransactionId};
use contracts::records::MovementKind;
use ledger::{Assortment, Ledger, Line, LostAtSource, TrueCell, line_hash};
use proptest::prelude::*;

const SKUS: [u32; 4] = [100_001, 100_002, 100_007, 100_100];

fn ledger() -> Ledger {
    let assortment = |location| Assortment {
        location,
        skus: SKUS.map(Sku).to_vec(),
    };
    Ledger::new(&[
        assortment(LocationId::store(1)),
        assortment(LocationId::warehouse(1)),
    ])
}

fn till(number: u64) -> TransactionId {
    TransactionId {
        source: SourceId::till(LocationId::store(1), 1),
        business_day: BusinessDay(20_528),
        number,
    }
}

fn cells(ledger: &Ledger) -> Vec<TrueCell> {
    (0..ledger.places())
        .flat_map(|place| ledger.place(place).cells.clone())
        .collect()
}

/// Any line that a world could bring: amounts are not negative, counts and adjustments have a sign.
fn any_line() -> impl Strategy<Value = Line> {
    (
        0..SKUS.len(),
        0..MovementKind::ALL.len(),
        -1_000_000..1_000_000_i64,
    )
        .prop_map(|(slot, kind, quantity)| {
            let kind = MovementKind::ALL[kind];
            let quantity = if kind.is_signed() {
                quantity
            } else {
                quantity.abs()
            };
            Line {
                sku: Sku(SKUS[slot]),
                slot: slot as u16,
                kind,
                quantity,
            }
        })
}

fn any_day() -> impl Strategy<Value = Vec<(usize, Vec<Line>)>> {
    prop::collection::vec((0..2_usize, prop::collection::vec(any_line(), 0..12)), 1..40)
}

fn applied<'a>(day: impl Iterator<Item = (u64, &'a (usize, Vec<Line>))>) -> Ledger {
    let ledger = ledger();
    for (number, (place, lines)) in day {
        ledger.place(*place).apply(&till(number), lines);
    }
    ledger
}

proptest! {
    #[test]
    fn any_order_of_transactions_gives_the_same_cells(
        (day, order) in any_day().prop_flat_map(|day| {
            let order: Vec<usize> = (0..day.len()).collect();
            (Just(day), Just(order).prop_shuffle())
        })
    ) {
        let forward = applied((0_u64..).zip(&day));
        let shuffled = applied(order.iter().map(|index| (*index as u64, &day[*index])));
        prop_assert_eq!(cells(&forward), cells(&shuffled));
    }

    #[test]
    fn the_books_of_every_cell_balance(day in any_day()) {
        for cell in cells(&applied((0_u64..).zip(&day))) {
            prop_assert_eq!(cell.on_hand(), cell.on_hand_by_totals());
            prop_assert_eq!(cell.on_hand(), cell.floor + cell.back_room);
        }
    }

    #[test]
    fn a_transaction_that_is_lost_or_doubled_shows_in_count_and_hash(
        day in any_day(),
        line in any_line(),
        hit in any::<prop::sample::Index>(),
    ) {
        let mut day = day;
        let hit = hit.index(day.len());
        // Even a line that moves nothing must be noticed.
        day[hit].1.push(Line { quantity: 0, ..line });
        let whole = cells(&applied((0_u64..).zip(&day)));
        let lost = cells(&applied((0_u64..).zip(&day).filter(|(number, _)| *number != hit as u64)));
        let doubled = cells(&applied((0_u64..).zip(&day).chain(std::iter::once((hit as u64, &day[hit])))));
        let marks = |cells: &[TrueCell]| cells.iter().map(|cell| (cell.lines, cell.hash)).collect::<Vec<_>>();
        prop_assert_ne!(marks(&whole), marks(&lost));
        prop_assert_ne!(marks(&whole), marks(&doubled));
    }
}

#[test]
fn the_hash_of_a_line_is_the_one_that_others_computed() {
    // Computed by a program of its own from the words of `line_hash`.
    let id = |source, business_day, number| TransactionId {
        source,
        business_day: BusinessDay(business_day),
        number,
    };
    let till = id(SourceId::till(LocationId::store(42), 3), 20_528, 9_999);
    let queue = id(SourceId::queue(LocationId::warehouse(7)), 0, 123_456);
    let reader = id(SourceId::reader(LocationId::store(12_345), 2), 0, 5_000_000_000);
    assert_eq!(line_hash(&till, 4, 1_000), 0x9af9_142f_8acb_bbf1);
    assert_eq!(line_hash(&queue, 0, 0), 0x29f8_157f_c114_dd9d);
    assert_eq!(line_hash(&reader, 1, -2_500), 0x8d17_5789_5d9e_61d1);
}

#[test]
fn each_kind_of_movement_changes_its_own_fields_alone() {
    let cell_after = |kind, quantity| {
        let ledger = ledger();
        let line = Line {
            sku: Sku(SKUS[0]),
            slot: 0,
            kind,
            quantity,
        };
        ledger.place(0).apply(&till(1), &[line]);
        let cell = ledger.place(0).cells[0];
        TrueCell {
            lines: 0,
            hash: 0,
            ..cell
        }
    };
    let none = TrueCell::default();
    let expected = [
        (
            MovementKind::Sold,
            5,
            TrueCell {
                floor: -5,
                sold: 5,
                ..none
            },
        ),
        (
            MovementKind::Returned,
            5,
            TrueCell {
                floor: 5,
                returned: 5,
                ..none
            },
        ),
        (
            MovementKind::Supplied,
            5,
            TrueCell {
                back_room: 5,
                supplied: 5,
                ..none
            },
        ),
        (
            MovementKind::Shipped,
            5,
            TrueCell {
                back_room: -5,
                shipped: 5,
                ..none
            },
        ),
        (
            MovementKind::Received,
            5,
            TrueCell {
                back_room: 5,
                received: 5,
                ..none
            },
        ),
        (
            MovementKind::Stocked,
            5,
            TrueCell {
                back_room: -5,
                floor: 5,
                stocked: 5,
                ..none
            },
        ),
        (
            MovementKind::Stored,
            5,
            TrueCell {
                back_room: 5,
                floor: -5,
                stored: 5,
                ..none
            },
        ),
        (
            MovementKind::CountedFloor,
            -5,
            TrueCell {
                floor: -5,
                counted: -5,
                ..none
            },
        ),
        (
            MovementKind::CountedBackRoom,
            -5,
            TrueCell {
                back_room: -5,
                counted: -5,
                ..none
            },
        ),
        (
            MovementKind::AdjustedFloor,
            -5,
            TrueCell {
                floor: -5,
                adjusted: -5,
                ..none
            },
        ),
        (
            MovementKind::AdjustedBackRoom,
            -5,
            TrueCell {
                back_room: -5,
                adjusted: -5,
                ..none
            },
        ),
    ];
    assert_eq!(expected.map(|(kind, _, _)| kind), MovementKind::ALL);
    for (kind, quantity, cell) in expected {
        assert_eq!(cell_after(kind, quantity), cell, "{kind:?}");
    }
}

#[test]
fn a_transaction_of_no_lines_counts_as_one_and_changes_no_cell() {
    let ledger = ledger();
    ledger.place(1).apply(&till(1), &[]);
    assert_eq!(ledger.place(1).transactions, 1);
    assert!(cells(&ledger).iter().all(|cell| *cell == TrueCell::default()));
}

#[test]
fn a_number_that_its_source_lost_is_used_up_and_moves_nothing() {
    let ledger = ledger();
    for number in [7, 8, 9] {
        if number == 8 {
            ledger.place(0).lose(&till(8));
        } else {
            ledger.place(0).apply(&till(number), &[]);
        }
    }
    let place = ledger.place(0).clone();
    assert_eq!((place.transactions, place.sources[0].transactions), (2, 3));
    assert_eq!(
        ledger.lost_at_source(),
        [LostAtSource {
            id: till(8),
            unwrapped: 8
        }]
    );
    assert!(cells(&ledger).iter().all(|cell| *cell == TrueCell::default()));
}

#[test]
fn places_and_slots_are_found_by_what_they_are() {
    let ledger = ledger();
    assert_eq!(ledger.position(LocationId::warehouse(1)), Some(1));
    assert_eq!(ledger.position(LocationId::store(2)), None);
    assert_eq!(ledger.place(0).slot(Sku(100_007)), Some(2));
    assert_eq!(ledger.place(0).slot(Sku(5)), None);
    assert_eq!(ledger.cells(), 2 * SKUS.len());
}

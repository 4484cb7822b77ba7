//! Worlds where only happens what a script says.

use crate::common::{small, walk};
use contracts::records::MovementKind;
use ledger::Ledger;
use world::events::Channel;
use world::{ConfigError, ScriptedEvent, ScriptedKind, World, WorldConfig};

fn config() -> WorldConfig {
    WorldConfig {
        stores: 3,
        warehouses: 1,
        skus: 3,
        assortment: 3,
        transactions_per_day: 1000,
        ..small(3)
    }
}

fn event(at_ms_offset: u64, store: u16, sku: u32, kind: ScriptedKind, units: u32) -> ScriptedEvent {
    ScriptedEvent {
        at_ms_offset,
        store,
        sku,
        kind,
        units,
    }
}

#[test]
fn a_script_happens_as_written_and_nothing_else_does() {
    use ScriptedKind::{Restock, Sale};
    let events = vec![
        event(1_000, 1, 0, Restock, 50),
        event(2_000, 1, 0, Sale, 40),
        event(3_000, 2, 0, Restock, 40),
        event(700_000, 1, 2, Restock, 10),
        event(4_000, 3, 1, Sale, 22),
    ];
    let mut world = World::scripted(config(), events).expect("valid");
    let names: Vec<_> = world.places().iter().map(|place| place.name.as_str()).collect();
    assert_eq!(names, ["Store_1", "Store_2", "Store_3", "Warehouse_1"]);
    assert_eq!(world.articles()[2].name, "Item_3");
    let ledger = Ledger::new(&world.assortments());
    let mut seen = Vec::new();
    walk(&mut world, 4, |_, place, events| {
        for message in &events.messages {
            for transaction in events.transactions_of(message) {
                let lines = events.lines_of(transaction);
                seen.push((message.channel, place, lines[0].kind, lines[0].quantity));
                ledger.place(place).apply(&transaction.id, lines);
            }
        }
    });
    assert_eq!(
        seen,
        [
            (Channel::Scan, 0, MovementKind::CountedFloor, 50_000),
            (Channel::Till, 0, MovementKind::Sold, 40_000),
            (Channel::Scan, 1, MovementKind::CountedFloor, 40_000),
            (Channel::Till, 2, MovementKind::Sold, 22_000),
            (Channel::Scan, 0, MovementKind::CountedFloor, 10_000),
        ]
    );
    let floor = |place: usize| {
        ledger
            .place(place)
            .cells
            .iter()
            .map(|cell| cell.floor / 1000)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        [floor(0), floor(1), floor(2)],
        [vec![10, 0, 10], vec![40, 0, 0], vec![0, -22, 0]]
    );
    assert_eq!(world.stock(2, 1), (-22_000, 0));
}

#[test]
fn an_impossible_script_is_refused_with_the_event_that_is_wrong() {
    let message = |events: Vec<ScriptedEvent>| {
        let error = World::scripted(config(), events).expect_err("impossible");
        assert!(matches!(error, ConfigError::Script { .. }));
        error.to_string()
    };
    let sale = |store, sku, units| event(0, store, sku, ScriptedKind::Sale, units);
    assert_eq!(
        message(vec![sale(4, 0, 1)]),
        "scripted event 0: there is no store 4, stores are 1 to 3"
    );
    assert!(message(vec![sale(0, 0, 1)]).contains("there is no store 0"));
    assert!(
        message(vec![sale(1, 0, 1), sale(1, 3, 1)]).starts_with("scripted event 1: there is no article 3")
    );
    assert!(message(vec![sale(1, 0, 0)]).contains("units is 0"));
    let late = event(1, 1, 0, ScriptedKind::Restock, 2);
    assert!(message(vec![late, sale(1, 0, 5)]).starts_with("scripted event 0: a count cannot find -3"));
}

//! Small worlds for tests, and a walk over all that they bring.

use std::collections::BTreeMap;

use ledger::Ledger;
use world::events::{PlaceEvents, Step};
use world::{TillMix, World, WorldConfig};

pub const ALL_4690: TillMix = TillMix {
    ibm_4690: 100,
    poslog_6: 0,
    poslog_2: 0,
};

/// Some stores of usual size, with few articles.
pub fn small(stores: u16) -> WorldConfig {
    WorldConfig {
        seed: 42,
        stores,
        warehouses: stores.div_ceil(10),
        data_centres: 1,
        skus: 400,
        assortment: 80,
        transactions_per_day: u64::from(stores) * 800,
        ..WorldConfig::default()
    }
}

pub const STEPS_A_DAY: u32 = 288;

/// Takes the opening and so many steps of a world, each place's events in turn.
pub fn walk(world: &mut World, steps: u32, mut visit: impl FnMut(&Step, usize, &PlaceEvents)) {
    let visit_all = |step: &Step, visit: &mut dyn FnMut(&Step, usize, &PlaceEvents)| {
        for (place, events) in step.places.iter().enumerate() {
            visit(step, place, events);
        }
    };
    let opening = world.opening();
    visit_all(&opening, &mut visit);
    for _ in 0..steps {
        let step = world.step(1);
        visit_all(&step, &mut visit);
        world.recycle(step);
    }
}

/// Tells the ledger what happened at a place.
pub fn tell(ledger: &Ledger, place: usize, events: &PlaceEvents) {
    let mut truth = ledger.place(place);
    for transaction in &events.transactions {
        truth.apply(&transaction.id, events.lines_of(transaction));
    }
}

/// What is shipped, not received, and on no lorry, by article. The ledger's stock is the physical one.
pub fn gone_on_the_road(world: &World, ledger: &Ledger) -> BTreeMap<u32, i64> {
    let mut gone = BTreeMap::new();
    for place in 0..ledger.places() {
        let truth = ledger.place(place);
        for (slot, (sku, cell)) in truth.skus.iter().zip(&truth.cells).enumerate() {
            assert_eq!(
                (cell.floor, cell.back_room),
                world.stock(place, slot),
                "{} {sku}",
                truth.location
            );
            *gone.entry(sku.0).or_default() += cell.shipped - cell.received;
        }
    }
    for lorry in world.lorries() {
        for (sku, quantity) in lorry.lines {
            *gone.entry(sku.0).or_default() -= quantity;
        }
    }
    gone.retain(|_, quantity| *quantity != 0);
    gone
}

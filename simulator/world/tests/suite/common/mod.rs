//! Small worlds for tests, and a walk over all that they bring.

#![allow(dead_code, reason = "each file of tests uses a part of it")]

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

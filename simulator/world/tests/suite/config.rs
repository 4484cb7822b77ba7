//! Worlds that cannot be are refused with what is wrong.

use crate::common::small;
use world::{ConfigError, World, WorldConfig};

#[test]
fn a_till_that_would_run_out_of_numbers_is_refused() {
    let config = WorldConfig {
        transactions_per_day: 1_000_000,
        ..small(3)
    };
    let error = World::new(config).expect_err("too busy");
    assert!(matches!(error, ConfigError::TillOverrun { store: 1, .. }));
    assert!(error.to_string().contains("9999"), "{error}");
}

#[test]
fn a_world_with_more_warehouses_than_stores_and_one_article_works() {
    let config = WorldConfig {
        stores: 2,
        warehouses: 5,
        data_centres: 3,
        skus: 1,
        assortment: 1,
        ..small(2)
    };
    let mut world = World::new(config).expect("valid");
    assert_eq!(world.places().len(), 7);
    world.opening();
    for _ in 0..288 {
        let step = world.step(2);
        world.recycle(step);
    }
    assert!(world.split().till.transactions > 500);
}

#[test]
#[should_panic(expected = "before the first step")]
fn a_step_before_the_opening_is_a_mistake() {
    World::new(small(2)).expect("valid").step(1);
}

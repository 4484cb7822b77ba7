//! The same scenario in a smaller world, for trying out and for tests.

use crate::load::{Load, Rate};
use crate::names::StoreNumber;
use crate::scenario::{Scenario, Stop};
use crate::step::{Action, Selector};

impl Scenario {
    /// One place and one transaction in `one_in`, at least one of each. The timeline stays, catalogue and assortment too.
    ///
    /// A region may have no store in a small world: it becomes as many stores, by number, as a region has on
    /// average. A scripted scenario is small already and stays as it is.
    #[must_use]
    pub fn scale(mut self, one_in: u32) -> Self {
        if one_in <= 1 || self.script.is_some() {
            return self;
        }
        let world = &mut self.world;
        let stores_per_warehouse = world.stores.div_ceil(world.warehouses);
        world.stores = divide(world.stores.into(), one_in) as u16;
        world.warehouses = divide(world.warehouses.into(), one_in) as u16;
        world.data_centres = world.data_centres.min(world.warehouses as u8);
        world.transactions_per_day = divide(world.transactions_per_day.into(), one_in) as u32;
        if let Load::Rate(rate) = &mut self.load {
            *rate = scaled_rate(*rate, one_in);
        }
        if let Stop::Transactions(transactions) = &mut self.stop {
            *transactions = divide(*transactions, one_in);
        }
        let stores = world.stores;
        for step in &mut self.steps {
            match &mut step.action {
                Some(Action::Rate(rate)) => *rate = scaled_rate(*rate, one_in),
                Some(Action::StoresOffline(which) | Action::StoresOnline(which)) => {
                    *which = scaled_selector(which, one_in, stores, stores_per_warehouse);
                }
                _ => {}
            }
        }
        self
    }
}

fn divide(value: u64, by: u32) -> u64 {
    (value / u64::from(by)).max(1)
}

fn scaled_rate(rate: Rate, one_in: u32) -> Rate {
    Rate::PerMinute(divide(rate.per_minute(), one_in) as u32)
}

fn scaled_selector(which: &Selector, one_in: u32, stores: u16, stores_per_warehouse: u16) -> Selector {
    match which {
        Selector::All => Selector::All,
        Selector::Region(_) => Selector::Count(divide(stores_per_warehouse.into(), one_in) as u16),
        Selector::Count(count) => Selector::Count(divide((*count).into(), one_in) as u16),
        Selector::Names(names) => {
            // The same store on the way out and on the way back.
            let mut kept: Vec<StoreNumber> = names
                .iter()
                .map(|name| StoreNumber((name.0 - 1) % stores + 1))
                .collect();
            kept.sort_unstable();
            kept.dedup();
            Selector::Names(kept)
        }
    }
}

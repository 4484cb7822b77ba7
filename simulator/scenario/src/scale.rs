//! The same scenario in a smaller world or at another pace, as the command line asks.

use crate::expectation::Expectation;
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
                Some(Action::Break(broken)) => {
                    if let Some(which) = &mut broken.stores {
                        *which = scaled_selector(which, one_in, stores, stores_per_warehouse);
                    }
                    if let Some(data_centre) = &mut broken.data_centre {
                        *data_centre = (*data_centre).min(world.data_centres);
                    }
                }
                _ => {}
            }
        }
        self
    }

    /// At this pace from beginning to end: steps change it no more, and unthrottled makes no claim of latency.
    #[must_use]
    pub fn with_load(mut self, load: Load) -> Self {
        self.load = load;
        for step in &mut self.steps {
            step.action = step
                .action
                .take()
                .filter(|action| !matches!(action, Action::Rate(_) | Action::Speed(_)));
        }
        if load == Load::Unthrottled {
            let all = self
                .steps
                .iter_mut()
                .map(|step| &mut step.expect)
                .chain([&mut self.expect]);
            for expect in all {
                expect.retain(|expectation| !matches!(expectation, Expectation::FreshnessP99Below { .. }));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SHIPPED, check, parse};

    fn shipped() -> Vec<Scenario> {
        SHIPPED
            .iter()
            .map(|shipped| parse(shipped.name, shipped.yaml).unwrap())
            .collect()
    }

    fn first_look() -> Scenario {
        shipped().remove(0)
    }

    #[test]
    fn a_hundredth_has_a_hundredth_of_places_and_rates_and_the_same_timeline() {
        let small = first_look().scale(100);
        assert_eq!(
            (
                small.world.stores,
                small.world.warehouses,
                small.world.data_centres
            ),
            (23, 1, 1)
        );
        assert_eq!((small.world.skus, small.world.assortment), (5_000, 500));
        assert_eq!(small.world.transactions_per_day, 50_000);
        let rates: Vec<_> = small
            .steps
            .iter()
            .filter_map(|step| step.action.clone())
            .collect();
        assert_eq!(rates[0], Action::Rate(Rate::PerMinute(600)));
        assert_eq!(rates[2], Action::Rate(Rate::PerMinute(10_000)));
        assert_eq!(rates[3], Action::StoresOffline(Selector::Count(1)));
        assert_eq!(small.stop, first_look().stop);
    }

    #[test]
    fn every_scale_of_every_shipped_scenario_keeps_the_rules() {
        for one_in in [0, 1, 2, 3, 7, 10, 23, 100, 1_000, 2_300, 50_000, u32::MAX] {
            for scenario in shipped() {
                let name = scenario.name.clone();
                assert_eq!(
                    check::first_problem(&scenario.scale(one_in)),
                    None,
                    "{name} 1/{one_in}"
                );
            }
        }
    }

    #[test]
    fn one_in_one_changes_nothing_and_a_script_is_small_already() {
        for scenario in shipped() {
            assert_eq!(scenario.clone().scale(1), scenario);
        }
        let script = parse("ibm-controlled", crate::shipped("ibm-controlled").unwrap()).unwrap();
        assert_eq!(script.clone().scale(100), script);
    }

    #[test]
    fn a_named_store_becomes_one_that_exists() {
        let names = Selector::Names(vec![StoreNumber(42), StoreNumber(19), StoreNumber(2_300)]);
        assert_eq!(
            scaled_selector(&names, 100, 23, 192),
            Selector::Names(vec![StoreNumber(19), StoreNumber(23)])
        );
    }

    #[test]
    fn a_pace_from_outside_rules_from_beginning_to_end() {
        let fast = first_look().with_load(Load::Unthrottled);
        assert_eq!(fast.load, Load::Unthrottled);
        assert!(
            !fast
                .steps
                .iter()
                .any(|step| matches!(step.action, Some(Action::Rate(_) | Action::Speed(_))))
        );
        assert_eq!(fast.steps.iter().filter(|step| step.action.is_some()).count(), 4);
        assert_eq!(check::first_problem(&fast), None);
    }
}

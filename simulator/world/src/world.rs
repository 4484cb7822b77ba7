//! The whole: places, steps on any number of threads, and the border between steps.

use std::sync::{Mutex, PoisonError};

use contracts::ids::{LocationId, Sku, TILL_NUMBER_MAX, TimeMs};
use contracts::records::Article;
use ledger::Assortment;

use crate::calendar::HOUR_MS;
use crate::catalogue::Catalogue;
use crate::chain::{self, Listing};
use crate::config::{self, ConfigError, STEP_MS, WorldConfig};
use crate::contradiction::Contradictions;
use crate::events::{Place, PlaceEvents, Step};
use crate::offers::Offers;
use crate::queue::QueueManager;
use crate::random::Stream;
use crate::scan::SlipRates;
use crate::script::{Script, ScriptedEvent};
use crate::shape::Shape;
use crate::store::{self, Delivery, Scene, Scratch, Store};
use crate::tally::{Counts, Split};
use crate::warehouse::Warehouse;

/// Stores that a thread takes at once.
const STORES_AT_ONCE: usize = 8;
/// What a store gives to another is there no sooner.
const TRANSFER_MS: i64 = 3 * HOUR_MS;
/// Of the documents of scans that have something for it, one in so many has a beep too many.
const BEEPS_ONE_IN: u32 = 12;
/// Sets of buffers kept for reuse.
const SPARE_MAX: usize = 4;

/// Goods on the way, as the ledger of the road: shipped, and not yet received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lorry {
    pub despatch_advice: u64,
    pub destination: LocationId,
    pub arrives: TimeMs,
    /// Thousandths.
    pub lines: Vec<(Sku, i64)>,
}

#[derive(Debug)]
struct Living {
    scene: Scene,
    stores: Vec<Store>,
    warehouses: Vec<Warehouse>,
    scratches: Vec<Scratch>,
}

#[derive(Debug)]
enum Life {
    Living(Box<Living>),
    Scripted(Box<Script>),
}

/// Acme, at an instant.
#[derive(Debug)]
pub struct World {
    config: WorldConfig,
    places: Vec<Place>,
    now: TimeMs,
    /// Places whose stock has been counted.
    opened: usize,
    opening: Counts,
    life: Life,
    spare: Vec<Vec<PlaceEvents>>,
}

impl World {
    /// A world before its first instant. Takes no more than a blink, also at its full size.
    pub fn new(config: WorldConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut plans = chain::stores(&config);
        let receipts = config.transactions_per_day as f64;
        for plan in &plans {
            let expected = config::till_load_max(plan.share * receipts, plan.tills);
            if expected > TILL_NUMBER_MAX {
                return Err(ConfigError::TillOverrun {
                    store: plan.number,
                    expected,
                });
            }
        }
        let places = chain::places(&config, &plans);
        let scene = Scene {
            catalogue: Catalogue::new(config.seed, config.skus),
            offers: Offers::new(config.seed, config.skus as usize),
            shape: Shape::new(),
            contradictions: Contradictions {
                seed: config.seed,
                one_in: 0,
            },
            slips: SlipRates {
                beeps_one_in: BEEPS_ONE_IN,
                ..SlipRates::default()
            },
        };
        let listing = Listing::new(&scene.catalogue.popularity, config.assortment);
        let mut demand = vec![vec![0.0; config.skus as usize]; usize::from(config.warehouses)];
        let stores = plans
            .iter_mut()
            .map(|plan| {
                let listed = listing.draw(&mut Stream::new(
                    config.seed,
                    "assortment",
                    u64::from(plan.number),
                ));
                let demand = &mut demand[usize::from(plan.warehouse)];
                Store::new(
                    config.seed,
                    plan,
                    plan.share * receipts,
                    listed,
                    config.tills,
                    &scene,
                    demand,
                )
            })
            .collect::<Vec<_>>();
        let stores = store::with_partners(stores);
        let warehouses = demand
            .iter()
            .zip(&places[plans.len()..])
            .map(|(demand, place)| {
                let manager = QueueManager::new(&config.queues, place.location, place.data_centre);
                Warehouse::new(config.seed, manager, demand, &scene)
            })
            .collect();
        let living = Living {
            scene,
            stores,
            warehouses,
            scratches: Vec::new(),
        };
        Ok(Self::of(config, places, Life::Living(Box::new(living))))
    }

    /// A world where only the given events happen: no people, no goods moves, no opening stock. All stores list the
    /// whole catalogue and have one till; names are plain (`Store_1`, `Item_1`).
    pub fn scripted(config: WorldConfig, events: Vec<ScriptedEvent>) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut places = chain::places(&config, &chain::stores(&config));
        for place in &mut places {
            let number = place.location.number();
            if place.location.is_store() {
                place.tills = 1;
                place.readers = 1;
                place.name = format!("Store_{number}");
            } else {
                place.name = format!("Warehouse_{number}");
            }
        }
        let script = Script::new(&config, events)?;
        Ok(Self::of(config, places, Life::Scripted(Box::new(script))))
    }

    fn of(config: WorldConfig, places: Vec<Place>, life: Life) -> Self {
        let now = config.first_instant();
        Self {
            config,
            places,
            now,
            opened: 0,
            opening: Counts::default(),
            life,
            spare: Vec::new(),
        }
    }

    /// One delivery in so many arrives with a carton less or more than its warehouse wrote; 0: none. A script has no lorries.
    #[must_use]
    pub fn with_contradicting_deliveries(mut self, one_in: u32) -> Self {
        if let Life::Living(living) = &mut self.life {
            living.scene.contradictions.one_in = one_in;
        }
        self
    }

    /// One document of scans in so many, of those that have something for it, has a beep too many; 0: none. Half of these
    /// beeps come in a document of their own.
    #[must_use]
    pub fn with_double_beeps(mut self, one_in: u32) -> Self {
        if let Life::Living(living) = &mut self.life {
            living.scene.slips.beeps_one_in = one_in;
            living.scene.slips.apart_one_in = 2;
        }
        self
    }

    /// One correction in so many is made again, under other numbers; 0: none.
    #[must_use]
    pub fn with_corrections_again(mut self, one_in: u32) -> Self {
        if let Life::Living(living) = &mut self.life {
            living.scene.slips.corrections_again_one_in = one_in;
        }
        self
    }

    pub fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// Stores by number, then warehouses by number.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// What each place can hold, in the order of [`World::places`].
    pub fn assortments(&self) -> Vec<Assortment> {
        (0..self.places.len())
            .map(|place| Assortment {
                location: self.places[place].location,
                skus: self.skus(place),
            })
            .collect()
    }

    fn skus(&self, place: usize) -> Vec<Sku> {
        let catalogue = self.catalogue();
        let skus = |articles: &[u16]| {
            articles
                .iter()
                .map(|article| Sku(catalogue.items[usize::from(*article)].sku))
                .collect()
        };
        match &self.life {
            Life::Living(living) => match living.stores.get(place) {
                Some(store) => skus(store.articles()),
                None => skus(living.warehouses[place - living.stores.len()].articles()),
            },
            Life::Scripted(_) if self.places[place].location.is_store() => {
                catalogue.items.iter().map(|item| Sku(item.sku)).collect()
            }
            Life::Scripted(_) => Vec::new(),
        }
    }

    fn catalogue(&self) -> &Catalogue {
        match &self.life {
            Life::Living(living) => &living.scene.catalogue,
            Life::Scripted(script) => &script.catalogue,
        }
    }

    /// Who takes the records of a place; `None` for a store.
    pub fn queue_manager(&self, place: usize) -> Option<QueueManager> {
        let place = &self.places[place];
        (!place.location.is_store())
            .then(|| QueueManager::new(&self.config.queues, place.location, place.data_centre))
    }

    pub fn articles(&self) -> &[Article] {
        &self.catalogue().articles
    }

    /// The instant up to which everything has happened.
    pub fn now(&self) -> TimeMs {
        self.now
    }

    /// What is physically there, floor and back room, in thousandths: of a place, and a slot of its assortment.
    pub fn stock(&self, place: usize, slot: usize) -> (i64, i64) {
        match &self.life {
            Life::Living(living) => match living.stores.get(place) {
                Some(store) => store.stock(slot),
                None => (0, living.warehouses[place - living.stores.len()].stock(slot)),
            },
            Life::Scripted(script) => (script.floor(place, slot), 0),
        }
    }

    /// All that is on the road.
    pub fn lorries(&self) -> Vec<Lorry> {
        let Life::Living(living) = &self.life else {
            return Vec::new();
        };
        let lorry = |store: &Store, delivery: &Delivery| Lorry {
            despatch_advice: delivery.despatch_advice,
            destination: store.location,
            arrives: TimeMs(delivery.arrives),
            lines: delivery
                .lines
                .iter()
                .map(|(slot, quantity)| {
                    let article = usize::from(store.articles()[usize::from(*slot)]);
                    (
                        Sku(living.scene.catalogue.items[article].sku),
                        i64::from(*quantity),
                    )
                })
                .collect(),
        };
        living
            .stores
            .iter()
            .flat_map(|store| {
                store
                    .deliveries()
                    .iter()
                    .map(move |delivery| lorry(store, delivery))
            })
            .collect()
    }

    pub fn split(&self) -> Split {
        let mut split = Split {
            opening: self.opening,
            ..Split::default()
        };
        match &self.life {
            Life::Living(living) => {
                for store in &living.stores {
                    split.till += store.till;
                    split.scan += store.scan;
                    split.lost_sales += store.lost_sales;
                }
                living
                    .warehouses
                    .iter()
                    .for_each(|warehouse| split.queue += warehouse.queue);
            }
            Life::Scripted(script) => {
                split.till = script.till_counts;
                split.scan = script.scan_counts;
            }
        }
        split
    }

    /// The counts of all opening stock, in the five minutes before the first instant. At Acme's full size this is
    /// 2.3 million lines in 375 MB: [`World::opening_part`] brings them in portions.
    pub fn opening(&mut self) -> Step {
        let all = self.places.len();
        self.opening_part(all)
            .unwrap_or_else(|| self.before_first(Vec::new()))
    }

    /// The opening counts of the next `places_max` places; the other places have no events in it. `None` when all
    /// places are counted. All of it comes before the first [`World::step`].
    pub fn opening_part(&mut self, places_max: usize) -> Option<Step> {
        let all = self.places.len();
        if self.opened == all {
            return None;
        }
        let part = self.opened..all.min(self.opened + places_max.max(1));
        self.opened = part.end;
        let mut places = self.buffers();
        if let Life::Living(living) = &mut self.life {
            for place in part {
                let share = i64::from(STEP_MS) * place as i64 / all as i64;
                let at = TimeMs(self.now.0 - i64::from(STEP_MS) + share);
                self.opening += living.open(place, at, &mut places[place]);
            }
        }
        Some(self.before_first(places))
    }

    fn before_first(&self, mut places: Vec<PlaceEvents>) -> Step {
        places.resize_with(self.places.len(), PlaceEvents::default);
        let until = self.config.first_instant();
        Step {
            from: TimeMs(until.0 - i64::from(STEP_MS)),
            until,
            places,
        }
    }

    /// The next five minutes, computed on so many threads.
    ///
    /// # Panics
    /// If the opening has not been taken as a whole: facts would start from nowhere.
    pub fn step(&mut self, threads: usize) -> Step {
        assert!(
            self.opened == self.places.len(),
            "take World::opening, or all its parts, before the first step"
        );
        let from = self.now;
        let until = TimeMs(from.0 + i64::from(STEP_MS));
        let mut places = self.buffers();
        match &mut self.life {
            Life::Living(living) => {
                living.step(from, threads.max(1), &mut places);
                living.border(until);
            }
            Life::Scripted(script) => script.step(from, &mut places),
        }
        self.now = until;
        Step { from, until, places }
    }

    /// Takes a step's buffers back for reuse, emptied. Those of an opening are let go: they are many times larger.
    pub fn recycle(&mut self, step: Step) {
        let opening = step.from < self.config.first_instant();
        if !opening && self.spare.len() < SPARE_MAX && step.places.len() == self.places.len() {
            self.spare.push(step.places);
        }
    }

    fn buffers(&mut self) -> Vec<PlaceEvents> {
        match self.spare.pop() {
            Some(mut places) => {
                places.iter_mut().for_each(PlaceEvents::clear);
                places
            }
            None => self.places.iter().map(|_| PlaceEvents::default()).collect(),
        }
    }
}

impl Living {
    /// Counts the stock of a place.
    fn open(&mut self, place: usize, at: TimeMs, out: &mut PlaceEvents) -> Counts {
        if let Some(store) = self.stores.get_mut(place) {
            if self.scratches.is_empty() {
                self.scratches.push(Scratch::default());
            }
            store.opening(&self.scene, at, out, &mut self.scratches[0]);
            std::mem::take(&mut store.scan)
        } else {
            let warehouse = &mut self.warehouses[place - self.stores.len()];
            warehouse.opening(&self.scene, at, out);
            std::mem::take(&mut warehouse.queue)
        }
    }

    fn step(&mut self, from: TimeMs, threads: usize, out: &mut [PlaceEvents]) {
        self.scene.offers.turn(from);
        let scene = &self.scene;
        let (store_out, warehouse_out) = out.split_at_mut(self.stores.len());
        for (warehouse, out) in self.warehouses.iter_mut().zip(warehouse_out) {
            warehouse.step(scene, from, out);
        }
        self.scratches
            .resize_with(threads.max(self.scratches.len()), Scratch::default);
        let portions = Mutex::new(
            self.stores
                .chunks_mut(STORES_AT_ONCE)
                .zip(store_out.chunks_mut(STORES_AT_ONCE)),
        );
        let work = |scratch: &mut Scratch| {
            loop {
                // The lock is let go before the work begins.
                let portion = portions.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((stores, out)) = portion else {
                    break;
                };
                for (store, out) in stores.iter_mut().zip(out) {
                    store.step(scene, from, out, scratch);
                }
            }
        };
        let Some((own, others)) = self.scratches[..threads].split_first_mut() else {
            return;
        };
        std::thread::scope(|scope| {
            for scratch in others {
                scope.spawn(|| work(scratch));
            }
            work(own);
        });
    }

    /// Lorries leave for stores, orders go to warehouses, in the order of places.
    fn border(&mut self, until: TimeMs) {
        for warehouse in &mut self.warehouses {
            for shipment in warehouse.shipments.drain(..) {
                let store = &mut self.stores[usize::from(shipment.store)];
                let delivery = (!shipment.lines.is_empty()).then(|| Delivery {
                    arrives: store.next_delivery_slot(shipment.arrives),
                    despatch_advice: shipment.despatch_advice,
                    lines: shipment.lines,
                    given_by: None,
                });
                store.despatched(delivery, &shipment.missing);
            }
        }
        for index in 0..self.stores.len() {
            let given_by = self.stores[index].location.number();
            for transfer in std::mem::take(&mut self.stores[index].transfers) {
                let store = &mut self.stores[usize::from(transfer.to)];
                store.given(Delivery {
                    arrives: store.next_delivery_slot(until.0 + TRANSFER_MS),
                    despatch_advice: transfer.despatch_advice,
                    lines: transfer.lines,
                    given_by: Some(given_by),
                });
            }
        }
        for (index, store) in self.stores.iter_mut().enumerate() {
            if !store.orders.is_empty() {
                let orders = std::mem::take(&mut store.orders);
                self.warehouses[usize::from(store.warehouse)].take_order(index as u16, until, orders);
            }
            for (article, quantity) in store.returns.drain(..) {
                self.warehouses[usize::from(store.warehouse)].take_back(until, article, quantity);
            }
        }
    }
}

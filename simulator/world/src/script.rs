//! A world where only happens what a script says: no people, no lorries, no opening stock.
//!
//! A sale is a receipt of one line at till 1, whether the floor has it or not: negative stock is real. A restock is a
//! count of the floor that finds more than the books say.

use contracts::ids::{LocationId, TILL_NUMBER_MAX, TimeMs};
use contracts::wire::FORMAT_4690;

use crate::calendar;
use crate::catalogue::Catalogue;
use crate::config::{ConfigError, STEP_MS, WorldConfig};
use crate::events::{Channel, PlaceEvents};
use crate::receipt::{self, BasketLine, Course, Extras, LineKind, Payment, Receipt, Till};
use crate::scan::{self, Handling, Manner, Reader, ScanLines};
use crate::tally::Counts;

/// The most that a script may move at once, or leave in a cell, either sign.
const UNITS_MAX: i64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptedKind {
    Sale,
    /// A count variance on the floor.
    Restock,
}

/// Something that is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptedEvent {
    /// After the first instant of the world.
    pub at_ms_offset: u64,
    /// The store's number, from 1.
    pub store: u16,
    /// Index of the article, from 0: see [`World::articles`](crate::World::articles).
    pub sku: u32,
    pub kind: ScriptedKind,
    pub units: u32,
}

/// A store that does what it is told. All stores list the whole catalogue: slot = index of the article.
#[derive(Debug)]
struct ScriptedStore {
    location: LocationId,
    /// Ascending by time.
    events: Vec<ScriptedEvent>,
    next: usize,
    receipts: u64,
    scans: u64,
    /// Thousandths.
    floor: Vec<i64>,
}

#[derive(Debug)]
pub(crate) struct Script {
    pub catalogue: Catalogue,
    first: TimeMs,
    stores: Vec<ScriptedStore>,
    scan: ScanLines,
    pub till_counts: Counts,
    pub scan_counts: Counts,
}

impl Script {
    pub fn new(config: &WorldConfig, events: Vec<ScriptedEvent>) -> Result<Self, ConfigError> {
        let mut stores: Vec<ScriptedStore> = (1..=config.stores)
            .map(|number| ScriptedStore {
                location: LocationId::store(number),
                events: Vec::new(),
                next: 0,
                receipts: 0,
                scans: 0,
                floor: vec![0; config.skus as usize],
            })
            .collect();
        let mut ordered: Vec<(usize, ScriptedEvent)> = events.into_iter().enumerate().collect();
        ordered.sort_by_key(|(index, event)| (event.at_ms_offset, *index));
        for (index, event) in ordered {
            let wrong = |reason: String| ConfigError::Script { index, reason };
            let Some(store) = usize::from(event.store)
                .checked_sub(1)
                .and_then(|index| stores.get_mut(index))
            else {
                return Err(wrong(format!(
                    "there is no store {}, stores are 1 to {}",
                    event.store, config.stores
                )));
            };
            let Some(floor) = store.floor.get_mut(event.sku as usize) else {
                return Err(wrong(format!(
                    "there is no article {}, articles are 0 to {}",
                    event.sku,
                    config.skus - 1
                )));
            };
            if !(1..=UNITS_MAX).contains(&i64::from(event.units)) {
                return Err(wrong(format!(
                    "units is {}: it must be 1 to {UNITS_MAX}",
                    event.units
                )));
            }
            *floor += match event.kind {
                ScriptedKind::Sale => -i64::from(event.units),
                ScriptedKind::Restock => i64::from(event.units),
            };
            if floor.abs() > UNITS_MAX {
                return Err(wrong(format!(
                    "it leaves {floor} units on the floor, beyond {UNITS_MAX}"
                )));
            }
            if event.kind == ScriptedKind::Restock && *floor < 0 {
                return Err(wrong(format!("a count cannot find {floor} units: restock more")));
            }
            store.events.push(event);
        }
        for store in &mut stores {
            store.floor.fill(0);
        }
        Ok(Self {
            catalogue: Catalogue::plain(config.skus),
            first: config.first_instant(),
            stores,
            scan: ScanLines::default(),
            till_counts: Counts::default(),
            scan_counts: Counts::default(),
        })
    }

    /// Floor of a store's slot.
    pub fn floor(&self, store: usize, slot: usize) -> i64 {
        self.stores[store].floor[slot]
    }

    pub fn step(&mut self, from: TimeMs, out: &mut [PlaceEvents]) {
        let until = from.0 + i64::from(STEP_MS);
        for (store, out) in self.stores.iter_mut().zip(out) {
            while let Some(event) = store.events.get(store.next) {
                let at = TimeMs(self.first.0.saturating_add_unsigned(event.at_ms_offset));
                if at.0 >= until {
                    break;
                }
                let event = *event;
                store.next += 1;
                match event.kind {
                    ScriptedKind::Sale => {
                        self.till_counts.add(store.sell(&self.catalogue, at, event, out));
                    }
                    ScriptedKind::Restock => {
                        self.scan_counts += store.restock(&self.catalogue, at, event, &mut self.scan, out);
                    }
                }
            }
        }
    }
}

impl ScriptedStore {
    fn sell(
        &mut self,
        catalogue: &Catalogue,
        at: TimeMs,
        event: ScriptedEvent,
        out: &mut PlaceEvents,
    ) -> usize {
        let slot = event.sku as usize;
        let quantity = event.units as i32 * 1000;
        let line = BasketLine::new(
            slot,
            slot as u16,
            &catalogue.items[slot],
            LineKind::Sale,
            quantity,
        );
        let till = Till {
            location: self.location,
            unit: 1,
            number: (self.receipts % TILL_NUMBER_MAX) as u16 + 1,
            business_day: calendar::business_day(at),
        };
        self.receipts += 1;
        self.floor[slot] -= i64::from(quantity);
        let basket = [line];
        // Nothing happens but what the script says.
        let extras = Extras(u64::MAX);
        let receipt = Receipt {
            till,
            at,
            course: Course::Finished,
            basket: &basket,
            payment: &Payment::of(&basket, 0, extras),
            extras,
        };
        let mark = out.mark();
        let lines = receipt::tlog::write(&receipt, &catalogue.items, out);
        out.close(mark, at, Channel::Till, FORMAT_4690);
        lines
    }

    fn restock(
        &mut self,
        catalogue: &Catalogue,
        at: TimeMs,
        event: ScriptedEvent,
        scan: &mut ScanLines,
        out: &mut PlaceEvents,
    ) -> Counts {
        let slot = event.sku as usize;
        let quantity = event.units as i32 * 1000;
        scan.clear();
        scan.counted(slot, quantity, self.floor[slot] as i32);
        self.floor[slot] += i64::from(quantity);
        let mut reader = Reader {
            location: self.location,
            unit: 1,
            number: &mut self.scans,
            manner: Manner::of(self.location, 0),
            slips: None,
        };
        let item = |slot: u16| &catalogue.items[usize::from(slot)];
        scan::write(&mut reader, at, Handling::CountFloor, 1, scan, item, out)
    }
}

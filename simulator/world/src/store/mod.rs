//! A store: what stands on its floor and in its back room, who shops, what its staff do, what it orders.
//!
//! Invariant: neither floor nor back room is ever below zero, and stock changes only together with a fact in
//! [`PlaceEvents`]. A store knows no other place: orders leave and deliveries come at the border of a step.

mod desk;
mod papers;
mod postings;
mod stockroom;
mod trading;
mod transfers;

use contracts::ids::{BusinessDay, LocationId, TimeMs};

use crate::calendar::{CUT_OVER_MS, DAY_MS, HOUR_MS, next_slot};
use crate::catalogue::Catalogue;
use crate::chain::{self, StorePlan};
use crate::config::STEP_MS;
use crate::contradiction::Contradictions;
use crate::events::PlaceEvents;
use crate::generation::{self, TillMix};
use crate::offers::Offers;
use crate::random::{AliasTable, Stream};
use crate::receipt::{BasketLine, Sold};
use crate::scan::{Manner, SlipRates};
use crate::shape::{self, Shape};
use crate::tally::Counts;
pub(crate) use transfers::{Transfer, with_partners};

use desk::TillState;
use postings::Posting;
use transfers::Partner;

/// Shelves are filled in rounds, every two hours while most people shop.
const ROUND_MS: i64 = 2 * HOUR_MS;
/// So often stock is looked through for orders, day and night.
const REVIEW_MS: i64 = 2 * HOUR_MS;
/// Lorries come three times a day.
const DELIVERY_MS: i64 = 8 * HOUR_MS;
/// A back door takes one lorry at a time. With two at one instant a carton of each would be one beep twice.
const UNLOADING_MS: i64 = 5 * 60_000;
/// Where tills can write them, papers of stock are written so often.
const PAPER_MS: i64 = 6 * HOUR_MS;
/// No cell is planned for more units than this, so that its sums fit in 32 bits of thousandths.
const UNITS_MAX: f64 = 400_000.0;
/// What was sold lately and can come back.
const RECENT: usize = 16;

/// What all stores share within a run.
#[derive(Debug)]
pub(crate) struct Scene {
    pub catalogue: Catalogue,
    pub offers: Offers,
    pub shape: Shape,
    pub contradictions: Contradictions,
    pub slips: SlipRates,
}

/// One SKU in a store. Quantities are thousandths.
#[derive(Clone, Copy, Debug)]
struct Cell {
    floor: i32,
    back_room: i32,
    on_order: i32,
    /// What the shelf takes: about a day of demand.
    capacity: i32,
    /// An order is due when floor, back room and what is on order are no more than this.
    reorder: i32,
    /// How much is ordered: about three days of demand in whole packs.
    order: i32,
}

/// A line of an order to the warehouse.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderLine {
    pub slot: u16,
    pub article: u16,
    pub quantity: i32,
}

/// A lorry's load for a store.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub arrives: i64,
    pub despatch_advice: u64,
    /// Slot in the store's assortment and quantity.
    pub lines: Vec<(u16, i32)>,
    /// The store that gave it, if no warehouse did.
    pub given_by: Option<u16>,
}

#[derive(Debug)]
pub(crate) struct Store {
    pub location: LocationId,
    pub warehouse: u16,
    /// Receipts on a mean day.
    receipts_per_day: f64,
    cells: Box<[Cell]>,
    /// Index of the article in each slot.
    articles: Box<[u16]>,
    shelf_draw: AliasTable,
    tills: Box<[TillState]>,
    /// The last day on which a till was opened.
    opened: Option<BusinessDay>,
    /// The last number of each reader.
    reader_numbers: Box<[u64]>,
    /// Slot and quantity of things sold lately, 0 = gone, and how they were sold.
    recent: [(u16, i32, Sold); RECENT],
    recent_next: usize,
    deliveries: Vec<Delivery>,
    /// Of deliveries that were scanned.
    postings: Vec<Posting>,
    /// Orders of this step, which the border takes.
    pub orders: Vec<OrderLine>,
    /// Articles and quantities that go back to the warehouse, which the border takes.
    pub returns: Vec<(u16, i32)>,
    /// What another store gets, which the border takes as well.
    pub transfers: Vec<Transfer>,
    partner: Option<Partner>,
    transfers_written: u64,
    round_phase: i64,
    review_phase: i64,
    delivery_phase: i64,
    count_phase: i64,
    paper_phase: i64,
    arrivals: Stream,
    shoppers: Stream,
    staff: Stream,
    /// What goes wrong in the hands of those who scan.
    slips: Stream,
    manner: Manner,
    /// What tills write besides sales.
    desk: Stream,
    pub till: Counts,
    pub scan: Counts,
    /// Wishes that the floor could not fill, in thousandths.
    pub lost_sales: u64,
}

/// Buffers that a worker keeps from one place to the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    schedule: Vec<u32>,
    basket: Vec<BasketLine>,
    /// By till: what it has not sent yet.
    documents: Vec<PlaceEvents>,
    pub scan: crate::scan::ScanLines,
}

/// What happens in a store, in the low bits of the schedule behind the offset in the step.
const TASK_BITS: u32 = 3;
const ARRIVAL: u32 = 0;
const DELIVERY: u32 = 1;
const ROUND: u32 = 2;
const COUNT: u32 = 3;
const REVIEW: u32 = 4;
const PAPER: u32 = 5;
const CLOSE: u32 = 6;
const POST: u32 = 7;

impl Store {
    /// `listed` are the articles by slot, `pull` how much each of them sells, to some scale. What is sold a day is
    /// added to `warehouse_demand`, by article.
    pub fn new(
        seed: u64,
        plan: &mut StorePlan,
        receipts_per_day: f64,
        (listed, pull): (Vec<u16>, Vec<f64>),
        mix: TillMix,
        scene: &Scene,
        warehouse_demand: &mut [f64],
    ) -> Self {
        let id = u64::from(plan.number);
        let sum: f64 = pull.iter().sum();
        let mut opening = Stream::new(seed, "opening stock", id);
        let cells = listed
            .iter()
            .zip(&pull)
            .map(|(article, pull)| {
                let item = &scene.catalogue.items[usize::from(*article)];
                let lines = receipts_per_day * shape::LINES_A_BASKET * pull / sum;
                let units = lines
                    * if item.weighed {
                        shape::WEIGHT_A_LINE / 1000.0
                    } else {
                        shape::UNITS_A_LINE
                    };
                warehouse_demand[usize::from(*article)] += units;
                Cell::new(units, item.pack, &mut opening)
            })
            .collect();
        let habits = &mut plan.habits;
        let mut phase = |period: i64| i64::from(habits.below(period as u32));
        Self {
            location: LocationId::store(plan.number),
            warehouse: plan.warehouse,
            receipts_per_day,
            cells,
            articles: listed.into_boxed_slice(),
            shelf_draw: AliasTable::new(&pull),
            tills: generation::generations(seed, plan.number, plan.tills, mix)
                .iter()
                .map(|generation| TillState::new(*generation))
                .collect(),
            opened: None,
            reader_numbers: vec![0; usize::from(chain::readers_of(plan.tills))].into_boxed_slice(),
            recent: [(0, 0, Sold::default()); RECENT],
            recent_next: 0,
            deliveries: Vec::new(),
            postings: Vec::new(),
            orders: Vec::new(),
            returns: Vec::new(),
            transfers: Vec::new(),
            partner: None,
            transfers_written: 0,
            round_phase: phase(ROUND_MS),
            review_phase: phase(REVIEW_MS),
            delivery_phase: phase(DELIVERY_MS),
            count_phase: phase(DAY_MS),
            paper_phase: phase(PAPER_MS),
            arrivals: Stream::new(seed, "arrivals", id),
            shoppers: Stream::new(seed, "shoppers", id),
            staff: Stream::new(seed, "staff", id),
            slips: Stream::new(seed, "slips", id),
            manner: Manner::of(LocationId::store(plan.number), plan.warehouse),
            desk: Stream::new(seed, "desk", id),
            till: Counts::default(),
            scan: Counts::default(),
            lost_sales: 0,
        }
    }

    pub fn articles(&self) -> &[u16] {
        &self.articles
    }

    /// Floor and back room of a slot.
    pub fn stock(&self, slot: usize) -> (i64, i64) {
        (
            i64::from(self.cells[slot].floor),
            i64::from(self.cells[slot].back_room),
        )
    }

    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// The step that begins at `from`.
    pub fn step(&mut self, scene: &Scene, from: TimeMs, out: &mut PlaceEvents, scratch: &mut Scratch) {
        let mut schedule = std::mem::take(&mut scratch.schedule);
        self.schedule(from, &mut schedule);
        out.reserve(schedule.len());
        let open = trading::Opening::at(from, self.tills.len() as u16);
        for entry in &schedule {
            let at = TimeMs(from.0 + i64::from(entry >> TASK_BITS));
            match entry & ((1 << TASK_BITS) - 1) {
                ARRIVAL => self.checkout(scene, at, &open, out, scratch),
                DELIVERY => self.unload(scene, at, out, scratch),
                ROUND => self.round(scene, at, out, scratch),
                COUNT => self.count(scene, at, out, scratch),
                PAPER => self.paper(scene, at, out, scratch),
                CLOSE => self.close(at, out, scratch),
                POST => self.post(scene, at, out, scratch),
                _ => self.review(),
            }
        }
        self.send_rest(from, out, scratch);
        scratch.schedule = schedule;
    }

    /// All that happens in the step, in the order of time.
    fn schedule(&mut self, from: TimeMs, schedule: &mut Vec<u32>) {
        schedule.clear();
        let mean = self.receipts_per_day
            * shape::weekday_factor(crate::calendar::weekday(from))
            * shape::hour_factor(crate::calendar::hour(from))
            * f64::from(STEP_MS)
            / DAY_MS as f64;
        for _ in 0..self.arrivals.poisson(mean) {
            schedule.push(self.arrivals.below(STEP_MS) << TASK_BITS | ARRIVAL);
        }
        let mut within = |at: i64, task: u32| {
            if at < from.0 + i64::from(STEP_MS) {
                schedule.push(((at - from.0) as u32) << TASK_BITS | task);
            }
        };
        if (5..23).contains(&crate::calendar::hour(from)) {
            within(next_slot(from.0, ROUND_MS, self.round_phase), ROUND);
        }
        within(next_slot(from.0, REVIEW_MS, self.review_phase), REVIEW);
        within(next_slot(from.0, DAY_MS, self.count_phase), COUNT);
        within(next_slot(from.0, DAY_MS, CUT_OVER_MS - 1), CLOSE);
        if self.writes_papers() {
            within(next_slot(from.0, PAPER_MS, self.paper_phase), PAPER);
        }
        for delivery in &self.deliveries {
            within(delivery.arrives, DELIVERY);
        }
        for posting in &self.postings {
            within(posting.at, POST);
        }
        schedule.sort_unstable();
    }

    /// When a lorry that could be here at `earliest` is unloaded: in that slot of the day, behind those that are there before it.
    pub fn next_delivery_slot(&self, earliest: i64) -> i64 {
        let mut at = next_slot(earliest, DELIVERY_MS, self.delivery_phase);
        while self
            .deliveries
            .iter()
            .any(|other| (other.arrives - at).abs() < UNLOADING_MS)
        {
            at += UNLOADING_MS;
        }
        at
    }

    /// Another store's goods are on their way here: nobody ordered them.
    pub fn given(&mut self, delivery: Delivery) {
        for (slot, quantity) in &delivery.lines {
            self.cells[usize::from(*slot)].on_order += quantity;
        }
        self.deliveries.push(delivery);
    }

    /// The warehouse shipped: `missing` is what it could not send, and will not.
    pub fn despatched(&mut self, delivery: Option<Delivery>, missing: &[(u16, i32)]) {
        for (slot, quantity) in missing {
            self.cells[usize::from(*slot)].on_order -= quantity;
        }
        self.deliveries.extend(delivery);
    }
}

impl Cell {
    /// A cell in the middle of its cycle: stock lies anywhere between the reorder point and an order more.
    fn new(units_a_day: f64, pack: u16, opening: &mut Stream) -> Self {
        let units_a_day = units_a_day.min(UNITS_MAX / 4.0);
        let capacity = (units_a_day + 2.0 * units_a_day.sqrt()).ceil().max(4.0);
        let reorder = (0.9 * units_a_day + 1.2 * units_a_day.sqrt() + 1.0).ceil();
        let pack = f64::from(pack);
        let order = (3.0 * units_a_day / pack).round().max(1.0) * pack;
        let stock = reorder as u32 + 1 + opening.below(order as u32);
        let shelf = capacity as u32;
        let floor = (shelf / 2 + opening.below(shelf / 2 + 1)).min(stock);
        let thousandths = |units: u32| units as i32 * 1000;
        Self {
            floor: thousandths(floor),
            back_room: thousandths(stock - floor),
            on_order: 0,
            capacity: thousandths(shelf),
            reorder: thousandths(reorder as u32),
            order: thousandths(order as u32),
        }
    }
}

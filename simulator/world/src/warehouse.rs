//! A warehouse: what it holds, what it ships to its stores, what suppliers bring, what its mainframe writes of it.
//!
//! Invariant: stock is never below zero, and changes only together with a queue record. All of it counts as back
//! room. Orders of stores come, and their lorries leave, at the border of a step.

mod cell;

use contracts::ids::{BusinessDay, LocationId, Money, Quantity, Sku, SourceId, TimeMs, TransactionId};
use contracts::records::{MovementKind, PaperKind};
use contracts::wire::FORMAT_COPYBOOK_037;
use contracts::wire::copybook::{self, MoveRecord, MoveType, QUANTITY_FIELD_MAX};
use contracts::wire::mqmd::{self, LAST_IN_GROUP};
use ledger::Line;

use cell::Cell;

use crate::calendar::{DAY_MS, HOUR_MS, next_slot};
use crate::config::STEP_MS;
use crate::events::{Channel, PlaceEvents};
use crate::queue::QueueManager;
use crate::random::Stream;
use crate::store::{OrderLine, Scene};
use crate::tally::Counts;

/// Between the order of a store and the picking of it: up to this many steps.
const PICK_STEPS: u32 = 12;
/// Between the last pick and the earliest arrival.
const LORRY_MS: i64 = 3 * HOUR_MS;
/// What a store's warehouse scraps and counts, a day.
const SCRAPS_A_DAY: f64 = 8.0;
const COUNTS_A_DAY: f64 = 24.0;
/// A warehouse numbers its despatch advices within so many: its own number stands in front.
pub(crate) const ADVICES_A_WAREHOUSE: u64 = 10_000_000;
/// No article.
const NOWHERE: u16 = u16::MAX;

/// Who wrote a despatch advice.
pub(crate) fn of_advice(despatch_advice: u64) -> LocationId {
    LocationId::warehouse((despatch_advice / ADVICES_A_WAREHOUSE) as u16)
}

/// An order of a store that waits to be picked.
#[derive(Debug)]
struct Pick {
    store: u16,
    begins: i64,
    lines: Vec<OrderLine>,
}

/// What a supplier will bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Supply {
    arrives: i64,
    slot: u16,
    quantity: i64,
}

/// Where a line of a shipment goes.
#[derive(Clone, Copy, Debug)]
struct Destination {
    store: LocationId,
    despatch_advice: u64,
    /// Index of its group.
    group: usize,
}

/// The records of a shipment: how many there are, and the message of the last one.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    lines: u32,
    last: u32,
    /// Index of the last one's paper.
    last_paper: usize,
}

/// What left for a store in a step, and what it ordered in vain.
#[derive(Debug)]
pub(crate) struct Shipment {
    /// Index of the store.
    pub store: u16,
    pub despatch_advice: u64,
    /// The lorry is at the store at this instant or later.
    pub arrives: i64,
    pub lines: Vec<(u16, i32)>,
    pub missing: Vec<(u16, i32)>,
}

#[derive(Debug)]
pub(crate) struct Warehouse {
    pub location: LocationId,
    cells: Vec<Cell>,
    /// Index of the article in each slot, ascending.
    articles: Vec<u16>,
    /// Slot of each article.
    slots: Vec<u16>,
    picks: Vec<Pick>,
    supplies: Vec<Supply>,
    /// What stores send back.
    returns: Vec<Supply>,
    /// Of this step's shipments.
    groups: Vec<Group>,
    pub manager: QueueManager,
    pub shipments: Vec<Shipment>,
    sequence: u32,
    advices: u64,
    review_phase: i64,
    staff: Stream,
    pub queue: Counts,
}

/// What happens in a warehouse. The order of the variants settles ties of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Supply(Supply),
    Return(Supply),
    Ship { pick: u32, line: u32 },
    Scrap,
    Count,
    Review,
}

impl Warehouse {
    /// `demand` is what its stores sell of each article a day, in units, 0 for those that none of them lists.
    pub fn new(seed: u64, manager: QueueManager, demand: &[f64], scene: &Scene) -> Self {
        let location = manager.warehouse();
        let id = u64::from(location.number());
        let mut opening = Stream::new(seed, "warehouse opening stock", id);
        let mut cells = Vec::new();
        let mut articles = Vec::new();
        let mut slots = vec![NOWHERE; demand.len()];
        for (article, units) in demand.iter().enumerate().filter(|(_, units)| **units > 0.0) {
            slots[article] = articles.len() as u16;
            articles.push(article as u16);
            cells.push(Cell::new(
                *units,
                scene.catalogue.items[article].pack,
                &mut opening,
            ));
        }
        let mut staff = Stream::new(seed, "warehouse staff", id);
        Self {
            location,
            cells,
            articles,
            slots,
            picks: Vec::new(),
            supplies: Vec::new(),
            returns: Vec::new(),
            groups: Vec::new(),
            manager,
            shipments: Vec::new(),
            sequence: 0,
            advices: 0,
            review_phase: i64::from(staff.below(HOUR_MS as u32)),
            staff,
            queue: Counts::default(),
        }
    }

    pub fn articles(&self) -> &[u16] {
        &self.articles
    }

    pub fn stock(&self, slot: usize) -> i64 {
        self.cells[slot].stock
    }

    /// A store ordered; called in the order of stores.
    pub fn take_order(&mut self, store: u16, now: TimeMs, lines: Vec<OrderLine>) {
        let begins = now.0 + i64::from(self.staff.below(PICK_STEPS)) * i64::from(STEP_MS);
        self.picks.push(Pick { store, begins, lines });
    }

    /// A store sends something back; called in the order of stores. It is there in a day.
    pub fn take_back(&mut self, now: TimeMs, article: u16, quantity: i32) {
        self.returns.push(Supply {
            arrives: now.0 + DAY_MS + i64::from(self.staff.below(HOUR_MS as u32)),
            slot: self.slots[usize::from(article)],
            quantity: i64::from(quantity),
        });
    }

    /// The whole stock as count records.
    pub fn opening(&mut self, scene: &Scene, at: TimeMs, out: &mut PlaceEvents) {
        for slot in 0..self.cells.len() {
            let stock = std::mem::take(&mut self.cells[slot].stock);
            self.write(scene, at, slot, MoveType::CountVariance, stock, None, out);
        }
    }

    /// The step that begins at `from`.
    pub fn step(&mut self, scene: &Scene, from: TimeMs, out: &mut PlaceEvents) {
        let until = from.0 + i64::from(STEP_MS);
        let picks: Vec<Pick> = self.picks.extract_if(.., |pick| pick.begins < until).collect();
        self.shipments.extend(picks.iter().map(|pick| {
            self.advices += 1;
            Shipment {
                store: pick.store,
                despatch_advice: u64::from(self.location.number()) * ADVICES_A_WAREHOUSE + self.advices,
                arrives: until + LORRY_MS,
                lines: Vec::with_capacity(pick.lines.len()),
                missing: Vec::new(),
            }
        }));
        self.groups.clear();
        self.groups.resize(picks.len(), Group::default());
        for (at, task) in self.schedule(from, &picks) {
            let at = TimeMs(at);
            match task {
                Task::Ship { pick, line } => {
                    let pick = pick as usize;
                    self.ship(scene, at, pick, picks[pick].lines[line as usize], out);
                }
                Task::Supply(supply) => {
                    let slot = usize::from(supply.slot);
                    self.cells[slot].on_order -= supply.quantity;
                    self.write(scene, at, slot, MoveType::Supplied, supply.quantity, None, out);
                }
                Task::Return(back) => {
                    let slot = usize::from(back.slot);
                    self.write(scene, at, slot, MoveType::Returned, back.quantity, None, out);
                }
                Task::Scrap => self.scrap(scene, at, out),
                Task::Count => self.count(scene, at, out),
                Task::Review => self.review(scene, at),
            }
        }
        self.close_groups(out);
    }

    /// The last record of each shipment says so: only now it is known which one it is.
    fn close_groups(&self, out: &mut PlaceEvents) {
        for group in self.groups.iter().filter(|group| group.lines > 0) {
            let last = group.last as usize;
            out.papers[group.last_paper].group = Some((group.lines, true));
            out.descriptors[last].flags |= LAST_IN_GROUP;
            if self.manager.is_in_front() {
                let bytes = &out.messages[last].bytes;
                mqmd::add_flags(
                    &mut out.bytes[bytes.start as usize..bytes.end as usize],
                    LAST_IN_GROUP,
                );
            }
        }
    }

    /// All that happens in the step, in the order of time.
    fn schedule(&mut self, from: TimeMs, picks: &[Pick]) -> Vec<(i64, Task)> {
        let until = from.0 + i64::from(STEP_MS);
        let mut tasks: Vec<(i64, Task)> = self
            .supplies
            .extract_if(.., |supply| supply.arrives < until)
            .map(|supply| (supply.arrives, Task::Supply(supply)))
            .collect();
        let back = self.returns.extract_if(.., |back| back.arrives < until);
        tasks.extend(back.map(|back| (back.arrives, Task::Return(back))));
        for (pick, order) in picks.iter().enumerate() {
            for line in 0..order.lines.len() as u32 {
                let at = from.0 + i64::from(self.staff.below(STEP_MS));
                tasks.push((
                    at,
                    Task::Ship {
                        pick: pick as u32,
                        line,
                    },
                ));
            }
        }
        let steps_a_day = DAY_MS as f64 / f64::from(STEP_MS);
        for (task, a_day) in [(Task::Scrap, SCRAPS_A_DAY), (Task::Count, COUNTS_A_DAY)] {
            for _ in 0..self.staff.poisson(a_day / steps_a_day) {
                tasks.push((from.0 + i64::from(self.staff.below(STEP_MS)), task));
            }
        }
        let review = next_slot(from.0, HOUR_MS, self.review_phase);
        if review < until {
            tasks.push((review, Task::Review));
        }
        tasks.sort_unstable();
        tasks
    }

    /// Picks one line of an order: whole packs, as many as there are.
    fn ship(&mut self, scene: &Scene, at: TimeMs, shipment: usize, line: OrderLine, out: &mut PlaceEvents) {
        let slot = usize::from(self.slots[usize::from(line.article)]);
        let pack = i64::from(scene.catalogue.items[usize::from(line.article)].pack) * 1000;
        let there = self.cells[slot].stock / pack * pack;
        let quantity = i64::from(line.quantity).min(there);
        let target = &mut self.shipments[shipment];
        if quantity < i64::from(line.quantity) {
            target.missing.push((line.slot, line.quantity - quantity as i32));
        }
        if quantity > 0 {
            target.lines.push((line.slot, quantity as i32));
            let destination = Destination {
                store: LocationId::store(target.store + 1),
                despatch_advice: target.despatch_advice,
                group: shipment,
            };
            self.write(
                scene,
                at,
                slot,
                MoveType::Shipped,
                -quantity,
                Some(destination),
                out,
            );
        }
    }

    fn any_slot(&mut self) -> Option<usize> {
        (!self.cells.is_empty()).then(|| self.staff.below(self.cells.len() as u32) as usize)
    }

    /// Some units are broken or past their date.
    fn scrap(&mut self, scene: &Scene, at: TimeMs, out: &mut PlaceEvents) {
        let units = 1 + i64::from(self.staff.below(12));
        if let Some(slot) = self.any_slot() {
            let quantity = (units * 1000).min(self.cells[slot].stock);
            self.write(scene, at, slot, MoveType::Adjusted, -quantity, None, out);
        }
    }

    /// A count finds a little less, or more, than the books say.
    fn count(&mut self, scene: &Scene, at: TimeMs, out: &mut PlaceEvents) {
        let units = i64::from(self.staff.below(25)) - 12;
        if let Some(slot) = self.any_slot() {
            let variance = (units * 1000).max(-self.cells[slot].stock);
            self.write(scene, at, slot, MoveType::CountVariance, variance, None, out);
        }
    }

    /// Orders from suppliers what is low; it comes half a day to a day and a half later.
    fn review(&mut self, scene: &Scene, at: TimeMs) {
        for slot in 0..self.cells.len() {
            let cell = &mut self.cells[slot];
            if cell.stock + cell.on_order <= cell.reorder {
                let pack = i64::from(scene.catalogue.items[usize::from(self.articles[slot])].pack) * 1000;
                let below = cell.reorder - cell.stock - cell.on_order;
                let quantity = cell.order + below / pack * pack;
                cell.on_order += quantity;
                let arrives = at.0 + DAY_MS / 2 + i64::from(self.staff.below(DAY_MS as u32));
                self.supplies.push(Supply {
                    arrives,
                    slot: slot as u16,
                    quantity,
                });
            }
        }
    }

    /// Changes the stock and writes it, in several records where one does not hold the quantity.
    #[expect(clippy::too_many_arguments, reason = "the fields of a record")]
    fn write(
        &mut self,
        scene: &Scene,
        at: TimeMs,
        slot: usize,
        move_type: MoveType,
        quantity: i64,
        destination: Option<Destination>,
        out: &mut PlaceEvents,
    ) {
        let item = &scene.catalogue.items[usize::from(self.articles[slot])];
        let mut rest = quantity;
        while rest != 0 {
            let part = rest.clamp(-QUANTITY_FIELD_MAX.0, QUANTITY_FIELD_MAX.0);
            rest -= part;
            let cell = &mut self.cells[slot];
            cell.stock += part;
            self.sequence += 1;
            let mark = out.mark();
            let record = MoveRecord {
                sequence: self.sequence,
                place: self.location,
                department: item.department,
                sku: Sku(item.sku),
                gtin: item.gtin,
                move_type,
                quantity: Quantity(part),
                on_hand: Quantity(cell.stock),
                on_order: Quantity(cell.on_order),
                unit_cost: Money(i64::from(item.price) * 7 / 10),
                at,
                adjusted_units: 0,
                destination: destination.map(|to| to.store),
                despatch_advice: destination.map(|to| to.despatch_advice),
            };
            let group = destination.map(|to| {
                let group = &mut self.groups[to.group];
                group.lines += 1;
                group.last = out.messages.len() as u32;
                group.lines
            });
            let descriptor = self.manager.of_move(&record, group);
            self.manager.begin(&descriptor, &mut out.bytes);
            out.descriptors.push(descriptor);
            copybook::write(&record, &mut out.bytes)
                .expect("quantities are split to fit, all else is in range");
            let (kind, quantity) = match move_type {
                MoveType::Supplied => (MovementKind::Supplied, part),
                MoveType::Shipped => (MovementKind::Shipped, -part),
                MoveType::Adjusted | MoveType::Returned => (MovementKind::AdjustedBackRoom, part),
                MoveType::CountVariance => (MovementKind::CountedBackRoom, part),
                MoveType::Sold => (MovementKind::Sold, -part),
            };
            out.lines.push(Line {
                sku: Sku(item.sku),
                slot: slot as u16,
                kind,
                quantity,
            });
            let source = SourceId::queue(self.location);
            let number = u64::from(self.sequence);
            let id = TransactionId {
                source,
                business_day: BusinessDay(0),
                number,
            };
            self.queue.add(out.transaction(id, at));
            if let Some(to) = destination {
                let paper = out.paper(to.despatch_advice, PaperKind::Shipment);
                paper.group = group.map(|sequence| (sequence, false));
                self.groups[to.group].last_paper = out.papers.len() - 1;
            }
            out.close(mark, at, Channel::Queue, FORMAT_COPYBOOK_037);
        }
    }
}

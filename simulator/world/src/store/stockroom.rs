//! Staff in a store: deliveries at the back door, rounds that fill shelves, counts, orders.

use contracts::ids::TimeMs;

use super::{OrderLine, Scene, Scratch, Store};
use crate::events::PlaceEvents;
use crate::scan::{self, Handling, Reader, Slips};

/// Lines of one event, at most.
const LINES_A_ROUND: usize = 16;
const LINES_A_RECEIPT: usize = 40;
const LINES_A_COUNT: usize = 50;
/// Rounds in which something goes back: one in so many.
const SENT_BACK_ONE_IN: u32 = 8;
/// Neighbouring SKUs that a cycle count looks at.
const COUNTED: u32 = 24;

impl Store {
    /// All that stands in the store, as counts with a book of zero: the floor, then the back room.
    pub fn opening(&mut self, scene: &Scene, at: TimeMs, out: &mut PlaceEvents, scratch: &mut Scratch) {
        for handling in [Handling::CountFloor, Handling::CountBackRoom] {
            scratch.scan.clear();
            for (slot, cell) in self.cells.iter().enumerate() {
                let quantity = if handling == Handling::CountFloor {
                    cell.floor
                } else {
                    cell.back_room
                };
                if quantity > 0 {
                    scratch.scan.counted(slot, quantity, 0);
                }
            }
            self.scan(scene, at, handling, LINES_A_COUNT, scratch, out);
        }
    }

    /// A lorry that is due now is unloaded.
    pub(super) fn unload(&mut self, scene: &Scene, at: TimeMs, out: &mut PlaceEvents, scratch: &mut Scratch) {
        let Some(index) = self
            .deliveries
            .iter()
            .position(|delivery| delivery.arrives <= at.0)
        else {
            return;
        };
        let delivery = self.deliveries.remove(index);
        if delivery.given_by.is_some() && self.writes_papers() {
            return self.take_in(scene, at, &delivery, out, scratch);
        }
        scratch.scan.clear();
        for (slot, quantity) in &delivery.lines {
            self.cells[usize::from(*slot)].on_order -= quantity;
        }
        let pack_of = |slot: u16| {
            let article = usize::from(self.articles[usize::from(slot)]);
            i32::from(scene.catalogue.items[article].pack) * 1000
        };
        let arrived = scene
            .contradictions
            .on_the_lorry(delivery.despatch_advice, &delivery.lines, pack_of);
        for (slot, quantity) in &arrived {
            self.cells[usize::from(*slot)].back_room += quantity;
            scratch.scan.moved(usize::from(*slot), *quantity);
        }
        let handling = Handling::Receiving {
            despatch_advice: delivery.despatch_advice,
        };
        self.scan(scene, at, handling, LINES_A_RECEIPT, scratch, out);
        self.will_post(scene, at, &delivery, &arrived);
    }

    /// Shelves that are half empty are filled; now and then something goes back.
    pub(super) fn round(&mut self, scene: &Scene, at: TimeMs, out: &mut PlaceEvents, scratch: &mut Scratch) {
        scratch.scan.clear();
        for (slot, cell) in self.cells.iter_mut().enumerate() {
            if cell.floor / 3 <= cell.capacity / 5 && cell.back_room > 0 {
                let quantity = (cell.capacity - cell.floor).min(cell.back_room);
                cell.back_room -= quantity;
                cell.floor += quantity;
                scratch.scan.moved(slot, quantity);
            }
        }
        self.scan(scene, at, Handling::Stocking, LINES_A_ROUND, scratch, out);

        if self.staff.chance(1, 4) {
            scratch.scan.clear();
            let first = self.staff.below(self.cells.len() as u32) as usize;
            for (slot, cell) in self.cells.iter_mut().enumerate().skip(first).take(3) {
                if cell.floor * 2 > cell.capacity {
                    let quantity = cell.floor / 8 / 1000 * 1000;
                    cell.floor -= quantity;
                    cell.back_room += quantity;
                    if quantity > 0 {
                        scratch.scan.moved(slot, quantity);
                    }
                }
            }
            self.scan(scene, at, Handling::Storing, LINES_A_ROUND, scratch, out);
        }
        if self.staff.chance(1, SENT_BACK_ONE_IN) {
            self.send_back(scene, at, out, scratch);
        }
    }

    /// Something that was delivered broken, or too late, goes back to the warehouse.
    fn send_back(&mut self, scene: &Scene, at: TimeMs, out: &mut PlaceEvents, scratch: &mut Scratch) {
        let slot = self.staff.below(self.cells.len() as u32) as usize;
        let wanted = 1_000 * (1 + self.staff.below(3) as i32);
        let cell = &mut self.cells[slot];
        let quantity = wanted.min(cell.back_room / 1000 * 1000);
        if quantity > 0 {
            cell.back_room -= quantity;
            self.returns.push((self.articles[slot], quantity));
            scratch.scan.clear();
            scratch.scan.moved(slot, quantity);
            self.scan(scene, at, Handling::SendingBack, LINES_A_ROUND, scratch, out);
        }
    }

    /// A cycle count of neighbouring shelves finds what was stolen, broken or misplaced since the last one.
    pub(super) fn count(&mut self, scene: &Scene, at: TimeMs, out: &mut PlaceEvents, scratch: &mut Scratch) {
        scratch.scan.clear();
        let first = self.staff.below(self.cells.len() as u32) as usize;
        for (slot, cell) in self
            .cells
            .iter_mut()
            .enumerate()
            .skip(first)
            .take(COUNTED as usize)
        {
            let found = match self.staff.below(8) {
                0 => 1_000,
                1..4 => -1_000,
                4 => -2_000,
                _ => 0,
            };
            let variance = i32::max(found, -cell.floor);
            if variance != 0 {
                scratch.scan.counted(slot, variance, cell.floor);
                cell.floor += variance;
            }
        }
        self.scan(scene, at, Handling::CycleCount, LINES_A_COUNT, scratch, out);
    }

    /// What is low is ordered.
    pub(super) fn review(&mut self) {
        for (slot, cell) in self.cells.iter_mut().enumerate() {
            let below = cell.reorder - cell.floor - cell.back_room - cell.on_order;
            if below >= 0 {
                let quantity = cell.order * (1 + below / cell.order);
                cell.on_order += quantity;
                self.orders.push(OrderLine {
                    slot: slot as u16,
                    article: self.articles[slot],
                    quantity,
                });
            }
        }
    }

    /// Writes what was scanned, by one reader.
    fn scan(
        &mut self,
        scene: &Scene,
        at: TimeMs,
        handling: Handling,
        lines_max: usize,
        scratch: &mut Scratch,
        out: &mut PlaceEvents,
    ) {
        if scratch.scan.lines.is_empty() {
            return;
        }
        let unit = self.staff.below(self.reader_numbers.len() as u32) as usize;
        let number = &mut self.reader_numbers[unit];
        let mut reader = Reader {
            location: self.location,
            unit: unit as u16 + 1,
            number,
            manner: self.manner,
            slips: Some(Slips {
                draws: &mut self.slips,
                rates: scene.slips,
            }),
        };
        let articles = &self.articles;
        let item = |slot: u16| &scene.catalogue.items[usize::from(articles[usize::from(slot)])];
        self.scan += scan::write(&mut reader, at, handling, lines_max, &mut scratch.scan, item, out);
    }
}

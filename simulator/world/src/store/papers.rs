//! Papers of inventory control, which tills of the newer generations write: losses, corrections, counts, goods that go from
//! one store to another.
//!
//! Invariant: a paper is written by the first till, under its next number, in the instant in which the goods move.

use std::cmp::Ordering;

use contracts::ids::{Quantity, Sku, TimeMs};
use contracts::records::MovementKind;
use contracts::wire::poslog::{
    AdjustmentReason, Coded, DocumentStatus, InventoryDocument, InventoryKind, InventoryLine, ItemCode,
    ItemId, Measured, Place, Room, UnitOfMeasure, UnitType,
};
use ledger::Line;

use super::{Delivery, Scene, Scratch, Store};
use crate::catalogue::Item;
use crate::events::PlaceEvents;
use crate::receipt::{control, poslog};

/// Advices of stores lie behind those of all warehouses.
const ADVICE_BASE: u64 = 200_000_000_000;
const ADVICES_A_STORE: u64 = 1_000_000;
const LOSSES: [&str; 5] = ["Spoilage", "Waste", "Breakage", "Lost", "Stolen"];
/// Shelves that a look at random tries for goods.
const TRIES: u32 = 8;
const COUNTED: usize = 12;
const TRANSFERRED: usize = 3;

/// Goods that leave for another store.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// Index of the store.
    pub to: u16,
    pub despatch_advice: u64,
    /// Slot there, and quantity.
    pub lines: Vec<(u16, i32)>,
}

/// The store that gets what is too much here.
#[derive(Debug)]
pub(crate) struct Partner {
    index: u16,
    number: u16,
    /// Slots of what both list: here and there.
    common: Box<[(u16, u16)]>,
}

/// Gives each store that writes papers the next one of its warehouse as partner.
pub(crate) fn with_partners(mut stores: Vec<Store>) -> Vec<Store> {
    for index in 0..stores.len() {
        let next = index + 1;
        if stores[index].writes_papers()
            && let Some(other) = stores
                .get(next)
                .filter(|other| other.warehouse == stores[index].warehouse)
        {
            let partner = Partner {
                index: next as u16,
                number: other.location.number(),
                common: common(&stores[index].articles, &other.articles),
            };
            stores[index].partner = Some(partner);
        }
    }
    stores
}

fn common(here: &[u16], there: &[u16]) -> Box<[(u16, u16)]> {
    let mut found = Vec::new();
    let (mut a, mut b) = (0, 0);
    while a < here.len() && b < there.len() {
        match here[a].cmp(&there[b]) {
            Ordering::Less => a += 1,
            Ordering::Greater => b += 1,
            Ordering::Equal => {
                found.push((a as u16, b as u16));
                a += 1;
                b += 1;
            }
        }
    }
    found.into_boxed_slice()
}

/// A paper being written, with its facts.
struct Paper {
    document: InventoryDocument<'static>,
    facts: Vec<Line>,
    despatch_advice: Option<u64>,
}

impl Paper {
    fn new(kind: InventoryKind) -> Self {
        Self {
            document: InventoryDocument {
                status: Some(Coded::Known(DocumentStatus::Posted)),
                ..InventoryDocument::new(kind)
            },
            facts: Vec::new(),
            despatch_advice: None,
        }
    }

    fn fact(&mut self, slot: usize, item: &Item, kind: MovementKind, quantity: i32) {
        self.facts.push(Line {
            sku: Sku(item.sku),
            slot: slot as u16,
            kind,
            quantity: quantity.into(),
        });
    }
}

impl Store {
    /// The first till can write papers.
    pub(super) fn writes_papers(&self) -> bool {
        self.tills[0].generation.dialect().is_some()
    }

    /// Something of stock happens that no scanner sees.
    pub(super) fn paper(&mut self, scene: &Scene, at: TimeMs, out: &mut PlaceEvents, scratch: &mut Scratch) {
        let paper = match self.desk.below(8) {
            0..3 => self.loss(scene),
            3 => self.adjustment(scene),
            4 => self.correction(scene),
            5 | 6 => self.paper_count(scene),
            _ => self.transfer(scene),
        };
        if let Some(paper) = paper {
            self.write_paper(at, paper, out, scratch);
        }
    }

    /// A slot with at least so many pieces in a room.
    fn some_slot(&mut self, room: Room, pieces: i32) -> Option<usize> {
        (0..TRIES).find_map(|_| {
            let slot = self.desk.below(self.cells.len() as u32) as usize;
            (self.in_room(slot, room) >= pieces * 1000).then_some(slot)
        })
    }

    fn in_room(&mut self, slot: usize, room: Room) -> i32 {
        *self.room(slot, room)
    }

    fn room(&mut self, slot: usize, room: Room) -> &mut i32 {
        let cell = &mut self.cells[slot];
        match room {
            Room::Floor => &mut cell.floor,
            Room::BackRoom => &mut cell.back_room,
        }
    }

    fn some_room(&mut self) -> Room {
        if self.desk.chance(1, 4) {
            Room::BackRoom
        } else {
            Room::Floor
        }
    }

    fn article<'s>(&self, scene: &'s Scene, slot: usize) -> &'s Item {
        &scene.catalogue.items[usize::from(self.articles[slot])]
    }

    /// Spoilt, broken, lost or stolen.
    fn loss(&mut self, scene: &Scene) -> Option<Paper> {
        let room = self.some_room();
        let mut paper = Paper::new(InventoryKind::Loss);
        paper.document.room = room;
        paper.document.type_code = Some(LOSSES[self.desk.below(LOSSES.len() as u32) as usize].into());
        for _ in 0..=self.desk.below(3) {
            let Some(slot) = self.some_slot(room, 2) else {
                continue;
            };
            let item = self.article(scene, slot);
            let quantity = if item.weighed {
                50 + self.desk.below(1500) as i32
            } else {
                1000 * (1 + self.desk.below(2) as i32)
            };
            *self.room(slot, room) -= quantity;
            paper.document.lines.push(InventoryLine {
                item: by_code(item),
                quantity: Some(in_unit(item, quantity)),
                ..InventoryLine::default()
            });
            paper.fact(slot, item, adjusted(room), -quantity);
        }
        Some(paper)
    }

    /// Goods that are given away or destroyed, in whole cartons where there are so many.
    fn adjustment(&mut self, scene: &Scene) -> Option<Paper> {
        let reason = [
            AdjustmentReason::Donate,
            AdjustmentReason::Destroy,
            AdjustmentReason::Liquidate,
            AdjustmentReason::Salvage,
        ][self.desk.below(4) as usize];
        let room = self.some_room();
        let slot = self.some_slot(room, 3)?;
        let item = self.article(scene, slot);
        let mut paper = Paper::new(InventoryKind::Adjustment);
        paper.document.room = room;
        paper.document.reason = Some(Coded::Known(reason));
        let (measured, quantity) = cartons(item, self.in_room(slot, room).min(item.pack_quantity()))
            .unwrap_or_else(|| (in_unit(item, 2000), 2000));
        *self.room(slot, room) -= quantity;
        paper.document.lines.push(InventoryLine {
            item: by_sku(item),
            disposed: Some(measured),
            ..InventoryLine::default()
        });
        paper.fact(slot, item, adjusted(room), -quantity);
        Some(paper)
    }

    /// A mistake of before is put right, up or down.
    fn correction(&mut self, scene: &Scene) -> Option<Paper> {
        let mut paper = Paper::new(InventoryKind::Adjustment);
        paper.document.reason = Some(Coded::Known(AdjustmentReason::Correction));
        for sign in [1, -1] {
            let Some(slot) = self.some_slot(Room::Floor, 3) else {
                continue;
            };
            let item = self.article(scene, slot);
            let quantity = sign * 1000 * (1 + self.desk.below(2) as i32);
            self.cells[slot].floor += quantity;
            paper.document.lines.push(InventoryLine {
                item: by_sku(item),
                disposed: Some(in_unit(item, quantity)),
                ..InventoryLine::default()
            });
            paper.fact(slot, item, MovementKind::AdjustedFloor, quantity);
        }
        Some(paper)
    }

    /// Neighbouring shelves are counted and keyed at the till.
    fn paper_count(&mut self, scene: &Scene) -> Option<Paper> {
        let room = self.some_room();
        let first = self.desk.below(self.cells.len() as u32) as usize;
        let mut paper = Paper::new(InventoryKind::Count);
        paper.document.room = room;
        paper.document.type_code = Some("Cycle".into());
        for slot in first..self.cells.len().min(first + COUNTED) {
            let found = [0, 0, 0, 1000, -1000, -2000, 0, -1000][self.desk.below(8) as usize];
            let item = self.article(scene, slot);
            let book = self.in_room(slot, room);
            let variance = i32::max(found, -book);
            *self.room(slot, room) += variance;
            paper.document.lines.push(InventoryLine {
                item: by_sku(item),
                quantity: Some(in_unit(item, book + variance)),
                book: Some(Quantity(book.into())),
                ..InventoryLine::default()
            });
            let kind = match room {
                Room::Floor => MovementKind::CountedFloor,
                Room::BackRoom => MovementKind::CountedBackRoom,
            };
            // What is as the books say moves nothing.
            if variance != 0 {
                paper.fact(slot, item, kind, variance);
            }
        }
        Some(paper)
    }

    /// What is plenty here goes to the partner.
    fn transfer(&mut self, scene: &Scene) -> Option<Paper> {
        let partner = self.partner.take()?;
        let paper = self.transfer_to(scene, &partner);
        self.partner = Some(partner);
        paper
    }

    fn transfer_to(&mut self, scene: &Scene, partner: &Partner) -> Option<Paper> {
        if partner.common.is_empty() {
            return None;
        }
        let mut paper = Paper::new(InventoryKind::Transfer);
        let mut lines: Vec<(u16, i32)> = Vec::new();
        for _ in 0..TRANSFERRED {
            let (slot, there) = partner.common[self.desk.below(partner.common.len() as u32) as usize];
            let slot = usize::from(slot);
            let item = self.article(scene, slot);
            let plenty = self.cells[slot].back_room / 4;
            let Some((measured, quantity)) = cartons(item, plenty) else {
                continue;
            };
            if lines.iter().any(|(taken, _)| *taken == there) {
                continue;
            }
            self.cells[slot].back_room -= quantity;
            paper.document.lines.push(InventoryLine {
                item: by_code(item),
                disposed: Some(measured),
                ..InventoryLine::default()
            });
            paper.fact(slot, item, MovementKind::Shipped, quantity);
            lines.push((there, quantity));
        }
        if lines.is_empty() {
            return None;
        }
        self.transfers_written += 1;
        let despatch_advice = ADVICE_BASE
            + u64::from(self.location.number()) * ADVICES_A_STORE
            + self.transfers_written % ADVICES_A_STORE;
        paper.despatch_advice = Some(despatch_advice);
        paper.document.source = Some(store(self.location.number()));
        paper.document.destination = Some(store(partner.number));
        self.transfers.push(Transfer {
            to: partner.index,
            despatch_advice,
            lines,
        });
        Some(paper)
    }

    /// Another store's goods are here.
    pub(super) fn take_in(
        &mut self,
        scene: &Scene,
        at: TimeMs,
        delivery: &Delivery,
        out: &mut PlaceEvents,
        scratch: &mut Scratch,
    ) {
        let mut paper = Paper::new(InventoryKind::Transfer);
        for (slot, quantity) in &delivery.lines {
            let slot = usize::from(*slot);
            let item = self.article(scene, slot);
            let cell = &mut self.cells[slot];
            cell.back_room += quantity;
            cell.on_order -= quantity;
            paper.document.lines.push(InventoryLine {
                item: by_sku(item),
                received: Some(in_unit(item, *quantity)),
                ..InventoryLine::default()
            });
            paper.fact(slot, item, MovementKind::Received, *quantity);
        }
        paper.despatch_advice = Some(delivery.despatch_advice);
        paper.document.source = delivery.given_by.map(store);
        paper.document.destination = Some(store(self.location.number()));
        self.write_paper(at, paper, out, scratch);
    }

    fn write_paper(&mut self, at: TimeMs, paper: Paper, out: &mut PlaceEvents, scratch: &mut Scratch) {
        if paper.document.lines.is_empty() {
            return;
        }
        let Some(dialect) = self.tills[0].generation.dialect() else {
            return;
        };
        let till = self.next_number(0, crate::calendar::business_day(at));
        let mut document = paper.document;
        document.id = paper.despatch_advice.map(|advice| advice.to_string().into());
        let transaction = contracts::wire::poslog::Transaction {
            begin: Some(poslog::stamp(at)),
            operator: Some(poslog::operator(till.unit)),
            inventory: vec![document],
            ..poslog::head(&till)
        };
        let written = scratch.document(0, dialect);
        control::write(dialect, &transaction, written);
        written.lines.extend(paper.facts);
        let lines = written.transaction(till.id(), at);
        self.till.add(lines);
        self.visit_ends(0, at, out, scratch);
    }
}

const fn adjusted(room: Room) -> MovementKind {
    match room {
        Room::Floor => MovementKind::AdjustedFloor,
        Room::BackRoom => MovementKind::AdjustedBackRoom,
    }
}

fn store(number: u16) -> Place<'static> {
    Place {
        kind: Some(Coded::Known(UnitType::RetailStore)),
        id: format!("{number:04}").into(),
    }
}

fn by_sku(item: &Item) -> ItemId<'static> {
    ItemId {
        sku: Some(Sku(item.sku)),
        ..ItemId::default()
    }
}

fn by_code(item: &Item) -> ItemId<'static> {
    ItemId {
        code: Some(if item.weighed {
            ItemCode::Plu(item.plu)
        } else {
            ItemCode::Gtin(item.gtin)
        }),
        ..ItemId::default()
    }
}

fn in_unit(item: &Item, quantity: i32) -> Measured<'static> {
    let quantity = Quantity(quantity.into());
    if item.weighed {
        Measured::new(quantity, UnitOfMeasure::Kilogram)
    } else {
        quantity.into()
    }
}

/// Whole cartons within a quantity, and what that is in pieces.
fn cartons(item: &Item, within: i32) -> Option<(Measured<'static>, i32)> {
    let count = within / item.pack_quantity();
    (count > 0 && !item.weighed).then(|| {
        let measured = Measured::new(Quantity::units(count.into()), UnitOfMeasure::Carton);
        (measured, count * item.pack_quantity())
    })
}

//! Papers of inventory control, which tills of the newer generations write: losses, corrections, counts.
//!
//! Invariant: a paper is written by the first till, under its next number, in the instant in which the goods move; one that
//! confirms moves none.

use contracts::ids::{Quantity, Sku, TimeMs};
use contracts::records::{MovementKind, PaperKind};
use contracts::wire::poslog::{
    AdjustmentReason, Coded, DocumentStatus, InventoryDocument, InventoryKind, InventoryLine, ItemCode,
    ItemId, Measured, Room, UnitOfMeasure,
};
use ledger::Line;

use super::{Scene, Scratch, Store};
use crate::catalogue::Item;
use crate::events::PlaceEvents;
use crate::receipt::{control, poslog};

const LOSSES: [&str; 5] = ["Spoilage", "Waste", "Breakage", "Lost", "Stolen"];
/// Shelves that a look at random tries for goods.
const TRIES: u32 = 8;
const COUNTED: usize = 12;

/// A paper being written, with its facts.
pub(super) struct Paper {
    pub document: InventoryDocument<'static>,
    /// What it moves, or, of one that confirms, what it says of goods that another paper moves.
    facts: Vec<Line>,
    pub despatch_advice: Option<u64>,
}

impl Paper {
    pub fn new(kind: InventoryKind) -> Self {
        Self {
            document: InventoryDocument {
                status: Some(Coded::Known(DocumentStatus::Posted)),
                ..InventoryDocument::new(kind)
            },
            facts: Vec::new(),
            despatch_advice: None,
        }
    }

    pub fn fact(&mut self, slot: usize, item: &Item, kind: MovementKind, quantity: i32) {
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
            0..3 => Some(self.loss(scene)),
            3 => self.adjustment(scene),
            4 => Some(self.correction(scene)),
            5 | 6 => Some(self.paper_count(scene)),
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

    pub(super) fn article<'s>(&self, scene: &'s Scene, slot: usize) -> &'s Item {
        &scene.catalogue.items[usize::from(self.articles[slot])]
    }

    /// Spoilt, broken, lost or stolen.
    fn loss(&mut self, scene: &Scene) -> Paper {
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
        paper
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
    fn correction(&mut self, scene: &Scene) -> Paper {
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
        paper
    }

    /// Neighbouring shelves are counted and keyed at the till.
    fn paper_count(&mut self, scene: &Scene) -> Paper {
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
        paper
    }

    pub(super) fn write_paper(
        &mut self,
        at: TimeMs,
        paper: Paper,
        out: &mut PlaceEvents,
        scratch: &mut Scratch,
    ) {
        if paper.document.lines.is_empty() {
            return;
        }
        let Some(dialect) = self.tills[0].generation.dialect() else {
            return;
        };
        let till = self.next_number(0, crate::calendar::business_day(at));
        let mut document = paper.document;
        document.id = paper.despatch_advice.map(|advice| advice.to_string().into());
        let is_confirmation = document.is_confirmation();
        let transaction = contracts::wire::poslog::Transaction {
            begin: Some(poslog::stamp(at)),
            operator: Some(poslog::operator(till.unit)),
            inventory: vec![document],
            ..poslog::head(&till)
        };
        let written = scratch.document(0, dialect);
        control::write(dialect, &transaction, written);
        let confirmed = paper.despatch_advice.filter(|_| is_confirmation);
        if confirmed.is_none() {
            written.lines.extend(&paper.facts);
        }
        let lines = written.transaction(till.id(), at);
        if let Some(advice) = confirmed {
            written.confirm(advice, PaperKind::ReceiveInventory, &paper.facts);
        }
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

pub(super) fn by_sku(item: &Item) -> ItemId<'static> {
    ItemId {
        sku: Some(Sku(item.sku)),
        ..ItemId::default()
    }
}

pub(super) fn by_code(item: &Item) -> ItemId<'static> {
    ItemId {
        code: Some(if item.weighed {
            ItemCode::Plu(item.plu)
        } else {
            ItemCode::Gtin(item.gtin)
        }),
        ..ItemId::default()
    }
}

pub(super) fn in_unit(item: &Item, quantity: i32) -> Measured<'static> {
    let quantity = Quantity(quantity.into());
    if item.weighed {
        Measured::new(quantity, UnitOfMeasure::Kilogram)
    } else {
        quantity.into()
    }
}

/// Whole cartons within a quantity, and what that is in pieces.
pub(super) fn cartons(item: &Item, within: i32) -> Option<(Measured<'static>, i32)> {
    let count = within / item.pack_quantity();
    (count > 0 && !item.weighed).then(|| {
        let measured = Measured::new(Quantity::units(count.into()), UnitOfMeasure::Carton);
        (measured, count * item.pack_quantity())
    })
}

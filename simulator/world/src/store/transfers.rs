//! Goods that go from one store to another.
//!
//! Invariant: what leaves is on the road until the other store takes it in, under one despatch advice.

use std::cmp::Ordering;

use contracts::ids::TimeMs;
use contracts::records::MovementKind;
use contracts::wire::poslog::{Coded, InventoryKind, InventoryLine, Place, UnitType};

use super::papers::{Paper, by_code, by_sku, cartons, in_unit};
use super::{Delivery, Scene, Scratch, Store};
use crate::events::PlaceEvents;

/// Advices of stores lie behind those of all warehouses.
const ADVICE_BASE: u64 = 200_000_000_000;
const ADVICES_A_STORE: u64 = 1_000_000;
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

impl Store {
    /// As papers name it.
    pub(super) fn here(&self) -> Place<'static> {
        store(self.location.number())
    }

    /// What is plenty here goes to the partner.
    pub(super) fn transfer(&mut self, scene: &Scene) -> Option<Paper> {
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
        paper.document.source = Some(self.here());
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
        paper.document.destination = Some(self.here());
        self.write_paper(at, paper, out, scratch);
    }
}

fn store(number: u16) -> Place<'static> {
    Place {
        kind: Some(Coded::Known(UnitType::RetailStore)),
        id: format!("{number:04}").into(),
    }
}

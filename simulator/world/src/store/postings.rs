//! Deliveries as the till system posts them: a paper that confirms, in stores of the newest till generation.
//!
//! Invariant: it moves no stock, whatever it says; it is written behind the scan at the back door, in a later step.

use contracts::ids::TimeMs;
use contracts::records::MovementKind;
use contracts::wire::poslog::{Coded, InventoryKind, InventoryLine, Measured, Place, UnitType};

use super::papers::{Paper, by_sku, cartons, in_unit};
use super::{Delivery, Scene, Scratch, Store};
use crate::catalogue::Item;
use crate::events::PlaceEvents;
use crate::generation::Generation;
use crate::warehouse;

/// A delivery that was scanned, and that somebody will post at the first till.
#[derive(Debug)]
pub(super) struct Posting {
    pub at: i64,
    despatch_advice: u64,
    /// Slot, what the despatch advice says and what will be posted, in its order.
    lines: Vec<(u16, i32, i32)>,
}

impl Store {
    /// A delivery has been scanned: `arrived` is what was on the lorry.
    pub(super) fn will_post(
        &mut self,
        scene: &Scene,
        at: TimeMs,
        delivery: &Delivery,
        arrived: &[(u16, i32)],
    ) {
        if delivery.given_by.is_some() || self.tills[0].generation != Generation::PosLog6 {
            return;
        }
        let pack_of = |slot: u16| self.article(scene, usize::from(slot)).pack_quantity();
        let posted = scene
            .contradictions
            .posted(delivery.despatch_advice, &delivery.lines, arrived, pack_of);
        let lines = delivery.lines.iter().map(|(slot, advised)| {
            let posted = posted.iter().find(|(other, _)| other == slot);
            (*slot, *advised, posted.map_or(0, |(_, quantity)| *quantity))
        });
        self.postings.push(Posting {
            at: at.0 + scene.contradictions.posted_after_ms(delivery.despatch_advice),
            despatch_advice: delivery.despatch_advice,
            lines: lines.collect(),
        });
    }

    /// What is due is posted.
    pub(super) fn post(&mut self, scene: &Scene, at: TimeMs, out: &mut PlaceEvents, scratch: &mut Scratch) {
        let Some(index) = self.postings.iter().position(|posting| posting.at <= at.0) else {
            return;
        };
        let posting = self.postings.remove(index);
        let mut paper = Paper::new(InventoryKind::Receive);
        paper.document.type_code = Some("Receipt".into());
        paper.document.source = Some(Place {
            kind: Some(Coded::Known(UnitType::DistributionCenter)),
            id: warehouse::of_advice(posting.despatch_advice).to_string().into(),
        });
        paper.document.destination = Some(self.here());
        for (slot, advised, posted) in posting.lines {
            let slot = usize::from(slot);
            let item = self.article(scene, slot);
            paper.document.lines.push(InventoryLine {
                item: by_sku(item),
                ordered: Some(measured(item, advised)),
                received: Some(measured(item, posted)),
                ..InventoryLine::default()
            });
            if posted != 0 {
                paper.fact(slot, item, MovementKind::Received, posted);
            }
        }
        paper.despatch_advice = Some(posting.despatch_advice);
        self.write_paper(at, paper, out, scratch);
    }
}

/// In cartons, where it is whole ones.
fn measured(item: &Item, quantity: i32) -> Measured<'static> {
    cartons(item, quantity)
        .filter(|(_, whole)| *whole == quantity)
        .map_or_else(|| in_unit(item, quantity), |(measured, _)| measured)
}

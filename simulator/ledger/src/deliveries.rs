//! The truth of deliveries: what each kind of paper said of each, and the list of contradictions that must come out.
//!
//! It is told by the world what papers were written and not lost; how a service collects them it does not know.

use std::collections::{BTreeMap, BTreeSet};

use contracts::ids::Sku;
use contracts::records::PaperKind;

use crate::Line;

/// A paper of a delivery as its source wrote it.
#[derive(Clone, Copy, Debug)]
pub struct TruePaper<'a> {
    pub despatch_advice: u64,
    pub kind: PaperKind,
    pub lines: &'a [Line],
    /// Its place within the papers of its kind, and whether it is the last; `None`: it does not say.
    pub group: Option<(u32, bool)>,
}

/// A delivery whose papers contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueDiscrepancy {
    pub despatch_advice: u64,
    /// Ascending by SKU: shipped, scanned, posted by the till system.
    pub lines: Vec<(Sku, [i64; 3])>,
    pub has_scan: bool,
    pub has_receive_inventory: bool,
}

#[derive(Clone, Debug, Default)]
struct Side {
    papers: u64,
    /// Ascending by SKU. Few: a map's nodes would take several times their memory.
    quantities: Vec<(Sku, i64)>,
    /// Ascending.
    sequences: Vec<u32>,
    last: Option<u32>,
}

impl Side {
    fn add(&mut self, line: &Line) {
        match self.quantities.binary_search_by_key(&line.sku, |(sku, _)| *sku) {
            Ok(place) => self.quantities[place].1 += line.quantity,
            Err(place) => self.quantities.insert(place, (line.sku, line.quantity)),
        }
    }

    fn quantity(&self, sku: Sku) -> i64 {
        let place = self.quantities.binary_search_by_key(&sku, |(known, _)| *known);
        place.map_or(0, |place| self.quantities[place].1)
    }

    fn is_whole(&self) -> bool {
        match self.last {
            _ if self.papers == 0 => false,
            Some(last) => (1..=last).all(|sequence| self.sequences.binary_search(&sequence).is_ok()),
            None => self.sequences.is_empty(),
        }
    }
}

/// Papers that are written behind the last one of a delivery until that is forgotten, if it agrees: at Acme's size half a day. A
/// till system posts within the hour.
const FORGOTTEN_BEHIND: u64 = 180_000;

#[derive(Clone, Debug, Default)]
struct Delivery {
    sides: [Side; 3],
    /// Which of all papers its last one was.
    last: u64,
}

/// By despatch advice.
#[derive(Clone, Debug)]
pub struct Deliveries {
    known: BTreeMap<u64, Delivery>,
    papers: u64,
    forgotten_behind: u64,
    forgotten: u64,
}

impl Default for Deliveries {
    fn default() -> Self {
        Self::forgetting_behind(FORGOTTEN_BEHIND)
    }
}

impl Deliveries {
    const fn forgetting_behind(papers: u64) -> Self {
        Self {
            known: BTreeMap::new(),
            papers: 0,
            forgotten_behind: papers,
            forgotten: 0,
        }
    }

    pub fn wrote(&mut self, paper: &TruePaper<'_>) {
        let index = match paper.kind {
            PaperKind::Shipment => 0,
            PaperKind::ReceivingScan => 1,
            PaperKind::ReceiveInventory => 2,
            PaperKind::Unspecified => return,
        };
        self.papers += 1;
        let delivery = self.known.entry(paper.despatch_advice).or_default();
        delivery.last = self.papers;
        let side = &mut delivery.sides[index];
        side.papers += 1;
        for line in paper.lines {
            side.add(line);
        }
        if let Some((sequence, is_last)) = paper.group {
            if let Err(place) = side.sequences.binary_search(&sequence) {
                side.sequences.insert(place, sequence);
            }
            if is_last {
                side.last = Some(sequence);
            }
        }
        // Not each time: it looks at all of them.
        if self.papers.is_multiple_of(self.forgotten_behind / 8) {
            self.forget();
        }
    }

    /// What agrees and has no paper any more.
    fn forget(&mut self) {
        let old = self.papers.saturating_sub(self.forgotten_behind);
        let before = self.known.len();
        self.known
            .retain(|advice, delivery| delivery.last > old || !agrees(*advice, &delivery.sides));
        self.forgotten += (before - self.known.len()) as u64;
    }

    /// Deliveries that anything was written of.
    pub fn count(&self) -> u64 {
        self.known.len() as u64 + self.forgotten
    }

    /// Ascending by advice.
    pub fn discrepancies(&self) -> Vec<TrueDiscrepancy> {
        self.known
            .iter()
            .filter_map(|(advice, delivery)| discrepancy(*advice, &delivery.sides))
            .collect()
    }
}

fn is_comparable(sides: &[Side; 3]) -> bool {
    let [shipment, scan, posted] = sides;
    shipment.is_whole() && (scan.is_whole() || posted.is_whole())
}

fn agrees(advice: u64, sides: &[Side; 3]) -> bool {
    is_comparable(sides) && discrepancy(advice, sides).is_none()
}

fn discrepancy(despatch_advice: u64, sides: &[Side; 3]) -> Option<TrueDiscrepancy> {
    if !is_comparable(sides) {
        return None;
    }
    let [has_scan, has_receive_inventory] = [1, 2].map(|side: usize| sides[side].is_whole());
    let is_there = [true, has_scan, has_receive_inventory];
    let quantity = |side: usize, sku: Sku| {
        if is_there[side] {
            sides[side].quantity(sku)
        } else {
            0
        }
    };
    let named: BTreeSet<Sku> = (0..3)
        .filter(|side| is_there[*side])
        .flat_map(|side| sides[side].quantities.iter().map(|(sku, _)| *sku))
        .collect();
    let lines: Vec<_> = named
        .iter()
        .map(|sku| (*sku, [0, 1, 2].map(|side| quantity(side, *sku))))
        .filter(|(_, [shipped, scanned, posted])| {
            (has_scan && scanned != shipped) || (has_receive_inventory && posted != shipped)
        })
        .collect();
    (!lines.is_empty()).then_some(TrueDiscrepancy {
        despatch_advice,
        lines,
        has_scan,
        has_receive_inventory,
    })
}

#[cfg(test)]
mod tests {
    use contracts::records::MovementKind;

    use super::*;

    type Written = (PaperKind, i64, Option<(u32, bool)>);

    fn list(papers: &[Written]) -> Vec<TrueDiscrepancy> {
        let mut deliveries = Deliveries::default();
        for (kind, quantity, group) in papers {
            let line = Line {
                sku: Sku(7),
                slot: 0,
                kind: MovementKind::Received,
                quantity: *quantity,
            };
            deliveries.wrote(&TruePaper {
                despatch_advice: 12,
                kind: *kind,
                lines: &[line],
                group: *group,
            });
        }
        deliveries.discrepancies()
    }

    #[test]
    fn a_carton_less_is_on_the_list_and_what_agrees_is_not() {
        let found = list(&[
            (PaperKind::Shipment, 48, None),
            (PaperKind::ReceivingScan, 47, None),
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].lines, [(Sku(7), [48, 47, 0])]);
        assert_eq!(
            list(&[
                (PaperKind::Shipment, 48, None),
                (PaperKind::ReceivingScan, 48, None)
            ]),
            []
        );
        assert_eq!(list(&[(PaperKind::Shipment, 48, None)]), []);
    }

    #[test]
    fn a_group_that_lost_a_paper_says_nothing() {
        let receipt = (PaperKind::ReceivingScan, 47, None);
        let first = (PaperKind::Shipment, 24, Some((1, false)));
        let last = (PaperKind::Shipment, 24, Some((2, true)));
        assert_eq!(list(&[last, receipt]), []);
        assert_eq!(list(&[first, last, receipt]).len(), 1);
    }

    #[test]
    fn what_agrees_is_forgotten_and_what_contradicts_or_waits_is_not() {
        let mut deliveries = Deliveries::forgetting_behind(80);
        let mut write = |despatch_advice: u64, kind, quantity| {
            let line = Line {
                sku: Sku(7),
                slot: 0,
                kind: MovementKind::Received,
                quantity,
            };
            deliveries.wrote(&TruePaper {
                despatch_advice,
                kind,
                lines: &[line],
                group: None,
            });
        };
        write(1, PaperKind::Shipment, 48);
        write(1, PaperKind::ReceivingScan, 47);
        write(2, PaperKind::Shipment, 48);
        for advice in 3..1_000 {
            write(advice, PaperKind::Shipment, 48);
            write(advice, PaperKind::ReceivingScan, 48);
        }
        // Behind all that agrees: it was not forgotten too early.
        write(999, PaperKind::ReceiveInventory, 46);
        let list: Vec<_> = deliveries
            .discrepancies()
            .iter()
            .map(|one| one.despatch_advice)
            .collect();
        assert_eq!(list, [1, 999]);
        assert_eq!(deliveries.count(), 999);
        assert!(deliveries.known.contains_key(&2), "it may still be received");
        assert!(deliveries.known.len() < 60, "{}", deliveries.known.len());
    }
}

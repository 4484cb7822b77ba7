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
    quantities: BTreeMap<Sku, i64>,
    sequences: BTreeSet<u32>,
    last: Option<u32>,
}

impl Side {
    fn is_whole(&self) -> bool {
        match self.last {
            _ if self.papers == 0 => false,
            Some(last) => (1..=last).all(|sequence| self.sequences.contains(&sequence)),
            None => self.sequences.is_empty(),
        }
    }
}

/// By despatch advice.
#[derive(Clone, Debug, Default)]
pub struct Deliveries(BTreeMap<u64, [Side; 3]>);

impl Deliveries {
    pub fn wrote(&mut self, paper: &TruePaper<'_>) {
        let index = match paper.kind {
            PaperKind::Shipment => 0,
            PaperKind::ReceivingScan => 1,
            PaperKind::ReceiveInventory => 2,
            PaperKind::Unspecified => return,
        };
        let side = &mut self.0.entry(paper.despatch_advice).or_default()[index];
        side.papers += 1;
        for line in paper.lines {
            *side.quantities.entry(line.sku).or_default() += line.quantity;
        }
        if let Some((sequence, is_last)) = paper.group {
            side.sequences.insert(sequence);
            if is_last {
                side.last = Some(sequence);
            }
        }
    }

    /// Deliveries that anything was written of.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ascending by advice.
    pub fn discrepancies(&self) -> Vec<TrueDiscrepancy> {
        self.0
            .iter()
            .filter_map(|(advice, sides)| discrepancy(*advice, sides))
            .collect()
    }
}

fn discrepancy(despatch_advice: u64, sides: &[Side; 3]) -> Option<TrueDiscrepancy> {
    let [has_shipment, has_scan, has_receive_inventory] = [0, 1, 2].map(|side: usize| sides[side].is_whole());
    if !has_shipment || !(has_scan || has_receive_inventory) {
        return None;
    }
    let is_there = [true, has_scan, has_receive_inventory];
    let quantity = |side: usize, sku| {
        if is_there[side] {
            sides[side].quantities.get(sku).copied().unwrap_or(0)
        } else {
            0
        }
    };
    let named: BTreeSet<Sku> = (0..3)
        .filter(|side| is_there[*side])
        .flat_map(|side| sides[side].quantities.keys().copied())
        .collect();
    let lines: Vec<_> = named
        .iter()
        .map(|sku| (*sku, [0, 1, 2].map(|side| quantity(side, sku))))
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
}

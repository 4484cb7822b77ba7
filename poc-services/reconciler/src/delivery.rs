//! One delivery: the set of its papers, and what contradicts in it. Pure.
//!
//! A side is one kind of paper. It is complete when its papers say which is the last of them and all up to it are there; where none
//! says so, what is there is taken for all, and a paper that comes later corrects what was concluded. There is something to
//! compare when the shipment is complete and so is at least one record of the receipt.
//!
//! Invariant: order and repeats of papers change nothing. Two papers under one identity with other content are a mistake of their
//! source: the one with the smaller hash counts, whichever came first.

use std::collections::{BTreeMap, BTreeSet};

use contracts::records::{Discrepancy, DiscrepancyLine, Paper, PaperKind};

const KINDS: [PaperKind; 3] = [
    PaperKind::Shipment,
    PaperKind::ReceivingScan,
    PaperKind::ReceiveInventory,
];

/// Location, kind of source, unit, business day, number.
fn identity(paper: &Paper) -> (&str, i32, u32, u32, u64) {
    (
        &paper.location,
        paper.source_kind,
        paper.source_unit,
        paper.business_day,
        paper.number,
    )
}

/// The papers of one despatch advice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Ascending by identity. A delivery has few: a map's nodes would take several times their memory.
    papers: Vec<Paper>,
}

/// What the papers of a delivery say of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There are no two sides to compare.
    Open,
    Agrees,
    Differs(Discrepancy),
}

/// What the papers of a kind add up to.
#[derive(Debug, Default)]
struct Side<'a> {
    location: &'a str,
    quantities: BTreeMap<u32, i64>,
}

impl Delivery {
    /// Adds a paper to the set.
    pub fn take(&mut self, paper: Paper) {
        let place = self
            .papers
            .binary_search_by(|known| identity(known).cmp(&identity(&paper)));
        match place {
            Err(place) => self.papers.insert(place, paper),
            Ok(place) if paper.content_hash < self.papers[place].content_hash => self.papers[place] = paper,
            Ok(_) => {}
        }
    }

    /// `None`: there is none, or it is not complete.
    fn side(&self, kind: PaperKind) -> Option<Side<'_>> {
        let mut side = Side::default();
        let mut sequences = BTreeSet::new();
        let mut last = None;
        let mut papers = 0;
        for paper in self.papers.iter().filter(|paper| paper.kind() == kind) {
            papers += 1;
            side.location = &paper.location;
            for line in &paper.lines {
                *side.quantities.entry(line.sku).or_default() += line.quantity;
            }
            if paper.group_sequence > 0 {
                sequences.insert(paper.group_sequence);
            }
            if paper.is_last_in_group {
                last = Some(paper.group_sequence);
            }
        }
        let is_complete = match last {
            _ if papers == 0 => false,
            None => sequences.is_empty(),
            Some(last) => sequences.range(1..=last).count() == last as usize,
        };
        is_complete.then_some(side)
    }

    /// What contradicts in it, as far as the papers go.
    pub fn verdict(&self) -> Verdict {
        let [shipment, scan, posted] = KINDS.map(|kind| self.side(kind));
        let (Some(shipment), Some(receipt)) = (shipment, scan.as_ref().or(posted.as_ref())) else {
            return Verdict::Open;
        };
        let of = |side: Option<&Side<'_>>, sku| {
            side.and_then(|side| side.quantities.get(&sku))
                .copied()
                .unwrap_or(0)
        };
        let sides = [Some(&shipment), scan.as_ref(), posted.as_ref()];
        let skus: BTreeSet<u32> = sides
            .iter()
            .flatten()
            .flat_map(|side| side.quantities.keys().copied())
            .collect();
        let lines: Vec<DiscrepancyLine> = skus
            .into_iter()
            .map(|sku| DiscrepancyLine {
                sku,
                shipped: of(sides[0], sku),
                scanned: of(sides[1], sku),
                receive_inventory: of(sides[2], sku),
            })
            .filter(|line| {
                scan.is_some() && line.scanned != line.shipped
                    || posted.is_some() && line.receive_inventory != line.shipped
            })
            .collect();
        if lines.is_empty() {
            return Verdict::Agrees;
        }
        Verdict::Differs(Discrepancy {
            despatch_advice: self.papers.first().map_or(0, |paper| paper.despatch_advice),
            warehouse: shipment.location.to_owned(),
            store: receipt.location.to_owned(),
            lines,
            has_scan: scan.is_some(),
            has_receive_inventory: posted.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use contracts::records::{PaperLine, SourceKind};

    use super::*;

    fn paper(kind: PaperKind, number: u64, lines: &[(u32, i64)]) -> Paper {
        let (location, source_kind) = match kind {
            PaperKind::Shipment => ("W0002", SourceKind::Queue),
            PaperKind::ReceivingScan => ("S0042", SourceKind::Reader),
            _ => ("S0042", SourceKind::Till),
        };
        Paper {
            despatch_advice: 20_000_012,
            kind: kind as i32,
            location: location.into(),
            source_kind: source_kind as i32,
            number,
            content_hash: number * 1_000
                + lines
                    .iter()
                    .map(|(_, quantity)| quantity.unsigned_abs())
                    .sum::<u64>(),
            lines: lines
                .iter()
                .map(|(sku, quantity)| PaperLine {
                    sku: *sku,
                    quantity: *quantity,
                })
                .collect(),
            ..Paper::default()
        }
    }

    fn of(papers: &[Paper]) -> Option<Discrepancy> {
        let mut delivery = Delivery::default();
        papers.iter().cloned().for_each(|paper| delivery.take(paper));
        match delivery.verdict() {
            Verdict::Differs(discrepancy) => Some(discrepancy),
            Verdict::Open | Verdict::Agrees => None,
        }
    }

    fn shipment(number: u64, lines: &[(u32, i64)]) -> Paper {
        paper(PaperKind::Shipment, number, lines)
    }

    fn scan(number: u64, lines: &[(u32, i64)]) -> Paper {
        paper(PaperKind::ReceivingScan, number, lines)
    }

    fn posted(number: u64, lines: &[(u32, i64)]) -> Paper {
        paper(PaperKind::ReceiveInventory, number, lines)
    }

    #[test]
    fn forty_seven_of_forty_eight_cartons_are_a_discrepancy_with_both_sides() {
        let found = of(&[
            shipment(1, &[(7, 48_000)]),
            shipment(2, &[(8, 12_000)]),
            scan(1, &[(7, 47_000), (8, 12_000)]),
        ])
        .expect("they differ");
        assert_eq!(
            (found.warehouse.as_str(), found.store.as_str()),
            ("W0002", "S0042")
        );
        let [line] = found.lines[..] else {
            panic!("one line: {found:?}")
        };
        assert_eq!((line.sku, line.shipped, line.scanned), (7, 48_000, 47_000));
        assert!(found.has_scan && !found.has_receive_inventory);
    }

    #[test]
    fn what_one_side_does_not_name_is_nothing_there() {
        let missing =
            of(&[shipment(1, &[(7, 6_000), (8, 6_000)]), scan(1, &[(8, 6_000)])]).expect("7 is missing");
        assert_eq!((missing.lines[0].sku, missing.lines[0].scanned), (7, 0));
        let more = of(&[shipment(1, &[(8, 6_000)]), scan(1, &[(8, 6_000), (9, 1_000)])]).expect("9 is more");
        assert_eq!((more.lines[0].sku, more.lines[0].shipped), (9, 0));
    }

    #[test]
    fn nothing_is_said_before_there_are_two_sides() {
        assert_eq!(of(&[shipment(1, &[(7, 1)])]), None);
        assert_eq!(of(&[scan(1, &[(7, 1)])]), None);
        assert_eq!(of(&[scan(1, &[(7, 1)]), posted(1, &[(7, 2)])]), None);
        assert_eq!(of(&[shipment(1, &[(7, 1)]), scan(1, &[(7, 1)])]), None);
    }

    #[test]
    fn a_third_paper_confirms_or_contradicts() {
        let two = [shipment(1, &[(7, 48)]), scan(1, &[(7, 48)])];
        let with = |third: Paper| of(&[two[0].clone(), two[1].clone(), third]);
        assert_eq!(with(posted(9, &[(7, 48)])), None);
        let found = with(posted(9, &[(7, 47)])).expect("it contradicts");
        assert_eq!(found.lines[0].receive_inventory, 47);
        assert!(found.has_receive_inventory);
    }

    #[test]
    fn a_group_that_says_its_last_is_waited_for() {
        let numbered = |mut paper: Paper, sequence, is_last| {
            paper.group_sequence = sequence;
            paper.is_last_in_group = is_last;
            paper
        };
        let first = numbered(shipment(1, &[(7, 6)]), 1, false);
        let second = numbered(shipment(2, &[(8, 6)]), 2, false);
        let last = numbered(shipment(3, &[(9, 6)]), 3, true);
        let receipt = scan(1, &[(7, 6), (8, 6), (9, 5)]);
        assert_eq!(of(&[first.clone(), second.clone(), receipt.clone()]), None);
        assert_eq!(of(&[first.clone(), last.clone(), receipt.clone()]), None);
        assert_eq!(
            of(&[first, second, last, receipt]).map(|found| found.lines.len()),
            Some(1)
        );
    }

    #[test]
    fn order_and_repeats_change_nothing() {
        let mut papers = vec![
            shipment(1, &[(7, 48)]),
            shipment(2, &[(8, 12)]),
            shipment(2, &[(8, 11)]),
            scan(1, &[(7, 47)]),
            scan(2, &[(8, 12)]),
            posted(5, &[(7, 48), (8, 12)]),
        ];
        let expected = of(&papers);
        assert!(expected.is_some());
        for turn in 0..papers.len() {
            papers.rotate_left(1);
            papers.swap(0, turn);
            let twice: Vec<Paper> = papers.iter().chain(papers.iter().rev()).cloned().collect();
            assert_eq!(of(&twice), expected);
        }
    }

    #[test]
    fn a_correction_turns_what_it_corrects_round() {
        let wrong = scan(1, &[(7, 40)]);
        let corrected = scan(2, &[(7, -40)]);
        let right = scan(3, &[(7, 48)]);
        assert_eq!(of(&[shipment(1, &[(7, 48)]), wrong, corrected, right]), None);
    }
}

//! The papers of a partition by delivery, and which of them need not be kept any more. Pure.
//!
//! A delivery whose papers could be compared is kept until so many papers of the partition were read behind its last one; one that
//! never could be, longer. Age is counted in papers: no clock of a source makes another delivery old, nor does deleting, and
//! after a restart nothing is older than before. A paper that comes later still is compared with nothing, and what was published of its delivery stays.
//!
//! Invariant: what is deleted of a delivery is all of it. Where only some is deleted, because somebody died in the middle, the
//! rest goes too before anything is concluded from it.

use std::collections::{BTreeMap, BTreeSet};

use contracts::records::Paper;

use crate::delivery::{Delivery, Verdict};

/// Papers of the partition behind the last one of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Of one that could be compared.
    pub settled: u64,
    /// Of one that never could.
    pub unsettled: u64,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            settled: 30_000,
            unsettled: 500_000,
        }
    }
}

#[derive(Debug, Default)]
struct Kept {
    delivery: Delivery,
    /// Ascending.
    keys: Vec<Box<[u8]>>,
    /// Which paper of the partition its last one was.
    last: u64,
    is_deleted: bool,
}

/// Of one partition.
#[derive(Debug, Default)]
pub struct Papers {
    deliveries: BTreeMap<u64, Kept>,
    /// Papers that were read.
    count: u64,
    /// Last paper and advice: those that were not looked at since they were old enough, and those that cannot be compared.
    young: BTreeSet<(u64, u64)>,
    unsettled: BTreeSet<(u64, u64)>,
    /// Of which somebody has deleted something.
    deleted: BTreeSet<u64>,
}

impl Papers {
    pub fn take(&mut self, key: &[u8], paper: Paper) {
        self.count += 1;
        let advice = paper.despatch_advice;
        let kept = self.deliveries.entry(advice).or_default();
        for ages in [&mut self.young, &mut self.unsettled] {
            ages.remove(&(kept.last, advice));
        }
        kept.last = self.count;
        if let Err(place) = kept.keys.binary_search_by(|known| (**known).cmp(key)) {
            kept.keys.insert(place, key.into());
        }
        kept.delivery.take(paper);
        self.young.insert((self.count, advice));
    }

    /// A paper is deleted.
    pub fn delete(&mut self, key: &[u8]) {
        let advice = std::str::from_utf8(key)
            .ok()
            .and_then(|key| key.split('/').next()?.parse::<u64>().ok());
        let Some((advice, kept)) =
            advice.and_then(|advice| Some((advice, self.deliveries.get_mut(&advice)?)))
        else {
            return;
        };
        kept.keys.retain(|known| **known != *key);
        kept.is_deleted = true;
        self.deleted.insert(advice);
    }

    /// What its papers say; nothing of one whose papers are gone.
    pub fn verdict(&self, advice: u64) -> Verdict {
        match self.deliveries.get(&advice) {
            Some(kept) if !kept.is_deleted => kept.delivery.verdict(),
            _ => Verdict::Open,
        }
    }

    /// Forgets what need not be kept, and gives the keys that are to be deleted.
    pub fn forget(&mut self, keep: Keep) -> Vec<Box<[u8]>> {
        let mut gone: Vec<u64> = std::mem::take(&mut self.deleted).into_iter().collect();
        let count = self.count;
        let old = |after: u64| (count.saturating_sub(after), 0);
        let young = self.young.split_off(&old(keep.settled));
        for (last, advice) in std::mem::replace(&mut self.young, young) {
            if self.verdict(advice) == Verdict::Open {
                self.unsettled.insert((last, advice));
            } else {
                gone.push(advice);
            }
        }
        let unsettled = self.unsettled.split_off(&old(keep.unsettled));
        let given_up = std::mem::replace(&mut self.unsettled, unsettled);
        gone.extend(given_up.into_iter().map(|(_, advice)| advice));
        let mut keys = Vec::new();
        for advice in gone {
            if let Some(kept) = self.deliveries.remove(&advice) {
                self.young.remove(&(kept.last, advice));
                self.unsettled.remove(&(kept.last, advice));
                keys.extend(kept.keys);
            }
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use contracts::records::{PaperKind, PaperLine};

    use super::*;

    const KEEP: Keep = Keep {
        settled: 10,
        unsettled: 100,
    };

    fn take(papers: &mut Papers, advice: u64, kind: PaperKind, quantity: i64) {
        let paper = Paper {
            despatch_advice: advice,
            kind: kind as i32,
            number: kind as u64,
            lines: vec![PaperLine { sku: 7, quantity }],
            ..Paper::default()
        };
        papers.take(&key(advice, kind), paper);
    }

    fn key(advice: u64, kind: PaperKind) -> Box<[u8]> {
        format!("{advice}/{kind:?}").into_bytes().into()
    }

    /// So many papers of one other delivery.
    fn others(papers: &mut Papers, count: u64) {
        for _ in 0..count {
            take(papers, 9, PaperKind::Shipment, 1);
        }
    }

    #[test]
    fn what_could_be_compared_goes_when_it_is_old_and_the_rest_much_later() {
        let mut papers = Papers::default();
        take(&mut papers, 1, PaperKind::Shipment, 48);
        take(&mut papers, 2, PaperKind::Shipment, 48);
        take(&mut papers, 1, PaperKind::ReceivingScan, 48);
        others(&mut papers, 10);
        assert!(papers.forget(KEEP).is_empty());
        others(&mut papers, 1);
        let both = [PaperKind::ReceivingScan, PaperKind::Shipment].map(|kind| key(1, kind));
        assert_eq!(papers.forget(KEEP), both);
        others(&mut papers, 88);
        assert!(papers.forget(KEEP).is_empty());
        others(&mut papers, 1);
        assert_eq!(papers.forget(KEEP), [key(2, PaperKind::Shipment)]);
        assert_eq!(papers.deliveries.len(), 1);
        assert!(papers.unsettled.is_empty());
    }

    #[test]
    fn a_new_paper_makes_a_delivery_young_again() {
        let mut papers = Papers::default();
        take(&mut papers, 1, PaperKind::Shipment, 48);
        others(&mut papers, 50);
        assert!(papers.forget(KEEP).is_empty());
        take(&mut papers, 1, PaperKind::ReceivingScan, 47);
        assert!(matches!(papers.verdict(1), Verdict::Differs(_)));
        others(&mut papers, 10);
        assert!(papers.forget(KEEP).is_empty());
        others(&mut papers, 1);
        assert_eq!(papers.forget(KEEP).len(), 2);
        assert_eq!(papers.verdict(1), Verdict::Open, "nothing is said of it any more");
    }

    #[test]
    fn where_somebody_died_in_the_middle_of_deleting_the_rest_goes_too() {
        let mut papers = Papers::default();
        for kind in [PaperKind::Shipment, PaperKind::ReceivingScan] {
            take(&mut papers, 1, kind, 48);
        }
        papers.delete(&key(1, PaperKind::Shipment));
        papers.delete(b"no advice");
        papers.delete(&key(8, PaperKind::Shipment));
        assert_eq!(papers.verdict(1), Verdict::Open);
        assert_eq!(papers.forget(KEEP), [key(1, PaperKind::ReceivingScan)]);
        assert!(papers.young.is_empty());
    }
}

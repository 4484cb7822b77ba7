//! What the director may ask: the audit's and the services' figures, and marks of what has happened.

use std::collections::BTreeMap;

use audit::{Audit, AuditSnapshot, Cut, Mark};
use contracts::ids::{LocationId, Sku, TransactionId};
use scenario::{ItemNumber, StoreNumber};

use super::director::Facts;

/// What the edges and the services count.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    pub dead_letters: u64,
    /// Deliveries that contradict each other now.
    pub discrepancies: Option<u64>,
    /// Transactions that the edges have acknowledged.
    pub acknowledged: u64,
}

pub struct Known<'a> {
    pub audit: &'a Audit,
    pub snapshot: &'a AuditSnapshot,
    pub counted: Counted,
    /// SKUs by their place in the catalogue.
    pub skus: &'a [u32],
    pub marks: &'a mut Marks,
}

/// Marks by number, in use until what waits for them is settled.
#[derive(Debug, Default)]
pub struct Marks {
    next: u64,
    open: BTreeMap<u64, Mark>,
    cuts: Vec<Cut>,
    /// What is missing for good, when that is known.
    missing: Option<Missing>,
}

/// Transactions that are missing for good.
#[derive(Debug)]
pub struct Missing {
    pub named: Vec<TransactionId>,
    /// Those of which only the number is known: they may have happened at any time.
    pub unnamed: u64,
}

impl Marks {
    /// At the end.
    pub fn tell_missing(&mut self, missing: Missing) {
        self.missing = Some(missing);
    }
}

impl Known<'_> {
    fn sku(&self, item: ItemNumber) -> Option<Sku> {
        self.skus
            .get(usize::from(item.0).checked_sub(1)?)
            .copied()
            .map(Sku)
    }
}

impl Facts for Known<'_> {
    fn mark(&mut self) -> u64 {
        self.marks.next += 1;
        self.marks.open.insert(self.marks.next, self.audit.mark());
        self.marks.next
    }

    fn behind(&mut self, mark: u64) -> Option<u64> {
        let behind = self.audit.behind(self.marks.open.get_mut(&mark)?);
        Some(behind)
    }

    fn release(&mut self, mark: u64) {
        self.marks.open.remove(&mark);
    }

    fn cut(&mut self) -> u64 {
        self.marks.cuts.push(self.audit.cut());
        self.marks.cuts.len() as u64 - 1
    }

    fn lost_before(&self, cut: u64) -> Option<u64> {
        let missing = self.marks.missing.as_ref()?;
        let cut = self.marks.cuts.get(usize::try_from(cut).ok()?)?;
        let before = missing
            .named
            .iter()
            .filter(|id| self.audit.had_happened(cut, id))
            .count() as u64;
        Some(before + missing.unnamed)
    }

    fn acknowledged(&self) -> u64 {
        self.counted.acknowledged
    }

    fn diverging(&self) -> u64 {
        self.snapshot.cells_diverging
    }

    fn freshness_p99(&self) -> Option<u64> {
        let period = &self.snapshot.freshness_period;
        (period.count > 0).then_some(period.p99)
    }

    fn freshness_p99_whole(&self) -> Option<u64> {
        let whole = &self.snapshot.freshness_total;
        (whole.count > 0).then_some(whole.p99)
    }

    fn next_period(&mut self) {
        self.audit.next_period();
    }

    fn dead_letters(&self) -> u64 {
        self.counted.dead_letters
    }

    fn in_dead_letters(&self) -> u64 {
        self.snapshot.completeness.dead_letters
    }

    fn discrepancies(&self) -> Option<u64> {
        self.counted.discrepancies
    }

    fn store_stock(&self, store: StoreNumber, item: ItemNumber) -> Option<i64> {
        self.audit
            .view_of_cell(LocationId::store(store.0), self.sku(item)?)
    }

    fn item_stock(&self, item: ItemNumber) -> Option<i64> {
        self.audit.view_of_item(self.sku(item)?)
    }

    fn item_uncertain(&self, item: ItemNumber) -> Option<i64> {
        self.audit.uncertain_of_item(self.sku(item)?)
    }
}

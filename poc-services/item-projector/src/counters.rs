//! What the service has done so far, for whoever watches it. Counts only grow.
//!
//! Invariant: what came of a movement is counted when its transaction is committed, so what dies with a transaction and is made
//! again counts once. An instance that dies between the commit and its answer has counted less than is there.

use std::sync::atomic::{AtomicU64, Ordering};

/// Written by the service, read by anyone.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) items: AtomicU64,
    pub(crate) repeats: AtomicU64,
    pub(crate) too_old: AtomicU64,
    pub(crate) without_article: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) recoveries: AtomicU64,
}

/// What came of the movements of a transaction that is not committed yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Uncommitted {
    pub items: u64,
    pub repeats: u64,
    pub too_old: u64,
    pub without_article: u64,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Lines that are in `items`.
    pub items: u64,
    /// Transactions that were projected before.
    pub repeats: u64,
    /// Transactions of a business day that is older than those remembered: the inventory refuses them too.
    pub too_old: u64,
    /// Lines whose article the catalogue does not have: their price is 0.
    pub without_article: u64,
    pub commits: u64,
    pub recoveries: u64,
}

impl Counters {
    /// A transaction is committed; what it held is taken.
    pub(crate) fn committed(&self, held: &mut Uncommitted) {
        let held = std::mem::take(held);
        for (counter, count) in [
            (&self.items, held.items),
            (&self.repeats, held.repeats),
            (&self.too_old, held.too_old),
            (&self.without_article, held.without_article),
            (&self.commits, 1),
        ] {
            add(counter, count);
        }
    }

    pub fn snapshot(&self) -> Snapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            items: get(&self.items),
            repeats: get(&self.repeats),
            too_old: get(&self.too_old),
            without_article: get(&self.without_article),
            commits: get(&self.commits),
            recoveries: get(&self.recoveries),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

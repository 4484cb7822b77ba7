//! What the service has done so far, and how many discrepancies there are.

use std::sync::atomic::{AtomicU64, Ordering};

/// Written by the service, read by anyone.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) papers: AtomicU64,
    pub(crate) published: AtomicU64,
    pub(crate) withdrawn: AtomicU64,
    pub(crate) deleted: AtomicU64,
    pub(crate) recoveries: AtomicU64,
    pub(crate) open: AtomicU64,
}

/// The counts at one moment. What is read again after a restart counts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub papers: u64,
    pub published: u64,
    pub withdrawn: u64,
    /// Papers of deliveries that were settled long ago.
    pub deleted: u64,
    pub recoveries: u64,
    /// Discrepancies of the partitions that the instances with these counters look after, now.
    pub open: u64,
}

impl Counters {
    pub fn snapshot(&self) -> Snapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            papers: get(&self.papers),
            published: get(&self.published),
            withdrawn: get(&self.withdrawn),
            deleted: get(&self.deleted),
            recoveries: get(&self.recoveries),
            open: get(&self.open),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// What one session adds to the count of open discrepancies, as long as it lives.
pub(crate) struct Open<'a> {
    counter: &'a AtomicU64,
    own: u64,
}

impl<'a> Open<'a> {
    pub fn new(counter: &'a AtomicU64) -> Self {
        Self { counter, own: 0 }
    }

    pub fn set(&mut self, own: u64) {
        self.counter
            .fetch_add(own.wrapping_sub(self.own), Ordering::Relaxed);
        self.own = own;
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.set(0);
    }
}

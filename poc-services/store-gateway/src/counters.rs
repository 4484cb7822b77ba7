//! What the gateway counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Since the start, over restarts.
#[derive(Debug, Default)]
pub struct Counters {
    pub requests: AtomicU64,
    /// Receipts that Kafka acknowledged.
    pub receipts: AtomicU64,
    /// EPCIS documents that Kafka acknowledged.
    pub documents: AtomicU64,
    /// Places in a body where the framing was broken.
    pub rejected: AtomicU64,
    /// Answers of 429 and 503.
    pub busy: AtomicU64,
    pub bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, value: u64) {
        counter.fetch_add(value, Ordering::Relaxed);
    }
}

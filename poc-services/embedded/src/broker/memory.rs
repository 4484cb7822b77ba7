//! The account of bytes that all logs hold together, and the signal that some were set free.
//!
//! Invariant: `held` is the sum of what the logs hold. The bound slows producers (see `api::produce`); it does not
//! drop anything, that is for `retention`.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

#[derive(Debug)]
pub struct Memory {
    bound: usize,
    held: AtomicUsize,
    throttled: AtomicU64,
    freed: Notify,
}

impl Memory {
    pub fn new(bound: usize) -> Self {
        Self {
            bound,
            held: AtomicUsize::new(0),
            throttled: AtomicU64::new(0),
            freed: Notify::new(),
        }
    }

    pub fn bound(&self) -> usize {
        self.bound
    }

    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub fn take(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn free(&self, bytes: usize) {
        if bytes > 0 {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
            self.freed.notify_waiters();
        }
    }

    /// More is held than the bound allows.
    pub fn is_over(&self) -> bool {
        self.held() > self.bound
    }

    /// A quarter above the bound: nothing more is taken.
    pub fn is_exhausted(&self) -> bool {
        self.held() > self.bound + self.bound / 4
    }

    /// Waits until less than the bound is held. The caller sets the time limit.
    pub async fn below_bound(&self) {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if !self.is_over() {
                return;
            }
            freed.await;
        }
    }

    pub fn count_throttled(&self) {
        self.throttled.fetch_add(1, Ordering::Relaxed);
    }

    /// Produce requests that had to wait.
    pub fn throttled(&self) -> u64 {
        self.throttled.load(Ordering::Relaxed)
    }
}

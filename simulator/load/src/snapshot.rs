//! What the load has done up to now.

use std::sync::atomic::Ordering;

use contracts::ids::TimeMs;
use world::events::Channel;

use crate::counters::{Amount, Counters, Phase};

/// What the load has done up to now.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    pub phase: Phase,
    pub simulated: TimeMs,
    pub tills: Amount,
    pub queue: Amount,
    pub scans: Amount,
    /// Opening stock, which is not offered load.
    pub opening: Amount,
    /// Of the opening stock, what warehouses sent to their queues.
    pub opening_queue: Amount,
    /// Acknowledged by the edges: tills, queue, scans.
    pub acknowledged: [u64; 3],
    /// Of messages; marks are not in it.
    pub waiting_bytes: u64,
    /// Of these, what offline stores and faults hold.
    pub held_bytes: u64,
    pub retries: u64,
    pub rejected: u64,
    pub stores_offline: u64,
    /// Records that came from a second queue manager at a hand-over, and count once.
    pub handed_over: u64,
    pub journal_full: bool,
    /// Milliseconds from due to released.
    pub late_ms_p50: u64,
    pub late_ms_p99: u64,
    pub late_ms_max: u64,
    /// Till receipts a second since trading began: as scheduled and as released.
    pub scheduled_per_s: f64,
    pub released_per_s: f64,
}

impl Snapshot {
    /// `held_bytes` are those of offline stores.
    pub(crate) fn of(counters: &Counters, held_bytes: u64) -> Self {
        let (p50, p99, max) = {
            let lateness = counters.lateness.lock();
            (
                lateness.value_at_quantile(0.5),
                lateness.value_at_quantile(0.99),
                lateness.max(),
            )
        };
        let first = counters.first_ms.load(Ordering::Relaxed);
        let last = counters.last_ms.load(Ordering::Relaxed);
        let last_due = counters.last_due_ms.load(Ordering::Relaxed);
        let tills = counters.amount(Channel::Till);
        let rate = |until: i64| {
            if first > 0 && until > first {
                tills.transactions as f64 * 1000.0 / (until - first) as f64
            } else {
                0.0
            }
        };
        let opening = Amount {
            transactions: counters.opening.load(Ordering::Relaxed),
            lines: counters.opening_lines.load(Ordering::Relaxed),
        };
        let opening_queue = counters.opening_queue.load(Ordering::Relaxed);
        Self {
            opening_queue: Amount {
                transactions: opening_queue,
                lines: opening_queue,
            },
            phase: counters.phase(),
            simulated: TimeMs(counters.simulated_ms.load(Ordering::Relaxed)),
            tills,
            queue: counters.amount(Channel::Queue),
            scans: counters.amount(Channel::Scan),
            opening,
            acknowledged: [Channel::Till, Channel::Queue, Channel::Scan]
                .map(|c| counters.acknowledged_transactions(c)),
            waiting_bytes: counters.waiting_bytes.load(Ordering::Relaxed),
            held_bytes: held_bytes + counters.held_back_bytes.load(Ordering::Relaxed),
            retries: counters.retries.load(Ordering::Relaxed),
            rejected: counters.rejected.load(Ordering::Relaxed),
            stores_offline: counters.offline.load(Ordering::Relaxed),
            handed_over: counters.handed_over.load(Ordering::Relaxed),
            journal_full: counters.journal_full.load(Ordering::Relaxed),
            late_ms_p50: p50,
            late_ms_p99: p99,
            late_ms_max: max,
            scheduled_per_s: rate(last_due),
            released_per_s: rate(last),
        }
    }

    pub const fn offered(&self) -> Amount {
        Amount {
            transactions: self.tills.transactions + self.queue.transactions + self.scans.transactions,
            lines: self.tills.lines + self.queue.lines + self.scans.lines,
        }
    }

    /// All that warehouses and scanners sent, opening stock included: tills have none.
    pub const fn queue_and_scans_with_opening(&self) -> (Amount, Amount) {
        let queue = Amount {
            transactions: self.queue.transactions + self.opening_queue.transactions,
            lines: self.queue.lines + self.opening_queue.lines,
        };
        let scans = Amount {
            transactions: (self.scans.transactions + self.opening.transactions)
                .saturating_sub(self.opening_queue.transactions),
            lines: (self.scans.lines + self.opening.lines).saturating_sub(self.opening_queue.lines),
        };
        (queue, scans)
    }

    /// Released and not acknowledged, opening stock included: by the store gateway, and by the queue.
    pub const fn waiting_at_edges(&self) -> (u64, u64) {
        let [tills_in, queue_in, scans_in] = self.acknowledged;
        let (queue, scans) = self.queue_and_scans_with_opening();
        (
            (self.tills.transactions + scans.transactions).saturating_sub(tills_in + scans_in),
            queue.transactions.saturating_sub(queue_in),
        )
    }

    /// Released and held, by an offline store or by a fault. By their bytes, since journals count these.
    pub fn held_transactions(&self) -> u64 {
        let share = self.held_bytes as f64 / self.waiting_bytes.max(self.held_bytes).max(1) as f64;
        (self.waiting_transactions() as f64 * share) as u64
    }

    /// Released and not acknowledged, opening stock included.
    pub const fn waiting_transactions(&self) -> u64 {
        let (at_stores, at_warehouses) = self.waiting_at_edges();
        at_stores + at_warehouses
    }
}

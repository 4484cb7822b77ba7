//! Rates from totals: the difference over the last second or so, smoothed by nothing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::snapshot::Flow;

/// Samples behind a rate: long enough to be calm, short enough to follow a change.
const WINDOW: Duration = Duration::from_millis(1500);

#[derive(Debug, Default)]
pub struct Rate {
    samples: VecDeque<(Instant, u64, u64)>,
}

impl Rate {
    /// Takes totals of transactions and lines, and gives them back with their rates.
    pub fn sample(&mut self, now: Instant, transactions: u64, lines: u64) -> Flow {
        self.samples.push_back((now, transactions, lines));
        while self.samples.len() > 2 && now.duration_since(self.samples[1].0) >= WINDOW {
            self.samples.pop_front();
        }
        let (since, transactions_then, lines_then) = self.samples[0];
        let seconds = now.duration_since(since).as_secs_f64();
        let per_second = |now: u64, then: u64| {
            if seconds > 0.05 {
                now.saturating_sub(then) as f64 / seconds
            } else {
                0.0
            }
        };
        Flow {
            transactions,
            lines,
            transactions_per_s: per_second(transactions, transactions_then),
            lines_per_s: per_second(lines, lines_then),
        }
    }
}

/// The last two minutes, a sample a second.
#[derive(Debug, Default)]
pub struct History {
    samples: VecDeque<u64>,
}

impl History {
    const LENGTH: usize = 120;

    pub fn push(&mut self, value: u64) {
        if self.samples.len() == Self::LENGTH {
            self.samples.pop_front();
        }
        self.samples.push_back(value);
    }

    pub fn to_vec(&self) -> Vec<u64> {
        self.samples.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_growth_over_the_window() {
        let start = Instant::now();
        let mut rate = Rate::default();
        for tick in 0..=20_u64 {
            let flow = rate.sample(start + Duration::from_millis(100 * tick), tick * 10, tick * 100);
            if tick > 5 {
                assert!((flow.transactions_per_s - 100.0).abs() < 1e-6, "{flow:?}");
                assert!((flow.lines_per_s - 1000.0).abs() < 1e-6, "{flow:?}");
            }
        }
    }

    #[test]
    fn a_stopped_flow_comes_to_zero() {
        let start = Instant::now();
        let mut rate = Rate::default();
        rate.sample(start, 0, 0);
        rate.sample(start + Duration::from_secs(1), 100, 1000);
        rate.sample(start + Duration::from_secs(3), 100, 1000);
        let flow = rate.sample(start + Duration::from_secs(6), 100, 1000);
        assert!(flow.transactions_per_s.abs() < 1e-9);
    }
}

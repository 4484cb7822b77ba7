//! How long a line takes from the instant when it was due until a reader of `store.inventory` has its cell.
//!
//! A record tells the oldest instant among the lines that are new in it and their number; all of them count as that
//! old, so the figure errs on the slow side.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

const MS_MAX: u64 = 600_000;
const SECONDS: usize = 5;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
    pub count: u64,
}

pub fn quantiles(histogram: &Histogram<u64>) -> Quantiles {
    if histogram.is_empty() {
        return Quantiles::default();
    }
    Quantiles {
        p50: histogram.value_at_quantile(0.5),
        p90: histogram.value_at_quantile(0.9),
        p99: histogram.value_at_quantile(0.99),
        p999: histogram.value_at_quantile(0.999),
        max: histogram.max(),
        count: histogram.len(),
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MS_MAX, 3).expect("constant bounds are valid")
}

#[derive(Debug)]
pub struct Freshness {
    /// Since trading began.
    pub whole: Histogram<u64>,
    /// Since the presenter's last step.
    pub period: Histogram<u64>,
    recent: [Histogram<u64>; SECONDS],
    current: usize,
    since: Instant,
}

impl Freshness {
    pub fn new(now: Instant) -> Self {
        Self { whole: empty(), period: empty(), recent: std::array::from_fn(|_| empty()), current: 0, since: now }
    }

    pub fn record(&mut self, ms: i64, lines: u32) {
        let ms = u64::try_from(ms).unwrap_or_default().clamp(1, MS_MAX);
        let lines = u64::from(lines);
        self.whole.saturating_record_n(ms, lines);
        self.period.saturating_record_n(ms, lines);
        self.recent[self.current].saturating_record_n(ms, lines);
    }

    /// Forgets the oldest second when a new one has begun.
    pub fn tick(&mut self, now: Instant) {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            self.since = now;
            self.current = (self.current + 1) % SECONDS;
            self.recent[self.current].reset();
        }
    }

    /// Of the last five seconds.
    pub fn recent(&self) -> Quantiles {
        let mut all = empty();
        for second in &self.recent {
            all.add(second).expect("equal bounds");
        }
        quantiles(&all)
    }

    pub fn restart(&mut self) {
        self.whole.reset();
        self.period.reset();
        for second in &mut self.recent {
            second.reset();
        }
    }
}

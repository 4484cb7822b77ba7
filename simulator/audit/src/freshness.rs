//! How long a line takes from the instant when it was due until a reader of `store.inventory` has its cell.
//!
//! A record tells the oldest instant among the lines that are new in it, and their number; all of them count as that
//! old, so every figure here is pessimistic: the true one is never worse. A line that came into a cell and of which no record
//! that was read tells the instant counts as later than any other: what is not measured cannot make the view look fresh. Times
//! are of the wall clock of one machine or of machines that agree; a negative difference counts as 1 ms. It does not know what a
//! record says of stock.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};

/// Ten minutes; what took longer counts as this.
pub const FRESHNESS_MS_MAX: u64 = 600_000;
const WINDOW_SECONDS: usize = 5;

/// Milliseconds; all 0 when nothing was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
    /// Lines.
    pub count: u64,
    /// Of them, those that came without a word of when they were due. They are in the quantiles, and not in `max`.
    pub unmeasured: u64,
}

/// Lines by milliseconds, exact below 2,048 ms and to three digits above. Serialises as pairs `[ms, lines]`, ascending,
/// from which it can be rebuilt and merged with others.
#[derive(Clone, Debug, PartialEq)]
pub struct FreshnessHistogram {
    measured: Histogram<u64>,
    unmeasured: u64,
}

impl Default for FreshnessHistogram {
    fn default() -> Self {
        Self {
            measured: Histogram::new_with_bounds(1, FRESHNESS_MS_MAX, 3).expect("constant bounds are valid"),
            unmeasured: 0,
        }
    }
}

impl FreshnessHistogram {
    pub fn record(&mut self, ms: i64, lines: u64) {
        let ms = u64::try_from(ms).unwrap_or_default();
        self.measured
            .saturating_record_n(ms.clamp(1, FRESHNESS_MS_MAX), lines);
    }

    /// Lines that nothing tells the age of.
    pub const fn record_unmeasured(&mut self, lines: u64) {
        self.unmeasured = self.unmeasured.saturating_add(lines);
    }

    pub fn merge(&mut self, other: &Self) {
        self.measured
            .add(&other.measured)
            .expect("all have the same bounds");
        self.record_unmeasured(other.unmeasured);
    }

    pub fn reset(&mut self) {
        self.measured.reset();
        self.unmeasured = 0;
    }

    pub fn quantiles(&self) -> Quantiles {
        let measured = self.measured.len();
        let count = measured.saturating_add(self.unmeasured);
        if count == 0 {
            return Quantiles::default();
        }
        let at = |quantile: f64| {
            let of_measured = if self.unmeasured == 0 {
                quantile
            } else {
                quantile * count as f64 / measured as f64
            };
            if of_measured > 1.0 {
                return FRESHNESS_MS_MAX;
            }
            // A bucket answers with its highest value, which for the last one lies beyond the bound.
            self.measured.value_at_quantile(of_measured).min(FRESHNESS_MS_MAX)
        };
        Quantiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: self.measured.max().min(FRESHNESS_MS_MAX),
            count,
            unmeasured: self.unmeasured,
        }
    }

    /// Milliseconds and lines of each value that occurred, ascending.
    pub fn recorded(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.measured
            .iter_recorded()
            .map(|value| (value.value_iterated_to(), value.count_at_value()))
    }
}

impl Serialize for FreshnessHistogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pairs = serializer.serialize_seq(None)?;
        for pair in self.recorded() {
            pairs.serialize_element(&pair)?;
        }
        pairs.end()
    }
}

/// The same lines over three spans: since the last reset, since the last period began, and the last five seconds.
#[derive(Debug, Default)]
pub struct Freshness {
    /// Not yet in the others.
    now: FreshnessHistogram,
    whole: FreshnessHistogram,
    period: FreshnessHistogram,
    seconds: [FreshnessHistogram; WINDOW_SECONDS],
    second: u64,
}

impl Freshness {
    #[inline]
    pub fn record(&mut self, ms: i64, lines: u32) {
        self.now.record(ms, u64::from(lines));
    }

    #[inline]
    pub const fn record_unmeasured(&mut self, lines: u64) {
        self.now.record_unmeasured(lines);
    }

    fn absorb(&mut self) {
        let second = (self.second % WINDOW_SECONDS as u64) as usize;
        for span in [&mut self.whole, &mut self.period, &mut self.seconds[second]] {
            span.merge(&self.now);
        }
        self.now.reset();
    }

    /// Moves the window; the time since any fixed start.
    pub fn advance(&mut self, elapsed: Duration) {
        self.absorb();
        let second = elapsed.as_secs().max(self.second);
        for passed in (self.second + 1..=second).take(WINDOW_SECONDS) {
            self.seconds[(passed % WINDOW_SECONDS as u64) as usize].reset();
        }
        self.second = second;
    }

    pub fn reset(&mut self) {
        self.now.reset();
        self.whole.reset();
        self.period.reset();
        self.seconds.iter_mut().for_each(FreshnessHistogram::reset);
    }

    pub fn next_period(&mut self) {
        self.absorb();
        self.period.reset();
    }

    pub fn whole(&mut self) -> &FreshnessHistogram {
        self.absorb();
        &self.whole
    }

    pub fn period(&mut self) -> &FreshnessHistogram {
        self.absorb();
        &self.period
    }

    pub fn window(&mut self) -> FreshnessHistogram {
        self.absorb();
        let mut window = FreshnessHistogram::default();
        for second in &self.seconds {
            window.merge(second);
        }
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lines_of_a_record_count_as_old_as_the_oldest() {
        let mut freshness = Freshness::default();
        freshness.record(100, 99);
        freshness.record(300, 1);
        let quantiles = freshness.whole().quantiles();
        assert_eq!((quantiles.p50, quantiles.p99, quantiles.p999), (100, 100, 300));
        assert_eq!((quantiles.max, quantiles.count), (300, 100));
    }

    #[test]
    fn what_is_not_measured_counts_as_later_than_all_that_is() {
        let mut freshness = Freshness::default();
        freshness.record(100, 990);
        freshness.record_unmeasured(10);
        let quantiles = freshness.whole().quantiles();
        assert_eq!((quantiles.p50, quantiles.p99), (100, 100));
        assert_eq!((quantiles.p999, quantiles.max), (FRESHNESS_MS_MAX, 100));
        assert_eq!((quantiles.count, quantiles.unmeasured), (1_000, 10));
        freshness.record_unmeasured(1);
        assert_eq!(freshness.whole().quantiles().p99, FRESHNESS_MS_MAX);
        freshness.reset();
        freshness.record_unmeasured(1);
        let quantiles = freshness.whole().quantiles();
        assert_eq!((quantiles.p50, quantiles.count), (FRESHNESS_MS_MAX, 1));
        freshness.next_period();
        assert_eq!(freshness.period().quantiles(), Quantiles::default());
    }

    #[test]
    fn a_clock_that_went_back_and_an_endless_delay_are_held_at_the_ends() {
        let mut freshness = Freshness::default();
        freshness.record(-5, 1);
        freshness.record(i64::MAX, 1);
        let recorded: Vec<_> = freshness.whole().recorded().collect();
        assert_eq!(recorded.len(), 2);
        assert_eq!(recorded[0], (1, 1));
        assert!(recorded[1].0 >= FRESHNESS_MS_MAX);
    }

    #[test]
    fn the_window_forgets_after_five_seconds_and_the_whole_does_not() {
        let mut freshness = Freshness::default();
        freshness.record(7, 1);
        freshness.advance(Duration::from_secs(4));
        assert_eq!(freshness.window().quantiles().count, 1);
        freshness.advance(Duration::from_secs(5));
        assert_eq!(freshness.window().quantiles().count, 0);
        assert_eq!(freshness.whole().quantiles().count, 1);
        freshness.record(8, 1);
        freshness.advance(Duration::from_secs(500));
        assert_eq!(freshness.window().quantiles().count, 0);
    }

    #[test]
    fn a_period_and_a_reset_begin_at_nothing() {
        let mut freshness = Freshness::default();
        freshness.record(7, 1);
        freshness.next_period();
        assert_eq!(freshness.period().quantiles(), Quantiles::default());
        freshness.record(9, 2);
        assert_eq!(freshness.period().quantiles().count, 2);
        freshness.reset();
        assert_eq!(freshness.whole().quantiles(), Quantiles::default());
    }

    #[test]
    fn a_histogram_serialises_as_pairs_that_rebuild_it() {
        let mut written = FreshnessHistogram::default();
        for (ms, lines) in [(1, 4), (40, 2), (2_047, 1), (123_456, 9)] {
            written.record(ms, lines);
        }
        let text = serde_json::to_string(&written).unwrap();
        let pairs: Vec<(i64, u64)> = serde_json::from_str(&text).unwrap();
        let mut rebuilt = FreshnessHistogram::default();
        for (ms, lines) in pairs {
            rebuilt.record(ms, lines);
        }
        assert_eq!(rebuilt.quantiles(), written.quantiles());
        assert_eq!(serde_json::to_string(&rebuilt).unwrap(), text);
    }
}

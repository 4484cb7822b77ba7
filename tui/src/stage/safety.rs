//! The safety phase: what may never be seen, not even while everything breaks, and when it was seen first.
//!
//! The audit looks at each place about once a second and keeps what it saw; here each kind gets its instants. Invariant:
//! what was seen once stays in the record, whatever comes after, and makes the verdict FAIL.

use std::time::Instant;

use audit::Live;
use contracts::ids::TimeMs;
use serde::Serialize;

/// One kind of violation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ViolationView {
    pub what: &'static str,
    pub count: u64,
    /// The first: which cell or source, and what of it.
    pub first: String,
    /// Seconds from the start of the run to the first.
    pub first_s: f64,
    /// By the stores' clocks.
    pub first_simulated_ms: i64,
    /// An outage or another fault was on then.
    pub in_an_outage: bool,
}

impl ViolationView {
    pub fn sentence(&self) -> String {
        format!(
            "seen live: {}, {} times, first {:.1} s after the start{}: {}",
            self.what,
            crate::format::count(self.count),
            self.first_s,
            if self.in_an_outage { ", in an outage" } else { "" },
            self.first
        )
    }
}

#[derive(Debug)]
pub struct Safety {
    started: Instant,
    violations: Vec<ViolationView>,
}

/// When a look was taken.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: Instant,
    pub simulated: TimeMs,
    pub in_an_outage: bool,
}

impl Safety {
    pub const fn new(started: Instant) -> Self {
        Self {
            started,
            violations: Vec::new(),
        }
    }

    /// Takes what the audit has seen up to now.
    pub fn look(&mut self, live: &Live, moment: Moment) {
        for (what, seen) in live.violations() {
            let Some(first) = &seen.first else { continue };
            match self
                .violations
                .iter_mut()
                .find(|violation| violation.what == what)
            {
                Some(violation) => violation.count = seen.count,
                None => self.violations.push(ViolationView {
                    what,
                    count: seen.count,
                    first: first.clone(),
                    first_s: moment.now.duration_since(self.started).as_secs_f64(),
                    first_simulated_ms: moment.simulated.0,
                    in_an_outage: moment.in_an_outage,
                }),
            }
        }
    }

    /// In the order in which they were first seen.
    pub fn violations(&self) -> &[ViolationView] {
        &self.violations
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use audit::Seen;

    use super::*;

    #[test]
    fn what_was_seen_once_stays_with_its_first_instant() {
        let start = Instant::now();
        let mut safety = Safety::new(start);
        let moment = |seconds, in_an_outage| Moment {
            now: start + Duration::from_secs(seconds),
            simulated: TimeMs(1_000 * seconds as i64),
            in_an_outage,
        };
        let mut live = Live::default();
        safety.look(&live, moment(1, false));
        assert_eq!(safety.violations(), []);
        live.ahead = Seen {
            count: 1,
            first: Some("S0042/100234: the view has 13 lines where 12 happened".into()),
        };
        safety.look(&live, moment(3, true));
        live.ahead.count = 4;
        safety.look(&live, moment(9, false));
        let [violation] = safety.violations() else {
            panic!("{:?}", safety.violations())
        };
        assert_eq!(
            (violation.count, violation.first_s, violation.first_simulated_ms),
            (4, 3.0, 3_000)
        );
        let said = violation.sentence();
        assert!(
            said.contains("in an outage") && said.contains("S0042/100234"),
            "{said}"
        );
    }

    #[test]
    fn records_of_former_owners_are_no_violation() {
        let start = Instant::now();
        let mut safety = Safety::new(start);
        let live = Live {
            of_former_owners: Seen {
                count: 3,
                first: Some("S0001/1: epoch 1 offset 5 behind epoch 2 offset 9".into()),
            },
            ..Live::default()
        };
        safety.look(
            &live,
            Moment {
                now: start,
                simulated: TimeMs(0),
                in_an_outage: false,
            },
        );
        assert_eq!(safety.violations(), []);
    }
}

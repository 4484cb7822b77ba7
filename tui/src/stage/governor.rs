//! What a rate that is a most comes to: less, while the system does not keep up.
//!
//! Invariant: it never asks for more than was asked for, and it does nothing while something is broken, because sources do
//! not wait for a service that is dead. Pure: it is told the time and what is seen.

use std::time::{Duration, Instant};

use crate::report::Yielded;

const LOOK: Duration = Duration::from_millis(500);
/// Seconds of waiting, at the pace at which the system works: from here on it does not keep up,
const BEHIND: f64 = 1.5;
/// it is far behind,
const FAR_BEHIND: f64 = 3.0;
/// and it keeps up again.
const KEEPS_UP: f64 = 0.75;
/// Of what the system carries at most: what it gets when it is behind, and when it is far behind.
const LESS: f64 = 0.85;
const MUCH_LESS: f64 = 0.6;
/// And of what was asked for it always gets this.
const LEAST: f64 = 0.05;
/// A look later there may be more, or the most that was seen is no longer true.
const MORE: f64 = 1.01;
const FORGETS: f64 = 0.99;

/// What the system does.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Transactions sent and not in the view, but for what is held back.
    pub waiting: u64,
    /// Transactions a second that come into the view.
    pub handled_per_s: f64,
    /// Something is stopped or broken.
    pub broken: bool,
}

#[derive(Debug)]
pub struct Governor {
    asked: f64,
    given: f64,
    /// Transactions a second that the system was seen to take.
    carries: f64,
    looked: Option<Instant>,
    yielding: Duration,
    /// Receipts asked for and given while it yielded.
    sums: (f64, f64),
}

impl Governor {
    pub const fn new(asked: f64) -> Self {
        Self {
            asked,
            given: asked,
            carries: 0.0,
            looked: None,
            yielding: Duration::ZERO,
            sums: (0.0, 0.0),
        }
    }

    /// Another rate is asked for from now on.
    pub const fn ask(&mut self, asked: f64) {
        self.asked = asked;
        self.given = asked;
    }

    /// The rate from now on, where it is another.
    pub fn look(&mut self, now: Instant, seen: Seen) -> Option<f64> {
        let since = self.looked.map_or(Duration::ZERO, |looked| now - looked);
        if self.looked.is_some() && since < LOOK {
            return None;
        }
        self.looked = Some(now);
        if self.given < self.asked {
            self.yielding += since;
            self.sums.0 += self.asked * since.as_secs_f64();
            self.sums.1 += self.given * since.as_secs_f64();
        }
        if seen.broken {
            return None;
        }
        self.carries = seen.handled_per_s.max(self.carries * FORGETS);
        let seconds = seen.waiting as f64 / seen.handled_per_s.max(self.carries / 10.0).max(1.0);
        let given = if seconds > FAR_BEHIND {
            self.given.min(self.carries * MUCH_LESS)
        } else if seconds > BEHIND {
            self.given.min(self.carries * LESS)
        } else if seconds < KEEPS_UP {
            (self.given * MORE).max(self.carries * LESS)
        } else {
            self.given
        };
        let given = given.clamp(self.asked * LEAST, self.asked);
        let before = std::mem::replace(&mut self.given, given);
        (before.to_bits() != given.to_bits()).then_some(given)
    }

    /// How much less it was, where it was.
    pub fn yielded(&self) -> Option<Yielded> {
        let seconds = self.yielding.as_secs_f64();
        (seconds > 0.0).then(|| Yielded {
            seconds,
            asked_per_s: self.sums.0 / seconds,
            given_per_s: self.sums.1 / seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seen(waiting: u64, handled_per_s: f64) -> Seen {
        Seen {
            waiting,
            handled_per_s,
            broken: false,
        }
    }

    /// A system that takes so many a second, for so many looks; gives what was given at each.
    fn play(governor: &mut Governor, now: &mut Instant, takes: f64, looks: usize) -> Vec<f64> {
        let mut waiting = 0.0_f64;
        let mut given = governor.given;
        let mut all = Vec::new();
        for _ in 0..looks {
            *now += LOOK;
            let handled = (waiting / LOOK.as_secs_f64() + given).min(takes);
            waiting += (given - handled) * LOOK.as_secs_f64();
            given = governor
                .look(*now, seen(waiting as u64, handled))
                .unwrap_or(given);
            all.push(given);
        }
        all
    }

    #[test]
    fn a_system_that_keeps_up_gets_what_was_asked_for() {
        let mut governor = Governor::new(16_667.0);
        let given = play(&mut governor, &mut Instant::now(), 20_000.0, 100);
        assert!(given.iter().all(|rate| (rate - 16_667.0).abs() < 1e-9));
        assert_eq!(governor.yielded(), None);
    }

    #[test]
    fn a_system_that_does_not_keep_up_gets_about_what_it_takes() {
        let mut governor = Governor::new(16_667.0);
        let given = play(&mut governor, &mut Instant::now(), 12_000.0, 400);
        let settled = &given[100..];
        let mean = settled.iter().sum::<f64>() / settled.len() as f64;
        assert!((9_500.0..12_100.0).contains(&mean), "{mean}");
        let yielded = governor.yielded().expect("it yielded");
        assert!((yielded.asked_per_s - 16_667.0).abs() < 1.0, "{yielded:?}");
        assert!(yielded.given_per_s < 13_000.0, "{yielded:?}");
    }

    #[test]
    fn it_gives_all_again_when_the_system_takes_it() {
        let mut governor = Governor::new(16_667.0);
        let mut now = Instant::now();
        play(&mut governor, &mut now, 12_000.0, 100);
        let given = play(&mut governor, &mut now, 40_000.0, 200);
        assert!((given.last().expect("looks") - 16_667.0).abs() < 1e-9);
    }

    #[test]
    fn sources_do_not_wait_for_what_is_broken_and_yield_when_it_is_back() {
        let mut governor = Governor::new(16_667.0);
        let mut now = Instant::now();
        play(&mut governor, &mut now, 20_000.0, 10);
        let broken = Seen {
            broken: true,
            ..seen(200_000, 0.0)
        };
        for _ in 0..20 {
            now += LOOK;
            assert_eq!(governor.look(now, broken), None);
        }
        now += LOOK;
        let given = governor.look(now, seen(200_000, 0.0)).expect("less");
        assert!((9_000.0..11_000.0).contains(&given), "{given}");
    }

    #[test]
    fn what_is_asked_anew_is_given_at_once() {
        let mut governor = Governor::new(16_667.0);
        let mut now = Instant::now();
        play(&mut governor, &mut now, 1_000.0, 50);
        governor.ask(58.0);
        now += LOOK;
        assert_eq!(governor.look(now, seen(10, 58.0)), None, "58 it is");
    }
}

//! A clock that other work on the machine disturbs little.

#![allow(dead_code, reason = "each example uses what it needs")]

use std::time::{Duration, Instant};

/// The time that this thread had a processor, or else the time that passed.
pub struct Clock {
    begun: Instant,
    on_processor: Option<Duration>,
}

impl Clock {
    pub fn start() -> Self {
        Self {
            begun: Instant::now(),
            on_processor: on_processor(),
        }
    }

    pub fn elapsed(&self) -> Duration {
        match (self.on_processor, on_processor()) {
            (Some(begun), Some(now)) if now > begun => now.saturating_sub(begun),
            _ => self.begun.elapsed(),
        }
    }
}

fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
        .map(Duration::from_nanos)
}

/// Of rates.
pub fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Medians of so many rounds.
pub const ROUNDS: usize = 7;

/// Does something until it has lasted a while, several times over: times a second, the median.
pub fn per_second(mut work: impl FnMut()) -> f64 {
    const ROUND: Duration = Duration::from_millis(300);
    let rates = (0..ROUNDS).map(|_| {
        let clock = Clock::start();
        let mut times = 0_u32;
        loop {
            work();
            times += 1;
            let elapsed = clock.elapsed();
            if elapsed > ROUND {
                return f64::from(times) / elapsed.as_secs_f64();
            }
        }
    });
    median(rates.collect())
}

//! What the tests of the broker share: the server under test, raw frames, clients.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

pub mod clients;
pub mod members;
pub mod raw;
pub mod records;
pub mod target;

use std::time::{Duration, Instant};

/// A hang must end; nothing here waits so long otherwise.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Asks until there is an answer.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < DEADLINE, "still not so: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

//! Marks: a place says how far its sources are, behind everything that it wrote.
//!
//! Invariant: a mark claims what its sources have written by the instant that it names, whether it was sent, held back or
//! lost; and never less.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use contracts::ids::TimeMs;

use crate::counters::{Counters, Phase};
use crate::journal::{Content, Journals, Pending, Put};
use crate::release::wall_ms;
use crate::sources::Sources;

#[derive(Debug)]
pub struct Marks {
    pub sources: Arc<Sources>,
    pub journals: Arc<Journals>,
    pub counters: Arc<Counters>,
}

impl Marks {
    /// Up to which instant everything of a place is written. `None` before trading.
    fn clock(&self, last_at: TimeMs) -> Option<TimeMs> {
        let simulated = self.counters.simulated_ms.load(Ordering::Relaxed);
        (self.counters.phase() != Phase::Opening).then(|| TimeMs(simulated.max(last_at.0)))
    }

    /// Puts the mark of a store behind its journal.
    pub fn of_store(&self, place: usize) {
        let sources = self.sources.place(place);
        let Some(clock) = self.clock(sources.last_at) else {
            return;
        };
        let mark = pending(contracts_mark(&sources, clock));
        drop(sources);
        if self.journals.put_mark(place, mark) == Put::Schedule {
            self.journals.make_ready(place);
        }
    }

    /// The status record of a warehouse's queue.
    pub fn of_warehouse(&self, _place: usize) -> Option<Pending> {
        None
    }
}

fn contracts_mark(_sources: &crate::sources::PlaceSources, _clock: TimeMs) -> Vec<u8> {
    b"{}".to_vec()
}

fn pending(bytes: Vec<u8>) -> Pending {
    Pending {
        bytes: Bytes::from(bytes),
        due_ms: wall_ms(),
        content: Content::Mark,
        transactions: 0,
    }
}

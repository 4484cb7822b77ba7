//! Marks: a place says how far its sources are, behind everything that it wrote.
//!
//! Invariant: a mark claims what its sources have written by the instant that it names, whether it was sent, held back or
//! lost; and never less.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use bytes::Bytes;
use contracts::ids::TimeMs;
use contracts::wire::FORMAT_SOURCE_MARK;
use contracts::wire::copybook::{self, StatusRecord};
use contracts::wire::source_mark::{self, StoreMark};
use world::queue::QueueManager;

use crate::counters::{Counters, Phase};
use crate::journal::{Content, Journals, Pending, Put};
use crate::release::{Going, Release, TICK, wall_ms};
use crate::sources::Sources;

/// Between two groups of places whose marks go out together.
const GROUP_MS: f64 = 500.0;

#[derive(Debug)]
pub struct Marks {
    pub sources: Arc<Sources>,
    pub journals: Arc<Journals>,
    pub counters: Arc<Counters>,
    /// By place; stores have none.
    pub managers: Vec<Option<QueueManager>>,
    /// How far clocks have gone on since the sources fell silent.
    pub silent_ms: AtomicI64,
}

impl Marks {
    /// Up to which instant everything of a place is written. `None` before trading.
    fn clock(&self, last_at: TimeMs) -> Option<TimeMs> {
        let simulated = self.counters.simulated_ms.load(Ordering::Relaxed);
        let silent = self.silent_ms.load(Ordering::Relaxed);
        (self.counters.phase() != Phase::Opening).then(|| TimeMs(simulated.max(last_at.0) + silent))
    }

    /// Puts the mark of a store behind its journal.
    pub fn of_store(&self, place: usize) {
        let sources = self.sources.place(place);
        let Some(clock) = self.clock(sources.last_at) else {
            return;
        };
        let mark = StoreMark {
            store: sources.location,
            clock,
            sources: sources.last_numbers().collect(),
        };
        drop(sources);
        let mut bytes = Vec::with_capacity(64 + mark.sources.len() * 52);
        source_mark::write(&mark, &mut bytes);
        if self.journals.put_mark(place, pending(bytes)) == Put::Schedule {
            self.journals.make_ready(place);
        }
    }

    /// The status record of a warehouse, for its queue.
    pub fn of_warehouse(&self, place: usize) -> Option<Pending> {
        let sources = self.sources.place(place);
        let clock = self.clock(sources.last_at)?;
        let status = StatusRecord {
            place: sources.location,
            last_sequence: sources.queue_number(),
            at: clock,
        };
        let mut bytes = Vec::with_capacity(copybook::RECORD_BYTES);
        copybook::write_status(&status, &mut bytes).expect("numbers and years of the world fit their fields");
        let manager = self.managers[place].as_ref()?;
        let descriptor = manager.of_status(&status);
        Some(Pending {
            bytes: manager.message(&descriptor, &bytes).into(),
            descriptor: Some(Arc::new(descriptor)),
            ..pending(bytes)
        })
    }
}

impl Release {
    /// Places whose turn it is say how far their sources are, all of them in an interval: in groups, as clocks that are set
    /// by one time server strike together.
    pub fn due_marks(&self, going: &mut Going) {
        let Some((since, done)) = going.marks else {
            return;
        };
        let places = self.queues.len() as u64;
        let interval_ms = (self.config.mark_interval.as_secs_f64() * 1000.0).max(1.0);
        let groups = (interval_ms / GROUP_MS).max(1.0).floor();
        let struck = ((going.elapsed() - since).max(0.0) / interval_ms * groups).floor();
        let due = (struck * places as f64 / groups) as u64;
        // Who was held up says it once.
        for turn in done.max(due.saturating_sub(places))..due {
            self.mark((turn % places) as usize);
        }
        going.marks = Some((since, due));
    }

    fn mark(&self, place: usize) {
        match &self.queues[place] {
            None => self.marks.of_store(place),
            Some(queue) => {
                if let Some(mark) = self.marks.of_warehouse(place) {
                    self.counters.queue_marks.fetch_add(1, Ordering::Relaxed);
                    // As with a record: the task ends only when the run is cancelled.
                    let _ = queue.send(mark);
                }
            }
        }
    }

    /// Behind everything, so that whoever has read it all knows that it is all. Twice, because what lacks since the mark
    /// before the last is certain to lack.
    pub fn last_marks(&self, going: &mut Going) {
        going.marks = None;
        for _ in 0..2 {
            // Time goes on; a warehouse's clock has seconds.
            self.marks.silent_ms.fetch_add(1_000, Ordering::Relaxed);
            (0..self.queues.len()).for_each(|place| self.mark(place));
            while (self.journals.marks_wait() || self.counters.queue_marks.load(Ordering::Relaxed) > 0)
                && !self.cancel.is_cancelled()
            {
                self.tend(going, i64::MAX);
                thread::sleep(TICK);
            }
        }
    }
}

fn pending(bytes: Vec<u8>) -> Pending {
    Pending {
        bytes: Bytes::from(bytes),
        due_ms: wall_ms(),
        journaled_ms: None,
        content: Content::Mark,
        format: FORMAT_SOURCE_MARK,
        transactions: 0,
        descriptor: None,
    }
}

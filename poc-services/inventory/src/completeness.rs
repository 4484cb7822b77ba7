//! What the view knows of a place's sources, and what it knows that it lacks.
//!
//! A source's window says which numbers are in. How far the source had written only its own mark says: without one, silence
//! and loss look the same. A place is certain when a mark has named each of its sources, no mark but the last one claims a
//! number that is missing, and its marks do not stay away while those of other places come.
//!
//! Pure. Invariant: all of it is a function of the log's prefix, so a restore and a replay give the same record. Marks are
//! told apart and ordered by the numbers that they say, which never go back, and where these are the same by when they were
//! due; never by when they came: one that overtakes its transactions makes them missing until they come, one that comes twice
//! changes nothing. A sender whose clock was set back is believed all the same. It knows no clock: that a place is silent
//! shows in the marks of the others.

use contracts::ids::SourceId;
use contracts::records::{self, NumberRange, SourceState};

use crate::rejections::Rejections;
use crate::window::Window;

/// Missing ranges that a record lists.
const RANGES_LISTED: usize = 8;

/// A number that comes so long behind a higher one, by its source's clock, was held up somewhere; less than that, changed places.
const LONG_LATE_MS: i64 = 300_000;

/// What is known of a source besides its window. Numbers are unwrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceKnown {
    /// Last number by the last mark, and the clock of that.
    claimed: u64,
    claimed_ms: i64,
    /// The same of the mark before.
    claimed_before: u64,
    claimed_before_ms: i64,
    complete_until_ms: i64,
    /// Clock of its last movement.
    pub last_ms: i64,
    pub dead_letters: u64,
    pub is_expected: bool,
    is_marked: bool,
    /// Numbers that came behind a higher one and were in no dead letters: those whose clock was far behind, and the others.
    long_late: u64,
    reordered: u64,
}

impl SourceKnown {
    /// A transaction is in, and its number is below one that was in before.
    pub fn came_behind(&mut self, occurred_ms: i64) {
        if self.last_ms.saturating_sub(occurred_ms) >= LONG_LATE_MS {
            self.long_late += 1;
        } else {
            self.reordered += 1;
        }
    }

    /// What a mark with this number says, against the last one.
    pub const fn says(&self, number: u64) -> MarkSays {
        if number > self.claimed {
            MarkSays::More
        } else if number < self.claimed {
            MarkSays::Less
        } else {
            MarkSays::Same
        }
    }

    /// A mark that is newer than all before it.
    pub fn claim(&mut self, window: &Window, number: u64, clock_ms: i64) {
        self.settle(window);
        if self.is_marked {
            self.claimed_before = self.claimed;
            self.claimed_before_ms = self.claimed_ms;
        }
        // Numbers never go back; a mark that says so cannot take back what an earlier one said.
        self.claimed = self.claimed.max(number);
        self.claimed_ms = clock_ms;
        self.is_marked = true;
        self.settle(window);
    }

    /// A mark that another one has overtaken: it counts where it is newer than the one before the last.
    pub fn claim_late(&mut self, window: &Window, number: u64, clock_ms: i64) {
        if !self.is_marked {
            self.claim(window, number, clock_ms);
        } else if clock_ms > self.claimed_before_ms && clock_ms < self.claimed_ms {
            self.settle(window);
            self.claimed_before = self.claimed_before.max(number).min(self.claimed);
            self.claimed_before_ms = clock_ms;
            self.settle(window);
        }
    }

    /// Takes note of which mark has all its numbers in. Gap-free numbers only grow, so it may be asked at any time between
    /// two marks.
    pub fn settle(&mut self, window: &Window) {
        let up_to = window.complete_up_to();
        if self.is_marked && up_to >= self.claimed {
            self.complete_until_ms = self.claimed_ms;
        } else if self.claimed_before_ms != 0 && up_to >= self.claimed_before {
            self.complete_until_ms = self.claimed_before_ms;
        }
    }

    /// Numbers up to the highest that is in or claimed.
    pub fn missing(&self, window: &Window) -> u64 {
        window
            .missing_up_to(u64::MAX)
            .saturating_add(window.behind(self.claimed))
    }

    /// Nothing of it keeps its place from being certain.
    fn is_certain(&self, window: &Window) -> bool {
        let is_heard_of = self.is_marked || (!self.is_expected && !window.has_numbers());
        is_heard_of && window.missing_up_to(self.claimed_before) == 0
    }

    /// There is something to be said of it.
    fn is_known(&self, window: &Window) -> bool {
        self.is_expected || self.is_marked || window.has_numbers() || self.dead_letters > 0
    }

    fn to_record(self, id: SourceId, window: &Window) -> SourceState {
        let has_numbers = window.has_numbers();
        let shown = |number| if has_numbers { number } else { 0 };
        let ranges = window.missing_ranges(self.claimed);
        SourceState {
            source_kind: id.kind as i32,
            source_unit: u32::from(id.unit),
            complete_up_to: shown(window.complete_up_to()),
            highest: shown(window.highest()),
            claimed: self.claimed,
            claimed_before: self.claimed_before,
            missing: self.missing(window),
            overdue: window.missing_up_to(self.claimed_before),
            missing_first: ranges
                .take(RANGES_LISTED)
                .map(|(first, last)| NumberRange { first, last })
                .collect(),
            complete_until_ms: self.complete_until_ms,
            last_ms: self.last_ms,
            dead_letters: self.dead_letters,
            late: window.late,
            is_expected: self.is_expected,
            is_marked: self.is_marked,
            claimed_ms: self.claimed_ms,
            claimed_before_ms: self.claimed_before_ms,
            long_late: self.long_late,
            reordered: self.reordered,
        }
    }

    pub const fn from_record(record: &SourceState) -> Self {
        Self {
            claimed: record.claimed,
            claimed_ms: record.claimed_ms,
            claimed_before: record.claimed_before,
            claimed_before_ms: record.claimed_before_ms,
            complete_until_ms: record.complete_until_ms,
            last_ms: record.last_ms,
            dead_letters: record.dead_letters,
            is_expected: record.is_expected,
            is_marked: record.is_marked,
            long_late: record.long_late,
            reordered: record.reordered,
        }
    }
}

/// What a mark says of its sources, against the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkSays {
    Same,
    More,
    Less,
    /// More of some and less of others.
    Both,
}

impl MarkSays {
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Same, says) | (says, Self::Same) => says,
            (Self::More, Self::More) => Self::More,
            (Self::Less, Self::Less) => Self::Less,
            _ => Self::Both,
        }
    }
}

/// How a mark stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkOrder {
    Newest,
    Overtaken,
    Repeat,
}

/// What is known of a place besides its sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceKnown {
    /// Of the last mark: its clock, and when it was due by the wall clock.
    marked_ms: i64,
    marked_due_ms: i64,
    is_marked: bool,
    pub dead_letters: u64,
    rejections: Rejections,
    /// Offsets below it are in, as it was restored.
    pub cut: u64,
    /// As of the last look; what its shares say of its stock follows this.
    pub is_certain: bool,
    pub is_offline: bool,
    /// Missing numbers, as of the last look.
    pub missing: u64,
}

impl PlaceKnown {
    /// Takes a mark's instants, and what it says against the last one.
    pub fn mark(&mut self, clock_ms: i64, due_ms: i64, says: MarkSays) -> MarkOrder {
        if self.is_marked && clock_ms == self.marked_ms && says != MarkSays::More {
            self.marked_due_ms = self.marked_due_ms.max(due_ms);
            return MarkOrder::Repeat;
        }
        let is_overtaken = match says {
            MarkSays::More => false,
            MarkSays::Less => true,
            MarkSays::Same | MarkSays::Both => due_ms < self.marked_due_ms,
        };
        if self.is_marked && is_overtaken {
            return MarkOrder::Overtaken;
        }
        self.is_marked = true;
        self.marked_ms = clock_ms;
        self.marked_due_ms = due_ms;
        MarkOrder::Newest
    }

    /// Takes a rejection; false where it is counted already.
    pub fn reject(&mut self, topic: &str, offset: u64) -> bool {
        let is_new = self.rejections.reject(topic, offset);
        self.dead_letters += u64::from(is_new);
        is_new
    }

    /// A rejected message is out of the dead letters; false where it is counted already, or never was in them.
    pub fn resolve(&mut self, topic: &str, offset: u64) -> bool {
        let is_new = self.rejections.resolve(topic, offset);
        self.dead_letters = self.dead_letters.saturating_sub(u64::from(is_new));
        is_new
    }

    /// When its last mark was due, `None`: there is none.
    pub fn marked_due_ms(&self) -> Option<i64> {
        self.is_marked.then_some(self.marked_due_ms)
    }

    /// Its marks stay away while those of others come.
    pub fn is_silent(&self, newest_due_ms: i64, offline_after_ms: i64) -> bool {
        self.is_marked && newest_due_ms.saturating_sub(self.marked_due_ms) > offline_after_ms
    }

    pub fn certainty<'a>(
        &self,
        is_offline: bool,
        mut sources: impl Iterator<Item = (&'a SourceKnown, &'a Window)>,
    ) -> bool {
        self.is_marked && !is_offline && sources.all(|(known, window)| known.is_certain(window))
    }

    pub fn to_record<'a>(
        &self,
        epoch: u32,
        cut: u64,
        sources: impl Iterator<Item = (SourceId, &'a SourceKnown, &'a Window)>,
    ) -> records::Completeness {
        let states: Vec<SourceState> = sources
            .filter(|(_, known, window)| known.is_known(window))
            .map(|(id, known, window)| known.to_record(id, window))
            .collect();
        let complete_until_ms = states.iter().map(|state| state.complete_until_ms).min();
        records::Completeness {
            epoch,
            cut,
            sources: states,
            marked_ms: self.marked_ms,
            marked_due_ms: self.marked_due_ms,
            complete_until_ms: complete_until_ms.unwrap_or(0),
            offline_since_ms: if self.is_offline { self.marked_ms } else { 0 },
            dead_letters: self.dead_letters,
            rejected: self.rejections.to_records(),
            is_certain: self.is_certain,
        }
    }

    pub fn from_record(record: &records::Completeness) -> Self {
        Self {
            marked_ms: record.marked_ms,
            marked_due_ms: record.marked_due_ms,
            is_marked: record.marked_ms != 0 || record.sources.iter().any(|source| source.is_marked),
            dead_letters: record.dead_letters,
            rejections: Rejections::from_records(&record.rejected),
            cut: record.cut,
            is_certain: record.is_certain,
            is_offline: record.offline_since_ms != 0,
            missing: record
                .sources
                .iter()
                .fold(0, |sum, source| sum.saturating_add(source.missing)),
        }
    }
}

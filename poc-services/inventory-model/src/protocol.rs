//! The protocol of one partition: a coordinator that assigns it, owners that acquire, flush, repair and rebuild, and a
//! compacted log that all of them write.
//!
//! An owner takes one step at a time and may stop for ever before any of them (a crash) or for as long as it likes (a
//! pause), because nobody has to take the next step. A record that is in flight when its owner stops is the same as an
//! owner that stops one step later, so there are no records in flight of their own. An instance that acquires again is
//! another owner. See docs/state.md for what else is left out, and why that is sound.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::action::Action;
use crate::explore::Model;
use crate::log::{Log, OWNERS_MAX, WINDOW_0, key_name};
use crate::memory::{Input, Memory, SecondLine};
use crate::plant::Plant;
use crate::steps::Steps;

/// What an owner does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Not assigned yet.
    #[default]
    Waiting,
    /// Looks for the highest epoch.
    Choosing,
    /// Appends its barrier.
    Barrier,
    /// Reads up to its barrier.
    Reading,
    Ready,
    /// Intent is in; `pending` is next, then the head.
    Flushing,
    /// Compares its offsets with what it sent.
    Checking,
    Committing,
    /// Revoked without a purge: what its client still has goes out.
    Draining,
    Ended,
}

/// No head yet.
pub const NEVER: u8 = u8::MAX;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    pub phase: Phase,
    pub epoch: u8,
    pub memory: Memory,
    /// Cut of the last head.
    pub flushed: u8,
    /// Keys to publish.
    pub dirty: u8,
    /// Keys of the flush at hand.
    pub pending: u8,
    /// Somebody else wrote behind the mark.
    pub is_foreign: bool,
    /// Keys that somebody of an older epoch wrote behind the mark.
    pub touched: u8,
    /// The same between the last two marks.
    pub range: u8,
    /// Those of them that are superseded.
    pub hidden: u8,
    /// A barrier as high lies before its own.
    pub is_outdone: bool,
}

/// In few words, because it is done for every step.
impl Hash for Owner {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let flags = u8::from(self.is_foreign) | u8::from(self.is_outdone) << 1;
        let [first, second] = self.memory.words();
        state.write_u64(u64::from_le_bytes([
            self.phase as u8,
            self.epoch,
            self.flushed,
            self.dirty,
            self.pending,
            self.touched,
            self.range,
            self.hidden,
        ]));
        state.write_u64(first);
        state.write_u64(second << 8 | u64::from(flags));
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub log: Log,
    pub owners: [Owner; OWNERS_MAX],
    /// The one that the group assigned the partition to last.
    pub newest: u8,
    /// Of the group: next offset and epoch.
    pub committed: (u8, u8),
    /// A restore found, without any zombie, what no owner had.
    pub is_torn: bool,
    /// Sends that failed unnoticed.
    pub lost_sends: u8,
    /// Records behind a higher barrier, where their number is bounded.
    pub zombie_records: u8,
}

/// Rules that catch what others let through; all of them in the protocol, some off to see what hides behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nets {
    /// Intents' and heads' digests are compared after a restore.
    pub digests: bool,
    /// A restoring owner rebuilds when it finds a zombie's record.
    pub rebuild: bool,
    /// A living owner repairs what a zombie wrote.
    pub repair: bool,
}

impl Nets {
    pub const ALL: Self = Self {
        digests: true,
        rebuild: true,
        repair: true,
    };
    pub const NO_DIGESTS: Self = Self {
        digests: false,
        ..Self::ALL
    };
    pub const NONE: Self = Self {
        digests: false,
        rebuild: false,
        repair: false,
    };
}

/// When the partition may be given to the next owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// At any time: the one before may be paused, cut off, slow or dead.
    Any,
    /// When the one before has given it back, and nobody fails.
    Calm,
}

/// A zombie's record that was overwritten since by a record of a right owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needless {
    /// Whoever finds it goes on.
    PassedOver,
    /// Whoever finds it may repair or rebuild, or may not find it.
    MayBeMended,
}

#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    pub input: Input,
    pub owners: usize,
    pub plant: Option<Plant>,
    pub nets: Nets,
    pub handover: Handover,
    pub needless: Needless,
    /// Records that may arrive behind a higher barrier, from owners that lost the partition.
    pub zombie_records_max: u8,
}

impl Owner {
    pub(crate) fn ended() -> Self {
        Self {
            phase: Phase::Ended,
            ..Self::default()
        }
    }
}

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// The owner is content, and a key lacks a transaction for good.
    Lost(u8),
    /// The owner is content, and a key has one too often.
    Doubled(u8),
    /// The owner is content, and the last record of a key is an older state of it.
    Stale(u8),
    /// A cell was published whose value is not what lies below its applied offset.
    Untrue(u8),
    /// A restore found, without any zombie, what no owner had.
    Torn,
    /// Nobody can go on, and the assigned owner is not done.
    Stuck,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(key) => write!(f, "{} has lost a transaction, and nobody knows", key_name(*key)),
            Self::Doubled(key) => write!(
                f,
                "{} counts a transaction twice, and nobody knows",
                key_name(*key)
            ),
            Self::Stale(key) => write!(f, "{} is stale, and nobody knows", key_name(*key)),
            Self::Untrue(key) => write!(f, "{} was published with a value of no prefix", key_name(*key)),
            Self::Torn => write!(f, "a restore without any zombie is torn"),
            Self::Stuck => write!(f, "the assigned owner cannot finish"),
        }
    }
}

impl Protocol {
    /// The whole protocol, with a bug or without.
    pub const fn new(input: Input, owners: usize, plant: Option<Plant>) -> Self {
        Self {
            input,
            owners,
            plant,
            nets: Nets::ALL,
            handover: Handover::Any,
            needless: Needless::PassedOver,
            zombie_records_max: u8::MAX,
        }
    }

    #[must_use]
    pub const fn with_zombie_records(self, zombie_records_max: u8) -> Self {
        Self {
            zombie_records_max,
            ..self
        }
    }

    #[must_use]
    pub const fn with_needless(self, needless: Needless) -> Self {
        Self { needless, ..self }
    }

    #[must_use]
    pub const fn with_nets(self, nets: Nets) -> Self {
        Self { nets, ..self }
    }

    #[must_use]
    pub const fn calm(self) -> Self {
        Self {
            handover: Handover::Calm,
            ..self
        }
    }

    pub(crate) fn has(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }

    pub(crate) fn second_line(&self) -> SecondLine {
        if self.has(Plant::SecondLineSkipped) {
            SecondLine::Skipped
        } else {
            SecondLine::Counts
        }
    }

    pub(crate) fn sees_zombies(&self) -> bool {
        self.nets.rebuild
            && !self.has(Plant::NoRebuild)
            && !self.has(Plant::LastWriteWinsRestore)
            && !self.has(Plant::OneBarrierKey)
    }

    pub(crate) fn looks_behind_barrier(&self) -> bool {
        self.nets.rebuild
            && !self.has(Plant::NoRebuild)
            && !self.has(Plant::LastWriteWinsRestore)
            && !self.has(Plant::BlindBehindBarrier)
    }

    pub(crate) fn repairs(&self) -> bool {
        self.nets.repair && !self.has(Plant::NoRepair)
    }

    /// The assigned owner has all in, its last head is the end of the log, and it waits for news.
    fn is_content(&self, state: &State) -> bool {
        let owner = &state.owners[state.newest as usize];
        let is_unaware = !self.repairs() || !owner.is_foreign;
        owner.phase == Phase::Ready && owner.flushed == self.input.end() && owner.dirty == 0 && is_unaware
    }

    /// What readers see, compared with the truth: the last record of each key, which compaction keeps.
    fn compare(&self, state: &State) -> Option<Violation> {
        let truth = self.input.prefix(self.input.end());
        (0..4).find_map(|key| {
            let record = state.log.last[key as usize];
            let found = record.map_or(0, |record| record.content);
            if found == content(&truth, key) {
                return None;
            }
            let at = record.map_or(0, |record| record.at);
            let has_more =
                (0..3).any(|number| count(key, found, number) > count(key, content(&truth, key), number));
            let is_older = record.is_some() && content(&self.input.prefix(at), key) == found;
            Some(if has_more {
                Violation::Doubled(key)
            } else if is_older {
                Violation::Stale(key)
            } else {
                Violation::Lost(key)
            })
        })
    }

    /// A cell is what lies below its applied offset, whoever wrote it.
    fn untrue(&self, state: &State) -> Option<Violation> {
        let mut records = (0..2)
            .filter_map(|key| state.log.last[key as usize].map(|record| (key, record)))
            .chain(state.log.superseded.iter().copied().filter(|(key, _)| *key < 2));
        records
            .find(|(key, record)| content(&self.input.prefix(record.at), *key) != record.content)
            .map(|(key, _)| Violation::Untrue(key))
    }
}

fn count(key: u8, content: u32, number: u8) -> u32 {
    if key < WINDOW_0 {
        content >> (number * 3) & 7
    } else {
        content >> number & 1
    }
}

/// What a record of a key holds.
pub(crate) fn content(memory: &Memory, key: u8) -> u32 {
    match key {
        0 | 1 => memory.cells[key as usize].value.into(),
        2 | 3 => memory.windows[key as usize - 2].numbers.into(),
        _ => memory.digest(),
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;
    type Violation = Violation;

    fn initial(&self) -> State {
        let mut owners = [Owner::default(); OWNERS_MAX];
        owners[0].phase = Phase::Choosing;
        State {
            log: Log::default(),
            owners,
            newest: 0,
            committed: (0, 0),
            is_torn: false,
            lost_sends: 0,
            zombie_records: 0,
        }
    }

    fn steps(&self, state: &State, out: &mut Vec<(Action, State)>) {
        Steps::new(self, state, out).take_all();
    }

    fn violation(&self, state: &State, is_final: bool) -> Option<Violation> {
        if state.is_torn {
            return Some(Violation::Torn);
        }
        if self.is_content(state) {
            return self.compare(state).or_else(|| self.untrue_if_clean(state));
        }
        if is_final {
            return Some(Violation::Stuck);
        }
        self.untrue_if_clean(state)
    }
}

impl Protocol {
    /// Asked of the whole protocol only: of a planted bug we want to see where it ends.
    fn untrue_if_clean(&self, state: &State) -> Option<Violation> {
        if self.plant.is_none() {
            self.untrue(state)
        } else {
            None
        }
    }
}

impl Protocol {
    /// Only with these it matters which epoch was chosen how long ago.
    pub(crate) fn chooses_apart(&self) -> bool {
        matches!(
            self.plant,
            Some(Plant::OneBarrierKey | Plant::BarrierKeyWithoutOwner | Plant::RestoreEndsAtEof)
        )
    }

    /// Nothing but a planted bug reads what the group committed.
    pub(crate) fn commits_matter(&self) -> bool {
        self.has(Plant::ReplayFromCommit)
    }

    pub(crate) fn behind_check(&self) -> Phase {
        if self.commits_matter() {
            Phase::Committing
        } else {
            Phase::Ready
        }
    }

    pub(crate) fn drops_outranked(&self) -> bool {
        self.repairs() && !self.has(Plant::CommitBeforeAcknowledge)
    }

    pub(crate) fn dropped(&self, is_assigned: bool) -> Owner {
        if is_assigned && !self.has(Plant::NoNewAcquisition) {
            Owner {
                phase: Phase::Choosing,
                ..Owner::default()
            }
        } else {
            Owner::ended()
        }
    }
}

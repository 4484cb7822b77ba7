//! The protocol of one partition: a coordinator that assigns it, owners that acquire, flush, repair and rebuild, and a
//! compacted log that all of them write.
//!
//! An owner takes one step at a time and may stop for ever before any of them (a crash) or for as long as it likes (a
//! pause), because nobody has to take the next step. A record that is in flight when its owner stops is the same as an
//! owner that stops one step later, so there are no records in flight of their own. An instance that acquires again is
//! another owner. See docs/state.md for what else is left out, and why that is sound.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::explore::Model;
use crate::log::{
    CELL_A, CELLS, HEAD, INTENT, KEYS, Log, OWNERS_MAX, Readers, Record, WINDOW_0, WINDOWS, key_name,
};
use crate::memory::{Input, Memory, SecondLine};
use crate::plant::Plant;

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
    /// Commits to pass the group's gate.
    Gate,
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

#[derive(Clone, Debug)]
pub struct Action {
    owner: usize,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Assigned,
    AssignedAndChooses(u8),
    Chooses(u8),
    AppendsBarrier(u8),
    IsOutdone,
    Restores(Memory, u8),
    Tears(Memory, u8),
    Rebuilds(u8),
    AppendsLastHead(Record),
    PassesGate,
    Flushes(u8),
    Appends(u8, Record),
    Loses(u8),
    FindsNothing,
    FindsForeign(u8),
    Commits(u8),
    GivesBack,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "O{} ", self.owner + 1)?;
        match &self.what {
            What::Assigned => write!(f, "is assigned the partition"),
            What::AssignedAndChooses(epoch) => write!(
                f,
                "is assigned the partition, reads barriers and heads, chooses epoch {epoch}"
            ),
            What::Chooses(epoch) => write!(f, "reads barriers and heads, chooses epoch {epoch}"),
            What::AppendsBarrier(epoch) => write!(f, "appends barrier {epoch}"),
            What::IsOutdone => write!(
                f,
                "appends a barrier of an epoch that is taken by now, finds the other, has to choose again"
            ),
            What::Restores(memory, hold) => {
                write!(f, "restores {}, holds until {hold}", show(memory))
            }
            What::Tears(memory, hold) => write!(
                f,
                "restores {}, whose digest differs: rebuilds, holds until {hold}",
                show(memory)
            ),
            What::Rebuilds(hold) => write!(f, "finds a zombie's record: rebuilds, holds until {hold}"),
            What::AppendsLastHead(record) => write!(
                f,
                "appends head @{} (epoch {}), meets a higher barrier and drops the partition",
                record.at, record.epoch
            ),
            What::PassesGate => write!(f, "passes the group's gate"),
            What::Flushes(cut) => write!(f, "applies up to {cut}, appends intent @{cut}"),
            What::Appends(key, record) => write!(
                f,
                "appends {} @{} (epoch {}) = {}{}",
                key_name(*key),
                record.at,
                record.epoch,
                show_content(*key, record.content),
                if record.is_zombie {
                    ", behind a higher barrier"
                } else {
                    ""
                }
            ),
            What::Loses(key) => write!(f, "loses {} on the way, unnoticed", key_name(*key)),
            What::FindsNothing => write!(f, "finds nothing between its heads that needs a repair"),
            What::FindsForeign(keys) => {
                let names: Vec<_> = (0..KEYS)
                    .filter(|key| keys >> key & 1 == 1)
                    .map(key_name)
                    .collect();
                write!(f, "finds a zombie's {}, writes again", names.join(", "))
            }
            What::Commits(cut) => write!(f, "commits {cut}"),
            What::GivesBack => write!(f, "gives the partition back"),
        }
    }
}

fn show(memory: &Memory) -> String {
    format!(
        "A={}@{} B={}@{} windows {}/{} next {}",
        show_content(0, memory.cells[0].value.into()),
        memory.cells[0].applied,
        show_content(1, memory.cells[1].value.into()),
        memory.cells[1].applied,
        show_content(2, memory.windows[0].numbers.into()),
        show_content(3, memory.windows[1].numbers.into()),
        memory.next
    )
}

/// "T0×2+T1" of a cell, "{T0,T1}" of a window.
fn show_content(key: u8, content: u32) -> String {
    let parts: Vec<String> = match key {
        0 | 1 => (0..3)
            .map(|number| (number, content >> (number * 3) & 7))
            .filter(|(_, count)| *count > 0)
            .map(|(number, count)| format!("T{number}x{count}"))
            .collect(),
        2 | 3 => (0..3)
            .filter(|number| content >> number & 1 == 1)
            .map(|number| format!("T{number}"))
            .collect(),
        _ => return "digest".into(),
    };
    if parts.is_empty() {
        "nothing".into()
    } else {
        parts.join("+")
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

    fn repairs(&self) -> bool {
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
        let mut steps = Steps {
            protocol: self,
            state,
            out,
        };
        steps.assign();
        for owner in 0..self.owners {
            steps.of_owner(owner);
        }
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
    /// Brings states together that nobody can tell apart.
    fn normalise(&self, state: &mut State) {
        let (mut marked, mut reading) = (0, 0);
        for (index, owner) in state.owners.iter_mut().enumerate() {
            let is_outranked = owner.epoch < state.log.barrier_max;
            let may_write = matches!(owner.phase, Phase::Ready | Phase::Flushing | Phase::Checking);
            if is_outranked
                && may_write
                && state.zombie_records >= self.zombie_records_max
                && state.newest as usize != index
            {
                *owner = Owner::ended();
            }
            match owner.phase {
                Phase::Waiting | Phase::Choosing | Phase::Draining => {}
                Phase::Ended => *owner = Owner::ended(),
                Phase::Barrier if self.has(Plant::RestoreEndsAtEof) => {
                    marked |= 1 << index;
                    reading |= 1 << index;
                }
                Phase::Barrier => {}
                Phase::Reading => {
                    if owner.is_outdone {
                        *owner = Owner {
                            phase: Phase::Choosing,
                            ..Owner::default()
                        };
                    } else if is_outranked && self.looks_behind_barrier() {
                        // All that it can do is to give up.
                        *owner = self.dropped(state.newest as usize == index);
                    } else {
                        marked |= 1 << index;
                        reading |= 1 << index;
                    }
                }
                Phase::Flushing if !is_outranked && self.needless == Needless::PassedOver => {
                    // They will be overwritten before it looks.
                    owner.touched &= !(owner.pending | 1 << HEAD);
                }
                Phase::Ready | Phase::Flushing | Phase::Checking
                    if is_outranked && self.drops_outranked() =>
                {
                    // Its next head is its last record, whatever else is there.
                    owner.touched = 0;
                    owner.is_foreign = true;
                }
                _ => {}
            }
        }
        if self.nobody_restores_again(state) {
            state.log.forget_history();
        }
        if !self.commits_matter() {
            state.committed = (0, 0);
        }
        state.log.normalise(Readers {
            marked,
            reading,
            see_zombies: self.sees_zombies(),
        });
        if self.needless == Needless::PassedOver {
            state.log.has_superseded_zombie = false;
            if self.plant.is_none() {
                forget_epochs(state);
                forget_names(state);
            }
        }
    }

    /// The last owner has restored, and all others are outranked.
    fn nobody_restores_again(&self, state: &State) -> bool {
        let newest = &state.owners[state.newest as usize];
        state.newest as usize + 1 == self.owners
            && self.drops_outranked()
            && newest.epoch == state.log.barrier_max
            && !self.has(Plant::EpochAtSend)
            && state.owners.iter().all(|owner| {
                !matches!(
                    owner.phase,
                    Phase::Waiting | Phase::Choosing | Phase::Barrier | Phase::Reading
                )
            })
    }

    /// Only with these it matters which epoch was chosen how long ago.
    fn chooses_apart(&self) -> bool {
        matches!(
            self.plant,
            Some(Plant::OneBarrierKey | Plant::BarrierKeyWithoutOwner | Plant::RestoreEndsAtEof)
        )
    }

    /// Nothing but a planted bug reads what the group committed.
    fn commits_matter(&self) -> bool {
        self.has(Plant::ReplayFromCommit)
    }

    fn behind_check(&self) -> Phase {
        if self.commits_matter() {
            Phase::Committing
        } else {
            Phase::Ready
        }
    }

    fn behind_restore(&self) -> Phase {
        if self.commits_matter() {
            Phase::Gate
        } else {
            Phase::Ready
        }
    }

    fn drops_outranked(&self) -> bool {
        self.repairs() && !self.has(Plant::CommitBeforeAcknowledge)
    }

    fn dropped(&self, is_assigned: bool) -> Owner {
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

/// There is one owner at most who is not outranked. What is compared later is only with him, and whether a record
/// lies behind a higher barrier is noted in it.
fn forget_epochs(state: &mut State) {
    let barrier_max = state.log.barrier_max;
    for owner in &mut state.owners {
        owner.epoch = u8::from(owner.epoch == barrier_max && barrier_max > 0);
    }
    state.log.barrier_max = barrier_max.min(1);
    state.log.forget_epochs();
}

/// Those that lost the partition can all do the same: sorted.
fn forget_names(state: &mut State) {
    let newest = state.newest as usize;
    for end in (1..newest).rev() {
        for index in 0..end {
            if state.owners[index] > state.owners[index + 1] {
                state.owners.swap(index, index + 1);
                state.log.swap_marks(index, index + 1);
            }
        }
    }
}

impl Owner {
    fn ended() -> Self {
        Self {
            phase: Phase::Ended,
            ..Self::default()
        }
    }
}

pub(crate) struct Steps<'a> {
    pub(crate) protocol: &'a Protocol,
    pub(crate) state: &'a State,
    out: &'a mut Vec<(Action, State)>,
}

impl Steps<'_> {
    fn push(&mut self, owner: usize, what: What, mut next: State) {
        self.protocol.normalise(&mut next);
        self.out.push((Action { owner, what }, next));
    }

    /// The group gives the partition to the next owner.
    fn assign(&mut self) {
        let next = self.state.newest as usize + 1;
        if next >= self.protocol.owners {
            return;
        }
        let before = self.state.owners[next - 1].phase;
        if self.protocol.handover == Handover::Calm && !matches!(before, Phase::Ended | Phase::Draining) {
            return;
        }
        let mut state = self.state.clone();
        state.newest = next as u8;
        if self.protocol.chooses_apart() {
            self.choose_in(next, state, true);
        } else {
            state.owners[next].phase = Phase::Choosing;
            self.push(next, What::Assigned, state);
        }
    }

    fn of_owner(&mut self, index: usize) {
        match self.state.owners[index].phase {
            Phase::Waiting | Phase::Ended => {}
            Phase::Choosing if self.protocol.chooses_apart() => self.choose(index),
            Phase::Choosing => self.choose_and_set_barrier(index),
            Phase::Barrier => self.set_barrier(index),
            Phase::Reading => self.read(index),
            Phase::Gate => self.pass_gate(index),
            Phase::Ready => self.start_flush(index),
            Phase::Flushing => self.go_on_with_flush(index),
            Phase::Draining => self.drain(index),
            Phase::Checking => self.check(index),
            Phase::Committing => self.commit(index),
        }
        let phase = self.state.owners[index].phase;
        let is_working = matches!(
            phase,
            Phase::Gate | Phase::Ready | Phase::Flushing | Phase::Checking | Phase::Committing
        );
        if self.protocol.handover == Handover::Calm
            && is_working
            && self.state.newest as usize + 1 < self.protocol.owners
        {
            self.give_back(index);
        }
    }

    fn choose(&mut self, index: usize) {
        self.choose_in(index, self.state.clone(), false);
    }

    /// The epoch was chosen now, or long ago: then a barrier as high lies before its own, and it has to choose again.
    fn choose_and_set_barrier(&mut self, index: usize) {
        let epoch = self.state.log.barrier_max + 1;
        let mut state = self.state.clone();
        note_foreign(&mut state, index, None);
        let mut outdone = state.clone();
        state.log.barrier_max = epoch;
        state.log.set_mark(index);
        state.owners[index] = Owner {
            phase: Phase::Reading,
            epoch,
            flushed: NEVER,
            ..Owner::default()
        };
        self.push(index, What::AppendsBarrier(epoch), state);
        if epoch > 1 {
            outdone.owners[index].phase = Phase::Choosing;
            self.push(index, What::IsOutdone, outdone);
        }
    }

    fn choose_in(&mut self, index: usize, mut state: State, is_assigned_now: bool) {
        let head = state.log.last[HEAD as usize].map_or(0, |head| head.epoch);
        let epoch = 1 + state.log.barrier_max.max(head).max(state.committed.1);
        state.owners[index] = Owner {
            phase: Phase::Barrier,
            epoch,
            flushed: NEVER,
            ..Owner::default()
        };
        if self.protocol.has(Plant::RestoreEndsAtEof) {
            state.log.set_mark(index);
        }
        let what = if is_assigned_now {
            What::AssignedAndChooses(epoch)
        } else {
            What::Chooses(epoch)
        };
        self.push(index, what, state);
    }

    fn set_barrier(&mut self, index: usize) {
        let mut state = self.state.clone();
        let epoch = state.owners[index].epoch;
        let barrier_max = state.log.barrier_max;
        note_foreign(&mut state, index, None);
        state.log.barrier_max = barrier_max.max(epoch);
        let owner = &mut state.owners[index];
        owner.phase = Phase::Reading;
        owner.is_outdone = match self.protocol.plant {
            // Barriers before its own are compacted away.
            Some(Plant::OneBarrierKey) => false,
            // Those of the same epoch.
            Some(Plant::BarrierKeyWithoutOwner) => barrier_max > epoch,
            // There were none where it looks.
            Some(Plant::RestoreEndsAtEof) => false,
            _ => barrier_max >= epoch,
        };
        if !self.protocol.has(Plant::RestoreEndsAtEof) {
            state.log.set_mark(index);
        }
        self.push(index, What::AppendsBarrier(epoch), state);
    }

    fn pass_gate(&mut self, index: usize) {
        let mut state = self.state.clone();
        let owner = &mut state.owners[index];
        owner.phase = Phase::Ready;
        state.committed = (owner.memory.next, owner.epoch);
        self.push(index, What::PassesGate, state);
    }

    fn start_flush(&mut self, index: usize) {
        let input = &self.protocol.input;
        let owner = self.state.owners[index];
        let is_first = owner.flushed == NEVER;
        let lowest = if is_first || owner.dirty != 0 {
            owner.memory.next
        } else {
            owner.flushed + 1
        };
        for cut in lowest.max(1)..=input.end() {
            let mut state = self.state.clone();
            let owner = &mut state.owners[index];
            let before = owner.memory;
            owner.memory.replay(input, cut, self.protocol.second_line());
            owner.pending = (owner.dirty | owner.memory.changed_since(&before)) & (CELLS | WINDOWS);
            owner.dirty = 0;
            owner.flushed = 0;
            owner.phase = Phase::Flushing;
            self.append(index, &mut state, INTENT, cut);
            self.push(index, What::Flushes(cut), state);
        }
        // An idle owner writes a head now and then. Only one that finds something makes a difference.
        if !is_first && owner.dirty == 0 && owner.is_foreign {
            let state = self.state.clone();
            self.append_head(index, state);
        }
    }

    fn go_on_with_flush(&mut self, index: usize) {
        let batch = self.batch(index);
        if batch == 0 {
            let state = self.state.clone();
            self.append_head(index, state);
            return;
        }
        // Records of a batch are on their way together, and any of them may arrive alone.
        for key in (0..KEYS).filter(|key| batch >> key & 1 == 1) {
            for (at, as_of) in self.published(index, key) {
                let mut state = self.state.clone();
                state.owners[index].pending &= !(1 << key);
                let record = self.append_of(index, &mut state, key, at, &as_of);
                self.push(index, What::Appends(key, record), state);
            }
            if self.protocol.has(Plant::CommitBeforeAcknowledge) && self.state.lost_sends == 0 {
                let mut state = self.state.clone();
                state.owners[index].pending &= !(1 << key);
                state.lost_sends = 1;
                self.push(index, What::Loses(key), state);
            }
        }
    }

    /// Cells, then windows, each acknowledged before the next.
    fn batch(&self, index: usize) -> u8 {
        let pending = self.state.owners[index].pending;
        let (first, second) = if self.protocol.has(Plant::WindowsBeforeCells) {
            (WINDOWS, CELLS)
        } else {
            (CELLS, WINDOWS)
        };
        if pending & first == 0 {
            pending & second
        } else {
            pending & first
        }
    }

    /// What a record of a key may hold: the state at the cut, or with a planted bug a later one as well.
    fn published(&self, index: usize, key: u8) -> Vec<(u8, Memory)> {
        let memory = self.state.owners[index].memory;
        let is_live = match key {
            0 | 1 => self.protocol.has(Plant::LiveCells),
            _ => self.protocol.has(Plant::LiveWindow),
        };
        let last = if is_live {
            self.protocol.input.end()
        } else {
            memory.next
        };
        (memory.next..=last)
            .map(|later| {
                let mut as_of = memory;
                as_of.replay(&self.protocol.input, later, self.protocol.second_line());
                let at = if key < WINDOW_0 {
                    as_of.cells[key as usize].applied
                } else {
                    memory.next
                };
                (at, as_of)
            })
            .collect()
    }

    fn append(&self, index: usize, state: &mut State, key: u8, at: u8) -> Record {
        let memory = state.owners[index].memory;
        self.append_of(index, state, key, at, &memory)
    }

    fn append_of(&self, index: usize, state: &mut State, key: u8, at: u8, as_of: &Memory) -> Record {
        let mut epoch = state.owners[index].epoch;
        if self.protocol.has(Plant::EpochAtSend) {
            // All owners are one instance that acquired again.
            let acquired = state.owners[index..]
                .iter()
                .filter(|owner| !matches!(owner.phase, Phase::Barrier | Phase::Reading));
            epoch = acquired
                .map(|owner| owner.epoch)
                .max()
                .unwrap_or(epoch)
                .max(epoch);
        }
        let record = Record {
            epoch,
            at,
            owner: index as u8,
            behind: 0,
            is_zombie: false,
            content: content(as_of, key),
        };
        if self.protocol.needless == Needless::PassedOver {
            state.owners[index].touched &= !(1 << key);
        }
        if self.protocol.zombie_records_max < u8::MAX
            && state.log.barrier_max > epoch
            && state.newest as usize != index
        {
            state.zombie_records += 1;
        }
        note_foreign(state, index, Some((key, epoch)));
        state.log.append(key, record);
        state.log.last[key as usize].expect("it was appended")
    }

    fn append_head(&mut self, index: usize, mut state: State) {
        let cut = state.owners[index].memory.next;
        let record = self.append(index, &mut state, HEAD, cut);
        let touched = state.owners[index].touched;
        // What it wrote itself behind a zombie's record.
        let own = (0..KEYS)
            .filter(|key| touched >> key & 1 == 1 && self.protocol.needless == Needless::MayBeMended)
            .filter(|key| state.log.last[*key as usize].is_some_and(|last| last.owner as usize == index))
            .fold(0, |keys, key| keys | 1 << key);
        let is_assigned = state.newest as usize == index;
        let owner = &mut state.owners[index];
        owner.flushed = cut;
        owner.range = owner.touched;
        owner.touched = 0;
        owner.is_foreign = false;
        owner.hidden = own;
        if self.protocol.drops_outranked() && state.log.barrier_max > owner.epoch {
            *owner = self.protocol.dropped(is_assigned);
            self.push(index, What::AppendsLastHead(record), state);
            return;
        }
        owner.phase = if self.protocol.drops_outranked() && owner.range != 0 {
            Phase::Checking
        } else {
            self.protocol.behind_check()
        };
        self.push(index, What::Appends(HEAD, record), state);
    }

    /// Own offset less the last head's against the records sent: what others wrote is looked at.
    fn check(&mut self, index: usize) {
        let owner = self.state.owners[index];
        let found = owner.range & !owner.hidden;
        let mut state = self.state.clone();
        (state.owners[index].range, state.owners[index].hidden) = (0, 0);
        if found == 0 {
            state.owners[index].phase = self.protocol.behind_check();
            self.push(index, What::FindsNothing, state);
        }
        // Superseded records may be found as well.
        for (keys, is_possible) in [(found, found != 0), (owner.range, owner.range != found)] {
            if is_possible {
                let mut state = self.state.clone();
                let owner = &mut state.owners[index];
                (owner.range, owner.hidden) = (0, 0);
                owner.dirty |= keys;
                owner.phase = Phase::Ready;
                self.push(index, What::FindsForeign(keys), state);
            }
        }
    }

    fn commit(&mut self, index: usize) {
        let mut state = self.state.clone();
        let owner = &mut state.owners[index];
        owner.phase = Phase::Ready;
        owner.range = 0;
        let cut = owner.flushed;
        state.committed = (cut, owner.epoch);
        self.push(index, What::Commits(cut), state);
    }

    fn give_back(&mut self, index: usize) {
        let mut state = self.state.clone();
        let owner = &mut state.owners[index];
        let leaves_records = owner.phase == Phase::Flushing && self.batch(index) != 0;
        owner.phase = if self.protocol.has(Plant::NoPurgeOnRevoke) && leaves_records {
            owner.pending = self.batch(index);
            Phase::Draining
        } else {
            Phase::Ended
        };
        self.push(index, What::GivesBack, state);
    }

    fn drain(&mut self, index: usize) {
        let pending = self.state.owners[index].pending;
        for key in (0..KEYS).filter(|key| pending >> key & 1 == 1) {
            for (at, as_of) in self.published(index, key) {
                let mut state = self.state.clone();
                let owner = &mut state.owners[index];
                owner.pending &= !(1 << key);
                let is_over = owner.pending == 0;
                let record = self.append_of(index, &mut state, key, at, &as_of);
                if is_over {
                    state.owners[index].phase = Phase::Ended;
                }
                self.push(index, What::Appends(key, record), state);
            }
        }
    }

    fn read(&mut self, index: usize) {
        for restored in crate::restore::restores(self.protocol, self.state, index) {
            let mut state = self.state.clone();
            let owner = &mut state.owners[index];
            owner.phase = self.protocol.behind_restore();
            owner.memory = restored.memory;
            if self.protocol.looks_behind_barrier() {
                // It has seen all that there is.
                owner.touched = 0;
                owner.is_foreign = false;
            }
            owner.dirty = restored.dirty;
            if !self.protocol.has(Plant::NoHold) {
                // Nothing is published before it gets there.
                owner
                    .memory
                    .replay(&self.protocol.input, restored.hold, self.protocol.second_line());
                owner.dirty |= owner.memory.changed_since(&restored.memory);
            }
            let what = match restored.tears {
                Some(memory) => {
                    state.is_torn = true;
                    What::Tears(memory, restored.hold)
                }
                None if restored.is_rebuild => What::Rebuilds(restored.hold),
                None => What::Restores(restored.memory, restored.hold),
            };
            self.push(index, what, state);
        }
    }
}

/// Others see at their next head that somebody wrote.
fn note_foreign(state: &mut State, writer: usize, record: Option<(u8, u8)>) {
    for (index, owner) in state.owners.iter_mut().enumerate() {
        let has_mark = !matches!(
            owner.phase,
            Phase::Waiting | Phase::Choosing | Phase::Barrier | Phase::Draining | Phase::Ended
        );
        if index == writer || !has_mark {
            continue;
        }
        owner.is_foreign = true;
        if let Some((key, _)) = record
            && owner.phase == Phase::Checking
            && owner.range >> key & 1 == 1
        {
            owner.hidden |= 1 << key;
        }
        if let Some((key, epoch)) = record
            && epoch < owner.epoch
        {
            owner.touched |= 1 << key;
        }
    }
}

const _: () = assert!(CELL_A == 0 && WINDOW_0 == 2, "keys index the memory");

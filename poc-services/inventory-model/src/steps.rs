//! What the coordinator and each owner can do next.

use crate::action::{Action, What};
use crate::log::{CELLS, HEAD, INTENT, KEYS, Record, WINDOW_0, WINDOWS};
use crate::memory::Memory;
use crate::plant::Plant;
use crate::protocol::{Handover, NEVER, Needless, Owner, Phase, Protocol, State, content};
use crate::restore::restores;

pub(crate) struct Steps<'a> {
    protocol: &'a Protocol,
    state: &'a State,
    out: &'a mut Vec<(Action, State)>,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(protocol: &'a Protocol, state: &'a State, out: &'a mut Vec<(Action, State)>) -> Self {
        Self { protocol, state, out }
    }

    /// Of the coordinator and of every owner.
    pub(crate) fn take_all(&mut self) {
        self.assign();
        for owner in 0..self.protocol.owners {
            self.of_owner(owner);
        }
    }

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
            Phase::Ready => self.start_flush(index),
            Phase::Flushing => self.go_on_with_flush(index),
            Phase::Draining => self.drain(index),
            Phase::Checking => self.check(index),
            Phase::Committing => self.commit(index),
        }
        let phase = self.state.owners[index].phase;
        let is_working = matches!(
            phase,
            Phase::Ready | Phase::Flushing | Phase::Checking | Phase::Committing
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
            // Barriers before its own are compacted away; or there were none where it looks.
            Some(Plant::OneBarrierKey | Plant::RestoreEndsAtEof) => false,
            // Those of the same epoch are.
            Some(Plant::BarrierKeyWithoutOwner) => barrier_max > epoch,
            _ => barrier_max >= epoch,
        };
        if !self.protocol.has(Plant::RestoreEndsAtEof) {
            state.log.set_mark(index);
        }
        self.push(index, What::AppendsBarrier(epoch), state);
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
        for restored in restores(self.protocol, self.state, index) {
            let mut state = self.state.clone();
            let owner = &mut state.owners[index];
            owner.phase = Phase::Ready;
            // Passing the group's gate is a commit.
            state.committed = (restored.memory.next, owner.epoch);
            owner.memory = restored.memory;
            if self.protocol.looks_behind_barrier() {
                // It has seen all that there is.
                owner.touched = 0;
                owner.is_foreign = false;
            }
            owner.dirty = restored.dirty;
            // Nothing is published before it gets there.
            let (input, second_line) = (&self.protocol.input, self.protocol.second_line());
            owner.memory.replay(input, restored.hold, second_line);
            owner.dirty |= owner.memory.changed_since(&restored.memory);
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

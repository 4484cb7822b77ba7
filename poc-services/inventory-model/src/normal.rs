//! Which states are one: what nobody can tell apart is brought together, so that there is less to visit.

use crate::log::{HEAD, Readers};
use crate::plant::Plant;
use crate::protocol::{Needless, Owner, Phase, Protocol, State};

impl Protocol {
    /// Brings states together that nobody can tell apart.
    pub(crate) fn normalise(&self, state: &mut State) {
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
                Phase::Ended => *owner = Owner::ended(),
                Phase::Barrier if self.has(Plant::RestoreEndsAtEof) => {
                    marked |= 1 << index;
                    reading |= 1 << index;
                }
                Phase::Reading => {
                    if owner.is_outdone {
                        *owner = Owner {
                            phase: Phase::Choosing,
                            ..Owner::default()
                        };
                    } else if is_outranked && self.looks_behind_barrier() {
                        // All that it can do is to give up.
                        *owner = self.dropped(state.newest as usize == index);
                    } else if self.looks_behind_barrier() && owner.touched != 0 {
                        // It will rebuild, whatever else it finds.
                        owner.touched = 1;
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

//! The shares of articles on their way to the item stage, which keeps nothing and reads its topic anew at each start.
//!
//! That what an owner counts is right is shown by `protocol`; here every share is right for its cut, and the question is
//! whether an item stage that starts late can find an old one and take it for certain.

use std::fmt;

use crate::explore::Model;

const OWNERS_MAX: usize = 3;
/// Two articles, then the end mark.
const SHARES: u8 = 2;
const MARK: usize = 2;
/// Cuts 1 and 2.
const END: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    /// With every flush, and now and then when idle; an owner counts what lies between its marks.
    Counted,
    /// Once after a takeover.
    Once,
}

#[derive(Clone, Copy, Debug)]
pub struct Partials {
    pub owners: usize,
    pub marks: Marks,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Phase {
    #[default]
    Waiting,
    Acquiring,
    Ready,
    Sending,
    Checking,
    Ended,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Owner {
    phase: Phase,
    epoch: u8,
    cut: u8,
    has_marked: bool,
    pending: u8,
    /// Keys that somebody else wrote since the last mark, and between the last two.
    touched: u8,
    range: u8,
    is_foreign: bool,
    is_outranked: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Record {
    epoch: u8,
    cut: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    last: [Record; 3],
    barrier_max: u8,
    owners: [Owner; OWNERS_MAX],
    newest: u8,
}

#[derive(Clone, Debug)]
pub struct Action(String);

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// The owner is content, and a starting item stage takes an old share for certain.
    Stale,
    /// The owner is content, and a starting item stage waits for an end mark that never comes.
    UncertainForEver,
    Stuck,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stale => "an item stage that starts takes an old share for certain",
            Self::UncertainForEver => "an item stage that starts is uncertain for ever",
            Self::Stuck => "the assigned owner cannot finish",
        })
    }
}

impl Model for Partials {
    type State = State;
    type Action = Action;
    type Violation = Violation;

    fn initial(&self) -> State {
        let mut owners = [Owner::default(); OWNERS_MAX];
        owners[0].phase = Phase::Acquiring;
        State {
            last: [Record::default(); 3],
            barrier_max: 0,
            owners,
            newest: 0,
        }
    }

    fn steps(&self, state: &State, out: &mut Vec<(Action, State)>) {
        let next = state.newest as usize + 1;
        if next < self.owners {
            let mut state = *state;
            state.newest = next as u8;
            state.owners[next].phase = Phase::Acquiring;
            out.push(say(next, "is assigned the partition", state));
        }
        for index in 0..self.owners {
            self.of_owner(state, index, out);
        }
    }

    fn violation(&self, state: &State, is_final: bool) -> Option<Violation> {
        let owner = &state.owners[state.newest as usize];
        // That it is outranked it learns from the state's topic as well.
        let is_unaware = match self.marks {
            Marks::Counted => !owner.is_foreign,
            Marks::Once => owner.epoch == state.barrier_max,
        };
        let is_content = owner.phase == Phase::Ready
            && owner.cut == END
            && owner.pending == 0
            && owner.has_marked
            && is_unaware;
        if !is_content {
            return is_final.then_some(Violation::Stuck);
        }
        let shares = &state.last[..MARK];
        let newest = shares.iter().map(|share| share.epoch).max().unwrap_or_default();
        if state.last[MARK].epoch < newest.max(state.barrier_max) {
            return Some(Violation::UncertainForEver);
        }
        let is_stale = shares.iter().any(|share| share.cut != END);
        is_stale.then_some(Violation::Stale)
    }
}

fn say(owner: usize, what: &str, state: State) -> (Action, State) {
    (Action(format!("O{} {what}", owner + 1)), state)
}

impl Partials {
    fn of_owner(&self, state: &State, index: usize, out: &mut Vec<(Action, State)>) {
        let owner = state.owners[index];
        match owner.phase {
            Phase::Waiting | Phase::Ended => {}
            Phase::Acquiring => {
                // That epochs are unique and rise is the other model's.
                let mut state = *state;
                let epoch = state.barrier_max + 1;
                note(&mut state, index, None);
                state.barrier_max = epoch;
                state.owners[index] = Owner {
                    phase: Phase::Ready,
                    epoch,
                    ..Owner::default()
                };
                out.push(say(index, &format!("appends barrier {epoch}"), state));
            }
            Phase::Ready => self.start(state, index, out),
            Phase::Sending => self.send(state, index, out),
            Phase::Checking => Self::check(state, index, out),
        }
    }

    fn start(&self, state: &State, index: usize, out: &mut Vec<(Action, State)>) {
        let owner = state.owners[index];
        // The first flush sends all shares.
        let (first, all) = if owner.has_marked {
            (owner.cut + 1, 0)
        } else {
            (1, 3)
        };
        for cut in first..=END {
            // The first message changes the first article, the second both.
            let new = if cut == 1 { 1 } else { 3 };
            let mut state = *state;
            let owner = &mut state.owners[index];
            owner.cut = cut;
            owner.pending |= new | all;
            owner.phase = Phase::Sending;
            out.push(say(index, &format!("flushes at {cut}"), state));
        }
        let is_due = owner.has_marked
            && owner.is_foreign
            && (self.marks == Marks::Counted || owner.epoch < state.barrier_max);
        if is_due || owner.pending != 0 {
            let mut state = *state;
            state.owners[index].phase = Phase::Sending;
            out.push(say(index, "flushes again", state));
        }
    }

    fn send(&self, state: &State, index: usize, out: &mut Vec<(Action, State)>) {
        let owner = state.owners[index];
        for key in (0..SHARES).filter(|key| owner.pending >> key & 1 == 1) {
            let mut state = *state;
            append(&mut state, index, key);
            state.owners[index].pending &= !(1 << key);
            let name = if key == 0 { "X" } else { "Y" };
            let what = format!(
                "appends its share of {name} @{} (epoch {})",
                owner.cut, owner.epoch
            );
            out.push(say(index, &what, state));
        }
        if owner.pending != 0 {
            return;
        }
        let mut state = *state;
        let is_outranked = state.barrier_max > owner.epoch;
        if self.marks == Marks::Counted || !owner.has_marked {
            append(&mut state, index, MARK as u8);
        }
        let owner = &mut state.owners[index];
        owner.has_marked = true;
        owner.is_outranked = is_outranked;
        owner.range = match self.marks {
            Marks::Counted => owner.touched,
            Marks::Once => 0,
        };
        owner.touched = 0;
        owner.is_foreign = false;
        owner.phase = Phase::Checking;
        let epoch = owner.epoch;
        out.push(say(index, &format!("ends its flush (epoch {epoch})"), state));
    }

    fn check(state: &State, index: usize, out: &mut Vec<(Action, State)>) {
        let mut state = *state;
        let is_assigned = state.newest as usize == index;
        let owner = &mut state.owners[index];
        if owner.is_outranked {
            *owner = Owner {
                phase: if is_assigned {
                    Phase::Acquiring
                } else {
                    Phase::Ended
                },
                ..Owner::default()
            };
            out.push(say(
                index,
                "meets a higher barrier and drops the partition",
                state,
            ));
            return;
        }
        // A foreign mark is overwritten by the next one.
        owner.pending = owner.range & 3;
        owner.range = 0;
        owner.phase = Phase::Ready;
        let what = if owner.pending == 0 {
            "finds nothing between its marks that needs a repair"
        } else {
            "finds shares between its marks that are not its own"
        };
        out.push(say(index, what, state));
    }
}

fn append(state: &mut State, index: usize, key: u8) {
    let Owner { epoch, cut, .. } = state.owners[index];
    note(state, index, Some(key));
    state.last[key as usize] = Record { epoch, cut };
}

fn note(state: &mut State, writer: usize, key: Option<u8>) {
    for (index, owner) in state.owners.iter_mut().enumerate() {
        if owner.epoch < state.barrier_max {
            // Its next mark is its last record, whatever else is there.
            (owner.touched, owner.is_foreign) = (0, true);
        } else if index != writer && !matches!(owner.phase, Phase::Waiting | Phase::Acquiring | Phase::Ended)
        {
            owner.is_foreign = true;
            owner.touched |= key.map_or(0, |key| 1 << key);
        }
    }
}

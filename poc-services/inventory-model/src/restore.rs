//! A restore: what an owner can have found when it has read up to its own barrier.
//!
//! Reading takes long, and compaction works meanwhile. A record that is not superseded when the reading ends was there
//! when it was read; one that is may have been there or not. So reading is one step at its end, and every choice of
//! superseded records is taken.

use crate::log::{CELLS, HEAD, INTENT, KEYS, Record, WINDOWS};
use crate::memory::{Cell, Memory, Window};
use crate::plant::Plant;
use crate::protocol::{Protocol, State, content};

#[derive(Clone, Copy, Debug)]
pub struct Restored {
    pub memory: Memory,
    pub hold: u8,
    pub dirty: u8,
    pub is_rebuild: bool,
    /// What was restored where its digest differs.
    pub tears: Option<Memory>,
}

pub fn restores(protocol: &Protocol, state: &State, index: usize) -> Vec<Restored> {
    let log = &state.log;
    let is_visible = |record: &Record| !record.is_behind(index);
    let sees_zombie = protocol.sees_zombies()
        && log
            .last
            .iter()
            .flatten()
            .any(|record| is_visible(record) && record.is_zombie);
    let finds_behind = protocol.looks_behind_barrier() && state.owners[index].touched != 0;
    if sees_zombie || finds_behind {
        return vec![rebuild(protocol, state)];
    }
    let mut choices: Vec<[Option<Record>; KEYS as usize]> = vec![[None; KEYS as usize]];
    for key in 0..KEYS {
        let found = candidates(protocol, state, index, key);
        choices = choices
            .into_iter()
            .flat_map(|choice| {
                found.iter().map(move |record| {
                    let mut choice = choice;
                    choice[key as usize] = *record;
                    choice
                })
            })
            .collect();
    }
    let mut restored: Vec<Restored> = choices
        .iter()
        .map(|choice| restore(protocol, state, choice))
        .collect();
    if log.has_superseded_zombie {
        restored.push(rebuild(protocol, state));
    }
    restored
}

/// Which record of a key the restore may have taken for the newest.
fn candidates(protocol: &Protocol, state: &State, index: usize, key: u8) -> Vec<Option<Record>> {
    let last = state.log.last[key as usize].filter(|record| !record.is_behind(index));
    let mut found = vec![last];
    // Without a zombie's record the last one is the newest.
    if last.is_some() && (protocol.has(Plant::LastWriteWinsRestore) || protocol.sees_zombies()) {
        return found;
    }
    for (_, record) in state.log.superseded.iter().filter(|(other, _)| *other == key) {
        let is_newer = last.is_none_or(|last| record.version() > last.version());
        if !record.is_behind(index) && is_newer {
            found.push(Some(*record));
        }
    }
    found
}

fn restore(protocol: &Protocol, state: &State, found: &[Option<Record>; KEYS as usize]) -> Restored {
    let at = |key: u8| found[key as usize].map_or(0, |record| record.at);
    let content_of = |key: usize| found[key].map_or(0, |record| record.content);
    let next = if protocol.has(Plant::ReplayFromCommit) {
        state.committed.0
    } else {
        at(HEAD)
    };
    let memory = Memory {
        next,
        cells: [0, 1].map(|key| Cell {
            value: content_of(key) as u16,
            applied: at(key as u8),
        }),
        windows: [2, 3].map(|key| Window {
            numbers: content_of(key) as u8,
            cut: at(key as u8),
        }),
    };
    let hold = (0..KEYS).map(at).max().unwrap_or_default().max(next);
    let promise = [INTENT, HEAD]
        .into_iter()
        .filter_map(|key| found[key as usize])
        .filter(|record| record.at >= next)
        .max_by_key(|record| record.at);
    if protocol.nets.digests
        && let Some(promise) = promise
    {
        let mut then = memory;
        then.replay(&protocol.input, promise.at, protocol.second_line());
        if content(&then, INTENT) != promise.content {
            return Restored {
                tears: Some(then),
                ..rebuild(protocol, state)
            };
        }
    }
    Restored {
        memory: Memory {
            windows: memory.windows.map(|window| Window {
                // Nothing that comes is below it.
                cut: if window.cut > next { window.cut } else { 0 },
                ..window
            }),
            ..memory
        },
        hold,
        dirty: 0,
        is_rebuild: false,
        tears: None,
    }
}

/// From the first message on, with nothing but the keys that are to be written again.
fn rebuild(protocol: &Protocol, state: &State) -> Restored {
    let last = &state.log.last;
    let found = last.iter().flatten().map(|record| record.at);
    let keys = (0..KEYS).filter(|key| last[*key as usize].is_some());
    // A bug takes the group's word for where to begin.
    let next = if protocol.has(Plant::ReplayFromCommit) {
        state.committed.0
    } else {
        0
    };
    Restored {
        memory: Memory {
            next,
            ..Memory::default()
        },
        hold: if protocol.has(Plant::RebuildFlushesEarly) {
            0
        } else {
            found.max().unwrap_or_default()
        },
        dirty: keys.fold(0, |keys, key| keys | 1 << key) & (CELLS | WINDOWS),
        is_rebuild: true,
        tears: None,
    }
}

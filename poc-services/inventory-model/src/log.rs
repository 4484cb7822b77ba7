//! The state topic of one partition, as far as anybody can still tell one log from another.
//!
//! Offsets are not kept. Of each key the last record is (compaction keeps it), and of the superseded ones those that
//! somebody could still read and that would make a difference to him. Where a record lies matters only relative to an
//! owner's mark: his barrier, then his last head. So a record carries a bit per owner: it lies behind his mark.

use std::hash::{Hash, Hasher};

/// Owners at most.
pub const OWNERS_MAX: usize = 3;

pub const CELL_A: u8 = 0;
pub const CELL_B: u8 = 1;
pub const WINDOW_0: u8 = 2;
pub const WINDOW_1: u8 = 3;
pub const INTENT: u8 = 4;
pub const HEAD: u8 = 5;
pub const KEYS: u8 = 6;

/// Bits of a set of keys.
pub const CELLS: u8 = 1 << CELL_A | 1 << CELL_B;
pub const WINDOWS: u8 = 1 << WINDOW_0 | 1 << WINDOW_1;

pub const fn key_name(key: u8) -> &'static str {
    match key {
        CELL_A => "cell A",
        CELL_B => "cell B",
        WINDOW_0 => "window 0",
        WINDOW_1 => "window 1",
        INTENT => "intent",
        _ => "head",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub epoch: u8,
    /// Applied offset of a cell, cut of the others.
    pub at: u8,
    pub owner: u8,
    /// A bit per owner: it lies behind his mark.
    pub behind: u8,
    /// A barrier of a higher epoch lies before it.
    pub is_zombie: bool,
    /// Value of a cell, numbers of a window, digest.
    pub content: u32,
}

impl Record {
    pub const fn version(&self) -> (u8, u8) {
        (self.epoch, self.at)
    }

    pub const fn is_behind(&self, owner: usize) -> bool {
        self.behind >> owner & 1 == 1
    }
}

impl Hash for Record {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let small = [
            self.epoch,
            self.at,
            self.owner,
            self.behind << 1 | u8::from(self.is_zombie),
        ];
        state.write_u64(u64::from(u32::from_le_bytes(small)) << 32 | u64::from(self.content));
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    pub last: [Option<Record>; KEYS as usize],
    /// Superseded, sorted, each once.
    pub superseded: Vec<(u8, Record)>,
    /// The highest epoch among barriers.
    pub barrier_max: u8,
    /// A zombie's record that was superseded may still be there for a reader.
    pub has_superseded_zombie: bool,
}

/// Which superseded records can make a difference.
#[derive(Clone, Copy, Debug)]
pub struct Readers {
    /// Owners who have a mark.
    pub marked: u8,
    /// Owners who have yet to read up to their mark.
    pub reading: u8,
    /// They tell a zombie's record by its epoch, and rebuild.
    pub see_zombies: bool,
}

impl Hash for Log {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for record in &self.last {
            match record {
                None => state.write_u64(u64::MAX),
                Some(record) => record.hash(state),
            }
        }
        for (key, record) in &self.superseded {
            state.write_u8(*key);
            record.hash(state);
        }
        let flag = u64::from(self.has_superseded_zombie);
        state.write_u64((self.superseded.len() as u64) << 16 | u64::from(self.barrier_max) << 1 | flag);
    }
}

impl Log {
    pub fn append(&mut self, key: u8, mut record: Record) {
        record.is_zombie = record.epoch < self.barrier_max;
        record.behind = (1 << OWNERS_MAX) - 1;
        if let Some(before) = self.last[key as usize].replace(record) {
            self.superseded.push((key, before));
        }
    }

    /// From here on records lie behind the owner's mark.
    pub fn set_mark(&mut self, owner: usize) {
        let superseded = self.superseded.iter_mut().map(|(_, record)| record);
        for record in self.last.iter_mut().flatten().chain(superseded) {
            record.behind &= !(1 << owner);
        }
    }

    /// Nobody reads it any more, but for what it says at the end.
    pub fn forget_history(&mut self) {
        self.last[INTENT as usize] = None;
        self.last[HEAD as usize] = None;
        for record in self.last.iter_mut().flatten() {
            *record = Record {
                epoch: 0,
                behind: 0,
                is_zombie: false,
                ..*record
            };
        }
        self.superseded.clear();
        self.has_superseded_zombie = false;
    }

    /// Two owners change places.
    pub fn swap_marks(&mut self, one: usize, other: usize) {
        let superseded = self.superseded.iter_mut().map(|(_, record)| record);
        for record in self.last.iter_mut().flatten().chain(superseded) {
            if record.is_behind(one) != record.is_behind(other) {
                record.behind ^= 1 << one | 1 << other;
            }
        }
        self.superseded.sort_unstable();
    }

    /// Nobody compares them any more.
    pub fn forget_epochs(&mut self) {
        let superseded = self.superseded.iter_mut().map(|(_, record)| record);
        for record in self.last.iter_mut().flatten().chain(superseded) {
            (record.epoch, record.owner) = (0, 0);
        }
        self.superseded.sort_unstable();
        self.superseded.dedup();
    }

    /// Brings logs together that nobody can tell apart.
    pub fn normalise(&mut self, readers: Readers) {
        let superseded = self.superseded.iter_mut().map(|(_, record)| record);
        for record in self.last.iter_mut().flatten().chain(superseded) {
            record.behind &= readers.marked;
        }
        let last = self.last;
        let has_superseded_zombie = &mut self.has_superseded_zombie;
        self.superseded.retain(|(key, record)| {
            if record.is_zombie && readers.see_zombies {
                *has_superseded_zombie = true;
                return false;
            }
            let Some(last) = last[*key as usize] else {
                return false;
            };
            // The last one lies where a restore does not look, this one where it does.
            let is_needed = last.behind & !record.behind & readers.reading != 0;
            // Or the last one would lose against it.
            let wins = record.version() > last.version() && !readers.see_zombies;
            is_needed || wins
        });
        self.superseded.sort_unstable();
        self.superseded.dedup();
    }
}

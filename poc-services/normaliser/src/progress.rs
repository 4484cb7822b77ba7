//! How far an instance came: what is to be committed, and from where on scans must stay readable.

use backbone::{Assignment, BackboneError, OffsetKeeper};
use contracts::topics::{self, PARTITIONS};

use crate::{RawTopic, SCAN_SPAN};

/// From where on `scan.raw` must stay readable.
pub struct Kept {
    keeper: OffsetKeeper,
    /// As it was said last.
    from: [Option<u64>; PARTITIONS as usize],
}

impl Kept {
    pub const fn new(keeper: OffsetKeeper) -> Self {
        Self {
            keeper,
            from: [None; PARTITIONS as usize],
        }
    }

    /// Before the commit, so that what the next owner reads first is never dropped as read by all. Not each time: it may keep
    /// more than it must.
    pub fn raise(&mut self, next: &[(Assignment, u64, i32)]) -> Result<(), BackboneError> {
        let mut risen = Vec::new();
        for ((topic, partition), offset, _) in next {
            let Some(from) = self.from.get_mut(*partition as usize) else {
                continue;
            };
            let now = offset.saturating_sub(SCAN_SPAN);
            // A log that was cut off is read again from further back.
            let is_due = |from: u64| now < from || now > from + SCAN_SPAN / 4;
            if topic == topics::SCAN_RAW && from.is_none_or(is_due) {
                *from = Some(now);
                risen.push(((topic.clone(), *partition), now));
            }
        }
        if risen.is_empty() {
            return Ok(());
        }
        match self.keeper.commit(&risen) {
            Err(error) if error.is_postponed() => {
                tracing::debug!(%error, "scans are kept from further back");
                Ok(())
            }
            other => other,
        }
    }
}

/// Next offsets by topic and partition, each with the leader epoch of the record before it.
#[derive(Default)]
pub struct Progress {
    next: Vec<Option<(u64, i32)>>,
}

impl Progress {
    pub fn advance(&mut self, topic: RawTopic, partition: u32, next: u64, leader_epoch: i32) {
        let slot = partition as usize * RawTopic::ALL.len() + topic.index();
        if slot >= self.next.len() {
            self.next.resize(slot + 1, None);
        }
        self.next[slot] = Some((next, leader_epoch));
    }

    pub fn uncommitted(&self) -> Vec<(Assignment, u64, i32)> {
        let topics = RawTopic::ALL.len();
        let slots = self
            .next
            .iter()
            .enumerate()
            .filter_map(|(slot, next)| Some((slot, (*next)?)));
        slots
            .map(|(slot, (next, leader_epoch))| {
                let topic = RawTopic::ALL[slot % topics].name();
                ((topic.to_owned(), (slot / topics) as u32), next, leader_epoch)
            })
            .collect()
    }

    pub fn committed(&mut self) {
        self.next.fill(None);
    }

    pub fn forget(&mut self, partitions: &[Assignment]) {
        for (name, partition) in partitions {
            if let Some(topic) = RawTopic::from_name(name)
                && let Some(next) = self
                    .next
                    .get_mut(*partition as usize * RawTopic::ALL.len() + topic.index())
            {
                *next = None;
            }
        }
    }
}

//! A partition on its way to a new owner: read what is there, set a barrier behind it, read up to the barrier.
//!
//! Pure but for the barrier that it sends. Invariant: an owner's epoch is above every epoch that lies before its barrier,
//! and the restored state ends at that barrier and nowhere else, whatever was written meanwhile. What lies behind the
//! barrier when it has been read is looked at as well: an older owner's record there may have displaced, by compaction,
//! one that was still to be read. It does not ask the group for its consent: that comes before the first output.

use contracts::records::Barrier;
use contracts::topics::StateKey;
use prost::Message;

use crate::InventoryError;
use crate::log::{Log, OutTopic};
use crate::plant::{self, Plant};
use crate::restore::{Restore, Restored, Seen};

#[derive(Debug)]
pub struct Taking {
    number: u32,
    restore: Restore,
    /// What the group committed last: next offset, and the epoch of who did.
    committed: (u64, u32),
    /// First offset that is not read yet.
    next: u64,
    own: Option<Barrier>,
    /// Another owner's barrier of the same or a higher epoch lies before ours.
    is_outdone: bool,
    /// Offset of the own barrier.
    barrier: Option<u64>,
    /// What lies before it is to be read as well: the log's end when the own barrier had been read.
    end: Option<u64>,
}

impl Taking {
    pub fn new(number: u32, committed: Option<(u64, u32)>) -> Self {
        Self {
            number,
            restore: Restore::new(number),
            committed: committed.unwrap_or_default(),
            next: 0,
            own: None,
            is_outdone: false,
            barrier: None,
            end: None,
        }
    }

    pub const fn number(&self) -> u32 {
        self.number
    }

    /// First offset that is not read yet.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// It has no barrier under way, and all that there was before `end` is read.
    pub const fn wants_barrier(&self, end: u64) -> bool {
        self.own.is_none() && self.next >= end
    }

    /// Its barrier is read: it must know where the log ends now. What an older owner wrote behind the barrier until then
    /// may have displaced what was not read yet.
    pub const fn wants_end(&self) -> bool {
        self.barrier.is_some() && self.end.is_none()
    }

    pub const fn set_end(&mut self, end: u64) {
        self.end = Some(end);
    }

    pub fn is_done(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    /// `owner` is unlike every other owner's, even where instances have the same name.
    pub fn send_barrier(
        &mut self,
        instance: &str,
        owner: u64,
        log: &mut impl Log,
    ) -> Result<(), InventoryError> {
        let epoch = self.restore.epoch_max().max(self.committed.1) + 1;
        plant::note_epoch(epoch);
        let barrier = Barrier {
            epoch,
            instance: format!("{instance}/{owner:016x}"),
            at_ms: backbone::wall_ms(),
        };
        let mut key = StateKey::Barrier {
            partition: self.number,
            epoch,
            owner,
        };
        if plant::is(Plant::OneBarrierKey) {
            key = StateKey::Barrier {
                partition: self.number,
                epoch: 0,
                owner: 0,
            };
        }
        let (key, value) = (key.to_bytes(), barrier.encode_to_vec());
        log.send(OutTopic::State, self.number, &key, &value)?;
        // The item stage knows by it that this partition's shares are in doubt until the end mark.
        log.send(OutTopic::Partials, self.number, &key, &value)?;
        self.own = Some(barrier);
        self.is_outdone = false;
        if plant::is(Plant::RestoreEndsAtEof) {
            self.barrier = Some(self.next);
            self.end = Some(self.next);
        }
        Ok(())
    }

    /// Takes the record at an offset of `store.inventory`; `None` as its payload is a tombstone.
    pub fn take(&mut self, offset: u64, key: &[u8], payload: Option<&[u8]>) -> Result<(), InventoryError> {
        if self.is_done() {
            return Ok(());
        }
        self.next = offset + 1;
        let Seen::Barrier(barrier) = self.restore.take(offset, key, payload)? else {
            return Ok(());
        };
        let Some(own) = &self.own else { return Ok(()) };
        if *own != barrier {
            let is_behind = self.barrier.is_some();
            if is_behind && barrier.epoch > own.epoch {
                return Err(InventoryError::Superseded {
                    partition: self.number,
                    epoch: barrier.epoch,
                });
            }
            self.is_outdone |= !is_behind && barrier.epoch >= own.epoch;
        } else if self.is_outdone {
            // A higher one is needed.
            self.own = None;
        } else {
            self.barrier = Some(offset);
        }
        Ok(())
    }

    /// What was restored, in the epoch of the own barrier.
    pub fn finish(self) -> Result<Restored, InventoryError> {
        let (epoch, barrier) = (self.own.map_or(0, |own| own.epoch), self.barrier.unwrap_or(0));
        let mut restored = self.restore.finish(epoch, barrier)?;
        if plant::is(Plant::ReplayFromCommit) {
            restored.partition.next = self.committed.0;
        }
        Ok(restored)
    }
}

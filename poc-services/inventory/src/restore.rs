//! A partition out of its own log: the newest record of each key, the cut to go on from, and what must hold there.
//!
//! Pure: records go in, in the log's order. Invariant: of a key the record of the highest epoch wins, among those the
//! one that is furthest, and never simply the last, because a paused owner can write late. A record that comes behind a
//! newer owner's barrier is counted as stale: it may have displaced a better one by compaction, which shows when the
//! digests differ. Rebuilding such a partition is not done here: it stops instead.

use contracts::ids::{Sku, SourceId};
use contracts::records::{self, Barrier, Completeness, Head, Intent};
use contracts::topics::{PARTITIONS, StateKey};
use prost::Message;

use crate::InventoryError;
use crate::cell::Cell;
use crate::partition::{Cut, Partition, cell_key, source_key};
use crate::window::Window;

/// What a record was, as far as the caller must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    State,
    Barrier(Barrier),
}

/// Epoch and position of the record that a part of the state came from.
type Version = (u32, u64);

#[derive(Debug)]
pub struct Restore {
    partition: Partition,
    cells: Vec<Version>,
    windows: Vec<Version>,
    completeness: Vec<Version>,
    epoch_max: u32,
    barrier_max: u32,
    head: Option<Head>,
    intent: Option<Intent>,
    stale_records: u64,
}

impl Restore {
    pub fn new(number: u32) -> Self {
        Self {
            partition: Partition::new(number),
            cells: Vec::new(),
            windows: Vec::new(),
            completeness: Vec::new(),
            epoch_max: 0,
            barrier_max: 0,
            head: None,
            intent: None,
            stale_records: 0,
        }
    }

    /// The highest epoch in barriers and heads so far.
    pub const fn epoch_max(&self) -> u32 {
        self.epoch_max
    }

    /// Records of an older epoch behind a newer barrier.
    pub const fn stale_records(&self) -> u64 {
        self.stale_records
    }

    /// Takes the record at an offset of `store.inventory`; keys that are not this partition's are passed over.
    pub fn take(&mut self, offset: u64, key: &[u8], payload: &[u8]) -> Result<Seen, InventoryError> {
        let number = self.partition.number;
        let fail = |message: String| InventoryError::State {
            partition: number,
            offset,
            message: format!("{} {message}", String::from_utf8_lossy(key)),
        };
        let unreadable = |source: prost::DecodeError| fail(format!("cannot be read: {source}"));
        let foreign = || fail("belongs to another partition".into());
        match StateKey::parse(key) {
            Some(StateKey::Cell { location, sku }) => {
                let record = records::Cell::decode(payload).map_err(unreadable)?;
                self.note_epoch(record.epoch);
                let place = self.partition.place(location);
                let slot = self.partition.slot(place, sku.0) as usize;
                if is_newer(&mut self.cells, slot, (record.epoch, record.applied_offset)) {
                    self.partition.slots[slot].cell = Cell::from_record(&record);
                }
            }
            Some(StateKey::Window(id)) => {
                let record = records::Window::decode(payload).map_err(unreadable)?;
                self.note_epoch(record.epoch);
                let source = self.source(id).ok_or_else(foreign)?;
                if is_newer(&mut self.windows, source, (record.epoch, record.cut)) {
                    self.partition.sources[source].window = Window::from_record(&record);
                }
            }
            Some(StateKey::Completeness(id)) => {
                let record = Completeness::decode(payload).map_err(unreadable)?;
                self.note_epoch(record.epoch);
                let index = self.source(id).ok_or_else(foreign)?;
                if is_newer(&mut self.completeness, index, (record.epoch, record.cut)) {
                    let source = &mut self.partition.sources[index];
                    source.complete_until_ms = record.complete_until_ms;
                    source.dead_letters = record.dead_letters;
                    source.completeness_cut = record.cut;
                }
            }
            Some(StateKey::Head { partition }) if partition == number => {
                let head = Head::decode(payload).map_err(unreadable)?;
                self.note_epoch(head.epoch);
                self.epoch_max = self.epoch_max.max(head.epoch);
                let best = self.head.as_ref().map(|old| (old.epoch, old.cut));
                if best.is_none_or(|best| (head.epoch, head.cut) >= best) {
                    self.head = Some(head);
                }
            }
            Some(StateKey::Intent { partition }) if partition == number => {
                let intent = Intent::decode(payload).map_err(unreadable)?;
                self.note_epoch(intent.epoch);
                if self.intent.is_none_or(|old| intent.cut >= old.cut) {
                    self.intent = Some(intent);
                }
            }
            Some(StateKey::Barrier { partition, .. }) if partition == number => {
                let barrier = Barrier::decode(payload).map_err(unreadable)?;
                self.epoch_max = self.epoch_max.max(barrier.epoch);
                self.barrier_max = self.barrier_max.max(barrier.epoch);
                return Ok(Seen::Barrier(barrier));
            }
            _ => {}
        }
        Ok(Seen::State)
    }

    /// The partition as it goes on: at the cut of the newest head, in the new owner's epoch, with all partials new.
    pub fn finish(self, epoch: u32) -> Result<Partition, InventoryError> {
        let mut partition = self.partition;
        let mut promises = Vec::with_capacity(2);
        if let Some(head) = &self.head {
            if head.partitions != PARTITIONS {
                return Err(InventoryError::PartitionCount {
                    partition: partition.number,
                    found: head.partitions,
                    expected: PARTITIONS,
                });
            }
            partition.next = head.cut;
            promises.push(Cut {
                offset: head.cut,
                cells_digest: head.cells_digest,
                windows_digest: head.windows_digest,
            });
        }
        promises.extend(self.intent.map(|intent| Cut {
            offset: intent.cut,
            cells_digest: intent.cells_digest,
            windows_digest: intent.windows_digest,
        }));
        partition.epoch = epoch;
        partition.promised = promises
            .into_iter()
            .filter(|cut| cut.offset >= partition.next)
            .max_by_key(|cut| cut.offset);
        let reached = [&self.cells, &self.windows, &self.completeness]
            .into_iter()
            .flatten()
            .map(|version| version.1)
            .chain(partition.promised.map(|cut| cut.offset))
            .max()
            .unwrap_or(0);
        partition.hold_until = reached.max(partition.next);
        partition.sum_up();
        Ok(partition)
    }

    fn note_epoch(&mut self, epoch: u32) {
        self.stale_records += u64::from(epoch < self.barrier_max);
    }

    fn source(&mut self, id: SourceId) -> Option<usize> {
        self.partition.source(id).map(|index| index as usize)
    }
}

/// Notes a version where it is the highest so far.
fn is_newer(versions: &mut Vec<Version>, index: usize, version: Version) -> bool {
    if versions.len() <= index {
        versions.resize(index + 1, (0, 0));
    }
    let is_newer = version >= versions[index];
    if is_newer {
        versions[index] = version;
    }
    is_newer
}

impl Partition {
    /// Makes sums and shares out of restored cells and windows.
    fn sum_up(&mut self) {
        self.cells_digest = 0;
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            let (cell, share) = (slot.cell, slot.share);
            let sku = Sku(self.shares[share as usize].sku);
            let key = cell_key(self.places[slot.place as usize].location, sku.0);
            self.cells_digest = self.cells_digest.wrapping_add(cell.digest(key));
            self.change_share(share, cell.change(), 0);
        }
        self.windows_digest = self
            .sources
            .iter()
            .map(|source| source.window.digest(source_key(source.id)))
            .fold(0, u64::wrapping_add);
    }
}

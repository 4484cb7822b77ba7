//! A partition out of its own log: the newest record of each key, the cut to go on from, and what must hold there.
//!
//! Pure: records go in, in the log's order. Invariant: of a key the record of the highest epoch wins, among those the
//! one that is furthest, and never simply the last, because a paused owner can write late. A record that an older owner
//! wrote behind a newer one's barrier may have displaced a better one by compaction: unless a newer owner's head says
//! that it is repaired, nothing of the state is trusted, only its keys, and the partition is rebuilt.

use std::collections::BTreeSet;

use contracts::ids::{Sku, SourceId};
use contracts::records::{self, Barrier, Completeness, Head, Intent, Seal};
use contracts::topics::{ImageId, PARTITIONS, StateKey, partition_of};
use hashbrown::HashMap;
use prost::Message;

use crate::InventoryError;
use crate::cell::Cell;
use crate::partition::{Cut, Partition};
use crate::plant::{self, Plant};
use crate::window::Window;

/// What a record was, as far as the caller must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    State,
    Barrier(Barrier),
}

/// Why the state of a partition is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An older owner wrote behind a newer one's barrier, and nobody repaired it.
    LateRecord { epoch: u32, offset: u64 },
    /// The state is not what its owner had at an offset of the input.
    Differs { offset: u64 },
}

/// An image as it lies in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    pub parts: BTreeSet<u32>,
    pub seal: Option<Seal>,
}

impl Image {
    /// Sealed, and all of its parts are there.
    pub fn is_whole(&self) -> bool {
        self.seal.is_some_and(|seal| {
            self.parts.len() == seal.parts as usize && self.parts.range(seal.parts..).next().is_none()
        })
    }
}

/// What was found.
#[derive(Debug)]
pub struct Restored {
    /// As it goes on from the newest head; where there is a cause to rebuild, only its keys mean something.
    pub partition: Partition,
    pub cause: Option<Cause>,
    pub head: Option<Head>,
    pub images: HashMap<ImageId, Image>,
    /// Offset of the own barrier.
    pub barrier: u64,
    /// Records that an older owner wrote behind a newer one's barrier, repaired or not.
    pub stale_records: u64,
}

impl Restored {
    /// The newest image that is whole: a rebuild begins at its cut, or at 0 where there is none.
    pub fn newest_image(&self) -> Option<(ImageId, Seal)> {
        let whole = self.images.iter().filter(|(_, image)| image.is_whole());
        whole
            .filter_map(|(id, image)| Some((*id, image.seal?)))
            .max_by_key(|(id, _)| (id.cut, id.epoch))
    }
}

/// Why a record is not taken as it is.
enum Unusable {
    Unreadable,
    /// Of a place that has another partition.
    Foreign,
}

impl From<prost::DecodeError> for Unusable {
    fn from(_: prost::DecodeError) -> Self {
        Self::Unreadable
    }
}

/// Epoch and position of the record that a part of the state came from.
type Version = (u32, u64);

#[derive(Debug)]
pub struct Restore {
    partition: Partition,
    cells: Vec<Version>,
    windows: Vec<Version>,
    places: Vec<Version>,
    epoch_max: u32,
    barrier_max: u32,
    /// Epoch and offset of each barrier.
    barriers: Vec<(u32, u64)>,
    /// The last record of each epoch, images and barriers apart, which displace nothing.
    last: Vec<(u32, u64)>,
    head: Option<Head>,
    intent: Option<Intent>,
    images: HashMap<ImageId, Image>,
    /// The furthest offset of the input that any record has.
    reached: u64,
    stale_records: u64,
}

impl Restore {
    pub fn new(number: u32) -> Self {
        Self {
            partition: Partition::new(number),
            cells: Vec::new(),
            windows: Vec::new(),
            places: Vec::new(),
            epoch_max: 0,
            barrier_max: 0,
            barriers: Vec::new(),
            last: Vec::new(),
            head: None,
            intent: None,
            images: HashMap::new(),
            reached: 0,
            stale_records: 0,
        }
    }

    /// The highest epoch in barriers and heads so far.
    pub const fn epoch_max(&self) -> u32 {
        self.epoch_max
    }

    /// Takes the record at an offset of `store.inventory`; keys that are not this partition's are passed over. `None` as
    /// the payload is a tombstone.
    pub fn take(&mut self, offset: u64, key: &[u8], payload: Option<&[u8]>) -> Result<Seen, InventoryError> {
        let parsed = StateKey::parse(key);
        let Some(payload) = payload else {
            self.forget(parsed);
            return Ok(Seen::State);
        };
        let Some(parsed) = parsed else {
            return Ok(Seen::State);
        };
        match self.read(offset, parsed, payload) {
            Ok(seen) => Ok(seen),
            Err(Unusable::Unreadable) => Ok(self.take_unreadable(offset, parsed)),
            Err(Unusable::Foreign) => Err(InventoryError::State {
                partition: self.partition.number,
                offset,
                message: format!("{} belongs to another partition", String::from_utf8_lossy(key)),
            }),
        }
    }

    fn read(&mut self, offset: u64, key: StateKey, payload: &[u8]) -> Result<Seen, Unusable> {
        let number = self.partition.number;
        match key {
            StateKey::Cell { location, sku } => {
                let record = records::Cell::decode(payload)?;
                self.note(record.epoch, offset, record.applied_offset);
                let place = self.partition.place(location);
                let slot = self.partition.slot(place, sku.0) as usize;
                if is_newer(&mut self.cells, slot, (record.epoch, record.applied_offset)) {
                    self.partition.slots[slot].cell = Cell::from_record(&record);
                }
            }
            StateKey::Window(id) => {
                let record = records::Window::decode(payload)?;
                self.note(record.epoch, offset, record.cut);
                let source = self.source(id).ok_or(Unusable::Foreign)?;
                if is_newer(&mut self.windows, source, (record.epoch, record.cut)) {
                    self.partition.sources[source].window = Window::from_record(&record);
                }
            }
            StateKey::Completeness(location) => {
                let record = Completeness::decode(payload)?;
                self.note(record.epoch, offset, record.cut);
                if partition_of(location) != number {
                    return Err(Unusable::Foreign);
                }
                let place = self.partition.place(location);
                if is_newer(&mut self.places, place as usize, (record.epoch, record.cut)) {
                    self.partition.set_completeness(place, &record);
                }
            }
            StateKey::Head { partition } if partition == number => {
                let head = Head::decode(payload)?;
                self.note(head.epoch, offset, head.cut);
                self.epoch_max = self.epoch_max.max(head.epoch);
                let best = self.head.as_ref().map(|old| (old.epoch, old.cut));
                if best.is_none_or(|best| (head.epoch, head.cut) >= best) {
                    self.head = Some(head);
                }
            }
            StateKey::Intent { partition } if partition == number => {
                let intent = Intent::decode(payload)?;
                self.note(intent.epoch, offset, intent.cut);
                if self.intent.is_none_or(|old| intent.cut >= old.cut) {
                    self.intent = Some(intent);
                }
            }
            StateKey::Barrier { partition, .. } if partition == number => {
                return Ok(self.take_barrier(offset, Barrier::decode(payload)?));
            }
            StateKey::ImagePart { image, index } if image.partition == number => {
                self.images.entry(image).or_default().parts.insert(index);
            }
            StateKey::Seal(image) if image.partition == number => {
                let seal = Seal::decode(payload)?;
                self.images.entry(image).or_default().seal = Some(seal);
            }
            _ => {}
        }
        Ok(Seen::State)
    }

    fn take_barrier(&mut self, offset: u64, barrier: Barrier) -> Seen {
        self.epoch_max = self.epoch_max.max(barrier.epoch);
        self.barrier_max = self.barrier_max.max(barrier.epoch);
        self.barriers.push((barrier.epoch, offset));
        Seen::Barrier(barrier)
    }

    /// As the living owner takes it: older than everybody, and it displaces what was there. Behind a barrier that is a late
    /// record, and its key is one that a rebuild writes again.
    fn take_unreadable(&mut self, offset: u64, key: StateKey) -> Seen {
        let number = self.partition.number;
        match key {
            StateKey::Cell { location, sku } if partition_of(location) == number => {
                let place = self.partition.place(location);
                self.partition.slot(place, sku.0);
            }
            StateKey::Window(id) => {
                self.source(id);
            }
            StateKey::Completeness(location) if partition_of(location) == number => {
                self.partition.place(location);
            }
            // Its key says what it is for.
            StateKey::Barrier { epoch, .. } => {
                let barrier = Barrier {
                    epoch,
                    ..Barrier::default()
                };
                return self.take_barrier(offset, barrier);
            }
            // An image without its seal is none.
            StateKey::Seal(_) => return Seen::State,
            _ => {}
        }
        self.note(0, offset, 0);
        Seen::State
    }

    /// Only images are ever deleted.
    fn forget(&mut self, key: Option<StateKey>) {
        let (image, index) = match key {
            Some(StateKey::ImagePart { image, index }) => (image, Some(index)),
            Some(StateKey::Seal(image)) => (image, None),
            _ => return,
        };
        if let Some(found) = self.images.get_mut(&image) {
            match index {
                Some(index) => {
                    found.parts.remove(&index);
                }
                None => found.seal = None,
            }
            if found.parts.is_empty() && found.seal.is_none() {
                self.images.remove(&image);
            }
        }
    }

    /// The partition as it goes on: at the cut of the newest head, in the new owner's epoch, with all partials new.
    pub fn finish(self, epoch: u32, barrier: u64) -> Result<Restored, InventoryError> {
        let cause = self.late_record();
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
        partition.hold_until = self.reached.max(partition.next);
        partition.sum_up();
        Ok(Restored {
            partition,
            cause,
            head: self.head,
            images: self.images,
            barrier,
            stale_records: self.stale_records,
        })
    }

    /// A record that an older owner wrote late, and that no head says to be repaired.
    fn late_record(&self) -> Option<Cause> {
        let head = self.head.as_ref();
        let repaired_up_to = head.map_or(0, |head| head.repaired_up_to);
        // Compaction moves a barrier where two owners tried the same epoch, so the head tells its own again.
        let own = head.map(|head| (head.epoch, head.barrier));
        let barriers = || self.barriers.iter().copied().chain(own);
        let late = self.last.iter().find(|(epoch, offset)| {
            *offset >= repaired_up_to
                && barriers().any(|(newer, barrier)| newer > *epoch && *offset > barrier)
        });
        late.map(|(epoch, offset)| Cause::LateRecord {
            epoch: *epoch,
            offset: *offset,
        })
        .filter(|_| !plant::is(Plant::LastWriteWins))
    }

    fn note(&mut self, epoch: u32, offset: u64, reached: u64) {
        self.reached = self.reached.max(reached);
        self.stale_records += u64::from(epoch < self.barrier_max);
        match self.last.iter_mut().rev().find(|(known, _)| *known == epoch) {
            Some(last) => last.1 = offset,
            None => self.last.push((epoch, offset)),
        }
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
    let is_newer = version >= versions[index] || plant::is(Plant::LastWriteWins);
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
            self.cells_digest = self.cells_digest.wrapping_add(self.slot_digest(index as u32));
            let is_certain = self.places[slot.place as usize].known.is_certain;
            self.change_share(share, cell.change(), 0);
            if !is_certain {
                self.add_uncertain(share, &cell);
            }
        }
        self.windows_digest = (0..self.sources.len())
            .map(|index| self.sources[index].digest())
            .fold(0, u64::wrapping_add);
    }

    /// Of a cell with its key. One that nothing has moved counts nothing, so that the sum is that of the log's prefix
    /// whether somebody wrote the key or not.
    pub(crate) fn slot_digest(&self, index: u32) -> u64 {
        let slot = &self.slots[index as usize];
        let sku = Sku(self.shares[slot.share as usize].sku);
        slot.cell_digest(self.places[slot.place as usize].location, sku.0)
    }
}

//! A partition with what its owner published of it, and what it knows of the log that it publishes to.
//!
//! Invariant: the epoch is that of the acquisition, for as long as this lives. It decides what is to be written, never in
//! which order: that is `flush`.

use contracts::records::{Head, Intent, PartialEnd, Seal};
use contracts::topics::{ImageId, PARTITIONS, StateKey};
use hashbrown::HashMap;
use prost::Message;

use crate::image::{self, ImageReader, ImageWriter};
use crate::log::{Log, OutTopic};
use crate::partition::{Cut, Partition};
use crate::plant;
use crate::repair::{Account, Balance};
use crate::restore::{Image, Restored};
use crate::{Counters, InventoryError};

/// Movements after which a new start of the input is told, where it follows the heads: each costs a commit.
const TELL_EVERY: u64 = 5_000;

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says on its own what the next flush is to do"
)]
pub struct Owned {
    pub state: Partition,
    /// Of the record below `state.next` in the input; -1 = unknown.
    pub leader_epoch: i32,
    pub topic_id: String,
    /// Refused transactions below it are in the dead letters already.
    pub letters_from: u64,
    /// Movements between two images.
    pub image_every: u64,
    /// There are no images, and the input is kept from the newest head only: what would have to be rebuilt is unknown.
    pub is_kept_from_head: bool,
    /// Offset of the own barrier.
    barrier: u64,
    /// Records in `store.inventory` since the barrier.
    records: u64,
    /// Of `store.inventory` and `item.partials`.
    accounts: [Account; 2],
    /// The group took a commit of the own epoch: nothing is published before.
    pub(crate) is_admitted: bool,
    /// No flush of this owner is whole yet: all partials go out, then an end mark.
    pub(crate) is_fresh: bool,
    /// Somebody else wrote keys of ours since the last head.
    pub(crate) is_displaced: bool,
    wants_head: bool,
    /// Offset of the last head.
    pub(crate) flushed: u64,
    /// A rebuild begins here.
    floor: u64,
    pub(crate) is_floor_told: bool,
    /// What was told last.
    pub(crate) told: u64,
    images: HashMap<ImageId, Image>,
    writer: Option<ImageWriter>,
    sealing: Option<(ImageId, Seal)>,
    doomed: Vec<(ImageId, Image)>,
}

impl Owned {
    /// Of a partition that nobody had before, in a log that is empty.
    pub fn new(state: Partition) -> Self {
        Self {
            leader_epoch: -1,
            topic_id: String::new(),
            letters_from: 0,
            image_every: u64::MAX,
            is_kept_from_head: false,
            barrier: 0,
            records: 0,
            accounts: [Account::default(); 2],
            is_admitted: false,
            is_fresh: true,
            is_displaced: false,
            wants_head: false,
            flushed: state.next,
            floor: 0,
            is_floor_told: false,
            told: 0,
            images: HashMap::new(),
            writer: None,
            sealing: None,
            doomed: Vec::new(),
            state,
        }
    }

    /// `state_end` and `partials_end`: everything below them is older than this owner, and known to it or written again
    /// by its first flush.
    pub fn restored(restored: Restored, state_end: u64, partials_end: u64) -> Self {
        let floor = restored.newest_image().map_or(0, |(id, _)| id.cut);
        let checked = |checked| Account { checked, sent: 0 };
        let head = restored.head;
        Self {
            leader_epoch: head.as_ref().map_or(-1, |head| head.leader_epoch),
            letters_from: head.as_ref().map_or(0, |head| head.cut),
            barrier: restored.barrier,
            accounts: [checked(state_end), checked(partials_end)],
            floor,
            images: restored.images,
            ..Self::new(restored.partition)
        }
    }

    /// From where on the input must be kept.
    pub const fn keeps_from(&self) -> u64 {
        if self.is_kept_from_head {
            self.flushed
        } else {
            self.floor
        }
    }

    /// From where on the input must be there: a rebuild begins at the floor.
    pub const fn needs_from(&self) -> u64 {
        if self.is_kept_from_head {
            self.state.next
        } else {
            self.floor
        }
    }

    /// Forgets the state and goes on from the floor, so that it is made anew.
    pub fn rebuild(&mut self, log: &mut impl Log, counters: &Counters) -> Result<(), InventoryError> {
        let partition = self.state.number;
        let whole = self.images.iter().filter(|(_, image)| image.is_whole());
        let newest = whole.max_by_key(|(id, _)| (id.cut, id.epoch));
        let mut content = None;
        if let Some((id, seal)) = newest.and_then(|(id, image)| Some((*id, image.seal?))) {
            let mut reader = ImageReader::new(id, seal);
            let end = log.ends(&[(OutTopic::State, partition)])?[0];
            log.read(OutTopic::State, partition, 0, end, &mut |_, key, payload| {
                reader.take(key, payload);
                Ok(())
            })?;
            content = Some(reader.finish()?);
        }
        self.letters_from = self.letters_from.max(self.state.next);
        self.state.start_over(content);
        self.leader_epoch = -1;
        self.flushed = self.state.next;
        self.is_fresh = true;
        self.writer = None;
        Counters::add(&counters.partitions_rebuilt, 1);
        Ok(())
    }

    /// Has a head written though nothing moved, so that the log is looked at.
    pub const fn request_head(&mut self) {
        self.wants_head = true;
    }

    pub(crate) fn wants_flush(&self) -> bool {
        let has_moved = self.state.next > self.flushed || self.state.has_news();
        let has_image = self.writer.is_some() || !self.doomed.is_empty();
        self.state.is_settled()
            && (self.is_fresh || has_moved || self.is_displaced || self.wants_head || has_image)
    }

    fn sent(&mut self, topic: OutTopic, records: u64) {
        match topic {
            OutTopic::State => {
                self.records += records;
                self.accounts[0].sent += records;
            }
            OutTopic::Partials => self.accounts[1].sent += records,
            OutTopic::Items => {}
        }
    }

    /// Begins an image where it is time for one and nobody else makes one.
    pub(crate) fn begin_image(&mut self, cut: &Cut) -> bool {
        let is_due = cut.offset - self.floor.min(cut.offset) >= self.image_every;
        if is_due && self.writer.is_none() {
            self.writer = Some(ImageWriter::new(&mut self.state, cut));
        }
        self.writer.is_some()
    }

    pub(crate) const fn is_imaging(&self) -> bool {
        self.writer.is_some()
    }

    pub(crate) fn send_intent(&mut self, cut: &Cut, log: &mut impl Log) -> Result<(), InventoryError> {
        let state = &self.state;
        let partition = state.number;
        let intent = Intent {
            epoch: plant::epoch(state.epoch),
            cut: cut.offset,
            cells_digest: cut.cells_digest,
            windows_digest: cut.windows_digest,
        };
        let key = StateKey::Intent { partition }.to_bytes();
        self.sent(OutTopic::State, 1);
        log.send(OutTopic::State, partition, &key, &intent.encode_to_vec())
    }

    /// Cells and shares that are new, how many each; what is known of places, and a piece of an image.
    pub(crate) fn send_cells(&mut self, cut: &Cut, log: &mut impl Log) -> Result<(u64, u64), InventoryError> {
        let cells = self.state.take_cells(cut, log)?;
        self.sent(OutTopic::State, cells);
        // Before the windows: a replay must know which marks and rejections are in, and never judge one by a later window.
        let places = self.state.take_places(cut.offset, log)?;
        self.sent(OutTopic::State, places);
        let partials = self.state.take_partials(cut, log)?;
        self.sent(OutTopic::Partials, partials);
        if let Some(writer) = &mut self.writer
            && writer.has_parts()
        {
            let parts = writer.send_parts(log)?;
            self.sent(OutTopic::State, parts);
        }
        Ok((cells, partials))
    }

    pub(crate) fn send_windows(&mut self, cut: &Cut, log: &mut impl Log) -> Result<(), InventoryError> {
        let windows = self.state.take_windows(cut, self.flushed, log)?;
        self.sent(OutTopic::State, windows);
        if self.is_fresh || self.is_displaced {
            let end = PartialEnd {
                epoch: plant::epoch(self.state.epoch),
                cut: cut.offset,
            };
            let partition = self.state.number;
            let key = StateKey::PartialEnd { partition }.to_bytes();
            self.sent(OutTopic::Partials, 1);
            log.send(OutTopic::Partials, partition, &key, &end.encode_to_vec())?;
        }
        Ok(())
    }

    /// The head; behind it the seal of an image whose parts are all durable, or the deletion of older ones.
    pub(crate) fn send_head(&mut self, cut: &Cut, log: &mut impl Log) -> Result<(), InventoryError> {
        let partition = self.state.number;
        self.sent(OutTopic::State, 1);
        let head = Head {
            epoch: plant::epoch(self.state.epoch),
            cut: cut.offset,
            leader_epoch: self.leader_epoch,
            topic_id: self.topic_id.clone(),
            partitions: PARTITIONS,
            cells_digest: cut.cells_digest,
            windows_digest: cut.windows_digest,
            records: self.records,
            at_ms: backbone::wall_ms(),
            barrier: self.barrier,
            repaired_up_to: self.accounts[0].checked,
        };
        let key = StateKey::Head { partition }.to_bytes();
        log.send(OutTopic::State, partition, &key, &head.encode_to_vec())?;
        let mut deleted = 0;
        for (id, image) in &self.doomed {
            deleted += image::delete(*id, image, log)?;
        }
        self.doomed.clear();
        self.sent(OutTopic::State, deleted);
        // Its last parts left with this flush's cells, which are acknowledged.
        if let Some(writer) = &self.writer
            && !writer.has_parts()
        {
            self.sealing = Some(writer.send_seal(log)?);
            self.sent(OutTopic::State, 1);
        }
        Ok(())
    }

    /// All of a flush is acknowledged. True: the floor has risen.
    pub(crate) fn flushed(&mut self, cut: &Cut) -> bool {
        self.is_fresh = false;
        self.is_displaced = false;
        self.wants_head = false;
        self.flushed = cut.offset;
        if self.is_kept_from_head && cut.offset >= self.told + TELL_EVERY {
            self.is_floor_told = false;
        }
        let Some((id, seal)) = self.sealing.take() else {
            return false;
        };
        self.writer = None;
        self.floor = id.cut;
        let older = self.images.extract_if(|older, _| older.cut <= id.cut);
        self.doomed.extend(older);
        self.images.insert(id, image::whole(seal));
        true
    }

    /// Looks who else wrote; `ends` are those of state and partials behind all that was acknowledged. How many keys must
    /// be written again.
    pub(crate) fn settle(&mut self, ends: [u64; 2], log: &mut impl Log) -> Result<u64, InventoryError> {
        let mut displaced = 0;
        for ((account, topic), end) in self
            .accounts
            .iter_mut()
            .zip([OutTopic::State, OutTopic::Partials])
            .zip(ends)
        {
            if let Balance::Displaced(keys) = account.settle(&mut self.state, topic, end, log)? {
                displaced += keys;
            }
        }
        self.is_displaced = displaced > 0;
        Ok(displaced)
    }
}

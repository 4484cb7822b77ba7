//! The state of one partition of `movements`: cells, windows, the partition's share of each article, and what of them is
//! new since the last flush.
//!
//! Pure: transactions go in with their offsets, records come out (see `outbox`). Invariant: what a cell or a window
//! holds is a function of the log's prefix below its offset, whoever computed it, so a replay from any earlier offset
//! changes nothing. It knows no clock, no Kafka and no other partition.

use contracts::ids::{LocationId, SourceId};
use contracts::records::Partial;
use contracts::sabotage::{Sabotage, SabotageClass};
use contracts::topics;
use hashbrown::HashMap;

use crate::bit_set::BitSet;
use crate::cell::{Cell, Change, News};
use crate::completeness::{PlaceKnown, SourceKnown};
use crate::fast_hash::FastHash;
use crate::line_hash::LineHasher;
use crate::plant::{self, Plant};
use crate::sabotage::Damage;
use crate::transaction::Transaction;
use crate::window::{Outcome, Window};

/// Unless the service is told otherwise.
pub(crate) const OFFLINE_AFTER_MS: i64 = 12_000;

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// So many lines changed cells; those that the cells had already are not among them.
    New {
        lines: u32,
    },
    Repeat,
    Replayed,
    /// It says something of sources, and is no transaction.
    Noted,
    Refused(Refusal),
}

/// Why a transaction goes to the dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For machines.
    pub class: &'static str,
    /// For people.
    pub message: &'static str,
}

pub(crate) const MISROUTED: Refusal = Refusal {
    class: "misrouted",
    message: "the location belongs to another partition",
};
const CONTENT_REUSED: Refusal = Refusal {
    class: "content-reused",
    message: "the number was used for another content before",
};
pub(crate) const IDENTITY_UNCLEAR: Refusal = Refusal {
    class: "identity-unclear",
    message: "the number cannot be placed: its business day is too old or it jumps too far",
};
const TOO_MANY_GAPS: Refusal = Refusal {
    class: "too-many-gaps",
    message: "the source has more gaps than can be remembered",
};

/// 128 bytes, two cache lines: there are a million of these, and each line of a transaction touches one.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Slot {
    pub(crate) place: u32,
    pub(crate) share: u32,
    /// Index into the news, plus 1; 0: nothing is new.
    pub(crate) news: u32,
    /// The transaction that touched it last, so that a second line of the same SKU counts as well. 0: none.
    stamp: u32,
    pub(crate) cell: Cell,
}

impl Slot {
    /// A cell that nothing has moved counts nothing: whether somebody wrote its key or not, the sum is the same.
    pub(crate) fn cell_digest(&self, location: LocationId, sku: u32) -> u64 {
        if self.cell.applied_offset == 0 {
            0
        } else {
            self.cell.digest(cell_key(location, sku))
        }
    }
}

/// Where a line goes.
#[derive(Clone, Copy, Debug)]
struct Target {
    slot: u32,
    share: u32,
}

#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) location: LocationId,
    pub(crate) slots: HashMap<u32, u32, FastHash>,
    /// Indices, ascending by kind and unit.
    pub(crate) sources: Vec<u32>,
    pub(crate) known: PlaceKnown,
    /// Its record is to be written.
    pub(crate) is_new: bool,
}

/// A partition's part of an article.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) sku: u32,
    pub(crate) partial: Partial,
    pub(crate) is_new: bool,
}

#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) id: SourceId,
    pub(crate) place: u32,
    hasher: LineHasher,
    pub(crate) window: Window,
    pub(crate) is_new: bool,
    pub(crate) known: SourceKnown,
}

impl Source {
    pub(crate) fn digest(&self) -> u64 {
        self.window.digest(source_key(self.id))
    }
}

/// Digests of all cells and of all windows when exactly what lies below the cut is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Next input offset.
    pub offset: u64,
    pub cells_digest: u64,
    pub windows_digest: u64,
}

#[derive(Debug)]
pub struct Partition {
    pub(crate) number: u32,
    pub(crate) epoch: u32,
    /// Next offset of the input.
    pub(crate) next: u64,
    pub(crate) places: Vec<Place>,
    place_index: HashMap<LocationId, u32, FastHash>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) news: Vec<News>,
    pub(crate) new_slots: BitSet,
    /// Of the transaction at hand.
    targets: Vec<Target>,
    pub(crate) shares: Vec<Share>,
    share_index: HashMap<u32, u32, FastHash>,
    pub(crate) new_shares: Vec<u32>,
    pub(crate) sources: Vec<Source>,
    source_index: HashMap<u64, u32, FastHash>,
    pub(crate) new_sources: Vec<u32>,
    pub(crate) new_places: Vec<u32>,
    /// When the newest mark of any place was due.
    /// A place whose marks are so much older than the newest is offline.
    pub(crate) offline_after_ms: i64,
    /// All places are to be looked at, whether they are new or not.
    pub(crate) is_look_due: bool,
    stamp: u32,
    pub(crate) damage: Damage,
    /// Sums over the cells and windows that are not new.
    pub(crate) cells_digest: u64,
    pub(crate) windows_digest: u64,
    /// Nothing is published before this offset is reached: some restored records are ahead of the restored cut.
    pub(crate) hold_until: u64,
    /// What an unfinished flush of an earlier owner promised for an offset that is still ahead.
    pub(crate) promised: Option<Cut>,
    /// Cleared when the promise was broken.
    pub(crate) is_sound: bool,
}

impl Partition {
    pub fn new(number: u32) -> Self {
        Self {
            number,
            epoch: 0,
            next: 0,
            places: Vec::new(),
            place_index: HashMap::default(),
            slots: Vec::new(),
            news: Vec::new(),
            new_slots: BitSet::default(),
            targets: Vec::new(),
            shares: Vec::new(),
            share_index: HashMap::default(),
            new_shares: Vec::new(),
            sources: Vec::new(),
            source_index: HashMap::default(),
            new_sources: Vec::new(),
            new_places: Vec::new(),
            offline_after_ms: OFFLINE_AFTER_MS,
            is_look_due: false,
            stamp: 0,
            damage: Damage::default(),
            cells_digest: 0,
            windows_digest: 0,
            hold_until: 0,
            promised: None,
            is_sound: true,
        }
    }

    /// Takes the transaction at an offset.
    pub fn apply(&mut self, transaction: &Transaction, offset: u64, sabotage: Option<&Sabotage>) -> Applied {
        self.pass(offset);
        let Some(index) = self.source(transaction.id.source) else {
            return Applied::Refused(MISROUTED);
        };
        let id = &transaction.id;
        let source = &mut self.sources[index as usize];
        // Its digest leaves the sum before it changes; one that is new is not in the sum.
        let digest_before = if source.is_new { 0 } else { source.digest() };
        let late_before = source.window.late;
        let outcome = source.window.admit(
            id.source,
            id.business_day.0,
            id.number,
            transaction.content_hash,
            offset,
        );
        if outcome == Outcome::Replayed {
            return Applied::Replayed;
        }
        let place = source.place;
        if !source.is_new {
            source.is_new = true;
            self.windows_digest = self.windows_digest.wrapping_sub(digest_before);
            self.new_sources.push(index);
        }
        self.renew_place(place);
        let refusal = match outcome {
            Outcome::New | Outcome::Replayed => None,
            Outcome::Repeat => return Applied::Repeat,
            Outcome::ContentReused => Some(CONTENT_REUSED),
            Outcome::IdentityUnclear => Some(IDENTITY_UNCLEAR),
            Outcome::TooManyGaps => Some(TOO_MANY_GAPS),
        };
        let source = &mut self.sources[index as usize];
        if let Some(refusal) = refusal {
            let known = &mut self.places[source.place as usize].known;
            if offset >= known.cut {
                source.known.dead_letters += 1;
                known.dead_letters += 1;
            }
            return Applied::Refused(refusal);
        }
        if source.window.late > late_before && !transaction.put_back {
            let known = &self.places[source.place as usize].known;
            if offset >= known.cut {
                source.known.came_behind(transaction.occurred_ms);
            }
        }
        source.known.last_ms = source.known.last_ms.max(transaction.occurred_ms);
        let (place, hasher) = (source.place, source.hasher.transaction(id));
        let damage = sabotage
            .filter(|sabotage| sabotage.hits(id))
            .map(|sabotage| sabotage.class);
        let lines = match damage {
            None => self.apply_lines(transaction, place, hasher, offset, 0),
            Some(SabotageClass::Drop) => 0,
            Some(SabotageClass::Alter) => self.apply_lines(transaction, place, hasher, offset, 1_000),
            Some(SabotageClass::Double) => {
                self.apply_lines(transaction, place, hasher, offset, 0)
                    + self.apply_lines(transaction, place, hasher, offset, 0)
            }
            Some(SabotageClass::Misroute) => {
                let place = self.other_place(place);
                self.apply_lines(transaction, place, hasher, offset, 0)
            }
            Some(SabotageClass::Stale) => {
                self.remember_cells(transaction, place);
                self.apply_lines(transaction, place, hasher, offset, 0)
            }
            Some(SabotageClass::Lie) => {
                self.damage
                    .liars
                    .insert((place, id.source.kind as i32, u32::from(id.source.unit)));
                self.apply_lines(transaction, place, hasher, offset, 0)
            }
        };
        Applied::New { lines }
    }

    /// Goes on behind a record that is no transaction.
    pub fn skip(&mut self, offset: u64) {
        self.pass(offset);
    }

    fn pass(&mut self, offset: u64) {
        if self.promised.is_some_and(|promised| offset >= promised.offset) {
            self.check_promise();
        }
        self.next = offset + 1;
        self.stamp = self.stamp.wrapping_add(1).max(1);
    }

    /// All lines compare with the cell's offset before the transaction, and advance it once.
    fn apply_lines(
        &mut self,
        transaction: &Transaction,
        place: u32,
        hasher: LineHasher,
        offset: u64,
        altered_by: i64,
    ) -> u32 {
        self.find_targets(transaction, place);
        let is_uncertain = !self.places[place as usize].known.is_certain;
        let mut applied = 0;
        for (index, line) in (0..).zip(&transaction.lines) {
            let target = self.targets[index as usize];
            let slot = &mut self.slots[target.slot as usize];
            if slot.stamp != self.stamp || plant::is(Plant::SecondLineSkipped) {
                if slot.cell.applied_offset > offset {
                    continue;
                }
                slot.stamp = self.stamp;
            }
            if slot.news == 0 {
                let digest = slot.cell_digest(self.places[place as usize].location, line.sku);
                self.cells_digest = self.cells_digest.wrapping_sub(digest);
                self.new_slots.insert(target.slot);
                self.news.push(News::default());
                slot.news = self.news.len() as u32;
            }
            let is_first = slot.cell.applied_offset == 0;
            slot.cell.applied_offset = offset + 1;
            let quantity = line.quantity + if index == 0 { altered_by } else { 0 };
            let change = slot.cell.apply(line.kind, quantity, hasher.line(index, quantity));
            self.news[slot.news as usize - 1].add(transaction.due_ms);
            applied += 1;
            self.change_share(target.share, change, transaction.due_ms);
            if is_uncertain {
                let partial = &mut self.shares[target.share as usize].partial;
                partial.uncertain += change.floor + change.back_room;
                partial.uncertain_places += u32::from(is_first);
            }
        }
        applied
    }

    /// Finds the slots of all lines before any is changed: a slot is seldom in the cache, and like this the processor
    /// waits for all of them at once.
    fn find_targets(&mut self, transaction: &Transaction, place: u32) {
        self.targets.clear();
        for line in &transaction.lines {
            let slot = self.slot(place, line.sku);
            self.targets.push(Target { slot, share: 0 });
        }
        for target in &mut self.targets {
            target.share = self.slots[target.slot as usize].share;
        }
    }

    pub(crate) fn change_share(&mut self, index: u32, change: Change, due_ms: i64) {
        let share = &mut self.shares[index as usize];
        let partial = &mut share.partial;
        partial.floor += change.floor;
        partial.back_room += change.back_room;
        partial.shipped += change.shipped;
        partial.received += change.received;
        if due_ms > 0 && (partial.due_ms_min == 0 || due_ms < partial.due_ms_min) {
            partial.due_ms_min = due_ms;
        }
        if !share.is_new {
            share.is_new = true;
            self.new_shares.push(index);
        }
    }

    /// The index of a source, which may be new; `None` where its location belongs to another partition.
    pub(crate) fn source(&mut self, id: SourceId) -> Option<u32> {
        let key = source_key(id);
        if let Some(index) = self.source_index.get(&key) {
            return Some(*index);
        }
        if topics::partition_of(id.location) != self.number {
            return None;
        }
        let place = self.place(id.location);
        let index = self.sources.len() as u32;
        self.sources.push(Source {
            id,
            place,
            hasher: LineHasher::of_source(id),
            window: Window::default(),
            // In no sum and on no list yet: the first change puts it on the list.
            is_new: false,
            known: SourceKnown::default(),
        });
        self.source_index.insert(key, index);
        let sources = &self.sources;
        let order = |source: &u32| {
            let id = sources[*source as usize].id;
            (id.kind, id.unit)
        };
        let siblings = &mut self.places[place as usize].sources;
        let position = siblings.partition_point(|sibling| order(sibling) < order(&index));
        siblings.insert(position, index);
        Some(index)
    }

    pub(crate) fn place(&mut self, location: LocationId) -> u32 {
        let places = &mut self.places;
        *self.place_index.entry(location).or_insert_with(|| {
            places.push(Place {
                location,
                slots: HashMap::default(),
                sources: Vec::new(),
                known: PlaceKnown::default(),
                is_new: false,
            });
            places.len() as u32 - 1
        })
    }

    pub(crate) fn slot(&mut self, place: u32, sku: u32) -> u32 {
        let slots = &mut self.places[place as usize].slots;
        if let Some(slot) = slots.get(&sku) {
            return *slot;
        }
        let index = self.slots.len() as u32;
        slots.insert(sku, index);
        let share = self.share(sku);
        self.slots.push(Slot {
            cell: Cell::default(),
            place,
            share,
            news: 0,
            stamp: 0,
        });
        index
    }

    pub(crate) fn share(&mut self, sku: u32) -> u32 {
        let shares = &mut self.shares;
        *self.share_index.entry(sku).or_insert_with(|| {
            shares.push(Share {
                sku,
                partial: Partial::default(),
                is_new: false,
            });
            shares.len() as u32 - 1
        })
    }

    pub const fn number(&self) -> u32 {
        self.number
    }

    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The next offset of the input.
    pub const fn next(&self) -> u64 {
        self.next
    }

    pub const fn cell_count(&self) -> usize {
        self.slots.len()
    }

    /// Marks of a place that stay away for longer than this behind those of others make it offline.
    pub const fn set_offline_after(&mut self, milliseconds: i64) {
        self.offline_after_ms = milliseconds;
        self.is_look_due = true;
    }

    /// Every cell, for tests and tools.
    pub fn each_cell(&self, mut look: impl FnMut(LocationId, u32, &Cell)) {
        for slot in &self.slots {
            let sku = self.shares[slot.share as usize].sku;
            look(self.places[slot.place as usize].location, sku, &slot.cell);
        }
    }
}

pub(crate) fn cell_key(location: LocationId, sku: u32) -> u64 {
    u64::from(location.is_store()) << 48 | u64::from(location.number()) << 32 | u64::from(sku)
}

pub(crate) fn source_key(id: SourceId) -> u64 {
    1 << 63
        | u64::from(id.location.is_store()) << 48
        | u64::from(id.location.number()) << 32
        | (id.kind as u64) << 16
        | u64::from(id.unit)
}

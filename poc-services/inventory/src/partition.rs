//! The state of one partition: cells, windows, partials, and what of them is new since the last flush.
//!
//! Pure: movements go in with their offsets, records come out. Invariant: what a cell holds is a function of the log's
//! prefix below its applied offset, whoever computed it, so a replay from any earlier offset changes nothing.

use contracts::ids::{BusinessDay, LocationId, Sku, SourceId, TransactionId};
use contracts::records::{Completeness, Movement, MovementKind, Partial, SourceKind};
use contracts::sabotage::{Sabotage, SabotageClass};
use contracts::topics::{self, StateKey};
use hashbrown::HashMap;

use crate::cell::{Cell, Change, LineHasher};
use crate::window::{Outcome, Window};

/// What became of a movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// So many lines changed cells; those that the cells had already are not among them.
    New {
        lines: u32,
    },
    Repeat,
    Replayed,
    /// Goes to the dead letters, under this class.
    Refused {
        class: &'static str,
        message: &'static str,
    },
}

#[derive(Debug)]
struct Slot {
    cell: Cell,
    sku: u32,
    location: u32,
    partial: u32,
    dirty: bool,
    /// The transaction that touched it last, so that a second line of the same SKU counts as well.
    touched_by: u64,
    /// As last published, for the digest over all.
    digest: u64,
}

#[derive(Debug)]
struct Place {
    location: LocationId,
    slots: HashMap<u32, u32>,
}

#[derive(Debug, Default)]
struct Share {
    partial: Partial,
    sku: u32,
    dirty: bool,
}

#[derive(Debug, Default)]
struct Source {
    window: Window,
    dirty: bool,
    dead_letters: u64,
    complete_until_ms: i64,
    digest: u64,
}

/// A key and its record, as they go to a topic.
pub type Out<'a> = dyn FnMut(&[u8], &[u8]) + 'a;

#[derive(Debug)]
pub struct Partition {
    pub number: u32,
    pub epoch: u32,
    places: Vec<Place>,
    place_index: HashMap<LocationId, u32>,
    slots: Vec<Slot>,
    dirty_slots: Vec<u32>,
    shares: Vec<Share>,
    share_index: HashMap<u32, u32>,
    dirty_shares: Vec<u32>,
    sources: HashMap<SourceId, Source>,
    dirty_sources: Vec<SourceId>,
    /// Next offset of the input.
    pub next: u64,
    transactions: u64,
    cells_digest: u64,
    windows_digest: u64,
}

impl Partition {
    pub fn new(number: u32) -> Self {
        Self {
            number,
            epoch: 0,
            places: Vec::new(),
            place_index: HashMap::new(),
            slots: Vec::new(),
            dirty_slots: Vec::new(),
            shares: Vec::new(),
            share_index: HashMap::new(),
            dirty_shares: Vec::new(),
            sources: HashMap::new(),
            dirty_sources: Vec::new(),
            next: 0,
            transactions: 0,
            cells_digest: 0,
            windows_digest: 0,
        }
    }

    /// Takes the movement at an offset.
    pub fn apply(&mut self, movement: &Movement, offset: u64, sabotage: Option<&Sabotage>) -> Applied {
        self.next = offset + 1;
        self.transactions += 1;
        let id = match identity(movement) {
            Ok(id) => id,
            Err(message) => {
                return Applied::Refused {
                    class: "undecodable",
                    message,
                };
            }
        };
        if topics::partition_of(id.source.location) != self.number {
            return Applied::Refused {
                class: "misrouted",
                message: "the location belongs to another partition",
            };
        }
        if movement
            .lines
            .iter()
            .any(|line| line.kind() == MovementKind::Unspecified)
        {
            return Applied::Refused {
                class: "undecodable",
                message: "a line has no known kind",
            };
        }
        let source = self.sources.entry(id.source).or_default();
        let outcome = source.window.admit(
            id.source,
            id.business_day.0,
            id.number,
            movement.content_hash,
            offset,
        );
        if !source.dirty && outcome != Outcome::Replayed {
            source.dirty = true;
            self.dirty_sources.push(id.source);
        }
        let refused = match outcome {
            Outcome::New => None,
            Outcome::Repeat => return Applied::Repeat,
            Outcome::Replayed => return Applied::Replayed,
            Outcome::ContentReused => {
                Some(("content-reused", "the number was used for another content before"))
            }
            Outcome::IdentityUnclear => Some((
                "identity-unclear",
                "the number cannot be placed: its business day is too old or it jumps too far",
            )),
            Outcome::TooManyGaps => {
                Some(("too-many-gaps", "the source has more gaps than can be remembered"))
            }
        };
        if let Some((class, message)) = refused {
            source.dead_letters += 1;
            return Applied::Refused { class, message };
        }
        source.complete_until_ms = source.complete_until_ms.max(movement.occurred_ms);
        let damage = sabotage
            .filter(|sabotage| sabotage.hits(&id))
            .map(|sabotage| sabotage.class);
        if damage == Some(SabotageClass::Drop) {
            return Applied::New { lines: 0 };
        }
        let mut lines = self.apply_lines(movement, &id, offset, damage == Some(SabotageClass::Alter));
        if damage == Some(SabotageClass::Double) {
            lines += self.apply_lines(movement, &id, offset, false);
        }
        Applied::New { lines }
    }

    fn apply_lines(&mut self, movement: &Movement, id: &TransactionId, offset: u64, alter: bool) -> u32 {
        let place = self.place(id.source.location);
        let hasher = LineHasher::new(id);
        let mut applied = 0;
        for (index, line) in movement.lines.iter().enumerate() {
            let slot_index = self.slot(place, line.sku);
            let slot = &mut self.slots[slot_index as usize];
            if slot.cell.applied_offset > offset && slot.touched_by != self.transactions {
                continue;
            }
            slot.touched_by = self.transactions;
            slot.cell.applied_offset = offset + 1;
            let quantity = line.quantity + if alter && index == 0 { 1_000 } else { 0 };
            let Some(change) =
                slot.cell
                    .apply(line.kind(), quantity, hasher.line(index as u32), movement.due_ms)
            else {
                continue;
            };
            applied += 1;
            if !slot.dirty {
                slot.dirty = true;
                self.dirty_slots.push(slot_index);
            }
            let share = slot.partial;
            self.change_share(share, change, movement.due_ms);
        }
        applied
    }

    fn change_share(&mut self, index: u32, change: Change, due_ms: i64) {
        let share = &mut self.shares[index as usize];
        share.partial.floor += change.floor;
        share.partial.back_room += change.back_room;
        share.partial.shipped += change.shipped;
        share.partial.received += change.received;
        if due_ms > 0 && (share.partial.due_ms_min == 0 || due_ms < share.partial.due_ms_min) {
            share.partial.due_ms_min = due_ms;
        }
        if !share.dirty {
            share.dirty = true;
            self.dirty_shares.push(index);
        }
    }

    fn place(&mut self, location: LocationId) -> u32 {
        let places = &mut self.places;
        *self.place_index.entry(location).or_insert_with(|| {
            places.push(Place {
                location,
                slots: HashMap::new(),
            });
            places.len() as u32 - 1
        })
    }

    fn slot(&mut self, place: u32, sku: u32) -> u32 {
        if let Some(slot) = self.places[place as usize].slots.get(&sku) {
            return *slot;
        }
        let shares = &mut self.shares;
        let partial = *self.share_index.entry(sku).or_insert_with(|| {
            shares.push(Share {
                sku,
                ..Share::default()
            });
            shares.len() as u32 - 1
        });
        let index = self.slots.len() as u32;
        self.slots.push(Slot {
            cell: Cell::default(),
            sku,
            location: place,
            partial,
            dirty: false,
            touched_by: 0,
            digest: 0,
        });
        self.places[place as usize].slots.insert(sku, index);
        index
    }

    pub fn cells(&self) -> usize {
        self.slots.len()
    }

    /// Cells, windows and partials that have something new.
    pub fn is_dirty(&self) -> bool {
        !(self.dirty_slots.is_empty() && self.dirty_sources.is_empty() && self.dirty_shares.is_empty())
    }

    pub fn dirty_cells(&self) -> usize {
        self.dirty_slots.len()
    }

    /// Digests of all cells and of all windows as they are now.
    pub fn digests(&mut self) -> (u64, u64) {
        for index in &self.dirty_slots {
            let slot = &mut self.slots[*index as usize];
            let location = self.places[slot.location as usize].location;
            let digest = slot
                .cell
                .digest(u64::from(location.copybook_number()) << 32 | u64::from(slot.sku));
            self.cells_digest = self.cells_digest.wrapping_sub(slot.digest).wrapping_add(digest);
            slot.digest = digest;
        }
        for id in &self.dirty_sources {
            if let Some(source) = self.sources.get_mut(id) {
                let key = u64::from(id.location.copybook_number()) << 32
                    | (id.kind as u64) << 16
                    | u64::from(id.unit);
                let digest = source
                    .window
                    .digest()
                    .wrapping_mul(contracts::hash::finish(key) | 1);
                self.windows_digest = self
                    .windows_digest
                    .wrapping_sub(source.digest)
                    .wrapping_add(digest);
                source.digest = digest;
            }
        }
        (self.cells_digest, self.windows_digest)
    }

    /// Hands out the cells that are new since the last time, and how many.
    pub fn take_cells(&mut self, out: &mut Out<'_>) -> u64 {
        let mut key = Vec::with_capacity(24);
        let mut value = Vec::with_capacity(160);
        let mut dirty = std::mem::take(&mut self.dirty_slots);
        let count = dirty.len() as u64;
        for index in dirty.drain(..) {
            let slot = &mut self.slots[index as usize];
            let location = self.places[slot.location as usize].location;
            key.clear();
            StateKey::Cell {
                location,
                sku: Sku(slot.sku),
            }
            .write(&mut key);
            value.clear();
            encode(&slot.cell.to_record(self.epoch), &mut value);
            out(&key, &value);
            slot.dirty = false;
            slot.cell.due_ms_min = 0;
            slot.cell.due_ms_max = 0;
            slot.cell.new_lines = 0;
        }
        self.dirty_slots = dirty;
        count
    }

    /// Hands out the partials that are new since the last time, and how many.
    pub fn take_partials(&mut self, cut: u64, out: &mut Out<'_>) -> u64 {
        let mut value = Vec::with_capacity(64);
        let mut dirty = std::mem::take(&mut self.dirty_shares);
        let count = dirty.len() as u64;
        for index in dirty.drain(..) {
            let share = &mut self.shares[index as usize];
            share.dirty = false;
            value.clear();
            encode(
                &Partial {
                    epoch: self.epoch,
                    cut,
                    ..share.partial
                },
                &mut value,
            );
            share.partial.due_ms_min = 0;
            out(
                &StateKey::Partial {
                    partition: self.number,
                    sku: Sku(share.sku),
                }
                .to_bytes(),
                &value,
            );
        }
        self.dirty_shares = dirty;
        count
    }

    /// Hands out the windows and what they tell of completeness, new since the last time.
    pub fn take_windows(&mut self, cut: u64, out: &mut Out<'_>) -> u64 {
        let mut value = Vec::with_capacity(160);
        let mut dirty = std::mem::take(&mut self.dirty_sources);
        let count = dirty.len() as u64 * 2;
        for id in dirty.drain(..) {
            let Some(source) = self.sources.get_mut(&id) else {
                continue;
            };
            source.dirty = false;
            value.clear();
            encode(&source.window.to_record(self.epoch, cut), &mut value);
            out(&StateKey::Window(id).to_bytes(), &value);
            value.clear();
            encode(
                &Completeness {
                    epoch: self.epoch,
                    cut,
                    complete_up_to: source.window.complete_up_to(),
                    highest: source.window.highest(),
                    missing: source.window.missing(),
                    complete_until_ms: source.complete_until_ms,
                    dead_letters: source.dead_letters,
                },
                &mut value,
            );
            out(&StateKey::Completeness(id).to_bytes(), &value);
        }
        self.dirty_sources = dirty;
        count
    }

    /// Puts back a cell as it was published.
    pub fn restore_cell(&mut self, location: LocationId, sku: Sku, record: &contracts::records::Cell) {
        let place = self.place(location);
        let index = self.slot(place, sku.0);
        let slot = &mut self.slots[index as usize];
        slot.cell = Cell::from_record(record);
        let digest = slot
            .cell
            .digest(u64::from(location.copybook_number()) << 32 | u64::from(sku.0));
        self.cells_digest = self.cells_digest.wrapping_sub(slot.digest).wrapping_add(digest);
        slot.digest = digest;
    }

    pub fn restore_window(&mut self, id: SourceId, record: &contracts::records::Window) {
        let source = self.sources.entry(id).or_default();
        source.window = Window::from_record(record);
    }

    pub fn restore_completeness(&mut self, id: SourceId, record: &Completeness) {
        let source = self.sources.entry(id).or_default();
        source.complete_until_ms = record.complete_until_ms;
        source.dead_letters = record.dead_letters;
    }

    /// Adds up the partials from the cells; all of them are new to the readers of this epoch.
    pub fn restored(&mut self) {
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            let (cell, share) = (slot.cell, slot.partial);
            let change = Change {
                floor: cell.floor,
                back_room: cell.back_room,
                shipped: cell.shipped,
                received: cell.received,
            };
            self.change_share(share, change, 0);
        }
        let ids: Vec<SourceId> = self.sources.keys().copied().collect();
        for id in ids {
            if let Some(source) = self.sources.get_mut(&id) {
                let key = u64::from(id.location.copybook_number()) << 32
                    | (id.kind as u64) << 16
                    | u64::from(id.unit);
                let digest = source
                    .window
                    .digest()
                    .wrapping_mul(contracts::hash::finish(key) | 1);
                self.windows_digest = self
                    .windows_digest
                    .wrapping_sub(source.digest)
                    .wrapping_add(digest);
                source.digest = digest;
            }
        }
    }

    /// Every cell, for tests and tools.
    pub fn each_cell(&self, mut look: impl FnMut(LocationId, Sku, &Cell)) {
        for slot in &self.slots {
            look(
                self.places[slot.location as usize].location,
                Sku(slot.sku),
                &slot.cell,
            );
        }
    }
}

fn encode(message: &impl prost::Message, out: &mut Vec<u8>) {
    message.encode(out).expect("a Vec takes all bytes");
}

fn identity(movement: &Movement) -> Result<TransactionId, &'static str> {
    let location = movement.location.parse().map_err(|_| "the location is none")?;
    let unit = u16::try_from(movement.source_unit).map_err(|_| "the source's unit is beyond 65,535")?;
    let kind = match movement.source_kind() {
        SourceKind::Unspecified => return Err("the source has no known kind"),
        kind => kind,
    };
    Ok(TransactionId {
        source: SourceId { location, kind, unit },
        business_day: BusinessDay(movement.business_day),
        number: movement.number,
    })
}

//! The same counting without anything that makes it safe: what a service would be that never dies, never sees a message
//! twice and is alone.
//!
//! Cells, shares of articles, what is new in them and since when, with the same tables and the same layout. No windows, no
//! offsets, no hashes and digests, no epochs; a flush is cells and shares, acknowledged once.

use contracts::ids::{LocationId, Sku};
use contracts::records::{MovementKind, Partial};
use contracts::topics::StateKey;
use hashbrown::HashMap;
use inventory::{InventoryError, Log, News, OutTopic, Transaction};
use prost::Message as _;

use crate::bit_set::BitSet;
use crate::fast_hash::FastHash;

#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Cell {
    floor: i64,
    back_room: i64,
    sold: i64,
    counted: i64,
    supplied: i64,
    received: i64,
    shipped: i64,
    returned: i64,
    adjusted: i64,
    stocked: i64,
    stored: i64,
}

/// Floor, back room, shipped, received.
type Change = [i64; 4];

impl Cell {
    fn apply(&mut self, kind: MovementKind, quantity: i64) -> Change {
        let (total, change) = match kind {
            MovementKind::Unspecified => return [0; 4],
            MovementKind::Sold => (&mut self.sold, [-quantity, 0, 0, 0]),
            MovementKind::Returned => (&mut self.returned, [quantity, 0, 0, 0]),
            MovementKind::Supplied => (&mut self.supplied, [0, quantity, 0, 0]),
            MovementKind::Shipped => (&mut self.shipped, [0, -quantity, quantity, 0]),
            MovementKind::Received => (&mut self.received, [0, quantity, 0, quantity]),
            MovementKind::Stocked => (&mut self.stocked, [quantity, -quantity, 0, 0]),
            MovementKind::Stored => (&mut self.stored, [-quantity, quantity, 0, 0]),
            MovementKind::CountedFloor => (&mut self.counted, [quantity, 0, 0, 0]),
            MovementKind::CountedBackRoom => (&mut self.counted, [0, quantity, 0, 0]),
            MovementKind::AdjustedFloor => (&mut self.adjusted, [quantity, 0, 0, 0]),
            MovementKind::AdjustedBackRoom => (&mut self.adjusted, [0, quantity, 0, 0]),
        };
        *total += quantity;
        self.floor += change[0];
        self.back_room += change[1];
        change
    }

    fn encode(&self, news: &News, out: &mut Vec<u8>) {
        let totals = [
            self.floor,
            self.back_room,
            self.counted,
            self.supplied,
            self.received,
            self.shipped,
            self.sold,
            self.returned,
            self.adjusted,
            self.stocked,
            self.stored,
        ];
        for (tag, total) in (1..).zip(totals) {
            put(out, tag, ((total << 1) ^ (total >> 63)) as u64);
        }
        put(out, 16, news.due_ms_min as u64);
        put(out, 17, news.due_ms_max as u64);
        put(out, 18, u64::from(news.lines));
    }
}

fn put(out: &mut Vec<u8>, tag: u8, mut value: u64) {
    if value == 0 {
        return;
    }
    if tag < 16 {
        out.push(tag << 3);
    } else {
        out.extend_from_slice(&[(tag << 3) | 0x80, tag >> 4]);
    }
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[repr(C, align(128))]
struct Slot {
    place: u32,
    share: u32,
    /// Index into the news, plus 1; 0: nothing is new.
    news: u32,
    cell: Cell,
}

struct Place {
    location: LocationId,
    slots: HashMap<u32, u32, FastHash>,
}

struct Share {
    sku: u32,
    partial: Partial,
    is_new: bool,
}

#[derive(Default)]
pub struct Bare {
    number: u32,
    pub next: u64,
    places: Vec<Place>,
    place_index: HashMap<LocationId, u32, FastHash>,
    slots: Vec<Slot>,
    news: Vec<News>,
    new_slots: BitSet,
    targets: Vec<(u32, u32)>,
    shares: Vec<Share>,
    share_index: HashMap<u32, u32, FastHash>,
    new_shares: Vec<u32>,
}

impl Bare {
    pub fn new(number: u32) -> Self {
        Self {
            number,
            ..Self::default()
        }
    }

    pub fn apply(&mut self, transaction: &Transaction, offset: u64) {
        self.next = offset + 1;
        let place = self.place(transaction.id.source.location);
        // As the service does it: all slots are looked for before any is waited for.
        self.targets.clear();
        for line in &transaction.lines {
            let slot = self.slot(place, line.sku);
            self.targets.push((slot, 0));
        }
        for target in &mut self.targets {
            target.1 = self.slots[target.0 as usize].share;
        }
        for (line, target) in transaction.lines.iter().zip(&self.targets) {
            let slot = &mut self.slots[target.0 as usize];
            if slot.news == 0 {
                self.new_slots.insert(target.0);
                self.news.push(News::default());
                slot.news = self.news.len() as u32;
            }
            let [floor, back_room, shipped, received] = slot.cell.apply(line.kind, line.quantity);
            self.news[slot.news as usize - 1].add(transaction.due_ms);
            let share = &mut self.shares[target.1 as usize];
            let partial = &mut share.partial;
            partial.floor += floor;
            partial.back_room += back_room;
            partial.shipped += shipped;
            partial.received += received;
            let due = transaction.due_ms;
            if due > 0 && (partial.due_ms_min == 0 || due < partial.due_ms_min) {
                partial.due_ms_min = due;
            }
            if !share.is_new {
                share.is_new = true;
                self.new_shares.push(target.1);
            }
        }
    }

    /// Hands out what is new, and how many cells that is.
    pub fn flush(&mut self, log: &mut impl Log) -> Result<u64, InventoryError> {
        let count = self.news.len() as u64;
        let mut key = Vec::with_capacity(24);
        let mut value = Vec::with_capacity(192);
        for index in self.new_slots.iter() {
            let slot = &mut self.slots[index as usize];
            let news = self.news[slot.news as usize - 1];
            slot.news = 0;
            let location = self.places[slot.place as usize].location;
            let sku = Sku(self.shares[slot.share as usize].sku);
            key.clear();
            StateKey::Cell { location, sku }.write(&mut key);
            value.clear();
            slot.cell.encode(&news, &mut value);
            log.send(OutTopic::State, self.number, &key, &value)?;
        }
        self.news.clear();
        self.new_slots.clear();
        for index in self.new_shares.drain(..) {
            let share = &mut self.shares[index as usize];
            share.is_new = false;
            key.clear();
            StateKey::Partial {
                partition: self.number,
                sku: Sku(share.sku),
            }
            .write(&mut key);
            value.clear();
            share.partial.encode(&mut value).expect("a Vec takes all bytes");
            share.partial.due_ms_min = 0;
            log.send(OutTopic::Partials, self.number, &key, &value)?;
        }
        Ok(count)
    }

    fn place(&mut self, location: LocationId) -> u32 {
        let places = &mut self.places;
        *self.place_index.entry(location).or_insert_with(|| {
            places.push(Place {
                location,
                slots: HashMap::default(),
            });
            places.len() as u32 - 1
        })
    }

    fn slot(&mut self, place: u32, sku: u32) -> u32 {
        let slots = &mut self.places[place as usize].slots;
        if let Some(slot) = slots.get(&sku) {
            return *slot;
        }
        let index = self.slots.len() as u32;
        slots.insert(sku, index);
        let shares = &mut self.shares;
        let share = *self.share_index.entry(sku).or_insert_with(|| {
            shares.push(Share {
                sku,
                partial: Partial::default(),
                is_new: false,
            });
            shares.len() as u32 - 1
        });
        self.slots.push(Slot {
            cell: Cell::default(),
            place,
            share,
            news: 0,
        });
        index
    }
}

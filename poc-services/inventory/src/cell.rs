//! One SKU at one place: stock on the floor and in the back room, and the totals that explain it.
//!
//! For every cell, in thousandths of the base unit of measure:
//! `floor + back_room = counted + supplied + received + returned + adjusted - shipped - sold`; stocked and stored move
//! between the two and cancel out. All movements are deltas, so any order of arrival gives the same cell.

use contracts::hash::finish;
use contracts::ids::{SourceId, TransactionId};
use contracts::records::{self, MovementKind};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub floor: i64,
    pub back_room: i64,
    pub counted: i64,
    pub supplied: i64,
    pub received: i64,
    pub shipped: i64,
    pub sold: i64,
    pub returned: i64,
    pub adjusted: i64,
    pub stocked: i64,
    pub stored: i64,
    /// Every movement below it is in.
    pub applied_offset: u64,
    pub applied_count: u64,
    pub applied_hash: u64,
    /// Of the lines that are new since the last record.
    pub due_ms_min: i64,
    pub due_ms_max: i64,
    pub new_lines: u32,
}

/// How a line changes what an article has over all places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub floor: i64,
    pub back_room: i64,
    pub shipped: i64,
    pub received: i64,
}

impl Cell {
    /// Applies one line. `None`: the kind means nothing to a cell, and nothing changed.
    pub fn apply(&mut self, kind: MovementKind, quantity: i64, hash: u64, due_ms: i64) -> Option<Change> {
        let mut change = Change::default();
        match kind {
            MovementKind::Unspecified => return None,
            MovementKind::Sold => {
                change.floor = -quantity;
                self.sold += quantity;
            }
            MovementKind::Returned => {
                change.floor = quantity;
                self.returned += quantity;
            }
            MovementKind::Supplied => {
                change.back_room = quantity;
                self.supplied += quantity;
            }
            MovementKind::Shipped => {
                change.back_room = -quantity;
                change.shipped = quantity;
                self.shipped += quantity;
            }
            MovementKind::Received => {
                change.back_room = quantity;
                change.received = quantity;
                self.received += quantity;
            }
            MovementKind::Stocked => {
                change.back_room = -quantity;
                change.floor = quantity;
                self.stocked += quantity;
            }
            MovementKind::Stored => {
                change.floor = -quantity;
                change.back_room = quantity;
                self.stored += quantity;
            }
            MovementKind::CountedFloor => {
                change.floor = quantity;
                self.counted += quantity;
            }
            MovementKind::CountedBackRoom => {
                change.back_room = quantity;
                self.counted += quantity;
            }
            MovementKind::AdjustedFloor => {
                change.floor = quantity;
                self.adjusted += quantity;
            }
            MovementKind::AdjustedBackRoom => {
                change.back_room = quantity;
                self.adjusted += quantity;
            }
        }
        self.floor += change.floor;
        self.back_room += change.back_room;
        self.applied_count += 1;
        self.applied_hash = self.applied_hash.wrapping_add(hash);
        if due_ms > 0 {
            self.due_ms_min = if self.due_ms_min == 0 {
                due_ms
            } else {
                self.due_ms_min.min(due_ms)
            };
            self.due_ms_max = self.due_ms_max.max(due_ms);
            self.new_lines += 1;
        }
        Some(change)
    }

    pub fn to_record(self, epoch: u32) -> records::Cell {
        records::Cell {
            floor: self.floor,
            back_room: self.back_room,
            counted: self.counted,
            supplied: self.supplied,
            received: self.received,
            shipped: self.shipped,
            sold: self.sold,
            returned: self.returned,
            adjusted: self.adjusted,
            stocked: self.stocked,
            stored: self.stored,
            applied_offset: self.applied_offset,
            epoch,
            applied_count: self.applied_count,
            applied_hash: self.applied_hash,
            due_ms_min: self.due_ms_min,
            due_ms_max: self.due_ms_max,
            new_lines: self.new_lines,
        }
    }

    pub fn from_record(record: &records::Cell) -> Self {
        Self {
            floor: record.floor,
            back_room: record.back_room,
            counted: record.counted,
            supplied: record.supplied,
            received: record.received,
            shipped: record.shipped,
            sold: record.sold,
            returned: record.returned,
            adjusted: record.adjusted,
            stocked: record.stocked,
            stored: record.stored,
            applied_offset: record.applied_offset,
            applied_count: record.applied_count,
            applied_hash: record.applied_hash,
            due_ms_min: 0,
            due_ms_max: 0,
            new_lines: 0,
        }
    }

    /// A function of what was counted alone: neither epoch nor times of sending.
    pub fn digest(&self, key: u64) -> u64 {
        [
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
        ]
        .iter()
        .fold(finish(key ^ self.applied_offset), |digest, total| {
            (digest.rotate_left(7) ^ *total as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
        .wrapping_add(self.applied_hash)
    }
}

/// Hash of what identifies a line: FNV-1a 64 over location text, source kind (a byte), source unit (u16), business day
/// (u32), number (u64) and the index of the line (u32), little-endian, then SplitMix64's finaliser.
pub struct LineHasher(u64);

impl LineHasher {
    pub fn new(id: &TransactionId) -> Self {
        let SourceId { location, kind, unit } = id.source;
        let mut text = Vec::with_capacity(6);
        contracts::topics::push_location(&mut text, location);
        let mut hasher = Self(0xcbf2_9ce4_8422_2325);
        hasher.eat(&text);
        hasher.eat(&[kind as u8]);
        hasher.eat(&unit.to_le_bytes());
        hasher.eat(&id.business_day.0.to_le_bytes());
        hasher.eat(&id.number.to_le_bytes());
        hasher
    }

    fn eat(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub fn line(&self, index: u32) -> u64 {
        let mut hasher = Self(self.0);
        hasher.eat(&index.to_le_bytes());
        finish(hasher.0)
    }
}

#[cfg(test)]
mod tests {
    use contracts::ids::{BusinessDay, LocationId};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_hash_is_the_documented_function_and_not_only_our_code() {
        // Computed apart, from the description: FNV-1a 64 over 53 30 30 34 32 · 01 · 0300 · 30500000 · a304… · 02000000.
        let id = TransactionId {
            source: SourceId::till(LocationId::store(42), 3),
            business_day: BusinessDay(20_528),
            number: 1187,
        };
        let mut bytes = b"S0042\x01".to_vec();
        bytes.extend_from_slice(&[3, 0]);
        bytes.extend_from_slice(&20_528_u32.to_le_bytes());
        bytes.extend_from_slice(&1187_u64.to_le_bytes());
        bytes.extend_from_slice(&2_u32.to_le_bytes());
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in bytes {
            hash ^= u64::from(byte);
            hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
        }
        assert_eq!(LineHasher::new(&id).line(2), finish(hash));
    }

    proptest! {
        #[test]
        fn the_books_balance_whatever_happens(
            lines in proptest::collection::vec((1_i32..=11, -50_000_i64..50_000), 0..60)
        ) {
            let mut cell = Cell::default();
            for (kind, quantity) in lines {
                let kind = MovementKind::try_from(kind).expect("1 to 11 are kinds");
                let quantity = if kind.is_signed() { quantity } else { quantity.abs() };
                prop_assert!(cell.apply(kind, quantity, 1, 0).is_some());
                let by_totals = cell.counted + cell.supplied + cell.received + cell.returned + cell.adjusted
                    - cell.shipped - cell.sold;
                prop_assert_eq!(cell.floor + cell.back_room, by_totals);
            }
        }
    }
}

//! One SKU at one place: stock on the floor and in the back room, and the totals that explain it.
//!
//! For every cell, in thousandths of the base unit of measure:
//! `floor + back_room = counted + supplied + received + returned + adjusted - shipped - sold`; stocked and stored move
//! between the two and cancel out. All movements are deltas, so any order of arrival gives the same stock. A cell knows
//! neither its key nor its owner.

use contracts::hash::finish;
use contracts::records::{self, MovementKind};

use crate::plant::{self, Plant};

/// Quantities are sums of at most this much a line: nine million such lines fit before a sum overflows.
pub const LINE_QUANTITY_MAX: i64 = 1_000_000_000_000;

/// In the order in which they are touched: a sale stays within one cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Cell {
    /// Every movement below it is in.
    pub applied_offset: u64,
    pub applied_count: u64,
    pub applied_hash: u64,
    pub floor: i64,
    pub back_room: i64,
    pub sold: i64,
    pub counted: i64,
    pub supplied: i64,
    pub received: i64,
    pub shipped: i64,
    pub returned: i64,
    pub adjusted: i64,
    pub stocked: i64,
    pub stored: i64,
}

/// How a line changes what an article has over all places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub floor: i64,
    pub back_room: i64,
    pub shipped: i64,
    pub received: i64,
}

/// What a cell took since its last record: the instants when its lines were due, and how many those are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    pub due_ms_min: i64,
    pub due_ms_max: i64,
    pub lines: u32,
}

impl News {
    /// Takes a line; one that does not say when it was due is not counted.
    pub fn add(&mut self, due_ms: i64) {
        if due_ms > 0 {
            self.due_ms_min = if self.lines == 0 {
                due_ms
            } else {
                self.due_ms_min.min(due_ms)
            };
            self.due_ms_max = self.due_ms_max.max(due_ms);
            self.lines += 1;
        }
    }
}

impl Cell {
    /// Applies one line: signs are fixed by the kind, and only counts and corrections carry their own.
    pub fn apply(&mut self, kind: MovementKind, quantity: i64, hash: u64) -> Change {
        let mut change = Change::default();
        match kind {
            MovementKind::Unspecified => {}
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
        self.applied_hash = if plant::is(Plant::XorDigest) {
            self.applied_hash ^ hash
        } else {
            self.applied_hash.wrapping_add(hash)
        };
        change
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
        }
    }

    /// What of it is in its partials' sums.
    pub const fn change(&self) -> Change {
        Change {
            floor: self.floor,
            back_room: self.back_room,
            shipped: self.shipped,
            received: self.received,
        }
    }

    /// Keyed hash of what was counted: the same whoever computed it and whenever; neither epoch nor times are in it.
    /// Digests of a partition are wrapping sums of these. Pairs of words are multiplied to 128 bits, each under its own
    /// constants, so that the multiplications do not wait for each other.
    pub fn digest(&self, key: u64) -> u64 {
        let pairs = [
            (self.floor as u64, self.back_room as u64),
            (self.counted as u64, self.supplied as u64),
            (self.received as u64, self.shipped as u64),
            (self.sold as u64, self.returned as u64),
            (self.adjusted as u64, self.stocked as u64),
            (self.stored as u64, self.applied_offset),
            (self.applied_count, self.applied_hash),
        ];
        let mut constant = 0x9e37_79b9_7f4a_7c15_u64;
        let mut sum = finish(key);
        for (first, second) in pairs {
            let product = u128::from(first ^ constant) * u128::from(second ^ constant.rotate_left(32));
            sum = sum.wrapping_add(product as u64 ^ (product >> 64) as u64);
            constant = constant.wrapping_mul(0xd134_2543_de82_ef95);
        }
        finish(sum)
    }

    /// Appends the record, as `stockstream.v1.Cell`.
    pub fn encode(&self, epoch: u32, news: &News, out: &mut Vec<u8>) {
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
            // Zigzag, as sint64 has it.
            put(out, tag, ((total << 1) ^ (total >> 63)) as u64);
        }
        put(out, 12, self.applied_offset);
        put(out, 13, u64::from(epoch));
        put(out, 14, self.applied_count);
        if self.applied_hash != 0 {
            out.push(15 << 3 | 1);
            out.extend_from_slice(&self.applied_hash.to_le_bytes());
        }
        put(out, 16, news.due_ms_min as u64);
        put(out, 17, news.due_ms_max as u64);
        put(out, 18, u64::from(news.lines));
    }
}

/// A varint field; like all of proto3 it leaves out what is zero.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    fn any_cell() -> impl Strategy<Value = Cell> {
        (
            any::<[i64; 11]>(),
            prop_oneof![Just(0), any::<u64>()],
            prop_oneof![Just(0), any::<u64>()],
            prop_oneof![Just(0), any::<u64>()],
        )
            .prop_map(|(t, applied_offset, applied_count, applied_hash)| Cell {
                floor: t[0],
                back_room: t[1],
                counted: t[2],
                supplied: t[3],
                received: t[4],
                shipped: t[5],
                sold: t[6],
                returned: t[7],
                adjusted: t[8],
                stocked: t[9],
                stored: t[10],
                applied_offset,
                applied_count,
                applied_hash,
            })
    }

    fn to_record(cell: &Cell, epoch: u32, news: &News) -> records::Cell {
        records::Cell {
            floor: cell.floor,
            back_room: cell.back_room,
            counted: cell.counted,
            supplied: cell.supplied,
            received: cell.received,
            shipped: cell.shipped,
            sold: cell.sold,
            returned: cell.returned,
            adjusted: cell.adjusted,
            stocked: cell.stocked,
            stored: cell.stored,
            applied_offset: cell.applied_offset,
            epoch,
            applied_count: cell.applied_count,
            applied_hash: cell.applied_hash,
            due_ms_min: news.due_ms_min,
            due_ms_max: news.due_ms_max,
            new_lines: news.lines,
        }
    }

    #[test]
    fn a_cell_as_bytes_never_changes() {
        let mut cell = Cell {
            applied_offset: 300,
            ..Cell::default()
        };
        cell.apply(MovementKind::Supplied, 5_000, 1);
        cell.apply(MovementKind::Sold, 1_000, 0x0102_0304_0506_0707);
        let mut news = News::default();
        news.add(1_741_944_413_000);
        let mut bytes = Vec::new();
        cell.encode(7, &news, &mut bytes);
        let expected = [
            0x08, 0xcf, 0x0f, // floor -1000
            0x10, 0x90, 0x4e, // back room 5000
            0x20, 0x90, 0x4e, // supplied
            0x38, 0xd0, 0x0f, // sold
            0x60, 0xac, 0x02, // applied offset
            0x68, 0x07, // epoch
            0x70, 0x02, // applied count
            0x79, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, // applied hash
            0x80, 0x01, 0xc8, 0xb6, 0xe9, 0x9f, 0xd9, 0x32, // due min
            0x88, 0x01, 0xc8, 0xb6, 0xe9, 0x9f, 0xd9, 0x32, // due max
            0x90, 0x01, 0x01, // new lines
        ];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn news_keep_the_oldest_and_the_newest_and_skip_lines_without_a_time() {
        let mut news = News::default();
        for due in [0, 50, 20, 70, 0] {
            news.add(due);
        }
        assert_eq!(
            news,
            News {
                due_ms_min: 20,
                due_ms_max: 70,
                lines: 3
            }
        );
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
                cell.apply(kind, quantity, 1);
                let by_totals = cell.counted + cell.supplied + cell.received + cell.returned + cell.adjusted
                    - cell.shipped - cell.sold;
                prop_assert_eq!(cell.floor + cell.back_room, by_totals);
            }
        }

        #[test]
        fn a_cell_is_encoded_as_its_record_says(
            cell in any_cell(), epoch in any::<u32>(), due in any::<[u32; 2]>(), lines in any::<u32>()
        ) {
            let news = News { due_ms_min: i64::from(due[0]), due_ms_max: i64::from(due[1]) << 12, lines };
            let mut bytes = Vec::new();
            cell.encode(epoch, &news, &mut bytes);
            let record = to_record(&cell, epoch, &news);
            prop_assert_eq!(&bytes, &record.encode_to_vec());
            prop_assert_eq!(Cell::from_record(&record), cell);
        }

        #[test]
        fn a_digest_tells_cells_and_keys_apart(cell in any_cell(), other in any_cell(), key in any::<u64>()) {
            prop_assert_eq!(cell.digest(key) == other.digest(key), cell == other);
            prop_assert_ne!(cell.digest(key), cell.digest(key ^ 1));
        }
    }
}

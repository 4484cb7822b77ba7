//! The truth: the stock of every cell, told by the world alone.
//!
//! Invariant: nothing that a service computes gets in here, and nothing here is shared with what is checked.
//! Pure: no clock, no IO. A place is locked on its own, so that senders of different places do not meet.
//!
//! **Equations.** For every cell, in thousandths of the base unit of measure:
//! `floor + back_room = counted + supplied + received + returned + adjusted - shipped - sold`;
//! stocked and stored move between the two and cancel out. Over all places, `shipped - received` = in transit.

mod deliveries;

use std::sync::{Mutex, MutexGuard, PoisonError};

use contracts::ids::{LocationId, Sku, SourceId, TransactionId};
use contracts::records::MovementKind;

pub use deliveries::{Deliveries, TrueDiscrepancy, TruePaper};

/// One line of a transaction as it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub sku: Sku,
    /// Index of the SKU in the assortment of the place, as [`Assortment`] has it.
    pub slot: u16,
    pub kind: MovementKind,
    /// Thousandths. Not negative, but for counts and adjustments, and where an earlier transaction is taken back.
    pub quantity: i64,
}

/// A place and the SKUs that it can hold, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assortment {
    pub location: LocationId,
    pub skus: Vec<Sku>,
}

/// What is true of one SKU at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrueCell {
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
    /// Lines that happened.
    pub lines: u64,
    /// Wrapping sum of [`line_hash`] over them.
    pub hash: u64,
}

impl TrueCell {
    pub const fn on_hand(&self) -> i64 {
        self.floor + self.back_room
    }

    /// What the totals say on hand should be.
    pub const fn on_hand_by_totals(&self) -> i64 {
        self.counted + self.supplied + self.received + self.returned + self.adjusted
            - self.shipped
            - self.sold
    }

    fn apply(&mut self, line: &Line, hash: u64) {
        let quantity = line.quantity;
        match line.kind {
            MovementKind::Unspecified => unreachable!("the world writes no unspecified movement"),
            MovementKind::Sold => {
                self.floor -= quantity;
                self.sold += quantity;
            }
            MovementKind::Returned => {
                self.floor += quantity;
                self.returned += quantity;
            }
            MovementKind::Supplied => {
                self.back_room += quantity;
                self.supplied += quantity;
            }
            MovementKind::Shipped => {
                self.back_room -= quantity;
                self.shipped += quantity;
            }
            MovementKind::Received => {
                self.back_room += quantity;
                self.received += quantity;
            }
            MovementKind::Stocked => {
                self.back_room -= quantity;
                self.floor += quantity;
                self.stocked += quantity;
            }
            MovementKind::Stored => {
                self.floor -= quantity;
                self.back_room += quantity;
                self.stored += quantity;
            }
            MovementKind::CountedFloor => {
                self.floor += quantity;
                self.counted += quantity;
            }
            MovementKind::CountedBackRoom => {
                self.back_room += quantity;
                self.counted += quantity;
            }
            MovementKind::AdjustedFloor => {
                self.floor += quantity;
                self.adjusted += quantity;
            }
            MovementKind::AdjustedBackRoom => {
                self.back_room += quantity;
                self.adjusted += quantity;
            }
        }
        self.lines += 1;
        self.hash = self.hash.wrapping_add(hash);
    }
}

/// Hash of a line: source, business day, number as the source wrote it, index of the line in its transaction (zero lines
/// of a transaction are not counted, voided ones neither: the index is that in the movement), and its quantity.
///
/// FNV-1a 64 over: location text, one byte source kind, source unit, business day, number, line index, the numbers
/// little-endian as u16, u32, u64, u32; plus the quantity in thousandths times 0x9e3779b97f4a7c15; then the SplitMix64
/// finaliser. The inventory service has its own writing of it.
pub fn line_hash(id: &TransactionId, index: u32, quantity: i64) -> u64 {
    let mut text = Vec::with_capacity(6);
    contracts::topics::push_location(&mut text, id.source.location);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    eat(&text);
    eat(&[id.source.kind as u8]);
    eat(&id.source.unit.to_le_bytes());
    eat(&id.business_day.0.to_le_bytes());
    eat(&id.number.to_le_bytes());
    eat(&index.to_le_bytes());
    hash = hash.wrapping_add((quantity as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// The truth of one place.
#[derive(Clone, Debug)]
pub struct PlaceLedger {
    pub location: LocationId,
    /// As the assortment, ascending.
    pub skus: Vec<Sku>,
    /// One for each SKU.
    pub cells: Vec<TrueCell>,
    /// Transactions that happened, those of zero lines included.
    pub transactions: u64,
    /// What each source of the place wrote so far; a place has few of them.
    pub sources: Vec<TrueSource>,
    /// In the order in which it happened.
    pub lost: Vec<LostAtSource>,
}

/// A number that a source used for a transaction that it lost: its facts never happened, as far as anybody can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostAtSource {
    pub id: TransactionId,
    /// The first number of the source, and one more for each number used since.
    pub unwrapped: u64,
}

/// What is true of a source: its numbers follow one another, so the first one and their count say all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrueSource {
    pub id: SourceId,
    /// As the source wrote it.
    pub first_number: u64,
    /// Numbers that it used, those that it lost included.
    pub transactions: u64,
}

impl PlaceLedger {
    pub fn apply(&mut self, id: &TransactionId, lines: &[Line]) {
        self.transactions += 1;
        self.count_source(id);
        for (index, line) in lines.iter().enumerate() {
            debug_assert_eq!(self.skus[usize::from(line.slot)], line.sku);
            self.cells[usize::from(line.slot)].apply(line, line_hash(id, index as u32, line.quantity));
        }
    }

    /// The source used the number and lost what it stood for.
    pub fn lose(&mut self, id: &TransactionId) {
        let unwrapped = self.count_source(id);
        self.lost.push(LostAtSource { id: *id, unwrapped });
    }

    /// Tells the unwrapped number.
    fn count_source(&mut self, id: &TransactionId) -> u64 {
        let known = self.sources.iter().position(|source| source.id == id.source);
        let known = known.unwrap_or_else(|| {
            self.sources.push(TrueSource {
                id: id.source,
                first_number: id.number,
                transactions: 0,
            });
            self.sources.len() - 1
        });
        let source = &mut self.sources[known];
        source.transactions += 1;
        source.first_number + source.transactions - 1
    }

    pub fn slot(&self, sku: Sku) -> Option<usize> {
        self.skus.binary_search(&sku).ok()
    }
}

/// The truth of all places. Shared between senders and the audit; a place is locked on its own.
#[derive(Debug)]
pub struct Ledger {
    places: Vec<Mutex<PlaceLedger>>,
    /// Ascending by location, with the index into `places`.
    index: Vec<(LocationId, usize)>,
    deliveries: Mutex<Deliveries>,
}

impl Ledger {
    /// Places keep the order in which they are given.
    pub fn new(assortments: &[Assortment]) -> Self {
        let places = assortments
            .iter()
            .map(|assortment| {
                debug_assert!(assortment.skus.is_sorted());
                Mutex::new(PlaceLedger {
                    location: assortment.location,
                    skus: assortment.skus.clone(),
                    cells: vec![TrueCell::default(); assortment.skus.len()],
                    transactions: 0,
                    sources: Vec::new(),
                    lost: Vec::new(),
                })
            })
            .collect();
        let mut index: Vec<_> = assortments
            .iter()
            .enumerate()
            .map(|(position, a)| (a.location, position))
            .collect();
        index.sort_unstable();
        Self {
            places,
            index,
            deliveries: Mutex::default(),
        }
    }

    pub fn places(&self) -> usize {
        self.places.len()
    }

    /// The place at a position in the order given to [`Ledger::new`].
    pub fn place(&self, position: usize) -> MutexGuard<'_, PlaceLedger> {
        self.places[position]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub fn position(&self, location: LocationId) -> Option<usize> {
        let found = self
            .index
            .binary_search_by_key(&location, |(location, _)| *location)
            .ok()?;
        Some(self.index[found].1)
    }

    /// What is true of deliveries.
    pub fn deliveries(&self) -> MutexGuard<'_, Deliveries> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of all places, in their order.
    pub fn lost_at_source(&self) -> Vec<LostAtSource> {
        (0..self.places())
            .flat_map(|position| self.place(position).lost.clone())
            .collect()
    }

    pub fn cells(&self) -> usize {
        (0..self.places())
            .map(|position| self.place(position).cells.len())
            .sum()
    }
}

//! The cells as read back, and the live comparison with the truth.
//!
//! Invariant: sums over the view follow each record as it is taken; what compares with the truth is as of the place's
//! last look. A place is looked at only if something changed on either side or it was not settled. It keeps nothing of
//! the truth but counts of lines, and judges nothing at the end: that is a comparison of its own (see `report`).

use hashbrown::HashMap;
use ledger::{PlaceLedger, TrueCell};

use crate::decode::{ItemRecord, ViewCell};
use crate::live::Live;
use crate::places::Places;
use crate::report::PlaceState;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Newer,
    /// Newer than what was there, but with fewer lines.
    RolledBack,
    /// Older than what is there by (epoch, applied offset); not taken.
    Stale,
}

const SEEN: u8 = 1;
/// Taken since the last look.
const CHANGED: u8 = 2;
/// Differed at the last look.
const DIVERGING: u8 = 4;
const ROLLED_BACK: u8 = 8;
/// The last record in the log is an older one than that which was taken.
const OLDER_LAST: u8 = 16;
/// No delay explained it at the last look.
const WRONG: u8 = 32;

/// Stock of an article over all places, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    pub floor: i64,
    pub back_room: i64,
    pub in_transit: i64,
}

impl Stock {
    pub const fn add(&mut self, other: Self) {
        self.floor = self.floor.wrapping_add(other.floor);
        self.back_room = self.back_room.wrapping_add(other.back_room);
        self.in_transit = self.in_transit.wrapping_add(other.in_transit);
    }

    const fn less(self, other: Self) -> Self {
        Self {
            floor: self.floor.wrapping_sub(other.floor),
            back_room: self.back_room.wrapping_sub(other.back_room),
            in_transit: self.in_transit.wrapping_sub(other.in_transit),
        }
    }

    pub const fn of_truth(cell: &TrueCell) -> Self {
        Self {
            floor: cell.floor,
            back_room: cell.back_room,
            in_transit: cell.shipped.wrapping_sub(cell.received),
        }
    }

    pub const fn of_view(cell: &ViewCell) -> Self {
        Self {
            floor: cell.floor,
            back_room: cell.back_room,
            in_transit: cell.shipped.wrapping_sub(cell.received),
        }
    }

    pub const fn on_hand(&self) -> i64 {
        self.floor.wrapping_add(self.back_room)
    }
}

/// By how much the stock of a cell is not what its totals say.
pub const fn books_off(cell: &ViewCell) -> u64 {
    let by_totals = cell
        .counted
        .wrapping_add(cell.supplied)
        .wrapping_add(cell.received)
        .wrapping_add(cell.returned)
        .wrapping_add(cell.adjusted)
        .wrapping_sub(cell.shipped)
        .wrapping_sub(cell.sold);
    cell.floor
        .wrapping_add(cell.back_room)
        .wrapping_sub(by_totals)
        .unsigned_abs()
}

pub const fn negative(cell: &ViewCell) -> bool {
    cell.floor < 0 || cell.back_room < 0
}

/// Equal in everything that the view claims.
pub const fn equal(truth: &TrueCell, view: &ViewCell) -> bool {
    truth.hash == view.hash
        && truth.lines == view.lines as u64
        && truth.floor == view.floor
        && truth.back_room == view.back_room
        && truth.sold == view.sold
        && truth.counted == view.counted
        && truth.supplied == view.supplied
        && truth.received == view.received
        && truth.shipped == view.shipped
        && truth.returned == view.returned
        && truth.adjusted == view.adjusted
        && truth.stocked == view.stocked
        && truth.stored == view.stored
}

/// Sums over all cells of the view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub negative: u64,
    pub unbalanced: u64,
    pub books_difference: u64,
    pub stock: Stock,
}

impl Sums {
    const fn count(&mut self, cell: &ViewCell) {
        self.negative += negative(cell) as u64;
        let off = books_off(cell);
        self.unbalanced += (off != 0) as u64;
        self.books_difference = self.books_difference.wrapping_add(off);
    }

    const fn discount(&mut self, cell: &ViewCell) {
        self.negative -= negative(cell) as u64;
        let off = books_off(cell);
        self.unbalanced -= (off != 0) as u64;
        self.books_difference = self.books_difference.wrapping_sub(off);
    }
}

/// Between looks at a place.
#[derive(Clone, Copy, Debug)]
struct Looked {
    transactions: u64,
    /// Records were taken since.
    changed: bool,
    /// Equal in all cells.
    settled: bool,
}

#[derive(Debug)]
pub struct View {
    cells: Vec<ViewCell>,
    flags: Vec<u8>,
    /// Lines of the truth at the last look.
    then: Vec<u32>,
    looked: Vec<Looked>,
    states: Vec<PlaceState>,
    sums: Sums,
    /// Of the view's cells, by article.
    stock: Vec<Stock>,
    /// Truth less view of the diverging cells, by article: of the round of looks that goes on, and of the last whole one.
    missing: Vec<Stock>,
    missing_whole: Vec<Stock>,
    /// As the articles' records have them.
    items: Vec<Option<ItemRecord>>,
    /// Of an article: the last record is an older one than that before it.
    items_stale: Vec<bool>,
    /// Cells whose last record in the log is an older one: compaction would leave that.
    older_last: HashMap<usize, ViewCell>,
    pub live: Live,
}

impl View {
    pub fn new(places: &Places) -> Self {
        let states = (0..places.len())
            .map(|place| PlaceState::new(places.location(place), places.cells_of(place).len() as u32))
            .collect();
        let looked = Looked {
            transactions: 0,
            changed: false,
            settled: true,
        };
        Self {
            cells: vec![ViewCell::default(); places.cells()],
            flags: vec![0; places.cells()],
            then: vec![0; places.cells()],
            looked: vec![looked; places.len()],
            states,
            sums: Sums::default(),
            stock: vec![Stock::default(); places.items()],
            missing: vec![Stock::default(); places.items()],
            missing_whole: vec![Stock::default(); places.items()],
            items: vec![None; places.items()],
            items_stale: vec![false; places.items()],
            older_last: HashMap::new(),
            live: Live::default(),
        }
    }

    /// Brings cells near, all at once: reads that do not depend on each other.
    #[inline]
    pub fn touch(&self, cells: impl Iterator<Item = usize>) -> u64 {
        cells.fold(0, |sum, cell| {
            let view = &self.cells[cell];
            // First and last word: a cell lies in two or three lines of the cache.
            sum ^ view.hash ^ u64::from(view.epoch) ^ u64::from(self.flags[cell])
        })
    }

    /// Takes a record of the cell of an article at a place.
    #[inline]
    pub fn take(&mut self, places: &Places, place: usize, cell: usize, item: usize, new: &ViewCell) -> Taken {
        let old = &mut self.cells[cell];
        let (location, sku) = (|| places.location(place), || places.sku(cell));
        let flags = &mut self.flags[cell];
        let mut taken = Taken::Newer;
        if *flags & SEEN != 0 {
            if (new.epoch, new.applied_offset) < (old.epoch, old.applied_offset) {
                *flags |= OLDER_LAST | CHANGED;
                self.live.went_back(location(), sku(), old, new);
                self.older_last.insert(cell, *new);
                self.looked[place].changed = true;
                return Taken::Stale;
            }
            if *flags & OLDER_LAST != 0 {
                *flags &= !OLDER_LAST;
                self.older_last.remove(&cell);
            }
            if new.lines < old.lines {
                *flags |= ROLLED_BACK;
                self.live.rolled_back(location(), sku(), old.lines, new);
                taken = Taken::RolledBack;
            }
        }
        let state = &mut self.states[place];
        state.seen += u32::from(*flags & SEEN == 0);
        state.negative = state.negative + u32::from(negative(new)) - u32::from(negative(old));
        self.sums.discount(old);
        self.sums.count(new);
        let change = Stock::of_view(new).less(Stock::of_view(old));
        self.sums.stock.add(change);
        self.stock[item].add(change);
        *old = *new;
        *flags |= SEEN | CHANGED;
        self.looked[place].changed = true;
        taken
    }

    pub fn take_item(&mut self, item: usize, record: ItemRecord) {
        if let Some(old) = &self.items[item] {
            let both = || old.positions.iter().zip(&record.positions);
            // Where nothing of the log is newer in it, and something is older.
            self.items_stale[item] =
                both().any(|(old, new)| new < old) && both().all(|(old, new)| new <= old);
        }
        self.items[item] = Some(record);
    }

    pub fn is_item_stale(&self, item: usize) -> bool {
        self.items_stale[item]
    }

    /// The record that stands last in the log, where it is an older one.
    pub fn older_last(&self, cell: usize) -> Option<&ViewCell> {
        self.older_last.get(&cell)
    }

    pub fn cell(&self, cell: usize) -> &ViewCell {
        &self.cells[cell]
    }

    pub fn seen(&self, cell: usize) -> bool {
        self.flags[cell] & SEEN != 0
    }

    pub fn rolled_back(&self, cell: usize) -> bool {
        self.flags[cell] & ROLLED_BACK != 0
    }

    pub fn item(&self, item: usize) -> Option<&ItemRecord> {
        self.items[item].as_ref()
    }

    /// Over the totals of all articles.
    pub fn stock_uncertain(&self) -> i64 {
        let uncertain = self.items.iter().flatten().map(|item| item.uncertain);
        uncertain.fold(0, i64::wrapping_add)
    }

    pub fn states(&self) -> &[PlaceState] {
        &self.states
    }

    pub const fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Whether the place has to be looked at again.
    fn is_due(&self, place: usize, truth: &PlaceLedger) -> bool {
        let looked = &self.looked[place];
        !looked.settled || looked.changed || looked.transactions != truth.transactions
    }

    /// Compares a place, unless nothing changed since it was last found equal. The truth must be read no earlier than
    /// the view: then a view that is ahead of it is wrong whatever is on its way.
    pub fn look(&mut self, places: &Places, place: usize, truth: &PlaceLedger) {
        if !self.is_due(place, truth) {
            return;
        }
        let state = &mut self.states[place];
        (state.diverging, state.behind, state.wrong) = (0, 0, 0);
        let cells = places.cells_of(place);
        let truth_location = truth.location;
        for (truth, cell) in truth.cells.iter().zip(cells) {
            let lines = truth.lines as u32;
            let then = self.then[cell];
            let flags = &mut self.flags[cell];
            // Settled and touched by nobody: the view's own memory is not even fetched.
            if lines == then && *flags & (CHANGED | DIVERGING) == 0 {
                continue;
            }
            let view = &self.cells[cell];
            state.compared += u32::from(then == 0 && lines > 0);
            self.then[cell] = lines;
            let is_equal = equal(truth, view);
            if is_equal && *flags & OLDER_LAST == 0 {
                *flags &= !(CHANGED | DIVERGING | WRONG);
                continue;
            }
            *flags = (*flags & !CHANGED) | DIVERGING;
            state.diverging += 1;
            state.behind += u32::from(view.lines < then);
            // What stands last may be written over yet.
            let is_wrong = u64::from(view.lines) >= truth.lines || books_off(view) != 0;
            if is_wrong && !is_equal {
                state.wrong += 1;
                if *flags & WRONG == 0 {
                    *flags |= WRONG;
                    self.live.wrong(truth_location, places.sku(cell), truth, view);
                }
            } else {
                *flags &= !WRONG;
            }
            self.missing[places.item_of(cell)].add(Stock::of_truth(truth).less(Stock::of_view(view)));
        }
        self.looked[place] = Looked {
            transactions: truth.transactions,
            changed: false,
            settled: state.diverging == 0,
        };
    }

    /// Ends a round of looks at all places.
    pub fn end_round(&mut self) {
        std::mem::swap(&mut self.missing, &mut self.missing_whole);
        self.missing.fill(Stock::default());
    }

    /// Articles whose records differ from the truth of the last whole round, and how much is in transit in truth.
    pub fn items_live(&self) -> (u64, i64) {
        let mut in_transit = 0_i64;
        let mut diverging = 0;
        for ((stock, missing), item) in self.stock.iter().zip(&self.missing_whole).zip(&self.items) {
            let mut truth = *stock;
            truth.add(*missing);
            in_transit = in_transit.wrapping_add(truth.in_transit);
            diverging += u64::from(!item_agrees(truth, item.as_ref()));
        }
        (diverging, in_transit)
    }
}

/// An article that is nowhere needs no record.
pub fn item_agrees(truth: Stock, item: Option<&ItemRecord>) -> bool {
    match item {
        None => truth == Stock::default(),
        Some(item) => {
            item.floor == truth.floor
                && item.back_room == truth.back_room
                && item.in_transit == truth.in_transit
                && item.on_hand == truth.on_hand()
        }
    }
}

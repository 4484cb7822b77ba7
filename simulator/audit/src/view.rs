//! The view as read back, beside the truth: what differs, what is behind, whether the books balance.
//!
//! Pure: records go in, comparisons come out. Invariant: arrays lie as the ledger's places and slots do.

use ledger::{Ledger, TrueCell};

use crate::decode::ViewCell;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Taken,
    /// Older than what is there: a cell written back.
    Stale,
    /// The ledger knows no such cell.
    Misplaced,
}

/// What an article's record says, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewItem {
    pub on_hand: i64,
    pub in_transit: i64,
    pub seen: bool,
}

/// Sums of one place, as last compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaceCheck {
    pub seen: u32,
    /// Cells in which something happened.
    pub compared: u32,
    pub diverging: u32,
    /// Cells that lack something that happened before the mark.
    pub behind: u32,
    pub negative: u32,
    /// Cells whose totals do not give their stock, and by how much in all.
    pub unbalanced: u32,
    pub books_difference: i64,
    pub in_transit_view: i64,
    pub in_transit_truth: i64,
    pub dirty: bool,
    transactions: u64,
}

/// Lines of each cell at an instant.
#[derive(Clone, Debug)]
pub struct Mark {
    lines: Vec<Vec<u32>>,
}

impl Mark {
    pub fn now(ledger: &Ledger) -> Self {
        let lines = (0..ledger.places())
            .map(|position| ledger.place(position).cells.iter().map(|cell| cell.lines as u32).collect())
            .collect();
        Self { lines }
    }
}

#[derive(Debug)]
pub struct View {
    places: Vec<Vec<ViewCell>>,
    pub checks: Vec<PlaceCheck>,
    /// Ascending SKUs that any place holds.
    skus: Vec<u32>,
    pub items: Vec<ViewItem>,
}

/// Equal in everything that the view claims.
pub fn equal(truth: &TrueCell, view: &ViewCell) -> bool {
    truth.floor == view.floor
        && truth.back_room == view.back_room
        && truth.counted == view.counted
        && truth.supplied == view.supplied
        && truth.received == view.received
        && truth.shipped == view.shipped
        && truth.sold == view.sold
        && truth.returned == view.returned
        && truth.adjusted == view.adjusted
        && truth.stocked == view.stocked
        && truth.stored == view.stored
        && truth.lines == view.lines
        && truth.hash == view.hash
}

impl View {
    pub fn new(ledger: &Ledger) -> Self {
        let mut skus = Vec::new();
        let places = (0..ledger.places())
            .map(|position| {
                let place = ledger.place(position);
                skus.extend(place.skus.iter().map(|sku| sku.0));
                vec![ViewCell::default(); place.cells.len()]
            })
            .collect::<Vec<_>>();
        skus.sort_unstable();
        skus.dedup();
        let checks = vec![PlaceCheck { dirty: true, ..PlaceCheck::default() }; places.len()];
        let items = vec![ViewItem::default(); skus.len()];
        Self { places, checks, skus, items }
    }

    /// Takes a record of the cell at this place and slot.
    pub fn take(&mut self, place: usize, slot: usize, cell: ViewCell) -> Taken {
        let Some(old) = self.places.get_mut(place).and_then(|cells| cells.get_mut(slot)) else {
            return Taken::Misplaced;
        };
        if old.seen && (cell.epoch, cell.applied_offset) < (old.epoch, old.applied_offset) {
            return Taken::Stale;
        }
        *old = cell;
        self.checks[place].dirty = true;
        Taken::Taken
    }

    pub fn take_item(&mut self, sku: u32, item: ViewItem) -> Taken {
        match self.skus.binary_search(&sku) {
            Ok(index) => {
                self.items[index] = item;
                Taken::Taken
            }
            Err(_) => Taken::Misplaced,
        }
    }

    pub fn cell(&self, place: usize, slot: usize) -> Option<&ViewCell> {
        self.places.get(place)?.get(slot)
    }

    pub fn item(&self, sku: u32) -> Option<&ViewItem> {
        self.skus.binary_search(&sku).ok().map(|index| &self.items[index]).filter(|item| item.seen)
    }

    /// Compares one place, unless nothing changed on either side since the last time.
    pub fn check(&mut self, ledger: &Ledger, place: usize, mark: Option<&Mark>) {
        let truth = ledger.place(place);
        let check = &mut self.checks[place];
        if !check.dirty && check.transactions == truth.transactions && check.behind == 0 {
            return;
        }
        let mut new = PlaceCheck { transactions: truth.transactions, ..PlaceCheck::default() };
        let marked = mark.map(|mark| &mark.lines[place][..]).unwrap_or_default();
        for (slot, (truth, view)) in truth.cells.iter().zip(&self.places[place]).enumerate() {
            new.seen += u32::from(view.seen);
            new.compared += u32::from(truth.lines > 0);
            new.diverging += u32::from(!equal(truth, view));
            new.behind += u32::from(marked.get(slot).is_some_and(|lines| view.lines < u64::from(*lines)));
            new.negative += u32::from(view.floor < 0 || view.back_room < 0);
            let by_totals = view.counted + view.supplied + view.received + view.returned + view.adjusted
                - view.shipped
                - view.sold;
            let difference = view.floor + view.back_room - by_totals;
            new.unbalanced += u32::from(difference != 0);
            new.books_difference += difference.abs();
            new.in_transit_view += view.shipped - view.received;
            new.in_transit_truth += truth.shipped - truth.received;
        }
        *check = new;
    }

    /// Cells that lack something that happened before the mark.
    pub fn behind(&self, mark: &Mark) -> u64 {
        let behind = |(view, marked): (&Vec<ViewCell>, &Vec<u32>)| {
            view.iter().zip(marked).filter(|(view, lines)| view.lines < u64::from(**lines)).count() as u64
        };
        self.places.iter().zip(&mark.lines).map(behind).sum()
    }

    /// Articles whose totals differ from the truth, with truth and view of stock on hand and in transit.
    pub fn diverging_items(&self, ledger: &Ledger) -> Vec<(u32, ViewItem, ViewItem)> {
        let mut truth = vec![ViewItem::default(); self.skus.len()];
        for position in 0..ledger.places() {
            let place = ledger.place(position);
            for (sku, cell) in place.skus.iter().zip(&place.cells) {
                if cell.lines > 0 {
                    let index = self.skus.binary_search(&sku.0).expect("every SKU of the ledger is listed");
                    truth[index].on_hand += cell.on_hand();
                    truth[index].in_transit += cell.shipped - cell.received;
                    truth[index].seen = true;
                }
            }
        }
        self.skus
            .iter()
            .zip(truth.iter().zip(&self.items))
            .filter(|(_, (truth, view))| truth != view)
            .map(|(sku, (truth, view))| (*sku, *truth, *view))
            .collect()
    }
}

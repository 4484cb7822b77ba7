//! The audit without Kafka and without a clock: records and the truth go in, snapshots and a report come out.
//!
//! Invariant: the verdict compares every cell and article anew; it does not rest on the sums that the live view keeps.
//! It reads the ledger, one place at a time, and changes nothing in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use contracts::ids::{LocationId, Sku};
use ledger::{Ledger, TrueCell};

use crate::claims::Claims;
use crate::completeness::{CompletenessTotals, PlaceCompleteness};
use crate::decode::{self, CellRecord, ItemRecord, Key, ViewCell};
use crate::findings::Findings;
use crate::freshness::{Freshness, FreshnessHistogram};
use crate::gaps::claims_all;
use crate::places::Places;
use crate::report::{AuditReport, AuditSnapshot, DivergingItem, ItemDivergence, LISTED_MAX, Records};
use crate::truth::{self, Watch};
use crate::view::{Stock, Taken, View, equal, item_agrees};

/// Records of cells that are taken together, so that memory is waited for once and not for each.
const TOGETHER: usize = 64;
/// Cells outside the world that are kept.
const MISPLACED_MAX: usize = 1_000;

/// Lines of each cell at an instant; see [`Comparison::behind`].
#[derive(Clone, Debug)]
pub struct Mark {
    lines: Vec<u32>,
    /// Places that have all of it.
    reached: Vec<bool>,
}

impl Mark {
    pub fn now(ledger: &Ledger) -> Self {
        let mut lines = Vec::new();
        for place in 0..ledger.places() {
            lines.extend(ledger.place(place).cells.iter().map(|cell| cell.lines as u32));
        }
        Self {
            lines,
            reached: vec![false; ledger.places()],
        }
    }
}

/// How a total differs from that of its article, where its numbers are wrong.
fn item_divergence(truth: Stock, view: &ItemRecord, all: &[Stock]) -> ItemDivergence {
    let mut twice = truth;
    twice.add(truth);
    if item_agrees(twice, Some(view)) {
        ItemDivergence::Doubled
    } else if all
        .iter()
        .any(|other| *other != Stock::default() && item_agrees(*other, Some(view)))
    {
        ItemDivergence::Misrouted
    } else {
        ItemDivergence::Altered
    }
}

/// A record of a cell that is decoded and not yet taken.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    place: usize,
    item: usize,
    cell: Option<usize>,
    record: CellRecord,
    now_ms: i64,
}

#[derive(Debug)]
pub struct Comparison {
    places: Arc<Places>,
    view: View,
    /// At most [`TOGETHER`].
    waiting: Vec<Waiting>,
    freshness: Freshness,
    records: Records,
    claims: Claims,
    /// Cells outside the world, up to [`MISPLACED_MAX`]: what was misrouted may be in them.
    misplaced: BTreeMap<(LocationId, Sku), ViewCell>,
    items_diverging: u64,
    in_transit_truth: i64,
}

impl Comparison {
    pub fn new(ledger: &Ledger) -> Self {
        let places = Places::new(ledger);
        Self {
            view: View::new(&places),
            places: Arc::new(places),
            waiting: Vec::with_capacity(TOGETHER),
            freshness: Freshness::default(),
            records: Records::default(),
            claims: Claims::default(),
            misplaced: BTreeMap::new(),
            items_diverging: 0,
            in_transit_truth: 0,
        }
    }

    /// A record of `store.inventory`, read at a wall clock time.
    #[inline]
    pub fn take_cell(&mut self, partition: u32, key: &[u8], value: Option<&[u8]>, now_ms: i64) {
        self.records.read += 1;
        let (location, sku) = match decode::key(key) {
            Key::Cell(location, sku) => (location, sku),
            Key::Bookkeeping => {
                // A tombstone of what is no longer needed claims nothing.
                if value.is_some_and(|value| self.claims.take(partition, key, value).is_err()) {
                    self.records.undecodable += 1;
                }
                return;
            }
            Key::Unknown => {
                self.records.unknown_keys += 1;
                return;
            }
        };
        self.records.cells += 1;
        let Some(Ok(record)) = value.map(decode::cell) else {
            self.records.undecodable += 1;
            return;
        };
        let place = self
            .places
            .place(location)
            .filter(|place| self.places.partition(*place) == partition);
        let (Some(place), Some(item)) = (place, self.places.item(sku)) else {
            self.note_misplaced(location, sku, record.cell);
            return;
        };
        self.waiting.push(Waiting {
            place,
            item,
            cell: None,
            record,
            now_ms,
        });
        if self.waiting.len() == TOGETHER {
            self.settle();
        }
    }

    /// Takes what waits. Each pass asks for memory of all of them before the next needs it.
    fn settle(&mut self) {
        for waiting in &mut self.waiting {
            waiting.cell = self.places.cell(waiting.place, waiting.item);
        }
        std::hint::black_box(
            self.view
                .touch(self.waiting.iter().filter_map(|waiting| waiting.cell)),
        );
        let mut outside = Vec::new();
        for Waiting {
            place,
            item,
            cell,
            record,
            now_ms,
        } in self.waiting.drain(..)
        {
            let Some(cell) = cell else {
                outside.push((
                    self.places.location(place),
                    self.places.item_sku(item),
                    record.cell,
                ));
                continue;
            };
            let lines_before = self.view.cell(cell).lines;
            match self.view.take(&self.places, place, cell, item, &record.cell) {
                Taken::Newer => {}
                Taken::RolledBack => self.records.rolled_back += 1,
                Taken::Stale => {
                    self.records.stale += 1;
                    continue;
                }
            }
            let mut measured = 0;
            if record.new_lines > 0 && record.due_ms_min > 0 {
                measured = record.new_lines;
                self.freshness
                    .record(now_ms.saturating_sub(record.due_ms_min), measured);
            }
            // By the cell's own count: a record that was compacted away before it was read took its word on them with it.
            let came = record.cell.lines.saturating_sub(lines_before);
            let unmeasured = came.saturating_sub(measured);
            self.freshness.record_unmeasured(unmeasured.into());
        }
        for (location, sku, cell) in outside {
            self.note_misplaced(location, sku, cell);
        }
    }

    #[cold]
    fn note_misplaced(&mut self, location: LocationId, sku: Sku, cell: ViewCell) {
        self.records.misplaced += 1;
        if self.misplaced.len() < MISPLACED_MAX || self.misplaced.contains_key(&(location, sku)) {
            self.misplaced.insert((location, sku), cell);
        }
    }

    /// A record of `item.inventory`.
    pub fn take_item(&mut self, partition: u32, key: &[u8], value: Option<&[u8]>) {
        self.records.read += 1;
        if key.starts_with(b"b/") {
            // An owner's barrier.
            return;
        }
        self.records.items += 1;
        let record = value.and_then(|value| decode::item(value).ok());
        let Some(record) = record.filter(|record| decode::sku_of(key) == Some(Sku(record.sku))) else {
            self.records.undecodable += 1;
            return;
        };
        let item = self.places.item(Sku(record.sku));
        match item.filter(|item| self.places.item_partition(*item) == partition) {
            Some(item) => self.view.take_item(item, record),
            None => self.records.misplaced += 1,
        }
    }

    /// Looks at one slice of the places; after the last slice, at the articles.
    pub fn look_slice(&mut self, ledger: &Ledger, slice: usize, slices: usize) {
        self.settle();
        for place in (slice..self.places.len()).step_by(slices) {
            let truth = ledger.place(place);
            self.view.look(&self.places, place, &truth);
            let behind = self.view.states()[place].behind;
            if behind > 0
                && let Some(record) = self.claims.record(truth.location)
                && claims_all(record, &truth)
            {
                self.view.live.gap_unreported(truth.location, behind);
            }
        }
        if slice + 1 == slices {
            self.view.end_round();
            self.view.live.false_claims(&self.claims.too_much(ledger));
            (self.items_diverging, self.in_transit_truth) = self.view.items_live();
        }
    }

    /// Looks at everything.
    pub fn look(&mut self, ledger: &Ledger) {
        self.view.end_round();
        self.look_slice(ledger, 0, 1);
    }

    /// The time since any fixed start: moves the window of freshness.
    pub fn advance(&mut self, elapsed: Duration) {
        self.settle();
        self.freshness.advance(elapsed);
    }

    pub fn reset_freshness(&mut self) {
        self.settle();
        self.freshness.reset();
    }

    pub fn next_period(&mut self) {
        self.settle();
        self.freshness.next_period();
    }

    pub fn freshness_histogram(&mut self) -> FreshnessHistogram {
        self.settle();
        self.freshness.whole().clone()
    }

    /// As of the last looks.
    pub fn snapshot(&mut self) -> AuditSnapshot {
        self.settle();
        let sums = self.view.sums();
        let mut snapshot = AuditSnapshot {
            places: self.view.states().into(),
            cells_negative: sums.negative,
            cells_unbalanced: sums.unbalanced,
            books_difference: i64::try_from(sums.books_difference).unwrap_or(i64::MAX),
            items_compared: self.places.items() as u64,
            items_diverging: self.items_diverging,
            in_transit_view: sums.stock.in_transit,
            in_transit_truth: self.in_transit_truth,
            on_hand_view: sums.stock.on_hand(),
            records: self.records,
            live: self.view.live.clone(),
            completeness: self.completeness(),
            freshness: self.freshness.window().quantiles(),
            freshness_period: self.freshness.period().quantiles(),
            freshness_total: self.freshness.whole().quantiles(),
            ..AuditSnapshot::default()
        };
        for place in &*snapshot.places {
            snapshot.cells_compared += u64::from(place.compared);
            snapshot.cells_diverging += u64::from(place.diverging);
            snapshot.cells_behind += u64::from(place.behind);
            snapshot.cells_wrong += u64::from(place.wrong);
        }
        snapshot
    }

    /// Cells that do not yet show what had happened at the mark: that lack lines, or that differ though nothing
    /// happened to them since. A place that has all of it is not looked at again.
    pub fn behind(&mut self, ledger: &Ledger, mark: &mut Mark) -> u64 {
        self.settle();
        let mut behind = 0;
        for place in 0..self.places.len() {
            if mark.reached[place] {
                continue;
            }
            let truth = ledger.place(place);
            let cells = self.places.cells_of(place);
            let lacks = |(truth, cell): &(&TrueCell, usize)| {
                let (view, lines) = (self.view.cell(*cell), u64::from(mark.lines[*cell]));
                u64::from(view.lines) < lines || (truth.lines == lines && !equal(truth, view))
            };
            let lacking = truth.cells.iter().zip(cells).filter(lacks).count() as u64;
            mark.reached[place] = lacking == 0;
            behind += lacking;
        }
        behind
    }

    /// By the view's own word.
    pub fn completeness(&self) -> CompletenessTotals {
        CompletenessTotals {
            stock_uncertain: self.view.stock_uncertain(),
            ..self.claims.totals()
        }
    }

    /// What the view says of a place's sources.
    pub fn completeness_of(&self, location: LocationId) -> Option<PlaceCompleteness> {
        self.claims.place(location)
    }

    /// The same of all places, ascending, without their sources.
    pub fn completeness_of_places(&self) -> Vec<PlaceCompleteness> {
        self.claims.places()
    }

    /// What the view has of a cell.
    pub fn cell(&mut self, location: LocationId, sku: Sku) -> Option<&ViewCell> {
        self.settle();
        let cell = self
            .places
            .cell(self.places.place(location)?, self.places.item(sku)?)?;
        self.view.seen(cell).then(|| self.view.cell(cell))
    }

    /// Of what is on hand, what lies in places that are not certain, by the article's record.
    pub fn item_uncertain(&self, sku: Sku) -> Option<i64> {
        Some(self.view.item(self.places.item(sku)?)?.uncertain)
    }

    /// On hand over all places by the article's record.
    pub fn item_on_hand(&self, sku: Sku) -> Option<i64> {
        Some(self.view.item(self.places.item(sku)?)?.on_hand)
    }

    /// Compares everything, once.
    pub fn compare(&mut self, ledger: &Ledger) -> Findings {
        self.settle();
        let report = AuditReport {
            records: self.records,
            live: self.view.live.clone(),
            completeness: self.completeness(),
            stale_places: self.claims.stale().take(LISTED_MAX).collect(),
            places_incomplete: self.claims.incomplete(LISTED_MAX),
            items_compared: self.places.items() as u64,
            freshness_ms: self.freshness.whole().quantiles(),
            freshness_histogram: self.freshness_histogram(),
            ..AuditReport::default()
        };
        let mut findings = Findings::new(Arc::clone(&self.places), report, self.misplaced.clone());
        let mut stock = vec![Stock::default(); self.places.items()];
        for place in 0..self.places.len() {
            let truth = ledger.place(place);
            for (truth, cell) in truth.cells.iter().zip(self.places.cells_of(place)) {
                stock[self.places.item_of(cell)].add(Stock::of_truth(truth));
                findings.take(place, cell, truth, &self.view);
            }
        }
        let report = &mut findings.report;
        let claims = self.claims.too_much(ledger);
        report.completeness_false = claims.len() as u64;
        report.false_claims = claims.into_iter().take(LISTED_MAX).collect();
        let gaps = truth::gaps(self.claims.records(), ledger);
        report.gaps_unreported = gaps.unreported.len() as u64;
        report.unreported_gaps = gaps.unreported.into_iter().take(LISTED_MAX).collect();
        report.numbers_missing_unexplained = gaps.missing_unexplained;
        let unknown = truth::unknown_sources(self.claims.records(), ledger);
        report.sources_unknown = unknown.len() as u64;
        report.unknown_sources = unknown.into_iter().take(LISTED_MAX).collect();
        findings.watch = Watch::new(self.claims.records(), ledger);
        let report = &mut findings.report;
        for (item, truth) in stock.iter().enumerate() {
            report.in_transit_truth = report.in_transit_truth.wrapping_add(truth.in_transit);
            let view = self.view.item(item);
            let agrees = item_agrees(*truth, view);
            let is_ahead = view.is_some_and(|view| self.claims.is_ahead(view));
            if agrees && !is_ahead {
                continue;
            }
            report.items_diverging += 1;
            if report.diverging_items.len() < LISTED_MAX {
                let kind = match view {
                    None => ItemDivergence::Missing,
                    Some(_) if agrees => ItemDivergence::Ahead,
                    Some(_) if self.view.is_item_stale(item) => ItemDivergence::Stale,
                    Some(view) => item_divergence(*truth, view, &stock),
                };
                report.diverging_items.push(DivergingItem {
                    sku: self.places.item_sku(item),
                    kind,
                    on_hand_truth: truth.on_hand(),
                    on_hand_view: view.map(|view| view.on_hand),
                    in_transit_truth: truth.in_transit,
                    in_transit_view: view.map(|view| view.in_transit),
                });
            }
        }
        findings
    }
}

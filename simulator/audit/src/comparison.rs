//! The audit without Kafka and without a clock: records and the truth go in, snapshots and a report come out.
//!
//! Invariant: the verdict compares every cell and article anew; it does not rest on the sums that the live view keeps.
//! It reads the ledger, one place at a time, and changes nothing in it.

use std::sync::Arc;
use std::time::Duration;

use contracts::ids::{LocationId, Sku, TransactionId};
use ledger::{Ledger, Line, TrueCell};

use crate::decode::{self, Key, ViewCell};
use crate::explain::{Blame, Differing, Explainer};
use crate::freshness::{Freshness, FreshnessHistogram};
use crate::places::Places;
use crate::report::{
    AuditReport, AuditSnapshot, Divergence, DivergingCell, DivergingItem, LISTED_MAX, NAMED_BY_CELL_MAX,
    NAMED_MAX, Named, Records,
};
use crate::view::{Stock, Taken, View, books_off, equal, item_agrees, negative};

/// Diverging cells that are kept to be explained, 240 bytes each; more are counted.
const EXPLAINED_MAX: usize = 200_000;

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

#[derive(Debug)]
pub struct Comparison {
    places: Arc<Places>,
    view: View,
    freshness: Freshness,
    records: Records,
    items_diverging: u64,
    in_transit_truth: i64,
}

impl Comparison {
    pub fn new(ledger: &Ledger) -> Self {
        let places = Places::new(ledger);
        Self {
            view: View::new(&places),
            places: Arc::new(places),
            freshness: Freshness::default(),
            records: Records::default(),
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
            Key::Bookkeeping => return,
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
        let Some((place, cell)) = place.and_then(|place| Some((place, self.places.cell(place, sku)?))) else {
            self.records.misplaced += 1;
            return;
        };
        match self
            .view
            .take(place, cell, self.places.item_of(cell), &record.cell)
        {
            Taken::Newer => {}
            Taken::RolledBack => self.records.rolled_back += 1,
            Taken::Stale => {
                self.records.stale += 1;
                return;
            }
        }
        if record.new_lines > 0 && record.due_ms_min > 0 {
            self.freshness
                .record(now_ms.saturating_sub(record.due_ms_min), record.new_lines);
        }
    }

    /// A record of `item.inventory`.
    pub fn take_item(&mut self, partition: u32, key: &[u8], value: Option<&[u8]>) {
        self.records.read += 1;
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
        for place in (slice..self.places.len()).step_by(slices) {
            self.view.look(&self.places, place, &ledger.place(place));
        }
        if slice + 1 == slices {
            self.view.end_round();
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
        self.freshness.advance(elapsed);
    }

    pub fn reset_freshness(&mut self) {
        self.freshness.reset();
    }

    pub fn next_period(&mut self) {
        self.freshness.next_period();
    }

    pub fn freshness_histogram(&mut self) -> FreshnessHistogram {
        self.freshness.whole().clone()
    }

    /// As of the last looks.
    pub fn snapshot(&mut self) -> AuditSnapshot {
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
            records: self.records,
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
    pub fn behind(&self, ledger: &Ledger, mark: &mut Mark) -> u64 {
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

    /// What the view has of a cell.
    pub fn cell(&self, location: LocationId, sku: Sku) -> Option<&ViewCell> {
        let cell = self.places.cell(self.places.place(location)?, sku)?;
        self.view.seen(cell).then(|| self.view.cell(cell))
    }

    /// On hand over all places by the article's record.
    pub fn item_on_hand(&self, sku: Sku) -> Option<i64> {
        Some(self.view.item(self.places.item(sku)?)?.on_hand)
    }

    /// Compares everything, once.
    pub fn compare(&mut self, ledger: &Ledger) -> Findings {
        let mut findings = Findings {
            places: Arc::clone(&self.places),
            report: AuditReport {
                records: self.records,
                items_compared: self.places.items() as u64,
                freshness_ms: self.freshness.whole().quantiles(),
                freshness_histogram: self.freshness_histogram(),
                ..AuditReport::default()
            },
            differing: Vec::new(),
            unexamined: Blame::default(),
        };
        let mut stock = vec![Stock::default(); self.places.items()];
        for place in 0..self.places.len() {
            let truth = ledger.place(place);
            for (truth, cell) in truth.cells.iter().zip(self.places.cells_of(place)) {
                stock[self.places.item_of(cell)].add(Stock::of_truth(truth));
                findings.take(place, cell, truth, &self.view);
            }
        }
        let mut report = findings.report;
        for (item, truth) in stock.iter().enumerate() {
            report.in_transit_truth = report.in_transit_truth.wrapping_add(truth.in_transit);
            let view = self.view.item(item);
            if item_agrees(*truth, view) {
                continue;
            }
            report.items_diverging += 1;
            if report.diverging_items.len() < LISTED_MAX {
                report.diverging_items.push(DivergingItem {
                    sku: self.places.item_sku(item),
                    on_hand_truth: truth.on_hand(),
                    on_hand_view: view.map(|view| view.on_hand),
                    in_transit_truth: truth.in_transit,
                    in_transit_view: view.map(|view| view.in_transit),
                });
            }
        }
        findings.report = report;
        findings
    }
}

/// What was compared, before anybody is blamed.
#[derive(Debug)]
pub struct Findings {
    places: Arc<Places>,
    report: AuditReport,
    differing: Vec<Differing>,
    /// The least that diverging cells beyond [`EXPLAINED_MAX`] tell.
    unexamined: Blame,
}

impl Findings {
    fn take(&mut self, place: usize, cell: usize, truth: &TrueCell, views: &View) {
        let view = views.cell(cell);
        let report = &mut self.report;
        report.cells_compared += u64::from(truth.lines > 0);
        report.cells_negative += u64::from(negative(view));
        let off = books_off(view);
        report.cells_unbalanced += u64::from(off != 0);
        report.books_difference = report.books_difference.saturating_add_unsigned(off);
        report.in_transit_view = report
            .in_transit_view
            .wrapping_add(Stock::of_view(view).in_transit);
        let Some(kind) = divergence(truth, view, views.seen(cell), views.rolled_back(cell)) else {
            return;
        };
        report.cells_diverging += 1;
        let differing = Differing {
            place,
            cell,
            truth: *truth,
            view: *view,
            kind,
        };
        if self.differing.len() < EXPLAINED_MAX {
            self.differing.push(differing);
        } else {
            report.cells_by_kind.add(kind);
            if kind != Divergence::Altered {
                self.unexamined.unexplained += 1;
                self.unexamined.count_lines(differing.count());
            }
        }
    }

    /// Blames. `replay` plays the same world again from its beginning and hands over each transaction with all its
    /// lines, those of one place in their order; it is called only where lines must be told apart, and may go on
    /// beyond what has happened. `drained`: everything that was to be read had been.
    pub fn explain(
        self,
        drained: bool,
        replay: impl FnOnce(&mut dyn FnMut(&TransactionId, &[Line])),
    ) -> AuditReport {
        let Self {
            places,
            mut report,
            differing,
            unexamined,
        } = self;
        report.drained = drained;
        let mut explainer = Explainer::new(&places, &differing);
        if explainer.needs_lines() {
            replay(&mut |id, lines| explainer.transaction(id, lines));
        }
        let (blame, explained) = explainer.explain();
        for differing in &differing {
            let explained = explained.get(&differing.cell);
            let kind = match explained {
                Some(found) if !found.misrouted.is_empty() => Divergence::Misrouted,
                Some(found) if !found.lost.is_empty() && !found.doubled.is_empty() => Divergence::Mixed,
                _ => differing.kind,
            };
            report.cells_by_kind.add(kind);
            report.lines_altered += u64::from(kind == Divergence::Altered);
            if report.diverging.len() < LISTED_MAX {
                let transactions = explained
                    .into_iter()
                    .flat_map(|found| [&found.lost, &found.doubled, &found.misrouted])
                    .flatten()
                    .copied()
                    .take(NAMED_BY_CELL_MAX)
                    .collect();
                report
                    .diverging
                    .push(diverging_cell(&places, differing, kind, transactions));
            }
        }
        let named = |found: &std::collections::BTreeSet<TransactionId>, unnamed: u64| Named {
            count: found.len() as u64 + unnamed,
            first: found.iter().take(NAMED_MAX).copied().collect(),
        };
        report.transactions_lost = named(&blame.lost, blame.unnamed_lost);
        report.transactions_doubled = named(&blame.doubled, blame.unnamed_doubled);
        report.transactions_misrouted = named(&blame.misrouted, 0);
        report.transactions_torn = named(&blame.torn, 0);
        report.lines_lost = blame.lines_lost + unexamined.lines_lost;
        report.lines_doubled = blame.lines_doubled + unexamined.lines_doubled;
        report.unexplained_cells = blame.unexplained + unexamined.unexplained;
        report.replay_differs = blame.replay_differs;
        report
    }
}

/// `None`: equal.
fn divergence(truth: &TrueCell, view: &ViewCell, seen: bool, rolled_back: bool) -> Option<Divergence> {
    if equal(truth, view) {
        return None;
    }
    let lines = u64::from(view.lines);
    Some(if truth.lines == lines && truth.hash == view.hash {
        Divergence::Altered
    } else if truth.lines == 0 {
        Divergence::Unexpected
    } else if !seen || lines == 0 {
        Divergence::Missing
    } else if truth.lines == lines {
        Divergence::Mixed
    } else if truth.lines < lines {
        Divergence::Doubled
    } else if rolled_back {
        Divergence::Stale
    } else {
        Divergence::Lost
    })
}

fn diverging_cell(
    places: &Places,
    differing: &Differing,
    kind: Divergence,
    transactions: Vec<TransactionId>,
) -> DivergingCell {
    let Differing { truth, view, .. } = differing;
    let (on_hand, on_hand_view) = (truth.on_hand(), view.floor.wrapping_add(view.back_room));
    let totals = [
        ("floor", truth.floor, view.floor),
        ("back_room", truth.back_room, view.back_room),
        ("counted", truth.counted, view.counted),
        ("supplied", truth.supplied, view.supplied),
        ("received", truth.received, view.received),
        ("shipped", truth.shipped, view.shipped),
        ("sold", truth.sold, view.sold),
        ("returned", truth.returned, view.returned),
        ("adjusted", truth.adjusted, view.adjusted),
        ("stocked", truth.stocked, view.stocked),
        ("stored", truth.stored, view.stored),
    ];
    DivergingCell {
        location: places.location(differing.place),
        sku: places.sku(differing.cell),
        kind,
        truth: on_hand,
        view: on_hand_view,
        difference: on_hand_view.wrapping_sub(on_hand),
        differs_in: totals
            .iter()
            .filter(|(_, truth, view)| truth != view)
            .map(|(name, _, _)| *name)
            .collect(),
        lines_truth: truth.lines,
        lines_view: view.lines.into(),
        transactions,
    }
}

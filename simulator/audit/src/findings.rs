//! From a comparison to the verdict: what differs is sorted by kind, then blamed on transactions.
//!
//! Invariant: it holds what it needs, so nobody waits for it while a world is played again. It reads no records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use contracts::ids::{LocationId, Sku, TimeMs, TransactionId};
use ledger::{Line, TrueCell};

use crate::decode::ViewCell;
use crate::explain::{Blame, Differing, Explainer};
use crate::places::Places;
use crate::report::{AuditReport, Divergence, DivergingCell, LISTED_MAX, NAMED_BY_CELL_MAX, Named};
use crate::truth::Watch;
use crate::view::{Stock, View, books_off, equal, negative};

/// Takes a transaction that happened: when, by its source's clock, and all its lines.
pub type Take<'a> = dyn FnMut(&TransactionId, TimeMs, &[Line]) + 'a;

/// Diverging cells that are kept to be explained, 240 bytes each; more are counted.
const EXPLAINED_MAX: usize = 200_000;

/// What was compared, before anybody is blamed.
#[derive(Debug)]
pub struct Findings {
    places: Arc<Places>,
    pub(crate) report: AuditReport,
    differing: Vec<Differing>,
    misplaced: BTreeMap<(LocationId, Sku), ViewCell>,
    /// The least that diverging cells beyond [`EXPLAINED_MAX`] tell.
    unexamined: Blame,
    /// The place of the first of them.
    examined: usize,
    /// Until when sources that lack something are said to be complete.
    pub(crate) watch: Watch,
}

impl Findings {
    /// To be filled; the report begins with what was read.
    pub(crate) fn new(
        places: Arc<Places>,
        report: AuditReport,
        misplaced: BTreeMap<(LocationId, Sku), ViewCell>,
    ) -> Self {
        Self {
            misplaced,
            places,
            report,
            differing: Vec::new(),
            unexamined: Blame::default(),
            examined: usize::MAX,
            watch: Watch::default(),
        }
    }

    /// One cell, whether it differs or not.
    pub(crate) fn take(&mut self, place: usize, cell: usize, truth: &TrueCell, views: &View) {
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
        let older_last = views.older_last(cell);
        let (view, kind) = match older_last {
            Some(last) if !equal(truth, last) => (last, Divergence::Stale),
            _ => match divergence(truth, view, views.seen(cell), views.rolled_back(cell)) {
                Some(kind) => (view, kind),
                None => return,
            },
        };
        report.cells_diverging += 1;
        let differing = Differing {
            place,
            cell,
            truth: *truth,
            view: *view,
            kind,
            is_older_last: older_last.is_some(),
        };
        if self.differing.len() < EXPLAINED_MAX {
            self.differing.push(differing);
        } else {
            self.examined = self.examined.min(place);
            report.cells_by_kind.add(kind);
            if kind != Divergence::Altered {
                self.unexamined.unexplained += 1;
                self.unexamined.count_lines(differing.count());
            }
        }
    }

    /// Blames. `replay` plays the same world again from its beginning and hands over each transaction with all its
    /// lines, those of one place in their order; it is called only where lines or instants must be told apart, and may go on
    /// beyond what has happened. `drained`: everything that was to be read had been.
    pub fn explain(self, drained: bool, replay: impl FnOnce(&mut Take<'_>)) -> AuditReport {
        let Self {
            places,
            mut report,
            differing,
            misplaced,
            unexamined,
            examined,
            mut watch,
        } = self;
        report.drained = drained;
        let mut explainer = Explainer::new(&places, &differing, &misplaced, examined);
        let needs_lines = explainer.needs_lines();
        if needs_lines || !watch.is_idle() {
            replay(&mut |id, at, lines| {
                watch.transaction(id, at);
                if needs_lines {
                    explainer.transaction(id, at, lines);
                }
            });
        }
        let late = watch.found();
        report.completeness_too_late = late.len() as u64;
        report.late_claims = late.into_iter().take(LISTED_MAX).collect();
        let (blame, explained) = explainer.explain();
        for differing in &differing {
            let explained = explained.get(&differing.cell);
            let kind = match explained {
                Some(found) if !found.misrouted.is_empty() => Divergence::Misrouted,
                Some(found) if !found.altered.is_empty() => Divergence::Altered,
                Some(found) if !found.lost.is_empty() && !found.doubled.is_empty() => Divergence::Mixed,
                _ => differing.kind,
            };
            report.cells_by_kind.add(kind);
            if report.diverging.len() < LISTED_MAX {
                let transactions = explained
                    .into_iter()
                    .flat_map(|found| [&found.lost, &found.doubled, &found.misrouted, &found.altered])
                    .flatten()
                    .copied()
                    .take(NAMED_BY_CELL_MAX)
                    .collect();
                report
                    .diverging
                    .push(diverging_cell(&places, differing, kind, transactions));
            }
        }
        let named = |all: BTreeSet<TransactionId>, unnamed: u64| Named {
            count: all.len() as u64 + unnamed,
            ids: all.into_iter().collect(),
        };
        report.transactions_lost = named(blame.lost, blame.unnamed_lost);
        report.transactions_doubled = named(blame.doubled, blame.unnamed_doubled);
        report.transactions_misrouted = named(blame.misrouted, 0);
        report.transactions_altered = named(blame.altered, 0);
        report.transactions_stale = named(blame.stale, 0);
        report.transactions_torn = named(blame.torn, 0);
        report.view_less_truth = blame.view_less_truth;
        // Cells whose lines are right though their totals are not: one at least.
        let without_lines = differing
            .iter()
            .filter(|differing| differing.kind == Divergence::Altered)
            .count();
        report.lines_altered = blame.lines_altered + without_lines as u64;
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

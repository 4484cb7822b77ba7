//! What may not be seen even for a moment, and was: counted, with the first of each kind.
//!
//! Invariant: what is on its way is never counted. The truth is told before a byte leaves its source, and it is read
//! after the view: a view that has more than the truth, or as much with other content, is wrong whatever comes yet.

use contracts::ids::{LocationId, Sku};
use ledger::TrueCell;
use serde::Serialize;

use crate::decode::ViewCell;
use crate::report::FalseClaim;
use crate::view::books_off;

/// How often, and the first in words: `S0042/100234: the view has 13 lines where 12 happened`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    pub count: u64,
    pub first: Option<String>,
}

impl Seen {
    pub(crate) fn note(&mut self, first: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some(first());
        }
    }
}

/// Since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Live {
    /// Cells that had lines which had not happened.
    pub ahead: Seen,
    /// Cells with as many lines as happened, and other content.
    pub content: Seen,
    /// Cells whose totals did not give their stock.
    pub books: Seen,
    /// Places that claimed to have everything while cells of theirs lacked lines.
    pub gap_unreported: Seen,
    /// Sources that were said to be further than they had written.
    pub false_claim: Seen,
    /// Records that went back in what they apply within the newest epoch of their key: its owner wrote an older state
    /// behind a newer one.
    pub reordered: Seen,
    /// Newer records that hold less than the one before: whoever reads in order sees an older state after a newer one.
    pub rolled_back: Seen,
    /// Records of a former owner behind those of its successor. Whoever compares epoch and offset passes them over.
    pub of_former_owners: Seen,
}

impl Live {
    /// A cell that no delay explains.
    pub(crate) fn wrong(&mut self, location: LocationId, sku: Sku, truth: &TrueCell, view: &ViewCell) {
        let off = books_off(view);
        if off != 0 {
            self.books
                .note(|| format!("{location}/{sku}: stock and totals differ by {off} thousandths"));
        }
        let lines = u64::from(view.lines);
        if lines > truth.lines {
            self.ahead.note(|| {
                format!(
                    "{location}/{sku}: the view has {lines} lines where {} happened",
                    truth.lines
                )
            });
        } else if lines == truth.lines {
            self.content.note(|| {
                format!("{location}/{sku}: the view has all {lines} lines, and other content than happened")
            });
        }
    }

    /// A record that goes back behind the one before it.
    pub(crate) fn went_back(&mut self, location: LocationId, sku: Sku, before: &ViewCell, record: &ViewCell) {
        let seen = if record.epoch == before.epoch {
            &mut self.reordered
        } else {
            &mut self.of_former_owners
        };
        seen.note(|| {
            format!(
                "{location}/{sku}: epoch {} offset {} behind epoch {} offset {}",
                record.epoch, record.applied_offset, before.epoch, before.applied_offset
            )
        });
    }

    pub(crate) fn rolled_back(&mut self, location: LocationId, sku: Sku, lines: u32, record: &ViewCell) {
        self.rolled_back.note(|| {
            format!(
                "{location}/{sku}: {} lines after {lines}, at epoch {} offset {}",
                record.lines, record.epoch, record.applied_offset
            )
        });
    }

    /// A place whose cells lack what it claims to have.
    pub(crate) fn gap_unreported(&mut self, location: LocationId, behind: u32) {
        self.gap_unreported.note(|| {
            format!("{location}: said to have everything that was written, and {behind} cells lack lines")
        });
    }

    /// All that are claimed too far now; the count is the most at once.
    pub(crate) fn false_claims(&mut self, claims: &[FalseClaim]) {
        let Some(claim) = claims.first() else { return };
        let seen = &mut self.false_claim;
        seen.count = seen.count.max(claims.len() as u64);
        if seen.first.is_none() {
            let FalseClaim {
                source,
                claimed,
                happened,
            } = claim;
            seen.first = Some(match happened {
                Some(last) => format!("{source}: said to be in up to {claimed}, wrote {last}"),
                None => format!("{source}: said to be in up to {claimed}, never wrote"),
            });
        }
    }

    /// What must never be: each makes a run fail.
    pub const fn violations(&self) -> [(&'static str, &Seen); 5] {
        [
            ("a cell ahead of the truth", &self.ahead),
            ("a cell with other content than happened", &self.content),
            ("books that do not balance", &self.books),
            ("a gap that the view does not report", &self.gap_unreported),
            ("a source said to be further than it is", &self.false_claim),
        ]
    }
}

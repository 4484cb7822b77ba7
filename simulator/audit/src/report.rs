//! What the audit tells: the state now, and the verdict in the end.
//!
//! Quantities are thousandths of the base unit of measure. It decides nothing but whether a report is clean.

use std::sync::Arc;

use contracts::digest::Minutes;
use contracts::ids::{LocationId, Sku, SourceId, TransactionId};
use serde::{Serialize, Serializer};

use crate::completeness::{CompletenessTotals, PlaceCompleteness};
use crate::freshness::{FreshnessHistogram, Quantiles};
use crate::live::Live;

/// Cells and articles that a report lists.
pub const LISTED_MAX: usize = 100;
/// Transactions that a report names, of each class.
pub const NAMED_MAX: usize = 1_000;
/// Transactions that a diverging cell names.
pub const NAMED_BY_CELL_MAX: usize = 8;

/// A place, as of the last look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PlaceState {
    #[serde(serialize_with = "text")]
    pub location: LocationId,
    /// SKUs that it can hold.
    pub cells: u32,
    /// Cells that the view has a record of.
    pub seen: u32,
    /// Cells in which something happened.
    pub compared: u32,
    /// Cells that differ now, those included whose news is on its way.
    pub diverging: u32,
    /// Of these, cells that lack what had happened at the look before, about a second earlier.
    pub behind: u32,
    /// Of these, cells that no delay explains: ahead of the truth, as many lines but other content, or books off.
    pub wrong: u32,
    /// Cells with less than nothing on the floor or in the back room.
    pub negative: u32,
}

impl PlaceState {
    pub(crate) const fn new(location: LocationId, cells: u32) -> Self {
        Self {
            location,
            cells,
            seen: 0,
            compared: 0,
            diverging: 0,
            behind: 0,
            wrong: 0,
            negative: 0,
        }
    }
}

/// What was read from the two topics since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Records {
    pub read: u64,
    pub cells: u64,
    pub items: u64,
    /// Values or article keys that are no records of ours, and tombstones of cells: each makes the audit red.
    pub undecodable: u64,
    /// Cells or articles that the world does not know, or in a partition that is not theirs: makes the audit red.
    pub misplaced: u64,
    /// Keys of no known form. They are passed over.
    pub unknown_keys: u64,
    /// Older by (epoch, applied offset) than the record before; not taken.
    pub stale: u64,
    /// Newer, but with fewer lines than the record before.
    pub rolled_back: u64,
}

/// What the audit knows now. Counts of cells are sums over `places`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AuditSnapshot {
    pub cells_compared: u64,
    pub cells_diverging: u64,
    pub cells_behind: u64,
    pub cells_wrong: u64,
    pub cells_negative: u64,
    /// Cells whose totals do not give their stock, and by how much in all.
    pub cells_unbalanced: u64,
    pub books_difference: i64,
    pub items_compared: u64,
    pub items_diverging: u64,
    /// Shipped less received over all places: by the view's cells, in truth.
    pub in_transit_view: i64,
    pub in_transit_truth: i64,
    /// On hand over all places, by the view's cells.
    pub on_hand_view: i64,
    pub records: Records,
    /// What was seen that may never be, since the start.
    pub live: Live,
    /// By the view's own word.
    pub completeness: CompletenessTotals,
    /// In the order of the ledger.
    pub places: Arc<[PlaceState]>,
    /// Of the last five seconds, since the last period began, since the last reset.
    pub freshness: Quantiles,
    pub freshness_period: Quantiles,
    pub freshness_total: Quantiles,
    /// The client's last error, such as a broker that cannot be reached.
    pub trouble: Option<String>,
}

/// What is wrong with a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Divergence {
    /// The view lacks lines.
    Lost,
    /// The view has lines more than once.
    Doubled,
    /// The right lines, with other quantities.
    Altered,
    /// The view lacks lines that it once had: an older state was written back, or stands last in the log.
    Stale,
    /// The view has nothing of a cell in which something happened.
    Missing,
    /// The view has a cell in which nothing happened.
    Unexpected,
    /// The view has a line of another cell.
    Misrouted,
    /// Some lines lost and others doubled.
    Mixed,
}

impl Divergence {
    pub const ALL: [Self; 8] = [
        Self::Lost,
        Self::Doubled,
        Self::Altered,
        Self::Stale,
        Self::Missing,
        Self::Unexpected,
        Self::Misrouted,
        Self::Mixed,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::Altered => "altered",
            Self::Stale => "stale",
            Self::Missing => "missing",
            Self::Unexpected => "unexpected",
            Self::Misrouted => "misrouted",
            Self::Mixed => "mixed",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DivergingCell {
    #[serde(serialize_with = "text")]
    pub location: LocationId,
    pub sku: Sku,
    pub kind: Divergence,
    /// On hand.
    pub truth: i64,
    pub view: i64,
    /// View less truth. It can be 0: `differs_in` says what is wrong then.
    pub difference: i64,
    pub differs_in: Vec<&'static str>,
    pub lines_truth: u64,
    pub lines_view: u64,
    /// The transactions that explain it, at most [`NAMED_BY_CELL_MAX`]; none if it is unexplained.
    #[serde(serialize_with = "texts")]
    pub transactions: Vec<TransactionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DivergingItem {
    pub sku: Sku,
    pub kind: ItemDivergence,
    pub on_hand_truth: i64,
    /// `None`: the view has no record of it.
    pub on_hand_view: Option<i64>,
    pub in_transit_truth: i64,
    pub in_transit_view: Option<i64>,
}

/// What is wrong with an article's total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemDivergence {
    /// The view has no record of it.
    Missing,
    /// An older total was written over a newer one.
    Stale,
    /// Everything is in it twice.
    Doubled,
    /// It is the total of another article.
    Misrouted,
    /// Another number.
    Altered,
    /// The numbers are right, but it claims to hold more of the log than there is.
    Ahead,
}

impl ItemDivergence {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Stale => "stale",
            Self::Doubled => "doubled",
            Self::Misrouted => "misrouted",
            Self::Altered => "altered",
            Self::Ahead => "ahead",
        }
    }
}

/// A source that the view says to be further than it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FalseClaim {
    #[serde(serialize_with = "source_text")]
    pub source: SourceId,
    /// Number up to which it is said to be complete.
    pub claimed: u64,
    /// The last that it wrote; `None`: there is no such source.
    pub happened: Option<u64>,
}

/// Numbers that their source lost, and that the view does not say to be missing. Unwrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UnreportedGap {
    #[serde(serialize_with = "source_text")]
    pub source: SourceId,
    pub first: u64,
    pub numbers: u64,
}

/// A source of whose last numbers the view does not know, though its last mark told of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownSource {
    #[serde(serialize_with = "source_text")]
    pub source: SourceId,
    /// The last number that it wrote, unwrapped.
    pub wrote: u64,
    /// The last that the view knows of; `None`: it does not know the source.
    pub known: Option<u64>,
}

/// A source that is said to be complete until an instant before which something happened that is not in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LateClaim {
    #[serde(serialize_with = "source_text")]
    pub source: SourceId,
    pub complete_until_ms: i64,
    /// The first number that is not in.
    pub lacks: u64,
    /// When it happened at the latest, by the source's clock.
    pub happened_ms: i64,
}

/// Transactions of one class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Exact where every cell is explained, else the least that it can be.
    pub count: u64,
    /// All that could be named, ascending. Of these the first [`NAMED_MAX`] are written.
    #[serde(rename = "first", serialize_with = "first_as_text")]
    pub ids: Vec<TransactionId>,
}

/// Diverging cells by what is wrong with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kinds {
    pub lost: u64,
    pub doubled: u64,
    pub altered: u64,
    pub stale: u64,
    pub missing: u64,
    pub unexpected: u64,
    pub misrouted: u64,
    pub mixed: u64,
}

impl Kinds {
    pub(crate) const fn add(&mut self, kind: Divergence) {
        let count = match kind {
            Divergence::Lost => &mut self.lost,
            Divergence::Doubled => &mut self.doubled,
            Divergence::Altered => &mut self.altered,
            Divergence::Stale => &mut self.stale,
            Divergence::Missing => &mut self.missing,
            Divergence::Unexpected => &mut self.unexpected,
            Divergence::Misrouted => &mut self.misrouted,
            Divergence::Mixed => &mut self.mixed,
        };
        *count += 1;
    }
}

/// The verdict.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AuditReport {
    /// Everything that the logs held when the audit last drained has been read.
    pub drained: bool,
    /// Cells in which something happened.
    pub cells_compared: u64,
    pub cells_diverging: u64,
    pub cells_by_kind: Kinds,
    pub cells_negative: u64,
    pub items_compared: u64,
    pub items_diverging: u64,
    pub transactions_lost: Named,
    pub transactions_doubled: Named,
    /// Those whose lines are in the view, but in cells that are not theirs.
    pub transactions_misrouted: Named,
    /// Those of which a line has another quantity.
    pub transactions_altered: Named,
    /// Those that the last record of a cell lacks, though a newer one before it had them.
    pub transactions_stale: Named,
    /// Of the lost and doubled, those that were only in part.
    pub transactions_torn: Named,
    /// What these make of the truth, by the minute in which the transactions happened: what the view has more or, as
    /// negative numbers, less.
    #[serde(skip)]
    pub view_less_truth: Minutes,
    /// Exact where every cell is explained, else the least that it can be.
    pub lines_lost: u64,
    pub lines_doubled: u64,
    pub lines_altered: u64,
    /// Diverging cells for which no transactions could be named.
    pub unexplained_cells: u64,
    /// Diverging cells for which the world that was played again differed from the one that happened.
    pub replay_differs: u64,
    /// Cells whose totals do not give their stock, and by how much in all.
    pub cells_unbalanced: u64,
    pub books_difference: i64,
    pub in_transit_view: i64,
    pub in_transit_truth: i64,
    pub records: Records,
    /// What was seen that may never be, since the start.
    pub live: Live,
    /// The first [`LISTED_MAX`], in the order of the ledger.
    pub diverging: Vec<DivergingCell>,
    pub diverging_items: Vec<DivergingItem>,
    /// Sources that are said to be complete beyond what they wrote.
    pub completeness_false: u64,
    /// The first [`LISTED_MAX`].
    pub false_claims: Vec<FalseClaim>,
    /// Sources with numbers that they lost and that the view does not say to be missing.
    pub gaps_unreported: u64,
    /// The first [`LISTED_MAX`].
    pub unreported_gaps: Vec<UnreportedGap>,
    /// Sources that wrote further than the view knows of. Nothing is wrong with it before each source has told how far it is:
    /// [`AuditReport::is_clean`] does not ask.
    pub sources_unknown: u64,
    /// The first [`LISTED_MAX`].
    pub unknown_sources: Vec<UnknownSource>,
    /// Sources that are said to be complete until an instant that is too late.
    pub completeness_too_late: u64,
    /// The first [`LISTED_MAX`].
    pub late_claims: Vec<LateClaim>,
    /// Numbers that the view says to be missing and that no source lost: transactions that are lost, with lines or without.
    pub numbers_missing_unexplained: u64,
    /// The first [`LISTED_MAX`] places of which an older record is the last one in the log.
    #[serde(serialize_with = "location_texts")]
    pub stale_places: Vec<LocationId>,
    /// By the view's own word.
    pub completeness: CompletenessTotals,
    /// The first [`LISTED_MAX`] that are not complete, by the view's own word.
    pub places_incomplete: Vec<PlaceCompleteness>,
    pub freshness_ms: Quantiles,
    pub freshness_histogram: FreshnessHistogram,
}

impl AuditReport {
    pub const fn in_transit_difference(&self) -> i64 {
        self.in_transit_view.wrapping_sub(self.in_transit_truth)
    }

    /// Everything was read, something was compared, and nothing is wrong. Rolled back records and unknown keys alone do
    /// no harm, nor do stale ones that a newer one follows: where they do, cells differ.
    pub const fn is_clean(&self) -> bool {
        self.drained
            && self.cells_compared > 0
            && self.cells_diverging == 0
            && self.items_diverging == 0
            && self.completeness_false == 0
            && self.gaps_unreported == 0
            && self.completeness_too_late == 0
            && self.numbers_missing_unexplained == 0
            && self.completeness.stale == 0
            && self.cells_unbalanced == 0
            && self.in_transit_difference() == 0
            && self.records.undecodable == 0
            && self.records.misplaced == 0
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn text<S: Serializer>(value: &LocationId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn source_text<S: Serializer>(value: &SourceId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn location_texts<S: Serializer>(values: &[LocationId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}

fn texts<S: Serializer>(values: &[TransactionId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}

fn first_as_text<S: Serializer>(ids: &[TransactionId], serializer: S) -> Result<S::Ok, S::Error> {
    texts(&ids[..ids.len().min(NAMED_MAX)], serializer)
}

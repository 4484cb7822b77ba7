//! From cells that differ to the transactions that are to blame.
//!
//! The same world is played again; the lines that happened to the diverging cells are kept, and each cell is searched
//! for those that make up its difference (see `solve`). A transaction that is found at one cell is tried at the others
//! that it touches, which makes them smaller puzzles; so it goes on until nothing new is found. Invariant: a transaction
//! is named only by a cell whose difference adds up exactly. What remains is counted as unexplained, with the least
//! number of lines and transactions that it can be. It compares nothing: it is given the cells that differ.

mod foreign;

use std::collections::{BTreeMap, BTreeSet};

use contracts::digest::{Digest, Minutes};
use contracts::ids::{LocationId, Sku, TimeMs, TransactionId};
use hashbrown::HashMap;
use ledger::{Line, TrueCell, line_hash};

use crate::decode::ViewCell;
use crate::places::Places;
use crate::report::Divergence;
use crate::solve::{Budget, Effort, Solution};
use crate::suspect::{Detail, Suspect, Transaction};

/// Lines kept of the world that is played again, 28 bytes each. Small cells go first; larger ones stay unexplained.
const LINES_MAX: u64 = 5_000_000;
/// Times that lines of other cells are looked for: each tells more of what is lost where.
const FOREIGN_ROUNDS_MAX: usize = 16;
/// Look-ups of one explanation: some ten seconds.
const LOOK_UPS_MAX: u64 = 400_000_000;

/// A cell that differs.
#[derive(Clone, Copy, Debug)]
pub struct Differing {
    pub place: usize,
    pub cell: usize,
    pub truth: TrueCell,
    /// The last record in the log.
    pub view: ViewCell,
    pub kind: Divergence,
    /// A newer record came before it.
    pub is_older_last: bool,
}

impl Differing {
    /// Lines that the view has more than the truth.
    pub fn count(&self) -> i64 {
        i64::from(self.view.lines).wrapping_sub(self.truth.lines as i64)
    }

    /// What the view has more of each total.
    pub const fn totals(&self) -> [i64; 9] {
        let (truth, view) = (&self.truth, &self.view);
        [
            view.counted.wrapping_sub(truth.counted),
            view.supplied.wrapping_sub(truth.supplied),
            view.received.wrapping_sub(truth.received),
            view.shipped.wrapping_sub(truth.shipped),
            view.sold.wrapping_sub(truth.sold),
            view.returned.wrapping_sub(truth.returned),
            view.adjusted.wrapping_sub(truth.adjusted),
            view.stocked.wrapping_sub(truth.stocked),
            view.stored.wrapping_sub(truth.stored),
        ]
    }

    pub const fn sum(&self) -> u64 {
        self.view.hash.wrapping_sub(self.truth.hash)
    }
}

/// What makes up the difference of one cell.
#[derive(Clone, Debug, Default)]
pub struct Explained {
    pub lost: Vec<TransactionId>,
    pub doubled: Vec<TransactionId>,
    pub misrouted: Vec<TransactionId>,
    pub altered: Vec<TransactionId>,
}

/// What is to blame for all of them.
#[derive(Clone, Debug, Default)]
pub struct Blame {
    pub lost: BTreeSet<TransactionId>,
    pub doubled: BTreeSet<TransactionId>,
    pub misrouted: BTreeSet<TransactionId>,
    pub altered: BTreeSet<TransactionId>,
    /// What the last records of cells lack though newer ones had it.
    pub stale: BTreeSet<TransactionId>,
    pub torn: BTreeSet<TransactionId>,
    /// What is known to be lost or doubled beyond the named, at least.
    pub unnamed_lost: u64,
    pub unnamed_doubled: u64,
    pub lines_lost: u64,
    pub lines_doubled: u64,
    pub lines_altered: u64,
    pub unexplained: u64,
    pub replay_differs: u64,
    pub view_less_truth: Minutes,
}

impl Blame {
    /// The least that a cell with so many lines more than it should have tells.
    pub const fn count_lines(&mut self, count: i64) {
        if count < 0 {
            self.lines_lost += count.unsigned_abs();
        } else {
            self.lines_doubled += count.unsigned_abs();
        }
    }
}

/// Collects lines while the world is played again, then explains.
#[derive(Debug)]
pub struct Explainer<'a> {
    places: &'a Places,
    suspects: Vec<Suspect>,
    by_cell: HashMap<usize, usize>,
    suspected: Vec<bool>,
    /// All diverging cells of the places before it are known.
    examined: usize,
    transactions: Vec<Transaction>,
    misplaced: &'a BTreeMap<(LocationId, Sku), ViewCell>,
    /// Transactions whose lines are in cells outside the world.
    outside: BTreeSet<u32>,
    /// Transactions that are in the view as another place's.
    renamed: BTreeMap<u32, LocationId>,
}

impl<'a> Explainer<'a> {
    /// Of the cells given, all but those whose lines are right though their totals are not. `examined`: the place from
    /// which on there may be diverging cells that are not given.
    pub fn new(
        places: &'a Places,
        differing: &[Differing],
        misplaced: &'a BTreeMap<(LocationId, Sku), ViewCell>,
        examined: usize,
    ) -> Self {
        let mut suspects: Vec<_> = differing
            .iter()
            .filter(|differing| differing.kind != Divergence::Altered)
            .map(|differing| Suspect::new(*differing))
            .collect();
        suspects.sort_by_key(|suspect| (suspect.differing.truth.lines, suspect.differing.cell));
        let mut by_cell = HashMap::new();
        let mut suspected = vec![false; places.len()];
        let mut room = LINES_MAX;
        for (index, suspect) in suspects.iter().enumerate() {
            let Some(left) = room.checked_sub(suspect.differing.truth.lines) else {
                break;
            };
            room = left;
            by_cell.insert(suspect.differing.cell, index);
            suspected[suspect.differing.place] = true;
        }
        Self {
            places,
            suspects,
            by_cell,
            suspected,
            examined,
            transactions: Vec::new(),
            misplaced,
            outside: BTreeSet::new(),
            renamed: BTreeMap::new(),
        }
    }

    pub fn needs_lines(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// A transaction that happened. Those of a cell come in the order in which the ledger had them; what comes after
    /// the last that the ledger had is passed over.
    pub fn transaction(&mut self, id: &TransactionId, at: TimeMs, lines: &[Line]) {
        let Some(place) = self
            .places
            .place(id.source.location)
            .filter(|place| self.suspected[*place])
        else {
            return;
        };
        let cells = self.places.cells_of(place);
        let mut entered = false;
        for (line, index) in lines.iter().zip(0..) {
            let Some(suspect) = self.by_cell.get(&(cells.start + usize::from(line.slot))) else {
                continue;
            };
            let suspect = &mut self.suspects[*suspect];
            if suspect.hashes.len() as u64 == suspect.differing.truth.lines {
                continue;
            }
            if !entered {
                entered = true;
                let quantities = lines.iter().map(|line| line.quantity);
                self.transactions.push(Transaction {
                    id: *id,
                    at,
                    lines: lines.len() as u32,
                    quantity: quantities.fold(0, i64::wrapping_add),
                    lost: false,
                    doubled: false,
                });
            }
            suspect.hashes.push(line_hash(id, index, line.quantity));
            suspect.details.push(Detail {
                quantity: line.quantity,
                index: index as u16,
                kind: line.kind,
            });
            suspect.transactions.push(self.transactions.len() as u32 - 1);
        }
    }

    /// Blame for all, and what explains each cell, by the cell.
    pub fn explain(mut self) -> (Blame, HashMap<usize, Explained>) {
        let mut replay_differs = 0;
        for suspect in &mut self.suspects {
            let truth = &suspect.differing.truth;
            let hash = suspect
                .hashes
                .iter()
                .fold(0_u64, |sum, hash| sum.wrapping_add(*hash));
            suspect.known = suspect.hashes.len() as u64 == truth.lines && hash == truth.hash;
            let kept = self.by_cell.contains_key(&suspect.differing.cell);
            replay_differs += u64::from(kept && !suspect.known);
        }
        for suspect in self.suspects.iter_mut().filter(|suspect| suspect.known) {
            suspect.altered = suspect.find_altered(&self.transactions);
            if suspect.altered.is_some() {
                suspect.solution = Some(Solution::default());
            }
        }
        let mut budget = Budget::new(LOOK_UPS_MAX);
        for _ in 0..FOREIGN_ROUNDS_MAX {
            self.solve_all(&mut budget);
            if !self.match_foreign() {
                break;
            }
        }
        self.look_outside();
        self.sum_up(replay_differs)
    }

    fn solve_all(&mut self, budget: &mut Budget) {
        let mut effort = 0;
        while effort < Effort::ALL.len() {
            // What one cell tells makes others easier: begin again with the least effort.
            effort = if self.round(Effort::ALL[effort], budget) {
                0
            } else {
                effort + 1
            };
        }
    }

    /// Tries every unsolved cell once. Whether any was solved.
    fn round(&mut self, effort: Effort, budget: &mut Budget) -> bool {
        let mut progress = false;
        for suspect in &mut self.suspects {
            if !suspect.known || suspect.solution.is_some() {
                continue;
            }
            let Some(solution) = suspect.attempt(&self.transactions, effort, budget) else {
                continue;
            };
            for (lines, is_lost) in [(&solution.lost, true), (&solution.doubled, false)] {
                for line in lines {
                    let transaction = &mut self.transactions[suspect.transactions[*line as usize] as usize];
                    transaction.lost |= is_lost;
                    transaction.doubled |= !is_lost;
                }
            }
            suspect.solution = Some(solution);
            progress = true;
        }
        progress
    }

    fn sum_up(self, replay_differs: u64) -> (Blame, HashMap<usize, Explained>) {
        let mut blame = Blame {
            replay_differs,
            ..Blame::default()
        };
        let mut by_cell = HashMap::new();
        let mut found = vec![Found::default(); self.transactions.len()];
        // The most that one unexplained cell of a place lacks or has too many.
        let mut unnamed: HashMap<usize, (u64, u64)> = HashMap::new();
        let mut foreign = self.outside.clone();
        for suspect in &self.suspects {
            let Some(solution) = &suspect.solution else {
                let (lost, doubled) = suspect.unnamed_lines(&self.transactions);
                let most = unnamed.entry(suspect.differing.place).or_default();
                most.0 = most.0.max(suspect.least_transactions(lost));
                most.1 = most.1.max(suspect.least_transactions(doubled));
                blame.unexplained += 1;
                blame.count_lines(suspect.differing.count());
                continue;
            };
            by_cell.insert(
                suspect.differing.cell,
                self.note(suspect, solution, &mut found, &mut foreign),
            );
        }
        for ((transaction, found), index) in self.transactions.iter().zip(found).zip(0..) {
            let misrouted = foreign.contains(&index);
            if misrouted {
                blame.misrouted.insert(transaction.id);
            } else if found.lost > 0 {
                blame.lost.insert(transaction.id);
            }
            if found.doubled > 0 {
                blame.doubled.insert(transaction.id);
            }
            if found.altered > 0 {
                blame.altered.insert(transaction.id);
            }
            if found.stale > 0 {
                blame.stale.insert(transaction.id);
            }
            let torn = |lines: u32| lines > 0 && !lines.is_multiple_of(transaction.lines);
            let certain = || {
                self.places
                    .place(transaction.id.source.location)
                    .is_some_and(|place| place < self.examined && !unnamed.contains_key(&place))
            };
            if !misrouted && (torn(found.lost) || torn(found.doubled)) && certain() {
                blame.torn.insert(transaction.id);
            }
            blame.lines_lost += u64::from(found.lost);
            blame.lines_doubled += u64::from(found.doubled);
            blame.lines_altered += u64::from(found.altered);
            let renamed = self.renamed.get(&index).copied();
            found.enter(transaction, renamed, &mut blame.view_less_truth);
        }
        for (lost, doubled) in unnamed.into_values() {
            blame.unnamed_lost += lost;
            blame.unnamed_doubled += doubled;
        }
        (blame, by_cell)
    }

    /// What explains one cell, counted at its transactions.
    fn note(
        &self,
        suspect: &Suspect,
        solution: &Solution,
        found: &mut [Found],
        foreign: &mut BTreeSet<u32>,
    ) -> Explained {
        let mut explained = Explained::default();
        for line in &solution.lost {
            let transaction = suspect.transactions[*line as usize] as usize;
            let of_it = &mut found[transaction];
            if suspect.differing.is_older_last {
                of_it.stale += 1;
            } else {
                of_it.lost += 1;
            }
            of_it.quantity -= suspect.details[*line as usize].quantity;
            explained.lost.push(self.transactions[transaction].id);
        }
        for line in &solution.doubled {
            let transaction = suspect.transactions[*line as usize] as usize;
            found[transaction].doubled += 1;
            found[transaction].quantity += suspect.details[*line as usize].quantity;
            explained.doubled.push(self.transactions[transaction].id);
        }
        for (line, more) in suspect.altered.iter().flatten() {
            let transaction = suspect.transactions[*line as usize] as usize;
            found[transaction].altered += 1;
            found[transaction].quantity += more;
            explained.altered.push(self.transactions[transaction].id);
        }
        for owner in &suspect.foreign {
            foreign.insert(*owner);
            explained.misrouted.push(self.transactions[*owner as usize].id);
        }
        explained
    }
}

/// Lines found wrong of one transaction.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    lost: u32,
    doubled: u32,
    altered: u32,
    /// Lacking in the last record of a cell alone.
    stale: u32,
    /// What the view has more of it.
    quantity: i64,
}

impl Found {
    /// Enters how the view's digest differs from the truth's by this transaction.
    /// `renamed`: it is in the view as this place's.
    fn enter(&self, transaction: &Transaction, renamed: Option<LocationId>, into: &mut Minutes) {
        let Self {
            lost,
            doubled,
            altered,
            stale,
            quantity,
        } = *self;
        if lost + doubled + altered + stale == 0 {
            return;
        }
        let (at, lines) = (transaction.at.0, u64::from(transaction.lines));
        let whole = Digest::of(&transaction.id, lines, transaction.quantity);
        into.subtract(at, &whole);
        if let Some(location) = renamed {
            let mut id = transaction.id;
            id.source.location = location;
            into.add(at, &Digest::of(&id, lines, transaction.quantity));
            return;
        }
        // As often as it is there whole, then what is there of it.
        let mut left = (lines + u64::from(doubled)).saturating_sub(u64::from(lost + stale));
        let mut quantity = transaction.quantity.wrapping_add(quantity);
        while altered == 0 && lines > 0 && left >= lines {
            into.add(at, &whole);
            left -= lines;
            quantity = quantity.wrapping_sub(transaction.quantity);
        }
        if left > 0 {
            into.add(at, &Digest::of(&transaction.id, left, quantity));
        }
    }
}

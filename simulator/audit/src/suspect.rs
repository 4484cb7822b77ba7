//! One diverging cell in search of the lines that make up its difference.
//!
//! Invariant: no search is made twice: what was tried is remembered until other cells have told something new. It knows
//! no other cells but by the transactions that they have found.

use contracts::ids::{TimeMs, TransactionId};
use contracts::records::MovementKind;
use hashbrown::HashMap;
use ledger::line_hash;

use crate::explain::Differing;
use crate::solve::{Budget, Effort, Lines, Solution, solve};

/// A transaction that touches a diverging cell.
#[derive(Clone, Copy, Debug)]
pub struct Transaction {
    pub id: TransactionId,
    pub at: TimeMs,
    pub lines: u32,
    /// Of all its lines.
    pub quantity: i64,
    /// Some cell was found to lack it, or to have it more than once.
    pub lost: bool,
    pub doubled: bool,
}

/// A line that happened to a cell, beside its hash.
#[derive(Clone, Copy, Debug)]
pub struct Detail {
    pub quantity: i64,
    /// In its transaction.
    pub index: u16,
    pub kind: MovementKind,
}

/// What is left of a cell's difference without the lines of transactions that other cells have found, and those lines.
#[derive(Clone, Debug, Default)]
pub struct Residue {
    pub count: i64,
    pub sum: u64,
    pub known: Solution,
}

/// A diverging cell and the lines that happened to it.
#[derive(Debug)]
pub struct Suspect {
    pub differing: Differing,
    pub hashes: Vec<u64>,
    /// Of each line.
    pub details: Vec<Detail>,
    /// Of each line: place in the list of transactions.
    pub transactions: Vec<u32>,
    /// The lines were kept, and are those that the ledger counted.
    pub known: bool,
    pub solution: Option<Solution>,
    /// Lines of other cells: places in the list of transactions.
    pub foreign: Vec<u32>,
    /// Lines that the cell has with another quantity, and by how much more.
    pub altered: Option<Vec<(u32, i64)>>,
    /// Residue that was searched in vain, and how hard.
    tried: Option<(i64, u64, Effort)>,
    /// How hard the whole difference was searched in vain.
    tried_whole: Option<Effort>,
}

impl Suspect {
    pub const fn new(differing: Differing) -> Self {
        Self {
            differing,
            hashes: Vec::new(),
            details: Vec::new(),
            transactions: Vec::new(),
            known: false,
            solution: None,
            foreign: Vec::new(),
            altered: None,
            tried: None,
            tried_whole: None,
        }
    }

    /// One or two lines whose other quantities make up the whole difference, of the totals as well as of the hashes.
    pub fn find_altered(&self, all: &[Transaction]) -> Option<Vec<(u32, i64)>> {
        if self.differing.count() != 0 {
            return None;
        }
        let sum = self.differing.sum();
        let totals = self.differing.totals();
        let differs: Vec<(usize, i64)> = totals
            .iter()
            .enumerate()
            .filter(|(_, more)| **more != 0)
            .map(|(total, more)| (total, *more))
            .collect();
        match differs[..] {
            [(total, more)] => {
                let one = self.changes(all, total, more);
                if let Some((line, _)) = one.iter().find(|(_, change)| *change == sum) {
                    return Some(vec![(*line, more)]);
                }
                let half = self.changes(all, total, more / 2);
                (more % 2 == 0)
                    .then(|| pair(&half, &half, sum))
                    .flatten()
                    .map(|(one, other)| vec![(one, more / 2), (other, more / 2)])
            }
            [(total, more), (other_total, other_more)] => {
                let one = self.changes(all, total, more);
                let other = self.changes(all, other_total, other_more);
                pair(&one, &other, sum).map(|(line, other)| vec![(line, more), (other, other_more)])
            }
            _ => None,
        }
    }

    /// Of each line that counts in a total: how its hash changes with so much more.
    fn changes(&self, all: &[Transaction], total: usize, more: i64) -> Vec<(u32, u64)> {
        self.details
            .iter()
            .zip(0..)
            .filter(|(detail, _)| total_of(detail.kind) == total)
            .map(|(detail, line)| {
                let id = &all[self.transactions[line as usize] as usize].id;
                let changed = line_hash(id, detail.index.into(), detail.quantity.wrapping_add(more));
                (line, changed.wrapping_sub(self.hashes[line as usize]))
            })
            .collect()
    }

    /// With what other cells have told first, then the whole difference: a transaction may be torn.
    pub fn attempt(&mut self, all: &[Transaction], effort: Effort, budget: &mut Budget) -> Option<Solution> {
        let Residue { count, sum, known } = self.residue(all);
        if !(known.lost.is_empty() && known.doubled.is_empty()) {
            if count == 0 && sum == 0 {
                return Some(known);
            }
            let tried = self
                .tried
                .filter(|(c, s, _)| (*c, *s) == (count, sum))
                .map(|(_, _, tried)| tried);
            let is_free = |index: &u32| known.lost.binary_search(index).is_err();
            let rest: Vec<u32> = (0..self.hashes.len() as u32).filter(is_free).collect();
            if let Some(more) = self.search(&rest, all, (count, sum), (tried, effort), budget) {
                return Some(Solution {
                    lost: [known.lost, more.lost].concat(),
                    doubled: [known.doubled, more.doubled].concat(),
                });
            }
            self.tried = Some((count, sum, tried.map_or(effort, |tried| tried.max(effort))));
        }
        let whole: Vec<u32> = (0..self.hashes.len() as u32).collect();
        let difference = (self.differing.count(), self.differing.sum());
        let solution = self.search(&whole, all, difference, (self.tried_whole, effort), budget);
        self.tried_whole = self.tried_whole.max(Some(effort));
        solution
    }

    /// With the efforts after the one tried in vain.
    fn search(
        &self,
        lines: &[u32],
        all: &[Transaction],
        (count, sum): (i64, u64),
        (tried, effort): (Option<Effort>, Effort),
        budget: &mut Budget,
    ) -> Option<Solution> {
        if tried >= Some(effort) {
            return None;
        }
        let hashes: Vec<u64> = lines.iter().map(|line| self.hashes[*line as usize]).collect();
        let mut numbers = HashMap::new();
        let sources: Vec<u32> = lines
            .iter()
            .map(|line| {
                let source = all[self.transactions[*line as usize] as usize].id.source;
                let next = numbers.len() as u32;
                *numbers.entry(source).or_insert(next)
            })
            .collect();
        let lines_of = Lines {
            hashes: &hashes,
            sources: &sources,
        };
        let found = Effort::ALL
            .into_iter()
            .filter(|next| Some(*next) > tried && *next <= effort)
            .find_map(|next| solve(lines_of, count, sum, next, budget))?;
        let named = |indices: Vec<u32>| indices.into_iter().map(|index| lines[index as usize]).collect();
        Some(Solution {
            lost: named(found.lost),
            doubled: named(found.doubled),
        })
    }

    pub fn residue(&self, all: &[Transaction]) -> Residue {
        let mut residue = Residue {
            count: self.differing.count(),
            sum: self.differing.sum(),
            known: Solution::default(),
        };
        if !self.known {
            return residue;
        }
        for ((hash, transaction), line) in self.hashes.iter().zip(&self.transactions).zip(0..) {
            let transaction = &all[*transaction as usize];
            if transaction.lost {
                residue.count += 1;
                residue.sum = residue.sum.wrapping_add(*hash);
                residue.known.lost.push(line);
            }
            if transaction.doubled {
                residue.count -= 1;
                residue.sum = residue.sum.wrapping_sub(*hash);
                residue.known.doubled.push(line);
            }
        }
        residue
    }

    /// Lines that the cell lacks, or has too many, at least, beyond what named transactions may explain.
    pub fn unnamed_lines(&self, all: &[Transaction]) -> (u64, u64) {
        let Residue { known, .. } = self.residue(all);
        let count = self.differing.count();
        if count < 0 {
            (count.unsigned_abs().saturating_sub(known.lost.len() as u64), 0)
        } else {
            // A named transaction may have come more than twice.
            (
                0,
                if known.doubled.is_empty() {
                    count.unsigned_abs()
                } else {
                    0
                },
            )
        }
    }

    /// The least number of transactions that can have so many lines in the cell; 1 where its lines are not known.
    pub fn least_transactions(&self, lines: u64) -> u64 {
        if lines == 0 || !self.known || self.hashes.is_empty() {
            return lines.min(1);
        }
        let mut of_each: Vec<u64> = self
            .transactions
            .chunk_by(|first, second| first == second)
            .map(|chunk| chunk.len() as u64)
            .collect();
        of_each.sort_unstable_by(|first, second| second.cmp(first));
        let mut left = lines;
        let mut least = 0;
        for count in of_each {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(count);
            least += 1;
        }
        least
    }
}

/// The total of [`Differing::totals`] that a line counts in.
const fn total_of(kind: MovementKind) -> usize {
    match kind {
        MovementKind::CountedFloor | MovementKind::CountedBackRoom | MovementKind::Unspecified => 0,
        MovementKind::Supplied => 1,
        MovementKind::Received => 2,
        MovementKind::Shipped => 3,
        MovementKind::Sold => 4,
        MovementKind::Returned => 5,
        MovementKind::AdjustedFloor | MovementKind::AdjustedBackRoom => 6,
        MovementKind::Stocked => 7,
        MovementKind::Stored => 8,
    }
}

/// A line of each list, not the same one, whose changes add up.
fn pair(one: &[(u32, u64)], other: &[(u32, u64)], sum: u64) -> Option<(u32, u32)> {
    let by_change: HashMap<u64, u32> = other.iter().map(|(line, change)| (*change, *line)).collect();
    one.iter().find_map(|(line, change)| {
        let other = *by_change.get(&sum.wrapping_sub(*change))?;
        (other != *line).then_some((*line, other))
    })
}

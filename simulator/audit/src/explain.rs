//! From cells that differ to the transactions that are to blame.
//!
//! A cell carries the number and the wrapping sum of the hashes of its lines. Where the view has fewer lines, the lost
//! ones are those whose hashes make up the difference; where it has more, the doubled ones are. The lines that really
//! happened to these cells come from playing the same world again.

use std::collections::{BTreeMap, BTreeSet};

use contracts::ids::TransactionId;
use ledger::{Line, TrueCell, line_hash};

use crate::decode::ViewCell;
use crate::view::equal;

/// What is wrong with a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The view lacks lines.
    Lost,
    /// The view has lines more than once.
    Doubled,
    /// The right lines, other quantities.
    Altered,
    /// As many lines, but not the same.
    Mixed,
    /// The view has a cell in which nothing happened.
    Unexpected,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::Altered => "altered",
            Self::Mixed => "mixed",
            Self::Unexpected => "unexpected",
        }
    }
}

/// `None`: equal.
pub fn kind(truth: &TrueCell, view: &ViewCell) -> Option<Kind> {
    if equal(truth, view) {
        return None;
    }
    Some(match truth.lines.cmp(&view.lines) {
        std::cmp::Ordering::Greater => Kind::Lost,
        std::cmp::Ordering::Less if truth.lines == 0 => Kind::Unexpected,
        std::cmp::Ordering::Less => Kind::Doubled,
        std::cmp::Ordering::Equal if truth.hash == view.hash => Kind::Altered,
        std::cmp::Ordering::Equal => Kind::Mixed,
    })
}

/// A cell that differs.
#[derive(Clone, Copy, Debug)]
pub struct Differing {
    pub place: usize,
    pub slot: usize,
    pub truth: TrueCell,
    pub view: ViewCell,
    pub kind: Kind,
}

/// Combinations of lines that are tried for one cell.
const PAIRS_MAX: usize = 4_000_000;

#[derive(Debug)]
struct Suspect {
    cell: Differing,
    lines: Vec<(u64, TransactionId)>,
}

/// Collects the lines of the cells that differ while the world is played again.
#[derive(Debug)]
pub struct Explainer {
    suspects: BTreeMap<(usize, usize), Suspect>,
}

/// Which transactions are to blame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blame {
    pub lost: BTreeSet<TransactionId>,
    pub doubled: BTreeSet<TransactionId>,
    /// Cells whose difference no one, two or three lines, nor all lines after an instant, make up.
    pub unexplained: u64,
}

impl Explainer {
    pub fn new(differing: &[Differing]) -> Self {
        let suspects = differing
            .iter()
            .filter(|cell| matches!(cell.kind, Kind::Lost | Kind::Doubled))
            .map(|cell| ((cell.place, cell.slot), Suspect { cell: *cell, lines: Vec::new() }))
            .collect();
        Self { suspects }
    }

    pub fn needs_lines(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// A transaction that happened at the place.
    pub fn transaction(&mut self, place: usize, id: &TransactionId, lines: &[Line]) {
        for (index, line) in lines.iter().enumerate() {
            if let Some(suspect) = self.suspects.get_mut(&(place, usize::from(line.slot))) {
                suspect.lines.push((line_hash(id, index as u32), *id));
            }
        }
    }

    pub fn blame(self) -> Blame {
        let mut blame = Blame::default();
        for suspect in self.suspects.into_values() {
            let (truth, view) = (&suspect.cell.truth, &suspect.cell.view);
            let lost = suspect.cell.kind == Kind::Lost;
            let count = truth.lines.abs_diff(view.lines) as usize;
            let difference =
                if lost { truth.hash.wrapping_sub(view.hash) } else { view.hash.wrapping_sub(truth.hash) };
            match combination(&suspect.lines, count, difference) {
                Some(found) if lost => blame.lost.extend(found),
                Some(found) => blame.doubled.extend(found),
                None => blame.unexplained += 1,
            }
        }
        blame
    }
}

/// `count` lines whose hashes add up to the sum.
fn combination(lines: &[(u64, TransactionId)], count: usize, sum: u64) -> Option<Vec<TransactionId>> {
    // The newest lines: what a stopped service has not seen yet. The whole: a cell that never came.
    let tail = &lines[lines.len().checked_sub(count)?..];
    if tail.iter().fold(0_u64, |all, (hash, _)| all.wrapping_add(*hash)) == sum {
        return Some(tail.iter().map(|(_, id)| *id).collect());
    }
    let by_hash: BTreeMap<u64, usize> =
        lines.iter().enumerate().map(|(index, (hash, _))| (*hash, index)).collect();
    match count {
        1 => by_hash.get(&sum).map(|index| vec![lines[*index].1]),
        2 => lines.iter().enumerate().find_map(|(first, (hash, id))| {
            let second = *by_hash.get(&sum.wrapping_sub(*hash))?;
            (second != first).then(|| vec![*id, lines[second].1])
        }),
        3 if lines.len() * lines.len() <= PAIRS_MAX => lines.iter().enumerate().find_map(|(first, (a, id))| {
            lines.iter().enumerate().skip(first + 1).find_map(|(second, (b, other))| {
                let third = *by_hash.get(&sum.wrapping_sub(*a).wrapping_sub(*b))?;
                (third != first && third != second).then(|| vec![*id, *other, lines[third].1])
            })
        }),
        _ => None,
    }
}

//! Lines that are in cells of another place: what is lost at one and too much at another is neither lost nor doubled.
//!
//! Invariant: a line is called another cell's only where hashes add up exactly, under the line's own name or under that
//! which it would have if its transaction were the other place's.

use std::collections::BTreeSet;

use contracts::ids::{LocationId, Sku};
use hashbrown::HashMap;
use ledger::line_hash;

use super::Explainer;
use crate::suspect::{Detail, Residue, Suspect, Transaction};

/// Hashes of lost lines, each as if it were of another place, that are tried.
const RELOCATED_MAX: usize = 2_000_000;
/// Transactions that lost lines of an article, of which those are searched that went elsewhere.
const GROUPS_MAX: usize = 10_000;
/// Lost lines among which three are searched.
const TRIPLES_OF_MAX: usize = 2_000;

/// A transaction, and the place that its line is said to be of, where that is another one.
type Owner = (u32, Option<LocationId>);

/// Lines of one article that a transaction lost.
#[derive(Debug)]
struct Group {
    owner: u32,
    /// Index and quantity.
    lines: Vec<(u16, i64)>,
}

/// One or two groups of lost lines whose hashes add up, under their own names or as this place's.
fn groups_that_make(
    count: i64,
    sum: u64,
    groups: &[Group],
    place: LocationId,
    all: &[Transaction],
) -> Vec<Owner> {
    let mut sums: HashMap<(i64, u64), Owner> = HashMap::new();
    for group in groups.iter().take(GROUPS_MAX) {
        let own = all[group.owner as usize].id;
        let mut renamed = own;
        renamed.source.location = place;
        for (id, place) in [(renamed, Some(place)), (own, None)] {
            let lines = group.lines.iter();
            let of_it = lines.fold(0_u64, |sum, (index, quantity)| {
                sum.wrapping_add(line_hash(&id, (*index).into(), *quantity))
            });
            sums.insert((group.lines.len() as i64, of_it), (group.owner, place));
        }
    }
    if let Some(owner) = sums.get(&(count, sum)) {
        return vec![*owner];
    }
    let pair = sums.iter().find_map(|((lines, of_one), one)| {
        let other = *sums.get(&(count - lines, sum.wrapping_sub(*of_one)))?;
        (other.0 != one.0).then(|| vec![*one, other])
    });
    pair.unwrap_or_default()
}

/// Up to three lost lines whose hashes add up; none where they do not.
fn lost_lines_that_make(count: i64, sum: u64, lost: &HashMap<u64, Owner>) -> Vec<Owner> {
    match count {
        1 => lost.get(&sum).into_iter().copied().collect(),
        // Of many lost lines, triples are more than is worth while.
        3 if lost.len() > TRIPLES_OF_MAX => Vec::new(),
        2 | 3 => lost
            .iter()
            .find_map(|(hash, owner)| {
                let mut rest = lost_lines_that_make(count - 1, sum.wrapping_sub(*hash), lost);
                (!rest.is_empty()).then(|| {
                    rest.push(*owner);
                    rest
                })
            })
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

impl Explainer<'_> {
    /// Tries every cell that is not solved yet. Whether any was solved.
    pub(super) fn match_foreign(&mut self) -> bool {
        let is_unsolved = |suspect: &Suspect| suspect.known && suspect.solution.is_none();
        if !self.suspects.iter().any(is_unsolved) {
            return false;
        }
        let mut owners = HashMap::new();
        for suspect in self.suspects.iter().filter(|suspect| suspect.known) {
            let lines = suspect.hashes.iter().zip(&suspect.transactions);
            owners.extend(lines.map(|(hash, owner)| (*hash, (*owner, None))));
        }
        let lost = self.lost_lines();
        owners.extend(lost.iter().map(|(hash, owner)| (*hash, *owner)));
        let groups = self.lost_groups();
        let mut has_solved = false;
        for suspect in self.suspects.iter_mut().filter(|suspect| is_unsolved(suspect)) {
            let Residue {
                count,
                sum,
                mut known,
            } = suspect.residue(&self.transactions);
            let place = self.places.location(suspect.differing.place);
            let sku = self.places.sku(suspect.differing.cell);
            let of_sku = groups.get(&sku).map_or(&[][..], Vec::as_slice);
            let mut found = groups_that_make(count, sum, of_sku, place, &self.transactions);
            if found.is_empty() {
                found = match count {
                    1 => owners.get(&sum).into_iter().copied().collect(),
                    0 => match swapped(suspect, sum, &owners) {
                        Some((line, owner)) => {
                            known.lost.push(line);
                            self.transactions[suspect.transactions[line as usize] as usize].lost = true;
                            vec![owner]
                        }
                        None => Vec::new(),
                    },
                    count => lost_lines_that_make(count, sum, &lost),
                };
            }
            if found.is_empty() {
                continue;
            }
            has_solved = true;
            suspect.foreign = found.iter().map(|(owner, _)| *owner).collect();
            suspect.solution = Some(known);
            let renamed = found
                .iter()
                .filter_map(|(owner, place)| Some((*owner, (*place)?)));
            self.renamed.extend(renamed);
        }
        has_solved
    }

    /// Looks for lost lines in cells outside the world.
    pub(super) fn look_outside(&mut self) {
        if self.misplaced.is_empty() {
            return;
        }
        let groups = self.lost_groups();
        for ((place, sku), cell) in self.misplaced {
            let of_sku = groups.get(sku).map_or(&[][..], Vec::as_slice);
            let found = groups_that_make(cell.lines.into(), cell.hash, of_sku, *place, &self.transactions);
            for (owner, place) in found {
                self.outside.insert(owner);
                self.renamed.extend(place.map(|place| (owner, place)));
            }
        }
    }

    /// Lost lines under their own names, and as they would be named if their transaction were another place's.
    fn lost_lines(&self) -> HashMap<u64, Owner> {
        let unsolved = self
            .suspects
            .iter()
            .filter(|suspect| suspect.known && suspect.solution.is_none())
            .map(|suspect| self.places.location(suspect.differing.place));
        let outside = self.misplaced.keys().map(|(location, _)| *location);
        let targets: BTreeSet<LocationId> = unsolved.chain(outside).collect();
        let mut room = RELOCATED_MAX;
        let mut lost = HashMap::new();
        for suspect in self.suspects.iter().filter(|suspect| suspect.known) {
            let Some(solution) = &suspect.solution else {
                continue;
            };
            for line in &solution.lost {
                let owner = suspect.transactions[*line as usize];
                let Detail { quantity, index, .. } = suspect.details[*line as usize];
                lost.insert(suspect.hashes[*line as usize], (owner, None));
                for target in &targets {
                    let Some(left) = room.checked_sub(1) else {
                        return lost;
                    };
                    room = left;
                    let mut id = self.transactions[owner as usize].id;
                    id.source.location = *target;
                    let renamed = line_hash(&id, index.into(), quantity);
                    lost.entry(renamed).or_insert((owner, Some(*target)));
                }
            }
        }
        lost
    }

    /// Lost lines by article and transaction: what is taken for another place's goes there whole.
    fn lost_groups(&self) -> HashMap<Sku, Vec<Group>> {
        let mut groups: HashMap<Sku, Vec<Group>> = HashMap::new();
        for suspect in self.suspects.iter().filter(|suspect| suspect.known) {
            let Some(solution) = &suspect.solution else {
                continue;
            };
            let of_sku = groups.entry(self.places.sku(suspect.differing.cell)).or_default();
            let first = of_sku.len();
            for line in &solution.lost {
                let owner = suspect.transactions[*line as usize];
                let Detail { quantity, index, .. } = suspect.details[*line as usize];
                match of_sku[first..].iter_mut().find(|group| group.owner == owner) {
                    Some(group) => group.lines.push((index, quantity)),
                    None => of_sku.push(Group {
                        owner,
                        lines: vec![(index, quantity)],
                    }),
                }
            }
        }
        groups
    }
}

/// One line of its own that the cell lacks, and another's that it has in its place.
fn swapped(suspect: &Suspect, sum: u64, owners: &HashMap<u64, Owner>) -> Option<(u32, Owner)> {
    suspect.hashes.iter().zip(0..).find_map(|(own, line)| {
        let owner = owners.get(&sum.wrapping_add(*own))?;
        (suspect.transactions[line as usize] != owner.0).then_some((line, *owner))
    })
}

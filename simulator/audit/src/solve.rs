//! Which lines make up a difference: a search for those whose hashes add up to it.
//!
//! A cell carries the number of its lines and the wrapping sum of their hashes. Against the truth, some lines are lost
//! and some doubled; `count` = doubled - lost and `sum` = the hashes of the doubled less those of the lost. Invariant:
//! every solution adds up exactly, in 64 bits; a wrong one would be a collision (less than one in 10⁹ for triples of
//! 2,000 lines). Pure; it knows no cells and no transactions.

use hashbrown::HashMap;

/// How hard to search: one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// One line, or a run of any length: what a source wrote from one instant to another, the newest lines, or all.
    Runs,
    /// Two lines, or one doubled for one lost.
    Pairs,
    /// Three lines, or two against one.
    Triples,
    /// The newest lines of each source: what a record of earlier lacks. Sources do not end at the same line, for their
    /// messages do not arrive in the order in which things happened.
    Ends,
}

impl Effort {
    pub const ALL: [Self; 4] = [Self::Runs, Self::Pairs, Self::Triples, Self::Ends];
}

/// Indices into the lines. A line can be doubled more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Solution {
    pub lost: Vec<u32>,
    pub doubled: Vec<u32>,
}

/// Look-ups that a search may still make. Without a bound, a view that is wrong everywhere would be searched for hours.
#[derive(Debug)]
pub struct Budget(u64);

impl Budget {
    pub const fn new(look_ups: u64) -> Self {
        Self(look_ups)
    }

    fn take(&mut self, look_ups: usize) -> bool {
        match self.0.checked_sub(look_ups as u64) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

/// Hashes of the lines of a cell in the order in which they happened, and the source of each.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    pub hashes: &'a [u64],
    pub sources: &'a [u32],
}

/// Lost and doubled lines that make up the difference with the given effort, if it can be told.
pub fn solve(
    lines: Lines<'_>,
    count: i64,
    sum: u64,
    effort: Effort,
    budget: &mut Budget,
) -> Option<Solution> {
    if count == 0 && sum == 0 {
        return Some(Solution::default());
    }
    // Losing is doubling with the sign changed, but for a line that can be lost only once.
    let (size, target) = if count < 0 {
        (count.unsigned_abs(), sum.wrapping_neg())
    } else {
        (count as u64, sum)
    };
    let size = usize::try_from(size).ok()?;
    let search = Search {
        hashes: lines.hashes,
        repeat: count > 0,
    };
    let same_sign = match effort {
        Effort::Runs => search.run(lines.sources, size, target, budget),
        Effort::Pairs if size == 2 => search.pair(target, budget),
        Effort::Triples if size == 3 => search.triple(target, budget),
        Effort::Ends if count < 0 => search.ends(lines.sources, size, target, budget),
        Effort::Pairs | Effort::Triples | Effort::Ends => None,
    };
    let (more, less) = match same_sign {
        Some(found) => (found, Vec::new()),
        None => match (effort, size) {
            (Effort::Pairs, 0) => search.one_for_one(target, budget)?,
            (Effort::Triples, 1) => search.two_for_one(target, budget)?,
            _ => return None,
        },
    };
    Some(if count < 0 {
        Solution {
            lost: more,
            doubled: less,
        }
    } else {
        Solution {
            lost: less,
            doubled: more,
        }
    })
}

/// How far the end of a source may be from where the newest lines of all begin, in its own lines: one after the other.
const REACHES: [usize; 4] = [2, 6, 18, 54];
/// Combinations of the ends of half of the sources.
const COMBINATIONS_MAX: usize = 4_000_000;

/// How many of the newest lines of a source may be taken, and the sum of their hashes.
struct Tail {
    least: usize,
    /// From the least on.
    sums: Vec<u64>,
    /// The newest first.
    lines: Vec<u32>,
}

/// Some of the sources, each with a number of its newest lines: all combinations of these numbers.
struct Tails(Vec<Tail>);

impl Tails {
    fn combinations(&self) -> usize {
        let sizes = self.0.iter().map(|tail| tail.sums.len());
        sizes.fold(1, usize::saturating_mul)
    }

    /// Each by its number, with the count of lines and the sum of their hashes, until `take` has enough.
    fn each<T>(&self, mut take: impl FnMut(usize, usize, u64) -> Option<T>) -> Option<T> {
        let mut picks = vec![0; self.0.len()];
        for number in 0.. {
            let (mut lines, mut sum) = (0, 0_u64);
            for (tail, pick) in self.0.iter().zip(&picks) {
                lines += tail.least + pick;
                sum = sum.wrapping_add(tail.sums[*pick]);
            }
            if let Some(taken) = take(number, lines, sum) {
                return Some(taken);
            }
            let next = (0..picks.len()).find(|index| picks[*index] + 1 < self.0[*index].sums.len())?;
            picks[..next].fill(0);
            picks[next] += 1;
        }
        None
    }

    fn lines(&self, mut number: usize) -> Vec<u32> {
        let mut lines = Vec::new();
        for tail in &self.0 {
            let pick = number % tail.sums.len();
            number /= tail.sums.len();
            lines.extend_from_slice(&tail.lines[..tail.least + pick]);
        }
        lines
    }
}

struct Search<'a> {
    hashes: &'a [u64],
    /// A line may be taken twice.
    repeat: bool,
}

impl Search<'_> {
    fn by_hash(&self) -> HashMap<u64, u32> {
        self.hashes
            .iter()
            .zip(0..)
            .map(|(hash, index)| (*hash, index))
            .collect()
    }

    /// Lines that follow each other, in all the cell or at one source.
    fn run(&self, sources: &[u32], size: usize, target: u64, budget: &mut Budget) -> Option<Vec<u32>> {
        let length = self.hashes.len();
        if size == 0 || size > length || !budget.take(2 * length) {
            return None;
        }
        let mut order: Vec<u32> = (0..length as u32).collect();
        if let Some(start) = self.run_in(&order, size, target) {
            return Some(order[start..start + size].to_vec());
        }
        if size == 1 {
            return None;
        }
        order.sort_by_key(|index| sources[*index as usize]);
        self.run_in(&order, size, target)
            .map(|start| order[start..start + size].to_vec())
    }

    fn run_in(&self, order: &[u32], size: usize, target: u64) -> Option<usize> {
        let hash = |position: usize| self.hashes[order[position] as usize];
        let mut sum = (0..size).fold(0_u64, |sum, position| sum.wrapping_add(hash(position)));
        for start in 0..=order.len() - size {
            if sum == target {
                return Some(start);
            }
            if start + size < order.len() {
                sum = sum.wrapping_sub(hash(start)).wrapping_add(hash(start + size));
            }
        }
        None
    }

    /// The newest lines of each source, whose ends lie near to each other: the ends of one half of the sources are looked
    /// for among those of the other half.
    fn ends(&self, sources: &[u32], size: usize, target: u64, budget: &mut Budget) -> Option<Vec<u32>> {
        let begin = self.hashes.len().checked_sub(size)?;
        let mut of_sources: HashMap<u32, Vec<u32>> = HashMap::new();
        for (source, line) in sources.iter().zip(0..) {
            of_sources.entry(*source).or_default().push(line);
        }
        let mut of_sources: Vec<Vec<u32>> = of_sources.into_values().collect();
        of_sources.sort_unstable();
        REACHES.into_iter().find_map(|reach| {
            let mut halves = (Tails(Vec::new()), Tails(Vec::new()));
            for lines in &of_sources {
                let tail = self.tail(lines, begin, reach);
                let half = if halves.0.combinations() <= halves.1.combinations() {
                    &mut halves.0
                } else {
                    &mut halves.1
                };
                half.0.push(tail);
            }
            let (one, other) = halves;
            let combinations = one.combinations().max(other.combinations());
            if combinations > COMBINATIONS_MAX || !budget.take(2 * combinations) {
                return None;
            }
            let mut by_sum = HashMap::with_capacity(one.combinations());
            one.each(|number, lines, sum| {
                by_sum.insert(sum, (lines as u32, number as u32));
                None::<()>
            });
            other.each(|number, lines, sum| {
                let (others, found) = *by_sum.get(&target.wrapping_sub(sum))?;
                let is_whole = lines + others as usize == size;
                is_whole.then(|| [one.lines(found as usize), other.lines(number)].concat())
            })
        })
    }

    fn tail(&self, lines: &[u32], begin: usize, reach: usize) -> Tail {
        let newest = lines.iter().filter(|line| **line as usize >= begin).count();
        let least = newest.saturating_sub(reach);
        let most = (newest + reach).min(lines.len());
        let lines: Vec<u32> = lines.iter().rev().take(most).copied().collect();
        let mut sum = 0_u64;
        let mut sums = vec![sum];
        for line in &lines {
            sum = sum.wrapping_add(self.hashes[*line as usize]);
            sums.push(sum);
        }
        Tail {
            least,
            sums: sums.split_off(least),
            lines,
        }
    }

    fn pair(&self, target: u64, budget: &mut Budget) -> Option<Vec<u32>> {
        if !budget.take(2 * self.hashes.len()) {
            return None;
        }
        let by_hash = self.by_hash();
        self.pair_from(&by_hash, 0, target)
    }

    /// A pair whose first line is at `from` or later.
    fn pair_from(&self, by_hash: &HashMap<u64, u32>, from: usize, target: u64) -> Option<Vec<u32>> {
        (from..self.hashes.len()).find_map(|first| {
            let second = *by_hash.get(&target.wrapping_sub(self.hashes[first]))?;
            let first = first as u32;
            let distinct = if self.repeat {
                second >= first
            } else {
                second > first
            };
            distinct.then(|| vec![first, second])
        })
    }

    fn triple(&self, target: u64, budget: &mut Budget) -> Option<Vec<u32>> {
        let length = self.hashes.len();
        if !budget.take(length + length * length / 2) {
            return None;
        }
        let by_hash = self.by_hash();
        (0..length).find_map(|first| {
            let from = if self.repeat { first } else { first + 1 };
            let mut found = self.pair_from(&by_hash, from, target.wrapping_sub(self.hashes[first]))?;
            found.push(first as u32);
            Some(found)
        })
    }

    /// One more of a line for one less of another.
    fn one_for_one(&self, target: u64, budget: &mut Budget) -> Option<(Vec<u32>, Vec<u32>)> {
        if !budget.take(2 * self.hashes.len()) {
            return None;
        }
        let by_hash = self.by_hash();
        self.hashes.iter().zip(0..).find_map(|(less, index)| {
            let more = *by_hash.get(&target.wrapping_add(*less))?;
            (more != index).then(|| (vec![more], vec![index]))
        })
    }

    /// Two more for one less: two lost and one doubled, or the other way round.
    fn two_for_one(&self, target: u64, budget: &mut Budget) -> Option<(Vec<u32>, Vec<u32>)> {
        let length = self.hashes.len();
        if !budget.take(length + length * length) {
            return None;
        }
        let by_hash = self.by_hash();
        self.hashes.iter().zip(0..).find_map(|(less, index)| {
            let more = self.pair_from(&by_hash, 0, target.wrapping_add(*less))?;
            (!more.contains(&index)).then(|| (more, vec![index]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64.
    fn hashes(count: u64) -> Vec<u64> {
        let mix = |seed: u64| {
            let mut hash = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            hash ^ (hash >> 31)
        };
        (1..=count).map(mix).collect()
    }

    fn solved(hashes: &[u64], lost: &[usize], doubled: &[usize]) -> Option<(Vec<u32>, Vec<u32>)> {
        let total = |indices: &[usize]| {
            indices
                .iter()
                .fold(0_u64, |sum, index| sum.wrapping_add(hashes[*index]))
        };
        let sources: Vec<u32> = (0..hashes.len() as u32).map(|index| index % 3).collect();
        let lines = Lines {
            hashes,
            sources: &sources,
        };
        let count = doubled.len() as i64 - lost.len() as i64;
        let sum = total(doubled).wrapping_sub(total(lost));
        let mut solution = Effort::ALL
            .into_iter()
            .find_map(|effort| solve(lines, count, sum, effort, &mut Budget::new(10_000_000)))?;
        solution.lost.sort_unstable();
        solution.doubled.sort_unstable();
        Some((solution.lost, solution.doubled))
    }

    fn is_found(hashes: &[u64], lost: &[usize], doubled: &[usize]) {
        let as_u32 = |indices: &[usize]| indices.iter().map(|index| *index as u32).collect::<Vec<_>>();
        assert_eq!(
            solved(hashes, lost, doubled),
            Some((as_u32(lost), as_u32(doubled)))
        );
    }

    #[test]
    fn up_to_three_lost_or_doubled_lines_are_found_anywhere() {
        let hashes = hashes(400);
        for lost in [&[0][..], &[399], &[7, 200], &[0, 399], &[3, 50, 398]] {
            is_found(&hashes, lost, &[]);
            is_found(&hashes, &[], lost);
        }
    }

    #[test]
    fn a_line_that_came_three_or_four_times_is_found() {
        let hashes = hashes(100);
        is_found(&hashes, &[], &[17, 17]);
        is_found(&hashes, &[], &[17, 17, 17]);
        is_found(&hashes, &[], &[17, 17, 60]);
    }

    #[test]
    fn one_lost_and_one_doubled_do_not_hide_each_other() {
        let hashes = hashes(100);
        is_found(&hashes, &[4], &[71]);
        is_found(&hashes, &[4, 9], &[71]);
        is_found(&hashes, &[4], &[71, 88]);
    }

    #[test]
    fn a_run_of_any_length_is_found_in_the_cell_or_at_one_source() {
        let hashes = hashes(300);
        is_found(&hashes, &(250..300).collect::<Vec<_>>(), &[]);
        is_found(&hashes, &(0..300).collect::<Vec<_>>(), &[]);
        is_found(&hashes, &[], &(20..45).collect::<Vec<_>>());
        is_found(&hashes, &(30..120).step_by(3).collect::<Vec<_>>(), &[]);
    }

    #[test]
    fn the_newest_lines_of_each_source_are_found_where_sources_end_differently() {
        let hashes = hashes(300);
        // Sources take turns; they end some lines before or behind line 180.
        for ends in [[180, 180, 180], [171, 180, 189], [160, 199, 181], [90, 200, 190]] {
            let lost: Vec<usize> = (0..300).filter(|line| *line >= ends[line % 3]).collect();
            is_found(&hashes, &lost, &[]);
        }
        // One line in between is there.
        let lost: Vec<usize> = (171..300).filter(|line| *line != 240).collect();
        assert_eq!(solved(&hashes, &lost, &[]), None);
    }

    #[test]
    fn what_does_not_add_up_is_not_explained() {
        let hashes = hashes(60);
        assert_eq!(solved(&hashes, &[1, 9, 22, 47], &[]), None);
        let lines = Lines {
            hashes: &hashes,
            sources: &[0; 60],
        };
        let foreign = 12_345;
        for count in [-3, -2, -1, 0, 1, 2, 3, 61, -61] {
            for effort in Effort::ALL {
                assert_eq!(
                    solve(lines, count, foreign, effort, &mut Budget::new(1_000_000)),
                    None
                );
            }
        }
    }

    #[test]
    fn a_search_beyond_its_budget_is_given_up() {
        let hashes = hashes(400);
        let lines = Lines {
            hashes: &hashes,
            sources: &[0; 400],
        };
        let sum = [1_usize, 9, 22]
            .iter()
            .fold(0_u64, |sum, index| sum.wrapping_sub(hashes[*index]));
        assert_eq!(
            solve(lines, -3, sum, Effort::Triples, &mut Budget::new(1_000)),
            None
        );
        assert!(solve(lines, -3, sum, Effort::Triples, &mut Budget::new(100_000)).is_some());
    }
}

//! What passed each point of the flow, minute by minute: where between two points and when a difference arose.
//!
//! Pure. Invariant: it explains and decides nothing: the verdict is the audit's.

use std::collections::BTreeMap;

use contracts::digest::{Digest, Minutes};
use contracts::ids::{Quantity, TimeMs};
use serde::Serialize;

use crate::format::{clock, count};

/// Differences that a report lists.
const LISTED_MAX: usize = 100;

/// Of one point of the flow, over the whole run.
#[derive(Clone, Debug, Serialize)]
pub struct PointDigest {
    pub transactions: u64,
    pub lines: u64,
    /// Thousandths, summed over all lines.
    pub quantity: i64,
    /// Sum of hashes, in hexadecimal.
    pub hash: String,
}

/// A minute in which two points next to each other differ: what the second has more or, as negative numbers, less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Simulated time, such as `2026-03-16 10:32`; `other` for minutes far from the run's own.
    pub minute: String,
    pub between: [&'static str; 2],
    pub transactions: i64,
    pub lines: i64,
    pub quantity: i64,
}

#[derive(Clone, Debug, Serialize)]
pub struct StagesDigest {
    /// As the sources sent it.
    pub source: PointDigest,
    /// As it lies in the raw topics.
    pub raw: PointDigest,
    pub raw_unreadable: u64,
    /// As it lies in `movements`.
    pub movements: PointDigest,
    pub movements_unreadable: u64,
    /// Of the movements, those that the windows dropped.
    pub movements_repeated: u64,
    /// As the audit found it in the cells.
    pub view: PointDigest,
    /// Cells that differ and are in no minute, because no transaction explains them.
    pub view_unexplained_cells: u64,
    pub differences_total: u64,
    /// The first 100, by minute and then along the flow.
    pub differences: Vec<Difference>,
}

/// What the points saw.
#[derive(Clone, Copy, Debug)]
pub struct Points<'a> {
    pub source: &'a Minutes,
    pub raw: &'a Minutes,
    pub raw_unreadable: u64,
    pub movements: &'a Minutes,
    pub movements_unreadable: u64,
    pub repeats: &'a Minutes,
    pub view_less_truth: &'a Minutes,
    pub view_unexplained_cells: u64,
}

fn point(total: &Digest) -> PointDigest {
    PointDigest {
        transactions: total.transactions,
        lines: total.lines,
        quantity: total.quantity,
        hash: format!("{:016x}", total.hash),
    }
}

pub fn minute(at: Option<i64>) -> String {
    at.map_or_else(
        || "other".to_owned(),
        |minute| clock(TimeMs(minute.saturating_mul(60_000)))[..16].to_owned(),
    )
}

/// Minutes without a place stand last.
fn key(at: Option<i64>) -> (bool, i64) {
    (at.is_none(), at.unwrap_or_default())
}

pub fn compare(points: &Points<'_>) -> StagesDigest {
    // Of each minute: source, raw, movements, movements without repeats, view.
    let mut by_minute: BTreeMap<(bool, i64), [Digest; 5]> = BTreeMap::new();
    let mut enter =
        |minutes: &mut dyn Iterator<Item = (Option<i64>, Digest)>, into: &[usize], negative: bool| {
            for (at, digest) in minutes {
                let row = by_minute.entry(key(at)).or_default();
                for column in into {
                    if negative {
                        row[*column].subtract(&digest);
                    } else {
                        row[*column].add(&digest);
                    }
                }
            }
        };
    enter(&mut points.source.iter(), &[0, 4], false);
    enter(&mut points.raw.iter(), &[1], false);
    enter(&mut points.movements.iter(), &[2, 3], false);
    enter(&mut points.repeats.iter(), &[3], true);
    enter(&mut points.view_less_truth.iter(), &[4], false);
    // What has no lines leaves nothing in a cell: of that the view has what `movements` has.
    enter(&mut points.source.iter_without_lines(), &[4], true);
    enter(&mut points.movements.iter_without_lines(), &[4], false);
    enter(&mut points.repeats.iter_without_lines(), &[4], true);
    let mut totals = [Digest::default(); 5];
    let mut differences = Vec::new();
    let mut differences_total = 0;
    for ((is_elsewhere, at), row) in &by_minute {
        for (total, digest) in totals.iter_mut().zip(row) {
            total.add(digest);
        }
        for (first, second, between) in [
            (0, 1, ["source", "raw"]),
            (1, 2, ["raw", "movements"]),
            (3, 4, ["movements", "view"]),
        ] {
            if row[first] == row[second] {
                continue;
            }
            differences_total += 1;
            if differences.len() < LISTED_MAX {
                let mut more = row[second];
                more.subtract(&row[first]);
                differences.push(Difference {
                    minute: minute((!is_elsewhere).then_some(*at)),
                    between,
                    transactions: more.transactions as i64,
                    lines: more.lines as i64,
                    quantity: more.quantity,
                });
            }
        }
    }
    StagesDigest {
        source: point(&totals[0]),
        raw: point(&totals[1]),
        raw_unreadable: points.raw_unreadable,
        movements: point(&totals[2]),
        movements_unreadable: points.movements_unreadable,
        movements_repeated: points.repeats.total().transactions,
        view: point(&totals[4]),
        view_unexplained_cells: points.view_unexplained_cells,
        differences_total,
        differences,
    }
}

impl StagesDigest {
    /// A sentence for each pair of points that differ, for people.
    pub fn sentences(&self) -> Vec<String> {
        let mut pairs: BTreeMap<usize, Vec<&Difference>> = BTreeMap::new();
        for difference in &self.differences {
            let order = match difference.between[0] {
                "source" => 0,
                "raw" => 1,
                _ => 2,
            };
            pairs.entry(order).or_default().push(difference);
        }
        pairs
            .into_values()
            .map(|differences| {
                let first = differences[0];
                let sum = |of: fn(&Difference) -> i64| differences.iter().map(|d| of(d)).sum::<i64>();
                let minutes = match differences.len() {
                    1 => format!("in minute {}", first.minute),
                    more => format!("in {more} minutes, the first {}", first.minute),
                };
                format!(
                    "digests differ between {} and {} {minutes}: transactions {}, lines {}, quantity {}",
                    first.between[0],
                    first.between[1],
                    signed(sum(|d| d.transactions)),
                    signed(sum(|d| d.lines)),
                    with_sign(sum(|d| d.quantity)),
                )
            })
            .collect()
    }
}

fn signed(value: i64) -> String {
    match value {
        0 => "±0".to_owned(),
        1.. => format!("+{}", count(value.unsigned_abs())),
        _ => format!("−{}", count(value.unsigned_abs())),
    }
}

fn with_sign(thousandths: i64) -> String {
    match thousandths {
        0 => "±0".to_owned(),
        1.. => format!("+{}", Quantity(thousandths)),
        _ => format!("−{}", Quantity(thousandths.saturating_neg())),
    }
}

#[cfg(test)]
mod tests {
    use contracts::ids::{BusinessDay, LocationId, SourceId, TransactionId};

    use super::*;

    /// Transaction number `n` happens in minute `n`, with two lines.
    fn minutes(numbers: &[u64]) -> Minutes {
        let mut minutes = Minutes::default();
        for number in numbers {
            let id = TransactionId {
                source: SourceId::till(LocationId::store(1), 1),
                business_day: BusinessDay(0),
                number: *number,
            };
            minutes.add(*number as i64 * 60_000, &Digest::of(&id, 2, 3_000));
        }
        minutes
    }

    fn negative(numbers: &[u64]) -> Minutes {
        let (all, mut less) = (minutes(numbers), Minutes::default());
        for (at, digest) in all.iter() {
            less.subtract(at.expect("a minute") * 60_000, &digest);
        }
        less
    }

    fn compared(raw: &[u64], movements: &[u64], repeats: &[u64], view_less: &[u64]) -> StagesDigest {
        compare(&Points {
            source: &minutes(&[1, 2, 3]),
            raw: &minutes(raw),
            raw_unreadable: 0,
            movements: &minutes(movements),
            movements_unreadable: 0,
            repeats: &minutes(repeats),
            view_less_truth: &negative(view_less),
            view_unexplained_cells: 0,
        })
    }

    fn found(digest: &StagesDigest) -> Vec<(&str, [&str; 2], i64)> {
        digest
            .differences
            .iter()
            .map(|d| (&d.minute[14..], d.between, d.transactions))
            .collect()
    }

    #[test]
    fn equal_points_differ_nowhere() {
        let digest = compared(&[1, 2, 3], &[1, 2, 3], &[], &[]);
        assert_eq!(digest.differences_total, 0);
        assert_eq!(digest.source.hash, digest.view.hash);
        assert!(digest.sentences().is_empty());
    }

    #[test]
    fn what_is_lost_is_lost_between_two_points_and_in_its_minute() {
        assert_eq!(
            found(&compared(&[1, 3], &[1, 3], &[], &[2])),
            [("02", ["source", "raw"], -1)]
        );
        assert_eq!(
            found(&compared(&[1, 2, 3], &[1, 2], &[], &[3])),
            [("03", ["raw", "movements"], -1)]
        );
        let digest = compared(&[1, 2, 3], &[1, 2, 3], &[], &[1]);
        assert_eq!(found(&digest), [("01", ["movements", "view"], -1)]);
        assert_eq!(
            digest.sentences(),
            [
                "digests differ between movements and view in minute 1970-01-01 00:01: transactions −1, lines −2, quantity −3"
            ]
        );
    }

    #[test]
    fn a_repeat_that_the_windows_dropped_shows_where_it_came_in_and_not_in_the_view() {
        assert_eq!(
            found(&compared(&[1, 2, 2, 3], &[1, 2, 2, 3], &[2], &[])),
            [("02", ["source", "raw"], 1)]
        );
        assert_eq!(
            found(&compared(&[1, 2, 3], &[1, 1, 2, 3], &[1], &[])),
            [("01", ["raw", "movements"], 1)]
        );
    }
}

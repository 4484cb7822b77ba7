//! Deliveries that arrive otherwise than their warehouse wrote: a carton less, or one more; and what the till system makes of
//! them.
//!
//! Invariant: which ones, and in which line, follows from the seed and the despatch advice alone, so nothing else that happens
//! is another for it.

use std::ops::Range;

use crate::config::STEP_MS;
use crate::random::Stream;

/// Always in a later step than the scan.
const POSTED_AFTER_MS: Range<i64> = 2 * STEP_MS as i64..12 * STEP_MS as i64;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Contradictions {
    pub seed: u64,
    /// One delivery in so many; 0: none.
    pub one_in: u32,
}

impl Contradictions {
    /// What is on the lorry, of what was shipped. `pack_of` is the carton of what lies in a slot.
    pub fn on_the_lorry(
        self,
        despatch_advice: u64,
        shipped: &[(u16, i32)],
        pack_of: impl Fn(u16) -> i32,
    ) -> Vec<(u16, i32)> {
        let mut lines = shipped.to_vec();
        if self.one_in == 0 || lines.is_empty() {
            return lines;
        }
        let mut draw = Stream::new(self.seed, "contradicting delivery", despatch_advice);
        if !draw.chance(1, self.one_in) {
            return lines;
        }
        let index = draw.below(lines.len() as u32) as usize;
        let pack = pack_of(lines[index].0);
        // Lost or left behind more often than put on the wrong lorry; and a lorry does not come empty.
        let is_less = draw.chance(3, 4) && (lines.len() > 1 || lines[index].1 > pack);
        lines[index].1 += if is_less { -pack } else { pack };
        lines.retain(|(_, quantity)| *quantity > 0);
        lines
    }

    /// What somebody posts at the till: what was scanned. But of a delivery that differs every other one is posted as the
    /// despatch advice has it, and of the others one in so many with a line keyed in wrong by a carton.
    pub fn posted(
        self,
        despatch_advice: u64,
        shipped: &[(u16, i32)],
        arrived: &[(u16, i32)],
        pack_of: impl Fn(u16) -> i32,
    ) -> Vec<(u16, i32)> {
        let mut draw = Stream::new(self.seed, "contradicting receipt", despatch_advice);
        if arrived != shipped {
            let is_copied = draw.chance(1, 2);
            return if is_copied { shipped } else { arrived }.to_vec();
        }
        let mut lines = arrived.to_vec();
        if self.one_in > 0 && !lines.is_empty() && draw.chance(1, self.one_in) {
            let line = &mut lines[draw.below(arrived.len() as u32) as usize];
            line.1 -= pack_of(line.0);
        }
        lines
    }

    /// From the scan at the door to the receipt in the till system.
    pub fn posted_after_ms(self, despatch_advice: u64) -> i64 {
        let mut draw = Stream::new(self.seed, "receipt posted", despatch_advice);
        POSTED_AFTER_MS.start + i64::from(draw.below((POSTED_AFTER_MS.end - POSTED_AFTER_MS.start) as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lorries(one_in: u32) -> Vec<Vec<(u16, i32)>> {
        let contradictions = Contradictions { seed: 5, one_in };
        (0..2_000)
            .map(|advice| contradictions.on_the_lorry(advice, &[(3, 12_000), (4, 6_000)], |_| 6_000))
            .collect()
    }

    #[test]
    fn one_in_so_many_differs_by_a_carton_and_the_same_ones_again() {
        let shipped = vec![(3, 12_000), (4, 6_000)];
        assert!(lorries(0).iter().all(|lines| *lines == shipped));
        let found = lorries(10);
        let differ = found.iter().filter(|lines| **lines != shipped).count();
        assert!((150..250).contains(&differ), "{differ} of 2,000");
        assert_eq!(found, lorries(10));
        let sum = |lines: &Vec<(u16, i32)>| lines.iter().map(|(_, quantity)| quantity).sum::<i32>();
        assert!(
            found
                .iter()
                .all(|lines| [12_000, 18_000, 24_000].contains(&sum(lines)))
        );
        assert!(found.iter().any(|lines| sum(lines) == 24_000));
        assert!(
            found.iter().any(|lines| lines.len() == 1),
            "a line that is missing"
        );
    }

    #[test]
    fn what_is_posted_is_what_came_or_what_the_advice_says_or_keyed_in_wrong() {
        let shipped = vec![(3, 12_000), (4, 6_000)];
        let short = vec![(3, 6_000), (4, 6_000)];
        let posted = |one_in, arrived: &[(u16, i32)]| {
            let contradictions = Contradictions { seed: 5, one_in };
            let of_it = |advice| contradictions.posted(advice, &shipped, arrived, |_| 6_000);
            (0..1_000).map(of_it).collect::<Vec<_>>()
        };
        assert!(posted(0, &shipped).iter().all(|lines| *lines == shipped));
        let of_short = posted(10, &short);
        let copied = of_short.iter().filter(|lines| **lines == shipped).count();
        let seen = of_short.iter().filter(|lines| **lines == short).count();
        assert_eq!(copied + seen, 1_000);
        assert!((400..600).contains(&copied), "{copied}");
        let wrong = posted(10, &shipped);
        let wrong = wrong.iter().filter(|lines| **lines != shipped).count();
        assert!((60..140).contains(&wrong), "{wrong}");
    }

    #[test]
    fn a_lorry_never_comes_empty() {
        let contradictions = Contradictions { seed: 5, one_in: 1 };
        for advice in 0..100 {
            let lines = contradictions.on_the_lorry(advice, &[(3, 6_000)], |_| 6_000);
            assert_eq!(lines, [(3, 12_000)]);
        }
    }
}

//! Deliveries that arrive otherwise than their warehouse wrote: a carton less, or one more.
//!
//! Invariant: which ones, and in which line, follows from the seed and the despatch advice alone, so nothing else that happens
//! is another for it.

use crate::random::Stream;

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
    fn a_lorry_never_comes_empty() {
        let contradictions = Contradictions { seed: 5, one_in: 1 };
        for advice in 0..100 {
            let lines = contradictions.on_the_lorry(advice, &[(3, 6_000)], |_| 6_000);
            assert_eq!(lines, [(3, 12_000)]);
        }
    }
}

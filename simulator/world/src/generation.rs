//! Which generation each till is of: a chain never renews all of them at once.
//!
//! Invariant: what a till is depends on the seed, its store, its place in the row and the shares alone, so that one more store
//! changes no other; shares hold over the chain, and most stores are of one generation: only where the chain is just being
//! renewed do two stand side by side.

use contracts::wire::poslog::Dialect;
use contracts::wire::{FORMAT_4690, FORMAT_POSLOG_2, FORMAT_POSLOG_6};

use crate::random::Stream;

/// What a till writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Generation {
    /// 4690 transaction log.
    Ibm4690,
    /// POSLog 6.0.
    PosLog6,
    /// POSLog 2.2.1.
    PosLog2,
}

impl Generation {
    pub const ALL: [Self; 3] = [Self::Ibm4690, Self::PosLog6, Self::PosLog2];

    /// The header `format` of its messages.
    pub const fn format(self) -> &'static str {
        match self {
            Self::Ibm4690 => FORMAT_4690,
            Self::PosLog6 => FORMAT_POSLOG_6,
            Self::PosLog2 => FORMAT_POSLOG_2,
        }
    }

    pub const fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Ibm4690 => None,
            Self::PosLog6 => Some(Dialect::V6),
            Self::PosLog2 => Some(Dialect::V2),
        }
    }
}

/// Share of each generation among tills, in per cent; the sum is 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TillMix {
    pub ibm_4690: u8,
    pub poslog_6: u8,
    pub poslog_2: u8,
}

impl Default for TillMix {
    fn default() -> Self {
        Self {
            ibm_4690: 70,
            poslog_6: 25,
            poslog_2: 5,
        }
    }
}

impl TillMix {
    pub const fn sum(self) -> u16 {
        self.ibm_4690 as u16 + self.poslog_6 as u16 + self.poslog_2 as u16
    }

    /// `position` is where a till lies between the first and the last of the chain, as a part of 2^32.
    const fn at(self, position: u32) -> Generation {
        let per_cent = (position as u64 * 100) >> 32;
        if per_cent < self.poslog_2 as u64 {
            Generation::PosLog2
        } else if per_cent < self.poslog_2 as u64 + self.poslog_6 as u64 {
            Generation::PosLog6
        } else {
            Generation::Ibm4690
        }
    }
}

/// 2^32 over the golden ratio: multiples of it lie evenly, however many are taken.
const GOLDEN: u32 = 0x9e37_79b9;
/// The tills of a store lie within so much of the chain: one in sixteen.
const STORE_SPAN: u32 = 1 << 28;

/// The generations of a store's tills, in their order.
pub(crate) fn generations(seed: u64, store: u16, tills: u16, mix: TillMix) -> Box<[Generation]> {
    let offset = Stream::new(seed, "generations", 0).bits();
    let first = offset.wrapping_add(u32::from(store).wrapping_mul(GOLDEN));
    (0..u32::from(tills))
        .map(|till| mix.at(first.wrapping_add(STORE_SPAN / u32::from(tills) * till)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_hold_over_the_chain_and_most_stores_are_of_one_generation() {
        let mix = TillMix::default();
        let mut counts = [0_u32; 3];
        let mut mixed = 0;
        for store in 1..=2_300 {
            let tills = generations(7, store, 7, mix);
            mixed += u32::from(tills.iter().any(|till| *till != tills[0]));
            tills.iter().for_each(|till| counts[*till as usize] += 1);
        }
        let share = |generation: Generation| f64::from(counts[generation as usize]) / (2_300.0 * 7.0);
        assert!((share(Generation::Ibm4690) - 0.70).abs() < 0.005, "{counts:?}");
        assert!((share(Generation::PosLog6) - 0.25).abs() < 0.005, "{counts:?}");
        assert!((share(Generation::PosLog2) - 0.05).abs() < 0.005, "{counts:?}");
        assert!((100..600).contains(&mixed), "{mixed}");
    }

    #[test]
    fn a_chain_of_one_generation_has_no_other() {
        let all = TillMix {
            ibm_4690: 0,
            poslog_6: 100,
            poslog_2: 0,
        };
        for store in 1..100 {
            let tills = generations(1, store, 12, all);
            assert!(tills.iter().all(|till| *till == Generation::PosLog6));
        }
    }

    #[test]
    fn another_seed_renews_other_stores() {
        let mix = TillMix::default();
        let chain = |seed| {
            (1..50)
                .map(|store| generations(seed, store, 5, mix))
                .collect::<Vec<_>>()
        };
        assert_eq!(chain(1), chain(1));
        assert_ne!(chain(1), chain(2));
    }
}

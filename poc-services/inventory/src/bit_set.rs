//! A set of small numbers, as bits: handed out in ascending order, so that what they index is walked through from its
//! beginning to its end.
//!
//! It grows to its highest member and never shrinks.

#[derive(Clone, Debug, Default)]
pub struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    pub fn insert(&mut self, member: u32) {
        let word = member as usize / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (member % 64);
    }

    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    /// Ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..)
            .step_by(64)
            .zip(&self.words)
            .flat_map(|(base, word)| Bits { base, left: *word })
    }
}

struct Bits {
    base: u32,
    left: u64,
}

impl Iterator for Bits {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let bit = self.left.trailing_zeros();
        // Of no bits left, 64.
        (bit < 64).then(|| {
            self.left &= self.left - 1;
            self.base + bit
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn members_come_out_once_and_ascending(members in proptest::collection::vec(0_u32..2_000, 0..200)) {
            let mut set = BitSet::default();
            for member in &members {
                set.insert(*member);
            }
            let expected: Vec<u32> = members.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), expected);
            set.clear();
            prop_assert_eq!(set.iter().count(), 0);
        }
    }
}

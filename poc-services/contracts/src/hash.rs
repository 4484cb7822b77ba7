//! A stable 64-bit hash of content: the same on every machine and in every version.
//!
//! Words of eight bytes, little-endian, are folded as FNV-1a folds bytes, and rotated by 29 (eight times the speed); the
//! rest of the bytes, filled with zeros, and the length are two words more; the finaliser is SplitMix64's. It tells a repeat from another
//! content; it is no protection against somebody who wants two contents to look alike.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// SplitMix64's finaliser: every bit of the result depends on every bit given.
pub const fn finish(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Of bytes.
pub fn content_hash(bytes: &[u8]) -> u64 {
    let mut hash = ContentHash::default();
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash.word(u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    hash.word(u64::from_le_bytes(last));
    hash.word(bytes.len() as u64);
    hash.finish()
}

/// Of a sequence of numbers.
#[derive(Clone, Copy, Debug)]
pub struct ContentHash(u64);

impl Default for ContentHash {
    fn default() -> Self {
        Self(OFFSET)
    }
}

impl ContentHash {
    pub const fn word(&mut self, word: u64) {
        // The rotation carries high bits down, which a multiplication alone never does.
        self.0 = (self.0 ^ word).wrapping_mul(PRIME).rotate_left(29);
    }

    pub const fn finish(self) -> u64 {
        finish(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(content_hash(b""), 0x2baa_581c_0d9c_ee6b);
        assert_eq!(content_hash(b"stockstream"), 0xe9a1_e9f8_489b_e667);
    }

    #[test]
    fn one_bit_or_one_trailing_zero_gives_another_hash() {
        let bytes = [7_u8; 40];
        let whole = content_hash(&bytes);
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(content_hash(&other), whole, "{bit}");
        }
        assert_ne!(content_hash(&[0; 8]), content_hash(&[0; 9]));
        assert_ne!(content_hash(&[0; 3]), content_hash(&[0; 4]));
    }
}

//! The hasher of the service's tables: one multiplication for a key of a few bytes.
//!
//! Keys are ids from the sources' own small number spaces, not chosen by anybody who could want a table to be slow:
//! everything in a table was numbered by master data. It is no protection and no digest.

use std::hash::{BuildHasherDefault, Hasher};

pub type FastHash = BuildHasherDefault<FastHasher>;

#[derive(Clone, Copy, Debug, Default)]
pub struct FastHasher(u64);

impl FastHasher {
    const fn word(&mut self, word: u64) {
        let product = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // A table takes its buckets from the low bits and its tags from the high ones.
        self.0 = product ^ (product >> 32);
    }
}

impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn write_u16(&mut self, value: u16) {
        self.word(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.word(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.word(value);
    }

    fn write_isize(&mut self, value: isize) {
        self.word(value as u64);
    }
}

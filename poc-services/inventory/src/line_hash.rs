//! The hash that names a line, so that lost, doubled and altered lines can be told apart from outside.
//!
//! FNV-1a 64 over location text, source kind (a byte), source unit (u16), business day (u32), number (u64) and the index
//! of the line (u32), little-endian, plus the quantity times 0x9e3779b97f4a7c15, then SplitMix64's finaliser. A cell holds
//! the wrapping sum of the hashes of what it applied. Others write the same function on their own and compare; this is our
//! writing of it.

use contracts::hash::finish;
use contracts::ids::{SourceId, TransactionId};

/// FNV-1a over what was eaten so far. Keeping one per source saves its part of the text on each transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineHasher(u64);

impl LineHasher {
    /// What all transactions of a source have in common.
    pub fn of_source(source: SourceId) -> Self {
        let mut text = Vec::with_capacity(6);
        contracts::topics::push_location(&mut text, source.location);
        Self(0xcbf2_9ce4_8422_2325)
            .eat(&text)
            .eat(&[source.kind as u8])
            .eat(&source.unit.to_le_bytes())
    }

    /// Goes on from [`LineHasher::of_source`].
    #[must_use]
    pub fn transaction(self, id: &TransactionId) -> Self {
        self.eat(&id.business_day.0.to_le_bytes())
            .eat(&id.number.to_le_bytes())
    }

    /// Goes on from [`LineHasher::transaction`], and ends.
    pub fn line(self, index: u32, quantity: i64) -> u64 {
        let quantity = (quantity as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        finish(self.eat(&index.to_le_bytes()).0.wrapping_add(quantity))
    }

    fn eat(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use contracts::ids::{BusinessDay, LocationId};

    use super::*;

    /// The constants were computed from the description in another language.
    #[test]
    fn a_line_hash_is_the_documented_function() {
        let hash = |source, day, number, index, quantity| {
            let id = TransactionId {
                source,
                business_day: BusinessDay(day),
                number,
            };
            LineHasher::of_source(source)
                .transaction(&id)
                .line(index, quantity)
        };
        let till = SourceId::till(LocationId::store(42), 3);
        assert_eq!(hash(till, 20_528, 1187, 0, 0), 0x201c_edf1_0d75_2d5e);
        assert_eq!(hash(till, 20_528, 1187, 2, 2_500), 0x4ada_225c_bf97_dcab);
        let queue = SourceId::queue(LocationId::warehouse(7));
        assert_eq!(hash(queue, 0, 123_456_789, 31, 12_000), 0x6998_14a3_2741_5850);
        let reader = SourceId::reader(LocationId::store(12_345), 65_535);
        assert_eq!(hash(reader, 0, 1, 0, -3_000), 0x533b_d703_4737_6c46);
    }
}

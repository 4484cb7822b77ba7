//! What passed a point of the flow, minute by minute of simulated time: two points that saw the same have equal digests.
//!
//! A digest is a multiset hash (a wrapping sum, so order does not matter and nothing cancels out), a count and a quantity:
//! some nanoseconds a transaction. It tells that two points differ, in which minute and by how much; which transaction it
//! was, it does not. Invariant: bounded: minutes far from the first one share one digest.

use std::collections::VecDeque;

use crate::hash::finish;
use crate::ids::{LocationId, SourceId, TransactionId};
use crate::topics::PARTITIONS;

const MINUTE_MS: i64 = 60_000;
/// Two weeks; each minute takes 64 bytes.
const MINUTES_MAX: usize = 14 * 24 * 60;
/// What is reported late, by clocks that are behind: this much before the first minute still has a place.
const BEFORE: i64 = 24 * 60;

/// Of some transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// Wrapping sum of a hash of each transaction's identity, number of lines and quantity.
    pub hash: u64,
    pub transactions: u64,
    pub lines: u64,
    /// Sum over all lines, in thousandths, as the lines have them.
    pub quantity: i64,
}

impl Digest {
    /// Of one.
    pub fn of(id: &TransactionId, lines: u64, quantity: i64) -> Self {
        let SourceId { location, kind, unit } = id.source;
        let mut hash = 0;
        for word in [
            place_word(location) << 32 | (kind as u64 & 0xff) << 16 | u64::from(unit),
            u64::from(id.business_day.0) << 32 ^ id.number,
            lines << 48 ^ quantity as u64,
        ] {
            hash = finish(hash ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        }
        Self {
            hash,
            transactions: 1,
            lines,
            quantity,
        }
    }

    pub const fn add(&mut self, other: &Self) {
        self.hash = self.hash.wrapping_add(other.hash);
        self.transactions = self.transactions.wrapping_add(other.transactions);
        self.lines = self.lines.wrapping_add(other.lines);
        self.quantity = self.quantity.wrapping_add(other.quantity);
    }

    pub const fn subtract(&mut self, other: &Self) {
        self.hash = self.hash.wrapping_sub(other.hash);
        self.transactions = self.transactions.wrapping_sub(other.transactions);
        self.lines = self.lines.wrapping_sub(other.lines);
        self.quantity = self.quantity.wrapping_sub(other.quantity);
    }
}

fn place_word(location: LocationId) -> u64 {
    u64::from(location.copybook_number())
}

/// Of a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Minute {
    all: Digest,
    /// Of them, those without lines: nobody can tell from stock whether they are in.
    without_lines: Digest,
}

/// Digests by minute.
#[derive(Clone, Debug, Default)]
pub struct Minutes {
    /// The minute of the first digest, since 1970.
    base: Option<i64>,
    minutes: VecDeque<Minute>,
    /// Of minutes that have no place.
    elsewhere: Minute,
}

impl Minutes {
    /// Counts a transaction that happened at this time, by its source's clock.
    pub fn add(&mut self, at_ms: i64, digest: &Digest) {
        let minute = self.at(at_ms.div_euclid(MINUTE_MS));
        minute.all.add(digest);
        if digest.lines == 0 {
            minute.without_lines.add(digest);
        }
    }

    /// Takes a transaction out again.
    pub fn subtract(&mut self, at_ms: i64, digest: &Digest) {
        let minute = self.at(at_ms.div_euclid(MINUTE_MS));
        minute.all.subtract(digest);
        if digest.lines == 0 {
            minute.without_lines.subtract(digest);
        }
    }

    fn at(&mut self, minute: i64) -> &mut Minute {
        let base = *self.base.get_or_insert_with(|| minute.saturating_sub(BEFORE));
        let index = minute.saturating_sub(base);
        match usize::try_from(index) {
            Ok(index) if index < MINUTES_MAX => {
                if index >= self.minutes.len() {
                    self.minutes.resize(index + 1, Minute::default());
                }
                &mut self.minutes[index]
            }
            _ => &mut self.elsewhere,
        }
    }

    /// Minutes since 1970 with something in them, ascending. `None` stands last, for those that have no place.
    pub fn iter(&self) -> impl Iterator<Item = (Option<i64>, Digest)> + '_ {
        self.rows().map(|(at, minute)| (at, minute.all))
    }

    /// The same of transactions without lines alone.
    pub fn iter_without_lines(&self) -> impl Iterator<Item = (Option<i64>, Digest)> + '_ {
        self.rows().map(|(at, minute)| (at, minute.without_lines))
    }

    fn rows(&self) -> impl Iterator<Item = (Option<i64>, Minute)> + '_ {
        let base = self.base.unwrap_or_default();
        let minutes = self
            .minutes
            .iter()
            .zip(0..)
            .map(move |(digest, index)| (Some(base + index), *digest));
        minutes
            .chain([(None, self.elsewhere)])
            .filter(|(_, minute)| *minute != Minute::default())
    }

    /// Of all minutes.
    pub fn total(&self) -> Digest {
        let mut total = self.elsewhere.all;
        self.minutes.iter().for_each(|minute| total.add(&minute.all));
        total
    }
}

/// Where reading stands in a topic: tells a record from one that is read again after a restart.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOnce([u64; PARTITIONS as usize]);

impl ReadOnce {
    /// Whether this record was not read before.
    pub fn is_new(&mut self, partition: u32, offset: u64) -> bool {
        let Some(next) = self.0.get_mut(partition as usize) else {
            return false;
        };
        let is_new = offset >= *next;
        if is_new {
            *next = offset + 1;
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BusinessDay;

    fn id(number: u64) -> TransactionId {
        TransactionId {
            source: SourceId::till(LocationId::store(42), 3),
            business_day: BusinessDay(20_000),
            number,
        }
    }

    fn all(minutes: &Minutes) -> Vec<(Option<i64>, Digest)> {
        minutes.iter().collect()
    }

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let of = |transactions: &[(u64, u64, i64)]| {
            let mut minutes = Minutes::default();
            for (number, lines, quantity) in transactions {
                minutes.add(600_000, &Digest::of(&id(*number), *lines, *quantity));
            }
            minutes.total()
        };
        assert_eq!(of(&[(1, 2, 3), (4, 5, 6)]), of(&[(4, 5, 6), (1, 2, 3)]));
        let one = of(&[(1, 2, 3), (4, 5, 6)]);
        for other in [
            &[(1, 2, 3)][..],
            &[(1, 2, 3), (4, 5, 6), (4, 5, 6)],
            &[(1, 2, 3), (7, 5, 6)],
            &[(1, 2, 4), (4, 5, 5)],
            &[(1, 5, 3), (4, 2, 6)],
        ] {
            assert_ne!(of(other).hash, one.hash, "{other:?}");
        }
        // A sum, not an exclusive or: what comes twice does not vanish.
        assert_ne!(of(&[(1, 2, 3), (1, 2, 3)]).hash, 0);
    }

    #[test]
    fn minutes_are_kept_apart_and_what_is_taken_out_leaves_nothing() {
        let mut minutes = Minutes::default();
        let digest = Digest::of(&id(1), 1, 1_000);
        minutes.add(59_999, &digest);
        minutes.add(60_000, &digest);
        minutes.add(-1, &digest);
        assert_eq!(
            all(&minutes).iter().map(|(at, _)| *at).collect::<Vec<_>>(),
            [Some(-1), Some(0), Some(1)]
        );
        minutes.subtract(60_001, &digest);
        assert_eq!(all(&minutes).len(), 2);
    }

    #[test]
    fn times_far_away_share_one_digest_and_take_no_room() {
        let mut minutes = Minutes::default();
        let digest = Digest::of(&id(1), 1, 1_000);
        for at in [0, i64::MAX, i64::MIN, 400 * 86_400_000] {
            minutes.add(at, &digest);
        }
        assert!(minutes.minutes.len() <= MINUTES_MAX);
        assert_eq!(all(&minutes).last().expect("three").0, None);
        assert_eq!(minutes.total().transactions, 4);
    }

    #[test]
    fn a_record_that_is_read_again_is_told() {
        let mut read = ReadOnce::default();
        assert!(read.is_new(3, 10) && read.is_new(3, 11) && read.is_new(2, 10));
        assert!(!read.is_new(3, 10) && !read.is_new(3, 11) && read.is_new(3, 14));
        assert!(!read.is_new(PARTITIONS, 0), "there is no such partition");
    }
}

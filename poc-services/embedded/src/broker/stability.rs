//! Which records of a partition are settled: open transactions, and those that were aborted.
//!
//! Invariant: every record below [`Stability::stable_end`] is committed or, if not, its transaction is among the
//! aborted. It looks at offsets only; the markers themselves lie in the log.

use std::collections::BTreeMap;

/// What a reader wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    Uncommitted,
    /// Nothing of an open transaction, and a list of what to skip.
    Committed,
}

impl Isolation {
    /// The level of Fetch and ListOffsets.
    pub fn from_wire(level: i8) -> Self {
        if level == 1 {
            Isolation::Committed
        } else {
            Isolation::Uncommitted
        }
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Commit,
    Abort,
}

/// A transaction that was aborted, in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aborted {
    pub producer_id: i64,
    pub first_offset: i64,
    /// Where its marker lies.
    pub last_offset: i64,
}

#[derive(Debug, Default)]
pub struct Stability {
    /// Open transactions: producer and first offset.
    open: BTreeMap<i64, i64>,
    /// In the order in which they ended.
    aborted: Vec<Aborted>,
}

impl Stability {
    pub fn is_open(&self, producer_id: i64) -> bool {
        self.open.contains_key(&producer_id)
    }

    /// A record of a transaction was appended.
    pub fn appended(&mut self, producer_id: i64, offset: i64) {
        self.open.entry(producer_id).or_insert(offset);
    }

    /// A marker was appended at `offset`.
    pub fn ended(&mut self, producer_id: i64, offset: i64, outcome: Outcome) {
        if let Some(first_offset) = self.open.remove(&producer_id)
            && outcome == Outcome::Abort
        {
            self.aborted.push(Aborted {
                producer_id,
                first_offset,
                last_offset: offset,
            });
        }
    }

    /// The last stable offset of a log with these ends.
    pub fn stable_end(&self, log_start: i64, log_end: i64) -> i64 {
        let oldest = self.open.values().min();
        oldest.map_or(log_end, |first| (*first).max(log_start))
    }

    /// Aborted transactions with records in `from..to`.
    pub fn aborted_in(&self, from: i64, to: i64) -> Vec<Aborted> {
        let overlaps = |known: &&Aborted| known.last_offset >= from && known.first_offset < to;
        self.aborted.iter().filter(overlaps).copied().collect()
    }

    /// Forgets what ended below an offset: nothing of it is in the log any more.
    pub fn forget_below(&mut self, offset: i64) {
        self.aborted.retain(|known| known.last_offset >= offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_open_transaction_holds_the_stable_end() {
        let mut stability = Stability::default();
        assert_eq!(stability.stable_end(0, 9), 9);
        stability.appended(1, 3);
        stability.appended(2, 5);
        stability.appended(1, 7);
        assert_eq!(stability.stable_end(0, 9), 3);
        assert_eq!(stability.stable_end(4, 9), 4, "never below the start of the log");
        stability.ended(1, 9, Outcome::Commit);
        assert_eq!(stability.stable_end(0, 10), 5);
        stability.ended(2, 10, Outcome::Abort);
        assert_eq!(stability.stable_end(0, 11), 11);
    }

    #[test]
    fn aborted_transactions_are_listed_where_their_records_lie() {
        let mut stability = Stability::default();
        for (producer, first, last) in [(1, 0, 4), (2, 2, 8)] {
            stability.appended(producer, first);
            stability.ended(producer, last, Outcome::Abort);
        }
        let listed = |from, to| -> Vec<i64> {
            let found = stability.aborted_in(from, to);
            found.iter().map(|aborted| aborted.producer_id).collect()
        };
        assert_eq!(listed(0, 1), [1]);
        assert_eq!(listed(0, 9), [1, 2]);
        assert_eq!(listed(5, 9), [2]);
        assert_eq!(listed(9, 12), Vec::<i64>::new());
    }

    #[test]
    fn marker_without_records_aborts_nothing() {
        let mut stability = Stability::default();
        stability.ended(1, 0, Outcome::Abort);
        assert!(stability.aborted_in(0, 9).is_empty());
    }
}

//! Sequence numbers of idempotent producers on one partition.
//!
//! Invariant: a batch that was appended once is acknowledged again with its first offset and never appended
//! twice, as long as it is among the last five of its producer, which is all that a client may have in flight.
//! Of transactions it knows only that their end may bring a newer epoch.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::batch::BatchHeader;

/// Batches remembered for each producer.
const REMEMBERED: usize = 5;
/// Producers remembered for each partition; beyond it the longest silent one is forgotten.
const PRODUCERS_MAX: usize = 10_000;

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    Append,
    /// The batch is in the log since `base_offset`.
    Duplicate {
        base_offset: i64,
    },
    OutOfOrder,
    /// A newer instance of the producer has written here.
    Fenced,
}

#[derive(Debug, Clone, Copy)]
struct Appended {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    recent: VecDeque<Appended>,
    last_ms: i64,
}

#[derive(Debug, Default)]
pub struct Producers {
    by_id: HashMap<i64, Producer>,
}

impl Producers {
    /// Judges a batch; batches without a producer id are always new.
    pub fn check(&self, header: &BatchHeader) -> Sequence {
        let Some(producer) = self.by_id.get(&header.producer_id) else {
            return Sequence::Append;
        };
        if header.producer_epoch < producer.epoch {
            return Sequence::Fenced;
        }
        if header.producer_epoch > producer.epoch {
            return if header.base_sequence == 0 {
                Sequence::Append
            } else {
                Sequence::OutOfOrder
            };
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        if let Some(known) = producer
            .recent
            .iter()
            .find(|b| b.first_sequence == first && b.last_sequence == last)
        {
            return Sequence::Duplicate {
                base_offset: known.base_offset,
            };
        }
        match producer.recent.back() {
            Some(newest) if first == next_sequence(newest.last_sequence) => Sequence::Append,
            Some(_) => Sequence::OutOfOrder,
            None => Sequence::Append,
        }
    }

    /// Remembers an appended batch.
    pub fn record(&mut self, header: &BatchHeader, base_offset: i64, now_ms: i64) {
        if header.producer_id < 0 {
            return;
        }
        if self.by_id.len() >= PRODUCERS_MAX && !self.by_id.contains_key(&header.producer_id) {
            let silent = self
                .by_id
                .iter()
                .min_by_key(|(_, p)| p.last_ms)
                .map(|(id, _)| *id);
            if let Some(id) = silent {
                self.by_id.remove(&id);
            }
        }
        let producer = self.by_id.entry(header.producer_id).or_insert_with(|| Producer {
            epoch: header.producer_epoch,
            recent: VecDeque::with_capacity(REMEMBERED),
            last_ms: now_ms,
        });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.recent.clear();
        }
        if producer.recent.len() == REMEMBERED {
            producer.recent.pop_front();
        }
        producer.last_ms = now_ms;
        producer.recent.push_back(Appended {
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset,
        });
    }

    /// A transaction of the producer has ended under this epoch; a newer one begins to count from anywhere.
    pub fn end_transaction(&mut self, producer_id: i64, epoch: i16, now_ms: i64) {
        if let Some(producer) = self.by_id.get_mut(&producer_id) {
            if producer.epoch != epoch {
                producer.epoch = epoch;
                producer.recent.clear();
            }
            producer.last_ms = now_ms;
        }
    }

    /// Forgets producers that wrote nothing since `before_ms`.
    pub fn expire(&mut self, before_ms: i64) {
        self.by_id.retain(|_, producer| producer.last_ms >= before_ms);
    }
}

fn next_sequence(last: i32) -> i32 {
    if last == i32::MAX { 0 } else { last + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(epoch: i16, base_sequence: i32, count: i32) -> BatchHeader {
        BatchHeader {
            base_offset: 0,
            leader_epoch: 0,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: 9,
            producer_epoch: epoch,
            base_sequence,
            record_count: count,
        }
    }

    #[test]
    fn retried_batch_is_acknowledged_with_its_first_offset() {
        let mut producers = Producers::default();
        producers.record(&header(0, 0, 3), 100, 0);
        producers.record(&header(0, 3, 2), 103, 0);
        assert_eq!(
            producers.check(&header(0, 0, 3)),
            Sequence::Duplicate { base_offset: 100 }
        );
        assert_eq!(producers.check(&header(0, 5, 1)), Sequence::Append);
    }

    #[test]
    fn gap_and_forgotten_batch_are_out_of_order() {
        let mut producers = Producers::default();
        for n in 0..6 {
            producers.record(&header(0, n, 1), i64::from(n), 0);
        }
        assert_eq!(producers.check(&header(0, 7, 1)), Sequence::OutOfOrder);
        assert_eq!(producers.check(&header(0, 0, 1)), Sequence::OutOfOrder);
    }

    #[test]
    fn newer_epoch_starts_at_zero_and_fences_the_older() {
        let mut producers = Producers::default();
        producers.record(&header(0, 0, 1), 0, 0);
        assert_eq!(producers.check(&header(1, 4, 1)), Sequence::OutOfOrder);
        assert_eq!(producers.check(&header(1, 0, 1)), Sequence::Append);
        producers.record(&header(1, 0, 1), 1, 0);
        assert_eq!(producers.check(&header(0, 1, 1)), Sequence::Fenced);
    }

    #[test]
    fn sequence_wraps_to_zero() {
        let mut producers = Producers::default();
        producers.record(&header(0, i32::MAX - 1, 2), 0, 0);
        assert_eq!(producers.check(&header(0, 0, 1)), Sequence::Append);
    }
}

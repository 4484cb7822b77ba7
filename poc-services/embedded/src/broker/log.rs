//! The log of one partition: stored batches, found by offset and by time with binary search.
//!
//! Invariant: batches lie in rising offset order without overlap, all of them at or above `start` (the first may
//! straddle it) and below `end`; `bytes` is what they hold, each with its share of bookkeeping.
//! It does not lock, wait or know clients.

use std::collections::VecDeque;

use bytes::Bytes;

use super::batch::{BatchHeader, Records};

/// What keeping one batch costs beside its bytes.
const ENTRY_BYTES: usize = 112;

#[derive(Debug, Clone)]
pub struct StoredBatch {
    pub base_offset: i64,
    pub last_offset: i64,
    pub max_timestamp: i64,
    /// The broker's clock when the batch came in.
    pub appended_ms: i64,
    pub bytes: Bytes,
    records: u64,
    /// Largest timestamp up to and including this batch: rises, so it can be searched.
    timestamp_so_far: i64,
}

impl StoredBatch {
    pub fn new(bytes: Bytes, appended_ms: i64) -> Self {
        let header = BatchHeader::read(&bytes);
        Self {
            base_offset: header.base_offset,
            last_offset: header.base_offset + i64::from(header.last_offset_delta),
            max_timestamp: header.max_timestamp,
            appended_ms,
            bytes,
            records: u64::try_from(header.record_count).unwrap_or_default(),
            timestamp_so_far: header.max_timestamp,
        }
    }

    pub fn held_bytes(&self) -> usize {
        self.bytes.len() + ENTRY_BYTES
    }
}

/// A point found by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedOffset {
    pub timestamp: i64,
    pub offset: i64,
}

#[derive(Debug, Default)]
pub struct Log {
    batches: VecDeque<StoredBatch>,
    start: i64,
    end: i64,
    bytes: usize,
    records: u64,
    /// Leader epochs with the first offset that was written under each.
    epochs: Vec<(i32, i64)>,
}

impl Log {
    pub fn start(&self) -> i64 {
        self.start
    }

    /// Offset of the next record; the high watermark too, as nothing is replicated.
    pub fn end(&self) -> i64 {
        self.end
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Records that are held, those of a batch that straddles the start among them.
    pub fn records(&self) -> u64 {
        self.records
    }

    pub fn batches(&self) -> &VecDeque<StoredBatch> {
        &self.batches
    }

    /// Notes that a leader epoch begins here.
    pub fn begin_epoch(&mut self, epoch: i32) {
        // An epoch in which nothing was written leaves no trace, as on a real broker.
        while self.epochs.last().is_some_and(|(_, first)| *first >= self.end) {
            self.epochs.pop();
        }
        self.epochs.push((epoch, self.end));
    }

    /// The newest epoch not above `epoch` and the offset at which it ended. `None` for an epoch that is newer than
    /// all that are known; one that is older than all ended where the first known began.
    pub fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        let (newest, _) = *self.epochs.last()?;
        if epoch < 0 || epoch > newest {
            return None;
        }
        let newer = self.epochs.partition_point(|(known, _)| *known <= epoch);
        let end = self.epochs.get(newer).map_or(self.end, |(_, first)| *first);
        let found = newer.checked_sub(1).map_or(epoch, |index| self.epochs[index].0);
        Some((found, end))
    }

    /// Appends a batch that was stamped with [`Log::end`].
    pub fn append(&mut self, mut batch: StoredBatch) {
        debug_assert_eq!(
            batch.base_offset, self.end,
            "a batch is stamped with the end of the log"
        );
        if let Some(last) = self.batches.back() {
            batch.timestamp_so_far = batch.timestamp_so_far.max(last.timestamp_so_far);
        }
        self.end = batch.last_offset + 1;
        self.bytes += batch.held_bytes();
        self.records += batch.records;
        self.batches.push_back(batch);
    }

    /// The batches from the one that holds `offset` on.
    pub fn at_or_after(&self, offset: i64) -> impl Iterator<Item = &StoredBatch> {
        let index = self.batches.partition_point(|batch| batch.last_offset < offset);
        self.batches.range(index..)
    }

    /// The first record at or after `timestamp`. Inside a compressed batch its first record stands for all.
    pub fn find_time(&self, timestamp: i64) -> Option<TimedOffset> {
        let index = self
            .batches
            .partition_point(|batch| batch.timestamp_so_far < timestamp);
        // The running maximum may stem from a batch that was dropped since, hence the walk.
        let batch = self
            .batches
            .range(index..)
            .find(|batch| batch.max_timestamp >= timestamp)?;
        let found = first_record_at(batch, |time| time >= timestamp);
        Some(TimedOffset {
            offset: found.offset.max(self.start),
            ..found
        })
    }

    /// The record with the largest timestamp.
    pub fn find_max_time(&self) -> Option<TimedOffset> {
        let newest = self.batches.iter().map(|batch| batch.max_timestamp).max()?;
        let batch = self.batches.iter().find(|batch| batch.max_timestamp == newest)?;
        Some(first_record_at(batch, |time| time == newest))
    }

    /// Moves the start of the log to `offset` and drops the batches that lie wholly below it; returns the bytes
    /// set free.
    pub fn trim_to(&mut self, offset: i64) -> usize {
        let offset = offset.min(self.end);
        if offset <= self.start {
            return 0;
        }
        self.start = offset;
        let mut freed = 0;
        while self
            .batches
            .front()
            .is_some_and(|batch| batch.last_offset < offset)
        {
            let gone = self.batches.pop_front().expect("front was seen");
            freed += gone.held_bytes();
            self.records -= gone.records;
        }
        self.bytes -= freed;
        self.forget_epochs();
        freed
    }

    /// Of the epochs that began below the start of the log only the newest is needed: it begins there now.
    fn forget_epochs(&mut self) {
        let start = self.start;
        let old = self.epochs.partition_point(|(_, first)| *first <= start);
        if old > 1 {
            self.epochs.drain(..old - 1);
        }
        if let Some((_, first)) = self.epochs.first_mut() {
            *first = (*first).max(start);
        }
    }

    /// Puts compacted batches in place of all that end below `below`. Returns how many bytes fewer are held
    /// (negative if it grew).
    pub fn replace_prefix(&mut self, below: i64, compacted: Vec<StoredBatch>) -> isize {
        let before = self.bytes;
        while self
            .batches
            .front()
            .is_some_and(|batch| batch.last_offset < below)
        {
            let gone = self.batches.pop_front().expect("front was seen");
            self.bytes -= gone.held_bytes();
            self.records -= gone.records;
        }
        for batch in compacted
            .into_iter()
            .rev()
            .filter(|batch| batch.last_offset >= self.start)
        {
            self.bytes += batch.held_bytes();
            self.records += batch.records;
            self.batches.push_front(batch);
        }
        let mut so_far = -1;
        for batch in &mut self.batches {
            so_far = so_far.max(batch.max_timestamp);
            batch.timestamp_so_far = so_far;
        }
        before as isize - self.bytes as isize
    }
}

fn first_record_at(batch: &StoredBatch, wanted: impl Fn(i64) -> bool) -> TimedOffset {
    let header = BatchHeader::read(&batch.bytes);
    if !header.is_compressed() && !header.is_append_time() {
        for record in Records::of(&batch.bytes) {
            let time = header.base_timestamp + record.timestamp_delta;
            if wanted(time) {
                return TimedOffset {
                    timestamp: time,
                    offset: header.base_offset + i64::from(record.offset_delta),
                };
            }
        }
    }
    TimedOffset {
        timestamp: batch.max_timestamp,
        offset: batch.base_offset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::batch::{BatchWriter, record_tail};

    fn log_of(times: &[&[i64]]) -> Log {
        let mut log = Log::default();
        log.begin_epoch(0);
        for batch in times {
            let mut writer = BatchWriter::new(log.end(), 0, 0, batch[0], 128);
            for (index, time) in batch.iter().enumerate() {
                writer.push(
                    log.end() + index as i64,
                    *time,
                    &record_tail(Some(b"k"), Some(b"v")),
                );
            }
            let bytes = writer.finish(log.end() + batch.len() as i64 - 1);
            log.append(StoredBatch::new(bytes, 0));
        }
        log
    }

    #[test]
    fn offset_inside_a_batch_finds_that_batch() {
        let log = log_of(&[&[1, 2, 3], &[4, 5], &[6]]);
        let found = |offset| log.at_or_after(offset).next().map(|batch| batch.base_offset);
        assert_eq!(
            [found(0), found(2), found(3), found(5), found(6)],
            [Some(0), Some(0), Some(3), Some(5), None]
        );
    }

    #[test]
    fn time_finds_the_first_record_not_older() {
        let log = log_of(&[&[10, 30], &[20, 25], &[40]]);
        let found = |time| log.find_time(time).map(|at| at.offset);
        assert_eq!(
            [found(0), found(11), found(30), found(31), found(41)],
            [Some(0), Some(1), Some(1), Some(4), None]
        );
    }

    #[test]
    fn time_is_found_after_the_batch_with_the_largest_one_was_dropped() {
        let mut log = log_of(&[&[100], &[20], &[30], &[40]]);
        log.trim_to(1);
        assert_eq!(
            log.find_time(35),
            Some(TimedOffset {
                timestamp: 40,
                offset: 3
            })
        );
        assert_eq!(
            log.find_max_time(),
            Some(TimedOffset {
                timestamp: 40,
                offset: 3
            })
        );
    }

    #[test]
    fn trimming_inside_a_batch_keeps_it_and_moves_the_start() {
        let mut log = log_of(&[&[1, 2, 3], &[4]]);
        assert_eq!(log.trim_to(2), 0);
        assert_eq!((log.start(), log.batches().len()), (2, 2));
        assert!(log.trim_to(4) > 0);
        assert_eq!((log.start(), log.end(), log.bytes()), (4, 4, 0));
    }

    #[test]
    fn epochs_end_where_the_next_begins() {
        let mut log = log_of(&[&[1, 2]]);
        log.begin_epoch(3);
        log.begin_epoch(4);
        assert_eq!(log.end_of_epoch(0), Some((0, 2)));
        assert_eq!(log.end_of_epoch(3), Some((0, 2)));
        assert_eq!(log.end_of_epoch(4), Some((4, 2)));
        assert_eq!(log.end_of_epoch(9), None);
        assert_eq!(log.end_of_epoch(-1), None);
    }

    #[test]
    fn epochs_below_the_start_of_the_log_are_forgotten() {
        let mut log = log_of(&[&[1, 2]]);
        log.begin_epoch(3);
        let mut writer = BatchWriter::new(2, 3, 0, 5, 128);
        writer.push(2, 5, &record_tail(Some(b"k"), Some(b"v")));
        log.append(StoredBatch::new(writer.finish(2), 0));
        log.begin_epoch(6);
        log.trim_to(3);
        assert_eq!(log.epochs, [(6, 3)]);
        assert_eq!(log.end_of_epoch(2), Some((2, 3)));
    }
}

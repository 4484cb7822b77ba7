//! Compaction: of each key only the newest record stays, at the offset that it has.
//!
//! Invariant: what a reader from the beginning ends up with, key by key, is the same before and after; offsets are never
//! moved, so a position stays valid. The log is not locked while it is rewritten: a snapshot of its batches is, and the
//! result takes their place in one step, behind which everything that came meanwhile stays as it is.
//! Compressed batches are kept whole: their keys cannot be seen.

use hashbrown::HashSet;

use super::batch::{BatchHeader, BatchWriter, RecordView, Records};
use super::cluster::{Cluster, now_ms};
use super::log::StoredBatch;
use super::partition::Snapshot;
use super::stability::Aborted;

/// Below so many new bytes a round is not worth its cost.
const DIRTY_BYTES_MIN: usize = 8 << 20;
/// Survivors are gathered into batches of about this size.
const BATCH_BYTES: usize = 512 << 10;

/// One round over all partitions of compacted topics that have gathered enough.
pub fn run(cluster: &Cluster) {
    for topic in cluster.topics() {
        let config = topic.config();
        if !config.is_compacted {
            continue;
        }
        let now = now_ms();
        let up_to = now.saturating_sub(config.min_compaction_lag_ms);
        let few = DIRTY_BYTES_MIN.min(cluster.memory.bound() / 64);
        for partition in topic.partitions().iter() {
            let Some(snapshot) = partition.snapshot_if(up_to, |dirty| {
                let is_much = dirty.bytes >= few.max(dirty.clean_bytes);
                is_much || now.saturating_sub(dirty.since_ms) >= config.max_compaction_lag_ms
            }) else {
                continue;
            };
            let Some(last) = snapshot.batches.last() else {
                continue;
            };
            let below = last.last_offset + 1;
            let tombstones_before = now - config.delete_retention_ms;
            let compacted = compact(&snapshot, tombstones_before);
            partition.install(below, compacted, &cluster.memory);
        }
    }
}

/// The batches that are left, in order. A tombstone that came in before the given time goes as well, and so do the
/// records of aborted transactions and all markers: what is left needs none to be read.
fn compact(snapshot: &Snapshot, tombstones_before: i64) -> Vec<StoredBatch> {
    let batches = &snapshot.batches;
    let survivors = survivors(snapshot, tombstones_before);
    let end = batches.last().map_or(0, |batch| batch.last_offset);
    let mut left = survivors.as_slice();
    let mut out = Gathering::default();
    for batch in batches {
        let header = BatchHeader::read(&batch.bytes);
        let is_end = batch.last_offset == end;
        if header.is_compressed() || header.is_control() {
            // The end of the log must not move.
            if is_end || !is_void(&header, &snapshot.aborted) {
                out.close();
                out.done.push(batch.clone());
            } else {
                out.covered(batch.last_offset);
            }
            continue;
        }
        let (stays, behind) = left.split_at(header.record_count as usize);
        left = behind;
        if batch.bytes.len() >= BATCH_BYTES / 2
            && stays.iter().all(|stays| *stays)
            && !header.is_transactional()
        {
            out.close();
            out.done.push(batch.clone());
            continue;
        }
        for (record, _) in Records::of(&batch.bytes).zip(stays).filter(|(_, stays)| **stays) {
            out.push(&header, batch, &record);
        }
        out.covered(batch.last_offset);
    }
    out.close();
    out.done
}

/// Which records stay: one answer a record, in order, of all batches that are not compressed.
fn survivors(snapshot: &Snapshot, tombstones_before: i64) -> Vec<bool> {
    let batches = &snapshot.batches;
    let open = || {
        batches.iter().filter_map(|batch| {
            let header = BatchHeader::read(&batch.bytes);
            (!header.is_compressed() && !header.is_control()).then_some((batch, header))
        })
    };
    let records: usize = open().map(|(_, header)| header.record_count as usize).sum();
    // The end of the log must not move, so its last record stays whatever it is.
    let end = batches.last().map_or(0, |batch| batch.last_offset);
    let mut stays = vec![false; records];
    let mut seen = Keys::with_capacity(records / 2);
    let mut of_batch = Vec::new();
    let mut left = records;
    // From the newest back, the first of a key is the one that stays.
    for (batch, header) in open().collect::<Vec<_>>().into_iter().rev() {
        of_batch.clear();
        of_batch.extend(Records::of(&batch.bytes));
        left -= header.record_count as usize;
        if is_void(&header, &snapshot.aborted) {
            continue;
        }
        for (stays, record) in stays[left..].iter_mut().zip(&of_batch).rev() {
            let is_newest = record.key.is_none_or(|key| seen.insert(key));
            let is_old_tombstone = record.is_tombstone && batch.appended_ms < tombstones_before;
            let offset = header.base_offset + i64::from(record.offset_delta);
            *stays = offset == end || (is_newest && !is_old_tombstone);
        }
    }
    stays
}

/// Whether a batch means nothing to a reader of committed records: a marker, or part of an aborted transaction.
fn is_void(header: &BatchHeader, aborted: &[Aborted]) -> bool {
    let is_of = |known: &Aborted| {
        known.producer_id == header.producer_id
            && (known.first_offset..=known.last_offset).contains(&header.base_offset)
    };
    header.is_control() || (header.is_transactional() && aborted.iter().any(is_of))
}

/// A set of keys. Short ones are held as what they are, in one word: to find them again touches nothing but the set.
struct Keys<'a> {
    short: HashSet<u128>,
    long: HashSet<&'a [u8]>,
}

impl<'a> Keys<'a> {
    fn with_capacity(keys: usize) -> Self {
        Self {
            short: HashSet::with_capacity(keys),
            long: HashSet::new(),
        }
    }

    /// False: it was in it.
    fn insert(&mut self, key: &'a [u8]) -> bool {
        let mut word = [0; 16];
        if key.len() >= word.len() {
            return self.long.insert(key);
        }
        word[..key.len()].copy_from_slice(key);
        word[15] = key.len() as u8;
        self.short.insert(u128::from_le_bytes(word))
    }
}

#[derive(Default)]
struct Gathering {
    writer: Option<(BatchWriter, BatchHeader)>,
    last_offset: i64,
    appended_ms: i64,
    done: Vec<StoredBatch>,
}

impl Gathering {
    fn push(&mut self, header: &BatchHeader, batch: &StoredBatch, record: &RecordView<'_>) {
        let offset = header.base_offset + i64::from(record.offset_delta);
        let fits = self.writer.as_ref().is_some_and(|(writer, open)| {
            writer.len() < BATCH_BYTES
                && open.leader_epoch == header.leader_epoch
                && open.is_append_time() == header.is_append_time()
                && offset - writer.base_offset() < i64::from(i32::MAX)
        });
        if !fits {
            self.close();
            let writer = BatchWriter::new(
                offset,
                header.leader_epoch,
                header.attributes,
                header.base_timestamp,
                BATCH_BYTES + BATCH_BYTES / 4,
            );
            self.writer = Some((writer, *header));
        }
        let time = if header.is_append_time() {
            header.max_timestamp
        } else {
            header.base_timestamp + record.timestamp_delta
        };
        if let Some((writer, _)) = &mut self.writer {
            writer.push(offset, time, record.tail);
        }
        self.appended_ms = batch.appended_ms;
        self.last_offset = offset;
    }

    /// The open batch covers the offsets of a source batch, those of dropped records included.
    fn covered(&mut self, last_offset: i64) {
        self.last_offset = last_offset;
    }

    fn close(&mut self) {
        if let Some((writer, _)) = self.writer.take() {
            self.done.push(StoredBatch::new(
                writer.finish(self.last_offset),
                self.appended_ms,
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::broker::batch::record_tail;
    use crate::broker::stability::Outcome;

    fn batch(first: i64, keys: &[(&str, Option<&str>)]) -> StoredBatch {
        let mut writer = BatchWriter::new(first, 0, 0, 1_000, 256);
        for (index, (key, value)) in keys.iter().enumerate() {
            let tail = record_tail(Some(key.as_bytes()), value.map(str::as_bytes));
            writer.push(first + index as i64, 1_000 + index as i64, &tail);
        }
        StoredBatch::new(writer.finish(first + keys.len() as i64 - 1), 50)
    }

    fn compacted(batches: &[StoredBatch], tombstones_before: i64) -> Vec<StoredBatch> {
        let snapshot = Snapshot {
            batches: batches.to_vec(),
            aborted: Vec::new(),
        };
        compact(&snapshot, tombstones_before)
    }

    /// What a reader ends up with: offset and whether it is a tombstone, by key.
    fn read(batches: &[StoredBatch]) -> BTreeMap<Vec<u8>, (i64, bool)> {
        let mut view = BTreeMap::new();
        for batch in batches {
            let base = BatchHeader::read(&batch.bytes).base_offset;
            for record in Records::of(&batch.bytes) {
                let key = record.key.expect("a key").to_vec();
                view.insert(key, (base + i64::from(record.offset_delta), record.is_tombstone));
            }
        }
        view
    }

    #[test]
    fn the_newest_record_of_each_key_stays_at_its_offset() {
        let before = vec![
            batch(0, &[("a", Some("1")), ("b", Some("1")), ("a", Some("2"))]),
            batch(3, &[("c", Some("1")), ("b", Some("2"))]),
            batch(5, &[("a", Some("3"))]),
        ];
        let after = compacted(&before, 0);
        assert_eq!(read(&after), read(&before));
        assert_eq!(
            after
                .iter()
                .map(|b| BatchHeader::read(&b.bytes).record_count)
                .sum::<i32>(),
            3
        );
        assert_eq!(after.last().expect("one at least").last_offset, 5);
        for batch in &after {
            crate::broker::batch::check_keys(&batch.bytes, &BatchHeader::read(&batch.bytes)).expect("whole");
        }
    }

    #[test]
    fn an_old_tombstone_goes_and_the_end_of_the_log_stays() {
        let before = vec![
            batch(0, &[("a", Some("1")), ("b", Some("1"))]),
            batch(2, &[("a", None), ("b", None)]),
        ];
        let view = read(&compacted(&before, 51));
        assert_eq!(
            view.keys().collect::<Vec<_>>(),
            [b"b"],
            "the last record marks the end"
        );
        assert_eq!(
            read(&compacted(&before, 50)).len(),
            2,
            "young tombstones stay for slow readers"
        );
    }

    /// As a producer would have sent it in a transaction.
    fn transactional(batch: &StoredBatch, producer_id: i64) -> StoredBatch {
        let mut bytes = batch.bytes.to_vec();
        bytes[22] |= 0x10;
        bytes[43..51].copy_from_slice(&producer_id.to_be_bytes());
        StoredBatch::new(bytes.into(), 50)
    }

    fn marker(offset: i64, producer_id: i64, outcome: Outcome) -> StoredBatch {
        let bytes = crate::broker::batch::marker(offset, 0, 1_000, (producer_id, 0), outcome);
        StoredBatch::new(bytes, 50)
    }

    #[test]
    fn aborted_records_and_markers_go_and_the_newest_committed_record_stays() {
        let batches = vec![
            transactional(&batch(0, &[("a", Some("1")), ("b", Some("1"))]), 7),
            marker(2, 7, Outcome::Commit),
            transactional(&batch(3, &[("a", Some("2")), ("c", Some("2"))]), 7),
            transactional(&batch(5, &[("b", Some("3"))]), 8),
            marker(6, 7, Outcome::Abort),
            marker(7, 8, Outcome::Commit),
            batch(8, &[("d", Some("4"))]),
        ];
        let aborted = Aborted {
            producer_id: 7,
            first_offset: 3,
            last_offset: 6,
        };
        let snapshot = Snapshot {
            batches,
            aborted: vec![aborted],
        };
        let after = compact(&snapshot, 0);
        let left: BTreeMap<Vec<u8>, i64> = read(&after)
            .into_iter()
            .map(|(k, (offset, _))| (k, offset))
            .collect();
        let wanted = [("a", 0), ("b", 5), ("d", 8)].map(|(key, at)| (key.as_bytes().to_vec(), at));
        assert_eq!(left, BTreeMap::from(wanted));
        assert!(
            after
                .iter()
                .all(|batch| !BatchHeader::read(&batch.bytes).is_control())
        );
    }

    #[test]
    fn marker_at_the_end_of_the_log_stays() {
        let batches = vec![
            transactional(&batch(0, &[("a", Some("1"))]), 7),
            marker(1, 7, Outcome::Abort),
        ];
        let aborted = Aborted {
            producer_id: 7,
            first_offset: 0,
            last_offset: 1,
        };
        let snapshot = Snapshot {
            batches,
            aborted: vec![aborted],
        };
        let after = compact(&snapshot, 0);
        assert_eq!((after.len(), after[0].last_offset), (1, 1));
    }

    #[test]
    fn compacting_twice_changes_nothing_more() {
        let before: Vec<_> = (0..40)
            .map(|i| {
                batch(
                    i * 2,
                    &[("x", Some("1")), (["p", "q", "r"][i as usize % 3], Some("2"))],
                )
            })
            .collect();
        let once = compacted(&before, 0);
        assert_eq!(read(&compacted(&once, 0)), read(&before));
    }
}

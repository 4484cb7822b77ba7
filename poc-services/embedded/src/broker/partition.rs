//! One partition: its log, who leads it, the producers' sequences and the clients that wait for records.
//!
//! Invariant: who leads is checked under the same lock that guards the log, so a node that has lost a partition
//! neither appends to it nor answers from it. There is one copy: nodes share this object, nothing is replicated.
//! It does not wait: a caller that wants to registers a [`Waiter`] and is notified.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::batch::{self, BatchHeader};
use super::config::TopicConfig;
use super::log::{Log, StoredBatch, TimedOffset};
use super::memory::Memory;
use super::producers::{Producers, Sequence};
use super::stability::{Aborted, Isolation, Outcome, Stability};

/// No node leads.
pub const NO_LEADER: i32 = -1;
/// Beyond so many waiters the list is searched for those whose connection has gone.
const WAITERS_TIDY: usize = 32;

/// A connection that wants to hear of new records.
#[derive(Debug, Clone)]
pub struct Waiter {
    pub connection: u64,
    pub notify: Arc<Notify>,
}

#[derive(Debug)]
struct Inner {
    log: Log,
    leader: i32,
    leader_epoch: i32,
    /// Who is to lead before the first replica.
    preferred: Option<i32>,
    /// An election is going on until then.
    vacant_until: Option<Instant>,
    producers: Producers,
    stability: Stability,
    waiters: Vec<Waiter>,
    is_deleted: bool,
    /// Offset up to which the log is compacted.
    clean_end: i64,
}

#[derive(Debug)]
pub struct Partition {
    pub index: i32,
    pub replicas: Vec<i32>,
    inner: Mutex<Inner>,
    appended_records: AtomicU64,
}

/// Where a batch lies now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: i64,
    pub log_start: i64,
    /// Set where the broker's clock stamps the records.
    pub append_time_ms: Option<i64>,
}

/// What a fetch found in a partition.
#[derive(Debug)]
pub struct Slice {
    pub log_start: i64,
    pub log_end: i64,
    /// The last stable offset.
    pub stable_end: i64,
    /// Up to where this reader sees.
    pub visible_end: i64,
    pub batches: Vec<Bytes>,
    pub bytes: usize,
    /// What a reader of committed records has to skip.
    pub aborted: Option<Vec<Aborted>>,
}

/// How much a fetch may still take.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    pub bytes: usize,
    /// Take the first batch even if it is larger than `bytes`, so that a reader always advances.
    pub first_batch_whole: bool,
}

/// State of a partition for metadata and statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub leader: i32,
    pub leader_epoch: i32,
    pub log_start: i64,
    pub log_end: i64,
    pub bytes: usize,
    pub records: u64,
}

/// What compaction has not seen yet.
#[derive(Debug, Clone, Copy)]
pub struct Dirty {
    pub clean_bytes: usize,
    pub bytes: usize,
    /// When the oldest of it came in.
    pub since_ms: i64,
}

/// A consistent copy of the log for compaction.
#[derive(Debug)]
pub struct Snapshot {
    /// Settled records only: no transaction that touches them is open.
    pub batches: Vec<StoredBatch>,
    pub aborted: Vec<Aborted>,
}

impl Partition {
    pub fn new(index: i32, replicas: Vec<i32>, leader: i32) -> Self {
        let mut log = Log::default();
        log.begin_epoch(0);
        Self {
            index,
            replicas,
            inner: Mutex::new(Inner {
                log,
                leader,
                leader_epoch: 0,
                preferred: None,
                vacant_until: None,
                producers: Producers::default(),
                stability: Stability::default(),
                waiters: Vec::new(),
                is_deleted: false,
                clean_end: 0,
            }),
            appended_records: AtomicU64::new(0),
        }
    }

    pub fn place(&self) -> Place {
        let inner = self.inner.lock();
        Place {
            leader: inner.leader,
            leader_epoch: inner.leader_epoch,
            log_start: inner.log.start(),
            log_end: inner.log.end(),
            bytes: inner.log.bytes(),
            records: inner.log.records(),
        }
    }

    pub fn appended_records(&self) -> u64 {
        self.appended_records.load(Ordering::Relaxed)
    }

    /// Makes the node that was asked for the leader, or else the first live replica. An election takes `delay`, and
    /// nobody leads meanwhile: then this has to be called again when it is over. True: one is going on.
    pub fn elect(&self, is_alive: impl Fn(i32) -> bool, now: Instant, delay: Duration) -> bool {
        let mut inner = self.inner.lock();
        let wanted = inner.preferred.into_iter().chain(self.replicas.iter().copied());
        let wanted = wanted
            .into_iter()
            .find(|node| is_alive(*node))
            .unwrap_or(NO_LEADER);
        match inner.vacant_until {
            Some(until) if now < until => return true,
            Some(_) => inner.vacant_until = None,
            None if inner.leader == wanted => return false,
            None if delay.is_zero() || wanted == NO_LEADER => {}
            None => {
                inner.leader = NO_LEADER;
                inner.vacant_until = Some(now + delay);
                wake(&mut inner.waiters);
                return true;
            }
        }
        if inner.leader != wanted {
            inner.leader = wanted;
            inner.leader_epoch += 1;
            let epoch = inner.leader_epoch;
            inner.log.begin_epoch(epoch);
            wake(&mut inner.waiters);
        }
        false
    }

    /// Names the node that is to lead as long as it lives; it has to be a replica.
    pub fn prefer(&self, node: i32) -> bool {
        let is_replica = self.replicas.contains(&node);
        if is_replica {
            self.inner.lock().preferred = Some(node);
        }
        is_replica
    }

    /// Ends the partition: all later calls see an unknown partition. Returns the bytes set free.
    pub fn delete(&self) -> usize {
        let mut inner = self.inner.lock();
        inner.is_deleted = true;
        wake(&mut inner.waiters);
        let end = inner.log.end();
        inner.log.trim_to(end)
    }

    /// Appends a checked batch on behalf of `node`.
    pub fn append(
        &self,
        node: i32,
        records: &[u8],
        header: &BatchHeader,
        config: &TopicConfig,
        now_ms: i64,
        memory: &Memory,
    ) -> Result<Appended, ResponseError> {
        let mut inner = self.inner.lock();
        inner.check_leader(node, -1)?;
        let append_time_ms = config.uses_append_time.then_some(now_ms);
        if inner.stability.is_open(header.producer_id) && !header.is_transactional() {
            return Err(ResponseError::InvalidTxnState);
        }
        match inner.producers.check(header) {
            Sequence::Append => {}
            Sequence::Duplicate { base_offset } => {
                return Ok(Appended {
                    base_offset,
                    log_start: inner.log.start(),
                    append_time_ms,
                });
            }
            Sequence::OutOfOrder => return Err(ResponseError::OutOfOrderSequenceNumber),
            Sequence::Fenced => return Err(ResponseError::InvalidProducerEpoch),
        }
        let base_offset = inner.log.end();
        let stamped = match append_time_ms {
            Some(now) => batch::stamp_with_append_time(records, base_offset, inner.leader_epoch, now),
            None => batch::stamp(records, base_offset, inner.leader_epoch),
        };
        let stored = StoredBatch::new(stamped, now_ms);
        memory.take(stored.held_bytes());
        inner.log.append(stored);
        inner.producers.record(header, base_offset, now_ms);
        if header.is_transactional() {
            inner.stability.appended(header.producer_id, base_offset);
        }
        let log_start = inner.log.start();
        wake(&mut inner.waiters);
        drop(inner);
        self.appended_records
            .fetch_add(header.record_count as u64, Ordering::Relaxed);
        Ok(Appended {
            base_offset,
            log_start,
            append_time_ms,
        })
    }

    /// Writes the marker that ends a producer's transaction. It needs no leader: the coordinator would try until there
    /// is one.
    pub fn end_transaction(&self, producer: (i64, i16), outcome: Outcome, now_ms: i64, memory: &Memory) {
        let mut inner = self.inner.lock();
        if inner.is_deleted {
            return;
        }
        let offset = inner.log.end();
        let marker = batch::marker(offset, inner.leader_epoch, now_ms, producer, outcome);
        let stored = StoredBatch::new(marker, now_ms);
        memory.take(stored.held_bytes());
        inner.log.append(stored);
        inner.producers.end_transaction(producer.0, producer.1, now_ms);
        inner.stability.ended(producer.0, offset, outcome);
        wake(&mut inner.waiters);
    }

    /// Reads whole batches from `offset` on; an empty slice where the reader has everything.
    pub fn read(
        &self,
        node: i32,
        client_epoch: i32,
        offset: i64,
        limit: Limit,
        isolation: Isolation,
    ) -> Result<Slice, ResponseError> {
        let inner = self.inner.lock();
        inner.check_leader(node, client_epoch)?;
        if offset < inner.log.start() || offset > inner.log.end() {
            return Err(ResponseError::OffsetOutOfRange);
        }
        let mut slice = Slice {
            log_start: inner.log.start(),
            log_end: inner.log.end(),
            stable_end: inner.stable_end(),
            visible_end: inner.visible_end(isolation),
            batches: Vec::new(),
            bytes: 0,
            aborted: None,
        };
        let mut read_end = offset;
        for batch in inner.log.at_or_after(offset) {
            if batch.base_offset >= slice.visible_end {
                break;
            }
            let fits = slice.bytes + batch.bytes.len() <= limit.bytes;
            let must = limit.first_batch_whole && slice.batches.is_empty();
            if !(fits || must) {
                break;
            }
            slice.bytes += batch.bytes.len();
            slice.batches.push(batch.bytes.clone());
            read_end = batch.last_offset + 1;
        }
        if isolation == Isolation::Committed {
            slice.aborted = Some(inner.stability.aborted_in(offset, read_end));
        }
        Ok(slice)
    }

    /// Asks to be notified at the next append, election or deletion, once. `offset` is the end that the caller has
    /// seen: if it could see beyond it already, nothing is registered and the answer is false.
    pub fn register(&self, waiter: &Waiter, offset: i64, isolation: Isolation) -> bool {
        let mut inner = self.inner.lock();
        if inner.is_deleted || inner.visible_end(isolation) > offset {
            return false;
        }
        if inner.waiters.len() >= WAITERS_TIDY {
            inner.waiters.retain(|known| Arc::strong_count(&known.notify) > 1);
        }
        if !inner
            .waiters
            .iter()
            .any(|known| known.connection == waiter.connection)
        {
            inner.waiters.push(waiter.clone());
        }
        true
    }

    /// Runs a query on the log as the leader.
    pub fn query<T>(
        &self,
        node: i32,
        client_epoch: i32,
        ask: impl FnOnce(&Log, i32) -> T,
    ) -> Result<T, ResponseError> {
        let inner = self.inner.lock();
        inner.check_leader(node, client_epoch)?;
        Ok(ask(&inner.log, inner.leader_epoch))
    }

    /// ListOffsets: an offset by time or by one of the special timestamps, as far as the reader sees, and the leader
    /// epoch.
    pub fn list_offset(
        &self,
        node: i32,
        client_epoch: i32,
        timestamp: i64,
        isolation: Isolation,
    ) -> Result<(Option<TimedOffset>, i32), ResponseError> {
        let inner = self.inner.lock();
        inner.check_leader(node, client_epoch)?;
        let end = inner.visible_end(isolation);
        let found = list_offset(&inner.log, timestamp, end);
        Ok((found, inner.leader_epoch))
    }

    /// As DeleteRecords: moves the start of the log; -1 stands for its end. Returns the new start and what was freed.
    pub fn delete_records(&self, node: i32, offset: i64) -> Result<(i64, usize), ResponseError> {
        let mut inner = self.inner.lock();
        inner.check_leader(node, -1)?;
        let offset = if offset == -1 { inner.log.end() } else { offset };
        if offset < 0 || offset > inner.log.end() {
            return Err(ResponseError::OffsetOutOfRange);
        }
        let freed = inner.trim_to(offset);
        Ok((inner.log.start(), freed))
    }

    /// Drops what lies below `offset`; for retention, which needs no leader.
    pub fn trim_to(&self, offset: i64) -> usize {
        self.inner.lock().trim_to(offset)
    }

    /// Looks at the log for retention and statistics.
    pub fn inspect<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        look(&self.inner.lock().log)
    }

    /// The batches that came in up to a time, if there is `enough` among them that was never compacted.
    pub fn snapshot_if(&self, up_to_ms: i64, enough: impl FnOnce(Dirty) -> bool) -> Option<Snapshot> {
        let inner = self.inner.lock();
        if inner.is_deleted {
            return None;
        }
        let stable_end = inner.stable_end();
        let is_old = |batch: &&StoredBatch| batch.appended_ms <= up_to_ms && batch.last_offset < stable_end;
        let mut dirty = inner.log.at_or_after(inner.clean_end).take_while(is_old);
        let first = dirty.next()?;
        let bytes = first.held_bytes() + dirty.map(StoredBatch::held_bytes).sum::<usize>();
        let dirty = Dirty {
            clean_bytes: inner.log.bytes() - bytes,
            bytes,
            since_ms: first.appended_ms,
        };
        if !enough(dirty) {
            return None;
        }
        let batches = inner.log.batches().iter().take_while(is_old);
        Some(Snapshot {
            batches: batches.cloned().collect(),
            aborted: inner.stability.aborted_in(0, stable_end),
        })
    }

    /// Puts compacted batches in place of all below `below`.
    pub fn install(&self, below: i64, compacted: Vec<StoredBatch>, memory: &Memory) {
        let mut inner = self.inner.lock();
        if inner.is_deleted {
            return;
        }
        let saved = inner.log.replace_prefix(below, compacted);
        inner.clean_end = below;
        inner.stability.forget_below(below);
        drop(inner);
        match usize::try_from(saved) {
            Ok(freed) => memory.free(freed),
            Err(_) => memory.take(saved.unsigned_abs()),
        }
    }

    /// Forgets producers that were silent since `before_ms`.
    pub fn expire_producers(&self, before_ms: i64) {
        self.inner.lock().producers.expire(before_ms);
    }
}

impl Inner {
    fn stable_end(&self) -> i64 {
        self.stability.stable_end(self.log.start(), self.log.end())
    }

    fn visible_end(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::Uncommitted => self.log.end(),
            Isolation::Committed => self.stable_end(),
        }
    }

    fn trim_to(&mut self, offset: i64) -> usize {
        let freed = self.log.trim_to(offset);
        self.stability.forget_below(self.log.start());
        freed
    }

    fn check_leader(&self, node: i32, client_epoch: i32) -> Result<(), ResponseError> {
        if self.is_deleted {
            return Err(ResponseError::UnknownTopicOrPartition);
        }
        if self.leader != node {
            return Err(ResponseError::NotLeaderOrFollower);
        }
        match client_epoch {
            epoch if epoch >= 0 && epoch < self.leader_epoch => Err(ResponseError::FencedLeaderEpoch),
            epoch if epoch > self.leader_epoch => Err(ResponseError::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }
}

fn wake(waiters: &mut Vec<Waiter>) {
    for waiter in waiters.drain(..) {
        waiter.notify.notify_one();
    }
}

/// What lies at a time or at one of the special timestamps of ListOffsets, seen by a reader that sees up to `end`.
fn list_offset(log: &Log, timestamp: i64, end: i64) -> Option<TimedOffset> {
    let found = match timestamp {
        // Latest.
        -1 => {
            return Some(TimedOffset {
                timestamp: -1,
                offset: end,
            });
        }
        // Earliest, and earliest on local disk, which is the same without tiers.
        -2 | -4 => {
            return Some(TimedOffset {
                timestamp: -1,
                offset: log.start(),
            });
        }
        -3 => log.find_max_time(),
        // Latest in remote storage, of which there is none.
        time if time < 0 => None,
        time => log.find_time(time),
    };
    found.filter(|found| found.offset < end)
}

//! Taking partitions over: read their state, set a barrier in each, read up to it, and commit with the new epoch.
//!
//! Invariant: nothing of a partition is published before its own barrier stands and the group accepted the commit.
//! A restore ends at its own barrier and nowhere else, and goes on from the cut of the newest head, never from what the
//! group committed. Repairing what a paused owner writes later is not done here.

use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

use backbone::{Assignment, Backbone, GroupConsumer, Producer, StartAt};
use contracts::records::Barrier;
use contracts::topics::{MOVEMENTS, STORE_INVENTORY, StateKey};
use prost::Message;

use crate::flush::wall_ms;
use crate::log::{Log, OutTopic, commit_metadata, committed_epoch};
use crate::partition::Partition;
use crate::restore::{Restore, Seen};
use crate::{Config, Counters, InventoryError};

/// A log that does not show an acknowledged barrier for so long is not readable.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(100);

/// Acquires partitions and begins to read their movements. `None`: `is_stopped` said so.
pub fn acquire(
    config: &Config,
    backbone: &Backbone,
    consumer: &GroupConsumer,
    producer: &mut Producer,
    partitions: &[u32],
    is_stopped: impl Fn() -> bool,
) -> Result<Option<Vec<Partition>>, InventoryError> {
    let start = Instant::now();
    let assignments: Vec<Assignment> = partitions
        .iter()
        .map(|partition| (MOVEMENTS.to_owned(), *partition))
        .collect();
    let mut takings = Vec::with_capacity(partitions.len());
    for (number, committed) in partitions.iter().zip(consumer.committed(&assignments)?) {
        let epoch = committed.map_or(0, |(_, metadata)| committed_epoch(&metadata));
        takings.push(Taking::new(*number, epoch));
    }
    if !restore_all(config, backbone, producer, &mut takings, is_stopped)? {
        return Ok(None);
    }
    let mut states = Vec::with_capacity(takings.len());
    let mut stale = 0;
    for taking in takings {
        stale += taking.restore.stale_records();
        states.push(taking.finish()?);
    }
    let mut starts = Vec::with_capacity(states.len());
    for state in &states {
        check_log(producer, state)?;
        let assignment = (MOVEMENTS.to_owned(), state.number);
        consumer.commit(&[(assignment.clone(), state.next)], &commit_metadata(state.epoch))?;
        starts.push((assignment, StartAt::Offset(state.next)));
    }
    consumer.take(&starts)?;
    count(&config.counters, &states, stale, start.elapsed());
    Ok(Some(states))
}

fn count(counters: &Counters, states: &[Partition], stale: u64, took: Duration) {
    let epoch = states.iter().map(|state| state.epoch).max().unwrap_or_default();
    Counters::raise(&counters.epoch, epoch.into());
    Counters::add(&counters.stale_records, stale);
    let cells: usize = states.iter().map(Partition::cell_count).sum();
    if cells > 0 {
        Counters::add(&counters.restores, 1);
        Counters::set(&counters.restored_cells, cells as u64);
        Counters::set(&counters.restore_ms_last, took.as_millis() as u64);
    }
    if stale > 0 {
        tracing::warn!(stale, "an older owner wrote behind a newer one's barrier");
    }
}

/// The log must have all that the state needs, from its cut to what its records had reached.
fn check_log(producer: &Producer, state: &Partition) -> Result<(), InventoryError> {
    let (first, end) = producer.watermarks(MOVEMENTS, state.number)?;
    let partition = state.number;
    if first > state.next {
        return Err(InventoryError::LogGone {
            partition,
            first,
            needed: state.next,
        });
    }
    if end < state.hold_until {
        return Err(InventoryError::LogShort {
            partition,
            end,
            needed: state.hold_until,
        });
    }
    Ok(())
}

/// A partition on its way to this owner.
struct Taking {
    number: u32,
    restore: Restore,
    committed_epoch: u32,
    /// First offset that is not read yet.
    next: u64,
    own: Option<Barrier>,
    /// Another owner's barrier of the same or a higher epoch lies before ours.
    is_outdone: bool,
    is_done: bool,
}

impl Taking {
    fn new(number: u32, committed_epoch: u32) -> Self {
        Self {
            number,
            restore: Restore::new(number),
            committed_epoch,
            next: 0,
            own: None,
            is_outdone: false,
            is_done: false,
        }
    }

    fn send_barrier(&mut self, instance: &str, log: &mut impl Log) -> Result<(), InventoryError> {
        let epoch = self.restore.epoch_max().max(self.committed_epoch) + 1;
        let barrier = Barrier {
            epoch,
            instance: instance.to_owned(),
            at_ms: wall_ms(),
        };
        let key = StateKey::Barrier {
            partition: self.number,
            epoch,
        };
        let (key, value) = (key.to_bytes(), barrier.encode_to_vec());
        log.send(OutTopic::State, self.number, &key, &value)?;
        // The item stage knows by it that this partition's shares are in doubt until the end mark.
        log.send(OutTopic::Partials, self.number, &key, &value)?;
        self.own = Some(barrier);
        self.is_outdone = false;
        Ok(())
    }

    fn take(&mut self, offset: u64, key: &[u8], payload: &[u8]) -> Result<(), InventoryError> {
        self.next = offset + 1;
        if let Seen::Barrier(barrier) = self.restore.take(offset, key, payload)? {
            match &self.own {
                Some(own) if *own == barrier => {
                    self.is_done = !self.is_outdone;
                    // A higher one is needed.
                    self.own = self.own.take().filter(|_| self.is_done);
                }
                Some(own) => self.is_outdone |= barrier.epoch >= own.epoch,
                None => {}
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Partition, InventoryError> {
        let epoch = self.own.map_or(0, |own| own.epoch);
        self.restore.finish(epoch)
    }
}

/// Reads all of them up to their own barriers; false when it was stopped before.
fn restore_all(
    config: &Config,
    backbone: &Backbone,
    producer: &mut Producer,
    takings: &mut [Taking],
    is_stopped: impl Fn() -> bool,
) -> Result<bool, InventoryError> {
    let client = format!("store-inventory-restore-{}", config.instance);
    let from: Vec<(u32, u64)> = takings.iter().map(|taking| (taking.number, 0)).collect();
    let reader = backbone.reader(&client, STORE_INVENTORY, &from)?;
    let mut ends = Vec::with_capacity(takings.len());
    for taking in takings.iter() {
        ends.push(producer.watermarks(STORE_INVENTORY, taking.number)?.1);
    }
    let owner = unique(&config.instance);
    let mut deadline = Instant::now() + READ_TIMEOUT;
    loop {
        let mut has_sent = false;
        for (taking, end) in takings.iter_mut().zip(&ends) {
            // Behind the end as it was: the epoch is above everything that was there.
            if taking.own.is_none() && taking.next >= *end {
                taking.send_barrier(&owner, producer)?;
                has_sent = true;
            }
        }
        if has_sent {
            producer.acknowledged()?;
            deadline = Instant::now() + READ_TIMEOUT;
        }
        if takings.iter().all(|taking| taking.is_done) {
            return Ok(true);
        }
        // Up to the next end or barrier, without looking at the others.
        loop {
            let Some(record) = reader.poll(POLL)? else { break };
            deadline = Instant::now() + READ_TIMEOUT;
            let found = takings
                .iter()
                .position(|taking| taking.number == record.partition());
            let Some(index) = found.filter(|index| !takings[*index].is_done) else {
                continue;
            };
            let taking = &mut takings[index];
            let Some(payload) = record.payload() else {
                taking.next = record.offset() + 1;
                break;
            };
            taking.take(record.offset(), record.key(), payload)?;
            if taking.is_done || taking.own.is_none() && taking.next >= ends[index] {
                break;
            }
        }
        if is_stopped() {
            return Ok(false);
        }
        if Instant::now() > deadline {
            let late = takings
                .iter()
                .find(|taking| !taking.is_done)
                .expect("not all are done");
            return Err(InventoryError::Stuck {
                partition: late.number,
                offset: late.next,
                seconds: READ_TIMEOUT.as_secs(),
            });
        }
    }
}

/// Two owners never write the same barrier, whatever their instances are called.
fn unique(instance: &str) -> String {
    let nonce = std::hash::RandomState::new().build_hasher().finish();
    format!("{instance}/{nonce:016x}")
}

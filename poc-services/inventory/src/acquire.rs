//! Taking partitions over: read their state, set a barrier in each, read up to it, and begin to read their movements.
//!
//! Invariant: a restore ends at its own barrier and nowhere else, and goes on from the cut of the newest head, never from
//! what the group committed. A state that is not to be trusted is made anew from the rebuild floor. A partition whose
//! movements are gone below the floor cannot be known: it is left alone, and the others go on. The group's consent to
//! the epoch comes with the first flush, before anything leaves.

use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

use backbone::{Assignment, Backbone, GroupConsumer, Producer, StartAt};
use contracts::topics::{MOVEMENTS, STORE_INVENTORY};

use crate::log::{KafkaLog, Log, OutTopic, committed_epoch};
use crate::owned::Owned;
use crate::restore::Restored;
use crate::taking::Taking;
use crate::{Config, Counters, InventoryError};

/// A log that does not show an acknowledged barrier for so long is not readable.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(100);

/// What became of partitions that the group gave.
#[derive(Default)]
pub struct Acquired {
    pub owned: Vec<Owned>,
    /// Their movements are gone below the rebuild floor.
    pub unknown: Vec<u32>,
}

/// Acquires partitions and begins to read their movements. `None`: `is_stopped` said so.
pub fn acquire(
    config: &Config,
    backbone: &Backbone,
    consumer: &GroupConsumer,
    log: &mut KafkaLog,
    partitions: &[u32],
    is_stopped: impl Fn() -> bool,
) -> Result<Option<Acquired>, InventoryError> {
    let start = Instant::now();
    let assignments: Vec<Assignment> = partitions
        .iter()
        .map(|partition| (MOVEMENTS.to_owned(), *partition))
        .collect();
    let mut takings = Vec::with_capacity(partitions.len());
    for (number, committed) in partitions.iter().zip(consumer.committed(&assignments)?) {
        let committed = committed.map(|(offset, metadata)| (offset, committed_epoch(&metadata)));
        takings.push(Taking::new(*number, committed));
    }
    if !restore_all(config, backbone, log, &mut takings, is_stopped)? {
        return Ok(None);
    }
    let topic_id = log.producer.topic_id(MOVEMENTS)?;
    let mut acquired = Acquired::default();
    let mut starts = Vec::with_capacity(takings.len());
    let mut stale = 0;
    for taking in takings {
        let number = taking.number();
        let assignment = (MOVEMENTS.to_owned(), number);
        let state_end = taking.next();
        let restored = taking.finish()?;
        stale += restored.stale_records;
        match own(config, log, restored, state_end, &topic_id) {
            Ok(owned) => {
                let offset = owned.state.next();
                let leader_epoch = owned.leader_epoch;
                starts.push((assignment, StartAt::Behind { offset, leader_epoch }));
                acquired.owned.push(owned);
            }
            Err(error @ (InventoryError::LogGone { .. } | InventoryError::Image { .. })) => {
                tracing::error!(%error, "the partition is unknown from now on; the others go on");
                let end = log.producer.watermarks(MOVEMENTS, number)?.1;
                starts.push((assignment, StartAt::Offset(end)));
                acquired.unknown.push(number);
            }
            Err(error) => return Err(error),
        }
    }
    consumer.take(&starts)?;
    count(&config.counters, &acquired.owned, stale, start.elapsed());
    Ok(Some(acquired))
}

/// The restored state where it can be trusted, else what it is made anew from.
fn own(
    config: &Config,
    log: &mut KafkaLog,
    restored: Restored,
    state_end: u64,
    topic_id: &str,
) -> Result<Owned, InventoryError> {
    let number = restored.partition.number();
    check_topic(&restored, topic_id)?;
    let cause = restored.cause;
    // Behind the own barrier there: what lies below it is written again by the first flush.
    let partials_end = log.ends(&[(OutTopic::Partials, number)])?[0];
    let mut owned = Owned::restored(restored, state_end, partials_end);
    topic_id.clone_into(&mut owned.topic_id);
    let offline_after = i64::try_from(config.offline_after.as_millis()).unwrap_or(i64::MAX);
    owned.state.set_offline_after(offline_after);
    match config.image_every {
        Some(movements) => owned.image_every = movements,
        None => owned.is_kept_from_head = true,
    }
    check_log(&log.producer, &owned)?;
    if let Some(cause) = cause {
        tracing::warn!(partition = number, ?cause, "the state is made anew");
        owned.rebuild(log, &config.counters)?;
        check_log(&log.producer, &owned)?;
    }
    Ok(owned)
}

fn count(counters: &Counters, owned: &[Owned], stale: u64, took: Duration) {
    let epoch = owned
        .iter()
        .map(|owned| owned.state.epoch)
        .max()
        .unwrap_or_default();
    Counters::raise(&counters.epoch, epoch.into());
    Counters::add(&counters.stale_records, stale);
    let cells: usize = owned.iter().map(|owned| owned.state.cell_count()).sum();
    if cells > 0 {
        Counters::add(&counters.restores, 1);
        Counters::set(&counters.restored_cells, cells as u64);
        Counters::set(&counters.restore_ms_last, took.as_millis() as u64);
    }
    if stale > 0 {
        tracing::warn!(stale, "an older owner wrote behind a newer one's barrier");
    }
}

/// Another topic of the same name has other offsets.
fn check_topic(restored: &Restored, topic_id: &str) -> Result<(), InventoryError> {
    match &restored.head {
        Some(head) if !head.topic_id.is_empty() && head.topic_id != topic_id => {
            Err(InventoryError::OtherTopic {
                partition: restored.partition.number(),
                found: head.topic_id.clone(),
                expected: topic_id.to_owned(),
            })
        }
        _ => Ok(()),
    }
}

/// The log must have all that the state may need, from the rebuild floor to what its records had reached.
pub fn check_log(producer: &Producer, owned: &Owned) -> Result<(), InventoryError> {
    let partition = owned.state.number();
    let (first, end) = producer.watermarks(MOVEMENTS, partition)?;
    if first > owned.needs_from() {
        return Err(InventoryError::LogGone {
            partition,
            first,
            needed: owned.needs_from(),
        });
    }
    if end < owned.state.hold_until {
        return Err(InventoryError::LogShort {
            partition,
            end,
            needed: owned.state.hold_until,
        });
    }
    Ok(())
}

/// Reads all of them up to their own barriers, and to what lies behind those then; false when it was stopped before.
fn restore_all(
    config: &Config,
    backbone: &Backbone,
    log: &mut KafkaLog,
    takings: &mut [Taking],
    is_stopped: impl Fn() -> bool,
) -> Result<bool, InventoryError> {
    let client = format!("store-inventory-restore-{}", config.instance);
    let from: Vec<(u32, u64)> = takings.iter().map(|taking| (taking.number(), 0)).collect();
    let reader = backbone.reader(&client, STORE_INVENTORY, &from)?;
    let asked: Vec<(OutTopic, u32)> = from.iter().map(|(p, _)| (OutTopic::State, *p)).collect();
    let ends = log.ends(&asked)?;
    // Two owners never write the same barrier, whatever their instances are called.
    let owner = std::hash::RandomState::new().build_hasher().finish();
    let mut deadline = Instant::now() + READ_TIMEOUT;
    loop {
        let mut has_sent = false;
        for (taking, end) in takings.iter_mut().zip(&ends) {
            // Behind the end as it was: the epoch is above everything that was there.
            if taking.wants_barrier(*end) {
                taking.send_barrier(&config.instance, owner, log)?;
                has_sent = true;
            }
            if taking.wants_end() {
                taking.set_end(log.ends(&[(OutTopic::State, taking.number())])?[0]);
            }
        }
        if has_sent {
            log.acknowledged()?;
            deadline = Instant::now() + READ_TIMEOUT;
        }
        if takings.iter().all(Taking::is_done) {
            return Ok(true);
        }
        // Up to the next end or barrier, without looking at the others.
        loop {
            let Some(record) = reader.poll(POLL)? else { break };
            deadline = Instant::now() + READ_TIMEOUT;
            let number = record.partition();
            let Some(index) = takings.iter().position(|taking| taking.number() == number) else {
                continue;
            };
            let taking = &mut takings[index];
            taking.take(record.offset(), record.key(), record.payload())?;
            if taking.is_done() || taking.wants_end() || taking.wants_barrier(ends[index]) {
                break;
            }
        }
        if is_stopped() {
            return Ok(false);
        }
        if Instant::now() > deadline {
            let late = takings.iter().find(|taking| !taking.is_done());
            let late = late.expect("not all are done");
            return Err(InventoryError::Stuck {
                topic: STORE_INVENTORY,
                partition: late.number(),
                offset: late.next(),
                seconds: READ_TIMEOUT.as_secs(),
            });
        }
    }
}

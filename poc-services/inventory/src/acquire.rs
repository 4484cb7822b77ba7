//! Taking a partition over: read its state, set a barrier, read up to it, and commit with the new epoch.
//!
//! Invariant: nothing of a partition is published before its own barrier stands and the group accepted the commit.
//! A restore ends at its own barrier and nowhere else, and replays from the cut of the newest head, never from what the
//! group committed. Repairing what a paused owner writes late is not done here.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use backbone::{Assignment, Backbone, GroupConsumer, Producer, StartAt};
use contracts::records::{Barrier, Cell, Completeness, Head, Window};
use contracts::topics::{MOVEMENTS, PARTITIONS, STORE_INVENTORY, StateKey};
use prost::Message;

use crate::partition::Partition;
use crate::{Config, Counters, InventoryError};

const FLUSH_TIMEOUT: Duration = Duration::from_secs(15);
/// A log that does not show an acknowledged barrier for so long is not readable.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

pub fn wall_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

/// What one pass over the log of a partition found.
#[derive(Default)]
struct Found {
    epoch_max: u32,
    head: Option<Head>,
    /// Another owner's barrier of the same or a higher epoch lies before ours.
    outdone: bool,
}

/// Acquires partitions and begins to read their movements.
pub fn acquire(
    config: &Config,
    backbone: &Backbone,
    consumer: &GroupConsumer,
    producer: &mut Producer,
    partitions: &[u32],
) -> Result<Vec<Partition>, InventoryError> {
    let start = Instant::now();
    let assignments: Vec<Assignment> = partitions.iter().map(|p| (MOVEMENTS.to_owned(), *p)).collect();
    let committed = consumer.committed(&assignments)?;
    let mut states = Vec::new();
    for (number, committed) in partitions.iter().zip(committed) {
        let committed_epoch = committed
            .and_then(|(_, metadata)| {
                metadata
                    .strip_prefix("epoch=")
                    .and_then(|epoch| epoch.parse().ok())
            })
            .unwrap_or(0);
        states.push(acquire_one(config, backbone, producer, *number, committed_epoch)?);
    }
    let mut commits = Vec::new();
    let mut starts = Vec::new();
    for state in &states {
        let assignment = (MOVEMENTS.to_owned(), state.number);
        let (first, _) = consumer.watermarks(MOVEMENTS, state.number)?;
        if first > state.next {
            return Err(InventoryError::LogGone {
                partition: state.number,
                first,
                needed: state.next,
            });
        }
        consumer.commit(
            &[(assignment.clone(), state.next)],
            &format!("epoch={}", state.epoch),
        )?;
        commits.push(state.epoch);
        starts.push((assignment, StartAt::Offset(state.next)));
    }
    consumer.take(&starts)?;
    let counters = &config.counters;
    Counters::set(
        &counters.epoch,
        commits.into_iter().max().unwrap_or_default().into(),
    );
    let cells: usize = states.iter().map(Partition::cells).sum();
    if cells > 0 {
        Counters::add(&counters.restores, 1);
        Counters::set(&counters.restored_cells, cells as u64);
        Counters::set(&counters.restore_ms_last, start.elapsed().as_millis() as u64);
    }
    Ok(states)
}

fn acquire_one(
    config: &Config,
    backbone: &Backbone,
    producer: &mut Producer,
    number: u32,
    committed_epoch: u32,
) -> Result<Partition, InventoryError> {
    let client = format!("store-inventory-restore-{}-{number}", config.instance);
    let reader = backbone.reader(&client, STORE_INVENTORY, &[(number, 0)])?;
    let mut state = Partition::new(number);
    let mut found = Found {
        epoch_max: committed_epoch,
        ..Found::default()
    };
    let (_, end) = reader.watermarks(number)?;
    // The highest epoch so far; the barrier goes behind all that was there.
    let mut next = 0;
    let mut own = None;
    let mut deadline = Instant::now() + READ_TIMEOUT;
    loop {
        if own.is_none() && next >= end {
            own = Some(set_barrier(config, producer, number, found.epoch_max + 1)?);
            found.outdone = false;
            deadline = Instant::now() + READ_TIMEOUT;
        }
        let Some(record) = reader.poll(Duration::from_millis(100))? else {
            if Instant::now() > deadline {
                return Err(InventoryError::State {
                    partition: number,
                    offset: next,
                    message: format!("nothing more can be read within {} s", READ_TIMEOUT.as_secs()),
                });
            }
            continue;
        };
        deadline = Instant::now() + READ_TIMEOUT;
        next = record.offset() + 1;
        let Some(payload) = record.payload() else { continue };
        let mine = take(
            &mut state,
            &mut found,
            own,
            number,
            record.offset(),
            record.key(),
            payload,
            &config.instance,
        )?;
        if mine {
            if !found.outdone {
                break;
            }
            own = Some(set_barrier(config, producer, number, found.epoch_max + 1)?);
            found.outdone = false;
        }
    }
    state.epoch = own.unwrap_or_default();
    if let Some(head) = &found.head {
        if head.partitions != PARTITIONS {
            return Err(InventoryError::PartitionCount {
                partition: number,
                found: head.partitions,
                expected: PARTITIONS,
            });
        }
        state.next = head.cut;
    }
    state.restored();
    Ok(state)
}

fn set_barrier(
    config: &Config,
    producer: &mut Producer,
    number: u32,
    epoch: u32,
) -> Result<u32, InventoryError> {
    let barrier = Barrier {
        epoch,
        instance: config.instance.clone(),
        at_ms: wall_ms(),
    };
    let key = StateKey::Barrier {
        partition: number,
        epoch,
    }
    .to_bytes();
    producer.send(STORE_INVENTORY, number, &key, &barrier.encode_to_vec(), None, &[])?;
    producer.flush(FLUSH_TIMEOUT)?;
    Ok(epoch)
}

/// Takes one record of the state; true when it is the owner's own barrier.
#[expect(
    clippy::too_many_arguments,
    reason = "a record has many parts, and they are borrowed from the client's buffer"
)]
fn take(
    state: &mut Partition,
    found: &mut Found,
    own: Option<u32>,
    number: u32,
    offset: u64,
    key: &[u8],
    payload: &[u8],
    instance: &str,
) -> Result<bool, InventoryError> {
    let error = |source: prost::DecodeError| InventoryError::State {
        partition: number,
        offset,
        message: format!("{} cannot be read: {source}", String::from_utf8_lossy(key)),
    };
    match StateKey::parse(key) {
        Some(StateKey::Cell { location, sku }) => {
            state.restore_cell(location, sku, &Cell::decode(payload).map_err(error)?);
        }
        Some(StateKey::Window(source)) => {
            state.restore_window(source, &Window::decode(payload).map_err(error)?);
        }
        Some(StateKey::Completeness(source)) => {
            state.restore_completeness(source, &Completeness::decode(payload).map_err(error)?);
        }
        Some(StateKey::Head { partition }) if partition == number => {
            let head = Head::decode(payload).map_err(error)?;
            found.epoch_max = found.epoch_max.max(head.epoch);
            if found
                .head
                .as_ref()
                .is_none_or(|old| (head.epoch, head.cut) >= (old.epoch, old.cut))
            {
                found.head = Some(head);
            }
        }
        Some(StateKey::Barrier { partition, epoch }) if partition == number => {
            let barrier = Barrier::decode(payload).map_err(error)?;
            if own == Some(epoch) && barrier.instance == instance {
                return Ok(true);
            }
            found.outdone |= own.is_some_and(|own| epoch >= own);
            found.epoch_max = found.epoch_max.max(epoch);
        }
        // Intents tell a restore where a flush stopped; keys of others are not ours.
        _ => {}
    }
    Ok(false)
}

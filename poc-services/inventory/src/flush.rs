//! A flush: one cut of the input, published in an order in which every prefix is a state that a restore understands.
//!
//! Intent (what this flush will reach) · cells and partials (at least what lies below the cut) · completeness and
//! windows (exactly what lies below it) · head · the group's commit. Each is acknowledged before the next. It runs
//! between two transactions and returns when it is over, so the live windows are the cut's.

use std::time::{SystemTime, UNIX_EPOCH};

use contracts::records::{Head, Intent, PartialEnd};
use contracts::topics::{PARTITIONS, StateKey};
use prost::Message;

use crate::log::{Group, Log, OutTopic};
use crate::partition::{Cut, Partition};
use crate::{Counters, InventoryError};

/// A partition with what its owner published of it.
#[derive(Debug)]
pub struct Owned {
    pub state: Partition,
    /// Records in `store.inventory` since the barrier.
    records: u64,
    /// No flush of this owner is whole yet: all partials go out, then an end mark.
    is_fresh: bool,
    /// Offset of the last head.
    flushed: u64,
}

impl Owned {
    pub const fn new(state: Partition) -> Self {
        let flushed = state.next;
        Self {
            state,
            records: 0,
            is_fresh: true,
            flushed,
        }
    }

    fn wants_flush(&self) -> bool {
        let has_moved = self.state.next > self.flushed || self.state.has_news();
        self.state.is_settled() && (self.is_fresh || has_moved)
    }
}

/// What a flush wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    pub cells: u64,
    pub partials: u64,
    /// Partitions.
    pub heads: u64,
}

/// Flushes all partitions that have something new. Dead letters that were sent before are acknowledged with its intents.
pub fn flush(
    owned: &mut [Owned],
    log: &mut impl Log,
    group: &impl Group,
    counters: &Counters,
) -> Result<Flushed, InventoryError> {
    let mut flushed = Flushed::default();
    let mut flushing: Vec<(&mut Owned, Cut)> = Vec::with_capacity(owned.len());
    for owned in owned.iter_mut().filter(|owned| owned.wants_flush()) {
        owned.state.check_sound()?;
        let cut = owned.state.cut();
        flushing.push((owned, cut));
    }
    if flushing.is_empty() {
        return Ok(flushed);
    }
    for (owned, cut) in &mut flushing {
        send_intent(owned, cut, log)?;
    }
    log.acknowledged()?;
    for (owned, cut) in &mut flushing {
        let cells = owned.state.take_cells(cut, log)?;
        flushed.partials += owned.state.take_partials(cut, log)?;
        flushed.cells += cells;
        owned.records += cells;
    }
    log.acknowledged()?;
    for (owned, cut) in &mut flushing {
        owned.records += owned.state.take_windows(cut, log)?;
        if owned.is_fresh {
            let end = PartialEnd {
                epoch: owned.state.epoch,
                cut: cut.offset,
            };
            let partition = owned.state.number;
            let key = StateKey::PartialEnd { partition }.to_bytes();
            log.send(OutTopic::Partials, partition, &key, &end.encode_to_vec())?;
        }
    }
    log.acknowledged()?;
    for (owned, cut) in &mut flushing {
        send_head(owned, cut, log)?;
    }
    log.acknowledged()?;
    for (owned, cut) in &mut flushing {
        owned.is_fresh = false;
        owned.flushed = cut.offset;
    }
    commit(&flushing, group)?;
    flushed.heads = flushing.len() as u64;
    Counters::add(&counters.cells_written, flushed.cells);
    Counters::add(&counters.partials_written, flushed.partials);
    Counters::add(&counters.flushes, 1);
    Ok(flushed)
}

fn send_intent(owned: &mut Owned, cut: &Cut, log: &mut impl Log) -> Result<(), InventoryError> {
    let state = &owned.state;
    let intent = Intent {
        epoch: state.epoch,
        cut: cut.offset,
        cells_digest: cut.cells_digest,
        windows_digest: cut.windows_digest,
    };
    owned.records += 1;
    let key = StateKey::Intent {
        partition: state.number,
    };
    log.send(
        OutTopic::State,
        state.number,
        &key.to_bytes(),
        &intent.encode_to_vec(),
    )
}

fn send_head(owned: &mut Owned, cut: &Cut, log: &mut impl Log) -> Result<(), InventoryError> {
    let state = &owned.state;
    owned.records += 1;
    let head = Head {
        epoch: state.epoch,
        cut: cut.offset,
        // The client does not tell either yet.
        leader_epoch: -1,
        topic_id: String::new(),
        partitions: PARTITIONS,
        cells_digest: cut.cells_digest,
        windows_digest: cut.windows_digest,
        records: owned.records,
        at_ms: wall_ms(),
    };
    let key = StateKey::Head {
        partition: state.number,
    };
    log.send(
        OutTopic::State,
        state.number,
        &key.to_bytes(),
        &head.encode_to_vec(),
    )
}

/// Serves lag and retention alone. One call for all partitions of an epoch.
fn commit(flushed: &[(&mut Owned, Cut)], group: &impl Group) -> Result<(), InventoryError> {
    let mut epochs: Vec<u32> = flushed.iter().map(|(owned, _)| owned.state.epoch).collect();
    epochs.sort_unstable();
    epochs.dedup();
    for epoch in epochs {
        let next: Vec<(u32, u64)> = flushed
            .iter()
            .filter(|(owned, _)| owned.state.epoch == epoch)
            .map(|(owned, cut)| (owned.state.number, cut.offset))
            .collect();
        group.commit(&next, epoch)?;
    }
    Ok(())
}

pub fn wall_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

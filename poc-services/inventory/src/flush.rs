//! A flush: one cut of the input, published in an order in which every prefix is a state that a restore understands.
//!
//! Intent (what this flush will reach) · cells, partials and completeness · windows · head · a look at who else wrote · the group's commit. Each is acknowledged
//! before the next. Completeness comes before the windows, so that none is ever ahead of it. A flush runs between two
//! transactions and returns when it is over, so all that is live is the cut's, and nothing of a partition is under way between two flushes but dead letters.
//!
//! Where an older owner wrote among these records, its keys are written over by a flush of their own before the commit.

use crate::log::{Group, Log, OutTopic};
use crate::owned::Owned;
use crate::partition::Cut;
use crate::plant::{self, Plant};
use crate::{Counters, InventoryError};

/// Repairs in a row, where an older owner goes on writing; the next flush goes on.
const REPAIRS_MAX: u32 = 8;

/// What a flush wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    pub cells: u64,
    pub partials: u64,
    /// Partitions.
    pub heads: u64,
    /// Keys that an older owner wrote behind the own barrier.
    pub displaced: u64,
}

/// Flushes all partitions that have something new, but those whose state is not sound or that the group does not let
/// through. Dead letters that were sent before are acknowledged with its intents.
pub fn flush(
    owned: &mut [Owned],
    log: &mut impl Log,
    group: &impl Group,
    counters: &Counters,
) -> Result<Flushed, InventoryError> {
    let mut flushed = Flushed::default();
    for _ in 0..=REPAIRS_MAX {
        let round = flush_once(owned, log, group, counters)?;
        flushed.cells += round.cells;
        flushed.partials += round.partials;
        flushed.heads += round.heads;
        flushed.displaced += round.displaced;
        if round.displaced == 0 {
            break;
        }
    }
    Ok(flushed)
}

fn flush_once(
    owned: &mut [Owned],
    log: &mut impl Log,
    group: &impl Group,
    counters: &Counters,
) -> Result<Flushed, InventoryError> {
    let mut flushed = Flushed::default();
    let mut is_imaging = owned.iter().any(Owned::is_imaging);
    let mut flushing: Vec<(&mut Owned, Cut)> = Vec::with_capacity(owned.len());
    for owned in owned.iter_mut().filter(|owned| owned.wants_flush()) {
        if !owned.state.is_sound() || !admit(owned, group)? {
            continue;
        }
        owned.state.look();
        let cut = owned.state.cut();
        // One at a time, so that what is held for it stays small.
        is_imaging = is_imaging || owned.begin_image(&cut);
        flushing.push((owned, cut));
    }
    if flushing.is_empty() {
        return Ok(flushed);
    }
    for (owned, cut) in &mut flushing {
        owned.send_intent(cut, log)?;
    }
    acknowledged(log, group, &flushing)?;
    if plant::is(Plant::CommitBeforeAcknowledge) {
        commit(&flushing, group)?;
    }
    if plant::is(Plant::WindowsBeforeCells) {
        for (owned, cut) in &mut flushing {
            owned.send_windows(cut, log)?;
        }
        acknowledged(log, group, &flushing)?;
    }
    for (owned, cut) in &mut flushing {
        let (cells, partials) = owned.send_cells(cut, log)?;
        flushed.cells += cells;
        flushed.partials += partials;
    }
    acknowledged(log, group, &flushing)?;
    for (owned, cut) in &mut flushing {
        owned.send_windows(cut, log)?;
    }
    acknowledged(log, group, &flushing)?;
    for (owned, cut) in &mut flushing {
        owned.send_head(cut, log)?;
    }
    acknowledged(log, group, &flushing)?;
    for (owned, cut) in &mut flushing {
        if owned.flushed(cut) {
            Counters::add(&counters.images_sealed, 1);
            owned.is_floor_told = false;
        }
    }
    flushed.displaced = settle(&mut flushing, log)?;
    Counters::add(&counters.zombie_writes_repaired, flushed.displaced);
    flushed.heads = flushing.len() as u64;
    // What is displaced is repaired first.
    flushing.retain(|(owned, _)| !owned.is_displaced);
    commit(&flushing, group)?;
    for (owned, _) in &mut flushing {
        tell_floor(owned, group)?;
    }
    Counters::add(&counters.cells_written, flushed.cells);
    Counters::add(&counters.partials_written, flushed.partials);
    Counters::add(&counters.flushes, 1);
    Ok(flushed)
}

/// A step of a flush is durable, and the next one may begin: who has lost the partitions meanwhile stops here, and what is
/// under way of it is dropped.
fn acknowledged(
    log: &mut impl Log,
    group: &impl Group,
    flushing: &[(&mut Owned, Cut)],
) -> Result<(), InventoryError> {
    log.acknowledged()?;
    if group.is_lost() {
        return Err(InventoryError::Lost {
            partitions: flushing.iter().map(|(owned, _)| owned.state.number).collect(),
        });
    }
    Ok(())
}

/// Nothing of an owner leaves before the group has taken a commit of its epoch. It moves nothing: it is what the state
/// goes on from.
fn admit(owned: &mut Owned, group: &impl Group) -> Result<bool, InventoryError> {
    if !owned.is_admitted && tell_floor(owned, group)? {
        let from = owned.flushed.max(owned.letters_from);
        owned.is_admitted = group.commit(&[(owned.state.number, from)], owned.state.epoch)?;
    }
    Ok(owned.is_admitted)
}

/// Whether it is known from where on the input must be kept. A floor that is not told yet keeps more than it must.
fn tell_floor(owned: &mut Owned, group: &impl Group) -> Result<bool, InventoryError> {
    if !owned.is_floor_told {
        let from = owned.keeps_from();
        owned.is_floor_told = group.keep_from(owned.state.number, from)?;
        if owned.is_floor_told {
            owned.told = from;
        }
    }
    Ok(owned.is_floor_told)
}

/// Asks once for all partitions where the logs end.
fn settle(flushing: &mut [(&mut Owned, Cut)], log: &mut impl Log) -> Result<u64, InventoryError> {
    let asked: Vec<(OutTopic, u32)> = flushing
        .iter()
        .flat_map(|(owned, _)| [OutTopic::State, OutTopic::Partials].map(|topic| (topic, owned.state.number)))
        .collect();
    let ends = log.ends(&asked)?;
    let mut displaced = 0;
    for ((owned, _), ends) in flushing.iter_mut().zip(ends.as_chunks::<2>().0) {
        displaced += owned.settle(*ends, log)?;
    }
    Ok(displaced)
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
        // Refused while the group rebalances: the next flush commits again, and the state itself says where it goes on.
        group.commit(&next, epoch)?;
    }
    Ok(())
}

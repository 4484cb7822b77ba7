//! The item stage: partitions' shares of an article become its total over all places.
//!
//! It reads all of `item.partials` from the beginning at each start, outside of any group: an article needs the shares
//! of every partition, and there are only as many records as articles times partitions, so it has no state of its own
//! to lose. One instance is to be active: two publish the same totals, and the later one may publish an older one last
//! (`positions` tell which is newer). Invariant: nothing is published before everything that was there at the start is
//! read, so a total never goes back to a part of itself; a total is published when a share of it changed, or when a
//! partition began or ceased to be in doubt.

use std::time::{Duration, Instant};

use backbone::{Backbone, Producer, Reader};
use contracts::ids::Sku;
use contracts::records::{Barrier, ItemTotal, Partial, PartialEnd, PartialPosition};
use contracts::topics::{ITEM_INVENTORY, ITEM_PARTIALS, PARTITIONS, StateKey, partition_of_item};
use hashbrown::HashMap;
use prost::Message;
use tokio_util::sync::CancellationToken;

use crate::{Config, Counters, InventoryError, ItemSaboteur};

const POLL: Duration = Duration::from_millis(20);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(15);
/// Records between two looks at the clock.
const LOOK_EVERY: u32 = 256;
const FAILURES_MAX: u32 = 12;
const PARTITION_COUNT: usize = PARTITIONS as usize;

/// Shares of one article, by partition.
#[derive(Debug, Default)]
struct Item {
    shares: [Option<Partial>; PARTITION_COUNT],
    is_new: bool,
    /// The oldest instant among what is new.
    due_ms_min: i64,
}

/// All articles. Pure: records go in, totals come out.
#[derive(Debug, Default)]
pub struct Items {
    items: HashMap<u32, Item>,
    new: Vec<u32>,
    /// Epoch of the newest barrier, share or end mark, by partition; and of the newest end mark.
    newest: [u32; PARTITION_COUNT],
    ended: [u32; PARTITION_COUNT],
}

impl Items {
    /// Takes one record of `item.partials`; false where it is none of ours or cannot be read.
    pub fn take(&mut self, key: &[u8], payload: &[u8]) -> bool {
        match StateKey::parse(key) {
            Some(StateKey::Partial { partition, sku }) if partition < PARTITIONS => {
                let Ok(partial) = Partial::decode(payload) else {
                    return false;
                };
                self.note_epoch(partition, partial.epoch);
                self.take_share(partition, sku.0, partial);
            }
            Some(StateKey::PartialEnd { partition }) if partition < PARTITIONS => {
                let Ok(end) = PartialEnd::decode(payload) else {
                    return false;
                };
                self.note_epoch(partition, end.epoch);
                let was_uncertain = self.is_uncertain(partition as usize);
                let ended = &mut self.ended[partition as usize];
                *ended = (*ended).max(end.epoch);
                if was_uncertain && !self.is_uncertain(partition as usize) {
                    self.renew_all();
                }
            }
            Some(StateKey::Barrier { partition, epoch, .. }) if partition < PARTITIONS => {
                if Barrier::decode(payload).is_err() {
                    return false;
                }
                self.note_epoch(partition, epoch);
            }
            _ => return false,
        }
        true
    }

    fn take_share(&mut self, partition: u32, sku: u32, partial: Partial) {
        let item = self.items.entry(sku).or_default();
        let share = &mut item.shares[partition as usize];
        if share.is_some_and(|old| (partial.epoch, partial.cut) < (old.epoch, old.cut)) {
            return;
        }
        *share = Some(partial);
        let due = partial.due_ms_min;
        if due > 0 && (item.due_ms_min == 0 || due < item.due_ms_min) {
            item.due_ms_min = due;
        }
        if !item.is_new {
            item.is_new = true;
            self.new.push(sku);
        }
    }

    fn note_epoch(&mut self, partition: u32, epoch: u32) {
        let was_uncertain = self.is_uncertain(partition as usize);
        let newest = &mut self.newest[partition as usize];
        *newest = (*newest).max(epoch);
        if !was_uncertain && self.is_uncertain(partition as usize) {
            self.renew_all();
        }
    }

    /// A new owner has not yet said all that it has.
    const fn is_uncertain(&self, partition: usize) -> bool {
        self.newest[partition] > self.ended[partition]
    }

    /// What every total says of its certainty has changed.
    fn renew_all(&mut self) {
        for (sku, item) in &mut self.items {
            if !item.is_new {
                item.is_new = true;
                self.new.push(*sku);
            }
        }
    }

    pub const fn has_news(&self) -> bool {
        !self.new.is_empty()
    }

    /// Instants of what was in the log already say nothing of how fresh a total is.
    fn forget_instants(&mut self) {
        for item in self.items.values_mut() {
            item.due_ms_min = 0;
        }
    }

    /// Hands out the totals that are new; they stay new where `out` fails.
    pub fn publish<E>(&mut self, mut out: impl FnMut(&ItemTotal) -> Result<(), E>) -> Result<Vec<u32>, E> {
        for sku in &self.new {
            out(&self.total(*sku))?;
        }
        let published = std::mem::take(&mut self.new);
        for sku in &published {
            if let Some(item) = self.items.get_mut(sku) {
                item.is_new = false;
                item.due_ms_min = 0;
            }
        }
        Ok(published)
    }

    /// Totals are absolute: sending them again is harmless, leaving them out is not.
    fn renew(&mut self, skus: Vec<u32>) {
        for sku in skus {
            if let Some(item) = self.items.get_mut(&sku).filter(|item| !item.is_new) {
                item.is_new = true;
                self.new.push(sku);
            }
        }
    }

    /// Of one article, over the places of all partitions.
    pub fn total(&self, sku: u32) -> ItemTotal {
        let mut total = ItemTotal {
            sku,
            ..ItemTotal::default()
        };
        for partition in 0..PARTITION_COUNT {
            total.uncertain_partitions += u32::from(self.is_uncertain(partition));
        }
        let Some(item) = self.items.get(&sku) else {
            return total;
        };
        total.due_ms_min = item.due_ms_min;
        for (partition, share) in (0..).zip(&item.shares) {
            let Some(share) = share else { continue };
            total.floor += share.floor;
            total.back_room += share.back_room;
            total.in_transit += share.shipped - share.received;
            total.positions.push(PartialPosition {
                partition,
                epoch: share.epoch,
                cut: share.cut,
            });
        }
        total.on_hand = total.floor + total.back_room;
        total
    }
}

/// Runs until cancelled, then publishes what is left. Blocks.
pub fn run(config: &Config, backbone: &Backbone, cancel: &CancellationToken) -> Result<(), InventoryError> {
    let client = format!("item-inventory-{}", config.instance);
    let reader = backbone.reader_from_beginning(&client, ITEM_PARTIALS, PARTITIONS)?;
    let mut producer = backbone.producer(&client)?;
    let mut items = Items::default();
    let mut saboteur = ItemSaboteur::new(config.sabotage);
    if !catch_up(config, &reader, &producer, &mut items, cancel)? {
        return Ok(());
    }
    let mut published_at = Instant::now();
    let mut failures = 0;
    loop {
        read(&reader, &mut items)?;
        if config.kill.is_cancelled() {
            producer.purge();
            return Ok(());
        }
        let is_last = cancel.is_cancelled();
        if items.has_news() && (is_last || published_at.elapsed() >= config.item_flush) {
            match publish(&mut items, &mut producer, &mut saboteur) {
                Ok(count) => {
                    failures = 0;
                    Counters::add(&config.counters.items_written, count as u64);
                }
                Err(error) if failures < FAILURES_MAX && !is_last => {
                    failures += 1;
                    tracing::warn!(%error, failures, "article totals are sent again");
                    producer.purge();
                    producer = backbone.producer(&client)?;
                }
                Err(error) => return Err(error),
            }
            published_at = Instant::now();
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Reads what is there; false when it was stopped before.
fn catch_up(
    config: &Config,
    reader: &Reader,
    producer: &Producer,
    items: &mut Items,
    cancel: &CancellationToken,
) -> Result<bool, InventoryError> {
    let mut left = [0; PARTITION_COUNT];
    for (partition, end) in (0..).zip(&mut left) {
        *end = producer.watermarks(ITEM_PARTIALS, partition)?.1;
    }
    while left.iter().any(|end| *end > 0) {
        let Some(record) = reader.poll(POLL)? else {
            if cancel.is_cancelled() || config.kill.is_cancelled() {
                return Ok(false);
            }
            continue;
        };
        if let Some(payload) = record.payload() {
            items.take(record.key(), payload);
        }
        if let Some(end) = left.get_mut(record.partition() as usize)
            && record.offset() + 1 >= *end
        {
            *end = 0;
        }
    }
    items.forget_instants();
    Ok(true)
}

/// Takes what is there, for a bounded number of records.
fn read(reader: &Reader, items: &mut Items) -> Result<(), InventoryError> {
    let mut wait = POLL;
    for _ in 0..LOOK_EVERY {
        let Some(record) = reader.poll(wait)? else { break };
        wait = Duration::ZERO;
        if let Some(payload) = record.payload() {
            items.take(record.key(), payload);
        }
    }
    Ok(())
}

fn publish(
    items: &mut Items,
    producer: &mut Producer,
    saboteur: &mut ItemSaboteur,
) -> Result<usize, InventoryError> {
    let mut value = Vec::with_capacity(160);
    let published = items.publish(|total| {
        saboteur.send(total, |total| {
            value.clear();
            total.encode(&mut value).expect("a Vec takes all bytes");
            let sku = Sku(total.sku);
            let key = sku.to_string();
            let partition = partition_of_item(sku);
            producer.send(ITEM_INVENTORY, partition, key.as_bytes(), &value, None, &[])
        })
    })?;
    match producer.flush(FLUSH_TIMEOUT) {
        Ok(()) => Ok(published.len()),
        Err(error) => {
            items.renew(published);
            Err(error.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partial(epoch: u32, cut: u64, floor: i64) -> Partial {
        Partial {
            epoch,
            cut,
            floor,
            shipped: 10,
            received: 4,
            ..Partial::default()
        }
    }

    fn share(items: &mut Items, partition: u32, record: Partial) {
        let key = StateKey::Partial {
            partition,
            sku: Sku(7),
        };
        assert!(items.take(&key.to_bytes(), &record.encode_to_vec()));
    }

    fn barrier(items: &mut Items, partition: u32, epoch: u32) {
        let record = Barrier {
            epoch,
            ..Barrier::default()
        };
        let key = StateKey::Barrier {
            partition,
            epoch,
            owner: 0,
        };
        assert!(items.take(&key.to_bytes(), &record.encode_to_vec()));
    }

    fn end(items: &mut Items, partition: u32, epoch: u32) {
        let record = PartialEnd { epoch, cut: 0 };
        let key = StateKey::PartialEnd { partition };
        assert!(items.take(&key.to_bytes(), &record.encode_to_vec()));
    }

    fn published(items: &mut Items) -> Vec<ItemTotal> {
        let mut totals = Vec::new();
        items
            .publish(|total| {
                totals.push(total.clone());
                Ok::<_, ()>(())
            })
            .expect("nothing fails");
        totals
    }

    #[test]
    fn a_total_is_the_sum_of_the_newest_shares() {
        let mut items = Items::default();
        share(&mut items, 0, partial(1, 10, 5));
        share(&mut items, 4, partial(1, 7, 6));
        share(&mut items, 0, partial(1, 20, 3));
        share(&mut items, 0, partial(1, 15, 100));
        let total = items.total(7);
        assert_eq!((total.floor, total.on_hand, total.in_transit), (9, 9, 12));
        let positions: Vec<_> = total
            .positions
            .iter()
            .map(|p| (p.partition, p.epoch, p.cut))
            .collect();
        assert_eq!(positions, [(0, 1, 20), (4, 1, 7)]);
    }

    #[test]
    fn a_newer_epoch_wins_over_a_later_cut_of_an_older_one() {
        let mut items = Items::default();
        share(&mut items, 0, partial(2, 10, 5));
        share(&mut items, 0, partial(1, 99, 6));
        assert_eq!(items.total(7).floor, 5);
    }

    #[test]
    fn totals_are_uncertain_from_a_barrier_to_its_end_mark_and_say_so_both_times() {
        let mut items = Items::default();
        barrier(&mut items, 0, 1);
        share(&mut items, 0, partial(1, 10, 5));
        assert_eq!(published(&mut items)[0].uncertain_partitions, 1);
        end(&mut items, 0, 1);
        assert_eq!(published(&mut items)[0].uncertain_partitions, 0);
        barrier(&mut items, 0, 2);
        assert_eq!(published(&mut items)[0].uncertain_partitions, 1);
        // The end mark of an owner that lost the partition ends nothing.
        end(&mut items, 0, 1);
        assert!(!items.has_news());
        end(&mut items, 0, 2);
        assert_eq!(published(&mut items)[0].uncertain_partitions, 0);
    }

    #[test]
    fn what_could_not_be_sent_stays_new() {
        let mut items = Items::default();
        share(&mut items, 0, partial(1, 10, 5));
        assert!(items.publish(|_| Err(())).is_err());
        assert!(items.has_news());
        assert_eq!(published(&mut items).len(), 1);
        items.renew(vec![7]);
        assert_eq!(published(&mut items).len(), 1);
        assert!(published(&mut items).is_empty());
    }

    #[test]
    fn the_instant_of_a_total_is_that_of_its_new_shares_alone() {
        let mut items = Items::default();
        let due = |due_ms_min, cut| Partial {
            due_ms_min,
            ..partial(1, cut, 5)
        };
        share(&mut items, 0, due(100, 1));
        share(&mut items, 1, due(90, 1));
        assert_eq!(published(&mut items)[0].due_ms_min, 90);
        share(&mut items, 0, due(200, 2));
        assert_eq!(published(&mut items)[0].due_ms_min, 200);
    }
}

//! The item stage: partitions' shares of an article become its total over all places.
//!
//! It reads `item.partials` whole at each start, so it has no state of its own to lose; one instance is enough for
//! every article there is. A total is published when the shares that it is made of changed.

use std::time::{Duration, Instant};

use backbone::Backbone;
use contracts::ids::Sku;
use contracts::records::{ItemTotal, Partial, PartialEnd, PartialPosition};
use contracts::topics::{ITEM_INVENTORY, ITEM_PARTIALS, PARTITIONS, StateKey, partition_of_item};
use hashbrown::HashMap;
use prost::Message;
use tokio_util::sync::CancellationToken;

use crate::{Config, Counters, InventoryError};

const POLL: Duration = Duration::from_millis(20);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(15);

/// Shares of one article, by partition.
#[derive(Debug, Default)]
struct Item {
    shares: [Option<Partial>; PARTITIONS as usize],
    dirty: bool,
}

#[derive(Debug, Default)]
struct Items {
    items: HashMap<u32, Item>,
    dirty: Vec<u32>,
    /// Epoch of the newest share and of the newest end mark, by partition.
    newest: [u32; PARTITIONS as usize],
    ended: [u32; PARTITIONS as usize],
}

impl Items {
    fn take(&mut self, key: &[u8], payload: &[u8]) {
        match StateKey::parse(key) {
            Some(StateKey::Partial { partition, sku }) if partition < PARTITIONS => {
                let Ok(partial) = Partial::decode(payload) else {
                    return;
                };
                let item = self.items.entry(sku.0).or_default();
                let share = &mut item.shares[partition as usize];
                if share.is_some_and(|old| (partial.epoch, partial.cut) < (old.epoch, old.cut)) {
                    return;
                }
                *share = Some(partial);
                let newest = &mut self.newest[partition as usize];
                *newest = (*newest).max(partial.epoch);
                if !item.dirty {
                    item.dirty = true;
                    self.dirty.push(sku.0);
                }
            }
            Some(StateKey::PartialEnd { partition }) if partition < PARTITIONS => {
                let Ok(end) = PartialEnd::decode(payload) else {
                    return;
                };
                let ended = &mut self.ended[partition as usize];
                *ended = (*ended).max(end.epoch);
            }
            _ => {}
        }
    }

    fn total(&mut self, sku: u32) -> Option<ItemTotal> {
        let item = self.items.get_mut(&sku)?;
        item.dirty = false;
        let mut total = ItemTotal {
            sku,
            ..ItemTotal::default()
        };
        for (partition, share) in item.shares.iter().enumerate() {
            if self.newest[partition] > self.ended[partition] {
                total.uncertain_partitions += 1;
            }
            let Some(share) = share else { continue };
            total.floor += share.floor;
            total.back_room += share.back_room;
            total.in_transit += share.shipped - share.received;
            if share.due_ms_min > 0 && (total.due_ms_min == 0 || share.due_ms_min < total.due_ms_min) {
                total.due_ms_min = share.due_ms_min;
            }
            total.positions.push(PartialPosition {
                partition: partition as u32,
                epoch: share.epoch,
                cut: share.cut,
            });
        }
        total.on_hand = total.floor + total.back_room;
        Some(total)
    }
}

/// Runs until cancelled, then publishes what is left. Blocks.
pub fn run(config: &Config, backbone: &Backbone, cancel: &CancellationToken) -> Result<(), InventoryError> {
    let client = format!("item-inventory-{}", config.instance);
    let reader = backbone.reader_from_beginning(&client, ITEM_PARTIALS, PARTITIONS)?;
    let mut producer = backbone.producer(&client)?;
    let mut items = Items::default();
    let mut flushed = Instant::now();
    loop {
        if let Some(record) = reader.poll(POLL)?
            && let Some(payload) = record.payload()
        {
            items.take(record.key(), payload);
        }
        if config.kill.is_cancelled() {
            producer.purge();
            return Ok(());
        }
        let stop = cancel.is_cancelled();
        if (stop || flushed.elapsed() >= config.flush_min) && !items.dirty.is_empty() {
            let dirty = std::mem::take(&mut items.dirty);
            let mut value = Vec::with_capacity(160);
            for sku in &dirty {
                let Some(total) = items.total(*sku) else { continue };
                value.clear();
                total.encode(&mut value).expect("a Vec takes all bytes");
                let key = sku.to_string();
                producer.send(
                    ITEM_INVENTORY,
                    partition_of_item(Sku(*sku)),
                    key.as_bytes(),
                    &value,
                    None,
                    &[],
                )?;
            }
            match producer.flush(FLUSH_TIMEOUT) {
                Ok(()) => Counters::add(&config.counters.items_written, dirty.len() as u64),
                Err(error) => {
                    // Totals are absolute: sending them again is harmless, leaving them out is not.
                    tracing::warn!(%error, "article totals are sent again");
                    for sku in dirty {
                        if let Some(item) = items.items.get_mut(&sku) {
                            item.dirty = true;
                            items.dirty.push(sku);
                        }
                    }
                }
            }
            flushed = Instant::now();
        }
        if stop {
            return Ok(());
        }
    }
}

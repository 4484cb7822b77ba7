//! Partitions' shares of an article become its total over all places.
//!
//! Pure: records of `item.partials` go in, totals come out. Invariant: a total is new when a share of it changed, or when a
//! partition began or ceased to be in doubt: between a new owner's barrier and its end mark, and for an article whose only
//! share of a partition is one that an older owner wrote behind a newer one's barrier. It knows neither the group nor
//! Kafka.

use contracts::ids::Sku;
use contracts::records::{Barrier, ItemTotal, Partial, PartialEnd, PartialPosition};
use contracts::topics::{PARTITIONS, StateKey, partition_of_item};
use hashbrown::HashMap;
use prost::Message;

const PARTITION_COUNT: usize = PARTITIONS as usize;

/// Shares of one article, by partition.
#[derive(Debug, Default)]
struct Item {
    shares: [Option<Partial>; PARTITION_COUNT],
    /// Of these an older owner's share came late: a newer one may have been there.
    doubts: u8,
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
    /// Next offset of each partition of `item.partials`.
    read_to: [u64; PARTITION_COUNT],
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
        let newest = self.newest[partition as usize];
        let item = self.items.entry(sku).or_default();
        let share = &mut item.shares[partition as usize];
        if share.is_some_and(|old| (partial.epoch, partial.cut) < (old.epoch, old.cut)) {
            return;
        }
        let bit = 1 << partition;
        item.doubts = if partial.epoch < newest {
            item.doubts | bit
        } else {
            item.doubts & !bit
        };
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

    pub fn read_to(&self, partition: u32) -> u64 {
        self.read_to.get(partition as usize).copied().unwrap_or(u64::MAX)
    }

    pub fn note_read(&mut self, partition: u32, next: u64) {
        if let Some(read_to) = self.read_to.get_mut(partition as usize) {
            *read_to = next;
        }
    }

    pub const fn has_news(&self) -> bool {
        !self.new.is_empty()
    }

    /// Instants of what was in the log already say nothing of how fresh a total is.
    pub fn forget_instants(&mut self) {
        for item in self.items.values_mut() {
            item.due_ms_min = 0;
        }
    }

    /// Hands out the totals that are new and that belong to a partition of `item.inventory` that is wanted; they stay new
    /// where `out` fails. The others are not new any more: whoever begins to want them has them renewed.
    pub fn publish<E>(
        &mut self,
        is_wanted: impl Fn(u32) -> bool,
        mut out: impl FnMut(&ItemTotal) -> Result<(), E>,
    ) -> Result<Vec<u32>, E> {
        let mut published = Vec::with_capacity(self.new.len());
        for sku in &self.new {
            if is_wanted(partition_of_item(Sku(*sku))) {
                out(&self.total(*sku))?;
                published.push(*sku);
            }
        }
        for sku in std::mem::take(&mut self.new) {
            if let Some(item) = self.items.get_mut(&sku) {
                item.is_new = false;
                item.due_ms_min = 0;
            }
        }
        Ok(published)
    }

    /// Totals are absolute: sending them again is harmless, leaving them out is not.
    pub fn renew(&mut self, skus: impl IntoIterator<Item = u32>) {
        for sku in skus {
            if let Some(item) = self.items.get_mut(&sku).filter(|item| !item.is_new) {
                item.is_new = true;
                self.new.push(sku);
            }
        }
    }

    /// All totals of a partition of `item.inventory`.
    pub fn renew_partition(&mut self, partition: u32) {
        for (sku, item) in &mut self.items {
            if !item.is_new && partition_of_item(Sku(*sku)) == partition {
                item.is_new = true;
                self.new.push(*sku);
            }
        }
    }

    /// Of one article, over the places of all partitions.
    pub fn total(&self, sku: u32) -> ItemTotal {
        let mut total = ItemTotal {
            sku,
            ..ItemTotal::default()
        };
        let item = self.items.get(&sku);
        let doubts = item.map_or(0, |item| item.doubts);
        for partition in 0..PARTITION_COUNT {
            let is_uncertain = self.is_uncertain(partition) || doubts & (1 << partition) != 0;
            total.uncertain_partitions += u32::from(is_uncertain);
        }
        let Some(item) = item else {
            return total;
        };
        total.due_ms_min = item.due_ms_min;
        for (partition, share) in (0..).zip(&item.shares) {
            let Some(share) = share else { continue };
            total.floor += share.floor;
            total.back_room += share.back_room;
            total.in_transit += share.shipped - share.received;
            total.uncertain += share.uncertain;
            total.uncertain_places += share.uncertain_places;
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
        let out = |total: &ItemTotal| {
            totals.push(total.clone());
            Ok::<_, ()>(())
        };
        items.publish(|_| true, out).expect("nothing fails");
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
    fn an_article_whose_share_was_displaced_is_in_doubt_until_it_is_written_again() {
        let mut items = Items::default();
        barrier(&mut items, 0, 2);
        end(&mut items, 0, 2);
        // Compaction took the share of epoch 2 away when this one came.
        share(&mut items, 0, partial(1, 99, 6));
        assert_eq!(items.total(7).uncertain_partitions, 1);
        share(&mut items, 0, partial(2, 10, 5));
        assert_eq!(
            (items.total(7).uncertain_partitions, items.total(7).floor),
            (0, 5)
        );
        // Where the better one is known, the late one means nothing.
        share(&mut items, 0, partial(1, 99, 6));
        assert_eq!(
            (items.total(7).uncertain_partitions, items.total(7).floor),
            (0, 5)
        );
    }

    #[test]
    fn totals_of_partitions_that_nobody_wants_are_handed_out_when_somebody_does() {
        let mut items = Items::default();
        share(&mut items, 0, partial(1, 10, 5));
        let home = partition_of_item(Sku(7));
        let publish = |items: &mut Items, wanted: bool| {
            items.publish(|partition| wanted && partition == home, |_| Ok::<_, ()>(()))
        };
        assert_eq!(publish(&mut items, false), Ok(vec![]));
        items.renew_partition((home + 1) % PARTITIONS);
        assert_eq!(publish(&mut items, true), Ok(vec![]));
        items.renew_partition(home);
        assert_eq!(publish(&mut items, true), Ok(vec![7]));
    }

    #[test]
    fn what_could_not_be_sent_stays_new() {
        let mut items = Items::default();
        share(&mut items, 0, partial(1, 10, 5));
        assert!(items.publish(|_| true, |_| Err(())).is_err());
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

//! The item stage: totals of articles, published by whoever owns them.
//!
//! Each instance reads all of `item.partials` from the beginning, outside of any group: an article needs the shares of
//! every partition, and there are only as many records as articles times partitions, so it has no state of its own to
//! lose. Who publishes which totals is shared out by a group: who is given partition *q* of `item.partials` owns partition
//! *q* of `item.inventory`. Invariant: an owner sets a barrier there with an epoch above all others, reads all shares that
//! there are behind it, has the group take a commit of its epoch, and then publishes everything in that epoch; so nothing
//! older stays last. What an owner that lost the partition writes later is found by the log's end and written over.

use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

use backbone::{Assignment, Backbone, Event, GroupConsumer, OffsetReset, Reader, StartAt};
use contracts::ids::Sku;
use contracts::records::{Barrier, ItemTotal};
use contracts::topics::{ITEM_INVENTORY, ITEM_PARTIALS, PARTITIONS, StateKey, partition_of_item};
use prost::Message;
use tokio_util::sync::CancellationToken;

use crate::items::Items;
use crate::log::{KafkaLog, Log, OutTopic, commit_metadata, committed_epoch, taken};
use crate::repair::Account;
use crate::{Config, Counters, ITEM_GROUP, InventoryError, ItemSaboteur};

const POLL: Duration = Duration::from_millis(20);
/// Records between two looks at the clock.
const LOOK_EVERY: u32 = 256;
const FAILURES_MAX: u32 = 12;
const RECOVERY_PAUSE: Duration = Duration::from_millis(250);
const NAP: Duration = Duration::from_millis(20);
const PARTITION_COUNT: usize = PARTITIONS as usize;

/// A partition of `item.inventory` and its owner's record of it.
#[derive(Debug)]
struct Output {
    partition: u32,
    epoch: u32,
    account: Account,
    is_admitted: bool,
}

/// Runs until cancelled, then publishes what is left. Blocks.
pub fn run(config: &Config, backbone: &Backbone, cancel: &CancellationToken) -> Result<(), InventoryError> {
    let is_stopped = || cancel.is_cancelled() || config.kill.is_cancelled();
    let mut failures = 0;
    loop {
        let mut session = Session {
            saboteur: ItemSaboteur::new(config.sabotage),
            ..Session::default()
        };
        match session.run(config, backbone, cancel) {
            Err(error) if error.is_passing() && failures < FAILURES_MAX && !is_stopped() => {
                failures = if session.has_published { 1 } else { failures + 1 };
                tracing::warn!(%error, failures, "article totals are taken over anew");
                let until = Instant::now() + RECOVERY_PAUSE;
                while Instant::now() < until && !is_stopped() {
                    std::thread::sleep(NAP);
                }
            }
            _ if config.kill.is_cancelled() => return Ok(()),
            Err(error) if is_stopped() && error.is_outdone() => {
                tracing::info!(%error, "stopped, and others had taken over already");
                return Ok(());
            }
            other => return other,
        }
        if is_stopped() {
            return Ok(());
        }
    }
}

/// One life of the clients.
#[derive(Default)]
struct Session {
    items: Items,
    outputs: Vec<Output>,
    taken: Vec<Assignment>,
    has_published: bool,
    saboteur: ItemSaboteur,
}

impl Session {
    fn run(
        &mut self,
        config: &Config,
        backbone: &Backbone,
        cancel: &CancellationToken,
    ) -> Result<(), InventoryError> {
        let client = format!("item-inventory-{}", config.instance);
        let reader =
            backbone.reader_from_beginning(&format!("{client}-shares"), ITEM_PARTIALS, PARTITIONS)?;
        let mut log = KafkaLog::new(backbone, &client)?;
        let is_stopped = || cancel.is_cancelled() || config.kill.is_cancelled();
        if !catch_up(&reader, &mut log, &mut self.items, is_stopped)? {
            return Ok(());
        }
        self.items.forget_instants();
        let consumer = backbone.group_consumer(&client, ITEM_GROUP, &[ITEM_PARTIALS], OffsetReset::Error)?;
        let result = self.serve(config, &reader, &consumer, &mut log, cancel);
        if result.is_err() || config.kill.is_cancelled() {
            log.abandon();
        }
        let given_back = consumer.give_back(&self.taken);
        result.and(given_back.map_err(InventoryError::from))
    }

    fn serve(
        &mut self,
        config: &Config,
        reader: &Reader,
        consumer: &GroupConsumer,
        log: &mut KafkaLog,
        cancel: &CancellationToken,
    ) -> Result<(), InventoryError> {
        let is_stopped = || cancel.is_cancelled() || config.kill.is_cancelled();
        let mut published = Instant::now();
        let mut looked = Instant::now();
        loop {
            match consumer.poll(Duration::ZERO)? {
                Some(Event::Assigned(partitions)) => {
                    let numbers: Vec<u32> = partitions.iter().map(|(_, partition)| *partition).collect();
                    self.take_over(config, consumer, log, &numbers)?;
                    // Whoever published before had read no more than this.
                    if !catch_up(reader, log, &mut self.items, is_stopped)? {
                        return Ok(());
                    }
                    for partition in numbers {
                        self.items.renew_partition(partition);
                    }
                    self.taken.extend(partitions);
                }
                Some(Event::Revoked(partitions)) => {
                    self.publish(config, consumer, log)?;
                    self.drop_partitions(&partitions);
                    consumer.give_back(&partitions)?;
                }
                Some(Event::Lost(partitions)) => {
                    let lost = partitions.iter().map(|(_, partition)| *partition).collect();
                    return Err(InventoryError::Lost { partitions: lost });
                }
                Some(Event::Record(_)) | None => {}
            }
            read(reader, &mut self.items)?;
            if config.kill.is_cancelled() {
                return Ok(());
            }
            let is_last = cancel.is_cancelled();
            let is_due = self.items.has_news() && (is_last || published.elapsed() >= config.item_flush);
            if is_due || looked.elapsed() >= config.idle_head {
                self.publish(config, consumer, log)?;
                (published, looked) = (Instant::now(), Instant::now());
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn drop_partitions(&mut self, partitions: &[Assignment]) {
        let is_gone = |number| partitions.iter().any(|(_, gone)| *gone == number);
        self.outputs.retain(|output| !is_gone(output.partition));
        self.taken.retain(|(_, number)| !is_gone(*number));
    }

    /// Sets a barrier above all epochs in each partition of `item.inventory`, and answers the group.
    fn take_over(
        &mut self,
        config: &Config,
        consumer: &GroupConsumer,
        log: &mut KafkaLog,
        partitions: &[u32],
    ) -> Result<(), InventoryError> {
        let owner = std::hash::RandomState::new().build_hasher().finish();
        let assignments: Vec<Assignment> = partitions
            .iter()
            .map(|partition| (ITEM_PARTIALS.to_owned(), *partition))
            .collect();
        let committed = consumer.committed(&assignments)?;
        let mut starts = Vec::with_capacity(partitions.len());
        for (assignment, committed) in assignments.into_iter().zip(committed) {
            let partition = assignment.1;
            let above = committed.map_or(0, |(_, metadata)| committed_epoch(&metadata));
            self.outputs
                .push(set_barrier(&config.instance, owner, log, partition, above)?);
            // Shares are read outside of the group.
            let end = log.ends(&[(OutTopic::Partials, partition)])?[0];
            starts.push((assignment, StartAt::Offset(end)));
        }
        consumer.take(&starts)?;
        let taken: Vec<Assignment> = starts.into_iter().map(|(assignment, _)| assignment).collect();
        Ok(consumer.pause(&taken)?)
    }

    /// Publishes what is new of what is owned, and looks who else wrote there.
    fn publish(
        &mut self,
        config: &Config,
        consumer: &GroupConsumer,
        log: &mut KafkaLog,
    ) -> Result<(), InventoryError> {
        for output in self.outputs.iter_mut().filter(|output| !output.is_admitted) {
            output.is_admitted = admit(consumer, output)?;
        }
        if self.outputs.iter().any(|output| !output.is_admitted) {
            // The group will say more soon.
            return Ok(());
        }
        let mut epochs = [None; PARTITION_COUNT];
        let mut sent = [0; PARTITION_COUNT];
        for output in &self.outputs {
            epochs[output.partition as usize] = Some(output.epoch);
        }
        let mut value = Vec::with_capacity(160);
        let published = self.items.publish(
            |partition| epochs[partition as usize].is_some(),
            |total| {
                self.saboteur.send(total, |total| {
                    let sku = Sku(total.sku);
                    let partition = partition_of_item(sku);
                    let total = ItemTotal {
                        epoch: epochs[partition as usize].unwrap_or_default(),
                        ..total.clone()
                    };
                    value.clear();
                    total.encode(&mut value).expect("a Vec takes all bytes");
                    sent[partition as usize] += 1;
                    log.send(OutTopic::Items, partition, sku.to_string().as_bytes(), &value)
                })
            },
        )?;
        log.acknowledged()?;
        if consumer.is_lost() {
            let partitions = self.outputs.iter().map(|output| output.partition).collect();
            return Err(InventoryError::Lost { partitions });
        }
        self.has_published |= !published.is_empty();
        Counters::add(&config.counters.items_written, published.len() as u64);
        let asked: Vec<(OutTopic, u32)> = self
            .outputs
            .iter()
            .map(|output| (OutTopic::Items, output.partition))
            .collect();
        let ends = if asked.is_empty() {
            Vec::new()
        } else {
            log.ends(&asked)?
        };
        for (output, end) in self.outputs.iter_mut().zip(ends) {
            output.account.sent += sent[output.partition as usize];
            let displaced = settle(output, end, log)?;
            Counters::add(&config.counters.zombie_writes_repaired, displaced.len() as u64);
            self.items.renew(displaced);
        }
        Ok(())
    }
}

/// Nothing of an owner leaves before the group has taken a commit of its epoch.
fn admit(consumer: &GroupConsumer, output: &Output) -> Result<bool, InventoryError> {
    let assignment = (ITEM_PARTIALS.to_owned(), output.partition);
    taken(consumer.commit(&[(assignment, 0)], &commit_metadata(output.epoch)))
}

/// An epoch above all that lie before its barrier.
fn set_barrier(
    instance: &str,
    owner: u64,
    log: &mut impl Log,
    partition: u32,
    above: u32,
) -> Result<Output, InventoryError> {
    let asked = [(OutTopic::Items, partition)];
    let mut read_to = 0;
    let mut highest = above;
    loop {
        let end = log.ends(&asked)?[0];
        log.read(
            OutTopic::Items,
            partition,
            read_to,
            end,
            &mut |_, key, payload| {
                highest = highest.max(epoch_of(key, payload));
                Ok(())
            },
        )?;
        read_to = end;
        let epoch = highest + 1;
        let key = StateKey::Barrier {
            partition,
            epoch,
            owner,
        };
        let barrier = Barrier {
            epoch,
            instance: format!("{instance}/{owner:016x}"),
            at_ms: backbone::wall_ms(),
        };
        let key = key.to_bytes();
        log.send(OutTopic::Items, partition, &key, &barrier.encode_to_vec())?;
        log.acknowledged()?;
        let end = log.ends(&asked)?[0];
        let (mut own, mut is_outdone) = (None, false);
        log.read(
            OutTopic::Items,
            partition,
            read_to,
            end,
            &mut |offset, found, payload| {
                if found == key {
                    own = Some(offset);
                } else if own.is_none() {
                    let epoch_found = epoch_of(found, payload);
                    is_outdone |= epoch_found >= epoch;
                    highest = highest.max(epoch_found);
                }
                Ok(())
            },
        )?;
        highest = highest.max(epoch);
        read_to = end;
        if !is_outdone && let Some(barrier) = own {
            return Ok(Output {
                partition,
                epoch,
                account: Account {
                    checked: barrier + 1,
                    sent: 0,
                },
                is_admitted: false,
            });
        }
    }
}

fn epoch_of(key: &[u8], payload: Option<&[u8]>) -> u32 {
    match (StateKey::parse(key), payload) {
        (Some(StateKey::Barrier { epoch, .. }), _) => epoch,
        (_, Some(payload)) => ItemTotal::decode(payload).map_or(0, |total| total.epoch),
        _ => 0,
    }
}

/// The articles whose totals somebody older wrote over.
fn settle(output: &mut Output, end: u64, log: &mut impl Log) -> Result<Vec<u32>, InventoryError> {
    let (partition, own) = (output.partition, output.epoch);
    let mut displaced = Vec::new();
    let Some(from) = output.account.balance(ITEM_INVENTORY, partition, end)? else {
        return Ok(displaced);
    };
    log.read(OutTopic::Items, partition, from, end, &mut |_, key, payload| {
        let epoch = epoch_of(key, payload);
        if epoch > own {
            return Err(InventoryError::Superseded { partition, epoch });
        }
        let sku = std::str::from_utf8(key).ok().and_then(|text| text.parse().ok());
        if let Some(sku) = sku
            && epoch < own
        {
            displaced.push(sku);
        }
        Ok(())
    })?;
    Ok(displaced)
}

/// Reads on to the ends as they are now; false when it was stopped before.
fn catch_up(
    reader: &Reader,
    log: &mut KafkaLog,
    items: &mut Items,
    is_stopped: impl Fn() -> bool,
) -> Result<bool, InventoryError> {
    let asked: Vec<(OutTopic, u32)> = (0..PARTITIONS).map(|p| (OutTopic::Partials, p)).collect();
    let ends = log.ends(&asked)?;
    while (0..)
        .zip(&ends)
        .any(|(partition, end)| items.read_to(partition) < *end)
    {
        let Some(record) = reader.poll(POLL)? else {
            if is_stopped() {
                return Ok(false);
            }
            continue;
        };
        take(&record, items);
    }
    Ok(true)
}

fn take(record: &backbone::Record<'_>, items: &mut Items) {
    if let Some(payload) = record.payload() {
        items.take(record.key(), payload);
    }
    items.note_read(record.partition(), record.offset() + 1);
}

/// Takes what is there, for a bounded number of records.
fn read(reader: &Reader, items: &mut Items) -> Result<(), InventoryError> {
    let mut wait = POLL;
    for _ in 0..LOOK_EVERY {
        let Some(record) = reader.poll(wait)? else { break };
        wait = Duration::ZERO;
        take(&record, items);
    }
    Ok(())
}

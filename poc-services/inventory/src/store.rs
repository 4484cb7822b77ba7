//! The store stage's loop: poll, apply, flush; take and give back partitions as the group says.

use std::time::{Duration, Instant};

use backbone::{Assignment, Backbone, BackboneError, Event, GroupConsumer, OffsetReset, Producer, Record};
use contracts::records::Movement;
use contracts::sabotage::{Sabotage, SabotageStage};
use contracts::topics::{DEAD_LETTERS, MOVEMENTS, headers};
use prost::Message;
use tokio_util::sync::CancellationToken;

use crate::acquire::acquire;
use crate::flush::{Owned, flush};
use crate::partition::Applied;
use crate::{Config, Counters, GROUP, InventoryError};

const POLL: Duration = Duration::from_millis(20);
/// Records between two looks at the clock.
const LOOK_EVERY: u32 = 64;
/// Before everything is acquired anew.
const RECOVERY_PAUSE: Duration = Duration::from_millis(500);
const NAP: Duration = Duration::from_millis(20);

/// Runs until cancelled, then flushes, commits and leaves its group. Blocks.
pub fn run(config: &Config, backbone: &Backbone, cancel: &CancellationToken) -> Result<(), InventoryError> {
    loop {
        let result = session(config, backbone, cancel);
        Counters::set(&config.counters.partitions, 0);
        match result {
            // What is not acknowledged may or may not be in the log: a new producer is a new acquisition.
            Err(InventoryError::Backbone(
                error @ (BackboneError::Delivery { .. }
                | BackboneError::FlushTimeout { .. }
                | BackboneError::Commit { .. }),
            )) => {
                tracing::warn!(%error, "acquiring everything anew");
                Counters::add(&config.counters.recoveries, 1);
                let until = Instant::now() + RECOVERY_PAUSE;
                while Instant::now() < until && !stopped(config, cancel) {
                    std::thread::sleep(NAP);
                }
            }
            other => return other,
        }
        if stopped(config, cancel) {
            return Ok(());
        }
    }
}

fn stopped(config: &Config, cancel: &CancellationToken) -> bool {
    cancel.is_cancelled() || config.kill.is_cancelled()
}

/// Stretches the flush interval while there is more to apply than time, and shrinks it when there is not.
#[derive(Debug)]
struct Interval {
    now: Duration,
    idle: bool,
}

impl Interval {
    fn adapt(&mut self, config: &Config, flush: Duration) {
        // A flush may take a third of the time at most.
        let least = (flush * 3).clamp(config.flush_min, config.flush_max);
        self.now = if self.idle {
            self.now.mul_f64(0.7)
        } else {
            self.now.mul_f64(1.3)
        }
        .clamp(least, config.flush_max);
        self.idle = false;
    }
}

struct Worker<'a> {
    config: &'a Config,
    owned: Vec<Owned>,
    /// Into `owned`, by partition.
    index: Vec<Option<usize>>,
    movement: Movement,
    sabotage: Option<Sabotage>,
}

/// One life of the clients.
fn session(config: &Config, backbone: &Backbone, cancel: &CancellationToken) -> Result<(), InventoryError> {
    let client = format!("store-inventory-{}", config.instance);
    let consumer = backbone.group_consumer(&client, GROUP, &[MOVEMENTS], OffsetReset::Error)?;
    let mut producer = backbone.producer(&client)?;
    let mut worker = Worker {
        config,
        owned: Vec::new(),
        index: Vec::new(),
        movement: Movement::default(),
        sabotage: config
            .sabotage
            .filter(|sabotage| sabotage.stage == SabotageStage::Inventory),
    };
    let mut interval = Interval {
        now: config.flush_min,
        idle: false,
    };
    let mut flushed = Instant::now();
    let mut looked = 0;
    loop {
        match consumer.poll(if worker.owned.is_empty() {
            POLL
        } else {
            Duration::ZERO
        })? {
            Some(Event::Record(record)) => worker.take(&record, &mut producer)?,
            Some(Event::Assigned(partitions)) => {
                let numbers: Vec<u32> = partitions.iter().map(|(_, partition)| *partition).collect();
                let states = acquire(config, backbone, &consumer, &mut producer, &numbers)?;
                worker.owned.extend(states.into_iter().map(Owned::new));
                worker.reindex();
            }
            Some(Event::Revoked(partitions)) => {
                flush(&mut worker.owned, &mut producer, &consumer, &config.counters)?;
                worker.drop_partitions(&partitions);
                consumer.give_back(&partitions)?;
            }
            Some(Event::Lost(partitions)) => {
                // Others own them by now: what is still under way of ours must not come behind theirs.
                producer.purge();
                consumer.give_back(&partitions)?;
                return Err(BackboneError::Delivery {
                    failed: 0,
                    first: "the assignment was lost".into(),
                }
                .into());
            }
            None => {
                interval.idle = true;
                looked = LOOK_EVERY;
                wait(
                    &consumer,
                    &mut worker,
                    &mut producer,
                    interval.now.saturating_sub(flushed.elapsed()),
                )?;
            }
        }
        looked += 1;
        if looked < LOOK_EVERY {
            continue;
        }
        looked = 0;
        if config.kill.is_cancelled() {
            producer.purge();
            return Ok(());
        }
        let stop = cancel.is_cancelled();
        if stop || flushed.elapsed() >= interval.now {
            let start = Instant::now();
            flush(&mut worker.owned, &mut producer, &consumer, &config.counters)?;
            interval.adapt(config, start.elapsed());
            Counters::set(&config.counters.flush_ms_last, start.elapsed().as_millis() as u64);
            Counters::set(
                &config.counters.flush_interval_ms,
                interval.now.as_millis() as u64,
            );
            flushed = Instant::now();
        }
        if stop {
            return Ok(());
        }
    }
}

/// Waits for the next record, not longer than until the next flush.
fn wait(
    consumer: &GroupConsumer,
    worker: &mut Worker<'_>,
    producer: &mut Producer,
    until_flush: Duration,
) -> Result<(), InventoryError> {
    if until_flush.is_zero() || worker.owned.is_empty() {
        return Ok(());
    }
    match consumer.poll_record(until_flush.min(POLL))? {
        Some(record) => worker.take(&record, producer),
        None => Ok(()),
    }
}

impl Worker<'_> {
    fn reindex(&mut self) {
        self.index.clear();
        for (position, owned) in self.owned.iter().enumerate() {
            let number = owned.state.number as usize;
            if self.index.len() <= number {
                self.index.resize(number + 1, None);
            }
            self.index[number] = Some(position);
        }
        Counters::set(&self.config.counters.partitions, self.owned.len() as u64);
    }

    fn drop_partitions(&mut self, partitions: &[Assignment]) {
        self.owned
            .retain(|owned| !partitions.iter().any(|(_, number)| *number == owned.state.number));
        self.reindex();
    }

    fn take(&mut self, record: &Record<'_>, producer: &mut Producer) -> Result<(), InventoryError> {
        let counters = &self.config.counters;
        let Some(owned) = self.index.get(record.partition() as usize).copied().flatten() else {
            // Fetched before the partition was given back.
            return Ok(());
        };
        let state = &mut self.owned[owned].state;
        let offset = record.offset();
        self.movement.clear();
        let decoded = self.movement.merge(record.payload().unwrap_or_default());
        let applied = if let Ok(()) = decoded {
            state.apply(&self.movement, offset, self.sabotage.as_ref())
        } else {
            state.next = offset + 1;
            Applied::Refused {
                class: "undecodable",
                message: "the record is no Movement",
            }
        };
        match applied {
            Applied::New { lines } => {
                Counters::add(&counters.transactions, 1);
                Counters::add(&counters.lines, lines.into());
            }
            Applied::Repeat => Counters::add(&counters.repeats, 1),
            Applied::Replayed => Counters::add(&counters.replayed, 1),
            Applied::Refused { class, message } => {
                Counters::add(&counters.dead_letters, 1);
                let partition = record.partition().to_string();
                let position = offset.to_string();
                producer.send(
                    DEAD_LETTERS,
                    record.partition(),
                    record.key(),
                    record.payload().unwrap_or_default(),
                    record.timestamp_ms(),
                    &[
                        (headers::DLQ_TOPIC, MOVEMENTS.as_bytes()),
                        (headers::DLQ_PARTITION, partition.as_bytes()),
                        (headers::DLQ_OFFSET, position.as_bytes()),
                        (headers::DLQ_CLASS, class.as_bytes()),
                        (headers::DLQ_MESSAGE, message.as_bytes()),
                    ],
                )?;
            }
        }
        Ok(())
    }
}

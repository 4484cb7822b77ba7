//! The store stage's loop: poll, apply, flush; take and give back partitions as the group says.
//!
//! Invariant: whenever it ends, what is in Kafka is a prefix of what it did, and the next owner goes on from there. It
//! decides when, never what: that is `partition`, `flush` and `acquire`.

use std::time::{Duration, Instant};

use backbone::{Assignment, Backbone, Event, GroupConsumer, OffsetReset, Producer, Record};
use contracts::sabotage::{Sabotage, SabotageStage};
use contracts::topics::{DEAD_LETTERS, MOVEMENTS, headers};
use tokio_util::sync::CancellationToken;

use crate::acquire::acquire;
use crate::flush::{Owned, flush};
use crate::partition::{Applied, Partition, Refusal};
use crate::transaction::Transaction;
use crate::{Config, Counters, GROUP, InventoryError};

const POLL: Duration = Duration::from_millis(20);
/// Records between two looks at the clock.
const LOOK_EVERY: u32 = 64;
/// Before everything is acquired anew, growing with each failure in a row.
const RECOVERY_PAUSE: Duration = Duration::from_millis(250);
const RECOVERY_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Sessions that fail one after the other, none having flushed anything, until the error is the service's.
const FAILURES_MAX: u32 = 12;
const NAP: Duration = Duration::from_millis(20);
/// An interval lasts at least so many times what the flush before took.
const FLUSH_SHARE: u32 = 1;

/// Runs until cancelled, then flushes, commits and leaves its group. Blocks.
pub fn run(config: &Config, backbone: &Backbone, cancel: &CancellationToken) -> Result<(), InventoryError> {
    let is_stopped = || cancel.is_cancelled() || config.kill.is_cancelled();
    let mut failures = 0;
    let mut pause = RECOVERY_PAUSE;
    loop {
        let mut session = Session::new(config);
        let result = session.run(backbone, cancel);
        Counters::set(&config.counters.partitions, 0);
        if session.has_flushed {
            (failures, pause) = (0, RECOVERY_PAUSE);
        }
        match result {
            // What is not acknowledged may or may not be in the log: a new producer is a new acquisition.
            Err(error) if error.is_passing() && failures < FAILURES_MAX && !is_stopped() => {
                failures += 1;
                tracing::warn!(%error, failures, "acquiring everything anew");
                Counters::add(&config.counters.recoveries, 1);
                let until = Instant::now() + pause;
                while Instant::now() < until && !is_stopped() {
                    std::thread::sleep(NAP);
                }
                pause = (pause * 2).min(RECOVERY_PAUSE_MAX);
            }
            // A killed process has nobody to tell.
            _ if config.kill.is_cancelled() => return Ok(()),
            other => return other,
        }
        if is_stopped() {
            return Ok(());
        }
    }
}

/// Stretches the flush interval while there is more to apply than time, and shrinks it when there is not: many updates
/// of one cell then become one record, and freshness gives way instead of throughput.
#[derive(Debug)]
struct Interval {
    now: Duration,
    /// The log had nothing more at some time since the last flush.
    was_idle: bool,
}

impl Interval {
    fn adapt(&mut self, config: &Config, flush_took: Duration) {
        let least = (flush_took * FLUSH_SHARE).clamp(config.flush_min, config.flush_max);
        let wanted = self.now.mul_f64(if self.was_idle { 0.7 } else { 1.3 });
        self.now = wanted.clamp(least, config.flush_max);
        self.was_idle = false;
    }
}

/// One life of the clients.
struct Session<'a> {
    config: &'a Config,
    owned: Vec<Owned>,
    /// Into `owned`, by partition.
    index: Vec<Option<usize>>,
    taken: Vec<Assignment>,
    transaction: Transaction,
    sabotage: Option<Sabotage>,
    interval: Interval,
    flushed: Instant,
    has_flushed: bool,
}

impl<'a> Session<'a> {
    fn new(config: &'a Config) -> Self {
        Self {
            config,
            owned: Vec::new(),
            index: Vec::new(),
            taken: Vec::new(),
            transaction: Transaction::default(),
            sabotage: Sabotage::at(config.sabotage, SabotageStage::Inventory),
            interval: Interval {
                now: config.flush_min,
                was_idle: false,
            },
            flushed: Instant::now(),
            has_flushed: false,
        }
    }

    fn run(&mut self, backbone: &Backbone, cancel: &CancellationToken) -> Result<(), InventoryError> {
        let client = format!("store-inventory-{}", self.config.instance);
        let consumer = backbone.group_consumer(&client, GROUP, &[MOVEMENTS], OffsetReset::Error)?;
        let mut producer = backbone.producer(&client)?;
        let result = self.serve(backbone, cancel, &consumer, &mut producer);
        if result.is_err() || self.config.kill.is_cancelled() {
            // Others own it soon: what is under way of ours must not come behind theirs.
            producer.purge();
        }
        let taken = std::mem::take(&mut self.taken);
        let given_back = consumer.give_back(&taken);
        result.and(given_back.map_err(InventoryError::from))
    }

    fn serve(
        &mut self,
        backbone: &Backbone,
        cancel: &CancellationToken,
        consumer: &GroupConsumer,
        producer: &mut Producer,
    ) -> Result<(), InventoryError> {
        let mut until_look = LOOK_EVERY;
        loop {
            let poll = if self.owned.is_empty() {
                POLL
            } else {
                Duration::ZERO
            };
            match consumer.poll(poll)? {
                Some(Event::Record(record)) => self.take(&record, producer)?,
                Some(Event::Assigned(partitions)) => {
                    if !self.assigned(&partitions, backbone, cancel, consumer, producer)? {
                        return Ok(());
                    }
                }
                Some(Event::Revoked(partitions)) => {
                    self.flush(producer, consumer)?;
                    self.drop_partitions(&partitions);
                    consumer.give_back(&partitions)?;
                }
                Some(Event::Lost(partitions)) => {
                    self.drop_partitions(&partitions);
                    consumer.give_back(&partitions)?;
                    return Err(InventoryError::Lost {
                        partitions: partitions.iter().map(|(_, partition)| *partition).collect(),
                    });
                }
                None => {
                    self.interval.was_idle = true;
                    until_look = 1;
                    self.wait(consumer, producer)?;
                }
            }
            until_look -= 1;
            if until_look > 0 {
                continue;
            }
            until_look = LOOK_EVERY;
            if self.config.kill.is_cancelled() {
                return Ok(());
            }
            let is_last = cancel.is_cancelled();
            if is_last || self.flushed.elapsed() >= self.interval.now {
                self.flush(producer, consumer)?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// False: stopped while it read the state.
    fn assigned(
        &mut self,
        partitions: &[Assignment],
        backbone: &Backbone,
        cancel: &CancellationToken,
        consumer: &GroupConsumer,
        producer: &mut Producer,
    ) -> Result<bool, InventoryError> {
        let numbers: Vec<u32> = partitions.iter().map(|(_, partition)| *partition).collect();
        let is_stopped = || cancel.is_cancelled() || self.config.kill.is_cancelled();
        let states = acquire(self.config, backbone, consumer, producer, &numbers, is_stopped)?;
        let Some(states) = states else { return Ok(false) };
        self.taken.extend_from_slice(partitions);
        self.owned.extend(states.into_iter().map(Owned::new));
        self.reindex();
        // The end marks of the restored shares need not wait.
        self.flush(producer, consumer)?;
        Ok(true)
    }

    fn flush(&mut self, producer: &mut Producer, consumer: &GroupConsumer) -> Result<(), InventoryError> {
        let counters = &self.config.counters;
        let start = Instant::now();
        let flushed = flush(&mut self.owned, producer, consumer, counters)?;
        let took = start.elapsed();
        if flushed.heads > 0 {
            self.has_flushed = true;
            Counters::set(&counters.flush_ms_last, took.as_millis() as u64);
        }
        self.interval.adapt(self.config, took);
        Counters::set(&counters.flush_interval_ms, self.interval.now.as_millis() as u64);
        self.flushed = Instant::now();
        Ok(())
    }

    /// Waits for the next record, not longer than until the next flush.
    fn wait(&mut self, consumer: &GroupConsumer, producer: &mut Producer) -> Result<(), InventoryError> {
        let until_flush = self.interval.now.saturating_sub(self.flushed.elapsed());
        if until_flush.is_zero() || self.owned.is_empty() {
            return Ok(());
        }
        match consumer.poll_record(until_flush.min(POLL))? {
            Some(record) => self.take(&record, producer),
            None => Ok(()),
        }
    }

    fn reindex(&mut self) {
        self.index.clear();
        for (position, owned) in self.owned.iter().enumerate() {
            let number = owned.state.number() as usize;
            if self.index.len() <= number {
                self.index.resize(number + 1, None);
            }
            self.index[number] = Some(position);
        }
        Counters::set(&self.config.counters.partitions, self.owned.len() as u64);
    }

    fn drop_partitions(&mut self, partitions: &[Assignment]) {
        let is_gone = |number| partitions.iter().any(|(_, gone)| *gone == number);
        self.owned.retain(|owned| !is_gone(owned.state.number()));
        self.taken.retain(|(_, number)| !is_gone(*number));
        self.reindex();
    }

    fn take(&mut self, record: &Record<'_>, producer: &mut Producer) -> Result<(), InventoryError> {
        let counters = &self.config.counters;
        let Some(owned) = self.index.get(record.partition() as usize).copied().flatten() else {
            // Fetched before the partition was given back.
            return Ok(());
        };
        let state = &mut self.owned[owned].state;
        let payload = record.payload().unwrap_or_default();
        let (is_readable, applied) = apply(
            state,
            &mut self.transaction,
            payload,
            record.offset(),
            self.sabotage.as_ref(),
        );
        let transaction = is_readable.then_some(&self.transaction);
        counters.digested(record.partition(), record.offset(), transaction, applied);
        match applied {
            Applied::New { lines } => {
                Counters::add(&counters.transactions, 1);
                Counters::add(&counters.lines, lines.into());
                let kind = (self.transaction.id.source.kind as usize).saturating_sub(1);
                Counters::add(&counters.transactions_by_source[kind.min(2)], 1);
                Counters::add(&counters.lines_by_source[kind.min(2)], lines.into());
            }
            Applied::Repeat => Counters::add(&counters.repeats, 1),
            Applied::Replayed => Counters::add(&counters.replayed, 1),
            Applied::Refused(refusal) => {
                Counters::add(&counters.dead_letters, 1);
                send_dead_letter(record, refusal, producer)?;
            }
        }
        Ok(())
    }
}

/// Reads a record and applies it; whether it could be read.
fn apply(
    state: &mut Partition,
    transaction: &mut Transaction,
    payload: &[u8],
    offset: u64,
    sabotage: Option<&Sabotage>,
) -> (bool, Applied) {
    match transaction.read(payload) {
        Ok(()) => (true, state.apply(transaction, offset, sabotage)),
        Err(invalid) => {
            state.skip(offset);
            let refusal = Refusal {
                class: "undecodable",
                message: invalid.0,
            };
            (false, Applied::Refused(refusal))
        }
    }
}

/// The record whole, with where it stood and what is wrong with it. The next flush acknowledges it before its head.
fn send_dead_letter(
    record: &Record<'_>,
    refusal: Refusal,
    producer: &mut Producer,
) -> Result<(), InventoryError> {
    let partition = record.partition().to_string();
    let offset = record.offset().to_string();
    let headers = [
        (headers::DLQ_TOPIC, MOVEMENTS.as_bytes()),
        (headers::DLQ_PARTITION, partition.as_bytes()),
        (headers::DLQ_OFFSET, offset.as_bytes()),
        (headers::DLQ_CLASS, refusal.class.as_bytes()),
        (headers::DLQ_MESSAGE, refusal.message.as_bytes()),
    ];
    Ok(producer.send(
        DEAD_LETTERS,
        record.partition(),
        record.key(),
        record.payload().unwrap_or_default(),
        record.timestamp_ms(),
        &headers,
    )?)
}

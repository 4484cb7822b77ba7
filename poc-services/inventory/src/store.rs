//! The store stage's loop: poll, apply, flush; take and give back partitions as the group says.
//!
//! Invariant: whenever it ends, what is in Kafka is a prefix of what it did, and the next owner goes on from there. It
//! decides when, never what: that is `partition`, `flush` and `acquire`.

use std::time::{Duration, Instant};

use backbone::{Assignment, Backbone, Event, GroupConsumer, OffsetKeeper, OffsetReset, Producer, Record};
use contracts::sabotage::{Sabotage, SabotageStage};
use contracts::topics::MOVEMENTS;
use tokio_util::sync::CancellationToken;

use crate::acquire::{acquire, check_log};
use crate::flush::flush;
use crate::log::{KafkaGroup, KafkaLog};
use crate::owned::Owned;
use crate::partition::{Applied, Refusal};
use crate::plant::{self, Plant};
use crate::statement::Standing;
use crate::transaction::{Content, Transaction};
use crate::{Config, Counters, FLOOR_GROUP, GROUP, InventoryError};

const POLL: Duration = Duration::from_millis(20);
/// Records between two looks at the clock.
const LOOK_EVERY: u32 = 64;
/// Before everything is acquired anew, growing with each failure in a row.
const RECOVERY_PAUSE: Duration = Duration::from_millis(250);
const RECOVERY_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Sessions that fail one after the other, none having flushed anything, until the error is the service's.
const FAILURES_MAX: u32 = 12;
const NAP: Duration = Duration::from_millis(20);
/// An interval lasts at least this part of what the flush before took: more would add to what the next one has to write.
const FLUSH_SHARE: f64 = 0.25;

/// Runs until cancelled, then flushes, commits and leaves its group. Blocks.
pub fn run(config: &Config, backbone: &Backbone, cancel: &CancellationToken) -> Result<(), InventoryError> {
    let is_stopped = || cancel.is_cancelled() || config.kill.is_cancelled();
    let mut failures = 0;
    let mut pause = RECOVERY_PAUSE;
    loop {
        let mut session = Session::new(config);
        let result = session.run(backbone, cancel);
        Counters::set(&config.counters.partitions, 0);
        Counters::set(&config.counters.partitions_unknown, 0);
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
        let least = flush_took
            .mul_f64(FLUSH_SHARE)
            .clamp(config.flush_min, config.flush_max);
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
    /// Of them, those that cannot be known.
    unknown: Vec<u32>,
    transaction: Transaction,
    sabotage: Option<Sabotage>,
    interval: Interval,
    flushed: Instant,
    /// When all heads were last asked for, whether anything moved or not.
    headed: Instant,
    has_flushed: bool,
}

/// The clients of a session.
struct Clients<'a> {
    backbone: &'a Backbone,
    consumer: GroupConsumer,
    floors: OffsetKeeper,
}

impl<'a> Session<'a> {
    fn new(config: &'a Config) -> Self {
        Self {
            config,
            owned: Vec::new(),
            index: Vec::new(),
            taken: Vec::new(),
            unknown: Vec::new(),
            transaction: Transaction::default(),
            sabotage: Sabotage::at(config.sabotage, SabotageStage::Inventory),
            interval: Interval {
                now: config.flush_min,
                was_idle: false,
            },
            flushed: Instant::now(),
            headed: Instant::now(),
            has_flushed: false,
        }
    }

    fn run(&mut self, backbone: &Backbone, cancel: &CancellationToken) -> Result<(), InventoryError> {
        let client = format!("store-inventory-{}", self.config.instance);
        let clients = Clients {
            backbone,
            consumer: backbone.group_consumer(&client, GROUP, &[MOVEMENTS], OffsetReset::Error)?,
            floors: backbone.offset_keeper(&format!("{client}-floor"), FLOOR_GROUP)?,
        };
        let mut log = KafkaLog::new(backbone, &client)?;
        #[cfg(feature = "plant")]
        {
            log.pause.clone_from(&self.config.pause);
        }
        let result = self.serve(&clients, cancel, &mut log);
        if (result.is_err() || self.config.kill.is_cancelled()) && !plant::is(Plant::NoPurgeOnRevoke) {
            // Others own it soon: what is under way of ours must not come behind theirs.
            log.abandon();
        }
        let taken = std::mem::take(&mut self.taken);
        let given_back = clients.consumer.give_back(&taken);
        result.and(given_back.map_err(InventoryError::from))
    }

    fn serve(
        &mut self,
        clients: &Clients<'_>,
        cancel: &CancellationToken,
        log: &mut KafkaLog,
    ) -> Result<(), InventoryError> {
        let consumer = &clients.consumer;
        let mut until_look = LOOK_EVERY;
        loop {
            let poll = if self.owned.is_empty() {
                POLL
            } else {
                Duration::ZERO
            };
            match consumer.poll(poll)? {
                Some(Event::Record(record)) => self.take(&record, &mut log.producer)?,
                Some(Event::Assigned(partitions)) => {
                    if !self.assigned(&partitions, clients, cancel, log)? {
                        return Ok(());
                    }
                }
                Some(Event::Revoked(partitions)) => {
                    // Nothing of them is under way behind it.
                    self.flush(clients, log)?;
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
                    self.wait(consumer, &mut log.producer)?;
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
                self.flush(clients, log)?;
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
        clients: &Clients<'_>,
        cancel: &CancellationToken,
        log: &mut KafkaLog,
    ) -> Result<bool, InventoryError> {
        let numbers: Vec<u32> = partitions.iter().map(|(_, partition)| *partition).collect();
        let is_stopped = || cancel.is_cancelled() || self.config.kill.is_cancelled();
        let (backbone, consumer) = (clients.backbone, &clients.consumer);
        let acquired = acquire(self.config, backbone, consumer, log, &numbers, is_stopped)?;
        let Some(acquired) = acquired else {
            return Ok(false);
        };
        self.taken.extend_from_slice(partitions);
        self.owned.extend(acquired.owned);
        self.unknown.extend(acquired.unknown);
        self.reindex();
        // The end marks of the restored shares need not wait.
        self.flush(clients, log)?;
        Ok(true)
    }

    fn flush(&mut self, clients: &Clients<'_>, log: &mut KafkaLog) -> Result<(), InventoryError> {
        let counters = &self.config.counters;
        let start = Instant::now();
        self.rebuild_unsound(clients, log)?;
        if self.headed.elapsed() >= self.config.idle_head {
            self.headed = Instant::now();
            self.owned.iter_mut().for_each(Owned::request_head);
        }
        let group = KafkaGroup {
            consumer: &clients.consumer,
            floors: &clients.floors,
        };
        let flushed = flush(&mut self.owned, log, &group, counters)?;
        let took = start.elapsed();
        if flushed.heads > 0 {
            self.has_flushed = true;
            Counters::set(&counters.flush_ms_last, took.as_millis() as u64);
        }
        let mut standing = Standing::default();
        for owned in &self.owned {
            standing.add(owned.state.standing());
        }
        counters.stand(standing);
        self.interval.adapt(self.config, took);
        Counters::set(&counters.flush_interval_ms, self.interval.now.as_millis() as u64);
        self.flushed = Instant::now();
        Ok(())
    }

    /// Makes anew what turned out not to be what an earlier owner had.
    fn rebuild_unsound(&mut self, clients: &Clients<'_>, log: &mut KafkaLog) -> Result<(), InventoryError> {
        for owned in &mut self.owned {
            if owned.state.is_sound() {
                continue;
            }
            let partition = owned.state.number();
            tracing::warn!(
                partition,
                offset = owned.state.next(),
                "the state differs and is made anew"
            );
            let rebuilt = check_log(&log.producer, owned)
                .and_then(|()| owned.rebuild(log, &self.config.counters))
                .and_then(|()| check_log(&log.producer, owned));
            match rebuilt {
                Ok(()) => {
                    clients.consumer.go_to(MOVEMENTS, partition, owned.state.next())?;
                }
                Err(error @ (InventoryError::LogGone { .. } | InventoryError::Image { .. })) => {
                    tracing::error!(%error, "the partition is unknown from now on; the others go on");
                    self.unknown.push(partition);
                }
                Err(error) => return Err(error),
            }
        }
        if self
            .owned
            .iter()
            .any(|owned| self.unknown.contains(&owned.state.number()))
        {
            self.owned
                .retain(|owned| !self.unknown.contains(&owned.state.number()));
            self.reindex();
        }
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
        let counters = &self.config.counters;
        Counters::set(&counters.partitions, self.owned.len() as u64);
        Counters::set(&counters.partitions_unknown, self.unknown.len() as u64);
    }

    fn drop_partitions(&mut self, partitions: &[Assignment]) {
        let is_gone = |number| partitions.iter().any(|(_, gone)| *gone == number);
        self.owned.retain(|owned| !is_gone(owned.state.number()));
        self.taken.retain(|(_, number)| !is_gone(*number));
        self.unknown.retain(|number| !is_gone(*number));
        self.reindex();
    }

    fn take(&mut self, record: &Record<'_>, producer: &mut Producer) -> Result<(), InventoryError> {
        let counters = &self.config.counters;
        let Some(owned) = self.index.get(record.partition() as usize).copied().flatten() else {
            // Fetched before the partition was given back.
            return Ok(());
        };
        let owned = &mut self.owned[owned];
        if record.offset() < owned.state.next() {
            // Fetched before it was made anew.
            return Ok(());
        }
        let payload = record.payload().unwrap_or_default();
        owned.leader_epoch = record.leader_epoch();
        let offset = record.offset();
        let applied = match self.transaction.read(payload) {
            Ok(Content::Transaction) => owned
                .state
                .apply(&self.transaction, offset, self.sabotage.as_ref()),
            Ok(Content::Statement(statement)) => {
                let applied = owned.state.note(&statement, offset);
                let is_first = counters.passed(record.partition(), offset);
                if is_first && applied == Applied::Noted {
                    Counters::add(&counters.statements, 1);
                }
                return self.refused(record, applied, producer);
            }
            Err(invalid) => {
                owned.state.note_unreadable(record.key(), offset);
                counters.unreadable(record.partition(), offset);
                let refusal = Refusal {
                    class: "undecodable",
                    message: invalid.0,
                };
                return self.refused(record, Applied::Refused(refusal), producer);
            }
        };
        let is_first = counters.digested(record.partition(), offset, &self.transaction, applied);
        match applied {
            Applied::New { .. } if is_first => {
                let lines = self.transaction.lines.len() as u64;
                Counters::add(&counters.transactions, 1);
                Counters::add(&counters.lines, lines);
                let kind = (self.transaction.id.source.kind as usize).saturating_sub(1);
                Counters::add(&counters.transactions_by_source[kind.min(2)], 1);
                Counters::add(&counters.lines_by_source[kind.min(2)], lines);
            }
            Applied::Repeat if is_first => Counters::add(&counters.repeats, 1),
            Applied::New { .. } | Applied::Repeat | Applied::Noted => {}
            Applied::Replayed => Counters::add(&counters.replayed, 1),
            Applied::Refused(_) => return self.refused(record, applied, producer),
        }
        Ok(())
    }

    /// What is refused goes to the dead letters, unless it is there already.
    fn refused(
        &self,
        record: &Record<'_>,
        applied: Applied,
        producer: &mut Producer,
    ) -> Result<(), InventoryError> {
        let owned = self.index.get(record.partition() as usize).copied().flatten();
        let letters_from = owned.map_or(0, |owned| self.owned[owned].letters_from);
        let Applied::Refused(refusal) = applied else {
            return Ok(());
        };
        if record.offset() < letters_from {
            return Ok(());
        }
        Counters::add(&self.config.counters.dead_letters, 1);
        // The next flush acknowledges it before its head.
        Ok(producer.send_dead_letter(record, refusal.class, refusal.message)?)
    }
}

//! The loop: poll, normalise, produce; every so often flush, then commit.
//!
//! Invariant: an offset is committed only after all that its messages became is acknowledged. When Kafka does not
//! acknowledge, clients are made anew and reading goes on from the last commit: some movements come twice, which the
//! inventory service tells by their identity, and none is missing. Of `scan.raw` reading begins some messages before the
//! commit: of those only what they said is remembered.
//!
//! A commit holds only in the log that was read. Where that was cut off below it, or is another one, reading goes on from
//! where the two differ, or from the beginning where that is not known ([`crate::reading`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use backbone::{
    Assignment, Backbone, BackboneError, Event, GroupConsumer, OffsetReset, Producer, Record, sessions,
};
use contracts::sabotage::Sabotage;
use tokio_util::sync::CancellationToken;

use crate::progress::{Kept, Progress};
use crate::reading::Comes;
use crate::worker::Worker;
use crate::{BusinessClock, Counters, Phase, RawTopic, Snapshot};

/// The consumer group.
pub const GROUP: &str = "normaliser";
/// Has no members: its offsets say from where on `scan.raw` must be kept, for whoever takes a partition next.
pub const KEPT_GROUP: &str = "normaliser-scans";

const POLL: Duration = Duration::from_millis(20);
const BATCH_MESSAGES: usize = 1000;
const FLUSH_TIMEOUT: Duration = Duration::from_secs(15);
const TAIL_EVERY: Duration = Duration::from_millis(500);

/// What one instance needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Unique among the instances of a group.
    pub client_id: String,
    pub group: String,
    pub clock: BusinessClock,
    /// From produced to committed: what a crash makes again at most.
    pub flush_every: Duration,
    /// Only obeyed if it names this service.
    pub sabotage: Option<Sabotage>,
    pub counters: Arc<Counters>,
    /// Cancelled with the service: it ends without a last flush, as a killed process would.
    pub kill: CancellationToken,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            client_id: GROUP.to_owned(),
            group: GROUP.to_owned(),
            clock: BusinessClock::default(),
            flush_every: Duration::from_millis(200),
            sabotage: None,
            counters: Arc::default(),
            kill: CancellationToken::new(),
        }
    }
}

/// What an instance did in its life, with what its counters held before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub counts: Snapshot,
}

#[derive(Debug, thiserror::Error)]
pub enum NormaliserError {
    #[error("normaliser: {source}")]
    Backbone {
        #[from]
        source: BackboneError,
    },
}

/// Runs until cancelled, then flushes, commits and leaves its group. Blocks: give it a thread of its own.
///
/// An error is one that starting again does not mend, such as a refused authentication; what the cluster fails to
/// acknowledge in time is tried again from the last commit, and counted.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a service is moved to its thread whole"
)]
pub fn run(
    config: Config,
    backbone: Backbone,
    cancel: CancellationToken,
) -> Result<Summary, NormaliserError> {
    let counters = Arc::clone(&config.counters);
    let result = run_until_cancelled(&config, &backbone, &cancel);
    counters.phase(Phase::Stopped);
    result?;
    Ok(Summary {
        counts: counters.snapshot(),
    })
}

fn run_until_cancelled(
    config: &Config,
    backbone: &Backbone,
    cancel: &CancellationToken,
) -> Result<(), BackboneError> {
    let counters = &*config.counters;
    let mut worker = Worker::new(config);
    let recover = || {
        counters.recovery();
        counters.phase(Phase::Recovering);
    };
    sessions(cancel, recover, || session(config, backbone, cancel, &mut worker))
}

/// One life of the clients.
fn session(
    config: &Config,
    backbone: &Backbone,
    cancel: &CancellationToken,
    worker: &mut Worker<'_>,
) -> Result<(), BackboneError> {
    worker.feed.open(backbone)?;
    let counters = worker.counters;
    if !worker.feed.fill(&mut worker.catalogue, counters, cancel)? {
        return Ok(());
    }
    counters.phase(Phase::Running);
    let names = RawTopic::ALL.map(RawTopic::name);
    let consumer =
        backbone.group_consumer(&config.client_id, &config.group, &names, OffsetReset::Earliest)?;
    let kept = Kept::new(backbone.offset_keeper(&format!("{}-kept", config.client_id), KEPT_GROUP)?);
    let mut producer = backbone.producer(&config.client_id)?;
    let mut taken = Vec::new();
    let result = serve(config, cancel, worker, &consumer, kept, &mut producer, &mut taken);
    if result.is_err() || config.kill.is_cancelled() {
        // What is still under way is made again after the next start.
        producer.purge();
    }
    // A consumer that holds partitions would wait at its end for somebody to answer for them.
    consumer.give_back(&taken)?;
    result
}

fn serve(
    config: &Config,
    cancel: &CancellationToken,
    worker: &mut Worker<'_>,
    consumer: &GroupConsumer,
    mut kept: Kept,
    producer: &mut Producer,
    taken: &mut Vec<Assignment>,
) -> Result<(), BackboneError> {
    let mut progress = Progress::default();
    let mut flushed = Instant::now();
    let mut tailed = Instant::now();
    while !cancel.is_cancelled() {
        for _ in 0..BATCH_MESSAGES {
            match consumer.poll(POLL)? {
                None => break,
                Some(Event::Record(record)) => {
                    if let Some(topic) = RawTopic::from_name(record.topic()) {
                        take(topic, &record, consumer, worker, producer, &mut progress)?;
                    }
                }
                Some(Event::Assigned(partitions)) => {
                    let from = worker.starts(partitions, consumer, producer)?;
                    taken.extend(from.iter().map(|(one, _)| one.clone()));
                    consumer.take(&from)?;
                }
                Some(Event::Revoked(partitions)) => {
                    flush_and_commit(consumer, producer, &mut progress, &mut kept, worker.counters)?;
                    give_back(consumer, &partitions, &mut progress, taken)?;
                }
                Some(Event::Lost(partitions)) => {
                    give_back(consumer, &partitions, &mut progress, taken)?;
                }
            }
        }
        if flushed.elapsed() >= config.flush_every {
            flush_and_commit(consumer, producer, &mut progress, &mut kept, worker.counters)?;
            flushed = Instant::now();
        }
        if tailed.elapsed() >= TAIL_EVERY {
            worker.feed.tail(&mut worker.catalogue, worker.counters)?;
            tailed = Instant::now();
        }
    }
    if config.kill.is_cancelled() {
        return Ok(());
    }
    flush_and_commit(consumer, producer, &mut progress, &mut kept, worker.counters)
}

fn take(
    topic: RawTopic,
    record: &Record<'_>,
    consumer: &GroupConsumer,
    worker: &mut Worker<'_>,
    producer: &mut Producer,
    progress: &mut Progress,
) -> Result<(), BackboneError> {
    let partition = record.partition();
    match worker.look(topic, record) {
        Comes::Again => {
            worker.remember(topic, record);
            return Ok(());
        }
        Comes::Cut { .. } => {
            // What is not committed yet lies in the log that was.
            progress.forget(&[(record.topic().to_owned(), partition)]);
            if topic == RawTopic::Scan {
                let first = worker.first_behind_cut(topic, record);
                return consumer.go_to(record.topic(), partition, first);
            }
        }
        Comes::New => {}
    }
    worker.handle(topic, record, producer)?;
    progress.advance(topic, partition, record.offset() + 1, record.leader_epoch());
    Ok(())
}

fn give_back(
    consumer: &GroupConsumer,
    partitions: &[Assignment],
    progress: &mut Progress,
    taken: &mut Vec<Assignment>,
) -> Result<(), BackboneError> {
    progress.forget(partitions);
    taken.retain(|one| !partitions.contains(one));
    consumer.give_back(partitions)
}

fn flush_and_commit(
    consumer: &GroupConsumer,
    producer: &mut Producer,
    progress: &mut Progress,
    kept: &mut Kept,
    counters: &Counters,
) -> Result<(), BackboneError> {
    let next = progress.uncommitted();
    if next.is_empty() {
        return Ok(());
    }
    producer.flush(FLUSH_TIMEOUT)?;
    kept.raise(&next)?;
    match consumer.commit_behind(&next) {
        Ok(()) => progress.committed(),
        // The group is in motion: what was made is durable, and whoever owns the partitions next makes it again at worst.
        Err(error @ BackboneError::Commit { .. }) => {
            tracing::debug!(%error, "commit refused");
            counters.refused_commit();
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

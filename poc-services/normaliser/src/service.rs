//! The loop: poll, normalise, produce; every so often flush, then commit.
//!
//! Invariant: an offset is committed only after all that its messages became is acknowledged. When Kafka does not
//! acknowledge, clients are made anew and reading goes on from the last commit: some movements come twice, which the
//! inventory service tells by their identity, and none is missing. Of `scan.raw` reading begins some messages before the
//! commit: of those only what they said is remembered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backbone::{
    Assignment, Backbone, BackboneError, Event, GroupConsumer, Header, OffsetKeeper, OffsetReset, Producer,
    Record, StartAt,
};
use contracts::ids::{LocationId, TimeMs};
use contracts::records::Movement;
use contracts::sabotage::Sabotage;
use contracts::topics::{self, PARTITIONS, headers, partition_of, partition_of_key};
use prost::Message as _;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::feed::CatalogueFeed;
use crate::paper;
use crate::replay::Replay;
use crate::{
    BusinessClock, Catalogue, Counters, Group, GroupPlace, Normalised, Normaliser, Phase, Position,
    RawMessage, RawTopic, Rejection, SCAN_SPAN, Saboteur, Snapshot, encode_movement, mark_put_back, rejected,
    resolved,
};

/// The consumer group.
pub const GROUP: &str = "normaliser";
/// Has no members: its offsets say from where on `scan.raw` must be kept, for whoever takes a partition next.
pub const KEPT_GROUP: &str = "normaliser-scans";

const POLL: Duration = Duration::from_millis(20);
const BATCH_MESSAGES: usize = 1000;
const FLUSH_TIMEOUT: Duration = Duration::from_secs(15);
const TAIL_EVERY: Duration = Duration::from_millis(500);
const RECOVERY_PAUSE: Duration = Duration::from_millis(500);
const NAP: Duration = Duration::from_millis(20);

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
    let mut worker = Worker {
        feed: CatalogueFeed::new(&config.client_id),
        catalogue: Catalogue::default(),
        normaliser: Normaliser::new(config.clock),
        normalised: Normalised::default(),
        movement: Vec::new(),
        key: Vec::with_capacity(6),
        saboteur: Saboteur::new(config.sabotage),
        resume: [0; PARTITIONS as usize],
        counters,
    };
    loop {
        match session(config, backbone, cancel, &mut worker) {
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, "going on from the last commit");
                counters.recovery();
                counters.phase(Phase::Recovering);
                let until = Instant::now() + RECOVERY_PAUSE;
                while Instant::now() < until && !cancel.is_cancelled() {
                    std::thread::sleep(NAP);
                }
            }
            other => return other,
        }
        if cancel.is_cancelled() {
            return Ok(());
        }
    }
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
    let kept = Kept {
        keeper: backbone.offset_keeper(&format!("{}-kept", config.client_id), KEPT_GROUP)?,
        from: [None; PARTITIONS as usize],
    };
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
                    if let Some(topic) = RawTopic::from_name(record.topic())
                        && !worker.was_read_before(topic, &record)
                    {
                        worker.handle(topic, &record, producer)?;
                        progress.advance(topic, record.partition(), record.offset() + 1);
                    }
                }
                Some(Event::Assigned(partitions)) => {
                    let committed = consumer.committed(&partitions)?;
                    let from: Vec<_> = partitions
                        .iter()
                        .cloned()
                        .zip(committed)
                        .map(|(one, next)| {
                            let start = worker.start_at(&one, next.map(|(offset, _)| offset));
                            (one, start)
                        })
                        .collect();
                    consumer.take(&from)?;
                    taken.extend(partitions);
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
    match consumer.commit(&next, "") {
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

/// From where on `scan.raw` must stay readable.
struct Kept {
    keeper: OffsetKeeper,
    /// As it was said last.
    from: [Option<u64>; PARTITIONS as usize],
}

impl Kept {
    /// Before the commit, so that what the next owner reads first is never dropped as read by all. Not each time: it may keep
    /// more than it must.
    fn raise(&mut self, next: &[(Assignment, u64)]) -> Result<(), BackboneError> {
        let mut risen = Vec::new();
        for ((topic, partition), offset) in next {
            let Some(from) = self.from.get_mut(*partition as usize) else {
                continue;
            };
            if topic == topics::SCAN_RAW && from.is_none_or(|from| *offset > from + SCAN_SPAN * 5 / 4) {
                let now = offset.saturating_sub(SCAN_SPAN);
                *from = Some(now);
                risen.push(((topic.clone(), *partition), now));
            }
        }
        if risen.is_empty() {
            return Ok(());
        }
        match self.keeper.commit(&risen) {
            Err(error) if error.is_postponed() => {
                tracing::debug!(%error, "scans are kept from further back");
                Ok(())
            }
            other => other,
        }
    }
}

/// Next offsets by topic and partition.
#[derive(Default)]
struct Progress {
    next: Vec<Option<u64>>,
}

impl Progress {
    fn advance(&mut self, topic: RawTopic, partition: u32, next: u64) {
        let slot = partition as usize * RawTopic::ALL.len() + topic.index();
        if slot >= self.next.len() {
            self.next.resize(slot + 1, None);
        }
        self.next[slot] = Some(next);
    }

    fn uncommitted(&self) -> Vec<(Assignment, u64)> {
        let topics = RawTopic::ALL.len();
        let slots = self
            .next
            .iter()
            .enumerate()
            .filter_map(|(slot, next)| Some((slot, (*next)?)));
        slots
            .map(|(slot, next)| {
                (
                    (
                        RawTopic::ALL[slot % topics].name().to_owned(),
                        (slot / topics) as u32,
                    ),
                    next,
                )
            })
            .collect()
    }

    fn committed(&mut self) {
        self.next.fill(None);
    }

    fn forget(&mut self, partitions: &[Assignment]) {
        for (name, partition) in partitions {
            if let Some(topic) = RawTopic::from_name(name)
                && let Some(next) = self
                    .next
                    .get_mut(*partition as usize * RawTopic::ALL.len() + topic.index())
            {
                *next = None;
            }
        }
    }
}

/// Everything that outlives the clients.
struct Worker<'a> {
    feed: CatalogueFeed,
    catalogue: Catalogue,
    normaliser: Normaliser,
    normalised: Normalised,
    movement: Vec<u8>,
    key: Vec<u8>,
    saboteur: Saboteur,
    /// By partition of `scan.raw`: what lies below came to something before.
    resume: [u64; PARTITIONS as usize],
    counters: &'a Counters,
}

impl Worker<'_> {
    /// Where reading begins in a partition that the group assigned.
    fn start_at(&mut self, (topic, partition): &Assignment, committed: Option<u64>) -> StartAt {
        if topic != topics::SCAN_RAW {
            return StartAt::Committed;
        }
        self.normaliser.forget(*partition);
        if let Some(resume) = self.resume.get_mut(*partition as usize) {
            *resume = committed.unwrap_or(0);
        }
        committed.map_or(StartAt::Committed, |next| {
            StartAt::Offset(next.saturating_sub(SCAN_SPAN))
        })
    }

    /// Takes note of a scan that lies below the commit.
    fn was_read_before(&mut self, topic: RawTopic, record: &Record<'_>) -> bool {
        let resume = self.resume.get(record.partition() as usize).copied();
        let is_before = topic == RawTopic::Scan && record.offset() < resume.unwrap_or(0);
        if is_before {
            self.normaliser
                .remember(&raw_message(topic, record), position(record));
        }
        is_before
    }

    fn handle(
        &mut self,
        topic: RawTopic,
        record: &Record<'_>,
        producer: &mut Producer,
    ) -> Result<(), BackboneError> {
        if topic == RawTopic::Place && record.payload().is_none() {
            // Master data does not have it any more; what is known of its sources stays.
            return Ok(());
        }
        let raw = raw_message(topic, record);
        let at = position(record);
        let replay = Replay::of(record);
        if let Some(replay) = replay {
            self.feed
                .read_up_to(replay.catalogue, &mut self.catalogue, self.counters)?;
        }
        let is_statement = raw.is_statement();
        if is_statement {
            self.counters.statement();
        } else {
            self.counters.message(topic, raw.payload.len());
        }
        let mut result = self
            .normaliser
            .normalise_at(&raw, at, &self.catalogue, &mut self.normalised);
        if let Err(Rejection {
            class: Rejection::UNKNOWN_ITEM,
            ..
        }) = result
            && self.feed.catch_up(&mut self.catalogue, self.counters)?
        {
            result = self
                .normaliser
                .normalise_at(&raw, at, &self.catalogue, &mut self.normalised);
        }
        if !is_statement {
            let understood = result.is_ok().then_some(&self.normalised);
            self.counters
                .digested(topic, record.partition(), record.offset(), understood);
        }
        let due_ms = record.timestamp_ms().unwrap_or(0).max(0);
        match result {
            Ok(()) => {
                self.counters
                    .made(self.normalised.transactions.len(), self.normalised.lines.len());
                self.look_at_clock(record);
                self.produce(record, replay.is_some(), producer)?;
            }
            Err(rejection) => {
                self.counters.dead_letter(rejection.class);
                dead_letter(record, &rejection, producer)?;
                if let Some(location) = raw.location() {
                    let told = rejected(location, topic.name(), record.offset(), rejection.class, due_ms);
                    send_statement(location, &told, record.timestamp_ms(), producer)?;
                }
            }
        }
        // Behind what came of it, so that the place is never said to lack less than it does.
        if let (Some(replay), Some(location)) = (replay, raw.location()) {
            let told = resolved(location, topic.name(), replay.of, due_ms);
            send_statement(location, &told, record.timestamp_ms(), producer)?;
        }
        Ok(())
    }

    /// A message of a till with the instant when its store's server took it tells whether the till's clock is off.
    fn look_at_clock(&self, record: &Record<'_>) {
        let journaled = record
            .header(headers::JOURNALED)
            .and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        let last = self.normalised.transactions.last();
        if let (Some(journaled), Some(last)) = (journaled, last)
            && clock::is_off(last.occurred, TimeMs(journaled))
        {
            self.counters.clock_off(last.id.source);
        }
    }

    fn produce(
        &mut self,
        record: &Record<'_>,
        is_put_back: bool,
        producer: &mut Producer,
    ) -> Result<(), BackboneError> {
        let timestamp = record.timestamp_ms();
        let due_ms = timestamp.unwrap_or(0).max(0);
        if let Some(statement) = &self.normalised.statement {
            return send_statement(
                statement.location,
                &statement.to_movement(due_ms),
                timestamp,
                producer,
            );
        }
        let Self {
            normalised,
            movement,
            key,
            saboteur,
            counters,
            ..
        } = self;
        for transaction in &normalised.transactions {
            let lines = normalised.lines_of(transaction);
            let hit = saboteur.send(transaction, lines, |transaction, lines| {
                let location = transaction.id.source.location;
                encode_movement(transaction, due_ms, lines, movement);
                if is_put_back {
                    mark_put_back(movement);
                }
                key.clear();
                topics::push_location(key, location);
                let partition = partition_of(location);
                producer.send(topics::MOVEMENTS, partition, key, movement, timestamp, &[])
            })?;
            if hit {
                counters.sabotaged();
            }
            if let Some(of_it) = paper::of_transaction(transaction, lines) {
                paper::send(&of_it, timestamp, producer)?;
            }
        }
        for confirmed in &normalised.papers {
            paper::send(confirmed, timestamp, producer)?;
        }
        Ok(())
    }
}

fn raw_message<'r>(topic: RawTopic, record: &'r Record<'_>) -> RawMessage<'r> {
    RawMessage {
        topic,
        key: record.key(),
        payload: record.payload().unwrap_or_default(),
        format: record.header(headers::FORMAT),
        group: (topic == RawTopic::Queue).then(|| group_of(record)).flatten(),
    }
}

fn position(record: &Record<'_>) -> Position {
    Position {
        partition: record.partition(),
        offset: record.offset(),
    }
}

/// What the queue said of a message's group; `None`: it has none.
fn group_of<'r>(record: &'r Record<'_>) -> Option<Group<'r>> {
    let id = record.header(headers::GROUP_ID)?;
    let sequence = std::str::from_utf8(record.header(headers::GROUP_SEQUENCE)?).ok()?;
    Some(Group {
        id,
        place: GroupPlace {
            sequence: sequence.parse().ok()?,
            is_last: record.header(headers::LAST_IN_GROUP) == Some(b"true"),
        },
    })
}

/// What is said of a place's sources goes where their transactions go, and is never damaged: it is none.
fn send_statement(
    location: LocationId,
    statement: &Movement,
    timestamp_ms: Option<i64>,
    producer: &mut Producer,
) -> Result<(), BackboneError> {
    let mut key = Vec::with_capacity(6);
    topics::push_location(&mut key, location);
    let value = statement.encode_to_vec();
    producer.send(
        topics::MOVEMENTS,
        partition_of(location),
        &key,
        &value,
        timestamp_ms,
        &[],
    )
}

/// The message whole, with its own headers, where it stood and what is wrong with it.
fn dead_letter(
    record: &Record<'_>,
    rejection: &Rejection,
    producer: &mut Producer,
) -> Result<(), BackboneError> {
    let (partition, offset) = (record.partition().to_string(), record.offset().to_string());
    tracing::debug!(
        topic = record.topic(),
        partition,
        offset,
        class = rejection.class,
        message = rejection.message,
        "dead letter"
    );
    let mut all: Vec<Header<'_>> = record.headers();
    all.extend([
        (headers::DLQ_TOPIC, record.topic().as_bytes()),
        (headers::DLQ_PARTITION, partition.as_bytes()),
        (headers::DLQ_OFFSET, offset.as_bytes()),
        (headers::DLQ_CLASS, rejection.class.as_bytes()),
        (headers::DLQ_MESSAGE, rejection.message.as_bytes()),
    ]);
    producer.send(
        topics::DEAD_LETTERS,
        partition_of_key(record.key(), PARTITIONS),
        record.key(),
        record.payload().unwrap_or_default(),
        record.timestamp_ms(),
        &all,
    )
}

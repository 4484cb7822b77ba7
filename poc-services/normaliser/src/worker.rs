//! What becomes of one message: its movements, what is said of its place, or a dead letter.

use backbone::{Assignment, BackboneError, GroupConsumer, Producer, Record, StartAt};
use contracts::ids::{LocationId, TimeMs};
use contracts::records::Movement;
use contracts::topics::{self, headers, partition_of};
use prost::Message as _;

use crate::clock;
use crate::feed::CatalogueFeed;
use crate::paper;
use crate::reading::{Comes, Reading};
use crate::replay;
use crate::service::Config;
use crate::{
    Catalogue, Counters, Group, GroupPlace, Normalised, Normaliser, Position, RawMessage, RawTopic,
    Rejection, SCAN_SPAN, Saboteur, encode_movement, mark_put_back, rejected, resolved,
};

/// Everything that outlives the clients.
pub struct Worker<'a> {
    pub feed: CatalogueFeed,
    pub catalogue: Catalogue,
    normaliser: Normaliser,
    normalised: Normalised,
    movement: Vec<u8>,
    key: Vec<u8>,
    saboteur: Saboteur,
    reading: Reading,
    pub counters: &'a Counters,
}

impl<'a> Worker<'a> {
    pub fn new(config: &'a Config) -> Self {
        Self {
            feed: CatalogueFeed::new(&config.client_id),
            catalogue: Catalogue::default(),
            normaliser: Normaliser::new(config.clock),
            normalised: Normalised::default(),
            movement: Vec::new(),
            key: Vec::with_capacity(6),
            saboteur: Saboteur::new(config.sabotage),
            reading: Reading::default(),
            counters: &config.counters,
        }
    }

    /// Where reading begins in partitions that the group assigned.
    pub fn starts(
        &mut self,
        partitions: Vec<Assignment>,
        consumer: &GroupConsumer,
        producer: &Producer,
    ) -> Result<Vec<(Assignment, StartAt)>, BackboneError> {
        let committed = consumer.committed_behind(&partitions)?;
        let asked: Vec<(&str, u32)> = partitions
            .iter()
            .map(|(topic, one)| (topic.as_str(), *one))
            .collect();
        let ends = producer.ends(&asked);
        if let Err(error) = &ends {
            tracing::warn!(%error, "leader epochs alone tell whether logs were cut off");
        }
        let mut ends = ends.unwrap_or_default().into_iter();
        let all = partitions.into_iter().zip(committed);
        Ok(all
            .map(|(one, committed)| {
                let end = ends.next().unwrap_or(u64::MAX);
                let start = self.start_at(&one, committed, end);
                (one, start)
            })
            .collect())
    }

    /// From where on in a log that ends there, by next offset and leader epoch of the commit.
    fn start_at(
        &mut self,
        (topic, partition): &Assignment,
        committed: Option<(u64, i32)>,
        end: u64,
    ) -> StartAt {
        let Some(topic) = RawTopic::from_name(topic) else {
            return StartAt::Committed;
        };
        self.forget(topic, *partition);
        let (next, leader_epoch) = committed.unwrap_or((0, -1));
        if next > end {
            self.say_cut(topic, *partition, end, next);
            // How much of it is what was read, or whether any, is not known.
            self.reading.begin(topic, *partition, 0, (0, -1));
            return StartAt::Offset(0);
        }
        let offset = first_to_read(topic, next);
        self.reading
            .begin(topic, *partition, offset, (next, leader_epoch));
        match committed {
            None => StartAt::Committed,
            Some(_) => StartAt::Behind { offset, leader_epoch },
        }
    }

    /// What a record is. What was remembered of a log is forgotten where that turns out to be cut off.
    pub fn look(&mut self, topic: RawTopic, record: &Record<'_>) -> Comes {
        let (partition, offset) = (record.partition(), record.offset());
        let comes = self.reading.look(topic, partition, offset, record.leader_epoch());
        if let Comes::Cut { reached } = comes {
            self.say_cut(topic, partition, offset, reached);
            self.forget(topic, partition);
        }
        comes
    }

    fn say_cut(&self, topic: RawTopic, partition: u32, from: u64, reached: u64) {
        self.counters.log_cut();
        tracing::warn!(
            topic = topic.name(),
            partition,
            from,
            reached,
            "the log was cut off below what was read of it, or is another one: what now stands there is made; some that was acknowledged may be gone"
        );
    }

    fn forget(&mut self, topic: RawTopic, partition: u32) {
        self.feed.forget(topic, partition);
        if topic == RawTopic::Scan {
            self.normaliser.forget(partition);
        }
    }

    /// Where to read on for a record that stands at a cut: its scans are compared with those before it.
    pub fn first_behind_cut(&mut self, topic: RawTopic, record: &Record<'_>) -> u64 {
        let offset = first_to_read(topic, record.offset());
        self.reading.begin_again(topic, record.partition(), offset);
        offset
    }

    /// Takes note of what came to something before.
    pub fn remember(&mut self, topic: RawTopic, record: &Record<'_>) {
        self.normaliser
            .remember(&raw_message(topic, record), position(record));
    }

    pub fn handle(
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
        let stood_at = replay::stood_at(record);
        if stood_at.is_some() {
            // It may name an article otherwise than the catalogue did then.
            self.catch_up(record, producer)?;
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
            && self.catch_up(record, producer)?
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
                self.produce(record, stood_at.is_some(), producer)?;
            }
            Err(rejection) => {
                self.counters.dead_letter(rejection.class);
                tracing::debug!(
                    topic = record.topic(),
                    partition = record.partition(),
                    offset = record.offset(),
                    class = rejection.class,
                    message = rejection.message,
                    "dead letter"
                );
                producer.send_dead_letter(record, rejection.class, &rejection.message)?;
                if let Some(location) = raw.location() {
                    let told = rejected(location, topic.name(), record.offset(), rejection.class, due_ms);
                    send_statement(location, &told, record.timestamp_ms(), producer)?;
                }
            }
        }
        // Behind what came of it, so that the place is never said to lack less than it does.
        if let (Some(stood_at), Some(location)) = (stood_at, raw.location()) {
            let told = resolved(location, topic.name(), stood_at, due_ms);
            send_statement(location, &told, record.timestamp_ms(), producer)?;
        }
        Ok(())
    }

    fn catch_up(&mut self, record: &Record<'_>, producer: &Producer) -> Result<bool, BackboneError> {
        self.feed
            .catch_up(record, &mut self.catalogue, self.counters, producer)
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

/// Of the scans before it a scan says some again.
fn first_to_read(topic: RawTopic, next: u64) -> u64 {
    if topic == RawTopic::Scan {
        next.saturating_sub(SCAN_SPAN)
    } else {
        next
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

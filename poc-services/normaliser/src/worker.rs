//! What becomes of one message: its movements, what is said of its place, or a dead letter.

use backbone::{Assignment, BackboneError, Header, Producer, Record, StartAt};
use contracts::ids::{LocationId, TimeMs};
use contracts::records::Movement;
use contracts::topics::{self, PARTITIONS, headers, partition_of, partition_of_key};
use prost::Message as _;

use crate::clock;
use crate::feed::CatalogueFeed;
use crate::paper;
use crate::replay;
use crate::service::Config;
use crate::{
    Catalogue, Counters, Group, GroupPlace, Normalised, Normaliser, Position, RawMessage, RawTopic,
    Rejection, SCAN_SPAN, Saboteur, encode_movement, mark_put_back, rejected, resolved,
};

/// Of a letter that goes without its bytes.
const KEY_BYTES_MAX: usize = 1_024;

/// Everything that outlives the clients.
pub struct Worker<'a> {
    pub feed: CatalogueFeed,
    pub catalogue: Catalogue,
    normaliser: Normaliser,
    normalised: Normalised,
    movement: Vec<u8>,
    key: Vec<u8>,
    saboteur: Saboteur,
    /// By partition of `scan.raw`: what lies below came to something before.
    resume: [u64; PARTITIONS as usize],
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
            resume: [0; PARTITIONS as usize],
            counters: &config.counters,
        }
    }

    /// Where reading begins in a partition that the group assigned.
    pub fn start_at(&mut self, (topic, partition): &Assignment, committed: Option<u64>) -> StartAt {
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
    pub fn was_read_before(&mut self, topic: RawTopic, record: &Record<'_>) -> bool {
        let resume = self.resume.get(record.partition() as usize).copied();
        let is_before = topic == RawTopic::Scan && record.offset() < resume.unwrap_or(0);
        if is_before {
            self.normaliser
                .remember(&raw_message(topic, record), position(record));
        }
        is_before
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
            self.catch_up(topic, at, producer)?;
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
            && self.catch_up(topic, at, producer)?
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
                dead_letter(record, &rejection, producer)?;
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

    fn catch_up(
        &mut self,
        topic: RawTopic,
        at: Position,
        producer: &Producer,
    ) -> Result<bool, BackboneError> {
        let (catalogue, counters) = (&mut self.catalogue, self.counters);
        self.feed.catch_up((topic, at), catalogue, counters, producer)
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

/// The message whole, with its own headers, where it stood and what is wrong with it. One that is too long even for that, which
/// no edge of ours takes, goes without its bytes and headers: it is where it stood.
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
    let told: [Header<'_>; 5] = [
        (headers::DLQ_TOPIC, record.topic().as_bytes()),
        (headers::DLQ_PARTITION, partition.as_bytes()),
        (headers::DLQ_OFFSET, offset.as_bytes()),
        (headers::DLQ_CLASS, rejection.class.as_bytes()),
        (headers::DLQ_MESSAGE, rejection.message.as_bytes()),
    ];
    let mut send = |key: &[u8], payload: &[u8], headers: &[Header<'_>]| {
        producer.send(
            topics::DEAD_LETTERS,
            partition_of_key(record.key(), PARTITIONS),
            key,
            payload,
            record.timestamp_ms(),
            headers,
        )
    };
    let payload = record.payload().unwrap_or_default();
    match send(record.key(), payload, &[&record.headers()[..], &told].concat()) {
        Err(BackboneError::Refused { .. }) => {
            let bytes = payload.len().to_string();
            let left_out = [(headers::DLQ_LEFT_OUT, bytes.as_bytes())];
            let key = if record.key().len() > KEY_BYTES_MAX {
                &[]
            } else {
                record.key()
            };
            send(key, &[], &[&told[..], &left_out].concat())
        }
        other => other,
    }
}

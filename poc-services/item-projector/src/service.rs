//! The loop: poll, project, and every so often commit all partitions, each in a transaction of its own.
//!
//! Invariant: a partition's memory and offset are read after its transactional id is taken. After any failure all clients are
//! made anew, so nothing that a failed transaction held is believed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backbone::{
    Assignment, Backbone, BackboneError, Event, GroupConsumer, OffsetReset, Producer, Record, StartAt, Tail,
    TransactionalProducer, sessions,
};
use contracts::ids::TimeMs;
use contracts::records::{self, Movement};
use contracts::topics::{CATALOGUE, ITEMS, ITEMS_SEEN, MOVEMENTS, PARTITIONS, partition_of_key};
use contracts::wire::items;
use prost::Message as _;
use tokio_util::sync::CancellationToken;

use crate::counters::{Uncommitted, add};
use crate::project::{self, Articles};
use crate::seen::{Outcome, Seen, SeenKey};
use crate::{Counters, lines};

/// The consumer group.
pub const GROUP: &str = "item-projector";

const POLL: Duration = Duration::from_millis(20);
const BATCH: usize = 1_000;
const FLUSH_TIMEOUT: Duration = Duration::from_secs(15);
/// The topic has one partition, so that its records have one order.
const OF_CATALOGUE: u32 = 0;

/// What a line's being there once rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Items, memory and offsets are one transaction.
    #[default]
    Transactions,
    /// For brokers without transactions: a line can come twice after a crash, with the same id.
    KeyedIds,
}

#[derive(Clone, Debug)]
pub struct Config {
    /// Unique among the instances.
    pub client_id: String,
    pub delivery: Delivery,
    /// From projected to readable.
    pub commit_every: Duration,
    pub counters: Arc<Counters>,
    /// Cancelled with the service: it ends and finishes nothing, as a killed process would.
    pub kill: CancellationToken,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            client_id: GROUP.to_owned(),
            delivery: Delivery::default(),
            commit_every: Duration::from_millis(200),
            counters: Arc::default(),
            kill: CancellationToken::new(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    #[error("item projector: {source}")]
    Backbone {
        #[from]
        source: BackboneError,
    },
}

/// Runs until cancelled. Blocks: give it a thread of its own.
pub fn run(config: &Config, backbone: &Backbone, cancel: &CancellationToken) -> Result<(), ProjectorError> {
    let recover = || add(&config.counters.recoveries, 1);
    sessions(cancel, recover, || session(config, backbone, cancel)).map_err(Into::into)
}

/// One life of the clients.
fn session(config: &Config, backbone: &Backbone, cancel: &CancellationToken) -> Result<(), BackboneError> {
    let mut catalogue = Catalogue::open(config, backbone)?;
    let consumer = backbone.group_consumer(&config.client_id, GROUP, &[MOVEMENTS], OffsetReset::Earliest)?;
    let mut owned = BTreeMap::new();
    let result = serve(config, backbone, cancel, &consumer, &mut catalogue, &mut owned);
    let left: Vec<Assignment> = owned.keys().map(|partition| assignment(*partition)).collect();
    drop(owned);
    // A consumer that holds partitions would wait at its end for somebody to answer for them.
    consumer.give_back(&left)?;
    result
}

fn assignment(partition: u32) -> Assignment {
    (MOVEMENTS.to_owned(), partition)
}

fn serve(
    config: &Config,
    backbone: &Backbone,
    cancel: &CancellationToken,
    consumer: &GroupConsumer,
    catalogue: &mut Catalogue,
    owned: &mut BTreeMap<u32, Owned>,
) -> Result<(), BackboneError> {
    let mut committed = Instant::now();
    let commit = |owned: &mut BTreeMap<u32, Owned>| {
        owned
            .values_mut()
            .try_for_each(|one| one.commit(consumer, &config.counters))
    };
    while !cancel.is_cancelled() {
        for _ in 0..BATCH {
            match consumer.poll(POLL)? {
                None => break,
                Some(Event::Record(record)) => {
                    if let Some(of_partition) = owned.get_mut(&record.partition()) {
                        of_partition.project(&record, catalogue)?;
                    }
                }
                Some(Event::Assigned(partitions)) => {
                    for (_, partition) in &partitions {
                        catalogue.tail.forget(MOVEMENTS, *partition);
                        owned.insert(*partition, Owned::acquire(config, backbone, *partition)?);
                    }
                    // Only now: the owners before have nothing open any more.
                    let next = consumer.committed(&partitions)?;
                    let from: Vec<_> = partitions
                        .into_iter()
                        .zip(next)
                        .map(|(one, next)| {
                            let start =
                                next.map_or(StartAt::Committed, |(offset, _)| StartAt::Offset(offset));
                            (one, start)
                        })
                        .collect();
                    consumer.take(&from)?;
                }
                Some(Event::Revoked(partitions)) => {
                    commit(owned)?;
                    forget(consumer, owned, &partitions)?;
                }
                Some(Event::Lost(partitions)) => forget(consumer, owned, &partitions)?,
            }
            // A batch that takes long must not outlast its transaction.
            if committed.elapsed() >= config.commit_every {
                break;
            }
        }
        if committed.elapsed() >= config.commit_every {
            commit(owned)?;
            committed = Instant::now();
        }
        catalogue.read()?;
    }
    if config.kill.is_cancelled() {
        return Ok(());
    }
    commit(owned)
}

fn forget(
    consumer: &GroupConsumer,
    owned: &mut BTreeMap<u32, Owned>,
    partitions: &[Assignment],
) -> Result<(), BackboneError> {
    for (_, partition) in partitions {
        owned.remove(partition);
    }
    consumer.give_back(partitions)
}

struct Catalogue {
    articles: Articles,
    tail: Tail,
    /// Asks where topics end.
    asks: Producer,
}

impl Catalogue {
    fn open(config: &Config, backbone: &Backbone) -> Result<Self, BackboneError> {
        let client = format!("{}-catalogue", config.client_id);
        let mut articles = Articles::default();
        let mut next = 0;
        backbone.read_whole(&client, CATALOGUE, &[OF_CATALOGUE], |record| {
            articles.apply(record.payload());
            next = record.offset() + 1;
        })?;
        Ok(Self {
            articles,
            tail: backbone.tail(&client, CATALOGUE, OF_CATALOGUE, next)?,
            asks: backbone.producer(&client)?,
        })
    }

    /// Takes in what has come, without waiting.
    fn read(&mut self) -> Result<(), BackboneError> {
        let articles = &mut self.articles;
        self.tail
            .read(Duration::ZERO, &mut |record| articles.apply(record.payload()))?;
        Ok(())
    }

    /// The article that a movement names.
    fn find(&mut self, sku: u32, movement: &Record<'_>) -> Result<Option<project::Known>, BackboneError> {
        let known = self.articles.get(sku);
        let articles = &mut self.articles;
        if known.is_none()
            && self.tail.catch_up(movement, &self.asks, &mut |record| {
                articles.apply(record.payload());
            })?
        {
            return Ok(self.articles.get(sku));
        }
        Ok(known)
    }
}

enum Out {
    Transactional(TransactionalProducer),
    Plain(Producer),
}

impl Out {
    fn send(
        &mut self,
        topic: &str,
        partition: u32,
        key: &[u8],
        payload: Option<&[u8]>,
        timestamp_ms: Option<i64>,
    ) -> Result<(), BackboneError> {
        match self {
            Self::Transactional(producer) => producer.send(topic, partition, key, payload, timestamp_ms),
            Self::Plain(producer) => match payload {
                Some(payload) => producer.send(topic, partition, key, payload, timestamp_ms, &[]),
                None => producer.gather(topic, partition, key, None),
            },
        }
    }
}

/// A partition of `movements` that is this instance's.
struct Owned {
    partition: u32,
    out: Out,
    seen: Seen,
    /// Behind the last record that was projected and is not committed.
    next: Option<u64>,
    /// What came of what is not committed.
    held: Uncommitted,
    text: String,
}

impl Owned {
    fn acquire(config: &Config, backbone: &Backbone, partition: u32) -> Result<Self, BackboneError> {
        let out = match config.delivery {
            Delivery::Transactions => Out::Transactional(
                backbone.transactional_producer(&config.client_id, &format!("{GROUP}-{partition}"))?,
            ),
            Delivery::KeyedIds => Out::Plain(backbone.producer(&config.client_id)?),
        };
        let mut seen = Seen::default();
        let client = format!("{}-seen", config.client_id);
        backbone.read_whole(&client, ITEMS_SEEN, &[partition], |record| {
            let Some(key) = SeenKey::parse(record.key()) else {
                return;
            };
            let value = record.payload().map(records::Seen::decode);
            match value {
                Some(Ok(value)) => seen.restore(key, Some(&value)),
                None => seen.restore(key, None),
                Some(Err(error)) => tracing::error!(%error, "a record of {ITEMS_SEEN} cannot be read"),
            }
        })?;
        Ok(Self {
            partition,
            out,
            seen,
            next: None,
            held: Uncommitted::default(),
            text: String::new(),
        })
    }

    fn project(&mut self, record: &Record<'_>, catalogue: &mut Catalogue) -> Result<(), BackboneError> {
        self.next = Some(record.offset() + 1);
        let movement = record.payload().and_then(|value| Movement::decode(value).ok());
        // What cannot be read the inventory puts to the dead letters.
        let Some((movement, (id, lines))) = movement.and_then(|movement| {
            let of_it = lines(&movement)?;
            Some((movement, of_it))
        }) else {
            return Ok(());
        };
        match self.seen.insert(&id) {
            Outcome::New => {}
            Outcome::Repeat => {
                self.held.repeats += 1;
                return Ok(());
            }
            Outcome::TooOld => {
                self.held.too_old += 1;
                return Ok(());
            }
        }
        let key = items::place_name(id.source.location);
        let partition = partition_of_key(key.as_bytes(), PARTITIONS);
        for line in &lines {
            let known = catalogue.find(line.sku.0, record)?;
            self.held.without_article += u64::from(known.is_none());
            let known = known.unwrap_or_default();
            project::write(&id, line, TimeMs(movement.occurred_ms), known, &mut self.text);
            let value = Some(self.text.as_bytes());
            self.out
                .send(ITEMS, partition, key.as_bytes(), value, record.timestamp_ms())?;
        }
        self.held.items += lines.len() as u64;
        Ok(())
    }

    fn commit(&mut self, consumer: &GroupConsumer, counters: &Counters) -> Result<(), BackboneError> {
        let Some(next) = self.next else { return Ok(()) };
        if let Out::Plain(producer) = &mut self.out {
            // What is remembered must be there.
            producer.flush(FLUSH_TIMEOUT)?;
        }
        for (key, record) in self.seen.take_changes() {
            let value = record.map(|record| record.encode_to_vec());
            let key = key.to_text();
            self.out
                .send(ITEMS_SEEN, self.partition, key.as_bytes(), value.as_deref(), None)?;
        }
        let next = [(assignment(self.partition), next)];
        match &mut self.out {
            Out::Transactional(producer) => producer.commit(consumer, &next)?,
            Out::Plain(producer) => {
                producer.flush(FLUSH_TIMEOUT)?;
                consumer.commit(&next, "")?;
            }
        }
        self.next = None;
        counters.committed(&mut self.held);
        Ok(())
    }
}

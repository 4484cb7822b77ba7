//! The loop: papers into sets, and what should be published against what is.
//!
//! `papers` is compacted and holds each paper under its own key, so it is the state itself: whoever takes a partition reads it from
//! its beginning to its end, and publishes nothing before that. `discrepancies` is read back all the time; where it
//! does not say what the papers say, it is written again. Where they say nothing, because they are not complete or were deleted
//! long ago, what is published stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use backbone::{
    Assignment, Backbone, BackboneError, Event, GroupConsumer, OffsetReset, Producer, Reader, Record,
    StartAt, sessions,
};
use contracts::records::Paper;
use contracts::topics::{DISCREPANCIES, PAPERS, PARTITIONS};
use prost::Message as _;
use tokio_util::sync::CancellationToken;

use crate::counters::{Open, add};
use crate::kept::Papers;
use crate::{Counters, Keep, Verdict};

/// The consumer group.
pub const GROUP: &str = "reconciler";

const POLL: Duration = Duration::from_millis(20);
const BATCH: usize = 1_000;
const FLUSH_TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Clone, Debug)]
pub struct Config {
    /// Unique among the instances of the group.
    pub client_id: String,
    /// From read to published.
    pub look_every: Duration,
    pub keep: Keep,
    pub counters: Arc<Counters>,
    /// Cancelled with the service: it ends and finishes nothing, as a killed process would.
    pub kill: CancellationToken,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            client_id: GROUP.to_owned(),
            look_every: Duration::from_millis(200),
            keep: Keep::default(),
            counters: Arc::default(),
            kill: CancellationToken::new(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ReconcilerError {
    #[error("reconciler: {source}")]
    Backbone {
        #[from]
        source: BackboneError,
    },
}

/// Runs until cancelled. Blocks: give it a thread of its own.
pub fn run(config: &Config, backbone: &Backbone, cancel: &CancellationToken) -> Result<(), ReconcilerError> {
    let recover = || add(&config.counters.recoveries, 1);
    sessions(cancel, recover, || session(config, backbone, cancel)).map_err(Into::into)
}

/// One life of the clients.
fn session(config: &Config, backbone: &Backbone, cancel: &CancellationToken) -> Result<(), BackboneError> {
    let consumer = backbone.group_consumer(&config.client_id, GROUP, &[PAPERS], OffsetReset::Earliest)?;
    let back = format!("{}-back", config.client_id);
    let mut worker = Worker {
        producer: backbone.producer(&config.client_id)?,
        published: backbone.reader_from_beginning(&back, DISCREPANCIES, PARTITIONS)?,
        there: BTreeMap::new(),
        owned: BTreeMap::new(),
        counters: &config.counters,
        open: Open::new(&config.counters.open),
        keep: config.keep,
    };
    let result = serve(config, backbone, cancel, &consumer, &mut worker);
    if result.is_err() || config.kill.is_cancelled() {
        worker.producer.purge();
    }
    let left: Vec<Assignment> = worker
        .owned
        .keys()
        .map(|partition| (PAPERS.to_owned(), *partition))
        .collect();
    // A consumer that holds partitions would wait at its end for somebody to answer for them.
    consumer.give_back(&left)?;
    result
}

fn serve(
    config: &Config,
    backbone: &Backbone,
    cancel: &CancellationToken,
    consumer: &GroupConsumer,
    worker: &mut Worker<'_>,
) -> Result<(), BackboneError> {
    let mut looked = Instant::now();
    while !cancel.is_cancelled() {
        for _ in 0..BATCH {
            match consumer.poll(POLL)? {
                None => break,
                Some(Event::Record(record)) => worker.take(&record),
                Some(Event::Assigned(partitions)) => {
                    worker.acquire(&partitions, config, backbone)?;
                    let from: Vec<_> = partitions
                        .into_iter()
                        .map(|one| {
                            let next = worker.owned.get(&one.1).map_or(0, |owned| owned.next);
                            (one, StartAt::Offset(next))
                        })
                        .collect();
                    consumer.take(&from)?;
                }
                Some(Event::Revoked(partitions) | Event::Lost(partitions)) => {
                    // What is not written its next owner writes.
                    for (_, partition) in &partitions {
                        worker.owned.remove(partition);
                    }
                    consumer.give_back(&partitions)?;
                }
            }
        }
        if looked.elapsed() >= config.look_every {
            worker.look(consumer)?;
            looked = Instant::now();
        }
    }
    if config.kill.is_cancelled() {
        return Ok(());
    }
    worker.look(consumer)
}

/// A partition of `papers` that is this instance's.
#[derive(Default)]
struct Owned {
    papers: Papers,
    /// Those to be looked at.
    changed: BTreeSet<u64>,
    /// Behind the last paper that was read.
    next: u64,
    committed: u64,
}

struct Worker<'a> {
    producer: Producer,
    published: Reader,
    /// What `discrepancies` holds, by partition and advice, as far as it was read back, and what was written since.
    there: BTreeMap<(u32, u64), Vec<u8>>,
    owned: BTreeMap<u32, Owned>,
    counters: &'a Counters,
    open: Open<'a>,
    keep: Keep,
}

impl Worker<'_> {
    /// Reads all papers of partitions that the group assigned: before that, what contradicts is not known.
    fn acquire(
        &mut self,
        partitions: &[Assignment],
        config: &Config,
        backbone: &Backbone,
    ) -> Result<(), BackboneError> {
        let partitions: Vec<u32> = partitions.iter().map(|(_, partition)| *partition).collect();
        self.owned
            .extend(partitions.iter().map(|one| (*one, Owned::default())));
        let client = format!("{}-papers", config.client_id);
        backbone.read_whole(&client, PAPERS, &partitions, |record| self.take(record))
    }

    fn take(&mut self, record: &Record<'_>) {
        let Some(owned) = self.owned.get_mut(&record.partition()) else {
            return;
        };
        owned.next = record.offset() + 1;
        let Some(payload) = record.payload() else {
            owned.papers.delete(record.key());
            return;
        };
        match Paper::decode(payload) {
            Ok(paper) => {
                add(&self.counters.papers, 1);
                owned.changed.insert(paper.despatch_advice);
                owned.papers.take(record.key(), paper);
            }
            Err(error) => {
                tracing::error!(%error, offset = record.offset(), "a record of {PAPERS} is no paper");
            }
        }
    }

    /// Reads back what is published, writes where it differs from what it should be, then commits.
    fn look(&mut self, consumer: &GroupConsumer) -> Result<(), BackboneError> {
        self.read_back()?;
        let mut wrote = false;
        for (partition, owned) in &mut self.owned {
            for advice in std::mem::take(&mut owned.changed) {
                let wanted = match owned.papers.verdict(advice) {
                    Verdict::Open => continue,
                    Verdict::Agrees => None,
                    Verdict::Differs(found) => Some(found.encode_to_vec()),
                };
                let slot = (*partition, advice);
                if self.there.get(&slot) == wanted.as_ref() {
                    continue;
                }
                let key = advice.to_string();
                self.producer
                    .gather(DISCREPANCIES, *partition, key.as_bytes(), wanted.as_deref())?;
                wrote = true;
                if let Some(wanted) = wanted {
                    add(&self.counters.published, 1);
                    self.there.insert(slot, wanted);
                } else {
                    add(&self.counters.withdrawn, 1);
                    self.there.remove(&slot);
                }
            }
        }
        // What is concluded from papers is there before they go.
        if std::mem::take(&mut wrote) {
            self.producer.flush(FLUSH_TIMEOUT)?;
        }
        for (partition, owned) in &mut self.owned {
            for key in owned.papers.forget(self.keep) {
                self.producer.gather(PAPERS, *partition, &key, None)?;
                add(&self.counters.deleted, 1);
                wrote = true;
            }
        }
        if wrote {
            self.producer.flush(FLUSH_TIMEOUT)?;
        }
        let is_ours = |(partition, _): &&(u32, u64)| self.owned.contains_key(partition);
        let open = self.there.keys().filter(is_ours).count();
        self.open.set(open as u64);
        self.commit(consumer)
    }

    /// A record that somebody else wrote, or an older one of one's own, is looked at again: it may not be what should be there.
    fn read_back(&mut self) -> Result<(), BackboneError> {
        while let Some(record) = self.published.poll(Duration::ZERO)? {
            let advice = std::str::from_utf8(record.key())
                .ok()
                .and_then(|key| key.parse::<u64>().ok());
            let Some(advice) = advice else { continue };
            let slot = (record.partition(), advice);
            if let Some(payload) = record.payload() {
                self.there.insert(slot, payload.to_vec());
            } else {
                self.there.remove(&slot);
            }
            if let Some(owned) = self.owned.get_mut(&slot.0) {
                owned.changed.insert(advice);
            }
        }
        Ok(())
    }

    /// Nobody goes on from there: it says how far the service is.
    fn commit(&mut self, consumer: &GroupConsumer) -> Result<(), BackboneError> {
        let next: Vec<(Assignment, u64)> = self
            .owned
            .iter_mut()
            .filter(|(_, owned)| owned.next > owned.committed)
            .map(|(partition, owned)| {
                owned.committed = owned.next;
                ((PAPERS.to_owned(), *partition), owned.next)
            })
            .collect();
        match consumer.commit(&next, "") {
            Err(error @ BackboneError::Commit { .. }) => {
                tracing::debug!(%error, "commit refused");
                for ((_, partition), _) in &next {
                    if let Some(owned) = self.owned.get_mut(partition) {
                        owned.committed = 0;
                    }
                }
                Ok(())
            }
            other => other,
        }
    }
}

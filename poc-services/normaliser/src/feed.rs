//! Keeps the catalogue up to its topic.
//!
//! Invariant: after [`CatalogueFeed::fill`] every record that was in the topic when it began is in the catalogue; after
//! [`CatalogueFeed::catch_up`] every one that was there when the raw message came to its own topic.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use backbone::{Backbone, BackboneError, Producer, Reader, Record};
use contracts::topics;
use tokio_util::sync::CancellationToken;

use crate::{Catalogue, Counters, Phase, RawTopic};

/// A message waits no longer than this for the articles that it may name.
const READ_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);
const SAY_EVERY: Duration = Duration::from_secs(5);
/// The topic has one partition, so that its records have one order.
const PARTITION: u32 = 0;

pub(crate) struct CatalogueFeed {
    client_id: String,
    /// `None`: not opened yet.
    reader: Option<Reader>,
    /// The offset behind the last record that was read.
    next: u64,
    /// By raw topic and partition: what stands below, written in this leader epoch, was there when the catalogue had all that
    /// has been read of it. A flood of unknown articles thus asks once for all that lies in the log, and not each time. What
    /// stands there in another epoch may have come since: the log was cut off and goes on otherwise.
    caught_up: BTreeMap<(RawTopic, u32), (u64, i32)>,
}

impl CatalogueFeed {
    pub(crate) fn new(client_id: &str) -> Self {
        Self {
            client_id: format!("{client_id}-catalogue"),
            reader: None,
            next: 0,
            caught_up: BTreeMap::new(),
        }
    }

    /// A client made anew, which goes on where the last one was.
    pub(crate) fn open(&mut self, backbone: &Backbone) -> Result<(), BackboneError> {
        self.caught_up.clear();
        let from = [(PARTITION, self.next)];
        self.reader = Some(backbone.reader(&self.client_id, topics::CATALOGUE, &from)?);
        Ok(())
    }

    /// Where the topic ends now.
    fn end(&self) -> Result<u64, BackboneError> {
        match &self.reader {
            Some(reader) => reader.watermarks(PARTITION).map(|(_, end)| end),
            None => Ok(self.next),
        }
    }

    /// Of a partition whose log is not the one that was read.
    pub(crate) fn forget(&mut self, topic: RawTopic, partition: u32) {
        self.caught_up.remove(&(topic, partition));
    }

    /// Reads the topic to its end; waits, visibly, while it is empty. `false`: cancelled before that.
    pub(crate) fn fill(
        &mut self,
        catalogue: &mut Catalogue,
        counters: &Counters,
        cancel: &CancellationToken,
    ) -> Result<bool, BackboneError> {
        let mut said = Instant::now();
        if catalogue.is_empty() {
            counters.phase(Phase::WaitingForCatalogue);
        }
        let mut end = self.end()?;
        while !cancel.is_cancelled() {
            let read = self.read(catalogue, counters, POLL)?;
            if !read {
                self.look_for_end(end)?;
            }
            if !read && self.is_read_up_to(end) {
                // A topic that is being filled has grown meanwhile.
                end = self.end()?;
                if self.is_read_up_to(end) && !catalogue.is_empty() {
                    tracing::info!(articles = catalogue.len(), "catalogue read");
                    return Ok(true);
                }
            }
            if said.elapsed() >= SAY_EVERY {
                said = Instant::now();
                tracing::warn!(
                    topic = topics::CATALOGUE,
                    read = self.next,
                    end,
                    articles = catalogue.len(),
                    "waiting for the catalogue: without it no article is known"
                );
            }
        }
        Ok(false)
    }

    /// Takes in what has come, without waiting. Whether there was anything.
    pub(crate) fn tail(
        &mut self,
        catalogue: &mut Catalogue,
        counters: &Counters,
    ) -> Result<bool, BackboneError> {
        self.read(catalogue, counters, Duration::ZERO)
    }

    /// Reads what was in the topic when a raw message came to its own. Whether there may be anything new.
    pub(crate) fn catch_up(
        &mut self,
        (topic, record): (RawTopic, &Record<'_>),
        catalogue: &mut Catalogue,
        counters: &Counters,
        producer: &Producer,
    ) -> Result<bool, BackboneError> {
        let (partition, leader_epoch) = (record.partition(), record.leader_epoch());
        let caught_up = self.caught_up.entry((topic, partition)).or_default();
        if record.offset() < caught_up.0 && leader_epoch == caught_up.1 {
            return Ok(false);
        }
        // In this order: what the first answer counts was there before the second. The producer asks, since a consumer's question
        // waits behind its fetch.
        let (_, raw_end) = producer.watermarks(topic.name(), partition)?;
        let (_, end) = producer.watermarks(topics::CATALOGUE, PARTITION)?;
        *caught_up = (raw_end, leader_epoch);
        let before = self.next;
        self.read_up_to(end, catalogue, counters)?;
        Ok(self.next > before)
    }

    /// Whether all that can be read below an end is: the last of it may be marks of transactions, or be removed.
    fn is_read_up_to(&self, end: u64) -> bool {
        let reader = self.reader.as_ref();
        self.next >= end || reader.is_some_and(|reader| reader.has_ended(PARTITION, end))
    }

    /// When nothing has come.
    fn look_for_end(&self, end: u64) -> Result<(), BackboneError> {
        match &self.reader {
            Some(reader) if self.next < end => reader.look_for_end(PARTITION, self.next, end),
            _ => Ok(()),
        }
    }

    /// Reads at least up to an offset: somebody has seen the topic end there.
    fn read_up_to(
        &mut self,
        end: u64,
        catalogue: &mut Catalogue,
        counters: &Counters,
    ) -> Result<(), BackboneError> {
        let deadline = Instant::now() + READ_WITHIN;
        while !self.is_read_up_to(end) {
            if Instant::now() >= deadline {
                return Err(BackboneError::Topic {
                    topic: topics::CATALOGUE.to_owned(),
                    message: format!(
                        "ends at {end}, and was read to {} within {} s",
                        self.next,
                        READ_WITHIN.as_secs()
                    ),
                });
            }
            if !self.read(catalogue, counters, POLL)? {
                self.look_for_end(end)?;
            }
        }
        Ok(())
    }

    fn read(
        &mut self,
        catalogue: &mut Catalogue,
        counters: &Counters,
        wait: Duration,
    ) -> Result<bool, BackboneError> {
        let mut any = false;
        let mut wait = wait;
        let Some(reader) = &self.reader else {
            return Ok(false);
        };
        while let Some(record) = reader.poll(wait)? {
            wait = Duration::ZERO;
            any = true;
            self.next = record.offset() + 1;
            if !catalogue.apply(record.key(), record.payload()) {
                tracing::warn!(
                    offset = record.offset(),
                    "a record of the catalogue is no article: left out"
                );
            }
        }
        if any {
            counters.articles(catalogue.len());
        }
        Ok(any)
    }
}

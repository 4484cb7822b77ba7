//! Keeps the catalogue up to its topic.
//!
//! Invariant: after [`CatalogueFeed::fill`] every record that was in the topic when it began is in the catalogue; after
//! [`CatalogueFeed::catch_up`] every one that was there when the raw message came to its own topic.

use std::time::{Duration, Instant};

use backbone::{Backbone, BackboneError, Producer, Record, Tail};
use contracts::topics;
use tokio_util::sync::CancellationToken;

use crate::{Catalogue, Counters, Phase, RawTopic};

const SAY_EVERY: Duration = Duration::from_secs(5);
/// The topic has one partition, so that its records have one order.
const PARTITION: u32 = 0;

pub(crate) struct CatalogueFeed {
    client_id: String,
    /// `None`: not opened yet.
    tail: Option<Tail>,
}

impl CatalogueFeed {
    pub(crate) fn new(client_id: &str) -> Self {
        Self {
            client_id: format!("{client_id}-catalogue"),
            tail: None,
        }
    }

    /// A client made anew, which goes on where the last one was.
    pub(crate) fn open(&mut self, backbone: &Backbone) -> Result<(), BackboneError> {
        let next = self.tail.as_ref().map_or(0, Tail::next);
        self.tail = Some(backbone.tail(&self.client_id, topics::CATALOGUE, PARTITION, next)?);
        Ok(())
    }

    /// Of a partition whose log is not the one that was read.
    pub(crate) fn forget(&mut self, topic: RawTopic, partition: u32) {
        if let Some(tail) = &mut self.tail {
            tail.forget(topic.name(), partition);
        }
    }

    /// Reads the topic to its end; waits, visibly, while it is empty. `false`: cancelled before that.
    pub(crate) fn fill(
        &mut self,
        catalogue: &mut Catalogue,
        counters: &Counters,
        cancel: &CancellationToken,
    ) -> Result<bool, BackboneError> {
        let Some(tail) = &mut self.tail else {
            return Ok(false);
        };
        let mut said = Instant::now();
        if catalogue.is_empty() {
            counters.phase(Phase::WaitingForCatalogue);
        }
        let mut end = tail.end()?;
        while !cancel.is_cancelled() {
            let read = tail.read_towards(end, &mut |record| take(record, catalogue))?;
            counters.articles(catalogue.len());
            if !read && tail.is_read_up_to(end) {
                // A topic that is being filled has grown meanwhile.
                end = tail.end()?;
                if tail.is_read_up_to(end) && !catalogue.is_empty() {
                    tracing::info!(articles = catalogue.len(), "catalogue read");
                    return Ok(true);
                }
            }
            if said.elapsed() >= SAY_EVERY {
                said = Instant::now();
                tracing::warn!(
                    topic = topics::CATALOGUE,
                    read = tail.next(),
                    end,
                    articles = catalogue.len(),
                    "waiting for the catalogue: without it no article is known"
                );
            }
        }
        Ok(false)
    }

    /// Takes in what has come, without waiting.
    pub(crate) fn tail(
        &mut self,
        catalogue: &mut Catalogue,
        counters: &Counters,
    ) -> Result<(), BackboneError> {
        if let Some(tail) = &mut self.tail {
            tail.read(Duration::ZERO, &mut |record| take(record, catalogue))?;
            counters.articles(catalogue.len());
        }
        Ok(())
    }

    /// Reads what was in the topic when a raw message came to its own. Whether there was anything new.
    pub(crate) fn catch_up(
        &mut self,
        record: &Record<'_>,
        catalogue: &mut Catalogue,
        counters: &Counters,
        producer: &Producer,
    ) -> Result<bool, BackboneError> {
        let Some(tail) = &mut self.tail else {
            return Ok(false);
        };
        let any = tail.catch_up(record, producer, &mut |record| take(record, catalogue))?;
        counters.articles(catalogue.len());
        Ok(any)
    }
}

fn take(record: &Record<'_>, catalogue: &mut Catalogue) {
    if !catalogue.apply(record.key(), record.payload()) {
        tracing::warn!(
            offset = record.offset(),
            "a record of the catalogue is no article: left out"
        );
    }
}

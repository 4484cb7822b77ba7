//! Keeps the catalogue up to its topic.
//!
//! Invariant: after [`CatalogueFeed::fill`] every record that was in the topic when it began is in the catalogue.

use std::time::{Duration, Instant};

use backbone::{Backbone, BackboneError, Reader};
use contracts::topics;
use tokio_util::sync::CancellationToken;

use crate::{Catalogue, Counters, Phase};

/// Unknown articles ask for the topic's end at most so often in such a time: a flood of them must not wait each time.
const CATCH_UPS_MAX: u32 = 50;
const CATCH_UPS_IN: Duration = Duration::from_millis(500);
/// A message that was put back waits no longer than this for the articles that it was put back for.
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
    /// Since when, and how often since then.
    caught_up: (Instant, u32),
}

impl CatalogueFeed {
    pub(crate) fn new(client_id: &str) -> Self {
        Self {
            client_id: format!("{client_id}-catalogue"),
            reader: None,
            next: 0,
            caught_up: (Instant::now(), 0),
        }
    }

    /// A client made anew, which goes on where the last one was.
    pub(crate) fn open(&mut self, backbone: &Backbone) -> Result<(), BackboneError> {
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
            if self.next >= end && !read {
                // A topic that is being filled has grown meanwhile.
                end = self.end()?;
                if self.next >= end && !catalogue.is_empty() {
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

    /// Reads up to the topic's end of now, unless it was asked for too often. Whether there was anything.
    pub(crate) fn catch_up(
        &mut self,
        catalogue: &mut Catalogue,
        counters: &Counters,
    ) -> Result<bool, BackboneError> {
        if self.caught_up.0.elapsed() >= CATCH_UPS_IN {
            self.caught_up = (Instant::now(), 0);
        }
        if self.caught_up.1 >= CATCH_UPS_MAX {
            return Ok(false);
        }
        self.caught_up.1 += 1;
        let end = self.end()?;
        let deadline = Instant::now() + CATCH_UPS_IN;
        let mut any = false;
        while self.next < end && Instant::now() < deadline {
            any |= self.read(catalogue, counters, POLL)?;
        }
        Ok(any)
    }

    /// Reads at least up to an offset: somebody has seen the topic end there.
    pub(crate) fn read_up_to(
        &mut self,
        end: u64,
        catalogue: &mut Catalogue,
        counters: &Counters,
    ) -> Result<(), BackboneError> {
        let deadline = Instant::now() + READ_WITHIN;
        while self.next < end && Instant::now() < deadline {
            self.read(catalogue, counters, POLL)?;
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

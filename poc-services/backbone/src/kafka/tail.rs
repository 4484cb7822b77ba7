//! A partition that is followed for what others refer to, such as the one of the catalogue.
//!
//! Invariant: after [`Tail::catch_up`] every record has been handed out that was there when the referring one came to its own log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::config::{Backbone, BackboneError};
use super::consumer::{Reader, Record};
use super::producer::Producer;

/// A referring record waits no longer than this.
const READ_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

pub struct Tail {
    reader: Reader,
    topic: String,
    partition: u32,
    /// Behind the last record that was read.
    next: u64,
    /// By referring topic and partition: what stands below, written in this leader epoch, came when nothing was there that has
    /// not been read since. A flood of records that refer to nothing thus asks once for all that lies in their log, and not each
    /// time. What stands there in another epoch may be newer: the log was cut off and goes on otherwise.
    caught_up: BTreeMap<(String, u32), (u64, i32)>,
}

impl Tail {
    /// Behind the last record that was read.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Where the partition ends now.
    pub fn end(&self) -> Result<u64, BackboneError> {
        self.reader.watermarks(self.partition).map(|(_, end)| end)
    }

    /// Hands out what comes, the first within a time. Whether there was anything.
    pub fn read(
        &mut self,
        mut wait: Duration,
        take: &mut impl FnMut(&Record<'_>),
    ) -> Result<bool, BackboneError> {
        let mut any = false;
        while let Some(record) = self.reader.poll(wait)? {
            wait = Duration::ZERO;
            any = true;
            self.next = record.offset() + 1;
            take(&record);
        }
        Ok(any)
    }

    /// One step on the way to an end that somebody has seen. Whether there was anything.
    pub fn read_towards(
        &mut self,
        end: u64,
        take: &mut impl FnMut(&Record<'_>),
    ) -> Result<bool, BackboneError> {
        let any = self.read(POLL, take)?;
        if !any && self.next < end {
            self.reader.look_for_end(self.partition, self.next, end)?;
        }
        Ok(any)
    }

    /// Whether all that can be read below an end is: the last of it may be marks of transactions, or be removed.
    pub fn is_read_up_to(&self, end: u64) -> bool {
        self.next >= end || self.reader.has_ended(self.partition, end)
    }

    /// Reads what was there when a record came to its own log. Whether there was anything new.
    pub fn catch_up(
        &mut self,
        record: &Record<'_>,
        producer: &Producer,
        take: &mut impl FnMut(&Record<'_>),
    ) -> Result<bool, BackboneError> {
        let (partition, leader_epoch) = (record.partition(), record.leader_epoch());
        let caught_up = self
            .caught_up
            .entry((record.topic().to_owned(), partition))
            .or_default();
        if record.offset() < caught_up.0 && leader_epoch == caught_up.1 {
            return Ok(false);
        }
        // In this order: what the first answer counts was there before the second. The producer asks, since a consumer's question
        // waits behind its fetch.
        let (_, referring_end) = producer.watermarks(record.topic(), partition)?;
        let (_, end) = producer.watermarks(&self.topic, self.partition)?;
        *caught_up = (referring_end, leader_epoch);
        let before = self.next;
        self.read_up_to(end, take)?;
        Ok(self.next > before)
    }

    /// Of a referring partition whose log is not the one that was read.
    pub fn forget(&mut self, topic: &str, partition: u32) {
        self.caught_up.remove(&(topic.to_owned(), partition));
    }

    fn read_up_to(&mut self, end: u64, take: &mut impl FnMut(&Record<'_>)) -> Result<(), BackboneError> {
        let deadline = Instant::now() + READ_WITHIN;
        while !self.is_read_up_to(end) {
            if Instant::now() >= deadline {
                return Err(BackboneError::Topic {
                    topic: self.topic.clone(),
                    message: format!(
                        "ends at {end}, and was read to {} within {} s",
                        self.next,
                        READ_WITHIN.as_secs()
                    ),
                });
            }
            self.read_towards(end, take)?;
        }
        Ok(())
    }
}

impl Backbone {
    /// Follows a partition from an offset on.
    pub fn tail(
        &self,
        client_id: &str,
        topic: &str,
        partition: u32,
        next: u64,
    ) -> Result<Tail, BackboneError> {
        Ok(Tail {
            reader: self.reader(client_id, topic, &[(partition, next)])?,
            topic: topic.to_owned(),
            partition,
            next,
            caught_up: BTreeMap::new(),
        })
    }
}

//! From a body to acknowledged messages.
//!
//! Invariant: an answer that names something accepted comes after its acknowledgement. When a send is refused halfway,
//! the request as a whole is refused; what was sent before it may stay in the topic.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use backbone::{AckProducer, BackboneError, BatchAck};
use contracts::ids::LocationId;
use contracts::sabotage::Sabotage;
use contracts::sabotage::raw::{Damage, damage};
use contracts::topics::{self, headers, partition_of};
use contracts::wire::tlog4690::frames;
use contracts::wire::{FORMAT_4690, FORMAT_EPCIS, FORMAT_SOURCE_MARK, epcis, poslog, source_mark};
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::Counters;
use crate::answer::{Answer, Refusal, json_answer};
use crate::stamps::{Instants, Received, Stamps, Times};

/// Of so many broken parts the answer names place and reason; all are counted.
const REASONS_MAX: usize = 100;

/// A part of [`crate::Config::max_in_flight_bytes`], given back on drop.
pub struct Reservation<'a> {
    in_flight: &'a AtomicUsize,
    limit: usize,
    held: usize,
}

impl<'a> Reservation<'a> {
    pub const fn new(in_flight: &'a AtomicUsize, limit: usize) -> Self {
        Self {
            in_flight,
            limit,
            held: 0,
        }
    }

    /// Takes more, or says that there is too much under way.
    pub fn add(&mut self, bytes: usize) -> Result<(), Refusal> {
        let before = self.in_flight.fetch_add(bytes, Ordering::AcqRel);
        self.held += bytes;
        if before + bytes > self.limit {
            return Err(Refusal::TooMuch);
        }
        Ok(())
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(self.held, Ordering::AcqRel);
    }
}

/// A body, cut into its messages.
#[derive(Default)]
struct Batch {
    messages: Vec<Range<usize>>,
    /// The first broken parts: where, and why.
    rejected: Vec<Value>,
    broken: u64,
}

impl Batch {
    fn take(&mut self, frame: Result<Range<usize>, (usize, String)>) {
        match frame {
            Ok(range) => self.messages.push(range),
            Err((offset, reason)) => {
                self.broken += 1;
                if self.rejected.len() < REASONS_MAX {
                    self.rejected.push(json!({ "offset": offset, "reason": reason }));
                }
            }
        }
    }

    const fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.broken == 0
    }
}

/// What every request needs.
pub struct Ingest {
    pub producer: AckProducer,
    pub counters: Arc<Counters>,
    pub sabotage: Option<Sabotage>,
}

impl Ingest {
    /// A batch of 4690 receipts of one store.
    pub async fn tlog(&self, store: LocationId, stamps: &Stamps, body: &[u8]) -> Result<Answer, Refusal> {
        let mut batch = Batch::default();
        for frame in frames(body) {
            batch.take(frame.map_err(|error| (error.offset, error.to_string())));
        }
        self.batch(store, stamps, body, batch, |_| FORMAT_4690).await
    }

    /// POSLog documents of one store, each whole and unread but for what its root says it is.
    pub async fn poslog(&self, store: LocationId, stamps: &Stamps, body: &[u8]) -> Result<Answer, Refusal> {
        let mut batch = Batch::default();
        for frame in poslog::frames(body) {
            batch.take(frame.map_err(|error| (error.offset, error.to_string())));
        }
        if batch.is_empty() {
            return Err(Refusal::Bad("the body is empty: a POSLog document is XML".into()));
        }
        self.batch(store, stamps, body, batch, poslog::format_of).await
    }

    async fn batch(
        &self,
        store: LocationId,
        stamps: &Stamps,
        body: &[u8],
        mut batch: Batch,
        format_of: impl Fn(&[u8]) -> &'static str + Send,
    ) -> Result<Answer, Refusal> {
        let messages = std::mem::take(&mut batch.messages);
        for (name, instants) in [
            ("intended-at", &stamps.intended.0),
            ("journaled-at", &stamps.journaled.0),
        ] {
            if batch.broken == 0 && instants.len() > 1 && instants.len() != messages.len() {
                return Err(Refusal::Bad(format!(
                    "{name} has {} instants for {} messages: give one, or one a message",
                    instants.len(),
                    messages.len()
                )));
            }
        }
        let received = Received::now();
        let ack = BatchAck::new();
        let (mut accepted, mut bytes) = (0, 0);
        for (index, range) in messages.iter().enumerate() {
            let payload = &body[range.clone()];
            let times = Times {
                due_ms: stamps.intended.of(index, messages.len()),
                journaled_ms: stamps.journaled.each(index, messages.len()),
                received: &received,
            };
            let route = (topics::TLOG_RAW, format_of(payload));
            match self.pass_on(&ack, route, store, payload, &times) {
                Ok(()) => {
                    accepted += 1;
                    bytes += payload.len();
                }
                Err(Refusal::Untaken(reason)) => batch.take(Err((range.start, reason))),
                Err(refusal) => return Err(refusal),
            }
        }
        acknowledged(&ack).await?;
        self.accepted(accepted, bytes);
        self.counters.rejected.fetch_add(batch.broken, Ordering::Relaxed);
        Ok(if batch.broken == 0 {
            json_answer(StatusCode::OK, &json!({ "accepted": accepted }))
        } else {
            json_answer(
                StatusCode::BAD_REQUEST,
                &json!({ "accepted": accepted, "rejected": Value::Array(batch.rejected) }),
            )
        })
    }

    /// One EPCIS document, whole and unread: its key is the first place that it names. The standard's capture interface answers
    /// 202 and tells of failures at a job's address; here the answer is 201, and comes when the document is durable.
    pub async fn capture(&self, intended: &Instants, body: &[u8]) -> Result<Answer, Refusal> {
        if body.len() > epcis::DOCUMENT_BYTES_MAX {
            return Err(Refusal::TooLong {
                limit: epcis::DOCUMENT_BYTES_MAX,
            });
        }
        let location = epcis::location_of(body).ok_or_else(|| {
            Refusal::Bad("the document names no known place: readPoint or bizLocation with a GLN".into())
        })?;
        let ack = BatchAck::new();
        self.pass_on(
            &ack,
            (topics::SCAN_RAW, FORMAT_EPCIS),
            location,
            body,
            &Times::of(intended, &Received::now()),
        )?;
        acknowledged(&ack).await?;
        self.accepted(1, body.len());
        Ok(json_answer(StatusCode::CREATED, &json!({ "accepted": 1 })))
    }

    /// One mark of a store, whole and unread: how far its tills and readers have written. It lies beside the receipts that it
    /// speaks of, and is no transaction.
    pub async fn mark(&self, store: LocationId, intended: &Instants, body: &[u8]) -> Result<Answer, Refusal> {
        if body.len() > source_mark::DOCUMENT_BYTES_MAX {
            return Err(Refusal::TooLong {
                limit: source_mark::DOCUMENT_BYTES_MAX,
            });
        }
        if body.is_empty() {
            return Err(Refusal::Bad(
                "the body is empty: a mark is a JSON document".into(),
            ));
        }
        let ack = BatchAck::new();
        let route = (topics::TLOG_RAW, FORMAT_SOURCE_MARK);
        self.pass_on(&ack, route, store, body, &Times::of(intended, &Received::now()))?;
        acknowledged(&ack).await?;
        self.counters.marks.fetch_add(1, Ordering::Relaxed);
        Ok(json_answer(StatusCode::OK, &json!({ "accepted": 1 })))
    }

    /// Sends it, unless the service is to err on it.
    fn pass_on(
        &self,
        ack: &Arc<BatchAck>,
        route: (&str, &str),
        location: LocationId,
        payload: &[u8],
        times: &Times<'_>,
    ) -> Result<(), Refusal> {
        let send = |location, payload: &[u8]| self.send(ack, route, location, payload, times);
        match damage(self.sabotage.as_ref(), route.1, location, payload) {
            Damage::None => send(location, payload),
            Damage::Drop => Ok(()),
            Damage::Twice => send(location, payload).and_then(|()| send(location, payload)),
            Damage::Altered(altered) => send(location, &altered),
            Damage::Elsewhere(other) => send(other, payload),
        }
    }

    fn send(
        &self,
        ack: &Arc<BatchAck>,
        (topic, format): (&str, &str),
        location: LocationId,
        payload: &[u8],
        times: &Times<'_>,
    ) -> Result<(), Refusal> {
        let mut key = Vec::with_capacity(6);
        topics::push_location(&mut key, location);
        let journaled = times
            .journaled_ms
            .map_or_else(String::new, |instant| instant.to_string());
        let all = [
            (headers::FORMAT, format.as_bytes()),
            (headers::RECEIVED, times.received.text.as_bytes()),
            (headers::JOURNALED, journaled.as_bytes()),
        ];
        let all = &all[..if journaled.is_empty() { 2 } else { 3 }];
        let partition = partition_of(location);
        match self
            .producer
            .try_send(ack, topic, partition, &key, payload, times.timestamp_ms(), all)
        {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::Unavailable),
            // The client itself says so, of this message alone: it would say so again, and keep what lies behind it.
            Err(BackboneError::Refused { record }) => Err(Refusal::Untaken(record)),
            Err(error) => {
                tracing::warn!(%error, topic, "send refused");
                Err(Refusal::Unavailable)
            }
        }
    }

    fn accepted(&self, messages: usize, bytes: usize) {
        self.counters
            .messages
            .fetch_add(messages as u64, Ordering::Relaxed);
        add(&self.counters.bytes, bytes);
    }
}

fn add(counter: &AtomicU64, amount: usize) {
    counter.fetch_add(amount as u64, Ordering::Relaxed);
}

/// A broker refuses a batch of Kafka's protocol for one record in it, which may be another request's: whatever it says, this
/// one may come again.
async fn acknowledged(ack: &BatchAck) -> Result<(), Refusal> {
    ack.wait().await.map_err(|error| {
        tracing::warn!(%error, "not acknowledged");
        Refusal::Unavailable
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_is_given_back_whether_or_not_it_fitted() {
        let in_flight = AtomicUsize::new(0);
        let mut first = Reservation::new(&in_flight, 10);
        assert!(first.add(8).is_ok());
        let mut second = Reservation::new(&in_flight, 10);
        assert_eq!(second.add(3), Err(Refusal::TooMuch));
        drop(second);
        assert!(first.add(2).is_ok());
        drop(first);
        assert_eq!(in_flight.load(Ordering::Relaxed), 0);
    }
}

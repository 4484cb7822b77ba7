//! One queue: a connection, what comes over it to Kafka, and what Kafka says back to the queue.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backbone::amqp::{AmqpError, AmqpOptions, QueueReceiver, Received};
use backbone::{AckProducer, BackboneError, BatchAck, wall_ms};
use contracts::ids::LocationId;
use contracts::sabotage::Sabotage;
use contracts::sabotage::raw::{Damage, damage};
use contracts::topics::{DEAD_LETTERS, MQ_RAW, headers, partition_of, push_location};
use contracts::wire::FORMAT_COPYBOOK_037;
use tokio_util::sync::CancellationToken;

use crate::Counters;

/// A message that Kafka refuses is tried so often. Deliveries that a broken connection cost do not make it one: only
/// a refusal does.
pub const DELIVERIES_MAX: u32 = 3;
/// Classes in the dead letters.
pub const CLASS_REFUSED: &str = "refused-by-kafka";
pub const CLASS_UNREADABLE: &str = "no-amqp-message";

/// Messages that the server may send ahead, and of one batch.
const CREDIT: u32 = 500;
const BATCH: usize = 500;
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// While Kafka's client takes no more.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// Why a connection is given up.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Amqp(#[from] AmqpError),
    #[error(transparent)]
    Kafka(#[from] BackboneError),
}

/// What came of a message.
#[derive(Debug)]
enum Outcome {
    /// Kafka has it.
    Stored,
    /// Kafka does not have it, or we do not know.
    Failed(BackboneError),
    /// Neither now nor later.
    Refused { class: &'static str, reason: String },
}

impl From<Result<(), BackboneError>> for Outcome {
    fn from(result: Result<(), BackboneError>) -> Self {
        match result {
            Ok(()) => Self::Stored,
            Err(error @ BackboneError::Refused { .. }) => Self::Refused {
                class: CLASS_REFUSED,
                reason: error.to_string(),
            },
            Err(error) => Self::Failed(error),
        }
    }
}

/// How often messages were refused in this life of the service, by the hash of their bytes.
///
/// Not every queue manager counts deliveries dependably: Artemis leaves the count of a large message at 0, and would in
/// the end put it away itself without our dead letter. Beyond its bound it starts anew; a message is then tried more often.
#[derive(Default)]
struct Refusals(BTreeMap<u64, u32>);

impl Refusals {
    const MAX: usize = 1_000;

    /// Counts one more, and tells how many there were, by us or by the manager.
    fn add(&mut self, message: &Received) -> u32 {
        let mut hasher = DefaultHasher::new();
        message.body.hash(&mut hasher);
        if self.0.len() >= Self::MAX {
            self.0.clear();
        }
        let ours = self.0.entry(hasher.finish()).or_default();
        *ours += 1;
        (*ours).max(message.delivery_count + 1)
    }
}

pub struct Source {
    pub warehouse: LocationId,
    pub queue: String,
    pub amqp: AmqpOptions,
    pub sabotage: Option<Sabotage>,
    pub producer: Arc<AckProducer>,
    pub counters: Arc<Counters>,
}

impl Source {
    pub async fn run(self, cancel: CancellationToken) {
        let mut backoff = BACKOFF_MIN;
        let mut refusals = Refusals::default();
        loop {
            match self.session(&mut backoff, &mut refusals, &cancel).await {
                Ok(()) => return,
                Err(fault) => tracing::warn!(queue = self.queue, %fault, "connecting again"),
            }
            self.counters.reconnects.fetch_add(1, Ordering::Relaxed);
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = cancel.cancelled() => return,
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// One life of the connection. It ends well when it is cancelled: what was settled is told to the queue before the
    /// line is closed, so it does not come again.
    async fn session(
        &self,
        backoff: &mut Duration,
        refusals: &mut Refusals,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let mut receiver = tokio::select! {
            receiver = QueueReceiver::connect(&self.amqp, &self.queue, CREDIT) => receiver?,
            () = cancel.cancelled() => return Ok(()),
        };
        let _connected = Connected::new(&self.counters);
        loop {
            let batch = tokio::select! {
                batch = receiver.recv_batch(BATCH) => batch?,
                () = cancel.cancelled() => break,
            };
            self.counters
                .received
                .fetch_add(batch.len() as u64, Ordering::Relaxed);
            let again = batch.iter().filter(|message| message.delivery_count > 0).count() as u64;
            self.counters.redelivered.fetch_add(again, Ordering::Relaxed);
            let outcomes = tokio::select! {
                outcomes = self.produce(&batch) => outcomes,
                // Whether Kafka has them is not known: they will come again.
                () = cancel.cancelled() => break,
            };
            self.settle(&mut receiver, &batch, outcomes, refusals).await?;
            *backoff = BACKOFF_MIN;
        }
        receiver.close().await;
        Ok(())
    }

    /// Tells the queue what came of each. An error: not all of them could be taken, and the connection is given up.
    async fn settle(
        &self,
        receiver: &mut QueueReceiver,
        batch: &[Received],
        outcomes: Vec<Outcome>,
        refusals: &mut Refusals,
    ) -> Result<(), Fault> {
        let (mut stored, mut back, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        let mut failure = None;
        for (message, outcome) in batch.iter().zip(outcomes) {
            match outcome {
                Outcome::Stored => stored.push(message),
                Outcome::Refused { class, reason } => refused.push((message, class, reason)),
                Outcome::Failed(error) => {
                    back.push(message);
                    failure.get_or_insert(error);
                }
            }
        }
        // First what is safe: whatever happens next does not bring it again.
        if !stored.is_empty() {
            let count = stored.len() as u64;
            receiver.accept(stored).await?;
            self.counters.messages.fetch_add(count, Ordering::Relaxed);
        }
        for (message, class, reason) in refused {
            let times = refusals.add(message);
            self.refuse(receiver, message, class, &reason, times).await?;
        }
        if let Some(failure) = failure {
            self.counters
                .released
                .fetch_add(back.len() as u64, Ordering::Relaxed);
            receiver.release(back).await?;
            return Err(failure.into());
        }
        Ok(())
    }

    /// Lets a message be delivered again, or, when that was done often enough, takes it out of the way.
    async fn refuse(
        &self,
        receiver: &mut QueueReceiver,
        message: &Received,
        class: &'static str,
        reason: &str,
        times: u32,
    ) -> Result<(), Fault> {
        // What has no bytes to pass on does not get any.
        if message.unreadable.is_none() && times < DELIVERIES_MAX {
            tracing::warn!(
                queue = self.queue,
                reason,
                "a message is given back to be tried again"
            );
            return Ok(receiver.fail(message).await?);
        }
        self.dead_letter(message, class, reason).await?;
        tracing::warn!(queue = self.queue, class, reason, "a message is rejected");
        receiver.reject(message, reason).await?;
        self.counters.dead_letters.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Whole, if Kafka takes it there; otherwise without its bytes, which are then in the backout queue only.
    async fn dead_letter(&self, message: &Received, class: &str, reason: &str) -> Result<(), BackboneError> {
        match self.dead_letter_of(&message.body, class, reason).await {
            Err(BackboneError::Refused { .. }) => {
                let reason = format!(
                    "{reason}; its {} bytes are in the backout queue of {}",
                    message.body.len(),
                    self.queue
                );
                self.dead_letter_of(&[], class, &reason).await
            }
            other => other,
        }
    }

    async fn dead_letter_of(&self, body: &[u8], class: &str, reason: &str) -> Result<(), BackboneError> {
        let headers: [(&str, &[u8]); 4] = [
            (headers::FORMAT, FORMAT_COPYBOOK_037.as_bytes()),
            (headers::DLQ_TOPIC, self.queue.as_bytes()),
            (headers::DLQ_CLASS, class.as_bytes()),
            (headers::DLQ_MESSAGE, reason.as_bytes()),
        ];
        let ack = BatchAck::new();
        self.send(&ack, DEAD_LETTERS, self.warehouse, body, None, &headers)
            .await?;
        ack.wait().await
    }

    /// Sends all, then waits for each.
    async fn produce(&self, batch: &[Received]) -> Vec<Outcome> {
        let mut sent = Vec::with_capacity(batch.len());
        for message in batch {
            sent.push(self.produce_one(message).await);
        }
        let mut outcomes = Vec::with_capacity(batch.len());
        for sent in sent {
            outcomes.push(match sent {
                Ok(ack) => ack.wait().await.into(),
                Err(outcome) => outcome,
            });
        }
        // A broker refuses a whole batch of Kafka's protocol for one record in it: who is to blame shows alone.
        for (message, outcome) in batch.iter().zip(&mut outcomes) {
            if matches!(outcome, Outcome::Refused { .. }) && message.unreadable.is_none() {
                *outcome = match self.produce_one(message).await {
                    Ok(ack) => ack.wait().await.into(),
                    Err(outcome) => outcome,
                };
            }
        }
        outcomes
    }

    async fn produce_one(&self, message: &Received) -> Result<Arc<BatchAck>, Outcome> {
        if let Some(reason) = &message.unreadable {
            return Err(Outcome::Refused {
                class: CLASS_UNREADABLE,
                reason: format!("{reason}; it is whole in the backout queue of {}", self.queue),
            });
        }
        let ack = BatchAck::new();
        let (place, body) = (self.warehouse, &message.body[..]);
        let damaged = damage(self.sabotage.as_ref(), FORMAT_COPYBOOK_037, place, body);
        let copies: &[(LocationId, &[u8])] = match &damaged {
            Damage::None => &[(place, body)],
            Damage::Drop => &[],
            Damage::Twice => &[(place, body), (place, body)],
            Damage::Altered(altered) => &[(place, altered)],
            Damage::Elsewhere(other) => &[(*other, body)],
        };
        let mut all: Vec<(&str, &[u8])> = vec![(headers::FORMAT, FORMAT_COPYBOOK_037.as_bytes())];
        all.extend(
            message
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), &value[..])),
        );
        // What has come was due: a later instant is that of a clock that is ahead.
        let due = (message.due_ms > 0).then(|| message.due_ms.min(wall_ms()));
        for (place, body) in copies {
            self.send(&ack, MQ_RAW, *place, body, due, &all)
                .await
                .map_err(|error| Outcome::from(Err(error)))?;
        }
        Ok(ack)
    }

    async fn send(
        &self,
        ack: &Arc<BatchAck>,
        topic: &str,
        place: LocationId,
        body: &[u8],
        due_ms: Option<i64>,
        headers: &[(&str, &[u8])],
    ) -> Result<(), BackboneError> {
        let mut key = Vec::with_capacity(6);
        push_location(&mut key, place);
        let partition = partition_of(place);
        while !self
            .producer
            .try_send(ack, topic, partition, &key, body, due_ms, headers)?
        {
            tokio::time::sleep(FULL_PAUSE).await;
        }
        Ok(())
    }
}

/// Counts a connection as long as it lives.
struct Connected<'a>(&'a Counters);

impl<'a> Connected<'a> {
    fn new(counters: &'a Counters) -> Self {
        counters.connected.fetch_add(1, Ordering::Relaxed);
        Self(counters)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connected.fetch_sub(1, Ordering::Relaxed);
    }
}

//! The producer of those who acknowledge in flushes: idempotent, acknowledged by all in-sync replicas.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header as KafkaHeader, Message as _, OwnedHeaders};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig,
};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::config::{Backbone, BackboneError, client_error};
use super::ffi;

/// A name and its value.
pub type Header<'a> = (&'a str, &'a [u8]);

const POLL_EVERY: u32 = 2_000;
/// Records that go to the client at once.
const GATHER_MAX: usize = 1_000;
const WATERMARK_TIMEOUT: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(100);

#[derive(Clone, Default)]
struct FailureContext {
    failed: Arc<AtomicU64>,
    first: Arc<Mutex<Option<String>>>,
}

impl ClientContext for FailureContext {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka producer");
    }
}

impl ProducerContext for FailureContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            self.failed.fetch_add(1, Ordering::Relaxed);
            self.first
                .lock()
                .get_or_insert_with(|| format!("{}[{}]: {error}", message.topic(), message.partition()));
        }
    }
}

/// For writers that acknowledge in flushes: per-record reports are for errors only, and a flush that ends with nothing
/// in flight and no error proves that every record is durable.
pub struct Producer {
    gathered: Gathered,
    /// By name; before the client, which they need.
    topics: Vec<(String, ffi::Topic)>,
    inner: BaseProducer<FailureContext>,
    failures: FailureContext,
    since_poll: u32,
    waits: u64,
}

/// Records of one partition on their way to the client.
#[derive(Default)]
struct Gathered {
    /// Into `topics`.
    topic: usize,
    partition: u32,
    /// Keys and payloads, one behind the other.
    bytes: Vec<u8>,
    /// Of key and payload.
    lengths: Vec<(usize, Option<usize>)>,
}

impl Gathered {
    fn clear(&mut self) {
        self.bytes.clear();
        self.lengths.clear();
    }

    /// From the record at an index on.
    fn records(&self, from: usize) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let length = |(key, payload): &(usize, Option<usize>)| key + payload.unwrap_or(0);
        let start = self.lengths[..from].iter().map(length).sum();
        let mut rest = &self.bytes[start..];
        self.lengths[from..].iter().map(move |(key, payload)| {
            let (key, behind) = rest.split_at(*key);
            let (value, behind) = behind.split_at(payload.unwrap_or(0));
            rest = behind;
            (key, payload.map(|_| value))
        })
    }
}

impl Producer {
    /// Sends a record, or a tombstone, with others of its partition: when there are enough, when one for another partition
    /// comes, or with the next flush. In the order of all calls.
    pub fn gather(
        &mut self,
        topic: &str,
        partition: u32,
        key: &[u8],
        payload: Option<&[u8]>,
    ) -> Result<(), BackboneError> {
        let is_same = self
            .topics
            .get(self.gathered.topic)
            .is_some_and(|(name, _)| name == topic)
            && self.gathered.partition == partition;
        if !is_same || self.gathered.lengths.len() >= GATHER_MAX {
            self.send_gathered()?;
            self.gathered.topic = self.topic(topic)?;
            self.gathered.partition = partition;
        }
        self.gathered.bytes.extend_from_slice(key);
        self.gathered.bytes.extend_from_slice(payload.unwrap_or_default());
        self.gathered.lengths.push((key.len(), payload.map(<[u8]>::len)));
        Ok(())
    }

    fn topic(&mut self, name: &str) -> Result<usize, BackboneError> {
        if let Some(index) = self.topics.iter().position(|(known, _)| known == name) {
            return Ok(index);
        }
        let topic = ffi::Topic::new(self.inner.client(), name).map_err(client_error("producer"))?;
        self.topics.push((name.to_owned(), topic));
        Ok(self.topics.len() - 1)
    }

    fn send_gathered(&mut self) -> Result<(), BackboneError> {
        let gathered = &mut self.gathered;
        let mut sent = 0;
        while sent < gathered.lengths.len() {
            let topic = &self.topics[gathered.topic].1;
            let (taken, refused) = ffi::produce(topic, gathered.partition, gathered.records(sent));
            sent += taken;
            match refused {
                None => {}
                Some(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => {
                    self.waits += 1;
                    self.inner.poll(Duration::from_millis(5));
                }
                // Nothing of it may leave later, behind what the caller sends after the error; and no flush may say that
                // all is durable before it has said that this is not.
                Some(source) => {
                    let place = format!("{}[{}]", self.topics[gathered.topic].0, gathered.partition);
                    let refused = gathered.lengths.len() - sent;
                    gathered.clear();
                    self.failures.failed.fetch_add(refused as u64, Ordering::Relaxed);
                    let text = format!("{place}: {source}");
                    self.failures.first.lock().get_or_insert(text);
                    return Err(not_taken(&place, source));
                }
            }
        }
        gathered.clear();
        self.inner.poll(Duration::ZERO);
        Ok(())
    }

    /// Sends one record, waiting while the client's queue is full. `partition` is explicit wherever location is the key.
    pub fn send(
        &mut self,
        topic: &str,
        partition: u32,
        key: &[u8],
        payload: &[u8],
        timestamp_ms: Option<i64>,
        headers: &[Header<'_>],
    ) -> Result<(), BackboneError> {
        if !self.gathered.lengths.is_empty() {
            self.send_gathered()?;
        }
        self.since_poll += 1;
        if self.since_poll >= POLL_EVERY {
            self.since_poll = 0;
            self.inner.poll(Duration::ZERO);
        }
        let mut record = record(topic, partition, key, payload, timestamp_ms, headers);
        loop {
            match self.inner.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.waits += 1;
                    self.inner.poll(Duration::from_millis(5));
                }
                Err((source, _)) => return Err(not_taken(&format!("{topic}[{partition}]"), source)),
            }
        }
    }

    /// Returns when all that was sent is acknowledged. An error means that some of it may or may not be in the log:
    /// the caller starts again from its last durable position.
    pub fn flush(&mut self, timeout: Duration) -> Result<(), BackboneError> {
        let start = Instant::now();
        let gathered = self.send_gathered();
        let flushed = ffi::flush(self.inner.client(), timeout);
        // The library's count holds its own events too, and what has failed is known only when its event is served.
        while self.inner.in_flight_count() > 0 && flushed.is_ok() && start.elapsed() < timeout {
            self.inner.poll(Duration::from_millis(1));
        }
        let failed = self.failures.failed.swap(0, Ordering::Relaxed);
        let first = self.failures.first.lock().take();
        gathered?;
        if failed > 0 {
            return Err(BackboneError::Delivery {
                failed,
                first: first.unwrap_or_default(),
            });
        }
        let in_flight = self.inner.in_flight_count();
        match flushed {
            Ok(()) if in_flight == 0 => Ok(()),
            _ => Err(BackboneError::FlushTimeout {
                waited_ms: start.elapsed().as_millis(),
                in_flight,
            }),
        }
    }

    pub fn in_flight(&self) -> i32 {
        self.inner.in_flight_count()
    }

    /// First and next offset of a partition. A consumer that waits for records would answer only after that.
    pub fn watermarks(&self, topic: &str, partition: u32) -> Result<(u64, u64), BackboneError> {
        let watermarks = self
            .inner
            .client()
            .fetch_watermarks(topic, partition as i32, WATERMARK_TIMEOUT);
        let (low, high) = watermarks.map_err(|error| BackboneError::Topic {
            topic: format!("{topic}[{partition}]"),
            message: error.to_string(),
        })?;
        Ok((low as u64, high as u64))
    }

    /// Next offsets of partitions, in the order of the question, by one request a leader.
    pub fn ends(&self, partitions: &[(&str, u32)]) -> Result<Vec<u64>, BackboneError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = Instant::now() + WATERMARK_TIMEOUT;
        let list = loop {
            let mut list = TopicPartitionList::with_capacity(partitions.len());
            for (topic, partition) in partitions {
                list.add_partition_offset(topic, *partition as i32, Offset::End)
                    .map_err(client_error("producer"))?;
            }
            match ffi::ends(self.inner.client(), &mut list, WATERMARK_TIMEOUT) {
                Ok(()) => break list,
                // The client gave up a broker that went away while it was asked; the next one knows.
                Err(error) if is_gone(&error) && Instant::now() < deadline => {
                    std::thread::sleep(ASK_AGAIN);
                }
                Err(source) => return Err(client_error("producer")(source)),
            }
        };
        let fail = |(topic, partition): &(&str, u32), message: String| BackboneError::Topic {
            topic: format!("{topic}[{partition}]"),
            message,
        };
        partitions
            .iter()
            .map(|asked| {
                let found = list
                    .find_partition(asked.0, asked.1 as i32)
                    .ok_or_else(|| fail(asked, "has no next offset".into()))?;
                found.error().map_err(|error| fail(asked, error.to_string()))?;
                match found.offset() {
                    Offset::Offset(offset) => Ok(offset as u64),
                    other => Err(fail(asked, format!("has no next offset: {other:?}"))),
                }
            })
            .collect()
    }

    /// The id that the cluster gave a topic when it was created: another topic of the same name has another.
    pub fn topic_id(&self, topic: &str) -> Result<String, BackboneError> {
        ffi::topic_id(self.inner.client(), topic, WATERMARK_TIMEOUT).map_err(|message| BackboneError::Topic {
            topic: topic.to_owned(),
            message,
        })
    }

    /// How often a send had to wait for room in the client's queue.
    pub const fn waits(&self) -> u64 {
        self.waits
    }

    /// Drops what is queued and in flight. The producer must not be used for state afterwards.
    pub fn purge(&mut self) {
        self.gathered = Gathered::default();
        self.inner.purge(PurgeConfig::default().queue().inflight());
    }
}

fn is_gone(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{BrokerTransportFailure, DestroyBroker};
    matches!(
        error.rdkafka_error_code(),
        Some(DestroyBroker | BrokerTransportFailure)
    )
}

pub(super) fn record<'a, D>(
    topic: &'a str,
    partition: u32,
    key: &'a [u8],
    payload: &'a [u8],
    timestamp_ms: Option<i64>,
    headers: &[Header<'_>],
) -> BaseRecord<'a, [u8], [u8], D>
where
    D: rdkafka::util::IntoOpaque + Default,
{
    let mut record = BaseRecord::with_opaque_to(topic, D::default())
        .partition(partition as i32)
        .key(key)
        .payload(payload);
    if let Some(timestamp) = timestamp_ms {
        record = record.timestamp(timestamp);
    }
    record.headers = owned_headers(headers);
    record
}

pub(super) fn owned_headers(headers: &[Header<'_>]) -> Option<OwnedHeaders> {
    if headers.is_empty() {
        return None;
    }
    let owned = OwnedHeaders::new_with_capacity(headers.len());
    Some(headers.iter().fold(owned, |owned, (key, value)| {
        owned.insert(KafkaHeader {
            key,
            value: Some(*value),
        })
    }))
}

/// Whether a record that was not written may be written later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Now,
    Refused,
}

impl Failure {
    pub(super) fn of(error: &KafkaError) -> Self {
        use RDKafkaErrorCode::{InvalidMessage, InvalidMessageSize, InvalidRecord, MessageSizeTooLarge};
        match error.rdkafka_error_code() {
            Some(MessageSizeTooLarge | InvalidMessage | InvalidMessageSize | InvalidRecord) => Self::Refused,
            _ => Self::Now,
        }
    }
}

/// What a caller is told of a record for that place that the client did not take.
pub(super) fn not_taken(place: &str, source: KafkaError) -> BackboneError {
    match Failure::of(&source) {
        Failure::Refused => BackboneError::Refused {
            record: format!("{place}: {source}"),
        },
        Failure::Now => client_error("producer")(source),
    }
}

impl Backbone {
    pub fn producer(&self, client_id: &str) -> Result<Producer, BackboneError> {
        let failures = FailureContext::default();
        let inner = self
            .producer_config(client_id, 10)
            .set("delivery.report.only.error", "true")
            .create_with_context(failures.clone())
            .map_err(client_error(client_id))?;
        Ok(Producer {
            gathered: Gathered::default(),
            topics: Vec::new(),
            inner,
            failures,
            since_poll: 0,
            waits: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathered_records_are_handed_out_from_any_of_them_on() {
        let gathered = Gathered {
            bytes: b"k1onek2k3three".to_vec(),
            lengths: vec![(2, Some(3)), (2, None), (2, Some(5)), (0, Some(0))],
            ..Gathered::default()
        };
        let all: [(&[u8], Option<&[u8]>); 4] = [
            (b"k1", Some(b"one")),
            (b"k2", None),
            (b"k3", Some(b"three")),
            (b"", Some(b"")),
        ];
        for from in 0..=4 {
            assert_eq!(gathered.records(from).collect::<Vec<_>>(), all[from..]);
        }
    }
}

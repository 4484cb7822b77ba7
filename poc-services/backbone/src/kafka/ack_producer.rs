//! The producer of edges, which answer each caller when its own records are durable.
//!
//! Invariant: a client that failed for good is replaced at the next send. What the old one does not acknowledge its callers
//! hear of as of any other failure, and send again; it may then be in the log twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};

use super::config::{Backbone, BackboneError, client_error};
use super::producer::{Failure, Header, not_taken, owned_headers};

/// A client that fails for good as soon as it is made is not made anew all the time.
const RENEW_PAUSE: Duration = Duration::from_secs(1);
/// What is still in flight on a client that was replaced; longer than a record may take.
const RETIRE_TIMEOUT: Duration = Duration::from_secs(15);

/// Acknowledgement of a batch of records of an [`AckProducer`].
pub struct BatchAck {
    /// One for each record under way, and one for the batch while it is being sent.
    remaining: AtomicUsize,
    /// The first; a refusal is one that comes again whenever the record is sent.
    error: Mutex<Option<(Failure, String)>>,
    done: tokio::sync::Notify,
}

impl BatchAck {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            remaining: AtomicUsize::new(1),
            error: Mutex::new(None),
            done: tokio::sync::Notify::new(),
        })
    }

    fn finish_one(&self) {
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }

    /// Waits for all records of the batch. Called once, after the last send.
    pub async fn wait(&self) -> Result<(), BackboneError> {
        self.finish_one();
        while self.remaining.load(Ordering::Acquire) > 0 {
            self.done.notified().await;
        }
        match self.error.lock().take() {
            Some((Failure::Refused, record)) => Err(BackboneError::Refused { record }),
            Some((Failure::Now, first)) => Err(BackboneError::Delivery { failed: 1, first }),
            None => Ok(()),
        }
    }
}

struct AckContext;

impl ClientContext for AckContext {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka producer");
    }
}

impl ProducerContext for AckContext {
    type DeliveryOpaque = Arc<BatchAck>;

    fn delivery(&self, result: &DeliveryResult<'_>, ack: Arc<BatchAck>) {
        if let Err((error, message)) = result {
            ack.error.lock().get_or_insert_with(|| {
                let text = format!("{}[{}]: {error}", message.topic(), message.partition());
                (Failure::of(error), text)
            });
        }
        ack.finish_one();
    }
}

type Client = ThreadedProducer<AckContext>;
type AckRecord<'a> = BaseRecord<'a, [u8], [u8], Arc<BatchAck>>;

/// For edges that answer each caller when its own records are durable. Never blocks on a full queue.
pub struct AckProducer {
    name: String,
    config: ClientConfig,
    current: RwLock<Current>,
    renewals: AtomicU64,
}

struct Current {
    client: Client,
    renewed: Option<Instant>,
}

impl AckProducer {
    #[expect(
        clippy::too_many_arguments,
        reason = "a record has many parts, and they are borrowed"
    )]
    /// `false`: the client's queue is full, nothing was sent; the caller tells its peer to come back later.
    pub fn try_send(
        &self,
        ack: &Arc<BatchAck>,
        topic: &str,
        partition: u32,
        key: &[u8],
        payload: &[u8],
        timestamp_ms: Option<i64>,
        headers: &[Header<'_>],
    ) -> Result<bool, BackboneError> {
        ack.remaining.fetch_add(1, Ordering::AcqRel);
        let mut record = BaseRecord::with_opaque_to(topic, Arc::clone(ack))
            .partition(partition as i32)
            .key(key)
            .payload(payload);
        record.headers = owned_headers(headers);
        record.timestamp = timestamp_ms;
        match self.send(record) {
            Ok(()) => Ok(true),
            Err(error) => {
                ack.finish_one();
                match error {
                    KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => Ok(false),
                    source => Err(not_taken(&format!("{topic}[{partition}]"), source)),
                }
            }
        }
    }

    fn send(&self, record: AckRecord<'_>) -> Result<(), KafkaError> {
        let sent = self.current.read().client.send(record);
        match sent {
            Err((error @ KafkaError::MessageProduction(RDKafkaErrorCode::Fatal), record)) => {
                self.renew(error)?;
                let sent = self.current.read().client.send(record);
                sent.map_err(|(error, _)| error)
            }
            other => other.map_err(|(error, _)| error),
        }
    }

    /// In the place of a client that said `error`, for good; the error itself where it is too early for another one.
    fn renew(&self, error: KafkaError) -> Result<(), KafkaError> {
        let mut current = self.current.write();
        let Some((_, reason)) = current.client.client().fatal_error() else {
            // Somebody else was first.
            return Ok(());
        };
        if current.renewed.is_some_and(|at| at.elapsed() < RENEW_PAUSE) {
            return Err(error);
        }
        current.renewed = Some(Instant::now());
        let client = self.config.create_with_context(AckContext)?;
        let old = std::mem::replace(&mut current.client, client);
        drop(current);
        tracing::warn!(
            client = self.name,
            reason,
            "the Kafka client failed for good and is made anew"
        );
        self.renewals.fetch_add(1, Ordering::Relaxed);
        retire(old);
        Ok(())
    }

    /// How often the client failed for good and another one was made.
    pub fn renewals(&self) -> u64 {
        self.renewals.load(Ordering::Relaxed)
    }
}

/// What is in flight has an answer coming, and ending a client blocks: neither is the sender's to wait for.
fn retire(client: Client) {
    let wait = move || {
        if let Err(error) = client.flush(RETIRE_TIMEOUT) {
            tracing::warn!(%error, "a Kafka client is ended with records in flight");
        }
    };
    let retiring = std::thread::Builder::new().name("kafka-retire".into());
    // Where there is no thread to be had, it ends here.
    drop(retiring.spawn(wait));
}

impl Backbone {
    pub fn ack_producer(&self, client_id: &str) -> Result<AckProducer, BackboneError> {
        let config = self.producer_config(client_id, 10);
        let client = config
            .create_with_context(AckContext)
            .map_err(client_error(client_id))?;
        Ok(AckProducer {
            name: client_id.to_owned(),
            config,
            current: RwLock::new(Current {
                client,
                renewed: None,
            }),
            renewals: AtomicU64::new(0),
        })
    }
}

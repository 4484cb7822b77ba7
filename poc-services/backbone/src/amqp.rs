//! AMQP 1.0: a sender and a receiver of one queue, each over a connection of its own.
//!
//! Invariant: a message counts as sent when the server accepted it, and as received when the caller accepts it; a
//! connection that breaks leaves both to be done again, so a message may come twice and is never lost. Every wait has
//! an end: after a cut the library's own futures may never resolve, so each has the connection's end beside it.

mod properties;

pub use properties::{MessageProperties, PropertyValue};

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use contracts::ids::LocationId;
use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::RecvError;
use fe2o3_amqp::link::delivery::{Delivery, DeliveryInfo};
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::{Connection, Receiver, Sendable, Sender, Session};
use fe2o3_amqp_types::definitions::{self, AmqpError as AmqpErrorCondition};
use fe2o3_amqp_types::messaging::{Body, Data, Message, Modified, Outcome, Source, Target};
use fe2o3_amqp_types::primitives::{Binary, Symbol, Value};
use futures_util::FutureExt as _;
use futures_util::stream::{FuturesOrdered, StreamExt as _};

/// How long a server may take to answer the first question.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// And to settle a message.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);
/// And to say anything at all: a host that went away says no goodbye. A server has to send an empty frame in half of it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages sent and not yet accepted.
const WINDOW: usize = 500;

/// A text that is never printed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub const fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[derive(Clone, Debug)]
pub struct AmqpOptions {
    /// `amqp://host:port`, without user and password.
    pub url: String,
    pub user: Option<String>,
    pub password: Option<Secret>,
}

#[derive(Debug, thiserror::Error)]
pub enum AmqpError {
    #[error(
        "no AMQP 1.0 server answers at {url} within {} s: {cause}; check the address, the user and that the server runs",
        CONNECT_TIMEOUT.as_secs()
    )]
    Unreachable { url: String, cause: String },
    #[error("queue {queue}: {cause}")]
    Link { queue: String, cause: String },
    #[error("queue {queue}: the connection is gone")]
    Closed { queue: String },
    #[error("queue {queue}: not settled within {} s", SETTLE_TIMEOUT.as_secs())]
    Timeout { queue: String },
}

/// Some of a batch was not accepted: all behind the first `accepted` messages has to be sent again.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct SendFailed {
    pub accepted: usize,
    pub source: AmqpError,
}

/// The queue of a warehouse's inventory movements.
pub fn queue_name(warehouse: LocationId) -> String {
    format!("ACME.{warehouse}.MOVES")
}

#[derive(Clone, Debug)]
pub struct QueueMessage {
    pub body: Bytes,
    /// Wall clock milliseconds: when it was due to be sent; travels as the creation time.
    pub due_ms: i64,
    pub properties: MessageProperties,
}

struct Line {
    connection: ConnectionHandle<()>,
    session: SessionHandle<()>,
    queue: String,
}

impl Line {
    async fn open(options: &AmqpOptions, queue: &str, role: &str, idle: Duration) -> Result<Self, AmqpError> {
        let unreachable = |cause: String| AmqpError::Unreachable {
            url: options.url.clone(),
            cause,
        };
        let profile = match (&options.user, &options.password) {
            (Some(user), password) => SaslProfile::Plain {
                username: user.clone(),
                password: password
                    .as_ref()
                    .map_or_else(String::new, |secret| secret.0.clone()),
            },
            (None, _) => SaslProfile::Anonymous,
        };
        let open = async {
            let mut connection = Connection::builder()
                .container_id(format!("stockstream-{role}-{queue}"))
                .sasl_profile(profile)
                .idle_time_out(idle.as_millis() as u32)
                .open(options.url.as_str())
                .await
                .map_err(|error| unreachable(format!("{error:?}")))?;
            let session = Session::begin(&mut connection)
                .await
                .map_err(|error| unreachable(format!("{error:?}")))?;
            Ok(Self {
                connection,
                session,
                queue: queue.to_owned(),
            })
        };
        tokio::time::timeout(CONNECT_TIMEOUT, open)
            .await
            .unwrap_or_else(|_| Err(unreachable("no answer".into())))
    }

    fn failed(&self, error: &impl fmt::Debug) -> AmqpError {
        AmqpError::Link {
            queue: self.queue.clone(),
            cause: format!("{error:?}"),
        }
    }

    fn closed(&self) -> AmqpError {
        AmqpError::Closed {
            queue: self.queue.clone(),
        }
    }

    /// What comes of something that waits for the server, unless the connection ends before, or the server takes too long.
    async fn answer<T>(&mut self, waits: impl Future<Output = T>) -> Result<T, AmqpError> {
        tokio::select! {
            biased;
            answer = waits => Ok(answer),
            _ = self.connection.on_close() => Err(self.closed()),
            () = tokio::time::sleep(SETTLE_TIMEOUT) => Err(AmqpError::Timeout { queue: self.queue.clone() }),
        }
    }

    async fn close(&mut self) {
        let close = async {
            let _ = self.session.end().await;
            let _ = self.connection.close().await;
        };
        // A server that is gone cannot say goodbye.
        let _ = tokio::time::timeout(Duration::from_secs(2), close).await;
    }
}

/// Artemis makes a queue, not a topic, of an address that is asked for with this capability.
fn queue_capability() -> Vec<Symbol> {
    vec![Symbol::from("queue")]
}

pub struct QueueSender {
    sender: Sender,
    line: Line,
}

impl QueueSender {
    pub async fn connect(options: &AmqpOptions, queue: &str) -> Result<Self, AmqpError> {
        Self::connect_with(options, queue, IDLE_TIMEOUT).await
    }

    async fn connect_with(options: &AmqpOptions, queue: &str, idle: Duration) -> Result<Self, AmqpError> {
        let mut line = Line::open(options, queue, "put", idle).await?;
        let target = Target::builder()
            .address(queue)
            .capabilities(queue_capability())
            .build();
        let attach = Sender::builder()
            .name(format!("put-{queue}"))
            .target(target)
            .attach(&mut line.session);
        let sender = tokio::time::timeout(CONNECT_TIMEOUT, attach)
            .await
            .map_err(|_| AmqpError::Timeout {
                queue: queue.to_owned(),
            })?
            .map_err(|error| line.failed(&error))?;
        Ok(Self { sender, line })
    }

    /// Returns when the server accepted all of them.
    pub async fn send_all(&mut self, messages: Vec<QueueMessage>) -> Result<(), SendFailed> {
        let mut accepted = 0;
        let mut out = FuturesOrdered::new();
        for message in messages {
            while out.len() >= WINDOW {
                Self::settled(&mut self.line, &mut out, &mut accepted).await?;
            }
            let sending = self.sender.send_batchable(sendable(&message));
            let sent = match self.line.answer(sending).await {
                Ok(sent) => sent.map_err(|error| self.line.failed(&error)),
                Err(error) => Err(error),
            };
            match sent {
                Ok(future) => out.push_back(future),
                Err(source) => return Err(SendFailed { accepted, source }),
            }
        }
        while !out.is_empty() {
            Self::settled(&mut self.line, &mut out, &mut accepted).await?;
        }
        Ok(())
    }

    async fn settled<F>(
        line: &mut Line,
        out: &mut FuturesOrdered<F>,
        accepted: &mut usize,
    ) -> Result<(), SendFailed>
    where
        F: Future<Output = Result<Outcome, fe2o3_amqp::link::SendError>>,
    {
        match line.answer(out.next()).await {
            Ok(outcome) => Self::count(line, outcome, accepted),
            Err(source) => Err(SendFailed {
                accepted: *accepted,
                source,
            }),
        }
    }

    fn count(
        line: &Line,
        outcome: Option<Result<Outcome, fe2o3_amqp::link::SendError>>,
        accepted: &mut usize,
    ) -> Result<(), SendFailed> {
        let refused = |source| SendFailed {
            accepted: *accepted,
            source,
        };
        match outcome {
            None => Ok(()),
            Some(Ok(Outcome::Accepted(_))) => {
                *accepted += 1;
                Ok(())
            }
            Some(Ok(other)) => Err(refused(line.failed(&other))),
            Some(Err(error)) => Err(refused(line.failed(&error))),
        }
    }

    pub async fn close(mut self) {
        let _ = self.sender.close().await;
        self.line.close().await;
    }
}

fn sendable(message: &QueueMessage) -> Sendable<Data> {
    let message = Message::builder()
        .header(message.properties.header())
        .properties(message.properties.properties(message.due_ms))
        .application_properties(message.properties.application())
        .data(Binary::from(message.body.to_vec()))
        .build();
    Sendable::builder().message(message).build()
}

/// A message that waits to be settled.
pub struct Received {
    pub body: Vec<u8>,
    /// As its sender said; 0: it did not.
    pub due_ms: i64,
    /// Deliveries before this one.
    pub delivery_count: u32,
    /// What its sender and its queue manager say of it, as names and text.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Why it is not what can be passed on: its bytes are no AMQP message, or its body is no bytes. There is no body then.
    pub unreadable: Option<String>,
    info: DeliveryInfo,
}

pub struct QueueReceiver {
    receiver: Receiver,
    line: Line,
}

impl QueueReceiver {
    /// `credit`: messages that the server may send ahead.
    pub async fn connect(options: &AmqpOptions, queue: &str, credit: u32) -> Result<Self, AmqpError> {
        Self::connect_with(options, queue, credit, IDLE_TIMEOUT).await
    }

    async fn connect_with(
        options: &AmqpOptions,
        queue: &str,
        credit: u32,
        idle: Duration,
    ) -> Result<Self, AmqpError> {
        let mut line = Line::open(options, queue, "get", idle).await?;
        let source = Source::builder()
            .address(queue)
            .capabilities(queue_capability())
            .build();
        let attach = Receiver::builder()
            .name(format!("get-{queue}"))
            .source(source)
            .credit_mode(CreditMode::Auto(credit))
            .auto_accept(false)
            .attach(&mut line.session);
        let receiver = tokio::time::timeout(CONNECT_TIMEOUT, attach)
            .await
            .map_err(|_| AmqpError::Timeout {
                queue: queue.to_owned(),
            })?
            .map_err(|error| line.failed(&error))?;
        Ok(Self { receiver, line })
    }

    /// Waits for a first message, and takes with it what is there already.
    pub async fn recv_batch(&mut self, max: usize) -> Result<Vec<Received>, AmqpError> {
        let first = tokio::select! {
            received = self.receiver.recv::<Body<Value>>() => received,
            _ = self.line.connection.on_close() => return Err(self.line.closed()),
        };
        let mut batch = vec![self.received(first)?];
        while batch.len() < max {
            match self.receiver.recv::<Body<Value>>().now_or_never() {
                Some(next) => batch.push(self.received(next)?),
                None => break,
            }
        }
        Ok(batch)
    }

    fn received(&self, delivery: Result<Delivery<Body<Value>>, RecvError>) -> Result<Received, AmqpError> {
        let delivery = match delivery {
            Ok(delivery) => delivery,
            // The link goes on behind it: only this one message cannot be taken.
            Err(RecvError::MessageDecode(error)) => {
                return Ok(Received {
                    body: Vec::new(),
                    due_ms: 0,
                    delivery_count: 0,
                    headers: Vec::new(),
                    unreadable: Some(format!("this is no AMQP message: {}", error.source)),
                    info: error.info,
                });
            }
            Err(error) => return Err(self.line.failed(&error)),
        };
        let (info, message) = delivery.into_parts();
        let due_ms = message
            .properties
            .as_ref()
            .and_then(|properties| properties.creation_time.as_ref())
            .map_or(0, fe2o3_amqp_types::primitives::Timestamp::milliseconds);
        let delivery_count = message.header.as_ref().map_or(0, |header| header.delivery_count);
        let headers = properties::headers_of(
            message.header.as_ref(),
            message.properties.as_ref(),
            message.application_properties.as_ref(),
        );
        let (body, unreadable) = match bytes_of(message.body) {
            Ok(body) => (body, None),
            Err(what) => (
                Vec::new(),
                Some(format!("the body is neither bytes nor text: {what}")),
            ),
        };
        Ok(Received {
            body,
            due_ms,
            delivery_count,
            headers,
            unreadable,
            info,
        })
    }

    async fn settle<F>(line: &mut Line, settling: F) -> Result<(), AmqpError>
    where
        F: Future<Output = Result<(), fe2o3_amqp::link::DispositionError>>,
    {
        let settled = line.answer(settling).await?;
        settled.map_err(|error| line.failed(&error))
    }

    /// The caller has them: they leave the queue.
    pub async fn accept<'a>(
        &mut self,
        batch: impl IntoIterator<Item = &'a Received>,
    ) -> Result<(), AmqpError> {
        let infos = infos(batch);
        Self::settle(&mut self.line, self.receiver.accept_all(infos)).await
    }

    /// The caller cannot take them now: they go back as if they had not been delivered.
    pub async fn release<'a>(
        &mut self,
        batch: impl IntoIterator<Item = &'a Received>,
    ) -> Result<(), AmqpError> {
        let infos = infos(batch);
        Self::settle(&mut self.line, self.receiver.release_all(infos)).await
    }

    /// The caller failed at this one: it goes back, and its deliveries are one more.
    pub async fn fail(&mut self, message: &Received) -> Result<(), AmqpError> {
        let failed = Modified {
            delivery_failed: Some(true),
            undeliverable_here: None,
            message_annotations: None,
        };
        let settling = self.receiver.modify(message.info.clone(), failed);
        Self::settle(&mut self.line, settling).await
    }

    /// Nobody will ever take this one: the server puts it where it keeps such messages, a backout or dead letter queue.
    pub async fn reject(&mut self, message: &Received, reason: &str) -> Result<(), AmqpError> {
        let error = definitions::Error {
            condition: AmqpErrorCondition::NotAllowed.into(),
            description: Some(reason.to_owned()),
            info: None,
        };
        let settling = self.receiver.reject(message.info.clone(), error);
        Self::settle(&mut self.line, settling).await
    }

    pub async fn close(mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.receiver.close()).await;
        self.line.close().await;
    }
}

fn infos<'a>(batch: impl IntoIterator<Item = &'a Received>) -> Vec<DeliveryInfo> {
    batch.into_iter().map(|received| received.info.clone()).collect()
}

/// The bytes of a body; text and binary values count as their bytes, and none at all as no bytes. An error is what it is else.
fn bytes_of(body: Body<Value>) -> Result<Vec<u8>, &'static str> {
    match body {
        Body::Data(parts) => Ok(parts
            .into_iter()
            .flat_map(|Data(binary)| binary.into_vec())
            .collect()),
        Body::Value(value) => match value.0 {
            Value::Binary(binary) => Ok(binary.into_vec()),
            Value::String(text) => Ok(text.into_bytes()),
            Value::Null => Ok(Vec::new()),
            _ => Err("a value of another type"),
        },
        Body::Sequence(_) => Err("a sequence of values"),
        Body::Empty => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests;

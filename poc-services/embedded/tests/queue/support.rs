//! A queue manager to test: the embedded one, or the one that `STOCKSTREAM_AMQP` names; and a client for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use embedded::queue::{QueueOptions, QueueServer};
use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::delivery::Delivery;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::{Connection, Receiver, Sendable, Sender, Session};
use fe2o3_amqp_types::messaging::{Body, Data, Header, Message, Modified, Outcome, Source, Target};
use fe2o3_amqp_types::primitives::{Binary, Symbol, Value};

pub struct Server {
    pub url: String,
    profile: Option<SaslProfile>,
    /// `None`: it is an outside one.
    pub embedded: Option<QueueServer>,
}

/// The outside queue manager, when there is one.
pub async fn server() -> Server {
    let Ok(url) = std::env::var("STOCKSTREAM_AMQP") else {
        return embedded(QueueOptions::default()).await;
    };
    let user = std::env::var("STOCKSTREAM_AMQP_USER").ok();
    Server {
        url,
        profile: Some(
            user.map_or(SaslProfile::Anonymous, |username| SaslProfile::Plain {
                username,
                password: std::env::var("STOCKSTREAM_AMQP_PASSWORD").unwrap_or_default(),
            }),
        ),
        embedded: None,
    }
}

pub async fn embedded(options: QueueOptions) -> Server {
    let embedded = QueueServer::start(options).await.expect("the queue starts");
    Server {
        url: embedded.url(),
        profile: Some(SaslProfile::Anonymous),
        embedded: Some(embedded),
    }
}

impl Server {
    /// A name that no other test and no other run uses.
    pub fn queue(&self, name: &str) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        if self.embedded.is_some() {
            return name.to_owned();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!(
            "test.{name}.{}.{}.{}",
            now.as_nanos(),
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// Only of the embedded one.
    pub fn embedded(&self) -> &QueueServer {
        self.embedded
            .as_ref()
            .expect("this test is for the embedded queue")
    }

    pub async fn client(&self) -> Client {
        self.try_client().await.expect("the server takes connections")
    }

    pub async fn try_client(&self) -> Result<Client, String> {
        Client::connect(&self.url, self.profile.clone()).await
    }
}

/// A connection with a session.
pub struct Client {
    pub connection: ConnectionHandle<()>,
    session: SessionHandle<()>,
    links: u32,
}

impl Client {
    pub async fn connect(url: &str, profile: Option<SaslProfile>) -> Result<Self, String> {
        let builder = Connection::builder().container_id("test");
        let opened = match profile {
            Some(profile) => builder.sasl_profile(profile).open(url).await,
            None => builder.open(url).await,
        };
        let mut connection = opened.map_err(|error| format!("{error:?}"))?;
        let session = Session::begin(&mut connection)
            .await
            .map_err(|error| format!("{error:?}"))?;
        Ok(Self {
            connection,
            session,
            links: 0,
        })
    }

    fn link(&mut self) -> String {
        self.links += 1;
        format!("link-{}", self.links)
    }

    pub async fn sender(&mut self, queue: &str) -> Sender {
        let target = Target::builder()
            .address(queue)
            .capabilities(vec![Symbol::from("queue")])
            .build();
        Sender::builder()
            .name(self.link())
            .target(target)
            .attach(&mut self.session)
            .await
            .expect("a sender attaches")
    }

    /// Settles nothing by itself.
    pub async fn receiver(&mut self, queue: &str, credit: CreditMode) -> Receiver {
        let source = Source::builder()
            .address(queue)
            .capabilities(vec![Symbol::from("queue")])
            .build();
        Receiver::builder()
            .name(self.link())
            .source(source)
            .credit_mode(credit)
            .auto_accept(false)
            .attach(&mut self.session)
            .await
            .expect("a receiver attaches")
    }

    /// Goes without a word to the links' peers, as a process that dies.
    pub async fn close(mut self) {
        let _ = self.connection.close().await;
    }
}

pub fn message(number: u32, durable: bool) -> Sendable<Data> {
    let message = Message::builder()
        .header(Header {
            durable,
            ..Header::default()
        })
        .data(Binary::from(number.to_be_bytes().to_vec()))
        .build();
    Sendable::builder().message(message).build()
}

/// Sends numbers as durable messages and waits until all are accepted.
pub async fn send(sender: &mut Sender, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        let outcome = sender.send(message(number, true)).await.expect("sent");
        assert!(matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
    }
}

/// What came, and how often it had come before.
#[derive(Debug)]
pub struct Got {
    pub number: u32,
    pub deliveries: u32,
    pub delivery: Delivery<Body<Value>>,
}

/// The bytes of a message.
pub fn bytes(delivery: &Delivery<Body<Value>>) -> Vec<u8> {
    match delivery.body() {
        Body::Data(parts) => parts
            .iter()
            .flat_map(|Data(part)| part.iter().copied().collect::<Vec<_>>())
            .collect(),
        other => panic!("bytes were sent, not {other:?}"),
    }
}

pub async fn receive(receiver: &mut Receiver) -> Got {
    let delivery = receiver.recv::<Body<Value>>().await.expect("a message");
    let deliveries = delivery
        .message()
        .header
        .as_ref()
        .map_or(0, |header| header.delivery_count);
    let number = u32::from_be_bytes(bytes(&delivery)[..4].try_into().expect("four bytes"));
    Got {
        number,
        deliveries,
        delivery,
    }
}

pub async fn receive_many(receiver: &mut Receiver, count: usize) -> Vec<Got> {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        all.push(receive(receiver).await);
    }
    all
}

pub fn numbers(got: &[Got]) -> Vec<u32> {
    got.iter().map(|got| got.number).collect()
}

pub fn failed() -> Modified {
    Modified {
        delivery_failed: Some(true),
        undeliverable_here: None,
        message_annotations: None,
    }
}

/// Lets the server go on until it is true. It runs on threads of its own, so this only looks.
pub async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

//! A broker, a queue manager, and the service between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use backbone::amqp::{AmqpOptions, MessageProperties, QueueMessage, QueueSender, Secret, queue_name};
use backbone::proxy::Proxy;
use backbone::{Backbone, BackboneOptions};
use contracts::ids::{Gtin, LocationId, Money, Quantity, Sku, TimeMs};
use contracts::topics::{self, PARTITIONS, headers};
use contracts::wire::copybook::{self, MoveRecord, MoveType};
use embedded::broker::{Broker, BrokerOptions};
use embedded::queue::{QueueOptions, QueueServer};
use mq_source::{Config, Counters, run};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A hang must end; nothing here waits so long otherwise.
const DEADLINE: Duration = Duration::from_mins(1);
pub const NODES: [i32; 3] = [1, 2, 3];
pub const SKU: u32 = 100_234;
pub const GTIN: u64 = 614_141_999_996;

pub struct Stage {
    pub broker: Broker,
    pub backbone: Backbone,
    pub amqp: AmqpOptions,
    /// `None`: `STOCKSTREAM_AMQP` names another.
    pub embedded: Option<QueueServer>,
    pub warehouse: LocationId,
}

/// One warehouse a test: outside, its queue must not be another test's or run's.
fn warehouse() -> LocationId {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let run = (now.as_secs() % 900) as u16 * 10;
    LocationId::warehouse(1 + run + NEXT.fetch_add(1, Ordering::Relaxed) % 10)
}

impl Stage {
    /// With the queue manager that `STOCKSTREAM_AMQP` names, or the embedded one.
    pub async fn start() -> Self {
        match std::env::var("STOCKSTREAM_AMQP") {
            Ok(url) => {
                let amqp = AmqpOptions {
                    url,
                    user: std::env::var("STOCKSTREAM_AMQP_USER").ok(),
                    password: std::env::var("STOCKSTREAM_AMQP_PASSWORD").ok().map(Secret::new),
                };
                Self::with(amqp, None).await
            }
            Err(_) => Self::embedded().await,
        }
    }

    pub async fn embedded() -> Self {
        let queue = QueueServer::start(QueueOptions::default())
            .await
            .expect("the queue starts");
        let amqp = AmqpOptions {
            url: queue.url(),
            user: None,
            password: None,
        };
        Self::with(amqp, Some(queue)).await
    }

    async fn with(amqp: AmqpOptions, embedded: Option<QueueServer>) -> Self {
        let broker = Broker::start(BrokerOptions::default()).await.expect("a broker");
        let options = BackboneOptions {
            bootstrap: broker.bootstrap(),
            label: "test".into(),
            settings: Vec::new(),
            compress: false,
        };
        let backbone = tokio::task::spawn_blocking(|| Backbone::connect(options))
            .await
            .expect("joins")
            .expect("connects");
        backbone.ensure_topics(&topics::ALL).await.expect("topics");
        Self {
            broker,
            backbone,
            amqp,
            embedded,
            warehouse: warehouse(),
        }
    }

    /// Between a service and its queue manager.
    pub async fn proxy(&self) -> Proxy {
        let target = self.amqp.url.rsplit('/').next().expect("host and port");
        Proxy::start(target.parse().expect("an address"))
            .await
            .expect("a proxy")
    }

    pub fn through(&self, proxy: &Proxy) -> AmqpOptions {
        AmqpOptions {
            url: format!("amqp://{}", proxy.address()),
            ..self.amqp.clone()
        }
    }

    pub fn queue(&self) -> String {
        queue_name(self.warehouse)
    }

    pub fn depth(&self) -> Option<usize> {
        self.embedded.as_ref().map(|queue| queue.depth(&self.queue()))
    }

    /// Waits until everything in the queue is accepted, where that can be seen.
    pub async fn until_empty(&self) {
        let until = Instant::now() + DEADLINE;
        while self.depth().is_some_and(|depth| depth > 0) {
            assert!(Instant::now() < until, "{:?} are left", self.depth());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until all of these are in `mq.raw`.
    pub async fn until_there(&self, sent: &[Vec<u8>]) {
        let until = Instant::now() + DEADLINE;
        loop {
            let raw = self.raw().await;
            let lacking = sent.iter().filter(|body| !raw.contains_key(*body)).count();
            if lacking == 0 {
                return;
            }
            assert!(Instant::now() < until, "{lacking} are not there");
        }
    }

    pub async fn put(&self, bodies: Vec<Vec<u8>>) {
        put(&self.amqp, &self.queue(), bodies).await;
    }

    pub async fn stop_kafka(&self) {
        for node in NODES {
            self.broker.stop_node(node).await.expect("stopped");
        }
    }

    pub async fn start_kafka(&self) {
        for node in NODES {
            self.broker.start_node(node).await.expect("started");
        }
    }

    /// Everything that is in `mq.raw` now: each body with the number of times it is there.
    pub async fn raw(&self) -> BTreeMap<Vec<u8>, u32> {
        let mut raw = BTreeMap::new();
        for (body, _) in self.read(topics::MQ_RAW).await {
            *raw.entry(body).or_default() += 1;
        }
        raw
    }

    /// A topic up to its end now: payload and headers.
    pub async fn read(&self, topic: &'static str) -> Vec<(Vec<u8>, BTreeMap<String, String>)> {
        let backbone = self.backbone.clone();
        tokio::task::spawn_blocking(move || {
            let reader = backbone
                .reader_from_beginning("test-reader", topic, PARTITIONS)
                .expect("a reader");
            let mut left: u64 = (0..PARTITIONS)
                .map(|partition| reader.watermarks(partition).expect("its end").1)
                .sum();
            let mut out = Vec::new();
            let until = Instant::now() + DEADLINE;
            while left > 0 {
                assert!(Instant::now() < until, "{left} records of {topic} do not come");
                if let Some(record) = reader.poll(Duration::from_millis(50)).expect("a record") {
                    left -= 1;
                    let headers = record
                        .headers()
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
                        .collect();
                    out.push((record.payload().unwrap_or_default().to_vec(), headers));
                }
            }
            out
        })
        .await
        .expect("joins")
    }
}

/// A broker deletes what is older than its retention.
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as i64
}

pub async fn put(amqp: &AmqpOptions, queue: &str, bodies: Vec<Vec<u8>>) {
    put_with(amqp, queue, bodies, &MessageProperties::default()).await;
}

pub async fn put_with(amqp: &AmqpOptions, queue: &str, bodies: Vec<Vec<u8>>, properties: &MessageProperties) {
    let mut sender = QueueSender::connect(amqp, queue).await.expect("connects");
    let messages = bodies
        .into_iter()
        .map(|body| QueueMessage {
            body: body.into(),
            due_ms: now_ms(),
            properties: properties.clone(),
        })
        .collect();
    sender.send_all(messages).await.expect("all are accepted");
    sender.close().await;
}

/// Records as a mainframe writes them, one unit in each.
pub fn records(warehouse: LocationId, sequences: std::ops::RangeInclusive<u32>) -> Vec<Vec<u8>> {
    sequences
        .map(|sequence| {
            let mut bytes = Vec::new();
            let record = MoveRecord {
                sequence,
                place: warehouse,
                department: 1,
                sku: Sku(SKU),
                gtin: Gtin::new(GTIN).expect("valid"),
                move_type: MoveType::Supplied,
                quantity: Quantity(1000),
                on_hand: Quantity(0),
                on_order: Quantity(0),
                unit_cost: Money(100),
                at: TimeMs(1_741_944_413_000),
                adjusted_units: 0,
                destination: None,
                despatch_advice: None,
            };
            copybook::write(&record, &mut bytes).expect("it fits");
            bytes
        })
        .collect()
}

pub struct Running {
    pub counters: Arc<Counters>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub fn start(stage: &Stage) -> Self {
        Self::start_at(stage, stage.amqp.clone())
    }

    /// With another way to the queue.
    pub fn start_at(stage: &Stage, amqp: AmqpOptions) -> Self {
        let counters = Arc::<Counters>::default();
        let cancel = CancellationToken::new();
        let config = Config {
            client_id: "mq-source-test".into(),
            warehouses: vec![stage.warehouse],
            amqp,
            sabotage: None,
            counters: Arc::clone(&counters),
        };
        let (backbone, token) = (stage.backbone.clone(), cancel.clone());
        let task = tokio::spawn(async move { run(config, backbone, token).await.expect("it runs") });
        Self {
            counters,
            cancel,
            task,
        }
    }

    pub async fn until(&self, what: &str, done: impl Fn(&Counters) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !done(&self.counters) {
            assert!(!self.task.is_finished(), "the service ended");
            assert!(Instant::now() < until, "{what}: {:?}", self.counters);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub async fn stop(self) -> Arc<Counters> {
        self.cancel.cancel();
        self.task.await.expect("it ends well");
        self.counters
    }

    /// As a process that dies: nothing more is done.
    pub async fn kill(self) -> Arc<Counters> {
        self.task.abort();
        let _ = self.task.await;
        self.counters
    }
}

pub fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

pub fn class(of: &BTreeMap<String, String>) -> &str {
    &of[headers::DLQ_CLASS]
}

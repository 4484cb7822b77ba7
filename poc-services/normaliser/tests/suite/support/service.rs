//! The service over the embedded broker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::kafka::{Kafka, receipt, send, send_in_transaction};
use backbone::{Header, Producer};
use contracts::ids::{LocationId, TimeMs};
use contracts::records::{Article, Movement};
use contracts::topics::{self, PARTITIONS, headers, partition_of};
use normaliser::{Config, Counters, NormaliserError, Summary, run};
use prost::Message as _;
use tokio_util::sync::CancellationToken;

/// A hang must end; nothing here waits so long otherwise.
pub const DEADLINE: Duration = Duration::from_mins(1);
pub const OATS: Article = Article {
    sku: 100_234,
    gtin: 614_141_999_996,
    name: String::new(),
    department: String::new(),
    department_number: 0,
    price: 0,
    pack_size: 0,
    weighed: false,
    unit: String::new(),
    packs: Vec::new(),
    plu: 0,
    other_gtins: Vec::new(),
};
/// Of the receipts' clocks.
pub const AT: TimeMs = TimeMs(1_741_944_413_000);

/// Now: a broker deletes what is older than its retention.
pub fn due() -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    now.as_millis() as i64
}

impl Kafka {
    pub fn producer(&self) -> Producer {
        self.backbone.producer("test").unwrap()
    }

    pub fn add_article(&self, article: &Article) {
        let record = (0, article.sku.to_string(), article.encode_to_vec());
        send(&self.backbone, topics::CATALOGUE, [record]);
    }

    pub fn add_in_transaction(&self, articles: &[Article]) {
        let records = articles
            .iter()
            .map(|article| (0, article.sku.to_string(), article.encode_to_vec()));
        send_in_transaction(&self.backbone, topics::CATALOGUE, records);
    }

    pub fn send(&self, topic: &str, messages: &[(LocationId, Vec<u8>)]) {
        self.send_with((headers::RECEIVED, b"1"), topic, messages);
    }

    pub fn send_with(&self, header: Header<'_>, topic: &str, messages: &[(LocationId, Vec<u8>)]) {
        let mut producer = self.producer();
        for (location, payload) in messages {
            let key = location.to_string();
            producer
                .send(
                    topic,
                    partition_of(*location),
                    key.as_bytes(),
                    payload,
                    Some(due()),
                    &[header],
                )
                .unwrap();
        }
        producer.flush(DEADLINE).unwrap();
    }

    /// Reads a topic from its start until `count` records have come.
    pub fn read<T>(&self, topic: &str, count: usize, of: impl Fn(&backbone::Record<'_>) -> T) -> Vec<T> {
        let reader = self
            .backbone
            .reader_from_beginning("test-reader", topic, PARTITIONS)
            .unwrap();
        let until = Instant::now() + DEADLINE;
        let mut out = Vec::new();
        while out.len() < count {
            assert!(
                Instant::now() < until,
                "{} of {count} records of {topic}",
                out.len()
            );
            if let Some(record) = reader.poll(Duration::from_millis(50)).unwrap() {
                out.push(of(&record));
            }
        }
        out
    }

    /// All movements up to the last number of every till.
    pub fn movements_until(
        &self,
        done: impl Fn(&BTreeMap<(String, u64), u32>) -> bool,
    ) -> BTreeMap<(String, u64), u32> {
        let reader = self
            .backbone
            .reader_from_beginning("test-reader", topics::MOVEMENTS, PARTITIONS)
            .unwrap();
        let until = Instant::now() + DEADLINE;
        let mut seen = BTreeMap::new();
        while !done(&seen) {
            assert!(Instant::now() < until, "{} transactions", seen.len());
            if let Some(record) = reader.poll(Duration::from_millis(50)).unwrap() {
                let movement = Movement::decode(record.payload().unwrap()).unwrap();
                *seen.entry((movement.location, movement.number)).or_default() += 1;
            }
        }
        seen
    }
}

pub struct Running {
    pub counters: Arc<Counters>,
    cancel: CancellationToken,
    thread: JoinHandle<Result<Summary, NormaliserError>>,
}

impl Running {
    pub fn start(kafka: &Kafka, client_id: &str, sabotage: Option<&str>) -> Self {
        let counters = Arc::<Counters>::default();
        let cancel = CancellationToken::new();
        let config = Config {
            client_id: client_id.to_owned(),
            counters: Arc::clone(&counters),
            sabotage: sabotage.map(|text| text.parse().unwrap()),
            ..Config::default()
        };
        let (backbone, token) = (kafka.backbone.clone(), cancel.clone());
        let thread = std::thread::spawn(move || run(config, backbone, token));
        Self {
            counters,
            cancel,
            thread,
        }
    }

    pub fn wait_until(&self, what: &str, done: impl Fn(&normaliser::Snapshot) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !done(&self.counters.snapshot()) {
            assert!(
                !self.thread.is_finished(),
                "the service ended while waiting for {what}"
            );
            assert!(Instant::now() < until, "{what}: {:?}", self.counters.snapshot());
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    pub fn stop(self) -> Summary {
        self.cancel.cancel();
        self.thread.join().unwrap().unwrap()
    }
}

pub fn receipts(stores: u16, numbers: std::ops::RangeInclusive<u16>) -> Vec<(LocationId, Vec<u8>)> {
    numbers
        .flat_map(|number| {
            (1..=stores).map(move |store| (LocationId::store(store), receipt(number, OATS.gtin, AT)))
        })
        .collect()
}

//! The audit over Kafka's protocol: what a producer writes is what it sees.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Acme, Random, Written, items, listed, records};
use audit::{Audit, AuditConfig, AuditError};
use contracts::ids::TransactionId;
use contracts::topics::{ITEM_INVENTORY, PARTITIONS, STORE_INVENTORY};
use embedded::broker::{Broker, BrokerOptions};
use ledger::Ledger;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

/// Long enough for a machine under load; nothing waits for it that goes well.
const PATIENCE: Duration = Duration::from_mins(1);

struct Stage {
    broker: Broker,
    producer: BaseProducer,
}

impl Stage {
    async fn new() -> Self {
        let stage = Self::without_topics().await;
        stage.create_topics().await;
        stage
    }

    async fn without_topics() -> Self {
        let broker = Broker::start(BrokerOptions::default()).await.unwrap();
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", broker.bootstrap())
            .set("enable.idempotence", "true")
            .set("linger.ms", "5");
        let producer = client.create().unwrap();
        Self { broker, producer }
    }

    async fn create_topics(&self) {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.broker.bootstrap());
        let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
        let topic = |name| {
            NewTopic::new(name, PARTITIONS as i32, TopicReplication::Fixed(1))
                .set("cleanup.policy", "compact")
        };
        let topics = [topic(STORE_INVENTORY), topic(ITEM_INVENTORY)];
        for created in admin.create_topics(&topics, &AdminOptions::new()).await.unwrap() {
            created.unwrap();
        }
    }

    fn audit(&self, truth: Arc<Ledger>) -> Audit {
        let config = AuditConfig {
            round: Duration::from_millis(100),
            ..AuditConfig::new(self.broker.bootstrap())
        };
        Audit::start(&config, truth).unwrap()
    }

    fn write(&self, topic: &str, records: &[Written]) {
        for record in records {
            let record = BaseRecord::to(topic)
                .partition(record.partition as i32)
                .key(&record.key)
                .payload(&record.value);
            self.producer.send(record).unwrap();
        }
        self.producer.flush(PATIENCE).unwrap();
    }
}

/// The world, with its truth where the audit can share it.
fn acme(seed: u64) -> (Acme, Arc<Ledger>) {
    let mut acme = Acme::new(seed, 1_500);
    let truth = Arc::new(std::mem::replace(&mut acme.truth, Ledger::new(&[])));
    (acme, truth)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_view_converges_and_is_clean() {
    let stage = Stage::new().await;
    let (acme, truth) = acme(1);
    let audit = stage.audit(Arc::clone(&truth));
    let mut mark = audit.mark();
    assert!(audit.behind(&mut mark) > 0);
    for epoch in 1..=3 {
        stage.write(STORE_INVENTORY, &records(&truth, epoch, 1_000));
    }
    stage.write(ITEM_INVENTORY, &items(&truth));
    let mut told = Vec::new();
    tokio::task::block_in_place(|| audit.drain(PATIENCE, |progress| told.push(progress.to_go))).unwrap();
    assert_eq!(told.last(), Some(&0));
    assert_eq!(audit.behind(&mut mark), 0);

    let snapshot = audit.snapshot();
    assert_eq!((snapshot.cells_diverging, snapshot.items_diverging), (0, 0));
    assert!(snapshot.cells_compared > 300);
    let written = 3 * records(&truth, 1, 1).len() + items(&truth).len();
    assert_eq!(snapshot.records.read, written as u64);
    let read: i64 = audit
        .read_up_to()
        .iter()
        .map(|position| position.next_offset)
        .sum();
    assert_eq!(read, written as i64);

    let assortment = &acme.assortments[0];
    let (stock, sku) = (truth.place(0).cells[0].on_hand(), assortment.skus[0]);
    assert_eq!(audit.view_of_cell(assortment.location, sku), Some(stock));
    assert!(audit.view_of_item(sku).is_some());

    let report = audit.final_report(|_| unreachable!("nothing is to be explained"));
    assert!(report.is_clean(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_may_come_into_being_after_the_audit() {
    let stage = Stage::without_topics().await;
    let (_, truth) = acme(6);
    let audit = stage.audit(Arc::clone(&truth));
    // Until the client has found out that there are no topics.
    let missing = tokio::task::block_in_place(|| audit.drain(Duration::from_millis(200), |_| {}));
    assert!(matches!(missing, Err(AuditError::NoEnds { .. })), "{missing:?}");
    stage.create_topics().await;
    stage.write(STORE_INVENTORY, &records(&truth, 1, 1_000));
    stage.write(ITEM_INVENTORY, &items(&truth));
    tokio::task::block_in_place(|| audit.drain(PATIENCE, |_| {})).unwrap();
    assert!(audit.final_report(|_| {}).is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_view_is_red_and_names_transactions() {
    let stage = Stage::new().await;
    let (acme, truth) = acme(2);
    let lost = acme.pick(&mut Random(2), 5);
    let view = acme.view_with(&lost, 0);
    stage.write(STORE_INVENTORY, &records(&view, 1, 1_000));
    stage.write(ITEM_INVENTORY, &items(&view));
    let audit = stage.audit(Arc::clone(&truth));
    tokio::task::block_in_place(|| audit.drain(PATIENCE, |_| {})).unwrap();
    let live = audit.snapshot();
    let report = audit.final_report(acme.replay());
    assert_eq!(live.cells_diverging, report.cells_diverging);
    assert_eq!(report.transactions_lost.ids, acme.ids(&lost));
    assert!(report.cells_diverging > 0 && listed(&report).len() as u64 == report.cells_diverging);
    assert!(!report.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn freshness_counts_from_its_reset_and_not_before() {
    let stage = Stage::new().await;
    let (_, truth) = acme(3);
    let audit = stage.audit(Arc::clone(&truth));
    let cells = records(&truth, 1, 1_000);
    stage.write(STORE_INVENTORY, &cells);
    tokio::task::block_in_place(|| audit.drain(PATIENCE, |_| {})).unwrap();
    let places = 0..truth.places();
    let lines: u64 = places
        .map(|place| {
            truth
                .place(place)
                .cells
                .iter()
                .map(|cell| cell.lines)
                .sum::<u64>()
        })
        .sum();
    // Each record tells of one line, and some cells have more.
    let freshness = audit.snapshot().freshness_total;
    assert_eq!(
        (freshness.count, freshness.unmeasured),
        (lines, lines - cells.len() as u64)
    );
    assert_eq!(freshness.p99, audit::FRESHNESS_MS_MAX);
    audit.reset_freshness();
    stage.write(STORE_INVENTORY, &records(&truth, 2, 1_000)[..10]);
    tokio::task::block_in_place(|| audit.drain(PATIENCE, |_| {})).unwrap();
    let freshness = audit.snapshot().freshness_total;
    assert_eq!((freshness.count, freshness.max), (10, audit::FRESHNESS_MS_MAX));
    let histogram = audit.freshness_histogram();
    assert_eq!(histogram.recorded().map(|(_, lines)| lines).sum::<u64>(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_happens_shows_as_diverging_until_its_cells_come() {
    let stage = Stage::new().await;
    let (acme, truth) = acme(4);
    let audit = stage.audit(Arc::clone(&truth));
    stage.write(STORE_INVENTORY, &records(&truth, 1, 1_000));
    tokio::task::block_in_place(|| audit.drain(PATIENCE, |_| {})).unwrap();
    assert_eq!(audit.snapshot().cells_diverging, 0);
    let last = acme.transactions.last().unwrap();
    let newer = TransactionId {
        number: 9_000,
        ..last.id
    };
    truth.place(last.place).apply(&newer, &last.lines);
    tokio::task::block_in_place(|| audit.drain(PATIENCE, |_| {})).unwrap();
    let snapshot = audit.snapshot();
    assert!(snapshot.cells_diverging > 0 && snapshot.cells_wrong == 0);
    assert_eq!(
        u64::from(snapshot.places[last.place].diverging),
        snapshot.cells_diverging
    );
    stage.write(STORE_INVENTORY, &records(&truth, 1, 1_001));
    tokio::task::block_in_place(|| audit.drain(PATIENCE, |_| {})).unwrap();
    assert_eq!(audit.snapshot().cells_diverging, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_not_there_is_an_error_that_says_so() {
    let stage = Stage::new().await;
    let address = stage.broker.bootstrap();
    stage.broker.shutdown().await;
    let (_, truth) = acme(5);
    let audit = Audit::start(&AuditConfig::new(address), truth).unwrap();
    let error = tokio::task::block_in_place(|| audit.drain(Duration::from_secs(2), |_| {})).unwrap_err();
    assert!(matches!(error, AuditError::NoEnds { .. }), "{error}");
    let report = audit.final_report(|_| {});
    assert!(!report.drained && !report.is_clean());
}

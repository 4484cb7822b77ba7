//! An embedded broker of the test's own with all topics, and clients for it. Shared by the tests of the services.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use backbone::{Backbone, BackboneOptions, OffsetReset};
use contracts::ids::TimeMs;
use contracts::topics;
use contracts::wire::tlog4690::{Header, Item, ReceiptWriter};
use embedded::broker::{Broker, BrokerOptions};

/// A broker that does not answer must end the test; nothing here waits so long otherwise.
const DEADLINE: Duration = Duration::from_mins(3);

pub struct Kafka {
    pub runtime: tokio::runtime::Runtime,
    pub broker: Broker,
    pub backbone: Backbone,
}

impl Kafka {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With settings of the clients.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let broker = runtime.block_on(Broker::start(BrokerOptions::default())).unwrap();
        let backbone = Backbone::connect(BackboneOptions {
            bootstrap: broker.bootstrap(),
            label: "embedded".into(),
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            compress: false,
        })
        .unwrap();
        runtime.block_on(backbone.ensure_topics(&topics::ALL)).unwrap();
        Self {
            runtime,
            broker,
            backbone,
        }
    }
}

/// Sends records, each with its partition, key and payload, and waits until the broker has them all.
pub fn send<K: AsRef<[u8]>, P: AsRef<[u8]>>(
    backbone: &Backbone,
    topic: &str,
    records: impl IntoIterator<Item = (u32, K, P)>,
) {
    let mut producer = backbone.producer("test").unwrap();
    for (partition, key, payload) in records {
        producer
            .send(topic, partition, key.as_ref(), payload.as_ref(), None, &[])
            .unwrap();
    }
    producer.flush(DEADLINE).unwrap();
}

/// The same in a transaction, whose mark is then the last of the partitions.
pub fn send_in_transaction<K: AsRef<[u8]>, P: AsRef<[u8]>>(
    backbone: &Backbone,
    topic: &str,
    records: impl IntoIterator<Item = (u32, K, P)>,
) {
    let name = "test-in-transaction";
    let mut producer = backbone.transactional_producer(name, name).unwrap();
    for (partition, key, payload) in records {
        producer
            .send(topic, partition, key.as_ref(), Some(payload.as_ref()), None)
            .unwrap();
    }
    let nobody = backbone
        .group_consumer(name, name, &[topic], OffsetReset::Earliest)
        .unwrap();
    producer.commit(&nobody, &[]).unwrap();
}

/// One line of a till, one piece of the article.
pub fn receipt(number: u16, item_code: u64, at: TimeMs) -> Vec<u8> {
    let mut out = Vec::new();
    let header = Header {
        terminal: 1,
        number,
        at,
        ..Header::default()
    };
    let mut writer = ReceiptWriter::begin(&mut out, &header);
    writer.item(&Item {
        item_code,
        ordinal: 1,
        ..Item::default()
    });
    writer.finish();
    out
}

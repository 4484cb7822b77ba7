//! Topics that exist already, with settings by which acknowledged records may be lost.

use backbone::BackboneError;
use contracts::topics::{self, BATCH_BYTES_MAX, Topic};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

use crate::kafka::Kafka;

fn topic(name: &'static str) -> Topic {
    Topic {
        name,
        partitions: 1,
        ..topics::ALL[0]
    }
}

/// Makes it as somebody else might, and tells what is said of it then.
fn ensured(kafka: &Kafka, name: &'static str, replicas: i32, in_sync: &str) -> Result<(), BackboneError> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", kafka.backbone.bootstrap())
        .create()
        .unwrap();
    let bytes_max = BATCH_BYTES_MAX.to_string();
    let new = NewTopic::new(name, 1, TopicReplication::Fixed(replicas))
        .set("max.message.bytes", &bytes_max)
        .set("min.insync.replicas", in_sync);
    let made = admin.create_topics([&new], &AdminOptions::new());
    kafka.runtime.block_on(made).unwrap()[0].as_ref().unwrap();
    kafka
        .runtime
        .block_on(kafka.backbone.ensure_topics(&[topic(name)]))
}

#[test]
fn a_topic_whose_records_may_be_acknowledged_by_one_of_three_brokers_is_refused() {
    let kafka = Kafka::start();
    let error = ensured(&kafka, "one-of-three", 3, "1").unwrap_err();
    assert!(
        matches!(&error, BackboneError::Topic { message, .. } if message.contains("min.insync.replicas")),
        "{error}"
    );
    ensured(&kafka, "two-of-three", 3, "2").unwrap();
    // A single broker has nobody else to wait for.
    ensured(&kafka, "one-of-one", 1, "1").unwrap();
}

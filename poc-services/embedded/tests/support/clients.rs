//! librdkafka's clients, set up for tests.

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use super::target::Target;
use super::{DEADLINE, eventually};

pub fn config(target: &Target, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &target.bootstrap);
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config
}

pub fn producer(target: &Target, settings: &[(&str, &str)]) -> BaseProducer {
    let settings: Vec<_> = [("acks", "all")].iter().chain(settings).copied().collect();
    config(target, &settings).create().unwrap()
}

/// Sends one record without waiting; the queue of the client is large enough for any test.
pub fn send(producer: &BaseProducer, topic: &str, partition: i32, key: &str, value: &str) {
    producer
        .send(BaseRecord::to(topic).partition(partition).key(key).payload(value))
        .map_err(|(error, _)| error)
        .unwrap();
}

pub fn flush(producer: &BaseProducer) {
    producer.flush(DEADLINE).unwrap();
    assert_eq!(producer.in_flight_count(), 0);
}

pub fn admin(target: &Target) -> AdminClient<DefaultClientContext> {
    config(target, &[]).create().unwrap()
}

/// A reader without group management, placed at the given offset of each partition.
pub fn reader(
    target: &Target,
    topic: &str,
    partitions: i32,
    from: Offset,
    settings: &[(&str, &str)],
) -> BaseConsumer {
    let settings: Vec<_> = [("group.id", "readers"), ("enable.auto.commit", "false")]
        .iter()
        .chain(settings)
        .copied()
        .collect();
    let consumer: BaseConsumer = config(target, &settings).create().unwrap();
    let mut wanted = TopicPartitionList::new();
    for partition in 0..partitions {
        wanted.add_partition_offset(topic, partition, from).unwrap();
    }
    consumer.assign(&wanted).unwrap();
    consumer
}

/// One record as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub partition: i32,
    pub offset: i64,
    pub key: String,
    pub value: String,
}

/// The next record; errors that a client mends by itself are passed over.
pub fn next(consumer: &BaseConsumer) -> Option<Seen> {
    let message = consumer.poll(std::time::Duration::from_millis(50))?.ok()?;
    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
    Some(Seen {
        partition: message.partition(),
        offset: message.offset(),
        key: text(message.key()),
        value: text(message.payload()),
    })
}

/// Reads so many records.
pub fn read(consumer: &BaseConsumer, count: usize) -> Vec<Seen> {
    let mut seen = Vec::with_capacity(count);
    while seen.len() < count {
        seen.push(eventually("the next record comes", || next(consumer)));
    }
    seen
}

//! The server under test: an embedded broker of the test's own, or the Apache Kafka that `STOCKSTREAM_KAFKA` names.
//!
//! What Apache Kafka must be set up with, because a topic cannot say it: `auto.create.topics.enable=false`,
//! `group.initial.rebalance.delay.ms=0`, `log.cleaner.backoff.ms=500`, `log.initial.task.delay.ms=500`,
//! `log.retention.check.interval.ms=1000`, `transaction.abort.timed.out.transaction.cleanup.interval.ms=500`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use embedded::broker::{Broker, BrokerOptions};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    CreateTopicsRequest, DescribeGroupsRequest, DescribeTransactionsRequest, FindCoordinatorRequest, GroupId,
    MetadataRequest, MetadataResponse, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::eventually;
use super::raw::Raw;
use super::records::list_offset;

/// Names the Apache Kafka to test instead of the embedded broker.
const VARIABLE: &str = "STOCKSTREAM_KAFKA";

pub struct Target {
    pub bootstrap: String,
    broker: Option<Broker>,
    /// Waits for what the broker does on threads of its own.
    runtime: tokio::runtime::Runtime,
}

/// What a node coordinates.
#[derive(Debug, Clone, Copy)]
pub enum Coordinates {
    Group,
    Transaction,
}

pub fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

/// A name that no other test and no other run uses.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{now}-{count}", std::process::id())
}

impl Target {
    /// The Apache Kafka of the environment, else an embedded broker.
    pub fn start() -> Self {
        match std::env::var(VARIABLE) {
            Ok(bootstrap) => Self {
                bootstrap,
                broker: None,
                runtime: runtime(),
            },
            Err(_) => Self::embedded(BrokerOptions {
                initial_rebalance_delay: std::time::Duration::ZERO,
                ..BrokerOptions::default()
            }),
        }
    }

    /// An embedded broker whatever the environment says.
    pub fn embedded(options: BrokerOptions) -> Self {
        let runtime = runtime();
        let broker = runtime.block_on(Broker::start(options)).unwrap();
        Self {
            bootstrap: broker.bootstrap(),
            broker: Some(broker),
            runtime,
        }
    }

    /// The embedded broker; only for targets that were started as one.
    pub fn broker(&self) -> &Broker {
        self.broker.as_ref().unwrap()
    }

    pub fn is_embedded(&self) -> bool {
        self.broker.is_some()
    }

    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// A connection to some node.
    pub fn any(&self) -> Raw {
        Raw::connect(self.bootstrap.split(',').next().unwrap())
    }

    pub fn metadata(&self, topics: &[&str]) -> MetadataResponse {
        let named = |name: &&str| MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
        let request = MetadataRequest::default()
            .with_topics(Some(topics.iter().map(named).collect()))
            .with_allow_auto_topic_creation(false);
        self.any().call(12, &request)
    }

    pub fn described(&self, topic: &str) -> MetadataResponseTopic {
        self.metadata(&[topic]).topics.remove(0)
    }

    pub fn topic_id(&self, topic: &str) -> Uuid {
        self.described(topic).topic_id
    }

    pub fn addresses(&self) -> Vec<(i32, String)> {
        let brokers = self.metadata(&[]).brokers;
        brokers
            .iter()
            .map(|node| (node.node_id.0, format!("{}:{}", node.host, node.port)))
            .collect()
    }

    /// A connection to a node by its place among the addresses, also when others are down.
    pub fn node_at(&self, id: i32) -> Raw {
        Raw::connect(self.bootstrap.split(',').nth(id as usize - 1).unwrap())
    }

    /// What a node says about a topic.
    pub fn described_by(node: &mut Raw, topic: &str) -> MetadataResponseTopic {
        let named = MetadataRequestTopic::default().with_name(Some(TopicName(text(topic))));
        let request = MetadataRequest::default().with_topics(Some(vec![named]));
        node.call(12, &request).topics.remove(0)
    }

    pub fn node(&self, id: i32) -> Raw {
        let addresses = self.addresses();
        Raw::connect(&addresses.iter().find(|(node, _)| *node == id).unwrap().1)
    }

    pub fn leader_of(&self, topic: &str, partition: i32) -> i32 {
        let described = self.described(topic);
        let found = described
            .partitions
            .iter()
            .find(|p| p.partition_index == partition);
        found.unwrap().leader_id.0
    }

    /// A connection to the node that leads a partition.
    pub fn leader(&self, topic: &str, partition: i32) -> Raw {
        let mut node = self.node(self.leader_of(topic, partition));
        // Metadata names a leader of Apache Kafka before that knows of its office.
        if self.broker.is_none() {
            eventually("the leader leads", || {
                let (code, ..) = list_offset(&mut node, topic, partition, -1);
                (code == 0).then_some(())
            });
        }
        node
    }

    /// A connection to the node that answers for a group or a transactional id.
    pub fn coordinator(&self, of: Coordinates, key: &str) -> Raw {
        let request = FindCoordinatorRequest::default()
            .with_key_type(match of {
                Coordinates::Group => 0,
                Coordinates::Transaction => 1,
            })
            .with_key(text(key));
        let address = eventually("a coordinator is known", || {
            let found = self.any().call(3, &request);
            if found.error_code == ResponseError::CoordinatorNotAvailable.code() {
                return None;
            }
            assert_eq!(found.error_code, 0, "FindCoordinator");
            Some(format!("{}:{}", found.host, found.port))
        });
        let mut node = Raw::connect(&address);
        eventually("the coordinator has loaded what it knows", || {
            let code = match of {
                Coordinates::Group => {
                    let asked = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(key))]);
                    node.call(0, &asked).groups[0].error_code
                }
                Coordinates::Transaction => {
                    let ids = vec![TransactionalId(text(key))];
                    let asked = DescribeTransactionsRequest::default().with_transactional_ids(ids);
                    node.call(0, &asked).transaction_states[0].error_code
                }
            };
            let is_loading = [
                ResponseError::CoordinatorLoadInProgress,
                ResponseError::CoordinatorNotAvailable,
                ResponseError::NotCoordinator,
            ];
            (!is_loading.iter().any(|error| error.code() == code)).then_some(())
        });
        node
    }

    /// Creates a topic that only this test knows and waits until every node knows it.
    pub fn topic(&self, partitions: i32, configs: &[(&str, &str)]) -> String {
        let name = unique("conformance");
        self.create(&name, partitions, configs);
        name
    }

    pub fn create(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let configs = configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default()
                .with_name(text(name))
                .with_value(Some(text(value)))
        });
        let topic = CreatableTopic::default()
            .with_name(TopicName(text(name)))
            .with_num_partitions(partitions)
            .with_replication_factor(-1)
            .with_configs(configs.collect());
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(30_000);
        let created = self.any().call(7, &request);
        assert_eq!(created.topics[0].error_code, 0, "{:?}", created.topics[0]);
        self.await_topic(name, partitions);
    }

    /// Waits until every node names leaders for all partitions.
    pub fn await_topic(&self, name: &str, partitions: i32) {
        let asked = MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
        let request = MetadataRequest::default().with_topics(Some(vec![asked]));
        for (_, address) in self.addresses() {
            let mut node = Raw::connect(&address);
            eventually("all nodes know the topic", || {
                let topic = node.call(12, &request).topics.remove(0);
                let led = topic.partitions.iter().filter(|p| p.leader_id.0 >= 0).count();
                (topic.error_code == 0 && led == partitions as usize).then_some(())
            });
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

//! The cluster that the three nodes share: which nodes live, which topics exist, who leads and who coordinates.
//!
//! Invariant: a topic's name and id map to the same object, and every partition's leader is a live replica or
//! nobody. Topic changes go through one lock; appends and reads never take it for writing.
//! There is no replication and no controller of its own: any node answers for the cluster.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hashbrown::HashMap;
use kafka_protocol::ResponseError;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use super::config::TopicConfig;
use super::coordinator::Coordinator;
use super::faults::Faults;
use super::memory::Memory;
use super::partition::Partition;
use super::transactions::{Ending, Now, Transactions};

/// What all nodes call their cluster.
pub const CLUSTER_ID: &str = "stockstream-embedded-00";
/// Partitions that one topic may have.
const PARTITIONS_MAX: i32 = 10_000;
/// Topics in the cluster.
const TOPICS_MAX: usize = 10_000;

#[derive(Debug)]
pub struct Node {
    pub id: i32,
    pub address: SocketAddr,
    pub rack: String,
    alive: AtomicBool,
    duty: Mutex<Duty>,
}

/// What a node's coming and going does to what it coordinates.
#[derive(Debug, Default, Clone, Copy)]
struct Duty {
    /// It is gone, and nobody has taken its place before then.
    mourned_until: Option<Instant>,
    /// It is back, and reads what it has to know until then.
    loading_until: Option<Instant>,
}

impl Node {
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
pub struct Topic {
    pub name: String,
    pub id: Uuid,
    pub replication_factor: i16,
    config: RwLock<Arc<TopicConfig>>,
    partitions: RwLock<Arc<[Arc<Partition>]>>,
}

impl Topic {
    pub fn config(&self) -> Arc<TopicConfig> {
        Arc::clone(&self.config.read())
    }

    pub fn set_config(&self, config: TopicConfig) {
        *self.config.write() = Arc::new(config);
    }

    pub fn partitions(&self) -> Arc<[Arc<Partition>]> {
        Arc::clone(&self.partitions.read())
    }

    pub fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.partitions.read().get(index).cloned())
    }
}

/// Limits and delays that requests are judged by.
#[derive(Debug, Clone)]
pub struct Limits {
    pub frame_bytes_max: usize,
    pub throttle_max: Duration,
    pub session_timeout_min: Duration,
    pub session_timeout_max: Duration,
    pub initial_rebalance_delay: Duration,
    pub partitions_default: i32,
    pub election_delay: Duration,
}

/// Who leads and who coordinates, where it is not as always. Held while leaders change, so that elections do not
/// overlap.
#[derive(Debug, Default)]
struct Elections {
    /// How long an election takes.
    delay: Duration,
    /// Partitions are without a leader.
    are_open: bool,
    /// Groups and transactional ids that were given to a node.
    moved: HashMap<String, i32>,
    /// Those of them that the node does not know yet.
    loading: HashMap<String, Instant>,
}

#[derive(Debug, Default)]
struct Topics {
    by_name: BTreeMap<String, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
}

/// Everything that is wrong with a topic that a client wants, as the client will see it.
pub type Refusal = (ResponseError, String);

#[derive(Debug)]
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub limits: Limits,
    pub memory: Memory,
    pub coordinator: Coordinator,
    pub transactions: Transactions,
    topics: RwLock<Topics>,
    pub faults: Faults,
    elections: Mutex<Elections>,
    next_producer_id: AtomicI64,
    ids: AtomicU64,
    seed: u64,
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

/// The time for calls that decide by it.
pub fn now() -> Now {
    Now {
        instant: Instant::now(),
        ms: now_ms(),
    }
}

impl Cluster {
    pub fn new(addresses: &[SocketAddr], limits: &Limits, memory_bytes: usize) -> Self {
        let election_delay = limits.election_delay;
        let nodes = addresses
            .iter()
            .zip(1..)
            .map(|(address, id)| Node {
                id,
                address: *address,
                rack: format!("dc{id}"),
                alive: AtomicBool::new(true),
                duty: Mutex::default(),
            })
            .collect();
        Self {
            nodes,
            coordinator: Coordinator::new(limits),
            transactions: Transactions::default(),
            limits: limits.clone(),
            memory: Memory::new(memory_bytes),
            topics: RwLock::default(),
            faults: Faults::default(),
            elections: Mutex::new(Elections {
                delay: election_delay,
                ..Elections::default()
            }),
            next_producer_id: AtomicI64::new(1_000),
            ids: AtomicU64::new(1),
            seed: std::collections::hash_map::RandomState::new()
                .build_hasher()
                .finish(),
        }
    }

    /// A number that no other call has returned.
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id.fetch_add(1, Ordering::Relaxed)
    }

    /// An id that differs between runs, so that a client notices a topic that was created anew.
    pub fn new_uuid(&self) -> Uuid {
        let high = self.seed & !0xf000 | 0x4000;
        let low = self.next_id() | 0x8000_0000_0000_0000;
        Uuid::from_u64_pair(high, low)
    }

    pub fn node(&self, id: i32) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    pub fn live_nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.is_alive())
    }

    fn is_alive(&self, id: i32) -> bool {
        self.node(id).is_some_and(Node::is_alive)
    }

    /// The live node with the lowest id; a name only, as any node serves what a controller would.
    pub fn controller(&self) -> i32 {
        self.live_nodes().next().map_or(-1, |node| node.id)
    }

    /// The node that coordinates a group or a transactional id: the one that it was given to, or the first live one
    /// from the key's own place on. Nobody does while the loss of the last is not noticed yet.
    pub fn coordinator_of(&self, key: &str) -> Result<&Node, ResponseError> {
        let given = self.elections.lock().moved.get(key).and_then(|id| self.node(*id));
        let first = crc32c::crc32c(key.as_bytes()) as usize % self.nodes.len();
        let ring = self.nodes.iter().cycle().skip(first).take(self.nodes.len());
        let now = Instant::now();
        for node in given.into_iter().chain(ring) {
            if node.is_alive() {
                return Ok(node);
            }
            if node.duty.lock().mourned_until.is_some_and(|until| now < until) {
                break;
            }
        }
        Err(ResponseError::CoordinatorNotAvailable)
    }

    /// Whether a node may answer for a group or a transactional id at this moment.
    pub fn check_coordinator(&self, node: i32, key: &str) -> Result<(), ResponseError> {
        match self.coordinator_of(key) {
            Ok(found) if found.id == node => {
                let now = Instant::now();
                let is_later = |until: Option<Instant>| until.is_some_and(|until| now < until);
                let of_key = self.elections.lock().loading.get(key).copied();
                if is_later(found.duty.lock().loading_until) || is_later(of_key) {
                    return Err(ResponseError::CoordinatorLoadInProgress);
                }
                Ok(())
            }
            _ => Err(ResponseError::NotCoordinator),
        }
    }

    /// Gives a group or a transactional id to a node, as long as it lives.
    pub fn move_coordinator(&self, key: &str, node: i32) {
        let now = Instant::now();
        let delay = {
            let mut elections = self.elections.lock();
            elections.moved.insert(key.to_owned(), node);
            elections.loading.retain(|_, until| now < *until);
            let until = now + elections.delay;
            elections.loading.insert(key.to_owned(), until);
            elections.delay
        };
        self.coordinator.unload(key, delay);
    }

    pub fn set_election_delay(&self, delay: Duration) {
        self.elections.lock().delay = delay;
    }

    /// Marks a node as gone or back and moves leaders.
    pub fn set_alive(&self, id: i32, alive: bool) {
        let mut elections = self.elections.lock();
        if let Some(node) = self.node(id)
            && node.alive.swap(alive, Ordering::AcqRel) != alive
        {
            let until = Some(Instant::now() + elections.delay);
            *node.duty.lock() = Duty {
                mourned_until: until.filter(|_| !alive),
                loading_until: until.filter(|_| alive),
            };
        }
        self.elect(&mut elections);
    }

    /// Lets a node lead a partition; false if it is no replica.
    pub fn move_leader(&self, partition: &Partition, node: i32) -> bool {
        let mut elections = self.elections.lock();
        let is_replica = partition.prefer(node);
        self.elect(&mut elections);
        is_replica
    }

    fn elect(&self, elections: &mut Elections) {
        let now = Instant::now();
        elections.are_open = false;
        for topic in self.topics() {
            for partition in topic.partitions().iter() {
                let is_open = partition.elect(|node| self.is_alive(node), now, elections.delay);
                elections.are_open |= is_open;
            }
        }
    }

    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().by_name.get(name).cloned()
    }

    pub fn topic_by_id(&self, id: &Uuid) -> Option<Arc<Topic>> {
        self.topics.read().by_id.get(id).cloned()
    }

    /// All topics in the order of their names.
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().by_name.values().cloned().collect()
    }

    pub fn partition(&self, topic: &str, index: i32) -> Option<Arc<Partition>> {
        self.topic(topic)?.partition(index)
    }

    /// Checks a topic that is to be created and fills in defaults (-1): number of partitions, replication factor.
    pub fn plan_topic(&self, name: &str, partitions: i32, replication: i16) -> Result<(i32, i16), Refusal> {
        check_name(name)?;
        let topics = self.topics.read();
        if topics.by_name.contains_key(name) {
            return Err((
                ResponseError::TopicAlreadyExists,
                format!("Topic '{name}' already exists."),
            ));
        }
        if topics.by_name.len() >= TOPICS_MAX {
            return Err((
                ResponseError::PolicyViolation,
                format!("There are {TOPICS_MAX} topics already."),
            ));
        }
        let partitions = if partitions == -1 {
            self.limits.partitions_default
        } else {
            partitions
        };
        if !(1..=PARTITIONS_MAX).contains(&partitions) {
            return Err((
                ResponseError::InvalidPartitions,
                format!(
                    "Number of partitions was set to an invalid value: {partitions} is not 1 to {PARTITIONS_MAX}."
                ),
            ));
        }
        let nodes = self.nodes.len() as i16;
        let replication = if replication == -1 {
            nodes.min(3)
        } else {
            replication
        };
        if !(1..=nodes).contains(&replication) {
            return Err((
                ResponseError::InvalidReplicationFactor,
                format!("Replication factor {replication} does not fit {nodes} nodes."),
            ));
        }
        Ok((partitions, replication))
    }

    /// Creates a topic; numbers as [`Cluster::plan_topic`] returned them. `assignments` names replicas for each
    /// partition, empty: spread over the nodes.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        replication: i16,
        assignments: &[Vec<i32>],
        config: TopicConfig,
    ) -> Result<Arc<Topic>, Refusal> {
        let _elections = self.elections.lock();
        let first = crc32c::crc32c(name.as_bytes()) as usize;
        let made = (0..partitions)
            .map(|index| {
                let chosen = assignments.get(index as usize).cloned();
                self.new_partition(
                    index,
                    chosen.unwrap_or_else(|| self.spread(first + index as usize, replication)),
                )
            })
            .collect();
        let topic = Arc::new(Topic {
            name: name.to_owned(),
            id: self.new_uuid(),
            replication_factor: replication,
            config: RwLock::new(Arc::new(config)),
            partitions: RwLock::new(made),
        });
        let mut topics = self.topics.write();
        if topics.by_name.contains_key(name) {
            return Err((
                ResponseError::TopicAlreadyExists,
                format!("Topic '{name}' already exists."),
            ));
        }
        topics.by_name.insert(topic.name.clone(), Arc::clone(&topic));
        topics.by_id.insert(topic.id, Arc::clone(&topic));
        Ok(topic)
    }

    fn spread(&self, first: usize, replication: i16) -> Vec<i32> {
        self.nodes
            .iter()
            .cycle()
            .skip(first % self.nodes.len())
            .take(replication as usize)
            .map(|n| n.id)
            .collect()
    }

    fn new_partition(&self, index: i32, replicas: Vec<i32>) -> Arc<Partition> {
        let leader = replicas.iter().copied().find(|node| self.is_alive(*node));
        Arc::new(Partition::new(
            index,
            replicas,
            leader.unwrap_or(super::partition::NO_LEADER),
        ))
    }

    /// Adds partitions so that the topic has `count`.
    pub fn grow_topic(&self, topic: &Topic, count: i32) -> Result<(), Refusal> {
        let _elections = self.elections.lock();
        let mut partitions = topic.partitions.write();
        let present = partitions.len() as i32;
        if count <= present || count > PARTITIONS_MAX {
            return Err((
                ResponseError::InvalidPartitions,
                format!(
                    "The topic {} currently has {present} partition(s); {count} would not be an increase.",
                    topic.name
                ),
            ));
        }
        let first = crc32c::crc32c(topic.name.as_bytes()) as usize;
        let added = (present..count).map(|index| {
            self.new_partition(
                index,
                self.spread(first + index as usize, topic.replication_factor),
            )
        });
        *partitions = partitions.iter().cloned().chain(added).collect();
        Ok(())
    }

    /// Writes the end of a transaction to all that it touched.
    pub fn settle(&self, ending: &Ending) {
        let producer = (ending.producer.id, ending.producer.epoch);
        for (topic, index) in &ending.partitions {
            if let Some(partition) = self.partition(topic, *index) {
                partition.end_transaction(producer, ending.outcome, now_ms(), &self.memory);
            }
        }
        for group in &ending.groups {
            self.coordinator.settle(group, ending.producer.id, ending.outcome);
        }
    }

    /// Lets time pass for elections, groups and transactions.
    pub fn tick(&self) {
        let mut elections = self.elections.lock();
        if elections.are_open {
            self.elect(&mut elections);
        }
        drop(elections);
        self.coordinator.tick();
        self.transactions.tick(now(), |ending| self.settle(ending));
    }

    /// Removes a topic with its records and all that groups committed for it.
    pub fn delete_topic(&self, name: &str) -> Option<Arc<Topic>> {
        let topic = {
            let mut topics = self.topics.write();
            let topic = topics.by_name.remove(name)?;
            topics.by_id.remove(&topic.id);
            topic
        };
        for partition in topic.partitions().iter() {
            self.memory.free(partition.delete());
        }
        self.coordinator.forget_topic(name);
        Some(topic)
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let fault = if name.is_empty() {
        "the empty string is not allowed"
    } else if name == "." || name == ".." {
        "'.' or '..' is not allowed"
    } else if name.len() > 249 {
        "the length is more than 249"
    } else if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    {
        "it contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    } else {
        return Ok(());
    };
    Err((
        ResponseError::InvalidTopicException,
        format!("Topic name is invalid: {fault}"),
    ))
}

//! A Kafka broker in process and in memory: three nodes on loopback that speak Kafka's wire protocol.
//!
//! It stands in for a cluster where none can be installed: clients, groups, limits, retention and compaction behave
//! as on Apache Kafka, so a service cannot tell the difference by protocol. Invariant: an acknowledged record is
//! readable until retention, compaction or a deletion that somebody asked for removes it; memory is bounded, and at
//! the bound producers are slowed instead of unread records being dropped.
//!
//! What it is not: nothing is replicated or written to disk, all nodes share one process, there is no security, and
//! its speed says nothing about Kafka's. Transactions are those of librdkafka and of JVM clients that meet an older
//! cluster: a producer keeps its epoch from one transaction to the next.
//!
//! `wire` and `shape` read frames, `server` moves them, `api` answers them; `cluster`, `partition`, `log` and `batch`
//! hold records, `group`, `membership` and `coordinator` consumer groups, `transactions` and `stability` what producers
//! commit or abort, `retention` and `compaction` tidy up.

mod api;
mod batch;
mod cluster;
mod compaction;
mod config;
mod coordinator;
pub mod faults;
mod group;
mod log;
mod membership;
mod memory;
mod partition;
mod producers;
mod retention;
mod server;
mod shape;
mod stability;
mod transactions;
mod wire;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use cluster::{Cluster, Limits};
use faults::Faults;

/// How often groups and transactions are looked at for ended time-outs.
const GROUP_TICK: Duration = Duration::from_millis(25);
/// How often logs are trimmed and compacted.
const TIDY_TICK: Duration = Duration::from_millis(100);
/// Producers that are silent so long are forgotten, as in Kafka.
const PRODUCER_EXPIRATION_MS: i64 = 86_400_000;

/// How a broker is to be set up.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// Address of the first node; the others take the ports after it. `None`: free ports on 127.0.0.1.
    pub listen: Option<SocketAddr>,
    /// What all logs together may hold; above it producers are slowed.
    pub memory_bytes: usize,
    /// Number of nodes, each in a data centre of its own: `dc1`, `dc2`...
    pub nodes: u8,
    /// Largest request that is read.
    pub frame_bytes_max: usize,
    /// Longest time for which a produce request is held back at the memory bound.
    pub throttle_max: Duration,
    /// How long a group that was empty waits for more members after the first.
    pub initial_rebalance_delay: Duration,
    /// Shortest session time-out that a group member may ask for.
    pub session_timeout_min: Duration,
    /// Partitions of a topic whose creator does not say.
    pub partitions_default: i32,
    /// How long it takes until a partition or a group that has lost its node, or is moved, is served by another.
    pub election_delay: Duration,
    /// Threads that serve connections.
    pub threads: usize,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            listen: None,
            memory_bytes: 768 << 20,
            nodes: 3,
            frame_bytes_max: 64 << 20,
            throttle_max: Duration::from_secs(1),
            initial_rebalance_delay: Duration::from_millis(100),
            session_timeout_min: Duration::from_secs(1),
            partitions_default: 1,
            election_delay: Duration::ZERO,
            threads: 2,
        }
    }
}

/// Why a broker did not start or a node could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error(
        "node {node} of the embedded broker cannot listen on {address}: the port is in use; \
         stop what uses it or give another address (three consecutive ports are needed)"
    )]
    PortInUse { node: i32, address: SocketAddr },
    #[error("node {node} of the embedded broker cannot listen on {address}: {source}")]
    Listen {
        node: i32,
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error(
        "the embedded broker needs 1 to 9 nodes and ports up to 65535, not {nodes} nodes from {listen:?}"
    )]
    Options { nodes: u8, listen: Option<SocketAddr> },
    #[error("the threads of the embedded broker cannot be started: {0}")]
    Threads(std::io::Error),
    #[error("there is no node {0}")]
    UnknownNode(i32),
    #[error("there is no partition {partition} of a topic {topic:?}")]
    UnknownPartition { topic: String, partition: i32 },
    #[error("node {node} is no replica of partition {partition} of {topic:?}, so it cannot lead it")]
    NotAReplica {
        topic: String,
        partition: i32,
        node: i32,
    },
}

/// One partition in [`BrokerStats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionStats {
    pub leader: i32,
    pub leader_epoch: i32,
    pub start_offset: i64,
    pub end_offset: i64,
    pub bytes: usize,
    /// Records that are held.
    pub records: u64,
    /// Records appended since the topic was created; compaction and retention do not lower it.
    pub appended_records: u64,
}

/// A consumer group at one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupStats {
    /// Rises with each rebalance.
    pub generation: i32,
    pub members: usize,
    /// Members that were put out because nothing was heard of them for their session time-out, since the group was made.
    pub expired: u64,
}

/// What the broker holds and did.
#[derive(Debug, Clone, Default)]
pub struct BrokerStats {
    pub bytes_held: usize,
    pub bytes_bound: usize,
    /// Produce requests that were held back because of the memory bound.
    pub throttled_requests: u64,
    pub topics: BTreeMap<String, Vec<PartitionStats>>,
    /// Ids of the nodes that are up.
    pub live_nodes: Vec<i32>,
}

impl BrokerStats {
    /// Records appended to a topic, or 0 if it is unknown.
    pub fn appended_records(&self, topic: &str) -> u64 {
        self.topics
            .get(topic)
            .into_iter()
            .flatten()
            .map(|partition| partition.appended_records)
            .sum()
    }
}

/// A node that is up.
struct Running {
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

/// The broker. Dropping it stops it; [`Broker::shutdown`] also waits for its connections to end.
pub struct Broker {
    cluster: Arc<Cluster>,
    nodes: Mutex<BTreeMap<i32, Running>>,
    /// Ends the background work.
    stop: CancellationToken,
    background: Vec<JoinHandle<()>>,
    /// `Some` until the end: a runtime must not be dropped where blocking is forbidden.
    runtime: Option<Runtime>,
}

impl Broker {
    /// Starts all nodes on threads of their own.
    pub async fn start(options: BrokerOptions) -> Result<Broker, BrokerError> {
        let addresses = addresses(&options)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .thread_name("embedded-broker")
            .enable_all()
            .build()
            .map_err(BrokerError::Threads)?;
        let mut broker = Broker {
            cluster: Arc::new(Cluster::new(&[], &limits(&options), 0)),
            nodes: Mutex::default(),
            stop: CancellationToken::new(),
            background: Vec::new(),
            runtime: Some(runtime),
        };
        let mut listeners = Vec::new();
        for (address, node) in addresses.into_iter().zip(1..) {
            listeners.push(broker.listen(node, address).await?);
        }
        let bound: Vec<SocketAddr> = listeners.iter().map(|(_, address)| *address).collect();
        broker.cluster = Arc::new(Cluster::new(&bound, &limits(&options), options.memory_bytes));
        for ((listener, _), node) in listeners.into_iter().zip(1..) {
            broker.run_node(node, listener);
        }
        broker.background = vec![broker.spawn(every(GROUP_TICK, broker.stop.clone(), {
            let cluster = Arc::clone(&broker.cluster);
            move || cluster.tick()
        }))];
        let (cluster, stop) = (Arc::clone(&broker.cluster), broker.stop.clone());
        let tidying = broker.spawn(tidy(cluster, stop));
        broker.background.push(tidying);
        Ok(broker)
    }

    /// The addresses of all nodes, for `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self
            .cluster
            .nodes
            .iter()
            .map(|node| node.address.to_string())
            .collect();
        addresses.join(",")
    }

    pub fn stats(&self) -> BrokerStats {
        let cluster = &self.cluster;
        let topics = cluster.topics().into_iter().map(|topic| {
            let partitions = topic.partitions();
            let partitions = partitions.iter().map(|partition| {
                let place = partition.place();
                PartitionStats {
                    leader: place.leader,
                    leader_epoch: place.leader_epoch,
                    start_offset: place.log_start,
                    end_offset: place.log_end,
                    bytes: place.bytes,
                    records: place.records,
                    appended_records: partition.appended_records(),
                }
            });
            let partitions = partitions.collect();
            (topic.name.clone(), partitions)
        });
        BrokerStats {
            bytes_held: cluster.memory.held(),
            bytes_bound: cluster.memory.bound(),
            throttled_requests: cluster.memory.throttled(),
            topics: topics.collect(),
            live_nodes: cluster.live_nodes().map(|node| node.id).collect(),
        }
    }

    /// Rules that disturb requests on purpose.
    pub fn faults(&self) -> Faults {
        self.cluster.faults.clone()
    }

    /// How long elections take from now on; see [`BrokerOptions::election_delay`].
    pub fn set_election_delay(&self, delay: Duration) {
        self.cluster.set_election_delay(delay);
    }

    /// Lets a node lead a partition as long as it lives; in between nobody leads for the election delay.
    pub fn move_leader(&self, topic: &str, partition: i32, node: i32) -> Result<(), BrokerError> {
        self.cluster.node(node).ok_or(BrokerError::UnknownNode(node))?;
        let found = self.cluster.partition(topic, partition);
        let found = found.ok_or_else(|| BrokerError::UnknownPartition {
            topic: topic.to_owned(),
            partition,
        })?;
        if self.cluster.move_leader(&found, node) {
            return Ok(());
        }
        Err(BrokerError::NotAReplica {
            topic: topic.to_owned(),
            partition,
            node,
        })
    }

    /// Lets a node coordinate a group, or a transactional id of that name, as long as it lives. For the election
    /// delay it answers that it is still loading; the former one sends its clients away at once.
    pub fn move_coordinator(&self, key: &str, node: i32) -> Result<(), BrokerError> {
        self.cluster.node(node).ok_or(BrokerError::UnknownNode(node))?;
        self.cluster.move_coordinator(key, node);
        Ok(())
    }

    /// A consumer group as it is now; `None`: nobody has ever joined it.
    pub fn group(&self, name: &str) -> Option<GroupStats> {
        self.cluster.coordinator.inspect(name, |group| GroupStats {
            generation: group.generation,
            members: group.members.len(),
            expired: group.expired,
        })
    }

    /// The node that coordinates a group or a transactional id; `None` while nobody does.
    pub fn coordinator_of(&self, key: &str) -> Option<i32> {
        self.cluster.coordinator_of(key).ok().map(|node| node.id)
    }

    /// Takes a node away: its connections are cut; after the election delay its leaders and coordinators are on nodes
    /// that live. Nothing that was acknowledged is lost. Stopping a stopped node does nothing.
    pub async fn stop_node(&self, node: i32) -> Result<(), BrokerError> {
        self.cluster.node(node).ok_or(BrokerError::UnknownNode(node))?;
        let running = self.nodes.lock().remove(&node);
        self.cluster.set_alive(node, false);
        if let Some(running) = running {
            running.stop.cancel();
            // It ends by the token; a panic in it has been reported by its thread.
            let _ = running.serving.await;
        }
        Ok(())
    }

    /// Brings a node back to its address; the partitions that it is the first replica of return to it after the
    /// election delay, and so long it is loading what it coordinates. Starting a running node does nothing.
    pub async fn start_node(&self, node: i32) -> Result<(), BrokerError> {
        let address = self
            .cluster
            .node(node)
            .ok_or(BrokerError::UnknownNode(node))?
            .address;
        if self.nodes.lock().contains_key(&node) {
            return Ok(());
        }
        let (listener, _) = self.listen(node, address).await?;
        self.run_node(node, listener);
        self.cluster.set_alive(node, true);
        Ok(())
    }

    /// Stops all nodes and waits until their connections have ended.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        let running = std::mem::take(&mut *self.nodes.lock());
        for node in running.values() {
            node.stop.cancel();
        }
        let tasks = running
            .into_values()
            .map(|node| node.serving)
            .chain(std::mem::take(&mut self.background));
        for task in tasks {
            let _ = task.await;
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.runtime
            .as_ref()
            .expect("the runtime lives as long as the broker")
            .spawn(work)
    }

    async fn listen(&self, node: i32, address: SocketAddr) -> Result<(TcpListener, SocketAddr), BrokerError> {
        let runtime = self
            .runtime
            .as_ref()
            .expect("the runtime lives as long as the broker");
        let bound = runtime.spawn(async move {
            let listener = server::bind(address)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        });
        let bound = bound
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)));
        bound.map_err(|source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AddrInUse => BrokerError::PortInUse { node, address },
            _ => BrokerError::Listen {
                node,
                address,
                source,
            },
        })
    }

    fn run_node(&self, node: i32, listener: TcpListener) {
        let stop = CancellationToken::new();
        let serving = self.spawn(server::serve(
            Arc::clone(&self.cluster),
            node,
            listener,
            stop.clone(),
        ));
        self.nodes.lock().insert(node, Running { stop, serving });
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.cancel();
        for node in self.nodes.lock().values() {
            node.stop.cancel();
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn limits(options: &BrokerOptions) -> Limits {
    Limits {
        frame_bytes_max: options.frame_bytes_max,
        throttle_max: options.throttle_max,
        session_timeout_min: options.session_timeout_min,
        session_timeout_max: Duration::from_mins(30),
        initial_rebalance_delay: options.initial_rebalance_delay,
        partitions_default: options.partitions_default,
        election_delay: options.election_delay,
    }
}

fn addresses(options: &BrokerOptions) -> Result<Vec<SocketAddr>, BrokerError> {
    let refused = || BrokerError::Options {
        nodes: options.nodes,
        listen: options.listen,
    };
    if !(1..=9).contains(&options.nodes) {
        return Err(refused());
    }
    let first = options
        .listen
        .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    (0..u16::from(options.nodes))
        .map(|offset| {
            let port = if first.port() == 0 {
                Some(0)
            } else {
                first.port().checked_add(offset)
            };
            port.map(|port| SocketAddr::new(first.ip(), port))
                .ok_or_else(refused)
        })
        .collect()
}

async fn every(period: Duration, stop: CancellationToken, mut work: impl FnMut()) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => work(),
        }
    }
}

/// Trims and compacts. The work is heavy, so it does not run on a thread that serves connections.
async fn tidy(cluster: Arc<Cluster>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TIDY_TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let cluster = Arc::clone(&cluster);
        let done = tokio::task::spawn_blocking(move || {
            retention::run(&cluster);
            compaction::run(&cluster);
            for topic in cluster.topics() {
                for partition in topic.partitions().iter() {
                    partition.expire_producers(cluster::now_ms() - PRODUCER_EXPIRATION_MS);
                }
            }
        });
        if let Err(error) = done.await {
            tracing::error!(%error, "tidying the logs failed");
        }
    }
}

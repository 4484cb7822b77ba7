//! Members of consumer groups: librdkafka's, each polled by a thread of its own, and one made of raw frames that can
//! fall silent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, GroupId, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, OffsetCommitRequest, SyncGroupRequest, SyncGroupResponse, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::clients::config;
use super::eventually;
use super::raw::Raw;
use super::target::{Coordinates, Target, text};

/// Who owns which partition at this moment, kept by all members together.
#[derive(Debug, Default)]
pub struct Owners {
    by_partition: Mutex<BTreeMap<(String, i32), String>>,
    /// A partition was given to a member while another still had it.
    violations: Mutex<Vec<String>>,
}

impl Owners {
    pub fn snapshot(&self) -> BTreeMap<(String, i32), String> {
        self.by_partition.lock().unwrap().clone()
    }

    /// How many partitions each member has.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for member in self.snapshot().into_values() {
            *counts.entry(member).or_default() += 1;
        }
        counts
    }

    pub fn of(&self, member: &str) -> BTreeSet<i32> {
        let all = self.snapshot();
        let owned = all.iter().filter(|(_, owner)| *owner == member);
        owned.map(|((_, partition), _)| *partition).collect()
    }

    pub fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap().clone()
    }

    fn claim(&self, member: &str, topic: &str, partition: i32) {
        let mut owners = self.by_partition.lock().unwrap();
        if let Some(other) = owners.insert((topic.to_owned(), partition), member.to_owned())
            && other != member
        {
            let what = format!("{partition} went to {member} while {other} had it");
            self.violations.lock().unwrap().push(what);
        }
    }

    fn release(&self, member: &str, topic: &str, partition: i32) {
        let mut owners = self.by_partition.lock().unwrap();
        let key = (topic.to_owned(), partition);
        if owners.get(&key).is_some_and(|owner| owner == member) {
            owners.remove(&key);
        }
    }
}

#[derive(Debug)]
pub struct Watch {
    name: String,
    owners: Arc<Owners>,
    /// Assignments and revocations seen.
    changes: Arc<AtomicU32>,
    is_fenced: Arc<AtomicBool>,
}

impl ClientContext for Watch {
    fn error(&self, error: KafkaError, _reason: &str) {
        if is_end(&error) {
            self.is_fenced.store(true, Ordering::Relaxed);
        }
    }
}

impl ConsumerContext for Watch {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        if let Rebalance::Revoke(list) = rebalance {
            for element in list.elements() {
                self.owners
                    .release(&self.name, element.topic(), element.partition());
            }
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            for element in list.elements() {
                self.owners
                    .claim(&self.name, element.topic(), element.partition());
            }
        }
    }
}

fn is_end(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    matches!(
        code,
        Some(RDKafkaErrorCode::FencedInstanceId | RDKafkaErrorCode::Fatal)
    )
}

/// A consumer of librdkafka in a thread.
pub struct Member {
    stop: Arc<AtomicBool>,
    changes: Arc<AtomicU32>,
    is_fenced: Arc<AtomicBool>,
    polling: Option<JoinHandle<()>>,
}

impl Member {
    pub fn join(
        target: &Target,
        name: &str,
        group: &str,
        topic: &str,
        owners: &Arc<Owners>,
        settings: &[(&str, &str)],
    ) -> Self {
        let base = [
            ("group.id", group),
            ("client.id", name),
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "200"),
            ("topic.metadata.refresh.interval.ms", "1000"),
            ("auto.offset.reset", "earliest"),
        ];
        let settings: Vec<_> = base.iter().chain(settings).copied().collect();
        let changes = Arc::new(AtomicU32::new(0));
        let is_fenced = Arc::new(AtomicBool::new(false));
        let context = Watch {
            name: name.to_owned(),
            owners: Arc::clone(owners),
            changes: Arc::clone(&changes),
            is_fenced: Arc::clone(&is_fenced),
        };
        let consumer: BaseConsumer<Watch> = config(target, &settings).create_with_context(context).unwrap();
        consumer.subscribe(&[topic]).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let seen_end = Arc::clone(&is_fenced);
        let polling = std::thread::spawn(move || {
            while !stopping.load(Ordering::Relaxed) {
                if let Some(Err(error)) = consumer.poll(Duration::from_millis(20))
                    && is_end(&error)
                {
                    seen_end.store(true, Ordering::Relaxed);
                }
            }
        });
        Self {
            stop,
            changes,
            is_fenced,
            polling: Some(polling),
        }
    }

    /// How often partitions were given or taken.
    pub fn changes(&self) -> u32 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Another member has come with its name.
    pub fn is_fenced(&self) -> bool {
        self.is_fenced.load(Ordering::Relaxed)
    }

    /// Closes the consumer, which tells the group unless the member is static.
    pub fn leave(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(polling) = self.polling.take() {
            polling.join().unwrap();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.end();
    }
}

/// A member made of raw frames.
pub struct RawMember {
    pub node: Raw,
    pub group: String,
    pub id: StrBytes,
    pub instance: Option<StrBytes>,
    pub generation: i32,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub protocols: Vec<(String, Bytes)>,
}

/// JoinGroup, SyncGroup and the like are sent in these versions.
pub const JOIN: i16 = 7;
pub const SYNC: i16 = 5;
pub const HEARTBEAT: i16 = 4;
pub const COMMIT: i16 = 8;

impl RawMember {
    pub fn new(target: &Target, group: &str) -> Self {
        Self {
            node: target.coordinator(Coordinates::Group, group),
            group: group.to_owned(),
            id: StrBytes::default(),
            instance: None,
            generation: -1,
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 30_000,
            protocols: vec![("range".to_owned(), Bytes::from_static(b"meta"))],
        }
    }

    pub fn with_instance(mut self, instance: &str) -> Self {
        self.instance = Some(text(instance));
        self
    }

    pub fn join_request(&self) -> JoinGroupRequest {
        let protocols = self.protocols.iter().map(|(name, metadata)| {
            JoinGroupRequestProtocol::default()
                .with_name(text(name))
                .with_metadata(metadata.clone())
        });
        JoinGroupRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_session_timeout_ms(self.session_timeout_ms)
            .with_rebalance_timeout_ms(self.rebalance_timeout_ms)
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance.clone())
            .with_protocol_type(text("consumer"))
            .with_protocols(protocols.collect())
    }

    /// Sends JoinGroup, a second time where the first only gave out the id.
    pub fn start_joining(&mut self) {
        if self.id.is_empty() && self.instance.is_none() {
            let first = self.node.call(JOIN, &self.join_request());
            assert_eq!(first.error_code, 79, "MEMBER_ID_REQUIRED");
            self.id = first.member_id;
        }
        let request = self.join_request();
        self.node.send(JOIN, &request);
    }

    pub fn finish_joining(&mut self) -> JoinGroupResponse {
        let (_, joined) = self.node.receive::<JoinGroupRequest>(JOIN).unwrap();
        if joined.error_code == 0 {
            self.id = joined.member_id.clone();
            self.generation = joined.generation_id;
        }
        joined
    }

    pub fn join(&mut self) -> JoinGroupResponse {
        self.start_joining();
        let joined = self.finish_joining();
        assert_eq!(joined.error_code, 0, "JoinGroup");
        joined
    }

    pub fn sync_request(&self, assignments: &[(StrBytes, &[u8])]) -> SyncGroupRequest {
        let given = assignments.iter().map(|(member, assignment)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(member.clone())
                .with_assignment(Bytes::copy_from_slice(assignment))
        });
        SyncGroupRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance.clone())
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(self.protocols.first().map(|(name, _)| text(name)))
            .with_assignments(given.collect())
    }

    pub fn sync(&mut self, assignments: &[(StrBytes, &[u8])]) -> SyncGroupResponse {
        let request = self.sync_request(assignments);
        self.node.call(SYNC, &request)
    }

    pub fn heartbeat(&mut self) -> i16 {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance.clone());
        self.node.call(HEARTBEAT, &request).error_code
    }

    /// Waits until the group asks its members to join anew.
    pub fn await_rebalance(&mut self) {
        eventually("members are asked to join", || {
            let code = self.heartbeat();
            assert!(code == 0 || code == 27, "error {code} to a heartbeat");
            (code == 27).then_some(())
        });
    }

    pub fn commit_request(&self, topic: &str, partition: i32, offset: i64) -> OffsetCommitRequest {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(Some(text("meta")));
        let topic = OffsetCommitRequestTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(vec![partition]);
        OffsetCommitRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_generation_id_or_member_epoch(self.generation)
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance.clone())
            .with_topics(vec![topic])
    }

    /// Commits one offset; the error of the partition.
    pub fn commit(&mut self, topic: &str, partition: i32, offset: i64) -> i16 {
        let request = self.commit_request(topic, partition, offset);
        let answer = self.node.call(COMMIT, &request);
        answer.topics[0].partitions[0].error_code
    }
}

/// Metadata of a consumer that wants one topic, as its assignor's protocol has it.
pub fn subscription(topic: &str) -> Bytes {
    let subscription = ConsumerProtocolSubscription::default().with_topics(vec![text(topic)]);
    let mut out = BytesMut::new();
    bytes::BufMut::put_i16(&mut out, 1);
    subscription.encode(&mut out, 1).unwrap();
    out.freeze()
}

/// An assignment as the leader of a consumer group writes it.
pub fn assignment(topic: &str, partitions: &[i32]) -> Bytes {
    let partitions = TopicPartition::default()
        .with_topic(TopicName(text(topic)))
        .with_partitions(partitions.to_vec());
    let assignment = ConsumerProtocolAssignment::default().with_assigned_partitions(vec![partitions]);
    let mut out = BytesMut::new();
    bytes::BufMut::put_i16(&mut out, 1);
    assignment.encode(&mut out, 1).unwrap();
    out.freeze()
}

/// The partitions in an assignment.
pub fn assigned(mut assignment: Bytes) -> BTreeSet<i32> {
    if assignment.is_empty() {
        return BTreeSet::new();
    }
    let version = bytes::Buf::get_i16(&mut assignment);
    let assignment = ConsumerProtocolAssignment::decode(&mut assignment, version.min(3)).unwrap();
    let partitions = assignment.assigned_partitions.into_iter();
    partitions.flat_map(|topic| topic.partitions).collect()
}

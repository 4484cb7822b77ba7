//! All consumer groups with the offsets that they committed.
//!
//! Invariant: an offset is stored only if the group let its committer pass (member, generation, instance).
//! One coordinator serves all nodes: a group survives its node, only the node that answers for it changes.
//! It does not keep offsets for ever alive by itself: deleting a topic or a group forgets them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::cluster::Limits;
use super::group::Group;
use super::membership::{Caller, Join, JoinAnswer, JoinRefused, State, SyncAnswer};
use super::stability::Outcome;

/// Longest metadata that may be committed with an offset.
pub const METADATA_BYTES_MAX: usize = 4096;
/// Groups in the cluster; a new one beyond is refused.
const GROUPS_MAX: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
}

/// Committed offsets by topic and partition.
pub type Offsets = BTreeMap<String, BTreeMap<i32, Committed>>;

#[derive(Debug)]
struct Entry {
    group: Group,
    offsets: Offsets,
    /// Offsets of open transactions, by producer id.
    pending: HashMap<i64, Offsets>,
}

impl Entry {
    fn is_void(&self) -> bool {
        self.group.is_empty() && self.offsets.is_empty() && self.pending.is_empty()
    }
}

/// One group in a listing.
#[derive(Debug, Clone)]
pub struct Listed {
    pub id: String,
    pub protocol_type: String,
    pub state: State,
}

#[derive(Debug)]
pub struct Coordinator {
    groups: Mutex<BTreeMap<String, Entry>>,
    initial_delay: Duration,
}

impl Coordinator {
    pub fn new(limits: &Limits) -> Self {
        Self {
            groups: Mutex::default(),
            initial_delay: limits.initial_rebalance_delay,
        }
    }

    fn new_entry(&self) -> Entry {
        Entry {
            group: Group::new(self.initial_delay),
            offsets: Offsets::new(),
            pending: HashMap::new(),
        }
    }

    /// The group of a commit: one that nobody joined takes offsets of callers that are no members.
    fn entry_to_commit<'a>(
        &self,
        groups: &'a mut BTreeMap<String, Entry>,
        group: &str,
        generation: i32,
    ) -> Result<&'a mut Entry, ResponseError> {
        if !groups.contains_key(group) {
            if generation >= 0 {
                return Err(ResponseError::IllegalGeneration);
            }
            if groups.len() >= GROUPS_MAX {
                return Err(ResponseError::GroupMaxSizeReached);
            }
        }
        Ok(groups.entry(group.to_owned()).or_insert_with(|| self.new_entry()))
    }

    pub fn join(&self, group: &str, request: Join) -> oneshot::Receiver<JoinAnswer> {
        let mut groups = self.groups.lock();
        let refused = |error| {
            let (answer, receiver) = oneshot::channel();
            let _ = answer.send(Err(JoinRefused {
                error,
                member: request.caller.member.clone(),
            }));
            receiver
        };
        if !groups.contains_key(group) {
            if !request.caller.member.is_empty() {
                return refused(ResponseError::UnknownMemberId);
            }
            if groups.len() >= GROUPS_MAX {
                return refused(ResponseError::GroupMaxSizeReached);
            }
        }
        let entry = groups.entry(group.to_owned()).or_insert_with(|| self.new_entry());
        entry.group.join(request, Instant::now())
    }

    /// Runs a call on a group that has to exist, else the member cannot be known.
    pub fn with_group<T>(
        &self,
        group: &str,
        call: impl FnOnce(&mut Group, Instant) -> Result<T, ResponseError>,
    ) -> Result<T, ResponseError> {
        let mut groups = self.groups.lock();
        let entry = groups.get_mut(group).ok_or(ResponseError::UnknownMemberId)?;
        call(&mut entry.group, Instant::now())
    }

    pub fn sync(
        &self,
        group: &str,
        call: impl FnOnce(&mut Group, Instant) -> oneshot::Receiver<SyncAnswer>,
    ) -> Result<oneshot::Receiver<SyncAnswer>, ResponseError> {
        self.with_group(group, |group, now| Ok(call(group, now)))
    }

    /// Stores offsets if the caller may; -1 as the generation stands for a caller that is no member.
    pub fn commit(
        &self,
        group: &str,
        caller: &Caller,
        generation: i32,
        offsets: impl IntoIterator<Item = (String, i32, Committed)>,
    ) -> Result<(), ResponseError> {
        let mut groups = self.groups.lock();
        let entry = self.entry_to_commit(&mut groups, group, generation)?;
        entry.group.check_commit(caller, generation, Instant::now())?;
        for (topic, partition, committed) in offsets {
            entry
                .offsets
                .entry(topic)
                .or_default()
                .insert(partition, committed);
        }
        Ok(())
    }

    /// As [`Coordinator::commit`], but nobody sees the offsets before the producer's transaction is committed.
    pub fn commit_in_transaction(
        &self,
        group: &str,
        caller: &Caller,
        generation: i32,
        producer_id: i64,
        offsets: impl IntoIterator<Item = (String, i32, Committed)>,
    ) -> Result<(), ResponseError> {
        let mut groups = self.groups.lock();
        let entry = self.entry_to_commit(&mut groups, group, generation)?;
        entry
            .group
            .check_transactional_commit(caller, generation, Instant::now())?;
        let pending = entry.pending.entry(producer_id).or_default();
        for (topic, partition, committed) in offsets {
            pending.entry(topic).or_default().insert(partition, committed);
        }
        Ok(())
    }

    /// A producer's transaction has ended: its offsets become the group's, or nothing.
    pub fn settle(&self, group: &str, producer_id: i64, outcome: Outcome) {
        let mut groups = self.groups.lock();
        let Some(entry) = groups.get_mut(group) else {
            return;
        };
        let pending = entry.pending.remove(&producer_id).unwrap_or_default();
        if outcome == Outcome::Commit {
            for (topic, partitions) in pending {
                entry.offsets.entry(topic).or_default().extend(partitions);
            }
        }
    }

    /// Whether an open transaction is about to change a partition's offset.
    pub fn has_pending(&self, group: &str, topic: &str, partition: i32) -> bool {
        let is_in = |pending: &Offsets| pending.get(topic).is_some_and(|p| p.contains_key(&partition));
        let groups = self.groups.lock();
        groups
            .get(group)
            .is_some_and(|entry| entry.pending.values().any(is_in))
    }

    /// What a group has committed; empty for an unknown group.
    pub fn offsets(&self, group: &str) -> Offsets {
        self.groups
            .lock()
            .get(group)
            .map(|entry| entry.offsets.clone())
            .unwrap_or_default()
    }

    /// For each partition, the smallest offset among the groups that have committed it.
    pub fn floors(&self) -> HashMap<String, HashMap<i32, i64>> {
        let mut floors: HashMap<String, HashMap<i32, i64>> = HashMap::new();
        for entry in self.groups.lock().values() {
            for (topic, partitions) in &entry.offsets {
                let by_partition = floors.entry_ref(topic.as_str()).or_default();
                for (partition, committed) in partitions {
                    let floor = by_partition.entry(*partition).or_insert(i64::MAX);
                    *floor = (*floor).min(committed.offset);
                }
            }
        }
        floors
    }

    pub fn list(&self) -> Vec<Listed> {
        let groups = self.groups.lock();
        groups
            .iter()
            .map(|(id, entry)| Listed {
                id: id.clone(),
                protocol_type: entry
                    .group
                    .protocol_type
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                state: entry.group.state,
            })
            .collect()
    }

    /// Looks at a group, if there is one.
    pub fn inspect<T>(&self, group: &str, look: impl FnOnce(&Group) -> T) -> Option<T> {
        self.groups.lock().get(group).map(|entry| look(&entry.group))
    }

    pub fn delete_group(&self, group: &str) -> Result<(), ResponseError> {
        let mut groups = self.groups.lock();
        let entry = groups.get(group).ok_or(ResponseError::GroupIdNotFound)?;
        if !entry.group.is_empty() {
            return Err(ResponseError::NonEmptyGroup);
        }
        groups.remove(group);
        Ok(())
    }

    /// Forgets a group's offset of one partition. A group with members may be reading it, so it must be empty.
    pub fn delete_offset(&self, group: &str, topic: &str, partition: i32) -> Result<(), ResponseError> {
        let mut groups = self.groups.lock();
        let entry = groups.get_mut(group).ok_or(ResponseError::GroupIdNotFound)?;
        if !entry.group.is_empty() {
            return Err(ResponseError::GroupSubscribedToTopic);
        }
        if let Some(partitions) = entry.offsets.get_mut(topic) {
            partitions.remove(&partition);
        }
        Ok(())
    }

    pub fn forget_topic(&self, topic: &str) {
        for entry in self.groups.lock().values_mut() {
            entry.offsets.remove(topic);
            for pending in entry.pending.values_mut() {
                pending.remove(topic);
            }
        }
    }

    /// The group is taken to another node, which needs some time to learn of it.
    pub fn unload(&self, group: &str, delay: Duration) {
        if let Some(entry) = self.groups.lock().get_mut(group) {
            entry.group.unload(Instant::now() + delay);
        }
    }

    /// Lets time pass in all groups and forgets those that hold nothing any more.
    pub fn tick(&self) {
        let now = Instant::now();
        self.groups.lock().retain(|_, entry| {
            entry.group.tick(now);
            !entry.is_void()
        });
    }
}

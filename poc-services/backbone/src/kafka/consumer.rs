//! Consumers: a member of a group that decides itself when it takes and gives back partitions, and a plain reader.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use super::config::{Backbone, BackboneError, OffsetReset, SharedContext, client_error};
use super::ffi;

/// A position that was assigned must be readable by then.
const SEEK_WITHIN: Duration = Duration::from_secs(10);
const CLOSE_POLL: Duration = Duration::from_millis(100);
const SEEK_PAUSE: Duration = Duration::from_millis(5);

/// One record, borrowed from the client's buffer.
pub struct Record<'a>(pub(super) BorrowedMessage<'a>);

impl Record<'_> {
    pub fn topic(&self) -> &str {
        self.0.topic()
    }

    pub fn partition(&self) -> u32 {
        self.0.partition() as u32
    }

    pub fn offset(&self) -> u64 {
        self.0.offset() as u64
    }

    pub fn key(&self) -> &[u8] {
        self.0.key().unwrap_or_default()
    }

    /// `None`: a tombstone.
    pub fn payload(&self) -> Option<&[u8]> {
        self.0.payload()
    }

    /// The leader epoch that it was written in; -1 = unknown.
    pub fn leader_epoch(&self) -> i32 {
        ffi::leader_epoch(&self.0)
    }

    pub fn timestamp_ms(&self) -> Option<i64> {
        self.0.timestamp().to_millis()
    }

    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.0.headers()?.iter().find(|header| header.key == name)?.value
    }

    /// All headers, in their order.
    pub fn headers(&self) -> Vec<(&str, &[u8])> {
        self.0
            .headers()
            .map(|headers| {
                headers
                    .iter()
                    .map(|h| (h.key, h.value.unwrap_or_default()))
                    .collect()
            })
            .unwrap_or_default()
    }
}

/// A partition of a topic.
pub type Assignment = (String, u32);

/// Where to begin in a partition that was assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// Where the group committed, or as [`OffsetReset`] says.
    Committed,
    Offset(u64),
    /// Behind a record that was written in a leader epoch: where the log has been cut off meanwhile and goes on
    /// otherwise, reading is an error with [`OffsetReset::Error`], and begins where it was cut with [`OffsetReset::Earliest`].
    Behind {
        offset: u64,
        leader_epoch: i32,
    },
}

pub enum Event<'a> {
    Record(Record<'a>),
    /// The group gives these partitions: read from them after [`GroupConsumer::take`].
    Assigned(Vec<Assignment>),
    /// The group wants these back: finish, commit, then [`GroupConsumer::give_back`].
    Revoked(Vec<Assignment>),
    /// The group gave these to others already: commit nothing, [`GroupConsumer::give_back`].
    Lost(Vec<Assignment>),
}

#[derive(Clone)]
enum Rebalance {
    Assigned(Vec<Assignment>),
    Revoked(Vec<Assignment>),
    Lost(Vec<Assignment>),
}

#[derive(Clone, Default)]
struct GroupContext {
    errors: SharedContext,
    pending: Arc<Mutex<VecDeque<Rebalance>>>,
}

impl ClientContext for GroupContext {
    fn error(&self, error: KafkaError, reason: &str) {
        self.errors.error(error, reason);
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<Assignment> {
    list.elements()
        .iter()
        .map(|e| (e.topic().to_owned(), e.partition() as u32))
        .collect()
}

fn list(partitions: &[Assignment]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        list.add_partition(topic, *partition as i32);
    }
    list
}

impl ConsumerContext for GroupContext {
    // The service answers each rebalance itself, outside of the callback, when its state is ready for it.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let rebalance = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalance::Assigned(partitions(list)),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS if consumer.assignment_lost() => {
                Rebalance::Lost(partitions(list))
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => Rebalance::Revoked(partitions(list)),
            other => {
                tracing::warn!(?other, "rebalance failed");
                return;
            }
        };
        self.pending.lock().push_back(rebalance);
    }
}

/// A member of a consumer group, cooperative, with its commits in its own hands. Dropping it leaves the group, whatever
/// it still holds.
pub struct GroupConsumer {
    inner: Arc<BaseConsumer<GroupContext>>,
    context: GroupContext,
    group: String,
    /// Handed to the service, which has not yet taken or given back.
    unanswered: Mutex<Option<Rebalance>>,
}

impl GroupConsumer {
    /// The next event, or `None` when nothing came in time.
    pub fn poll(&self, timeout: Duration) -> Result<Option<Event<'_>>, BackboneError> {
        if let Some(event) = self.rebalance() {
            return Ok(Some(event));
        }
        match self.inner.poll(timeout) {
            None => Ok(self.rebalance()),
            Some(Ok(message)) => Ok(Some(Event::Record(Record(message)))),
            Some(Err(error)) => {
                if is_fatal(&error) {
                    return Err(self.fatal(error));
                }
                tracing::debug!(%error, group = self.group, "poll");
                Ok(None)
            }
        }
    }

    fn rebalance(&self) -> Option<Event<'static>> {
        let rebalance = self.context.pending.lock().pop_front()?;
        *self.unanswered.lock() = Some(rebalance.clone());
        Some(event(rebalance))
    }

    /// The next record alone: a rebalance that comes meanwhile waits for the next [`GroupConsumer::poll`].
    pub fn poll_record(&self, timeout: Duration) -> Result<Option<Record<'_>>, BackboneError> {
        match self.inner.poll(timeout) {
            Some(Ok(message)) => Ok(Some(Record(message))),
            Some(Err(error)) if is_fatal(&error) => Err(self.fatal(error)),
            _ => Ok(None),
        }
    }

    fn fatal(&self, source: KafkaError) -> BackboneError {
        use rdkafka::error::RDKafkaErrorCode as Code;
        let client = self.group.clone();
        match source.rdkafka_error_code() {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation) => {
                BackboneError::Position { client, source }
            }
            _ => BackboneError::Client { client, source },
        }
    }

    /// Begins to read partitions that were assigned.
    pub fn take(&self, partitions: &[(Assignment, StartAt)]) -> Result<(), BackboneError> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        let mut to_check = TopicPartitionList::new();
        for (index, ((topic, partition), start)) in partitions.iter().enumerate() {
            let offset = match start {
                StartAt::Committed => Offset::Invalid,
                StartAt::Offset(offset) | StartAt::Behind { offset, .. } => Offset::Offset(*offset as i64),
            };
            list.add_partition_offset(topic, *partition as i32, offset)
                .map_err(client_error(&self.group))?;
            if let StartAt::Behind { leader_epoch, .. } = start
                && *leader_epoch >= 0
            {
                ffi::set_leader_epoch(&mut list, index, *leader_epoch);
                to_check
                    .add_partition_offset(topic, *partition as i32, offset)
                    .map_err(client_error(&self.group))?;
                let last = to_check.count() - 1;
                ffi::set_leader_epoch(&mut to_check, last, *leader_epoch);
            }
        }
        self.inner
            .incremental_assign(&list)
            .map_err(client_error(&self.group))?;
        self.answered(|rebalance| matches!(rebalance, Rebalance::Assigned(_)));
        seek(&self.inner, &to_check, &self.group)
    }

    /// Goes on reading a partition that is taken from another offset.
    pub fn go_to(&self, topic: &str, partition: u32, offset: u64) -> Result<(), BackboneError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition as i32, Offset::Offset(offset as i64))
            .map_err(client_error(&self.group))?;
        seek(&self.inner, &list, &self.group)
    }

    /// Takes all of an assignment from where the group committed.
    pub fn take_committed(&self, partitions: &[Assignment]) -> Result<(), BackboneError> {
        let all: Vec<_> = partitions
            .iter()
            .cloned()
            .map(|p| (p, StartAt::Committed))
            .collect();
        self.take(&all)
    }

    /// Stops reading partitions that were revoked or lost.
    pub fn give_back(&self, partitions: &[Assignment]) -> Result<(), BackboneError> {
        self.inner
            .incremental_unassign(&list(partitions))
            .map_err(client_error(&self.group))?;
        self.answered(|rebalance| !matches!(rebalance, Rebalance::Assigned(_)));
        Ok(())
    }

    fn answered(&self, is_answer: impl Fn(&Rebalance) -> bool) {
        self.unanswered.lock().take_if(|rebalance| is_answer(rebalance));
    }

    /// Commits next offsets, checked by the coordinator against member and generation.
    pub fn commit(&self, next: &[(Assignment, u64)], metadata: &str) -> Result<(), BackboneError> {
        let mut list = TopicPartitionList::with_capacity(next.len());
        for ((topic, partition), offset) in next {
            let mut element = list.add_partition(topic, *partition as i32);
            element
                .set_offset(Offset::Offset(*offset as i64))
                .map_err(client_error(&self.group))?;
            element.set_metadata(metadata);
        }
        self.commit_list(&list)
    }

    /// Commits next offsets, each with the leader epoch in which the record before it was written (-1 = unknown), by which
    /// whoever goes on from there can tell whether the log is still the one that was read.
    pub fn commit_behind(&self, next: &[(Assignment, u64, i32)]) -> Result<(), BackboneError> {
        let mut list = TopicPartitionList::with_capacity(next.len());
        for (index, ((topic, partition), offset, leader_epoch)) in next.iter().enumerate() {
            list.add_partition_offset(topic, *partition as i32, Offset::Offset(*offset as i64))
                .map_err(client_error(&self.group))?;
            ffi::set_leader_epoch(&mut list, index, *leader_epoch);
        }
        self.commit_list(&list)
    }

    fn commit_list(&self, list: &TopicPartitionList) -> Result<(), BackboneError> {
        if list.count() == 0 {
            return Ok(());
        }
        self.inner
            .commit(list, CommitMode::Sync)
            .map_err(|source| BackboneError::Commit {
                group: self.group.clone(),
                source,
            })
    }

    /// What the group committed: next offset and metadata, `None` where it never did.
    pub fn committed(&self, partitions: &[Assignment]) -> Result<Vec<Option<(u64, String)>>, BackboneError> {
        let committed = self.committed_list(partitions)?;
        Ok(partitions
            .iter()
            .map(|(topic, partition)| {
                let element = committed.find_partition(topic, *partition as i32)?;
                match element.offset() {
                    Offset::Offset(offset) => Some((offset as u64, element.metadata().to_owned())),
                    _ => None,
                }
            })
            .collect())
    }

    /// What the group committed: next offset and the leader epoch of the record before it, -1 where that was not committed.
    pub fn committed_behind(
        &self,
        partitions: &[Assignment],
    ) -> Result<Vec<Option<(u64, i32)>>, BackboneError> {
        let committed = self.committed_list(partitions)?;
        let elements = committed.elements();
        Ok(partitions
            .iter()
            .map(|(topic, partition)| {
                let is_it = |index: &usize| {
                    let element = &elements[*index];
                    element.topic() == topic && element.partition() == *partition as i32
                };
                let index = (0..elements.len()).find(is_it)?;
                match elements[index].offset() {
                    Offset::Offset(offset) => {
                        Some((offset as u64, ffi::committed_leader_epoch(&committed, index)))
                    }
                    _ => None,
                }
            })
            .collect())
    }

    fn committed_list(&self, partitions: &[Assignment]) -> Result<TopicPartitionList, BackboneError> {
        self.inner
            .committed_offsets(list(partitions), Duration::from_secs(10))
            .map_err(client_error(&self.group))
    }

    /// Which member of which generation this is: a transaction that commits for another one is refused.
    pub(super) fn group_metadata(&self) -> Result<ConsumerGroupMetadata, BackboneError> {
        self.inner.group_metadata().ok_or_else(|| BackboneError::Client {
            client: self.group.clone(),
            source: KafkaError::Canceled,
        })
    }

    /// The group gave what this member had to others, without asking it.
    pub fn is_lost(&self) -> bool {
        self.inner.assignment_lost()
    }

    /// Pauses or resumes reading, without leaving the group.
    pub fn pause(&self, partitions: &[Assignment]) -> Result<(), BackboneError> {
        self.inner
            .pause(&list(partitions))
            .map_err(client_error(&self.group))
    }

    pub fn resume(&self, partitions: &[Assignment]) -> Result<(), BackboneError> {
        self.inner
            .resume(&list(partitions))
            .map_err(client_error(&self.group))
    }

    pub fn last_error(&self) -> Option<String> {
        self.context.errors.last_error()
    }
}

/// The client asks the broker whether a position is still in its log only when it seeks there.
fn seek<C: ConsumerContext>(
    inner: &BaseConsumer<C>,
    list: &TopicPartitionList,
    client: &str,
) -> Result<(), BackboneError> {
    let deadline = Instant::now() + SEEK_WITHIN;
    while list.count() > 0 {
        let sought = inner
            .seek_partitions(list.clone(), SEEK_WITHIN)
            .map_err(client_error(client))?;
        let failed = sought.elements().iter().find_map(|element| element.error().err());
        match failed {
            None => return Ok(()),
            // It has not begun to fetch yet.
            Some(_) if Instant::now() < deadline => std::thread::sleep(SEEK_PAUSE),
            Some(source) => return Err(client_error(client)(source)),
        }
    }
    Ok(())
}

impl Drop for GroupConsumer {
    // A rebalance that nobody answers keeps the client from closing, for ever. An answer that was not wanted any more, and
    // that the client gets while it closes, it never acknowledges: so a thread of its own waits for that.
    fn drop(&mut self) {
        let unanswered = self.unanswered.lock().take();
        for rebalance in unanswered
            .into_iter()
            .chain(self.context.pending.lock().drain(..))
        {
            answer_nothing(&self.inner, &rebalance);
        }
        if let Err(error) = self.inner.close_queue() {
            tracing::debug!(%error, group = self.group, "not closed");
            return;
        }
        while !self.inner.closed() {
            drop(self.inner.poll(CLOSE_POLL));
            for rebalance in self.context.pending.lock().drain(..) {
                let inner = Arc::clone(&self.inner);
                std::thread::spawn(move || answer_nothing(&inner, &rebalance));
            }
        }
    }
}

/// An answer without partitions is one, and is never refused.
fn answer_nothing(consumer: &BaseConsumer<GroupContext>, rebalance: &Rebalance) {
    let nothing = TopicPartitionList::new();
    let answered = match rebalance {
        Rebalance::Assigned(_) => consumer.incremental_assign(&nothing),
        Rebalance::Revoked(_) | Rebalance::Lost(_) => consumer.incremental_unassign(&nothing),
    };
    if let Err(error) = answered {
        tracing::debug!(%error, "rebalance not answered");
    }
}

fn event(rebalance: Rebalance) -> Event<'static> {
    match rebalance {
        Rebalance::Assigned(partitions) => Event::Assigned(partitions),
        Rebalance::Revoked(partitions) => Event::Revoked(partitions),
        Rebalance::Lost(partitions) => Event::Lost(partitions),
    }
}

pub(super) fn is_fatal(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::Fatal
                | Code::Authentication
                | Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::AutoOffsetReset
                | Code::OffsetOutOfRange
                | Code::LogTruncation
        )
    )
}

fn watermarks<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: u32,
) -> Result<(u64, u64), BackboneError> {
    let (low, high) = consumer
        .fetch_watermarks(topic, partition as i32, Duration::from_secs(10))
        .map_err(|error| BackboneError::Topic {
            topic: format!("{topic}[{partition}]"),
            message: error.to_string(),
        })?;
    Ok((low as u64, high as u64))
}

/// What a reader knows of the end of a partition.
#[derive(Default)]
struct End {
    /// An end that somebody had seen when the broker was asked for what is left.
    seen: u64,
    /// Nothing was left, some time after that.
    is_met: bool,
}

/// Reads partitions of a topic from chosen offsets, outside of any group.
pub struct Reader {
    inner: BaseConsumer<SharedContext>,
    topic: String,
    ends: Mutex<BTreeMap<u32, End>>,
}

impl Reader {
    /// The next record, or `None` when none came in time.
    pub fn poll(&self, timeout: Duration) -> Result<Option<Record<'_>>, BackboneError> {
        loop {
            match self.inner.poll(timeout) {
                None => return Ok(None),
                Some(Ok(message)) => return Ok(Some(Record(message))),
                // It comes once for each end that is met, so this ends.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.ends.lock().entry(partition as u32).or_default().is_met = true;
                }
                Some(Err(error)) if is_fatal(&error) => {
                    return Err(BackboneError::Topic {
                        topic: self.topic.clone(),
                        message: error.to_string(),
                    });
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, topic = self.topic, "poll");
                    return Ok(None);
                }
            }
        }
    }

    /// Whether nothing is left of a partition below an end that somebody has seen, as far as [`Reader::look_for_end`] has
    /// found out. A reader that counts offsets alone never gets there where the last of them are marks of transactions, or
    /// were removed by compaction.
    pub(super) fn has_ended(&self, partition: u32, end: u64) -> bool {
        let ends = self.ends.lock();
        ends.get(&partition)
            .is_some_and(|known| known.is_met && known.seen >= end)
    }

    /// For a partition that is read up to `next` and gives nothing more, though somebody has seen it end behind that: what
    /// comes from now on, records or that there are none, was asked after that was seen. Asks once for each end.
    pub(super) fn look_for_end(&self, partition: u32, next: u64, end: u64) -> Result<(), BackboneError> {
        let mut ends = self.ends.lock();
        let known = ends.entry(partition).or_default();
        // Before it has met any end, it may just not be there yet.
        if !known.is_met || known.seen >= end {
            return Ok(());
        }
        *known = End {
            seen: end,
            is_met: false,
        };
        drop(ends);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition as i32, Offset::Offset(next as i64))
            .map_err(client_error(&self.topic))?;
        seek(&self.inner, &list, &self.topic)
    }

    pub fn watermarks(&self, partition: u32) -> Result<(u64, u64), BackboneError> {
        watermarks(&self.inner, &self.topic, partition)
    }
}

/// Commits offsets for a group without members: what they mean is between those who read them.
pub struct OffsetKeeper {
    inner: BaseConsumer<SharedContext>,
    group: String,
}

impl OffsetKeeper {
    pub fn commit(&self, next: &[(Assignment, u64)]) -> Result<(), BackboneError> {
        let mut list = TopicPartitionList::with_capacity(next.len());
        for ((topic, partition), offset) in next {
            list.add_partition_offset(topic, *partition as i32, Offset::Offset(*offset as i64))
                .map_err(client_error(&self.group))?;
        }
        self.inner
            .commit(&list, CommitMode::Sync)
            .map_err(|source| BackboneError::Commit {
                group: self.group.clone(),
                source,
            })
    }
}

impl Backbone {
    pub fn offset_keeper(&self, client_id: &str, group: &str) -> Result<OffsetKeeper, BackboneError> {
        let inner = self
            .consumer_config(client_id, group, OffsetReset::Earliest)
            .create_with_context(SharedContext::default())
            .map_err(client_error(client_id))?;
        Ok(OffsetKeeper {
            inner,
            group: group.to_owned(),
        })
    }

    pub fn group_consumer(
        &self,
        client_id: &str,
        group: &str,
        topics: &[&str],
        reset: OffsetReset,
    ) -> Result<GroupConsumer, BackboneError> {
        let context = GroupContext::default();
        let inner: BaseConsumer<GroupContext> = self
            .consumer_config(client_id, group, reset)
            .create_with_context(context.clone())
            .map_err(client_error(client_id))?;
        inner.subscribe(topics).map_err(client_error(client_id))?;
        Ok(GroupConsumer {
            inner: Arc::new(inner),
            context,
            group: group.to_owned(),
            unanswered: Mutex::new(None),
        })
    }

    /// A reader of the given partitions from their offsets on.
    pub fn reader(&self, client_id: &str, topic: &str, from: &[(u32, u64)]) -> Result<Reader, BackboneError> {
        let inner: BaseConsumer<SharedContext> = self
            .consumer_config(client_id, client_id, OffsetReset::Earliest)
            .set("enable.partition.eof", "true")
            .create_with_context(SharedContext::default())
            .map_err(client_error(client_id))?;
        let mut list = TopicPartitionList::with_capacity(from.len());
        for (partition, offset) in from {
            list.add_partition_offset(topic, *partition as i32, Offset::Offset(*offset as i64))
                .map_err(client_error(client_id))?;
        }
        inner.assign(&list).map_err(client_error(client_id))?;
        Ok(Reader {
            inner,
            topic: topic.to_owned(),
            ends: Mutex::default(),
        })
    }

    /// A reader of all partitions of a topic from the beginning.
    pub fn reader_from_beginning(
        &self,
        client_id: &str,
        topic: &str,
        partitions: u32,
    ) -> Result<Reader, BackboneError> {
        let from: Vec<_> = (0..partitions).map(|partition| (partition, 0)).collect();
        self.reader(client_id, topic, &from)
    }
}

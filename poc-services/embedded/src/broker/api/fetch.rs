//! Fetch: whole batches within every limit, waiting for the first bytes as long as the reader allows.
//!
//! Invariant: if any partition has a record for the reader, at least one batch is returned, however small the
//! limits. The response is written by hand so that batches go from the log to the socket without a copy.
//! Sessions are not kept: the session id of every answer is 0, which tells clients to send full fetches.

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};

use super::Context;
use crate::broker::cluster::Topic;
use crate::broker::partition::{Limit, Slice};
use crate::broker::stability::{Aborted, Isolation};
use crate::broker::wire::{Header, Reply, begin_reply};

/// Batches below this size are copied into the response: cheaper than a piece of their own.
const COPY_BELOW_BYTES: usize = 4096;
/// A request and its answer cost more than the records in them: what comes within this time of the first record comes with
/// it, unless it is as much as this already.
const GATHER: Duration = Duration::from_millis(8);
const GATHER_BYTES: usize = 64 << 10;

type Outcome = Result<Slice, ResponseError>;

pub async fn fetch(context: &Context, header: &Header, request: FetchRequest) -> Reply {
    if request.session_id != 0 {
        return write(
            header,
            &request,
            &[],
            ResponseError::FetchSessionIdNotFound.code(),
        );
    }
    let deadline = Instant::now() + Duration::from_millis(request.max_wait_ms.max(0) as u64);
    let min_bytes = request.min_bytes.max(0) as usize;
    let topics: Vec<_> = request
        .topics
        .iter()
        .map(|wanted| find(context, header, wanted))
        .collect();
    let mut gathered = None;
    loop {
        let outcomes = collect(context, &request, &topics);
        let all = || outcomes.iter().flatten();
        let bytes: usize = all()
            .filter_map(|outcome| outcome.as_ref().ok())
            .map(|slice| slice.bytes)
            .sum();
        let has_failed = all().any(Result::is_err);
        let now = Instant::now();
        let is_enough = bytes >= min_bytes;
        let is_gathered = bytes >= GATHER_BYTES || gathered.is_some_and(|until| now >= until);
        if is_enough && is_gathered || has_failed || now >= deadline || request.topics.is_empty() {
            return write(header, &request, &outcomes, 0);
        }
        if is_enough {
            let until = *gathered.get_or_insert_with(|| deadline.min(now + GATHER));
            tokio::time::sleep_until(until.into()).await;
            continue;
        }
        if register(context, &request, &topics, &outcomes) {
            let _ = tokio::time::timeout_at(deadline.into(), context.waiter.notify.notified()).await;
        }
    }
}

fn find(
    context: &Context,
    header: &Header,
    wanted: &FetchTopic,
) -> Result<std::sync::Arc<Topic>, ResponseError> {
    if header.version >= 13 {
        context
            .cluster
            .topic_by_id(&wanted.topic_id)
            .ok_or(ResponseError::UnknownTopicId)
    } else {
        context
            .cluster
            .topic(&wanted.topic)
            .ok_or(ResponseError::UnknownTopicOrPartition)
    }
}

type Found = Result<std::sync::Arc<Topic>, ResponseError>;

fn collect(context: &Context, request: &FetchRequest, topics: &[Found]) -> Vec<Vec<Outcome>> {
    let isolation = Isolation::from_wire(request.isolation_level);
    let mut left = request.max_bytes.max(0) as usize;
    let mut is_first = true;
    let mut read = |topic: &Found, wanted: &FetchPartition| -> Outcome {
        let topic = topic.as_ref().map_err(|error| *error)?;
        let partition = topic
            .partition(wanted.partition)
            .ok_or(ResponseError::UnknownTopicOrPartition)?;
        let limit = Limit {
            bytes: left.min(wanted.partition_max_bytes.max(0) as usize),
            first_batch_whole: is_first,
        };
        let slice = partition.read(
            context.node,
            wanted.current_leader_epoch,
            wanted.fetch_offset,
            limit,
            isolation,
        )?;
        is_first &= slice.batches.is_empty();
        left = left.saturating_sub(slice.bytes);
        Ok(slice)
    };
    let read_topic = |(wanted, topic): (&FetchTopic, &Found)| -> Vec<Outcome> {
        wanted
            .partitions
            .iter()
            .map(|partition| read(topic, partition))
            .collect()
    };
    request.topics.iter().zip(topics).map(read_topic).collect()
}

/// Asks all partitions to wake this connection; false if one has grown meanwhile.
fn register(context: &Context, request: &FetchRequest, topics: &[Found], outcomes: &[Vec<Outcome>]) -> bool {
    let isolation = Isolation::from_wire(request.isolation_level);
    request
        .topics
        .iter()
        .zip(topics)
        .zip(outcomes)
        .all(|((wanted, topic), outcomes)| {
            wanted
                .partitions
                .iter()
                .zip(outcomes)
                .all(|(partition, outcome)| {
                    let partition = topic
                        .as_ref()
                        .ok()
                        .and_then(|topic| topic.partition(partition.partition));
                    match (partition, outcome) {
                        (Some(partition), Ok(slice)) => {
                            partition.register(&context.waiter, slice.visible_end, isolation)
                        }
                        _ => true,
                    }
                })
        })
}

/// Writes the response: Kafka's FetchResponse, versions 4 to 17.
fn write(header: &Header, request: &FetchRequest, outcomes: &[Vec<Outcome>], error_code: i16) -> Reply {
    let version = header.version;
    let mut out = Pieces {
        out: begin_reply(header, 256),
        done: Vec::new(),
        is_flexible: version >= 12,
    };
    out.out.put_i32(0);
    if version >= 7 {
        out.out.put_i16(error_code);
        out.out.put_i32(0);
    }
    out.array_length(outcomes.len());
    for (topic, partitions) in request.topics.iter().zip(outcomes) {
        if version >= 13 {
            out.out.put_slice(topic.topic_id.as_bytes());
        } else {
            out.text(&topic.topic);
        }
        out.array_length(partitions.len());
        for (partition, outcome) in topic.partitions.iter().zip(partitions) {
            let slice = outcome.as_ref().ok();
            let (end, stable, start) = slice.map_or((-1, -1, -1), |slice| {
                (slice.log_end, slice.stable_end, slice.log_start)
            });
            out.out.put_i32(partition.partition);
            out.out.put_i16(super::code(outcome));
            out.out.put_i64(end);
            out.out.put_i64(stable);
            if version >= 5 {
                out.out.put_i64(start);
            }
            match slice.and_then(|slice| slice.aborted.as_ref()) {
                Some(aborted) => out.aborted(aborted),
                None => out.no_array(),
            }
            if version >= 11 {
                out.out.put_i32(-1);
            }
            out.records(slice);
            out.no_tagged_fields();
        }
        out.no_tagged_fields();
    }
    out.no_tagged_fields();
    out.finish()
}

/// A response in the making.
struct Pieces {
    out: BytesMut,
    done: Vec<Bytes>,
    is_flexible: bool,
}

impl Pieces {
    fn compact_length(&mut self, length: usize) {
        let mut rest = length as u32 + 1;
        while rest >= 0x80 {
            self.out.put_u8(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.out.put_u8(rest as u8);
    }

    fn array_length(&mut self, length: usize) {
        if self.is_flexible {
            self.compact_length(length);
        } else {
            self.out.put_i32(length as i32);
        }
    }

    fn no_array(&mut self) {
        if self.is_flexible {
            self.out.put_u8(0);
        } else {
            self.out.put_i32(-1);
        }
    }

    fn no_tagged_fields(&mut self) {
        if self.is_flexible {
            self.out.put_u8(0);
        }
    }

    fn text(&mut self, text: &str) {
        if self.is_flexible {
            self.compact_length(text.len());
        } else {
            self.out.put_i16(text.len() as i16);
        }
        self.out.put_slice(text.as_bytes());
    }

    fn aborted(&mut self, aborted: &[Aborted]) {
        self.array_length(aborted.len());
        for aborted in aborted {
            self.out.put_i64(aborted.producer_id);
            self.out.put_i64(aborted.first_offset);
            self.no_tagged_fields();
        }
    }

    fn records(&mut self, slice: Option<&Slice>) {
        let bytes = slice.map_or(0, |slice| slice.bytes);
        self.array_length(bytes);
        for batch in slice.iter().flat_map(|slice| &slice.batches) {
            if batch.len() < COPY_BELOW_BYTES {
                self.out.put_slice(batch);
            } else {
                if !self.out.is_empty() {
                    self.done.push(self.out.split().freeze());
                }
                self.done.push(batch.clone());
            }
        }
    }

    fn finish(mut self) -> Reply {
        if !self.out.is_empty() {
            self.done.push(self.out.freeze());
        }
        let total: usize = self.done.iter().map(Bytes::len).sum();
        // The first piece begins with room for the length.
        let mut first = BytesMut::from(&self.done[0][..]);
        first[0..4].copy_from_slice(&((total - 4) as i32).to_be_bytes());
        self.done[0] = first.freeze();
        Reply { pieces: self.done }
    }
}

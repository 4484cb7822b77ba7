//! Produce.
//!
//! Invariant: a batch is acknowledged only after it lies in the log; beyond the memory bound the answer is late,
//! beyond a quarter more the batch is refused with an error that clients retry, and both are counted.

use std::time::Instant;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};

use super::{Context, text};
use crate::broker::batch::{self, BatchError};
use crate::broker::cluster::{Topic, now_ms};
use crate::broker::partition::Appended;
use crate::broker::transactions::Producer;
use crate::broker::wire::{FrameError, Header, Reply, encode};

type Refused = (ResponseError, String);

pub async fn produce(
    context: &Context,
    header: &Header,
    request: ProduceRequest,
) -> Result<Option<Reply>, FrameError> {
    let throttle_ms = wait_for_memory(context).await;
    let refusal = refusal_of(context, &request);
    let transactional_id = request.transactional_id.as_ref().map(|id| id.to_string());
    let mut has_failed = false;
    let mut response = ProduceResponse::default().with_throttle_time_ms(throttle_ms);
    for data in request.topic_data {
        let topic = if header.version >= 13 {
            context
                .cluster
                .topic_by_id(&data.topic_id)
                .ok_or(ResponseError::UnknownTopicId)
        } else {
            context
                .cluster
                .topic(&data.name)
                .ok_or(ResponseError::UnknownTopicOrPartition)
        };
        let mut answer = TopicProduceResponse::default();
        if header.version >= 13 {
            answer.topic_id = data.topic_id;
        } else {
            answer.name = data.name;
        }
        for partition in data.partition_data {
            let outcome = match (&refusal, &topic) {
                (Some(refused), _) => Err(refused.clone()),
                (None, Err(error)) => Err((*error, String::new())),
                (None, Ok(topic)) => append(context, header, topic, &partition, transactional_id.as_deref()),
            };
            has_failed |= outcome.is_err();
            answer
                .partition_responses
                .push(partition_response(partition.index, outcome));
        }
        response.responses.push(answer);
    }
    if request.acks == 0 {
        // The only way to tell such a producer is to close its connection.
        return if has_failed {
            Err(FrameError::UnacknowledgedProduce)
        } else {
            Ok(None)
        };
    }
    encode(header, &response).map(Some)
}

fn refusal_of(context: &Context, request: &ProduceRequest) -> Option<Refused> {
    if !matches!(request.acks, -1..=1) {
        return Some((ResponseError::InvalidRequiredAcks, String::new()));
    }
    if context.cluster.memory.is_exhausted() {
        let why = format!(
            "the broker's memory bound of {} bytes is exceeded and nothing may be dropped yet",
            context.cluster.memory.bound()
        );
        return Some((ResponseError::NotEnoughReplicas, why));
    }
    None
}

/// Slows the producer while more is held than the bound allows; returns how long it waited.
async fn wait_for_memory(context: &Context) -> i32 {
    let memory = &context.cluster.memory;
    if !memory.is_over() {
        return 0;
    }
    memory.count_throttled();
    let begun = Instant::now();
    let _ = tokio::time::timeout(context.cluster.limits.throttle_max, memory.below_bound()).await;
    begun.elapsed().as_millis() as i32
}

fn append(
    context: &Context,
    request: &Header,
    topic: &Topic,
    data: &PartitionProduceData,
    transactional_id: Option<&str>,
) -> Result<Appended, Refused> {
    let unknown = || (ResponseError::UnknownTopicOrPartition, String::new());
    let partition = topic.partition(data.index).ok_or_else(unknown)?;
    let config = topic.config();
    let records = data.records.as_ref().filter(|records| !records.is_empty());
    let records = records.ok_or_else(|| (ResponseError::InvalidRecord, "no record batch".to_owned()))?;
    if records.len() > config.max_message_bytes {
        let why = format!(
            "the batch of {} bytes is larger than max.message.bytes {}",
            records.len(),
            config.max_message_bytes
        );
        return Err((ResponseError::MessageTooLarge, why));
    }
    let refused = |error: BatchError| {
        let code = match error {
            BatchError::Checksum | BatchError::Truncated => ResponseError::CorruptMessage,
            _ => ResponseError::InvalidRecord,
        };
        (code, error.to_string())
    };
    let header = batch::check(records).map_err(refused)?;
    if config.is_compacted {
        batch::check_keys(records, &header).map_err(refused)?;
    }
    let append = || {
        let memory = &context.cluster.memory;
        partition.append(context.node, records, &header, &config, now_ms(), memory)
    };
    let appended = if header.is_transactional() {
        let missing = || {
            let why = "a transactional batch came without a transactional id".to_owned();
            (ResponseError::TransactionalIdAuthorizationFailed, why)
        };
        let id = transactional_id.ok_or_else(missing)?;
        let producer = Producer {
            id: header.producer_id,
            epoch: header.producer_epoch,
        };
        let transactions = &context.cluster.transactions;
        transactions.with_partition(id, producer, &topic.name, data.index, append)
    } else {
        append()
    };
    appended.map_err(|error| match error {
        // Newer clients know an error that says what to do.
        ResponseError::InvalidTxnState if request.version >= 11 => {
            (ResponseError::TransactionAbortable, String::new())
        }
        error => (error, String::new()),
    })
}

fn partition_response(index: i32, outcome: Result<Appended, Refused>) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    match outcome {
        Ok(appended) => response
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.append_time_ms.unwrap_or(-1))
            .with_log_start_offset(appended.log_start),
        Err((error, why)) => response
            .with_error_code(error.code())
            .with_base_offset(-1)
            .with_log_append_time_ms(-1)
            .with_log_start_offset(-1)
            .with_error_message(Some(why).filter(|why| !why.is_empty()).map(text)),
    }
}

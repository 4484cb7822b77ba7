//! InitProducerId and the requests of transactional producers.
//!
//! Invariant: a node answers only for transactional ids that it coordinates at this moment; offsets of a transaction
//! go through the group's own coordinator.

use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    DescribeTransactionsRequest, DescribeTransactionsResponse, EndTxnRequest, EndTxnResponse,
    InitProducerIdRequest, InitProducerIdResponse, ListTransactionsRequest, ListTransactionsResponse,
    ProducerId, TransactionalId, TxnOffsetCommitRequest, TxnOffsetCommitResponse, list_transactions_response,
};

use super::groups::check_coordinator;
use super::{Context, code, text, topic_name};
use crate::broker::cluster::now;
use crate::broker::coordinator::{Committed, METADATA_BYTES_MAX};
use crate::broker::membership::Caller;
use crate::broker::stability::Outcome;
use crate::broker::transactions::{Described, Producer};
use crate::broker::wire::Header;

fn check_transactional_id(context: &Context, id: &str) -> Result<(), ResponseError> {
    if id.is_empty() {
        return Err(ResponseError::InvalidRequest);
    }
    check_coordinator(context, id)
}

/// What a fenced producer is told: before `since` clients know only the older error.
fn fenced<T>(outcome: Result<T, ResponseError>, header: &Header, since: i16) -> Result<T, ResponseError> {
    outcome.map_err(|error| match error {
        ResponseError::ProducerFenced if header.version < since => ResponseError::InvalidProducerEpoch,
        other => other,
    })
}

/// Gives out a producer id; for a transactional id the one that it has, in its next epoch.
pub fn init_producer_id(
    context: &Context,
    header: &Header,
    request: &InitProducerIdRequest,
) -> InitProducerIdResponse {
    let cluster = &*context.cluster;
    let given = match &request.transactional_id {
        None => Ok(Producer {
            id: cluster.next_producer_id(),
            epoch: 0,
        }),
        Some(id) => check_transactional_id(context, id).and_then(|()| {
            let known = (request.producer_id.0 >= 0).then_some(Producer {
                id: request.producer_id.0,
                epoch: request.producer_epoch,
            });
            let timeout = Duration::from_millis(request.transaction_timeout_ms.max(0) as u64);
            let new_id = || cluster.next_producer_id();
            cluster
                .transactions
                .init(id, timeout, known, new_id, now(), |ending| cluster.settle(ending))
        }),
    };
    match fenced(given, header, 4) {
        Ok(producer) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch),
        Err(error) => InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    }
}

/// All partitions are added or none.
pub fn add_partitions(
    context: &Context,
    header: &Header,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let cluster = &*context.cluster;
    let topics = request.v3_and_below_topics;
    let is_known =
        |topic: &AddPartitionsToTxnTopic, index: i32| cluster.partition(&topic.name, index).is_some();
    let all_known = topics
        .iter()
        .all(|topic| topic.partitions.iter().all(|index| is_known(topic, *index)));
    let added = check_transactional_id(context, &request.v3_and_below_transactional_id).and_then(|()| {
        if !all_known {
            return Err(ResponseError::OperationNotAttempted);
        }
        let producer = Producer {
            id: request.v3_and_below_producer_id.0,
            epoch: request.v3_and_below_producer_epoch,
        };
        let partitions = topics.iter().flat_map(|topic| {
            let name = topic.name.to_string();
            topic.partitions.iter().map(move |index| (name.clone(), *index))
        });
        let id = &request.v3_and_below_transactional_id;
        cluster
            .transactions
            .add_partitions(id, producer, partitions, now())
    });
    let added = fenced(added, header, 2);
    let results = topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|index| {
            let code = match added {
                Err(ResponseError::OperationNotAttempted) if !is_known(topic, *index) => {
                    ResponseError::UnknownTopicOrPartition.code()
                }
                _ => code(&added),
            };
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*index)
                .with_partition_error_code(code)
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.collect())
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect())
}

pub fn add_offsets(
    context: &Context,
    header: &Header,
    request: &AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let producer = Producer {
        id: request.producer_id.0,
        epoch: request.producer_epoch,
    };
    let added = check_transactional_id(context, &request.transactional_id).and_then(|()| {
        let transactions = &context.cluster.transactions;
        transactions.add_group(&request.transactional_id, producer, &request.group_id, now())
    });
    AddOffsetsToTxnResponse::default().with_error_code(code(&fenced(added, header, 2)))
}

pub fn end(context: &Context, header: &Header, request: &EndTxnRequest) -> EndTxnResponse {
    let producer = Producer {
        id: request.producer_id.0,
        epoch: request.producer_epoch,
    };
    let outcome = if request.committed {
        Outcome::Commit
    } else {
        Outcome::Abort
    };
    let cluster = &*context.cluster;
    let ended = check_transactional_id(context, &request.transactional_id).and_then(|()| {
        let settle = |ending: &_| cluster.settle(ending);
        let transactions = &cluster.transactions;
        transactions.end(&request.transactional_id, producer, outcome, now(), settle)
    });
    EndTxnResponse::default().with_error_code(code(&fenced(ended, header, 2)))
}

/// Offsets that become the group's when the transaction is committed.
pub fn commit_offsets(context: &Context, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
    let cluster = &*context.cluster;
    let mut accepted = Vec::new();
    let mut topics: Vec<TxnOffsetCommitResponseTopic> = Vec::new();
    for topic in request.topics {
        let mut answer = TxnOffsetCommitResponseTopic::default().with_name(topic.name.clone());
        for partition in topic.partitions {
            let index = partition.partition_index;
            let metadata = partition.committed_metadata.unwrap_or_default().to_string();
            let checked = if cluster.partition(&topic.name, index).is_none() {
                Err(ResponseError::UnknownTopicOrPartition)
            } else if metadata.len() > METADATA_BYTES_MAX {
                Err(ResponseError::OffsetMetadataTooLarge)
            } else {
                let committed = Committed {
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata,
                };
                accepted.push((topic.name.to_string(), index, committed));
                Ok(())
            };
            let answered = TxnOffsetCommitResponsePartition::default().with_partition_index(index);
            answer.partitions.push(answered.with_error_code(code(&checked)));
        }
        topics.push(answer);
    }
    let caller = Caller {
        member: request.member_id,
        instance: request.group_instance_id,
    };
    let producer = Producer {
        id: request.producer_id.0,
        epoch: request.producer_epoch,
    };
    let (group, generation) = (&request.group_id, request.generation_id);
    let stored = check_coordinator(context, group).and_then(|()| {
        cluster
            .transactions
            .with_group(&request.transactional_id, producer, group, || {
                let coordinator = &cluster.coordinator;
                coordinator.commit_in_transaction(group, &caller, generation, producer.id, accepted)
            })
    });
    if stored.is_err() {
        for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.error_code = code(&stored);
        }
    }
    TxnOffsetCommitResponse::default().with_topics(topics)
}

pub fn describe(context: &Context, request: DescribeTransactionsRequest) -> DescribeTransactionsResponse {
    let states = request.transactional_ids.into_iter().map(|id| {
        let found = check_transactional_id(context, &id).and_then(|()| {
            let described = context.cluster.transactions.describe(&id);
            described.ok_or(ResponseError::TransactionalIdNotFound)
        });
        let state = TransactionState::default()
            .with_transactional_id(id)
            .with_error_code(code(&found));
        match found {
            Ok(described) => describe_one(state, &described),
            Err(_) => state.with_producer_id(ProducerId(-1)).with_producer_epoch(-1),
        }
    });
    DescribeTransactionsResponse::default().with_transaction_states(states.collect())
}

fn describe_one(state: TransactionState, described: &Described) -> TransactionState {
    let mut topics: Vec<TopicData> = Vec::new();
    for (name, index) in &described.partitions {
        match topics.last_mut() {
            Some(topic) if topic.topic.as_str() == name => topic.partitions.push(*index),
            _ => topics.push(
                TopicData::default()
                    .with_topic(topic_name(name))
                    .with_partitions(vec![*index]),
            ),
        }
    }
    state
        .with_transaction_state(text(described.state.name()))
        .with_transaction_timeout_ms(described.timeout.as_millis() as i32)
        .with_transaction_start_time_ms(described.start_ms)
        .with_producer_id(ProducerId(described.producer.id))
        .with_producer_epoch(described.producer.epoch)
        .with_topics(topics)
}

/// Each node lists the transactional ids that it coordinates.
pub fn list(context: &Context, request: &ListTransactionsRequest) -> ListTransactionsResponse {
    let states = &request.state_filters;
    let is_wanted = |described: &Described| {
        let of_state = states.is_empty()
            || states
                .iter()
                .any(|state| state.as_str() == described.state.name());
        let producers = &request.producer_id_filters;
        let of_producer = producers.is_empty() || producers.contains(&ProducerId(described.producer.id));
        let age_ms = now().ms - described.start_ms;
        let is_old =
            request.duration_filter < 0 || (described.start_ms >= 0 && age_ms >= request.duration_filter);
        of_state && of_producer && is_old && check_coordinator(context, &described.id).is_ok()
    };
    let listed = context.cluster.transactions.list().into_iter().filter(is_wanted);
    let listed = listed.map(|described| {
        list_transactions_response::TransactionState::default()
            .with_transactional_id(TransactionalId(text(described.id)))
            .with_producer_id(ProducerId(described.producer.id))
            .with_transaction_state(text(described.state.name()))
    });
    ListTransactionsResponse::default().with_transaction_states(listed.collect())
}

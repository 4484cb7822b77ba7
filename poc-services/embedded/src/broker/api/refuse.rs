//! Answers for the rules of `faults`: which topics a request names, and the request answered with an error.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages as m;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Request, StrBytes};

use super::Context;
use crate::broker::wire::{FrameError, Header, Reply, decode, encode};

/// The topics that a request names; `None` for requests that name none.
pub fn topics_of(context: &Context, header: &Header, body: &Bytes) -> Option<Vec<String>> {
    fn decoded<R: Request>(header: &Header, body: &Bytes) -> Option<R> {
        decode(header, body.clone()).ok()
    }
    let by_id = |id| context.cluster.topic_by_id(&id).map(|topic| topic.name.clone());
    let named = |name: &str, id| {
        if name.is_empty() {
            by_id(id).unwrap_or_default()
        } else {
            name.to_owned()
        }
    };
    let nil = uuid::Uuid::nil();
    Some(match header.api {
        ApiKey::Produce => {
            let request: m::ProduceRequest = decoded(header, body)?;
            let topics = request.topic_data.iter();
            topics.map(|topic| named(&topic.name, topic.topic_id)).collect()
        }
        ApiKey::Fetch => {
            let request: m::FetchRequest = decoded(header, body)?;
            let topics = request.topics.iter();
            topics.map(|topic| named(&topic.topic, topic.topic_id)).collect()
        }
        ApiKey::ListOffsets => {
            let request: m::ListOffsetsRequest = decoded(header, body)?;
            request
                .topics
                .iter()
                .map(|topic| named(&topic.name, nil))
                .collect()
        }
        ApiKey::OffsetForLeaderEpoch => {
            let request: m::OffsetForLeaderEpochRequest = decoded(header, body)?;
            request
                .topics
                .iter()
                .map(|topic| named(&topic.topic, nil))
                .collect()
        }
        ApiKey::Metadata => {
            let request: m::MetadataRequest = decoded(header, body)?;
            let name = |topic: &m::metadata_request::MetadataRequestTopic| {
                named(
                    topic.name.as_ref().map_or("", |name| name.as_str()),
                    topic.topic_id,
                )
            };
            request.topics.unwrap_or_default().iter().map(name).collect()
        }
        ApiKey::OffsetCommit => {
            let request: m::OffsetCommitRequest = decoded(header, body)?;
            request
                .topics
                .iter()
                .map(|topic| named(&topic.name, nil))
                .collect()
        }
        ApiKey::TxnOffsetCommit => {
            let request: m::TxnOffsetCommitRequest = decoded(header, body)?;
            request
                .topics
                .iter()
                .map(|topic| named(&topic.name, nil))
                .collect()
        }
        ApiKey::AddPartitionsToTxn => {
            let request: m::AddPartitionsToTxnRequest = decoded(header, body)?;
            let topics = request.v3_and_below_topics.iter();
            topics.map(|topic| named(&topic.name, nil)).collect()
        }
        ApiKey::CreateTopics => {
            let request: m::CreateTopicsRequest = decoded(header, body)?;
            request
                .topics
                .iter()
                .map(|topic| named(&topic.name, nil))
                .collect()
        }
        ApiKey::DeleteRecords => {
            let request: m::DeleteRecordsRequest = decoded(header, body)?;
            request
                .topics
                .iter()
                .map(|topic| named(&topic.name, nil))
                .collect()
        }
        _ => return None,
    })
}

/// Answers a request with an error wherever its answer has room for one; nothing for a producer that wants no answer.
pub fn refuse(
    context: &Context,
    header: &Header,
    body: &Bytes,
    error: ResponseError,
) -> Result<Option<Reply>, FrameError> {
    let (code, version) = (error.code(), header.version);
    let body = body.clone();
    let reply = match header.api {
        ApiKey::Produce => return produce(header, decode(header, body)?, code),
        ApiKey::Fetch => fetch(header, decode(header, body)?, code)?,
        ApiKey::ListOffsets => list_offsets(header, decode(header, body)?, code)?,
        ApiKey::OffsetCommit => offset_commit(header, decode(header, body)?, code)?,
        ApiKey::OffsetFetch => offset_fetch(header, decode(header, body)?, code)?,
        ApiKey::OffsetForLeaderEpoch => leader_epochs(header, decode(header, body)?, code)?,
        ApiKey::AddPartitionsToTxn => add_partitions(header, decode(header, body)?, code)?,
        ApiKey::TxnOffsetCommit => txn_offset_commit(header, decode(header, body)?, code)?,
        ApiKey::Metadata => metadata(context, header, decode(header, body)?, code)?,
        ApiKey::FindCoordinator => find_coordinator(header, decode(header, body)?, code)?,
        ApiKey::JoinGroup => {
            let request: m::JoinGroupRequest = decode(header, body)?;
            let response = m::JoinGroupResponse::default()
                .with_error_code(code)
                .with_generation_id(-1)
                .with_protocol_name((version < 7).then(StrBytes::default))
                .with_member_id(request.member_id);
            encode(header, &response)?
        }
        ApiKey::SyncGroup => encode(header, &m::SyncGroupResponse::default().with_error_code(code))?,
        ApiKey::Heartbeat => encode(header, &m::HeartbeatResponse::default().with_error_code(code))?,
        ApiKey::LeaveGroup => encode(header, &m::LeaveGroupResponse::default().with_error_code(code))?,
        ApiKey::ListGroups => encode(header, &m::ListGroupsResponse::default().with_error_code(code))?,
        ApiKey::AddOffsetsToTxn => encode(
            header,
            &m::AddOffsetsToTxnResponse::default().with_error_code(code),
        )?,
        ApiKey::EndTxn => encode(header, &m::EndTxnResponse::default().with_error_code(code))?,
        ApiKey::InitProducerId => {
            let response = m::InitProducerIdResponse::default()
                .with_error_code(code)
                .with_producer_id(m::ProducerId(-1))
                .with_producer_epoch(-1);
            encode(header, &response)?
        }
        ApiKey::ApiVersions => encode(header, &m::ApiVersionsResponse::default().with_error_code(code))?,
        // The others have no use for an error; a client that is cut off tries again.
        api => return Err(FrameError::Refused(api)),
    };
    Ok(Some(reply))
}

fn produce(header: &Header, request: m::ProduceRequest, code: i16) -> Result<Option<Reply>, FrameError> {
    use m::produce_response::{PartitionProduceResponse, TopicProduceResponse};
    if request.acks == 0 {
        return Err(FrameError::UnacknowledgedProduce);
    }
    let topics = request.topic_data.into_iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|partition| {
            PartitionProduceResponse::default()
                .with_index(partition.index)
                .with_error_code(code)
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1)
        });
        let partitions = partitions.collect();
        let answer = TopicProduceResponse::default().with_partition_responses(partitions);
        if header.version >= 13 {
            answer.with_topic_id(topic.topic_id)
        } else {
            answer.with_name(topic.name)
        }
    });
    let response = m::ProduceResponse::default().with_responses(topics.collect());
    encode(header, &response).map(Some)
}

fn fetch(header: &Header, request: m::FetchRequest, code: i16) -> Result<Reply, FrameError> {
    use m::fetch_response::{FetchableTopicResponse, PartitionData};
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            PartitionData::default()
                .with_partition_index(partition.partition)
                .with_error_code(code)
                .with_high_watermark(-1)
                .with_records(Some(Bytes::new()))
        });
        let partitions = partitions.collect();
        let answer = FetchableTopicResponse::default().with_partitions(partitions);
        if header.version >= 13 {
            answer.with_topic_id(topic.topic_id)
        } else {
            answer.with_topic(topic.topic)
        }
    });
    encode(
        header,
        &m::FetchResponse::default().with_responses(topics.collect()),
    )
}

fn list_offsets(header: &Header, request: m::ListOffsetsRequest, code: i16) -> Result<Reply, FrameError> {
    use m::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            ListOffsetsPartitionResponse::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code)
                .with_timestamp(-1)
                .with_offset(-1)
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    encode(
        header,
        &m::ListOffsetsResponse::default().with_topics(topics.collect()),
    )
}

fn offset_commit(header: &Header, request: m::OffsetCommitRequest, code: i16) -> Result<Reply, FrameError> {
    use m::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code)
        });
        let partitions = partitions.collect();
        OffsetCommitResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    encode(
        header,
        &m::OffsetCommitResponse::default().with_topics(topics.collect()),
    )
}

fn offset_fetch(header: &Header, request: m::OffsetFetchRequest, code: i16) -> Result<Reply, FrameError> {
    use m::offset_fetch_response::OffsetFetchResponseGroup;
    let response = m::OffsetFetchResponse::default();
    if header.version >= 8 {
        let groups = request.groups.into_iter().map(|group| {
            OffsetFetchResponseGroup::default()
                .with_group_id(group.group_id)
                .with_error_code(code)
        });
        return encode(header, &response.with_groups(groups.collect()));
    }
    let response = if header.version >= 2 {
        response.with_error_code(code)
    } else {
        response
    };
    encode(header, &response)
}

fn leader_epochs(
    header: &Header,
    request: m::OffsetForLeaderEpochRequest,
    code: i16,
) -> Result<Reply, FrameError> {
    use m::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            EpochEndOffset::default()
                .with_partition(partition.partition)
                .with_error_code(code)
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default()
            .with_topic(topic.topic)
            .with_partitions(partitions)
    });
    encode(
        header,
        &m::OffsetForLeaderEpochResponse::default().with_topics(topics.collect()),
    )
}

fn add_partitions(
    header: &Header,
    request: m::AddPartitionsToTxnRequest,
    code: i16,
) -> Result<Reply, FrameError> {
    use m::add_partitions_to_txn_response::{
        AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
    };
    let topics = request.v3_and_below_topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|index| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*index)
                .with_partition_error_code(code)
        });
        let partitions = partitions.collect();
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name)
            .with_results_by_partition(partitions)
    });
    let response = m::AddPartitionsToTxnResponse::default();
    encode(
        header,
        &response.with_results_by_topic_v3_and_below(topics.collect()),
    )
}

fn txn_offset_commit(
    header: &Header,
    request: m::TxnOffsetCommitRequest,
    code: i16,
) -> Result<Reply, FrameError> {
    use m::txn_offset_commit_response::{TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic};
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code)
        });
        let partitions = partitions.collect();
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    encode(
        header,
        &m::TxnOffsetCommitResponse::default().with_topics(topics.collect()),
    )
}

/// The nodes are told, the topics are not.
fn metadata(
    context: &Context,
    header: &Header,
    request: m::MetadataRequest,
    code: i16,
) -> Result<Reply, FrameError> {
    let mut response = super::cluster::metadata(&context.cluster, header, request);
    for topic in &mut response.topics {
        topic.error_code = code;
        topic.partitions.clear();
    }
    encode(header, &response)
}

fn find_coordinator(
    header: &Header,
    request: m::FindCoordinatorRequest,
    code: i16,
) -> Result<Reply, FrameError> {
    use m::find_coordinator_response::Coordinator;
    let response = m::FindCoordinatorResponse::default();
    if header.version < 4 {
        let response = response
            .with_error_code(code)
            .with_node_id(m::BrokerId(-1))
            .with_port(-1);
        return encode(header, &response);
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| {
        Coordinator::default()
            .with_key(key)
            .with_error_code(code)
            .with_node_id(m::BrokerId(-1))
            .with_port(-1)
    });
    encode(header, &response.with_coordinators(coordinators.collect()))
}

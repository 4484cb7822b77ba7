//! Offsets: what groups commit and fetch, what a log has at a time, where a leader epoch ended.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest,
    OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse, TopicName,
};

use kafka_protocol::protocol::StrBytes;

use super::groups::check_coordinator;
use super::{Context, code, text, topic_name};
use crate::broker::coordinator::{Committed, METADATA_BYTES_MAX, Offsets};
use crate::broker::membership::Caller;
use crate::broker::stability::Isolation;
use crate::broker::wire::Header;

pub fn commit(context: &Context, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let mut accepted = Vec::new();
    let mut topics: Vec<OffsetCommitResponseTopic> = Vec::new();
    for topic in request.topics {
        let mut answer = OffsetCommitResponseTopic::default().with_name(topic.name.clone());
        for partition in topic.partitions {
            let metadata = partition
                .committed_metadata
                .map(|text| text.to_string())
                .unwrap_or_default();
            let checked = if context
                .cluster
                .partition(&topic.name, partition.partition_index)
                .is_none()
            {
                Err(ResponseError::UnknownTopicOrPartition)
            } else if metadata.len() > METADATA_BYTES_MAX {
                Err(ResponseError::OffsetMetadataTooLarge)
            } else {
                let committed = Committed {
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata,
                };
                accepted.push((topic.name.to_string(), partition.partition_index, committed));
                Ok(())
            };
            let answered =
                OffsetCommitResponsePartition::default().with_partition_index(partition.partition_index);
            answer.partitions.push(answered.with_error_code(code(&checked)));
        }
        topics.push(answer);
    }
    let caller = Caller {
        member: request.member_id,
        instance: request.group_instance_id,
    };
    let generation = request.generation_id_or_member_epoch;
    let stored = check_coordinator(context, &request.group_id).and_then(|()| {
        context
            .cluster
            .coordinator
            .commit(&request.group_id, &caller, generation, accepted)
    });
    if stored.is_err() {
        for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.error_code = code(&stored);
        }
    }
    OffsetCommitResponse::default().with_topics(topics)
}

/// What a group committed for the partitions asked for; `None` asks for all.
fn committed(
    offsets: &Offsets,
    asked: Option<Vec<(TopicName, Vec<i32>)>>,
) -> Vec<(TopicName, Vec<(i32, Committed)>)> {
    let Some(asked) = asked else {
        let all = |(partition, committed): (&i32, &Committed)| (*partition, committed.clone());
        return offsets
            .iter()
            .map(|(topic, found)| (topic_name(topic), found.iter().map(all).collect()))
            .collect();
    };
    let nothing = Committed {
        offset: -1,
        leader_epoch: -1,
        metadata: String::new(),
    };
    asked
        .into_iter()
        .map(|(topic, partitions)| {
            let found = offsets.get(topic.as_str());
            let partitions = partitions.into_iter().map(|partition| {
                (
                    partition,
                    found
                        .and_then(|found| found.get(&partition))
                        .unwrap_or(&nothing)
                        .clone(),
                )
            });
            let partitions = partitions.collect();
            (topic, partitions)
        })
        .collect()
}

pub fn fetch(context: &Context, header: &Header, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if header.version >= 8 {
        return fetch_many(context, request);
    }
    let checked = check_coordinator(context, &request.group_id);
    let offsets = match checked {
        Ok(()) => context.cluster.coordinator.offsets(&request.group_id),
        Err(_) => Offsets::new(),
    };
    let asked = request.topics.map(|topics| {
        topics
            .into_iter()
            .map(|topic| (topic.name, topic.partition_indexes))
            .collect()
    });
    let asked = if header.version < 2 {
        Some(asked.unwrap_or_default())
    } else {
        asked
    };
    let is_unstable = |topic: &str, partition: i32| {
        let coordinator = &context.cluster.coordinator;
        request.require_stable && coordinator.has_pending(&request.group_id, topic, partition)
    };
    let topics = committed(&offsets, asked).into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(index, committed)| {
            if checked.is_ok() && is_unstable(&name, index) {
                return OffsetFetchResponsePartition::default()
                    .with_partition_index(index)
                    .with_committed_offset(-1)
                    .with_committed_leader_epoch(-1)
                    .with_metadata(Some(StrBytes::default()))
                    .with_error_code(ResponseError::UnstableOffsetCommit.code());
            }
            OffsetFetchResponsePartition::default()
                .with_partition_index(index)
                .with_committed_offset(committed.offset)
                .with_committed_leader_epoch(committed.leader_epoch)
                .with_metadata(Some(text(committed.metadata)))
                .with_error_code(code(&checked))
        });
        let partitions = partitions.collect();
        OffsetFetchResponseTopic::default()
            .with_name(name)
            .with_partitions(partitions)
    });
    let response = OffsetFetchResponse::default().with_topics(topics.collect());
    if header.version >= 2 {
        response.with_error_code(code(&checked))
    } else {
        response
    }
}

fn fetch_many(context: &Context, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let groups = request.groups.into_iter().map(|group| {
        let response = OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone());
        if let Err(error) = check_coordinator(context, &group.group_id) {
            return response.with_error_code(error.code());
        }
        let offsets = context.cluster.coordinator.offsets(&group.group_id);
        let asked = group.topics.map(|topics| {
            topics
                .into_iter()
                .map(|topic| (topic.name, topic.partition_indexes))
                .collect()
        });
        let is_unstable = |topic: &str, partition: i32| {
            let coordinator = &context.cluster.coordinator;
            request.require_stable && coordinator.has_pending(&group.group_id, topic, partition)
        };
        let topics = committed(&offsets, asked).into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|(index, committed)| {
                if is_unstable(&name, index) {
                    return OffsetFetchResponsePartitions::default()
                        .with_partition_index(index)
                        .with_committed_offset(-1)
                        .with_committed_leader_epoch(-1)
                        .with_metadata(Some(StrBytes::default()))
                        .with_error_code(ResponseError::UnstableOffsetCommit.code());
                }
                OffsetFetchResponsePartitions::default()
                    .with_partition_index(index)
                    .with_committed_offset(committed.offset)
                    .with_committed_leader_epoch(committed.leader_epoch)
                    .with_metadata(Some(text(committed.metadata)))
            });
            let partitions = partitions.collect();
            OffsetFetchResponseTopics::default()
                .with_name(name)
                .with_partitions(partitions)
        });
        response.with_topics(topics.collect())
    });
    OffsetFetchResponse::default().with_groups(groups.collect())
}

pub fn delete(context: &Context, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    if let Err(error) = check_coordinator(context, &request.group_id) {
        return OffsetDeleteResponse::default().with_error_code(error.code());
    }
    let coordinator = &context.cluster.coordinator;
    if coordinator.inspect(&request.group_id, |_| ()).is_none() {
        return OffsetDeleteResponse::default().with_error_code(ResponseError::GroupIdNotFound.code());
    }
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let deleted = match context.cluster.partition(&topic.name, index) {
                Some(_) => coordinator.delete_offset(&request.group_id, &topic.name, index),
                None => Err(ResponseError::UnknownTopicOrPartition),
            };
            OffsetDeleteResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(code(&deleted))
        });
        let partitions = partitions.collect();
        OffsetDeleteResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    OffsetDeleteResponse::default().with_topics(topics.collect())
}

pub fn list(context: &Context, header: &Header, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let isolation = Isolation::from_wire(request.isolation_level);
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let index = asked.partition_index;
            let found = context
                .cluster
                .partition(&topic.name, index)
                .ok_or(ResponseError::UnknownTopicOrPartition)
                .and_then(|partition| {
                    let epoch = asked.current_leader_epoch;
                    partition.list_offset(context.node, epoch, asked.timestamp, isolation)
                });
            let answer = ListOffsetsPartitionResponse::default()
                .with_partition_index(index)
                .with_error_code(code(&found))
                .with_timestamp(-1)
                .with_offset(-1);
            match found {
                Ok((Some(at), epoch)) => answer
                    .with_timestamp(at.timestamp)
                    .with_offset(at.offset)
                    .with_leader_epoch(if header.version >= 4 { epoch } else { -1 }),
                _ => answer,
            }
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

pub fn leader_epochs(
    context: &Context,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let found = context
                .cluster
                .partition(&topic.topic, asked.partition)
                .ok_or(ResponseError::UnknownTopicOrPartition)
                .and_then(|partition| {
                    partition.query(context.node, asked.current_leader_epoch, |log, _| {
                        log.end_of_epoch(asked.leader_epoch)
                    })
                });
            let (epoch, end) = found.as_ref().ok().copied().flatten().unwrap_or((-1, -1));
            EpochEndOffset::default()
                .with_partition(asked.partition)
                .with_error_code(code(&found))
                .with_leader_epoch(epoch)
                .with_end_offset(end)
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default()
            .with_topic(topic.topic)
            .with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

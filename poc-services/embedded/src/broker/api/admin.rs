//! Creating, growing, deleting topics and deleting records.

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
};
use uuid::Uuid;

use super::{Context, code, text, topic_name};
use crate::broker::cluster::{Cluster, Refusal};
use crate::broker::config::{Change, SETTINGS, TopicConfig};
use crate::broker::wire::Header;

/// A topic as it was or would be created.
struct Created {
    id: Uuid,
    partitions: i32,
    replication: i16,
    config: TopicConfig,
}

pub fn create_topics(
    cluster: &Cluster,
    header: &Header,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut names = BTreeSet::new();
    let repeated: BTreeSet<String> = request
        .topics
        .iter()
        .filter(|t| !names.insert(t.name.to_string()))
        .map(|t| t.name.to_string())
        .collect();
    let results = request.topics.into_iter().map(|topic| {
        let made = if repeated.contains(topic.name.as_str()) {
            Err((ResponseError::InvalidRequest, "Duplicate topic name.".to_owned()))
        } else {
            create_topic(cluster, &topic, request.validate_only)
        };
        created_result(header.version, topic, made)
    });
    CreateTopicsResponse::default().with_topics(results.collect())
}

fn create_topic(cluster: &Cluster, topic: &CreatableTopic, is_trial: bool) -> Result<Created, Refusal> {
    let assignments = assignments_of(cluster, topic)?;
    let (partitions, replication) = if assignments.is_empty() {
        (topic.num_partitions, topic.replication_factor)
    } else {
        (assignments.len() as i32, assignments[0].len() as i16)
    };
    let (partitions, replication) = cluster.plan_topic(&topic.name, partitions, replication)?;
    let changes = topic.configs.iter().map(|config| {
        (
            config.name.as_str(),
            config
                .value
                .as_ref()
                .map_or(Change::Delete, |value| Change::Set(value.as_str())),
        )
    });
    let config = TopicConfig::default()
        .with(changes)
        .map_err(|why| (ResponseError::InvalidConfig, why))?;
    let mut created = Created {
        id: Uuid::nil(),
        partitions,
        replication,
        config,
    };
    if !is_trial {
        let config = created.config.clone();
        created.id = cluster
            .create_topic(&topic.name, partitions, replication, &assignments, config)?
            .id;
    }
    Ok(created)
}

/// Replicas for each partition as the client wants them; empty if it leaves that to us.
fn assignments_of(cluster: &Cluster, topic: &CreatableTopic) -> Result<Vec<Vec<i32>>, Refusal> {
    let refused = |why: &str| (ResponseError::InvalidReplicaAssignment, why.to_owned());
    let mut given: Vec<_> = topic.assignments.iter().collect();
    if given.is_empty() {
        return Ok(Vec::new());
    }
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        let why = "Both numbers and assignments were given; only one of them may be.";
        return Err((ResponseError::InvalidRequest, why.to_owned()));
    }
    given.sort_unstable_by_key(|assignment| assignment.partition_index);
    let replication = given[0].broker_ids.len();
    let mut assignments = Vec::with_capacity(given.len());
    for (assignment, index) in given.into_iter().zip(0..) {
        let replicas: Vec<i32> = assignment.broker_ids.iter().map(|id| id.0).collect();
        let distinct: BTreeSet<&i32> = replicas.iter().collect();
        if assignment.partition_index != index {
            return Err(refused(
                "partitions should be a consecutive 0-based integer sequence",
            ));
        }
        if replicas.is_empty() || replicas.len() != replication || distinct.len() != replication {
            return Err(refused(
                "each partition needs the same number of distinct replicas",
            ));
        }
        if replicas.iter().any(|id| cluster.node(*id).is_none()) {
            return Err(refused("a replica names a node that does not exist"));
        }
        assignments.push(replicas);
    }
    Ok(assignments)
}

fn created_result(
    version: i16,
    topic: CreatableTopic,
    made: Result<Created, Refusal>,
) -> CreatableTopicResult {
    let result = CreatableTopicResult::default().with_name(topic.name);
    match made {
        Ok(created) => {
            let result = if version >= 7 {
                result.with_topic_id(created.id)
            } else {
                result
            };
            if version < 5 {
                return result;
            }
            let configs = SETTINGS.iter().map(|setting| {
                let (value, is_own) = created.config.value(setting);
                CreatableTopicConfigs::default()
                    .with_name(text(setting.name))
                    .with_value(Some(text(value)))
                    .with_config_source(if is_own { 1 } else { 5 })
            });
            result
                .with_num_partitions(created.partitions)
                .with_replication_factor(created.replication)
                .with_configs(Some(configs.collect()))
        }
        Err((error, why)) => result
            .with_error_code(error.code())
            .with_error_message(Some(text(why))),
    }
}

pub fn delete_topics(
    cluster: &Cluster,
    header: &Header,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let by_name = request
        .topic_names
        .into_iter()
        .map(|name| (Some(name), Uuid::nil()));
    let by_either = request
        .topics
        .into_iter()
        .map(|topic| (topic.name, topic.topic_id));
    let results = by_name.chain(by_either).map(|(name, id)| {
        let deleted = match &name {
            Some(name) => cluster
                .delete_topic(name)
                .ok_or(ResponseError::UnknownTopicOrPartition),
            None => cluster
                .topic_by_id(&id)
                .and_then(|topic| cluster.delete_topic(&topic.name))
                .ok_or(ResponseError::UnknownTopicId),
        };
        let error_code = code(&deleted);
        let (name, id) = match deleted {
            Ok(topic) => (Some(topic_name(&topic.name)), topic.id),
            Err(_) => (name, id),
        };
        DeletableTopicResult::default()
            .with_name(name)
            .with_topic_id(if header.version >= 6 { id } else { Uuid::nil() })
            .with_error_code(error_code)
    });
    DeleteTopicsResponse::default().with_responses(results.collect())
}

pub fn create_partitions(cluster: &Cluster, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let results = request.topics.into_iter().map(|asked| {
        let grown = match cluster.topic(&asked.name) {
            None => Err((
                ResponseError::UnknownTopicOrPartition,
                "The topic does not exist.".to_owned(),
            )),
            Some(_) if request.validate_only => Ok(()),
            Some(topic) => cluster.grow_topic(&topic, asked.count),
        };
        let result = CreatePartitionsTopicResult::default().with_name(asked.name);
        match grown {
            Ok(()) => result,
            Err((error, why)) => result
                .with_error_code(error.code())
                .with_error_message(Some(text(why))),
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

pub fn delete_records(context: &Context, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let topics = request.topics.into_iter().map(|asked| {
        let topic = context.cluster.topic(&asked.name);
        let partitions = asked.partitions.iter().map(|wanted| {
            let deleted = topic
                .as_ref()
                .and_then(|topic| Some((topic.config(), topic.partition(wanted.partition_index)?)))
                .ok_or(ResponseError::UnknownTopicOrPartition)
                .and_then(|(config, partition)| {
                    if !config.is_deleted {
                        return Err(ResponseError::PolicyViolation);
                    }
                    partition.delete_records(context.node, wanted.offset)
                });
            let result = DeleteRecordsPartitionResult::default()
                .with_partition_index(wanted.partition_index)
                .with_error_code(code(&deleted));
            match deleted {
                Ok((start, freed)) => {
                    context.cluster.memory.free(freed);
                    result.with_low_watermark(start)
                }
                Err(_) => result.with_low_watermark(-1),
            }
        });
        let partitions = partitions.collect();
        DeleteRecordsTopicResult::default()
            .with_name(asked.name)
            .with_partitions(partitions)
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}

//! What the cluster looks like: nodes, topics, partitions, sizes.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeClusterRequest, DescribeClusterResponse, DescribeLogDirsRequest,
    DescribeLogDirsResponse, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    MetadataRequest, MetadataResponse, TopicName,
};
use uuid::Uuid;

use super::{text, topic_name};
use crate::broker::cluster::{CLUSTER_ID, Cluster, Topic};
use crate::broker::partition::{NO_LEADER, Partition};
use crate::broker::wire::Header;

/// A partition's nodes as clients want to see them.
struct Nodes {
    replicas: Vec<BrokerId>,
    in_sync: Vec<BrokerId>,
    offline: Vec<BrokerId>,
}

fn nodes_of(cluster: &Cluster, partition: &Partition) -> Nodes {
    let alive = |id: &&i32| {
        cluster
            .node(**id)
            .is_some_and(crate::broker::cluster::Node::is_alive)
    };
    let ids = |nodes: Vec<&i32>| nodes.into_iter().map(|id| BrokerId(*id)).collect::<Vec<_>>();
    let (live, dead): (Vec<&i32>, Vec<&i32>) = partition.replicas.iter().partition(alive);
    Nodes {
        replicas: ids(partition.replicas.iter().collect()),
        in_sync: ids(live),
        offline: ids(dead),
    }
}

fn error_without(leader: i32) -> i16 {
    if leader == NO_LEADER {
        ResponseError::LeaderNotAvailable.code()
    } else {
        0
    }
}

pub fn metadata(cluster: &Cluster, header: &Header, request: MetadataRequest) -> MetadataResponse {
    let brokers = cluster.live_nodes().map(|node| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(node.id))
            .with_host(text(node.address.ip().to_string()))
            .with_port(i32::from(node.address.port()))
            .with_rack(Some(text(node.rack.clone())).filter(|_| header.version >= 1))
    });
    // In version 0 an empty list asks for all topics, later a missing one does.
    let asked = request
        .topics
        .filter(|topics| header.version > 0 || !topics.is_empty());
    let topics = match asked {
        None => cluster
            .topics()
            .iter()
            .map(|topic| known_topic(cluster, header, topic))
            .collect(),
        Some(asked) => asked
            .into_iter()
            .map(|asked| asked_topic(cluster, header, asked))
            .collect(),
    };
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(text(CLUSTER_ID)).filter(|_| header.version >= 2))
        .with_controller_id(BrokerId(if header.version >= 1 {
            cluster.controller()
        } else {
            -1
        }))
        .with_topics(topics)
}

fn asked_topic(cluster: &Cluster, header: &Header, asked: MetadataRequestTopic) -> MetadataResponseTopic {
    let refused = |error: ResponseError| MetadataResponseTopic::default().with_error_code(error.code());
    match asked.name {
        Some(name) => match cluster.topic(&name) {
            Some(topic) => known_topic(cluster, header, &topic),
            None => refused(ResponseError::UnknownTopicOrPartition).with_name(Some(name)),
        },
        None => {
            if let Some(topic) = cluster.topic_by_id(&asked.topic_id) {
                known_topic(cluster, header, &topic)
            } else {
                let name = if header.version >= 12 {
                    None
                } else {
                    Some(TopicName::default())
                };
                refused(ResponseError::UnknownTopicId)
                    .with_name(name)
                    .with_topic_id(asked.topic_id)
            }
        }
    }
}

fn known_topic(cluster: &Cluster, header: &Header, topic: &Topic) -> MetadataResponseTopic {
    let version = header.version;
    let partitions = topic.partitions();
    let partitions = partitions.iter().map(|partition| {
        let place = partition.place();
        let nodes = nodes_of(cluster, partition);
        let described = MetadataResponsePartition::default()
            .with_error_code(error_without(place.leader))
            .with_partition_index(partition.index)
            .with_leader_id(BrokerId(place.leader))
            .with_replica_nodes(nodes.replicas)
            .with_isr_nodes(nodes.in_sync);
        let described = if version >= 7 {
            described.with_leader_epoch(place.leader_epoch)
        } else {
            described
        };
        if version >= 5 {
            described.with_offline_replicas(nodes.offline)
        } else {
            described
        }
    });
    MetadataResponseTopic::default()
        .with_name(Some(topic_name(&topic.name)))
        .with_topic_id(if version >= 10 { topic.id } else { Uuid::nil() })
        .with_partitions(partitions.collect())
}

pub fn describe(
    cluster: &Cluster,
    header: &Header,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    if header.version >= 1 && request.endpoint_type != 1 {
        return DescribeClusterResponse::default()
            .with_error_code(ResponseError::UnsupportedEndpointType.code())
            .with_error_message(Some(text("only brokers can be described, not controllers")));
    }
    let brokers = cluster.live_nodes().map(|node| {
        DescribeClusterBroker::default()
            .with_broker_id(BrokerId(node.id))
            .with_host(text(node.address.ip().to_string()))
            .with_port(i32::from(node.address.port()))
            .with_rack(Some(text(node.rack.clone())))
    });
    DescribeClusterResponse::default()
        .with_cluster_id(text(CLUSTER_ID))
        .with_controller_id(BrokerId(cluster.controller()))
        .with_brokers(brokers.collect())
}

/// Topics in the order of their names, from the cursor on, cut off after so many partitions as the client wants.
pub fn describe_topic_partitions(
    cluster: &Cluster,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let mut names: Vec<String> = if request.topics.is_empty() {
        cluster.topics().iter().map(|topic| topic.name.clone()).collect()
    } else {
        request
            .topics
            .iter()
            .map(|topic| topic.name.to_string())
            .collect()
    };
    names.sort_unstable();
    names.dedup();
    let (from_topic, from_partition) = request.cursor.map_or((String::new(), 0), |cursor| {
        (cursor.topic_name.to_string(), cursor.partition_index)
    });
    let mut left = usize::try_from(request.response_partition_limit)
        .unwrap_or(0)
        .clamp(1, 2_000);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names.into_iter().filter(|name| *name >= from_topic) {
        let Some(topic) = cluster.topic(&name) else {
            response.topics.push(
                DescribeTopicPartitionsResponseTopic::default()
                    .with_error_code(ResponseError::UnknownTopicOrPartition.code())
                    .with_name(Some(topic_name(&name))),
            );
            continue;
        };
        let skip = if name == from_topic {
            usize::try_from(from_partition).unwrap_or(0)
        } else {
            0
        };
        if left == 0 {
            response.next_cursor = Some(Cursor::default().with_topic_name(topic_name(&name)));
            break;
        }
        let all = topic.partitions();
        let shown: Vec<_> = all
            .iter()
            .skip(skip)
            .take(left)
            .map(|p| describe_partition(cluster, p))
            .collect();
        left -= shown.len();
        let next = skip + shown.len();
        response.topics.push(
            DescribeTopicPartitionsResponseTopic::default()
                .with_name(Some(topic_name(&name)))
                .with_topic_id(topic.id)
                .with_partitions(shown),
        );
        if next < all.len() {
            let cursor = Cursor::default()
                .with_topic_name(topic_name(&name))
                .with_partition_index(next as i32);
            response.next_cursor = Some(cursor);
            break;
        }
    }
    response
}

fn describe_partition(cluster: &Cluster, partition: &Partition) -> DescribeTopicPartitionsResponsePartition {
    let place = partition.place();
    let nodes = nodes_of(cluster, partition);
    DescribeTopicPartitionsResponsePartition::default()
        .with_error_code(error_without(place.leader))
        .with_partition_index(partition.index)
        .with_leader_id(BrokerId(place.leader))
        .with_leader_epoch(place.leader_epoch)
        .with_replica_nodes(nodes.replicas)
        .with_isr_nodes(nodes.in_sync)
        .with_eligible_leader_replicas(Some(Vec::new()))
        .with_last_known_elr(Some(Vec::new()))
        .with_offline_replicas(nodes.offline)
}

/// One "directory", the memory, with what each partition holds.
pub fn describe_log_dirs(cluster: &Cluster, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let size = |partition: &Partition| {
        DescribeLogDirsPartition::default()
            .with_partition_index(partition.index)
            .with_partition_size(partition.place().bytes as i64)
    };
    let topics: Vec<DescribeLogDirsTopic> = match request.topics {
        None => cluster
            .topics()
            .iter()
            .map(|topic| {
                (
                    topic_name(&topic.name),
                    topic.partitions().iter().map(|p| size(p)).collect(),
                )
            })
            .map(|(name, partitions)| {
                DescribeLogDirsTopic::default()
                    .with_name(name)
                    .with_partitions(partitions)
            })
            .collect(),
        Some(asked) => asked
            .into_iter()
            .filter_map(|asked| {
                let topic = cluster.topic(&asked.topic)?;
                let partitions = asked
                    .partitions
                    .iter()
                    .filter_map(|index| topic.partition(*index));
                let partitions = partitions.map(|partition| size(&partition)).collect();
                Some(
                    DescribeLogDirsTopic::default()
                        .with_name(asked.topic)
                        .with_partitions(partitions),
                )
            })
            .collect(),
    };
    let directory = DescribeLogDirsResult::default()
        .with_log_dir(text("memory"))
        .with_topics(topics);
    DescribeLogDirsResponse::default().with_results(vec![directory])
}

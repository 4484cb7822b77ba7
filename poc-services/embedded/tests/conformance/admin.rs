//! Topics and settings: creating, describing, changing, growing, deleting.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeClusterRequest,
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, TopicName,
};
use rdkafka::admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use uuid::Uuid;

use crate::error;
use crate::support::clients::admin;
use crate::support::eventually;
use crate::support::records::{NOBODY, batch, produce, read_all};
use crate::support::target::{Target, text, unique};

fn creatable(name: &str, partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic {
    let configs = configs.iter().map(|(name, value)| {
        CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    });
    CreatableTopic::default()
        .with_name(TopicName(text(name)))
        .with_num_partitions(partitions)
        .with_replication_factor(-1)
        .with_configs(configs.collect())
}

fn create(target: &Target, topic: CreatableTopic, validate_only: bool) -> CreatableTopicResult {
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(30_000)
        .with_validate_only(validate_only);
    target.any().call(7, &request).topics.remove(0)
}

fn delete(target: &Target, topic: DeleteTopicState) -> Option<ResponseError> {
    let request = DeleteTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(30_000);
    error(target.any().call(6, &request).responses[0].error_code)
}

fn by_name(name: &str) -> DeleteTopicState {
    DeleteTopicState::default().with_name(Some(TopicName(text(name))))
}

/// Value and source of each setting.
fn configs(target: &Target, topic: &str) -> BTreeMap<String, (String, i8)> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text(topic))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let result = target.any().call(4, &request).results.remove(0);
    assert_eq!(error(result.error_code), None);
    let configs = result.configs.into_iter();
    configs
        .map(|config| {
            let value = config.value.unwrap_or_default().to_string();
            (config.name.to_string(), (value, config.config_source))
        })
        .collect()
}

fn alter(target: &Target, topic: &str, changes: &[(&str, i8, Option<&str>)]) -> Option<ResponseError> {
    let changes = changes.iter().map(|(name, operation, value)| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(*operation)
            .with_value(value.map(text))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text(topic))
        .with_configs(changes.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    error(target.any().call(1, &request).responses[0].error_code)
}

#[test]
fn created_topic_has_an_id_leaders_and_epochs() {
    let target = Target::start();
    let name = unique("admin");
    let created = create(
        &target,
        creatable(&name, 4, &[("retention.ms", "1234567")]),
        false,
    );
    assert_eq!((error(created.error_code), created.num_partitions), (None, 4));
    assert!(!created.topic_id.is_nil());
    target.await_topic(&name, 4);
    let described = target.described(&name);
    assert_eq!(described.topic_id, created.topic_id);
    assert_eq!(described.partitions.len(), 4);
    for partition in &described.partitions {
        assert!(partition.leader_id.0 >= 0 && partition.leader_epoch >= 0);
        assert!(partition.replica_nodes.contains(&partition.leader_id));
        assert!(partition.isr_nodes.contains(&partition.leader_id));
    }
}

#[test]
fn impossible_topics_are_refused() {
    let target = Target::start();
    let existing = target.topic(1, &[]);
    let refused = |topic: CreatableTopic| error(create(&target, topic, false).error_code);
    let fresh = || unique("admin");
    assert_eq!(
        refused(creatable(&existing, 1, &[])),
        Some(ResponseError::TopicAlreadyExists)
    );
    assert_eq!(
        refused(creatable("with space", 1, &[])),
        Some(ResponseError::InvalidTopicException)
    );
    assert_eq!(
        refused(creatable("..", 1, &[])),
        Some(ResponseError::InvalidTopicException)
    );
    let long = "x".repeat(250);
    assert_eq!(
        refused(creatable(&long, 1, &[])),
        Some(ResponseError::InvalidTopicException)
    );
    assert_eq!(
        refused(creatable(&fresh(), 0, &[])),
        Some(ResponseError::InvalidPartitions)
    );
    let many = creatable(&fresh(), 1, &[]).with_replication_factor(99);
    assert_eq!(refused(many), Some(ResponseError::InvalidReplicationFactor));
    let odd = creatable(&fresh(), 1, &[("no.such.setting", "1")]);
    assert_eq!(refused(odd), Some(ResponseError::InvalidConfig));
    let odd = creatable(&fresh(), 1, &[("retention.ms", "soon")]);
    assert_eq!(refused(odd), Some(ResponseError::InvalidConfig));
}

#[test]
fn trial_creates_nothing() {
    let target = Target::start();
    let name = unique("admin");
    assert_eq!(
        error(create(&target, creatable(&name, 2, &[]), true).error_code),
        None
    );
    let described = target.described(&name);
    assert_eq!(
        error(described.error_code),
        Some(ResponseError::UnknownTopicOrPartition)
    );
}

#[test]
fn settings_are_described_with_their_source() {
    let target = Target::start();
    let topic = target.topic(
        1,
        &[("retention.ms", "86400000"), ("cleanup.policy", "compact,delete")],
    );
    let found = configs(&target, &topic);
    let own = |value: &str| (value.to_owned(), 1);
    let default = |value: &str| (value.to_owned(), 5);
    assert_eq!(found["retention.ms"], own("86400000"));
    assert_eq!(found["cleanup.policy"], own("compact,delete"));
    assert_eq!(found["unclean.leader.election.enable"], default("false"));
    assert_eq!(found["max.message.bytes"], default("1048588"));
    assert_eq!(found["message.timestamp.type"], default("CreateTime"));
    assert_eq!(found["retention.bytes"], default("-1"));
}

#[test]
fn settings_change_one_by_one() {
    let target = Target::start();
    let topic = target.topic(1, &[("retention.ms", "1000000")]);
    let changes = [
        ("retention.ms", 1, None),
        ("max.message.bytes", 0, Some("2000")),
        ("cleanup.policy", 2, Some("compact")),
    ];
    assert_eq!(alter(&target, &topic, &changes), None);
    eventually("the change has reached the node", || {
        let found = configs(&target, &topic);
        let is_set = found["max.message.bytes"] == ("2000".to_owned(), 1)
            && found["cleanup.policy"] == ("delete,compact".to_owned(), 1);
        (is_set && found["retention.ms"].1 == 5).then_some(())
    });
    let mut leader = target.leader(&topic, 0);
    eventually("the new limit holds", || {
        let answer = produce(
            &mut leader,
            &topic,
            0,
            &batch(&["x".repeat(2_500).as_str()], NOBODY),
        );
        (error(answer.error_code) == Some(ResponseError::MessageTooLarge)).then_some(())
    });
}

#[test]
fn impossible_changes_are_refused_and_change_nothing() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let bad = Some(ResponseError::InvalidConfig);
    assert_eq!(alter(&target, &topic, &[("retention.ms", 0, Some("soon"))]), bad);
    assert_eq!(alter(&target, &topic, &[("no.such.setting", 0, Some("1"))]), bad);
    assert_eq!(
        alter(&target, &topic, &[("retention.ms", 2, Some("1"))]),
        bad,
        "not a list"
    );
    let nowhere = alter(&target, &unique("admin"), &[("retention.ms", 0, Some("1"))]);
    assert_eq!(nowhere, Some(ResponseError::UnknownTopicOrPartition));
    assert_eq!(configs(&target, &topic)["retention.ms"].1, 5);
}

#[test]
fn deleted_topic_is_gone_and_its_name_gets_another_id() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    produce(&mut leader, &topic, 0, &batch(&["old"], NOBODY));
    let id = target.topic_id(&topic);
    assert_eq!(delete(&target, by_name(&topic)), None);
    eventually("it is gone", || {
        let code = target.described(&topic).error_code;
        (error(code) == Some(ResponseError::UnknownTopicOrPartition)).then_some(())
    });
    target.create(&topic, 1, &[]);
    assert_ne!(target.topic_id(&topic), id);
    assert!(read_all(&mut target.leader(&topic, 0), &topic, 0).is_empty());
}

#[test]
fn topic_is_deleted_by_its_id() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let by_id = |id: Uuid| DeleteTopicState::default().with_name(None).with_topic_id(id);
    assert_eq!(delete(&target, by_id(target.topic_id(&topic))), None);
    let missing = Some(ResponseError::UnknownTopicId);
    assert_eq!(delete(&target, by_id(Uuid::from_u128(0xabcd))), missing);
    let missing = Some(ResponseError::UnknownTopicOrPartition);
    assert_eq!(delete(&target, by_name(&unique("admin"))), missing);
}

#[test]
fn topic_grows_and_never_shrinks() {
    let target = Target::start();
    let topic = target.topic(2, &[]);
    let mut leader = target.leader(&topic, 1);
    produce(&mut leader, &topic, 1, &batch(&["stays"], NOBODY));
    let grow = |name: &str, count: i32| {
        let wanted = CreatePartitionsTopic::default()
            .with_name(TopicName(text(name)))
            .with_count(count)
            .with_assignments(None);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![wanted])
            .with_timeout_ms(30_000);
        error(target.any().call(3, &request).results[0].error_code)
    };
    assert_eq!(grow(&topic, 5), None);
    target.await_topic(&topic, 5);
    assert_eq!(grow(&topic, 3), Some(ResponseError::InvalidPartitions));
    assert_eq!(grow(&topic, 5), Some(ResponseError::InvalidPartitions));
    let nowhere = Some(ResponseError::UnknownTopicOrPartition);
    assert_eq!(grow(&unique("admin"), 3), nowhere);
    assert_eq!(read_all(&mut target.leader(&topic, 1), &topic, 1).len(), 1);
}

#[test]
fn cluster_is_described_with_its_racks() {
    let target = Target::start();
    let described = target
        .any()
        .call(1, &DescribeClusterRequest::default().with_endpoint_type(1));
    assert_eq!(error(described.error_code), None);
    assert!(!described.cluster_id.is_empty());
    assert!(described.controller_id.0 > 0);
    let racks: Vec<_> = described
        .brokers
        .iter()
        .filter_map(|node| node.rack.clone())
        .collect();
    assert_eq!(racks.len(), described.brokers.len(), "{racks:?}");
}

#[test]
fn librdkafka_creates_describes_and_deletes() {
    let target = Target::start();
    let (admin, options) = (admin(&target), AdminOptions::new());
    let name = unique("admin");
    let wanted = NewTopic::new(&name, 3, TopicReplication::Fixed(1)).set("retention.ms", "777777");
    let created = target.wait(admin.create_topics([&wanted], &options)).unwrap();
    assert_eq!(created, [Ok(name.clone())]);
    target.await_topic(&name, 3);
    let asked = [ResourceSpecifier::Topic(&name)];
    let described = target.wait(admin.describe_configs(&asked, &options)).unwrap();
    let config = described[0].as_ref().unwrap();
    assert_eq!(
        config.entry_map()["retention.ms"].value.as_deref(),
        Some("777777")
    );
    assert_eq!(
        config.entry_map()["unclean.leader.election.enable"]
            .value
            .as_deref(),
        Some("false")
    );
    let deleted = target.wait(admin.delete_topics(&[&name], &options)).unwrap();
    assert_eq!(deleted, [Ok(name)]);
}

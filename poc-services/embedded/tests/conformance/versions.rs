//! Every version of every request that a server advertises is answered in that version's form. Old clients (`kcat` of
//! a stable distribution) and new ones (the JVM's) speak different ones.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages as m;
use kafka_protocol::protocol::{Message, Request, StrBytes};

use crate::error;
use crate::support::members::RawMember;
use crate::support::raw::Raw;
use crate::support::records::{NOBODY, NOW, batch, fetch_request, produce_request};
use crate::support::target::{Coordinates, Target, text, unique};

/// What the server advertises, less what was asked.
struct Versions {
    advertised: BTreeMap<i16, (i16, i16)>,
    left: BTreeMap<i16, Vec<i16>>,
}

impl Versions {
    fn of(node: &mut Raw) -> Self {
        let answer = node.call(0, &m::ApiVersionsRequest::default());
        let keys = answer.api_keys.iter();
        let advertised: BTreeMap<_, _> = keys
            .map(|api| (api.api_key, (api.min_version, api.max_version)))
            .collect();
        let left = advertised
            .iter()
            .map(|(key, (min, max))| (*key, (*min..=*max).collect()));
        Self {
            left: left.collect(),
            advertised,
        }
    }

    /// Asks in every version that server and codec share, up to `newest`; returns the answers.
    fn ask<R: Request>(
        &mut self,
        node: &mut Raw,
        newest: i16,
        request: impl Fn(i16) -> R,
    ) -> Vec<(i16, R::Response)> {
        let (min, max) = self.advertised[&R::KEY];
        let codec = <R as Message>::VERSIONS;
        let versions = min.max(codec.min)..=max.min(codec.max).min(newest);
        let answers = versions.map(|version| {
            let answer = node.try_call(version, &request(version));
            (
                version,
                answer.unwrap_or_else(|error| panic!("api {} v{version}: {error}", R::KEY)),
            )
        });
        let answers: Vec<_> = answers.collect();
        let left = self.left.get_mut(&R::KEY).unwrap();
        left.retain(|version| !answers.iter().any(|(asked, _)| asked == version));
        assert!(!answers.is_empty(), "api {}", R::KEY);
        answers
    }
}

#[test]
fn every_version_is_answered_in_its_own_form() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let id = target.topic_id(&topic);
    let name = || m::TopicName(text(&topic));
    let mut node = target.leader(&topic, 0);
    let mut versions = Versions::of(&mut node);
    let all = i16::MAX;

    for (version, answer) in versions.ask(&mut node, all, |version| {
        let mut request = produce_request(&topic, 0, -1, &batch(&["a"], NOBODY));
        if version >= 13 {
            request.topic_data[0].name = m::TopicName::default();
            request.topic_data[0].topic_id = id;
        }
        request
    }) {
        let code = answer.responses[0].partition_responses[0].error_code;
        assert_eq!(error(code), None, "Produce v{version}");
    }
    for (version, answer) in versions.ask(&mut node, all, |version| {
        let mut request = fetch_request(&topic, &[(0, 0)], NOW);
        if version >= 13 {
            request.topics[0].topic = m::TopicName::default();
            request.topics[0].topic_id = id;
        }
        request
    }) {
        let partition = &answer.responses[0].partitions[0];
        assert_eq!(error(partition.error_code), None, "Fetch v{version}");
        assert!(
            partition
                .records
                .as_ref()
                .is_some_and(|records| !records.is_empty())
        );
    }
    for timestamp in [-1, -2, 0] {
        for (version, answer) in versions.ask(&mut node, 9, |_| list_offsets(&name(), timestamp)) {
            let partition = &answer.topics[0].partitions[0];
            assert_eq!(error(partition.error_code), None, "ListOffsets v{version}");
            assert_eq!(
                partition.offset == 0,
                timestamp != -1,
                "ListOffsets v{version} at {timestamp}"
            );
        }
    }
    versions.ask(&mut node, all, |_| list_offsets(&name(), -1));
    for (version, answer) in versions.ask(&mut node, all, |version| {
        let named = m::metadata_request::MetadataRequestTopic::default().with_name(Some(name()));
        let request = m::MetadataRequest::default().with_topics(Some(vec![named]));
        request.with_allow_auto_topic_creation(version < 4)
    }) {
        assert_eq!(error(answer.topics[0].error_code), None, "Metadata v{version}");
        assert_eq!(answer.topics[0].partitions.len(), 1);
    }
    versions.ask(&mut node, all, |_| {
        let wanted = m::offset_for_leader_epoch_request::OffsetForLeaderPartition::default();
        let wanted = m::offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
            .with_topic(name())
            .with_partitions(vec![wanted]);
        m::OffsetForLeaderEpochRequest::default()
            .with_replica_id(m::BrokerId(-1))
            .with_topics(vec![wanted])
    });
    versions.ask(&mut node, all, |_| {
        let wanted = m::delete_records_request::DeleteRecordsTopic::default()
            .with_name(name())
            .with_partitions(vec![m::delete_records_request::DeleteRecordsPartition::default()]);
        m::DeleteRecordsRequest::default()
            .with_timeout_ms(30_000)
            .with_topics(vec![wanted])
    });
    groups(&target, &mut versions, &topic);
    transactions(&target, &mut versions, &topic);
    administration(&target, &mut versions, &topic);
    if target.is_embedded() {
        // Produce below 3 is advertised for the sake of old clients and served by nobody.
        versions.left.insert(0, Vec::new());
        versions.left.retain(|_, left| !left.is_empty());
        assert!(versions.left.is_empty(), "never asked: {:?}", versions.left);
    }
}

fn list_offsets(topic: &m::TopicName, timestamp: i64) -> m::ListOffsetsRequest {
    let wanted = m::list_offsets_request::ListOffsetsPartition::default().with_timestamp(timestamp);
    let wanted = m::list_offsets_request::ListOffsetsTopic::default()
        .with_name(topic.clone())
        .with_partitions(vec![wanted]);
    m::ListOffsetsRequest::default()
        .with_replica_id(m::BrokerId(-1))
        .with_topics(vec![wanted])
}

fn groups(target: &Target, versions: &mut Versions, topic: &str) {
    let group = unique("group");
    let mut member = RawMember::new(target, &group);
    let commit = member.commit_request(topic, 0, 7);
    let committed = versions.ask(&mut member.node, BY_NAME, |_| commit.clone());
    for (version, answer) in committed {
        assert_eq!(
            error(answer.topics[0].partitions[0].error_code),
            None,
            "OffsetCommit v{version}"
        );
    }
    let fetched = versions.ask(&mut member.node, BY_NAME, |version| {
        let name = m::TopicName(text(topic));
        if version < 8 {
            let topic = m::offset_fetch_request::OffsetFetchRequestTopic::default()
                .with_name(name)
                .with_partition_indexes(vec![0]);
            return m::OffsetFetchRequest::default()
                .with_group_id(m::GroupId(text(&group)))
                .with_topics(Some(vec![topic]));
        }
        let topic = m::offset_fetch_request::OffsetFetchRequestTopics::default()
            .with_name(name)
            .with_partition_indexes(vec![0]);
        let group = m::offset_fetch_request::OffsetFetchRequestGroup::default()
            .with_group_id(m::GroupId(text(&group)))
            .with_topics(Some(vec![topic]));
        m::OffsetFetchRequest::default().with_groups(vec![group])
    });
    for (version, answer) in fetched {
        let offset = if version < 8 {
            answer.topics[0].partitions[0].committed_offset
        } else {
            answer.groups[0].topics[0].partitions[0].committed_offset
        };
        assert_eq!(offset, 7, "OffsetFetch v{version}");
    }
    let found = versions.ask(&mut member.node, i16::MAX, |version| {
        let request = m::FindCoordinatorRequest::default();
        if version < 4 {
            return request.with_key(text(&group));
        }
        request.with_coordinator_keys(vec![text(&group)])
    });
    for (version, answer) in found {
        let port = answer
            .coordinators
            .first()
            .map_or(answer.port, |found| found.port);
        assert!(port > 0, "FindCoordinator v{version}");
    }
    // A group of its own for each version: a second member would have to wait for the first.
    for version in 0..=9 {
        let group = unique("group");
        let mut member = RawMember::new(target, &group);
        if version >= 4 {
            member.id = text("nobody");
        }
        let mut only = Versions::of(&mut member.node);
        only.advertised.insert(11, (version, version));
        let request = member.join_request();
        let (_, joined) = only.ask(&mut member.node, version, |_| request.clone()).remove(0);
        let wanted = (version >= 4).then_some(ResponseError::UnknownMemberId);
        assert_eq!(error(joined.error_code), wanted, "JoinGroup v{version}");
        versions
            .left
            .get_mut(&11)
            .unwrap()
            .retain(|left| *left != version);
    }
    let group_id = || m::GroupId(text(&group));
    let node = &mut member.node;
    versions.ask(node, i16::MAX, |_| {
        m::SyncGroupRequest::default().with_group_id(group_id())
    });
    versions.ask(node, i16::MAX, |_| {
        m::HeartbeatRequest::default().with_group_id(group_id())
    });
    versions.ask(node, i16::MAX, |version| {
        let request = m::LeaveGroupRequest::default().with_group_id(group_id());
        if version < 3 {
            return request.with_member_id(text("nobody"));
        }
        let member = m::leave_group_request::MemberIdentity::default().with_member_id(text("nobody"));
        request.with_members(vec![member])
    });
    versions.ask(node, i16::MAX, |_| {
        m::DescribeGroupsRequest::default().with_groups(vec![group_id()])
    });
    versions.ask(node, i16::MAX, |_| m::ListGroupsRequest::default());
    versions.ask(node, i16::MAX, |_| {
        let topic = m::offset_delete_request::OffsetDeleteRequestTopic::default()
            .with_name(m::TopicName(text(topic)))
            .with_partitions(vec![
                m::offset_delete_request::OffsetDeleteRequestPartition::default(),
            ]);
        m::OffsetDeleteRequest::default()
            .with_group_id(group_id())
            .with_topics(vec![topic])
    });
    versions.ask(node, i16::MAX, |_| {
        m::DeleteGroupsRequest::default().with_groups_names(vec![group_id()])
    });
}

/// Later versions of OffsetCommit and OffsetFetch name topics by id.
const BY_NAME: i16 = 9;

fn transactions(target: &Target, versions: &mut Versions, topic: &str) {
    let id = unique("txn");
    let key = || m::TransactionalId(text(&id));
    let mut node = target.coordinator(Coordinates::Transaction, &id);
    for (version, answer) in versions.ask(&mut node, 5, |_| {
        m::InitProducerIdRequest::default()
            .with_transactional_id(Some(key()))
            .with_transaction_timeout_ms(60_000)
    }) {
        assert_eq!(error(answer.error_code), None, "InitProducerId v{version}");
    }
    // An epoch that nobody has: all of them are refused, in every form.
    versions.ask(&mut node, 3, |_| {
        let topic = m::add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
            .with_name(m::TopicName(text(topic)))
            .with_partitions(vec![0]);
        m::AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(key())
            .with_v3_and_below_topics(vec![topic])
    });
    versions.ask(&mut node, 4, |_| {
        m::AddOffsetsToTxnRequest::default().with_transactional_id(key())
    });
    versions.ask(&mut node, 4, |_| {
        m::EndTxnRequest::default().with_transactional_id(key())
    });
    versions.ask(&mut node, i16::MAX, |_| {
        m::DescribeTransactionsRequest::default().with_transactional_ids(vec![key()])
    });
    versions.ask(&mut node, i16::MAX, |_| m::ListTransactionsRequest::default());
    let group = unique("group");
    let mut node = target.coordinator(Coordinates::Group, &group);
    versions.ask(&mut node, 4, |_| {
        let partition = m::txn_offset_commit_request::TxnOffsetCommitRequestPartition::default();
        let topic = m::txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
            .with_name(m::TopicName(text(topic)))
            .with_partitions(vec![partition]);
        m::TxnOffsetCommitRequest::default()
            .with_transactional_id(key())
            .with_group_id(m::GroupId(text(&group)))
            .with_topics(vec![topic])
    });
}

fn administration(target: &Target, versions: &mut Versions, topic: &str) {
    let mut node = target.any();
    let names: Vec<StrBytes> = (0..10).map(|_| text(&unique("versions"))).collect();
    let created = versions.ask(&mut node, i16::MAX, |version| {
        let setting = m::create_topics_request::CreatableTopicConfig::default()
            .with_name(text("retention.ms"))
            .with_value(Some(text("1000000")));
        let topic = m::create_topics_request::CreatableTopic::default()
            .with_name(m::TopicName(names[version as usize].clone()))
            .with_num_partitions(1)
            .with_replication_factor(1)
            .with_configs(vec![setting]);
        m::CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(30_000)
    });
    for (version, answer) in created {
        assert_eq!(
            error(answer.topics[0].error_code),
            None,
            "CreateTopics v{version}"
        );
        target.await_topic(&names[version as usize], 1);
    }
    // Refused as well: the error's text is a field that old versions lack.
    versions.ask(&mut node, i16::MAX, |_| {
        let topic = m::create_topics_request::CreatableTopic::default()
            .with_name(m::TopicName(text(topic)))
            .with_num_partitions(1)
            .with_replication_factor(1);
        m::CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(30_000)
    });
    versions.ask(&mut node, i16::MAX, |version| {
        let wanted = m::create_partitions_request::CreatePartitionsTopic::default()
            .with_name(m::TopicName(names[2].clone()))
            .with_count(i32::from(version) + 2)
            .with_assignments(None);
        m::CreatePartitionsRequest::default()
            .with_topics(vec![wanted])
            .with_timeout_ms(30_000)
    });
    for synonyms in [false, true] {
        versions.ask(&mut node, i16::MAX, |_| {
            let resource = m::describe_configs_request::DescribeConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(text(topic))
                .with_configuration_keys(None);
            m::DescribeConfigsRequest::default()
                .with_resources(vec![resource])
                .with_include_synonyms(synonyms)
        });
    }
    versions.ask(&mut node, i16::MAX, |_| {
        let resource = m::alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text(topic));
        m::AlterConfigsRequest::default().with_resources(vec![resource])
    });
    versions.ask(&mut node, i16::MAX, |_| {
        let resource = m::incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text(topic));
        m::IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
    });
    versions.ask(&mut node, i16::MAX, |_| {
        m::DescribeLogDirsRequest::default().with_topics(None)
    });
    versions.ask(&mut node, i16::MAX, |_| m::DescribeClusterRequest::default());
    versions.ask(&mut node, i16::MAX, |_| {
        let topic = m::describe_topic_partitions_request::TopicRequest::default()
            .with_name(m::TopicName(text(topic)));
        m::DescribeTopicPartitionsRequest::default()
            .with_topics(vec![topic])
            .with_cursor(None)
    });
    versions.ask(&mut node, i16::MAX, |version| {
        let request = m::ApiVersionsRequest::default();
        if version < 3 {
            return request;
        }
        request
            .with_client_software_name(text("raw"))
            .with_client_software_version(text("1"))
    });
    let deleted = versions.ask(&mut node, i16::MAX, |version| {
        let request = m::DeleteTopicsRequest::default().with_timeout_ms(30_000);
        let name = m::TopicName(names[version.max(2) as usize].clone());
        if version < 6 {
            return request.with_topic_names(vec![name]);
        }
        let state = m::delete_topics_request::DeleteTopicState::default().with_name(Some(name));
        request.with_topics(vec![state])
    });
    for (version, answer) in deleted.into_iter().filter(|(version, _)| *version != 2) {
        assert_eq!(
            error(answer.responses[0].error_code),
            None,
            "DeleteTopics v{version}"
        );
    }
}

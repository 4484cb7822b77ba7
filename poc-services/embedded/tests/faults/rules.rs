//! What each rule does to a single request.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use embedded::broker::faults::{Api, Effect, ErrorCode, Fault, Moment, When};
use kafka_protocol::messages as m;

use crate::support::members::{COMMIT, HEARTBEAT, JOIN, RawMember, SYNC};
use crate::support::raw::Raw;
use crate::support::records::{
    NOBODY, NOW, batch, fetch_request, list_offset, produce, produce_request, read_all,
};
use crate::support::target::{Target, text};
use crate::{error, start};

const ONCE: When = When::Times(1);

fn one(target: &Target) -> (String, Raw) {
    let topic = target.topic(1, &[]);
    let leader = target.leader(&topic, 0);
    (topic, leader)
}

#[test]
fn delayed_request_is_served_later_and_others_at_once() {
    let target = start();
    let (topic, mut leader) = one(&target);
    let delay = Duration::from_millis(400);
    let faults = target.broker().faults();
    let rule = faults.add(Fault::new(Effect::Delay(delay)).api(Api::Produce).when(ONCE));
    let begun = Instant::now();
    leader.send(9, &produce_request(&topic, 0, -1, &batch(&["late"], NOBODY)));
    let mut other = target.leader(&topic, 0);
    assert_eq!(
        list_offset(&mut other, &topic, 0, -1).1,
        0,
        "nothing is applied yet"
    );
    let (_, answer) = leader.receive::<m::ProduceRequest>(9).unwrap();
    assert!(begun.elapsed() >= delay);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    assert_eq!(faults.hits(rule), 1);
}

#[test]
fn error_before_changes_nothing_and_error_after_hides_what_happened() {
    let target = start();
    let (topic, mut leader) = one(&target);
    let faults = target.broker().faults();
    for (moment, code, stored) in [
        (Moment::Before, ErrorCode::NotLeaderOrFollower, 0),
        (Moment::After, ErrorCode::RequestTimedOut, 1),
    ] {
        let rule = faults.add(
            Fault::new(Effect::Error(code, moment))
                .api(Api::Produce)
                .when(ONCE),
        );
        let answer = produce(&mut leader, &topic, 0, &batch(&["a"], NOBODY));
        assert_eq!(error(answer.error_code), Some(code));
        assert_eq!(read_all(&mut leader, &topic, 0).len(), stored, "{moment:?}");
        assert_eq!(faults.hits(rule), 1);
    }
    assert_eq!(
        produce(&mut leader, &topic, 0, &batch(&["b"], NOBODY)).error_code,
        0
    );
}

#[test]
fn connection_is_cut_before_or_after_the_request_is_applied() {
    let target = start();
    let topic = target.topic(1, &[]);
    let faults = target.broker().faults();
    for (moment, stored) in [(Moment::Before, 0), (Moment::After, 1)] {
        let mut leader = target.leader(&topic, 0);
        let rule = faults.add(
            Fault::new(Effect::Disconnect(moment))
                .api(Api::Produce)
                .when(ONCE),
        );
        leader.send(9, &produce_request(&topic, 0, -1, &batch(&["a"], NOBODY)));
        assert!(leader.is_closed());
        assert_eq!(
            read_all(&mut target.leader(&topic, 0), &topic, 0).len(),
            stored,
            "{moment:?}"
        );
        assert_eq!(faults.hits(rule), 1);
    }
}

#[test]
fn silent_connection_never_answers_whether_the_request_was_applied_or_not() {
    let target = start();
    let topic = target.topic(1, &[]);
    let faults = target.broker().faults();
    for (moment, stored) in [(Moment::Before, 0), (Moment::After, 1)] {
        let mut leader = target.leader(&topic, 0);
        let rule = faults.add(Fault::new(Effect::Silence(moment)).api(Api::Produce).when(ONCE));
        leader.send(9, &produce_request(&topic, 0, -1, &batch(&["a"], NOBODY)));
        leader.send(9, &produce_request(&topic, 0, -1, &batch(&["b"], NOBODY)));
        leader
            .stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let waited = leader.receive::<m::ProduceRequest>(9).unwrap_err();
        assert!(
            matches!(waited.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            "{waited}"
        );
        assert_eq!(
            read_all(&mut target.leader(&topic, 0), &topic, 0).len(),
            stored,
            "{moment:?}"
        );
        assert_eq!(faults.hits(rule), 1);
    }
}

#[test]
fn rule_for_a_topic_leaves_others_alone_by_name_and_by_id() {
    let target = start();
    let (hit, spared) = (target.topic(1, &[]), target.topic(1, &[]));
    let faults = target.broker().faults();
    let refuse = Effect::Error(ErrorCode::NotLeaderOrFollower, Moment::Before);
    faults.add(Fault::new(refuse).topic(&hit));
    let produced = |topic: &str| {
        let answer = produce(&mut target.leader(topic, 0), topic, 0, &batch(&["a"], NOBODY));
        error(answer.error_code)
    };
    // The leader of a topic that is hit cannot be asked for, so the rule is narrowed for that.
    assert_eq!(produced(&spared), None);
    faults.clear();
    let leader = target.leader_of(&hit, 0);
    faults.add(Fault::new(refuse).topic(&hit).api(Api::Produce));
    assert_eq!(produced(&hit), Some(ErrorCode::NotLeaderOrFollower));
    let by_id = m::produce_request::TopicProduceData::default()
        .with_topic_id(target.topic_id(&hit))
        .with_partition_data(vec![
            m::produce_request::PartitionProduceData::default()
                .with_records(Some(batch(&["a"], NOBODY).freeze())),
        ]);
    let request = m::ProduceRequest::default()
        .with_acks(-1)
        .with_topic_data(vec![by_id]);
    let answer = target.node(leader).call(13, &request);
    let code = answer.responses[0].partition_responses[0].error_code;
    assert_eq!(error(code), Some(ErrorCode::NotLeaderOrFollower));
    faults.clear();
    assert_eq!(produced(&hit), None);
}

#[test]
fn rule_for_a_node_leaves_others_alone() {
    let target = start();
    let faults = target.broker().faults();
    faults.add(
        Fault::new(Effect::Disconnect(Moment::Before))
            .node(2)
            .api(Api::Heartbeat),
    );
    for node in 1..=3 {
        let mut raw = target.node(node);
        raw.send(
            HEARTBEAT,
            &m::HeartbeatRequest::default().with_group_id(m::GroupId(text("g"))),
        );
        assert_eq!(raw.is_closed(), node == 2, "node {node}");
    }
}

#[test]
fn every_request_can_be_refused_in_every_form() {
    let target = start();
    let (topic, mut node) = one(&target);
    let member = RawMember::new(&target, "group");
    let faults = target.broker().faults();
    let code = ErrorCode::UnknownServerError;
    let rule = faults.add(Fault::new(Effect::Error(code, Moment::Before)));
    let refused = Some(code);
    let records = batch(&["a"], NOBODY);
    for version in [3, 9, 12] {
        let answer = node.call(version, &produce_request(&topic, 0, -1, &records));
        assert_eq!(
            error(answer.responses[0].partition_responses[0].error_code),
            refused
        );
    }
    for version in [4, 7, 12] {
        let answer = node.call(version, &fetch_request(&topic, &[(0, 0)], NOW));
        assert_eq!(error(answer.responses[0].partitions[0].error_code), refused);
    }
    assert_eq!(error(list_offset(&mut node, &topic, 0, -1).0), refused);
    for version in [JOIN, 2, 9] {
        let answer = node.call(version, &member.join_request());
        assert_eq!(error(answer.error_code), refused);
    }
    let answer = node.call(SYNC, &member.sync_request(&[]));
    assert_eq!(error(answer.error_code), refused);
    let answer = node.call(COMMIT, &member.commit_request(&topic, 0, 1));
    assert_eq!(error(answer.topics[0].partitions[0].error_code), refused);
    let named =
        m::metadata_request::MetadataRequestTopic::default().with_name(Some(m::TopicName(text(&topic))));
    let metadata = m::MetadataRequest::default().with_topics(Some(vec![named]));
    for version in [1, 9, 12] {
        assert_eq!(error(node.call(version, &metadata).topics[0].error_code), refused);
    }
    let found = node.call(1, &m::FindCoordinatorRequest::default().with_key(text("g")));
    assert_eq!(error(found.error_code), refused);
    let many = m::FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")]);
    assert_eq!(error(node.call(4, &many).coordinators[0].error_code), refused);
    let code_of = |codes: [i16; 7]| codes.map(error);
    let codes = [
        node.call(4, &m::HeartbeatRequest::default()).error_code,
        node.call(4, &m::LeaveGroupRequest::default()).error_code,
        node.call(4, &m::ListGroupsRequest::default()).error_code,
        node.call(4, &m::InitProducerIdRequest::default()).error_code,
        node.call(0, &m::AddOffsetsToTxnRequest::default()).error_code,
        node.call(1, &m::EndTxnRequest::default()).error_code,
        node.call(3, &m::ApiVersionsRequest::default()).error_code,
    ];
    assert_eq!(code_of(codes), [refused; 7]);
    assert_eq!(
        error(node.call(5, &m::OffsetFetchRequest::default()).error_code),
        refused
    );
    let group = m::offset_fetch_request::OffsetFetchRequestGroup::default();
    let request = m::OffsetFetchRequest::default().with_groups(vec![group]);
    assert_eq!(error(node.call(8, &request).groups[0].error_code), refused);
    // What has no room for an error is cut off.
    node.send(2, &m::DescribeGroupsRequest::default());
    assert!(node.is_closed());
    assert_eq!(faults.hits(rule), 27);
}

#[test]
fn rule_of_a_client_is_for_those_who_name_themselves_so() {
    let target = start();
    let (topic, mut leader) = one(&target);
    let faults = target.broker().faults();
    // The connections of these tests call themselves `raw`.
    let other = faults.add(Fault::new(Effect::Disconnect(Moment::Before)).client("ra"));
    assert_eq!(list_offset(&mut leader, &topic, 0, -1).1, 0);
    let own = faults.add(Fault::new(Effect::Silence(Moment::Before)).client("raw"));
    leader.send(9, &produce_request(&topic, 0, -1, &batch(&["never"], NOBODY)));
    crate::support::eventually("it is silenced", || (faults.hits(own) == 1).then_some(()));
    assert_eq!(faults.hits(other), 0);
}

#[test]
fn group_tells_its_generation_and_whom_it_has_put_out() {
    let target = start();
    let topic = target.topic(1, &[]);
    let broker = target.broker();
    assert_eq!(broker.group("silent"), None);
    let mut member = RawMember::new(&target, "silent");
    member.session_timeout_ms = 1_000;
    member.join();
    let me = member.id.clone();
    member.sync(&[(me, b"everything")]);
    // A group without members and offsets would be forgotten.
    member.commit(&topic, 0, 5);
    let stats = broker.group("silent").unwrap();
    assert_eq!((stats.generation, stats.members, stats.expired), (1, 1, 0));
    // From here on it sends nothing more.
    crate::support::eventually("its session ends", || {
        let stats = broker.group("silent").unwrap();
        (stats.members == 0 && stats.expired == 1).then_some(())
    });
}

//! The classic group protocol frame by frame: who may act under which generation.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, JoinGroupRequest, LeaveGroupRequest,
    ListGroupsRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::StrBytes;

use crate::error;
use crate::support::members::{JOIN, RawMember, SYNC};
use crate::support::target::{Target, text, unique};

/// A member that is alone in its group and has its assignment.
fn stable(target: &Target, group: &str) -> RawMember {
    let mut member = RawMember::new(target, group);
    member.join();
    let me = member.id.clone();
    let synced = member.sync(&[(me, b"everything")]);
    assert_eq!(error(synced.error_code), None);
    assert_eq!(&synced.assignment[..], b"everything");
    member
}

#[test]
fn new_member_is_told_its_id_first() {
    let target = Target::start();
    let mut member = RawMember::new(&target, &unique("group"));
    let request = member.join_request();
    let refused = member.node.call(JOIN, &request);
    assert_eq!(error(refused.error_code), Some(ResponseError::MemberIdRequired));
    assert!(
        refused.member_id.starts_with("raw-"),
        "{}",
        refused.member_id.as_str()
    );
    member.id = refused.member_id;
    let joined = member.join();
    assert_eq!(joined.generation_id, 1);
    assert_eq!(joined.leader, joined.member_id, "alone, it leads");
    assert_eq!(joined.members.len(), 1);
    assert_eq!(&joined.members[0].metadata[..], b"meta");
}

#[test]
fn leader_sees_all_members_and_its_assignment_reaches_them() {
    let target = Target::start();
    let group = unique("group");
    let mut first = stable(&target, &group);
    let mut second = RawMember::new(&target, &group);
    second.start_joining();
    first.await_rebalance();
    let as_leader = first.join();
    let as_follower = second.finish_joining();
    assert_eq!((as_leader.generation_id, as_follower.generation_id), (2, 2));
    assert_eq!(as_leader.leader, first.id);
    assert_eq!(as_leader.members.len(), 2);
    assert!(as_follower.members.is_empty(), "only the leader is told");
    let request = second.sync_request(&[]);
    second.node.send(SYNC, &request);
    let given = [
        (first.id.clone(), &b"left"[..]),
        (second.id.clone(), &b"right"[..]),
    ];
    assert_eq!(&first.sync(&given).assignment[..], b"left");
    let (_, synced) = second.node.receive::<SyncGroupRequest>(SYNC).unwrap();
    assert_eq!(&synced.assignment[..], b"right");
    assert_eq!((first.heartbeat(), second.heartbeat()), (0, 0));
}

#[test]
fn stale_generation_may_neither_commit_nor_beat_nor_sync() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let group = unique("group");
    let mut member = stable(&target, &group);
    assert_eq!(error(member.commit(&topic, 0, 5)), None);
    member.generation -= 1;
    let stale = Some(ResponseError::IllegalGeneration);
    assert_eq!(error(member.commit(&topic, 0, 6)), stale);
    assert_eq!(error(member.heartbeat()), stale);
    assert_eq!(error(member.sync(&[]).error_code), stale);
    member.generation += 2;
    assert_eq!(error(member.commit(&topic, 0, 7)), stale);
}

#[test]
fn unknown_member_may_neither_commit_nor_beat_nor_join() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let group = unique("group");
    let mut member = stable(&target, &group);
    let mut stranger = RawMember::new(&target, &group);
    stranger.id = text("nobody");
    stranger.generation = member.generation;
    let unknown = Some(ResponseError::UnknownMemberId);
    assert_eq!(error(stranger.commit(&topic, 0, 6)), unknown);
    assert_eq!(error(stranger.heartbeat()), unknown);
    stranger.start_joining();
    assert_eq!(error(stranger.finish_joining().error_code), unknown);
    assert_eq!(member.heartbeat(), 0, "the member does not notice");
}

#[test]
fn outsider_may_commit_only_while_the_group_is_empty() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let group = unique("group");
    let mut outsider = RawMember::new(&target, &group);
    assert_eq!(
        error(outsider.commit(&topic, 0, 1)),
        None,
        "there is no such group yet"
    );
    let _member = stable(&target, &group);
    assert_eq!(
        error(outsider.commit(&topic, 0, 2)),
        Some(ResponseError::UnknownMemberId)
    );
}

#[test]
fn commit_while_others_are_asked_to_join_is_accepted_and_refused_once_they_have() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let group = unique("group");
    let mut first = stable(&target, &group);
    let mut second = RawMember::new(&target, &group);
    second.start_joining();
    first.await_rebalance();
    assert_eq!(
        error(first.commit(&topic, 0, 3)),
        None,
        "what was read before the rebalance"
    );
    first.join();
    second.finish_joining();
    assert_eq!(
        error(first.commit(&topic, 0, 4)),
        Some(ResponseError::RebalanceInProgress)
    );
}

#[test]
fn member_that_leaves_lets_the_others_join_anew() {
    let target = Target::start();
    let group = unique("group");
    let mut first = stable(&target, &group);
    let mut second = RawMember::new(&target, &group);
    second.start_joining();
    first.await_rebalance();
    first.join();
    second.finish_joining();
    let identity = MemberIdentity::default().with_member_id(second.id.clone());
    let request = LeaveGroupRequest::default()
        .with_group_id(GroupId(text(&group)))
        .with_members(vec![identity]);
    let left = second.node.call(4, &request);
    assert_eq!((left.error_code, left.members[0].error_code), (0, 0));
    assert_eq!(error(first.heartbeat()), Some(ResponseError::RebalanceInProgress));
    assert_eq!(first.join().members.len(), 1);
    assert_eq!(error(second.heartbeat()), Some(ResponseError::UnknownMemberId));
    let again = second.node.call(4, &request);
    assert_eq!(
        error(again.members[0].error_code),
        Some(ResponseError::UnknownMemberId)
    );
}

#[test]
fn session_time_out_beyond_the_limits_is_refused() {
    let target = Target::start();
    let mut member = RawMember::new(&target, &unique("group"));
    for milliseconds in [1, i32::MAX] {
        member.session_timeout_ms = milliseconds;
        let request = member.join_request();
        let code = member.node.call(JOIN, &request).error_code;
        assert_eq!(
            error(code),
            Some(ResponseError::InvalidSessionTimeout),
            "{milliseconds}"
        );
    }
}

#[test]
fn member_without_a_common_protocol_is_refused() {
    let target = Target::start();
    let group = unique("group");
    let _member = stable(&target, &group);
    let mut other = RawMember::new(&target, &group);
    other.protocols[0].0 = "roundrobin".to_owned();
    let request = other.join_request();
    let code = other.node.call(JOIN, &request).error_code;
    assert_eq!(error(code), Some(ResponseError::InconsistentGroupProtocol));
}

#[test]
fn protocol_that_all_know_is_chosen() {
    let target = Target::start();
    let group = unique("group");
    let both = |first: &str, second: &str| {
        [first, second]
            .map(|name| (name.to_owned(), bytes::Bytes::from_static(b"meta")))
            .to_vec()
    };
    let mut first = RawMember::new(&target, &group);
    first.protocols = both("alpha", "beta");
    assert_eq!(first.join().protocol_name, Some(text("alpha")));
    let me = first.id.clone();
    first.sync(&[(me, b"all")]);
    let mut second = RawMember::new(&target, &group);
    second.protocols = both("gamma", "beta");
    second.start_joining();
    first.await_rebalance();
    let joined = first.join();
    assert_eq!(joined.protocol_name, Some(text("beta")));
    second.finish_joining();
}

#[test]
fn member_that_does_not_join_in_time_is_left_behind() {
    let target = Target::start();
    let group = unique("group");
    let mut slow = RawMember::new(&target, &group);
    slow.rebalance_timeout_ms = 1_000;
    slow.join();
    let me = slow.id.clone();
    slow.sync(&[(me, b"all")]);
    let mut second = RawMember::new(&target, &group);
    second.rebalance_timeout_ms = 1_000;
    second.start_joining();
    let joined = second.finish_joining();
    assert_eq!(error(joined.error_code), None);
    assert_eq!(joined.members.len(), 1, "the slow one is out");
    assert_eq!(error(slow.heartbeat()), Some(ResponseError::UnknownMemberId));
}

#[test]
fn empty_group_id_is_refused() {
    let target = Target::start();
    let request = JoinGroupRequest::default()
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(text("consumer"));
    let code = target.any().call(JOIN, &request).error_code;
    assert_eq!(error(code), Some(ResponseError::InvalidGroupId));
}

#[test]
fn group_is_described_and_listed_as_it_stands() {
    let target = Target::start();
    let group = unique("group");
    let mut member = stable(&target, &group);
    let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(&group))]);
    let described = member.node.call(5, &request).groups.remove(0);
    assert_eq!(described.group_state.as_str(), "Stable");
    assert_eq!(
        (described.protocol_type.as_str(), described.protocol_data.as_str()),
        ("consumer", "range")
    );
    assert_eq!(described.members.len(), 1);
    assert_eq!(described.members[0].client_id.as_str(), "raw");
    assert_eq!(described.members[0].client_host.as_str(), "/127.0.0.1");
    assert_eq!(&described.members[0].member_assignment[..], b"everything");
    let listed = member.node.call(4, &ListGroupsRequest::default()).groups;
    let found = listed
        .iter()
        .find(|listed| listed.group_id.as_str() == group)
        .unwrap();
    assert_eq!(
        (found.protocol_type.as_str(), found.group_state.as_str()),
        ("consumer", "Stable")
    );
    let filtered = ListGroupsRequest::default().with_states_filter(vec![text("Empty")]);
    let listed = member.node.call(4, &filtered).groups;
    assert!(listed.iter().all(|listed| listed.group_id.as_str() != group));
}

#[test]
fn unknown_group_is_described_as_dead() {
    let target = Target::start();
    let group = unique("group");
    let mut node = RawMember::new(&target, &group).node;
    let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(&group))]);
    let described = node.call(5, &request).groups.remove(0);
    assert_eq!(
        (described.error_code, described.group_state.as_str()),
        (0, "Dead")
    );
    let described = node.call(6, &request).groups.remove(0);
    assert_eq!(error(described.error_code), Some(ResponseError::GroupIdNotFound));
}

#[test]
fn group_is_deleted_only_when_it_is_empty() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let group = unique("group");
    let mut member = stable(&target, &group);
    member.commit(&topic, 0, 1);
    let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(&group))]);
    let delete = |member: &mut RawMember| error(member.node.call(2, &request).results[0].error_code);
    assert_eq!(delete(&mut member), Some(ResponseError::NonEmptyGroup));
    let identity = MemberIdentity::default().with_member_id(member.id.clone());
    let leave = LeaveGroupRequest::default()
        .with_group_id(GroupId(text(&group)))
        .with_members(vec![identity]);
    assert_eq!(member.node.call(4, &leave).error_code, 0);
    assert_eq!(delete(&mut member), None);
    assert_eq!(delete(&mut member), Some(ResponseError::GroupIdNotFound));
}

#[test]
fn node_that_does_not_coordinate_says_so() {
    let target = Target::start();
    let group = unique("group");
    let here = RawMember::new(&target, &group)
        .node
        .stream
        .peer_addr()
        .unwrap()
        .to_string();
    let Some((other, _)) = target
        .addresses()
        .into_iter()
        .find(|(_, address)| *address != here)
    else {
        return;
    };
    let mut member = RawMember::new(&target, &group);
    member.node = target.node(other);
    let request = member.join_request();
    let refused = member.node.call(JOIN, &request);
    assert_eq!(error(refused.error_code), Some(ResponseError::NotCoordinator));
    assert_eq!(refused.member_id, StrBytes::default());
}

//! Static members: a restart keeps the assignment, and of two with one name the older is fenced.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{GroupId, LeaveGroupRequest, SyncGroupRequest};
use kafka_protocol::protocol::StrBytes;

use crate::error;
use crate::support::eventually;
use crate::support::members::{Member, Owners, RawMember, SYNC};
use crate::support::target::{Target, text, unique};

/// A static member that knows two protocols.
fn member(target: &Target, group: &str, instance: &str) -> RawMember {
    let mut member = RawMember::new(target, group).with_instance(instance);
    let metadata = member.protocols[0].1.clone();
    member.protocols.push(("roundrobin".to_owned(), metadata));
    member
}

/// Two static members, `one` (the leader) and `two`, both with an assignment.
fn two_stable(target: &Target, group: &str) -> (RawMember, RawMember) {
    let mut one = member(target, group, "one");
    one.join();
    let me = one.id.clone();
    one.sync(&[(me, b"all")]);
    let mut two = member(target, group, "two");
    two.start_joining();
    one.await_rebalance();
    one.join();
    two.finish_joining();
    let request = two.sync_request(&[]);
    two.node.send(SYNC, &request);
    one.sync(&[(one.id.clone(), b"left"), (two.id.clone(), b"right")]);
    let (_, synced) = two.node.receive::<SyncGroupRequest>(SYNC).unwrap();
    assert_eq!(&synced.assignment[..], b"right");
    (one, two)
}

#[test]
fn static_member_needs_no_second_join() {
    let target = Target::start();
    let mut member = RawMember::new(&target, &unique("group")).with_instance("one");
    let joined = member.join();
    assert_eq!(joined.members[0].group_instance_id, Some(text("one")));
    assert!(
        joined.member_id.starts_with("one-"),
        "{}",
        joined.member_id.as_str()
    );
}

#[test]
fn restart_of_a_follower_keeps_generation_and_assignment() {
    let target = Target::start();
    let group = unique("group");
    let (mut one, mut two) = two_stable(&target, &group);
    let mut reborn = member(&target, &group, "two");
    reborn.protocols[0].1 = bytes::Bytes::from_static(b"other metadata changes nothing");
    let joined = reborn.join();
    assert_eq!(joined.generation_id, two.generation, "no rebalance");
    assert_ne!(reborn.id, two.id);
    assert_eq!(&reborn.sync(&[]).assignment[..], b"right");
    assert_eq!(one.heartbeat(), 0, "the other does not notice");
    assert_eq!(error(two.heartbeat()), Some(ResponseError::FencedInstanceId));
    let topic = target.topic(1, &[]);
    assert_eq!(
        error(two.commit(&topic, 0, 1)),
        Some(ResponseError::FencedInstanceId)
    );
    assert_eq!(error(reborn.commit(&topic, 0, 1)), None);
}

#[test]
fn restart_of_the_leader_keeps_generation_and_assignment() {
    let target = Target::start();
    let group = unique("group");
    let (one, mut two) = two_stable(&target, &group);
    let mut reborn = member(&target, &group, "one");
    assert_eq!(reborn.join().generation_id, one.generation);
    assert_eq!(&reborn.sync(&[]).assignment[..], b"left");
    assert_eq!(two.heartbeat(), 0);
}

#[test]
fn restart_with_another_protocol_makes_all_join_anew() {
    let target = Target::start();
    let group = unique("group");
    let (mut one, _two) = two_stable(&target, &group);
    let mut reborn = member(&target, &group, "two");
    reborn.protocols.remove(0);
    reborn.start_joining();
    one.await_rebalance();
    let joined = one.join();
    assert_eq!(
        (joined.members.len(), reborn.finish_joining().generation_id),
        (2, joined.generation_id)
    );
}

#[test]
fn member_id_of_another_instance_is_fenced() {
    let target = Target::start();
    let group = unique("group");
    let (one, mut two) = two_stable(&target, &group);
    two.id = one.id;
    assert_eq!(error(two.heartbeat()), Some(ResponseError::FencedInstanceId));
    two.instance = Some(text("three"));
    assert_eq!(error(two.heartbeat()), Some(ResponseError::UnknownMemberId));
}

#[test]
fn administrator_removes_a_static_member_by_its_name() {
    let target = Target::start();
    let group = unique("group");
    let (mut one, two) = two_stable(&target, &group);
    let identity = |name: &str| {
        MemberIdentity::default()
            .with_member_id(StrBytes::default())
            .with_group_instance_id(Some(text(name)))
    };
    let request = LeaveGroupRequest::default()
        .with_group_id(GroupId(text(&group)))
        .with_members(vec![identity("two"), identity("nobody")]);
    let left = one.node.call(4, &request);
    let codes: Vec<_> = left
        .members
        .iter()
        .map(|member| error(member.error_code))
        .collect();
    assert_eq!(codes, [None, Some(ResponseError::UnknownMemberId)]);
    assert_eq!(error(one.heartbeat()), Some(ResponseError::RebalanceInProgress));
    drop(two);
}

#[test]
fn librdkafka_restarts_under_its_name_without_a_rebalance() {
    let target = Target::start();
    let topic = target.topic(4, &[]);
    let (group, owners) = (unique("group"), Arc::<Owners>::default());
    let join = |name: &str, instance: &str| {
        let settings = [("group.instance.id", instance), ("session.timeout.ms", "30000")];
        Member::join(&target, name, &group, &topic, &owners, &settings)
    };
    let steady = join("steady", "steady");
    let restarted = join("before", "restarted");
    eventually("both share", || {
        (owners.of("steady").len() == 2 && owners.of("before").len() == 2).then_some(())
    });
    let (owned, changes) = (owners.of("before"), steady.changes());
    restarted.leave();
    let after = join("after", "restarted");
    eventually("it is back", || (owners.of("after") == owned).then_some(()));
    assert_eq!(steady.changes(), changes, "the other saw nothing of it");
    drop((steady, after));
}

#[test]
fn second_librdkafka_with_the_same_name_fences_the_first() {
    let target = Target::start();
    let topic = target.topic(2, &[]);
    let (group, owners) = (unique("group"), Arc::<Owners>::default());
    let join = |name: &str| {
        let settings = [("group.instance.id", "the-one")];
        Member::join(&target, name, &group, &topic, &owners, &settings)
    };
    let first = join("first");
    eventually("the first owns all", || {
        (owners.of("first").len() == 2).then_some(())
    });
    let second = join("second");
    eventually("the first is told", || first.is_fenced().then_some(()));
    assert!(!second.is_fenced());
    drop((first, second));
}

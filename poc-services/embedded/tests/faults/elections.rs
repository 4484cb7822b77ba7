//! Nodes that go and come back, leaders and coordinators that move, and the time that it takes.

use std::sync::Arc;
use std::time::Duration;

use embedded::broker::{BrokerError, BrokerOptions};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{FindCoordinatorRequest, JoinGroupRequest};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};

use crate::error;
use crate::start;
use crate::storm::{QUICK, assert_once_in_order, idempotent, send_numbers};
use crate::support::clients::{config, flush, read};
use crate::support::eventually;
use crate::support::members::{JOIN, Member, Owners, RawMember};
use crate::support::records::{NOBODY, batch, produce, read_all};
use crate::support::target::{Target, text, unique};

/// Elections that take so long that a test sees what lies between.
fn slow() -> Target {
    Target::embedded(BrokerOptions {
        election_delay: Duration::from_millis(700),
        initial_rebalance_delay: Duration::ZERO,
        ..BrokerOptions::default()
    })
}

#[test]
fn partition_has_no_leader_until_the_election_is_over() {
    let target = slow();
    let topic = target.topic(1, &[]);
    let old = target.leader_of(&topic, 0);
    produce(
        &mut target.leader(&topic, 0),
        &topic,
        0,
        &batch(&["before"], NOBODY),
    );
    let epoch = target.broker().stats().topics[&topic][0].leader_epoch;
    target.wait(target.broker().stop_node(old)).unwrap();
    let other = target.broker().stats().live_nodes[0];
    let mut other = target.node_at(other);
    let described = Target::described_by(&mut other, &topic);
    let partition = &described.partitions[0];
    assert_eq!(partition.leader_id.0, -1);
    assert_eq!(
        error(partition.error_code),
        Some(ResponseError::LeaderNotAvailable)
    );
    let answer = produce(&mut other, &topic, 0, &batch(&["between"], NOBODY));
    assert_eq!(error(answer.error_code), Some(ResponseError::NotLeaderOrFollower));
    let new = eventually("another leads", || {
        let leader = target.broker().stats().topics[&topic][0].leader;
        (leader >= 0).then_some(leader)
    });
    assert_ne!(new, old);
    let mut leader = target.node_at(new);
    produce(&mut leader, &topic, 0, &batch(&["after"], NOBODY));
    let values: Vec<_> = read_all(&mut leader, &topic, 0)
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    assert_eq!(values, ["before", "after"]);
    assert_eq!(target.broker().stats().topics[&topic][0].leader_epoch, epoch + 1);
    target.wait(target.broker().start_node(old)).unwrap();
    eventually("it leads again", || {
        (target.broker().stats().topics[&topic][0].leader == old).then_some(())
    });
}

#[test]
fn leader_moves_where_it_is_sent_and_stays_there() {
    let target = start();
    let topic = target.topic(1, &[]);
    let old = target.leader_of(&topic, 0);
    let new = old % 3 + 1;
    let broker = target.broker();
    broker.move_leader(&topic, 0, new).unwrap();
    assert_eq!(target.leader_of(&topic, 0), new);
    let answer = produce(&mut target.node(old), &topic, 0, &batch(&["a"], NOBODY));
    assert_eq!(error(answer.error_code), Some(ResponseError::NotLeaderOrFollower));
    target.wait(broker.stop_node(new)).unwrap();
    assert_eq!(broker.stats().topics[&topic][0].leader, old);
    target.wait(broker.start_node(new)).unwrap();
    assert_eq!(broker.stats().topics[&topic][0].leader, new);
    let unknown = broker.move_leader(&topic, 9, new);
    assert!(matches!(
        unknown,
        Err(BrokerError::UnknownPartition { partition: 9, .. })
    ));
    assert!(matches!(
        broker.move_leader(&topic, 0, 8),
        Err(BrokerError::UnknownNode(8))
    ));
}

#[test]
fn node_without_a_replica_cannot_be_made_the_leader() {
    let target = start();
    let name = unique("single");
    let admin = crate::support::clients::admin(&target);
    let topic = rdkafka::admin::NewTopic::new(&name, 1, rdkafka::admin::TopicReplication::Fixed(1));
    target
        .wait(admin.create_topics([&topic], &rdkafka::admin::AdminOptions::new()))
        .unwrap();
    let leader = target.leader_of(&name, 0);
    let refused = target.broker().move_leader(&name, 0, leader % 3 + 1);
    assert!(matches!(refused, Err(BrokerError::NotAReplica { .. })));
}

#[test]
fn coordinator_that_moves_sends_its_clients_away_and_the_next_is_loading_first() {
    let target = slow();
    let group = unique("group");
    let broker = target.broker();
    let old = broker.coordinator_of(&group).unwrap();
    let new = old % 3 + 1;
    let mut first = RawMember::new(&target, &group);
    first.join();
    let me = first.id.clone();
    first.sync(&[(me, b"all")]);
    let mut waiting = RawMember::new(&target, &group);
    waiting.start_joining();
    first.await_rebalance();
    broker.move_coordinator(&group, new).unwrap();
    let (_, sent_away) = waiting.node.receive::<JoinGroupRequest>(JOIN).unwrap();
    assert_eq!(error(sent_away.error_code), Some(ResponseError::NotCoordinator));
    assert_eq!(error(first.heartbeat()), Some(ResponseError::NotCoordinator));
    assert_eq!(broker.coordinator_of(&group), Some(new));
    first.node = target.node(new);
    assert_eq!(
        error(first.heartbeat()),
        Some(ResponseError::CoordinatorLoadInProgress)
    );
    eventually("it has loaded", || {
        let code = error(first.heartbeat());
        (code != Some(ResponseError::CoordinatorLoadInProgress)).then_some(())
    });
    waiting.node = target.node(new);
    waiting.start_joining();
    assert_eq!(first.join().members.len(), 2, "the members are known there");
    assert_eq!(error(waiting.finish_joining().error_code), None);
}

#[test]
fn lost_coordinator_is_not_available_until_another_takes_its_place() {
    let target = slow();
    let group = unique("group");
    let broker = target.broker();
    let old = broker.coordinator_of(&group).unwrap();
    target.wait(broker.stop_node(old)).unwrap();
    let mut node = target.node_at(old % 3 + 1);
    let request = FindCoordinatorRequest::default().with_key(text(&group));
    let code = node.call(3, &request).error_code;
    assert_eq!(error(code), Some(ResponseError::CoordinatorNotAvailable));
    let found = eventually("another coordinates", || broker.coordinator_of(&group));
    assert_ne!(found, old);
}

#[test]
fn producer_loses_and_doubles_nothing_while_nodes_go_and_leaders_move() {
    let target = Target::embedded(BrokerOptions {
        election_delay: Duration::from_millis(100),
        ..BrokerOptions::default()
    });
    let topic = target.topic(3, &[]);
    let broker = target.broker();
    let producer = idempotent(&target);
    for round in 0..6 {
        send_numbers(&producer, &topic, 3, round * 500..round * 500 + 250);
        producer.poll(Duration::from_millis(20));
        let node = round % 3 + 1;
        if round % 2 == 0 {
            target.wait(broker.stop_node(node)).unwrap();
        } else {
            broker.move_leader(&topic, round % 3, node).unwrap();
        }
        send_numbers(&producer, &topic, 3, round * 500 + 250..(round + 1) * 500);
        flush(&producer);
        target.wait(broker.start_node(node)).unwrap();
    }
    let epochs: i32 = broker.stats().topics[&topic].iter().map(|p| p.leader_epoch).sum();
    assert!(epochs >= 6, "leaders did move: {epochs}");
    eventually("all lead again", || {
        broker.stats().topics[&topic]
            .iter()
            .all(|p| p.leader >= 0)
            .then_some(())
    });
    assert_once_in_order(&target, &topic, 3, 3_000);
}

#[test]
fn group_goes_on_when_its_coordinator_moves_or_is_lost() {
    let target = Target::embedded(BrokerOptions {
        election_delay: Duration::from_millis(100),
        initial_rebalance_delay: Duration::ZERO,
        ..BrokerOptions::default()
    });
    let topic = target.topic(4, &[]);
    let (group, owners) = (unique("group"), Arc::<Owners>::default());
    let join = |name: &str| Member::join(&target, name, &group, &topic, &owners, &QUICK);
    let first = join("first");
    let second = join("second");
    let share = || {
        eventually("both share all", || {
            (owners.of("first").len() == 2 && owners.of("second").len() == 2).then_some(())
        });
    };
    share();
    let broker = target.broker();
    let old = broker.coordinator_of(&group).unwrap();
    broker.move_coordinator(&group, old % 3 + 1).unwrap();
    let third = join("third");
    eventually("the third has its part", || {
        (!owners.of("third").is_empty()).then_some(())
    });
    let lost = broker.coordinator_of(&group).unwrap();
    target.wait(broker.stop_node(lost)).unwrap();
    third.leave();
    share();
    drop((first, second));
    assert_eq!(owners.violations(), Vec::<String>::new());
}

#[test]
fn commits_survive_the_loss_of_the_coordinator() {
    let target = start();
    let topic = target.topic(1, &[]);
    let producer = idempotent(&target);
    send_numbers(&producer, &topic, 1, 0..20);
    flush(&producer);
    let group = unique("group");
    let own = [
        ("group.id", group.as_str()),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
    ];
    let settings: Vec<_> = QUICK.iter().chain(&own).copied().collect();
    let consumer: BaseConsumer = config(&target, &settings).create().unwrap();
    consumer.subscribe(&[&topic]).unwrap();
    read(&consumer, 12);
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    let lost = target.broker().coordinator_of(&group).unwrap();
    target.wait(target.broker().stop_node(lost)).unwrap();
    drop(consumer);
    let successor: BaseConsumer = config(&target, &settings).create().unwrap();
    successor.subscribe(&[&topic]).unwrap();
    assert_eq!(read(&successor, 8)[0].value, "12");
}

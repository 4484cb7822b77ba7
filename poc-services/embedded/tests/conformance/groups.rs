//! Groups of librdkafka's consumers: every partition has one owner, whoever joins, leaves or dies.

use std::sync::Arc;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::support::clients::{config, flush, producer, read, send};
use crate::support::members::{Member, Owners, RawMember, assigned, subscription};
use crate::support::target::{Target, unique};
use crate::support::{DEADLINE, eventually};

const PARTITIONS: i32 = 6;

struct Group {
    target: Target,
    topic: String,
    id: String,
    owners: Arc<Owners>,
    strategy: &'static str,
}

impl Group {
    fn new(strategy: &'static str) -> Self {
        let target = Target::start();
        Self {
            topic: target.topic(PARTITIONS, &[]),
            target,
            id: unique("group"),
            owners: Arc::default(),
            strategy,
        }
    }

    fn join(&self, name: &str) -> Member {
        let settings = [("partition.assignment.strategy", self.strategy)];
        Member::join(&self.target, name, &self.id, &self.topic, &self.owners, &settings)
    }

    /// Waits until these members, and nobody else, own all partitions in about equal parts.
    fn await_owners(&self, members: &[&str]) {
        eventually(&format!("{members:?} share all partitions"), || {
            let counts = self.owners.counts();
            let fair = PARTITIONS as usize / members.len();
            let all = counts.len() == members.len() && counts.values().sum::<usize>() == PARTITIONS as usize;
            let each = members.iter().all(|member| counts.get(*member) == Some(&fair));
            (all && each).then_some(())
        });
    }
}

fn three_join_and_one_leaves(strategy: &'static str) {
    let group = Group::new(strategy);
    let first = group.join("first");
    group.await_owners(&["first"]);
    let second = group.join("second");
    group.await_owners(&["first", "second"]);
    let third = group.join("third");
    group.await_owners(&["first", "second", "third"]);
    second.leave();
    group.await_owners(&["first", "third"]);
    drop((first, third));
    assert_eq!(group.owners.violations(), Vec::<String>::new());
}

#[test]
fn three_members_share_by_range_and_one_leaves() {
    three_join_and_one_leaves("range");
}

#[test]
fn three_members_share_by_round_robin_and_one_leaves() {
    three_join_and_one_leaves("roundrobin");
}

#[test]
fn three_members_share_cooperatively_and_one_leaves() {
    three_join_and_one_leaves("cooperative-sticky");
}

#[test]
fn cooperative_member_keeps_what_it_may_keep() {
    let group = Group::new("cooperative-sticky");
    let first = group.join("first");
    group.await_owners(&["first"]);
    let second = group.join("second");
    group.await_owners(&["first", "second"]);
    let (of_first, of_second) = (group.owners.of("first"), group.owners.of("second"));
    let third = group.join("third");
    group.await_owners(&["first", "second", "third"]);
    assert!(group.owners.of("first").is_subset(&of_first));
    assert!(group.owners.of("second").is_subset(&of_second));
    drop((first, second, third));
    assert_eq!(group.owners.violations(), Vec::<String>::new());
}

#[test]
fn partitions_of_a_member_that_falls_silent_go_to_the_others() {
    let group = Group::new("range");
    let first = group.join("first");
    let second = group.join("second");
    group.await_owners(&["first", "second"]);
    let mut silent = RawMember::new(&group.target, &group.id);
    silent.session_timeout_ms = 6_000;
    silent.protocols = vec![("range".to_owned(), subscription(&group.topic))];
    let owned = loop {
        silent.join();
        let synced = silent.sync(&[]);
        if synced.error_code == 0 {
            break assigned(synced.assignment);
        }
    };
    assert_eq!(owned.len(), 2, "a third of six");
    eventually("the others know", || {
        (group.owners.snapshot().len() == 4).then_some(())
    });
    // From here on it sends nothing more, and its session ends.
    group.await_owners(&["first", "second"]);
    assert_eq!(silent.heartbeat(), 25, "UNKNOWN_MEMBER_ID: it was left behind");
    drop((first, second));
    assert_eq!(group.owners.violations(), Vec::<String>::new());
}

#[test]
fn successor_reads_on_where_the_group_committed() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let group = unique("group");
    let producer = producer(&target, &[]);
    for number in 0..100 {
        send(&producer, &topic, 0, "k", &number.to_string());
    }
    flush(&producer);
    let settings = [
        ("group.id", group.as_str()),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", "earliest"),
    ];
    let first: BaseConsumer = config(&target, &settings).create().unwrap();
    first.subscribe(&[&topic]).unwrap();
    assert_eq!(read(&first, 40).last().unwrap().value, "39");
    let mut done = TopicPartitionList::new();
    done.add_partition_offset(&topic, 0, Offset::Offset(40)).unwrap();
    first.commit(&done, CommitMode::Sync).unwrap();
    drop(first);
    let second: BaseConsumer = config(&target, &settings).create().unwrap();
    second.subscribe(&[&topic]).unwrap();
    assert_eq!(read(&second, 60).first().unwrap().value, "40");
    let committed = second.committed(DEADLINE).unwrap();
    let committed = committed.find_partition(&topic, 0).unwrap().offset();
    assert_eq!(committed, Offset::Offset(40));
}

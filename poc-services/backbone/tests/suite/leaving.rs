//! A member of a group leaves it, whatever it was told last and has not answered: a client that waits for an answer that
//! never comes would keep its service from ending.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::kafka::Kafka;
use backbone::{Assignment, Event, GroupConsumer, OffsetReset};
use contracts::topics::{MOVEMENTS, PARTITIONS};

/// A hang must end; nothing here waits so long otherwise.
const DEADLINE: Duration = Duration::from_mins(1);

impl Kafka {
    fn member(&self, name: &str) -> GroupConsumer {
        self.member_of("group", name)
    }

    fn member_of(&self, group: &str, name: &str) -> GroupConsumer {
        self.backbone
            .group_consumer(name, group, &[MOVEMENTS], OffsetReset::Earliest)
            .unwrap()
    }
}

/// Polls until there is an event that is no record.
fn told(member: &GroupConsumer) -> Event<'_> {
    let until = Instant::now() + DEADLINE;
    loop {
        match member.poll(Duration::from_millis(10)).unwrap() {
            Some(Event::Record(_)) | None => assert!(Instant::now() < until, "nothing is told"),
            Some(event) => return event,
        }
    }
}

fn assigned(member: &GroupConsumer) -> Vec<Assignment> {
    match told(member) {
        Event::Assigned(partitions) => partitions,
        Event::Revoked(partitions) | Event::Lost(partitions) => panic!("{partitions:?} are wanted back"),
        Event::Record(_) => unreachable!("these are left out"),
    }
}

fn leaves(member: GroupConsumer) {
    let (sender, left) = mpsc::channel();
    std::thread::spawn(move || {
        drop(member);
        let _ = sender.send(());
    });
    left.recv_timeout(DEADLINE).expect("it leaves its group");
}

#[test]
fn member_that_was_given_partitions_and_did_not_answer_leaves() {
    let kafka = Kafka::start();
    let member = kafka.member("one");
    assert_eq!(assigned(&member).len(), PARTITIONS as usize);
    leaves(member);
}

#[test]
fn member_that_gives_back_what_it_had_instead_of_an_answer_leaves() {
    let kafka = Kafka::start();
    let member = kafka.member("one");
    assert_eq!(assigned(&member).len(), PARTITIONS as usize);
    member.give_back(&[]).unwrap();
    leaves(member);
}

#[test]
fn member_whose_answer_was_refused_leaves() {
    let kafka = Kafka::start();
    let member = kafka.member("one");
    let partitions = assigned(&member);
    member.take_committed(&partitions).unwrap();
    let other = kafka.member("other");
    let until = Instant::now() + DEADLINE;
    let revoked = loop {
        assert!(Instant::now() < until, "nothing is wanted back");
        let _ = other.poll(Duration::ZERO).unwrap();
        if let Some(Event::Revoked(partitions)) = member.poll(Duration::from_millis(10)).unwrap() {
            break partitions;
        }
    };
    assert!(!revoked.is_empty());
    let unknown = [("nowhere".to_owned(), 7)];
    member.give_back(&unknown).unwrap_err();
    leaves(member);
    leaves(other);
}

#[test]
fn member_that_has_given_everything_back_leaves() {
    let kafka = Kafka::start();
    let member = kafka.member("one");
    let partitions = assigned(&member);
    member.take_committed(&partitions).unwrap();
    member.give_back(&partitions).unwrap();
    leaves(member);
}

/// It was told that it lost its partitions, has not looked, and gives back what it had.
#[test]
fn members_that_give_back_what_they_have_lost_before_they_are_told_leave() {
    let kafka = Kafka::start_with(&[
        ("session.timeout.ms", "1000"),
        ("heartbeat.interval.ms", "100"),
        ("max.poll.interval.ms", "1000"),
    ]);
    let members: Vec<_> = (0..16)
        .map(|number| kafka.member_of(&format!("group-{number}"), "one"))
        .collect();
    let partitions: Vec<_> = members.iter().map(assigned).collect();
    for (member, partitions) in members.iter().zip(&partitions) {
        member.take_committed(partitions).unwrap();
    }
    let until = Instant::now() + DEADLINE;
    for (member, partitions) in members.into_iter().zip(&partitions) {
        while !member.is_lost() {
            assert!(Instant::now() < until, "it loses nothing");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        member.give_back(partitions).unwrap();
        leaves(member);
    }
}

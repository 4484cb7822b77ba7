//! Logs that were cut off below what was read of them, or made anew: what now stands there is made.
//!
//! The embedded broker loses nothing. So the group is made to have read, in a leader epoch, more than that epoch left in the log.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::kafka::{Kafka, receipt};
use crate::scan_memory::{self, beep};
use crate::support::service::{AT, DEADLINE, OATS, Running};
use backbone::{Event, OffsetReset};
use contracts::ids::LocationId;
use contracts::records::{Article, Movement};
use contracts::topics::{self, Topic, partition_of};
use normaliser::GROUP;
use prost::Message as _;

const STORE: LocationId = LocationId::store(1);
/// No article has it, ever.
const NOBODYS: u64 = 22;
/// Far enough apart that no scan repeats another.
const APART_MS: i64 = 10_000;

impl Kafka {
    fn leader_epoch(&self, topic: &str, partition: u32) -> i32 {
        self.broker.stats().topics[topic][partition as usize].leader_epoch
    }

    /// Each node goes and comes back: the leaders move, and nothing is lost.
    fn move_leaders(&self) {
        for node in 1..=3 {
            self.runtime.block_on(self.broker.stop_node(node)).unwrap();
            self.runtime.block_on(self.broker.start_node(node)).unwrap();
        }
    }

    fn make_anew(&self, topic: &str) {
        let topic: Vec<Topic> = topics::ALL.into_iter().filter(|one| one.name == topic).collect();
        self.runtime
            .block_on(self.backbone.delete_topics(&topic))
            .unwrap();
        self.runtime
            .block_on(self.backbone.ensure_topics(&topic))
            .unwrap();
    }

    /// The group has read up to an offset; what it read last was written in a leader epoch.
    fn commit(&self, topic: &str, partition: u32, next: u64, leader_epoch: i32) {
        let member = self
            .backbone
            .group_consumer("test-member", GROUP, &[topic], OffsetReset::Earliest)
            .unwrap();
        let until = Instant::now() + DEADLINE;
        while !matches!(
            member.poll(Duration::from_millis(10)).unwrap(),
            Some(Event::Assigned(_))
        ) {
            assert!(Instant::now() < until, "the group gives it nothing");
        }
        member.take(&[]).unwrap();
        let at = (topic.to_owned(), partition);
        member.commit_behind(&[(at.clone(), next, leader_epoch)]).unwrap();
        let committed = member.committed_behind(&[at]).unwrap();
        assert_eq!(committed, [Some((next, leader_epoch))]);
    }

    /// The numbers of the transactions, until so many are there.
    fn numbers(&self, count: usize) -> BTreeSet<u64> {
        let of = |record: &backbone::Record<'_>| Movement::decode(record.payload().unwrap()).unwrap().number;
        self.read(topics::MOVEMENTS, count, of).into_iter().collect()
    }
}

/// So many messages, then others of a later leader epoch; the group has read `next` of the former.
fn cut(kafka: &Kafka, topic: &str, messages: [&[(LocationId, Vec<u8>)]; 2], next: u64) {
    let partition = partition_of(messages[0][0].0);
    let leader_epoch = kafka.leader_epoch(topic, partition);
    kafka.send(topic, messages[0]);
    kafka.move_leaders();
    kafka.send(topic, messages[1]);
    assert!(
        kafka.leader_epoch(topic, partition) > leader_epoch,
        "the leader moved"
    );
    kafka.commit(topic, partition, next, leader_epoch);
}

fn tills(numbers: std::ops::RangeInclusive<u16>, gtin: u64) -> Vec<(LocationId, Vec<u8>)> {
    numbers.map(|number| (STORE, receipt(number, gtin, AT))).collect()
}

fn scans(numbers: std::ops::RangeInclusive<u64>) -> Vec<(LocationId, Vec<u8>)> {
    numbers
        .map(|number| (scan_memory::STORE, beep(number, number as i64 * APART_MS)))
        .collect()
}

#[test]
fn receipts_of_a_log_that_was_cut_off_below_the_commit_and_has_grown_past_it_are_made() {
    let kafka = Kafka::start();
    kafka.add_article(&OATS);
    let messages = [tills(1..=4, OATS.gtin), tills(5..=8, OATS.gtin)];
    cut(&kafka, topics::TLOG_RAW, [&messages[0], &messages[1]], 6);
    let service = Running::start(&kafka, "one", None);
    assert_eq!(kafka.numbers(4), (5..=8).collect());
    let counts = service.stop().counts;
    assert_eq!(
        (counts.logs_cut, counts.transactions, counts.recoveries),
        (1, 4, 0)
    );
    let again = Running::start(&kafka, "two", None);
    kafka.send(topics::TLOG_RAW, &tills(9..=9, OATS.gtin));
    again.wait_until("what comes then", |counts| counts.transactions > 0);
    let counts = again.stop().counts;
    assert_eq!(
        (counts.logs_cut, counts.transactions),
        (0, 1),
        "the commit is mended"
    );
}

#[test]
fn what_lies_in_a_log_that_ends_below_the_commit_is_made() {
    for topic in [topics::TLOG_RAW, topics::SCAN_RAW] {
        let kafka = Kafka::start();
        kafka.add_article(&OATS);
        let messages = if topic == topics::SCAN_RAW {
            scans(1..=3)
        } else {
            tills(1..=3, OATS.gtin)
        };
        kafka.send(topic, &messages);
        // Nobody said in which leader epoch it was read.
        kafka.commit(topic, partition_of(messages[0].0), 5, -1);
        let service = Running::start(&kafka, "one", None);
        assert_eq!(kafka.numbers(3), (1..=3).collect(), "{topic}");
        assert_eq!(service.stop().counts.logs_cut, 1, "{topic}");
    }
}

#[test]
fn scans_of_a_log_that_was_cut_off_below_the_commit_are_made_and_know_those_before_them() {
    let kafka = Kafka::start();
    kafka.add_article(&OATS);
    let mut later = scans(5..=8);
    // It repeats the fourth one.
    later[0].1 = beep(5, 4 * APART_MS + 150);
    cut(&kafka, topics::SCAN_RAW, [&scans(1..=4), &later], 6);
    let service = Running::start(&kafka, "one", None);
    assert_eq!(kafka.numbers(4), (5..=8).collect());
    let digest = service.counters.digest();
    let counts = service.stop().counts;
    assert_eq!((counts.logs_cut, counts.transactions), (1, 4));
    assert_eq!(digest.double_beeps, 1);
}

#[test]
fn scans_of_a_log_that_was_cut_off_further_down_than_scans_are_read_again_are_made() {
    const LAST: u64 = 1_204;
    let kafka = Kafka::start();
    kafka.add_article(&OATS);
    cut(&kafka, topics::SCAN_RAW, [&scans(1..=4), &scans(5..=LAST)], 1_100);
    let service = Running::start(&kafka, "one", None);
    let count = LAST as usize - 4;
    assert_eq!(kafka.numbers(count), (5..=LAST).collect());
    assert_eq!(service.stop().counts.logs_cut, 1);
}

#[test]
fn what_stands_in_a_topic_that_was_made_anew_while_the_service_runs_is_made() {
    let kafka = Kafka::start();
    kafka.add_article(&OATS);
    kafka.send(topics::SCAN_RAW, &scans(1..=10));
    let first = Running::start(&kafka, "one", None);
    first.wait_until("all scans", |counts| counts.transactions == 10);
    first.stop();
    let service = Running::start(&kafka, "two", None);
    kafka.send(topics::SCAN_RAW, &scans(11..=11));
    service.wait_until("one more", |counts| counts.transactions == 1);
    kafka.make_anew(topics::SCAN_RAW);
    kafka.send(topics::SCAN_RAW, &scans(12..=14));
    service.wait_until("those of the new topic", |counts| counts.transactions == 4);
    service.stop();
    assert_eq!(kafka.numbers(14), (1..=14).collect());
}

#[test]
fn an_article_that_was_published_before_its_receipt_is_known_also_in_a_topic_that_was_made_anew() {
    const ARTICLES: u16 = 50;
    let kafka = Kafka::start();
    kafka.add_article(&OATS);
    let flood = 2 * ARTICLES;
    kafka.send(topics::TLOG_RAW, &tills(1..=flood, NOBODYS));
    let service = Running::start(&kafka, "one", None);
    service.wait_until("all letters", |counts| {
        counts.dead_letters_total() == u64::from(flood)
    });
    kafka.make_anew(topics::TLOG_RAW);
    let mut producer = kafka.producer();
    let mut publish = |topic, partition, key: &str, payload: &[u8]| {
        producer
            .send(topic, partition, key.as_bytes(), payload, None, &[])
            .unwrap();
        producer.flush(DEADLINE).unwrap();
    };
    for number in 1..=ARTICLES {
        let article = Article {
            sku: 1_000_000 + u32::from(number),
            gtin: 2_000_000_000_000 + u64::from(number),
            ..OATS
        };
        publish(
            topics::CATALOGUE,
            0,
            &article.sku.to_string(),
            &article.encode_to_vec(),
        );
        let receipt = receipt(number, article.gtin, AT);
        publish(
            topics::TLOG_RAW,
            partition_of(STORE),
            &STORE.to_string(),
            &receipt,
        );
    }
    service.wait_until("all receipts", |counts| {
        counts.messages() == u64::from(flood + ARTICLES)
    });
    let counts = service.stop().counts;
    assert_eq!(counts.dead_letters_total(), u64::from(flood), "no more of them");
}

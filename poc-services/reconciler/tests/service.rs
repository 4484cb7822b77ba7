//! The reconciler over the embedded broker: the list that comes out is the one that must, whatever dies when.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../../backbone/tests/support/kafka.rs"]
mod kafka;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use contracts::records::{Discrepancy, Paper, PaperKind, PaperLine, SourceKind};
use contracts::topics::{self, PARTITIONS, partition_of_advice};
use embedded::broker::faults::{Api, Effect, ErrorCode, Fault, FaultId, Moment, When};
use kafka::Kafka;
use prost::Message as _;
use reconciler::{Config, Counters, Keep, ReconcilerError, Snapshot, run};
use tokio_util::sync::CancellationToken;

/// A hang must end; nothing here waits so long otherwise.
const DEADLINE: Duration = Duration::from_mins(3);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const DELIVERIES: u64 = 300;

fn paper(advice: u64, kind: PaperKind, number: u64, sku: u32, quantity: i64) -> Paper {
    let (location, source_kind) = match kind {
        PaperKind::Shipment => ("W0002", SourceKind::Queue),
        PaperKind::ReceivingScan => ("S0042", SourceKind::Reader),
        _ => ("S0042", SourceKind::Till),
    };
    Paper {
        despatch_advice: advice,
        kind: kind as i32,
        location: location.into(),
        source_kind: source_kind as i32,
        number: advice * 10 + number,
        lines: vec![PaperLine { sku, quantity }],
        ..Paper::default()
    }
}

/// Two articles each; of one in seven a carton is missing, and one in eleven the till system posts otherwise.
fn papers(advice: u64) -> Vec<Paper> {
    let missing = i64::from(is_short(advice)) * 1_000;
    let otherwise = i64::from(is_posted_otherwise(advice)) * 2_000;
    vec![
        paper(advice, PaperKind::Shipment, 1, 7, 48_000),
        paper(advice, PaperKind::Shipment, 2, 8, 12_000),
        paper(advice, PaperKind::ReceivingScan, 3, 7, 48_000 - missing),
        paper(advice, PaperKind::ReceivingScan, 4, 8, 12_000),
        paper(advice, PaperKind::ReceiveInventory, 5, 7, 48_000),
        paper(advice, PaperKind::ReceiveInventory, 6, 8, 12_000 - otherwise),
    ]
}

fn is_short(advice: u64) -> bool {
    advice.is_multiple_of(7)
}

fn is_posted_otherwise(advice: u64) -> bool {
    advice.is_multiple_of(11)
}

/// Skus on the list, by advice.
fn expected() -> BTreeMap<u64, Vec<u32>> {
    (1..=DELIVERIES)
        .filter(|advice| is_short(*advice) || is_posted_otherwise(*advice))
        .map(|advice| {
            let short = is_short(advice).then_some(7);
            (
                advice,
                short
                    .into_iter()
                    .chain(is_posted_otherwise(advice).then_some(8))
                    .collect(),
            )
        })
        .collect()
}

fn record(paper: &Paper) -> (u32, String, Vec<u8>) {
    let key = format!("{}/{}/{}", paper.despatch_advice, paper.source_kind, paper.number);
    (
        partition_of_advice(paper.despatch_advice),
        key,
        paper.encode_to_vec(),
    )
}

fn send(kafka: &Kafka, papers: &[Paper]) {
    kafka::send(&kafka.backbone, topics::PAPERS, papers.iter().map(record));
}

/// All papers, dealt out by turns, so that those of a delivery lie far apart and receipts come before shipments.
fn shuffled() -> Vec<Paper> {
    let mut all: Vec<Paper> = (1..=DELIVERIES).flat_map(papers).collect();
    let mut state = 7_u64;
    for index in (1..all.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        all.swap(index, (state >> 33) as usize % (index + 1));
    }
    all
}

struct Running {
    counters: Arc<Counters>,
    cancel: CancellationToken,
    kill: CancellationToken,
    thread: Option<JoinHandle<Result<(), ReconcilerError>>>,
}

impl Running {
    fn start(kafka: &Kafka, name: &str) -> Self {
        Self::start_keeping(kafka, name, Keep::default())
    }

    fn start_keeping(kafka: &Kafka, name: &str, keep: Keep) -> Self {
        let config = Config {
            client_id: format!("reconciler-{name}"),
            keep,
            look_every: Duration::from_millis(10),
            ..Config::default()
        };
        let (counters, kill) = (Arc::clone(&config.counters), config.kill.clone());
        let cancel = CancellationToken::new();
        let (backbone, token) = (kafka.backbone.clone(), cancel.clone());
        let thread = Some(std::thread::spawn(move || run(&config, &backbone, &token)));
        Self {
            counters,
            cancel,
            kill,
            thread,
        }
    }

    fn wait_until(&self, is_so: impl Fn(Snapshot) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !is_so(self.counters.snapshot()) {
            assert!(Instant::now() < until, "{:?}", self.counters.snapshot());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn end(&mut self) {
        self.cancel.cancel();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }

    fn kill(&mut self) {
        self.kill.cancel();
        self.end();
    }
}

/// The list as the topic has it: the last record of each key.
fn list(kafka: &Kafka) -> BTreeMap<u64, Vec<u32>> {
    let mut found = BTreeMap::new();
    let partitions: Vec<u32> = (0..PARTITIONS).collect();
    kafka
        .backbone
        .read_whole("test-reader", topics::DISCREPANCIES, &partitions, |record| {
            let advice: u64 = std::str::from_utf8(record.key()).unwrap().parse().unwrap();
            match record.payload() {
                Some(payload) => {
                    let discrepancy = Discrepancy::decode(payload).unwrap();
                    let skus = discrepancy.lines.iter().map(|line| line.sku).collect();
                    found.insert(advice, skus);
                }
                None => {
                    found.remove(&advice);
                }
            }
        })
        .unwrap();
    found
}

fn wait_for_list(kafka: &Kafka, expected: &BTreeMap<u64, Vec<u32>>) {
    let until = Instant::now() + DEADLINE;
    loop {
        let found = list(kafka);
        if found == *expected {
            return;
        }
        assert!(Instant::now() < until, "{found:?}\nexpected {expected:?}");
    }
}

#[test]
fn the_list_is_exact_though_the_stage_is_killed_in_the_middle_and_papers_come_twice() {
    let kafka = Kafka::start();
    let all = shuffled();
    let (first, rest) = all.split_at(all.len() / 3);
    send(&kafka, first);
    let mut running = Running::start(&kafka, "one");
    running.wait_until(|counts| counts.published > 0);
    send(&kafka, &rest[..rest.len() / 2]);
    running.kill();
    assert_ne!(list(&kafka), expected(), "it was killed in the middle");
    let mut second = Running::start(&kafka, "two");
    second.wait_until(|counts| counts.papers > first.len() as u64 / 2);
    second.kill();
    send(&kafka, rest);
    send(&kafka, first);
    let mut third = Running::start(&kafka, "three");
    wait_for_list(&kafka, &expected());
    third.end();
    assert_eq!(list(&kafka), expected());
}

/// A mark cannot be read, and neither can deletions that compaction has removed: the topic ends behind all that comes.
#[test]
fn a_topic_that_ends_with_what_cannot_be_read_holds_up_nothing() {
    let kafka = Kafka::start();
    kafka::send_in_transaction(&kafka.backbone, topics::PAPERS, shuffled().iter().map(record));
    let mut running = Running::start(&kafka, "one");
    wait_for_list(&kafka, &expected());
    running.end();
}

#[test]
fn the_list_is_exact_when_instances_join_and_leave() {
    let kafka = Kafka::start();
    let all = shuffled();
    let third = all.len() / 3;
    send(&kafka, &all[..third]);
    let mut one = Running::start(&kafka, "one");
    one.wait_until(|counts| counts.published > 0);
    let mut two = Running::start(&kafka, "two");
    send(&kafka, &all[third..2 * third]);
    two.wait_until(|counts| counts.papers > 0);
    one.kill();
    send(&kafka, &all[2 * third..]);
    wait_for_list(&kafka, &expected());
    two.end();
}

#[test]
fn what_a_former_owner_writes_late_is_written_over() {
    let kafka = Kafka::start();
    send(&kafka, &shuffled());
    let mut running = Running::start(&kafka, "one");
    wait_for_list(&kafka, &expected());
    let mut producer = kafka.backbone.producer("zombie").unwrap();
    // One that it withdraws, and one that never was.
    let nonsense = Discrepancy {
        despatch_advice: 5,
        ..Discrepancy::default()
    };
    producer
        .gather(topics::DISCREPANCIES, partition_of_advice(7), b"7", None)
        .unwrap();
    producer
        .gather(
            topics::DISCREPANCIES,
            partition_of_advice(5),
            b"5",
            Some(&nonsense.encode_to_vec()),
        )
        .unwrap();
    producer.flush(DEADLINE).unwrap();
    let published = running.counters.snapshot();
    running.wait_until(|counts| {
        counts.published > published.published && counts.withdrawn > published.withdrawn
    });
    wait_for_list(&kafka, &expected());
    running.end();
}

#[test]
fn a_contradiction_that_a_later_paper_explains_is_withdrawn() {
    let kafka = Kafka::start();
    let mut running = Running::start(&kafka, "one");
    send(
        &kafka,
        &[
            paper(7, PaperKind::ReceivingScan, 1, 7, 48_000),
            paper(7, PaperKind::Shipment, 2, 7, 24_000),
        ],
    );
    wait_for_list(&kafka, &BTreeMap::from([(7, vec![7])]));
    send(&kafka, &[paper(7, PaperKind::Shipment, 3, 7, 24_000)]);
    wait_for_list(&kafka, &BTreeMap::new());
    running.end();
    assert_eq!(running.counters.snapshot().withdrawn, 1);
}

fn refuse(kafka: &Kafka, api: Api, error: ErrorCode) -> FaultId {
    kafka.broker.faults().add(
        Fault::new(Effect::Error(error, Moment::Before))
            .api(api)
            .client("reconciler-one")
            .when(When::Times(1)),
    )
}

/// The client gives up such a producer for good.
#[test]
fn it_begins_anew_when_kafka_gives_its_producer_no_id() {
    let kafka = Kafka::start();
    let refused = refuse(&kafka, Api::InitProducerId, ErrorCode::ClusterAuthorizationFailed);
    let mut running = Running::start(&kafka, "one");
    send(&kafka, &shuffled());
    wait_for_list(&kafka, &expected());
    running.end();
    assert!(kafka.broker.faults().hits(refused) > 0, "it did happen");
    assert!(running.counters.snapshot().recoveries > 0);
}

#[test]
fn it_ends_with_what_was_wrong_when_it_may_not_be_in_its_group() {
    let kafka = Kafka::start();
    let refused = refuse(&kafka, Api::JoinGroup, ErrorCode::GroupAuthorizationFailed);
    let mut running = Running::start(&kafka, "one");
    let ended = running.thread.take().unwrap().join().unwrap();
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("uthoriz"), "{error}");
    assert!(kafka.broker.faults().hits(refused) > 0, "it did happen");
}

/// Keys of the papers that are there, as a compacted topic has them.
fn papers_kept(kafka: &Kafka) -> usize {
    let mut there = std::collections::BTreeSet::new();
    let partitions: Vec<u32> = (0..PARTITIONS).collect();
    kafka
        .backbone
        .read_whole("test-papers", topics::PAPERS, &partitions, |record| {
            let key = record.key().to_vec();
            if record.payload().is_some() {
                there.insert(key);
            } else {
                there.remove(&key);
            }
        })
        .unwrap();
    there.len()
}

#[test]
fn papers_of_settled_deliveries_are_deleted_and_the_list_stays() {
    let kafka = Kafka::start();
    let keep = Keep {
        settled: 20,
        unsettled: 100_000,
    };
    let mut running = Running::start_keeping(&kafka, "one", keep);
    // Never complete: its shipment waits for a second record.
    let half = Paper {
        group_sequence: 1,
        ..paper(1_000, PaperKind::Shipment, 1, 7, 48_000)
    };
    send(
        &kafka,
        &[half, paper(1_000, PaperKind::ReceivingScan, 3, 7, 47_000)],
    );
    let all: Vec<Paper> = (1..=DELIVERIES).flat_map(papers).collect();
    send(&kafka, &all);
    wait_for_list(&kafka, &expected());
    // In each partition up to 20 papers are younger, and what came between two looks.
    running.wait_until(|counts| counts.deleted > DELIVERIES * 3);
    running.kill();
    assert!((2..DELIVERIES as usize * 3).contains(&papers_kept(&kafka)));
    // Who comes behind knows nothing of most of them any more, and leaves what was said of them.
    let mut next = Running::start_keeping(&kafka, "two", keep);
    let missing = paper(1_000, PaperKind::Shipment, 2, 8, 1_000);
    let last = Paper {
        group_sequence: 2,
        is_last_in_group: true,
        ..missing
    };
    send(&kafka, &[last]);
    let mut all = expected();
    all.insert(1_000, vec![7, 8]);
    wait_for_list(&kafka, &all);
    next.end();
    assert_eq!(list(&kafka), all);
}

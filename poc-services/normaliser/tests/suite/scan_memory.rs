//! The service over the embedded broker: what scans say again is known across its lives.

use std::time::{Duration, Instant};

use crate::kafka::Kafka;
use contracts::ids::{Gtin, LocationId, Quantity, TimeMs};
use contracts::records::{Article, Movement};
use contracts::topics::{self, PARTITIONS, partition_of};
use contracts::wire::epcis::{BizStep, DocumentWriter, ScanEvent, ScanLine, SubLocation};
use normaliser::{Config, GROUP, KEPT_GROUP, run};
use prost::Message as _;
use tokio_util::sync::CancellationToken;

/// A hang must end; nothing here waits so long otherwise.
const DEADLINE: Duration = Duration::from_mins(2);
const AT: i64 = 1_741_944_413_000;
pub const STORE: LocationId = LocationId::store(7);
const OATS: u64 = 614_141_999_996;

/// One piece goes past reader 4.
pub fn beep(running_number: u64, after_ms: i64) -> Vec<u8> {
    let mut out = Vec::new();
    let at = TimeMs(AT + after_ms);
    let mut writer = DocumentWriter::begin(&mut out, at);
    writer.event(&ScanEvent {
        reader: 4,
        running_number,
        location: STORE,
        at,
        step: BizStep::Stocking,
        despatch_advice: None,
        sub_location: SubLocation::Floor,
        lines: &[ScanLine::moved(Gtin::new(OATS).unwrap(), Quantity::ONE)],
    });
    writer.finish();
    out
}

fn send(kafka: &Kafka, topic: &str, partition: u32, key: &[u8], payload: &[u8]) {
    let mut producer = kafka.backbone.producer("test").unwrap();
    producer.send(topic, partition, key, payload, None, &[]).unwrap();
    producer.flush(DEADLINE).unwrap();
}

fn scan(kafka: &Kafka, payload: &[u8]) {
    let key = STORE.to_string();
    send(
        kafka,
        topics::SCAN_RAW,
        partition_of(STORE),
        key.as_bytes(),
        payload,
    );
}

/// Runs an instance until there are so many movements of these numbers; gives number and lines of each.
fn normalised(kafka: &Kafka, name: &str, count: usize, kill: bool) -> Vec<(u64, usize)> {
    let config = Config {
        client_id: format!("normaliser-{name}"),
        flush_every: Duration::from_millis(10),
        ..Config::default()
    };
    let (cancel, killed) = (CancellationToken::new(), config.kill.clone());
    let (backbone, token) = (kafka.backbone.clone(), cancel.clone());
    let thread = std::thread::spawn(move || run(config, backbone, token));
    let reader = kafka
        .backbone
        .reader_from_beginning("test-reader", topics::MOVEMENTS, PARTITIONS)
        .unwrap();
    let until = Instant::now() + DEADLINE;
    let mut found = Vec::new();
    while found.len() < count {
        assert!(!thread.is_finished() && Instant::now() < until, "{found:?}");
        if let Some(record) = reader.poll(Duration::from_millis(20)).unwrap() {
            let movement = Movement::decode(record.payload().unwrap()).unwrap();
            found.push((movement.number, movement.lines.len()));
        }
    }
    if kill {
        killed.cancel();
    }
    cancel.cancel();
    thread.join().unwrap().unwrap();
    found
}

fn add_article(kafka: &Kafka) {
    let article = Article {
        sku: 1,
        gtin: OATS,
        ..Article::default()
    };
    send(kafka, topics::CATALOGUE, 0, b"1", &article.encode_to_vec());
}

#[test]
fn a_beep_is_known_by_whoever_takes_over() {
    let kafka = Kafka::start();
    add_article(&kafka);
    scan(&kafka, &beep(1, 0));
    assert_eq!(normalised(&kafka, "one", 1, false), [(1, 1)]);
    // It has committed: what comes next is all that the second one has to read.
    let committed = |group| {
        let probe = kafka
            .backbone
            .lag_probe(group, topics::SCAN_RAW, PARTITIONS)
            .unwrap();
        probe.measure().unwrap()[partition_of(STORE) as usize].committed
    };
    assert_eq!((committed(GROUP), committed(KEPT_GROUP)), (1, 0));
    scan(&kafka, &beep(2, 150));
    assert_eq!(normalised(&kafka, "two", 2, false), [(1, 1), (2, 0)]);
}

/// What is made again after a kill is the same, and so is what comes behind it.
#[test]
fn what_a_killed_instance_made_is_made_again_alike() {
    let kafka = Kafka::start();
    add_article(&kafka);
    for number in 1..=3 {
        scan(&kafka, &beep(number, 100 * (number as i64 - 1)));
    }
    let mut found = normalised(&kafka, "one", 3, true);
    scan(&kafka, &beep(4, 250));
    let last = |found: &[(u64, usize)]| found.iter().any(|(number, _)| *number == 4);
    while !last(&found) {
        found = normalised(&kafka, "two", found.len() + 1, true);
    }
    for (number, lines) in found {
        assert_eq!(lines, usize::from(number == 1), "number {number}");
    }
}

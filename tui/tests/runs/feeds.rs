//! Scans and queues in their dirt, from end to end: descriptors in front, every code page, hand-overs of queue managers,
//! corrected and repeated scans. The stock is right in every cell.

use crate::support::run;

const SCENARIO: &str = "title: Queues and scans
seed: 5
world:
  {stores: 12, warehouses: 4, data_centres: 2, skus: 200, assortment: 60, transactions_per_day: 12000,
   queues: {ccsids: [37, 500, 1047, 1140], descriptor: in-front, handover_every: 10m}}
load: {speed: 6000}
stop: {duration: 12h}
";

#[test]
fn both_queue_managers_send_the_same_and_one_counts() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("feeds.yaml");
    std::fs::write(&file, SCENARIO).expect("a scratch file");
    let ran = run(&[&file.display().to_string()]);
    ran.assert_pass();
    assert_eq!(ran.number("/dead_letters/total"), 0);
    let dropped = ran
        .out
        .split_once("duplicates dropped ")
        .and_then(|(_, rest)| rest.split(',').next()?.parse::<u64>().ok());
    // Sometimes: they did hand over.
    assert!(dropped.is_some_and(|dropped| dropped > 0), "{}", ran.out);
}

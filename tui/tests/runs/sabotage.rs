//! The proof can fail, in the running demo: each service, told to err, does so, and the report says what was damaged, what
//! the audit found, and between which stages. All classes, stages and seeds are in `proof_can_fail.rs`, without servers.

use crate::support::{Ran, run};
use serde_json::Value;

fn sabotaged(planted: &str, seed: u32) -> Ran {
    let seed = seed.to_string();
    run(&[
        "day-in-a-minute",
        "--scale",
        "1/300",
        "--transactions",
        "6000",
        "--seed",
        &seed,
        "--sabotage",
        planted,
    ])
}

/// Red, with all that was damaged named, and nothing else.
fn assert_found(planted: &str, seed: u32) -> Ran {
    let ran = sabotaged(planted, seed);
    assert_eq!(ran.code, 1, "{planted}: {}\n{}", ran.out, ran.error);
    assert!(ran.out.contains("FAIL"), "{}", ran.out);
    let damaged = ran.number("/sabotage/damaged");
    assert!(damaged > 0, "{planted} hits nothing");
    let report = ran.report.as_ref().expect("a report");
    assert_eq!(ran.number("/sabotage/found"), damaged, "{planted}: {report:#}");
    assert_eq!(
        report["sabotage"]["unexpected"],
        Value::Array(Vec::new()),
        "{planted}"
    );
    let cells = report["audit"]["diverging"].as_array().map_or(0, Vec::len) as u64;
    assert_eq!(
        cells,
        ran.number("/audit/cells_diverging").min(100),
        "{planted}: the very cells are named"
    );
    ran
}

fn first_difference(ran: &Ran) -> Value {
    let report = ran.report.as_ref().expect("a report");
    report["stages_digest"]["differences"][0]["between"].clone()
}

#[test]
fn lost_receipts_are_lost_at_the_gateway() {
    let ran = assert_found("drop:1/1500@store-gateway", 1);
    assert_eq!(
        ran.number("/audit/transactions_lost"),
        ran.number("/sabotage/damaged")
    );
    assert_eq!(first_difference(&ran), serde_json::json!(["source", "raw"]));
    assert!(ran.out.contains("between source and raw"), "{}", ran.out);
}

#[test]
fn altered_queue_records_are_altered_at_the_mq_source() {
    let ran = assert_found("alter:1/60@mq-source", 2);
    assert_eq!(
        ran.number("/audit/transactions_altered"),
        ran.number("/sabotage/damaged")
    );
    assert_eq!(first_difference(&ran), serde_json::json!(["source", "raw"]));
}

#[test]
fn lost_transactions_are_lost_in_the_normaliser() {
    let ran = assert_found("drop:1/2000@normaliser", 3);
    assert_eq!(first_difference(&ran), serde_json::json!(["raw", "movements"]));
}

#[test]
fn doubled_transactions_are_found_behind_the_windows() {
    let ran = assert_found("double:1/2000@inventory", 4);
    assert_eq!(ran.number("/audit/transactions_lost"), 0);
    assert_eq!(first_difference(&ran), serde_json::json!(["movements", "view"]));
}

#[test]
fn doubled_transactions_are_absorbed_before_the_windows_and_counted() {
    let ran = sabotaged("double:1/500@normaliser", 5);
    ran.assert_pass();
    let damaged = ran.number("/sabotage/damaged");
    assert!(damaged > 0);
    let hit = damaged + ran.number("/sabotage/hit_without_lines");
    assert_eq!(ran.number("/stages_digest/movements_repeated"), hit);
    assert_eq!(first_difference(&ran), serde_json::json!(["raw", "movements"]));
}

#[test]
fn stale_cells_and_false_completeness_of_the_inventory_are_found() {
    let ran = sabotaged("stale:1/3000@inventory", 6);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("stale"), "{}", ran.out);
    assert_eq!(
        ran.number("/audit/cells_by_kind/stale"),
        ran.number("/audit/cells_diverging")
    );
    let ran = assert_found("lie:1/500@inventory", 7);
    assert_eq!(ran.number("/audit/cells_diverging"), 0);
    assert!(ran.out.contains("completeness lies"), "{}", ran.out);
}

#[test]
fn missing_article_totals_are_found() {
    let ran = assert_found("drop:1/200@item-inventory", 8);
    assert_eq!(
        ran.number("/audit/items_diverging"),
        ran.number("/sabotage/damaged")
    );
    assert_eq!(ran.number("/stages_digest/differences_total"), 0);
}

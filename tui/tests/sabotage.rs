//! The proof can fail: a service that errs on purpose makes the audit red, and it says where.

mod support;

use serde_json::Value;
use support::{Ran, run};

fn sabotaged(class: &str, seed: u32) -> Ran {
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
        class,
    ])
}

fn assert_red(ran: &Ran, what: &str) {
    assert_eq!(ran.code, 1, "{what}: {}\n{}", ran.out, ran.error);
    assert!(ran.out.contains("FAIL"), "{}", ran.out);
    assert!(ran.number("/audit/cells_diverging") > 0, "{what}");
    let report = ran.report.as_ref().expect("a report");
    let named = report["audit"]["diverging"].as_array().map_or(0, Vec::len) as u64;
    assert_eq!(
        named,
        ran.number("/audit/cells_diverging").min(100),
        "{what}: the very cells are named"
    );
}

#[test]
fn lost_transactions_are_found_and_named_in_either_service() {
    for (stage, seed) in [("normaliser", 1), ("inventory", 2)] {
        let ran = sabotaged(&format!("drop:1/2000@{stage}"), seed);
        assert_red(&ran, stage);
        let lost = ran.number("/audit/transactions_lost");
        assert!(lost > 0, "{stage}");
        let report = ran.report.as_ref().expect("a report");
        assert_eq!(
            report["audit"]["lost"].as_array().map_or(0, Vec::len) as u64,
            lost,
            "{stage}"
        );
        assert_eq!(ran.number("/audit/transactions_doubled"), 0, "{stage}");
        assert_eq!(ran.number("/audit/cells_unexplained"), 0, "{stage}");
    }
}

#[test]
fn doubled_transactions_are_found_behind_the_windows_and_absorbed_before_them() {
    let ran = sabotaged("double:1/2000@inventory", 3);
    assert_red(&ran, "inventory");
    assert!(ran.number("/audit/transactions_doubled") > 0);
    assert_eq!(ran.number("/audit/transactions_lost"), 0);

    let ran = sabotaged("double:1/500@normaliser", 4);
    ran.assert_pass();
    assert!(
        !ran.out.contains("duplicates dropped 0"),
        "the windows saw the repeats: {}",
        ran.out
    );
}

#[test]
fn altered_transactions_are_found_in_either_service() {
    for (stage, seed) in [("normaliser", 5), ("inventory", 6)] {
        let ran = sabotaged(&format!("alter:1/2000@{stage}"), seed);
        assert_red(&ran, stage);
        assert_eq!(
            ran.number("/audit/cells_altered"),
            ran.number("/audit/cells_diverging"),
            "{stage}"
        );
        let report = ran.report.as_ref().expect("a report");
        let kinds: Vec<&Value> = report["audit"]["diverging"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|cell| &cell["kind"])
            .collect();
        assert!(kinds.iter().all(|kind| *kind == "altered"), "{kinds:?}");
    }
}

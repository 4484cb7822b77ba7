//! Dirt in whole runs of the binary: what was injected is what was seen, kind by kind, and the stock is exact.

use crate::support::{Ran, run};
use serde_json::Value;

const KINDS: [&str; 14] = [
    "duplicates",
    "late",
    "reordered",
    "missing_numbers",
    "poison.ibm_4690",
    "poison.poslog_6",
    "poison.poslog_2",
    "poison.queue",
    "poison.scans",
    "clock_skew",
    "unknown_articles",
    "double_beeps",
    "repeated_corrections",
    "contradicting_deliveries",
];

fn dirt(ran: &Ran, kind: &str) -> (u64, u64, String) {
    let report = ran.report.as_ref().expect("a report");
    let row = &report["dirt"][kind];
    let number = |key: &str| row[key].as_u64().unwrap_or_else(|| panic!("{kind}: {row}"));
    let must = row["must"].as_str().map(str::to_owned);
    (
        number("injected"),
        number("seen"),
        must.unwrap_or_else(|| panic!("{kind}: {row}")),
    )
}

#[test]
fn a_dirty_day_is_accounted_for_to_the_last_of_each_kind() {
    let ran = run(&["dirty-day", "--scale", "1/2", "--speed", "7200"]);
    ran.assert_pass();
    for kind in KINDS {
        let (injected, seen, must) = dirt(&ran, kind);
        assert!(injected > 0, "{kind} did not happen: {}", ran.out);
        // An upload that timed out came again: then the verdict says so, and has judged it.
        assert!(seen == injected || must == "at_least", "{kind}: {}", ran.out);
    }
    assert_eq!(dirt(&ran, "other_dead_letters").1, 0);
    let report = ran.report.as_ref().expect("a report");
    for kind in KINDS.into_iter().filter(|kind| kind.starts_with("poison.")) {
        let kinds = report["dirt"][kind]["kinds"]
            .as_object()
            .expect("kinds of poison");
        let happened = kinds.values().filter(|row| row["injected"].as_u64() > Some(0));
        assert!(happened.count() > 1, "{kind}: {kinds:?}");
    }
    // What named an article by a new number was put back, and is not open any more.
    let letters = ran.number("/dead_letters/total");
    let unknown = dirt(&ran, "unknown_articles").0;
    assert!(unknown > 0 && ran.number("/dead_letters/put_back") >= unknown);
    assert_eq!(
        ran.number("/dead_letters/open_in_view"),
        letters - ran.number("/dead_letters/put_back")
    );
}

/// A scenario of every kind in a small world, with what is to be said besides.
fn scenario(more: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("dirt.yaml");
    let yaml = format!(
        "title: dirt\nseed: 7\n\
        world: {{stores: 12, warehouses: 2, data_centres: 1, skus: 120, assortment: 40, transactions_per_day: 12000, \
        start: 2026-03-16 08:00}}\n\
        load: {{speed: 3600}}\nstop: {{duration: 14h}}\n\
        expect: {{diverging_cells: {{at_most: 0}}}}\n{more}"
    );
    std::fs::write(&file, yaml).expect("a scratch file");
    let path = file.display().to_string();
    (folder, path)
}

#[test]
fn what_is_not_asked_for_is_not_there() {
    let (_folder, file) = scenario("dirt: {reordered: {one_in: 20}, double_beeps: {one_in: 2}}\n");
    let ran = run(&[&file]);
    ran.assert_pass();
    for kind in ["reordered", "double_beeps"] {
        let (injected, seen, _) = dirt(&ran, kind);
        assert!(injected > 0 && injected == seen, "{kind}: {}", ran.out);
    }
    for kind in [
        "late",
        "missing_numbers",
        "clock_skew",
        "unknown_articles",
        "poison.scans",
    ] {
        let (injected, seen, _) = dirt(&ran, kind);
        assert_eq!((injected, seen), (0, 0), "{kind}: {}", ran.out);
    }
}

/// The counts of the windows are state; what restarts send again is a repeat, and no less was seen than was injected.
#[test]
fn services_that_die_in_between_change_no_count_but_that_of_repeats() {
    let steps = "steps:\n\
        \x20 - {at: 3h, do: {break: inventory-killed}}\n\
        \x20 - {at: 5h, do: {mend: all}}\n\
        \x20 - {at: 7h, do: {break: normaliser-killed}}\n\
        \x20 - {at: 9h, do: {mend: all}}\n";
    let rates = "dirt:\n\
        \x20 duplicates: {one_in: 30}\n\
        \x20 late: {one_in: 30}\n\
        \x20 reordered: {one_in: 30}\n\
        \x20 missing_numbers: {one_in: 100}\n\
        \x20 clock_skew: {one_in: 8}\n\
        \x20 unknown_articles: {one_in: 50}\n\
        \x20 double_beeps: {one_in: 2}\n\
        \x20 repeated_corrections: {one_in: 1}\n\
        \x20 poison: {ibm_4690: {one_in: 50}}\n";
    let (_folder, file) = scenario(&format!("{steps}{rates}"));
    let ran = run(&[&file]);
    ran.assert_pass();
    for kind in ["late", "reordered", "missing_numbers", "clock_skew"] {
        let (injected, seen, must) = dirt(&ran, kind);
        assert!(injected > 0, "{kind}");
        assert_eq!((seen, must.as_str()), (injected, "equal"), "{kind}: {}", ran.out);
    }
    for kind in [
        "duplicates",
        "poison.ibm_4690",
        "unknown_articles",
        "double_beeps",
        "repeated_corrections",
    ] {
        let (injected, seen, must) = dirt(&ran, kind);
        assert!(injected > 0 && seen >= injected, "{kind}: {}", ran.out);
        assert_eq!(must, "at_least", "{kind}");
    }
}

#[test]
fn without_dirt_the_report_says_nothing_of_it() {
    let ran = run(&["ibm-controlled", "--speed", "10"]);
    ran.assert_pass();
    assert_eq!(
        ran.report.as_ref().map(|report| &report["dirt"]),
        Some(&Value::Null)
    );
}

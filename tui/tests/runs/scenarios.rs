//! Every shipped scenario from end to end, small and sped up, with its own expectations and the audit.

use crate::support::{Ran, run};

/// Sped up, and beside other tests, how fresh the view is says nothing, and a span of milliseconds may have nothing to
/// measure: that claim is a benchmark's.
fn run_at_any_freshness(name: &str, shipped: &str, arguments: &[&str]) -> Ran {
    let claim = "freshness_p99_below: 1s";
    assert!(shipped.contains(claim), "the scenario has changed");
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join(format!("{name}.yaml"));
    let text = shipped
        .replace(&format!("    expect: {{{claim}}}\n"), "")
        .replace(claim, "freshness_p99_below: 10m");
    std::fs::write(&file, text).expect("a scratch file");
    let file = file.display().to_string();
    run(&[&[file.as_str()], arguments].concat())
}

#[test]
fn the_reference_kits_events_sent_twice_count_once() {
    let ran = run(&["ibm-controlled", "--speed", "10"]);
    ran.assert_pass();
    assert_eq!(ran.number("/offered/transactions"), 9);
    assert_eq!(ran.number("/handled/transactions"), 9);
    assert!(ran.out.contains("duplicates dropped 9"), "{}", ran.out);
}

#[test]
fn first_look_converges_through_offline_stores_and_a_dead_service() {
    let shipped = include_str!("../../../scenarios/first-look.yaml");
    let ran = run_at_any_freshness("first-look", shipped, &["--scale", "1/60", "--speed", "900"]);
    ran.assert_pass();
    assert_eq!(ran.number("/dead_letters/total"), 0);
    let report = ran.report.as_ref().expect("it passed");
    let met = report["expectations"].as_array().expect("a list");
    assert!(
        met.iter().all(|expectation| expectation["met"] == true),
        "{met:?}"
    );
}

#[test]
fn a_quiet_day_is_right_in_every_cell() {
    let shipped = include_str!("../../../scenarios/quiet-day.yaml");
    let ran = run_at_any_freshness("quiet-day", shipped, &["--scale", "1/24", "--speed", "4000"]);
    ran.assert_pass();
    // Lorries are under way and everything of the three sources arrives.
    for source in ["tills", "queue", "scans"] {
        let offered = ran.number(&format!("/offered/by_source/{source}/transactions"));
        assert!(offered > 0, "{source}");
    }
}

#[test]
fn a_day_as_fast_as_it_goes_is_right_in_every_cell() {
    let ran = run(&["day-in-a-minute", "--scale", "1/200"]);
    ran.assert_pass();
    // The last document can have several.
    let offered = ran.number("/offered/by_source/tills/transactions");
    assert!((25_000..25_010).contains(&offered), "{offered}");
}

#[test]
fn a_million_a_minute_scaled_down_is_right_in_every_cell() {
    // Freshness is a benchmark's matter: here the run goes unthrottled and claims none.
    run(&["million-a-minute", "--scale", "1/100", "--unthrottled"]).assert_pass();
}

#[test]
fn everything_breaks_and_comes_right() {
    // Twice as fast: what is broken is so for half as long.
    let ran = run(&["everything-breaks", "--scale", "1/10", "--speed", "40"]);
    ran.assert_pass();
    let report = ran.report.as_ref().expect("it passed");
    let faults = report["faults"].as_array().expect("a list");
    assert_eq!(faults.len(), 10);
    assert!(
        faults.iter().all(|fault| fault["mended_at_s"].is_number()),
        "{faults:?}"
    );
}

#[test]
fn a_rate_that_is_a_most_yields_to_a_system_that_does_not_keep_up() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("too-much.yaml");
    // More than any machine takes through the whole system, and no more than the load can make.
    let text = "title: Too much\nload: {rate: {per_second: 200000}}\nrates: at_most\nstop: {transactions: 300000}\n\
                world: {stores: 60, warehouses: 3, transactions_per_day: 130000, data_centres: 3, skus: 400, assortment: 80, \
                tills: {ibm_4690: 100, poslog_6: 0, poslog_2: 0}}\n";
    std::fs::write(&file, text).expect("a scratch file");
    let ran = run(&[&file.display().to_string()]);
    ran.assert_pass();
    assert!(ran.out.contains("asked for"), "{}", ran.out);
    let report = ran.report.as_ref().expect("it passed");
    assert_eq!(report["pacing"]["mode"], "at-most");
    let yielded = &report["pacing"]["yielded"];
    let per_second = |key: &str| yielded[key].as_f64().expect("it yielded");
    assert!(per_second("given_per_s") < per_second("asked_per_s"), "{yielded}");
}

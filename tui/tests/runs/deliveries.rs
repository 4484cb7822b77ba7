//! Papers of deliveries and the reference kit's stream in whole runs of the binary.

use crate::support::run;

/// A world in which deliveries contradict each other, with what is to be said besides.
fn scenario(more: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("deliveries.yaml");
    let yaml = format!(
        "title: deliveries\nseed: 5\n\
        world: {{stores: 16, warehouses: 2, data_centres: 1, skus: 120, assortment: 40, transactions_per_day: 12000, \
        start: 2026-03-16 10:00, contradicting_deliveries: 5, tills: {{ibm_4690: 40, poslog_6: 50, poslog_2: 10}}}}\n\
        load: {{speed: 3600}}\nstop: {{duration: 15h}}\n{more}"
    );
    std::fs::write(&file, yaml).expect("a scratch file");
    let path = file.display().to_string();
    (folder, path)
}

#[test]
fn exactly_the_deliveries_that_contradict_come_out() {
    let (_folder, file) = scenario("");
    let ran = run(&[&file]);
    ran.assert_pass();
    let expected = ran.number("/deliveries/expected");
    assert!(
        expected > 2,
        "{expected} of {}",
        ran.number("/deliveries/deliveries")
    );
    assert_eq!(ran.number("/deliveries/found"), expected);
    assert!(ran.out.contains("contradict each other"), "{}", ran.out);
    let report = ran.report.as_ref().expect("it passed");
    let list = report["deliveries"]["list"].as_array().expect("a list");
    assert!(
        list[0]
            .as_str()
            .is_some_and(|line| line.contains("shipped") && line.contains("scanned"))
    );
    let has_all = |line: &&serde_json::Value| line.as_str().is_some_and(|line| line.contains("posted"));
    let posted = list.iter().filter(has_all).count();
    assert!(0 < posted && posted < list.len(), "{list:?}");
}

/// Papers come twice, late, in another order, and some of them never: the truth knows which.
#[test]
fn the_list_is_exact_when_papers_are_lost_late_and_twice() {
    // A shipment that lost one record of its many is compared with nothing: they are lost more seldom.
    let breaks = [
        ("duplicates", 7),
        ("late", 7),
        ("reordered", 7),
        ("missing-numbers", 80),
    ]
    .map(|(fault, one_in)| format!("  - {{at: 30m, do: {{break: {{fault: {fault}, one_in: {one_in}}}}}}}\n"))
    .concat();
    let (_folder, file) = scenario(&format!("steps:\n{breaks}  - {{at: 14h, do: {{mend: all}}}}\n"));
    let ran = run(&[&file]);
    ran.assert_pass();
    assert!(ran.number("/deliveries/expected") > 5);
    assert_eq!(
        ran.number("/deliveries/found"),
        ran.number("/deliveries/expected")
    );
}

#[test]
fn items_are_projected_where_it_is_asked_for() {
    let ran = run(&["ibm-controlled", "--speed", "10", "--project-items"]);
    ran.assert_pass();
    // Nine events of one line each, sent twice.
    assert_eq!(ran.number("/items_projected"), 9);
}

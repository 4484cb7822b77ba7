//! Tills of three generations from end to end: a day and its closing, with the faults that touch their bytes.

use crate::support::run;

const SCENARIO: &str = "
title: Three generations of tills
world:
  stores: 12
  warehouses: 1
  data_centres: 1
  skus: 400
  assortment: 80
  transactions_per_day: 9000
  tills: {ibm_4690: 34, poslog_6: 33, poslog_2: 33}
  start: 2026-03-13 00:00
load: {speed: 6000}
stop: {duration: 26h}
";

const FAULTS: &str = "
steps:
  - {at: 1h, say: Messages come twice and late., do: {break: {fault: duplicates, one_in: 5}}}
  - {at: 1h, do: {break: {fault: late, one_in: 20}}}
  - {at: 2h, say: Clocks are off., do: {break: {fault: clock-skew, one_in: 2}}}
  - {at: 25h, do: {mend: all}}
";

fn file_of(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("tills.yaml");
    std::fs::write(&file, text).expect("a scratch file");
    let path = file.display().to_string();
    (folder, path)
}

#[test]
fn a_day_of_three_generations_of_tills_is_right_in_every_cell() {
    let (_folder, path) = file_of(SCENARIO);
    let ran = run(&[&path]);
    ran.assert_pass();
    assert_eq!(ran.number("/dead_letters/total"), 0);
    let report = ran.report.as_ref().expect("it passed");
    let mut transactions = 0;
    for format in ["ibm-4690", "poslog-6.0", "poslog-2.2.1"] {
        let of_format = &report["formats"][format];
        assert!(
            of_format["messages"].as_u64() > Some(100),
            "{format}: {of_format}"
        );
        assert!(
            of_format["bytes_a_message"].as_f64() > Some(100.0),
            "{format}: {of_format}"
        );
        assert!(ran.out.contains(format), "{}", ran.out);
        transactions += of_format["transactions"].as_u64().expect("a count");
    }
    assert_eq!(transactions, ran.number("/offered/by_source/tills/transactions"));
    let messages = |format: &str| report["formats"][format]["messages"].as_u64();
    let of_2 = report["formats"]["poslog-2.2.1"]["transactions"].as_u64();
    assert!(
        of_2 > messages("poslog-2.2.1"),
        "documents of several transactions"
    );
}

#[test]
fn duplicates_late_messages_and_clocks_that_are_off_change_nothing_in_any_generation() {
    let (_folder, path) = file_of(&format!("{SCENARIO}{FAULTS}"));
    let ran = run(&[&path]);
    ran.assert_pass();
    let report = ran.report.as_ref().expect("it passed");
    let hits = |fault: &str| {
        let faults = report["faults"].as_array().expect("a list");
        let found = faults.iter().find(|known| known["name"] == fault);
        found.and_then(|found| found["hits"].as_u64())
    };
    for fault in ["duplicates", "late", "clock-skew"] {
        assert!(hits(fault) > Some(0), "{fault}: {}", report["faults"]);
    }
}

/// What a store gateway damages in a document is named by the audit.
#[test]
fn altered_documents_turn_the_audit_red() {
    let only_poslog = SCENARIO
        .replace(
            "{ibm_4690: 34, poslog_6: 33, poslog_2: 33}",
            "{poslog_6: 50, poslog_2: 50}",
        )
        .replace("26h", "12h");
    let (_folder, path) = file_of(&only_poslog);
    let ran = run(&[&path, "--sabotage", "alter:1/200@store-gateway"]);
    assert_eq!(ran.code, 1, "{}\n{}", ran.out, ran.error);
    assert!(ran.number("/sabotage/damaged") > 3, "{}", ran.out);
    assert_eq!(ran.number("/sabotage/found"), ran.number("/sabotage/damaged"));
}

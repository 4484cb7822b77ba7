//! A run that is ended early says of what it had sent what became of it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

#[test]
fn a_run_that_is_interrupted_brings_home_what_was_sent_and_proves_it() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let report = folder.path().join("report.json");
    let mut child = Command::new(env!("CARGO_BIN_EXE_stockstream"))
        .args([
            "run",
            "quiet-day",
            "--scale",
            "1/10",
            "--speed",
            "3000",
            "--json",
            "--report",
        ])
        .arg(&report)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    // In the middle of trading, with messages in every journal.
    loop {
        let line = lines.next().expect("it goes on").expect("text");
        let snapshot: Value = serde_json::from_str(&line).expect("a snapshot a line");
        if snapshot["phase"] == "running" && snapshot["offered"]["transactions"].as_u64() > Some(3_000) {
            break;
        }
    }
    let status = Command::new("sh")
        .args(["-c", "kill -s INT \"$1\"", "sh"])
        .arg(child.id().to_string())
        .status()
        .expect("sh");
    assert!(status.success());
    // It writes until its end, and must not wait for us to read.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let code = child.wait().expect("it ends").code();
    let text = std::fs::read_to_string(&report).expect("a report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(code, Some(130), "{:?}\n{:?}", report["verdict"], rest.last());
    for path in [
        "cells_diverging",
        "items_diverging",
        "transactions_lost",
        "transactions_doubled",
    ] {
        assert_eq!(report["audit"][path], 0, "{path}: {:?}", report["verdict"]);
    }
    assert!(report["audit"]["cells_compared"].as_u64() > Some(0));
}

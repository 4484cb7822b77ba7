//! The words of the command line: what they print, and what they say when something is wrong.

use std::net::TcpListener;

use crate::support::{ran, run, stockstream};

/// Runs words that must fail, and gives the error.
fn refused(arguments: &[&str]) -> String {
    let ran = ran(&stockstream(arguments));
    assert_eq!(ran.code, 2, "{arguments:?}: {}{}", ran.out, ran.error);
    assert!(!ran.error.contains("panicked"), "{}", ran.error);
    ran.error
}

#[test]
fn an_unknown_scenario_is_refused_with_the_nearest_name() {
    let error = refused(&["run", "first-lok", "--headless"]);
    assert!(
        error.contains("`first-lok`") && error.contains("`first-look`"),
        "{error}"
    );
}

#[test]
fn an_unknown_key_is_refused_with_file_line_column_and_the_nearest_key() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("mine.yaml");
    std::fs::write(&file, "title: Mine\nloda: {speed: 1}\nstop: {duration: 1m}\n").expect("a scratch file");
    let error = refused(&["check", &file.display().to_string()]);
    assert!(
        error.contains("mine.yaml:2:1") && error.contains("`load`"),
        "{error}"
    );
}

#[test]
fn a_missing_file_an_impossible_sabotage_and_an_unknown_topic_are_refused() {
    assert!(refused(&["run", "no/such.yaml", "--headless"]).contains("no/such.yaml"));
    assert!(
        refused(&["run", "quiet-day", "--sabotage", "drop:1/0@inventory"])
            .contains("drop:1/100000@normaliser")
    );
    assert!(refused(&["run", "quiet-day", "--sabotage", "burn:1/9@inventory"]).contains("burn"));
}

#[test]
fn a_port_in_use_is_refused_with_its_address() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let error = refused(&["run", "ibm-controlled", "--headless", "--listen", &address]);
    assert!(error.contains(&address) && error.contains("in use"), "{error}");
}

#[test]
fn a_broker_that_does_not_answer_is_refused_with_its_address() {
    // Bound and never listening: whatever asks there is refused at once.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = format!("127.0.0.1:{}", socket.local_addr().expect("bound").port());
    let error = refused(&["run", "ibm-controlled", "--headless", "--kafka", &address]);
    assert!(
        error.contains(&address) && error.contains("check the address"),
        "{error}"
    );
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_the_run() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = folder
        .path()
        .join("none")
        .join("report.json")
        .display()
        .to_string();
    let error = refused(&["run", "ibm-controlled", "--headless", "--report", &path]);
    assert!(
        error.contains(&path) && error.contains("folder that exists"),
        "{error}"
    );
}

#[test]
fn an_unknown_topic_is_refused_without_waiting_for_a_broker() {
    let error = refused(&["tap", "movments", "--kafka", "127.0.0.1:1"]);
    assert!(
        error.contains("`movments`") && error.contains("movements,"),
        "{error}"
    );
}

#[test]
fn a_queue_that_does_not_answer_is_refused_with_its_address() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let url = format!("amqp://127.0.0.1:{}", socket.local_addr().expect("bound").port());
    let error = refused(&["run", "ibm-controlled", "--headless", "--amqp", &url]);
    assert!(
        error.contains(&url) && error.contains("check the address"),
        "{error}"
    );
}

#[test]
fn a_service_that_does_not_exist_is_refused_with_those_that_do() {
    let error = refused(&["serve", "normalizer", "--kafka", "127.0.0.1:1"]);
    assert!(
        error.contains("'normalizer'") && error.contains("normaliser"),
        "{error}"
    );
}

#[test]
fn a_sabotage_that_a_stage_does_not_have_is_refused_with_the_stages_that_have_it() {
    let error = refused(&["run", "quiet-day", "--sabotage", "stale:1/9@mq-source"]);
    assert!(error.contains("inventory, item-inventory"), "{error}");
    let error = refused(&["run", "quiet-day", "--sabotage", "lie:1/9@normaliser"]);
    assert!(error.contains("inventory, item-inventory"), "{error}");
}

#[test]
fn check_says_ok_with_the_expected_totals_of_every_shipped_scenario() {
    let ran = ran(&stockstream(&[
        "check",
        "first-look",
        "quiet-day",
        "everything-breaks",
        "million-a-minute",
        "day-in-a-minute",
        "ibm-controlled",
    ]));
    assert_eq!(ran.code, 0, "{}", ran.error);
    assert_eq!(ran.out.matches("ok ").count(), 6, "{}", ran.out);
    assert!(
        ran.out.contains("2,300") || ran.out.contains("2300"),
        "{}",
        ran.out
    );
}

#[test]
fn a_digest_does_not_depend_on_threads_and_does_on_the_seed() {
    let digest = |seed: &str, threads: &str| {
        let words = [
            "digest",
            "quiet-day",
            "--scale",
            "1/40",
            "--transactions",
            "3000",
            "--seed",
            seed,
            "--threads",
            threads,
        ];
        let ran = ran(&stockstream(&words));
        assert_eq!(ran.code, 0, "{}", ran.error);
        assert_eq!(ran.out.trim().len(), 64, "{}", ran.out);
        ran.out
    };
    let one = digest("7", "1");
    assert_eq!(one, digest("7", "2"));
    assert_eq!(one, digest("7", "8"));
    assert_ne!(one, digest("8", "1"));
}

#[test]
fn what_generate_writes_has_the_digest_and_the_truth_beside_it() {
    use sha2::{Digest as _, Sha256};
    let folder = tempfile::tempdir().expect("a scratch folder");
    let out = folder.path().join("day");
    let path = out.display().to_string();
    let common = ["--scale", "1/60", "--transactions", "2000", "--seed", "3"];
    let mut words = vec!["generate", "quiet-day", "--out", &path];
    words.extend(common);
    let generated = ran(&stockstream(&words));
    assert_eq!(generated.code, 0, "{}", generated.error);
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
            text
        })
    };
    let mut lines = Vec::new();
    for kind in ["tlog", "poslog-6.0", "poslog-2.2.1", "mq", "scans"] {
        for entry in std::fs::read_dir(out.join(kind)).expect("a folder") {
            let entry = entry.expect("an entry");
            let digest = hex(&Sha256::digest(std::fs::read(entry.path()).expect("a file")));
            lines.push(format!("{digest}  {kind}/{}\n", entry.file_name().display()));
        }
    }
    lines.sort_unstable();
    let whole = hex(&Sha256::digest(lines.concat().as_bytes()));
    let mut words = vec!["digest", "quiet-day"];
    words.extend(common);
    assert_eq!(ran(&stockstream(&words)).out.trim(), whole);
    let truth = std::fs::read_to_string(out.join("truth.csv")).expect("the truth");
    assert!(truth.starts_with("location,sku,on_hand,floor,back_room\n"));
    assert!(truth.lines().count() > 100);

    let again = refused(&["generate", "quiet-day", "--out", &path]);
    assert!(again.contains("not empty"), "{again}");
}

#[test]
fn help_scenarios_and_completions_are_there() {
    let help = ran(&stockstream(&["--help"]));
    assert!(
        help.out.contains("Exit status") && help.out.contains("130"),
        "{}",
        help.out
    );
    let list = ran(&stockstream(&["scenarios"]));
    assert!(
        list.out.contains("first-look") && list.out.contains("ibm-controlled"),
        "{}",
        list.out
    );
    let schema = ran(&stockstream(&["scenarios", "--schema"]));
    assert!(serde_json::from_str::<serde_json::Value>(&schema.out).is_ok());
    let completions = ran(&stockstream(&["completions", "bash"]));
    assert!(completions.out.contains("stockstream"));
}

#[test]
fn a_run_into_json_lines_prints_snapshots() {
    let ran = ran(&stockstream(&[
        "run",
        "ibm-controlled",
        "--unthrottled",
        "--json",
    ]));
    assert_eq!(ran.code, 0, "{}", ran.error);
    let last: serde_json::Value = serde_json::from_str(ran.out.lines().last().expect("lines")).expect("JSON");
    assert_eq!(last["verdict"]["outcome"], "PASS");
}

#[test]
fn a_report_has_the_fields_that_others_rely_on() {
    let ran = run(&["ibm-controlled", "--speed", "20"]);
    let report = ran.report.expect("a report");
    for path in [
        "/schema_version",
        "/run/scenario",
        "/run/scenario_sha256",
        "/run/seed",
        "/run/commit",
        "/run/cores",
        "/run/backbone",
        "/offered/transactions",
        "/offered/by_source/tills/lines",
        "/handled/lines",
        "/pacing/kept",
        "/freshness_ms/p999",
        "/lag",
        "/offered/lines",
        "/offered/by_source/queue/transactions",
        "/offered/by_source/scans/lines",
        "/handled/transactions",
        "/handled/by_source/tills/transactions",
        "/handled/by_source/tills/lines",
        "/handled/by_source/queue/lines",
        "/handled/by_source/scans/lines",
        "/freshness_ms/p50",
        "/freshness_ms/p90",
        "/freshness_ms/p99",
        "/freshness_ms/max",
        "/freshness_ms/count",
        "/audit/cells_compared",
        "/audit/cells_diverging",
        "/audit/items_diverging",
        "/audit/transactions_lost",
        "/audit/transactions_doubled",
        "/stages_digest/source/hash",
        "/stages_digest/view/quantity",
        "/audit/books_difference",
        "/audit/diverging",
        "/dead_letters/total",
        "/resources/cpu_seconds",
        "/resources/rss_mib_max",
        "/verdict/outcome",
    ] {
        assert!(report.pointer(path).is_some(), "{path}");
    }
    // What was offered was handled, by source too.
    for path in [
        "transactions",
        "lines",
        "by_source/tills/lines",
        "by_source/scans/transactions",
    ] {
        let (offered, handled) = (format!("/offered/{path}"), format!("/handled/{path}"));
        assert_eq!(report.pointer(&offered), report.pointer(&handled), "{path}");
    }
}

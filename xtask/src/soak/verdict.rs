//! What is wrong with a soak, from all that it left.
//!
//! Invariant: what was not seen is wrong, too: a verdict that is not there, a fault that did not come, minutes without samples.

use serde_json::Value;

use super::judge::Finding;
use super::sample::Sample;

/// In fewer, memory has not found its size, and compaction has not gone round.
pub const SETTLED_MINUTES: u32 = 20;
/// Of the minutes, between the first sample and the last one: a run needs seconds until it trades.
const WATCHED_SHARE: f64 = 0.95;
/// What a report must say none of.
pub const ZEROES: [&str; 6] = [
    "/audit/cells_diverging",
    "/audit/items_diverging",
    "/audit/transactions_lost",
    "/audit/transactions_doubled",
    "/audit/books_difference",
    "/dead_letters/total",
];

#[derive(Clone, Copy, Debug)]
pub struct Left<'a> {
    pub minutes: u32,
    /// While the sources sold.
    pub trading: &'a [Sample],
    /// `None`: there were too few samples.
    pub findings: Option<&'a [Finding]>,
    /// Of the run's process; `None`: a signal ended it.
    pub status: Option<i32>,
    pub report: &'a Value,
}

/// A clause for each thing that is wrong.
pub fn wrong(left: &Left<'_>) -> Vec<String> {
    let mut wrong = outcome(left.report, left.status);
    wrong.extend(zeroes(left.report));
    wrong.extend(faults_ordered(left.report, left.minutes));
    if left.minutes >= SETTLED_MINUTES {
        wrong.extend(watched(left.trading, left.minutes));
        wrong.extend(grown(left.findings));
    }
    wrong
}

pub fn number(report: &Value, pointer: &str) -> Option<i64> {
    report.pointer(pointer).and_then(Value::as_i64)
}

/// Faults that a report lists, and those that it had no room for.
pub fn faults(report: &Value) -> Option<u64> {
    let listed = report["outages"].as_array()?.len() as u64;
    Some(listed + report["outages_left_out"].as_u64()?)
}

fn outcome(report: &Value, status: Option<i32>) -> Vec<String> {
    let outcome = report.pointer("/verdict/outcome").and_then(Value::as_str);
    let verdict = match outcome {
        Some("PASS") => None,
        Some(outcome) => Some(format!("the verdict is {outcome}")),
        None => Some("the report has no verdict".to_owned()),
    };
    let ended = match status {
        Some(0) => None,
        Some(status) => Some(format!("the run ended with status {status}")),
        None => Some("the run was ended by a signal".to_owned()),
    };
    verdict.into_iter().chain(ended).collect()
}

fn zeroes(report: &Value) -> impl Iterator<Item = String> {
    ZEROES
        .into_iter()
        .filter_map(move |pointer| match number(report, pointer) {
            Some(0) => None,
            Some(found) => Some(format!("{pointer} is {found}")),
            None => Some(format!("the report has no {pointer}")),
        })
}

/// One in each minute is ordered, whatever it is.
fn faults_ordered(report: &Value, minutes: u32) -> Option<String> {
    match faults(report) {
        Some(faults) if faults == u64::from(minutes) => None,
        Some(faults) => Some(format!("{faults} faults came of {minutes} ordered")),
        None => Some("the report does not say how many faults came".to_owned()),
    }
}

fn watched(trading: &[Sample], minutes: u32) -> Option<String> {
    let watched_s = match trading {
        [first, .., last] => last.at_s - first.at_s,
        _ => 0.0,
    };
    let whole_s = f64::from(minutes) * 60.0;
    (watched_s < whole_s * WATCHED_SHARE)
        .then(|| format!("the samples are of {watched_s:.0} s of {whole_s:.0} s"))
}

fn grown(findings: Option<&[Finding]>) -> Vec<String> {
    let Some(findings) = findings else {
        return vec!["too few samples to say whether anything grows".to_owned()];
    };
    findings
        .iter()
        .filter(|finding| !finding.holds)
        .map(|finding| format!("{} grows", finding.what))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(outages: usize, left_out: u64) -> Value {
        json!({
            "verdict": {"outcome": "PASS"},
            "audit": {"cells_diverging": 0, "items_diverging": 0, "transactions_lost": 0, "transactions_doubled": 0,
                "books_difference": 0},
            "dead_letters": {"total": 0},
            "outages": vec![json!({"name": "inventory stopped"}); outages],
            "outages_left_out": left_out,
        })
    }

    /// One each ten seconds from the eleventh on, as an hour had them.
    fn samples(last_s: u32) -> Vec<Sample> {
        let sample = |at_s| Sample {
            at_s: f64::from(at_s),
            ..Sample::default()
        };
        (11..=last_s).step_by(10).map(sample).collect()
    }

    fn finding(holds: bool) -> Finding {
        Finding {
            what: "resident memory, MiB".to_owned(),
            second_quarter: 1.0,
            last_quarter: 1.0,
            most: 1.0,
            holds,
        }
    }

    fn wrong_of(report: &Value, status: Option<i32>) -> Vec<String> {
        wrong(&Left {
            minutes: 60,
            trading: &samples(3_591),
            findings: Some(&[finding(true)]),
            status,
            report,
        })
    }

    #[test]
    fn an_hour_of_which_all_was_seen_is_right() {
        assert_eq!(wrong_of(&report(60, 0), Some(0)), [""; 0]);
    }

    #[test]
    fn only_a_run_that_passed_and_says_so_twice_is_right() {
        for outcome in ["FAIL", "INVALID", "INTERRUPTED", "GREEN"] {
            let mut report = report(60, 0);
            report["verdict"]["outcome"] = outcome.into();
            assert_eq!(wrong_of(&report, Some(0)), [format!("the verdict is {outcome}")]);
        }
        let mut silent = report(60, 0);
        silent["verdict"] = Value::Null;
        assert_eq!(wrong_of(&silent, Some(0)), ["the report has no verdict"]);
        let passed = report(60, 0);
        assert_eq!(wrong_of(&passed, Some(1)), ["the run ended with status 1"]);
        assert_eq!(wrong_of(&passed, None), ["the run was ended by a signal"]);
    }

    #[test]
    fn what_the_audit_found_and_what_it_does_not_say_is_wrong() {
        let mut found = report(60, 0);
        found["audit"]["transactions_lost"] = 6.into();
        assert_eq!(wrong_of(&found, Some(0)), ["/audit/transactions_lost is 6"]);
        found["audit"]["transactions_lost"] = Value::Null;
        assert_eq!(
            wrong_of(&found, Some(0)),
            ["the report has no /audit/transactions_lost"]
        );
    }

    #[test]
    fn each_fault_that_was_ordered_must_have_come() {
        assert_eq!(
            wrong_of(&report(58, 0), Some(0)),
            ["58 faults came of 60 ordered"]
        );
        assert_eq!(wrong_of(&report(0, 0), Some(0)), ["0 faults came of 60 ordered"]);
        assert_eq!(wrong_of(&report(50, 10), Some(0)), [""; 0]);
        let mut silent = report(60, 0);
        silent["outages"] = Value::Null;
        assert_eq!(
            wrong_of(&silent, Some(0)),
            ["the report does not say how many faults came"]
        );
    }

    #[test]
    fn growth_is_judged_from_some_minutes_on_and_must_have_been_watched_over_nearly_all_of_them() {
        let judged = |minutes: u32, trading: &[Sample], findings: Option<&[Finding]>| {
            wrong(&Left {
                minutes,
                trading,
                findings,
                status: Some(0),
                report: &report(minutes as usize, 0),
            })
        };
        let holds = [finding(true)];
        assert_eq!(judged(60, &samples(3_441), Some(&holds)), [""; 0]);
        assert_eq!(
            judged(60, &samples(3_401), Some(&holds)),
            ["the samples are of 3390 s of 3600 s"]
        );
        assert_eq!(
            judged(20, &[], None),
            [
                "the samples are of 0 s of 1200 s",
                "too few samples to say whether anything grows"
            ]
        );
        assert_eq!(
            judged(20, &samples(1_191), Some(&[finding(false)])),
            ["resident memory, MiB grows"]
        );
        assert_eq!(judged(19, &[], None), [""; 0]);
        assert_eq!(judged(19, &samples(1_131), Some(&[finding(false)])), [""; 0]);
    }
}

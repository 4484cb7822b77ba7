//! The load and its audit: `stockstream run` with services outside, followed by its snapshots, judged by its report.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::scene::WHOLE;
use crate::stack::process::{self, Identity};

/// A small chain: large enough that every partition and every queue has something under way all the time. Longer than any
/// fault: it is told to stop when that is over.
pub const SCENARIO: &str = "\
title: Under attack
world:
  stores: 24
  warehouses: 4
  data_centres: 3
  skus: 400
  assortment: 80
  transactions_per_day: 52000
  contradicting_deliveries: 4
  start: 2026-03-16 10:00
load:
  rate: {per_second: 120}
stop:
  transactions: 2000000
";
pub const WAREHOUSES: u16 = 4;

/// The newest snapshot, as far as it matters here.
#[derive(Clone, Debug, Default)]
struct Latest {
    phase: String,
    offered: u64,
}

/// The process. Dropping it ends it.
pub struct Load {
    child: Child,
    latest: Arc<Mutex<Latest>>,
    reader: Option<JoinHandle<()>>,
    report: PathBuf,
    errors: PathBuf,
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Load {
    pub fn start(mut command: Command, folder: &Path) -> Result<Self> {
        let report = folder.join("report.json");
        let errors = folder.join("load.log");
        let log = fs::File::create(&errors).with_context(|| errors.display().to_string())?;
        let mut child = command
            .arg("--report")
            .arg(&report)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("the load")?;
        if let Some(identity) = Identity::of(child.id()) {
            process::ends_with_us(&identity);
        }
        let latest = Arc::<Mutex<Latest>>::default();
        let lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let reader = std::thread::spawn({
            let latest = Arc::clone(&latest);
            move || {
                for line in lines.map_while(Result::ok) {
                    if let Some(snapshot) = snapshot(&line) {
                        *latest.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
                    }
                }
            }
        });
        Ok(Self {
            child,
            latest,
            reader: Some(reader),
            report,
            errors,
        })
    }

    fn latest(&self) -> Latest {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the load is in this phase or one behind it, and has sent so much.
    pub fn wait_for(&mut self, phase: &str, offered: u64) -> Result<()> {
        let deadline = Instant::now() + WHOLE;
        loop {
            let latest = self.latest();
            if rank(&latest.phase) >= rank(phase) && latest.offered >= offered {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().context("the load")? {
                bail!("the load ended with {status}: {}", self.said());
            }
            if Instant::now() > deadline {
                bail!("the load is still {} with {} sent", latest.phase, latest.offered);
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// Whether it still sends: a fault behind the last message breaks nothing.
    pub fn is_running(&self) -> bool {
        self.latest().phase == "running"
    }

    /// Tells it to send no more, and to sum up.
    pub fn stop(&self) -> Result<()> {
        Identity::of(self.child.id())
            .context("the load has ended")?
            .signal("INT")
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// Waits for the verdict.
    pub fn finish(&mut self) -> Result<Audited> {
        let deadline = Instant::now() + WHOLE;
        while self.child.try_wait().context("the load")?.is_none() {
            if Instant::now() > deadline {
                bail!("no verdict; it is {:?}", self.latest());
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        if let Some(reader) = self.reader.take() {
            // It has ended with the process.
            let _ = reader.join();
        }
        let text = fs::read_to_string(&self.report)
            .with_context(|| format!("there is no report: {}", self.said()))?;
        audited(&text)
    }
}

/// The phases in their order.
fn rank(phase: &str) -> usize {
    ["starting", "opening", "running", "draining", "verdict"]
        .iter()
        .position(|known| *known == phase)
        .map_or(0, |index| index + 1)
}

fn snapshot(line: &str) -> Option<Latest> {
    let value: Value = serde_json::from_str(line).ok()?;
    Some(Latest {
        phase: value["phase"].as_str()?.to_owned(),
        offered: value["offered"]["transactions"].as_u64()?,
    })
}

/// What the audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audited {
    pub offered: u64,
    pub cells: u64,
    pub diverging: u64,
    pub articles_diverging: u64,
    pub lost: u64,
    pub doubled: u64,
    pub books: i64,
    pub dead_letters: u64,
    /// The verdict's own words, when it is a failure.
    pub reasons: Vec<String>,
}

impl Audited {
    pub fn holds(&self) -> bool {
        // A generator that was late says nothing about what was lost.
        self.cells > 0
            && self.diverging == 0
            && self.articles_diverging == 0
            && self.lost == 0
            && self.doubled == 0
            && self.books == 0
            && self.dead_letters == 0
            && self.reasons.is_empty()
    }
}

impl std::fmt::Display for Audited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} transactions, lost {}, doubled {}; {} cells, {} diverging; {} articles diverging; books off by {}; \
             {} dead letters",
            self.offered,
            self.lost,
            self.doubled,
            self.cells,
            self.diverging,
            self.articles_diverging,
            self.books,
            self.dead_letters
        )?;
        for reason in &self.reasons {
            write!(f, "; {reason}")?;
        }
        Ok(())
    }
}

fn audited(report: &str) -> Result<Audited> {
    let report: Value = serde_json::from_str(report).context("the report")?;
    let number = |pointer: &str| {
        report
            .pointer(pointer)
            .and_then(Value::as_u64)
            .with_context(|| format!("the report has no {pointer}"))
    };
    let outcome = report.pointer("/verdict/outcome").and_then(Value::as_str);
    // A case ends its load with an interrupt when it has seen enough; and a machine that is busy with servers makes the generator
    // late, which says nothing about them.
    let failed = match outcome {
        Some("PASS" | "INTERRUPTED" | "INVALID") => false,
        Some("FAIL") => true,
        other => bail!("the report has the outcome {other:?}, so nothing was judged"),
    };
    let reasons = report.pointer("/verdict/reasons").and_then(Value::as_array);
    Ok(Audited {
        offered: number("/offered/transactions")?,
        cells: number("/audit/cells_compared")?,
        diverging: number("/audit/cells_diverging")?,
        articles_diverging: number("/audit/items_diverging")?,
        lost: number("/audit/transactions_lost")?,
        doubled: number("/audit/transactions_doubled")?,
        books: report
            .pointer("/audit/books_difference")
            .and_then(Value::as_i64)
            .context("the report has no /audit/books_difference")?,
        dead_letters: number("/dead_letters/total")?,
        reasons: reasons
            .filter(|_| failed)
            .into_iter()
            .flatten()
            .filter_map(|reason| reason.as_str().map(str::to_owned))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: &str, lost: u64) -> String {
        format!(
            r#"{{"offered": {{"transactions": 9}}, "audit": {{"cells_compared": 7, "cells_diverging": 0,
            "items_diverging": 0, "transactions_lost": {lost}, "transactions_doubled": 0, "books_difference": 0}},
            "dead_letters": {{"total": 0}}, "verdict": {{"outcome": "{outcome}", "reasons": ["why"]}}}}"#
        )
    }

    #[test]
    fn a_report_holds_only_when_nothing_is_wrong_in_it() {
        assert!(audited(&report("PASS", 0)).expect("whole").holds());
        assert!(audited(&report("INVALID", 0)).expect("whole").holds());
        assert!(!audited(&report("FAIL", 0)).expect("whole").holds());
        assert!(!audited(&report("PASS", 1)).expect("whole").holds());
        let nothing = report("PASS", 0).replace("\"cells_compared\": 7", "\"cells_compared\": 0");
        assert!(
            !audited(&nothing).expect("whole").holds(),
            "an audit of nothing proves nothing"
        );
        assert!(audited(&report("INTERRUPTED", 0)).expect("whole").holds());
        assert!(audited(&report("UNHEARD", 0)).is_err());
        assert!(audited("{}").is_err());
    }

    #[test]
    fn phases_follow_one_another() {
        assert!(rank("running") > rank("opening") && rank("verdict") > rank("draining"));
        assert_eq!(rank(""), 0);
    }

    #[test]
    fn of_a_snapshot_phase_and_amount_are_read() {
        let latest =
            snapshot(r#"{"phase": "running", "offered": {"transactions": 12}}"#).expect("a snapshot");
        assert_eq!((latest.phase.as_str(), latest.offered), ("running", 12));
        assert!(snapshot("no JSON").is_none());
    }
}

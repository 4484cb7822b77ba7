//! Runs the binary as a user would, and reads what it leaves.

use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A machine that is busy with others makes the generator late, which says nothing about what tests examine.
pub const LATE: i32 = 3;

pub struct Ran {
    pub code: i32,
    pub out: String,
    pub error: String,
    pub report: Option<Value>,
}

pub fn stockstream(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stockstream"))
        .args(arguments)
        .output()
        .expect("the binary runs")
}

pub fn ran(output: &Output) -> Ran {
    Ran {
        code: output.status.code().expect("it ends by itself"),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        error: String::from_utf8_lossy(&output.stderr).into_owned(),
        report: None,
    }
}

/// Runs a scenario headless and reads its report.
pub fn run(arguments: &[&str]) -> Ran {
    let folder = TempDir::new().expect("a scratch folder");
    let file = folder.path().join("report.json");
    let mut words = vec!["run"];
    words.extend_from_slice(arguments);
    let path = file.display().to_string();
    words.extend(["--headless", "--report", &path]);
    let mut ran = ran(&stockstream(&words));
    // A run that is refused leaves it empty.
    let report = std::fs::read(&file).ok().filter(|text| !text.is_empty());
    ran.report = report.map(|text| serde_json::from_slice(&text).expect("a report is JSON"));
    ran
}

impl Ran {
    pub fn number(&self, path: &str) -> u64 {
        let report = self
            .report
            .as_ref()
            .unwrap_or_else(|| panic!("no report: {}{}", self.out, self.error));
        report
            .pointer(path)
            .and_then(Value::as_u64)
            .unwrap_or_else(|| panic!("{path} in {report}"))
    }

    /// Passed, but for a load that other work on the machine made late: that spoils a measurement and no stock.
    pub fn assert_pass(&self) {
        if self.code == LATE {
            assert!(!self.out.to_lowercase().contains("not met"), "{}", self.out);
        } else {
            assert_eq!(self.code, 0, "{}\n{}", self.out, self.error);
            assert!(self.out.contains("PASS"), "{}", self.out);
        }
        assert!(self.number("/audit/cells_compared") > 0);
        for path in [
            "cells_diverging",
            "items_diverging",
            "transactions_lost",
            "transactions_doubled",
        ] {
            assert_eq!(self.number(&format!("/audit/{path}")), 0, "{path}: {}", self.out);
        }
    }
}

//! What a run used and held at an instant: from its own lines, and from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Topic {
    pub records: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Of the run, in seconds.
    pub at_s: f64,
    pub phase: String,
    pub rss_mib: f64,
    pub broker_mib: u64,
    /// Open ones: files, sockets, pipes.
    pub descriptors: u64,
    /// Regular files of the run, in its scratch folder or open.
    pub files: u64,
    pub file_bytes: u64,
    pub lines_per_s: f64,
    pub cells: u64,
    pub diverging: u64,
    pub stores_offline: u64,
    pub topics: BTreeMap<String, Topic>,
}

/// From a line of `stockstream run --headless --json`; `None`: it is none.
pub fn read(line: &str) -> Option<Sample> {
    let value: Value = serde_json::from_str(line).ok()?;
    let number = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let topics = value["topics"].as_array()?.iter().filter_map(|topic| {
        let held = Topic {
            records: topic["records"].as_u64()?,
            bytes: topic["bytes"].as_u64()?,
        };
        Some((topic["name"].as_str()?.to_owned(), held))
    });
    Some(Sample {
        at_s: number("/elapsed/secs") as f64 + number("/elapsed/nanos") as f64 / 1e9,
        phase: value["phase"].as_str()?.to_owned(),
        rss_mib: number("/resources/rss_mib") as f64,
        broker_mib: number("/resources/broker_mib"),
        lines_per_s: value.pointer("/handled/lines_per_s").and_then(Value::as_f64)?,
        cells: number("/proof/cells_compared"),
        diverging: number("/proof/cells_diverging"),
        stores_offline: number("/stores_offline"),
        topics: topics.collect(),
        ..Sample::default()
    })
}

impl Sample {
    /// Adds what the system says of the process; where it says nothing, all stays as the run has it.
    pub fn look(&mut self, pid: u32, scratch: &Path) {
        let process = Path::new("/proc").join(pid.to_string());
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        if let Some(kib) = rss.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()) {
            self.rss_mib = kib / 1024.0;
        }
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
            self.descriptors += 1;
            let Ok(target) = fs::read_link(entry.path()) else {
                continue;
            };
            if let Ok(about) = fs::metadata(&target)
                && about.is_file()
            {
                files.insert(target, about.len());
            }
        }
        for entry in fs::read_dir(scratch).into_iter().flatten().flatten() {
            if let Ok(about) = entry.metadata()
                && about.is_file()
            {
                files.insert(entry.path(), about.len());
            }
        }
        self.files = files.len() as u64;
        self.file_bytes = files.values().sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_run_is_read() {
        let line = r#"{"phase": "running", "elapsed": {"secs": 61, "nanos": 500000000}, "resources": {"rss_mib": 700,
            "broker_mib": 300}, "handled": {"lines_per_s": 99000.5}, "proof": {"cells_compared": 7, "cells_diverging": 1},
            "stores_offline": 2, "topics": [{"name": "movements", "records": 5, "bytes": 900, "appended": 9}]}"#
            .replace('\n', "");
        let sample = read(&line).expect("a sample");
        assert!((sample.at_s - 61.5).abs() < 1e-9);
        assert_eq!(
            (sample.broker_mib, sample.cells, sample.stores_offline),
            (300, 7, 2)
        );
        assert_eq!(
            sample.topics["movements"],
            Topic {
                records: 5,
                bytes: 900
            }
        );
        assert!(read("PASS").is_none());
    }

    #[test]
    fn the_system_tells_of_this_process() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("journal"), [0; 100]).expect("written");
        let mut sample = Sample::default();
        sample.look(std::process::id(), folder.path());
        assert!(sample.files >= 1 && sample.file_bytes >= 100);
        if cfg!(target_os = "linux") {
            assert!(sample.rss_mib > 1.0 && sample.descriptors > 2);
        }
    }
}

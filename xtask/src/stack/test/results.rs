//! What the runs gave: a line each in a file, so that an interrupted series goes on, and a table of all of them.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::scene::{Done, Fault};

/// One run of one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub case: String,
    pub seed: u64,
    /// Times that the fault happened in it.
    pub rounds: u32,
    /// Of the program that was tried: what another one did says nothing about this one.
    pub commit: String,
    pub passed: bool,
    pub offered: u64,
    pub lost: u64,
    pub doubled: u64,
    pub diverging: u64,
    pub seconds: f64,
    pub faults: Vec<Fault>,
    /// Why it is red.
    pub said: String,
}

impl Entry {
    pub fn new(case: &str, seed: u64, rounds: u32, commit: &str, seconds: f64) -> Self {
        Self {
            case: case.to_owned(),
            seed,
            rounds,
            commit: commit.to_owned(),
            passed: true,
            offered: 0,
            lost: 0,
            doubled: 0,
            diverging: 0,
            seconds,
            faults: Vec::new(),
            said: String::new(),
        }
    }

    #[must_use]
    pub fn done(mut self, done: &Done) -> Self {
        self.passed = done.holds();
        self.offered = done.audited.offered;
        self.lost = done.audited.lost;
        self.doubled = done.audited.doubled;
        self.diverging = done.audited.diverging + done.audited.articles_diverging;
        self.faults.clone_from(&done.sometimes);
        if !self.passed {
            let said = done.ended.iter().cloned().chain([done.audited.to_string()]);
            self.said = said.collect::<Vec<_>>().join("; ");
        }
        self
    }

    #[must_use]
    pub fn failed(mut self, said: String) -> Self {
        self.passed = false;
        self.said = said;
        self
    }
}

/// The series that runs now, and its file.
#[derive(Debug)]
pub struct Results {
    file: PathBuf,
    entries: Vec<Entry>,
}

impl Results {
    /// A new series; the file of the one before is kept beside it.
    pub fn begin(file: &Path) -> Result<Self> {
        if file.exists() {
            let before = file.with_extension("before.jsonl");
            fs::rename(file, &before).with_context(|| before.display().to_string())?;
        }
        Ok(Self {
            file: file.to_owned(),
            entries: Vec::new(),
        })
    }

    /// The series of the file, as far as it is about this program.
    pub fn resume(file: &Path, commit: &str) -> Result<Self> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| file.display().to_string()),
        };
        // A line that was being written when it was interrupted is a run to make again.
        let entries = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Entry>(line).ok());
        Ok(Self {
            file: file.to_owned(),
            entries: entries.filter(|entry| entry.commit == commit).collect(),
        })
    }

    pub fn has(&self, case: &str, seed: u64) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.case == case && entry.seed == seed)
    }

    pub fn push(&mut self, entry: Entry) -> Result<()> {
        let line = serde_json::to_string(&entry).context("a result")?;
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.file)
            .with_context(|| self.file.display().to_string())?;
        // In front, in case the line before was cut off.
        writeln!(file, "\n{line}").with_context(|| self.file.display().to_string())?;
        self.entries.push(entry);
        Ok(())
    }

    pub fn failed(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.passed)
    }

    /// A row for each case, in the order of the names.
    pub fn table<'a>(&self, names: impl Iterator<Item = &'a str>) -> String {
        let mut text = format!(
            "{:<22}{:>5}{:>8}{:>7}{:>13}{:>6}{:>9}{:>11}{:>12}{:>19}\n",
            "case",
            "runs",
            "faults",
            "green",
            "transactions",
            "lost",
            "doubled",
            "diverging",
            "fault seen",
            "seconds"
        );
        for name in names {
            let runs: Vec<&Entry> = self.entries.iter().filter(|entry| entry.case == name).collect();
            if runs.is_empty() {
                continue;
            }
            let sum = |of: fn(&Entry) -> u64| runs.iter().map(|run| of(run)).sum::<u64>();
            let green = runs.iter().filter(|run| run.passed).count();
            let is_seen = |run: &&&Entry| !run.faults.is_empty() && run.faults.iter().all(|fault| fault.seen);
            let seen = runs.iter().filter(is_seen);
            let mut seconds: Vec<f64> = runs.iter().map(|run| run.seconds).collect();
            seconds.sort_by(f64::total_cmp);
            // A String takes all text.
            let _ = writeln!(
                text,
                "{name:<22}{:>5}{:>8}{green:>7}{:>13}{:>6}{:>9}{:>11}{:>12}{:>19}",
                runs.len(),
                sum(|run| run.rounds.into()),
                sum(|run| run.offered),
                sum(|run| run.lost),
                sum(|run| run.doubled),
                sum(|run| run.diverging),
                seen.count(),
                format!(
                    "{:.0} ({:.0} to {:.0})",
                    seconds[seconds.len() / 2],
                    seconds[0],
                    seconds[seconds.len() - 1]
                ),
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(case: &str, seed: u64, commit: &str, passed: bool) -> Entry {
        let entry = Entry {
            offered: 100,
            ..Entry::new(case, seed, 2, commit, 30.0 + seed as f64)
        };
        if passed { entry } else { entry.failed("why".into()) }
    }

    #[test]
    fn an_interrupted_series_goes_on_and_another_program_begins_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("results.jsonl");
        let mut results = Results::begin(&file).expect("a series");
        results
            .push(entry("broker-killed", 1, "abc", true))
            .expect("written");
        results
            .push(entry("broker-killed", 2, "abc", false))
            .expect("written");
        // Ended in the middle of a line.
        let whole = fs::read_to_string(&file).expect("read");
        fs::write(&file, format!("{whole}{{\"case\": \"broker-ki")).expect("written");

        let mut again = Results::resume(&file, "abc").expect("read");
        assert!(again.has("broker-killed", 1) && again.has("broker-killed", 2));
        assert!(!again.has("broker-killed", 3) && !again.has("broker-paused", 1));
        again
            .push(entry("broker-killed", 3, "abc", true))
            .expect("written");
        let again = Results::resume(&file, "abc").expect("read");
        assert!(
            again.has("broker-killed", 3),
            "the line behind a broken one is whole"
        );
        assert_eq!(again.failed().map(|entry| entry.seed).collect::<Vec<_>>(), [2]);

        assert!(
            !Results::resume(&file, "def")
                .expect("read")
                .has("broker-killed", 1)
        );
        let fresh = Results::begin(&file).expect("a series");
        assert!(!fresh.has("broker-killed", 1) && !file.exists());
        assert!(folder.path().join("results.before.jsonl").exists());
    }

    #[test]
    fn the_table_sums_up_each_case() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut results = Results::begin(&folder.path().join("results.jsonl")).expect("a series");
        for seed in 1..=3 {
            let faults = vec![
                Fault::new("it died", true),
                Fault::new("another went on", seed == 1),
            ];
            let entry = entry("b", seed, "abc", seed != 2);
            results.push(Entry { faults, ..entry }).expect("written");
        }
        let table = results.table(["a", "b"].into_iter());
        let rows: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows.len(), 2, "no row for what did not run: {table}");
        assert_eq!(
            rows[1],
            [
                "b", "3", "6", "2", "300", "0", "0", "0", "1", "32", "(31", "to", "33)"
            ]
        );
    }
}

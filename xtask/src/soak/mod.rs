//! The demo for an hour at a high rate, with a fault in each minute: nothing may be lost, and nothing may grow.
//!
//! Looks from outside: at the lines that the run prints, and at what the system says of its process.

mod judge;
mod sample;
mod scenario;
mod verdict;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::bench;
use judge::{Finding, Keys};
use sample::Sample;
use scenario::LINES_A_RECEIPT;
use verdict::Left;

/// Between two samples.
const EVERY_S: f64 = 10.0;
/// Receipts that show what the machine can do.
const PROBE: u64 = 400_000;
/// Of what it can do: the rest is for what a fault leaves behind.
const SHARE: f64 = 0.6;
const SKUS: u64 = 2_000;
const PARTITIONS: u64 = 6;
const CELLS_MAX: u64 = 1_500 * 260 + 12 * 2_000;
/// Windows and completeness of fewer than 30,000 sources, and what a few thousand acquisitions leave.
const OTHER_KEYS: u64 = 80_000;

#[derive(Debug, clap::Args)]
pub struct Soak {
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    minutes: u32,
    /// Movement lines a second; fewer where this machine cannot keep it.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    lines: u32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Try the program as it was built last.
    #[arg(long)]
    as_built: bool,
}

/// What is written beside the table.
#[derive(Serialize)]
struct Soaked<'a> {
    minutes: u32,
    seed: u64,
    lines_per_s_wanted: u32,
    lines_per_s_possible: f64,
    lines_per_s_asked: f64,
    samples: &'a [Sample],
    findings: &'a [Finding],
    report: &'a Value,
}

impl Soak {
    pub fn run(&self) -> Result<()> {
        if !self.as_built {
            bench::cargo(&["build", "--release", "--package", "tui"])?;
        }
        let folder = tempfile::tempdir().context("a scratch folder")?;
        let possible = probe(folder.path(), self.seed)?;
        let wanted = f64::from(self.lines);
        let asked = wanted.min(possible * SHARE);
        println!("unthrottled this machine does {possible:.0} lines a second now");
        if asked < wanted {
            println!(
                "{wanted:.0} lines a second leave it no room to recover from faults: the soak is at {asked:.0}, {:.0} % of \
                 what it can do",
                100.0 * SHARE
            );
        }
        let faults: Vec<&str> = scenario::FAULTS.iter().map(|fault| fault.name).collect();
        println!("a fault in each minute, in turn: {}", faults.join(", "));
        let receipts = (asked / LINES_A_RECEIPT) as u32;
        let text = scenario::soak(receipts, self.minutes);
        let mut run = Run::start(folder.path(), &text, self.seed)?;
        let samples = run.samples()?;
        let (status, report) = run.report()?;
        let trading: Vec<Sample> = samples
            .iter()
            .filter(|sample| sample.phase == "running")
            .cloned()
            .collect();
        let keys = Keys {
            cells: CELLS_MAX,
            skus: SKUS,
            partitions: PARTITIONS,
            others: OTHER_KEYS,
        };
        let findings = judge::findings(&trading, keys);
        let file = crate::root()
            .join("target")
            .join(format!("soak-{}-minutes.json", self.minutes));
        let soaked = Soaked {
            minutes: self.minutes,
            seed: self.seed,
            lines_per_s_wanted: self.lines,
            lines_per_s_possible: possible,
            lines_per_s_asked: asked,
            samples: &samples,
            findings: findings.as_deref().unwrap_or_default(),
            report: &report,
        };
        fs::write(&file, serde_json::to_vec_pretty(&soaked)?).with_context(|| file.display().to_string())?;
        println!("\nall samples and the report are in {}", file.display());
        self.judge(&Left {
            minutes: self.minutes,
            trading: &trading,
            findings: findings.as_deref(),
            status: status.code(),
            report: &report,
        })
    }

    fn judge(&self, left: &Left<'_>) -> Result<()> {
        match left.findings {
            Some(findings) => print_findings(findings),
            None => println!("\ntoo few samples to compare"),
        }
        if self.minutes < verdict::SETTLED_MINUTES {
            println!(
                "whether anything grows is judged from {} minutes on",
                verdict::SETTLED_MINUTES
            );
        }
        print_report(left);
        let wrong = verdict::wrong(left);
        ensure!(wrong.is_empty(), "the soak failed: {}", wrong.join("; "));
        Ok(())
    }
}

fn print_findings(findings: &[Finding]) {
    println!(
        "\n{:<38}{:>16}{:>14}{:>12}",
        "", "second quarter", "last quarter", "at most"
    );
    for finding in findings {
        println!(
            "{:<38}{:>16.1}{:>14.1}{:>12.1}{}",
            finding.what,
            finding.second_quarter,
            finding.last_quarter,
            finding.most,
            if finding.holds { "" } else { "  GROWS" }
        );
    }
}

fn print_report(left: &Left<'_>) {
    let number = |pointer| verdict::number(left.report, pointer);
    let shown = |number: Option<i64>| number.map_or_else(|| "–".to_owned(), |number| number.to_string());
    println!();
    for pointer in verdict::ZEROES {
        println!("{pointer:<38}{:>16}", shown(number(pointer)));
    }
    let faults = verdict::faults(left.report).map(|faults| faults as i64);
    println!("{} faults of {} ordered", shown(faults), left.minutes);
    println!("verdict {}", left.report["verdict"]);
    println!(
        "{} lines of {} transactions in {} minutes",
        shown(number("/offered/lines")),
        shown(number("/offered/transactions")),
        left.minutes
    );
}

/// Lines a second that the machine does when it does nothing else.
fn probe(folder: &Path, seed: u64) -> Result<f64> {
    let mut run = Run::start(folder, &scenario::probe(PROBE), seed)?;
    run.end()?;
    let (_, report) = run.report()?;
    let number = |pointer: &str| {
        let found = report.pointer(pointer).and_then(Value::as_f64);
        found.with_context(|| format!("the report has no {pointer}"))
    };
    Ok(
        number("/pacing/achieved_transactions_per_s")? * number("/offered/lines")?
            / number("/offered/transactions")?,
    )
}

/// A run of the demo. Dropping it ends it.
struct Run {
    child: Child,
    scratch: PathBuf,
    report: PathBuf,
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Run {
    fn start(folder: &Path, scenario: &str, seed: u64) -> Result<Self> {
        let file = folder.join("soak.yaml");
        let report = folder.join("report.json");
        let scratch = folder.join("scratch");
        fs::write(&file, scenario).with_context(|| file.display().to_string())?;
        fs::create_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
        let child = Command::new(bench::binary())
            .arg("run")
            .arg(&file)
            .args(["--headless", "--json", "--seed", &seed.to_string(), "--report"])
            .arg(&report)
            .current_dir(&scratch)
            .env("TMPDIR", &scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("stockstream run")?;
        Ok(Self {
            child,
            scratch,
            report,
        })
    }

    fn lines(&mut self) -> Result<impl Iterator<Item = String> + use<>> {
        let output = self.child.stdout.take().context("its output")?;
        Ok(BufReader::new(output).lines().map_while(std::io::Result::ok))
    }

    fn end(&mut self) -> Result<()> {
        self.lines()?.for_each(drop);
        Ok(())
    }

    /// One each ten seconds, printed as they come.
    fn samples(&mut self) -> Result<Vec<Sample>> {
        let pid = self.child.id();
        let mut samples: Vec<Sample> = Vec::new();
        for line in self.lines()? {
            let Some(mut sample) = sample::read(&line) else {
                continue;
            };
            if samples
                .last()
                .is_some_and(|last| sample.at_s < last.at_s + EVERY_S)
            {
                continue;
            }
            sample.look(pid, &self.scratch);
            if samples.is_empty() {
                println!("{}", head());
            }
            println!("{}", row(&sample));
            std::io::stdout().flush()?;
            samples.push(sample);
        }
        Ok(samples)
    }

    /// How it ended, and what it wrote.
    fn report(&mut self) -> Result<(ExitStatus, Value)> {
        let status = self.child.wait().context("stockstream run")?;
        let text = fs::read(&self.report)
            .with_context(|| format!("the run ended with {status} and left no report"))?;
        Ok((status, serde_json::from_slice(&text).context("the report")?))
    }
}

/// Topics of which a row tells.
const SHOWN: [&str; 4] = ["tlog.raw", "movements", "store.inventory", "item.partials"];

fn head() -> String {
    let mut text = format!(
        "{:>7} {:<9}{:>9}{:>9}{:>7}{:>7}{:>11}{:>11}{:>9}",
        "s", "phase", "RSS MiB", "broker", "open", "files", "lines/s", "diverging", "offline"
    );
    text.extend(SHOWN.map(|topic| format!("{topic:>18}")));
    text + "   MiB (thousand records)"
}

fn row(sample: &Sample) -> String {
    let mut text = format!(
        "{:>7.0} {:<9}{:>9.0}{:>9}{:>7}{:>7}{:>11.0}{:>11}{:>9}",
        sample.at_s,
        sample.phase,
        sample.rss_mib,
        sample.broker_mib,
        sample.descriptors,
        sample.files,
        sample.lines_per_s,
        sample.diverging,
        sample.stores_offline
    );
    text.extend(SHOWN.map(|topic| {
        let held = sample.topics.get(topic).cloned().unwrap_or_default();
        let held = format!("{} ({})", held.bytes >> 20, held.records / 1_000);
        format!("{held:>18}")
    }));
    text
}

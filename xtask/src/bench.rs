//! The figures that the documentation quotes, each measured by one command and printed with unit, count, cores and
//! backbone. Benchmarks, not tests: nothing here passes or fails, and absolute times depend on the machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// A name for the command line, what it measures, and how.
type Figure = (&'static str, &'static str, fn(&Bench) -> Result<()>);

/// All figures; a new one is a function and a line here.
const FIGURES: [Figure; 8] = [
    ("world", "the world with its encoding, into nothing", world),
    (
        "formats",
        "each wire format read and written, on one core",
        formats,
    ),
    (
        "skeleton",
        "the bare pipeline over the embedded broker, without state, HTTP, world and audit",
        skeleton,
    ),
    (
        "state-cost",
        "the store stage against the same counting without what makes it safe",
        state_cost,
    ),
    ("day", "a 5M-transaction day as fast as the system takes it", day),
    (
        "open-loop",
        "a million transactions a minute, by the clock",
        open_loop,
    ),
    ("idle", "Acme's real pace of 58 transactions a second", idle),
    ("screen", "the same run with and without the screen", screen),
];

#[derive(Debug, clap::Args)]
pub struct Bench {
    /// Which figures; all without one.
    figures: Vec<String>,
    /// Runs of each; the median is printed with minimum and maximum.
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// Only one place and transaction in N: to try the benchmark itself.
    #[arg(long, default_value_t = 1)]
    scale: u32,
}

impl Bench {
    pub fn run(&self) -> Result<()> {
        for name in &self.figures {
            ensure!(
                FIGURES.iter().any(|(known, ..)| known == name),
                "there is no figure `{name}`; there are {}",
                FIGURES.map(|(known, ..)| known).join(", ")
            );
        }
        cargo(&["build", "--release", "--package", "tui"])?;
        println!("machine: {} cores, {}", cores(), processor());
        for (name, about, measure) in FIGURES {
            if self.figures.is_empty() || self.figures.iter().any(|wanted| wanted == name) {
                println!("\n{name}: {about}");
                measure(self)?;
            }
        }
        Ok(())
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

pub fn cargo(arguments: &[&str]) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .status()
        .context("cargo")?;
    ensure!(status.success(), "cargo {} failed", arguments.join(" "));
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn processor() -> String {
    std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        })
        .unwrap_or_else(|| "processor unknown".into())
}

pub fn binary() -> PathBuf {
    root().join("target/release/stockstream")
}

/// Runs a scenario and gives its report. `screen` runs it in a pseudo terminal of util-linux' `script`.
fn report(bench: &Bench, scenario: &str, arguments: &[&str], screen: bool) -> Result<Value> {
    let folder = tempfile::tempdir().context("a scratch folder")?;
    let file = folder.path().join("report.json");
    let mut words: Vec<String> = vec![
        "run".into(),
        scenario.into(),
        "--report".into(),
        file.display().to_string(),
    ];
    words.extend(arguments.iter().map(|word| (*word).to_owned()));
    if bench.scale > 1 {
        words.extend(["--scale".into(), format!("1/{}", bench.scale)]);
    }
    let mut command = if screen {
        let line = format!(
            "stty cols 120 rows 40; {} {} --exit",
            binary().display(),
            words.join(" ")
        );
        let mut command = Command::new("script");
        command.args(["-q", "-e", "-c", &line, "/dev/null"]);
        command
    } else {
        let mut command = Command::new(binary());
        command.args(&words).arg("--headless");
        command
    };
    // Open to the end: `script` is busy where its input has ended.
    let mut child = command
        .stdout(Stdio::null())
        .stdin(Stdio::piped())
        .current_dir(root())
        .spawn()
        .context("stockstream run")?;
    let input = child.stdin.take();
    let status = child.wait().context("stockstream run")?;
    drop(input);
    let text =
        std::fs::read(&file).with_context(|| format!("the run ended with {status} and left no report"))?;
    let value: Value = serde_json::from_slice(&text).context("the report")?;
    if !status.success() {
        println!("  note: the run ended with {status}: {}", value["verdict"]);
    }
    Ok(value)
}

fn number(report: &Value, path: &str) -> Result<f64> {
    report
        .pointer(path)
        .and_then(Value::as_f64)
        .with_context(|| format!("the report has no number at {path}"))
}

/// Prints the median with minimum and maximum.
fn print(what: &str, unit: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let (Some(min), Some(max)) = (values.first(), values.last()) else {
        return;
    };
    let median = values[values.len() / 2];
    println!(
        "  {what:<46} {median:>12.2} {unit:<34} n={} min {min:.2} max {max:.2}",
        values.len()
    );
}

fn runs(bench: &Bench, scenario: &str, arguments: &[&str]) -> Result<Vec<Value>> {
    (0..bench.runs)
        .map(|_| report(bench, scenario, arguments, false))
        .collect()
}

fn column(reports: &[Value], path: &str) -> Result<Vec<f64>> {
    reports.iter().map(|report| number(report, path)).collect()
}

fn world(bench: &Bench) -> Result<()> {
    example(bench, "world", "speed")
}

fn formats(bench: &Bench) -> Result<()> {
    ["record_costs", "poslog_costs", "epcis_costs"]
        .iter()
        .try_for_each(|name| example(bench, "contracts", name))
}

fn skeleton(bench: &Bench) -> Result<()> {
    example(bench, "embedded", "skeleton")
}

fn state_cost(bench: &Bench) -> Result<()> {
    example(bench, "inventory", "state_cost")
}

/// Prints its figures itself.
fn example(bench: &Bench, package: &str, name: &str) -> Result<()> {
    for _ in 0..bench.runs {
        cargo(&[
            "run",
            "--release",
            "--quiet",
            "--package",
            package,
            "--example",
            name,
        ])?;
    }
    Ok(())
}

fn day(bench: &Bench) -> Result<()> {
    let reports = runs(bench, "day-in-a-minute", &[])?;
    print(
        "wall time",
        "s, embedded backbone",
        column(&reports, "/run/wall_seconds")?,
    );
    print("transactions", "", column(&reports, "/offered/transactions")?);
    print("lines", "", column(&reports, "/offered/lines")?);
    print(
        "CPU of the whole process",
        "CPU s a million transactions",
        column(&reports, "/resources/cpu_seconds_per_million_transactions")?,
    );
    print(
        "resident memory at most",
        "MiB",
        column(&reports, "/resources/rss_mib_max")?,
    );
    audit(&reports)?;
    if let Some(threads) = reports
        .last()
        .and_then(|r| r.pointer("/resources/cpu_seconds_by_thread")?.as_object())
    {
        for (name, seconds) in threads {
            if seconds.as_f64().is_some_and(|s| s >= 0.5) {
                println!("    thread {name:<18} {seconds:>8} CPU s");
            }
        }
    }
    Ok(())
}

fn audit(reports: &[Value]) -> Result<()> {
    for path in [
        "/audit/cells_compared",
        "/audit/cells_diverging",
        "/audit/transactions_lost",
        "/audit/transactions_doubled",
    ] {
        print(path, "", column(reports, path)?);
    }
    Ok(())
}

fn open_loop(bench: &Bench) -> Result<()> {
    let reports = runs(bench, "million-a-minute", &[])?;
    print("freshness p50", "ms", column(&reports, "/freshness_ms/p50")?);
    print("freshness p99", "ms", column(&reports, "/freshness_ms/p99")?);
    print(
        "freshness samples",
        "lines",
        column(&reports, "/freshness_ms/count")?,
    );
    print(
        "offered",
        "transactions/s",
        column(&reports, "/pacing/offered_transactions_per_s")?,
    );
    print(
        "achieved",
        "transactions/s",
        column(&reports, "/pacing/achieved_transactions_per_s")?,
    );
    print(
        "CPU of the whole process",
        "CPU s a million transactions",
        column(&reports, "/resources/cpu_seconds_per_million_transactions")?,
    );
    audit(&reports)
}

fn idle(bench: &Bench) -> Result<()> {
    let file = root().join("xtask/scenarios/idle.yaml");
    let reports = runs(bench, &file.display().to_string(), &[])?;
    let share = reports
        .iter()
        .map(|report| Ok(100.0 * number(report, "/resources/cores_used_median")?))
        .collect::<Result<Vec<_>>>()?;
    print("CPU at 58 transactions a second", "% of one core", share);
    Ok(())
}

fn screen(bench: &Bench) -> Result<()> {
    if Command::new("script").arg("--version").output().is_err() {
        bail!("needs `script` of util-linux for a pseudo terminal");
    }
    let mut ratios = Vec::new();
    for index in 0..bench.runs.max(3) {
        let seconds = |screen| {
            let report = report(bench, "day-in-a-minute", &["--transactions", "1000000"], screen)?;
            number(&report, "/run/wall_seconds")
        };
        // Neither is always the first.
        let (with, without) = if index % 2 == 0 {
            let without = seconds(false)?;
            (seconds(true)?, without)
        } else {
            (seconds(true)?, seconds(false)?)
        };
        ratios.push(100.0 * (with / without - 1.0));
    }
    print(
        "longer with the screen, 1M transactions",
        "% of wall time",
        ratios,
    );
    Ok(())
}

//! The library of faults, examined: each fault broken and mended in a small world, with seed after seed, and what came of it.
//!
//! A case is one run of the release binary with a scenario made for it: a steady rate, the fault, its mending, and the
//! audit. The seed draws what is broken (which node, service, data centre), so twenty seeds are no twenty times the same.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::Value;

const FULL: &str = "/dev/full";
/// The status of a run that passed and could not write its report.
const UNWRITTEN: i32 = 2;

#[derive(Debug, clap::Args)]
pub struct Faults {
    /// Runs of each fault.
    #[arg(long, default_value_t = 20)]
    seeds: u32,
    /// Only this fault, by its name.
    #[arg(long)]
    fault: Option<String>,
    /// Only this seed.
    #[arg(long)]
    seed: Option<u32>,
    /// Runs at a time: a run waits more than it works.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: u32,
}

/// What the runs of one fault gave.
#[derive(Debug, Default)]
struct Sum {
    runs: u32,
    hit: u32,
    lost: u64,
    doubled: u64,
    diverging: u64,
    repaired: u64,
    rebuilt: u64,
    converged_s: Vec<f64>,
    /// Runs that went wrong, each with what was wrong and what repeats it.
    wrong: Vec<String>,
}

impl Faults {
    pub fn run(&self) -> Result<()> {
        crate::bench::cargo(&["build", "--release", "--package", "tui"])?;
        let names = names()?;
        let wanted: Vec<&String> = names
            .iter()
            .filter(|name| self.fault.as_ref().is_none_or(|wanted| wanted == *name))
            .collect();
        if wanted.is_empty() {
            bail!(
                "there is no fault {}; there are {}",
                self.fault.as_deref().unwrap_or_default(),
                names.join(", ")
            );
        }
        let seeds: Vec<u32> = match self.seed {
            Some(seed) => vec![seed],
            None => (1..=self.seeds).collect(),
        };
        println!(
            "{:<22} {:>5} {:>5} {:>7} {:>9} {:>8} {:>7} {:>9} {:>8} {:>9}",
            "fault",
            "runs",
            "lost",
            "doubled",
            "diverging",
            "repaired",
            "rebuilt",
            "median s",
            "max s",
            "happened"
        );
        let mut wrong = Vec::new();
        for name in wanted {
            let mut sum = self.examine(name, &seeds)?;
            println!("{}", sum.line(name));
            wrong.append(&mut sum.wrong);
        }
        ensure!(
            wrong.is_empty(),
            "{} runs went wrong; each is repeated by its command\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        Ok(())
    }
}

impl Faults {
    fn examine(&self, name: &str, seeds: &[u32]) -> Result<Sum> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<Sum> {
            let mut sum = Sum::default();
            while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                case(name, *seed, &mut sum)?;
            }
            Ok(sum)
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.jobs).map(|_| scope.spawn(work)).collect();
            let mut whole = Sum::default();
            for worker in workers {
                let sum = worker.join().map_err(|_| anyhow!("a run's thread panicked"))??;
                whole.add(sum);
            }
            Ok(whole)
        })
    }
}

fn case(name: &str, seed: u32, sum: &mut Sum) -> Result<()> {
    let folder = tempfile::tempdir().context("a scratch folder")?;
    let scenario = folder.path().join(format!("{name}-{seed}.yaml"));
    let yaml = stockstream(&["faults", "--case", name, "--seed", &seed.to_string()])?;
    std::fs::write(&scenario, yaml).with_context(|| scenario.display().to_string())?;
    sum.runs += 1;
    let problem = if name == "disk-full" {
        disk_full(&scenario, sum)?
    } else {
        broken(name, &scenario, &folder.path().join("report.json"), sum)?
    };
    if let Some(problem) = problem {
        sum.wrong.push(format!(
            "  cargo xtask faults --fault {name} --seed {seed}    # {problem}"
        ));
    }
    Ok(())
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.hit += other.hit;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.diverging += other.diverging;
        self.repaired += other.repaired;
        self.rebuilt += other.rebuilt;
        self.converged_s.extend(other.converged_s);
        self.wrong.extend(other.wrong);
    }

    fn line(&mut self, name: &str) -> String {
        self.converged_s.sort_by(f64::total_cmp);
        let seconds = |value: Option<&f64>| value.map_or_else(|| "–".into(), |value| format!("{value:.1}"));
        let mark = if self.wrong.is_empty() { "" } else { "  WRONG" };
        format!(
            "{name:<22} {:>5} {:>5} {:>7} {:>9} {:>8} {:>7} {:>9} {:>8} {:>9}{mark}",
            self.runs,
            self.lost,
            self.doubled,
            self.diverging,
            self.repaired,
            self.rebuilt,
            seconds(self.converged_s.get(self.converged_s.len() / 2)),
            seconds(self.converged_s.last()),
            format!("{}/{}", self.hit, self.runs),
        )
    }
}

/// What the binary prints.
fn stockstream(arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(crate::bench::binary())
        .args(arguments)
        .output()
        .context("stockstream")?;
    ensure!(
        output.status.success(),
        "stockstream {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

/// Names of all faults, as the binary has them.
fn names() -> Result<Vec<String>> {
    let rows: Vec<Value> = serde_json::from_slice(&stockstream(&["faults", "--json"])?)?;
    let names = rows.iter().filter_map(|row| row["name"].as_str());
    Ok(names.map(str::to_owned).collect())
}

/// What was wrong, if anything was.
fn broken(name: &str, scenario: &Path, file: &Path, sum: &mut Sum) -> Result<Option<String>> {
    let output = Command::new(crate::bench::binary())
        .arg("run")
        .arg(scenario)
        .args(["--headless", "--report"])
        .arg(file)
        .output()
        .context("stockstream run")?;
    let Some(code) = output.status.code() else {
        return Ok(Some("ended by a signal".into()));
    };
    let report: Option<Value> = std::fs::read(file)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    let Some(report) = report else {
        let error = String::from_utf8_lossy(&output.stderr);
        return Ok(Some(format!(
            "no report, status {code}: {}",
            error.lines().last().unwrap_or_default()
        )));
    };
    let number = |path: &str| {
        let found = report.pointer(path).and_then(Value::as_u64);
        found.with_context(|| format!("the report has no {path}"))
    };
    let lost = number("/audit/transactions_lost")?;
    let doubled = number("/audit/transactions_doubled")?;
    let diverging = number("/audit/cells_diverging")? + number("/audit/items_diverging")?;
    sum.lost += lost;
    sum.doubled += doubled;
    sum.diverging += diverging;
    sum.repaired += number("/recovery/zombie_writes_repaired")?;
    sum.rebuilt += number("/recovery/partitions_rebuilt")?;
    if lost + doubled + diverging > 0 {
        return Ok(Some(format!(
            "{lost} lost, {doubled} doubled, {diverging} diverging"
        )));
    }
    let outbreak = &report["faults"][0];
    if let Some(unseen) = unseen(name, outbreak) {
        return Ok(Some(unseen.to_owned()));
    }
    sum.hit += 1;
    sum.converged_s.extend(outbreak["converged_after_s"].as_f64());
    if code == 0 || is_only_late(code) {
        return Ok(None);
    }
    Ok(Some(format!(
        "status {code}: {}",
        report["verdict"]["reasons"][0]
    )))
}

/// What an outbreak does not show that it has to.
fn unseen(name: &str, outbreak: &Value) -> Option<&'static str> {
    if outbreak["name"] != name {
        Some("something else was broken")
    } else if outbreak["hits"].as_u64().unwrap_or_default() == 0 {
        Some("it never happened")
    } else if !outbreak["mended_at_s"].is_number() {
        Some("it was never mended")
    } else if !outbreak["converged_after_s"].is_number() {
        Some("the view never came right behind its mending")
    } else {
        None
    }
}

/// A machine that is busy with others makes the generator late, which says nothing about what is examined here.
const fn is_only_late(code: i32) -> bool {
    code == 3
}

/// The verdict is there, the error names the file, and the status is that of a run that lacks nothing but its report.
fn disk_full(scenario: &Path, sum: &mut Sum) -> Result<Option<String>> {
    if !Path::new(FULL).exists() {
        println!("disk-full: skipped, there is no {FULL} here");
        sum.hit += 1;
        return Ok(None);
    }
    let output = Command::new(crate::bench::binary())
        .arg("run")
        .arg(scenario)
        .args(["--headless", "--report", FULL])
        .output()
        .context("stockstream run")?;
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    sum.hit += u32::from(error.contains(FULL));
    Ok(wrong_on_a_full_disk(output.status.code(), &out, &error))
}

fn wrong_on_a_full_disk(code: Option<i32>, out: &str, error: &str) -> Option<String> {
    if !error.contains(FULL) {
        return Some(format!("the error does not name the file: {error}"));
    }
    if !out.contains("cells compared") {
        return Some("no verdict".into());
    }
    match code {
        None => Some("ended by a signal".into()),
        Some(0) => Some("the status is that of a whole run".into()),
        Some(code) if code == UNWRITTEN || is_only_late(code) => None,
        Some(code) => Some(format!(
            "status {code}, not {UNWRITTEN} of a run that passed and could not write its report"
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_outbreak_has_to_have_happened_to_have_ended_and_to_be_over() {
        let whole = json!({"name": "node-lost", "hits": 3, "mended_at_s": 9.5, "converged_after_s": 0.2});
        assert_eq!(unseen("node-lost", &whole), None);
        assert!(unseen("late", &whole).is_some());
        for (key, value) in [
            ("hits", json!(0)),
            ("mended_at_s", Value::Null),
            ("converged_after_s", Value::Null),
        ] {
            let mut less = whole.clone();
            less[key] = value;
            assert!(unseen("node-lost", &less).is_some(), "{key}");
        }
        assert!(unseen("node-lost", &Value::Null).is_some());
    }

    #[test]
    fn a_full_disk_may_cost_the_report_and_nothing_else() {
        let wrong = |code| wrong_on_a_full_disk(code, "7 cells compared", "/dev/full: no room");
        assert_eq!(wrong(Some(2)), None);
        assert_eq!(wrong(Some(3)), None, "the machine was late");
        for code in [None, Some(0), Some(1), Some(101), Some(130)] {
            assert!(wrong(code).is_some(), "{code:?}");
        }
        assert!(wrong_on_a_full_disk(Some(2), "", "/dev/full: no room").is_some());
        assert!(wrong_on_a_full_disk(Some(2), "7 cells compared", "no such scenario").is_some());
    }
}

//! The proof, examined: every class of damage in every stage, in the running demo, and how much of it the audit found.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

const CLASSES: [&str; 6] = ["drop", "double", "alter", "misroute", "stale", "lie"];
/// Stages, and one in how many is damaged, so that a small run has some of each.
const STAGES: [(&str, u32); 5] = [
    ("store-gateway", 1_500),
    ("mq-source", 60),
    ("normaliser", 1_500),
    ("inventory", 1_500),
    ("item-inventory", 200),
];
/// A world that is done in seconds.
const RUN: [&str; 5] = ["day-in-a-minute", "--scale", "1/300", "--transactions", "6000"];

#[derive(Debug, clap::Args)]
pub struct Sabotage {
    /// Runs of each class in each stage, and clean runs.
    #[arg(long, default_value_t = 1)]
    seeds: u32,
    /// Only this class.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(CLASSES))]
    class: Option<String>,
}

/// What the runs of one class in one stage gave.
#[derive(Debug, Default)]
struct Sum {
    expected: String,
    damaged: u64,
    found: u64,
    /// Runs whose verdict was not the expected one, or that missed something, each with what repeats it.
    wrong: Vec<String>,
}

impl Sabotage {
    pub fn run(&self) -> Result<()> {
        crate::bench::cargo(&["build", "--release", "--package", "tui"])?;
        println!(
            "{} runs of each; found of damaged, by transactions or articles\n",
            self.seeds
        );
        print!("{:<10}", "");
        for (stage, _) in STAGES {
            print!("{stage:>22}");
        }
        println!();
        let mut wrong = Vec::new();
        for class in CLASSES {
            if self.class.as_deref().is_some_and(|wanted| wanted != class) {
                continue;
            }
            print!("{class:<10}");
            for (stage, one_in) in STAGES {
                let cell = match self.sum(&format!("{class}:1/{one_in}@{stage}"))? {
                    None => "not applicable".to_owned(),
                    Some(sum) => {
                        let mark = if sum.wrong.is_empty() { "" } else { " WRONG" };
                        wrong.extend(sum.wrong);
                        match sum.expected.as_str() {
                            "red" => format!("red {}/{}{mark}", sum.found, sum.damaged),
                            other => format!("{other} {}{mark}", sum.damaged),
                        }
                    }
                };
                print!("{cell:>22}");
                std::io::Write::flush(&mut std::io::stdout())?;
            }
            println!();
        }
        let alarms = self.clean(&mut wrong)?;
        println!("\nclean runs {}, false alarms {alarms}", self.seeds);
        ensure!(
            wrong.is_empty(),
            "{} runs went wrong; each is repeated by\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        Ok(())
    }

    /// `None`: the stage does not have the class.
    fn sum(&self, planted: &str) -> Result<Option<Sum>> {
        let mut sum = Sum::default();
        for seed in 1..=self.seeds {
            let (code, report) = run(seed, &["--sabotage", planted])?;
            let Some(report) = report.filter(|_| code != 2) else {
                ensure!(
                    code == 2,
                    "{planted}, seed {seed}: ended with {code} and left no report"
                );
                return Ok(None);
            };
            let exam = &report["sabotage"];
            let number = |name: &str| exam[name].as_u64().unwrap_or_default();
            let (damaged, found) = (number("damaged"), number("found"));
            exam["expected"]
                .as_str()
                .unwrap_or("?")
                .clone_into(&mut sum.expected);
            sum.damaged += damaged;
            sum.found += found;
            let is_right = match sum.expected.as_str() {
                // A seed that hits nothing proves nothing, and is green.
                "red" if damaged > 0 => code == 1 && found == damaged,
                _ => code == 0,
            };
            if !is_right {
                sum.wrong.push(repeat(seed, &["--sabotage", planted]));
            }
        }
        Ok(Some(sum))
    }

    fn clean(&self, wrong: &mut Vec<String>) -> Result<u32> {
        let mut alarms = 0;
        for seed in 1..=self.seeds {
            if run(seed, &[])?.0 != 0 {
                alarms += 1;
                wrong.push(repeat(seed, &[]));
            }
        }
        Ok(alarms)
    }
}

fn words(seed: u32, more: &[&str]) -> Vec<String> {
    let mut words = vec!["run".to_owned()];
    words.extend(RUN.map(str::to_owned));
    words.extend(["--seed".to_owned(), seed.to_string(), "--headless".to_owned()]);
    words.extend(more.iter().map(|word| (*word).to_owned()));
    words
}

fn repeat(seed: u32, more: &[&str]) -> String {
    format!("  target/release/stockstream {}", words(seed, more).join(" "))
}

/// Exit status, and the report if there is one.
fn run(seed: u32, more: &[&str]) -> Result<(i32, Option<Value>)> {
    let folder = tempfile::tempdir().context("a scratch folder")?;
    let file = folder.path().join("report.json");
    let output = Command::new(crate::bench::binary())
        .args(words(seed, more))
        .arg("--report")
        .arg(&file)
        .output()
        .context("stockstream run")?;
    let code = output
        .status
        .code()
        .context("stockstream was ended by a signal")?;
    Ok((code, read(&file)))
}

fn read(file: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

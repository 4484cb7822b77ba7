//! The proof, examined: every class of damage in every stage, in the running demo, and how much of it the audit found.

use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, ensure};
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
    /// Runs at the same time: most of one is waiting until nothing moves any more. Two for each core by default.
    #[arg(long)]
    jobs: Option<NonZero<usize>>,
    /// Try the program as it was built last.
    #[arg(long)]
    as_built: bool,
}

/// A run to make: damage of a stage, or none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Task {
    /// Into the classes and the stages; `None`: a clean run.
    damage: Option<(usize, usize)>,
    seed: u32,
}

impl Task {
    fn planted(&self) -> Option<String> {
        let (class, stage) = self.damage?;
        let (stage, one_in) = STAGES[stage];
        Some(format!("{}:1/{one_in}@{stage}", CLASSES[class]))
    }

    fn arguments(&self) -> Vec<String> {
        let planted = self.planted();
        planted.map_or_else(Vec::new, |planted| vec!["--sabotage".to_owned(), planted])
    }
}

/// What came of a run.
#[derive(Debug)]
struct Outcome {
    /// `not applicable`, `red`, or what else was to come of it.
    expected: String,
    damaged: u64,
    found: u64,
    is_right: bool,
    seconds: f64,
}

impl Sabotage {
    pub fn run(&self) -> Result<()> {
        if !self.as_built {
            crate::bench::cargo(&["build", "--release", "--package", "tui"])?;
        }
        let began = Instant::now();
        let tasks = self.tasks();
        let cores = std::thread::available_parallelism().map_or(2, NonZero::get);
        let jobs = self.jobs.map_or(cores * 2, NonZero::get);
        println!("{} runs, {jobs} at a time", tasks.len());
        let outcomes = all(&tasks, jobs)?;
        println!(
            "\nfound of damaged, by transactions or articles; {} seeds each\n",
            self.seeds
        );
        println!("{}", table(&outcomes));
        let clean: Vec<_> = outcomes
            .iter()
            .filter(|(task, _)| task.damage.is_none())
            .collect();
        let alarms = clean.iter().filter(|(_, outcome)| !outcome.is_right).count();
        println!("clean runs {}, false alarms {alarms}", clean.len());
        let seconds: f64 = outcomes.iter().map(|(_, outcome)| outcome.seconds).sum();
        println!(
            "{:.1} s a run, {:.0} s for all of them",
            seconds / outcomes.len() as f64,
            began.elapsed().as_secs_f64()
        );
        let wrong: Vec<String> = outcomes
            .iter()
            .filter(|(_, outcome)| !outcome.is_right)
            .map(|(task, _)| repeat(task))
            .collect();
        ensure!(
            wrong.is_empty(),
            "{} runs went wrong; each is repeated by\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        Ok(())
    }

    /// All of a seed before the next one.
    fn tasks(&self) -> Vec<Task> {
        let is_wanted = |class: &usize| {
            self.class
                .as_deref()
                .is_none_or(|wanted| wanted == CLASSES[*class])
        };
        let classes: Vec<usize> = (0..CLASSES.len()).filter(is_wanted).collect();
        let damages = classes
            .iter()
            .flat_map(|class| (0..STAGES.len()).map(|stage| Some((*class, stage))));
        let damages: Vec<_> = damages.chain([None]).collect();
        (1..=self.seeds)
            .flat_map(|seed| {
                damages.iter().map(move |damage| Task {
                    damage: *damage,
                    seed,
                })
            })
            .collect()
    }
}

/// Makes all runs, some at a time.
fn all(tasks: &[Task], jobs: usize) -> Result<Vec<(Task, Outcome)>> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(Task, Outcome)>> {
        let mut done = Vec::new();
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = examine(task)?;
            if !outcome.is_right {
                println!("WRONG {}", repeat(task));
            }
            done.push((task.clone(), outcome));
        }
        Ok(done)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let mut outcomes = Vec::new();
        for worker in workers {
            let done = worker.join().map_err(|_| anyhow!("a worker panicked"))?;
            outcomes.extend(done?);
        }
        outcomes.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(outcomes)
    })
}

fn examine(task: &Task) -> Result<Outcome> {
    let began = Instant::now();
    let (code, report) = run(task)?;
    let seconds = began.elapsed().as_secs_f64();
    let outcome = |expected: &str, is_right| Outcome {
        expected: expected.to_owned(),
        damaged: 0,
        found: 0,
        is_right,
        seconds,
    };
    if task.damage.is_none() {
        return Ok(outcome("green", code == 0));
    }
    let Some(report) = report.filter(|_| code != 2) else {
        ensure!(
            code == 2,
            "{}\nended with {code} and left no report",
            repeat(task)
        );
        return Ok(outcome("not applicable", true));
    };
    let exam = &report["sabotage"];
    let number = |name: &str| exam[name].as_u64().unwrap_or_default();
    let (damaged, found) = (number("damaged"), number("found"));
    let expected = exam["expected"].as_str().unwrap_or("?");
    let is_right = match expected {
        // A seed that hits nothing proves nothing, and is green.
        "red" if damaged > 0 => code == 1 && found == damaged,
        _ => code == 0,
    };
    Ok(Outcome {
        damaged,
        found,
        ..outcome(expected, is_right)
    })
}

fn table(outcomes: &[(Task, Outcome)]) -> String {
    let mut text = format!("{:<10}", "");
    text.extend(STAGES.map(|(stage, _)| format!("{stage:>22}")));
    for (class, name) in CLASSES.iter().enumerate() {
        if outcomes
            .iter()
            .any(|(task, _)| task.damage.is_some_and(|damage| damage.0 == class))
        {
            let of_stage = |stage| {
                let runs = outcomes
                    .iter()
                    .filter(|(task, _)| task.damage == Some((class, stage)));
                format!("{:>22}", cell(runs.map(|(_, outcome)| outcome)))
            };
            text.extend([format!("\n{name:<10}")]);
            text.extend((0..STAGES.len()).map(of_stage));
        }
    }
    text + "\n"
}

fn cell<'a>(runs: impl Iterator<Item = &'a Outcome>) -> String {
    let (mut damaged, mut found, mut expected, mut mark) = (0, 0, "", "");
    for run in runs {
        damaged += run.damaged;
        found += run.found;
        expected = &run.expected;
        if !run.is_right {
            mark = " WRONG";
        }
    }
    match expected {
        "not applicable" => expected.to_owned(),
        "red" => format!("red {found}/{damaged}{mark}"),
        other => format!("{other} {damaged}{mark}"),
    }
}

fn words(task: &Task) -> Vec<String> {
    let mut words = vec!["run".to_owned()];
    words.extend(RUN.map(str::to_owned));
    words.extend([
        "--seed".to_owned(),
        task.seed.to_string(),
        "--headless".to_owned(),
    ]);
    words.extend(task.arguments());
    words
}

fn repeat(task: &Task) -> String {
    format!("  target/release/stockstream {}", words(task).join(" "))
}

/// Exit status, and the report if there is one.
fn run(task: &Task) -> Result<(i32, Option<Value>)> {
    let folder = tempfile::tempdir().context("a scratch folder")?;
    let file = folder.path().join("report.json");
    let output = Command::new(crate::bench::binary())
        .args(words(task))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sabotage(seeds: u32, class: Option<&str>) -> Sabotage {
        Sabotage {
            seeds,
            class: class.map(str::to_owned),
            jobs: None,
            as_built: true,
        }
    }

    #[test]
    fn each_seed_has_every_damage_and_a_clean_run() {
        let tasks = sabotage(3, None).tasks();
        assert_eq!(tasks.len(), 3 * (CLASSES.len() * STAGES.len() + 1));
        assert_eq!(tasks.iter().filter(|task| task.damage.is_none()).count(), 3);
        let of_class = sabotage(2, Some("lie")).tasks();
        assert_eq!(of_class.len(), 2 * (STAGES.len() + 1));
        assert_eq!(of_class[0].planted().as_deref(), Some("lie:1/1500@store-gateway"));
    }

    #[test]
    fn a_cell_of_the_table_sums_up_its_runs_and_marks_one_that_is_wrong() {
        let run = |expected: &str, found, is_right| Outcome {
            expected: expected.to_owned(),
            damaged: 4,
            found,
            is_right,
            seconds: 1.0,
        };
        let cell = |runs: &[Outcome]| cell(runs.iter());
        assert_eq!(cell(&[run("red", 4, true), run("red", 4, true)]), "red 8/8");
        assert_eq!(
            cell(&[run("red", 3, false), run("red", 4, true)]),
            "red 7/8 WRONG"
        );
        assert_eq!(cell(&[run("healed", 0, true)]), "healed 4");
        assert_eq!(cell(&[run("not applicable", 0, true)]), "not applicable");
    }
}

//! The proof, examined: every class of damage in every stage, in the running demo, and how much of it the audit found.

use std::collections::BTreeMap;
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
/// What must come of a class in a stage, as docs/sabotage.md has it and not as the program that is examined has it.
const EFFECTS: [[Effect; STAGES.len()]; CLASSES.len()] = {
    use Effect::{Healed, NotApplicable, Red};
    [
        [Red, Red, Red, Red, Red],
        [Healed, Healed, Healed, Red, Red],
        [Red, Red, Red, Red, Red],
        [Red, Red, Red, Red, Red],
        [NotApplicable, NotApplicable, NotApplicable, Red, Red],
        [NotApplicable, NotApplicable, NotApplicable, Red, Red],
    ]
};
/// The status of a command line that is refused.
const REFUSED: i32 = 2;
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Red,
    Healed,
    NotApplicable,
}

impl Effect {
    const fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Healed => "healed",
            Self::NotApplicable => "not applicable",
        }
    }
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
    expected: &'static str,
    damaged: u64,
    found: u64,
    /// What did not come as expected.
    wrong: Option<String>,
    seconds: f64,
}

impl Outcome {
    const fn new(expected: &'static str, wrong: Option<String>) -> Self {
        Self {
            expected,
            damaged: 0,
            found: 0,
            wrong,
            seconds: 0.0,
        }
    }
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
        let alarms = clean
            .iter()
            .filter(|(_, outcome)| outcome.wrong.is_some())
            .count();
        println!("clean runs {}, false alarms {alarms}", clean.len());
        let seconds: f64 = outcomes.iter().map(|(_, outcome)| outcome.seconds).sum();
        println!(
            "{:.1} s a run, {:.0} s for all of them",
            seconds / outcomes.len() as f64,
            began.elapsed().as_secs_f64()
        );
        let runs = outcomes.iter().filter_map(|(task, outcome)| {
            let wrong = outcome.wrong.as_ref()?;
            Some(format!("{}    # {wrong}", repeat(task)))
        });
        let wrong: Vec<String> = runs.chain(not_examined(&outcomes)).collect();
        ensure!(
            wrong.is_empty(),
            "{} runs or cells went wrong; a run is repeated by its command\n{}",
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
            if let Some(wrong) = &outcome.wrong {
                println!("WRONG {}    # {wrong}", repeat(task));
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
    Ok(Outcome {
        seconds: began.elapsed().as_secs_f64(),
        ..judge(task.damage, code, report.as_ref())
    })
}

fn judge(damage: Option<(usize, usize)>, code: i32, report: Option<&Value>) -> Outcome {
    let status = || format!("status {code}");
    let Some((class, stage)) = damage else {
        return Outcome::new("green", (code != 0).then(status));
    };
    let effect = EFFECTS[class][stage];
    if effect == Effect::NotApplicable {
        let is_refused = code == REFUSED && report.is_none();
        let wrong = (!is_refused).then(|| format!("status {code} of what must be refused"));
        return Outcome::new(effect.word(), wrong);
    }
    let exam = report.map(|report| &report["sabotage"]).and_then(Exam::read);
    let Some(exam) = exam else {
        let wrong = format!("status {code} and no report of what was damaged");
        return Outcome::new(effect.word(), Some(wrong));
    };
    Outcome {
        damaged: exam.damaged,
        found: exam.found,
        ..Outcome::new(effect.word(), exam.wrong(effect, code))
    }
}

/// What a report says of the damage: transactions, articles, or sources that are lied about.
struct Exam<'a> {
    expected: &'a str,
    damaged: u64,
    /// Of the damaged, those that the audit names.
    found: u64,
    /// Named and not damaged; without what a misrouted or a stale thing did to others, which is no false alarm.
    unexpected: &'a [Value],
}

impl<'a> Exam<'a> {
    fn read(exam: &'a Value) -> Option<Self> {
        Some(Self {
            expected: exam["expected"].as_str()?,
            damaged: exam["damaged"].as_u64()?,
            found: exam["found"].as_u64()?,
            unexpected: exam["unexpected"].as_array()?,
        })
    }

    /// The damaged and the named are the same, and the status says whether there are any.
    fn wrong(&self, effect: Effect, code: i32) -> Option<String> {
        // A seed that hits nothing proves nothing, and is green.
        let is_red = effect == Effect::Red && self.damaged > 0;
        let to_find = if is_red { self.damaged } else { 0 };
        if self.expected != effect.word() {
            Some(format!("the report expects it to be {}", self.expected))
        } else if code != i32::from(is_red) {
            Some(format!("status {code}"))
        } else if self.found != to_find {
            Some(format!("{} named of {to_find}", self.found))
        } else {
            let first = self.unexpected.first()?;
            Some(format!(
                "{} named that nothing damaged, the first {first}",
                self.unexpected.len()
            ))
        }
    }
}

/// Cells of the table in which no run damaged anything.
fn not_examined(outcomes: &[(Task, Outcome)]) -> Vec<String> {
    let mut damaged: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    for (task, outcome) in outcomes {
        if let Some((class, stage)) = task.damage
            && EFFECTS[class][stage] != Effect::NotApplicable
        {
            *damaged.entry((class, stage)).or_default() += outcome.damaged;
        }
    }
    damaged.retain(|_, damaged| *damaged == 0);
    damaged
        .into_keys()
        .map(|(class, stage)| {
            format!(
                "  {} in {}: nothing was damaged; take more seeds",
                CLASSES[class], STAGES[stage].0
            )
        })
        .collect()
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
    let (mut damaged, mut found, mut expected, mut is_wrong) = (0, 0, "", false);
    for run in runs {
        damaged += run.damaged;
        found += run.found;
        expected = run.expected;
        is_wrong |= run.wrong.is_some();
    }
    let is_examined = damaged > 0 || expected == Effect::NotApplicable.word();
    let mark = if is_wrong || !is_examined { " WRONG" } else { "" };
    match expected {
        "not applicable" => format!("{expected}{mark}"),
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
    use serde_json::json;

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

    const DROP: usize = 0;
    const DOUBLE: usize = 1;
    const STALE: usize = 4;
    const GATEWAY: usize = 0;
    const INVENTORY: usize = 3;

    fn report(expected: &str, damaged: u64, found: u64, unexpected: &[&str]) -> Value {
        json!({"sabotage": {"expected": expected, "damaged": damaged, "found": found, "unexpected": unexpected}})
    }

    fn is_right(damage: (usize, usize), code: i32, report: &Value) -> bool {
        judge(Some(damage), code, Some(report)).wrong.is_none()
    }

    #[test]
    fn the_table_is_the_documented_one() {
        let page = include_str!("../../docs/sabotage.md");
        for (class, effects) in CLASSES.iter().zip(EFFECTS) {
            let row = format!("| `{class}` | {} |", effects.map(Effect::word).join(" | "));
            assert!(page.lines().any(|line| line == row), "no row {row}");
        }
        let stages = STAGES.map(|(stage, _)| stage).join(" | ");
        assert!(page.contains(&format!("| class | {stages} |")));
    }

    #[test]
    fn what_is_not_applicable_is_refused_and_nothing_else_is() {
        assert_eq!(judge(Some((STALE, GATEWAY)), 2, None).wrong, None);
        for code in [0, 1, 3] {
            assert!(
                judge(Some((STALE, GATEWAY)), code, None).wrong.is_some(),
                "{code}"
            );
        }
        let ran = report("healed", 0, 0, &[]);
        assert!(!is_right((STALE, GATEWAY), 2, &ran), "refused, and it ran");
        assert!(judge(Some((STALE, INVENTORY)), 2, None).wrong.is_some());
        assert!(judge(Some((DROP, GATEWAY)), 2, None).wrong.is_some());
        assert!(judge(None, 2, None).wrong.is_some());
    }

    #[test]
    fn red_is_right_when_all_that_was_damaged_is_named_and_nothing_else() {
        let cell = (DROP, GATEWAY);
        assert!(is_right(cell, 1, &report("red", 4, 4, &[])));
        assert!(!is_right(cell, 1, &report("red", 4, 3, &[])));
        assert!(!is_right(cell, 1, &report("red", 4, 4, &["S0001/1"])));
        for code in [0, 2, 3, 130] {
            assert!(!is_right(cell, code, &report("red", 4, 4, &[])), "{code}");
        }
        assert!(is_right(cell, 0, &report("red", 0, 0, &[])), "nothing was hit");
        assert!(!is_right(cell, 1, &report("red", 0, 0, &[])), "a false alarm");
    }

    #[test]
    fn healed_is_green_and_names_nothing() {
        let cell = (DOUBLE, GATEWAY);
        assert!(is_right(cell, 0, &report("healed", 4, 0, &[])));
        assert!(!is_right(cell, 1, &report("healed", 4, 0, &[])));
        assert!(!is_right(cell, 0, &report("healed", 4, 1, &[])));
        assert!(!is_right(cell, 0, &report("healed", 4, 0, &["S0001/1"])));
    }

    #[test]
    fn a_report_that_expects_something_else_or_says_nothing_is_wrong() {
        assert!(!is_right((DROP, GATEWAY), 0, &report("healed", 4, 0, &[])));
        assert!(!is_right((DROP, GATEWAY), 0, &json!({})));
        assert!(judge(Some((DROP, GATEWAY)), 0, None).wrong.is_some());
        let mut silent = report("red", 4, 4, &[]);
        silent["sabotage"]["unexpected"] = Value::Null;
        assert!(!is_right((DROP, GATEWAY), 1, &silent));
    }

    #[test]
    fn over_all_seeds_something_must_have_been_damaged_in_each_cell() {
        let run = |damage, seed, damaged| {
            let outcome = judge(Some(damage), 0, Some(&report("red", damaged, 0, &[])));
            (
                Task {
                    damage: Some(damage),
                    seed,
                },
                outcome,
            )
        };
        let drop = |seed, damaged| run((DROP, GATEWAY), seed, damaged);
        let refused = run((STALE, GATEWAY), 1, 0);
        assert_eq!(not_examined(&[drop(1, 0), drop(2, 3), refused]), [""; 0]);
        let unhit = not_examined(&[drop(1, 0), drop(2, 0), run((DROP, INVENTORY), 1, 3)]);
        assert_eq!(
            unhit,
            ["  drop in store-gateway: nothing was damaged; take more seeds"]
        );
    }

    #[test]
    fn a_cell_of_the_table_sums_up_its_runs_and_marks_one_that_is_wrong() {
        let run = |effect: Effect, damaged, found, wrong: Option<&str>| Outcome {
            damaged,
            found,
            ..Outcome::new(effect.word(), wrong.map(str::to_owned))
        };
        let red = |found, wrong| run(Effect::Red, 4, found, wrong);
        let cell = |runs: &[Outcome]| cell(runs.iter());
        assert_eq!(cell(&[red(4, None), red(4, None)]), "red 8/8");
        assert_eq!(
            cell(&[red(3, Some("3 named of 4")), red(4, None)]),
            "red 7/8 WRONG"
        );
        assert_eq!(cell(&[run(Effect::Red, 0, 0, None)]), "red 0/0 WRONG");
        assert_eq!(cell(&[run(Effect::Healed, 4, 0, None)]), "healed 4");
        let refused = |wrong| cell(&[run(Effect::NotApplicable, 0, 0, wrong)]);
        assert_eq!(refused(None), "not applicable");
        assert_eq!(refused(Some("status 0")), "not applicable WRONG");
    }
}

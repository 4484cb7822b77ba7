//! Services as processes, real servers, and something that breaks: nothing may be lost, nothing counted twice.
//!
//! A case is one fault under load. *Always*: what the audit's report must say, and that no service ended by itself.
//! *Sometimes*: that the fault did happen, read from the servers and the services themselves, because a fault that missed
//! proves nothing.

mod cases;
mod cluster;
mod load;
mod results;
mod scene;
mod services;

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{Stack, fetch, process};
use cases::{CASES, Case};
use results::{Entry, Results};
use scene::{Done, Scene};
use services::Profile;

/// What everywhere runs is to be over after ten minutes, downloads included: later than this no case begins.
const CI_BEGINS: Duration = Duration::from_mins(8);

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Test {
    /// Runs of each case, each with the next seed.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Times that the fault happens in each run, one after the other, before its one verdict.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Only this case; may be given several times. `conformance` is the suite of the embedded broker and queue.
    #[arg(long = "case", value_name = "CASE")]
    only: Vec<String>,
    /// Seed of the first run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Go on with the series that was interrupted: what is in its results is not run again.
    #[arg(long)]
    resume: bool,
    /// Which build of the program is tried.
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,
    /// Try the program as it was built last.
    #[arg(long)]
    as_built: bool,
    /// The conformance suite and a few cases, with the build that tests use: what fits into ten minutes. Where there is no
    /// Java, no Maven, or no network to fetch the servers from, it says so and is content.
    #[arg(long)]
    ci: bool,
    /// Print the cases and end.
    #[arg(long)]
    list: bool,
}

/// The tests that services and servers share with the embedded ones.
const CONFORMANCE: &str = "conformance";
/// Those of them that look at the servers which the environment names. No other crate has a test of such a name.
const SUITES: [&str; 4] = ["conformance", "queue", "queue_service", "exactly_once"];

impl Test {
    pub fn run(&self, stack: &Stack) -> Result<()> {
        if self.list {
            println!("{CONFORMANCE:<22} the tests of the embedded broker and queue, against the real ones");
            for case in &CASES {
                println!("{:<22} {}", case.name, case.about);
            }
            return Ok(());
        }
        let began = Instant::now();
        let chosen = chosen(&self.only, self.ci)?;
        let profile = if self.ci { Profile::Dev } else { self.profile };
        let ran_before = stack.runs()?;
        end_on_signals(stack.clone(), ran_before)?;
        match stack.up() {
            Ok(_) => {}
            // A machine without Java has everything else to test.
            Err(error) if self.ci && may_be_skipped(&error) => {
                println!("{}", skipped(&error));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let built = if self.as_built {
            Ok(())
        } else {
            cargo(&mut profile.build())
        };
        let result = built.and_then(|()| self.all(stack, profile, &chosen, began));
        if !ran_before {
            // The first error is the one to show.
            let _ = stack.down();
        }
        result
    }

    fn all(&self, stack: &Stack, profile: Profile, chosen: &[&Case], began: Instant) -> Result<()> {
        let commit = commit();
        let file = stack.folder().join("results.jsonl");
        let mut results = if self.resume {
            Results::resume(&file, &commit)?
        } else {
            Results::begin(&file)?
        };
        println!("each run is a line of {}", file.display());
        let is_late = || self.ci && began.elapsed() > CI_BEGINS;
        let mut left_out = Vec::new();
        let conformance = self.only.is_empty() || self.only.iter().any(|name| name == CONFORMANCE);
        if conformance && !results.has(CONFORMANCE, 0) {
            results.push(unless_interrupted(conform(stack, &commit)?))?;
        }
        // All cases of a seed before the next seed: a series that is interrupted says something of each.
        for seed in (self.seed..).take(self.runs as usize) {
            for case in chosen {
                if results.has(case.name, seed) {
                    continue;
                }
                if is_late() {
                    left_out.push(case.name);
                    continue;
                }
                let entry = play(stack, profile, case, (seed, self.rounds), &commit);
                results.push(unless_interrupted(entry))?;
            }
        }
        println!(
            "\n{}",
            results.table(
                [CONFORMANCE]
                    .into_iter()
                    .chain(CASES.iter().map(|case| case.name))
            )
        );
        if !left_out.is_empty() {
            println!(
                "left out, because this machine needed {} s for the others: {}",
                began.elapsed().as_secs(),
                left_out.join(", ")
            );
        }
        let failed: Vec<String> = results
            .failed()
            .map(|entry| format!("  {}   {}", again(entry), entry.said))
            .collect();
        ensure!(
            failed.is_empty(),
            "{} runs failed; each again:\n{}",
            failed.len(),
            failed.join("\n")
        );
        Ok(())
    }
}

/// What fails from now on fails because everything is being ended.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// A run that was interrupted is no result: the process is about to end, and `--resume` makes it again.
fn unless_interrupted(entry: Entry) -> Entry {
    while INTERRUPTED.load(Ordering::Acquire) {
        std::thread::park();
    }
    entry
}

/// Told to end, it leaves behind only what it found.
fn end_on_signals(stack: Stack, ran_before: bool) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("signals")?;
    std::thread::spawn(move || {
        let Some(signal) = signals.forever().next() else {
            return;
        };
        eprintln!("interrupted; ending what was started. `--resume` goes on with what is done");
        INTERRUPTED.store(true, Ordering::Release);
        process::end_children();
        if !ran_before && let Err(error) = stack.down() {
            eprintln!("{error:#}");
        }
        // As shells count a process that a signal ended.
        std::process::exit(128 + signal);
    });
    Ok(())
}

fn again(entry: &Entry) -> String {
    let Entry {
        case, seed, rounds, ..
    } = entry;
    match (case.as_str(), rounds) {
        (CONFORMANCE, _) => format!("cargo xtask stack test --case {case}"),
        (_, 1) => format!("cargo xtask stack test --case {case} --seed {seed}"),
        _ => format!("cargo xtask stack test --case {case} --seed {seed} --rounds {rounds}"),
    }
}

/// Not what fails, only what is not there.
fn may_be_skipped(error: &anyhow::Error) -> bool {
    error.is::<fetch::Missing>() || error.is::<fetch::Unreachable>()
}

fn skipped(error: &anyhow::Error) -> String {
    let what = if error.is::<fetch::Unreachable>() {
        "no network"
    } else if error.to_string().contains("Maven") {
        "no Maven"
    } else {
        "no Java"
    };
    format!("skipped: {what} ({error:#})")
}

/// One run; what goes wrong in it is its result.
fn play(stack: &Stack, profile: Profile, case: &Case, (seed, rounds): (u64, u32), commit: &str) -> Entry {
    let began = Instant::now();
    let played = Scene::play(stack, profile, case, seed, rounds);
    let entry = Entry::new(case.name, seed, rounds, commit, began.elapsed().as_secs_f64());
    match played {
        Ok(done) => {
            println!("{}", line(case, seed, &done, began.elapsed().as_secs()));
            entry.done(&done)
        }
        Err(error) => {
            println!("FAIL {} seed {seed}: {error:#}", case.name);
            entry.failed(format!("{error:#}"))
        }
    }
}

fn conform(stack: &Stack, commit: &str) -> Result<Entry> {
    let began = Instant::now();
    let state = stack.up()?;
    let mut said = Vec::new();
    for suite in SUITES {
        let mut command = Command::new(env!("CARGO"));
        // The whole workspace, so that what the other tests were built with is used again.
        command
            .args(["test", "--locked", "--workspace", "--test", suite])
            .envs(state.variables());
        if let Err(error) = cargo(&mut command) {
            said.push(format!("{suite}: {error:#}"));
        }
    }
    let entry = Entry::new(CONFORMANCE, 0, 1, commit, began.elapsed().as_secs_f64());
    if said.is_empty() {
        println!("PASS {CONFORMANCE}");
        return Ok(entry);
    }
    println!("FAIL {CONFORMANCE}: {}", said.join("; "));
    Ok(entry.failed(said.join("; ")))
}

/// Of the sources, and whether they differ from it.
fn commit() -> String {
    let output = Command::new("git")
        .args(["describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"])
        .current_dir(crate::root())
        .output();
    output.ok().filter(|output| output.status.success()).map_or_else(
        || "unknown".into(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// The cases to run, by the names that were given.
fn chosen(only: &[String], ci: bool) -> Result<Vec<&'static Case>> {
    for name in only {
        ensure!(
            name == CONFORMANCE || CASES.iter().any(|case| case.name == name),
            "there is no case `{name}`; there are {CONFORMANCE}, {}",
            CASES.map(|case| case.name).join(", ")
        );
    }
    Ok(CASES
        .iter()
        .filter(|case| {
            if only.is_empty() {
                !ci || case.in_ci
            } else {
                only.iter().any(|name| name == case.name)
            }
        })
        .collect())
}

fn line(case: &Case, seed: u64, done: &Done, seconds: u64) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "{} {} seed {seed}, {seconds} s (start {:.0}, fault {:.0}, verdict {:.0})\n  always:    {}",
        if done.holds() { "PASS" } else { "FAIL" },
        case.name,
        done.took.start,
        done.took.fault,
        done.took.verdict,
        done.audited
    );
    for ended in &done.ended {
        // A String takes all text.
        let _ = write!(text, "\n  always:    WRONG: {ended}");
    }
    for fault in &done.sometimes {
        let seen = if fault.seen { "seen" } else { "NOT SEEN" };
        let _ = write!(text, "\n  sometimes: {seen}: {}", fault.what);
    }
    text
}

fn cargo(command: &mut Command) -> Result<()> {
    let status = command.current_dir(crate::root()).status().context("cargo")?;
    // Without its environment, in which there are passwords.
    let arguments: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    ensure!(status.success(), "`cargo {}` failed", arguments.join(" "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_chosen_by_name_and_an_unknown_one_is_refused_with_the_names() {
        assert_eq!(chosen(&[], false).expect("all").len(), CASES.len());
        let ci = chosen(&[], true).expect("some");
        assert!(!ci.is_empty() && ci.len() < CASES.len());
        let one = chosen(&["broker-killed".to_owned()], true).expect("one");
        assert_eq!(
            one.iter().map(|case| case.name).collect::<Vec<_>>(),
            ["broker-killed"]
        );
        assert!(
            chosen(&[CONFORMANCE.to_owned()], false)
                .expect("none of these")
                .is_empty()
        );
        let error = chosen(&["broker-kiled".to_owned()], false)
            .expect_err("unknown")
            .to_string();
        assert!(
            error.contains("broker-killed") && error.contains(CONFORMANCE),
            "{error}"
        );
    }

    #[test]
    fn only_what_is_not_there_is_skipped_and_the_sentence_says_what() {
        let java = fetch::missing("there is no Java (java): install one");
        assert!(may_be_skipped(&java) && skipped(&java).starts_with("skipped: no Java"));
        let maven = fetch::missing("there is no Maven (mvn): install it");
        assert!(skipped(&maven).starts_with("skipped: no Maven"));
        let network = fetch::no_network("Connection refused");
        assert!(may_be_skipped(&network) && skipped(&network).starts_with("skipped: no network"));
        assert!(!may_be_skipped(&anyhow::anyhow!("kafka-1 has ended")));
    }

    #[test]
    fn a_service_that_ended_by_itself_fails_the_case_and_is_named() {
        let mut done = Done {
            audited: load::Audited {
                cells: 7,
                ..load::Audited::default()
            },
            sometimes: vec![scene::Fault::new("it died", true)],
            ended: Vec::new(),
            took: scene::Took::default(),
        };
        assert!(line(&CASES[0], 1, &done, 9).starts_with("PASS"));
        done.ended
            .push("normaliser ended by itself, its log is n.log".to_owned());
        let text = line(&CASES[0], 1, &done, 9);
        assert!(
            text.starts_with("FAIL") && text.contains(&done.ended[0]),
            "{text}"
        );
        let entry = Entry::new(CASES[0].name, 1, 1, "abc", 9.0).done(&done);
        assert!(!entry.passed && entry.said.contains(&done.ended[0]), "{entry:?}");
    }

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), CASES.len());
    }
}

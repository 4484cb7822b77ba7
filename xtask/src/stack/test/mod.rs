//! Services as processes, real servers, and something that breaks: nothing may be lost, nothing counted twice.
//!
//! A case is one fault under load. *Always*: what the audit's report must say. *Sometimes*: that the fault did happen, read
//! from the servers and the services themselves, because a fault that missed proves nothing.

mod cases;
mod cluster;
mod load;
mod scene;
mod services;

use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use super::{Stack, fetch};
use cases::{CASES, Case};
use scene::{Done, Scene};

#[derive(Debug, clap::Args)]
pub struct Test {
    /// Runs of each case, each with the next seed.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Only this case; may be given several times. `conformance` is the suite of the embedded broker and queue.
    #[arg(long, value_name = "CASE")]
    only: Vec<String>,
    /// Seed of the first run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The conformance suite and a few cases: what fits into ten minutes.
    #[arg(long)]
    ci: bool,
    /// Print the cases and end.
    #[arg(long)]
    list: bool,
}

/// The tests that services and servers share with the embedded ones.
const CONFORMANCE: &str = "conformance";

impl Test {
    pub fn run(&self, stack: &Stack) -> Result<()> {
        if self.list {
            println!("{CONFORMANCE:<22} the tests of the embedded broker and queue, against the real ones");
            for case in &CASES {
                println!("{:<22} {}", case.name, case.about);
            }
            return Ok(());
        }
        let chosen = chosen(&self.only, self.ci)?;
        let conformance = self.only.is_empty() || self.only.iter().any(|name| name == CONFORMANCE);
        // Not an error: a machine without Java has everything else to test.
        if let Err(error) = fetch::java() {
            println!("skipped: no Java ({error:#})");
            return Ok(());
        }
        cargo(Command::new(env!("CARGO")).args(["build", "--release", "--package", "tui"]))?;
        let ran_before = stack.runs()?;
        let result = self.all(stack, conformance, &chosen);
        if !ran_before {
            // The first error is the one to show.
            let _ = stack.down();
        }
        result
    }

    fn all(&self, stack: &Stack, conformance: bool, chosen: &[&Case]) -> Result<()> {
        let mut failed = Vec::new();
        if conformance {
            let state = stack.up()?;
            let mut command = Command::new(env!("CARGO"));
            command
                .args(["test", "--package", "embedded", "--package", "mq-source"])
                .envs(state.variables());
            if let Err(error) = cargo(&mut command) {
                println!("FAIL {CONFORMANCE}: {error:#}");
                failed.push(format!("cargo xtask stack test --only {CONFORMANCE}"));
            } else {
                println!("PASS {CONFORMANCE}");
            }
        }
        for case in chosen {
            for seed in (self.seed..).take(self.runs as usize) {
                let again = format!("cargo xtask stack test --only {} --seed {seed}", case.name);
                let began = Instant::now();
                match Scene::play(stack, case, seed) {
                    Ok(done) => {
                        println!("{}", line(case, seed, &done, began.elapsed().as_secs()));
                        if !done.holds() {
                            failed.push(again);
                        }
                    }
                    Err(error) => {
                        println!("FAIL {} seed {seed}: {error:#}", case.name);
                        failed.push(again);
                    }
                }
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        println!("again:");
        for command in &failed {
            println!("  {command}");
        }
        bail!("{} of the cases failed", failed.len())
    }
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
        "{} {} seed {seed}, {seconds} s\n  always:    {}",
        if done.holds() { "PASS" } else { "FAIL" },
        case.name,
        done.audited
    );
    for fault in &done.sometimes {
        let seen = if fault.seen { "seen" } else { "NOT SEEN" };
        // A String takes all text.
        let _ = write!(text, "\n  sometimes: {seen}: {}", fault.what);
    }
    text
}

fn cargo(command: &mut Command) -> Result<()> {
    let status = command.current_dir(crate::root()).status().context("cargo")?;
    ensure!(status.success(), "{command:?} failed");
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
    fn every_case_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), CASES.len());
    }
}

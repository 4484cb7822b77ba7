//! Explores the model and prints a table; exit status 1 where something is not as docs/state.md says.
//!
//! `inventory-model [--small] [--threads N] [--trace WORDS]`: without the runs that take minutes; with the steps of the
//! counterexamples whose name contains the words.

use std::process::ExitCode;
use std::time::Instant;

use inventory_model::catalogue::{self, Case, Expected};

const USAGE: &str = "usage: inventory-model [--small] [--threads N] [--trace WORDS]";

struct Options {
    is_small: bool,
    threads: usize,
    trace: Option<String>,
}

fn options() -> Option<Options> {
    let mut options = Options {
        is_small: false,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        trace: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--small" => options.is_small = true,
            "--threads" => options.threads = words.next()?.parse().ok()?,
            "--trace" => options.trace = Some(words.next()?),
            _ => return None,
        }
    }
    Some(options)
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!(
        "{:<31} {:<40} {:>11} {:>6} {:>7}  verdict",
        "model", "variant", "states", "depth", "seconds"
    );
    let mut cases = catalogue::small();
    if !options.is_small {
        cases.extend(catalogue::full());
    }
    cases.extend(
        catalogue::plants()
            .into_iter()
            .filter(|case| !(options.is_small && case.is_long)),
    );
    let mut unexpected = 0;
    for case in &cases {
        unexpected += u32::from(!show(case, &options));
    }
    if unexpected > 0 {
        println!("{unexpected} not as expected");
        return ExitCode::FAILURE;
    }
    println!("all as expected");
    ExitCode::SUCCESS
}

fn show(case: &Case, options: &Options) -> bool {
    let start = Instant::now();
    let outcome = case.run(options.threads);
    let verdict = match &outcome.broken {
        None => "holds".to_owned(),
        Some((what, trace)) if trace.is_empty() => format!("breaks: {what}"),
        Some((what, trace)) => format!("breaks in {} steps: {what}", trace.len()),
    };
    let is_expected = outcome.is_as(case.expected);
    let note = match (is_expected, case.expected) {
        (true, _) => "",
        (false, Expected::Holds) => " (it should hold)",
        (false, Expected::Breaks) => " (it should break)",
    };
    println!(
        "{:<31} {:<40} {:>11} {:>6} {:>7.1}  {verdict}{note}",
        case.name,
        case.variant,
        outcome.states,
        outcome.depth,
        start.elapsed().as_secs_f64()
    );
    let is_wanted = options
        .trace
        .as_ref()
        .is_some_and(|words| case.name.contains(words));
    if let Some((_, trace)) = outcome.broken.filter(|_| is_wanted || !is_expected) {
        for (number, step) in (1..).zip(trace) {
            println!("    {number:>2}  {step}");
        }
    }
    is_expected
}

//! Tasks of the workspace: `cargo xtask --help`.

use std::path::Path;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod architecture;
mod bench;
mod faults;
mod fuzz;
mod judges;
mod realism;
mod sabotage;
mod soak;
mod stack;

#[derive(Debug, Parser)]
#[command(about = "Tasks of the workspace")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Print which crate depends on which, beside what docs/architecture.md allows.
    Edges,
    /// Measure the figures that the documentation quotes.
    Bench(bench::Bench),
    /// Feed every reader of a wire format with what nobody writes.
    Fuzz(fuzz::Fuzz),
    /// Let outside readers judge an hour of what the sources write.
    Judges(judges::Judges),
    /// Hold what tills sell against what was measured of real grocers.
    Realism(realism::Realism),
    /// Damage every stage in every way and print how much of it the audit found.
    Sabotage(sabotage::Sabotage),
    /// Break and mend everything that can break, with seed after seed, and print what came of it.
    Faults(faults::Faults),
    /// The demo for an hour with a fault in each minute: nothing is lost, and nothing grows.
    Soak(soak::Soak),
    /// Apache Kafka ×3 and Artemis on this machine, for everything that is to run against real servers.
    Stack(stack::Arguments),
}

/// The workspace's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

fn main() -> Result<()> {
    match Cli::parse().task {
        Task::Bench(bench) => bench.run(),
        Task::Fuzz(fuzz) => fuzz.run(),
        Task::Judges(judges) => judges.run(),
        Task::Realism(realism) => realism.run(),
        Task::Sabotage(sabotage) => sabotage.run(),
        Task::Faults(faults) => faults.run(),
        Task::Soak(soak) => soak.run(),
        Task::Stack(stack) => stack.run(),
        Task::Edges => {
            for (from, to) in architecture::actual_edges()? {
                println!("{from} -> {to}");
            }
            Ok(())
        }
    }
}

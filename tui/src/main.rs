//! `stockstream`: the command line, the stage that wires the parts, and the screens.
//!
//! The only place that touches arguments, environment, exit statuses and the terminal.

mod cli;
mod commands;
mod completeness;
mod dlq;
mod fault_list;
mod format;
mod headless;
mod observe;
mod report;
mod resources;
mod screen;
mod serve;
mod snapshot;
mod stage;
mod tap;
mod world_of;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser as _};
use tokio_util::sync::CancellationToken;

use cli::{Cli, Command, RunArgs};
use snapshot::Outcome;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Wrong use, wrong configuration, or a server that cannot be reached.
const UNUSABLE: u8 = 2;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_max_level(cli.log)
        .with_writer(io::stderr)
        .init();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(UNUSABLE)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    // Never locked for long: a thread that panics restores the terminal, and writes to it.
    let out = &mut io::stdout();
    match cli.command.unwrap_or_else(|| {
        Command::Demo(RunArgs {
            memory: 448,
            ..RunArgs::default()
        })
    }) {
        Command::Demo(args) => play(scenario::DEFAULT, &args),
        Command::Run { scenario, args } => play(&scenario, &args),
        Command::Check { scenarios } => commands::check(&scenarios, out).map(|()| ExitCode::SUCCESS),
        Command::Digest {
            scenario,
            seed,
            threads,
            transactions,
            scale,
        } => commands::digest(&scenario, seed, scale, threads.into(), transactions, out)
            .map(|()| ExitCode::SUCCESS),
        Command::Generate {
            scenario,
            out: folder,
            transactions,
            seed,
            scale,
        } => {
            commands::generate(&scenario, &folder, seed, scale, transactions, out).map(|()| ExitCode::SUCCESS)
        }
        Command::Scenarios { schema } => commands::scenarios(schema, out).map(|()| ExitCode::SUCCESS),
        Command::Faults {
            json,
            markdown,
            case,
            seed,
        } => {
            match case {
                Some(name) => fault_list::case(&name, seed, out),
                None if json => fault_list::json(out),
                None if markdown => fault_list::markdown(out),
                None => fault_list::list(out),
            }?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "stockstream", out);
            Ok(ExitCode::SUCCESS)
        }
        Command::Tap { topic, kafka, limit } => {
            // A wrong word is told at once, and not after a wait for a broker.
            tap::known(&topic)?;
            let runtime = runtime()?;
            let backbone = runtime.block_on(stage::outside(&kafka))?;
            let cancel = cancel_on_ctrl_c(&runtime);
            tap::run(&backbone, &topic, limit, out, &cancel).map(|()| ExitCode::SUCCESS)
        }
        Command::Dlq { command, kafka } => {
            let runtime = runtime()?;
            let backbone = runtime.block_on(stage::outside(&kafka))?;
            runtime.block_on(dlq::ready(&backbone))?;
            dlq::run(&backbone, &command, out).map(|()| ExitCode::SUCCESS)
        }
        Command::Serve(args) => {
            let runtime = runtime()?;
            let cancel = cancel_on_ctrl_c(&runtime);
            runtime
                .block_on(serve::run(args, cancel))
                .map(|()| ExitCode::SUCCESS)
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("stage")
        .enable_all()
        .build()
        .context("the runtime cannot start")
}

fn cancel_on_ctrl_c(runtime: &tokio::runtime::Runtime) -> CancellationToken {
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    runtime.spawn(async move {
        if asked_to_end().await.is_err() {
            return;
        }
        token.cancel();
        if asked_to_end().await.is_ok() {
            if io::stdout().is_terminal() {
                ratatui::restore();
            }
            eprintln!("asked a second time: what is under way is left, and nothing is summed up");
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
    cancel
}

/// Ctrl-C, or what a container's runtime and `kill` send.
#[cfg(unix)]
async fn asked_to_end() -> io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn asked_to_end() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// Runs a scenario, on the screen or headless.
fn play(name: &str, args: &RunArgs) -> Result<ExitCode> {
    let load = match args.speed {
        Some(speed) => Some(scenario::Load::Speed(
            scenario::Speed::from_f64(speed).context("--speed: 0.001 to 1000000, 1 is the real pace")?,
        )),
        None => args.unthrottled.then_some(scenario::Load::Unthrottled),
    };
    let mut chosen = world_of::choose(name, args.seed, args.scale, load)?;
    chosen.scenario.services.project_items |= args.project_items;
    if let Some(path) = &args.report {
        report::can_be_written(path)?;
    }
    let on_screen = !args.headless && !args.json && io::stdout().is_terminal() && io::stdin().is_terminal();
    let runtime = runtime()?;
    let cancel = cancel_on_ctrl_c(&runtime);
    let (commands, received) = tokio::sync::mpsc::unbounded_channel();
    let (stage, snapshots) = stage::Stage::prepare(chosen, args.clone(), received, cancel);
    let running = runtime.spawn(stage.run());
    if on_screen {
        let theme = screen::Theme::from_no_color(std::env::var("NO_COLOR").ok().as_deref());
        if let Err(error) = screen::run(snapshots.clone(), &commands, theme, args.exit) {
            // Without a screen, and after a panic, nobody waits for what still runs.
            runtime.shutdown_background();
            return Err(error).context("the screen");
        }
        // Leaving the screen ends the run, which sums up first.
        let _ = commands.send(snapshot::Command::Quit);
    } else {
        if !args.headless && !args.json {
            eprintln!("no terminal: running headless; --headless says so, --json prints a snapshot a line");
        }
        runtime
            .block_on(headless::follow(snapshots.clone(), args.json, &mut io::stdout()))
            .context("standard output")?;
    }
    let ended = runtime.block_on(running).context("the stage")??;
    if !args.json {
        headless::verdict(&snapshots.borrow(), &mut io::stdout()).context("standard output")?;
    }
    if let Some(error) = &ended.unwritten {
        eprintln!("error: {error}; the run itself is done, its verdict stands");
    }
    Ok(match ended.outcome {
        // Whoever asked for a report does not have what they asked for.
        Outcome::Pass if ended.unwritten.is_some() => ExitCode::from(UNUSABLE),
        Outcome::Pass => ExitCode::SUCCESS,
        Outcome::Fail => ExitCode::from(1),
        Outcome::Invalid => ExitCode::from(3),
        Outcome::Interrupted => ExitCode::from(INTERRUPTED),
    })
}

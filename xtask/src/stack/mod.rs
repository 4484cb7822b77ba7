//! Real servers on this machine: three nodes of Apache Kafka and an Artemis, without containers.
//!
//! They are fetched once through Maven into a cache, run with small heaps on free loopback ports in a scratch folder,
//! and are ended by what is written down about them: process and instant of its start, so that a number that the system
//! gave to somebody else since is never touched. Their data are thrown away with them.

mod artemis;
mod fetch;
mod kafka;
mod ports;
mod process;
mod state;
mod test;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;

use state::{Running, State};

/// A JVM on a busy machine takes its time.
const READY: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(100);
const LOG_LINES: usize = 20;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    task: Task,
    /// Where downloads, scratch folder and notes of the stack lie; two folders are two stacks.
    #[arg(long, global = true, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Start Apache Kafka ×3 and Artemis, and print the lines that tell programs where they are.
    ///
    /// `source <(cargo xtask stack up)` sets them in a shell. What runs already is left as it is.
    Up,
    /// End what `up` started, and delete its data.
    Down,
    /// Tell what runs, and where.
    Status,
    /// Break servers and services under load, and let the audit say whether anything was lost or counted twice.
    Test(test::Test),
}

impl Arguments {
    pub fn run(self) -> Result<()> {
        let stack = Stack::new(&self.folder.unwrap_or_else(default_folder))?;
        match self.task {
            Task::Up => {
                let state = stack.up()?;
                std::io::stdout()
                    .write_all(state.exports().as_bytes())
                    .context("standard output")
            }
            Task::Down => stack.down(),
            Task::Status => stack.status(),
            Task::Test(test) => test.run(&stack),
        }
    }
}

fn default_folder() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from);
    target.join("stack")
}

/// A folder with everything that belongs to one stack.
#[derive(Clone, Debug)]
pub struct Stack {
    folder: PathBuf,
}

impl Stack {
    pub fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let folder = folder
            .canonicalize()
            .with_context(|| folder.display().to_string())?;
        Ok(Self { folder })
    }

    fn state_file(&self) -> PathBuf {
        self.folder.join("state.json")
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    pub fn load(&self) -> Result<Option<State>> {
        State::load(&self.state_file())
    }

    /// Whether anything of it runs.
    pub fn runs(&self) -> Result<bool> {
        let state = self.load()?;
        Ok(state.is_some_and(|state| State::servers().iter().any(|name| state.is_alive(name))))
    }

    /// Only one at a time starts or ends servers; the lock goes with the process that holds it.
    fn lock(&self) -> Result<fs::File> {
        let path = self.folder.join("lock");
        let file = fs::File::create(&path).with_context(|| path.display().to_string())?;
        file.lock().with_context(|| path.display().to_string())?;
        Ok(file)
    }

    /// Starts what does not run. A second call changes nothing; a server that has died comes back with its data.
    pub fn up(&self) -> Result<State> {
        let _lock = self.lock()?;
        let java = fetch::java()?;
        fetch::fetch(&self.cache())?;
        let mut state = match self.load()? {
            Some(state) => state,
            None => self.lay_out(&java)?,
        };
        let names = State::servers();
        let mut fresh = Vec::new();
        for name in &names {
            if !state.is_alive(name) {
                self.spawn(&mut state, name, &java)?;
                fresh.push(name.clone());
            }
        }
        for name in &fresh {
            eprintln!("{name}: waiting until it is ready");
            if let Err(error) = Self::wait_ready(&state, name) {
                eprintln!("{name} does not start; everything that was started now is ended");
                for name in &fresh {
                    // The first error is the one to show.
                    let _ = self.end(&mut state, name);
                }
                return Err(error);
            }
        }
        if fresh.is_empty() {
            eprintln!("all of it runs already");
        }
        Ok(state)
    }

    /// Makes the scratch folder, with the settings of every server.
    fn lay_out(&self, java: &Path) -> Result<State> {
        let scratch = tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(&self.folder)
            .context("the scratch folder")?
            .keep();
        let free = ports::free(kafka::NODES * 2 + 2)?;
        let (kafka_ports, others) = free.split_at(kafka::NODES * 2);
        let state = State {
            scratch,
            brokers: kafka_ports[..kafka::NODES].to_vec(),
            controllers: kafka_ports[kafka::NODES..].to_vec(),
            amqp: others[0],
            core: others[1],
            user: "stockstream".to_owned(),
            password: state::password()?,
            running: std::collections::BTreeMap::new(),
        };
        eprintln!("scratch folder {}", state.scratch.display());
        let made =
            kafka::format(&state, &self.cache(), java).and_then(|()| artemis::create(&state, &self.cache()));
        if let Err(error) = made {
            // Nothing runs in it yet.
            let _ = fs::remove_dir_all(&state.scratch);
            return Err(error);
        }
        state.save(&self.state_file())?;
        Ok(state)
    }

    fn spawn(&self, state: &mut State, name: &str, java: &Path) -> Result<()> {
        let starts = state.running.get(name).map_or(1, |running| running.starts + 1);
        let log = state.scratch.join(format!("{name}.{starts}.log"));
        let command = match kafka::node_of(name) {
            Some(node) => kafka::command(state, node, &self.cache(), java),
            None => artemis::command(state),
        };
        let identity = process::start(command, &log).with_context(|| format!("{name} cannot be started"))?;
        state.running.insert(
            name.to_owned(),
            Running {
                identity,
                log,
                starts,
            },
        );
        // At once: whatever happens from here on, `down` finds it.
        state.save(&self.state_file())
    }

    fn wait_ready(state: &State, name: &str) -> Result<()> {
        let running = state.running.get(name).context("it was not started")?;
        let marker = if kafka::node_of(name).is_some() {
            kafka::READY
        } else {
            artemis::READY
        };
        let deadline = Instant::now() + READY;
        loop {
            let log = fs::read_to_string(&running.log).unwrap_or_default();
            if log.contains(marker) {
                return Ok(());
            }
            if !running.identity.is_alive() {
                bail!(
                    "{name} has ended; the end of {}:\n{}",
                    running.log.display(),
                    tail(&log)
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "{name} is not ready after {} s; the end of {}:\n{}",
                    READY.as_secs(),
                    running.log.display(),
                    tail(&log)
                );
            }
            std::thread::sleep(POLL);
        }
    }

    /// Ends one server without ceremony; its notes stay, so that it can be started again.
    fn end(&self, state: &mut State, name: &str) -> Result<()> {
        if let Some(running) = state.running.get(name) {
            running.identity.end()?;
        }
        state.save(&self.state_file())
    }

    pub fn down(&self) -> Result<()> {
        let _lock = self.lock()?;
        let Some(state) = self.load()? else {
            eprintln!("nothing runs");
            return Ok(());
        };
        for (name, running) in &state.running {
            if running.identity.is_alive() {
                running
                    .identity
                    .end()
                    .with_context(|| format!("{name} cannot be ended"))?;
                eprintln!("{name}: ended");
            } else {
                eprintln!("{name}: had ended before");
            }
        }
        fs::remove_dir_all(&state.scratch)
            .or_else(|error| {
                if error.kind() == std::io::ErrorKind::NotFound {
                    Ok(())
                } else {
                    Err(error)
                }
            })
            .with_context(|| format!("{} cannot be deleted", state.scratch.display()))?;
        fs::remove_file(self.state_file()).with_context(|| self.state_file().display().to_string())
    }

    pub fn status(&self) -> Result<()> {
        let Some(state) = self.load()? else {
            println!("nothing runs; `cargo xtask stack up` starts it");
            return Ok(());
        };
        for name in State::servers() {
            let how = match state.running.get(&name) {
                Some(running) if running.identity.is_alive() => {
                    format!("runs as process {}", running.identity.pid)
                }
                Some(running) => format!("has ended; its log is {}", running.log.display()),
                None => "was never started".to_owned(),
            };
            println!("{name:<8} {:<22} {how}", state.address(&name));
        }
        println!("data and logs in {}", state.scratch.display());
        println!(
            "Kafka's own tools: java -cp '{}/*' org.apache.kafka.tools.TopicCommand --bootstrap-server {} --list",
            fetch::kafka_jars(&self.cache()).display(),
            state.bootstrap()
        );
        Ok(())
    }
}

/// The last lines of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::process::Identity;
    use super::*;

    #[test]
    fn of_a_long_log_its_end_is_shown() {
        let log = (0..50)
            .map(|line| format!("line {line}"))
            .collect::<Vec<_>>()
            .join("\n");
        let end = tail(&log);
        assert_eq!(end.lines().count(), LOG_LINES);
        assert!(end.ends_with("line 49"));
        assert_eq!(tail("only\n"), "only");
    }

    #[test]
    fn down_without_a_stack_does_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = Stack::new(&folder.path().join("stack")).expect("a stack");
        stack.down().expect("nothing to end");
        assert!(stack.load().expect("no state").is_none());
    }

    #[test]
    fn down_leaves_alone_a_process_that_only_has_the_same_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = Stack::new(folder.path()).expect("a stack");
        let mut other = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep");
        let mut state = state::example(&folder.path().join("scratch"));
        fs::create_dir_all(&state.scratch).expect("a folder");
        state.running.insert(
            "artemis".into(),
            Running {
                identity: Identity {
                    pid: other.id(),
                    started: "some other instant".into(),
                },
                log: PathBuf::new(),
                starts: 1,
            },
        );
        state.save(&stack.state_file()).expect("written");
        stack.down().expect("down");
        assert!(other.try_wait().expect("its state").is_none(), "it was ended");
        assert!(!state.scratch.exists());
        other.kill().expect("ended");
        other.wait().expect("ended");
    }

    #[test]
    fn down_ends_what_the_stack_started_also_when_it_is_stopped() {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = Stack::new(folder.path()).expect("a stack");
        let mut state = state::example(&folder.path().join("scratch"));
        fs::create_dir_all(&state.scratch).expect("a folder");
        let mut command = std::process::Command::new("sleep");
        command.arg("60");
        let log = state.scratch.join("log");
        let identity = process::start(command, &log).expect("started");
        identity.signal("STOP").expect("stopped");
        state.running.insert(
            "artemis".into(),
            Running {
                identity: identity.clone(),
                log,
                starts: 1,
            },
        );
        state.save(&stack.state_file()).expect("written");
        assert!(identity.is_alive());
        stack.down().expect("down");
        assert!(!identity.is_alive());
    }
}

//! The services as processes: `stockstream serve NAME`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::scene::WARMUP;
use crate::stack::process::{self, Identity};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    StoreGateway,
    MqSource,
    Normaliser,
    Inventory,
    Reconciler,
}

impl Service {
    pub const ALL: [Self; 5] = [
        Self::StoreGateway,
        Self::MqSource,
        Self::Normaliser,
        Self::Inventory,
        Self::Reconciler,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::StoreGateway => "store-gateway",
            Self::MqSource => "mq-source",
            Self::Normaliser => "normaliser",
            Self::Inventory => "inventory",
            Self::Reconciler => "reconciler",
        }
    }
}

/// One process of a service. Dropping it ends it.
pub struct Instance {
    child: Child,
    pub identity: Identity,
    log: PathBuf,
    was_killed: bool,
    /// Of its metrics; known when it has said so.
    metrics: Option<String>,
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Also when it stands still; it has nothing that must be saved.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Instance {
    pub fn start(mut command: Command, log: PathBuf) -> Result<Self> {
        let file = fs::File::create(&log).with_context(|| log.display().to_string())?;
        let errors = file.try_clone().context("the log")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        let identity = Identity::of(child.id()).context("it ended at once")?;
        process::ends_with_us(&identity);
        Ok(Self {
            child,
            identity,
            log,
            was_killed: false,
            metrics: None,
        })
    }

    /// `true`: it died by a signal, and not by itself.
    pub fn kill(&mut self) -> Result<bool> {
        use std::os::unix::process::ExitStatusExt as _;
        self.identity.signal("KILL")?;
        self.was_killed = self.child.wait().context("its end")?.signal() == Some(9);
        Ok(self.was_killed)
    }

    /// Where its log is, if it is gone and [`Self::kill`] is not why.
    pub fn ended_by_itself(&self) -> Option<&Path> {
        (!self.was_killed && !self.identity.is_alive()).then_some(&self.log)
    }

    pub fn stands_still(&self) -> bool {
        is_stopped(self.identity.pid)
    }

    /// Asks the process for one of its figures.
    pub fn metric(&mut self, service: Service, name: &str) -> Result<u64> {
        let address = self.address()?;
        let text = get(&address, "/metrics").with_context(|| format!("{} at {address}", service.name()))?;
        value_of(&text, service, name)
            .with_context(|| format!("{} has no metric {name}:\n{text}", service.name()))
    }

    fn address(&mut self) -> Result<String> {
        if let Some(address) = &self.metrics {
            return Ok(address.clone());
        }
        let deadline = Instant::now() + WARMUP;
        loop {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(address) = metrics_address(&log) {
                self.metrics = Some(address.clone());
                return Ok(address);
            }
            if !self.identity.is_alive() || Instant::now() > deadline {
                bail!("it does not start; {}:\n{log}", self.log.display());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// From `normaliser against …: http://127.0.0.1:4711/health and /metrics; …`.
fn metrics_address(log: &str) -> Option<String> {
    let behind = log.split_once("http://")?.1;
    Some(behind.split_once("/health")?.0.to_owned())
}

/// From a line such as `stockstream_normaliser_lines_total 42`.
fn value_of(text: &str, service: Service, name: &str) -> Option<u64> {
    let metric = format!("stockstream_{}_{name}", service.name().replace('-', "_"));
    text.lines()
        .find_map(|line| line.strip_prefix(&metric)?.strip_prefix(' '))?
        .trim()
        .parse()
        .ok()
}

fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: metrics\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(target_os = "linux")]
fn is_stopped(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| {
            stat.rsplit_once(')')
                .map(|(_, rest)| rest.trim_start().starts_with('T'))
        })
        .unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn is_stopped(pid: u32) -> bool {
    Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .is_ok_and(|output| output.stdout.starts_with(b"T"))
}

/// A build of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// As tests have it: where they ran, it is there already.
    Dev,
    Release,
}

impl Profile {
    pub fn build(self) -> Command {
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--locked", "--package", "tui", "--bin", "stockstream"]);
        if self == Self::Release {
            command.arg("--release");
        }
        command
    }

    pub fn program(self) -> PathBuf {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
            || crate::root().join("target"),
            |folder| Path::new(&folder).to_owned(),
        );
        target.join(match self {
            Self::Dev => "debug/stockstream",
            Self::Release => "release/stockstream",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_name_and_not_by_a_part_of_it() {
        let text = "# HELP stockstream_mq_source_messages_total Messages.\n\
                    # TYPE stockstream_mq_source_messages_total counter\n\
                    stockstream_mq_source_messages_total 12\nstockstream_mq_source_till_messages_total 7\n";
        assert_eq!(value_of(text, Service::MqSource, "messages_total"), Some(12));
        assert_eq!(value_of(text, Service::MqSource, "till_messages_total"), Some(7));
        assert_eq!(value_of(text, Service::MqSource, "essages_total"), None);
        assert_eq!(value_of(text, Service::MqSource, "messages"), None);
        assert_eq!(value_of(text, Service::Normaliser, "messages_total"), None);
    }

    #[test]
    fn the_metrics_address_is_what_the_service_prints() {
        let log =
            "normaliser against 127.0.0.1:9092: http://127.0.0.1:4711/health and /metrics; Ctrl-C ends it\n";
        assert_eq!(metrics_address(log).as_deref(), Some("127.0.0.1:4711"));
        assert_eq!(metrics_address("normaliser against"), None);
    }

    fn sleeper(folder: &Path) -> Instance {
        let mut command = Command::new("sleep");
        command.arg("60");
        Instance::start(command, folder.join("log")).expect("started")
    }

    fn until(is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_so() {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_stopped_process_is_told_from_one_that_runs() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut instance = sleeper(folder.path());
        assert!(!instance.stands_still());
        instance.identity.signal("STOP").expect("stopped");
        until(|| instance.stands_still());
        assert!(instance.kill().expect("killed"));
    }

    #[test]
    fn a_process_that_ends_unasked_is_told_from_one_that_is_killed_or_stopped() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut instance = sleeper(folder.path());
        assert_eq!(instance.ended_by_itself(), None);
        instance.identity.signal("STOP").expect("stopped");
        until(|| instance.stands_still());
        assert_eq!(instance.ended_by_itself(), None, "it stands still");
        assert!(instance.kill().expect("killed"));
        assert_eq!(instance.ended_by_itself(), None, "it was killed");

        let crashed = sleeper(folder.path());
        crashed.identity.signal("TERM").expect("signalled");
        until(|| !crashed.identity.is_alive());
        assert_eq!(
            crashed.ended_by_itself(),
            Some(folder.path().join("log").as_path())
        );
    }
}

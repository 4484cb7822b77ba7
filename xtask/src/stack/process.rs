//! Processes that outlive the task that started them, known by number and instant of their start.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

const GONE: Duration = Duration::from_secs(20);

/// A number alone is given again; with the instant of its start it is one process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: u32,
    pub started: String,
}

impl Identity {
    /// `None`: there is no such process, or it is dead and only not yet collected.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self {
            pid,
            started: started(pid)?,
        })
    }

    pub fn is_alive(&self) -> bool {
        started(self.pid).as_ref() == Some(&self.started)
    }

    /// `KILL`, `STOP`, `CONT` and so on; to nobody else than this process.
    pub fn signal(&self, signal: &str) -> Result<()> {
        ensure!(self.is_alive(), "process {} has ended", self.pid);
        let status = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "sh", signal])
            .arg(self.pid.to_string())
            .status()
            .context("sh")?;
        ensure!(status.success(), "process {} cannot be signalled", self.pid);
        Ok(())
    }

    /// Ends it at once, and returns when it is gone.
    pub fn end(&self) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        if let Err(error) = self.signal("KILL")
            && self.is_alive()
        {
            return Err(error);
        }
        let deadline = Instant::now() + GONE;
        while self.is_alive() {
            if Instant::now() > deadline {
                bail!("process {} does not end", self.pid);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Children of this task that are to end with it.
static CHILDREN: Mutex<Vec<Identity>> = Mutex::new(Vec::new());

/// From now on it ends when [`end_children`] says so.
pub fn ends_with_us(child: &Identity) {
    let mut children = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
    children.retain(Identity::is_alive);
    children.push(child.clone());
}

pub fn end_children() {
    for child in CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        if let Err(error) = child.end() {
            eprintln!("{error:#}");
        }
    }
}

/// Starts it in a process group of its own, without our input and output: a Ctrl-C here, or the end of a pipe, is not its.
pub fn start(mut command: Command, log: &Path) -> Result<Identity> {
    let file = File::create(log).with_context(|| log.display().to_string())?;
    let errors = file.try_clone().context("the log")?;
    let child = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .with_context(|| command.get_program().display().to_string())?;
    // It has not been waited for, so its number cannot be anybody else's yet.
    Identity::of(child.id()).with_context(|| format!("process {} ended at once", child.id()))
}

#[cfg(target_os = "linux")]
fn started(pid: u32) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(format!("{}/{}", boot.trim(), start_ticks(&stat)?))
}

#[cfg(not(target_os = "linux"))]
fn started(pid: u32) -> Option<String> {
    let output = Command::new("ps")
        .args(["-o", "stat=,lstart=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (state, instant) = text.trim().split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| instant.trim().to_owned())
}

/// Field 22 of a line of `/proc/PID/stat`, clock ticks since boot; `None` for a process that is dead.
///
/// The second field is the program's name in brackets, which may itself have blanks and brackets.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "Linux has /proc"))]
fn start_ticks(stat: &str) -> Option<u64> {
    let mut behind_name = stat.rsplit_once(')')?.1.split_whitespace();
    let state = behind_name.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    behind_name.nth(18)?.parse().ok()
}

/// Whether a program can be started at all.
pub fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4711 (a (b) c) S 1 4711 4711 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 30 0 123456 99 1 2";

    #[test]
    fn the_instant_of_the_start_is_found_behind_a_name_with_brackets() {
        assert_eq!(start_ticks(STAT), Some(123_456));
        assert_eq!(start_ticks(&STAT.replace(") S", ") T")), Some(123_456));
        assert_eq!(start_ticks(&STAT.replace(") S", ") Z")), None);
        assert_eq!(start_ticks("4711 (java"), None);
        assert_eq!(start_ticks(""), None);
    }

    #[test]
    fn a_process_is_known_by_its_start_and_not_by_its_number() {
        let own = Identity::of(std::process::id()).expect("this test runs");
        assert!(own.is_alive());
        let other = Identity {
            started: "before".into(),
            ..own
        };
        assert!(!other.is_alive());
        assert!(other.signal("CONT").is_err());
        other.end().expect("there is nothing to end");
    }

    #[test]
    fn a_process_that_has_died_is_gone_even_before_it_is_collected() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let folder = tempfile::tempdir().expect("a folder");
        let identity = start(command, &folder.path().join("log")).expect("started");
        assert!(identity.is_alive());
        identity.end().expect("ended");
        assert!(!identity.is_alive());
    }
}

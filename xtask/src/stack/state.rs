//! What is written down about a stack: where it lies, its ports, and which processes are its.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::kafka;
use super::process::Identity;

pub const ARTEMIS: &str = "artemis";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub scratch: PathBuf,
    /// Ports of the Kafka nodes 1, 2, 3 for clients, and for their controllers.
    pub brokers: Vec<u16>,
    pub controllers: Vec<u16>,
    pub amqp: u16,
    /// Artemis' own protocol, which its command line speaks.
    pub core: u16,
    pub user: String,
    pub password: String,
    pub running: BTreeMap<String, Running>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    pub identity: Identity,
    pub log: PathBuf,
    /// How often it was started: each start has a log of its own.
    pub starts: u32,
}

impl State {
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        serde_json::from_str(&text).map(Some).with_context(|| {
            format!(
                "{} cannot be read; end the servers by hand and delete it",
                path.display()
            )
        })
    }

    /// For its owner only: it holds a password. Never half a file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let write = || -> Result<()> {
            let whole = path.with_extension("new");
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&whole)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            fs::rename(&whole, path)?;
            Ok(())
        };
        write().with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Names of all servers, in the order of their start.
    pub fn servers() -> Vec<String> {
        (1..=kafka::NODES)
            .map(kafka::name)
            .chain([ARTEMIS.to_owned()])
            .collect()
    }

    pub fn is_alive(&self, name: &str) -> bool {
        self.running
            .get(name)
            .is_some_and(|running| running.identity.is_alive())
    }

    pub fn address(&self, name: &str) -> String {
        let port = kafka::node_of(name).map_or(self.amqp, |node| self.brokers[node - 1]);
        format!("127.0.0.1:{port}")
    }

    /// The Kafka nodes, as a client wants them.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<_> = self
            .brokers
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        addresses.join(",")
    }

    pub fn amqp_url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.amqp)
    }

    /// What programs of this workspace read from their environment.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("STOCKSTREAM_KAFKA", self.bootstrap()),
            ("STOCKSTREAM_AMQP", self.amqp_url()),
            ("STOCKSTREAM_AMQP_USER", self.user.clone()),
            ("STOCKSTREAM_AMQP_PASSWORD", self.password.clone()),
        ]
    }

    /// Lines for a shell.
    pub fn exports(&self) -> String {
        let lines: Vec<_> = self
            .variables()
            .iter()
            .map(|(name, value)| format!("export {name}='{}'\n", value.replace('\'', r"'\''")))
            .collect();
        lines.concat()
    }
}

/// A new one for every stack: it guards nothing but keeps strangers from taking it for a setting to copy.
pub fn password() -> Result<String> {
    use std::io::Read as _;
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("/dev/urandom")?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
pub fn example(scratch: &Path) -> State {
    State {
        scratch: scratch.to_owned(),
        brokers: vec![20_001, 20_002, 20_003],
        controllers: vec![20_011, 20_012, 20_013],
        amqp: 20_021,
        core: 20_022,
        user: "stockstream".into(),
        password: "it's secret".into(),
        running: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_read_again_and_is_nobody_elses_to_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.json");
        assert_eq!(State::load(&path).expect("no file is no error"), None);
        let state = example(folder.path());
        state.save(&path).expect("written");
        assert_eq!(State::load(&path).expect("read"), Some(state));
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o077, 0);
        fs::write(&path, "{").expect("written");
        let error = State::load(&path).expect_err("half a file").to_string();
        assert!(error.contains("state.json"), "{error}");
    }

    #[test]
    fn a_shell_reads_back_what_is_exported() {
        let state = example(Path::new("/nowhere"));
        let script = format!(
            "{}printf '%s|' \"$STOCKSTREAM_KAFKA\" \"$STOCKSTREAM_AMQP\" \"$STOCKSTREAM_AMQP_PASSWORD\"",
            state.exports()
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .expect("sh");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "127.0.0.1:20001,127.0.0.1:20002,127.0.0.1:20003|amqp://127.0.0.1:20021|it's secret|"
        );
    }

    #[test]
    fn every_password_is_another() {
        assert_ne!(password().expect("random"), password().expect("random"));
    }
}

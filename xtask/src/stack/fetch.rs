//! Java, and the servers themselves through Maven, once, into a cache.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::process::is_missing;

/// Versions are in here, and nowhere else.
const POM: &str = include_str!("pom.xml");
/// Kafka 4's brokers need it.
const JAVA_MIN: u32 = 17;
const INSTALL_JAVA: &str = "install a Java runtime of version 17 or newer (Debian, Ubuntu: apt-get install \
                            openjdk-17-jre-headless; macOS: brew install openjdk@17), or set JAVA_HOME";
const INSTALL_MAVEN: &str =
    "install Maven (Debian, Ubuntu: apt-get install maven; macOS: brew install maven)";

/// Nothing is cached, and nobody answers where it is to come from.
#[derive(Debug)]
pub struct Unreachable(String);

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Maven reaches no repository to fetch the servers from: {}; connect to the network, or name a mirror in \
             ~/.m2/settings.xml",
            self.0
        )
    }
}

impl std::error::Error for Unreachable {}

/// There is no program of that name.
#[derive(Debug)]
pub struct Missing(String);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// Where Kafka's jars lie.
pub fn kafka_jars(cache: &Path) -> PathBuf {
    cache.join("kafka")
}

/// Where Artemis' distribution lies.
pub fn artemis(cache: &Path) -> PathBuf {
    cache
        .join("artemis")
        .join(format!("apache-artemis-{}", version("artemis")))
}

fn version(of: &str) -> &'static str {
    let behind = POM.split_once(&format!("<{of}.version>")).map(|(_, rest)| rest);
    behind
        .and_then(|rest| rest.split_once('<'))
        .map(|(version, _)| version)
        .expect("pom.xml names the version")
}

/// The program, when there is one that is new enough; an error says what to install.
pub fn java() -> Result<PathBuf> {
    let program = std::env::var_os("JAVA_HOME").map_or_else(
        || PathBuf::from("java"),
        |home| PathBuf::from(home).join("bin/java"),
    );
    let output = match Command::new(&program).arg("-version").output() {
        Ok(output) => output,
        Err(error) if is_missing(&error) => {
            let said = format!("there is no Java ({}): {INSTALL_JAVA}", program.display());
            return Err(Missing(said).into());
        }
        Err(error) => return Err(error).with_context(|| program.display().to_string()),
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    match major(&text) {
        Some(major) if major >= JAVA_MIN => Ok(program),
        Some(major) => bail!("Java {major} is too old: {INSTALL_JAVA}"),
        None => bail!(
            "{} -version answers `{}`, which is no Java: {INSTALL_JAVA}",
            program.display(),
            text.trim()
        ),
    }
}

/// 17 of `openjdk version "17.0.15" 2025-04-15`, 8 of `java version "1.8.0_412"`.
fn major(text: &str) -> Option<u32> {
    let version = text.split_once("version \"")?.1.split_once('"')?.0;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        major => Some(major),
    }
}

/// The line of Maven's output that says that nobody answered, if that is what went wrong.
fn unreachable(said: &str) -> Option<&str> {
    const SIGNS: [&str; 7] = [
        "Unknown host",
        "Connection refused",
        "Connect timed out",
        "Connection timed out",
        "connect timed out",
        "Network is unreachable",
        "No route to host",
    ];
    said.lines()
        .find(|line| SIGNS.iter().any(|sign| line.contains(sign)))
        .map(str::trim)
}

/// Fetches what is not there yet.
pub fn fetch(cache: &Path) -> Result<()> {
    // Written last, and compared: a broken download or another version is fetched anew.
    let complete = cache.join("complete");
    if fs::read_to_string(&complete).is_ok_and(|pom| pom == POM) {
        return Ok(());
    }
    match fs::remove_dir_all(cache) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| cache.display().to_string());
        }
        _ => {}
    }
    fs::create_dir_all(cache).with_context(|| cache.display().to_string())?;
    let pom = cache.join("pom.xml");
    fs::write(&pom, POM).with_context(|| pom.display().to_string())?;
    eprintln!(
        "fetching Apache Kafka {} and Artemis {}, once, into {}",
        version("kafka"),
        version("artemis"),
        cache.display()
    );
    let maven = Command::new("mvn")
        .args(["--batch-mode", "--quiet", "--no-transfer-progress", "--file"])
        .arg(&pom)
        .arg(format!("-Dstack.cache={}", cache.display()))
        .arg("package")
        .stdin(Stdio::null())
        .output();
    let output = match maven {
        Ok(output) => output,
        Err(error) if is_missing(&error) => {
            return Err(Missing(format!("there is no Maven (mvn): {INSTALL_MAVEN}")).into());
        }
        Err(error) => return Err(error).context("mvn"),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    // Standard output is for the lines that a shell reads.
    eprint!("{said}{}", String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        if let Some(line) = unreachable(&said) {
            return Err(Unreachable(line.to_owned()).into());
        }
        bail!("Maven could not fetch the servers; its message stands above");
    }
    for needed in [kafka_jars(cache), artemis(cache)] {
        ensure!(
            needed.is_dir(),
            "Maven ran, and {} is not there",
            needed.display()
        );
    }
    fs::write(&complete, POM).with_context(|| complete.display().to_string())
}

#[cfg(test)]
pub fn missing(said: &str) -> anyhow::Error {
    Missing(said.to_owned()).into()
}

#[cfg(test)]
pub fn no_network(said: &str) -> anyhow::Error {
    Unreachable(said.to_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_java_are_told_apart() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15\n"), Some(17));
        assert_eq!(major("java version \"1.8.0_412\""), Some(8));
        assert_eq!(major("openjdk version \"25\" 2025-09-16"), Some(25));
        assert_eq!(major("openjdk version \"24-ea\" 2025-03-18"), Some(24));
        assert_eq!(major("command not found"), None);
        assert_eq!(major(""), None);
    }

    #[test]
    fn a_network_that_does_not_answer_is_told_from_a_download_that_fails() {
        let refused = "[ERROR] Failed to execute goal\n[ERROR] Could not transfer artifact a:b:jar:1 from/to central: \
                       Connect to 127.0.0.1:1 [/127.0.0.1] failed: Connection refused -> [Help 1]\n";
        assert!(
            unreachable(refused)
                .expect("it did not answer")
                .contains("a:b:jar:1")
        );
        assert!(unreachable("[ERROR] Unknown host repo: Temporary failure in name resolution").is_some());
        assert_eq!(
            unreachable("[ERROR] Could not find artifact a:b:jar:1 in central"),
            None
        );
        assert_eq!(
            unreachable("[ERROR] Checksum validation failed, expected 1 but is 2"),
            None
        );
    }

    #[test]
    fn the_versions_stand_in_one_place() {
        assert_eq!(version("kafka"), "4.3.1");
        assert!(artemis(Path::new("/c")).ends_with("artemis/apache-artemis-2.40.0"));
    }

    #[test]
    fn no_host_of_a_registry_is_named() {
        let urls: Vec<_> = POM.split("http").skip(1).collect();
        assert!(
            urls.iter().all(|url| url.starts_with("://maven.apache.org/POM/")),
            "{urls:?}"
        );
    }
}

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
            bail!("there is no Java ({}): {INSTALL_JAVA}", program.display())
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
        // Standard output is for the lines that a shell reads.
        .stdout(Stdio::from(io::stderr()))
        .status();
    let status = match maven {
        Ok(status) => status,
        Err(error) if is_missing(&error) => bail!("there is no Maven (mvn): {INSTALL_MAVEN}"),
        Err(error) => return Err(error).context("mvn"),
    };
    ensure!(
        status.success(),
        "Maven could not fetch the servers; its message stands above"
    );
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

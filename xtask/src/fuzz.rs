//! Every reader of a wire format, fed with what nobody writes, from the golden documents on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// A document that is longer is refused by its length alone.
const LENGTH_MAX: u32 = 16 * 1024;
const MEMORY_MIB: u32 = 2_048;
/// No input may take longer.
const SECONDS_AN_INPUT: u32 = 10;
const DATA: &str = "poc-services/contracts/tests/data";

#[derive(Debug, clap::Args)]
pub struct Fuzz {
    /// Seconds for each reader.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// So many inputs for each reader, however long it takes.
    #[arg(long, conflicts_with = "seconds")]
    inputs: Option<u64>,
    /// Only this reader; may be given several times.
    #[arg(long = "reader", value_name = "READER")]
    only: Vec<String>,
}

impl Fuzz {
    pub fn run(&self) -> Result<()> {
        let folder = crate::root().join("fuzz");
        for (tool, mend) in [
            (
                &["rustup", "run", "nightly", "rustc", "-V"][..],
                "rustup toolchain install nightly",
            ),
            (
                &["cargo", "fuzz", "--version"],
                "cargo install cargo-fuzz --locked",
            ),
        ] {
            ensure!(
                runs(tool),
                "`{}` does not run; install it: {mend}",
                tool.join(" ")
            );
        }
        let all = readers(&folder)?;
        for name in &self.only {
            ensure!(
                all.contains(name),
                "there is no reader `{name}`; there are: {}",
                all.join(", ")
            );
        }
        println!(
            "{:<14} {:>12} {:>10} {:>9} {:>8}",
            "reader", "inputs", "a second", "edges", "seeds"
        );
        let mut failed = Vec::new();
        for reader in all
            .iter()
            .filter(|name| self.only.is_empty() || self.only.contains(name))
        {
            if !self.feed(&folder, reader)? {
                failed.push(reader.as_str());
            }
        }
        ensure!(
            failed.is_empty(),
            "inputs that break a reader lie in fuzz/artifacts: {}",
            failed.join(", ")
        );
        Ok(())
    }

    fn feed(&self, folder: &Path, reader: &str) -> Result<bool> {
        let corpus = folder.join("corpus").join(reader);
        let seeds = sow(&crate::root().join(DATA), reader, &corpus)?;
        let bound = match self.inputs {
            Some(inputs) => format!("-runs={inputs}"),
            None => format!("-max_total_time={}", self.seconds),
        };
        let output = Command::new("cargo")
            .args(["+nightly", "fuzz", "run", reader])
            .arg(&corpus)
            .args(["--", &bound, "-print_final_stats=1", "-verbosity=1"])
            .arg(format!("-max_len={LENGTH_MAX}"))
            .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
            .arg(format!("-timeout={SECONDS_AN_INPUT}"))
            .current_dir(folder)
            .env_remove("RUSTUP_TOOLCHAIN")
            .stdout(Stdio::null())
            .output()
            .context("cargo fuzz")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let figure =
            |name: &str| last_number(&said, name).map_or("?".to_owned(), |number| number.to_string());
        println!(
            "{reader:<14} {:>12} {:>10} {:>9} {seeds:>8}",
            figure("stat::number_of_executed_units:"),
            figure("stat::average_exec_per_sec:"),
            figure("cov:"),
        );
        if !output.status.success() {
            let end: Vec<&str> = said.lines().rev().take(30).collect();
            eprintln!("{}", end.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        Ok(output.status.success())
    }
}

fn runs(command: &[&str]) -> bool {
    Command::new(command[0])
        .args(&command[1..])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// By their files, so that a new reader is a new file.
fn readers(folder: &Path) -> Result<Vec<String>> {
    let targets = folder.join("fuzz_targets");
    let mut names: Vec<String> = fs::read_dir(&targets)
        .with_context(|| targets.display().to_string())?
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// Puts the golden documents of a reader where the fuzzer begins: all whose path names it.
fn sow(data: &Path, reader: &str, corpus: &Path) -> Result<usize> {
    fs::create_dir_all(corpus).with_context(|| corpus.display().to_string())?;
    let named = match reader {
        "tlog4690" => "tlog-4690",
        "copybook" | "queue_message" => "invmove",
        "source_mark" => "source-mark",
        other => other,
    };
    let mut seeds = 0;
    for file in files(data)? {
        let path = file.strip_prefix(data).unwrap_or(&file).display().to_string();
        if !path.contains(named) {
            continue;
        }
        let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
        for document in documents(&file, &bytes)? {
            let to = corpus.join(format!("golden-{seeds}"));
            fs::write(&to, document).with_context(|| to.display().to_string())?;
            seeds += 1;
        }
    }
    Ok(seeds)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// A file of hexadecimal digits is one document; of tables each line is one.
fn documents(file: &Path, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    Ok(match file.extension().and_then(|extension| extension.to_str()) {
        Some("hex") => vec![from_hex(bytes).with_context(|| file.display().to_string())?],
        Some("tsv") => bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect(),
        _ => vec![bytes.to_vec()],
    })
}

fn from_hex(text: &[u8]) -> Result<Vec<u8>> {
    let text = String::from_utf8_lossy(text);
    let digits: String = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    if digits.len() % 2 == 1 {
        bail!("an odd number of hexadecimal digits");
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| {
            let pair = digits.get(at..at + 2).context("not hexadecimal")?;
            Ok(u8::from_str_radix(pair, 16)?)
        })
        .collect()
}

/// The number behind the last occurrence of a word.
fn last_number(text: &str, word: &str) -> Option<u64> {
    let behind = &text[text.rfind(word)? + word.len()..];
    let digits: String = behind
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_the_last_that_were_printed() {
        let said = "#2 INITED cov: 17 ft: 3\n#9 NEW cov: 204 ft: 9\nstat::number_of_executed_units: 12345\n";
        assert_eq!(last_number(said, "cov:"), Some(204));
        assert_eq!(last_number(said, "stat::number_of_executed_units:"), Some(12_345));
        assert_eq!(last_number(said, "rss:"), None);
    }

    #[test]
    fn hexadecimal_golden_files_become_bytes() {
        assert_eq!(
            from_hex(b"22 00 3A # header\n0632").unwrap(),
            [0x22, 0, 0x3a, 6, 0x32]
        );
        assert!(from_hex(b"2").is_err());
        assert!(from_hex(b"zz").is_err());
    }

    #[test]
    fn each_reader_has_golden_documents_to_begin_with() {
        let root = crate::root();
        let scratch = tempfile::tempdir().expect("a folder");
        for reader in readers(&root.join("fuzz")).expect("readers") {
            let seeds = sow(&root.join(DATA), &reader, &scratch.path().join(&reader)).expect("seeds");
            assert!(seeds > 0, "{reader}");
        }
    }
}

//! What outside readers say of a generated hour. None of them is ours, and none is told what to expect.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use contracts::wire::copybook;
use serde::Deserialize;

use crate::bench;

const SCENARIO: &str = include_str!("hour.yaml");
const EPCIS: &str = include_str!("epcis.py");
const POSLOG: &str = include_str!("poslog.py");
const COBOL: &str = "poc-services/contracts/tests/cobol/readmove.cob";
const COPYBOOK: &str = "docs/formats/invmove.cpy";
const SCHEMA: &str = "package/src/schema/EPCISDocument.schema.json";
const PYTHON: [&str; 4] = [
    "epcis-event-hash-generator==1.9.3",
    "epcpy==0.1.8",
    "jsonschema[format-nongpl]==4.26.0",
    "lxml==6.1.3",
];
const NPM: &str = "epcis2.js@2.7.3";

#[derive(Debug, clap::Args)]
pub struct Judges {
    /// Where the readers are installed, and what they read is generated.
    #[arg(long)]
    folder: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where a reader is not to be had, say so and be content with the others.
    #[arg(long)]
    lenient: bool,
    /// Try the program as it was built last, with the tests.
    #[arg(long)]
    as_built: bool,
}

/// What a judge said.
#[derive(Debug, Deserialize)]
struct Verdict {
    judge: String,
    judged: u64,
    agreed: u64,
    /// The first that it did not agree with.
    first: String,
}

impl Judges {
    pub fn run(&self) -> Result<()> {
        let folder = self
            .folder
            .clone()
            .unwrap_or_else(|| crate::root().join("target/judges"));
        let hour = folder.join("hour");
        if hour.exists() {
            fs::remove_dir_all(&hour).with_context(|| hour.display().to_string())?;
        }
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        self.generate(&folder, &hour)?;

        let mut verdicts = Vec::new();
        let mut absent = Vec::new();
        for (name, said) in [
            ("epcis", judge_scans(&folder, &hour)),
            ("POSLog", judge_receipts(&folder, &hour)),
            ("GnuCOBOL", judge_records(&folder, &hour)),
        ] {
            match said {
                Ok(said) => verdicts.extend(said),
                Err(error) if self.lenient => absent.push(format!("{name}: {error:#}")),
                Err(error) => return Err(error.context(name)),
            }
        }
        println!("{:<44} {:>9} {:>9}", "judge", "judged", "agreed");
        for verdict in &verdicts {
            println!(
                "{:<44} {:>9} {:>9}",
                verdict.judge, verdict.judged, verdict.agreed
            );
        }
        for absent in &absent {
            println!("skipped: {absent}");
        }
        let against: Vec<String> = verdicts
            .iter()
            .filter(|verdict| verdict.agreed != verdict.judged || verdict.judged == 0)
            .map(|verdict| format!("{}: {}", verdict.judge, verdict.first))
            .collect();
        ensure!(against.is_empty(), "not all agree:\n{}", against.join("\n"));
        Ok(())
    }

    fn generate(&self, folder: &Path, hour: &Path) -> Result<()> {
        let scenario = folder.join("hour.yaml");
        fs::write(&scenario, SCENARIO).with_context(|| scenario.display().to_string())?;
        if !self.as_built {
            bench::cargo(&["build", "--package", "tui"])?;
        }
        let mut command = Command::new(crate::root().join("target/debug/stockstream"));
        command
            .args(["generate", "--seed"])
            .arg(self.seed.to_string())
            .arg("--out")
            .arg(hour)
            .arg(&scenario);
        succeed(&mut command)?;
        Ok(())
    }
}

/// Runs it to its end and gives what it printed.
fn succeed(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("`{program}` does not start; it is needed here"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{program}` failed: {}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort_unstable();
    Ok(files)
}

/// What a script says of these, in an environment that has its packages.
fn ask(folder: &Path, script: &str, of: &[PathBuf]) -> Result<Vec<Verdict>> {
    let environment = folder.join("python");
    let python = environment.join("bin/python");
    let installed = environment.join("installed");
    let packages = PYTHON.join("\n");
    if fs::read_to_string(&installed).ok().as_ref() != Some(&packages) {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        succeed(
            Command::new(&python)
                .args(["-m", "pip", "install", "--quiet"])
                .args(PYTHON),
        )?;
        fs::write(&installed, packages)?;
    }
    let said = succeed(Command::new(&python).args(["-c", script]).args(of))?;
    said.lines()
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

fn judge_scans(folder: &Path, hour: &Path) -> Result<Vec<Verdict>> {
    let schema = folder.join(SCHEMA);
    if !schema.exists() {
        succeed(
            Command::new("npm")
                .args(["pack", "--silent", NPM])
                .current_dir(folder),
        )?;
        let archive = NPM.replace('@', "-") + ".tgz";
        succeed(Command::new("tar").args(["xzf", &archive]).current_dir(folder))?;
    }
    let mut of = vec![schema];
    of.extend(files(&hour.join("scans"))?);
    ask(folder, EPCIS, &of)
}

fn judge_receipts(folder: &Path, hour: &Path) -> Result<Vec<Verdict>> {
    let dialects = ["poslog-6.0", "poslog-2.2.1"].map(|dialect| hour.join(dialect));
    ask(folder, POSLOG, &dialects)
}

/// A COBOL program with the copybook shows each record's fields, and they are what our reader has.
fn judge_records(folder: &Path, hour: &Path) -> Result<Vec<Verdict>> {
    let program = folder.join("readmove");
    let root = crate::root();
    succeed(
        Command::new("cobc")
            .args(["-x", "-std=ibm", "-I"])
            .arg(root.join(COPYBOOK).parent().unwrap_or(root))
            .arg("-o")
            .arg(&program)
            .arg(root.join(COBOL)),
    )?;
    let mut verdict = Verdict {
        judge: "queue records field by field, by GnuCOBOL".into(),
        judged: 0,
        agreed: 0,
        first: String::new(),
    };
    for file in files(&hour.join("mq"))? {
        let said = succeed(Command::new(&program).env("MOVES", &file))?;
        let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
        let (records, rest) = bytes.as_chunks::<80>();
        ensure!(rest.is_empty(), "{}: a record is cut off", file.display());
        ensure!(
            records.len() == said.lines().count(),
            "{}: {} records, and {} lines",
            file.display(),
            records.len(),
            said.lines().count()
        );
        for (record, line) in records.iter().zip(said.lines()) {
            verdict.judged += 1;
            let ours = copybook::parse(record).map(|ours| {
                (
                    u64::from(ours.sequence),
                    u64::from(ours.sku.0),
                    ours.gtin.value(),
                    ours.quantity.0,
                )
            });
            if ours.as_ref().ok() == shown(line).as_ref() {
                verdict.agreed += 1;
            } else if verdict.first.is_empty() {
                verdict.first = format!("{line} but {ours:?}");
            }
        }
    }
    Ok(vec![verdict])
}

/// Sequence, SKU, GTIN and thousandths of a line that the program shows.
fn shown(line: &str) -> Option<(u64, u64, u64, i64)> {
    let fields: Vec<&str> = line.split('|').map(str::trim).collect();
    let quantity = fields.get(7)?.replace('.', "");
    Some((
        fields.get(1)?.parse().ok()?,
        fields.get(4)?.parse().ok()?,
        fields.get(5)?.parse().ok()?,
        quantity.replace(' ', "").parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_from_where_the_program_shows_them() {
        let line = "IM|0000000001|90001|010|000100010|00614141000098|701|-0000348.500| 0000348| 0000000| 0000001.93|";
        assert_eq!(shown(line), Some((1, 100_010, 614_141_000_098, -348_500)));
        assert_eq!(shown("IM|1"), None);
    }
}

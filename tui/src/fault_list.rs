//! The library of faults as lists: for people, for programs, for the documentation, and a case to run.

use std::io::Write;

use anyhow::{Result, bail};
use scenario::{ALWAYS, FAULT_NAMES, FAULTS, Fault, FaultInfo};
use serde::Serialize;

#[derive(Serialize)]
struct Row {
    name: &'static str,
    area: &'static str,
    about: &'static str,
    always: &'static str,
    sometimes: &'static str,
    embedded: &'static str,
    real: &'static str,
    keys: Vec<&'static str>,
    step: bool,
}

fn keys(info: &FaultInfo) -> Vec<&'static str> {
    info.takes.iter().map(|parameter| parameter.key()).collect()
}

pub fn list(out: &mut impl Write) -> Result<()> {
    let mut area = None;
    for info in &FAULTS {
        if area != Some(info.area) {
            area = Some(info.area);
            writeln!(out, "{}", info.area.label())?;
        }
        writeln!(out, "  {:<22} {}", info.name, info.about)?;
        if !info.takes.is_empty() {
            writeln!(out, "  {:<22}   keys: {}", "", keys(info).join(", "))?;
        }
    }
    writeln!(out, "\nalways: {ALWAYS}")?;
    writeln!(
        out,
        "steps: do: {{break: NAME}}, do: {{break: {{fault: NAME, KEY: VALUE}}}}, do: {{mend: NAME}}, do: {{mend: all}}"
    )?;
    Ok(())
}

pub fn json(out: &mut impl Write) -> Result<()> {
    let rows: Vec<Row> = FAULTS
        .iter()
        .map(|info| Row {
            name: info.name,
            area: info.area.label(),
            about: info.about,
            always: info.always,
            sometimes: info.sometimes,
            embedded: info.embedded,
            real: info.real,
            keys: keys(info),
            step: info.fault.is_step(),
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &rows)?;
    writeln!(out)?;
    Ok(())
}

/// The table of docs/faults.md.
pub fn markdown(out: &mut impl Write) -> Result<()> {
    writeln!(
        out,
        "| fault | what breaks | must hold too | counted | on the embedded servers | on real ones |"
    )?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- |")?;
    for info in &FAULTS {
        let keys: Vec<String> = keys(info).iter().map(|key| format!("`{key}`")).collect();
        let keys = if keys.is_empty() {
            String::new()
        } else {
            format!(" ({})", keys.join(", "))
        };
        writeln!(
            out,
            "| `{}`{keys} | {} | {} | {} | {} | {} |",
            info.name, info.about, info.always, info.sometimes, info.embedded, info.real
        )?;
    }
    Ok(())
}

pub fn case(name: &str, seed: u32, out: &mut impl Write) -> Result<()> {
    let Some(fault) = Fault::from_name(name) else {
        bail!("there is no fault `{name}`; there are {}", FAULT_NAMES.join(", "));
    };
    write!(out, "{}", scenario::fault_case(fault, seed))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_the_table_of_the_code() {
        let mut table = Vec::new();
        markdown(&mut table).expect("a table");
        let table = String::from_utf8(table).expect("text");
        assert!(
            include_str!("../../docs/faults.md").contains(&table),
            "docs/faults.md is stale; its table is what `stockstream faults --markdown` prints"
        );
    }
}

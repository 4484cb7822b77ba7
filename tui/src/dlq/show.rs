//! Letters for people: a table of classes, one letter whole, a folder of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use contracts::ids::TimeMs;
use contracts::wire::civil::CivilTime;
use serde_json::{Map, Value, json};

use super::letter::{ClassCount, Letter};
use crate::format::count;
use crate::tap;

const HEX_COLUMNS: usize = 16;

fn time(ms: Option<i64>) -> String {
    let Some(ms) = ms else { return "–".into() };
    let at = CivilTime::from_ms(TimeMs(ms));
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}",
        at.year, at.month, at.day, at.hour, at.minute, at.second, at.millisecond
    )
}

/// A line a class, with an example.
pub fn classes(found: &BTreeMap<String, ClassCount>, out: &mut impl Write) -> io::Result<()> {
    if found.is_empty() {
        return writeln!(out, "no dead letters");
    }
    let width = found
        .keys()
        .map(String::len)
        .max()
        .unwrap_or(0)
        .max("class".len());
    writeln!(
        out,
        "{:<width$} {:>9} {:>9}  example",
        "class", "open", "put back"
    )?;
    for (class, counts) in found {
        writeln!(
            out,
            "{class:<width$} {:>9} {:>9}  {} of {}: {}",
            count(counts.open),
            count(counts.put_back),
            counts.example.id,
            String::from_utf8_lossy(&counts.example.key),
            counts.example.message
        )?;
    }
    Ok(())
}

pub fn classes_json(found: &BTreeMap<String, ClassCount>, out: &mut impl Write) -> io::Result<()> {
    let all: Vec<Value> = found
        .iter()
        .map(|(class, counts)| {
            json!({
                "class": class,
                "open": counts.open,
                "put_back": counts.put_back,
                "example": of_letter(&counts.example),
            })
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &all)?;
    writeln!(out)
}

/// All but the bytes.
fn of_letter(letter: &Letter) -> Value {
    let headers: Map<String, Value> = letter
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into()))
        .collect();
    json!({
        "letter": letter.id.to_string(),
        "class": letter.class,
        "message": letter.message,
        "key": String::from_utf8_lossy(&letter.key),
        "timestamp_ms": letter.timestamp_ms,
        "headers": headers,
        "bytes": letter.payload.len(),
        "dead_letters_partition": letter.lies_at.0,
        "dead_letters_offset": letter.lies_at.1,
        "put_back_ms": letter.replayed.as_ref().map(|replayed| replayed.at_ms),
        "put_back_times": letter.replayed.as_ref().map_or(0, |replayed| replayed.times),
    })
}

/// One letter whole.
pub fn whole(letter: &Letter, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "letter    {}", letter.id)?;
    writeln!(out, "class     {}", letter.class)?;
    writeln!(out, "wrong     {}", letter.message)?;
    writeln!(out, "key       {}", String::from_utf8_lossy(&letter.key))?;
    writeln!(out, "time      {}", time(letter.timestamp_ms))?;
    let (partition, offset) = letter.lies_at;
    writeln!(out, "lies at   movements.dlq/{partition}/{offset}")?;
    match &letter.replayed {
        Some(replayed) => writeln!(
            out,
            "put back  {} times, the last {}",
            replayed.times,
            time(Some(replayed.at_ms))
        )?,
        None => writeln!(out, "put back  never")?,
    }
    for (name, value) in &letter.headers {
        writeln!(out, "header    {name}: {}", String::from_utf8_lossy(value))?;
    }
    writeln!(
        out,
        "read as   {}",
        tap::value(&letter.id.topic, &letter.key, &letter.payload)
    )?;
    writeln!(out, "bytes     {}", count(letter.payload.len() as u64))?;
    for (row, bytes) in letter.payload.chunks(HEX_COLUMNS).enumerate() {
        write!(out, "{:08x} ", row * HEX_COLUMNS)?;
        for byte in bytes {
            write!(out, " {byte:02x}")?;
        }
        for _ in bytes.len()..HEX_COLUMNS {
            write!(out, "   ")?;
        }
        let text: String = bytes
            .iter()
            .map(|byte| match byte {
                b' '..=b'~' => char::from(*byte),
                _ => '.',
            })
            .collect();
        writeln!(out, "  {text}")?;
    }
    Ok(())
}

/// A file with the bytes and one with all else for each letter, in a folder for each class.
pub fn export(letters: &[Letter], folder: &Path) -> Result<()> {
    if folder.exists() && fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some()) {
        bail!(
            "{} is not empty: name a folder that does not exist yet, or empty it",
            folder.display()
        );
    }
    for letter in letters {
        let of_class = folder.join(&letter.class);
        fs::create_dir_all(&of_class)
            .with_context(|| format!("folder {} cannot be made", of_class.display()))?;
        let name = letter.id.to_string().replace('/', "-");
        let write = |ending: &str, bytes: &[u8]| {
            let path = of_class.join(format!("{name}.{ending}"));
            fs::write(&path, bytes).with_context(|| {
                format!(
                    "{} cannot be written: make room or name another folder",
                    path.display()
                )
            })
        };
        write("bin", &letter.payload)?;
        write(
            "json",
            serde_json::to_string_pretty(&of_letter(letter))?.as_bytes(),
        )?;
    }
    Ok(())
}

//! The commands that need no servers: check, digest, generate, scenarios.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use ledger::Ledger;
use scenario::Stop;
use world::events::{Channel, Step};
use world::{DigestBuilder, World};

use crate::format::count;
use crate::world_of::{self, Chosen};

/// Places whose opening stock is counted at a time.
const OPENING_PLACES: usize = 100;

pub fn check(names: &[String], out: &mut impl Write) -> Result<()> {
    for name in names {
        let (scenario, _) = world_of::load(name)?;
        world_of::build(&scenario)?;
        writeln!(out, "ok {name}\n{}", scenario.expected_totals())?;
    }
    Ok(())
}

/// Lists the shipped scenarios, or prints the schema.
pub fn scenarios(schema: bool, out: &mut impl Write) -> Result<()> {
    if schema {
        serde_json::to_writer_pretty(&mut *out, &scenario::schema())?;
        writeln!(out)?;
        return Ok(());
    }
    for shipped in scenario::SHIPPED {
        let parsed = scenario::parse(shipped.name, shipped.yaml)?;
        let first = parsed.about.lines().next().unwrap_or_default();
        writeln!(out, "{:<18} {} — {first}", shipped.name, parsed.title)?;
    }
    Ok(())
}

/// Where generation ends: behind a number of steps, or behind the step in which so many receipts are reached.
#[derive(Clone, Copy, Debug)]
struct End {
    steps: Option<u32>,
    receipts: Option<u64>,
}

impl End {
    fn new(chosen: &Chosen, transactions: Option<u64>) -> Self {
        let receipts = match (transactions, chosen.scenario.stop) {
            (Some(receipts), _) | (None, Stop::Transactions(receipts)) => Some(receipts),
            (None, Stop::Duration(_)) => None,
        };
        let steps = if transactions.is_some() {
            None
        } else {
            world_of::steps(&chosen.scenario)
        };
        Self { steps, receipts }
    }
}

/// Hands every step to `take`: the opening stock in parts, then trading.
fn generate_steps(
    chosen: &Chosen,
    world: &mut World,
    end: End,
    threads: usize,
    mut take: impl FnMut(&Step) -> Result<()>,
) -> Result<()> {
    if chosen.scenario.opening {
        while let Some(part) = world.opening_part(OPENING_PLACES) {
            take(&part)?;
            world.recycle(part);
        }
    }
    let mut steps = 0;
    let mut receipts = 0;
    while end.steps.is_none_or(|last| steps < last) && end.receipts.is_none_or(|last| receipts < last) {
        let step = world.step(threads);
        steps += 1;
        receipts += step
            .places
            .iter()
            .flat_map(|place| &place.messages)
            .filter(|message| message.channel == Channel::Till)
            .map(|message| message.transactions.len() as u64)
            .sum::<u64>();
        take(&step)?;
        world.recycle(step);
    }
    Ok(())
}

pub fn digest(
    name: &str,
    seed: Option<u64>,
    scale: Option<u32>,
    threads: usize,
    transactions: Option<u64>,
    out: &mut impl Write,
) -> Result<()> {
    let chosen = world_of::choose(name, seed, scale, None)?;
    let mut world = world_of::build(&chosen.scenario)?;
    let mut builder = DigestBuilder::new(world.places());
    let end = End::new(&chosen, transactions);
    generate_steps(&chosen, &mut world, end, threads, |step| {
        builder.add(step);
        Ok(())
    })?;
    writeln!(out, "{}", builder.finish())?;
    Ok(())
}

pub fn generate(
    name: &str,
    folder: &Path,
    seed: Option<u64>,
    scale: Option<u32>,
    transactions: Option<u64>,
    out: &mut impl Write,
) -> Result<()> {
    let chosen = world_of::choose(name, seed, scale, None)?;
    let mut world = world_of::build(&chosen.scenario)?;
    if folder.exists()
        && fs::read_dir(folder)
            .with_context(|| folder.display().to_string())?
            .next()
            .is_some()
    {
        bail!(
            "{} is not empty: name a folder that does not exist yet, or empty it",
            folder.display()
        );
    }
    for kind in world::FOLDERS {
        fs::create_dir_all(folder.join(kind))
            .with_context(|| format!("folder {} cannot be made", folder.join(kind).display()))?;
    }
    let truth = Ledger::new(&world.assortments());
    let places = world.places().to_vec();
    // A file is opened, appended to and closed for each step: thousands of places are more than files may be open.
    let mut totals = BTreeMap::<&str, u64>::new();
    let end = End::new(&chosen, transactions);
    generate_steps(&chosen, &mut world, end, 2, |step| {
        for (position, (place, events)) in places.iter().zip(&step.places).enumerate() {
            let mut ledger = truth.place(position);
            for transaction in &events.transactions {
                ledger.apply(&transaction.id, events.lines_of(transaction));
            }
            drop(ledger);
            let mut files = BTreeMap::<&str, Vec<u8>>::new();
            for message in &events.messages {
                let bytes = files.entry(message.format).or_default();
                bytes.extend_from_slice(events.bytes_of(message));
                bytes.extend_from_slice(world::message_end(message.format));
                let kind = match message.channel {
                    Channel::Till => "till",
                    Channel::Queue => "queue",
                    Channel::Scan => "scan",
                };
                *totals.entry(kind).or_default() += message.transactions.len() as u64;
            }
            for (format, bytes) in files {
                append(&folder.join(world::file_name(place.location, format)), &bytes)?;
            }
        }
        Ok(())
    })?;
    write_truth(&truth, &folder.join("truth.csv"))?;
    let split: Vec<String> = totals
        .iter()
        .map(|(kind, total)| format!("{} {kind}", count(*total)))
        .collect();
    writeln!(
        out,
        "{}: {} transactions; truth.csv has the stock of every cell",
        folder.display(),
        split.join(", ")
    )?;
    Ok(())
}

fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .with_context(|| unwritten(path))
}

/// What is there is a part of what it should be, and nobody should take it for the whole.
fn unwritten(path: &Path) -> String {
    format!(
        "{} cannot be written, so its folder is not whole: remove it, make room or name a folder that has some, and generate \
         again",
        path.display()
    )
}

/// Quantities in thousandths of the base unit of measure.
fn write_truth(truth: &Ledger, path: &Path) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        writeln!(file, "location,sku,on_hand,floor,back_room")?;
        for position in 0..truth.places() {
            let place = truth.place(position);
            for (sku, cell) in place.skus.iter().zip(&place.cells) {
                if cell.lines > 0 {
                    writeln!(
                        file,
                        "{},{sku},{},{},{}",
                        place.location,
                        cell.on_hand(),
                        cell.floor,
                        cell.back_room
                    )?;
                }
            }
        }
        file.into_inner()
            .map_err(std::io::IntoInnerError::into_error)?
            .sync_all()
    };
    write().with_context(|| unwritten(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_an_error_that_names_the_file_and_what_to_do() {
        let full = Path::new("/dev/full");
        if !full.exists() {
            return;
        }
        let truth = Ledger::new(&[]);
        for failed in [append(full, b"bytes"), write_truth(&truth, full)] {
            let error = format!("{:#}", failed.expect_err("the device is full"));
            assert!(
                error.contains("/dev/full") && error.contains("make room"),
                "{error}"
            );
        }
    }
}

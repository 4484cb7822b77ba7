//! `stockstream dlq`: what lies in the dead letters, and putting it back when it can be understood.
//!
//! It reads topics and writes raw messages again; what is wrong with a letter only the service knows that refused it.

mod letter;
mod replay;
mod show;

use std::io::Write;

use anyhow::{Context as _, Result, bail};
use backbone::Backbone;
use contracts::topics;

use crate::cli::DlqCommand;
use crate::format::count;
use letter::{Choice, LetterId, Letters};
pub use replay::PutBack;

/// Letters that cannot go back and are named.
const NAMED_MAX: usize = 10;

/// The topic in which is remembered what was put back, and the others, must be there.
pub async fn ready(backbone: &Backbone) -> Result<()> {
    let ours: Vec<topics::Topic> = topics::ALL
        .into_iter()
        .filter(|topic| [topics::DEAD_LETTERS, topics::DLQ_REPLAYED, topics::CATALOGUE].contains(&topic.name))
        .collect();
    backbone.ensure_topics(&ours).await.map_err(Into::into)
}

pub fn run(backbone: &Backbone, command: &DlqCommand, out: &mut impl Write) -> Result<()> {
    match command {
        DlqCommand::List { class, json } => {
            let found = letter::classes(
                backbone,
                &Choice {
                    class: class.clone(),
                    ..Choice::default()
                },
            )?;
            if *json {
                show::classes_json(&found, out)
            } else {
                show::classes(&found, out)
            }
            .context("standard output")
        }
        DlqCommand::Show { letter } => {
            let found = letter::read(backbone, &of_ids(std::slice::from_ref(letter)))?;
            let Some(found) = found.all.first() else {
                bail!("there is no letter {letter}; `stockstream dlq list` shows an example of each class")
            };
            show::whole(found, out).context("standard output")
        }
        DlqCommand::Export { class, out: folder } => {
            let choice = Choice {
                class: class.clone(),
                ..Choice::default()
            };
            let found = letter::read(backbone, &choice)?;
            show::export(&found.all, folder)?;
            writeln!(
                out,
                "{}: {} letters",
                folder.display(),
                count(found.all.len() as u64)
            )?;
            told_left(&found, out)
        }
        DlqCommand::Replay {
            class,
            letters,
            all,
            again,
        } => {
            if class.is_none() && letters.is_empty() && !all {
                bail!("which letters? Name some, or give --class, or --all");
            }
            let choice = Choice {
                class: class.clone(),
                only_open: !again,
                ..of_ids(letters)
            };
            let found = letter::read(backbone, &choice)?;
            let done = replay::put_back(backbone, &found.all)?;
            writeln!(out, "{} letters put back", count(done.letters))?;
            for (id, reason) in done.refused.iter().take(NAMED_MAX) {
                writeln!(out, "not {id}: {reason}")?;
            }
            if done.refused.len() > NAMED_MAX {
                writeln!(out, "and {} more", done.refused.len() - NAMED_MAX)?;
            }
            told_left(&found, out)
        }
    }
}

fn of_ids(ids: &[LetterId]) -> Choice {
    Choice {
        ids: ids.to_vec(),
        ..Choice::default()
    }
}

fn told_left(found: &Letters, out: &mut impl Write) -> Result<()> {
    if found.left > 0 {
        writeln!(
            out,
            "{} more did not fit into memory: choose fewer with --class, or run it again",
            count(found.left)
        )?;
    }
    Ok(())
}

/// Puts back all open letters of a class.
pub fn put_back_class(backbone: &Backbone, class: &str) -> Result<PutBack> {
    let choice = Choice {
        class: Some(class.to_owned()),
        only_open: true,
        ..Choice::default()
    };
    let found = letter::read(backbone, &choice)?;
    replay::put_back(backbone, &found.all)
}

/// As the command line has it.
pub fn parse_id(text: &str) -> Result<LetterId, String> {
    text.parse()
}

pub use letter::{LetterCounts, LetterId as Id, by_format as letters_by_format};

//! Puts letters back where they stood: the same key, bytes, headers and time, to the same partition.
//!
//! Invariant: a letter is remembered as put back only behind its acknowledgement. So after a crash in between it goes out once
//! more, which changes nothing: the inventory knows a transaction by its identity, and a place a letter by its offset.

use std::time::Duration;

use anyhow::{Context as _, Result};
use backbone::Backbone;
use contracts::records::Replayed;
use contracts::topics::{DLQ_REPLAYED, MQ_RAW, SCAN_RAW, TLOG_RAW, headers};
use prost::Message as _;

use super::letter::{Letter, LetterId};

/// Letters between two acknowledgements.
const BATCH: usize = 1_000;
const FLUSH: Duration = Duration::from_secs(30);

/// What became of the letters that were to be put back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutBack {
    pub letters: u64,
    /// Those that cannot go back, with the reason.
    pub refused: Vec<(LetterId, &'static str)>,
}

/// Why a letter cannot go back to where it came from; `None`: it can.
fn refusal(letter: &Letter) -> Option<&'static str> {
    match letter.id.topic.as_str() {
        _ if letter.is_left_out => Some(
            "it was too long for the dead letters: its bytes are where it stood, as long as that is kept",
        ),
        TLOG_RAW | MQ_RAW | SCAN_RAW => None,
        contracts::topics::MOVEMENTS => Some(
            "the inventory refused it for good: its number cannot be placed, or was used for something else",
        ),
        contracts::topics::PLACES => Some("it is master data: publish the place again"),
        _ => Some("it came over a queue: its warehouse has to send it again"),
    }
}

pub fn put_back(backbone: &Backbone, letters: &[Letter]) -> Result<PutBack> {
    let mut producer = backbone.producer("stockstream-dlq")?;
    let mut done = PutBack::default();
    for batch in letters.chunks(BATCH) {
        let mut sent = Vec::with_capacity(batch.len());
        for letter in batch {
            if let Some(reason) = refusal(letter) {
                done.refused.push((letter.id.clone(), reason));
                continue;
            }
            let of = letter.id.offset.to_string();
            let mut all: Vec<(&str, &[u8])> = letter
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_slice()))
                .collect();
            all.push((headers::REPLAY_OF, of.as_bytes()));
            let LetterId { topic, partition, .. } = &letter.id;
            producer.send(
                topic,
                *partition,
                &letter.key,
                &letter.payload,
                letter.timestamp_ms,
                &all,
            )?;
            sent.push(letter);
        }
        producer.flush(FLUSH).context("letters that were put back")?;
        let at_ms = backbone::wall_ms();
        for letter in &sent {
            let replayed = Replayed {
                at_ms,
                times: letter.replayed.as_ref().map_or(0, |before| before.times) + 1,
                class: letter.class.clone(),
            };
            let key = letter.id.to_string();
            producer.send(
                DLQ_REPLAYED,
                0,
                key.as_bytes(),
                &replayed.encode_to_vec(),
                None,
                &[],
            )?;
        }
        producer.flush(FLUSH).context("the memory of what was put back")?;
        done.letters += sent.len() as u64;
    }
    Ok(done)
}

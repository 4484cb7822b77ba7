//! `stockstream tap TOPIC`: any topic as JSON for people, a record a line.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context as _, Result};
use backbone::{Backbone, Record};
use contracts::records;
use contracts::topics::{self, StateKey};
use contracts::wire;
use prost::Message;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

/// The topic of that name, or an error that lists all.
pub fn known(topic: &str) -> Result<&'static topics::Topic> {
    topics::ALL
        .iter()
        .find(|known| known.name == topic)
        .with_context(|| {
            let names: Vec<_> = topics::ALL.iter().map(|known| known.name).collect();
            format!("there is no topic `{topic}`; the topics are {}", names.join(", "))
        })
}

/// Follows the topic from its beginning until `limit` records are printed or the caller cancels.
pub fn run(
    backbone: &Backbone,
    topic: &str,
    limit: Option<u64>,
    out: &mut impl Write,
    cancel: &CancellationToken,
) -> Result<()> {
    let known = known(topic)?;
    let reader = backbone
        .reader_from_beginning("stockstream-tap", topic, known.partitions)
        .with_context(|| format!("topic {topic}"))?;
    let mut left = limit.unwrap_or(u64::MAX);
    while left > 0 && !cancel.is_cancelled() {
        let Some(record) = reader.poll(Duration::from_millis(200))? else {
            continue;
        };
        match writeln!(out, "{}", show(topic, &record)) {
            // The reader of our output has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            other => other.context("standard output")?,
        }
        left -= 1;
    }
    out.flush().context("standard output")
}

fn show(topic: &str, record: &Record<'_>) -> Value {
    let headers: Map<String, Value> = record
        .headers()
        .iter()
        .map(|(name, value)| {
            (
                (*name).to_owned(),
                Value::String(String::from_utf8_lossy(value).into_owned()),
            )
        })
        .collect();
    json!({
        "topic": topic,
        "partition": record.partition(),
        "offset": record.offset(),
        "timestamp_ms": record.timestamp_ms(),
        "key": String::from_utf8_lossy(record.key()),
        "headers": headers,
        "value": record.payload().map(|payload| value(topic, record.key(), payload)),
    })
}

fn decoded<M: Message + Default + serde::Serialize>(payload: &[u8]) -> Value {
    match M::decode(payload) {
        Ok(message) => serde_json::to_value(message).unwrap_or_else(|_| hex(payload)),
        Err(error) => json!({ "undecodable": error.to_string(), "hex": hex(payload) }),
    }
}

pub fn value(topic: &str, key: &[u8], payload: &[u8]) -> Value {
    match topic {
        topics::MOVEMENTS => decoded::<records::Movement>(payload),
        topics::ITEM_INVENTORY if key.starts_with(b"b/") => decoded::<records::Barrier>(payload),
        topics::ITEM_INVENTORY => decoded::<records::ItemTotal>(payload),
        topics::CATALOGUE => decoded::<records::Article>(payload),
        topics::PLACES => decoded::<records::Place>(payload),
        topics::DLQ_REPLAYED => decoded::<records::Replayed>(payload),
        topics::PAPERS => decoded::<records::Paper>(payload),
        topics::DISCREPANCIES => decoded::<records::Discrepancy>(payload),
        topics::ITEMS_SEEN => decoded::<records::Seen>(payload),
        topics::STORE_INVENTORY | topics::ITEM_PARTIALS => match StateKey::parse(key) {
            Some(StateKey::Cell { .. }) => decoded::<records::Cell>(payload),
            Some(StateKey::Window(_)) => decoded::<records::Window>(payload),
            Some(StateKey::Completeness(_)) => decoded::<records::Completeness>(payload),
            Some(StateKey::Barrier { .. }) => decoded::<records::Barrier>(payload),
            Some(StateKey::Intent { .. }) => decoded::<records::Intent>(payload),
            Some(StateKey::Head { .. }) => decoded::<records::Head>(payload),
            Some(StateKey::ImagePart { .. }) => decoded::<records::ImagePart>(payload),
            Some(StateKey::Seal(_)) => decoded::<records::Seal>(payload),
            Some(StateKey::Partial { .. }) => decoded::<records::Partial>(payload),
            Some(StateKey::PartialEnd { .. }) => decoded::<records::PartialEnd>(payload),
            None => hex(payload),
        },
        topics::SCAN_RAW | topics::ITEMS => serde_json::from_slice(payload).unwrap_or_else(|_| hex(payload)),
        topics::TLOG_RAW if payload.trim_ascii_start().starts_with(b"<") => {
            match wire::poslog::parse(payload) {
                Ok(document) => {
                    json!({ "document": String::from_utf8_lossy(payload), "transactions": document.transactions.len() })
                }
                Err(error) => {
                    json!({ "undecodable": error.to_string(), "text": String::from_utf8_lossy(payload) })
                }
            }
        }
        topics::TLOG_RAW if payload.starts_with(b"{") => {
            serde_json::from_slice(payload).unwrap_or_else(|_| hex(payload))
        }
        topics::TLOG_RAW => match wire::tlog4690::parse(payload) {
            Ok(receipt) => json!({ "receipt": format!("{receipt:?}"), "hex": hex(payload) }),
            Err(error) => json!({ "undecodable": error.to_string(), "hex": hex(payload) }),
        },
        topics::MQ_RAW => match wire::copybook::read(wire::queue_message::record(payload)) {
            Ok(movement) => json!({ "record": format!("{movement:?}"), "hex": hex(payload) }),
            Err(error) => json!({ "undecodable": error.to_string(), "hex": hex(payload) }),
        },
        _ => hex(payload),
    }
}

fn hex(bytes: &[u8]) -> Value {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Value::String(text)
}

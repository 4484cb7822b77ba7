//! A dead letter: a message that could not be understood, where it stood, and what is wrong with it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Result};
use backbone::{Backbone, Record};
use contracts::records::Replayed;
use contracts::topics::{DEAD_LETTERS, DLQ_REPLAYED, PARTITIONS, headers};
use prost::Message as _;

const CLIENT: &str = "stockstream-dlq";
/// Letters are held in memory up to here; there may be more, and a command that takes them says so.
const BYTES_MAX: usize = 256 << 20;

/// Where a message stood when it was refused, as `tlog.raw/3/1234`. A letter that was written twice is one letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId {
    pub topic: String,
    pub partition: u32,
    pub offset: u64,
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for LetterId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (rest, offset) = text.rsplit_once('/')?;
            let (topic, partition) = rest.rsplit_once('/')?;
            Some(Self {
                topic: (!topic.is_empty()).then(|| topic.to_owned())?,
                partition: partition.parse().ok()?,
                offset: offset.parse().ok()?,
            })
        };
        parse().ok_or_else(|| {
            format!(
                "`{text}` is no letter: write TOPIC/PARTITION/OFFSET, such as `tlog.raw/3/1234`, as `stockstream dlq list` shows it"
            )
        })
    }
}

/// A message that could not be understood, whole.
#[derive(Clone, Debug)]
pub struct Letter {
    pub id: LetterId,
    pub class: String,
    /// What is wrong, for people.
    pub message: String,
    pub key: Vec<u8>,
    pub payload: Vec<u8>,
    /// Those that it came with.
    pub headers: Vec<(String, Vec<u8>)>,
    pub timestamp_ms: Option<i64>,
    /// It was too long for the dead letters: its bytes are where it stood.
    pub is_left_out: bool,
    /// Partition and offset in the dead letters.
    pub lies_at: (u32, u64),
    /// `None`: it was never put back.
    pub replayed: Option<Replayed>,
}

impl Letter {
    fn of(record: &Record<'_>) -> Self {
        let text = |name: &str| {
            let value = record.header(name).unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        let lies_at = (record.partition(), record.offset());
        // What came over a queue has stood at no offset: it is known by where it lies.
        let stood = text(headers::DLQ_PARTITION)
            .parse()
            .ok()
            .zip(text(headers::DLQ_OFFSET).parse().ok());
        let (partition, offset) = stood.unwrap_or(lies_at);
        let is_own = |name: &str| !name.starts_with(headers::DLQ) && name != headers::REPLAY_OF;
        Self {
            id: LetterId {
                topic: text(headers::DLQ_TOPIC),
                partition,
                offset,
            },
            class: text(headers::DLQ_CLASS),
            message: text(headers::DLQ_MESSAGE),
            key: record.key().to_vec(),
            payload: record.payload().unwrap_or_default().to_vec(),
            headers: record
                .headers()
                .into_iter()
                .filter(|(name, _)| is_own(name))
                .map(|(name, value)| (name.to_owned(), value.to_vec()))
                .collect(),
            timestamp_ms: record.timestamp_ms(),
            is_left_out: record.header(headers::DLQ_LEFT_OUT).is_some(),
            lies_at,
            replayed: None,
        }
    }

    pub fn is_open(&self) -> bool {
        self.replayed.is_none()
    }
}

/// Letters, each once, in the order of where they stood.
#[derive(Debug, Default)]
pub struct Letters {
    pub all: Vec<Letter>,
    /// Those that found no room in memory.
    pub left: u64,
}

/// Which of them.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Empty: of any class.
    pub class: Option<String>,
    /// Empty: any.
    pub ids: Vec<LetterId>,
    /// Only those that were never put back.
    pub only_open: bool,
}

impl Choice {
    fn takes(&self, letter: &Letter) -> bool {
        self.class.as_ref().is_none_or(|class| *class == letter.class)
            && (self.ids.is_empty() || self.ids.contains(&letter.id))
            && (letter.is_open() || !self.only_open)
    }
}

/// What was put back so far.
pub fn replayed(backbone: &Backbone) -> Result<HashMap<LetterId, Replayed>> {
    let mut found = HashMap::new();
    backbone
        .read_whole(CLIENT, DLQ_REPLAYED, &[0], |record| {
            let id = std::str::from_utf8(record.key())
                .ok()
                .and_then(|key| key.parse().ok());
            let replayed = record.payload().and_then(|value| Replayed::decode(value).ok());
            if let (Some(id), Some(replayed)) = (id, replayed) {
                found.insert(id, replayed);
            }
        })
        .with_context(|| format!("topic {DLQ_REPLAYED}"))?;
    Ok(found)
}

/// Hands out every letter that is chosen; one that was written twice perhaps twice.
fn each(backbone: &Backbone, choice: &Choice, mut take: impl FnMut(Letter)) -> Result<()> {
    let replayed = replayed(backbone)?;
    let partitions: Vec<u32> = (0..PARTITIONS).collect();
    backbone
        .read_whole(CLIENT, DEAD_LETTERS, &partitions, |record| {
            let mut letter = Letter::of(record);
            letter.replayed = replayed.get(&letter.id).cloned();
            if choice.takes(&letter) {
                take(letter);
            }
        })
        .with_context(|| format!("topic {DEAD_LETTERS}"))
}

/// All that are chosen.
pub fn read(backbone: &Backbone, choice: &Choice) -> Result<Letters> {
    let mut found = BTreeMap::new();
    let (mut bytes, mut left) = (0, 0);
    each(backbone, choice, |letter| {
        if found.contains_key(&letter.id) {
            return;
        }
        if bytes > BYTES_MAX {
            left += 1;
            return;
        }
        bytes += letter.payload.len() + letter.key.len();
        found.insert(letter.id.clone(), letter);
    })?;
    Ok(Letters {
        all: found.into_values().collect(),
        left,
    })
}

/// The letters of one class, counted.
#[derive(Clone, Debug)]
pub struct ClassCount {
    pub open: u64,
    pub put_back: u64,
    /// The first of those that are open, else of those that were put back.
    pub example: Letter,
}

/// By class.
pub fn classes(backbone: &Backbone, choice: &Choice) -> Result<BTreeMap<String, ClassCount>> {
    let mut seen = std::collections::HashSet::new();
    let mut found = BTreeMap::<String, ClassCount>::new();
    each(backbone, choice, |letter| {
        if !seen.insert(letter.id.clone()) {
            return;
        }
        let of_class = found.entry(letter.class.clone()).or_insert_with(|| ClassCount {
            open: 0,
            put_back: 0,
            example: letter.clone(),
        });
        let is_open = letter.is_open();
        if is_open && of_class.open == 0 {
            of_class.example = letter;
        }
        of_class.open += u64::from(is_open);
        of_class.put_back += u64::from(!is_open);
    })?;
    Ok(found)
}

/// How many letters there are of each format and class.
pub type LetterCounts = BTreeMap<(String, String), u64>;

/// All letters, each counted once, by the header `format` that they came with and by class.
pub fn by_format(backbone: &Backbone) -> Result<LetterCounts> {
    let mut seen = std::collections::HashSet::new();
    let mut found = LetterCounts::new();
    each(backbone, &Choice::default(), |letter| {
        if seen.insert(letter.id.clone()) {
            let format = letter.headers.iter().find(|(name, _)| name == headers::FORMAT);
            let format = format.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
            *found
                .entry((format.unwrap_or_default(), letter.class))
                .or_default() += 1;
        }
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_named_by_where_it_stood() {
        let id: LetterId = "tlog.raw/3/1234".parse().expect("a letter");
        assert_eq!(
            (id.topic.as_str(), id.partition, id.offset),
            ("tlog.raw", 3, 1234)
        );
        assert_eq!(id.to_string(), "tlog.raw/3/1234");
        for text in [
            "",
            "tlog.raw",
            "tlog.raw/3",
            "tlog.raw/x/1",
            "/3/1",
            "tlog.raw/3/-1",
        ] {
            let error = text.parse::<LetterId>().expect_err(text);
            assert!(error.contains("dlq list"), "{error}");
        }
    }
}

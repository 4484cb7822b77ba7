//! A raw message that was put back from the dead letters.
//!
//! Invariant: whoever puts it back adds where it stood and leaves all else as it was. Its place is told that the old letter is
//! gone, whether it can be read now or lies in the dead letters anew.

use backbone::Record;
use contracts::ids::LocationId;
use contracts::records::{Movement, Resolved};
use contracts::topics::headers;

/// Of a message that was put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replay {
    /// The offset that it had before.
    pub of: u64,
    /// Where the catalogue ended when it was put back.
    pub catalogue: u64,
}

impl Replay {
    /// `None`: it comes from its source.
    pub fn of(record: &Record<'_>) -> Option<Self> {
        Some(Self {
            of: number(record.header(headers::REPLAY_OF)?)?,
            catalogue: record
                .header(headers::REPLAY_CATALOGUE)
                .and_then(number)
                .unwrap_or(0),
        })
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// What its place is told of a message of its own that is out of the dead letters.
pub fn resolved(location: LocationId, topic: &str, offset: u64, due_ms: i64) -> Movement {
    Movement {
        location: location.to_string(),
        due_ms,
        resolved: Some(Resolved {
            topic: topic.to_owned(),
            offset,
        }),
        ..Movement::default()
    }
}

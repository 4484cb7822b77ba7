//! A raw message that was put back from the dead letters.
//!
//! Invariant: whoever puts it back adds where it stood and leaves all else as it was. Its place is told that the old letter is
//! gone, whether it can be read now or lies in the dead letters anew.

use backbone::Record;
use contracts::ids::LocationId;
use contracts::records::{Movement, Resolved};
use contracts::topics::headers;

/// The offset that it had before; `None`: it comes from its source.
pub(crate) fn stood_at(record: &Record<'_>) -> Option<u64> {
    std::str::from_utf8(record.header(headers::REPLAY_OF)?)
        .ok()?
        .parse()
        .ok()
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

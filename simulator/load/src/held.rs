//! What faults of the sources hold back: late messages until their time has come, and messages that wait for the next
//! one of their source to change places with it.
//!
//! Invariant: what is held is given out once; a source has no more than [`LATE_MAX`] late ones and one that waits.

use std::collections::BTreeMap;
use std::time::Instant;

use contracts::ids::SourceId;

use crate::journal::Pending;

/// Of one source at a time: whoever follows it keeps a bounded list of gaps.
const LATE_MAX: u32 = 256;
/// Of all sources; beyond it the first ones go before their time.
const LATE_BYTES_MAX: usize = 16 << 20;

#[derive(Debug)]
struct Held {
    place: usize,
    source: SourceId,
    message: Pending,
}

#[derive(Debug, Default)]
pub struct HeldBack {
    /// By the instant when they go, and the order in which they came.
    late: BTreeMap<(Instant, u64), Held>,
    late_of: BTreeMap<SourceId, u32>,
    late_bytes: usize,
    count: u64,
    waiting: BTreeMap<SourceId, (usize, Pending)>,
}

impl HeldBack {
    /// Gives the message back where the source has too many of them.
    pub fn keep_until(
        &mut self,
        until: Instant,
        place: usize,
        source: SourceId,
        message: Pending,
    ) -> Option<Pending> {
        let of_source = self.late_of.entry(source).or_default();
        if *of_source >= LATE_MAX {
            return Some(message);
        }
        *of_source += 1;
        self.late_bytes += message.bytes.len();
        self.count += 1;
        let held = Held {
            place,
            source,
            message,
        };
        self.late.insert((until, self.count), held);
        None
    }

    /// The next message whose time has come, with its place.
    pub fn due(&mut self, now: Instant) -> Option<(usize, Pending)> {
        let first = self.late.first_entry()?;
        if first.key().0 > now && self.late_bytes <= LATE_BYTES_MAX {
            return None;
        }
        let Held {
            place,
            source,
            message,
        } = first.remove();
        self.late_bytes -= message.bytes.len();
        if let Some(of_source) = self.late_of.get_mut(&source) {
            *of_source -= 1;
        }
        Some((place, message))
    }

    /// The message goes behind the next one of its source.
    pub fn keep_for_next(&mut self, place: usize, source: SourceId, message: Pending) {
        self.waiting.insert(source, (place, message));
    }

    /// The message that waits for this one, with its place.
    pub fn overtaken(&mut self, source: SourceId) -> Option<(usize, Pending)> {
        self.waiting.remove(&source)
    }

    /// All messages that wait for a next one which does not come.
    pub fn let_go(&mut self) -> impl Iterator<Item = (usize, Pending)> {
        std::mem::take(&mut self.waiting).into_values()
    }

    pub fn is_empty(&self) -> bool {
        self.late.is_empty() && self.waiting.is_empty()
    }
}

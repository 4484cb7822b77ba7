//! Which transactions are projected: by source and business day, the numbers as ranges.
//!
//! Pure. Invariant: a function of the log's prefix. A source's numbers are used once in a business day, so number and day are its
//! identity and nothing has to be unwrapped.

use std::collections::{BTreeMap, BTreeSet};

use contracts::ids::{BusinessDay, SourceId, TransactionId};
use contracts::records::{self, NumberRange};

/// Business days that are remembered of a source, as the inventory does.
const DAYS_MAX: usize = 8;

/// A source and a business day, as `S0042/till/3/20526`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenKey {
    pub source: SourceId,
    pub day: BusinessDay,
}

impl SeenKey {
    pub fn to_text(self) -> String {
        format!("{}/{}", self.source, self.day.0)
    }

    pub fn parse(key: &[u8]) -> Option<Self> {
        let (source, day) = std::str::from_utf8(key).ok()?.rsplit_once('/')?;
        Some(Self {
            source: source.parse().ok()?,
            day: BusinessDay(day.parse().ok()?),
        })
    }
}

/// What a transaction is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    New,
    Repeat,
    TooOld,
}

/// What is projected of one partition.
#[derive(Debug, Default)]
pub struct Seen {
    days: BTreeMap<SeenKey, Vec<(u64, u64)>>,
    /// Since the last call of [`Seen::take_changes`].
    changed: BTreeSet<SeenKey>,
}

impl Seen {
    pub fn insert(&mut self, id: &TransactionId) -> Outcome {
        let key = SeenKey {
            source: id.source,
            day: id.business_day,
        };
        if !self.days.contains_key(&key) && !self.make_room(key) {
            return Outcome::TooOld;
        }
        if !insert(self.days.entry(key).or_default(), id.number) {
            return Outcome::Repeat;
        }
        self.changed.insert(key);
        Outcome::New
    }

    /// Forgets the oldest day of the source if there are too many; false: it would be this one.
    fn make_room(&mut self, key: SeenKey) -> bool {
        let of_source = || {
            let day = |day| SeenKey {
                day: BusinessDay(day),
                ..key
            };
            self.days.range(day(0)..=day(u32::MAX))
        };
        if of_source().count() < DAYS_MAX {
            return true;
        }
        match of_source().next().map(|(oldest, _)| *oldest) {
            Some(oldest) if oldest < key => {
                self.days.remove(&oldest);
                self.changed.insert(oldest);
                true
            }
            _ => false,
        }
    }

    /// What has changed; `None`: it is forgotten.
    pub fn take_changes(&mut self) -> Vec<(SeenKey, Option<records::Seen>)> {
        let changed = std::mem::take(&mut self.changed);
        let record = |ranges: &Vec<(u64, u64)>| records::Seen {
            numbers: ranges
                .iter()
                .map(|(first, last)| NumberRange {
                    first: *first,
                    last: *last,
                })
                .collect(),
        };
        changed
            .into_iter()
            .map(|key| (key, self.days.get(&key).map(record)))
            .collect()
    }

    /// Takes a record of the topic, the last of a key wins.
    pub fn restore(&mut self, key: SeenKey, record: Option<&records::Seen>) {
        match record {
            Some(record) => {
                let ranges = record.numbers.iter().map(|range| (range.first, range.last));
                self.days.insert(key, ranges.collect());
            }
            None => {
                self.days.remove(&key);
            }
        }
    }
}

/// False where it is in.
fn insert(ranges: &mut Vec<(u64, u64)>, number: u64) -> bool {
    let index = ranges.partition_point(|(_, last)| *last < number);
    if ranges.get(index).is_some_and(|(first, _)| *first <= number) {
        return false;
    }
    let joins_next = ranges.get(index).is_some_and(|(first, _)| *first == number + 1);
    let joins_last = index > 0 && ranges[index - 1].1 + 1 == number;
    match (joins_last, joins_next) {
        (true, true) => {
            ranges[index - 1].1 = ranges[index].1;
            ranges.remove(index);
        }
        (true, false) => ranges[index - 1].1 = number,
        (false, true) => ranges[index].0 = number,
        (false, false) => ranges.insert(index, (number, number)),
    }
    true
}

#[cfg(test)]
mod tests {
    use contracts::ids::LocationId;

    use super::*;

    fn id(day: u32, number: u64) -> TransactionId {
        TransactionId {
            source: SourceId::till(LocationId::store(42), 3),
            business_day: BusinessDay(day),
            number,
        }
    }

    #[test]
    fn a_number_is_new_once_a_business_day() {
        let mut seen = Seen::default();
        for number in [5, 4, 9, 6] {
            assert_eq!(seen.insert(&id(1, number)), Outcome::New);
        }
        for number in [4, 5, 6, 9] {
            assert_eq!(seen.insert(&id(1, number)), Outcome::Repeat);
        }
        assert_eq!(
            seen.insert(&id(2, 4)),
            Outcome::New,
            "it is used again on another day"
        );
    }

    #[test]
    fn what_is_restored_knows_the_same() {
        let mut seen = Seen::default();
        for number in [1, 2, 3, 7, 8] {
            seen.insert(&id(1, number));
        }
        let mut restored = Seen::default();
        for (key, record) in seen.take_changes() {
            assert_eq!(SeenKey::parse(key.to_text().as_bytes()), Some(key));
            restored.restore(key, record.as_ref());
        }
        assert_eq!(seen.take_changes(), []);
        assert_eq!(restored.insert(&id(1, 8)), Outcome::Repeat);
        assert_eq!(restored.insert(&id(1, 5)), Outcome::New);
    }

    #[test]
    fn the_oldest_day_of_a_source_is_forgotten_and_never_guessed() {
        let mut seen = Seen::default();
        for day in 1..=DAYS_MAX as u32 + 1 {
            assert_eq!(seen.insert(&id(day, 1)), Outcome::New);
        }
        assert_eq!(seen.insert(&id(1, 1)), Outcome::TooOld);
        let changes = seen.take_changes();
        assert!(
            changes
                .iter()
                .any(|(key, record)| key.day.0 == 1 && record.is_none())
        );
    }
}

//! Which messages of a place went to the dead letters, and which of them are out of them again.
//!
//! Invariant: a rejection counts once, however often it is told, because the rejections of a place in one raw topic come in the
//! order of their offsets or again from an earlier one on. A resolution counts once and only for what was rejected: the set of
//! what is resolved is kept, because letters are put back in any order and as often as anybody likes.

use contracts::records::{NumberRange, RejectedUpTo};

/// Ranges of resolved offsets that are kept for a topic. What is resolved beyond them stays counted as a dead letter: the view
/// then knows less than it could, never more.
const RESOLVED_MAX: usize = 1024;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections {
    /// Ascending by name.
    topics: Vec<OfTopic>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct OfTopic {
    name: String,
    /// Rejections below this offset are counted.
    next_offset: u64,
    /// First and last, ascending, disjoint.
    resolved: Vec<(u64, u64)>,
}

impl Rejections {
    fn find(&self, topic: &str) -> Result<usize, usize> {
        self.topics.binary_search_by(|known| (*known.name).cmp(topic))
    }

    /// False where it is counted already.
    pub fn reject(&mut self, topic: &str, offset: u64) -> bool {
        let index = self.find(topic).unwrap_or_else(|index| {
            let name = topic.to_owned();
            self.topics.insert(
                index,
                OfTopic {
                    name,
                    next_offset: 0,
                    resolved: Vec::new(),
                },
            );
            index
        });
        let next = &mut self.topics[index].next_offset;
        if offset < *next {
            return false;
        }
        *next = offset + 1;
        true
    }

    /// False where nothing of it was rejected, or it is resolved already.
    pub fn resolve(&mut self, topic: &str, offset: u64) -> bool {
        let Ok(index) = self.find(topic) else { return false };
        let of_topic = &mut self.topics[index];
        offset < of_topic.next_offset && insert(&mut of_topic.resolved, offset)
    }

    pub fn to_records(&self) -> Vec<RejectedUpTo> {
        let record = |of_topic: &OfTopic| RejectedUpTo {
            topic: of_topic.name.clone(),
            next_offset: of_topic.next_offset,
            resolved: of_topic
                .resolved
                .iter()
                .map(|(first, last)| NumberRange {
                    first: *first,
                    last: *last,
                })
                .collect(),
        };
        self.topics.iter().map(record).collect()
    }

    pub fn from_records(records: &[RejectedUpTo]) -> Self {
        let of_topic = |record: &RejectedUpTo| OfTopic {
            name: record.topic.clone(),
            next_offset: record.next_offset,
            resolved: record
                .resolved
                .iter()
                .map(|range| (range.first, range.last))
                .collect(),
        };
        Self {
            topics: records.iter().map(of_topic).collect(),
        }
    }
}

/// False where it is in, or there is no room.
fn insert(ranges: &mut Vec<(u64, u64)>, offset: u64) -> bool {
    let index = ranges.partition_point(|(_, last)| *last < offset);
    if ranges.get(index).is_some_and(|(first, _)| *first <= offset) {
        return false;
    }
    let joins_next = ranges.get(index).is_some_and(|(first, _)| *first == offset + 1);
    let joins_last = index > 0 && ranges[index - 1].1 + 1 == offset;
    match (joins_last, joins_next) {
        (true, true) => {
            ranges[index - 1].1 = ranges[index].1;
            ranges.remove(index);
        }
        (true, false) => ranges[index - 1].1 = offset,
        (false, true) => ranges[index].0 = offset,
        (false, false) if ranges.len() >= RESOLVED_MAX => return false,
        (false, false) => ranges.insert(index, (offset, offset)),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rejection_and_each_resolution_counts_once() {
        let mut known = Rejections::default();
        assert!(!known.resolve("tlog.raw", 4), "nothing was rejected");
        assert!(known.reject("tlog.raw", 4));
        assert!(!known.reject("tlog.raw", 4));
        assert!(known.reject("tlog.raw", 9));
        assert!(!known.resolve("tlog.raw", 10), "not there yet");
        assert!(known.resolve("tlog.raw", 9));
        assert!(!known.resolve("tlog.raw", 9));
        assert!(!known.resolve("scan.raw", 4));
        assert!(known.resolve("tlog.raw", 4));
        assert_eq!(Rejections::from_records(&known.to_records()), known);
    }

    #[test]
    fn resolved_offsets_are_a_set_whatever_their_order() {
        let offsets: Vec<u64> = (0..60)
            .map(|step| step * 37 % 60)
            .filter(|offset| offset % 7 != 3)
            .collect();
        let mut ranges = Vec::new();
        for offset in &offsets {
            assert!(insert(&mut ranges, *offset), "{offset}");
            assert!(!insert(&mut ranges, *offset), "{offset}");
        }
        let held: Vec<u64> = ranges.iter().flat_map(|(first, last)| *first..=*last).collect();
        let mut sorted = offsets;
        sorted.sort_unstable();
        assert_eq!(held, sorted);
        assert!(ranges.windows(2).all(|two| two[0].1 + 1 < two[1].0), "{ranges:?}");
    }

    #[test]
    fn what_has_no_room_stays_a_dead_letter() {
        let mut ranges = Vec::new();
        let max = RESOLVED_MAX as u64;
        assert!((0..max).all(|number| insert(&mut ranges, number * 2)));
        assert!(!insert(&mut ranges, max * 2));
        assert!(insert(&mut ranges, 1), "a gap that closes needs no room");
    }
}

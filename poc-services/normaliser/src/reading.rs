//! Where reading stands in each partition of the raw topics, and what a record is that comes.
//!
//! Pure. Invariant: a record is passed over only where it is surely one that came to something. To make one again costs the
//! inventory a look; to pass one over loses it.

use std::collections::BTreeMap;

use crate::RawTopic;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comes {
    New,
    /// It came to something before.
    Again,
    /// It stands where another one had been read: the log was cut off from here on, or is another one. Reading had come to
    /// `reached`.
    Cut {
        reached: u64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Standing {
    /// What lies below came to something,
    made: u64,
    /// and the last of it was written in this leader epoch; -1 = unknown.
    leader_epoch: i32,
    /// What comes next does not lie below.
    next: u64,
}

#[derive(Debug, Default)]
pub struct Reading(BTreeMap<(RawTopic, u32), Standing>);

impl Reading {
    /// Reading of a partition begins at an offset; what lies below `made` came to something before, the last of it
    /// written in a leader epoch.
    pub fn begin(&mut self, topic: RawTopic, partition: u32, next: u64, (made, leader_epoch): (u64, i32)) {
        let standing = Standing {
            made,
            leader_epoch,
            next,
        };
        self.0.insert((topic, partition), standing);
    }

    /// The same from another offset, behind a cut.
    pub fn begin_again(&mut self, topic: RawTopic, partition: u32, next: u64) {
        if let Some(standing) = self.0.get_mut(&(topic, partition)) {
            standing.next = next;
        }
    }

    pub fn look(&mut self, topic: RawTopic, partition: u32, offset: u64, leader_epoch: i32) -> Comes {
        let Some(standing) = self.0.get_mut(&(topic, partition)) else {
            return Comes::New;
        };
        let is_back = offset < standing.next;
        let reached = standing.made.max(standing.next);
        standing.next = offset + 1;
        // No log uses a leader epoch twice, so what was written in a later one is not what was read there.
        let is_later = standing.leader_epoch >= 0 && leader_epoch > standing.leader_epoch;
        if is_back || (offset < standing.made && is_later) {
            standing.made = offset;
            return Comes::Cut { reached };
        }
        if offset < standing.made {
            return Comes::Again;
        }
        standing.made = offset + 1;
        standing.leader_epoch = leader_epoch;
        Comes::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: RawTopic = RawTopic::Scan;

    fn begun(next: u64, made: (u64, i32)) -> Reading {
        let mut reading = Reading::default();
        reading.begin(TOPIC, 0, next, made);
        reading
    }

    fn look(reading: &mut Reading, offset: u64, leader_epoch: i32) -> Comes {
        reading.look(TOPIC, 0, offset, leader_epoch)
    }

    #[test]
    fn what_came_to_something_comes_again_and_what_lies_behind_is_new() {
        let mut reading = begun(7, (9, 4));
        let came = [(7, 3), (8, 4), (9, 4), (12, 5)].map(|(offset, epoch)| look(&mut reading, offset, epoch));
        assert_eq!(came, [Comes::Again, Comes::Again, Comes::New, Comes::New]);
    }

    #[test]
    fn a_record_of_a_later_leader_epoch_below_the_commit_is_another_one() {
        let mut reading = begun(0, (9, 4));
        assert_eq!(look(&mut reading, 4, 4), Comes::Again);
        assert_eq!(look(&mut reading, 5, 5), Comes::Cut { reached: 9 });
        assert_eq!(look(&mut reading, 6, 5), Comes::New);
    }

    #[test]
    fn without_leader_epochs_only_an_offset_that_comes_back_tells() {
        for (committed, of_record) in [(-1, 5), (4, -1)] {
            let mut reading = begun(0, (9, committed));
            assert_eq!(look(&mut reading, 5, of_record), Comes::Again);
        }
        let mut reading = begun(9, (9, -1));
        assert_eq!(look(&mut reading, 9, -1), Comes::New);
        assert_eq!(look(&mut reading, 9, -1), Comes::Cut { reached: 10 });
        assert_eq!(look(&mut reading, 10, -1), Comes::New);
    }

    #[test]
    fn behind_a_cut_what_lies_before_it_comes_again_and_no_more() {
        let mut reading = begun(6, (9, 4));
        assert_eq!(look(&mut reading, 6, 5), Comes::Cut { reached: 9 });
        reading.begin_again(TOPIC, 0, 2);
        let came = [(2, 3), (5, 4), (6, 5), (7, 5)].map(|(offset, epoch)| look(&mut reading, offset, epoch));
        assert_eq!(came, [Comes::Again, Comes::Again, Comes::New, Comes::New]);
    }
}

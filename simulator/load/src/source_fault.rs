//! What can be wrong with sources: one name each, and how often it happened.
//!
//! Which messages are hit follows from the seed and their identities, so that the same ones are hit at any pace; when a
//! fault begins and ends, and how long something is held back, is wall time.
//!
//! | fault | what the sources do | what must hold |
//! | --- | --- | --- |
//! | `duplicates` | one message in so many is sent a second time under the same identity, right behind the first or 2 to 8 s later | the windows drop as many transactions as were sent again |
//! | `late` | one message in so many is held back for 2 to 8 s; later numbers of its source overtake it | all of it arrives; meanwhile its number is missing |
//! | `reordered` | one message in so many goes behind the next one of its source | nothing differs |
//! | `poison` | behind one message in so many goes a copy that nobody can understand, in one of several ways by its format: a digit that is none in a receipt, blanks in a packed field, a document that is no EPCIS. The edges take it: framing, length and place are right | as many dead letters |
//! | `missing-numbers` | one message in so many is lost: its number is used, its facts happened to nobody's knowledge | the numbers stay missing, and the truth has nothing of them |
//! | `clock-skew` | the clock of one till in so many is off by 2 to 9 minutes, either way, as long as it is on | instants and business days are the till's own, and nothing is lost or doubled |
//!
//! Restraints, all of the sources and not of who reads them: a source has at most 256 messages held back at a time and loses at
//! most 512 numbers in a run, because a list of gaps is bounded (1,024 ranges); the first message of a source is not held
//! back, and a clock that is set back does not pass the beginning of the first business day of its till: before the first day
//! that is known of a till no number has a place.

use world::events::Channel;

use crate::poison::{KINDS, Poison};

/// Something that is wrong with what sources send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SourceFault {
    /// A message is sent a second time under the same identity, right behind the first or seconds later.
    Duplicate,
    /// A message is held back for some seconds of wall time, so that later numbers overtake it.
    Late,
    /// A message changes place with the next one of its source.
    Reordered,
    /// Behind a message goes another that nobody can understand, and that stands for nothing.
    Poison,
    /// A source loses a message for good: its number is used, its facts are known to nobody.
    MissingNumber,
    /// The clocks of some tills are off by minutes.
    ClockSkew,
}

impl SourceFault {
    pub const ALL: [Self; 6] = [
        Self::Duplicate,
        Self::Late,
        Self::Reordered,
        Self::Poison,
        Self::MissingNumber,
        Self::ClockSkew,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicates",
            Self::Late => "late",
            Self::Reordered => "reordered",
            Self::Poison => "poison",
            Self::MissingNumber => "missing-numbers",
            Self::ClockSkew => "clock-skew",
        }
    }
}

/// How often a fault has hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    pub messages: u64,
    /// A scan document can hold several.
    pub transactions: u64,
}

/// What has been wrong with the sources so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceFaultCounts {
    /// In the order of [`SourceFault::ALL`].
    pub injected: [Injected; 6],
    /// Messages of poison: of tills, queues, scans.
    pub poison: [u64; 3],
    /// The same that `dirt` made, in the order of [`KINDS`].
    pub poison_by_kind: [u64; KINDS.len()],
    /// Messages that name an article by a number that is not on file, each time that they were sent.
    pub unknown_articles: u64,
    /// Beeps too many, each time that they were sent.
    pub double_beeps: u64,
    /// Events of corrections that were made before, each time that they were sent.
    pub corrections_again: u64,
    /// Tills that wrote something by a clock that is off by two minutes or more.
    pub tills_off: u64,
    /// Uploads that came again because the store's server was restarted. The gateway had taken some of them.
    pub uploads_again: u64,
    /// Transactions in them.
    pub transactions_again: u64,
}

impl SourceFaultCounts {
    pub const fn of(&self, fault: SourceFault) -> Injected {
        self.injected[fault as usize]
    }

    /// Of a format, what `dirt` made.
    pub fn poison_of_format(&self, poison: Poison) -> u64 {
        self.poison_by_kind[poison.kinds()].iter().sum()
    }

    pub const fn poison_of(&self, channel: Channel) -> u64 {
        self.poison[channel as usize]
    }
}

//! What can be wrong with sources: one name each, and how often it happened.

use world::events::Channel;

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
    /// Uploads that came again because the store's server was restarted. The gateway had taken some of them.
    pub uploads_again: u64,
    /// Transactions in them.
    pub transactions_again: u64,
}

impl SourceFaultCounts {
    pub const fn of(&self, fault: SourceFault) -> Injected {
        self.injected[fault as usize]
    }

    pub const fn poison_of(&self, channel: Channel) -> u64 {
        self.poison[channel as usize]
    }
}

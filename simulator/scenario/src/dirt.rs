//! What is dirty in what the sources write: a rate for each kind, for the whole of trading.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::time::SimOffset;

/// What is dirty in what the sources write, from the first sale to the last. A kind that is left out does not happen, but for
/// double beeps, which people make anyway. The report lists what was injected and what the services saw of it, and the
/// run fails where the two differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DirtSpec {
    /// Messages that are sent a second time under the same identity.
    pub duplicates: Option<OneIn>,
    /// Messages that are uploaded minutes to a day behind later ones of their source.
    pub late: Option<LateSpec>,
    /// Messages that change places with the next of their source, where that one follows within four minutes.
    pub reordered: Option<OneIn>,
    /// Messages that their source loses for good: their numbers are used and reported as missing.
    pub missing_numbers: Option<OneIn>,
    /// Messages that nobody can understand, by the format that they are in.
    pub poison: PoisonSpec,
    /// Tills whose clock is off by 2 to 9 minutes.
    pub clock_skew: Option<OneIn>,
    /// Till messages that name an article by a new number, which the catalogue gets only when the sources have fallen silent.
    pub unknown_articles: Option<OneIn>,
    /// Scans with a beep too many, of those documents that can have one; half of the beeps come in a document of their own.
    /// Without it one in 12, all in the same document.
    pub double_beeps: Option<OneIn>,
    /// Corrections of scans that are made again, under other numbers.
    pub repeated_corrections: Option<OneIn>,
    /// Deliveries that arrive with a carton less or more than the warehouse wrote.
    pub contradicting_deliveries: Option<OneIn>,
}

/// A rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneIn {
    /// One in so many, by the seed.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub one_in: u32,
}

/// A rate, and how late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LateSpec {
    /// One in so many, by the seed.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub one_in: u32,
    /// Simulated time by which it is late at least: `10m` or more.
    #[serde(default = "LateSpec::from_default")]
    pub from: SimOffset,
    /// And at most: `1d` or less. What is not there yet when the sources fall silent comes then.
    #[serde(default = "LateSpec::to_default")]
    pub to: SimOffset,
}

impl LateSpec {
    pub(crate) const fn from_default() -> SimOffset {
        SimOffset::from_secs(600)
    }

    pub(crate) const fn to_default() -> SimOffset {
        SimOffset::from_secs(86_400)
    }
}

/// A rate for each format that a message of poison can be in: one behind so many good ones of that format. In which of several
/// ways nobody can understand it, the seed decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PoisonSpec {
    /// 4690 receipts.
    pub ibm_4690: Option<OneIn>,
    /// POSLog 6.0 documents.
    pub poslog_6: Option<OneIn>,
    /// POSLog 2.2.1 documents.
    pub poslog_2: Option<OneIn>,
    /// Queue records.
    pub queue: Option<OneIn>,
    /// Documents of scanners.
    pub scans: Option<OneIn>,
}

impl PoisonSpec {
    /// By key.
    pub(crate) const fn rates(&self) -> [(&'static str, Option<OneIn>); 5] {
        [
            ("ibm_4690", self.ibm_4690),
            ("poslog_6", self.poslog_6),
            ("poslog_2", self.poslog_2),
            ("queue", self.queue),
            ("scans", self.scans),
        ]
    }
}

impl DirtSpec {
    /// By key, but for what has more than a rate.
    pub(crate) const fn rates(&self) -> [(&'static str, Option<OneIn>); 8] {
        [
            ("duplicates", self.duplicates),
            ("reordered", self.reordered),
            ("missing_numbers", self.missing_numbers),
            ("clock_skew", self.clock_skew),
            ("unknown_articles", self.unknown_articles),
            ("double_beeps", self.double_beeps),
            ("repeated_corrections", self.repeated_corrections),
            ("contradicting_deliveries", self.contradicting_deliveries),
        ]
    }

    /// Some of it cannot be understood, and goes to the dead letters.
    pub(crate) fn makes_dead_letters(&self) -> bool {
        self.unknown_articles.is_some() || self.poison.rates().iter().any(|(_, rate)| rate.is_some())
    }
}

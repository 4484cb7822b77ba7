//! A damage that a service does on purpose, so that the proof can fail: `CLASS:1/N@SERVICE`.
//!
//! Invariant: which transactions are hit follows from their identity and the seed alone, never from arrival order,
//! timing or chance; so a run is repeated exactly, and a service that is started again hits the same ones. What each
//! class means in a service is that service's to say.

use std::fmt;
use std::str::FromStr;

use crate::ids::{SourceId, TransactionId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SabotageClass {
    Drop,
    Double,
    Alter,
}

/// The services that can be made to err.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SabotageStage {
    Normaliser,
    Inventory,
}

/// One transaction in `one_in` is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sabotage {
    pub class: SabotageClass,
    /// At least 1.
    pub one_in: u64,
    pub stage: SabotageStage,
    /// 0 as read from text; the run sets its own.
    pub seed: u64,
}

/// A text that names no sabotage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` names no sabotage: {reason}; write CLASS:1/N@SERVICE, such as drop:1/100000@normaliser (classes drop, double, alter; services normaliser, inventory)"
)]
pub struct InvalidSabotage {
    pub text: String,
    pub reason: &'static str,
}

impl Sabotage {
    #[must_use]
    pub const fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Whether this transaction is one of the damaged.
    pub fn hits(&self, id: &TransactionId) -> bool {
        let SourceId { location, kind, unit } = id.source;
        let mut hash = self.seed ^ 0x5ab0_7a6e_0000_0000;
        for word in [
            u64::from(location.copybook_number()) << 32 | (kind as u64 & 0xff) << 16 | u64::from(unit),
            u64::from(id.business_day.0),
            id.number,
        ] {
            hash = crate::hash::finish(hash.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ word);
        }
        hash.is_multiple_of(self.one_in)
    }
}

impl fmt::Display for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self.class {
            SabotageClass::Drop => "drop",
            SabotageClass::Double => "double",
            SabotageClass::Alter => "alter",
        };
        let stage = match self.stage {
            SabotageStage::Normaliser => "normaliser",
            SabotageStage::Inventory => "inventory",
        };
        write!(f, "{class}:1/{}@{stage}", self.one_in)
    }
}

impl FromStr for Sabotage {
    type Err = InvalidSabotage;

    fn from_str(text: &str) -> Result<Self, InvalidSabotage> {
        let invalid = |reason| InvalidSabotage {
            text: text.chars().take(64).collect(),
            reason,
        };
        let (class, rest) = text
            .split_once(':')
            .ok_or_else(|| invalid("there is no colon behind the class"))?;
        let class = match class {
            "drop" => SabotageClass::Drop,
            "double" => SabotageClass::Double,
            "alter" => SabotageClass::Alter,
            _ => return Err(invalid("the class is unknown")),
        };
        let (share, stage) = rest
            .split_once('@')
            .ok_or_else(|| invalid("there is no @ in front of the service"))?;
        let one_in = share
            .strip_prefix("1/")
            .and_then(|digits| digits.parse::<u64>().ok())
            .filter(|one_in| *one_in > 0)
            .ok_or_else(|| invalid("the share is not 1/N with N of at least 1"))?;
        let stage = match stage {
            "normaliser" => SabotageStage::Normaliser,
            "inventory" => SabotageStage::Inventory,
            _ => return Err(invalid("the service is unknown")),
        };
        Ok(Self {
            class,
            one_in,
            stage,
            seed: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BusinessDay, LocationId};

    fn id(number: u64) -> TransactionId {
        TransactionId {
            source: SourceId::till(LocationId::store(42), 3),
            business_day: BusinessDay(20_000),
            number,
        }
    }

    #[test]
    fn a_sabotage_reads_what_it_writes() {
        for text in [
            "drop:1/100000@normaliser",
            "double:1/1@inventory",
            "alter:1/7@normaliser",
        ] {
            assert_eq!(text.parse::<Sabotage>().expect("valid").to_string(), text);
        }
    }

    #[test]
    fn a_wrong_sabotage_is_told_what_is_wrong_and_how_to_write_it() {
        for (text, reason) in [
            ("drop", "no colon"),
            ("lose:1/5@inventory", "class"),
            ("drop:1/5", "no @"),
            ("drop:1/0@inventory", "1/N"),
            ("drop:2/5@inventory", "1/N"),
            ("drop:1/5@screen", "service"),
        ] {
            let error = text.parse::<Sabotage>().expect_err("invalid").to_string();
            assert!(
                error.contains(reason) && error.contains("CLASS:1/N@SERVICE"),
                "{error}"
            );
        }
    }

    #[test]
    fn about_one_in_n_is_hit_and_always_the_same_ones() {
        let sabotage: Sabotage = "drop:1/100@normaliser".parse().expect("valid");
        let hits: Vec<u64> = (1..=100_000)
            .filter(|number| sabotage.hits(&id(*number)))
            .collect();
        assert!((900..1100).contains(&hits.len()), "{}", hits.len());
        assert!(hits.iter().all(|number| sabotage.hits(&id(*number))));
        let other = sabotage.with_seed(1);
        assert!(hits.iter().any(|number| !other.hits(&id(*number))));
        let every: Sabotage = "drop:1/1@normaliser".parse().expect("valid");
        assert!((1..100).all(|number| every.hits(&id(number))));
    }
}

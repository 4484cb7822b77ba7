//! A damage that a service does on purpose, so that the proof can fail: `CLASS:1/N@SERVICE`.
//!
//! Invariant: what is hit follows from its identity and the seed alone, never from arrival order, timing or chance; so a
//! run is repeated exactly, and a service that is started again hits the same. Services that do not read what they pass
//! on (see `raw`) know a message by its place and its bytes, the article stage knows articles, all others transactions.
//! What each class does in each stage, and what must come of it, is written down in `docs/sabotage.md`.

pub mod raw;

use std::fmt;
use std::str::FromStr;

use crate::ids::{LocationId, Sku, SourceId, TransactionId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SabotageClass {
    /// Lost: it goes no further.
    Drop,
    /// It goes on twice.
    Double,
    /// It goes on with another quantity.
    Alter,
    /// It goes on as another place's.
    Misroute,
    /// An older state is written over a newer one.
    Stale,
    /// What is said of how complete the view is, is not so.
    Lie,
}

/// The services that can be made to err.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SabotageStage {
    StoreGateway,
    MqSource,
    Normaliser,
    Inventory,
    ItemInventory,
}

/// What must come of a damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The audit is red and says where.
    Red,
    /// The system puts it right: the audit is green, and the repeats are counted.
    Healed,
    /// The stage has nothing that could be damaged so.
    NotApplicable,
}

impl SabotageClass {
    pub const ALL: [Self; 6] = [
        Self::Drop,
        Self::Double,
        Self::Alter,
        Self::Misroute,
        Self::Stale,
        Self::Lie,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Double => "double",
            Self::Alter => "alter",
            Self::Misroute => "misroute",
            Self::Stale => "stale",
            Self::Lie => "lie",
        }
    }

    /// The stages that can err so, as a sentence lists them.
    fn stages(self) -> String {
        let names: Vec<_> = SabotageStage::ALL
            .into_iter()
            .filter(|stage| effect(self, *stage) != Effect::NotApplicable)
            .map(SabotageStage::name)
            .collect();
        names.join(", ")
    }
}

impl SabotageStage {
    pub const ALL: [Self; 5] = [
        Self::StoreGateway,
        Self::MqSource,
        Self::Normaliser,
        Self::Inventory,
        Self::ItemInventory,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::StoreGateway => "store-gateway",
            Self::MqSource => "mq-source",
            Self::Normaliser => "normaliser",
            Self::Inventory => "inventory",
            Self::ItemInventory => "item-inventory",
        }
    }
}

/// Class by stage.
pub const fn effect(class: SabotageClass, stage: SabotageStage) -> Effect {
    use SabotageClass::{Alter, Double, Drop, Lie, Misroute, Stale};
    use SabotageStage::{Inventory, ItemInventory, MqSource, Normaliser, StoreGateway};
    match (class, stage) {
        // The windows behind these stages know a repeat.
        (Double, StoreGateway | MqSource | Normaliser) => Effect::Healed,
        // They hold no state that could be old, and say nothing of how complete it is.
        (Stale | Lie, StoreGateway | MqSource | Normaliser) => Effect::NotApplicable,
        (Drop | Alter | Misroute, _) | (Double | Stale | Lie, Inventory | ItemInventory) => Effect::Red,
    }
}

/// One transaction (message, article) in `one_in` is damaged.
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
    "`{text}` names no sabotage: {reason}; write CLASS:1/N@SERVICE, such as drop:1/100000@normaliser (classes drop, double, alter, misroute, stale, lie; services store-gateway, mq-source, normaliser, inventory, item-inventory)"
)]
pub struct InvalidSabotage {
    pub text: String,
    pub reason: String,
}

impl Sabotage {
    #[must_use]
    pub const fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Itself, if it is meant for this stage.
    pub fn at(sabotage: Option<Self>, stage: SabotageStage) -> Option<Self> {
        sabotage.filter(|sabotage| sabotage.stage == stage)
    }

    pub const fn effect(&self) -> Effect {
        effect(self.class, self.stage)
    }

    /// Whether this transaction is one of the damaged.
    pub fn hits(&self, id: &TransactionId) -> bool {
        let SourceId { location, kind, unit } = id.source;
        self.draws([
            u64::from(location.copybook_number()) << 32 | (kind as u64 & 0xff) << 16 | u64::from(unit),
            u64::from(id.business_day.0),
            id.number,
        ])
    }

    /// Whether this message of a source is one of the damaged, for those who do not read it.
    pub fn hits_message(&self, location: LocationId, payload: &[u8]) -> bool {
        self.draws([
            u64::from(location.copybook_number()),
            crate::hash::content_hash(payload),
        ])
    }

    /// Whether the totals of this article are among the damaged.
    pub fn hits_article(&self, sku: Sku) -> bool {
        self.draws([u64::from(sku.0)])
    }

    fn draws<const WORDS: usize>(&self, words: [u64; WORDS]) -> bool {
        let mut hash = self.seed ^ 0x5ab0_7a6e_0000_0000;
        for word in words {
            hash = crate::hash::finish(hash.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ word);
        }
        hash.is_multiple_of(self.one_in)
    }
}

/// The place that a misrouted thing is taken for: the one before it, of the same kind.
pub const fn neighbour(location: LocationId) -> LocationId {
    let number = match location.number() {
        0 | 1 => 2,
        number => number - 1,
    };
    if location.is_store() {
        LocationId::store(number)
    } else {
        LocationId::warehouse(number)
    }
}

impl fmt::Display for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:1/{}@{}", self.class.name(), self.one_in, self.stage.name())
    }
}

impl FromStr for Sabotage {
    type Err = InvalidSabotage;

    fn from_str(text: &str) -> Result<Self, InvalidSabotage> {
        let invalid = |reason: &str| InvalidSabotage {
            text: text.chars().take(64).collect(),
            reason: reason.to_owned(),
        };
        let (class, rest) = text
            .split_once(':')
            .ok_or_else(|| invalid("there is no colon behind the class"))?;
        let class = SabotageClass::ALL
            .into_iter()
            .find(|known| known.name() == class)
            .ok_or_else(|| invalid("the class is unknown"))?;
        let (share, stage) = rest
            .split_once('@')
            .ok_or_else(|| invalid("there is no @ in front of the service"))?;
        let one_in = share
            .strip_prefix("1/")
            .and_then(|digits| digits.parse::<u64>().ok())
            .filter(|one_in| *one_in > 0)
            .ok_or_else(|| invalid("the share is not 1/N with N of at least 1"))?;
        let stage = SabotageStage::ALL
            .into_iter()
            .find(|known| known.name() == stage)
            .ok_or_else(|| invalid("the service is unknown"))?;
        if effect(class, stage) == Effect::NotApplicable {
            return Err(invalid(&format!(
                "{} cannot {}; the services that can are {}",
                stage.name(),
                match class {
                    SabotageClass::Stale => "write an older state back, it holds none",
                    _ => "lie about completeness, it says nothing of it",
                },
                class.stages()
            )));
        }
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
            "alter:1/7@mq-source",
            "misroute:1/7@store-gateway",
            "stale:1/7@inventory",
            "lie:1/7@item-inventory",
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
            ("stale:1/5@normaliser", "can are inventory, item-inventory"),
            ("lie:1/5@mq-source", "can are inventory, item-inventory"),
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

    #[test]
    fn messages_and_articles_are_hit_by_what_they_are() {
        let sabotage: Sabotage = "drop:1/50@store-gateway".parse().expect("valid");
        let hits = |seed: u64| {
            (0..10_000_u32)
                .filter(|number| {
                    sabotage
                        .with_seed(seed)
                        .hits_message(LocationId::store(7), &number.to_le_bytes())
                })
                .count()
        };
        assert!((120..280).contains(&hits(0)), "{}", hits(0));
        let articles = |seed: u64| -> Vec<u32> {
            (0..1_000)
                .filter(|sku| sabotage.with_seed(seed).hits_article(Sku(*sku)))
                .collect()
        };
        assert!(!articles(1).is_empty());
        assert_ne!(articles(1), articles(2));
    }

    #[test]
    fn a_neighbour_is_another_place_of_the_same_kind() {
        for number in 1..50 {
            for location in [LocationId::store(number), LocationId::warehouse(number)] {
                assert_ne!(neighbour(location), location);
                assert_eq!(neighbour(location).is_store(), location.is_store());
            }
        }
    }

    /// The table that people read says what the code does.
    #[test]
    fn the_documented_table_is_the_table() {
        let page = include_str!("../../../../docs/sabotage.md");
        for class in SabotageClass::ALL {
            let row = page
                .lines()
                .find(|line| line.starts_with(&format!("| `{}` |", class.name())))
                .unwrap_or_else(|| panic!("no row of {}", class.name()));
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            for (index, stage) in SabotageStage::ALL.into_iter().enumerate() {
                let word = match effect(class, stage) {
                    Effect::Red => "red",
                    Effect::Healed => "healed",
                    Effect::NotApplicable => "not applicable",
                };
                assert!(
                    cells[index + 2].starts_with(word),
                    "{} at {}: `{}`",
                    class.name(),
                    stage.name(),
                    cells[index + 2]
                );
            }
        }
    }
}

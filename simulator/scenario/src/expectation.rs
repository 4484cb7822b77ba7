//! What must come true, in a step or at the end.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::names::{ItemNumber, StoreNumber};
use crate::time::WallTime;

/// An assertion on the view. In a step it counts from the instant when the step is due; at the end, from the instant when
/// everything sent has drained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Everything that happened before the step is in the view: every cell that has no newer sale equals the truth.
    Converged { within: WallTime },
    /// At most so many cells differ from the truth, at once, or at some instant within the time given.
    DivergingCells { at_most: u64, within: Option<WallTime> },
    /// Of all transactions that became due since the step before (at the end: since trading began), 99 in 100 were
    /// visible in the view faster than this.
    FreshnessP99Below { bound: WallTime },
    /// Exactly so many messages lie in `movements.dlq` since the run began.
    DeadLetters { equal: u64 },
    /// Exactly so many messages lie in the dead letters and were not put back, as the view says.
    InDeadLetters { equal: u64, within: WallTime },
    /// Exactly so many deliveries whose papers contradict each other are in `discrepancies`.
    Discrepancies { equal: u64, within: WallTime },
    /// A store's stock on hand of an article, in whole units.
    StoreStock {
        store: StoreNumber,
        item: ItemNumber,
        on_hand: i64,
    },
    /// Stock on hand of an article over all places, in whole units.
    ItemStock { item: ItemNumber, on_hand: i64 },
}

impl Expectation {
    /// How long it may take to come true; `None`: it must hold at once.
    pub const fn within(&self) -> Option<WallTime> {
        match self {
            Self::Converged { within }
            | Self::InDeadLetters { within, .. }
            | Self::Discrepancies { within, .. } => Some(*within),
            Self::DivergingCells { within, .. } => *within,
            Self::FreshnessP99Below { .. }
            | Self::DeadLetters { .. }
            | Self::StoreStock { .. }
            | Self::ItemStock { .. } => None,
        }
    }
}

/// As a person reads it in the verdict: `converged within 20s`.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Converged { within } => write!(f, "converged within {within}"),
            Self::DivergingCells {
                at_most,
                within: None,
            } => write!(f, "diverging cells at most {at_most}"),
            Self::DivergingCells {
                at_most,
                within: Some(within),
            } => {
                write!(f, "diverging cells at most {at_most} within {within}")
            }
            Self::FreshnessP99Below { bound } => write!(f, "freshness p99 below {bound}"),
            Self::DeadLetters { equal } => write!(f, "dead letters {equal}"),
            Self::InDeadLetters { equal, within } => write!(f, "in dead letters {equal} within {within}"),
            Self::Discrepancies { equal, within } => write!(f, "discrepancies {equal} within {within}"),
            Self::StoreStock { store, item, on_hand } => {
                write!(f, "stock of {item} in Store_{} {on_hand}", store.0)
            }
            Self::ItemStock { item, on_hand } => write!(f, "stock of {item} over all places {on_hand}"),
        }
    }
}

/// What must come true. All keys that are given.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// Everything that happened before the step is in the view.
    #[serde(default)]
    converged: Option<Converged>,
    /// Cells whose stock differs from the truth.
    #[serde(default)]
    diverging_cells: Option<DivergingCells>,
    /// 99 in 100 transactions are visible faster than this, such as `400ms`.
    #[serde(default)]
    freshness_p99_below: Option<WallTime>,
    /// Exactly so many messages that could not be understood.
    #[serde(default)]
    dead_letters: Option<u64>,
    /// Exactly so many messages that lie in the dead letters and were not put back, as the view says.
    #[serde(default)]
    in_dead_letters: Option<Equal>,
    /// Exactly so many deliveries whose papers contradict each other.
    #[serde(default)]
    discrepancies: Option<Equal>,
    /// Exact stock of an article over all places, in whole units: `Item_1: 50`.
    #[serde(default)]
    item_stock: BTreeMap<ItemNumber, i64>,
    /// Exact stock of an article in a store, in whole units: `Store_1: {Item_1: 10}`.
    #[serde(default)]
    store_stock: BTreeMap<StoreNumber, BTreeMap<ItemNumber, i64>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Converged {
    /// Time on the presenter's watch.
    within: WallTime,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Equal {
    equal: u64,
    /// Time on the presenter's watch.
    within: WallTime,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DivergingCells {
    at_most: u64,
    /// Time on the presenter's watch; without it, at once.
    #[serde(default)]
    within: Option<WallTime>,
}

pub(crate) fn expectations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Expectation>, D::Error> {
    let expect = Expect::deserialize(deserializer)?;
    let mut all = Vec::new();
    all.extend(expect.converged.map(|converged| Expectation::Converged {
        within: converged.within,
    }));
    all.extend(expect.diverging_cells.map(|cells| Expectation::DivergingCells {
        at_most: cells.at_most,
        within: cells.within,
    }));
    all.extend(
        expect
            .freshness_p99_below
            .map(|bound| Expectation::FreshnessP99Below { bound }),
    );
    all.extend(
        expect
            .dead_letters
            .map(|equal| Expectation::DeadLetters { equal }),
    );
    all.extend(expect.in_dead_letters.map(|letters| Expectation::InDeadLetters {
        equal: letters.equal,
        within: letters.within,
    }));
    all.extend(expect.discrepancies.map(|found| Expectation::Discrepancies {
        equal: found.equal,
        within: found.within,
    }));
    all.extend(
        expect
            .item_stock
            .into_iter()
            .map(|(item, on_hand)| Expectation::ItemStock { item, on_hand }),
    );
    for (store, items) in expect.store_stock {
        all.extend(
            items
                .into_iter()
                .map(|(item, on_hand)| Expectation::StoreStock { store, item, on_hand }),
        );
    }
    Ok(all)
}

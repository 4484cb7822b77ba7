//! The scenario file as types.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::dirt::DirtSpec;
use crate::expectation::{Expect, Expectation, expectations};
use crate::load::{Load, Rates};
use crate::names::{ItemNumber, StoreNumber};
use crate::step::Step;
use crate::time::{SimOffset, WallTime};
use crate::timeline::Timeline;
use crate::world::WorldSpec;

/// A demo, a replay and a test at once.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without folder and ending.
    #[serde(skip)]
    pub name: String,
    /// A headline for the screen.
    pub title: String,
    /// What it shows, in a sentence or three, for the list of scenarios.
    #[serde(default)]
    pub about: String,
    /// The same scenario and seed give the same events, byte for byte.
    #[serde(default = "seed")]
    pub seed: u64,
    /// How big the world is.
    #[serde(default)]
    pub world: WorldSpec,
    /// What is dirty in what the sources write, from the first sale to the last.
    #[serde(default)]
    pub dirt: Option<DirtSpec>,
    /// How fast it starts.
    pub load: Load,
    /// Whether rates, here and in steps, are kept exactly or are the most that is asked of the system.
    #[serde(default)]
    pub rates: Rates,
    /// When sources fall silent; what they sent then drains, and the verdict follows.
    pub stop: Stop,
    /// Whether every place counts its stock before trading starts, which fills the view. Without it all stock is zero.
    #[serde(default = "opening")]
    pub opening: bool,
    /// Instead of shoppers: exactly these events.
    #[serde(default)]
    pub script: Option<Script>,
    /// Settings of the services.
    #[serde(default)]
    pub services: Services,
    /// What happens when, and what the presenter says.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// What must hold at the end, when everything sent has drained.
    #[serde(default = "nothing_diverges", deserialize_with = "expectations")]
    #[schemars(with = "Option<Expect>")]
    pub expect: Vec<Expectation>,
}

impl Scenario {
    /// The steps, to be taken one after the other as they are due.
    pub fn timeline(&self) -> Timeline<'_> {
        Timeline::new(&self.steps)
    }
}

const fn seed() -> u64 {
    1
}

const fn opening() -> bool {
    true
}

/// What every scenario claims that does not say otherwise.
fn nothing_diverges() -> Vec<Expectation> {
    vec![
        Expectation::DivergingCells {
            at_most: 0,
            within: None,
        },
        Expectation::DeadLetters { equal: 0 },
    ]
}

/// When the sources fall silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// After so much simulated time.
    Duration(SimOffset),
    /// After so many till receipts.
    Transactions(#[schemars(range(min = 1))] u64),
}

/// Settings of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Services {
    /// How often the inventory service publishes what changed: `50ms` to `5s`. Under overload it stretches this by itself.
    pub flush_interval: WallTime,
    /// How long a store's server gathers what its tills write before it uploads it: `10ms` to `5s`. A request costs more
    /// than the receipts in it.
    pub upload_interval: WallTime,
    /// How often a place says how far its sources are, which is how the view knows what it lacks: `500ms` to `1m`.
    pub mark_interval: WallTime,
    /// How long nothing may be heard of an instance before others get its work, on the embedded servers: `3s` to `1m`.
    /// Its clients give up what is not answered in less.
    pub session_timeout: WallTime,
    /// Instances of the normaliser, and of the inventory, to begin with: 1 to 4.
    #[schemars(range(min = 1, max = 4))]
    pub instances: u8,
    /// Whether the lines are written to the topic `items` as well, in the shape of the reference kit, each exactly once.
    pub project_items: bool,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            flush_interval: WallTime::from_ms(100),
            upload_interval: WallTime::from_ms(100),
            mark_interval: WallTime::from_ms(5_000),
            session_timeout: WallTime::from_ms(15_000),
            instances: 1,
            project_items: false,
        }
    }
}

/// Exactly these events, one after the other, from empty shelves, and no shoppers, no deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Simulated time between two events.
    #[serde(default = "second")]
    pub every: SimOffset,
    /// Whether the list is sent a second time behind the first, with the same identities: stock must not change.
    #[serde(default)]
    pub send: Sending,
    pub events: Vec<ScriptedEvent>,
}

const fn second() -> SimOffset {
    SimOffset::from_secs(1)
}

/// How often a script is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sending {
    #[default]
    Once,
    Twice,
}

impl Sending {
    pub const fn times(self) -> u64 {
        match self {
            Self::Once => 1,
            Self::Twice => 2,
        }
    }
}

/// One event of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptedEvent {
    pub store: StoreNumber,
    pub item: ItemNumber,
    pub kind: ScriptedKind,
    /// Whole units.
    #[schemars(range(min = 1, max = 9_999))]
    pub quantity: u16,
}

/// What an event does to the floor of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ScriptedKind {
    /// A till receipt: stock goes down.
    Sale,
    /// A count that finds more: stock goes up.
    Restock,
}

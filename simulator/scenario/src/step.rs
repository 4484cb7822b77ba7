//! A step of the timeline: when, what the presenter says, what is done, what is expected.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::breaking::{Break, Mend};
use crate::expectation::{Expect, Expectation, expectations};
use crate::load::{Rate, Speed};
use crate::names::{ServiceName, StoreNumber};
use crate::time::SimOffset;

/// A step of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Simulated time from the start of trading. Not before the step above.
    pub at: SimOffset,
    /// What the presenter tells.
    #[serde(default)]
    pub say: Option<String>,
    /// A fault, its mending, or a change of load.
    #[serde(default, rename = "do")]
    pub action: Option<Action>,
    /// What must come true from here on.
    #[serde(default, deserialize_with = "expectations")]
    #[schemars(with = "Option<Expect>")]
    pub expect: Vec<Expectation>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// So many till receipts, whatever the hour.
    Rate(Rate),
    /// Simulated seconds a second: 1 is Acme's real pace.
    Speed(Speed),
    /// The simulated clock stands until what this step expects has come true, or its time is over.
    Pause,
    /// These stores lose their line: they sell on, and keep their journal.
    StoresOffline(Selector),
    /// These stores have their line back and send their journal.
    StoresOnline(Selector),
    /// The service dies.
    StopService(ServiceName),
    /// The service is started again.
    StartService(ServiceName),
    /// Something of the library of faults breaks: `stockstream faults` lists it.
    Break(Break),
    /// It works again.
    Mend(Mend),
    /// The articles of `world: {unknown_articles: …}` come into the catalogue.
    ReleaseArticles,
    /// Dead letters of this class are put back to where they came from, such as `unknown-item`.
    Replay(String),
}

/// Which stores.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// Every store.
    All,
    /// By name: `[S0042, S0043]`.
    Names(Vec<StoreNumber>),
    /// All stores of a region, such as `north-2`.
    Region(String),
    /// The first so many by number.
    Count(#[schemars(range(min = 1))] u16),
}

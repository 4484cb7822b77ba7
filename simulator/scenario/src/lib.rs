//! Scenarios: a YAML file as types, with errors that a sales engineer can act on.
//!
//! A scenario is a demo, a replay and a test at once: a world, a load, a timeline of steps with what the presenter says,
//! what is done and what is expected, and what must hold at the end.
//!
//! **Time.** A step's `at` is simulated time from the start of trading. Only what ends in `within` is wall time, and so
//! is a freshness bound. The opening stock is sent before trading starts: the simulated clock stands until it is out, and
//! the steps at `0s` are due before it. A pause stands until what its own step expects has come true, or its
//! time is over; there is no other way for simulated time to stop, so every step of a running scenario is reached.
//!
//! **Invariant.** A [`Scenario`] that [`parse`] gave keeps all rules of this crate; nobody needs to check again. What only the world
//! can know, such as whether a region exists, is left to whoever builds the world.
//!
//! It does no IO, reads no clock, and knows nothing of the world, the services or the screen.

mod breaking;
mod check;
mod curve;
mod dirt;
mod error;
mod estimate;
mod expectation;
mod fault;
mod fault_case;
mod load;
mod locate;
mod names;
mod queues;
mod scale;
mod scenario;
mod schema;
mod shipped;
mod step;
mod time;
mod timeline;
mod totals;
mod world;

pub use breaking::{Break, Mend};
pub use dirt::{DirtSpec, LateSpec, OneIn, PoisonSpec};
pub use error::ScenarioError;
pub use estimate::{WallEstimate, wall_estimate};
pub use expectation::Expectation;
pub use fault::{ALWAYS, Area, FAULT_NAMES, FAULTS, Fault, FaultInfo, Need, Parameter};
pub use fault_case::fault_case;
pub use load::{Load, Rate, Rates, Speed};
pub use names::{ItemNumber, ServiceName, StoreNumber};
pub use queues::{CodePage, DescriptorPlace, QueueSpec};
pub use scenario::{Scenario, Script, ScriptedEvent, ScriptedKind, Sending, Services, Stop};
pub use schema::schema;
pub use shipped::{DEFAULT, SHIPPED, Shipped, nearest, shipped};
pub use step::{Action, Selector, Step};
pub use time::{SimOffset, WallTime};
pub use timeline::Timeline;
pub use totals::Totals;
pub use world::{Start, TillMix, WorldSpec};

use sha2::{Digest, Sha256};

/// Reads a scenario. `name` is the file's: the error shows it, and without folders and ending it names the scenario.
pub fn parse(name: &str, yaml: &str) -> Result<Scenario, ScenarioError> {
    let mut scenario: Scenario =
        serde_saphyr::from_str(yaml).map_err(|error| error::from_yaml(name, yaml, &error))?;
    stem(name).clone_into(&mut scenario.name);
    match check::first_problem(&scenario) {
        None => Ok(scenario),
        Some(problem) => Err(error::from_rule(name, yaml, problem)),
    }
}

/// SHA-256 of the scenario's text, in hexadecimal: two reports with the same hash ran the same scenario.
pub fn hash(yaml: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(yaml.as_bytes())
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// `scenarios/first-look.yaml` is called `first-look`.
fn stem(name: &str) -> &str {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.strip_suffix(".yaml")
        .or_else(|| file.strip_suffix(".yml"))
        .unwrap_or(file)
}

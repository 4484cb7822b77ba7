//! Acme: catalogue, stores, tills, warehouses, days, people.
//!
//! A world goes on in steps of five simulated minutes. Within a step no place feels another, because a lorry takes
//! hours: so places can be computed on any number of threads, and orders and lorries change hands at the border.
//!
//! Invariant: same configuration, same bytes, whatever the pace, the threads or the machine; nobody buys what the floor
//! does not have; every change of stock is a fact in the step that brings it, beside the bytes that tell of it.
//! It has no clock, does no IO, and knows neither transports nor services.

mod calendar;
mod catalogue;
mod chain;
mod config;
mod contradiction;
mod digest;
pub mod events;
mod generation;
mod offers;
pub mod queue;
mod random;
mod receipt;
mod scan;
mod script;
pub mod shape;
mod store;
mod tally;
mod warehouse;
mod world;

pub use calendar::{business_day, business_day_begins};
pub use catalogue::second_gtin;
pub use config::{ConfigError, STEP_MS, WorldConfig};
pub use digest::{DigestBuilder, FOLDERS, digest, file_name, message_end};
pub use generation::{Generation, TillMix};
pub use script::{ScriptedEvent, ScriptedKind};
pub use tally::{Counts, Split};
pub use world::{Lorry, World};

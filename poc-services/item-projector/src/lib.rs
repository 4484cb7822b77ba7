//! The item projector: `movements` as the item stream of the reference kit, one message a line, each exactly once.
//!
//! A movement can come twice: its source sends it again, or the normaliser makes it again after a crash. So the projector keeps,
//! by source and business day, which numbers it has projected. Items, that memory and the offsets of the input are one
//! transaction: whoever reads committed records sees each line once, whatever dies when.
//!
//! Invariant: of each partition of `movements` one transactional id writes; whoever takes the partition takes the id first, which
//! ends what the owner before had begun, and only then reads memory and offsets.

mod counters;
mod project;
mod seen;
mod service;

pub use counters::{Counters, Snapshot};
pub use project::{Articles, Line, lines};
pub use seen::{Seen, SeenKey};
pub use service::{Config, Delivery, GROUP, ProjectorError, run};

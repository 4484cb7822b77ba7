//! The reconciler: do the papers of a delivery say the same?
//!
//! It keeps, by despatch advice, the set of papers that `papers` holds, and publishes to `discrepancies` what contradicts in it;
//! a contradiction that is gone is withdrawn. It moves no stock and decides nothing about it.
//!
//! Invariant: what is published of a delivery is a function of a set, and the set only grows until the delivery is settled and its
//! papers are deleted, all of them; so order and repeats change nothing, and what is written twice is the same. It compares what
//! should be there with what is there, and writes the difference: a crash, a rebalance, or a former owner's late write is mended by
//! the next look.

mod counters;
mod delivery;
mod kept;
mod service;

pub use counters::{Counters, Snapshot};
pub use delivery::{Delivery, Verdict};
pub use kept::Keep;
pub use service::{Config, GROUP, ReconcilerError, run};

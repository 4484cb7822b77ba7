//! A model of how the inventory service keeps its state: small enough to visit every state that it can reach.
//!
//! It shows that no transaction is lost or counted twice and that no cell stays stale unnoticed, whatever crash, pause,
//! takeover and compaction do; and of each rule that it broke leads to a counterexample. The protocol is written here a
//! second time, without the service's code: what both have in common is docs/state.md.

pub mod digest;
pub mod explore;
pub mod log;
pub mod memory;
pub mod numbers;
pub mod partials;
pub mod plant;
pub mod protocol;
mod restore;

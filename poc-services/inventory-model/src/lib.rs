//! A model of how the inventory service keeps its state: small enough to visit every state that it can reach.
//!
//! It shows that no transaction is lost or counted twice and that no cell stays stale unnoticed, whatever crash, pause,
//! takeover and compaction do; and that each rule that is broken leads to a counterexample. The protocol is written here
//! a second time, without the service's code: what both have in common is docs/state.md.
//!
//! `explore` visits states, of any model. `protocol` is one partition: its owners (`steps`, `restore`), what they count
//! (`memory`), where they write it (`log`), and which states are one (`normal`). `partials` is the way to the item stage.
//! `numbers` and `digest` are two rules that need no owners. `catalogue` lists what is to be shown.

mod action;
pub mod catalogue;
pub mod digest;
pub mod explore;
pub mod log;
pub mod memory;
mod normal;
pub mod numbers;
pub mod partials;
pub mod plant;
pub mod protocol;
mod restore;
mod steps;

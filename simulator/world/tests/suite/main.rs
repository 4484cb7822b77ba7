//! The physical world: what happens in it, what is written of it, and that both say the same.

mod common;
#[allow(dead_code, reason = "what is left out here `cargo xtask realism` holds")]
#[path = "../../../../xtask/src/realism/measured.rs"]
mod measured;

mod config;
mod conservation;
mod contradictions;
mod digest;
mod queues;
mod round_trip;
mod script;
mod statistics;

//! What all sides share: ids and quantities, records, topics, wire formats.
//!
//! Invariant: depends on nothing of ours, and knows neither Kafka clients nor the world that writes these formats.

pub mod digest;
pub mod hash;
pub mod ids;
pub mod records;
pub mod sabotage;
pub mod topics;
pub mod wire;

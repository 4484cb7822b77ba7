//! The servers of a laptop: a Kafka broker and an AMQP 1.0 queue, in process and in memory.
//!
//! They stand in for real servers where none can be installed. Nothing outside the stage and the tests depends on
//! this crate; services see addresses only.

pub mod broker;
pub mod queue;

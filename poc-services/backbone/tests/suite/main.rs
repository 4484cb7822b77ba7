//! The clients over the embedded broker.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../support/kafka.rs"]
mod kafka;

mod gathering;
mod leaving;
mod renewal;
mod topics;

//! The state of a partition: its laws in memory, and the service over the embedded broker.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod kafka;
mod support;

mod completeness;
mod coordinator;
mod cut_anywhere;
mod floor;
mod images;
mod laws;
mod plants;
mod service;
mod takeover;
mod zombies;

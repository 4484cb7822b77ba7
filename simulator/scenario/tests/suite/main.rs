//! Scenarios: what they mean, what is said of those that are wrong, and those that come with the program.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod conforms;

mod articles;
mod dirt_keys;
mod errors;
mod queues;
mod shipped;

//! The audit: what it finds, what it raises no alarm for, and what it says while a run goes on.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

mod completeness;
mod kafka;
mod live;
mod verdicts;

//! Raw messages → movements: tables and laws, and the service over the embedded broker.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../../../backbone/tests/support/kafka.rs"]
mod kafka;
mod support;

mod cut_logs;
mod delivery_papers;
mod late_articles;
mod mapping;
mod papers;
mod poslog;
mod repeats;
mod scan_memory;
mod service;

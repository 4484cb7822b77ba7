//! The binary as a user runs it: whole runs with all their servers and services, and what they leave. One program for all,
//! because most of a run is waiting, and others can use the time.

#[path = "../../../poc-services/backbone/tests/support/kafka.rs"]
mod kafka;
mod support;

mod command_line;
mod dead_letters;
mod deliveries;
mod dirt;
mod faults;
mod feeds;
mod interrupt;
mod outside;
mod sabotage;
mod scenarios;
mod terminal;
mod tills;

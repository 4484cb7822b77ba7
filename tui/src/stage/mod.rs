//! The stage: starts servers and services, plays the scenario against them, and says what came of it.
//!
//! Invariant: everything that a screen or a report shows goes through one snapshot that this loop makes. It decides
//! nothing about stock: the services count, the audit compares.

mod anomalies;
mod articles;
mod completeness;
mod damage;
mod deliveries;
mod digests;
mod director;
mod dirt;
mod extras;
mod facts;
mod faults;
mod formats;
mod governor;
mod judge;
mod lags;
mod orders;
mod outages;
mod outside;
mod pace;
mod rates;
mod run;
mod safety;
mod servers;
mod services;
mod start;
mod verdict;
mod view;
mod watch;
mod written;
mod wrongs;

#[cfg(test)]
pub use anomalies::of as anomalies_of;
pub use anomalies::{AnomalyView, line as anomalies_line};
pub use damage::SabotageView;
pub use digests::StagesDigest;
pub use dirt::DirtRow;
pub use outages::OutageView;
pub use safety::ViolationView;
pub use servers::{amqp_options, outside, reach_queue};
pub use start::Stage;

//! The stage: starts servers and services, plays the scenario against them, and says what came of it.
//!
//! Invariant: everything that a screen or a report shows goes through one snapshot that this loop makes. It decides
//! nothing about stock: the services count, the audit compares.

mod damage;
mod digests;
mod director;
mod facts;
mod faults;
mod lags;
mod outside;
mod rates;
mod run;
mod servers;
mod services;
mod verdict;
mod view;

pub use damage::SabotageView;
pub use digests::StagesDigest;
pub use run::Stage;
pub use servers::{amqp_options, outside, reach_queue};

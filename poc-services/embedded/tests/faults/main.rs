//! Faults of the embedded broker: each really happens, and an idempotent producer with `acks=all` loses and doubles
//! nothing through any of them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../support/mod.rs"]
mod support;

mod elections;
mod rules;
mod storm;

use embedded::broker::BrokerOptions;
use kafka_protocol::ResponseError;

use support::target::Target;

fn start() -> Target {
    Target::embedded(BrokerOptions {
        initial_rebalance_delay: std::time::Duration::ZERO,
        ..BrokerOptions::default()
    })
}

/// The error of a code, for assertions that read well; `None`: no error.
fn error(code: i16) -> Option<ResponseError> {
    ResponseError::try_from_code(code)
}

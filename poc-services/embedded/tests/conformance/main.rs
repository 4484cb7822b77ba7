//! What a client may expect of a Kafka, one module a subject: the same assertions on the embedded broker and, with
//! `STOCKSTREAM_KAFKA=HOST:PORT,…` set, on Apache Kafka. What that one has to be set up with is in `support/target.rs`.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod commits;
mod compaction;
mod epochs;
mod fetch;
mod groups;
mod idempotence;
mod membership;
mod produce;
mod retention;
mod statics;
mod times;
mod transaction_offsets;
mod transactions;
mod versions;

use kafka_protocol::ResponseError;

/// The error of a code, for assertions that read well; `None`: no error.
fn error(code: i16) -> Option<ResponseError> {
    ResponseError::try_from_code(code)
}

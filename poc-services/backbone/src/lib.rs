//! The clients: the only crate through which services speak Kafka and AMQP.
//!
//! Invariant: a client is configured in one place, here, so that every service has the same guarantees: idempotent
//! producers, `acks=all`, no automatic commits. It knows no service and no embedded server; an address is all it takes.

pub mod amqp;
pub mod kafka;
#[cfg(any(test, feature = "proxy"))]
pub mod proxy;
mod sessions;

use std::time::{SystemTime, UNIX_EPOCH};

pub use kafka::{
    AckProducer, Assignment, Backbone, BackboneError, BackboneOptions, BatchAck, Event, GroupConsumer,
    Header, LagProbe, OffsetKeeper, OffsetReset, PartitionLag, Producer, Reader, Record, StartAt, Tail,
    TransactionalProducer,
};
pub use sessions::sessions;

/// Milliseconds since 1970 by this machine's clock; 0 before that.
pub fn wall_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

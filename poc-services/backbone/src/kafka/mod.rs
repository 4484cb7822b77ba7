//! Kafka through librdkafka, configured once.
//!
//! What a service gets: [`Producer`] (errors only, acknowledged by [`Producer::flush`]), [`AckProducer`] (each batch
//! acknowledged on its own), [`GroupConsumer`] (a member of a group, the service decides when an assignment is taken
//! and given back), [`OffsetKeeper`] (offsets of a group without members), [`Reader`] (all partitions of a topic, no
//! group), [`LagProbe`].
//!
//! Calls block; async callers use `spawn_blocking`, but for [`AckProducer`] and [`Backbone::ensure_topics`].

mod admin;
mod config;
mod consumer;
mod ffi;
mod lag;
mod producer;

pub use config::{Backbone, BackboneError, BackboneOptions, OffsetReset};
pub use consumer::{Assignment, Event, GroupConsumer, OffsetKeeper, Reader, Record, StartAt};
pub use lag::{LagProbe, PartitionLag};
pub use producer::{AckProducer, BatchAck, Header, Producer};

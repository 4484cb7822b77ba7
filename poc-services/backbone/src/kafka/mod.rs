//! Kafka through librdkafka, configured once.
//!
//! What a service gets: [`Producer`] (errors only, acknowledged by [`Producer::flush`]), [`AckProducer`] (each batch
//! acknowledged on its own), [`GroupConsumer`] (a member of a group, the service decides when an assignment is taken
//! and given back), [`OffsetKeeper`] (offsets of a group without members), [`Reader`] (all partitions of a topic, no
//! group), [`Tail`] (a partition that others refer to), [`LagProbe`], [`TransactionalProducer`] (records and offsets together), [`Backbone::read_whole`] (a topic once).
//!
//! Calls block; async callers use `spawn_blocking`, but for [`AckProducer`] and [`Backbone::ensure_topics`].

mod ack_producer;
mod admin;
mod config;
mod consumer;
mod dead_letter;
mod ffi;
mod lag;
mod producer;
mod tail;
mod transaction;
mod whole;

pub use ack_producer::{AckProducer, BatchAck};
pub use config::{Backbone, BackboneError, BackboneOptions, OffsetReset};
pub use consumer::{Assignment, Event, GroupConsumer, OffsetKeeper, Reader, Record, StartAt};
pub use lag::{LagProbe, PartitionLag};
pub use producer::{Header, Producer};
pub use tail::Tail;
pub use transaction::TransactionalProducer;

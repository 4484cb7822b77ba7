//! The normaliser: what sources wrote (`tlog.raw`, `mq.raw`, `scan.raw`) becomes movements of stock (`movements`); what is said of
//! sources (marks, status records, `places`) goes with them.
//!
//! [`Normaliser::normalise_at`] is a pure function of the catalogue and one raw message, of a scan also of the [`SCAN_SPAN`]
//! messages before it in its partition; [`run`] moves messages through it.
//!
//! Invariants: business day and number are passed on as the source wrote them, nothing is unwrapped, and nothing is
//! deduplicated here that has a number to tell it by; a message becomes movements as a whole or goes to `movements.dlq` as a whole, never both and
//! never neither (a place is told of its own messages there); what was read is committed after what was made of it is acknowledged. So after a crash some
//! movements come twice, and none is missing.

mod catalogue;
mod clock;
mod counters;
mod encode;
mod feed;
mod memory;
mod normalise;
mod normalised;
mod paper;
mod poslog;
mod progress;
mod queue;
mod raw;
mod reading;
mod replay;
mod sabotage;
mod scan;
mod service;
mod statement;
mod worker;

pub use catalogue::{Catalogue, Facts, TradeUnit};
pub use clock::BusinessClock;
pub use counters::{Counters, Phase, RawDigest, Snapshot};
pub use encode::{encode_movement, mark_put_back};
pub use memory::SPAN as SCAN_SPAN;
pub use normalise::Normaliser;
pub use normalised::{Normalised, Rejection, Transaction};
pub use paper::{key as paper_key, of_transaction as paper_of_transaction, paper};
pub use raw::{Group, GroupPlace, Position, RawMessage, RawTopic};
pub use replay::resolved;
pub use sabotage::Saboteur;
pub use service::{Config, GROUP, KEPT_GROUP, NormaliserError, Summary, run};
pub use statement::{Statement, rejected};

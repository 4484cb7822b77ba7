//! The normaliser: what sources wrote (`tlog.raw`, `mq.raw`, `scan.raw`) becomes movements of stock (`movements`); what is said of
//! sources (marks, status records, `places`) goes with them.
//!
//! [`Normaliser::normalise`] is a pure function of one raw message and the catalogue; [`run`] moves messages through it.
//!
//! Invariants: business day and number are passed on as the source wrote them, nothing is unwrapped and nothing is
//! deduplicated here; a message becomes movements as a whole or goes to `movements.dlq` as a whole, never both and
//! never neither (a place is told of its own messages there); what was read is committed after what was made of it is acknowledged. So after a crash some
//! movements come twice, and none is missing.

mod catalogue;
mod clock;
mod counters;
mod encode;
mod feed;
mod normalise;
mod paper;
mod poslog;
mod replay;
mod sabotage;
mod scan;
mod service;
mod statement;

pub use catalogue::{Catalogue, Facts, TradeUnit};
pub use counters::{Counters, Phase, RawDigest, Snapshot};
pub use encode::{encode_movement, mark_put_back};
pub use normalise::{
    BusinessClock, Group, GroupPlace, Normalised, Normaliser, RawMessage, RawTopic, Rejection, Transaction,
};
pub use paper::{key as paper_key, of_transaction as paper_of_transaction, paper};
pub use replay::resolved;
pub use sabotage::Saboteur;
pub use service::{Config, GROUP, NormaliserError, Summary, run};
pub use statement::{Statement, rejected};

//! Papers of deliveries, what contradicts in them, what was put back from the dead letters, what was projected.

use prost::{Enumeration, Message};
use serde::{Serialize, Serializer};

use super::{NumberRange, SourceKind, source_kind};

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Replayed {
    #[prost(int64, tag = "1")]
    pub at_ms: i64,
    #[prost(uint32, tag = "2")]
    pub times: u32,
    #[prost(string, tag = "3")]
    pub class: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum PaperKind {
    Unspecified = 0,
    Shipment = 1,
    ReceivingScan = 2,
    ReceiveInventory = 3,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message, Serialize)]
pub struct PaperLine {
    #[prost(uint32, tag = "1")]
    pub sku: u32,
    #[prost(sint64, tag = "2")]
    pub quantity: i64,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Paper {
    #[prost(uint64, tag = "1")]
    pub despatch_advice: u64,
    #[prost(enumeration = "PaperKind", tag = "2")]
    #[serde(serialize_with = "paper_kind")]
    pub kind: i32,
    #[prost(string, tag = "3")]
    pub location: String,
    #[prost(enumeration = "SourceKind", tag = "4")]
    #[serde(serialize_with = "source_kind")]
    pub source_kind: i32,
    #[prost(uint32, tag = "5")]
    pub source_unit: u32,
    #[prost(uint32, tag = "6")]
    pub business_day: u32,
    #[prost(uint64, tag = "7")]
    pub number: u64,
    #[prost(int64, tag = "8")]
    pub occurred_ms: i64,
    #[prost(fixed64, tag = "9")]
    pub content_hash: u64,
    #[prost(message, repeated, tag = "10")]
    pub lines: Vec<PaperLine>,
    #[prost(uint32, tag = "11")]
    pub group_sequence: u32,
    #[prost(bool, tag = "12")]
    pub is_last_in_group: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Discrepancy {
    #[prost(uint64, tag = "1")]
    pub despatch_advice: u64,
    #[prost(string, tag = "2")]
    pub warehouse: String,
    #[prost(string, tag = "3")]
    pub store: String,
    #[prost(message, repeated, tag = "4")]
    pub lines: Vec<DiscrepancyLine>,
    #[prost(bool, tag = "5")]
    pub has_scan: bool,
    #[prost(bool, tag = "6")]
    pub has_receive_inventory: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message, Serialize)]
pub struct DiscrepancyLine {
    #[prost(uint32, tag = "1")]
    pub sku: u32,
    #[prost(sint64, tag = "2")]
    pub shipped: i64,
    #[prost(sint64, tag = "3")]
    pub scanned: i64,
    #[prost(sint64, tag = "4")]
    pub receive_inventory: i64,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Seen {
    #[prost(message, repeated, tag = "1")]
    pub numbers: Vec<NumberRange>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn paper_kind<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    match PaperKind::try_from(*value) {
        Ok(kind) => serializer.collect_str(&format_args!("{kind:?}")),
        Err(_) => serializer.serialize_i32(*value),
    }
}

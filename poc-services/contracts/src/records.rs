//! The records between services, as `proto/stockstream.proto` states them.
//!
//! Invariant: every message here has the same fields, numbers and types as the file; a test compiles the file
//! and compares. The shapes, units and meanings are documented there.

use prost::{Enumeration, Message};
use serde::{Serialize, Serializer};

mod papers;

pub use papers::{Discrepancy, DiscrepancyLine, Paper, PaperKind, PaperLine, Replayed, Seen};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum SourceKind {
    Unspecified = 0,
    Till = 1,
    Queue = 2,
    Reader = 3,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum MovementKind {
    Unspecified = 0,
    Sold = 1,
    Returned = 2,
    Supplied = 3,
    Shipped = 4,
    Received = 5,
    Stocked = 6,
    Stored = 7,
    CountedFloor = 8,
    CountedBackRoom = 9,
    AdjustedFloor = 10,
    AdjustedBackRoom = 11,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message, Serialize)]
pub struct MovementLine {
    #[prost(uint32, tag = "1")]
    pub sku: u32,
    #[prost(enumeration = "MovementKind", tag = "2")]
    #[serde(serialize_with = "movement_kind")]
    pub kind: i32,
    #[prost(sint64, tag = "3")]
    pub quantity: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message, Serialize)]
pub struct SourceMark {
    #[prost(enumeration = "SourceKind", tag = "1")]
    #[serde(serialize_with = "source_kind")]
    pub source_kind: i32,
    #[prost(uint32, tag = "2")]
    pub source_unit: u32,
    #[prost(uint32, tag = "3")]
    pub business_day: u32,
    #[prost(uint64, tag = "4")]
    pub last_number: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message, Serialize)]
pub struct ExpectedSource {
    #[prost(enumeration = "SourceKind", tag = "1")]
    #[serde(serialize_with = "source_kind")]
    pub source_kind: i32,
    #[prost(uint32, tag = "2")]
    pub source_unit: u32,
    #[prost(uint64, tag = "3")]
    pub first_number: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Rejected {
    #[prost(string, tag = "1")]
    pub topic: String,
    #[prost(uint64, tag = "2")]
    pub offset: u64,
    #[prost(string, tag = "3")]
    pub class: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Resolved {
    #[prost(string, tag = "1")]
    pub topic: String,
    #[prost(uint64, tag = "2")]
    pub offset: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Movement {
    #[prost(string, tag = "1")]
    pub location: String,
    #[prost(enumeration = "SourceKind", tag = "2")]
    #[serde(serialize_with = "source_kind")]
    pub source_kind: i32,
    #[prost(uint32, tag = "3")]
    pub source_unit: u32,
    #[prost(uint32, tag = "4")]
    pub business_day: u32,
    #[prost(uint64, tag = "5")]
    pub number: u64,
    #[prost(int64, tag = "6")]
    pub occurred_ms: i64,
    #[prost(int64, tag = "7")]
    pub due_ms: i64,
    #[prost(fixed64, tag = "8")]
    pub content_hash: u64,
    #[prost(uint64, tag = "9")]
    pub despatch_advice: u64,
    #[prost(message, repeated, tag = "10")]
    pub lines: Vec<MovementLine>,
    #[prost(message, repeated, tag = "11")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<SourceMark>,
    #[prost(message, repeated, tag = "12")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<ExpectedSource>,
    #[prost(message, optional, tag = "13")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
    #[prost(message, optional, tag = "14")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Resolved>,
    #[prost(bool, tag = "15")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub put_back: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Place {
    #[prost(string, tag = "1")]
    pub location: String,
    #[prost(message, repeated, tag = "2")]
    pub sources: Vec<ExpectedSource>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub region: String,
    #[prost(uint32, tag = "5")]
    pub data_centre: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Cell {
    #[prost(sint64, tag = "1")]
    pub floor: i64,
    #[prost(sint64, tag = "2")]
    pub back_room: i64,
    #[prost(sint64, tag = "3")]
    pub counted: i64,
    #[prost(sint64, tag = "4")]
    pub supplied: i64,
    #[prost(sint64, tag = "5")]
    pub received: i64,
    #[prost(sint64, tag = "6")]
    pub shipped: i64,
    #[prost(sint64, tag = "7")]
    pub sold: i64,
    #[prost(sint64, tag = "8")]
    pub returned: i64,
    #[prost(sint64, tag = "9")]
    pub adjusted: i64,
    #[prost(sint64, tag = "10")]
    pub stocked: i64,
    #[prost(sint64, tag = "11")]
    pub stored: i64,
    #[prost(uint64, tag = "12")]
    pub applied_offset: u64,
    #[prost(uint32, tag = "13")]
    pub epoch: u32,
    #[prost(uint64, tag = "14")]
    pub applied_count: u64,
    #[prost(fixed64, tag = "15")]
    pub applied_hash: u64,
    #[prost(int64, tag = "16")]
    pub due_ms_min: i64,
    #[prost(int64, tag = "17")]
    pub due_ms_max: i64,
    #[prost(uint32, tag = "18")]
    pub new_lines: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message, Serialize)]
pub struct NumberRange {
    #[prost(uint64, tag = "1")]
    pub first: u64,
    #[prost(uint64, tag = "2")]
    pub last: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message, Serialize)]
pub struct BusinessDayBand {
    #[prost(uint32, tag = "1")]
    pub business_day: u32,
    #[prost(uint64, tag = "2")]
    pub lowest: u64,
    #[prost(uint64, tag = "3")]
    pub highest: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message, Serialize)]
pub struct RecentContent {
    #[prost(uint64, tag = "1")]
    pub number: u64,
    #[prost(fixed32, tag = "2")]
    pub content_hash: u32,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Window {
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    #[prost(uint64, tag = "2")]
    pub cut: u64,
    #[prost(uint64, tag = "3")]
    pub highest: u64,
    #[prost(message, repeated, tag = "4")]
    pub missing: Vec<NumberRange>,
    #[prost(message, repeated, tag = "5")]
    pub bands: Vec<BusinessDayBand>,
    #[prost(message, repeated, tag = "6")]
    pub recent: Vec<RecentContent>,
    #[prost(uint64, tag = "7")]
    pub duplicates: u64,
    #[prost(uint64, tag = "8")]
    pub late: u64,
    #[prost(uint64, tag = "9")]
    pub first: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Completeness {
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    #[prost(uint64, tag = "2")]
    pub cut: u64,
    #[prost(message, repeated, tag = "3")]
    pub sources: Vec<SourceState>,
    #[prost(int64, tag = "4")]
    pub marked_ms: i64,
    #[prost(int64, tag = "5")]
    pub marked_due_ms: i64,
    #[prost(int64, tag = "6")]
    pub complete_until_ms: i64,
    #[prost(int64, tag = "7")]
    pub offline_since_ms: i64,
    #[prost(uint64, tag = "8")]
    pub dead_letters: u64,
    #[prost(message, repeated, tag = "9")]
    pub rejected: Vec<RejectedUpTo>,
    #[prost(bool, tag = "10")]
    pub is_certain: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct RejectedUpTo {
    #[prost(string, tag = "1")]
    pub topic: String,
    #[prost(uint64, tag = "2")]
    pub next_offset: u64,
    #[prost(message, repeated, tag = "3")]
    pub resolved: Vec<NumberRange>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct SourceState {
    #[prost(enumeration = "SourceKind", tag = "1")]
    #[serde(serialize_with = "source_kind")]
    pub source_kind: i32,
    #[prost(uint32, tag = "2")]
    pub source_unit: u32,
    #[prost(uint64, tag = "3")]
    pub complete_up_to: u64,
    #[prost(uint64, tag = "4")]
    pub highest: u64,
    #[prost(uint64, tag = "5")]
    pub claimed: u64,
    #[prost(uint64, tag = "6")]
    pub claimed_before: u64,
    #[prost(uint64, tag = "7")]
    pub missing: u64,
    #[prost(uint64, tag = "8")]
    pub overdue: u64,
    #[prost(message, repeated, tag = "9")]
    pub missing_first: Vec<NumberRange>,
    #[prost(int64, tag = "10")]
    pub complete_until_ms: i64,
    #[prost(int64, tag = "11")]
    pub last_ms: i64,
    #[prost(uint64, tag = "12")]
    pub dead_letters: u64,
    #[prost(uint64, tag = "13")]
    pub late: u64,
    #[prost(bool, tag = "14")]
    pub is_expected: bool,
    #[prost(bool, tag = "15")]
    pub is_marked: bool,
    #[prost(int64, tag = "16")]
    pub claimed_ms: i64,
    #[prost(int64, tag = "17")]
    pub claimed_before_ms: i64,
    #[prost(uint64, tag = "18")]
    pub long_late: u64,
    #[prost(uint64, tag = "19")]
    pub reordered: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Barrier {
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    #[prost(string, tag = "2")]
    pub instance: String,
    #[prost(int64, tag = "3")]
    pub at_ms: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Intent {
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    #[prost(uint64, tag = "2")]
    pub cut: u64,
    #[prost(fixed64, tag = "3")]
    pub cells_digest: u64,
    #[prost(fixed64, tag = "4")]
    pub windows_digest: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Head {
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    #[prost(uint64, tag = "2")]
    pub cut: u64,
    #[prost(sint32, tag = "3")]
    pub leader_epoch: i32,
    #[prost(string, tag = "4")]
    pub topic_id: String,
    #[prost(uint32, tag = "5")]
    pub partitions: u32,
    #[prost(fixed64, tag = "6")]
    pub cells_digest: u64,
    #[prost(fixed64, tag = "7")]
    pub windows_digest: u64,
    #[prost(uint64, tag = "8")]
    pub records: u64,
    #[prost(int64, tag = "9")]
    pub at_ms: i64,
    #[prost(uint64, tag = "10")]
    pub barrier: u64,
    #[prost(uint64, tag = "11")]
    pub repaired_up_to: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct ImagePart {
    #[prost(message, repeated, tag = "1")]
    pub cells: Vec<ImageCell>,
    #[prost(message, repeated, tag = "2")]
    pub sources: Vec<ImageSource>,
    #[prost(message, repeated, tag = "3")]
    pub places: Vec<ImagePlace>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct ImageCell {
    #[prost(string, tag = "1")]
    pub location: String,
    #[prost(uint32, tag = "2")]
    pub sku: u32,
    #[prost(message, optional, tag = "3")]
    pub cell: Option<Cell>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct ImageSource {
    #[prost(string, tag = "1")]
    pub source: String,
    #[prost(message, optional, tag = "2")]
    pub window: Option<Window>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct ImagePlace {
    #[prost(string, tag = "1")]
    pub location: String,
    #[prost(message, optional, tag = "2")]
    pub completeness: Option<Completeness>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Seal {
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    #[prost(uint64, tag = "2")]
    pub cut: u64,
    #[prost(uint32, tag = "3")]
    pub parts: u32,
    #[prost(uint64, tag = "4")]
    pub cells: u64,
    #[prost(uint64, tag = "5")]
    pub sources: u64,
    #[prost(fixed64, tag = "6")]
    pub cells_digest: u64,
    #[prost(fixed64, tag = "7")]
    pub windows_digest: u64,
    #[prost(int64, tag = "8")]
    pub at_ms: i64,
    #[prost(uint64, tag = "9")]
    pub places: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Partial {
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    #[prost(uint64, tag = "2")]
    pub cut: u64,
    #[prost(sint64, tag = "3")]
    pub floor: i64,
    #[prost(sint64, tag = "4")]
    pub back_room: i64,
    #[prost(sint64, tag = "5")]
    pub shipped: i64,
    #[prost(sint64, tag = "6")]
    pub received: i64,
    #[prost(int64, tag = "7")]
    pub due_ms_min: i64,
    #[prost(sint64, tag = "8")]
    pub uncertain: i64,
    #[prost(uint32, tag = "9")]
    pub uncertain_places: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message, Serialize)]
pub struct PartialEnd {
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    #[prost(uint64, tag = "2")]
    pub cut: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct ItemTotal {
    #[prost(uint32, tag = "1")]
    pub sku: u32,
    #[prost(sint64, tag = "2")]
    pub on_hand: i64,
    #[prost(sint64, tag = "3")]
    pub floor: i64,
    #[prost(sint64, tag = "4")]
    pub back_room: i64,
    #[prost(sint64, tag = "5")]
    pub in_transit: i64,
    #[prost(uint32, tag = "6")]
    pub uncertain_partitions: u32,
    #[prost(message, repeated, tag = "7")]
    pub positions: Vec<PartialPosition>,
    #[prost(int64, tag = "8")]
    pub due_ms_min: i64,
    #[prost(uint32, tag = "9")]
    pub epoch: u32,
    #[prost(sint64, tag = "10")]
    pub uncertain: i64,
    #[prost(uint32, tag = "11")]
    pub uncertain_places: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message, Serialize)]
pub struct PartialPosition {
    #[prost(uint32, tag = "1")]
    pub partition: u32,
    #[prost(uint32, tag = "2")]
    pub epoch: u32,
    #[prost(uint64, tag = "3")]
    pub cut: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Article {
    #[prost(uint32, tag = "1")]
    pub sku: u32,
    #[prost(uint64, tag = "2")]
    pub gtin: u64,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub department: String,
    #[prost(uint32, tag = "5")]
    pub department_number: u32,
    #[prost(int64, tag = "6")]
    pub price: i64,
    #[prost(uint32, tag = "7")]
    pub pack_size: u32,
    #[prost(bool, tag = "8")]
    pub weighed: bool,
    #[prost(string, tag = "9")]
    pub unit: String,
    #[prost(message, repeated, tag = "10")]
    pub packs: Vec<Pack>,
    #[prost(uint32, tag = "12")]
    pub plu: u32,
    #[prost(uint64, repeated, tag = "13")]
    pub other_gtins: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message, Serialize)]
pub struct Pack {
    #[prost(uint64, tag = "1")]
    pub gtin: u64,
    #[prost(sint64, tag = "2")]
    pub quantity: i64,
}

/// For people: the name as the .proto file has it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
pub(crate) fn source_kind<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    match SourceKind::try_from(*value) {
        Ok(SourceKind::Till) => serializer.serialize_str("TILL"),
        Ok(SourceKind::Queue) => serializer.serialize_str("QUEUE"),
        Ok(SourceKind::Reader) => serializer.serialize_str("READER"),
        Ok(SourceKind::Unspecified) | Err(_) => serializer.serialize_i32(*value),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn movement_kind<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    match MovementKind::try_from(*value) {
        Ok(kind) => serializer.collect_str(&format_args!("{kind:?}")),
        Err(_) => serializer.serialize_i32(*value),
    }
}

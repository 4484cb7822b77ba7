//! Why a document is refused, why its transactions move nothing that can be known, and what cannot be written.

use super::{
    ATTRIBUTES_MAX, DEPTH_MAX, DOCUMENT_BYTES_MAX, LINES_MAX, NAMESPACES_MAX, TEXT_BYTES_MAX,
    TRANSACTIONS_MAX,
};

/// Why a document is refused. Offsets count from its first byte and stand behind what was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("{bytes} bytes are too long: a document has at most {DOCUMENT_BYTES_MAX}")]
    TooLong { bytes: usize },
    #[error("not in UTF-8: {found} at byte {offset}")]
    Encoding { found: String, offset: usize },
    #[error("not well-formed at byte {offset}: {reason}")]
    Xml { reason: String, offset: usize },
    #[error("{what} at byte {offset}: not allowed here")]
    Forbidden { what: &'static str, offset: usize },
    #[error(
        "too many or too much {what} at byte {offset}: at most {DEPTH_MAX} levels, {ATTRIBUTES_MAX} attributes an \
         element, {NAMESPACES_MAX} namespaces, {TEXT_BYTES_MAX} bytes a text, {TRANSACTIONS_MAX} transactions, \
         {LINES_MAX} lines"
    )]
    Bound { what: &'static str, offset: usize },
    #[error("the root `{found}` is no POSLog of version 6.0 or 2")]
    NotPosLog { found: String },
    #[error("transaction {index}: {field} before byte {offset} is missing, twice or cannot be read")]
    Header {
        /// Of the transaction in the document, from 1.
        index: usize,
        field: &'static str,
        offset: usize,
    },
    #[error(
        "transaction {index}, line {line}: {field} before byte {offset} is missing, twice or cannot be read"
    )]
    Line {
        index: usize,
        /// Of the line in the receipt or in the paper, from 1.
        line: usize,
        field: &'static str,
        offset: usize,
    },
}

impl ParseError {
    /// For machines: metrics and dead letters.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too-long",
            Self::Encoding { .. } => "bad-encoding",
            Self::Xml { .. } => "bad-xml",
            Self::Forbidden { .. } => "forbidden-xml",
            Self::Bound { .. } => "xml-bound",
            Self::NotPosLog { .. } => "not-poslog",
            Self::Header { .. } => "bad-header",
            Self::Line { .. } => "bad-item",
        }
    }
}

/// A transaction whose movements would be a guess.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transaction {number} of till {workstation}{}: {fault}", match .line {
    Some(line) => format!(", line {line}"),
    None => String::new(),
})]
pub struct StockError {
    pub workstation: u16,
    pub number: u64,
    /// Of the receipt or of the paper, from 1 in their order.
    pub line: Option<usize>,
    pub fault: StockFault,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StockFault {
    #[error(
        "takes an earlier transaction back without its lines: write them turned round, each with the same TransactionLink"
    )]
    PostVoid,
    #[error("of status `{status}`, which is not known to move stock or not to")]
    Status { status: String },
    #[error("`{name}` may move stock and is not understood")]
    Line { name: String },
    #[error("items of type `{item_type}` are not known to be stock or not")]
    ItemType { item_type: String },
    #[error("neither a SKU nor a GTIN with a right check digit nor a PLU{}", match .found {
        Some(found) => format!(": `{found}`"),
        None => String::new(),
    })]
    Item { found: Option<String> },
    #[error("{what}")]
    Quantity { what: &'static str },
    #[error("the unit `{unit}` has no exact amount in the base unit")]
    Unit { unit: String },
    #[error("voids line {voided}: {what}")]
    Void { voided: u32, what: &'static str },
    #[error("takes back an earlier entry that there is not: same item and quantity, not yet voided")]
    Reversal,
    #[error("the returned goods are disposed of as `{method}`, which is not known")]
    Disposal { method: String },
    #[error("{kind}: {what}")]
    Inventory { kind: &'static str, what: &'static str },
}

impl StockError {
    /// For machines: metrics and dead letters.
    pub const fn class(&self) -> &'static str {
        match self.fault {
            StockFault::PostVoid => "transaction-void",
            StockFault::Status { .. } => "unknown-status",
            StockFault::Line { .. } => "unknown-line",
            StockFault::ItemType { .. } => "unknown-item-type",
            StockFault::Item { .. } => "bad-item",
            StockFault::Quantity { .. } => "bad-quantity",
            StockFault::Unit { .. } => "unsupported-unit",
            StockFault::Void { .. } | StockFault::Reversal => "bad-void",
            StockFault::Disposal { .. } => "unknown-disposal",
            StockFault::Inventory { .. } => "bad-inventory",
        }
    }
}

/// A value that the schema cannot show: nothing of the transaction is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transaction {number}: {element} {what}")]
pub struct WriteError {
    pub number: u64,
    pub element: &'static str,
    pub what: &'static str,
}

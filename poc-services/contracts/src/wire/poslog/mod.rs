//! POSLog (ARTS, later OMG) in two dialects, 6.0 and 2.2.1, as `docs/formats/poslog.md` lays them out.
//!
//! A document is several transactions of tills: receipts, control messages, papers of inventory control. [`parse`] reads
//! it into one model whatever its dialect, [`DocumentWriter`] writes either, and [`stock_lines`] is the one place that
//! decides what moves stock.
//!
//! What is written follows the schema's order strictly; what is read may come in any order, with elements of other
//! namespaces and unknown ones between.
//!
//! Invariants: nothing here panics on any bytes; a document is read as a whole or refused as a whole; memory is bounded
//! by the constants below; quantities and money are integers read exactly from their text. What decides about stock and
//! cannot be read refuses the document; what does not reads as absent and is counted in [`Document::unread`].
//! It resolves no articles, no pack sizes and no numbers that wrap.

mod clock;
mod codes;
mod cursor;
mod decimal;
mod error;
mod frames;
mod inventory;
mod model;
mod namespaces;
mod read;
mod retail;
mod scanner;
mod stamp;
mod stock;
mod text;
mod write;

pub use clock::shift_clock;
pub use codes::{
    AdjustmentReason, CodeList, Coded, ControlKind, DisposalMethod, DocumentStatus, EntryMethod,
    InventoryKind, ItemType, Room, TenderDirection, TenderType, Text, TotalType, TransactionStatus,
    UnitOfMeasure, UnitType,
};
pub use error::{ParseError, StockError, StockFault, WriteError};
pub use frames::{FrameFault, FramingError, SEPARATOR, format_of, frames};
pub use inventory::{InventoryDocument, InventoryLine, Place};
pub use model::{ControlEvent, Dialect, Document, Flags, Transaction, TransactionLink};
pub use read::parse;
pub use retail::{Item, ItemCode, ItemId, Line, LineKind, Measured, Retail, Tender, Total, Voids};
pub use stamp::{Stamp, Zone};
pub use stock::{StockLine, StockUnit, stock_and_confirmed, stock_lines};
pub use write::DocumentWriter;

/// A day's worth of one till fits; what is longer is refused unread.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
pub const DEPTH_MAX: usize = 64;
pub const ATTRIBUTES_MAX: usize = 32;
/// Of a text that is kept.
pub const TEXT_BYTES_MAX: usize = 1024;
pub const TRANSACTIONS_MAX: usize = 4096;
/// Of a document: receipt lines, lines of papers, totals and control events together.
pub const LINES_MAX: usize = 8192;
/// Declared and not yet closed.
pub const NAMESPACES_MAX: usize = 64;

/// The namespace of both dialects.
pub const NAMESPACE: &str = "http://www.nrf-arts.org/IXRetail/namespace/";
/// Of the elements that this kit adds, as the schema allows: `Book` and `Room`.
pub const KIT_NAMESPACE: &str = "https://stockstream.example/poslog";

//! The wire formats of the sources, one module each, written and read. Emit strictly, read leniently.

pub mod civil;
pub mod copybook;
pub mod ebcdic;
pub mod epcis;
pub mod gs1;
pub mod items;
mod json;
pub mod mqmd;
pub mod poslog;
pub mod queue_message;
mod rfc3339;
pub mod source_mark;
pub mod tlog4690;

use crate::ids::Quantity;

/// Values of the `format` header.
pub const FORMATS: [&str; 6] = [
    FORMAT_4690,
    FORMAT_POSLOG_6,
    FORMAT_POSLOG_2,
    FORMAT_COPYBOOK_037,
    FORMAT_EPCIS,
    FORMAT_SOURCE_MARK,
];
pub const FORMAT_4690: &str = "ibm-4690";
pub const FORMAT_POSLOG_6: &str = "poslog-6.0";
pub const FORMAT_POSLOG_2: &str = "poslog-2.2.1";
pub const FORMAT_COPYBOOK_037: &str = "copybook-037";
pub const FORMAT_EPCIS: &str = "epcis-2.0";
pub const FORMAT_SOURCE_MARK: &str = "source-mark";

/// The most that one line of any source moves: a thousand million units. A reader refuses more, so that sums over
/// any number of lines that a machine can count stay far inside 64 bits.
pub const QUANTITY_MAX: Quantity = Quantity(1_000_000_000_000);

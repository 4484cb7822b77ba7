//! The wire formats of the sources, one module each, written and read. Emit strictly, read leniently.

pub mod copybook;
pub mod epcis;
pub mod tlog4690;

/// Values of the `format` header.
pub const FORMATS: [&str; 3] = [FORMAT_4690, FORMAT_COPYBOOK_037, FORMAT_EPCIS];
pub const FORMAT_4690: &str = "ibm-4690";
pub const FORMAT_COPYBOOK_037: &str = "copybook-037";
pub const FORMAT_EPCIS: &str = "epcis-2.0";

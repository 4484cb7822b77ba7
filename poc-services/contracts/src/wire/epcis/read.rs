//! The reading half (to come).
use super::Document;
pub const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;
pub const EVENTS_MAX: usize = 10_000;
pub const LINES_MAX: usize = 100_000;
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("not yet")]
    Syntax,
}
pub fn parse(_doc: &[u8]) -> Result<Document, ParseError> {
    Err(ParseError::Syntax)
}

//! Which documents a body holds, and what each says it is: all that whoever passes them on needs to know.
//!
//! Several documents in one body are separated by the byte 1E (record separator), as texts of JSON are: no character of an
//! XML document is that byte. Nothing is read beyond the root's start tag.

use std::ops::Range;

use super::{DOCUMENT_BYTES_MAX, model::Dialect};
use crate::wire::{FORMAT_POSLOG_2, FORMAT_POSLOG_6};

/// Stands between two documents of one body.
pub const SEPARATOR: u8 = 0x1e;
/// The root begins within so many bytes, or the document is taken for one that says nothing of itself.
const ROOT_BYTES_MAX: usize = 4096;

/// A part of a body that is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {offset}")]
pub struct FramingError {
    pub offset: usize,
    pub fault: FrameFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    #[error("a document that does not begin with `<`")]
    NoStart,
    #[error("a document that does not end with `>`")]
    NoEnd,
    #[error("a document longer than {DOCUMENT_BYTES_MAX} bytes")]
    TooLong,
}

/// Cuts a body into its documents. Nothing but separators and blanks is no document and no error.
pub fn frames(body: &[u8]) -> impl Iterator<Item = Result<Range<usize>, FramingError>> + '_ {
    let mut at = 0;
    body.split(|byte| *byte == SEPARATOR).filter_map(move |part| {
        let range = at..at + part.len();
        at = range.end + 1;
        let inner = part.trim_ascii();
        if inner.is_empty() {
            return None;
        }
        let fault = if part.len() > DOCUMENT_BYTES_MAX {
            FrameFault::TooLong
        } else if without_mark(inner).first() != Some(&b'<') {
            FrameFault::NoStart
        } else if inner.last() != Some(&b'>') {
            FrameFault::NoEnd
        } else {
            return Some(Ok(range));
        };
        Some(Err(FramingError {
            offset: range.start,
            fault,
        }))
    })
}

fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// The header `format` of a document: 6.0 if its root says `MajorVersion="6"`, else 2.2.1. It says which reader is meant, not
/// that the document can be read.
pub fn format_of(document: &[u8]) -> &'static str {
    let head = &document[..document.len().min(ROOT_BYTES_MAX)];
    let is_6 = root_attributes(head).is_some_and(|attributes| {
        let name = b"MajorVersion";
        let found = attributes.windows(name.len()).position(|part| part == name);
        let value = found.map(|at| attributes[at + name.len()..].trim_ascii_start());
        let value = value
            .and_then(|rest| rest.strip_prefix(b"="))
            .map(<[u8]>::trim_ascii_start);
        matches!(value, Some([b'"', b'6', b'"', ..] | [b'\'', b'6', b'\'', ..]))
    });
    if is_6 { FORMAT_POSLOG_6 } else { FORMAT_POSLOG_2 }
}

/// What stands in the first start tag, behind declaration and comments.
fn root_attributes(mut head: &[u8]) -> Option<&[u8]> {
    loop {
        let start = head.iter().position(|byte| *byte == b'<')?;
        head = &head[start + 1..];
        let end: &[u8] = match head {
            [b'?', ..] => b"?>",
            [b'!', b'-', b'-', ..] => b"-->",
            [b'!', ..] => return None,
            _ => {
                let length = head.iter().position(|byte| *byte == b'>')?;
                return Some(&head[..length]);
            }
        };
        let length = head.windows(end.len()).position(|part| part == end)?;
        head = &head[length + end.len()..];
    }
}

impl Dialect {
    /// The header `format`.
    pub const fn format(self) -> &'static str {
        match self {
            Self::V6 => FORMAT_POSLOG_6,
            Self::V2 => FORMAT_POSLOG_2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_cut_at_its_separators_and_each_broken_part_is_named() {
        let body = b"<POSLog/>\n\x1e\x1e \xef\xbb\xbf<?xml version='1.0'?><POSLog/> \x1ePOSLog>\x1e<POSLog";
        let parts: Vec<_> = frames(body).collect();
        let broken = |offset, fault| Err(FramingError { offset, fault });
        assert_eq!(
            parts,
            [
                Ok(0..10),
                Ok(12..47),
                broken(48, FrameFault::NoStart),
                broken(56, FrameFault::NoEnd)
            ]
        );
        assert_eq!(frames(b" \x1e\n").count(), 0);
        let mut long = vec![b' '; DOCUMENT_BYTES_MAX + 1];
        long[0] = b'<';
        assert_eq!(frames(&long).next(), Some(broken(0, FrameFault::TooLong)));
    }

    #[test]
    fn the_format_is_what_the_root_says() {
        for (text, format) in [
            ("<POSLog MajorVersion=\"6\">", FORMAT_POSLOG_6),
            (
                "<?xml version=\"1.0\"?><!-- MajorVersion=\"2\" --><p:POSLog MajorVersion = '6' >",
                FORMAT_POSLOG_6,
            ),
            ("<POSLog MajorVersion=\"2\" MinorVersion=\"6\"/>", FORMAT_POSLOG_2),
            ("<POSLog><x MajorVersion=\"6\"/>", FORMAT_POSLOG_2),
            ("<!DOCTYPE x><POSLog MajorVersion=\"6\">", FORMAT_POSLOG_2),
            ("<POSLog MajorVersion=\"6", FORMAT_POSLOG_2),
            ("", FORMAT_POSLOG_2),
        ] {
            assert_eq!(format_of(text.as_bytes()), format, "{text}");
        }
    }
}

//! Another clock in a document that is written already.

use std::ops::Range;

use super::stamp::{Stamp, push_day};
use crate::ids::{BusinessDay, TimeMs};

/// `YYYY-MM-DDThh:mm:ss`
const STAMP_BYTES: usize = 19;
const DAY_BYTES: usize = 10;
const STAMPS: [&[u8]; 3] = [b"<BeginDateTime>", b"<EndDateTime>", b"<DateTime>"];
const DAY: &[u8] = b"<BusinessDayDate>";

/// Moves all times of a document as [`super::DocumentWriter`] writes it by whole seconds, and makes this the business day of
/// its transactions. What it cannot read stays as it is.
pub fn shift_clock(document: &mut [u8], seconds: i64, day: BusinessDay) {
    let mut at = 0;
    let mut text = Vec::with_capacity(STAMP_BYTES + 5);
    while let Some(found) = document[at..].iter().position(|byte| *byte == b'<') {
        let start = at + found;
        let rest = &document[start..];
        if let Some(name) = STAMPS.iter().find(|name| rest.starts_with(name)) {
            let field = start + name.len()..start + name.len() + STAMP_BYTES;
            if let Some(stamp) = read(document, field.clone()) {
                text.clear();
                let at = TimeMs(stamp.at.0 + seconds * 1000);
                Stamp { at, ..stamp }.push(&mut text);
                replace(document, field, &text);
            }
        } else if rest.starts_with(DAY) {
            let field = start + DAY.len()..start + DAY.len() + DAY_BYTES;
            let is_day = document
                .get(field.clone())
                .is_some_and(|text| text[0].is_ascii_digit());
            if is_day {
                text.clear();
                push_day(&mut text, day);
                replace(document, field, &text);
            }
        }
        at = start + 1;
    }
}

fn read(document: &[u8], field: Range<usize>) -> Option<Stamp> {
    Stamp::read(std::str::from_utf8(document.get(field)?).ok()?)
}

fn replace(document: &mut [u8], field: Range<usize>, text: &[u8]) {
    if let Some(field) = document.get_mut(field) {
        let length = field.len();
        field.copy_from_slice(&text[..length]);
    }
}

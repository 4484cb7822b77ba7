//! Splits a batch of concatenated receipts.
//!
//! **What is safe.** Packed data can hold the byte `22` (a quantity of 22), so a bare quote says nothing; it cannot hold
//! `2C`, `0D` behind anything but itself, nor `0A` (see `packed`), so `22 2C 22` and `22 0D 0A` are never data there. A
//! quantity of 22 in front of either reads `22 22 2C 22`: the sequences are found at their place all the same.
//! **What is not.** Text of exception and retailer records can hold anything. A `","` in text splits that record in two,
//! both kept and neither decoded. A `"` with a line end in text looks like the end of the receipt: an end counts at once
//! if the batch ends or a quote follows; otherwise the receipt goes on if another end comes before the next plausible
//! start, and what follows is rubbish between receipts if not.
//!
//! A receipt that lacks its end is broken off where the next plausible start stands (a header record with a date that
//! exists; a receipt has one header record, its first), so the rest of the batch is not lost. Invariant: every byte of the batch is in exactly one range, of a
//! receipt or of an error; the cost is linear in the batch.

use std::ops::Range;

use super::{END, QUOTE, SEPARATOR};

/// A receipt of the longest kind is a few thousand bytes; what goes on beyond this is no receipt.
pub const RECEIPT_BYTES_MAX: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFault {
    NoStart,
    NoEnd,
    TooLong,
}

/// A part of a batch that is no receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes {offset} to {resumed} are no receipt: {}", match .fault {
    FrameFault::NoStart => "a receipt starts with 22",
    FrameFault::NoEnd => "22 0D 0A is missing at the end",
    FrameFault::TooLong => "no end within 65,536 bytes",
})]
pub struct FramingError {
    /// Where the broken part starts in the batch.
    pub offset: usize,
    /// Where reading goes on: the part ends in front of it.
    pub resumed: usize,
    pub fault: FrameFault,
}

/// Receipts of a batch in their order, as ranges into it, and errors for what lies between.
pub const fn frames(batch: &[u8]) -> Frames<'_> {
    Frames { batch, position: 0 }
}

/// See [`frames`].
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    batch: &'a [u8],
    position: usize,
}

impl Iterator for Frames<'_> {
    type Item = Result<Range<usize>, FramingError>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.position;
        let first = *self.batch.get(start)?;
        if first != QUOTE {
            return Some(Err(self.broken(start, start + 1, FrameFault::NoStart)));
        }
        // An end that is followed by something odd: taken if nothing better comes.
        let mut doubtful_end = None;
        let mut at = start + 1;
        loop {
            let Some(found) = self.batch[at..].iter().position(|byte| *byte == QUOTE) else {
                at = self.batch.len();
                break;
            };
            at += found;
            if at - start > RECEIPT_BYTES_MAX {
                break;
            }
            let rest = &self.batch[at..];
            if rest.starts_with(&END) {
                let end = at + END.len();
                if self.batch.get(end).is_none_or(|byte| *byte == QUOTE) {
                    self.position = end;
                    return Some(Ok(start..end));
                }
                doubtful_end = Some(end);
            } else if is_plausible_start(rest) {
                break;
            }
            at += 1;
        }
        if let Some(end) = doubtful_end {
            self.position = end;
            return Some(Ok(start..end));
        }
        let fault = if at - start > RECEIPT_BYTES_MAX {
            FrameFault::TooLong
        } else {
            FrameFault::NoEnd
        };
        Some(Err(self.broken(start, at, fault)))
    }
}

impl Frames<'_> {
    /// Goes on at the next plausible start from `from` on.
    fn broken(&mut self, offset: usize, from: usize, fault: FrameFault) -> FramingError {
        let mut at = from;
        while let Some(found) = self
            .batch
            .get(at..)
            .and_then(|rest| rest.iter().position(|byte| *byte == QUOTE))
        {
            at += found;
            if is_plausible_start(&self.batch[at..]) {
                self.position = at;
                return FramingError {
                    offset,
                    resumed: at,
                    fault,
                };
            }
            at += 1;
        }
        self.position = self.batch.len();
        FramingError {
            offset,
            resumed: self.batch.len(),
            fault,
        }
    }
}

/// A header record with a date and a time that exist; nothing else in a receipt looks like this.
fn is_plausible_start(bytes: &[u8]) -> bool {
    let [
        QUOTE,
        0x00,
        SEPARATOR,
        _,
        _,
        SEPARATOR,
        _,
        _,
        SEPARATOR,
        month,
        day,
        year,
        hour,
        minute,
        SEPARATOR,
        _,
        SEPARATOR,
        ..,
    ] = *bytes
    else {
        return false;
    };
    let is_digits = |byte: u8| byte >> 4 <= 9 && byte & 0x0f <= 9;
    [month, day, year, hour, minute].into_iter().all(is_digits)
        && (0x01..=0x12).contains(&month)
        && (0x01..=0x31).contains(&day)
        && hour <= 0x23
        && minute <= 0x59
}

//! What is wrong with a message, in its bytes: another clock, or a number that is not on file.

use contracts::ids::{BusinessDay, TimeMs};
use contracts::wire::civil::CivilTime;
use contracts::wire::{FORMAT_4690, FORMAT_POSLOG_2, FORMAT_POSLOG_6, poslog};

/// Of a receipt: `22 00 3A`, terminal, `3A`, number, `3A`, and then MMDDYYhhmm.
const RECEIPT_CLOCK: std::ops::Range<usize> = 9..14;

/// The clock of a till that is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    pub at: TimeMs,
    /// By it, less what the world has: whole seconds, which is what tills write.
    pub ahead_ms: i64,
    pub day: BusinessDay,
}

/// Sets the clock in what a till wrote.
pub fn set_clock(format: &str, message: &mut [u8], clock: &Clock) {
    match format {
        FORMAT_4690 => set_receipt_clock(message, clock.at),
        FORMAT_POSLOG_6 | FORMAT_POSLOG_2 => poslog::shift_clock(message, clock.ahead_ms / 1000, clock.day),
        _ => {}
    }
}

/// A receipt has minutes.
fn set_receipt_clock(receipt: &mut [u8], clock: TimeMs) {
    let at = CivilTime::from_ms(clock);
    let pair = |value: u8| ((value / 10) << 4) | (value % 10);
    let digits = [
        pair(at.month),
        pair(at.day),
        pair(at.year.rem_euclid(100) as u8),
        pair(at.hour),
        pair(at.minute),
    ];
    if let Some(field) = receipt.get_mut(RECEIPT_CLOCK) {
        field.copy_from_slice(&digits);
    }
}

/// A till's message with another number of an article wherever it names that one, of as many digits. `None` where it does not.
pub fn with_other_number(format: &str, bytes: &[u8], number: u64, other: u64) -> Option<Vec<u8>> {
    let digits = |number: u64| {
        let text = number.to_string().into_bytes();
        if format != FORMAT_4690 {
            return Some(text);
        }
        // Packed, two digits a byte; an odd count would need a filler.
        let pairs = text.len().is_multiple_of(2).then(|| text.chunks_exact(2))?;
        Some(
            pairs
                .map(|pair| (pair[0] - b'0') << 4 | (pair[1] - b'0'))
                .collect(),
        )
    };
    let (from, to) = (digits(number)?, digits(other)?);
    let mut changed = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = changed[at..].windows(from.len()).position(|part| part == from) {
        let start = at + found;
        changed[start..start + from.len()].copy_from_slice(&to);
        at = start + from.len();
    }
    (at > 0 && from.len() == to.len()).then_some(changed)
}

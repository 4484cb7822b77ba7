//! Packed numbers of the 4690: two digits a byte, no length, no sign nibble at the end.
//!
//! An odd count of digits is filled with a leading `F`, a negative number leads with `D`:
//! 12 is `12`, 123 `F1 23`, −12 `FD 12`, −123 `D1 23`, 0 `F0`. The nibbles A, B, C and E never occur, and D only as
//! the first or second nibble of a field; so neither the field separator `3A` nor any of `2C`, `0D` (D behind a 0)
//! and `0A` can stand in a packed field, while `22` can.

/// Two digits as one byte, by value.
const PAIRS: [u8; 100] = {
    let mut pairs = [0; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = (((value / 10) << 4) | (value % 10)) as u8;
        value += 1;
    }
    pairs
};

/// The longest number written, and so read: 18 digits and the sign always fit an `i64`.
const DIGITS_MAX: u64 = 999_999_999_999_999_999;

pub(super) const fn pair(value: u64) -> u8 {
    PAIRS[(value % 100) as usize]
}

/// Appends a number in the fewest bytes. Beyond 18 digits the lowest 18 are written, as a register that is full does.
pub(super) fn push(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=9 => out.push(0xf0 | value as u8),
        10..=99 => out.push(pair(value)),
        100..=999 => out.extend_from_slice(&[0xf0 | (value / 100) as u8, pair(value)]),
        1000..=9999 => out.extend_from_slice(&[pair(value / 100), pair(value)]),
        _ => push_long(out, value % (DIGITS_MAX + 1), 0xf0),
    }
}

pub(super) fn push_signed(out: &mut Vec<u8>, value: i64) {
    if value >= 0 {
        push(out, value as u64);
    } else {
        push_long(out, value.unsigned_abs() % (DIGITS_MAX + 1), 0xd0);
    }
}

fn push_long(out: &mut Vec<u8>, mut value: u64, lead: u8) {
    let mut digits = [0_u8; 10];
    let mut start = digits.len();
    while value > 9 {
        start -= 1;
        digits[start] = pair(value);
        value /= 100;
    }
    // One digit is left, or none: the lead stands beside it, or as a byte of its own behind a filler.
    if value > 0 || start == digits.len() {
        start -= 1;
        digits[start] = lead | value as u8;
    } else if lead == 0xd0 {
        start -= 1;
        digits[start] = 0xfd;
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends exactly `bytes` bytes: leading zeros, and the lowest digits of what is too long.
pub(super) fn push_fixed(out: &mut Vec<u8>, value: u64, bytes: u32) {
    for position in (0..bytes).rev() {
        out.push(pair(value / 100_u64.pow(position)));
    }
}

/// Value of a byte of two digits, 255 for any other.
const VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut value = 0;
    while value < 100 {
        values[PAIRS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// Bytes that are no packed number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotPacked;

/// `None` is an empty field: not given.
pub(super) fn read(field: &[u8]) -> Result<Option<i64>, NotPacked> {
    let [first, rest @ ..] = field else {
        return Ok(None);
    };
    let (mut value, negative, rest) = match (first >> 4, first & 0x0f) {
        (0..=9, 0..=9) => (u64::from(VALUES[usize::from(*first)]), false, rest),
        (0xf, digit @ 0..=9) => (u64::from(digit), false, rest),
        (0xd, digit @ 0..=9) => (u64::from(digit), true, rest),
        (0xf, 0xd) if !rest.is_empty() => (0, true, rest),
        _ => return Err(NotPacked),
    };
    for byte in rest {
        let pair = VALUES[usize::from(*byte)];
        if pair == 255 || value > DIGITS_MAX / 100 {
            return Err(NotPacked);
        }
        value = value * 100 + u64::from(pair);
    }
    Ok(Some(if negative { -(value as i64) } else { value as i64 }))
}

/// A field of digits alone, as the header's fixed fields are.
pub(super) fn read_fixed(field: &[u8]) -> Option<u64> {
    field.iter().try_fold(0_u64, |value, byte| {
        let pair = VALUES[usize::from(*byte)];
        (pair != 255 && value <= DIGITS_MAX / 100).then(|| value * 100 + u64::from(pair))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_packed_as_the_published_examples() {
        for (value, bytes) in [
            (12, &[0x12][..]),
            (123, &[0xf1, 0x23]),
            (-12, &[0xfd, 0x12]),
            (-123, &[0xd1, 0x23]),
            (-1, &[0xd1]),
            (0, &[0xf0]),
            (4_194_304, &[0xf4, 0x19, 0x43, 0x04]),
            (22, &[0x22]),
            (100_000, &[0x10, 0x00, 0x00]),
            (-100_000, &[0xfd, 0x10, 0x00, 0x00]),
        ] {
            let mut out = Vec::new();
            push_signed(&mut out, value);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(read(bytes), Ok(Some(value)));
        }
    }

    #[test]
    fn what_is_no_packed_number_is_told_from_an_empty_field() {
        assert_eq!(read(&[]), Ok(None));
        for bad in [
            &[0xfd][..],
            &[0xa1],
            &[0x1a],
            &[0x12, 0xf3],
            &[0xff],
            &[0x99; 10],
            &[0x41, 0x42, 0x43, 0x4f],
        ] {
            assert_eq!(read(bad), Err(NotPacked), "{bad:x?}");
        }
    }
}

//! Quantities as JSON numbers, without floats: decimal text ⇄ thousandths.

use crate::ids::Quantity;
use crate::wire::QUANTITY_MAX;

/// Appends the shortest decimal: `5`, `1.5`, `-0.025`.
pub(super) fn push_quantity(out: &mut Vec<u8>, quantity: Quantity) {
    if quantity.0 < 0 {
        out.push(b'-');
    }
    let thousandths = quantity.0.unsigned_abs();
    push_decimal(out, thousandths / 1000);
    let mut fraction = thousandths % 1000;
    if fraction == 0 {
        return;
    }
    out.push(b'.');
    let mut divisor = 100;
    while fraction > 0 {
        out.push(b'0' + (fraction / divisor) as u8);
        fraction %= divisor;
        divisor /= 10;
    }
}

pub(super) fn push_decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Reads any JSON number that is a whole count of thousandths within [`QUANTITY_MAX`], either sign: `5`, `5.250`,
/// `1.5e1`. `None` for what is finer, larger or no number.
pub(super) fn read_quantity(text: &str) -> Option<Quantity> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || whole.len() + fraction.len() > 30 {
        return None;
    }
    let mut value = 0_i128;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i128::from(byte - b'0');
    }
    // Thousandths are the digits times ten to this power.
    let mut power = exponent.checked_add(3)?.checked_sub(fraction.len() as i32)?;
    while power < 0 && value % 10 == 0 && value != 0 {
        value /= 10;
        power += 1;
    }
    if value == 0 {
        return Some(Quantity(0));
    }
    if !(0..=16).contains(&power) {
        return None;
    }
    value = value.checked_mul(10_i128.pow(power as u32))?;
    let value = i64::try_from(value)
        .ok()
        .filter(|value| *value <= QUANTITY_MAX.0)?;
    Some(Quantity(if negative { -value } else { value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_numbers_are_read_to_the_thousandth() {
        for (text, thousandths) in [
            ("5", 5000),
            ("5.0", 5000),
            ("5.250", 5250),
            ("-0.025", -25),
            ("1.5e1", 15_000),
            ("25E-1", 2500),
            ("1500e-3", 1500),
            ("0", 0),
            ("-0.0", 0),
            ("0e99", 0),
            ("1.2340000000", 1234),
            ("1000000000", 1_000_000_000_000),
        ] {
            assert_eq!(read_quantity(text), Some(Quantity(thousandths)), "{text}");
        }
        for text in [
            "",
            "-",
            "x",
            "0.0001",
            "1.2345",
            "1e99",
            "1000000000.001",
            "1e-4",
            "5 ",
            "+5",
            "1e2147483647",
        ] {
            assert_eq!(read_quantity(text), None, "{text}");
        }
    }

    #[test]
    fn quantities_are_written_with_the_fewest_digits() {
        for (thousandths, text) in [
            (5000, "5"),
            (1500, "1.5"),
            (-25, "-0.025"),
            (0, "0"),
            (1001, "1.001"),
            (10, "0.01"),
        ] {
            let mut out = Vec::new();
            push_quantity(&mut out, Quantity(thousandths));
            assert_eq!(out, text.as_bytes());
        }
    }
}

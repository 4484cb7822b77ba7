//! Decimal text as integers, exactly: no floats, no rounding.

use crate::ids::{Money, Quantity};
use crate::wire::QUANTITY_MAX;

/// The schema's largest amount, in minor units.
const AMOUNT_MAX: i64 = 9_999_999_999;

/// Thousandths. `None` for what is no decimal, is finer than a thousandth or larger than [`QUANTITY_MAX`].
pub(super) fn quantity(text: &str) -> Option<Quantity> {
    scaled(text, 3)
        .filter(|value| value.abs() <= QUANTITY_MAX.0)
        .map(Quantity)
}

/// Hundredths. `None` for what is no decimal, is finer than a hundredth or larger than the schema has.
pub(super) fn money(text: &str) -> Option<Money> {
    scaled(text, 2)
        .filter(|value| value.abs() <= AMOUNT_MAX)
        .map(Money)
}

/// An `xs:decimal` times ten to the power of `places`; zeros behind those places are nothing.
fn scaled(text: &str, places: usize) -> Option<i64> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let mut value: i64 = 0;
    let (mut seen, mut point, mut after) = (false, false, 0);
    for byte in digits {
        match byte {
            b'0'..=b'9' if point && after == places => {
                if *byte != b'0' {
                    return None;
                }
                seen = true;
            }
            b'0'..=b'9' => {
                value = value.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
                seen = true;
                after += usize::from(point);
            }
            b'.' if !point => point = true,
            _ => return None,
        }
    }
    if !seen {
        return None;
    }
    for _ in after..places {
        value = value.checked_mul(10)?;
    }
    Some(if negative { -value } else { value })
}

/// Digits only.
pub(super) fn number(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.bytes().try_fold(0, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly_or_not_at_all() {
        for (text, thousandths) in [
            ("2", 2000),
            ("-1.0000", -1000),
            ("+0.42", 420),
            ("0.65", 650),
            (".5", 500),
            ("7.", 7000),
            ("-0.001", -1),
            ("1000000000", 1_000_000_000_000),
        ] {
            assert_eq!(quantity(text), Some(Quantity(thousandths)), "{text}");
        }
        for text in [
            "",
            "-",
            ".",
            "1e3",
            "0.0005",
            "1,5",
            "--1",
            "NaN",
            "1 2",
            "1.2.3",
            "1000000000.001",
            "99999999999999999999",
            "٣",
        ] {
            assert_eq!(quantity(text), None, "{text}");
        }
        assert_eq!(money("1.490"), Some(Money(149)));
        assert_eq!(money("0"), Some(Money(0)));
        assert_eq!(money("99999999.99"), Some(Money(9_999_999_999)));
        assert_eq!(money("1.495"), None);
    }
}

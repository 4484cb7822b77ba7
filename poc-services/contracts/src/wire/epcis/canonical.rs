//! The one spelling of a value that the standard's content hash is made of.
//!
//! CBV 2.0, section 8.9: words as web addresses, GS1 keys as Digital Links of their finest part, numbers without needless
//! digits, times in UTC with milliseconds. Where the standard leaves room this does what the public generator
//! `epcis-event-hash-generator` does: a text that looks like a number is written as one, in double precision.
//! That is a way of writing: no quantity is taken from it.

use super::canonical_uri::canonical_uri;
use crate::ids::TimeMs;
use crate::wire::rfc3339::{date_time_micros, push_instant};

/// Of any value but a time.
pub(super) fn value(text: &str) -> String {
    let text = web_vocabulary(text.trim());
    if let Some(number) = number(&text) {
        return number;
    }
    canonical_uri(&text).unwrap_or(text)
}

/// Of a time; as it stands if it is none.
pub(super) fn time(text: &str) -> String {
    let Some((at, micros)) = date_time_micros(text.trim()) else {
        return text.trim().to_owned();
    };
    // Half a millisecond goes to the even one.
    let up = micros > 500 || (micros == 500 && at.0 % 2 != 0);
    let mut out = Vec::with_capacity(24);
    push_instant(&mut out, TimeMs(at.0 + i64::from(up)));
    String::from_utf8(out).unwrap_or_default()
}

/// `urn:epcglobal:cbv:bizstep:receiving` → `https://ref.gs1.org/cbv/BizStep-receiving`.
fn web_vocabulary(text: &str) -> String {
    const URNS: [(&str, &str); 5] = [
        ("urn:epcglobal:cbv:bizstep:", "https://ref.gs1.org/cbv/BizStep-"),
        ("urn:epcglobal:cbv:disp:", "https://ref.gs1.org/cbv/Disp-"),
        ("urn:epcglobal:cbv:btt:", "https://ref.gs1.org/cbv/BTT-"),
        ("urn:epcglobal:cbv:sdt:", "https://ref.gs1.org/cbv/SDT-"),
        ("urn:epcglobal:cbv:er:", "https://ref.gs1.org/cbv/ER-"),
    ];
    URNS.iter()
        .find_map(|(urn, web)| Some(format!("{web}{}", text.strip_prefix(urn)?)))
        .unwrap_or_else(|| text.to_owned())
}

/// A number as Python reads and prints it: `_` between digits is nothing, whole ones without a point, others as the double
/// nearest to them. `None` for another text.
fn number(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let well_formed = bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'_' => is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)),
        b'.' | b'e' | b'E' | b'+' | b'-' => true,
        _ => byte.is_ascii_digit(),
    });
    if !well_formed || bytes.is_empty() {
        return None;
    }
    let number: f64 = text.replace('_', "").parse().ok()?;
    if !number.is_finite() {
        return None;
    }
    if number.fract() == 0.0 {
        // Adding nothing makes minus zero zero.
        return Some(format!("{:.0}", number + 0.0));
    }
    if number.abs() >= 1e-4 {
        return Some(format!("{number}"));
    }
    let short = format!("{number:e}");
    let (mantissa, exponent) = short.split_once("e-")?;
    Some(format!("{mantissa}e-{exponent:0>2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_one_way() {
        for (text, canonical) in [
            ("5", "5"),
            ("5.0", "5"),
            ("005", "5"),
            ("+5.250", "5.25"),
            ("-0.0", "0"),
            ("1e3", "1000"),
            ("0.00001", "1e-05"),
            ("0.0001", "0.0001"),
            ("1e22", "10000000000000000000000"),
            ("12345678901234567890", "12345678901234567168"),
            ("9_54.1", "954.1"),
            ("9__5", "9__5"),
            ("", ""),
            ("nan", "nan"),
            ("1.2.3", "1.2.3"),
            ("e5", "e5"),
        ] {
            assert_eq!(value(text), canonical, "{text}");
        }
    }

    #[test]
    fn times_are_written_in_one_way() {
        for (text, canonical) in [
            ("2025-03-14T10:26:53+01:00", "2025-03-14T09:26:53.000Z"),
            ("2025-03-14T09:26:53.1235Z", "2025-03-14T09:26:53.124Z"),
            ("2025-03-14T09:26:53.1225Z", "2025-03-14T09:26:53.122Z"),
            ("soon", "soon"),
        ] {
            assert_eq!(time(text), canonical, "{text}");
        }
    }
}

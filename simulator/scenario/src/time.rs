//! Simulated and wall time in scenario files: `90s`, `1h30m`, `2d`, `250ms`.
//!
//! Two types, so that neither is taken for the other.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// Units, greatest first: a text uses each at most once and in this order.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
/// A year: longer is a slip of the keyboard.
const LONGEST_MS: u64 = 366 * 86_400_000;
const PATTERN: &str = "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";

/// Simulated time since the start of trading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimOffset {
    pub ms: u64,
}

/// A span of the time that the presenter's watch shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime {
    pub ms: u64,
}

impl SimOffset {
    pub const fn from_ms(ms: u64) -> Self {
        Self { ms }
    }

    pub const fn from_secs(seconds: u64) -> Self {
        Self { ms: seconds * 1000 }
    }
}

impl WallTime {
    pub const fn from_ms(ms: u64) -> Self {
        Self { ms }
    }

    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.ms)
    }
}

fn parse(text: &str) -> Result<u64, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "`{text}` has no unit: write `{text}s` for seconds (units: d, h, m, s, ms)"
        ));
    }
    let unclear =
        || format!("`{text}` is no time: write whole numbers with units, such as `90s`, `1h30m` or `250ms`");
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total = 0_u64;
    if text.is_empty() {
        return Err(unclear());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = &rest[digits..digits + letters];
        let (_, unit_ms) = units.find(|(name, _)| *name == unit).ok_or_else(unclear)?;
        let count: u64 = rest[..digits].parse().map_err(|_| unclear())?;
        total = count
            .checked_mul(*unit_ms)
            .and_then(|ms| total.checked_add(ms))
            .unwrap_or(u64::MAX);
        rest = &rest[digits + letters..];
    }
    if total > LONGEST_MS {
        Err(format!("`{text}` is longer than a year"))
    } else {
        Ok(total)
    }
}

fn write(mut ms: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if ms == 0 {
        return f.write_str("0s");
    }
    for (unit, unit_ms) in UNITS {
        if ms >= unit_ms {
            write!(f, "{}{unit}", ms / unit_ms)?;
            ms %= unit_ms;
        }
    }
    Ok(())
}

/// Reads a scalar as text, so that its own rule can say what is wrong with it.
pub(crate) struct TextVisitor<T>(pub &'static str, pub fn(&str) -> Result<T, String>);

impl<T> de::Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for SimOffset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor("simulated time such as `90s` or `1h30m`", |text| {
            parse(text).map(Self::from_ms)
        }))
    }
}

impl<'de> Deserialize<'de> for WallTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor("time such as `10s` or `400ms`", |text| {
            parse(text).map(Self::from_ms)
        }))
    }
}

impl fmt::Display for SimOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.ms, f)
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.ms, f)
    }
}

impl JsonSchema for SimOffset {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SimulatedTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Simulated time, such as `90s`, `1h30m` or `2d`.", "type": "string", "pattern": PATTERN
        })
    }
}

impl JsonSchema for WallTime {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "WallTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Time on the presenter's watch, such as `10s` or `400ms`.",
            "type": "string", "pattern": PATTERN
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_are_read() {
        for (text, ms) in [
            ("0s", 0),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("250ms", 250),
        ] {
            assert_eq!(parse(text), Ok(ms), "{text}");
        }
        for ms in [0, 1, 999, 1_000, 61_001, 5_400_000, 86_400_000 + 1] {
            assert_eq!(parse(&SimOffset::from_ms(ms).to_string()), Ok(ms));
        }
    }

    #[test]
    fn a_text_that_is_no_time_says_how_to_write_one() {
        assert_eq!(
            parse("90").unwrap_err(),
            "`90` has no unit: write `90s` for seconds (units: d, h, m, s, ms)"
        );
        for text in [
            "",
            "s",
            "1.5h",
            "-1s",
            "1m1h",
            "1s 1ms",
            "1hour",
            "99999999999999999999s",
            "ü1s",
            "1ü",
        ] {
            assert!(parse(text).unwrap_err().contains("is no time"), "{text}");
        }
        assert_eq!(parse("9999d").unwrap_err(), "`9999d` is longer than a year");
    }
}

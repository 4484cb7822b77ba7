//! How fast the day goes by: by the simulated clock, by transactions, or as fast as the system takes it.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// How fast the scenario starts; steps may change it. Exactly one of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// Simulated seconds a second: 1 is Acme's real pace, 60 a minute a second. The day's curve shows.
    Speed(Speed),
    /// Till receipts, whatever the hour; queue records and scans come on top. The simulated clock runs as fast as that takes.
    Rate(Rate),
    /// As fast as the system takes it. Makes no claim of latency.
    Unthrottled,
}

/// Till receipts in wall time. Whole numbers, so that a million a minute is exactly that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    PerSecond(#[schemars(range(min = 1, max = 1_000_000))] u32),
    PerMinute(#[schemars(range(min = 1, max = 60_000_000))] u32),
}

impl Rate {
    /// Most receipts a second that a scenario may ask for.
    pub const PER_SECOND_MAX: u32 = 1_000_000;

    pub const fn per_minute(self) -> u64 {
        match self {
            Self::PerSecond(count) => count as u64 * 60,
            Self::PerMinute(count) => count as u64,
        }
    }

    pub fn per_second(self) -> f64 {
        self.per_minute() as f64 / 60.0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerSecond(count) => write!(f, "{count}/s"),
            Self::PerMinute(count) => write!(f, "{count}/min"),
        }
    }
}

/// What a rate means to a machine that cannot carry it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rates {
    /// What is due is sent, whatever becomes of it. Latency is measured against nothing else.
    #[default]
    Exact,
    /// No more than that, and less while the system does not keep up: a story that ends well on a small machine. The screen
    /// and the report say how much less.
    AtMost,
}

/// Simulated seconds a second, kept in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Speed {
    pub thousandths: u32,
}

impl Speed {
    pub const REAL: Self = Self { thousandths: 1000 };
    const MAX: u32 = 1_000_000;

    /// `None` outside of 0.001 to 1,000,000.
    pub fn from_f64(speed: f64) -> Option<Self> {
        let thousandths = (speed * 1000.0).round();
        (1.0..=f64::from(Self::MAX) * 1000.0)
            .contains(&thousandths)
            .then_some(Self {
                thousandths: thousandths as u32,
            })
    }

    pub fn as_f64(self) -> f64 {
        f64::from(self.thousandths) / 1000.0
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x", self.as_f64())
    }
}

impl<'de> Deserialize<'de> for Speed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let speed = f64::deserialize(deserializer)?;
        Self::from_f64(speed).ok_or_else(|| {
            de::Error::custom(format_args!(
                "a speed of {speed} is impossible: 0.001 to 1000000, 1 is the real pace"
            ))
        })
    }
}

impl JsonSchema for Speed {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Speed".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Simulated seconds a second; 1 is the real pace.",
            "type": "number", "minimum": 0.001, "maximum": Self::MAX
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_a_minute_is_exact() {
        assert_eq!(Rate::PerMinute(1_000_000).per_minute(), 1_000_000);
        assert_eq!(Rate::PerSecond(58).per_minute(), 3_480);
    }

    #[test]
    fn a_speed_that_nothing_can_have_is_refused() {
        assert_eq!(Speed::from_f64(0.5), Some(Speed { thousandths: 500 }));
        for speed in [0.0, -1.0, 0.0001, 1e7, f64::NAN, f64::INFINITY] {
            assert_eq!(Speed::from_f64(speed), None, "{speed}");
        }
    }
}

//! The size of the world and the day that it starts on.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::names::ItemNumber;
use crate::queues::QueueSpec;
use crate::time::TextVisitor;

/// How big the world is. What is left out is Acme's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorldSpec {
    /// Stores, of several sizes, with 3 to 12 tills each.
    #[schemars(range(min = 1, max = 9_999))]
    pub stores: u16,
    #[schemars(range(min = 1, max = 99))]
    pub warehouses: u16,
    #[schemars(range(min = 1, max = 9))]
    pub data_centres: u8,
    /// Articles of the catalogue.
    #[schemars(range(min = 1, max = 60_000))]
    pub skus: u32,
    /// Articles that a store lists, about; warehouses hold all.
    #[schemars(range(min = 1, max = 60_000))]
    pub assortment: u32,
    /// Till receipts on a mean day of the week; 0 with a script. Queue records, scans and what tills write besides sales come on top.
    #[schemars(range(max = 100_000_000))]
    pub transactions_per_day: u32,
    /// Which generations of tills the chain has, in per cent of all tills: `{ibm_4690: 70, poslog_6: 25, poslog_2: 5}`.
    pub tills: TillMix,
    /// Local date and time of the first sale: `2026-03-13`, which means 06:00, or `2026-03-13 10:00`. In steps of 5 minutes.
    pub start: Start,
    pub queues: QueueSpec,
    /// Articles that are sold before the catalogue has them: `[Item_2]`. What names one of them goes to the dead letters until a
    /// step says `release_articles`, and another puts the letters back.
    pub unknown_articles: Vec<ItemNumber>,
    /// One delivery in so many arrives with a carton less or more than the warehouse wrote; 0: none.
    pub contradicting_deliveries: u32,
}

impl Default for WorldSpec {
    /// Acme's real number of places; of each store's articles about one in thirty (the one thing scaled down).
    fn default() -> Self {
        Self {
            stores: 2_300,
            warehouses: 12,
            data_centres: 3,
            skus: 5_000,
            assortment: 500,
            transactions_per_day: 5_000_000,
            tills: TillMix::default(),
            start: Start::DEFAULT,
            queues: QueueSpec::default(),
            unknown_articles: Vec::new(),
            contradicting_deliveries: 0,
        }
    }
}

/// Shares of the generations of tills, in per cent; what is left out is 0, and the sum is 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TillMix {
    /// 4690 transaction log: packed records.
    #[serde(default)]
    #[schemars(range(max = 100))]
    pub ibm_4690: u8,
    /// POSLog 6.0.
    #[serde(default)]
    #[schemars(range(max = 100))]
    pub poslog_6: u8,
    /// POSLog 2.2.1.
    #[serde(default)]
    #[schemars(range(max = 100))]
    pub poslog_2: u8,
}

impl Default for TillMix {
    fn default() -> Self {
        Self {
            ibm_4690: 70,
            poslog_6: 25,
            poslog_2: 5,
        }
    }
}

impl TillMix {
    pub const fn sum(&self) -> u16 {
        self.ibm_4690 as u16 + self.poslog_6 as u16 + self.poslog_2 as u16
    }
}

/// A local date and time, to the minute. Acme has one zone, and it is UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Start {
    /// Days since 1970-01-01.
    pub day: u32,
    pub minute_of_day: u16,
}

impl Start {
    /// Friday, 2026-03-13, 06:00.
    pub const DEFAULT: Self = Self {
        day: 20_525,
        minute_of_day: 360,
    };
    const YEARS: std::ops::RangeInclusive<i64> = 2000..=2099;

    /// Milliseconds since 1970-01-01.
    pub const fn epoch_ms(self) -> i64 {
        self.day as i64 * 86_400_000 + self.minute_of_day as i64 * 60_000
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in [`Start::YEARS`].
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let years: i64 = (1970..year).map(|year| 365 + i64::from(is_leap(year))).sum();
    years + (1..month).map(|month| days_in_month(year, month)).sum::<i64>() + day - 1
}

/// `digits` of exactly `length`.
fn digits(text: &str, length: usize) -> Option<i64> {
    (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

fn start(text: &str) -> Result<Start, String> {
    let unclear =
        || format!("`{text}` is no start: write a date, or date and time, such as `2026-03-13 10:00`");
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "06:00"));
    let mut parts = date
        .split('-')
        .zip([4, 2, 2])
        .map(|(part, length)| digits(part, length));
    let mut next = || parts.next().flatten().ok_or_else(unclear);
    let (year, month, day) = (next()?, next()?, next()?);
    let (hour, minute) = time.split_once(':').ok_or_else(unclear)?;
    let (hour, minute) = digits(hour, 2).zip(digits(minute, 2)).ok_or_else(unclear)?;
    if date.len() != 10 {
        return Err(unclear());
    }
    let exists = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    if !exists || hour > 23 || minute > 59 {
        return Err(format!("`{text}` does not exist in the calendar"));
    }
    if !Start::YEARS.contains(&year) {
        return Err(format!(
            "`{text}` is impossible: tills write two digits of the year, 2000 to 2099"
        ));
    }
    Ok(Start {
        day: day_number(year, month, day) as u32,
        minute_of_day: (hour * 60 + minute) as u16,
    })
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor("a date such as `2026-03-13`", start))
    }
}

impl fmt::Display for Start {
    /// `2026-03-13 06:00`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut year = 1970;
        let mut left = i64::from(self.day);
        while left >= 365 + i64::from(is_leap(year)) {
            left -= 365 + i64::from(is_leap(year));
            year += 1;
        }
        let mut month = 1;
        while left >= days_in_month(year, month) {
            left -= days_in_month(year, month);
            month += 1;
        }
        let (hour, minute) = (self.minute_of_day / 60, self.minute_of_day % 60);
        write!(f, "{year}-{month:02}-{:02} {hour:02}:{minute:02}", left + 1)
    }
}

impl serde::Serialize for Start {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Start {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Start".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Local date, or date and time: `2026-03-13`, which means 06:00, or `2026-03-13 10:00`.",
            "type": "string", "pattern": "^20[0-9]{2}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2})?$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_date_and_a_time() {
        assert_eq!(start("2026-03-13"), Ok(Start::DEFAULT));
        assert_eq!(
            start("2026-03-16 10:30").map(Start::epoch_ms),
            Ok(1_773_657_000_000)
        );
        for text in [
            "2000-02-29 00:00",
            "2026-03-13 06:00",
            "2026-12-31 23:59",
            "2099-01-01 04:05",
        ] {
            assert_eq!(start(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_date_that_is_not_in_the_calendar_is_refused() {
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "2026-03-13 24:00",
        ] {
            assert!(start(text).unwrap_err().contains("does not exist"), "{text}");
        }
        for text in [
            "",
            "13.03.2026",
            "2026-3-13",
            "2026-03-13 6:00",
            "2026-03-13-01",
            "2026-03-13 06:00:00",
        ] {
            assert!(start(text).unwrap_err().contains("is no start"), "{text}");
        }
        assert!(
            start("1999-01-01")
                .unwrap_err()
                .contains("two digits of the year")
        );
    }
}

//! Calendar arithmetic for formats that carry dates as digits: proleptic Gregorian, UTC, no leap seconds.
//!
//! Invariant: [`CivilTime::to_ms`] takes only what exists in the calendar, and for each of those
//! `from_ms(to_ms(t)) == t`. Knows time zones only as the offset that a text names. The algorithms are those of Howard Hinnant's
//! "chrono-compatible low-level date algorithms".

use crate::ids::TimeMs;

const DAY_MS: i64 = 86_400_000;

/// An instant as a calendar and a clock show it, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CivilTime {
    pub year: i32,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub millisecond: u16,
}

impl CivilTime {
    pub fn from_ms(at: TimeMs) -> Self {
        let days = at.0.div_euclid(DAY_MS);
        let in_day = at.0.rem_euclid(DAY_MS) as u32;
        let (year, month, day) = date_of_days(days);
        Self {
            year,
            month,
            day,
            hour: (in_day / 3_600_000) as u8,
            minute: (in_day / 60_000 % 60) as u8,
            second: (in_day / 1000 % 60) as u8,
            millisecond: (in_day % 1000) as u16,
        }
    }

    /// `None` for what no calendar or clock shows, and for years outside 0 to 9999.
    pub fn to_ms(self) -> Option<TimeMs> {
        if !(0..=9999).contains(&self.year)
            || !(1..=12).contains(&self.month)
            || self.day == 0
            || self.day > days_of_month(self.year, self.month)
            || self.hour > 23
            || self.minute > 59
            || self.second > 59
            || self.millisecond > 999
        {
            return None;
        }
        let in_day = (i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second))
            * 1000
            + i64::from(self.millisecond);
        Some(TimeMs(
            days_of_date(self.year, self.month, self.day) * DAY_MS + in_day,
        ))
    }
}

const fn days_of_month(year: i32, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date.
const fn days_of_date(year: i32, month: u8, day: u8) -> i64 {
    let year = if month <= 2 { year as i64 - 1 } else { year as i64 };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month as i64 + 9) % 12) + 2) / 5 + day as i64 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

const fn date_of_days(days: i64) -> (i32, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + (month <= 2) as i64;
    (year as i32, month as u8, day as u8)
}

/// RFC 3339 with milliseconds, UTC.
pub fn push_time(out: &mut Vec<u8>, at: TimeMs) {
    let at = CivilTime::from_ms(at);
    push_padded(out, at.year.rem_euclid(10_000) as u64, 4);
    for (sign, value) in [
        (b'-', at.month),
        (b'-', at.day),
        (b'T', at.hour),
        (b':', at.minute),
        (b':', at.second),
    ] {
        out.push(sign);
        push_padded(out, u64::from(value), 2);
    }
    out.push(b'.');
    push_padded(out, u64::from(at.millisecond), 3);
    out.push(b'Z');
}

/// RFC 3339 with its zone; digits beyond the millisecond are cut off.
pub fn read_time(text: &str) -> Option<TimeMs> {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| -> Option<i64> {
        bytes.get(range)?.iter().try_fold(0, |value, byte| {
            byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
        })
    };
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if bytes.len() < 20
        || separators.iter().any(|(at, separator)| bytes[*at] != *separator)
        || !matches!(bytes[10], b'T' | b't' | b' ')
    {
        return None;
    }
    let mut zone = 19;
    let mut millisecond = 0;
    if bytes[19] == b'.' {
        let fraction = bytes[20..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        zone = 20 + fraction;
        for (byte, weight) in bytes[20..zone].iter().zip([100, 10, 1]) {
            millisecond += u16::from(byte - b'0') * weight;
        }
        if fraction == 0 {
            return None;
        }
    }
    let offset_minutes = match bytes[zone..] {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (digits(zone + 1..zone + 3)?, digits(zone + 4..zone + 6)?);
            if hours > 14 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let at = CivilTime {
        year: digits(0..4)? as i32,
        month: digits(5..7)? as u8,
        day: digits(8..10)? as u8,
        hour: digits(11..13)? as u8,
        minute: digits(14..16)? as u8,
        second: digits(17..19)? as u8,
        millisecond,
    };
    Some(TimeMs(at.to_ms()?.0 - offset_minutes * 60_000))
}

/// Appends exactly `width` digits.
pub fn push_padded(out: &mut Vec<u8>, value: u64, width: u32) {
    for position in (0..width).rev() {
        out.push(b'0' + (value / 10_u64.pow(position) % 10) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_fall_on_their_dates() {
        for (ms, text) in [
            (0, (1970, 1, 1, 0, 0, 0, 0)),
            (1_741_944_413_000, (2025, 3, 14, 9, 26, 53, 0)),
            (951_827_696_789, (2000, 2, 29, 12, 34, 56, 789)),
            (-1, (1969, 12, 31, 23, 59, 59, 999)),
        ] {
            let at = CivilTime::from_ms(TimeMs(ms));
            assert_eq!(
                (
                    at.year,
                    at.month,
                    at.day,
                    at.hour,
                    at.minute,
                    at.second,
                    at.millisecond
                ),
                text
            );
            assert_eq!(at.to_ms(), Some(TimeMs(ms)));
        }
    }

    #[test]
    fn dates_that_no_calendar_shows_are_none() {
        let good = CivilTime::from_ms(TimeMs(1_741_944_413_000));
        for bad in [
            CivilTime { month: 0, ..good },
            CivilTime { month: 13, ..good },
            CivilTime { day: 0, ..good },
            CivilTime {
                month: 2,
                day: 29,
                ..good
            },
            CivilTime { hour: 24, ..good },
            CivilTime { minute: 60, ..good },
            CivilTime { second: 60, ..good },
            CivilTime { year: 10_000, ..good },
        ] {
            assert_eq!(bad.to_ms(), None, "{bad:?}");
        }
        assert!(
            CivilTime {
                year: 2000,
                month: 2,
                day: 29,
                ..good
            }
            .to_ms()
            .is_some()
        );
        assert!(
            CivilTime {
                year: 2100,
                month: 2,
                day: 29,
                ..good
            }
            .to_ms()
            .is_none()
        );
    }

    #[test]
    fn times_are_read_in_every_zone() {
        for (text, ms) in [
            ("2025-03-14T09:26:53Z", 1_741_944_413_000),
            ("2025-03-14T09:26:53.5Z", 1_741_944_413_500),
            ("2025-03-14T09:26:53.123456Z", 1_741_944_413_123),
            ("2025-03-14T10:26:53+01:00", 1_741_944_413_000),
            ("2025-03-13T23:56:53.000-09:30", 1_741_944_413_000),
        ] {
            assert_eq!(read_time(text), Some(TimeMs(ms)), "{text}");
        }
        for text in [
            "",
            "2025-03-14 09:00",
            "2025-03-14T09:26:53",
            "2025-02-30T09:26:53Z",
            "2025-03-14T09:26:53.Z",
            "2025-03-14T09:26:53+1:00",
            "2025-03-14T09:26:5éZ",
        ] {
            assert_eq!(read_time(text), None, "{text}");
        }
    }
}

//! Calendar arithmetic for formats that carry dates as digits: proleptic Gregorian, UTC, no leap seconds.
//!
//! Invariant: [`CivilTime::to_ms`] takes only what exists in the calendar, and for each of those
//! `from_ms(to_ms(t)) == t`. Knows no time zones. The algorithms are those of Howard Hinnant's
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
}

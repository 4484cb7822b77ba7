//! Days and hours of simulated time. Acme's local time is UTC: one chain, one zone.

use contracts::ids::{BusinessDay, TimeMs};

pub const HOUR_MS: i64 = 3_600_000;
pub const DAY_MS: i64 = 24 * HOUR_MS;
/// Receipts before four in the morning belong to the business day before.
pub const CUT_OVER_MS: i64 = 4 * HOUR_MS;

/// The business day of an instant: the local date of four hours earlier.
#[inline]
pub fn business_day(at: TimeMs) -> BusinessDay {
    BusinessDay((at.0 - CUT_OVER_MS).div_euclid(DAY_MS) as u32)
}

/// The first instant of a business day.
pub fn business_day_begins(day: BusinessDay) -> TimeMs {
    TimeMs(i64::from(day.0) * DAY_MS + CUT_OVER_MS)
}

/// 0 is Monday.
pub fn weekday(at: TimeMs) -> usize {
    (at.0.div_euclid(DAY_MS) + 3).rem_euclid(7) as usize
}

/// 0 to 23.
pub fn hour(at: TimeMs) -> usize {
    (at.0.rem_euclid(DAY_MS) / HOUR_MS) as usize
}

/// The first instant at or after `at` that lies `phase` after a multiple of `period`.
pub fn next_slot(at: i64, period: i64, phase: i64) -> i64 {
    at + (phase - at).rem_euclid(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_night_belongs_to_the_day_before() {
        let midnight = 20_528 * DAY_MS; // 2026-03-16, a Monday
        assert_eq!(weekday(TimeMs(midnight)), 0);
        assert_eq!(business_day(TimeMs(midnight)), BusinessDay(20_527));
        assert_eq!(
            business_day(TimeMs(midnight + CUT_OVER_MS - 1)),
            BusinessDay(20_527)
        );
        assert_eq!(business_day(TimeMs(midnight + CUT_OVER_MS)), BusinessDay(20_528));
        assert_eq!(
            business_day_begins(BusinessDay(20_528)),
            TimeMs(midnight + CUT_OVER_MS)
        );
    }

    #[test]
    fn a_slot_is_never_in_the_past() {
        assert_eq!(next_slot(100, 50, 10), 110);
        assert_eq!(next_slot(110, 50, 10), 110);
        assert_eq!(next_slot(111, 50, 10), 160);
    }
}

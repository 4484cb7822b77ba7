//! The shape of a grocer's day and week, for estimates of how long a scenario lasts. The world has its own.
//!
//! Source: Complete Journey data (dunnhumby, 2017), 141,651 baskets.

use crate::world::Start;

/// Hundredths of a per cent of the day's baskets in each local hour.
const HOURS: [u16; 24] = [
    80, 39, 49, 19, 14, 19, 64, 125, 194, 283, 427, 591, 664, 676, 707, 770, 900, 1010, 949, 806, 658, 489,
    307, 160,
];
/// Hundredths of a per cent of the week's baskets on each day, Monday first.
const WEEKDAYS: [u16; 7] = [1400, 1336, 1312, 1324, 1363, 1596, 1668];
const HOUR_MS: i64 = 3_600_000;

/// The busiest day of the week as a factor of a mean day, in thousandths, rounded up.
pub(crate) const BUSIEST_DAY: u64 = 1_168;

/// Till receipts a simulated second, in the hour that `ms` after the start lies in.
fn per_second(transactions_per_day: u32, instant_ms: i64) -> f64 {
    let hour = instant_ms.rem_euclid(24 * HOUR_MS) / HOUR_MS;
    // 1970-01-01 was a Thursday.
    let weekday = (instant_ms.div_euclid(24 * HOUR_MS) + 3).rem_euclid(7);
    let share = |shares: &[u16], index: i64| {
        f64::from(shares[index as usize]) / shares.iter().map(|share| f64::from(*share)).sum::<f64>()
    };
    f64::from(transactions_per_day) * share(&HOURS, hour) * share(&WEEKDAYS, weekday) * 7.0 / 3600.0
}

/// Till receipts between two simulated offsets.
pub(crate) fn receipts(transactions_per_day: u32, start: Start, from_ms: u64, until_ms: u64) -> f64 {
    pieces(start, from_ms, until_ms)
        .map(|(instant, length)| per_second(transactions_per_day, instant) * length as f64 / 1000.0)
        .sum()
}

/// When, behind `from_ms`, so many receipts have come; `None` if no receipt ever comes.
pub(crate) fn reached(transactions_per_day: u32, start: Start, from_ms: u64, receipts: f64) -> Option<u64> {
    if transactions_per_day == 0 {
        return None;
    }
    let mut left = receipts;
    let mut at = from_ms;
    for (instant, length) in pieces(start, from_ms, u64::MAX / 4) {
        let rate = per_second(transactions_per_day, instant) / 1000.0;
        if left <= rate * length as f64 {
            return Some(at + (left / rate) as u64);
        }
        left -= rate * length as f64;
        at += length;
    }
    None
}

/// A span cut at full hours: instant and length of each piece.
fn pieces(start: Start, from_ms: u64, until_ms: u64) -> impl Iterator<Item = (i64, u64)> {
    let mut at = from_ms;
    std::iter::from_fn(move || {
        let instant = start.epoch_ms() + at as i64;
        let to_the_hour = (HOUR_MS - instant.rem_euclid(HOUR_MS)) as u64;
        let length = to_the_hour.min(until_ms.saturating_sub(at));
        at += length;
        (length > 0).then_some((instant, length))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    #[test]
    fn a_mean_week_brings_seven_days() {
        let week = receipts(5_000_000, Start::DEFAULT, 0, 7 * DAY_MS);
        assert!((week - 35_000_000.0).abs() < 1.0, "{week}");
    }

    #[test]
    fn the_real_pace_at_ten_on_a_monday_is_58_a_second() {
        let monday = Start {
            day: 20_528,
            minute_of_day: 600,
        };
        let rate = receipts(5_000_000, monday, 0, 1_000);
        assert!((57.5..58.5).contains(&rate), "{rate}");
    }

    #[test]
    fn reached_is_the_inverse_of_receipts() {
        for (from, until) in [(0, 30_000), (1_000, 5 * 3_600_000), (12_345, 3 * DAY_MS)] {
            let count = receipts(5_000_000, Start::DEFAULT, from, until);
            let found = reached(5_000_000, Start::DEFAULT, from, count).unwrap();
            assert!(found.abs_diff(until) <= 1, "{from} {until} {found}");
        }
        assert_eq!(reached(0, Start::DEFAULT, 0, 1.0), None);
    }

    #[test]
    fn the_busiest_day_is_not_busier_than_stated() {
        let most = WEEKDAYS
            .iter()
            .map(|share| u64::from(*share) * 7_000 / 10_000)
            .max()
            .unwrap();
        assert!(most < BUSIEST_DAY && BUSIEST_DAY - most < 3, "{most}");
    }
}

//! When a business day begins, and whether a till's clock is off: by what it wrote, and by when its store's server took it.
//!
//! A till that writes minutes is up to one behind; its store's server has each transaction within moments.

use contracts::ids::{BusinessDay, TimeMs};

/// By so much less or more than the server's clock a till's clock is off.
const BEHIND_MS: i64 = 90_000;
const AHEAD_MS: i64 = 30_000;

/// When a business day begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusinessClock {
    /// What is sold before this hour belongs to the day before.
    pub cut_over_hour: u8,
    /// Local time less UTC.
    pub utc_offset_minutes: i16,
}

impl Default for BusinessClock {
    fn default() -> Self {
        Self {
            cut_over_hour: 4,
            utc_offset_minutes: 0,
        }
    }
}

impl BusinessClock {
    /// The local date of the instant less the cut-over hour; the first day for what lies before 1970.
    pub fn day_of(self, at: TimeMs) -> BusinessDay {
        let shift = i64::from(self.utc_offset_minutes) * 60_000 - i64::from(self.cut_over_hour) * 3_600_000;
        let days = at.0.saturating_add(shift).div_euclid(86_400_000);
        BusinessDay(u32::try_from(days.max(0)).unwrap_or(u32::MAX))
    }

    /// The first instant of a business day.
    pub fn begin_of(self, day: BusinessDay) -> TimeMs {
        let shift = i64::from(self.utc_offset_minutes) * 60_000 - i64::from(self.cut_over_hour) * 3_600_000;
        TimeMs(i64::from(day.0) * 86_400_000 - shift)
    }
}

/// `occurred` is the last instant in a message of a till, `journaled` when the store's server took that.
pub const fn is_off(occurred: TimeMs, journaled: TimeMs) -> bool {
    let ahead_ms = occurred.0.saturating_sub(journaled.0);
    ahead_ms < -BEHIND_MS || ahead_ms > AHEAD_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_till_that_writes_minutes_is_not_behind_and_one_that_is_two_minutes_off_is() {
        let journaled = TimeMs(1_773_657_000_000);
        let off = |ahead_ms: i64| is_off(TimeMs(journaled.0 + ahead_ms), journaled);
        assert!(!off(0) && !off(-59_999) && !off(1_000));
        assert!(
            off(-120_000) && off(60_001),
            "the minute of a clock two minutes ahead"
        );
    }
}

//! Numbers, times and shares as text, in one place for screen, headless lines and reports.

use std::time::Duration;

use contracts::ids::TimeMs;

/// `12 345 678`, with a thin separator that every terminal has.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `2m05s`, `12.3s`.
pub fn duration(value: Duration) -> String {
    let seconds = value.as_secs();
    if seconds >= 3600 {
        format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60)
    } else if seconds >= 60 {
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    } else {
        format!("{:.1}s", value.as_secs_f64())
    }
}

/// `310 ms`, `12.3 s`.
pub fn millis(value: u64) -> String {
    if value < 10_000 {
        format!("{} ms", count(value))
    } else {
        format!("{:.1} s", value as f64 / 1000.0)
    }
}

/// `2026-03-14 09:26:53` of a simulated time.
pub fn clock(at: TimeMs) -> String {
    let Ok(time) = time::OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1000)) else {
        return "–".into();
    };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// `14:03:22`; of another day than `now` with its date: `03-14 14:03:22`.
pub fn time_of_day(at: TimeMs, now: TimeMs) -> String {
    let text = clock(at);
    let day = |at: TimeMs| at.0.div_euclid(86_400_000);
    let cut = if day(at) == day(now) { 11 } else { 5 };
    text.get(cut..).map_or(text.clone(), str::to_owned)
}

/// `40 s ago`, `5 min ago`, `1 h ago`, `2 days ago`.
pub fn ago(then: TimeMs, now: TimeMs) -> String {
    let seconds = (now.0 - then.0).max(0) / 1000;
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..3_600 => format!("{} min ago", seconds / 60),
        3_600..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// `12.4 %`; what is more than nothing is never `0.0 %`.
pub fn share(part: f64) -> String {
    if part > 0.0 && part < 0.0005 {
        "under 0.1 %".into()
    } else {
        format!("{:.1} %", part * 100.0)
    }
}

/// `99.98 %`, rounded down so that 100 % means all; `–` of nothing.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".into();
    }
    let hundredths = u128::from(part) * 10_000 / u128::from(whole);
    if hundredths == 10_000 {
        "100 %".into()
    } else {
        format!("{}.{:02} %", hundredths / 100, hundredths % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
    }

    #[test]
    fn long_waits_are_seconds() {
        assert_eq!(millis(0), "0 ms");
        assert_eq!(millis(9_999), "9,999 ms");
        assert_eq!(millis(12_345), "12.3 s");
    }

    #[test]
    fn a_share_is_rounded_down_so_that_hundred_percent_means_all() {
        assert_eq!(percent(999_999, 1_000_000), "99.99 %");
        assert_eq!(percent(1_000_000, 1_000_000), "100 %");
        assert_eq!(percent(0, 0), "–");
    }

    #[test]
    fn a_time_of_another_day_has_its_date() {
        let now = TimeMs(1_773_480_413_000);
        assert_eq!(time_of_day(now, now), "09:26:53");
        assert_eq!(time_of_day(TimeMs(now.0 - 86_400_000), now), "03-13 09:26:53");
    }

    #[test]
    fn how_long_ago_is_rounded_down() {
        let ago = |seconds: i64| ago(TimeMs(-seconds * 1000), TimeMs(0));
        assert_eq!(ago(-5), "0 s ago");
        assert_eq!(ago(119), "119 s ago");
        assert_eq!(ago(3_599), "59 min ago");
        assert_eq!(ago(3_600), "1 h ago");
        assert_eq!(ago(200_000), "2 days ago");
    }

    #[test]
    fn a_small_share_is_not_nothing() {
        assert_eq!(share(0.0), "0.0 %");
        assert_eq!(share(0.000_1), "under 0.1 %");
        assert_eq!(share(0.1239), "12.4 %");
    }

    #[test]
    fn simulated_time_prints_as_date_and_time() {
        assert_eq!(clock(TimeMs(1_773_480_413_000)), "2026-03-14 09:26:53");
    }
}

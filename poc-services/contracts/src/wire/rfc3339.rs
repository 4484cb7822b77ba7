//! Instants as RFC 3339 has them, read and written, and offsets of time zones.

use crate::ids::TimeMs;
use crate::wire::civil::CivilTime;

/// RFC 3339 with `T` and its zone; digits beyond the millisecond are cut off.
pub(super) fn date_time(text: &str) -> Option<TimeMs> {
    date_time_micros(text).map(|(at, _)| at)
}

/// The instant, and the microseconds beyond its millisecond.
pub(super) fn date_time_micros(text: &str) -> Option<(TimeMs, u16)> {
    let bytes = text.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if bytes.len() < 20
        || separators.iter().any(|(at, separator)| bytes[*at] != *separator)
        || !matches!(bytes[10], b'T' | b't')
    {
        return None;
    }
    let mut zone = 19;
    let mut micros = 0;
    if bytes[19] == b'.' {
        let fraction = bytes[20..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        zone = 20 + fraction;
        for (byte, weight) in bytes[20..zone].iter().zip([100_000, 10_000, 1000, 100, 10, 1]) {
            micros += u32::from(byte - b'0') * weight;
        }
        if fraction == 0 {
            return None;
        }
    }
    let offset_minutes = match bytes[zone..] {
        [b'Z' | b'z'] => 0,
        _ => zone_offset(text.get(zone..)?)?,
    };
    let two = |at: usize| digits(&bytes[at..at + 2]);
    let at = CivilTime {
        year: digits(&bytes[..4])? as i32,
        month: two(5)? as u8,
        day: two(8)? as u8,
        hour: two(11)? as u8,
        minute: two(14)? as u8,
        second: two(17)? as u8,
        millisecond: (micros / 1000) as u16,
    };
    let at = TimeMs(at.to_ms()?.0 - i64::from(offset_minutes) * 60_000);
    Some((at, (micros % 1000) as u16))
}

/// `+hh:mm` or `-hh:mm`, 14 hours at most, in minutes.
pub(super) fn zone_offset(text: &str) -> Option<i16> {
    let [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] = *text.as_bytes() else {
        return None;
    };
    let (hours, minutes) = (digits(&[h1, h2])? as i16, digits(&[m1, m2])? as i16);
    if minutes > 59 || hours * 60 + minutes > 14 * 60 {
        return None;
    }
    Some((hours * 60 + minutes) * if sign == b'-' { -1 } else { 1 })
}

/// With milliseconds, UTC.
pub(super) fn push_instant(out: &mut Vec<u8>, at: TimeMs) {
    push_civil(out, CivilTime::from_ms(at));
    out.push(b'Z');
}

/// Without its zone.
pub(super) fn push_civil(out: &mut Vec<u8>, at: CivilTime) {
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
}

/// Appends exactly `width` digits.
pub(super) fn push_padded(out: &mut Vec<u8>, value: u64, width: u32) {
    for position in (0..width).rev() {
        out.push(b'0' + (value / 10_u64.pow(position) % 10) as u8);
    }
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_zone() {
        for (text, ms) in [
            ("2025-03-14T09:26:53Z", 1_741_944_413_000),
            ("2025-03-14T09:26:53.5Z", 1_741_944_413_500),
            ("2025-03-14T09:26:53.123456Z", 1_741_944_413_123),
            ("2025-03-14T10:26:53+01:00", 1_741_944_413_000),
            ("2025-03-13T23:56:53.000-09:30", 1_741_944_413_000),
        ] {
            assert_eq!(date_time(text), Some(TimeMs(ms)), "{text}");
        }
        for text in [
            "",
            "2025-03-14 09:00",
            "2025-03-14 09:26:53Z",
            "2025-03-14T09:26:53",
            "2025-02-30T09:26:53Z",
            "2025-03-14T09:26:53.Z",
            "2025-03-14T09:26:53+1:00",
            "2025-03-14T09:26:53+14:01",
            "2025-03-14T09:26:5éZ",
        ] {
            assert_eq!(date_time(text), None, "{text}");
        }
    }
}

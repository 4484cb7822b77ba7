//! Times and days as XML Schema writes them.

use crate::ids::{BusinessDay, TimeMs};
use crate::wire::civil::CivilTime;

/// When something happened by the till's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// In UTC; of a time without zone, the time of day as if it were UTC's.
    pub at: TimeMs,
    pub zone: Zone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    Utc,
    /// The text had no zone.
    Local,
}

impl Stamp {
    pub const fn utc(at: TimeMs) -> Self {
        Self { at, zone: Zone::Utc }
    }

    /// `utc_offset_minutes` is the store's: local time less UTC.
    pub const fn instant(self, utc_offset_minutes: i16) -> TimeMs {
        match self.zone {
            Zone::Utc => self.at,
            Zone::Local => TimeMs(self.at.0 - utc_offset_minutes as i64 * 60_000),
        }
    }

    /// `YYYY-MM-DDThh:mm:ss`, a fraction of which milliseconds count, `Z`, `+hh:mm` or no zone.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (date, time) = text.split_at_checked(10)?;
        let (year, month, day) = date_parts(date)?;
        let time = time.as_bytes();
        let [b'T', h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = time else {
            return None;
        };
        let (millisecond, rest) = fraction(rest)?;
        let (zone, offset_minutes) = match rest {
            [] => (Zone::Local, 0),
            b"Z" => (Zone::Utc, 0),
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let minutes = i64::from(pair(*h1, *h2)?) * 60 + i64::from(pair(*m1, *m2)?);
                (Zone::Utc, if *sign == b'-' { -minutes } else { minutes })
            }
            _ => return None,
        };
        let at = CivilTime {
            year,
            month,
            day,
            hour: pair(*h1, *h2)?,
            minute: pair(*m1, *m2)?,
            second: pair(*s1, *s2)?,
            millisecond,
        }
        .to_ms()?;
        Some(Self {
            at: TimeMs(at.0 - offset_minutes * 60_000),
            zone,
        })
    }

    pub(super) fn push(self, out: &mut Vec<u8>) {
        let at = CivilTime::from_ms(self.at);
        push_date(out, &at);
        out.push(b'T');
        push_digits(out, u32::from(at.hour), 2);
        out.push(b':');
        push_digits(out, u32::from(at.minute), 2);
        out.push(b':');
        push_digits(out, u32::from(at.second), 2);
        if at.millisecond != 0 {
            out.push(b'.');
            push_digits(out, u32::from(at.millisecond), 3);
        }
        if self.zone == Zone::Utc {
            out.push(b'Z');
        }
    }
}

/// `YYYY-MM-DD`; a zone or a time behind it is left alone. `None` before 1970.
pub(super) fn read_day(text: &str) -> Option<BusinessDay> {
    let (date, rest) = text.split_at_checked(10)?;
    if !matches!(rest.as_bytes(), [] | [b'Z' | b'+' | b'-' | b'T', ..]) {
        return None;
    }
    let (year, month, day) = date_parts(date)?;
    let at = CivilTime {
        year,
        month,
        day,
        hour: 0,
        minute: 0,
        second: 0,
        millisecond: 0,
    }
    .to_ms()?;
    u32::try_from(at.0 / 86_400_000)
        .ok()
        .filter(|_| at.0 >= 0)
        .map(BusinessDay)
}

pub(super) fn push_day(out: &mut Vec<u8>, day: BusinessDay) {
    push_date(out, &CivilTime::from_ms(TimeMs(i64::from(day.0) * 86_400_000)));
}

/// Whether a text of four digits of year can show it.
pub(super) fn is_writable(at: TimeMs) -> bool {
    (0..=9999).contains(&CivilTime::from_ms(at).year)
}

fn push_date(out: &mut Vec<u8>, at: &CivilTime) {
    push_digits(out, at.year as u32, 4);
    out.push(b'-');
    push_digits(out, u32::from(at.month), 2);
    out.push(b'-');
    push_digits(out, u32::from(at.day), 2);
}

pub(super) fn push_digits(out: &mut Vec<u8>, mut value: u32, digits: u32) {
    let start = out.len();
    out.resize(start + digits as usize, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit += (value % 10) as u8;
        value /= 10;
    }
}

fn date_parts(date: &str) -> Option<(i32, u8, u8)> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date.as_bytes() else {
        return None;
    };
    let year = i32::from(pair(y1, y2)?) * 100 + i32::from(pair(y3, y4)?);
    Some((year, pair(m1, m2)?, pair(d1, d2)?))
}

fn pair(tens: u8, ones: u8) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + ones - b'0')
}

fn fraction(rest: &[u8]) -> Option<(u16, &[u8])> {
    let [b'.', digits @ ..] = rest else {
        return Some((0, rest));
    };
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (fraction, rest) = digits.split_at(length);
    let milliseconds = fraction
        .iter()
        .chain(b"00")
        .take(3)
        .fold(0, |value, digit| value * 10 + u16::from(digit - b'0'));
    (length > 0).then_some((milliseconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_any_zone_and_without_one() {
        let at = TimeMs(1_741_944_413_000);
        for text in [
            "2025-03-14T09:26:53Z",
            "2025-03-14T10:26:53.0+01:00",
            "2025-03-14T05:26:53-04:00",
        ] {
            assert_eq!(Stamp::read(text), Some(Stamp::utc(at)), "{text}");
        }
        let local = Stamp::read("2025-03-14T10:26:53.214999").expect("a time");
        assert_eq!(local.zone, Zone::Local);
        assert_eq!(local.instant(60), TimeMs(at.0 + 214));
        for text in [
            "",
            "2025-03-14",
            "2025-03-14 09:26:53",
            "2025-02-29T00:00:00Z",
            "2025-03-14T24:00:00",
            "2025-03-14T09:26:53z",
            "2025-03-14T09:26:53.Z",
            "é025-03-14T09:26:53",
        ] {
            assert_eq!(Stamp::read(text), None, "{text}");
        }
    }

    #[test]
    fn days_are_days_since_1970() {
        assert_eq!(read_day("1970-01-02"), Some(BusinessDay(1)));
        assert_eq!(read_day("2025-03-14+01:00"), Some(BusinessDay(20_161)));
        assert_eq!(read_day("1969-12-31"), None);
        assert_eq!(read_day("2025-03-141"), None);
        assert_eq!(read_day("2025-13-01"), None);
    }
}

//! Elements, attributes and values as text.

use super::super::{
    TEXT_BYTES_MAX,
    codes::{CodeList, Coded},
    error::WriteError,
    stamp::{self, Stamp},
    text::is_xml_char,
};
use super::{Elements, Written};
use crate::ids::{BusinessDay, Money, Quantity};

/// Nothing in it has to be escaped or refused, which is so of nearly every text.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'&' | b'<' | b'>' | b'"');
    matches!((bytes.first(), bytes.last()), (Some(first), Some(last)) if *first != b' ' && *last != b' ')
        && bytes.iter().all(|byte| plain(*byte))
}

/// The schema's largest amount.
pub(super) const AMOUNT_MAX: i64 = 9_999_999_999;

impl Elements<'_> {
    pub(super) fn refuse(&self, element: &'static str, what: &'static str) -> Written {
        Err(WriteError {
            number: self.number,
            element,
            what,
        })
    }

    pub(super) fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Without the `>`: attributes follow.
    pub(super) fn begin(&mut self, name: &str) {
        self.push("<");
        self.push(name);
    }

    pub(super) fn end(&mut self, name: &str) {
        self.push("</");
        self.push(name);
        self.push(">");
    }

    pub(super) fn attribute(&mut self, name: &'static str, value: &str) -> Written {
        self.push(" ");
        self.push(name);
        self.push("=\"");
        self.escaped(name, value)?;
        self.push("\"");
        Ok(())
    }

    /// Only where it is set: the schema's default is false.
    pub(super) fn flag(&mut self, name: &'static str, set: bool) -> Written {
        if set { self.attribute(name, "true") } else { Ok(()) }
    }

    pub(super) fn code<T: CodeList>(&mut self, name: &'static str, code: Option<&Coded<'_, T>>) -> Written {
        code.map_or(Ok(()), |code| self.attribute(name, code.code()))
    }

    pub(super) fn text(&mut self, name: &'static str, text: &str) -> Written {
        self.begin(name);
        self.push(">");
        self.escaped(name, text)?;
        self.end(name);
        Ok(())
    }

    pub(super) fn optional_text(&mut self, name: &'static str, text: Option<&str>) -> Written {
        text.map_or(Ok(()), |text| self.text(name, text))
    }

    pub(super) fn escaped(&mut self, element: &'static str, text: &str) -> Written {
        if is_plain(text) && text.len() <= TEXT_BYTES_MAX {
            self.push(text);
            return Ok(());
        }
        let is_blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return self.refuse(element, "is empty or too long");
        }
        if text.starts_with(is_blank) || text.ends_with(is_blank) {
            return self.refuse(element, "has blanks around it, which are not read");
        }
        for c in text.chars() {
            match c {
                '&' => self.push("&amp;"),
                '<' => self.push("&lt;"),
                '>' => self.push("&gt;"),
                '"' => self.push("&quot;"),
                // Readers turn line ends into one kind, and into blanks in attributes.
                '\r' => self.push("&#13;"),
                '\n' => self.push("&#10;"),
                '\t' => self.push("&#9;"),
                _ if is_xml_char(c) => self.push(c.encode_utf8(&mut [0; 4])),
                _ => return self.refuse(element, "has a character that no document can have"),
            }
        }
        Ok(())
    }

    pub(super) fn number(&mut self, name: &str, number: u64) {
        self.begin(name);
        self.push(">");
        self.digits(number);
        self.end(name);
    }

    pub(super) fn optional_number(&mut self, name: &str, number: Option<impl Into<u64>>) {
        if let Some(number) = number {
            self.number(name, number.into());
        }
    }

    pub(super) fn digits(&mut self, number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
    }

    /// With zeros in front, to four digits for instance.
    pub(super) fn padded(&mut self, number: u32, digits: u32) {
        let needed = number.checked_ilog10().unwrap_or(0) + 1;
        stamp::push_digits(self.out, number, digits.max(needed));
    }

    pub(super) fn stamp(&mut self, name: &'static str, stamp: Option<Stamp>) -> Written {
        let Some(stamp) = stamp else { return Ok(()) };
        if !stamp::is_writable(stamp.at) {
            return self.refuse(name, "is outside of the years 0 to 9999");
        }
        self.begin(name);
        self.push(">");
        stamp.push(self.out);
        self.end(name);
        Ok(())
    }

    pub(super) fn day(&mut self, name: &str, day: Option<BusinessDay>) {
        if let Some(day) = day {
            self.begin(name);
            self.push(">");
            stamp::push_day(self.out, day);
            self.end(name);
        }
    }

    /// An amount of a line.
    pub(super) fn amount(&mut self, name: &'static str, amount: Option<Money>) -> Written {
        let Some(amount) = amount else { return Ok(()) };
        if !(0..=AMOUNT_MAX).contains(&amount.0) {
            return self.refuse(
                name,
                "is negative or too large: the schema has 0 to 99,999,999.99",
            );
        }
        self.begin(name);
        self.push(">");
        self.decimal(amount.0, 2);
        self.end(name);
        Ok(())
    }

    /// An integer of so many decimal places. Zeros at the end are left out of three places.
    pub(super) fn decimal(&mut self, value: i64, places: u32) {
        let unit = 10_u64.pow(places);
        if value < 0 {
            self.push("-");
        }
        self.digits(value.unsigned_abs() / unit);
        let fraction = (value.unsigned_abs() % unit) as u32;
        if places == 2 || fraction != 0 {
            self.push(".");
            stamp::push_digits(self.out, fraction, places);
        }
    }

    pub(super) fn quantity_text(&mut self, quantity: Quantity) {
        self.decimal(quantity.0, 3);
    }
}

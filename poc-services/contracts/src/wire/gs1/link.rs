//! GS1 Digital Links: key and qualifiers as steps of a web address's path.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{Gln, Key, Sscc, decimal, escaped, gtin_of_digits, is_part, unescaped};

pub(super) fn read(text: &str) -> Option<Key<'_>> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))?;
    let path = rest.split(['?', '#']).next()?;
    let mut steps = path.split('/').skip(1);
    while let Some(step) = steps.next() {
        let key = match step {
            "01" | "gtin" => Key::class(gtin_of_digits(steps.next()?)?),
            "414" | "gln" => Key::Place {
                gln: Gln::new(exactly(steps.next()?, 13)?)?,
                extension: None,
            },
            "00" | "sscc" => Key::LogisticUnit(Sscc::new(exactly(steps.next()?, 18)?)?),
            // A step of the host's own path.
            _ => continue,
        };
        return qualified(key, steps);
    }
    None
}

fn exactly(digits: &str, length: usize) -> Option<u64> {
    (digits.len() == length).then(|| decimal(digits)).flatten()
}

fn qualified<'a>(mut key: Key<'a>, mut steps: impl Iterator<Item = &'a str>) -> Option<Key<'a>> {
    while let Some(name) = steps.next() {
        let Some(value) = steps.next() else {
            // A slash at the end.
            return name.is_empty().then_some(key);
        };
        let value = unescaped(value).filter(|value| is_part(value))?;
        let slot: &mut Option<Cow<'a, str>> = match (&mut key, name) {
            (Key::Article { lot, .. }, "10" | "lot") => lot,
            (Key::Article { serial, .. }, "21" | "ser") => serial,
            // 0 is how a URN writes that there is none.
            (Key::Place { .. }, "254") if value == "0" => continue,
            (Key::Place { extension, .. }, "254") => extension,
            // The consumer product variant: it does not tell another article.
            (Key::Article { .. }, "22" | "cpv") => continue,
            _ => return None,
        };
        if slot.replace(value).is_some() {
            return None;
        }
    }
    Some(key)
}

pub(super) fn write(key: &Key<'_>) -> String {
    let mut out = String::from("https://id.gs1.org/");
    let mut step = |name: &str, value: &str| {
        let _ = write!(out, "{name}/{}/", escaped(value, is_free));
    };
    match key {
        Key::Article { gtin, lot, serial } => {
            step("01", &gtin.to_string());
            if let Some(lot) = lot {
                step("10", lot);
            }
            if let Some(serial) = serial {
                step("21", serial);
            }
        }
        Key::Place { gln, extension } => {
            step("414", &format!("{:013}", gln.value()));
            if let Some(extension) = extension {
                step("254", extension);
            }
        }
        Key::LogisticUnit(sscc) => step("00", &format!("{:018}", sscc.value())),
    }
    out.pop();
    out
}

/// RFC 3986's unreserved characters: what stands for itself in every part of an address.
const fn is_free(byte: u8) -> bool {
    matches!(byte, b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
}

//! Element strings: application identifiers and their values, as a bar code holds them.
//!
//! In the raw form a value ends where the table says or at FNC1, which scanners send as GS (byte 1D).

use super::{Gln, Key, Measure, Sscc, Unit, decimal, is_part, is_plain};
use crate::ids::{Gtin, Quantity};
use crate::wire::QUANTITY_MAX;

/// No symbol holds more.
pub const ELEMENTS_MAX: usize = 64;

/// Why an element string is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElementError {
    #[error("`{found}` is no application identifier")]
    Unknown { found: String },
    #[error("({ai}) is cut off: {expected}")]
    Short { ai: String, expected: &'static str },
    #[error("`{value}` is no valid value of ({ai})")]
    Value { ai: String, value: String },
    #[error("({ai}) stands twice")]
    Twice { ai: String },
    #[error("more than {ELEMENTS_MAX} elements")]
    TooMany,
}

/// Application identifiers with their values, in the order of the symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elements<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Elements<'a> {
    /// `(01)09506000134352(10)ABC` or the raw form, with or without FNC1 in front.
    pub fn read(text: &'a str) -> Result<Self, ElementError> {
        let mut out = Self(Vec::new());
        let raw = text.strip_prefix(GS).unwrap_or(text);
        if raw.starts_with('(') {
            out.read_bracketed(raw)?;
        } else {
            out.read_raw(raw)?;
        }
        Ok(out)
    }

    pub fn get(&self, ai: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(name, _)| *name == ai)
            .map(|(_, value)| *value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().copied()
    }

    /// What the symbol is on. A logistic unit comes first: with (02) and (37) it tells what is in it.
    pub fn key(&self) -> Option<Key<'a>> {
        if let Some(sscc) = self.get("00") {
            return Some(Key::LogisticUnit(Sscc::new(decimal(sscc)?)?));
        }
        if let Some(gtin) = self.get("01") {
            return Some(Key::Article {
                gtin: Gtin::new(decimal(gtin)?)?,
                lot: self.get("10").map(Into::into),
                serial: self.get("21").map(Into::into),
            });
        }
        Some(Key::Place {
            gln: Gln::new(decimal(self.get("414")?)?)?,
            // 0 is how a URN writes that there is none.
            extension: self.get("254").filter(|part| *part != "0").map(Into::into),
        })
    }

    /// What is in a logistic unit: articles of one kind, (02) with (37).
    pub fn contents(&self) -> Option<(Gtin, Measure)> {
        let gtin = Gtin::new(decimal(self.get("02")?)?)?;
        let count = count_of(self.get("37")?)?;
        Some((gtin, count))
    }

    /// How much it is: (30) pieces, (310n) kilograms, (311n) metres, (315n) litres. `None` where nothing says, and
    /// where it is finer than a thousandth.
    pub fn measure(&self) -> Option<Measure> {
        self.iter().find_map(|(ai, value)| {
            let unit = match ai.get(..3) {
                Some("310") => Unit::Kilogram,
                Some("311") => Unit::Metre,
                Some("315") => Unit::Litre,
                _ if ai == "30" => return count_of(value),
                _ => return None,
            };
            let decimals = decimal(ai.get(3..4)?)? as u32;
            let thousandths = decimal(value)? * 1000;
            let divisor = 10_u64.pow(decimals);
            (thousandths % divisor == 0).then(|| Measure {
                quantity: Quantity((thousandths / divisor) as i64),
                unit,
            })
        })
    }

    fn push(&mut self, ai: &'a str, value: &'a str) -> Result<(), ElementError> {
        let error = || ElementError::Value {
            ai: ai.to_owned(),
            value: value.chars().take(90).collect(),
        };
        if self.0.len() >= ELEMENTS_MAX {
            return Err(ElementError::TooMany);
        }
        let digits = |count: usize| value.len() == count && value.bytes().all(|byte| byte.is_ascii_digit());
        let valid = match ai {
            "00" => digits(18) && decimal(value).and_then(Sscc::new).is_some(),
            "01" | "02" | "03" => digits(14) && decimal(value).and_then(Gtin::new).is_some(),
            "410" | "411" | "412" | "413" | "414" | "415" | "416" | "417" => {
                digits(13) && decimal(value).and_then(Gln::new).is_some()
            }
            "10" | "21" | "22" | "254" => is_part(value),
            "30" | "37" => value.len() <= 8 && decimal(value).is_some(),
            _ => {
                let fixed = fixed_length(ai).is_none_or(|length| digits(length - ai.len()));
                fixed && (1..=90).contains(&value.len()) && value.bytes().all(is_plain)
            }
        };
        if !valid {
            return Err(error());
        }
        if self.get(ai).is_some() {
            return Err(ElementError::Twice { ai: ai.to_owned() });
        }
        self.0.push((ai, value));
        Ok(())
    }

    fn read_raw(&mut self, mut rest: &'a str) -> Result<(), ElementError> {
        while !rest.is_empty() {
            let ai = identifier(rest)?;
            let end = match fixed_length(ai) {
                Some(length) if rest.len() < length || !rest.is_char_boundary(length) => {
                    return Err(ElementError::Short {
                        ai: ai.to_owned(),
                        expected: "the length of its value is fixed",
                    });
                }
                Some(length) => length,
                None => rest.find(GS).unwrap_or(rest.len()),
            };
            self.push(ai, &rest[ai.len()..end])?;
            rest = &rest[end..];
            // Some printers set it behind values of fixed length too.
            rest = rest.strip_prefix(GS).unwrap_or(rest);
        }
        Ok(())
    }

    /// A bracket with two to four digits in it begins an element, so that brackets may stand in values.
    fn read_bracketed(&mut self, text: &'a str) -> Result<(), ElementError> {
        let heads: Vec<(usize, usize)> = text
            .match_indices('(')
            .filter_map(|(at, _)| {
                let digits = text[at + 1..].find(')')?;
                let inside = &text[at + 1..at + 1 + digits];
                let is_head =
                    (2..=4).contains(&inside.len()) && inside.bytes().all(|byte| byte.is_ascii_digit());
                is_head.then_some((at, at + 2 + digits))
            })
            .take(ELEMENTS_MAX + 1)
            .collect();
        if heads.first().is_none_or(|(at, _)| *at != 0) {
            return Err(ElementError::Unknown {
                found: text.chars().take(6).collect(),
            });
        }
        for (index, (at, value)) in heads.iter().enumerate() {
            let end = heads.get(index + 1).map_or(text.len(), |(next, _)| *next);
            let ai = &text[at + 1..value - 1];
            if identifier(ai).is_ok_and(|known| known == ai) {
                self.push(ai, &text[*value..end])?;
            } else {
                return Err(ElementError::Unknown { found: ai.to_owned() });
            }
        }
        Ok(())
    }
}

const GS: char = '\u{1d}';

fn count_of(text: &str) -> Option<Measure> {
    let quantity = Quantity(decimal(text)? as i64 * 1000);
    (quantity <= QUANTITY_MAX).then_some(Measure {
        quantity,
        unit: Unit::Piece,
    })
}

/// How many digits an identifier has is told by its first two.
fn identifier(text: &str) -> Result<&str, ElementError> {
    let unknown = || ElementError::Unknown {
        found: text.chars().take(4).collect(),
    };
    let first = text.get(..2).and_then(decimal).ok_or_else(unknown)?;
    let length = match first {
        0..=4 | 10..=13 | 15..=17 | 20..=22 | 30 | 37 | 90..=99 => 2,
        23..=25 | 40..=42 | 71 => 3,
        31..=36 | 39 | 43 | 70 | 72 | 80..=82 => 4,
        _ => return Err(unknown()),
    };
    text.get(..length)
        .filter(|ai| decimal(ai).is_some())
        .ok_or_else(unknown)
}

/// Identifier and value together, where the General Specifications fix it by the first two digits.
fn fixed_length(ai: &str) -> Option<usize> {
    Some(match ai.as_bytes() {
        [b'0', b'0', ..] => 20,
        [b'0', b'1'..=b'3', ..] | [b'4', b'1', ..] => 16,
        [b'0', b'4', ..] => 18,
        [b'1', b'1'..=b'9', ..] => 8,
        [b'2', b'0', ..] => 4,
        [b'3', b'1'..=b'6', ..] => 10,
        _ => return None,
    })
}

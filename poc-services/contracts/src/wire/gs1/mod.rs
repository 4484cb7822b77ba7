//! GS1 keys in all their spellings: element strings of bar codes, EPC URNs, Digital Links.
//!
//! Sources: GS1 General Specifications (keys, check digits, application identifiers, restricted circulation numbers),
//! EPC Tag Data Standard (URNs), GS1 Digital Link (web addresses). A [`Key`] is valid: check digits are right, lengths
//! and characters those of the standard.
//!
//! Not here: how long a company's prefix is. A GTIN does not tell, and a URN needs it, so who writes a URN says it.

pub mod barcode;
pub mod element;
pub mod in_store;
mod link;
mod urn;

use std::borrow::Cow;

use crate::ids::{Gtin, Quantity, check_digit};

/// Where somebody or something is: 13 digits with a right check digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gln(u64);

impl Gln {
    /// Takes the 12 digits in front of the check digit.
    pub fn from_body(body: u64) -> Option<Self> {
        (body < 1_000_000_000_000).then(|| Self(body * 10 + u64::from(check_digit(body))))
    }

    pub fn new(value: u64) -> Option<Self> {
        Self::from_body(value / 10).filter(|gln| gln.0 == value)
    }

    pub const fn value(self) -> u64 {
        self.0
    }

    pub const fn body(self) -> u64 {
        self.0 / 10
    }
}

/// A pallet, a carton on its way: 18 digits with a right check digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sscc(u64);

impl Sscc {
    /// Takes the 17 digits in front of the check digit, the extension digit first.
    pub fn from_body(body: u64) -> Option<Self> {
        (body < 100_000_000_000_000_000).then(|| Self(body * 10 + u64::from(check_digit(body))))
    }

    pub fn new(value: u64) -> Option<Self> {
        Self::from_body(value / 10).filter(|sscc| sscc.0 == value)
    }

    pub const fn value(self) -> u64 {
        self.0
    }
}

/// How many digits a company's prefix has: 6 to 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PrefixLength(u8);

impl PrefixLength {
    pub const fn new(digits: u8) -> Option<Self> {
        if digits >= 6 && digits <= 12 {
            Some(Self(digits))
        } else {
            None
        }
    }
}

/// What a spelling names. Lots, serials and extensions are of one to 20 characters of the set that GS1 calls 82.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key<'a> {
    /// An article; with a serial one piece of it.
    Article {
        gtin: Gtin,
        lot: Option<Cow<'a, str>>,
        serial: Option<Cow<'a, str>>,
    },
    /// A place, or a part of it.
    Place {
        gln: Gln,
        extension: Option<Cow<'a, str>>,
    },
    LogisticUnit(Sscc),
}

impl<'a> Key<'a> {
    pub const fn class(gtin: Gtin) -> Self {
        Self::Article {
            gtin,
            lot: None,
            serial: None,
        }
    }

    /// `urn:epc:id:sgtin|sgln|sscc:…`, `urn:epc:idpat:sgtin:….*`, `urn:epc:class:lgtin:…`.
    pub fn from_urn(text: &'a str) -> Option<Self> {
        urn::read(text)
    }

    /// `None` for a piece of a lot, which has no URN: [`Key::without_lot`] has.
    pub fn to_urn(&self, prefix: PrefixLength) -> Option<String> {
        urn::write(self, prefix)
    }

    /// `https://id.gs1.org/01/…`, at any host; the older short words (`/gtin/…/ser/…`) as well.
    pub fn from_link(text: &'a str) -> Option<Self> {
        link::read(text)
    }

    /// At `https://id.gs1.org`.
    pub fn to_link(&self) -> String {
        link::write(self)
    }

    /// A URN or a Digital Link.
    pub fn from_uri(text: &'a str) -> Option<Self> {
        if text.starts_with("urn:") {
            Self::from_urn(text)
        } else {
            Self::from_link(text)
        }
    }

    /// Of an element string, `(01)…(21)…` or as a scanner sends it.
    pub fn from_elements(text: &'a str) -> Option<Self> {
        element::Elements::read(text).ok()?.key()
    }

    /// With brackets.
    pub fn to_elements(&self) -> String {
        let part = |ai: &str, value: &Option<Cow<'_, str>>| {
            value
                .as_ref()
                .map_or_else(String::new, |value| format!("({ai}){value}"))
        };
        match self {
            Self::Article { gtin, lot, serial } => {
                format!("(01){gtin}{}{}", part("10", lot), part("21", serial))
            }
            Self::Place { gln, extension } => format!("(414){:013}{}", gln.0, part("254", extension)),
            Self::LogisticUnit(sscc) => format!("(00){:018}", sscc.0),
        }
    }

    /// The article of a class or piece.
    pub const fn gtin(&self) -> Option<Gtin> {
        match self {
            Self::Article { gtin, .. } => Some(*gtin),
            _ => None,
        }
    }

    #[must_use]
    pub fn without_lot(self) -> Self {
        match self {
            Self::Article { gtin, serial, .. } => Self::Article {
                gtin,
                lot: None,
                serial,
            },
            other => other,
        }
    }
}

/// What a quantity counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unit {
    #[default]
    Piece,
    Kilogram,
    Litre,
    Metre,
}

/// An amount, in thousandths of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Measure {
    pub quantity: Quantity,
    pub unit: Unit,
}

/// The article of 8, 12, 13 or 14 digits: GTIN-8, GTIN-12 (UPC-A), GTIN-13 (EAN-13), GTIN-14.
pub fn gtin_of_digits(text: &str) -> Option<Gtin> {
    matches!(text.len(), 8 | 12..=14)
        .then(|| decimal(text))
        .flatten()
        .and_then(Gtin::new)
}

/// Check digit of an embedded price or weight of four or five digits (General Specifications, section 7.9).
pub fn value_check_digit(value: u32, digits: u8) -> Option<u8> {
    // Each digit times 2, less its tens; times 3; times 5, plus its tens; times 5, less its tens.
    const TWO_LESS: [u8; 10] = [0, 2, 4, 6, 8, 9, 1, 3, 5, 7];
    const THREE: [u8; 10] = [0, 3, 6, 9, 2, 5, 8, 1, 4, 7];
    const FIVE_MORE: [u8; 10] = [0, 5, 1, 6, 2, 7, 3, 8, 4, 9];
    const FIVE_LESS: [u8; 10] = [0, 5, 9, 4, 8, 3, 7, 2, 6, 1];
    let digit = |power: u32| (value / 10_u32.pow(power) % 10) as usize;
    match digits {
        4 if value < 10_000 => {
            let sum = TWO_LESS[digit(3)] + TWO_LESS[digit(2)] + THREE[digit(1)] + FIVE_LESS[digit(0)];
            Some(sum * 3 % 10)
        }
        5 if value < 100_000 => {
            let sum = FIVE_MORE[digit(4)]
                + TWO_LESS[digit(3)]
                + FIVE_LESS[digit(2)]
                + FIVE_MORE[digit(1)]
                + TWO_LESS[digit(0)];
            let wanted = (10 - sum % 10) % 10;
            FIVE_LESS
                .iter()
                .position(|product| *product == wanted)
                .map(|digit| digit as u8)
        }
        _ => None,
    }
}

/// Up to 18 digits and nothing else.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.bytes().try_fold(0, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0'))
    })
}

/// The character set 82 of the General Specifications.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b'!' | b'"' | b'%'..=b'?' | b'A'..=b'Z' | b'_' | b'a'..=b'z')
}

/// A lot, serial or extension as it is, not escaped.
fn is_part(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(is_plain)
}

/// Undoes `%2F` and its like.
fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut half = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
            let (high, low) = (half()?, half()?);
            out.push((high * 16 + low) as u8);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

fn escaped(text: &str, is_free: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_free(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for half in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(u32::from(half), 16).map(|digit| digit.to_ascii_uppercase()));
            }
        }
    }
    out
}

//! Who and what: locations, sources, articles, quantities, money, times.
//!
//! Parsed once at the edge; inside, a value of these types is valid. No clock and no IO here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::records::{MovementKind, SourceKind};

/// A text that is no valid id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is no {what}: expected {expected}")]
pub struct InvalidId {
    pub what: &'static str,
    pub text: String,
    pub expected: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LocationKind {
    Store,
    Warehouse,
}

/// A place with stock: `S0042` is store 42, `W0007` is warehouse 7. Written as five characters at least.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocationId {
    kind: LocationKind,
    number: u16,
}

impl LocationId {
    pub const fn store(number: u16) -> Self {
        Self {
            kind: LocationKind::Store,
            number,
        }
    }

    pub const fn warehouse(number: u16) -> Self {
        Self {
            kind: LocationKind::Warehouse,
            number,
        }
    }

    pub const fn kind(self) -> LocationKind {
        self.kind
    }

    pub const fn number(self) -> u16 {
        self.number
    }

    pub const fn is_store(self) -> bool {
        matches!(self.kind, LocationKind::Store)
    }

    /// The place number of the copybook: stores as they are, warehouses from 90,000 on
    /// (the field holds five digits).
    pub fn copybook_number(self) -> u32 {
        match self.kind {
            LocationKind::Store => u32::from(self.number),
            LocationKind::Warehouse => 90_000 + u32::from(self.number),
        }
    }

    pub fn from_copybook_number(number: u32) -> Option<Self> {
        match number {
            0..=65_535 => Some(Self::store(number as u16)),
            90_000..=99_999 => Some(Self::warehouse((number - 90_000) as u16)),
            _ => None,
        }
    }
}

impl fmt::Display for LocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.kind {
            LocationKind::Store => 'S',
            LocationKind::Warehouse => 'W',
        };
        write!(f, "{letter}{:04}", self.number)
    }
}

impl fmt::Debug for LocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LocationId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId {
            what: "location",
            text: text.chars().take(32).collect(),
            expected: "S or W and at least four digits, such as S0042",
        };
        let (letter, digits) = text.split_at_checked(1).ok_or_else(invalid)?;
        if digits.len() < 4 || digits.len() > 5 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        if digits.len() == 5 && digits.starts_with('0') {
            return Err(invalid());
        }
        let number = digits.parse::<u16>().map_err(|_| invalid())?;
        match letter {
            "S" => Ok(Self::store(number)),
            "W" => Ok(Self::warehouse(number)),
            _ => Err(invalid()),
        }
    }
}

/// What writes transactions with a numbering of its own: a till, a warehouse's queue, a scanner.
/// A source belongs to one location. Written `S0042/till/3`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId {
    pub location: LocationId,
    pub kind: SourceKind,
    pub unit: u16,
}

impl SourceId {
    pub const fn till(location: LocationId, unit: u16) -> Self {
        Self {
            location,
            kind: SourceKind::Till,
            unit,
        }
    }

    pub const fn queue(location: LocationId) -> Self {
        Self {
            location,
            kind: SourceKind::Queue,
            unit: 0,
        }
    }

    pub const fn reader(location: LocationId, unit: u16) -> Self {
        Self {
            location,
            kind: SourceKind::Reader,
            unit,
        }
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SourceKind::Till => "till",
            SourceKind::Queue => "queue",
            SourceKind::Reader => "reader",
            SourceKind::Unspecified => "unspecified",
        };
        write!(f, "{}/{kind}/{}", self.location, self.unit)
    }
}

impl fmt::Debug for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SourceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId {
            what: "source",
            text: text.chars().take(32).collect(),
            expected: "LOCATION/till|queue|reader/UNIT, such as S0042/till/3",
        };
        let mut parts = text.split('/');
        let (Some(location), Some(kind), Some(unit), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid());
        };
        let kind = match kind {
            "till" => SourceKind::Till,
            "queue" => SourceKind::Queue,
            "reader" => SourceKind::Reader,
            _ => return Err(invalid()),
        };
        Ok(Self {
            location: location.parse()?,
            kind,
            unit: unit.parse().map_err(|_| invalid())?,
        })
    }
}

/// An article by Acme's own number, up to nine digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sku(pub u32);

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A GTIN of 14 digits with a right check digit (GS1 General Specifications, mod 10, weights 3 and 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gtin(u64);

impl Gtin {
    /// Takes the 13 digits in front of the check digit.
    pub fn from_body(body: u64) -> Option<Self> {
        (body < 10_000_000_000_000).then(|| Self(body * 10 + u64::from(check_digit(body))))
    }

    pub fn new(value: u64) -> Option<Self> {
        Self::from_body(value / 10).filter(|gtin| gtin.0 == value)
    }

    pub const fn value(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Gtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:014}", self.0)
    }
}

/// GS1 check digit of a body: from the right, weights 3, 1, 3, 1 …
pub fn check_digit(mut body: u64) -> u8 {
    let mut sum = 0;
    let mut weight = 3;
    while body > 0 {
        sum += body % 10 * weight;
        weight = 4 - weight;
        body /= 10;
    }
    ((10 - sum % 10) % 10) as u8
}

/// Thousandths of the base unit of measure. Signed: stock can be negative, and it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantity(pub i64);

impl Quantity {
    pub const ONE: Self = Self(1000);

    pub const fn units(units: i64) -> Self {
        Self(units * 1000)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, thousandths) = (self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000);
        if thousandths == 0 {
            write!(f, "{sign}{whole}")
        } else {
            write!(f, "{sign}{whole}.{thousandths:03}")
        }
    }
}

/// Minor units of the currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Money(pub i64);

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimeMs(pub i64);

/// Days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BusinessDay(pub u32);

/// What a transaction is known by: its source, the source's business day (0 where the numbering knows none)
/// and the number as the source wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId {
    pub source: SourceId,
    pub business_day: BusinessDay,
    pub number: u64,
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}/{}", self.source, self.business_day.0, self.number)
    }
}

/// The highest number of a till; the next one is 1.
pub const TILL_NUMBER_MAX: u64 = 9_999;

impl MovementKind {
    pub const ALL: [Self; 11] = [
        Self::Sold,
        Self::Returned,
        Self::Supplied,
        Self::Shipped,
        Self::Received,
        Self::Stocked,
        Self::Stored,
        Self::CountedFloor,
        Self::CountedBackRoom,
        Self::AdjustedFloor,
        Self::AdjustedBackRoom,
    ];

    /// Counts and corrections carry a sign; all others are amounts.
    pub const fn is_signed(self) -> bool {
        matches!(
            self,
            Self::CountedFloor | Self::CountedBackRoom | Self::AdjustedFloor | Self::AdjustedBackRoom
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gs1_check_digits_match_the_published_vectors() {
        assert_eq!(check_digit(61_414_199_999), 6);
        assert_eq!(check_digit(61_414_100_042), 5);
        assert_eq!(check_digit(7_061_414_112_345), 1);
        assert!(Gtin::new(614_141_999_996).is_some());
        assert!(Gtin::new(614_141_999_995).is_none());
    }

    #[test]
    fn locations_and_sources_read_what_they_write() {
        for text in ["S0001", "S9999", "S12345", "W0012"] {
            assert_eq!(text.parse::<LocationId>().expect("valid").to_string(), text);
        }
        for text in ["", "S", "S1", "X0001", "S00001", "S99999", "S-001", "é0001"] {
            assert!(text.parse::<LocationId>().is_err(), "{text}");
        }
        let source = SourceId::till(LocationId::store(42), 3);
        assert_eq!(source.to_string().parse::<SourceId>(), Ok(source));
    }

    #[test]
    fn quantities_print_thousandths_only_where_there_are_some() {
        assert_eq!(Quantity(-2_500).to_string(), "-2.500");
        assert_eq!(Quantity(-500).to_string(), "-0.500");
        assert_eq!(Quantity::units(7).to_string(), "7");
    }
}

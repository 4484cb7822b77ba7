//! Numbers for use inside one company (prefixes 02 and 20 to 29) with a weight, price or count in them.
//!
//! Which digits mean what, each company or country decides: a [`Rules`] table says it, for each prefix. The article's
//! own number is the same with zeros in the value (and in the value's check digit), as a till's price file has it.
//!
//! A number of these prefixes may also be an ordinary article of the company. So look the whole number up first, and
//! resolve it only where it is not on file.

use super::value_check_digit;
use crate::ids::{Gtin, Money, Quantity};

/// What the value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holds {
    /// Grams.
    Weight,
    /// Minor units of the currency.
    Price,
    /// Pieces.
    Count,
}

/// The layout of one prefix. Prefix, item, check digit of the value if there is one, value, check digit: 13 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    holds: Holds,
    value_digits: u8,
    checked: bool,
}

impl Rule {
    /// `PP IIIII VVVVV K` or `PP IIIIII VVVV K`. `None` for other than four or five digits.
    pub const fn plain(holds: Holds, value_digits: u8) -> Option<Self> {
        Self::new(holds, value_digits, false)
    }

    /// `PP IIII C VVVVV K` or `PP IIIII C VVVV K`: the value has a check digit in front.
    pub const fn checked(holds: Holds, value_digits: u8) -> Option<Self> {
        Self::new(holds, value_digits, true)
    }

    const fn new(holds: Holds, value_digits: u8, checked: bool) -> Option<Self> {
        if value_digits == 4 || value_digits == 5 {
            Some(Self {
                holds,
                value_digits,
                checked,
            })
        } else {
            None
        }
    }
}

/// A rule for each prefix; one without has ordinary articles only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// 02, then 20 to 29.
    rules: [Option<Rule>; 11],
}

impl Default for Rules {
    /// Acme's scales and labels: 02 and 21 price with a check digit, 22 to 27 price, 28 weight, 29 count; 20 is for
    /// articles of its own without a value.
    fn default() -> Self {
        let price = Rule::plain(Holds::Price, 5);
        Self {
            rules: [
                Rule::checked(Holds::Price, 4),
                None,
                Rule::checked(Holds::Price, 5),
                price,
                price,
                price,
                price,
                price,
                price,
                Rule::plain(Holds::Weight, 5),
                Rule::plain(Holds::Count, 5),
            ],
        }
    }
}

impl Rules {
    pub const NONE: Self = Self { rules: [None; 11] };

    /// For a prefix, 2 or 20 to 29; another changes nothing.
    #[must_use]
    pub fn with(mut self, prefix: u8, rule: Option<Rule>) -> Self {
        if let Some(slot) = slot(u64::from(prefix)) {
            self.rules[slot] = rule;
        }
        self
    }
}

/// The value that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// Thousandths of a kilogram.
    Weight(Quantity),
    Price(Money),
    /// Thousandths of a piece.
    Count(Quantity),
}

/// A number of a label, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InStore {
    /// With zeros for the value.
    pub article: Gtin,
    /// The item's digits alone: what scales call PLU.
    pub item: u32,
    pub value: Value,
}

impl InStore {
    /// How much was sold: at a price, with what a unit (a kilogram, a piece) costs, rounded half up to the thousandth.
    /// `None` without a price of the unit.
    pub fn quantity(&self, unit_price: Money) -> Option<Quantity> {
        match self.value {
            Value::Weight(quantity) | Value::Count(quantity) => Some(quantity),
            Value::Price(price) if unit_price.0 > 0 => {
                Some(Quantity((price.0 * 2000 + unit_price.0) / (unit_price.0 * 2)))
            }
            Value::Price(_) => None,
        }
    }
}

/// Is the number one of the prefixes 02 and 20 to 29 of an EAN-13?
pub fn is_restricted(gtin: Gtin) -> bool {
    prefix(gtin).is_some()
}

/// Article and value, where the prefix has a rule and the value's check digit is right.
pub fn resolve(gtin: Gtin, rules: &Rules) -> Option<InStore> {
    let rule = rules.rules[slot(prefix(gtin)?)?]?;
    let body = gtin.value() / 10;
    let scale = 10_u64.pow(u32::from(rule.value_digits));
    let value = body % scale;
    let mut item_scale = scale;
    if rule.checked {
        let digit = body / scale % 10;
        if u64::from(value_check_digit(value as u32, rule.value_digits)?) != digit {
            return None;
        }
        item_scale *= 10;
    }
    Some(InStore {
        article: Gtin::from_body(body / item_scale * item_scale)?,
        // The ten digits behind the prefix, less the value's.
        item: (body % 10_000_000_000 / item_scale) as u32,
        value: match rule.holds {
            Holds::Weight => Value::Weight(Quantity(value as i64)),
            Holds::Price => Value::Price(Money(value as i64)),
            Holds::Count => Value::Count(Quantity(value as i64 * 1000)),
        },
    })
}

/// The number of a label: the reverse of [`resolve`]. `None` where rule or room for the value is missing.
pub fn label(article: Gtin, value: Value, rules: &Rules) -> Option<Gtin> {
    let rule = rules.rules[slot(prefix(article)?)?]?;
    let digits = match (value, rule.holds) {
        (Value::Weight(quantity), Holds::Weight) => quantity.0,
        (Value::Price(price), Holds::Price) => price.0,
        (Value::Count(quantity), Holds::Count) if quantity.0 % 1000 == 0 => quantity.0 / 1000,
        _ => return None,
    };
    let scale = 10_u64.pow(u32::from(rule.value_digits));
    let digits = u64::try_from(digits).ok().filter(|digits| *digits < scale)?;
    let check = if rule.checked {
        u64::from(value_check_digit(digits as u32, rule.value_digits)?)
    } else {
        0
    };
    let number = Gtin::from_body(article.value() / 10 + check * scale + digits)?;
    (resolve(number, rules)?.article == article).then_some(number)
}

/// The two digits in front of an EAN-13, 2 for `02`.
fn prefix(gtin: Gtin) -> Option<u64> {
    let prefix = gtin.value() / 100_000_000_000;
    matches!(prefix, 2 | 20..=29).then_some(prefix)
}

const fn slot(prefix: u64) -> Option<usize> {
    match prefix {
        2 => Some(0),
        20..=29 => Some(prefix as usize - 19),
        _ => None,
    }
}

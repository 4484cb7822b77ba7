//! What an event names: single things, classes with quantities, variances of a count.

use std::borrow::Cow;

use super::LINES_MAX;
use super::capture::{Line, Side, Thing};
use super::error::{Fault, ParseError, shortened};
use super::field::Field;
use super::identifier::plain_article;
use super::number::read_quantity;
use super::parts::check_length;
use super::read::{list, number, object, text, uri};
use super::uri::is_unit;
use crate::hash::content_hash;
use crate::ids::{Gtin, Quantity};
use crate::wire::gs1::{Key, Unit};
use crate::wire::json::Reader;

/// Of one event, as far as it was read.
#[derive(Default)]
pub(super) struct Things {
    pub(super) first_line: u32,
    /// The first thing that is valid by the standard, but that stock cannot be moved by.
    pub(super) deferred: Option<ParseError>,
    variances: Vec<(Gtin, Quantity)>,
}

impl Things {
    pub(super) fn new(lines: &[Line]) -> Self {
        Self {
            first_line: lines.len() as u32,
            ..Self::default()
        }
    }

    /// A list of single things; how many there are.
    pub(super) fn epcs(
        &mut self,
        reader: &mut Reader<'_>,
        field: Field,
        lines: &mut Vec<Line>,
    ) -> Result<usize, ParseError> {
        let mut all: Vec<Cow<'_, str>> = Vec::new();
        let count = list(reader, |reader, index| {
            check_length(index)?;
            let text = uri(reader)?;
            match thing_of_epc(&text) {
                Some((thing, mark)) => push(
                    lines,
                    Line {
                        mark,
                        ..Line::of(thing, side_of(field))
                    },
                )?,
                None => self.defer(
                    field,
                    index,
                    None,
                    value("EPC of a trade item or logistic unit", &text),
                ),
            }
            all.push(text);
            Ok(())
        })?;
        // The schema wants it of these lists only.
        if matches!(field, Field::EpcList | Field::InputEpcList | Field::OutputEpcList) {
            all.sort_unstable();
            if let Some([again, _]) = all.array_windows().find(|[one, next]| one == next) {
                return Err(ParseError::value("second time: a list names a thing once", again));
            }
        }
        Ok(count)
    }

    /// A list of classes with quantities; how many there are.
    pub(super) fn quantities(
        &mut self,
        reader: &mut Reader<'_>,
        field: Field,
        lines: &mut Vec<Line>,
    ) -> Result<usize, ParseError> {
        list(reader, |reader, index| {
            check_length(index)?;
            let (mut class, mut quantity, mut unit) = (None, None, None);
            object(reader, |reader, key| {
                let again = match key {
                    "epcClass" => class.replace(class_of(text(reader)?)?).is_some(),
                    "quantity" => quantity.replace(number(reader)?).is_some(),
                    "uom" => {
                        let text = text(reader)?;
                        if !is_unit(&text) {
                            return Err(ParseError::value("unit of measure of Recommendation 20", &text));
                        }
                        unit.replace(text).is_some()
                    }
                    _ => return Err(Fault::Unknown.into()),
                };
                if again { Err(Fault::Twice.into()) } else { Ok(()) }
            })?;
            let class = class.ok_or(Fault::Missing { field: "epcClass" })?;
            match line_of(class, quantity, unit.as_deref(), field) {
                Ok(line) => push(lines, line)?,
                Err((name, fault)) => self.defer(field, index, Some(name), fault),
            }
            Ok(())
        })
    }

    /// Of a count: counted less book, of each class.
    pub(super) fn variances(&mut self, reader: &mut Reader<'_>) -> Result<(), ParseError> {
        list(reader, |reader, index| {
            check_length(index)?;
            let (mut class, mut quantity) = (None, None);
            object(reader, |reader, key| {
                match key {
                    "stockstream:class" => match class_of(text(reader)?)? {
                        Class::Article(gtin, _) => class = Some(gtin),
                        Class::Other(text) => return Err(ParseError::value("article", &text)),
                    },
                    "stockstream:quantity" => {
                        let text = number(reader)?;
                        quantity =
                            Some(read_quantity(text).ok_or_else(|| ParseError::value("quantity", text))?);
                    }
                    _ => return super::read::extension(reader, key),
                }
                Ok(())
            })?;
            self.variances.push((
                class.ok_or(Fault::Missing {
                    field: "stockstream:class",
                })?,
                quantity.ok_or(Fault::Missing {
                    field: "stockstream:quantity",
                })?,
            ));
            Ok(())
        })?;
        Ok(())
    }

    /// Joins the variances by their class: the lists of JSON-LD have no order.
    pub(super) fn apply_variances(&mut self, lines: &mut [Line]) -> Result<(), ParseError> {
        self.variances.sort_unstable();
        let mut used = vec![false; self.variances.len()];
        for line in lines {
            let Thing::Article(gtin) = line.thing else {
                return Err(Fault::Rule("a count is of articles, not of logistic units").into());
            };
            match self.variances.binary_search_by_key(&gtin, |(gtin, _)| *gtin) {
                Ok(index) if !used[index] => {
                    used[index] = true;
                    line.book = Quantity(line.quantity.0 - self.variances[index].1.0);
                }
                _ => return Err(Fault::Variance { gtin }.into()),
            }
        }
        match used.iter().position(|used| !used) {
            Some(index) => Err(Fault::Variance {
                gtin: self.variances[index].0,
            }
            .into()),
            None => Ok(()),
        }
    }

    fn defer(&mut self, field: Field, index: usize, name: Option<&'static str>, fault: Fault) {
        if self.deferred.is_none() {
            let error = match name {
                Some(name) => ParseError::at(name, fault),
                None => ParseError::from(fault),
            };
            self.deferred = Some(error.within_index(index).within(field.name()));
        }
    }
}

pub(super) fn value(expected: &'static str, found: &str) -> Fault {
    Fault::Value {
        expected,
        found: shortened(found),
    }
}

fn push(lines: &mut Vec<Line>, line: Line) -> Result<(), ParseError> {
    if lines.len() >= LINES_MAX {
        return Err(ParseError::too_many_lines());
    }
    lines.push(line);
    Ok(())
}

const fn side_of(field: Field) -> Side {
    match field {
        Field::InputEpcList | Field::InputQuantityList => Side::Input,
        Field::OutputEpcList | Field::OutputQuantityList => Side::Output,
        _ => Side::Whole,
    }
}

enum Class<'a> {
    /// With the mark of its lot.
    Article(Gtin, u64),
    Other(Cow<'a, str>),
}

fn class_of(text: Cow<'_, str>) -> Result<Class<'_>, ParseError> {
    if let Some(gtin) = plain_article(&text) {
        return Ok(Class::Article(gtin, 0));
    }
    if !super::uri::is_uri(&text) {
        return Err(ParseError::value("URI", &text));
    }
    let article = match Key::from_uri(&text) {
        Some(Key::Article {
            gtin,
            lot,
            serial: None,
        }) => Some((gtin, mark(lot.as_deref(), None))),
        _ => None,
    };
    Ok(match article {
        Some((gtin, mark)) => Class::Article(gtin, mark),
        None => Class::Other(text),
    })
}

/// A piece, or a logistic unit. An article without a serial in a list of single things is one piece of it.
fn thing_of_epc(text: &str) -> Option<(Thing, u64)> {
    match Key::from_uri(text)? {
        Key::Article { gtin, lot, serial } => {
            Some((Thing::Article(gtin), mark(lot.as_deref(), serial.as_deref())))
        }
        Key::LogisticUnit(sscc) => Some((Thing::LogisticUnit(sscc), sscc.value())),
        Key::Place { .. } => None,
    }
}

/// Serials tell pieces apart; where there is none, lots tell lots.
fn mark(lot: Option<&str>, serial: Option<&str>) -> u64 {
    serial
        .or(lot)
        .map_or(0, |text| content_hash(text.as_bytes()).max(1))
}

fn line_of(
    class: Class<'_>,
    quantity: Option<&str>,
    unit: Option<&str>,
    field: Field,
) -> Result<Line, (&'static str, Fault)> {
    let (gtin, mark) = match class {
        Class::Article(gtin, mark) => (gtin, mark),
        Class::Other(text) => return Err(("epcClass", value("class of an article", &text))),
    };
    let text = quantity.ok_or(("quantity", Fault::Missing { field: "quantity" }))?;
    let wrong = || ("quantity", value("quantity", text));
    let quantity = read_quantity(text)
        .filter(|quantity| quantity.0 >= 0)
        .ok_or_else(wrong)?;
    let (unit, quantity) = match unit {
        None | Some("EA" | "C62" | "H87") => (Unit::Piece, quantity),
        Some("KGM") => (Unit::Kilogram, quantity),
        Some("GRM") if quantity.0 % 1000 == 0 => (Unit::Kilogram, Quantity(quantity.0 / 1000)),
        Some("GRM") => return Err(wrong()),
        Some("LTR") => (Unit::Litre, quantity),
        Some("MTR") => (Unit::Metre, quantity),
        Some(unit) => {
            return Err((
                "uom",
                Fault::Unit {
                    found: shortened(unit),
                },
            ));
        }
    };
    Ok(Line {
        quantity,
        unit,
        mark,
        ..Line::of(Thing::Article(gtin), side_of(field))
    })
}

//! What a scanner sends: symbology identifier, data, FNC1 as GS.

use super::element::{ElementError, Elements};
use super::in_store::{InStore, Rules, resolve};
use super::{Key, Measure, gtin_of_digits};
use crate::ids::Gtin;

/// A scanner sends less: a Digital Link in a large QR code is the longest.
pub const BYTES_MAX: usize = 4096;

/// The family of the symbol, by its identifier of ISO/IEC 15424.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Symbology {
    /// EAN-13, UPC-A, UPC-E (`]E0`), EAN-8 (`]E4`), EAN-13 with an add-on (`]E3`).
    Ean,
    /// ITF-14: `]I0`, `]I1`.
    Itf,
    /// GS1-128: `]C1`.
    Gs1128,
    /// GS1 DataBar: `]e0`.
    DataBar,
    /// GS1 DataMatrix: `]d2`.
    Gs1DataMatrix,
    /// GS1 QR Code: `]Q3`.
    Gs1Qr,
    /// GS1 DotCode: `]J1`.
    Gs1DotCode,
    /// Code 128, Data Matrix, QR and others without GS1's structure: `]C0`, `]d1`, `]Q1` …
    Other,
}

/// Why a scan names nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BarcodeError {
    #[error("{bytes} bytes are too many for a bar code, at most {BYTES_MAX}")]
    TooLong { bytes: usize },
    #[error("a bar code of other than ASCII characters")]
    NotAscii,
    #[error("`{found}` is no symbology identifier: `]`, a letter, a digit or letter")]
    Symbology { found: String },
    #[error("`{found}` is no GTIN: 8, 12, 13 or 14 digits with a right check digit")]
    Digits { found: String },
    #[error(transparent)]
    Elements(#[from] ElementError),
    #[error("the bar code names no article, place or logistic unit: `{found}`")]
    NoKey { found: String },
}

/// What was scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan<'a> {
    /// `None` where the scanner sends no identifiers.
    pub symbology: Option<Symbology>,
    pub key: Key<'a>,
    /// How much it is, where the symbol says it.
    pub measure: Option<Measure>,
    /// What is in a logistic unit, where the symbol says it.
    pub contents: Option<(Gtin, Measure)>,
    /// Of a number with weight, price or count in it.
    pub in_store: Option<InStore>,
}

/// Reads one scan, carriage return and line feed at its end or not.
pub fn read<'a>(raw: &'a [u8], rules: &Rules) -> Result<Scan<'a>, BarcodeError> {
    if raw.len() > BYTES_MAX {
        return Err(BarcodeError::TooLong { bytes: raw.len() });
    }
    let text = std::str::from_utf8(raw)
        .ok()
        .filter(|text| text.is_ascii())
        .ok_or(BarcodeError::NotAscii)?
        .trim_end_matches(['\r', '\n']);
    let (symbology, modifier, data) = symbology(text)?;
    let digits_only = data.bytes().all(|byte| byte.is_ascii_digit());
    match symbology {
        Some(Symbology::Ean | Symbology::Itf) => {
            // An add-on of two or five digits follows the 13.
            let article = match modifier {
                b'3' => data.get(..13).unwrap_or(data),
                _ => data,
            };
            of_digits(symbology, article, rules)
        }
        Some(Symbology::Other) | None if digits_only && matches!(data.len(), 8 | 12..=14) => {
            of_digits(symbology, data, rules)
        }
        _ if data.starts_with("http") => {
            let key = Key::from_link(data).ok_or_else(|| no_key(data))?;
            Ok(of_key(symbology, key))
        }
        _ => {
            let elements = Elements::read(data)?;
            let key = elements.key().ok_or_else(|| no_key(data))?;
            Ok(Scan {
                measure: elements.measure(),
                contents: elements.contents(),
                ..of_key(symbology, key)
            })
        }
    }
}

const fn of_key(symbology: Option<Symbology>, key: Key<'_>) -> Scan<'_> {
    Scan {
        symbology,
        key,
        measure: None,
        contents: None,
        in_store: None,
    }
}

fn of_digits<'a>(
    symbology: Option<Symbology>,
    digits: &str,
    rules: &Rules,
) -> Result<Scan<'a>, BarcodeError> {
    let gtin = gtin_of_digits(digits).ok_or_else(|| BarcodeError::Digits {
        found: shortened(digits),
    })?;
    Ok(Scan {
        in_store: resolve(gtin, rules),
        ..of_key(symbology, Key::class(gtin))
    })
}

fn symbology(text: &str) -> Result<(Option<Symbology>, u8, &str), BarcodeError> {
    let Some(rest) = text.strip_prefix(']') else {
        return Ok((None, 0, text));
    };
    let (code, modifier) = match rest.as_bytes() {
        [code, modifier, ..] if code.is_ascii_alphabetic() && modifier.is_ascii_alphanumeric() => {
            (*code, *modifier)
        }
        _ => {
            return Err(BarcodeError::Symbology {
                found: text.chars().take(3).collect(),
            });
        }
    };
    let symbology = match (code, modifier) {
        (b'E', b'0' | b'3' | b'4') => Symbology::Ean,
        (b'I', _) => Symbology::Itf,
        (b'C', b'1') => Symbology::Gs1128,
        (b'e', _) => Symbology::DataBar,
        (b'd', b'2') => Symbology::Gs1DataMatrix,
        (b'Q', b'3') => Symbology::Gs1Qr,
        (b'J', b'1') => Symbology::Gs1DotCode,
        _ => Symbology::Other,
    };
    Ok((Some(symbology), modifier, &rest[2..]))
}

fn no_key(data: &str) -> BarcodeError {
    BarcodeError::NoKey {
        found: shortened(data),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

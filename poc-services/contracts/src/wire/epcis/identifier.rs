//! GS1 identifiers in their spellings: Digital Links and EPC URIs.

use super::GLN_PREFIX;
use crate::ids::{Gtin, LocationId, check_digit};

pub(super) struct Place {
    pub(super) location: LocationId,
    /// Sub-location, where one is given.
    pub(super) extension: Option<u64>,
}

/// A bare word of the vocabulary, from its URN, its web address or itself.
pub(super) fn word<'a>(text: &'a str, web_prefix: &str) -> &'a str {
    let last = text.rsplit([':', '/']).next().unwrap_or(text);
    last.strip_prefix(web_prefix).unwrap_or(last)
}

/// The article of a class: `https://id.gs1.org/01/GTIN`, with a batch or without, `urn:epc:idpat:sgtin:…`,
/// `urn:epc:class:lgtin:…`.
pub(super) fn class_gtin(text: &str) -> Option<Gtin> {
    match text.strip_prefix("urn:epc:") {
        Some(rest) => epc_gtin(
            rest.strip_prefix("idpat:sgtin:")
                .or_else(|| rest.strip_prefix("class:lgtin:"))?,
        ),
        None => digital_link_gtin(text),
    }
}

/// The article of one piece: `https://id.gs1.org/01/GTIN/21/SERIAL`, `urn:epc:id:sgtin:…`.
pub(super) fn instance_gtin(text: &str) -> Option<Gtin> {
    match text.strip_prefix("urn:epc:id:sgtin:") {
        Some(rest) => epc_gtin(rest),
        None => digital_link_gtin(text),
    }
}

fn digital_link_gtin(text: &str) -> Option<Gtin> {
    let key = after_key(text, "/01/")?;
    if !matches!(key.len(), 8 | 12..=14) {
        return None;
    }
    Gtin::new(decimal(key)?)
}

/// `PREFIX.INDICATOR_AND_ITEM.REST`: 13 digits without the check digit, the indicator in front of the item.
fn epc_gtin(text: &str) -> Option<Gtin> {
    let mut parts = text.split('.');
    let (prefix, item, _rest) = (parts.next()?, parts.next()?, parts.next()?);
    if !(6..=12).contains(&prefix.len()) || prefix.len() + item.len() != 13 {
        return None;
    }
    let (indicator, item) = item.split_at_checked(1)?;
    let item_value = if item.is_empty() { 0 } else { decimal(item)? };
    let body = (decimal(indicator)? * 10_u64.pow(prefix.len() as u32) + decimal(prefix)?)
        * 10_u64.pow(item.len() as u32)
        + item_value;
    Gtin::from_body(body)
}

/// A place of ours: `https://id.gs1.org/414/GLN/254/EXTENSION` or `urn:epc:id:sgln:PREFIX.PLACE.EXTENSION`.
pub(super) fn place(text: &str) -> Option<Place> {
    let (body, extension) = if let Some(rest) = text.strip_prefix("urn:epc:id:sgln:") {
        let mut parts = rest.split('.');
        let (prefix, place, extension) = (parts.next()?, parts.next()?, parts.next()?);
        if prefix.len() + place.len() != 12 {
            return None;
        }
        let place_value = if place.is_empty() { 0 } else { decimal(place)? };
        (
            decimal(prefix)? * 10_u64.pow(place.len() as u32) + place_value,
            Some(extension),
        )
    } else {
        let gln = after_key(text, "/414/")?;
        let value = decimal(gln)?;
        if gln.len() != 13 || u64::from(check_digit(value / 10)) != value % 10 {
            return None;
        }
        (value / 10, after_key(text, "/254/"))
    };
    let number = body.checked_sub(GLN_PREFIX).filter(|number| *number < 100_000)?;
    let location = LocationId::from_copybook_number(number as u32)?;
    Some(Place {
        location,
        extension: extension.and_then(decimal).filter(|extension| *extension != 0),
    })
}

/// The number of a despatch advice: what stands behind the last `:` or `/`.
pub(super) fn despatch_advice(text: &str) -> Option<u64> {
    decimal(text.rsplit([':', '/']).next()?)
}

/// What stands behind a key of a Digital Link, up to the next key or the query.
fn after_key<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(key)?;
    rest.split(['/', '?', '#']).next()
}

fn decimal(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_article_is_found_in_all_its_spellings() {
        let gtin = Gtin::new(614_141_999_996);
        assert!(gtin.is_some());
        for text in [
            "https://id.gs1.org/01/00614141999996",
            "https://id.gs1.org/01/00614141999996/10/LOT7",
            "https://example.com/some/path/01/614141999996?17=250101",
            "urn:epc:idpat:sgtin:0614141.099999.*",
            "urn:epc:class:lgtin:0614141.099999.LOT7",
        ] {
            assert_eq!(class_gtin(text), gtin, "{text}");
        }
        for text in [
            "https://id.gs1.org/01/00614141999996/21/2017",
            "urn:epc:id:sgtin:0614141.099999.2017",
        ] {
            assert_eq!(instance_gtin(text), gtin, "{text}");
        }
        for text in [
            "",
            "https://id.gs1.org/01/00614141999995",
            "https://id.gs1.org/01/",
            "urn:epc:idpat:sgtin:0614141.99999.*",
            "urn:epc:idpat:sgtin:061414é.099999.*",
            "urn:epc:idpat:sgtin:0614141",
            "urn:epc:id:sscc:0614141.1234567890",
        ] {
            assert_eq!(class_gtin(text), None, "{text}");
        }
    }

    #[test]
    fn one_place_is_found_in_both_its_spellings() {
        for text in [
            "https://id.gs1.org/414/0614141000425/254/3",
            "urn:epc:id:sgln:0614141.00042.3",
        ] {
            let place = place(text).expect("a place");
            assert_eq!(
                (place.location, place.extension),
                (LocationId::store(42), Some(3)),
                "{text}"
            );
        }
        assert!(
            place("urn:epc:id:sgln:0614141.00042.0")
                .expect("a place")
                .extension
                .is_none()
        );
        for text in [
            "",
            "https://id.gs1.org/414/0614141000424",
            "https://id.gs1.org/414/9999999000429",
            "urn:epc:id:sgln:0614141.70000.0",
        ] {
            assert!(place(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_word_is_found_in_all_its_spellings() {
        for text in [
            "receiving",
            "urn:epcglobal:cbv:bizstep:receiving",
            "https://ref.gs1.org/cbv/BizStep-receiving",
            "cbv:BizStep-receiving",
        ] {
            assert_eq!(word(text, "BizStep-"), "receiving");
        }
    }
}

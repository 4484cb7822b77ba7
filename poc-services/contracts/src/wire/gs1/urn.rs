//! EPC URNs: the indicator or extension digit stands before the reference, the check digit is not written.

use std::borrow::Cow;

use super::{Gln, Key, PrefixLength, Sscc, decimal, escaped, is_part, unescaped};
use crate::ids::Gtin;

pub(super) fn read(text: &str) -> Option<Key<'_>> {
    let (kind, rest) = text.strip_prefix("urn:epc:")?.split_once(':')?;
    let (scheme, rest) = rest.split_once(':')?;
    let article = || -> Option<(Gtin, &str)> {
        let (prefix, rest) = rest.split_once('.')?;
        let (reference, rest) = rest.split_once('.')?;
        Some((Gtin::from_body(indicator_first(prefix, reference, 13)?)?, rest))
    };
    match (kind, scheme) {
        ("id", "sgtin") => {
            let (gtin, serial) = article()?;
            Some(Key::Article {
                gtin,
                lot: None,
                serial: Some(part(serial)?),
            })
        }
        ("idpat", "sgtin") => {
            let (gtin, star) = article()?;
            (star == "*").then_some(Key::class(gtin))
        }
        ("class", "lgtin") => {
            let (gtin, lot) = article()?;
            Some(Key::Article {
                gtin,
                lot: Some(part(lot)?),
                serial: None,
            })
        }
        ("id", "sgln") => {
            let (prefix, rest) = rest.split_once('.')?;
            let (reference, extension) = rest.split_once('.')?;
            Some(Key::Place {
                gln: Gln::from_body(joined(prefix, reference, 12)?)?,
                extension: if extension == "0" {
                    None
                } else {
                    Some(part(extension)?)
                },
            })
        }
        ("id", "sscc") => {
            let (prefix, reference) = rest.split_once('.')?;
            Some(Key::LogisticUnit(Sscc::from_body(indicator_first(
                prefix, reference, 17,
            )?)?))
        }
        _ => None,
    }
}

/// The number of `digits` digits with the first of the reference in front.
fn indicator_first(prefix: &str, reference: &str, digits: usize) -> Option<u64> {
    let (indicator, reference) = reference.split_at_checked(1)?;
    let body = joined(prefix, reference, digits - 1)?;
    Some(decimal(indicator)? * 10_u64.pow(digits as u32 - 1) + body)
}

fn joined(prefix: &str, reference: &str, digits: usize) -> Option<u64> {
    if !(6..=12).contains(&prefix.len()) || prefix.len() + reference.len() != digits {
        return None;
    }
    let low = if reference.is_empty() {
        0
    } else {
        decimal(reference)?
    };
    Some(decimal(prefix)? * 10_u64.pow(reference.len() as u32) + low)
}

fn part(text: &str) -> Option<Cow<'_, str>> {
    let well_formed = text.bytes().all(|byte| byte == b'%' || is_free(byte));
    let part = well_formed.then(|| unescaped(text)).flatten()?;
    is_part(&part).then_some(part)
}

/// What stands for itself in a URN.
const fn is_free(byte: u8) -> bool {
    matches!(byte, b'!' | b'\''..=b'.' | b'0'..=b';' | b'=' | b'A'..=b'Z' | b'_' | b'a'..=b'z')
}

pub(super) fn write(key: &Key<'_>, PrefixLength(prefix): PrefixLength) -> Option<String> {
    let width = usize::from(prefix);
    let article = |gtin: Gtin| {
        let digits = format!("{gtin}");
        format!(
            "{}.{}{}",
            &digits[1..=width],
            &digits[..1],
            &digits[1 + width..13]
        )
    };
    Some(match key {
        Key::Article {
            gtin,
            lot: None,
            serial: None,
        } => format!("urn:epc:idpat:sgtin:{}.*", article(*gtin)),
        Key::Article {
            gtin,
            lot: None,
            serial: Some(serial),
        } => format!("urn:epc:id:sgtin:{}.{}", article(*gtin), escaped(serial, is_free)),
        Key::Article {
            gtin,
            lot: Some(lot),
            serial: None,
        } => format!("urn:epc:class:lgtin:{}.{}", article(*gtin), escaped(lot, is_free)),
        Key::Article { .. } => return None,
        Key::Place { gln, extension } => {
            let digits = format!("{:013}", gln.value());
            let extension = extension
                .as_ref()
                .map_or_else(|| "0".to_owned(), |text| escaped(text, is_free));
            format!(
                "urn:epc:id:sgln:{}.{}.{extension}",
                &digits[..width],
                &digits[width..12]
            )
        }
        Key::LogisticUnit(sscc) => {
            let digits = format!("{:018}", sscc.value());
            format!(
                "urn:epc:id:sscc:{}.{}{}",
                &digits[1..=width],
                &digits[..1],
                &digits[1 + width..17]
            )
        }
    })
}

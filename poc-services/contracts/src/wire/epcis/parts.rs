//! Fields of an event that are more than a text: words of the vocabulary, places, papers, declarations.

use std::borrow::Cow;

use super::LIST_MAX;
use super::capture::{Declaration, EventId};
use super::error::{Fault, ParseError};
use super::identifier::word;
use super::read::{extension, instant, list, number, object, text, uri};
use super::vocabulary::{Disposition, Reason};
use crate::wire::gs1::decimal;
use crate::wire::json::Reader;

pub(super) fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), ParseError> {
    if slot.replace(value).is_some() {
        return Err(Fault::Twice.into());
    }
    Ok(())
}

pub(super) fn check_length(index: usize) -> Result<(), ParseError> {
    if index >= LIST_MAX {
        return Err(Fault::TooMany {
            what: "elements of a list",
            most: LIST_MAX,
        }
        .into());
    }
    Ok(())
}

/// A word of the standard's, in any spelling; `None` for a URI of somebody else's.
pub(super) fn vocabulary<T>(
    text: &str,
    prefix: &str,
    from_word: impl Fn(&str) -> Option<T>,
    expected: &'static str,
) -> Result<Option<T>, ParseError> {
    if let Some(found) = from_word(text) {
        return Ok(Some(found));
    }
    let standard = ["urn:epcglobal:cbv:", "https://ref.gs1.org/cbv/", "cbv:"]
        .iter()
        .any(|start| text.starts_with(start));
    if standard && let Some(found) = from_word(word(text, prefix)) {
        return Ok(Some(found));
    }
    if standard || !super::uri::is_uri(text) {
        return Err(ParseError::value(expected, text));
    }
    Ok(None)
}

pub(super) fn disposition(reader: &mut Reader<'_>) -> Result<Option<Disposition>, ParseError> {
    let text = text(reader)?;
    vocabulary(&text, "Disp-", Disposition::from_word, "disposition")
}

pub(super) fn persistent_disposition(reader: &mut Reader<'_>) -> Result<(), ParseError> {
    let mut any = false;
    object(reader, |reader, key| match key {
        "set" | "unset" => {
            any = true;
            let count = list(reader, |reader, _| disposition(reader).map(|_| ()))?;
            if count == 0 {
                return Err(Fault::Rule("the list is empty").into());
            }
            Ok(())
        }
        _ => Err(Fault::Unknown.into()),
    })?;
    if any {
        Ok(())
    } else {
        Err(Fault::Missing {
            field: "set or unset",
        }
        .into())
    }
}

/// Of a read point or business location.
pub(super) fn id<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, ParseError> {
    let mut found = None;
    object(reader, |reader, key| {
        if key == "id" {
            return once(&mut found, uri(reader)?);
        }
        reader.skip()?;
        Ok(())
    })?;
    found.ok_or_else(|| Fault::Missing { field: "id" }.into())
}

/// `{"type":…, NAME: URI}` and nothing else.
pub(super) fn typed<'a>(
    reader: &mut Reader<'a>,
    name: &'static str,
) -> Result<(Option<Cow<'a, str>>, Cow<'a, str>), ParseError> {
    let (mut kind, mut value) = (None, None);
    object(reader, |reader, key| match key {
        "type" => once(&mut kind, text(reader)?),
        _ if key == name => once(&mut value, uri(reader)?),
        _ => Err(Fault::Unknown.into()),
    })?;
    let value = value.ok_or(Fault::Missing { field: name })?;
    Ok((kind, value))
}

/// Of `stockstream:reader`.
pub(super) fn reader_unit(reader: &mut Reader<'_>) -> Result<u16, ParseError> {
    let text = number(reader)?;
    let value = decimal(text).and_then(|value| u16::try_from(value).ok());
    value.ok_or_else(|| ParseError::value("reader (0 to 65535)", text))
}

/// Of `stockstream:number`.
pub(super) fn running_number(reader: &mut Reader<'_>) -> Result<u64, ParseError> {
    let text = number(reader)?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let value = plain.then(|| text.parse().ok()).flatten();
    value.ok_or_else(|| ParseError::value("running number", text))
}

pub(super) fn declaration(reader: &mut Reader<'_>) -> Result<Declaration, ParseError> {
    let (mut at, mut reason) = (None, None);
    let (mut declared_by, mut running_number) = (None, None);
    let mut corrective = Vec::new();
    object(reader, |reader, key| match key {
        "declarationTime" => once(&mut at, instant(reader)?),
        "reason" => {
            let text = text(reader)?;
            reason = vocabulary(&text, "ER-", Reason::from_word, "reason")?;
            Ok(())
        }
        "correctiveEventIDs" => {
            list(reader, |reader, index| {
                check_length(index)?;
                match uri(reader)?.parse::<EventId>() {
                    Ok(id) => corrective.push(id),
                    Err(never) => match never {},
                }
                Ok(())
            })?;
            Ok(())
        }
        "stockstream:reader" => once(&mut declared_by, reader_unit(reader)?),
        "stockstream:number" => once(&mut running_number, self::running_number(reader)?),
        _ => extension(reader, key),
    })?;
    Ok(Declaration {
        at: at.ok_or(Fault::Missing {
            field: "declarationTime",
        })?,
        reason,
        corrective,
        reader: declared_by,
        running_number,
    })
}

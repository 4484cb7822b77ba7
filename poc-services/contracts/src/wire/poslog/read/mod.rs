//! The reading half: the document and what all transactions have.

mod inventory;
mod retail;

use super::{
    TRANSACTIONS_MAX,
    codes::{CodeList as _, Coded, ControlKind, Text},
    cursor::{Cursor, Refusal, Tag},
    decimal,
    error::ParseError,
    model::{ControlEvent, Dialect, Document, Transaction, TransactionLink},
    namespaces::Space,
    stamp::{self, Stamp},
};

/// Reads a document as a whole. What it says is borrowed from its bytes.
pub fn parse(document: &[u8]) -> Result<Document<'_>, ParseError> {
    read(document).map_err(|refusal| *refusal.0)
}

fn read(document: &[u8]) -> Result<Document<'_>, Refusal> {
    let mut cursor = Cursor::new(document)?;
    let root = cursor.root()?;
    let not_poslog = |found: &str| {
        Refusal::from(ParseError::NotPosLog {
            found: found.chars().take(40).collect(),
        })
    };
    if root.name != "POSLog" || cursor.space() != Space::PosLog {
        return Err(not_poslog(root.name));
    }
    // 6.0 has to say so; feeds of the older dialects often say nothing.
    let mut dialect = Some(Dialect::V2);
    cursor.attributes(&root, |name, value| {
        if name == "MajorVersion" {
            dialect = match &*value {
                "6" => Some(Dialect::V6),
                "2" => Some(Dialect::V2),
                _ => None,
            };
        }
        Some(())
    })?;
    let dialect = dialect.ok_or_else(|| not_poslog("POSLog of another MajorVersion"))?;
    let mut transactions = Vec::new();
    while let Some(tag) = cursor.child()? {
        if tag.name != "Transaction" {
            cursor.skip()?;
            continue;
        }
        if transactions.len() == TRANSACTIONS_MAX {
            return Err(cursor.bound("transactions"));
        }
        cursor.transaction = transactions.len() + 1;
        transactions.push(transaction(&mut cursor, &tag)?);
    }
    cursor.end()?;
    Ok(Document {
        dialect,
        transactions,
        unread: cursor.unread,
    })
}

fn transaction<'a>(cursor: &mut Cursor<'a>, tag: &Tag<'a>) -> Result<Transaction<'a>, Refusal> {
    let mut out = Transaction::default();
    cursor.attributes(tag, |name, value| {
        match name {
            "TrainingModeFlag" => out.flags.training = flag(&value)?,
            "CancelFlag" => out.flags.cancelled = flag(&value)?,
            "OfflineFlag" => out.flags.offline = flag(&value).unwrap_or_default(),
            _ => {}
        }
        Some(())
    })?;
    let (mut store, mut workstation, mut number) = (None, None, None);
    while let Some(tag) = cursor.child()? {
        match tag.name {
            "BusinessUnit" | "RetailStoreID" => {
                let value = place_number(&cursor.first_text()?);
                set_once(cursor, &mut store, "the store's number", value)?;
            }
            "WorkstationID" => {
                let value = place_number(&cursor.text()?);
                set_once(cursor, &mut workstation, "WorkstationID", value)?;
            }
            "SequenceNumber" => {
                let value = decimal::number(&cursor.text()?);
                set_once(cursor, &mut number, "SequenceNumber", value)?;
            }
            "BusinessDayDate" => {
                let value = stamp::read_day(&cursor.first_text()?);
                set_once(cursor, &mut out.business_day, "BusinessDayDate", value)?;
            }
            "BeginDateTime" => {
                let value = Stamp::read(&cursor.text()?);
                set_once(cursor, &mut out.begin, "BeginDateTime", value)?;
            }
            "EndDateTime" => {
                let value = Stamp::read(&cursor.text()?);
                set_once(cursor, &mut out.end, "EndDateTime", value)?;
            }
            "TransactionID" => out.id = some_text(cursor.text()?),
            "OperatorID" => out.operator = some_text(cursor.text()?),
            "TillID" => out.till = some_text(cursor.text()?),
            "CurrencyCode" => out.currency = some_text(cursor.text()?),
            "RetailTransaction" => {
                if out.retail.is_some() {
                    return Err(cursor.unreadable("RetailTransaction"));
                }
                out.retail = Some(retail::retail(cursor, &tag)?);
            }
            "ControlTransaction" => control(cursor, &mut out.control)?,
            "InventoryControlTransaction" | "InventoryTransaction" => {
                inventory::documents(cursor, &mut out.inventory)?;
            }
            _ => cursor.skip()?,
        }
    }
    out.store = store.ok_or_else(|| cursor.unreadable("the store's number"))?;
    out.workstation = workstation.ok_or_else(|| cursor.unreadable("WorkstationID"))?;
    out.number = number.ok_or_else(|| cursor.unreadable("SequenceNumber"))?;
    Ok(out)
}

fn control<'a>(cursor: &mut Cursor<'a>, out: &mut Vec<ControlEvent<'a>>) -> Result<(), Refusal> {
    while let Some(tag) = cursor.child()? {
        if matches!(tag.name, "Shift" | "ReasonCode") {
            cursor.skip()?;
            continue;
        }
        cursor.count_line()?;
        let kind = match ControlKind::from_code(tag.name) {
            Some(kind) => Coded::Known(kind),
            None => Coded::Other(Text::Borrowed(tag.name)),
        };
        let link = if kind.is(ControlKind::PostVoid) {
            post_void_link(cursor)?
        } else {
            cursor.skip()?;
            None
        };
        out.push(ControlEvent { kind, link });
    }
    Ok(())
}

/// In a `TransactionLink`, or its parts right here.
fn post_void_link<'a>(cursor: &mut Cursor<'a>) -> Result<Option<TransactionLink<'a>>, Refusal> {
    let mut parts = TransactionLink::default();
    let mut link = None;
    while let Some(tag) = cursor.child()? {
        if tag.name == "TransactionLink" {
            let value = transaction_link(cursor, &tag)?;
            set_once(cursor, &mut link, "TransactionLink", Some(value))?;
        } else {
            link_part(cursor, &tag, &mut parts)?;
        }
    }
    Ok(link.or_else(|| (parts != TransactionLink::default()).then_some(parts)))
}

fn transaction_link<'a>(cursor: &mut Cursor<'a>, tag: &Tag<'a>) -> Result<TransactionLink<'a>, Refusal> {
    let mut link = TransactionLink::default();
    cursor.attributes(tag, |name, value| {
        if name == "ReasonCode" {
            link.reason = some_text(value);
        }
        Some(())
    })?;
    while let Some(tag) = cursor.child()? {
        link_part(cursor, &tag, &mut link)?;
    }
    Ok(link)
}

fn link_part<'a>(
    cursor: &mut Cursor<'a>,
    tag: &Tag<'a>,
    link: &mut TransactionLink<'a>,
) -> Result<(), Refusal> {
    match tag.name {
        "TransactionID" => link.id = some_text(cursor.text()?),
        "BusinessUnit" | "RetailStoreID" => {
            let value = place_number(&cursor.first_text()?);
            link.store = read_or_count(cursor, value);
        }
        "WorkstationID" => {
            let value = place_number(&cursor.text()?);
            link.workstation = read_or_count(cursor, value);
        }
        "BusinessDayDate" => {
            let value = stamp::read_day(&cursor.first_text()?);
            link.business_day = read_or_count(cursor, value);
        }
        "SequenceNumber" => {
            let value = decimal::number(&cursor.text()?);
            link.number = read_or_count(cursor, value);
        }
        "LineItemSequenceNumber" => {
            let value = line_number(&cursor.text()?);
            link.line = read_or_count(cursor, value);
        }
        _ => cursor.skip()?,
    }
    Ok(())
}

/// For what decides: refused if it cannot be read or stands twice.
fn set_once<T>(
    cursor: &Cursor<'_>,
    slot: &mut Option<T>,
    field: &'static str,
    value: Option<T>,
) -> Result<(), Refusal> {
    match value {
        Some(value) if slot.is_none() => {
            *slot = Some(value);
            Ok(())
        }
        _ => Err(cursor.unreadable(field)),
    }
}

/// For what does not decide.
fn read_or_count<T>(cursor: &mut Cursor<'_>, value: Option<T>) -> Option<T> {
    cursor.unread = cursor.unread.saturating_add(u32::from(value.is_none()));
    value
}

fn some_text(text: Text<'_>) -> Option<Text<'_>> {
    (!text.is_empty()).then_some(text)
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn place_number(text: &str) -> Option<u16> {
    decimal::number(text).and_then(|number| u16::try_from(number).ok())
}

fn line_number(text: &str) -> Option<u32> {
    decimal::number(text).and_then(|number| u32::try_from(number).ok())
}

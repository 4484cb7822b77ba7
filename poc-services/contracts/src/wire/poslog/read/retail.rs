//! Receipts.

use super::super::{
    codes::{Coded, Text},
    cursor::{Cursor, Refusal, Tag},
    decimal,
    retail::{Item, ItemCode, ItemId, Line, LineKind, Measured, Retail, Tender, Total, Voids},
    stamp::Stamp,
    stock::may_move,
};
use super::{flag, line_number, read_or_count, set_once, some_text, transaction_link};
use crate::ids::{Gtin, Money, Sku};

/// What a receipt says of its own length is believed up to here.
const ITEMS_EXPECTED_MAX: u32 = 64;

pub(super) fn retail<'a>(cursor: &mut Cursor<'a>, tag: &Tag<'a>) -> Result<Retail<'a>, Refusal> {
    let mut out = Retail::default();
    cursor.attributes(tag, |name, value| {
        if name == "TransactionStatus" {
            out.status = some_text(value).map(Coded::from_code);
        }
        Some(())
    })?;
    while let Some(tag) = cursor.child()? {
        match tag.name {
            "LineItem" => {
                cursor.count_line()?;
                cursor.line = out.lines.len() + 1;
                out.lines.push(line(cursor, &tag)?);
                cursor.line = 0;
            }
            "Total" => {
                cursor.count_line()?;
                out.totals.push(total(cursor, &tag)?);
            }
            "ItemCount" => {
                // Only to make room.
                let items = line_number(&cursor.text()?).unwrap_or_default();
                out.lines
                    .reserve(cursor.room_for(items.min(ITEMS_EXPECTED_MAX) as usize + 4));
            }
            "LoyaltyAccount" => out.loyalty_account = some_text(cursor.first_text()?),
            "TransactionLink" => {
                let link = transaction_link(cursor, &tag)?;
                // The one that is taken up says more than others.
                if out.link.as_ref().is_none_or(|known| known.reason.is_none()) {
                    out.link = Some(link);
                }
            }
            _ => cursor.skip()?,
        }
    }
    Ok(out)
}

fn line<'a>(cursor: &mut Cursor<'a>, tag: &Tag<'a>) -> Result<Line<'a>, Refusal> {
    let mut out = Line::from(LineKind::Empty);
    cursor.attributes(tag, |name, value| {
        match name {
            "VoidFlag" => out.void = flag(&value)?,
            "CancelFlag" => out.cancelled = flag(&value)?,
            "EntryMethod" => out.entry = some_text(value).map(Coded::from_code),
            _ => {}
        }
        Some(())
    })?;
    while let Some(tag) = cursor.child()? {
        let kind = match tag.name {
            "SequenceNumber" => {
                let value = line_number(&cursor.text()?);
                set_once(cursor, &mut out.number, "SequenceNumber", value)?;
                continue;
            }
            "DateTime" => {
                let value = Stamp::read(&cursor.text()?);
                out.at = read_or_count(cursor, value);
                continue;
            }
            "Voids" => {
                let value = voids(cursor)?;
                set_once(cursor, &mut out.voids, "Voids", Some(value))?;
                continue;
            }
            "Sale" => LineKind::Sale(item(cursor, &tag)?),
            "Return" => LineKind::Return(item(cursor, &tag)?),
            "Tender" => LineKind::Tender(tender(cursor, &tag)?),
            "Tax" => LineKind::Tax(amount_inside(cursor)?),
            "Discount" => LineKind::Discount(amount_inside(cursor)?),
            "TenderChange" => LineKind::Change(amount_inside(cursor)?),
            "Deposit" => LineKind::Deposit(amount_inside(cursor)?),
            "Coupon" => LineKind::Coupon(amount_inside(cursor)?),
            "LoyaltyReward" => LineKind::Loyalty {
                promotion: promotion(cursor)?,
            },
            name => {
                cursor.skip()?;
                // What says how the line came in stands beside its body.
                if out.kind != LineKind::Empty && !may_move(name) {
                    continue;
                }
                LineKind::Other(Text::Borrowed(name))
            }
        };
        match &out.kind {
            LineKind::Empty => {}
            LineKind::Other(name) if !may_move(name) => {}
            _ => return Err(cursor.unreadable("a second body")),
        }
        out.kind = kind;
    }
    Ok(out)
}

fn voids<'a>(cursor: &mut Cursor<'a>) -> Result<Voids<'a>, Refusal> {
    let (mut line, mut quantity) = (None, None);
    while let Some(tag) = cursor.child()? {
        match tag.name {
            "ItemLink" => {
                let value = line_number(&cursor.first_text()?);
                set_once(cursor, &mut line, "Voids/ItemLink", value)?;
            }
            "Quantity" => {
                let value = measured(cursor, &tag, "Voids/Quantity")?;
                set_once(cursor, &mut quantity, "Voids/Quantity", Some(value))?;
            }
            _ => cursor.skip()?,
        }
    }
    Ok(Voids {
        line: line.ok_or_else(|| cursor.unreadable("Voids/ItemLink"))?,
        quantity,
    })
}

fn item<'a>(cursor: &mut Cursor<'a>, tag: &Tag<'a>) -> Result<Item<'a>, Refusal> {
    let mut out = Item::default();
    cursor.attributes(tag, |name, value| {
        if name == "ItemType" {
            out.item_type = some_text(value).map(Coded::from_code);
        }
        Some(())
    })?;
    while let Some(tag) = cursor.child()? {
        match tag.name {
            "POSIdentity" => pos_identity(cursor, &tag, &mut out.id)?,
            "ItemID" => item_id(cursor, &tag, &mut out.id)?,
            "Quantity" => {
                let value = measured(cursor, &tag, "Quantity")?;
                set_once(cursor, &mut out.quantity, "Quantity", Some(value))?;
            }
            "Description" => out.description = some_text(cursor.text()?),
            "MerchandiseHierarchy" => department(cursor, &tag, &mut out.department)?,
            "UnitListPrice" => out.list_price = amount(cursor)?,
            "RegularSalesUnitPrice" => out.regular_price = amount(cursor)?,
            "ActualSalesUnitPrice" => out.actual_price = amount(cursor)?,
            "ExtendedAmount" => out.extended_amount = amount(cursor)?,
            "DiscountAmount" => out.discount = amount(cursor)?,
            "TransactionLink" => out.link = Some(transaction_link(cursor, &tag)?),
            "Disposal" => {
                let mut method = Text::Borrowed("");
                cursor.attributes(&tag, |name, value| {
                    if name == "Method" {
                        method = value;
                    }
                    Some(())
                })?;
                cursor.skip()?;
                set_once(
                    cursor,
                    &mut out.disposal,
                    "Disposal",
                    Some(Coded::from_code(method)),
                )?;
            }
            "Reason" => out.reason = some_text(cursor.text()?),
            _ => cursor.skip()?,
        }
    }
    Ok(out)
}

fn department<'a>(cursor: &mut Cursor<'a>, tag: &Tag<'a>, out: &mut Option<Text<'a>>) -> Result<(), Refusal> {
    let mut is_department = true;
    cursor.attributes(tag, |name, value| {
        if name == "Level" {
            is_department = value == "Department";
        }
        Some(())
    })?;
    let text = cursor.text()?;
    if is_department {
        *out = some_text(text);
    }
    Ok(())
}

fn pos_identity<'a>(cursor: &mut Cursor<'a>, tag: &Tag<'a>, out: &mut ItemId<'a>) -> Result<(), Refusal> {
    let mut kind = Text::Borrowed("");
    cursor.attributes(tag, |name, value| {
        if name == "POSIDType" {
            kind = value;
        }
        Some(())
    })?;
    while let Some(tag) = cursor.child()? {
        if tag.name == "POSItemID" {
            let text = cursor.text()?;
            let code = match &*kind {
                "SKU" => return identify(cursor, out, "POSItemID", read_sku(&text), None, text),
                "PLU" => read_plu(&text).or_else(|| read_code(&text)),
                _ => read_code(&text),
            };
            identify(cursor, out, "POSItemID", None, code, text)?;
        } else {
            cursor.skip()?;
        }
    }
    Ok(())
}

/// Without a type, up to nine digits are a SKU; feeds put GTINs here as well.
pub(super) fn item_id<'a>(
    cursor: &mut Cursor<'a>,
    tag: &Tag<'a>,
    out: &mut ItemId<'a>,
) -> Result<(), Refusal> {
    let mut kind = Text::Borrowed("");
    cursor.attributes(tag, |name, value| {
        if name == "Type" {
            kind = value;
        }
        Some(())
    })?;
    let text = cursor.text()?;
    let (sku, code) = match &*kind {
        "SKU" => (read_sku(&text), None),
        "GTIN" | "EAN" | "UPC" => (None, read_code(&text)),
        "PLU" => (None, read_plu(&text)),
        "" => {
            let sku = read_sku(&text);
            (sku, if sku.is_none() { read_code(&text) } else { None })
        }
        // A number of somebody else's: the supplier's, for instance.
        _ => (None, None),
    };
    identify(cursor, out, "ItemID", sku, code, text)
}

/// The first code counts, since others name its variants; two SKUs contradict each other.
fn identify<'a>(
    cursor: &Cursor<'a>,
    out: &mut ItemId<'a>,
    field: &'static str,
    sku: Option<Sku>,
    code: Option<ItemCode>,
    text: Text<'a>,
) -> Result<(), Refusal> {
    match (sku, code) {
        (Some(sku), _) => match out.sku {
            Some(known) if known != sku => return Err(cursor.unreadable(field)),
            _ => out.sku = Some(sku),
        },
        (None, Some(code)) => out.code = out.code.or(Some(code)),
        (None, None) => {
            if out.unread.is_none() {
                out.unread = some_text(text);
            }
        }
    }
    Ok(())
}

fn read_sku(text: &str) -> Option<Sku> {
    if text.len() > 9 {
        return None;
    }
    decimal::number(text).map(|number| Sku(number as u32))
}

fn read_plu(text: &str) -> Option<ItemCode> {
    if text.len() > 5 {
        return None;
    }
    decimal::number(text).map(|number| ItemCode::Plu(number as u32))
}

fn read_code(text: &str) -> Option<ItemCode> {
    match text.len() {
        4 | 5 => read_plu(text),
        8 | 12 | 13 | 14 => decimal::number(text).and_then(Gtin::new).map(ItemCode::Gtin),
        _ => None,
    }
}

pub(super) fn measured<'a>(
    cursor: &mut Cursor<'a>,
    tag: &Tag<'a>,
    field: &'static str,
) -> Result<Measured<'a>, Refusal> {
    let (mut unit, mut units) = (None, None);
    cursor.attributes(tag, |name, value| {
        match name {
            "UnitOfMeasureCode" => unit = some_text(value).map(Coded::from_code),
            "Units" => units = Some(decimal::quantity(&value)?),
            _ => {}
        }
        Some(())
    })?;
    let quantity = decimal::quantity(&cursor.text()?).ok_or_else(|| cursor.unreadable(field))?;
    Ok(Measured {
        quantity,
        unit,
        units,
    })
}

fn tender<'a>(cursor: &mut Cursor<'a>, tag: &Tag<'a>) -> Result<Tender<'a>, Refusal> {
    let mut out = Tender::default();
    cursor.attributes(tag, |name, value| {
        match name {
            "TenderType" => out.kind = some_text(value).map(Coded::from_code),
            "TypeCode" => out.direction = some_text(value).map(Coded::from_code),
            _ => {}
        }
        Some(())
    })?;
    while let Some(tag) = cursor.child()? {
        match tag.name {
            "Amount" => {
                cursor.attributes(&tag, |name, value| {
                    if name == "Currency" {
                        out.currency = some_text(value);
                    }
                    Some(())
                })?;
                out.amount = amount(cursor)?;
            }
            "TenderChange" => out.change = amount_inside(cursor)?,
            "Rounding" => out.rounding = amount(cursor)?,
            _ => cursor.skip()?,
        }
    }
    Ok(out)
}

fn total<'a>(cursor: &mut Cursor<'a>, tag: &Tag<'a>) -> Result<Total<'a>, Refusal> {
    let mut kind = None;
    cursor.attributes(tag, |name, value| {
        if name == "TotalType" {
            kind = some_text(value).map(Coded::from_code);
        }
        Some(())
    })?;
    Ok(Total {
        kind,
        amount: amount(cursor)?,
    })
}

fn promotion<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Text<'a>>, Refusal> {
    let mut promotion = None;
    while let Some(tag) = cursor.child()? {
        if tag.name == "PromotionID" {
            promotion = some_text(cursor.text()?);
        } else {
            cursor.skip()?;
        }
    }
    Ok(promotion)
}

/// The first `Amount` of the current element; closes it. A line of change has it in a second `TenderChange`.
fn amount_inside(cursor: &mut Cursor<'_>) -> Result<Option<Money>, Refusal> {
    let mut found = None;
    while let Some(tag) = cursor.child()? {
        match tag.name {
            "Amount" if found.is_none() => found = amount(cursor)?,
            "TenderChange" if found.is_none() => found = amount_inside(cursor)?,
            _ => cursor.skip()?,
        }
    }
    Ok(found)
}

/// Money moves no stock: what cannot be read is absent, and counted.
fn amount(cursor: &mut Cursor<'_>) -> Result<Option<Money>, Refusal> {
    let value = decimal::money(&cursor.text()?);
    Ok(read_or_count(cursor, value))
}

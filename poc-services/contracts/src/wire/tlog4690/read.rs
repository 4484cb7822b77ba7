//! The reading half. A receipt that is reused costs no allocation once its lists have grown.

use std::ops::Range;

use super::{
    END, Header, Item, ItemKind, Kept, KeptKind, Measure, NEXT_RECORD, QUOTE, RECEIPT_BYTES_MAX, RETURN_FLAG,
    Receipt, SEPARATOR, Tender, TenderKind, WEIGHED_FLAG,
    packed::{NotPacked, read as packed, read_fixed},
};
use crate::ids::{Money, Quantity, TimeMs};
use crate::wire::QUANTITY_MAX;
use crate::wire::civil::CivilTime;

/// Why a receipt is refused. Offsets count from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error(
        "{bytes} bytes are no receipt: it starts with 22, ends with 22 0D 0A and has at most 65,536 bytes"
    )]
    Frame { bytes: usize },
    #[error("header: {field} at byte {offset} cannot be read")]
    Header { field: &'static str, offset: usize },
    #[error("item entry: {field} at byte {offset} cannot be read")]
    Item { field: &'static str, offset: usize },
    #[error("item extension at byte {offset} belongs to no item entry, or is its second one")]
    Extension { offset: usize },
    #[error("item entry {ordinal} voids {voided}, which no earlier entry of the same item is")]
    Void { ordinal: u16, voided: u16 },
    #[error("transaction {number} voids the whole of transaction {voided}: its lines are not known here")]
    VoidsTransaction { number: u16, voided: i64 },
    #[error("a transaction of type {transaction_type} has item entries: only checkouts (type 0) move stock")]
    TransactionType { transaction_type: u8 },
}

impl ParseError {
    /// For machines: metrics and dead letters.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Frame { .. } => "bad-frame",
            Self::Header { .. } => "bad-header",
            Self::Item { .. } | Self::Extension { .. } => "bad-item",
            Self::Void { .. } => "bad-void",
            Self::VoidsTransaction { .. } => "transaction-void",
            Self::TransactionType { .. } => "transaction-type",
        }
    }
}

/// Reads one receipt, as [`super::frames`] cuts it out.
pub fn parse(receipt: &[u8]) -> Result<Receipt, ParseError> {
    let mut out = Receipt::default();
    out.read(receipt)?;
    Ok(out)
}

impl Receipt {
    /// As [`parse`], into a receipt that is used again. After an error its content means nothing.
    pub fn read(&mut self, receipt: &[u8]) -> Result<(), ParseError> {
        self.items.clear();
        self.void.clear();
        self.tenders.clear();
        self.kept.clear();
        (self.tax, self.change, self.training) = (Money(0), Money(0), false);

        let frame_error = ParseError::Frame { bytes: receipt.len() };
        if receipt.len() > RECEIPT_BYTES_MAX {
            return Err(frame_error);
        }
        let end = receipt
            .len()
            .checked_sub(END.len())
            .filter(|end| *end > 0)
            .ok_or(frame_error)?;
        if receipt[0] != QUOTE || receipt[end..] != END {
            return Err(frame_error);
        }
        let mut next = self.read_header(receipt, record_from(receipt, 1, end))?;
        let mut extendable = false;
        while let Some(start) = next {
            let record = record_from(receipt, start, end);
            next = following(&record, end);
            match receipt[record.clone()] {
                [] => {}
                [0x01, ..] => {
                    self.read_item(receipt, record)?;
                    extendable = true;
                }
                [0x02, ..] => {
                    if !extendable {
                        return Err(ParseError::Extension { offset: record.start });
                    }
                    self.read_extension(receipt, record)?;
                    extendable = false;
                }
                [0x05, ..] => self.read_tender(receipt, record),
                [0x07, ..] => self.read_tax(receipt, record),
                [0x09, ..] => self.read_change(receipt, record),
                [record_type, ..] => {
                    self.training |= record_type == 0x98;
                    self.kept.push(Kept {
                        kind: KeptKind::Record(record_type),
                        range: record,
                    });
                }
            }
        }
        if self.header.transaction_type != 0 && !self.items.is_empty() {
            return Err(ParseError::TransactionType {
                transaction_type: self.header.transaction_type,
            });
        }
        self.resolve_voids()
    }

    /// Gives where the next record starts.
    fn read_header(&mut self, receipt: &[u8], record: Range<usize>) -> Result<Option<usize>, ParseError> {
        let end = receipt.len() - END.len();
        let unreadable = |field, offset| ParseError::Header { field, offset };
        let mut fields = Fields::of(receipt, &record);
        let (offset, record_type) = fields.next_field();
        if record_type != [0x00] {
            return Err(unreadable("record type 00", offset));
        }
        let mut digits = |field, bytes: usize| {
            let (offset, text) = fields.next_field();
            let value = if text.is_empty() || text.len() > bytes {
                None
            } else {
                read_fixed(text)
            };
            value.map(|value| (value, text)).ok_or(unreadable(field, offset))
        };
        let (terminal, _) = digits("TerminalNumber", 2)?;
        let (number, _) = digits("TransactionNumber", 2)?;
        let date_offset = record.start + 8;
        let (_, date) = digits("DateTime", 5)?;
        let at = date_time(date).ok_or(unreadable("DateTime", date_offset))?;
        let (transaction_type, _) = digits("TransactionType", 1)?;
        self.header = Header {
            terminal: terminal as u16,
            number: number as u16,
            at,
            transaction_type: transaction_type as u8,
            strings: fields.number(),
            operator: fields.number(),
            password: fields.optional_number(),
            gross_positive: fields.money(),
            gross_negative: fields.money(),
            ring_seconds: fields.number(),
            tender_seconds: fields.number(),
            // SpecialTime stands between the two.
            inactive_seconds: {
                fields.next_field();
                fields.number()
            },
            flags: fields.number(),
        };
        // AltPrice
        fields.next_field();
        let (offset, void) = fields.next_field();
        match packed(void) {
            Ok(None | Some(0)) => {}
            Ok(Some(voided)) => {
                return Err(ParseError::VoidsTransaction {
                    number: self.header.number,
                    voided,
                });
            }
            Err(NotPacked) => return Err(unreadable("VoidTrc", offset)),
        }
        self.keep_trailing(0x00, fields.rest());
        Ok(following(&record, end))
    }

    fn read_item(&mut self, receipt: &[u8], record: Range<usize>) -> Result<(), ParseError> {
        let mut fields = Fields::of(receipt, &record);
        fields.next_field();
        let offset = fields.at;
        let item_code = fields.deciding("ItemCode")?.ok_or(ParseError::Item {
            field: "ItemCode",
            offset,
        })?;
        let extended_price = fields.money();
        let department = fields.number();
        let coupon_family = fields.number();
        let first = fields.deciding("INDICAT1")?.unwrap_or(0);
        let indicators = [
            first & !RETURN_FLAG,
            fields.number(),
            fields.number(),
            fields.number(),
        ];
        let ordinal = fields.number();
        let voids = fields.deciding("VoidedOrdinalNumber")?;
        self.keep_trailing(0x01, fields.rest());
        self.items.push(Item {
            item_code,
            department,
            extended_price,
            quantity: Quantity::ONE,
            measure: Measure::Each,
            unit_price: extended_price,
            kind: if first & RETURN_FLAG == 0 {
                ItemKind::Sale
            } else {
                ItemKind::Return
            },
            ordinal,
            voids,
            coupon_family,
            indicators,
        });
        Ok(())
    }

    fn read_extension(&mut self, receipt: &[u8], record: Range<usize>) -> Result<(), ParseError> {
        let mut fields = Fields::of(receipt, &record);
        // Type, MultiPricingGroup, DealQuantity, PricingMethod, SaleQuantity
        for _ in 0..5 {
            fields.next_field();
        }
        let unit_price = fields.money();
        let offset = fields.at;
        let amount = fields.deciding::<i64>("QtyOrWgtOrVol")?;
        let flags = fields.deciding::<u32>("INDICAT1 of the extension")?;
        self.keep_trailing(0x02, fields.rest());
        let Some(item) = self.items.last_mut() else {
            return Err(ParseError::Extension { offset: record.start });
        };
        item.unit_price = unit_price;
        let weighed = flags.unwrap_or(0) & WEIGHED_FLAG != 0;
        let thousandths = match (amount, weighed) {
            // An extension for a price alone.
            (None, false) => return Ok(()),
            (None, true) => None,
            (Some(thousandths), true) => Some(thousandths),
            (Some(units), false) => units.checked_mul(1000),
        };
        item.measure = if weighed { Measure::Weighed } else { Measure::Each };
        item.quantity = thousandths
            .filter(|thousandths| (0..=QUANTITY_MAX.0).contains(thousandths))
            .map(Quantity)
            .ok_or(ParseError::Item {
                field: "QtyOrWgtOrVol",
                offset,
            })?;
        Ok(())
    }

    fn read_tender(&mut self, receipt: &[u8], record: Range<usize>) {
        let mut fields = Fields::of(receipt, &record);
        fields.next_field();
        let kind = TenderKind::from_code(fields.number());
        self.tenders.push(Tender {
            kind,
            amount: fields.money(),
        });
        self.keep_trailing(0x05, fields.rest());
    }

    fn read_tax(&mut self, receipt: &[u8], record: Range<usize>) {
        let mut fields = Fields::of(receipt, &record);
        fields.next_field();
        for _ in 0..4 {
            self.tax.0 = self.tax.0.saturating_add(fields.money().0);
        }
        self.keep_trailing(0x07, fields.rest());
    }

    fn read_change(&mut self, receipt: &[u8], record: Range<usize>) {
        let mut fields = Fields::of(receipt, &record);
        fields.next_field();
        fields.next_field();
        self.change.0 = self.change.0.saturating_add(fields.money().0);
        self.keep_trailing(0x09, fields.rest());
    }

    fn keep_trailing(&mut self, record_type: u8, range: Range<usize>) {
        if !range.is_empty() {
            self.kept.push(Kept {
                kind: KeptKind::TrailingFields(record_type),
                range,
            });
        }
    }

    /// An entry that voids takes itself and one earlier entry of the same item out.
    fn resolve_voids(&mut self) -> Result<(), ParseError> {
        self.void.resize(self.items.len(), false);
        for index in 0..self.items.len() {
            let Item {
                voids: Some(voided),
                item_code,
                ordinal,
                ..
            } = self.items[index]
            else {
                continue;
            };
            let target = (0..index).rev().find(|earlier| {
                let item = &self.items[*earlier];
                item.ordinal == voided && item.item_code == item_code && !self.void[*earlier]
            });
            let target = target.ok_or(ParseError::Void { ordinal, voided })?;
            self.void[target] = true;
            self.void[index] = true;
        }
        Ok(())
    }
}

/// The record that starts at `start`: up to the next separator of records, or `end`.
fn record_from(receipt: &[u8], start: usize, end: usize) -> Range<usize> {
    let mut at = start;
    while let Some(found) = receipt[at..end].iter().position(|byte| *byte == NEXT_RECORD[1]) {
        at += found;
        if at > start && receipt[at - 1] == QUOTE && at + 1 < end && receipt[at + 1] == QUOTE {
            return start..at - 1;
        }
        at += 1;
    }
    start..end
}

/// Where the record behind this one starts.
fn following(record: &Range<usize>, end: usize) -> Option<usize> {
    (record.end < end).then(|| record.end + NEXT_RECORD.len())
}

fn date_time(digits: &[u8]) -> Option<TimeMs> {
    let [month, day, year, hour, minute] = *<&[u8; 5]>::try_from(digits).ok()?;
    let value = |byte: u8| (byte >> 4) * 10 + (byte & 0x0f);
    CivilTime {
        year: 2000 + i32::from(value(year)),
        month: value(month),
        day: value(day),
        hour: value(hour),
        minute: value(minute),
        second: 0,
        millisecond: 0,
    }
    .to_ms()
}

/// Fields of a record in their order; those that are left out at the end are empty.
struct Fields<'a> {
    receipt: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    fn of(receipt: &'a [u8], record: &Range<usize>) -> Self {
        Self {
            receipt,
            at: record.start,
            end: record.end,
        }
    }

    fn next_field(&mut self) -> (usize, &'a [u8]) {
        let start = self.at.min(self.end);
        let rest = &self.receipt[start..self.end];
        let length = rest
            .iter()
            .position(|byte| *byte == SEPARATOR)
            .unwrap_or(rest.len());
        self.at = start + length + 1;
        (start, &rest[..length])
    }

    fn rest(&self) -> Range<usize> {
        self.at.min(self.end)..self.end
    }

    /// A field that does not decide about stock: what cannot be read, or does not fit, is zero.
    fn number<T: TryFrom<i64> + Default>(&mut self) -> T {
        self.optional_number().unwrap_or_default()
    }

    fn optional_number<T: TryFrom<i64>>(&mut self) -> Option<T> {
        let value = packed(self.next_field().1).ok()??;
        T::try_from(value).ok()
    }

    fn money(&mut self) -> Money {
        Money(self.number())
    }

    /// A field that decides about stock: what cannot be read refuses the receipt.
    fn deciding<T: TryFrom<i64>>(&mut self, field: &'static str) -> Result<Option<T>, ParseError> {
        let (offset, text) = self.next_field();
        let unreadable = ParseError::Item { field, offset };
        match packed(text) {
            Ok(None) => Ok(None),
            Ok(Some(value)) => T::try_from(value).map(Some).map_err(|_| unreadable),
            Err(NotPacked) => Err(unreadable),
        }
    }
}

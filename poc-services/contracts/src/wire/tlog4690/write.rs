//! The writing half: appends a receipt's bytes to a buffer of the caller, without allocating but for its growth.

use super::{
    END, Header, Item, ItemKind, Measure, NEXT_RECORD, QUOTE, RETURN_FLAG, SEPARATOR, Tender, TenderKind,
    WEIGHED_FLAG,
    packed::{pair, push, push_fixed, push_signed},
};
use crate::ids::{Money, Quantity};
use crate::wire::civil::CivilTime;

/// Writes one receipt. Order of calls: [`ReceiptWriter::begin`], items, tax, tenders, change, [`ReceiptWriter::finish`];
/// a receipt that is not finished lacks its end.
#[derive(Debug)]
#[must_use = "a receipt needs its end: call finish"]
pub struct ReceiptWriter<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    records: u16,
}

/// Of a record that is not decoded here.
#[derive(Clone, Copy, Debug)]
pub enum Field<'a> {
    Number(i64),
    /// Holds none of the bytes that separate.
    Text(&'a [u8]),
}

/// Where NumberOfStrings stands in a receipt.
const STRINGS_AT: usize = 17;

impl<'a> ReceiptWriter<'a> {
    pub fn begin(out: &'a mut Vec<u8>, header: &Header) -> Self {
        let at = CivilTime::from_ms(header.at);
        let start = out.len();
        out.extend_from_slice(&[
            QUOTE,
            0x00,
            SEPARATOR,
            pair(u64::from(header.terminal / 100)),
            pair(u64::from(header.terminal)),
            SEPARATOR,
            pair(u64::from(header.number / 100)),
            pair(u64::from(header.number)),
            SEPARATOR,
            pair(u64::from(at.month)),
            pair(u64::from(at.day)),
            pair(at.year.rem_euclid(100) as u64),
            pair(u64::from(at.hour)),
            pair(u64::from(at.minute)),
            SEPARATOR,
            pair(u64::from(header.transaction_type)),
            SEPARATOR,
            pair(u64::from(header.strings / 100)),
            pair(u64::from(header.strings)),
            SEPARATOR,
        ]);
        let mut writer = Self {
            out,
            start,
            records: 1,
        };
        writer.field(u64::from(header.operator));
        if let Some(password) = header.password {
            push(writer.out, u64::from(password));
        }
        writer.out.push(SEPARATOR);
        writer.amount(header.gross_positive);
        writer.amount(header.gross_negative);
        writer.field(u64::from(header.ring_seconds));
        writer.field(u64::from(header.tender_seconds));
        // SpecialTime is left blank.
        writer.out.push(SEPARATOR);
        writer.field(u64::from(header.inactive_seconds));
        writer.field(u64::from(header.flags));
        // AltPrice 00, and no VoidTrc.
        writer.out.extend_from_slice(&[0x00, SEPARATOR]);
        writer
    }

    pub fn item(&mut self, item: &Item) {
        let return_flag = match item.kind {
            ItemKind::Sale => 0,
            ItemKind::Return => RETURN_FLAG,
        };
        self.record(0x01);
        self.field(item.item_code);
        self.amount(item.extended_price);
        self.field(u64::from(item.department));
        push_fixed(self.out, u64::from(item.coupon_family), 3);
        self.out.push(SEPARATOR);
        self.field(u64::from(item.indicators[0] & !RETURN_FLAG | return_flag));
        self.field(u64::from(item.indicators[1]));
        self.field(u64::from(item.indicators[2]));
        self.field(u64::from(item.indicators[3]));
        push(self.out, u64::from(item.ordinal));
        if let Some(voided) = item.voids {
            self.out.push(SEPARATOR);
            push(self.out, u64::from(voided));
        }
        let weighed = item.measure == Measure::Weighed || item.quantity.0 % 1000 != 0;
        if weighed || item.quantity != Quantity::ONE || item.unit_price != item.extended_price {
            self.extension(item, weighed);
        }
    }

    fn extension(&mut self, item: &Item, weighed: bool) {
        self.record(0x02);
        // MultiPricingGroup, DealQuantity, PricingMethod: none; SaleQuantity: the price is for one.
        self.out
            .extend_from_slice(&[0xf0, SEPARATOR, 0xf0, SEPARATOR, 0xf0, SEPARATOR, 0xf1, SEPARATOR]);
        self.amount(item.unit_price);
        if weighed {
            push_signed(self.out, item.quantity.0);
            self.out.push(SEPARATOR);
            push(self.out, u64::from(WEIGHED_FLAG));
        } else {
            push_signed(self.out, item.quantity.0 / 1000);
        }
    }

    /// Tax of plan A; the others are left out.
    pub fn tax(&mut self, amount: Money) {
        self.record(0x07);
        push_signed(self.out, amount.0);
    }

    pub fn tender(&mut self, tender: &Tender) {
        self.record(0x05);
        self.field(u64::from(tender.kind.code()));
        push_signed(self.out, tender.amount.0);
    }

    /// Change is given in cash.
    pub fn change(&mut self, amount: Money) {
        self.record(0x09);
        self.field(u64::from(TenderKind::Cash.code()));
        push_signed(self.out, amount.0);
    }

    /// Marks the transaction as written in training: it moves no stock.
    pub fn training(&mut self) {
        self.records += 1;
        self.out.extend_from_slice(&NEXT_RECORD);
        self.out.push(0x98);
    }

    /// A record of a retailer's own, type byte first, such as `99 3A …`. Its bytes are written as they are.
    pub fn record_bytes(&mut self, record: &[u8]) {
        self.records += 1;
        self.out.extend_from_slice(&NEXT_RECORD);
        self.out.extend_from_slice(record);
    }

    /// A record of a type that is not decoded here; see [`super::record_type`].
    pub fn other(&mut self, record_type: u8, fields: &[Field<'_>]) {
        self.records += 1;
        self.out.extend_from_slice(&NEXT_RECORD);
        self.out.push(record_type);
        self.appended(fields);
    }

    /// Fields that a retailer appended to the record that was written last.
    pub fn appended(&mut self, fields: &[Field<'_>]) {
        for field in fields {
            self.out.push(SEPARATOR);
            match field {
                Field::Number(number) => push_signed(self.out, *number),
                Field::Text(text) => self.out.extend_from_slice(text),
            }
        }
    }

    pub fn finish(self) {
        self.out.extend_from_slice(&END);
    }

    /// As [`ReceiptWriter::finish`]; NumberOfStrings becomes the count of records, the header among them.
    pub fn finish_counted(self) {
        let at = self.start + STRINGS_AT;
        let records = self.records.min(9_999);
        self.out[at] = pair(u64::from(records / 100));
        self.out[at + 1] = pair(u64::from(records));
        self.finish();
    }

    fn record(&mut self, record_type: u8) {
        self.records += 1;
        self.out
            .extend_from_slice(&[QUOTE, 0x2c, QUOTE, record_type, SEPARATOR]);
    }

    fn field(&mut self, value: u64) {
        push(self.out, value);
        self.out.push(SEPARATOR);
    }

    fn amount(&mut self, amount: Money) {
        push_signed(self.out, amount.0);
        self.out.push(SEPARATOR);
    }
}

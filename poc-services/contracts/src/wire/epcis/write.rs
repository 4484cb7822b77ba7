//! The writing half: appends a document to a buffer of the caller, without allocating but for its growth.

use super::number::{push_decimal, push_quantity};
use super::{BizStep, DESPATCH_ADVICE_URI, GLN_PREFIX, GTIN_URI, LOCATION_URI, ScanEvent, SubLocation};
use crate::ids::{LocationId, Quantity, TimeMs, check_digit};
use crate::wire::rfc3339::{push_instant, push_padded};

/// [`super::CONTEXT`], and what the prefix `stockstream` stands for ([`super::EXTENSION_NAMESPACE`]).
pub(super) const CONTEXT_LIST: &str = concat!(
    r#"["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld","#,
    r#"{"stockstream":"https://stockstream.example/epcis/"}]"#
);

/// Writes one document. Order of calls: [`DocumentWriter::begin`], events, [`DocumentWriter::finish`].
#[derive(Debug)]
#[must_use = "a document needs its end: call finish"]
pub struct DocumentWriter<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> DocumentWriter<'a> {
    pub fn begin(out: &'a mut Vec<u8>, created: TimeMs) -> Self {
        out.extend_from_slice(br#"{"@context":"#);
        out.extend_from_slice(CONTEXT_LIST.as_bytes());
        out.extend_from_slice(br#","type":"EPCISDocument","schemaVersion":"2.0","creationDate":""#);
        push_instant(out, created);
        out.extend_from_slice(br#"","epcisBody":{"eventList":["#);
        Self { out, empty: true }
    }

    pub fn event(&mut self, event: &ScanEvent<'_>) {
        self.next_event();
        self.text(r#"{"type":"ObjectEvent","eventTime":""#);
        push_instant(self.out, event.at);
        self.text(r#"","eventTimeZoneOffset":"+00:00","action":"OBSERVE","bizStep":""#);
        self.text(event.step.word());
        self.text(r#"","disposition":""#);
        self.text(event.step.disposition());
        self.text(r#"","readPoint":{"id":""#);
        self.place(event.location, event.sub_location);
        self.text(r#""},"bizLocation":{"id":""#);
        self.place(event.location, event.sub_location);
        self.text(r#""}"#);
        if let Some(advice) = event.despatch_advice {
            self.text(r#","bizTransactionList":[{"type":"desadv","bizTransaction":""#);
            self.text(DESPATCH_ADVICE_URI);
            push_gln(self.out, LocationId::warehouse(0));
            self.text(":");
            push_decimal(self.out, advice);
            self.text(r#""}]"#);
        }
        if event.lines.is_empty() {
            // The standard wants one of the two lists, and only this one may be empty.
            self.text(r#","epcList":[]"#);
        } else {
            self.text(r#","quantityList":["#);
            self.list(
                event,
                r#"{"epcClass":""#,
                r#"","quantity":"#,
                r#","uom":"KGM""#,
                |line| line.quantity,
            );
        }
        if event.step == BizStep::StockTaking && !event.lines.is_empty() {
            self.text(r#","stockstream:variance":["#);
            self.list(
                event,
                r#"{"stockstream:class":""#,
                r#"","stockstream:quantity":"#,
                "",
                super::ScanLine::variance,
            );
        }
        self.text(r#","stockstream:reader":"#);
        push_decimal(self.out, u64::from(event.reader));
        self.text(r#","stockstream:number":"#);
        push_decimal(self.out, event.running_number);
        self.out.push(b'}');
    }

    pub fn finish(self) {
        self.out.extend_from_slice(b"]}}");
    }

    /// Where the next event is to be appended.
    pub(super) fn next_event(&mut self) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// What is not whole pieces has a unit of measure, kilograms: a bare number counts pieces.
    fn list(
        &mut self,
        event: &ScanEvent<'_>,
        class: &str,
        quantity: &str,
        unit: &str,
        of: impl Fn(&super::ScanLine) -> Quantity,
    ) {
        for (index, line) in event.lines.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.text(class);
            self.text(GTIN_URI);
            push_padded(self.out, line.gtin.value(), 14);
            self.text(quantity);
            let quantity = of(line);
            push_quantity(self.out, quantity);
            if quantity.0 % 1000 != 0 && !unit.is_empty() {
                self.text(unit);
            }
            self.out.push(b'}');
        }
        self.out.push(b']');
    }

    fn place(&mut self, location: LocationId, sub_location: SubLocation) {
        self.text(LOCATION_URI);
        push_gln(self.out, location);
        self.text("/254/");
        self.out.push(b'0' + sub_location.extension());
    }
}

fn push_gln(out: &mut Vec<u8>, location: LocationId) {
    let body = GLN_PREFIX + u64::from(location.copybook_number());
    push_padded(out, body, 12);
    out.push(b'0' + check_digit(body));
}

//! The writing half: the schema's order, and nothing that the schema does not have.

mod inventory;
mod retail;

use super::{
    KIT_NAMESPACE, NAMESPACE, TEXT_BYTES_MAX,
    codes::{Coded, ControlKind, InventoryKind},
    cursor::is_xml_char,
    error::WriteError,
    model::{ControlEvent, Dialect, Transaction, TransactionLink},
    retail::{LineKind, Retail},
    stamp::{self, Stamp},
};
use crate::ids::{BusinessDay, Money, Quantity};

/// Writes a document, one transaction after the other.
///
/// ```
/// use contracts::wire::poslog::{Dialect, DocumentWriter, Transaction};
///
/// let mut bytes = Vec::new();
/// let mut writer = DocumentWriter::new(Dialect::V6, &mut bytes);
/// writer.transaction(&Transaction { store: 42, workstation: 3, number: 1187, ..Transaction::default() })?;
/// writer.finish();
/// # Ok::<(), contracts::wire::poslog::WriteError>(())
/// ```
#[derive(Debug)]
pub struct DocumentWriter<'o> {
    dialect: Dialect,
    out: &'o mut Vec<u8>,
}

/// Of a control event that this kit does not know.
const NAME_BYTES_MAX: usize = 64;

/// Amounts of lines: the schema has none that are negative.
const LINE_AMOUNT_MAX: i64 = 9_999_999_999;

impl<'o> DocumentWriter<'o> {
    /// Adds to what is in `out`.
    pub fn new(dialect: Dialect, out: &'o mut Vec<u8>) -> Self {
        let (major, minor, fix) = match dialect {
            Dialect::V6 => ("6", "0", "0"),
            Dialect::V2 => ("2", "2", "1"),
        };
        for part in [
            "<POSLog xmlns=\"",
            NAMESPACE,
            "\" xmlns:stockstream=\"",
            KIT_NAMESPACE,
            "\" MajorVersion=\"",
            major,
            "\" MinorVersion=\"",
            minor,
            "\" FixVersion=\"",
            fix,
            "\">",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
        Self { dialect, out }
    }

    /// Writes the whole transaction, or nothing of it.
    pub fn transaction(&mut self, transaction: &Transaction<'_>) -> Result<(), WriteError> {
        let start = self.out.len();
        let mut elements = Elements {
            dialect: self.dialect,
            number: transaction.number,
            out: self.out,
        };
        let result = elements.transaction(transaction);
        if result.is_err() {
            self.out.truncate(start);
        }
        result
    }

    pub fn finish(self) {
        self.out.extend_from_slice(b"</POSLog>");
    }
}

/// Writes the elements of one transaction.
struct Elements<'o> {
    dialect: Dialect,
    number: u64,
    out: &'o mut Vec<u8>,
}

type Written = Result<(), WriteError>;

impl Elements<'_> {
    fn transaction(&mut self, transaction: &Transaction<'_>) -> Written {
        self.begin("Transaction");
        let flags = transaction.flags;
        if flags.cancelled {
            if self.dialect == Dialect::V6 {
                return self.refuse("CancelFlag", "is none of 6.0: it has the TransactionStatus Canceled");
            }
            self.attribute("CancelFlag", "true")?;
        }
        self.flag("TrainingModeFlag", flags.training)?;
        self.flag("OfflineFlag", flags.offline)?;
        match self.dialect {
            Dialect::V6 => self.transaction_6(transaction)?,
            Dialect::V2 => self.transaction_2(transaction)?,
        }
        self.end("Transaction");
        Ok(())
    }

    fn transaction_6(&mut self, transaction: &Transaction<'_>) -> Written {
        if let Some(type_code) = transaction.retail.as_ref().and_then(type_code) {
            self.attribute("TypeCode", type_code)?;
        }
        self.push(">");
        self.push("<BusinessUnit><UnitID TypeCode=\"RetailStore\">");
        self.padded(u32::from(transaction.store), 4);
        self.push("</UnitID></BusinessUnit>");
        self.number("WorkstationID", u64::from(transaction.workstation));
        self.number("SequenceNumber", transaction.number);
        self.optional_text("TransactionID", transaction.id.as_deref())?;
        self.optional_text("OperatorID", transaction.operator.as_deref())?;
        self.optional_text("CurrencyCode", transaction.currency.as_deref())?;
        if let Some(retail) = &transaction.retail {
            self.retail(retail)?;
        }
        self.optional_text("TillID", transaction.till.as_deref())?;
        self.day("BusinessDayDate", transaction.business_day);
        self.stamp("BeginDateTime", transaction.begin)?;
        self.stamp("EndDateTime", transaction.end)?;
        self.control(&transaction.control)?;
        self.papers(transaction, "InventoryControlTransaction")
    }

    fn transaction_2(&mut self, transaction: &Transaction<'_>) -> Written {
        self.push(">");
        if transaction.id.is_some() {
            return self.refuse("TransactionID", "is none of 2.2.1");
        }
        self.push("<RetailStoreID>");
        self.padded(u32::from(transaction.store), 4);
        self.push("</RetailStoreID>");
        self.number("WorkstationID", u64::from(transaction.workstation));
        self.optional_text("TillID", transaction.till.as_deref())?;
        self.number("SequenceNumber", transaction.number);
        self.day("BusinessDayDate", transaction.business_day);
        self.stamp("BeginDateTime", transaction.begin)?;
        self.stamp("EndDateTime", transaction.end)?;
        self.optional_text("OperatorID", transaction.operator.as_deref())?;
        self.optional_text("CurrencyCode", transaction.currency.as_deref())?;
        if let Some(retail) = &transaction.retail {
            self.retail(retail)?;
        }
        self.control(&transaction.control)?;
        self.papers(transaction, "InventoryTransaction")
    }

    fn control(&mut self, events: &[ControlEvent<'_>]) -> Written {
        if events.is_empty() {
            return Ok(());
        }
        self.push("<ControlTransaction>");
        for event in events {
            let name = event.kind.code();
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if !name.starts_with(|c: char| c.is_ascii_alphabetic())
                || !name.chars().all(is_name)
                || name.len() > NAME_BYTES_MAX
                || matches!(name, "Shift" | "ReasonCode")
            {
                return self.refuse("ControlTransaction", "has an event whose name is none of an element");
            }
            let name = name.to_owned();
            self.begin(&name);
            match &event.link {
                Some(link) if event.kind.is(ControlKind::PostVoid) => {
                    self.push(">");
                    self.link(link)?;
                    self.end(&name);
                }
                Some(_) => return self.refuse("TransactionLink", "belongs to a PostVoid"),
                None => self.push("/>"),
            }
        }
        self.push("</ControlTransaction>");
        Ok(())
    }

    fn papers(&mut self, transaction: &Transaction<'_>, name: &str) -> Written {
        if transaction.inventory.is_empty() {
            return Ok(());
        }
        self.begin(name);
        self.push(">");
        // The schema has them by their kind.
        for (kind, _) in <InventoryKind as super::CodeList>::CODES {
            for document in transaction.inventory.iter().filter(|document| document.kind == *kind) {
                self.document(document)?;
            }
        }
        self.end(name);
        Ok(())
    }

    fn link(&mut self, link: &TransactionLink<'_>) -> Written {
        self.begin("TransactionLink");
        if let Some(reason) = &link.reason {
            self.attribute("ReasonCode", reason)?;
        }
        self.push(">");
        match self.dialect {
            Dialect::V6 => {
                self.optional_text("TransactionID", link.id.as_deref())?;
                self.optional_number("BusinessUnit", link.store);
                self.optional_number("WorkstationID", link.workstation);
                if link.business_day.is_some() {
                    self.push("<BusinessDayDate>");
                    self.day("Date", link.business_day);
                    self.push("</BusinessDayDate>");
                }
                self.optional_number("SequenceNumber", link.number);
            }
            Dialect::V2 => {
                if link.id.is_some() {
                    return self.refuse("TransactionLink/TransactionID", "is none of 2.2.1");
                }
                self.optional_number("RetailStoreID", link.store);
                self.optional_number("WorkstationID", link.workstation);
                self.optional_number("SequenceNumber", link.number);
                self.day("BusinessDayDate", link.business_day);
            }
        }
        self.optional_number("LineItemSequenceNumber", link.line);
        self.end("TransactionLink");
        Ok(())
    }

    fn refuse(&self, element: &'static str, what: &'static str) -> Written {
        Err(WriteError {
            number: self.number,
            element,
            what,
        })
    }

    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Without the `>`: attributes follow.
    fn begin(&mut self, name: &str) {
        self.push("<");
        self.push(name);
    }

    fn end(&mut self, name: &str) {
        self.push("</");
        self.push(name);
        self.push(">");
    }

    fn attribute(&mut self, name: &'static str, value: &str) -> Written {
        self.push(" ");
        self.push(name);
        self.push("=\"");
        self.escaped(name, value)?;
        self.push("\"");
        Ok(())
    }

    /// Only where it is set: the schema's default is false.
    fn flag(&mut self, name: &'static str, set: bool) -> Written {
        if set { self.attribute(name, "true") } else { Ok(()) }
    }

    fn code<T: super::CodeList>(&mut self, name: &'static str, code: Option<&Coded<'_, T>>) -> Written {
        code.map_or(Ok(()), |code| self.attribute(name, code.code()))
    }

    fn text(&mut self, name: &'static str, text: &str) -> Written {
        self.begin(name);
        self.push(">");
        self.escaped(name, text)?;
        self.end(name);
        Ok(())
    }

    fn optional_text(&mut self, name: &'static str, text: Option<&str>) -> Written {
        text.map_or(Ok(()), |text| self.text(name, text))
    }

    fn escaped(&mut self, element: &'static str, text: &str) -> Written {
        let is_blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return self.refuse(element, "is empty or too long");
        }
        if text.starts_with(is_blank) || text.ends_with(is_blank) {
            return self.refuse(element, "has blanks around it, which are not read");
        }
        for c in text.chars() {
            match c {
                '&' => self.push("&amp;"),
                '<' => self.push("&lt;"),
                '>' => self.push("&gt;"),
                '"' => self.push("&quot;"),
                // Readers turn line ends into one kind, and into blanks in attributes.
                '\r' => self.push("&#13;"),
                '\n' => self.push("&#10;"),
                '\t' => self.push("&#9;"),
                _ if is_xml_char(c) => self.push(c.encode_utf8(&mut [0; 4])),
                _ => return self.refuse(element, "has a character that no document can have"),
            }
        }
        Ok(())
    }

    fn number(&mut self, name: &str, number: u64) {
        self.begin(name);
        self.push(">");
        self.digits(number);
        self.end(name);
    }

    fn optional_number(&mut self, name: &str, number: Option<impl Into<u64>>) {
        if let Some(number) = number {
            self.number(name, number.into());
        }
    }

    fn digits(&mut self, number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
    }

    /// With zeros in front, to four digits for instance.
    fn padded(&mut self, number: u32, digits: u32) {
        let needed = number.checked_ilog10().unwrap_or(0) + 1;
        stamp::push_digits(self.out, number, digits.max(needed));
    }

    fn stamp(&mut self, name: &'static str, stamp: Option<Stamp>) -> Written {
        let Some(stamp) = stamp else { return Ok(()) };
        if !stamp::is_writable(stamp.at) {
            return self.refuse(name, "is outside of the years 0 to 9999");
        }
        self.begin(name);
        self.push(">");
        stamp.push(self.out);
        self.end(name);
        Ok(())
    }

    fn day(&mut self, name: &str, day: Option<BusinessDay>) {
        if let Some(day) = day {
            self.begin(name);
            self.push(">");
            stamp::push_day(self.out, day);
            self.end(name);
        }
    }

    /// An amount of a line.
    fn amount(&mut self, name: &'static str, amount: Option<Money>) -> Written {
        let Some(amount) = amount else { return Ok(()) };
        if !(0..=LINE_AMOUNT_MAX).contains(&amount.0) {
            return self.refuse(name, "is negative or too large: the schema has 0 to 99,999,999.99");
        }
        self.begin(name);
        self.push(">");
        self.decimal(amount.0, 2);
        self.end(name);
        Ok(())
    }

    /// An integer of so many decimal places. Zeros at the end are left out of three places.
    fn decimal(&mut self, value: i64, places: u32) {
        let unit = 10_u64.pow(places);
        if value < 0 {
            self.push("-");
        }
        self.digits(value.unsigned_abs() / unit);
        let fraction = (value.unsigned_abs() % unit) as u32;
        if places == 2 || fraction != 0 {
            self.push(".");
            stamp::push_digits(self.out, fraction, places);
        }
    }

    fn quantity_text(&mut self, quantity: Quantity) {
        self.decimal(quantity.0, 3);
    }
}

/// What kind of receipt it is. `None` for one without goods.
fn type_code(retail: &Retail<'_>) -> Option<&'static str> {
    let (mut sold, mut returned) = (false, false);
    for line in &retail.lines {
        match &line.kind {
            LineKind::Sale(item) => {
                let is_return = item.quantity.as_ref().is_some_and(|sold| sold.quantity.0 < 0);
                returned |= is_return;
                sold |= !is_return;
            }
            LineKind::Return(_) => returned = true,
            _ => {}
        }
    }
    match (sold, returned) {
        (true, false) => Some("SaleTransaction"),
        (false, true) => Some("ReturnTransaction"),
        (true, true) => Some("ExchangeTransaction"),
        (false, false) => None,
    }
}

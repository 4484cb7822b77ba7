//! The writing half: the schema's order, and nothing that the schema does not have.

mod elements;
mod inventory;
mod retail;

use super::{
    KIT_NAMESPACE, NAMESPACE,
    codes::{ControlKind, InventoryKind},
    error::WriteError,
    model::{ControlEvent, Dialect, Transaction, TransactionLink},
    retail::{LineKind, Retail},
};
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

    /// Goes on with a document that was begun in `out` and is not finished.
    pub const fn resume(dialect: Dialect, out: &'o mut Vec<u8>) -> Self {
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
                return self.refuse(
                    "CancelFlag",
                    "is none of 6.0: it has the TransactionStatus Canceled",
                );
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
                return self.refuse(
                    "ControlTransaction",
                    "has an event whose name is none of an element",
                );
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
            for document in transaction
                .inventory
                .iter()
                .filter(|document| document.kind == *kind)
            {
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

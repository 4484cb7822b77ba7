//! Receipts.

use super::super::{
    codes::Text,
    model::Dialect,
    retail::{Item, ItemCode, Line, LineKind, Measured, Retail, Tender, Total, Voids},
};
use super::{Elements, Written, elements::AMOUNT_MAX};
use crate::ids::{Money, Quantity, Sku};
use crate::wire::QUANTITY_MAX;

const SKU_MAX: u32 = 999_999_999;
const PLU_MAX: u32 = 99_999;

impl Elements<'_> {
    pub(super) fn retail(&mut self, retail: &Retail<'_>) -> Written {
        self.begin("RetailTransaction");
        if self.dialect == Dialect::V2 {
            self.attribute("Version", "2.2.1")?;
        }
        self.code("TransactionStatus", retail.status.as_ref())?;
        self.push(">");
        let items = retail
            .lines
            .iter()
            .filter(|line| matches!(line.kind, LineKind::Sale(_) | LineKind::Return(_)))
            .count();
        self.number("ItemCount", items as u64);
        for line in &retail.lines {
            self.line(line)?;
        }
        for total in &retail.totals {
            self.total(total)?;
        }
        if let Some(account) = &retail.loyalty_account {
            self.push("<LoyaltyAccount>");
            self.text("CustomerID", account)?;
            self.push("</LoyaltyAccount>");
        }
        if let Some(link) = &retail.link {
            self.link(link)?;
        }
        self.end("RetailTransaction");
        Ok(())
    }

    fn line(&mut self, line: &Line<'_>) -> Written {
        self.begin("LineItem");
        self.code("EntryMethod", line.entry.as_ref())?;
        self.flag("VoidFlag", line.void)?;
        self.flag("CancelFlag", line.cancelled)?;
        self.push(">");
        if self.dialect == Dialect::V2 {
            self.optional_number("SequenceNumber", line.number);
        }
        self.body(&line.kind)?;
        if let Some(voids) = &line.voids {
            self.voids(voids)?;
        }
        if self.dialect == Dialect::V6 {
            self.optional_number("SequenceNumber", line.number);
        }
        self.stamp("DateTime", line.at)?;
        self.end("LineItem");
        Ok(())
    }

    fn body(&mut self, kind: &LineKind<'_>) -> Written {
        match kind {
            LineKind::Sale(item) => {
                if item.reason.is_some() {
                    return self.refuse("Reason", "belongs to a return");
                }
                self.item("Sale", item)
            }
            LineKind::Return(item) => self.item("Return", item),
            LineKind::Tender(tender) => self.tender(tender),
            LineKind::Discount(amount) => self.amount_inside("Discount", *amount),
            LineKind::Tax(amount) => self.amount_inside("Tax", *amount),
            LineKind::Change(amount) => self.change(*amount),
            LineKind::Deposit(amount) => self.amount_inside("Deposit", *amount),
            LineKind::Coupon(amount) => self.amount_inside("Coupon", *amount),
            LineKind::Loyalty { promotion } => {
                self.push("<LoyaltyReward>");
                self.optional_text("PromotionID", promotion.as_deref())?;
                self.push("</LoyaltyReward>");
                Ok(())
            }
            LineKind::Empty => Ok(()),
            LineKind::Other(_) => self.refuse("LineItem", "of an unknown kind cannot be written"),
        }
    }

    fn amount_inside(&mut self, name: &'static str, amount: Option<Money>) -> Written {
        self.begin(name);
        self.push(">");
        self.amount("Amount", amount)?;
        self.end(name);
        Ok(())
    }

    /// Change is given in cash.
    fn change(&mut self, amount: Option<Money>) -> Written {
        if self.dialect == Dialect::V2 {
            return self.amount_inside("TenderChange", amount);
        }
        self.push("<TenderChange TypeCode=\"Refund\"><TenderChange TenderType=\"Cash\">");
        self.amount("Amount", amount)?;
        self.push("</TenderChange></TenderChange>");
        Ok(())
    }

    fn voids(&mut self, voids: &Voids<'_>) -> Written {
        self.push("<Voids>");
        self.measured("Quantity", voids.quantity.as_ref())?;
        self.number("ItemLink", u64::from(voids.line));
        self.push("</Voids>");
        Ok(())
    }

    fn item(&mut self, name: &'static str, item: &Item<'_>) -> Written {
        self.begin(name);
        self.code("ItemType", item.item_type.as_ref())?;
        self.push(">");
        if let Some(code) = item.id.code {
            let kind = match code {
                ItemCode::Gtin(_) => "GTIN",
                ItemCode::Plu(_) => "PLU",
            };
            self.begin("POSIdentity");
            self.attribute("POSIDType", kind)?;
            self.push("><POSItemID>");
            self.item_code(code)?;
            self.push("</POSItemID></POSIdentity>");
        }
        if let Some(text) = &item.id.unread {
            self.push("<POSIdentity>");
            self.text("POSItemID", text)?;
            self.push("</POSIdentity>");
        }
        if let Some(sku) = item.id.sku {
            self.sku(sku)?;
        }
        if let Some(department) = &item.department {
            self.begin("MerchandiseHierarchy");
            self.attribute("Level", "Department")?;
            self.push(">");
            self.escaped("MerchandiseHierarchy", department)?;
            self.end("MerchandiseHierarchy");
        }
        self.optional_text("Description", item.description.as_deref())?;
        self.amount("UnitListPrice", item.list_price)?;
        self.amount("RegularSalesUnitPrice", item.regular_price)?;
        self.amount("ActualSalesUnitPrice", item.actual_price)?;
        self.amount("ExtendedAmount", item.extended_amount)?;
        self.amount("DiscountAmount", item.discount)?;
        self.measured("Quantity", item.quantity.as_ref())?;
        if let Some(link) = &item.link {
            self.link(link)?;
        }
        if let Some(disposal) = &item.disposal {
            self.begin("Disposal");
            self.attribute("Method", disposal.code())?;
            self.push("/>");
        }
        self.optional_text("Reason", item.reason.as_deref())?;
        self.end(name);
        Ok(())
    }

    pub(super) fn sku(&mut self, sku: Sku) -> Written {
        if sku.0 > SKU_MAX {
            return self.refuse("ItemID", "is a SKU of more than nine digits");
        }
        self.push("<ItemID Type=\"SKU\">");
        self.digits(u64::from(sku.0));
        self.push("</ItemID>");
        Ok(())
    }

    pub(super) fn item_code(&mut self, code: ItemCode) -> Written {
        match code {
            ItemCode::Gtin(gtin) => {
                self.padded((gtin.value() / 1_000_000_000) as u32, 5);
                self.padded((gtin.value() % 1_000_000_000) as u32, 9);
            }
            ItemCode::Plu(plu) if plu > PLU_MAX => {
                return self.refuse("POSItemID", "is a PLU of more than five digits");
            }
            ItemCode::Plu(plu) => self.padded(plu, 5),
        }
        Ok(())
    }

    pub(super) fn measured(&mut self, name: &'static str, measured: Option<&Measured<'_>>) -> Written {
        let Some(measured) = measured else { return Ok(()) };
        let is_written = |quantity: Quantity| quantity.0.abs() <= QUANTITY_MAX.0;
        if !is_written(measured.quantity) || measured.units.is_some_and(|units| !is_written(units)) {
            return self.refuse(name, "is larger than a line can move");
        }
        self.begin(name);
        self.code("UnitOfMeasureCode", measured.unit.as_ref())?;
        if let Some(units) = measured.units {
            self.push(" Units=\"");
            self.quantity_text(units);
            self.push("\"");
        }
        self.push(">");
        self.quantity_text(measured.quantity);
        self.end(name);
        Ok(())
    }

    fn tender(&mut self, tender: &Tender<'_>) -> Written {
        self.begin("Tender");
        self.code("TenderType", tender.kind.as_ref())?;
        self.code("TypeCode", tender.direction.as_ref())?;
        self.push(">");
        match (&tender.currency, tender.amount) {
            (Some(currency), Some(amount)) => self.amount_in(currency, amount)?,
            (None, amount) => self.amount("Amount", amount)?,
            (Some(_), None) => return self.refuse("Tender", "has a currency and no amount"),
        }
        if tender.change.is_some() {
            self.amount_inside("TenderChange", tender.change)?;
        }
        self.amount("Rounding", tender.rounding)?;
        self.end("Tender");
        Ok(())
    }

    fn amount_in(&mut self, currency: &Text<'_>, amount: Money) -> Written {
        if !(0..=AMOUNT_MAX).contains(&amount.0) {
            return self.refuse("Amount", "is negative or too large: a refund has TypeCode Refund");
        }
        self.begin("Amount");
        self.attribute("Currency", currency)?;
        self.push(">");
        self.decimal(amount.0, 2);
        self.end("Amount");
        Ok(())
    }

    /// The only amount that has a sign.
    fn total(&mut self, total: &Total<'_>) -> Written {
        let Some(amount) = total.amount else {
            return self.refuse("Total", "has no amount");
        };
        if amount.0.abs() > AMOUNT_MAX {
            return self.refuse("Total", "is too large");
        }
        self.begin("Total");
        self.code("TotalType", total.kind.as_ref())?;
        self.push(">");
        self.decimal(amount.0, 2);
        self.end("Total");
        Ok(())
    }
}

//! Lines of a POSLog receipt that are no goods: discounts, loyalty, tax, tenders, change.

use contracts::ids::Money;
use contracts::ids::Quantity;
use contracts::wire::poslog::{
    Coded, Item, ItemId, ItemType, Line, LineKind, Measured, Tender, TenderDirection, TenderType,
};

use super::poslog::Desk;

const BAG_PRICE: Money = Money(10);

impl Desk<'_, '_> {
    pub(super) fn besides(&mut self) {
        let (extras, payment) = (self.receipt.extras, self.receipt.payment);
        if extras.bag() {
            self.push(
                LineKind::Sale(Item {
                    id: ItemId {
                        unread: Some("BAG".into()),
                        ..ItemId::default()
                    },
                    item_type: Some(Coded::Known(ItemType::Fee)),
                    description: Some("Carrier bag".into()),
                    extended_amount: Some(BAG_PRICE),
                    quantity: Some(Measured::from(Quantity::ONE)),
                    ..Item::default()
                })
                .into(),
            );
        }
        if extras.loyalty() {
            let promotion = Some("POINTS".into());
            self.push(LineKind::Loyalty { promotion }.into());
        }
        if extras.user_record() {
            self.push(LineKind::Coupon(Some(Money(0))).into());
        }
        if payment.transaction_discount > 0 {
            self.push(LineKind::Discount(Some(Money(payment.transaction_discount))).into());
        }
        if payment.tax > 0 {
            self.push(LineKind::Tax(Some(Money(payment.tax))).into());
        }
    }

    pub(super) fn tenders(&mut self) {
        let payment = self.receipt.payment;
        if payment.card > 0 {
            self.tender(TenderType::CreditDebit, payment.card, false);
        }
        if self.receipt.extras.tender_corrected() && payment.due > 0 {
            self.tender(TenderType::Check, payment.due, true);
        }
        if payment.cash != 0 || payment.card == 0 {
            self.tender(TenderType::Cash, payment.cash, false);
        }
        let given = payment.change - payment.rounding();
        if given > 0 {
            self.push(LineKind::Change(Some(Money(given))).into());
        }
    }

    /// Money back is a refund: no amount is below zero.
    fn tender(&mut self, kind: TenderType, amount: i64, void: bool) {
        let direction = if amount < 0 {
            TenderDirection::Refund
        } else {
            TenderDirection::Sale
        };
        let rounding = self.receipt.payment.rounding();
        let tender = Tender {
            kind: Some(Coded::Known(kind)),
            direction: Some(Coded::Known(direction)),
            amount: Some(Money(amount.abs())),
            rounding: (kind == TenderType::Cash && rounding > 0).then_some(Money(rounding)),
            ..Tender::default()
        };
        self.push(Line {
            void,
            ..LineKind::Tender(tender).into()
        });
    }
}

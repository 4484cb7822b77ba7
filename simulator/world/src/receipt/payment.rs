//! What is paid for a basket, in minor units.

use super::{BasketLine, Extras, LineKind};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Payment {
    pub positive: i64,
    pub negative: i64,
    /// Index of the line that is cheaper, and by how much.
    pub item_discount: Option<(usize, i64)>,
    pub transaction_discount: i64,
    pub tax: i64,
    /// Below zero if money goes back.
    pub due: i64,
    pub cash: i64,
    pub card: i64,
    /// Of cash over what is due.
    pub change: i64,
}

/// Coins that there are.
const COIN: i64 = 5;

impl Payment {
    /// `manner` is a draw: six of ten pay by card, the others with the next note; money back is in cash.
    pub fn of(basket: &[BasketLine], manner: u32, extras: Extras) -> Self {
        let (mut positive, mut negative) = (0_i64, 0_i64);
        for line in basket {
            let price = i64::from(line.price);
            match line.kind {
                LineKind::Sale => positive += price,
                LineKind::Return | LineKind::WrittenOff => negative += price,
                LineKind::Voided => {
                    positive += price;
                    negative += price;
                }
            }
        }
        let item_discount = extras.item_discount().then(|| {
            let index = extras.number() as usize % basket.len();
            (index, i64::from(basket[index].price) / 10)
        });
        let item_discount =
            item_discount.filter(|(index, amount)| basket[*index].kind == LineKind::Sale && *amount > 0);
        if let Some((_, amount)) = item_discount
            && !extras.voids_discount()
        {
            negative += amount;
        }
        let transaction_discount = if extras.transaction_discount() && positive > negative {
            (positive - negative) / 20
        } else {
            0
        };
        negative += transaction_discount;
        let total = positive - negative;
        // A twentieth, and back again where goods come back.
        let tax = total / 20;
        let due = total + tax;
        let by_card = due > 0 && manner >> 1 & 0xff < 154;
        let (card, owed) = match (by_card, due > 0 && extras.two_tenders()) {
            (true, true) => (due / 2, due - due / 2),
            (true, false) => (due, 0),
            (false, _) => (0, due),
        };
        let cash = if owed > 0 { (owed + 499) / 500 * 500 } else { owed };
        Self {
            positive,
            negative,
            item_discount,
            transaction_discount,
            tax,
            due,
            cash,
            card,
            change: cash - owed,
        }
    }

    pub const fn goods(&self) -> i64 {
        self.positive - self.negative
    }

    /// What the change is rounded by, where the till knows no smaller coin: change less this is given out.
    pub const fn rounding(&self) -> i64 {
        self.change.rem_euclid(COIN)
    }
}

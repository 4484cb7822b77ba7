//! A receipt as a POSLog till writes it, in either dialect.

use contracts::ids::{Money, Quantity, Sku, TimeMs};
use contracts::wire::poslog::{
    Coded, ControlEvent, ControlKind, Dialect, DisposalMethod, EntryMethod, Flags, Item as Sale, ItemCode,
    ItemId, ItemType, Line, LineKind as Kind, Measured, Retail, Stamp, Text, Total, TotalType, Transaction,
    TransactionLink, TransactionStatus, UnitOfMeasure, Voids,
};
use ledger::Line as Fact;

use super::{BasketLine, Course, LineKind, Receipt, Sold, Till, control};
use crate::catalogue::{Catalogue, Item};
use crate::events::PlaceEvents;

const CURRENCY: &str = "USD";
const LOYALTY_ACCOUNT: i64 = 29_000_000_000;
/// How long a receipt takes before its end.
const RING_MS: i64 = 3_000;

/// Tills write whole seconds.
pub(crate) const fn stamp(at: TimeMs) -> Stamp {
    Stamp::utc(TimeMs(at.0 - at.0.rem_euclid(1000)))
}

pub(crate) fn operator(unit: u16) -> Text<'static> {
    const OPERATORS: [&str; 12] = [
        "101", "102", "103", "104", "105", "106", "107", "108", "109", "110", "111", "112",
    ];
    Text::Borrowed(OPERATORS[usize::from(unit.wrapping_sub(1)) % OPERATORS.len()])
}

/// What every transaction of a till begins with.
pub(crate) fn head(till: &Till) -> Transaction<'static> {
    Transaction {
        store: till.location.number(),
        workstation: till.unit,
        number: till.number.into(),
        business_day: Some(till.business_day),
        ..Transaction::default()
    }
}

/// The code of a department as text.
const fn department(number: u16) -> &'static str {
    match number {
        10 => "10",
        20 => "20",
        30 => "30",
        40 => "40",
        41 => "41",
        42 => "42",
        50 => "50",
        60 => "60",
        70 => "70",
        _ => "90",
    }
}

/// Writes a receipt and tells how many of its lines moved stock.
pub(crate) fn write(
    dialect: Dialect,
    receipt: &Receipt<'_>,
    catalogue: &Catalogue,
    out: &mut PlaceEvents,
) -> usize {
    let Receipt {
        till,
        at,
        course,
        basket,
        payment,
        extras,
    } = *receipt;
    let mut desk = Desk {
        dialect,
        receipt,
        catalogue,
        lines: Vec::with_capacity(basket.len() * 2 + 8),
        link: match course {
            Course::PostVoid { voided } => Some(link_to(
                dialect,
                &till,
                till.unit,
                till.business_day,
                voided,
                None,
            )),
            _ => None,
        },
    };
    desk.goods(out);
    if matches!(
        course,
        Course::Finished | Course::Resumed { .. } | Course::Training
    ) {
        desk.besides();
        desk.tenders();
    }
    let status = match (course, dialect) {
        (Course::Cancelled, Dialect::V6) => TransactionStatus::Cancelled,
        (Course::Suspended, _) => TransactionStatus::Suspended,
        (Course::Retrieved, _) => TransactionStatus::SuspendedRetrieved,
        _ => TransactionStatus::Finished,
    };
    let link = match course {
        Course::Resumed { parked } => Some(TransactionLink {
            reason: Some("Resume".into()),
            ..link_to(dialect, &till, till.unit, till.business_day, parked, None)
        }),
        _ => None,
    };
    let totals = [
        (TotalType::Net, payment.goods()),
        (TotalType::Tax, payment.tax),
        (TotalType::Grand, payment.due),
    ];
    let begin = TimeMs(at.0 - RING_MS * basket.len() as i64);
    let transaction = Transaction {
        id: (dialect == Dialect::V6)
            .then(|| id_text(&till, till.unit, till.business_day, till.number).into()),
        begin: Some(stamp(begin)),
        end: Some(stamp(at)),
        operator: Some(operator(till.unit)),
        currency: Some(CURRENCY.into()),
        flags: Flags {
            training: course == Course::Training,
            offline: extras.offline(),
            cancelled: course == Course::Cancelled && dialect == Dialect::V2,
        },
        control: match &desk.link {
            Some(link) => vec![ControlEvent {
                kind: Coded::Known(ControlKind::PostVoid),
                link: Some(link.clone()),
            }],
            None => Vec::new(),
        },
        retail: Some(Retail {
            status: Some(Coded::Known(status)),
            lines: desk.lines,
            totals: totals
                .map(|(kind, amount)| Total {
                    kind: Some(Coded::Known(kind)),
                    amount: Some(Money(amount)),
                })
                .to_vec(),
            loyalty_account: extras
                .loyalty()
                .then(|| (LOYALTY_ACCOUNT + extras.number()).to_string().into()),
            link,
        }),
        ..head(&till)
    };
    control::write(dialect, &transaction, out);
    out.transaction(till.id(), at)
}

fn id_text(till: &Till, unit: u16, day: contracts::ids::BusinessDay, number: u16) -> String {
    format!("{:04}-{unit:03}-{}-{number:04}", till.location.number(), day.0)
}

/// Names a transaction of the same store.
fn link_to(
    dialect: Dialect,
    till: &Till,
    unit: u16,
    day: contracts::ids::BusinessDay,
    number: u16,
    line: Option<u32>,
) -> TransactionLink<'static> {
    TransactionLink {
        reason: None,
        id: (dialect == Dialect::V6).then(|| id_text(till, unit, day, number).into()),
        store: Some(till.location.number()),
        workstation: Some(unit),
        business_day: Some(day),
        number: Some(number.into()),
        line,
    }
}

/// Puts the lines of a receipt together.
pub(super) struct Desk<'r, 'c> {
    pub(super) dialect: Dialect,
    pub(super) receipt: &'r Receipt<'r>,
    catalogue: &'c Catalogue,
    pub(super) lines: Vec<Line<'c>>,
    /// Of a post-void.
    link: Option<TransactionLink<'static>>,
}

impl<'c> Desk<'_, 'c> {
    pub(super) fn push(&mut self, line: Line<'c>) -> u32 {
        let number = self.lines.len() as u32 + 1;
        self.lines.push(Line {
            number: Some(number),
            ..line
        });
        number
    }

    fn goods(&mut self, out: &mut PlaceEvents) {
        for (index, line) in self.receipt.basket.iter().enumerate() {
            let item = &self.catalogue.items[usize::from(line.article)];
            let name = &self.catalogue.articles[usize::from(line.article)].name;
            self.entry(index, line, item, name);
            if !self.receipt.course.moves_stock() {
                continue;
            }
            for (kind, quantity) in line.movements() {
                out.lines.push(Fact {
                    sku: Sku(item.sku),
                    slot: line.slot,
                    kind,
                    quantity,
                });
            }
        }
    }

    fn entry(&mut self, index: usize, line: &BasketLine, item: &Item, name: &'c str) {
        let dialect = self.dialect;
        let mut sale = self.item(index, line, item, name);
        let entry = if item.weighed {
            EntryMethod::Weighed
        } else {
            EntryMethod::Scanned
        };
        let of_kind = |kind| Line {
            entry: Some(Coded::Known(entry)),
            ..Line::from(kind)
        };
        match line.kind {
            LineKind::Sale => {
                self.push(of_kind(Kind::Sale(sale)));
            }
            LineKind::Voided => {
                let again = sale.clone();
                let voided = self.push(of_kind(Kind::Sale(sale)));
                self.push(match dialect {
                    Dialect::V6 => Line {
                        void: true,
                        voids: Some(Voids {
                            line: voided,
                            quantity: None,
                        }),
                        ..Kind::Empty.into()
                    },
                    // The entry over again, with a negative quantity.
                    Dialect::V2 => Line {
                        void: true,
                        ..of_kind(Kind::Sale(turned(again)))
                    },
                });
            }
            LineKind::Return | LineKind::WrittenOff => {
                if line.sold.number > 0 {
                    sale.link = Some(self.link_to_sold(&line.sold));
                }
                let disposal = match (line.kind, index % 2) {
                    (LineKind::Return, _) => DisposalMethod::ReturnToStock,
                    (_, 0) => DisposalMethod::WriteOff,
                    _ => DisposalMethod::Waste,
                };
                // A feed that knows no returns writes a sale of less than nothing.
                let as_sale =
                    self.link.is_none() && line.kind == LineKind::Return && self.receipt.extras.other_way();
                self.push(of_kind(if as_sale {
                    Kind::Sale(turned(sale))
                } else {
                    sale.disposal = Some(Coded::Known(disposal));
                    sale.reason = Some(
                        if self.link.is_some() {
                            "Mistake"
                        } else {
                            "Defective"
                        }
                        .into(),
                    );
                    Kind::Return(sale)
                }));
            }
        }
    }

    fn link_to_sold(&self, sold: &Sold) -> TransactionLink<'static> {
        if let Some(link) = &self.link {
            return link.clone();
        }
        let till = &self.receipt.till;
        TransactionLink {
            reason: Some("Return".into()),
            ..link_to(
                self.dialect,
                till,
                sold.till,
                sold.day,
                sold.number,
                Some(sold.line.into()),
            )
        }
    }

    fn item(&self, index: usize, line: &BasketLine, item: &Item, name: &'c str) -> Sale<'c> {
        let code = if item.weighed {
            ItemCode::Plu(item.plu)
        } else {
            ItemCode::Gtin(item.gtin)
        };
        let quantity = Quantity(line.quantity.into());
        let discount = self.receipt.payment.item_discount;
        let discount =
            discount.filter(|(cheaper, _)| *cheaper == index && !self.receipt.extras.voids_discount());
        let price = Some(Money(item.price.into()));
        Sale {
            id: ItemId {
                sku: (self.dialect == Dialect::V6).then_some(Sku(item.sku)),
                code: Some(code),
                unread: None,
            },
            item_type: Some(Coded::Known(ItemType::Stock)),
            department: Some(department(item.department).into()),
            description: Some(name.into()),
            regular_price: price,
            actual_price: price,
            extended_amount: Some(Money(line.price.into())),
            discount: discount.map(|(_, amount)| Money(amount)),
            quantity: Some(match (item.weighed, self.receipt.extras.other_way()) {
                (false, _) => Measured::new(quantity, UnitOfMeasure::Each),
                (true, false) => Measured::new(quantity, UnitOfMeasure::Kilogram),
                // One piece that weighs so much.
                (true, true) => Measured {
                    units: Some(quantity),
                    ..Measured::new(Quantity::ONE, UnitOfMeasure::Kilogram)
                },
            }),
            // Also what is sold again by a post-void names what it takes back.
            link: self.link.clone(),
            ..Sale::default()
        }
    }
}

/// With less than nothing of it.
fn turned(mut item: Sale<'_>) -> Sale<'_> {
    if let Some(measured) = &mut item.quantity {
        measured.quantity.0 = -measured.quantity.0;
    }
    item.reason = None;
    item
}

//! A receipt as a 4690 till writes it.

use contracts::ids::{Money, Quantity, Sku};
use contracts::wire::tlog4690::{
    Field, Header, Item as Entry, ItemKind, Measure, ReceiptWriter, Tender, TenderKind, record_type,
};
use ledger::Line;

use super::{Course, LineKind, Payment, Receipt};
use crate::catalogue::Item;
use crate::events::PlaceEvents;

/// Exceptions that a till logs: of items, tenders and prices.
const EXCEPTIONS: [(i64, &[u8]); 3] = [
    (1, b"ITEM NOT ON FILE"),
    (5, b"TENDER LIMIT"),
    (9, b"PRICE CHANGED"),
];
/// Of the retailer's own: the queue at the till was so long.
const USER_QUEUE_LENGTH: [Field<'static>; 2] = [Field::Number(1), Field::Number(7)];
const LOYALTY_ACCOUNT: i64 = 29_000_000_000;

/// Writes a receipt and tells how many of its lines moved stock. `items` is the catalogue.
pub(crate) fn write(receipt: &Receipt<'_>, items: &[Item], out: &mut PlaceEvents) -> usize {
    let Receipt {
        till,
        at,
        basket,
        payment,
        extras,
        ..
    } = *receipt;
    let is_training = receipt.course == Course::Training;
    let entries = basket.len() as u16;
    let header = Header {
        terminal: till.unit,
        number: till.number,
        at,
        operator: 100 + u32::from(till.unit),
        gross_positive: Money(payment.positive),
        gross_negative: Money(payment.negative),
        ring_seconds: entries * 3,
        tender_seconds: 15 + (extras.number() & 31) as u16,
        ..Header::default()
    };
    let mut bytes = std::mem::take(&mut out.bytes);
    let mut writer = ReceiptWriter::begin(&mut bytes, &header);
    if is_training {
        writer.training();
    }
    if extras.loyalty() {
        let account = LOYALTY_ACCOUNT + extras.number();
        let fields = [
            Field::Text(&[0xee]),
            Field::Number(account),
            Field::Number(payment.due / 100),
        ];
        writer.other(record_type::DATA_ENTRY, &fields);
    }
    if payment.goods() < 0 {
        // Money goes back only with a manager's key.
        let fields = [
            Field::Number(4),
            Field::Number(2),
            Field::Number(1),
            Field::Text(b"JM"),
        ];
        writer.other(record_type::MANAGER_OVERRIDE, &fields);
    }
    let mut ordinal = 0;
    for (index, line) in basket.iter().enumerate() {
        ordinal += 1;
        let item = &items[usize::from(line.article)];
        let mut entry = Entry {
            item_code: item.gtin.value(),
            department: item.department,
            extended_price: Money(i64::from(line.price)),
            quantity: Quantity(i64::from(line.quantity)),
            measure: if item.weighed {
                Measure::Weighed
            } else {
                Measure::Each
            },
            unit_price: Money(i64::from(item.price)),
            kind: match line.kind {
                LineKind::Sale | LineKind::Voided => ItemKind::Sale,
                LineKind::Return | LineKind::WrittenOff => ItemKind::Return,
            },
            ordinal,
            ..Entry::default()
        };
        writer.item(&entry);
        if let Some((cheaper, amount)) = payment.item_discount
            && cheaper == index
        {
            let fields = [Field::Number(1), Field::Number(10), Field::Number(amount)];
            writer.other(record_type::DISCOUNT, &fields);
            if extras.voids_discount() {
                writer.other(record_type::VOID_DISCOUNT, &fields);
            }
        }
        if line.kind == LineKind::Voided {
            entry.voids = Some(ordinal);
            ordinal += 1;
            entry.ordinal = ordinal;
            writer.item(&entry);
        }
        for (kind, quantity) in line.movements().filter(|_| receipt.course.moves_stock()) {
            out.lines.push(Line {
                sku: Sku(item.sku),
                slot: line.slot,
                kind,
                quantity,
            });
        }
    }
    if extras.exception() {
        let (kind, text) = EXCEPTIONS[extras.number() as usize % EXCEPTIONS.len()];
        writer.other(record_type::EXCEPTION, &[Field::Number(kind), Field::Text(text)]);
    }
    if payment.transaction_discount > 0 {
        let amount = Field::Number(payment.transaction_discount);
        writer.other(
            record_type::DISCOUNT,
            &[Field::Number(2), Field::Number(5), amount],
        );
    }
    pay(&mut writer, receipt, payment);
    if extras.user_record() {
        writer.other(record_type::USER, &USER_QUEUE_LENGTH);
    }
    writer.finish_counted();
    out.bytes = bytes;
    out.transaction(till.id(), at)
}

fn pay(writer: &mut ReceiptWriter<'_>, receipt: &Receipt<'_>, payment: &Payment) {
    let extras = receipt.extras;
    match payment.tax {
        1.. => writer.tax(Money(payment.tax)),
        ..0 => writer.other(record_type::TAX_REFUND, &[Field::Number(-payment.tax)]),
        0 => {}
    }
    let cash = Tender {
        kind: TenderKind::Cash,
        amount: Money(payment.cash),
    };
    if extras.tender_corrected() && payment.due > 0 {
        let cheque = Tender {
            kind: TenderKind::Cheque,
            amount: Money(payment.due),
        };
        writer.tender(&cheque);
        let fields = [
            Field::Number(cheque.kind.code().into()),
            Field::Number(payment.due),
        ];
        writer.other(record_type::TENDER_CORRECTION, &fields);
    }
    if payment.cash != 0 || payment.card == 0 {
        writer.tender(&cash);
    }
    if payment.card != 0 {
        writer.tender(&Tender {
            kind: TenderKind::Card,
            amount: Money(payment.card),
        });
        // CashingFee, Customer and Status are blank; behind them stands what this retailer adds: the terminal.
        writer.appended(&[
            Field::Text(b""),
            Field::Text(b""),
            Field::Text(b""),
            Field::Number(40_000 + i64::from(receipt.till.unit)),
        ]);
        let approval = 100_000 + extras.number();
        let fields = [
            Field::Number(1),
            Field::Number(approval),
            Field::Number(0),
            Field::Text(b"APPROVED"),
        ];
        writer.other(record_type::EFT, &fields);
    }
    if payment.change > 0 {
        writer.change(Money(payment.change));
    }
}

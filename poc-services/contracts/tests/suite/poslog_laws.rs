//! POSLog: laws that hold of any bytes and of any transactions.

use crate::support::poslog;
use contracts::ids::{BusinessDay, Gtin, Money, Quantity, Sku, TimeMs};
use contracts::wire::QUANTITY_MAX;
use contracts::wire::poslog::{
    AdjustmentReason, CodeList, Coded, ControlEvent, ControlKind, Dialect, DisposalMethod, Document,
    DocumentStatus, DocumentWriter, EntryMethod, Flags, InventoryDocument, InventoryKind, InventoryLine,
    Item, ItemCode, ItemId, ItemType, Line, LineKind, Measured, Place, Retail, Room, Stamp, Tender,
    TenderDirection, TenderType, Text, Total, TotalType, Transaction, TransactionLink, TransactionStatus,
    UnitOfMeasure, UnitType, Voids, Zone, parse, stock_lines,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

static CASES: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(|| {
    let cases = poslog::cases();
    cases
        .values()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
});

proptest! {
    #[test]
    fn any_bytes_give_a_document_or_an_error(bytes in vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }

    /// Documents of the golden cases, damaged: nothing panics, and what is read is written and read alike.
    #[test]
    fn damaged_documents_give_a_document_or_an_error(
        case in any::<Index>(),
        damage in vec((any::<Index>(), any::<Index>(), "[<>/&;=\"' a1-]{0,6}"), 1..4),
    ) {
        let mut text = case.get(&CASES).clone();
        for (from, to, put) in damage {
            let (from, to) = (from.index(text.len() + 1), to.index(text.len() + 1));
            // Small holes: most of the document is to be left.
            let (from, to) = (from.min(to), from.min(to) + from.abs_diff(to) % 16);
            let to = to.min(text.len());
            if text.is_char_boundary(from) && text.is_char_boundary(to) {
                text.replace_range(from..to, &put);
            }
        }
        let Ok(document) = parse(text.as_bytes()) else { return Ok(()) };
        let mut lines = Vec::new();
        for transaction in &document.transactions {
            let _ = stock_lines(transaction, &mut lines);
            for line in &lines {
                prop_assert!(line.sku.is_some() || line.code.is_some());
                prop_assert!(line.quantity != Quantity(0));
                prop_assert!(line.quantity.0 > 0 || line.kind.is_signed());
            }
            if let Some(bytes) = written(document.dialect, transaction) {
                let again = parse(&bytes);
                prop_assert_eq!(again.as_ref().map(|again| &again.transactions[..]), Ok(&[transaction.clone()][..]));
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back_equal(transactions in vec(any_transaction(Dialect::V6), 0..4)) {
        round_trip(Dialect::V6, transactions)?;
    }

    #[test]
    fn what_is_written_in_the_older_dialect_is_read_back_equal(
        transactions in vec(any_transaction(Dialect::V2), 0..4),
    ) {
        round_trip(Dialect::V2, transactions)?;
    }
}

fn written(dialect: Dialect, transaction: &Transaction<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut writer = DocumentWriter::new(dialect, &mut out);
    writer.transaction(transaction).ok()?;
    writer.finish();
    Some(out)
}

fn round_trip(dialect: Dialect, transactions: Vec<Transaction<'static>>) -> Result<(), TestCaseError> {
    let mut out = Vec::new();
    let mut writer = DocumentWriter::new(dialect, &mut out);
    for transaction in &transactions {
        prop_assert_eq!(writer.transaction(transaction), Ok(()));
    }
    writer.finish();
    let document = Document {
        dialect,
        transactions,
        unread: 0,
    };
    let read = parse(&out);
    prop_assert_eq!(read.as_ref(), Ok(&document), "{}", String::from_utf8_lossy(&out));
    Ok(())
}

/// Without blanks around it.
fn text() -> impl Strategy<Value = Text<'static>> {
    "[!-~é€\u{10348}]([ -~é€\t\r\n]{0,10}[!-~é€])?".prop_map(Text::Owned)
}

fn coded<T: CodeList + std::fmt::Debug>() -> impl Strategy<Value = Coded<'static, T>> {
    let known: Vec<T> = T::CODES.iter().map(|(value, _)| *value).collect();
    prop_oneof![
        4 => select(known).prop_map(Coded::Known),
        1 => "acs:[A-Za-z&<\"]{1,8}".prop_map(|code| Coded::Other(Text::Owned(code))),
    ]
}

fn money() -> impl Strategy<Value = Option<Money>> {
    option::of((0..=9_999_999_999_i64).prop_map(Money))
}

fn signed_money() -> impl Strategy<Value = Option<Money>> {
    option::of((-9_999_999_999..=9_999_999_999_i64).prop_map(Money))
}

fn quantity() -> impl Strategy<Value = Quantity> {
    prop_oneof![
        (-9..=9_i64).prop_map(Quantity::units),
        (-QUANTITY_MAX.0..=QUANTITY_MAX.0).prop_map(Quantity),
    ]
}

fn measured() -> impl Strategy<Value = Measured<'static>> {
    (
        quantity(),
        option::of(coded::<UnitOfMeasure>()),
        option::of(quantity()),
    )
        .prop_map(|(quantity, unit, units)| Measured {
            quantity,
            unit,
            units,
        })
}

fn stamp() -> impl Strategy<Value = Stamp> {
    (-60_000_000_000_000..250_000_000_000_000_i64, any::<bool>()).prop_map(|(at, is_utc)| Stamp {
        at: TimeMs(at),
        zone: if is_utc { Zone::Utc } else { Zone::Local },
    })
}

fn day() -> impl Strategy<Value = BusinessDay> {
    (0..2_900_000_u32).prop_map(BusinessDay)
}

fn code() -> impl Strategy<Value = ItemCode> {
    prop_oneof![
        (0..10_000_000_000_000_u64)
            .prop_map(|body| ItemCode::Gtin(Gtin::from_body(body).expect("13 digits"))),
        (0..100_000_u32).prop_map(ItemCode::Plu),
    ]
}

fn item_id() -> impl Strategy<Value = ItemId<'static>> {
    (
        option::of((0..1_000_000_000_u32).prop_map(Sku)),
        option::of(code()),
        option::weighted(0.1, "[A-Z]{3,9}".prop_map(Text::Owned)),
    )
        .prop_map(|(sku, code, unread)| ItemId { sku, code, unread })
}

fn link(dialect: Dialect) -> impl Strategy<Value = TransactionLink<'static>> {
    (
        option::of(text()),
        option::of(text()),
        any::<[Option<u16>; 2]>(),
        option::of(day()),
        option::of(0..1_000_000_000_000_000_000_u64),
        any::<Option<u32>>(),
    )
        .prop_map(
            move |(reason, id, [store, workstation], business_day, number, line)| TransactionLink {
                reason,
                id: id.filter(|_| dialect == Dialect::V6),
                store,
                workstation,
                business_day,
                number,
                line,
            },
        )
}

fn item(dialect: Dialect) -> impl Strategy<Value = Item<'static>> {
    (
        (
            item_id(),
            option::of(coded::<ItemType>()),
            option::of(text()),
            option::of(text()),
        ),
        (money(), money(), money(), money(), money()),
        (
            option::of(measured()),
            option::of(link(dialect)),
            option::of(coded::<DisposalMethod>()),
        ),
    )
        .prop_map(
            |(
                (id, item_type, department, description),
                (list_price, regular_price, actual_price, extended_amount, discount),
                (quantity, link, disposal),
            )| Item {
                id,
                item_type,
                department,
                description,
                list_price,
                regular_price,
                actual_price,
                extended_amount,
                discount,
                quantity,
                link,
                disposal,
                reason: None,
            },
        )
}

fn tender() -> impl Strategy<Value = Tender<'static>> {
    (
        option::of(coded::<TenderType>()),
        option::of(coded::<TenderDirection>()),
        money(),
        option::of(text()),
        money(),
        money(),
    )
        .prop_map(|(kind, direction, amount, currency, change, rounding)| Tender {
            kind,
            direction,
            amount,
            currency: currency.filter(|_| amount.is_some()),
            change,
            rounding,
        })
}

fn line_kind(dialect: Dialect) -> impl Strategy<Value = LineKind<'static>> {
    prop_oneof![
        item(dialect).prop_map(LineKind::Sale),
        (item(dialect), option::of(text()))
            .prop_map(|(item, reason)| LineKind::Return(Item { reason, ..item })),
        tender().prop_map(LineKind::Tender),
        Just(LineKind::Empty),
        (money(), 0..5_u8).prop_map(|(amount, kind)| {
            // An amount that is not there has no place in these.
            let amount = Some(amount.unwrap_or_default());
            match kind {
                0 => LineKind::Discount(amount),
                1 => LineKind::Tax(amount),
                2 => LineKind::Change(amount),
                3 => LineKind::Deposit(amount),
                _ => LineKind::Coupon(amount),
            }
        }),
        option::of(text()).prop_map(|promotion| LineKind::Loyalty { promotion }),
    ]
}

fn line(dialect: Dialect) -> impl Strategy<Value = Line<'static>> {
    (
        any::<Option<u32>>(),
        option::of(stamp()),
        option::of(coded::<EntryMethod>()),
        any::<[bool; 2]>(),
        option::of((any::<u32>(), option::of(measured()))),
        line_kind(dialect),
    )
        .prop_map(|(number, at, entry, [void, cancelled], voids, kind)| Line {
            number,
            at,
            entry,
            void,
            cancelled,
            voids: voids.map(|(line, quantity)| Voids { line, quantity }),
            kind,
        })
}

fn retail(dialect: Dialect) -> impl Strategy<Value = Retail<'static>> {
    let total = (option::of(coded::<TotalType>()), signed_money()).prop_map(|(kind, amount)| Total {
        kind,
        amount: Some(amount.unwrap_or_default()),
    });
    (
        option::of(coded::<TransactionStatus>()),
        vec(line(dialect), 0..6),
        vec(total, 0..3),
        option::of(text()),
        option::of(link(dialect)),
    )
        .prop_map(|(status, lines, totals, loyalty_account, link)| Retail {
            status,
            lines,
            totals,
            loyalty_account,
            link,
        })
}

fn control(dialect: Dialect) -> impl Strategy<Value = ControlEvent<'static>> {
    let kinds: Vec<ControlKind> = ControlKind::CODES.iter().map(|(kind, _)| *kind).collect();
    (select(kinds), option::of(link(dialect))).prop_map(|(kind, link)| ControlEvent {
        kind: Coded::Known(kind),
        link: link.filter(|_| kind == ControlKind::PostVoid),
    })
}

fn place() -> impl Strategy<Value = Place<'static>> {
    (option::of(coded::<UnitType>()), text()).prop_map(|(kind, id)| Place { kind, id })
}

fn paper() -> impl Strategy<Value = InventoryDocument<'static>> {
    let kinds: Vec<InventoryKind> = InventoryKind::CODES.iter().map(|(kind, _)| *kind).collect();
    let article = prop_oneof![
        (0..1_000_000_000_u32).prop_map(|sku| ItemId {
            sku: Some(Sku(sku)),
            ..ItemId::default()
        }),
        code().prop_map(|code| ItemId {
            code: Some(code),
            ..ItemId::default()
        }),
    ];
    let quantity = || option::of(measured());
    let line = (
        article,
        quantity(),
        quantity(),
        quantity(),
        quantity(),
        option::of(self::quantity()),
    )
        .prop_map(
            |(item, ordered, received, disposed, quantity, book)| InventoryLine {
                item,
                ordered,
                received,
                disposed,
                quantity,
                book,
            },
        );
    (
        select(kinds),
        option::of(coded::<DocumentStatus>()),
        option::of(coded::<AdjustmentReason>()),
        (option::of(text()), option::of(text())),
        (option::of(place()), option::of(place())),
        any::<bool>(),
        vec(line, 0..4),
    )
        .prop_map(
            |(kind, status, reason, (type_code, id), (source, destination), is_back, lines)| {
                InventoryDocument {
                    status,
                    type_code,
                    reason: reason.filter(|_| kind == InventoryKind::Adjustment),
                    id,
                    source,
                    destination,
                    room: if is_back { Room::BackRoom } else { Room::Floor },
                    lines,
                    ..InventoryDocument::new(kind)
                }
            },
        )
}

fn any_transaction(dialect: Dialect) -> impl Strategy<Value = Transaction<'static>> {
    (
        (
            any::<[u16; 2]>(),
            0..1_000_000_000_000_000_000_u64,
            option::of(text()),
        ),
        (option::of(day()), option::of(stamp()), option::of(stamp())),
        (option::of(text()), option::of(text()), option::of(text())),
        any::<[bool; 3]>(),
        option::of(retail(dialect)),
        vec(control(dialect), 0..3),
        vec(paper(), 0..3),
    )
        .prop_map(
            move |(
                ([store, workstation], number, id),
                (business_day, begin, end),
                (operator, till, currency),
                [training, offline, cancelled],
                retail,
                control,
                mut inventory,
            )| {
                inventory.sort_by_key(|document| document.kind);
                Transaction {
                    store,
                    workstation,
                    number,
                    id: id.filter(|_| dialect == Dialect::V6),
                    business_day,
                    begin,
                    end,
                    operator,
                    till,
                    currency,
                    flags: Flags {
                        training,
                        offline,
                        cancelled: cancelled && dialect == Dialect::V2,
                    },
                    retail,
                    control,
                    inventory,
                }
            },
        )
}

//! 4690 receipts: golden bytes, tolerance of readers, framing, and write ∘ read = id.

use crate::support;
use contracts::ids::{Money, Quantity, TimeMs};
use contracts::wire::tlog4690::{
    FrameFault, FramingError, Header, Item, ItemKind, KeptKind, Measure, ParseError, RECEIPT_BYTES_MAX,
    Receipt, ReceiptWriter, StockLine, Tender, TenderKind, frames, parse,
};
use proptest::prelude::*;

const MARCH_14: TimeMs = TimeMs(1_741_944_360_000); // 2025-03-14T09:26Z

fn published() -> (Header, Item) {
    let header = Header {
        terminal: 632,
        number: 2,
        at: TimeMs(1_574_256_960_000), // 2019-11-20T13:36Z
        strings: 16,
        operator: 1,
        password: Some(1),
        gross_positive: Money(131),
        gross_negative: Money(5),
        ring_seconds: 24,
        tender_seconds: 58,
        inactive_seconds: 53,
        flags: 4_194_304,
        ..Header::default()
    };
    let item = Item {
        item_code: 811_099_999_998,
        extended_price: Money(25),
        unit_price: Money(25),
        ordinal: 4,
        indicators: [1409, 0, 75, 0],
        ..Item::default()
    };
    (header, item)
}

fn basket() -> (Header, [Item; 5]) {
    let header = Header {
        terminal: 3,
        number: 22,
        at: MARCH_14,
        strings: 22,
        operator: 22,
        gross_positive: Money(6647),
        gross_negative: Money(599),
        ring_seconds: 41,
        tender_seconds: 22,
        ..Header::default()
    };
    let piece = Item {
        item_code: 614_141_999_996,
        department: 22,
        extended_price: Money(150),
        unit_price: Money(150),
        ..Item::default()
    };
    let items = [
        Item {
            extended_price: Money(3300),
            quantity: Quantity::units(22),
            ordinal: 1,
            ..piece
        },
        Item {
            item_code: 2_000_012_345_678,
            department: 7,
            extended_price: Money(498),
            unit_price: Money(398),
            quantity: Quantity(1250),
            measure: Measure::Weighed,
            ordinal: 2,
            ..piece
        },
        Item {
            item_code: 50_614_141_000_017,
            extended_price: Money(599),
            unit_price: Money(599),
            kind: ItemKind::Return,
            ordinal: 3,
            ..piece
        },
        Item { ordinal: 4, ..piece },
        Item {
            ordinal: 5,
            voids: Some(4),
            ..piece
        },
    ];
    (header, items)
}

fn write_basket(out: &mut Vec<u8>) {
    let (header, items) = basket();
    let mut writer = ReceiptWriter::begin(out, &header);
    for item in &items {
        writer.item(item);
    }
    writer.record_bytes(&[0x99, 0x3a, 0x00, 0x3a, 0x22]);
    writer.tax(Money(212));
    writer.tender(&Tender {
        kind: TenderKind::Card,
        amount: Money(2500),
    });
    writer.tender(&Tender {
        kind: TenderKind::Cash,
        amount: Money(1000),
    });
    writer.change(Money(22));
    writer.finish();
}

#[test]
fn the_published_receipt_is_written_byte_for_byte() {
    let (header, item) = published();
    let mut out = Vec::new();
    let mut writer = ReceiptWriter::begin(&mut out, &header);
    writer.item(&item);
    writer.finish();
    assert_eq!(out, support::hex("tlog-4690-published.hex"));
    assert_eq!(out.len(), 76);
}

#[test]
fn the_published_receipt_is_read() {
    let (header, item) = published();
    let receipt = parse(&support::hex("tlog-4690-published.hex")).unwrap();
    assert_eq!(receipt.header, header);
    assert_eq!(receipt.items, [item]);
    assert!(receipt.kept.is_empty());
}

#[test]
fn a_basket_full_of_22_is_written_and_read() {
    let golden = support::hex("tlog-4690-basket.hex");
    let mut out = Vec::new();
    write_basket(&mut out);
    assert_eq!(out, golden);

    let receipt = parse(&golden).unwrap();
    let (header, items) = basket();
    assert_eq!(receipt.header, header);
    assert_eq!(receipt.items, items);
    assert_eq!((receipt.tax, receipt.change), (Money(212), Money(22)));
    assert_eq!(receipt.tenders.len(), 2);
    assert_eq!(receipt.kept.len(), 1);
    assert_eq!(receipt.kept[0].kind, KeptKind::Record(0x99));
    assert_eq!(
        golden[receipt.kept[0].range.clone()],
        [0x99, 0x3a, 0x00, 0x3a, 0x22]
    );
}

#[test]
fn voided_lines_and_those_that_void_move_no_stock() {
    let receipt = parse(&support::hex("tlog-4690-basket.hex")).unwrap();
    let line = |item_code, kind, quantity| StockLine {
        item_code,
        kind,
        quantity,
    };
    assert_eq!(
        receipt.stock_lines().collect::<Vec<_>>(),
        [
            line(614_141_999_996, ItemKind::Sale, Quantity::units(22)),
            line(2_000_012_345_678, ItemKind::Sale, Quantity(1250)),
            line(50_614_141_000_017, ItemKind::Return, Quantity::ONE),
        ]
    );
}

/// A receipt of the plain header and these records.
fn receipt_of(records: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = ReceiptWriter::begin(&mut out, &basket().0);
    for record in records {
        writer.record_bytes(record);
    }
    writer.finish();
    out
}

const PIECE: &[u8] =
    b"\x01\x3a\x12\x34\x3a\x25\x3a\xf0\x3a\x00\x00\x00\x3a\xf0\x3a\xf0\x3a\xf0\x3a\xf0\x3a\xf4";

#[test]
fn training_moves_no_stock() {
    let receipt = parse(&receipt_of(&[PIECE, &[0x98]])).unwrap();
    assert!(receipt.training);
    assert_eq!(receipt.items.len(), 1);
    assert_eq!(receipt.stock_lines().count(), 0);
}

#[test]
fn trailing_empty_fields_may_be_dropped() {
    let receipt = parse(&receipt_of(&[b"\x01\x3a\x12\x34"])).unwrap();
    assert_eq!(
        receipt.items,
        [Item {
            item_code: 1234,
            ..Item::default()
        }]
    );
    let short_header = b"\x22\x00\x3a\x00\x03\x3a\x00\x22\x3a\x03\x14\x25\x09\x26\x3a\x00\x22\x0d\x0a";
    assert_eq!(parse(short_header).unwrap().header.number, 22);
}

#[test]
fn fields_that_a_retailer_added_are_kept() {
    let bytes = receipt_of(&[&[PIECE, b"\x3a\x3a\x11\x3a\x12"].concat()]);
    let receipt = parse(&bytes).unwrap();
    assert_eq!(receipt.kept.len(), 1);
    assert_eq!(receipt.kept[0].kind, KeptKind::TrailingFields(0x01));
    assert_eq!(bytes[receipt.kept[0].range.clone()], [0x11, 0x3a, 0x12]);
}

#[test]
fn what_would_be_a_guess_about_stock_is_refused_with_its_class() {
    let void = |voided: u8| [PIECE, &[0x3a, voided]].concat();
    let mut post_void = support::hex("tlog-4690-published.hex");
    let end_of_header = post_void
        .windows(3)
        .position(|bytes| bytes == b"\x22\x2c\x22")
        .unwrap();
    post_void.insert(end_of_header, 0x17);
    let mut loan = support::hex("tlog-4690-published.hex");
    loan[15] = 0x03;
    let mut thirtieth_of_february = support::hex("tlog-4690-published.hex");
    thirtieth_of_february[9..11].copy_from_slice(&[0x02, 0x30]);
    for (bytes, class) in [
        (receipt_of(&[b"\x01\x3a"]), "bad-item"),
        (receipt_of(&[b"\x01\x3a\xab"]), "bad-item"),
        (receipt_of(&[b"\x01\x3a\xd1"]), "bad-item"),
        (receipt_of(&[b"\x01\x3a\x12\x3a\x3a\x3a\x3a\xab"]), "bad-item"),
        (receipt_of(&[b"\x02\x3a\xf0"]), "bad-item"),
        (
            receipt_of(&[
                PIECE,
                b"\x02\x3a\x3a\x3a\x3a\x3a\x3a\xf2",
                b"\x02\x3a\x3a\x3a\x3a\x3a\x3a\xf2",
            ]),
            "bad-item",
        ),
        (
            receipt_of(&[PIECE, b"\x02\x3a\x3a\x3a\x3a\x3a\x3a\xd2"]),
            "bad-item",
        ),
        (
            receipt_of(&[PIECE, b"\x02\x3a\x3a\x3a\x3a\x3a\x3a\x3a\xf1"]),
            "bad-item",
        ),
        (
            receipt_of(&[PIECE, b"\x02\x3a\x3a\x3a\x3a\x3a\x3a\x99\x99\x99\x99\x99\x99"]),
            "bad-item",
        ),
        (receipt_of(&[&void(0xf4)]), "bad-void"),
        (receipt_of(&[PIECE, &void(0xf5)]), "bad-void"),
        (receipt_of(&[PIECE, &void(0xf4), &void(0xf4)]), "bad-void"),
        (receipt_of(&[PIECE, &void(0x3f)]), "bad-item"),
        (post_void, "transaction-void"),
        (loan, "transaction-type"),
        (thirtieth_of_february, "bad-header"),
        (b"\x22\x21\x3a\x00\x03\x22\x0d\x0a".to_vec(), "bad-header"),
        (b"\x22\x00\x22\x0d\x0a".to_vec(), "bad-header"),
        (b"\x22\x22\x0d\x0a".to_vec(), "bad-header"),
        (b"\x22\x0d\x0a".to_vec(), "bad-frame"),
        (Vec::new(), "bad-frame"),
        (vec![0x22; RECEIPT_BYTES_MAX + 1], "bad-frame"),
    ] {
        let error = parse(&bytes).expect_err(class);
        assert_eq!(error.class(), class, "{error}");
    }
}

#[test]
fn an_error_names_the_byte() {
    let bytes = receipt_of(&[b"\x01\x3a\xab"]);
    let offset = bytes.iter().position(|byte| *byte == 0xab).unwrap();
    assert_eq!(
        parse(&bytes),
        Err(ParseError::Item {
            field: "ItemCode",
            offset
        })
    );
}

fn pieces(batch: &[u8]) -> (Vec<&[u8]>, Vec<FramingError>) {
    let (mut good, mut broken) = (Vec::new(), Vec::new());
    for frame in frames(batch) {
        match frame {
            Ok(range) => good.push(&batch[range]),
            Err(error) => broken.push(error),
        }
    }
    (good, broken)
}

#[test]
fn a_batch_is_cut_at_the_ends_of_its_receipts() {
    let (one, other) = (
        support::hex("tlog-4690-basket.hex"),
        support::hex("tlog-4690-published.hex"),
    );
    let batch = [&one[..], &other, &one].concat();
    assert_eq!(pieces(&batch), (vec![&one[..], &other, &one], vec![]));
    assert_eq!(pieces(&[]), (vec![], vec![]));
}

#[test]
fn a_receipt_without_its_end_costs_no_other_receipt() {
    let one = support::hex("tlog-4690-basket.hex");
    for cut in 1..one.len() {
        let batch = [&one[..], &one[..cut], &one].concat();
        let (good, broken) = pieces(&batch);
        assert_eq!(good, [&one[..], &one], "cut at {cut}");
        assert_eq!(broken.len(), 1, "cut at {cut}");
        let FramingError {
            offset,
            resumed,
            fault,
        } = broken[0];
        assert_eq!(
            (offset, resumed, fault),
            (one.len(), one.len() + cut, FrameFault::NoEnd),
            "cut at {cut}"
        );
    }
}

#[test]
fn rubbish_between_receipts_is_named_and_skipped() {
    let one = support::hex("tlog-4690-basket.hex");
    for rubbish in [&b"\x1a"[..], b"hello", b"\r\n", b"\x00\x22\x00\x3a"] {
        let batch = [rubbish, &one[..], rubbish, &one, rubbish].concat();
        let (good, broken) = pieces(&batch);
        assert_eq!(good, [&one[..], &one], "{rubbish:x?}");
        let offsets: Vec<_> = broken.iter().map(|error| (error.offset, error.resumed)).collect();
        let (gap, whole) = (rubbish.len(), one.len());
        assert_eq!(
            offsets,
            [
                (0, gap),
                (gap + whole, 2 * gap + whole),
                (2 * gap + 2 * whole, batch.len())
            ],
            "{rubbish:x?}"
        );
        assert!(broken.iter().all(|error| error.fault == FrameFault::NoStart));
    }
}

#[test]
fn a_quote_and_line_end_in_text_do_not_end_a_receipt() {
    let text = receipt_of(&[b"\x20\x3a\x01\x3a\"OUT OF \"\r\nPAPER\"", PIECE]);
    let one = support::hex("tlog-4690-basket.hex");
    let batch = [&text[..], &one].concat();
    assert_eq!(pieces(&batch), (vec![&text[..], &one], vec![]));
    assert_eq!(parse(&text).unwrap().items.len(), 1);
}

#[test]
fn a_receipt_without_end_is_given_up_at_the_limit() {
    let one = support::hex("tlog-4690-basket.hex");
    let endless = [&one[..one.len() - 3], &vec![0x22; 2 * RECEIPT_BYTES_MAX]].concat();
    let batch = [&endless[..], &one].concat();
    let (good, broken) = pieces(&batch);
    assert_eq!(good, [&one[..]]);
    assert_eq!(
        broken,
        [FramingError {
            offset: 0,
            resumed: endless.len(),
            fault: FrameFault::TooLong
        }]
    );
}

prop_compose! {
    fn any_header()(
        (terminal, number, strings, transaction_type) in (0_u16..10_000, 0_u16..10_000, 0_u16..10_000, Just(0_u8)),
        minutes in 0_i64..52_594_560, // up to the end of 2099
        (operator, password, flags) in any::<(u32, Option<u32>, u32)>(),
        (positive, negative) in (-1_000_000_000_000_i64..1_000_000_000_000, 0_i64..1_000_000_000),
        (ring_seconds, tender_seconds, inactive_seconds) in any::<(u16, u16, u16)>(),
    ) -> Header {
        Header {
            terminal, number, strings, transaction_type,
            at: TimeMs(946_684_800_000 + minutes * 60_000),
            operator, password, flags,
            gross_positive: Money(positive),
            gross_negative: Money(negative),
            ring_seconds, tender_seconds, inactive_seconds,
        }
    }
}

prop_compose! {
    fn any_item()(
        item_code in prop_oneof![0_u64..100_000_000_000_000, Just(22), Just(2222)],
        department: u16,
        (extended, unit) in (-1_000_000_i64..1_000_000, -1_000_000_i64..1_000_000),
        (weighed, thousandths, units) in (any::<bool>(), 0_i64..1_000_000_000, prop_oneof![0_i64..1000, Just(1), Just(22)]),
        returned: bool,
        coupon_family in 0_u32..1_000_000,
        words in any::<[u32; 4]>(),
    ) -> Item {
        Item {
            item_code,
            department,
            extended_price: Money(extended),
            unit_price: Money(unit),
            quantity: if weighed { Quantity(thousandths) } else { Quantity::units(units) },
            measure: if weighed { Measure::Weighed } else { Measure::Each },
            kind: if returned { ItemKind::Return } else { ItemKind::Sale },
            ordinal: 0,
            voids: None,
            coupon_family,
            indicators: [words[0] & !contracts::wire::tlog4690::RETURN_FLAG, words[1], words[2], words[3]],
        }
    }
}

/// Items numbered from 1, some voided by an entry behind.
fn any_items() -> impl Strategy<Value = Vec<Item>> {
    prop::collection::vec((any_item(), prop::bool::weighted(0.2)), 0..20).prop_map(|drawn| {
        let mut items: Vec<Item> = Vec::new();
        for (item, voided) in drawn {
            let ordinal = items.len() as u16 + 1;
            items.push(Item { ordinal, ..item });
            if voided {
                items.push(Item {
                    ordinal: ordinal + 1,
                    voids: Some(ordinal),
                    ..item
                });
            }
        }
        items
    })
}

fn any_receipt() -> impl Strategy<Value = (Header, Vec<Item>, Vec<u8>)> {
    (any_header(), any_items(), any::<(i32, i32, u8, i32)>()).prop_map(
        |(header, items, (tax, amount, kind, change))| {
            let mut out = vec![0xee];
            let mut writer = ReceiptWriter::begin(&mut out, &header);
            for item in &items {
                writer.item(item);
            }
            writer.tax(Money(i64::from(tax)));
            writer.tender(&Tender {
                kind: TenderKind::from_code(kind % 100),
                amount: Money(i64::from(amount)),
            });
            writer.change(Money(i64::from(change)));
            writer.finish();
            assert_eq!(out.remove(0), 0xee, "a writer appends");
            (header, items, out)
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read((header, items, bytes) in any_receipt()) {
        let receipt = parse(&bytes).unwrap();
        prop_assert_eq!(receipt.header, header);
        prop_assert_eq!(&receipt.items, &items);
        let voided = items.iter().filter(|item| item.voids.is_some()).count();
        prop_assert_eq!(receipt.stock_lines().count(), items.len() - 2 * voided);
    }

    #[test]
    fn a_receipt_used_again_reads_as_a_fresh_one((_, _, one) in any_receipt(), (_, _, other) in any_receipt()) {
        let mut receipt = Receipt::default();
        receipt.read(&one).unwrap();
        receipt.read(&other).unwrap();
        prop_assert_eq!(receipt, parse(&other).unwrap());
    }

    #[test]
    fn a_batch_is_cut_into_what_was_joined(receipts in prop::collection::vec(any_receipt(), 0..6)) {
        let batch: Vec<u8> = receipts.iter().flat_map(|(_, _, bytes)| bytes.clone()).collect();
        let (good, broken) = pieces(&batch);
        prop_assert_eq!(broken, vec![]);
        let joined: Vec<&[u8]> = receipts.iter().map(|(_, _, bytes)| &bytes[..]).collect();
        prop_assert_eq!(good, joined);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
        let _ = parse(&[b"\x22\x00\x3a\x00\x03\x3a\x00\x22\x3a\x03\x14\x25\x09\x26\x3a\x00\x3a", &bytes[..], b"\x22\x0d\x0a"].concat());
    }

    /// Whatever is damaged, each byte of the batch is in one range, and receipts far from the damage come through.
    #[test]
    fn damage_stays_where_it_is(
        receipts in prop::collection::vec(any_receipt(), 3..6),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_usize..4), 1..6),
    ) {
        let whole: Vec<&[u8]> = receipts.iter().map(|(_, _, bytes)| &bytes[..]).collect();
        let mut middle = whole[1..whole.len() - 1].concat();
        for (index, byte, remove) in damage {
            if middle.is_empty() { break; }
            let at = index.index(middle.len());
            middle[at] = byte;
            middle.drain(at..(at + remove).min(middle.len()));
        }
        let (first, last) = (whole[0], whole[whole.len() - 1]);
        let batch = [first, &middle, last].concat();
        let mut position = 0;
        for frame in frames(&batch) {
            let range = frame.unwrap_or_else(|error| error.offset..error.resumed);
            prop_assert_eq!(range.start, position);
            prop_assert!(range.end > range.start);
            position = range.end;
            let _ = parse(&batch[range]);
        }
        prop_assert_eq!(position, batch.len());
        let (good, _) = pieces(&batch);
        prop_assert_eq!(good.last().copied(), Some(last));
    }
}

//! Raw message → movements: one table for each source, every class of dead letter, and laws.

use contracts::ids::{Gtin, LocationId, Money, Quantity, Sku, TimeMs};
use contracts::records::{
    ExpectedSource, Movement, MovementKind, MovementLine, Place, SourceKind, SourceMark,
};
use contracts::wire::FORMAT_SOURCE_MARK;
use contracts::wire::copybook::{self, MoveRecord, MoveType, StatusRecord};
use contracts::wire::epcis::{BizStep, DocumentWriter, ScanEvent, ScanLine, SubLocation};
use contracts::wire::tlog4690::{Header, Item, ItemKind, Measure, ReceiptWriter};
use normaliser::{
    BusinessClock, Catalogue, Normalised, Normaliser, RawMessage, RawTopic, Rejection, encode_movement,
};
use proptest::prelude::*;
use prost::Message as _;

const OATS: (Sku, u64) = (Sku(100_234), 614_141_999_996);
const APPLES: (Sku, u64) = (Sku(7), 2_000_012_345_678);
const MARCH_14: TimeMs = TimeMs(1_741_944_360_000); // 2025-03-14T09:26Z
const MARCH_14_DAYS: u32 = 20_161;

fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::default();
    for (sku, gtin) in [OATS, APPLES] {
        catalogue.insert(sku, gtin);
    }
    catalogue
}

fn gtin(value: u64) -> Gtin {
    Gtin::new(value).unwrap()
}

fn raw<'a>(topic: RawTopic, key: &'a str, payload: &'a [u8]) -> RawMessage<'a> {
    RawMessage {
        topic,
        key: key.as_bytes(),
        payload,
        format: None,
        group: None,
    }
}

/// The movements of a message, as a reader of the topic decodes them.
fn movements(raw: &RawMessage<'_>) -> Result<Vec<Movement>, Rejection> {
    let mut out = Normalised::default();
    Normaliser::new(BusinessClock::default()).normalise(raw, &catalogue(), &mut out)?;
    let mut bytes = Vec::new();
    Ok(out
        .transactions
        .iter()
        .map(|transaction| {
            encode_movement(transaction, 77, out.lines_of(transaction), &mut bytes);
            Movement::decode(&bytes[..]).unwrap()
        })
        .collect())
}

fn receipt(header: &Header, items: &[Item]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = ReceiptWriter::begin(&mut out, header);
    for item in items {
        writer.item(item);
    }
    writer.tax(Money(1));
    writer.finish();
    out
}

fn till_header() -> Header {
    Header {
        terminal: 3,
        number: 22,
        at: MARCH_14,
        ..Header::default()
    }
}

fn lines(of: &Movement) -> Vec<(u32, MovementKind, i64)> {
    of.lines
        .iter()
        .map(|line| (line.sku, line.kind(), line.quantity))
        .collect()
}

#[test]
fn a_receipt_becomes_one_movement_of_its_lines() {
    let piece = Item {
        item_code: OATS.1,
        ..Item::default()
    };
    let items = [
        Item {
            quantity: Quantity::units(22),
            ordinal: 1,
            ..piece
        },
        Item { ordinal: 2, ..piece },
        Item {
            ordinal: 3,
            voids: Some(2),
            ..piece
        },
        Item {
            item_code: APPLES.1,
            quantity: Quantity(1250),
            measure: Measure::Weighed,
            ordinal: 4,
            ..piece
        },
        Item {
            kind: ItemKind::Return,
            ordinal: 5,
            ..piece
        },
    ];
    let bytes = receipt(&till_header(), &items);
    let [movement] = &movements(&raw(RawTopic::Till, "S0042", &bytes)).unwrap()[..] else {
        panic!()
    };
    assert_eq!(movement.location, "S0042");
    assert_eq!(
        (movement.source_kind(), movement.source_unit),
        (SourceKind::Till, 3)
    );
    assert_eq!((movement.business_day, movement.number), (MARCH_14_DAYS, 22));
    assert_eq!((movement.occurred_ms, movement.due_ms), (MARCH_14.0, 77));
    assert_eq!(movement.content_hash, contracts::hash::content_hash(&bytes));
    assert_eq!(
        lines(movement),
        [
            (100_234, MovementKind::Sold, 22_000),
            (7, MovementKind::Sold, 1250),
            (100_234, MovementKind::Returned, 1000),
        ]
    );
}

#[test]
fn a_transaction_without_stock_gives_a_movement_of_no_lines() {
    let loan = receipt(
        &Header {
            transaction_type: 3,
            ..till_header()
        },
        &[],
    );
    let [movement] = &movements(&raw(RawTopic::Till, "S0042", &loan)).unwrap()[..] else {
        panic!()
    };
    assert_eq!((movement.number, movement.lines.len()), (22, 0));
}

#[test]
fn a_business_day_begins_at_its_cut_over_hour() {
    let day_of = |clock: BusinessClock, hours: i64| clock.day_of(TimeMs(hours * 3_600_000)).0;
    let utc = BusinessClock::default();
    assert_eq!(day_of(utc, 24 * 100 + 3), 99);
    assert_eq!(day_of(utc, 24 * 100 + 4), 100);
    assert_eq!(day_of(utc, 24 * 101 + 3), 100);
    let chicago = BusinessClock {
        utc_offset_minutes: -360,
        ..utc
    };
    assert_eq!(day_of(chicago, 24 * 100 + 9), 99);
    assert_eq!(day_of(chicago, 24 * 100 + 10), 100);
    assert_eq!(day_of(utc, -5), 0);
    assert_eq!(utc.day_of(TimeMs(i64::MIN)).0, 0);
    assert_eq!(utc.day_of(TimeMs(i64::MAX)).0, u32::MAX);
}

fn record() -> MoveRecord {
    MoveRecord {
        sequence: 123_456,
        place: LocationId::warehouse(7),
        department: 81,
        sku: OATS.0,
        gtin: gtin(OATS.1),
        move_type: MoveType::Shipped,
        quantity: Quantity::units(-24),
        on_hand: Quantity::units(1000),
        on_order: Quantity(0),
        unit_cost: Money(1234),
        at: MARCH_14,
        adjusted_units: 0,
        destination: Some(LocationId::store(42)),
        despatch_advice: Some(9001),
    }
}

fn written(record: &MoveRecord) -> Vec<u8> {
    let mut out = Vec::new();
    copybook::write(record, &mut out).unwrap();
    out
}

#[test]
fn a_queue_record_becomes_one_movement_by_its_type() {
    for (move_type, quantity, kind, moved) in [
        (MoveType::Supplied, 48_000, MovementKind::Supplied, 48_000),
        (MoveType::Shipped, -24_000, MovementKind::Shipped, 24_000),
        (MoveType::Adjusted, -1000, MovementKind::AdjustedBackRoom, -1000),
        (MoveType::Adjusted, 1000, MovementKind::AdjustedBackRoom, 1000),
        (
            MoveType::CountVariance,
            500_000,
            MovementKind::CountedBackRoom,
            500_000,
        ),
        (MoveType::CountVariance, -1, MovementKind::CountedBackRoom, -1),
    ] {
        let bytes = written(&MoveRecord {
            move_type,
            quantity: Quantity(quantity),
            ..record()
        });
        let [movement] = &movements(&raw(RawTopic::Queue, "W0007", &bytes)).unwrap()[..] else {
            panic!()
        };
        assert_eq!(movement.location, "W0007");
        assert_eq!(
            (movement.source_kind(), movement.source_unit),
            (SourceKind::Queue, 0)
        );
        assert_eq!(
            (movement.business_day, movement.number, movement.despatch_advice),
            (0, 123_456, 9001)
        );
        assert_eq!(movement.occurred_ms, MARCH_14.0);
        assert_eq!(lines(movement), [(100_234, kind, moved)]);
    }
}

fn document(events: &[ScanEvent<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = DocumentWriter::begin(&mut out, MARCH_14);
    for event in events {
        writer.event(event);
    }
    writer.finish();
    out
}

const SCAN: ScanEvent<'static> = ScanEvent {
    reader: 5,
    running_number: 17,
    location: LocationId::store(42),
    at: MARCH_14,
    step: BizStep::Receiving,
    despatch_advice: None,
    sub_location: SubLocation::Door,
    lines: &[],
};

#[test]
fn each_event_of_a_document_becomes_a_movement() {
    let counted = [
        ScanLine::counted(gtin(OATS.1), Quantity::units(18), Quantity::units(20)),
        ScanLine::counted(gtin(APPLES.1), Quantity(500), Quantity(500)),
    ];
    let moved = [ScanLine::moved(gtin(OATS.1), Quantity::units(3))];
    let bytes = document(&[
        ScanEvent {
            despatch_advice: Some(9001),
            lines: &moved,
            ..SCAN
        },
        ScanEvent {
            running_number: 18,
            step: BizStep::Stocking,
            sub_location: SubLocation::Floor,
            lines: &moved,
            ..SCAN
        },
        ScanEvent {
            running_number: 19,
            step: BizStep::Storing,
            sub_location: SubLocation::BackRoom,
            lines: &moved,
            ..SCAN
        },
        ScanEvent {
            running_number: 20,
            step: BizStep::StockTaking,
            sub_location: SubLocation::Floor,
            lines: &counted,
            ..SCAN
        },
        ScanEvent {
            running_number: 21,
            step: BizStep::StockTaking,
            sub_location: SubLocation::BackRoom,
            lines: &counted,
            ..SCAN
        },
        ScanEvent {
            running_number: 22,
            ..SCAN
        },
    ]);
    let movements = movements(&raw(RawTopic::Scan, "S0042", &bytes)).unwrap();
    assert!(
        movements
            .iter()
            .all(|movement| movement.source_kind() == SourceKind::Reader && movement.source_unit == 5)
    );
    assert!(
        movements
            .iter()
            .all(|movement| movement.location == "S0042" && movement.business_day == 0)
    );
    assert_eq!(
        movements
            .iter()
            .map(|movement| movement.number)
            .collect::<Vec<_>>(),
        [17, 18, 19, 20, 21, 22]
    );
    assert_eq!(
        movements
            .iter()
            .map(|movement| movement.despatch_advice)
            .collect::<Vec<_>>(),
        [9001, 0, 0, 0, 0, 0]
    );
    assert_eq!(
        movements.iter().map(lines).collect::<Vec<_>>(),
        [
            vec![(100_234, MovementKind::Received, 3000)],
            vec![(100_234, MovementKind::Stocked, 3000)],
            vec![(100_234, MovementKind::Stored, 3000)],
            vec![
                (100_234, MovementKind::CountedFloor, -2000),
                (7, MovementKind::CountedFloor, 0)
            ],
            vec![
                (100_234, MovementKind::CountedBackRoom, -2000),
                (7, MovementKind::CountedBackRoom, 0)
            ],
            vec![],
        ]
    );
}

#[test]
fn an_event_written_again_in_other_spelling_has_the_same_hash_and_another_quantity_has_not() {
    let hash =
        |text: &str| movements(&raw(RawTopic::Scan, "S0042", text.as_bytes())).unwrap()[0].content_hash;
    let moved = [ScanLine::moved(gtin(OATS.1), Quantity::units(3))];
    let text = String::from_utf8(document(&[ScanEvent {
        lines: &moved,
        ..SCAN
    }]))
    .unwrap();
    assert_eq!(
        hash(&text),
        hash(
            &text
                .replace(',', " ,\n")
                .replace("\"quantity\":3", "\"quantity\":3.0")
        )
    );
    assert_ne!(
        hash(&text),
        hash(&text.replace("\"quantity\":3", "\"quantity\":4"))
    );
}

#[test]
fn what_cannot_be_understood_is_told_by_class() {
    let good = receipt(
        &till_header(),
        &[Item {
            item_code: OATS.1,
            ordinal: 1,
            ..Item::default()
        }],
    );
    let unknown = receipt(
        &till_header(),
        &[
            Item {
                item_code: OATS.1,
                ..Item::default()
            },
            Item {
                item_code: 22,
                ..Item::default()
            },
        ],
    );
    let blank_quantity = {
        let mut bytes = written(&record());
        bytes[33..39].fill(0x40);
        bytes
    };
    let conflict = written(&MoveRecord {
        sku: Sku(8),
        ..record()
    });
    let sold = written(&MoveRecord {
        move_type: MoveType::Sold,
        ..record()
    });
    let shipped = written(&record());
    let scan = document(&[SCAN]);
    let unsupported = String::from_utf8(scan.clone())
        .unwrap()
        .replace("receiving", "dispensing")
        .into_bytes();
    let half_unknown = document(&[
        SCAN,
        ScanEvent {
            running_number: 18,
            lines: &[ScanLine::moved(gtin(614_141_000_425), Quantity::ONE)],
            ..SCAN
        },
    ]);
    let text_key = RawMessage {
        key: b"\xff",
        ..raw(RawTopic::Till, "", &good)
    };
    let other_format = RawMessage {
        format: Some(b"poslog-6"),
        group: None,
        ..raw(RawTopic::Till, "S0042", &good)
    };
    for (raw, class) in [
        (raw(RawTopic::Till, "", &good), "bad-key"),
        (raw(RawTopic::Till, "store 42", &good), "bad-key"),
        (text_key, "bad-key"),
        (other_format, "unknown-format"),
        (raw(RawTopic::Till, "S0042", b""), "bad-frame"),
        (raw(RawTopic::Till, "S0042", &good[1..]), "bad-frame"),
        (raw(RawTopic::Till, "S0042", &scan), "bad-frame"),
        (raw(RawTopic::Till, "S0042", &unknown), "unknown-item"),
        (raw(RawTopic::Queue, "W0007", &shipped[1..]), "bad-length"),
        (raw(RawTopic::Queue, "W0007", &blank_quantity), "bad-packed"),
        (raw(RawTopic::Queue, "W0008", &shipped), "wrong-location"),
        (raw(RawTopic::Queue, "W0007", &conflict), "item-conflict"),
        (raw(RawTopic::Queue, "W0007", &sold), "unsupported-move-type"),
        (raw(RawTopic::Scan, "S0042", &good), "bad-json"),
        (raw(RawTopic::Scan, "S0043", &scan), "wrong-location"),
        (raw(RawTopic::Scan, "S0042", &unsupported), "unsupported-step"),
        (raw(RawTopic::Scan, "S0042", &half_unknown), "unknown-item"),
    ] {
        let rejection = movements(&raw).expect_err(class);
        assert_eq!(rejection.class, class, "{rejection}");
        assert!(!rejection.message.is_empty());
    }
}

#[test]
fn the_format_header_wins_over_the_topic() {
    let shipped = written(&record());
    let message = RawMessage {
        format: Some(b"copybook-037"),
        group: None,
        ..raw(RawTopic::Till, "W0007", &shipped)
    };
    assert_eq!(movements(&message).unwrap()[0].source_kind(), SourceKind::Queue);
}

#[test]
fn a_rejected_message_leaves_nothing_behind() {
    let mut out = Normalised::default();
    let mut normaliser = Normaliser::default();
    let good = receipt(
        &till_header(),
        &[Item {
            item_code: OATS.1,
            ..Item::default()
        }],
    );
    let bad = receipt(
        &till_header(),
        &[
            Item {
                item_code: OATS.1,
                ..Item::default()
            },
            Item {
                item_code: 22,
                ..Item::default()
            },
        ],
    );
    normaliser
        .normalise(&raw(RawTopic::Till, "S0042", &good), &catalogue(), &mut out)
        .unwrap();
    normaliser
        .normalise(&raw(RawTopic::Till, "S0042", &bad), &catalogue(), &mut out)
        .unwrap_err();
    assert_eq!(out, Normalised::default());
}

/// What a message says of its place's sources.
fn said(raw: &RawMessage<'_>) -> Result<Movement, Rejection> {
    let mut out = Normalised::default();
    Normaliser::new(BusinessClock::default()).normalise(raw, &catalogue(), &mut out)?;
    assert!(raw.is_statement() && out.transactions.is_empty() && out.lines.is_empty());
    Ok(out.statement.expect("a statement").to_movement(77))
}

#[test]
fn a_mark_is_passed_on_as_the_sources_wrote_it() {
    let text = br#"{"store":"S0042","clock":"2025-03-14T09:26:00.500Z","sources":[
        {"till":3,"businessDay":"2025-03-14","last":9999},{"till":4,"last":0},{"reader":1,"last":88}]}"#;
    let marked = |key| RawMessage {
        format: Some(FORMAT_SOURCE_MARK.as_bytes()),
        group: None,
        ..raw(RawTopic::Till, key, text)
    };
    let mark = |kind: SourceKind, source_unit, business_day, last_number| SourceMark {
        source_kind: kind as i32,
        source_unit,
        business_day,
        last_number,
    };
    let expected = Movement {
        location: "S0042".into(),
        occurred_ms: MARCH_14.0 + 500,
        due_ms: 77,
        marks: vec![
            mark(SourceKind::Till, 3, MARCH_14_DAYS, 9_999),
            mark(SourceKind::Till, 4, 0, 0),
            mark(SourceKind::Reader, 1, 0, 88),
        ],
        ..Movement::default()
    };
    assert_eq!(said(&marked("S0042")), Ok(expected));
    assert_eq!(said(&marked("S0043")).unwrap_err().class, "wrong-location");
    let broken = RawMessage {
        payload: &text[1..],
        ..marked("S0042")
    };
    assert_eq!(said(&broken).unwrap_err().class, "bad-json");
}

#[test]
fn a_status_record_is_the_mark_of_a_warehouse() {
    let mut bytes = Vec::new();
    let status = StatusRecord {
        place: LocationId::warehouse(7),
        last_sequence: 12,
        at: MARCH_14,
    };
    copybook::write_status(&status, &mut bytes).unwrap();
    let expected = Movement {
        location: "W0007".into(),
        occurred_ms: MARCH_14.0,
        due_ms: 77,
        marks: vec![SourceMark {
            source_kind: SourceKind::Queue as i32,
            last_number: 12,
            ..SourceMark::default()
        }],
        ..Movement::default()
    };
    assert_eq!(said(&raw(RawTopic::Queue, "W0007", &bytes)), Ok(expected));
    let elsewhere = said(&raw(RawTopic::Queue, "W0008", &bytes));
    assert_eq!(elsewhere.unwrap_err().class, "wrong-location");
}

#[test]
fn a_place_of_master_data_says_which_sources_are_expected() {
    let expected = vec![ExpectedSource {
        source_kind: SourceKind::Till as i32,
        source_unit: 3,
        first_number: 1,
    }];
    let place = Place {
        location: "S0042".into(),
        sources: expected.clone(),
        ..Place::default()
    };
    let bytes = place.encode_to_vec();
    let movement = said(&raw(RawTopic::Place, "S0042", &bytes)).unwrap();
    assert_eq!((&*movement.location, movement.expected), ("S0042", expected));
    assert_eq!((movement.occurred_ms, movement.marks.len()), (0, 0));
    let elsewhere = said(&raw(RawTopic::Place, "S0043", &bytes));
    assert_eq!(elsewhere.unwrap_err().class, "wrong-location");
    let unknown = Place {
        sources: vec![ExpectedSource::default()],
        ..place
    };
    for bytes in [&unknown.encode_to_vec()[..], b"\xff"] {
        let error = said(&raw(RawTopic::Place, "S0042", bytes)).unwrap_err();
        assert_eq!(error.class, "bad-place");
    }
}

prop_compose! {
    fn any_movement()(
        (store, number, reader) in any::<(bool, u16, u16)>(),
        kind in prop::sample::select(vec![SourceKind::Till, SourceKind::Queue, SourceKind::Reader]),
        (business_day, running, occurred_ms, due_ms, content_hash, despatch_advice) in any::<(u32, u64, i64, i64, u64, u64)>(),
        lines in prop::collection::vec((any::<u32>(), prop::sample::select(&MovementKind::ALL[..]), any::<i64>()), 0..20),
    ) -> Movement {
        let location = if store { LocationId::store(number) } else { LocationId::warehouse(number) };
        Movement {
            location: location.to_string(),
            source_kind: kind as i32,
            source_unit: u32::from(reader),
            business_day, occurred_ms, due_ms, content_hash, despatch_advice,
            number: running,
            lines: lines.into_iter().map(|(sku, kind, quantity)| MovementLine { sku, kind: kind as i32, quantity }).collect(),
            ..Movement::default()
        }
    }
}

proptest! {
    #[test]
    fn a_movement_is_encoded_as_prost_encodes_it(movement in any_movement()) {
        use contracts::ids::{BusinessDay, SourceId, TransactionId};
        let transaction = normaliser::Transaction {
            id: TransactionId {
                source: SourceId {
                    location: movement.location.parse().unwrap(),
                    kind: movement.source_kind(),
                    unit: movement.source_unit as u16,
                },
                business_day: BusinessDay(movement.business_day),
                number: movement.number,
            },
            occurred: TimeMs(movement.occurred_ms),
            content_hash: movement.content_hash,
            despatch_advice: movement.despatch_advice,
            group: None,
            lines: 0..movement.lines.len(),
        };
        let mut bytes = vec![1, 2, 3];
        encode_movement(&transaction, movement.due_ms, &movement.lines, &mut bytes);
        prop_assert_eq!(bytes, movement.encode_to_vec());
    }

    #[test]
    fn no_message_makes_it_panic(
        topic in prop::sample::select(&RawTopic::ALL[..]),
        key in prop::collection::vec(any::<u8>(), 0..8),
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = movements(&RawMessage { topic, key: &key, payload: &payload, format: None, group: None });
        let _ = movements(&RawMessage { topic, key: b"S0042", payload: &payload, format: None, group: None });
    }

    /// What a receipt's movement says is what was written, line by line, whoever voids what.
    #[test]
    fn lines_keep_the_order_of_the_receipt(
        drawn in prop::collection::vec((any::<bool>(), 1_i64..50, any::<bool>(), prop::bool::weighted(0.2)), 0..15),
    ) {
        let (mut items, mut expected) = (Vec::new(), Vec::new());
        for (oats, units, returned, voided) in drawn {
            let (sku, code) = if oats { OATS } else { APPLES };
            let ordinal = items.len() as u16 + 1;
            let kind = if returned { ItemKind::Return } else { ItemKind::Sale };
            let item = Item { item_code: code, quantity: Quantity::units(units), kind, ordinal, ..Item::default() };
            items.push(item);
            if voided {
                items.push(Item { ordinal: ordinal + 1, voids: Some(ordinal), ..item });
            } else {
                let kind = if returned { MovementKind::Returned } else { MovementKind::Sold };
                expected.push((sku.0, kind, units * 1000));
            }
        }
        let bytes = receipt(&till_header(), &items);
        let movements = movements(&raw(RawTopic::Till, "S0042", &bytes)).unwrap();
        prop_assert_eq!(lines(&movements[0]), expected);
    }
}

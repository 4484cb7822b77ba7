//! Scans and queue messages as they come from the field: corrections, beeps, labels, pallets, descriptors in front.

use crate::support::{AT, pieces, stocking};
use contracts::ids::{Gtin, LocationId, Money, Quantity, Sku, TimeMs};
use contracts::records::{Article, Movement, MovementKind, Pack};
use contracts::wire::copybook::{self, MoveRecord, MoveType, StatusRecord};
use contracts::wire::epcis::{
    Action, DeclarationDraft, Disposition, DocumentWriter, DraftContent, DraftThings, EventDraft, EventId,
    Site, Spelling, Step, SubLocation,
};
use contracts::wire::gs1::in_store::{self, Rules, Value};
use contracts::wire::gs1::{Key, PrefixLength, Sscc, Unit};
use contracts::wire::mqmd::{self, Descriptor, Format};
use contracts::wire::tlog4690::{Header, Item, ReceiptWriter};
use normaliser::{
    BusinessClock, Catalogue, Normalised, Normaliser, RawMessage, RawTopic, Rejection, encode_movement,
};
use prost::Message as _;

const OATS: (u32, u64) = (100_234, 614_141_999_996);

fn gtin(value: u64) -> Gtin {
    Gtin::new(value).unwrap()
}

/// Weighed, and one that scales put a price on: 2.50 a kilogram.
fn ham() -> (u32, Gtin) {
    (7, Gtin::from_body(281_234_500_000).unwrap())
}

fn cheese() -> (u32, Gtin) {
    (8, Gtin::from_body(221_234_500_000).unwrap())
}

/// A dozen of an article.
fn carton(article: u64) -> Gtin {
    Gtin::from_body(1_000_000_000_000 + article / 10).unwrap()
}

fn normalised(raw: &RawMessage<'_>) -> Result<Vec<Movement>, Rejection> {
    let mut catalogue = Catalogue::default();
    for (sku, gtin, price) in [
        (OATS.0, OATS.1, 199),
        (ham().0, ham().1.value(), 1000),
        (cheese().0, cheese().1.value(), 250),
    ] {
        let article = Article {
            sku,
            gtin,
            price,
            packs: vec![Pack {
                gtin: carton(gtin).value(),
                quantity: 12_000,
            }],
            ..Article::default()
        };
        assert!(catalogue.apply(sku.to_string().as_bytes(), Some(&article.encode_to_vec())));
    }
    let mut out = Normalised::default();
    Normaliser::new(BusinessClock::default()).normalise(raw, &catalogue, &mut out)?;
    let mut bytes = Vec::new();
    Ok(out
        .transactions
        .iter()
        .map(|transaction| {
            encode_movement(transaction, 0, out.lines_of(transaction), &mut bytes);
            Movement::decode(&bytes[..]).unwrap()
        })
        .collect())
}

fn scanned(document: &[u8]) -> Result<Vec<Movement>, Rejection> {
    normalised(&RawMessage {
        topic: RawTopic::Scan,
        key: b"S0042",
        payload: document,
        format: None,
        group: None,
    })
}

fn queued(message: &[u8]) -> Result<Vec<Movement>, Rejection> {
    normalised(&RawMessage {
        topic: RawTopic::Queue,
        key: b"W0007",
        payload: message,
        format: None,
        group: None,
    })
}

fn lines(of: &Movement) -> Vec<(u32, MovementKind, i64)> {
    let lines = of.lines.iter();
    lines.map(|line| (line.sku, line.kind(), line.quantity)).collect()
}

fn document(events: &[EventDraft<'_>]) -> (Vec<u8>, Vec<EventId>) {
    let mut out = Vec::new();
    let mut writer = DocumentWriter::begin(&mut out, AT);
    let ids = events.iter().filter_map(|event| writer.draft(event)).collect();
    writer.finish();
    (out, ids)
}

#[test]
fn a_correction_takes_back_and_is_a_transaction_of_its_own_number() {
    let (wrong, right) = ([pieces(gtin(OATS.1), 11)], [pieces(gtin(OATS.1), 12)]);
    let corrective = stocking(&right, 19);
    let (_, ids) = document(&[corrective]);
    let declared = |at: i64, reader| EventDraft {
        declaration: Some(DeclarationDraft {
            at: TimeMs(AT.0 + at),
            reason: None,
            corrective: &ids,
            reader,
        }),
        ..stocking(&wrong, 17)
    };
    let (bytes, _) = document(&[stocking(&wrong, 17), declared(60_000, Some((5, 18))), corrective]);
    let read = scanned(&bytes).unwrap();
    let numbers: Vec<u64> = read.iter().map(|movement| movement.number).collect();
    assert_eq!(numbers, [17, 18, 19]);
    let all: Vec<_> = read.iter().map(lines).collect();
    let line = |quantity| vec![(OATS.0, MovementKind::Stocked, quantity)];
    assert_eq!(all, [line(11_000), line(-11_000), line(12_000)]);

    // The same declaration again is the same, one made at another time is not.
    let hash = |draft| scanned(&document(&[draft]).0).unwrap()[0].content_hash;
    assert_eq!(hash(declared(60_000, Some((5, 18)))), read[1].content_hash);
    assert_ne!(hash(declared(61_000, Some((5, 18)))), read[1].content_hash);
    // Without a number of its own it has no identity.
    let refused = scanned(&document(&[declared(60_000, None)]).0).unwrap_err();
    assert_eq!(refused.class, "bad-event");
    assert!(refused.message.contains("errorDeclaration"), "{refused}");
}

#[test]
fn what_moves_stock_without_a_number_is_refused_and_what_moves_nothing_is_passed_over() {
    let one = [pieces(gtin(OATS.1), 1)];
    let nameless = EventDraft {
        reader: None,
        ..stocking(&one, 0)
    };
    let refused = scanned(&document(&[stocking(&one, 1), nameless]).0).unwrap_err();
    assert_eq!(refused.class, "bad-event");
    assert!(refused.message.contains("eventList[1]"), "{refused}");
    let picked = EventDraft {
        step: Some(Step::Picking),
        ..nameless
    };
    assert_eq!(
        scanned(&document(&[stocking(&one, 1), picked]).0).unwrap().len(),
        1
    );
}

#[test]
fn two_beeps_within_300_ms_are_one_scan() {
    let one = [pieces(gtin(OATS.1), 1)];
    for (after, quantities) in [(300, [1, 0]), (301, [1, 1])] {
        let again = EventDraft {
            at: TimeMs(AT.0 + after),
            ..stocking(&one, 18)
        };
        let read = scanned(&document(&[stocking(&one, 17), again]).0).unwrap();
        let counts: Vec<usize> = read.iter().map(|movement| movement.lines.len()).collect();
        assert_eq!((read.len(), counts), (2, quantities.to_vec()), "{after} ms");
    }
}

#[test]
fn a_scale_label_is_its_article_and_so_much_of_it() {
    let rules = Rules::default();
    let weight = in_store::label(ham().1, Value::Weight(Quantity(1_234)), &rules).unwrap();
    let price = in_store::label(cheese().1, Value::Price(Money(499)), &rules).unwrap();
    for spelling in [
        Spelling::DigitalLink,
        Spelling::Urn(PrefixLength::new(7).unwrap()),
    ] {
        let scanned_labels = [pieces(weight, 2), pieces(price, 1), pieces(ham().1, 3)];
        let event = EventDraft {
            spelling,
            ..stocking(&scanned_labels, 17)
        };
        let read = scanned(&document(&[event]).0).unwrap();
        let stocked = |sku, quantity| (sku, MovementKind::Stocked, quantity);
        // 4.99 at 2.50 are 1.996 kg; the article's own number is what was keyed in.
        let expected = [stocked(7, 2_468), stocked(8, 1_996), stocked(7, 3_000)];
        assert_eq!(lines(&read[0]), expected);
    }
    let foreign = Gtin::from_body(289_999_901_234).unwrap();
    let refused = scanned(&document(&[stocking(&[pieces(foreign, 1)], 17)]).0).unwrap_err();
    assert_eq!(refused.class, Rejection::UNKNOWN_ITEM);
}

#[test]
fn a_pallet_is_what_the_warehouse_packed_and_its_packing_is_no_transaction() {
    let sscc = |body| Sscc::from_body(body).unwrap();
    let (pallet, carton) = (sscc(1_061_414_100_000_001), sscc(1_061_414_100_000_002));
    let packed = [pieces(gtin(OATS.1), 24)];
    let (scan, cartons) = ([Key::LogisticUnit(pallet)], [Key::LogisticUnit(carton)]);
    let of_warehouse = Some(Site {
        location: LocationId::warehouse(1),
        sub_location: Some(SubLocation::BackRoom),
    });
    let pack = |parent, children| EventDraft {
        content: DraftContent::Aggregation {
            action: Action::Add,
            parent,
            children,
        },
        step: Some(Step::Packing),
        disposition: Some(Disposition::InProgress),
        biz_location: of_warehouse,
        reader: None,
        ..stocking(&[], 0)
    };
    let receiving = EventDraft {
        content: DraftContent::Object {
            action: Action::Observe,
            things: DraftThings {
                epcs: &scan,
                classes: &[],
            },
        },
        step: Some(Step::Receiving),
        despatch_advice: Some((LocationId::warehouse(1), 10_000_007)),
        ..stocking(&[], 17)
    };
    let things = |epcs, classes| DraftThings { epcs, classes };
    let events = [
        receiving,
        pack(pallet, things(&cartons, &[])),
        pack(carton, things(&[], &packed)),
    ];
    let read = scanned(&document(&events).0).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].number, read[0].despatch_advice), (17, 10_000_007));
    assert_eq!(lines(&read[0]), [(OATS.0, MovementKind::Received, 24_000)]);
    let refused = scanned(&document(&events[..2]).0).unwrap_err();
    assert_eq!(refused.class, "unknown-contents");
}

#[test]
fn a_paper_that_only_confirms_is_seen_and_moves_nothing() {
    let sold = [pieces(gtin(OATS.1), 1)];
    let event = EventDraft {
        step: Some(Step::RetailSelling),
        disposition: Some(Disposition::RetailSold),
        ..stocking(&sold, 17)
    };
    let read = scanned(&document(&[event]).0).unwrap();
    assert_eq!((read[0].number, read[0].lines.len()), (17, 0));
}

fn descriptor(ccsid: u32, manager: u8) -> Descriptor {
    Descriptor {
        ccsid,
        format: Format::None,
        priority: 4,
        persistent: true,
        message_id: [manager; 24],
        correlation_id: [0; 24],
        backout_count: 0,
        user: String::new(),
        put_application_type: 1,
        put_application: String::new(),
        put: Some(AT),
        group_id: [0; 24],
        sequence: 1,
        flags: 0,
    }
}

fn behind(descriptor: &Descriptor, record: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    mqmd::write(descriptor, &mut out);
    out.extend_from_slice(record);
    out
}

fn record() -> Vec<u8> {
    record_of(gtin(OATS.1))
}

fn record_of(number: Gtin) -> Vec<u8> {
    let record = MoveRecord {
        sequence: 9,
        place: LocationId::warehouse(7),
        department: 1,
        sku: Sku(OATS.0),
        gtin: number,
        move_type: MoveType::Returned,
        quantity: Quantity::units(3),
        on_hand: Quantity(0),
        on_order: Quantity(0),
        unit_cost: Money(100),
        at: AT,
        adjusted_units: 0,
        destination: None,
        despatch_advice: None,
    };
    let mut out = Vec::new();
    copybook::write(&record, &mut out).unwrap();
    out
}

#[test]
fn a_record_behind_a_descriptor_is_the_record_in_every_code_page() {
    let alone = queued(&record()).unwrap();
    assert_eq!(
        lines(&alone[0]),
        [(OATS.0, MovementKind::AdjustedBackRoom, 3_000)]
    );
    for ccsid in [37, 500, 1047, 1140] {
        assert_eq!(
            queued(&behind(&descriptor(ccsid, 1), &record())).unwrap(),
            alone,
            "{ccsid}"
        );
    }
    let converted = queued(&behind(&descriptor(1208, 1), &record())).unwrap_err();
    assert_eq!(converted.class, "unsupported-ccsid");
}

#[test]
fn the_record_of_both_queue_managers_is_one_by_identity_and_content() {
    let of = |manager| queued(&behind(&descriptor(500, manager), &record())).unwrap();
    let (one, other) = (&of(1)[0], &of(2)[0]);
    assert_eq!((one.number, one.content_hash), (other.number, other.content_hash));
}

#[test]
fn blanks_in_a_packed_field_are_poison_behind_a_descriptor_too() {
    let mut record = record();
    record[33..39].fill(0x40);
    let refused = queued(&behind(&descriptor(37, 1), &record)).unwrap_err();
    assert_eq!(refused.class, "bad-packed");
    assert!(refused.message.contains("blank"), "{refused}");
}

#[test]
fn a_status_behind_a_descriptor_is_a_statement() {
    let mut status = Vec::new();
    let record = StatusRecord {
        place: LocationId::warehouse(7),
        last_sequence: 9,
        at: AT,
    };
    copybook::write_status(&record, &mut status).unwrap();
    for ccsid in [37, 500, 1047, 1140] {
        let message = behind(&descriptor(ccsid, 1), &status);
        let raw = RawMessage {
            topic: RawTopic::Queue,
            key: b"W0007",
            payload: &message,
            format: None,
            group: None,
        };
        assert!(raw.is_statement(), "{ccsid}");
        assert_eq!(normalised(&raw).unwrap(), []);
    }
}

#[test]
fn cartons_and_eaches_move_the_same_stock() {
    for (cartons, eaches) in [(1, 12), (3, 36)] {
        let both = [[pieces(carton(OATS.1), cartons)], [pieces(gtin(OATS.1), eaches)]];
        let moved = both.map(|line| lines(&scanned(&document(&[stocking(&line, 7)]).0).unwrap()[0]));
        assert_eq!(moved[0], [(OATS.0, MovementKind::Stocked, eaches * 1000)]);
        assert_eq!(moved[0], moved[1]);
    }
}

#[test]
fn a_carton_that_beeps_twice_is_one_and_a_correction_takes_all_of_it_back() {
    let one = [pieces(carton(OATS.1), 1)];
    let again = EventDraft {
        at: TimeMs(AT.0 + 120),
        ..stocking(&one, 8)
    };
    let [first, beep] = &scanned(&document(&[stocking(&one, 7), again]).0).unwrap()[..] else {
        panic!("two transactions")
    };
    assert_eq!((lines(first).len(), lines(beep).len()), (1, 0));
    let declared = EventDraft {
        declaration: Some(DeclarationDraft {
            at: TimeMs(AT.0 + 60_000),
            reason: None,
            corrective: &[],
            reader: Some((5, 9)),
        }),
        ..stocking(&one, 7)
    };
    let back = scanned(&document(&[declared]).0).unwrap();
    assert_eq!(lines(&back[0]), [(OATS.0, MovementKind::Stocked, -12_000)]);
}

#[test]
fn what_counts_a_carton_in_another_way_is_refused() {
    let mut weighed = pieces(carton(OATS.1), 2);
    weighed.measure.unit = Unit::Kilogram;
    let refused = scanned(&document(&[stocking(&[weighed], 7)]).0).unwrap_err();
    assert_eq!(refused.class, "unit-conflict");
    let mut many = pieces(carton(OATS.1), 2);
    many.measure.quantity = contracts::wire::QUANTITY_MAX;
    let refused = scanned(&document(&[stocking(&[many], 7)]).0).unwrap_err();
    assert_eq!(refused.class, "bad-quantity");
}

/// The quantity of a record is in the base unit of its SKU.
#[test]
fn a_record_with_the_number_of_a_carton_is_refused() {
    let refused = queued(&record_of(carton(OATS.1))).unwrap_err();
    assert_eq!(refused.class, "item-conflict");
}

#[test]
fn a_carton_at_a_till_is_so_many_of_its_article() {
    let mut receipt = Vec::new();
    let mut writer = ReceiptWriter::begin(&mut receipt, &Header::default());
    writer.item(&Item {
        item_code: carton(OATS.1).value(),
        ordinal: 1,
        quantity: Quantity::units(2),
        ..Item::default()
    });
    writer.finish();
    let sold = normalised(&RawMessage {
        topic: RawTopic::Till,
        key: b"S0042",
        payload: &receipt,
        format: None,
        group: None,
    });
    assert_eq!(lines(&sold.unwrap()[0]), [(OATS.0, MovementKind::Sold, 24_000)]);
}

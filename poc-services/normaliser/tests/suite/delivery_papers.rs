//! One fact, many papers: stock moves once, by the paper that moves it, and every paper of a delivery is kept.

use contracts::ids::{Gtin, LocationId, Money, Quantity, Sku, TimeMs};
use contracts::records::{MovementKind, Paper, PaperKind};
use contracts::wire::FORMAT_POSLOG_6;
use contracts::wire::copybook::{self, MoveRecord, MoveType};
use contracts::wire::ebcdic::Ccsid;
use contracts::wire::epcis::{BizStep, DocumentWriter, ScanEvent, ScanLine, SubLocation};
use contracts::wire::mqmd::{self, Descriptor};
use contracts::wire::tlog4690::{Header, Item, ReceiptWriter};
use normaliser::{
    BusinessClock, Catalogue, Group, GroupPlace, Normalised, Normaliser, RawMessage, RawTopic, Rejection,
    paper_key, paper_of_transaction,
};

const OATS: (Sku, u64) = (Sku(100_234), 614_141_999_996);
const APPLES: (Sku, u64) = (Sku(7), 2_000_012_345_678);
const ADVICE: u64 = 20_000_012;
const AT: TimeMs = TimeMs(1_741_944_360_000);

fn normalised(topic: RawTopic, place: LocationId, payload: &[u8]) -> Result<Normalised, Rejection> {
    normalised_in(topic, place, payload, None)
}

fn normalised_in(
    topic: RawTopic,
    place: LocationId,
    payload: &[u8],
    group: Option<Group<'_>>,
) -> Result<Normalised, Rejection> {
    let mut catalogue = Catalogue::default();
    for (sku, gtin) in [OATS, APPLES] {
        catalogue.insert(sku, gtin);
    }
    let mut out = Normalised::default();
    let key = place.to_string();
    let raw = RawMessage {
        topic,
        key: key.as_bytes(),
        payload,
        format: None,
        group,
    };
    Normaliser::new(BusinessClock::default()).normalise(&raw, &catalogue, &mut out)?;
    Ok(out)
}

fn papers(normalised: &Normalised) -> Vec<Paper> {
    normalised
        .transactions
        .iter()
        .filter_map(|transaction| paper_of_transaction(transaction, normalised.lines_of(transaction)))
        .collect()
}

fn shipment(move_type: MoveType, advice: Option<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    let record = MoveRecord {
        sequence: 9,
        place: LocationId::warehouse(2),
        department: 1,
        sku: OATS.0,
        gtin: Gtin::new(OATS.1).unwrap(),
        move_type,
        quantity: Quantity::units(if move_type == MoveType::Shipped { -48 } else { 48 }),
        on_hand: Quantity(0),
        on_order: Quantity(0),
        unit_cost: Money(1),
        at: AT,
        adjusted_units: 0,
        destination: advice.map(|_| LocationId::store(42)),
        despatch_advice: advice,
    };
    copybook::write(&record, &mut out).unwrap();
    out
}

fn scan(step: BizStep, advice: Option<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut document = DocumentWriter::begin(&mut out, AT);
    document.event(&ScanEvent {
        reader: 1,
        running_number: 5,
        location: LocationId::store(42),
        at: AT,
        step,
        despatch_advice: advice,
        sub_location: SubLocation::Door,
        lines: &[ScanLine::moved(Gtin::new(OATS.1).unwrap(), Quantity::units(47))],
    });
    document.finish();
    out
}

#[test]
fn both_sides_of_a_delivery_are_papers_of_one_advice() {
    let sent = normalised(
        RawTopic::Queue,
        LocationId::warehouse(2),
        &shipment(MoveType::Shipped, Some(ADVICE)),
    );
    let [sent] = &papers(&sent.unwrap())[..] else {
        panic!("one paper")
    };
    let came = normalised(
        RawTopic::Scan,
        LocationId::store(42),
        &scan(BizStep::Receiving, Some(ADVICE)),
    );
    let [came] = &papers(&came.unwrap())[..] else {
        panic!("one paper")
    };
    assert_eq!(
        (sent.kind(), came.kind()),
        (PaperKind::Shipment, PaperKind::ReceivingScan)
    );
    assert_eq!((sent.despatch_advice, came.despatch_advice), (ADVICE, ADVICE));
    assert_eq!((sent.lines[0].quantity, came.lines[0].quantity), (48_000, 47_000));
    assert_eq!(paper_key(sent), "20000012/W0002/queue/0/0/9");
    assert_eq!(paper_key(came), "20000012/S0042/reader/1/0/5");
}

/// Of a shipment record with this in front of it and that beside it.
fn place_of(descriptor: Option<&Descriptor>, group: Option<Group<'_>>) -> (u32, bool) {
    let mut message = Vec::new();
    if let Some(descriptor) = descriptor {
        mqmd::write(descriptor, &mut message);
    }
    message.extend(shipment(MoveType::Shipped, Some(ADVICE)));
    let sent = normalised_in(RawTopic::Queue, LocationId::warehouse(2), &message, group).unwrap();
    let [paper] = &papers(&sent)[..] else {
        panic!("one paper")
    };
    (paper.group_sequence, paper.is_last_in_group)
}

fn third_of(id: &[u8], is_last: bool) -> Group<'_> {
    let place = GroupPlace { sequence: 3, is_last };
    Group { id, place }
}

#[test]
fn a_shipment_record_says_its_place_and_whether_it_is_the_last() {
    assert_eq!(place_of(None, None), (0, false), "it does not say");
    assert_eq!(
        place_of(None, Some(third_of(b"DA00020000012", false))),
        (3, false)
    );
    assert_eq!(place_of(None, Some(third_of(b"DA00020000012", true))), (3, true));
    for ccsid in Ccsid::ALL {
        let mut group_id = [ccsid.byte_of(' ').unwrap(); mqmd::ID_BYTES];
        for (byte, character) in group_id.iter_mut().zip("DA00020000012".chars()) {
            *byte = ccsid.byte_of(character).unwrap();
        }
        let descriptor = Descriptor {
            ccsid: u32::from(ccsid.number()),
            group_id,
            sequence: 2,
            flags: mqmd::IN_GROUP | mqmd::LAST_IN_GROUP,
            ..descriptor()
        };
        assert_eq!(place_of(Some(&descriptor), None), (2, true), "{ccsid:?}");
    }
}

#[test]
fn a_group_of_something_else_says_nothing_of_the_delivery() {
    assert_eq!(place_of(None, Some(third_of(b"DA00020000013", true))), (0, false));
    assert_eq!(place_of(None, Some(third_of(b"NIGHT RUN", true))), (0, false));
    let alone = descriptor();
    assert_eq!(place_of(Some(&alone), None), (0, false));
    let beside = third_of(b"DA00020000012", true);
    assert_eq!(place_of(Some(&alone), Some(beside)), (3, true));
}

fn descriptor() -> Descriptor {
    Descriptor {
        ccsid: 37,
        format: mqmd::Format::None,
        priority: 4,
        persistent: true,
        message_id: [0; mqmd::ID_BYTES],
        correlation_id: [0; mqmd::ID_BYTES],
        backout_count: 0,
        user: "ACME0002".into(),
        put_application_type: 1,
        put_application: "ACMEC02INVM".into(),
        put: None,
        group_id: [0; mqmd::ID_BYTES],
        sequence: 1,
        flags: 0,
    }
}

/// The till's receipt of the delivery, of so many oats in these words.
fn receipt(attributes: &str, source: &str, received: &str) -> Vec<u8> {
    format!(
        "<POSLog xmlns='http://www.nrf-arts.org/IXRetail/namespace/' MajorVersion='6'><Transaction {attributes}>\
         <BusinessUnit><UnitID>0042</UnitID></BusinessUnit><WorkstationID>1</WorkstationID>\
         <SequenceNumber>12</SequenceNumber><BusinessDayDate>2025-03-14</BusinessDayDate>\
         <InventoryControlTransaction><ReceiveInventory><DocumentID>{ADVICE}</DocumentID>\
         <SourceBusinessUnitID TypeCode='{source}'>W0002</SourceBusinessUnitID>\
         <LineItem><ItemID Type='SKU'>100234</ItemID><QuantityReceived>{received}</QuantityReceived></LineItem>\
         </ReceiveInventory></InventoryControlTransaction></Transaction></POSLog>"
    )
    .into_bytes()
}

fn posted(document: &[u8]) -> Normalised {
    let mut catalogue = Catalogue::default();
    catalogue.insert(OATS.0, OATS.1);
    let raw = RawMessage {
        topic: RawTopic::Till,
        key: b"S0042",
        payload: document,
        format: Some(FORMAT_POSLOG_6.as_bytes()),
        group: None,
    };
    let mut out = Normalised::default();
    Normaliser::new(BusinessClock::default())
        .normalise(&raw, &catalogue, &mut out)
        .unwrap();
    out
}

#[test]
fn what_the_till_posts_of_a_delivery_is_a_paper_and_moves_nothing() {
    let came = posted(&receipt("", "DistributionCenter", "47"));
    let ([paper], [transaction]) = (&came.papers[..], &came.transactions[..]) else {
        panic!("one paper of one transaction: {came:?}")
    };
    assert_eq!((came.lines.len(), paper.kind()), (0, PaperKind::ReceiveInventory));
    assert_eq!(
        (paper.despatch_advice, transaction.despatch_advice),
        (ADVICE, ADVICE)
    );
    assert_eq!((paper.lines[0].sku, paper.lines[0].quantity), (OATS.0.0, 47_000));
    assert_eq!(paper_key(paper), "20000012/S0042/till/1/20161/12");
    assert_eq!(paper_of_transaction(transaction, &[]), None, "nor another one");
    let other = posted(&receipt("", "DistributionCenter", "46"));
    assert_ne!(paper.content_hash, other.papers[0].content_hash);
    assert_eq!(transaction.content_hash, paper.content_hash);
    let nothing = posted(&receipt("", "DistributionCenter", "0"));
    assert_eq!(
        nothing.papers[0].lines[0].quantity, 0,
        "that nothing came is said too"
    );
}

#[test]
fn what_a_supplier_brings_moves_and_training_says_nothing() {
    let brought = posted(&receipt("", "Supplier", "47"));
    assert_eq!((brought.lines.len(), brought.papers.len()), (1, 0));
    let training = posted(&receipt("TrainingModeFlag='true'", "DistributionCenter", "47"));
    assert_eq!((training.lines.len(), training.papers.len()), (0, 0));
    assert_eq!(training.transactions.len(), 1, "its number is seen");
}

#[test]
fn what_is_no_delivery_is_no_paper() {
    for (topic, place, payload) in [
        (
            RawTopic::Queue,
            LocationId::warehouse(2),
            shipment(MoveType::Supplied, None),
        ),
        (
            RawTopic::Scan,
            LocationId::store(42),
            scan(BizStep::Receiving, None),
        ),
    ] {
        assert_eq!(papers(&normalised(topic, place, &payload).unwrap()), []);
    }
}

/// The till's record moves the stock of a sale; what a handheld says of the same sale never does.
#[test]
fn a_self_scan_and_its_receipt_move_stock_once() {
    let store = LocationId::store(42);
    let mut receipt = Vec::new();
    let header = Header {
        terminal: 31,
        number: 900,
        at: AT,
        ..Header::default()
    };
    let mut writer = ReceiptWriter::begin(&mut receipt, &header);
    writer.item(&Item {
        item_code: OATS.1,
        ordinal: 1,
        ..Item::default()
    });
    writer.finish();
    let receipt = normalised(RawTopic::Till, store, &receipt).unwrap();
    let [line] = receipt.lines[..] else {
        panic!("one line")
    };
    assert_eq!(line.kind(), MovementKind::Sold);

    let scanned = include_bytes!("../../../contracts/tests/data/epcis/self-scan.jsonld");
    let lines = normalised(RawTopic::Scan, store, scanned).map_or(0, |scanned| scanned.lines.len());
    assert_eq!(lines, 0, "a paper that confirms has no lines");
}

//! One fact, many papers: stock moves once, by the paper that moves it, and every paper of a delivery is kept.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use contracts::ids::{Gtin, LocationId, Money, Quantity, Sku, TimeMs};
use contracts::records::{MovementKind, Paper, PaperKind};
use contracts::wire::copybook::{self, MoveRecord, MoveType};
use contracts::wire::epcis::{BizStep, DocumentWriter, ScanEvent, ScanLine, SubLocation};
use contracts::wire::tlog4690::{Header, Item, ReceiptWriter};
use normaliser::{
    BusinessClock, Catalogue, Normalised, Normaliser, RawMessage, RawTopic, Rejection, paper_key,
    paper_of_transaction,
};

const OATS: (Sku, u64) = (Sku(100_234), 614_141_999_996);
const APPLES: (Sku, u64) = (Sku(7), 2_000_012_345_678);
const ADVICE: u64 = 20_000_012;
const AT: TimeMs = TimeMs(1_741_944_360_000);

fn normalised(topic: RawTopic, place: LocationId, payload: &[u8]) -> Result<Normalised, Rejection> {
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

    let scanned = include_bytes!("../../contracts/tests/data/epcis/self-scan.jsonld");
    let lines = normalised(RawTopic::Scan, store, scanned).map_or(0, |scanned| scanned.lines.len());
    assert_eq!(lines, 0, "a paper that confirms has no lines");
}

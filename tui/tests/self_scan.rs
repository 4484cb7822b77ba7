//! A self-scan at a till and its line in the till's log are the same sale: from the papers to the stock.

use contracts::ids::{Gtin, LocationId, Quantity, TimeMs};
use contracts::records::Article;
use contracts::topics::partition_of;
use contracts::wire::epcis::{
    Action, Disposition, DocumentWriter, DraftContent, DraftLine, DraftThings, EventDraft, IdDraft, Site,
    Spelling, Step, SubLocation,
};
use contracts::wire::gs1::{Key, Measure, Unit};
use contracts::wire::tlog4690::{Header, Item, ReceiptWriter};
use inventory::{Applied, Partition, Transaction};
use normaliser::{BusinessClock, Catalogue, Normalised, Normaliser, RawMessage, RawTopic, encode_movement};
use prost::Message as _;

const AT: TimeMs = TimeMs(1_741_944_360_000);
const OATS: u64 = 614_141_999_996;
const SKU: u32 = 100_234;
const STORE: LocationId = LocationId::store(42);

fn receipt() -> (RawTopic, Vec<u8>) {
    let mut out = Vec::new();
    let header = Header {
        terminal: 31,
        number: 900,
        at: AT,
        ..Header::default()
    };
    let mut writer = ReceiptWriter::begin(&mut out, &header);
    writer.item(&Item {
        item_code: OATS,
        ordinal: 1,
        ..Item::default()
    });
    writer.finish();
    (RawTopic::Till, out)
}

/// One piece, as the shopper's handheld reports it.
fn self_scan() -> (RawTopic, Vec<u8>) {
    let classes = [DraftLine {
        class: Key::class(Gtin::new(OATS).expect("a GTIN")),
        measure: Measure {
            quantity: Quantity::ONE,
            unit: Unit::Piece,
        },
        book: None,
    }];
    let site = Some(Site {
        location: STORE,
        sub_location: Some(SubLocation::Floor),
    });
    let mut out = Vec::new();
    let mut writer = DocumentWriter::begin(&mut out, AT);
    writer.draft(&EventDraft {
        content: DraftContent::Object {
            action: Action::Observe,
            things: DraftThings {
                epcs: &[],
                classes: &classes,
            },
        },
        step: Some(Step::RetailSelling),
        disposition: Some(Disposition::RetailSold),
        at: AT,
        offset_minutes: 0,
        read_point: site,
        biz_location: site,
        despatch_advice: None,
        reader: Some((7, 1)),
        declaration: None,
        spelling: Spelling::DigitalLink,
        id: IdDraft::Content,
    });
    writer.finish();
    (RawTopic::Scan, out)
}

/// Floor, sold, and how many transactions were new.
fn counted(papers: &[(RawTopic, Vec<u8>)]) -> (i64, i64, usize) {
    let mut catalogue = Catalogue::default();
    let article = Article {
        sku: SKU,
        gtin: OATS,
        ..Article::default()
    };
    assert!(catalogue.apply(b"", Some(&article.encode_to_vec())));
    let mut normaliser = Normaliser::new(BusinessClock::default());
    let mut partition = Partition::new(partition_of(STORE));
    let (mut normalised, mut bytes, mut transaction) =
        (Normalised::default(), Vec::new(), Transaction::default());
    let (mut offset, mut new) = (0, 0);
    for (topic, payload) in papers {
        let raw = RawMessage {
            topic: *topic,
            key: b"S0042",
            payload,
            format: None,
            group: None,
        };
        normaliser
            .normalise(&raw, &catalogue, &mut normalised)
            .expect("a paper of ours");
        for one in &normalised.transactions {
            encode_movement(one, 1, normalised.lines_of(one), &mut bytes);
            transaction.read(&bytes).expect("a movement");
            let applied = partition.apply(&transaction, offset, None);
            new += usize::from(matches!(applied, Applied::New { .. }));
            offset += 1;
        }
    }
    let mut found = (0, 0, new);
    partition.each_cell(|location, sku, cell| {
        assert_eq!((location, sku), (STORE, SKU));
        found = (cell.floor, cell.sold, new);
    });
    found
}

#[test]
fn a_self_scan_and_its_receipt_move_the_stock_once_in_either_order() {
    let once = (-1_000, 1_000, 2);
    assert_eq!(counted(&[receipt(), self_scan()]), once);
    assert_eq!(counted(&[self_scan(), receipt()]), once);
    // Each of them twice, as an upload whose answer was lost.
    assert_eq!(counted(&[self_scan(), receipt(), self_scan(), receipt()]), once);
}

#[test]
fn a_self_scan_whose_receipt_is_not_there_moves_nothing_and_has_its_number() {
    assert_eq!(counted(&[self_scan()]), (0, 0, 1));
}

//! The facts are what the written bytes say, read back by the readers of the wire formats.

mod documents;
mod seen;

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{self, STEPS_A_DAY, small, walk};
use contracts::ids::{LocationId, Sku, TransactionId};
use contracts::records::MovementKind;
use contracts::wire::FORMAT_4690;
use contracts::wire::copybook::{self, MoveType};
use contracts::wire::epcis::{self, Capture, CaptureEvent, Effect, EventKind};
use contracts::wire::gs1::Unit;
use contracts::wire::gs1::in_store::{self, Rules};
use contracts::wire::queue_message;
use contracts::wire::tlog4690::{self, ItemKind, KeptKind, Measure, record_type};
use ledger::Line;
use seen::{Seen, kept_amounts};
use world::events::{Channel, Message, PlaceEvents};
use world::{TillMix, World, WorldConfig};

/// So that each generation writes enough of what is rare.
const THIRDS: TillMix = TillMix {
    ibm_4690: 34,
    poslog_6: 33,
    poslog_2: 33,
};

/// What a reader understood of a line.
type Read = (Sku, MovementKind, i64);

fn facts(lines: &[Line]) -> Vec<Read> {
    lines
        .iter()
        .map(|line| (line.sku, line.kind, line.quantity))
        .collect()
}

/// SKUs by GTIN and PLU, whether they are weighed, and their pack sizes.
struct Articles {
    by_code: BTreeMap<u64, (Sku, bool)>,
    packs: BTreeMap<Sku, i64>,
    /// By their own GTIN.
    cartons: BTreeMap<u64, (Sku, i64)>,
}

impl Articles {
    fn of(world: &World) -> Self {
        let mut by_code = BTreeMap::new();
        let mut packs = BTreeMap::new();
        let mut cartons = BTreeMap::new();
        for article in world.articles() {
            let sku = Sku(article.sku);
            by_code.insert(article.gtin, (sku, article.weighed));
            if article.weighed {
                assert_eq!(by_code.insert(article.plu.into(), (sku, true)), None);
            }
            packs.insert(sku, article.pack_size.into());
            for pack in &article.packs {
                assert_eq!(cartons.insert(pack.gtin, (sku, pack.quantity)), None);
            }
        }
        Self {
            by_code,
            packs,
            cartons,
        }
    }

    fn receipt(&self, bytes: &[u8], id: &TransactionId, seen: &mut Seen) -> Vec<Read> {
        let receipt = tlog4690::parse(bytes).expect("a receipt of ours");
        assert_eq!(receipt.header.terminal, id.source.unit);
        assert_eq!(u64::from(receipt.header.number), id.number);
        for kept in &receipt.kept {
            match kept.kind {
                KeptKind::Record(record) => seen.see(format!("4690 record {record:02x}")),
                KeptKind::TrailingFields(record) => seen.see(format!("4690 fields behind {record:02x}")),
            }
        }
        let records = bytes
            .windows(3)
            .filter(|part| *part == [0x22, 0x2c, 0x22])
            .count()
            + 1;
        assert_eq!(usize::from(receipt.header.strings), records, "{id}");
        if receipt.header.transaction_type == 0 {
            let corrected: i64 = kept_amounts(&receipt, bytes, record_type::TENDER_CORRECTION);
            let refunded: i64 = kept_amounts(&receipt, bytes, record_type::TAX_REFUND);
            let tendered: i64 = receipt.tenders.iter().map(|tender| tender.amount.0).sum();
            let paid = tendered - corrected - receipt.change.0;
            let goods = receipt.header.gross_positive.0 - receipt.header.gross_negative.0;
            assert_eq!(paid, goods + receipt.tax.0 - refunded, "{id}");
        } else {
            seen.see(format!("4690 type {}", receipt.header.transaction_type));
            assert!(receipt.items.is_empty());
        }
        if receipt.items.iter().any(|item| item.voids.is_some()) {
            seen.see("4690 void".to_owned());
        }
        for item in &receipt.items {
            assert_eq!(
                item.measure == Measure::Weighed,
                self.by_code[&item.item_code].1,
                "{id} {item:?}"
            );
        }
        receipt
            .stock_lines()
            .map(|line| {
                let kind = match line.kind {
                    ItemKind::Sale => MovementKind::Sold,
                    ItemKind::Return => MovementKind::Returned,
                };
                (self.by_code[&line.item_code].0, kind, line.quantity.0)
            })
            .collect()
    }

    fn record(&self, bytes: &[u8], id: &TransactionId, location: LocationId) -> Vec<Read> {
        let opened = queue_message::open(bytes).expect("a message of ours");
        let record = copybook::parse(opened.record).expect("a record of ours");
        assert_eq!((u64::from(record.sequence), record.place), (id.number, location));
        assert_eq!(self.by_code[&record.gtin.value()].0, record.sku);
        let (kind, sign) = match record.move_type {
            MoveType::Supplied => (MovementKind::Supplied, 1),
            MoveType::Shipped => (MovementKind::Shipped, -1),
            MoveType::Adjusted | MoveType::Returned => (MovementKind::AdjustedBackRoom, 1),
            MoveType::CountVariance => (MovementKind::CountedBackRoom, 1),
            MoveType::Sold => panic!("a warehouse sells nothing"),
        };
        assert_eq!(record.destination.is_some(), kind == MovementKind::Shipped);
        vec![(record.sku, kind, record.quantity.0 * sign)]
    }

    /// The lines of an event that moves something, but for those that repeat a scan.
    fn event(&self, capture: &Capture<'_>, index: usize, seen: &mut SeenScans) -> Vec<Read> {
        let event = &capture.events[index];
        let beeps = epcis::double_beeps(capture);
        let mut read = Vec::new();
        for (line, movement) in capture.movements(event).enumerate() {
            if beeps.iter().any(|beep| (beep.event, beep.line) == (index, line)) {
                seen.beeps += 1;
                continue;
            }
            if let Some((sku, content)) = self.cartons.get(&movement.gtin.value()) {
                seen.cartons += 1;
                assert_eq!((movement.unit, movement.quantity.0 % 1000), (Unit::Piece, 0));
                read.push((*sku, movement.kind, movement.quantity.0 / 1000 * content));
                continue;
            }
            seen.eaches += 1;
            let (gtin, quantity) = match in_store::resolve(movement.gtin, &Rules::default()) {
                Some(label) if label.article != movement.gtin => {
                    seen.labels += 1;
                    assert_eq!(movement.quantity.0.abs(), 1000);
                    let in_store::Value::Weight(weight) = label.value else {
                        panic!("{label:?}")
                    };
                    (label.article, weight.0 * movement.quantity.0 / 1000)
                }
                _ => (movement.gtin, movement.quantity.0),
            };
            read.push((self.by_code[&gtin.value()].0, movement.kind, quantity));
        }
        read
    }
}

/// What was seen in documents.
#[derive(Debug, Default)]
struct SeenScans {
    beeps: u32,
    labels: u32,
    cartons: u32,
    eaches: u32,
    corrections: u32,
    pallets: u32,
    urns: u32,
    offsets: BTreeSet<i16>,
}

/// Who numbered an event, if anybody did.
fn numbered(event: &CaptureEvent<'_>) -> Option<(u16, u64)> {
    match &event.declaration {
        Some(declaration) => declaration.reader.zip(declaration.running_number),
        None => event.reader.zip(event.running_number),
    }
}

/// A document of ours, in which each numbered event is one of the transactions.
fn scanned(
    articles: &Articles,
    bytes: &[u8],
    message: &Message,
    events: &PlaceEvents,
    (seen, ids): (&mut SeenScans, &mut BTreeMap<String, u64>),
) {
    let capture = epcis::read(bytes).expect("a document of ours");
    let mut transactions = events.transactions_of(message).iter();
    for (index, event) in capture.events.iter().enumerate() {
        assert_eq!(
            capture.id(event),
            capture.content_id(event),
            "the id is the content hash"
        );
        let Some((reader, number)) = numbered(event) else {
            assert_eq!((event.kind, event.effect), (EventKind::Aggregation, Effect::None));
            seen.pallets += u32::from(capture.lines(event)[0].unit == Unit::Piece);
            continue;
        };
        let transaction = transactions.next().expect("one a numbered event");
        let id = transaction.id;
        assert_eq!((reader, number), (id.source.unit, id.number));
        assert_eq!(event.site.expect("a place").location, id.source.location);
        assert_eq!(
            articles.event(&capture, index, seen),
            facts(events.lines_of(transaction)),
            "{id}"
        );
        assert!((0..300).contains(&(event.at.0 - message.at.0)), "{id}");
        seen.offsets.insert(event.offset_minutes);
        if let Some(correction) = capture.correction(event) {
            seen.corrections += 1;
            assert!(
                ids.contains_key(&correction.corrected.to_string()),
                "{id}: it takes back what was"
            );
            assert_eq!(correction.corrective.len(), 1);
            assert_eq!(capture.id(&capture.events[index + 1]), correction.corrective[0]);
        } else {
            ids.insert(capture.id(event).to_string(), number);
        }
    }
    assert_eq!(transactions.next(), None);
    let text = std::str::from_utf8(bytes).expect("text");
    seen.urns += u32::from(text.contains("urn:epc:idpat:sgtin:"));
}

#[test]
fn every_written_message_reads_as_the_facts_beside_it() {
    let mut world = World::new(WorldConfig {
        tills: THIRDS,
        ..small(12)
    })
    .expect("valid");
    let articles = Articles::of(&world);
    let locations: Vec<LocationId> = world.places().iter().map(|place| place.location).collect();
    let mut seen = Seen::default();
    let (mut scans, mut ids) = (SeenScans::default(), BTreeMap::new());
    walk(&mut world, 4 * STEPS_A_DAY, |_, place, events| {
        for message in &events.messages {
            let bytes = events.bytes_of(message);
            let transactions = events.transactions_of(message);
            seen.see(message.format.to_owned());
            match message.channel {
                Channel::Till if message.format != FORMAT_4690 => {
                    articles.document(bytes, message, events, &mut seen);
                }
                Channel::Till | Channel::Queue => {
                    let [transaction] = transactions else {
                        panic!("one transaction a message: {message:?}")
                    };
                    let read = if message.channel == Channel::Till {
                        articles.receipt(bytes, &transaction.id, &mut seen)
                    } else {
                        articles.record(bytes, &transaction.id, locations[place])
                    };
                    assert_eq!(read, facts(events.lines_of(transaction)), "{}", transaction.id);
                    assert_eq!(transaction.at, message.at);
                }
                Channel::Scan => {
                    scanned(&articles, bytes, message, events, (&mut scans, &mut ids));
                }
            }
        }
    });
    println!("{seen:#?}");
    seen.assert_has_all();
    let rare = [
        scans.beeps,
        scans.labels,
        scans.cartons,
        scans.eaches,
        scans.corrections,
        scans.pallets,
        scans.urns,
    ];
    assert!(rare.iter().all(|times| *times > 0), "{scans:?}");
    assert!(scans.offsets.len() > 1, "{scans:?}");
}

#[test]
fn a_folder_of_receipts_splits_into_the_receipts_that_were_written() {
    let config = WorldConfig {
        tills: common::ALL_4690,
        ..small(3)
    };
    let mut world = World::new(config).expect("valid");
    let mut files = vec![Vec::new(); world.places().len()];
    let mut numbers = vec![Vec::new(); world.places().len()];
    walk(&mut world, STEPS_A_DAY, |_, place, events| {
        for message in events
            .messages
            .iter()
            .filter(|message| message.channel == Channel::Till)
        {
            files[place].extend_from_slice(events.bytes_of(message));
            let id = events.transactions_of(message)[0].id;
            numbers[place].push((id.source.unit, id.number as u16));
        }
    });
    for (file, numbers) in files.iter().zip(&numbers) {
        let read: Vec<_> = tlog4690::frames(file)
            .map(|frame| {
                let header = tlog4690::parse(&file[frame.expect("framed by us")])
                    .expect("written by us")
                    .header;
                (header.terminal, header.number)
            })
            .collect();
        assert_eq!(&read, numbers);
    }
}

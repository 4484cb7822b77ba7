//! The facts are what the written bytes say, read back by the readers of the wire formats.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{STEPS_A_DAY, small, walk};
use contracts::ids::{LocationId, Sku, TransactionId};
use contracts::records::MovementKind;
use contracts::wire::copybook::{self, MoveType};
use contracts::wire::epcis::{self, Capture, CaptureEvent, Effect, EventKind};
use contracts::wire::gs1::Unit;
use contracts::wire::gs1::in_store::{self, Rules};
use contracts::wire::queue_message;
use contracts::wire::tlog4690::{self, ItemKind, Measure};
use ledger::Line;
use world::World;
use world::events::{Channel, Message, PlaceEvents};

/// What a reader understood of a line.
type Read = (Sku, MovementKind, i64);

fn facts(lines: &[Line]) -> Vec<Read> {
    lines
        .iter()
        .map(|line| (line.sku, line.kind, line.quantity))
        .collect()
}

/// SKUs by GTIN, and whether they are weighed.
struct Articles(BTreeMap<u64, (Sku, bool)>);

impl Articles {
    fn of(world: &World) -> Self {
        Self(
            world
                .articles()
                .iter()
                .map(|article| (article.gtin, (Sku(article.sku), article.weighed)))
                .collect(),
        )
    }

    fn receipt(&self, bytes: &[u8], id: &TransactionId, voids: &mut u32) -> Vec<Read> {
        let receipt = tlog4690::parse(bytes).expect("a receipt of ours");
        assert_eq!(receipt.header.terminal, id.source.unit);
        assert_eq!(u64::from(receipt.header.number), id.number);
        assert!(receipt.kept.is_empty() && !receipt.training);
        let paid: i64 = receipt.tenders.iter().map(|tender| tender.amount.0).sum::<i64>() - receipt.change.0;
        let goods = receipt.header.gross_positive.0 - receipt.header.gross_negative.0;
        assert_eq!(paid, goods + receipt.tax.0, "{id}");
        for item in &receipt.items {
            assert_eq!(
                item.measure == Measure::Weighed,
                self.0[&item.item_code].1,
                "{id} {item:?}"
            );
            *voids += u32::from(item.voids.is_some());
        }
        receipt
            .stock_lines()
            .map(|line| {
                let kind = match line.kind {
                    ItemKind::Sale => MovementKind::Sold,
                    ItemKind::Return => MovementKind::Returned,
                };
                (self.0[&line.item_code].0, kind, line.quantity.0)
            })
            .collect()
    }

    fn record(&self, bytes: &[u8], id: &TransactionId, location: LocationId) -> Vec<Read> {
        let opened = queue_message::open(bytes).expect("a message of ours");
        let record = copybook::parse(opened.record).expect("a record of ours");
        assert_eq!((u64::from(record.sequence), record.place), (id.number, location));
        assert_eq!(self.0[&record.gtin.value()].0, record.sku);
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
    fn event(&self, capture: &Capture<'_>, index: usize, seen: &mut Seen) -> Vec<Read> {
        let event = &capture.events[index];
        let beeps = epcis::double_beeps(capture);
        let mut read = Vec::new();
        for (line, movement) in capture.movements(event).enumerate() {
            if beeps.iter().any(|beep| (beep.event, beep.line) == (index, line)) {
                seen.beeps += 1;
                continue;
            }
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
            read.push((self.0[&gtin.value()].0, movement.kind, quantity));
        }
        read
    }
}

/// What was seen in documents.
#[derive(Debug, Default)]
struct Seen {
    beeps: u32,
    labels: u32,
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
fn document(
    articles: &Articles,
    bytes: &[u8],
    message: &Message,
    events: &PlaceEvents,
    (seen, ids): (&mut Seen, &mut BTreeMap<String, u64>),
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
    let mut world = World::new(small(12)).expect("valid");
    let articles = Articles::of(&world);
    let locations: Vec<LocationId> = world.places().iter().map(|place| place.location).collect();
    let (mut voids, mut receipts) = (0, 0_u32);
    let (mut seen, mut ids) = (Seen::default(), BTreeMap::new());
    walk(&mut world, 2 * STEPS_A_DAY, |_, place, events| {
        for message in &events.messages {
            let bytes = events.bytes_of(message);
            let transactions = events.transactions_of(message);
            match message.channel {
                Channel::Till | Channel::Queue => {
                    let [transaction] = transactions else {
                        panic!("one transaction a message: {message:?}")
                    };
                    let read = if message.channel == Channel::Till {
                        receipts += 1;
                        articles.receipt(bytes, &transaction.id, &mut voids)
                    } else {
                        articles.record(bytes, &transaction.id, locations[place])
                    };
                    assert_eq!(read, facts(events.lines_of(transaction)), "{}", transaction.id);
                }
                Channel::Scan => {
                    document(&articles, bytes, message, events, (&mut seen, &mut ids));
                }
            }
        }
    });
    assert!(
        receipts > 15_000 && voids > receipts / 40,
        "{voids} voids in {receipts} receipts"
    );
    let rare = [seen.beeps, seen.labels, seen.corrections, seen.pallets, seen.urns];
    assert!(rare.iter().all(|times| *times > 0), "{seen:?}");
    assert!(seen.offsets.len() > 1, "{seen:?}");
}

#[test]
fn a_folder_of_receipts_splits_into_the_receipts_that_were_written() {
    let mut world = World::new(small(3)).expect("valid");
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

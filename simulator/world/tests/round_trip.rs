//! The facts are what the written bytes say, read back by the readers of the wire formats.

mod common;
#[path = "common/documents.rs"]
mod documents;
#[path = "common/seen.rs"]
mod seen;

use std::collections::BTreeMap;

use common::{STEPS_A_DAY, small, walk};
use contracts::ids::{LocationId, Sku, TransactionId};
use contracts::records::MovementKind;
use contracts::wire::FORMAT_4690;
use contracts::wire::copybook::{self, MoveType};
use contracts::wire::epcis::{self, BizStep, SubLocation};
use contracts::wire::tlog4690::{self, ItemKind, KeptKind, Measure, record_type};
use ledger::Line;
use seen::{Seen, kept_amounts};
use world::events::Channel;
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
}

impl Articles {
    fn of(world: &World) -> Self {
        let mut by_code = BTreeMap::new();
        let mut packs = BTreeMap::new();
        for article in world.articles() {
            let sku = Sku(article.sku);
            by_code.insert(article.gtin, (sku, article.weighed));
            if article.weighed {
                assert_eq!(by_code.insert(article.plu.into(), (sku, true)), None);
            }
            packs.insert(sku, article.pack_size.into());
        }
        Self { by_code, packs }
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
        let record = copybook::parse(bytes).expect("a record of ours");
        assert_eq!((u64::from(record.sequence), record.place), (id.number, location));
        assert_eq!(self.by_code[&record.gtin.value()].0, record.sku);
        let (kind, sign) = match record.move_type {
            MoveType::Supplied => (MovementKind::Supplied, 1),
            MoveType::Shipped => (MovementKind::Shipped, -1),
            MoveType::Adjusted => (MovementKind::AdjustedBackRoom, 1),
            MoveType::CountVariance => (MovementKind::CountedBackRoom, 1),
            MoveType::Sold => panic!("a warehouse sells nothing"),
        };
        assert_eq!(record.destination.is_some(), kind == MovementKind::Shipped);
        vec![(record.sku, kind, record.quantity.0 * sign)]
    }

    fn event(&self, document: &epcis::Document, event: &epcis::Event, id: &TransactionId) -> Vec<Read> {
        assert_eq!((event.reader, event.running_number), (id.source.unit, id.number));
        assert_eq!(event.location, id.source.location);
        let counted = event.step == BizStep::StockTaking;
        let kind = match (event.step, event.sub_location) {
            (BizStep::Receiving, _) => MovementKind::Received,
            (BizStep::Stocking, _) => MovementKind::Stocked,
            (BizStep::Storing, _) => MovementKind::Stored,
            (BizStep::StockTaking, SubLocation::Floor) => MovementKind::CountedFloor,
            (BizStep::StockTaking, _) => MovementKind::CountedBackRoom,
        };
        let lines = document.lines(event);
        assert!(lines.len() <= 50);
        lines
            .iter()
            .map(|line| {
                let quantity = if counted { line.variance() } else { line.quantity };
                (self.by_code[&line.gtin.value()].0, kind, quantity.0)
            })
            .collect()
    }
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
                    let document = epcis::parse(bytes).expect("a document of ours");
                    assert_eq!(document.events.len(), transactions.len());
                    for (event, transaction) in document.events.iter().zip(transactions) {
                        let read = articles.event(&document, event, &transaction.id);
                        assert_eq!(read, facts(events.lines_of(transaction)), "{}", transaction.id);
                        assert_eq!(event.at, message.at);
                    }
                }
            }
        }
    });
    println!("{seen:#?}");
    seen.assert_has_all();
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

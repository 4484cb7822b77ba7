//! The facts are what the written bytes say, read back by the readers of the wire formats.

mod common;

use std::collections::BTreeMap;

use common::{STEPS_A_DAY, small, walk};
use contracts::ids::{LocationId, Sku, TransactionId};
use contracts::records::MovementKind;
use contracts::wire::copybook::{self, MoveType};
use contracts::wire::epcis::{self, BizStep, SubLocation};
use contracts::wire::tlog4690::{self, ItemKind, Measure};
use ledger::Line;
use world::World;
use world::events::Channel;

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
        let record = copybook::parse(bytes).expect("a record of ours");
        assert_eq!((u64::from(record.sequence), record.place), (id.number, location));
        assert_eq!(self.0[&record.gtin.value()].0, record.sku);
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
                (self.0[&line.gtin.value()].0, kind, quantity.0)
            })
            .collect()
    }
}

#[test]
fn every_written_message_reads_as_the_facts_beside_it() {
    let mut world = World::new(small(12)).expect("valid");
    let articles = Articles::of(&world);
    let locations: Vec<LocationId> = world.places().iter().map(|place| place.location).collect();
    let (mut voids, mut receipts) = (0, 0_u32);
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
    assert!(
        receipts > 15_000 && voids > receipts / 40,
        "{voids} voids in {receipts} receipts"
    );
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

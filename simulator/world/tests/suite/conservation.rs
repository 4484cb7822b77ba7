//! The physical world, its facts and the ledger tell the same story.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{STEPS_A_DAY, gone_on_the_road, small, tell, walk};
use contracts::ids::{BusinessDay, TILL_NUMBER_MAX, TimeMs};
use contracts::records::{MovementKind, SourceKind};
use contracts::wire::poslog::InventoryDocument;
use ledger::Ledger;
use world::events::{Channel, Message};
use world::{TillMix, World, WorldConfig};

const DAYS: u32 = 3;

/// Most stores are of the newer generations, which write papers and send what they collect.
fn many_poslog(stores: u16) -> WorldConfig {
    WorldConfig {
        tills: TillMix {
            ibm_4690: 20,
            poslog_6: 40,
            poslog_2: 40,
        },
        ..small(stores)
    }
}

#[test]
fn the_ledger_fed_by_facts_is_the_physical_stock_and_its_books_balance() {
    let mut world = World::new(many_poslog(12)).expect("valid");
    let ledger = Ledger::new(&world.assortments());
    walk(&mut world, DAYS * STEPS_A_DAY, |_, place, events| {
        tell(&ledger, place, events);
    });
    let mut kinds = [0_i64; 9];
    for place in 0..ledger.places() {
        let truth = ledger.place(place);
        for (sku, cell) in truth.skus.iter().zip(&truth.cells) {
            assert_eq!(
                cell.on_hand(),
                cell.on_hand_by_totals(),
                "{} {sku}",
                truth.location
            );
            let amounts = [
                cell.counted,
                cell.supplied,
                cell.received,
                cell.shipped,
                cell.sold,
                cell.returned,
                cell.adjusted,
                cell.stocked,
                cell.stored,
            ];
            for (sum, amount) in kinds.iter_mut().zip(amounts) {
                *sum += amount.abs();
            }
        }
    }
    assert!(
        kinds.iter().all(|sum| *sum > 0),
        "every kind of movement happens: {kinds:?}"
    );
    let gone = gone_on_the_road(&world, &ledger);
    assert!(
        gone.is_empty(),
        "what is shipped and not received is on a lorry: {gone:?}"
    );
}

#[test]
fn neither_floor_nor_back_room_is_ever_negative_and_nothing_returns_that_was_not_sold() {
    let mut world = World::new(many_poslog(12)).expect("valid");
    let ledger = Ledger::new(&world.assortments());
    let (mut returns, mut takes_back) = (0, 0);
    walk(&mut world, DAYS * STEPS_A_DAY, |_, place, events| {
        let mut truth = ledger.place(place);
        for transaction in &events.transactions {
            truth.apply(&transaction.id, events.lines_of(transaction));
            for line in events.lines_of(transaction) {
                let cell = truth.cells[usize::from(line.slot)];
                assert!(
                    cell.floor >= 0 && cell.back_room >= 0,
                    "{} {line:?} {cell:?}",
                    transaction.id
                );
                assert!(cell.returned <= cell.sold, "{} {line:?}", transaction.id);
                assert!(line.quantity != 0, "{} {line:?}", transaction.id);
                takes_back += u32::from(line.quantity < 0 && !line.kind.is_signed());
                returns += u32::from(line.kind == MovementKind::Returned);
            }
        }
    });
    assert!(returns > 50, "{returns}");
    assert!(takes_back > 0, "no scan was corrected");
}

#[test]
fn a_despatch_advice_is_received_once_and_as_it_was_shipped() {
    let mut world = World::new(many_poslog(6)).expect("valid");
    let skus = world.assortments();
    let mut shipped: BTreeMap<(u64, u32), i64> = BTreeMap::new();
    let mut received = shipped.clone();
    walk(&mut world, DAYS * STEPS_A_DAY, |_, place, events| {
        for message in &events.messages {
            let bytes = events.bytes_of(message);
            let lines = events
                .transactions_of(message)
                .iter()
                .flat_map(|transaction| events.lines_of(transaction));
            for line in lines {
                assert_eq!(skus[place].skus[usize::from(line.slot)], line.sku);
                match line.kind {
                    MovementKind::Shipped => {
                        let advice = advice(message, bytes);
                        *shipped.entry((advice, line.sku.0)).or_default() += line.quantity;
                    }
                    MovementKind::Received => {
                        let advice = advice(message, bytes);
                        *received.entry((advice, line.sku.0)).or_default() += line.quantity;
                    }
                    _ => {}
                }
            }
        }
    });
    for lorry in world.lorries() {
        for (sku, quantity) in lorry.lines {
            assert_eq!(
                received.insert((lorry.despatch_advice, sku.0), quantity),
                None,
                "unloaded and still there"
            );
        }
    }
    assert!(shipped.len() > 200, "{}", shipped.len());
    assert_eq!(shipped, received);
}

/// Of what was shipped or received with a message.
fn advice(message: &Message, bytes: &[u8]) -> u64 {
    let advice = match message.channel {
        Channel::Queue => {
            let record = contracts::wire::queue_message::record(bytes);
            let record = contracts::wire::copybook::parse(record).expect("a record of ours");
            record.despatch_advice
        }
        Channel::Scan => {
            let document = contracts::wire::epcis::read(bytes).expect("a document of ours");
            document.events[0].despatch_advice
        }
        Channel::Till => {
            let document = contracts::wire::poslog::parse(bytes).expect("a document of ours");
            let mut papers = document
                .transactions
                .iter()
                .flat_map(|transaction| &transaction.inventory);
            papers.find_map(InventoryDocument::despatch_advice)
        }
    };
    advice.expect("a delivery has one")
}

#[test]
fn messages_come_in_the_order_of_time_and_every_transaction_belongs_to_one() {
    let mut world = World::new(small(12)).expect("valid");
    let kinds: Vec<bool> = world
        .places()
        .iter()
        .map(|place| place.location.is_store())
        .collect();
    walk(&mut world, STEPS_A_DAY, |step, place, events| {
        let mut last = step.from;
        let (mut bytes, mut transactions) = (0, 0);
        for message in &events.messages {
            assert!(message.at >= last && message.at < step.until);
            last = message.at;
            assert_eq!(
                (message.bytes.start, message.transactions.start),
                (bytes, transactions)
            );
            (bytes, transactions) = (message.bytes.end, message.transactions.end);
            assert_eq!(message.channel != Channel::Queue, kinds[place]);
        }
        assert_eq!(
            (bytes as usize, transactions as usize),
            (events.bytes.len(), events.transactions.len())
        );
        assert_eq!(
            events.transactions.last().map_or(0, |last| last.lines.end) as usize,
            events.lines.len()
        );
    });
}

#[test]
fn numbers_of_a_source_have_no_gap_and_till_numbers_begin_again_behind_their_last() {
    // One store, so busy that its tills write more than 9,999 receipts in two days.
    let config = WorldConfig {
        stores: 1,
        warehouses: 1,
        transactions_per_day: 18_000,
        ..small(1)
    };
    let mut world = World::new(config).expect("valid");
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut wraps = 0;
    walk(&mut world, 4 * STEPS_A_DAY, |_, _, events| {
        for message in &events.messages {
            for transaction in events.transactions_of(message) {
                let id = transaction.id;
                assert!(seen.insert(id), "{id} twice");
                let source = id.source.to_string();
                let before = last.insert(source, id.number).unwrap_or(0);
                if id.source.kind == SourceKind::Till {
                    assert_eq!(id.number, before % TILL_NUMBER_MAX + 1, "{id}");
                    wraps += u32::from(before == TILL_NUMBER_MAX);
                    assert_eq!(id.business_day, local_date_four_hours_before(transaction.at));
                } else {
                    assert_eq!((id.number, id.business_day), (before + 1, BusinessDay(0)), "{id}");
                }
            }
        }
    });
    assert!(wraps > 0);
}

fn local_date_four_hours_before(at: TimeMs) -> BusinessDay {
    BusinessDay(((at.0 - 14_400_000) / 86_400_000) as u32)
}

#[test]
fn the_split_counts_what_the_steps_bring() {
    let mut world = World::new(small(8)).expect("valid");
    let start = world.now();
    let mut counts: BTreeMap<Channel, (u64, u64)> = BTreeMap::new();
    let mut opening = (0, 0);
    walk(&mut world, 100, |step, _, events| {
        for message in &events.messages {
            for transaction in events.transactions_of(message) {
                let sum = if step.from < start {
                    &mut opening
                } else {
                    counts.entry(message.channel).or_default()
                };
                sum.0 += 1;
                sum.1 += u64::from(transaction.lines.end - transaction.lines.start);
            }
        }
    });
    let split = world.split();
    let pair = |counts: world::Counts| (counts.transactions, counts.lines);
    assert_eq!(pair(split.opening), opening);
    assert_eq!(pair(split.till), counts[&Channel::Till]);
    assert_eq!(pair(split.queue), counts[&Channel::Queue]);
    assert_eq!(pair(split.scan), counts[&Channel::Scan]);
}

#[test]
fn an_opening_in_parts_is_the_opening() {
    let mut whole = World::new(small(7)).expect("valid");
    let mut parts = World::new(small(7)).expect("valid");
    let opening = whole.opening();
    let mut place = 0;
    while let Some(part) = parts.opening_part(2) {
        for (index, events) in part.places.iter().enumerate() {
            if (place..place + 2).contains(&index) {
                assert_eq!(events, &opening.places[index]);
                assert!(!events.messages.is_empty());
            } else {
                assert!(events.messages.is_empty());
            }
        }
        place += 2;
    }
    assert!(place >= whole.places().len());
    assert_eq!(whole.step(1).places, parts.step(1).places);
}

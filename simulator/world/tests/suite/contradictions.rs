//! Deliveries that arrive otherwise than their warehouse wrote: what is on the list, and where the cartons are.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{STEPS_A_DAY, gone_on_the_road, small, tell, walk};
use contracts::records::PaperKind;
use ledger::{Ledger, TrueDiscrepancy, TruePaper};
use world::{TillMix, World, WorldConfig};

/// Every other store posts its deliveries at the till too.
fn newest(stores: u16) -> WorldConfig {
    WorldConfig {
        tills: TillMix {
            ibm_4690: 40,
            poslog_6: 50,
            poslog_2: 10,
        },
        ..small(stores)
    }
}

/// The list, and what is shipped less received over all places, less what is on lorries: by article.
fn played(one_in: u32) -> (Vec<TrueDiscrepancy>, u64, BTreeMap<u32, i64>) {
    let mut world = World::new(newest(12))
        .expect("valid")
        .with_contradicting_deliveries(one_in);
    let ledger = Ledger::new(&world.assortments());
    walk(&mut world, 2 * STEPS_A_DAY, |_, place, events| {
        tell(&ledger, place, events);
        for message in &events.messages {
            for paper in events.papers_of(message) {
                ledger.deliveries().wrote(&TruePaper {
                    despatch_advice: paper.despatch_advice,
                    kind: paper.kind,
                    lines: events.lines_of_paper(paper),
                    group: paper.group,
                });
            }
        }
    });
    let gone = gone_on_the_road(&world, &ledger);
    let deliveries = ledger.deliveries();
    (deliveries.discrepancies(), deliveries.count(), gone)
}

#[test]
fn the_list_is_what_was_lost_on_the_road_carton_by_carton() {
    let (list, deliveries, gone) = played(6);
    assert!(deliveries > 60, "{deliveries}");
    let share = list.len() as u64 * 100 / deliveries;
    assert!((8..30).contains(&share), "{} of {deliveries}", list.len());
    let mut sides = BTreeMap::new();
    let mut on_the_list = BTreeMap::<u32, i64>::new();
    for discrepancy in &list {
        let [(sku, [shipped, scanned, posted])] = discrepancy.lines[..] else {
            panic!("one article of a delivery: {discrepancy:?}");
        };
        assert!(discrepancy.has_scan);
        *sides
            .entry((
                scanned == shipped,
                discrepancy.has_receive_inventory.then_some(posted == scanned),
            ))
            .or_insert(0) += 1;
        *on_the_list.entry(sku.0).or_default() += shipped - scanned;
    }
    on_the_list.retain(|_, quantity| *quantity != 0);
    assert_eq!(on_the_list, gone);
    // Two papers that differ; three, of which the third agrees with the scan or with the advice; and only the third differs.
    let all = [
        (false, None),
        (false, Some(false)),
        (false, Some(true)),
        (true, Some(false)),
    ];
    assert!(sides.keys().copied().eq(all), "{sides:?}");
    assert_eq!(played(6).0, list, "the same again");
}

#[test]
fn where_nothing_contradicts_the_list_is_empty() {
    let (list, deliveries, gone) = played(0);
    assert_eq!((list.len(), gone.len()), (0, 0));
    assert!(deliveries > 60);
}

#[test]
fn every_shipment_and_every_receipt_is_a_paper() {
    let mut world = World::new(newest(4)).expect("valid");
    let mut kinds = BTreeMap::new();
    let mut shipments = BTreeMap::new();
    walk(&mut world, STEPS_A_DAY, |_, _, events| {
        for paper in &events.papers {
            assert!(paper.despatch_advice > 0);
            *kinds.entry(paper.kind).or_insert(0_u64) += 1;
            if let Some((sequence, is_last)) = paper.group {
                assert_eq!(paper.kind, PaperKind::Shipment);
                shipments
                    .entry(paper.despatch_advice)
                    .or_insert_with(Vec::new)
                    .push((sequence, is_last));
            }
        }
    });
    assert!(shipments.len() > 20);
    for (advice, records) in shipments {
        let last = records.len() as u32;
        let expected: Vec<_> = (1..=last).map(|sequence| (sequence, sequence == last)).collect();
        assert_eq!(records, expected, "{advice}");
    }
    assert!(kinds[&PaperKind::Shipment] > kinds[&PaperKind::ReceivingScan]);
    assert!(kinds[&PaperKind::ReceivingScan] > kinds[&PaperKind::ReceiveInventory]);
}

#[test]
fn what_a_till_posts_of_a_delivery_comes_behind_its_scan_and_moves_nothing() {
    let mut world = World::new(newest(6))
        .expect("valid")
        .with_contradicting_deliveries(5);
    let mut scanned = BTreeMap::new();
    let mut posted = 0;
    walk(&mut world, 2 * STEPS_A_DAY, |_, place, events| {
        for message in &events.messages {
            for paper in events.papers_of(message) {
                let transaction = &events.transactions[paper.transaction as usize];
                match paper.kind {
                    PaperKind::ReceivingScan => {
                        scanned.insert(paper.despatch_advice, (place, transaction.at));
                    }
                    PaperKind::ReceiveInventory => {
                        let (door, at) = scanned[&paper.despatch_advice];
                        assert_eq!(door, place);
                        assert!(at < transaction.at);
                        assert!(events.lines_of(transaction).is_empty());
                        assert!(!events.lines_of_paper(paper).is_empty());
                        posted += 1;
                    }
                    _ => assert!(!events.lines_of_paper(paper).is_empty()),
                }
            }
        }
    });
    assert!(posted > 10, "{posted}");
}

#[test]
fn a_back_door_takes_one_lorry_at_a_time() {
    let mut world = World::new(WorldConfig {
        tills: TillMix::default(),
        ..small(20)
    })
    .expect("valid");
    // By place and instant, the deliveries that are scanned then.
    let mut scanned = BTreeMap::<_, BTreeSet<u64>>::new();
    walk(&mut world, 3 * STEPS_A_DAY, |_, place, events| {
        for message in &events.messages {
            let papers = events.papers_of(message).iter();
            for scan in papers.filter(|paper| paper.kind == PaperKind::ReceivingScan) {
                scanned
                    .entry((place, message.at))
                    .or_default()
                    .insert(scan.despatch_advice);
            }
        }
    });
    assert!(scanned.len() > 100, "{}", scanned.len());
    let together: Vec<_> = scanned.iter().filter(|(_, advices)| advices.len() > 1).collect();
    assert!(together.is_empty(), "{together:?}");
}

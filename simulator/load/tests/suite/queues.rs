//! Records on their queues: behind descriptors where it is so, and twice where two queue managers hand over.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{HALF_A_DAY, Run};
use contracts::wire::copybook::{self, Record};
use contracts::wire::queue_message::open;
use load::Pace;
use world::queue::{DescriptorPlace, QueueConfig};
use world::{World, WorldConfig};

fn busy(handover_ms: i64) -> World {
    World::new(WorldConfig {
        stores: 8,
        warehouses: 2,
        skus: 100,
        assortment: 40,
        transactions_per_day: 6_000,
        queues: QueueConfig {
            descriptor: DescriptorPlace::InFront,
            handover_ms,
            ..QueueConfig::default()
        },
        ..WorldConfig::default()
    })
    .expect("a world")
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_hand_over_the_same_record_comes_from_both_managers() {
    let mut run = Run::of(busy(600_000), 0, |config| {
        config.stop = HALF_A_DAY;
        config.pace = Pace::Unthrottled;
    })
    .await;
    let end = run.join().await;
    let mut copies: BTreeMap<Vec<u8>, BTreeSet<[u8; 24]>> = BTreeMap::new();
    let (mut statuses, mut pages) = (0, BTreeSet::new());
    for message in run.records(2).await {
        let opened = open(&message).expect("a message of ours");
        let descriptor = opened.descriptor.expect("in front");
        pages.insert(descriptor.ccsid);
        match copybook::read(opened.record).expect("a record") {
            Record::Status(_) => statuses += 1,
            Record::Move(_) => {
                let ids = copies.entry(opened.record.to_vec()).or_default();
                assert!(ids.insert(descriptor.message_id), "the same message twice");
            }
        }
    }
    let (queue, _) = end.queue_and_scans_with_opening();
    assert_eq!(copies.len() as u64, queue.transactions, "each record once");
    let twice = copies.values().filter(|ids| ids.len() == 2).count() as u64;
    assert!(copies.values().all(|ids| ids.len() <= 2));
    assert_eq!(twice, end.handed_over);
    assert!(twice > 0, "nobody handed over");
    assert!(statuses > 0);
    assert_eq!(pages, BTreeSet::from([37, 500]));
}

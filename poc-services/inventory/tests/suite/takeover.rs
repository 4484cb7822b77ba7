//! Several instances over the embedded broker: they come and go under load, one is paused past its session and goes on, and
//! a partition whose movements are gone is left alone.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use crate::kafka::{DEADLINE, Expected, Kafka, Running, Sender, config, get, rounds};
use backbone::Reader;
use contracts::records;
use contracts::topics::{self, PARTITIONS, StateKey};
use inventory::{Config, Pause, Plant, Planted, Resume};
use prost::Message as _;

/// A session that ends soon, whoever stands still.
const SHORT: [(&str, &str); 3] = [
    ("session.timeout.ms", "3000"),
    ("heartbeat.interval.ms", "500"),
    ("max.poll.interval.ms", "5000"),
];

#[test]
fn instances_that_come_and_go_under_load_lose_and_double_nothing() {
    let kafka = Kafka::start();
    let sender = Sender::start(&kafka);
    let first = Running::start(&kafka, "first");
    first.wait_until("all partitions", |c| get(&c.partitions) == u64::from(PARTITIONS));
    let second = Running::start(&kafka, "second");
    second.wait_until("a share", |c| get(&c.partitions) == u64::from(PARTITIONS / 2));
    let third = Running::start(&kafka, "third");
    third.wait_until("a share", |c| get(&c.partitions) == u64::from(PARTITIONS / 3));
    sender.wait_for_more(5);
    second.stop();
    first.wait_until("half of it", |c| get(&c.partitions) == u64::from(PARTITIONS / 2));
    sender.wait_for_more(5);
    first.kill();
    third.wait_until("all partitions", |c| get(&c.partitions) == u64::from(PARTITIONS));
    let fourth = Running::start(&kafka, "fourth");
    fourth.wait_until("a share", |c| get(&c.partitions) > 0 && get(&c.transactions) > 0);
    let expected = sender.stop();
    kafka.view().wait_for(&expected);
    for counters in [third.stop(), fourth.stop()] {
        assert_eq!(get(&counters.stale_records), 0);
        assert_eq!(get(&counters.partitions_rebuilt), 0);
    }
}

/// Records of the state that an owner wrote behind a newer one's barrier.
fn late_records(reader: &Reader) -> usize {
    let mut newest = [0; PARTITIONS as usize];
    let mut late = 0;
    let mut left: Vec<u64> = (0..PARTITIONS).map(|p| reader.watermarks(p).unwrap().1).collect();
    let until = Instant::now() + DEADLINE;
    // The last record of a log is never compacted away.
    while left.iter().any(|left| *left > 0) {
        assert!(
            Instant::now() < until,
            "the state is not read to its end: {left:?}"
        );
        let Some(record) = reader.poll(Duration::from_millis(100)).unwrap() else {
            continue;
        };
        let left = &mut left[record.partition() as usize];
        if record.offset() + 1 >= *left {
            *left = 0;
        }
        let newest = &mut newest[record.partition() as usize];
        match StateKey::parse(record.key()) {
            Some(StateKey::Barrier { epoch, .. }) => *newest = epoch.max(*newest),
            Some(StateKey::Cell { .. }) => {
                let cell = records::Cell::decode(record.payload().unwrap()).unwrap();
                late += usize::from(cell.epoch < *newest);
            }
            _ => {}
        }
    }
    late
}

/// One instance stands still in the middle of a flush until another one owns everything, then goes on. How many cells it
/// wrote late, and what the other one did.
fn paused_past_its_session(first: Resume, planted: Option<Plant>) -> (usize, u64, u64) {
    let kafka = Kafka::start_with(&SHORT);
    let pause = Arc::new(Pause::default());
    let paused = Config {
        pause: Some(Arc::clone(&pause)),
        ..config("paused")
    };
    let paused = Running::start_as(&kafka, paused, move || {
        std::mem::forget(planted.map(Planted::new));
    });
    let mut expected = Expected::default();
    let mut send = |range| {
        let movements = rounds(range);
        expected.add(&movements);
        kafka.send(&movements);
    };
    send(1..=5);
    paused.wait_until("something whole", |c| get(&c.flushes) > 2);
    pause.arm();
    send(6..=10);
    paused.wait_until("the pause", |_| pause.reached.load(SeqCst) > 0);
    let living = Running::start(&kafka, "living");
    living.wait_until("everything", |c| get(&c.partitions) == u64::from(PARTITIONS));
    send(11..=15);
    living.wait_until("its work", |c| {
        get(&c.cells_written) > 0 && get(&c.items_written) > 0
    });
    pause.resume(first);
    let other = Running::start(&kafka, "other");
    send(16..=20);
    kafka.view().wait_for(&expected);
    other.wait_until("its share", |c| get(&c.partitions) > 0);
    paused.kill();
    let (living, other) = (living.stop(), other.stop());
    let healed = [living, other].map(|c| (get(&c.zombie_writes_repaired), get(&c.partitions_rebuilt)));
    let late = late_records(&kafka.reader(topics::STORE_INVENTORY));
    // Whoever reads the state from its beginning comes to the same.
    let last = Running::start(&kafka, "last");
    kafka.view().wait_for(&expected);
    last.stop();
    (late, healed[0].0 + healed[1].0, healed[0].1 + healed[1].1)
}

#[test]
fn what_a_resumed_instance_had_queued_is_written_over() {
    let (late, repaired, rebuilt) = paused_past_its_session(Resume::Queue, None);
    assert!(late > 0, "it did write late");
    assert!(
        repaired + rebuilt > 0,
        "{late} late: repaired {repaired}, rebuilt {rebuilt}"
    );
}

#[test]
fn a_resumed_instance_drops_what_it_had_queued_and_without_that_it_is_noticed() {
    let (late, ..) = paused_past_its_session(Resume::Service, None);
    assert_eq!(late, 0);
    let (late, ..) = paused_past_its_session(Resume::Service, Some(Plant::NoPurgeOnRevoke));
    assert!(late > 0, "nobody notices that nothing is purged");
}

#[test]
fn a_partition_whose_movements_are_gone_is_unknown_and_the_others_go_on() {
    let kafka = Kafka::start();
    let movements = rounds(1..=4);
    kafka.send(&movements);
    kafka.trim(topics::MOVEMENTS, 3, 2);
    let service = Running::start(&kafka, "one");
    service.wait_until("the others", |c| {
        get(&c.partitions) == u64::from(PARTITIONS) - 1 && get(&c.partitions_unknown) == 1
    });
    let mut expected = Expected::default();
    let known: Vec<_> = movements
        .into_iter()
        .filter(|movement| topics::partition_of(movement.location.parse().unwrap()) != 3)
        .collect();
    expected.add(&known);
    let mut view = kafka.view();
    view.wait_for_cells(&expected);
    service.stop();
}

#[test]
fn an_older_total_that_comes_late_is_written_over() {
    let kafka = Kafka::start();
    let service = Running::start(&kafka, "one");
    let movements = rounds(1..=5);
    let mut expected = Expected::default();
    expected.add(&movements);
    kafka.send(&movements);
    kafka.view().wait_for(&expected);
    let (sku, _) = expected.totals().pop_first().unwrap();
    let late = records::ItemTotal {
        sku,
        on_hand: 77,
        ..records::ItemTotal::default()
    };
    let partition = topics::partition_of_item(contracts::ids::Sku(sku));
    let key = sku.to_string();
    kafka.send_one(
        topics::ITEM_INVENTORY,
        partition,
        key.as_bytes(),
        &late.encode_to_vec(),
    );
    service.wait_until("the repair", |c| get(&c.zombie_writes_repaired) > 0);
    kafka.view().wait_for(&expected);
    service.stop();
}

//! From where the state can be made: with images from the newest sealed one, without images from the newest head and from
//! nowhere else. Over the embedded broker, whose movements are gone below that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::kafka::{DEADLINE, Expected, Kafka, Running, config, get, rounds};
use contracts::ids::{LocationId, Sku};
use contracts::records::{Cell, Head};
use contracts::topics::{self, PARTITIONS, StateKey, partition_of};
use inventory::{Config, Counters, FLOOR_GROUP};
use prost::Message as _;

/// As the demo on the embedded broker has it.
fn without_images(instance: &str) -> Config {
    Config {
        image_every: None,
        ..config(instance)
    }
}

fn with_images(instance: &str) -> Config {
    Config {
        image_every: Some(40),
        ..config(instance)
    }
}

/// One life of a service that takes all that is sent, and ends in order.
fn live(
    kafka: &Kafka,
    config: Config,
    numbers: std::ops::RangeInclusive<u64>,
    expected: &mut Expected,
) -> Arc<Counters> {
    live_until(kafka, config, numbers, expected, |_| true)
}

fn live_until(
    kafka: &Kafka,
    config: Config,
    numbers: std::ops::RangeInclusive<u64>,
    expected: &mut Expected,
    done: impl Fn(&Counters) -> bool,
) -> Arc<Counters> {
    let service = Running::start_as(kafka, config, || {});
    let movements = rounds(numbers);
    expected.add(&movements);
    kafka.send(&movements);
    kafka.view().wait_for(expected);
    service.wait_until("what is to come of it", done);
    service.stop()
}

/// Every partition has one: they are made one after the other.
fn has_images(counters: &Counters) -> bool {
    get(&counters.images_sealed) >= u64::from(PARTITIONS)
}

/// Cuts of the newest heads, by partition.
fn cuts(kafka: &Kafka) -> BTreeMap<u32, u64> {
    let reader = kafka.reader(topics::STORE_INVENTORY);
    let mut left: Vec<u64> = (0..PARTITIONS).map(|p| reader.watermarks(p).unwrap().1).collect();
    let mut cuts = BTreeMap::new();
    let until = Instant::now() + DEADLINE;
    while left.iter().any(|left| *left > 0) {
        assert!(Instant::now() < until, "{left:?}");
        let Some(record) = reader.poll(Duration::from_millis(100)).unwrap() else {
            continue;
        };
        let left = &mut left[record.partition() as usize];
        if record.offset() + 1 >= *left {
            *left = 0;
        }
        if let Some(StateKey::Head { partition }) = StateKey::parse(record.key()) {
            cuts.insert(partition, Head::decode(record.payload().unwrap()).unwrap().cut);
        }
    }
    cuts
}

fn trim_below(kafka: &Kafka, cuts: &BTreeMap<u32, u64>) {
    for (partition, cut) in cuts {
        kafka.trim(topics::MOVEMENTS, *partition, *cut);
    }
}

/// A cell of the partition as an owner of the first epoch wrote it, behind the barriers of all who came later.
fn write_late(kafka: &Kafka, expected: &Expected, partition: u32) {
    let of_it = |(location, _): &&(LocationId, u32)| partition_of(*location) == partition;
    let (location, sku) = expected.cells.keys().find(of_it).unwrap();
    let late = Cell {
        floor: 77_000,
        counted: 77_000,
        applied_offset: 1,
        applied_count: 1,
        epoch: 1,
        ..Cell::default()
    };
    let key = StateKey::Cell {
        location: *location,
        sku: Sku(*sku),
    };
    kafka.send_one(
        topics::STORE_INVENTORY,
        partition,
        &key.to_bytes(),
        &late.encode_to_vec(),
    );
}

fn of_others(expected: &Expected, partition: u32) -> Expected {
    let cells = expected.cells.iter();
    let others = cells.filter(|((location, _), _)| partition_of(*location) != partition);
    Expected {
        cells: others.map(|(key, cell)| (*key, *cell)).collect(),
    }
}

#[test]
fn without_images_a_restore_needs_no_movement_below_the_newest_head() {
    let kafka = Kafka::start();
    let mut expected = Expected::default();
    live(&kafka, without_images("first"), 1..=20, &mut expected);
    trim_below(&kafka, &cuts(&kafka));
    let counters = live(&kafka, without_images("second"), 21..=30, &mut expected);
    assert!(get(&counters.restored_cells) > 0);
    assert_eq!(get(&counters.partitions_rebuilt), 0);
    assert_eq!(
        get(&counters.replayed),
        0,
        "the head is at the end of the first one's work"
    );
}

#[test]
fn without_images_a_late_record_is_repaired_by_the_living_owner_without_the_movements() {
    let kafka = Kafka::start();
    let mut expected = Expected::default();
    live(&kafka, without_images("first"), 1..=10, &mut expected);
    trim_below(&kafka, &cuts(&kafka));
    let service = Running::start_as(&kafka, without_images("second"), || {});
    // It has written a head: whatever comes behind it is not its own.
    service.wait_until("its first flush", |c| {
        get(&c.partitions) == u64::from(PARTITIONS) && get(&c.flushes) > 0
    });
    write_late(&kafka, &expected, 3);
    service.wait_until("the repair", |c| get(&c.zombie_writes_repaired) > 0);
    kafka.view().wait_for(&expected);
    let counters = service.stop();
    assert_eq!(get(&counters.partitions_rebuilt), 0);
}

#[test]
fn without_images_what_would_have_to_be_made_anew_is_unknown_and_counted_and_the_others_go_on() {
    let kafka = Kafka::start();
    let mut expected = Expected::default();
    live(&kafka, without_images("first"), 1..=10, &mut expected);
    live(&kafka, without_images("second"), 11..=12, &mut expected);
    trim_below(&kafka, &cuts(&kafka));
    // Nobody lives who would repair it.
    write_late(&kafka, &expected, 3);
    let service = Running::start_as(&kafka, without_images("third"), || {});
    service.wait_until("all but one", |c| {
        get(&c.partitions) == u64::from(PARTITIONS) - 1 && get(&c.partitions_unknown) == 1
    });
    let movements = rounds(13..=15);
    expected.add(&movements);
    kafka.send(&movements);
    let mut view = kafka.view();
    let others = of_others(&expected, 3);
    let until = Instant::now() + DEADLINE;
    let is_other = |location: LocationId| partition_of(location) != 3;
    loop {
        view.read();
        view.cells.retain(|(location, _), _| is_other(*location));
        if view.cells == others.cells {
            break;
        }
        assert!(Instant::now() < until, "the others go on");
    }
    assert_eq!(get(&service.counters.partitions_unknown), 1);
    service.stop();
}

#[test]
fn without_images_a_state_is_made_anew_where_all_movements_are_there_still() {
    let kafka = Kafka::start();
    let mut expected = Expected::default();
    live(&kafka, without_images("first"), 1..=10, &mut expected);
    live(&kafka, without_images("second"), 11..=12, &mut expected);
    write_late(&kafka, &expected, 3);
    let counters = live(&kafka, without_images("third"), 13..=15, &mut expected);
    assert_eq!(get(&counters.partitions_rebuilt), 1);
    assert_eq!(get(&counters.partitions_unknown), 0);
}

#[test]
fn a_state_is_made_anew_from_sealed_images_where_the_movements_below_them_are_gone() {
    let kafka = Kafka::start();
    let mut expected = Expected::default();
    live_until(&kafka, with_images("first"), 1..=120, &mut expected, has_images);
    live(&kafka, with_images("second"), 121..=124, &mut expected);
    let probe = kafka
        .backbone
        .lag_probe(FLOOR_GROUP, topics::MOVEMENTS, PARTITIONS)
        .unwrap();
    let floors: BTreeMap<u32, u64> = probe
        .measure()
        .unwrap()
        .iter()
        .map(|floor| (floor.partition, floor.committed))
        .collect();
    assert!(floors.values().all(|floor| *floor > 0), "{floors:?}");
    trim_below(&kafka, &floors);
    for partition in 0..PARTITIONS {
        write_late(&kafka, &expected, partition);
    }
    let counters = live(&kafka, with_images("third"), 125..=130, &mut expected);
    assert_eq!(get(&counters.partitions_rebuilt), u64::from(PARTITIONS));
    assert_eq!(get(&counters.partitions_unknown), 0);
    // And what it wrote is a state that the next one trusts.
    let counters = live(&kafka, with_images("fourth"), 131..=132, &mut expected);
    assert_eq!(get(&counters.partitions_rebuilt), 0);
}

#[test]
fn a_state_that_has_to_be_made_anew_is_unknown_where_movements_above_its_image_are_gone() {
    let kafka = Kafka::start();
    let mut expected = Expected::default();
    live_until(&kafka, with_images("first"), 1..=120, &mut expected, has_images);
    live(&kafka, with_images("second"), 121..=124, &mut expected);
    trim_below(&kafka, &cuts(&kafka));
    for partition in 0..PARTITIONS {
        write_late(&kafka, &expected, partition);
    }
    let service = Running::start_as(&kafka, with_images("third"), || {});
    service.wait_until("nothing that it knows", |c| {
        get(&c.partitions_unknown) == u64::from(PARTITIONS)
    });
    service.stop();
}

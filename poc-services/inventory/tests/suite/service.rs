//! The service over the embedded broker: cells and totals, dead letters, death and return in mid-stream, two instances,
//! states that it must refuse.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::kafka::{DEADLINE, Expected, Kafka, Running, STORES, Sender, get, round, rounds};
use contracts::ids::LocationId;
use contracts::records::{Cell, Head};
use contracts::topics::{self, PARTITIONS, StateKey, headers, partition_of};
use inventory::{GROUP, InventoryError};
use prost::Message as _;

#[test]
fn movements_become_cells_and_totals_and_the_commit_says_how_far() {
    let kafka = Kafka::start();
    let service = Running::start(&kafka, "one");
    let movements = rounds(1..=50);
    let mut expected = Expected::default();
    expected.add(&movements);
    kafka.send(&movements);
    kafka.send(&movements[..STORES as usize * 5]);
    let mut view = kafka.view();
    view.wait_for(&expected);
    service.wait_until("the repeats", |counters| {
        get(&counters.repeats) == u64::from(STORES) * 5
    });

    let counters = service.stop();
    assert_eq!(get(&counters.transactions), movements.len() as u64);
    assert_eq!(get(&counters.lines), movements.len() as u64 * 4);
    assert_eq!((get(&counters.dead_letters), get(&counters.recoveries)), (0, 0));
    let lag = kafka
        .backbone
        .lag_probe(GROUP, topics::MOVEMENTS, PARTITIONS)
        .unwrap();
    assert_eq!(lag.records(), Some(0), "everything is committed");
    view.read();
    assert_eq!(
        view.barriers,
        (0..PARTITIONS).map(|partition| (partition, 1)).collect()
    );
}

#[test]
fn a_service_that_is_stopped_and_started_goes_on_where_it_was() {
    let kafka = Kafka::start();
    let mut expected = Expected::default();
    for (epoch, numbers) in [(1, 1..=20), (2, 21..=40), (3, 41..=60)] {
        let service = Running::start(&kafka, "one");
        let movements = rounds(numbers);
        expected.add(&movements);
        kafka.send(&movements);
        kafka.view().wait_for(&expected);
        let counters = service.stop();
        assert_eq!(get(&counters.transactions), movements.len() as u64);
        assert_eq!(
            get(&counters.replayed),
            0,
            "a clean stop leaves nothing to read again"
        );
        assert_eq!(get(&counters.epoch), epoch);
    }
}

#[test]
fn a_service_that_is_killed_in_mid_stream_loses_and_doubles_nothing() {
    let kafka = Kafka::start();
    let sender = Sender::start(&kafka);
    let mut applied = 0;
    for life in 1..=5_u64 {
        let service = Running::start(&kafka, "one");
        service.wait_until("something to lose", |counters| {
            get(&counters.transactions) + get(&counters.replayed) > 40 * life && get(&counters.flushes) > 1
        });
        let counters = service.kill();
        applied += get(&counters.transactions);
        sender.wait_for_more(2);
    }
    let expected = sender.stop();
    let service = Running::start(&kafka, "one");
    let mut view = kafka.view();
    view.wait_for(&expected);
    applied += get(&service.stop().transactions);
    assert_eq!(view.barriers.iter().map(|(_, epoch)| *epoch).max(), Some(6));
    let sent = expected.cells.values().map(|cell| cell.2).sum::<u64>() / 4;
    assert!(
        applied > sent,
        "some of it died unflushed and was done again: {applied} of {sent}"
    );
}

#[test]
fn two_instances_share_the_work_and_one_takes_over_when_the_other_goes() {
    let kafka = Kafka::start();
    let sender = Sender::start(&kafka);
    let first = Running::start(&kafka, "first");
    first.wait_until("all partitions", |counters| {
        get(&counters.partitions) == u64::from(PARTITIONS)
    });
    let second = Running::start(&kafka, "second");
    second.wait_until("a share of the partitions", |counters| {
        get(&counters.partitions) == u64::from(PARTITIONS / 2) && get(&counters.transactions) > 100
    });
    first.wait_until("the other share", |counters| {
        get(&counters.partitions) == u64::from(PARTITIONS / 2)
    });
    sender.wait_for_more(5);
    first.stop();
    second.wait_until("all partitions", |counters| {
        get(&counters.partitions) == u64::from(PARTITIONS)
    });
    sender.wait_for_more(5);
    let third = Running::start(&kafka, "third");
    third.wait_until("a share of the partitions", |counters| {
        get(&counters.partitions) > 0
    });
    second.kill();
    let expected = sender.stop();
    kafka.view().wait_for(&expected);
    let counters = third.stop();
    assert_eq!(get(&counters.stale_records), 0);
}

#[test]
fn what_cannot_be_placed_goes_whole_to_the_dead_letters() {
    let kafka = Kafka::start();
    let service = Running::start(&kafka, "one");
    let mut reused = round(1).remove(0);
    kafka.send(&[reused.clone()]);
    reused.content_hash += 1;
    let mut unclear = reused.clone();
    unclear.number = 7_000;
    let mut stranger = reused.clone();
    stranger.source_unit = 70_000;
    kafka.send(&[reused.clone(), unclear.clone(), stranger.clone()]);
    let location: LocationId = reused.location.parse().unwrap();
    let elsewhere = (partition_of(location) + 1) % PARTITIONS;
    let whole = reused.encode_to_vec();
    kafka.send_one(topics::MOVEMENTS, elsewhere, b"misplaced", &whole);
    kafka.send_one(topics::MOVEMENTS, elsewhere, b"junk", b"no movement");

    let reader = kafka.reader(topics::DEAD_LETTERS);
    let mut found = BTreeMap::new();
    let until = Instant::now() + DEADLINE;
    while found.len() < 5 {
        assert!(Instant::now() < until, "{found:?}");
        let Some(record) = reader.poll(Duration::from_millis(20)).unwrap() else {
            continue;
        };
        let header = |name| String::from_utf8(record.header(name).unwrap().to_vec()).unwrap();
        assert_eq!(header(headers::DLQ_TOPIC), topics::MOVEMENTS);
        assert!(!header(headers::DLQ_MESSAGE).is_empty());
        let position = (header(headers::DLQ_PARTITION), header(headers::DLQ_OFFSET));
        found.insert(
            position,
            (header(headers::DLQ_CLASS), record.payload().unwrap().to_vec()),
        );
    }
    let (home, other) = (partition_of(location).to_string(), elsewhere.to_string());
    let expected = [
        (&home, "1", "content-reused", whole.clone()),
        (&home, "2", "identity-unclear", unclear.encode_to_vec()),
        (&home, "3", "undecodable", stranger.encode_to_vec()),
        (&other, "0", "misrouted", whole),
        (&other, "1", "undecodable", b"no movement".to_vec()),
    ];
    for (partition, offset, class, payload) in expected {
        let letter = &found[&(partition.clone(), offset.to_owned())];
        assert_eq!(*letter, (class.to_owned(), payload));
    }
    assert_eq!(get(&service.stop().dead_letters), 5);
}

#[test]
fn a_movement_that_fills_its_topic_becomes_a_letter_and_holds_up_nothing_behind_it() {
    let kafka = Kafka::start();
    let service = Running::start(&kafka, "one");
    let movements = round(1);
    let partition = partition_of(movements[0].location.parse().unwrap());
    let length = topics::RECORD_BYTES_MAX - 100;
    kafka.send_one(topics::MOVEMENTS, partition, b"junk", &vec![0xff; length]);
    kafka.send(&movements);
    let mut expected = Expected::default();
    expected.add(&movements);
    kafka.view().wait_for_cells(&expected);
    let counters = service.stop();
    assert_eq!((get(&counters.dead_letters), get(&counters.recoveries)), (1, 0));

    let reader = kafka.reader(topics::DEAD_LETTERS);
    let until = Instant::now() + DEADLINE;
    let letter = loop {
        assert!(Instant::now() < until, "there is no letter");
        if let Some(record) = reader.poll(Duration::from_millis(20)).unwrap() {
            break record;
        }
    };
    let header = |name| String::from_utf8(letter.header(name).unwrap().to_vec()).unwrap();
    assert_eq!(letter.payload(), Some(&b""[..]));
    assert_eq!(header(headers::DLQ_CLASS), "undecodable");
    assert_eq!(header(headers::DLQ_OFFSET), "0");
    assert_eq!(header(headers::DLQ_LEFT_OUT), length.to_string());
}

#[test]
fn a_state_of_another_partition_count_is_refused() {
    let kafka = Kafka::start();
    let head = Head {
        epoch: 1,
        partitions: PARTITIONS + 1,
        ..Head::default()
    };
    let key = StateKey::Head { partition: 4 }.to_bytes();
    kafka.send_one(topics::STORE_INVENTORY, 4, &key, &head.encode_to_vec());
    let error = Running::start(&kafka, "one").error();
    assert!(
        matches!(error, InventoryError::PartitionCount { partition: 4, .. }),
        "{error}"
    );
}

#[test]
fn a_state_that_is_ahead_of_its_log_is_refused() {
    let kafka = Kafka::start();
    kafka.send(&rounds(1..=2));
    let head = Head {
        epoch: 1,
        cut: 1_000,
        partitions: PARTITIONS,
        ..Head::default()
    };
    let key = StateKey::Head { partition: 3 }.to_bytes();
    kafka.send_one(topics::STORE_INVENTORY, 3, &key, &head.encode_to_vec());
    let error = Running::start(&kafka, "one").error();
    assert!(
        matches!(
            error,
            InventoryError::LogShort {
                partition: 3,
                needed: 1_000,
                ..
            }
        ),
        "{error}"
    );
}

/// A state of five rounds whose owner is gone, and in which a cell is not what it was.
fn forged(applied_offset: u64) -> (Kafka, Expected) {
    let kafka = Kafka::start();
    let service = Running::start(&kafka, "one");
    let movements = rounds(1..=5);
    let mut expected = Expected::default();
    expected.add(&movements);
    kafka.send(&movements);
    kafka.view().wait_for(&expected);
    service.stop();
    let ((location, sku), _) = expected.cells.first_key_value().unwrap();
    let key = StateKey::Cell {
        location: *location,
        sku: contracts::ids::Sku(*sku),
    };
    let forged = Cell {
        floor: 5,
        epoch: 2,
        applied_offset,
        ..Cell::default()
    };
    let partition = partition_of(*location);
    let payload = forged.encode_to_vec();
    kafka.send_one(topics::STORE_INVENTORY, partition, &key.to_bytes(), &payload);
    (kafka, expected)
}

#[test]
fn a_state_that_is_not_what_its_head_says_is_made_anew() {
    let (kafka, expected) = forged(1);
    let service = Running::start(&kafka, "one");
    kafka.view().wait_for(&expected);
    assert_eq!(get(&service.stop().partitions_rebuilt), 1);
}

#[test]
fn a_cell_that_is_ahead_of_the_log_is_refused() {
    let (kafka, _) = forged(1_000);
    let error = Running::start(&kafka, "one").error();
    assert!(matches!(error, InventoryError::LogShort { .. }), "{error}");
}

#[test]
fn movements_that_are_another_topic_than_the_state_was_made_from_are_refused() {
    let kafka = Kafka::start();
    let head = Head {
        epoch: 1,
        partitions: PARTITIONS,
        topic_id: "AAAAAAAAAAAAAAAAAAAAAA".into(),
        ..Head::default()
    };
    let key = StateKey::Head { partition: 4 }.to_bytes();
    kafka.send_one(topics::STORE_INVENTORY, 4, &key, &head.encode_to_vec());
    let error = Running::start(&kafka, "one").error();
    assert!(
        matches!(&error, InventoryError::OtherTopic { partition: 4, expected, .. } if expected.len() > 10),
        "{error}"
    );
}

#[test]
fn a_log_that_was_cut_off_below_the_state_and_went_on_otherwise_is_refused() {
    let kafka = Kafka::start();
    let partition = 3;
    let send = |key: &[u8]| kafka.send_one(topics::MOVEMENTS, partition, key, b"a movement");
    let end = || kafka.leader_epoch(topics::MOVEMENTS, partition);
    (0..4).for_each(|_| send(b"before"));
    let before = end();
    kafka.move_leaders();
    (0..4).for_each(|_| send(b"after"));
    assert!(end() > before, "the leader moved");
    // The state's owner had read six records of the earlier leader epoch, which ended with four of them.
    let head = Head {
        epoch: 1,
        cut: 6,
        leader_epoch: before,
        partitions: PARTITIONS,
        ..Head::default()
    };
    let key = StateKey::Head { partition }.to_bytes();
    kafka.send_one(topics::STORE_INVENTORY, partition, &key, &head.encode_to_vec());
    let error = Running::start(&kafka, "one").error();
    assert!(
        matches!(
            &error,
            InventoryError::Backbone(backbone::BackboneError::Position { .. })
        ),
        "{error}"
    );
}

//! The service over the embedded broker: all sources, dead letters, the catalogue that comes late, stops and starts.

use crate::kafka::{Kafka, receipt};
use crate::support::service::{AT, OATS, Running, due, receipts};
use contracts::ids::{BusinessDay, Gtin, LocationId, Money, Quantity, Sku};
use contracts::records::{Article, ExpectedSource, Movement, Place, SourceKind};
use contracts::topics::{self, headers, partition_of};
use contracts::wire::copybook::{self, MoveRecord, MoveType};
use contracts::wire::epcis::{self, BizStep, DocumentWriter, ScanEvent, ScanLine, SubLocation};
use contracts::wire::{FORMAT_SOURCE_MARK, poslog, source_mark};
use embedded::broker::faults::{Api, Effect, ErrorCode, Fault, Moment, When};
use normaliser::Phase;
use prost::Message as _;

#[test]
fn all_sources_become_movements_and_what_is_not_understood_is_kept_whole() {
    let kafka = Kafka::start();
    kafka.add_article(&OATS);
    let service = Running::start(&kafka, "one", None);
    let gtin = Gtin::new(OATS.gtin).unwrap();

    kafka.send(topics::TLOG_RAW, &receipts(3, 1..=2));
    let mut record = Vec::new();
    copybook::write(
        &MoveRecord {
            sequence: 9,
            place: LocationId::warehouse(1),
            department: 1,
            sku: Sku(OATS.sku),
            gtin,
            move_type: MoveType::Supplied,
            quantity: Quantity::units(48),
            on_hand: Quantity(0),
            on_order: Quantity(0),
            unit_cost: Money(1),
            at: AT,
            adjusted_units: 0,
            destination: None,
            despatch_advice: None,
        },
        &mut record,
    )
    .unwrap();
    kafka.send(topics::MQ_RAW, &[(LocationId::warehouse(1), record)]);
    let mut document = Vec::new();
    let mut writer = DocumentWriter::begin(&mut document, AT);
    for running_number in [1, 2] {
        writer.event(&ScanEvent {
            reader: 4,
            running_number,
            location: LocationId::store(1),
            at: AT,
            step: BizStep::Stocking,
            despatch_advice: None,
            sub_location: SubLocation::Floor,
            // One piece twice at one instant would be one scan.
            lines: &[ScanLine::moved(gtin, Quantity::units(2))],
        });
    }
    writer.finish();
    kafka.send(topics::SCAN_RAW, &[(LocationId::store(1), document)]);
    let bad = [
        (LocationId::store(2), b"no receipt".to_vec()),
        (LocationId::store(3), receipt(3, 22, AT)),
    ];
    kafka.send(topics::TLOG_RAW, &bad);

    // Each place is told of its message in the dead letters.
    let movements = kafka.read(topics::MOVEMENTS, 11, |record| {
        let movement = Movement::decode(record.payload().unwrap()).unwrap();
        let location: LocationId = movement.location.parse().unwrap();
        assert_eq!(record.partition(), partition_of(location));
        assert_eq!(record.key(), movement.location.as_bytes());
        assert_eq!(Some(movement.due_ms), record.timestamp_ms());
        assert!((due() - 600_000..=due()).contains(&movement.due_ms));
        if movement.rejected.is_some() {
            return movement;
        }
        assert_eq!(
            movement.occurred_ms,
            AT.0 / 60_000 * 60_000
                + if movement.source_unit == 1 {
                    0
                } else {
                    AT.0 % 60_000
                }
        );
        movement
    });
    let (told, movements): (Vec<_>, Vec<_>) = movements
        .into_iter()
        .partition(|movement| movement.rejected.is_some());
    assert!(movements.iter().all(|movement| movement.lines.len() == 1));
    let mut told: Vec<_> = told
        .into_iter()
        .filter_map(|movement| Some((movement.location, movement.lines.len(), movement.rejected?)))
        .map(|(location, lines, rejected)| (location, lines, rejected.topic, rejected.class))
        .collect();
    told.sort();
    let told_of = |location: &str, class: &str| (location.into(), 0, topics::TLOG_RAW.into(), class.into());
    assert_eq!(
        told,
        [told_of("S0002", "bad-frame"), told_of("S0003", "unknown-item")]
    );
    let dead = kafka.read(topics::DEAD_LETTERS, 2, |record| {
        let header = |name| String::from_utf8(record.header(name).unwrap_or_default().to_vec()).unwrap();
        assert_eq!(header(headers::DLQ_TOPIC), topics::TLOG_RAW);
        assert_eq!(header(headers::RECEIVED), "1", "its own headers stay");
        assert!(!header(headers::DLQ_MESSAGE).is_empty());
        let location: LocationId = std::str::from_utf8(record.key()).unwrap().parse().unwrap();
        assert_eq!(header(headers::DLQ_PARTITION), partition_of(location).to_string());
        assert_eq!(
            header(headers::DLQ_OFFSET)
                .parse::<u64>()
                .ok()
                .map(|offset| offset < 10),
            Some(true)
        );
        (
            header(headers::DLQ_CLASS),
            location,
            record.payload().unwrap().to_vec(),
        )
    });
    for (location, payload) in bad {
        let (class, ..) = dead.iter().find(|letter| letter.1 == location).unwrap();
        assert_eq!(
            class,
            if payload == b"no receipt" {
                "bad-frame"
            } else {
                "unknown-item"
            }
        );
        assert!(dead.iter().any(|letter| letter.2 == payload));
    }

    let counts = service.stop().counts;
    assert_eq!(
        (counts.till_messages, counts.queue_messages, counts.scan_messages),
        (8, 1, 1)
    );
    assert_eq!(
        (counts.transactions, counts.lines, counts.dead_letters_total()),
        (9, 9, 2)
    );
    assert_eq!((counts.articles, counts.phase), (1, Phase::Stopped));
}

#[test]
fn a_message_that_fills_its_topic_becomes_a_letter_and_holds_up_nothing_behind_it() {
    let kafka = Kafka::start();
    kafka.add_article(&OATS);
    let store = LocationId::store(1);
    // Whole with what is said of it, if it came through an edge; one that somebody else wrote may leave no room for that.
    let longest = epcis::DOCUMENT_BYTES_MAX.max(poslog::DOCUMENT_BYTES_MAX);
    let lengths = [longest, topics::RECORD_BYTES_MAX - 100];
    let messages = lengths.map(|length| (store, vec![b'x'; length]));
    kafka.send(topics::SCAN_RAW, &messages);
    kafka.send(topics::TLOG_RAW, &[(store, receipt(1, OATS.gtin, AT))]);
    let running = Running::start(&kafka, "normaliser-a", None);
    running.wait_until("two letters and a movement", |counters| {
        counters.dead_letters_total() == 2 && counters.transactions == 1
    });
    running.stop();
    let letters = kafka.read(topics::DEAD_LETTERS, 2, |record| {
        let header = |name: &str| {
            record
                .header(name)
                .map(|value| String::from_utf8_lossy(value).into_owned())
        };
        (
            record.payload().unwrap_or_default().len(),
            header(headers::DLQ_OFFSET),
            header(headers::DLQ_LEFT_OUT),
        )
    });
    let left_out = Some(lengths[1].to_string());
    let at = |offset: u64| Some(offset.to_string());
    assert_eq!(letters, [(lengths[0], at(0), None), (0, at(1), left_out)]);
}

#[test]
fn what_is_said_of_sources_goes_with_the_movements_and_is_no_transaction() {
    let kafka = Kafka::start();
    kafka.add_article(&OATS);
    // Each drops what it hits: a statement is nothing to be hit.
    let service = Running::start(&kafka, "one", Some("drop:1/1@normaliser"));
    let store = LocationId::store(1);
    let mark = source_mark::StoreMark {
        store,
        clock: AT,
        sources: vec![source_mark::Standing {
            kind: SourceKind::Reader,
            unit: 4,
            business_day: BusinessDay(0),
            last: 9,
        }],
    };
    let mut bytes = Vec::new();
    source_mark::write(&mark, &mut bytes);
    let format = (headers::FORMAT, FORMAT_SOURCE_MARK.as_bytes());
    let messages = [(store, bytes), (store, b"no mark".to_vec())];
    kafka.send_with(format, topics::TLOG_RAW, &messages);
    let mut status = Vec::new();
    let record = copybook::StatusRecord {
        place: LocationId::warehouse(1),
        last_sequence: 7,
        at: AT,
    };
    copybook::write_status(&record, &mut status).unwrap();
    kafka.send(topics::MQ_RAW, &[(record.place, status)]);
    let place = Place {
        location: store.to_string(),
        sources: vec![ExpectedSource {
            source_kind: SourceKind::Till as i32,
            source_unit: 1,
            first_number: 1,
        }],
        ..Place::default()
    };
    kafka.send(topics::PLACES, &[(store, place.encode_to_vec())]);
    let said = kafka.read(topics::MOVEMENTS, 4, |record| {
        let movement = Movement::decode(record.payload().unwrap()).unwrap();
        assert_eq!(
            record.partition(),
            partition_of(movement.location.parse().unwrap())
        );
        movement
    });
    let marks = |movement: &&Movement| movement.occurred_ms == AT.0 && !movement.marks.is_empty();
    assert_eq!(said.iter().filter(marks).count(), 2);
    assert_eq!(said.iter().filter(|m| m.expected == place.sources).count(), 1);
    assert_eq!(said.iter().filter_map(|m| m.rejected.as_ref()).count(), 1);
    let digest = service.counters.digest();
    let counts = service.stop().counts;
    assert_eq!(
        (counts.statements, counts.messages(), counts.transactions),
        (4, 0, 0)
    );
    assert_eq!((counts.dead_letters_total(), counts.sabotaged), (1, 0));
    assert_eq!((digest.minutes.total().transactions, digest.unreadable), (0, 0));
}

#[test]
fn it_waits_visibly_for_the_catalogue_and_takes_in_what_comes_later() {
    let kafka = Kafka::start();
    let service = Running::start(&kafka, "one", None);
    service.wait_until("the catalogue", |counts| {
        counts.phase == Phase::WaitingForCatalogue
    });
    kafka.send(topics::TLOG_RAW, &receipts(1, 1..=1));
    kafka.add_article(&OATS);
    service.wait_until("a transaction", |counts| counts.transactions == 1);
    assert_eq!(service.counters.snapshot().phase, Phase::Running);

    // An article that is newer than the service is found when it is sold.
    let tea = Article {
        sku: 8,
        gtin: 2_000_012_345_678,
        ..OATS
    };
    kafka.add_article(&tea);
    kafka.send(
        topics::TLOG_RAW,
        &[(LocationId::store(1), receipt(2, tea.gtin, AT))],
    );
    service.wait_until("the new article", |counts| counts.transactions == 2);
    assert_eq!(service.stop().counts.dead_letters_total(), 0);
}

#[test]
fn it_can_be_cancelled_while_it_waits_for_the_catalogue() {
    let kafka = Kafka::start();
    let service = Running::start(&kafka, "one", None);
    service.wait_until("the catalogue", |counts| {
        counts.phase == Phase::WaitingForCatalogue
    });
    assert_eq!(service.stop().counts.messages(), 0);
}

#[test]
fn stopped_and_started_again_it_loses_nothing() {
    let kafka = Kafka::start();
    kafka.add_article(&OATS);
    kafka.send(topics::TLOG_RAW, &receipts(20, 1..=50));
    let first = Running::start(&kafka, "one", None);
    first.wait_until("some", |counts| counts.transactions >= 300);
    let done = first.stop().counts;
    kafka.send(topics::TLOG_RAW, &receipts(20, 51..=60));
    let second = Running::start(&kafka, "one", None);
    let seen = kafka.movements_until(|seen| seen.len() == 20 * 60);
    // A stop in good order commits all that it made.
    assert!(
        seen.values().all(|times| *times == 1),
        "made twice after a clean stop"
    );
    let again = second.stop().counts;
    assert_eq!(done.transactions + again.transactions, 20 * 60);
}

#[test]
fn two_instances_share_the_work_and_one_takes_over_from_the_other() {
    let kafka = Kafka::start();
    kafka.add_article(&OATS);
    let (one, two) = (
        Running::start(&kafka, "one", None),
        Running::start(&kafka, "two", None),
    );
    let mut number = 0;
    while one.counters.snapshot().transactions == 0 || two.counters.snapshot().transactions == 0 {
        number += 1;
        assert!(number < 9000, "one instance gets nothing");
        kafka.send(topics::TLOG_RAW, &receipts(20, number..=number));
    }
    one.stop();
    kafka.send(topics::TLOG_RAW, &receipts(20, number + 1..=number + 20));
    let all = 20 * (usize::from(number) + 20);
    assert_eq!(kafka.movements_until(|seen| seen.len() == all).len(), all);
    two.stop();
}

#[test]
fn a_node_of_the_cluster_that_dies_loses_nothing() {
    let kafka = Kafka::start();
    kafka.add_article(&OATS);
    let service = Running::start(&kafka, "one", None);
    kafka.send(topics::TLOG_RAW, &receipts(20, 1..=20));
    service.wait_until("some", |counts| counts.transactions >= 100);
    kafka.runtime.block_on(kafka.broker.stop_node(2)).unwrap();
    kafka.send(topics::TLOG_RAW, &receipts(20, 21..=40));
    kafka.movements_until(|seen| seen.len() == 800);
    kafka.runtime.block_on(kafka.broker.start_node(2)).unwrap();
    kafka.send(topics::TLOG_RAW, &receipts(20, 41..=45));
    kafka.movements_until(|seen| seen.len() == 900);
    assert_eq!(service.stop().counts.logs_cut, 0, "only the leaders moved");
}

#[test]
fn it_begins_anew_when_kafka_does_not_say_where_the_catalogue_ends() {
    let kafka = Kafka::start();
    kafka.add_article(&OATS);
    let refused = kafka.broker.faults().add(
        Fault::new(Effect::Error(ErrorCode::UnknownServerError, Moment::Before))
            .api(Api::ListOffsets)
            .topic(topics::CATALOGUE)
            .when(When::Times(2)),
    );
    let running = Running::start(&kafka, "one", None);
    kafka.send(topics::TLOG_RAW, &receipts(4, 1..=3));
    running.wait_until("all receipts", |counts| counts.transactions >= 12);
    assert!(kafka.broker.faults().hits(refused) > 0, "it did happen");
    assert!(running.stop().counts.recoveries > 0);
}

#[test]
fn sabotage_damages_exactly_the_transactions_that_it_names() {
    let all = receipts(5, 1..=40);
    for (text, times, quantity) in [
        ("drop:1/10@normaliser", 0, 1000),
        ("double:1/10@normaliser", 2, 1000),
        ("alter:1/10@normaliser", 1, 2000),
        ("drop:1/1@inventory", 1, 1000),
    ] {
        let kafka = Kafka::start();
        kafka.add_article(&OATS);
        kafka.send(topics::TLOG_RAW, &all);
        let service = Running::start(&kafka, "one", Some(text));
        service.wait_until("all", |counts| counts.transactions == 200);
        let hit = service.stop().counts.sabotaged as usize;
        let expected = if text.ends_with("inventory") { 0..1 } else { 5..50 };
        assert!(expected.contains(&hit), "{text}: {hit}");
        let damaged = 200 - hit + hit * times;
        let quantities = kafka.read(topics::MOVEMENTS, damaged, |record| {
            Movement::decode(record.payload().unwrap()).unwrap().lines[0].quantity
        });
        assert_eq!(
            quantities.iter().filter(|found| **found == quantity).count(),
            if quantity == 1000 { damaged } else { hit }
        );
    }
}

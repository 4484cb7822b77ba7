//! The service between a queue manager and the embedded broker: what it settles and when, whatever breaks on either
//! side. With `STOCKSTREAM_AMQP` set, what is standard is tried on that queue manager instead of the embedded one.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backbone::amqp::{MessageProperties, PropertyValue};
use backbone::proxy::{Direction, Fault};
use contracts::records::{Article, Cell};
use contracts::topics::{self, PARTITIONS, StateKey, headers};
use embedded::broker::faults::{self as broker, Api, Effect, ErrorCode, Moment, When};
use embedded::queue::{BACKOUT, Cut};
use mq_source::{CLASS_REFUSED, DELIVERIES_MAX};
use prost::Message as _;
use support::{GTIN, Running, SKU, Stage, class, get, put, put_with, records};
use tokio_util::sync::CancellationToken;

/// Every one is there, and how many too many.
fn surplus(raw: &BTreeMap<Vec<u8>, u32>, sent: &[Vec<u8>]) -> u64 {
    for body in sent {
        assert!(raw.contains_key(body), "{body:02x?} is lost");
    }
    assert_eq!(raw.len(), sent.len(), "something came that was never sent");
    raw.values().map(|times| u64::from(times - 1)).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_settled_when_kafka_has_it_and_not_before() {
    let stage = Stage::start().await;
    let service = Running::start(&stage);
    let sent = records(stage.warehouse, 1..=25);
    stage.put(sent[..5].to_vec()).await;
    service
        .until("the first are accepted", |counters| get(&counters.messages) == 5)
        .await;

    stage.stop_kafka().await;
    stage.put(sent[5..].to_vec()).await;
    service
        .until("some of the others are taken", |counters| {
            get(&counters.received) > 5
        })
        .await;
    assert_eq!(get(&service.counters.messages), 5);
    assert!(stage.depth().is_none_or(|depth| depth == 20));
    // Kafka's client gives them up after a while, and then the queue has them back.
    service
        .until("they are given back", |counters| get(&counters.released) > 0)
        .await;
    assert_eq!(get(&service.counters.messages), 5);
    assert!(stage.depth().is_none_or(|depth| depth == 20));

    stage.start_kafka().await;
    service
        .until("the others are accepted", |counters| {
            get(&counters.messages) == 25
        })
        .await;
    service.stop().await;
    stage.until_empty().await;
    surplus(&stage.raw().await, &sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_due_time_and_format_go_through_untouched() {
    let stage = Stage::start().await;
    let service = Running::start(&stage);
    // No record at all: that is for the normaliser to say.
    let sent = vec![b"not a record".to_vec(), Vec::new(), vec![0xff; 300]];
    stage.put(sent.clone()).await;
    service
        .until("all are accepted", |counters| get(&counters.messages) == 3)
        .await;
    service.stop().await;
    let raw = stage.read(topics::MQ_RAW).await;
    let bodies: Vec<_> = raw.iter().map(|(body, _)| body.clone()).collect();
    assert_eq!(bodies, sent);
    assert!(
        raw.iter()
            .all(|(_, of)| of[headers::FORMAT] == contracts::wire::FORMAT_COPYBOOK_037)
    );
    assert!(stage.read(topics::DEAD_LETTERS).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_senders_say_of_a_message_becomes_headers() {
    let stage = Stage::start().await;
    let service = Running::start(&stage);
    let properties = MessageProperties {
        message_id: vec![0xc3; 24],
        correlation_id: vec![0x40; 24],
        user: "ACME0001".into(),
        group: Some(("DA00010000001".into(), 3)),
        priority: Some(4),
        application: vec![
            ("JMS_IBM_Character_Set", PropertyValue::Text("500".into())),
            ("JMS_IBM_Encoding", PropertyValue::Number(785)),
            ("JMS_IBM_Last_Msg_In_Group", PropertyValue::Flag(true)),
        ],
    };
    put_with(
        &stage.amqp,
        &stage.queue(),
        records(stage.warehouse, 1..=1),
        &properties,
    )
    .await;
    service
        .until("it is accepted", |counters| get(&counters.messages) == 1)
        .await;
    service.stop().await;
    let raw = stage.read(topics::MQ_RAW).await;
    let of = &raw[0].1;
    for (name, value) in [
        (headers::FORMAT, contracts::wire::FORMAT_COPYBOOK_037),
        ("amqp-message-id", &"c3".repeat(24)),
        ("amqp-correlation-id", &"40".repeat(24)),
        ("amqp-user-id", "ACME0001"),
        ("amqp-group-id", "DA00010000001"),
        ("amqp-group-sequence", "3"),
        ("amqp-priority", "4"),
        ("amqp-durable", "true"),
        ("amqp-delivery-count", "0"),
        ("amqp-app-JMS_IBM_Character_Set", "500"),
        ("amqp-app-JMS_IBM_Encoding", "785"),
        ("amqp-app-JMS_IBM_Last_Msg_In_Group", "true"),
    ] {
        assert_eq!(of.get(name).map(String::as_str), Some(value), "{name}: {of:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_service_that_died_had_not_settled_comes_to_the_next() {
    let stage = Stage::start().await;
    let sent = records(stage.warehouse, 1..=40);
    stage.stop_kafka().await;
    let first = Running::start(&stage);
    stage.put(sent.clone()).await;
    first
        .until("some are taken", |counters| get(&counters.received) > 0)
        .await;
    let counters = first.kill().await;
    assert_eq!(get(&counters.messages), 0);

    stage.start_kafka().await;
    let second = Running::start(&stage);
    second
        .until("all are accepted", |counters| get(&counters.messages) >= 40)
        .await;
    let counters = second.stop().await;
    assert_eq!(get(&counters.messages), 40);
    // Artemis does not count what a connection took with it dependably.
    if stage.embedded.is_some() {
        assert!(get(&counters.redelivered) > 0);
    }
    surplus(&stage.raw().await, &sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_breaks_at_any_byte_loses_nothing() {
    let stage = Stage::start().await;
    let proxy = stage.proxy().await;
    let service = Running::start_at(&stage, stage.through(&proxy));
    let sent = records(stage.warehouse, 1..=400);
    for (round, part) in sent.chunks(40).enumerate() {
        service
            .until("connected", |counters| get(&counters.connected) == 1)
            .await;
        let fault = |bytes| match round % 2 {
            0 => Fault::CutAfter(bytes),
            _ => Fault::ResetAfter(bytes),
        };
        // Forty records are 3,200 bytes and their frames; what goes back may be one disposition for all of them, and
        // that has two dozen bytes: another queue manager sends no more than it must.
        match round % 4 {
            0 | 1 => proxy.set(Direction::ToClient, fault(300 + 300 * round as u64)),
            _ => proxy.set(Direction::ToServer, fault(2 * round as u64)),
        }
        let before = proxy.ended();
        put(&stage.amqp, &stage.queue(), part.to_vec()).await;
        let until = Instant::now() + Duration::from_mins(1);
        while proxy.ended() == before {
            assert!(Instant::now() < until, "round {round}: the line did not break");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    // What came twice is accepted twice, so their number says nothing.
    stage.until_there(&sent).await;
    stage.until_empty().await;
    let counters = service.stop().await;
    surplus(&stage.raw().await, &sent);
    // Sometimes: it did break, in every round.
    assert_eq!(proxy.ended(), 10);
    assert!(get(&counters.reconnects) >= 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_that_stops_and_comes_back_is_connected_to_again() {
    let stage = Stage::embedded().await;
    let faults = stage.embedded.as_ref().expect("embedded").faults();
    let service = Running::start(&stage);
    let sent = records(stage.warehouse, 1..=60);
    stage.put(sent[..30].to_vec()).await;
    service
        .until("it has begun", |counters| get(&counters.received) > 0)
        .await;
    faults.stop_manager().await;
    service
        .until("it has noticed", |counters| get(&counters.connected) == 0)
        .await;
    faults.start_manager().await.expect("at its old address");
    stage.put(sent[30..].to_vec()).await;
    stage.until_empty().await;
    let counters = service.stop().await;
    surplus(&stage.raw().await, &sent);
    assert_eq!(faults.counts().manager_stops, 1);
    assert_eq!(
        faults.counts().volatile_lost,
        0,
        "what warehouses send is durable"
    );
    assert!(get(&counters.reconnects) >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_whose_host_is_gone_without_a_word_is_connected_to_again() {
    let stage = Stage::start().await;
    let proxy = stage.proxy().await;
    let service = Running::start_at(&stage, stage.through(&proxy));
    let sent = records(stage.warehouse, 1..=2);
    stage.put(sent[..1].to_vec()).await;
    service
        .until("it has begun", |counters| get(&counters.messages) == 1)
        .await;
    proxy.set(Direction::ToServer, Fault::BlackHole);
    proxy.set(Direction::ToClient, Fault::BlackHole);
    service
        .until("it has noticed", |counters| get(&counters.connected) == 0)
        .await;
    proxy.mend();
    stage.put(sent[1..].to_vec()).await;
    stage.until_there(&sent).await;
    let counters = service.stop().await;
    surplus(&stage.raw().await, &sent);
    assert!(get(&counters.reconnects) >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_kafka_that_failed_for_good_is_made_anew_and_all_comes_through() {
    let stage = Stage::start().await;
    let effect = Effect::Error(ErrorCode::OutOfOrderSequenceNumber, Moment::Before);
    let fault = broker::Fault::new(effect).api(Api::Produce).topic(topics::MQ_RAW);
    let faults = stage.broker.faults();
    let fault = faults.add(fault.when(When::Times(1)));
    let service = Running::start(&stage);
    let sent = records(stage.warehouse, 1..=20);
    stage.put(sent.clone()).await;
    stage.until_there(&sent).await;
    stage.until_empty().await;
    let counters = service.stop().await;
    surplus(&stage.raw().await, &sent);
    assert_eq!(faults.hits(fault), 1);
    assert!(get(&counters.released) >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_is_tried_and_then_kept_apart_and_the_rest_goes_on() {
    let stage = Stage::start().await;
    let service = Running::start(&stage);
    let good = records(stage.warehouse, 1..=20);
    // More than Kafka takes in one record.
    let poison = vec![0x40; topics::RECORD_BYTES_MAX + 1];
    let mut sent = good.clone();
    sent.insert(7, poison.clone());
    stage.put(sent).await;
    service
        .until("the good ones are accepted", |counters| {
            get(&counters.messages) >= 20
        })
        .await;
    service
        .until("the other is rejected", |counters| {
            get(&counters.dead_letters) == 1
        })
        .await;
    let counters = service.stop().await;
    assert_eq!(
        surplus(&stage.raw().await, &good),
        0,
        "nobody else came twice for it"
    );
    assert_eq!(get(&counters.received), 20 + u64::from(DELIVERIES_MAX));

    let letters = stage.read(topics::DEAD_LETTERS).await;
    assert_eq!(letters.len(), 1);
    let (body, of) = &letters[0];
    assert_eq!(class(of), CLASS_REFUSED);
    assert_eq!(of[headers::DLQ_TOPIC], stage.queue());
    // Not even the dead letters take it; where it is whole is said.
    assert!(body.is_empty());
    let message = &of[headers::DLQ_MESSAGE];
    assert!(
        message.contains("2097153 bytes are in the backout queue"),
        "{message}"
    );
    if let Some(embedded) = &stage.embedded {
        assert_eq!(embedded.depth(&format!("{}{BACKOUT}", stage.queue())), 1);
        assert_eq!(embedded.depth(&stage.queue()), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_queue_delivers_twice_is_what_the_inventory_drops() {
    let stage = Stage::embedded().await;
    let queue = stage.embedded.as_ref().expect("embedded");
    let article = Article {
        sku: SKU,
        gtin: GTIN,
        ..Article::default()
    };
    let mut producer = stage.backbone.producer("test").expect("a producer");
    producer
        .send(
            topics::CATALOGUE,
            0,
            SKU.to_string().as_bytes(),
            &article.encode_to_vec(),
            None,
            &[],
        )
        .expect("sent");
    tokio::task::spawn_blocking(move || producer.flush(Duration::from_mins(1)))
        .await
        .expect("joins")
        .expect("acknowledged");
    let cancel = CancellationToken::new();
    let normaliser = {
        let (backbone, cancel) = (stage.backbone.clone(), cancel.clone());
        std::thread::spawn(move || normaliser::run(normaliser::Config::default(), backbone, cancel))
    };
    let counted = Arc::<inventory::Counters>::default();
    let inventory = {
        let (backbone, cancel) = (stage.backbone.clone(), cancel.clone());
        let config = inventory::Config {
            counters: Arc::clone(&counted),
            ..inventory::Config::default()
        };
        std::thread::spawn(move || inventory::run(&config, &backbone, &cancel))
    };

    let sent = records(stage.warehouse, 1..=100);
    stage.put(sent.clone()).await;
    queue.faults().lose_acceptances(&stage.queue(), 40);
    queue.faults().cut_after(&stage.queue(), Cut::Settling(30));
    let service = Running::start(&stage);
    stage.until_empty().await;
    service.stop().await;
    let surplus = surplus(&stage.raw().await, &sent);
    // Sometimes: forty were in Kafka when their acceptance got lost, and whatever was in the batch that was cut.
    assert!(surplus >= 40, "only {surplus} came twice");
    assert_eq!(queue.faults().counts().connections_cut, 1);

    // Always: the stock is what was sent, and each surplus record is one that was dropped.
    let until = Instant::now() + Duration::from_mins(1);
    while get(&counted.transactions) < 100 || get(&counted.repeats) < surplus {
        assert!(Instant::now() < until, "{counted:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cancel.cancel();
    tokio::task::spawn_blocking(move || {
        normaliser.join().expect("it ends well").expect("no error");
        inventory.join().expect("it ends well").expect("no error");
    })
    .await
    .expect("joins");
    assert_eq!(get(&counted.transactions), 100);
    assert_eq!(get(&counted.repeats), surplus);
    assert_eq!(on_hand(&stage).await, 100_000);
}

/// The newest cell of the article in the view.
async fn on_hand(stage: &Stage) -> i64 {
    let backbone = stage.backbone.clone();
    tokio::task::spawn_blocking(move || {
        let reader = backbone
            .reader_from_beginning("test-view", topics::STORE_INVENTORY, PARTITIONS)
            .expect("a reader");
        let end: u64 = (0..PARTITIONS)
            .map(|partition| reader.watermarks(partition).expect("its end").1)
            .sum();
        let (mut read, mut newest) = (0, 0);
        while read < end {
            let Some(record) = reader.poll(Duration::from_secs(10)).expect("a record") else {
                // Compaction has left fewer.
                break;
            };
            read += 1;
            if let Some(StateKey::Cell { .. }) = StateKey::parse(record.key()) {
                let cell = Cell::decode(record.payload().unwrap_or_default()).expect("a cell");
                newest = cell.floor + cell.back_room;
            }
        }
        newest
    })
    .await
    .expect("joins")
}

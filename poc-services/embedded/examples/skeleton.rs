//! The bare pipeline over the embedded broker: receipts in, parsed, as movements, applied to an array, cells out, read
//! back. No HTTP, no state that survives, no deduplication, no world, no audit: a floor to compare the whole with.
//!
//! `cargo run --release --package embedded --example skeleton [TRANSACTIONS]`

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use contracts::ids::{Gtin, Money, Quantity, TimeMs};
use contracts::records::{Cell, Movement, MovementKind, MovementLine, SourceKind};
use contracts::wire::tlog4690::{Header, Item, ItemKind, Measure, ReceiptWriter, Tender, TenderKind, parse};
use embedded::broker::{Broker, BrokerOptions};
use prost::Message as _;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

type Failure = Box<dyn Error + Send + Sync>;

const PARTITIONS: i32 = 6;
const SKUS: u64 = 5_000;
const STORES: u64 = 200;
const FLUSH: Duration = Duration::from_millis(250);

fn main() -> Result<(), Failure> {
    let transactions: u64 = std::env::args()
        .nth(1)
        .map_or(Ok(3_000_000), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let broker = runtime.block_on(Broker::start(BrokerOptions::default()))?;
    let bootstrap = broker.bootstrap();
    runtime.block_on(topics(&bootstrap))?;

    let applied = Arc::new(AtomicU64::new(0));
    let read = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let cpu = cpu_seconds();
    let start = Instant::now();
    let normaliser = spawn("normaliser", {
        let b = bootstrap.clone();
        let d = Arc::clone(&done);
        move || normalise(&b, &d)
    });
    let inventory = spawn("inventory", {
        let (b, a, d) = (bootstrap.clone(), Arc::clone(&applied), Arc::clone(&done));
        move || apply(&b, transactions, &a, &d)
    });
    let reader = spawn("reader", {
        let (b, r, d) = (bootstrap.clone(), Arc::clone(&read), Arc::clone(&done));
        move || count(&b, &r, &d)
    });
    let source = spawn("source", move || emit(&bootstrap, transactions));
    let bytes = join(source)?;
    let written = join(inventory)?;
    let seconds = start.elapsed().as_secs_f64();
    while read.load(Ordering::Acquire) < written {
        thread::yield_now();
    }
    done.store(true, Ordering::Release);
    join(normaliser)?;
    join(reader)?;
    let cpu = cpu_seconds() - cpu;
    let millions = transactions as f64 / 1e6;
    println!(
        "  {transactions} transactions of 10 lines, {} bytes each: {:.0} transactions/s, {:.2} CPU s a million, {written} cell records, embedded broker",
        bytes / transactions,
        transactions as f64 / seconds,
        cpu / millions,
    );
    runtime.block_on(broker.shutdown());
    Ok(())
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> thread::JoinHandle<Result<T, Failure>> {
    thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .expect("a thread starts")
}

fn join<T>(handle: thread::JoinHandle<Result<T, Failure>>) -> Result<T, Failure> {
    handle.join().map_err(|_| "a thread panicked")?
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
            .unwrap_or_default()
    };
    (ticks(11) + ticks(12)) / 100.0
}

async fn topics(bootstrap: &str) -> Result<(), Failure> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let new =
        ["tlog.raw", "movements"].map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)));
    let compact = NewTopic::new("store.inventory", PARTITIONS, TopicReplication::Fixed(1))
        .set("cleanup.policy", "compact");
    for result in admin
        .create_topics(new.iter().chain([&compact]), &AdminOptions::new())
        .await?
    {
        result.map_err(|(topic, code)| format!("{topic}: {code}"))?;
    }
    Ok(())
}

fn producer(bootstrap: &str) -> Result<BaseProducer, Failure> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .set("delivery.report.only.error", "true")
        .set("queue.buffering.max.messages", "500000")
        .create()?)
}

fn send(
    producer: &BaseProducer,
    topic: &str,
    partition: i32,
    key: &[u8],
    payload: &[u8],
) -> Result<(), Failure> {
    let mut record = BaseRecord::to(topic)
        .partition(partition)
        .key(key)
        .payload(payload);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

fn consumer(bootstrap: &str, topic: &str) -> Result<BaseConsumer, Failure> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", format!("skeleton-{topic}"))
        // What the group has committed the broker may give up, so that any number of transactions has room.
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "250")
        .set("fetch.queue.backoff.ms", "2")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

fn emit(bootstrap: &str, transactions: u64) -> Result<u64, Failure> {
    let producer = producer(bootstrap)?;
    let mut bytes = 0;
    let mut receipt = Vec::new();
    for number in 0..transactions {
        receipt.clear();
        write_receipt(number, &mut receipt);
        bytes += receipt.len() as u64;
        let store = number % STORES;
        send(
            &producer,
            "tlog.raw",
            store as i32 % PARTITIONS,
            &store.to_le_bytes()[..2],
            &receipt,
        )?;
    }
    producer.flush(Duration::from_mins(1))?;
    Ok(bytes)
}

fn write_receipt(number: u64, out: &mut Vec<u8>) {
    let header = Header {
        terminal: 3,
        number: (number % 9_999 + 1) as u16,
        at: TimeMs(1_773_480_360_000),
        operator: 117,
        gross_positive: Money(4_980),
        gross_negative: Money(0),
        ring_seconds: 24,
        tender_seconds: 18,
        strings: 13,
        ..Header::default()
    };
    let mut writer = ReceiptWriter::begin(out, &header);
    for line in 0..10_u16 {
        let sku =
            (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).wrapping_add(u64::from(line) * 517) % SKUS;
        writer.item(&Item {
            item_code: Gtin::from_body(61_414_100_000 + sku)
                .expect("a short body")
                .value(),
            department: 81,
            extended_price: Money(498),
            quantity: Quantity::ONE,
            measure: Measure::Each,
            unit_price: Money(498),
            kind: ItemKind::Sale,
            ordinal: line + 1,
            ..Item::default()
        });
    }
    writer.tax(Money(30));
    writer.tender(&Tender {
        kind: TenderKind::Card,
        amount: Money(5_010),
    });
    writer.change(Money(0));
    writer.finish();
}

fn normalise(bootstrap: &str, done: &AtomicBool) -> Result<(), Failure> {
    let consumer = consumer(bootstrap, "tlog.raw")?;
    let producer = producer(bootstrap)?;
    let mut payload = Vec::new();
    while !done.load(Ordering::Acquire) {
        let Some(message) = consumer.poll(Duration::from_millis(20)) else {
            continue;
        };
        let message = message?;
        let receipt = parse(message.payload().unwrap_or_default())?;
        let lines = receipt
            .stock_lines()
            .map(|line| MovementLine {
                sku: (line.item_code / 10 % 1_000_000) as u32,
                kind: MovementKind::Sold as i32,
                quantity: line.quantity.0,
            })
            .collect();
        let movement = Movement {
            location: "S0042".into(),
            source_kind: SourceKind::Till as i32,
            number: receipt.header.number.into(),
            lines,
            ..Movement::default()
        };
        payload.clear();
        movement.encode(&mut payload)?;
        send(
            &producer,
            "movements",
            message.partition(),
            message.key().unwrap_or_default(),
            &payload,
        )?;
    }
    Ok(())
}

fn apply(bootstrap: &str, transactions: u64, applied: &AtomicU64, done: &AtomicBool) -> Result<u64, Failure> {
    let consumer = consumer(bootstrap, "movements")?;
    let producer = producer(bootstrap)?;
    let mut cells = vec![(0_i64, false); (STORES * 1_000_000 / STORES) as usize];
    let mut dirty: Vec<u32> = Vec::new();
    let mut written = 0;
    let mut payload = Vec::new();
    let mut flushed = Instant::now();
    let mut count = 0;
    while count < transactions && !done.load(Ordering::Acquire) {
        if let Some(message) = consumer.poll(Duration::from_millis(20)) {
            let message = message?;
            let movement = Movement::decode(message.payload().unwrap_or_default())?;
            let key = message.key().unwrap_or_default();
            let store = u64::from(u16::from_le_bytes([key[0], key[1]]));
            for line in &movement.lines {
                let index = (store * SKUS + u64::from(line.sku) % SKUS) as usize % cells.len();
                cells[index].0 -= line.quantity;
                if !cells[index].1 {
                    cells[index].1 = true;
                    dirty.push(index as u32);
                }
            }
            count += 1;
            applied.store(count, Ordering::Relaxed);
        }
        if flushed.elapsed() >= FLUSH || count == transactions {
            for index in dirty.drain(..) {
                let cell = &mut cells[index as usize];
                cell.1 = false;
                payload.clear();
                Cell {
                    floor: cell.0,
                    applied_offset: count,
                    ..Cell::default()
                }
                .encode(&mut payload)?;
                send(
                    &producer,
                    "store.inventory",
                    index as i32 % PARTITIONS,
                    &index.to_le_bytes(),
                    &payload,
                )?;
                written += 1;
            }
            producer.flush(Duration::from_mins(1))?;
            flushed = Instant::now();
        }
    }
    Ok(written)
}

fn count(bootstrap: &str, read: &AtomicU64, done: &AtomicBool) -> Result<(), Failure> {
    let consumer = consumer(bootstrap, "store.inventory")?;
    while !done.load(Ordering::Acquire) {
        if let Some(message) = consumer.poll(Duration::from_millis(20)) {
            Cell::decode(message?.payload().unwrap_or_default())?;
            read.fetch_add(1, Ordering::Release);
        }
    }
    Ok(())
}

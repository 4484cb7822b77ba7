//! The dead letters as a user meets them: listed, looked at, exported, put back, with the services behind them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::kafka::{Kafka, receipt, send};
use crate::support::{ran, run, stockstream};
use contracts::ids::{LocationId, TimeMs};
use contracts::records::{Article, Completeness, Movement, Replayed};
use contracts::topics::{self, StateKey, headers, partition_of};
use prost::Message as _;
use tokio_util::sync::CancellationToken;

/// A hang must end; nothing here waits so long otherwise.
const DEADLINE: Duration = Duration::from_mins(3);
const KNOWN: u64 = 614_141_999_996;
const UNKNOWN: u64 = 2_000_012_345_678;
const AT: TimeMs = TimeMs(1_773_480_413_000);

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_millis() as i64
}

struct Shop {
    kafka: Kafka,
    cancel: CancellationToken,
    services: Vec<JoinHandle<()>>,
}

impl Shop {
    fn open() -> Self {
        let kafka = Kafka::start();
        let cancel = CancellationToken::new();
        let mut shop = Self {
            kafka,
            cancel,
            services: Vec::new(),
        };
        shop.add_article(1, KNOWN);
        let (backbone, cancel) = (shop.kafka.backbone.clone(), shop.cancel.clone());
        shop.services.push(std::thread::spawn(move || {
            normaliser::run(normaliser::Config::default(), backbone, cancel).unwrap();
        }));
        let (backbone, cancel) = (shop.kafka.backbone.clone(), shop.cancel.clone());
        shop.services.push(std::thread::spawn(move || {
            inventory::run(&inventory::Config::default(), &backbone, &cancel).unwrap();
        }));
        shop
    }

    fn add_article(&self, sku: u32, gtin: u64) {
        let article = Article {
            sku,
            gtin,
            ..Article::default()
        };
        let record = (0, sku.to_string(), article.encode_to_vec());
        send(&self.kafka.backbone, topics::CATALOGUE, [record]);
    }

    fn sell(&self, store: u16, number: u16, item_code: u64, at: i64) {
        let location = LocationId::store(store);
        let mut producer = self.kafka.backbone.producer("test").unwrap();
        producer
            .send(
                topics::TLOG_RAW,
                partition_of(location),
                location.to_string().as_bytes(),
                &receipt(number, item_code, AT),
                Some(at),
                &[(headers::RECEIVED, b"77")],
            )
            .unwrap();
        producer.flush(DEADLINE).unwrap();
    }

    /// All that a topic holds, until it is as wanted.
    fn until<T>(
        &self,
        topic: &str,
        of: impl Fn(&backbone::Record<'_>) -> Option<T>,
        is_so: impl Fn(&[T]) -> bool,
    ) -> Vec<T> {
        let until = Instant::now() + DEADLINE;
        let known = topics::ALL.iter().find(|known| known.name == topic).unwrap();
        let partitions: Vec<u32> = (0..known.partitions).collect();
        loop {
            let mut all = Vec::new();
            self.kafka
                .backbone
                .read_whole("test-reader", topic, &partitions, |record| all.extend(of(record)))
                .unwrap();
            if is_so(&all) {
                return all;
            }
            assert!(Instant::now() < until, "{} of {topic}", all.len());
        }
    }

    fn sales(&self, count: usize) -> Vec<(String, u64)> {
        let sale = |record: &backbone::Record<'_>| {
            let movement = Movement::decode(record.payload()?).ok()?;
            (!movement.lines.is_empty()).then_some((movement.location, movement.number))
        };
        self.until(topics::MOVEMENTS, sale, |all| all.len() >= count)
    }

    /// What the view says lies in the dead letters of each of the stores.
    fn in_dead_letters(&self, stores: u16) -> impl Fn(u64) {
        move |expected| {
            let of = |record: &backbone::Record<'_>| match StateKey::parse(record.key())? {
                StateKey::Completeness(location) => {
                    let known = Completeness::decode(record.payload()?).ok()?;
                    Some((location, known.dead_letters))
                }
                _ => None,
            };
            self.until(topics::STORE_INVENTORY, of, |all| {
                let last: std::collections::BTreeMap<_, _> = all.iter().copied().collect();
                (1..=stores).all(|store| last.get(&LocationId::store(store)) == Some(&expected))
            });
        }
    }

    fn dlq(&self, words: &[&str]) -> String {
        let bootstrap = self.kafka.broker.bootstrap();
        let mut all = vec!["dlq"];
        all.extend_from_slice(words);
        all.extend(["--kafka", &bootstrap]);
        let ran = ran(&stockstream(&all));
        assert_eq!(ran.code, 0, "{}", ran.error);
        ran.out
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.cancel.cancel();
        for service in self.services.drain(..) {
            let ended = service.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a service panicked");
        }
    }
}

#[test]
fn letters_go_back_as_they_were_and_nothing_is_counted_twice() {
    let shop = Shop::open();
    let at = now_ms();
    for store in 1..=3 {
        shop.sell(store, 1, KNOWN, at);
        shop.sell(store, 2, UNKNOWN, at + i64::from(store));
    }
    shop.sales(3);
    let in_dead_letters = shop.in_dead_letters(3);
    in_dead_letters(1);

    let listed = shop.dlq(&["list"]);
    let line = listed.lines().nth(1).unwrap();
    assert!(
        line.starts_with("unknown-item") && line.contains("02000012345678"),
        "{listed}"
    );
    assert_eq!(line.split_whitespace().nth(1), Some("3"), "{listed}");
    let json: serde_json::Value = serde_json::from_str(&shop.dlq(&["list", "--json"])).unwrap();
    assert_eq!((&json[0]["open"], &json[0]["put_back"]), (&3.into(), &0.into()));
    let letter = json[0]["example"]["letter"].as_str().unwrap().to_owned();
    let shown = shop.dlq(&["show", &letter]);
    for text in [
        &letter,
        "class     unknown-item",
        "header    received-ms: 77",
        "bytes     ",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters");
    shop.dlq(&[
        "export",
        "--class",
        "unknown-item",
        "--out",
        &path.display().to_string(),
    ]);
    let name = letter.replace('/', "-");
    let exported = std::fs::read(path.join("unknown-item").join(format!("{name}.bin"))).unwrap();
    assert_eq!(exported, receipt(2, UNKNOWN, AT));

    // Without the article they come back as new letters, and are no more than before.
    assert!(
        shop.dlq(&["replay", "--class", "unknown-item"])
            .starts_with("3 letters put back")
    );
    in_dead_letters(1);
    let json: serde_json::Value = serde_json::from_str(&shop.dlq(&["list", "--json"])).unwrap();
    assert_eq!((&json[0]["open"], &json[0]["put_back"]), (&3.into(), &3.into()));

    shop.add_article(2, UNKNOWN);
    assert!(
        shop.dlq(&["replay", "--class", "unknown-item"])
            .starts_with("3 letters put back")
    );
    let sales = shop.sales(6);
    let once: BTreeSet<_> = sales.iter().collect();
    assert_eq!((sales.len(), once.len()), (6, 6), "{sales:?}");
    in_dead_letters(0);

    // Nobody is there any more; and whoever insists changes nothing.
    assert!(
        shop.dlq(&["replay", "--class", "unknown-item"])
            .starts_with("0 letters put back")
    );
    assert!(
        shop.dlq(&["replay", "--all", "--again"])
            .starts_with("6 letters put back")
    );
    let sales = shop.sales(12);
    assert_eq!(
        sales.iter().collect::<BTreeSet<_>>().len(),
        6,
        "the same identities: {sales:?}"
    );
    in_dead_letters(0);

    // What went back is what came, but for where it had stood.
    let raw = shop.until(
        topics::TLOG_RAW,
        |record| {
            let own: Vec<(String, Vec<u8>)> = record
                .headers()
                .into_iter()
                .filter(|(name, _)| !name.starts_with("replay-"))
                .map(|(name, value)| (name.to_owned(), value.to_vec()))
                .collect();
            let payload = record.payload()?.to_vec();
            Some((
                record.partition(),
                record.key().to_vec(),
                payload,
                record.timestamp_ms(),
                own,
            ))
        },
        |all| all.len() == 18,
    );
    assert_eq!(raw.into_iter().collect::<BTreeSet<_>>().len(), 6);
    let memory = shop.until(
        topics::DLQ_REPLAYED,
        |record| Replayed::decode(record.payload()?).ok(),
        |all| !all.is_empty(),
    );
    assert!(memory.iter().any(|replayed| replayed.times == 2), "{memory:?}");
}

#[test]
fn an_article_that_comes_late_costs_exactly_its_letters_and_the_stock_is_right() {
    let ran = run(&["new-article", "--speed", "2"]);
    ran.assert_pass();
    assert_eq!(ran.number("/dead_letters/total"), 4);
    assert_eq!(ran.number("/dead_letters/by_class/unknown-item"), 4);
    assert_eq!(ran.number("/dead_letters/put_back"), 4);
    assert_eq!(ran.number("/dead_letters/open_in_view"), 0);
}

/// Shoppers, lorries and opening counts: whole documents wait for one article.
#[test]
fn a_shop_full_of_people_is_right_when_the_article_has_come() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("late.yaml");
    let yaml = "title: late articles\nseed: 3\n\
        world: {stores: 8, warehouses: 2, data_centres: 1, skus: 60, assortment: 30, transactions_per_day: 4000, start: 2026-03-16 10:00, unknown_articles: [Item_7, Item_31]}\n\
        load: {speed: 600}\nstop: {duration: 2h}\nsteps:\n\
        \x20 - {at: 30m, do: release_articles}\n\
        \x20 - {at: 1h, do: {replay: unknown-item}, expect: {in_dead_letters: {equal: 0, within: 1m}}}\n\
        expect: {diverging_cells: {at_most: 0}, in_dead_letters: {equal: 0, within: 1s}}\n";
    std::fs::write(&file, yaml).unwrap();
    let ran = run(&[&file.display().to_string()]);
    ran.assert_pass();
    let letters = ran.number("/dead_letters/by_class/unknown-item");
    assert!(letters > 10, "{letters}");
    assert_eq!(ran.number("/dead_letters/put_back"), letters);
    assert_eq!(ran.number("/dead_letters/open_in_view"), 0);
}

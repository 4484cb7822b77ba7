//! Articles that are published while receipts name them.

use std::time::Duration;

use crate::kafka::{Kafka, receipt};
use crate::support::service::{AT, DEADLINE, OATS, Running};
use contracts::ids::LocationId;
use contracts::records::Article;
use contracts::topics::{self, partition_of};
use embedded::broker::faults::{Api, Effect, Fault};
use prost::Message as _;

const STORE: LocationId = LocationId::store(1);
/// No article has it, ever.
const NOBODYS: u64 = 22;
const FIRST_GTIN: u64 = 2_000_000_000_000;

#[test]
fn an_article_that_was_published_before_its_receipt_is_known_whatever_else_is_not() {
    const ARTICLES: u16 = 400;
    let kafka = Kafka::start();
    kafka.add_article(&OATS);
    let service = Running::start(&kafka, "one", None);
    let mut producer = kafka.producer();
    let partition = partition_of(STORE);
    for number in 1..=ARTICLES {
        let gtin = FIRST_GTIN + u64::from(number);
        let article = Article {
            sku: 1_000_000 + u32::from(number),
            gtin,
            ..OATS
        };
        let key = article.sku.to_string();
        let messages = [
            (topics::TLOG_RAW, partition, receipt(number, NOBODYS, AT)),
            (topics::CATALOGUE, 0, article.encode_to_vec()),
            (topics::TLOG_RAW, partition, receipt(ARTICLES + number, gtin, AT)),
        ];
        for (topic, partition, payload) in messages {
            let key = if topic == topics::CATALOGUE { &key } else { "S0001" };
            producer
                .send(topic, partition, key.as_bytes(), &payload, None, &[])
                .unwrap();
            producer.flush(DEADLINE).unwrap();
        }
    }
    let all = u64::from(ARTICLES);
    service.wait_until("all messages", |counts| counts.messages() == 2 * all);
    let counts = service.stop().counts;
    assert_eq!((counts.transactions, counts.dead_letters_total()), (all, all));
}

#[test]
fn a_flood_of_unknown_articles_asks_for_the_catalogue_once_for_all_that_lies_in_the_log() {
    const RECEIPTS: u16 = 2_000;
    let kafka = Kafka::start();
    kafka.add_article(&OATS);
    let receipts: Vec<_> = (1..=RECEIPTS)
        .map(|number| (STORE, receipt(number, NOBODYS, AT)))
        .collect();
    kafka.send(topics::TLOG_RAW, &receipts);
    let asked = kafka.broker.faults().add(
        Fault::new(Effect::Delay(Duration::ZERO))
            .api(Api::ListOffsets)
            .topic(topics::CATALOGUE),
    );
    let service = Running::start(&kafka, "one", None);
    service.wait_until("all letters", |counts| {
        counts.dead_letters_total() == u64::from(RECEIPTS)
    });
    service.stop();
    let asked = kafka.broker.faults().hits(asked);
    assert!((2..20).contains(&asked), "at the start, and once more: {asked}");
}

#[test]
fn a_catalogue_that_ends_with_a_transactions_mark_is_read_to_its_end_at_the_start_and_later() {
    let tea = Article {
        sku: 8,
        gtin: 2_000_012_345_678,
        ..OATS
    };
    let kafka = Kafka::start();
    kafka.add_in_transaction(&[OATS]);
    let service = Running::start(&kafka, "one", None);
    kafka.send(topics::TLOG_RAW, &[(STORE, receipt(1, OATS.gtin, AT))]);
    service.wait_until("what is known at the start", |counts| counts.transactions == 1);
    kafka.send(topics::TLOG_RAW, &[(STORE, receipt(2, NOBODYS, AT))]);
    service.wait_until("a letter", |counts| counts.dead_letters_total() == 1);
    let gtins = [tea.gtin, NOBODYS];
    kafka.add_in_transaction(&[tea]);
    let receipts = [(3, gtins[0]), (4, gtins[1])].map(|(number, gtin)| (STORE, receipt(number, gtin, AT)));
    kafka.send(topics::TLOG_RAW, &receipts);
    service.wait_until("the new article", |counts| {
        counts.transactions == 2 && counts.dead_letters_total() == 2
    });
    assert_eq!(service.stop().counts.recoveries, 0);
}

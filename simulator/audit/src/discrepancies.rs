//! Deliveries whose papers contradict each other: the list of the view against the list of the truth.
//!
//! The topic is read once, to its end, by a consumer of the audit's own; the last record of a key counts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use contracts::records::Discrepancy;
use contracts::topics::{DISCREPANCIES, PARTITIONS};
use ledger::TrueDiscrepancy;
use prost::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::Serialize;

use crate::{AuditConfig, AuditError};

const POLL: Duration = Duration::from_millis(100);
const WITHIN: Duration = Duration::from_secs(30);
/// Contradictions that a report lists, and differences between the lists.
const LISTED_MAX: usize = 100;

/// The list of the view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub by_advice: BTreeMap<u64, Discrepancy>,
    pub undecodable: u64,
}

/// List against list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiscrepancyReport {
    /// Deliveries that anything was written of.
    pub deliveries: u64,
    pub expected: u64,
    pub found: u64,
    /// That must come out and did not, the first 100.
    pub missing: Vec<u64>,
    /// That came out and must not.
    pub unexpected: Vec<u64>,
    /// That came out with other lines or sides.
    pub different: Vec<u64>,
    pub undecodable: u64,
    /// The view's list, the first 100: advice, places, and each line with all sides.
    pub list: Vec<String>,
}

impl DiscrepancyReport {
    pub fn is_exact(&self) -> bool {
        self.missing.is_empty()
            && self.unexpected.is_empty()
            && self.different.is_empty()
            && self.undecodable == 0
    }
}

fn says_the_same(truth: &TrueDiscrepancy, view: &Discrepancy) -> bool {
    let lines = || {
        view.lines
            .iter()
            .map(|line| (line.sku, [line.shipped, line.scanned, line.receive_inventory]))
    };
    view.despatch_advice == truth.despatch_advice
        && view.has_scan == truth.has_scan
        && view.has_receive_inventory == truth.has_receive_inventory
        && lines().eq(truth.lines.iter().map(|(sku, sides)| (sku.0, *sides)))
}

fn sentence(view: &Discrepancy) -> String {
    let units = |quantity: i64| contracts::ids::Quantity(quantity).to_string();
    let lines: Vec<String> = view
        .lines
        .iter()
        .map(|line| {
            let mut sides = vec![format!("shipped {}", units(line.shipped))];
            if view.has_scan {
                sides.push(format!("scanned {}", units(line.scanned)));
            }
            if view.has_receive_inventory {
                sides.push(format!("posted {}", units(line.receive_inventory)));
            }
            format!("{} {}", line.sku, sides.join(", "))
        })
        .collect();
    format!(
        "advice {} {} to {}: {}",
        view.despatch_advice,
        view.warehouse,
        view.store,
        lines.join("; ")
    )
}

/// Compares the lists. Pure.
pub fn compare(deliveries: u64, truth: &[TrueDiscrepancy], view: &Found) -> DiscrepancyReport {
    let mut report = DiscrepancyReport {
        deliveries,
        expected: truth.len() as u64,
        found: view.by_advice.len() as u64,
        undecodable: view.undecodable,
        list: view.by_advice.values().take(LISTED_MAX).map(sentence).collect(),
        ..DiscrepancyReport::default()
    };
    let add = |list: &mut Vec<u64>, advice| {
        if list.len() < LISTED_MAX {
            list.push(advice);
        }
    };
    let mut unexpected: BTreeSet<u64> = view.by_advice.keys().copied().collect();
    for expected in truth {
        let advice = expected.despatch_advice;
        unexpected.remove(&advice);
        match view.by_advice.get(&advice) {
            None => add(&mut report.missing, advice),
            Some(found) if !says_the_same(expected, found) => add(&mut report.different, advice),
            Some(_) => {}
        }
    }
    for advice in unexpected {
        add(&mut report.unexpected, advice);
    }
    report
}

/// Reads the topic to its end of now. Blocks.
pub fn read(config: &AuditConfig) -> Result<Found, AuditError> {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &config.bootstrap)
        .set(
            "client.id",
            format!("stockstream-audit-{}-list", std::process::id()),
        )
        .set("group.id", "stockstream-audit")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true");
    for (key, value) in &config.settings {
        client.set(key, value);
    }
    client.set("enable.partition.eof", "true");
    let consumer: BaseConsumer = client.create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(DISCREPANCIES, partition as i32, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let started = Instant::now();
    let mut found = Found::default();
    let mut open: Vec<i32> = (0..PARTITIONS as i32).collect();
    while !open.is_empty() {
        match consumer.poll(POLL) {
            Some(Ok(message)) => take(&mut found, message.key().unwrap_or_default(), message.payload()),
            Some(Err(KafkaError::PartitionEOF(partition))) => open.retain(|one| *one != partition),
            Some(Err(error)) => tracing::debug!(%error, "audit's list"),
            None => {}
        }
        if started.elapsed() > WITHIN {
            return Err(AuditError::NoEnds {
                waited: started.elapsed(),
                trouble: Some(format!("{DISCREPANCIES}: partitions {open:?} do not end")),
            });
        }
    }
    Ok(found)
}

fn take(found: &mut Found, key: &[u8], value: Option<&[u8]>) {
    let advice = std::str::from_utf8(key)
        .ok()
        .and_then(|key| key.parse::<u64>().ok());
    let Some(advice) = advice else {
        found.undecodable += 1;
        return;
    };
    match value.map(Discrepancy::decode) {
        None => {
            found.by_advice.remove(&advice);
        }
        Some(Ok(discrepancy)) => {
            found.by_advice.insert(advice, discrepancy);
        }
        Some(Err(_)) => found.undecodable += 1,
    }
}

#[cfg(test)]
mod tests {
    use contracts::ids::Sku;
    use contracts::records::DiscrepancyLine;

    use super::*;

    fn truth(advice: u64, scanned: i64) -> TrueDiscrepancy {
        TrueDiscrepancy {
            despatch_advice: advice,
            lines: vec![(Sku(7), [48_000, scanned, 0])],
            has_scan: true,
            has_receive_inventory: false,
        }
    }

    fn view(all: &[(u64, i64)]) -> Found {
        let mut found = Found::default();
        for (advice, scanned) in all {
            let record = Discrepancy {
                despatch_advice: *advice,
                warehouse: "W0002".into(),
                store: "S0042".into(),
                lines: vec![DiscrepancyLine {
                    sku: 7,
                    shipped: 48_000,
                    scanned: *scanned,
                    receive_inventory: 0,
                }],
                has_scan: true,
                has_receive_inventory: false,
            };
            take(
                &mut found,
                advice.to_string().as_bytes(),
                Some(&record.encode_to_vec()),
            );
        }
        found
    }

    #[test]
    fn list_is_compared_with_list() {
        let expected = [truth(1, 47_000), truth(2, 47_000), truth(3, 47_000)];
        let report = compare(9, &expected, &view(&[(1, 47_000), (2, 46_000), (4, 47_000)]));
        assert_eq!((report.expected, report.found, report.deliveries), (3, 3, 9));
        assert_eq!(
            (&report.missing[..], &report.different[..], &report.unexpected[..]),
            (&[3][..], &[2][..], &[4][..])
        );
        assert!(!report.is_exact());
        assert_eq!(
            report.list[0],
            "advice 1 W0002 to S0042: 7 shipped 48, scanned 47"
        );
        assert!(compare(9, &expected[..1], &view(&[(1, 47_000)])).is_exact());
    }

    #[test]
    fn what_is_withdrawn_is_not_there_and_what_cannot_be_read_is_told() {
        let mut found = view(&[(1, 47_000)]);
        take(&mut found, b"1", None);
        assert_eq!(found, Found::default());
        take(&mut found, b"one", None);
        take(&mut found, b"2", Some(b"\xff"));
        assert_eq!(found.undecodable, 2);
        assert!(!compare(0, &[], &found).is_exact());
    }
}

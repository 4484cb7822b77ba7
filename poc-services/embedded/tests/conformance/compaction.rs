//! Compaction: of each key the newest record stays where it is.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::records::Record;

use crate::error;
use crate::support::eventually;
use crate::support::raw::Raw;
use crate::support::records::{
    NOBODY, NOW, Wish, batch_at, fetch, list_offset, now_ms, produce, records_of, value_of, values_of,
};
use crate::support::target::{Target, unique};
use crate::transactions::{Transactional, transaction};

/// Lets Apache Kafka compact within seconds.
const COMPACTED: [(&str, &str); 6] = [
    ("cleanup.policy", "compact"),
    ("segment.ms", "1000"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("min.compaction.lag.ms", "0"),
    ("max.compaction.lag.ms", "1000"),
    ("delete.retention.ms", "100"),
];

/// All records that are left.
fn read(node: &mut Raw, topic: &str) -> Vec<Record> {
    let (mut records, mut next) = (Vec::<Record>::new(), 0);
    let end = list_offset(node, topic, 0, -1).1;
    while next < end {
        let more = records_of(&fetch(node, topic, 0, next, NOW));
        let Some(last) = more.last() else { break };
        next = last.offset + 1;
        records.extend(more);
    }
    records
}

fn write(node: &mut Raw, topic: &str, key: &str, value: &str) {
    let answer = produce(node, topic, 0, &batch_at(&[(Some(key), value, now_ms())], NOBODY));
    assert_eq!(error(answer.error_code), None);
}

/// Sends a record now and then, because the newest segment is never compacted, until what is left suits.
fn compacted(node: &mut Raw, topic: &str, suits: impl Fn(&[Record]) -> bool) -> Vec<Record> {
    eventually("the log is compacted", || {
        write(node, topic, "kick", "");
        // As long as a segment lasts.
        std::thread::park_timeout(std::time::Duration::from_millis(500));
        Some(read(node, topic)).filter(|records| suits(records))
    })
}

fn of_key<'a>(records: &'a [Record], key: &str) -> Vec<&'a Record> {
    let is_it = |record: &&Record| record.key.as_deref() == Some(key.as_bytes());
    records.iter().filter(is_it).collect()
}

#[test]
fn newest_record_of_each_key_stays_at_its_offset() {
    let target = Target::start();
    let topic = target.topic(1, &COMPACTED);
    let mut leader = target.leader(&topic, 0);
    let mut newest = BTreeMap::new();
    for round in 0..50 {
        for key in 0..10 {
            newest.insert(format!("k{key}"), (round * 10 + key, format!("{round}")));
            write(&mut leader, &topic, &format!("k{key}"), &format!("{round}"));
        }
    }
    let records = compacted(&mut leader, &topic, |records| {
        (0..10).all(|key| of_key(records, &format!("k{key}")).len() == 1)
    });
    for (key, (offset, value)) in &newest {
        let left = of_key(&records, key);
        assert_eq!((left[0].offset, &value_of(left[0])), (*offset, value), "{key}");
    }
    assert!(records.is_sorted_by_key(|record| record.offset));
    let end = list_offset(&mut leader, &topic, 0, -1).1;
    assert_eq!(list_offset(&mut leader, &topic, 0, -2).1, 0, "watermarks stay");
    assert!(end > 500);
    let from_a_gap = records_of(&fetch(&mut leader, &topic, 0, 100, NOW));
    assert!(
        from_a_gap.iter().any(|record| record.offset >= 490),
        "a position at which nothing is left any more is still valid"
    );
}

#[test]
fn deleted_key_goes_with_its_tombstone() {
    let target = Target::start();
    let topic = target.topic(1, &COMPACTED);
    let mut leader = target.leader(&topic, 0);
    write(&mut leader, &topic, "gone", "1");
    write(&mut leader, &topic, "stays", "1");
    let tombstone = tombstone("gone");
    assert_eq!(
        error(produce(&mut leader, &topic, 0, &tombstone).error_code),
        None
    );
    let records = compacted(&mut leader, &topic, |records| of_key(records, "gone").is_empty());
    assert_eq!(of_key(&records, "stays").len(), 1);
}

#[test]
fn aborted_record_neither_stays_nor_displaces_the_committed_one() {
    let target = Target::start();
    let topic = target.topic(1, &COMPACTED);
    let mut leader = target.leader(&topic, 0);
    let mut producer = Transactional::new(&target, &unique("txn"));
    transaction(&target, &mut producer, &topic, "committed", true);
    transaction(&target, &mut producer, &topic, "aborted", false);
    // Both were written under this key.
    let records = compacted(&mut leader, &topic, |records| {
        of_key(records, "key")
            .iter()
            .all(|record| value_of(record) != "aborted")
    });
    let left: Vec<_> = of_key(&records, "key").into_iter().map(value_of).collect();
    assert_eq!(left, ["committed"]);
    let wish = Wish {
        read_committed: true,
        ..NOW
    };
    let seen = values_of(&fetch(&mut leader, &topic, 0, 0, wish));
    assert_eq!(
        seen[0],
        (0, "committed".to_owned()),
        "readers of committed records see it too"
    );
}

#[test]
fn topic_that_is_not_compacted_keeps_every_record_of_a_key() {
    let target = Target::start();
    let plain = target.topic(1, &[("segment.ms", "1000")]);
    let mut leader = target.leader(&plain, 0);
    for number in 0..20 {
        write(&mut leader, &plain, "same", &number.to_string());
    }
    let topic = target.topic(1, &COMPACTED);
    let mut there = target.leader(&topic, 0);
    for number in 0..20 {
        write(&mut there, &topic, "same", &number.to_string());
    }
    compacted(&mut there, &topic, |records| of_key(records, "same").len() == 1);
    assert_eq!(of_key(&read(&mut leader, &plain), "same").len(), 20);
}

/// A record without a value.
fn tombstone(key: &str) -> bytes::BytesMut {
    use kafka_protocol::indexmap::IndexMap;
    use kafka_protocol::records::{Compression, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: -1,
        timestamp: now_ms(),
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: None,
        headers: IndexMap::new(),
    };
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut out = bytes::BytesMut::new();
    RecordBatchEncoder::encode(&mut out, [&record], &options).unwrap();
    out
}

//! Producing, fetching and reading batches by raw frames.

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    BrokerId, FetchRequest, FetchResponse, ListOffsetsRequest, ProduceRequest, TopicName, TransactionalId,
};
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use super::raw::Raw;
use super::target::text;

/// Who writes a batch.
#[derive(Debug, Clone, Copy)]
pub struct Writer {
    pub id: i64,
    pub epoch: i16,
    pub sequence: i32,
    pub transactional: bool,
}

/// No idempotence.
pub const NOBODY: Writer = Writer {
    id: -1,
    epoch: -1,
    sequence: -1,
    transactional: false,
};

/// A batch of records with keys, values and times.
pub fn batch_at(records: &[(Option<&str>, &str, i64)], writer: Writer) -> BytesMut {
    let records: Vec<Record> = records
        .iter()
        .zip(0..)
        .map(|((key, value, timestamp), index)| Record {
            transactional: writer.transactional,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: writer.id,
            producer_epoch: writer.epoch,
            timestamp_type: TimestampType::Creation,
            offset: index,
            // Records of a batch count up, without a producer too.
            sequence: writer.sequence.wrapping_add(index as i32),
            timestamp: *timestamp,
            key: key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: IndexMap::new(),
        })
        .collect();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut out = BytesMut::new();
    RecordBatchEncoder::encode(&mut out, &records, &options).unwrap();
    out
}

/// A batch of plain values of this moment.
pub fn batch(values: &[&str], writer: Writer) -> BytesMut {
    let records: Vec<_> = values
        .iter()
        .map(|value| (Some("key"), *value, now_ms()))
        .collect();
    batch_at(&records, writer)
}

pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_millis() as i64
}

/// A produce request for one partition, by the topic's name.
pub fn produce_request(topic: &str, partition: i32, acks: i16, batch: &[u8]) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(Bytes::copy_from_slice(batch)));
    let data = TopicProduceData::default()
        .with_name(TopicName(text(topic)))
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![data])
}

/// Produces with `acks=all`.
pub fn produce(node: &mut Raw, topic: &str, partition: i32, batch: &[u8]) -> PartitionProduceResponse {
    let mut response = node.call(9, &produce_request(topic, partition, -1, batch));
    response.responses.remove(0).partition_responses.remove(0)
}

/// Produces as part of a transaction.
pub fn produce_in(
    node: &mut Raw,
    transactional_id: &str,
    topic: &str,
    partition: i32,
    batch: &[u8],
) -> PartitionProduceResponse {
    let request = produce_request(topic, partition, -1, batch)
        .with_transactional_id(Some(TransactionalId(text(transactional_id))));
    let mut response = node.call(9, &request);
    response.responses.remove(0).partition_responses.remove(0)
}

/// What a fetch may take.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
    pub partition_max_bytes: i32,
    pub read_committed: bool,
    pub leader_epoch: i32,
}

/// All there is now.
pub const NOW: Wish = Wish {
    max_wait_ms: 0,
    min_bytes: 0,
    max_bytes: 50 << 20,
    partition_max_bytes: 50 << 20,
    read_committed: false,
    leader_epoch: -1,
};

pub fn fetch_request(topic: &str, from: &[(i32, i64)], wish: Wish) -> FetchRequest {
    let partitions = from.iter().map(|(partition, offset)| {
        FetchPartition::default()
            .with_partition(*partition)
            .with_fetch_offset(*offset)
            .with_current_leader_epoch(wish.leader_epoch)
            .with_partition_max_bytes(wish.partition_max_bytes)
    });
    let topic = FetchTopic::default()
        .with_topic(TopicName(text(topic)))
        .with_partitions(partitions.collect());
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(wish.max_wait_ms)
        .with_min_bytes(wish.min_bytes)
        .with_max_bytes(wish.max_bytes)
        .with_isolation_level(i8::from(wish.read_committed))
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// The answer for the one partition that was asked for.
pub fn only(mut response: FetchResponse) -> PartitionData {
    assert_eq!(response.error_code, 0, "Fetch");
    response.responses.remove(0).partitions.remove(0)
}

pub fn fetch(node: &mut Raw, topic: &str, partition: i32, offset: i64, wish: Wish) -> PartitionData {
    only(node.call(12, &fetch_request(topic, &[(partition, offset)], wish)))
}

/// Bytes of a fetched partition.
pub fn bytes_of(data: &PartitionData) -> usize {
    data.records.as_ref().map_or(0, Bytes::len)
}

/// The records of all whole batches, control records too. A server may cut the last batch off.
pub fn records_of(data: &PartitionData) -> Vec<Record> {
    let mut rest = data.records.clone().unwrap_or_default();
    let mut records = Vec::new();
    while rest.len() > 12 {
        let length = i32::from_be_bytes(rest[8..12].try_into().unwrap()) as usize + 12;
        if rest.len() < length {
            break;
        }
        let mut batch = rest.split_to(length);
        records.extend(RecordBatchDecoder::decode(&mut batch).unwrap().records);
    }
    records
}

pub fn value_of(record: &Record) -> String {
    String::from_utf8(record.value.clone().unwrap_or_default().to_vec()).unwrap()
}

/// The largest time in the header of the first batch, and whether the broker's clock set it.
pub fn batch_time(data: &PartitionData) -> (i64, bool) {
    let bytes = data.records.as_ref().unwrap();
    let attributes = i16::from_be_bytes(bytes[21..23].try_into().unwrap());
    let time = i64::from_be_bytes(bytes[35..43].try_into().unwrap());
    (time, attributes & 8 != 0)
}

/// Offset and value of each record that a client would be shown.
pub fn values_of(data: &PartitionData) -> Vec<(i64, String)> {
    let records = records_of(data);
    let shown = records.iter().filter(|record| !record.control);
    shown.map(|record| (record.offset, value_of(record))).collect()
}

/// All values of a partition from its beginning.
pub fn read_all(node: &mut Raw, topic: &str, partition: i32) -> Vec<(i64, String)> {
    let start = list_offset(node, topic, partition, -2).1;
    values_of(&fetch(node, topic, partition, start, NOW))
}

/// ListOffsets of one partition: error, offset, timestamp.
pub fn list_offsets(
    node: &mut Raw,
    topic: &str,
    partition: i32,
    timestamp: i64,
    read_committed: bool,
) -> (i16, i64, i64) {
    let wanted = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_current_leader_epoch(-1)
        .with_timestamp(timestamp);
    let wanted = ListOffsetsTopic::default()
        .with_name(TopicName(text(topic)))
        .with_partitions(vec![wanted]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(i8::from(read_committed))
        .with_topics(vec![wanted]);
    let mut response = node.call(7, &request);
    let found = response.topics.remove(0).partitions.remove(0);
    (found.error_code, found.offset, found.timestamp)
}

pub fn list_offset(node: &mut Raw, topic: &str, partition: i32, timestamp: i64) -> (i16, i64, i64) {
    list_offsets(node, topic, partition, timestamp, false)
}

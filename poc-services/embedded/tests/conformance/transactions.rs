//! Transactions: what is committed is seen as a whole, what is aborted by nobody who asks for committed records, and of
//! two producers with one name the older is fenced.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, DescribeTransactionsRequest, EndTxnRequest, InitProducerIdRequest,
    ListTransactionsRequest, ProducerId, TopicName, TransactionalId,
};
use rdkafka::Offset;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::types::RDKafkaErrorCode;

use crate::error;
use crate::support::clients::{producer, read, reader, send};
use crate::support::raw::Raw;
use crate::support::records::{
    NOBODY, NOW, Wish, Writer, batch, fetch, list_offsets, produce, produce_in, records_of, values_of,
};
use crate::support::target::{Coordinates, Target, text, unique};
use crate::support::{DEADLINE, eventually};

const COMMITTED: Wish = Wish {
    read_committed: true,
    ..NOW
};

/// A transactional producer made of raw frames.
pub struct Transactional {
    pub node: Raw,
    pub id: String,
    pub writer: Writer,
    timeout_ms: i32,
}

impl Transactional {
    pub fn new(target: &Target, id: &str) -> Self {
        Self::with_timeout(target, id, 60_000)
    }

    fn with_timeout(target: &Target, id: &str, timeout_ms: i32) -> Self {
        let mut new = Self {
            node: target.coordinator(Coordinates::Transaction, id),
            id: id.to_owned(),
            writer: Writer {
                transactional: true,
                ..NOBODY
            },
            timeout_ms,
        };
        new.init((-1, -1)).unwrap();
        new
    }

    /// InitProducerId; `known` is producer id and epoch as the producer believes.
    fn init(&mut self, known: (i64, i16)) -> Result<(), ResponseError> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(&self.id))))
            .with_transaction_timeout_ms(self.timeout_ms)
            .with_producer_id(ProducerId(known.0))
            .with_producer_epoch(known.1);
        let answer = eventually("the former transaction has ended", || {
            let answer = self.node.call(4, &request);
            let is_busy = matches!(
                error(answer.error_code),
                Some(
                    ResponseError::ConcurrentTransactions
                        | ResponseError::CoordinatorLoadInProgress
                        | ResponseError::CoordinatorNotAvailable
                )
            );
            (!is_busy).then_some(answer)
        });
        match error(answer.error_code) {
            None => {
                self.writer.id = answer.producer_id.0;
                self.writer.epoch = answer.producer_epoch;
                self.writer.sequence = 0;
                Ok(())
            }
            Some(error) => Err(error),
        }
    }

    /// Adds a partition as a client of that version would; waits while the last transaction is still ending.
    fn add(&mut self, topic: &str, partition: i32) -> Option<ResponseError> {
        let topic = AddPartitionsToTxnTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(vec![partition]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(text(&self.id)))
            .with_v3_and_below_producer_id(ProducerId(self.writer.id))
            .with_v3_and_below_producer_epoch(self.writer.epoch)
            .with_v3_and_below_topics(vec![topic]);
        eventually("the last transaction has ended", || {
            let answer = self.node.call(3, &request);
            let topic = &answer.results_by_topic_v3_and_below[0];
            let code = topic.results_by_partition[0].partition_error_code;
            (error(code) != Some(ResponseError::ConcurrentTransactions)).then_some(error(code))
        })
    }

    fn write(
        &mut self,
        leader: &mut Raw,
        topic: &str,
        partition: i32,
        values: &[&str],
    ) -> Option<ResponseError> {
        let answer = produce_in(leader, &self.id, topic, partition, &batch(values, self.writer));
        if answer.error_code == 0 {
            self.writer.sequence += values.len() as i32;
        }
        error(answer.error_code)
    }

    pub fn end(&mut self, committed: bool) -> Option<ResponseError> {
        let request = EndTxnRequest::default()
            .with_transactional_id(TransactionalId(text(&self.id)))
            .with_producer_id(ProducerId(self.writer.id))
            .with_producer_epoch(self.writer.epoch)
            .with_committed(committed);
        eventually("the end is accepted", || {
            let found = error(self.node.call(3, &request).error_code);
            (found != Some(ResponseError::ConcurrentTransactions)).then_some(found)
        })
    }

    fn state(&mut self) -> String {
        let ids = vec![TransactionalId(text(&self.id))];
        let request = DescribeTransactionsRequest::default().with_transactional_ids(ids);
        let state = self.node.call(0, &request).transaction_states.remove(0);
        assert_eq!(error(state.error_code), None);
        state.transaction_state.to_string()
    }

    /// Waits until the markers are written.
    pub fn await_state(&mut self, wanted: &str) {
        eventually(&format!("the transaction is {wanted}"), || {
            (self.state() == wanted).then_some(())
        });
    }
}

/// One transaction with one record.
pub fn transaction(target: &Target, producer: &mut Transactional, topic: &str, value: &str, committed: bool) {
    let mut leader = target.leader(topic, 0);
    assert_eq!(producer.add(topic, 0), None);
    assert_eq!(producer.write(&mut leader, topic, 0, &[value]), None);
    assert_eq!(producer.end(committed), None);
    producer.await_state(if committed {
        "CompleteCommit"
    } else {
        "CompleteAbort"
    });
}

fn values(leader: &mut Raw, topic: &str, wish: Wish) -> Vec<String> {
    let data = fetch(leader, topic, 0, 0, wish);
    assert_eq!(error(data.error_code), None);
    values_of(&data).into_iter().map(|(_, value)| value).collect()
}

#[test]
fn committed_records_are_followed_by_a_marker() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut producer = Transactional::new(&target, &unique("txn"));
    transaction(&target, &mut producer, &topic, "a", true);
    let mut leader = target.leader(&topic, 0);
    let data = fetch(&mut leader, &topic, 0, 0, COMMITTED);
    assert_eq!((data.high_watermark, data.last_stable_offset), (2, 2));
    assert_eq!(data.aborted_transactions.as_ref().map(Vec::len), Some(0));
    let records = records_of(&data);
    assert_eq!(records.len(), 2);
    assert!(records[0].transactional && !records[0].control);
    assert!(records[1].transactional && records[1].control);
    assert_eq!(
        records[1].key.as_deref(),
        Some(&[0, 0, 0, 1][..]),
        "the marker says commit"
    );
    assert_eq!(records[1].producer_id, producer.writer.id);
}

#[test]
fn aborted_records_are_listed_for_readers_of_committed_ones() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut producer = Transactional::new(&target, &unique("txn"));
    transaction(&target, &mut producer, &topic, "kept", true);
    transaction(&target, &mut producer, &topic, "dropped", false);
    let mut leader = target.leader(&topic, 0);
    let data = fetch(&mut leader, &topic, 0, 0, COMMITTED);
    let aborted = data.aborted_transactions.clone().unwrap();
    assert_eq!(aborted.len(), 1);
    assert_eq!(
        (aborted[0].producer_id.0, aborted[0].first_offset),
        (producer.writer.id, 2)
    );
    let marker = records_of(&data).pop().unwrap();
    assert_eq!(
        marker.key.as_deref(),
        Some(&[0, 0, 0, 0][..]),
        "the marker says abort"
    );
    let plain = fetch(&mut leader, &topic, 0, 0, NOW);
    assert_eq!(plain.aborted_transactions, None, "other readers are not told");
    let behind = fetch(&mut leader, &topic, 0, 4, COMMITTED);
    assert_eq!(behind.aborted_transactions.map(|list| list.len()), Some(0));
}

#[test]
fn open_transaction_holds_back_readers_of_committed_records() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let mut producer = Transactional::new(&target, &unique("txn"));
    produce(&mut leader, &topic, 0, &batch(&["before"], NOBODY));
    assert_eq!(producer.add(&topic, 0), None);
    assert_eq!(producer.write(&mut leader, &topic, 0, &["open"]), None);
    produce(&mut leader, &topic, 0, &batch(&["behind"], NOBODY));
    let data = fetch(&mut leader, &topic, 0, 0, COMMITTED);
    assert_eq!((data.high_watermark, data.last_stable_offset), (3, 1));
    assert_eq!(values(&mut leader, &topic, COMMITTED), ["before"]);
    assert_eq!(values(&mut leader, &topic, NOW), ["before", "open", "behind"]);
    assert_eq!(list_offsets(&mut leader, &topic, 0, -1, true).1, 1);
    assert_eq!(list_offsets(&mut leader, &topic, 0, -1, false).1, 3);
    assert_eq!(producer.end(true), None);
    producer.await_state("CompleteCommit");
    assert_eq!(
        values(&mut leader, &topic, COMMITTED),
        ["before", "open", "behind"]
    );
    assert_eq!(list_offsets(&mut leader, &topic, 0, -1, true).1, 4);
}

#[test]
fn reader_that_waits_for_committed_records_is_woken_by_the_end() {
    use kafka_protocol::messages::FetchRequest;

    use crate::support::records::{fetch_request, only};
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let mut producer = Transactional::new(&target, &unique("txn"));
    producer.add(&topic, 0);
    producer.write(&mut leader, &topic, 0, &["open"]);
    let wish = Wish {
        max_wait_ms: 50_000,
        min_bytes: 1,
        ..COMMITTED
    };
    let mut reader = target.leader(&topic, 0);
    reader.send(12, &fetch_request(&topic, &[(0, 0)], wish));
    assert_eq!(producer.end(true), None);
    let (_, answer) = reader.receive::<FetchRequest>(12).unwrap();
    assert_eq!(values_of(&only(answer)), [(0, "open".to_owned())]);
}

#[test]
fn next_producer_of_a_name_fences_the_older_and_aborts_what_it_left() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let id = unique("txn");
    let mut old = Transactional::new(&target, &id);
    assert_eq!(old.add(&topic, 0), None);
    assert_eq!(old.write(&mut leader, &topic, 0, &["left"]), None);
    let mut new = Transactional::new(&target, &id);
    assert_eq!(new.writer.id, old.writer.id);
    assert!(new.writer.epoch > old.writer.epoch);
    assert_eq!(old.end(true), Some(ResponseError::ProducerFenced));
    assert_eq!(old.add(&topic, 0), Some(ResponseError::ProducerFenced));
    assert_eq!(
        old.write(&mut leader, &topic, 0, &["late"]),
        Some(ResponseError::InvalidProducerEpoch)
    );
    transaction(&target, &mut new, &topic, "new", true);
    let data = fetch(&mut leader, &topic, 0, 0, COMMITTED);
    assert_eq!(data.aborted_transactions.map(|list| list.len()), Some(1));
    let shown = values(&mut leader, &topic, NOW);
    assert_eq!(shown, ["left", "new"]);
}

#[test]
fn producer_that_knows_its_epoch_may_take_the_next() {
    let target = Target::start();
    let mut producer = Transactional::new(&target, &unique("txn"));
    let (id, epoch) = (producer.writer.id, producer.writer.epoch);
    producer.init((id, epoch)).unwrap();
    assert_eq!((producer.writer.id, producer.writer.epoch), (id, epoch + 1));
    producer.init((id, epoch)).unwrap();
    assert_eq!(producer.writer.epoch, epoch + 1, "the answer was lost");
    producer.init((id, epoch + 1)).unwrap();
    assert_eq!(producer.init((id, epoch)), Err(ResponseError::ProducerFenced));
}

#[test]
fn transaction_that_takes_too_long_is_aborted() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let mut producer = Transactional::with_timeout(&target, &unique("txn"), 1_000);
    assert_eq!(producer.add(&topic, 0), None);
    assert_eq!(producer.write(&mut leader, &topic, 0, &["slow"]), None);
    producer.await_state("CompleteAbort");
    assert_eq!(producer.end(true), Some(ResponseError::ProducerFenced));
    let written = producer.write(&mut leader, &topic, 0, &["later"]);
    assert_eq!(written, Some(ResponseError::InvalidProducerEpoch));
    let data = fetch(&mut leader, &topic, 0, 0, COMMITTED);
    assert_eq!(
        (
            data.last_stable_offset,
            data.aborted_transactions.map(|list| list.len())
        ),
        (2, Some(1))
    );
}

#[test]
fn partition_that_was_not_added_is_not_written() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let mut producer = Transactional::new(&target, &unique("txn"));
    let written = producer.write(&mut leader, &topic, 0, &["stray"]);
    assert_eq!(written, Some(ResponseError::InvalidTxnState));
    assert!(values(&mut leader, &topic, NOW).is_empty());
}

#[test]
fn ending_twice_alike_is_fine_and_otherwise_not() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut producer = Transactional::new(&target, &unique("txn"));
    assert_eq!(
        producer.end(true),
        Some(ResponseError::InvalidTxnState),
        "there is nothing to end"
    );
    transaction(&target, &mut producer, &topic, "a", true);
    assert_eq!(producer.end(true), None);
    assert_eq!(producer.end(false), Some(ResponseError::InvalidTxnState));
    transaction(&target, &mut producer, &topic, "b", false);
    assert_eq!(producer.end(false), None);
    assert_eq!(producer.end(true), Some(ResponseError::InvalidTxnState));
}

#[test]
fn unknown_producers_partitions_and_time_outs_are_refused() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut producer = Transactional::new(&target, &unique("txn"));
    let unknown = Some(ResponseError::UnknownTopicOrPartition);
    assert_eq!(producer.add(&topic, 9), unknown);
    let own = producer.writer.id;
    producer.writer.id += 1_000_000;
    assert_eq!(
        producer.add(&topic, 0),
        Some(ResponseError::InvalidProducerIdMapping)
    );
    assert_eq!(producer.end(true), Some(ResponseError::InvalidProducerIdMapping));
    producer.writer.id = own;
    producer.timeout_ms = i32::MAX;
    assert_eq!(
        producer.init((-1, -1)),
        Err(ResponseError::InvalidTransactionTimeout)
    );
}

#[test]
fn transactional_batch_without_a_transactional_id_is_refused() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let mut leader = target.leader(&topic, 0);
    let producer = Transactional::new(&target, &unique("txn"));
    let answer = produce(&mut leader, &topic, 0, &batch(&["a"], producer.writer));
    let refused = Some(ResponseError::TransactionalIdAuthorizationFailed);
    assert_eq!(error(answer.error_code), refused);
}

#[test]
fn transactions_are_described_and_listed() {
    let target = Target::start();
    let topic = target.topic(2, &[]);
    let mut producer = Transactional::new(&target, &unique("txn"));
    assert_eq!(producer.state(), "Empty");
    producer.add(&topic, 1);
    let ids = vec![TransactionalId(text(&producer.id))];
    let request = DescribeTransactionsRequest::default().with_transactional_ids(ids);
    let state = producer.node.call(0, &request).transaction_states.remove(0);
    assert_eq!(state.transaction_state.as_str(), "Ongoing");
    assert_eq!(
        (state.producer_id.0, state.producer_epoch),
        (producer.writer.id, producer.writer.epoch)
    );
    assert_eq!(state.transaction_timeout_ms, 60_000);
    assert!(state.transaction_start_time_ms > 0);
    assert_eq!(
        (state.topics[0].topic.as_str(), &state.topics[0].partitions[..]),
        (topic.as_str(), &[1][..])
    );
    let request = ListTransactionsRequest::default().with_state_filters(vec![text("Ongoing")]);
    let listed = producer.node.call(0, &request).transaction_states;
    assert!(
        listed
            .iter()
            .any(|state| state.transactional_id.as_str() == producer.id)
    );
    producer.end(true);
    let ids = vec![TransactionalId(text(&unique("missing")))];
    let request = DescribeTransactionsRequest::default().with_transactional_ids(ids);
    let id = request.transactional_ids[0].to_string();
    let mut node = target.coordinator(Coordinates::Transaction, &id);
    let code = node.call(0, &request).transaction_states[0].error_code;
    assert_eq!(error(code), Some(ResponseError::TransactionalIdNotFound));
}

pub fn transactional(target: &Target, id: &str) -> BaseProducer {
    let producer = producer(
        target,
        &[("transactional.id", id), ("transaction.timeout.ms", "60000")],
    );
    producer.init_transactions(DEADLINE).unwrap();
    producer
}

#[test]
fn librdkafka_commits_and_aborts() {
    let target = Target::start();
    let topic = target.topic(2, &[]);
    let producer = transactional(&target, &unique("txn"));
    for round in 0..6 {
        producer.begin_transaction().unwrap();
        for number in 0..10 {
            send(&producer, &topic, number % 2, "k", &format!("{round}"));
        }
        if round % 2 == 0 {
            producer.commit_transaction(DEADLINE).unwrap();
        } else {
            producer.flush(DEADLINE).unwrap();
            producer.abort_transaction(DEADLINE).unwrap();
        }
    }
    let committed = reader(
        &target,
        &topic,
        2,
        Offset::Beginning,
        &[("isolation.level", "read_committed")],
    );
    let seen = read(&committed, 30);
    assert!(
        seen.iter()
            .all(|seen| ["0", "2", "4"].contains(&seen.value.as_str()))
    );
    let all = reader(
        &target,
        &topic,
        2,
        Offset::Beginning,
        &[("isolation.level", "read_uncommitted")],
    );
    assert_eq!(read(&all, 60).len(), 60);
}

#[test]
fn librdkafka_is_fenced_by_its_successor() {
    let target = Target::start();
    let topic = target.topic(1, &[]);
    let id = unique("txn");
    let old = transactional(&target, &id);
    old.begin_transaction().unwrap();
    send(&old, &topic, 0, "k", "left");
    old.flush(DEADLINE).unwrap();
    let new = transactional(&target, &id);
    let refused = old.commit_transaction(DEADLINE).unwrap_err();
    let code = refused.rdkafka_error_code();
    assert!(
        matches!(
            code,
            Some(RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::Fatal)
        ),
        "{refused:?}"
    );
    new.begin_transaction().unwrap();
    send(&new, &topic, 0, "k", "new");
    new.commit_transaction(DEADLINE).unwrap();
    let committed = reader(
        &target,
        &topic,
        1,
        Offset::Beginning,
        &[("isolation.level", "read_committed")],
    );
    assert_eq!(read(&committed, 1)[0].value, "new");
}

//! A producer whose records, and the offsets that they were made from, become readable together or not at all.
//!
//! Invariant: of one transactional id there is one producer. A new one fences the old one, and when it is there, whatever the old
//! one had begun is committed or aborted in every partition: what is read after that is whole. It is not for topics whose readers
//! count offsets: each transaction leaves a marker in every partition that it writes to.

use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext, PurgeConfig};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::config::{Backbone, BackboneError, client_error};
use super::consumer::{Assignment, GroupConsumer};
use super::producer::record;

/// The coordinator's answer is waited for so long: it may move meanwhile.
const WITHIN: Duration = Duration::from_secs(30);
const RETRIES_MAX: u32 = 5;

struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka transactional producer");
    }
}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    // What was not written makes the commit fail.
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

pub struct TransactionalProducer {
    inner: BaseProducer<Quiet>,
    id: String,
    is_open: bool,
}

impl TransactionalProducer {
    fn fail(&self) -> impl FnOnce(KafkaError) -> BackboneError {
        let id = self.id.clone();
        move |source| BackboneError::Transaction { id, source }
    }

    /// Sends one record in the transaction that is open, or begins one.
    pub fn send(
        &mut self,
        topic: &str,
        partition: u32,
        key: &[u8],
        payload: Option<&[u8]>,
        timestamp_ms: Option<i64>,
    ) -> Result<(), BackboneError> {
        self.begin()?;
        let mut record = record(
            topic,
            partition,
            key,
            payload.unwrap_or_default(),
            timestamp_ms,
            &[],
        );
        if payload.is_none() {
            record.payload = None;
        }
        loop {
            match self.inner.send(record) {
                Ok(()) => {
                    self.inner.poll(Duration::ZERO);
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.inner.poll(Duration::from_millis(5));
                }
                Err((source, _)) => return Err(self.fail()(source)),
            }
        }
    }

    fn begin(&mut self) -> Result<(), BackboneError> {
        if !self.is_open {
            self.inner.begin_transaction().map_err(self.fail())?;
            self.is_open = true;
        }
        Ok(())
    }

    /// Commits what was sent, and with it next offsets for the group of the consumer. After an error the producer is of no use
    /// any more.
    pub fn commit(
        &mut self,
        consumer: &GroupConsumer,
        next: &[(Assignment, u64)],
    ) -> Result<(), BackboneError> {
        self.begin()?;
        let mut list = TopicPartitionList::with_capacity(next.len());
        for ((topic, partition), offset) in next {
            list.add_partition_offset(topic, *partition as i32, Offset::Offset(*offset as i64))
                .map_err(client_error(&self.id))?;
        }
        let group = consumer.group_metadata()?;
        self.again(|inner| inner.send_offsets_to_transaction(&list, &group, WITHIN))?;
        self.again(|inner| inner.commit_transaction(WITHIN))?;
        self.is_open = false;
        Ok(())
    }

    /// Once more what may be tried again.
    fn again(
        &self,
        what: impl Fn(&BaseProducer<Quiet>) -> Result<(), KafkaError>,
    ) -> Result<(), BackboneError> {
        let mut tries = 0;
        loop {
            match what(&self.inner) {
                Ok(()) => return Ok(()),
                Err(KafkaError::Transaction(error)) if error.is_retriable() && tries < RETRIES_MAX => {
                    tries += 1;
                }
                Err(source) => return Err(self.fail()(source)),
            }
        }
    }
}

impl Drop for TransactionalProducer {
    // Its successor aborts what it leaves open; until then nobody can read behind it.
    fn drop(&mut self) {
        self.inner.purge(PurgeConfig::default().queue().inflight());
    }
}

impl Backbone {
    /// Fences the last producer of this id, and waits until nothing that it began is open.
    pub fn transactional_producer(
        &self,
        client_id: &str,
        transactional_id: &str,
    ) -> Result<TransactionalProducer, BackboneError> {
        let inner: BaseProducer<Quiet> = self
            .producer_config(client_id, 10)
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", "30000")
            .create_with_context(Quiet)
            .map_err(client_error(client_id))?;
        let producer = TransactionalProducer {
            inner,
            id: transactional_id.to_owned(),
            is_open: false,
        };
        producer.again(|inner| inner.init_transactions(WITHIN))?;
        Ok(producer)
    }
}

//! A record that goes to the dead letters, whoever found it wanting.

use contracts::topics::{DEAD_LETTERS, PARTITIONS, headers, partition_of_key};

use super::config::BackboneError;
use super::consumer::Record;
use super::producer::{Header, Producer};

/// Of a letter that goes without its bytes.
const KEY_BYTES_MAX: usize = 1_024;

impl Producer {
    /// Sends the record whole, with its own headers, where it stood and what is wrong with it (a class for machines, a sentence
    /// for people). One that is too long even for that, which no edge of ours takes, goes without its bytes and headers: it is
    /// where it stood.
    pub fn send_dead_letter(
        &mut self,
        record: &Record<'_>,
        class: &str,
        message: &str,
    ) -> Result<(), BackboneError> {
        let (partition, offset) = (record.partition().to_string(), record.offset().to_string());
        let told: [Header<'_>; 5] = [
            (headers::DLQ_TOPIC, record.topic().as_bytes()),
            (headers::DLQ_PARTITION, partition.as_bytes()),
            (headers::DLQ_OFFSET, offset.as_bytes()),
            (headers::DLQ_CLASS, class.as_bytes()),
            (headers::DLQ_MESSAGE, message.as_bytes()),
        ];
        let mut send = |key: &[u8], payload: &[u8], headers: &[Header<'_>]| {
            let partition = partition_of_key(record.key(), PARTITIONS);
            self.send(
                DEAD_LETTERS,
                partition,
                key,
                payload,
                record.timestamp_ms(),
                headers,
            )
        };
        let payload = record.payload().unwrap_or_default();
        match send(record.key(), payload, &[&record.headers()[..], &told].concat()) {
            Err(BackboneError::Refused { .. }) => {
                let bytes = payload.len().to_string();
                let left_out = [(headers::DLQ_LEFT_OUT, bytes.as_bytes())];
                let key = if record.key().len() > KEY_BYTES_MAX {
                    &[]
                } else {
                    record.key()
                };
                send(key, &[], &[&told[..], &left_out].concat())
            }
            other => other,
        }
    }
}

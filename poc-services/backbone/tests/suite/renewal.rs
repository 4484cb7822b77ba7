//! A client of an edge that failed for good: the broker's sequence of its records is another than its own.

use std::time::{Duration, Instant};

use crate::kafka::Kafka;
use backbone::{AckProducer, BackboneError, BatchAck};
use contracts::topics::TLOG_RAW;
use embedded::broker::faults::{Api, Effect, ErrorCode, Fault, FaultId, Moment, When};

/// A hang must end; nothing here waits so long otherwise.
const DEADLINE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(1);

impl Kafka {
    /// As where a partition has lost its tail.
    fn lose_sequence(&self, when: When) -> FaultId {
        let effect = Effect::Error(ErrorCode::OutOfOrderSequenceNumber, Moment::Before);
        let fault = Fault::new(effect).api(Api::Produce).topic(TLOG_RAW).when(when);
        self.broker.faults().add(fault)
    }

    fn sent(&self, producer: &AckProducer, payload: &[u8]) -> Result<(), BackboneError> {
        let ack = BatchAck::new();
        assert!(producer.try_send(&ack, TLOG_RAW, 0, b"S0042", payload, None, &[])?);
        self.runtime.block_on(ack.wait())
    }
}

#[test]
fn a_client_that_failed_for_good_is_made_anew_with_the_next_record() {
    let kafka = Kafka::start();
    let producer = kafka.backbone.ack_producer("edge").unwrap();
    kafka.sent(&producer, b"before").unwrap();
    let fault = kafka.lose_sequence(When::Times(1));
    let error = kafka.sent(&producer, b"lost").unwrap_err();
    assert!(error.is_passing(), "{error}");
    assert_eq!((kafka.broker.faults().hits(fault), producer.renewals()), (1, 0));

    kafka.sent(&producer, b"lost").unwrap();
    kafka.sent(&producer, b"behind").unwrap();
    assert_eq!(producer.renewals(), 1);
    let reader = kafka.backbone.reader("test", TLOG_RAW, &[(0, 0)]).unwrap();
    let until = Instant::now() + DEADLINE;
    let mut there = Vec::new();
    while there.len() < 3 {
        assert!(Instant::now() < until, "{there:?}");
        if let Some(record) = reader.poll(Duration::from_millis(10)).unwrap() {
            there.push(record.payload().unwrap().to_vec());
        }
    }
    assert_eq!(there, [&b"before"[..], b"lost", b"behind"]);
}

#[test]
fn a_client_that_fails_for_good_again_and_again_is_not_made_anew_as_often_as_somebody_sends() {
    let kafka = Kafka::start();
    let producer = kafka.backbone.ack_producer("edge").unwrap();
    let fault = kafka.lose_sequence(When::Always);
    let start = Instant::now();
    let until = start + DEADLINE;
    while producer.renewals() < 3 {
        assert!(Instant::now() < until, "{} times", producer.renewals());
        let error = kafka.sent(&producer, b"never").unwrap_err();
        assert!(error.is_passing(), "{error}");
        std::thread::sleep(PAUSE);
    }
    assert!(start.elapsed() >= Duration::from_secs(2));
    kafka.broker.faults().remove(fault);
    while kafka.sent(&producer, b"at last").is_err() {
        assert!(Instant::now() < until, "{} times", producer.renewals());
        std::thread::sleep(PAUSE);
    }
}

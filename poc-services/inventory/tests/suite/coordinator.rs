//! A coordinator that moves takes no commits for a while: they serve lag and retention alone, so nothing is acquired anew for
//! their sake, and nothing leaves before the first of an epoch is taken.

use std::time::{Duration, Instant};

use crate::kafka::{DEADLINE, Expected, Kafka, Running, get, rounds};
use contracts::topics::PARTITIONS;
use embedded::broker::faults::{Api, Effect, ErrorCode, Fault, FaultId, Moment};
use inventory::GROUP;

/// More than the client tries by itself.
const ENOUGH: u64 = 24;

fn refuse_commits(kafka: &Kafka, error: ErrorCode) -> FaultId {
    let refusal = Fault::new(Effect::Error(error, Moment::Before)).api(Api::OffsetCommit);
    kafka.broker.faults().add(refusal)
}

fn wait_for_hits(kafka: &Kafka, fault: FaultId, hits: u64) {
    let until = Instant::now() + DEADLINE;
    while kafka.broker.faults().hits(fault) < hits {
        assert!(Instant::now() < until, "commits are not tried again");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

#[test]
fn commits_that_are_refused_while_a_coordinator_moves_cost_no_acquisition() {
    let kafka = Kafka::start();
    let service = Running::start(&kafka, "one");
    let mut expected = Expected::default();
    let mut view = kafka.view();
    for (round, error) in [
        ErrorCode::NotCoordinator,
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::CoordinatorNotAvailable,
    ]
    .into_iter()
    .enumerate()
    {
        let first = 1 + 10 * round as u64;
        let movements = rounds(first..=first + 9);
        expected.add(&movements);
        kafka.send(&movements);
        view.wait_for(&expected);
        let refusal = refuse_commits(&kafka, error);
        wait_for_hits(&kafka, refusal, ENOUGH);
        kafka.broker.faults().remove(refusal);
    }
    let lag = kafka
        .backbone
        .lag_probe(GROUP, contracts::topics::MOVEMENTS, PARTITIONS)
        .unwrap();
    let until = Instant::now() + DEADLINE;
    while lag.records() != Some(0) {
        assert!(Instant::now() < until, "it is committed in the end");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let counters = service.stop();
    assert_eq!(get(&counters.recoveries), 0);
    view.read();
    assert!(view.barriers.iter().all(|(_, epoch)| *epoch == 1));
}

#[test]
fn nothing_leaves_before_the_first_commit_of_an_epoch_is_taken() {
    let kafka = Kafka::start();
    let refusal = refuse_commits(&kafka, ErrorCode::NotCoordinator);
    let service = Running::start(&kafka, "one");
    let movements = rounds(1..=10);
    let mut expected = Expected::default();
    expected.add(&movements);
    kafka.send(&movements);
    wait_for_hits(&kafka, refusal, ENOUGH);
    let mut view = kafka.view();
    view.read();
    assert_eq!(view.cells.len(), 0);
    kafka.broker.faults().remove(refusal);
    view.wait_for(&expected);
    assert_eq!(get(&service.stop().recoveries), 0);
}

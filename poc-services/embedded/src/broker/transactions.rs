//! Transactional producers: who they are, which partitions and groups their open transaction covers, how it ends.
//!
//! Invariant: for a transactional id one producer id and epoch are valid at a time; whoever comes with an older epoch
//! is fenced. A transaction ends once, with one outcome everywhere: markers and offsets are settled under the lock
//! that guards the transaction, so nothing can be added in between.
//! Rules as in Apache Kafka's coordinator for clients of the older kind, which keep their epoch from transaction to
//! transaction (before KIP-890). It does no IO: markers are written by the `settle` that the caller passes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use parking_lot::Mutex;

use super::stability::Outcome;

/// Transactional ids that are remembered; beyond it the one that was idle longest is forgotten.
const IDS_MAX: usize = 10_000;
/// Longest time-out that a producer may ask for, as Kafka has it by default.
const TIMEOUT_MAX: Duration = Duration::from_mins(15);

/// What a transaction is doing. Ending takes no time here, so there are no states between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Empty,
    Ongoing,
    Complete(Outcome),
}

impl State {
    /// The name that clients know it by.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Ongoing => "Ongoing",
            State::Complete(Outcome::Commit) => "CompleteCommit",
            State::Complete(Outcome::Abort) => "CompleteAbort",
        }
    }
}

/// A producer as it names itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
}

pub type Partitions = BTreeSet<(String, i32)>;

/// What has to be written when a transaction ends.
#[derive(Debug, Clone)]
pub struct Ending {
    pub producer: Producer,
    pub outcome: Outcome,
    pub partitions: Partitions,
    pub groups: BTreeSet<String>,
}

#[derive(Debug)]
struct Entry {
    producer: Producer,
    /// The epoch before the last bump: a producer that did not hear of the bump may ask again.
    last_epoch: i16,
    timeout: Duration,
    state: State,
    partitions: Partitions,
    groups: BTreeSet<String>,
    /// When the open transaction began, or the last one ended.
    since: Instant,
    since_ms: i64,
}

impl Entry {
    fn begin(&mut self, now: Instant, now_ms: i64) {
        if self.state != State::Ongoing {
            self.state = State::Ongoing;
            (self.since, self.since_ms) = (now, now_ms);
        }
    }

    fn end(&mut self, outcome: Outcome, now: Instant, now_ms: i64, settle: impl FnOnce(&Ending)) {
        let ending = Ending {
            producer: self.producer,
            outcome,
            partitions: std::mem::take(&mut self.partitions),
            groups: std::mem::take(&mut self.groups),
        };
        settle(&ending);
        self.state = State::Complete(outcome);
        (self.since, self.since_ms) = (now, now_ms);
    }

    /// Takes an open transaction away from its producer, which is fenced by a newer epoch.
    fn fence(&mut self, now: Instant, now_ms: i64, settle: impl FnOnce(&Ending)) {
        self.producer.epoch = self.producer.epoch.saturating_add(1);
        self.last_epoch = -1;
        self.end(Outcome::Abort, now, now_ms, settle);
    }
}

/// One transactional id as administrators see it.
#[derive(Debug, Clone)]
pub struct Described {
    pub id: String,
    pub producer: Producer,
    pub state: State,
    pub timeout: Duration,
    /// When the open transaction began; -1 without one.
    pub start_ms: i64,
    pub partitions: Partitions,
}

#[derive(Debug, Default)]
pub struct Transactions {
    by_id: Mutex<BTreeMap<String, Entry>>,
}

/// The time as a call sees it.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub instant: Instant,
    pub ms: i64,
}

fn checked<'a>(
    entries: &'a mut BTreeMap<String, Entry>,
    id: &str,
    producer: Producer,
) -> Result<&'a mut Entry, ResponseError> {
    let entry = entries
        .get_mut(id)
        .ok_or(ResponseError::InvalidProducerIdMapping)?;
    if entry.producer.id != producer.id {
        return Err(ResponseError::InvalidProducerIdMapping);
    }
    if entry.producer.epoch != producer.epoch {
        return Err(ResponseError::ProducerFenced);
    }
    Ok(entry)
}

impl Transactions {
    /// Gives a transactional id its next epoch, which fences whoever had it; an open transaction is aborted. `known`
    /// is what the producer believes to be, if it was initialised before.
    pub fn init(
        &self,
        id: &str,
        timeout: Duration,
        known: Option<Producer>,
        new_producer_id: impl FnOnce() -> i64,
        now: Now,
        settle: impl FnOnce(&Ending),
    ) -> Result<Producer, ResponseError> {
        if timeout.is_zero() || timeout > TIMEOUT_MAX {
            return Err(ResponseError::InvalidTransactionTimeout);
        }
        let mut entries = self.by_id.lock();
        let Some(entry) = entries.get_mut(id) else {
            if known.is_some() {
                return Err(ResponseError::ProducerFenced);
            }
            make_room(&mut entries);
            let producer = Producer {
                id: new_producer_id(),
                epoch: 0,
            };
            let entry = Entry {
                producer,
                last_epoch: -1,
                timeout,
                state: State::Empty,
                partitions: Partitions::new(),
                groups: BTreeSet::new(),
                since: now.instant,
                since_ms: now.ms,
            };
            entries.insert(id.to_owned(), entry);
            return Ok(producer);
        };
        if let Some(known) = known {
            let is_retry = entry.last_epoch >= 0 && known.epoch == entry.last_epoch;
            if known.id != entry.producer.id || (known.epoch != entry.producer.epoch && !is_retry) {
                return Err(ResponseError::ProducerFenced);
            }
            if is_retry {
                return Ok(entry.producer);
            }
        }
        if entry.state == State::Ongoing {
            entry.fence(now.instant, now.ms, settle);
        }
        entry.last_epoch = entry.producer.epoch;
        entry.timeout = timeout;
        entry.state = State::Empty;
        // The last epoch is left for fencing.
        if entry.producer.epoch >= i16::MAX - 2 {
            entry.last_epoch = -1;
            entry.producer = Producer {
                id: new_producer_id(),
                epoch: 0,
            };
        } else {
            entry.producer.epoch += 1;
        }
        Ok(entry.producer)
    }

    pub fn add_partitions(
        &self,
        id: &str,
        producer: Producer,
        partitions: impl IntoIterator<Item = (String, i32)>,
        now: Now,
    ) -> Result<(), ResponseError> {
        let mut entries = self.by_id.lock();
        let entry = checked(&mut entries, id, producer)?;
        entry.begin(now.instant, now.ms);
        entry.partitions.extend(partitions);
        Ok(())
    }

    pub fn add_group(
        &self,
        id: &str,
        producer: Producer,
        group: &str,
        now: Now,
    ) -> Result<(), ResponseError> {
        let mut entries = self.by_id.lock();
        let entry = checked(&mut entries, id, producer)?;
        entry.begin(now.instant, now.ms);
        entry.groups.insert(group.to_owned());
        Ok(())
    }

    /// Ends a transaction. The same end a second time is fine, as the first answer may have been lost.
    pub fn end(
        &self,
        id: &str,
        producer: Producer,
        outcome: Outcome,
        now: Now,
        settle: impl FnOnce(&Ending),
    ) -> Result<(), ResponseError> {
        let mut entries = self.by_id.lock();
        let entry = checked(&mut entries, id, producer)?;
        match entry.state {
            State::Ongoing => {
                entry.end(outcome, now.instant, now.ms, settle);
                Ok(())
            }
            State::Complete(before) if before == outcome => Ok(()),
            State::Complete(_) | State::Empty => Err(ResponseError::InvalidTxnState),
        }
    }

    /// Runs `write` if the partition is part of the producer's open transaction, which cannot end meanwhile.
    pub fn with_partition<T>(
        &self,
        id: &str,
        producer: Producer,
        topic: &str,
        partition: i32,
        write: impl FnOnce() -> Result<T, ResponseError>,
    ) -> Result<T, ResponseError> {
        let mut entries = self.by_id.lock();
        let entry = checked(&mut entries, id, producer).map_err(as_producers_know_it)?;
        let is_part = |(name, index): &(String, i32)| name == topic && *index == partition;
        if entry.state != State::Ongoing || !entry.partitions.iter().any(is_part) {
            return Err(ResponseError::InvalidTxnState);
        }
        write()
    }

    /// As [`Transactions::with_partition`], for the offsets of a group.
    pub fn with_group<T>(
        &self,
        id: &str,
        producer: Producer,
        group: &str,
        write: impl FnOnce() -> Result<T, ResponseError>,
    ) -> Result<T, ResponseError> {
        let mut entries = self.by_id.lock();
        let entry = checked(&mut entries, id, producer).map_err(as_producers_know_it)?;
        if entry.state != State::Ongoing || !entry.groups.contains(group) {
            return Err(ResponseError::InvalidTxnState);
        }
        write()
    }

    /// Aborts transactions that have been open for too long; their producers are fenced.
    pub fn tick(&self, now: Now, mut settle: impl FnMut(&Ending)) {
        for entry in self.by_id.lock().values_mut() {
            if entry.state == State::Ongoing && entry.since + entry.timeout <= now.instant {
                entry.fence(now.instant, now.ms, &mut settle);
            }
        }
    }

    pub fn describe(&self, id: &str) -> Option<Described> {
        self.by_id.lock().get(id).map(|entry| described(id, entry))
    }

    pub fn list(&self) -> Vec<Described> {
        let entries = self.by_id.lock();
        entries.iter().map(|(id, entry)| described(id, entry)).collect()
    }
}

/// Writing finds an older epoch under the name that it has for idempotent producers.
fn as_producers_know_it(error: ResponseError) -> ResponseError {
    match error {
        ResponseError::ProducerFenced => ResponseError::InvalidProducerEpoch,
        other => other,
    }
}

fn make_room(entries: &mut BTreeMap<String, Entry>) {
    if entries.len() < IDS_MAX {
        return;
    }
    let idle = entries.iter().filter(|(_, entry)| entry.state != State::Ongoing);
    let oldest = idle
        .min_by_key(|(_, entry)| entry.since)
        .map(|(id, _)| id.clone());
    if let Some(id) = oldest {
        entries.remove(&id);
    }
}

fn described(id: &str, entry: &Entry) -> Described {
    let is_open = entry.state == State::Ongoing;
    Described {
        id: id.to_owned(),
        producer: entry.producer,
        state: entry.state,
        timeout: entry.timeout,
        start_ms: if is_open { entry.since_ms } else { -1 },
        partitions: entry.partitions.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn at(start: Instant, seconds: u64) -> Now {
        Now {
            instant: start + Duration::from_secs(seconds),
            ms: seconds as i64 * 1_000,
        }
    }

    fn init(
        transactions: &Transactions,
        known: Option<Producer>,
        now: Now,
    ) -> Result<Producer, ResponseError> {
        transactions.init("t", TIMEOUT, known, || 40, now, |_| {})
    }

    fn add(transactions: &Transactions, producer: Producer, now: Now) -> Result<(), ResponseError> {
        transactions.add_partitions("t", producer, [("a".to_owned(), 0)], now)
    }

    #[test]
    fn next_producer_fences_the_one_before() {
        let (transactions, now) = (Transactions::default(), at(Instant::now(), 0));
        let first = init(&transactions, None, now).unwrap();
        let second = init(&transactions, None, now).unwrap();
        assert_eq!((first.id, first.epoch, second.id, second.epoch), (40, 0, 40, 1));
        assert_eq!(add(&transactions, first, now), Err(ResponseError::ProducerFenced));
        assert_eq!(add(&transactions, second, now), Ok(()));
    }

    #[test]
    fn initialising_again_under_the_same_name_gives_the_same_answer_once_more() {
        let (transactions, now) = (Transactions::default(), at(Instant::now(), 0));
        let first = init(&transactions, None, now).unwrap();
        let second = init(&transactions, Some(first), now).unwrap();
        assert_eq!(
            init(&transactions, Some(first), now),
            Ok(second),
            "the answer was lost"
        );
        let third = init(&transactions, Some(second), now).unwrap();
        assert_eq!(third.epoch, 2);
        assert_eq!(
            init(&transactions, Some(first), now),
            Err(ResponseError::ProducerFenced)
        );
    }

    #[test]
    fn transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
        let (transactions, start) = (Transactions::default(), Instant::now());
        let producer = init(&transactions, None, at(start, 0)).unwrap();
        add(&transactions, producer, at(start, 1)).unwrap();
        add(&transactions, producer, at(start, 9)).unwrap();
        let mut endings = Vec::new();
        transactions.tick(at(start, 10), |ending| endings.push(ending.clone()));
        assert!(endings.is_empty(), "it began at 1");
        transactions.tick(at(start, 11), |ending| endings.push(ending.clone()));
        assert_eq!(endings.len(), 1);
        assert_eq!(
            (endings[0].outcome, endings[0].producer.epoch),
            (Outcome::Abort, 1)
        );
        let late = transactions.end("t", producer, Outcome::Commit, at(start, 11), |_| {});
        assert_eq!(late, Err(ResponseError::ProducerFenced));
    }

    #[test]
    fn ending_twice_in_the_same_way_is_fine_and_in_the_other_way_is_not() {
        let (transactions, now) = (Transactions::default(), at(Instant::now(), 0));
        let producer = init(&transactions, None, now).unwrap();
        let end = |outcome| transactions.end("t", producer, outcome, now, |_| {});
        assert_eq!(
            end(Outcome::Commit),
            Err(ResponseError::InvalidTxnState),
            "there is none"
        );
        add(&transactions, producer, now).unwrap();
        assert_eq!(end(Outcome::Commit), Ok(()));
        assert_eq!(end(Outcome::Commit), Ok(()));
        assert_eq!(end(Outcome::Abort), Err(ResponseError::InvalidTxnState));
    }

    #[test]
    fn epochs_that_are_used_up_bring_a_new_producer_id() {
        let (transactions, now) = (Transactions::default(), at(Instant::now(), 0));
        let mut ids = 0;
        let mut next = || {
            transactions
                .init(
                    "t",
                    TIMEOUT,
                    None,
                    || {
                        ids += 1;
                        ids
                    },
                    now,
                    |_| {},
                )
                .unwrap()
        };
        let first = next();
        let last = (0..40_000).map(|_| next()).last().unwrap();
        assert_eq!(first.id, 1);
        assert_eq!(last.id, 2);
        assert!(last.epoch < i16::MAX - 1);
    }

    #[test]
    fn unknown_producer_and_impossible_time_out_are_refused() {
        let (transactions, now) = (Transactions::default(), at(Instant::now(), 0));
        let stranger = Producer { id: 7, epoch: 0 };
        assert_eq!(
            add(&transactions, stranger, now),
            Err(ResponseError::InvalidProducerIdMapping)
        );
        for timeout in [Duration::ZERO, Duration::from_hours(1)] {
            let refused = transactions.init("t", timeout, None, || 1, now, |_| {});
            assert_eq!(refused, Err(ResponseError::InvalidTransactionTimeout));
        }
    }
}

//! What the service has done so far, for whoever watches it.
//!
//! Counts only grow over the life of the value, also when the service is started again with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use contracts::digest::{Digest, Minutes, ReadOnce};
use contracts::ids::SourceId;

use crate::{Normalised, RawTopic};

/// More than all tills of a large chain.
const CLOCKS_OFF_MAX: usize = 65_536;

/// What the service is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Stopped,
    /// The catalogue is empty: nothing can be understood before it has articles.
    WaitingForCatalogue,
    Running,
    /// Kafka did not acknowledge: starting again from the last commit.
    Recovering,
}

/// What lies in the raw topics, as this service read it, before anything that it makes of it. A message that is read again
/// after a restart is not counted again.
#[derive(Clone, Debug, Default)]
pub struct RawDigest {
    /// By the minute in which a transaction happened.
    pub minutes: Minutes,
    /// Messages that could not be understood, and so belong to no minute.
    pub unreadable: u64,
    /// Lines of scans that repeat another scan, and moved nothing.
    pub double_beeps: u64,
    /// Events of corrections that were made before under other numbers, and moved nothing.
    pub corrections_again: u64,
    read: [ReadOnce; RawTopic::COUNT],
}

/// Written by the service, read by anyone.
#[derive(Debug, Default)]
pub struct Counters {
    messages: [AtomicU64; RawTopic::COUNT],
    statements: AtomicU64,
    bytes: AtomicU64,
    transactions: AtomicU64,
    lines: AtomicU64,
    dead_letters: Mutex<BTreeMap<&'static str, u64>>,
    digest: Mutex<RawDigest>,
    clocks_off: Mutex<BTreeSet<SourceId>>,
    sabotaged: AtomicU64,
    articles: AtomicU64,
    recoveries: AtomicU64,
    refused_commits: AtomicU64,
    logs_cut: AtomicU64,
    phase: AtomicU8,
}

/// The counts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub till_messages: u64,
    pub queue_messages: u64,
    pub scan_messages: u64,
    /// Marks, status records and places: not among the messages.
    pub statements: u64,
    pub bytes: u64,
    pub transactions: u64,
    pub lines: u64,
    /// By class.
    pub dead_letters: BTreeMap<&'static str, u64>,
    pub sabotaged: u64,
    /// Tills whose clock was off in some message, as far as stores' servers tell when they took it.
    pub clocks_off: u64,
    /// Known now.
    pub articles: u64,
    pub recoveries: u64,
    pub refused_commits: u64,
    /// How often a partition's log was found cut off below what was read of it, or was another one.
    pub logs_cut: u64,
    pub phase: Phase,
}

impl Snapshot {
    pub const fn messages(&self) -> u64 {
        self.till_messages + self.queue_messages + self.scan_messages
    }

    pub fn dead_letters_total(&self) -> u64 {
        self.dead_letters.values().sum()
    }
}

impl Counters {
    pub fn snapshot(&self) -> Snapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            till_messages: get(&self.messages[RawTopic::Till.index()]),
            queue_messages: get(&self.messages[RawTopic::Queue.index()]),
            scan_messages: get(&self.messages[RawTopic::Scan.index()]),
            statements: get(&self.statements),
            bytes: get(&self.bytes),
            transactions: get(&self.transactions),
            lines: get(&self.lines),
            dead_letters: self
                .dead_letters
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            sabotaged: get(&self.sabotaged),
            clocks_off: self
                .clocks_off
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .len() as u64,
            articles: get(&self.articles),
            recoveries: get(&self.recoveries),
            refused_commits: get(&self.refused_commits),
            logs_cut: get(&self.logs_cut),
            phase: match self.phase.load(Ordering::Relaxed) {
                1 => Phase::WaitingForCatalogue,
                2 => Phase::Running,
                3 => Phase::Recovering,
                _ => Phase::Stopped,
            },
        }
    }

    pub fn digest(&self) -> RawDigest {
        self.digest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a message into the digest; `None`: it was not understood. Statements are not for it.
    pub fn digested(&self, topic: RawTopic, partition: u32, offset: u64, normalised: Option<&Normalised>) {
        let mut digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        if !digest.read[topic.index()].is_new(partition, offset) {
            return;
        }
        let Some(normalised) = normalised else {
            digest.unreadable += 1;
            return;
        };
        digest.double_beeps += normalised.double_beeps;
        digest.corrections_again += normalised.corrections_again;
        for transaction in &normalised.transactions {
            let lines = normalised.lines_of(transaction);
            let quantity = lines.iter().map(|line| line.quantity).fold(0, i64::wrapping_add);
            let of_it = Digest::of(&transaction.id, lines.len() as u64, quantity);
            digest.minutes.add(transaction.occurred.0, &of_it);
        }
    }

    pub(crate) fn message(&self, topic: RawTopic, bytes: usize) {
        self.messages[topic.index()].fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn statement(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn made(&self, transactions: usize, lines: usize) {
        self.transactions
            .fetch_add(transactions as u64, Ordering::Relaxed);
        self.lines.fetch_add(lines as u64, Ordering::Relaxed);
    }

    pub(crate) fn dead_letter(&self, class: &'static str) {
        *self
            .dead_letters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(class)
            .or_default() += 1;
    }

    /// Of more tills than [`CLOCKS_OFF_MAX`] nothing is remembered.
    pub(crate) fn clock_off(&self, till: SourceId) {
        let mut off = self.clocks_off.lock().unwrap_or_else(PoisonError::into_inner);
        if off.len() < CLOCKS_OFF_MAX {
            off.insert(till);
        }
    }

    pub(crate) fn sabotaged(&self) {
        self.sabotaged.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn articles(&self, articles: usize) {
        self.articles.store(articles as u64, Ordering::Relaxed);
    }

    pub(crate) fn recovery(&self) {
        self.recoveries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused_commit(&self) {
        self.refused_commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn log_cut(&self) {
        self.logs_cut.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn phase(&self, phase: Phase) {
        let number = match phase {
            Phase::Stopped => 0,
            Phase::WaitingForCatalogue => 1,
            Phase::Running => 2,
            Phase::Recovering => 3,
        };
        self.phase.store(number, Ordering::Relaxed);
    }
}

//! What the load counts, by channel.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};

use contracts::digest::Minutes;
use contracts::ids::SourceId;
use contracts::wire::FORMATS;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use world::events::{Channel, Message, PlaceEvents};

use crate::poison::KINDS;
use crate::source_fault::{Injected, SourceFault, SourceFaultCounts};

/// Transactions and movement lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    pub transactions: u64,
    pub lines: u64,
}

#[derive(Debug, Default)]
struct Cell {
    transactions: AtomicU64,
    lines: AtomicU64,
    acknowledged: AtomicU64,
}

/// What was written in one format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FormatAmount {
    pub messages: u64,
    pub transactions: u64,
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Opening,
    /// Opening stock is out; trading waits for the word.
    Ready,
    Trading,
    /// Nothing more is released.
    Draining,
    Done,
}

impl Phase {
    const ALL: [Self; 5] = [
        Self::Opening,
        Self::Ready,
        Self::Trading,
        Self::Draining,
        Self::Done,
    ];
}

/// What was wrong with the sources.
#[derive(Debug, Default)]
pub struct Faults {
    messages: [AtomicU64; SourceFault::ALL.len()],
    transactions: [AtomicU64; SourceFault::ALL.len()],
    poison: [AtomicU64; 3],
    poison_by_kind: [AtomicU64; KINDS.len()],
    unknown_articles: AtomicU64,
    double_beeps: AtomicU64,
    corrections_again: AtomicU64,
    tills_off: Mutex<BTreeSet<SourceId>>,
    uploads_again: AtomicU64,
    transactions_again: AtomicU64,
}

impl Faults {
    pub fn injected(&self, fault: SourceFault, transactions: u64) {
        self.messages[fault as usize].fetch_add(1, Ordering::Relaxed);
        self.transactions[fault as usize].fetch_add(transactions, Ordering::Relaxed);
    }

    /// It stands for no transaction.
    pub fn poisoned(&self, channel: Channel) {
        self.injected(SourceFault::Poison, 0);
        self.poison[channel as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn poisoned_by(&self, kind: usize) {
        self.poison_by_kind[kind].fetch_add(1, Ordering::Relaxed);
    }

    pub fn unknown_article(&self) {
        self.unknown_articles.fetch_add(1, Ordering::Relaxed);
    }

    /// A message is sent: what of it repeats a scan, or a correction.
    pub fn said_again(&self, events: &PlaceEvents, message: &Message) {
        let add = |counter: &AtomicU64, count: usize| counter.fetch_add(count as u64, Ordering::Relaxed);
        add(&self.double_beeps, events.beeps_of(message));
        add(&self.corrections_again, events.corrections_again_of(message));
    }

    pub fn till_is_off(&self, till: SourceId) {
        self.tills_off.lock().insert(till);
    }

    pub fn upload_again(&self, transactions: u64) {
        self.uploads_again.fetch_add(1, Ordering::Relaxed);
        self.transactions_again.fetch_add(transactions, Ordering::Relaxed);
    }

    pub fn counts(&self) -> SourceFaultCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SourceFaultCounts {
            injected: std::array::from_fn(|fault| Injected {
                messages: get(&self.messages[fault]),
                transactions: get(&self.transactions[fault]),
            }),
            poison: std::array::from_fn(|channel| get(&self.poison[channel])),
            poison_by_kind: std::array::from_fn(|kind| get(&self.poison_by_kind[kind])),
            unknown_articles: get(&self.unknown_articles),
            double_beeps: get(&self.double_beeps),
            corrections_again: get(&self.corrections_again),
            tills_off: self.tills_off.lock().len() as u64,
            uploads_again: get(&self.uploads_again),
            transactions_again: get(&self.transactions_again),
        }
    }
}

#[derive(Debug)]
pub struct Counters {
    channels: [Cell; 3],
    /// Messages, transactions and bytes of trading, in the order of [`FORMATS`].
    formats: [[AtomicU64; 3]; FORMATS.len()],
    phase: AtomicU8,
    pub(crate) simulated_ms: AtomicI64,
    pub(crate) retries: AtomicU64,
    /// Bytes of messages released and not acknowledged.
    pub(crate) waiting_bytes: AtomicU64,
    /// Of these, what a fault holds back.
    pub(crate) held_back_bytes: AtomicU64,
    /// Marks of warehouses, not acknowledged.
    pub(crate) queue_marks: AtomicU64,
    /// Records that came from a second queue manager at a hand-over.
    pub(crate) handed_over: AtomicU64,
    pub(crate) faults: Faults,
    pub(crate) offline: AtomicU64,
    pub(crate) journal_full: AtomicBool,
    /// Opening amounts, which are not offered load.
    pub(crate) opening: AtomicU64,
    pub(crate) opening_lines: AtomicU64,
    /// Of these, what warehouses sent to their queues: a line each.
    pub(crate) opening_queue: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) lateness: Mutex<Histogram<u64>>,
    /// Wall milliseconds since 1970 of the first and the last release of trading.
    pub(crate) first_ms: AtomicI64,
    pub(crate) last_ms: AtomicI64,
    /// And of the due instants of the same.
    pub(crate) last_due_ms: AtomicI64,
    /// Messages of trading by place, in the order of the world's places.
    pub(crate) released_by_place: Vec<AtomicU64>,
    /// Everything released, opening stock included, by the minute in which it happened.
    pub(crate) digest: Mutex<Minutes>,
    /// Articles that some message names by their second number.
    pub(crate) new_numbers: Mutex<BTreeSet<u32>>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            channels: Default::default(),
            formats: Default::default(),
            phase: AtomicU8::new(0),
            simulated_ms: AtomicI64::new(0),
            retries: AtomicU64::new(0),
            waiting_bytes: AtomicU64::new(0),
            held_back_bytes: AtomicU64::new(0),
            queue_marks: AtomicU64::new(0),
            handed_over: AtomicU64::new(0),
            faults: Faults::default(),
            offline: AtomicU64::new(0),
            journal_full: AtomicBool::new(false),
            opening: AtomicU64::new(0),
            opening_lines: AtomicU64::new(0),
            opening_queue: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            lateness: Mutex::new(
                Histogram::new_with_bounds(1, 3_600_000, 3).expect("constant bounds are valid"),
            ),
            first_ms: AtomicI64::new(0),
            last_ms: AtomicI64::new(0),
            last_due_ms: AtomicI64::new(0),
            released_by_place: Vec::new(),
            digest: Mutex::default(),
            new_numbers: Mutex::default(),
        }
    }
}

impl Counters {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            released_by_place: (0..places).map(|_| AtomicU64::new(0)).collect(),
            ..Self::default()
        }
    }

    pub(crate) fn released(&self, channel: Channel, transactions: u64, lines: u64) {
        let cell = &self.channels[channel as usize];
        cell.transactions.fetch_add(transactions, Ordering::Relaxed);
        cell.lines.fetch_add(lines, Ordering::Relaxed);
    }

    pub(crate) fn of_format(&self, format: &str, transactions: u64, bytes: u64) {
        if let Some(index) = FORMATS.iter().position(|known| *known == format) {
            for (counter, amount) in self.formats[index].iter().zip([1, transactions, bytes]) {
                counter.fetch_add(amount, Ordering::Relaxed);
            }
        }
    }

    /// What was released in each format that there was.
    pub fn formats(&self) -> Vec<(&'static str, FormatAmount)> {
        let amounts = self.formats.iter().map(|counters| {
            let [messages, transactions, bytes] = [0, 1, 2].map(|at| counters[at].load(Ordering::Relaxed));
            FormatAmount {
                messages,
                transactions,
                bytes,
            }
        });
        FORMATS
            .into_iter()
            .zip(amounts)
            .filter(|(_, amount)| amount.messages > 0)
            .collect()
    }

    pub(crate) fn acknowledged(&self, channel: Channel, transactions: u64, bytes: u64) {
        self.channels[channel as usize]
            .acknowledged
            .fetch_add(transactions, Ordering::Relaxed);
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub fn amount(&self, channel: Channel) -> Amount {
        let cell = &self.channels[channel as usize];
        Amount {
            transactions: cell.transactions.load(Ordering::Relaxed),
            lines: cell.lines.load(Ordering::Relaxed),
        }
    }

    pub fn acknowledged_transactions(&self, channel: Channel) -> u64 {
        self.channels[channel as usize]
            .acknowledged
            .load(Ordering::Relaxed)
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    pub fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::Acquire)).min(Phase::ALL.len() - 1)]
    }
}

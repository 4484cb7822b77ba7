//! The audit: reads the view back from Kafka and compares it with the truth, live and at the end.
//!
//! Invariant: it shares no logic with what it checks. It has its own consumer and its own reading of a cell, and the
//! truth comes from the ledger, which only the world feeds. It changes nothing and commits nothing.
//!
//! **What it finds.** Every cell is compared in all its totals, the number of its lines and the wrapping sum of their
//! hashes; every article in its stock and what is in transit; the books of every cell; shipped less received over all
//! places. In the end, the same world is played again to name the transactions that were lost, doubled or misrouted.
//! So are those with other quantities. It also reads how far the log is in an article's total, which may not be further than it is, and
//! what the view says of its own completeness. Of each source it compares the number up to which it is said to be complete with
//! what it wrote; the numbers that it lost with those that are said to be missing, both ways (a number that is missing
//! although its source did not lose it is a lost transaction, also one without lines); and the instant until which it is said to be
//! complete with when the first thing happened that is not in.
//!
//! **What it sees live.** A cell ahead of the truth, books that do not balance, a place that claims everything while its
//! cells lack lines, a claim beyond what was written, records that go back: each with its first, and for good, although it
//! may be right in the end (see `live`).
//!
//! **What it cannot find.** A transaction without lines that counts in its window and nowhere else, or twice there, leaves no trace.
//! What lies behind a source's last mark and highest number the view says nothing of, so it cannot be wrong about it. Whether a
//! place is offline, certain, late or has dead letters is the view's own word, shown and not compared. What the services do between
//! the topics is not its subject.

mod claims;
mod comparison;
mod completeness;
mod cut;
mod decode;
pub mod discrepancies;
mod explain;
mod findings;
mod freshness;
mod gaps;
mod live;
mod places;
mod reader;
mod report;
mod solve;
mod suspect;
mod truth;
mod view;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use contracts::ids::{LocationId, Sku, TransactionId};
use ledger::Ledger;
use parking_lot::{Condvar, Mutex, MutexGuard};

pub use comparison::{Comparison, Mark};
pub use completeness::{CompletenessTotals, PlaceCompleteness, SourceCompleteness, SourceKnown};
pub use cut::Cut;
pub use decode::ViewCell;
pub use discrepancies::DiscrepancyReport;
pub use findings::{Findings, Take};
pub use freshness::{FRESHNESS_MS_MAX, FreshnessHistogram, Quantiles};
pub use live::{Live, Seen};
pub use reader::ReadPosition;
pub use report::{
    AuditReport, AuditSnapshot, Divergence, DivergingCell, DivergingItem, FalseClaim, ItemDivergence, Kinds,
    LISTED_MAX, LateClaim, NAMED_BY_CELL_MAX, NAMED_MAX, Named, PlaceState, Records, UnknownSource,
    UnreportedGap,
};

use reader::Reader;
use worker::{Looks, Shared};

/// How often a wait for the end of the logs tells its progress, at least.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// Longest wait for one answer about the end of a log.
const ENDS_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the audit's Kafka client cannot be set up: {0}; check the address and the extra settings")]
    Kafka(#[from] rdkafka::error::KafkaError),
    #[error("the audit's thread cannot start: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the audit's thread has ended: its panic was printed before")]
    Stopped,
    #[error(
        "the audit did not reach the end of the view within {} s: {to_go} records to go, the first in {topic}/{partition} \
         at offset {next_offset}{}",
        waited.as_secs(),
        because(trouble.as_deref())
    )]
    NotDrained {
        waited: Duration,
        to_go: u64,
        topic: &'static str,
        partition: u32,
        next_offset: i64,
        trouble: Option<String>,
    },
    #[error(
        "the audit was not told within {} s where the view ends{}",
        waited.as_secs(),
        because(trouble.as_deref())
    )]
    NoEnds {
        waited: Duration,
        trouble: Option<String>,
    },
}

fn because(trouble: Option<&str>) -> String {
    trouble.map_or_else(String::new, |trouble| {
        format!("; the client's last trouble: {trouble}")
    })
}

#[derive(Clone)]
pub struct AuditConfig {
    /// Addresses of the cluster, separated by commas.
    pub bootstrap: String,
    /// Settings of librdkafka on top of the audit's own. Their values are never printed.
    pub settings: Vec<(String, String)>,
    /// In which all places are looked at once.
    pub round: Duration,
}

impl AuditConfig {
    /// No extra settings, a round each second.
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            settings: Vec::new(),
            round: Duration::from_secs(1),
        }
    }
}

/// Progress of [`Audit::drain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainProgress {
    pub waited: Duration,
    /// Records to read at most.
    pub to_go: u64,
}

/// Runs on a thread of its own until dropped.
pub struct Audit {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
    /// A drain has reached the ends.
    drained: AtomicBool,
}

impl Audit {
    /// Begins to read both topics from their beginning. They may come into being later. That no broker is reached
    /// shows as [`AuditSnapshot::trouble`].
    pub fn start(config: &AuditConfig, ledger: Arc<Ledger>) -> Result<Self, AuditError> {
        let comparison = Comparison::new(&ledger);
        let shared = Arc::new(Shared {
            reader: Reader::open(config)?,
            comparison: Mutex::new(comparison),
            snapshot: Mutex::default(),
            looks: Mutex::new(Looks::default()),
            progress: Condvar::new(),
            stop: AtomicBool::new(false),
            ledger,
        });
        let thread = thread::Builder::new().name("audit".into()).spawn({
            let (shared, round) = (Arc::clone(&shared), config.round);
            move || worker::run(&shared, round)
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
            drained: AtomicBool::new(false),
        })
    }

    /// As of the last slice, at most a quarter of a round ago. Costs a reference count.
    pub fn snapshot(&self) -> Arc<AuditSnapshot> {
        Arc::clone(&self.shared.snapshot.lock())
    }

    /// Remembers what has happened up to now.
    pub fn mark(&self) -> Mark {
        Mark::now(&self.shared.ledger)
    }

    /// Cells that do not yet show what had happened at the mark.
    pub fn behind(&self, mark: &mut Mark) -> u64 {
        self.shared.comparison.lock().behind(&self.shared.ledger, mark)
    }

    /// Remembers which transactions have happened up to now.
    pub fn cut(&self) -> Cut {
        Cut::now(&self.shared.ledger)
    }

    /// Whether a transaction had happened at the cut.
    pub fn had_happened(&self, cut: &Cut, id: &TransactionId) -> bool {
        cut.contains(&self.shared.ledger, id)
    }

    /// Freshness counts from here: such as when the opening stock is in.
    pub fn reset_freshness(&self) {
        self.shared.comparison.lock().reset_freshness();
    }

    /// A new period of freshness begins; the total goes on.
    pub fn next_period(&self) {
        self.shared.comparison.lock().next_period();
    }

    /// Deliveries that anything was written of, and those whose papers contradict each other.
    pub fn true_deliveries(&self) -> (u64, Vec<ledger::TrueDiscrepancy>) {
        let deliveries = self.shared.ledger.deliveries();
        (deliveries.count(), deliveries.discrepancies())
    }

    /// Since the last reset.
    pub fn freshness_histogram(&self) -> FreshnessHistogram {
        self.shared.comparison.lock().freshness_histogram()
    }

    /// Thousandths on hand by the view; `None`: it has no record.
    pub fn view_of_cell(&self, location: LocationId, sku: Sku) -> Option<i64> {
        let mut comparison = self.shared.comparison.lock();
        comparison
            .cell(location, sku)
            .map(|cell| cell.floor.wrapping_add(cell.back_room))
    }

    /// Thousandths on hand over all places, by the article's own record.
    pub fn view_of_item(&self, sku: Sku) -> Option<i64> {
        self.shared.comparison.lock().item_on_hand(sku)
    }

    /// What the view says of a place's sources; `None`: nothing.
    pub fn completeness(&self, location: LocationId) -> Option<PlaceCompleteness> {
        self.shared.comparison.lock().completeness_of(location)
    }

    /// The same of all places that it has a word of, ascending, without their sources.
    pub fn completeness_of_places(&self) -> Vec<PlaceCompleteness> {
        self.shared.comparison.lock().completeness_of_places()
    }

    /// Of that, what lies in places that are not certain, by the article's own record.
    pub fn uncertain_of_item(&self, sku: Sku) -> Option<i64> {
        self.shared.comparison.lock().item_uncertain(sku)
    }

    /// How far each partition has been read.
    pub fn read_up_to(&self) -> Vec<ReadPosition> {
        self.shared.reader.read_up_to()
    }

    /// Waits until all is read that the logs hold now, and the snapshot is of after that. Blocks. A log that ends with
    /// a transaction's marker is never read to its end.
    pub fn drain(
        &self,
        timeout: Duration,
        mut progress: impl FnMut(DrainProgress),
    ) -> Result<(), AuditError> {
        let started = Instant::now();
        let ends = self.ends(started, timeout)?;
        loop {
            let to_go = self.shared.reader.to_go(&ends);
            progress(DrainProgress {
                waited: started.elapsed(),
                to_go,
            });
            if to_go == 0 {
                break;
            }
            if started.elapsed() >= timeout {
                return Err(self.not_drained(&ends, started.elapsed()));
            }
            self.wait(&mut self.shared.looks.lock())?;
        }
        let mut looks = self.shared.looks.lock();
        looks.asked += 1;
        let wanted = looks.asked;
        while looks.done < wanted {
            self.wait(&mut looks)?;
        }
        self.drained.store(true, Ordering::Release);
        Ok(())
    }

    /// For progress, or a moment.
    fn wait(&self, looks: &mut MutexGuard<'_, Looks>) -> Result<(), AuditError> {
        if self.thread.as_ref().is_none_or(thread::JoinHandle::is_finished) {
            return Err(AuditError::Stopped);
        }
        self.shared.progress.wait_for(looks, TELL_EVERY);
        Ok(())
    }

    fn ends(&self, started: Instant, timeout: Duration) -> Result<Vec<i64>, AuditError> {
        loop {
            let left = timeout
                .saturating_sub(started.elapsed())
                .max(Duration::from_millis(1));
            match self.shared.reader.ends(left.min(ENDS_TIMEOUT)) {
                Ok(ends) => return Ok(ends),
                Err(error) => tracing::debug!(%error, "where the view ends"),
            }
            if started.elapsed() >= timeout {
                return Err(AuditError::NoEnds {
                    waited: started.elapsed(),
                    trouble: self.shared.reader.trouble(),
                });
            }
        }
    }

    fn not_drained(&self, ends: &[i64], waited: Duration) -> AuditError {
        let positions = self.read_up_to();
        let first = positions
            .iter()
            .zip(ends)
            .find(|(position, end)| position.next_offset < **end);
        let first = first.map_or(&positions[0], |(position, _)| position);
        AuditError::NotDrained {
            waited,
            to_go: self.shared.reader.to_go(ends),
            topic: first.topic,
            partition: first.partition,
            next_offset: first.next_offset,
            trouble: self.shared.reader.trouble(),
        }
    }

    /// Compares everything with the truth as it is now; see [`Findings::explain`] for `replay`. Call it when all that
    /// was sent has been handled and [`Audit::drain`] has succeeded: without that, the report says `drained: false`.
    pub fn final_report(&self, replay: impl FnOnce(&mut Take<'_>)) -> AuditReport {
        let drained = self.drained.load(Ordering::Acquire);
        let findings = self.shared.comparison.lock().compare(&self.shared.ledger);
        findings.explain(drained, replay)
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed already.
            let _ = thread.join();
        }
    }
}

//! The audit's thread: reads, looks at the places slice by slice, publishes snapshots.
//!
//! Invariant: nobody waits long for the comparison: it is let go after each batch of records and each slice. It does
//! no comparing of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ledger::Ledger;
use parking_lot::{Condvar, Mutex};
use rdkafka::message::Message as _;

use crate::comparison::Comparison;
use crate::reader::{Reader, Topic};
use crate::report::AuditSnapshot;

/// Records taken before others may use the comparison.
const BATCH: usize = 1_000;
/// Records for which the clock is read once.
const CLOCK_EVERY: usize = 64;
/// Parts in which the places are looked at.
const SLICES: usize = 4;
/// Longest wait for a record.
const IDLE: Duration = Duration::from_millis(20);

/// Whole looks, asked for and done.
#[derive(Debug, Default)]
pub struct Looks {
    pub asked: u64,
    pub done: u64,
}

/// What the thread and the audit's users have in common.
pub struct Shared {
    pub ledger: Arc<Ledger>,
    pub reader: Arc<Reader>,
    pub comparison: Mutex<Comparison>,
    pub snapshot: Mutex<Arc<AuditSnapshot>>,
    pub looks: Mutex<Looks>,
    /// A batch was read, or a look is done.
    pub progress: Condvar,
    pub stop: AtomicBool,
}

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Until told to stop. `round`: in which all places are looked at once.
pub fn run(shared: &Shared, round: Duration) {
    let started = Instant::now();
    let pause = round / SLICES as u32;
    let mut looked = started;
    let mut slice = 0;
    while !shared.stop.load(Ordering::Acquire) {
        let read = read(shared);
        let asked = {
            let looks = shared.looks.lock();
            (looks.asked > looks.done).then_some(looks.asked)
        };
        if asked.is_some() || looked.elapsed() >= pause {
            looked = Instant::now();
            let mut comparison = shared.comparison.lock();
            comparison.advance(started.elapsed());
            if asked.is_some() {
                comparison.look(&shared.ledger);
                slice = 0;
            } else {
                comparison.look_slice(&shared.ledger, slice, SLICES);
                slice = (slice + 1) % SLICES;
            }
            let mut snapshot = comparison.snapshot();
            drop(comparison);
            snapshot.trouble = shared.reader.trouble();
            *shared.snapshot.lock() = Arc::new(snapshot);
        }
        if let Some(asked) = asked {
            shared.looks.lock().done = asked;
        }
        if read || asked.is_some() {
            shared.progress.notify_all();
        }
    }
}

/// A batch, or nothing in time.
fn read(shared: &Shared) -> bool {
    let reader = &shared.reader;
    let Some((mut topic, mut message)) = reader.poll(IDLE) else {
        return false;
    };
    let mut comparison = shared.comparison.lock();
    let mut now_ms = wall_ms();
    for count in 1..=BATCH {
        let (key, value, partition) = (
            message.key().unwrap_or_default(),
            message.payload(),
            message.partition() as u32,
        );
        match topic {
            Topic::Cells => comparison.take_cell(partition, key, value, now_ms),
            Topic::Items => comparison.take_item(partition, key, value),
        }
        reader.taken(topic, &message);
        if count == BATCH {
            break;
        }
        let Some(next) = reader.poll(Duration::ZERO) else {
            break;
        };
        (topic, message) = next;
        if count.is_multiple_of(CLOCK_EVERY) {
            now_ms = wall_ms();
        }
    }
    true
}

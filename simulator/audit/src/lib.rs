//! The audit: reads the view back from Kafka and compares it with the truth, live and at the end.
//!
//! Invariant: it shares no logic with what it checks. It has its own consumer and its own reading of a cell, and the
//! truth comes from the ledger, which only the world feeds. It changes nothing and commits nothing.

mod decode;
mod explain;
mod freshness;
mod reader;
mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use contracts::ids::{LocationId, Sku, TransactionId};
use contracts::records::ItemTotal;
use contracts::topics::{ITEM_INVENTORY, PARTITIONS, STORE_INVENTORY, StateKey};
use ledger::{Ledger, Line};
use parking_lot::{Condvar, Mutex};
use prost::Message as _;
use rdkafka::message::Message as _;

pub use explain::{Blame, Differing, Kind};
pub use freshness::Quantiles;
pub use view::{Mark, PlaceCheck};

use explain::Explainer;
use freshness::{Freshness, quantiles};
use reader::Reader;
use view::{Taken, View, ViewItem};

/// Records taken under one lock, so that whoever asks does not wait long.
const BATCH: usize = 1_000;
/// Between two looks at a quarter of the places.
const SLICE: Duration = Duration::from_millis(250);
const SLICES: usize = 4;
const ITEMS_EVERY: Duration = Duration::from_secs(1);
/// A cell is shown as behind when it lacks what happened so many sweeps ago, about two seconds.
const MARK_EVERY: Duration = Duration::from_secs(2);
/// Cells that a report lists.
pub const LISTED_MAX: usize = 100;

#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the audit cannot read the view: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    #[error("the audit did not reach the end of the view within {} s", waited.as_secs())]
    NotDrained { waited: Duration },
    #[error("the audit's thread cannot start: {0}")]
    Thread(#[from] std::io::Error),
}

#[derive(Clone, Debug)]
pub struct AuditConfig {
    pub bootstrap: String,
    /// Settings of librdkafka on top of the audit's own. Values are never printed.
    pub settings: Vec<(String, String)>,
}

/// What the audit knows now.
#[derive(Clone, Debug, Default)]
pub struct AuditSnapshot {
    /// Cells in which something happened.
    pub cells_compared: u64,
    pub cells_diverging: u64,
    /// Cells that lack something that happened two seconds ago or earlier.
    pub cells_behind: u64,
    pub items_diverging: u64,
    /// Thousandths.
    pub books_difference: i64,
    pub in_transit_view: i64,
    pub in_transit_truth: i64,
    pub negative_cells: u64,
    pub records: u64,
    pub undecodable: u64,
    pub misplaced: u64,
    pub stale: u64,
    /// In the order of the ledger.
    pub places: Arc<[PlaceCheck]>,
    /// Of the last five seconds.
    pub freshness: Quantiles,
    pub freshness_whole: Quantiles,
    pub freshness_period: Quantiles,
}

/// What the audit found in the end.
#[derive(Clone, Debug, Default)]
pub struct AuditReport {
    pub cells_compared: u64,
    pub cells_diverging: u64,
    pub cells_altered: u64,
    pub items_compared: u64,
    pub items_diverging: u64,
    pub books_difference: i64,
    pub in_transit_difference: i64,
    pub negative_cells: u64,
    pub undecodable: u64,
    pub misplaced: u64,
    pub stale: u64,
    /// The first [`LISTED_MAX`].
    pub diverging: Vec<DivergingCell>,
    pub diverging_items: Vec<DivergingItem>,
    pub blame: Blame,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DivergingCell {
    pub location: LocationId,
    pub sku: Sku,
    /// Thousandths on hand.
    pub truth: i64,
    pub view: i64,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DivergingItem {
    pub sku: Sku,
    pub truth_on_hand: i64,
    pub view_on_hand: i64,
    pub truth_in_transit: i64,
    pub view_in_transit: i64,
}

impl AuditReport {
    pub fn is_clean(&self) -> bool {
        self.cells_diverging == 0
            && self.items_diverging == 0
            && self.books_difference == 0
            && self.in_transit_difference == 0
            && self.undecodable == 0
            && self.misplaced == 0
    }
}

struct Shared {
    ledger: Arc<Ledger>,
    view: Mutex<View>,
    freshness: Mutex<Freshness>,
    snapshot: Mutex<AuditSnapshot>,
    records: AtomicU64,
    undecodable: AtomicU64,
    misplaced: AtomicU64,
    stale: AtomicU64,
    stop: AtomicBool,
    /// Reading to the ends of the logs: asked for, answered.
    drain: Mutex<Drain>,
    drained: Condvar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drain {
    Idle,
    Asked,
    Aimed,
    Reached,
}

/// Runs on a thread of its own until dropped.
pub struct Audit {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

impl Audit {
    pub fn start(config: &AuditConfig, ledger: Arc<Ledger>) -> Result<Self, AuditError> {
        let reader = Reader::open(config, &[(STORE_INVENTORY, PARTITIONS), (ITEM_INVENTORY, PARTITIONS)])?;
        let shared = Arc::new(Shared {
            view: Mutex::new(View::new(&ledger)),
            freshness: Mutex::new(Freshness::new(Instant::now())),
            snapshot: Mutex::default(),
            records: AtomicU64::new(0),
            undecodable: AtomicU64::new(0),
            misplaced: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            drain: Mutex::new(Drain::Idle),
            drained: Condvar::new(),
            ledger,
        });
        let thread = thread::Builder::new().name("audit".into()).spawn({
            let shared = Arc::clone(&shared);
            move || Worker::new(&shared, reader).run()
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub fn snapshot(&self) -> AuditSnapshot {
        self.shared.snapshot.lock().clone()
    }

    /// Remembers what has happened up to now.
    pub fn mark(&self) -> Mark {
        Mark::now(&self.shared.ledger)
    }

    /// Cells that lack something that happened before the mark.
    pub fn behind(&self, mark: &Mark) -> u64 {
        self.shared.view.lock().behind(mark)
    }

    /// Freshness counts from here.
    pub fn restart_freshness(&self) {
        self.shared.freshness.lock().restart();
    }

    /// A new period of freshness begins.
    pub fn next_period(&self) {
        self.shared.freshness.lock().period.reset();
    }

    /// Thousandths on hand by the view; `None`: it has no record.
    pub fn view_of_cell(&self, location: LocationId, sku: Sku) -> Option<i64> {
        let place = self.shared.ledger.position(location)?;
        let slot = self.shared.ledger.place(place).slot(sku)?;
        let view = self.shared.view.lock();
        let cell = view.cell(place, slot).filter(|cell| cell.seen)?;
        Some(cell.floor + cell.back_room)
    }

    pub fn view_of_item(&self, sku: Sku) -> Option<i64> {
        self.shared.view.lock().item(sku.0).map(|item| item.on_hand)
    }

    /// Reads on until it has what the logs hold now. Blocks.
    pub fn drain(&self, timeout: Duration) -> Result<(), AuditError> {
        let mut drain = self.shared.drain.lock();
        *drain = Drain::Asked;
        let deadline = Instant::now() + timeout;
        while *drain != Drain::Reached {
            if self.shared.drained.wait_until(&mut drain, deadline).timed_out() {
                return Err(AuditError::NotDrained { waited: timeout });
            }
        }
        Ok(())
    }

    /// Compares everything. `replay` plays the same world again and hands over every transaction with the position of
    /// its place in the ledger; it is called only where lines must be told apart.
    pub fn report(&self, replay: impl FnOnce(&mut dyn FnMut(usize, &TransactionId, &[Line]))) -> AuditReport {
        let view = self.shared.view.lock();
        let (mut report, differing) = compare(&self.shared.ledger, &view);
        drop(view);
        report.undecodable = self.shared.undecodable.load(Ordering::Relaxed);
        report.misplaced = self.shared.misplaced.load(Ordering::Relaxed);
        report.stale = self.shared.stale.load(Ordering::Relaxed);
        let mut explainer = Explainer::new(&differing);
        if explainer.needs_lines() {
            replay(&mut |place, id, lines| explainer.transaction(place, id, lines));
        }
        report.blame = explainer.blame();
        report
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of the audit has been printed already.
            let _ = thread.join();
        }
    }
}

/// Every cell and every article, once.
fn compare(ledger: &Ledger, view: &View) -> (AuditReport, Vec<Differing>) {
    let mut report = AuditReport::default();
    let mut differing = Vec::new();
    let mut in_transit = 0;
    for position in 0..ledger.places() {
        let place = ledger.place(position);
        for (slot, truth) in place.cells.iter().enumerate() {
            let Some(cell) = view.cell(position, slot) else { continue };
            report.cells_compared += u64::from(truth.lines > 0);
            report.negative_cells += u64::from(cell.floor < 0 || cell.back_room < 0);
            let by_totals = cell.counted + cell.supplied + cell.received + cell.returned + cell.adjusted
                - cell.shipped
                - cell.sold;
            report.books_difference += (cell.floor + cell.back_room - by_totals).abs();
            in_transit += (truth.shipped - truth.received) - (cell.shipped - cell.received);
            let Some(kind) = explain::kind(truth, cell) else { continue };
            report.cells_diverging += 1;
            report.cells_altered += u64::from(kind == Kind::Altered);
            if report.diverging.len() < LISTED_MAX {
                report.diverging.push(DivergingCell {
                    location: place.location,
                    sku: place.skus[slot],
                    truth: truth.on_hand(),
                    view: cell.floor + cell.back_room,
                    kind,
                });
            }
            differing.push(Differing { place: position, slot, truth: *truth, view: *cell, kind });
        }
    }
    report.in_transit_difference = in_transit;
    let items = view.diverging_items(ledger);
    report.items_compared = view.items.len() as u64;
    report.items_diverging = items.len() as u64;
    report.diverging_items = items
        .into_iter()
        .take(LISTED_MAX)
        .map(|(sku, truth, view)| DivergingItem {
            sku: Sku(sku),
            truth_on_hand: truth.on_hand,
            view_on_hand: view.on_hand,
            truth_in_transit: truth.in_transit,
            view_in_transit: view.in_transit,
        })
        .collect();
    (report, differing)
}

struct Worker<'a> {
    shared: &'a Shared,
    reader: Reader,
    slice: usize,
    sliced: Instant,
    items_at: Instant,
    items_diverging: u64,
    marked: Instant,
    mark: Option<Mark>,
    /// Becomes the mark when it is old enough.
    next_mark: Option<Mark>,
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared, reader: Reader) -> Self {
        let now = Instant::now();
        Self { shared, reader, slice: 0, sliced: now, items_at: now, items_diverging: 0, marked: now, mark: None, next_mark: None }
    }

    fn run(mut self) {
        while !self.shared.stop.load(Ordering::Acquire) {
            if let Err(error) = self.read() {
                tracing::warn!(%error, "audit");
            }
            let now = Instant::now();
            self.shared.freshness.lock().tick(now);
            if now.duration_since(self.sliced) >= SLICE {
                self.sliced = now;
                self.sweep(now);
            }
            self.answer_drain();
        }
    }

    fn read(&mut self) -> Result<(), AuditError> {
        let shared = self.shared;
        let Some(first) = self.reader.poll(Duration::from_millis(20))? else { return Ok(()) };
        let now = wall_ms();
        let mut view = shared.view.lock();
        let mut freshness = shared.freshness.lock();
        take(shared, &mut view, &mut freshness, now, first.topic(), first.key(), first.payload());
        drop(first);
        for _ in 1..BATCH {
            let Some(message) = self.reader.poll(Duration::ZERO)? else { break };
            take(shared, &mut view, &mut freshness, now, message.topic(), message.key(), message.payload());
        }
        Ok(())
    }

    fn sweep(&mut self, now: Instant) {
        let ledger = &self.shared.ledger;
        if now.duration_since(self.marked) >= MARK_EVERY {
            self.marked = now;
            self.mark = self.next_mark.replace(Mark::now(ledger));
        }
        let mut view = self.shared.view.lock();
        for place in (self.slice..ledger.places()).step_by(SLICES) {
            view.check(ledger, place, self.mark.as_ref());
        }
        self.slice = (self.slice + 1) % SLICES;
        if now.duration_since(self.items_at) >= ITEMS_EVERY {
            self.items_at = now;
            self.items_diverging = view.diverging_items(ledger).len() as u64;
        }
        let mut snapshot = AuditSnapshot { places: view.checks.as_slice().into(), ..AuditSnapshot::default() };
        drop(view);
        for check in &*snapshot.places {
            snapshot.cells_compared += u64::from(check.compared);
            snapshot.cells_diverging += u64::from(check.diverging);
            snapshot.cells_behind += u64::from(check.behind);
            snapshot.negative_cells += u64::from(check.negative);
            snapshot.books_difference += check.books_difference;
            snapshot.in_transit_view += check.in_transit_view;
            snapshot.in_transit_truth += check.in_transit_truth;
        }
        snapshot.items_diverging = self.items_diverging;
        snapshot.records = self.shared.records.load(Ordering::Relaxed);
        snapshot.undecodable = self.shared.undecodable.load(Ordering::Relaxed);
        snapshot.misplaced = self.shared.misplaced.load(Ordering::Relaxed);
        snapshot.stale = self.shared.stale.load(Ordering::Relaxed);
        let freshness = self.shared.freshness.lock();
        snapshot.freshness = freshness.recent();
        snapshot.freshness_whole = quantiles(&freshness.whole);
        snapshot.freshness_period = quantiles(&freshness.period);
        drop(freshness);
        *self.shared.snapshot.lock() = snapshot;
    }

    fn answer_drain(&mut self) {
        let asked = *self.shared.drain.lock();
        match asked {
            Drain::Asked => match self.reader.aim() {
                Ok(()) => *self.shared.drain.lock() = Drain::Aimed,
                Err(error) => tracing::warn!(%error, "audit: where the logs end"),
            },
            Drain::Aimed if self.reader.reached() => {
                *self.shared.drain.lock() = Drain::Reached;
                self.shared.drained.notify_all();
            }
            _ => {}
        }
    }
}

/// One record of either topic.
fn take(
    shared: &Shared,
    view: &mut View,
    freshness: &mut Freshness,
    now: i64,
    topic: &str,
    key: Option<&[u8]>,
    payload: Option<&[u8]>,
) {
    shared.records.fetch_add(1, Ordering::Relaxed);
    let (key, Some(payload)) = (key.unwrap_or_default(), payload) else { return };
    let taken = if topic == ITEM_INVENTORY {
        match ItemTotal::decode(payload) {
            Ok(item) => {
                let sku = item.sku;
                view.take_item(sku, ViewItem { on_hand: item.on_hand, in_transit: item.in_transit, seen: true })
            }
            Err(_) => return count(&shared.undecodable),
        }
    } else {
        let Some((location, sku)) = cell_key(key) else {
            return match StateKey::parse(key) {
                Some(_) => {}
                None => count(&shared.undecodable),
            };
        };
        let Ok((cell, due)) = decode::cell(payload) else { return count(&shared.undecodable) };
        if due.ms_min > 0 && due.new_lines > 0 {
            freshness.record(now - due.ms_min, due.new_lines);
        }
        let place = shared.ledger.position(location);
        let found = place.and_then(|place| Some((place, shared.ledger.place(place).slot(sku)?)));
        match found {
            Some((place, slot)) => view.take(place, slot, cell),
            None => Taken::Misplaced,
        }
    };
    match taken {
        Taken::Taken => {}
        Taken::Stale => count(&shared.stale),
        Taken::Misplaced => count(&shared.misplaced),
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// `c/S0042/100234` without going through text; any other key is left to [`StateKey::parse`].
fn cell_key(key: &[u8]) -> Option<(LocationId, Sku)> {
    let rest = key.strip_prefix(b"c/")?;
    let slash = rest.iter().position(|byte| *byte == b'/')?;
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_u32, |value, byte| {
            let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
            value.checked_mul(10)?.checked_add(digit)
        })
    };
    let (letter, digits) = rest[..slash].split_first()?;
    let place = u16::try_from(number(digits)?).ok()?;
    let location = match letter {
        b'S' => LocationId::store(place),
        b'W' => LocationId::warehouse(place),
        _ => return None,
    };
    Some((location, Sku(number(&rest[slash + 1..])?)))
}

//! Makes the snapshot: what the load, the services and the audit count, as rates and states.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use audit::AuditSnapshot;
use scenario::ServiceName;
use world::events::Place;

use super::anomalies::AnomalyView;
use super::director::Director;
use super::extras::{PROJECTOR, RECONCILER};
use super::facts::Counted;
use super::lags::Lags;
use super::rates::{History, Rate};
use super::servers::Servers;
use super::services::{Handled, Services};
use super::watch::Watch;
use crate::resources::Meter;
use crate::snapshot::{
    Counts, FaultView, Flow, FreshnessView, LocationIdView, PaceView, Phase, PlaceState, PlaceView,
    ProofView, ResourcesView, ServiceState, Snapshot, StageView, VerdictView,
};

/// Names of the parts, in the order of the flow.
const PARTS: [&str; 10] = [
    "tills",
    "queue",
    "scans",
    "store-gateway",
    "mq-source",
    "normaliser",
    "inventory",
    "articles",
    "reconciler",
    "item-projector",
];
/// Those on the way of the stock.
const ON_THE_WAY: usize = 8;
/// The gateway does not read what it passes on, and articles have totals.
const fn counts(part: usize) -> Counts {
    match part {
        3 => Counts::Transactions,
        7 => Counts::Totals,
        8 => Counts::Papers,
        9 => Counts::Items,
        _ => Counts::TransactionsAndLines,
    }
}

/// How many of the parts a run has: nobody counts what is outside, and not every scenario projects items.
pub const fn parts(are_outside: bool, project_items: bool) -> usize {
    match (are_outside, project_items) {
        (true, _) => ON_THE_WAY,
        (false, false) => ON_THE_WAY + 1,
        (false, true) => PARTS.len(),
    }
}

/// The normaliser and the inventory: marks of places are among what they read.
const READS_MARKS: [usize; 2] = [5, 6];
const SECOND: Duration = Duration::from_secs(1);
const CORES_SAMPLES_MAX: usize = 3_600;

/// What one snapshot is made of.
pub struct Sources<'a> {
    pub load: &'a load::Load,
    pub services: &'a Services,
    pub servers: &'a Servers,
    pub audit: &'a AuditSnapshot,
    pub lags: &'a Lags,
    pub director: &'a Director,
    pub watch: &'a Watch,
    pub counted: Counted,
    /// Of what is handled, the opening stock, when all of it is.
    pub opening_handled: Handled,
    pub paused: bool,
}

pub struct View {
    base: Snapshot,
    started: Instant,
    regions: Vec<Arc<str>>,
    names: Vec<Arc<str>>,
    locations: Vec<LocationIdView>,
    rates: [Rate; PARTS.len()],
    offered: Rate,
    handled: Rate,
    meter: Meter,
    resources: ResourcesView,
    freshness: History,
    diverging: History,
    handled_history: History,
    sampled: Option<Instant>,
    /// Largest lag seen by part.
    marks_per_s: f64,
    pub lag_max: [u64; PARTS.len()],
    /// Of each second of trading, the first hour of it.
    cores_used: Vec<f64>,
}

impl View {
    /// `mark_interval`: how often a place says how far its sources are.
    pub fn new(base: Snapshot, places: &[Place], mark_interval: Duration) -> Self {
        let stores = || places.iter().filter(|place| place.location.is_store());
        Self {
            base,
            started: Instant::now(),
            regions: stores().map(|place| place.region.as_str().into()).collect(),
            names: stores().map(|place| place.name.as_str().into()).collect(),
            locations: stores().map(|place| LocationIdView(place.location)).collect(),
            rates: Default::default(),
            offered: Rate::default(),
            handled: Rate::default(),
            meter: Meter::start(),
            resources: ResourcesView::default(),
            freshness: History::default(),
            diverging: History::default(),
            handled_history: History::default(),
            sampled: None,
            marks_per_s: places.len() as f64 / mark_interval.as_secs_f64(),
            lag_max: [0; PARTS.len()],
            cores_used: Vec::new(),
        }
    }

    /// The parts before any of them runs, so that the first frame has the shape of all later ones.
    pub fn starting(parts: usize) -> Vec<StageView> {
        PARTS
            .iter()
            .take(parts)
            .enumerate()
            .map(|(index, name)| StageView {
                name,
                state: ServiceState::Starting,
                flow: Flow::default(),
                counts: counts(index),
                lag: None,
                lag_seconds: None,
                note: String::new(),
            })
            .collect()
    }

    pub fn make(&mut self, phase: Phase, sources: &Sources<'_>) -> Snapshot {
        let now = Instant::now();
        let mut snapshot = self.base.clone();
        snapshot.phase = phase;
        snapshot.elapsed = self.started.elapsed();
        let (say, step, steps) = sources.director.say();
        snapshot.say = say.into();
        snapshot.step = step;
        snapshot.steps = steps;
        snapshot.expectations = sources.director.expectations().to_vec();
        snapshot.violations = sources.watch.safety.violations().to_vec();
        snapshot.outages = sources.watch.outages.views().to_vec();
        snapshot.details = sources.watch.completeness.details();
        self.add_load(&mut snapshot, sources, now);
        self.add_audit(&mut snapshot, sources);
        if self.sampled.is_none_or(|at| now.duration_since(at) >= SECOND) {
            self.sampled = Some(now);
            self.resources = self.meter.measure(sources.servers.broker_bytes());
            if phase == Phase::Running && self.cores_used.len() < CORES_SAMPLES_MAX {
                self.cores_used.push(self.resources.cores_used);
            }
            if snapshot.freshness.count > 0 {
                self.freshness.push(snapshot.freshness.p99);
            }
            self.diverging.push(snapshot.proof.cells_diverging);
            self.handled_history
                .push(snapshot.handled.transactions_per_s as u64);
        }
        snapshot.resources = self.resources;
        snapshot.topics = sources.servers.topics();
        snapshot.freshness_history = self.freshness.to_vec().into();
        snapshot.diverging_history = self.diverging.to_vec().into();
        snapshot.handled_history = self.handled_history.to_vec().into();
        snapshot
    }

    /// Median of the cores in use over the seconds of trading.
    pub fn cores_used_median(&self) -> Option<f64> {
        let mut sorted = self.cores_used.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    /// What the process uses, measured now.
    pub fn resources(&mut self, broker_bytes: u64) -> ResourcesView {
        self.meter.measure(broker_bytes)
    }

    fn add_load(&mut self, snapshot: &mut Snapshot, sources: &Sources<'_>, now: Instant) {
        let sent = sources.load.snapshot();
        let counters = &sources.services.counters;
        let normalised = counters.normaliser.snapshot();
        let inventory = &counters.inventory;
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        snapshot.simulated = sent.simulated;
        if sources.paused {
            snapshot.pace = PaceView::Paused;
        }
        // The opening stock is no offered load: it is counted for itself, as long as it is on its way.
        let offered = match sent.phase {
            load::Phase::Opening | load::Phase::Ready => sent.opening,
            _ => sent.offered(),
        };
        snapshot.offered = self.offered.sample(now, offered.transactions, offered.lines);
        let handled = counters.handled().less(sources.opening_handled).total();
        snapshot.handled = self.handled.sample(now, handled.transactions, handled.lines);
        snapshot.stores_offline = sent.stores_offline as u32;
        snapshot.proof.dead_letters = sources.counted.dead_letters;
        snapshot.proof.discrepancies = sources.counted.discrepancies.unwrap_or_default();
        snapshot.proof.duplicates_dropped = get(&inventory.repeats);
        snapshot.proof = recovery(snapshot.proof, inventory);

        let state = |name| sources.services.state(name);
        // A document of the gateway's can hold several transactions: those who sent it know.
        let (queue, scans) = sent.queue_and_scans_with_opening();
        let [tills_in, _, scans_in] = sent.acknowledged;
        let gateway = tills_in + scans_in;
        let totals: [(ServiceState, u64, u64); PARTS.len()] = [
            (ServiceState::Up, sent.tills.transactions, sent.tills.lines),
            (ServiceState::Up, queue.transactions, queue.lines),
            (ServiceState::Up, scans.transactions, scans.lines),
            (state(ServiceName::StoreGateway), gateway, 0),
            (
                state(ServiceName::MqSource),
                get(&counters.mq_source.messages),
                get(&counters.mq_source.messages),
            ),
            (
                state(ServiceName::Normaliser),
                normalised.transactions,
                normalised.lines,
            ),
            (
                state(ServiceName::Inventory),
                get(&inventory.transactions),
                get(&inventory.lines),
            ),
            (state(ServiceName::Inventory), get(&inventory.items_written), 0),
            (
                state(ServiceName::Reconciler),
                counters.reconciler.snapshot().papers,
                0,
            ),
            (
                state(ServiceName::ItemProjector),
                counters.projector.snapshot().items,
                0,
            ),
        ];
        let (at_stores, at_warehouses) = sent.waiting_at_edges();
        let lags: [Option<u64>; PARTS.len()] = [
            None,
            None,
            None,
            Some(at_stores),
            sources.servers.queue_depth().map(|depth| depth + at_warehouses),
            sources.lags.normaliser(),
            sources.lags.inventory(),
            None,
            sources.lags.extra(RECONCILER.0),
            sources.lags.extra(PROJECTOR.0),
        ];
        let notes = [
            String::new(),
            String::new(),
            String::new(),
            if sent.stores_offline > 0 {
                format!("{} stores offline", sent.stores_offline)
            } else {
                String::new()
            },
            String::new(),
            instances(
                sources.services,
                ServiceName::Normaliser,
                format!("{} articles known", normalised.articles),
            ),
            instances(
                sources.services,
                ServiceName::Inventory,
                inventory_note(inventory),
            ),
            String::new(),
            instances(sources.services, ServiceName::Reconciler, String::new()),
            instances(sources.services, ServiceName::ItemProjector, String::new()),
        ];
        let parts = parts(sources.services.outside(), sources.services.project_items);
        snapshot.stages = PARTS
            .iter()
            .take(parts)
            .zip(totals)
            .zip(lags)
            .zip(notes)
            .enumerate()
            .map(|(index, (((name, (state, transactions, lines)), lag), note))| {
                self.lag_max[index] = self.lag_max[index].max(lag.unwrap_or_default());
                let flow = self.rates[index].sample(now, transactions, lines);
                // Marks wait among the transactions, and are no transactions.
                let marks_per_s = if READS_MARKS.contains(&index) {
                    self.marks_per_s
                } else {
                    0.0
                };
                let lag_seconds = lag
                    .filter(|_| flow.transactions_per_s > 0.5)
                    .map(|lag| lag as f64 / (flow.transactions_per_s + marks_per_s));
                StageView {
                    name,
                    state,
                    flow,
                    counts: counts(index),
                    lag,
                    lag_seconds,
                    note,
                }
            })
            .collect();
    }

    fn add_audit(&self, snapshot: &mut Snapshot, sources: &Sources<'_>) {
        let audit = sources.audit;
        // The opening stock is due all at once: how long it takes is no freshness.
        if !matches!(snapshot.phase, Phase::Starting | Phase::Opening) {
            snapshot.freshness = freshness_view(&audit.freshness);
        }
        snapshot.proof = ProofView {
            cells_compared: audit.cells_compared,
            cells_diverging: audit.cells_diverging,
            items_diverging: audit.items_diverging,
            books_difference: audit.books_difference,
            in_transit_view: audit.in_transit_view,
            in_transit_truth: audit.in_transit_truth,
            negative_cells: audit.cells_negative,
            former_owners_records: audit.live.of_former_owners.count,
            ..snapshot.proof
        };
        let completeness = &sources.watch.completeness;
        snapshot.completeness = completeness.view(audit);
        snapshot.stores = self
            .locations
            .iter()
            .zip(self.regions.iter().zip(&self.names))
            .zip(&*audit.places)
            .enumerate()
            .map(|(position, ((location, (region, name)), check))| {
                let known = completeness.known(location.0);
                // By the stage's order, or by the view's own word, which comes later and goes later.
                let is_offline = known.offline_since.is_some() || sources.load.is_offline(position);
                PlaceView {
                    location: *location,
                    region: Arc::clone(region),
                    name: Arc::clone(name),
                    known,
                    state: if is_offline {
                        PlaceState::Offline(check.diverging)
                    } else if check.seen == 0 {
                        PlaceState::NeverSeen
                    } else if check.behind == 0 {
                        PlaceState::Equal
                    } else {
                        PlaceState::Diverging(check.behind)
                    },
                }
            })
            .collect();
    }

    /// The last snapshot, with its verdict.
    pub fn end(
        &mut self,
        sources: &Sources<'_>,
        proof: ProofView,
        anomalies: Vec<AnomalyView>,
        verdict: VerdictView,
    ) -> Snapshot {
        let resources = self.resources(sources.servers.broker_bytes());
        let mut snapshot = self.make(Phase::Verdict, sources);
        snapshot.resources = resources;
        snapshot.proof = proof;
        snapshot.anomalies = anomalies;
        snapshot.verdict = Some(verdict);
        snapshot
    }

    pub fn set_pace(&mut self, pace: PaceView) {
        self.base.pace = pace;
    }

    pub fn set_faults(&mut self, faults: Vec<FaultView>) {
        self.base.faults = faults;
    }

    pub fn set_alert(&mut self, alert: Option<String>) {
        self.base.alert = alert;
    }
}

pub fn freshness_view(quantiles: &audit::Quantiles) -> FreshnessView {
    FreshnessView {
        p50: quantiles.p50,
        p90: quantiles.p90,
        p99: quantiles.p99,
        p999: quantiles.p999,
        max: quantiles.max,
        count: quantiles.count,
        unmeasured: quantiles.unmeasured,
    }
}

/// A note, with the number of instances before it where that is not one.
fn instances(services: &Services, name: ServiceName, note: String) -> String {
    match services.instances(name) {
        0 | 1 => note,
        count if note.is_empty() => format!("{count} instances"),
        count => format!("{count} instances, {note}"),
    }
}

/// How often the inventory had to take its state anew or to mend it.
pub fn recovery(proof: ProofView, inventory: &inventory::Counters) -> ProofView {
    let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    ProofView {
        partitions_unknown: get(&inventory.partitions_unknown),
        partitions_rebuilt: get(&inventory.partitions_rebuilt),
        zombie_writes_repaired: get(&inventory.zombie_writes_repaired),
        recoveries: get(&inventory.recoveries),
        images_sealed: get(&inventory.images_sealed),
        ..proof
    }
}

fn inventory_note(inventory: &inventory::Counters) -> String {
    let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let interval = get(&inventory.flush_interval_ms);
    let restored = get(&inventory.restored_cells);
    if get(&inventory.restores) > 0 {
        let seconds = get(&inventory.restore_ms_last) as f64 / 1000.0;
        format!(
            "{} cells restored in {seconds:.1} s",
            crate::format::count(restored)
        )
    } else if interval > 0 {
        format!("flush each {interval} ms")
    } else {
        String::new()
    }
}

//! What the screen, the headless lines and the report read: one value that the stage makes and nobody else writes.
//!
//! Invariant: whoever draws it asks nothing else; no clock, no Kafka, no lock behind it.

use std::sync::Arc;
use std::time::Duration;

use contracts::ids::{LocationId, TimeMs};
use serde::Serialize;

use crate::completeness::{CompletenessView, KnownView, PlaceDetails};
use crate::stage::{AnomalyView, OutageView, ViolationView};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Servers, topics, services are being started.
    Starting,
    /// Opening stock is on its way.
    Opening,
    Running,
    /// Nothing more is sent; what is under way arrives.
    Draining,
    Verdict,
}

impl Phase {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Opening => "opening",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Verdict => "verdict",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PaceView {
    /// Simulated seconds a second.
    Speed(f64),
    /// Till receipts a second.
    Rate(f64),
    /// The same, where less is sent than was asked for, because the system takes no more.
    Yielding {
        given: f64,
        asked: f64,
    },
    Unthrottled,
    Paused,
}

/// Totals since the start and rates over the last second, in transactions and in movement lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Flow {
    pub transactions: u64,
    pub lines: u64,
    pub transactions_per_s: f64,
    pub lines_per_s: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    Starting,
    Up,
    Stopped,
    Failed,
}

/// What the flow of a part means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    TransactionsAndLines,
    /// It passes on what it does not read.
    Transactions,
    /// Totals written, in the place of transactions.
    Totals,
    /// Papers of deliveries, likewise.
    Papers,
    /// Items of the reference kit, likewise.
    Items,
}

impl Counts {
    /// Its numbers are no transactions, and are said in words.
    pub const fn noun(self) -> Option<&'static str> {
        match self {
            Self::TransactionsAndLines | Self::Transactions => None,
            Self::Totals => Some("totals written"),
            Self::Papers => Some("papers read"),
            Self::Items => Some("items projected"),
        }
    }
}

/// A part of the flow, in the order of the flow: tills, queue, scans, gateway, mq-source, normaliser, inventory, articles;
/// then those beside it, where the scenario has them: reconciler, item-projector.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageView {
    pub name: &'static str,
    pub state: ServiceState,
    pub flow: Flow,
    /// Of the flow, what this part can know.
    pub counts: Counts,
    /// Transactions that lie in front of this part and wait; `None`: not known.
    pub lag: Option<u64>,
    /// Seconds that the waiting would take at the present rate; `None`: not known.
    pub lag_seconds: Option<f64>,
    /// One short note, such as `restored 1,150,000 cells in 3.1 s`.
    pub note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceState {
    /// Nothing of it is in the view yet.
    NeverSeen,
    /// Every cell equals the truth.
    Equal,
    /// Cells that differ from the truth just now.
    Diverging(u32),
    /// Sells on, its journal is not sent; so many cells differ.
    Offline(u32),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlaceView {
    pub location: LocationIdView,
    pub region: Arc<str>,
    pub name: Arc<str>,
    /// Against the truth.
    pub state: PlaceState,
    /// By the view's own word.
    pub known: KnownView,
}

impl PlaceView {
    /// The view itself knows that it does not know all of the place.
    pub const fn is_uncertain(&self) -> bool {
        self.known.is_heard && !self.known.is_certain
    }
}

/// A location that serialises as its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocationIdView(pub LocationId);

impl Serialize for LocationIdView {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Milliseconds from the instant when a transaction was due to the instant when a reader saw its cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FreshnessView {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
    /// Lines.
    pub count: u64,
    /// Of them, those of which nothing told when they were due: they count as later than all others, but not in `max`.
    pub unmeasured: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProofView {
    /// Cells in which something happened.
    pub cells_compared: u64,
    pub cells_diverging: u64,
    pub items_diverging: u64,
    /// Known only at the end; 0 before.
    pub transactions_lost: u64,
    pub transactions_doubled: u64,
    /// Thousandths that the books are off, over all cells.
    pub books_difference: i64,
    /// Thousandths on lorries: as the view has it, as it is.
    pub in_transit_view: i64,
    pub in_transit_truth: i64,
    pub dead_letters: u64,
    pub duplicates_dropped: u64,
    /// Deliveries whose papers contradict each other.
    pub discrepancies: u64,
    pub negative_cells: u64,
    /// Partitions that the inventory owns and cannot know.
    pub partitions_unknown: u64,
    /// Since the start: partitions counted anew from the log, writes of former owners that were written over, times that
    /// everything was acquired anew, and images sealed.
    pub partitions_rebuilt: u64,
    pub zombie_writes_repaired: u64,
    pub recoveries: u64,
    pub images_sealed: u64,
    /// Records of a former owner that the audit met behind its successor's.
    pub former_owners_records: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ResourcesView {
    pub rss_mib: u64,
    pub rss_mib_max: u64,
    /// Cores in use over the last second, such as 1.4.
    pub cores_used: f64,
    pub cpu_seconds: f64,
    pub cores: u32,
    pub broker_mib: u64,
}

/// What the embedded broker holds of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopicView {
    pub name: String,
    pub records: u64,
    pub bytes: u64,
    /// Records since the start, those among them that were compacted away or dropped since.
    pub appended: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    Pass,
    Fail,
    /// The generator could not keep its schedule: the figures say nothing about the system.
    Invalid,
    Interrupted,
}

impl Outcome {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Invalid => "INVALID",
            Self::Interrupted => "INTERRUPTED",
        }
    }
}

/// An expectation of the scenario, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExpectationView {
    pub text: String,
    /// `None`: still open.
    pub met: Option<bool>,
    pub detail: String,
}

/// A fault from when it broke; times in seconds since the run began.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultView {
    pub name: &'static str,
    pub broken_at_s: f64,
    /// `None`: it is broken.
    pub mended_at_s: Option<f64>,
    /// From when it was mended until everything that had happened by then was in the view.
    pub converged_after_s: Option<f64>,
    /// How often it happened, by the counter of the thing that was hit.
    pub hits: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerdictView {
    pub outcome: Outcome,
    /// Sentences, the weightiest first.
    pub reasons: Vec<String>,
    /// `S0042/100234: truth 12, view 11, lost` and so on, at most 100.
    pub diverging: Vec<String>,
    /// How the offered load was written, a line for each format.
    pub formats: Vec<String>,
    /// Where the scenario has dirt: what was injected of each kind, and what the services saw.
    pub dirt: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    pub scenario: Arc<str>,
    pub title: Arc<str>,
    pub seed: u64,
    /// `embedded (stand-in, no Kafka figures)` or the address of a cluster.
    pub backbone: Arc<str>,
    pub phase: Phase,
    pub elapsed: Duration,
    pub simulated: TimeMs,
    pub pace: PaceView,
    /// What the presenter tells now.
    pub say: Arc<str>,
    pub step: u32,
    pub steps: u32,
    /// What the tills, warehouses and scanners were due to send.
    pub offered: Flow,
    /// What the inventory service has applied.
    pub handled: Flow,
    pub stages: Vec<StageView>,
    /// Stores in the order of their numbers.
    #[serde(skip)]
    pub stores: Arc<[PlaceView]>,
    pub stores_offline: u32,
    pub freshness: FreshnessView,
    /// Samples of the last two minutes, one a second, newest last: p99 freshness, diverging cells, handled per second.
    #[serde(skip)]
    pub freshness_history: Arc<[u64]>,
    #[serde(skip)]
    pub diverging_history: Arc<[u64]>,
    #[serde(skip)]
    pub handled_history: Arc<[u64]>,
    pub proof: ProofView,
    /// What the view says of itself.
    pub completeness: CompletenessView,
    /// Of the place that somebody looks at.
    #[serde(skip)]
    pub details: Option<Arc<PlaceDetails>>,
    /// What may never be seen, and was.
    pub violations: Vec<ViolationView>,
    pub outages: Vec<OutageView>,
    /// Known at the end.
    pub anomalies: Vec<AnomalyView>,
    pub resources: ResourcesView,
    /// By name; none where the broker is not ours.
    pub topics: Arc<[TopicView]>,
    pub expectations: Vec<ExpectationView>,
    /// What is broken and what was, oldest first.
    pub faults: Vec<FaultView>,
    pub verdict: Option<VerdictView>,
    /// Something that needs attention now, such as `normaliser failed: …`.
    pub alert: Option<String>,
}

/// What a key on the screen asks of the stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    TogglePause,
    Faster,
    Slower,
    Break(scenario::Fault),
    Mend(scenario::Mend),
    /// Whose sources are to be told; `None`: nobody's.
    LookAt(Option<LocationId>),
    /// The presenter wants to leave: drain, sum up, end.
    Quit,
}

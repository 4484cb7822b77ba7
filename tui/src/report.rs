//! The report: one JSON file that holds what a run was, did and proved. Text and screens are views of the same figures.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::completeness::CompletenessView;
use crate::snapshot::{ExpectationView, FaultView, FreshnessView, VerdictView};
use crate::stage::{AnomalyView, DirtRow, OutageView, SabotageView, StagesDigest, ViolationView};

/// Raised when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub schema_version: u32,
    pub run: Run,
    pub offered: Amounts,
    /// What was offered, by the header `format`; opening stock apart.
    pub formats: BTreeMap<String, FormatView>,
    pub handled: Amounts,
    pub pacing: Pacing,
    pub freshness_ms: FreshnessView,
    /// Largest lag seen by the part that it lies in front of: in transactions, or in messages where they come as messages.
    pub lag: BTreeMap<String, u64>,
    pub audit: AuditView,
    /// Every class, zero or not, with the first that it hit.
    pub anomalies: Vec<AnomalyView>,
    pub safety: Safety,
    /// In the order in which they began, with what each cost.
    pub outages: Vec<OutageView>,
    /// Outages beyond those that are kept.
    pub outages_left_out: u64,
    /// What the view says of itself at the end.
    pub completeness: CompletenessReport,
    /// How often the inventory took its state anew or mended it.
    pub recovery: Recovery,
    /// What passed each point of the flow, and in which minute two of them differ. `null`: not known.
    pub stages_digest: Option<StagesDigest>,
    /// What was damaged on purpose, and whether the audit found it.
    pub sabotage: Option<SabotageView>,
    /// Papers of deliveries: the list of what contradicts, against the list that must come out. `null`: it could not be read.
    pub deliveries: Option<audit::DiscrepancyReport>,
    /// Dirt by kind: what was injected, and what the services saw. `null`: the scenario has none.
    pub dirt: Option<BTreeMap<&'static str, DirtRow>>,
    /// Lines that are in `items`, as far as this run's projectors know them to be committed.
    pub items_projected: u64,
    pub dead_letters: DeadLetters,
    pub expectations: Vec<ExpectationView>,
    /// What was broken, oldest first.
    pub faults: Vec<FaultView>,
    pub resources: Resources,
    pub warnings: Vec<String>,
    pub verdict: VerdictView,
}

/// What was seen live.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Safety {
    /// What may never be seen. Empty, or the run fails.
    pub violations: Vec<ViolationView>,
    /// Records that a former owner wrote behind its successor: whoever compares epoch and offset passes them over.
    pub records_of_former_owners: audit::Seen,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct CompletenessReport {
    pub totals: CompletenessView,
    /// Places of which something is missing, with their sources, the first 100.
    pub places_incomplete: Vec<audit::PlaceCompleteness>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Recovery {
    /// At the end.
    pub partitions_unknown: u64,
    /// Over the whole run.
    pub partitions_rebuilt: u64,
    pub zombie_writes_repaired: u64,
    pub recoveries: u64,
    pub images_sealed: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub scenario: String,
    /// SHA-256 of the scenario's text.
    pub scenario_sha256: String,
    pub seed: u64,
    pub scale: String,
    pub commit: String,
    pub version: String,
    pub cores: u32,
    pub backbone: String,
    pub queue: String,
    pub started_at_ms: i64,
    pub wall_seconds: f64,
    pub simulated_seconds: f64,
    pub stores: u32,
    pub warehouses: u32,
    pub cells: u64,
    pub sabotage: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Amounts {
    pub transactions: u64,
    pub lines: u64,
    pub by_source: BTreeMap<String, Amount>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Amount {
    pub transactions: u64,
    pub lines: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct FormatView {
    pub messages: u64,
    /// A document has several.
    pub transactions: u64,
    pub bytes: u64,
    pub bytes_a_message: f64,
    /// Of the messages of all formats.
    pub messages_percent: f64,
    pub transactions_percent: f64,
}

/// Whether the generator kept its schedule.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Pacing {
    /// `open-loop`, `at-most` or `unthrottled`.
    pub mode: String,
    pub offered_transactions_per_s: f64,
    pub achieved_transactions_per_s: f64,
    /// From due to released by the generator.
    pub late_ms_p99: u64,
    pub late_ms_max: u64,
    pub kept: bool,
    /// What was sent instead of what was asked for, while the system took no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yielded: Option<Yielded>,
}

/// Till receipts a second, on average over the time in which the load yielded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Yielded {
    pub seconds: f64,
    pub asked_per_s: f64,
    pub given_per_s: f64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct AuditView {
    pub cells_compared: u64,
    pub cells_diverging: u64,
    pub items_compared: u64,
    pub items_diverging: u64,
    pub transactions_lost: u64,
    pub transactions_doubled: u64,
    pub transactions_altered: u64,
    pub transactions_misrouted: u64,
    /// Lacking in the last record of a cell, though a newer one had them.
    pub transactions_stale: u64,
    /// Of the lost and doubled, those that were only in part.
    pub transactions_torn: u64,
    /// Sources that are said to be complete beyond what they wrote.
    pub completeness_false: u64,
    /// Diverging cells by what is wrong with them.
    pub cells_by_kind: audit::Kinds,
    /// Cells whose transactions could not be told.
    pub cells_unexplained: u64,
    pub books_difference: i64,
    pub in_transit_difference: i64,
    pub undecodable_records: u64,
    pub stale_records: u64,
    pub negative_cells: u64,
    /// The first 100.
    pub diverging: Vec<DivergingCell>,
    pub diverging_items: Vec<audit::DivergingItem>,
    pub false_claims: Vec<audit::FalseClaim>,
    /// The first 100, such as `S0042/till/3#20526/118`.
    pub lost: Vec<String>,
    pub doubled: Vec<String>,
    pub altered: Vec<String>,
    pub misrouted: Vec<String>,
    pub stale: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DivergingCell {
    pub location: String,
    pub sku: u32,
    /// Thousandths on hand.
    pub truth: i64,
    pub view: i64,
    pub kind: String,
    /// Those that explain it.
    pub transactions: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct DeadLetters {
    /// Ever.
    pub total: u64,
    pub by_class: BTreeMap<String, u64>,
    /// Letters that steps of the scenario put back.
    pub put_back: u64,
    /// What lies in them at the end and was not put back, by the view's own word.
    pub open_in_view: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Resources {
    pub cpu_seconds: f64,
    pub cpu_seconds_per_million_transactions: Option<f64>,
    pub rss_mib_max: u64,
    /// Median over the seconds of trading.
    pub cores_used_median: Option<f64>,
    /// Threads alive at the end, by name.
    pub cpu_seconds_by_thread: BTreeMap<String, f64>,
}

#[derive(Debug, thiserror::Error)]
#[error("the report cannot be written to {}: {source}; name a file in a folder that exists and has room", path.display())]
pub struct WriteError {
    path: PathBuf,
    source: std::io::Error,
}

/// How a run ended, and why its report could not be written, if it could not.
#[derive(Debug)]
pub struct Ended {
    pub outcome: crate::snapshot::Outcome,
    pub unwritten: Option<WriteError>,
}

/// Told before a run of minutes, not after it. What is there already is left as it is.
pub fn can_be_written(path: &Path) -> Result<(), WriteError> {
    std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .map(drop)
        .map_err(|source| WriteError {
            path: path.to_owned(),
            source,
        })
}

impl Report {
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        let error = |source| WriteError {
            path: path.to_owned(),
            source,
        };
        let mut text = serde_json::to_vec_pretty(self).map_err(|e| error(e.into()))?;
        text.push(b'\n');
        let mut file = std::fs::File::create(path).map_err(error)?;
        file.write_all(&text).map_err(error)?;
        // A full disk often says so only here.
        file.sync_all()
            .or_else(|e| {
                if e.kind() == std::io::ErrorKind::InvalidInput {
                    Ok(())
                } else {
                    Err(e)
                }
            })
            .map_err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let full = Path::new("/dev/full");
        if !full.exists() {
            return;
        }
        let report = sample();
        let error = report.write(full).expect_err("the device is full").to_string();
        assert!(error.contains("/dev/full") && error.contains("room"), "{error}");
    }

    fn sample() -> Report {
        Report {
            schema_version: SCHEMA_VERSION,
            run: Run {
                scenario: "test".into(),
                scenario_sha256: String::new(),
                seed: 1,
                scale: "1/1".into(),
                commit: String::new(),
                version: String::new(),
                cores: 2,
                backbone: "embedded".into(),
                queue: "embedded".into(),
                started_at_ms: 0,
                wall_seconds: 0.0,
                simulated_seconds: 0.0,
                stores: 1,
                warehouses: 1,
                cells: 1,
                sabotage: None,
            },
            offered: Amounts::default(),
            formats: BTreeMap::new(),
            handled: Amounts::default(),
            pacing: Pacing::default(),
            freshness_ms: FreshnessView::default(),
            lag: BTreeMap::new(),
            audit: AuditView::default(),
            anomalies: Vec::new(),
            safety: Safety::default(),
            outages: Vec::new(),
            outages_left_out: 0,
            completeness: CompletenessReport::default(),
            recovery: Recovery::default(),
            stages_digest: None,
            sabotage: None,
            deliveries: None,
            dirt: None,
            items_projected: 0,
            dead_letters: DeadLetters::default(),
            expectations: Vec::new(),
            faults: Vec::new(),
            resources: Resources::default(),
            warnings: Vec::new(),
            verdict: VerdictView {
                outcome: crate::snapshot::Outcome::Pass,
                reasons: Vec::new(),
                diverging: Vec::new(),
                formats: Vec::new(),
                dirt: Vec::new(),
            },
        }
    }
}

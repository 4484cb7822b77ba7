//! The report, from what a run knows at its end.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use audit::{AuditReport, AuditSnapshot};

use super::formats;
use super::run::Run;
use super::view::freshness_view;
use crate::report::{
    Amount, Amounts, AuditView, CompletenessReport, DeadLetters, DivergingCell, Pacing, Recovery, Report,
    Resources, Run as RunOf, SCHEMA_VERSION, Safety,
};
use crate::resources;
use crate::snapshot::{Snapshot, VerdictView};

const LISTED_MAX: usize = 100;

/// All but what was examined beside the audit.
pub fn report(
    run: &Run<'_>,
    snapshot: &Snapshot,
    audited: &AuditReport,
    audit: &AuditSnapshot,
    pacing: Pacing,
    verdict: VerdictView,
    wall_seconds: f64,
) -> Report {
    let sent = run.load.snapshot();
    let used = snapshot.resources;
    let transactions = sent.offered().transactions;
    Report {
        schema_version: SCHEMA_VERSION,
        run: run_of(run, snapshot, audited, wall_seconds),
        offered: offered(&sent),
        formats: formats::view(&run.load.formats()),
        handled: handled(run),
        pacing,
        freshness_ms: freshness_view(&audit.freshness_total),
        lag: snapshot
            .stages
            .iter()
            .zip(run.view.lag_max)
            .filter(|(stage, _)| stage.lag.is_some())
            .map(|(stage, max)| (stage.name.to_owned(), max))
            .collect(),
        audit: audit_view(audited),
        anomalies: snapshot.anomalies.clone(),
        safety: Safety {
            violations: snapshot.violations.clone(),
            records_of_former_owners: audited.live.of_former_owners.clone(),
        },
        outages: snapshot.outages.clone(),
        outages_left_out: run.watch.outages.left_out(),
        completeness: CompletenessReport {
            totals: snapshot.completeness,
            places_incomplete: audited.places_incomplete.clone(),
        },
        recovery: Recovery {
            partitions_unknown: snapshot.proof.partitions_unknown,
            partitions_rebuilt: snapshot.proof.partitions_rebuilt,
            zombie_writes_repaired: snapshot.proof.zombie_writes_repaired,
            recoveries: snapshot.proof.recoveries,
            images_sealed: snapshot.proof.images_sealed,
        },
        stages_digest: None,
        sabotage: None,
        deliveries: None,
        dirt: None,
        items_projected: 0,
        dead_letters: DeadLetters {
            put_back: run.letters_put_back,
            open_in_view: audit.completeness.dead_letters,
            total: run.dead_letters(),
            by_class: letters_by_class(run),
        },
        expectations: snapshot.expectations.clone(),
        faults: snapshot.faults.clone(),
        resources: Resources {
            cpu_seconds: used.cpu_seconds,
            cpu_seconds_per_million_transactions: (transactions > 0)
                .then(|| used.cpu_seconds * 1e6 / transactions as f64),
            rss_mib_max: used.rss_mib_max,
            cores_used_median: run.view.cores_used_median(),
            cpu_seconds_by_thread: resources::cpu_by_thread().into_iter().collect(),
        },
        warnings: warnings(run),
        verdict,
    }
}

fn run_of(run: &Run<'_>, snapshot: &Snapshot, audited: &AuditReport, wall_seconds: f64) -> RunOf {
    let scenario = &run.chosen.scenario;
    let simulated_ms = run.load.snapshot().simulated.0 - run.first.0;
    RunOf {
        scenario: scenario.name.clone(),
        scenario_sha256: scenario::hash(&run.chosen.yaml),
        seed: scenario.seed,
        scale: format!("1/{}", run.chosen.scale),
        commit: option_env!("STOCKSTREAM_COMMIT").unwrap_or("unknown").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cores: snapshot.resources.cores,
        backbone: snapshot.backbone.to_string(),
        queue: run.servers.queue_label.clone(),
        started_at_ms: run
            .started_at
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64),
        wall_seconds,
        simulated_seconds: simulated_ms as f64 / 1000.0,
        stores: u32::from(scenario.world.stores),
        warehouses: u32::from(scenario.world.warehouses),
        cells: audited.cells_compared,
        sabotage: run.args.sabotage.map(|sabotage| sabotage.to_string()),
    }
}

fn offered(sent: &load::Snapshot) -> Amounts {
    let amount = |amount: load::Amount| Amount {
        transactions: amount.transactions,
        lines: amount.lines,
    };
    let offered = sent.offered();
    Amounts {
        transactions: offered.transactions,
        lines: offered.lines,
        by_source: BTreeMap::from([
            ("tills".to_owned(), amount(sent.tills)),
            ("queue".to_owned(), amount(sent.queue)),
            ("scans".to_owned(), amount(sent.scans)),
            ("opening".to_owned(), amount(sent.opening)),
        ]),
    }
}

fn handled(run: &Run<'_>) -> Amounts {
    let trading = run.services.counters.handled().less(run.opening_handled);
    let [tills, queue, scans] = trading.0;
    let total = trading.total();
    Amounts {
        transactions: total.transactions,
        lines: total.lines,
        by_source: BTreeMap::from([
            ("tills".to_owned(), tills),
            ("queue".to_owned(), queue),
            ("scans".to_owned(), scans),
            ("opening".to_owned(), run.opening_handled.total()),
        ]),
    }
}

fn audit_view(audited: &AuditReport) -> AuditView {
    AuditView {
        cells_compared: audited.cells_compared,
        cells_diverging: audited.cells_diverging,
        items_compared: audited.items_compared,
        items_diverging: audited.items_diverging,
        transactions_lost: audited.transactions_lost.count,
        transactions_doubled: audited.transactions_doubled.count,
        transactions_altered: audited.transactions_altered.count,
        transactions_misrouted: audited.transactions_misrouted.count,
        transactions_stale: audited.transactions_stale.count,
        completeness_false: audited.completeness_false,
        transactions_torn: audited.transactions_torn.count,
        cells_by_kind: audited.cells_by_kind,
        cells_unexplained: audited.unexplained_cells,
        books_difference: audited.books_difference,
        in_transit_difference: audited.in_transit_difference(),
        undecodable_records: audited.records.undecodable,
        stale_records: audited.records.stale,
        negative_cells: audited.cells_negative,
        diverging: audited
            .diverging
            .iter()
            .map(|cell| DivergingCell {
                location: cell.location.to_string(),
                sku: cell.sku.0,
                truth: cell.truth,
                view: cell.view,
                kind: cell.kind.name().to_owned(),
                transactions: cell.transactions.iter().map(ToString::to_string).collect(),
            })
            .collect(),
        diverging_items: audited.diverging_items.clone(),
        false_claims: audited.false_claims.clone(),
        lost: names(&audited.transactions_lost),
        doubled: names(&audited.transactions_doubled),
        altered: names(&audited.transactions_altered),
        misrouted: names(&audited.transactions_misrouted),
        stale: names(&audited.transactions_stale),
    }
}

fn names(named: &audit::Named) -> Vec<String> {
    named
        .ids
        .iter()
        .take(LISTED_MAX)
        .map(ToString::to_string)
        .collect()
}

fn warnings(run: &Run<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    if run.director.steps_left() > 0 && !run.interrupted {
        warnings.push(format!(
            "{} steps of the scenario were not reached",
            run.director.steps_left()
        ));
    }
    if run.servers.broker_throttled() > 0 {
        warnings.push(format!(
            "the embedded broker slowed producers {} times because its memory was full; give it more with --memory",
            run.servers.broker_throttled()
        ));
    }
    if run.args.kafka.is_none() {
        warnings.push(
            "embedded backbone: a stand-in in this process; its rates and latencies are not Kafka's".into(),
        );
    }
    if run.services.outside() {
        warnings.push(
            "the services ran outside: what they handled and dropped is in their own metrics, and 0 here"
                .into(),
        );
    }
    warnings
}

/// Dead letters of all services.
fn letters_by_class(run: &Run<'_>) -> BTreeMap<String, u64> {
    let normaliser = run.services.counters.normaliser.snapshot();
    let mut by_class: BTreeMap<String, u64> = normaliser
        .dead_letters
        .iter()
        .map(|(class, letters)| ((*class).to_owned(), *letters))
        .collect();
    let by_inventory = run
        .services
        .counters
        .inventory
        .dead_letters
        .load(Ordering::Relaxed);
    if by_inventory > 0 {
        by_class.insert("refused-by-inventory".into(), by_inventory);
    }
    let by_mq_source = run
        .services
        .counters
        .mq_source
        .dead_letters
        .load(Ordering::Relaxed);
    if by_mq_source > 0 {
        by_class.insert("refused-by-mq-source".into(), by_mq_source);
    }
    by_class
}

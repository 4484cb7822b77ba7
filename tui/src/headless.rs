//! The twin of the screen for pipes and logs: a line a second, then the verdict. Reads the same snapshots.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::format::{clock, count, duration, percent};
use crate::snapshot::{FaultView, FreshnessView, PaceView, Phase, ServiceState, Snapshot};
use crate::stage::anomalies_line;

const INTERVAL: Duration = Duration::from_secs(1);

/// Prints until the stage ends (drops its side) and returns what it showed last.
pub async fn follow(
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    json: bool,
    out: &mut (impl Write + Send),
) -> io::Result<()> {
    let mut last_say: Arc<str> = "".into();
    let mut last_alert = None;
    loop {
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        if json {
            serde_json::to_writer(&mut *out, &*snapshot).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            if snapshot.say != last_say && !snapshot.say.is_empty() {
                writeln!(out, "» {}", snapshot.say)?;
                last_say = Arc::clone(&snapshot.say);
            }
            if snapshot.alert != last_alert {
                if let Some(alert) = &snapshot.alert {
                    writeln!(out, "! {alert}")?;
                }
                last_alert.clone_from(&snapshot.alert);
            }
            writeln!(out, "{}", line(&snapshot))?;
        }
        out.flush()?;
        if snapshot.phase == Phase::Verdict {
            return Ok(());
        }
        tokio::time::sleep(INTERVAL).await;
        // The stage may end between two lines: what it showed last is printed all the same.
        if snapshots.has_changed().is_err() && snapshots.borrow().verdict.is_none() {
            return Ok(());
        }
    }
}

/// One line of progress.
pub fn line(snapshot: &Snapshot) -> String {
    let pace = match snapshot.pace {
        PaceView::Speed(x) => format!("×{x:.0}"),
        PaceView::Rate(rate) => format!("{}/s", count(rate.round() as u64)),
        PaceView::Yielding { given, asked } => format!(
            "{} of {}/s",
            count(given.round() as u64),
            count(asked.round() as u64)
        ),
        PaceView::Unthrottled => "unthrottled".into(),
        PaceView::Paused => "paused".into(),
    };
    let converged =
        snapshot.proof.cells_compared - snapshot.proof.cells_diverging.min(snapshot.proof.cells_compared);
    let stopped: Vec<_> = snapshot
        .stages
        .iter()
        .filter(|stage| matches!(stage.state, ServiceState::Stopped | ServiceState::Failed))
        .map(|stage| format!(" {} stopped", stage.name))
        .collect();
    let broken: Vec<_> = snapshot
        .faults
        .iter()
        .filter(|fault| fault.mended_at_s.is_none())
        .map(|fault| format!(" {} broken, hit {}", fault.name, count(fault.hits)))
        .collect();
    format!(
        "{:>6} {:<8} {} {pace:<11} offered {:>9} tx {:>7}/s  handled {:>9} tx {:>7}/s {:>9} lines/s  lag {:>7}  p99 {:>7}  equal {:>7} {:>9}/{:<9} offline {}  certain {}{}{}{}",
        duration(snapshot.elapsed),
        snapshot.phase.label(),
        clock(snapshot.simulated),
        count(snapshot.offered.transactions),
        count(snapshot.offered.transactions_per_s.round() as u64),
        count(snapshot.handled.transactions),
        count(snapshot.handled.transactions_per_s.round() as u64),
        count(snapshot.handled.lines_per_s.round() as u64),
        lag(snapshot),
        freshness(&snapshot.freshness),
        percent(converged, snapshot.proof.cells_compared),
        count(converged),
        count(snapshot.proof.cells_compared),
        snapshot.stores_offline,
        certain(snapshot),
        violations(snapshot),
        stopped.concat(),
        broken.concat(),
    )
}

/// Places of which the view knows that it has all, and what it lacks of the others.
fn certain(snapshot: &Snapshot) -> String {
    let known = &snapshot.completeness;
    if known.places == 0 {
        return "–".into();
    }
    let mut text = format!("{}/{}", count(known.certain), count(known.places));
    for (value, what) in [
        (known.offline, "offline"),
        (known.missing, "missing"),
        (known.dead_letters, "dead letters"),
        (known.late, "late"),
    ] {
        if value > 0 {
            text.extend([", ", &count(value), " ", what]);
        }
    }
    text
}

fn violations(snapshot: &Snapshot) -> String {
    let all: u64 = snapshot.violations.iter().map(|violation| violation.count).sum();
    if all == 0 {
        String::new()
    } else {
        format!(" VIOLATIONS {}", count(all))
    }
}

fn lag(snapshot: &Snapshot) -> String {
    // What waits beside the way of the stock is no transactions.
    let on_the_way = snapshot
        .stages
        .iter()
        .filter(|stage| stage.counts.noun().is_none());
    let known: Vec<u64> = on_the_way.filter_map(|stage| stage.lag).collect();
    if known.is_empty() {
        "–".into()
    } else {
        count(known.iter().sum())
    }
}

fn freshness(freshness: &FreshnessView) -> String {
    if freshness.count == 0 {
        "–".into()
    } else {
        format!("{} ms", count(freshness.p99))
    }
}

fn outbreak(fault: &FaultView) -> String {
    let lasted = fault
        .mended_at_s
        .map_or_else(String::new, |at| format!(" for {:.1} s", at - fault.broken_at_s));
    let right = match (fault.mended_at_s, fault.converged_after_s) {
        (None, _) => "never mended".to_owned(),
        (Some(_), Some(after)) => format!("all was in the view {after:.1} s after its mending"),
        (Some(_), None) => "the view did not come right".to_owned(),
    };
    format!(
        "broken   {}{lasted}, hit {}; {right}",
        fault.name,
        count(fault.hits)
    )
}

/// The verdict in full.
pub fn verdict(snapshot: &Snapshot, out: &mut impl Write) -> io::Result<()> {
    let Some(verdict) = &snapshot.verdict else {
        return Ok(());
    };
    writeln!(out)?;
    writeln!(
        out,
        "{} — {}, seed {}, {}",
        verdict.outcome.label(),
        snapshot.scenario,
        snapshot.seed,
        snapshot.backbone
    )?;
    for reason in &verdict.reasons {
        writeln!(out, "  {reason}")?;
    }
    for expectation in &snapshot.expectations {
        let mark = match expectation.met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "open",
        };
        writeln!(out, "  {mark:<8} {} ({})", expectation.text, expectation.detail)?;
    }
    for fault in &snapshot.faults {
        writeln!(out, "  {}", outbreak(fault))?;
    }
    for cell in verdict.diverging.iter().take(20) {
        writeln!(out, "  {cell}")?;
    }
    if verdict.diverging.len() > 20 {
        writeln!(out, "  … {} more in the report", verdict.diverging.len() - 20)?;
    }
    let proof = &snapshot.proof;
    writeln!(
        out,
        "  offered {} transactions, {} lines; handled {} transactions, {} lines",
        count(snapshot.offered.transactions),
        count(snapshot.offered.lines),
        count(snapshot.handled.transactions),
        count(snapshot.handled.lines),
    )?;
    for format in &verdict.formats {
        writeln!(out, "    {format}")?;
    }
    if !verdict.dirt.is_empty() {
        writeln!(out, "  dirt")?;
    }
    for kind in &verdict.dirt {
        writeln!(out, "    {kind}")?;
    }
    writeln!(
        out,
        "  cells compared {}, diverging {}, articles diverging {}; lost {}, doubled {}, duplicates dropped {}, dead letters {}; books {}",
        count(proof.cells_compared),
        count(proof.cells_diverging),
        count(proof.items_diverging),
        count(proof.transactions_lost),
        count(proof.transactions_doubled),
        count(proof.duplicates_dropped),
        count(proof.dead_letters),
        if proof.books_difference == 0 {
            "balance".to_owned()
        } else {
            format!("are off by {}", proof.books_difference)
        },
    )?;
    writeln!(out, "  anomalies: {}", anomalies_line(&snapshot.anomalies))?;
    for outage in &snapshot.outages {
        writeln!(out, "  {}", outage.sentence())?;
    }
    if proof.partitions_rebuilt + proof.zombie_writes_repaired + proof.recoveries + proof.partitions_unknown
        > 0
    {
        writeln!(
            out,
            "  inventory: {} partitions rebuilt, {} writes of former owners mended, {} recoveries, {} partitions unknown",
            count(proof.partitions_rebuilt),
            count(proof.zombie_writes_repaired),
            count(proof.recoveries),
            count(proof.partitions_unknown),
        )?;
    }
    let freshness = &snapshot.freshness;
    if freshness.count > 0 {
        writeln!(
            out,
            "  freshness p50 {} ms, p99 {} ms, max {} ms over {} lines",
            count(freshness.p50),
            count(freshness.p99),
            count(freshness.max),
            count(freshness.count),
        )?;
    }
    let resources = &snapshot.resources;
    writeln!(
        out,
        "  {} wall, {:.1} CPU seconds on {} cores, {} MiB at most",
        duration(snapshot.elapsed),
        resources.cpu_seconds,
        resources.cores,
        count(resources.rss_mib_max),
    )
}

//! Papers of deliveries at the end: the list of what contradicts, against the list that must come out.

use std::time::{Duration, Instant};

use audit::{AuditConfig, DiscrepancyReport, discrepancies};
use contracts::topics::PARTITIONS;

use super::extras::RECONCILER;
use super::run::Run;
use crate::format::count;

/// A reconciler outside that reads nothing more for so long does not read: none is there, or it stands still.
const STANDS_STILL: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What came of comparing the lists.
pub fn compare(run: &Run<'_>) -> Result<DiscrepancyReport, String> {
    if run.services.outside() {
        tokio::task::block_in_place(|| wait_for_the_reconciler(run))?;
    }
    let config = AuditConfig {
        settings: run.servers.kafka_settings.clone(),
        ..AuditConfig::new(run.servers.backbone.bootstrap())
    };
    let (deliveries, truth) = run.audit.true_deliveries();
    let found = tokio::task::block_in_place(|| discrepancies::read(&config));
    match found {
        Ok(found) => Ok(discrepancies::compare(deliveries, &truth, &found)),
        Err(error) => Err(format!("the list of discrepancies cannot be read: {error}")),
    }
}

/// Until a reconciler outside has read all papers, or reads no more. One inside was waited for with all the others.
fn wait_for_the_reconciler(run: &Run<'_>) -> Result<(), String> {
    let (group, topic) = RECONCILER;
    let probe = run
        .servers
        .backbone
        .lag_probe(group, topic, PARTITIONS)
        .map_err(|error| format!("how far the reconciler is cannot be asked: {error}"))?;
    let (mut last, mut moved) = (None, Instant::now());
    while moved.elapsed() < STANDS_STILL {
        let papers = probe.records();
        if papers == Some(0) {
            return Ok(());
        }
        if papers != last {
            (last, moved) = (papers, Instant::now());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    tracing::warn!(papers = last, "no reconciler reads the papers of deliveries");
    Ok(())
}

/// What no run may show.
pub fn wrong(compared: &Result<DiscrepancyReport, String>) -> Option<String> {
    let report = match compared {
        Ok(report) if report.is_exact() => return None,
        Ok(report) => report,
        Err(reason) => return Some(reason.clone()),
    };
    let first = [&report.missing, &report.unexpected, &report.different]
        .into_iter()
        .find_map(|list| list.first());
    Some(format!(
        "the list of contradicting deliveries is wrong: {} expected, {} found; {} missing, {} too many, {} with other lines{}",
        count(report.expected),
        count(report.found),
        count(report.missing.len() as u64),
        count(report.unexpected.len() as u64),
        count(report.different.len() as u64),
        match first {
            Some(_) if report.found == 0 => "; does a reconciler run?".to_owned(),
            Some(advice) => format!("; the first has advice {advice}"),
            None => String::new(),
        }
    ))
}

/// For the verdict, where there is anything to say.
pub fn sentence(compared: &Result<DiscrepancyReport, String>) -> Option<String> {
    let report = compared.as_ref().ok().filter(|report| report.expected > 0)?;
    Some(format!(
        "papers of {} of {} deliveries contradict each other, and the view lists {} of them",
        count(report.expected),
        count(report.deliveries),
        count(report.found)
    ))
}

//! Papers of deliveries at the end: the list of what contradicts, against the list that must come out.

use audit::{AuditConfig, DiscrepancyReport, discrepancies};

use super::run::Run;
use crate::format::count;

/// What came of comparing the lists; `None`: nobody here looked.
pub fn compare(run: &Run<'_>) -> Option<Result<DiscrepancyReport, String>> {
    if run.services.outside() {
        return None;
    }
    let config = AuditConfig {
        settings: run.servers.kafka_settings.clone(),
        ..AuditConfig::new(run.servers.backbone.bootstrap())
    };
    let (deliveries, truth) = run.audit.true_deliveries();
    let found = tokio::task::block_in_place(|| discrepancies::read(&config));
    Some(match found {
        Ok(found) => Ok(discrepancies::compare(deliveries, &truth, &found)),
        Err(error) => Err(format!("the list of discrepancies cannot be read: {error}")),
    })
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
        first.map_or_else(String::new, |advice| format!("; the first has advice {advice}"))
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

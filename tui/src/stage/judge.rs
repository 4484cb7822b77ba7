//! From what was found to the outcome and its reasons. Pure.
//!
//! Invariant: a class of anomalies that is not zero, a violation that was seen live, an outage that lost something or never
//! recovered: each alone makes a run FAIL, and none is only mentioned.

use audit::{AuditReport, DiscrepancyReport};
use contracts::ids::Quantity;

use super::anomalies::{self, AnomalyView};
use super::deliveries;
use super::outages::OutageView;
use super::safety::ViolationView;
use crate::format::count;
use crate::report::Pacing;
use crate::snapshot::{ExpectationView, Outcome};

/// What the judgement rests on.
pub struct Case<'a> {
    pub report: &'a AuditReport,
    pub anomalies: &'a [AnomalyView],
    pub violations: &'a [ViolationView],
    pub outages: &'a [OutageView],
    pub expectations: &'a [ExpectationView],
    pub pacing: &'a Pacing,
    /// The list of contradicting deliveries, against the one that must come out.
    pub deliveries: &'a Result<DiscrepancyReport, String>,
    /// What is wrong with the count of dirt.
    pub dirt: &'a [String],
    /// What did not go as the scenario has it.
    pub wrongs: &'a [String],
    /// Of the scenario: steps that were not reached, faults that never happened.
    pub not_shown: &'a [String],
    /// What was sent has arrived.
    pub drained: bool,
    pub broker_is_full: bool,
    pub interrupted: bool,
}

/// The outcome, and sentences, the weightiest first.
pub fn judge(case: &Case<'_>) -> (Outcome, Vec<String>) {
    let report = case.report;
    let mut reasons = wrong(case);
    let is_wrong = !reasons.is_empty();
    let pacing = case.pacing;
    if !pacing.kept {
        reasons.push(format!(
            "the generator did not keep its schedule: {:.0} of {:.0} transactions a second, p99 {} ms late; use a lower rate or a larger machine",
            pacing.achieved_transactions_per_s, pacing.offered_transactions_per_s, pacing.late_ms_p99
        ));
    }
    let unmet: Vec<_> = case.expectations.iter().filter(|e| e.met != Some(true)).collect();
    for expectation in &unmet {
        reasons.push(format!("not met: {} ({})", expectation.text, expectation.detail));
    }
    let not_shown = if case.interrupted { &[] } else { case.not_shown };
    reasons.extend_from_slice(not_shown);
    let outcome = if is_wrong {
        Outcome::Fail
    } else if case.interrupted {
        Outcome::Interrupted
    } else if !pacing.kept {
        Outcome::Invalid
    } else if !unmet.is_empty() || !not_shown.is_empty() {
        Outcome::Fail
    } else {
        Outcome::Pass
    };
    if outcome == Outcome::Pass {
        reasons.push(format!(
            "all {} cells and {} articles equal the truth: nothing lost, nothing counted twice",
            count(report.cells_compared),
            count(report.items_compared)
        ));
    }
    if let Some(yielded) = pacing.yielded {
        reasons.push(format!(
            "this machine took {} receipts a second of {} asked for, over {:.0} s: the load yielded",
            count(yielded.given_per_s.round() as u64),
            count(yielded.asked_per_s.round() as u64),
            yielded.seconds
        ));
    }
    if outcome == Outcome::Interrupted {
        reasons.insert(
            0,
            format!(
                "ended early; all {} cells sent so far equal the truth",
                count(report.cells_compared)
            ),
        );
    }
    (outcome, reasons)
}

/// What no run may show.
fn wrong(case: &Case<'_>) -> Vec<String> {
    let report = case.report;
    let mut reasons = Vec::new();
    if !case.drained {
        reasons.push(if case.broker_is_full {
            "what was sent did not arrive: the embedded broker's memory is full; give it more with --memory"
                .to_owned()
        } else {
            "what was sent did not arrive: something on the way stands still".to_owned()
        });
    }
    if !case.interrupted && report.cells_compared == 0 {
        reasons.push("nothing happened in any cell, so nothing was compared".to_owned());
    }
    reasons.extend_from_slice(case.wrongs);
    if report.cells_diverging > 0 {
        reasons.push(format!(
            "{} of {} cells differ from the truth",
            count(report.cells_diverging),
            count(report.cells_compared)
        ));
    }
    reasons.extend(deliveries::wrong(case.deliveries));
    reasons.extend_from_slice(case.dirt);
    reasons.extend(anomalies::found(case.anomalies).map(AnomalyView::sentence));
    reasons.extend(case.violations.iter().map(ViolationView::sentence));
    reasons.extend(
        case.outages
            .iter()
            .filter(|outage| outage.is_bad())
            .map(OutageView::sentence),
    );
    if report.cells_by_kind.stale > 0 {
        reasons.push(format!(
            "{} cells are stale: an older state was written over a newer one",
            count(report.cells_by_kind.stale)
        ));
    }
    if let Some(place) = report.stale_places.first() {
        reasons.push(format!(
            "what is known of {} places is stale, the first {place}: an older record stands behind a newer one",
            count(report.completeness.stale)
        ));
    }
    if let Some(claim) = report.false_claims.first() {
        reasons.push(format!(
            "completeness lies for {} sources, the first {}: said to be complete up to {}, {}",
            count(report.completeness_false),
            claim.source,
            claim.claimed,
            claim
                .happened
                .map_or_else(|| "which never wrote".to_owned(), |last| format!("wrote {last}"))
        ));
    }
    if let Some(first) = report.unknown_sources.first().filter(|_| case.drained) {
        reasons.push(format!(
            "of {} sources the view does not know how far they wrote, the first {}: {} of {}",
            count(report.sources_unknown),
            first.source,
            first
                .known
                .map_or_else(|| "nothing".to_owned(), |number| format!("up to {number}")),
            first.wrote
        ));
    }
    if let Some(gap) = report.unreported_gaps.first() {
        reasons.push(format!(
            "{} sources lost numbers that the view does not report, the first {}: {} from {} on",
            count(report.gaps_unreported),
            gap.source,
            count(gap.numbers),
            gap.first
        ));
    }
    if let Some(claim) = report.late_claims.first() {
        reasons.push(format!(
            "{} sources are said to be complete until too late an instant, the first {}, which lacks {}",
            count(report.completeness_too_late),
            claim.source,
            claim.lacks
        ));
    }
    if report.numbers_missing_unexplained > 0 {
        reasons.push(format!(
            "{} numbers are missing that no source lost",
            count(report.numbers_missing_unexplained)
        ));
    }
    if report.unexplained_cells > 0 {
        reasons.push(format!(
            "{} cells differ by lines that cannot be told apart, so more transactions may be to blame than are named",
            count(report.unexplained_cells)
        ));
    }
    if report.items_diverging > 0 {
        let first = report.diverging_items.first();
        reasons.push(format!(
            "{} article totals are wrong{}",
            count(report.items_diverging),
            first.map_or_else(String::new, |item| {
                format!(", the first {}: {}", item.sku, item.kind.name())
            })
        ));
    }
    if report.books_difference != 0 {
        reasons.push(format!(
            "the books are off by {}",
            Quantity(report.books_difference)
        ));
    }
    if report.records.undecodable + report.records.misplaced > 0 {
        reasons.push(format!(
            "{} records of the view cannot be read, {} belong to no cell",
            count(report.records.undecodable),
            count(report.records.misplaced)
        ));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use audit::Seen;

    use super::*;

    fn outage(rpo: u64) -> OutageView {
        OutageView {
            name: "inventory stopped".into(),
            began_s: 3.0,
            acknowledged: 900,
            lasted_ms: Some(4_000),
            rto_ms: Some(5_000),
            heal_to_converged_ms: Some(1_000),
            cells_behind: 0,
            rpo_transactions: Some(rpo),
        }
    }

    /// Something was, and nothing is wrong with it.
    fn compared() -> AuditReport {
        AuditReport {
            cells_compared: 7,
            ..AuditReport::default()
        }
    }

    /// What a case says beside the audit.
    struct Told<'a> {
        violations: &'a [ViolationView],
        outages: &'a [OutageView],
        wrongs: &'a [String],
        not_shown: &'a [String],
        interrupted: bool,
    }

    const NOTHING: Told<'static> = Told {
        violations: &[],
        outages: &[],
        wrongs: &[],
        not_shown: &[],
        interrupted: false,
    };

    fn judged_with(report: &AuditReport, told: &Told<'_>) -> (Outcome, Vec<String>) {
        let anomalies = anomalies::of(report);
        judge(&Case {
            report,
            anomalies: &anomalies,
            violations: told.violations,
            outages: told.outages,
            expectations: &[],
            pacing: &Pacing {
                kept: true,
                ..Pacing::default()
            },
            deliveries: &Ok(DiscrepancyReport::default()),
            dirt: &[],
            wrongs: told.wrongs,
            not_shown: told.not_shown,
            drained: true,
            broker_is_full: false,
            interrupted: told.interrupted,
        })
    }

    fn judged(
        report: &AuditReport,
        violations: &[ViolationView],
        outages: &[OutageView],
    ) -> (Outcome, Vec<String>) {
        judged_with(
            report,
            &Told {
                violations,
                outages,
                ..NOTHING
            },
        )
    }

    #[test]
    fn a_run_that_shows_nothing_wrong_passes() {
        let (outcome, reasons) = judged(&compared(), &[], &[outage(0)]);
        assert_eq!(outcome, Outcome::Pass);
        assert_eq!(reasons.len(), 1, "{reasons:?}");
    }

    #[test]
    fn a_violation_that_was_seen_once_fails_though_all_is_right_in_the_end() {
        let violation = ViolationView {
            what: "a cell ahead of the truth",
            count: 1,
            first: "S0042/100234: the view has 13 lines where 12 happened".into(),
            first_s: 12.0,
            first_simulated_ms: 0,
            in_an_outage: true,
        };
        let (outcome, reasons) = judged(&compared(), &[violation], &[]);
        assert_eq!(outcome, Outcome::Fail);
        assert!(reasons[0].contains("S0042/100234"), "{reasons:?}");
    }

    #[test]
    fn every_class_of_anomalies_fails_and_names_its_first() {
        let mut report = compared();
        report.live.reordered = Seen {
            count: 2,
            first: Some("S0042/100234: epoch 3 offset 5 behind epoch 3 offset 9".into()),
        };
        let (outcome, reasons) = judged(&report, &[], &[]);
        assert_eq!(outcome, Outcome::Fail);
        assert_eq!(
            reasons,
            ["reordered: 2, the first S0042/100234: epoch 3 offset 5 behind epoch 3 offset 9"]
        );
    }

    #[test]
    fn an_outage_that_lost_something_or_never_recovered_fails() {
        for bad in [
            outage(1),
            OutageView {
                rto_ms: None,
                ..outage(0)
            },
            OutageView {
                heal_to_converged_ms: None,
                ..outage(0)
            },
        ] {
            let (outcome, reasons) = judged(&compared(), &[], &[bad]);
            assert_eq!(outcome, Outcome::Fail);
            assert!(reasons[0].contains("inventory stopped"), "{reasons:?}");
        }
    }

    #[test]
    fn a_run_that_compared_nothing_says_nothing_good() {
        let (outcome, reasons) = judged(&AuditReport::default(), &[], &[]);
        assert_eq!(outcome, Outcome::Fail, "{reasons:?}");
        // Who ends it before has not been promised anything.
        let told = Told {
            interrupted: true,
            ..NOTHING
        };
        assert_eq!(
            judged_with(&AuditReport::default(), &told).0,
            Outcome::Interrupted
        );
    }

    #[test]
    fn what_went_otherwise_than_the_scenario_has_it_fails() {
        let sentence = ["normaliser failed: it panicked".to_owned()];
        let wrong = Told {
            wrongs: &sentence,
            ..NOTHING
        };
        let not_shown = Told {
            not_shown: &sentence,
            ..NOTHING
        };
        for told in [&wrong, &not_shown] {
            let (outcome, reasons) = judged_with(&compared(), told);
            assert_eq!((outcome, &reasons[..]), (Outcome::Fail, &sentence[..]));
        }
        let ended_early = Told {
            interrupted: true,
            ..not_shown
        };
        assert_eq!(judged_with(&compared(), &ended_early).0, Outcome::Interrupted);
        let ended_early = Told {
            interrupted: true,
            ..wrong
        };
        assert_eq!(judged_with(&compared(), &ended_early).0, Outcome::Fail);
    }

    #[test]
    fn a_source_that_the_view_does_not_know_fails() {
        let source = contracts::ids::SourceId {
            location: contracts::ids::LocationId::store(42),
            kind: contracts::records::SourceKind::Till,
            unit: 3,
        };
        let report = AuditReport {
            sources_unknown: 1,
            unknown_sources: vec![audit::UnknownSource {
                source,
                wrote: 17,
                known: Some(12),
            }],
            ..compared()
        };
        let (outcome, reasons) = judged(&report, &[], &[]);
        assert_eq!(outcome, Outcome::Fail);
        assert!(reasons[0].contains("up to 12 of 17"), "{reasons:?}");
    }
}

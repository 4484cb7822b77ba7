//! Anomalies by the names that Jepsen gives them, and those that are ours: each class with its count, zero or not, and the
//! first that it hit. What each means here is in `docs/anomalies.md`.
//!
//! Invariant: it names and counts what the audit found, and finds nothing itself.

use audit::{AuditReport, Named};
use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnomalyView {
    pub class: &'static str,
    pub count: u64,
    /// A transaction, or a cell or source where transactions cannot be told.
    pub first: Option<String>,
}

impl AnomalyView {
    pub fn sentence(&self) -> String {
        let first = self
            .first
            .as_ref()
            .map_or_else(String::new, |first| format!(", the first {first}"));
        format!("{}: {}{first}", self.class, crate::format::count(self.count))
    }
}

fn of_transactions(class: &'static str, named: &Named) -> AnomalyView {
    AnomalyView {
        class,
        count: named.count,
        first: named.ids.first().map(ToString::to_string),
    }
}

/// All classes, in the order in which they are printed.
pub fn of(report: &AuditReport) -> Vec<AnomalyView> {
    let live = &report.live;
    let stale = &report.transactions_stale;
    let claims = &report.false_claims;
    vec![
        of_transactions("lost", &report.transactions_lost),
        of_transactions("duplicated", &report.transactions_doubled),
        AnomalyView {
            class: "reordered",
            count: live.reordered.count,
            first: live.reordered.first.clone(),
        },
        of_transactions("torn", &report.transactions_torn),
        AnomalyView {
            class: "stale read",
            count: stale.count.max(report.cells_by_kind.stale)
                + live.rolled_back.count
                + report.completeness.stale,
            first: stale
                .ids
                .first()
                .map(ToString::to_string)
                .or_else(|| live.rolled_back.first.clone())
                .or_else(|| report.stale_places.first().map(ToString::to_string)),
        },
        of_transactions("altered", &report.transactions_altered),
        of_transactions("misrouted", &report.transactions_misrouted),
        AnomalyView {
            class: "false claim",
            count: report.completeness_false,
            first: claims.first().map(|claim| claim.source.to_string()),
        },
    ]
}

/// One line that holds them all: `lost 0, duplicated 0, …`.
pub fn line(anomalies: &[AnomalyView]) -> String {
    let all: Vec<_> = anomalies
        .iter()
        .map(|anomaly| format!("{} {}", anomaly.class, crate::format::count(anomaly.count)))
        .collect();
    all.join(", ")
}

/// Those that make a run fail: every class.
pub fn found(anomalies: &[AnomalyView]) -> impl Iterator<Item = &AnomalyView> {
    anomalies.iter().filter(|anomaly| anomaly.count > 0)
}

#[cfg(test)]
mod tests {
    use audit::Seen;
    use contracts::ids::{BusinessDay, LocationId, SourceId, TransactionId};

    use super::*;

    #[test]
    fn every_class_is_printed_zero_or_not() {
        let clean = of(&AuditReport::default());
        assert_eq!(
            line(&clean),
            "lost 0, duplicated 0, reordered 0, torn 0, stale read 0, altered 0, misrouted 0, false claim 0"
        );
        assert_eq!(found(&clean).count(), 0);
    }

    #[test]
    fn each_class_names_the_first_that_it_hit() {
        let id = TransactionId {
            source: SourceId::till(LocationId::store(42), 3),
            business_day: BusinessDay(20_528),
            number: 118,
        };
        let named = Named {
            count: 2,
            ids: vec![id],
        };
        let mut report = AuditReport {
            transactions_lost: named.clone(),
            transactions_torn: named,
            ..AuditReport::default()
        };
        report.live.reordered = Seen {
            count: 1,
            first: Some("S0042/100234: epoch 3 offset 5 behind epoch 3 offset 9".into()),
        };
        report.live.rolled_back = Seen {
            count: 1,
            first: Some("S0042/100234: 11 lines after 12".into()),
        };
        let anomalies = of(&report);
        let hit: Vec<_> = found(&anomalies).map(|anomaly| anomaly.class).collect();
        assert_eq!(hit, ["lost", "reordered", "torn", "stale read"]);
        assert_eq!(
            anomalies[0].first.as_deref(),
            Some("S0042/till/3#20528/118"),
            "{anomalies:?}"
        );
    }
}

//! The verdict: every cell compared, expectations judged, the report written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::UNIX_EPOCH;

use audit::{AuditReport, AuditSnapshot};
use contracts::ids::{Quantity, TransactionId};
use world::World;
use world::events::{Message, PlaceEvents};

use super::damage::{Damaged, SabotageView};
use super::digests::{self, Points, StagesDigest};
use super::facts::Missing;
use super::judge::{Case, judge};
use super::run::Run;
use super::view::{freshness_view, recovery};
use super::{anomalies, completeness, deliveries, dirt, formats};
use crate::format::count;
use crate::report::{
    Amount, Amounts, AuditView, CompletenessReport, DeadLetters, DivergingCell, Ended, Pacing, Recovery,
    Report, Resources, Run as RunOf, SCHEMA_VERSION, Safety,
};
use crate::resources;
use crate::snapshot::{Outcome, ProofView, Snapshot, VerdictView};
use crate::world_of;

const LISTED_MAX: usize = 100;
/// A generator that is later than this for one message in a hundred did not keep its schedule.
const LATE_MS_P99_MAX: u64 = 250;
/// And one that released less than this share of what was due.
const KEPT_SHARE: f64 = 0.99;
const OPENING_PLACES: usize = 100;

pub fn give(run: &mut Run<'_>, drained: bool) -> Ended {
    let wall_seconds = run.started.elapsed().as_secs_f64();
    let chosen = run.chosen.scenario.clone();
    let released = run.load.released_by_place();
    let planted = run.args.sabotage.map(|sabotage| sabotage.with_seed(chosen.seed));
    let mut damaged = planted.map(Damaged::new);
    let again = |take: &mut dyn FnMut(&PlaceEvents, &Message)| {
        if let Ok(world) = world_of::build(&chosen) {
            replay(world, chosen.opening, &released, run.load.replay(), take);
        }
    };
    let report = tokio::task::block_in_place(|| {
        if let Some(damaged) = &mut damaged {
            again(&mut |events, message| damaged.message(events, message));
        }
        run.audit.final_report(|take| {
            again(&mut |events, message| {
                for transaction in events.transactions_of(message) {
                    take(&transaction.id, transaction.at, events.lines_of(transaction));
                }
            });
        })
    });
    let examined = damaged.map(|damaged| damaged.examine(&report));
    let digests = digests(run, &report);
    run.marks.tell_missing(missing(&report));
    let audit = AuditSnapshot {
        cells_diverging: report.cells_diverging,
        ..(*run.audit.snapshot()).clone()
    };
    run.facts_at_end(&audit);

    let compared = deliveries::compare(run);
    let dirt = dirt::compare(run, &audit, &compared);
    let dirt_is_wrong = dirt.as_ref().map(dirt::wrong).unwrap_or_default();
    let pacing = pacing(run);
    let anomalies = anomalies::of(&report);
    let (outcome, mut reasons) = judge(&Case {
        report: &report,
        anomalies: &anomalies,
        violations: run.watch.safety.violations(),
        outages: run.watch.outages.views(),
        expectations: run.director.expectations(),
        pacing: &pacing,
        deliveries: &compared,
        dirt: &dirt_is_wrong,
        drained,
        broker_is_full: run.servers.broker_throttled() > 0,
        interrupted: run.interrupted,
    });
    reasons.extend(deliveries::sentence(&compared));
    reasons.extend(dirt::sentence(dirt.as_ref()));
    reasons.extend(completeness::sentences(
        &run.watch.completeness.view(&audit),
        &report.places_incomplete,
        run.load.snapshot().simulated,
    ));
    if outcome == Outcome::Fail {
        reasons.extend(digests.sentences());
    }
    reasons.extend(examined.as_ref().map(exam));
    let verdict = VerdictView {
        outcome,
        reasons,
        diverging: diverging(&report),
        formats: formats::sentences(&run.load.formats()),
        dirt: dirt::table(dirt.as_ref()),
    };
    let proof = ProofView {
        cells_compared: report.cells_compared,
        cells_diverging: report.cells_diverging,
        items_diverging: report.items_diverging,
        transactions_lost: report.transactions_lost.count,
        transactions_doubled: report.transactions_doubled.count,
        books_difference: report.books_difference,
        in_transit_view: audit.in_transit_view,
        in_transit_truth: audit.in_transit_truth,
        discrepancies: compared.as_ref().map_or(0, |report| report.found),
        dead_letters: run.dead_letters(),
        duplicates_dropped: run
            .services
            .counters
            .inventory
            .repeats
            .load(std::sync::atomic::Ordering::Relaxed),
        negative_cells: report.cells_negative,
        former_owners_records: report.live.of_former_owners.count,
        ..recovery(ProofView::default(), &run.services.counters.inventory)
    };
    let at_end = AuditSnapshot {
        freshness: audit.freshness_total,
        ..audit.clone()
    };
    let snapshot = run.publish_end(&at_end, proof, anomalies, verdict.clone());
    let mut unwritten = None;
    if let Some(path) = run.args.report.clone() {
        let mut written = written(run, &snapshot, &report, &audit, pacing, verdict, wall_seconds);
        written.stages_digest = Some(digests);
        written.sabotage = examined;
        written.deliveries = compared.ok();
        written.dirt = dirt::view(dirt);
        written.items_projected = run.services.counters.projector.snapshot().items;
        unwritten = written.write(&path).err();
    }
    Ended { outcome, unwritten }
}

/// What the audit found to be missing from the view for good.
fn missing(report: &AuditReport) -> Missing {
    let classes = [
        &report.transactions_lost,
        &report.transactions_misrouted,
        &report.transactions_stale,
    ];
    let named: BTreeSet<TransactionId> = classes
        .iter()
        .flat_map(|class| class.first.iter().copied())
        .collect();
    let unnamed = classes
        .iter()
        .map(|class| class.count.saturating_sub(class.first.len() as u64))
        .sum();
    Missing {
        named: named.into_iter().collect(),
        unnamed,
    }
}

/// Plays the same world again: the opening stock, and of each place as many messages as it had released, as its sources
/// wrote them and but for those that they lost.
fn replay(
    mut world: World,
    opening: bool,
    released: &[u64],
    mut as_written: load::Replay,
    take: &mut dyn FnMut(&PlaceEvents, &Message),
) {
    if opening {
        while let Some(part) = world.opening_part(OPENING_PLACES) {
            for events in &part.places {
                for message in &events.messages {
                    take(events, message);
                }
            }
        }
    } else {
        world.opening();
    }
    let mut left: Vec<usize> = released.iter().map(|count| *count as usize).collect();
    while left.iter().any(|count| *count > 0) {
        let mut step = world.step(2);
        for (place, (events, left)) in step.places.iter_mut().zip(&mut left).enumerate() {
            let messages = events.messages.len().min(*left);
            for index in 0..messages {
                if as_written.next(place, events, index) {
                    take(events, &events.messages[index]);
                }
            }
            *left -= messages;
        }
        world.recycle(step);
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

fn names(named: &audit::Named) -> Vec<String> {
    named
        .first
        .iter()
        .take(LISTED_MAX)
        .map(ToString::to_string)
        .collect()
}

fn digests(run: &Run<'_>, report: &AuditReport) -> StagesDigest {
    let raw = run.services.counters.normaliser.digest();
    let movements = run.services.counters.inventory.digest();
    digests::compare(&Points {
        source: &run.load.digest(),
        raw: &raw.minutes,
        raw_unreadable: raw.unreadable,
        movements: &movements.minutes,
        movements_unreadable: movements.unreadable,
        repeats: &movements.repeats,
        view_less_truth: &report.view_less_truth,
        view_unexplained_cells: report.unexplained_cells,
    })
}

/// What was planted, and how much of it the audit found.
fn exam(examined: &SabotageView) -> String {
    let SabotageView {
        planted,
        damaged,
        found,
        ..
    } = examined;
    if *damaged == 0 {
        format!("planted {planted}: nothing was hit; take a larger share, or another seed")
    } else if examined.expected == "red" {
        format!(
            "planted {planted}: {} damaged, {} of them named",
            count(*damaged),
            count(*found)
        )
    } else {
        format!(
            "planted {planted}: {} repeats sent, to be dropped by the windows",
            count(*damaged + examined.hit_without_lines)
        )
    }
}

fn pacing(run: &Run<'_>) -> Pacing {
    let sent = run.load.snapshot();
    let unthrottled = run.chosen.scenario.load == scenario::Load::Unthrottled;
    let kept = unthrottled
        || (sent.late_ms_p99 <= LATE_MS_P99_MAX
            && !sent.journal_full
            && sent.released_per_s >= sent.scheduled_per_s * KEPT_SHARE);
    Pacing {
        mode: match run.chosen.scenario.rates {
            _ if unthrottled => "unthrottled",
            scenario::Rates::AtMost => "at-most",
            scenario::Rates::Exact => "open-loop",
        }
        .into(),
        offered_transactions_per_s: if unthrottled {
            sent.released_per_s
        } else {
            sent.scheduled_per_s
        },
        achieved_transactions_per_s: sent.released_per_s,
        late_ms_p99: sent.late_ms_p99,
        late_ms_max: sent.late_ms_max,
        kept,
        yielded: run.yielded(),
    }
}

fn diverging(report: &AuditReport) -> Vec<String> {
    let cells = report.diverging.iter().map(|cell| {
        format!(
            "{}/{}: truth {}, view {}, {}",
            cell.location,
            cell.sku,
            Quantity(cell.truth),
            Quantity(cell.view),
            cell.kind.name()
        )
    });
    let items = report.diverging_items.iter().map(|item| {
        format!(
            "article {}: truth {} and {} in transit, view {} and {}",
            item.sku,
            Quantity(item.on_hand_truth),
            Quantity(item.in_transit_truth),
            Quantity(item.on_hand_view.unwrap_or_default()),
            Quantity(item.in_transit_view.unwrap_or_default())
        )
    });
    cells.chain(items).take(LISTED_MAX).collect()
}

fn written(
    run: &mut Run<'_>,
    snapshot: &Snapshot,
    audited: &AuditReport,
    audit: &AuditSnapshot,
    pacing: Pacing,
    verdict: VerdictView,
    wall_seconds: f64,
) -> Report {
    let sent = run.load.snapshot();
    let scenario = &run.chosen.scenario;
    let amount = |amount: load::Amount| Amount {
        transactions: amount.transactions,
        lines: amount.lines,
    };
    let offered = sent.offered();
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
        .load(std::sync::atomic::Ordering::Relaxed);
    if by_inventory > 0 {
        by_class.insert("refused-by-inventory".into(), by_inventory);
    }
    let by_mq_source = run
        .services
        .counters
        .mq_source
        .dead_letters
        .load(std::sync::atomic::Ordering::Relaxed);
    if by_mq_source > 0 {
        by_class.insert("refused-by-mq-source".into(), by_mq_source);
    }
    let used = snapshot.resources;
    let transactions = offered.transactions;
    Report {
        schema_version: SCHEMA_VERSION,
        run: RunOf {
            scenario: scenario.name.clone(),
            scenario_sha256: scenario::hash(&run.chosen.yaml),
            seed: scenario.seed,
            scale: format!("1/{}", run.chosen.scale),
            commit: option_env!("STOCKSTREAM_COMMIT").unwrap_or("unknown").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cores: used.cores,
            backbone: snapshot.backbone.to_string(),
            queue: run.servers.queue_label.clone(),
            started_at_ms: run
                .started_at
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as i64),
            wall_seconds,
            simulated_seconds: (sent.simulated.0 - run.first.0) as f64 / 1000.0,
            stores: u32::from(scenario.world.stores),
            warehouses: u32::from(scenario.world.warehouses),
            cells: audited.cells_compared,
            sabotage: run.args.sabotage.map(|sabotage| sabotage.to_string()),
        },
        offered: Amounts {
            transactions: offered.transactions,
            lines: offered.lines,
            by_source: BTreeMap::from([
                ("tills".to_owned(), amount(sent.tills)),
                ("queue".to_owned(), amount(sent.queue)),
                ("scans".to_owned(), amount(sent.scans)),
                ("opening".to_owned(), amount(sent.opening)),
            ]),
        },
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
        audit: AuditView {
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
        },
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
            by_class,
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
        warnings,
        verdict,
    }
}

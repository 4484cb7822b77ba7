//! The verdict: every cell compared, expectations judged, the report written.

use std::collections::BTreeSet;

use audit::{AuditReport, AuditSnapshot};
use contracts::ids::{Quantity, TransactionId};
use scenario::Fault;
use world::World;
use world::events::{Message, PlaceEvents};

use super::damage::{Damaged, SabotageView};
use super::digests::{self, Points, StagesDigest};
use super::facts::Missing;
use super::judge::{Case, judge};
use super::run::Run;
use super::view::recovery;
use super::{anomalies, completeness, deliveries, dirt, formats, written};
use crate::format::count;
use crate::report::{Ended, Pacing};
use crate::snapshot::{FaultView, Outcome, ProofView, VerdictView};
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
    let faults = run.fault_views();
    let mut not_shown = run.director.unreached();
    not_shown.extend(run.wrongs.never_happened(&faults));
    let mut wrongs = run.wrongs.sentences();
    wrongs.extend(poison_is_gone(run, &faults));
    if !run.opened && !run.interrupted {
        wrongs.push("the opening stock did not get into the view, so nothing was sold".to_owned());
    }
    let (outcome, mut reasons) = judge(&Case {
        report: &report,
        anomalies: &anomalies,
        violations: run.watch.safety.violations(),
        outages: run.watch.outages.views(),
        expectations: run.director.expectations(),
        pacing: &pacing,
        deliveries: &compared,
        dirt: &dirt_is_wrong,
        wrongs: &wrongs,
        not_shown: &not_shown,
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
    // What was sent twice is more in the raw topics than at its source, and no fault of a run that only was too slow.
    if outcome == Outcome::Fail && !report.is_clean() {
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
        let mut written = written::report(run, &snapshot, &report, &audit, pacing, verdict, wall_seconds);
        written.stages_digest = Some(digests);
        written.sabotage = examined;
        written.deliveries = compared.ok();
        written.dirt = dirt::view(dirt);
        written.items_projected = run.services.counters.projector.snapshot().items;
        unwritten = written.write(&path).err();
    }
    Ended { outcome, unwritten }
}

/// What cannot be read has to lie in the dead letters.
fn poison_is_gone(run: &Run<'_>, faults: &[FaultView]) -> Option<String> {
    let of_it = faults.iter().filter(|view| view.name == Fault::Poison.name());
    let poison: u64 = of_it.map(|view| view.hits).sum();
    let letters = run.dead_letters();
    (letters < poison).then(|| {
        format!(
            "{} messages of poison were sent, and {} dead letters are there",
            count(poison),
            count(letters)
        )
    })
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
        .flat_map(|class| class.ids.iter().copied())
        .collect();
    let unnamed = classes
        .iter()
        .map(|class| class.count.saturating_sub(class.ids.len() as u64))
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

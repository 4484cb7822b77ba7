//! Dirt: what the load injected of each kind, against what the services saw of it.
//!
//! Invariant: what was seen comes from topics and from the services' counters, never from the load. A kind that was not asked
//! for was injected 0 times, and may not be seen either.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::Result;
use audit::{AuditSnapshot, DiscrepancyReport};
use contracts::records::Article;
use load::{POISON_KINDS, Poison, SourceFault};
use scenario::{OneIn, Scenario};
use serde::Serialize;

use super::run::Run;
use crate::dlq::{self, LetterCounts};
use crate::format::count;

/// The class of letters that an article which comes into the catalogue heals.
const UNKNOWN_ITEM: &str = "unknown-item";

/// What is seen has to be what was injected, or at least that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Must {
    Equal,
    /// Something was broken, an upload failed, or a service read something again: that is seen too, and is no dirt.
    AtLeast,
}

/// One kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DirtRow {
    pub kind: &'static str,
    pub injected: u64,
    /// `null`: only the services' own counters say it, and they run elsewhere.
    pub seen: Option<u64>,
    pub must: Must,
    /// Of what the figures are, and where it was seen.
    pub seen_as: &'static str,
    /// Of poison: by kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<&'static str, KindRow>,
}

/// One kind of poison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KindRow {
    pub injected: u64,
    pub seen: u64,
    /// Of its dead letters.
    pub class: &'static str,
}

impl DirtRow {
    fn is_right(&self) -> bool {
        let is_right = |injected, seen| match self.must {
            Must::Equal => seen == injected,
            Must::AtLeast => seen >= injected,
        };
        let mut kinds = self.kinds.values();
        self.seen.is_none_or(|seen| is_right(self.injected, seen))
            && kinds.all(|kind| is_right(kind.injected, kind.seen))
    }
}

/// The load's rates.
pub fn of(scenario: &Scenario) -> Option<load::Dirt> {
    let dirt = scenario.dirt.as_ref()?;
    let rate = |rate: Option<OneIn>| rate.map_or(0, |rate| rate.one_in);
    let poison = &dirt.poison;
    Some(load::Dirt {
        duplicates: rate(dirt.duplicates),
        late: dirt.late.map_or(0, |late| late.one_in),
        late_ms: dirt.late.map_or((0, 0), |late| (late.from.ms, late.to.ms)),
        reordered: rate(dirt.reordered),
        missing_numbers: rate(dirt.missing_numbers),
        poison: [
            poison.ibm_4690,
            poison.poslog_6,
            poison.poslog_2,
            poison.queue,
            poison.scans,
        ]
        .map(rate),
        clock_skew: rate(dirt.clock_skew),
        unknown_articles: rate(dirt.unknown_articles),
    })
}

/// What the services saw.
#[derive(Clone, Debug, Default)]
struct Seen {
    duplicates: Option<u64>,
    double_beeps: Option<u64>,
    corrections_again: Option<u64>,
    clocks_off: Option<u64>,
    late: u64,
    reordered: u64,
    missing: u64,
    letters: LetterCounts,
    discrepancies: Option<u64>,
}

/// What the load did.
#[derive(Clone, Copy, Debug, Default)]
struct Injected {
    faults: load::SourceFaultCounts,
    /// Records that came from a second queue manager at a hand-over.
    handed_over: u64,
    contradictions: u64,
}

/// Every kind, where the scenario has dirt.
pub fn compare(
    run: &mut Run<'_>,
    audit: &AuditSnapshot,
    deliveries: &Result<DiscrepancyReport, String>,
) -> Option<Result<Vec<DirtRow>, String>> {
    run.chosen.scenario.dirt.as_ref()?;
    let letters = tokio::task::block_in_place(|| dlq::letters_by_format(&run.servers.backbone));
    let letters = match letters {
        Ok(letters) => letters,
        Err(error) => return Some(Err(format!("the dead letters cannot be read: {error:#}"))),
    };
    let sent = run.load.snapshot();
    let is_broken = run.args.sabotage.is_some()
        || run.fault_views().iter().any(|fault| fault.hits > 0)
        || !run.watch.outages.views().is_empty();
    let counters = &run.services.counters;
    let here = !run.services.outside();
    let deliveries = deliveries.as_ref().ok();
    let normaliser = counters.normaliser.snapshot();
    let was_again = sent.retries > 0
        || normaliser.recoveries > 0
        || counters.mq_source.redelivered.load(Relaxed) > 0
        || counters.inventory.recoveries.load(Relaxed) > 0;
    let must = if is_broken || was_again {
        Must::AtLeast
    } else {
        Must::Equal
    };
    let seen = Seen {
        duplicates: here.then(|| {
            let repeats = &counters.inventory.repeats;
            repeats.load(Relaxed)
        }),
        double_beeps: here.then(|| counters.normaliser.digest().double_beeps),
        corrections_again: here.then(|| counters.normaliser.digest().corrections_again),
        clocks_off: here.then_some(normaliser.clocks_off),
        late: audit.completeness.long_late,
        reordered: audit.completeness.reordered,
        missing: audit.completeness.missing,
        letters,
        discrepancies: deliveries.map(|report| report.found),
    };
    let injected = Injected {
        faults: run.load.source_faults(),
        handed_over: sent.handed_over,
        contradictions: deliveries.map_or(0, |report| report.expected),
    };
    Some(Ok(rows(&injected, &seen, must)))
}

fn rows(injected: &Injected, seen: &Seen, again: Must) -> Vec<DirtRow> {
    let faults = &injected.faults;
    let transactions = |fault| faults.of(fault).transactions;
    let mut letters = seen.letters.clone();
    let unknown = take(&mut letters, |_, class| class == UNKNOWN_ITEM);
    let row = |kind, injected, seen, must, seen_as| DirtRow {
        kind,
        injected,
        seen,
        must,
        seen_as,
        kinds: BTreeMap::new(),
    };
    let mut rows = vec![
        row(
            "duplicates",
            transactions(SourceFault::Duplicate) + injected.handed_over,
            seen.duplicates,
            again,
            "transactions that the windows dropped as repeats; a hand-over of queue managers repeats some too",
        ),
        row(
            "late",
            transactions(SourceFault::Late),
            Some(seen.late),
            Must::Equal,
            "transactions that filled a gap of their window five minutes or more behind, by their source's clock",
        ),
        row(
            "reordered",
            transactions(SourceFault::Reordered),
            Some(seen.reordered),
            Must::Equal,
            "transactions that filled a gap of their window, less than five minutes behind",
        ),
        row(
            "missing_numbers",
            transactions(SourceFault::MissingNumber),
            Some(seen.missing),
            Must::Equal,
            "numbers that the view reports as missing from their place",
        ),
    ];
    for poison in Poison::ALL {
        let (kind, seen_as) = name_of(poison);
        let kinds = poison.kinds().map(|index| {
            let kind = &POISON_KINDS[index];
            let of_it = letters
                .iter()
                .filter(|((format, class), _)| format == poison.format() && class == kind.class);
            let row = KindRow {
                injected: faults.poison_by_kind[index],
                seen: of_it.map(|(_, letters)| letters).sum(),
                class: kind.class,
            };
            (kind.name, row)
        });
        let kinds = kinds.collect();
        let found = take(&mut letters, |format, _| format == poison.format());
        let injected = faults.poison_of_format(poison);
        rows.push(DirtRow {
            kinds,
            ..row(kind, injected, Some(found), again, seen_as)
        });
    }
    rows.extend([
        row(
            "clock_skew",
            faults.tills_off,
            seen.clocks_off,
            Must::Equal,
            "tills whose clock differs from their store's server's, as the normaliser sees it",
        ),
        row(
            "unknown_articles",
            faults.unknown_articles,
            Some(unknown),
            again,
            "dead letters of class unknown-item, which were put back at the end",
        ),
        row(
            "double_beeps",
            faults.double_beeps,
            seen.double_beeps,
            again,
            "lines of scans that the normaliser took for a beep too many",
        ),
        row(
            "repeated_corrections",
            faults.corrections_again,
            seen.corrections_again,
            again,
            "events of scans that the normaliser took for a correction made before",
        ),
        row(
            "contradicting_deliveries",
            injected.contradictions,
            seen.discrepancies,
            Must::Equal,
            "despatch advices that the reconciler lists as contradicting",
        ),
        row(
            "other_dead_letters",
            0,
            Some(letters.values().sum()),
            again,
            "dead letters that no dirt explains",
        ),
    ]);
    rows
}

/// The letters that are meant, counted, which are then none of the others.
fn take(letters: &mut LetterCounts, is_meant: impl Fn(&str, &str) -> bool) -> u64 {
    let mut found = 0;
    letters.retain(|(format, class), letters| {
        let is_meant = is_meant(format, class);
        found += if is_meant { *letters } else { 0 };
        !is_meant
    });
    found
}

const fn name_of(poison: Poison) -> (&'static str, &'static str) {
    match poison {
        Poison::Ibm4690 => ("poison.ibm_4690", "dead letters of format ibm-4690"),
        Poison::Poslog6 => ("poison.poslog_6", "dead letters of format poslog-6.0"),
        Poison::Poslog2 => ("poison.poslog_2", "dead letters of format poslog-2.2.1"),
        Poison::Queue => ("poison.queue", "dead letters of format copybook-037"),
        Poison::Scan => ("poison.scans", "dead letters of format epcis-2.0"),
    }
}

/// What no run may show.
pub fn wrong(compared: &Result<Vec<DirtRow>, String>) -> Vec<String> {
    let rows = match compared {
        Ok(rows) => rows,
        Err(reason) => return vec![reason.clone()],
    };
    let differ = rows.iter().filter(|row| !row.is_right());
    differ
        .map(|row| {
            format!(
                "dirt is not accounted for: {} {} injected, {} seen{} ({})",
                row.kind,
                count(row.injected),
                shown(row.seen),
                of_kinds(row),
                row.seen_as
            )
        })
        .collect()
}

/// Of poison, each kind.
fn of_kinds(row: &DirtRow) -> String {
    let kinds = row
        .kinds
        .iter()
        .map(|(name, kind)| format!("{name} {} of {}", count(kind.seen), count(kind.injected)));
    let kinds: Vec<String> = kinds.collect();
    if kinds.is_empty() {
        String::new()
    } else {
        format!(": {}", kinds.join(", "))
    }
}

/// For the verdict.
pub fn sentence(compared: Option<&Result<Vec<DirtRow>, String>>) -> Option<String> {
    let rows = compared?.as_ref().ok()?;
    let injected = rows.iter().filter(|row| row.injected > 0);
    let differ = rows.iter().filter(|row| !row.is_right()).count();
    (differ == 0).then(|| {
        format!(
            "dirt of {} kinds, {} times in all, and the services saw each of them as often",
            injected.clone().count(),
            count(injected.map(|row| row.injected).sum())
        )
    })
}

/// A line for each kind.
pub fn table(compared: Option<&Result<Vec<DirtRow>, String>>) -> Vec<String> {
    let rows = compared.and_then(|compared| compared.as_ref().ok());
    let line = |row: &DirtRow| {
        let mark = match (row.is_right(), row.must, row.seen) {
            (_, _, None) => "not seen here",
            (false, ..) => "DIFFERS",
            (true, Must::Equal, _) => "equal",
            (true, Must::AtLeast, _) => "at least",
        };
        format!(
            "{:<24} injected {:>7}  seen {:>7}  {mark}",
            row.kind,
            count(row.injected),
            shown(row.seen),
        )
    };
    rows.into_iter().flatten().map(line).collect()
}

fn shown(seen: Option<u64>) -> String {
    seen.map_or_else(|| "–".to_owned(), count)
}

impl Run<'_> {
    /// The catalogue gets the second numbers by which messages name articles, and what could not be read goes back. `false`:
    /// there are none, or it was done.
    pub async fn release_second_numbers(&mut self) -> bool {
        if self.articles.is_empty() {
            return false;
        }
        let new = self.load.new_numbers();
        let articles = std::mem::take(&mut self.articles);
        let with_second = |article: Article| Article {
            other_gtins: world::second_gtin(article.gtin).into_iter().collect(),
            ..article
        };
        let renumbered = articles.into_iter().filter(|article| new.contains(&article.sku));
        self.held_articles = renumbered.map(with_second).collect();
        if self.held_articles.is_empty() {
            return false;
        }
        if let Err(reason) = self.release_articles().await {
            self.wrongs.refused(reason);
        }
        if let Err(reason) = self.put_back(UNKNOWN_ITEM.to_owned()).await {
            self.wrongs.refused(reason);
        }
        true
    }
}

/// For the report, by kind.
pub fn view(compared: Option<Result<Vec<DirtRow>, String>>) -> Option<BTreeMap<&'static str, DirtRow>> {
    let rows = compared?.ok()?;
    Some(rows.into_iter().map(|row| (row.kind, row)).collect())
}

#[cfg(test)]
mod tests;

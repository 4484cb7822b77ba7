//! What is wrong with a view is found and named exactly, and a view that is right raises no alarm.

use std::collections::BTreeSet;

use crate::support::{
    self, Acme, Cells, Random, cell_of, feed, item_written, items, listed, other_partition, records, written,
};
use audit::{AuditReport, Comparison, Divergence, LISTED_MAX};
use contracts::ids::TransactionId;
use contracts::records::{Cell, ItemTotal};
use ledger::{Ledger, Line};
use prost::Message as _;

const SEEDS: std::ops::Range<u64> = 0..20;

fn is_named(report: &AuditReport, acme: &Acme, view: &Ledger) {
    assert!(!report.is_clean());
    let differing = acme.differing(view);
    assert_eq!(report.cells_diverging, differing.len() as u64);
    let first: Cells = differing.into_iter().take(LISTED_MAX).collect();
    assert_eq!(listed(report), first);
    assert_eq!(report.unexplained_cells, 0);
    assert_eq!(report.replay_differs, 0);
}

#[test]
fn clean_runs_raise_no_alarm() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 600);
        let mut random = Random(seed ^ 0xc1ea);
        let mut comparison = Comparison::new(&acme.truth);
        let view = Ledger::new(&acme.assortments);
        // Records of every state on the way, some of them twice, some late.
        let mut late = Vec::new();
        for (offset, transaction) in acme.transactions.iter().enumerate() {
            view.place(transaction.place)
                .apply(&transaction.id, &transaction.lines);
            for line in &transaction.lines {
                let place = view.place(transaction.place);
                let cell = cell_of(&place.cells[usize::from(line.slot)], 1, offset as u64 + 1);
                let record = written(place.location, line.sku, &cell);
                if random.below(10) == 0 {
                    late.push(record.clone());
                }
                if random.below(10) == 0
                    && let Some(older) = late.last()
                {
                    feed(&mut comparison, std::slice::from_ref(older), &[]);
                }
                feed(&mut comparison, &[record], &[]);
            }
            if random.below(50) == 0 {
                comparison.look(&acme.truth);
                let snapshot = comparison.snapshot();
                assert_eq!(snapshot.cells_wrong, 0, "seed {seed}");
                assert_eq!(snapshot.cells_unbalanced, 0, "seed {seed}");
            }
        }
        // A paused owner wrote late, and the living one wrote over it.
        feed(&mut comparison, &late, &items(&view));
        feed(&mut comparison, &records(&view, 1, 1_000), &[]);
        let report = acme.verdict_of(&mut comparison);
        assert!(report.is_clean(), "seed {seed}: {report:?}");
        assert!(report.records.stale > 0);
        assert_eq!(report.freshness_ms.p50, 100);
    }
}

#[test]
fn lost_transactions_are_named_exactly() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 1_500);
        let lost = acme.pick(&mut Random(seed), 1 + seed as usize);
        let view = acme.view_with(&lost, 0);
        let report = acme.verdict(&view);
        is_named(&report, &acme, &view);
        assert_eq!(report.transactions_lost.ids, acme.ids(&lost), "seed {seed}");
        assert_eq!(report.transactions_lost.count, lost.len() as u64);
        let lines: usize = lost
            .iter()
            .map(|index| acme.transactions[*index].lines.len())
            .sum();
        assert_eq!(report.lines_lost, lines as u64);
        assert_eq!(
            (report.transactions_doubled.count, report.transactions_torn.count),
            (0, 0)
        );
        assert!(
            report
                .diverging
                .iter()
                .all(|cell| matches!(cell.kind, Divergence::Lost | Divergence::Missing))
        );
        assert!(report.items_diverging > 0);
    }
}

#[test]
fn doubled_and_tripled_transactions_are_named_exactly() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 1_500);
        let doubled = acme.pick(&mut Random(seed), 1 + seed as usize);
        let times = 2 + (seed as usize % 2);
        let view = acme.view_with(&doubled, times);
        let report = acme.verdict(&view);
        is_named(&report, &acme, &view);
        assert_eq!(report.transactions_doubled.ids, acme.ids(&doubled), "seed {seed}");
        assert_eq!(report.transactions_doubled.count, doubled.len() as u64);
        assert_eq!((report.transactions_lost.count, report.lines_lost), (0, 0));
        assert_eq!(report.transactions_torn.count, 0);
        assert_eq!(report.cells_by_kind.doubled, report.cells_diverging);
    }
}

#[test]
fn cells_with_altered_quantities_are_named_exactly() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 1_500);
        let altered = acme.pick(&mut Random(seed), 1 + seed as usize);
        let view = acme.view(|index, transaction, take| {
            let mut lines = transaction.lines.clone();
            if altered.contains(&index) {
                lines[0].quantity += 1_000;
            }
            take(&lines);
        });
        let report = acme.verdict(&view);
        is_named(&report, &acme, &view);
        assert_eq!(
            report.cells_by_kind.altered, report.cells_diverging,
            "seed {seed}"
        );
        assert_eq!(report.lines_altered, altered.len() as u64);
        assert_eq!(report.transactions_altered.ids, acme.ids(&altered), "seed {seed}");
        assert_eq!(
            (report.transactions_lost.count, report.transactions_doubled.count),
            (0, 0)
        );
        assert_eq!(
            report.books_difference, 0,
            "the books balance: only the truth tells"
        );
        assert!(report.diverging.iter().all(|cell| !cell.differs_in.is_empty()));
        let mut comparison = Comparison::new(&acme.truth);
        feed(&mut comparison, &records(&view, 1, 1), &[]);
        comparison.look(&acme.truth);
        assert_eq!(
            comparison.snapshot().cells_wrong,
            report.cells_diverging,
            "known without waiting"
        );
    }
}

#[test]
fn lost_and_doubled_transactions_do_not_hide_each_other() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 1_500);
        let picked = acme.pick(&mut Random(seed), 12);
        let (lost, doubled): (Vec<usize>, Vec<usize>) = picked.iter().partition(|index| *index % 2 == 0);
        let view = acme.view(|index, transaction, take| {
            let times = if lost.contains(&index) {
                0
            } else {
                1 + usize::from(doubled.contains(&index))
            };
            (0..times).for_each(|_| take(&transaction.lines));
        });
        let report = acme.verdict(&view);
        is_named(&report, &acme, &view);
        assert_eq!(report.transactions_lost.ids, acme.ids(&lost), "seed {seed}");
        assert_eq!(report.transactions_doubled.ids, acme.ids(&doubled), "seed {seed}");
    }
}

#[test]
fn one_transaction_in_twelve_can_be_lost_and_each_is_named() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 3_000);
        let lost = acme.pick(&mut Random(seed), 250);
        let view = acme.view_with(&lost, 0);
        let report = acme.verdict(&view);
        is_named(&report, &acme, &view);
        assert_eq!(report.transactions_lost.ids, acme.ids(&lost), "seed {seed}");
    }
}

#[test]
fn what_a_source_wrote_last_is_named_when_it_never_came() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 3_000);
        let source = acme.transactions[seed as usize].id.source;
        let of_source = |(_, transaction): &(usize, &support::Transaction)| transaction.id.source == source;
        let mut lost: Vec<usize> = acme
            .transactions
            .iter()
            .enumerate()
            .filter(of_source)
            .map(|(index, _)| index)
            .collect();
        lost.drain(..lost.len() / 3);
        let view = acme.view_with(&lost, 0);
        let report = acme.verdict(&view);
        is_named(&report, &acme, &view);
        assert_eq!(report.transactions_lost.ids, acme.ids(&lost), "seed {seed}");
    }
}

#[test]
fn a_torn_transaction_is_told_from_a_lost_one() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 1_500);
        let mut random = Random(seed);
        let torn = loop {
            let index = random.below(acme.transactions.len());
            if acme.transactions[index].lines.len() > 2 {
                break index;
            }
        };
        let whole = acme
            .pick(&mut random, 3)
            .into_iter()
            .filter(|index| *index != torn)
            .collect::<Vec<_>>();
        let view = acme.view(|index, transaction, take| {
            if index == torn {
                take(&transaction.lines[..1]);
            } else if !whole.contains(&index) {
                take(&transaction.lines);
            }
        });
        let report = acme.verdict(&view);
        is_named(&report, &acme, &view);
        assert_eq!(report.transactions_torn.ids, acme.ids(&[torn]), "seed {seed}");
        assert_eq!(
            report.transactions_lost.ids,
            acme.ids(&[&whole[..], &[torn]].concat())
        );
    }
}

#[test]
fn a_line_in_a_cell_that_is_not_its_own_is_misrouted_not_lost() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 1_500);
        let index = Random(seed).below(acme.transactions.len());
        let moved = &acme.transactions[index];
        let other = (moved.place + 1) % acme.assortments.len();
        let view = acme.view_with(&[index], 0);
        let lines: Vec<Line> = moved
            .lines
            .iter()
            .map(|line| Line {
                sku: acme.assortments[other].skus[usize::from(line.slot)],
                ..*line
            })
            .collect();
        view.place(other).apply(&moved.id, &lines);
        let report = acme.verdict(&view);
        assert_eq!(report.cells_diverging, acme.differing(&view).len() as u64);
        assert!(report.cells_by_kind.misrouted > 0, "seed {seed}");
        assert_eq!(
            report.transactions_misrouted.ids,
            acme.ids(&[index]),
            "seed {seed}"
        );
        assert_eq!(report.transactions_lost.count, 0);
    }
}

#[test]
fn records_outside_the_assortment_or_the_partition_are_misplaced() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 300);
        let view = acme.view_with(&[], 1);
        let mut comparison = Comparison::new(&acme.truth);
        let mut cells = records(&view, 1, 1_000);
        let cell = Cell {
            applied_offset: 2_000,
            ..Cell::default()
        };
        let location = acme.assortments[0].location;
        cells.push(written(location, contracts::ids::Sku(7), &cell));
        cells.push(written(
            contracts::ids::LocationId::store(999),
            acme.assortments[0].skus[0],
            &cell,
        ));
        cells.push(written(location, acme.assortments[0].skus[0], &cell));
        cells.last_mut().unwrap().partition = other_partition(cells.last().unwrap().partition);
        let mut articles = items(&view);
        articles.push(articles[0].clone());
        articles.last_mut().unwrap().partition = other_partition(articles[0].partition);
        articles.push(item_written(&ItemTotal {
            sku: 7,
            ..ItemTotal::default()
        }));
        feed(&mut comparison, &cells, &articles);
        let report = acme.verdict_of(&mut comparison);
        assert_eq!(report.records.misplaced, 5, "seed {seed}");
        assert_eq!(report.cells_diverging, 0);
        assert!(!report.is_clean());
    }
}

#[test]
fn an_older_record_that_a_newer_one_follows_is_counted_and_does_no_harm() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 300);
        let view = acme.view_with(&[], 1);
        let mut comparison = Comparison::new(&acme.truth);
        feed(&mut comparison, &records(&view, 2, 1_000), &items(&view));
        let late = records(&acme.view_with(&[0, 1, 2], 0), 1, 5_000);
        feed(&mut comparison, &late, &[]);
        comparison.look(&acme.truth);
        assert!(
            comparison.snapshot().cells_diverging > 0,
            "compaction would leave them"
        );
        feed(&mut comparison, &records(&view, 2, 1_000), &[]);
        comparison.look(&acme.truth);
        assert_eq!(comparison.snapshot().cells_diverging, 0);
        let report = acme.verdict_of(&mut comparison);
        assert_eq!(report.records.stale, late.len() as u64, "seed {seed}");
        assert!(report.is_clean());
    }
}

#[test]
fn an_older_record_that_stays_the_last_of_its_key_is_stale_and_named() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 1_500);
        let lacking = acme.pick(&mut Random(seed), 3);
        let mut comparison = Comparison::new(&acme.truth);
        feed(
            &mut comparison,
            &records(&acme.truth, 2, 1_000),
            &items(&acme.truth),
        );
        let older = acme.view_with(&lacking, 0);
        let cells = acme.differing(&older);
        let written_back: Vec<_> = records(&older, 1, 5_000)
            .into_iter()
            .filter(|record| {
                let key = contracts::topics::StateKey::parse(&record.key).unwrap();
                cells.iter().any(|(location, sku)| {
                    key == contracts::topics::StateKey::Cell {
                        location: *location,
                        sku: *sku,
                    }
                })
            })
            .collect();
        feed(&mut comparison, &written_back, &[]);
        let report = acme.verdict_of(&mut comparison);
        assert_eq!(listed(&report), cells, "seed {seed}");
        assert_eq!(report.cells_by_kind.stale, report.cells_diverging);
        assert_eq!(report.transactions_stale.ids, acme.ids(&lacking));
        assert_eq!(report.transactions_lost.count, 0, "a newer record had them");
    }
}

#[test]
fn a_claim_of_more_than_a_source_wrote_is_false_and_one_of_less_is_honest() {
    use contracts::records::{Completeness, Head, PartialPosition, SourceState};
    use contracts::topics::{StateKey, partition_of};
    let acme = Acme::new(3, 500);
    let mut comparison = Comparison::new(&acme.truth);
    feed(
        &mut comparison,
        &records(&acme.truth, 1, 1_000),
        &items(&acme.truth),
    );
    let claim = |comparison: &mut Comparison, claims: &[(contracts::ids::SourceId, u64)]| {
        let location = claims[0].0.location;
        let states = claims.iter().map(|(source, number)| SourceState {
            source_kind: source.kind as i32,
            source_unit: source.unit.into(),
            complete_up_to: *number,
            highest: *number,
            ..SourceState::default()
        });
        let completeness = Completeness {
            epoch: 1,
            cut: 1_000,
            sources: states.collect(),
            ..Completeness::default()
        };
        comparison.take_cell(
            partition_of(location),
            &StateKey::Completeness(location).to_bytes(),
            Some(&completeness.encode_to_vec()),
            0,
        );
    };
    let sources: Vec<_> = acme.truth.place(2).sources.clone();
    let up_to = |less: u64| -> Vec<_> {
        let of = |source: &ledger::TrueSource| (source.id, source.transactions - less);
        sources.iter().map(of).collect()
    };
    claim(&mut comparison, &up_to(1));
    assert!(acme.verdict_of(&mut comparison).is_clean());
    claim(&mut comparison, &up_to(0));
    assert!(acme.verdict_of(&mut comparison).is_clean());
    let location = sources[0].id.location;
    let stranger = contracts::ids::SourceId::till(location, 77);
    let idle = contracts::ids::SourceId::till(location, 78);
    let mut claims = up_to(0);
    claims[0].1 += 1;
    claims.extend([(stranger, 1), (idle, 0)]);
    claim(&mut comparison, &claims);
    let report = acme.verdict_of(&mut comparison);
    assert!(!report.is_clean());
    assert_eq!(report.completeness_false, 2);
    let of = |source| report.false_claims.iter().find(|claim| claim.source == source);
    let first = of(sources[0].id).expect("it claims too much");
    assert_eq!(first.claimed, sources[0].transactions + 1);
    assert_eq!(of(stranger).expect("it has written nothing").happened, None);

    // An article may hold of the log what a head has, and no more.
    let mut comparison = Comparison::new(&acme.truth);
    let mut articles = items(&acme.truth);
    let mut total = ItemTotal::decode(&articles[0].value[..]).unwrap();
    total.positions = vec![PartialPosition {
        partition: 4,
        epoch: 1,
        cut: 70,
    }];
    articles[0] = item_written(&total);
    feed(&mut comparison, &records(&acme.truth, 1, 1_000), &articles);
    let report = acme.verdict_of(&mut comparison);
    assert_eq!(report.diverging_items.len(), 1);
    assert_eq!(report.diverging_items[0].kind, audit::ItemDivergence::Ahead);
    let head = Head {
        epoch: 1,
        cut: 70,
        ..Head::default()
    };
    let key = StateKey::Head { partition: 4 }.to_bytes();
    comparison.take_cell(4, &key, Some(&head.encode_to_vec()), 0);
    assert!(acme.verdict_of(&mut comparison).is_clean());
}

#[test]
fn an_older_state_written_back_as_a_newer_one_is_stale() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 1_500);
        let lost = acme.pick(&mut Random(seed), 3);
        let mut comparison = Comparison::new(&acme.truth);
        feed(&mut comparison, &records(&acme.view_with(&[], 1), 1, 1_000), &[]);
        let older = acme.view_with(&lost, 0);
        feed(&mut comparison, &records(&older, 2, 900), &items(&older));
        let report = acme.verdict_of(&mut comparison);
        assert_eq!(report.cells_by_kind.stale, report.cells_diverging, "seed {seed}");
        assert_eq!(report.records.rolled_back, report.cells_diverging);
        assert_eq!(listed(&report), acme.differing(&older));
        assert_eq!(report.transactions_lost.ids, acme.ids(&lost));
    }
}

#[test]
fn cells_that_never_came_are_missing_and_cells_of_nothing_unexpected() {
    let acme = Acme::new(1, 80);
    let report = acme.verdict_of(&mut Comparison::new(&acme.truth));
    assert_eq!(report.cells_by_kind.missing, report.cells_compared);
    assert_eq!(report.transactions_lost.count, 80);
    assert!(report.items_diverging > 0);

    let nothing = Acme::new(1, 0);
    let mut comparison = Comparison::new(&nothing.truth);
    feed(&mut comparison, &records(&acme.truth, 1, 1), &[]);
    let report = nothing.verdict_of(&mut comparison);
    assert_eq!(report.cells_by_kind.unexpected, report.cells_diverging);
    assert!(report.cells_diverging > 0 && report.unexplained_cells == report.cells_diverging);
}

#[test]
fn an_audit_that_compared_nothing_or_did_not_read_to_the_end_is_not_clean() {
    let nothing = Acme::new(1, 0);
    assert!(!nothing.verdict(&nothing.truth).is_clean());
    let acme = Acme::new(1, 50);
    let mut comparison = Comparison::new(&acme.truth);
    feed(&mut comparison, &records(&acme.truth, 1, 1), &items(&acme.truth));
    assert!(
        !comparison
            .compare(&acme.truth)
            .explain(false, acme.replay())
            .is_clean()
    );
    assert!(acme.verdict_of(&mut comparison).is_clean());
}

#[test]
fn books_that_do_not_balance_are_found_live_and_in_the_end() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 500);
        let mut comparison = Comparison::new(&acme.truth);
        feed(&mut comparison, &records(&acme.truth, 1, 1), &items(&acme.truth));
        let mut random = Random(seed);
        let place = acme.truth.place(random.below(9));
        let slot = (0..40).find(|slot| place.cells[*slot].lines > 0).unwrap();
        let mut cell = cell_of(&place.cells[slot], 1, 2);
        cell.floor += 700;
        let record = written(place.location, place.skus[slot], &cell);
        let named = (place.location, place.skus[slot]);
        drop(place);
        feed(&mut comparison, &[record], &[]);
        comparison.look(&acme.truth);
        let snapshot = comparison.snapshot();
        assert_eq!(
            (
                snapshot.cells_unbalanced,
                snapshot.books_difference,
                snapshot.cells_wrong
            ),
            (1, 700, 1)
        );
        let report = acme.verdict_of(&mut comparison);
        assert_eq!(
            (report.cells_unbalanced, report.books_difference),
            (1, 700),
            "seed {seed}"
        );
        assert_eq!(listed(&report), Cells::from([named]));
        assert!(!report.is_clean());
    }
}

#[test]
fn wrong_article_totals_are_found_though_all_cells_are_right() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 500);
        let mut comparison = Comparison::new(&acme.truth);
        let mut articles = items(&acme.truth);
        let hit = Random(seed).below(articles.len());
        let mut total = ItemTotal::decode(&articles[hit].value[..]).unwrap();
        total.in_transit += 1_000;
        articles[hit] = item_written(&total);
        let left_out = articles.remove((hit + 1) % articles.len());
        feed(&mut comparison, &records(&acme.truth, 1, 1), &articles);
        comparison.look(&acme.truth);
        assert_eq!(comparison.snapshot().items_diverging, 2, "seed {seed}");
        let report = acme.verdict_of(&mut comparison);
        assert_eq!((report.cells_diverging, report.items_diverging), (0, 2));
        assert!(!report.is_clean());
        let left_out = ItemTotal::decode(&left_out.value[..]).unwrap().sku;
        assert!(report.diverging_items.iter().any(|item| item.sku.0 == total.sku));
        assert!(
            report
                .diverging_items
                .iter()
                .any(|item| item.sku.0 == left_out && item.on_hand_view.is_none())
        );
    }
}

#[test]
fn cut_values_and_tombstones_are_counted_and_make_the_audit_red() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 300);
        let mut comparison = Comparison::new(&acme.truth);
        let cells = records(&acme.truth, 1, 1);
        feed(&mut comparison, &cells, &items(&acme.truth));
        let mut random = Random(seed);
        let mut undecodable = 0;
        for record in &cells {
            let cut = &record.value[..random.below(record.value.len())];
            undecodable += u64::from(Cell::decode(cut).is_err());
            if Cell::decode(cut).is_err() {
                comparison.take_cell(record.partition, &record.key, Some(cut), 0);
            }
        }
        comparison.take_cell(cells[0].partition, &cells[0].key, None, 0);
        comparison.take_cell(0, b"nobody knows", Some(b""), 0);
        comparison.take_item(0, b"not a number", Some(b""));
        let report = acme.verdict_of(&mut comparison);
        assert_eq!(report.records.undecodable, undecodable + 2, "seed {seed}");
        assert_eq!(report.records.unknown_keys, 1);
        assert_eq!(report.cells_diverging, 0);
        assert!(!report.is_clean());
    }
}

#[test]
fn values_of_any_size_never_panic() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 300);
        let mut comparison = Comparison::new(&acme.truth);
        let mut random = Random(seed);
        for mut record in records(&acme.truth, 1, 1)
            .into_iter()
            .chain(records(&acme.truth, 2, 1))
        {
            for _ in 0..random.below(6) {
                let at = random.below(record.value.len());
                record.value[at] = random.next() as u8;
            }
            feed(&mut comparison, &[record], &[]);
            comparison.look_slice(&acme.truth, random.below(4), 4);
        }
        comparison.look(&acme.truth);
        comparison.snapshot();
        assert!(!acme.verdict_of(&mut comparison).is_clean());
    }
}

#[test]
fn another_world_played_again_blames_nobody() {
    let acme = Acme::new(1, 400);
    let view = acme.view_with(&[3, 4, 5], 0);
    let mut comparison = Comparison::new(&acme.truth);
    feed(&mut comparison, &records(&view, 1, 1), &items(&view));
    let other = Acme::new(2, 400);
    let report = comparison.compare(&acme.truth).explain(true, other.replay());
    assert_eq!(report.replay_differs, report.cells_diverging);
    assert_eq!(report.unexplained_cells, report.cells_diverging);
    assert!(report.transactions_lost.ids.is_empty());
    let places = report
        .diverging
        .iter()
        .map(|cell| cell.location)
        .collect::<BTreeSet<_>>()
        .len();
    assert!(
        (places as u64..=3).contains(&report.transactions_lost.count),
        "the least that it can be"
    );
}

#[test]
fn a_replay_that_goes_on_beyond_what_happened_explains_the_same() {
    let acme = Acme::new(7, 400);
    let longer = Acme::new(7, 900);
    let lost = [3, 4, 5, 300];
    let view = acme.view_with(&lost, 0);
    let mut comparison = Comparison::new(&acme.truth);
    feed(&mut comparison, &records(&view, 1, 1), &items(&view));
    let report = comparison.compare(&acme.truth).explain(true, longer.replay());
    is_named(&report, &acme, &view);
    assert_eq!(report.transactions_lost.ids, acme.ids(&lost));
}

#[test]
fn the_live_view_and_the_verdict_say_the_same() {
    for seed in SEEDS {
        let acme = Acme::new(seed, 800);
        let mut random = Random(seed);
        let lost = acme.pick(&mut random, 20);
        let view = acme.view_with(&lost, 0);
        let mut comparison = Comparison::new(&acme.truth);
        let earlier = acme.view_with(&acme.pick(&mut random, 400), 0);
        for record in records(&earlier, 1, 0).into_iter().chain(records(&view, 1, 1)) {
            feed(&mut comparison, &[record], &[]);
            comparison.look_slice(&acme.truth, random.below(4), 4);
        }
        feed(&mut comparison, &[], &items(&view));
        comparison.look(&acme.truth);
        let snapshot = comparison.snapshot();
        let report = acme.verdict_of(&mut comparison);
        assert_eq!(snapshot.cells_compared, report.cells_compared, "seed {seed}");
        assert_eq!(snapshot.cells_diverging, report.cells_diverging);
        assert_eq!(snapshot.cells_negative, report.cells_negative);
        assert_eq!(snapshot.items_diverging, report.items_diverging);
        assert_eq!(snapshot.in_transit_view, report.in_transit_view);
        assert_eq!(snapshot.in_transit_truth, report.in_transit_truth);
        let diverging: u32 = snapshot.places.iter().map(|place| place.diverging).sum();
        assert_eq!(u64::from(diverging), report.cells_diverging);
        let seen: u32 = snapshot.places.iter().map(|place| place.seen).sum();
        let keys = [records(&earlier, 1, 0), records(&view, 1, 1)].concat();
        let keys: BTreeSet<_> = keys.into_iter().map(|record| record.key).collect();
        assert_eq!(seen as usize, keys.len());
    }
}

#[test]
fn behind_a_mark_is_what_had_happened_before_it() {
    let acme = Acme::new(5, 400);
    let mut comparison = Comparison::new(&acme.truth);
    let mut mark = audit::Mark::now(&acme.truth);
    let cells = records(&acme.truth, 1, 1);
    assert_eq!(comparison.behind(&acme.truth, &mut mark), cells.len() as u64);
    feed(&mut comparison, &cells[1..], &[]);
    assert_eq!(comparison.behind(&acme.truth, &mut mark), 1);
    // Newer lines are not asked for.
    let last = acme.transactions.last().unwrap();
    let newer = TransactionId {
        number: 9_000,
        ..last.id
    };
    acme.truth.place(last.place).apply(&newer, &last.lines);
    assert_eq!(comparison.behind(&acme.truth, &mut mark), 1);
    feed(&mut comparison, &cells[..1], &[]);
    assert_eq!(comparison.behind(&acme.truth, &mut mark), 0);
    comparison.look(&acme.truth);
    assert!(comparison.snapshot().cells_diverging > 0);
}

#[test]
fn a_report_serialises_with_names_that_people_read() {
    let acme = Acme::new(3, 400);
    let report = acme.verdict(&acme.view_with(&[7], 0));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        json["transactions_lost"]["first"][0],
        acme.ids(&[7])[0].to_string()
    );
    assert_eq!(
        json["diverging"][0]["location"],
        report.diverging[0].location.to_string()
    );
    assert_eq!(json["diverging"][0]["kind"], "lost");
    assert_eq!(json["freshness_histogram"][0][0], 100);
}

#[test]
fn a_cell_that_is_wrong_in_one_total_alone_differs() {
    let acme = Acme::new(1, 300);
    let changes: [fn(&mut Cell); 13] = [
        |cell| cell.floor += 1,
        |cell| cell.back_room -= 1,
        |cell| cell.counted += 1,
        |cell| cell.supplied += 1,
        |cell| cell.received -= 1,
        |cell| cell.shipped += 1,
        |cell| cell.sold -= 1,
        |cell| cell.returned += 1,
        |cell| cell.adjusted -= 1,
        |cell| cell.stocked += 1,
        |cell| cell.stored += 1,
        |cell| cell.applied_count += 1,
        |cell| cell.applied_hash ^= 1 << 40,
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut comparison = Comparison::new(&acme.truth);
        let mut cells = records(&acme.truth, 1, 1);
        feed(&mut comparison, &cells, &items(&acme.truth));
        comparison.look(&acme.truth);
        assert_eq!(comparison.snapshot().cells_diverging, 0);
        let mut cell = Cell::decode(&cells[index].value[..]).unwrap();
        change(&mut cell);
        // Same epoch and offset: the later record of the log counts.
        cells[index].value = cell.encode_to_vec();
        feed(&mut comparison, &cells[index..=index], &[]);
        comparison.look(&acme.truth);
        let snapshot = comparison.snapshot();
        assert_eq!(
            (snapshot.cells_diverging, snapshot.cells_wrong),
            (1, 1),
            "change {index}"
        );
        let report = acme.verdict_of(&mut comparison);
        assert_eq!(report.cells_diverging, 1, "change {index}");
        assert!(!report.is_clean());
    }
}

#[test]
fn altered_cells_stay_behind_a_mark_until_they_are_mended() {
    let acme = Acme::new(9, 300);
    let altered = acme.view(|index, transaction, take| {
        let mut lines = transaction.lines.clone();
        lines[0].quantity += i64::from(index == 5);
        take(&lines);
    });
    let mut comparison = Comparison::new(&acme.truth);
    let mut mark = audit::Mark::now(&acme.truth);
    feed(&mut comparison, &records(&altered, 1, 1), &[]);
    assert_eq!(comparison.behind(&acme.truth, &mut mark), 1);
    feed(&mut comparison, &records(&acme.truth, 1, 2), &[]);
    assert_eq!(comparison.behind(&acme.truth, &mut mark), 0);
}

#[test]
fn what_is_on_its_way_diverges_at_once_and_is_behind_from_the_next_look() {
    let acme = Acme::new(4, 300);
    let mut comparison = Comparison::new(&acme.truth);
    comparison.look(&acme.truth);
    let first = comparison.snapshot();
    assert!(first.cells_diverging > 0);
    assert_eq!((first.cells_behind, first.cells_wrong), (0, 0));
    comparison.look(&acme.truth);
    assert_eq!(comparison.snapshot().cells_behind, first.cells_diverging);
}

//! What may never be seen, not even for a moment: it is found while it is there, and what is on its way is not taken for it.

use crate::support::{self, Acme, Written, cell_of, feed, records, written};
use audit::Comparison;
use contracts::ids::{LocationId, SourceId};
use contracts::records::{Completeness, SourceState};
use contracts::topics::{StateKey, partition_of};
use ledger::Ledger;
use prost::Message as _;

/// What the view would say of a place that has everything of this ledger.
fn claim_of(ledger: &Ledger, place: usize) -> Written {
    let place = ledger.place(place);
    let state = |id: SourceId, last: u64| SourceState {
        source_kind: id.kind as i32,
        source_unit: id.unit.into(),
        complete_up_to: last,
        highest: last,
        claimed: last,
        is_marked: true,
        ..SourceState::default()
    };
    let sources = place
        .sources
        .iter()
        .map(|source| state(source.id, source.first_number + source.transactions - 1))
        .collect();
    let claim = Completeness {
        epoch: 1,
        cut: 1_000,
        sources,
        is_certain: true,
        ..Completeness::default()
    };
    Written {
        partition: partition_of(place.location),
        key: StateKey::Completeness(place.location).to_bytes(),
        value: claim.encode_to_vec(),
    }
}

fn location_of(acme: &Acme, index: usize) -> LocationId {
    acme.assortments[acme.transactions[index].place].location
}

#[test]
fn a_cell_with_lines_that_did_not_happen_is_named_though_it_is_right_in_the_end() {
    let acme = Acme::new(7, 300);
    let doubled = acme.pick(&mut support::Random(7), 1);
    let ahead = acme.view_with(&doubled, 2);
    let mut comparison = Comparison::new(&acme.truth);
    feed(&mut comparison, &records(&ahead, 1, 1_000), &[]);
    comparison.look(&acme.truth);
    feed(&mut comparison, &records(&acme.truth, 1, 2_000), &[]);
    comparison.look(&acme.truth);
    let live = comparison.snapshot().live;
    assert_eq!(comparison.snapshot().cells_wrong, 0, "it was mended");
    let first = live.ahead.first.expect("it was seen");
    let location = location_of(&acme, doubled[0]).to_string();
    assert!(first.starts_with(&location), "{first}");
    assert!(live.books.first.is_none() && live.content.first.is_none());
}

#[test]
fn what_is_on_its_way_is_no_violation() {
    for seed in 0..20 {
        let acme = Acme::new(seed, 400);
        let mut comparison = Comparison::new(&acme.truth);
        let view = Ledger::new(&acme.assortments);
        for (offset, transaction) in acme.transactions.iter().enumerate() {
            view.place(transaction.place)
                .apply(&transaction.id, &transaction.lines);
            let place = view.place(transaction.place);
            let cells: Vec<_> = transaction
                .lines
                .iter()
                .map(|line| {
                    let cell = cell_of(&place.cells[usize::from(line.slot)], 1, offset as u64 + 1);
                    written(place.location, line.sku, &cell)
                })
                .collect();
            drop(place);
            feed(&mut comparison, &cells, &[]);
            feed(&mut comparison, &[claim_of(&view, transaction.place)], &[]);
            if offset % 20 == 0 {
                comparison.look(&acme.truth);
            }
        }
        comparison.look(&acme.truth);
        let live = comparison.snapshot().live;
        assert!(
            live.violations().iter().all(|(_, seen)| seen.count == 0),
            "seed {seed}: {live:?}"
        );
        assert_eq!((live.reordered.count, live.rolled_back.count), (0, 0));
    }
}

#[test]
fn a_place_that_claims_everything_while_its_cells_lack_lines_is_named() {
    let acme = Acme::new(11, 300);
    let lost = acme.pick(&mut support::Random(11), 1);
    let view = acme.view_with(&lost, 0);
    let mut comparison = Comparison::new(&acme.truth);
    feed(&mut comparison, &records(&view, 1, 1_000), &[]);
    let place = acme.transactions[lost[0]].place;
    // It says that the lost one is missing: that is honest.
    let mut comparison_of_honest = Comparison::new(&acme.truth);
    feed(
        &mut comparison_of_honest,
        &records(&view, 1, 1_000),
        &[claim_of(&view, place)],
    );
    feed(&mut comparison, &[claim_of(&acme.truth, place)], &[]);
    for comparison in [&mut comparison, &mut comparison_of_honest] {
        comparison.look(&acme.truth);
        comparison.look(&acme.truth);
    }
    let first = comparison.snapshot().live.gap_unreported.first;
    let location = location_of(&acme, lost[0]).to_string();
    assert!(
        first.as_ref().is_some_and(|first| first.starts_with(&location)),
        "{first:?}"
    );
    assert_eq!(comparison_of_honest.snapshot().live.gap_unreported.count, 0);
}

#[test]
fn a_source_that_is_said_to_be_further_than_it_is_is_seen_live() {
    let acme = Acme::new(3, 100);
    let mut comparison = Comparison::new(&acme.truth);
    let mut claim = claim_of(&acme.truth, 0);
    let mut said = Completeness::decode(claim.value.as_slice()).expect("a record of ours");
    said.sources[0].complete_up_to += 1;
    claim.value = said.encode_to_vec();
    feed(&mut comparison, &[claim], &[]);
    comparison.look(&acme.truth);
    let live = comparison.snapshot().live;
    assert_eq!(live.false_claim.count, 1);
    assert!(
        live.false_claim
            .first
            .is_some_and(|first| first.starts_with("S0001"))
    );
}

#[test]
fn an_owner_that_writes_an_older_state_is_told_from_a_former_owner() {
    let acme = Acme::new(5, 200);
    let all = records(&acme.truth, 2, 1_000);
    let older = |epoch, offset| records(&acme.truth, epoch, offset)[0].clone();
    let mut comparison = Comparison::new(&acme.truth);
    feed(&mut comparison, &all, &[]);
    feed(&mut comparison, &[older(1, 900)], &[]);
    let live = comparison.snapshot().live;
    assert_eq!((live.of_former_owners.count, live.reordered.count), (1, 0));
    feed(&mut comparison, &[older(2, 900)], &[]);
    let live = comparison.snapshot().live;
    assert_eq!((live.of_former_owners.count, live.reordered.count), (1, 1));
    assert!(
        live.reordered
            .first
            .is_some_and(|first| first.contains("epoch 2 offset 900 behind epoch 2 offset 1000"))
    );
}

#[test]
fn a_newer_record_that_holds_less_is_a_stale_read() {
    let acme = Acme::new(5, 200);
    let mut comparison = Comparison::new(&acme.truth);
    feed(&mut comparison, &records(&acme.truth, 1, 1_000), &[]);
    let lost = acme.view_with(&[acme.transactions.len() - 1], 0);
    feed(&mut comparison, &records(&lost, 2, 2_000), &[]);
    let live = comparison.snapshot().live;
    assert!(live.rolled_back.count > 0);
    assert_eq!(live.reordered.count, 0);
}

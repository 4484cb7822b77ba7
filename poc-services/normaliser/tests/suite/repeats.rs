//! What scans say again in a later document: a beep too many, a correction under other numbers.

use crate::support::{self, AT};
use contracts::ids::{Gtin, TimeMs};
use contracts::records::Article;
use contracts::wire::epcis::{DeclarationDraft, DocumentWriter, DraftLine, EventDraft, EventId};
use normaliser::{
    BusinessClock, Catalogue, Normalised, Normaliser, Position, RawMessage, RawTopic, SCAN_SPAN,
};
use proptest::prelude::*;
use prost::Message as _;

const OATS: u64 = 614_141_999_996;
const SKU: u32 = 100_234;

fn pieces(pieces: i64) -> DraftLine<'static> {
    support::pieces(Gtin::new(OATS).unwrap(), pieces)
}

fn stocking<'a>(classes: &'a [DraftLine<'a>], number: u64, after_ms: i64) -> EventDraft<'a> {
    EventDraft {
        at: TimeMs(AT.0 + after_ms),
        offset_minutes: 0,
        ..support::stocking(classes, number)
    }
}

fn document(events: &[EventDraft<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = DocumentWriter::begin(&mut out, AT);
    for event in events {
        writer.draft(event);
    }
    writer.finish();
    out
}

fn id_of(event: &EventDraft<'_>) -> EventId {
    let mut aside = Vec::new();
    DocumentWriter::begin(&mut aside, AT).draft(event).unwrap()
}

/// A beep of one piece, alone in its document.
fn beep(number: u64, after_ms: i64) -> Vec<u8> {
    document(&[stocking(&[pieces(1)], number, after_ms)])
}

/// Eleven pieces were keyed in under number 17, and it was twelve: declared and corrected under these numbers.
fn correction(declared: u64, corrective: u64) -> Vec<u8> {
    let (wrong, right) = ([pieces(11)], [pieces(12)]);
    let right = stocking(&right, corrective, 0);
    let ids = [id_of(&right)];
    let declaration = EventDraft {
        declaration: Some(DeclarationDraft {
            at: TimeMs(AT.0 + 60_000),
            reason: None,
            corrective: &ids,
            reader: Some((5, declared)),
        }),
        ..stocking(&wrong, 17, 0)
    };
    document(&[declaration, right])
}

/// The reader of one partition.
struct Partition {
    normaliser: Normaliser,
    catalogue: Catalogue,
    out: Normalised,
}

impl Partition {
    fn new(is_on_file: bool) -> Self {
        let mut catalogue = Catalogue::default();
        let article = Article {
            sku: SKU,
            gtin: if is_on_file { OATS } else { 614_141_999_989 },
            ..Article::default()
        };
        assert!(catalogue.apply(b"", Some(&article.encode_to_vec())));
        Self {
            normaliser: Normaliser::new(BusinessClock::default()),
            catalogue,
            out: Normalised::default(),
        }
    }

    fn raw(payload: &[u8]) -> RawMessage<'_> {
        RawMessage {
            topic: RawTopic::Scan,
            key: b"S0042",
            payload,
            format: None,
            group: None,
        }
    }

    const fn at(offset: u64) -> Position {
        Position { partition: 3, offset }
    }

    /// Whole pieces that each event moves; `None`: it is a dead letter.
    fn read(&mut self, offset: u64, payload: &[u8]) -> Option<Vec<i64>> {
        let raw = Self::raw(payload);
        self.normaliser
            .normalise_at(&raw, Self::at(offset), &self.catalogue, &mut self.out)
            .ok()?;
        let moved = |transaction| {
            let lines = self.out.lines_of(transaction).iter();
            lines.map(|line| line.quantity / 1000).sum()
        };
        Some(self.out.transactions.iter().map(moved).collect())
    }

    /// It came to something in somebody's earlier life.
    fn remember(&mut self, offset: u64, payload: &[u8]) {
        self.normaliser.remember(&Self::raw(payload), Self::at(offset));
    }
}

#[test]
fn two_beeps_within_300_ms_are_one_scan_in_two_documents_as_in_one() {
    for (apart_ms, second) in [(60, 0), (300, 0), (301, 1)] {
        let mut partition = Partition::new(true);
        assert_eq!(partition.read(0, &beep(17, 0)), Some(vec![1]));
        assert_eq!(
            partition.read(1, &beep(18, apart_ms)),
            Some(vec![second]),
            "{apart_ms}"
        );
        assert_eq!(partition.out.double_beeps, 1 - second as u64);
    }
    // The one that comes first counts, whichever beeped first.
    let mut partition = Partition::new(true);
    assert_eq!(partition.read(0, &beep(18, 200)), Some(vec![1]));
    assert_eq!(partition.read(1, &beep(17, 0)), Some(vec![0]));
}

#[test]
fn a_document_that_comes_again_says_what_it_said() {
    let mut partition = Partition::new(true);
    for offset in [0, 2] {
        assert_eq!(partition.read(offset, &beep(17, 0)), Some(vec![1]));
        assert_eq!(partition.read(offset + 1, &beep(18, 100)), Some(vec![0]));
    }
    // Read again after a crash, from an earlier offset.
    assert_eq!(partition.read(0, &beep(17, 0)), Some(vec![1]));
    assert_eq!(partition.read(1, &beep(18, 100)), Some(vec![0]));
}

/// The first document waits in the dead letters for its article; the catalogue decides nothing of who repeats whom.
#[test]
fn a_scan_in_the_dead_letters_counts_when_it_is_put_back_and_its_repeat_never() {
    let mut partition = Partition::new(false);
    assert_eq!(partition.read(0, &beep(17, 0)), None);
    partition.catalogue = Partition::new(true).catalogue;
    assert_eq!(partition.read(1, &beep(18, 100)), Some(vec![0]));
    assert_eq!(partition.read(2, &beep(17, 0)), Some(vec![1]), "it is put back");
}

#[test]
fn a_correction_under_two_running_numbers_counts_once() {
    let mut partition = Partition::new(true);
    assert_eq!(partition.read(0, &correction(18, 19)), Some(vec![-11, 12]));
    assert_eq!(partition.read(1, &correction(20, 21)), Some(vec![0, 0]));
    assert_eq!(partition.out.corrections_again, 2);
    // The same under the same numbers is a repeat, which the windows tell.
    assert_eq!(partition.read(2, &correction(18, 19)), Some(vec![-11, 12]));
    // In one document too.
    let wrong = [pieces(11)];
    let declared = |number| EventDraft {
        declaration: Some(DeclarationDraft {
            at: AT,
            reason: None,
            corrective: &[],
            reader: Some((5, number)),
        }),
        ..stocking(&wrong, 30, 0)
    };
    let twice = document(&[declared(31), declared(32)]);
    assert_eq!(partition.read(3, &twice), Some(vec![-11, 0]));
}

/// One piece was keyed in and it was four: declared and corrected, both read at the same instant as the wrong one.
fn one_of_four() -> [Vec<u8>; 4] {
    let (wrong, right) = ([pieces(1)], [pieces(1), pieces(3)]);
    let (told, corrective) = (stocking(&wrong, 17, 0), stocking(&right, 19, 0));
    let ids = [id_of(&corrective)];
    let declaration = EventDraft {
        declaration: Some(DeclarationDraft {
            at: AT,
            reason: None,
            corrective: &ids,
            reader: Some((5, 18)),
        }),
        ..told
    };
    [
        document(&[told]),
        document(&[declaration, corrective]),
        document(&[told, declaration, corrective]),
        document(&[corrective]),
    ]
}

#[test]
fn what_stands_in_the_place_of_a_wrong_event_is_no_second_beep_of_it() {
    let [told, correction, whole, corrective] = one_of_four();
    let mut partition = Partition::new(true);
    assert_eq!(partition.read(0, &told), Some(vec![1]));
    assert_eq!(partition.read(1, &correction), Some(vec![-1, 4]));
    assert_eq!(
        partition.read(2, &correction),
        Some(vec![-1, 4]),
        "it comes again"
    );
    // A beep too many of the right one is one.
    assert_eq!(partition.read(3, &beep(20, 100)), Some(vec![0]));
    // All of it in one document, or the corrective event in one of its own.
    let mut partition = Partition::new(true);
    assert_eq!(partition.read(0, &whole), Some(vec![1, -1, 4]));
    let mut partition = Partition::new(true);
    assert_eq!(partition.read(0, &told), Some(vec![1]));
    assert_eq!(partition.read(1, &correction), Some(vec![-1, 4]));
    assert_eq!(partition.read(2, &corrective), Some(vec![4]));
}

/// Whatever comes first, four pieces were moved, and a fifth beep was one of them.
#[test]
fn a_wrong_event_its_correction_and_a_beep_too_many_are_the_same_stock_in_any_order_of_the_first_two() {
    let [told, correction, ..] = one_of_four();
    let again = beep(16, 100);
    let orders: [&[&[u8]]; 5] = [
        &[&told, &correction],
        &[&correction, &told],
        &[&told, &again, &correction],
        &[&again, &told, &correction],
        &[&told, &correction, &again],
    ];
    for (index, order) in orders.into_iter().enumerate() {
        let mut partition = Partition::new(true);
        let moved = (0..)
            .zip(order)
            .map(|(offset, one)| partition.read(offset, one).unwrap());
        assert_eq!(moved.flatten().sum::<i64>(), 4, "order {index}");
    }
}

#[test]
fn what_a_second_declaration_is_the_first_to_put_right_counts() {
    let wrong = [pieces(11)];
    let withdrawn = EventDraft {
        declaration: Some(DeclarationDraft {
            at: AT,
            reason: None,
            corrective: &[],
            reader: Some((5, 18)),
        }),
        ..stocking(&wrong, 17, 0)
    };
    let mut partition = Partition::new(true);
    assert_eq!(partition.read(0, &document(&[withdrawn])), Some(vec![-11]));
    assert_eq!(partition.read(1, &correction(20, 21)), Some(vec![0, 12]));
}

#[test]
fn what_is_further_back_than_the_span_is_not_known_any_more() {
    let mut partition = Partition::new(true);
    assert_eq!(partition.read(0, &beep(17, 0)), Some(vec![1]));
    assert_eq!(partition.read(SCAN_SPAN, &beep(18, 100)), Some(vec![0]));
    let mut partition = Partition::new(true);
    assert_eq!(partition.read(0, &beep(17, 0)), Some(vec![1]));
    assert_eq!(partition.read(SCAN_SPAN + 1, &beep(18, 100)), Some(vec![1]));
}

proptest! {
    /// A successor that has read the span before its first offset answers as one that was there from the beginning.
    #[test]
    fn whoever_takes_over_where_decides_the_same(
        scans in proptest::collection::vec((1_u64..8, 0_i64..5, 1_u64..900), 1..40),
        taken_at in 0_usize..40,
    ) {
        let mut offset = 0;
        let log: Vec<(u64, Vec<u8>)> = scans
            .into_iter()
            .map(|(number, step, gap)| {
                offset += gap;
                let bytes = if step == 4 { correction(17 + number, 40 + number) } else { beep(number, step * 150) };
                (offset, bytes)
            })
            .collect();
        let mut first = Partition::new(true);
        let whole: Vec<_> = log.iter().map(|(offset, bytes)| first.read(*offset, bytes)).collect();
        let cut = taken_at % log.len();
        let from = log[cut].0.saturating_sub(SCAN_SPAN);
        let mut successor = Partition::new(true);
        for (offset, bytes) in log[..cut].iter().filter(|(offset, _)| *offset >= from) {
            successor.remember(*offset, bytes);
        }
        for ((offset, bytes), expected) in log[cut..].iter().zip(&whole[cut..]) {
            prop_assert_eq!(&successor.read(*offset, bytes), expected);
        }
    }
}

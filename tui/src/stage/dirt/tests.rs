//! The comparison can fail, and says of which kind.

use super::*;

/// What was injected, and seen to the last of it.
fn sample() -> (Injected, Seen) {
    let mut faults = load::SourceFaultCounts::default();
    for (index, injected) in (1..).zip(&mut faults.injected) {
        (injected.messages, injected.transactions) = (index, index * 10);
    }
    faults.poison_by_kind = std::array::from_fn(|kind| kind as u64 + 1);
    (faults.unknown_articles, faults.corrections_again) = (6, 4);
    (faults.double_beeps, faults.tills_off) = (7, 8);
    let letters = POISON_KINDS.iter().zip(1..).map(|(kind, letters)| {
        let key = (kind.of.format().to_owned(), kind.class.to_owned());
        (key, letters)
    });
    let mut letters: LetterCounts = letters.collect();
    letters.insert(("ibm-4690".into(), UNKNOWN_ITEM.into()), 6);
    let of = |fault| faults.of(fault).transactions;
    let seen = Seen {
        duplicates: Some(of(SourceFault::Duplicate) + 9),
        double_beeps: Some(7),
        corrections_again: Some(4),
        clocks_off: Some(8),
        late: of(SourceFault::Late),
        reordered: of(SourceFault::Reordered),
        missing: of(SourceFault::MissingNumber),
        letters,
        discrepancies: Some(11),
    };
    let injected = Injected {
        faults,
        handed_over: 9,
        contradictions: 11,
    };
    (injected, seen)
}

fn reasons(change: impl FnOnce(&mut Seen)) -> Vec<String> {
    let (injected, mut seen) = sample();
    change(&mut seen);
    wrong(&Ok(rows(&injected, &seen, Must::Equal)))
}

#[test]
fn what_was_injected_and_seen_as_often_is_right() {
    assert_eq!(reasons(|_| {}), Vec::<String>::new());
    let (injected, seen) = sample();
    let compared = Ok(rows(&injected, &seen, Must::Equal));
    let said = sentence(Some(&compared)).expect("all is right");
    assert!(said.contains("14 kinds"), "{said}");
}

#[test]
fn what_is_seen_once_too_often_is_wrong_and_named() {
    type Change = fn(&mut Seen);
    let changes: [(&str, Change); 11] = [
        ("duplicates ", |seen| {
            seen.duplicates = seen.duplicates.map(|n| n + 1);
        }),
        ("late ", |seen| seen.late += 1),
        ("reordered ", |seen| seen.reordered += 1),
        ("missing_numbers ", |seen| seen.missing += 1),
        ("clock_skew ", |seen| {
            seen.clocks_off = seen.clocks_off.map(|n| n + 1);
        }),
        ("double_beeps ", |seen| {
            seen.double_beeps = seen.double_beeps.map(|n| n + 1);
        }),
        ("repeated_corrections ", |seen| {
            seen.corrections_again = seen.corrections_again.map(|n| n + 1);
        }),
        ("contradicting_deliveries ", |seen| {
            seen.discrepancies = seen.discrepancies.map(|n| n + 1);
        }),
        ("poison.queue ", |seen| {
            seen.letters
                .insert(("copybook-037".into(), "bad-other".into()), 1);
        }),
        ("unknown_articles ", |seen| {
            seen.letters.insert(("epcis-2.0".into(), UNKNOWN_ITEM.into()), 1);
        }),
        ("other_dead_letters 0 injected, 1 seen", |seen| {
            seen.letters.insert((String::new(), "bad-key".into()), 1);
        }),
    ];
    for (kind, change) in changes {
        let reasons = reasons(change);
        assert_eq!(reasons.len(), 1, "{kind}: {reasons:?}");
        assert!(reasons[0].contains(kind), "{reasons:?}");
    }
}

#[test]
fn poison_of_one_kind_that_is_seen_as_another_is_wrong() {
    let letter = |class: &str| ("copybook-037".to_owned(), class.to_owned());
    let reasons = reasons(|seen| {
        *seen.letters.get_mut(&letter("bad-length")).expect("a kind") -= 1;
        *seen.letters.get_mut(&letter("wrong-sign")).expect("another") += 1;
    });
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].contains("length"), "{reasons:?}");
}

#[test]
fn what_is_not_seen_is_wrong_whatever_was_sent_again_and_what_is_seen_more_often_is_not_then() {
    let (injected, seen) = sample();
    let with = |seen: &Seen, must| wrong(&Ok(rows(&injected, seen, must)));
    let fewer = Seen {
        duplicates: Some(0),
        ..seen.clone()
    };
    let more = Seen {
        duplicates: Some(1_000),
        ..seen.clone()
    };
    assert_eq!(with(&fewer, Must::AtLeast).len(), 1);
    assert_eq!(with(&more, Must::Equal).len(), 1);
    assert_eq!(with(&more, Must::AtLeast), Vec::<String>::new());
    let late = Seen {
        late: seen.late + 1,
        ..seen
    };
    assert_eq!(
        with(&late, Must::AtLeast).len(),
        1,
        "a restart makes nothing late"
    );
}

#[test]
fn what_services_elsewhere_count_is_not_judged_and_dead_letters_that_cannot_be_read_are_wrong() {
    assert_eq!(reasons(|seen| seen.duplicates = None), Vec::<String>::new());
    assert_eq!(wrong(&Err("they cannot be read".into())).len(), 1);
}

#[test]
fn the_page_has_every_kind() {
    let page = include_str!("../../../../docs/dirt.md");
    let (injected, seen) = sample();
    for row in rows(&injected, &seen, Must::Equal) {
        assert!(page.contains(&format!("| `{}` |", row.kind)), "{}", row.kind);
        for (name, kind) in &row.kinds {
            assert!(
                page.contains(&format!("`{name}` ({})", kind.class)),
                "{}: {name}",
                row.kind
            );
        }
    }
}

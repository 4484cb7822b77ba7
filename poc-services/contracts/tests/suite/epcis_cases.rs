//! One file a case, in `tests/data/epcis`: `NAME.jsonld` is a document, `NAME.txt` what is read in it, `NAME.hashes` what
//! the public generator of content hashes printed for it (`docs/formats/epcis.md` says how). A new case is a new file.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::support;
use contracts::wire::epcis::{self, Capture, CaptureEvent, Side, Thing};
use proptest::prelude::*;

fn cases() -> Vec<(String, PathBuf)> {
    let mut cases: Vec<_> = std::fs::read_dir(support::path("epcis"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonld"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path))
        .collect();
    cases.sort();
    assert!(cases.len() > 50, "the folder of cases was not found");
    cases
}

/// All that a reader learns, as text.
fn told(document: &[u8]) -> String {
    let mut out = String::new();
    match epcis::read(document) {
        Err(error) => writeln!(out, "{}: {error}", error.class()).unwrap(),
        Ok(capture) => {
            for (index, event) in capture.events.iter().enumerate() {
                tell_event(&mut out, index, &capture, event);
            }
            for beep in epcis::double_beeps(&capture) {
                writeln!(
                    out,
                    "double beep: event {} line {} is the scan of event {}",
                    beep.event,
                    beep.line,
                    beep.of.unwrap()
                )
                .unwrap();
            }
        }
    }
    out
}

fn tell_event(out: &mut String, index: usize, capture: &Capture<'_>, event: &CaptureEvent<'_>) {
    let word = |word: Option<&'static str>| word.unwrap_or("-");
    writeln!(
        out,
        "event {index}: {} {} {} {}: {}",
        event.kind.word(),
        word(event.action.map(epcis::Action::word)),
        word(event.step.map(epcis::Step::word)),
        word(event.disposition.map(epcis::Disposition::word)),
        event.effect
    )
    .unwrap();
    write!(out, "  at {} ms, offset {} min", event.at.0, event.offset_minutes).unwrap();
    if let Some(site) = event.site {
        write!(out, ", {} {:?}", site.location, event.sub_location()).unwrap();
    }
    if let (Some(reader), Some(number)) = (event.reader, event.running_number) {
        write!(out, ", reader {reader} number {number}").unwrap();
    }
    if let Some(advice) = event.despatch_advice {
        write!(out, ", despatch advice {advice}").unwrap();
    }
    if let Some(parent) = event.parent {
        write!(out, ", parent {:018}", parent.value()).unwrap();
    }
    out.push('\n');
    for line in capture.lines(event) {
        let thing = match line.thing {
            Thing::Article(gtin) => gtin.to_string(),
            Thing::LogisticUnit(sscc) => format!("SSCC {:018}", sscc.value()),
        };
        let side = match line.side {
            Side::Whole => "",
            Side::Input => " in",
            Side::Output => " out",
        };
        let mark = if line.mark == 0 { "" } else { " marked" };
        writeln!(
            out,
            "  line {thing} {} {:?}{side}{mark}",
            line.quantity, line.unit
        )
        .unwrap();
    }
    for movement in capture.movements(event) {
        writeln!(
            out,
            "  {:?} {} {}",
            movement.kind, movement.gtin, movement.quantity
        )
        .unwrap();
    }
    if event.event_id.is_some() {
        writeln!(out, "  id {}", capture.id(event)).unwrap();
    }
    if let Some(correction) = capture.correction(event) {
        writeln!(
            out,
            "  corrects {} ({}) at {} ms",
            correction.corrected,
            word(correction.reason.map(epcis::Reason::word)),
            correction.declared.0
        )
        .unwrap();
        for id in correction.corrective {
            writeln!(out, "  by {id}").unwrap();
        }
    }
}

#[test]
fn each_document_is_read_as_the_file_beside_it_says() {
    for (name, path) in cases() {
        let told = told(&std::fs::read(&path).unwrap());
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        assert_eq!(told, expected, "{name}.jsonld");
        assert_eq!(
            name.starts_with("refused-"),
            epcis::read(&std::fs::read(&path).unwrap()).is_err(),
            "{name}"
        );
    }
}

#[test]
fn each_event_has_the_content_hash_that_the_public_generator_prints() {
    let mut compared = 0;
    for (name, path) in cases() {
        let bytes = std::fs::read(&path).unwrap();
        let Some(capture) = epcis::read(&bytes)
            .ok()
            .filter(|capture| !capture.events.is_empty())
        else {
            continue;
        };
        let hashes: Vec<String> = capture
            .events
            .iter()
            .map(|event| capture.content_id(event).to_string())
            .collect();
        let expected = std::fs::read_to_string(path.with_extension("hashes")).unwrap();
        let expected: Vec<&str> = expected.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(hashes, expected, "{name}");
        compared += hashes.len();
    }
    assert!(compared > 40, "only {compared} hashes were compared");
}

/// Everything that a reader may ask of what it was given.
fn exhaust(bytes: &[u8]) {
    if let Ok(capture) = epcis::read(bytes) {
        for event in &capture.events {
            assert!(capture.movements(event).count() <= capture.lines(event).len());
            let _ = (capture.id(event), capture.correction(event));
        }
        let _ = epcis::double_beeps(&capture);
    }
    let _ = epcis::location_of(bytes);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        case in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        moved in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1_usize..200)),
    ) {
        exhaust(&bytes);
        let cases = cases();
        let mut damaged = std::fs::read(&cases[case.index(cases.len())].1).unwrap();
        for (index, byte) in changes {
            let at = index.index(damaged.len());
            damaged[at] = byte;
        }
        if let Some((from, to, length)) = moved {
            let from = from.index(damaged.len());
            let piece: Vec<u8> = damaged[from..damaged.len().min(from + length)].to_vec();
            let to = to.index(damaged.len());
            damaged.splice(to..to, piece);
        }
        if let Some(cut) = cut {
            damaged.truncate(cut.index(damaged.len()));
        }
        exhaust(&damaged);
    }
}

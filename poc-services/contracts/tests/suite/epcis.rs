//! EPCIS documents: a golden document, tolerance and limits of the reader, and write ∘ read = id.

use crate::support;
use contracts::ids::{Gtin, LocationId, Quantity, TimeMs};
use contracts::wire::epcis::{
    BizStep, Capture, DOCUMENT_BYTES_MAX, DocumentWriter, ScanEvent, ScanLine, Step, SubLocation, Thing, read,
};
use proptest::prelude::*;

const AT: TimeMs = TimeMs(1_741_944_413_250); // 2025-03-14T09:26:53.250Z

fn gtin(value: u64) -> Gtin {
    Gtin::new(value).unwrap()
}

fn write(created: TimeMs, events: &[ScanEvent<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = DocumentWriter::begin(&mut out, created);
    for event in events {
        writer.event(event);
    }
    writer.finish();
    out
}

fn golden_events() -> [([ScanLine; 2], ScanEvent<'static>); 4] {
    let (oats, apples) = (gtin(614_141_999_996), gtin(2_000_012_345_678));
    let moved = [
        ScanLine::moved(oats, Quantity::units(24)),
        ScanLine::moved(apples, Quantity(12_500)),
    ];
    let counted = [
        ScanLine::counted(oats, Quantity::units(18), Quantity::units(20)),
        ScanLine::counted(apples, Quantity(0), Quantity(-1_025)),
    ];
    let event = ScanEvent {
        reader: 3,
        running_number: 41,
        location: LocationId::store(42),
        at: AT,
        step: BizStep::Receiving,
        despatch_advice: Some(700_123),
        sub_location: SubLocation::Door,
        lines: &[],
    };
    let next = |number, step, sub_location| ScanEvent {
        running_number: number,
        step,
        sub_location,
        despatch_advice: None,
        ..event
    };
    [
        (moved, event),
        (moved, next(42, BizStep::Stocking, SubLocation::Floor)),
        (moved, next(43, BizStep::Storing, SubLocation::BackRoom)),
        (counted, next(44, BizStep::StockTaking, SubLocation::Floor)),
    ]
}

#[test]
fn the_golden_document_is_written_and_read() {
    let events = golden_events();
    let events: Vec<_> = events
        .iter()
        .map(|(lines, event)| ScanEvent { lines, ..*event })
        .collect();
    let bytes = write(AT, &events);
    let golden = support::text("epcis.jsonld");
    assert_eq!(String::from_utf8(bytes).unwrap(), golden.trim_end());
    assert_is(&read(golden.as_bytes()).unwrap(), &events);
}

/// As written, for lines without lot and serial.
fn lines_of(capture: &Capture<'_>, event: usize) -> Vec<ScanLine> {
    let lines = capture.lines(&capture.events[event]).iter();
    lines
        .map(|line| match line.thing {
            Thing::Article(gtin) => ScanLine {
                gtin,
                quantity: line.quantity,
                book: line.book,
            },
            Thing::LogisticUnit(sscc) => panic!("{sscc:?}"),
        })
        .collect()
}

fn assert_is(capture: &Capture<'_>, events: &[ScanEvent<'_>]) {
    assert_eq!(capture.events.len(), events.len());
    for (index, (read, written)) in capture.events.iter().zip(events).enumerate() {
        assert_eq!(
            (read.reader, read.running_number, read.at),
            (Some(written.reader), Some(written.running_number), written.at)
        );
        assert_eq!(read.site.unwrap().location, written.location);
        assert_eq!(
            (
                read.step.unwrap().word(),
                read.despatch_advice,
                read.sub_location()
            ),
            (written.step.word(), written.despatch_advice, written.sub_location)
        );
        assert_eq!(lines_of(capture, index), written.lines);
    }
}

/// A document around one event's members.
fn around(members: &str) -> String {
    format!(
        r#"{{"epcisBody":{{"eventList":[{{{members}}}]}},"type":"EPCISDocument","example:extra":{{"a":[1]}},
        "schemaVersion":"2.0","creationDate":"2025-03-14T09:27:00Z","@context":"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"}}"#
    )
}

const RECEIVING: &str = r#""type":"ObjectEvent","action":"OBSERVE","bizStep":"receiving","eventTime":"2025-03-14T10:26:53+01:00",
    "eventTimeZoneOffset":"+01:00","bizLocation":{"id":"urn:epc:id:sgln:0614141.00042.0"},"stockstream:reader":3,"stockstream:number":41,
    "epcList":[]"#;

#[test]
fn other_spellings_unknown_fields_and_single_pieces_are_read() {
    let text = around(
        r#""quantityList":[{"quantity":2.50e1,"epcClass":"urn:epc:idpat:sgtin:0614141.099999.*","uom":"KGM"}],
        "epcList":["urn:epc:id:sgtin:0614141.099999.2017"],"example:weather":{"rain":true},"recordTime":"2025-03-14T10:27:00Z",
        "bizTransactionList":[{"bizTransaction":"urn:epcglobal:cbv:bt:0614141900004:77","type":"https://ref.gs1.org/cbv/BTT-desadv"},
            {"bizTransaction":"urn:epcglobal:cbv:bt:0614141900004:po-1","type":"po"}],
        "type":"ObjectEvent","action":"ADD","bizStep":"https://ref.gs1.org/cbv/BizStep-receiving","eventTime":"2025-03-14T10:26:53.25+01:00","eventTimeZoneOffset":"+01:00",
        "bizLocation":{"id":"urn:epc:id:sgln:0614141.00042.0"},"stockstream:reader":3,"stockstream:number":41"#,
    );
    let document = read(text.as_bytes()).unwrap();
    let event = &document.events[0];
    assert_eq!(
        (event.site.unwrap().location, event.at, event.step),
        (LocationId::store(42), AT, Some(Step::Receiving))
    );
    assert_eq!(
        (event.despatch_advice, event.sub_location()),
        (Some(77), SubLocation::Door)
    );
    let oats = gtin(614_141_999_996);
    assert_eq!(
        lines_of(&document, 0),
        [
            ScanLine::moved(oats, Quantity::units(25)),
            ScanLine::moved(oats, Quantity::ONE)
        ]
    );
}

#[test]
fn a_variance_finds_its_class_in_any_order() {
    let text = around(
        r#""type":"ObjectEvent","action":"OBSERVE","bizStep":"stock_taking","eventTime":"2025-03-14T09:26:53Z","eventTimeZoneOffset":"+00:00",
        "bizLocation":{"id":"https://id.gs1.org/414/0614141000425/254/2"},"stockstream:reader":3,"stockstream:number":41,
        "quantityList":[{"epcClass":"https://id.gs1.org/01/00614141999996","quantity":5},{"epcClass":"https://id.gs1.org/01/02000012345678","quantity":7}],
        "stockstream:variance":[{"stockstream:class":"https://id.gs1.org/01/02000012345678","stockstream:quantity":-1.5},
            {"stockstream:class":"urn:epc:idpat:sgtin:0614141.099999.*","stockstream:quantity":5}]"#,
    );
    let document = read(text.as_bytes()).unwrap();
    let lines = lines_of(&document, 0);
    assert_eq!(lines[0].variance(), Quantity::units(5));
    assert_eq!(lines[1].variance(), Quantity(-1500));
    assert_eq!(document.events[0].sub_location(), SubLocation::BackRoom);
}

#[test]
fn each_kind_of_mistake_has_its_class() {
    let with = |from: &str, to: &str| around(&RECEIVING.replace(from, to));
    let also = |members: &str| around(&format!("{RECEIVING},{members}"));
    let count = |members: &str| {
        around(&format!(
            r#"{},"quantityList":[{{"epcClass":"https://id.gs1.org/01/00614141999996","quantity":5}}],{members}"#,
            RECEIVING
                .replace("receiving", "stock_taking")
                .replace("00042.0", "00042.1")
        ))
    };
    assert!(read(around(RECEIVING).as_bytes()).is_ok());
    for (text, class) in [
        (String::new(), "bad-json"),
        ("[1,2".to_owned(), "not-epcis"),
        (r#"{"type""#.to_owned(), "bad-json"),
        ("{}".to_owned(), "not-epcis"),
        ("[".repeat(100_000), "not-epcis"),
        (also(&format!(r#""example:deep":{}{}"#, "[".repeat(100), "]".repeat(100))), "too-long"),
        (
            around(RECEIVING).replace("EPCISDocument", "EPCISQueryDocument"),
            "not-epcis",
        ),
        (" ".repeat(DOCUMENT_BYTES_MAX + 1), "too-long"),
        (
            format!(
                r#"{{"type":"EPCISDocument","epcisBody":{{"eventList":[{}0]}}}}"#,
                r#"{"type":"TransactionEvent","action":"DELETE","eventTime":"2025-03-14T09:26:53Z","eventTimeZoneOffset":"+00:00",
                    "bizTransactionList":[{"bizTransaction":"a:b"}]},"#
                    .replace([' ', '\n'], "")
                    .repeat(10_000)
                    .chars()
                    .take(990_000)
                    .collect::<String>()
            ),
            "too-long",
        ),
        (with("OBSERVE", "DELETE"), "unsupported-event"),
        (with("receiving", "dispensing"), "unsupported-step"),
        (with("receiving", "recieving"), "bad-event"),
        (with("2025-03-14T10:26:53+01:00", "2025-03-14 09:00"), "bad-event"),
        (with("00042", "00043x"), "bad-event"),
        (with("0614141", "9999999"), "bad-event"),
        (with("41", "-41"), "bad-event"),
        (with(r":3,", r":65536,"), "bad-event"),
        (
            also(r#""quantityList":[{"epcClass":"https://id.gs1.org/01/00614141999995","quantity":5}]"#),
            "bad-event",
        ),
        (
            also(r#""quantityList":[{"epcClass":"https://id.gs1.org/01/00614141999996","quantity":-5}]"#),
            "bad-event",
        ),
        (
            also(r#""quantityList":[{"epcClass":"https://id.gs1.org/01/00614141999996","quantity":0.0001}]"#),
            "bad-event",
        ),
        (
            also(r#""quantityList":[{"epcClass":"https://id.gs1.org/01/00614141999996","quantity":"5"}]"#),
            "bad-event",
        ),
        (
            also(r#""quantityList":[{"epcClass":"https://id.gs1.org/01/00614141999996"}]"#),
            "bad-event",
        ),
        (
            also(
                r#""quantityList":[{"epcClass":"https://id.gs1.org/01/00614141999996","quantity":5,"uom":"LBR"}]"#,
            ),
            "unsupported-unit",
        ),
        (
            with(r#""epcList":[]"#, r#""epcList":["urn:epc:id:sscc:0614141.1234567890"]"#),
            "unknown-contents",
        ),
        (
            also(r#""bizTransactionList":[{"type":"desadv","bizTransaction":"urn:x:seven"}]"#),
            "bad-event",
        ),
        (with("receiving", "stock_taking"), "bad-event"),
        (count(r#""example:a":1"#), "bad-count"),
        (
            count(
                r#""stockstream:variance":[{"stockstream:class":"https://id.gs1.org/01/02000012345678","stockstream:quantity":1}]"#,
            ),
            "bad-count",
        ),
        (
            count(
                r#""stockstream:variance":[{"stockstream:class":"https://id.gs1.org/01/00614141999996","stockstream:quantity":1},
            {"stockstream:class":"https://id.gs1.org/01/00614141999996","stockstream:quantity":1}]"#,
            ),
            "bad-count",
        ),
    ] {
        let error = read(text.as_bytes()).expect_err(&format!("{class}: {}", &text[..text.len().min(300)]));
        assert_eq!(error.class(), class, "{error}");
    }
    assert_eq!(read(b"\"\xff\"").unwrap_err().class(), "bad-json");
}

#[test]
fn an_error_names_the_way_to_it() {
    let events = golden_events();
    let text = String::from_utf8(write(AT, &[events[0].1, events[1].1])).unwrap();
    let error = read(text.replace("stocking", "dispensing").as_bytes()).unwrap_err();
    assert_eq!(error.path(), "epcisBody.eventList[1].bizStep");
    assert_eq!(
        error.to_string(),
        "epcisBody.eventList[1].bizStep: bizStep `dispensing` is not supported: whether it moves stock would be a guess"
    );
}

#[test]
fn a_long_text_of_a_stranger_is_not_repeated_whole() {
    let text = around(&RECEIVING.replace("receiving", &"x".repeat(100_000)));
    assert!(read(text.as_bytes()).unwrap_err().to_string().len() < 300);
}

fn any_lines(counted: bool) -> impl Strategy<Value = Vec<ScanLine>> {
    // A class once in a count.
    prop::collection::btree_map(
        0_u64..10_000_000_000_000,
        (0_i64..=1_000_000_000, -1_000_000_000..1_000_000_000_i64),
        0..12,
    )
    .prop_map(move |lines| {
        lines
            .into_iter()
            .map(|(body, (quantity, book))| {
                let gtin = Gtin::from_body(body).unwrap();
                let book = if counted { Quantity(book) } else { Quantity(0) };
                ScanLine {
                    gtin,
                    quantity: Quantity(quantity),
                    book,
                }
            })
            .collect()
    })
}

fn any_event() -> impl Strategy<Value = (ScanEvent<'static>, Vec<ScanLine>)> {
    let place = prop_oneof![
        any::<u16>().prop_map(LocationId::store),
        (0_u16..10_000).prop_map(LocationId::warehouse)
    ];
    (
        any::<(u16, u64)>(),
        place,
        0_i64..253_402_300_799_999,
        prop::sample::select(&BizStep::ALL[..]),
        prop::sample::select(&SubLocation::ALL[..]),
        prop::option::of(0_u64..1_000_000_000_000_000_000),
    )
        .prop_flat_map(
            |((reader, running_number), location, at, step, sub_location, despatch_advice)| {
                let counted = step == BizStep::StockTaking;
                let sub_location = if counted && sub_location == SubLocation::Door {
                    SubLocation::Floor
                } else {
                    sub_location
                };
                let event = ScanEvent {
                    reader,
                    running_number,
                    location,
                    at: TimeMs(at),
                    step,
                    despatch_advice,
                    sub_location,
                    lines: &[],
                };
                any_lines(counted).prop_map(move |lines| (event, lines))
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_read(drawn in prop::collection::vec(any_event(), 0..5)) {
        let events: Vec<_> = drawn.iter().map(|(event, lines)| ScanEvent { lines, ..*event }).collect();
        let bytes = write(AT, &events);
        assert_is(&read(&bytes).unwrap(), &events);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        drawn in prop::collection::vec(any_event(), 1..3),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let _ = read(&bytes);
        let events: Vec<_> = drawn.iter().map(|(event, lines)| ScanEvent { lines, ..*event }).collect();
        let mut damaged = write(AT, &events);
        for (index, byte) in changes {
            let at = index.index(damaged.len());
            damaged[at] = byte;
        }
        let _ = read(&damaged);
    }
}

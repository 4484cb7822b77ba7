//! Marks of store servers: golden bytes, every refusal, write ∘ read = id.

use crate::support;
use contracts::ids::{BusinessDay, LocationId, TimeMs};
use contracts::records::SourceKind;
use contracts::wire::source_mark::{DOCUMENT_BYTES_MAX, ParseError, Standing, StoreMark, parse, write};
use proptest::prelude::*;

const fn standing(kind: SourceKind, unit: u16, business_day: u32, last: u64) -> Standing {
    Standing {
        kind,
        unit,
        business_day: BusinessDay(business_day),
        last,
    }
}

fn golden() -> StoreMark {
    StoreMark {
        store: LocationId::store(42),
        clock: TimeMs(1_773_656_062_123),
        sources: vec![
            standing(SourceKind::Till, 3, 20_528, 4_123),
            standing(SourceKind::Till, 4, 0, 0),
            standing(SourceKind::Reader, 1, 0, 88),
        ],
    }
}

fn bytes_of(mark: &StoreMark) -> Vec<u8> {
    let mut out = Vec::new();
    write(mark, &mut out);
    out
}

#[test]
fn the_golden_mark_is_written_and_read() {
    let text = support::text("source-mark.json");
    assert_eq!(String::from_utf8(bytes_of(&golden())).unwrap(), text.trim_end());
    assert_eq!(parse(text.as_bytes()), Ok(golden()));
}

#[test]
fn the_order_of_keys_and_spaces_mean_nothing() {
    let text = r#"{ "sources" : [ { "last": 5, "businessDay": "2026-03-16", "till": 9 } ],
                    "clock": "2026-03-16T11:14:22+01:00", "store": "S0042" }"#;
    let expected = StoreMark {
        store: LocationId::store(42),
        clock: TimeMs(1_773_656_062_000),
        sources: vec![standing(SourceKind::Till, 9, 20_528, 5)],
    };
    assert_eq!(parse(text.as_bytes()), Ok(expected));
}

#[test]
fn a_claim_that_is_not_whole_is_refused() {
    let with = |sources: &str| {
        format!(r#"{{"store":"S0042","clock":"2026-03-16T10:14:22.123Z","sources":[{sources}]}}"#)
    };
    let good = r#"{"reader":1,"last":8}"#;
    assert!(parse(with(good).as_bytes()).is_ok());
    for (text, class) in [
        (String::new(), "bad-json"),
        ("[]".into(), "bad-json"),
        (with(r#"{"reader":1,"last":8,"more":1}"#), "bad-json"),
        (with(r#"{"reader":1,"last":8.0}"#), "bad-json"),
        (with(r#"{"reader":1,"last":-8}"#), "bad-json"),
        (with(r#"{"reader":1}"#), "bad-json"),
        (with(r#"{"reader":65536,"last":8}"#), "bad-json"),
        (with(good).replace("store", "shop"), "bad-json"),
        (format!("{} ,", with(good)), "bad-json"),
        (with(good).replace("S0042", "W0042"), "bad-mark"),
        (with(good).replace("S0042", "42"), "bad-mark"),
        (with(good).replace("10:14", "25:14"), "bad-mark"),
        (with(""), "bad-mark"),
        (with(r#"{"last":8}"#), "bad-mark"),
        (with(r#"{"reader":1,"till":1,"last":8}"#), "bad-mark"),
        (
            with(r#"{"reader":1,"businessDay":"2026-03-16","last":8}"#),
            "bad-mark",
        ),
        (with(r#"{"till":1,"last":8}"#), "bad-mark"),
        (
            with(r#"{"till":1,"businessDay":"2026-03-16","last":0}"#),
            "bad-mark",
        ),
        (
            with(r#"{"till":1,"businessDay":"2026-02-30","last":8}"#),
            "bad-mark",
        ),
        (
            with(r#"{"till":1,"businessDay":"1969-12-31","last":8}"#),
            "bad-mark",
        ),
        (
            with(r#"{"till":1,"businessDay":"2026-3-16","last":8}"#),
            "bad-mark",
        ),
        (
            with(r#"{"till":1,"businessDay":"2026-03-16","last":10000}"#),
            "bad-mark",
        ),
        (with(&[good, good].join(",")), "bad-mark"),
        (with(&vec![good; 1_001].join(",")), "bad-mark"),
        (" ".repeat(DOCUMENT_BYTES_MAX + 1), "too-long"),
    ] {
        let error = parse(text.as_bytes()).expect_err(&text);
        assert_eq!(error.class(), class, "{text}: {error}");
    }
    let error = parse(with(&[good, r#"{"till":1,"last":8}"#].join(",")).as_bytes());
    assert_eq!(
        error.unwrap_err().to_string(),
        "source 2 of the mark: a till's last number needs its businessDay"
    );
    assert!(matches!(parse(b"\xff"), Err(ParseError::Syntax { .. })));
}

prop_compose! {
    fn any_mark()(
        store in 0_u16..=65_535,
        clock in -62_167_219_200_000_i64..=253_402_300_799_999,
        tills in prop::collection::btree_map(any::<u16>(), (0_u32..2_900_000, 0_u64..=9_999), 0..20),
        readers in prop::collection::btree_map(any::<u16>(), any::<u64>(), 1..20),
    ) -> StoreMark {
        let tills = tills.into_iter().map(|(unit, (day, last))| {
            standing(SourceKind::Till, unit, if last == 0 { 0 } else { day }, last)
        });
        let readers = readers.into_iter().map(|(unit, last)| standing(SourceKind::Reader, unit, 0, last));
        StoreMark {
            store: LocationId::store(store),
            clock: TimeMs(clock),
            sources: tills.chain(readers).collect(),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(mark in any_mark()) {
        prop_assert_eq!(parse(&bytes_of(&mark)), Ok(mark));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        mark in any_mark(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)
    ) {
        let mut damaged = bytes_of(&mark);
        for (at, byte) in changes {
            let at = at.index(damaged.len());
            damaged[at] = byte;
        }
        if let Ok(read) = parse(&damaged) {
            prop_assert_eq!(parse(&bytes_of(&read)), Ok(read));
        }
    }
}

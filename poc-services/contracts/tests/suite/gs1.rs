//! GS1 keys: published vectors, an outside implementation's answers, and reading undoes writing.

use std::borrow::Cow;

use crate::support;
use contracts::ids::{Gtin, Money, Quantity, check_digit};
use contracts::wire::gs1::barcode::{self, BarcodeError, Symbology};
use contracts::wire::gs1::element::{ElementError, Elements};
use contracts::wire::gs1::in_store::{self, Holds, Rule, Rules, Value, label, resolve};
use contracts::wire::gs1::{Gln, Key, Measure, PrefixLength, Sscc, Unit, gtin_of_digits, value_check_digit};
use proptest::prelude::*;

fn gtin(value: u64) -> Gtin {
    Gtin::new(value).unwrap()
}

fn oats() -> Gtin {
    gtin(614_141_999_996)
}

#[test]
fn check_digits_match_the_published_vectors() {
    for (body, digit) in [
        (61_414_199_999, 6),
        (61_414_100_042, 5),
        (7_061_414_112_345, 1),
        (10_614_141_234_567_890, 8),
    ] {
        assert_eq!(check_digit(body), digit, "{body}");
    }
    for (value, digits, digit) in [
        (2875, 4, 9),
        (1234, 4, 9),
        (9999, 4, 6),
        (150, 4, 1),
        (14_685, 5, 6),
        (12_345, 5, 8),
        (99_999, 5, 6),
        (500, 5, 6),
    ] {
        assert_eq!(value_check_digit(value, digits), Some(digit), "{value}");
    }
    assert_eq!(value_check_digit(10_000, 4), None);
    assert_eq!(value_check_digit(1, 6), None);
}

#[test]
fn articles_of_eight_to_fourteen_digits_are_one_number_space() {
    assert_eq!(gtin_of_digits("00614141999996"), Some(oats()));
    assert_eq!(gtin_of_digits("0614141999996"), Some(oats()));
    assert_eq!(gtin_of_digits("614141999996"), Some(oats()));
    assert_eq!(gtin_of_digits("96385074"), Some(gtin(96_385_074)));
    for text in [
        "",
        "9638507",
        "96385075",
        "61414199999",
        "6141419999é",
        "000614141999996",
    ] {
        assert_eq!(gtin_of_digits(text), None, "{text}");
    }
}

#[test]
fn keys_are_the_same_in_all_their_spellings() {
    let seven = PrefixLength::new(7).unwrap();
    for (urn, elements, link) in [
        (
            "urn:epc:idpat:sgtin:0614141.099999.*",
            "(01)00614141999996",
            "https://id.gs1.org/01/00614141999996",
        ),
        (
            "urn:epc:id:sgtin:0614141.099999.2017",
            "(01)00614141999996(21)2017",
            "https://id.gs1.org/01/00614141999996/21/2017",
        ),
        (
            "urn:epc:class:lgtin:0614141.099999.LOT7",
            "(01)00614141999996(10)LOT7",
            "https://id.gs1.org/01/00614141999996/10/LOT7",
        ),
        (
            "urn:epc:id:sgln:0614141.00042.3",
            "(414)0614141000425(254)3",
            "https://id.gs1.org/414/0614141000425/254/3",
        ),
        (
            "urn:epc:id:sgln:0614141.00042.0",
            "(414)0614141000425",
            "https://id.gs1.org/414/0614141000425",
        ),
        (
            "urn:epc:id:sscc:0614141.1234567890",
            "(00)106141412345678908",
            "https://id.gs1.org/00/106141412345678908",
        ),
        (
            "urn:epc:id:sgtin:0614141.099999.A%2FB%22",
            "(01)00614141999996(21)A/B\"",
            "https://id.gs1.org/01/00614141999996/21/A%2FB%22",
        ),
    ] {
        let key = Key::from_urn(urn).unwrap();
        assert_eq!(Key::from_elements(elements).as_ref(), Some(&key), "{elements}");
        assert_eq!(Key::from_link(link).as_ref(), Some(&key), "{link}");
        assert_eq!(Key::from_uri(link).as_ref(), Some(&key), "{link}");
        assert_eq!(key.to_urn(seven).as_deref(), Some(urn));
        assert_eq!(key.to_elements(), elements);
        assert_eq!(key.to_link(), link);
    }
}

#[test]
fn other_hosts_short_words_variants_and_queries_are_read() {
    let piece = Key::Article {
        gtin: oats(),
        lot: Some("L".into()),
        serial: Some("S".into()),
    };
    for link in [
        "https://example.com/some/path/01/614141999996/10/L/21/S?17=250101",
        "http://example.com/gtin/00614141999996/lot/L/ser/S/",
        "https://id.gs1.org/01/00614141999996/22/2A/10/L/21/S#part",
    ] {
        assert_eq!(Key::from_link(link).as_ref(), Some(&piece), "{link}");
    }
    assert_eq!(piece.to_urn(PrefixLength::new(7).unwrap()), None);
    for link in [
        "",
        "https://id.gs1.org",
        "https://id.gs1.org/01",
        "https://id.gs1.org/01/00614141999995",
        "https://id.gs1.org/01/00614141999996/21",
        "https://id.gs1.org/01/00614141999996/21/a/21/b",
        "https://id.gs1.org/01/00614141999996/254/1",
        "https://id.gs1.org/01/00614141999996/21/123456789012345678901",
        "https://id.gs1.org/414/061414100042",
        "https://id.gs1.org/00/10614141234567890",
        "ftp://id.gs1.org/01/00614141999996",
    ] {
        assert_eq!(Key::from_link(link), None, "{link}");
    }
    for urn in [
        "",
        "urn:epc:id:sgtin:0614141.99999.1",
        "urn:epc:id:sgtin:06141.41099999.1",
        "urn:epc:id:sgtin:0614141.099999.",
        "urn:epc:id:sgtin:0614141.099999.a b",
        "urn:epc:id:sgtin:0614141.099999.a%2",
        "urn:epc:idpat:sgtin:0614141.099999.1",
        "urn:epc:idpat:sgtin:061414é.099999.*",
        "urn:epc:id:sscc:0614141.123456789",
        "urn:epc:id:sgln:0614141.00042",
    ] {
        assert_eq!(Key::from_urn(urn), None, "{urn}");
    }
}

#[test]
fn keys_are_those_of_an_outside_implementation() {
    let mut compared = 0;
    for row in support::text("gs1-keys.tsv")
        .lines()
        .filter(|row| !row.starts_with('#'))
    {
        let [prefix, urn, key_digits, elements] = *row.split('\t').collect::<Vec<_>>() else {
            panic!("{row}");
        };
        let key = Key::from_urn(urn).unwrap_or_else(|| panic!("{urn}"));
        // It writes that there is no extension; we leave it out.
        let shortest = elements.strip_suffix("(254)0").unwrap_or(elements);
        assert_eq!(key.to_elements(), shortest, "{urn}");
        assert_eq!(Key::from_elements(elements).as_ref(), Some(&key), "{elements}");
        let prefix = PrefixLength::new(prefix.parse().unwrap()).unwrap();
        assert_eq!(key.to_urn(prefix).as_deref(), Some(urn));
        let digits = match &key {
            Key::Article { gtin, .. } => gtin.to_string(),
            Key::Place { gln, .. } => format!("{:013}", gln.value()),
            Key::LogisticUnit(sscc) => format!("{:018}", sscc.value()),
        };
        assert!(key_digits.contains(&digits), "{urn}: {digits}, {key_digits}");
        compared += 1;
    }
    assert!(compared > 200, "{compared}");
}

#[test]
fn element_strings_end_where_the_table_or_fnc1_says() {
    let gs = '\u{1d}';
    let raw = format!("{gs}010061414199999610LOT7{gs}3103001500{gs}21A(21)B");
    let elements = Elements::read(&raw).unwrap();
    assert_eq!(
        elements.iter().collect::<Vec<_>>(),
        [
            ("01", "00614141999996"),
            ("10", "LOT7"),
            ("3103", "001500"),
            ("21", "A(21)B")
        ]
    );
    assert_eq!(
        elements.measure(),
        Some(Measure {
            quantity: Quantity(1500),
            unit: Unit::Kilogram
        })
    );
    let pallet = format!("00106141412345678908020061414199999637{}", "48");
    let elements = Elements::read(&pallet).unwrap();
    assert_eq!(
        elements.key(),
        Some(Key::LogisticUnit(Sscc::new(106_141_412_345_678_908).unwrap()))
    );
    assert_eq!(
        elements.contents(),
        Some((
            oats(),
            Measure {
                quantity: Quantity::units(48),
                unit: Unit::Piece
            }
        ))
    );
    for (text, measure) in [
        ("(01)00614141999996(3100)000012", Some((12_000, Unit::Kilogram))),
        ("(01)00614141999996(3152)000150", Some((1500, Unit::Litre))),
        ("(01)00614141999996(3113)000150", Some((150, Unit::Metre))),
        ("(01)00614141999996(30)12", Some((12_000, Unit::Piece))),
        ("(01)00614141999996(3105)000012", None),
        ("(01)00614141999996(3202)000012", None),
    ] {
        let measure = measure.map(|(quantity, unit)| Measure {
            quantity: Quantity(quantity),
            unit,
        });
        assert_eq!(Elements::read(text).unwrap().measure(), measure, "{text}");
    }
}

#[test]
fn an_element_string_that_is_wrong_is_refused() {
    let twice = "10A\u{1d}10B";
    let many = "(91)1".repeat(70);
    for text in [
        "0100614141999995",
        "01006141419999",
        "05123",
        "1",
        "(01)00614141999996(1)2",
        "(05)1",
        "10",
        "10A B",
        "37123456789",
        "x",
        "é",
        "010061414199999é",
        twice,
        &many,
    ] {
        assert!(Elements::read(text).is_err(), "{text}");
    }
    assert_eq!(
        Elements::read("0106141").unwrap_err().to_string(),
        "(01) is cut off: the length of its value is fixed"
    );
    assert!(matches!(Elements::read(twice), Err(ElementError::Twice { .. })));
}

#[test]
fn scans_of_every_symbology_name_their_article() {
    let rules = Rules::default();
    let qr = "]Q1https://id.gs1.org/01/00614141999996/21/7";
    for (raw, symbology) in [
        ("]E00614141999996", Some(Symbology::Ean)),
        ("]E0614141999996\r\n", Some(Symbology::Ean)),
        ("]E3061414199999612", Some(Symbology::Ean)),
        ("]I100614141999996", Some(Symbology::Itf)),
        ("]C10100614141999996", Some(Symbology::Gs1128)),
        ("]e00100614141999996", Some(Symbology::DataBar)),
        ("]d2\u{1d}010061414199999621A", Some(Symbology::Gs1DataMatrix)),
        ("]Q30100614141999996", Some(Symbology::Gs1Qr)),
        ("]J10100614141999996", Some(Symbology::Gs1DotCode)),
        ("]C000614141999996", Some(Symbology::Other)),
        (qr, Some(Symbology::Other)),
        ("00614141999996", None),
        ("(01)00614141999996", None),
    ] {
        let scan = barcode::read(raw.as_bytes(), &rules).unwrap_or_else(|error| panic!("{raw}: {error}"));
        assert_eq!(
            (scan.symbology, scan.key.gtin()),
            (symbology, Some(oats())),
            "{raw}"
        );
    }
    let eight = barcode::read(b"]E496385074", &rules).unwrap();
    assert_eq!(eight.key, Key::class(gtin(96_385_074)));
}

#[test]
fn a_scan_that_names_nothing_is_refused() {
    let rules = Rules::default();
    let long = vec![b'1'; barcode::BYTES_MAX + 1];
    assert!(matches!(
        barcode::read(&long, &rules),
        Err(BarcodeError::TooLong { .. })
    ));
    for raw in [
        &b""[..],
        b"]",
        b"]E",
        b"]E00614141999995",
        b"]E112",
        b"]C110LOT7",
        b"]Q1https://example.com",
        b"hello",
        b"\xff",
        "]d2é".as_bytes(),
    ] {
        assert!(barcode::read(raw, &rules).is_err(), "{}", raw.escape_ascii());
    }
}

#[test]
fn in_store_labels_resolve_to_article_and_quantity() {
    let rules = Rules::default();
    // 28 12345 01250: 1.250 kg of item 12345.
    let label = format!("]E0{:013}", Gtin::from_body(281_234_501_250).unwrap().value());
    let scan = barcode::read(label.as_bytes(), &rules).unwrap();
    let found = scan.in_store.unwrap();
    assert_eq!(found.article, Gtin::from_body(281_234_500_000).unwrap());
    assert_eq!((found.item, found.value), (12_345, Value::Weight(Quantity(1250))));
    assert_eq!(found.quantity(Money(0)), Some(Quantity(1250)));
    // 21 1234 6 14685: 146.85 of item 1234, whose kilogram costs 9.99.
    let priced = resolve(Gtin::from_body(211_234_614_685).unwrap(), &rules).unwrap();
    assert_eq!((priced.item, priced.value), (1234, Value::Price(Money(14_685))));
    assert_eq!(priced.quantity(Money(999)), Some(Quantity(14_700)));
    assert_eq!(priced.quantity(Money(0)), None);
    // A wrong check digit of the price, and a prefix without a rule.
    assert_eq!(resolve(Gtin::from_body(211_234_714_685).unwrap(), &rules), None);
    assert_eq!(resolve(Gtin::from_body(201_234_614_685).unwrap(), &rules), None);
    // UPC's number system 2: 02 12345 9 2875.
    let upc = resolve(Gtin::from_body(21_234_592_875).unwrap(), &rules).unwrap();
    assert_eq!((upc.item, upc.value), (12_345, Value::Price(Money(2875))));
    assert!(in_store::is_restricted(gtin(2_000_012_345_678)));
    assert!(!in_store::is_restricted(oats()));
    assert_eq!(resolve(oats(), &rules), None);
}

#[test]
fn rules_of_another_country_are_a_table() {
    let rules = Rules::NONE
        .with(20, Rule::plain(Holds::Count, 4))
        .with(99, Rule::plain(Holds::Count, 4));
    let eggs = resolve(Gtin::from_body(201_234_560_030).unwrap(), &rules).unwrap();
    assert_eq!(
        (eggs.item, eggs.value),
        (123_456, Value::Count(Quantity::units(30)))
    );
    assert_eq!(Rule::plain(Holds::Weight, 6), None);
}

fn any_part() -> impl Strategy<Value = String> {
    "[!\"%-?A-Z_a-z]{1,20}"
}

fn any_key() -> impl Strategy<Value = Key<'static>> {
    let part = || prop::option::of(any_part().prop_map(Cow::Owned));
    prop_oneof![
        (0_u64..10_000_000_000_000, part(), part()).prop_map(|(body, lot, serial)| Key::Article {
            gtin: Gtin::from_body(body).unwrap(),
            lot,
            serial,
        }),
        (0_u64..1_000_000_000_000, part()).prop_map(|(body, extension)| Key::Place {
            gln: Gln::from_body(body).unwrap(),
            // In a URN, 0 is no extension.
            extension: extension.filter(|extension| extension != "0"),
        }),
        (0_u64..100_000_000_000_000_000).prop_map(|body| Key::LogisticUnit(Sscc::from_body(body).unwrap())),
    ]
}

proptest! {
    #[test]
    fn every_spelling_reads_back(key in any_key(), prefix in 6_u8..=12) {
        let link = key.to_link();
        prop_assert_eq!(Key::from_link(&link), Some(key.clone()));
        // A piece of a lot has no URN.
        let prefix = PrefixLength::new(prefix).unwrap();
        let (key, urn) = if let Some(urn) = key.to_urn(prefix) {
            (key, urn)
        } else {
            let key = key.without_lot();
            let urn = key.to_urn(prefix).unwrap();
            (key, urn)
        };
        prop_assert_eq!(Key::from_uri(&urn), Some(key));
    }

    #[test]
    fn a_raw_element_string_reads_back(key in any_key()) {
        let gs = '\u{1d}';
        let raw = match &key {
            Key::Article { gtin, lot, serial } => format!(
                "01{gtin}{}{}",
                lot.as_ref().map_or_else(String::new, |lot| format!("10{lot}{gs}")),
                serial.as_ref().map_or_else(String::new, |serial| format!("21{serial}"))
            ),
            Key::Place { gln, extension } => format!(
                "414{:013}{}",
                gln.value(),
                extension.as_ref().map_or_else(String::new, |extension| format!("254{extension}"))
            ),
            Key::LogisticUnit(sscc) => format!("00{:018}", sscc.value()),
        };
        prop_assert_eq!(Key::from_elements(&raw), Some(key));
    }

    #[test]
    fn a_label_reads_back(prefix in prop::sample::select(vec![2_u64, 21, 22, 25, 27, 28, 29]), item in 0_u64..10_000_000_000, value in 0_i64..10_000) {
        let rules = Rules::default();
        let zeros = Gtin::from_body(prefix * 10_000_000_000 + item / 1_000_000 * 1_000_000).unwrap();
        let value = match prefix {
            28 => Value::Weight(Quantity(value)),
            29 => Value::Count(Quantity::units(value)),
            _ => Value::Price(Money(value)),
        };
        let number = label(zeros, value, &rules).unwrap();
        let found = resolve(number, &rules).unwrap();
        prop_assert_eq!((found.article, found.value), (zeros, value));
    }

    #[test]
    fn no_bytes_make_the_scanner_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "(\\]?[CEIQde][0-3])?[(]?(01|10|21|00|3103|414|254|02|37)?[0-9A-Z()\u{1d}é]{0,40}") {
        let rules = Rules::default();
        let _ = barcode::read(&bytes, &rules);
        let _ = barcode::read(text.as_bytes(), &rules);
        let _ = Key::from_uri(&text);
        let _ = Elements::read(&text);
    }
}

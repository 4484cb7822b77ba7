//! Queue records: golden bytes, every sign, every refusal, write ∘ read = id, and COBOL's own view of what we write.

use std::fmt::Write as _;
use std::process::Command;

use crate::support;
use contracts::ids::{Gtin, LocationId, Money, Quantity, Sku, TimeMs};
use contracts::wire::civil::CivilTime;
use contracts::wire::copybook::{
    ADJUSTED_UNITS_MAX, DESPATCH_ADVICE_MAX, FieldOverflow, MoveRecord, MoveType, ParseError,
    QUANTITY_FIELD_MAX, RECORD_BYTES, Record, SEQUENCE_MAX, StatusRecord, UNIT_COST_MAX, UNITS_FIELD_MAX,
    is_status, parse, read, write, write_status,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

fn published() -> MoveRecord {
    MoveRecord {
        sequence: 123_456,
        place: LocationId::store(42),
        department: 81,
        sku: Sku(100_234),
        gtin: Gtin::new(614_141_999_996).unwrap(),
        move_type: MoveType::Sold,
        quantity: Quantity(-2500),
        on_hand: Quantity::units(1_234_567),
        on_order: Quantity::units(-48),
        unit_cost: Money(1234),
        at: TimeMs(1_741_944_413_000),
        adjusted_units: -123,
        destination: None,
        despatch_advice: None,
    }
}

fn shipment() -> MoveRecord {
    MoveRecord {
        place: LocationId::warehouse(7),
        move_type: MoveType::Shipped,
        quantity: Quantity::units(-24),
        adjusted_units: 0,
        destination: Some(LocationId::store(2300)),
        despatch_advice: Some(70_000_000_123),
        ..published()
    }
}

fn bytes_of(record: &MoveRecord) -> Vec<u8> {
    let mut out = Vec::new();
    write(record, &mut out).unwrap();
    out
}

#[test]
fn the_published_record_is_written_byte_for_byte() {
    assert_eq!(bytes_of(&published()), support::hex("invmove-published.hex"));
}

#[test]
fn the_published_record_is_read() {
    assert_eq!(parse(&support::hex("invmove-published.hex")), Ok(published()));
}

fn status() -> StatusRecord {
    StatusRecord {
        place: LocationId::warehouse(7),
        last_sequence: 123_456,
        at: TimeMs(1_741_944_413_000),
    }
}

#[test]
fn a_status_record_is_written_byte_for_byte_and_read() {
    let golden = support::hex("invmove-status.hex");
    let mut out = Vec::new();
    write_status(&status(), &mut out).unwrap();
    assert_eq!(out, golden);
    assert!(is_status(&golden));
    assert_eq!(read(&golden), Ok(Record::Status(status())));
    // It moves nothing.
    assert_eq!(parse(&golden).unwrap_err().class(), "bad-record-type");
}

#[test]
fn a_record_that_moves_something_is_read_as_one() {
    let bytes = bytes_of(&shipment());
    assert!(!is_status(&bytes));
    assert_eq!(read(&bytes), Ok(Record::Move(shipment())));
}

#[test]
fn a_status_record_that_says_more_than_it_may_is_refused() {
    let good = support::hex("invmove-status.hex");
    for at in (9..52).chain(66..80) {
        let mut bytes = good.clone();
        bytes[at] = 0xf0;
        let error = read(&bytes).expect_err("it is not blank");
        assert_eq!(error.class(), "bad-value", "byte {at}");
    }
    for (range, class) in [
        (2..6, "bad-value"),
        (6..9, "bad-packed"),
        (52..60, "bad-zoned"),
        (60..66, "bad-zoned"),
    ] {
        let mut bytes = good.clone();
        bytes[range].fill(0x40);
        assert_eq!(read(&bytes).unwrap_err().class(), class);
    }
    assert_eq!(read(&good[..79]).unwrap_err().class(), "bad-length");
    let too_high = StatusRecord {
        last_sequence: SEQUENCE_MAX + 1,
        ..status()
    };
    let mut out = Vec::new();
    assert_eq!(write_status(&too_high, &mut out).unwrap_err().field, "INV-SEQ-NO");
    assert!(out.is_empty());
}

#[test]
fn destination_and_despatch_advice_of_a_shipment_stand_in_the_last_nine_bytes() {
    let bytes = bytes_of(&shipment());
    assert_eq!(bytes[6..9], [0x90, 0x00, 0x7f]);
    assert_eq!(bytes[30..33], [0xf6, 0xf4, 0xf1]);
    assert_eq!(
        bytes[71..],
        [0x02, 0x30, 0x0f, 0x70, 0x00, 0x00, 0x00, 0x12, 0x3f]
    );
    assert_eq!(parse(&bytes), Ok(shipment()));
}

#[test]
fn every_sign_that_cobol_takes_is_read() {
    let mut bytes = bytes_of(&published());
    for (sign, quantity) in [
        (0xb, Some(-2500)),
        (0xd, Some(-2500)),
        (0xa, None),
        (0xc, None),
        (0xe, None),
        (0xf, None),
    ] {
        bytes[38] = bytes[38] & 0xf0 | sign;
        match quantity {
            Some(quantity) => assert_eq!(parse(&bytes).unwrap().quantity, Quantity(quantity)),
            // Plus, and a sale takes stock out.
            None => assert_eq!(
                parse(&bytes),
                Err(ParseError::Sign {
                    code: 251,
                    quantity: Quantity(2500)
                })
            ),
        }
    }
    let mut bytes = bytes_of(&published());
    for (zone, units) in [
        (0xa, 123),
        (0xb, -123),
        (0xc, 123),
        (0xd, -123),
        (0xe, 123),
        (0xf, 123),
    ] {
        bytes[70] = zone << 4 | 3;
        assert_eq!(parse(&bytes).unwrap().adjusted_units, units);
    }
}

#[test]
fn the_sign_chooses_the_code_of_counts_and_adjustments() {
    for (move_type, quantity, code) in [
        (MoveType::CountVariance, 5, "701"),
        (MoveType::CountVariance, -5, "702"),
        (MoveType::Adjusted, 5, "552"),
        (MoveType::Adjusted, -5, "551"),
        (MoveType::Supplied, 5, "101"),
        (MoveType::Shipped, -5, "641"),
        (MoveType::Returned, 5, "671"),
    ] {
        let bytes = bytes_of(&MoveRecord {
            move_type,
            quantity: Quantity::units(quantity),
            ..published()
        });
        let written: String = bytes[30..33]
            .iter()
            .map(|byte| char::from(byte & 0x0f | b'0'))
            .collect();
        assert_eq!(written, code);
        assert_eq!(parse(&bytes).unwrap().move_type, move_type);
    }
}

#[test]
fn on_hand_is_cut_to_units_and_to_its_field() {
    for (on_hand, read) in [
        (Quantity(-1999), Quantity::units(-1)),
        (Quantity::units(10_000_000), Quantity::units(UNITS_FIELD_MAX)),
        (Quantity(i64::MIN), Quantity::units(-UNITS_FIELD_MAX)),
    ] {
        assert_eq!(
            parse(&bytes_of(&MoveRecord {
                on_hand,
                ..published()
            }))
            .unwrap()
            .on_hand,
            read
        );
    }
}

#[test]
fn what_a_field_cannot_hold_is_refused_and_nothing_is_written() {
    let count = MoveRecord {
        move_type: MoveType::CountVariance,
        ..published()
    };
    let more = Quantity(QUANTITY_FIELD_MAX.0 + 1);
    for (record, field) in [
        (
            MoveRecord {
                sequence: SEQUENCE_MAX + 1,
                ..count
            },
            "INV-SEQ-NO",
        ),
        (
            MoveRecord {
                department: 1000,
                ..count
            },
            "INV-DEPT-NO",
        ),
        (
            MoveRecord {
                sku: Sku(1_000_000_000),
                ..count
            },
            "INV-SKU-NO",
        ),
        (
            MoveRecord {
                quantity: more,
                ..count
            },
            "INV-QTY",
        ),
        (
            MoveRecord {
                quantity: Quantity(i64::MIN),
                ..count
            },
            "INV-QTY",
        ),
        (
            MoveRecord {
                unit_cost: Money(UNIT_COST_MAX.0 + 1),
                ..count
            },
            "INV-UNIT-COST",
        ),
        (
            MoveRecord {
                at: TimeMs(i64::MAX),
                ..count
            },
            "INV-EFF-DATE",
        ),
        (
            MoveRecord {
                adjusted_units: -ADJUSTED_UNITS_MAX - 1,
                ..count
            },
            "INV-ADJ-QTY",
        ),
        (
            MoveRecord {
                place: LocationId::warehouse(10_000),
                ..count
            },
            "INV-STORE-NO",
        ),
        (
            MoveRecord {
                destination: Some(LocationId::warehouse(10_000)),
                ..count
            },
            "INV-DESTINATION",
        ),
        (
            MoveRecord {
                despatch_advice: Some(DESPATCH_ADVICE_MAX + 1),
                ..count
            },
            "INV-DESPATCH-ADVICE",
        ),
        (
            MoveRecord {
                despatch_advice: Some(u64::MAX),
                ..count
            },
            "INV-DESPATCH-ADVICE",
        ),
        (
            MoveRecord {
                move_type: MoveType::Shipped,
                quantity: Quantity(1),
                ..count
            },
            "INV-QTY of this INV-MOVE-TYPE",
        ),
        (
            MoveRecord {
                move_type: MoveType::Supplied,
                quantity: Quantity(-1),
                ..count
            },
            "INV-QTY of this INV-MOVE-TYPE",
        ),
    ] {
        let mut out = vec![1];
        let error = write(&record, &mut out).expect_err(field);
        assert_eq!(error.field, field);
        assert_eq!(out, [1]);
    }
    assert_eq!(
        FieldOverflow {
            field: "INV-SEQ-NO",
            value: 1
        }
        .to_string(),
        "INV-SEQ-NO cannot hold 1"
    );
}

#[test]
fn each_kind_of_damage_has_its_class() {
    let good = bytes_of(&shipment());
    let with = |offset: usize, bytes: &[u8]| {
        let mut record = good.clone();
        record[offset..offset + bytes.len()].copy_from_slice(bytes);
        record
    };
    for (bytes, class) in [
        (good[..79].to_vec(), "bad-length"),
        ([&good[..], &[0x40]].concat(), "bad-length"),
        (Vec::new(), "bad-length"),
        (with(0, b"IM"), "bad-record-type"),
        (with(2, &[0xff; 4]), "bad-value"),
        (with(6, &[0x40; 3]), "bad-packed"),
        (with(6, &[0x00, 0x04, 0x2d]), "bad-packed"),
        (with(6, &[0x89, 0x99, 0x9f]), "bad-value"),
        (with(11, &[0x40; 5]), "bad-packed"),
        (with(33, &[0x40; 6]), "bad-packed"),
        (with(38, &[0x00]), "bad-packed"),
        (with(35, &[0x0a]), "bad-packed"),
        (with(16, b"00614141999996"), "bad-zoned"),
        (with(29, &[0xf5]), "bad-value"),
        (with(30, &[0xf9, 0xf9, 0xf9]), "unknown-move-type"),
        (with(30, &[0xf1, 0xf0, 0xf1]), "wrong-sign"),
        (
            with(52, &[0xf2, 0xf0, 0xf2, 0xf5, 0xf0, 0xf2, 0xf3, 0xf0]),
            "bad-value",
        ),
        (with(60, &[0xf2, 0xf4]), "bad-value"),
        (with(70, &[0x40]), "bad-zoned"),
        (with(71, &[0x72]), "bad-value"),
        (with(33, &[0x30]), "bad-packed"),
        (with(79, &[0x40]), "bad-packed"),
    ] {
        let error = parse(&bytes).expect_err(class);
        assert_eq!(error.class(), class, "{error}");
    }
    assert_eq!(
        parse(&with(33, &[0x40; 6])).unwrap_err().to_string(),
        "INV-QTY at byte 33 is no packed number: it is blank"
    );
}

prop_compose! {
    fn any_record()(
        (sequence, department, sku) in (0..=SEQUENCE_MAX, 0_u16..1000, 0_u32..1_000_000_000),
        (place, destination) in (any_place(), prop::option::of(any_place())),
        body in 0_u64..10_000_000_000_000,
        move_type in prop::sample::select(vec![
            MoveType::Supplied, MoveType::Shipped, MoveType::Adjusted, MoveType::CountVariance, MoveType::Sold,
            MoveType::Returned,
        ]),
        quantity in -QUANTITY_FIELD_MAX.0..=QUANTITY_FIELD_MAX.0,
        (on_hand, on_order) in (-UNITS_FIELD_MAX..=UNITS_FIELD_MAX, -UNITS_FIELD_MAX..=UNITS_FIELD_MAX),
        cost in -UNIT_COST_MAX.0..=UNIT_COST_MAX.0,
        seconds in -62_167_219_200_i64..=253_402_300_799,
        adjusted_units in -ADJUSTED_UNITS_MAX..=ADJUSTED_UNITS_MAX,
        despatch_advice in prop::option::of(0..=DESPATCH_ADVICE_MAX),
    ) -> MoveRecord {
        MoveRecord {
            sequence, place, department, move_type, adjusted_units, destination, despatch_advice,
            sku: Sku(sku),
            gtin: Gtin::from_body(body).unwrap(),
            quantity: Quantity(match move_type {
                MoveType::Supplied | MoveType::Returned => quantity.abs(),
                MoveType::Shipped | MoveType::Sold => -quantity.abs(),
                MoveType::Adjusted | MoveType::CountVariance => quantity,
            }),
            on_hand: Quantity::units(on_hand),
            on_order: Quantity::units(on_order),
            unit_cost: Money(cost),
            at: TimeMs(seconds * 1000),
        }
    }
}

fn any_place() -> impl Strategy<Value = LocationId> {
    prop_oneof![
        (0_u16..=65_535).prop_map(LocationId::store),
        (0_u16..10_000).prop_map(LocationId::warehouse)
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(record in any_record()) {
        let bytes = bytes_of(&record);
        prop_assert_eq!(bytes.len(), RECORD_BYTES);
        prop_assert_eq!(parse(&bytes), Ok(record));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(record in any_record(), changes in prop::collection::vec((0..RECORD_BYTES, any::<u8>()), 0..8), bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = parse(&bytes);
        let mut damaged = bytes_of(&record);
        for (at, byte) in changes {
            damaged[at] = byte;
        }
        // What is read from damaged bytes can be written again.
        if let Ok(record) = parse(&damaged) {
            prop_assert_eq!(write(&record, &mut Vec::new()), Ok(()), "{:?}", record);
        }
    }
}

/// A line as `tests/cobol/readmove.cob` shows a record.
fn shown(record: &MoveRecord) -> String {
    fn edited(value: i64, digits: usize, decimals: u32) -> String {
        let (sign, scale) = (if value < 0 { '-' } else { ' ' }, 10_u64.pow(decimals));
        let mut text = format!("{sign}{:0digits$}", value.unsigned_abs() / scale);
        if decimals > 0 {
            let _ = write!(
                text,
                ".{:0width$}",
                value.unsigned_abs() % scale,
                width = decimals as usize
            );
        }
        text
    }
    let at = CivilTime::from_ms(record.at);
    [
        "IM".to_owned(),
        format!("{:010}", record.sequence),
        format!("{:05}", record.place.copybook_number()),
        format!("{:03}", record.department),
        format!("{:09}", record.sku.0),
        record.gtin.to_string(),
        format!("{:03}", record.move_type.code(record.quantity)),
        edited(record.quantity.0, 7, 3),
        edited(record.on_hand.0 / 1000, 7, 0),
        edited(record.on_order.0 / 1000, 7, 0),
        edited(record.unit_cost.0, 7, 2),
        format!("{:04}{:02}{:02}", at.year, at.month, at.day),
        format!("{:02}{:02}{:02}", at.hour, at.minute, at.second),
        edited(i64::from(record.adjusted_units), 5, 0),
        record.destination.map_or("     ".to_owned(), |place| {
            format!("{:05}", place.copybook_number())
        }),
        record
            .despatch_advice
            .map_or(" ".repeat(11), |advice| format!("{advice:011}")),
        String::new(),
    ]
    .join("|")
}

/// The oracle: a COBOL program with the copybook of the docs reads what we wrote.
#[test]
fn cobol_reads_what_we_write() {
    if Command::new("cobc").arg("--version").output().is_err() {
        println!("skipped: no cobc on this machine (GnuCOBOL 3, Debian package gnucobol3)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = env!("CARGO_MANIFEST_DIR");
    let compiled = Command::new("cobc")
        .args(["-x", "-std=ibm", "-fsign=EBCDIC", "-I"])
        .arg(format!("{here}/../../docs/formats"))
        .arg("-o")
        .arg(folder.path().join("readmove"))
        .arg(format!("{here}/tests/cobol/readmove.cob"))
        .output()
        .unwrap();
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );

    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut records = vec![published(), shipment()];
    for _ in 0..500 {
        records.push(any_record().new_tree(&mut runner).unwrap().current());
    }
    let mut bytes = Vec::new();
    for record in &records {
        write(record, &mut bytes).unwrap();
    }
    std::fs::write(folder.path().join("MOVES"), &bytes).unwrap();
    let run = Command::new(folder.path().join("readmove"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let output = String::from_utf8_lossy(&run.stdout);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), records.len());
    for (line, record) in lines.into_iter().zip(&records) {
        assert_eq!(line, shown(record));
    }
}

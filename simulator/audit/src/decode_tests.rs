use contracts::records::{
    Cell, Completeness, Head, ItemTotal, NumberRange, PartialPosition, RejectedUpTo, SourceKind, SourceState,
};
use contracts::topics::StateKey;
use proptest::prelude::*;
use prost::Message as _;

use super::*;

fn as_read(written: &Cell) -> CellRecord {
    CellRecord {
        cell: ViewCell {
            hash: written.applied_hash,
            floor: written.floor,
            back_room: written.back_room,
            counted: written.counted,
            supplied: written.supplied,
            received: written.received,
            shipped: written.shipped,
            sold: written.sold,
            returned: written.returned,
            adjusted: written.adjusted,
            stocked: written.stocked,
            stored: written.stored,
            applied_offset: written.applied_offset,
            lines: u32::try_from(written.applied_count).unwrap_or(u32::MAX),
            epoch: written.epoch,
        },
        due_ms_min: written.due_ms_min,
        new_lines: written.new_lines,
    }
}

fn item_as_read(written: &ItemTotal) -> ItemRecord {
    let mut positions = [(0, 0); PARTITIONS as usize];
    for position in &written.positions {
        if let Some(slot) = positions.get_mut(position.partition as usize) {
            *slot = (position.epoch, position.cut);
        }
    }
    ItemRecord {
        positions,
        sku: written.sku,
        on_hand: written.on_hand,
        floor: written.floor,
        back_room: written.back_room,
        in_transit: written.in_transit,
        uncertain_partitions: written.uncertain_partitions,
        uncertain: written.uncertain,
    }
}

prop_compose! {
    fn cells()(
        totals in prop::array::uniform11(prop_oneof![Just(0_i64), -100_000..100_000_i64, any::<i64>()]),
        (applied_offset, applied_count, applied_hash) in any::<(u64, u64, u64)>(),
        (epoch, new_lines) in any::<(u32, u32)>(),
        (due_ms_min, due_ms_max) in any::<(i64, i64)>(),
    ) -> Cell {
        let [floor, back_room, counted, supplied, received, shipped, sold, returned, adjusted, stocked, stored] = totals;
        Cell {
            floor, back_room, counted, supplied, received, shipped, sold, returned, adjusted, stocked, stored,
            applied_offset, epoch, applied_count, applied_hash, due_ms_min, due_ms_max, new_lines,
        }
    }
}

prop_compose! {
    fn items()(
        sku in any::<u32>(),
        totals in prop::array::uniform4(prop_oneof![Just(0_i64), any::<i64>()]),
        (uncertain_partitions, due_ms_min, epoch) in any::<(u32, i64, u32)>(),
        (uncertain, uncertain_places) in any::<(i64, u32)>(),
        positions in prop::collection::vec((0_u32..8, any::<u32>(), any::<u64>()), 0..7),
    ) -> ItemTotal {
        let [on_hand, floor, back_room, in_transit] = totals;
        let positions = positions
            .into_iter()
            .map(|(partition, epoch, cut)| PartialPosition { partition, epoch, cut })
            .collect();
        ItemTotal {
            sku, on_hand, floor, back_room, in_transit, uncertain_partitions, positions, due_ms_min, epoch, uncertain,
            uncertain_places,
        }
    }
}

#[test]
fn completeness_and_heads_read_as_the_generated_code_wrote_them() {
    let state = SourceState {
        source_kind: SourceKind::Till as i32,
        source_unit: 3,
        complete_up_to: 118,
        highest: 120,
        claimed: 121,
        claimed_before: 117,
        missing: 2,
        overdue: 1,
        missing_first: vec![
            NumberRange {
                first: 119,
                last: 119,
            },
            NumberRange {
                first: 121,
                last: 121,
            },
        ],
        complete_until_ms: 1_773_480_413_000,
        last_ms: 1_773_480_414_000,
        dead_letters: 2,
        late: 4,
        is_expected: true,
        is_marked: true,
        claimed_ms: 1_773_480_415_000,
        claimed_before_ms: 1_773_480_413_000,
        long_late: 3,
        reordered: 1,
    };
    let written = Completeness {
        epoch: 3,
        cut: 1 << 40,
        sources: vec![state, SourceState::default()],
        marked_ms: 1_773_480_415_000,
        marked_due_ms: 1_773_480_416_000,
        complete_until_ms: 1_773_480_412_000,
        offline_since_ms: 1_773_480_411_000,
        dead_letters: 5,
        rejected: vec![RejectedUpTo {
            topic: "tlog.raw".into(),
            next_offset: 9,
            resolved: vec![NumberRange { first: 4, last: 5 }],
        }],
        is_certain: true,
    };
    let expected = PlaceRecord {
        epoch: 3,
        cut: 1 << 40,
        marked_ms: 1_773_480_415_000,
        complete_until_ms: 1_773_480_412_000,
        offline_since_ms: 1_773_480_411_000,
        dead_letters: 5,
        is_certain: true,
        sources: vec![
            SourceRecord {
                kind: 1,
                unit: 3,
                complete_up_to: 118,
                highest: 120,
                claimed: 121,
                missing: 2,
                overdue: 1,
                missing_first: vec![(119, 119), (121, 121)],
                complete_until_ms: 1_773_480_413_000,
                dead_letters: 2,
                late: 4,
                long_late: 3,
                reordered: 1,
                is_expected: true,
                is_marked: true,
            },
            SourceRecord::default(),
        ],
    };
    assert_eq!(place(&written.encode_to_vec()), Ok(expected));
    let head = Head {
        epoch: 7,
        cut: 99,
        leader_epoch: -1,
        topic_id: "t".into(),
        records: 5,
        ..Head::default()
    };
    assert_eq!(epoch_and_cut(&head.encode_to_vec(), 1), Ok((7, 99)));
    assert!(place(b"\x08").is_err() && epoch_and_cut(b"\x08", 1).is_err());
}

proptest! {
    #[test]
    fn a_cell_reads_as_the_generated_code_wrote_it(written in cells()) {
        prop_assert_eq!(cell(&written.encode_to_vec()), Ok(as_read(&written)));
    }

    #[test]
    fn an_item_reads_as_the_generated_code_wrote_it(written in items()) {
        prop_assert_eq!(item(&written.encode_to_vec()), Ok(item_as_read(&written)));
    }

    /// Cut, changed and wild bytes: what is taken is what the generated code takes.
    #[test]
    fn nothing_is_taken_that_the_generated_code_refuses(
        written in cells(),
        length in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = written.encode_to_vec();
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        bytes.truncate(length.index(bytes.len() + 1));
        if let Ok(read) = cell(&bytes) {
            let generated = Cell::decode(&bytes[..]);
            prop_assert!(generated.is_ok(), "{:?}", generated);
            prop_assert_eq!(read, as_read(&generated.unwrap()));
        }
    }

    #[test]
    fn wild_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(read) = cell(&bytes) {
            prop_assert_eq!(read, as_read(&Cell::decode(&bytes[..]).unwrap()));
        }
        let _ = item(&bytes);
        let _ = place(&bytes);
        let _ = epoch_and_cut(&bytes, 1);
        let _ = key(&bytes);
    }

    #[test]
    fn a_cell_key_reads_as_the_contract_wrote_it(store in any::<bool>(), number in any::<u16>(), sku in any::<u32>()) {
        let location = if store { LocationId::store(number) } else { LocationId::warehouse(number) };
        let bytes = StateKey::Cell { location, sku: Sku(sku) }.to_bytes();
        prop_assert_eq!(key(&bytes), Key::Cell(location, Sku(sku)));
    }
}

#[test]
fn every_cut_of_a_cell_is_read_as_the_generated_code_reads_it() {
    let written = Cell {
        floor: -2_500,
        back_room: 7_000,
        sold: i64::MAX,
        applied_offset: u64::MAX,
        epoch: 11,
        applied_count: 12,
        applied_hash: 0xdead_beef_0bad_cafe,
        due_ms_min: 1_773_480_413_000,
        new_lines: 3,
        ..Cell::default()
    };
    let whole = written.encode_to_vec();
    for length in 0..=whole.len() {
        let generated = Cell::decode(&whole[..length]).ok().map(|cell| as_read(&cell));
        assert_eq!(cell(&whole[..length]).ok(), generated, "{length} bytes");
    }
}

#[test]
fn a_key_has_one_written_form() {
    for text in [
        "",
        "c",
        "c/",
        "c/S0001",
        "c/S0001/",
        "c/S001/1",
        "c/S00001/1",
        "c/X0001/1",
        "c/S0001/01",
        "c/S0001/1/2",
        "c/S0001/-1",
        "c/S0001/+1",
        "c/S0001/4294967296",
        "c/S65536/1",
        "c//1",
        "z/1",
        "p/1/2",
        "cS0001/1",
    ] {
        assert_eq!(key(text.as_bytes()), Key::Unknown, "{text}");
    }
    assert_eq!(key(b"c/S0042/0"), Key::Cell(LocationId::store(42), Sku(0)));
    for text in ["w/S0042/till/3", "k/S0042/till/3", "b/4/17", "i/4", "h/4"] {
        assert_eq!(key(text.as_bytes()), Key::Bookkeeping, "{text}");
    }
}

#[test]
fn a_cell_of_the_view_stays_small() {
    assert!(size_of::<ViewCell>() <= 112);
}

use super::*;

#[test]
fn partitioning_agrees_with_the_jvm_producer() {
    // org.apache.kafka.common.utils.Utils.murmur2, from its own test.
    for (text, hash) in [
        ("21", -973_932_308_i32),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
    ] {
        let expected = (hash as u32 & 0x7fff_ffff) % 12;
        assert_eq!(partition_of_key(text.as_bytes(), 12), expected, "{text}");
    }
}

#[test]
fn a_state_key_reads_what_it_writes() {
    let location = LocationId::store(42);
    let source = SourceId::till(location, 3);
    let image = ImageId {
        partition: 4,
        epoch: 17,
        cut: 120_000,
    };
    for key in [
        StateKey::Cell {
            location,
            sku: Sku(100_234),
        },
        StateKey::Cell {
            location: LocationId::warehouse(12_345),
            sku: Sku(0),
        },
        StateKey::Window(source),
        StateKey::Completeness(location),
        StateKey::Barrier {
            partition: 4,
            epoch: 17,
            owner: u64::MAX / 3,
        },
        StateKey::Intent { partition: 4 },
        StateKey::Head { partition: 0 },
        StateKey::ImagePart { image, index: 7 },
        StateKey::Seal(image),
        StateKey::Partial {
            partition: 4,
            sku: Sku(u32::MAX),
        },
        StateKey::PartialEnd { partition: 4 },
    ] {
        assert_eq!(StateKey::parse(&key.to_bytes()), Some(key));
    }
    assert_eq!(StateKey::parse(b"z/1"), None);
    assert_eq!(StateKey::parse(b"\xff/1"), None);
}

#[test]
fn the_partition_of_a_location_is_that_of_its_text() {
    for location in [
        LocationId::store(1),
        LocationId::warehouse(12),
        LocationId::store(12_345),
    ] {
        assert_eq!(
            partition_of(location),
            partition_of_key(location.to_string().as_bytes(), PARTITIONS)
        );
    }
}

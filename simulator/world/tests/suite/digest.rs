//! Same configuration, same bytes: on any number of threads, and as they were when these digests were taken.

use std::collections::BTreeMap;

use crate::common::{STEPS_A_DAY, small, walk};
use sha2::{Digest as _, Sha256};
use world::{DigestBuilder, TillMix, World, WorldConfig, digest, file_name, message_end};

fn digests(stores: u16, days: u32) -> Vec<String> {
    [1, 2, 8]
        .map(|threads| {
            let mut world = World::new(small(stores)).expect("valid");
            digest(&mut world, days * STEPS_A_DAY, threads)
        })
        .to_vec()
}

#[test]
fn twenty_stores_in_a_day_write_the_same_on_one_two_and_eight_threads() {
    let golden = "8dc7a9f3741a1f95fc0b4735517ab425843e1193422934d73b860b0d0b9577a0";
    assert_eq!(digests(20, 1), [golden; 3]);
}

#[test]
fn three_stores_in_two_days_write_the_same_on_one_two_and_eight_threads() {
    let golden = "ca3d3b2591d3da45c3a01889d1e1b5ea2568a5e251ab0362ed70072fc997786c";
    assert_eq!(digests(3, 2), [golden; 3]);
}

#[test]
fn the_digest_is_that_of_the_sorted_list_of_files() {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut world = World::new(thirds()).expect("valid");
    let locations: Vec<_> = world.places().iter().map(|place| place.location).collect();
    walk(&mut world, 200, |_, place, events| {
        for message in &events.messages {
            let file = files
                .entry(file_name(locations[place], message.format))
                .or_default();
            file.extend_from_slice(events.bytes_of(message));
            file.extend_from_slice(message_end(message.format));
        }
    });
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names[0], "mq/W0001.bin");
    for (folder, end) in [
        ("poslog-2.2.1", "xmll"),
        ("poslog-6.0", "xmll"),
        ("scans", "jsonld"),
        ("tlog", "tlog"),
    ] {
        let of_it = names.iter().filter(|name| name.starts_with(folder));
        assert!(of_it.clone().count() > 0, "{folder} in {names:?}");
        assert!(of_it.clone().all(|name| name.ends_with(end)));
    }
    let mut list: Vec<String> = files
        .iter()
        .map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes)))
        .collect();
    list.sort();
    let again = digest(&mut World::new(thirds()).expect("valid"), 200, 1);
    assert_eq!(again, sha256(list.concat().as_bytes()));
}

/// Six stores with tills of all generations.
fn thirds() -> WorldConfig {
    WorldConfig {
        tills: TillMix {
            ibm_4690: 34,
            poslog_6: 33,
            poslog_2: 33,
        },
        ..small(6)
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn another_seed_writes_something_else() {
    let of_seed = |seed| {
        let config = world::WorldConfig { seed, ..small(3) };
        digest(&mut World::new(config).expect("valid"), 12, 1)
    };
    assert_eq!(of_seed(1), of_seed(1));
    assert_ne!(of_seed(1), of_seed(2));
}

#[test]
fn nothing_written_is_the_digest_of_no_files() {
    let world = World::new(small(3)).expect("valid");
    let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(DigestBuilder::new(world.places()).finish(), nothing);
}

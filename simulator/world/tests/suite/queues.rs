//! What queue managers say of records: who, when, of what, which shipment; in front of the record where it is so.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{STEPS_A_DAY, small, walk};
use contracts::ids::TimeMs;
use contracts::wire::copybook::{self, MoveType};
use contracts::wire::ebcdic::Ccsid;
use contracts::wire::mqmd::{self, IN_GROUP, LAST_IN_GROUP};
use contracts::wire::queue_message::open;
use world::queue::{DescriptorPlace, QueueConfig};
use world::{World, WorldConfig, digest};

fn config(descriptor: DescriptorPlace) -> WorldConfig {
    WorldConfig {
        queues: QueueConfig {
            descriptor,
            ..QueueConfig::default()
        },
        warehouses: 4,
        ..small(12)
    }
}

#[test]
fn each_record_has_a_descriptor_of_its_own_warehouse() {
    let mut world = World::new(config(DescriptorPlace::EveryOther)).expect("valid");
    let managers: Vec<_> = (0..world.places().len())
        .map(|place| world.queue_manager(place))
        .collect();
    let mut ids = BTreeSet::new();
    let mut seen: BTreeMap<u16, (u32, bool)> = BTreeMap::new();
    let mut types = BTreeSet::new();
    walk(&mut world, 2 * STEPS_A_DAY, |_, place, events| {
        let Some(manager) = &managers[place] else {
            assert!(events.descriptors.is_empty());
            return;
        };
        assert_eq!(events.descriptors.len(), events.messages.len());
        for (message, descriptor) in events.messages.iter().zip(&events.descriptors) {
            let bytes = events.bytes_of(message);
            let opened = open(bytes).expect("a message of ours");
            let in_front = manager.is_in_front().then(|| descriptor.clone());
            assert_eq!(opened.descriptor, in_front, "{manager:?}");
            assert_eq!(opened.record.len(), copybook::RECORD_BYTES);
            let record = copybook::parse(opened.record).expect("a record of ours");
            let ccsid = manager.ccsid();
            assert_eq!(descriptor.ccsid, u32::from(ccsid.number()));
            let correlation = ccsid.decode(&descriptor.correlation_id);
            assert_eq!(correlation.trim_end(), format!("{}|{}", record.place, record.sku));
            assert_eq!(descriptor.put, Some(TimeMs(message.at.0 / 10 * 10)));
            assert!(ids.insert(descriptor.message_id), "{descriptor:?} twice");
            let seen = seen.entry(ccsid.number()).or_default();
            *seen = (seen.0 + 1, manager.is_in_front());
            types.insert(format!("{:?}", record.move_type));
        }
    });
    let pages: Vec<(u16, bool)> = seen.iter().map(|(page, (_, front))| (*page, *front)).collect();
    assert_eq!(pages, [(37, false), (500, true), (1047, false), (1140, true)]);
    assert!(seen.values().all(|(records, _)| *records > 100), "{seen:?}");
    let all = ["Adjusted", "CountVariance", "Returned", "Shipped", "Supplied"];
    assert!(types.iter().eq(all), "{types:?}");
}

#[test]
fn the_lines_of_a_shipment_are_a_group_and_the_last_one_says_so() {
    for place in [DescriptorPlace::Properties, DescriptorPlace::InFront] {
        let mut world = World::new(config(place)).expect("valid");
        let mut groups: BTreeMap<u64, Vec<(u32, u32)>> = BTreeMap::new();
        walk(&mut world, STEPS_A_DAY, |_, _, events| {
            for (message, descriptor) in events.messages.iter().zip(&events.descriptors) {
                let opened = open(events.bytes_of(message)).expect("a message of ours");
                let record = copybook::parse(opened.record).expect("a record of ours");
                if record.move_type == MoveType::Shipped {
                    let advice = record.despatch_advice.expect("a shipment has one");
                    let ccsid = Ccsid::from_number(descriptor.ccsid).expect("known");
                    let group = ccsid.decode(&descriptor.group_id);
                    assert_eq!(group.trim_end(), format!("DA{advice:011}"));
                    let descriptor = opened.descriptor.as_ref().unwrap_or(descriptor);
                    let lines = groups.entry(advice).or_default();
                    lines.push((descriptor.sequence, descriptor.flags));
                } else {
                    let alone = (descriptor.group_id, descriptor.sequence, descriptor.flags);
                    assert_eq!(alone, ([0; mqmd::ID_BYTES], 1, 0));
                }
            }
        });
        assert!(groups.len() > 10, "{}", groups.len());
        for (advice, lines) in &groups {
            let last = lines.len() as u32;
            let expected: Vec<_> = (1..=last)
                .map(|line| (line, IN_GROUP | if line == last { LAST_IN_GROUP } else { 0 }))
                .collect();
            assert_eq!(lines, &expected, "{advice}");
        }
    }
}

#[test]
fn the_descriptor_changes_no_fact_and_no_threads_change_it() {
    let digests = |place, threads| {
        let mut world = World::new(config(place)).expect("valid");
        digest(&mut world, 60, threads)
    };
    let [one, two] = [1, 2].map(|threads| digests(DescriptorPlace::InFront, threads));
    assert_eq!(one, two);
    assert_ne!(one, digests(DescriptorPlace::Properties, 1));
    let facts = |place| {
        let mut world = World::new(config(place)).expect("valid");
        let mut facts = Vec::new();
        walk(&mut world, 60, |_, _, events| {
            facts.push((events.transactions.clone(), events.lines.clone()));
        });
        facts
    };
    assert!(facts(DescriptorPlace::InFront) == facts(DescriptorPlace::Properties));
}

#[test]
fn managers_hand_over_for_a_minute_and_name_themselves() {
    let mut world = World::new(config(DescriptorPlace::InFront)).expect("valid");
    let place = world.places().len() - 1;
    let manager = world.queue_manager(place).expect("a warehouse");
    let minutes = (0..24 * 60).filter(|minute| manager.hands_over(TimeMs(minute * 60_000)));
    assert_eq!(minutes.count() as i64, 24 / 4);
    let step = world.opening();
    let descriptor = &step.places[place].descriptors[0];
    let other = manager.replicated(descriptor);
    assert_ne!(other.message_id, descriptor.message_id);
    let name = |id: &mqmd::Id| manager.ccsid().decode(&id[..16]).trim_end().to_owned();
    assert_eq!(
        [name(&descriptor.message_id), name(&other.message_id)],
        ["CSQ ACMEDC01A", "CSQ ACMEDC01B"]
    );
    assert_eq!(other.correlation_id, descriptor.correlation_id);
}

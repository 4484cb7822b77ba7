//! Images: a rebuild begins with the newest whole one, wherever its writer died, and needs no movement below it.

use std::sync::atomic::Ordering::Relaxed;

use crate::support::{self, MemoryGroup, MemoryLog, assert_right, live_with, story, take_over_with};
use contracts::topics::StateKey;
use inventory::{Counters, OutTopic};

fn log_with_images() -> MemoryLog {
    MemoryLog {
        image_every: 9,
        ..MemoryLog::default()
    }
}

fn image_records(log: &MemoryLog) -> Vec<StateKey> {
    let keys = log.of(OutTopic::State).filter(|record| record.value.is_some());
    keys.filter_map(|record| StateKey::parse(&record.key))
        .filter(|key| matches!(key, StateKey::ImagePart { .. } | StateKey::Seal(_)))
        .collect()
}

#[test]
fn one_image_is_left_and_the_floor_is_its_cut() {
    let movements = story(2, 90);
    let mut log = log_with_images();
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    let owned = live_with(&movements, 4, &mut log, &group, &counters).expect("nothing breaks");
    assert!(counters.images_sealed.load(Relaxed) > 3);
    assert!(owned.keeps_from() > 60, "{}", owned.keeps_from());
    assert_eq!(group.floor.get(), owned.keeps_from());
    log.compact();
    let left = image_records(&log);
    let of_floor = left.iter().filter(|key| match key {
        StateKey::ImagePart { image, .. } | StateKey::Seal(image) => image.cut == owned.keeps_from(),
        _ => false,
    });
    assert!(of_floor.count() >= 2, "{left:?}");
    assert_right(&log, &movements, "with images");
}

#[test]
fn a_rebuild_begins_with_the_newest_whole_image_wherever_its_writer_died() {
    let movements = story(2, 70);
    let mut whole = log_with_images();
    live_with(
        &movements,
        4,
        &mut whole,
        &MemoryGroup::default(),
        &Counters::default(),
    )
    .expect("nothing breaks");
    let mut began_with = std::collections::BTreeSet::new();
    for left in 0..whole.records.len() {
        let mut log = log_with_images();
        let (group, counters) = (MemoryGroup::default(), Counters::default());
        log.left = Some(left);
        live_with(&movements, 4, &mut log, &group, &counters).expect_err("it dies");
        log.left = None;
        let floor = group.floor.get();
        // Somebody damages a cell.
        let cell = log
            .of(OutTopic::State)
            .find(|r| r.key.starts_with(b"c/"))
            .cloned();
        if let Some(cell) = cell {
            log.lose(|record| record.key == cell.key);
        }
        log.compact();
        let mut owned = take_over_with(&mut log, &group, &counters, |_| {}).expect("the state is readable");
        owned.rebuild(&mut log, &counters).expect("the image is readable");
        assert!(
            owned.state.next() >= floor,
            "what lies below the floor may be gone"
        );
        began_with.insert(owned.state.next());
        support::go_on(owned, &movements, 4, &mut log, &group, &counters).expect("nothing breaks");
        log.compact();
        assert_right(&log, &movements, &format!("left {left}"));
    }
    assert!(began_with.len() > 4, "{began_with:?}");
}

#[test]
fn an_image_that_is_not_what_its_seal_says_is_refused() {
    let movements = story(2, 70);
    let mut log = log_with_images();
    let (group, counters) = (MemoryGroup::default(), Counters::default());
    live_with(&movements, 4, &mut log, &group, &counters).expect("nothing breaks");
    log.compact();
    for record in &mut log.records {
        if record.key.starts_with(b"m/") {
            record.value = Some(Vec::new());
        }
    }
    let mut owned = take_over_with(&mut log, &group, &counters, |_| {}).expect("the state is readable");
    let error = owned
        .rebuild(&mut log, &counters)
        .expect_err("the image is empty");
    assert!(
        matches!(error, inventory::InventoryError::Image { .. }),
        "{error}"
    );
}

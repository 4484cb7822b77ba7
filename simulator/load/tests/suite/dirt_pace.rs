//! Dirt: the same messages at any pace, each kind of it, and nothing left behind.

use crate::support::{HALF_A_DAY, Run, living};
use load::{Dirt, Pace, SourceFault, SourceFaultCounts};

fn everything() -> Dirt {
    Dirt {
        duplicates: 20,
        late: 20,
        late_ms: (600_000, 6 * 3_600_000),
        reordered: 20,
        missing_numbers: 40,
        // Behind each: there are many kinds, and few messages.
        poison: [1; 5],
        clock_skew: 3,
        unknown_articles: 20,
    }
}

async fn injected(pace: Pace, dirt: Dirt) -> (SourceFaultCounts, usize) {
    let mut run = Run::of(living(), 0, |config| {
        config.stop = HALF_A_DAY;
        config.pace = pace;
        config.dirt = Some(dirt);
    })
    .await;
    let end = run.join().await;
    assert_eq!(end.waiting_bytes, 0, "all that was kept back came");
    (run.load.source_faults(), run.load.new_numbers().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn dirt_is_the_same_at_any_pace_and_there_is_some_of_each_kind() {
    let (fast, renumbered) = injected(Pace::Unthrottled, everything()).await;
    let (slower, again) = injected(Pace::Speed(20_000.0), everything()).await;
    assert_eq!((&fast, renumbered), (&slower, again));
    for fault in [
        SourceFault::Duplicate,
        SourceFault::Late,
        SourceFault::Reordered,
        SourceFault::MissingNumber,
    ] {
        assert!(fast.of(fault).transactions > 0, "{}", fault.name());
    }
    assert!(
        fast.poison_by_kind.iter().all(|poison| *poison > 0),
        "{:?}",
        fast.poison_by_kind
    );
    assert!(fast.tills_off > 0 && fast.unknown_articles > 0 && renumbered > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rates_nothing_is_dirty_but_what_people_do() {
    let (clean, renumbered) = injected(Pace::Unthrottled, Dirt::default()).await;
    let nothing = SourceFaultCounts {
        double_beeps: clean.double_beeps,
        ..SourceFaultCounts::default()
    };
    assert_eq!((clean, renumbered), (nothing, 0));
}

//! What faults of the sources do to the truth: it is what was written, and the same world played again is that too.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{
    HALF_A_DAY, Run, Rung, SALES, STORES, living, receipts, rung, scripted, small_world, with,
};
use contracts::digest::{Digest, Minutes};
use contracts::ids::{BusinessDay, LocationId, SourceId, TimeMs, TransactionId};
use contracts::wire::FORMAT_4690;
use contracts::wire::epcis;
use load::{Pace, SourceFault};
use world::events::{Channel, PlaceEvents};
use world::{World, WorldConfig, business_day};

const DAY_MS: i64 = 86_400_000;

/// What the bytes at the gateway say, by the minute.
fn digest_of(run: &Run) -> Minutes {
    let mut minutes = Minutes::default();
    let mut add = |at: TimeMs, id: TransactionId, quantities: Vec<i64>| {
        minutes.add(
            at.0,
            &Digest::of(&id, quantities.len() as u64, quantities.iter().sum()),
        );
    };
    for (store, receipt) in receipts(run) {
        let id = TransactionId {
            source: SourceId::till(store, receipt.header.terminal),
            business_day: business_day(receipt.header.at),
            number: receipt.header.number.into(),
        };
        let lines = receipt.stock_lines().map(|line| line.quantity.0).collect();
        add(receipt.header.at, id, lines);
    }
    for document in &run.gateway.taken.lock().documents {
        let capture = epcis::read(document).expect("a document");
        for event in &capture.events {
            let place = event.site.expect("a place").location;
            let id = TransactionId {
                source: SourceId::reader(place, event.reader.expect("a reader")),
                business_day: BusinessDay(0),
                number: event.running_number.expect("a number"),
            };
            let lines = capture.movements(event).map(|line| line.quantity.0);
            add(event.at, id, lines.collect());
        }
    }
    minutes
}

fn differences(one: &Minutes, other: &Minutes) -> Vec<Option<i64>> {
    let mut rest = one.clone();
    for (minute, digest) in other.iter() {
        rest.subtract(minute.unwrap_or_default() * 60_000, &digest);
    }
    rest.iter()
        .filter(|(_, digest)| *digest != Digest::default())
        .map(|(minute, _)| minute)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_till_whose_clock_is_off_writes_its_own_instants_and_business_days() {
    // The cut-over at four is in the middle of the script, so that clocks are on either side of it.
    let config = WorldConfig {
        start_of_trading_ms: 4 * 3_600_000,
        ..small_world()
    };
    let first = config.start.0 + 4 * 3_600_000;
    let (run, _) = with(scripted(config), SourceFault::ClockSkew, 1, |_| ()).await;
    let mut off = BTreeMap::new();
    let mut days = BTreeSet::new();
    for (store, receipt) in receipts(&run) {
        let minutes = (receipt.header.at.0 - first) / 60_000;
        assert!((2..=9).contains(&minutes.abs()), "{store}: {minutes}");
        assert_eq!(*off.entry(store).or_insert(minutes), minutes, "constant");
        days.insert(business_day(receipt.header.at));
    }
    assert!(
        off.values().any(|minutes| *minutes < 0) && off.values().any(|minutes| *minutes > 0),
        "{off:?}"
    );
    assert_eq!(days.len(), 2);
    assert_eq!(differences(&run.load.digest(), &digest_of(&run)), []);
    let skewed = run.load.source_faults().of(SourceFault::ClockSkew).messages;
    assert_eq!(skewed, u64::from(SALES));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_over_the_first_business_day_of_its_till_stops_at_its_border() {
    let config = WorldConfig {
        start_of_trading_ms: 4 * 3_600_000 - 300_000,
        ..small_world()
    };
    let begins = (config.start.0 + 4 * 3_600_000).div_euclid(DAY_MS);
    let mut run = Run::of(scripted(config), 0, |run| {
        run.hold_trading = true;
        run.pace = Pace::Speed(30.0);
    })
    .await;
    run.load.set_source_fault(SourceFault::ClockSkew, 1);
    run.load.begin_trading();
    while run.load.snapshot().tills.transactions < u64::from(STORES) {
        tokio::task::yield_now().await;
    }
    run.load.set_source_fault(SourceFault::ClockSkew, 0);
    run.join().await;
    let border = TimeMs((begins * 24 + 4) * 3_600_000);
    let at_border = receipts(&run)
        .iter()
        .filter(|(_, receipt)| receipt.header.at == border)
        .count();
    assert!(at_border > 1, "no clock was set back over the border");
    let mut first_day = BTreeMap::new();
    for (store, receipt) in receipts(&run) {
        let day = business_day(receipt.header.at);
        let first = *first_day.entry(store).or_insert(day);
        assert!(day >= first, "{store}: {day:?} after {first:?}");
    }
    assert_eq!(differences(&run.load.digest(), &digest_of(&run)), []);
}

/// Numbers, business days and instants in the bytes are those of the facts, whatever clock the till has.
fn says_what_its_till_did(store: LocationId, events: &PlaceEvents, index: usize) {
    let message = &events.messages[index];
    // Receipts have minutes, documents seconds.
    let unit = if message.format == FORMAT_4690 {
        60_000
    } else {
        1000
    };
    let facts = events.transactions_of(message).iter();
    let facts: Vec<Rung> = facts
        .map(|transaction| Rung {
            store,
            till: transaction.id.source.unit,
            number: transaction.id.number,
            day: transaction.id.business_day,
            at: TimeMs(transaction.at.0.div_euclid(unit) * unit),
        })
        .collect();
    assert_eq!(
        rung(store, events.bytes_of(message)),
        Some(facts),
        "{}",
        message.format
    );
}

/// Plays the world again as the load says that it was written.
fn played_again(run: &Run, mut world: World) -> Vec<(LocationId, Vec<u8>)> {
    let released = run.load.released_by_place();
    let mut replay = run.load.replay();
    let mut left: Vec<u64> = released;
    let places: Vec<_> = world.places().iter().map(|place| place.location).collect();
    world.opening();
    let mut written = Vec::new();
    while left.iter().any(|left| *left > 0) {
        let mut step = world.step(1);
        for (place, events) in step.places.iter_mut().enumerate() {
            for index in 0..events.messages.len() {
                if left[place] == 0 {
                    break;
                }
                left[place] -= 1;
                if replay.next(place, events, index) && events.messages[index].channel == Channel::Till {
                    says_what_its_till_did(places[place], events, index);
                    written.push((places[place], events.bytes_of(&events.messages[index]).to_vec()));
                }
            }
        }
        world.recycle(step);
    }
    written.sort();
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_world_played_again_is_what_was_written_though_faults_came_and_went() {
    let mut run = Run::of(living(), 0, |config| {
        config.stop = HALF_A_DAY;
        config.hold_trading = true;
        config.pace = Pace::Rate(2_000.0);
    })
    .await;
    run.load.begin_trading();
    for (after, fault, one_in) in [
        (50, SourceFault::MissingNumber, 5),
        (100, SourceFault::ClockSkew, 2),
        (200, SourceFault::ClockSkew, 0),
        (250, SourceFault::MissingNumber, 0),
        (300, SourceFault::ClockSkew, 3),
    ] {
        while run.load.snapshot().tills.transactions < after {
            tokio::task::yield_now().await;
        }
        run.load.set_source_fault(fault, one_in);
    }
    run.join().await;
    let faults = run.load.source_faults();
    assert!(faults.of(SourceFault::MissingNumber).messages > 0);
    assert!(faults.of(SourceFault::ClockSkew).messages > 0);
    let mut taken: Vec<(LocationId, Vec<u8>)> = {
        let taken = run.gateway.taken.lock();
        let all = taken.receipts.iter();
        all.flat_map(|(store, receipts)| receipts.iter().map(|receipt| (*store, receipt.clone())))
            .collect()
    };
    taken.sort();
    assert!(taken == played_again(&run, living()), "{} receipts", taken.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_generation_of_tills_can_have_a_clock_that_is_off() {
    let (run, _) = with(living(), SourceFault::ClockSkew, 1, |config| {
        config.stop = HALF_A_DAY;
    })
    .await;
    let written = played_again(&run, living());
    let right = {
        let mut world = living();
        world.opening();
        let mut at = BTreeSet::new();
        for _ in 0..144 {
            let step = world.step(1);
            for events in &step.places {
                at.extend(
                    events
                        .transactions
                        .iter()
                        .map(|transaction| (transaction.id, transaction.at)),
                );
            }
            world.recycle(step);
        }
        at
    };
    let mut off = BTreeMap::from([(true, 0), (false, 0)]);
    for (store, message) in &written {
        for rung in rung(*store, message).expect("readable") {
            let id = TransactionId {
                source: SourceId::till(*store, rung.till),
                business_day: rung.day,
                number: rung.number,
            };
            let as_it_was = right.range((id, TimeMs(i64::MIN))..).next();
            let is_off =
                as_it_was.is_none_or(|(known, at)| *known != id || (rung.at.0 - at.0).abs() > 60_000);
            *off.get_mut(&message.starts_with(b"<")).expect("two kinds") += u32::from(is_off);
        }
    }
    assert!(off.values().all(|count| *count > 100), "{off:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_at_once_lose_nothing_but_what_sources_lost() {
    let mut run = Run::of(living(), 0, |config| {
        config.stop = HALF_A_DAY;
        config.hold_trading = true;
    })
    .await;
    for fault in SourceFault::ALL {
        run.load.set_source_fault(fault, 10);
    }
    run.load
        .restart_store_servers(&[LocationId::store(1), LocationId::store(9_999)]);
    run.load.begin_trading();
    let end = run.join().await;
    assert_eq!((end.waiting_bytes, end.waiting_transactions()), (0, 0));
    assert_eq!(
        run.transactions(),
        end.offered().transactions + end.opening.transactions
    );
    let faults = run.load.source_faults();
    for fault in [
        SourceFault::Duplicate,
        SourceFault::Late,
        SourceFault::Poison,
        SourceFault::MissingNumber,
    ] {
        assert!(faults.of(fault).messages > 0, "{}", fault.name());
    }
    let mut taken: Vec<(LocationId, Vec<u8>)> = {
        let taken = run.gateway.taken.lock();
        let all = taken.receipts.iter();
        all.flat_map(|(store, receipts)| receipts.iter().map(|receipt| (*store, receipt.clone())))
            .filter(|(store, message)| rung(*store, message).is_some())
            .collect()
    };
    taken.sort();
    taken.dedup();
    assert!(taken == played_again(&run, living()), "{} receipts", taken.len());
}

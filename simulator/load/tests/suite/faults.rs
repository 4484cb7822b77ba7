//! What is wrong with the sources: what must always hold, and that each fault did happen.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{HALF_A_DAY, Run, SALES, STORES, all_rung, living, rung, scripted, small_world, with};
use contracts::ids::LocationId;
use contracts::wire::copybook::{self, Record};
use contracts::wire::epcis;
use contracts::wire::queue_message;
use load::{Pace, Snapshot, SourceFault};
use world::events::Channel;

/// Runs the script with one fault on from the first sale.
async fn scripted_with(pace: Pace, fault: SourceFault, one_in: u32) -> (Run, Snapshot) {
    with(scripted(small_world()), fault, one_in, |config| {
        config.pace = pace;
    })
    .await
}

fn all_numbers() -> Vec<Vec<u16>> {
    vec![(1..=SALES / STORES).collect(); usize::from(STORES)]
}

fn sorted(mut numbers: Vec<Vec<u16>>) -> Vec<Vec<u16>> {
    for store in &mut numbers {
        store.sort_unstable();
    }
    numbers
}

/// Store and number of what came more than once, with how often.
fn repeated(numbers: &[Vec<u16>]) -> BTreeMap<(usize, u16), usize> {
    let mut times = BTreeMap::new();
    for (store, numbers) in numbers.iter().enumerate() {
        for number in numbers {
            *times.entry((store, *number)).or_default() += 1;
        }
    }
    times.retain(|_, times| *times > 1);
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_come_twice_and_the_same_ones_at_any_pace() {
    let (run, _) = scripted_with(Pace::Unthrottled, SourceFault::Duplicate, 3).await;
    let (slower, _) = scripted_with(Pace::Speed(100.0), SourceFault::Duplicate, 3).await;
    for run in [&run, &slower] {
        let twice = repeated(&run.numbers());
        assert!(!twice.is_empty() && twice.len() < usize::from(SALES));
        assert!(twice.values().all(|times| *times == 2));
        let scans = run.gateway.taken.lock().documents.len() - 1;
        let injected = run.load.source_faults().of(SourceFault::Duplicate);
        assert_eq!(injected.messages, (twice.len() + scans) as u64);
        assert_eq!(injected.transactions, injected.messages);
        assert_eq!(
            run.transactions(),
            u64::from(SALES) + 1,
            "the truth has them once"
        );
    }
    assert_eq!(repeated(&run.numbers()), repeated(&slower.numbers()));
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_of_queues_and_documents_are_counted_by_their_transactions() {
    let (run, end) = with(living(), SourceFault::Duplicate, 5, |config| {
        config.stop = HALF_A_DAY;
    })
    .await;
    let records = run.records(2).await;
    let mut lines = 0;
    for record in &records {
        lines += u64::from(matches!(
            copybook::read(queue_message::record(record)),
            Ok(Record::Move(_))
        ));
    }
    let (queue, scans) = end.queue_and_scans_with_opening();
    let scanned: usize = run
        .gateway
        .taken
        .lock()
        .documents
        .iter()
        .map(|document| {
            let events = epcis::read(document).expect("a document").events;
            events.iter().filter(|event| event.reader.is_some()).count()
        })
        .sum();
    let doubled = [
        all_rung(&run).len() as u64 - end.tills.transactions,
        lines - queue.transactions,
        scanned as u64 - scans.transactions,
    ];
    assert!(doubled.iter().all(|doubled| *doubled > 0), "{doubled:?}");
    let injected = run.load.source_faults().of(SourceFault::Duplicate);
    // What two queue managers sent while they handed over is no fault.
    assert_eq!(
        injected.transactions + end.handed_over,
        doubled.iter().sum::<u64>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn late_messages_are_overtaken_and_never_lost() {
    let (run, _) = scripted_with(Pace::Unthrottled, SourceFault::Late, 4).await;
    assert_eq!(sorted(run.numbers()), all_numbers());
    assert_ne!(run.numbers(), all_numbers(), "some were overtaken");
    let late = run.load.source_faults().of(SourceFault::Late).messages;
    assert!(late > 0 && late < u64::from(SALES));
    assert!(
        run.numbers().iter().all(|store| store[0] == 1),
        "no source begins late"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reordered_messages_change_places_with_the_next_of_their_source() {
    let (run, _) = scripted_with(Pace::Unthrottled, SourceFault::Reordered, 3).await;
    let mut swapped = 0;
    for store in run.numbers() {
        let mut at = 0;
        for number in 1..=SALES / STORES {
            let Some(found) = store[at..].iter().position(|other| *other == number) else {
                continue;
            };
            // In its place, or just behind the next one.
            assert!(found <= 1, "{store:?}");
            if found == 1 {
                assert_eq!(store[at], number + 1, "{store:?}");
                swapped += 1;
                at += 1;
            }
            at += usize::from(store[at] == number || found == 1);
        }
    }
    assert_eq!(sorted(run.numbers()), all_numbers());
    let injected = run.load.source_faults().of(SourceFault::Reordered).messages;
    assert!(injected > 0);
    assert_eq!(swapped, injected);
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_comes_in_one_piece_through_every_edge_and_nobody_can_read_it() {
    let (run, end) = with(living(), SourceFault::Poison, 7, |config| {
        config.stop = HALF_A_DAY;
    })
    .await;
    let faults = run.load.source_faults();
    let bad_receipts: usize = {
        let taken = run.gateway.taken.lock();
        let all = taken.receipts.iter();
        let all = all.flat_map(|(store, messages)| messages.iter().map(|message| (*store, message)));
        let bad: Vec<_> = all
            .filter(|(store, message)| rung(*store, message).is_none())
            .collect();
        let of_xml = bad
            .iter()
            .filter(|(_, message)| message.starts_with(b"<"))
            .count();
        assert!(
            of_xml > 0 && of_xml < bad.len(),
            "of both kinds of tills: {of_xml} of {}",
            bad.len()
        );
        bad.len()
    };
    let bad_documents: Vec<_> = {
        let taken = run.gateway.taken.lock();
        let documents = taken.documents.iter();
        documents.filter(|d| epcis::read(d).is_err()).cloned().collect()
    };
    assert!(
        bad_documents
            .iter()
            .all(|document| epcis::location_of(document).is_some()),
        "the gateway finds its place"
    );
    let records = run.records(2).await;
    let bad_records = records
        .iter()
        .filter(|record| copybook::read(queue_message::record(record)).is_err());
    let found = [
        (Channel::Till, bad_receipts),
        (Channel::Queue, bad_records.count()),
        (Channel::Scan, bad_documents.len()),
    ];
    for (channel, bad) in found {
        assert!(bad > 0, "{channel:?}");
        assert_eq!(faults.poison_of(channel), bad as u64, "{channel:?}");
    }
    assert_eq!(
        faults.of(SourceFault::Poison).messages,
        found.iter().map(|(_, bad)| *bad as u64).sum::<u64>()
    );
    assert_eq!(
        all_rung(&run).len() as u64,
        end.tills.transactions,
        "no receipt is missing"
    );
    assert_eq!(
        run.transactions(),
        end.offered().transactions + end.opening.transactions
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_lost_at_its_source_is_used_and_never_happened() {
    let (run, end) = scripted_with(Pace::Speed(300.0), SourceFault::MissingNumber, 4).await;
    let lost = run.load.lost_at_source();
    let came: BTreeSet<(usize, u16)> = run
        .numbers()
        .iter()
        .enumerate()
        .flat_map(|(store, numbers)| numbers.iter().map(move |number| (store, *number)))
        .collect();
    let missing: BTreeSet<(usize, u16)> = (0..usize::from(STORES))
        .flat_map(|store| (1..=SALES / STORES).map(move |number| (store, number)))
        .filter(|known| !came.contains(known))
        .collect();
    let tills: BTreeSet<(usize, u16)> = lost
        .iter()
        .filter(|id| id.source.kind == contracts::records::SourceKind::Till)
        .map(|id| (usize::from(id.source.location.number()) - 1, id.number as u16))
        .collect();
    assert!(!missing.is_empty() && missing.len() < usize::from(SALES));
    assert_eq!(missing, tills);
    let injected = run.load.source_faults().of(SourceFault::MissingNumber);
    assert_eq!(injected.transactions, lost.len() as u64);
    let happened = u64::from(SALES) + 1 - lost.len() as u64;
    assert_eq!(
        (run.transactions(), end.offered().transactions),
        (happened, happened)
    );
    assert_eq!(run.load.digest().total().transactions, happened);
    let used: u64 = (0..run.ledger.places())
        .flat_map(|place| run.ledger.place(place).sources.clone())
        .map(|source| source.transactions)
        .sum();
    assert_eq!(used, u64::from(SALES) + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_server_that_is_restarted_sends_again_what_nobody_acknowledged_to_it() {
    let mut run = Run::start(Pace::Speed(300.0), 0, |config| config.hold_trading = true).await;
    let stores: Vec<_> = (1..=STORES).map(LocationId::store).collect();
    // Nothing is under way yet: each goes down in its first upload, when the gateway has it.
    run.load.restart_store_servers(&stores);
    run.load.begin_trading();
    let end = run.join().await;
    let faults = run.load.source_faults();
    assert_eq!(faults.uploads_again, u64::from(STORES));
    assert!(faults.transactions_again >= u64::from(STORES));
    let numbers = run.numbers();
    for store in &numbers {
        let once: BTreeSet<u16> = store.iter().copied().collect();
        assert_eq!(once.into_iter().collect::<Vec<_>>(), all_numbers()[0]);
        assert!(
            store.iter().filter(|number| **number == 1).count() > 1,
            "{store:?}"
        );
    }
    let again: usize = repeated(&numbers).values().map(|times| times - 1).sum();
    assert!(again as u64 <= faults.transactions_again, "{again}");
    assert_eq!(end.acknowledged[0], u64::from(SALES));
    assert_eq!(run.transactions(), u64::from(SALES) + 1);
}

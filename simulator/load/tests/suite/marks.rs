//! Marks: each place says how far its sources are, behind everything that it wrote.

use std::time::Duration;

use crate::support::{HALF_A_DAY, Run, SALES, STORES, living};
use contracts::ids::LocationId;
use contracts::records::SourceKind;
use contracts::wire::copybook::{self, Record};
use contracts::wire::queue_message;
use contracts::wire::source_mark::StoreMark;
use load::{Pace, SourceFault};

/// What a mark says of the first till.
fn till(mark: &StoreMark) -> u64 {
    let standing = mark
        .sources
        .iter()
        .find(|s| (s.kind, s.unit) == (SourceKind::Till, 1));
    standing.expect("a till").last
}

fn marks_of(run: &Run, store: LocationId) -> Vec<(StoreMark, usize)> {
    let taken = run.gateway.taken.lock();
    let all = taken.marks.iter();
    all.filter(|(mark, _)| mark.store == store).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_leaves_behind_what_it_claims_and_the_last_one_claims_all() {
    let mut run = Run::start(Pace::Speed(100.0), 0, |_| ()).await;
    let end = run.join().await;
    assert_eq!(
        end.acknowledged,
        [u64::from(SALES), 0, 1],
        "marks are no transactions"
    );
    for store in 1..=STORES {
        let marks = marks_of(&run, LocationId::store(store));
        assert!(marks.len() > 2, "{}", marks.len());
        for (mark, before) in &marks {
            assert!(*before as u64 >= till(mark), "{mark:?} after {before} receipts");
        }
        assert!(marks.is_sorted_by_key(|(mark, _)| (till(mark), mark.clock)));
        let (last, _) = marks.last().expect("one at least");
        assert_eq!(till(last), u64::from(SALES / STORES));
        assert!(last.clock >= end.simulated, "{:?}", last.clock);
        let (before, _) = &marks[marks.len() - 2];
        assert_eq!(
            (till(before), before.clock < last.clock),
            (till(last), true),
            "said twice"
        );
        let reader = last.sources.iter().find(|s| s.kind == SourceKind::Reader);
        assert_eq!(reader.map(|reader| reader.last), Some(u64::from(store == 1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offline_store_says_nothing_and_one_mark_goes_behind_its_journal() {
    let mut run = Run::start(Pace::Unthrottled, 0, |config| config.hold_trading = true).await;
    let gone = LocationId::store(2);
    run.load.set_offline(&[gone], true);
    run.load.begin_trading();
    run.join().await;
    let before = marks_of(&run, gone);
    assert!(before.iter().all(|(mark, _)| till(mark) == 0), "{before:?}");
    run.load.set_offline(&[gone], false);
    tokio::time::timeout(Duration::from_secs(30), async {
        while marks_of(&run, gone).len() == before.len() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a mark comes");
    let (mark, receipts) = marks_of(&run, gone).pop().expect("it came");
    assert_eq!(
        (till(&mark), receipts),
        (u64::from(SALES / STORES), usize::from(SALES / STORES))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_counts_what_was_lost_or_held_back() {
    let mut run = Run::start(Pace::Unthrottled, 0, |config| config.hold_trading = true).await;
    run.load.set_source_fault(SourceFault::MissingNumber, 1);
    run.load.begin_trading();
    let end = run.join().await;
    assert_eq!((end.offered().transactions, run.transactions()), (0, 0));
    for store in 1..=STORES {
        let marks = marks_of(&run, LocationId::store(store));
        let (last, receipts) = marks.last().expect("a mark");
        assert_eq!((till(last), *receipts), (u64::from(SALES / STORES), 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_says_it_in_a_record_of_its_queue() {
    let mut run = Run::of(living(), 0, |config| {
        config.stop = HALF_A_DAY;
        config.mark_interval = Duration::from_millis(1);
    })
    .await;
    let end = run.join().await;
    let records = run.records(2).await;
    let mut moves = 0;
    let mut last = std::collections::BTreeMap::new();
    let mut statuses = 0;
    let mut said = std::collections::BTreeMap::new();
    for record in &records {
        match copybook::read(queue_message::record(record)).expect("a record") {
            Record::Move(record) => {
                moves += 1;
                last.insert(record.place, record.sequence);
            }
            Record::Status(status) => {
                statuses += 1;
                let written = last.get(&status.place).copied().unwrap_or_default();
                assert_eq!(status.last_sequence, written, "behind what it claims");
                said.entry(status.place).or_insert_with(Vec::new).push(status);
            }
        }
    }
    assert!(statuses >= 2, "{statuses}");
    assert!(matches!(
        copybook::read(queue_message::record(&records[records.len() - 1])),
        Ok(Record::Status(_))
    ));
    for said in said.values() {
        let [.., before, last] = said.as_slice() else {
            panic!("two at least");
        };
        assert_eq!(before.last_sequence, last.last_sequence);
        assert!(before.at < last.at, "another instant, to the second");
    }
    let (queue, _) = end.queue_and_scans_with_opening();
    assert_eq!(moves, queue.transactions);
}

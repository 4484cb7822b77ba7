//! The load against a scripted gateway and an embedded queue.

use std::time::Duration;

use crate::support::{HALF_A_DAY, Run, SALES, STORES, all_rung, living};
use contracts::ids::{LocationId, TimeMs};
use contracts::wire::{FORMAT_4690, FORMAT_POSLOG_2, FORMAT_POSLOG_6};
use load::{Pace, Phase, Stop};

fn expected() -> Vec<Vec<u16>> {
    vec![(1..=SALES / STORES).collect(); usize::from(STORES)]
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_out_of_order_at_a_gateway_that_refuses_and_breaks() {
    let mut run = Run::start(Pace::Speed(300.0), 3, |_| ()).await;
    let end = run.join().await;
    assert_eq!(run.numbers(), expected());
    assert_eq!(end.phase, Phase::Done);
    assert_eq!(
        (end.tills.transactions, end.scans.transactions),
        (u64::from(SALES), 1)
    );
    assert_eq!(end.acknowledged, [u64::from(SALES), 0, 1]);
    assert_eq!(
        (end.waiting_bytes, end.waiting_transactions(), end.rejected),
        (0, 0, 0)
    );
    assert!(end.retries >= 3, "{}", end.retries);
    assert_eq!(run.gateway.taken.lock().documents.len(), 1);
    assert_eq!(
        run.transactions(),
        u64::from(SALES) + 1,
        "each once in the ledger"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn due_instants_come_from_the_schedule_and_not_from_the_sending() {
    // Refusals hold uploads back for a good while; instants do not care.
    let mut run = Run::start(Pace::Speed(100.0), 2, |_| ()).await;
    run.join().await;
    let mut intended = run.gateway.taken.lock().intended.clone();
    intended.sort_unstable();
    // Ten milliseconds a sale; equal instants of a batch are sent as one.
    for (index, due) in intended.iter().take(usize::from(SALES)).enumerate() {
        let schedule = intended[0] + 10 * index as i64;
        assert!(
            (due - schedule).abs() <= 1,
            "sale {index} due {due}, not {schedule}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sent_twice_everything_comes_twice_and_happened_once() {
    let mut run = Run::start(Pace::Unthrottled, 0, |config| config.send_twice = true).await;
    let end = run.join().await;
    for store in run.numbers() {
        let half = store.len() / 2;
        assert_eq!(store.len(), usize::from(SALES / STORES) * 2);
        assert_eq!(store[..half], store[half..]);
    }
    assert_eq!(end.tills.transactions, u64::from(SALES));
    assert_eq!(run.transactions(), u64::from(SALES) + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offline_store_does_not_hold_the_end_and_uploads_when_it_is_back() {
    let mut run = Run::start(Pace::Unthrottled, 0, |config| config.hold_trading = true).await;
    let gone = LocationId::store(2);
    run.load.set_offline(&[gone], true);
    run.load.begin_trading();
    let end = run.join().await;
    assert_eq!(end.stores_offline, 1);
    assert_eq!(end.waiting_transactions(), u64::from(SALES / STORES));
    assert_eq!(run.numbers()[1], [0_u16; 0]);
    run.load.set_offline(&[gone], false);
    tokio::time::timeout(Duration::from_secs(30), async {
        while run.load.snapshot().waiting_bytes > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("uploads");
    assert_eq!(run.numbers(), expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_after_so_many_receipts_releases_exactly_those() {
    let mut run = Run::start(Pace::Rate(1_000.0), 0, |config| {
        config.stop = Stop {
            until_ms: None,
            receipts: Some(25),
        };
    })
    .await;
    let end = run.join().await;
    assert_eq!(end.tills.transactions, 25);
    assert_eq!(run.transactions(), 25);
    assert_eq!(run.numbers().concat().len(), 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pace_that_would_take_days_can_be_changed_at_once() {
    let mut run = Run::start(Pace::Speed(0.001), 0, |_| ()).await;
    run.load.pause();
    run.load.set_pace(Pace::Unthrottled);
    run.load.resume();
    let end = run.join().await;
    assert_eq!(end.tills.transactions, u64::from(SALES));
    assert_eq!(run.numbers(), expected());
    assert!(end.simulated > TimeMs(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_stock_and_queue_records_arrive_before_and_beside_trading() {
    let mut run = Run::of(living(), 0, |config| config.stop = HALF_A_DAY).await;
    let end = run.join().await;
    let released = end.offered().transactions + end.opening.transactions;
    assert!(end.opening.transactions > 0 && end.tills.transactions > 100 && end.queue.transactions > 0);
    assert_eq!(end.waiting_transactions(), 0);
    assert_eq!(run.transactions(), released);
    // A record is a transaction, opening stock of warehouses included.
    assert!(run.queue.depth_of_all() as u64 >= end.queue.transactions);
    assert_eq!(all_rung(&run).len() as u64, end.tills.transactions);
    let formats = run.load.formats();
    let of_tills = &formats[..3];
    assert_eq!(
        of_tills.iter().map(|(format, _)| *format).collect::<Vec<_>>(),
        [FORMAT_4690, FORMAT_POSLOG_6, FORMAT_POSLOG_2]
    );
    let transactions: u64 = of_tills.iter().map(|(_, amount)| amount.transactions).sum();
    assert_eq!(transactions, end.tills.transactions);
    let messages: u64 = of_tills.iter().map(|(_, amount)| amount.messages).sum();
    let taken = run.gateway.taken.lock();
    let (came, bytes) = taken
        .receipts
        .values()
        .flatten()
        .fold((0, 0), |(came, bytes), message| {
            (came + 1, bytes + message.len() as u64)
        });
    assert_eq!(
        (
            messages,
            of_tills.iter().map(|(_, amount)| amount.bytes).sum::<u64>()
        ),
        (came, bytes)
    );
    assert!(messages < transactions, "some documents have several");
}

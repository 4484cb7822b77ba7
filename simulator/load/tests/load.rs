//! The load against a scripted gateway and an embedded queue.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use backbone::amqp::AmqpOptions;
use bytes::Bytes;
use contracts::ids::{LocationId, TimeMs};
use contracts::wire::tlog4690::{frames, parse};
use embedded::queue::{QueueOptions, QueueServer};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ledger::Ledger;
use load::{Config, Load, Pace, Phase, Snapshot, Stop};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use world::{ScriptedEvent, ScriptedKind, World, WorldConfig};

const STORES: u16 = 3;
const SALES: u16 = 60;

/// What a gateway was sent and answered for.
#[derive(Default)]
struct Taken {
    requests: usize,
    /// Bytes of receipts by path, in the order of their coming.
    receipts: BTreeMap<String, Vec<Vec<u8>>>,
    intended: Vec<i64>,
    documents: usize,
}

/// Answers 503 to the first `refused` requests, breaks the connection at every seventh, and takes the others.
struct Gateway {
    address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
    cancel: CancellationToken,
}

impl Gateway {
    async fn start(refused: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("has an address");
        let taken = Arc::new(Mutex::new(Taken::default()));
        let cancel = CancellationToken::new();
        let (shared, stop) = (Arc::clone(&taken), cancel.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = tokio::select! {
                    accepted = listener.accept() => accepted.expect("accepts"),
                    () = stop.cancelled() => return,
                };
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&shared), refused, request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self {
            address,
            taken,
            cancel,
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

async fn answer(
    shared: Arc<Mutex<Taken>>,
    refused: usize,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let path = request.uri().path().to_owned();
    let intended = request.headers()["intended-at"]
        .to_str()
        .expect("text")
        .to_owned();
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let mut taken = shared.lock();
    taken.requests += 1;
    if taken.requests <= refused {
        let mut busy = Response::new(Full::default());
        *busy.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return Ok(busy);
    }
    if taken.requests.is_multiple_of(7) {
        return Err(std::io::Error::other("the line broke"));
    }
    let due: Vec<i64> = intended
        .split(',')
        .map(|ms| ms.parse().expect("a number"))
        .collect();
    taken.intended.extend(&due);
    if path == "/capture" {
        taken.documents += 1;
    } else {
        let receipts: Vec<_> = frames(&body)
            .map(|frame| body[frame.expect("whole receipts")].to_vec())
            .collect();
        assert!(due.len() == 1 || due.len() == receipts.len());
        taken.receipts.entry(path).or_default().extend(receipts);
    }
    Ok(Response::new(Full::new(Bytes::from_static(b"{}"))))
}

/// Sixty sales in turn at three stores, a second apart, and one count.
fn world() -> World {
    let config = WorldConfig {
        stores: STORES,
        warehouses: 1,
        skus: 10,
        assortment: 10,
        transactions_per_day: 1_000,
        ..WorldConfig::default()
    };
    let mut events: Vec<ScriptedEvent> = (0..SALES)
        .map(|index| ScriptedEvent {
            at_ms_offset: u64::from(index) * 1_000,
            store: index % STORES + 1,
            sku: u32::from(index % 10),
            kind: ScriptedKind::Sale,
            units: 1,
        })
        .collect();
    events.push(ScriptedEvent {
        at_ms_offset: 61_000,
        store: 1,
        sku: 0,
        kind: ScriptedKind::Restock,
        units: 100,
    });
    World::scripted(config, events).expect("a valid script")
}

struct Run {
    load: Load,
    ledger: Arc<Ledger>,
    gateway: Gateway,
    _queue: QueueServer,
}

impl Run {
    async fn start(pace: Pace, refused: usize, change: impl FnOnce(&mut Config)) -> Self {
        let gateway = Gateway::start(refused).await;
        let queue = QueueServer::start(QueueOptions::default()).await.expect("queue");
        let mut config = Config {
            gateway: gateway.address.to_string(),
            amqp: AmqpOptions {
                url: queue.url(),
                user: None,
                password: None,
            },
            pace,
            stop: Stop {
                until_ms: Some(300_000),
                receipts: None,
            },
            opening: true,
            hold_trading: false,
            send_twice: false,
            threads: 1,
            connections: 2,
            upload_interval: Duration::from_millis(20),
            mark_interval: Duration::from_millis(50),
        };
        change(&mut config);
        let world = world();
        let ledger = Arc::new(Ledger::new(&world.assortments()));
        let load =
            Load::start(config, world, Arc::clone(&ledger), &CancellationToken::new()).expect("starts");
        Self {
            load,
            ledger,
            gateway,
            _queue: queue,
        }
    }

    async fn join(&mut self) -> Snapshot {
        tokio::time::timeout(Duration::from_mins(1), self.load.join())
            .await
            .expect("ends in time")
            .expect("ends well")
    }

    fn transactions(&self) -> u64 {
        (0..self.ledger.places())
            .map(|place| self.ledger.place(place).transactions)
            .sum()
    }

    /// Numbers of the receipts of each store, without those that came again at once.
    fn numbers(&self) -> Vec<Vec<u16>> {
        let taken = self.gateway.taken.lock();
        (1..=STORES)
            .map(|store| {
                let path = format!("/v1/stores/{}/tlog", LocationId::store(store));
                let all = taken.receipts.get(&path).map_or(&[][..], Vec::as_slice);
                all.iter()
                    .map(|receipt| parse(receipt).expect("a receipt").header.number)
                    .collect()
            })
            .collect()
    }
}

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
    assert_eq!(run.gateway.taken.lock().documents, 1);
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
    let gateway = Gateway::start(0).await;
    let queue = QueueServer::start(QueueOptions::default()).await.expect("queue");
    let config = Config {
        gateway: gateway.address.to_string(),
        amqp: AmqpOptions {
            url: queue.url(),
            user: None,
            password: None,
        },
        pace: Pace::Unthrottled,
        stop: Stop {
            until_ms: Some(12 * 3_600_000),
            receipts: None,
        },
        opening: true,
        hold_trading: false,
        send_twice: false,
        threads: 1,
        connections: 2,
        upload_interval: Duration::from_millis(20),
        mark_interval: Duration::from_millis(50),
    };
    let world = World::new(WorldConfig {
        stores: 4,
        warehouses: 2,
        skus: 100,
        assortment: 40,
        transactions_per_day: 2_000,
        ..WorldConfig::default()
    })
    .expect("a world");
    let ledger = Arc::new(Ledger::new(&world.assortments()));
    let mut load =
        Load::start(config, world, Arc::clone(&ledger), &CancellationToken::new()).expect("starts");
    let end = tokio::time::timeout(Duration::from_mins(1), load.join())
        .await
        .expect("ends in time")
        .expect("ends well");
    let released = end.offered().transactions + end.opening.transactions;
    assert!(end.opening.transactions > 0 && end.tills.transactions > 100 && end.queue.transactions > 0);
    assert_eq!(end.waiting_transactions(), 0);
    let happened: u64 = (0..ledger.places())
        .map(|place| ledger.place(place).transactions)
        .sum();
    assert_eq!(happened, released);
    // A record is a transaction, opening stock of warehouses included.
    assert!(queue.depth_of_all() as u64 >= end.queue.transactions);
    let receipts: usize = gateway.taken.lock().receipts.values().map(Vec::len).sum();
    assert_eq!(receipts as u64, end.tills.transactions);
}

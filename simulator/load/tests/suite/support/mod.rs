//! A scripted gateway, an embedded queue, and a load between them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use backbone::amqp::{AmqpOptions, QueueReceiver, queue_name};
use bytes::Bytes;
use contracts::ids::{BusinessDay, LocationId, TimeMs};
use contracts::wire::poslog;
use contracts::wire::source_mark::{self, StoreMark};
use contracts::wire::tlog4690::{self, frames, parse};
use embedded::queue::{QueueOptions, QueueServer};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ledger::Ledger;
use load::{Config, Load, Pace, Snapshot, Stop};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use world::{ScriptedEvent, ScriptedKind, TillMix, World, WorldConfig};

pub const STORES: u16 = 3;
pub const SALES: u16 = 60;

/// What a gateway was sent and answered for.
#[derive(Default)]
pub struct Taken {
    pub requests: usize,
    /// Receipts and documents of tills by store, in the order of their coming.
    pub receipts: BTreeMap<LocationId, Vec<Vec<u8>>>,
    /// Of receipts and documents.
    pub intended: Vec<i64>,
    pub documents: Vec<Bytes>,
    /// Marks, each with the receipts that its store had sent before.
    pub marks: Vec<(StoreMark, usize)>,
}

/// Answers 503 to the first `refused` requests, breaks the connection at every seventh, and takes the others.
pub struct Gateway {
    pub address: SocketAddr,
    pub taken: Arc<Mutex<Taken>>,
    cancel: CancellationToken,
}

impl Gateway {
    pub async fn start(refused: usize) -> Self {
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
    let is_xml = request.headers()["content-type"] == "application/xml";
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
    if path == "/capture" {
        taken.intended.extend(&due);
        taken.documents.push(body);
    } else if path.ends_with("/marks") {
        let mark = source_mark::parse(&body).expect("a mark");
        let before = taken.receipts.get(&mark.store).map_or(0, Vec::len);
        taken.marks.push((mark, before));
    } else {
        taken.intended.extend(&due);
        let store = path.split('/').nth(3).and_then(|store| store.parse().ok());
        let receipts: Vec<_> = if is_xml {
            poslog::frames(&body)
                .map(|frame| body[frame.expect("whole documents")].to_vec())
                .collect()
        } else {
            frames(&body)
                .map(|frame| body[frame.expect("whole receipts")].to_vec())
                .collect()
        };
        assert!(due.len() == 1 || due.len() == receipts.len());
        taken
            .receipts
            .entry(store.expect("a store"))
            .or_default()
            .extend(receipts);
    }
    Ok(Response::new(Full::new(Bytes::from_static(b"{}"))))
}

pub fn small_world() -> WorldConfig {
    WorldConfig {
        stores: STORES,
        warehouses: 1,
        skus: 10,
        assortment: 10,
        transactions_per_day: 1_000,
        ..WorldConfig::default()
    }
}

/// Sixty sales in turn at three stores, a second apart, and one count.
pub fn scripted(config: WorldConfig) -> World {
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

/// Four stores and two warehouses that trade for half a day, with tills of all generations.
pub fn living() -> World {
    World::new(WorldConfig {
        tills: TillMix {
            ibm_4690: 40,
            poslog_6: 30,
            poslog_2: 30,
        },
        stores: 4,
        warehouses: 2,
        skus: 100,
        assortment: 40,
        transactions_per_day: 2_000,
        ..WorldConfig::default()
    })
    .expect("a world")
}

pub const HALF_A_DAY: Stop = Stop {
    until_ms: Some(12 * 3_600_000),
    receipts: None,
};

pub struct Run {
    pub load: Load,
    pub ledger: Arc<Ledger>,
    pub gateway: Gateway,
    pub queue: QueueServer,
}

impl Run {
    pub async fn start(pace: Pace, refused: usize, change: impl FnOnce(&mut Config)) -> Self {
        Self::of(scripted(small_world()), refused, |config| {
            config.pace = pace;
            change(config);
        })
        .await
    }

    pub async fn of(world: World, refused: usize, change: impl FnOnce(&mut Config)) -> Self {
        let gateway = Gateway::start(refused).await;
        let queue = QueueServer::start(QueueOptions::default()).await.expect("queue");
        let mut config = Config {
            gateway: gateway.address.to_string(),
            amqp: amqp(&queue),
            pace: Pace::Unthrottled,
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
            dirt: None,
        };
        change(&mut config);
        let ledger = Arc::new(Ledger::new(&world.assortments()));
        let load =
            Load::start(config, world, Arc::clone(&ledger), &CancellationToken::new()).expect("starts");
        Self {
            load,
            ledger,
            gateway,
            queue,
        }
    }

    pub async fn join(&mut self) -> Snapshot {
        tokio::time::timeout(Duration::from_mins(1), self.load.join())
            .await
            .expect("ends in time")
            .expect("ends well")
    }

    pub fn transactions(&self) -> u64 {
        (0..self.ledger.places())
            .map(|place| self.ledger.place(place).transactions)
            .sum()
    }

    /// Numbers of the receipts of each store, without those that came again at once.
    pub fn numbers(&self) -> Vec<Vec<u16>> {
        let taken = self.gateway.taken.lock();
        (1..=STORES)
            .map(|store| {
                let all = taken
                    .receipts
                    .get(&LocationId::store(store))
                    .map_or(&[][..], Vec::as_slice);
                all.iter()
                    .map(|receipt| parse(receipt).expect("a receipt").header.number)
                    .collect()
            })
            .collect()
    }

    /// Everything that lies in the queues of the warehouses.
    pub async fn records(&self, warehouses: u16) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        for warehouse in 1..=warehouses {
            let queue = queue_name(LocationId::warehouse(warehouse));
            let left = self.queue.depth(&queue);
            let mut receiver = QueueReceiver::connect(&amqp(&self.queue), &queue, 500)
                .await
                .expect("connects");
            let all = records.len() + left;
            while records.len() < all {
                let batch = receiver.recv_batch(500).await.expect("records");
                receiver.accept(batch.iter()).await.expect("accepted");
                records.extend(batch.into_iter().map(|message| message.body));
            }
        }
        records
    }
}

fn amqp(queue: &QueueServer) -> AmqpOptions {
    AmqpOptions {
        url: queue.url(),
        user: None,
        password: None,
    }
}

/// Runs a world with one fault on from the first receipt.
pub async fn with(
    world: World,
    fault: load::SourceFault,
    one_in: u32,
    change: impl FnOnce(&mut load::Config),
) -> (Run, Snapshot) {
    let mut run = Run::of(world, 0, |config| {
        config.hold_trading = true;
        change(config);
    })
    .await;
    run.load.set_source_fault(fault, one_in);
    run.load.begin_trading();
    let end = run.join().await;
    assert_eq!(
        (end.waiting_bytes, end.waiting_transactions(), end.rejected),
        (0, 0, 0)
    );
    (run, end)
}

/// Of what the gateway has, by what can be read.
pub fn receipts(run: &Run) -> Vec<(LocationId, tlog4690::Receipt)> {
    let taken = run.gateway.taken.lock();
    taken
        .receipts
        .iter()
        .flat_map(|(store, receipts)| receipts.iter().map(|bytes| (*store, bytes)))
        .filter_map(|(store, bytes)| Some((store, tlog4690::parse(bytes).ok()?)))
        .collect()
}

/// A transaction as a till wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    pub store: LocationId,
    pub till: u16,
    pub number: u64,
    pub day: BusinessDay,
    pub at: TimeMs,
}

/// The transactions of a till's message; `None`: nobody can read it.
pub fn rung(store: LocationId, message: &[u8]) -> Option<Vec<Rung>> {
    if !message.starts_with(b"<") {
        let header = tlog4690::parse(message).ok()?.header;
        return Some(vec![Rung {
            store,
            till: header.terminal,
            number: header.number.into(),
            day: world::business_day(header.at),
            at: header.at,
        }]);
    }
    let document = poslog::parse(message).ok()?;
    let rung = document.transactions.iter().map(|transaction| {
        assert_eq!(transaction.store, store.number());
        Rung {
            store,
            till: transaction.workstation,
            number: transaction.number,
            day: transaction.business_day.expect("tills say it"),
            at: transaction.occurred().expect("tills say it").at,
        }
    });
    Some(rung.collect())
}

/// All of what the gateway has that can be read.
pub fn all_rung(run: &Run) -> Vec<Rung> {
    let taken = run.gateway.taken.lock();
    let messages = taken
        .receipts
        .iter()
        .flat_map(|(store, messages)| messages.iter().map(|message| (*store, message)));
    messages
        .filter_map(|(store, message)| rung(store, message))
        .flatten()
        .collect()
}

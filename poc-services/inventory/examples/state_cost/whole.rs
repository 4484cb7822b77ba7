//! The whole pipeline with either side at its end: a chain that trades, its uploads and queues, gateway, queue source and
//! normaliser, over the embedded broker. Without the audit, which costs the same with both.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use backbone::amqp::AmqpOptions;
use backbone::{OffsetKeeper, Reader};
use embedded::queue::{QueueOptions, QueueServer};
use inventory::{Applied, Content, Transaction};
use ledger::Ledger;
use load::{Load, Pace, Phase, Stop};
use tokio_util::sync::CancellationToken;
use world::{World, WorldConfig};

use crate::logs::{Commits, Kafka};
use crate::{FLUSH_EVERY, Failure, Side, Stand, Took};

/// Between two flushes where little comes.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);
const LOOK: Duration = Duration::from_millis(20);
/// What is applied by then never is.
const PATIENCE: Duration = Duration::from_mins(5);

/// Applies what comes until it is told that nothing more does; gives the cells written since trading began.
struct Stage {
    side: Side,
    reader: Reader,
    log: Kafka,
    keeper: OffsetKeeper,
    applied: Arc<AtomicU64>,
    trading: Arc<AtomicBool>,
    cancel: CancellationToken,
}

impl Stage {
    fn run(mut self) -> Result<u64, Failure> {
        let mut transaction = Transaction::default();
        let (mut since, mut last) = (0, Instant::now());
        let mut cells = 0;
        while !self.cancel.is_cancelled() {
            if let Some(record) = self.reader.poll(POLL)? {
                let (partition, offset) = (record.partition(), record.offset());
                let content = transaction.read(record.payload().unwrap_or_default())?;
                match (&mut self.side, content) {
                    // An upload that was not answered in time comes twice.
                    (side, Content::Transaction) => {
                        since += u64::from(side.take(partition, offset, &transaction));
                    }
                    (Side::Safe { owned, .. }, Content::Statement(statement)) => {
                        let applied = owned[partition as usize].state.note(&statement, offset);
                        assert!(!matches!(applied, Applied::Refused(_)), "{applied:?}");
                    }
                    (Side::Bare(bare), Content::Statement(_)) => bare[partition as usize].next = offset + 1,
                }
            }
            if since >= FLUSH_EVERY as u64 || since > 0 && last.elapsed() >= FLUSH_WITHIN {
                let written = self.side.flush(&mut self.log, &Commits(Some(&self.keeper)))?;
                if self.trading.load(Ordering::Acquire) {
                    cells += written;
                }
                self.applied.fetch_add(since, Ordering::AcqRel);
                (since, last) = (0, Instant::now());
            }
        }
        Ok(cells)
    }
}

/// User and system time of the process, of threads that have ended too, in seconds to the hundredth.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux' /proc");
    let (_, fields) = stat.rsplit_once(')').expect("the name in brackets");
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// One run: opening stock, then so many receipts with all that belongs to them, as fast as they are taken.
pub fn run(side: Side, receipts: u64) -> Result<(Took, u64), Failure> {
    let Stand {
        runtime,
        broker,
        backbone,
        reader,
        keeper,
        log,
        side,
    } = Stand::start(side, 8 << 30)?;
    let queue = runtime.block_on(QueueServer::start(QueueOptions::default()))?;
    let world = World::new(WorldConfig::default())?;
    load::publish_places(&backbone, world.places())?;
    load::publish_catalogue(&backbone, world.articles())?;
    let amqp = AmqpOptions {
        url: queue.url(),
        user: None,
        password: None,
    };
    let warehouses = world.places().iter().map(|place| place.location);
    let warehouses = warehouses.filter(|location| !location.is_store()).collect();
    let cancel = CancellationToken::new();
    let _guard = cancel.clone().drop_guard();
    let gateway = runtime.block_on(store_gateway::Gateway::bind(
        store_gateway::Config::default(),
        &backbone,
    ))?;
    let address = gateway.local_addr().to_string();
    let source = mq_source::Config {
        client_id: "mq-source".into(),
        warehouses,
        amqp: amqp.clone(),
        sabotage: None,
        counters: Arc::default(),
    };
    let gateway = runtime.spawn(gateway.run(cancel.clone()));
    let source = runtime.spawn(mq_source::run(source, backbone.clone(), cancel.clone()));
    let normaliser = thread::spawn({
        let (backbone, cancel) = (backbone.clone(), cancel.clone());
        move || normaliser::run(normaliser::Config::default(), backbone, cancel)
    });
    let (applied, trading) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let stage = Stage {
        side,
        reader,
        log,
        keeper,
        applied: Arc::clone(&applied),
        trading: Arc::clone(&trading),
        cancel: cancel.clone(),
    };
    let stage = thread::spawn(move || stage.run());

    let ledger = Arc::new(Ledger::new(&world.assortments()));
    let config = load::Config {
        gateway: address,
        amqp,
        pace: Pace::Unthrottled,
        stop: Stop {
            until_ms: None,
            receipts: Some(receipts),
        },
        opening: true,
        hold_trading: true,
        send_twice: false,
        threads: 1,
        connections: 256,
        upload_interval: Duration::from_millis(250),
        mark_interval: Duration::from_secs(5),
        dirt: None,
    };
    let mut load = {
        let _runtime = runtime.enter();
        Load::start(config, world, Arc::clone(&ledger), &cancel)?
    };
    let happened = || -> u64 {
        (0..ledger.places())
            .map(|place| ledger.place(place).transactions)
            .sum()
    };
    let until_applied = |phase: &[Phase]| -> Result<u64, Failure> {
        let start = Instant::now();
        while !phase.contains(&load.snapshot().phase) || applied.load(Ordering::Acquire) < happened() {
            if stage.is_finished() || start.elapsed() > PATIENCE {
                return Err(format!(
                    "{} of {} transactions applied: the pipeline stands",
                    applied.load(Ordering::Acquire),
                    happened()
                )
                .into());
            }
            thread::sleep(LOOK);
        }
        Ok(happened())
    };
    let before = until_applied(&[Phase::Ready])?;
    trading.store(true, Ordering::Release);
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    load.begin_trading();
    let after = until_applied(&[Phase::Done])?;
    let (cpu, wall) = (cpu_seconds() - cpu, wall.elapsed().as_secs_f64());
    runtime.block_on(load.join())?;
    cancel.cancel();
    let cells = stage.join().map_err(|_| "the stage panicked")??;
    normaliser.join().map_err(|_| "the normaliser panicked")??;
    runtime.block_on(gateway)??;
    runtime.block_on(source)??;
    queue.shutdown();
    runtime.block_on(broker.shutdown());
    Ok((Took { cpu, wall, cells }, after - before))
}

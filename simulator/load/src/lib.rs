//! The load: plays the world against the transports, open loop.
//!
//! Invariant: the schedule decides when a message is due and the system does not; what was released is in the ledger
//! once and reaches its edge at least once; what a source lost is in the ledger as lost. It knows addresses and protocols
//! of the edges, nothing of what lies behind them.

mod counters;
mod descriptor;
mod dirt;
mod faults;
mod held;
mod journal;
mod marks;
mod master_data;
mod pace;
mod poison;
mod queue;
mod release;
mod snapshot;
mod source_fault;
mod sources;
mod upload;
mod wrong;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use backbone::BackboneError;
use backbone::amqp::AmqpOptions;
use contracts::ids::{LocationId, TransactionId};
use ledger::Ledger;
use tokio_util::sync::CancellationToken;
use world::World;

pub use counters::{Amount, FormatAmount, Phase};
pub use dirt::{Dirt, LATE_MS};
pub use journal::JOURNAL_BYTES_MAX;
pub use master_data::{publish_catalogue, publish_places};
pub use pace::Pace;
pub use poison::{KINDS as POISON_KINDS, Kind as PoisonKind, Poison};
pub use snapshot::Snapshot;
pub use source_fault::{Injected, SourceFault, SourceFaultCounts};
pub use sources::Replay;

use counters::Counters;
use journal::Journals;
use marks::Marks;
use release::Release;
use sources::Sources;
use upload::Uploader;

/// When the load ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stop {
    /// Simulated milliseconds from the start of trading.
    pub until_ms: Option<u64>,
    /// Till receipts.
    pub receipts: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Config {
    /// `host:port` of the store gateway.
    pub gateway: String,
    pub amqp: AmqpOptions,
    pub pace: Pace,
    pub stop: Stop,
    /// Sends the opening stock first.
    pub opening: bool,
    /// Trading waits for [`Load::begin_trading`].
    pub hold_trading: bool,
    /// Everything is sent a second time at the end, under the same identities.
    pub send_twice: bool,
    /// Threads that play the world.
    pub threads: usize,
    /// Connections that the stores share.
    pub connections: usize,
    /// A store gathers so long before it uploads.
    pub upload_interval: Duration,
    /// Each place says so often how far its sources are.
    pub mark_interval: Duration,
    /// What is wrong with the sources for the whole of trading.
    pub dirt: Option<Dirt>,
}

#[derive(Debug)]
pub(crate) enum Control {
    Pace(Pace),
    Pause,
    Resume,
    BeginTrading,
    Stop,
    SourceFault(SourceFault, u32),
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("load: {0}")]
    Backbone(#[from] BackboneError),
    #[error("a thread of the load cannot start: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the load ended before its time: one of its threads panicked")]
    Ended,
}

/// A load that runs.
pub struct Load {
    counters: Arc<Counters>,
    journals: Arc<Journals>,
    sources: Arc<Sources>,
    marks: Arc<Marks>,
    ledger: Arc<Ledger>,
    stores: Arc<[LocationId]>,
    control: mpsc::Sender<Control>,
    thread: Option<thread::JoinHandle<Result<(), LoadError>>>,
    /// Cancelled when the thread ends, however it ends.
    ended: CancellationToken,
    cancel: CancellationToken,
}

impl Load {
    /// Starts on the current runtime and a thread of its own.
    pub fn start(
        config: Config,
        world: World,
        ledger: Arc<Ledger>,
        cancel: &CancellationToken,
    ) -> Result<Self, LoadError> {
        let cancel = cancel.child_token();
        let places: Vec<LocationId> = world.places().iter().map(|place| place.location).collect();
        let counters = Arc::new(Counters::new(places.len()));
        let stores: Arc<[LocationId]> = places.iter().copied().filter(|place| place.is_store()).collect();
        let journals = Arc::new(Journals::new(places.len(), config.upload_interval));
        let sources = Arc::new(Sources::new(
            world.config().seed,
            config.dirt.as_ref().map(Dirt::switches).unwrap_or_default(),
            world.places(),
        ));
        let marks = Arc::new(Marks {
            sources: Arc::clone(&sources),
            journals: Arc::clone(&journals),
            counters: Arc::clone(&counters),
            managers: (0..places.len())
                .map(|place| world.queue_manager(place))
                .collect(),
            silent_ms: AtomicI64::new(0),
        });
        let uploader = Arc::new(Uploader {
            gateway: config.gateway.clone(),
            stores: places.as_slice().into(),
            journals: Arc::clone(&journals),
            counters: Arc::clone(&counters),
        });
        for _ in 0..config.connections.max(1) {
            tokio::spawn(Arc::clone(&uploader).run(cancel.clone()));
        }
        let queues = places
            .iter()
            .map(|place| {
                (!place.is_store()).then(|| {
                    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
                    tokio::spawn(queue::run(
                        *place,
                        config.amqp.clone(),
                        receiver,
                        Arc::clone(&counters),
                        cancel.clone(),
                    ));
                    sender
                })
            })
            .collect();
        let (control, orders) = mpsc::channel();
        let names_articles_anew = config.dirt.as_ref().is_some_and(|dirt| dirt.unknown_articles > 0);
        let gtins = if names_articles_anew {
            let articles = world.articles().iter();
            articles.map(|article| (article.sku, article.gtin)).collect()
        } else {
            BTreeMap::new()
        };
        let release = Release {
            config,
            ledger: Arc::clone(&ledger),
            journals: Arc::clone(&journals),
            counters: Arc::clone(&counters),
            sources: Arc::clone(&sources),
            marks: Arc::clone(&marks),
            queues,
            gtins,
            control: orders,
            cancel: cancel.clone(),
        };
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let thread = thread::Builder::new().name("load".into()).spawn(move || {
            let _guard = guard;
            release.run(world)
        })?;
        Ok(Self {
            counters,
            journals,
            sources,
            marks,
            ledger,
            stores,
            control,
            thread: Some(thread),
            ended,
            cancel,
        })
    }

    fn order(&self, control: Control) {
        // A load that has ended needs no orders.
        let _ = self.control.send(control);
    }

    pub fn set_pace(&self, pace: Pace) {
        self.order(Control::Pace(pace));
    }

    pub fn pause(&self) {
        self.order(Control::Pause);
    }

    pub fn resume(&self) {
        self.order(Control::Resume);
    }

    pub fn begin_trading(&self) {
        self.order(Control::BeginTrading);
    }

    /// Releases nothing more; what was released still arrives.
    pub fn stop(&self) {
        self.order(Control::Stop);
    }

    /// Their positions; unknown ones are passed over.
    fn positions(&self, stores: &[LocationId]) -> impl Iterator<Item = usize> {
        stores
            .iter()
            .filter_map(|store| self.stores.iter().position(|known| known == store))
    }

    /// Stores lose their line, or have it back. Unknown ones are passed over.
    pub fn set_offline(&self, stores: &[LocationId], offline: bool) {
        for position in self.positions(stores) {
            if self.journals.set_offline(position, offline) {
                let change = if offline { 1 } else { u64::MAX };
                self.counters.offline.fetch_add(change, Ordering::Relaxed);
                if !offline {
                    self.marks.of_store(position);
                }
            }
        }
    }

    /// One message in so many is hit from now on; 0: none. Of [`SourceFault::ClockSkew`], one till in so many.
    ///
    /// Which ones are hit follows from the seed and their identities, whatever the pace; when it begins and ends, from the
    /// instant of the call.
    pub fn set_source_fault(&self, fault: SourceFault, one_in: u32) {
        self.order(Control::SourceFault(fault, one_in));
    }

    /// Their connections break; what was under way comes again from the journal, which they kept. A server that sends
    /// nothing just now goes down in its next upload, when the gateway has it and before the answer is heard. Unknown
    /// stores are passed over.
    pub fn restart_store_servers(&self, stores: &[LocationId]) {
        self.positions(stores)
            .for_each(|position| self.journals.restart(position));
    }

    /// What has been wrong with the sources so far.
    pub fn source_faults(&self) -> SourceFaultCounts {
        self.counters.faults.counts()
    }

    /// Articles that some message names by their second number, which the catalogue does not have.
    pub fn new_numbers(&self) -> BTreeSet<u32> {
        self.counters.new_numbers.lock().clone()
    }

    /// Numbers that sources used and lost.
    pub fn lost_at_source(&self) -> BTreeSet<TransactionId> {
        self.ledger.lost_at_source().iter().map(|lost| lost.id).collect()
    }

    /// Tells what became of each message of trading, for who plays the same world again up to
    /// [`Load::released_by_place`].
    pub fn replay(&self) -> Replay {
        self.sources.replay()
    }

    pub fn is_offline(&self, position: usize) -> bool {
        self.journals.is_offline(position)
    }

    /// Messages of trading that were released, by place in the order of the world: what a replay has to stop at.
    pub fn released_by_place(&self) -> Vec<u64> {
        self.counters
            .released_by_place
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect()
    }

    /// Everything released, opening stock included, by the minute in which it happened.
    pub fn digest(&self) -> contracts::digest::Minutes {
        self.counters.digest.lock().clone()
    }

    /// What was released in each format that there was, opening stock apart.
    pub fn formats(&self) -> Vec<(&'static str, FormatAmount)> {
        self.counters.formats()
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.counters, self.journals.held_bytes())
    }

    /// Waits until the load is over: stopped, or at its end, and everything acknowledged but what offline stores hold.
    /// Those still upload when they are back, as long as this value lives.
    pub async fn join(&mut self) -> Result<Snapshot, LoadError> {
        self.ended.cancelled().await;
        if let Some(thread) = self.thread.take() {
            // It has ended: this does not block.
            thread.join().map_err(|_| LoadError::Ended)??;
        }
        Ok(self.snapshot())
    }

    /// Stops at once, without draining, and waits for its thread.
    pub fn abort(mut self) {
        self.cancel.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic of it has been printed already.
            let _ = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

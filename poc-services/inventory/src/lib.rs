//! The inventory service: movements become cells per place and SKU, and totals per article.
//!
//! Two stages, each with a loop of its own: [`run_store`] reads `movements` and writes `store.inventory` and
//! `item.partials`; [`run_item`] reads `item.partials` and writes `item.inventory`. [`run`] is both.
//!
//! Invariant: what is published at an offset is a function of the log below it. It knows no wire format, no source and no
//! truth; it deduplicates by the identity that a source gave its transaction.
//!
//! Pure rules: `transaction` (a movement, checked), `window` (which numbers are in), `cell` (stock and its books),
//! `completeness` and `statement` (what is known of sources, and what is not), `partition` (all of them, and what is new), `outbox` (what is new, as records), `owned` and `flush` (in which order they
//! become durable), `taking` and `restore` (a partition out of its records), `repair` (what an older owner wrote late),
//! `rebuild` and `image` (a state that is not to be trusted, made anew), `items` (totals). IO: `log`, `acquire` and `store`,
//! `item`.

mod acquire;
mod bit_set;
mod cell;
mod completeness;
mod fast_hash;
mod flush;
mod image;
mod item;
mod items;
mod line_hash;
mod log;
mod outbox;
mod owned;
mod partition;
#[cfg(feature = "plant")]
mod pause;
mod plant;
mod rebuild;
mod rejections;
mod repair;
mod restore;
mod sabotage;
mod statement;
mod store;
mod taking;
mod transaction;
mod window;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use backbone::{Backbone, BackboneError};
use contracts::digest::{Digest, Minutes, ReadOnce};
use contracts::sabotage::Sabotage;
use tokio_util::sync::CancellationToken;

pub use cell::{Cell, News};
pub use flush::{Flushed, flush};
pub use image::ImageReader;
pub use item::run as run_item;
pub use items::Items;
pub use line_hash::LineHasher;
pub use log::{Group, Log, OutTopic, Taker};
pub use owned::Owned;
pub use partition::{Applied, Cut, Partition, Refusal};
#[cfg(feature = "plant")]
pub use pause::{Pause, Resume};
#[cfg(feature = "plant")]
pub use plant::{Plant, Planted};
pub use restore::{Cause, Image, Restore, Restored, Seen};
pub use sabotage::ItemSaboteur;
pub use statement::{Said, Standing, Statement};
pub use store::run as run_store;
pub use taking::Taking;
pub use transaction::{Content, Invalid, Line, Transaction};
pub use window::{Outcome, Window};

/// The consumer group of the store stage.
pub const GROUP: &str = "store-inventory";
/// The group that shares out who publishes which totals of articles.
pub const ITEM_GROUP: &str = "item-inventory";
/// A group without members whose offsets of `movements` are those from which a rebuild would begin: who trims the topic
/// keeps what lies behind them, whatever others have read.
pub const FLOOR_GROUP: &str = "store-inventory-floor";

#[derive(Clone, Debug)]
pub struct Config {
    /// Unique among the instances of the group.
    pub instance: String,
    /// Between two flushes, when there is time.
    pub flush_min: Duration,
    /// Between two flushes, when there is not: many updates of a cell then become one record.
    pub flush_max: Duration,
    /// Between two publications of article totals.
    pub item_flush: Duration,
    /// Between two heads of a partition in which nothing moves: each looks whether somebody else wrote there.
    pub idle_head: Duration,
    /// Movements of a partition between two images, which are what a rebuild begins with. `None`: no images, and `movements`
    /// is kept from the newest head only, for a broker that has little room; a partition that would have to be rebuilt is
    /// then unknown.
    pub image_every: Option<u64>,
    /// A place whose marks are so much older than the newest of its partition is offline: its stock is as of its last mark.
    pub offline_after: Duration,
    /// Damages one transaction in so many, so that the audit has something to find.
    pub sabotage: Option<Sabotage>,
    pub counters: Arc<Counters>,
    /// Cancelled: ends at once, without a last flush, as a killed process would.
    pub kill: CancellationToken,
    #[cfg(feature = "plant")]
    pub pause: Option<Arc<Pause>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            instance: "1".into(),
            flush_min: Duration::from_millis(100),
            flush_max: Duration::from_secs(5),
            item_flush: Duration::from_millis(200),
            idle_head: Duration::from_secs(3),
            image_every: Some(250_000),
            offline_after: Duration::from_secs(12),
            sabotage: None,
            counters: Arc::default(),
            kill: CancellationToken::new(),
            #[cfg(feature = "plant")]
            pause: None,
        }
    }
}

/// What the service did since the counters were made, over restarts.
#[derive(Debug, Default)]
pub struct Counters {
    /// Transactions that were new. What is read again after a restart is counted once.
    pub transactions: AtomicU64,
    /// Their lines.
    pub lines: AtomicU64,
    /// Both by the kind of their source: tills, queues, readers.
    pub transactions_by_source: [AtomicU64; 3],
    pub lines_by_source: [AtomicU64; 3],
    /// Repeats dropped.
    pub repeats: AtomicU64,
    /// Transactions of the log that were in already when it was read again after a restart.
    pub replayed: AtomicU64,
    pub dead_letters: AtomicU64,
    pub cells_written: AtomicU64,
    pub partials_written: AtomicU64,
    pub items_written: AtomicU64,
    pub flushes: AtomicU64,
    pub flush_ms_last: AtomicU64,
    pub flush_interval_ms: AtomicU64,
    pub epoch: AtomicU64,
    pub restores: AtomicU64,
    pub restored_cells: AtomicU64,
    pub restore_ms_last: AtomicU64,
    /// Partitions owned now.
    pub partitions: AtomicU64,
    /// Of them, those that cannot be known: their movements are gone below the rebuild floor. They are not worked on.
    pub partitions_unknown: AtomicU64,
    /// Times that the state of a partition was made anew from the log, because it was not to be trusted.
    pub partitions_rebuilt: AtomicU64,
    /// Keys that an older owner wrote behind a newer one's barrier, and that the newer one wrote over.
    pub zombie_writes_repaired: AtomicU64,
    pub images_sealed: AtomicU64,
    /// Marks, master data and rejections that were new.
    pub statements: AtomicU64,
    /// Of the partitions owned now, as of the last flush: places, those that are not certain, those that are offline,
    /// numbers that are known to be missing.
    pub places: AtomicU64,
    pub places_uncertain: AtomicU64,
    pub places_offline: AtomicU64,
    pub numbers_missing: AtomicU64,
    /// Times that everything was acquired anew because Kafka did not acknowledge or gave the partitions to others.
    pub recoveries: AtomicU64,
    /// Records of the state that an owner wrote after it had lost the partition, found when the state was read.
    pub stale_records: AtomicU64,
    digest: Mutex<MovementDigest>,
}

/// What lies in `movements`, as the store stage read it, before anything that it makes of it. A record that is read again
/// after a restart is not counted again.
#[derive(Clone, Debug, Default)]
pub struct MovementDigest {
    /// By the minute in which a transaction happened.
    pub minutes: Minutes,
    /// Of these, the repeats that were dropped.
    pub repeats: Minutes,
    /// Records that could not be understood, and so belong to no minute.
    pub unreadable: u64,
    read: ReadOnce,
}

impl Counters {
    pub fn digest(&self) -> MovementDigest {
        self.digest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a transaction into the digest, and whether it was read for the first time.
    pub fn digested(&self, partition: u32, offset: u64, transaction: &Transaction, applied: Applied) -> bool {
        let mut digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        if !digest.read.is_new(partition, offset) {
            return false;
        }
        let quantities = transaction.lines.iter().map(|line| line.quantity);
        let of_it = Digest::of(
            &transaction.id,
            transaction.lines.len() as u64,
            quantities.fold(0, i64::wrapping_add),
        );
        digest.minutes.add(transaction.occurred_ms, &of_it);
        if applied == Applied::Repeat {
            digest.repeats.add(transaction.occurred_ms, &of_it);
        }
        true
    }

    /// Passes a record that is no transaction, and whether it was read for the first time.
    pub(crate) fn passed(&self, partition: u32, offset: u64) -> bool {
        let mut digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        digest.read.is_new(partition, offset)
    }

    pub(crate) fn unreadable(&self, partition: u32, offset: u64) {
        let mut digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        if digest.read.is_new(partition, offset) {
            digest.unreadable += 1;
        }
    }

    pub(crate) fn stand(&self, standing: Standing) {
        Self::set(&self.places, standing.places);
        Self::set(&self.places_uncertain, standing.places_uncertain);
        Self::set(&self.places_offline, standing.places_offline);
        Self::set(&self.numbers_missing, standing.numbers_missing);
    }

    pub(crate) fn add(counter: &AtomicU64, value: u64) {
        counter.fetch_add(value, Ordering::Relaxed);
    }

    pub(crate) fn set(counter: &AtomicU64, value: u64) {
        counter.store(value, Ordering::Relaxed);
    }

    pub(crate) fn raise(counter: &AtomicU64, value: u64) {
        counter.fetch_max(value, Ordering::Relaxed);
    }
}

#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    #[error("inventory: {0}")]
    Backbone(#[from] BackboneError),
    #[error(
        "movements[{partition}] begins at offset {first}, but the state needs it from {needed}: what lies between is gone; \
         keep movements longer, or rebuild with new topics"
    )]
    LogGone { partition: u32, first: u64, needed: u64 },
    #[error(
        "store.inventory[{partition}] was written with {found} partitions, this service has {expected}: a location's \
         partition would change; use new topics and a rebuild"
    )]
    PartitionCount {
        partition: u32,
        found: u32,
        expected: u32,
    },
    #[error(
        "movements[{partition}] ends at offset {end}, but the state knows it up to {needed}: acknowledged records are lost; \
         find out where, then rebuild with new topics"
    )]
    LogShort { partition: u32, end: u64, needed: u64 },
    #[error(
        "movements is another topic than the one that store.inventory[{partition}] was made from (id {expected}, not \
         {found}): its offsets mean something else; use new topics and a rebuild"
    )]
    OtherTopic {
        partition: u32,
        found: String,
        expected: String,
    },
    #[error(
        "the image of store.inventory[{partition}] at offset {cut} of movements is not what its seal says"
    )]
    Image { partition: u32, cut: u64 },
    #[error("{topic}[{partition}] ends at offset {end}, but records up to {expected} were acknowledged")]
    Shrunk {
        topic: &'static str,
        partition: u32,
        end: u64,
        expected: u64,
    },
    #[error("store.inventory[{partition}] has an owner of epoch {epoch}, which is newer")]
    Superseded { partition: u32, epoch: u32 },
    #[error("{topic}[{partition}] cannot be read beyond offset {offset} for {seconds} s")]
    Stuck {
        topic: &'static str,
        partition: u32,
        offset: u64,
        seconds: u64,
    },
    #[error("the group gave partitions {partitions:?} of movements to others")]
    Lost { partitions: Vec<u32> },
    #[error("store.inventory[{partition}]@{offset}: {message}")]
    State {
        partition: u32,
        offset: u64,
        message: String,
    },
    #[error("inventory: a thread cannot start: {0}")]
    Thread(#[from] std::io::Error),
    #[error("inventory: the {0} stage panicked")]
    Panicked(&'static str),
}

impl InventoryError {
    /// Worth another try from the last durable state; the others would only come again.
    fn is_passing(&self) -> bool {
        match self {
            Self::Backbone(error) => error.is_passing(),
            Self::Stuck { .. } | Self::Lost { .. } | Self::Superseded { .. } | Self::Shrunk { .. } => true,
            _ => false,
        }
    }

    /// Others own what this instance had: for one that ends anyway that is no failure, they go on from its last flush.
    fn is_outdone(&self) -> bool {
        match self {
            Self::Backbone(error) => error.is_put_out(),
            Self::Lost { .. } | Self::Superseded { .. } => true,
            _ => false,
        }
    }
}

/// Both stages, until cancelled. Blocks.
pub fn run(config: &Config, backbone: &Backbone, cancel: &CancellationToken) -> Result<(), InventoryError> {
    // When one stage fails the other has nobody to work for.
    let both = cancel.child_token();
    let item = thread::Builder::new().name("items".into()).spawn({
        let (config, backbone, both) = (config.clone(), backbone.clone(), both.clone());
        let planted = plant::current();
        move || {
            plant::inherit(planted);
            let result = run_item(&config, &backbone, &both);
            both.cancel();
            result
        }
    })?;
    let store = run_store(config, backbone, &both);
    both.cancel();
    let item = item.join().map_err(|_| InventoryError::Panicked("item"))?;
    store.and(item)
}

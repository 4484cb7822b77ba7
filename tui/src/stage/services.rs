//! The services of a run: started, stopped, killed and started again, each on threads or tasks of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use anyhow::{Context as _, Result};
use backbone::Backbone;
use backbone::amqp::AmqpOptions;
use contracts::ids::LocationId;
use contracts::sabotage::Sabotage;
use scenario::ServiceName;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::report::Amount;
use crate::snapshot::ServiceState;

/// What all services count, over their restarts.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    pub gateway: Arc<store_gateway::Counters>,
    pub mq_source: Arc<mq_source::Counters>,
    pub normaliser: Arc<normaliser::Counters>,
    pub inventory: Arc<inventory::Counters>,
}

/// What the inventory service has applied, by the kind of source: tills, queues, readers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handled(pub [Amount; 3]);

impl Handled {
    #[must_use]
    pub fn less(self, before: Self) -> Self {
        let mut left = self;
        for (amount, before) in left.0.iter_mut().zip(before.0) {
            amount.transactions = amount.transactions.saturating_sub(before.transactions);
            amount.lines = amount.lines.saturating_sub(before.lines);
        }
        left
    }

    pub fn total(&self) -> Amount {
        Amount {
            transactions: self.0.iter().map(|amount| amount.transactions).sum(),
            lines: self.0.iter().map(|amount| amount.lines).sum(),
        }
    }
}

impl Counters {
    pub fn handled(&self) -> Handled {
        let inventory = &self.inventory;
        Handled(std::array::from_fn(|kind| Amount {
            transactions: inventory.transactions_by_source[kind].load(Ordering::Relaxed),
            lines: inventory.lines_by_source[kind].load(Ordering::Relaxed),
        }))
    }

    pub fn dead_letters(&self) -> u64 {
        self.normaliser.snapshot().dead_letters_total()
            + self.inventory.dead_letters.load(Ordering::Relaxed)
            + self.mq_source.dead_letters.load(Ordering::Relaxed)
    }
}

struct Running {
    cancel: CancellationToken,
    kill: CancellationToken,
    ended: oneshot::Receiver<()>,
}

/// A service that ended by itself, and why.
pub type Failure = (ServiceName, String);

pub struct Services {
    backbone: Backbone,
    amqp: AmqpOptions,
    warehouses: Vec<LocationId>,
    sabotage: Option<Sabotage>,
    flush_min: std::time::Duration,
    pub counters: Counters,
    running: BTreeMap<&'static str, Running>,
    failed: BTreeMap<&'static str, String>,
    /// As in the inventory's configuration.
    pub image_every: Option<u64>,
    /// As in the inventory's configuration: it follows the interval of the marks.
    pub offline_after: std::time::Duration,
    /// They are processes of their own: nothing is started here, and nothing counted.
    outside: bool,
    /// Known from the first start on, and kept.
    gateway_address: Option<SocketAddr>,
    failures: mpsc::UnboundedSender<Failure>,
}

impl Services {
    pub fn new(
        backbone: Backbone,
        amqp: AmqpOptions,
        warehouses: Vec<LocationId>,
        sabotage: Option<Sabotage>,
        flush_min: std::time::Duration,
        failures: mpsc::UnboundedSender<Failure>,
    ) -> Self {
        Self {
            backbone,
            amqp,
            warehouses,
            sabotage,
            flush_min,
            counters: Counters::default(),
            running: BTreeMap::new(),
            failed: BTreeMap::new(),
            image_every: inventory::Config::default().image_every,
            offline_after: inventory::Config::default().offline_after,
            outside: false,
            gateway_address: None,
            failures,
        }
    }

    /// From now on they are somewhere else.
    pub fn are_outside(&mut self) {
        self.outside = true;
    }

    pub const fn outside(&self) -> bool {
        self.outside
    }

    pub fn gateway_address(&self) -> Option<SocketAddr> {
        self.gateway_address
    }

    pub fn state(&self, name: ServiceName) -> ServiceState {
        if self.failed.contains_key(name.as_str()) {
            ServiceState::Failed
        } else if self.outside || self.running.contains_key(name.as_str()) {
            ServiceState::Up
        } else {
            ServiceState::Stopped
        }
    }

    pub fn note_failure(&mut self, name: ServiceName, reason: String) {
        self.running.remove(name.as_str());
        self.failed.insert(name.as_str(), reason);
    }

    pub async fn start(&mut self, name: ServiceName) -> Result<()> {
        if self.running.contains_key(name.as_str()) {
            return Ok(());
        }
        self.failed.remove(name.as_str());
        let cancel = CancellationToken::new();
        let kill = CancellationToken::new();
        let (done, ended) = oneshot::channel();
        let report = Report {
            name,
            failures: self.failures.clone(),
            is_open: true,
            _done: done,
        };
        let backbone = self.backbone.clone();
        match name {
            ServiceName::StoreGateway => {
                let listen = self
                    .gateway_address
                    .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
                let config = store_gateway::Config {
                    listen,
                    sabotage: self.sabotage,
                    counters: Arc::clone(&self.counters.gateway),
                    ..store_gateway::Config::default()
                };
                let gateway = store_gateway::Gateway::bind(config, &backbone).await?;
                self.gateway_address = Some(gateway.local_addr());
                let (cancel, kill) = (cancel.clone(), kill.clone());
                tokio::spawn(async move {
                    let result = tokio::select! {
                        result = gateway.run(cancel) => result.map(drop),
                        () = kill.cancelled() => Ok(()),
                    };
                    report.ended(result);
                });
            }
            ServiceName::MqSource => {
                let config = mq_source::Config {
                    client_id: "mq-source".into(),
                    warehouses: self.warehouses.clone(),
                    amqp: self.amqp.clone(),
                    sabotage: self.sabotage,
                    counters: Arc::clone(&self.counters.mq_source),
                };
                let (cancel, kill) = (cancel.clone(), kill.clone());
                tokio::spawn(async move {
                    let result = tokio::select! {
                        result = mq_source::run(config, backbone, cancel) => result,
                        () = kill.cancelled() => Ok(()),
                    };
                    report.ended(result);
                });
            }
            ServiceName::Normaliser => {
                let config = normaliser::Config {
                    sabotage: self.sabotage,
                    counters: Arc::clone(&self.counters.normaliser),
                    ..normaliser::Config::default()
                };
                let cancel = cancel.clone();
                thread::Builder::new()
                    .name("normaliser".into())
                    .spawn(move || report.ended(normaliser::run(config, backbone, cancel).map(drop)))
                    .context("the normaliser's thread")?;
            }
            ServiceName::Inventory => {
                let config = inventory::Config {
                    sabotage: self.sabotage,
                    flush_min: self.flush_min,
                    image_every: self.image_every,
                    offline_after: self.offline_after,
                    counters: Arc::clone(&self.counters.inventory),
                    kill: kill.clone(),
                    ..inventory::Config::default()
                };
                let cancel = cancel.clone();
                thread::Builder::new()
                    .name("inventory".into())
                    .spawn(move || report.ended(inventory::run(&config, &backbone, &cancel)))
                    .context("the inventory's thread")?;
            }
        }
        self.running
            .insert(name.as_str(), Running { cancel, kill, ended });
        Ok(())
    }

    /// Ends a service; `abrupt`: without letting it finish anything, as far as a thread can be killed.
    pub async fn stop(&mut self, name: ServiceName, abrupt: bool) {
        let Some(running) = self.running.remove(name.as_str()) else {
            return;
        };
        if abrupt {
            running.kill.cancel();
        }
        running.cancel.cancel();
        // The sender is dropped in either case when the service has ended.
        let _ = running.ended.await;
    }

    pub async fn stop_all(&mut self) {
        for name in ServiceName::ALL {
            self.stop(name, false).await;
        }
    }
}

/// Tells how a service ended.
struct Report {
    name: ServiceName,
    failures: mpsc::UnboundedSender<Failure>,
    /// Cleared when it was told.
    is_open: bool,
    _done: oneshot::Sender<()>,
}

impl Report {
    fn ended<E: std::fmt::Display>(mut self, result: Result<(), E>) {
        self.is_open = false;
        if let Err(error) = result {
            // The stage that would hear it may have ended first.
            let _ = self.failures.send((self.name, error.to_string()));
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if self.is_open {
            let _ = self.failures.send((
                self.name,
                "it panicked; its message went to the standard error".into(),
            ));
        }
    }
}

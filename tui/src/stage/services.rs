//! The services of a run: started, stopped, killed and started again, each on threads or tasks of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

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
    pub reconciler: Arc<reconciler::Counters>,
    pub projector: Arc<item_projector::Counters>,
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

/// An instance of a service, from its start to its end.
struct Instance {
    number: u32,
    cancel: CancellationToken,
    kill: CancellationToken,
    ended: oneshot::Receiver<()>,
}

/// How an instance is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It finishes what it has begun.
    Graceful,
    /// It finishes nothing, as far as a thread can be killed.
    Abrupt,
}

impl Instance {
    fn end(&self, ending: Ending) {
        if ending == Ending::Abrupt {
            self.kill.cancel();
        }
        self.cancel.cancel();
    }
}

/// How long an end is waited for before others go on; what has not ended by then still does.
const END_WAIT: Duration = Duration::from_secs(3);

/// An instance that ended by itself: which of what, and why.
pub type Failure = (ServiceName, u32, String);

pub struct Services {
    backbone: Backbone,
    amqp: AmqpOptions,
    warehouses: Vec<LocationId>,
    sabotage: Option<Sabotage>,
    flush_min: Duration,
    pub counters: Counters,
    /// Oldest first.
    running: BTreeMap<ServiceName, Vec<Instance>>,
    /// Told to end, and not waited for.
    leaving: Vec<Instance>,
    failed: BTreeMap<ServiceName, String>,
    /// Instances started, ever: no two have the same number.
    started: u32,
    /// As in the inventory's configuration.
    pub image_every: Option<u64>,
    /// As in the inventory's configuration: it follows the interval of the marks.
    pub offline_after: std::time::Duration,
    /// Whether there is an item projector.
    pub project_items: bool,
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
        flush_min: Duration,
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
            leaving: Vec::new(),
            started: 0,
            failed: BTreeMap::new(),
            image_every: inventory::Config::default().image_every,
            offline_after: inventory::Config::default().offline_after,
            project_items: false,
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
        if self.outside || self.instances(name) > 0 {
            ServiceState::Up
        } else if self.failed.contains_key(&name) {
            ServiceState::Failed
        } else {
            ServiceState::Stopped
        }
    }

    pub fn instances(&self, name: ServiceName) -> usize {
        self.running.get(&name).map_or(0, Vec::len)
    }

    /// The number of the instance that has run for longest.
    pub fn oldest(&self, name: ServiceName) -> Option<u32> {
        Some(self.running.get(&name)?.first()?.number)
    }

    /// False: it was told to end anyway.
    pub fn note_failure(&mut self, name: ServiceName, number: u32, reason: String) -> bool {
        let Some(running) = self.running.get_mut(&name) else {
            return false;
        };
        let before = running.len();
        running.retain(|instance| instance.number != number);
        if running.len() == before {
            return false;
        }
        self.failed.insert(name, reason);
        true
    }

    /// What the clients of an instance call themselves, each perhaps with a dash and more behind it.
    pub fn clients(name: ServiceName, number: u32) -> Vec<String> {
        match name {
            ServiceName::StoreGateway | ServiceName::MqSource => vec![name.to_string()],
            ServiceName::Normaliser => vec![format!("normaliser-{number}")],
            ServiceName::Inventory => ["store-inventory", "store-inventory-restore", "item-inventory"]
                .map(|client| format!("{client}-{number}"))
                .to_vec(),
            ServiceName::Reconciler | ServiceName::ItemProjector => vec![format!("{name}-{number}")],
        }
    }

    /// The consumer groups that its instances share work in.
    pub const fn groups(name: ServiceName) -> &'static [&'static str] {
        match name {
            ServiceName::StoreGateway | ServiceName::MqSource => &[],
            ServiceName::Normaliser => &[normaliser::GROUP],
            ServiceName::Inventory => &[inventory::GROUP, inventory::ITEM_GROUP],
            ServiceName::Reconciler => &[reconciler::GROUP],
            ServiceName::ItemProjector => &[item_projector::GROUP],
        }
    }

    /// Starts a service that does not run.
    pub async fn start(&mut self, name: ServiceName) -> Result<()> {
        if self.instances(name) > 0 {
            return Ok(());
        }
        self.start_instance(name).await.map(drop)
    }

    /// Starts one more instance and gives its number. Only services that share their work in a group can have several.
    pub async fn start_instance(&mut self, name: ServiceName) -> Result<u32> {
        self.started += 1;
        let number = self.started;
        self.failed.remove(&name);
        let cancel = CancellationToken::new();
        let kill = CancellationToken::new();
        let (done, ended) = oneshot::channel();
        let report = Report {
            name,
            number,
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
                    client_id: format!("normaliser-{number}"),
                    kill: kill.clone(),
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
                    instance: number.to_string(),
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
            ServiceName::Reconciler => {
                let config = reconciler::Config {
                    client_id: format!("{name}-{number}"),
                    counters: Arc::clone(&self.counters.reconciler),
                    kill: kill.clone(),
                    ..reconciler::Config::default()
                };
                let cancel = cancel.clone();
                thread::Builder::new()
                    .name(name.to_string())
                    .spawn(move || report.ended(reconciler::run(&config, &backbone, &cancel)))
                    .context("the reconciler's thread")?;
            }
            ServiceName::ItemProjector => {
                let config = item_projector::Config {
                    client_id: format!("{name}-{number}"),
                    counters: Arc::clone(&self.counters.projector),
                    kill: kill.clone(),
                    ..item_projector::Config::default()
                };
                let cancel = cancel.clone();
                thread::Builder::new()
                    .name(name.to_string())
                    .spawn(move || report.ended(item_projector::run(&config, &backbone, &cancel)))
                    .context("the item projector's thread")?;
            }
        }
        self.running.entry(name).or_default().push(Instance {
            number,
            cancel,
            kill,
            ended,
        });
        Ok(number)
    }

    /// Ends all instances of a service, and says how many there were.
    pub async fn stop(&mut self, name: ServiceName, ending: Ending) -> usize {
        let instances = self.running.remove(&name).unwrap_or_default();
        let count = instances.len();
        for instance in &instances {
            instance.end(ending);
        }
        for instance in instances {
            self.await_end(instance).await;
        }
        count
    }

    async fn await_end(&mut self, mut instance: Instance) {
        // The sender is dropped in either case when the service has ended.
        if tokio::time::timeout(END_WAIT, &mut instance.ended).await.is_err() {
            self.leaving.push(instance);
        }
    }

    /// Ends one instance; false: it does not run.
    pub async fn stop_instance(&mut self, name: ServiceName, number: u32, ending: Ending) -> bool {
        let running = self.running.entry(name).or_default();
        let Some(index) = running.iter().position(|instance| instance.number == number) else {
            return false;
        };
        let instance = running.remove(index);
        instance.end(ending);
        if ending == Ending::Abrupt {
            self.await_end(instance).await;
        } else {
            self.leaving.push(instance);
        }
        self.leaving
            .retain_mut(|one| one.ended.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        true
    }

    pub async fn stop_all(&mut self) {
        for name in ServiceName::ALL {
            let instances = self.running.remove(&name).unwrap_or_default();
            for instance in &instances {
                instance.end(Ending::Graceful);
            }
            for instance in instances {
                let _ = instance.ended.await;
            }
        }
        for instance in std::mem::take(&mut self.leaving) {
            let _ = instance.ended.await;
        }
    }
}

/// Tells how a service ended.
struct Report {
    name: ServiceName,
    number: u32,
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
            let _ = self.failures.send((self.name, self.number, error.to_string()));
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if self.is_open {
            let _ = self.failures.send((
                self.name,
                self.number,
                "it panicked; its message went to the standard error".into(),
            ));
        }
    }
}

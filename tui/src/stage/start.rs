//! From a scenario to a run: the world with its truth, the servers, the services, the audit and the load.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use audit::{Audit, AuditConfig};
use backbone::amqp::AmqpOptions;
use contracts::ids::{LocationId, TimeMs};
use ledger::Ledger;
use load::{Load, Pace};
use scenario::{Scenario, ServiceName, Stop};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use world::World;
use world::events::Place;

use super::articles;
use super::director::Director;
use super::dirt;
use super::facts::Marks;
use super::faults::{self, Faults};
use super::governor::Governor;
use super::lags::Lags;
use super::outside;
use super::pace::{pace_of, pace_view};
use super::run::Run;
use super::servers::Servers;
use super::services::{Failure, Handled, Services};
use super::view::{View, parts};
use super::watch::Watch;
use super::wrongs::Wrongs;
use crate::cli::RunArgs;
use crate::completeness::CompletenessView;
use crate::report::Ended;
use crate::snapshot::{Command, Flow, FreshnessView, Phase, ProofView, ResourcesView, Snapshot};
use crate::world_of::{self, Chosen};

/// Connections that the stores share. An upload waits for Kafka, so it is their number and not their speed that limits the
/// rate: at a million a minute some eight thousand uploads a second of twenty milliseconds each are under way.
const CONNECTIONS: usize = 256;

fn base(chosen: &Chosen, args: &RunArgs) -> Snapshot {
    let scenario = &chosen.scenario;
    let backbone = match &args.kafka {
        Some(address) => format!("Kafka at {address}"),
        None => "embedded stand-in, no Kafka figures".to_owned(),
    };
    Snapshot {
        scenario: scenario.name.as_str().into(),
        title: scenario.title.as_str().into(),
        seed: scenario.seed,
        backbone: backbone.into(),
        phase: Phase::Starting,
        elapsed: Duration::ZERO,
        simulated: TimeMs(scenario.world.start.epoch_ms()),
        pace: pace_view(pace_of(scenario.load)),
        say: "".into(),
        step: 0,
        steps: scenario.steps.len() as u32,
        offered: Flow::default(),
        handled: Flow::default(),
        stages: View::starting(parts(
            args.services == crate::cli::ServicesAt::Outside,
            scenario.services.project_items,
        )),
        stores: Arc::new([]),
        stores_offline: 0,
        freshness: FreshnessView::default(),
        freshness_history: Arc::new([]),
        diverging_history: Arc::new([]),
        handled_history: Arc::new([]),
        proof: ProofView::default(),
        completeness: CompletenessView::default(),
        details: None,
        violations: Vec::new(),
        outages: Vec::new(),
        anomalies: Vec::new(),
        resources: ResourcesView::default(),
        topics: Arc::new([]),
        expectations: Vec::new(),
        faults: Vec::new(),
        verdict: None,
        alert: None,
    }
}

pub struct Stage {
    chosen: Chosen,
    args: RunArgs,
    commands: mpsc::UnboundedReceiver<Command>,
    cancel: CancellationToken,
    snapshots: watch::Sender<Arc<Snapshot>>,
    base: Snapshot,
}

/// A world that is ready, with its truth.
struct Ready {
    world: World,
    ledger: Arc<Ledger>,
    places: Vec<Place>,
    skus: Vec<u32>,
}

impl Stage {
    /// Nothing runs yet; the first snapshot is there at once, so that a screen has something to show.
    pub fn prepare(
        chosen: Chosen,
        args: RunArgs,
        commands: mpsc::UnboundedReceiver<Command>,
        cancel: CancellationToken,
    ) -> (Self, watch::Receiver<Arc<Snapshot>>) {
        let base = base(&chosen, &args);
        let (snapshots, receiver) = watch::channel(Arc::new(base.clone()));
        (
            Self {
                chosen,
                args,
                commands,
                cancel,
                snapshots,
                base,
            },
            receiver,
        )
    }

    pub async fn run(self) -> Result<Ended> {
        let started_at = std::time::SystemTime::now();
        let scenario = self.chosen.scenario.clone();
        let outside = outside::gateway(&self.args, &scenario)?;
        faults::refuse(&self.args, &scenario)?;
        let session_timeout = scenario.services.session_timeout.as_duration();
        let world = tokio::task::spawn_blocking(move || -> Result<Ready> {
            let world = world_of::build(&scenario)?;
            let ledger = Arc::new(Ledger::new(&world.assortments()));
            let places = world.places().to_vec();
            let skus = world.articles().iter().map(|article| article.sku).collect();
            Ok(Ready {
                world,
                ledger,
                places,
                skus,
            })
        });
        let servers = Servers::start(&self.args, session_timeout).await?;
        let ready = world.await.context("the world")??;
        let result = self.play(&servers, ready, outside, started_at).await;
        servers.shutdown().await;
        result
    }

    async fn play(
        self,
        servers: &Servers,
        ready: Ready,
        outside: Option<String>,
        started_at: std::time::SystemTime,
    ) -> Result<Ended> {
        let Ready {
            world,
            ledger,
            places,
            skus,
        } = ready;
        let scenario = self.chosen.scenario.clone();
        let audit_config = AuditConfig {
            settings: servers.kafka_settings.clone(),
            ..AuditConfig::new(servers.backbone.bootstrap())
        };
        let audit = {
            let ledger = Arc::clone(&ledger);
            tokio::task::spawn_blocking(move || Audit::start(&audit_config, ledger))
                .await
                .context("the audit")??
        };
        let (failures, failed) = mpsc::unbounded_channel();
        let mut services = services_of(servers, &self.args, &scenario, &places, failures);
        let (articles, held_articles) = articles::split(&scenario, world.articles());
        let names_anew = scenario.dirt.is_some_and(|dirt| dirt.unknown_articles.is_some());
        let all_articles = if names_anew {
            world.articles().to_vec()
        } else {
            Vec::new()
        };
        let backbone = servers.backbone.clone();
        let of_places = places.clone();
        tokio::task::spawn_blocking(move || {
            load::publish_places(&backbone, &of_places)?;
            load::publish_catalogue(&backbone, &articles)
        })
        .await
        .context("master data")??;
        let gateway = start(&mut services, &scenario, outside).await?;
        // Not of Ctrl-C's token: a run that is interrupted still brings home what was sent, and watches it arrive.
        let lags_cancel = CancellationToken::new();
        let _lags_end = lags_cancel.clone().drop_guard();
        let lags = Lags::start(&servers.backbone, &services.extras(), lags_cancel)?;
        let pace = pace_of(scenario.load);
        let first = world.now();
        let mark_interval = scenario.services.mark_interval.as_duration();
        let config = load_of(&scenario, self.args.transactions, gateway, servers.amqp.clone());
        let load = Load::start(config, world, Arc::clone(&ledger), &CancellationToken::new())?;
        let started = Instant::now();
        let governor = (scenario.rates == scenario::Rates::AtMost).then(|| match pace {
            Pace::Rate(rate) => Governor::new(rate),
            Pace::Speed(_) | Pace::Unthrottled => Governor::new(f64::INFINITY),
        });
        let run = Run {
            watch: Watch::new(started),
            view: View::new(self.base, &places, mark_interval),
            director: Director::new(scenario),
            marks: Marks::default(),
            faults: Faults::default(),
            wrongs: Wrongs::default(),
            chosen: self.chosen,
            args: self.args,
            commands: self.commands,
            failed,
            cancel: self.cancel,
            snapshots: self.snapshots,
            servers,
            services,
            audit,
            load,
            lags,
            places,
            skus,
            first,
            pace,
            governor,
            paused: false,
            held_articles,
            articles: all_articles,
            letters_put_back: 0,
            opening_handled: Handled::default(),
            opened: false,
            interrupted: false,
            started_at,
            started,
        };
        run.run().await
    }
}

/// None of them runs yet.
fn services_of(
    servers: &Servers,
    args: &RunArgs,
    scenario: &Scenario,
    places: &[Place],
    failures: mpsc::UnboundedSender<Failure>,
) -> Services {
    let warehouses: Vec<LocationId> = places
        .iter()
        .map(|place| place.location)
        .filter(|location| !location.is_store())
        .collect();
    let mut services = Services::new(
        servers.backbone.clone(),
        servers.amqp.clone(),
        warehouses,
        args.sabotage.map(|sabotage| sabotage.with_seed(scenario.seed)),
        scenario.services.flush_interval.as_duration(),
        failures,
    );
    services.project_items = scenario.services.project_items;
    // A place is silent when two of its marks are overdue.
    services.offline_after = scenario.services.mark_interval.as_duration() * 5 / 2;
    if args.kafka.is_none() {
        // Images, and the movements since the last one, want more room than the embedded broker has.
        services.image_every = None;
    }
    services
}

/// Starts them, if they are not outside, and returns where the gateway listens.
async fn start(services: &mut Services, scenario: &Scenario, outside: Option<String>) -> Result<String> {
    if let Some(gateway) = outside {
        services.are_outside();
        return Ok(gateway);
    }
    for name in services.names() {
        services.start(name).await?;
    }
    for _ in 1..scenario.services.instances {
        services.start_instance(ServiceName::Normaliser).await?;
        services.start_instance(ServiceName::Inventory).await?;
    }
    let address = services.gateway_address().context("the gateway listens")?;
    Ok(address.to_string())
}

fn load_of(
    scenario: &Scenario,
    transactions: Option<u64>,
    gateway: String,
    amqp: AmqpOptions,
) -> load::Config {
    let (until_ms, receipts) = match scenario.stop {
        Stop::Transactions(receipts) => (None, Some(transactions.unwrap_or(receipts))),
        Stop::Duration(offset) => (Some(offset.ms), transactions),
    };
    load::Config {
        gateway,
        amqp,
        pace: pace_of(scenario.load),
        stop: load::Stop { until_ms, receipts },
        opening: scenario.opening,
        hold_trading: true,
        send_twice: scenario
            .script
            .as_ref()
            .is_some_and(|script| script.send.times() > 1),
        threads: 1,
        connections: CONNECTIONS,
        upload_interval: scenario.services.upload_interval.as_duration(),
        mark_interval: scenario.services.mark_interval.as_duration(),
        dirt: dirt::of(scenario),
    }
}

//! The loop of a run, from the first server to the verdict.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use audit::{Audit, AuditConfig, AuditSnapshot};
use contracts::ids::{LocationId, TimeMs};
use ledger::Ledger;
use load::{Load, Pace};
use scenario::{Break, Mend, Selector, ServiceName, SimOffset, Stop};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use world::World;
use world::events::Place;

use super::anomalies::AnomalyView;
use super::articles;
use super::director::{Director, Order};
use super::dirt;
use super::facts::{Known, Marks};
use super::faults::{self, Faults, Scene};
use super::governor::{Governor, Seen};
use super::lags::Lags;
use super::outages::Outages;
use super::outside;
use super::servers::Servers;
use super::services::{Ending, Failure, Handled, Services};
use super::verdict;
use super::view::{Sources, View, parts};
use super::watch::Watch;
use crate::cli::RunArgs;
use crate::completeness::CompletenessView;
use crate::report::{Ended, Yielded};
use crate::snapshot::{
    Command, FaultView, Flow, FreshnessView, PaceView, Phase, ProofView, ResourcesView, ServiceState,
    Snapshot, VerdictView,
};
use crate::world_of::{self, Chosen};

const TICK: Duration = Duration::from_millis(100);
/// What a sale goes through on its way into the view.
const FLOW: [ServiceName; 4] = [
    ServiceName::StoreGateway,
    ServiceName::MqSource,
    ServiceName::Normaliser,
    ServiceName::Inventory,
];
/// Connections that the stores share. An upload waits for Kafka, so it is their number and not their speed that limits the
/// rate: at a million a minute some eight thousand uploads a second of twenty milliseconds each are under way.
const CONNECTIONS: usize = 256;
/// What is under way may stand still for so long before the run is given up.
const STALL: Duration = Duration::from_secs(30);
/// What differs after so long without a change stays so. Behind the last change an idle owner of cells still looks for what a
/// zombie wrote over, then one of totals, each every three seconds, and each has to write and be read.
const SETTLE: Duration = Duration::from_secs(10);
/// The same for services outside: some of them may have been killed just now, and nobody here knows. What is equal has to
/// stay so for a while, because a queue outside does not say whether it will deliver something again.
const SETTLE_OUTSIDE: Duration = Duration::from_secs(90);
const QUIET_OUTSIDE: Duration = Duration::from_secs(8);
const AUDIT_DRAIN: Duration = Duration::from_mins(2);
const FASTEST: f64 = 100_000.0;

pub struct Stage {
    chosen: Chosen,
    args: RunArgs,
    commands: mpsc::UnboundedReceiver<Command>,
    cancel: CancellationToken,
    snapshots: watch::Sender<Arc<Snapshot>>,
    base: Snapshot,
}

fn pace_of(load: scenario::Load) -> Pace {
    match load {
        scenario::Load::Speed(speed) => Pace::Speed(speed.as_f64()),
        scenario::Load::Rate(rate) => Pace::Rate(rate.per_second()),
        scenario::Load::Unthrottled => Pace::Unthrottled,
    }
}

fn pace_view(pace: Pace) -> PaceView {
    match pace {
        Pace::Speed(speed) => PaceView::Speed(speed),
        Pace::Rate(rate) => PaceView::Rate(rate),
        Pace::Unthrottled => PaceView::Unthrottled,
    }
}

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
        let Self {
            chosen,
            args,
            commands,
            cancel,
            snapshots,
            base,
        } = self;
        let Ready {
            world,
            ledger,
            places,
            skus,
        } = ready;
        let scenario = chosen.scenario.clone();
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
        let gateway = if let Some(gateway) = outside {
            services.are_outside();
            gateway
        } else {
            for name in services.names() {
                services.start(name).await?;
            }
            for _ in 1..scenario.services.instances {
                services.start_instance(ServiceName::Normaliser).await?;
                services.start_instance(ServiceName::Inventory).await?;
            }
            services
                .gateway_address()
                .context("the gateway listens")?
                .to_string()
        };
        // Not of Ctrl-C's token: a run that is interrupted still brings home what was sent, and watches it arrive.
        let lags_cancel = CancellationToken::new();
        let _lags_end = lags_cancel.clone().drop_guard();
        let lags = Lags::start(&servers.backbone, &services.extras(), lags_cancel)?;
        let receipts = match scenario.stop {
            Stop::Transactions(receipts) => Some(args.transactions.unwrap_or(receipts)),
            Stop::Duration(_) => args.transactions,
        };
        let until_ms = match scenario.stop {
            Stop::Duration(offset) => Some(offset.ms),
            Stop::Transactions(_) => None,
        };
        let pace = pace_of(scenario.load);
        let first = world.now();
        let mark_interval = scenario.services.mark_interval.as_duration();
        let config = load::Config {
            gateway,
            amqp: servers.amqp.clone(),
            pace,
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
            mark_interval,
            dirt: dirt::of(&scenario),
        };
        let load = Load::start(config, world, Arc::clone(&ledger), &CancellationToken::new())?;
        let started = Instant::now();
        let governor = (scenario.rates == scenario::Rates::AtMost).then(|| match pace {
            Pace::Rate(rate) => Governor::new(rate),
            Pace::Speed(_) | Pace::Unthrottled => Governor::new(f64::INFINITY),
        });
        let run = Run {
            watch: Watch::new(started),
            view: View::new(base, &places, mark_interval),
            director: Director::new(scenario),
            marks: Marks::default(),
            faults: Faults::default(),
            chosen,
            args,
            commands,
            failed,
            cancel,
            snapshots,
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
            interrupted: false,
            started_at,
            started,
        };
        run.run().await
    }
}

/// A run with all its parts.
pub struct Run<'a> {
    pub view: View,
    pub director: Director,
    pub watch: Watch,
    pub marks: Marks,
    faults: Faults,
    pub chosen: Chosen,
    pub args: RunArgs,
    commands: mpsc::UnboundedReceiver<Command>,
    failed: mpsc::UnboundedReceiver<Failure>,
    cancel: CancellationToken,
    snapshots: watch::Sender<Arc<Snapshot>>,
    pub servers: &'a Servers,
    pub services: Services,
    pub audit: Audit,
    pub load: Load,
    lags: Arc<Lags>,
    pub places: Vec<Place>,
    skus: Vec<u32>,
    pub first: TimeMs,
    pace: Pace,
    /// Where rates are the most that is asked.
    governor: Option<Governor>,
    paused: bool,
    /// Not in the catalogue yet.
    pub held_articles: Vec<contracts::records::Article>,
    /// All, where messages may name some of them by second numbers that come into the catalogue at the end.
    pub articles: Vec<contracts::records::Article>,
    pub letters_put_back: u64,
    /// Of what is handled, the opening stock.
    pub opening_handled: Handled,
    pub interrupted: bool,
    pub started_at: std::time::SystemTime,
    pub started: Instant,
}

impl Run<'_> {
    async fn run(mut self) -> Result<Ended> {
        let opened = self.opening().await;
        if opened && !self.interrupted {
            self.trading().await;
        }
        let drained = self.drain().await;
        let ended = verdict::give(&mut self, drained);
        self.services.stop_all().await;
        let Self { load, audit, .. } = self;
        tokio::task::spawn_blocking(move || {
            load.abort();
            drop(audit);
        })
        .await
        .context("the end of the load")?;
        Ok(ended)
    }

    /// One tick: what was asked, what failed, and a new snapshot.
    async fn tick(&mut self, phase: Phase) -> Arc<AuditSnapshot> {
        tokio::time::sleep(TICK).await;
        while let Ok(command) = self.commands.try_recv() {
            self.obey(&command).await;
        }
        if self.cancel.is_cancelled() && !self.interrupted {
            self.interrupt();
        }
        while let Ok((name, number, reason)) = self.failed.try_recv() {
            let alert = format!("{name} failed: {reason}");
            if self.services.note_failure(name, number, reason) {
                self.view.set_alert(Some(alert));
            }
        }
        self.let_faults_happen().await;
        let audit = self.audit.snapshot();
        let faults = self.fault_views();
        self.view.set_faults(faults);
        let simulated = self.load.snapshot().simulated;
        self.watch.look(Instant::now(), simulated, &self.audit, &audit);
        let snapshot = self.view.make(
            phase,
            &Sources {
                load: Some(&self.load),
                services: &self.services,
                audit: Some(&audit),
                lags: &self.lags,
                director: &self.director,
                watch: &self.watch,
                broker_bytes: self.servers.broker_bytes(),
                topics: self.servers.topics(),
                queue_depth: self.servers.queue_depth(),
                opening_handled: self.opening_handled,
                dead_letters: self.dead_letters(),
                discrepancies: self.services.discrepancies().unwrap_or_default(),
                paused: self.paused,
            },
        );
        if phase == Phase::Running {
            self.yield_to_the_system(&snapshot);
        }
        self.snapshots.send_replace(Arc::new(snapshot));
        audit
    }

    fn interrupt(&mut self) {
        self.interrupted = true;
        self.send_no_more();
    }

    fn send_no_more(&self) {
        self.load.begin_trading();
        self.load.resume();
        self.load.stop();
    }

    /// What changes as long as anything gets on.
    fn progress(&self, audit: &AuditSnapshot) -> [u64; 4] {
        let sent = self.load.snapshot();
        [
            sent.waiting_bytes,
            sent.acknowledged.iter().sum(),
            audit.records.cells + audit.records.items,
            self.lags.normaliser().unwrap_or_default(),
        ]
    }

    /// Nothing got on for so long that nothing will.
    fn is_stuck(&self, moved: Instant) -> bool {
        let outside = self.services.outside();
        moved.elapsed() > if outside { STALL + SETTLE_OUTSIDE } else { STALL }
    }

    async fn obey(&mut self, command: &Command) {
        match command {
            Command::Break(fault) => self.break_it(&Break::from(*fault)).await,
            Command::Mend(what) => self.mend(*what).await,
            Command::TogglePause => self.pause(!self.paused),
            Command::Faster => self.scale_pace(2.0),
            Command::Slower => self.scale_pace(0.5),
            Command::LookAt(place) => self.watch.completeness.look_at(*place),
            Command::Quit => self.interrupt(),
        }
    }

    fn pause(&mut self, paused: bool) {
        self.paused = paused;
        if paused {
            self.load.pause();
        } else {
            self.load.resume();
        }
    }

    fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
        self.load.set_pace(pace);
        self.view.set_pace(pace_view(pace));
        if let (Some(governor), Pace::Rate(rate)) = (&mut self.governor, pace) {
            governor.ask(rate);
        }
    }

    /// Where rates are the most that is asked: less, while the system does not keep up.
    fn yield_to_the_system(&mut self, snapshot: &Snapshot) {
        let (Some(governor), Pace::Rate(asked)) = (&mut self.governor, self.pace) else {
            return;
        };
        let services = &self.services;
        let down = |name| matches!(services.state(name), ServiceState::Stopped | ServiceState::Failed);
        let sent = self.load.snapshot();
        let waiting = if services.outside() {
            // Marks of the places are in the lag, and nobody waits for them.
            let lag = self.lags.normaliser().unwrap_or_default() + self.lags.inventory().unwrap_or_default();
            sent.waiting_transactions() + lag.saturating_sub(2 * self.places.len() as u64)
        } else {
            sent.offered()
                .transactions
                .saturating_sub(snapshot.handled.transactions)
        };
        let seen = Seen {
            waiting: waiting.saturating_sub(sent.held_transactions()),
            handled_per_s: snapshot.handled.transactions_per_s,
            broken: self.paused
                || FLOW.into_iter().any(down)
                || snapshot.faults.iter().any(|fault| fault.mended_at_s.is_none()),
        };
        if let Some(given) = governor.look(Instant::now(), seen) {
            self.load.set_pace(Pace::Rate(given));
            self.view.set_pace(if given < asked {
                PaceView::Yielding { given, asked }
            } else {
                PaceView::Rate(asked)
            });
        }
    }

    pub fn yielded(&self) -> Option<Yielded> {
        self.governor.as_ref().and_then(Governor::yielded)
    }

    fn scale_pace(&mut self, factor: f64) {
        let pace = match self.pace {
            Pace::Speed(speed) => Pace::Speed((speed * factor).clamp(0.01, FASTEST)),
            Pace::Rate(rate) => Pace::Rate((rate * factor).clamp(1.0, 1_000_000.0)),
            Pace::Unthrottled => return,
        };
        self.set_pace(pace);
    }

    fn simulated(&self) -> SimOffset {
        let at = self.load.snapshot().simulated.0 - self.first.0;
        SimOffset::from_ms(u64::try_from(at).unwrap_or_default())
    }

    async fn direct(&mut self, audit: &AuditSnapshot, simulated: SimOffset) {
        let now = Instant::now();
        let sent = self.load.snapshot();
        let mut known = Known {
            audit: &self.audit,
            snapshot: audit,
            dead_letters: self.dead_letters(),
            discrepancies: self.services.discrepancies(),
            acknowledged: sent.acknowledged.iter().sum(),
            skus: &self.skus,
            marks: &mut self.marks,
        };
        self.watch.tick(now, sent.stores_offline, &mut known);
        let orders = self.director.tick(now, simulated, &mut known);
        for order in &orders {
            self.watch.order(order, now, &mut known);
        }
        for order in orders {
            match order {
                Order::Rate(rate) => self.set_pace(Pace::Rate(rate.per_second())),
                Order::Speed(speed) => self.set_pace(Pace::Speed(speed.as_f64())),
                Order::Pause => self.pause(true),
                Order::Resume => self.pause(false),
                Order::Offline(selector) => self.set_offline(&selector, true),
                Order::Online(selector) => self.set_offline(&selector, false),
                Order::Break(what) => self.break_it(&what).await,
                Order::Mend(what) => self.mend(what).await,
                Order::ReleaseArticles => self.release_articles().await,
                Order::Replay(class) => self.put_back(class).await,
                Order::Stop(name) => {
                    self.services.stop(name, Ending::Abrupt).await;
                }
                Order::Start(name) => {
                    if let Err(error) = self.services.start(name).await {
                        self.view
                            .set_alert(Some(format!("{name} does not start: {error:#}")));
                    }
                }
            }
        }
    }

    /// The faults, and what they act on.
    fn scene(&mut self) -> (&mut Faults, Scene<'_>, &Audit, Duration) {
        let scene = Scene {
            servers: self.servers,
            services: &mut self.services,
            load: &self.load,
            places: &self.places,
            seed: self.chosen.scenario.seed,
            session_timeout: self.chosen.scenario.services.session_timeout.as_duration(),
        };
        (&mut self.faults, scene, &self.audit, self.started.elapsed())
    }

    async fn break_it(&mut self, what: &Break) {
        let fault = what.fault;
        let broken = if let Some(reason) = faults::impossible(fault, &self.args) {
            Err(reason)
        } else {
            let (faults, mut scene, _, now) = self.scene();
            faults.break_it(what, now, &mut scene).await
        };
        match broken {
            Ok(()) => self.outages(|outages, now, facts| outages.begin(fault.name(), now, facts)),
            Err(reason) => self
                .view
                .set_alert(Some(format!("{fault} does not break: {reason}"))),
        }
    }

    fn outages(&mut self, tell: impl FnOnce(&mut Outages, Instant, &mut Known<'_>)) {
        let audit = self.audit.snapshot();
        let mut known = Known {
            audit: &self.audit,
            snapshot: &audit,
            dead_letters: self.dead_letters(),
            discrepancies: self.services.discrepancies(),
            acknowledged: self.load.snapshot().acknowledged.iter().sum(),
            skus: &self.skus,
            marks: &mut self.marks,
        };
        tell(&mut self.watch.outages, Instant::now(), &mut known);
    }

    async fn mend(&mut self, what: Mend) {
        let (faults, mut scene, audit, now) = self.scene();
        if let Err(reason) = faults.mend(what, now, &mut scene, audit).await {
            self.view.set_alert(Some(reason));
        }
        let broken = self.faults.names();
        let is_mended = |name: &str| scenario::Fault::from_name(name).is_some() && !broken.contains(&name);
        self.outages(|outages, now, facts| outages.heal_where(now, facts, is_mended));
    }

    async fn let_faults_happen(&mut self) {
        let (faults, mut scene, audit, now) = self.scene();
        if let Err(reason) = faults.tick(now, &mut scene, audit).await {
            self.view.set_alert(Some(reason));
        }
    }

    pub fn fault_views(&mut self) -> Vec<FaultView> {
        let (faults, scene, ..) = self.scene();
        faults.view(&scene)
    }

    fn set_offline(&mut self, selector: &Selector, offline: bool) {
        let stores = self.places.iter().filter(|place| place.location.is_store());
        let chosen: Vec<LocationId> = match selector {
            Selector::All => stores.map(|place| place.location).collect(),
            Selector::Names(names) => names.iter().map(|name| LocationId::store(name.0)).collect(),
            Selector::Region(region) => stores
                .filter(|place| place.region == *region)
                .map(|place| place.location)
                .collect(),
            Selector::Count(count) => stores
                .take(usize::from(*count))
                .map(|place| place.location)
                .collect(),
        };
        if chosen.is_empty() {
            let regions: std::collections::BTreeSet<&str> =
                self.places.iter().map(|place| place.region.as_str()).collect();
            self.view.set_alert(Some(format!(
                "{selector:?} names no store; the regions are {}",
                regions.into_iter().collect::<Vec<_>>().join(", ")
            )));
        }
        self.load.set_offline(&chosen, offline);
    }

    /// Until the opening stock is in the view; false where it does not get there, as with a broker that is full.
    async fn opening(&mut self) -> bool {
        let (mut last, mut moved) = ([0; 4], Instant::now());
        let mut mark = None;
        let (mut still, mut behind) = (0, 0);
        let still_max = if self.services.outside() { 600 } else { 20 };
        loop {
            let audit = self.tick(Phase::Opening).await;
            self.direct(&audit, SimOffset::from_ms(0)).await;
            if self.interrupted {
                return false;
            }
            let now = self.progress(&audit);
            if now != last {
                (last, moved) = (now, Instant::now());
            }
            if self.is_stuck(moved) && !self.paused {
                self.send_no_more();
                return false;
            }
            if self.load.snapshot().phase == load::Phase::Opening {
                continue;
            }
            let mark = mark.get_or_insert_with(|| self.audit.mark());
            let left = self.audit.behind(mark);
            // A sabotaged service never gets there: where nothing but marks is on its way, it is as far as it comes.
            still = if self.waits_little() && left == behind {
                still + 1
            } else {
                0
            };
            behind = left;
            if left == 0 || still > still_max {
                break;
            }
        }
        self.audit.reset_freshness();
        self.opening_handled = self.services.counters.handled();
        self.load.begin_trading();
        true
    }

    /// As the services count them, or, where they are not here to ask, as Kafka has them.
    pub fn dead_letters(&self) -> u64 {
        if self.services.outside() {
            self.lags.dead_letters().unwrap_or_default()
        } else {
            self.services.counters.dead_letters()
        }
    }

    fn waits_nowhere(&self) -> bool {
        self.lags.normaliser() == Some(0)
            && self.lags.inventory() == Some(0)
            && self.lags.extras() == Some(0)
            && self.servers.queue_depth().unwrap_or_default() == 0
    }

    /// No more than a mark of each place: these go on as long as the sources live.
    fn waits_little(&self) -> bool {
        let marks = self.places.len() as u64;
        let few = |lag: Option<u64>| lag.is_some_and(|lag| lag <= marks);
        few(self.lags.normaliser())
            && few(self.lags.inventory())
            && self.servers.queue_depth().unwrap_or_default() <= marks
    }

    async fn trading(&mut self) {
        loop {
            let audit = self.tick(Phase::Running).await;
            let simulated = self.simulated();
            self.direct(&audit, simulated).await;
            if matches!(
                self.load.snapshot().phase,
                load::Phase::Draining | load::Phase::Done
            ) {
                return;
            }
        }
    }

    /// Until everything that was sent has arrived, or nothing moves any more.
    async fn drain(&mut self) -> bool {
        self.set_offline(&Selector::All, false);
        self.mend(Mend::All).await;
        let (mut last, mut moved) = ([0; 4], Instant::now());
        let mut rounds = None;
        let mut idle = Instant::now();
        let outside = self.services.outside();
        loop {
            let audit = self.tick(Phase::Draining).await;
            let simulated = self.simulated();
            self.direct(&audit, simulated).await;
            let sent = self.load.snapshot();
            let now = self.progress(&audit);
            if now != last {
                (last, moved) = (now, Instant::now());
            }
            if sent.phase == load::Phase::Done && self.waits_nowhere() && !self.director.waits() {
                if self.release_second_numbers().await {
                    (rounds, idle, moved) = (None, Instant::now(), Instant::now());
                    continue;
                }
                // Two measurements of the lag that both began after the last acknowledgement.
                let since = *rounds.get_or_insert(self.lags.rounds());
                let settled = audit.cells_diverging == 0 && audit.items_diverging == 0;
                let enough = match (outside, settled) {
                    (false, _) => settled || moved.elapsed() > SETTLE,
                    (true, true) => idle.elapsed() > QUIET_OUTSIDE,
                    (true, false) => idle.elapsed() > SETTLE_OUTSIDE,
                };
                if self.lags.rounds() >= since + 3 && enough {
                    return self.read_to_the_end();
                }
            } else {
                rounds = None;
                idle = Instant::now();
            }
            if self.is_stuck(moved) {
                return false;
            }
        }
    }

    fn read_to_the_end(&mut self) -> bool {
        // Blocks for a fraction of a second: everything is there already.
        tokio::task::block_in_place(|| self.audit.drain(AUDIT_DRAIN, |_| {})).is_ok()
    }

    pub fn facts_at_end(&mut self, audit: &AuditSnapshot) {
        let sent = self.load.snapshot();
        let now = Instant::now();
        self.watch.completeness.ask_again();
        self.watch.look(now, sent.simulated, &self.audit, audit);
        let mut known = Known {
            audit: &self.audit,
            snapshot: audit,
            dead_letters: self.dead_letters(),
            discrepancies: self.services.discrepancies(),
            acknowledged: sent.acknowledged.iter().sum(),
            skus: &self.skus,
            marks: &mut self.marks,
        };
        self.director.expect_at_end(now, &mut known);
        self.watch.outages.close(now, &mut known);
    }

    pub fn publish_end(
        &mut self,
        audit: &AuditSnapshot,
        proof: ProofView,
        anomalies: Vec<AnomalyView>,
        verdict: VerdictView,
    ) -> Snapshot {
        let faults = self.fault_views();
        self.view.set_faults(faults);
        let sources = Sources {
            load: Some(&self.load),
            services: &self.services,
            audit: Some(audit),
            lags: &self.lags,
            director: &self.director,
            watch: &self.watch,
            broker_bytes: self.servers.broker_bytes(),
            topics: self.servers.topics(),
            queue_depth: self.servers.queue_depth(),
            opening_handled: self.opening_handled,
            dead_letters: self.dead_letters(),
            discrepancies: self.services.discrepancies().unwrap_or_default(),
            paused: self.paused,
        };
        let snapshot = self.view.end(&sources, proof, anomalies, verdict);
        self.snapshots.send_replace(Arc::new(snapshot.clone()));
        snapshot
    }
}

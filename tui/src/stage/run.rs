//! The loop of a run, from the opening stock to the verdict.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use audit::{Audit, AuditSnapshot};
use contracts::ids::TimeMs;
use load::{Load, Pace};
use scenario::{Mend, Selector, SimOffset};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use world::events::Place;

use super::anomalies::AnomalyView;
use super::director::Director;
use super::facts::{Counted, Known, Marks};
use super::faults::Faults;
use super::governor::Governor;
use super::lags::Lags;
use super::servers::Servers;
use super::services::{Failure, Handled, Services};
use super::verdict;
use super::view::{Sources, View};
use super::watch::Watch;
use super::wrongs::Wrongs;
use crate::cli::RunArgs;
use crate::report::Ended;
use crate::snapshot::{Command, Phase, ProofView, Snapshot, VerdictView};
use crate::world_of::Chosen;

const TICK: Duration = Duration::from_millis(100);
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

/// A run with all its parts.
pub struct Run<'a> {
    pub view: View,
    pub director: Director,
    pub watch: Watch,
    pub marks: Marks,
    pub faults: Faults,
    pub wrongs: Wrongs,
    pub chosen: Chosen,
    pub args: RunArgs,
    pub commands: mpsc::UnboundedReceiver<Command>,
    pub failed: mpsc::UnboundedReceiver<Failure>,
    pub cancel: CancellationToken,
    pub snapshots: watch::Sender<Arc<Snapshot>>,
    pub servers: &'a Servers,
    pub services: Services,
    pub audit: Audit,
    pub load: Load,
    pub lags: Arc<Lags>,
    pub places: Vec<Place>,
    pub skus: Vec<u32>,
    pub first: TimeMs,
    pub pace: Pace,
    /// Where rates are the most that is asked.
    pub governor: Option<Governor>,
    pub paused: bool,
    /// Not in the catalogue yet.
    pub held_articles: Vec<contracts::records::Article>,
    /// All, where messages may name some of them by second numbers that come into the catalogue at the end.
    pub articles: Vec<contracts::records::Article>,
    pub letters_put_back: u64,
    /// Of what is handled, the opening stock.
    pub opening_handled: Handled,
    /// The opening stock is in the view.
    pub opened: bool,
    pub interrupted: bool,
    pub started_at: std::time::SystemTime,
    pub started: Instant,
}

impl Run<'_> {
    pub async fn run(mut self) -> Result<Ended> {
        self.opened = self.opening().await;
        if self.opened && !self.interrupted {
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
                let alert = self.say(alert);
                self.wrongs.failed(alert);
            }
        }
        self.let_faults_happen().await;
        let audit = self.audit.snapshot();
        let faults = self.fault_views();
        self.view.set_faults(faults);
        let sent = self.load.snapshot();
        self.watch
            .look(Instant::now(), sent.simulated, &self.audit, &audit);
        let snapshot = self.view.make(
            phase,
            &Sources {
                load: &self.load,
                services: &self.services,
                servers: self.servers,
                audit: &audit,
                lags: &self.lags,
                director: &self.director,
                watch: &self.watch,
                counted: self.counted(&sent),
                opening_handled: self.opening_handled,
                paused: self.paused,
            },
        );
        if phase == Phase::Running {
            self.yield_to_the_system(&snapshot);
        }
        self.snapshots.send_replace(Arc::new(snapshot));
        audit
    }

    pub fn interrupt(&mut self) {
        self.interrupted = true;
        self.send_no_more();
    }

    pub fn send_no_more(&self) {
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

    fn simulated(&self) -> SimOffset {
        let at = self.load.snapshot().simulated.0 - self.first.0;
        SimOffset::from_ms(u64::try_from(at).unwrap_or_default())
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

    pub fn counted(&self, sent: &load::Snapshot) -> Counted {
        Counted {
            dead_letters: self.dead_letters(),
            discrepancies: self.services.discrepancies(),
            acknowledged: sent.acknowledged.iter().sum(),
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
        // A world may have no store.
        let _ = self.set_offline(&Selector::All, false);
        if let Err(reason) = self.mend(Mend::All).await {
            self.wrongs.refused(reason);
        }
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
                let settled =
                    audit.cells_diverging == 0 && audit.items_diverging == 0 && audit.completeness.stale == 0;
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
            counted: self.counted(&sent),
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
            load: &self.load,
            services: &self.services,
            servers: self.servers,
            audit,
            lags: &self.lags,
            director: &self.director,
            watch: &self.watch,
            counted: self.counted(&self.load.snapshot()),
            opening_handled: self.opening_handled,
            paused: self.paused,
        };
        let snapshot = self.view.end(&sources, proof, anomalies, verdict);
        self.snapshots.send_replace(Arc::new(snapshot.clone()));
        snapshot
    }
}

//! What the script, a key and a fault have the run do.

use std::time::{Duration, Instant};

use audit::{Audit, AuditSnapshot};
use contracts::ids::LocationId;
use load::Pace;
use scenario::{Break, Mend, Selector, SimOffset};

use super::director::Order;
use super::facts::Known;
use super::faults::{self, Faults, Scene};
use super::outages::Outages;
use super::run::Run;
use super::services::Ending;
use crate::snapshot::{Command, FaultView};

impl Run<'_> {
    pub async fn obey(&mut self, command: &Command) {
        match command {
            Command::Break(fault) => drop(self.break_it(&Break::from(*fault)).await),
            Command::Mend(what) => drop(self.mend(*what).await),
            Command::TogglePause => self.pause(!self.paused),
            Command::Faster => self.scale_pace(2.0),
            Command::Slower => self.scale_pace(0.5),
            Command::LookAt(place) => self.watch.completeness.look_at(*place),
            Command::Quit => self.interrupt(),
        }
    }

    pub async fn direct(&mut self, audit: &AuditSnapshot, simulated: SimOffset) {
        let now = Instant::now();
        let sent = self.load.snapshot();
        let mut known = Known {
            audit: &self.audit,
            snapshot: audit,
            counted: self.counted(&sent),
            skus: &self.skus,
            marks: &mut self.marks,
        };
        self.watch.tick(now, sent.stores_offline, &mut known);
        let orders = self.director.tick(now, simulated, &mut known);
        for order in &orders {
            self.watch.order(order, now, &mut known);
        }
        for order in orders {
            if let Err(reason) = self.carry_out(order).await {
                self.wrongs.refused(reason);
            }
        }
    }

    /// What the script orders; an error says why it cannot be.
    async fn carry_out(&mut self, order: Order) -> Result<(), String> {
        match order {
            Order::Rate(rate) => self.set_pace(Pace::Rate(rate.per_second())),
            Order::Speed(speed) => self.set_pace(Pace::Speed(speed.as_f64())),
            Order::Pause => self.pause(true),
            Order::Resume => self.pause(false),
            Order::Offline(selector) => return self.set_offline(&selector, true),
            Order::Online(selector) => return self.set_offline(&selector, false),
            Order::Break(what) => {
                let is_broken = self.faults.is_broken(what.fault);
                let broken = self.break_it(&what).await;
                // A presenter may have been first, with a key.
                if !is_broken {
                    broken?;
                }
                self.wrongs.broken_by_script(what.fault);
            }
            Order::Mend(what) => {
                let is_mended = matches!(what, Mend::One(fault) if !self.faults.is_broken(fault));
                let mended = self.mend(what).await;
                if !is_mended {
                    mended?;
                }
            }
            Order::ReleaseArticles => self.release_articles().await?,
            Order::Replay(class) => self.put_back(class).await?,
            Order::Stop(name) => {
                self.services.stop(name, Ending::Abrupt).await;
            }
            Order::Start(name) => {
                if let Err(error) = self.services.start(name).await {
                    return Err(self.say(format!("{name} does not start: {error:#}")));
                }
            }
        }
        Ok(())
    }

    /// Shows why something was not done.
    pub fn say(&mut self, reason: String) -> String {
        self.view.set_alert(Some(reason.clone()));
        reason
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

    async fn break_it(&mut self, what: &Break) -> Result<(), String> {
        let fault = what.fault;
        // The cut comes first: to break something can take seconds, and they count.
        let began = self.outages(|outages, now, facts| outages.begin(fault.name(), now, facts));
        let broken = if let Some(reason) = faults::impossible(fault, &self.args) {
            Err(reason)
        } else {
            let (faults, mut scene, _, now) = self.scene();
            faults.break_it(what, now, &mut scene).await
        };
        let Err(reason) = broken else {
            return Ok(());
        };
        if began {
            self.outages(|outages, _, facts| outages.withdraw_last(facts));
        }
        Err(self.say(format!("{fault} does not break: {reason}")))
    }

    fn outages<T>(&mut self, tell: impl FnOnce(&mut Outages, Instant, &mut Known<'_>) -> T) -> T {
        let audit = self.audit.snapshot();
        let mut known = Known {
            audit: &self.audit,
            snapshot: &audit,
            counted: self.counted(&self.load.snapshot()),
            skus: &self.skus,
            marks: &mut self.marks,
        };
        tell(&mut self.watch.outages, Instant::now(), &mut known)
    }

    pub async fn mend(&mut self, what: Mend) -> Result<(), String> {
        let (faults, mut scene, audit, now) = self.scene();
        let mended = faults.mend(what, now, &mut scene, audit).await;
        let broken = self.faults.names();
        let is_mended = |name: &str| scenario::Fault::from_name(name).is_some() && !broken.contains(&name);
        self.outages(|outages, now, facts| outages.heal_where(now, facts, is_mended));
        mended.map_err(|reason| self.say(reason))
    }

    pub async fn let_faults_happen(&mut self) {
        let (faults, mut scene, audit, now) = self.scene();
        if let Err(reason) = faults.tick(now, &mut scene, audit).await {
            self.view.set_alert(Some(reason));
        }
    }

    pub fn fault_views(&mut self) -> Vec<FaultView> {
        let (faults, scene, ..) = self.scene();
        faults.view(&scene)
    }

    pub fn set_offline(&mut self, selector: &Selector, offline: bool) -> Result<(), String> {
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
            let regions = regions.into_iter().collect::<Vec<_>>().join(", ");
            return Err(self.say(format!("{selector:?} names no store; the regions are {regions}")));
        }
        self.load.set_offline(&chosen, offline);
        Ok(())
    }
}

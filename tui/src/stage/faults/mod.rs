//! What is broken now, what was, and how often each hit: the library of faults, carried out.
//!
//! Invariant: what was broken here is mended at the latest when the sources fall silent, and each count is that of the
//! thing that was hit, not of the orders given. How a fault is made on the embedded servers is `act`'s matter.

mod act;
mod hits;
mod refusal;

use std::time::{Duration, Instant};

use audit::{Audit, Mark};
use contracts::ids::LocationId;
use embedded::broker::faults::FaultId;
use load::Load;
use scenario::{Break, Fault, Mend, Selector, ServiceName};
use tokio::task::JoinSet;
use world::events::Place;

use super::servers::Servers;
use super::services::Services;
use crate::snapshot::FaultView;

pub use refusal::{impossible, refuse};

/// Outbreaks that are kept; what was mended longest ago goes first.
const OUTBREAKS_MAX: usize = 1_000;

/// Of whoever was silent up to the mending, the session ends so long behind its time at the latest: the broker has looked by then.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// What faults act on.
pub struct Scene<'a> {
    pub servers: &'a Servers,
    pub services: &'a mut Services,
    pub load: &'a Load,
    pub places: &'a [Place],
    pub seed: u64,
    /// Of the embedded broker's clients.
    pub session_timeout: Duration,
}

/// What there is to undo.
#[derive(Debug, Default)]
struct Undo {
    rules: Vec<FaultId>,
    stores: Vec<LocationId>,
    queues: Vec<String>,
    node: Option<i32>,
    /// Of this service, so many instances.
    start: Option<(ServiceName, usize)>,
    /// Of this service, the instance of this number.
    stop: Option<(ServiceName, u32)>,
}

/// A fault from when it broke.
#[derive(Debug)]
struct Outbreak {
    what: Break,
    broken: Duration,
    mended: Option<Duration>,
    converged: Option<Duration>,
    /// What had happened when it was mended, until the view has it.
    mark: Option<Mark>,
    /// What its counter said when it broke.
    before: u64,
    /// Counted here, where nobody else does.
    count: u64,
    /// Set when what is counted later is not of this time: the same fault breaks again, or others raise that counter too.
    hits: Option<u64>,
    undo: Undo,
    /// Rules that are gone still know their hits.
    rules: Vec<FaultId>,
    /// When it happens again.
    next: Option<Instant>,
    rounds: u64,
}

impl Outbreak {
    fn is_broken(&self) -> bool {
        self.mended.is_none()
    }
}

/// All of a run.
#[derive(Default)]
pub struct Faults {
    outbreaks: Vec<Outbreak>,
    /// Messages of poison on their way to queues.
    senders: JoinSet<()>,
}

impl Faults {
    fn broken(&mut self, fault: Fault) -> Option<&mut Outbreak> {
        self.outbreaks
            .iter_mut()
            .rev()
            .find(|one| one.what.fault == fault && one.is_broken())
    }

    pub fn is_broken(&self, fault: Fault) -> bool {
        self.outbreaks
            .iter()
            .any(|one| one.what.fault == fault && one.is_broken())
    }

    /// Names of what is broken, oldest first.
    pub fn names(&self) -> Vec<&'static str> {
        let broken = self.outbreaks.iter().filter(|one| one.is_broken());
        broken.map(|one| one.what.fault.name()).collect()
    }

    /// Breaks something; an error says why it cannot be broken here.
    pub async fn break_it(
        &mut self,
        what: &Break,
        now: Duration,
        scene: &mut Scene<'_>,
    ) -> Result<(), String> {
        let fault = what.fault;
        if self.is_broken(fault) {
            return Err(format!("{fault} is broken already"));
        }
        for past in self.outbreaks.iter_mut().filter(|one| one.what.fault == fault) {
            past.hits.get_or_insert(hits::of(past, scene));
        }
        let before = hits::counter(what, scene);
        let mut outbreak = Outbreak {
            what: what.clone(),
            broken: now,
            mended: None,
            converged: None,
            mark: None,
            before,
            count: 0,
            hits: None,
            undo: Undo::default(),
            rules: Vec::new(),
            next: None,
            rounds: 0,
        };
        act::begin(&mut outbreak, scene, &mut self.senders).await?;
        outbreak.rules.clone_from(&outbreak.undo.rules);
        if self.outbreaks.len() >= OUTBREAKS_MAX
            && let Some(oldest) = self.outbreaks.iter().position(|one| !one.is_broken())
        {
            self.outbreaks.remove(oldest);
        }
        self.outbreaks.push(outbreak);
        Ok(())
    }

    /// Mends and says what could not be mended.
    pub async fn mend(
        &mut self,
        what: Mend,
        now: Duration,
        scene: &mut Scene<'_>,
        audit: &Audit,
    ) -> Result<(), String> {
        let faults: Vec<Fault> = match what {
            Mend::One(fault) if !self.is_broken(fault) => return Err(format!("{fault} is not broken")),
            Mend::One(fault) => vec![fault],
            // What broke last goes first.
            Mend::All => {
                let broken = self.outbreaks.iter().rev().filter(|one| one.is_broken());
                broken.map(|one| one.what.fault).collect()
            }
        };
        let mut failed = Vec::new();
        for fault in faults {
            if fault == Fault::QueuePoison {
                self.senders.abort_all();
            }
            let Some(outbreak) = self.broken(fault) else {
                continue;
            };
            outbreak.mended = Some(now);
            outbreak.mark = Some(audit.mark());
            outbreak.next = None;
            if let Err(error) = act::end(outbreak, scene).await {
                failed.push(format!("{fault} cannot be mended: {error}"));
            }
        }
        if failed.is_empty() {
            Ok(())
        } else {
            Err(failed.join("; "))
        }
    }

    /// Lets happen again what happens again and again, and sees what has come right.
    pub async fn tick(&mut self, now: Duration, scene: &mut Scene<'_>, audit: &Audit) -> Result<(), String> {
        while self.senders.try_join_next().is_some() {}
        let mut failed = None;
        for outbreak in &mut self.outbreaks {
            if let Some(mended) = outbreak.mended
                && outbreak.hits.is_none()
                && hits::are_others_too(outbreak.what.fault)
                && now >= mended + scene.session_timeout + ENDS_WITHIN
            {
                outbreak.hits = Some(hits::of(outbreak, scene));
            }
            if let Some(mark) = &mut outbreak.mark
                && audit.behind(mark) == 0
            {
                outbreak.mark = None;
                outbreak.converged = Some(now);
            }
            if outbreak.next.is_some_and(|next| next <= Instant::now())
                && let Err(error) = act::again(outbreak, scene, &mut self.senders).await
            {
                failed = Some(format!("{}: {error}", outbreak.what.fault));
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// All outbreaks, oldest first.
    pub fn view(&self, scene: &Scene<'_>) -> Vec<FaultView> {
        let view = |one: &Outbreak| FaultView {
            name: one.what.fault.name(),
            broken_at_s: one.broken.as_secs_f64(),
            mended_at_s: one.mended.map(|at| at.as_secs_f64()),
            converged_after_s: one
                .mended
                .zip(one.converged)
                .map(|(mended, converged)| converged.saturating_sub(mended).as_secs_f64()),
            hits: hits::of(one, scene),
        };
        self.outbreaks.iter().map(view).collect()
    }
}

/// Stores that a selector names; a tenth of all, at least one, where nothing is said.
fn stores(selector: Option<&Selector>, places: &[Place]) -> Vec<LocationId> {
    let all: Vec<&Place> = places.iter().filter(|place| place.location.is_store()).collect();
    let some = all.len().div_ceil(10);
    let wanted = |index: usize, place: &Place| match selector {
        None => index < some,
        Some(Selector::All) => true,
        Some(Selector::Names(names)) => names
            .iter()
            .any(|name| LocationId::store(name.0) == place.location),
        Some(Selector::Region(region)) => place.region == *region,
        Some(Selector::Count(count)) => index < usize::from(*count),
    };
    all.iter()
        .enumerate()
        .filter(|(index, place)| wanted(*index, place))
        .map(|(_, place)| place.location)
        .collect()
}

//! What is watched all through a run: outages, violations, and what the view says of itself.
//!
//! Invariant: it looks at what the audit and the load know, and orders nothing.

use std::time::Instant;

use audit::{Audit, AuditSnapshot};
use contracts::ids::TimeMs;
use scenario::Selector;

use super::completeness::Completeness;
use super::director::{Facts, Order};
use super::outages::Outages;
use super::safety::{Moment, Safety};

/// How names of outages of stores end.
const OFFLINE: &str = " offline";

pub struct Watch {
    pub outages: Outages,
    pub safety: Safety,
    pub completeness: Completeness,
}

impl Watch {
    pub fn new(started: Instant) -> Self {
        Self {
            outages: Outages::new(started),
            safety: Safety::new(started),
            completeness: Completeness::default(),
        }
    }

    /// What has been seen since the last tick.
    pub fn look(&mut self, now: Instant, simulated: TimeMs, audit: &Audit, snapshot: &AuditSnapshot) {
        self.completeness.tick(now, audit);
        let in_an_outage = self.outages.any_lasts();
        self.safety.look(
            &snapshot.live,
            Moment {
                now,
                simulated,
                in_an_outage,
            },
        );
    }

    /// Before orders are carried out: outages whose stores are all back are healed, and what is recovered is found.
    pub fn tick(&mut self, now: Instant, stores_offline: u64, facts: &mut impl Facts) {
        if stores_offline == 0 {
            self.outages
                .heal_where(now, facts, |name| name.ends_with(OFFLINE));
        }
        self.outages.tick(now, facts);
    }

    /// An order that is about to be carried out: it may begin an outage or heal one.
    pub fn order(&mut self, order: &Order, now: Instant, facts: &mut impl Facts) {
        match order {
            Order::Offline(selector) => {
                self.outages.begin(&offline(selector), now, facts);
            }
            Order::Online(Selector::All) => {
                self.outages
                    .heal_where(now, facts, |name| name.ends_with(OFFLINE));
            }
            Order::Online(selector) => self.outages.heal(&offline(selector), now, facts),
            Order::Stop(name) => {
                self.outages.begin(&format!("{name} stopped"), now, facts);
            }
            Order::Start(name) => self.outages.heal(&format!("{name} stopped"), now, facts),
            // Whether something can be broken is known only when it is tried: the stage tells.
            Order::Break(_)
            | Order::Mend(_)
            | Order::ReleaseArticles
            | Order::Replay(_)
            | Order::Rate(_)
            | Order::Speed(_)
            | Order::Pause
            | Order::Resume => {}
        }
    }
}

fn offline(selector: &Selector) -> String {
    match selector {
        Selector::All => format!("all stores{OFFLINE}"),
        Selector::Names(names) => {
            let names: Vec<_> = names.iter().map(|name| format!("S{:04}", name.0)).collect();
            format!("{}{OFFLINE}", names.join(", "))
        }
        Selector::Region(region) => format!("{region}{OFFLINE}"),
        Selector::Count(count) => format!("{count} stores{OFFLINE}"),
    }
}

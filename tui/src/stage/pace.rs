//! How fast the load goes: as asked by the scenario, a step or a key, or less where the system does not keep up.

use std::time::Instant;

use load::Pace;
use scenario::ServiceName;

use super::governor::{Governor, Seen};
use super::run::Run;
use crate::report::Yielded;
use crate::snapshot::{PaceView, ServiceState, Snapshot};

/// What a sale goes through on its way into the view.
const FLOW: [ServiceName; 4] = [
    ServiceName::StoreGateway,
    ServiceName::MqSource,
    ServiceName::Normaliser,
    ServiceName::Inventory,
];
const FASTEST: f64 = 100_000.0;

pub fn pace_of(load: scenario::Load) -> Pace {
    match load {
        scenario::Load::Speed(speed) => Pace::Speed(speed.as_f64()),
        scenario::Load::Rate(rate) => Pace::Rate(rate.per_second()),
        scenario::Load::Unthrottled => Pace::Unthrottled,
    }
}

pub fn pace_view(pace: Pace) -> PaceView {
    match pace {
        Pace::Speed(speed) => PaceView::Speed(speed),
        Pace::Rate(rate) => PaceView::Rate(rate),
        Pace::Unthrottled => PaceView::Unthrottled,
    }
}

impl Run<'_> {
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
        if paused {
            self.load.pause();
        } else {
            self.load.resume();
        }
    }

    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
        self.load.set_pace(pace);
        self.view.set_pace(pace_view(pace));
        if let (Some(governor), Pace::Rate(rate)) = (&mut self.governor, pace) {
            governor.ask(rate);
        }
    }

    /// Where rates are the most that is asked: less, while the system does not keep up.
    pub fn yield_to_the_system(&mut self, snapshot: &Snapshot) {
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

    pub fn scale_pace(&mut self, factor: f64) {
        let pace = match self.pace {
            Pace::Speed(speed) => Pace::Speed((speed * factor).clamp(0.01, FASTEST)),
            Pace::Rate(rate) => Pace::Rate((rate * factor).clamp(1.0, 1_000_000.0)),
            Pace::Unthrottled => return,
        };
        self.set_pace(pace);
    }
}

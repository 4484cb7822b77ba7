//! How long a scenario lasts and how much it moves, before it runs. Estimates from mean figures; the run has the truth.

use std::fmt;

use crate::curve;
use crate::load::{Load, Rate, Speed};
use crate::scenario::{Scenario, Stop};
use crate::step::Action;
use crate::time::SimOffset;

/// Lines of a mean receipt.
const LINES_A_RECEIPT: f64 = 10.25;
/// What this system takes on two cores without a bound of its own; only for estimates of unthrottled runs.
const UNTHROTTLED_PER_SECOND: f64 = 80_000.0;
/// Cells of opening stock that go in a second on two cores; only for estimates.
const OPENING_CELLS_PER_SECOND: f64 = 110_000.0;

/// When the presenter's watch shows what.
#[derive(Clone, Debug, PartialEq)]
pub struct WallEstimate {
    /// Seconds until the opening stock is out and trading starts.
    pub trading_s: f64,
    /// Index of each step and the seconds since the start of the run when it is due.
    pub steps: Vec<(usize, f64)>,
    /// Seconds until the sources fall silent.
    pub end_s: f64,
}

/// What a run is going to bring. Places, articles and steps are exact, the rest are estimates.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals {
    pub stores: u64,
    pub warehouses: u64,
    pub data_centres: u64,
    pub skus: u64,
    /// Stores have 3 to 12 tills.
    pub tills_min: u64,
    pub tills_max: u64,
    /// Cells with stock, about: what the audit compares.
    pub cells: u64,
    pub steps: u64,
    pub expectations: u64,
    pub transactions_per_day: u64,
    /// Simulated time from the first sale to the last.
    pub simulated: SimOffset,
    /// Seconds on the presenter's watch, opening stock included.
    pub wall_s: f64,
    /// Till receipts.
    pub receipts: u64,
    /// Lines of them.
    pub receipt_lines: u64,
}

/// How transactions flow between two steps.
#[derive(Clone, Copy)]
enum Pace {
    Speed(Speed),
    Rate(Rate),
    Unthrottled,
}

/// When each step is due on the presenter's watch.
pub fn wall_estimate(scenario: &Scenario) -> WallEstimate {
    let trading_s = if scenario.opening {
        cells(scenario) as f64 / OPENING_CELLS_PER_SECOND
    } else {
        0.0
    };
    let mut pace = match scenario.load {
        Load::Speed(speed) => Pace::Speed(speed),
        Load::Rate(rate) => Pace::Rate(rate),
        Load::Unthrottled => Pace::Unthrottled,
    };
    let mut now_ms = 0;
    let mut wall_s = 0.0;
    let mut steps = Vec::with_capacity(scenario.steps.len());
    for (index, step) in scenario.steps.iter().enumerate() {
        if step.at.ms > 0 && now_ms == 0 && wall_s < trading_s {
            wall_s = trading_s;
        }
        wall_s += span_s(scenario, pace, now_ms, step.at.ms);
        now_ms = step.at.ms;
        steps.push((index, wall_s));
        match step.action {
            Some(Action::Speed(speed)) => pace = Pace::Speed(speed),
            Some(Action::Rate(rate)) => pace = Pace::Rate(rate),
            _ => {}
        }
    }
    wall_s = wall_s.max(trading_s);
    let end_s = wall_s + span_s(scenario, pace, now_ms, end(scenario).ms);
    WallEstimate {
        trading_s,
        steps,
        end_s,
    }
}

/// Wall seconds that a span of simulated time takes.
fn span_s(scenario: &Scenario, pace: Pace, from_ms: u64, until_ms: u64) -> f64 {
    let until_ms = until_ms.max(from_ms);
    let receipts = || {
        curve::receipts(
            scenario.world.transactions_per_day,
            scenario.world.start,
            from_ms,
            until_ms,
        )
    };
    match pace {
        Pace::Speed(speed) => (until_ms - from_ms) as f64 / 1000.0 / speed.as_f64(),
        Pace::Rate(rate) => receipts() / rate.per_second(),
        Pace::Unthrottled => receipts() / UNTHROTTLED_PER_SECOND,
    }
}

/// When the sources fall silent.
fn end(scenario: &Scenario) -> SimOffset {
    match scenario.stop {
        Stop::Duration(duration) => duration,
        Stop::Transactions(count) => {
            let world = &scenario.world;
            let reached = curve::reached(world.transactions_per_day, world.start, 0, count as f64);
            SimOffset::from_ms(reached.unwrap_or_default())
        }
    }
}

fn cells(scenario: &Scenario) -> u64 {
    let world = &scenario.world;
    u64::from(world.stores) * u64::from(world.assortment)
        + u64::from(world.warehouses) * u64::from(world.skus)
}

impl Scenario {
    /// What a run is going to bring.
    pub fn expected_totals(&self) -> Totals {
        let world = &self.world;
        let simulated = end(self);
        let receipts = match &self.script {
            Some(script) => script.events.len() as f64 * script.send.times() as f64,
            None => curve::receipts(world.transactions_per_day, world.start, 0, simulated.ms),
        };
        let lines = if self.script.is_some() {
            1.0
        } else {
            LINES_A_RECEIPT
        };
        let stores = u64::from(world.stores);
        let in_steps: usize = self.steps.iter().map(|step| step.expect.len()).sum();
        Totals {
            stores,
            warehouses: world.warehouses.into(),
            data_centres: world.data_centres.into(),
            skus: world.skus.into(),
            tills_min: stores * 3,
            tills_max: stores * 12,
            cells: cells(self),
            steps: self.steps.len() as u64,
            expectations: (in_steps + self.expect.len()) as u64,
            transactions_per_day: world.transactions_per_day.into(),
            simulated,
            wall_s: wall_estimate(self).end_s,
            receipts: receipts.round() as u64,
            receipt_lines: (receipts * lines).round() as u64,
        }
    }
}

/// Several lines for `check`, estimates marked as such.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  world      {} stores, {} warehouses, {} data centres, {} SKUs; about {} cells",
            grouped(self.stores),
            self.warehouses,
            self.data_centres,
            grouped(self.skus),
            grouped(self.cells)
        )?;
        writeln!(
            f,
            "  timeline   {} steps, {} expectations",
            self.steps, self.expectations
        )?;
        writeln!(
            f,
            "  simulated  {} of a chain with {} receipts a day (estimate)",
            SimOffset::from_ms(self.simulated.ms.next_multiple_of(1000)),
            grouped(self.transactions_per_day)
        )?;
        writeln!(
            f,
            "  till       {} receipts, {} lines (estimate)",
            grouped(self.receipts),
            grouped(self.receipt_lines)
        )?;
        write!(f, "  wall time  {:.0} s and the drain (estimate)", self.wall_s)
    }
}

/// `5,000,000`
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

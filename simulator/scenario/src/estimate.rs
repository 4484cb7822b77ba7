//! How long a scenario lasts on the presenter's watch, before it runs. Estimates from mean figures; the run has the truth.

use crate::curve;
use crate::load::{Load, Rate, Speed};
use crate::scenario::{Scenario, Stop};
use crate::step::Action;
use crate::time::SimOffset;

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

/// How transactions flow between two steps.
#[derive(Clone, Copy)]
enum Pace {
    Speed(Speed),
    Rate(Rate),
    Unthrottled,
}

/// When each step is due on the presenter's watch. A pause counts as nothing: it ends when what it waits for is there.
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
pub(crate) fn end(scenario: &Scenario) -> SimOffset {
    match scenario.stop {
        Stop::Duration(duration) => duration,
        Stop::Transactions(count) => {
            let world = &scenario.world;
            let reached = curve::reached(world.transactions_per_day, world.start, 0, count as f64);
            SimOffset::from_ms(reached.unwrap_or_default())
        }
    }
}

/// Cells with stock, about.
pub(crate) fn cells(scenario: &Scenario) -> u64 {
    let world = &scenario.world;
    u64::from(world.stores) * u64::from(world.assortment)
        + u64::from(world.warehouses) * u64::from(world.skus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn estimate(text: &str) -> WallEstimate {
        wall_estimate(&parse("test.yaml", &format!("title: T\n{text}")).unwrap())
    }

    #[test]
    fn at_a_speed_wall_time_is_simulated_time_over_it() {
        let found = estimate(
            "opening: false\nload: {speed: 60}\nstop: {duration: 2h}\nsteps:\n- {at: 1h, say: a, do: {speed: 120}}\n",
        );
        assert_eq!(
            found,
            WallEstimate {
                trading_s: 0.0,
                steps: vec![(0, 60.0)],
                end_s: 90.0
            }
        );
    }

    #[test]
    fn at_a_rate_wall_time_is_receipts_over_it() {
        let found =
            estimate("opening: false\nload: {rate: {per_minute: 1000000}}\nstop: {transactions: 500000}\n");
        assert!((found.end_s - 30.0).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn trading_waits_for_the_opening_stock_and_the_first_steps_do_not() {
        let found = estimate(
            "load: {speed: 1}\nstop: {duration: 10s}\nsteps:\n- {at: 0s, say: a}\n- {at: 0s, say: b}\n- {at: 1s, say: c}\n",
        );
        let steps = vec![(0, 0.0), (1, 0.0), (2, 12.0)];
        assert_eq!(
            found,
            WallEstimate {
                trading_s: 11.0,
                steps,
                end_s: 21.0
            }
        );
    }
}

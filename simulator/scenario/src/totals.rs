//! What a run is going to bring: what `check` prints.

use std::fmt;

use crate::curve;
use crate::estimate::{cells, end, wall_estimate};
use crate::scenario::Scenario;
use crate::time::SimOffset;

/// Lines of a mean receipt.
const LINES_A_RECEIPT: f64 = 10.25;
/// A store has so many tills, by its size.
const TILLS: std::ops::RangeInclusive<u64> = 3..=12;

/// What a run is going to bring. Places, articles and steps are exact, the rest are estimates.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals {
    pub stores: u64,
    pub warehouses: u64,
    pub data_centres: u64,
    pub skus: u64,
    /// By the least and the most that a store has.
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
    /// Events of a script, as often as they are sent.
    pub scripted_events: u64,
    /// Till receipts of shoppers.
    pub receipts: u64,
    /// Lines of them.
    pub receipt_lines: u64,
}

impl Scenario {
    /// What a run is going to bring.
    pub fn expected_totals(&self) -> Totals {
        let world = &self.world;
        let simulated = end(self);
        let receipts = curve::receipts(world.transactions_per_day, world.start, 0, simulated.ms);
        let stores = u64::from(world.stores);
        let in_steps: usize = self.steps.iter().map(|step| step.expect.len()).sum();
        Totals {
            stores,
            warehouses: world.warehouses.into(),
            data_centres: world.data_centres.into(),
            skus: world.skus.into(),
            tills_min: stores * TILLS.start(),
            tills_max: stores * TILLS.end(),
            cells: cells(self),
            steps: self.steps.len() as u64,
            expectations: (in_steps + self.expect.len()) as u64,
            transactions_per_day: world.transactions_per_day.into(),
            simulated,
            wall_s: wall_estimate(self).end_s,
            scripted_events: self
                .script
                .as_ref()
                .map_or(0, |script| script.events.len() as u64 * script.send.times()),
            receipts: receipts.round() as u64,
            receipt_lines: (receipts * LINES_A_RECEIPT).round() as u64,
        }
    }
}

/// Several lines for `check`, estimates marked as such.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = [
            counted(self.stores, "store"),
            counted(self.warehouses, "warehouse"),
            counted(self.data_centres, "data centre"),
            counted(self.skus, "SKU"),
        ];
        writeln!(
            f,
            "  world      {}; about {}",
            places.join(", "),
            counted(self.cells, "cell")
        )?;
        writeln!(
            f,
            "  timeline   {}, {}; {} of simulated time",
            counted(self.steps, "step"),
            counted(self.expectations, "expectation"),
            SimOffset::from_ms(self.simulated.ms.next_multiple_of(1000)),
        )?;
        if self.scripted_events > 0 {
            writeln!(f, "  script     {} sent", counted(self.scripted_events, "event"))?;
        } else {
            writeln!(
                f,
                "  tills      {} with {} (estimate), at {} a day",
                counted(self.receipts, "receipt"),
                counted(self.receipt_lines, "line"),
                grouped(self.transactions_per_day),
            )?;
        }
        write!(f, "  wall time  {:.0} s, then the drain (estimate)", self.wall_s)
    }
}

/// `1 store`, `2,300 stores`
fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_one_has_no_plural() {
        assert_eq!(counted(1, "store"), "1 store");
        assert_eq!(counted(0, "store"), "0 stores");
        assert_eq!(counted(999, "store"), "999 stores");
        assert_eq!(counted(1_210_000, "cell"), "1,210,000 cells");
    }
}

//! The generated chain beside what was measured of real ones, line by line, each with its tolerance.

mod measured;
mod sample;

use anyhow::{Result, ensure};

use sample::{Dispersion, Shape};

#[derive(Debug, clap::Args)]
pub struct Realism {
    /// Lines that are generated, at least.
    #[arg(long, default_value_t = 8_000_000, value_parser = clap::value_parser!(u64).range(1_000_000..))]
    lines: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the table as it stands in docs/realism.md.
    #[arg(long)]
    markdown: bool,
}

/// A fact, as measured and as generated.
struct Row {
    fact: String,
    measured: f64,
    ours: f64,
    /// Least and most that are like the measured.
    inside: (f64, f64),
    digits: usize,
}

impl Row {
    fn near(fact: impl Into<String>, measured: f64, ours: f64, tolerance: f64, digits: usize) -> Self {
        Self {
            fact: fact.into(),
            measured,
            ours,
            inside: (measured - tolerance, measured + tolerance),
            digits,
        }
    }

    fn holds(&self) -> bool {
        (self.inside.0..=self.inside.1).contains(&self.ours)
    }

    fn print(&self, markdown: bool) {
        let digits = self.digits;
        let shown = |value: f64| format!("{value:.digits$}");
        let (low, high) = (shown(self.inside.0.max(0.0)), shown(self.inside.1));
        let (measured, ours) = (shown(self.measured), shown(self.ours));
        let verdict = if self.holds() { "inside" } else { "OUTSIDE" };
        if markdown {
            println!("| {} | {measured} | {ours} | {low} to {high} |", self.fact);
        } else {
            let fact = &self.fact;
            println!("{fact:<46} {measured:>9} {ours:>9}   {low:>7} to {high:<8} {verdict}");
        }
    }
}

impl Realism {
    pub fn run(&self) -> Result<()> {
        eprintln!(
            "generating {} lines and the weeks of {} articles ...",
            self.lines,
            measured::BEST_SELLERS
        );
        let shape = Shape::of_lines(self.seed, self.lines)?;
        let dispersion = Dispersion::measure(self.seed)?;
        let rows = rows(&shape, &dispersion);
        println!(
            "{} lines of {} baskets in {} weeks, seed {}; dispersion: the best {} SKUs over {} weeks\n",
            shape.lines, shape.baskets, shape.weeks, self.seed, dispersion.skus, dispersion.weeks
        );
        if self.markdown {
            println!("| fact | measured | ours | tolerance |\n| --- | --- | --- | --- |");
        } else {
            println!("{:<46} {:>9} {:>9}   tolerance", "fact", "measured", "ours");
        }
        for row in &rows {
            row.print(self.markdown);
        }
        self.formats(&shape);
        let outside: Vec<&str> = rows
            .iter()
            .filter(|row| !row.holds())
            .map(|row| row.fact.as_str())
            .collect();
        ensure!(
            outside.is_empty(),
            "outside of what is like the measured: {}",
            outside.join(", ")
        );
        Ok(())
    }
}

impl Realism {
    /// Nothing here is inside or outside: what real ones write differs by ten times from vendor to vendor.
    fn formats(&self, shape: &Shape) {
        if self.markdown {
            println!(
                "\n| format | messages | transactions a message | bytes a message | real ones |\n| --- | --- | --- | --- | --- |"
            );
        } else {
            println!(
                "\n{:<16} {:>10} {:>14} {:>10}   real ones",
                "format", "messages", "transactions", "bytes"
            );
        }
        for (name, format) in &shape.formats {
            let messages = format.messages as f64;
            let (transactions, bytes) = (
                format.transactions as f64 / messages,
                format.bytes as f64 / messages,
            );
            let real = measured::SIZES
                .iter()
                .find(|(known, _)| known == name)
                .map_or("", |(_, said)| said);
            if self.markdown {
                println!(
                    "| `{name}` | {} | {transactions:.2} | {bytes:.0} | {real} |",
                    format.messages
                );
            } else {
                println!(
                    "{name:<16} {:>10} {transactions:>14.2} {bytes:>10.0}   {real}",
                    format.messages
                );
            }
        }
    }
}

fn rows(shape: &Shape, dispersion: &Dispersion) -> Vec<Row> {
    let (baskets, lines) = (shape.baskets as f64, shape.lines as f64);
    let mut rows = vec![
        Row {
            fact: "basket sizes, Kolmogorov-Smirnov distance".into(),
            measured: 0.0,
            ours: shape.basket_distance(),
            inside: (0.0, 0.03),
            digits: 3,
        },
        Row::near(
            "lines a basket, mean",
            measured::LINES_A_BASKET,
            lines / baskets,
            0.3,
            2,
        ),
    ];
    for (units, share) in measured::UNITS {
        let ours = shape.lines_by_units.get(&units).copied().unwrap_or(0) as f64 / lines;
        rows.push(Row::near(
            format!("lines of {units} units, share"),
            share,
            ours,
            0.02,
            3,
        ));
    }
    for (share, measured) in measured::LORENZ {
        let fact = format!("lines of the best {} % of SKUs, %", 100.0 * share);
        rows.push(Row::near(fact, measured, shape.share_of_best(share), 3.0, 1));
    }
    for (hour, (count, share)) in shape.baskets_by_hour.iter().zip(measured::HOURS).enumerate() {
        let ours = 100.0 * *count as f64 / baskets;
        rows.push(Row::near(
            format!("baskets from {hour} h, %"),
            share,
            ours,
            0.5,
            2,
        ));
    }
    for (count, (day, share)) in shape.baskets_by_weekday.iter().zip(measured::WEEKDAYS) {
        let ours = 100.0 * *count as f64 / baskets;
        rows.push(Row::near(format!("baskets on {day}, %"), share, ours, 0.5, 2));
    }
    rows.push(Row {
        fact: "weekly units of a best seller, variance / mean".into(),
        measured: measured::WEEKLY_DISPERSION,
        ours: dispersion.median,
        inside: (2.0, 5.0),
        digits: 2,
    });
    rows
}

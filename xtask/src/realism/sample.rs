//! A world, and what is counted of what its tills write.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use world::events::{Channel, PlaceEvents};
use world::{STEP_MS, World, WorldConfig};

use super::measured;

const DAY_MS: i64 = 86_400_000;
const STEPS_A_DAY: u32 = (DAY_MS / STEP_MS as i64) as u32;
const HOUR_MS: i64 = 3_600_000;
const UNIT: i64 = 1_000;
/// Weeks over which a SKU's sales are compared with themselves. In one before them shelves settle.
const DISPERSION_WEEKS: usize = 16;

/// Over whole weeks of the chain.
#[derive(Default)]
pub struct Shape {
    pub weeks: u32,
    pub baskets_by_size: BTreeMap<usize, u64>,
    pub baskets_by_hour: [u64; 24],
    pub baskets_by_weekday: [u64; 7],
    pub lines_by_units: BTreeMap<i64, u64>,
    pub lines_by_sku: Vec<u64>,
    pub skus: usize,
    pub lines: u64,
    pub baskets: u64,
    pub formats: BTreeMap<&'static str, Format>,
}

/// What tills, warehouses or scanners wrote in a format.
#[derive(Clone, Copy, Default)]
pub struct Format {
    pub messages: u64,
    pub transactions: u64,
    pub bytes: u64,
}

impl Shape {
    /// A chain of sixty stores, week after week until it has sold so many lines.
    pub fn of_lines(seed: u64, least: u64) -> Result<Self> {
        let mut world = world(seed, 60, 15_000)?;
        let weighed = weighed(&world);
        let mut shape = Self {
            skus: world.articles().len(),
            ..Self::default()
        };
        let mut by_sku: BTreeMap<u32, u64> = BTreeMap::new();
        drop(world.opening());
        let start = world.config().start.0;
        while shape.lines < least {
            let formats = &mut shape.formats;
            let mut wrote = |events: &PlaceEvents| {
                for message in &events.messages {
                    let format = formats.entry(message.format).or_default();
                    format.messages += 1;
                    format.transactions += message.transactions.len() as u64;
                    format.bytes += message.bytes.len() as u64;
                }
            };
            walk(&mut world, 7, &mut wrote, |at, sold| {
                if sold.is_empty() {
                    return;
                }
                shape.baskets += 1;
                *shape.baskets_by_size.entry(sold.len()).or_default() += 1;
                shape.baskets_by_hour[(at.rem_euclid(DAY_MS) / HOUR_MS) as usize] += 1;
                shape.baskets_by_weekday[((at - start).rem_euclid(7 * DAY_MS) / DAY_MS) as usize] += 1;
                for (sku, quantity) in sold {
                    let units = if weighed[sku] { 1 } else { quantity / UNIT };
                    *shape.lines_by_units.entry(units).or_default() += 1;
                    *by_sku.entry(*sku).or_default() += 1;
                    shape.lines += 1;
                }
            });
            shape.weeks += 1;
        }
        shape.lines_by_sku = by_sku.into_values().collect();
        shape.lines_by_sku.sort_unstable_by(|a, b| b.cmp(a));
        Ok(shape)
    }

    /// Per cent of lines that this share of SKUs makes, the best first.
    pub fn share_of_best(&self, share: f64) -> f64 {
        let best = (self.skus as f64 * share) as usize;
        let lines: u64 = self.lines_by_sku.iter().take(best).sum();
        100.0 * lines as f64 / self.lines as f64
    }

    /// The greatest difference to the measured distribution of basket sizes.
    pub fn basket_distance(&self) -> f64 {
        measured::BASKET_SIZES
            .map(|(size, share)| {
                let up_to: u64 = self.baskets_by_size.range(..=size).map(|(_, count)| count).sum();
                (up_to as f64 / self.baskets as f64 - share).abs()
            })
            .into_iter()
            .fold(0.0, f64::max)
    }
}

/// What the weekly sales of single SKUs do, in a chain that sells as much a week as was measured.
pub struct Dispersion {
    /// Median of variance over mean.
    pub median: f64,
    pub skus: usize,
    pub weeks: usize,
}

impl Dispersion {
    pub fn measure(seed: u64) -> Result<Self> {
        let a_day = measured::LINES_A_WEEK / measured::LINES_A_BASKET / 7.0;
        let mut world = world(seed, 6, a_day as u64)?;
        let weighed = weighed(&world);
        let mut weeks: Vec<BTreeMap<u32, i64>> = Vec::new();
        drop(world.opening());
        for _ in 0..=DISPERSION_WEEKS {
            let mut sales: BTreeMap<u32, i64> = BTreeMap::new();
            walk(&mut world, 7, &mut |_| {}, |_, sold| {
                for (sku, quantity) in sold {
                    *sales.entry(*sku).or_default() += if weighed[sku] { 1 } else { quantity / UNIT };
                }
            });
            weeks.push(sales);
        }
        let weeks = &weeks[1..];
        let mut totals: BTreeMap<u32, i64> = BTreeMap::new();
        for (sku, units) in weeks.iter().flatten() {
            *totals.entry(*sku).or_default() += units;
        }
        let mut best: Vec<(i64, u32)> = totals.into_iter().map(|(sku, units)| (units, sku)).collect();
        best.sort_unstable_by(|a, b| b.cmp(a));
        best.truncate(measured::BEST_SELLERS);
        let mut ratios: Vec<f64> = best
            .iter()
            .map(|(_, sku)| variance_over_mean(weeks.iter().map(|week| week.get(sku).copied().unwrap_or(0))))
            .collect();
        ratios.sort_unstable_by(f64::total_cmp);
        Ok(Self {
            median: ratios[ratios.len() / 2],
            skus: ratios.len(),
            weeks: weeks.len(),
        })
    }
}

fn variance_over_mean(values: impl Iterator<Item = i64> + Clone) -> f64 {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<i64>() as f64 / count;
    let squares: f64 = values.map(|value| (value as f64 - mean).powi(2)).sum();
    squares / (count - 1.0) / mean
}

fn world(seed: u64, stores: u16, transactions_per_day: u64) -> Result<World> {
    World::new(WorldConfig {
        seed,
        stores,
        warehouses: 2,
        data_centres: 1,
        transactions_per_day,
        ..WorldConfig::default()
    })
    .context("the world of the measurement")
}

fn weighed(world: &World) -> BTreeMap<u32, bool> {
    let articles = world.articles().iter();
    articles.map(|article| (article.sku, article.weighed)).collect()
}

/// Each basket of so many days: when, and what of which SKU was sold.
fn walk(
    world: &mut World,
    days: u32,
    wrote: &mut impl FnMut(&PlaceEvents),
    mut basket: impl FnMut(i64, &[(u32, i64)]),
) {
    let mut sold = Vec::new();
    for _ in 0..days * STEPS_A_DAY {
        let step = world.step(1);
        for events in &step.places {
            wrote(events);
            for (at, lines) in baskets(events) {
                sold.clear();
                sold.extend(lines);
                basket(at, &sold);
            }
        }
        world.recycle(step);
    }
}

fn baskets(events: &PlaceEvents) -> impl Iterator<Item = (i64, impl Iterator<Item = (u32, i64)>)> {
    events
        .messages
        .iter()
        .filter(|message| message.channel == Channel::Till)
        .flat_map(|message| {
            events.transactions_of(message).iter().map(|transaction| {
                let lines = events.lines_of(transaction).iter();
                let sold = lines
                    .filter(|line| line.kind == contracts::records::MovementKind::Sold && line.quantity > 0)
                    .map(|line| (line.sku.0, line.quantity));
                (message.at.0, sold)
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variance_over_mean_of_known_numbers() {
        assert!((variance_over_mean([2, 4, 6].into_iter()) - 1.0).abs() < 1e-12);
        assert!(variance_over_mean([5, 5, 5].into_iter()).abs() < 1e-12);
    }
}

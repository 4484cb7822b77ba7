//! The measured shape of a grocer's day, and the tables that people are drawn from.
//!
//! All figures are of the Complete Journey data (dunnhumby, 2017; 1,451,439 lines, 141,651 baskets). Basket sizes
//! follow the zero-truncated negative binomial that fits them best (Kolmogorov-Smirnov distance .021).

use crate::random::{AliasTable, normal_quantile};

/// Per cent of baskets in each hour of the local day.
pub const HOUR_SHARES: [f64; 24] = [
    0.80, 0.39, 0.49, 0.19, 0.14, 0.19, 0.64, 1.25, 1.94, 2.83, 4.27, 5.91, 6.64, 6.76, 7.07, 7.70, 9.00,
    10.10, 9.49, 8.06, 6.58, 4.89, 3.07, 1.60,
];
/// Per cent of baskets on each day of the week, Monday first.
pub const WEEKDAY_SHARES: [f64; 7] = [14.00, 13.36, 13.12, 13.24, 13.63, 15.96, 16.68];

/// Lines a basket: zero-truncated negative binomial.
pub const BASKET_SHAPE: f64 = 0.4405;
pub const BASKET_MEAN_UNTRUNCATED: f64 = 7.357;
/// Mean of it, all lines.
pub const LINES_A_BASKET: f64 = 10.25;

/// Spread of the logarithm of SKU popularity over the chain.
pub const POPULARITY_SIGMA: f64 = 1.84;
/// Share of a SKU's popularity, as an exponent, that shows in how many stores list it; the rest shows in how much a
/// listing store sells. So a single store is less concentrated than the chain: measured, its best 1 % of SKUs make
/// 17 % of lines and its best 20 % make 62 %.
pub const LISTING_EXPONENT: f64 = 0.40;

/// Unit price: a lognormal, in currency units.
pub const PRICE_MU: f64 = 0.59;
pub const PRICE_SIGMA: f64 = 0.79;

/// Units a line and their share. Measured: 1 to 5 and the share of lines with no quantity, which are the voided ones
/// here; the rest, .7 %, is spread so that the mean is the measured 1.31.
const UNITS: [(u32, f64); 10] = [
    (VOIDED, 0.006),
    (1, 0.795),
    (2, 0.146),
    (3, 0.026),
    (4, 0.016),
    (5, 0.004),
    (6, 0.003),
    (8, 0.001),
    (10, 0.0015),
    (12, 0.0015),
];
const VOIDED: u32 = 0;
/// Share of lines that are weighed. The measurement counts them as one unit, so that of pieces fewer are single.
pub const WEIGHED_SHARE: f64 = 0.083;
/// Mean units of a line of pieces that is not voided; with those weighed, 1.316.
pub const UNITS_A_LINE: f64 = 1.345;
/// Mean of a weighed line, in thousandths of a kilogram.
pub const WEIGHT_A_LINE: f64 = 737.0;

/// Of so many transactions one brings something back.
pub const RETURN_ONE_IN: u32 = 100;

/// What a shopper wants of an article.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Thousandths.
    pub quantity: i32,
    /// Scanned, then voided again.
    pub voided: bool,
}

/// Tables for constant-time draws.
#[derive(Debug)]
pub struct Shape {
    basket: AliasTable,
    units: AliasTable,
    weights: [i32; 256],
}

impl Default for Shape {
    fn default() -> Self {
        Self::new()
    }
}

impl Shape {
    pub fn new() -> Self {
        let continued = BASKET_MEAN_UNTRUNCATED / (BASKET_SHAPE + BASKET_MEAN_UNTRUNCATED);
        let mut sizes = vec![0.0; 256];
        let mut probability = 1.0;
        for (size, weight) in sizes.iter_mut().enumerate() {
            if size > 0 {
                *weight = probability;
            }
            probability *= (size as f64 + BASKET_SHAPE) / (size as f64 + 1.0) * continued;
        }
        // Weights: lognormal, median 650 g, in steps of five grams.
        let mut weights = [0; 256];
        for (index, weight) in weights.iter_mut().enumerate() {
            let kilograms = 0.65 * libm::exp(0.5 * normal_quantile((index as f64 + 0.5) / 256.0));
            *weight = (kilograms * 200.0) as i32 * 5;
        }
        Self {
            basket: AliasTable::new(&sizes),
            units: AliasTable::new(&piece_shares()),
            weights,
        }
    }

    /// Lines of a basket, 1 to 255.
    #[inline]
    pub fn lines(&self, bits: u32) -> u32 {
        self.basket.draw(bits) as u32
    }

    #[inline]
    pub fn units(&self, bits: u32) -> Wish {
        let units = UNITS[self.units.draw(bits)].0;
        Wish {
            quantity: units.max(1) as i32 * 1000,
            voided: units == VOIDED,
        }
    }

    #[inline]
    pub fn weight(&self, bits: u32) -> i32 {
        self.weights[(bits >> 24) as usize]
    }
}

/// Shares of [`UNITS`] among pieces: as measured, less the weighed lines that count as one unit there.
fn piece_shares() -> [f64; 10] {
    UNITS.map(|(units, share)| match units {
        VOIDED => share,
        1 => (share - WEIGHED_SHARE * (1.0 - UNITS[0].1)) / (1.0 - WEIGHED_SHARE),
        _ => share / (1.0 - WEIGHED_SHARE),
    })
}

/// Share of the day's baskets that an hour brings, as a factor of a mean hour.
pub fn hour_factor(hour: usize) -> f64 {
    HOUR_SHARES[hour] * 24.0 / HOUR_SHARES.iter().sum::<f64>()
}

/// Share of the week's baskets that a day brings, as a factor of a mean day.
pub fn weekday_factor(weekday: usize) -> f64 {
    WEEKDAY_SHARES[weekday] * 7.0 / WEEKDAY_SHARES.iter().sum::<f64>()
}

/// The busiest hour as a factor of a mean hour.
pub fn hour_factor_max() -> f64 {
    (0..24).map(hour_factor).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn the_means_are_those_that_are_stated() {
        let shape = Shape::new();
        let mut stream = Stream::new(3, "test", 0);
        let count = 200_000;
        let mean = (0..count)
            .map(|_| f64::from(shape.lines(stream.bits())))
            .sum::<f64>()
            / f64::from(count);
        assert!((mean - LINES_A_BASKET).abs() < 0.1, "{mean}");
        let shares = piece_shares();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let units: f64 = UNITS
            .iter()
            .zip(shares)
            .map(|((units, _), share)| f64::from(*units) * share)
            .sum();
        assert!(
            (units / (1.0 - shares[0]) - UNITS_A_LINE).abs() < 0.005,
            "{units}"
        );
        let weighed = shape.weights.iter().map(|w| f64::from(*w)).sum::<f64>() / 256.0;
        assert!((weighed - WEIGHT_A_LINE).abs() < 10.0, "{weighed}");
        assert!(shape.weights[0] >= 50);
    }
}

//! The sizes of the world, and which of them are possible.

use contracts::ids::{TILL_NUMBER_MAX, TimeMs};

use crate::calendar::DAY_MS;
use crate::generation::TillMix;
use crate::queue::QueueConfig;
use crate::shape;

/// Length of a step of simulated time. A lorry takes many of them, so within one no place feels another.
pub const STEP_MS: u32 = 300_000;
/// Stores have this many tills, by size.
pub const TILLS: std::ops::RangeInclusive<u16> = 3..=12;

/// All sizes of Acme. The default is Acme at its real number of places; scaled down is the assortment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldConfig {
    /// Same seed and sizes, same bytes.
    pub seed: u64,
    pub stores: u16,
    pub warehouses: u16,
    pub data_centres: u8,
    /// Articles in the catalogue.
    pub skus: u32,
    /// Articles that a store lists.
    pub assortment: u16,
    /// Till receipts over all stores, on a mean day of the week.
    pub transactions_per_day: u64,
    /// Which generations of tills there are.
    pub tills: TillMix,
    /// Midnight UTC of the first day.
    pub start: TimeMs,
    /// Time of that day at which the simulation starts; a multiple of [`STEP_MS`].
    pub start_of_trading_ms: u32,
    pub queues: QueueConfig,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            stores: 2_300,
            warehouses: 12,
            data_centres: 3,
            skus: 5_000,
            assortment: 500,
            transactions_per_day: 5_000_000,
            tills: TillMix::default(),
            // Monday, 2026-03-16.
            start: TimeMs(20_528 * DAY_MS),
            start_of_trading_ms: 0,
            queues: QueueConfig::default(),
        }
    }
}

/// A world that cannot be.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
pub enum ConfigError {
    #[error("{field} is {value}: it must be {least} to {most}")]
    OutOfRange {
        field: &'static str,
        value: u64,
        least: u64,
        most: u64,
    },
    #[error(
        "assortment is {assortment}, but the catalogue has only {skus} SKUs: raise skus or lower assortment"
    )]
    AssortmentBeyondCatalogue { assortment: u16, skus: u32 },
    #[error(
        "store {store} would write up to {expected} receipts a day at one till, and a till numbers only {TILL_NUMBER_MAX} \
         in a business day: lower transactions_per_day or raise stores"
    )]
    TillOverrun { store: u16, expected: u64 },
    #[error("start is {start} ms: it must be midnight UTC of a day between 2000-01-01 and 2099-12-31")]
    StartNotMidnight { start: i64 },
    #[error("start_of_trading_ms is {value}: it must be a multiple of {STEP_MS} below {DAY_MS}")]
    StartOfTrading { value: u32 },
    #[error("the shares of till generations sum to {sum} per cent: it must be 100")]
    TillMix { sum: u16 },
    #[error("scripted event {index}: {reason}")]
    Script { index: usize, reason: String },
}

impl WorldConfig {
    /// Checks each size on its own; what depends on how stores turn out is checked when the world is made.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let range = |field, value: u64, least, most| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(ConfigError::OutOfRange {
                    field,
                    value,
                    least,
                    most,
                })
            }
        };
        range("stores", self.stores.into(), 1, 65_535)?;
        range("warehouses", self.warehouses.into(), 1, 9_999)?;
        range("data_centres", self.data_centres.into(), 1, 9)?;
        range("skus", self.skus.into(), 1, 60_000)?;
        range("assortment", self.assortment.into(), 1, 60_000)?;
        range(
            "transactions_per_day",
            self.transactions_per_day,
            1,
            100_000_000_000,
        )?;
        if u32::from(self.assortment) > self.skus {
            return Err(ConfigError::AssortmentBeyondCatalogue {
                assortment: self.assortment,
                skus: self.skus,
            });
        }
        if self.tills.sum() != 100 {
            return Err(ConfigError::TillMix {
                sum: self.tills.sum(),
            });
        }
        let year_2000 = 10_957 * DAY_MS;
        let year_2100 = 47_482 * DAY_MS;
        if self.start.0 % DAY_MS != 0 || !(year_2000..year_2100).contains(&self.start.0) {
            return Err(ConfigError::StartNotMidnight { start: self.start.0 });
        }
        let trading = self.start_of_trading_ms;
        if !trading.is_multiple_of(STEP_MS) || i64::from(trading) >= DAY_MS {
            return Err(ConfigError::StartOfTrading { value: trading });
        }
        Ok(())
    }

    /// The instant at which the simulation starts.
    pub fn first_instant(&self) -> TimeMs {
        TimeMs(self.start.0 + i64::from(self.start_of_trading_ms))
    }
}

/// Receipts, and what tills write beside them: sign-on, training, parked receipts, papers.
const NUMBERS_A_RECEIPT: f64 = 1.1;

/// The most receipts that one till of a store should write on its busiest business day: the mean of the busiest
/// weekday, shared by the tills that are open in each hour, and six standard deviations more.
pub(crate) fn till_load_max(receipts_per_day: f64, tills: u16) -> u64 {
    let busiest = (0..7).map(shape::weekday_factor).fold(0.0, f64::max);
    let mean: f64 = (0..24)
        .map(|hour| {
            receipts_per_day * busiest * shape::hour_factor(hour) / 24.0 / f64::from(tills_open(tills, hour))
        })
        .sum();
    (mean * NUMBERS_A_RECEIPT + 6.0 * mean.sqrt()) as u64
}

/// Tills that are staffed in an hour: all in the busiest, by the hour's share in others, never none.
pub(crate) fn tills_open(tills: u16, hour: usize) -> u16 {
    let share = shape::hour_factor(hour) / shape::hour_factor_max();
    ((f64::from(tills) * share).ceil() as u16).clamp(1, tills)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_acme_and_is_valid() {
        let config = WorldConfig::default();
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(
            (config.stores, config.warehouses, config.transactions_per_day),
            (2_300, 12, 5_000_000)
        );
    }

    #[test]
    fn each_impossible_size_is_named() {
        let base = WorldConfig::default;
        let message = |config: WorldConfig| config.validate().expect_err("impossible").to_string();
        assert!(message(WorldConfig { stores: 0, ..base() }).starts_with("stores is 0"));
        assert!(
            message(WorldConfig {
                warehouses: 10_000,
                ..base()
            })
            .contains("1 to 9999")
        );
        assert!(message(WorldConfig { skus: 400, ..base() }).contains("only 400 SKUs"));
        assert!(
            message(WorldConfig {
                skus: 60_001,
                ..base()
            })
            .starts_with("skus")
        );
        assert!(
            message(WorldConfig {
                transactions_per_day: 0,
                ..base()
            })
            .starts_with("transactions_per_day")
        );
        let tills = TillMix {
            ibm_4690: 70,
            poslog_6: 25,
            poslog_2: 4,
        };
        assert!(message(WorldConfig { tills, ..base() }).contains("sum to 99"));
        assert!(
            message(WorldConfig {
                start: TimeMs(5),
                ..base()
            })
            .contains("midnight")
        );
        assert!(
            message(WorldConfig {
                start_of_trading_ms: 1,
                ..base()
            })
            .contains("multiple of 300000")
        );
    }

    #[test]
    fn a_till_of_the_default_world_is_far_from_its_last_number() {
        assert!(till_load_max(2_170.0, 3) < 2_000);
        assert!(till_load_max(100_000.0, 12) > TILL_NUMBER_MAX);
    }

    #[test]
    fn all_tills_are_open_in_the_busiest_hour_and_one_at_night() {
        assert_eq!(tills_open(12, 17), 12);
        assert_eq!(tills_open(12, 4), 1);
    }
}

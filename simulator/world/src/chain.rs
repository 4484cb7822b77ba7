//! The places of Acme: how big stores are, which warehouse and data centre serve them, what they list.
//!
//! Stores and warehouses are in regions, one warehouse each; regions are blocks of store numbers.

use contracts::ids::LocationId;
use fake::Fake;
use fake::faker::address::raw::CityName;
use fake::locales::EN;

use crate::config::{TILLS, WorldConfig};
use crate::events::Place;
use crate::random::Stream;
use crate::shape::LISTING_EXPONENT;

const ZONES: [&str; 9] = [
    "north", "central", "south", "east", "west", "coast", "hills", "lakes", "islands",
];

const STREETS: [&str; 12] = [
    "Bridge Street",
    "Castle Street",
    "Church Street",
    "Harbour Road",
    "High Street",
    "King Street",
    "London Road",
    "Market Street",
    "Mill Lane",
    "Park Road",
    "Station Road",
    "Victoria Road",
];

/// A store before it trades.
#[derive(Debug)]
pub(crate) struct StorePlan {
    pub number: u16,
    pub tills: u16,
    /// Share of the chain's receipts; the sum is 1.
    pub share: f64,
    /// Index of the warehouse that serves it.
    pub warehouse: u16,
    /// Its own draws of what it is.
    pub habits: Stream,
}

/// The stores and how they come by their size: tills by their own draw, small stores more often, and receipts by
/// the tills and a draw of how busy these are.
pub(crate) fn stores(config: &WorldConfig) -> Vec<StorePlan> {
    let mut plans: Vec<StorePlan> = (0..config.stores)
        .map(|index| {
            let number = index + 1;
            let mut habits = Stream::new(config.seed, "store", u64::from(number));
            let sizes = u32::from(TILLS.end() - TILLS.start() + 1);
            let tills = TILLS.start() + habits.below(sizes).min(habits.below(sizes)) as u16;
            let share = f64::from(tills) * (0.75 + 0.5 * habits.unit());
            let warehouse = u32::from(index) * u32::from(config.warehouses) / u32::from(config.stores);
            StorePlan {
                number,
                tills,
                share,
                warehouse: warehouse as u16,
                habits,
            }
        })
        .collect();
    let sum: f64 = plans.iter().map(|plan| plan.share).sum();
    for plan in &mut plans {
        plan.share /= sum;
    }
    plans
}

/// Scanners of a store.
pub(crate) const fn readers_of(tills: u16) -> u16 {
    tills.div_ceil(4)
}

/// Stores, then warehouses.
pub(crate) fn places(config: &WorldConfig, stores: &[StorePlan]) -> Vec<Place> {
    let store = |plan: &StorePlan| {
        let mut names = Stream::new(config.seed, "store name", u64::from(plan.number));
        let (data_centre, region) = region(config, plan.warehouse);
        let city: String = CityName(EN).fake_with_rng(names.generator());
        let street = STREETS[names.below(STREETS.len() as u32) as usize];
        Place {
            location: LocationId::store(plan.number),
            data_centre,
            region,
            name: format!("{city} {street}"),
            tills: plan.tills,
            readers: readers_of(plan.tills),
        }
    };
    let warehouse = |index: u16| {
        let mut names = Stream::new(config.seed, "warehouse name", u64::from(index) + 1);
        let (data_centre, region) = region(config, index);
        let city: String = CityName(EN).fake_with_rng(names.generator());
        Place {
            location: LocationId::warehouse(index + 1),
            data_centre,
            region,
            name: format!("{city} Warehouse"),
            tills: 0,
            readers: 0,
        }
    };
    stores
        .iter()
        .map(store)
        .chain((0..config.warehouses).map(warehouse))
        .collect()
}

/// Data centre and region of a warehouse, such as 2 and `central-1`.
fn region(config: &WorldConfig, warehouse: u16) -> (u8, String) {
    let (centres, warehouses) = (u32::from(config.data_centres), u32::from(config.warehouses));
    let centre = u32::from(warehouse) * centres / warehouses;
    let first = (centre * warehouses).div_ceil(centres);
    (
        centre as u8 + 1,
        format!("{}-{}", ZONES[centre as usize], u32::from(warehouse) - first + 1),
    )
}

/// Draws assortments: every store lists the same count of articles, the more wanted in more stores.
///
/// The articles lie in a row, each as long as it is likely to be listed, and a store throws one dart into each unit
/// length. So a draw costs one number an article listed, and the likelihood is known exactly, which lets the lines
/// of all stores together follow the popularity over the chain.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Where each article ends in the row.
    ends: Vec<f64>,
    /// The first article that reaches into each unit length.
    first: Vec<u32>,
    /// How much each article sells in a store that lists it, to some scale.
    pull: Vec<f64>,
    assortment: usize,
}

impl Listing {
    pub fn new(popularity: &[f64], assortment: u16) -> Self {
        let assortment = usize::from(assortment);
        let lengths = lengths(popularity, assortment);
        let mut ends = Vec::with_capacity(lengths.len());
        let mut first = Vec::with_capacity(assortment);
        let mut pull = Vec::with_capacity(lengths.len());
        let mut end = 0.0;
        for (index, length) in lengths.iter().enumerate() {
            let start = end;
            end += length;
            ends.push(end);
            while first.len() < assortment && (first.len() as f64) < end {
                first.push(index as u32);
            }
            let border = f64::floor(start) + 1.0;
            let (before, after) = ((end.min(border) - start), (end - border).max(0.0));
            let listed = 1.0 - (1.0 - before) * (1.0 - after);
            pull.push(popularity[index] / listed);
        }
        let last = popularity.len() as u32 - 1;
        first.resize(assortment, last);
        Self {
            ends,
            first,
            pull,
            assortment,
        }
    }

    /// Indices of the articles that a store lists, ascending, and how much each of them sells.
    pub fn draw(&self, stream: &mut Stream) -> (Vec<u16>, Vec<f64>) {
        let count = self.ends.len();
        let mut listed: Vec<u16> = Vec::with_capacity(self.assortment);
        if self.assortment == count {
            listed.extend(0..count as u16);
        } else {
            let mut next = 0;
            for unit in 0..self.assortment {
                let dart = unit as f64 + stream.unit();
                let mut index = next.max(self.first[unit] as usize);
                while index + 1 < count && self.ends[index] <= dart {
                    index += 1;
                }
                if index < count {
                    listed.push(index as u16);
                }
                next = index + 1;
            }
            self.fill_up(&mut listed);
        }
        let pull = listed
            .iter()
            .map(|index| self.pull[usize::from(*index)])
            .collect();
        (listed, pull)
    }

    /// Two darts in the last article leave one place empty: it goes to the last article that is not listed yet.
    fn fill_up(&self, listed: &mut Vec<u16>) {
        let mut candidate = self.ends.len();
        while listed.len() < self.assortment && candidate > 0 {
            candidate -= 1;
            if let Err(position) = listed.binary_search(&(candidate as u16)) {
                listed.insert(position, candidate as u16);
            }
        }
    }
}

/// Lengths by popularity to the power of the listing exponent, none above one, that sum to the assortment.
fn lengths(popularity: &[f64], assortment: usize) -> Vec<f64> {
    let raw: Vec<f64> = popularity
        .iter()
        .map(|weight| libm::pow(*weight, LISTING_EXPONENT))
        .collect();
    let mut scale = assortment as f64 / raw.iter().sum::<f64>();
    for _ in 0..30 {
        let sum: f64 = raw.iter().map(|weight| (weight * scale).min(1.0)).sum();
        scale *= assortment as f64 / sum;
    }
    raw.iter().map(|weight| (weight * scale).min(1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn regions_are_numbered_within_their_data_centre() {
        let config = WorldConfig::default();
        let all: Vec<_> = (0..12).map(|index| region(&config, index)).collect();
        assert_eq!(all[0], (1, "north-1".to_owned()));
        assert_eq!(all[3], (1, "north-4".to_owned()));
        assert_eq!(all[4], (2, "central-1".to_owned()));
        assert_eq!(all[11], (3, "south-4".to_owned()));
    }

    #[test]
    fn stores_share_all_receipts_and_have_three_to_twelve_tills() {
        let plans = stores(&WorldConfig::default());
        assert!((plans.iter().map(|plan| plan.share).sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(plans.iter().all(|plan| TILLS.contains(&plan.tills)));
        assert!(plans.iter().any(|plan| plan.tills == 3) && plans.iter().any(|plan| plan.tills == 12));
    }

    #[test]
    fn one_more_store_changes_no_other() {
        let attributes = |stores_count| {
            let config = WorldConfig {
                stores: stores_count,
                warehouses: 1,
                ..WorldConfig::default()
            };
            let plans = stores(&config);
            let names: Vec<_> = places(&config, &plans)
                .into_iter()
                .map(|place| place.name)
                .take(5)
                .collect();
            (
                plans[..5].iter().map(|plan| plan.tills).collect::<Vec<_>>(),
                names,
            )
        };
        assert_eq!(attributes(5), attributes(6));
    }

    #[test]
    fn assortments_are_distinct_ascending_and_of_the_size_asked() {
        for (skus, assortment) in [(5_000, 500), (40, 40), (40, 39), (10, 9), (3, 1)] {
            let popularity = Catalogue::new(4, skus).popularity;
            let listing = Listing::new(&popularity, assortment);
            for store in 0..50 {
                let (listed, pull) = listing.draw(&mut Stream::new(4, "assortment", store));
                assert_eq!(
                    (listed.len(), pull.len()),
                    (usize::from(assortment), usize::from(assortment))
                );
                assert!(listed.is_sorted_by(|a, b| a < b) && u32::from(listed[listed.len() - 1]) < skus);
            }
        }
    }

    #[test]
    fn all_stores_together_sell_by_popularity() {
        let popularity = Catalogue::new(4, 500).popularity;
        let listing = Listing::new(&popularity, 100);
        let mut sold = vec![0.0; 500];
        for store in 0..4_000 {
            let (listed, pull) = listing.draw(&mut Stream::new(4, "assortment", store));
            let sum: f64 = pull.iter().sum();
            for (index, pull) in listed.iter().zip(pull) {
                sold[usize::from(*index)] += pull / sum / 4_000.0;
            }
        }
        let mut best: Vec<usize> = (0..500).collect();
        best.sort_by(|a, b| popularity[*b].total_cmp(&popularity[*a]));
        for index in &best[..20] {
            assert!(
                (sold[*index] / popularity[*index] - 1.0).abs() < 0.2,
                "{} {}",
                sold[*index],
                popularity[*index]
            );
        }
    }
}

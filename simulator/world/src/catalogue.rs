//! The articles of Acme: numbers, names, departments, prices, packs, and how much people want each.
//!
//! Popularity is a lognormal in even quantiles, dealt to the SKUs in an order of their own draws: the whole Lorenz
//! curve of the chain is the measured one in every world, however small.

use contracts::ids::Gtin;
use contracts::records::{Article, Pack};
use fake::Fake;
use fake::faker::name::raw::LastName;
use fake::locales::EN;

use crate::random::{Stream, normal_quantile};
use crate::shape;

/// The first article is this SKU and one; the rest follow.
const SKU_BASE: u32 = 100_000;
/// GS1 company prefix 0614141 (GS1's own sample), in front of a five-digit item reference.
const GTIN_BODY_BASE: u64 = 61_414_100_000;
/// Second numbers of articles lie so far behind the first ones: there are fewer articles.
const SECOND_GTINS_FROM: u64 = 100_000;
/// The packaging indicator in a GTIN of 14 digits, without its check digit.
const CARTON: u64 = 1_000_000_000_000;

/// Prefix 28, labels with a weight, in front of an item of five digits and five digits of weight.
const SCALE_BODY_BASE: u64 = 280_000_000_000;
/// What is weighed has price look-up codes from here on, in the order of the catalogue.
const PLU_FIRST: u32 = 3_001;

struct Department {
    number: u32,
    name: &'static str,
    /// Of the chain's lines, per cent.
    share: f64,
    /// Of its articles, per cent that are sold by weight.
    weighed: u32,
    nouns: &'static [&'static str],
}

/// The measured mix of lines; what it leaves open, 1.7 %, is fish and flowers.
const DEPARTMENTS: [Department; 10] = [
    Department {
        number: 10,
        name: "GROCERY",
        share: 64.2,
        weighed: 0,
        nouns: &[
            "Baked Beans",
            "Basmati Rice",
            "Biscuits",
            "Black Tea",
            "Breakfast Cereal",
            "Butter",
            "Cheddar",
            "Chopped Tomatoes",
            "Cola",
            "Corn Flakes",
            "Crackers",
            "Crisps",
            "Eggs",
            "Frozen Peas",
            "Ground Coffee",
            "Ice Cream",
            "Ketchup",
            "Lemonade",
            "Milk",
            "Mineral Water",
            "Mustard",
            "Oat Drink",
            "Olive Oil",
            "Orange Juice",
            "Pasta",
            "Peanut Butter",
            "Pizza",
            "Porridge Oats",
            "Soup",
            "Strawberry Jam",
            "Sugar",
            "Tuna",
            "Vinegar",
            "White Bread",
            "Wholemeal Flour",
            "Yoghurt",
        ],
    },
    Department {
        number: 20,
        name: "DRUG GM",
        share: 10.8,
        weighed: 0,
        nouns: &[
            "Batteries",
            "Cotton Buds",
            "Dish Soap",
            "Hand Cream",
            "Kitchen Roll",
            "Light Bulb",
            "Mouthwash",
            "Nappies",
            "Plasters",
            "Shampoo",
            "Shower Gel",
            "Toilet Tissue",
            "Toothpaste",
            "Washing Powder",
        ],
    },
    Department {
        number: 30,
        name: "PRODUCE",
        share: 10.2,
        weighed: 50,
        nouns: &[
            "Apples",
            "Avocado",
            "Bananas",
            "Broccoli",
            "Carrots",
            "Cucumber",
            "Grapes",
            "Lemons",
            "Lettuce",
            "Mushrooms",
            "Onions",
            "Oranges",
            "Pears",
            "Peppers",
            "Potatoes",
            "Strawberries",
            "Tomatoes",
        ],
    },
    Department {
        number: 40,
        name: "MEAT-PCKGD",
        share: 4.4,
        weighed: 0,
        nouns: &[
            "Bacon",
            "Chicken Nuggets",
            "Frankfurters",
            "Meatballs",
            "Salami",
            "Sausages",
            "Sliced Ham",
        ],
    },
    Department {
        number: 41,
        name: "MEAT",
        share: 3.4,
        weighed: 50,
        nouns: &[
            "Beef Mince",
            "Chicken Breast",
            "Lamb Chops",
            "Pork Loin",
            "Rump Steak",
            "Turkey Thigh",
        ],
    },
    Department {
        number: 50,
        name: "DELI",
        share: 2.5,
        weighed: 40,
        nouns: &[
            "Coleslaw",
            "Houmous",
            "Olives",
            "Pastrami",
            "Potato Salad",
            "Roast Chicken",
            "Soft Cheese",
        ],
    },
    Department {
        number: 60,
        name: "PASTRY",
        share: 1.5,
        weighed: 0,
        nouns: &[
            "Apple Turnover",
            "Bagels",
            "Croissants",
            "Doughnuts",
            "Muffins",
            "Sponge Cake",
        ],
    },
    Department {
        number: 70,
        name: "NUTRITION",
        share: 1.3,
        weighed: 0,
        nouns: &[
            "Cereal Bar",
            "Linseed",
            "Multivitamins",
            "Protein Shake",
            "Rice Cakes",
            "Soya Drink",
        ],
    },
    Department {
        number: 42,
        name: "SEAFOOD",
        share: 0.9,
        weighed: 60,
        nouns: &[
            "Cod Fillet",
            "Mussels",
            "Prawns",
            "Salmon Fillet",
            "Smoked Mackerel",
        ],
    },
    Department {
        number: 90,
        name: "FLORAL",
        share: 0.8,
        weighed: 0,
        nouns: &["Orchid", "Roses", "Tulips"],
    },
];

const MANNERS: [&str; 12] = [
    "Classic",
    "Everyday",
    "Family",
    "Farmhouse",
    "Finest",
    "Fresh",
    "Golden",
    "Light",
    "Natural",
    "Organic",
    "Select",
    "Traditional",
];

/// What the hot path needs of an article.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub gtin: Gtin,
    pub sku: u32,
    /// Minor units for one base unit of measure.
    pub price: u32,
    pub pack: u16,
    pub department: u16,
    pub weighed: bool,
    /// What is keyed where it is weighed; 0 for pieces.
    pub plu: u32,
}

impl Item {
    /// A carton, in thousandths.
    pub const fn pack_quantity(&self) -> i32 {
        self.pack as i32 * 1000
    }

    /// The number on a carton.
    pub fn carton(&self) -> Gtin {
        carton_of(self.gtin)
    }
}

/// The catalogue, by index of the article.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub items: Vec<Item>,
    pub articles: Vec<Article>,
    /// Share of the chain's lines; the sum is 1.
    pub popularity: Vec<f64>,
}

impl Catalogue {
    pub fn new(seed: u64, count: u32) -> Self {
        let mut streams: Vec<Stream> = (0..count)
            .map(|index| Stream::new(seed, "article", u64::from(index)))
            .collect();
        let mut ranked: Vec<(u32, usize)> = streams
            .iter_mut()
            .enumerate()
            .map(|(index, stream)| (stream.bits(), index))
            .collect();
        ranked.sort_unstable();
        let mut popularity = vec![0.0; count as usize];
        for (rank, (_, index)) in ranked.iter().enumerate() {
            let quantile = normal_quantile((rank as f64 + 0.5) / f64::from(count));
            popularity[*index] = libm::exp(shape::POPULARITY_SIGMA * quantile);
        }
        let sum: f64 = popularity.iter().sum();
        for weight in &mut popularity {
            *weight /= sum;
        }
        let departments = deal_departments(&ranked, &popularity);

        let mut weighed = 0;
        let mut items = Vec::with_capacity(count as usize);
        let mut articles = Vec::with_capacity(count as usize);
        for (index, stream) in streams.iter_mut().enumerate() {
            let department = &DEPARTMENTS[departments[index]];
            let plu = PLU_FIRST + weighed;
            let (item, article) = article(index as u32, plu, department, stream);
            weighed += u32::from(item.weighed);
            items.push(item);
            articles.push(article);
        }
        Self {
            items,
            articles,
            popularity,
        }
    }

    /// For scripts: `Item_1`, `Item_2` …, all alike.
    pub fn plain(count: u32) -> Self {
        let grocery = &DEPARTMENTS[0];
        let items: Vec<Item> = (0..count)
            .map(|index| Item {
                gtin: gtin(index),
                sku: SKU_BASE + 1 + index,
                price: 199,
                pack: 10,
                department: grocery.number as u16,
                weighed: false,
                plu: 0,
            })
            .collect();
        let articles = items
            .iter()
            .map(|item| named(item, format!("Item_{}", item.sku - SKU_BASE), grocery))
            .collect();
        Self {
            items,
            articles,
            popularity: vec![1.0 / f64::from(count); count as usize],
        }
    }
}

/// Gives each article, the most wanted first, to the department that lacks most of its share.
fn deal_departments(ranked: &[(u32, usize)], popularity: &[f64]) -> Vec<usize> {
    let mut given = [0.0; DEPARTMENTS.len()];
    let mut dealt = 0.0;
    let mut departments = vec![0; popularity.len()];
    for (_, index) in ranked.iter().rev() {
        dealt += popularity[*index];
        let lack = |department: usize| DEPARTMENTS[department].share / 100.0 * dealt - given[department];
        let neediest =
            (1..DEPARTMENTS.len()).fold(0, |best, next| if lack(next) > lack(best) { next } else { best });
        given[neediest] += popularity[*index];
        departments[*index] = neediest;
    }
    departments
}

fn article(index: u32, plu: u32, department: &Department, stream: &mut Stream) -> (Item, Article) {
    let weighed = stream.chance(department.weighed, 100);
    let price = 100.0 * libm::exp(shape::PRICE_MU + shape::PRICE_SIGMA * stream.normal());
    let pack = if weighed {
        [5, 10][stream.below(2) as usize]
    } else {
        [4, 6, 8, 12][stream.below(4) as usize]
    };
    let item = Item {
        gtin: if weighed { scale_gtin(index) } else { gtin(index) },
        sku: SKU_BASE + 1 + index,
        price: (price as u32).clamp(19, 9_999),
        pack,
        department: department.number as u16,
        weighed,
        plu: if weighed { plu } else { 0 },
    };
    let brand: &str = LastName(EN).fake_with_rng(stream.generator());
    let manner = MANNERS[stream.below(MANNERS.len() as u32) as usize];
    let noun = department.nouns[stream.below(department.nouns.len() as u32) as usize];
    let unit = if weighed { " per kg" } else { "" };
    (
        item,
        named(&item, format!("{brand} {manner} {noun}{unit}"), department),
    )
}

fn named(item: &Item, name: String, department: &Department) -> Article {
    Article {
        sku: item.sku,
        gtin: item.gtin.value(),
        name,
        department: department.name.to_owned(),
        department_number: department.number,
        price: i64::from(item.price),
        pack_size: u32::from(item.pack),
        weighed: item.weighed,
        plu: item.plu,
        unit: if item.weighed { "KGM" } else { "EA" }.to_owned(),
        packs: vec![Pack {
            gtin: carton_of(item.gtin).value(),
            quantity: i64::from(item.pack) * 1000,
        }],
        other_gtins: Vec::new(),
    }
}

/// What is weighed has a number for scales: behind it stands the weight, where a label is scanned.
fn scale_gtin(index: u32) -> Gtin {
    Gtin::from_body(SCALE_BODY_BASE + u64::from(index) * 100_000)
        .expect("twelve digits are fewer than thirteen")
}

/// A carton's GTIN is its article's with the packaging indicator 1 in front.
fn carton_of(gtin: Gtin) -> Gtin {
    Gtin::from_body(CARTON + gtin.value() / 10).expect("thirteen digits")
}

/// Another number of the same article, with as many digits, that no article of the catalogue has: that of a new packaging.
/// `None` for what is weighed, whose number is a scale's.
pub fn second_gtin(gtin: u64) -> Option<u64> {
    let body = gtin / 10;
    let is_usual = (GTIN_BODY_BASE..GTIN_BODY_BASE + SECOND_GTINS_FROM).contains(&body);
    is_usual
        .then(|| Gtin::from_body(body + SECOND_GTINS_FROM))
        .flatten()
        .map(Gtin::value)
}

fn gtin(index: u32) -> Gtin {
    Gtin::from_body(GTIN_BODY_BASE + u64::from(index)).expect("eleven digits are fewer than thirteen")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gtin_has_a_right_check_digit_and_every_sku_is_its_own() {
        let catalogue = Catalogue::new(1, 2_000);
        for article in &catalogue.articles {
            assert!(Gtin::new(article.gtin).is_some());
            let [carton] = &article.packs[..] else {
                panic!("one carton: {article:?}")
            };
            assert!(Gtin::new(carton.gtin).is_some_and(|gtin| gtin.value() != article.gtin));
            assert_eq!(carton.quantity, i64::from(article.pack_size) * 1000);
        }
        assert!(catalogue.articles.is_sorted_by(|a, b| a.sku < b.sku));
        let gtins: std::collections::BTreeSet<u64> =
            catalogue.articles.iter().map(|article| article.gtin).collect();
        assert_eq!(gtins.len(), catalogue.articles.len());
        let rules = contracts::wire::gs1::in_store::Rules::default();
        for item in &catalogue.items {
            let label = contracts::wire::gs1::in_store::resolve(item.gtin, &rules);
            assert_eq!(
                label.map(|label| label.article),
                item.weighed.then_some(item.gtin)
            );
        }
    }

    #[test]
    fn popularity_follows_the_measured_lorenz_curve() {
        let mut popularity = Catalogue::new(1, 5_000).popularity;
        popularity.sort_by(|a, b| b.total_cmp(a));
        for (top, share) in [
            (5, 12.1),
            (50, 31.2),
            (250, 57.2),
            (500, 71.8),
            (1_000, 85.8),
            (2_500, 96.8),
        ] {
            let sum: f64 = popularity[..top].iter().sum();
            assert!((sum * 100.0 - share).abs() < 3.0, "top {top}: {sum}");
        }
    }

    #[test]
    fn departments_get_their_share_of_lines() {
        let catalogue = Catalogue::new(1, 5_000);
        for department in &DEPARTMENTS {
            let share: f64 = catalogue
                .items
                .iter()
                .zip(&catalogue.popularity)
                .filter(|(item, _)| u32::from(item.department) == department.number)
                .map(|(_, popularity)| popularity * 100.0)
                .sum();
            assert!(
                (share - department.share).abs() < 0.5,
                "{}: {share}",
                department.name
            );
        }
    }

    #[test]
    fn a_longer_catalogue_keeps_the_first_prices() {
        let prices = |count| {
            Catalogue::new(9, count).items[..50]
                .iter()
                .map(|item| item.price)
                .collect::<Vec<_>>()
        };
        assert_eq!(prices(60), prices(90));
    }
}

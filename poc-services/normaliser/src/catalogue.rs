//! Which article a GTIN or a price look-up code means, and what its quantities count.
//!
//! Invariant: follows the topic `catalogue`, last record of a key wins; knows nothing of Kafka. A code that is an article's own
//! never means a carton of another.

use contracts::ids::{Money, Quantity, Sku};
use contracts::records::{Article, Pack};
use contracts::wire::QUANTITY_MAX;
use hashbrown::HashMap;
use prost::Message as _;

/// What is known of an article, besides what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub gtin: u64,
    /// 0: none.
    pub plu: u32,
    /// Base units in a carton; 0: not known.
    pub pack_size: u32,
    /// Its base unit is a kilogram, else a piece.
    pub weighed: bool,
    /// Of a unit; 0: not known.
    pub price: Money,
}

/// What a code means: an article, or a carton of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeUnit {
    pub sku: Sku,
    /// Of the article's base unit in one of these; one for the article as such.
    pub content: Quantity,
}

impl TradeUnit {
    pub fn is_pack(self) -> bool {
        self.content != Quantity::ONE
    }

    /// So many of these, in the article's base unit; `None`: that is no quantity.
    pub fn in_base_unit(self, count: Quantity) -> Option<Quantity> {
        let product = i128::from(count.0) * i128::from(self.content.0);
        let quantity = i64::try_from(product / 1000).ok()?;
        (product % 1000 == 0 && quantity.abs() <= QUANTITY_MAX.0).then_some(Quantity(quantity))
    }
}

/// Articles by code, and what is known of each.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// By GTIN, and by price look-up code, which is shorter than any.
    by_code: HashMap<u64, TradeUnit>,
    by_sku: HashMap<Sku, Facts>,
    /// Codes of an article's packs, and other numbers of its unit.
    others: HashMap<Sku, Vec<u64>>,
}

impl Catalogue {
    /// An article of pieces of which no more is known.
    pub fn insert(&mut self, sku: Sku, gtin: u64) {
        let facts = Facts {
            gtin,
            plu: 0,
            pack_size: 0,
            weighed: false,
            price: Money(0),
        };
        self.insert_with(sku, facts);
    }

    /// An article, new or changed. A code that it had before means nothing from now on.
    pub fn insert_with(&mut self, sku: Sku, facts: Facts) {
        self.remove(sku);
        let content = Quantity::ONE;
        for code in facts.codes() {
            self.by_code.insert(code, TradeUnit { sku, content });
        }
        self.by_sku.insert(sku, facts);
    }

    /// The trade units of an article that is known. What has no number or no content is none.
    fn insert_packs(&mut self, sku: Sku, packs: &[Pack]) {
        for pack in packs.iter().filter(|pack| pack.gtin > 0 && pack.quantity > 0) {
            let is_own = |unit: &TradeUnit| !unit.is_pack();
            if self.by_code.get(&pack.gtin).is_some_and(is_own) {
                continue;
            }
            let content = Quantity(pack.quantity);
            self.by_code.insert(pack.gtin, TradeUnit { sku, content });
            self.others.entry(sku).or_default().push(pack.gtin);
        }
    }

    /// Other numbers of the unit of an article that is known.
    fn insert_others(&mut self, sku: Sku, codes: &[u64]) {
        let content = Quantity::ONE;
        for code in codes {
            self.by_code.insert(*code, TradeUnit { sku, content });
            self.others.entry(sku).or_default().push(*code);
        }
    }

    pub fn remove(&mut self, sku: Sku) {
        let Some(facts) = self.by_sku.remove(&sku) else {
            return;
        };
        for code in facts.codes().chain(self.others.remove(&sku).unwrap_or_default()) {
            if self.by_code.get(&code).is_some_and(|unit| unit.sku == sku) {
                self.by_code.remove(&code);
            }
        }
    }

    /// A record of the topic: key SKU as decimal text, an empty value deletes. `false` if it is not understood.
    pub fn apply(&mut self, key: &[u8], value: Option<&[u8]>) -> bool {
        match value {
            Some(value) => match Article::decode(value) {
                Ok(article) if article.gtin > 0 => {
                    let facts = Facts {
                        gtin: article.gtin,
                        plu: article.plu,
                        pack_size: article.pack_size,
                        weighed: article.weighed,
                        price: Money(article.price),
                    };
                    let sku = Sku(article.sku);
                    self.insert_with(sku, facts);
                    self.insert_others(sku, &article.other_gtins);
                    self.insert_packs(sku, &article.packs);
                    true
                }
                _ => false,
            },
            None => match std::str::from_utf8(key).ok().and_then(|key| key.parse().ok()) {
                Some(sku) => {
                    self.remove(Sku(sku));
                    true
                }
                None => false,
            },
        }
    }

    /// What a GTIN or a price look-up code means.
    pub fn unit_of(&self, code: u64) -> Option<TradeUnit> {
        self.by_code.get(&code).copied()
    }

    /// The article that has the code for its own; a carton's is not.
    pub fn sku_of(&self, code: u64) -> Option<Sku> {
        self.unit_of(code)
            .filter(|unit| !unit.is_pack())
            .map(|unit| unit.sku)
    }

    pub fn facts(&self, sku: Sku) -> Option<&Facts> {
        self.by_sku.get(&sku)
    }

    /// Of a unit, for labels that say what a piece costs; 0: it is not known.
    pub fn price_of(&self, sku: Sku) -> Money {
        self.by_sku.get(&sku).map_or(Money(0), |facts| facts.price)
    }

    pub fn len(&self) -> usize {
        self.by_sku.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_sku.is_empty()
    }
}

impl Facts {
    fn codes(&self) -> impl Iterator<Item = u64> + use<> {
        let plu = (self.plu > 0).then_some(u64::from(self.plu));
        [self.gtin].into_iter().chain(plu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn article(sku: u32, gtin: u64) -> Vec<u8> {
        Article {
            sku,
            gtin,
            ..Article::default()
        }
        .encode_to_vec()
    }

    #[test]
    fn the_last_record_of_an_article_wins() {
        let mut catalogue = Catalogue::default();
        assert!(catalogue.apply(b"7", Some(&article(7, 100))));
        assert!(catalogue.apply(b"7", Some(&article(7, 101))));
        assert_eq!(catalogue.sku_of(100), None);
        assert_eq!(catalogue.sku_of(101), Some(Sku(7)));
        assert_eq!(catalogue.len(), 1);
    }

    #[test]
    fn a_gtin_can_move_to_another_article() {
        let mut catalogue = Catalogue::default();
        catalogue.apply(b"7", Some(&article(7, 100)));
        catalogue.apply(b"8", Some(&article(8, 100)));
        // The old article's end must not take the GTIN from its new one.
        catalogue.apply(b"7", None);
        assert_eq!(catalogue.sku_of(100), Some(Sku(8)));
    }

    #[test]
    fn an_article_is_known_by_its_price_look_up_code_as_long_as_it_has_it() {
        let weighed = |plu| {
            Article {
                sku: 7,
                gtin: 100,
                plu,
                pack_size: 5,
                weighed: true,
                ..Article::default()
            }
            .encode_to_vec()
        };
        let mut catalogue = Catalogue::default();
        catalogue.apply(b"7", Some(&weighed(4011)));
        assert_eq!(catalogue.sku_of(4011), Some(Sku(7)));
        let facts = catalogue.facts(Sku(7)).expect("known");
        assert_eq!((facts.pack_size, facts.weighed), (5, true));
        catalogue.apply(b"7", Some(&weighed(0)));
        assert_eq!(
            (catalogue.sku_of(4011), catalogue.sku_of(100)),
            (None, Some(Sku(7)))
        );
    }

    fn packed(sku: u32, gtin: u64, packs: &[(u64, i64)]) -> Vec<u8> {
        let packs = packs.iter().map(|(gtin, quantity)| Pack {
            gtin: *gtin,
            quantity: *quantity,
        });
        Article {
            sku,
            gtin,
            packs: packs.collect(),
            ..Article::default()
        }
        .encode_to_vec()
    }

    #[test]
    fn a_carton_is_so_many_of_its_article() {
        let mut catalogue = Catalogue::default();
        catalogue.apply(
            b"7",
            Some(&packed(
                7,
                100,
                &[(1100, 12_000), (5100, 480_000), (0, 1), (9, 0)],
            )),
        );
        let count = |code, count: i64| catalogue.unit_of(code)?.in_base_unit(Quantity(count));
        assert_eq!(count(100, 3_000), Some(Quantity(3_000)));
        assert_eq!(count(1100, 3_000), Some(Quantity(36_000)));
        assert_eq!(count(1100, -1_000), Some(Quantity(-12_000)));
        assert_eq!(count(5100, 500), Some(Quantity(240_000)));
        assert_eq!(count(1100, QUANTITY_MAX.0), None, "more than a line moves");
        assert_eq!((count(0, 1), count(9, 1)), (None, None));
        assert_eq!(
            (catalogue.sku_of(100), catalogue.sku_of(1100)),
            (Some(Sku(7)), None)
        );
    }

    #[test]
    fn a_carton_goes_with_its_article_and_never_takes_the_number_of_another() {
        let mut catalogue = Catalogue::default();
        catalogue.apply(b"7", Some(&packed(7, 100, &[(1100, 12_000)])));
        catalogue.apply(b"7", Some(&packed(7, 100, &[(1101, 6_000)])));
        assert_eq!(catalogue.unit_of(1100), None, "it has another carton now");
        catalogue.apply(b"8", Some(&packed(8, 101, &[(100, 12_000)])));
        assert_eq!(catalogue.sku_of(100), Some(Sku(7)));
        catalogue.apply(b"9", Some(&packed(9, 1101, &[])));
        assert_eq!(catalogue.sku_of(1101), Some(Sku(9)));
        catalogue.apply(b"7", None);
        assert_eq!(catalogue.sku_of(1101), Some(Sku(9)));
        assert_eq!((catalogue.unit_of(100), catalogue.len()), (None, 2));
    }

    #[test]
    fn an_article_is_known_by_its_other_numbers_as_long_as_it_has_them() {
        let with_others = |others: &[u64]| {
            Article {
                sku: 7,
                gtin: 100,
                other_gtins: others.to_vec(),
                ..Article::default()
            }
            .encode_to_vec()
        };
        let mut catalogue = Catalogue::default();
        catalogue.apply(b"7", Some(&with_others(&[200, 201])));
        assert_eq!(
            [100, 200, 201].map(|code| catalogue.sku_of(code)),
            [Some(Sku(7)); 3]
        );
        catalogue.apply(b"7", Some(&with_others(&[201])));
        assert_eq!(
            (catalogue.sku_of(200), catalogue.sku_of(201)),
            (None, Some(Sku(7)))
        );
        assert_eq!(catalogue.len(), 1);
    }

    #[test]
    fn what_is_no_article_is_told() {
        let mut catalogue = Catalogue::default();
        assert!(!catalogue.apply(b"7", Some(b"\xff")));
        assert!(!catalogue.apply(b"7", Some(&article(7, 0))));
        assert!(!catalogue.apply(b"seven", None));
        assert!(catalogue.is_empty());
    }
}

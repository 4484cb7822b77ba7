//! Which article a GTIN or a price look-up code means, and what its quantities count.
//!
//! Invariant: follows the topic `catalogue`, last record of a key wins; knows nothing of Kafka.

use contracts::ids::{Money, Sku};
use contracts::records::Article;
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

/// Articles by code, and what is known of each.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// By GTIN, and by price look-up code, which is shorter than any.
    by_code: HashMap<u64, Sku>,
    by_sku: HashMap<Sku, Facts>,
    /// Other numbers of an article's unit.
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
        for code in facts.codes() {
            self.by_code.insert(code, sku);
        }
        self.by_sku.insert(sku, facts);
    }

    pub fn remove(&mut self, sku: Sku) {
        let Some(facts) = self.by_sku.remove(&sku) else {
            return;
        };
        for code in facts.codes() {
            if self.by_code.get(&code) == Some(&sku) {
                self.by_code.remove(&code);
            }
        }
        for code in self.others.remove(&sku).unwrap_or_default() {
            if self.by_code.get(&code) == Some(&sku) {
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
                    if !article.other_gtins.is_empty() {
                        for code in &article.other_gtins {
                            self.by_code.insert(*code, sku);
                        }
                        self.others.insert(sku, article.other_gtins);
                    }
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

    /// Of a GTIN or a price look-up code.
    pub fn sku_of(&self, code: u64) -> Option<Sku> {
        self.by_code.get(&code).copied()
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

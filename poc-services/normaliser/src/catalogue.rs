//! Which article a GTIN means.
//!
//! Invariant: follows the topic `catalogue`, last record of a key wins; knows nothing of Kafka.

use contracts::ids::{Gtin, Money, Sku};
use contracts::records::Article;
use contracts::wire::gs1::in_store::is_restricted;
use hashbrown::HashMap;
use prost::Message as _;

/// Articles by GTIN, and the GTIN by article.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    by_gtin: HashMap<u64, Sku>,
    by_sku: HashMap<Sku, u64>,
    /// Of articles that scales put a price on.
    prices: HashMap<Sku, Money>,
}

impl Catalogue {
    /// An article, new or changed. A GTIN that it had before means nothing from now on.
    pub fn insert(&mut self, sku: Sku, gtin: u64) {
        self.remove(sku);
        self.by_gtin.insert(gtin, sku);
        self.by_sku.insert(sku, gtin);
    }

    pub fn remove(&mut self, sku: Sku) {
        self.prices.remove(&sku);
        if let Some(gtin) = self.by_sku.remove(&sku)
            && self.by_gtin.get(&gtin) == Some(&sku)
        {
            self.by_gtin.remove(&gtin);
        }
    }

    /// A record of the topic: key SKU as decimal text, an empty value deletes. `false` if it is not understood.
    pub fn apply(&mut self, key: &[u8], value: Option<&[u8]>) -> bool {
        match value {
            Some(value) => match Article::decode(value) {
                Ok(article) if article.gtin > 0 => {
                    self.insert(Sku(article.sku), article.gtin);
                    if Gtin::new(article.gtin).is_some_and(is_restricted) {
                        self.prices.insert(Sku(article.sku), Money(article.price));
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

    pub fn sku_of(&self, gtin: u64) -> Option<Sku> {
        self.by_gtin.get(&gtin).copied()
    }

    /// Of a unit, for labels that say what a piece costs; 0: it is not known.
    pub fn price_of(&self, sku: Sku) -> Money {
        self.prices.get(&sku).copied().unwrap_or(Money(0))
    }

    pub fn len(&self) -> usize {
        self.by_sku.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_sku.is_empty()
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
    fn what_is_no_article_is_told() {
        let mut catalogue = Catalogue::default();
        assert!(!catalogue.apply(b"7", Some(b"\xff")));
        assert!(!catalogue.apply(b"7", Some(&article(7, 0))));
        assert!(!catalogue.apply(b"seven", None));
        assert!(catalogue.is_empty());
    }
}

//! Where a cell lies: an index of the ledger's places and assortments, made once.
//!
//! Invariant: cells lie in one row, place by place in the ledger's order, slot by slot within. It holds no stock.

use std::ops::Range;

use contracts::ids::{LocationId, Sku};
use contracts::topics::{partition_of, partition_of_item};
use hashbrown::HashMap;
use ledger::Ledger;

const NONE: u32 = u32::MAX;

/// 64 articles, and which of them a place can hold: one look finds a cell, where a search among 500 SKUs would wait
/// for memory several times.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    bits: u64,
    /// The cell of the first of them.
    first: u32,
}

#[derive(Debug)]
pub struct Places {
    locations: Vec<LocationId>,
    partitions: Vec<u32>,
    /// First cell of each place, and the end of the last.
    starts: Vec<u32>,
    /// Of every cell: its SKU, and the article's index.
    skus: Vec<u32>,
    items: Vec<u32>,
    /// Place of a store or warehouse, by its number.
    stores: Vec<u32>,
    warehouses: Vec<u32>,
    /// All articles that any place can hold, ascending, the partition of each, and the index of each.
    articles: Vec<u32>,
    article_partitions: Vec<u32>,
    article_index: HashMap<u32, u32>,
    /// For each place as many as it takes for all articles.
    held: Vec<Held>,
    held_each: usize,
}

impl Places {
    pub fn new(ledger: &Ledger) -> Self {
        let mut locations = Vec::with_capacity(ledger.places());
        let mut starts = vec![0];
        let mut skus = Vec::new();
        for place in 0..ledger.places() {
            let truth = ledger.place(place);
            locations.push(truth.location);
            skus.extend(truth.skus.iter().map(|sku| sku.0));
            starts.push(skus.len() as u32);
        }
        let mut articles = skus.clone();
        articles.sort_unstable();
        articles.dedup();
        let article_index: HashMap<u32, u32> = articles.iter().copied().zip(0..).collect();
        let items: Vec<u32> = skus.iter().map(|sku| article_index[sku]).collect();
        let held_each = articles.len().div_ceil(64);
        Self {
            partitions: locations.iter().map(|location| partition_of(*location)).collect(),
            stores: by_number(&locations, LocationId::is_store),
            warehouses: by_number(&locations, |location| !location.is_store()),
            article_partitions: articles.iter().map(|sku| partition_of_item(Sku(*sku))).collect(),
            held: held(&starts, &items, held_each),
            held_each,
            locations,
            starts,
            skus,
            items,
            articles,
            article_index,
        }
    }

    pub fn len(&self) -> usize {
        self.locations.len()
    }

    pub fn location(&self, place: usize) -> LocationId {
        self.locations[place]
    }

    pub fn partition(&self, place: usize) -> u32 {
        self.partitions[place]
    }

    #[inline]
    pub fn place(&self, location: LocationId) -> Option<usize> {
        let table = if location.is_store() {
            &self.stores
        } else {
            &self.warehouses
        };
        let place = *table.get(usize::from(location.number()))?;
        (place != NONE).then_some(place as usize)
    }

    /// The cells of a place.
    pub fn cells_of(&self, place: usize) -> Range<usize> {
        self.starts[place] as usize..self.starts[place + 1] as usize
    }

    pub fn cells(&self) -> usize {
        self.skus.len()
    }

    /// The cell of an article at a place.
    #[inline]
    pub fn cell(&self, place: usize, item: usize) -> Option<usize> {
        let held = self.held[place * self.held_each + item / 64];
        let bit = 1_u64 << (item % 64);
        let before = (held.bits & (bit - 1)).count_ones();
        (held.bits & bit != 0).then_some((held.first + before) as usize)
    }

    pub fn sku(&self, cell: usize) -> Sku {
        Sku(self.skus[cell])
    }

    /// The article of a cell.
    pub fn item_of(&self, cell: usize) -> usize {
        self.items[cell] as usize
    }

    #[inline]
    pub fn item(&self, sku: Sku) -> Option<usize> {
        self.article_index.get(&sku.0).map(|item| *item as usize)
    }

    pub fn item_sku(&self, item: usize) -> Sku {
        Sku(self.articles[item])
    }

    pub fn item_partition(&self, item: usize) -> u32 {
        self.article_partitions[item]
    }

    pub fn items(&self) -> usize {
        self.articles.len()
    }
}

fn held(starts: &[u32], items: &[u32], held_each: usize) -> Vec<Held> {
    let mut held = vec![Held::default(); (starts.len() - 1) * held_each];
    for (place, cells) in starts.windows(2).enumerate() {
        let of_place = &mut held[place * held_each..(place + 1) * held_each];
        for cell in cells[0]..cells[1] {
            let item = items[cell as usize] as usize;
            let held = &mut of_place[item / 64];
            if held.bits == 0 {
                held.first = cell;
            }
            held.bits |= 1 << (item % 64);
        }
    }
    held
}

fn by_number(locations: &[LocationId], wanted: impl Fn(LocationId) -> bool) -> Vec<u32> {
    let mut table = Vec::new();
    for (place, location) in locations.iter().enumerate() {
        if wanted(*location) {
            let number = usize::from(location.number());
            if table.len() <= number {
                table.resize(number + 1, NONE);
            }
            table[number] = place as u32;
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use ledger::Assortment;

    use super::*;

    #[test]
    fn every_cell_is_found_and_no_other() {
        let skus = |step: usize| {
            (0..300)
                .step_by(step)
                .map(|sku| Sku(1_000 + sku * 3))
                .collect::<Vec<_>>()
        };
        let assortments = [
            (LocationId::store(7), skus(1)),
            (LocationId::warehouse(7), skus(7)),
            (LocationId::store(2), Vec::new()),
            (LocationId::store(65_535), skus(64)),
        ]
        .map(|(location, skus)| Assortment { location, skus });
        let ledger = Ledger::new(&assortments);
        let places = Places::new(&ledger);
        assert_eq!((places.len(), places.items()), (4, 300));
        for (position, assortment) in assortments.iter().enumerate() {
            assert_eq!(places.place(assortment.location), Some(position));
            assert_eq!(places.location(position), assortment.location);
            for item in 0..places.items() {
                let sku = places.item_sku(item);
                assert_eq!(places.item(sku), Some(item));
                let slot = ledger.place(position).slot(sku);
                let cell = slot.map(|slot| places.cells_of(position).start + slot);
                assert_eq!(places.cell(position, item), cell);
                if let Some(cell) = cell {
                    assert_eq!((places.sku(cell), places.item_of(cell)), (sku, item));
                }
            }
        }
        assert_eq!(places.place(LocationId::store(1)), None);
        assert_eq!(places.place(LocationId::warehouse(65_535)), None);
        assert_eq!(places.item(Sku(1_001)), None);
    }
}

//! Where a cell lies: an index of the ledger's places and assortments, made once.
//!
//! Invariant: cells lie in one row, place by place in the ledger's order, slot by slot within. It holds no stock.

use std::ops::Range;

use contracts::ids::{LocationId, Sku};
use contracts::topics::{partition_of, partition_of_item};
use ledger::Ledger;

const NONE: u32 = u32::MAX;

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
    /// All articles that any place can hold, ascending, and the partition of each.
    articles: Vec<u32>,
    article_partitions: Vec<u32>,
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
        let items = skus
            .iter()
            .map(|sku| articles.partition_point(|article| article < sku) as u32)
            .collect();
        Self {
            partitions: locations.iter().map(|location| partition_of(*location)).collect(),
            stores: by_number(&locations, LocationId::is_store),
            warehouses: by_number(&locations, |location| !location.is_store()),
            article_partitions: articles.iter().map(|sku| partition_of_item(Sku(*sku))).collect(),
            locations,
            starts,
            skus,
            items,
            articles,
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
    pub fn cell(&self, place: usize, sku: Sku) -> Option<usize> {
        let cells = self.cells_of(place);
        let slot = self.skus[cells.clone()].binary_search(&sku.0).ok()?;
        Some(cells.start + slot)
    }

    pub fn sku(&self, cell: usize) -> Sku {
        Sku(self.skus[cell])
    }

    /// The article of a cell.
    pub fn item_of(&self, cell: usize) -> usize {
        self.items[cell] as usize
    }

    pub fn item(&self, sku: Sku) -> Option<usize> {
        self.articles.binary_search(&sku.0).ok()
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

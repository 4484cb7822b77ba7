//! What the view says of itself: how far each source is complete, and how far the log is in an article's total.
//!
//! Invariant: it judges only what is claimed too much; what is said to be missing is held against the truth in `truth`.

use std::collections::BTreeSet;

use contracts::ids::LocationId;
use contracts::topics::PARTITIONS;
use hashbrown::HashMap;
use ledger::Ledger;

use crate::completeness::{CompletenessTotals, PlaceCompleteness};
use crate::decode::{self, ItemRecord, PlaceRecord, Undecodable};
use crate::report::FalseClaim;

#[derive(Debug, Default)]
pub struct Claims {
    places: HashMap<LocationId, PlaceRecord>,
    /// Those of which an older record is the last one: whoever reads the compacted topic finds that.
    older_last: BTreeSet<LocationId>,
    /// The furthest head of each partition: epoch and cut.
    heads: [(u32, u64); PARTITIONS as usize],
}

impl Claims {
    /// A record of `store.inventory` that is no cell's.
    pub fn take(&mut self, partition: u32, key: &[u8], value: &[u8]) -> Result<(), Undecodable> {
        match key {
            [b'k', b'/', location @ ..] => {
                let record = decode::place(value)?;
                let Some(location) = decode::location(location) else {
                    return Err(Undecodable("the key names no location"));
                };
                let kept = self.places.entry(location).or_default();
                if (record.epoch, record.cut) >= (kept.epoch, kept.cut) {
                    *kept = record;
                    self.older_last.remove(&location);
                } else {
                    self.older_last.insert(location);
                }
            }
            [b'h', b'/', ..] => {
                let head = decode::epoch_and_cut(value, 1)?;
                if let Some(kept) = self.heads.get_mut(partition as usize) {
                    *kept = head.max(*kept);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Sources that are said to be further than they ever wrote, ascending.
    pub fn too_much(&self, ledger: &Ledger) -> Vec<FalseClaim> {
        let mut happened = HashMap::new();
        for place in 0..ledger.places() {
            for source in &ledger.place(place).sources {
                happened.insert(source.id, source.first_number + source.transactions - 1);
            }
        }
        let mut found = Vec::new();
        for (location, place) in &self.places {
            for record in &place.sources {
                let source = record.id(*location);
                let happened = happened.get(&source).copied();
                let claimed = record.complete_up_to.max(record.highest);
                // Of a source that has written nothing it may be said that nothing is in.
                if claimed > happened.unwrap_or(0) {
                    found.push(FalseClaim {
                        source,
                        claimed,
                        happened,
                    });
                }
            }
        }
        found.sort_unstable_by_key(|claim| claim.source);
        found
    }

    pub const fn records(&self) -> &HashMap<LocationId, PlaceRecord> {
        &self.places
    }

    pub fn record(&self, location: LocationId) -> Option<&PlaceRecord> {
        self.places.get(&location)
    }

    /// What the view says of a place.
    pub fn place(&self, location: LocationId) -> Option<PlaceCompleteness> {
        let record = self.places.get(&location)?;
        Some(PlaceCompleteness::with_sources(location, record))
    }

    /// Of all places, ascending, without their sources.
    pub fn places(&self) -> Vec<PlaceCompleteness> {
        let mut places: Vec<_> = self
            .places
            .iter()
            .map(|(location, record)| PlaceCompleteness::of(*location, record))
            .collect();
        places.sort_unstable_by_key(|place| place.location);
        places
    }

    /// The first places that are not complete, ascending, with their sources.
    pub fn incomplete(&self, at_most: usize) -> Vec<PlaceCompleteness> {
        let places = self.places().into_iter().filter(|place| !place.is_complete());
        places
            .take(at_most)
            .filter_map(|place| self.place(place.location))
            .collect()
    }

    /// Places of which an older record is the last one, ascending.
    pub fn stale(&self) -> impl Iterator<Item = LocationId> {
        self.older_last.iter().copied()
    }

    pub fn totals(&self) -> CompletenessTotals {
        let mut totals = CompletenessTotals {
            stale: self.older_last.len() as u64,
            ..CompletenessTotals::default()
        };
        self.places.values().for_each(|record| totals.add(record));
        totals
    }

    /// Whether a total is said to hold more than any head of its partitions.
    pub fn is_ahead(&self, item: &ItemRecord) -> bool {
        item.positions
            .iter()
            .zip(&self.heads)
            .any(|(position, head)| position > head)
    }
}

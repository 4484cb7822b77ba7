//! What the view says of itself: how far each source is complete, and how far the log is in an article's total.
//!
//! Invariant: it judges only what is claimed too much. A view that says that something is missing is honest, and what
//! is missing shows in the cells.

use contracts::ids::SourceId;
use contracts::topics::PARTITIONS;
use hashbrown::HashMap;
use ledger::Ledger;

use crate::decode::{self, Claim, ItemRecord, Undecodable};
use crate::report::FalseClaim;

#[derive(Debug, Default)]
pub struct Claims {
    sources: HashMap<SourceId, Claim>,
    /// The furthest head of each partition: epoch and cut.
    heads: [(u32, u64); PARTITIONS as usize],
}

impl Claims {
    /// A record of `store.inventory` that is no cell's.
    pub fn take(&mut self, partition: u32, key: &[u8], value: &[u8]) -> Result<(), Undecodable> {
        match key {
            [b'k', b'/', source @ ..] => {
                let claim = decode::claim(value)?;
                let source = std::str::from_utf8(source)
                    .ok()
                    .and_then(|text| text.parse().ok());
                let Some(source) = source else {
                    return Err(Undecodable("the key names no source"));
                };
                let kept = self.sources.entry(source).or_default();
                if (claim.epoch, claim.cut) >= (kept.epoch, kept.cut) {
                    *kept = claim;
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
        let mut found: Vec<_> = self
            .sources
            .iter()
            .filter_map(|(source, claim)| {
                let happened = happened.get(source).copied();
                let claimed = claim.complete_up_to.max(claim.highest);
                (happened.is_none_or(|happened| claimed > happened)).then_some(FalseClaim {
                    source: *source,
                    claimed,
                    happened,
                })
            })
            .collect();
        found.sort_unstable_by_key(|claim| claim.source);
        found
    }

    /// Whether a total is said to hold more than any head of its partitions.
    pub fn is_ahead(&self, item: &ItemRecord) -> bool {
        item.positions
            .iter()
            .zip(&self.heads)
            .any(|(position, head)| position > head)
    }
}

//! Whether a place claims to have everything: what is behind then is a gap that the view does not report.
//!
//! The view writes cells before what it says of their place, both in one partition, so whoever has read the claim has read
//! the cells. Invariant: a claim is held against the truth only where it covers all of it; how far a part of it should
//! be seen cannot be told live.

use ledger::PlaceLedger;

use crate::decode::PlaceRecord;

/// Every source that wrote anything is said to be complete up to its last number at least.
pub fn claims_all(record: &PlaceRecord, truth: &PlaceLedger) -> bool {
    !truth.sources.is_empty()
        && truth.sources.iter().all(|source| {
            let last = source.first_number + source.transactions - 1;
            record
                .sources
                .iter()
                .any(|known| known.id(truth.location) == source.id && known.complete_up_to >= last)
        })
}

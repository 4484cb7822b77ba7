//! Which transactions had happened at an instant: as many of each source as the ledger had then.
//!
//! Invariant: numbers of a source follow one another, and a place's sources keep the order in which they came. Till
//! numbers turn after 9,999; of a till that wrote more, a number counts as its first use: rather in than out.

use contracts::ids::{TILL_NUMBER_MAX, TransactionId};
use contracts::records::SourceKind;
use ledger::Ledger;

#[derive(Clone, Debug)]
pub struct Cut {
    /// Of each place the first of its sources in `counts`, and the end of the last.
    starts: Vec<u32>,
    counts: Vec<u32>,
}

impl Cut {
    pub fn now(ledger: &Ledger) -> Self {
        let mut starts = vec![0];
        let mut counts = Vec::new();
        for place in 0..ledger.places() {
            let truth = ledger.place(place);
            counts.extend(
                truth
                    .sources
                    .iter()
                    .map(|source| u32::try_from(source.transactions).unwrap_or(u32::MAX)),
            );
            starts.push(counts.len() as u32);
        }
        Self { starts, counts }
    }

    /// Whether a transaction of the ledger had happened at the cut. One that never happened had not.
    pub fn contains(&self, ledger: &Ledger, id: &TransactionId) -> bool {
        let Some(place) = ledger.position(id.source.location) else {
            return false;
        };
        let counts = &self.counts[self.starts[place] as usize..self.starts[place + 1] as usize];
        let truth = ledger.place(place);
        let Some(index) = truth.sources.iter().position(|source| source.id == id.source) else {
            return false;
        };
        let first = truth.sources[index].first_number;
        let before = if id.source.kind == SourceKind::Till {
            (id.number + TILL_NUMBER_MAX).saturating_sub(first) % TILL_NUMBER_MAX
        } else {
            id.number.saturating_sub(first)
        };
        counts.get(index).is_some_and(|count| before < u64::from(*count))
    }
}

#[cfg(test)]
mod tests {
    use contracts::ids::{BusinessDay, LocationId, SourceId};
    use ledger::Assortment;

    use super::*;

    fn id(source: SourceId, number: u64) -> TransactionId {
        TransactionId {
            source,
            business_day: BusinessDay(20_528),
            number,
        }
    }

    #[test]
    fn what_came_after_the_cut_is_not_in_it() {
        let store = LocationId::store(1);
        let other = LocationId::store(2);
        let ledger = Ledger::new(&[store, other].map(|location| Assortment {
            location,
            skus: Vec::new(),
        }));
        let (till, later) = (SourceId::till(store, 1), SourceId::till(store, 2));
        for number in [9_998, 9_999, 1] {
            ledger.place(0).apply(&id(till, number), &[]);
        }
        let cut = Cut::now(&ledger);
        ledger.place(0).apply(&id(till, 2), &[]);
        ledger.place(0).apply(&id(later, 1), &[]);
        ledger.place(1).apply(&id(SourceId::till(other, 1), 1), &[]);
        let contained: Vec<_> = [9_998, 9_999, 1, 2]
            .into_iter()
            .filter(|number| cut.contains(&ledger, &id(till, *number)))
            .collect();
        assert_eq!(contained, [9_998, 9_999, 1], "numbers turn after 9,999");
        assert!(!cut.contains(&ledger, &id(later, 1)));
        assert!(!cut.contains(&ledger, &id(SourceId::till(other, 1), 1)));
        assert!(!cut.contains(&ledger, &id(SourceId::till(LocationId::store(3), 1), 1)));
    }
}

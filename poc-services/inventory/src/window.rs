//! Which numbers of a source are in: unwrapping, and dropping repeats.
//!
//! A window is the highest number seen and the ranges below it that are missing, so it grows with gaps and not with
//! numbers. Invariant: it changes by what the log's prefix says and by nothing else, neither clock nor memory; nothing
//! is ever forgotten. A number that cannot be placed for certain is refused, never guessed. It does not say why a number
//! is missing, nor what a transaction contains.

use std::collections::VecDeque;

use contracts::hash::finish;
use contracts::ids::{SourceId, TILL_NUMBER_MAX};
use contracts::records::{self, BusinessDayBand, NumberRange, RecentContent, SourceKind};

use crate::plant::{self, Plant};

/// Ranges that may be missing at once. One more gap sends the transaction to the dead letters, visibly.
const MISSING_MAX: usize = 1024;
/// Business days whose bands are kept; an older one cannot be placed any more.
const BANDS_MAX: usize = 8;
/// Numbers whose content is remembered, to tell a repeat from a number that is used again.
const RECENT_MAX: usize = 32;
/// A jump beyond half of the modulus could as well be one backwards.
const JUMP_MAX: u64 = TILL_NUMBER_MAX / 2;

/// What a transaction is to its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    New,
    Repeat,
    /// In at an earlier cut already: the log is read again after a restore.
    Replayed,
    /// The number was used for another content before.
    ContentReused,
    /// The number cannot be placed: its business day is too old, or it jumps too far.
    IdentityUnclear,
    TooManyGaps,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u64,
    last: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Band {
    day: u32,
    lowest: u64,
    highest: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Unwrapped; numbers start at 1.
    highest: u64,
    missing: Vec<Range>,
    bands: Vec<Band>,
    recent: VecDeque<(u64, u32)>,
    pub repeats: u64,
    /// Numbers that came behind a higher one.
    pub late: u64,
    /// The number that master data says it begins with, 0: it says nothing.
    first: u64,
    /// Offsets below it are in, as it was restored.
    cut: u64,
}

impl Window {
    /// Takes a transaction at an offset of the log.
    pub fn admit(&mut self, source: SourceId, day: u32, raw: u64, content: u64, offset: u64) -> Outcome {
        // Whatever was decided below the cut is in: deciding again, with what is known by now, could decide otherwise.
        if offset < self.cut {
            return Outcome::Replayed;
        }
        let placed = match source.kind {
            SourceKind::Till => self.unwrap_till(day, raw),
            _ => (raw > 0).then_some(raw),
        };
        // What lies before its beginning was never waited for, so whether it is in is not known.
        let Some(number) = placed.filter(|number| *number >= self.first) else {
            return Outcome::IdentityUnclear;
        };
        let content = content as u32;
        if number <= self.highest {
            let found = self.missing.partition_point(|range| range.last < number);
            if self.missing.get(found).is_none_or(|range| range.first > number) {
                return self.known(number, content);
            }
            if !self.fill(found, number) {
                return Outcome::TooManyGaps;
            }
            self.late += 1;
        } else {
            if number > self.highest + 1 {
                if self.missing.len() >= MISSING_MAX {
                    return Outcome::TooManyGaps;
                }
                self.missing.push(Range {
                    first: self.highest + 1,
                    last: number - 1,
                });
            }
            self.highest = number;
        }
        if source.kind == SourceKind::Till {
            self.widen(day, number);
        }
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((number, content));
        Outcome::New
    }

    fn known(&mut self, number: u64, content: u32) -> Outcome {
        let reused = self
            .recent
            .iter()
            .any(|(known, hash)| *known == number && *hash != content);
        if reused {
            return Outcome::ContentReused;
        }
        self.repeats += 1;
        Outcome::Repeat
    }

    /// Takes a number out of a missing range; false where that would make one range too many.
    fn fill(&mut self, index: usize, number: u64) -> bool {
        let range = self.missing[index];
        match (range.first == number, range.last == number) {
            (true, true) => {
                self.missing.remove(index);
            }
            (true, false) => self.missing[index].first = number + 1,
            (false, true) => self.missing[index].last = number - 1,
            (false, false) => {
                if self.missing.len() >= MISSING_MAX {
                    return false;
                }
                self.missing[index].last = number - 1;
                self.missing.insert(
                    index + 1,
                    Range {
                        first: number + 1,
                        last: range.last,
                    },
                );
            }
        }
        true
    }

    /// The number on a line without end, placed by the band of its own business day, or behind the day before.
    fn unwrap_till(&self, day: u32, raw: u64) -> Option<u64> {
        if !(1..=TILL_NUMBER_MAX).contains(&raw) {
            return None;
        }
        let behind = self.bands.partition_point(|band| band.day < day);
        let (low, high) = match self.bands.get(behind) {
            Some(band) if band.day == day => (band.lowest, band.highest),
            _ if behind > 0 => {
                let before = self.bands[behind - 1].highest;
                (before, before)
            }
            // Older than everything known, but for a source that is seen for the first time.
            Some(_) => return None,
            None => (self.before_first(), self.before_first()),
        };
        let modulus = TILL_NUMBER_MAX + u64::from(plant::is(Plant::Modulus10000));
        // The candidate at or below `high`, and the one above it.
        let cycle = high.saturating_sub(raw) / modulus;
        let below = raw + cycle * modulus;
        let candidates = [below.checked_sub(modulus), Some(below), Some(below + modulus)];
        let distance = |number: u64| low.saturating_sub(number) + number.saturating_sub(high);
        let mut candidates = candidates.into_iter().flatten().filter(|number| *number > 0);
        let mut nearest = candidates.next()?;
        let mut is_alone = true;
        for candidate in candidates {
            match distance(candidate).cmp(&distance(nearest)) {
                std::cmp::Ordering::Less => (nearest, is_alone) = (candidate, true),
                std::cmp::Ordering::Equal => is_alone = false,
                std::cmp::Ordering::Greater => {}
            }
        }
        (is_alone && distance(nearest) <= JUMP_MAX).then_some(nearest)
    }

    fn widen(&mut self, day: u32, number: u64) {
        let index = self.bands.partition_point(|band| band.day < day);
        match self.bands.get_mut(index) {
            Some(band) if band.day == day => {
                band.lowest = band.lowest.min(number);
                band.highest = band.highest.max(number);
            }
            _ => {
                self.bands.insert(
                    index,
                    Band {
                        day,
                        lowest: number,
                        highest: number,
                    },
                );
                if self.bands.len() > BANDS_MAX {
                    self.bands.remove(0);
                }
            }
        }
    }

    const fn before_first(&self) -> u64 {
        self.first.saturating_sub(1)
    }

    /// Master data says where the numbering begins: nothing before it is waited for. Whether that changes anything.
    pub fn begin_at(&mut self, first: u64, offset: u64) -> bool {
        let first = first.max(1);
        // What is said again changes nothing, and what was given up is not waited for again.
        if offset < self.cut || first <= self.first {
            return false;
        }
        self.first = first;
        self.missing.retain_mut(|range| {
            range.first = range.first.max(first);
            range.first <= range.last
        });
        self.highest = self.highest.max(self.before_first());
        true
    }

    /// The number of a source's mark on the line without end: `None` where it cannot be placed. 0: nothing is written yet.
    pub fn place_claim(&self, kind: SourceKind, day: u32, raw: u64) -> Option<u64> {
        match kind {
            _ if raw == 0 => Some(self.before_first()),
            SourceKind::Till => self.unwrap_till(day, raw),
            _ => Some(raw),
        }
    }

    pub const fn highest(&self) -> u64 {
        self.highest
    }

    /// Any number is in.
    pub const fn has_numbers(&self) -> bool {
        self.highest > self.before_first()
    }

    /// Gap-free up to here.
    pub fn complete_up_to(&self) -> u64 {
        self.missing.first().map_or(self.highest, |range| range.first - 1)
    }

    /// Missing numbers up to one that somebody claims, or up to the highest.
    pub fn missing_up_to(&self, number: u64) -> u64 {
        let below = self
            .missing
            .iter()
            .take_while(|range| range.first <= number)
            .map(|range| range.last.min(number) - range.first + 1);
        let behind = if number == u64::MAX {
            0
        } else {
            self.behind(number)
        };
        below.fold(behind, u64::saturating_add)
    }

    /// Numbers beyond the highest up to one that somebody claims.
    pub const fn behind(&self, claimed: u64) -> u64 {
        claimed.saturating_sub(self.highest)
    }

    /// Missing ranges, ascending, the one beyond the highest up to a claimed number included.
    pub fn missing_ranges(&self, claimed: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let below = self.missing.iter().map(|range| (range.first, range.last));
        let behind = (claimed > self.highest).then(|| (self.highest + 1, claimed));
        below.chain(behind)
    }

    pub fn to_record(&self, epoch: u32, cut: u64) -> records::Window {
        records::Window {
            epoch,
            cut,
            highest: self.highest,
            missing: self
                .missing
                .iter()
                .map(|r| NumberRange {
                    first: r.first,
                    last: r.last,
                })
                .collect(),
            bands: self
                .bands
                .iter()
                .map(|b| BusinessDayBand {
                    business_day: b.day,
                    lowest: b.lowest,
                    highest: b.highest,
                })
                .collect(),
            recent: self
                .recent
                .iter()
                .map(|(number, hash)| RecentContent {
                    number: *number,
                    content_hash: *hash,
                })
                .collect(),
            duplicates: self.repeats,
            late: self.late,
            first: self.first,
        }
    }

    pub fn from_record(record: &records::Window) -> Self {
        Self {
            highest: record.highest,
            missing: record
                .missing
                .iter()
                .map(|r| Range {
                    first: r.first,
                    last: r.last,
                })
                .collect(),
            bands: record
                .bands
                .iter()
                .map(|b| Band {
                    day: b.business_day,
                    lowest: b.lowest,
                    highest: b.highest,
                })
                .collect(),
            recent: record.recent.iter().map(|r| (r.number, r.content_hash)).collect(),
            repeats: record.duplicates,
            late: record.late,
            first: record.first,
            cut: record.cut,
        }
    }

    /// Keyed hash of which numbers are in, whatever the owner or cut: a function of the log's prefix. Digests of a
    /// partition are wrapping sums of these.
    pub fn digest(&self, key: u64) -> u64 {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        // Nothing is in: whether somebody wrote its key or not, the sum is the same.
        if self.highest == 0 {
            return 0;
        }
        let mut digest = finish(key);
        let mut eat = |word: u64| digest = (digest ^ word).wrapping_mul(ODD).rotate_left(29);
        eat(self.highest);
        eat(self.repeats);
        eat(self.late);
        eat(self.first);
        eat(self.missing.len() as u64);
        for range in &self.missing {
            eat(range.first);
            eat(range.last);
        }
        for band in &self.bands {
            eat(u64::from(band.day));
            eat(band.lowest);
            eat(band.highest);
        }
        finish(digest)
    }
}

#[cfg(test)]
mod tests {
    use contracts::ids::LocationId;
    use proptest::prelude::*;

    use super::*;

    fn till() -> SourceId {
        SourceId::till(LocationId::store(1), 3)
    }

    fn missing(window: &Window) -> u64 {
        window.missing_up_to(u64::MAX)
    }

    fn admit(window: &mut Window, day: u32, raw: u64) -> Outcome {
        window.admit(till(), day, raw, raw, u64::MAX)
    }

    #[test]
    fn a_repeat_is_known_and_a_gap_is_remembered_until_it_is_filled() {
        let mut window = Window::default();
        assert_eq!(admit(&mut window, 1, 3), Outcome::New);
        assert_eq!((window.complete_up_to(), missing(&window)), (0, 2));
        assert_eq!(admit(&mut window, 1, 3), Outcome::Repeat);
        assert_eq!(admit(&mut window, 1, 1), Outcome::New);
        assert_eq!(admit(&mut window, 1, 2), Outcome::New);
        assert_eq!(
            (window.complete_up_to(), missing(&window), window.repeats),
            (3, 0, 1)
        );
    }

    #[test]
    fn numbers_go_on_behind_9999_and_a_repeat_from_before_the_wrap_is_known() {
        let mut window = Window::default();
        for number in 1..=9_999 {
            assert_eq!(
                admit(&mut window, 1 + (number / 2_000) as u32, number),
                Outcome::New
            );
        }
        assert_eq!(admit(&mut window, 5, 1), Outcome::New);
        assert_eq!(window.highest(), 10_000);
        assert_eq!(admit(&mut window, 5, 1), Outcome::Repeat);
        assert_eq!(admit(&mut window, 1, 1), Outcome::Repeat);
        assert_eq!(admit(&mut window, 5, 2), Outcome::New);
    }

    #[test]
    fn a_number_with_other_content_is_no_repeat() {
        let mut window = Window::default();
        assert_eq!(window.admit(till(), 1, 1, 7, 0), Outcome::New);
        assert_eq!(window.admit(till(), 1, 1, 8, 1), Outcome::ContentReused);
    }

    #[test]
    fn what_cannot_be_placed_is_not_guessed() {
        let mut window = Window::default();
        assert_eq!(admit(&mut window, 5, 6_000), Outcome::IdentityUnclear);
        assert_eq!(admit(&mut window, 5, 0), Outcome::IdentityUnclear);
        assert_eq!(admit(&mut window, 5, 10_000), Outcome::IdentityUnclear);
        assert_eq!(admit(&mut window, 5, 1), Outcome::New);
        assert_eq!(admit(&mut window, 4, 1), Outcome::IdentityUnclear);
        assert_eq!(admit(&mut window, 6, 5_200), Outcome::IdentityUnclear);
    }

    #[test]
    fn one_gap_too_many_is_refused_and_changes_nothing() {
        let mut window = Window::default();
        let reader = SourceId::reader(LocationId::store(1), 1);
        for index in 1..=MISSING_MAX as u64 {
            assert_eq!(window.admit(reader, 0, index * 2, 0, 0), Outcome::New);
        }
        let before = window.clone();
        assert_eq!(
            window.admit(reader, 0, MISSING_MAX as u64 * 2 + 2, 0, 0),
            Outcome::TooManyGaps
        );
        assert_eq!(window, before);
    }

    #[test]
    fn what_lies_below_a_restored_cut_is_a_replay_and_not_counted_as_a_repeat() {
        let mut window = Window::default();
        admit(&mut window, 1, 1);
        let mut restored = Window::from_record(&window.to_record(4, 100));
        assert_eq!(restored.admit(till(), 1, 1, 1, 99), Outcome::Replayed);
        assert_eq!(restored.admit(till(), 1, 1, 1, 100), Outcome::Repeat);
        assert_eq!(restored.repeats, 1);
    }

    proptest! {
        #[test]
        fn each_number_is_new_exactly_once_in_any_order(
            order in proptest::collection::vec(1_u64..200, 1..600)
        ) {
            let mut window = Window::default();
            let mut seen = std::collections::BTreeSet::new();
            for number in order {
                let outcome = admit(&mut window, 1, number);
                prop_assert_eq!(outcome == Outcome::New, seen.insert(number));
                let highest = *seen.last().expect("one at least");
                prop_assert_eq!(window.highest(), highest);
                prop_assert_eq!(missing(&window), highest - seen.len() as u64);
            }
        }

        #[test]
        fn a_window_survives_its_record(numbers in proptest::collection::vec(1_u64..4_000, 1..300)) {
            let mut window = Window::default();
            for number in numbers {
                admit(&mut window, (number / 1_000) as u32, number);
            }
            let back = Window::from_record(&window.to_record(1, 0));
            prop_assert_eq!(&back, &window);
            prop_assert_eq!(back.digest(7), window.digest(7));
        }
    }
}

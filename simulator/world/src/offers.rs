//! What is on offer in a week. It is why sales of an article vary from week to week by more than chance.

use contracts::ids::TimeMs;

use crate::calendar::DAY_MS;
use crate::random::Stream;

const WEEK_MS: i64 = 7 * DAY_MS;
/// Weeks begin on Mondays.
const FIRST_MONDAY_MS: i64 = 4 * DAY_MS;
/// One article in so many is on offer, in all stores alike.
const ONE_IN: u32 = 12;

#[derive(Debug)]
pub(crate) struct Offers {
    seed: u64,
    week: Option<i64>,
    is_on: Box<[bool]>,
}

impl Offers {
    pub fn new(seed: u64, articles: usize) -> Self {
        Self {
            seed,
            week: None,
            is_on: vec![false; articles].into_boxed_slice(),
        }
    }

    /// New ones come with a new week.
    pub fn turn(&mut self, at: TimeMs) {
        let week = (at.0 - FIRST_MONDAY_MS).div_euclid(WEEK_MS);
        if self.week == Some(week) {
            return;
        }
        self.week = Some(week);
        let mut stream = Stream::new(self.seed, "offers", week as u64);
        for is_on in &mut self.is_on {
            *is_on = stream.chance(1, ONE_IN);
        }
    }

    #[inline]
    pub fn is_on(&self, article: u16) -> bool {
        self.is_on[usize::from(article)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_stay_for_a_week_from_monday_on() {
        let mut offers = Offers::new(1, 12_000);
        let monday = TimeMs(20_528 * DAY_MS);
        offers.turn(monday);
        let first = offers.is_on.clone();
        let count = first.iter().filter(|is_on| **is_on).count();
        assert!((900..1_100).contains(&count), "{count}");
        offers.turn(TimeMs(monday.0 + WEEK_MS - 1));
        assert_eq!(offers.is_on, first);
        offers.turn(TimeMs(monday.0 + WEEK_MS));
        assert_ne!(offers.is_on, first);
        offers.turn(TimeMs(monday.0 - 1));
        assert_ne!(offers.is_on, first);
    }
}

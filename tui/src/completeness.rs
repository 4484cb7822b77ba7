//! What the view knows that it does not know, as it is shown: of all places, of one, of each of its sources.
//!
//! Invariant: it says what the view says of itself, and compares nothing with the truth. Times are those of the stores'
//! clocks. The sentences are made here, for screen, headless lines and report alike.

use std::sync::Arc;

use audit::SourceKnown;
use contracts::ids::TimeMs;
use serde::Serialize;

use crate::format::{ago, count, share, time_of_day};

/// Of all places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CompletenessView {
    /// 0: the view says nothing of itself yet.
    pub places: u64,
    pub certain: u64,
    pub offline: u64,
    /// Sources.
    pub never_seen: u64,
    /// Places of which numbers are missing, and how many numbers.
    pub places_missing: u64,
    pub missing: u64,
    pub dead_letters: u64,
    pub late: u64,
    pub sources: u64,
    pub sources_complete: u64,
    /// Thousandths on hand over all articles, and of them what lies in places that are not certain.
    pub stock: i64,
    pub stock_uncertain: i64,
    /// Up to when the least of the certain places is complete.
    pub complete_until: Option<TimeMs>,
    /// Up to when the least of the others is, as far as that is known.
    pub as_of: Option<TimeMs>,
}

impl CompletenessView {
    /// Share of all stock that lies in places that are not certain; `None`: nothing is on hand.
    pub fn uncertain_share(&self) -> Option<f64> {
        (self.stock > 0).then(|| (self.stock_uncertain.max(0) as f64 / self.stock as f64).min(1.0))
    }

    /// What fits into so many characters, the weightiest first; at `now` by the stores' clocks.
    pub fn line(&self, now: TimeMs, width: usize) -> String {
        if self.places == 0 {
            return "what the view knows of itself: nothing yet".into();
        }
        let mut parts = vec![if self.certain == self.places {
            let until = self
                .complete_until
                .map_or_else(String::new, |until| format!(" up to {}", time_of_day(until, now)));
            format!("all {} places complete{until}", count(self.places))
        } else {
            format!("{}/{} certain", count(self.certain), count(self.places))
        }];
        if self.certain < self.places
            && let Some(part) = self.uncertain_share()
        {
            let as_of = self
                .as_of
                .map_or_else(String::new, |then| format!(" as of {}", ago(then, now)));
            parts.push(format!("{} of stock{as_of}", share(part)));
        }
        for (value, what) in [
            (self.offline, "offline"),
            (self.missing, "missing"),
            (self.never_seen, "sources never seen"),
            (self.dead_letters, "dead letters"),
            (self.late, "late"),
        ] {
            if value > 0 {
                parts.push(format!("{} {what}", count(value)));
            }
        }
        let mut line = String::new();
        let mut left_out = false;
        for part in parts {
            let separator = if line.is_empty() { "" } else { " · " };
            if line.chars().count() + separator.chars().count() + part.chars().count() <= width {
                line.push_str(separator);
                line.push_str(&part);
            } else {
                left_out = true;
            }
        }
        if left_out && line.chars().count() + 2 <= width {
            line.push_str(" …");
        }
        line
    }
}

/// Of one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KnownView {
    /// The view has a record of what it knows of the place.
    pub is_heard: bool,
    pub is_certain: bool,
    /// Clock of its last mark; `None`: never.
    pub marked: Option<TimeMs>,
    pub complete_until: Option<TimeMs>,
    pub offline_since: Option<TimeMs>,
    /// Numbers that are not in, and of them those that should have been by now.
    pub missing: u64,
    pub overdue: u64,
    pub dead_letters: u64,
    pub late: u64,
    /// The source that lacks the most, and how many more lack something: `till 4 and 1 more`.
    pub missing_at: Option<Arc<str>>,
}

impl KnownView {
    /// What the place says of itself, short; at `now` by the stores' clocks.
    pub fn words(&self, now: TimeMs) -> String {
        if !self.is_heard {
            return "–".into();
        }
        let until = self.complete_until.map(|until| time_of_day(until, now));
        if self.is_certain {
            return match until {
                Some(until) => format!("complete up to {until}"),
                None => "complete".into(),
            };
        }
        let as_of = until.map_or_else(|| "as of ?".to_owned(), |until| format!("as of {until}"));
        let why = if let Some(since) = self.offline_since {
            format!("offline since {}", time_of_day(since, now))
        } else if self.missing > 0 {
            match &self.missing_at {
                Some(source) => format!("{} missing from {source}", count(self.missing)),
                None => format!("{} missing", count(self.missing)),
            }
        } else if self.marked.is_none() {
            "never seen".into()
        } else {
            "a source never seen".into()
        };
        format!("{as_of} · {why}")
    }
}

/// Of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceView {
    /// `till 3`, `reader 1`, `queue`.
    pub name: String,
    pub state: SourceKnown,
    pub complete_up_to: u64,
    pub complete_until: Option<TimeMs>,
    pub missing: u64,
    /// The first ranges.
    pub missing_first: Vec<(u64, u64)>,
    pub dead_letters: u64,
    pub late: u64,
}

impl SourceView {
    /// Without the name.
    pub fn words(&self, now: TimeMs) -> String {
        let until = self
            .complete_until
            .map_or_else(String::new, |until| format!(" by {}", time_of_day(until, now)));
        let mut text = match self.state {
            SourceKnown::NeverSeen => "never seen".to_owned(),
            SourceKnown::Complete if self.complete_up_to == 0 => format!("nothing written{until}"),
            SourceKnown::Complete => format!("complete up to {}{until}", self.complete_up_to),
            SourceKnown::Missing => format!(
                "{} missing: {}; complete up to {}{until}",
                count(self.missing),
                ranges(&self.missing_first, self.missing),
                self.complete_up_to
            ),
            SourceKnown::Unknown => format!("numbers up to {}, and no mark yet", self.complete_up_to),
        };
        for (value, what) in [(self.dead_letters, "in dead letters"), (self.late, "late")] {
            if value > 0 {
                text.extend([", ", &count(value), " ", what]);
            }
        }
        text
    }
}

/// `118–120, 131 …`: the ranges, and whether there are more numbers than they hold.
pub fn ranges(first: &[(u64, u64)], missing: u64) -> String {
    let mut named = 0;
    let mut parts: Vec<String> = Vec::new();
    for (from, to) in first {
        named += to.saturating_sub(*from) + 1;
        parts.push(if from == to {
            from.to_string()
        } else {
            format!("{from}–{to}")
        });
    }
    let mut text = parts.join(", ");
    if named < missing {
        text.push_str(" …");
    }
    text
}

/// A place with its sources, for the one that somebody looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlaceDetails {
    pub location: String,
    pub known: KnownView,
    pub sources: Vec<SourceView>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimeMs = TimeMs(1_773_497_002_000);
    const HOUR: i64 = 3_600_000;

    fn at(ms_before: i64) -> TimeMs {
        TimeMs(NOW.0 - ms_before)
    }

    #[test]
    fn the_line_says_what_is_certain_and_how_old_the_rest_is() {
        let whole = CompletenessView {
            places: 2_312,
            certain: 2_312,
            stock: 1_000,
            complete_until: Some(at(2_000)),
            ..CompletenessView::default()
        };
        assert_eq!(whole.line(NOW, 80), "all 2,312 places complete up to 14:03:20");
        let part = CompletenessView {
            certain: 2_010,
            offline: 300,
            missing: 3,
            dead_letters: 2,
            late: 7,
            stock_uncertain: 124,
            as_of: Some(at(HOUR)),
            ..whole
        };
        assert_eq!(
            part.line(NOW, 200),
            "2,010/2,312 certain · 12.4 % of stock as of 1 h ago · 300 offline · 3 missing · 2 dead letters · 7 late"
        );
        assert_eq!(
            part.line(NOW, 82),
            "2,010/2,312 certain · 12.4 % of stock as of 1 h ago · 300 offline · 3 missing …"
        );
        assert_eq!(
            CompletenessView::default().line(NOW, 80),
            "what the view knows of itself: nothing yet"
        );
    }

    #[test]
    fn a_place_says_why_it_is_not_certain() {
        let certain = KnownView {
            is_heard: true,
            is_certain: true,
            marked: Some(at(0)),
            complete_until: Some(at(0)),
            ..KnownView::default()
        };
        assert_eq!(certain.words(NOW), "complete up to 14:03:22");
        let offline = KnownView {
            is_certain: false,
            complete_until: Some(at(HOUR)),
            offline_since: Some(at(HOUR)),
            ..certain.clone()
        };
        assert_eq!(offline.words(NOW), "as of 13:03:22 · offline since 13:03:22");
        let missing = KnownView {
            is_certain: false,
            missing: 3,
            overdue: 3,
            missing_at: Some("till 4".into()),
            ..certain.clone()
        };
        assert_eq!(missing.words(NOW), "as of 14:03:22 · 3 missing from till 4");
        let never = KnownView {
            is_heard: true,
            ..KnownView::default()
        };
        assert_eq!(never.words(NOW), "as of ? · never seen");
        assert_eq!(KnownView::default().words(NOW), "–");
        // Numbers that the newest mark alone knows of are on their way.
        let under_way = KnownView {
            missing: 2,
            ..certain
        };
        assert_eq!(under_way.words(NOW), "complete up to 14:03:22");
    }

    #[test]
    fn a_source_names_the_ranges_that_it_lacks() {
        let source = SourceView {
            name: "till 4".into(),
            state: SourceKnown::Missing,
            complete_up_to: 117,
            complete_until: Some(at(HOUR)),
            missing: 5,
            missing_first: vec![(118, 120), (131, 131)],
            dead_letters: 1,
            late: 2,
        };
        assert_eq!(
            source.words(NOW),
            "5 missing: 118–120, 131 …; complete up to 117 by 13:03:22, 1 in dead letters, 2 late"
        );
        let complete = SourceView {
            state: SourceKnown::Complete,
            dead_letters: 0,
            late: 0,
            ..source.clone()
        };
        assert_eq!(complete.words(NOW), "complete up to 117 by 13:03:22");
        let unknown = SourceView {
            state: SourceKnown::Unknown,
            ..complete
        };
        assert_eq!(unknown.words(NOW), "numbers up to 117, and no mark yet");
    }
}

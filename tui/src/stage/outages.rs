//! Outages with their recovery points and times: from the cut to the first right answer, and from the heal to no cell behind.
//!
//! What counts is what had happened before the cut: the edges acknowledged a part of it, the rest lay in journals.
//! Invariant: it looks, and decides nothing; an outage that nobody healed and one that never recovered say so.
//! Pure: whoever calls it brings the time.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::director::Facts;

/// A look compares every place that is not there yet, so it is not taken each tick.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Outages that are kept; what comes after is counted.
pub const KEPT_MAX: usize = 500;

/// What an outage cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutageView {
    pub name: String,
    /// Seconds from the start of the run to the cut.
    pub began_s: f64,
    /// Transactions that the edges had acknowledged when it began.
    pub acknowledged: u64,
    /// From the cut to the heal; `None`: not healed.
    pub lasted_ms: Option<u64>,
    /// From the cut to the first look at which all that had happened before it was in the view; `None`: not yet.
    pub rto_ms: Option<u64>,
    /// From the heal to the first look at which no cell lacked what had happened by then; `None`: not yet.
    pub heal_to_converged_ms: Option<u64>,
    /// Cells that lack what had happened before the cut, at the last look.
    pub cells_behind: u64,
    /// Of what had happened before the cut, transactions that are missing for good. It is no less than what was
    /// acknowledged and is missing. Known at the end.
    pub rpo_transactions: Option<u64>,
}

impl OutageView {
    pub const fn is_over(&self) -> bool {
        self.rto_ms.is_some() && self.heal_to_converged_ms.is_some()
    }

    /// It lost something, or what it held up never came.
    pub fn is_bad(&self) -> bool {
        let never_converged = self.lasted_ms.is_some() && self.heal_to_converged_ms.is_none();
        self.rto_ms.is_none() || never_converged || self.rpo_transactions.is_some_and(|lost| lost > 0)
    }

    /// One sentence for the verdict.
    pub fn sentence(&self) -> String {
        let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1000.0);
        let rpo = match self.rpo_transactions {
            Some(lost) => format!("RPO {} transactions", crate::format::count(lost)),
            None => "RPO not known".into(),
        };
        let rto = match self.rto_ms {
            Some(ms) => format!("RTO {}", seconds(ms)),
            None => format!(
                "RTO not reached, {} cells behind",
                crate::format::count(self.cells_behind)
            ),
        };
        let healed = match (self.lasted_ms, self.heal_to_converged_ms) {
            (Some(lasted), Some(converged)) => format!(
                "healed after {}, converged {} later",
                seconds(lasted),
                seconds(converged)
            ),
            (Some(lasted), None) => format!("healed after {}, not converged", seconds(lasted)),
            (None, _) => "not healed".into(),
        };
        format!("outage “{}”: {rpo}, {rto}; {healed}", self.name)
    }
}

#[derive(Debug)]
struct Open {
    /// Into `views`.
    index: usize,
    cut: Instant,
    /// `None`: all of it is there.
    cut_mark: Option<u64>,
    healed: Option<(Instant, u64)>,
}

#[derive(Debug)]
pub struct Outages {
    started: Instant,
    looked: Option<Instant>,
    views: Vec<OutageView>,
    open: Vec<Open>,
    /// Of every kept outage, in their order: what had happened at the cut.
    cuts: Vec<u64>,
    left_out: u64,
}

impl Outages {
    pub const fn new(started: Instant) -> Self {
        Self {
            started,
            looked: None,
            views: Vec::new(),
            open: Vec::new(),
            cuts: Vec::new(),
            left_out: 0,
        }
    }

    /// The cut. While an outage of this name lasts, another begin of it changes nothing. Whether it began.
    pub fn begin(&mut self, name: &str, now: Instant, facts: &mut impl Facts) -> bool {
        if self.lasts(name) {
            return false;
        }
        if self.views.len() == KEPT_MAX {
            self.left_out += 1;
            return false;
        }
        self.open.push(Open {
            index: self.views.len(),
            cut: now,
            cut_mark: Some(facts.mark()),
            healed: None,
        });
        self.cuts.push(facts.cut());
        self.views.push(OutageView {
            name: name.to_owned(),
            began_s: now.duration_since(self.started).as_secs_f64(),
            acknowledged: facts.acknowledged(),
            lasted_ms: None,
            rto_ms: None,
            heal_to_converged_ms: None,
            cells_behind: 0,
            rpo_transactions: None,
        });
        true
    }

    /// What began last did not happen after all.
    pub fn withdraw_last(&mut self, facts: &mut impl Facts) {
        let last = self.views.len().saturating_sub(1);
        self.open.retain(|open| {
            if open.index == last {
                open.cut_mark.into_iter().for_each(|mark| facts.release(mark));
            }
            open.index != last
        });
        self.views.truncate(last);
        self.cuts.truncate(last);
    }

    /// Whether an outage of this name has begun and is not healed.
    pub fn lasts(&self, name: &str) -> bool {
        self.open
            .iter()
            .any(|open| open.healed.is_none() && self.views[open.index].name == name)
    }

    /// Whether any outage has begun and is not healed.
    pub fn any_lasts(&self) -> bool {
        self.open.iter().any(|open| open.healed.is_none())
    }

    /// The fault is off. Without such an outage it changes nothing.
    pub fn heal(&mut self, name: &str, now: Instant, facts: &mut impl Facts) {
        self.heal_where(now, facts, |outage| outage == name);
    }

    /// Heals every outage whose name says so.
    pub fn heal_where(&mut self, now: Instant, facts: &mut impl Facts, is_meant: impl Fn(&str) -> bool) {
        for open in &mut self.open {
            let view = &mut self.views[open.index];
            if open.healed.is_none() && is_meant(&view.name) {
                view.lasted_ms = Some(millis(open.cut, now));
                open.healed = Some((now, facts.mark()));
            }
        }
    }

    /// Looks whether what had happened is there.
    pub fn tick(&mut self, now: Instant, facts: &mut impl Facts) {
        if self.open.is_empty() || self.looked.is_some_and(|at| now.duration_since(at) < LOOK_EVERY) {
            return;
        }
        self.look(now, facts);
    }

    fn look(&mut self, now: Instant, facts: &mut impl Facts) {
        self.looked = Some(now);
        let views = &mut self.views;
        self.open.retain_mut(|open| {
            let view = &mut views[open.index];
            if let Some(mark) = open.cut_mark
                && let Some(behind) = facts.behind(mark)
            {
                view.cells_behind = behind;
                if behind == 0 {
                    view.rto_ms = Some(millis(open.cut, now));
                    facts.release(mark);
                    open.cut_mark = None;
                }
            }
            if let Some((healed, mark)) = open.healed
                && open.cut_mark.is_none()
                && facts.behind(mark) == Some(0)
            {
                view.heal_to_converged_ms = Some(millis(healed, now));
                facts.release(mark);
            }
            !view.is_over()
        });
    }

    /// At the end: a last look, and what of each is missing for good.
    pub fn close(&mut self, now: Instant, facts: &mut impl Facts) {
        self.look(now, facts);
        for (view, cut) in self.views.iter_mut().zip(&self.cuts) {
            view.rpo_transactions = facts.lost_before(*cut);
        }
    }

    pub fn views(&self) -> &[OutageView] {
        &self.views
    }

    /// Outages beyond [`KEPT_MAX`].
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }
}

fn millis(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use scenario::{ItemNumber, StoreNumber};

    use super::*;

    /// A world that has one cell for each thing that happened.
    #[derive(Default)]
    struct Told {
        happened: u64,
        visible: u64,
        acknowledged: u64,
        marks: BTreeMap<u64, u64>,
        taken: u64,
        lost_before: Option<u64>,
    }

    impl Facts for Told {
        fn mark(&mut self) -> u64 {
            self.taken += 1;
            self.marks.insert(self.taken, self.happened);
            self.taken
        }
        fn behind(&mut self, mark: u64) -> Option<u64> {
            Some(self.marks[&mark].saturating_sub(self.visible))
        }
        fn release(&mut self, mark: u64) {
            self.marks.remove(&mark).expect("a mark that is in use");
        }
        fn cut(&mut self) -> u64 {
            self.happened
        }
        fn acknowledged(&self) -> u64 {
            self.acknowledged
        }
        fn lost_before(&self, cut: u64) -> Option<u64> {
            self.lost_before.map(|lost| lost.min(cut))
        }
        fn diverging(&self) -> u64 {
            self.happened - self.visible
        }
        fn freshness_p99(&self) -> Option<u64> {
            None
        }
        fn freshness_p99_whole(&self) -> Option<u64> {
            None
        }
        fn next_period(&mut self) {}
        fn dead_letters(&self) -> u64 {
            0
        }
        fn store_stock(&self, _: StoreNumber, _: ItemNumber) -> Option<i64> {
            None
        }
        fn item_stock(&self, _: ItemNumber) -> Option<i64> {
            None
        }
    }

    struct Played {
        start: Instant,
        told: Told,
        outages: Outages,
    }

    impl Played {
        fn new() -> Self {
            let start = Instant::now();
            Self {
                start,
                told: Told {
                    happened: 100,
                    visible: 90,
                    acknowledged: 95,
                    lost_before: Some(0),
                    ..Told::default()
                },
                outages: Outages::new(start),
            }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn begin(&mut self, name: &str, seconds: u64) {
            let now = self.at(seconds);
            self.outages.begin(name, now, &mut self.told);
        }

        fn heal(&mut self, name: &str, seconds: u64) {
            let now = self.at(seconds);
            self.outages.heal(name, now, &mut self.told);
        }

        fn tick(&mut self, seconds: u64) {
            let now = self.at(seconds);
            self.outages.tick(now, &mut self.told);
        }

        fn close(&mut self, seconds: u64) {
            let now = self.at(seconds);
            self.outages.close(now, &mut self.told);
        }
    }

    #[test]
    fn the_recovery_time_runs_from_the_cut_to_the_first_right_answer() {
        let mut played = Played::new();
        played.begin("inventory stopped", 10);
        played.told.happened = 300;
        played.tick(12);
        let outage = &played.outages.views()[0];
        assert_eq!((outage.acknowledged, outage.cells_behind), (95, 10));
        assert_eq!(outage.rto_ms, None);
        played.heal("inventory stopped", 20);
        played.tick(21);
        // What came after the cut is still on its way, and that is no matter of it.
        played.told.visible = 100;
        played.tick(23);
        let outage = &played.outages.views()[0];
        assert_eq!(
            (outage.lasted_ms, outage.rto_ms, outage.heal_to_converged_ms),
            (Some(10_000), Some(13_000), None)
        );
        played.told.happened = 400;
        played.told.visible = 300;
        played.tick(27);
        let outage = &played.outages.views()[0];
        assert_eq!(outage.heal_to_converged_ms, Some(7_000));
        assert_eq!((outage.began_s, outage.is_over()), (10.0, true));
        assert!(played.told.marks.is_empty(), "marks are large: none stays");
    }

    #[test]
    fn what_is_right_while_the_fault_lasts_needs_no_heal() {
        let mut played = Played::new();
        played.begin("broker 2 lost", 1);
        played.told.visible = 100;
        played.tick(3);
        let outage = &played.outages.views()[0];
        assert_eq!((outage.rto_ms, outage.lasted_ms), (Some(2_000), None));
        assert!(!outage.is_over());
        played.told.happened = 120;
        played.told.visible = 120;
        played.heal("broker 2 lost", 5);
        played.tick(6);
        assert_eq!(
            played.outages.views()[0].heal_to_converged_ms,
            Some(1_000),
            "counted from the heal"
        );
    }

    #[test]
    fn what_was_lost_before_the_cut_is_the_recovery_point() {
        let mut played = Played::new();
        played.begin("gateway killed", 1);
        played.heal("gateway killed", 2);
        played.told.lost_before = Some(3);
        played.told.visible = 100;
        played.close(9);
        let outage = &played.outages.views()[0];
        assert_eq!(outage.rpo_transactions, Some(3));
        assert!(
            outage.sentence().contains("RPO 3 transactions"),
            "{}",
            outage.sentence()
        );
    }

    #[test]
    fn an_outage_that_never_recovers_says_so() {
        let mut played = Played::new();
        played.begin("normaliser stopped", 1);
        played.close(60);
        let said = played.outages.views()[0].sentence();
        assert!(said.contains("RTO not reached, 10 cells behind"), "{said}");
        assert!(said.contains("not healed"), "{said}");
    }

    #[test]
    fn what_did_not_break_after_all_was_no_outage() {
        let mut played = Played::new();
        played.begin("node-lost", 1);
        assert!(
            played
                .outages
                .begin("data-centre-lost", played.start, &mut played.told)
        );
        played.outages.withdraw_last(&mut played.told);
        assert_eq!(played.outages.views().len(), 1);
        assert!(!played.outages.lasts("data-centre-lost"));
        assert!(!played.outages.begin("node-lost", played.start, &mut played.told));
        played.heal("node-lost", 2);
        played.told.visible = 100;
        played.tick(3);
        played.close(4);
        assert!(played.outages.views()[0].is_over());
        assert!(played.told.marks.is_empty(), "marks are large: none stays");
    }

    #[test]
    fn outages_of_one_name_follow_one_another_and_do_not_overlap() {
        let mut played = Played::new();
        played.heal("inventory stopped", 1);
        played.begin("inventory stopped", 2);
        played.begin("inventory stopped", 3);
        assert_eq!(played.outages.views().len(), 1);
        played.heal("inventory stopped", 4);
        // It comes again before what the first one held up is there.
        played.begin("inventory stopped", 5);
        played.heal("inventory stopped", 8);
        played.told.visible = 100;
        played.tick(9);
        let times: Vec<_> = played
            .outages
            .views()
            .iter()
            .map(|outage| (outage.lasted_ms, outage.rto_ms, outage.heal_to_converged_ms))
            .collect();
        assert_eq!(
            times,
            [
                (Some(2_000), Some(7_000), Some(5_000)),
                (Some(3_000), Some(4_000), Some(1_000))
            ]
        );
    }

    #[test]
    fn looks_are_not_taken_each_tick() {
        let mut played = Played::new();
        played.begin("store offline", 1);
        played.tick(1);
        played.told.visible = 100;
        let soon = played.at(1) + Duration::from_millis(100);
        played.outages.tick(soon, &mut played.told);
        assert_eq!(played.outages.views()[0].rto_ms, None);
        let later = played.at(1) + LOOK_EVERY;
        played.outages.tick(later, &mut played.told);
        assert_eq!(played.outages.views()[0].rto_ms, Some(250));
    }
}

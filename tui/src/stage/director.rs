//! Follows the scenario's timeline: what is said, what is ordered, what is expected and whether it came true.
//!
//! Decides and orders; whoever calls it carries the orders out. Knows no service and no clock of its own.

use std::time::{Duration, Instant};

use scenario::{
    Action, Break, Expectation, ItemNumber, Mend, Rate, Scenario, Selector, ServiceName, SimOffset, Speed,
    StoreNumber,
};

use crate::snapshot::ExpectationView;

/// What is to be done now.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    Rate(Rate),
    Speed(Speed),
    Pause,
    Resume,
    Offline(Selector),
    Online(Selector),
    Stop(ServiceName),
    Start(ServiceName),
    Break(Break),
    Mend(Mend),
    ReleaseArticles,
    /// Letters of a class.
    Replay(String),
}

/// What the audit and the counters know.
pub trait Facts {
    /// Remembers what has happened up to now, for [`Facts::behind`].
    fn mark(&mut self) -> u64;
    /// Cells in which something that happened before the mark is not in the view. `None`: not known yet.
    fn behind(&mut self, mark: u64) -> Option<u64>;
    /// A mark that nobody asks about any more.
    fn release(&mut self, _mark: u64) {}
    /// Remembers which transactions have happened up to now, for [`Facts::lost_before`].
    fn cut(&mut self) -> u64 {
        0
    }
    /// Transactions that had happened at the cut and are missing for good; `None`: not known before the end.
    fn lost_before(&self, _cut: u64) -> Option<u64> {
        None
    }
    /// Transactions that the edges have acknowledged to their sources.
    fn acknowledged(&self) -> u64 {
        0
    }
    fn diverging(&self) -> u64;
    /// Milliseconds below which 99 in 100 lines were visible, since the last call of [`Facts::next_period`].
    fn freshness_p99(&self) -> Option<u64>;
    /// The same since trading began.
    fn freshness_p99_whole(&self) -> Option<u64>;
    fn next_period(&mut self);
    fn dead_letters(&self) -> u64;
    /// Letters that were not put back, as the view says.
    fn in_dead_letters(&self) -> u64 {
        0
    }
    /// Deliveries whose papers contradict each other; `None`: not known.
    fn discrepancies(&self) -> Option<u64> {
        None
    }
    /// Thousandths; `None`: the view does not have it.
    fn store_stock(&self, store: StoreNumber, item: ItemNumber) -> Option<i64>;
    fn item_stock(&self, item: ItemNumber) -> Option<i64>;
    /// Of it, what lies in places of which the view does not know all; `None`: not known.
    fn item_uncertain(&self, _item: ItemNumber) -> Option<i64> {
        None
    }
}

#[derive(Debug)]
struct Open {
    /// Into `views`.
    index: usize,
    expectation: Expectation,
    since: Instant,
    mark: u64,
    /// The simulated clock stands until this is settled.
    holds_pause: bool,
}

#[derive(Debug)]
pub struct Director {
    scenario: Scenario,
    next: usize,
    said: Option<usize>,
    open: Vec<Open>,
    views: Vec<ExpectationView>,
    paused: bool,
}

impl Director {
    pub fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            next: 0,
            said: None,
            open: Vec::new(),
            views: Vec::new(),
            paused: false,
        }
    }

    /// What the presenter says, the step's number from 1, and how many steps there are.
    pub fn say(&self) -> (&str, u32, u32) {
        let text = self
            .said
            .and_then(|index| self.scenario.steps[index].say.as_deref())
            .unwrap_or_default();
        (text.trim(), self.next as u32, self.scenario.steps.len() as u32)
    }

    pub fn expectations(&self) -> &[ExpectationView] {
        &self.views
    }

    /// Takes the steps that are due at this simulated time and settles what is expected.
    pub fn tick(&mut self, now: Instant, simulated: SimOffset, facts: &mut impl Facts) -> Vec<Order> {
        let mut orders = Vec::new();
        while !self.paused
            && self
                .scenario
                .steps
                .get(self.next)
                .is_some_and(|step| step.at <= simulated)
        {
            self.take_step(now, facts, &mut orders);
        }
        self.settle(now, facts);
        if self.paused && !self.open.iter().any(|open| open.holds_pause) {
            self.paused = false;
            orders.push(Order::Resume);
        }
        orders
    }

    fn take_step(&mut self, now: Instant, facts: &mut impl Facts, orders: &mut Vec<Order>) {
        let index = self.next;
        let step = self.scenario.steps[index].clone();
        self.next += 1;
        if step.say.is_some() {
            self.said = Some(index);
        }
        let pauses = matches!(step.action, Some(Action::Pause));
        orders.extend(step.action.map(|action| match action {
            Action::Rate(rate) => Order::Rate(rate),
            Action::Speed(speed) => Order::Speed(speed),
            Action::Pause => Order::Pause,
            Action::StoresOffline(selector) => Order::Offline(selector),
            Action::StoresOnline(selector) => Order::Online(selector),
            Action::StopService(name) => Order::Stop(name),
            Action::StartService(name) => Order::Start(name),
            Action::Break(what) => Order::Break(what),
            Action::Mend(what) => Order::Mend(what),
            Action::ReleaseArticles => Order::ReleaseArticles,
            Action::Replay(class) => Order::Replay(class),
        }));
        self.expect(now, step.expect, false, pauses, facts);
        self.paused |= pauses;
        facts.next_period();
    }

    /// What the scenario expects at the end, from the instant when everything sent has drained.
    pub fn expect_at_end(&mut self, now: Instant, facts: &mut impl Facts) {
        let expectations = self.scenario.expect.clone();
        self.expect(now, expectations, true, false, facts);
        self.settle(now, facts);
    }

    fn expect(
        &mut self,
        now: Instant,
        expectations: Vec<Expectation>,
        at_end: bool,
        holds_pause: bool,
        facts: &mut impl Facts,
    ) {
        let mut mark = None;
        for expectation in expectations {
            let index = self.views.len();
            let text = if at_end {
                format!("at the end: {expectation}")
            } else {
                expectation.to_string()
            };
            let mut view = ExpectationView {
                text,
                met: None,
                detail: String::new(),
            };
            if expectation.within().is_some() {
                let mark = *mark.get_or_insert_with(|| facts.mark());
                self.open.push(Open {
                    index,
                    expectation,
                    since: now,
                    mark,
                    holds_pause,
                });
            } else {
                let (met, detail) = judge(&expectation, at_end, facts);
                view.met = Some(met);
                view.detail = detail;
            }
            self.views.push(view);
        }
    }

    fn settle(&mut self, now: Instant, facts: &mut impl Facts) {
        let marks: Vec<u64> = self.open.iter().map(|open| open.mark).collect();
        let views = &mut self.views;
        self.open.retain(|open| {
            let waited = now.duration_since(open.since);
            let bound = open
                .expectation
                .within()
                .map_or(Duration::ZERO, scenario::WallTime::as_duration);
            let (left, what) = match open.expectation {
                Expectation::DivergingCells { at_most, .. } => (
                    Some(facts.diverging().saturating_sub(at_most)),
                    "cells too many differ",
                ),
                Expectation::InDeadLetters { equal, .. } => (
                    Some(facts.in_dead_letters().abs_diff(equal)),
                    "letters too many or too few",
                ),
                Expectation::Discrepancies { equal, .. } => (
                    facts.discrepancies().map(|found| found.abs_diff(equal)),
                    "discrepancies too many or too few",
                ),
                _ => (facts.behind(open.mark), "cells are behind"),
            };
            let view = &mut views[open.index];
            match left {
                Some(0) => {
                    // What came true too late did not come true.
                    view.met = Some(waited <= bound);
                    view.detail = format!("after {:.1} s", waited.as_secs_f64());
                    false
                }
                left if waited > bound => {
                    view.met = Some(false);
                    view.detail = left.map_or_else(|| "not known".into(), |left| format!("{left} {what}"));
                    false
                }
                _ => true,
            }
        });
        // Expectations of one step share one.
        let mut settled: Vec<u64> = marks
            .into_iter()
            .filter(|mark| self.open.iter().all(|open| open.mark != *mark))
            .collect();
        settled.dedup();
        for mark in settled {
            facts.release(mark);
        }
    }

    /// Whether something is still waited for.
    pub fn waits(&self) -> bool {
        !self.open.is_empty()
    }

    /// Steps that the run never reached.
    pub fn steps_left(&self) -> usize {
        self.scenario.steps.len() - self.next
    }

    /// Of these, those that a verdict cannot pass over: they expect something, or do more than to change the load.
    pub fn unreached(&self) -> Vec<String> {
        let weighs = |step: &scenario::Step| {
            let load = [None, Some(&Action::Pause)].contains(&step.action.as_ref())
                || matches!(step.action, Some(Action::Rate(_) | Action::Speed(_)));
            !load || !step.expect.is_empty()
        };
        let of_all = self.scenario.steps.len();
        let left = self.scenario.steps.iter().enumerate().skip(self.next);
        left.filter(|(_, step)| weighs(step))
            .map(|(index, step)| {
                format!(
                    "not met: step {} of {of_all}, at {}, is reached (the run ended before it)",
                    index + 1,
                    step.at
                )
            })
            .collect()
    }

    #[cfg(test)]
    pub fn all_met(&self) -> bool {
        self.views.iter().all(|view| view.met == Some(true))
    }
}

/// What must hold at once.
fn judge(expectation: &Expectation, at_end: bool, facts: &impl Facts) -> (bool, String) {
    match expectation {
        Expectation::DivergingCells { at_most, .. } => {
            let cells = facts.diverging();
            (cells <= *at_most, format!("{cells} differ"))
        }
        Expectation::FreshnessP99Below { bound } => {
            match if at_end {
                facts.freshness_p99_whole()
            } else {
                facts.freshness_p99()
            } {
                Some(ms) => (ms < bound.ms, format!("{ms} ms")),
                None => (false, "nothing was measured".into()),
            }
        }
        Expectation::DeadLetters { equal } => {
            let letters = facts.dead_letters();
            (letters == *equal, format!("{letters} dead letters"))
        }
        Expectation::StoreStock { store, item, on_hand } => stock(facts.store_stock(*store, *item), *on_hand),
        Expectation::ItemStock { item, on_hand } => {
            let (met, detail) = stock(facts.item_stock(*item), *on_hand);
            match facts.item_uncertain(*item) {
                Some(uncertain) if uncertain != 0 => {
                    let uncertain = contracts::ids::Quantity(uncertain);
                    (met, format!("{detail}, {uncertain} of it uncertain"))
                }
                _ => (met, detail),
            }
        }
        Expectation::Converged { .. }
        | Expectation::InDeadLetters { .. }
        | Expectation::Discrepancies { .. } => (false, "needs a time".into()),
    }
}

fn stock(found: Option<i64>, on_hand: i64) -> (bool, String) {
    match found {
        Some(thousandths) => (
            thousandths == on_hand * 1000,
            format!("the view has {}", contracts::ids::Quantity(thousandths)),
        ),
        // What nothing ever happened to is 0, and no record says so.
        None => (on_hand == 0, "the view has nothing".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Told {
        behind: u64,
        diverging: u64,
        p99: Option<u64>,
        letters: u64,
        open: u64,
        discrepancies: Option<u64>,
        released: Vec<u64>,
    }

    impl Facts for Told {
        fn mark(&mut self) -> u64 {
            7
        }
        fn behind(&mut self, mark: u64) -> Option<u64> {
            assert_eq!(mark, 7);
            Some(self.behind)
        }
        fn release(&mut self, mark: u64) {
            self.released.push(mark);
        }
        fn diverging(&self) -> u64 {
            self.diverging
        }
        fn freshness_p99(&self) -> Option<u64> {
            self.p99
        }
        fn freshness_p99_whole(&self) -> Option<u64> {
            self.p99
        }
        fn next_period(&mut self) {}
        fn dead_letters(&self) -> u64 {
            self.letters
        }
        fn in_dead_letters(&self) -> u64 {
            self.open
        }
        fn discrepancies(&self) -> Option<u64> {
            self.discrepancies
        }
        fn store_stock(&self, _: StoreNumber, _: ItemNumber) -> Option<i64> {
            Some(10_000)
        }
        fn item_stock(&self, _: ItemNumber) -> Option<i64> {
            None
        }
    }

    fn director(steps: &str) -> Director {
        let yaml = format!("title: t\nload: {{speed: 1}}\nstop: {{duration: 1h}}\nsteps:\n{steps}");
        Director::new(scenario::parse("t", &yaml).expect("a valid scenario"))
    }

    fn at(seconds: u64) -> SimOffset {
        SimOffset { ms: seconds * 1000 }
    }

    #[test]
    fn what_comes_true_in_time_is_met_and_what_comes_late_is_not() {
        let mut director = director("  - {at: 0s, expect: {converged: {within: 10s}}}\n");
        let start = Instant::now();
        let mut facts = Told {
            behind: 3,
            ..Told::default()
        };
        director.tick(start, at(0), &mut facts);
        assert_eq!(director.expectations()[0].met, None);
        facts.behind = 0;
        director.tick(start + Duration::from_secs(4), at(4), &mut facts);
        assert_eq!(director.expectations()[0].met, Some(true));

        let mut director = self::director("  - {at: 0s, expect: {converged: {within: 10s}}}\n");
        facts.behind = 3;
        director.tick(start, at(0), &mut facts);
        director.tick(start + Duration::from_secs(11), at(11), &mut facts);
        assert_eq!(director.expectations()[0].met, Some(false));
        assert_eq!(director.expectations()[0].detail, "3 cells are behind");
        assert!(!director.all_met());
    }

    #[test]
    fn letters_and_discrepancies_are_waited_for_until_they_are_so_many() {
        let mut director = director(
            "  - {at: 0s, expect: {in_dead_letters: {equal: 3, within: 10s}, discrepancies: {equal: 0, within: 10s}}}\n",
        );
        let start = Instant::now();
        let mut facts = Told {
            open: 4,
            ..Told::default()
        };
        let met = |director: &Director| {
            director
                .expectations()
                .iter()
                .map(|view| view.met)
                .collect::<Vec<_>>()
        };
        director.tick(start, at(0), &mut facts);
        assert_eq!(met(&director), [None, None]);
        facts.open = 3;
        director.tick(start + Duration::from_secs(1), at(1), &mut facts);
        assert_eq!(met(&director), [Some(true), None]);
        assert!(facts.released.is_empty(), "the other one still has it");
        // Nobody knows of any, which is not none.
        director.tick(start + Duration::from_secs(11), at(11), &mut facts);
        assert_eq!(met(&director), [Some(true), Some(false)]);
        assert_eq!(director.expectations()[1].detail, "not known");
        assert_eq!(facts.released, [7]);
    }

    #[test]
    fn a_step_that_was_not_reached_is_named_unless_it_only_talks_or_sets_the_pace() {
        let mut director = director(
            "  - {at: 1s, do: {speed: 2}}\n  - {at: 2s, say: hello}\n  - {at: 3s, do: {break: node-lost}}\n  - {at: 3s, do: {mend: node-lost}}\n  - {at: 4s, say: so, expect: {freshness_p99_below: 1s}}\n",
        );
        let mut facts = Told {
            p99: Some(1),
            ..Told::default()
        };
        let unreached = director.unreached();
        assert_eq!(unreached.len(), 3, "{unreached:?}");
        assert!(unreached[0].contains("step 3 of 5, at 3s"), "{unreached:?}");
        director.tick(Instant::now(), at(3), &mut facts);
        let unreached = director.unreached();
        assert_eq!(unreached.len(), 1, "{unreached:?}");
        assert!(unreached[0].contains("step 5 of 5"), "{unreached:?}");
        director.tick(Instant::now(), at(4), &mut facts);
        assert_eq!(director.unreached(), [""; 0]);
    }

    #[test]
    fn steps_are_taken_once_and_their_actions_ordered() {
        let mut director = director(
            "  - {at: 1s, do: {speed: 2}}\n  - {at: 2s, do: {stop_service: inventory}}\n  - {at: 3s, do: {start_service: inventory}}\n",
        );
        let now = Instant::now();
        let mut facts = Told::default();
        assert_eq!(director.tick(now, at(0), &mut facts), []);
        let orders = director.tick(now, at(5), &mut facts);
        assert_eq!(orders.len(), 3);
        assert_eq!(orders[1], Order::Stop(ServiceName::Inventory));
        assert_eq!(director.tick(now, at(9), &mut facts), []);
        assert_eq!(director.steps_left(), 0);
    }

    #[test]
    fn a_pause_stands_until_what_its_step_expects_is_settled() {
        let mut director = director(
            "  - {at: 1s, do: pause, expect: {converged: {within: 10s}}}\n  - {at: 1s, do: {speed: 5}}\n",
        );
        let start = Instant::now();
        let mut facts = Told {
            behind: 1,
            ..Told::default()
        };
        assert_eq!(director.tick(start, at(1), &mut facts), [Order::Pause]);
        assert_eq!(
            director.tick(start + Duration::from_secs(1), at(1), &mut facts),
            []
        );
        facts.behind = 0;
        assert_eq!(
            director.tick(start + Duration::from_secs(2), at(1), &mut facts),
            [Order::Resume]
        );
        assert_eq!(
            director
                .tick(start + Duration::from_secs(2), at(1), &mut facts)
                .len(),
            1
        );
    }

    #[test]
    fn what_must_hold_at_the_end_is_judged_from_the_facts() {
        let yaml = "title: t\nload: {speed: 1}\nstop: {duration: 1h}\nexpect: {diverging_cells: {at_most: 0}, dead_letters: 2, freshness_p99_below: 400ms, item_stock: {Item_1: 0}, store_stock: {S0001: {Item_1: 10}}}\n";
        let judge = |facts: &mut Told| {
            let mut director = Director::new(scenario::parse("t", yaml).expect("a valid scenario"));
            director.expect_at_end(Instant::now(), facts);
            assert_eq!(director.expectations().len(), 5);
            director.all_met()
        };
        assert!(judge(&mut Told {
            letters: 2,
            p99: Some(399),
            ..Told::default()
        }));
        assert!(!judge(&mut Told {
            letters: 2,
            p99: Some(400),
            ..Told::default()
        }));
        assert!(!judge(&mut Told {
            letters: 1,
            p99: Some(399),
            ..Told::default()
        }));
        assert!(!judge(&mut Told {
            letters: 2,
            p99: None,
            ..Told::default()
        }));
        assert!(!judge(&mut Told {
            letters: 2,
            p99: Some(1),
            diverging: 1,
            ..Told::default()
        }));
    }
}

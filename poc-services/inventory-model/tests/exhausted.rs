//! The small runs of the catalogue; the long ones are `cargo run --release -p inventory-model`.

use inventory_model::catalogue::{self, Case, Expected};
use inventory_model::explore::{Model, explore};

const THREADS: usize = 2;

fn unexpected(cases: &[Case]) -> Vec<String> {
    cases
        .iter()
        .filter_map(|case| {
            let outcome = case.run(THREADS);
            (!outcome.is_as(case.expected)).then(|| {
                let (name, variant, broken) = (case.name, case.variant, outcome.broken);
                format!("{name}, {variant}: {} states, {broken:#?}", outcome.states)
            })
        })
        .collect()
}

#[test]
fn the_whole_protocol_holds_in_every_state_that_it_can_reach() {
    let cases = catalogue::small();
    assert!(cases.iter().all(|case| case.expected == Expected::Holds));
    assert_eq!(unexpected(&cases), [""; 0]);
}

#[test]
fn each_planted_bug_has_a_counterexample() {
    let cases: Vec<Case> = catalogue::plants()
        .into_iter()
        .filter(|case| !case.is_long)
        .collect();
    assert!(cases.iter().any(|case| case.expected == Expected::Breaks));
    assert_eq!(unexpected(&cases), [""; 0]);
}

/// Two counters that may each go up to three.
struct Counters {
    forbidden: (u8, u8),
}

impl Model for Counters {
    type State = (u8, u8);
    type Action = &'static str;
    type Violation = &'static str;

    fn initial(&self) -> (u8, u8) {
        (0, 0)
    }

    fn steps(&self, &(one, other): &(u8, u8), out: &mut Vec<(&'static str, (u8, u8))>) {
        if one < 3 {
            out.push(("one", (one + 1, other)));
        }
        if other < 3 {
            out.push(("other", (one, other + 1)));
        }
    }

    fn violation(&self, state: &(u8, u8), is_final: bool) -> Option<&'static str> {
        assert_eq!(is_final, *state == (3, 3));
        (*state == self.forbidden).then_some("forbidden")
    }
}

#[test]
fn every_state_is_visited_once() {
    let found = explore(&Counters { forbidden: (9, 9) }, THREADS);
    assert_eq!((found.states, found.depth, found.final_states), (16, 6, 1));
    assert!(found.counterexample.is_none());
}

#[test]
fn the_way_to_a_violation_is_the_shortest() {
    let found = explore(&Counters { forbidden: (0, 3) }, 1);
    let found = found.counterexample.expect("it can be reached");
    assert_eq!(
        (found.violation, found.trace),
        ("forbidden", vec!["other".to_owned(); 3])
    );
}

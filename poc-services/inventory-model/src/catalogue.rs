//! What is to be shown: the whole protocol holds, and each planted bug breaks it.

use crate::digest::{Fold, confused};
use crate::explore::{Exploration, Model, explore};
use crate::memory::{FOUR, Input, REPEAT_FIRST, REPEAT_LAST};
use crate::numbers::misplaced;
use crate::partials::{Marks, Partials};
use crate::plant::Plant;
use crate::protocol::{Needless, Nets, Protocol};

#[derive(Clone, Copy, Debug)]
pub enum Subject {
    Protocol(Protocol),
    Partials(Partials),
    /// With this modulus.
    Numbers(u64),
    Digest(Fold),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Holds,
    Breaks,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub name: &'static str,
    /// Which part of it, for people.
    pub variant: &'static str,
    pub expected: Expected,
    /// Millions of states.
    pub is_long: bool,
    subject: Subject,
}

#[derive(Clone, Debug)]
pub struct Outcome {
    /// Visited; of the rules without owners, the cases that were tried until the first that fails.
    pub states: usize,
    pub depth: usize,
    /// What broke, and the way to it.
    pub broken: Option<(String, Vec<String>)>,
}

impl Outcome {
    pub fn is_as(&self, expected: Expected) -> bool {
        self.broken.is_some() == (expected == Expected::Breaks)
    }
}

impl Case {
    const fn new(name: &'static str, variant: &'static str, expected: Expected, subject: Subject) -> Self {
        Self {
            name,
            variant,
            expected,
            is_long: false,
            subject,
        }
    }

    pub fn run(&self, threads: usize) -> Outcome {
        match &self.subject {
            Subject::Protocol(protocol) => outcome::<Protocol>(explore(protocol, threads)),
            Subject::Partials(partials) => outcome::<Partials>(explore(partials, threads)),
            Subject::Numbers(modulus) => {
                let (states, found) = misplaced(*modulus);
                let broken =
                    found.map(|found| (format!("a number is placed wrongly: {found:?}"), Vec::new()));
                Outcome {
                    states,
                    depth: 1,
                    broken,
                }
            }
            Subject::Digest(fold) => {
                let (states, found) = confused(*fold);
                let broken = found.map(|(one, other)| {
                    let what = format!("transactions applied {one:?} and {other:?} times look the same");
                    (what, Vec::new())
                });
                Outcome {
                    states,
                    depth: 1,
                    broken,
                }
            }
        }
    }
}

fn outcome<M: Model>(exploration: Exploration<M::Violation>) -> Outcome {
    Outcome {
        states: exploration.states,
        depth: exploration.depth,
        broken: exploration
            .counterexample
            .map(|found| (found.violation.to_string(), found.trace)),
    }
}

const fn clean(variant: &'static str, protocol: Protocol) -> Case {
    Case::new(
        "whole protocol",
        variant,
        Expected::Holds,
        Subject::Protocol(protocol),
    )
}

const fn whole(input: Input, owners: usize) -> Protocol {
    Protocol::new(input, owners, None)
}

/// The whole protocol, in seconds.
pub fn small() -> Vec<Case> {
    vec![
        clean("2 owners, the repeat last", whole(REPEAT_LAST, 2)),
        clean("2 owners, the repeat second", whole(REPEAT_FIRST, 2)),
        clean("2 owners, four messages", whole(FOUR, 2)),
        clean(
            "2 owners, needless repairs and rebuilds",
            whole(REPEAT_LAST, 2).with_needless(Needless::MayBeMended),
        ),
        clean(
            "3 owners, no record of a zombie",
            whole(REPEAT_LAST, 3).with_zombie_records(0),
        ),
        clean(
            "3 owners, calm, without any net",
            whole(REPEAT_LAST, 3).calm().with_nets(Nets::NONE),
        ),
        Case::new(
            "shares and end marks",
            "2 owners",
            Expected::Holds,
            Subject::Partials(Partials {
                owners: 2,
                marks: Marks::Counted,
            }),
        ),
        Case::new(
            "numbers of a till",
            "modulus 9,999",
            Expected::Holds,
            Subject::Numbers(9_999),
        ),
        Case::new(
            "digest of a cell",
            "wrapping sum",
            Expected::Holds,
            Subject::Digest(Fold::WrappingSum),
        ),
    ]
}

/// The whole protocol with three owners and no bound on crashes, pauses and zombies' records.
pub fn full() -> Vec<Case> {
    vec![
        clean("3 owners, the repeat second", whole(REPEAT_FIRST, 3)),
        clean("3 owners, the repeat last", whole(REPEAT_LAST, 3)),
        Case::new(
            "shares and end marks",
            "3 owners",
            Expected::Holds,
            Subject::Partials(Partials {
                owners: 3,
                marks: Marks::Counted,
            }),
        ),
    ]
}

const WITH_DIGESTS: &str = "all nets";
const WITHOUT_DIGESTS: &str = "digests not compared";

/// Every planted bug. Where the digests notice what is wrong, also what would come of it if they did not.
pub fn plants() -> Vec<Case> {
    let mut cases = Vec::new();
    for plant in Plant::ALL {
        let owners = if plant == Plant::RebuildFlushesEarly { 3 } else { 2 };
        let mut protocol = Protocol::new(REPEAT_LAST, owners, Some(plant));
        if owners == 3 {
            protocol = protocol.with_zombie_records(1);
        }
        let mut push = |variant, expected, protocol| {
            cases.push(Case::new(
                plant.name(),
                variant,
                expected,
                Subject::Protocol(protocol),
            ));
        };
        match plant {
            // A zombie's record is repaired, whoever left it. It is seen to be needed where nobody is ever paused, and
            // nobody repairs: then the rule alone holds the state together.
            Plant::NoPurgeOnRevoke => {
                push(
                    "calm, without any net",
                    Expected::Breaks,
                    protocol.calm().with_nets(Nets::NONE),
                );
            }
            // Loses nothing, but lets digests differ without a cause.
            Plant::LiveCells => {
                push(WITH_DIGESTS, Expected::Breaks, protocol);
                push(
                    WITHOUT_DIGESTS,
                    Expected::Holds,
                    protocol.with_nets(Nets::NO_DIGESTS),
                );
            }
            _ => {
                push(WITH_DIGESTS, Expected::Breaks, protocol);
                push(
                    WITHOUT_DIGESTS,
                    Expected::Breaks,
                    protocol.with_nets(Nets::NO_DIGESTS),
                );
            }
        }
    }
    for case in &mut cases {
        case.is_long = case.name == Plant::RebuildFlushesEarly.name() && case.variant == WITHOUT_DIGESTS;
    }
    cases.push(Case::new(
        "end mark once",
        "3 owners",
        Expected::Breaks,
        Subject::Partials(Partials {
            owners: 3,
            marks: Marks::Once,
        }),
    ));
    cases.push(Case::new(
        "modulus 10,000",
        "",
        Expected::Breaks,
        Subject::Numbers(10_000),
    ));
    cases.push(Case::new(
        "XOR digest",
        "",
        Expected::Breaks,
        Subject::Digest(Fold::Xor),
    ));
    cases
}

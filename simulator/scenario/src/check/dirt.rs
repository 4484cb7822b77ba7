//! Rules of dirt: rates and delays within bounds, and nothing that could not be counted exactly.

use super::{Check, ONE_IN_MAX, problem, within};
use crate::dirt::{DirtSpec, LateSpec};
use crate::expectation::Expectation;
use crate::locate::Part::{Index, Key};
use crate::scenario::Scenario;
use crate::step::Action;

pub(super) fn dirt(scenario: &Scenario) -> Check {
    let Some(dirt) = &scenario.dirt else {
        return Ok(());
    };
    if *dirt == DirtSpec::default() {
        return problem(
            &[Key("dirt")],
            "`dirt` names no kind",
            "give one a rate, such as `duplicates: {one_in: 100}`, or leave `dirt` out",
        );
    }
    if scenario.script.is_some() {
        return problem(
            &[Key("dirt")],
            "a script is exactly its events, and has no dirt",
            "remove one of the two",
        );
    }
    for (name, rate) in dirt.rates() {
        if let Some(rate) = rate {
            let path = [Key("dirt"), Key(name), Key("one_in")];
            within(&path, "one_in", rate.one_in.into(), 1, ONE_IN_MAX)?;
        }
    }
    for (name, rate) in dirt.poison.rates() {
        if let Some(rate) = rate {
            let path = [Key("dirt"), Key("poison"), Key(name), Key("one_in")];
            within(&path, "one_in", rate.one_in.into(), 1, ONE_IN_MAX)?;
        }
    }
    if let Some(late) = dirt.late {
        self::late(late)?;
    }
    generations(scenario, dirt)?;
    twice(scenario, dirt)?;
    letters(scenario, dirt)
}

fn late(late: LateSpec) -> Check {
    let path = |key| [Key("dirt"), Key("late"), Key(key)];
    within(&path("one_in"), "one_in", late.one_in.into(), 1, ONE_IN_MAX)?;
    let (least, most) = (LateSpec::from_default(), LateSpec::to_default());
    for (key, delay) in [("from", late.from), ("to", late.to)] {
        if delay < least || delay > most {
            return problem(
                &path(key),
                format!("`{key}` is {delay}: it must be {least} to {most}"),
                "what comes sooner is out of order, and not late: see `reordered`",
            );
        }
    }
    if late.to < late.from {
        return problem(
            &path("to"),
            format!("late by {} to {} is impossible", late.from, late.to),
            "`from` is the lesser of the two",
        );
    }
    Ok(())
}

/// Poison is a message of a generation of tills.
fn generations(scenario: &Scenario, dirt: &DirtSpec) -> Check {
    let tills = &scenario.world.tills;
    let shares = [tills.ibm_4690, tills.poslog_6, tills.poslog_2];
    for ((name, rate), share) in dirt.poison.rates().into_iter().zip(shares) {
        if rate.is_some() && share == 0 {
            return problem(
                &[Key("dirt"), Key("poison"), Key(name)],
                format!("no till of this world writes {name}"),
                format!("give `{name}` a share under `world: {{tills: …}}`, or remove this"),
            );
        }
    }
    Ok(())
}

/// What has a key of its own elsewhere is said once.
fn twice(scenario: &Scenario, dirt: &DirtSpec) -> Check {
    if dirt.contradicting_deliveries.is_some() && scenario.world.contradicting_deliveries > 0 {
        return problem(
            &[Key("dirt"), Key("contradicting_deliveries")],
            "`contradicting_deliveries` is given under `world` too",
            "keep one of them",
        );
    }
    if dirt.unknown_articles.is_none() {
        return Ok(());
    }
    if !scenario.world.unknown_articles.is_empty() {
        return problem(
            &[Key("dirt"), Key("unknown_articles")],
            "`unknown_articles` is given under `world` too, and whose letters they are could not be told",
            "keep one of them",
        );
    }
    let replays = |action: &Option<Action>| matches!(action, Some(Action::Replay(_)));
    match scenario.steps.iter().position(|step| replays(&step.action)) {
        Some(index) => problem(
            &[Key("steps"), Index(index), Key("do")],
            "the new numbers of `dirt: {unknown_articles: …}` are not known before the sources fall silent",
            "remove this: what names them is put back then",
        ),
        None => Ok(()),
    }
}

fn letters(scenario: &Scenario, dirt: &DirtSpec) -> Check {
    let expects_none = |expectation: &Expectation| *expectation == Expectation::DeadLetters { equal: 0 };
    if dirt.makes_dead_letters() && scenario.expect.iter().any(expects_none) {
        return problem(
            &[Key("expect")],
            "`dirt` makes dead letters, and without a word no dead letters are expected",
            "`expect: {diverging_cells: {at_most: 0}}`: how many letters there must be, `dirt` counts by itself",
        );
    }
    Ok(())
}

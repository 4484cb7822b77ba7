//! Rules of the timeline: steps in the order of time, and whatever is broken is mended again.

use super::faults::{Broken, runs};
use super::{Check, expectations, no_store, problem, rate, within};
use crate::locate::Part::{self, Index, Key};
use crate::names::ServiceName;
use crate::scenario::{Scenario, Stop};
use crate::step::{Action, Selector, Step};
use crate::time::SimOffset;

const STEPS_MAX: u64 = 1_000;
const SAY_CHARACTERS_MAX: usize = 400;

pub(super) fn steps(scenario: &Scenario) -> Check {
    within(
        &[Key("steps")],
        "steps",
        scenario.steps.len() as u64,
        0,
        STEPS_MAX,
    )?;
    let mut state = State::default();
    for (index, step) in scenario.steps.iter().enumerate() {
        let path = |key| vec![Key("steps"), Index(index), Key(key)];
        state.moment(scenario, step, &path("at"))?;
        content(step, &path("say"))?;
        if let Some(action) = &step.action {
            state.action(scenario, index, step, action, &path("do"))?;
        }
        expectations(scenario, &path("expect"), &step.expect)?;
    }
    state.mended()
}

fn content(step: &Step, path: &[Part]) -> Check {
    if step.say.is_none() && step.action.is_none() && step.expect.is_empty() {
        return problem(path, "this step does nothing", "give it `say`, `do` or `expect`");
    }
    if step
        .say
        .as_ref()
        .is_some_and(|say| say.chars().count() > SAY_CHARACTERS_MAX)
    {
        let message = format!("nobody listens that long: at most {SAY_CHARACTERS_MAX} characters");
        return problem(path, message, "make two steps of it");
    }
    Ok(())
}

/// What the steps so far have left behind.
#[derive(Default)]
struct State {
    earliest: SimOffset,
    /// Services that are down, and the step that stopped each.
    stopped: Vec<(ServiceName, usize)>,
    /// The last step that took stores offline, until some come back.
    offline: Option<usize>,
    any_offline: bool,
    broken: Broken,
}

impl State {
    fn moment(&mut self, scenario: &Scenario, step: &Step, path: &[Part]) -> Check {
        let at = step.at;
        if at < self.earliest {
            let message = format!(
                "this step is at {at}, before the step above it at {}",
                self.earliest
            );
            return problem(path, message, "put the steps in the order of time");
        }
        self.earliest = at;
        match scenario.stop {
            Stop::Duration(duration) if at > duration => {
                let message = format!("this step is at {at}, behind the end of the run at {duration}");
                problem(path, message, "move it, or raise the duration under `stop`")
            }
            _ => Ok(()),
        }
    }

    fn action(
        &mut self,
        scenario: &Scenario,
        index: usize,
        step: &Step,
        action: &Action,
        path: &[Part],
    ) -> Check {
        let inner = |key| [path, &[Key(key)]].concat();
        match action {
            Action::Rate(_) if scenario.script.is_some() => {
                problem(path, "a script has no rate", "give a speed, such as `speed: 1`")
            }
            Action::Rate(asked) => rate(&inner("rate"), *asked),
            Action::Pause
                if step
                    .expect
                    .iter()
                    .all(|expectation| expectation.within().is_none()) =>
            {
                problem(
                    path,
                    "this pause would never end",
                    "a pause lasts until what its step expects has come true: add `expect: {converged: {within: 10s}}`",
                )
            }
            Action::Replay(class) if class.trim().is_empty() => problem(
                &inner("replay"),
                "no class of dead letters is named",
                "such as `unknown-item`",
            ),
            Action::Speed(_) | Action::Pause | Action::ReleaseArticles | Action::Replay(_) => Ok(()),
            Action::StoresOffline(which) => {
                self.offline = Some(index);
                self.any_offline = true;
                selector(scenario, &inner("stores_offline"), which)
            }
            Action::StoresOnline(_) if !self.any_offline => problem(
                path,
                "no store is offline here",
                "take some offline in a step above",
            ),
            Action::StoresOnline(which) => {
                self.offline = None;
                self.any_offline = *which != Selector::All;
                selector(scenario, &inner("stores_online"), which)
            }
            Action::Break(what) => {
                let is_stopped = |name| self.stopped.iter().any(|(stopped, _)| *stopped == name);
                self.broken
                    .breaks(scenario, index, what, &inner("break"), is_stopped)
            }
            Action::Mend(what) => self.broken.mends(*what, &inner("mend")),
            Action::StopService(name) if self.broken.is_down(*name) => problem(
                path,
                format!("{name} is killed already"),
                "mend that in a step between",
            ),
            Action::StopService(name) if self.stopped.iter().any(|(stopped, _)| stopped == name) => problem(
                path,
                format!("{name} is stopped already"),
                "start it in a step between",
            ),
            Action::StopService(name) => {
                runs(scenario, *name, &inner("stop_service"))?;
                self.stopped.push((*name, index));
                Ok(())
            }
            Action::StartService(name) => {
                match self.stopped.iter().position(|(stopped, _)| stopped == name) {
                    Some(position) => {
                        self.stopped.remove(position);
                        Ok(())
                    }
                    None => problem(path, format!("{name} is running here"), "stop it in a step above"),
                }
            }
        }
    }

    /// A view that lacks a service or a store's journal can never be right.
    fn mended(&self) -> Check {
        let path = |index| [Key("steps"), Index(index), Key("do")];
        if let Some((name, index)) = self.stopped.first() {
            let message = format!("{name} is never started again, so the view cannot become right");
            return problem(
                &path(*index),
                message,
                format!("add a step with `do: {{start_service: {name}}}`"),
            );
        }
        match self.offline {
            Some(index) => problem(
                &path(index),
                "these stores never come back, so the view cannot become right",
                "add a step with `do: {stores_online: all}`",
            ),
            None => self.broken.mended(),
        }
    }
}

pub(super) fn selector(scenario: &Scenario, path: &[Part], which: &Selector) -> Check {
    let inner = |key| [path, &[Key(key)]].concat();
    match which {
        Selector::Names(names) if names.is_empty() => problem(
            &inner("names"),
            "no store is named",
            "name some, such as `[S0042]`, or write `all`",
        ),
        Selector::Names(names) => match names.iter().position(|name| name.0 > scenario.world.stores) {
            Some(index) => {
                let path = [path, &[Key("names"), Index(index)]].concat();
                problem(&path, no_store(names[index], scenario), "")
            }
            None => Ok(()),
        },
        Selector::Region(name) if name.trim().is_empty() => {
            problem(&inner("region"), "the region has no name", "such as `north-2`")
        }
        Selector::Count(count) => within(
            &inner("count"),
            "count",
            (*count).into(),
            1,
            scenario.world.stores.into(),
        ),
        Selector::All | Selector::Region(_) => Ok(()),
    }
}

//! Rules between the keys of a scenario: what is well-formed and yet impossible.

use crate::curve::BUSIEST_DAY;
use crate::expectation::Expectation;
use crate::load::{Load, Rate};
use crate::locate::Part::{self, Index, Key};
use crate::names::ServiceName;
use crate::scenario::{Scenario, Script, Stop};
use crate::step::{Action, Selector};
use crate::time::{SimOffset, WallTime};

/// The first rule that is broken, with the way to the value that breaks it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub path: Vec<Part>,
    pub message: String,
    pub help: String,
}

/// A till of 4690 numbers its receipts 1 to 9,999 and then starts again; a number twice in a business day has no identity.
const NUMBERS_A_TILL: u64 = 9_999;
/// The smallest store has so many tills, and no till takes more than a third of a mean store's receipts.
const TILLS_MIN: u64 = 3;
const STEPS_MAX: usize = 1_000;
const EVENTS_MAX: usize = 10_000;
const SAY_CHARACTERS_MAX: usize = 400;
const FLUSH: std::ops::RangeInclusive<u64> = 50..=5_000;

type Check = Result<(), Problem>;

pub(crate) fn first_problem(scenario: &Scenario) -> Option<Problem> {
    let checks: [fn(&Scenario) -> Check; 6] = [words, world, load_and_stop, script, steps, end];
    checks.iter().find_map(|check| check(scenario).err())
}

fn problem<T>(path: &[Part], message: impl Into<String>, help: impl Into<String>) -> Result<T, Problem> {
    Err(Problem {
        path: path.to_vec(),
        message: message.into(),
        help: help.into(),
    })
}

fn within(path: &[Part], name: &str, value: u64, least: u64, most: u64) -> Check {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    problem(
        path,
        format!("`{name}` is {value}: it must lie between {least} and {most}"),
        "",
    )
}

fn words(scenario: &Scenario) -> Check {
    if scenario.title.trim().is_empty() {
        return problem(
            &[Key("title")],
            "the title is empty",
            "a few words for the top of the screen",
        );
    }
    let flush = scenario.services.flush_interval;
    if !FLUSH.contains(&flush.ms) {
        return problem(
            &[Key("services"), Key("flush_interval")],
            format!("a flush interval of {flush} is impossible: it must lie between 50ms and 5s"),
            "250ms is the default",
        );
    }
    Ok(())
}

fn world(scenario: &Scenario) -> Check {
    let world = &scenario.world;
    let bounds: [(&'static str, u64, u64); 5] = [
        ("stores", world.stores.into(), 9_999),
        ("warehouses", world.warehouses.into(), 99),
        ("data_centres", world.data_centres.into(), 9),
        ("skus", world.skus.into(), 60_000),
        ("assortment", world.assortment.into(), world.skus.into()),
    ];
    for (name, value, most) in bounds {
        // A catalogue smaller than the default assortment is no mistake of whoever wrote it, but it is unclear what is meant.
        if name == "assortment" && value > most {
            return problem(
                &[Key("world"), Key(name)],
                format!("an assortment of {value} does not fit a catalogue of {most} SKUs"),
                format!("set `assortment` to {most} or less"),
            );
        }
        within(&[Key("world"), Key(name)], name, value, 1, most)?;
    }
    if u16::from(world.data_centres) > world.warehouses {
        return problem(
            &[Key("world"), Key("data_centres")],
            format!(
                "{} data centres for {} warehouses: one would serve none",
                world.data_centres, world.warehouses
            ),
            "set `data_centres` to the number of warehouses or less",
        );
    }
    let per_day = u64::from(world.transactions_per_day);
    if (per_day == 0) != scenario.script.is_some() {
        return problem(
            &[Key("world"), Key("transactions_per_day")],
            if per_day == 0 {
                "a world without transactions and without a script does nothing"
            } else {
                "a script takes the place of shoppers"
            },
            if per_day == 0 {
                "set `transactions_per_day`, or add a `script`"
            } else {
                "set `transactions_per_day: 0`"
            },
        );
    }
    let most = u64::from(world.stores) * NUMBERS_A_TILL * TILLS_MIN * 1_000 / BUSIEST_DAY;
    if per_day > most {
        return problem(
            &[Key("world"), Key("transactions_per_day")],
            format!(
                "{per_day} transactions a day are too many for {} stores: a till has {NUMBERS_A_TILL} numbers a business day",
                world.stores
            ),
            format!("at most {most}, or more stores; for more a second, raise `load`"),
        );
    }
    Ok(())
}

fn rate(path: &[Part], rate: Rate) -> Check {
    within(
        path,
        "rate",
        rate.per_minute(),
        1,
        u64::from(Rate::PER_SECOND_MAX) * 60,
    )
    .map_err(|mut problem| {
        problem.message = format!(
            "a rate of {rate} is impossible: 1/min to {}/s",
            Rate::PER_SECOND_MAX
        );
        problem
    })
}

fn load_and_stop(scenario: &Scenario) -> Check {
    match (scenario.load, scenario.script.is_some()) {
        (Load::Rate(_), true) => {
            return problem(
                &[Key("load")],
                "a script has no rate",
                "give a speed, such as `speed: 1`",
            );
        }
        (Load::Rate(asked), false) => rate(&[Key("load"), Key("rate")], asked)?,
        (Load::Speed(_) | Load::Unthrottled, _) => {}
    }
    match (scenario.stop, &scenario.script) {
        (Stop::Transactions(_), Some(_)) => problem(
            &[Key("stop")],
            "a script has no number of transactions to stop at",
            "give a duration",
        ),
        (Stop::Transactions(0), None) => problem(
            &[Key("stop"), Key("transactions")],
            "a run of 0 transactions shows nothing",
            "",
        ),
        (Stop::Duration(SimOffset { ms: 0 }), _) => {
            problem(&[Key("stop"), Key("duration")], "a run of 0s shows nothing", "")
        }
        _ => Ok(()),
    }
}

fn script(scenario: &Scenario) -> Check {
    let Some(Script { every, send, events }) = &scenario.script else {
        return Ok(());
    };
    within(
        &[Key("script"), Key("events")],
        "events",
        events.len() as u64,
        1,
        EVENTS_MAX as u64,
    )?;
    for (index, event) in events.iter().enumerate() {
        let path = |key| [Key("script"), Key("events"), Index(index), Key(key)];
        if event.store.0 > scenario.world.stores {
            return problem(&path("store"), no_store(event.store.0, scenario), "");
        }
        if u32::from(event.item.0) > scenario.world.assortment {
            return problem(
                &path("item"),
                format!(
                    "{} does not exist: stores list {} articles",
                    event.item, scenario.world.assortment
                ),
                "",
            );
        }
        within(&path("quantity"), "quantity", event.quantity.into(), 1, 9_999)?;
    }
    let last = (events.len() as u64 * send.times() - 1).saturating_mul(every.ms);
    match scenario.stop {
        Stop::Duration(duration) if duration.ms <= last => problem(
            &[Key("stop"), Key("duration")],
            format!(
                "the run ends before its script, whose last event is due at {}",
                SimOffset::from_ms(last)
            ),
            "a longer duration, or a shorter `every`",
        ),
        _ => Ok(()),
    }
}

fn no_store(number: u16, scenario: &Scenario) -> String {
    format!(
        "store {number} does not exist: this world has {}",
        scenario.world.stores
    )
}

fn steps(scenario: &Scenario) -> Check {
    within(
        &[Key("steps")],
        "steps",
        scenario.steps.len() as u64,
        0,
        STEPS_MAX as u64,
    )?;
    let mut earliest = SimOffset::default();
    let mut stopped: Vec<(ServiceName, usize)> = Vec::new();
    let mut offline: Option<usize> = None;
    for (index, step) in scenario.steps.iter().enumerate() {
        let path = |keys: &[Part]| [&[Key("steps"), Index(index)], keys].concat();
        if step.at < earliest {
            return problem(
                &path(&[Key("at")]),
                format!(
                    "this step is at {}, before the step above it at {earliest}",
                    step.at
                ),
                "put the steps in the order of time",
            );
        }
        earliest = step.at;
        if let Stop::Duration(duration) = scenario.stop
            && step.at > duration
        {
            return problem(
                &path(&[Key("at")]),
                format!(
                    "this step is at {}, behind the end of the run at {duration}",
                    step.at
                ),
                "move it, or raise `stop.duration`",
            );
        }
        if step.say.is_none() && step.action.is_none() && step.expect.is_empty() {
            return problem(
                &path(&[]),
                "this step does nothing",
                "give it `say`, `do` or `expect`",
            );
        }
        if step
            .say
            .as_ref()
            .is_some_and(|say| say.chars().count() > SAY_CHARACTERS_MAX)
        {
            return problem(
                &path(&[Key("say")]),
                format!("nobody listens that long: at most {SAY_CHARACTERS_MAX} characters"),
                "make two steps of it",
            );
        }
        match &step.action {
            Some(Action::Rate(asked)) => {
                rate(&path(&[Key("do"), Key("rate")]), *asked)?;
                if scenario.script.is_some() {
                    return problem(&path(&[Key("do")]), "a script has no rate", "give a speed");
                }
            }
            Some(Action::Pause)
                if step
                    .expect
                    .iter()
                    .all(|expectation| expectation.within().is_none()) =>
            {
                return problem(
                    &path(&[Key("do")]),
                    "this pause would never end",
                    "a pause lasts until what its step expects has come true: add `expect: {converged: {within: 10s}}`",
                );
            }
            Some(Action::StoresOffline(which)) => {
                selector(scenario, &path(&[Key("do"), Key("stores_offline")]), which)?;
                offline = Some(index);
            }
            Some(Action::StoresOnline(which)) => {
                selector(scenario, &path(&[Key("do"), Key("stores_online")]), which)?;
                if offline.is_none() {
                    return problem(
                        &path(&[Key("do")]),
                        "no store is offline here",
                        "take some offline in a step above",
                    );
                }
                if *which == Selector::All {
                    offline = None;
                }
            }
            Some(Action::StopService(name)) => {
                if stopped.iter().any(|(stopped, _)| stopped == name) {
                    return problem(
                        &path(&[Key("do")]),
                        format!("{name} is stopped already"),
                        "start it first",
                    );
                }
                stopped.push((*name, index));
            }
            Some(Action::StartService(name)) => {
                let before = stopped.len();
                stopped.retain(|(stopped, _)| stopped != name);
                if stopped.len() == before {
                    return problem(
                        &path(&[Key("do")]),
                        format!("{name} is running here"),
                        "stop it in a step above",
                    );
                }
            }
            Some(Action::Speed(_) | Action::Pause) | None => {}
        }
        expectations(scenario, &path(&[Key("expect")]), &step.expect)?;
    }
    if let Some((name, index)) = stopped.first() {
        return problem(
            &[Key("steps"), Index(*index), Key("do")],
            format!("{name} is never started again, so the view cannot become right"),
            format!("add a step with `do: {{start_service: {name}}}`"),
        );
    }
    let online_again = |index: usize| {
        scenario.steps[index..]
            .iter()
            .any(|step| matches!(step.action, Some(Action::StoresOnline(_))))
    };
    match offline {
        Some(index) if !online_again(index) => problem(
            &[Key("steps"), Index(index), Key("do")],
            "these stores never come back, so the view cannot become right",
            "add a step with `do: {stores_online: all}`",
        ),
        _ => Ok(()),
    }
}

fn selector(scenario: &Scenario, path: &[Part], which: &Selector) -> Check {
    let inner = |key| [path, &[Key(key)]].concat();
    match which {
        Selector::All => Ok(()),
        Selector::Names(names) if names.is_empty() => problem(
            &inner("names"),
            "no store is named",
            "name some, such as `[S0042]`, or write `all`",
        ),
        Selector::Names(names) => match names.iter().position(|name| name.0 > scenario.world.stores) {
            Some(index) => {
                let path = [path, &[Key("names"), Index(index)]].concat();
                problem(&path, no_store(names[index].0, scenario), "")
            }
            None => Ok(()),
        },
        Selector::Region(name) if name.trim().is_empty() => {
            problem(&inner("region"), "the region has no name", "")
        }
        Selector::Region(_) => Ok(()),
        Selector::Count(count) => within(
            &inner("count"),
            "count",
            (*count).into(),
            1,
            scenario.world.stores.into(),
        ),
    }
}

fn end(scenario: &Scenario) -> Check {
    expectations(scenario, &[Key("expect")], &scenario.expect)
}

fn expectations(scenario: &Scenario, path: &[Part], all: &[Expectation]) -> Check {
    for expectation in all {
        let inner = |key| [path, &[Key(key)]].concat();
        match expectation {
            Expectation::FreshnessP99Below { .. } if scenario.load == Load::Unthrottled => {
                return problem(
                    &inner("freshness_p99_below"),
                    "an unthrottled load makes no claim of latency",
                    "give the load a speed or a rate, or remove this",
                );
            }
            Expectation::FreshnessP99Below {
                bound: WallTime { ms: 0 },
            } => {
                return problem(
                    &inner("freshness_p99_below"),
                    "nothing is visible before it happened",
                    "",
                );
            }
            Expectation::StoreStock { store, .. } if store.0 > scenario.world.stores => {
                return problem(&inner("store_stock"), no_store(store.0, scenario), "");
            }
            Expectation::StoreStock { item, .. } | Expectation::ItemStock { item, .. }
                if u32::from(item.0) > scenario.world.skus =>
            {
                let key = if matches!(expectation, Expectation::ItemStock { .. }) {
                    "item_stock"
                } else {
                    "store_stock"
                };
                let message = format!("{item} does not exist: the catalogue has {}", scenario.world.skus);
                return problem(&inner(key), message, "");
            }
            _ => {}
        }
    }
    Ok(())
}

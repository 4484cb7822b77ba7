//! Rules between the keys of a scenario: what is well-formed and yet impossible.

mod articles;
mod dirt;
mod faults;
mod steps;

use std::ops::RangeInclusive;

use crate::curve::BUSIEST_DAY;
use crate::expectation::Expectation;
use crate::load::{Load, Rate};
use crate::locate::Part::{self, Index, Key};
use crate::names::StoreNumber;
use crate::scenario::{Scenario, Script, Stop};
use crate::time::{SimOffset, WallTime};
use crate::world::TillMix;

/// The first rule that is broken, with the way to the value that breaks it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub path: Vec<Part>,
    pub message: String,
    pub help: String,
}

/// A till numbers its receipts 1 to 9,999 and then starts again; a number twice in a business day has no identity.
const NUMBERS_A_TILL: u64 = 9_999;
/// A till takes at most one in so many of a mean store's receipts, about. The world, which knows each till, is exact.
const SHARE_OF_A_TILL: u64 = 2;
/// The world goes on in steps of so many minutes, and starts at the border of one.
const START_MINUTES: u16 = 5;
/// A hand-over takes a minute, so there is much more time without one.
const HANDOVER_MS: RangeInclusive<u64> = 600_000..=7 * 86_400_000;
const EVENTS_MAX: u64 = 10_000;
const FLUSH_MS: RangeInclusive<u64> = 50..=5_000;
const UPLOAD_MS: RangeInclusive<u64> = 10..=5_000;
const MARK_MS: RangeInclusive<u64> = 500..=60_000;

const SESSION_MS: RangeInclusive<u64> = 3_000..=60_000;
/// There are six partitions to share.
const INSTANCES_MAX: u64 = 4;
/// Of every rate.
const ONE_IN_MAX: u64 = 1_000_000;

type Check = Result<(), Problem>;

pub(crate) fn first_problem(scenario: &Scenario) -> Option<Problem> {
    let checks: [fn(&Scenario) -> Check; 8] = [
        words,
        world,
        articles::articles,
        dirt::dirt,
        load_and_stop,
        script,
        steps::steps,
        end,
    ];
    checks.iter().find_map(|check| check(scenario).err())
}

fn problem(path: &[Part], message: impl Into<String>, help: impl Into<String>) -> Check {
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
        format!("`{name}` is {value}: it must be {least} to {most}"),
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
    let services = &scenario.services;
    interval("flush_interval", services.flush_interval, FLUSH_MS, "100ms")?;
    interval("upload_interval", services.upload_interval, UPLOAD_MS, "100ms")?;
    interval("mark_interval", services.mark_interval, MARK_MS, "5s")?;
    interval("session_timeout", services.session_timeout, SESSION_MS, "15s")?;
    within(
        &[Key("services"), Key("instances")],
        "instances",
        services.instances.into(),
        1,
        INSTANCES_MAX,
    )
}

fn interval(name: &'static str, value: WallTime, range: RangeInclusive<u64>, default: &'static str) -> Check {
    if range.contains(&value.ms) {
        return Ok(());
    }
    let [least, most] = [*range.start(), *range.end()].map(WallTime::from_ms);
    problem(
        &[Key("services"), Key(name)],
        format!("`{name}` is {value}: it must be {least} to {most}"),
        format!("{default} is the default"),
    )
}

fn world(scenario: &Scenario) -> Check {
    let world = &scenario.world;
    let bounds: [(&'static str, u64, u64); 4] = [
        ("stores", world.stores.into(), 9_999),
        ("warehouses", world.warehouses.into(), 99),
        ("data_centres", world.data_centres.into(), 9),
        ("skus", world.skus.into(), 60_000),
    ];
    for (name, value, most) in bounds {
        within(&[Key("world"), Key(name)], name, value, 1, most)?;
    }
    let path = |key| [Key("world"), Key(key)];
    within(
        &path("assortment"),
        "assortment",
        world.assortment.into(),
        1,
        u64::MAX,
    )?;
    if world.assortment > world.skus {
        return problem(
            &path("assortment"),
            format!(
                "an assortment of {} does not fit a catalogue of {} SKUs",
                world.assortment, world.skus
            ),
            format!("set `assortment` to {} or less", world.skus),
        );
    }
    if u16::from(world.data_centres) > world.warehouses {
        return problem(
            &path("data_centres"),
            format!(
                "{} data centres for {} warehouses: one would serve none",
                world.data_centres, world.warehouses
            ),
            format!("set `data_centres` to {} or less", world.warehouses),
        );
    }
    if world.queues.ccsids.is_empty() {
        return problem(
            &[Key("world"), Key("queues"), Key("ccsids")],
            "a warehouse has no code page to write in",
            "name one at least, such as `[37]`, or leave `ccsids` out",
        );
    }
    let handover = world.queues.handover_every;
    if handover.ms != 0 && !HANDOVER_MS.contains(&handover.ms) {
        return problem(
            &[Key("world"), Key("queues"), Key("handover_every")],
            format!("`handover_every` is {handover}: it must be 10m to 7d, or 0s for never"),
            "4h is the default",
        );
    }
    if world.tills.sum() != 100 {
        return problem(
            &path("tills"),
            format!(
                "the shares of `tills` sum to {} per cent: it must be 100",
                world.tills.sum()
            ),
            "what is left out is 0; `{ibm_4690: 70, poslog_6: 25, poslog_2: 5}` is the default",
        );
    }
    if scenario.script.is_some() && world.tills != TillMix::default() {
        return problem(
            &path("tills"),
            "the tills of a script are 4690",
            "leave `tills` out",
        );
    }
    if !world.start.minute_of_day.is_multiple_of(START_MINUTES) {
        return problem(
            &path("start"),
            format!(
                "a start at {} is impossible: the world goes on in steps of 5 minutes",
                world.start
            ),
            "a full hour, or minutes that end in 0 or 5",
        );
    }
    transactions(scenario, &path("transactions_per_day"))
}

fn transactions(scenario: &Scenario, path: &[Part]) -> Check {
    let per_day = u64::from(scenario.world.transactions_per_day);
    let stores = scenario.world.stores;
    let most = u64::from(stores) * NUMBERS_A_TILL * SHARE_OF_A_TILL * 1_000 / BUSIEST_DAY;
    match (per_day, scenario.script.is_some()) {
        (0, false) => problem(
            path,
            "a world without transactions and without a script does nothing",
            "set `transactions_per_day`, or add a `script`",
        ),
        (1.., true) => problem(
            &[Key("script")],
            "a script takes the place of shoppers",
            "set `transactions_per_day: 0` under `world`",
        ),
        (_, false) if per_day > most => problem(
            path,
            format!(
                "{per_day} transactions a day are too many for {stores} stores: a till has {NUMBERS_A_TILL} numbers a \
                 business day"
            ),
            format!("at most {most}, or more stores; for more a second, raise `load`"),
        ),
        _ => Ok(()),
    }
}

fn rate(path: &[Part], rate: Rate) -> Check {
    if (1..=u64::from(Rate::PER_SECOND_MAX) * 60).contains(&rate.per_minute()) {
        return Ok(());
    }
    let message = format!(
        "a rate of {rate} is impossible: it must be 1/min to {}/s",
        Rate::PER_SECOND_MAX
    );
    problem(path, message, "")
}

fn load_and_stop(scenario: &Scenario) -> Check {
    match (scenario.load, &scenario.script) {
        (Load::Rate(_), Some(_)) => {
            return problem(
                &[Key("load")],
                "a script has no rate",
                "give a speed, such as `speed: 1`",
            );
        }
        (Load::Rate(asked), None) => rate(&[Key("load"), Key("rate")], asked)?,
        (Load::Speed(_) | Load::Unthrottled, _) => {}
    }
    match (scenario.stop, &scenario.script) {
        (Stop::Transactions(_), Some(_)) => problem(
            &[Key("stop")],
            "a script does not stop by transactions",
            "give a duration, such as `duration: 30s`",
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
    if scenario.opening {
        return problem(
            &[Key("script")],
            "a script starts from empty shelves",
            "set `opening: false` at the top",
        );
    }
    within(
        &[Key("script"), Key("events")],
        "events",
        events.len() as u64,
        1,
        EVENTS_MAX,
    )?;
    for (index, event) in events.iter().enumerate() {
        let path = |key| [Key("script"), Key("events"), Index(index), Key(key)];
        if event.store.0 > scenario.world.stores {
            return problem(&path("store"), no_store(event.store, scenario), "");
        }
        if u32::from(event.item.0) > scenario.world.skus {
            return problem(&path("item"), no_item(event.item.0, scenario), "");
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

fn no_store(store: StoreNumber, scenario: &Scenario) -> String {
    format!(
        "store {} does not exist: this world has {}",
        store.0, scenario.world.stores
    )
}

fn no_item(number: u16, scenario: &Scenario) -> String {
    format!(
        "Item_{number} does not exist: the catalogue has {}",
        scenario.world.skus
    )
}

fn end(scenario: &Scenario) -> Check {
    expectations(scenario, &[Key("expect")], &scenario.expect)
}

fn expectations(scenario: &Scenario, path: &[Part], all: &[Expectation]) -> Check {
    let inner = |key| [path, &[Key(key)]].concat();
    for expectation in all {
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
                return problem(&inner("store_stock"), no_store(*store, scenario), "");
            }
            Expectation::StoreStock { item, .. } if u32::from(item.0) > scenario.world.skus => {
                return problem(&inner("store_stock"), no_item(item.0, scenario), "");
            }
            Expectation::ItemStock { item, .. } if u32::from(item.0) > scenario.world.skus => {
                return problem(&inner("item_stock"), no_item(item.0, scenario), "");
            }
            _ => {}
        }
    }
    Ok(())
}

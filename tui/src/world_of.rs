//! From a scenario to the world that it describes.

use anyhow::{Context as _, Result, bail};
use contracts::ids::TimeMs;
use contracts::wire::ebcdic::Ccsid;
use scenario::{Load, QueueSpec, Scenario, ScriptedKind, Stop};
use world::queue::{DescriptorPlace, QueueConfig};
use world::{STEP_MS, TillMix, World, WorldConfig};

/// A scenario as read, with what the command line changes in it.
pub struct Chosen {
    pub scenario: Scenario,
    pub yaml: String,
    pub scale: u32,
}

/// Reads a file, or takes the shipped scenario of that name.
pub fn load(name: &str) -> Result<(Scenario, String)> {
    let yaml = match scenario::shipped(name) {
        Some(yaml) => yaml.to_owned(),
        None => match std::fs::read_to_string(name) {
            Ok(yaml) => yaml,
            Err(error) if looks_like_a_path(name) => {
                return Err(error).with_context(|| format!("scenario file {name} cannot be read"));
            }
            Err(_) => {
                let hint = scenario::nearest(name)
                    .map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"));
                bail!(
                    "there is no scenario `{name}`, neither shipped nor a file{hint} `stockstream scenarios` lists them"
                );
            }
        },
    };
    let parsed = scenario::parse(name, &yaml)?;
    Ok((parsed, yaml))
}

fn looks_like_a_path(name: &str) -> bool {
    name.contains(['/', '\\']) || std::path::Path::new(name).extension().is_some()
}

pub fn choose(name: &str, seed: Option<u64>, scale: Option<u32>, load: Option<Load>) -> Result<Chosen> {
    let (mut scenario, yaml) = self::load(name)?;
    let scale = scale.unwrap_or(1);
    if scale > 1 {
        scenario = scenario.scale(scale);
    }
    if let Some(load) = load {
        scenario = scenario.with_load(load);
    }
    if let Some(seed) = seed {
        scenario.seed = seed;
    }
    Ok(Chosen {
        scenario,
        yaml,
        scale,
    })
}

pub fn config(scenario: &Scenario) -> WorldConfig {
    let world = &scenario.world;
    let step_minutes = (STEP_MS / 60_000) as u16;
    let day_ms = i64::from(world.start.day) * 86_400_000;
    WorldConfig {
        seed: scenario.seed,
        stores: world.stores,
        warehouses: world.warehouses,
        data_centres: world.data_centres,
        skus: world.skus,
        assortment: u16::try_from(world.assortment).unwrap_or(u16::MAX),
        // A script has no shoppers; the world wants a number all the same.
        transactions_per_day: u64::from(world.transactions_per_day).max(1),
        tills: TillMix {
            ibm_4690: world.tills.ibm_4690,
            poslog_6: world.tills.poslog_6,
            poslog_2: world.tills.poslog_2,
        },
        start: TimeMs(day_ms),
        start_of_trading_ms: u32::from(world.start.minute_of_day / step_minutes * step_minutes) * 60_000,
        queues: queues(&world.queues),
    }
}

fn queues(spec: &QueueSpec) -> QueueConfig {
    let ccsids = spec.ccsids.iter();
    QueueConfig {
        ccsids: ccsids
            .filter_map(|page| Ccsid::from_number(page.0.into()))
            .collect(),
        descriptor: match spec.descriptor {
            scenario::DescriptorPlace::Properties => DescriptorPlace::Properties,
            scenario::DescriptorPlace::InFront => DescriptorPlace::InFront,
            scenario::DescriptorPlace::EveryOther => DescriptorPlace::EveryOther,
        },
        handover_ms: i64::try_from(spec.handover_every.ms).unwrap_or(i64::MAX),
    }
}

pub fn build(scenario: &Scenario) -> Result<World> {
    let config = config(scenario);
    let world = match &scenario.script {
        None => World::new(config),
        Some(script) => {
            let events = script
                .events
                .iter()
                .enumerate()
                .map(|(index, event)| world::ScriptedEvent {
                    at_ms_offset: script.every.ms * index as u64,
                    store: event.store.0,
                    sku: u32::from(event.item.0) - 1,
                    kind: match event.kind {
                        ScriptedKind::Sale => world::ScriptedKind::Sale,
                        ScriptedKind::Restock => world::ScriptedKind::Restock,
                    },
                    units: u32::from(event.quantity),
                })
                .collect();
            World::scripted(config, events)
        }
    };
    let dirt = scenario.dirt.unwrap_or_default();
    let contradicting = dirt
        .contradicting_deliveries
        .map_or(scenario.world.contradicting_deliveries, |rate| rate.one_in);
    world
        .map(|world| world.with_contradicting_deliveries(contradicting))
        .map(|world| match dirt.double_beeps {
            Some(rate) => world.with_double_beeps(rate.one_in),
            None => world,
        })
        .map(|world| match dirt.repeated_corrections {
            Some(rate) => world.with_corrections_again(rate.one_in),
            None => world,
        })
        .with_context(|| format!("scenario {}", scenario.name))
}

/// Whole steps of simulated time that a run of this scenario has, where it ends by time.
pub fn steps(scenario: &Scenario) -> Option<u32> {
    match scenario.stop {
        Stop::Duration(offset) => Some(offset.ms.div_ceil(u64::from(STEP_MS)) as u32),
        Stop::Transactions(_) => None,
    }
}

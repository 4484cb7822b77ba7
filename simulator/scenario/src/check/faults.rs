//! Rules of the library of faults: what is broken is mended, what is mended was broken, and what is said about a fault
//! means something to it.

use super::steps::selector;
use super::{Check, ONE_IN_MAX, problem, within};
use crate::breaking::{Break, Mend};
use crate::fault::{Fault, Parameter};
use crate::locate::Part::{self, Index, Key};
use crate::names::ServiceName;
use crate::scenario::Scenario;

/// Of the embedded broker.
const NODES: u8 = 3;
const WALL_MS_MAX: u64 = 60_000;

/// What the steps so far have broken, each with the step that did.
#[derive(Default)]
pub(super) struct Broken(Vec<(Fault, usize)>);

/// The service that a fault takes away.
const fn down(fault: Fault) -> Option<ServiceName> {
    match fault {
        Fault::StoreGatewayKilled => Some(ServiceName::StoreGateway),
        Fault::MqSourceKilled => Some(ServiceName::MqSource),
        Fault::NormaliserKilled => Some(ServiceName::Normaliser),
        Fault::InventoryKilled => Some(ServiceName::Inventory),
        Fault::ReconcilerKilled => Some(ServiceName::Reconciler),
        Fault::ItemProjectorKilled => Some(ServiceName::ItemProjector),
        _ => None,
    }
}

/// The service that has to run for a fault to hit it.
fn hits(what: &Break) -> Option<ServiceName> {
    match what.fault {
        Fault::NormaliserZombie => Some(ServiceName::Normaliser),
        Fault::InventoryZombie => Some(ServiceName::Inventory),
        Fault::ServiceSlow | Fault::ServiceRestarts | Fault::InstanceJoins | Fault::InstanceLeaves => {
            Some(what.service.unwrap_or(ServiceName::Inventory))
        }
        other => down(other),
    }
}

impl Broken {
    pub(super) fn is_down(&self, name: ServiceName) -> bool {
        self.0.iter().any(|(fault, _)| down(*fault) == Some(name))
    }

    fn is_broken(&self, fault: Fault) -> bool {
        self.0.iter().any(|(broken, _)| *broken == fault)
    }

    pub(super) fn breaks(
        &mut self,
        scenario: &Scenario,
        index: usize,
        what: &Break,
        path: &[Part],
        is_stopped: impl Fn(ServiceName) -> bool,
    ) -> Check {
        let fault = what.fault;
        if !fault.is_step() {
            return problem(
                path,
                format!("{fault} is no step: nothing is written before the end"),
                "give `--report` a file on a full disk; the other faults are listed by `stockstream faults`",
            );
        }
        if self.is_broken(fault) {
            return problem(
                path,
                format!("{fault} is broken already"),
                "mend it in a step between",
            );
        }
        if let Some(name) = hits(what).filter(|name| is_stopped(*name) || self.is_down(*name)) {
            return problem(
                path,
                format!("{name} does not run here, so {fault} cannot hit it"),
                "start it, or mend what killed it, in a step between",
            );
        }
        if let Some(name) = hits(what) {
            runs(scenario, name, path)?;
        }
        parameters(scenario, what, path)?;
        self.0.push((fault, index));
        Ok(())
    }

    pub(super) fn mends(&mut self, what: Mend, path: &[Part]) -> Check {
        match what {
            Mend::All if self.0.is_empty() => {
                problem(path, "nothing is broken here", "break something in a step above")
            }
            Mend::All => {
                self.0.clear();
                Ok(())
            }
            Mend::One(fault) if !self.is_broken(fault) => problem(
                path,
                format!("{fault} is not broken here"),
                format!("break it in a step above: `do: {{break: {fault}}}`"),
            ),
            Mend::One(fault) => {
                self.0.retain(|(broken, _)| *broken != fault);
                Ok(())
            }
        }
    }

    pub(super) fn mended(&self) -> Check {
        match self.0.first() {
            None => Ok(()),
            Some((fault, index)) => problem(
                &[Key("steps"), Index(*index), Key("do")],
                format!("{fault} is never mended, so the view cannot become right"),
                format!("add a step with `do: {{mend: {fault}}}`"),
            ),
        }
    }
}

/// Whether a scenario has a service at all.
pub(super) fn runs(scenario: &Scenario, name: ServiceName, path: &[Part]) -> Check {
    if name == ServiceName::ItemProjector && !scenario.services.project_items {
        return problem(
            path,
            format!("there is no {name} here, because nothing is projected"),
            "say `services: {project_items: true}`",
        );
    }
    Ok(())
}

fn parameters(scenario: &Scenario, what: &Break, path: &[Part]) -> Check {
    let inner = |parameter: Parameter| [path, &[Key(parameter.key())]].concat();
    let info = what.fault.info();
    if let Some(other) = what.given().find(|given| !info.takes.contains(given)) {
        let taken: Vec<_> = info
            .takes
            .iter()
            .map(|parameter| format!("`{}`", parameter.key()))
            .collect();
        let help = if taken.is_empty() {
            "it takes no keys: write its name alone".to_owned()
        } else {
            format!("it takes {}", taken.join(" and "))
        };
        return problem(
            &inner(other),
            format!("`{}` means nothing to {}", other.key(), info.name),
            help,
        );
    }
    let bounded = |parameter: Parameter, value: Option<u64>, most: u64| match value {
        Some(value) => within(&inner(parameter), parameter.key(), value, 1, most),
        None => Ok(()),
    };
    bounded(Parameter::OneIn, what.one_in.map(u64::from), ONE_IN_MAX)?;
    bounded(Parameter::Delay, what.delay.map(|time| time.ms), WALL_MS_MAX)?;
    bounded(Parameter::Every, what.every.map(|time| time.ms), WALL_MS_MAX)?;
    if let Some(stores) = &what.stores {
        selector(scenario, &inner(Parameter::Stores), stores)?;
    }
    match what.node {
        Some(node) if node == 0 || node > NODES => problem(
            &inner(Parameter::Node),
            format!("there is no node {node}: the embedded broker has {NODES}"),
            format!("1 to {NODES}"),
        )?,
        _ => {}
    }
    let data_centres = scenario.world.data_centres;
    match what.data_centre {
        Some(number) if number == 0 || number > data_centres => problem(
            &inner(Parameter::DataCentre),
            format!("there is no data centre {number}: this world has {data_centres}"),
            "",
        )?,
        _ => {}
    }
    match what.service {
        Some(name @ (ServiceName::StoreGateway | ServiceName::MqSource)) => problem(
            &inner(Parameter::Service),
            format!("{name} is in no consumer group, so {} cannot hit it", info.name),
            "`normaliser`, `inventory`, `reconciler` or `item-projector`",
        ),
        _ => Ok(()),
    }
}

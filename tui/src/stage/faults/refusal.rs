//! What cannot be broken here, and what to use instead.

use anyhow::{Result, bail};
use scenario::{Action, Fault, Need, Scenario};

use crate::cli::{RunArgs, ServicesAt};

/// Why a fault cannot be made in such a run.
pub fn impossible(fault: Fault, args: &RunArgs) -> Option<String> {
    let info = fault.info();
    let lacks = |need: &&Need| match need {
        Need::Broker => args.kafka.is_some(),
        Need::Queue => args.amqp.is_some(),
        Need::Services => args.services == ServicesAt::Outside,
    };
    let lacking = info.needs.iter().find(lacks)?;
    let (needs, option) = match lacking {
        Need::Broker => ("the embedded broker", "--kafka"),
        Need::Queue => ("the embedded queue", "--amqp"),
        Need::Services => ("the services inside this process", "--services outside"),
    };
    Some(format!(
        "{fault} needs {needs}: leave {option} out; on real servers, {}",
        info.real
    ))
}

/// An error before the run when a step breaks what cannot be broken here.
pub fn refuse(args: &RunArgs, scenario: &Scenario) -> Result<()> {
    let broken = scenario.steps.iter().filter_map(|step| match &step.action {
        Some(Action::Break(what)) => Some(what.fault),
        _ => None,
    });
    for fault in broken {
        if let Some(reason) = impossible(fault, args) {
            bail!("the scenario `{}` breaks {fault}, but {reason}", scenario.name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_our_servers_is_refused_on_others_with_what_stands_for_it() {
        let real = RunArgs {
            kafka: Some("localhost:9092".into()),
            ..RunArgs::default()
        };
        let reason = impossible(Fault::NodeLost, &real).expect("refused");
        assert!(
            reason.contains("embedded broker") && reason.contains("cargo xtask stack test"),
            "{reason}"
        );
        assert!(impossible(Fault::InventoryZombie, &real).is_some());
        for fault in [
            Fault::Duplicates,
            Fault::StoresOffline,
            Fault::InventoryKilled,
            Fault::QueueCuts,
        ] {
            assert_eq!(impossible(fault, &real), None, "{fault}");
        }
        assert_eq!(impossible(Fault::NodeLost, &RunArgs::default()), None);
    }

    #[test]
    fn a_scenario_that_breaks_what_is_not_ours_is_refused_before_it_runs() {
        let yaml = "title: t\nload: {speed: 1}\nstop: {duration: 1h}\nsteps:\n  - {at: 0s, do: {break: queue-cuts}}\n  - {at: 1s, do: {mend: all}}\n";
        let scenario = scenario::parse("t", yaml).expect("valid");
        let real = RunArgs {
            amqp: Some("amqp://localhost".into()),
            ..RunArgs::default()
        };
        let error = refuse(&real, &scenario).expect_err("refused").to_string();
        assert!(
            error.contains("queue-cuts") && error.contains("--amqp"),
            "{error}"
        );
        assert!(refuse(&RunArgs::default(), &scenario).is_ok());
    }
}

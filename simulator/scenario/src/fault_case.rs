//! A case of a fault: a scenario in a small world that breaks it and mends it, made from its name and a seed.
//!
//! The seed draws what is broken (which node, service, data centre, how often), so many seeds are no repetition of one.

use std::fmt::Write as _;

use crate::fault::Fault;

const STORES: u32 = 24;

/// What a step says about a fault beside its name, drawn from the seed.
fn parameters(fault: Fault, seed: u32) -> String {
    let service = ["inventory", "normaliser"][seed as usize % 2];
    let third = seed % 3 + 1;
    match fault {
        Fault::Duplicates
        | Fault::Late
        | Fault::Reordered
        | Fault::Poison
        | Fault::MissingNumbers
        | Fault::ClockSkew => {
            format!(", one_in: {}", [5, 10, 20][seed as usize % 3])
        }
        Fault::StoresOffline => format!(", stores: {{count: {}}}", 1 + seed.wrapping_mul(7) % STORES),
        Fault::ServiceSlow | Fault::ServiceRestarts | Fault::InstanceJoins | Fault::InstanceLeaves => {
            format!(", service: {service}")
        }
        Fault::NodeLost | Fault::BrokerSilent => format!(", node: {third}"),
        Fault::DataCentreLost => format!(", data_centre: {third}"),
        Fault::AnswersLost => format!(", one_in: {}", [3, 10, 30][seed as usize % 3]),
        Fault::BrokerDisconnects => format!(", one_in: {}", [20, 50, 100][seed as usize % 3]),
        Fault::QueueCuts | Fault::LeadersMove | Fault::CoordinatorMoves | Fault::StoreServersRestart => {
            format!(", every: {}ms", [300, 500, 800][seed as usize % 3])
        }
        _ => String::new(),
    }
}

/// The scenario's text. An hour of simulated time is a second on the watch, so that warehouses
/// ship and stores order in so short a run.
pub fn fault_case(fault: Fault, seed: u32) -> String {
    let name = fault.name();
    // A session has to end in between, or others to come up.
    let broken_s = match fault {
        Fault::NormaliserZombie | Fault::InventoryZombie => 6,
        Fault::BrokerSilent | Fault::ServiceRestarts => 4,
        // Lorries have to arrive before, meanwhile and behind.
        Fault::ReconcilerKilled => 10,
        _ => 2,
    };
    let instances = if fault == Fault::InstanceLeaves || seed.is_multiple_of(3) {
        2
    } else {
        1
    };
    // Those beside the way of the stock have something to do.
    let (world, services) = match fault {
        Fault::ReconcilerKilled => (", contradicting_deliveries: 4", ""),
        Fault::ItemProjectorKilled => ("", ", project_items: true"),
        _ => ("", ""),
    };
    // The number of dead letters is the fault's matter where it is poison.
    let mut yaml = format!(
        "title: {name}, seed {seed}\nseed: {seed}\n\
         world: {{stores: {STORES}, warehouses: 6, data_centres: 3, skus: 200, assortment: 60, transactions_per_day: 5000, start: 2026-03-16 10:00{world}}}\n\
         load: {{speed: 3600}}\n\
         services: {{session_timeout: 3s, instances: {instances}{services}}}\n"
    );
    let mut step = |text: String| {
        let _ = writeln!(yaml, "{text}");
    };
    if fault == Fault::DiskFull {
        step("stop: {duration: 1h}".into());
    } else {
        step(format!("stop: {{duration: {}m}}", (broken_s + 1) * 60));
        step("steps:".into());
        step(format!(
            "  - {{at: 30m, do: {{break: {{fault: {name}{}}}}}}}",
            parameters(fault, seed)
        ));
        step(format!(
            "  - {{at: {}m, do: {{mend: {name}}}, expect: {{converged: {{within: 2m}}}}}}",
            broken_s * 60 + 30
        ));
    }
    step("expect: {diverging_cells: {at_most: 0}}".into());
    yaml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FAULTS;

    #[test]
    fn every_case_of_every_fault_is_a_scenario() {
        for info in &FAULTS {
            for seed in 1..=40 {
                let yaml = fault_case(info.fault, seed);
                if let Err(error) = crate::parse(info.name, &yaml) {
                    panic!("{error}\n{yaml}");
                }
            }
        }
    }
}

//! The library of faults in the running demo, a test a fault, with two seeds each: what always must hold, and that it did
//! happen. Twenty seeds of each are `cargo xtask faults`.

use crate::support::{LATE, Ran, run};
use scenario::Fault;
use serde_json::Value;

const SEEDS: [u32; 2] = [1, 2];

fn case(fault: Fault, seed: u32) -> Ran {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join(format!("{fault}-{seed}.yaml"));
    std::fs::write(&file, scenario::fault_case(fault, seed)).expect("a scratch file");
    run(&[&file.display().to_string()])
}

/// A case waits more than it works: both seeds at once.
fn survives(fault: Fault) {
    let ran = std::thread::scope(|scope| {
        let cases = SEEDS.map(|seed| scope.spawn(move || case(fault, seed)));
        cases.map(|case| case.join().expect("a case ends with what it printed"))
    });
    for (seed, ran) in SEEDS.into_iter().zip(ran) {
        let what = format!("{fault}, seed {seed}: {}\n{}", ran.out, ran.error);
        // Always.
        for path in [
            "transactions_lost",
            "transactions_doubled",
            "transactions_altered",
            "transactions_misrouted",
            "cells_diverging",
            "items_diverging",
        ] {
            assert_eq!(ran.number(&format!("/audit/{path}")), 0, "{path}: {what}");
        }
        let report = ran.report.as_ref().expect("a report");
        assert_eq!(report["audit"]["books_difference"], Value::from(0), "{what}");
        assert_eq!(ran.number("/recovery/partitions_unknown"), 0, "{what}");
        assert!(matches!(ran.code, 0 | LATE), "{what}");
        let expected = ran.number("/deliveries/expected");
        assert_eq!(ran.number("/deliveries/found"), expected, "{what}");
        assert!(fault != Fault::ReconcilerKilled || expected > 0, "{what}");
        assert!(
            fault != Fault::ItemProjectorKilled || ran.number("/items_projected") > 0,
            "{what}"
        );
        // Sometimes.
        let outbreak = &report["faults"][0];
        assert_eq!(outbreak["name"], fault.name(), "{what}");
        assert!(
            outbreak["hits"].as_u64().is_some_and(|hits| hits > 0),
            "it never happened; {what}"
        );
        assert!(outbreak["mended_at_s"].is_number(), "{what}");
        assert!(
            outbreak["converged_after_s"].is_number(),
            "it did not come right; {what}"
        );
    }
}

macro_rules! survived {
    ($($test:ident: $fault:ident),* $(,)?) => {
        $(#[test]
        fn $test() {
            survives(Fault::$fault);
        })*

        #[test]
        fn every_fault_that_a_step_can_break_has_a_test() {
            let tested = [$(Fault::$fault),*];
            for info in &scenario::FAULTS {
                assert_eq!(tested.contains(&info.fault), info.fault.is_step(), "{}", info.name);
            }
        }
    };
}

survived! {
    duplicates: Duplicates,
    late: Late,
    reordered: Reordered,
    poison: Poison,
    missing_numbers: MissingNumbers,
    clock_skew: ClockSkew,
    stores_offline: StoresOffline,
    store_servers_restart: StoreServersRestart,
    queue_manager_stops: QueueManagerStops,
    queue_redelivers: QueueRedelivers,
    queue_cuts: QueueCuts,
    queue_poison: QueuePoison,
    store_gateway_killed: StoreGatewayKilled,
    mq_source_killed: MqSourceKilled,
    normaliser_killed: NormaliserKilled,
    inventory_killed: InventoryKilled,
    reconciler_killed: ReconcilerKilled,
    item_projector_killed: ItemProjectorKilled,
    normaliser_zombie: NormaliserZombie,
    inventory_zombie: InventoryZombie,
    service_slow: ServiceSlow,
    service_restarts: ServiceRestarts,
    instance_joins: InstanceJoins,
    instance_leaves: InstanceLeaves,
    coordinator_moves: CoordinatorMoves,
    node_lost: NodeLost,
    leaders_move: LeadersMove,
    answers_lost: AnswersLost,
    broker_disconnects: BrokerDisconnects,
    broker_silent: BrokerSilent,
    data_centre_lost: DataCentreLost,
}

#[test]
fn a_full_disk_costs_the_report_and_not_the_verdict() {
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("disk-full.yaml");
    std::fs::write(&file, scenario::fault_case(Fault::DiskFull, 1)).expect("a scratch file");
    let file = file.display().to_string();
    let output = crate::support::stockstream(&["run", &file, "--headless", "--report", "/dev/full"]);
    let ran = crate::support::ran(&output);
    assert!(ran.out.contains("cells compared"), "{}", ran.out);
    assert!(
        ran.error.contains("/dev/full") && ran.error.contains("has room"),
        "{}",
        ran.error
    );
    // The verdict's own status stands, and a run that passed is none that gave what it was asked for.
    assert!(matches!(ran.code, 2 | LATE), "{}", ran.code);
}

#[test]
fn what_needs_our_servers_is_refused_before_the_run() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("node-lost.yaml");
    std::fs::write(&file, scenario::fault_case(Fault::NodeLost, 1)).expect("a scratch file");
    let file = file.display().to_string();
    let output = crate::support::stockstream(&["run", &file, "--headless", "--kafka", "127.0.0.1:1"]);
    let ran = crate::support::ran(&output);
    assert_eq!(ran.code, 2, "{}", ran.error);
    assert!(
        ran.error.contains("node-lost") && ran.error.contains("cargo xtask stack test"),
        "{}",
        ran.error
    );
}

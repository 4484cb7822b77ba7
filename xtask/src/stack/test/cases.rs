//! The cases. A new one is a function and a line of the table.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::load::WAREHOUSES;
use super::scene::{Fault, Scene, some_time};
use super::services::Service;
use crate::stack::state::ARTEMIS;

#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    pub about: &'static str,
    /// Among the few that run everywhere.
    pub in_ci: bool,
    /// Breaks something and mends it again, while the load goes on; tells what was seen of it.
    pub fault: fn(&mut Scene<'_>) -> Result<Vec<Fault>>,
}

const fn case(
    name: &'static str,
    about: &'static str,
    in_ci: bool,
    fault: fn(&mut Scene<'_>) -> Result<Vec<Fault>>,
) -> Case {
    Case {
        name,
        about,
        in_ci,
        fault,
    }
}

pub const CASES: [Case; 15] = [
    case(
        "broker-killed",
        "kill -9 of the node that leads movements[0]; it comes back",
        true,
        broker_killed,
    ),
    case(
        "broker-paused",
        "that node stands still for 15 s",
        false,
        broker_paused,
    ),
    case(
        "controller-killed",
        "kill -9 of the active controller; it comes back",
        false,
        controller_killed,
    ),
    case(
        "artemis-killed",
        "kill -9 of the queue manager; it comes back with its journal",
        true,
        artemis_killed,
    ),
    case(
        "artemis-paused",
        "the queue manager stands still for 10 s",
        false,
        artemis_paused,
    ),
    case("gateway-killed", "kill -9 of the store gateway", false, |scene| {
        killed(scene, Service::StoreGateway)
    }),
    case("mq-source-killed", "kill -9 of mq-source", false, |scene| {
        killed(scene, Service::MqSource)
    }),
    case("normaliser-killed", "kill -9 of the normaliser", false, |scene| {
        killed(scene, Service::Normaliser)
    }),
    case("inventory-killed", "kill -9 of the inventory", true, |scene| {
        killed(scene, Service::Inventory)
    }),
    case("reconciler-killed", "kill -9 of the reconciler", false, |scene| {
        killed(scene, Service::Reconciler)
    }),
    case(
        "gateway-paused",
        "the store gateway stands still for 5 s",
        false,
        |scene| paused(scene, Service::StoreGateway),
    ),
    case(
        "mq-source-paused",
        "mq-source stands still for 5 s",
        false,
        |scene| paused(scene, Service::MqSource),
    ),
    case(
        "normaliser-zombie",
        "a second normaliser takes over from one that stands still, which then goes on",
        false,
        |scene| zombie(scene, Service::Normaliser),
    ),
    case(
        "inventory-zombie",
        "a second inventory takes over from one that stands still, which then goes on",
        false,
        |scene| zombie(scene, Service::Inventory),
    ),
    case(
        "inventory-restarted",
        "kill -9 of the inventory, four times in a row",
        false,
        restarted,
    ),
];

fn broker_killed(scene: &mut Scene<'_>) -> Result<Vec<Fault>> {
    let leader = scene.leader()?;
    let name = format!("kafka-{leader}");
    scene.end_server(&name)?;
    let moved = scene.leader_moves_from(leader);
    some_time(Duration::from_secs(3));
    scene.start_servers()?;
    Ok(vec![
        Fault::new(
            format!("{name} led movements[0], and another led it while it was gone"),
            moved,
        ),
        Fault::new(format!("{name} is in sync again"), scene.in_sync(leader)),
    ])
}

fn broker_paused(scene: &mut Scene<'_>) -> Result<Vec<Fault>> {
    let leader = scene.leader()?;
    let name = format!("kafka-{leader}");
    scene.signal_server(&name, "STOP")?;
    let moved = scene.leader_moves_from(leader);
    some_time(Duration::from_secs(15));
    scene.signal_server(&name, "CONT")?;
    Ok(vec![
        Fault::new(
            format!("{name} led movements[0], and another led it while it stood still"),
            moved,
        ),
        Fault::new(format!("{name} is in sync again"), scene.in_sync(leader)),
    ])
}

fn controller_killed(scene: &mut Scene<'_>) -> Result<Vec<Fault>> {
    let controller = scene.controller()?;
    let name = format!("kafka-{controller}");
    scene.end_server(&name)?;
    let another = scene.controller_is_not(controller);
    some_time(Duration::from_secs(3));
    scene.start_servers()?;
    Ok(vec![Fault::new(
        format!("{name} was the controller, and another was while it was gone"),
        another,
    )])
}

fn artemis_killed(scene: &mut Scene<'_>) -> Result<Vec<Fault>> {
    let before = scene.metric(Service::MqSource, "reconnects_total")?;
    scene.end_server(ARTEMIS)?;
    some_time(Duration::from_secs(2));
    scene.start_servers()?;
    let again = scene.metric_reaches(Service::MqSource, "connected", u64::from(WAREHOUSES))?;
    let after = scene.metric(Service::MqSource, "reconnects_total")?;
    Ok(vec![
        Fault::new(
            format!("mq-source lost its connections ({before} reconnects before, {after} after)"),
            after > before,
        ),
        Fault::new("all its queues are connected again", again),
    ])
}

fn artemis_paused(scene: &mut Scene<'_>) -> Result<Vec<Fault>> {
    scene.signal_server(ARTEMIS, "STOP")?;
    // What was on the way arrives still.
    some_time(Duration::from_secs(1));
    let before = scene.metric(Service::MqSource, "messages_total")?;
    some_time(Duration::from_secs(9));
    let after = scene.metric(Service::MqSource, "messages_total")?;
    scene.signal_server(ARTEMIS, "CONT")?;
    let on = scene.metric_reaches(Service::MqSource, "messages_total", after + 1)?;
    Ok(vec![
        Fault::new(
            format!("nothing came from the queues meanwhile ({before} messages, then {after})"),
            after == before,
        ),
        Fault::new("messages came again afterwards", on),
    ])
}

/// Which of a service's own figures says that it has begun anew and works.
const fn works(service: Service) -> (&'static str, u64) {
    match service {
        Service::StoreGateway | Service::MqSource => ("messages_total", 1),
        Service::Normaliser | Service::Inventory => ("transactions_total", 1),
        Service::Reconciler => ("papers_total", 1),
    }
}

fn killed(scene: &mut Scene<'_>, service: Service) -> Result<Vec<Fault>> {
    let died = scene.kill_service(service)?;
    some_time(Duration::from_secs(2));
    scene.start_service(service, "1")?;
    let (metric, least) = works(service);
    let again = scene.metric_reaches(service, metric, least)?;
    Ok(vec![
        Fault::new(format!("{} died by a signal", service.name()), died),
        Fault::new(format!("its successor works: {metric} from 0"), again),
    ])
}

fn paused(scene: &mut Scene<'_>, service: Service) -> Result<Vec<Fault>> {
    scene.signal_service(service, "STOP")?;
    let still = scene.service_stands_still(service)?;
    some_time(Duration::from_secs(5));
    scene.signal_service(service, "CONT")?;
    let (metric, _) = works(service);
    let before = scene.metric(service, metric)?;
    let on = scene.metric_reaches(service, metric, before + 1)?;
    Ok(vec![
        Fault::new(format!("{} stood still", service.name()), still),
        Fault::new("it went on afterwards", on),
    ])
}

/// Longer than the group's session: the second instance owns everything when the first wakes up and believes it does.
fn zombie(scene: &mut Scene<'_>, service: Service) -> Result<Vec<Fault>> {
    scene.signal_service(service, "STOP")?;
    let second = scene.start_second(service)?;
    let metric = match service {
        Service::Inventory => "partitions",
        _ => "transactions_total",
    };
    let least = if service == Service::Inventory { 6 } else { 1 };
    let took_over = scene
        .metric_of(second, metric, least)
        .context("the second instance")?;
    scene.signal_service(service, "CONT")?;
    // Both live on; whatever the first one still does is the audit's to find.
    some_time(Duration::from_secs(10));
    Ok(vec![Fault::new(
        format!(
            "the second {} took over while the first stood still: {metric} reached {least}",
            service.name()
        ),
        took_over,
    )])
}

fn restarted(scene: &mut Scene<'_>) -> Result<Vec<Fault>> {
    let mut deaths = 0;
    for round in 0..4 {
        deaths += u32::from(scene.kill_service(Service::Inventory)?);
        scene.start_service(Service::Inventory, "1")?;
        // Sometimes in its restore, sometimes behind it.
        some_time(Duration::from_secs(2 + 6 * (round % 2)));
    }
    let again = scene.metric_reaches(Service::Inventory, "transactions_total", 1)?;
    Ok(vec![
        Fault::new(format!("the inventory died {deaths} times"), deaths == 4),
        Fault::new("the last one works", again),
    ])
}

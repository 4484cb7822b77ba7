//! How each fault is made, made again, and undone.

use std::time::{Duration, Instant};

use backbone::amqp::{QueueMessage, QueueSender, queue_name};
use contracts::ids::LocationId;
use embedded::broker::Broker;
use embedded::broker::faults::{Api, Effect, Fault as Rule, FaultId, Moment, When};
use embedded::queue::{Cut, QueueServer};
use scenario::{Fault, ServiceName};
use tokio::task::JoinSet;

use super::hits::{service, source};
use super::{Outbreak, Scene, stores};
use crate::stage::services::{Ending, Services};

const MESSAGES_ONE_IN: u32 = 20;
const ANSWERS_ONE_IN: u32 = 20;
const REQUESTS_ONE_IN: u32 = 200;
const DELAY: Duration = Duration::from_millis(300);
const EVERY: Duration = Duration::from_secs(1);
const RESTART_EVERY: Duration = Duration::from_millis(1_500);
/// Of one queue, each time.
const ACCEPTANCES_LOST: u64 = 3;
/// More than Kafka's client takes in one record.
const POISON_BYTES: usize = contracts::topics::RECORD_BYTES_MAX + 1;
const NODES: i32 = 3;
/// What a zombie had sent is written so long after the end of its session: by then another instance owns its partitions.
const LATE: Duration = Duration::from_millis(1_500);
/// All that a client asks beside Produce; a new connection begins with one of these.
const SILENCED: [Api; 13] = [
    Api::ApiVersions,
    Api::Metadata,
    Api::Fetch,
    Api::ListOffsets,
    Api::OffsetForLeaderEpoch,
    Api::FindCoordinator,
    Api::JoinGroup,
    Api::SyncGroup,
    Api::Heartbeat,
    Api::LeaveGroup,
    Api::OffsetCommit,
    Api::OffsetFetch,
    Api::InitProducerId,
];

pub async fn begin(
    outbreak: &mut Outbreak,
    scene: &mut Scene<'_>,
    senders: &mut JoinSet<()>,
) -> Result<(), String> {
    let what = outbreak.what.clone();
    let name = service(&what);
    if let Some(source) = source(what.fault) {
        let one_in = what.one_in.unwrap_or(MESSAGES_ONE_IN);
        scene.load.set_source_fault(source, one_in);
        return Ok(());
    }
    match what.fault {
        Fault::StoresOffline => lines_down(outbreak, scene, stores(what.stores.as_ref(), scene.places)),
        Fault::QueueManagerStops => {
            queue(scene)?.faults().stop_manager().await;
            Ok(())
        }
        Fault::StoreGatewayKilled
        | Fault::MqSourceKilled
        | Fault::NormaliserKilled
        | Fault::InventoryKilled
        | Fault::ReconcilerKilled
        | Fault::ItemProjectorKilled => {
            runs(scene, name)?;
            let killed = scene.services.stop(name, Ending::Abrupt).await;
            outbreak.count = killed as u64;
            outbreak.undo.start = Some((name, killed));
            Ok(())
        }
        Fault::NormaliserZombie | Fault::InventoryZombie => {
            let number = runs(scene, name)?;
            if scene.services.instances(name) == 1 {
                start(scene, name).await?;
            }
            outbreak.undo.rules = partitioned(broker(scene)?, name, number, scene.session_timeout + LATE);
            Ok(())
        }
        Fault::ServiceSlow => {
            let number = runs(scene, name)?;
            let delay = what.delay.map_or(DELAY, scenario::WallTime::as_duration);
            outbreak.undo.rules = of_instance(broker(scene)?, name, number, Effect::Delay(delay));
            Ok(())
        }
        Fault::InstanceJoins => {
            runs(scene, name)?;
            outbreak.undo.stop = Some((name, start(scene, name).await?));
            Ok(())
        }
        Fault::InstanceLeaves => {
            let number = runs(scene, name)?;
            scene.services.stop_instance(name, number, Ending::Graceful).await;
            outbreak.undo.start = Some((name, 1));
            Ok(())
        }
        Fault::NodeLost => node_down(outbreak, scene, what.node.map_or(1, i32::from)).await,
        Fault::AnswersLost => {
            let one_in = what.one_in.unwrap_or(ANSWERS_ONE_IN);
            let faults = broker(scene)?.faults();
            outbreak.undo.rules = [Api::Produce, Api::OffsetCommit]
                .map(|api| faults.add(chance(Moment::After, one_in, scene.seed).api(api)))
                .to_vec();
            Ok(())
        }
        Fault::BrokerDisconnects => {
            let one_in = what.one_in.unwrap_or(REQUESTS_ONE_IN);
            let rule = chance(Moment::Before, one_in, scene.seed);
            outbreak.undo.rules = vec![broker(scene)?.faults().add(rule)];
            Ok(())
        }
        Fault::BrokerSilent => {
            let node = what.node.map_or(1, i32::from);
            let rule = Rule::new(Effect::Silence(Moment::Before)).node(node);
            outbreak.undo.rules = vec![broker(scene)?.faults().add(rule)];
            Ok(())
        }
        Fault::DataCentreLost => data_centre_down(outbreak, scene, what.data_centre.unwrap_or(1)).await,
        Fault::DiskFull => Err("it is no step: give --report a file on a full disk".into()),
        _ => again(outbreak, scene, senders).await,
    }
}

/// What is done every so often, and first at once.
pub async fn again(
    outbreak: &mut Outbreak,
    scene: &mut Scene<'_>,
    senders: &mut JoinSet<()>,
) -> Result<(), String> {
    let what = outbreak.what.clone();
    let default = if what.fault == Fault::ServiceRestarts {
        RESTART_EVERY
    } else {
        EVERY
    };
    let every = what.every.map_or(default, scenario::WallTime::as_duration);
    outbreak.next = Some(Instant::now() + every);
    let round = outbreak.rounds;
    outbreak.rounds += 1;
    match what.fault {
        Fault::StoreServersRestart => {
            let all = stores(
                what.stores.as_ref().or(Some(&scenario::Selector::All)),
                scene.places,
            );
            // Some of them each time, so that all get their turn.
            let some = all.len().div_ceil(4);
            let turn = all
                .chunks(some)
                .nth(round as usize % all.len().div_ceil(some).max(1));
            scene.load.restart_store_servers(turn.unwrap_or_default());
        }
        Fault::QueueRedelivers => {
            let faults = queue(scene)?.faults();
            for queue in queues(scene, None) {
                faults.spare(&queue);
                faults.lose_acceptances(&queue, ACCEPTANCES_LOST);
                outbreak.undo.queues.push(queue);
            }
        }
        Fault::QueueCuts => {
            let faults = queue(scene)?.faults();
            let messages = 1 + round % 3;
            for queue in queues(scene, None) {
                let cut = if round.is_multiple_of(2) {
                    Cut::Storing(messages)
                } else {
                    Cut::Settling(messages)
                };
                faults.cut_after(&queue, cut);
                outbreak.undo.queues.push(queue);
            }
        }
        Fault::QueuePoison => {
            queue(scene)?;
            let queues = queues(scene, None);
            if let Some(queue) = queues.get(round as usize % queues.len().max(1)) {
                senders.spawn(poison(scene.servers.amqp.clone(), queue.clone()));
            }
        }
        Fault::ServiceRestarts => {
            let name = service(&what);
            // One that failed by itself is started all the same.
            if let Some(number) = scene.services.oldest(name) {
                let stopped = scene.services.stop_instance(name, number, Ending::Abrupt).await;
                outbreak.count += u64::from(stopped);
            }
            start(scene, name).await?;
        }
        Fault::CoordinatorMoves => {
            let broker = broker(scene)?;
            for name in [ServiceName::Normaliser, ServiceName::Inventory] {
                for group in Services::groups(name) {
                    let before = broker.coordinator_of(group);
                    let next = before.unwrap_or_default() % NODES + 1;
                    broker
                        .move_coordinator(group, next)
                        .map_err(|error| error.to_string())?;
                    outbreak.count += u64::from(broker.coordinator_of(group) != before);
                }
            }
        }
        Fault::LeadersMove => outbreak.count += leaders_move(broker(scene)?),
        _ => outbreak.next = None,
    }
    outbreak.undo.queues.sort_unstable();
    outbreak.undo.queues.dedup();
    Ok(())
}

pub async fn end(outbreak: &mut Outbreak, scene: &mut Scene<'_>) -> Result<(), String> {
    let undo = std::mem::take(&mut outbreak.undo);
    let fault = outbreak.what.fault;
    if let Some(source) = source(fault) {
        scene.load.set_source_fault(source, 0);
    }
    scene.load.set_offline(&undo.stores, false);
    if let Some(broker) = scene.servers.broker() {
        let faults = broker.faults();
        undo.rules.iter().for_each(|rule| faults.remove(*rule));
        if let Some(node) = undo.node {
            broker.start_node(node).await.map_err(|error| error.to_string())?;
        }
    }
    if let Some(queue) = scene.servers.queue() {
        let faults = queue.faults();
        for name in &undo.queues {
            faults.spare(name);
            if fault == Fault::DataCentreLost {
                faults.open_queue(name);
            }
        }
        if fault == Fault::QueueManagerStops {
            faults.start_manager().await.map_err(|error| error.to_string())?;
        }
    }
    if let Some((name, number)) = undo.stop {
        scene.services.stop_instance(name, number, Ending::Graceful).await;
    }
    if let Some((name, count)) = undo.start {
        // Somebody may have started it meanwhile.
        let missing = if fault == Fault::InstanceLeaves {
            count
        } else {
            count.saturating_sub(scene.services.instances(name))
        };
        for _ in 0..missing {
            start(scene, name).await?;
        }
    }
    Ok(())
}

fn broker<'a>(scene: &Scene<'a>) -> Result<&'a Broker, String> {
    scene
        .servers
        .broker()
        .ok_or_else(|| "it needs the embedded broker; on real servers use `cargo xtask stack test`".into())
}

fn queue<'a>(scene: &Scene<'a>) -> Result<&'a QueueServer, String> {
    scene
        .servers
        .queue()
        .ok_or_else(|| "it needs the embedded queue; on real servers use `cargo xtask stack test`".into())
}

/// The number of the oldest instance.
fn runs(scene: &Scene<'_>, name: ServiceName) -> Result<u32, String> {
    scene
        .services
        .oldest(name)
        .ok_or_else(|| format!("{name} does not run here"))
}

async fn start(scene: &mut Scene<'_>, name: ServiceName) -> Result<u32, String> {
    scene
        .services
        .start_instance(name)
        .await
        .map_err(|error| format!("{name} does not start: {error:#}"))
}

fn chance(moment: Moment, one_in: u32, seed: u64) -> Rule {
    Rule::new(Effect::Disconnect(moment)).when(When::Chance { one_in, seed })
}

fn of_instance(broker: &Broker, name: ServiceName, number: u32, effect: Effect) -> Vec<FaultId> {
    let faults = broker.faults();
    Services::clients(name, number)
        .into_iter()
        .map(|client| faults.add(Rule::new(effect).client(client)))
        .collect()
}

/// Nothing that it asks is answered, and what it had sent to be written is written so late that others have its work.
fn partitioned(broker: &Broker, name: ServiceName, number: u32, late: Duration) -> Vec<FaultId> {
    let faults = broker.faults();
    let silence = Effect::Silence(Moment::Before);
    let mut rules = Vec::new();
    for client in Services::clients(name, number) {
        rules.push(
            faults.add(
                Rule::new(Effect::Delay(late))
                    .api(Api::Produce)
                    .client(client.clone()),
            ),
        );
        rules.extend(SILENCED.map(|api| faults.add(Rule::new(silence).api(api).client(client.clone()))));
    }
    rules
}

/// Names of the warehouses' queues, of one data centre or of all.
fn queues(scene: &Scene<'_>, data_centre: Option<u8>) -> Vec<String> {
    scene
        .places
        .iter()
        .filter(|place| !place.location.is_store())
        .filter(|place| data_centre.is_none_or(|wanted| place.data_centre == wanted))
        .map(|place| queue_name(place.location))
        .collect()
}

fn lines_down(outbreak: &mut Outbreak, scene: &Scene<'_>, chosen: Vec<LocationId>) -> Result<(), String> {
    let before = scene.load.snapshot().stores_offline;
    let places = scene.places.iter().filter(|place| place.location.is_store());
    let down: Vec<LocationId> = places
        .enumerate()
        .filter(|(position, _)| scene.load.is_offline(*position))
        .map(|(_, place)| place.location)
        .collect();
    let chosen: Vec<LocationId> = chosen.into_iter().filter(|store| !down.contains(store)).collect();
    if chosen.is_empty() {
        return Err("no store that has its line is named".into());
    }
    scene.load.set_offline(&chosen, true);
    outbreak.count += scene.load.snapshot().stores_offline.saturating_sub(before);
    outbreak.undo.stores = chosen;
    Ok(())
}

/// Leaders of all partitions.
fn leaders(broker: &Broker) -> Vec<(String, i32, i32)> {
    let topics = broker.stats().topics;
    let each = topics.iter().flat_map(|(topic, partitions)| {
        (0..)
            .zip(partitions)
            .map(|(number, partition)| (topic.clone(), number, partition.leader))
    });
    each.collect()
}

async fn node_down(outbreak: &mut Outbreak, scene: &Scene<'_>, node: i32) -> Result<(), String> {
    let broker = broker(scene)?;
    let stats = broker.stats();
    if !stats.live_nodes.contains(&node) {
        return Err(format!("node {node} is lost already"));
    }
    if stats.live_nodes.len() == 1 {
        return Err("it is the last node".into());
    }
    let before = leaders(broker);
    broker.stop_node(node).await.map_err(|error| error.to_string())?;
    let after = leaders(broker);
    let moved = before
        .iter()
        .zip(&after)
        .filter(|(before, after)| before.2 == node && after.2 != node);
    outbreak.count += moved.count() as u64;
    outbreak.undo.node = Some(node);
    Ok(())
}

/// Every partition gets the next node that lives; says how many did.
fn leaders_move(broker: &Broker) -> u64 {
    let live = broker.stats().live_nodes;
    let mut moved = 0;
    for (topic, partition, leader) in leaders(broker) {
        let next = live
            .iter()
            .copied()
            .find(|node| *node > leader)
            .or(live.first().copied());
        let Some(next) = next.filter(|next| *next != leader) else {
            continue;
        };
        // A node that holds no copy of it cannot lead it.
        moved += u64::from(broker.move_leader(&topic, partition, next).is_ok());
    }
    moved
}

async fn data_centre_down(outbreak: &mut Outbreak, scene: &Scene<'_>, number: u8) -> Result<(), String> {
    queue(scene)?;
    let in_it = |location: LocationId| {
        let mut places = scene.places.iter();
        places.any(|place| place.location == location && place.data_centre == number)
    };
    let all = stores(Some(&scenario::Selector::All), scene.places);
    let its_stores: Vec<LocationId> = all.into_iter().filter(|store| in_it(*store)).collect();
    node_down(outbreak, scene, i32::from(number - 1) % NODES + 1).await?;
    if !its_stores.is_empty() {
        lines_down(outbreak, scene, its_stores)?;
    }
    let faults = queue(scene)?.faults();
    for queue in queues(scene, Some(number)) {
        faults.close_queue(&queue);
        outbreak.count += 1;
        outbreak.undo.queues.push(queue);
    }
    Ok(())
}

/// A warehouse's message that Kafka never takes. It stands for nothing.
async fn poison(amqp: backbone::amqp::AmqpOptions, queue: String) {
    let send = async {
        let mut sender = QueueSender::connect(&amqp, &queue).await?;
        let message = QueueMessage {
            body: vec![0x6f; POISON_BYTES].into(),
            due_ms: 0,
            properties: backbone::amqp::MessageProperties::default(),
        };
        let sent = sender.send_all(vec![message]).await;
        sender.close().await;
        sent.map_err(|failed| failed.source)
    };
    if let Err(error) = send.await {
        tracing::warn!(%error, queue, "poison did not reach its queue");
    }
}

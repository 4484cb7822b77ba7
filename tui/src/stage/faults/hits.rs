//! How often a fault hit: what the thing that was hit counts.

use load::SourceFault;
use scenario::{Break, Fault, ServiceName};

use super::{Outbreak, Scene};
use crate::stage::services::Services;

pub const fn source(fault: Fault) -> Option<SourceFault> {
    match fault {
        Fault::Duplicates => Some(SourceFault::Duplicate),
        Fault::Late => Some(SourceFault::Late),
        Fault::Reordered => Some(SourceFault::Reordered),
        Fault::Poison => Some(SourceFault::Poison),
        Fault::MissingNumbers => Some(SourceFault::MissingNumber),
        Fault::ClockSkew => Some(SourceFault::ClockSkew),
        _ => None,
    }
}

/// The service that a fault is about; the inventory, where a step may say and does not.
pub fn service(what: &Break) -> ServiceName {
    match what.fault {
        Fault::StoreGatewayKilled => ServiceName::StoreGateway,
        Fault::MqSourceKilled => ServiceName::MqSource,
        Fault::NormaliserKilled | Fault::NormaliserZombie => ServiceName::Normaliser,
        Fault::ReconcilerKilled => ServiceName::Reconciler,
        Fault::ItemProjectorKilled => ServiceName::ItemProjector,
        _ => what.service.unwrap_or(ServiceName::Inventory),
    }
}

/// Whether other faults raise the counter of this one too, so that it counts only for as long as this one can raise it.
pub const fn are_others_too(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::NormaliserZombie | Fault::InventoryZombie | Fault::InstanceJoins | Fault::InstanceLeaves
    )
}

/// What the counter of the thing says now; 0 where the outbreak counts for itself.
pub fn counter(what: &Break, scene: &Scene<'_>) -> u64 {
    if let Some(source) = source(what.fault) {
        return scene.load.source_faults().of(source).messages;
    }
    let queue = scene.servers.queue().map(|queue| queue.faults().counts());
    let groups = || {
        let broker = scene.servers.broker();
        Services::groups(service(what))
            .iter()
            .filter_map(move |group| broker?.group(group))
    };
    match what.fault {
        Fault::StoreServersRestart => scene.load.source_faults().uploads_again,
        Fault::QueueManagerStops => queue.map_or(0, |counts| counts.manager_stops),
        Fault::QueueRedelivers => queue.map_or(0, |counts| counts.acceptances_lost),
        Fault::QueueCuts => queue.map_or(0, |counts| counts.connections_cut),
        Fault::QueuePoison => queue.map_or(0, |counts| counts.backed_out),
        Fault::NormaliserZombie | Fault::InventoryZombie => groups().map(|group| group.expired).sum(),
        Fault::InstanceJoins | Fault::InstanceLeaves => groups()
            .map(|group| u64::try_from(group.generation).unwrap_or_default())
            .sum(),
        _ => 0,
    }
}

pub fn of(outbreak: &Outbreak, scene: &Scene<'_>) -> u64 {
    if let Some(hits) = outbreak.hits {
        return hits;
    }
    let is_by_rules = matches!(
        outbreak.what.fault,
        Fault::ServiceSlow | Fault::AnswersLost | Fault::BrokerDisconnects | Fault::BrokerSilent
    );
    let by_rules: u64 = match scene.servers.broker() {
        Some(broker) if is_by_rules => {
            let faults = broker.faults();
            outbreak.rules.iter().map(|rule| faults.hits(*rule)).sum()
        }
        _ => 0,
    };
    let counted = counter(&outbreak.what, scene).saturating_sub(outbreak.before);
    outbreak.count + by_rules + counted
}

//! Keeps the logs within time, size and memory.
//!
//! Invariant: under pressure of memory a batch is dropped only if every group that ever committed its partition,
//! and at least one, has committed beyond it: nothing unread is lost. Age and size of a topic's own settings go
//! without asking, as on a real broker.
//! Compacted topics are not trimmed here unless their policy says delete as well.

use super::cluster::{Cluster, Topic, now_ms};
use super::log::Log;
use super::partition::Partition;

/// Above this share of the bound, read batches are dropped...
const PRESSURE: f64 = 0.70;
/// ...until this share is left.
const RELIEF: f64 = 0.55;

/// One round over all partitions.
pub fn run(cluster: &Cluster) {
    let now = now_ms();
    for topic in cluster.topics() {
        let config = topic.config();
        if config.is_deleted {
            for partition in topic.partitions().iter() {
                let keep = |log: &Log| expired_end(log, now, config.retention_ms, config.retention_bytes);
                let offset = partition.inspect(keep);
                cluster.memory.free(partition.trim_to(offset));
            }
        }
    }
    let bound = cluster.memory.bound() as f64;
    if cluster.memory.held() as f64 > bound * PRESSURE {
        relieve(cluster, (bound * RELIEF) as usize);
    }
}

/// The offset below which a topic's own limits drop everything.
fn expired_end(log: &Log, now: i64, retention_ms: Option<i64>, retention_bytes: Option<usize>) -> i64 {
    let mut end = log.start();
    let mut left = log.bytes();
    for batch in log.batches() {
        let is_old = retention_ms.is_some_and(|keep| batch.max_timestamp < now - keep);
        let is_too_much = retention_bytes.is_some_and(|keep| left - batch.held_bytes() >= keep);
        if !is_old && !is_too_much {
            break;
        }
        left -= batch.held_bytes();
        end = batch.last_offset + 1;
    }
    end
}

/// What a partition could give.
struct Droppable {
    topic: std::sync::Arc<Topic>,
    index: usize,
    floor: i64,
    bytes: usize,
}

/// Drops read batches, from each partition the same share, until `target` bytes are held or none are left.
fn relieve(cluster: &Cluster, target: usize) {
    let floors = cluster.coordinator.floors();
    let mut droppable = Vec::new();
    for topic in cluster.topics() {
        let config = topic.config();
        if config.is_compacted || !config.is_deleted {
            continue;
        }
        let Some(by_partition) = floors.get(&topic.name) else {
            continue;
        };
        for (index, partition) in topic.partitions().iter().enumerate() {
            if let Some(floor) = by_partition.get(&partition.index) {
                let bytes = partition.inspect(|log| bytes_below(log, *floor));
                droppable.push(Droppable {
                    topic: std::sync::Arc::clone(&topic),
                    index,
                    floor: *floor,
                    bytes,
                });
            }
        }
    }
    let total: usize = droppable.iter().map(|d| d.bytes).sum();
    let excess = cluster.memory.held().saturating_sub(target);
    if total == 0 || excess == 0 {
        return;
    }
    let share = (excess as f64 / total as f64).min(1.0);
    for give in droppable {
        let partitions = give.topic.partitions();
        let partition: &Partition = &partitions[give.index];
        let wanted = (give.bytes as f64 * share).ceil() as usize;
        let offset = partition.inspect(|log| offset_after(log, give.floor, wanted));
        cluster.memory.free(partition.trim_to(offset));
    }
}

fn bytes_below(log: &Log, floor: i64) -> usize {
    log.batches()
        .iter()
        .take_while(|batch| batch.last_offset < floor)
        .map(super::log::StoredBatch::held_bytes)
        .sum()
}

/// The offset at which at least `wanted` bytes lie below, if they are all below `floor`.
fn offset_after(log: &Log, floor: i64, wanted: usize) -> i64 {
    let mut offset = log.start();
    let mut bytes = 0;
    for batch in log.batches().iter().take_while(|batch| batch.last_offset < floor) {
        if bytes >= wanted {
            break;
        }
        bytes += batch.held_bytes();
        offset = batch.last_offset + 1;
    }
    offset
}

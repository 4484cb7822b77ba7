//! A flush: one cut of the input, published in an order in which every prefix is a state that a restore understands.
//!
//! Intent (what this flush will reach) · cells and partials (at least what lies below the cut) · windows and
//! completeness (exactly what lies below it) · head · the group's commit. Each is acknowledged before the next.

use std::time::Duration;

use backbone::{Assignment, GroupConsumer, Producer};
use contracts::records::{Head, Intent, PartialEnd};
use contracts::topics::{ITEM_PARTIALS, MOVEMENTS, PARTITIONS, STORE_INVENTORY, StateKey};
use prost::Message;

use crate::acquire::wall_ms;
use crate::partition::Partition;
use crate::{Counters, InventoryError};

const TIMEOUT: Duration = Duration::from_secs(15);

/// A partition with what its owner published of it.
#[derive(Debug)]
pub struct Owned {
    pub state: Partition,
    /// Records in `store.inventory` since the barrier.
    pub records: u64,
    /// All partials are to be followed by an end mark: the first flush after a restore.
    pub fresh: bool,
    /// Cut of the last head.
    pub flushed: u64,
}

impl Owned {
    pub const fn new(state: Partition) -> Self {
        let flushed = state.next;
        Self {
            state,
            records: 0,
            fresh: true,
            flushed,
        }
    }

    fn wants_flush(&self) -> bool {
        self.fresh || self.state.next > self.flushed || self.state.is_dirty()
    }
}

/// Collects the first error of a closure that cannot return one.
struct Sink<'a> {
    producer: &'a mut Producer,
    result: Result<(), backbone::BackboneError>,
}

impl Sink<'_> {
    fn send(&mut self, topic: &str, partition: u32, key: &[u8], value: &[u8]) {
        if self.result.is_ok() {
            self.result = self.producer.send(topic, partition, key, value, None, &[]);
        }
    }
}

/// Flushes all partitions that have something new. The caller applies nothing while it runs, so the cut is one.
pub fn flush(
    owned: &mut [Owned],
    producer: &mut Producer,
    consumer: &GroupConsumer,
    counters: &Counters,
) -> Result<(), InventoryError> {
    let mut dirty: Vec<&mut Owned> = owned.iter_mut().filter(|owned| owned.wants_flush()).collect();
    if dirty.is_empty() {
        return Ok(());
    }
    let mut digests = Vec::with_capacity(dirty.len());
    for owned in &mut dirty {
        let state = &mut owned.state;
        let (cells_digest, windows_digest) = state.digests();
        digests.push((cells_digest, windows_digest));
        let intent = Intent {
            epoch: state.epoch,
            cut: state.next,
            cells_digest,
            windows_digest,
        };
        let key = StateKey::Intent {
            partition: state.number,
        }
        .to_bytes();
        producer.send(
            STORE_INVENTORY,
            state.number,
            &key,
            &intent.encode_to_vec(),
            None,
            &[],
        )?;
        owned.records += 1;
    }
    producer.flush(TIMEOUT)?;

    let mut sink = Sink {
        producer,
        result: Ok(()),
    };
    for owned in &mut dirty {
        let (partition, cut) = (owned.state.number, owned.state.next);
        let cells = owned
            .state
            .take_cells(&mut |key, value| sink.send(STORE_INVENTORY, partition, key, value));
        let partials = owned.state.take_partials(cut, &mut |key, value| {
            sink.send(ITEM_PARTIALS, partition, key, value);
        });
        owned.records += cells;
        Counters::add(&counters.cells_written, cells);
        Counters::add(&counters.partials_written, partials);
    }
    sink.result?;
    producer.flush(TIMEOUT)?;

    let mut sink = Sink {
        producer,
        result: Ok(()),
    };
    for owned in &mut dirty {
        let (partition, cut) = (owned.state.number, owned.state.next);
        owned.records += owned.state.take_windows(cut, &mut |key, value| {
            sink.send(STORE_INVENTORY, partition, key, value);
        });
        if owned.fresh {
            let end = PartialEnd {
                epoch: owned.state.epoch,
                cut,
            };
            sink.send(
                ITEM_PARTIALS,
                partition,
                &StateKey::PartialEnd { partition }.to_bytes(),
                &end.encode_to_vec(),
            );
        }
    }
    sink.result?;
    producer.flush(TIMEOUT)?;

    let mut commits: Vec<(Assignment, u64)> = Vec::with_capacity(dirty.len());
    for (owned, (cells_digest, windows_digest)) in dirty.iter_mut().zip(digests) {
        owned.records += 1;
        let state = &owned.state;
        let head = Head {
            epoch: state.epoch,
            cut: state.next,
            // librdkafka does not tell either to this client yet.
            leader_epoch: -1,
            topic_id: String::new(),
            partitions: PARTITIONS,
            cells_digest,
            windows_digest,
            records: owned.records,
            at_ms: wall_ms(),
        };
        let key = StateKey::Head {
            partition: state.number,
        }
        .to_bytes();
        producer.send(
            STORE_INVENTORY,
            state.number,
            &key,
            &head.encode_to_vec(),
            None,
            &[],
        )?;
        commits.push(((MOVEMENTS.to_owned(), state.number), state.next));
    }
    producer.flush(TIMEOUT)?;
    for owned in &mut dirty {
        owned.fresh = false;
        owned.flushed = owned.state.next;
    }
    // Serves lag and retention alone: the state says itself where it goes on.
    for (commit, owned) in commits.iter().zip(&dirty) {
        consumer.commit(
            std::slice::from_ref(commit),
            &format!("epoch={}", owned.state.epoch),
        )?;
    }
    Counters::add(&counters.flushes, 1);
    Ok(())
}

//! What somebody else wrote among an owner's records, and which of its own keys the owner has to write again for that.
//!
//! Invariant: after each head, every record in the log behind the own barrier is accounted for: the log's end is the end
//! looked at before plus what the owner sent, or the difference is read, and each key that an older owner wrote in it is
//! new again, so that a head behind it can say that it is repaired. It decides nothing else, and writes nothing.

use std::cmp::Ordering;

use contracts::records;
use contracts::topics::StateKey;
use prost::Message;

use crate::InventoryError;
use crate::log::{Log, OutTopic};
use crate::partition::Partition;

/// How far the log of one topic is accounted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Everything below it is the owner's, or written over.
    pub checked: u64,
    /// Records of the owner from there on.
    pub sent: u64,
}

/// What the log says at an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    Even,
    /// So many keys of an older owner's are new again.
    Displaced(u64),
}

impl Account {
    /// From where on it does not account for the log; `None`: it accounts for all of it. From here on it does.
    pub fn balance(
        &mut self,
        topic: &'static str,
        partition: u32,
        end: u64,
    ) -> Result<Option<u64>, InventoryError> {
        let expected = self.checked + self.sent;
        if end < expected {
            return Err(InventoryError::Shrunk {
                topic,
                partition,
                end,
                expected,
            });
        }
        let from = self.checked;
        *self = Self {
            checked: end,
            sent: 0,
        };
        Ok((end > expected).then_some(from))
    }

    /// Settles with the log's end, behind all that was acknowledged.
    pub fn settle(
        &mut self,
        state: &mut Partition,
        topic: OutTopic,
        end: u64,
        log: &mut impl Log,
    ) -> Result<Balance, InventoryError> {
        let partition = state.number();
        let Some(from) = self.balance(topic.name(), partition, end)? else {
            return Ok(Balance::Even);
        };
        let mut displaced = 0;
        let own = state.epoch();
        log.read(topic, partition, from, end, &mut |_, key, payload| {
            let Some(payload) = payload else { return Ok(()) };
            match look(partition, own, key, payload) {
                Look::Own => {}
                Look::Newer(epoch) => return Err(InventoryError::Superseded { partition, epoch }),
                Look::Older(key, reached) => {
                    displaced += 1;
                    // Readers have seen what lies below it, perhaps: nothing older may follow.
                    state.hold_until = state.hold_until.max(reached);
                    renew(state, key);
                }
            }
            Ok(())
        })?;
        Ok(if displaced == 0 {
            Balance::Even
        } else {
            Balance::Displaced(displaced)
        })
    }
}

enum Look {
    /// The owner's, or nothing that displaces anything.
    Own,
    Newer(u32),
    /// With the offset of the input that it had reached.
    Older(StateKey, u64),
}

fn look(partition: u32, own: u32, key: &[u8], payload: &[u8]) -> Look {
    let Some(key) = StateKey::parse(key) else {
        return Look::Own;
    };
    let told = match key {
        StateKey::Barrier {
            partition: of, epoch, ..
        } if of == partition => {
            return if epoch > own {
                Look::Newer(epoch)
            } else {
                Look::Own
            };
        }
        StateKey::Cell { .. } => records::Cell::decode(payload).map(|r| (r.epoch, r.applied_offset)),
        StateKey::Window(_) => records::Window::decode(payload).map(|r| (r.epoch, r.cut)),
        StateKey::Completeness(_) => records::Completeness::decode(payload).map(|r| (r.epoch, r.cut)),
        StateKey::Intent { partition: of } if of == partition => {
            records::Intent::decode(payload).map(|r| (r.epoch, r.cut))
        }
        StateKey::Head { partition: of } if of == partition => {
            records::Head::decode(payload).map(|r| (r.epoch, r.cut))
        }
        StateKey::Partial { partition: of, .. } if of == partition => {
            records::Partial::decode(payload).map(|r| (r.epoch, r.cut))
        }
        StateKey::PartialEnd { partition: of } if of == partition => {
            records::PartialEnd::decode(payload).map(|r| (r.epoch, r.cut))
        }
        // Images share no key with those of others.
        _ => return Look::Own,
    };
    // One that cannot be read displaces one that can, whoever wrote it.
    let (epoch, reached) = told.unwrap_or((0, 0));
    match epoch.cmp(&own) {
        Ordering::Equal => Look::Own,
        Ordering::Greater => Look::Newer(epoch),
        Ordering::Less => Look::Older(key, reached),
    }
}

/// Intent, head and end mark are written with each repair anyway.
fn renew(state: &mut Partition, key: StateKey) {
    match key {
        StateKey::Cell { location, sku } => state.renew_cell(location, sku),
        StateKey::Window(source) => state.renew_source(source),
        StateKey::Completeness(location) => state.renew_location(location),
        StateKey::Partial { sku, .. } => state.renew_share(sku),
        _ => {}
    }
}

//! Faults of a queue manager, set while it runs: it stops and comes back, delivers again, breaks connections off.
//!
//! Each makes sure that it happens: a cut falls between two messages that are counted here, not at some instant.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Manager, QueueError};

/// Where a connection breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// When so many more messages are stored, before their sender hears of the last of them: it will send them again.
    Storing(u64),
    /// When so many more messages are accepted by a receiver; what else it accepted in the same breath gets lost, so it
    /// is delivered again.
    Settling(u64),
}

/// How often each happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    pub manager_stops: u64,
    /// Connections that broke off, those of a manager that stopped included.
    pub connections_cut: u64,
    /// Acceptances that never arrived.
    pub acceptances_lost: u64,
    /// Messages that did not outlive their manager, because their sender did not ask for it.
    pub volatile_lost: u64,
    /// Messages that went to a backout queue.
    pub backed_out: u64,
}

#[derive(Debug, Default)]
pub struct Counters {
    pub manager_stops: AtomicU64,
    pub connections_cut: AtomicU64,
    pub acceptances_lost: AtomicU64,
    pub volatile_lost: AtomicU64,
    pub backed_out: AtomicU64,
}

impl Counters {
    pub fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::AcqRel);
    }
}

/// The handle. Cloned freely; it does not keep the manager alive.
#[derive(Clone)]
pub struct Faults {
    pub(super) manager: Arc<Manager>,
}

impl Faults {
    /// The manager ends as if its process died: all connections break, nobody can connect, and only messages whose
    /// header says durable are there when it comes back. Returns when everything that was out is back in its queue.
    pub async fn stop_manager(&self) {
        self.manager.stop().await;
    }

    /// The manager comes back at the same address. Does nothing while it runs.
    pub async fn start_manager(&self) -> Result<(), QueueError> {
        self.manager.start().await
    }

    /// Breaks all connections off, without a word.
    pub fn cut(&self) {
        self.manager.cut();
    }

    /// Breaks off the connection that brings the next messages of this queue over a limit.
    pub fn cut_after(&self, queue: &str, cut: Cut) {
        self.manager.queues.get(queue).cut_after(cut);
    }

    /// The next acceptances from receivers of this queue get lost on the way: those messages are delivered again, over the
    /// same connection, with their count raised.
    pub fn lose_acceptances(&self, queue: &str, count: u64) {
        self.manager.queues.get(queue).lose_acceptances(count);
    }

    /// Takes back what [`Faults::cut_after`] and [`Faults::lose_acceptances`] set for this queue and what has not happened.
    pub fn spare(&self, queue: &str) {
        self.manager.queues.get(queue).spare();
    }

    /// Nobody gets to this queue: the connections of all who are attached break, and so does that of whoever attaches.
    /// What lies in it stays. The manager's other queues are served on.
    pub fn close_queue(&self, queue: &str) {
        self.manager.queues.get(queue).close();
    }

    /// It is served again. Does nothing to a queue that is open.
    pub fn open_queue(&self, queue: &str) {
        self.manager.queues.get(queue).open();
    }

    pub fn counts(&self) -> FaultCounts {
        let counters = &self.manager.queues.counters;
        let get = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        FaultCounts {
            manager_stops: get(&counters.manager_stops),
            connections_cut: get(&counters.connections_cut),
            acceptances_lost: get(&counters.acceptances_lost),
            volatile_lost: get(&counters.volatile_lost),
            backed_out: get(&counters.backed_out),
        }
    }
}

//! The queues themselves: messages in their order, those that are out with a receiver, and who waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use fe2o3_amqp_types::messaging::{Body, Message};
use fe2o3_amqp_types::primitives::Value;
use parking_lot::Mutex;
use tokio::sync::Notify;

pub type Stored = Message<Body<Value>>;

/// A message with its place in the queue.
#[derive(Debug)]
pub struct Entry {
    pub position: u64,
    pub message: Stored,
    pub deliveries: u32,
}

#[derive(Debug, Default)]
struct Inner {
    ready: BTreeMap<u64, (Stored, u32)>,
    /// Out with receivers, not settled.
    out: usize,
    next: u64,
}

#[derive(Debug)]
pub struct Queue {
    inner: Mutex<Inner>,
    max_depth: usize,
    news: Notify,
    room: Notify,
}

impl Queue {
    fn new(max_depth: usize) -> Self {
        Self {
            inner: Mutex::default(),
            max_depth,
            news: Notify::new(),
            room: Notify::new(),
        }
    }

    pub fn depth(&self) -> usize {
        let inner = self.inner.lock();
        inner.ready.len() + inner.out
    }

    /// Returns when the queue has room; a sender that waits here gives no more credit.
    pub async fn room(&self) {
        loop {
            let waiting = self.room.notified();
            if self.depth() < self.max_depth {
                return;
            }
            waiting.await;
        }
    }

    pub fn push(&self, message: Stored) {
        let mut inner = self.inner.lock();
        let position = inner.next;
        inner.next += 1;
        inner.ready.insert(position, (message, 0));
        drop(inner);
        self.news.notify_one();
    }

    /// The oldest message, which is out from now on.
    pub async fn pop(&self) -> Entry {
        loop {
            if let Some(entry) = self.try_pop() {
                return entry;
            }
            self.news.notified().await;
        }
    }

    fn try_pop(&self) -> Option<Entry> {
        let mut inner = self.inner.lock();
        let (position, (message, deliveries)) = inner.ready.pop_first()?;
        inner.out += 1;
        let more = !inner.ready.is_empty();
        drop(inner);
        if more {
            self.news.notify_one();
        }
        Some(Entry {
            position,
            message,
            deliveries,
        })
    }

    /// A receiver has settled it for good.
    pub fn done(&self) {
        self.inner.lock().out -= 1;
        self.room.notify_waiters();
    }

    /// Back to its old place; `failed` counts the delivery.
    pub fn put_back(&self, entry: Entry, failed: bool) {
        let mut inner = self.inner.lock();
        inner.out -= 1;
        inner.ready.insert(
            entry.position,
            (entry.message, entry.deliveries + u32::from(failed)),
        );
        drop(inner);
        self.news.notify_one();
    }
}

#[derive(Debug)]
pub struct Queues {
    by_address: Mutex<BTreeMap<String, Arc<Queue>>>,
    max_depth: usize,
}

impl Queues {
    pub fn new(max_depth: usize) -> Self {
        Self {
            by_address: Mutex::default(),
            max_depth,
        }
    }

    pub fn get(&self, address: &str) -> Arc<Queue> {
        let mut queues = self.by_address.lock();
        if let Some(queue) = queues.get(address) {
            return Arc::clone(queue);
        }
        let queue = Arc::new(Queue::new(self.max_depth));
        queues.insert(address.to_owned(), Arc::clone(&queue));
        queue
    }

    pub fn depth(&self, address: &str) -> usize {
        self.by_address
            .lock()
            .get(address)
            .map_or(0, |queue| queue.depth())
    }

    pub fn depth_of_all(&self) -> usize {
        self.by_address.lock().values().map(|queue| queue.depth()).sum()
    }
}

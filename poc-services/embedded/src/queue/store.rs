//! The queues themselves: messages in their order, those that are out with a receiver, and who waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use fe2o3_amqp_types::messaging::{Body, Message};
use fe2o3_amqp_types::primitives::Value;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::faults::{Counters, Cut};

pub type Stored = Message<Body<Value>>;

/// What a receiver refused, or failed at too often, is put here: the queue's name with this behind it.
pub const BACKOUT: &str = ".BACKOUT";

/// A message with its place in the queue.
#[derive(Debug)]
pub struct Entry {
    pub position: u64,
    pub message: Stored,
    pub deliveries: u32,
}

/// What an acceptance comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    Counts,
    /// It never reached the queue: the message goes out again.
    Lost,
    /// It is the last before the connection breaks.
    ThenCut,
}

#[derive(Debug, Default)]
struct Inner {
    ready: BTreeMap<u64, (Stored, u32)>,
    /// Out with receivers, not settled.
    out: usize,
    next: u64,
    /// Acceptances that get lost from now on.
    lose: u64,
    /// When a connection breaks.
    cut: Option<Cut>,
    /// Nobody gets to it.
    is_closed: bool,
    /// The connections of those who are attached.
    attached: Vec<CancellationToken>,
}

#[derive(Debug)]
pub struct Queue {
    inner: Mutex<Inner>,
    max_depth: usize,
    max_deliveries: Option<u32>,
    /// `None`: it is a backout queue itself, and what is refused there stays there.
    backout: Option<Arc<Queue>>,
    counters: Arc<Counters>,
    news: Notify,
    room: Notify,
}

impl Queue {
    pub fn depth(&self) -> usize {
        let inner = self.inner.lock();
        inner.ready.len() + inner.out
    }

    pub fn has_room(&self) -> bool {
        self.depth() < self.max_depth
    }

    /// Returns when the queue has room; a sender that waits here gives no more credit.
    pub async fn room(&self) {
        loop {
            let waiting = self.room.notified();
            tokio::pin!(waiting);
            // Before the look: room that is made right behind it wakes this waiter too.
            waiting.as_mut().enable();
            if self.has_room() {
                return;
            }
            waiting.await;
        }
    }

    /// `true`: the sender's connection breaks before it hears of it.
    pub fn push(&self, message: Stored) -> bool {
        let mut inner = self.inner.lock();
        let position = inner.next;
        inner.next += 1;
        inner.ready.insert(position, (message, 0));
        let cut = match inner.cut {
            Some(Cut::Storing(left)) if left <= 1 => {
                inner.cut = None;
                true
            }
            Some(Cut::Storing(left)) => {
                inner.cut = Some(Cut::Storing(left - 1));
                false
            }
            _ => false,
        };
        drop(inner);
        self.news.notify_one();
        cut
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

    /// A receiver has accepted a message. Whatever the answer is, the caller settles the entry by it.
    pub fn acceptance(&self) -> Acceptance {
        let mut inner = self.inner.lock();
        if inner.lose > 0 {
            inner.lose -= 1;
            return Acceptance::Lost;
        }
        match inner.cut {
            Some(Cut::Settling(left)) if left <= 1 => {
                inner.cut = None;
                Acceptance::ThenCut
            }
            Some(Cut::Settling(left)) => {
                inner.cut = Some(Cut::Settling(left - 1));
                Acceptance::Counts
            }
            _ => Acceptance::Counts,
        }
    }

    /// A receiver has settled it for good.
    pub fn done(&self) {
        self.inner.lock().out -= 1;
        self.room.notify_waiters();
    }

    /// Back to its old place; `failed` counts the delivery, and one too many backs the message out.
    pub fn put_back(&self, entry: Entry, failed: bool) {
        let deliveries = entry.deliveries + u32::from(failed);
        if failed && self.max_deliveries.is_some_and(|max| deliveries >= max) {
            self.back_out(Entry { deliveries, ..entry });
        } else {
            self.keep(entry.position, entry.message, deliveries);
        }
    }

    fn keep(&self, position: u64, message: Stored, deliveries: u32) {
        let mut inner = self.inner.lock();
        inner.out -= 1;
        inner.ready.insert(position, (message, deliveries));
        drop(inner);
        self.news.notify_one();
    }

    /// Puts it where it is in nobody's way, as a message that nobody has tried yet. Where that is full it stays here.
    pub fn back_out(&self, entry: Entry) {
        match &self.backout {
            Some(backout) if backout.depth() < backout.max_depth => {
                backout.push(entry.message);
                Counters::add(&self.counters.backed_out, 1);
                self.done();
            }
            _ => self.keep(entry.position, entry.message, entry.deliveries),
        }
    }

    /// Forgets what does not outlive its manager. Nothing is out at that time.
    fn restart(&self) {
        let mut inner = self.inner.lock();
        let before = inner.ready.len();
        inner
            .ready
            .retain(|_, (message, _)| message.header.as_ref().is_some_and(|header| header.durable));
        let lost = before - inner.ready.len();
        drop(inner);
        Counters::add(&self.counters.volatile_lost, lost as u64);
    }

    pub fn lose_acceptances(&self, count: u64) {
        self.inner.lock().lose += count;
    }

    pub fn cut_after(&self, cut: Cut) {
        self.inner.lock().cut = Some(cut);
    }

    /// What was set and has not happened does not happen.
    pub fn spare(&self) {
        let mut inner = self.inner.lock();
        inner.lose = 0;
        inner.cut = None;
    }

    /// Somebody attached over this connection, which breaks when the queue is closed; at once, if it is.
    pub fn attach(&self, connection: &CancellationToken) {
        let mut inner = self.inner.lock();
        if inner.is_closed {
            connection.cancel();
            return;
        }
        inner.attached.retain(|other| !other.is_cancelled());
        inner.attached.push(connection.clone());
    }

    pub fn close(&self) {
        let mut inner = self.inner.lock();
        inner.is_closed = true;
        for connection in inner.attached.drain(..) {
            connection.cancel();
        }
    }

    pub fn open(&self) {
        self.inner.lock().is_closed = false;
    }
}

#[derive(Debug)]
pub struct Queues {
    by_address: Mutex<BTreeMap<String, Arc<Queue>>>,
    max_depth: usize,
    max_deliveries: Option<u32>,
    pub counters: Arc<Counters>,
}

impl Queues {
    pub fn new(max_depth: usize, max_deliveries: Option<u32>) -> Self {
        Self {
            by_address: Mutex::default(),
            max_depth,
            max_deliveries,
            counters: Arc::default(),
        }
    }

    fn queue(&self, backout: Option<Arc<Queue>>) -> Arc<Queue> {
        Arc::new(Queue {
            inner: Mutex::default(),
            max_depth: self.max_depth,
            max_deliveries: self.max_deliveries,
            backout,
            counters: Arc::clone(&self.counters),
            news: Notify::new(),
            room: Notify::new(),
        })
    }

    /// A queue is made when its name is used first, its backout queue with it.
    pub fn get(&self, address: &str) -> Arc<Queue> {
        let mut queues = self.by_address.lock();
        if let Some(queue) = queues.get(address) {
            return Arc::clone(queue);
        }
        if let Some(of) = address.strip_suffix(BACKOUT) {
            drop(queues);
            // Made together with the queue that it belongs to.
            self.get(of);
            return Arc::clone(&self.by_address.lock()[address]);
        }
        let backout = self.queue(None);
        let queue = self.queue(Some(Arc::clone(&backout)));
        queues.insert(format!("{address}{BACKOUT}"), backout);
        queues.insert(address.to_owned(), Arc::clone(&queue));
        queue
    }

    pub fn depth(&self, address: &str) -> usize {
        self.by_address
            .lock()
            .get(address)
            .map_or(0, |queue| queue.depth())
    }

    /// Without what is backed out: nobody reads that.
    pub fn depth_of_all(&self) -> usize {
        let queues = self.by_address.lock();
        queues
            .values()
            .filter(|queue| queue.backout.is_some())
            .map(|queue| queue.depth())
            .sum()
    }

    pub fn restart(&self) {
        for queue in self.by_address.lock().values() {
            queue.restart();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u32) -> Stored {
        Message::builder()
            .body(Body::Value(fe2o3_amqp_types::messaging::AmqpValue(Value::Uint(
                number,
            ))))
            .build()
    }

    fn number(entry: &Entry) -> u32 {
        match &entry.message.body {
            Body::Value(fe2o3_amqp_types::messaging::AmqpValue(Value::Uint(number))) => *number,
            other => panic!("{other:?}"),
        }
    }

    fn queue(max_deliveries: Option<u32>) -> (Queues, Arc<Queue>) {
        let queues = Queues::new(3, max_deliveries);
        let queue = queues.get("q");
        for number in 0..3 {
            queue.push(message(number));
        }
        (queues, queue)
    }

    #[test]
    fn what_comes_back_stands_where_it_stood() {
        let (_, queue) = queue(None);
        let first = queue.try_pop().expect("three");
        let second = queue.try_pop().expect("three");
        queue.put_back(second, false);
        queue.put_back(first, true);
        let order: Vec<_> = std::iter::from_fn(|| queue.try_pop())
            .map(|entry| (number(&entry), entry.deliveries))
            .collect();
        assert_eq!(order, [(0, 1), (1, 0), (2, 0)]);
        assert_eq!(queue.depth(), 3);
    }

    #[test]
    fn one_failure_too_many_backs_a_message_out_and_no_other() {
        let (queues, queue) = queue(Some(2));
        for _ in 0..2 {
            let first = queue.try_pop().expect("one");
            assert_eq!(number(&first), 0);
            queue.put_back(first, true);
        }
        assert_eq!(number(&queue.try_pop().expect("one")), 1);
        assert_eq!((queue.depth(), queues.depth("q.BACKOUT")), (2, 1));
        assert_eq!(queues.depth_of_all(), 2);
        let backed_out = queues.get("q.BACKOUT").try_pop().expect("one");
        assert_eq!((number(&backed_out), backed_out.deliveries), (0, 0));
    }

    #[test]
    fn where_the_backout_queue_is_full_a_message_stays_where_it_is() {
        let (queues, queue) = queue(Some(1));
        for number in 10..13 {
            queues.get("q.BACKOUT").push(message(number));
        }
        let first = queue.try_pop().expect("one");
        queue.put_back(first, true);
        assert_eq!((queue.depth(), queues.depth("q.BACKOUT")), (3, 3));
        assert_eq!(number(&queue.try_pop().expect("one")), 0);
    }
}

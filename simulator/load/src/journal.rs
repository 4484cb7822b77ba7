//! Store servers: each keeps a journal of what its tills and scanners wrote until the gateway has it.
//!
//! Invariant: what is in a journal leaves it only when the gateway answered for it, in the order in which it was
//! written; one upload of a store is under way at a time. A store that is offline sells on into its journal.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use world::events::Channel;

/// Of one upload.
const UPLOAD_BYTES_MAX: usize = 256 << 10;
const UPLOAD_MESSAGES_MAX: usize = 1_000;
/// A journal beyond it makes the run invalid, visibly: the store would have to stop selling.
pub const JOURNAL_BYTES_MAX: usize = 64 << 20;

/// A message as its source wrote it.
#[derive(Clone, Debug)]
pub struct Pending {
    pub bytes: Bytes,
    pub due_ms: i64,
    pub channel: Channel,
    pub transactions: u32,
}

#[derive(Debug, Default)]
struct Journal {
    pending: VecDeque<Pending>,
    bytes: usize,
    offline: bool,
    /// In the ready queue, waiting for its time, or being uploaded.
    scheduled: bool,
}

/// All journals, and which of them want to be uploaded.
#[derive(Debug)]
pub struct Journals {
    stores: Vec<Mutex<Journal>>,
    ready: Mutex<VecDeque<u32>>,
    news: Notify,
    /// Held by offline stores: nobody can wait for it.
    held_bytes: AtomicUsize,
}

/// What became of a message that was put into a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The store has to be scheduled.
    Schedule,
    Waits,
    Full,
}

impl Journals {
    pub fn new(stores: usize) -> Self {
        Self {
            stores: (0..stores).map(|_| Mutex::default()).collect(),
            ready: Mutex::default(),
            news: Notify::new(),
            held_bytes: AtomicUsize::new(0),
        }
    }

    /// Appends; `enough` bytes make a store want its upload.
    pub fn put(&self, store: usize, message: Pending, enough: usize) -> Put {
        let mut journal = self.stores[store].lock();
        journal.bytes += message.bytes.len();
        if journal.offline {
            self.held_bytes.fetch_add(message.bytes.len(), Ordering::Relaxed);
        }
        journal.pending.push_back(message);
        if journal.bytes > JOURNAL_BYTES_MAX {
            return Put::Full;
        }
        if journal.scheduled || journal.offline || journal.bytes < enough {
            return Put::Waits;
        }
        journal.scheduled = true;
        Put::Schedule
    }

    /// The store's time has come.
    pub fn make_ready(&self, store: usize) {
        self.ready.lock().push_back(store as u32);
        self.news.notify_one();
    }

    /// Everything that waits for more to come is ready now.
    pub fn flush(&self) {
        for (store, journal) in self.stores.iter().enumerate() {
            let mut journal = journal.lock();
            if !journal.scheduled && !journal.offline && !journal.pending.is_empty() {
                journal.scheduled = true;
                drop(journal);
                self.make_ready(store);
            }
        }
    }

    pub fn set_offline(&self, store: usize, offline: bool) -> bool {
        let mut journal = self.stores[store].lock();
        let changed = journal.offline != offline;
        journal.offline = offline;
        match (changed, offline) {
            (true, true) => self.held_bytes.fetch_add(journal.bytes, Ordering::Relaxed),
            (true, false) => self.held_bytes.fetch_sub(journal.bytes, Ordering::Relaxed),
            (false, _) => 0,
        };
        if !offline && !journal.scheduled && !journal.pending.is_empty() {
            journal.scheduled = true;
            drop(journal);
            self.make_ready(store);
        }
        changed
    }

    pub fn is_offline(&self, store: usize) -> bool {
        self.stores[store].lock().offline
    }

    /// In journals of stores that are offline.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed) as u64
    }

    /// The next store that wants its upload, with what goes into one request.
    pub async fn next(&self) -> (usize, Vec<Pending>) {
        loop {
            let store = self.ready.lock().pop_front();
            let Some(store) = store else {
                self.news.notified().await;
                continue;
            };
            let store = store as usize;
            let batch = self.take(store);
            if !self.ready.lock().is_empty() {
                self.news.notify_one();
            }
            if !batch.is_empty() {
                return (store, batch);
            }
        }
    }

    fn take(&self, store: usize) -> Vec<Pending> {
        let mut journal = self.stores[store].lock();
        let mut batch = Vec::new();
        if journal.offline || journal.pending.is_empty() {
            journal.scheduled = false;
            return batch;
        }
        let mut bytes = 0;
        while let Some(next) = journal.pending.front() {
            let fits = bytes + next.bytes.len() <= UPLOAD_BYTES_MAX && batch.len() < UPLOAD_MESSAGES_MAX;
            let alone = next.channel == Channel::Scan;
            if !batch.is_empty() && (alone || !fits) {
                break;
            }
            bytes += next.bytes.len();
            let Some(message) = journal.pending.pop_front() else {
                break;
            };
            batch.push(message);
            if alone {
                break;
            }
        }
        journal.bytes -= bytes;
        batch
    }

    /// The gateway has the batch: the store goes on with the rest, if there is one.
    pub fn uploaded(&self, store: usize) {
        let mut journal = self.stores[store].lock();
        let more = !journal.pending.is_empty() && !journal.offline;
        journal.scheduled = more;
        drop(journal);
        if more {
            self.make_ready(store);
        }
    }

    /// The gateway does not have it: it goes back to where it was.
    pub fn failed(&self, store: usize, batch: Vec<Pending>) {
        let mut journal = self.stores[store].lock();
        let bytes = batch.iter().map(|message| message.bytes.len()).sum::<usize>();
        journal.bytes += bytes;
        if journal.offline {
            self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        for message in batch.into_iter().rev() {
            journal.pending.push_front(message);
        }
        let more = !journal.offline;
        journal.scheduled = more;
        drop(journal);
        if more {
            self.make_ready(store);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &'static str, channel: Channel) -> Pending {
        Pending {
            bytes: Bytes::from_static(text.as_bytes()),
            due_ms: 1,
            channel,
            transactions: 1,
        }
    }

    fn texts(batch: &[Pending]) -> Vec<&str> {
        batch
            .iter()
            .map(|m| std::str::from_utf8(&m.bytes).expect("text"))
            .collect()
    }

    #[tokio::test]
    async fn a_failed_batch_comes_again_first_and_in_order() {
        let journals = Journals::new(1);
        assert_eq!(journals.put(0, message("a", Channel::Till), 0), Put::Schedule);
        journals.make_ready(0);
        assert_eq!(journals.put(0, message("b", Channel::Till), 0), Put::Waits);
        let (store, batch) = journals.next().await;
        assert_eq!(texts(&batch), ["a", "b"]);
        journals.put(0, message("c", Channel::Till), 0);
        journals.failed(store, batch);
        let (store, batch) = journals.next().await;
        assert_eq!(texts(&batch), ["a", "b", "c"]);
        journals.uploaded(store);
        assert_eq!(journals.put(0, message("d", Channel::Till), 0), Put::Schedule);
    }

    #[tokio::test]
    async fn an_offline_store_keeps_its_journal_and_sends_it_when_it_is_back() {
        let journals = Journals::new(2);
        assert!(journals.set_offline(0, true));
        assert_eq!(journals.put(0, message("a", Channel::Till), 0), Put::Waits);
        assert_eq!(journals.held_bytes(), 1);
        assert_eq!(journals.put(1, message("x", Channel::Till), 0), Put::Schedule);
        journals.make_ready(1);
        let (store, _) = journals.next().await;
        assert_eq!(store, 1);
        assert!(journals.set_offline(0, false));
        assert_eq!(journals.held_bytes(), 0);
        let (store, batch) = journals.next().await;
        assert_eq!((store, texts(&batch)), (0, vec!["a"]));
    }

    #[tokio::test]
    async fn a_document_goes_alone_and_keeps_its_place_among_receipts() {
        let journals = Journals::new(1);
        for (text, channel) in [("a", Channel::Till), ("doc", Channel::Scan), ("b", Channel::Till)] {
            if journals.put(0, message(text, channel), 0) == Put::Schedule {
                journals.make_ready(0);
            }
        }
        for expected in ["a", "doc", "b"] {
            let (store, batch) = journals.next().await;
            assert_eq!(texts(&batch), [expected]);
            journals.uploaded(store);
        }
    }
}

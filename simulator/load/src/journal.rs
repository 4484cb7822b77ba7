//! Store servers: each keeps a journal of what its tills and scanners wrote until the gateway has it.
//!
//! Invariant: what is in a journal leaves it only when the gateway answered for it, in the order in which it was
//! written; one upload of a store is under way at a time. A store that is offline sells on into its journal, and a
//! server that is restarted has it still.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use contracts::wire::mqmd::Descriptor;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use world::events::Channel;

/// Of one upload.
const UPLOAD_BYTES_MAX: usize = 256 << 10;
const UPLOAD_MESSAGES_MAX: usize = 1_000;
/// A journal beyond it makes the run invalid, visibly: the store would have to stop selling.
pub const JOURNAL_BYTES_MAX: usize = 64 << 20;

/// Marks in a journal, one behind the other where nothing lies between: a later one says all that an earlier one says.
const MARKS_MAX: u32 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// What a source wrote.
    Message(Channel),
    /// How far the sources of the place are.
    Mark,
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Pending {
    pub bytes: Bytes,
    pub due_ms: i64,
    pub content: Content,
    /// The header `format` that the gateway is to give it.
    pub format: &'static str,
    pub transactions: u32,
    /// What a queue manager says of it.
    pub descriptor: Option<Arc<Descriptor>>,
}

impl Pending {
    /// Bytes of messages: marks come and go by the clock, and nobody waits for them.
    pub const fn message_bytes(&self) -> usize {
        match self.content {
            Content::Message(_) => self.bytes.len(),
            Content::Mark => 0,
        }
    }
}

#[derive(Debug, Default)]
struct Journal {
    pending: VecDeque<Pending>,
    /// Of messages.
    bytes: usize,
    /// Pending, or being uploaded.
    marks: u32,
    offline: bool,
    /// In the ready queue, waiting for its time, or being uploaded.
    scheduled: bool,
    /// Of messages; cancelled when the server is restarted in the middle of it.
    upload: Option<CancellationToken>,
    /// The server goes down before it hears the answer to its next upload of messages.
    restarts: bool,
}

/// What goes into one request.
#[derive(Debug)]
pub struct Upload {
    pub store: usize,
    pub batch: Vec<Pending>,
    /// The connection breaks.
    pub broken: CancellationToken,
    /// The answer will be heard by nobody.
    pub answer_is_lost: bool,
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

    /// Appends a mark, unless the store is offline or its journal full: then there is none now.
    pub fn put_mark(&self, store: usize, mark: Pending) -> Put {
        let mut journal = self.stores[store].lock();
        if journal.offline || journal.bytes > JOURNAL_BYTES_MAX {
            return Put::Waits;
        }
        let marks = journal.marks;
        match journal.pending.back_mut() {
            Some(last) if last.content == Content::Mark => *last = mark,
            _ if marks >= MARKS_MAX => return Put::Waits,
            _ => {
                journal.pending.push_back(mark);
                journal.marks += 1;
            }
        }
        if journal.scheduled {
            return Put::Waits;
        }
        journal.scheduled = true;
        Put::Schedule
    }

    /// Whether stores that are not offline have marks that wait.
    pub fn marks_wait(&self) -> bool {
        self.stores.iter().any(|journal| {
            let journal = journal.lock();
            journal.marks > 0 && !journal.offline
        })
    }

    /// The store's server is restarted: the upload that is under way breaks, or else its next one is taken and nobody
    /// hears of it. What is not acknowledged comes again.
    pub fn restart(&self, store: usize) {
        let mut journal = self.stores[store].lock();
        match &journal.upload {
            Some(upload) => upload.cancel(),
            None => journal.restarts = true,
        }
    }

    /// As [`Journals::restart`], and what is under way now is let go.
    pub fn restart_next(&self, store: usize) {
        self.stores[store].lock().restarts = true;
    }

    /// Appends; `enough` bytes make a store want its upload.
    pub fn put(&self, store: usize, message: Pending, enough: usize) -> Put {
        let mut journal = self.stores[store].lock();
        journal.bytes += message.message_bytes();
        if journal.offline {
            self.held_bytes
                .fetch_add(message.message_bytes(), Ordering::Relaxed);
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
    pub async fn next(&self) -> Upload {
        loop {
            let store = self.ready.lock().pop_front();
            let Some(store) = store else {
                self.news.notified().await;
                continue;
            };
            let upload = self.take(store as usize);
            if !self.ready.lock().is_empty() {
                self.news.notify_one();
            }
            if let Some(upload) = upload {
                return upload;
            }
        }
    }

    fn take(&self, store: usize) -> Option<Upload> {
        let mut journal = self.stores[store].lock();
        if journal.offline || journal.pending.is_empty() {
            journal.scheduled = false;
            return None;
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(next) = journal.pending.front() {
            let fits = bytes + next.bytes.len() <= UPLOAD_BYTES_MAX && batch.len() < UPLOAD_MESSAGES_MAX;
            let alone = next.content != Content::Message(Channel::Till);
            let other = batch
                .first()
                .is_some_and(|first: &Pending| first.format != next.format);
            if !batch.is_empty() && (alone || other || !fits) {
                break;
            }
            bytes += next.bytes.len();
            let Some(message) = journal.pending.pop_front() else {
                break;
            };
            journal.bytes -= message.message_bytes();
            batch.push(message);
            if alone {
                break;
            }
        }
        let broken = CancellationToken::new();
        let has_messages = marks_in(&batch) == 0;
        journal.upload = has_messages.then(|| broken.clone());
        Some(Upload {
            store,
            batch,
            broken,
            answer_is_lost: has_messages && std::mem::take(&mut journal.restarts),
        })
    }

    /// The gateway has the batch: the store goes on with the rest, if there is one.
    pub fn uploaded(&self, store: usize, batch: &[Pending]) {
        let mut journal = self.stores[store].lock();
        // A restart that came when the answer had been heard hits the next one.
        journal.restarts |= journal.upload.take().is_some_and(|upload| upload.is_cancelled());
        journal.marks -= marks_in(batch);
        let more = !journal.pending.is_empty() && !journal.offline;
        journal.scheduled = more;
        drop(journal);
        if more {
            self.make_ready(store);
        }
    }

    /// The gateway does not have it, or nobody heard that it has: it goes back to where it was.
    pub fn failed(&self, store: usize, batch: Vec<Pending>) {
        let mut journal = self.stores[store].lock();
        journal.upload = None;
        let bytes = batch.iter().map(Pending::message_bytes).sum::<usize>();
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

fn marks_in(batch: &[Pending]) -> u32 {
    batch.iter().filter(|p| p.content == Content::Mark).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &'static str, channel: Channel) -> Pending {
        Pending {
            bytes: Bytes::from_static(text.as_bytes()),
            due_ms: 1,
            content: Content::Message(channel),
            format: "",
            transactions: 1,
            descriptor: None,
        }
    }

    fn mark(text: &'static str) -> Pending {
        Pending {
            content: Content::Mark,
            transactions: 0,
            ..message(text, Channel::Till)
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
        let upload = journals.next().await;
        assert_eq!(texts(&upload.batch), ["a", "b"]);
        journals.put(0, message("c", Channel::Till), 0);
        journals.failed(0, upload.batch);
        let upload = journals.next().await;
        assert_eq!(texts(&upload.batch), ["a", "b", "c"]);
        journals.uploaded(0, &upload.batch);
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
        assert_eq!(journals.next().await.store, 1);
        assert!(journals.set_offline(0, false));
        assert_eq!(journals.held_bytes(), 0);
        let upload = journals.next().await;
        assert_eq!((upload.store, texts(&upload.batch)), (0, vec!["a"]));
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
            let upload = journals.next().await;
            assert_eq!(texts(&upload.batch), [expected]);
            journals.uploaded(0, &upload.batch);
        }
    }

    #[tokio::test]
    async fn tills_of_two_generations_do_not_share_an_upload_and_keep_their_order() {
        let journals = Journals::new(1);
        for (text, format) in [("a", "x"), ("b", "x"), ("c", "y"), ("d", "x")] {
            let message = Pending {
                format,
                ..message(text, Channel::Till)
            };
            if journals.put(0, message, 0) == Put::Schedule {
                journals.make_ready(0);
            }
        }
        for expected in [&["a", "b"][..], &["c"], &["d"]] {
            let upload = journals.next().await;
            assert_eq!(texts(&upload.batch), expected);
            journals.uploaded(0, &upload.batch);
        }
    }

    #[tokio::test]
    async fn a_mark_leaves_behind_what_was_there_and_the_last_of_several_is_enough() {
        let journals = Journals::new(1);
        journals.put(0, message("a", Channel::Till), 10);
        assert_eq!(journals.put_mark(0, mark("m1")), Put::Schedule);
        journals.make_ready(0);
        assert_eq!(journals.put_mark(0, mark("m2")), Put::Waits);
        journals.put(0, message("b", Channel::Till), 0);
        assert!(journals.marks_wait());
        for expected in ["a", "m2", "b"] {
            let upload = journals.next().await;
            assert_eq!(texts(&upload.batch), [expected]);
            journals.uploaded(0, &upload.batch);
        }
        assert!(!journals.marks_wait());
        journals.set_offline(0, true);
        journals.put_mark(0, mark("m3"));
        journals.set_offline(0, false);
        assert!(!journals.marks_wait(), "an offline store says nothing");
    }

    #[tokio::test]
    async fn a_restart_breaks_what_is_under_way_or_else_takes_the_next_answer() {
        let journals = Journals::new(1);
        journals.put(0, message("a", Channel::Till), 0);
        journals.make_ready(0);
        let upload = journals.next().await;
        journals.restart(0);
        assert!(upload.broken.is_cancelled() && !upload.answer_is_lost);
        journals.failed(0, upload.batch);
        journals.restart(0);
        let upload = journals.next().await;
        assert_eq!(texts(&upload.batch), ["a"]);
        assert!(!upload.broken.is_cancelled() && upload.answer_is_lost);
        journals.failed(0, upload.batch);
        assert!(!journals.next().await.answer_is_lost, "once");
    }
}

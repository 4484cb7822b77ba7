//! Store servers: each keeps a journal of what its tills and scanners wrote until the gateway has it.
//!
//! Invariant: what is in a journal leaves it only when the gateway answered for it; what one source wrote, in the order
//! in which it wrote it, and a mark behind all that was there before it; one upload of a store is under way at a time. A
//! store that is offline sells on into its journal, and a server that is restarted has it still.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use contracts::wire::mqmd::Descriptor;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use world::events::Channel;

use crate::release::wall_ms;

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
    /// When the store's server took the last transaction of it, by its own clock; `None`: it does not tell.
    pub journaled_ms: Option<i64>,
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
    /// A store gathers so long before it uploads.
    interval: Duration,
    ready: Mutex<VecDeque<u32>>,
    /// Stores that gather, by the instant when their time has come.
    gathering: Mutex<BinaryHeap<Reverse<(Instant, u32)>>>,
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

/// What comes next of a store behind an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    Nothing,
    Now,
    Later(Duration),
}

impl Journal {
    /// What goes into one request: a document or a mark alone; of receipts, those in the format of the first, which are of
    /// other tills than the rest, but none from behind a mark.
    fn next_batch(&mut self) -> Vec<Pending> {
        let mut batch: Vec<Pending> = Vec::new();
        let mut bytes = 0;
        let mut passed_over = Vec::new();
        while let Some(next) = self.pending.pop_front() {
            let alone = next.content != Content::Message(Channel::Till);
            let fits = bytes + next.bytes.len() <= UPLOAD_BYTES_MAX && batch.len() < UPLOAD_MESSAGES_MAX;
            let Some(first) = batch.first() else {
                batch.push(next);
                if alone {
                    break;
                }
                bytes = batch[0].bytes.len();
                continue;
            };
            if next.content == Content::Mark || !fits {
                self.pending.push_front(next);
                break;
            }
            if alone || next.format != first.format {
                passed_over.push(next);
                continue;
            }
            bytes += next.bytes.len();
            batch.push(next);
        }
        for message in passed_over.into_iter().rev() {
            self.pending.push_front(message);
        }
        self.bytes -= batch.iter().map(Pending::message_bytes).sum::<usize>();
        batch
    }

    /// What has waited for as long as stores gather, or goes alone, goes at once.
    fn more(&self, interval: Duration) -> More {
        match self.pending.front() {
            None => More::Nothing,
            Some(_) if self.offline => More::Nothing,
            Some(next) if next.content != Content::Message(Channel::Till) => More::Now,
            Some(next) => {
                let waited = Duration::from_millis(wall_ms().saturating_sub(next.due_ms).max(0) as u64);
                match interval.saturating_sub(waited) {
                    Duration::ZERO => More::Now,
                    rest => More::Later(rest),
                }
            }
        }
    }
}

impl Journals {
    pub fn new(stores: usize, interval: Duration) -> Self {
        Self {
            stores: (0..stores).map(|_| Mutex::default()).collect(),
            interval,
            ready: Mutex::default(),
            gathering: Mutex::default(),
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

    /// The store gathers, for as long as stores do.
    pub fn gather(&self, store: usize, now: Instant) {
        self.gather_until(store, now + self.interval);
    }

    fn gather_until(&self, store: usize, instant: Instant) {
        self.gathering.lock().push(Reverse((instant, store as u32)));
    }

    /// Stores that have gathered long enough are ready.
    pub fn tend(&self, now: Instant) {
        loop {
            let mut gathering = self.gathering.lock();
            match gathering.peek() {
                Some(Reverse((instant, _))) if *instant <= now => {}
                _ => return,
            }
            let Some(Reverse((_, store))) = gathering.pop() else {
                return;
            };
            drop(gathering);
            self.make_ready(store as usize);
        }
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
        let batch = journal.next_batch();
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
        let more = journal.more(self.interval);
        journal.scheduled = more != More::Nothing;
        drop(journal);
        match more {
            More::Nothing => {}
            More::Now => self.make_ready(store),
            More::Later(rest) => self.gather_until(store, Instant::now() + rest),
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
            journaled_ms: None,
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
        let journals = Journals::new(1, Duration::ZERO);
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
        let journals = Journals::new(2, Duration::ZERO);
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
    async fn a_document_goes_alone_and_the_receipts_around_it_together() {
        let journals = Journals::new(1, Duration::ZERO);
        for (text, channel) in [("a", Channel::Till), ("doc", Channel::Scan), ("b", Channel::Till)] {
            if journals.put(0, message(text, channel), 0) == Put::Schedule {
                journals.make_ready(0);
            }
        }
        for expected in [&["a", "b"][..], &["doc"]] {
            let upload = journals.next().await;
            assert_eq!(texts(&upload.batch), expected);
            journals.uploaded(0, &upload.batch);
        }
    }

    #[tokio::test]
    async fn tills_of_two_generations_do_not_share_an_upload_and_each_keeps_its_order() {
        let journals = Journals::new(1, Duration::ZERO);
        for (text, format) in [("a", "x"), ("b", "x"), ("c", "y"), ("d", "x")] {
            let message = Pending {
                format,
                ..message(text, Channel::Till)
            };
            if journals.put(0, message, 0) == Put::Schedule {
                journals.make_ready(0);
            }
        }
        for expected in [&["a", "b", "d"][..], &["c"]] {
            let upload = journals.next().await;
            assert_eq!(texts(&upload.batch), expected);
            journals.uploaded(0, &upload.batch);
        }
    }

    #[tokio::test]
    async fn nothing_passes_a_mark_that_was_there_before_it() {
        let journals = Journals::new(1, Duration::ZERO);
        let of = |text, format| Pending {
            format,
            ..message(text, Channel::Till)
        };
        journals.put(0, of("a", "x"), 0);
        journals.make_ready(0);
        journals.put(0, of("b", "y"), 0);
        journals.put_mark(0, mark("m"));
        journals.put(0, of("c", "x"), 0);
        for expected in ["a", "b", "m", "c"] {
            let upload = journals.next().await;
            assert_eq!(texts(&upload.batch), [expected]);
            journals.uploaded(0, &upload.batch);
        }
    }

    #[tokio::test]
    async fn behind_an_upload_a_store_gathers_again_unless_what_waits_has_waited_so_long() {
        let interval = Duration::from_hours(1);
        let journals = Journals::new(1, interval);
        let at = |due_ms, text| Pending {
            due_ms,
            ..message(text, Channel::Till)
        };
        journals.put(0, at(1, "a"), 0);
        journals.make_ready(0);
        let upload = journals.next().await;
        journals.put(0, at(1, "old"), 0);
        journals.uploaded(0, &upload.batch);
        let upload = journals.next().await;
        assert_eq!(texts(&upload.batch), ["old"]);
        journals.put(0, at(wall_ms(), "new"), 0);
        journals.uploaded(0, &upload.batch);
        assert!(journals.ready.lock().is_empty());
        journals.tend(Instant::now());
        assert!(journals.ready.lock().is_empty(), "it gathers");
        journals.tend(Instant::now() + interval);
        assert_eq!(texts(&journals.next().await.batch), ["new"]);
    }

    #[tokio::test]
    async fn a_mark_leaves_behind_what_was_there_and_the_last_of_several_is_enough() {
        let journals = Journals::new(1, Duration::ZERO);
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
        let journals = Journals::new(1, Duration::ZERO);
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

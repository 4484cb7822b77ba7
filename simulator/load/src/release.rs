//! The release loop: when a message is due, the ledger takes its facts and its bytes go to the place's journal or queue.
//!
//! Open loop: the schedule decides, not the system. A loop that is late catches up and never skips; how late it was
//! is recorded. Unthrottled, nothing is due, and the loop waits while too much is not yet acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use contracts::digest::Digest;
use contracts::ids::TimeMs;
use contracts::wire::queue_message;
use ledger::{Ledger, TruePaper};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use world::World;
use world::events::{Channel, Message, PlaceEvents, Step};
use world::queue::QueueManager;

use crate::counters::{Counters, Phase};
use crate::dirt::{KeptBack, Written};
use crate::held::HeldBack;
use crate::journal::{Content, Journals, Pending, Put};
use crate::marks::Marks;
use crate::pace::{Pace, Schedule};
use crate::source_fault::SourceFault;
use crate::sources::{Fate, Sources, Switches};
use crate::wrong;
use crate::{Config, Control, LoadError};

pub const TICK: Duration = Duration::from_millis(5);
/// Unthrottled: what may be released and not acknowledged.
const WAITING_BYTES_MAX: u64 = 24 << 20;
/// Unthrottled: a store uploads when it has so much, or when everybody waits.
const ENOUGH_BYTES: usize = 24 << 10;
/// A clock that is off by less is one that stops at the beginning of a day.
const CLOCK_IS_OFF_MS: i64 = 120_000;
/// Places whose opening stock is counted at a time.
const OPENING_PLACES: usize = 100;

/// What comes from the thread that plays the world.
enum Played {
    Opening(Step),
    OpeningEnds,
    Trading(Step),
}

/// Plays the world one step ahead.
fn play(mut world: World, opening: bool, threads: usize, steps: &SyncSender<Played>) {
    if opening {
        while let Some(part) = world.opening_part(OPENING_PLACES) {
            if steps.send(Played::Opening(part)).is_err() {
                return;
            }
        }
    } else {
        drop(world.opening());
    }
    if steps.send(Played::OpeningEnds).is_err() {
        return;
    }
    loop {
        let mut step = world.step(threads);
        step.places.iter_mut().for_each(PlaceEvents::shrink_to_fit);
        if steps.send(Played::Trading(step)).is_err() {
            return;
        }
    }
}

pub struct Release {
    pub config: Config,
    pub ledger: Arc<Ledger>,
    pub journals: Arc<Journals>,
    pub counters: Arc<Counters>,
    pub sources: Arc<Sources>,
    pub marks: Arc<Marks>,
    /// By place; stores have none.
    pub queues: Vec<Option<UnboundedSender<Pending>>>,
    /// By SKU, where dirt is to name articles by other numbers.
    pub gtins: BTreeMap<u32, u64>,
    pub control: Receiver<Control>,
    pub cancel: CancellationToken,
}

/// What goes on while a step is released.
pub struct Going {
    schedule: Schedule,
    start: Instant,
    start_ms: i64,
    receipts: u64,
    first_simulated_ms: i64,
    /// Everything released, to be sent again.
    again: Vec<(usize, Pending)>,
    stop: bool,
    hold: bool,
    pub switches: Switches,
    pub held: HeldBack,
    pub kept: KeptBack,
    /// Wall milliseconds when marks began, and how many were due since.
    pub marks: Option<(f64, u64)>,
}

impl Going {
    /// Milliseconds since the start.
    pub fn elapsed(&self) -> f64 {
        self.start.elapsed().as_secs_f64() * 1000.0
    }

    fn wall_ms(&self, elapsed: f64) -> i64 {
        self.start_ms + elapsed as i64
    }
}

pub fn wall_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

impl Release {
    /// Runs to the end of the load, or until cancelled. Blocks.
    pub fn run(self, world: World) -> Result<(), LoadError> {
        // One step ahead and no more: at a busy hour of Acme's a step is a hundred megabytes.
        let (sender, steps) = sync_channel(0);
        let (opening, threads) = (self.config.opening, self.config.threads);
        let first = world.now().0;
        let player = thread::Builder::new()
            .name("world".into())
            .spawn(move || play(world, opening, threads, &sender))?;
        let start = Instant::now();
        let mut going = Going {
            schedule: Schedule::new(self.config.pace, first, 0.0),
            start,
            start_ms: wall_ms(),
            receipts: 0,
            first_simulated_ms: first,
            again: Vec::new(),
            stop: false,
            hold: self.config.hold_trading,
            switches: self.sources.base,
            held: HeldBack::default(),
            kept: KeptBack::default(),
            marks: None,
        };
        self.counters.simulated_ms.store(first, Ordering::Relaxed);
        while !going.stop {
            match steps.recv_timeout(TICK) {
                Ok(Played::Opening(step)) => self.opening(&mut going, step),
                Ok(Played::OpeningEnds) => self.before_trading(&mut going, first),
                Ok(Played::Trading(step)) => self.trading(&mut going, step),
                Err(RecvTimeoutError::Timeout) => self.tend(&mut going, i64::MAX),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        drop(steps);
        player.join().map_err(|_| LoadError::Ended)?;
        self.counters.set_phase(Phase::Draining);
        for (place, message) in std::mem::take(&mut going.again) {
            self.send(&mut going, place, message);
            self.wait_for_room(&mut going);
        }
        self.drain(&mut going);
        self.last_marks(&mut going);
        self.counters.set_phase(Phase::Done);
        Ok(())
    }

    /// What is released and can be acknowledged: what offline stores hold, or a fault, cannot.
    fn moving_bytes(&self) -> u64 {
        self.counters
            .waiting_bytes
            .load(Ordering::Relaxed)
            .saturating_sub(self.journals.held_bytes())
            .saturating_sub(self.counters.held_back_bytes.load(Ordering::Relaxed))
    }

    /// Waits until everything is acknowledged, but for what offline stores hold.
    fn drain(&self, going: &mut Going) {
        self.let_go(going);
        self.send_all_kept(going);
        self.journals.flush();
        while (self.moving_bytes() > 0 || !going.held.is_empty()) && !self.cancel.is_cancelled() {
            self.tend(going, i64::MAX);
            self.journals.flush();
            thread::sleep(TICK);
        }
    }

    fn opening(&self, going: &mut Going, step: Step) {
        for (place, mut events) in step.places.into_iter().enumerate() {
            let now = wall_ms();
            let bytes = Bytes::from(std::mem::take(&mut events.bytes));
            for (index, message) in events.messages.iter().enumerate() {
                self.sources.place(place).write_plain(&events, index);
                let (transactions, lines) = self.apply(place, &events, message);
                self.counters
                    .opening
                    .fetch_add(transactions.into(), Ordering::Relaxed);
                self.counters.opening_lines.fetch_add(lines, Ordering::Relaxed);
                if message.channel == Channel::Queue {
                    self.counters
                        .opening_queue
                        .fetch_add(transactions.into(), Ordering::Relaxed);
                }
                let pending = pending(&bytes, (&events, index), now, transactions);
                self.send(going, place, pending);
            }
            self.wait_for_room(going);
        }
        self.journals.flush();
    }

    /// Opening stock is out; trading begins when the caller says so.
    fn before_trading(&self, going: &mut Going, first: i64) {
        self.drain(going);
        self.counters.set_phase(Phase::Ready);
        going.marks = Some((going.elapsed(), 0));
        while going.hold && !going.stop {
            self.tend(going, i64::MAX);
            thread::sleep(TICK);
        }
        let elapsed = going.elapsed();
        let (pace, paused) = (going.schedule.pace(), going.schedule.is_paused());
        going.schedule = Schedule::new(pace, first, elapsed);
        if paused {
            going.schedule.pause(elapsed, first);
        }
        self.counters.first_ms.store(wall_ms(), Ordering::Relaxed);
        self.counters.set_phase(Phase::Trading);
    }

    fn trading(&self, going: &mut Going, step: Step) {
        let until = step.until.0;
        let receipts: u64 = step
            .places
            .iter()
            .map(|place| {
                place
                    .messages
                    .iter()
                    .filter(|m| m.channel == Channel::Till)
                    .map(|m| m.transactions.len() as u64)
                    .sum::<u64>()
            })
            .sum();
        if going.schedule.pace() == Pace::Unthrottled {
            let elapsed = going.elapsed();
            going.schedule.set_pace(Pace::Unthrottled, elapsed, until);
        }
        going.schedule.begin_step(step.from.0, until, receipts);
        let mut places: Vec<(Bytes, PlaceEvents)> = step
            .places
            .into_iter()
            .map(|mut events| (Bytes::from(std::mem::take(&mut events.bytes)), events))
            .collect();
        let end = self
            .config
            .stop
            .until_ms
            .map_or(i64::MAX, |span| going.first_simulated_ms + span as i64);
        let mut order: Vec<(i64, u32, u32)> = Vec::new();
        for (place, (_, events)) in (0..).zip(&places) {
            let instants = (0..).zip(&events.messages);
            order.extend(
                instants
                    .filter(|(_, message)| message.at.0 < end)
                    .map(|(index, message)| (message.at.0, place, index)),
            );
        }
        // Unthrottled, place after place: a store's messages then go together.
        if going.schedule.pace() != Pace::Unthrottled {
            order.sort_unstable();
        }
        let mut order = order.into_iter().peekable();
        loop {
            self.tend(going, until);
            if going.stop {
                return;
            }
            let elapsed = going.elapsed();
            let now = going.schedule.simulated(elapsed).min(until as f64);
            let is_due = |(at, ..): &(i64, u32, u32)| *at as f64 <= now;
            let mut last_place = None;
            while let Some((at, place, index)) = order.next_if(is_due) {
                let place = place as usize;
                if going.schedule.pace() == Pace::Unthrottled && last_place.replace(place) != Some(place) {
                    self.tend(going, until);
                    self.wait_for_room(going);
                }
                let (bytes, events) = &mut places[place];
                let due = going.schedule.due(at);
                // Unthrottled, nothing is due before it is released.
                let (late, due_ms) = if going.schedule.pace() == Pace::Unthrottled {
                    (0.0, wall_ms())
                } else {
                    ((elapsed - due).max(0.0), going.wall_ms(due))
                };
                let message = (events, index as usize, &*bytes);
                self.release(going, place, message, due_ms, late as u64);
                if self
                    .config
                    .stop
                    .receipts
                    .is_some_and(|last| going.receipts >= last)
                {
                    going.stop = true;
                    return;
                }
            }
            self.counters
                .simulated_ms
                .store((now as i64).min(end), Ordering::Relaxed);
            if now >= end as f64 || until >= end && now >= until as f64 {
                going.stop = true;
                return;
            }
            if now >= until as f64 {
                return;
            }
            thread::sleep(TICK);
        }
    }

    /// `message` is the events of the place, the index of a message in them, and their bytes.
    fn release(
        &self,
        going: &mut Going,
        place: usize,
        (events, index, bytes): (&mut PlaceEvents, usize, &Bytes),
        due_ms: i64,
        late_ms: u64,
    ) {
        let known_as = events.transactions_of(&events.messages[index])[0].id;
        let at = events.messages[index].at;
        // The store's server has each transaction as soon as it is rung, whenever the document around it is closed.
        let rung = events.transactions_of(&events.messages[index]).last();
        let rung_ms = rung.map(|transaction| transaction.at.0);
        let fate = self
            .sources
            .place(place)
            .write(self.sources.seed, &going.switches, events, index);
        let message = &events.messages[index];
        self.counters.released_by_place[place].fetch_add(1, Ordering::Relaxed);
        if message.channel == Channel::Till {
            going.receipts += message.transactions.len() as u64;
        }
        self.counters.lateness.lock().saturating_record(late_ms.max(1));
        self.counters.last_due_ms.fetch_max(due_ms, Ordering::Relaxed);
        self.counters
            .last_ms
            .fetch_max(due_ms + late_ms as i64, Ordering::Relaxed);
        let Fate::Written { clock, may_wait } = fate else {
            self.lose(place, events, message);
            return;
        };
        let (transactions, lines) = self.apply(place, events, message);
        self.counters
            .released(message.channel, transactions.into(), lines);
        self.counters
            .of_format(message.format, transactions.into(), message.bytes.len() as u64);
        let mut pending = pending(bytes, (events, index), due_ms, transactions);
        if let Some(clock) = clock {
            let mut own = pending.bytes.to_vec();
            wrong::set_clock(message.format, &mut own, &clock);
            pending.bytes = own.into();
            let faults = &self.counters.faults;
            faults.injected(SourceFault::ClockSkew, transactions.into());
            if clock.ahead_ms.abs() >= CLOCK_IS_OFF_MS {
                faults.till_is_off(known_as.source);
            }
        }
        self.counters.faults.said_again(events, message);
        if self.config.send_twice {
            going.again.push((place, pending.clone()));
        }
        let copy = self.replicated(place, message.at, &pending);
        match &self.config.dirt {
            None => self.send_badly(going, place, &known_as, may_wait, pending),
            Some(dirt) => {
                if dirt.clock_skew > 0 && message.channel == Channel::Till {
                    pending.journaled_ms = rung_ms;
                }
                let what = Written {
                    place,
                    at,
                    known_as,
                    may_wait,
                    is_replicated: copy.is_some(),
                    events,
                    message,
                };
                self.send_dirty(going, dirt, &what, pending);
            }
        }
        if let Some(copy) = copy {
            self.counters.handed_over.fetch_add(1, Ordering::Relaxed);
            self.send(going, place, copy);
        }
    }

    /// What the other queue manager of the data centre sends while they hand over: the same record.
    fn replicated(&self, place: usize, at: TimeMs, message: &Pending) -> Option<Pending> {
        let manager = self.marks.managers[place].as_ref()?;
        manager.hands_over(at).then(|| manager_copy(manager, message))?
    }

    /// The truth takes the facts before anybody can see the bytes.
    fn apply(&self, place: usize, events: &PlaceEvents, message: &Message) -> (u32, u64) {
        let mut ledger = self.ledger.place(place);
        let mut digest = self.counters.digest.lock();
        let transactions = events.transactions_of(message);
        let mut lines = 0;
        for transaction in transactions {
            let of_it = events.lines_of(transaction);
            let quantity = of_it.iter().map(|line| line.quantity).fold(0, i64::wrapping_add);
            lines += of_it.len() as u64;
            digest.add(
                transaction.at.0,
                &Digest::of(&transaction.id, of_it.len() as u64, quantity),
            );
            ledger.apply(&transaction.id, of_it);
        }
        for paper in events.papers_of(message) {
            self.ledger.deliveries().wrote(&TruePaper {
                despatch_advice: paper.despatch_advice,
                kind: paper.kind,
                lines: events.lines_of_paper(paper),
                group: paper.group,
            });
        }
        (transactions.len() as u32, lines)
    }

    pub fn send(&self, going: &mut Going, place: usize, message: Pending) {
        self.counters
            .waiting_bytes
            .fetch_add(message.bytes.len() as u64, Ordering::Relaxed);
        self.put(going, place, message);
    }

    pub fn put(&self, going: &mut Going, place: usize, message: Pending) {
        if let Some(Some(queue)) = self.queues.get(place) {
            // The task ends only when the run is cancelled; then nobody waits for the record.
            let _ = queue.send(message);
            return;
        }
        let unthrottled =
            going.schedule.pace() == Pace::Unthrottled || self.counters.phase() == Phase::Opening;
        let enough = if unthrottled { ENOUGH_BYTES } else { 0 };
        match self.journals.put(place, message, enough) {
            Put::Schedule if unthrottled => self.journals.make_ready(place),
            Put::Schedule => self.journals.gather(place, Instant::now()),
            Put::Waits => {}
            Put::Full => self.counters.journal_full.store(true, Ordering::Relaxed),
        }
    }

    /// Holds the loop while too much is under way.
    fn wait_for_room(&self, going: &mut Going) {
        if self.moving_bytes() < WAITING_BYTES_MAX {
            return;
        }
        self.journals.flush();
        let stopped_before = going.stop;
        while self.moving_bytes() > WAITING_BYTES_MAX / 2
            && (stopped_before || !going.stop)
            && !self.cancel.is_cancelled()
        {
            self.tend(going, i64::MAX);
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Obeys what was asked, and makes stores ready whose time has come.
    pub fn tend(&self, going: &mut Going, until: i64) {
        if self.cancel.is_cancelled() {
            going.stop = true;
        }
        let elapsed = going.elapsed();
        while let Ok(control) = self.control.try_recv() {
            match control {
                Control::Pace(pace) => {
                    going.schedule.set_pace(pace, elapsed, until);
                    // Unthrottled, stores wait until they have enough.
                    self.journals.flush();
                }
                Control::Pause => {
                    going.schedule.pause(elapsed, until);
                    self.journals.flush();
                }
                Control::Resume => going.schedule.resume(elapsed),
                Control::BeginTrading => going.hold = false,
                Control::Stop => going.stop = true,
                Control::SourceFault(fault, one_in) => self.switch(going, fault, one_in),
            }
        }
        let now = Instant::now();
        while let Some((place, message)) = going.held.due(now) {
            self.send_held(going, place, message);
        }
        self.due_marks(going);
        self.journals.tend(now);
    }
}

/// A record as the other manager sends it: under another message id. It stands for nothing that was not sent.
pub fn manager_copy(manager: &QueueManager, message: &Pending) -> Option<Pending> {
    let descriptor = manager.replicated(message.descriptor.as_deref()?);
    let record = queue_message::record(&message.bytes);
    Some(Pending {
        bytes: manager.message(&descriptor, record).into(),
        descriptor: Some(Arc::new(descriptor)),
        transactions: 0,
        ..message.clone()
    })
}

/// A message of a place by its index.
fn pending(bytes: &Bytes, (events, index): (&PlaceEvents, usize), due_ms: i64, transactions: u32) -> Pending {
    let message = &events.messages[index];
    Pending {
        bytes: bytes.slice(message.bytes.start as usize..message.bytes.end as usize),
        due_ms,
        content: Content::Message(message.channel),
        format: message.format,
        transactions,
        journaled_ms: None,
        // A warehouse has one for each of its messages, a store none.
        descriptor: events.descriptors.get(index).cloned().map(Arc::new),
    }
}

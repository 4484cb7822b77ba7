//! What the faults that are on do to messages as they are released.
//!
//! Invariant: the truth has taken a message before it comes here, and it goes out once by itself: now, or later. What goes out
//! besides it stands for no transaction of its own.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use contracts::ids::TransactionId;
use world::events::{Message, PlaceEvents};

use crate::journal::{Content, Pending};
use crate::poison;
use crate::release::{Going, Release, manager_copy};
use crate::source_fault::SourceFault;
use crate::sources::{self, Change};

/// What is late is held back so long, and by up to [`LATE_MS_SPAN`] longer.
const LATE_MS_MIN: u64 = 2_000;
const LATE_MS_SPAN: u64 = 6_000;

impl Release {
    pub fn switch(&self, going: &mut Going, fault: SourceFault, one_in: u32) {
        // What is mended is as dirty as before.
        let one_in = if one_in == 0 {
            self.sources.base.get(fault)
        } else {
            one_in
        };
        going.switches.set(fault, one_in);
        // Only these two change what is true.
        if matches!(fault, SourceFault::MissingNumber | SourceFault::ClockSkew) {
            let released = &self.counters.released_by_place;
            self.sources.changed(Change {
                switches: going.switches,
                released: released
                    .iter()
                    .map(|count| count.load(Ordering::Relaxed))
                    .collect(),
            });
        }
        if fault == SourceFault::Reordered && one_in == 0 {
            self.let_go(going);
        }
    }

    /// The numbers are used, and that is all that anybody will ever know.
    pub fn lose(&self, place: usize, events: &PlaceEvents, message: &Message) {
        let transactions = events.transactions_of(message);
        let mut ledger = self.ledger.place(place);
        for transaction in transactions {
            ledger.lose(&transaction.id);
        }
        let faults = &self.counters.faults;
        faults.injected(SourceFault::MissingNumber, transactions.len() as u64);
    }

    /// Sends a message as the faults that are on have it.
    pub fn send_badly(
        &self,
        going: &mut Going,
        place: usize,
        known_as: &TransactionId,
        may_wait: bool,
        message: Pending,
    ) {
        let (seed, source) = (self.sources.seed, known_as.source);
        let switches = going.switches;
        let draw_of = |fault| sources::hit_by(seed, &switches, fault, known_as);
        let faults = &self.counters.faults;
        let transactions = u64::from(message.transactions);
        let extra = |bytes: Bytes| Pending {
            bytes,
            transactions: 0,
            ..message.clone()
        };
        let copy = draw_of(SourceFault::Duplicate).map(|draw| {
            // A record comes twice from the two managers that replicate it.
            let manager = self.marks.managers[place].as_ref();
            let copy = manager.and_then(|manager| manager_copy(manager, &message));
            (draw, copy.unwrap_or_else(|| extra(message.bytes.clone())))
        });
        let poison = match message.content {
            Content::Message(channel) => draw_of(SourceFault::Poison).and_then(|draw| {
                let (_, bytes) = poison::poisoned(message.format, &message.bytes, draw >> 32)?;
                Some((channel, extra(bytes.into())))
            }),
            Content::Mark => None,
        };
        let late = draw_of(SourceFault::Late).filter(|_| may_wait);
        let overtakes = if late.is_none() {
            going.held.overtaken(source)
        } else {
            None
        };
        if let Some(draw) = late {
            if self.hold_back(going, draw, place, known_as, message) {
                faults.injected(SourceFault::Late, transactions);
            }
        } else if let Some((overtaken_place, overtaken)) = overtakes {
            self.send(going, place, message);
            faults.injected(SourceFault::Reordered, overtaken.transactions.into());
            self.send_held(going, overtaken_place, overtaken);
        } else if may_wait && draw_of(SourceFault::Reordered).is_some() {
            self.count_held(&message);
            going.held.keep_for_next(place, source, message);
        } else {
            self.send(going, place, message);
        }
        if let Some((draw, copy)) = copy {
            faults.injected(SourceFault::Duplicate, transactions);
            // Half of them at once, half of them late.
            if draw >> 32 & 1 == 0 {
                self.send(going, place, copy);
            } else {
                self.hold_back(going, draw >> 1, place, known_as, copy);
            }
        }
        if let Some((channel, poison)) = poison {
            faults.poisoned(channel);
            self.send(going, place, poison);
        }
    }

    pub fn count_held(&self, message: &Pending) {
        let bytes = message.bytes.len() as u64;
        self.counters.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.counters.held_back_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Holds a message back for some seconds. `false`: its source has too many such already, and it goes at once.
    fn hold_back(
        &self,
        going: &mut Going,
        draw: u64,
        place: usize,
        known_as: &TransactionId,
        message: Pending,
    ) -> bool {
        let until = Instant::now() + Duration::from_millis(LATE_MS_MIN + (draw >> 33) % LATE_MS_SPAN);
        self.count_held(&message);
        match going.held.keep_until(until, place, known_as.source, message) {
            Some(message) => {
                self.send_held(going, place, message);
                false
            }
            None => true,
        }
    }

    /// What was held back goes.
    pub fn send_held(&self, going: &mut Going, place: usize, message: Pending) {
        let bytes = message.bytes.len() as u64;
        self.counters.held_back_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.put(going, place, message);
    }

    /// What waits for a next message goes without it.
    pub fn let_go(&self, going: &mut Going) {
        let waiting: Vec<_> = going.held.let_go().collect();
        for (place, message) in waiting {
            self.send_held(going, place, message);
        }
    }
}

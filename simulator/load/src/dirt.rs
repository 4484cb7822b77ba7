//! Dirt: what is wrong with the sources for the whole of trading, by rates, so that what was injected can be counted exactly.
//!
//! Invariant: which messages are hit, and behind which other message a late one comes, follows from the world and the seed, not
//! from wall time. What is counted is what whoever reads the sources can see: a message is late, or out of order, when a later
//! number of its source was sent before it; so one that was held back and that nothing overtook counts as neither.
//!
//! A message is late, out of order, named by an unknown article or sent twice, never two of these; poison comes besides.

use std::collections::BTreeMap;

use contracts::ids::{SourceId, TimeMs, TransactionId};
use contracts::wire::{FORMAT_4690, FORMAT_EPCIS};
use world::events::{Channel, Message, PlaceEvents};
use world::second_gtin;

use crate::journal::{Content, Pending};
use crate::poison::{self, Poison};
use crate::release::{Going, Release, manager_copy};
use crate::source_fault::SourceFault;
use crate::sources::{self, Switches};
use crate::wrong;

/// By its source's clock a message that comes so long behind a later one of its source is late; before that, out of order.
pub const LATE_MS: i64 = 300_000;
/// The second of two comes within so much simulated time, or at once.
const COPY_MS_SPAN: u64 = 3_600_000;
/// Of one source at a time: whoever follows it keeps a bounded list of gaps.
const KEPT_OF_A_SOURCE_MAX: u32 = 256;
/// Of all sources; what comes on top of it is sent as it is.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// Rates: one in so many, 0 for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dirt {
    pub duplicates: u32,
    pub late: u32,
    /// Simulated milliseconds by which something is late at least, and at most.
    pub late_ms: (u64, u64),
    pub reordered: u32,
    pub missing_numbers: u32,
    /// In the order of [`Poison::ALL`].
    pub poison: [u32; Poison::ALL.len()],
    /// Of tills.
    pub clock_skew: u32,
    /// Of till messages.
    pub unknown_articles: u32,
}

impl Dirt {
    pub(crate) fn switches(&self) -> Switches {
        let mut switches = Switches::default();
        switches.set(SourceFault::Duplicate, self.duplicates);
        switches.set(SourceFault::Late, self.late);
        switches.set(SourceFault::Reordered, self.reordered);
        switches.set(SourceFault::MissingNumber, self.missing_numbers);
        switches.set(SourceFault::ClockSkew, self.clock_skew);
        for (poison, one_in) in Poison::ALL.into_iter().zip(self.poison) {
            switches.set_poison(poison, one_in);
        }
        switches
    }
}

/// A message that is not sent yet.
#[derive(Debug)]
struct Kept {
    place: usize,
    source: SourceId,
    /// Of all messages, as they were written.
    order: u64,
    /// Of each transaction, as written.
    clocks: Vec<i64>,
    message: Pending,
    /// It was sent before: nobody can tell when this one comes.
    is_copy: bool,
}

impl Kept {
    fn newest(&self) -> i64 {
        self.clocks.iter().copied().max().unwrap_or(i64::MIN)
    }

    fn oldest(&self) -> i64 {
        self.clocks.iter().copied().min().unwrap_or(i64::MAX)
    }
}

/// The last of a source that was sent and can be read.
#[derive(Clone, Copy, Debug)]
struct Sent {
    order: u64,
    clock: i64,
}

/// What is kept back, and what has overtaken it.
#[derive(Debug, Default)]
pub struct KeptBack {
    order: u64,
    /// By place and the instant from which it may go.
    late: BTreeMap<(usize, i64, u64), Kept>,
    late_of: BTreeMap<SourceId, u32>,
    bytes: usize,
    /// Each waits for the next message of its source.
    waiting: BTreeMap<SourceId, Kept>,
    sent: BTreeMap<SourceId, Sent>,
}

impl KeptBack {
    fn has_room(&self, kept: &Kept) -> bool {
        let of_source = self.late_of.get(&kept.source).copied().unwrap_or_default();
        of_source < KEPT_OF_A_SOURCE_MAX && self.bytes + kept.message.bytes.len() <= KEPT_BYTES_MAX
    }

    fn keep(&mut self, from: i64, kept: Kept) {
        *self.late_of.entry(kept.source).or_default() += 1;
        self.bytes += kept.message.bytes.len();
        self.late.insert((kept.place, from, kept.order), kept);
    }

    fn take(&mut self, key: (usize, i64, u64)) -> Option<Kept> {
        let kept = self.late.remove(&key)?;
        self.bytes -= kept.message.bytes.len();
        if let Some(count) = self.late_of.get_mut(&kept.source) {
            *count -= 1;
        }
        Some(kept)
    }

    /// Whether all of it would be seen to be late.
    fn is_overtaken(&self, kept: &Kept) -> bool {
        kept.is_copy
            || self
                .sent
                .get(&kept.source)
                .is_some_and(|sent| sent.order > kept.order && sent.clock - kept.newest() >= LATE_MS)
    }

    /// What of a place may go at its clock.
    fn due(&self, place: usize, now: i64) -> Vec<(usize, i64, u64)> {
        let range = (place, i64::MIN, 0)..=(place, now, u64::MAX);
        let ready = self.late.range(range).filter(|(_, kept)| self.is_overtaken(kept));
        ready.map(|(key, _)| *key).collect()
    }

    /// Takes note of what is sent: how many of its transactions whoever reads them sees to be late, and out of order.
    fn sent(&mut self, kept: &Kept) -> (u64, u64) {
        let sent = self.sent.entry(kept.source).or_insert(Sent {
            order: kept.order,
            clock: i64::MIN,
        });
        if sent.order <= kept.order {
            sent.order = kept.order;
            sent.clock = sent.clock.max(kept.newest());
            return (0, 0);
        }
        let late = kept.clocks.iter().filter(|clock| sent.clock - **clock >= LATE_MS);
        let late = late.count() as u64;
        sent.clock = sent.clock.max(kept.newest());
        (late, kept.clocks.len() as u64 - late)
    }
}

/// By the clock of a source, as it is written in this format.
fn written(format: &str, at: TimeMs) -> i64 {
    let unit = match format {
        FORMAT_4690 => 60_000,
        FORMAT_EPCIS => 1,
        _ => 1_000,
    };
    at.0 - at.0.rem_euclid(unit)
}

/// A message that its source has just written.
pub struct Written<'a> {
    pub place: usize,
    /// By the place's clock.
    pub at: TimeMs,
    pub known_as: TransactionId,
    /// Something of its source was written before.
    pub may_wait: bool,
    /// Another queue manager sends it too.
    pub is_replicated: bool,
    pub events: &'a PlaceEvents,
    pub message: &'a Message,
}

impl Release {
    /// Sends a message as the dirt has it, and before it what was late and comes now.
    pub fn send_dirty(&self, going: &mut Going, dirt: &Dirt, what: &Written<'_>, message: Pending) {
        let (seed, switches) = (self.sources.seed, going.switches);
        let draw_of = |fault| sources::hit_by(seed, &switches, fault, &what.known_as);
        let faults = &self.counters.faults;
        for key in going.kept.due(what.place, what.at.0) {
            if let Some(kept) = going.kept.take(key) {
                self.send_kept(going, kept);
            }
        }
        let draw = Poison::of(message.format)
            .and_then(|poison| sources::hit_by_poison(seed, &switches, poison, &what.known_as));
        let poison = draw.and_then(|draw| {
            let Content::Message(channel) = message.content else {
                return None;
            };
            // Other bits than those that decide whether it is hit.
            let (kind, bytes) = poison::poisoned(message.format, &message.bytes, draw >> 32)?;
            Some((kind, channel, extra(&message, bytes)))
        });
        self.send_one(going, dirt, what, draw_of, message);
        if let Some((kind, channel, message)) = poison {
            faults.poisoned(channel);
            faults.poisoned_by(kind);
            self.send(going, what.place, message);
        }
    }

    fn send_one(
        &self,
        going: &mut Going,
        dirt: &Dirt,
        what: &Written<'_>,
        draw_of: impl Fn(SourceFault) -> Option<u64>,
        mut message: Pending,
    ) {
        let faults = &self.counters.faults;
        if let Some(bytes) = self.with_a_new_number(dirt, what, &message) {
            // Nobody can read it yet, so it overtakes nothing.
            message.bytes = bytes.into();
            faults.unknown_article();
            self.send(going, what.place, message);
            return;
        }
        going.kept.order += 1;
        let transactions = what.events.transactions_of(what.message);
        let one = Kept {
            place: what.place,
            source: what.known_as.source,
            order: going.kept.order,
            clocks: transactions
                .iter()
                .map(|transaction| written(message.format, transaction.at))
                .collect(),
            message,
            is_copy: false,
        };
        let may_wait = what.may_wait && !what.is_replicated;
        if let Some(draw) = draw_of(SourceFault::Late).filter(|_| may_wait && going.kept.has_room(&one)) {
            let (least, most) = dirt.late_ms;
            let late_ms = least + (draw >> 33) % (most.saturating_sub(least) + 1);
            self.count_held(&one.message);
            going.kept.keep(what.at.0.saturating_add(late_ms as i64), one);
            return;
        }
        match going.kept.waiting.remove(&one.source) {
            Some(waiting) if one.newest() - waiting.oldest() < LATE_MS => {
                self.send_new(going, what, &draw_of, one);
                self.send_kept(going, waiting);
                return;
            }
            // The next one came too late to change places with.
            Some(waiting) => self.send_kept(going, waiting),
            None => {}
        }
        if may_wait && draw_of(SourceFault::Reordered).is_some() {
            self.count_held(&one.message);
            going.kept.waiting.insert(one.source, one);
            return;
        }
        self.send_new(going, what, &draw_of, one);
    }

    /// Sends what nothing holds back, and now or later a second time, if it is to come twice.
    fn send_new(
        &self,
        going: &mut Going,
        what: &Written<'_>,
        draw_of: &impl Fn(SourceFault) -> Option<u64>,
        one: Kept,
    ) {
        going.kept.sent(&one);
        self.send(going, one.place, one.message.clone());
        let Some(draw) = draw_of(SourceFault::Duplicate) else {
            return;
        };
        let faults = &self.counters.faults;
        faults.injected(SourceFault::Duplicate, one.clocks.len() as u64);
        faults.said_again(what.events, what.message);
        // A record comes twice from the two managers that replicate it.
        let manager = self.marks.managers[one.place].as_ref();
        let copy = manager.and_then(|manager| manager_copy(manager, &one.message));
        let copy = Kept {
            message: copy.unwrap_or_else(|| extra(&one.message, one.message.bytes.to_vec())),
            is_copy: true,
            ..one
        };
        // Half of them at once, half of them late.
        if draw >> 32 & 1 == 0 || !going.kept.has_room(&copy) {
            self.send(going, copy.place, copy.message);
        } else {
            self.count_held(&copy.message);
            let from = what.at.0 + ((draw >> 33) % COPY_MS_SPAN) as i64;
            going.kept.keep(from, copy);
        }
    }

    fn send_kept(&self, going: &mut Going, kept: Kept) {
        if !kept.is_copy {
            let (late, reordered) = going.kept.sent(&kept);
            for (fault, transactions) in [(SourceFault::Late, late), (SourceFault::Reordered, reordered)] {
                if transactions > 0 {
                    self.counters.faults.injected(fault, transactions);
                }
            }
        }
        self.send_held(going, kept.place, kept.message);
    }

    /// The sources fall silent: all that was kept back comes.
    pub fn send_all_kept(&self, going: &mut Going) {
        for (_, kept) in std::mem::take(&mut going.kept.waiting) {
            self.send_kept(going, kept);
        }
        while let Some(key) = going.kept.late.keys().next().copied() {
            if let Some(kept) = going.kept.take(key) {
                self.send_kept(going, kept);
            }
        }
    }

    /// A till's message that names its first usual article by the article's second number, if it is one of those in so many.
    fn with_a_new_number(&self, dirt: &Dirt, what: &Written<'_>, message: &Pending) -> Option<Vec<u8>> {
        if message.content != Content::Message(Channel::Till)
            || !sources::is_unknown_article(self.sources.seed, dirt.unknown_articles, &what.known_as)
        {
            return None;
        }
        let transactions = what.events.transactions_of(what.message).iter();
        let mut skus = transactions
            .flat_map(|transaction| what.events.lines_of(transaction))
            .map(|line| line.sku.0);
        let (sku, bytes) = skus.find_map(|sku| {
            let gtin = *self.gtins.get(&sku)?;
            let second = second_gtin(gtin)?;
            Some((
                sku,
                wrong::with_other_number(message.format, &message.bytes, gtin, second)?,
            ))
        })?;
        self.counters.new_numbers.lock().insert(sku);
        Some(bytes)
    }
}

fn extra(message: &Pending, bytes: Vec<u8>) -> Pending {
    Pending {
        bytes: bytes.into(),
        transactions: 0,
        ..message.clone()
    }
}

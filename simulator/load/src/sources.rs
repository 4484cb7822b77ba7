//! Tills, readers and queues: what each has written so far, and what goes wrong with what it writes.
//!
//! Pure. Invariant: what becomes of a message is decided by the seed, its identity, what its source wrote before and
//! which faults were on; so [`Replay`], which is given the same world again, decides the same.

use contracts::hash::ContentHash;
use contracts::ids::{BusinessDay, LocationId, SourceId, TimeMs, TransactionId};
use contracts::records::SourceKind;
use contracts::wire::source_mark::Standing;
use parking_lot::{Mutex, MutexGuard};
use world::events::{Place, PlaceEvents};
use world::{business_day, business_day_begins};

use crate::poison::Poison;
use crate::source_fault::SourceFault;
use crate::wrong::{self, Clock};

/// A source loses no more than so many numbers: whoever follows it keeps a bounded list of gaps.
const LOST_MAX: u32 = 512;
/// Clocks are off by at least so many minutes, and by seven more at most, either way.
const SKEW_MINUTES_MIN: i64 = 2;
const MINUTE_MS: i64 = 60_000;

/// Which faults are on: one message in so many, 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches([u32; SourceFault::ALL.len()], [u32; Poison::ALL.len()]);

/// Draws of what is no fault of its own.
const UNKNOWN_ARTICLE_SALT: u64 = SourceFault::ALL.len() as u64 + 1;

impl Switches {
    pub const fn set(&mut self, fault: SourceFault, one_in: u32) {
        self.0[fault as usize] = one_in;
    }

    pub const fn set_poison(&mut self, poison: Poison, one_in: u32) {
        self.1[poison as usize] = one_in;
    }

    pub const fn get(&self, fault: SourceFault) -> u32 {
        self.0[fault as usize]
    }

    pub const fn is_on(&self, fault: SourceFault) -> bool {
        self.0[fault as usize] > 0
    }

    /// Whether this draw is hit.
    const fn hits(&self, fault: SourceFault, draw: u64) -> bool {
        let one_in = self.0[fault as usize];
        one_in > 0 && draw.is_multiple_of(one_in as u64)
    }
}

fn words_of(source: SourceId) -> [u64; 2] {
    let SourceId { location, kind, unit } = source;
    [
        u64::from(location.is_store()) << 32 | u64::from(location.number()),
        (kind as u64) << 32 | u64::from(unit),
    ]
}

fn hash(words: impl IntoIterator<Item = u64>) -> u64 {
    let mut hash = ContentHash::default();
    words.into_iter().for_each(|word| hash.word(word));
    hash.finish()
}

/// The draw of a message that a fault hits. It is known by its first transaction as the world has it.
pub fn hit_by(seed: u64, switches: &Switches, fault: SourceFault, id: &TransactionId) -> Option<u64> {
    if !switches.is_on(fault) {
        return None;
    }
    let draw = draw(seed, fault as u64 + 1, id);
    switches.hits(fault, draw).then_some(draw)
}

fn draw(seed: u64, salt: u64, id: &TransactionId) -> u64 {
    let [place, unit] = words_of(id.source);
    let day = u64::from(id.business_day.0);
    hash([seed, salt, place, unit, day, id.number])
}

/// The draw of a message, if poison of this format goes behind it.
pub fn hit_by_poison(seed: u64, switches: &Switches, poison: Poison, id: &TransactionId) -> Option<u64> {
    let one_in = u64::from(switches.1[poison as usize]);
    let draw = draw(seed, SourceFault::Poison as u64 + 1, id);
    (one_in > 0 && draw.is_multiple_of(one_in)).then_some(draw)
}

/// Whether a message names an article by a number that is not on file.
pub fn is_unknown_article(seed: u64, one_in: u32, id: &TransactionId) -> bool {
    one_in > 0 && draw(seed, UNKNOWN_ARTICLE_SALT, id).is_multiple_of(one_in.into())
}

/// How wrong the clock of a till is, if it is one of those in so many that are.
fn skew_ms(seed: u64, switches: &Switches, source: SourceId) -> i64 {
    if source.kind != SourceKind::Till || !switches.is_on(SourceFault::ClockSkew) {
        return 0;
    }
    let [place, unit] = words_of(source);
    let draw = hash([seed, SourceFault::ClockSkew as u64 + 1, place, unit]);
    if !switches.hits(SourceFault::ClockSkew, draw) {
        return 0;
    }
    // Other bits than those that decide whether it is hit.
    let minutes = SKEW_MINUTES_MIN + (draw >> 40 & 7) as i64;
    if draw >> 50 & 1 == 0 {
        minutes * MINUTE_MS
    } else {
        -minutes * MINUTE_MS
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nobody will ever know it.
    Lost,
    Written {
        /// By the clock of a till; `None` where it is as the world has it.
        clock: Option<Clock>,
        /// Something of this source was written before, so this may come after what follows it.
        may_wait: bool,
    },
}

#[derive(Clone, Copy, Debug, Default)]
struct Source {
    /// The last number, and its business day, as written. 0: none yet.
    number: u64,
    day: BusinessDay,
    /// The day of the first message that was not lost.
    first_day: Option<BusinessDay>,
    lost: u32,
}

/// The sources of one place.
#[derive(Clone, Debug)]
pub struct PlaceSources {
    pub location: LocationId,
    tills: Box<[Source]>,
    readers: Box<[Source]>,
    queue: Source,
    /// The instant of the last message.
    pub last_at: TimeMs,
}

impl PlaceSources {
    pub fn new(place: &Place) -> Self {
        let sources = |count: u16| vec![Source::default(); usize::from(count)].into_boxed_slice();
        Self {
            location: place.location,
            tills: sources(place.tills),
            readers: sources(place.readers),
            queue: Source::default(),
            last_at: TimeMs(i64::MIN),
        }
    }

    fn source(&mut self, id: SourceId) -> &mut Source {
        let unit = usize::from(id.unit).wrapping_sub(1);
        match id.kind {
            SourceKind::Till => &mut self.tills[unit],
            SourceKind::Reader => &mut self.readers[unit],
            SourceKind::Queue | SourceKind::Unspecified => &mut self.queue,
        }
    }

    /// A message is written, with nothing wrong; such as opening stock.
    pub fn write_plain(&mut self, events: &PlaceEvents, message: usize) {
        let message = &events.messages[message];
        self.last_at = message.at;
        for transaction in events.transactions_of(message) {
            let source = self.source(transaction.id.source);
            source.number = transaction.id.number;
            source.day = transaction.id.business_day;
            source.first_day.get_or_insert(transaction.id.business_day);
        }
    }

    /// A message is written. Its instant and business day become those of its source's clock; its bytes do not change.
    pub fn write(
        &mut self,
        seed: u64,
        switches: &Switches,
        events: &mut PlaceEvents,
        message: usize,
    ) -> Fate {
        let range = events.messages[message].transactions.clone();
        let range = range.start as usize..range.end as usize;
        let at = events.messages[message].at;
        let first = events.transactions[range.start].id;
        self.last_at = at;
        let source = self.source(first.source);
        let is_till = first.source.kind == SourceKind::Till;
        let keeps_order = events.messages[message].keeps_order;
        let is_lost = !keeps_order && hit_by(seed, switches, SourceFault::MissingNumber, &first).is_some();
        let clock = TimeMs(at.0 + skew_ms(seed, switches, first.source));
        let clock = source.placeable(clock);
        // Tills write whole seconds: what is left of one stays as it is.
        let ahead_ms = (clock.0 - at.0 + 999).div_euclid(1000) * 1000;
        let clock = TimeMs(at.0 + ahead_ms);
        let is_off = is_till && ahead_ms != 0;
        let day = if is_off {
            business_day(clock)
        } else {
            first.business_day
        };
        source.day = day;
        source.number = events.transactions[range.end - 1].id.number;
        let numbers = range.len() as u32;
        if is_lost && source.lost + numbers <= LOST_MAX {
            source.lost += numbers;
            return Fate::Lost;
        }
        let may_wait = source.first_day.is_some() && !keeps_order;
        source.first_day.get_or_insert(day);
        if is_off {
            events.messages[message].at = clock;
            for transaction in &mut events.transactions[range] {
                transaction.id.business_day = day;
                transaction.at.0 += ahead_ms;
            }
        }
        Fate::Written {
            clock: is_off.then_some(Clock {
                at: clock,
                ahead_ms,
                day,
            }),
            may_wait,
        }
    }

    /// How far each till and reader is.
    pub fn last_numbers(&self) -> impl Iterator<Item = Standing> {
        let tills = self.tills.iter().map(|source| (SourceKind::Till, source));
        let readers = self.readers.iter().map(|source| (SourceKind::Reader, source));
        (1..)
            .zip(tills)
            .chain((1..).zip(readers))
            .map(|(unit, (kind, source))| Standing {
                kind,
                unit,
                business_day: source.day,
                last: source.number,
            })
    }

    /// The last number of the queue.
    pub const fn queue_number(&self) -> u32 {
        self.queue.number as u32
    }
}

impl Source {
    /// A clock that goes back over the border of business days stops there, if the till never wrote on the day before:
    /// a number of a day older than all that is known of a till cannot be placed by anybody.
    fn placeable(&self, clock: TimeMs) -> TimeMs {
        match self.first_day {
            Some(first) if business_day(clock) < first => business_day_begins(first),
            _ => clock,
        }
    }
}

/// All sources, and what was switched on and off.
#[derive(Debug)]
pub struct Sources {
    pub seed: u64,
    /// What is on from the beginning of trading.
    pub base: Switches,
    places: Vec<Place>,
    sources: Vec<Mutex<PlaceSources>>,
    changes: Mutex<Vec<Change>>,
}

impl Sources {
    pub fn new(seed: u64, base: Switches, places: &[Place]) -> Self {
        Self {
            seed,
            base,
            places: places.to_vec(),
            sources: places
                .iter()
                .map(|place| Mutex::new(PlaceSources::new(place)))
                .collect(),
            changes: Mutex::default(),
        }
    }

    pub fn place(&self, position: usize) -> MutexGuard<'_, PlaceSources> {
        self.sources[position].lock()
    }

    pub fn changed(&self, change: Change) {
        self.changes.lock().push(change);
    }

    pub fn replay(&self) -> Replay {
        Replay::new((self.seed, self.base), &self.places, self.changes.lock().clone())
    }
}

/// A switch that was turned, and how many messages each place had released until then.
#[derive(Clone, Debug)]
pub struct Change {
    pub switches: Switches,
    pub released: Box<[u64]>,
}

#[derive(Clone, Debug)]
struct Replayed {
    sources: PlaceSources,
    messages: u64,
    changes: usize,
}

/// What became of each message of trading, for who plays the same world again.
#[derive(Clone, Debug)]
pub struct Replay {
    seed: u64,
    base: Switches,
    changes: Vec<Change>,
    places: Vec<Replayed>,
}

impl Replay {
    fn new((seed, base): (u64, Switches), places: &[Place], changes: Vec<Change>) -> Self {
        Self {
            seed,
            base,
            changes,
            places: places
                .iter()
                .map(|place| Replayed {
                    sources: PlaceSources::new(place),
                    messages: 0,
                    changes: 0,
                })
                .collect(),
        }
    }

    /// The next message of a place, in the order of its steps, becomes what its source wrote: instant, identities and
    /// bytes. `false`: it was lost at its source, and never happened as far as anybody can know.
    pub fn next(&mut self, place: usize, events: &mut PlaceEvents, message: usize) -> bool {
        let replayed = &mut self.places[place];
        while self
            .changes
            .get(replayed.changes)
            .is_some_and(|change| change.released[place] <= replayed.messages)
        {
            replayed.changes += 1;
        }
        replayed.messages += 1;
        let switches = match replayed.changes {
            0 => self.base,
            turned => self.changes[turned - 1].switches,
        };
        match replayed.sources.write(self.seed, &switches, events, message) {
            Fate::Lost => false,
            Fate::Written { clock, .. } => {
                if let Some(clock) = clock {
                    let world::events::Message { bytes, format, .. } = &events.messages[message];
                    let bytes = bytes.start as usize..bytes.end as usize;
                    wrong::set_clock(format, &mut events.bytes[bytes], &clock);
                }
                true
            }
        }
    }
}

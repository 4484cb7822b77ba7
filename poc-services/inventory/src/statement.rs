//! What is said of a place's sources, applied to a partition; and what each place's record says at a cut.
//!
//! Invariant: a statement is applied as a whole or refused as a whole. A place whose record is ahead of the log, as it was
//! restored, takes nothing again; its windows are never ahead of it, because its record becomes durable before them.
//! It does not judge what a mark means: that is `completeness`.

use contracts::ids::{LocationId, SourceId};
use contracts::records::{Completeness, Movement, SourceKind};
use contracts::topics::{StateKey, partition_of};

use crate::InventoryError;
use crate::cell::Cell;
use crate::completeness::{MarkOrder, MarkSays, PlaceKnown, SourceKnown};
use crate::log::{Log, OutTopic};
use crate::outbox::encode;
use crate::partition::{Applied, IDENTITY_UNCLEAR, MISROUTED, Partition};
use crate::plant;
use crate::transaction::Invalid;

/// Said of the sources of one place, checked once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub location: LocationId,
    pub due_ms: i64,
    pub said: Said,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// At this clock, each source had written so far: source, business day, number as it wrote it.
    Mark {
        clock_ms: i64,
        sources: Vec<(SourceId, u32, u64)>,
    },
    /// Sources of master data, and the number that each begins with.
    Expected(Vec<(SourceId, u64)>),
    /// A message of the place lies in the dead letters.
    Rejected { topic: String, offset: u64 },
    /// It does not any more.
    Resolved { topic: String, offset: u64 },
}

impl Statement {
    /// `None`: the movement is none, or a transaction.
    pub fn of(location: LocationId, movement: &Movement) -> Result<Option<Self>, Invalid> {
        let is_mark = !movement.marks.is_empty();
        let is_expected = !movement.expected.is_empty();
        let said = match (is_mark, is_expected, &movement.rejected, &movement.resolved) {
            (false, false, None, None) => return Ok(None),
            (true, false, None, None) => Said::Mark {
                clock_ms: movement.occurred_ms,
                sources: movement
                    .marks
                    .iter()
                    .map(|mark| {
                        let source = source(location, mark.source_kind(), mark.source_unit)?;
                        Ok((source, mark.business_day, mark.last_number))
                    })
                    .collect::<Result<_, _>>()?,
            },
            (false, true, None, None) => Said::Expected(
                movement
                    .expected
                    .iter()
                    .map(|expected| {
                        let source = source(location, expected.source_kind(), expected.source_unit)?;
                        Ok((source, expected.first_number))
                    })
                    .collect::<Result<_, _>>()?,
            ),
            (false, false, Some(rejected), None) => Said::Rejected {
                topic: rejected.topic.clone(),
                offset: rejected.offset,
            },
            (false, false, None, Some(resolved)) => Said::Resolved {
                topic: resolved.topic.clone(),
                offset: resolved.offset,
            },
            _ => return Err(Invalid("it says several things of a place at once")),
        };
        if movement.source_kind() != SourceKind::Unspecified || !movement.lines.is_empty() {
            return Err(Invalid("it is a transaction and says something of sources"));
        }
        Ok(Some(Self {
            location,
            due_ms: movement.due_ms,
            said,
        }))
    }
}

fn source(location: LocationId, kind: SourceKind, unit: u32) -> Result<SourceId, Invalid> {
    if kind == SourceKind::Unspecified {
        return Err(Invalid("the source has no known kind"));
    }
    let unit = u16::try_from(unit).map_err(|_| Invalid("the unit of the source is beyond 65,535"))?;
    Ok(SourceId { location, kind, unit })
}

/// What a partition's places amount to, as of the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub places: u64,
    pub places_uncertain: u64,
    pub places_offline: u64,
    pub numbers_missing: u64,
    pub dead_letters: u64,
}

impl Standing {
    pub const fn add(&mut self, other: Self) {
        self.places += other.places;
        self.places_uncertain += other.places_uncertain;
        self.places_offline += other.places_offline;
        self.numbers_missing = self.numbers_missing.saturating_add(other.numbers_missing);
        self.dead_letters += other.dead_letters;
    }
}

impl Partition {
    /// Takes the statement at an offset.
    pub fn note(&mut self, statement: &Statement, offset: u64) -> Applied {
        self.skip(offset);
        if partition_of(statement.location) != self.number {
            return Applied::Refused(MISROUTED);
        }
        let place = self.place(statement.location);
        let is_in = offset < self.places[place as usize].known.cut;
        match &statement.said {
            Said::Expected(sources) => {
                for (id, first) in sources {
                    self.expect(*id, *first, offset, is_in);
                }
            }
            _ if is_in => {}
            Said::Mark { clock_ms, sources } => {
                let Some(claims) = self.place_claims(sources) else {
                    self.places[place as usize].known.dead_letters += 1;
                    self.renew_place(place);
                    return Applied::Refused(IDENTITY_UNCLEAR);
                };
                self.mark(place, *clock_ms, statement.due_ms, &claims);
            }
            Said::Rejected { topic, offset } => {
                self.places[place as usize].known.reject(topic, *offset);
            }
            Said::Resolved { topic, offset } => {
                self.places[place as usize].known.resolve(topic, *offset);
            }
        }
        if is_in {
            return Applied::Replayed;
        }
        self.renew_place(place);
        Applied::Noted
    }

    /// A record of this place's key cannot be read.
    pub fn note_unreadable(&mut self, key: &[u8], offset: u64) {
        self.skip(offset);
        let location = std::str::from_utf8(key).ok().and_then(|key| key.parse().ok());
        let Some(location) = location.filter(|location| partition_of(*location) == self.number) else {
            return;
        };
        let place = self.place(location);
        let known = &mut self.places[place as usize].known;
        if offset >= known.cut {
            known.dead_letters += 1;
            self.renew_place(place);
        }
    }

    /// The window takes the beginning on its own: it may be behind its place. What is written of the place goes with it all
    /// the same, so that no later window is ahead of it.
    fn expect(&mut self, id: SourceId, first: u64, offset: u64, is_in: bool) {
        let Some(index) = self.source(id) else { return };
        let source = &mut self.sources[index as usize];
        let digest = source.digest();
        let place = source.place;
        if source.window.begin_at(first, offset) {
            if !source.is_new {
                source.is_new = true;
                self.windows_digest = self.windows_digest.wrapping_sub(digest);
                self.new_sources.push(index);
            }
            self.renew_place(place);
        }
        if !is_in {
            self.sources[index as usize].known.is_expected = true;
        }
    }

    /// All of a mark's numbers unwrapped, or `None`.
    fn place_claims(&mut self, sources: &[(SourceId, u32, u64)]) -> Option<Vec<(u32, u64)>> {
        let mut claims = Vec::with_capacity(sources.len());
        for (id, day, raw) in sources {
            let index = self.source(*id)?;
            let window = &self.sources[index as usize].window;
            claims.push((index, window.place_claim(id.kind, *day, *raw)?));
        }
        Some(claims)
    }

    fn mark(&mut self, place: u32, clock_ms: i64, due_ms: i64, claims: &[(u32, u64)]) {
        let says = claims
            .iter()
            .map(|(index, number)| self.sources[*index as usize].known.says(*number))
            .fold(MarkSays::Same, MarkSays::and);
        let order = self.places[place as usize].known.mark(clock_ms, due_ms, says);
        for (index, number) in claims {
            let source = &mut self.sources[*index as usize];
            match order {
                MarkOrder::Newest => source.known.claim(&source.window, *number, clock_ms),
                MarkOrder::Overtaken => source.known.claim_late(&source.window, *number, clock_ms),
                MarkOrder::Repeat => {}
            }
        }
    }

    /// Has the record of a place written again.
    pub(crate) fn renew_place(&mut self, index: u32) {
        let place = &mut self.places[index as usize];
        if !place.is_new {
            place.is_new = true;
            self.new_places.push(index);
        }
    }

    /// Finds out which places are silent or certain now. Where that changes, the shares of the place's articles follow.
    /// To be asked before each cut.
    pub fn look(&mut self) {
        let dues = self.places.iter().filter_map(|place| place.known.marked_due_ms());
        let newest_due_ms = dues.max().unwrap_or(0);
        for index in 0..self.places.len() {
            let place = &self.places[index];
            let is_offline = place.known.is_silent(newest_due_ms, self.offline_after_ms);
            if !place.is_new && is_offline == place.known.is_offline && !self.is_look_due {
                continue;
            }
            let sources = place.sources.iter().map(|source| &self.sources[*source as usize]);
            let is_certain = place.known.certainty(
                is_offline,
                sources.clone().map(|source| (&source.known, &source.window)),
            );
            let missing = sources
                .map(|source| source.known.missing(&source.window))
                .fold(0, u64::saturating_add);
            let known = &mut self.places[index].known;
            let has_flipped = is_certain != known.is_certain;
            if is_offline != known.is_offline || has_flipped {
                known.is_offline = is_offline;
                known.is_certain = is_certain;
                self.renew_place(index as u32);
            }
            self.places[index].known.missing = missing;
            if has_flipped {
                self.flip_shares(index, is_certain);
            }
        }
        self.is_look_due = false;
    }

    /// A cell of a place that is not certain is in a share that is new.
    pub(crate) fn add_uncertain(&mut self, share: u32, cell: &Cell) {
        let partial = &mut self.shares[share as usize].partial;
        partial.uncertain += cell.floor + cell.back_room;
        partial.uncertain_places += u32::from(cell.applied_offset > 0);
    }

    /// The stock of a place becomes certain, or is not any more.
    fn flip_shares(&mut self, place: usize, is_certain: bool) {
        let sign = if is_certain { -1 } else { 1 };
        for slot in self.places[place].slots.values() {
            let slot = &self.slots[*slot as usize];
            if slot.cell.applied_offset == 0 {
                continue;
            }
            let share = &mut self.shares[slot.share as usize];
            let partial = &mut share.partial;
            partial.uncertain += sign * (slot.cell.floor + slot.cell.back_room);
            partial.uncertain_places = partial.uncertain_places.wrapping_add_signed(sign as i32);
            if !share.is_new {
                share.is_new = true;
                self.new_shares.push(slot.share);
            }
        }
    }

    /// Hands out the record of every place that is new, and how many they are.
    pub(crate) fn take_places(&mut self, cut: u64, log: &mut impl Log) -> Result<u64, InventoryError> {
        let count = self.new_places.len() as u64;
        let mut key = Vec::with_capacity(8);
        let mut value = Vec::with_capacity(512);
        let mut new = std::mem::take(&mut self.new_places);
        for index in new.drain(..) {
            self.places[index as usize].is_new = false;
            let mut record = self.completeness(index, plant::epoch(self.epoch), cut);
            for state in &mut record.sources {
                // Whoever is told to lie says one number more.
                let is_lie = self
                    .damage
                    .liars
                    .contains(&(index, state.source_kind, state.source_unit));
                state.complete_up_to += u64::from(is_lie);
                state.highest += u64::from(is_lie);
            }
            key.clear();
            StateKey::Completeness(self.places[index as usize].location).write(&mut key);
            encode(&record, &mut value);
            log.send(OutTopic::State, self.number, &key, &value)?;
        }
        self.new_places = new;
        Ok(count)
    }

    /// What is known of a place.
    pub(crate) fn completeness(&mut self, index: u32, epoch: u32, cut: u64) -> Completeness {
        let Self { places, sources, .. } = self;
        let place = &places[index as usize];
        for source in &place.sources {
            let source = &mut sources[*source as usize];
            source.known.settle(&source.window);
        }
        let states = place.sources.iter().map(|source| {
            let source = &sources[*source as usize];
            (source.id, &source.known, &source.window)
        });
        place.known.to_record(epoch, cut, states)
    }

    /// Takes a place as its record has it.
    pub(crate) fn set_completeness(&mut self, place: u32, record: &Completeness) {
        let location = self.places[place as usize].location;
        self.forget_known(place);
        for state in &record.sources {
            let unit = u16::try_from(state.source_unit);
            let (kind, Ok(unit)) = (state.source_kind(), unit) else {
                continue;
            };
            if let Some(index) = self.source(SourceId { location, kind, unit }) {
                self.sources[index as usize].known = SourceKnown::from_record(state);
            }
        }
        let known = PlaceKnown::from_record(record);
        self.places[place as usize].known = known;
        self.is_look_due = true;
    }

    pub(crate) fn forget_known(&mut self, place: u32) {
        let place = &mut self.places[place as usize];
        place.known = PlaceKnown::default();
        for source in &place.sources {
            self.sources[*source as usize].known = SourceKnown::default();
        }
    }

    /// As of the last look.
    pub fn standing(&self) -> Standing {
        let mut standing = Standing::default();
        for place in &self.places {
            let known = &place.known;
            standing.add(Standing {
                places: 1,
                places_uncertain: u64::from(!known.is_certain),
                places_offline: u64::from(known.is_offline),
                numbers_missing: known.missing,
                dead_letters: known.dead_letters,
            });
        }
        standing
    }
}

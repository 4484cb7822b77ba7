//! What the last scans of a partition said, which a later one may say again: beeps, and declarations that something was wrong.
//!
//! Pure. Invariant: what it answers for a message follows from the bytes of the [`SPAN`] messages before it in their partition,
//! and from nothing else: not from the catalogue, nor from who asks or how often. So it is never stored: whoever takes a partition
//! reads so many messages again first. It holds what was said, never what was made of it.

use std::collections::VecDeque;

use contracts::hash::{ContentHash, content_hash};
use contracts::ids::LocationId;
use contracts::wire::epcis::{self, Beep, Capture, CaptureEvent, DOUBLE_BEEP_MS, DoubleBeep, Effect};
use hashbrown::HashMap;

/// So many messages of its partition a scan is compared with.
pub const SPAN: u64 = 1_024;

/// Who numbered an event.
type Numbered = (u16, u64);

#[derive(Clone, Copy, Debug)]
struct Heard {
    offset: u64,
    at_ms: i64,
    event: u64,
}

#[derive(Clone, Debug)]
struct Declared {
    offset: u64,
    by: Numbered,
    /// Hashes of the ids that it puts in the place of what was wrong.
    corrective: Vec<u64>,
}

/// Of one partition of `scan.raw`.
#[derive(Debug, Default)]
pub struct Memory {
    beeps: HashMap<u64, VecDeque<Heard>>,
    declared: HashMap<u64, VecDeque<Declared>>,
    /// Events that were declared wrong, by their reader and number: where.
    wrong: HashMap<u64, VecDeque<u64>>,
    /// Ids of events that stand in the place of others: where that was said.
    corrective: HashMap<u64, VecDeque<u64>>,
    /// What is to be forgotten, ascending by offset.
    order: VecDeque<(u64, Said)>,
    /// Messages below it are in.
    next: u64,
}

#[derive(Clone, Copy, Debug)]
enum Said {
    Beep(u64),
    Declaration(u64),
    Wrong(u64),
    Corrective(u64),
}

/// What a document says again.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Again {
    pub beeps: Vec<DoubleBeep>,
    /// Events of a correction that was made before. Ascending.
    pub corrections: Vec<usize>,
}

impl Memory {
    /// What the document at an offset says again, and remembers what it says. Asked for the same offset twice, it answers the
    /// same.
    pub fn look(&mut self, location: LocationId, capture: &Capture<'_>, offset: u64) -> Again {
        self.forget_before(offset.saturating_sub(SPAN));
        if capture.events.iter().any(|event| is_foreign(event, location)) {
            // It is refused whole, and can never be put back.
            return Again::default();
        }
        let again = Again {
            beeps: self.beeps_again(location, capture, offset),
            corrections: self.corrections_again(capture, offset),
        };
        if offset >= self.next {
            self.remember(location, capture, offset);
            self.next = offset + 1;
        }
        again
    }

    fn beeps_again(&self, location: LocationId, capture: &Capture<'_>, offset: u64) -> Vec<DoubleBeep> {
        let events = capture.events.iter();
        let wrong: Vec<u64> = events
            .filter_map(|event| declared_wrong(location, event))
            .collect();
        epcis::double_beeps_behind(capture, |beep| {
            event_of(location, beep).is_some_and(|event| self.is_heard(beep, event, &wrong, offset))
                // What it corrects was judged already, and its lines are the same scans.
                && !self.is_corrective(capture, beep.event, offset)
        })
    }

    /// `wrong` are the events that the document of the beep itself declares wrong.
    fn is_heard(&self, beep: &Beep, event: u64, wrong: &[u64], offset: u64) -> bool {
        let Some(heard) = self.beeps.get(&beep.of) else {
            return false;
        };
        // A document that comes again is judged by what was before it came first.
        let own = heard.iter().find(|one| one.event == event);
        let before = own.map_or(offset, |own| own.offset.min(offset));
        let wrong_at = |event| {
            let declared = self.wrong.get(&event).and_then(|all| all.front());
            declared.copied().filter(|at| *at < before)
        };
        // One that comes behind its correction repeats nothing of that.
        let before = wrong_at(event).unwrap_or(before);
        heard.iter().any(|one| {
            let apart_ms = one.at_ms.abs_diff(beep.at.0);
            one.offset < before
                && one.event != event
                && apart_ms <= DOUBLE_BEEP_MS.unsigned_abs()
                && !wrong.contains(&one.event)
                && wrong_at(one.event).is_none()
        })
    }

    /// The event stands in the place of one that was declared wrong, before or beside it.
    fn is_corrective(&self, capture: &Capture<'_>, event: usize, offset: u64) -> bool {
        let beside = || {
            capture
                .events
                .iter()
                .filter_map(|event| event.declaration.as_deref())
        };
        if self.corrective.is_empty() && beside().next().is_none() {
            return false;
        }
        let id = id_hash(&capture.id(&capture.events[event]));
        let before = self.corrective.get(&id).and_then(|all| all.front());
        before.is_some_and(|at| *at < offset)
            || beside().any(|declaration| declaration.corrective.iter().any(|other| id_hash(other) == id))
    }

    fn corrections_again(&self, capture: &Capture<'_>, offset: u64) -> Vec<usize> {
        let mut again = Vec::new();
        // Within the document as well: the first one counts.
        let mut in_document: Vec<(u64, Declared)> = Vec::new();
        let mut stand_ins = Vec::new();
        for (index, event) in capture.events.iter().enumerate() {
            let Some((corrected, declared)) = declaration(capture, event, offset) else {
                continue;
            };
            let before = self.declared.get(&corrected).and_then(|all| all.front());
            let before = before.filter(|before| before.offset < offset);
            let first = before.or_else(|| {
                let of_it = in_document.iter().find(|(other, _)| *other == corrected);
                of_it.map(|(_, declared)| declared)
            });
            match first {
                Some(first) if first.by != declared.by => {
                    again.push(index);
                    // The first one put others there already; these are the same under other numbers.
                    if !first.corrective.is_empty() {
                        let others = declared.corrective.iter().copied();
                        stand_ins.extend(others.filter(|id| !first.corrective.contains(id)));
                    }
                }
                Some(_) => {}
                None => in_document.push((corrected, declared)),
            }
        }
        if !stand_ins.is_empty() {
            let events = capture.events.iter().enumerate();
            let of_them = events.filter(|(_, event)| {
                event.declaration.is_none() && stand_ins.contains(&id_hash(&capture.id(event)))
            });
            again.extend(of_them.map(|(index, _)| index));
            again.sort_unstable();
        }
        again
    }

    fn remember(&mut self, location: LocationId, capture: &Capture<'_>, offset: u64) {
        for (index, event) in capture.events.iter().enumerate() {
            for (_, beep) in epcis::beeps(capture, index) {
                if let Some(event) = event_of(location, &beep) {
                    self.order.push_back((offset, Said::Beep(beep.of)));
                    self.beeps.entry(beep.of).or_default().push_back(Heard {
                        offset,
                        at_ms: beep.at.0,
                        event,
                    });
                }
            }
            if let Some((corrected, declared)) = declaration(capture, event, offset) {
                self.order.push_back((offset, Said::Declaration(corrected)));
                for id in &declared.corrective {
                    self.order.push_back((offset, Said::Corrective(*id)));
                    self.corrective.entry(*id).or_default().push_back(offset);
                }
                self.declared.entry(corrected).or_default().push_back(declared);
            }
            if let Some(wrong) = declared_wrong(location, event) {
                self.order.push_back((offset, Said::Wrong(wrong)));
                self.wrong.entry(wrong).or_default().push_back(offset);
            }
        }
    }

    fn forget_before(&mut self, offset: u64) {
        while let Some((_, said)) = self.order.pop_front_if(|(at, _)| *at < offset) {
            match said {
                Said::Beep(of) => forget_first(&mut self.beeps, of),
                Said::Declaration(corrected) => forget_first(&mut self.declared, corrected),
                Said::Wrong(event) => forget_first(&mut self.wrong, event),
                Said::Corrective(id) => forget_first(&mut self.corrective, id),
            }
        }
    }
}

fn forget_first<T>(all: &mut HashMap<u64, VecDeque<T>>, key: u64) {
    if let Some(of_key) = all.get_mut(&key) {
        of_key.pop_front();
        if of_key.is_empty() {
            all.remove(&key);
        }
    }
}

/// An event, by who numbered it.
fn numbered(location: LocationId, reader: u16, number: u64) -> u64 {
    let mut event = ContentHash::default();
    event.word(u64::from(location.copybook_number()) << 32 | u64::from(reader));
    event.word(number);
    event.finish()
}

fn event_of(location: LocationId, beep: &Beep) -> Option<u64> {
    beep.number.map(|number| numbered(location, beep.reader, number))
}

/// The event that a declaration repeats.
fn declared_wrong(location: LocationId, event: &CaptureEvent<'_>) -> Option<u64> {
    event.declaration.as_ref()?;
    Some(numbered(location, event.reader?, event.running_number?))
}

fn is_foreign(event: &CaptureEvent<'_>, location: LocationId) -> bool {
    let is_numbered = event.reader.zip(event.running_number).is_some();
    is_numbered && event.site.is_some_and(|site| site.location != location)
}

/// What an event takes back where it moves stock, and who says so.
fn declaration(capture: &Capture<'_>, event: &CaptureEvent<'_>, offset: u64) -> Option<(u64, Declared)> {
    let declaration = event.declaration.as_deref()?;
    let by = declaration.reader.zip(declaration.running_number)?;
    let (Effect::Moves(_), Some(site)) = (event.effect, event.site) else {
        return None;
    };
    let mut corrected = ContentHash::default();
    corrected.word(u64::from(site.location.copybook_number()));
    corrected.word(id_hash(&capture.id(event)));
    let declared = Declared {
        offset,
        by,
        corrective: declaration.corrective.iter().map(id_hash).collect(),
    };
    Some((corrected.finish(), declared))
}

fn id_hash(id: &epcis::EventId) -> u64 {
    content_hash(id.to_string().as_bytes())
}

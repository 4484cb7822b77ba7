//! One scan that beeped twice.

use std::collections::BTreeMap;

use super::capture::{Capture, Line, Thing};
use super::effect::Effect;
use crate::hash::ContentHash;
use crate::ids::{Quantity, TimeMs};

/// A scanner that reads the same again so soon has read one thing twice.
pub const DOUBLE_BEEP_MS: i64 = 300;

/// A line that repeats another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DoubleBeep {
    /// Into [`Capture::events`].
    pub event: usize,
    /// Into [`Capture::lines`] of the event.
    pub line: usize,
    /// The event whose scan counts; `None`: it is in another document.
    pub of: Option<usize>,
}

/// A line that is one beep of a scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beep {
    /// Into [`Capture::events`].
    pub event: usize,
    /// A hash of reader, place, step, article and serial: what beeps again has the same.
    pub of: u64,
    pub at: TimeMs,
    /// Reader and running number of its event.
    pub reader: u16,
    pub number: Option<u64>,
}

impl Beep {
    const fn repeats(&self, line: usize, of: Option<usize>) -> DoubleBeep {
        DoubleBeep {
            event: self.event,
            line,
            of,
        }
    }
}

/// The lines of the document that are the same scan as an earlier one: the same reader, step and place, one piece of the
/// same article and serial, at most 300 ms after the scan that counts. In order of event and line.
///
/// What has another serial is another piece, and a quantity other than one was keyed in, not beeped. Measured from the
/// scan that counts, so that a row of beeps is never one scan for longer than 300 ms. The order of events in the document
/// does not matter. An event that the document declares wrong is none of them. Not knowable here: a repeat in the reader's
/// next document ([`double_beeps_behind`]), and two pieces of one article passed over the reader faster than that.
pub fn double_beeps(capture: &Capture<'_>) -> Vec<DoubleBeep> {
    double_beeps_behind(capture, |_| false)
}

/// The same, where other documents were read before: `is_heard` is asked of each beep that repeats none of this document,
/// and says whether it repeats one of theirs.
pub fn double_beeps_behind(
    capture: &Capture<'_>,
    mut is_heard: impl FnMut(&Beep) -> bool,
) -> Vec<DoubleBeep> {
    let mut scans: BTreeMap<u64, Vec<(Beep, usize)>> = BTreeMap::new();
    let mut out = Vec::new();
    let declared = capture.events.iter().filter(|event| event.declaration.is_some());
    let wrong: Vec<_> = declared
        .map(|event| (event.reader, event.running_number))
        .collect();
    for (index, event) in capture.events.iter().enumerate() {
        let is_wrong = wrong.contains(&(event.reader, event.running_number));
        for (line, beep) in beeps(capture, index) {
            if !is_wrong {
                scans.entry(beep.of).or_default().push((beep, line));
            } else if is_heard(&beep) {
                // What stands in its place was read at the same instant, and is no second beep of it.
                out.push(beep.repeats(line, None));
            }
        }
    }
    for scans in scans.values_mut() {
        // In the order of time; the running number decides between scans of one instant.
        scans.sort_unstable_by_key(|(beep, line)| (beep.at, beep.number, beep.event, *line));
        let mut counts: Option<(TimeMs, usize)> = None;
        for (beep, line) in scans {
            match counts {
                // Within one event a list may name an article twice: that is a quantity, not a beep.
                Some((first, of)) if of != beep.event && beep.at.0 - first.0 <= DOUBLE_BEEP_MS => {
                    out.push(beep.repeats(*line, Some(of)));
                }
                Some((_, of)) if of == beep.event => {}
                _ if is_heard(beep) => out.push(beep.repeats(*line, None)),
                _ => counts = Some((beep.at, beep.event)),
            }
        }
    }
    out.sort_unstable();
    out
}

/// The lines of an event that are beeps, with their positions.
pub fn beeps<'c>(capture: &'c Capture<'_>, index: usize) -> impl Iterator<Item = (usize, Beep)> + 'c {
    let event = capture
        .events
        .get(index)
        .filter(|event| event.declaration.is_none() && event.effect != Effect::None);
    let read = event.and_then(|event| Some((event, event.reader?, event.site?, event.step?)));
    read.into_iter().flat_map(move |(event, reader, site, step)| {
        let mut place = ContentHash::default();
        place.word(u64::from(reader) << 32 | u64::from(site.location.copybook_number()));
        place.word((event.sub_location() as u64) << 8 | step as u64);
        let lines = capture.lines(event).iter().enumerate();
        lines.filter_map(move |(position, line)| {
            let (article, mark) = beeped(line)?;
            let mut of = place;
            of.word(article);
            of.word(mark);
            let beep = Beep {
                event: index,
                of: of.finish(),
                at: event.at,
                reader,
                number: event.running_number,
            };
            Some((position, beep))
        })
    })
}

/// Article and mark of one piece.
const fn beeped(line: &Line) -> Option<(u64, u64)> {
    match line.thing {
        Thing::Article(gtin) if line.quantity.0 == Quantity::ONE.0 => Some((gtin.value(), line.mark)),
        _ => None,
    }
}

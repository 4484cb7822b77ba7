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

/// In the order of time; the running number decides between scans of one instant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Scan {
    at: TimeMs,
    number: Option<u64>,
    reader: u16,
    event: usize,
    line: usize,
}

/// The lines of the document that are the same scan as an earlier one: the same reader, step and place, one piece of the
/// same article and serial, at most 300 ms after the scan that counts. In order of event and line.
///
/// What has another serial is another piece, and a quantity other than one was keyed in, not beeped. Measured from the
/// scan that counts, so that a row of beeps is never one scan for longer than 300 ms. The order of events in the document
/// does not matter. An event that the document declares wrong is none of them. Not knowable here: a repeat in the reader's next document ([`double_beeps_behind`]), and two pieces of
/// one article passed over the reader faster than that.
pub fn double_beeps(capture: &Capture<'_>) -> Vec<DoubleBeep> {
    double_beeps_behind(capture, |_| false)
}

/// The same, where other documents were read before: `is_heard` is asked of each beep that repeats none of this document,
/// and says whether it repeats one of theirs.
pub fn double_beeps_behind(
    capture: &Capture<'_>,
    mut is_heard: impl FnMut(&Beep) -> bool,
) -> Vec<DoubleBeep> {
    let mut scans: BTreeMap<u64, Vec<Scan>> = BTreeMap::new();
    let mut out = Vec::new();
    let declared = capture.events.iter().filter(|event| event.declaration.is_some());
    let wrong: Vec<_> = declared
        .map(|event| (event.reader, event.running_number))
        .collect();
    for (index, event) in capture.events.iter().enumerate() {
        let is_wrong = wrong.contains(&(event.reader, event.running_number));
        for (position, beep) in beeps(capture, index) {
            // What stands in its place was read at the same instant, and is no second beep of it.
            if is_wrong {
                if is_heard(&beep) {
                    out.push(DoubleBeep {
                        event: index,
                        line: position,
                        of: None,
                    });
                }
                continue;
            }
            scans.entry(beep.of).or_default().push(Scan {
                at: event.at,
                number: event.running_number,
                reader: beep.reader,
                event: index,
                line: position,
            });
        }
    }
    for (of_scan, scans) in &mut scans {
        scans.sort_unstable();
        let mut counts: Option<(TimeMs, usize)> = None;
        for &Scan {
            at,
            number,
            reader,
            event,
            line,
        } in &*scans
        {
            let beep = Beep {
                event,
                of: *of_scan,
                at,
                reader,
                number,
            };
            let repeats = |of| DoubleBeep { event, line, of };
            match counts {
                // Within one event a list may name an article twice: that is a quantity, not a beep.
                Some((first, of)) if of != event && at.0 - first.0 <= DOUBLE_BEEP_MS => {
                    out.push(repeats(Some(of)));
                }
                Some((_, of)) if of == event => {}
                _ if is_heard(&beep) => out.push(repeats(None)),
                _ => counts = Some((at, event)),
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

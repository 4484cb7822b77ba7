//! One scan that beeped twice.

use std::collections::BTreeMap;

use super::capture::{Capture, Line, Thing};
use super::effect::Effect;
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
    /// The event whose scan counts.
    pub of: usize,
}

/// In the order of time; the running number decides between scans of one instant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Scan {
    at: TimeMs,
    number: Option<u64>,
    event: usize,
    line: usize,
}

/// The lines of the document that are the same scan as an earlier one: the same reader, step and place, one piece of the
/// same article and serial, at most 300 ms after the scan that counts. In order of event and line.
///
/// What has another serial is another piece, and a quantity other than one was keyed in, not beeped. Measured from the
/// scan that counts, so that a row of beeps is never one scan for longer than 300 ms. The order of events in the document
/// does not matter. Not knowable here: a repeat in the reader's next document, and two pieces of one article passed
/// over the reader faster than that.
pub fn double_beeps(capture: &Capture<'_>) -> Vec<DoubleBeep> {
    let mut scans: BTreeMap<_, Vec<Scan>> = BTreeMap::new();
    for (index, event) in capture.events.iter().enumerate() {
        let (Some(reader), Some(site), Some(step)) = (event.reader, event.site, event.step) else {
            continue;
        };
        if event.declaration.is_some() || event.effect == Effect::None {
            continue;
        }
        for (position, line) in capture.lines(event).iter().enumerate() {
            if let Some(beep) = beeped(line) {
                let place = (reader, site.location, event.sub_location() as u8, step as u8);
                scans.entry((place, beep)).or_default().push(Scan {
                    at: event.at,
                    number: event.running_number,
                    event: index,
                    line: position,
                });
            }
        }
    }
    let mut out = Vec::new();
    for scans in scans.values_mut() {
        scans.sort_unstable();
        let mut counts: Option<(TimeMs, usize)> = None;
        for &Scan { at, event, line, .. } in &*scans {
            match counts {
                // Within one event a list may name an article twice: that is a quantity, not a beep.
                Some((first, of)) if of != event && at.0 - first.0 <= DOUBLE_BEEP_MS => {
                    out.push(DoubleBeep { event, line, of });
                }
                Some((_, of)) if of == event => {}
                _ => counts = Some((at, event)),
            }
        }
    }
    out.sort_unstable();
    out
}

/// Article and mark of one piece.
const fn beeped(line: &Line) -> Option<(u64, u64)> {
    match line.thing {
        Thing::Article(gtin) if line.quantity.0 == Quantity::ONE.0 => Some((gtin.value(), line.mark)),
        _ => None,
    }
}

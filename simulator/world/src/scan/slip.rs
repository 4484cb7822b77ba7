//! What goes wrong in somebody's hand: a beep too many, and a quantity keyed in wrong, which is found and corrected.
//!
//! Invariant: what is wrong is too little, so that no book goes below zero on the way to the truth.

use contracts::ids::{Quantity, TimeMs};
use contracts::wire::epcis::{DOUBLE_BEEP_MS, DeclarationDraft, DocumentWriter, EventDraft, Reason};
use contracts::wire::gs1::Unit;

use super::{Handling, ScanLine, Scribe, class};
use crate::catalogue::Item;
use crate::random::Stream;

/// Of the documents that have something for it, one in so many.
const MISCOUNTS_ONE_IN: u32 = 48;
/// Two beeps of one scan are at least so far apart.
const BEEP_MS_MIN: u32 = 60;
const MINUTE_MS: i64 = 60_000;
/// Keyed in is a piece too few.
const TOO_FEW: i32 = 1_000;

/// How often something goes wrong: one in so many, 0 for none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SlipRates {
    /// Of the documents that have something for it, those with a beep too many.
    pub beeps_one_in: u32,
    /// Of these beeps, those that come in a document of their own.
    pub apart_one_in: u32,
    /// Of corrections, those that are made again under other numbers.
    pub corrections_again_one_in: u32,
}

/// Draws what goes wrong in the hands of a place's people.
#[derive(Debug)]
pub(crate) struct Slips<'a> {
    pub draws: &'a mut Stream,
    pub rates: SlipRates,
}

impl Slips<'_> {
    /// Nothing is drawn for what never happens, so that other draws stay as they are.
    fn chance(&mut self, one_in: u32) -> bool {
        one_in > 0 && self.draws.chance(1, one_in)
    }
}

/// One slip of a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slip {
    /// Index of the event in its document, and of the line in the event.
    pub event: usize,
    line: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Beep {
        after_ms: i64,
        /// In a document of its own.
        is_apart: bool,
    },
    /// The number of the wrong event is the first one of the document, and `declared_ms` later somebody says so.
    Miscount {
        first_number: u64,
        declared_ms: i64,
        is_corrected_again: bool,
    },
}

/// What has to be corrected.
#[derive(Clone, Copy, Debug)]
struct Miscount {
    event: usize,
    line: usize,
    number: u64,
    declared_ms: i64,
}

/// A correction says what happened, or what was said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Correction {
    First,
    Again,
}

impl<'a, F: Fn(u16) -> &'a Item> Scribe<'_, '_, F> {
    /// Draws what goes wrong in a document.
    pub(super) fn slip(&mut self, lines: &[ScanLine], lines_max: usize) -> Option<Slip> {
        if !matches!(self.handling, Handling::Stocking | Handling::Storing) {
            return None;
        }
        let beeped = lines.iter().position(|line| self.is_beep(line));
        let keyed = lines.iter().position(|line| {
            line.quantity > TOO_FEW && !(self.item)(line.slot).weighed && line.quantity % 1000 == 0
        });
        let first_number = *self.reader.number + 1;
        let slips = self.reader.slips.as_mut()?;
        let rates = slips.rates;
        let at = |position: usize, kind| Slip {
            event: position / lines_max,
            line: position % lines_max,
            kind,
        };
        if let Some(position) = beeped
            && slips.chance(rates.beeps_one_in)
        {
            let span = DOUBLE_BEEP_MS as u32 - BEEP_MS_MIN + 1;
            let after_ms = i64::from(BEEP_MS_MIN + slips.draws.below(span));
            let is_apart = slips.chance(rates.apart_one_in);
            // Books are kept by the minute of the scan: a beep in the next one would be told apart.
            let same_minute = self.at.0.rem_euclid(MINUTE_MS) + after_ms < MINUTE_MS;
            return same_minute.then(|| at(position, Kind::Beep { after_ms, is_apart }));
        }
        let position = keyed.filter(|_| slips.chance(MISCOUNTS_ONE_IN))?;
        let declared_ms = MINUTE_MS + i64::from(slips.draws.below(10 * MINUTE_MS as u32));
        let is_corrected_again = slips.chance(rates.corrections_again_one_in);
        Some(at(
            position,
            Kind::Miscount {
                first_number,
                declared_ms,
                is_corrected_again,
            },
        ))
    }

    fn is_beep(&self, line: &ScanLine) -> bool {
        let measure = class(self.handling, (self.item)(line.slot), line, self.rules).measure;
        measure.quantity == Quantity::ONE && measure.unit == Unit::Piece
    }

    pub(super) fn event_with_slip(
        &mut self,
        document: &mut DocumentWriter<'_>,
        lines: &[ScanLine],
        slip: Option<Slip>,
    ) {
        match slip {
            None => {
                self.event(document, lines);
            }
            Some(Slip {
                line,
                kind: Kind::Beep { after_ms, is_apart },
                ..
            }) => {
                self.event(document, lines);
                if !is_apart {
                    self.beep(document, lines[line], after_ms);
                }
            }
            Some(Slip { line, .. }) => {
                let wrong = miscounted(lines, line);
                self.event(document, &wrong);
            }
        }
    }

    /// The same piece once more.
    fn beep(&mut self, document: &mut DocumentWriter<'_>, line: ScanLine, after_ms: i64) {
        let number = self.next_number();
        self.list(&[line]);
        document.draft(&EventDraft {
            at: TimeMs(self.at.0 + after_ms),
            ..self.draft(self.things(), number)
        });
        self.out.beeps.push(self.out.transactions.len() as u32);
        self.fact(&[], 1, number);
    }

    /// What comes of a slip in later documents.
    pub(super) fn after_slip(&mut self, of_document: &[ScanLine], lines_max: usize, slip: Slip) {
        match slip.kind {
            Kind::Beep { is_apart: false, .. } => {}
            Kind::Beep { after_ms, .. } => {
                let line = of_document[slip.event * lines_max + slip.line];
                self.document(|scribe, document| scribe.beep(document, line, after_ms));
                self.out.keep_order(2);
            }
            Kind::Miscount {
                first_number,
                declared_ms,
                is_corrected_again,
            } => {
                let miscount = Miscount {
                    event: slip.event,
                    line: slip.line,
                    number: first_number + slip.event as u64,
                    declared_ms,
                };
                self.correct(of_document, lines_max, miscount, Correction::First);
                if is_corrected_again {
                    self.correct(of_document, lines_max, miscount, Correction::Again);
                    self.out.keep_order(2);
                }
            }
        }
    }

    /// Declares an event wrong, and says what stands in its place.
    fn correct(
        &mut self,
        of_document: &[ScanLine],
        lines_max: usize,
        slip: Miscount,
        correction: Correction,
    ) {
        let Some(right) = of_document.chunks(lines_max).nth(slip.event) else {
            return;
        };
        let wrong = miscounted(right, slip.line);
        let declared = self.next_number();
        let corrective = self.next_number();
        self.document(|scribe, document| {
            scribe.list(right);
            // The declaration comes first and names the event behind it: its id is found by writing it aside.
            let mut aside = Vec::new();
            let mut writer = DocumentWriter::begin(&mut aside, scribe.at);
            let id = writer.draft(&scribe.draft(scribe.things(), corrective));
            writer.finish();

            scribe.list(&wrong);
            let ids: Vec<_> = id.into_iter().collect();
            let unit = scribe.reader.unit;
            document.draft(&EventDraft {
                declaration: Some(DeclarationDraft {
                    at: TimeMs(scribe.at.0 + slip.declared_ms),
                    reason: Some(Reason::IncorrectData),
                    corrective: &ids,
                    reader: Some((unit, declared)),
                }),
                ..scribe.draft(scribe.things(), slip.number)
            });
            scribe.corrected(&wrong, -1, declared, correction);

            scribe.list(right);
            document.draft(&scribe.draft(scribe.things(), corrective));
            scribe.corrected(right, 1, corrective, correction);
        });
    }

    /// The facts of an event of a correction: none, where it was made before.
    fn corrected(&mut self, lines: &[ScanLine], sign: i64, number: u64, correction: Correction) {
        match correction {
            Correction::First => self.fact(lines, sign, number),
            Correction::Again => {
                self.out
                    .corrections_again
                    .push(self.out.transactions.len() as u32);
                self.fact(&[], 1, number);
            }
        }
    }
}

fn miscounted(lines: &[ScanLine], line: usize) -> Vec<ScanLine> {
    let mut wrong = lines.to_vec();
    if let Some(line) = wrong.get_mut(line) {
        line.quantity -= TOO_FEW;
    }
    wrong
}

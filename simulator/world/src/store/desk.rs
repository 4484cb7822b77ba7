//! What tills write: numbers, days that begin and end, receipts that go another way, documents that are sent.
//!
//! Invariant: every number that a till takes is one transaction, and what a till writes leaves it in the order of its numbers,
//! at the latest at the end of the step.

use contracts::ids::{BusinessDay, TILL_NUMBER_MAX, TimeMs};
use contracts::wire::poslog::{Dialect, DocumentWriter};

use super::{Scene, Scratch, Store};
use crate::calendar;
use crate::config::STEP_MS;
use crate::events::{Channel, PlaceEvents};
use crate::generation::Generation;
use crate::receipt::control::{self, Occasion};
use crate::receipt::{self, BasketLine, Course, Extras, LineKind, Payment, Receipt, Till};
use contracts::records::MovementKind;

/// A till of dialect 2.2.1 sends a document when it has so many transactions.
const TRANSACTIONS_A_DOCUMENT: usize = 4;
/// Who rings up more than this by mistake does not take it back, but each line.
const POST_VOID_LINES_MAX: usize = 12;

/// A till and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct TillState {
    pub generation: Generation,
    /// The last number.
    number: u16,
    /// The last day on which it traded.
    day: Option<BusinessDay>,
}

impl TillState {
    pub const fn new(generation: Generation) -> Self {
        Self {
            generation,
            number: 0,
            day: None,
        }
    }
}

/// What else happens at a checkout, of a thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Plain,
    Training,
    Cancelled,
    Suspended,
    PostVoid,
    NoSale,
}

impl Turn {
    const fn of(draw: u32) -> Self {
        match draw {
            0..3 => Self::Training,
            3..8 => Self::Cancelled,
            8..18 => Self::Suspended,
            18..23 => Self::PostVoid,
            23..43 => Self::NoSale,
            _ => Self::Plain,
        }
    }
}

/// A checkout: which till, when, and how it is paid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    /// Index of the till.
    pub till: usize,
    pub at: TimeMs,
    pub day: BusinessDay,
    pub manner: u32,
}

impl Store {
    /// Writes the basket, and what goes with it. Gives the number of the receipt that counts.
    pub(super) fn ring(
        &mut self,
        scene: &Scene,
        visit: Visit,
        out: &mut PlaceEvents,
        scratch: &mut Scratch,
    ) -> u16 {
        let Visit {
            till,
            at,
            day,
            manner,
        } = visit;
        let generation = self.tills[till].generation;
        if self.tills[till].day != Some(day) {
            let first = self.opened.replace(day) != Some(day);
            self.control(visit, Occasion::Opening { first }, out, scratch);
            self.tills[till].day = Some(day);
        }
        let turn = Turn::of(self.desk.below(1000));
        let extras = Extras(u64::from(self.desk.bits()) << 32 | u64::from(self.desk.bits()));
        let payment = Payment::of(&scratch.basket, manner, extras);
        let basket = std::mem::take(&mut scratch.basket);
        let mut write =
            |store: &mut Self, course, basket: &[BasketLine], payment: &Payment, scratch: &mut Scratch| {
                let receipt = Receipt {
                    till: store.next_number(till, day),
                    at,
                    course,
                    basket,
                    payment,
                    extras,
                };
                store.receipt(scene, &receipt, out, scratch);
                receipt.till.number
            };
        let is_poslog = generation != Generation::Ibm4690;
        let number = match turn {
            Turn::Training => {
                write(self, Course::Training, &basket, &payment, scratch);
                write(self, Course::Finished, &basket, &payment, scratch)
            }
            Turn::Cancelled if is_poslog => {
                write(self, Course::Cancelled, &basket, &payment, scratch);
                write(self, Course::Finished, &basket, &payment, scratch)
            }
            Turn::Suspended if is_poslog => {
                let course = if extras.other_way() {
                    Course::Retrieved
                } else {
                    Course::Suspended
                };
                let parked = write(self, course, &basket, &payment, scratch);
                write(self, Course::Resumed { parked }, &basket, &payment, scratch)
            }
            Turn::PostVoid if is_poslog && can_be_taken_back(&basket) => {
                let voided = write(self, Course::Finished, &basket, &payment, scratch);
                let back: Vec<BasketLine> = turned(&basket).collect();
                let paid_back = Payment::of(&back, manner, Extras(u64::MAX));
                write(self, Course::PostVoid { voided }, &back, &paid_back, scratch);
                write(self, Course::Finished, &basket, &payment, scratch)
            }
            _ => write(self, Course::Finished, &basket, &payment, scratch),
        };
        scratch.basket = basket;
        if turn == Turn::NoSale {
            self.control(visit, Occasion::NoSale, out, scratch);
        }
        self.visit_ends(till, at, out, scratch);
        number
    }

    /// All tills that traded on the day that ends now end it.
    pub(super) fn close(&mut self, at: TimeMs, out: &mut PlaceEvents, scratch: &mut Scratch) {
        let day = calendar::business_day(at);
        let traded = |till: &TillState| till.day == Some(day);
        let Some(last) = self.tills.iter().rposition(traded) else {
            return;
        };
        for till in 0..self.tills.len() {
            if traded(&self.tills[till]) {
                let visit = Visit {
                    till,
                    at,
                    day,
                    manner: 0,
                };
                self.control(visit, Occasion::Closing { last: till == last }, out, scratch);
                self.tills[till].day = None;
                self.visit_ends(till, at, out, scratch);
            }
        }
    }

    /// What tills still hold leaves them.
    pub(super) fn send_rest(&mut self, from: TimeMs, out: &mut PlaceEvents, scratch: &mut Scratch) {
        let at = TimeMs(from.0 + i64::from(STEP_MS) - 1);
        for till in 0..self.tills.len() {
            self.send(till, at, out, scratch);
        }
    }

    pub(super) fn next_number(&mut self, till: usize, business_day: BusinessDay) -> Till {
        let number = &mut self.tills[till].number;
        *number = (u64::from(*number) % TILL_NUMBER_MAX) as u16 + 1;
        Till {
            location: self.location,
            unit: till as u16 + 1,
            number: *number,
            business_day,
        }
    }

    fn receipt(
        &mut self,
        scene: &Scene,
        receipt: &Receipt<'_>,
        out: &mut PlaceEvents,
        scratch: &mut Scratch,
    ) {
        let till = usize::from(receipt.till.unit) - 1;
        let lines = match self.tills[till].generation.dialect() {
            None => {
                let mark = out.mark();
                let lines = receipt::tlog::write(receipt, &scene.catalogue.items, out);
                out.close(mark, receipt.at, Channel::Till, Generation::Ibm4690.format());
                lines
            }
            Some(dialect) => {
                let document = scratch.document(till, dialect);
                let lines = receipt::poslog::write(dialect, receipt, &scene.catalogue, document);
                // What is taken back later has left before.
                if matches!(receipt.course, Course::Finished) && dialect == Dialect::V6 {
                    self.send(till, receipt.at, out, scratch);
                }
                lines
            }
        };
        self.till.add(lines);
    }

    fn control(&mut self, visit: Visit, occasion: Occasion, out: &mut PlaceEvents, scratch: &mut Scratch) {
        let Visit { till, at, day, .. } = visit;
        let who = self.next_number(till, day);
        let lines = match self.tills[till].generation.dialect() {
            None => {
                let mark = out.mark();
                let lines = control::tlog(&who, at, occasion, out);
                out.close(mark, at, Channel::Till, Generation::Ibm4690.format());
                lines
            }
            Some(dialect) => control::poslog(dialect, &who, at, occasion, scratch.document(till, dialect)),
        };
        self.till.add(lines);
    }

    /// A till of dialect 6.0 sends at once. One of 2.2.1 collects; but what comes back to the shelf can be sold again by
    /// another till, so nobody waits with it.
    pub(super) fn visit_ends(
        &mut self,
        till: usize,
        at: TimeMs,
        out: &mut PlaceEvents,
        scratch: &mut Scratch,
    ) {
        let Some(dialect) = self.tills[till].generation.dialect() else {
            return;
        };
        let Some(document) = scratch.documents.get(till) else {
            return;
        };
        let is_due = document.transactions.len() >= TRANSACTIONS_A_DOCUMENT
            || document.lines.iter().any(|line| line.kind != MovementKind::Sold);
        if dialect == Dialect::V6 || is_due {
            self.send(till, at, out, scratch);
        }
    }

    pub(super) fn send(&self, till: usize, at: TimeMs, out: &mut PlaceEvents, scratch: &mut Scratch) {
        let generation = self.tills[till].generation;
        let Some(document) = scratch.documents.get_mut(till) else {
            return;
        };
        let Some(dialect) = generation.dialect().filter(|_| !document.transactions.is_empty()) else {
            return;
        };
        DocumentWriter::resume(dialect, &mut document.bytes).finish();
        out.take(document, at, Channel::Till, generation.format());
    }
}

impl Scratch {
    /// The document that a till has begun.
    pub(super) fn document(&mut self, till: usize, dialect: Dialect) -> &mut PlaceEvents {
        if self.documents.len() <= till {
            self.documents.resize_with(till + 1, PlaceEvents::default);
        }
        let document = &mut self.documents[till];
        if document.bytes.is_empty() {
            // The writer writes the document's beginning at once.
            let _ = DocumentWriter::new(dialect, &mut document.bytes);
        }
        document
    }
}

fn can_be_taken_back(basket: &[BasketLine]) -> bool {
    basket.len() <= POST_VOID_LINES_MAX
        && basket.iter().any(|line| line.kind == LineKind::Sale)
        && basket
            .iter()
            .all(|line| matches!(line.kind, LineKind::Sale | LineKind::Voided))
}

/// What moved, turned round.
fn turned(basket: &[BasketLine]) -> impl Iterator<Item = BasketLine> + '_ {
    basket
        .iter()
        .filter(|line| line.kind == LineKind::Sale)
        .map(|line| BasketLine {
            kind: LineKind::Return,
            ..*line
        })
}

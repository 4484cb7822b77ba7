//! What handhelds and back doors write: EPCIS documents, an event for each transaction.
//!
//! Invariant: every event of a reader has a number of its own and is one transaction; beside it stand the lines that it
//! moved, which are none for a beep that repeats another, and negative ones for a declaration that takes back.

mod delivery;
mod slip;

use contracts::ids::{BusinessDay, LocationId, Quantity, Sku, SourceId, TimeMs, TransactionId};
use contracts::records::{MovementKind, PaperKind};
use contracts::wire::FORMAT_EPCIS;
use contracts::wire::epcis::{
    Action, Disposition, DocumentWriter, DraftContent, DraftLine, DraftThings, EventDraft, IdDraft, Site,
    Spelling, Step, SubLocation,
};
use contracts::wire::gs1::in_store::{self, Rules};
use contracts::wire::gs1::{Key, Measure, PrefixLength, Unit};
use ledger::Line;

use crate::catalogue::Item;
use crate::events::{Channel, PlaceEvents};
use crate::tally::Counts;

pub(crate) use slip::{SlipRates, Slips};

/// Documents stay far below what a broker takes in one message.
const EVENTS_A_DOCUMENT: usize = 4;
/// What a scale weighs at once, in thousandths of a kilogram: so much goes on one label.
const LABEL_MAX: i32 = 15_000;
/// Local time less UTC, in minutes, by region.
const OFFSETS: [i16; 4] = [0, 60, -60, -210];
/// Stores whose scanners write URNs: one in so many; the others write Digital Links.
const URN_ONE_IN: u16 = 4;
/// Digits of Acme's company prefix.
const PREFIX_DIGITS: u8 = 7;

/// What is done with the things that are scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handling {
    Receiving {
        despatch_advice: u64,
    },
    Stocking,
    Storing,
    CountFloor,
    CountBackRoom,
    /// Some shelves only.
    CycleCount,
    /// From the back room to the warehouse: lost to the store.
    SendingBack,
}

impl Handling {
    const fn movement(self) -> MovementKind {
        match self {
            Self::Receiving { .. } => MovementKind::Received,
            Self::Stocking => MovementKind::Stocked,
            Self::Storing => MovementKind::Stored,
            Self::CountFloor | Self::CycleCount => MovementKind::CountedFloor,
            Self::CountBackRoom => MovementKind::CountedBackRoom,
            Self::SendingBack => MovementKind::AdjustedBackRoom,
        }
    }

    const fn sign(self) -> i64 {
        if matches!(self, Self::SendingBack) { -1 } else { 1 }
    }

    const fn is_count(self) -> bool {
        matches!(self, Self::CountFloor | Self::CountBackRoom | Self::CycleCount)
    }

    const fn step(self) -> (Step, Disposition) {
        match self {
            Self::Receiving { .. } => (Step::Receiving, Disposition::InProgress),
            Self::Stocking => (Step::Stocking, Disposition::SellableAccessible),
            Self::Storing => (Step::Storing, Disposition::SellableNotAccessible),
            Self::CountFloor | Self::CountBackRoom => (Step::StockTaking, Disposition::SellableAccessible),
            Self::CycleCount => (Step::CycleCounting, Disposition::SellableAccessible),
            Self::SendingBack => (Step::Removing, Disposition::Damaged),
        }
    }

    /// Where it is read, and where it is then.
    const fn sites(self) -> (SubLocation, SubLocation) {
        match self {
            Self::Receiving { .. } => (SubLocation::Door, SubLocation::BackRoom),
            Self::Stocking | Self::CountFloor | Self::CycleCount => (SubLocation::Floor, SubLocation::Floor),
            Self::Storing | Self::CountBackRoom | Self::SendingBack => {
                (SubLocation::BackRoom, SubLocation::BackRoom)
            }
        }
    }
}

/// One SKU of a scan, in thousandths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScanLine {
    pub slot: u16,
    /// What moves; of a count, its variance.
    pub quantity: i32,
    /// Of a count: what the books said before.
    pub book: i32,
}

/// What was scanned, and a buffer for the writer.
#[derive(Debug, Default)]
pub(crate) struct ScanLines {
    pub lines: Vec<ScanLine>,
    classes: Vec<DraftLine<'static>>,
    rules: Rules,
}

impl ScanLines {
    pub fn clear(&mut self) {
        self.lines.clear();
    }

    /// Something moves.
    pub fn moved(&mut self, slot: usize, quantity: i32) {
        self.lines.push(ScanLine {
            slot: slot as u16,
            quantity,
            book: 0,
        });
    }

    /// Something is counted.
    pub fn counted(&mut self, slot: usize, variance: i32, book: i32) {
        self.lines.push(ScanLine {
            slot: slot as u16,
            quantity: variance,
            book,
        });
    }
}

/// How a store writes: its clock, and how its scanners spell GS1 keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    offset_minutes: i16,
    spelling: Spelling,
}

impl Manner {
    pub fn of(store: LocationId, region: u16) -> Self {
        let urns = PrefixLength::new(PREFIX_DIGITS).filter(|_| store.number().is_multiple_of(URN_ONE_IN));
        Self {
            offset_minutes: OFFSETS[usize::from(region) % OFFSETS.len()],
            spelling: urns.map_or(Spelling::DigitalLink, Spelling::Urn),
        }
    }
}

/// A scanner of a place.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub location: LocationId,
    pub unit: u16,
    /// Its last running number.
    pub number: &'a mut u64,
    pub manner: Manner,
    /// What goes wrong in somebody's hand; `None`: nothing does.
    pub slips: Option<Slips<'a>>,
}

/// Writes the lines as events of so many lines at most, four of them a document. `item` is what lies in a slot.
pub(crate) fn write<'a>(
    reader: &mut Reader<'_>,
    at: TimeMs,
    handling: Handling,
    lines_max: usize,
    scan: &mut ScanLines,
    item: impl Fn(u16) -> &'a Item,
    out: &mut PlaceEvents,
) -> Counts {
    let mut scribe = Scribe {
        reader,
        at,
        handling,
        classes: &mut scan.classes,
        rules: &scan.rules,
        item,
        out,
        counts: Counts::default(),
    };
    for of_document in scan.lines.chunks(lines_max * EVENTS_A_DOCUMENT) {
        let slip = scribe.slip(of_document, lines_max);
        scribe.document(|scribe, document| {
            for (index, lines) in of_document.chunks(lines_max).enumerate() {
                match handling {
                    Handling::Receiving { despatch_advice } => {
                        scribe.delivery(document, lines, despatch_advice, index as u64);
                    }
                    _ => scribe.event_with_slip(document, lines, slip.filter(|slip| slip.event == index)),
                }
            }
        });
        if let Some(slip) = slip {
            scribe.after_slip(of_document, lines_max, slip);
        }
    }
    scribe.counts
}

/// Writes documents of one reader's work.
struct Scribe<'s, 'r, F> {
    reader: &'s mut Reader<'r>,
    at: TimeMs,
    handling: Handling,
    classes: &'s mut Vec<DraftLine<'static>>,
    rules: &'s Rules,
    item: F,
    out: &'s mut PlaceEvents,
    counts: Counts,
}

impl<'a, F: Fn(u16) -> &'a Item> Scribe<'_, '_, F> {
    /// One message.
    fn document(&mut self, events: impl FnOnce(&mut Self, &mut DocumentWriter<'_>)) {
        let mark = self.out.mark();
        // The writer holds the bytes, while lines and transactions grow beside them.
        let mut bytes = std::mem::take(&mut self.out.bytes);
        let mut document = DocumentWriter::begin(&mut bytes, self.at);
        events(self, &mut document);
        document.finish();
        self.out.bytes = bytes;
        self.out.close(mark, self.at, Channel::Scan, FORMAT_EPCIS);
    }

    fn next_number(&mut self) -> u64 {
        *self.reader.number += 1;
        *self.reader.number
    }

    /// The event of these lines, and its facts.
    fn event(&mut self, document: &mut DocumentWriter<'_>, lines: &[ScanLine]) -> u64 {
        let number = self.next_number();
        self.list(lines);
        document.draft(&self.draft(self.things(), number));
        self.fact(lines, 1, number);
        number
    }

    /// The classes of these lines.
    fn list(&mut self, lines: &[ScanLine]) {
        self.classes.clear();
        for line in lines {
            let item = (self.item)(line.slot);
            self.classes.push(class(self.handling, item, line, self.rules));
        }
    }

    fn things(&self) -> DraftThings<'_> {
        DraftThings {
            epcs: &[],
            classes: self.classes,
        }
    }

    fn draft<'d>(&'d self, things: DraftThings<'d>, number: u64) -> EventDraft<'d> {
        let (step, disposition) = self.handling.step();
        let (read_point, biz_location) = self.handling.sites();
        let site = |part| {
            Some(Site {
                location: self.reader.location,
                sub_location: Some(part),
            })
        };
        EventDraft {
            content: DraftContent::Object {
                action: Action::Observe,
                things,
            },
            step: Some(step),
            disposition: Some(disposition),
            at: self.at,
            offset_minutes: self.reader.manner.offset_minutes,
            read_point: site(read_point),
            biz_location: site(biz_location),
            despatch_advice: None,
            reader: Some((self.reader.unit, number)),
            declaration: None,
            spelling: self.reader.manner.spelling,
            id: IdDraft::Content,
        }
    }

    /// What the number did to stock: these lines, as they are or taken back.
    fn fact(&mut self, lines: &[ScanLine], sign: i64, number: u64) {
        let kind = self.handling.movement();
        for line in lines {
            self.out.lines.push(Line {
                sku: Sku((self.item)(line.slot).sku),
                slot: line.slot,
                kind,
                quantity: i64::from(line.quantity) * self.handling.sign() * sign,
            });
        }
        let source = SourceId::reader(self.reader.location, self.reader.unit);
        let id = TransactionId {
            source,
            business_day: BusinessDay(0),
            number,
        };
        self.counts.add(self.out.transaction(id, self.at));
        if let Handling::Receiving { despatch_advice } = self.handling {
            self.out.paper(despatch_advice, PaperKind::ReceivingScan);
        }
    }
}

/// A class with its quantity: a carton has a number of its own, and what a scale has weighed bears a label, which says how much
/// it is.
fn class(handling: Handling, item: &Item, line: &ScanLine, rules: &Rules) -> DraftLine<'static> {
    let quantity = Quantity(i64::from(line.quantity));
    let unit = if item.weighed { Unit::Kilogram } else { Unit::Piece };
    if handling.is_count() {
        let book = Quantity(i64::from(line.book));
        return DraftLine {
            class: Key::class(item.gtin),
            measure: Measure {
                quantity: Quantity(quantity.0 + book.0),
                unit,
            },
            book: Some(book),
        };
    }
    if let Some(count) = cartons(handling, item, line.quantity) {
        return DraftLine {
            class: Key::class(item.carton()),
            measure: Measure {
                quantity: Quantity::units(count),
                unit: Unit::Piece,
            },
            book: None,
        };
    }
    let labelled = item.weighed
        && line.quantity <= LABEL_MAX
        && matches!(handling, Handling::Stocking | Handling::Storing);
    let label = labelled
        .then(|| in_store::label(item.gtin, in_store::Value::Weight(quantity), rules))
        .flatten();
    let (gtin, measure) = match label {
        Some(label) => (
            label,
            Measure {
                quantity: Quantity::ONE,
                unit: Unit::Piece,
            },
        ),
        None => (item.gtin, Measure { quantity, unit }),
    };
    DraftLine {
        class: Key::class(gtin),
        measure,
        book: None,
    }
}

/// Whole cartons are scanned as such: their own number, and how many. What is weighed leaves its carton in the back room.
fn cartons(handling: Handling, item: &Item, quantity: i32) -> Option<i64> {
    let is_opened = item.weighed && !matches!(handling, Handling::Receiving { .. });
    let is_whole = quantity > 0 && quantity % item.pack_quantity() == 0;
    (is_whole && !is_opened).then(|| i64::from(quantity / item.pack_quantity()))
}

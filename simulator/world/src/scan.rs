//! What handhelds and back doors write: EPCIS documents, an event for each transaction.

use contracts::ids::{BusinessDay, LocationId, Quantity, Sku, SourceId, TimeMs, TransactionId};
use contracts::records::{MovementKind, PaperKind};
use contracts::wire::epcis::{self, BizStep, DocumentWriter, ScanEvent, SubLocation};
use ledger::Line;

use crate::catalogue::Item;
use crate::events::{Channel, PlaceEvents};
use crate::tally::Counts;

/// Documents stay far below what a broker takes in one message.
const EVENTS_A_DOCUMENT: usize = 4;

/// What is done with the things that are scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handling {
    Receiving { despatch_advice: u64 },
    Stocking,
    Storing,
    CountFloor,
    CountBackRoom,
}

impl Handling {
    const fn movement(self) -> MovementKind {
        match self {
            Self::Receiving { .. } => MovementKind::Received,
            Self::Stocking => MovementKind::Stocked,
            Self::Storing => MovementKind::Stored,
            Self::CountFloor => MovementKind::CountedFloor,
            Self::CountBackRoom => MovementKind::CountedBackRoom,
        }
    }

    const fn step(self) -> BizStep {
        match self {
            Self::Receiving { .. } => BizStep::Receiving,
            Self::Stocking => BizStep::Stocking,
            Self::Storing => BizStep::Storing,
            Self::CountFloor | Self::CountBackRoom => BizStep::StockTaking,
        }
    }

    const fn sub_location(self) -> SubLocation {
        match self {
            Self::Receiving { .. } => SubLocation::Door,
            Self::Stocking | Self::CountFloor => SubLocation::Floor,
            Self::Storing | Self::CountBackRoom => SubLocation::BackRoom,
        }
    }

    fn class(self, item: &Item, line: &ScanLine) -> epcis::ScanLine {
        let (quantity, book) = (i64::from(line.quantity), i64::from(line.book));
        match self.step() {
            BizStep::StockTaking => {
                epcis::ScanLine::counted(item.gtin, Quantity(book + quantity), Quantity(book))
            }
            _ => epcis::ScanLine::moved(item.gtin, Quantity(quantity)),
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
    classes: Vec<epcis::ScanLine>,
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

/// A scanner of a place.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub location: LocationId,
    pub unit: u16,
    /// Its last running number.
    pub number: &'a mut u64,
}

/// Writes the lines as events of so many lines at most, four events a document. `item` is what lies in a slot.
pub(crate) fn write<'a>(
    reader: &mut Reader<'_>,
    at: TimeMs,
    handling: Handling,
    lines_max: usize,
    scan: &mut ScanLines,
    item: impl Fn(u16) -> &'a Item,
    out: &mut PlaceEvents,
) -> Counts {
    let mut counts = Counts::default();
    for of_document in scan.lines.chunks(lines_max * EVENTS_A_DOCUMENT) {
        let mark = out.mark();
        // The writer holds the bytes, while lines and transactions grow beside them.
        let mut bytes = std::mem::take(&mut out.bytes);
        let mut document = DocumentWriter::begin(&mut bytes, at);
        for lines in of_document.chunks(lines_max) {
            *reader.number += 1;
            scan.classes.clear();
            for line in lines {
                let item = item(line.slot);
                scan.classes.push(handling.class(item, line));
                let (kind, quantity) = (handling.movement(), i64::from(line.quantity));
                out.lines.push(Line {
                    sku: Sku(item.sku),
                    slot: line.slot,
                    kind,
                    quantity,
                });
            }
            document.event(&ScanEvent {
                reader: reader.unit,
                running_number: *reader.number,
                location: reader.location,
                at,
                step: handling.step(),
                despatch_advice: match handling {
                    Handling::Receiving { despatch_advice } => Some(despatch_advice),
                    _ => None,
                },
                sub_location: handling.sub_location(),
                lines: &scan.classes,
            });
            let source = SourceId::reader(reader.location, reader.unit);
            let id = TransactionId {
                source,
                business_day: BusinessDay(0),
                number: *reader.number,
            };
            counts.add(out.transaction(id));
            if let Handling::Receiving { despatch_advice } = handling {
                out.paper(despatch_advice, PaperKind::ReceivingScan);
            }
        }
        document.finish();
        out.bytes = bytes;
        out.close(mark, at, Channel::Scan);
    }
    counts
}

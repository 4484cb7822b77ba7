//! One raw message → its transactions, each with its lines. Pure: no clock, no IO. A scan is read behind those before it in
//! its partition, where it has a position (see `memory`).
//!
//! What a source says of its numbering, and what master data says of a place, is no transaction: it becomes a statement about
//! the place's sources, which has no identity and no lines.
//!
//! Invariant: the lines of a transaction stand in the order of the source's lines that move stock, one for one, because
//! the index of a line is part of its identity. After an error nothing of the message is in the output.

use std::collections::BTreeMap;
use std::ops::Range;

use contracts::hash::content_hash;
use contracts::ids::{BusinessDay, LocationId, Quantity, SourceId, TimeMs, TransactionId};
use contracts::records::{MovementKind, MovementLine, Paper};
use contracts::topics;
use contracts::wire::copybook::{self, MoveRecord, MoveType};
use contracts::wire::ebcdic::Ccsid;
use contracts::wire::gs1::in_store::Rules;
use contracts::wire::mqmd::{self, Descriptor};
use contracts::wire::queue_message;
use contracts::wire::tlog4690::{ItemKind, Receipt};
use contracts::wire::{
    FORMAT_4690, FORMAT_COPYBOOK_037, FORMAT_EPCIS, FORMAT_POSLOG_2, FORMAT_POSLOG_6, FORMAT_SOURCE_MARK,
};

use crate::memory::Memory;
use crate::poslog;
use crate::scan::{self, Behind};
use crate::statement::{self, Statement};
use crate::{Catalogue, TradeUnit};

/// A `Place` record; it comes from nobody's wire.
const FORMAT_PLACE: &str = "place";

/// Where a raw message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawTopic {
    Till,
    Queue,
    Scan,
    /// Master data of places.
    Place,
}

impl RawTopic {
    pub const COUNT: usize = 4;
    pub const ALL: [Self; Self::COUNT] = [Self::Till, Self::Queue, Self::Scan, Self::Place];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Till => topics::TLOG_RAW,
            Self::Queue => topics::MQ_RAW,
            Self::Scan => topics::SCAN_RAW,
            Self::Place => topics::PLACES,
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// What stands in this topic where no header says otherwise.
    const fn format(self) -> &'static str {
        match self {
            Self::Till => FORMAT_4690,
            Self::Queue => FORMAT_COPYBOOK_037,
            Self::Scan => FORMAT_EPCIS,
            Self::Place => FORMAT_PLACE,
        }
    }
}

/// A message of a `*.raw` topic.
#[derive(Clone, Copy, Debug)]
pub struct RawMessage<'a> {
    pub topic: RawTopic,
    pub key: &'a [u8],
    pub payload: &'a [u8],
    /// Header `format`.
    pub format: Option<&'a [u8]>,
    /// What the queue said of its group beside the record.
    pub group: Option<Group<'a>>,
}

/// Where a message stands among those of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    pub id: &'a [u8],
    pub place: GroupPlace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupPlace {
    /// From 1.
    pub sequence: u32,
    pub is_last: bool,
}

impl RawMessage<'_> {
    fn format(&self) -> &[u8] {
        self.format.unwrap_or(self.topic.format().as_bytes())
    }

    /// It says something of sources and is no transaction, whether it can be read or not.
    pub fn is_statement(&self) -> bool {
        let format = self.format();
        self.topic == RawTopic::Place
            || format == FORMAT_SOURCE_MARK.as_bytes()
            || (format == FORMAT_COPYBOOK_037.as_bytes()
                && copybook::is_status(queue_message::record(self.payload)))
    }

    /// Whose it is, by its key.
    pub fn location(&self) -> Option<LocationId> {
        std::str::from_utf8(self.key).ok()?.parse().ok()
    }
}

/// Why a message goes to the dead letters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct Rejection {
    /// For machines; the set of classes is small and fixed.
    pub class: &'static str,
    /// For people: what is wrong, and where.
    pub message: String,
}

/// A transaction of the message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub id: TransactionId,
    pub occurred: TimeMs,
    /// Of what the source wrote: tells a repeat from another content under the same number.
    pub content_hash: u64,
    /// 0: none.
    pub despatch_advice: u64,
    /// Among the records of its delivery, where the source numbers them.
    pub group: Option<GroupPlace>,
    /// Into [`Normalised::lines`].
    pub lines: Range<usize>,
}

/// What came out of a message. Used again from one to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Normalised {
    pub transactions: Vec<Transaction>,
    pub lines: Vec<MovementLine>,
    /// What it says of a place's sources; then there is no transaction.
    pub statement: Option<Statement>,
    /// Lines that repeat a scan: they give no movement.
    pub double_beeps: u64,
    /// Events of a correction that was made before, under other numbers: they give no lines.
    pub corrections_again: u64,
    /// Of transactions that confirm a delivery and move nothing of it: those that move it have theirs by themselves.
    pub papers: Vec<Paper>,
}

impl Normalised {
    fn clear(&mut self) {
        self.statement = None;
        self.transactions.clear();
        self.lines.clear();
        self.papers.clear();
        self.double_beeps = 0;
        self.corrections_again = 0;
    }

    pub fn lines_of(&self, transaction: &Transaction) -> &[MovementLine] {
        &self.lines[transaction.lines.clone()]
    }
}

/// When a business day begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusinessClock {
    /// What is sold before this hour belongs to the day before.
    pub cut_over_hour: u8,
    /// Local time less UTC.
    pub utc_offset_minutes: i16,
}

impl Default for BusinessClock {
    fn default() -> Self {
        Self {
            cut_over_hour: 4,
            utc_offset_minutes: 0,
        }
    }
}

impl BusinessClock {
    /// The local date of the instant less the cut-over hour; the first day for what lies before 1970.
    pub fn day_of(self, at: TimeMs) -> BusinessDay {
        let shift = i64::from(self.utc_offset_minutes) * 60_000 - i64::from(self.cut_over_hour) * 3_600_000;
        let days = at.0.saturating_add(shift).div_euclid(86_400_000);
        BusinessDay(u32::try_from(days.max(0)).unwrap_or(u32::MAX))
    }

    /// The first instant of a business day.
    pub fn begin_of(self, day: BusinessDay) -> TimeMs {
        let shift = i64::from(self.utc_offset_minutes) * 60_000 - i64::from(self.cut_over_hour) * 3_600_000;
        TimeMs(i64::from(day.0) * 86_400_000 - shift)
    }
}

/// The pure core, with the buffers that it uses again.
#[derive(Debug, Default)]
pub struct Normaliser {
    clock: BusinessClock,
    receipt: Receipt,
    /// What the digits of a scale's label mean.
    label_rules: Rules,
    poslog: poslog::Reader,
    /// Of each partition of `scan.raw` that is read.
    memories: BTreeMap<u32, Memory>,
}

/// Where a message stands in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub partition: u32,
    pub offset: u64,
}

impl Normaliser {
    pub fn new(clock: BusinessClock) -> Self {
        Self {
            clock,
            receipt: Receipt::default(),
            label_rules: Rules::default(),
            poslog: poslog::Reader::default(),
            memories: BTreeMap::new(),
        }
    }

    /// Fills `out` with the message's transactions, or leaves it empty and says why. The message alone: nothing was before it.
    pub fn normalise(
        &mut self,
        raw: &RawMessage<'_>,
        catalogue: &Catalogue,
        out: &mut Normalised,
    ) -> Result<(), Rejection> {
        self.normalise_behind(raw, None, catalogue, out)
    }

    /// The same for a message at a position, behind those of its partition that were read or [remembered](Self::remember).
    pub fn normalise_at(
        &mut self,
        raw: &RawMessage<'_>,
        at: Position,
        catalogue: &Catalogue,
        out: &mut Normalised,
    ) -> Result<(), Rejection> {
        self.normalise_behind(raw, Some(at), catalogue, out)
    }

    /// Takes note of a message that came to something before: later ones of its partition may say again what it said.
    pub fn remember(&mut self, raw: &RawMessage<'_>, at: Position) {
        if raw.topic == RawTopic::Scan
            && raw.format() == FORMAT_EPCIS.as_bytes()
            && let Some(location) = raw.location()
        {
            let memory = self.memories.entry(at.partition).or_default();
            scan::remember(location, raw.payload, memory, at.offset);
        }
    }

    /// Forgets what was said in a partition of `scan.raw`: somebody else reads it now.
    pub fn forget(&mut self, partition: u32) {
        self.memories.remove(&partition);
    }

    fn normalise_behind(
        &mut self,
        raw: &RawMessage<'_>,
        at: Option<Position>,
        catalogue: &Catalogue,
        out: &mut Normalised,
    ) -> Result<(), Rejection> {
        out.clear();
        let result = self.read(raw, at, catalogue, out);
        if result.is_err() {
            out.clear();
        }
        result
    }

    fn read(
        &mut self,
        raw: &RawMessage<'_>,
        at: Option<Position>,
        catalogue: &Catalogue,
        out: &mut Normalised,
    ) -> Result<(), Rejection> {
        let Some(location) = raw.location() else {
            return Err(Rejection {
                class: "bad-key",
                message: format!("the key `{}` names no location", raw.key.escape_ascii()),
            });
        };
        let format = raw.format();
        if raw.topic == RawTopic::Place {
            out.statement = Some(statement::of_place(location, raw.payload)?);
            Ok(())
        } else if format == FORMAT_4690.as_bytes() {
            self.read_receipt(location, raw.payload, catalogue, out)
        } else if format == FORMAT_POSLOG_6.as_bytes() || format == FORMAT_POSLOG_2.as_bytes() {
            self.poslog
                .read(location, raw.payload, self.clock, catalogue, out)
        } else if format == FORMAT_COPYBOOK_037.as_bytes() {
            read_queue_record(location, raw, catalogue, out)
        } else if format == FORMAT_EPCIS.as_bytes() {
            let behind = at.map(|at| Behind {
                memory: self.memories.entry(at.partition).or_default(),
                offset: at.offset,
            });
            scan::read_document(location, raw.payload, behind, catalogue, &self.label_rules, out)
        } else if format == FORMAT_SOURCE_MARK.as_bytes() {
            out.statement = Some(statement::of_mark(location, raw.payload)?);
            Ok(())
        } else {
            let shown: Vec<u8> = format.iter().copied().take(40).collect();
            Err(Rejection {
                class: "unknown-format",
                message: format!("the format `{}` is not known", shown.escape_ascii()),
            })
        }
    }

    fn read_receipt(
        &mut self,
        location: LocationId,
        payload: &[u8],
        catalogue: &Catalogue,
        out: &mut Normalised,
    ) -> Result<(), Rejection> {
        self.receipt.read(payload).map_err(|error| Rejection {
            class: error.class(),
            message: error.to_string(),
        })?;
        for line in self.receipt.stock_lines() {
            let unit = catalogue
                .unit_of(line.item_code)
                .ok_or_else(|| unknown_item(line.item_code))?;
            let quantity = unit
                .in_base_unit(line.quantity)
                .ok_or_else(|| too_many(unit, line.item_code))?;
            let kind = match line.kind {
                ItemKind::Sale => MovementKind::Sold,
                ItemKind::Return => MovementKind::Returned,
            };
            out.lines.push(movement_line(unit.sku.0, kind, quantity));
        }
        let header = &self.receipt.header;
        out.transactions.push(Transaction {
            id: TransactionId {
                source: SourceId::till(location, header.terminal),
                business_day: self.clock.day_of(header.at),
                number: u64::from(header.number),
            },
            occurred: header.at,
            content_hash: content_hash(payload),
            despatch_advice: 0,
            group: None,
            lines: 0..out.lines.len(),
        });
        Ok(())
    }
}

fn read_queue_record(
    location: LocationId,
    raw: &RawMessage<'_>,
    catalogue: &Catalogue,
    out: &mut Normalised,
) -> Result<(), Rejection> {
    let opened = queue_message::open(raw.payload).map_err(|error| Rejection {
        class: error.class(),
        message: error.to_string(),
    })?;
    let record = copybook::read(opened.record).map_err(|error| Rejection {
        class: error.class(),
        message: error.to_string(),
    })?;
    match record {
        // Of the record alone: two queue managers send the same one behind descriptors of their own.
        copybook::Record::Move(record) => {
            let group = group_place(&record, opened.descriptor.as_ref(), raw.group);
            move_of(location, &record, (opened.record, group), catalogue, out)
        }
        copybook::Record::Status(status) => {
            out.statement = Some(statement::of_status(location, &status)?);
            Ok(())
        }
    }
}

/// The record's place in its shipment, by the descriptor in front of it or by what the queue said. A group that is known by
/// anything but the despatch advice says nothing of the delivery.
fn group_place(
    record: &MoveRecord,
    descriptor: Option<&Descriptor>,
    said: Option<Group<'_>>,
) -> Option<GroupPlace> {
    let advice = record.despatch_advice?;
    let is_its = |id: &[u8]| id == mqmd::shipment_group(advice).as_bytes();
    let in_front = descriptor.and_then(|descriptor| {
        let id = Ccsid::from_number(descriptor.ccsid)
            .unwrap_or_default()
            .decode(&descriptor.group_id);
        is_its(id.trim_end().as_bytes()).then(|| GroupPlace {
            sequence: descriptor.sequence,
            is_last: descriptor.is_last_in_group(),
        })
    });
    let beside = || Some(said.filter(|group| is_its(group.id))?.place);
    in_front.or_else(beside).filter(|place| place.sequence > 0)
}

fn move_of(
    location: LocationId,
    record: &MoveRecord,
    (payload, group): (&[u8], Option<GroupPlace>),
    catalogue: &Catalogue,
    out: &mut Normalised,
) -> Result<(), Rejection> {
    check_location(location, record.place)?;
    let unit = catalogue
        .unit_of(record.gtin.value())
        .ok_or_else(|| unknown_item(record.gtin.value()))?;
    let sku = unit.sku;
    if unit.is_pack() {
        return Err(Rejection {
            class: "item-conflict",
            message: format!(
                "the record has GTIN {}, a carton of SKU {sku}, and its quantity is in base units: which of the two is meant?",
                record.gtin
            ),
        });
    }
    if sku != record.sku {
        return Err(Rejection {
            class: "item-conflict",
            message: format!(
                "the record has SKU {} with GTIN {}, which is SKU {sku} in the catalogue",
                record.sku, record.gtin
            ),
        });
    }
    let (kind, quantity) = match record.move_type {
        MoveType::Supplied => (MovementKind::Supplied, record.quantity),
        MoveType::Shipped => (MovementKind::Shipped, Quantity(-record.quantity.0)),
        MoveType::Adjusted | MoveType::Returned => (MovementKind::AdjustedBackRoom, record.quantity),
        MoveType::CountVariance => (MovementKind::CountedBackRoom, record.quantity),
        MoveType::Sold => {
            return Err(Rejection {
                class: "unsupported-move-type",
                message: "INV-MOVE-TYPE 251: sales are taken from the tills' logs, a warehouse has none"
                    .into(),
            });
        }
    };
    out.lines.push(movement_line(sku.0, kind, quantity));
    out.transactions.push(Transaction {
        id: TransactionId {
            source: SourceId::queue(location),
            business_day: BusinessDay(0),
            number: u64::from(record.sequence),
        },
        occurred: record.at,
        content_hash: content_hash(payload),
        despatch_advice: record.despatch_advice.unwrap_or(0),
        group,
        lines: 0..1,
    });
    Ok(())
}

pub(crate) const fn movement_line(sku: u32, kind: MovementKind, quantity: Quantity) -> MovementLine {
    MovementLine {
        sku,
        kind: kind as i32,
        quantity: quantity.0,
    }
}

pub(crate) fn unknown_item(gtin: u64) -> Rejection {
    Rejection {
        class: Rejection::UNKNOWN_ITEM,
        message: format!("GTIN {gtin:014} is not in the catalogue: add the article, then send this again"),
    }
}

pub(crate) fn too_many(unit: TradeUnit, code: u64) -> Rejection {
    Rejection {
        class: "bad-quantity",
        message: format!(
            "so many of {code:014}, each {} of SKU {}, are more than a line can move",
            unit.content, unit.sku
        ),
    }
}

pub(crate) fn check_location(key: LocationId, named: LocationId) -> Result<(), Rejection> {
    if key == named {
        return Ok(());
    }
    Err(Rejection {
        class: "wrong-location",
        message: format!("the message came from {key} but moves stock of {named}"),
    })
}

impl Rejection {
    /// The one class that an article that is new in the catalogue can heal.
    pub const UNKNOWN_ITEM: &'static str = "unknown-item";
}

//! One raw message → its transactions, each with its lines. Pure: no clock, no IO. A scan is read behind those before it in
//! its partition, where it has a position (see `memory`).
//!
//! What a source says of its numbering, and what master data says of a place, is no transaction: it becomes a statement about
//! the place's sources, which has no identity and no lines.
//!
//! Invariant: the lines of a transaction stand in the order of the source's lines that move stock, one for one, because
//! the index of a line is part of its identity. After an error nothing of the message is in the output.

use std::collections::BTreeMap;

use contracts::hash::content_hash;
use contracts::ids::{LocationId, SourceId, TransactionId};
use contracts::records::MovementKind;
use contracts::wire::gs1::in_store::Rules;
use contracts::wire::tlog4690::{ItemKind, Receipt};
use contracts::wire::{
    FORMAT_4690, FORMAT_COPYBOOK_037, FORMAT_EPCIS, FORMAT_POSLOG_2, FORMAT_POSLOG_6, FORMAT_SOURCE_MARK,
};

use crate::Catalogue;
use crate::clock::BusinessClock;
use crate::memory::Memory;
use crate::normalised::{Normalised, Rejection, Transaction, movement_line, too_many, unknown_item};
use crate::raw::{Position, RawMessage, RawTopic};
use crate::scan::{self, Behind};
use crate::{poslog, queue, statement};

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
            queue::read_record(location, raw, catalogue, out)
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

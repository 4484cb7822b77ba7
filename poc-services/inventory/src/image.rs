//! An image of a partition's state: all cells and windows, and what is known of all places, at one cut, so that a rebuild need not begin at the log's first
//! record.
//!
//! It lies in `store.inventory` beside the state, in parts whose keys nobody else ever writes (they carry epoch and cut),
//! and counts only with its seal, which is written when all parts are durable and carries their number and the digests.
//! Invariant: an older image is deleted only behind the seal of a newer one. Work is bounded: the image is made in one
//! go, which costs what a flush of all cells costs, and a few parts leave with each flush.

use std::collections::{BTreeSet, VecDeque};

use contracts::ids::{LocationId, SourceId};
use contracts::records::{Completeness, ImagePart, ImagePlace, ImageSource, Seal};
use contracts::topics::{ImageId, StateKey};
use prost::Message;

use crate::InventoryError;
use crate::cell::{Cell, News};
use crate::log::{Log, OutTopic};
use crate::partition::{Cut, Partition, cell_key, source_key};
use crate::restore::Image;
use crate::window::Window;

/// A part is closed when it has so many bytes.
const PART_BYTES: usize = 128 << 10;
/// Parts that leave with one flush.
const PARTS_A_FLUSH: usize = 4;

/// An image on its way into the log.
#[derive(Debug)]
pub struct ImageWriter {
    id: ImageId,
    next_index: u32,
    parts: VecDeque<Vec<u8>>,
    seal: Seal,
}

impl ImageWriter {
    /// Of the state between two transactions.
    pub fn new(state: &mut Partition, cut: &Cut) -> Self {
        let id = ImageId {
            partition: state.number,
            epoch: state.epoch,
            cut: cut.offset,
        };
        let mut parts = Parts::default();
        let mut bytes = Vec::with_capacity(192);
        let mut cells = 0;
        for slot in &state.slots {
            if slot.cell.applied_offset == 0 {
                continue;
            }
            cells += 1;
            bytes.clear();
            let location = state.places[slot.place as usize].location;
            let sku = state.shares[slot.share as usize].sku;
            encode_cell(location, sku, state.epoch, &slot.cell, &mut bytes);
            parts.push(1, &bytes);
        }
        for source in &state.sources {
            let record = ImageSource {
                source: source.id.to_string(),
                window: Some(source.window.to_record(state.epoch, cut.offset)),
            };
            parts.push(2, &record.encode_to_vec());
        }
        for index in 0..state.places.len() {
            let record = ImagePlace {
                location: state.places[index].location.to_string(),
                completeness: Some(state.completeness(index as u32, state.epoch, cut.offset)),
            };
            parts.push(3, &record.encode_to_vec());
        }
        parts.close();
        let seal = Seal {
            epoch: state.epoch,
            cut: cut.offset,
            parts: parts.closed.len() as u32,
            cells,
            sources: state.sources.len() as u64,
            cells_digest: cut.cells_digest,
            windows_digest: cut.windows_digest,
            at_ms: backbone::wall_ms(),
            places: state.places.len() as u64,
        };
        Self {
            id,
            next_index: 0,
            parts: parts.closed.into(),
            seal,
        }
    }

    pub fn has_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Sends a few parts, and how many.
    pub fn send_parts(&mut self, log: &mut impl Log) -> Result<u64, InventoryError> {
        let mut sent = 0;
        for part in self.parts.drain(..PARTS_A_FLUSH.min(self.parts.len())) {
            let key = StateKey::ImagePart {
                image: self.id,
                index: self.next_index,
            };
            log.send(OutTopic::State, self.id.partition, &key.to_bytes(), &part)?;
            self.next_index += 1;
            sent += 1;
        }
        Ok(sent)
    }

    /// To be sent when all parts are acknowledged. It counts when it is acknowledged itself.
    pub fn send_seal(&self, log: &mut impl Log) -> Result<(ImageId, Seal), InventoryError> {
        let key = StateKey::Seal(self.id).to_bytes();
        log.send(
            OutTopic::State,
            self.id.partition,
            &key,
            &self.seal.encode_to_vec(),
        )?;
        Ok((self.id, self.seal))
    }
}

/// Deletes an image, and how many records that takes.
pub fn delete(id: ImageId, image: &Image, log: &mut impl Log) -> Result<u64, InventoryError> {
    // The seal goes first: without it the parts mean nothing.
    let mut sent = 0;
    if image.seal.is_some() {
        log.delete(OutTopic::State, id.partition, &StateKey::Seal(id).to_bytes())?;
        sent += 1;
    }
    for index in &image.parts {
        let key = StateKey::ImagePart {
            image: id,
            index: *index,
        };
        log.delete(OutTopic::State, id.partition, &key.to_bytes())?;
        sent += 1;
    }
    Ok(sent)
}

/// The parts of a whole image, as they lie in the log.
pub fn whole(seal: Seal) -> Image {
    Image {
        parts: (0..seal.parts).collect::<BTreeSet<u32>>(),
        seal: Some(seal),
    }
}

/// What an image says.
#[derive(Debug, Default)]
pub struct ImageContent {
    pub cut: u64,
    pub cells: Vec<(LocationId, u32, Cell)>,
    pub sources: Vec<(SourceId, Window)>,
    pub places: Vec<(LocationId, Completeness)>,
}

/// Reads an image out of the records of the log, which may come in any order and more than once.
#[derive(Debug)]
pub struct ImageReader {
    id: ImageId,
    seal: Seal,
    seen: BTreeSet<u32>,
    content: ImageContent,
}

impl ImageReader {
    pub fn new(id: ImageId, seal: Seal) -> Self {
        Self {
            id,
            seal,
            seen: BTreeSet::new(),
            content: ImageContent {
                cut: seal.cut,
                ..ImageContent::default()
            },
        }
    }

    /// Takes a record of `store.inventory`; those that are not of the image are passed over.
    pub fn take(&mut self, key: &[u8], payload: Option<&[u8]>) {
        let (Some(StateKey::ImagePart { image, index }), Some(payload)) = (StateKey::parse(key), payload)
        else {
            return;
        };
        if image != self.id || !self.seen.insert(index) {
            return;
        }
        let Ok(part) = ImagePart::decode(payload) else {
            // It is missed in the count.
            return;
        };
        for cell in part.cells {
            if let (Ok(location), Some(record)) = (cell.location.parse(), cell.cell) {
                self.content
                    .cells
                    .push((location, cell.sku, Cell::from_record(&record)));
            }
        }
        for source in part.sources {
            if let (Ok(id), Some(window)) = (source.source.parse(), source.window) {
                self.content.sources.push((id, Window::from_record(&window)));
            }
        }
        for place in part.places {
            if let (Ok(location), Some(completeness)) = (place.location.parse(), place.completeness) {
                self.content.places.push((location, completeness));
            }
        }
    }

    /// The content, where it is all that the seal says.
    pub fn finish(self) -> Result<ImageContent, InventoryError> {
        let content = self.content;
        let cells_digest = content
            .cells
            .iter()
            .map(|(location, sku, cell)| cell.digest(cell_key(*location, *sku)))
            .fold(0, u64::wrapping_add);
        let windows_digest = content
            .sources
            .iter()
            .map(|(id, window)| window.digest(source_key(*id)))
            .fold(0, u64::wrapping_add);
        let seal = self.seal;
        let is_whole = (content.cells.len() as u64, content.sources.len() as u64)
            == (seal.cells, seal.sources)
            && content.places.len() as u64 == seal.places
            && (cells_digest, windows_digest) == (seal.cells_digest, seal.windows_digest);
        if is_whole {
            Ok(content)
        } else {
            Err(InventoryError::Image {
                partition: self.id.partition,
                cut: seal.cut,
            })
        }
    }
}

/// Records of a part, gathered until it is full.
#[derive(Default)]
struct Parts {
    open: Vec<u8>,
    closed: Vec<Vec<u8>>,
}

impl Parts {
    /// A field of `ImagePart`.
    fn push(&mut self, tag: u8, message: &[u8]) {
        if self.open.len() + message.len() > PART_BYTES {
            self.close();
        }
        self.open.push(tag << 3 | 2);
        prost::encoding::encode_varint(message.len() as u64, &mut self.open);
        self.open.extend_from_slice(message);
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.closed.push(std::mem::take(&mut self.open));
        }
    }
}

/// As `stockstream.v1.ImageCell`.
fn encode_cell(location: LocationId, sku: u32, epoch: u32, cell: &Cell, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x0a, 0]);
    contracts::topics::push_location(out, location);
    out[1] = (out.len() - 2) as u8;
    if sku != 0 {
        out.push(0x10);
        prost::encoding::encode_varint(u64::from(sku), out);
    }
    out.extend_from_slice(&[0x1a, 0, 0]);
    let start = out.len();
    cell.encode(epoch, &News::default(), out);
    // At most 14 fields of 11 bytes: two bytes hold the length, though the shorter form could do.
    let length = out.len() - start;
    out[start - 2] = (length & 0x7f) as u8 | 0x80;
    out[start - 1] = (length >> 7) as u8;
}

#[cfg(test)]
mod tests {
    use contracts::records::{ImageCell, MovementKind};

    use super::*;

    #[test]
    fn a_cell_of_an_image_is_encoded_as_its_record_says() {
        let mut cell = Cell {
            applied_offset: 300,
            ..Cell::default()
        };
        cell.apply(MovementKind::Supplied, 5_000, 1);
        let mut bytes = Vec::new();
        encode_cell(LocationId::warehouse(12_345), 100_234, 7, &cell, &mut bytes);
        let record = ImageCell::decode(&*bytes).expect("it is readable");
        assert_eq!((&*record.location, record.sku), ("W12345", 100_234));
        let inner = record.cell.expect("a cell");
        assert_eq!(inner.epoch, 7);
        assert_eq!(Cell::from_record(&inner), cell);
    }
}

//! Reads keys and values of `store.inventory` and `item.inventory` as the .proto file and the key's text form state
//! them: the audit's own reading, without allocation.
//!
//! Invariant: what is taken here is a value that the generated code takes too, with the same fields; bytes of any
//! kind are answered with a value or an error, never a panic. It does not judge what it reads.

use contracts::ids::{LocationId, Sku};
use contracts::topics::PARTITIONS;

/// Bytes that are no record of the kind expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no record: {0}")]
pub struct Undecodable(pub &'static str);

const CUT: Undecodable = Undecodable("it ends inside a field");

/// What the view says of one SKU at one place, in thousandths. 112 bytes: there are more than a million of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewCell {
    /// Wrapping sum of the hashes of the lines applied.
    pub hash: u64,
    pub floor: i64,
    pub back_room: i64,
    pub counted: i64,
    pub supplied: i64,
    pub received: i64,
    pub shipped: i64,
    pub sold: i64,
    pub returned: i64,
    pub adjusted: i64,
    pub stocked: i64,
    pub stored: i64,
    pub applied_offset: u64,
    /// Lines applied; a count beyond the type's reach is held at its end, which no truth has.
    pub lines: u32,
    pub epoch: u32,
}

/// A record of `store.inventory` with a cell's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CellRecord {
    pub cell: ViewCell,
    /// When the oldest of the lines that are new in it was due, 0 = unknown.
    pub due_ms_min: i64,
    pub new_lines: u32,
}

/// A record of `item.inventory`, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemRecord {
    pub sku: u32,
    pub on_hand: i64,
    pub floor: i64,
    pub back_room: i64,
    pub in_transit: i64,
    pub uncertain_partitions: u32,
    /// Of on hand: what lies in places that the view is not certain of.
    pub uncertain: i64,
    /// (epoch, cut) of the share of each partition; (0, 0): it says nothing of it.
    pub positions: [(u32, u64); PARTITIONS as usize],
}

/// A record of `store.inventory` that says what the view knows of a place's sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceRecord {
    pub epoch: u32,
    pub cut: u64,
    pub marked_ms: i64,
    pub complete_until_ms: i64,
    pub offline_since_ms: i64,
    pub dead_letters: u64,
    pub is_certain: bool,
    pub sources: Vec<SourceRecord>,
}

/// Of a place's record what it says of one source. Numbers are unwrapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRecord {
    pub kind: u64,
    pub unit: u64,
    pub complete_up_to: u64,
    pub highest: u64,
    pub claimed: u64,
    pub missing: u64,
    pub overdue: u64,
    pub missing_first: Vec<(u64, u64)>,
    pub complete_until_ms: i64,
    pub dead_letters: u64,
    pub late: u64,
    pub long_late: u64,
    pub reordered: u64,
    pub is_expected: bool,
    pub is_marked: bool,
}

/// What the key of a record of `store.inventory` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Cell(LocationId, Sku),
    /// A window, a completeness, a barrier, an intent, a head or a part of an image.
    Bookkeeping,
    Unknown,
}

/// `c/S0042/100234` in its one written form, and the tags of the other keys.
pub fn key(bytes: &[u8]) -> Key {
    let [tag, b'/', rest @ ..] = bytes else {
        return Key::Unknown;
    };
    match tag {
        b'c' => cell_key(rest).map_or(Key::Unknown, |(location, sku)| Key::Cell(location, sku)),
        b'w' | b'k' | b'b' | b'i' | b'h' | b'm' | b's' => Key::Bookkeeping,
        _ => Key::Unknown,
    }
}

fn cell_key(rest: &[u8]) -> Option<(LocationId, Sku)> {
    let slash = rest.iter().take(7).position(|byte| *byte == b'/')?;
    Some((location(&rest[..slash])?, sku_of(&rest[slash + 1..])?))
}

/// A location in its one written form: the key of a place's completeness behind its tag.
pub fn location(bytes: &[u8]) -> Option<LocationId> {
    let [letter, digits @ ..] = bytes else {
        return None;
    };
    // Four digits at least, and no zero in front of five: one place has one key.
    if !(4..=5).contains(&digits.len()) || (digits.len() == 5 && digits[0] == b'0') {
        return None;
    }
    let number = u16::try_from(decimal(digits)?).ok()?;
    match letter {
        b'S' => Some(LocationId::store(number)),
        b'W' => Some(LocationId::warehouse(number)),
        _ => None,
    }
}

/// The decimal number of an article in its one written form: also the key of `item.inventory`.
pub fn sku_of(digits: &[u8]) -> Option<Sku> {
    let one_form = digits.len() == 1 || digits.first() != Some(&b'0');
    decimal(digits)
        .filter(|_| one_form && !digits.is_empty())
        .map(Sku)
}

fn decimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        let shifted = value.checked_mul(10)?.checked_add(u32::from(digit))?;
        (digit < 10).then_some(shifted)
    })
}

const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH: u64 = 2;
const FOUR_BYTES: u64 = 5;

/// What is left of a message.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Number and wire type of the next field.
    #[inline]
    fn next(&mut self) -> Result<Option<(u64, u64)>, Undecodable> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        if tag > u64::from(u32::MAX) || tag >> 3 == 0 {
            return Err(Undecodable("a field has an impossible number"));
        }
        Ok(Some((tag >> 3, tag & 7)))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Undecodable> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    #[inline]
    fn long_varint(&mut self) -> Result<u64, Undecodable> {
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            // The tenth byte has room for one bit.
            if index == 9 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        if self.rest.len() < 10 {
            return Err(CUT);
        }
        Err(Undecodable("a number has more than 64 bits"))
    }

    #[inline]
    fn zigzag(&mut self) -> Result<i64, Undecodable> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    #[inline]
    fn eight_bytes(&mut self) -> Result<u64, Undecodable> {
        let (bytes, rest) = self.rest.split_first_chunk::<8>().ok_or(CUT)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Undecodable> {
        let length = usize::try_from(self.varint()?).map_err(|_| CUT)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(CUT)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Passes a field that is not ours. A field that is, up to `known`, has the wrong wire type here.
    #[cold]
    fn skip(&mut self, (number, wire): (u64, u64), known: u64) -> Result<(), Undecodable> {
        if number <= known {
            return Err(Undecodable("a field has another type than the contract says"));
        }
        match wire {
            VARINT => self.varint().map(|_| ()),
            EIGHT_BYTES => self.eight_bytes().map(|_| ()),
            LENGTH => self.bytes().map(|_| ()),
            FOUR_BYTES => {
                self.rest = self.rest.split_at_checked(4).ok_or(CUT)?.1;
                Ok(())
            }
            _ => Err(Undecodable("a field has an unknown wire type")),
        }
    }
}

/// A `Cell`. Of a field that comes twice the last one counts.
pub fn cell(bytes: &[u8]) -> Result<CellRecord, Undecodable> {
    let mut record = CellRecord::default();
    let cell = &mut record.cell;
    let mut fields = Fields { rest: bytes };
    while let Some(field) = fields.next()? {
        match field {
            (1, VARINT) => cell.floor = fields.zigzag()?,
            (2, VARINT) => cell.back_room = fields.zigzag()?,
            (3, VARINT) => cell.counted = fields.zigzag()?,
            (4, VARINT) => cell.supplied = fields.zigzag()?,
            (5, VARINT) => cell.received = fields.zigzag()?,
            (6, VARINT) => cell.shipped = fields.zigzag()?,
            (7, VARINT) => cell.sold = fields.zigzag()?,
            (8, VARINT) => cell.returned = fields.zigzag()?,
            (9, VARINT) => cell.adjusted = fields.zigzag()?,
            (10, VARINT) => cell.stocked = fields.zigzag()?,
            (11, VARINT) => cell.stored = fields.zigzag()?,
            (12, VARINT) => cell.applied_offset = fields.varint()?,
            (13, VARINT) => cell.epoch = fields.varint()? as u32,
            (14, VARINT) => cell.lines = u32::try_from(fields.varint()?).unwrap_or(u32::MAX),
            (15, EIGHT_BYTES) => cell.hash = fields.eight_bytes()?,
            (16, VARINT) => record.due_ms_min = fields.varint()? as i64,
            (17, VARINT) => {
                fields.varint()?;
            }
            (18, VARINT) => record.new_lines = fields.varint()? as u32,
            other => fields.skip(other, 18)?,
        }
    }
    Ok(record)
}

/// A `Completeness`.
pub fn place(bytes: &[u8]) -> Result<PlaceRecord, Undecodable> {
    let mut place = PlaceRecord::default();
    let mut fields = Fields { rest: bytes };
    while let Some(field) = fields.next()? {
        match field {
            (1, VARINT) => place.epoch = fields.varint()? as u32,
            (2, VARINT) => place.cut = fields.varint()?,
            (3, LENGTH) => place.sources.push(source(fields.bytes()?)?),
            (4, VARINT) => place.marked_ms = fields.varint()? as i64,
            (5, VARINT) => {
                fields.varint()?;
            }
            (6, VARINT) => place.complete_until_ms = fields.varint()? as i64,
            (7, VARINT) => place.offline_since_ms = fields.varint()? as i64,
            (8, VARINT) => place.dead_letters = fields.varint()?,
            (9, LENGTH) => {
                fields.bytes()?;
            }
            (10, VARINT) => place.is_certain = fields.varint()? != 0,
            other => fields.skip(other, 10)?,
        }
    }
    Ok(place)
}

/// A `SourceState`.
fn source(bytes: &[u8]) -> Result<SourceRecord, Undecodable> {
    let mut source = SourceRecord::default();
    let mut fields = Fields { rest: bytes };
    while let Some(field) = fields.next()? {
        match field {
            (1, VARINT) => source.kind = fields.varint()?,
            (2, VARINT) => source.unit = fields.varint()?,
            (3, VARINT) => source.complete_up_to = fields.varint()?,
            (4, VARINT) => source.highest = fields.varint()?,
            (5, VARINT) => source.claimed = fields.varint()?,
            (6 | 11 | 16 | 17, VARINT) => {
                fields.varint()?;
            }
            (7, VARINT) => source.missing = fields.varint()?,
            (8, VARINT) => source.overdue = fields.varint()?,
            (9, LENGTH) => source.missing_first.push(range(fields.bytes()?)?),
            (10, VARINT) => source.complete_until_ms = fields.varint()? as i64,
            (12, VARINT) => source.dead_letters = fields.varint()?,
            (13, VARINT) => source.late = fields.varint()?,
            (14, VARINT) => source.is_expected = fields.varint()? != 0,
            (15, VARINT) => source.is_marked = fields.varint()? != 0,
            (18, VARINT) => source.long_late = fields.varint()?,
            (19, VARINT) => source.reordered = fields.varint()?,
            other => fields.skip(other, 19)?,
        }
    }
    Ok(source)
}

/// A `NumberRange`.
fn range(bytes: &[u8]) -> Result<(u64, u64), Undecodable> {
    let mut range = (0, 0);
    let mut fields = Fields { rest: bytes };
    while let Some(field) = fields.next()? {
        match field {
            (1, VARINT) => range.0 = fields.varint()?,
            (2, VARINT) => range.1 = fields.varint()?,
            other => fields.skip(other, 2)?,
        }
    }
    Ok(range)
}

/// Epoch and cut, with which a `Head` and a `PartialPosition` without its first field begin.
pub fn epoch_and_cut(bytes: &[u8], first: u64) -> Result<(u32, u64), Undecodable> {
    let (mut epoch, mut cut) = (0, 0);
    let mut fields = Fields { rest: bytes };
    while let Some(field) = fields.next()? {
        match field {
            (number, VARINT) if number == first => epoch = fields.varint()? as u32,
            (number, VARINT) if number == first + 1 => cut = fields.varint()?,
            other => fields.skip(other, 0)?,
        }
    }
    Ok((epoch, cut))
}

/// A `PartialPosition`: partition, epoch, cut.
fn position(bytes: &[u8]) -> Result<(u32, u32, u64), Undecodable> {
    let mut partition = 0;
    let mut fields = Fields { rest: bytes };
    while let Some(field) = fields.next()? {
        match field {
            (1, VARINT) => partition = fields.varint()? as u32,
            other => fields.skip(other, 1)?,
        }
    }
    let (epoch, cut) = epoch_and_cut(bytes, 2)?;
    Ok((partition, epoch, cut))
}

/// An `ItemTotal`.
pub fn item(bytes: &[u8]) -> Result<ItemRecord, Undecodable> {
    let mut item = ItemRecord::default();
    let mut fields = Fields { rest: bytes };
    while let Some(field) = fields.next()? {
        match field {
            (1, VARINT) => item.sku = fields.varint()? as u32,
            (2, VARINT) => item.on_hand = fields.zigzag()?,
            (3, VARINT) => item.floor = fields.zigzag()?,
            (4, VARINT) => item.back_room = fields.zigzag()?,
            (5, VARINT) => item.in_transit = fields.zigzag()?,
            (6, VARINT) => item.uncertain_partitions = fields.varint()? as u32,
            (7, LENGTH) => {
                let (partition, epoch, cut) = position(fields.bytes()?)?;
                if let Some(position) = item.positions.get_mut(partition as usize) {
                    *position = (epoch, cut);
                }
            }
            (8 | 9 | 11, VARINT) => {
                fields.varint()?;
            }
            (10, VARINT) => item.uncertain = fields.zigzag()?,
            other => fields.skip(other, 11)?,
        }
    }
    Ok(item)
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;

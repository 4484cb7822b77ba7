//! Reads a `Cell` as the .proto file states it: the audit's own reading, without allocation.

/// A record that is no `Cell`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Cell: {0}")]
pub struct Undecodable(&'static str);

/// What the view says of one SKU at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewCell {
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
    pub lines: u64,
    pub hash: u64,
    pub applied_offset: u64,
    pub epoch: u32,
    /// A record has come.
    pub seen: bool,
}

/// When the lines that are new in a record were due, and how many they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    pub ms_min: i64,
    pub new_lines: u32,
}

fn varint(bytes: &[u8], at: &mut usize) -> Result<u64, Undecodable> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at).ok_or(Undecodable("it ends inside a number"))?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Undecodable("a number of more than ten bytes"))
}

const fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

pub fn cell(bytes: &[u8]) -> Result<(ViewCell, Due), Undecodable> {
    let mut cell = ViewCell { seen: true, ..ViewCell::default() };
    let mut due = Due::default();
    let mut at = 0;
    while at < bytes.len() {
        let tag = varint(bytes, &mut at)?;
        let (field, wire) = (tag >> 3, tag & 7);
        match wire {
            0 => {
                let value = varint(bytes, &mut at)?;
                match field {
                    1 => cell.floor = zigzag(value),
                    2 => cell.back_room = zigzag(value),
                    3 => cell.counted = zigzag(value),
                    4 => cell.supplied = zigzag(value),
                    5 => cell.received = zigzag(value),
                    6 => cell.shipped = zigzag(value),
                    7 => cell.sold = zigzag(value),
                    8 => cell.returned = zigzag(value),
                    9 => cell.adjusted = zigzag(value),
                    10 => cell.stocked = zigzag(value),
                    11 => cell.stored = zigzag(value),
                    12 => cell.applied_offset = value,
                    13 => cell.epoch = value as u32,
                    14 => cell.lines = value,
                    16 => due.ms_min = value as i64,
                    18 => due.new_lines = value as u32,
                    _ => {}
                }
            }
            1 => {
                let end = at.checked_add(8).ok_or(Undecodable("too long"))?;
                let eight = bytes.get(at..end).ok_or(Undecodable("it ends inside a fixed field"))?;
                if field == 15 {
                    cell.hash = u64::from_le_bytes(eight.try_into().map_err(|_| Undecodable("eight bytes"))?);
                }
                at = end;
            }
            2 => {
                let length = usize::try_from(varint(bytes, &mut at)?).map_err(|_| Undecodable("too long"))?;
                at = at.checked_add(length).filter(|end| *end <= bytes.len()).ok_or(Undecodable("it ends inside a field"))?;
            }
            5 => {
                at = at.checked_add(4).filter(|end| *end <= bytes.len()).ok_or(Undecodable("it ends inside a field"))?;
            }
            _ => return Err(Undecodable("an unknown wire type")),
        }
    }
    Ok((cell, due))
}

#[cfg(test)]
mod tests {
    use contracts::records::Cell;
    use prost::Message as _;

    use super::*;

    fn sample() -> Cell {
        Cell {
            floor: -2_500,
            back_room: 7_000,
            counted: 1,
            supplied: 2,
            received: 3,
            shipped: 4,
            sold: i64::MAX / 2,
            returned: 6,
            adjusted: -7,
            stocked: 8,
            stored: 9,
            applied_offset: u64::MAX,
            epoch: 11,
            applied_count: 12,
            applied_hash: 0xdead_beef_0bad_cafe,
            due_ms_min: 1_773_480_413_000,
            due_ms_max: 1_773_480_413_001,
            new_lines: 3,
        }
    }

    #[test]
    fn a_cell_reads_as_the_generated_code_wrote_it() {
        let written = sample();
        let (cell, due) = cell(&written.encode_to_vec()).expect("a whole record");
        assert_eq!(
            (cell.floor, cell.back_room, cell.counted, cell.supplied, cell.received, cell.shipped),
            (written.floor, written.back_room, written.counted, written.supplied, written.received, written.shipped)
        );
        assert_eq!(
            (cell.sold, cell.returned, cell.adjusted, cell.stocked, cell.stored),
            (written.sold, written.returned, written.adjusted, written.stocked, written.stored)
        );
        assert_eq!((cell.lines, cell.hash), (written.applied_count, written.applied_hash));
        assert_eq!((cell.applied_offset, cell.epoch), (written.applied_offset, written.epoch));
        assert_eq!((due.ms_min, due.new_lines), (written.due_ms_min, written.new_lines));
    }

    #[test]
    fn a_cut_record_is_refused_or_shorter_and_never_panics() {
        let whole = sample().encode_to_vec();
        for length in 0..whole.len() {
            let _ = cell(&whole[..length]);
        }
        assert!(cell(&whole[..whole.len() - 1]).is_err());
        assert!(cell(&[0x0b]).is_err(), "wire type 3 has no place in proto3");
        assert!(cell(&[0xff; 12]).is_err());
    }
}

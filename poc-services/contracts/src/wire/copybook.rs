//! The inventory movement record of a warehouse's mainframe: 80 bytes, EBCDIC CCSID 037, binary, packed and zoned fields.
//!
//! The copybook is `docs/formats/invmove.cpy`, the codes are in `docs/formats/queue-record.md`. One record is one
//! transaction. What is written is canonical (sign `C` or `D`, `F` where unsigned); what is read may use any sign that
//! COBOL takes: A, C, E, F plus, B, D minus. A status record says how far the warehouse has written; it moves nothing and has no
//! number of its own.
//!
//! Invariant: no panic on any bytes, and nothing is guessed: blanks in a packed field are an error, never zero.

use crate::ids::{Gtin, LocationId, Money, Quantity, Sku, TimeMs};
use crate::wire::civil::CivilTime;

pub const RECORD_BYTES: usize = 80;

/// The most that INV-QTY holds, either sign: 9,999,999.999 units.
pub const QUANTITY_FIELD_MAX: Quantity = Quantity(9_999_999_999);
/// The most that INV-ON-HAND and INV-ON-ORDER hold, either sign, in whole units.
pub const UNITS_FIELD_MAX: i64 = 9_999_999;
/// The most that INV-UNIT-COST holds, either sign.
pub const UNIT_COST_MAX: Money = Money(999_999_999);
/// The highest INV-SEQ-NO: a `PIC 9(9) COMP` holds nine digits, whatever its four bytes could.
pub const SEQUENCE_MAX: u32 = 999_999_999;
/// The most that INV-ADJ-QTY holds, either sign, in whole units.
pub const ADJUSTED_UNITS_MAX: i32 = 99_999;
/// The highest number of a despatch advice: eleven digits.
pub const DESPATCH_ADVICE_MAX: u64 = 99_999_999_999;

/// What moved, by SAP's movement types. Where a type has two codes, the sign of the quantity chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MoveType {
    /// 101: goods in from a supplier, quantity +.
    Supplied,
    /// 641: shipped to another place, quantity −.
    Shipped,
    /// 671: sent back by a store, quantity +.
    Returned,
    /// 551 −, 552 +: scrapped, and scrapping taken back.
    Adjusted,
    /// 701 +, 702 −: the variance of a count.
    CountVariance,
    /// 251 −: sold from stock. Read, and written for tests; no warehouse of ours sends it.
    Sold,
}

impl MoveType {
    /// The code to write for a quantity of this sign.
    pub const fn code(self, quantity: Quantity) -> u16 {
        match (self, quantity.0 < 0) {
            (Self::Supplied, _) => 101,
            (Self::Shipped, _) => 641,
            (Self::Returned, _) => 671,
            (Self::Adjusted, true) => 551,
            (Self::Adjusted, false) => 552,
            (Self::CountVariance, false) => 701,
            (Self::CountVariance, true) => 702,
            (Self::Sold, _) => 251,
        }
    }

    /// The type of a code, and whether it takes stock out.
    pub const fn from_code(code: u16) -> Option<(Self, bool)> {
        Some(match code {
            101 => (Self::Supplied, false),
            251 => (Self::Sold, true),
            551 => (Self::Adjusted, true),
            552 => (Self::Adjusted, false),
            641 => (Self::Shipped, true),
            671 => (Self::Returned, false),
            701 => (Self::CountVariance, false),
            702 => (Self::CountVariance, true),
            _ => return None,
        })
    }

    /// Which signs this type takes: `None` for both.
    const fn takes_out(self) -> Option<bool> {
        match self {
            Self::Supplied | Self::Returned => Some(false),
            Self::Shipped | Self::Sold => Some(true),
            Self::Adjusted | Self::CountVariance => None,
        }
    }
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveRecord {
    /// Of the warehouse, 1 up, not wrapping.
    pub sequence: u32,
    /// Whose stock moves.
    pub place: LocationId,
    pub department: u16,
    pub sku: Sku,
    pub gtin: Gtin,
    pub move_type: MoveType,
    /// Signed as the stock changes: what is shipped is negative.
    pub quantity: Quantity,
    /// After the movement, by the mainframe. Informative, in whole units: thousandths are cut off, and what the field
    /// cannot hold is written as the most that it can.
    pub on_hand: Quantity,
    /// As [`MoveRecord::on_hand`].
    pub on_order: Quantity,
    /// Of one unit.
    pub unit_cost: Money,
    /// UTC, to the second; years 0 to 9999.
    pub at: TimeMs,
    /// Whole units; not used by movements, zero.
    pub adjusted_units: i32,
    /// Where it goes to, of a shipment.
    pub destination: Option<LocationId>,
    /// Of a shipment.
    pub despatch_advice: Option<u64>,
}

/// A value that its field cannot hold, or that contradicts another field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} cannot hold {value}")]
pub struct FieldOverflow {
    pub field: &'static str,
    pub value: i64,
}

/// Why a record is refused. Offsets count from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("a record has 80 bytes, this one has {bytes}")]
    Length { bytes: usize },
    #[error("the record's type is neither IM nor IS in EBCDIC but {found:02x?}")]
    RecordType { found: [u8; 2] },
    #[error("{field} at byte {offset} is no packed number{}", if *.blank { ": it is blank" } else { "" })]
    Packed {
        field: &'static str,
        offset: usize,
        blank: bool,
    },
    #[error("{field} at byte {offset} is no zoned number")]
    Zoned { field: &'static str, offset: usize },
    #[error("{field} at byte {offset} is not blank in a status record")]
    NotBlank { field: &'static str, offset: usize },
    #[error("{field}: {value} is not valid")]
    Value { field: &'static str, value: u64 },
    #[error("INV-MOVE-TYPE {code:03} is not known")]
    MoveType { code: u16 },
    #[error("INV-QTY of {quantity} has the wrong sign for INV-MOVE-TYPE {code}")]
    Sign { code: u16, quantity: Quantity },
}

impl ParseError {
    /// For machines: metrics and dead letters.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Length { .. } => "bad-length",
            Self::RecordType { .. } => "bad-record-type",
            Self::Packed { .. } => "bad-packed",
            Self::Zoned { .. } => "bad-zoned",
            Self::NotBlank { .. } | Self::Value { .. } => "bad-value",
            Self::MoveType { .. } => "unknown-move-type",
            Self::Sign { .. } => "wrong-sign",
        }
    }
}

const BLANK: u8 = 0x40;
const RECORD_TYPE: [u8; 2] = [0xc9, 0xd4];
const STATUS_TYPE: [u8; 2] = [0xc9, 0xe2];

/// How far a warehouse has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRecord {
    pub place: LocationId,
    /// Of the last record that moves something, 0: none yet.
    pub last_sequence: u32,
    /// The mainframe's clock: UTC, to the second; years 0 to 9999.
    pub at: TimeMs,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    Move(MoveRecord),
    Status(StatusRecord),
}

/// Whether a record says how far its warehouse has written, without reading it: for those who pass records on.
pub fn is_status(record: &[u8]) -> bool {
    record.starts_with(&STATUS_TYPE)
}

/// Appends one record, or nothing at all.
pub fn write(record: &MoveRecord, out: &mut Vec<u8>) -> Result<(), FieldOverflow> {
    let mut bytes = [BLANK; RECORD_BYTES];
    bytes[0..2].copy_from_slice(&RECORD_TYPE);

    limit("INV-SEQ-NO", i64::from(record.sequence), i64::from(SEQUENCE_MAX))?;
    bytes[2..6].copy_from_slice(&record.sequence.to_be_bytes());
    put_unsigned(
        &mut bytes[6..9],
        u64::from(place_number("INV-STORE-NO", record.place)?),
    );
    limit("INV-DEPT-NO", i64::from(record.department), 999)?;
    put_unsigned(&mut bytes[9..11], u64::from(record.department));
    limit("INV-SKU-NO", i64::from(record.sku.0), 999_999_999)?;
    put_unsigned(&mut bytes[11..16], u64::from(record.sku.0));
    put_zoned(&mut bytes[16..30], record.gtin.value());
    if record
        .move_type
        .takes_out()
        .is_some_and(|out| out && record.quantity.0 > 0 || !out && record.quantity.0 < 0)
    {
        return Err(FieldOverflow {
            field: "INV-QTY of this INV-MOVE-TYPE",
            value: record.quantity.0,
        });
    }
    put_zoned(
        &mut bytes[30..33],
        u64::from(record.move_type.code(record.quantity)),
    );
    limit("INV-QTY", record.quantity.0, QUANTITY_FIELD_MAX.0)?;
    put_signed(&mut bytes[33..39], record.quantity.0);
    put_signed(&mut bytes[39..43], whole_units(record.on_hand));
    put_signed(&mut bytes[43..47], whole_units(record.on_order));
    limit("INV-UNIT-COST", record.unit_cost.0, UNIT_COST_MAX.0)?;
    put_signed(&mut bytes[47..52], record.unit_cost.0);

    put_date_time(&mut bytes, record.at)?;

    limit(
        "INV-ADJ-QTY",
        i64::from(record.adjusted_units),
        i64::from(ADJUSTED_UNITS_MAX),
    )?;
    put_zoned(
        &mut bytes[66..71],
        u64::from(record.adjusted_units.unsigned_abs()),
    );
    bytes[70] = bytes[70] & 0x0f | if record.adjusted_units < 0 { 0xd0 } else { 0xc0 };
    if let Some(destination) = record.destination {
        put_unsigned(
            &mut bytes[71..74],
            u64::from(place_number("INV-DESTINATION", destination)?),
        );
    }
    if let Some(advice) = record.despatch_advice {
        limit(
            "INV-DESPATCH-ADVICE",
            i64::try_from(advice).unwrap_or(i64::MAX),
            DESPATCH_ADVICE_MAX as i64,
        )?;
        put_unsigned(&mut bytes[74..80], advice);
    }
    out.extend_from_slice(&bytes);
    Ok(())
}

/// Appends one status record, or nothing at all.
pub fn write_status(status: &StatusRecord, out: &mut Vec<u8>) -> Result<(), FieldOverflow> {
    let mut bytes = [BLANK; RECORD_BYTES];
    bytes[0..2].copy_from_slice(&STATUS_TYPE);
    limit(
        "INV-SEQ-NO",
        i64::from(status.last_sequence),
        i64::from(SEQUENCE_MAX),
    )?;
    bytes[2..6].copy_from_slice(&status.last_sequence.to_be_bytes());
    put_unsigned(
        &mut bytes[6..9],
        u64::from(place_number("INV-STORE-NO", status.place)?),
    );
    put_date_time(&mut bytes, status.at)?;
    out.extend_from_slice(&bytes);
    Ok(())
}

/// Reads one record of either type.
pub fn read(record: &[u8]) -> Result<Record, ParseError> {
    if is_status(record) {
        read_status(whole(record)?).map(Record::Status)
    } else {
        parse(record).map(Record::Move)
    }
}

fn whole(record: &[u8]) -> Result<&[u8; RECORD_BYTES], ParseError> {
    record
        .try_into()
        .map_err(|_| ParseError::Length { bytes: record.len() })
}

fn read_status(bytes: &[u8; RECORD_BYTES]) -> Result<StatusRecord, ParseError> {
    for (field, offset, end) in [
        ("INV-DEPT-NO to INV-UNIT-COST", 9, 52),
        ("INV-ADJ-QTY and what follows", 66, 80),
    ] {
        if let Some(at) = bytes[offset..end].iter().position(|byte| *byte != BLANK) {
            return Err(ParseError::NotBlank {
                field,
                offset: offset + at,
            });
        }
    }
    Ok(StatusRecord {
        last_sequence: sequence(bytes)?,
        place: place("INV-STORE-NO", packed_unsigned(bytes, "INV-STORE-NO", 6, 9)?)?,
        at: date_time(
            digits(bytes, "INV-EFF-DATE", 52, 60)?,
            digits(bytes, "INV-EFF-TIME", 60, 66)?,
        )?,
    })
}

fn sequence(bytes: &[u8; RECORD_BYTES]) -> Result<u32, ParseError> {
    let sequence = u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
    if sequence > SEQUENCE_MAX {
        return Err(ParseError::Value {
            field: "INV-SEQ-NO",
            value: u64::from(sequence),
        });
    }
    Ok(sequence)
}

/// Reads one record that moves something.
pub fn parse(record: &[u8]) -> Result<MoveRecord, ParseError> {
    let bytes = whole(record)?;
    if bytes[0..2] != RECORD_TYPE {
        return Err(ParseError::RecordType {
            found: [bytes[0], bytes[1]],
        });
    }
    let sequence = sequence(bytes)?;
    let place = place("INV-STORE-NO", packed_unsigned(bytes, "INV-STORE-NO", 6, 9)?)?;
    let department = packed_unsigned(bytes, "INV-DEPT-NO", 9, 11)? as u16;
    let sku = Sku(packed_unsigned(bytes, "INV-SKU-NO", 11, 16)? as u32);
    let gtin = digits(bytes, "INV-GTIN", 16, 30)?;
    let gtin = Gtin::new(gtin).ok_or(ParseError::Value {
        field: "INV-GTIN",
        value: gtin,
    })?;
    let code = digits(bytes, "INV-MOVE-TYPE", 30, 33)? as u16;
    let (move_type, takes_out) = MoveType::from_code(code).ok_or(ParseError::MoveType { code })?;
    // Ten digits leave the first of eleven nibbles over: what stands there is not in the picture.
    if bytes[33] > 0x0f && bytes[33..39] != [BLANK; 6] {
        return Err(ParseError::Packed {
            field: "INV-QTY",
            offset: 33,
            blank: false,
        });
    }
    let quantity = Quantity(packed(bytes, "INV-QTY", 33, 39)?);
    if quantity.0 != 0 && takes_out != (quantity.0 < 0) {
        return Err(ParseError::Sign { code, quantity });
    }
    let on_hand = Quantity::units(packed(bytes, "INV-ON-HAND", 39, 43)?);
    let on_order = Quantity::units(packed(bytes, "INV-ON-ORDER", 43, 47)?);
    let unit_cost = Money(packed(bytes, "INV-UNIT-COST", 47, 52)?);
    let at = date_time(
        digits(bytes, "INV-EFF-DATE", 52, 60)?,
        digits(bytes, "INV-EFF-TIME", 60, 66)?,
    )?;
    let adjusted_units = zoned(bytes, "INV-ADJ-QTY", 66, 71)? as i32;
    let destination = if bytes[71..74] == [BLANK; 3] {
        None
    } else {
        Some(self::place(
            "INV-DESTINATION",
            packed_unsigned(bytes, "INV-DESTINATION", 71, 74)?,
        )?)
    };
    let despatch_advice = if bytes[74..80] == [BLANK; 6] {
        None
    } else {
        Some(packed_unsigned(bytes, "INV-DESPATCH-ADVICE", 74, 80)?)
    };
    Ok(MoveRecord {
        sequence,
        place,
        department,
        sku,
        gtin,
        move_type,
        quantity,
        on_hand,
        on_order,
        unit_cost,
        at,
        adjusted_units,
        destination,
        despatch_advice,
    })
}

fn put_date_time(bytes: &mut [u8; RECORD_BYTES], instant: TimeMs) -> Result<(), FieldOverflow> {
    let at = CivilTime::from_ms(instant);
    if !(0..=9999).contains(&at.year) {
        return Err(FieldOverflow {
            field: "INV-EFF-DATE",
            value: instant.0,
        });
    }
    let date = at.year as u64 * 10_000 + u64::from(at.month) * 100 + u64::from(at.day);
    put_zoned(&mut bytes[52..60], date);
    let time = u64::from(at.hour) * 10_000 + u64::from(at.minute) * 100 + u64::from(at.second);
    put_zoned(&mut bytes[60..66], time);
    Ok(())
}

fn limit(field: &'static str, value: i64, max: i64) -> Result<(), FieldOverflow> {
    if value.unsigned_abs() <= max.unsigned_abs() {
        Ok(())
    } else {
        Err(FieldOverflow { field, value })
    }
}

fn whole_units(quantity: Quantity) -> i64 {
    (quantity.0 / 1000).clamp(-UNITS_FIELD_MAX, UNITS_FIELD_MAX)
}

fn place_number(field: &'static str, place: LocationId) -> Result<u32, FieldOverflow> {
    let number = place.copybook_number();
    limit(field, i64::from(number), 99_999)?;
    Ok(number)
}

fn place(field: &'static str, number: u64) -> Result<LocationId, ParseError> {
    u32::try_from(number)
        .ok()
        .and_then(LocationId::from_copybook_number)
        .ok_or(ParseError::Value { field, value: number })
}

fn put_packed(field: &mut [u8], mut value: u64, sign: u8) {
    for (index, byte) in field.iter_mut().rev().enumerate() {
        let low = if index == 0 { sign } else { take_digit(&mut value) };
        *byte = take_digit(&mut value) << 4 | low;
    }
}

fn take_digit(value: &mut u64) -> u8 {
    let digit = (*value % 10) as u8;
    *value /= 10;
    digit
}

fn put_unsigned(field: &mut [u8], value: u64) {
    put_packed(field, value, 0x0f);
}

fn put_signed(field: &mut [u8], value: i64) {
    put_packed(field, value.unsigned_abs(), if value < 0 { 0x0d } else { 0x0c });
}

fn put_zoned(field: &mut [u8], mut value: u64) {
    for byte in field.iter_mut().rev() {
        *byte = 0xf0 | take_digit(&mut value);
    }
}

fn packed(
    bytes: &[u8; RECORD_BYTES],
    field: &'static str,
    offset: usize,
    end: usize,
) -> Result<i64, ParseError> {
    let text = &bytes[offset..end];
    let unreadable = ParseError::Packed {
        field,
        offset,
        blank: text.iter().all(|byte| *byte == BLANK),
    };
    let mut value = 0_i64;
    for (index, byte) in text.iter().enumerate() {
        let (high, low) = (byte >> 4, byte & 0x0f);
        if high > 9 {
            return Err(unreadable);
        }
        value = value * 10 + i64::from(high);
        if index + 1 < text.len() {
            if low > 9 {
                return Err(unreadable);
            }
            value = value * 10 + i64::from(low);
        } else {
            match low {
                0xa | 0xc | 0xe | 0xf => {}
                0xb | 0xd => value = -value,
                _ => return Err(unreadable),
            }
        }
    }
    Ok(value)
}

/// Of a field without a sign in its picture: a minus there is an error, a zero with one is zero.
fn packed_unsigned(
    bytes: &[u8; RECORD_BYTES],
    field: &'static str,
    offset: usize,
    end: usize,
) -> Result<u64, ParseError> {
    let value = packed(bytes, field, offset, end)?;
    u64::try_from(value).map_err(|_| ParseError::Packed {
        field,
        offset,
        blank: false,
    })
}

/// Digits without a sign.
fn digits(
    bytes: &[u8; RECORD_BYTES],
    field: &'static str,
    offset: usize,
    end: usize,
) -> Result<u64, ParseError> {
    bytes[offset..end]
        .iter()
        .try_fold(0_u64, |value, byte| match byte {
            0xf0..=0xf9 => Ok(value * 10 + u64::from(byte & 0x0f)),
            _ => Err(ParseError::Zoned { field, offset }),
        })
}

/// Digits with the sign in the zone of the last one.
fn zoned(
    bytes: &[u8; RECORD_BYTES],
    field: &'static str,
    offset: usize,
    end: usize,
) -> Result<i64, ParseError> {
    let leading = digits(bytes, field, offset, end - 1)? as i64;
    let last = bytes[end - 1];
    let value = leading * 10 + i64::from(last & 0x0f);
    match (last >> 4, last & 0x0f) {
        (0xa | 0xc | 0xe | 0xf, 0..=9) => Ok(value),
        (0xb | 0xd, 0..=9) => Ok(-value),
        _ => Err(ParseError::Zoned { field, offset }),
    }
}

fn date_time(date: u64, time: u64) -> Result<TimeMs, ParseError> {
    let at = CivilTime {
        year: (date / 10_000) as i32,
        month: (date / 100 % 100) as u8,
        day: (date % 100) as u8,
        hour: (time / 10_000) as u8,
        minute: (time / 100 % 100) as u8,
        second: (time % 100) as u8,
        millisecond: 0,
    };
    at.to_ms().ok_or(ParseError::Value {
        field: "INV-EFF-DATE and INV-EFF-TIME",
        value: date * 1_000_000 + time,
    })
}

//! IBM MQ's message descriptor, version 2: 364 bytes that say of a message who put it, when, as what.
//!
//! Written as z/OS does: integers big-endian, text in the queue manager's CCSID. Read in either order of bytes, versions 1
//! (324 bytes) and 2, text in EBCDIC or ASCII: a channel may have converted it. Layout and constants:
//! `docs/formats/mqmd.md`.
//!
//! Invariant: no panic on any bytes. What a descriptor says decides nothing about stock: the record does.

use crate::ids::TimeMs;
use crate::wire::civil::CivilTime;
use crate::wire::ebcdic::Ccsid;

pub const BYTES: usize = 364;
/// Of version 1, which ends before the group.
pub const BYTES_V1: usize = 324;
pub const ID_BYTES: usize = 24;
/// Of MsgFlags.
pub const IN_GROUP: u32 = 8;
pub const LAST_IN_GROUP: u32 = 16;
/// Where MsgFlags stand.
pub const FLAGS_AT: usize = 356;

/// 24 bytes that nobody but their maker understands.
pub type Id = [u8; ID_BYTES];

/// What follows the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Bytes: never converted.
    None,
    /// Text.
    String,
    /// An RFH2 header, which says what follows it.
    Rfh2,
    Other,
}

impl Format {
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::String => "MQSTR",
            Self::Rfh2 => "MQHRF2",
            Self::Other => "other",
        }
    }

    pub(super) fn of(text: &str) -> Self {
        match text.trim_end_matches([' ', '\0']) {
            "" => Self::None,
            "MQSTR" => Self::String,
            "MQHRF2" => Self::Rfh2,
            _ => Self::Other,
        }
    }
}

/// A descriptor, with the fields that senders set; the others are as the queue manager sets them by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Of the text that follows: IBM's number.
    pub ccsid: u32,
    pub format: Format,
    pub priority: u32,
    pub persistent: bool,
    pub message_id: Id,
    pub correlation_id: Id,
    /// How often it was given back before.
    pub backout_count: u32,
    /// At most 12 characters.
    pub user: String,
    /// 1 CICS, 2 z/OS batch, 6 UNIX, 28 Java …
    pub put_application_type: u32,
    /// At most 28 characters.
    pub put_application: String,
    /// GMT, to the hundredth of a second. `None`: the fields are no time.
    pub put: Option<TimeMs>,
    pub group_id: Id,
    /// In its group, from 1.
    pub sequence: u32,
    pub flags: u32,
}

impl Descriptor {
    /// PutDate and PutTime, one behind the other: `YYYYMMDDHHMMSSTH`.
    pub fn put_text(&self) -> Option<String> {
        self.put.map(put_date_time)
    }

    pub const fn is_last_in_group(&self) -> bool {
        self.flags & LAST_IN_GROUP != 0
    }
}

/// Why bytes are no descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    #[error("a message descriptor of version {version} has {expected} bytes, here are {bytes}")]
    Length {
        version: u32,
        expected: usize,
        bytes: usize,
    },
    #[error("the message descriptor has version {version:#010x}: 1 and 2 are known")]
    Version { version: u32 },
}

const STRUC_ID_EBCDIC: [u8; 4] = [0xd4, 0xc4, 0x40, 0x40];
const STRUC_ID_ASCII: [u8; 4] = *b"MD  ";
/// z/OS: integers big-endian, packed decimals as usual, floats of S/390.
const ENCODING_S390: u32 = 785;
const EXPIRY_UNLIMITED: u32 = u32::MAX;
const DATAGRAM: u32 = 8;

/// What a shipment's records are grouped by: `DA` and its despatch advice in eleven digits.
pub fn shipment_group(despatch_advice: u64) -> String {
    format!("DA{despatch_advice:011}")
}

/// Whether these bytes begin with a descriptor.
pub fn is_descriptor(bytes: &[u8]) -> bool {
    bytes.starts_with(&STRUC_ID_EBCDIC) || bytes.starts_with(&STRUC_ID_ASCII)
}

/// Appends 364 bytes; text that is too long, or not in the CCSID, is cut off there.
pub fn write(descriptor: &Descriptor, out: &mut Vec<u8>) {
    let ccsid = Ccsid::from_number(descriptor.ccsid).unwrap_or_default();
    let mut bytes = [0_u8; BYTES];
    let mut number = |at: usize, value: u32| bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    number(4, 2);
    number(12, DATAGRAM);
    number(16, EXPIRY_UNLIMITED);
    number(24, ENCODING_S390);
    number(28, descriptor.ccsid);
    number(40, descriptor.priority);
    number(44, u32::from(descriptor.persistent));
    number(96, descriptor.backout_count);
    number(272, descriptor.put_application_type);
    number(348, descriptor.sequence);
    number(FLAGS_AT, descriptor.flags);
    number(360, u32::MAX);
    bytes[..4].copy_from_slice(&STRUC_ID_EBCDIC);
    bytes[48..72].copy_from_slice(&descriptor.message_id);
    bytes[72..96].copy_from_slice(&descriptor.correlation_id);
    bytes[324..348].copy_from_slice(&descriptor.group_id);
    let mut text = |at: usize, length: usize, text: &str| put_text(&mut bytes[at..at + length], text, ccsid);
    text(32, 8, descriptor.format.name());
    // ReplyToQ and ReplyToQMgr: nobody is to answer.
    text(100, 96, "");
    text(196, 12, &descriptor.user);
    text(240, 32, "");
    text(276, 28, &descriptor.put_application);
    text(320, 4, "");
    let put = descriptor.put_text().unwrap_or_default();
    text(304, 16, &put);
    out.extend_from_slice(&bytes);
}

/// Reads the descriptor in front, and tells how long it is.
pub fn read(bytes: &[u8]) -> Result<(Descriptor, usize), DescriptorError> {
    let too_short = |version, expected| DescriptorError::Length {
        version,
        expected,
        bytes: bytes.len(),
    };
    let head = bytes.get(..BYTES_V1).ok_or(too_short(1, BYTES_V1))?;
    let little = head[4] != 0;
    let version = integer(head, 4, little);
    let length = match version {
        1 => BYTES_V1,
        2 => BYTES,
        _ => return Err(DescriptorError::Version { version }),
    };
    let whole = bytes.get(..length).ok_or(too_short(version, length))?;
    let ccsid = integer(whole, 28, little);
    let text = |at: usize, length: usize| {
        let field = &whole[at..at + length];
        let text = if whole.starts_with(&STRUC_ID_ASCII) {
            field.iter().map(|byte| char::from(*byte)).collect()
        } else {
            Ccsid::from_number(ccsid).unwrap_or_default().decode(field)
        };
        text.trim_end_matches([' ', '\0']).to_owned()
    };
    let id = |at: usize| {
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&whole[at..at + ID_BYTES]);
        id
    };
    let grouped = version == 2;
    let descriptor = Descriptor {
        ccsid,
        format: Format::of(&text(32, 8)),
        priority: integer(whole, 40, little),
        persistent: integer(whole, 44, little) == 1,
        message_id: id(48),
        correlation_id: id(72),
        backout_count: integer(whole, 96, little),
        user: text(196, 12),
        put_application_type: integer(whole, 272, little),
        put_application: text(276, 28),
        put: read_date_time(&text(304, 16)),
        group_id: if grouped { id(324) } else { [0; ID_BYTES] },
        sequence: if grouped { integer(whole, 348, little) } else { 1 },
        flags: if grouped {
            integer(whole, FLAGS_AT, little)
        } else {
            0
        },
    };
    Ok((descriptor, length))
}

/// Adds flags to a descriptor that was written.
pub fn add_flags(bytes: &mut [u8], flags: u32) {
    if let Some(field) = bytes.get_mut(FLAGS_AT..FLAGS_AT + 4) {
        let before = u32::from_be_bytes([field[0], field[1], field[2], field[3]]);
        field.copy_from_slice(&(before | flags).to_be_bytes());
    }
}

fn integer(bytes: &[u8], at: usize, little: bool) -> u32 {
    let field = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    if little {
        u32::from_le_bytes(field)
    } else {
        u32::from_be_bytes(field)
    }
}

pub(super) fn put_text(field: &mut [u8], text: &str, ccsid: Ccsid) {
    let blank = ccsid.byte_of(' ').expect("every CCSID has a blank");
    field.fill(blank);
    for (byte, character) in field.iter_mut().zip(text.chars()) {
        match ccsid.byte_of(character) {
            Some(coded) => *byte = coded,
            None => return,
        }
    }
}

/// `YYYYMMDD`, `HHMMSSTH`.
fn put_date_time(at: TimeMs) -> String {
    let at = CivilTime::from_ms(at);
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}{:02}",
        at.year.clamp(0, 9999),
        at.month,
        at.day,
        at.hour,
        at.minute,
        at.second,
        at.millisecond / 10
    )
}

fn read_date_time(text: &str) -> Option<TimeMs> {
    if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<u16>().ok();
    CivilTime {
        year: i32::from(number(0, 4)?),
        month: number(4, 6)? as u8,
        day: number(6, 8)? as u8,
        hour: number(8, 10)? as u8,
        minute: number(10, 12)? as u8,
        second: number(12, 14)? as u8,
        millisecond: number(14, 16)? * 10,
    }
    .to_ms()
}

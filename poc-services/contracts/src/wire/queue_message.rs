//! A message of a queue as `mq.raw` has it: the record alone, or behind a message descriptor, with RFH2 headers between.
//!
//! Invariant: no panic on any bytes, and every step is bounded. It knows nothing of what is in the record.

use crate::wire::ebcdic::Ccsid;
use crate::wire::mqmd::{self, Descriptor, DescriptorError, Format};

/// Headers that may follow one another.
const HEADERS_MAX: usize = 8;
/// The fixed part of an RFH2.
const RFH2_FIXED: usize = 36;
const RFH_EBCDIC: [u8; 4] = [0xd9, 0xc6, 0xc8, 0x40];
const RFH_ASCII: [u8; 4] = *b"RFH ";

/// A message, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    pub descriptor: Option<Descriptor>,
    /// `usr`, `jms`, `mcd` and other folders of RFH2 headers, as they stand.
    pub folders: Vec<&'a [u8]>,
    pub record: &'a [u8],
}

/// Why a message cannot be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    #[error(
        "CCSID {ccsid}: records are EBCDIC of 37, 500, 1047 or 1140, and packed fields do not survive a conversion; \
         have the channel not convert, MQMD.Format blank"
    )]
    Ccsid { ccsid: u32 },
    #[error("the RFH2 at byte {at}: {what}")]
    Rfh2 { at: usize, what: &'static str },
}

impl OpenError {
    /// For machines: metrics and dead letters.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Descriptor(_) => "bad-mqmd",
            Self::Ccsid { .. } => "unsupported-ccsid",
            Self::Rfh2 { .. } => "bad-rfh2",
        }
    }
}

/// Takes a message apart.
pub fn open(message: &[u8]) -> Result<Opened<'_>, OpenError> {
    let mut at = 0;
    let mut descriptor = None;
    let mut ccsid = None;
    let mut format = Format::None;
    if mqmd::is_descriptor(message) {
        let (read, length) = mqmd::read(message)?;
        (ccsid, format) = (Some(read.ccsid), read.format);
        descriptor = Some(read);
        at = length;
    }
    let mut folders = Vec::new();
    let mut headers = 0;
    while is_rfh2(&message[at..]) {
        let header = rfh2(message, at, &mut folders)?;
        headers += 1;
        if headers > HEADERS_MAX {
            return Err(OpenError::Rfh2 {
                at,
                what: "too many headers follow one another",
            });
        }
        // 0 and MQCCSI_INHERIT (-2): as before.
        if !matches!(header.ccsid, 0 | 0xffff_fffe) {
            ccsid = Some(header.ccsid);
        }
        format = header.format;
        at += header.length;
    }
    if format == Format::Rfh2 {
        return Err(OpenError::Rfh2 {
            at,
            what: "it is announced, and is not there",
        });
    }
    match ccsid {
        Some(number) if Ccsid::from_number(number).is_none() => Err(OpenError::Ccsid { ccsid: number }),
        _ => Ok(Opened {
            descriptor,
            folders,
            record: &message[at..],
        }),
    }
}

/// Where the record begins, as far as it can be told: for those who pass messages on and do not judge them.
pub fn record_at(message: &[u8]) -> usize {
    open(message).map_or(0, |opened| message.len() - opened.record.len())
}

/// [`record_at`], the bytes.
pub fn record(message: &[u8]) -> &[u8] {
    &message[record_at(message)..]
}

fn is_rfh2(bytes: &[u8]) -> bool {
    bytes.starts_with(&RFH_EBCDIC) || bytes.starts_with(&RFH_ASCII)
}

/// What an RFH2 says of what follows it.
struct Header {
    length: usize,
    ccsid: u32,
    format: Format,
}

fn rfh2<'a>(message: &'a [u8], at: usize, folders: &mut Vec<&'a [u8]>) -> Result<Header, OpenError> {
    let wrong = |what| OpenError::Rfh2 { at, what };
    let fixed = message[at..]
        .get(..RFH2_FIXED)
        .ok_or(wrong("it has fewer than 36 bytes"))?;
    let little = fixed[4] != 0;
    let integer = |bytes: &[u8], at: usize| {
        let field = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if little {
            u32::from_le_bytes(field)
        } else {
            u32::from_be_bytes(field)
        }
    };
    if integer(fixed, 4) != 2 {
        return Err(wrong("its version is not 2"));
    }
    let length = integer(fixed, 8) as usize;
    if length < RFH2_FIXED || !length.is_multiple_of(4) {
        return Err(wrong("its length is no multiple of 4 from 36 on"));
    }
    let whole = message[at..]
        .get(..length)
        .ok_or(wrong("it is longer than the message"))?;
    let mut rest = &whole[RFH2_FIXED..];
    while !rest.is_empty() {
        let size = integer(rest, 0) as usize;
        let folder = rest[4..]
            .get(..size)
            .filter(|_| size.is_multiple_of(4))
            .ok_or(wrong("a folder is longer than its header, or no multiple of 4"))?;
        folders.push(folder);
        rest = &rest[4 + size..];
    }
    let ascii = whole.starts_with(&RFH_ASCII);
    let name: String = whole[20..28]
        .iter()
        .map(|byte| {
            if ascii {
                char::from(*byte)
            } else {
                Ccsid::C037.char_of(*byte)
            }
        })
        .collect();
    Ok(Header {
        length,
        ccsid: integer(fixed, 16),
        format: Format::of(&name),
    })
}

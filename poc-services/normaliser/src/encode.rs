//! A transaction as the bytes of a `Movement`, written straight into a buffer that is used again.
//!
//! Invariant: byte for byte what `prost` writes for the same message; a test compares. By hand, because the record
//! would otherwise be built field by field, with a text and a list, for each of many thousands a second.

use contracts::ids::SourceId;
use contracts::records::MovementLine;
use contracts::topics::push_location;

use crate::normalised::Transaction;

/// Replaces the buffer's content.
pub fn encode_movement(transaction: &Transaction, due_ms: i64, lines: &[MovementLine], out: &mut Vec<u8>) {
    out.clear();
    let SourceId { location, kind, unit } = transaction.id.source;
    out.extend_from_slice(&[0x0a, 0]);
    push_location(out, location);
    out[1] = (out.len() - 2) as u8;
    push_field(out, 2, kind as u64);
    push_field(out, 3, u64::from(unit));
    push_field(out, 4, u64::from(transaction.id.business_day.0));
    push_field(out, 5, transaction.id.number);
    push_field(out, 6, transaction.occurred.0 as u64);
    push_field(out, 7, due_ms as u64);
    if transaction.content_hash != 0 {
        out.push(8 << 3 | 1);
        out.extend_from_slice(&transaction.content_hash.to_le_bytes());
    }
    push_field(out, 9, transaction.despatch_advice);
    for line in lines {
        out.extend_from_slice(&[10 << 3 | 2, 0]);
        let start = out.len();
        push_field(out, 1, u64::from(line.sku));
        push_field(out, 2, i64::from(line.kind) as u64);
        push_field(out, 3, zigzag(line.quantity));
        // Three numbers are 6 + 11 + 11 bytes at most: the length is one byte.
        out[start - 1] = (out.len() - start) as u8;
    }
}

/// Says of a record that is written that it was read out of the dead letters.
pub fn mark_put_back(out: &mut Vec<u8>) {
    push_field(out, 15, 1);
}

const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// A varint field; zero is left out, as proto3 has it.
fn push_field(out: &mut Vec<u8>, number: u8, mut value: u64) {
    if value == 0 {
        return;
    }
    let mut bytes = [0; 11];
    bytes[0] = number << 3;
    let mut length = 1;
    while value > 0x7f {
        bytes[length] = value as u8 | 0x80;
        value >>= 7;
        length += 1;
    }
    bytes[length] = value as u8;
    out.extend_from_slice(&bytes[..=length]);
}

//! Record batches of format v2 as bytes: reading the header, checking a batch that a producer sent, stamping
//! offset and leader epoch, walking and writing records.
//!
//! Invariant: offset, length and leader epoch lie before the checksummed area, so [`stamp`] leaves the checksum
//! valid and a batch is stored as the producer wrote it.
//! It does not compress or decompress: a compressed batch is stored and served, never walked.
//!
//! Layout: <https://kafka.apache.org/documentation/#recordbatch>.

use bytes::{BufMut, Bytes, BytesMut};

use super::stability::Outcome;

/// Bytes before the first record.
pub const HEADER_BYTES: usize = 61;
/// Bytes of offset and length, which the length field does not count.
const PREFIX_BYTES: usize = 12;
/// Where the checksummed area begins.
const CRC_FROM: usize = 21;
const COMPRESSION_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

/// Why a batch was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("the batch is shorter than its header or its length field does not match")]
    Truncated,
    #[error("magic {0} is not 2")]
    Magic(i8),
    #[error("the checksum does not match")]
    Checksum,
    #[error("record count, offsets or times contradict each other")]
    Counts,
    #[error("more than one batch for a partition in one request")]
    ManyBatches,
    #[error("only the broker writes control batches")]
    Control,
    #[error("a transactional batch names no producer")]
    Nobody,
    #[error("a record of a compacted topic has no key")]
    MissingKey,
}

/// The header fields that the broker acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: i64,
    pub leader_epoch: i32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: i32,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N]
        .try_into()
        .expect("the header length was checked")
}

impl BatchHeader {
    /// Reads the header. `bytes` must hold at least [`HEADER_BYTES`].
    pub fn read(bytes: &[u8]) -> Self {
        Self {
            base_offset: i64::from_be_bytes(array(bytes, 0)),
            leader_epoch: i32::from_be_bytes(array(bytes, 12)),
            attributes: i16::from_be_bytes(array(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(array(bytes, 23)),
            base_timestamp: i64::from_be_bytes(array(bytes, 27)),
            max_timestamp: i64::from_be_bytes(array(bytes, 35)),
            producer_id: i64::from_be_bytes(array(bytes, 43)),
            producer_epoch: i16::from_be_bytes(array(bytes, 51)),
            base_sequence: i32::from_be_bytes(array(bytes, 53)),
            record_count: i32::from_be_bytes(array(bytes, 57)),
        }
    }

    pub fn is_compressed(&self) -> bool {
        self.attributes & COMPRESSION_MASK != 0
    }

    /// Whether the batch carries the broker's time instead of the producer's.
    pub fn is_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the batch holds a marker of the broker instead of records.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Sequence number of the last record; sequences wrap to 0 after `i32::MAX`.
    pub fn last_sequence(&self) -> i32 {
        let last = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        (last % (i64::from(i32::MAX) + 1)) as i32
    }
}

/// Checks one batch as a producer sent it: whole, magic 2, right checksum, counts that agree.
pub fn check(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    if bytes.len() < HEADER_BYTES {
        return Err(BatchError::Truncated);
    }
    let magic = bytes[16] as i8;
    if magic != 2 {
        return Err(BatchError::Magic(magic));
    }
    let length = i32::from_be_bytes(array(bytes, 8));
    let whole = usize::try_from(length).map_or(0, |l| l + PREFIX_BYTES);
    if whole < HEADER_BYTES || whole > bytes.len() {
        return Err(BatchError::Truncated);
    }
    if whole < bytes.len() {
        return Err(BatchError::ManyBatches);
    }
    if u32::from_be_bytes(array(bytes, 17)) != crc32c::crc32c(&bytes[CRC_FROM..]) {
        return Err(BatchError::Checksum);
    }
    let header = BatchHeader::read(bytes);
    if header.is_control() {
        return Err(BatchError::Control);
    }
    // A record takes at least seven bytes, so a count beyond that is a lie; compressed ones are bounded by the
    // offsets alone.
    let room = if header.is_compressed() {
        i64::MAX
    } else {
        ((bytes.len() - HEADER_BYTES) / 7) as i64
    };
    if header.record_count <= 0
        || header.last_offset_delta != header.record_count - 1
        || i64::from(header.record_count) > room
        || header.max_timestamp < -1
        || (header.producer_id >= 0 && (header.producer_epoch < 0 || header.base_sequence < 0))
    {
        return Err(BatchError::Counts);
    }
    if header.is_transactional() && header.producer_id < 0 {
        return Err(BatchError::Nobody);
    }
    Ok(header)
}

/// Copies a checked batch and writes its place in the log into it.
pub fn stamp(batch: &[u8], base_offset: i64, leader_epoch: i32) -> Bytes {
    let mut owned = batch.to_vec();
    owned[0..8].copy_from_slice(&base_offset.to_be_bytes());
    owned[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
    Bytes::from(owned)
}

/// As [`stamp`], and sets the broker's time (`message.timestamp.type=LogAppendTime`), which needs a new checksum.
pub fn stamp_with_append_time(batch: &[u8], base_offset: i64, leader_epoch: i32, now_ms: i64) -> Bytes {
    let mut owned = batch.to_vec();
    owned[0..8].copy_from_slice(&base_offset.to_be_bytes());
    owned[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
    let attributes = i16::from_be_bytes(array(&owned, 21)) | LOG_APPEND_TIME;
    owned[21..23].copy_from_slice(&attributes.to_be_bytes());
    owned[35..43].copy_from_slice(&now_ms.to_be_bytes());
    write_checksum(&mut owned);
    Bytes::from(owned)
}

fn write_checksum(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[CRC_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// One record inside an uncompressed batch.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    pub offset_delta: i32,
    pub timestamp_delta: i64,
    pub key: Option<&'a [u8]>,
    /// No value: the record deletes its key in a compacted topic.
    pub is_tombstone: bool,
    /// From the key's length on to the end: what is kept as it is when a record moves to another batch.
    pub tail: &'a [u8],
}

/// Walks the records of an uncompressed batch; ends early, with `None`, where the bytes make no sense.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    left: i32,
}

impl<'a> Records<'a> {
    /// `batch` is a whole, checked, uncompressed batch.
    pub fn of(batch: &'a [u8]) -> Self {
        Self {
            rest: &batch[HEADER_BYTES..],
            left: BatchHeader::read(batch).record_count,
        }
    }

    fn read(&mut self) -> Option<RecordView<'a>> {
        let (length, rest) = read_varint(self.rest)?;
        let length = usize::try_from(length).ok()?;
        let (record, rest) = rest.split_at_checked(length)?;
        let (_attributes, body) = record.split_first()?;
        let (timestamp_delta, body) = read_varint(body)?;
        let (offset_delta, tail) = read_varint(body)?;
        let (key_length, body) = read_varint(tail)?;
        let (key, body) = match usize::try_from(key_length) {
            Ok(length) => {
                let (key, body) = body.split_at_checked(length)?;
                (Some(key), body)
            }
            Err(_) => (None, body),
        };
        let (value_length, _) = read_varint(body)?;
        self.rest = rest;
        Some(RecordView {
            offset_delta: i32::try_from(offset_delta).ok()?,
            timestamp_delta,
            key,
            is_tombstone: value_length < 0,
            tail,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = RecordView<'a>;

    fn next(&mut self) -> Option<RecordView<'a>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let record = self.read();
        if record.is_none() {
            self.left = 0;
        }
        record
    }
}

/// Whether each record has a key, as compacted topics demand. Compressed batches are not looked into.
pub fn check_keys(batch: &[u8], header: &BatchHeader) -> Result<(), BatchError> {
    if header.is_compressed() {
        return Ok(());
    }
    let mut seen = 0;
    for record in Records::of(batch) {
        if record.key.is_none() {
            return Err(BatchError::MissingKey);
        }
        seen += 1;
    }
    if seen == header.record_count {
        Ok(())
    } else {
        Err(BatchError::Counts)
    }
}

fn read_varint(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let signed = (value >> 1) as i64 ^ -((value & 1) as i64);
            return Some((signed, &bytes[index + 1..]));
        }
    }
    None
}

fn write_varint(out: &mut BytesMut, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

fn varint_bytes(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (zigzag | 1).leading_zeros() as usize).div_ceil(7)
}

/// Writes an uncompressed batch record by record; records keep the offsets that they had.
#[derive(Debug)]
pub struct BatchWriter {
    out: BytesMut,
    base_offset: i64,
    leader_epoch: i32,
    attributes: i16,
    base_timestamp: i64,
    max_timestamp: i64,
    producer_id: i64,
    producer_epoch: i16,
    count: i32,
}

impl BatchWriter {
    /// `attributes` are those of the source batch; only the kind of timestamp is kept.
    pub fn new(
        base_offset: i64,
        leader_epoch: i32,
        attributes: i16,
        base_timestamp: i64,
        capacity: usize,
    ) -> Self {
        let mut out = BytesMut::with_capacity(capacity);
        out.put_bytes(0, HEADER_BYTES);
        let attributes = attributes & LOG_APPEND_TIME;
        Self {
            out,
            base_offset,
            leader_epoch,
            attributes,
            base_timestamp,
            max_timestamp: -1,
            producer_id: -1,
            producer_epoch: -1,
            count: 0,
        }
    }

    /// Adds a record that lies at `offset`; `tail` is [`RecordView::tail`].
    pub fn push(&mut self, offset: i64, timestamp: i64, tail: &[u8]) {
        let timestamp_delta = timestamp - self.base_timestamp;
        let offset_delta = offset - self.base_offset;
        let length = 1 + varint_bytes(timestamp_delta) + varint_bytes(offset_delta) + tail.len();
        write_varint(&mut self.out, length as i64);
        self.out.put_u8(0);
        write_varint(&mut self.out, timestamp_delta);
        write_varint(&mut self.out, offset_delta);
        self.out.put_slice(tail);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.count += 1;
    }

    pub fn len(&self) -> usize {
        self.out.len()
    }

    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// Closes the batch, which covers all offsets up to `last_offset`, and writes its checksum.
    pub fn finish(mut self, last_offset: i64) -> Bytes {
        let length = (self.out.len() - PREFIX_BYTES) as i32;
        let head = &mut self.out[..HEADER_BYTES];
        head[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        head[8..12].copy_from_slice(&length.to_be_bytes());
        head[12..16].copy_from_slice(&self.leader_epoch.to_be_bytes());
        head[16] = 2;
        head[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        head[23..27].copy_from_slice(&((last_offset - self.base_offset) as i32).to_be_bytes());
        head[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        head[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        head[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        head[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        head[53..57].copy_from_slice(&(-1i32).to_be_bytes());
        head[57..61].copy_from_slice(&self.count.to_be_bytes());
        write_checksum(&mut self.out);
        Bytes::copy_from_slice(&self.out)
    }
}

/// The control batch that ends a transaction of a producer in one partition.
pub fn marker(
    base_offset: i64,
    leader_epoch: i32,
    now_ms: i64,
    producer: (i64, i16),
    outcome: Outcome,
) -> Bytes {
    let kind: u8 = match outcome {
        Outcome::Abort => 0,
        Outcome::Commit => 1,
    };
    let mut writer = BatchWriter::new(base_offset, leader_epoch, 0, now_ms, HEADER_BYTES + 24);
    writer.attributes = TRANSACTIONAL | CONTROL;
    (writer.producer_id, writer.producer_epoch) = producer;
    // Key: version and kind; value: version and the coordinator's epoch, which never changes here.
    let tail = record_tail(Some(&[0, 0, 0, kind]), Some(&[0; 6]));
    writer.push(base_offset, now_ms, &tail);
    writer.finish(base_offset)
}

/// Encodes what [`RecordView::tail`] shows of a record without headers.
pub fn record_tail(key: Option<&[u8]>, value: Option<&[u8]>) -> BytesMut {
    let mut out = BytesMut::new();
    for part in [key, value] {
        match part {
            Some(bytes) => {
                write_varint(&mut out, bytes.len() as i64);
                out.put_slice(bytes);
            }
            None => write_varint(&mut out, -1),
        }
    }
    write_varint(&mut out, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch_of_two() -> Bytes {
        let mut writer = BatchWriter::new(7, 3, 0, 1_000, 256);
        writer.push(7, 1_000, &record_tail(Some(b"a"), Some(b"1")));
        writer.push(8, 1_005, &record_tail(Some(b"b"), None));
        writer.finish(8)
    }

    #[test]
    fn written_batch_passes_the_check_and_reads_back() {
        let batch = batch_of_two();
        let header = check(&batch).unwrap();
        assert_eq!(
            (header.base_offset, header.record_count, header.max_timestamp),
            (7, 2, 1_005)
        );
        let records: Vec<_> = Records::of(&batch).collect();
        assert_eq!(records[0].key, Some(&b"a"[..]));
        assert!(!records[0].is_tombstone && records[1].is_tombstone);
        assert_eq!((records[1].offset_delta, records[1].timestamp_delta), (1, 5));
    }

    #[test]
    fn stamping_leaves_the_checksum_valid() {
        let header = check(&stamp(&batch_of_two(), 900, 12)).unwrap();
        assert_eq!((header.base_offset, header.leader_epoch), (900, 12));
        check(&stamp_with_append_time(&batch_of_two(), 1, 1, 77)).unwrap();
    }

    #[test]
    fn any_flipped_bit_after_the_prefix_is_noticed() {
        let batch = batch_of_two();
        for at in 16..batch.len() {
            let mut damaged = batch.to_vec();
            damaged[at] ^= 0x40;
            assert!(check(&damaged).is_err(), "byte {at}");
        }
    }

    #[test]
    fn truncated_batch_is_refused_at_any_length() {
        let batch = batch_of_two();
        for length in 0..batch.len() {
            assert!(check(&batch[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn marker_is_a_control_batch_of_its_producer() {
        let bytes = marker(9, 2, 1_000, (77, 3), Outcome::Commit);
        assert_eq!(
            check(&bytes),
            Err(BatchError::Control),
            "no producer may send one"
        );
        let header = BatchHeader::read(&bytes);
        assert!(header.is_control() && header.is_transactional());
        assert_eq!(
            (header.base_offset, header.producer_id, header.producer_epoch),
            (9, 77, 3)
        );
        let key = Records::of(&bytes).next().and_then(|record| record.key);
        assert_eq!(key, Some(&[0, 0, 0, 1][..]));
    }

    #[test]
    fn varints_survive_the_round_trip() {
        for value in [0, -1, 1, 63, 64, -64, -65, 1 << 20, i64::MAX, i64::MIN] {
            let mut out = BytesMut::new();
            write_varint(&mut out, value);
            assert_eq!(out.len(), varint_bytes(value), "{value}");
            assert_eq!(read_varint(&out), Some((value, &[][..])));
        }
    }
}

//! The queue managers of a warehouse: what they say of each message, and when two of them send the same.
//!
//! A data centre has two queue managers, A and B, which replicate to each other. At a hand-over both send what was put
//! in its first minute: the same record under another message id. Pure: what a manager says of a message follows from
//! its record.

use contracts::ids::{LocationId, TimeMs};
use contracts::wire::copybook::{MoveRecord, StatusRecord};
use contracts::wire::ebcdic::Ccsid;
use contracts::wire::mqmd::{self, Descriptor, Format, ID_BYTES, IN_GROUP, Id};

use crate::calendar::HOUR_MS;

/// Where the message descriptor travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DescriptorPlace {
    /// As properties of the AMQP message, beside the record.
    Properties,
    /// As properties, and as 364 bytes in front of the record.
    InFront,
    /// Every other warehouse, the second first, has it in front.
    EveryOther,
}

/// How warehouses write to their queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// The first warehouse has the first, and so on, round and round. Not empty.
    pub ccsids: Vec<Ccsid>,
    pub descriptor: DescriptorPlace,
    /// Between two hand-overs of a data centre's queue managers; 0: there are none.
    pub handover_ms: i64,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            ccsids: Ccsid::ALL.to_vec(),
            descriptor: DescriptorPlace::EveryOther,
            handover_ms: 4 * HOUR_MS,
        }
    }
}

/// So long after a hand-over both managers send.
const OVERLAP_MS: i64 = 60_000;
const DATA_CENTRE_SHIFT_MS: i64 = 7 * 60_000;
const PERSISTENT_PRIORITY: u32 = 4;
/// CICS.
const APPLICATION_TYPE: u32 = 1;
/// Milliseconds from 1900 to 1970, for the clock of a mainframe.
const MS_1900_TO_1970: i64 = 2_208_988_800_000;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    A,
    B,
}

/// Who takes a warehouse's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueManager {
    warehouse: LocationId,
    data_centre: u8,
    ccsid: Ccsid,
    in_front: bool,
    handover_ms: i64,
}

impl QueueManager {
    pub(crate) fn new(config: &QueueConfig, warehouse: LocationId, data_centre: u8) -> Self {
        let index = usize::from(warehouse.number()).saturating_sub(1);
        Self {
            warehouse,
            data_centre,
            ccsid: config
                .ccsids
                .get(index % config.ccsids.len().max(1))
                .copied()
                .unwrap_or_default(),
            in_front: match config.descriptor {
                DescriptorPlace::Properties => false,
                DescriptorPlace::InFront => true,
                DescriptorPlace::EveryOther => index % 2 == 1,
            },
            handover_ms: config.handover_ms,
        }
    }

    pub const fn warehouse(&self) -> LocationId {
        self.warehouse
    }

    pub const fn ccsid(&self) -> Ccsid {
        self.ccsid
    }

    /// Whether a descriptor stands in front of each record.
    pub const fn is_in_front(&self) -> bool {
        self.in_front
    }

    /// Whether what is put at this instant comes from both managers.
    pub fn hands_over(&self, at: TimeMs) -> bool {
        let shift = i64::from(self.data_centre) * DATA_CENTRE_SHIFT_MS;
        self.handover_ms > 0 && (at.0 - shift).rem_euclid(self.handover_ms) < OVERLAP_MS
    }

    /// What is said of a record. `group` is the place of a shipment's line within its despatch advice, from 1.
    pub fn of_move(&self, record: &MoveRecord, group: Option<u32>) -> Descriptor {
        let correlation = format!("{}|{}", record.place, record.sku);
        let mut descriptor = self.describe(record.at, record.sequence, &correlation);
        if let (Some(sequence), Some(advice)) = (group, record.despatch_advice) {
            descriptor.group_id = self.id(&mqmd::shipment_group(advice));
            descriptor.sequence = sequence;
            descriptor.flags = IN_GROUP;
        }
        descriptor
    }

    pub fn of_status(&self, status: &StatusRecord) -> Descriptor {
        self.describe(
            status.at,
            status.last_sequence,
            &format!("{}|STATUS", status.place),
        )
    }

    /// As the other manager of the data centre sends it.
    pub fn replicated(&self, descriptor: &Descriptor) -> Descriptor {
        let mut message_id = descriptor.message_id;
        message_id[..16].copy_from_slice(&self.manager(Side::B));
        Descriptor {
            message_id,
            ..descriptor.clone()
        }
    }

    /// The bytes of a message: the descriptor in front, where it is so here, and the record.
    pub fn message(&self, descriptor: &Descriptor, record: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(mqmd::BYTES + record.len());
        self.begin(descriptor, &mut out);
        out.extend_from_slice(record);
        out
    }

    /// Writes what stands in front of a record.
    pub(crate) fn begin(&self, descriptor: &Descriptor, out: &mut Vec<u8>) {
        if self.in_front {
            mqmd::write(descriptor, out);
        }
    }

    fn describe(&self, at: TimeMs, sequence: u32, correlation: &str) -> Descriptor {
        let mut message_id: Id = [0; ID_BYTES];
        message_id[..16].copy_from_slice(&self.manager(Side::A));
        // Microseconds in the upper 52 bits, as the clock of the machine has them, and below what tells records apart.
        let clock = (((at.0 + MS_1900_TO_1970).unsigned_abs() * 1000) << 12) | u64::from(sequence % 4096);
        message_id[16..].copy_from_slice(&clock.to_be_bytes());
        Descriptor {
            ccsid: u32::from(self.ccsid.number()),
            format: Format::None,
            priority: PERSISTENT_PRIORITY,
            persistent: true,
            message_id,
            correlation_id: self.id(correlation),
            backout_count: 0,
            user: format!("ACME{:04}", self.warehouse.number()),
            put_application_type: APPLICATION_TYPE,
            put_application: format!("ACMEC{:02}INVM", self.warehouse.number() % 100),
            put: Some(TimeMs(at.0.div_euclid(10) * 10)),
            group_id: [0; ID_BYTES],
            sequence: 1,
            flags: 0,
        }
    }

    /// Product and the manager's first twelve characters, in front of the clock.
    fn manager(&self, side: Side) -> [u8; 16] {
        let side = match side {
            Side::A => 'A',
            Side::B => 'B',
        };
        let mut id = [0; 16];
        id.copy_from_slice(&self.id(&format!("CSQ ACMEDC{:02}{side}", self.data_centre))[..16]);
        id
    }

    /// Text in 24 bytes, filled with blanks.
    fn id(&self, text: &str) -> Id {
        let mut id = [self.ccsid.byte_of(' ').unwrap_or(0x40); ID_BYTES];
        for (byte, character) in id.iter_mut().zip(text.chars()) {
            *byte = self.ccsid.byte_of(character).unwrap_or(0x6f);
        }
        id
    }
}

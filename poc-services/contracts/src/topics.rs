//! The topics: name, key, partitions, policy; and the one function from a location to its partition.

use crate::ids::{LocationId, Sku, SourceId};

pub mod headers;
#[cfg(test)]
mod tests;

/// Topics keyed by location share this count, so that one partition orders all that happens at a location and a
/// service reads and writes the same partition number. Changing it means new topics and a rebuild.
pub const PARTITIONS: u32 = 6;

pub const TLOG_RAW: &str = "tlog.raw";
pub const MQ_RAW: &str = "mq.raw";
pub const SCAN_RAW: &str = "scan.raw";
pub const MOVEMENTS: &str = "movements";
pub const DEAD_LETTERS: &str = "movements.dlq";
pub const STORE_INVENTORY: &str = "store.inventory";
pub const ITEM_PARTIALS: &str = "item.partials";
pub const ITEM_INVENTORY: &str = "item.inventory";
pub const CATALOGUE: &str = "catalogue";
pub const PLACES: &str = "places";
pub const DLQ_REPLAYED: &str = "dlq.replayed";
pub const PAPERS: &str = "papers";
pub const DISCREPANCIES: &str = "discrepancies";
pub const ITEMS: &str = "items";
pub const ITEMS_SEEN: &str = "items.seen";

/// Of a record with its key and headers. What the gateway takes is half of it at most, so that a message has room for what is
/// said of it, such as in the dead letters, and its movement for the lines that it may have.
pub const RECORD_BYTES_MAX: usize = 2 << 20;
/// Of a topic's `max.message.bytes`: the largest record in its batch.
pub const BATCH_BYTES_MAX: usize = RECORD_BYTES_MAX + (64 << 10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Kept until every group has read it, and for a time.
    Delete,
    /// The newest record of each key is kept for ever.
    Compact,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: &'static str,
    pub key: &'static str,
    pub record: &'static str,
    pub partitions: u32,
    pub policy: Policy,
    /// Of Kafka, beside the policy's.
    pub settings: &'static [(&'static str, &'static str)],
}

const fn topic(
    name: &'static str,
    key: &'static str,
    record: &'static str,
    partitions: u32,
    policy: Policy,
) -> Topic {
    Topic {
        name,
        key,
        record,
        partitions,
        policy,
        settings: &[],
    }
}

/// All topics, in the order of the flow.
pub const ALL: [Topic; 15] = [
    topic(
        TLOG_RAW,
        "location",
        "the till's bytes",
        PARTITIONS,
        Policy::Delete,
    ),
    topic(
        MQ_RAW,
        "location",
        "the queue record's bytes",
        PARTITIONS,
        Policy::Delete,
    ),
    topic(
        SCAN_RAW,
        "location",
        "the EPCIS document's bytes",
        PARTITIONS,
        Policy::Delete,
    ),
    topic(MOVEMENTS, "location", "Movement", PARTITIONS, Policy::Delete),
    topic(
        DEAD_LETTERS,
        "location",
        "what could not be understood, whole",
        PARTITIONS,
        Policy::Delete,
    ),
    topic(
        STORE_INVENTORY,
        "tag/…, see StateKey",
        "Cell, Window, Completeness, Barrier, Intent, Head, ImagePart, Seal",
        PARTITIONS,
        Policy::Compact,
    ),
    topic(
        ITEM_PARTIALS,
        "p/PARTITION/SKU, e/PARTITION",
        "Partial, PartialEnd",
        PARTITIONS,
        Policy::Compact,
    ),
    topic(ITEM_INVENTORY, "SKU", "ItemTotal", PARTITIONS, Policy::Compact),
    topic(CATALOGUE, "SKU", "Article", 1, Policy::Compact),
    topic(PLACES, "location", "Place", PARTITIONS, Policy::Compact),
    topic(
        DLQ_REPLAYED,
        "TOPIC/PARTITION/OFFSET",
        "Replayed",
        1,
        Policy::Compact,
    ),
    Topic {
        // Each paper is deleted once: with what is left of that for a day, as Kafka would, the topic is soon more of that than of
        // papers. Whoever reads it from its beginning needs seconds.
        settings: &[
            ("delete.retention.ms", "300000"),
            ("max.compaction.lag.ms", "120000"),
        ],
        ..topic(
            PAPERS,
            "ADVICE/SOURCE/DAY/NUMBER",
            "Paper",
            PARTITIONS,
            Policy::Compact,
        )
    },
    topic(
        DISCREPANCIES,
        "despatch advice",
        "Discrepancy",
        PARTITIONS,
        Policy::Compact,
    ),
    topic(ITEMS, "store name", "an item, JSON", PARTITIONS, Policy::Delete),
    topic(ITEMS_SEEN, "SOURCE/DAY", "Seen", PARTITIONS, Policy::Compact),
];

/// Kafka's murmur2 of the key over [`PARTITIONS`], as the JVM's default partitioner does it.
pub fn partition_of_key(key: &[u8], partitions: u32) -> u32 {
    (murmur2::murmur2(key, murmur2::KAFKA_SEED) & 0x7fff_ffff) % partitions
}

/// The partition of everything that happens at a location.
pub fn partition_of(location: LocationId) -> u32 {
    let mut key = Vec::with_capacity(6);
    push_location(&mut key, location);
    partition_of_key(&key, PARTITIONS)
}

/// The partition of a delivery in `papers` and `discrepancies`.
pub fn partition_of_advice(despatch_advice: u64) -> u32 {
    partition_of_key(despatch_advice.to_string().as_bytes(), PARTITIONS)
}

/// The partition of an article in `item.inventory`.
pub fn partition_of_item(sku: Sku) -> u32 {
    partition_of_key(sku.0.to_string().as_bytes(), PARTITIONS)
}

/// An image of a partition's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageId {
    pub partition: u32,
    pub epoch: u32,
    pub cut: u64,
}

/// Keys of `store.inventory` and `item.partials`, as text: `c/S0042/100234`, `w/S0042/till/3`, `k/S0042`,
/// `b/4/17/00c0ffee00c0ffee`, `i/4`, `h/4`, `m/4/17/120000/3`, `s/4/17/120000`, `p/4/100234`, `e/4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateKey {
    Cell {
        location: LocationId,
        sku: Sku,
    },
    Window(SourceId),
    Completeness(LocationId),
    /// The owner is in it: two that try the same epoch at once leave two barriers, and each sees the other's.
    Barrier {
        partition: u32,
        epoch: u32,
        owner: u64,
    },
    Intent {
        partition: u32,
    },
    Head {
        partition: u32,
    },
    /// Part `index` of the image that the owner of an epoch made at a cut: images of others never share a key with it.
    ImagePart {
        image: ImageId,
        index: u32,
    },
    Seal(ImageId),
    Partial {
        partition: u32,
        sku: Sku,
    },
    PartialEnd {
        partition: u32,
    },
}

impl StateKey {
    /// Appends the key's text.
    pub fn write(self, out: &mut Vec<u8>) {
        use std::io::Write as _;
        let mut put = |text: std::fmt::Arguments<'_>| out.write_fmt(text).expect("a Vec takes all bytes");
        match self {
            Self::Cell { location, sku } => {
                out.extend_from_slice(b"c/");
                push_location(out, location);
                out.push(b'/');
                push_decimal(out, sku.0);
            }
            Self::Window(source) => put(format_args!("w/{source}")),
            Self::Completeness(location) => {
                out.extend_from_slice(b"k/");
                push_location(out, location);
            }
            Self::Barrier {
                partition,
                epoch,
                owner,
            } => put(format_args!("b/{partition}/{epoch}/{owner:016x}")),
            Self::Intent { partition } => put(format_args!("i/{partition}")),
            Self::Head { partition } => put(format_args!("h/{partition}")),
            Self::ImagePart { image, index } => {
                let ImageId {
                    partition,
                    epoch,
                    cut,
                } = image;
                put(format_args!("m/{partition}/{epoch}/{cut}/{index}"));
            }
            Self::Seal(image) => {
                let ImageId {
                    partition,
                    epoch,
                    cut,
                } = image;
                put(format_args!("s/{partition}/{epoch}/{cut}"));
            }
            Self::Partial { partition, sku } => {
                out.extend_from_slice(b"p/");
                push_decimal(out, partition);
                out.push(b'/');
                push_decimal(out, sku.0);
            }
            Self::PartialEnd { partition } => put(format_args!("e/{partition}")),
        }
    }

    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24);
        self.write(&mut out);
        out
    }

    /// `None` for a key that is not ours; readers skip such records.
    pub fn parse(key: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(key).ok()?;
        let (tag, rest) = text.split_once('/')?;
        let pair = || rest.split_once('/');
        match tag {
            "c" => {
                let (location, sku) = pair()?;
                Some(Self::Cell {
                    location: location.parse().ok()?,
                    sku: Sku(sku.parse().ok()?),
                })
            }
            "w" => Some(Self::Window(rest.parse().ok()?)),
            "k" => Some(Self::Completeness(rest.parse().ok()?)),
            "b" => {
                let (partition, rest) = pair()?;
                let (epoch, owner) = rest.split_once('/')?;
                Some(Self::Barrier {
                    partition: partition.parse().ok()?,
                    epoch: epoch.parse().ok()?,
                    owner: u64::from_str_radix(owner, 16).ok()?,
                })
            }
            "i" => Some(Self::Intent {
                partition: rest.parse().ok()?,
            }),
            "h" => Some(Self::Head {
                partition: rest.parse().ok()?,
            }),
            "m" => {
                let (image, index) = rest.rsplit_once('/')?;
                Some(Self::ImagePart {
                    image: parse_image(image)?,
                    index: index.parse().ok()?,
                })
            }
            "s" => Some(Self::Seal(parse_image(rest)?)),
            "p" => {
                let (partition, sku) = pair()?;
                Some(Self::Partial {
                    partition: partition.parse().ok()?,
                    sku: Sku(sku.parse().ok()?),
                })
            }
            "e" => Some(Self::PartialEnd {
                partition: rest.parse().ok()?,
            }),
            _ => None,
        }
    }
}

fn parse_image(text: &str) -> Option<ImageId> {
    let (partition, rest) = text.split_once('/')?;
    let (epoch, cut) = rest.split_once('/')?;
    Some(ImageId {
        partition: partition.parse().ok()?,
        epoch: epoch.parse().ok()?,
        cut: cut.parse().ok()?,
    })
}

/// Appends `S0042` without going through the formatter: this is on the path of every cell record.
pub fn push_location(out: &mut Vec<u8>, location: LocationId) {
    out.push(if location.is_store() { b'S' } else { b'W' });
    let number = location.number();
    if number >= 10_000 {
        out.push(b'0' + (number / 10_000) as u8);
    }
    for divisor in [1000, 100, 10, 1] {
        out.push(b'0' + (number / divisor % 10) as u8);
    }
}

fn push_decimal(out: &mut Vec<u8>, mut value: u32) {
    let mut digits = [0_u8; 10];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

//! The shapes of the requests that are served: a walk over a body that checks every length before anything is
//! allocated for it.
//!
//! Invariant: a body that passes holds every array element and every string byte that it announces, so decoding
//! it needs memory in proportion to the frame. The tables follow Kafka's message schemas
//! (`clients/src/main/resources/common/message` in apache/kafka) as far as the versions in `api::SERVED` go.
//! It does not check values: that is for the handlers.

use kafka_protocol::messages::ApiKey;

/// The kind of one field.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// So many bytes.
    Fixed(usize),
    Text,
    Blob,
    Many(&'static [Field]),
    /// A nullable structure.
    Maybe(&'static [Field]),
}

/// A field and the versions that have it.
#[derive(Debug, Clone, Copy)]
struct Field {
    kind: Kind,
    since: i16,
    until: i16,
}

const fn field(kind: Kind, since: i16, until: i16) -> Field {
    Field { kind, since, until }
}

const fn always(kind: Kind) -> Field {
    field(kind, 0, i16::MAX)
}

const fn since(version: i16, kind: Kind) -> Field {
    field(kind, version, i16::MAX)
}

const fn until(version: i16, kind: Kind) -> Field {
    field(kind, 0, version)
}

const BYTE: Kind = Kind::Fixed(1);
const SHORT: Kind = Kind::Fixed(2);
const INT: Kind = Kind::Fixed(4);
const LONG: Kind = Kind::Fixed(8);
const UUID: Kind = Kind::Fixed(16);
const TEXT: Kind = Kind::Text;
const TEXTS: Kind = Kind::Many(&[Field {
    kind: Kind::Text,
    since: BARE,
    until: i16::MAX,
}]);
const INTS: Kind = Kind::Many(&[Field {
    kind: INT,
    since: BARE,
    until: i16::MAX,
}]);
const LONGS: Kind = Kind::Many(&[Field {
    kind: LONG,
    since: BARE,
    until: i16::MAX,
}]);
/// Marks the only "field" of an array of plain values, which carry no tagged fields.
const BARE: i16 = -1;

const PRODUCE: &[Field] = &[
    always(TEXT),
    always(SHORT),
    always(INT),
    always(Kind::Many(&[
        until(12, TEXT),
        since(13, UUID),
        always(Kind::Many(&[always(INT), always(Kind::Blob)])),
    ])),
];

const FETCH: &[Field] = &[
    until(14, INT),
    always(INT),
    always(INT),
    always(INT),
    always(BYTE),
    since(7, INT),
    since(7, INT),
    always(Kind::Many(&[
        until(12, TEXT),
        since(13, UUID),
        always(Kind::Many(&[
            always(INT),
            since(9, INT),
            always(LONG),
            since(12, INT),
            since(5, LONG),
            always(INT),
        ])),
    ])),
    since(7, Kind::Many(&[until(12, TEXT), since(13, UUID), always(INTS)])),
    since(11, TEXT),
];

const LIST_OFFSETS: &[Field] = &[
    always(INT),
    since(2, BYTE),
    always(Kind::Many(&[
        always(TEXT),
        always(Kind::Many(&[always(INT), since(4, INT), always(LONG)])),
    ])),
    since(10, INT),
];

const METADATA: &[Field] = &[
    always(Kind::Many(&[since(10, UUID), always(TEXT)])),
    since(4, BYTE),
    field(BYTE, 8, 10),
    since(8, BYTE),
];

const OFFSET_COMMIT: &[Field] = &[
    always(TEXT),
    always(INT),
    always(TEXT),
    since(7, TEXT),
    until(4, LONG),
    always(Kind::Many(&[
        always(TEXT),
        always(Kind::Many(&[
            always(INT),
            always(LONG),
            since(6, INT),
            always(TEXT),
        ])),
    ])),
];

const OFFSET_FETCH: &[Field] = &[
    until(7, TEXT),
    until(7, Kind::Many(&[always(TEXT), always(INTS)])),
    since(
        8,
        Kind::Many(&[
            always(TEXT),
            since(9, TEXT),
            since(9, INT),
            always(Kind::Many(&[always(TEXT), always(INTS)])),
        ]),
    ),
    since(7, BYTE),
];

const JOIN_GROUP: &[Field] = &[
    always(TEXT),
    always(INT),
    since(1, INT),
    always(TEXT),
    since(5, TEXT),
    always(TEXT),
    always(Kind::Many(&[always(TEXT), always(Kind::Blob)])),
    since(8, TEXT),
];

const SYNC_GROUP: &[Field] = &[
    always(TEXT),
    always(INT),
    always(TEXT),
    since(3, TEXT),
    since(5, TEXT),
    since(5, TEXT),
    always(Kind::Many(&[always(TEXT), always(Kind::Blob)])),
];

const CREATE_TOPICS: &[Field] = &[
    always(Kind::Many(&[
        always(TEXT),
        always(INT),
        always(SHORT),
        always(Kind::Many(&[always(INT), always(INTS)])),
        always(Kind::Many(&[always(TEXT), always(TEXT)])),
    ])),
    always(INT),
    always(BYTE),
];

const FIND_COORDINATOR: &[Field] = &[until(3, TEXT), since(1, BYTE), since(4, TEXTS)];

const HEARTBEAT: &[Field] = &[always(TEXT), always(INT), always(TEXT), since(3, TEXT)];

const LEAVE_GROUP: &[Field] = &[
    always(TEXT),
    until(2, TEXT),
    since(3, Kind::Many(&[always(TEXT), always(TEXT), since(5, TEXT)])),
];

const DESCRIBE_GROUPS: &[Field] = &[always(TEXTS), since(3, BYTE)];

const LIST_GROUPS: &[Field] = &[since(4, TEXTS), since(5, TEXTS)];

const DELETE_GROUPS: &[Field] = &[always(TEXTS)];

const OFFSET_DELETE: &[Field] = &[
    always(TEXT),
    always(Kind::Many(&[always(TEXT), always(Kind::Many(&[always(INT)]))])),
];

const API_VERSIONS: &[Field] = &[since(3, TEXT), since(3, TEXT)];

const INIT_PRODUCER_ID: &[Field] = &[always(TEXT), always(INT), since(3, LONG), since(3, SHORT)];

const ADD_PARTITIONS_TO_TXN: &[Field] = &[
    until(3, TEXT),
    until(3, LONG),
    until(3, SHORT),
    until(3, Kind::Many(&[always(TEXT), always(INTS)])),
];

const ADD_OFFSETS_TO_TXN: &[Field] = &[always(TEXT), always(LONG), always(SHORT), always(TEXT)];

const END_TXN: &[Field] = &[always(TEXT), always(LONG), always(SHORT), always(BYTE)];

const TXN_OFFSET_COMMIT: &[Field] = &[
    always(TEXT),
    always(TEXT),
    always(LONG),
    always(SHORT),
    since(3, INT),
    since(3, TEXT),
    since(3, TEXT),
    always(Kind::Many(&[
        always(TEXT),
        always(Kind::Many(&[
            always(INT),
            always(LONG),
            since(2, INT),
            always(TEXT),
        ])),
    ])),
];

const DESCRIBE_TRANSACTIONS: &[Field] = &[always(TEXTS)];

const LIST_TRANSACTIONS: &[Field] = &[always(TEXTS), always(LONGS), since(1, LONG)];

const DELETE_TOPICS: &[Field] = &[
    since(6, Kind::Many(&[always(TEXT), always(UUID)])),
    until(5, TEXTS),
    always(INT),
];

const CREATE_PARTITIONS: &[Field] = &[
    always(Kind::Many(&[
        always(TEXT),
        always(INT),
        always(Kind::Many(&[always(INTS)])),
    ])),
    always(INT),
    always(BYTE),
];

const DELETE_RECORDS: &[Field] = &[
    always(Kind::Many(&[
        always(TEXT),
        always(Kind::Many(&[always(INT), always(LONG)])),
    ])),
    always(INT),
];

const OFFSET_FOR_LEADER_EPOCH: &[Field] = &[
    since(3, INT),
    always(Kind::Many(&[
        always(TEXT),
        always(Kind::Many(&[always(INT), always(INT), always(INT)])),
    ])),
];

const DESCRIBE_CONFIGS: &[Field] = &[
    always(Kind::Many(&[always(BYTE), always(TEXT), always(TEXTS)])),
    since(1, BYTE),
    since(3, BYTE),
];

const ALTER_CONFIGS: &[Field] = &[
    always(Kind::Many(&[
        always(BYTE),
        always(TEXT),
        always(Kind::Many(&[always(TEXT), always(TEXT)])),
    ])),
    always(BYTE),
];

const INCREMENTAL_ALTER_CONFIGS: &[Field] = &[
    always(Kind::Many(&[
        always(BYTE),
        always(TEXT),
        always(Kind::Many(&[always(TEXT), always(BYTE), always(TEXT)])),
    ])),
    always(BYTE),
];

const DESCRIBE_LOG_DIRS: &[Field] = &[always(Kind::Many(&[always(TEXT), always(INTS)]))];

const DESCRIBE_CLUSTER: &[Field] = &[always(BYTE), since(1, BYTE), since(2, BYTE)];

const DESCRIBE_TOPIC_PARTITIONS: &[Field] = &[
    always(Kind::Many(&[always(TEXT)])),
    always(INT),
    always(Kind::Maybe(&[always(TEXT), always(INT)])),
];

fn fields_of(api: ApiKey) -> Option<&'static [Field]> {
    Some(match api {
        ApiKey::Produce => PRODUCE,
        ApiKey::Fetch => FETCH,
        ApiKey::ListOffsets => LIST_OFFSETS,
        ApiKey::Metadata => METADATA,
        ApiKey::OffsetCommit => OFFSET_COMMIT,
        ApiKey::OffsetFetch => OFFSET_FETCH,
        ApiKey::FindCoordinator => FIND_COORDINATOR,
        ApiKey::JoinGroup => JOIN_GROUP,
        ApiKey::SyncGroup => SYNC_GROUP,
        ApiKey::Heartbeat => HEARTBEAT,
        ApiKey::LeaveGroup => LEAVE_GROUP,
        ApiKey::DescribeGroups => DESCRIBE_GROUPS,
        ApiKey::ListGroups => LIST_GROUPS,
        ApiKey::DeleteGroups => DELETE_GROUPS,
        ApiKey::OffsetDelete => OFFSET_DELETE,
        ApiKey::ApiVersions => API_VERSIONS,
        ApiKey::InitProducerId => INIT_PRODUCER_ID,
        ApiKey::AddPartitionsToTxn => ADD_PARTITIONS_TO_TXN,
        ApiKey::AddOffsetsToTxn => ADD_OFFSETS_TO_TXN,
        ApiKey::EndTxn => END_TXN,
        ApiKey::TxnOffsetCommit => TXN_OFFSET_COMMIT,
        ApiKey::DescribeTransactions => DESCRIBE_TRANSACTIONS,
        ApiKey::ListTransactions => LIST_TRANSACTIONS,
        ApiKey::CreateTopics => CREATE_TOPICS,
        ApiKey::DeleteTopics => DELETE_TOPICS,
        ApiKey::CreatePartitions => CREATE_PARTITIONS,
        ApiKey::DeleteRecords => DELETE_RECORDS,
        ApiKey::OffsetForLeaderEpoch => OFFSET_FOR_LEADER_EPOCH,
        ApiKey::DescribeConfigs => DESCRIBE_CONFIGS,
        ApiKey::AlterConfigs => ALTER_CONFIGS,
        ApiKey::IncrementalAlterConfigs => INCREMENTAL_ALTER_CONFIGS,
        ApiKey::DescribeLogDirs => DESCRIBE_LOG_DIRS,
        ApiKey::DescribeCluster => DESCRIBE_CLUSTER,
        ApiKey::DescribeTopicPartitions => DESCRIBE_TOPIC_PARTITIONS,
        _ => return None,
    })
}

/// Whether `body` has the shape of that request.
pub fn check(api: ApiKey, version: i16, is_flexible: bool, body: &[u8]) -> bool {
    fields_of(api).is_some_and(|fields| {
        Walk {
            rest: body,
            version,
            is_flexible,
        }
        .structure(fields)
        .is_some()
    })
}

/// Walks over tagged fields; returns how many bytes are left.
pub fn skip_tagged_fields(bytes: &[u8]) -> Option<usize> {
    let mut walk = Walk {
        rest: bytes,
        version: 0,
        is_flexible: true,
    };
    walk.tagged_fields()?;
    Some(walk.rest.len())
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    is_flexible: bool,
}

impl Walk<'_> {
    fn structure(&mut self, fields: &'static [Field]) -> Option<()> {
        let version = self.version;
        for field in fields.iter().filter(|f| f.since <= version && version <= f.until) {
            self.value(field.kind)?;
        }
        let is_bare = fields.len() == 1 && fields[0].since == BARE;
        if self.is_flexible && !is_bare {
            self.tagged_fields()
        } else {
            Some(())
        }
    }

    fn value(&mut self, kind: Kind) -> Option<()> {
        match kind {
            Kind::Fixed(bytes) => self.skip(bytes),
            Kind::Text => {
                let length = if self.is_flexible {
                    self.compact_length()?
                } else {
                    i64::from(self.short()?)
                };
                self.skip(usize::try_from(length).unwrap_or(0))
            }
            Kind::Blob => {
                let length = if self.is_flexible {
                    self.compact_length()?
                } else {
                    i64::from(self.int()?)
                };
                self.skip(usize::try_from(length).unwrap_or(0))
            }
            Kind::Many(fields) => {
                let count = if self.is_flexible {
                    self.compact_length()?
                } else {
                    i64::from(self.int()?)
                };
                for _ in 0..count {
                    self.structure(fields)?;
                }
                Some(())
            }
            Kind::Maybe(fields) => {
                let (present, rest) = self.rest.split_first()?;
                self.rest = rest;
                if *present == 1 {
                    self.structure(fields)
                } else {
                    Some(())
                }
            }
        }
    }

    fn tagged_fields(&mut self) -> Option<()> {
        for _ in 0..self.unsigned_varint()? {
            self.unsigned_varint()?;
            let bytes = self.unsigned_varint()?;
            self.skip(usize::try_from(bytes).ok()?)?;
        }
        Some(())
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }

    fn short(&mut self) -> Option<i16> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(i16::from_be_bytes(*bytes))
    }

    fn int(&mut self) -> Option<i32> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(i32::from_be_bytes(*bytes))
    }

    /// A compact length is sent plus one; zero stands for null.
    fn compact_length(&mut self) -> Option<i64> {
        Some(i64::from(self.unsigned_varint()?) - 1)
    }

    fn unsigned_varint(&mut self) -> Option<u32> {
        let mut value = 0u32;
        for index in 0..5 {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u32::from(byte & 0x7f).checked_shl(7 * index)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

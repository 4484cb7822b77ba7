//! What comes in: a message of a raw topic, whose it is and what it is written in.

use contracts::ids::LocationId;
use contracts::topics;
use contracts::wire::{
    FORMAT_4690, FORMAT_COPYBOOK_037, FORMAT_EPCIS, FORMAT_SOURCE_MARK, copybook, queue_message,
};

/// A `Place` record; it comes from nobody's wire.
const FORMAT_PLACE: &str = "place";

/// Where a raw message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RawTopic {
    Till,
    Queue,
    Scan,
    /// Master data of places.
    Place,
}

impl RawTopic {
    pub const COUNT: usize = 4;
    pub const ALL: [Self; Self::COUNT] = [Self::Till, Self::Queue, Self::Scan, Self::Place];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Till => topics::TLOG_RAW,
            Self::Queue => topics::MQ_RAW,
            Self::Scan => topics::SCAN_RAW,
            Self::Place => topics::PLACES,
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// What stands in this topic where no header says otherwise.
    const fn format(self) -> &'static str {
        match self {
            Self::Till => FORMAT_4690,
            Self::Queue => FORMAT_COPYBOOK_037,
            Self::Scan => FORMAT_EPCIS,
            Self::Place => FORMAT_PLACE,
        }
    }
}

/// A message of a `*.raw` topic.
#[derive(Clone, Copy, Debug)]
pub struct RawMessage<'a> {
    pub topic: RawTopic,
    pub key: &'a [u8],
    pub payload: &'a [u8],
    /// Header `format`.
    pub format: Option<&'a [u8]>,
    /// What the queue said of its group beside the record.
    pub group: Option<Group<'a>>,
}

/// Where a message stands among those of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    pub id: &'a [u8],
    pub place: GroupPlace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupPlace {
    /// From 1.
    pub sequence: u32,
    pub is_last: bool,
}

impl RawMessage<'_> {
    pub(crate) fn format(&self) -> &[u8] {
        self.format.unwrap_or(self.topic.format().as_bytes())
    }

    /// It says something of sources and is no transaction, whether it can be read or not.
    pub fn is_statement(&self) -> bool {
        let format = self.format();
        self.topic == RawTopic::Place
            || format == FORMAT_SOURCE_MARK.as_bytes()
            || (format == FORMAT_COPYBOOK_037.as_bytes()
                && copybook::is_status(queue_message::record(self.payload)))
    }

    /// Whose it is, by its key.
    pub fn location(&self) -> Option<LocationId> {
        std::str::from_utf8(self.key).ok()?.parse().ok()
    }
}

/// Where a message stands in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub partition: u32,
    pub offset: u64,
}

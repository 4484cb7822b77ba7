//! How the mainframes of warehouses write to their queues.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::time::{SimOffset, TextVisitor};

/// How warehouses write to their queues. What is left out is Acme's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueueSpec {
    /// Code pages of the mainframes: the first warehouse has the first, the next one the next, round and round.
    #[schemars(length(min = 1))]
    pub ccsids: Vec<CodePage>,
    /// Where the message descriptor (MQMD) travels.
    pub descriptor: DescriptorPlace,
    /// Between two hand-overs of the queue managers of a data centre, in which both send the same for a minute; `0s`: never.
    pub handover_every: SimOffset,
}

impl Default for QueueSpec {
    fn default() -> Self {
        Self {
            ccsids: CodePage::ALL.map(CodePage).to_vec(),
            descriptor: DescriptorPlace::EveryOther,
            handover_every: SimOffset::from_ms(4 * 3_600_000),
        }
    }
}

/// Where a message descriptor travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DescriptorPlace {
    /// As properties of the AMQP message.
    Properties,
    /// As properties, and as 364 bytes in front of each record.
    InFront,
    /// Every other warehouse, the second first, has it in front.
    EveryOther,
}

/// EBCDIC by IBM's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodePage(pub u16);

impl CodePage {
    pub const ALL: [u16; 4] = [37, 500, 1047, 1140];
}

impl fmt::Display for CodePage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

fn code_page(text: &str) -> Result<CodePage, String> {
    let number = text.parse().ok().filter(|number| CodePage::ALL.contains(number));
    number.map(CodePage).ok_or_else(|| {
        format!("`{text}` is no code page that a warehouse writes: write 37, 500, 1047 or 1140")
    })
}

impl<'de> Deserialize<'de> for CodePage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor("a code page such as `37`", code_page))
    }
}

impl JsonSchema for CodePage {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CodePage".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A coded character set of EBCDIC by IBM's number (CCSID).", "enum": CodePage::ALL
        })
    }
}

//! What travels beside the bytes of a message: AMQP's own properties, and those of the application.
//!
//! Knows no meaning of them: who sends says what they are, and who receives gets them as names and text.

use std::fmt::Write as _;

use fe2o3_amqp_types::messaging::{ApplicationProperties, Header, MessageId, Properties};
use fe2o3_amqp_types::primitives::{Binary, SimpleValue, Timestamp};

/// Of a received message; what is beyond is left out.
const PROPERTIES_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 128;
const VALUE_BYTES_MAX: usize = 512;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyValue {
    Text(String),
    Number(i32),
    Flag(bool),
}

/// Beside the body. Empty or `None`: not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageProperties {
    pub message_id: Vec<u8>,
    pub correlation_id: Vec<u8>,
    pub user: String,
    /// The group, and the message's place in it.
    pub group: Option<(String, u32)>,
    pub priority: Option<u8>,
    pub application: Vec<(&'static str, PropertyValue)>,
}

impl MessageProperties {
    pub(super) fn header(&self) -> Header {
        let header = Header {
            durable: true,
            ..Header::default()
        };
        match self.priority {
            Some(priority) => Header {
                priority: priority.into(),
                ..header
            },
            None => header,
        }
    }

    pub(super) fn properties(&self, due_ms: i64) -> Properties {
        let id = |bytes: &[u8]| (!bytes.is_empty()).then(|| MessageId::Binary(Binary::from(bytes.to_vec())));
        let user = self.user.as_bytes();
        Properties {
            message_id: id(&self.message_id),
            correlation_id: id(&self.correlation_id),
            user_id: (!user.is_empty()).then(|| Binary::from(user.to_vec())),
            group_id: self.group.as_ref().map(|(group, _)| group.clone()),
            group_sequence: self.group.as_ref().map(|(_, sequence)| *sequence),
            creation_time: (due_ms > 0).then(|| Timestamp::from_milliseconds(due_ms)),
            ..Properties::default()
        }
    }

    pub(super) fn application(&self) -> Option<ApplicationProperties> {
        if self.application.is_empty() {
            return None;
        }
        let mut builder = ApplicationProperties::builder();
        for (name, value) in &self.application {
            builder = builder.insert(
                *name,
                match value {
                    PropertyValue::Text(text) => SimpleValue::String(text.clone()),
                    PropertyValue::Number(number) => SimpleValue::Int(*number),
                    PropertyValue::Flag(flag) => SimpleValue::Bool(*flag),
                },
            );
        }
        Some(builder.build())
    }
}

/// A received message's, as names and text: `amqp-message-id` (bytes in hexadecimal), `amqp-group-sequence` …, those of the
/// application as `amqp-app-NAME`. In a fixed order, then in theirs.
pub(super) fn headers_of(
    header: Option<&Header>,
    properties: Option<&Properties>,
    application: Option<&ApplicationProperties>,
) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| value.len() <= VALUE_BYTES_MAX)
            && name.len() <= NAME_BYTES_MAX
            && out.len() < PROPERTIES_MAX
        {
            out.push((name.to_owned(), value.into_bytes()));
        }
    };
    if let Some(header) = header {
        add("amqp-durable", Some(header.durable.to_string()));
        add("amqp-priority", Some(header.priority.0.to_string()));
        add("amqp-delivery-count", Some(header.delivery_count.to_string()));
    }
    if let Some(properties) = properties {
        add("amqp-message-id", properties.message_id.as_ref().map(id_text));
        add(
            "amqp-correlation-id",
            properties.correlation_id.as_ref().map(id_text),
        );
        let user = properties.user_id.as_ref();
        add(
            "amqp-user-id",
            user.map(|user| String::from_utf8_lossy(user).into_owned()),
        );
        add("amqp-group-id", properties.group_id.clone());
        add(
            "amqp-group-sequence",
            properties.group_sequence.map(|sequence| sequence.to_string()),
        );
    }
    for (name, value) in application.iter().flat_map(|application| application.0.iter()) {
        add(&format!("amqp-app-{name}"), value_text(value));
    }
    out
}

fn id_text(id: &MessageId) -> String {
    match id {
        MessageId::Ulong(number) => number.to_string(),
        MessageId::Uuid(uuid) => hex(uuid.as_inner()),
        MessageId::Binary(bytes) => hex(bytes),
        MessageId::String(text) => text.clone(),
    }
}

/// `None` for what has no short text.
fn value_text(value: &SimpleValue) -> Option<String> {
    Some(match value {
        SimpleValue::Bool(flag) => flag.to_string(),
        SimpleValue::Ubyte(number) => number.to_string(),
        SimpleValue::Ushort(number) => number.to_string(),
        SimpleValue::Uint(number) => number.to_string(),
        SimpleValue::Ulong(number) => number.to_string(),
        SimpleValue::Byte(number) => number.to_string(),
        SimpleValue::Short(number) => number.to_string(),
        SimpleValue::Int(number) => number.to_string(),
        SimpleValue::Long(number) => number.to_string(),
        SimpleValue::Timestamp(at) => at.milliseconds().to_string(),
        SimpleValue::Binary(bytes) => hex(bytes),
        SimpleValue::String(text) => text.clone(),
        SimpleValue::Symbol(symbol) => symbol.as_str().to_owned(),
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

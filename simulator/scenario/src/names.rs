//! Names that a scenario uses for stores, articles and services.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::time::TextVisitor;

/// A store by its number: `S0042`, or `Store_42` as the reference kit displays it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreNumber(pub u16);

/// An article by its number: `Item_1` is the first of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemNumber(pub u16);

/// A service that a step can stop and start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceName {
    StoreGateway,
    MqSource,
    Normaliser,
    Inventory,
    Reconciler,
    // Where the scenario projects items.
    ItemProjector,
}

impl ServiceName {
    pub const ALL: [Self; 6] = [
        Self::StoreGateway,
        Self::MqSource,
        Self::Normaliser,
        Self::Inventory,
        Self::Reconciler,
        Self::ItemProjector,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StoreGateway => "store-gateway",
            Self::MqSource => "mq-source",
            Self::Normaliser => "normaliser",
            Self::Inventory => "inventory",
            Self::Reconciler => "reconciler",
            Self::ItemProjector => "item-projector",
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for StoreNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S{:04}", self.0)
    }
}

impl fmt::Display for ItemNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Item_{}", self.0)
    }
}

fn number(digits: &str) -> Option<u16> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain
        .then(|| digits.parse().ok())
        .flatten()
        .filter(|number| *number > 0)
}

fn store(text: &str) -> Result<StoreNumber, String> {
    let code = text.strip_prefix('S').filter(|digits| digits.len() == 4);
    code.or_else(|| text.strip_prefix("Store_"))
        .and_then(number)
        .map(StoreNumber)
        .ok_or_else(|| {
            format!("`{text}` is no store: write `S` and four digits, such as `S0042`, or `Store_42`")
        })
}

fn item(text: &str) -> Result<ItemNumber, String> {
    text.strip_prefix("Item_")
        .and_then(number)
        .map(ItemNumber)
        .ok_or_else(|| format!("`{text}` is no item: write `Item_` and its number, such as `Item_1`"))
}

impl<'de> Deserialize<'de> for StoreNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor("a store such as `S0042`", store))
    }
}

impl<'de> Deserialize<'de> for ItemNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor("an item such as `Item_1`", item))
    }
}

impl JsonSchema for StoreNumber {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Store".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A store: `S0042`, or `Store_42`.", "type": "string",
            "pattern": "^(S[0-9]{4}|Store_[0-9]+)$"
        })
    }
}

impl JsonSchema for ItemNumber {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Item".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An article by its place in the catalogue: `Item_1` is the first.", "type": "string",
            "pattern": "^Item_[0-9]+$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_has_two_spellings_and_one_number() {
        assert_eq!(store("S0042"), Ok(StoreNumber(42)));
        assert_eq!(store("Store_42"), Ok(StoreNumber(42)));
        for text in [
            "S42",
            "S00042",
            "S0000",
            "Store_0",
            "Store_",
            "s0042",
            "W0042",
            "S+042",
            "Store_70000",
        ] {
            assert!(store(text).is_err(), "{text}");
        }
        assert_eq!(item("Item_3"), Ok(ItemNumber(3)));
        assert!(item("Item_").is_err());
    }
}

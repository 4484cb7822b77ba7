//! What a step breaks and mends: a fault by its name, or with what is to be said about it.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::fault::{FAULT_NAMES, FAULTS, Fault, Parameter};
use crate::names::ServiceName;
use crate::step::Selector;
use crate::time::WallTime;

/// A fault that is to begin. What is not said has a sane default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    pub fault: Fault,
    /// One message or request in so many.
    pub one_in: Option<u32>,
    /// Which stores.
    pub stores: Option<Selector>,
    /// Which service.
    pub service: Option<ServiceName>,
    /// Which Kafka node, from 1.
    pub node: Option<u8>,
    /// Which data centre, from 1.
    pub data_centre: Option<u8>,
    /// How late, on the presenter's watch.
    pub delay: Option<WallTime>,
    /// Time between two times that it happens, on the presenter's watch.
    pub every: Option<WallTime>,
}

impl From<Fault> for Break {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            one_in: None,
            stores: None,
            service: None,
            node: None,
            data_centre: None,
            delay: None,
            every: None,
        }
    }
}

impl Break {
    /// What is said about it.
    pub(crate) fn given(&self) -> impl Iterator<Item = Parameter> {
        [
            (self.one_in.is_some(), Parameter::OneIn),
            (self.stores.is_some(), Parameter::Stores),
            (self.service.is_some(), Parameter::Service),
            (self.node.is_some(), Parameter::Node),
            (self.data_centre.is_some(), Parameter::DataCentre),
            (self.delay.is_some(), Parameter::Delay),
            (self.every.is_some(), Parameter::Every),
        ]
        .into_iter()
        .filter_map(|(is_given, parameter)| is_given.then_some(parameter))
    }
}

/// A fault with what is to be said about it. Which keys a fault takes, `stockstream faults` lists.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BreakWith {
    fault: Fault,
    /// One message or request in so many.
    #[serde(default)]
    #[schemars(range(min = 1))]
    one_in: Option<u32>,
    /// Which stores.
    #[serde(default)]
    stores: Option<Selector>,
    /// Which service: normaliser, inventory, reconciler or item-projector.
    #[serde(default)]
    service: Option<ServiceName>,
    /// Which Kafka node, from 1.
    #[serde(default)]
    #[schemars(range(min = 1))]
    node: Option<u8>,
    /// Which data centre, from 1.
    #[serde(default)]
    #[schemars(range(min = 1))]
    data_centre: Option<u8>,
    /// How late, on the presenter's watch.
    #[serde(default)]
    delay: Option<WallTime>,
    /// Time between two times that it happens, on the presenter's watch.
    #[serde(default)]
    every: Option<WallTime>,
}

struct BreakVisitor;

impl<'de> de::Visitor<'de> for BreakVisitor {
    type Value = Break;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a fault, or `{fault: NAME, …}`")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Break, E> {
        Fault::from_name(name)
            .map(Break::from)
            .ok_or_else(|| E::unknown_variant(name, &FAULT_NAMES))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Break, A::Error> {
        let with = BreakWith::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(Break {
            fault: with.fault,
            one_in: with.one_in,
            stores: with.stores,
            service: with.service,
            node: with.node,
            data_centre: with.data_centre,
            delay: with.delay,
            every: with.every,
        })
    }
}

impl<'de> Deserialize<'de> for Break {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BreakVisitor)
    }
}

impl JsonSchema for Break {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Break".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<Fault>();
        let with = generator.subschema_for::<BreakWith>();
        json_schema!({"description": "A fault by its name, or with what is to be said about it.", "anyOf": [name, with]})
    }
}

/// What is to be mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mend {
    All,
    One(Fault),
}

const ALL: &str = "all";

static MEND_NAMES: [&str; FAULTS.len() + 1] = {
    let mut names = [ALL; FAULTS.len() + 1];
    let mut index = 0;
    while index < FAULTS.len() {
        names[index] = FAULTS[index].name;
        index += 1;
    }
    names
};

struct MendVisitor;

impl de::Visitor<'_> for MendVisitor {
    type Value = Mend;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a fault, or `all`")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Mend, E> {
        if name == ALL {
            return Ok(Mend::All);
        }
        Fault::from_name(name)
            .map(Mend::One)
            .ok_or_else(|| E::unknown_variant(name, &MEND_NAMES))
    }
}

impl<'de> Deserialize<'de> for Mend {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(MendVisitor)
    }
}

impl JsonSchema for Mend {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Mend".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<Fault>();
        json_schema!({"description": "A fault by its name, or all that is broken.", "anyOf": [{"const": ALL}, name]})
    }
}

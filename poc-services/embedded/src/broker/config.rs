//! Settings of a topic: the names and defaults that Apache Kafka 4 knows, checked, and those parsed that this
//! broker acts on.
//!
//! Invariant: a stored setting has passed its check, so reading it back cannot fail.
//! Most names are accepted, kept and shown without effect (segments, flushes, indexes: there are no files).

use std::collections::BTreeMap;

/// How a value is checked and what a client is told about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    /// Smallest permitted value.
    Int(i32),
    Long(i64),
    /// Between 0 and 1.
    Ratio,
    OneOf(&'static [&'static str]),
    ListOf(&'static [&'static str]),
    Text,
}

/// One known setting.
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    pub default: &'static str,
    kind: Kind,
}

impl Setting {
    /// The type number of DescribeConfigs.
    pub fn wire_type(&self) -> i8 {
        match self.kind {
            Kind::Boolean => 1,
            Kind::OneOf(_) | Kind::Text => 2,
            Kind::Int(_) => 3,
            Kind::Long(_) => 5,
            Kind::Ratio => 6,
            Kind::ListOf(_) => 7,
        }
    }

    pub fn is_list(&self) -> bool {
        matches!(self.kind, Kind::ListOf(_)) || self.name.ends_with("throttled.replicas")
    }

    fn check(&self, value: &str) -> Result<(), String> {
        let text = value.trim();
        let fits = match self.kind {
            Kind::Boolean => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
            Kind::Int(least) => text.parse::<i32>().is_ok_and(|v| v >= least),
            Kind::Long(least) => text.parse::<i64>().is_ok_and(|v| v >= least),
            Kind::Ratio => text.parse::<f64>().is_ok_and(|v| (0.0..=1.0).contains(&v)),
            Kind::OneOf(allowed) => allowed.contains(&text),
            Kind::ListOf(allowed) => text.split(',').all(|part| allowed.contains(&part.trim())),
            Kind::Text => true,
        };
        if fits {
            Ok(())
        } else {
            Err(format!("Invalid value {value} for configuration {}", self.name))
        }
    }
}

const fn setting(name: &'static str, default: &'static str, kind: Kind) -> Setting {
    Setting { name, default, kind }
}

/// All settings, in the order of their names.
pub static SETTINGS: [Setting; 33] = [
    setting("cleanup.policy", "delete", Kind::ListOf(&["delete", "compact"])),
    setting("compression.gzip.level", "-1", Kind::Int(-1)),
    setting("compression.lz4.level", "9", Kind::Int(1)),
    setting(
        "compression.type",
        "producer",
        Kind::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
    ),
    setting("compression.zstd.level", "3", Kind::Int(-131_072)),
    setting("delete.retention.ms", "86400000", Kind::Long(0)),
    setting("file.delete.delay.ms", "60000", Kind::Long(0)),
    setting("flush.messages", "9223372036854775807", Kind::Long(1)),
    setting("flush.ms", "9223372036854775807", Kind::Long(0)),
    setting("follower.replication.throttled.replicas", "", Kind::Text),
    setting("index.interval.bytes", "4096", Kind::Int(0)),
    setting("leader.replication.throttled.replicas", "", Kind::Text),
    setting("local.retention.bytes", "-2", Kind::Long(-2)),
    setting("local.retention.ms", "-2", Kind::Long(-2)),
    setting("max.compaction.lag.ms", "9223372036854775807", Kind::Long(1)),
    setting("max.message.bytes", "1048588", Kind::Int(0)),
    setting("message.timestamp.after.max.ms", "3600000", Kind::Long(0)),
    setting(
        "message.timestamp.before.max.ms",
        "9223372036854775807",
        Kind::Long(0),
    ),
    setting(
        "message.timestamp.type",
        "CreateTime",
        Kind::OneOf(&["CreateTime", "LogAppendTime"]),
    ),
    setting("min.cleanable.dirty.ratio", "0.5", Kind::Ratio),
    setting("min.compaction.lag.ms", "0", Kind::Long(0)),
    setting("min.insync.replicas", "1", Kind::Int(1)),
    setting("preallocate", "false", Kind::Boolean),
    setting("remote.log.copy.disable", "false", Kind::Boolean),
    setting("remote.log.delete.on.disable", "false", Kind::Boolean),
    setting("remote.storage.enable", "false", Kind::Boolean),
    setting("retention.bytes", "-1", Kind::Long(-1)),
    setting("retention.ms", "604800000", Kind::Long(-1)),
    setting("segment.bytes", "1073741824", Kind::Int(1)),
    setting("segment.index.bytes", "10485760", Kind::Int(4)),
    setting("segment.jitter.ms", "0", Kind::Long(0)),
    setting("segment.ms", "604800000", Kind::Long(1)),
    setting("unclean.leader.election.enable", "false", Kind::Boolean),
];

fn known(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// One change to a topic's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    Set(&'a str),
    /// Back to the default.
    Delete,
    /// Adds the values to a list.
    Append(&'a str),
    /// Takes the values out of a list.
    Subtract(&'a str),
}

/// The settings of one topic.
#[derive(Debug, Clone)]
pub struct TopicConfig {
    overrides: BTreeMap<&'static str, String>,
    pub is_compacted: bool,
    pub is_deleted: bool,
    /// `None`: for ever.
    pub retention_ms: Option<i64>,
    /// `None`: without limit.
    pub retention_bytes: Option<usize>,
    pub delete_retention_ms: i64,
    /// Younger records are left alone by compaction...
    pub min_compaction_lag_ms: i64,
    /// ...and those that wait for it so long are compacted however few they are.
    pub max_compaction_lag_ms: i64,
    pub max_message_bytes: usize,
    pub uses_append_time: bool,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self::parsed(BTreeMap::new())
    }
}

impl TopicConfig {
    /// The settings with `changes` applied in order. The error is a message for the client.
    pub fn with<'a>(&self, changes: impl IntoIterator<Item = (&'a str, Change<'a>)>) -> Result<Self, String> {
        let mut overrides = self.overrides.clone();
        for (name, change) in changes {
            let setting = known(name).ok_or_else(|| format!("Unknown topic config name: {name}"))?;
            let current = || {
                overrides
                    .get(setting.name)
                    .map_or(setting.default, String::as_str)
            };
            let value = match change {
                Change::Set(value) => Some(value.to_owned()),
                Change::Delete => None,
                Change::Append(_) | Change::Subtract(_) if !setting.is_list() => {
                    return Err(format!("Can't append or subtract: {name} is not a list"));
                }
                Change::Append(value) => {
                    let mut parts: Vec<&str> = list(current()).collect();
                    for part in list(value) {
                        if !parts.contains(&part) {
                            parts.push(part);
                        }
                    }
                    Some(parts.join(","))
                }
                Change::Subtract(value) => {
                    let gone: Vec<&str> = list(value).collect();
                    Some(
                        list(current())
                            .filter(|part| !gone.contains(part))
                            .collect::<Vec<_>>()
                            .join(","),
                    )
                }
            };
            match value {
                Some(value) => {
                    setting.check(&value)?;
                    overrides.insert(setting.name, value);
                }
                None => {
                    overrides.remove(setting.name);
                }
            }
        }
        Ok(Self::parsed(overrides))
    }

    fn parsed(overrides: BTreeMap<&'static str, String>) -> Self {
        let text = |name: &str| -> String {
            overrides
                .get(name)
                .cloned()
                .unwrap_or_else(|| known(name).map_or_else(String::new, |setting| setting.default.to_owned()))
        };
        let number = |name: &str| -> i64 { text(name).trim().parse().expect("checked when it was set") };
        let policy = text("cleanup.policy");
        Self {
            is_compacted: list(&policy).any(|part| part == "compact"),
            is_deleted: list(&policy).any(|part| part == "delete"),
            retention_ms: Some(number("retention.ms")).filter(|ms| *ms >= 0),
            retention_bytes: usize::try_from(number("retention.bytes")).ok(),
            delete_retention_ms: number("delete.retention.ms"),
            min_compaction_lag_ms: number("min.compaction.lag.ms"),
            max_compaction_lag_ms: number("max.compaction.lag.ms"),
            max_message_bytes: number("max.message.bytes") as usize,
            uses_append_time: text("message.timestamp.type") == "LogAppendTime",
            overrides,
        }
    }

    /// The value that holds and whether the topic sets it itself.
    pub fn value(&self, setting: &'static Setting) -> (&str, bool) {
        self.overrides
            .get(setting.name)
            .map_or((setting.default, false), |value| (value.as_str(), true))
    }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_name_and_bad_value_are_refused_with_their_name() {
        let config = TopicConfig::default();
        let refused = |name, value| config.with([(name, Change::Set(value))]).unwrap_err();
        assert!(refused("retention.m", "1").contains("retention.m"));
        assert!(refused("retention.ms", "soon").contains("retention.ms"));
        assert!(refused("cleanup.policy", "burn").contains("cleanup.policy"));
    }

    #[test]
    fn policies_can_be_combined_and_taken_apart() {
        let both = TopicConfig::default()
            .with([("cleanup.policy", Change::Append("compact"))])
            .unwrap();
        assert!(both.is_compacted && both.is_deleted);
        let one = both
            .with([("cleanup.policy", Change::Subtract("delete"))])
            .unwrap();
        assert!(one.is_compacted && !one.is_deleted);
        assert!(one.with([("cleanup.policy", Change::Delete)]).unwrap().is_deleted);
    }

    #[test]
    fn names_are_sorted_and_defaults_pass_their_own_check() {
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
        for setting in &SETTINGS {
            setting.check(setting.default).unwrap();
        }
    }
}

//! Where in the text a value stands, for rules that are checked after the types are read.
//!
//! Read again only when there is an error to show, so that the public types carry no positions.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_saphyr::Spanned;

/// A part of the way from the top of the document to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Key(&'static str),
    Index(usize),
}

/// A line and a column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    pub(crate) const TOP: Self = Self { line: 1, column: 1 };

    pub(crate) fn of(location: serde_saphyr::Location) -> Self {
        if location.line() == 0 {
            return Self::TOP;
        }
        Self {
            line: location.line() as usize,
            column: location.column() as usize,
        }
    }
}

/// The position of the value at `path`, or of the nearest value above it that is written in the text.
pub(crate) fn locate(yaml: &str, path: &[Part]) -> Position {
    let Some(top) = Tree::read(yaml) else {
        return Position::TOP;
    };
    let mut found = &top;
    for part in path {
        let inner = match part {
            Part::Key(key) => found.key(key),
            Part::Index(index) => found.items().get(*index),
        };
        match inner {
            Some(inner) => found = inner,
            None => break,
        }
    }
    found.position()
}

/// Any YAML, as far as errors need it.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Tree(Spanned<Node>);

enum Node {
    Text(String),
    Other,
    Sequence(Vec<Tree>),
    Mapping(Vec<(String, Tree)>),
}

impl Tree {
    /// `None` for what is no YAML.
    pub(crate) fn read(yaml: &str) -> Option<Self> {
        serde_saphyr::from_str(yaml).ok()
    }

    pub(crate) fn position(&self) -> Position {
        Position::of(self.0.referenced)
    }

    pub(crate) fn key(&self, key: &str) -> Option<&Self> {
        match &self.0.value {
            Node::Mapping(entries) => entries
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match &self.0.value {
            Node::Sequence(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.0.value {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> de::Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Node::Sequence(all))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            all.push(entry);
        }
        Ok(Node::Mapping(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str =
        "load: {speed: 1.5}\nsteps:\n  - at: 0s\n    expect: {dead_letters: 0}\n  - at: 5s\nopening: yes\n";

    #[test]
    fn a_value_is_found_by_its_path() {
        let at = |path: &[Part]| {
            let position = locate(YAML, path);
            (position.line, position.column)
        };
        assert_eq!(at(&[Part::Key("load"), Part::Key("speed")]), (1, 15));
        assert_eq!(at(&[Part::Key("steps"), Part::Index(1), Part::Key("at")]), (5, 9));
        assert_eq!(
            at(&[
                Part::Key("steps"),
                Part::Index(0),
                Part::Key("expect"),
                Part::Key("dead_letters")
            ]),
            (4, 28)
        );
        assert_eq!(
            at(&[Part::Key("steps"), Part::Index(0), Part::Key("say")]),
            (3, 5)
        );
        assert_eq!(at(&[Part::Key("world"), Part::Key("stores")]), (1, 1));
    }

    #[test]
    fn text_that_is_no_yaml_has_its_top() {
        assert_eq!(locate("a: [", &[Part::Key("a")]), Position::TOP);
    }
}

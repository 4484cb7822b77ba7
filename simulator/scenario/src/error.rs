//! What is wrong with a scenario file, where, and what to write instead.

use std::fmt;

use serde_saphyr::Error as YamlError;

use crate::check::Problem;
use crate::locate::{Position, Tree, locate};
use crate::schema::keys_below;

/// Says file, line, column, shows the line, and tells what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ScenarioError {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub message: String,
    /// What to write instead; may be empty.
    pub help: String,
    /// The line of the file.
    pub snippet: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            message,
            help,
            snippet,
        } = self;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        write!(f, "{file}:{line}:{column}: {message}")?;
        if !snippet.trim().is_empty() {
            let indent = " ".repeat(column - 1);
            write!(f, "\n {margin} |\n {number} | {snippet}\n {margin} | {indent}^")?;
        }
        if help.is_empty() {
            Ok(())
        } else {
            write!(f, "\n {margin} = {help}")
        }
    }
}

/// A rule that a well-formed file breaks.
pub(crate) fn from_rule(file: &str, yaml: &str, problem: Problem) -> ScenarioError {
    let position = locate(yaml, &problem.path);
    build(file, yaml, position, problem.message, problem.help)
}

/// A file that is no YAML, or not of the scenario's types.
pub(crate) fn from_yaml(file: &str, yaml: &str, error: &YamlError) -> ScenarioError {
    if let Some((position, word)) = word_without_value(yaml) {
        let message = format!("`{word}` needs a value");
        return build(file, yaml, position, message, format!("write `{{{word}: …}}`"));
    }
    let (message, help) = explain(error);
    let position = error.location().map_or(Position::TOP, Position::of);
    build(file, yaml, position, message, help)
}

/// A choice that takes a value and stands alone, as in `load: speed`. YAML's types find that only behind it.
fn word_without_value(yaml: &str) -> Option<(Position, String)> {
    let top = Tree::read(yaml)?;
    let steps = top.key("steps").map_or(&[][..], Tree::items);
    let actions = || steps.iter().filter_map(|step| step.key("do"));
    let selectors = actions().flat_map(|action| {
        ["stores_offline", "stores_online"]
            .into_iter()
            .filter_map(|which| action.key(which))
            .chain(action.key("break").and_then(|broken| broken.key("stores")))
    });
    let stops_and_loads = ["load", "stop"].into_iter().filter_map(|key| top.key(key));
    let takes_value = [
        "speed",
        "rate",
        "duration",
        "transactions",
        "stores_offline",
        "stores_online",
        "stop_service",
        "start_service",
        "break",
        "mend",
        "names",
        "region",
        "count",
    ];
    stops_and_loads
        .chain(actions())
        .chain(selectors)
        .filter_map(|choice| Some((choice.position(), choice.text()?.to_owned())))
        .find(|(_, word)| takes_value.contains(&word.as_str()))
}

fn build(file: &str, yaml: &str, position: Position, message: String, help: String) -> ScenarioError {
    // Tabs would shift the mark below the line.
    let snippet = yaml
        .lines()
        .nth(position.line - 1)
        .unwrap_or_default()
        .replace('\t', " ");
    let column = position.column.clamp(1, snippet.chars().count() + 1);
    ScenarioError {
        file: file.to_owned(),
        line: position.line,
        column,
        message,
        help,
        snippet,
    }
}

fn explain(error: &YamlError) -> (String, String) {
    match error.without_snippet() {
        YamlError::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown key `{field}`"), other_key(field, expected))
        }
        YamlError::SerdeUnknownVariant {
            variant, expected, ..
        } => (
            format!("`{variant}` is not one of the choices here"),
            instead(variant, expected, "choices"),
        ),
        YamlError::SerdeMissingField { field, .. } => (
            format!("the key `{field}` is missing"),
            format!("add `{field}:` here"),
        ),
        YamlError::DuplicateMappingKey { key, .. } => (
            format!(
                "the key {} is given twice",
                key.as_ref().map_or_else(String::new, |key| format!("`{key}`"))
            ),
            "keep one of them".to_owned(),
        ),
        YamlError::InvalidScalar { ty, .. } => (format!("expected {}", plain_type(ty)), String::new()),
        YamlError::NullIntoString { .. } => (
            "nothing stands behind this key".to_owned(),
            "write a value, or remove the key".to_owned(),
        ),
        YamlError::Message { msg, .. } => (msg.clone(), String::new()),
        YamlError::Unexpected { expected, .. } => {
            (format!("expected {}", plain_type(expected)), String::new())
        }
        YamlError::ExpectedMappingEndAfterEnumVariantValue { .. } => (
            "only one of the choices can stand here".to_owned(),
            "keep the one before, or make two steps".to_owned(),
        ),
        YamlError::UnexpectedValueForUnitEnumVariant { .. } => (
            "this word takes no value".to_owned(),
            "write it alone, such as `do: pause`".to_owned(),
        ),
        YamlError::Eof { .. } => ("the file is empty, or ends too early".to_owned(), String::new()),
        other => {
            let text = other.render();
            // The position is shown in one way, whatever the error.
            let text = text.lines().next().unwrap_or_default();
            let text = text.split(" at line ").next().unwrap_or(text);
            (text.to_owned(), String::new())
        }
    }
}

fn plain_type(name: &str) -> &str {
    match name {
        "u8" => "a whole number, 0 to 255",
        "u16" => "a whole number, 0 to 65535",
        "u32" => "a whole number, 0 to 4294967295",
        "u64" => "a whole number, 0 or more",
        "i64" => "a whole number",
        "bool" | "boolean" => "true or false",
        "f64" | "floating point" => "a number",
        "string scalar" => "a word",
        "mapping start" => "keys with values",
        "sequence start" => "a list, each item behind a `-`",
        other => other,
    }
}

/// What was meant by an unknown key: one of those that stand here, or one that belongs under another key.
fn other_key(field: &str, here: &[&'static str]) -> String {
    let likeness = |name: &str| strsim::jaro_winkler(&field.to_lowercase(), name);
    let best_here = here.iter().map(|name| likeness(name)).fold(0.0, f64::max);
    let elsewhere = keys_below()
        .into_iter()
        .max_by(|a, b| likeness(&a.1).total_cmp(&likeness(&b.1)));
    match elsewhere {
        Some((parent, key)) if likeness(&key) > best_here.max(0.85) => {
            format!(
                "did you mean `{key}`? It belongs under `{parent}` (keys here: {})",
                here.join(", ")
            )
        }
        _ => instead(field, here, "keys here"),
    }
}

/// `did you mean …`, and all that is possible.
fn instead(text: &str, possible: &[&'static str], what: &str) -> String {
    let all = possible.join(", ");
    match closest(text, possible) {
        Some(near) => format!("did you mean `{near}`? ({what}: {all})"),
        None => format!("{what}: {all}"),
    }
}

/// The name most like `text`, if one is like it at all.
pub(crate) fn closest<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    names
        .iter()
        .map(|name| (strsim::jaro_winkler(&text.to_lowercase(), name), *name))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

//! The standard's content hash of an event (CBV 2.0, section 8.9), equal to what the public generator
//! `epcis-event-hash-generator` prints.
//!
//! The event is turned into names with values; known fields come in the order of the standard, own fields after them by
//! their text; lists are sorted; then SHA-256. `recordTime`, `eventID` and `errorDeclaration` are not in it, so an event
//! and its declaration of error have the same hash.
//!
//! Otherwise than the generator: the order of `type` and `bizTransaction` in the text does not matter, and a word in an
//! own field stays as it is even if another event of the document uses it as a word of the vocabulary.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::canonical;
use crate::wire::json::{Fault, Kind, Located, Path, Reader};

/// SHA-256 of the canonical form of an event that was read, in a document with this `@context`.
pub(super) fn content_id(event: &str, context: &str) -> [u8; 32] {
    Sha256::digest(canonical_form(event, context)).into()
}

/// What is hashed. Both texts were read before, so nothing in them is an error.
fn canonical_form(event: &str, context: &str) -> String {
    let prefixes = prefixes(context);
    let mut reader = Reader::new(event);
    let mut fields = Vec::new();
    let _ = Builder { prefixes: &prefixes }.members(&mut reader, "", &mut fields);
    let kind = fields
        .iter()
        .find(|field| field.name == "type")
        .map_or_else(String::new, |field| field.text.clone());
    let mut out = format!("eventType={kind}");
    let mut fields = corrected(fields);
    out.push_str(&ordered(&mut fields, EVENT));
    fields.retain(|field| {
        !matches!(
            &*field.name,
            "recordTime" | "eventID" | "type" | "errorDeclaration"
        )
    });
    out.push_str(&by_text(&fields));
    out
}

/// A name, its value, what is below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    name: String,
    text: String,
    children: Vec<Node>,
}

/// Prefixes that the context declares.
fn prefixes(context: &str) -> BTreeMap<String, String> {
    fn declared(reader: &mut Reader<'_>, out: &mut BTreeMap<String, String>) -> Result<(), Ignored> {
        match reader.kind()? {
            Kind::List => {
                reader.list(|reader, _| declared(reader, out))?;
            }
            Kind::Object => reader.object(|reader, key| {
                if reader.kind()? == Kind::Text {
                    out.insert(key.to_owned(), reader.string()?.into_owned());
                } else {
                    reader.skip()?;
                }
                Ok::<(), Ignored>(())
            })?,
            _ => {
                reader.skip()?;
            }
        }
        Ok(())
    }
    let mut out = BTreeMap::new();
    let _ = declared(&mut Reader::new(context), &mut out);
    out
}

/// Turns JSON into nodes; a list's elements all get the list's name.
struct Builder<'p> {
    prefixes: &'p BTreeMap<String, String>,
}

impl Builder<'_> {
    /// `within` is the name of the field that the object stands in.
    fn members(&self, reader: &mut Reader<'_>, within: &str, out: &mut Vec<Node>) -> Result<(), Ignored> {
        reader.object(|reader, key| {
            if key == "rdfs:comment" || key == "comment" {
                reader.skip()?;
                return Ok(());
            }
            let name = match self.expanded(key) {
                Some((namespace, rest)) => format!("{{{namespace}}}{rest}"),
                None => key.to_owned(),
            };
            let words = words_of(within, key);
            if reader.kind()? == Kind::List {
                reader.list(|reader, _| {
                    let mut node = self.value(reader, key, words)?;
                    node.name.clone_from(&name);
                    out.push(node);
                    Ok::<(), Ignored>(())
                })?;
            } else {
                let mut node = self.value(reader, key, words)?;
                node.name = name;
                out.push(node);
            }
            Ok(())
        })
    }

    fn value(&self, reader: &mut Reader<'_>, within: &str, words: Option<&str>) -> Result<Node, Ignored> {
        let mut node = Node::default();
        match reader.kind()? {
            Kind::Object => self.members(reader, within, &mut node.children)?,
            Kind::List => {
                reader.list(|reader, _| {
                    node.children.push(self.value(reader, within, None)?);
                    Ok::<(), Ignored>(())
                })?;
            }
            Kind::Text => {
                let text = reader.string()?;
                node.text = match (words, self.expanded(&text)) {
                    (Some(web), None) if !text.contains([':', '/']) => format!("{web}{text}"),
                    (_, Some((namespace, rest))) => format!("{namespace}{rest}"),
                    _ => text.into_owned(),
                };
            }
            Kind::True => {
                reader.skip()?;
                node.text.push_str("True");
            }
            Kind::False => {
                reader.skip()?;
                node.text.push_str("False");
            }
            Kind::Null => {
                reader.skip()?;
                node.text.push_str("None");
            }
            Kind::Number => reader.number()?.clone_into(&mut node.text),
        }
        Ok(node)
    }

    fn expanded<'t>(&self, text: &'t str) -> Option<(&str, &'t str)> {
        let (prefix, rest) = text.split_once(':')?;
        Some((self.prefixes.get(prefix)?, rest))
    }
}

/// What stands in front of a bare word of a field.
fn words_of(within: &str, key: &str) -> Option<&'static str> {
    Some(match (within, key) {
        ("", "bizStep") => "https://ref.gs1.org/cbv/BizStep-",
        ("", "disposition") | ("persistentDisposition", "set" | "unset") => "https://ref.gs1.org/cbv/Disp-",
        ("bizTransactionList", "type") => "https://ref.gs1.org/cbv/BTT-",
        ("sourceList" | "destinationList", "type") => "https://ref.gs1.org/cbv/SDT-",
        ("sensorReport", "type" | "exception") => "https://gs1.org/voc/",
        ("sensorReport", "component") => "https://ref.gs1.org/cbv/Comp-",
        _ => return None,
    })
}

/// JSON's lists as the standard's XML has them: `epcList` holds `epc`s, `quantityList` holds `quantityElement`s.
fn corrected(children: Vec<Node>) -> Vec<Node> {
    let mut out: Vec<Node> = Vec::with_capacity(children.len());
    let mut lists: BTreeMap<String, Vec<Node>> = BTreeMap::new();
    for child in children {
        let element = match child.name.strip_suffix("List") {
            _ if child.name == "childEPCs" => "epc".to_owned(),
            Some(element) => element.to_owned(),
            None => {
                out.push(child);
                continue;
            }
        };
        let list = child.name.clone();
        let element = match &*list {
            "bizTransactionList" | "sourceList" | "destinationList" => pair(&child),
            _ => Node {
                name: element,
                ..child
            },
        };
        lists.entry(list).or_default().push(element);
    }
    out.extend(lists.into_iter().map(|(name, children)| Node {
        name,
        text: String::new(),
        children,
    }));
    for node in &mut out {
        node.children = corrected(std::mem::take(&mut node.children));
        let renamed = match &*node.name {
            "inputEPC" | "outputEPC" => "epc",
            "inputQuantity" | "outputQuantity" | "childQuantity" => "quantityElement",
            "quantity" if !node.children.is_empty() => "quantityElement",
            _ => continue,
        };
        renamed.clone_into(&mut node.name);
    }
    out
}

/// The kind and the thing itself belong together: one text.
fn pair(element: &Node) -> Node {
    let (kinds, others): (Vec<_>, Vec<_>) = element.children.iter().partition(|child| child.name == "type");
    let mut name = String::new();
    for child in kinds.into_iter().chain(others) {
        name.push_str(&child.name);
        name.push('=');
        name.push_str(&canonical::value(&child.text));
    }
    Node {
        name,
        ..Node::default()
    }
}

/// A field and the order of what is below it.
struct Order {
    name: &'static str,
    below: &'static [Order],
}

const fn leaf(name: &'static str) -> Order {
    Order { name, below: &[] }
}

const fn tree(name: &'static str, below: &'static [Order]) -> Order {
    Order { name, below }
}

const EPCS: &[Order] = &[leaf("epc")];
const QUANTITIES: &[Order] = &[tree(
    "quantityElement",
    &[leaf("epcClass"), leaf("quantity"), leaf("uom")],
)];
const SENSORS: &[Order] = &[tree(
    "sensorElement",
    &[
        tree(
            "sensorMetadata",
            &[
                leaf("time"),
                leaf("startTime"),
                leaf("endTime"),
                leaf("deviceID"),
                leaf("deviceMetadata"),
                leaf("rawData"),
                leaf("dataProcessingMethod"),
                leaf("bizRules"),
            ],
        ),
        tree(
            "sensorReport",
            &[
                leaf("type"),
                leaf("exception"),
                leaf("deviceID"),
                leaf("deviceMetadata"),
                leaf("rawData"),
                leaf("dataProcessingMethod"),
                leaf("time"),
                leaf("microorganism"),
                leaf("chemicalSubstance"),
                leaf("value"),
                leaf("component"),
                leaf("stringValue"),
                leaf("booleanValue"),
                leaf("hexBinaryValue"),
                leaf("uriValue"),
                leaf("minValue"),
                leaf("maxValue"),
                leaf("meanValue"),
                leaf("sDev"),
                leaf("percRank"),
                leaf("percValue"),
                leaf("uom"),
                leaf("coordinateReferenceSystem"),
            ],
        ),
    ],
)];

/// The order of the standard. The lists of transactions, sources and destinations are among what comes by its text.
const EVENT: &[Order] = &[
    leaf("eventTime"),
    leaf("eventTimeZoneOffset"),
    leaf("certificationInfo"),
    leaf("parentID"),
    tree("epcList", EPCS),
    tree("inputEPCList", EPCS),
    tree("childEPCs", EPCS),
    tree("quantityList", QUANTITIES),
    tree("childQuantityList", QUANTITIES),
    tree("inputQuantityList", QUANTITIES),
    tree("outputEPCList", EPCS),
    tree("outputQuantityList", QUANTITIES),
    leaf("action"),
    leaf("transformationID"),
    leaf("bizStep"),
    leaf("disposition"),
    tree("persistentDisposition", &[leaf("set"), leaf("unset")]),
    tree("readPoint", &[leaf("id")]),
    tree("bizLocation", &[leaf("id")]),
    tree("sensorElementList", SENSORS),
];

/// Takes what the order names out of the children; own fields among them follow at the end.
fn ordered(children: &mut Vec<Node>, order: &[Order]) -> String {
    let own = own_fields(children);
    let mut out = String::new();
    for Order { name, below } in order {
        let mut values = Vec::new();
        children.retain_mut(|child| {
            if child.name != *name {
                return true;
            }
            values.push(named(child, below));
            !child.children.is_empty()
        });
        values.sort_unstable();
        out.extend(values);
    }
    out.push_str(&by_text(&own));
    out
}

/// Own fields below the event; those of the event itself come after everything else anyway.
fn own_fields(children: &mut Vec<Node>) -> Vec<Node> {
    let of_event = |child: &Node| child.name.contains("eventTime") || child.name.contains("action");
    if children.len() <= 1 || children.iter().any(of_event) {
        return Vec::new();
    }
    children
        .extract_if(.., |child| child.name.contains('{') && child.name.contains("/}"))
        .collect()
}

/// Empty, if there is nothing in it.
fn named(node: &mut Node, below: &[Order]) -> String {
    let inner = if below.is_empty() {
        String::new()
    } else {
        ordered(&mut node.children, below)
    };
    let lower = node.name.to_ascii_lowercase();
    let text = if node.text.is_empty() {
        String::new()
    } else if lower.contains("time") && !lower.contains("offset") {
        canonical::time(&node.text)
    } else {
        canonical::value(&node.text)
    };
    match (text.is_empty(), inner.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!("{}{inner}", node.name),
        (false, _) => format!("{}={text}{inner}", node.name),
    }
}

fn by_text(nodes: &[Node]) -> String {
    let mut values: Vec<String> = nodes
        .iter()
        .map(|node| {
            let below = by_text(&node.children);
            if node.text.trim().is_empty() {
                format!("{}{below}", node.name)
            } else {
                format!("{}={}{below}", node.name, canonical::value(&node.text))
            }
        })
        .collect();
    values.sort_unstable();
    values.concat()
}

/// Of texts that were read before: it does not come up.
struct Ignored(Path);

impl From<Fault> for Ignored {
    fn from(_: Fault) -> Self {
        Self(Path::default())
    }
}

impl Located for Ignored {
    fn path(&mut self) -> &mut Path {
        &mut self.0
    }
}

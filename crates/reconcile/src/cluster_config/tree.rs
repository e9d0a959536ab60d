//! YAML (and so JSON) as a tree whose every node knows its place.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{Location, Spanned};

use crate::place::Place;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A member of a map, and where its key stands.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) node: Node,
}

impl Value {
    /// What it is, with an article.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// What keeps a text from being read at all.
pub(crate) struct Unreadable {
    pub(crate) message: String,
    pub(crate) place: Option<Place>,
}

/// How deep lists and maps may be in each other. What is read goes as deep into the stack, and no ClusterConfig needs half.
const DEEPEST: usize = 32;

/// The nodes that files of 5000 accounts, the most that IAM has room for, stay far below.
const MOST_NODES: usize = 1_000_000;

/// What aliases may come to, so that a few lines do not become gigabytes.
const MOST_REPLAYED: usize = 50_000;

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEEPEST,
            max_nodes: MOST_NODES,
            max_events: MOST_NODES.saturating_mul(2),
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MOST_REPLAYED,
            max_replay_stack_depth: DEEPEST,
        },
    }
}

/// Reads all documents of a text. Empty documents are left out.
pub(crate) fn documents(file: &Arc<str>, text: &str) -> Result<Vec<Node>, Unreadable> {
    let nodes = serde_saphyr::from_multiple_with_options::<Spanned<Raw>>(text, options()).map_err(|error| {
        let error = error.without_snippet();
        let place = error
            .location()
            .filter(|location| location.line() > 0)
            .map(|location| located(text, place(file, location)));
        let message = error.to_string();
        // The place is told beside it, and the rest is advice for those who call the parser.
        let message = message
            .split_once(" at line ")
            .or_else(|| message.split_once('\n'))
            .map_or(message.as_str(), |(message, _)| message);
        let message = message.split_once(", set ").map_or(message, |(message, _)| message);
        Unreadable {
            message: plain(message),
            place,
        }
    })?;
    let nodes = nodes.into_iter().map(|raw| node(file, raw));
    Ok(nodes.filter(|node| !matches!(node.value, Value::Null)).collect())
}

/// The scanner tells lines and columns, and not always bytes.
fn located(text: &str, mut place: Place) -> Place {
    if place.offset == 0 && (place.line > 1 || place.column > 1) {
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
        let mut lines = text.split_inclusive('\n');
        let before: usize = lines.by_ref().take(number(place.line)).map(str::len).sum();
        let line = lines.next().unwrap_or_default();
        let within: usize = line.chars().take(number(place.column)).map(char::len_utf8).sum();
        place.offset = before.saturating_add(within).min(text.len());
    }
    place
}

/// The limits of the parser in words.
fn plain(message: &str) -> String {
    if message.starts_with("budget breached: Depth") || message.starts_with("recursion limit") {
        format!("lists and maps stand more than {DEEPEST} deep in each other")
    } else if message.starts_with("alias replay limit") {
        "its aliases come to too much".to_owned()
    } else if message.starts_with("budget breached") {
        "it is too large".to_owned()
    } else {
        message.to_owned()
    }
}

fn place(file: &Arc<str>, location: Location) -> Place {
    let number = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
    Place {
        file: Arc::clone(file),
        line: location.line(),
        column: location.column(),
        offset: number(location.span().byte_offset()),
        length: number(location.span().byte_len()),
    }
}

fn node(file: &Arc<str>, raw: Spanned<Raw>) -> Node {
    let place = place(file, raw.referenced);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(value),
        Raw::Number(value) => Value::Number(value),
        Raw::Text(value) => Value::Text(value),
        Raw::List(items) => Value::List(items.into_iter().map(|item| node(file, item)).collect()),
        Raw::Map(members) => Value::Map(
            members
                .into_iter()
                .map(|(key, value)| Entry {
                    place: self::place(file, key.referenced),
                    key: key.value,
                    node: node(file, value),
                })
                .collect(),
        ),
    };
    Node { place, value }
}

enum Raw {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Number::from_f64(value).map_or_else(|| Raw::Text(value.to_string()), Raw::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Raw::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Raw, A::Error> {
        let mut all = Vec::new();
        while let Some(member) = members.next_entry()? {
            all.push(member);
        }
        Ok(Raw::Map(all))
    }
}

/// A node as compact JSON, and which node begins at which byte of it, in ascending order.
pub(crate) fn json(node: &Node) -> (String, Vec<(usize, Place)>) {
    let mut text = String::new();
    let mut places = Vec::new();
    write(node, &mut text, &mut places);
    (text, places)
}

fn write(node: &Node, text: &mut String, places: &mut Vec<(usize, Place)>) {
    places.push((text.len(), node.place.clone()));
    match &node.value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(value) => text.push_str(&value.to_string()),
        Value::Text(value) => text.push_str(&quoted(value)),
        Value::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, text, places);
            }
            text.push(']');
        }
        Value::Map(entries) => {
            text.push('{');
            for (index, entry) in entries.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                places.push((text.len(), entry.place.clone()));
                text.push_str(&quoted(&entry.key));
                text.push(':');
                write(&entry.node, text, places);
            }
            text.push('}');
        }
    }
}

pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

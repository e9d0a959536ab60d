//! The condition keys of a simulated request.

use std::collections::HashSet;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use irsa_policy::syntax::{Decimal, Instant};
use irsa_wire::{Params, Text, Validator, patterns};

use super::invalid;
use crate::error::IamError;

/// `ContextKeyNameType`.
const KEY_NAME: Text = Text::new(5, 256, patterns::ANY);
/// `ContextKeyTypeEnum`.
const TYPES: [&str; 12] = [
    "string",
    "stringList",
    "numeric",
    "numericList",
    "boolean",
    "booleanList",
    "ip",
    "ipList",
    "binary",
    "binaryList",
    "date",
    "dateList",
];

/// A key with its values, which are of its type.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) values: Vec<String>,
    /// Whether the key is multivalued; a list may have one value.
    pub(super) is_list: bool,
}

impl Entry {
    /// Checks what the service model says of an entry.
    pub(super) fn check(validator: &mut Validator, entries: &[Params]) {
        for (index, entry) in entries.iter().enumerate() {
            let place = |name: &str| format!("contextEntries.{}.member.{name}", index.saturating_add(1));
            if let Some(name) = entry.get("ContextKeyName") {
                validator.text(&place("contextKeyName"), name, KEY_NAME);
            }
            if let Some(kind) = entry.get("ContextKeyType").filter(|kind| !TYPES.contains(kind)) {
                let constraint = format!("Member must satisfy enum value set: [{}]", TYPES.join(", "));
                validator.fail(&place("contextKeyType"), kind, false, &constraint);
            }
        }
    }

    /// Reads entries that passed [`Entry::check`].
    pub(super) fn read(entries: &[Params]) -> Result<Vec<Self>, IamError> {
        let mut seen = HashSet::new();
        let mut read = Vec::new();
        for entry in entries {
            let Some(key) = entry.get("ContextKeyName") else {
                return invalid("An entry of the context has no ContextKeyName.");
            };
            // Either of two values could be the one that is meant.
            if !seen.insert(key.to_ascii_lowercase()) {
                return invalid(format!("The context key {key} is there twice."));
            }
            let values = entry.strings("ContextKeyValues")?.unwrap_or_default();
            if values.is_empty() {
                return invalid(format!("The context key {key} has no value."));
            }
            // A key without a type is of texts, as many as there are.
            let (kind, is_list) = match entry.get("ContextKeyType") {
                Some(kind) => kind.strip_suffix("List").map_or((kind, false), |kind| (kind, true)),
                None => ("string", values.len() > 1),
            };
            if !is_list && values.len() > 1 {
                return invalid(format!(
                    "The context key {key} is of the type {kind}, and has {} values.",
                    values.len()
                ));
            }
            let values = values.into_iter().map(Option::unwrap_or_default);
            let values = values.map(|value| typed(key, kind, value)).collect::<Result<_, _>>()?;
            read.push(Self {
                key: key.to_owned(),
                values,
                is_list,
            });
        }
        Ok(read)
    }
}

/// A value as the engine takes it.
fn typed(key: &str, kind: &str, value: String) -> Result<String, IamError> {
    let wrong = || invalid(format!("A value of the context key {key} is not of the type {kind}."));
    let is_boolean = || ["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word));
    match kind {
        "numeric" if Decimal::parse(&value).is_none() => wrong(),
        "date" if Instant::parse(&value).is_none() => wrong(),
        "boolean" if !is_boolean() => wrong(),
        "ip" if value.parse::<IpAddr>().is_err() => wrong(),
        // The engine compares a request's text with the bytes that a policy encodes.
        "binary" => match STANDARD.decode(&value).map(String::from_utf8) {
            Ok(Ok(text)) => Ok(text),
            _ => wrong(),
        },
        _ => Ok(value),
    }
}

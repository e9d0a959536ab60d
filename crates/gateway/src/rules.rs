//! The rules: what services there are, how their operations are named, and what those are about.

mod check;
mod form;
mod sample;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::error::RulesError;
use crate::path::Path;
use crate::resource::Kind;
use crate::route::Route;
use crate::rules::check::Places;
use crate::rules::form::{ServiceJson, Source};

pub use sample::Sample;

const BUILT_IN: &str = include_str!("../data/rules.json");

/// How a service names operations on the wire.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// AWS JSON 1.0 and 1.1: `X-Amz-Target: Prefix.Operation`.
    Json,
    /// Query: `Action=Operation&Version=…` in a form or a query string.
    Query,
    /// REST with JSON bodies: method and path.
    RestJson,
    /// REST with XML bodies.
    RestXml,
}

/// The rules of all services.
#[derive(Clone, Debug)]
pub struct RuleBook {
    services: Vec<Arc<ServiceRules>>,
}

/// The rules of one service in one protocol.
#[derive(Clone, Debug)]
pub struct ServiceRules {
    pub(crate) signing_names: Vec<String>,
    pub(crate) prefix: String,
    event_source: String,
    pub(crate) protocol: Protocol,
    pub(crate) targets: Vec<String>,
    pub(crate) versions: Vec<String>,
    xml_namespace: String,
    denied_code: Option<String>,
    is_global: bool,
    pub(crate) partition_keys: BTreeMap<String, String>,
    pub(crate) kinds: BTreeMap<String, Kind>,
    pub(crate) operations: BTreeMap<String, Operation>,
}

impl ServiceRules {
    /// What stands before the colon of its actions, such as `dynamodb`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// CloudTrail's `eventSource`, such as `dynamodb.amazonaws.com`.
    #[must_use]
    pub fn event_source(&self) -> &str {
        &self.event_source
    }

    /// How it is spoken to.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The namespace of its XML answers; empty for services without.
    #[must_use]
    pub fn xml_namespace(&self) -> &str {
        &self.xml_namespace
    }

    /// The code of a refusal by policy, where it is not that of the protocol.
    #[must_use]
    pub fn denied_code(&self) -> Option<&str> {
        self.denied_code.as_deref()
    }

    /// Whether it has one endpoint for all regions, so that the region of a signature means nothing.
    #[must_use]
    pub fn is_global(&self) -> bool {
        self.is_global
    }
}

/// One operation.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) read_only: bool,
    /// Whether CloudTrail counts it among the data events.
    pub(crate) is_data: bool,
    /// The action without its prefix, where it is not the operation's name.
    pub(crate) action: Option<String>,
    /// `None`: the rules know no resource.
    pub(crate) resources: Option<Vec<Resource>>,
    pub(crate) keys: BTreeMap<String, Key>,
    pub(crate) tags: Option<Tags>,
    pub(crate) tag_keys: Option<Path>,
    pub(crate) route: Option<Route>,
    pub(crate) reader: Option<Reader>,
    pub(crate) refuse: Option<String>,
    /// Parameters that name a resource in a way that no ARN can be told from; a request with one is refused.
    pub(crate) nameless: Vec<Path>,
    /// Condition keys that the action has and requests do not say; a `/` at the end stands for all that begin so.
    pub(crate) unread: Vec<String>,
}

impl Operation {
    /// Whether the questions that it raises depend on the body. What REST has in the path is not in the body; where parameters of the
    /// query stand is not told by the rules.
    pub(crate) fn reads_body(&self) -> bool {
        let in_body = |path: &Path| {
            let route = self.route.as_ref();
            !route.is_some_and(|route| route.has_label(path.parameter()))
        };
        let tags_in_body = match &self.tags {
            None => false,
            Some(Tags::Map(path) | Tags::List { each: path, .. }) => in_body(path),
        };
        self.reader.is_some()
            || tags_in_body
            || self.tag_keys.as_ref().is_some_and(in_body)
            || self.nameless.iter().any(in_body)
            || self.keys.values().any(|key| in_body(&key.from))
            || self
                .resources
                .iter()
                .flatten()
                .any(|resource| resource.paths().any(in_body))
    }
}

impl Resource {
    /// Where its values stand.
    fn paths(&self) -> Box<dyn Iterator<Item = &Path> + '_> {
        match self {
            Self::Any | Self::Unsaid => Box::new(std::iter::empty()),
            Self::Named { from, otherwise, .. } => {
                let more = otherwise.iter().flat_map(|resource| resource.paths());
                Box::new(from.iter().chain(more))
            }
        }
    }
}

/// Code that reads what paths can't.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reader {
    /// Tables, items and attributes.
    Dynamodb,
}

/// Where an operation's resource comes from.
#[derive(Clone, Debug)]
pub(crate) enum Resource {
    /// `*`: the action has none.
    Any,
    /// `?`: one that the request does not say. The question is about `*`, which only stands for it.
    Unsaid,
    Named {
        /// Names of kinds; the first that fits the value counts.
        kinds: Vec<String>,
        from: Vec<Path>,
        /// Whether the parameter may be absent.
        optional: bool,
        /// What it is about when the parameter is absent.
        otherwise: Option<Box<Resource>>,
        action: Option<String>,
    },
}

/// Where a condition key's values come from.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) from: Path,
    pub(crate) form: Form,
}

/// How a value is written into a condition key.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Form {
    #[default]
    AsIs,
    /// Route 53's normalised name.
    RecordName,
}

/// Where tags stand.
#[derive(Clone, Debug)]
pub(crate) enum Tags {
    /// An object of names and values.
    Map(Path),
    /// A list of objects.
    List { each: Path, key: String, value: String },
}

pub(crate) fn is_word(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl RuleBook {
    /// The rules that are a part of the program.
    ///
    /// # Errors
    /// Never, unless the program's own file is broken, which its tests rule out.
    pub fn built_in() -> Result<Self, RulesError> {
        Self { services: Vec::new() }.with(BUILT_IN)
    }

    /// These rules with an operator's own over them: services are added, operations and kinds of resources added or replaced.
    ///
    /// # Errors
    /// The first thing in the text that is wrong, with its line and column.
    pub fn with(&self, text: &str) -> Result<Self, RulesError> {
        let source = Source::new(text);
        let file = source.file()?;
        let mut book = self.clone();
        let mut places = Places::default();
        for piece in file.services {
            let json: ServiceJson<'_> = source.read(piece)?;
            let mut kinds = BTreeMap::new();
            for (name, piece) in &json.resources.0 {
                kinds.insert(name.clone(), source.read(piece)?);
            }
            let mut operations = BTreeMap::new();
            let mut known = BTreeMap::new();
            for (name, piece) in &json.operations.0 {
                operations.insert(name.clone(), source.read(piece)?);
                known.insert(name.clone(), source.place(piece));
            }
            let place = source.place(piece);
            let service = book
                .add(json, kinds, operations)
                .map_err(|problem| source.error(place, problem))?;
            places.add(service, place, known);
        }
        book.check(source, &places)?;
        Ok(book)
    }

    /// Adds a service, or to one that is known. Gives its number.
    fn add(
        &mut self,
        json: ServiceJson<'_>,
        kinds: BTreeMap<String, Kind>,
        operations: BTreeMap<String, Operation>,
    ) -> Result<usize, String> {
        let is_word =
            |name: &String| !name.is_empty() && !name.contains(|sign: char| sign.is_whitespace() || sign.is_control());
        if json.signing_names.is_empty() || !json.signing_names.iter().all(is_word) {
            return Err("a service needs `signingNames`, which are no empty texts".to_owned());
        }
        if !json.targets.iter().chain(&json.versions).all(is_word) {
            return Err("`targets` and `versions` are no empty texts".to_owned());
        }
        let word =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !word(&json.prefix) {
            return Err(format!("`{}` is no prefix of actions", json.prefix));
        }
        let same = |known: &ServiceRules| {
            known.prefix == json.prefix
                && known.protocol == json.protocol
                && json.signing_names.iter().any(|name| known.signing_names.contains(name))
                && (json.targets.is_empty() || json.targets.iter().any(|target| known.targets.contains(target)))
                && (json.versions.is_empty() || json.versions.iter().any(|version| known.versions.contains(version)))
        };
        let mut places = self
            .services
            .iter()
            .enumerate()
            .filter(|(_, known)| same(known))
            .map(|(place, _)| place);
        let (place, None) = (places.next(), places.next()) else {
            return Err(format!(
                "there are several `{}`: say which by `targets` or `versions`",
                json.prefix
            ));
        };
        let mut rules = match place.and_then(|place| self.services.get(place)) {
            Some(known) => (**known).clone(),
            None => {
                if json.protocol == Protocol::Json && json.targets.is_empty() {
                    return Err("a service of this protocol needs `targets`".to_owned());
                }
                if json.protocol == Protocol::Query && json.versions.is_empty() {
                    return Err("a service of this protocol needs `versions`".to_owned());
                }
                ServiceRules {
                    signing_names: Vec::new(),
                    event_source: format!("{}.amazonaws.com", json.prefix),
                    prefix: json.prefix,
                    protocol: json.protocol,
                    targets: Vec::new(),
                    versions: Vec::new(),
                    xml_namespace: String::new(),
                    denied_code: None,
                    is_global: json.global,
                    partition_keys: BTreeMap::new(),
                    kinds: BTreeMap::new(),
                    operations: BTreeMap::new(),
                }
            }
        };
        for (list, more) in [
            (&mut rules.signing_names, json.signing_names),
            (&mut rules.targets, json.targets),
            (&mut rules.versions, json.versions),
        ] {
            for word in more {
                if !list.contains(&word) {
                    list.push(word);
                }
            }
        }
        if let Some(event_source) = json.event_source {
            rules.event_source = event_source;
        }
        if !json.xml_namespace.is_empty() {
            rules.xml_namespace = json.xml_namespace;
        }
        rules.denied_code = json.denied_code.or(rules.denied_code);
        rules.partition_keys.extend(json.partition_keys.0);
        rules.kinds.extend(kinds);
        rules.operations.extend(operations);
        let rules = Arc::new(rules);
        match place.and_then(|place| Some((place, self.services.get_mut(place)?))) {
            Some((place, known)) => {
                *known = rules;
                Ok(place)
            }
            None => {
                self.services.push(rules);
                Ok(self.services.len().saturating_sub(1))
            }
        }
    }

    /// The services that sign under a name.
    pub fn services<'b>(&'b self, signing_name: &'b str) -> impl Iterator<Item = &'b Arc<ServiceRules>> {
        self.services
            .iter()
            .filter(move |service| service.signing_names.iter().any(|name| name == signing_name))
    }

    /// All services.
    pub fn all(&self) -> impl Iterator<Item = &Arc<ServiceRules>> {
        self.services.iter()
    }
}

#[cfg(test)]
mod tests;

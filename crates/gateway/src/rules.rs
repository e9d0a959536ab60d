//! The rules: what services there are, how their operations are named, and what those are about.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use crate::error::RulesError;
use crate::path::Path;
use crate::resource::{Kind, KindJson};
use crate::route::Route;

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
    /// Condition keys that the action has and requests do not say; a `/` at the end stands for all that begin so.
    pub(crate) unread: Vec<String>,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct FileJson {
    #[serde(default, rename = "about")]
    _about: Option<serde::de::IgnoredAny>,
    services: Vec<ServiceJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ServiceJson {
    signing_names: Vec<String>,
    prefix: String,
    #[serde(default)]
    event_source: Option<String>,
    protocol: Protocol,
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    xml_namespace: String,
    #[serde(default)]
    denied_code: Option<String>,
    #[serde(default)]
    global: bool,
    #[serde(default)]
    partition_keys: Unique<String>,
    #[serde(default)]
    resources: Unique<Kind>,
    #[serde(default)]
    operations: Unique<Operation>,
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(KindJson::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct OperationJson {
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    data: bool,
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    resources: Option<Vec<Resource>>,
    #[serde(default)]
    keys: Unique<Key>,
    #[serde(default)]
    tags: Option<Tags>,
    #[serde(default)]
    tag_keys: Option<Path>,
    #[serde(default)]
    route: Option<Route>,
    #[serde(default)]
    reader: Option<Reader>,
    #[serde(default)]
    refuse: Option<String>,
    #[serde(default)]
    unread: Vec<String>,
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = OperationJson::deserialize(deserializer)?;
        if let Some(action) = json.action.as_ref().filter(|action| !is_word(action)) {
            return Err(D::Error::custom(format!("`{action}` is no action without its prefix")));
        }
        Ok(Self {
            read_only: json.read_only,
            is_data: json.data,
            action: json.action,
            resources: json.resources,
            keys: json.keys.0,
            tags: json.tags,
            tag_keys: json.tag_keys,
            route: json.route,
            reader: json.reader,
            refuse: json.refuse,
            unread: json.unread,
        })
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ResourceJson {
    Text(String),
    Named(NamedJson),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedJson {
    kind: String,
    from: OneOrMore,
    #[serde(default)]
    optional: bool,
    #[serde(default, rename = "else")]
    otherwise: Option<Box<Resource>>,
    #[serde(default)]
    action: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Path),
    More(Vec<Path>),
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match ResourceJson::deserialize(deserializer)? {
            ResourceJson::Text(text) if text == "*" => Ok(Self::Any),
            ResourceJson::Text(text) => Err(D::Error::custom(format!(
                "`{text}` is no resource: write `\"*\"` or {{\"kind\": …, \"from\": …}}"
            ))),
            ResourceJson::Named(json) => Ok(Self::Named {
                kinds: json.kind.split('|').map(str::to_owned).collect(),
                from: match json.from {
                    OneOrMore::One(path) => vec![path],
                    OneOrMore::More(paths) => paths,
                },
                optional: json.optional,
                otherwise: json.otherwise,
                action: json.action,
            }),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum KeyJson {
    Path(Path),
    Formed(FormedJson),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormedJson {
    from: Path,
    #[serde(default, rename = "as")]
    form: Form,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match KeyJson::deserialize(deserializer)? {
            KeyJson::Path(from) => Self { from, form: Form::AsIs },
            KeyJson::Formed(json) => Self {
                from: json.from,
                form: json.form,
            },
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagsJson {
    #[serde(default)]
    map: Option<Path>,
    #[serde(default)]
    each: Option<Path>,
    #[serde(default = "default_key")]
    key: String,
    #[serde(default = "default_value")]
    value: String,
}

fn default_key() -> String {
    "Key".to_owned()
}

fn default_value() -> String {
    "Value".to_owned()
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = TagsJson::deserialize(deserializer)?;
        match (json.map, json.each) {
            (Some(map), None) => Ok(Self::Map(map)),
            (None, Some(each)) => Ok(Self::List {
                each,
                key: json.key,
                value: json.value,
            }),
            _ => Err(D::Error::custom("tags have either `map` or `each`")),
        }
    }
}

/// An object whose names are unique: JSON readers keep the last of two.
struct Unique<V>(BTreeMap<String, V>);

impl<V> Default for Unique<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Members<V> {
            type Value = Unique<V>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique<V>, A::Error> {
                let mut members = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if members.contains_key(&name) {
                        return Err(A::Error::custom(format!("`{name}` is there twice")));
                    }
                    members.insert(name, map.next_value()?);
                }
                Ok(Unique(members))
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
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
        let file: FileJson = serde_json::from_str(text)?;
        let mut book = self.clone();
        for json in file.services {
            book.add(json, text)?;
        }
        book.check(text)?;
        Ok(book)
    }

    fn add(&mut self, json: ServiceJson, text: &str) -> Result<(), RulesError> {
        let at = |word: &str, problem: String| located(text, word, problem);
        if json.signing_names.is_empty() || json.signing_names.iter().any(|name| name.is_empty()) {
            return Err(at(&json.prefix, "a service needs `signingNames`".to_owned()));
        }
        let word =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !word(&json.prefix) {
            return Err(at(&json.prefix, format!("`{}` is no prefix of actions", json.prefix)));
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
            let problem = format!(
                "there are several `{}`: say which by `targets` or `versions`",
                json.prefix
            );
            return Err(at(&json.prefix, problem));
        };
        let mut rules = match place.and_then(|place| self.services.get(place)) {
            Some(known) => (**known).clone(),
            None => {
                if json.protocol == Protocol::Json && json.targets.is_empty() {
                    return Err(at(
                        &json.prefix,
                        "a service of this protocol needs `targets`".to_owned(),
                    ));
                }
                if json.protocol == Protocol::Query && json.versions.is_empty() {
                    return Err(at(
                        &json.prefix,
                        "a service of this protocol needs `versions`".to_owned(),
                    ));
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
        rules.kinds.extend(json.resources.0);
        rules.operations.extend(json.operations.0);
        let rules = Arc::new(rules);
        match place.and_then(|place| self.services.get_mut(place)) {
            Some(known) => *known = rules,
            None => self.services.push(rules),
        }
        Ok(())
    }

    /// What needs the whole book: kinds exist, and no request can mean two services or routes.
    fn check(&self, text: &str) -> Result<(), RulesError> {
        for service in &self.services {
            let is_rest = matches!(service.protocol, Protocol::RestJson | Protocol::RestXml);
            let routes: Vec<(&String, &Route)> = service
                .operations
                .iter()
                .filter_map(|(name, operation)| Some((name, operation.route.as_ref()?)))
                .collect();
            for (name, operation) in &service.operations {
                let at = |problem: String| located(text, name, problem);
                if !is_word(name) {
                    return Err(at(format!("`{name}` is no name of an operation")));
                }
                if is_rest != operation.route.is_some() {
                    return Err(at(format!(
                        "the operation `{name}` needs a `route` if its service is REST, and has none otherwise"
                    )));
                }
                for resource in operation.resources.iter().flatten() {
                    service
                        .check_resource(resource)
                        .map_err(|problem| at(format!("the operation `{name}`: {problem}")))?;
                }
                if let Some(route) = &operation.route
                    && let Some((other, _)) = routes
                        .iter()
                        .find(|(other, known)| *other != name && known.clashes(route))
                {
                    return Err(at(format!("the operations `{name}` and `{other}` have the same route")));
                }
            }
        }
        for (index, service) in self.services.iter().enumerate() {
            for other in self.services.iter().skip(index.saturating_add(1)) {
                let both = |one: &[String], two: &[String]| one.iter().any(|word| two.contains(word));
                let is_rest =
                    |service: &ServiceRules| matches!(service.protocol, Protocol::RestJson | Protocol::RestXml);
                let clash = both(&service.signing_names, &other.signing_names)
                    && (both(&service.targets, &other.targets)
                        || both(&service.versions, &other.versions)
                        || is_rest(service) && is_rest(other));
                if clash {
                    let problem = format!("`{}` and `{}` could both mean a request", service.prefix, other.prefix);
                    return Err(located(text, &other.prefix, problem));
                }
            }
        }
        Ok(())
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

/// What one resource of one operation's rule can be, with `*` for values: for comparing rules with tables of what exists.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The action.
    pub action: String,
    /// ARNs, one for each kind of resource that the value may name; none if the rule has no resource.
    pub resources: Vec<String>,
    /// Whether they only stand for those that AWS asks about.
    pub approximate: bool,
    /// The condition keys that the rules fill in by name.
    pub keys: Vec<String>,
}

impl ServiceRules {
    /// A sample of every operation that is forwarded: to compare the rules with a list of actions and resource types.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (name, operation) in self
            .operations
            .iter()
            .filter(|(_, operation)| operation.refuse.is_none())
        {
            let action = operation.action.as_deref().unwrap_or(name);
            let mut own_actions = Vec::new();
            let mut all = Vec::new();
            for resource in operation.resources.iter().flatten() {
                if let Resource::Named {
                    kinds, action: other, ..
                } = resource
                {
                    let kinds: Vec<&Kind> = kinds.iter().filter_map(|kind| self.kinds.get(kind)).collect();
                    let approximate = kinds.iter().any(|kind| kind.approximate);
                    let resources = kinds.iter().map(|kind| kind.sample()).collect();
                    all.push((other.as_deref().unwrap_or(action), resources, approximate));
                    own_actions.push(other.is_some());
                }
            }
            let delegates = operation.reader.is_some() && name.starts_with("Transact")
                || !own_actions.is_empty() && own_actions.iter().all(|own| *own);
            if all.is_empty() && !delegates {
                samples.push(self.sample_of(action, Vec::new(), false, operation));
            }
            for (action, resources, approximate) in all {
                samples.push(self.sample_of(action, resources, approximate, operation));
            }
        }
        samples
    }

    fn sample_of(&self, action: &str, resources: Vec<String>, approximate: bool, operation: &Operation) -> Sample {
        Sample {
            action: format!("{}:{action}", self.prefix),
            resources,
            approximate,
            keys: operation
                .keys
                .keys()
                .filter(|key| !key.ends_with([':', '/']))
                .cloned()
                .collect(),
        }
    }

    fn check_resource(&self, resource: &Resource) -> Result<(), String> {
        let Resource::Named {
            kinds,
            from,
            otherwise,
            action,
            ..
        } = resource
        else {
            return Ok(());
        };
        for kind in kinds {
            let known = self
                .kinds
                .get(kind)
                .ok_or_else(|| format!("no kind of resource `{kind}` is declared"))?;
            if known.slots() != from.len() {
                return Err(format!("the kind `{kind}` takes {} values", known.slots()));
            }
        }
        if from.len() > 1 && from.iter().any(Path::is_plural) {
            return Err("lists can't be combined to one resource".to_owned());
        }
        if action.as_ref().is_some_and(|action| !is_word(action)) {
            return Err("an action stands without its prefix".to_owned());
        }
        otherwise
            .as_ref()
            .map_or(Ok(()), |resource| self.check_resource(resource))
    }
}

/// An error at the place of a word in quotation marks.
fn located(text: &str, word: &str, problem: String) -> RulesError {
    let before = text
        .find(&format!("\"{word}\""))
        .and_then(|place| text.get(..place))
        .unwrap_or_default();
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().map_or(0, str::len).saturating_add(1);
    RulesError { line, column, problem }
}
